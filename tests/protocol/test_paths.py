"""The grammar of RFC 7644 figures 1 and 7."""

from __future__ import annotations

import random
import time

import pytest

from flask_h5mag_scim.protocol.errors import InvalidFilter, InvalidPath
from flask_h5mag_scim.protocol.paths import (
    MAX_DEPTH,
    MAX_LENGTH,
    MAX_TERMS,
    AttrExp,
    LogExp,
    Not,
    Path,
    ValuePath,
    parse_filter,
    parse_path,
)
from flask_h5mag_scim.protocol.schemas import CORE_USER, ENTERPRISE_USER


def eq(name: str, value: object = "x") -> AttrExp:
    return AttrExp(Path(name), "eq", value)


A, B, C = (f'{name} eq "x"' for name in "abc")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        (A, eq("a")),
        (f"{A} and {B} and {C}", LogExp("and", (eq("a"), eq("b"), eq("c")))),
        (f"{A} or {B} and {C}", LogExp("or", (eq("a"), LogExp("and", (eq("b"), eq("c")))))),
        (f"{A} and {B} or {C}", LogExp("or", (LogExp("and", (eq("a"), eq("b"))), eq("c")))),
        (f"({A} or {B}) and {C}", LogExp("and", (LogExp("or", (eq("a"), eq("b"))), eq("c")))),
        (f"not ({A}) and {B}", LogExp("and", (Not(eq("a")), eq("b")))),
        (f"not ({A} or {B})", Not(LogExp("or", (eq("a"), eq("b"))))),
        (f"not (not ({A}))", Not(Not(eq("a")))),
        (f"not({A})", Not(eq("a"))),
        (f"(({A}))", eq("a")),
        ('not eq "x"', eq("not")),
        ("a pr", AttrExp(Path("a"), "pr")),
        ("pr pr", AttrExp(Path("pr"), "pr")),
        (f"a pr and {B}", LogExp("and", (AttrExp(Path("a"), "pr"), eq("b")))),
        (f"  {A}\t", eq("a")),
    ],
)
def test_and_binds_closer_than_or_and_brackets_closest(text: str, tree: object) -> None:
    """RFC 7644 §3.4.2.2: the precedence is grouping, then not, then and, then or."""
    assert parse_filter(text) == tree


@pytest.mark.parametrize("op", ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"])
def test_operators_ignore_case(op: str) -> None:
    """RFC 7644 §3.4.2.2: operators are case-insensitive, and so are pr, and, or and not."""
    assert parse_filter(f'a {op.upper()} "x"') == AttrExp(Path("a"), op, "x")
    joined = parse_filter(f'a {op.title()} "x" AND NOT (b PR) OR c Pr')
    assert joined == parse_filter(f'a {op} "x" and not (b pr) or c pr')


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"x"', "x"),
        ('""', ""),
        (r'"say \"hi\""', 'say "hi"'),
        (r'"a\\b"', "a\\b"),
        (r'"\u00e9\n"', "é\n"),
        (r'"\ud83d\ude00"', "😀"),
        ('"x) and (y"', "x) and (y"),
        ("true", True),
        ("False", False),
        ("NULL", None),
        ("0", 0),
        ("-12", -12),
        ("1.50", 1.5),
        ("2e3", 2000.0),
    ],
)
def test_a_value_is_read_as_json_reads_it(text: str, value: object) -> None:
    """compValue is a JSON string, number, true, false or null, escapes included."""
    found = parse_filter(f"a eq {text}")
    assert isinstance(found, AttrExp)
    assert found.value == value
    assert type(found.value) is type(value)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("userName", Path("userName")),
        ("name.givenName", Path("name", "givenName")),
        ("manager.$ref", Path("manager", "$ref")),
        ("x-custom_1", Path("x-custom_1")),
        (f"{CORE_USER}:userName", Path("userName", None, CORE_USER)),
        (f"{CORE_USER}:name.givenName", Path("name", "givenName", CORE_USER)),
        (f"{ENTERPRISE_USER}:manager.value", Path("manager", "value", ENTERPRISE_USER)),
        ("URN:a:2.0:User:x", Path("x", None, "URN:a:2.0:User")),
        (
            'emails[type eq "work"].value',
            Path("emails", "value", None, eq("type", "work")),
        ),
        ('emails[type eq "work"]', Path("emails", None, None, eq("type", "work"))),
        (
            f'{CORE_USER}:emails[type eq "]" and primary eq true].value',
            Path(
                "emails",
                "value",
                CORE_USER,
                LogExp("and", (eq("type", "]"), eq("primary", True))),
            ),
        ),
    ],
)
def test_paths_with_urns_dots_and_brackets(text: str, path: Path) -> None:
    """A URN holds dots and colons itself; its last colon ends it."""
    assert parse_path(text) == path
    assert parse_path(str(path)) == path


def test_a_value_path_is_a_term_or_the_left_of_a_comparison() -> None:
    """``emails[…]`` alone asks for an element; with a sub-attribute it is compared."""
    inside = eq("type", "work")
    path = Path("emails", "value", None, inside)
    tree = parse_filter('emails[type eq "work"] and emails[type eq "work"].value co "@"')
    assert tree == LogExp(
        "and", (ValuePath(Path("emails", None, None, inside)), AttrExp(path, "co", "@"))
    )


@pytest.mark.parametrize(
    "text",
    [
        'userName eq "x"',
        'a eq "x" and (b pr or not (c gt 5)) or emails[type eq "work" and not (value pr)]',
        f'{ENTERPRISE_USER}:manager.value ne null and emails[primary eq true].value ew "\\"\\\\"',
    ],
)
def test_a_tree_written_as_text_reads_as_itself(text: str) -> None:
    """What error messages and the log show of a filter means the same filter."""
    tree = parse_filter(text)
    assert parse_filter(str(tree)) == tree


MALFORMED = [
    "",
    " ",
    "a",
    "a eq",
    'a eq "x',
    'a eq "x" and',
    'a eq "x" or or b pr',
    'and a eq "x"',
    'a xx "x"',
    "a eq x",
    "a eq 'x'",
    "a eq tru",
    "a eq truex",
    "a eq 01",
    "a eq 1.",
    "a eq .5",
    "a eq --1",
    "a eq +1",
    "a eq 1e999",
    "a eq NaN",
    "a eq Infinity",
    'a eq "\\x"',
    'a eq "\\u0000"',
    'a eq "\\ud800"',
    'a eq "line\nbreak"',
    'a = "x"',
    '(a eq "x"',
    'a eq "x")',
    "()",
    "not",
    "not ()",
    'not a eq "x"',
    'a eq "x" b eq "y"',
    'a[type eq "x"',
    'a[type eq "x"]]',
    "a[]",
    'a[b[c eq "x"]]',
    'a[b.c eq "x"]',
    'a[urn:b:c eq "x"]',
    'a[type eq "x"].b.c eq "y"',
    'a[type eq "x"].urn:b:c eq "y"',
    'a. eq "x"',
    '.a eq "x"',
    'a.b.c eq "x"',
    '1a eq "x"',
    'a b eq "x"',
    'urn:x:2.0 eq "x"',
    'urn: eq "x"',
    "a pr b",
    "a pr1",
    "\x00",
    "é pr",
    'a eq "x"; drop table user',
]


@pytest.mark.parametrize("text", MALFORMED)
def test_a_filter_that_is_none_is_refused_with_the_place(text: str) -> None:
    """Unparsable text is invalidFilter with a sentence, and nothing else."""
    with pytest.raises(InvalidFilter) as refused:
        parse_filter(text)
    assert "at position" in refused.value.detail


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "userName eq",
        "a.b.c",
        "a[",
        'a[type eq "x"',
        "a[type]",
        'a[type eq "x"].',
        'a[type eq "x"] .b',
        "a b",
        "a,b",
        "1a",
        "$",
        "urn:x:2.0",
        "a]",
        "[a]",
        "\x00",
    ],
)
def test_a_path_that_is_none_is_refused(text: str) -> None:
    """Unparsable text is invalidPath for whoever asked for a path."""
    with pytest.raises(InvalidPath):
        parse_path(text)


def _nested(levels: int) -> str:
    return "(" * levels + "a pr" + ")" * levels


def _joined(terms: int) -> str:
    return " or ".join(["a pr"] * terms)


def _long(length: int) -> str:
    return 'a eq "' + "x" * (length - 7) + '"'


@pytest.mark.parametrize(
    ("make", "most"), [(_nested, MAX_DEPTH), (_joined, MAX_TERMS), (_long, MAX_LENGTH)]
)
def test_every_limit_is_reached_and_not_passed(make: object, most: int) -> None:
    """The largest expression is read, one more of anything is refused in words."""
    parse_filter(make(most))
    with pytest.raises(InvalidFilter, match=str(most)):
        parse_filter(make(most + 1))


@pytest.mark.parametrize(
    "text",
    [
        "(" * 8000,
        "not (" * 1600,
        "a[" * 4000,
        "urn:" + "a:" * 4000,
        "urn:" + "1:" * 4000 + " pr",
        'a eq "' + "\\" * 8000,
        "a" * 8192,
        "a eq " + "1" * 8000,
    ],
)
def test_hostile_texts_are_refused_at_once(text: str) -> None:
    """No recursion error and no slow regular expression, however the text is made."""
    began = time.process_time()
    with pytest.raises(InvalidFilter):
        parse_filter(text)
    # Of the process alone, and a hundred times what it takes: who tries everything takes years.
    assert time.process_time() - began < 2


PIECES = [
    *'()[]".:$\\ \t\n0é\x00',
    *["a", "emails", "type", "value", "eq", "ne", "pr", "and", "or", "not", "true", "null"],
    *['"work"', '"x\\"', "-1", "1e9", "urn:a:2.0:User:", CORE_USER, "emails[", "].value", " "],
]


def test_no_text_raises_anything_but_our_errors() -> None:
    """Ten thousand arbitrary texts are read, or refused with one of our own errors; what is
    read can be written and read again."""
    chance = random.Random(7644)
    read = 0
    for _ in range(10_000):
        text = "".join(chance.choices(PIECES, k=chance.randint(0, 12)))
        for parse, error in ((parse_filter, InvalidFilter), (parse_path, InvalidPath)):
            try:
                tree = parse(text)
            except error:
                continue
            read += 1
            assert parse(str(tree)) == tree
    assert read > 100
