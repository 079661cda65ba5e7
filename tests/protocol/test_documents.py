"""Values in a document, by path."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from flask_h5mag_scim.protocol import documents
from flask_h5mag_scim.protocol.paths import Filter, parse_filter, parse_path
from flask_h5mag_scim.protocol.schemas import ENTERPRISE_USER, USER, Target


def at(text: str) -> Target:
    return USER.locate(parse_path(text))


DOCUMENT = {
    "userName": "ada",
    "name": {"givenName": "Ada"},
    "emails": [{"type": "work", "value": "a@x"}],
    ENTERPRISE_USER: {"department": "IT", "manager": {"value": "1"}},
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("userName", "ada"),
        ("USERNAME", "ada"),
        ("name.givenName", "Ada"),
        ("name.familyName", None),
        ("nickName", None),
        ("userName.foo", None),
        (f"{ENTERPRISE_USER}:department", "IT"),
        (f"{ENTERPRISE_USER}:manager.value", "1"),
        ("urn:other:2.0:User:x", None),
    ],
)
def test_lookup_finds_what_is_there_and_none_for_the_rest(path: str, value: Any) -> None:
    """A path into nothing is no error, and looking changes nothing."""
    document = copy.deepcopy(DOCUMENT)
    assert documents.lookup(document, at(path)) == value
    assert document == DOCUMENT


@pytest.mark.parametrize(
    "path",
    ["nickName", "name.familyName", f"{ENTERPRISE_USER}:manager.$ref", "urn:other:2.0:User:x.y"],
)
def test_assign_makes_what_the_value_stands_in_and_remove_takes_it_away(path: str) -> None:
    """What assigning makes, removing takes away again, down to the empty shells."""
    empty: dict[str, Any] = {}
    documents.assign(empty, at(path), "v")
    assert documents.lookup(empty, at(path)) == "v"
    documents.remove(empty, at(path))
    assert empty == {}
    document = copy.deepcopy(DOCUMENT)
    documents.assign(document, at(path), "v")
    documents.remove(document, at(path))
    assert document == DOCUMENT


def test_removing_a_part_keeps_its_neighbours() -> None:
    """Only the last part of a complex attribute takes the attribute with it."""
    document: dict[str, Any] = {"name": {"givenName": "A", "familyName": "B"}}
    documents.remove(document, at("name.givenName"))
    assert document == {"name": {"familyName": "B"}}
    documents.remove(document, at("name.familyName"))
    assert document == {}


def test_an_empty_list_is_no_value() -> None:
    """RFC 7643 §2.5: an attribute with an empty list is unassigned."""
    document = copy.deepcopy(DOCUMENT)
    documents.set_elements(document, at("emails"), [])
    assert "emails" not in document
    assert documents.elements(document, at("emails")) == []


@pytest.mark.parametrize(
    ("found", "op", "wanted", "result"),
    [
        ("Work", "eq", "work", True),
        ("Work", "ne", "work", False),
        ("abc", "co", "B", True),
        ("abc", "sw", "A", True),
        ("abc", "sw", "b", False),
        ("abc", "ew", "C", True),
        ("b", "gt", "A", True),
        ("b", "ge", "B", True),
        ("b", "lt", "b", False),
        ("b", "le", "b", True),
        (2, "gt", 1, True),
        (2, "lt", 1.5, False),
        (True, "eq", True, True),
        (True, "eq", False, False),
        (True, "eq", 1, False),
        (1, "eq", True, False),
        ("true", "eq", True, False),
        ("1", "eq", 1, False),
        ("1", "co", 1, False),
        (1, "co", 1, False),
        (None, "eq", None, True),
        (None, "eq", "x", False),
        (None, "ne", "x", True),
        (None, "gt", "x", False),
        ("x", "eq", None, False),
        ("x", "ne", None, True),
        ("x", "gt", None, False),
        ("x", "pr", None, True),
        ("", "pr", None, False),
        (None, "pr", None, False),
        (False, "pr", None, True),
        (0, "pr", None, True),
    ],
)
def test_the_table_of_comparisons(found: Any, op: str, wanted: Any, result: bool) -> None:
    """RFC 7644 table 3; values of different types are never equal."""
    assert documents.compare(found, op, wanted, exact=False) is result


def test_case_counts_where_the_schema_says_so() -> None:
    """``caseExact`` makes A and a two values (RFC 7643 §2.2)."""
    assert not documents.compare("A", "eq", "a", exact=True)
    assert documents.compare("A", "eq", "A", exact=True)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ('type eq "WORK"', True),
        ('type eq "work" and primary eq true', True),
        ('type eq "work" and primary eq false', False),
        ('type eq "home" or value ew "@x"', True),
        ('not (type eq "home")', True),
        ("display pr", False),
    ],
)
def test_an_element_satisfies_brackets(text: str, result: bool) -> None:
    """and, or, not and comparisons on one element."""
    element = {"type": "work", "value": "a@x", "primary": True}
    fields = at("emails").element.sub_attributes
    assert documents.holds(element, parse_filter(text), fields) is result


def test_a_bare_element_is_its_value() -> None:
    """A custom attribute may hold a list of texts."""
    assert documents.holds("a", parse_filter('value eq "A"'), {})
    assert not documents.holds("a", parse_filter('value eq "b"'), {})


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ('type eq "work"', {"type": "work"}),
        ('type eq "work" and primary eq true', {"type": "work", "primary": True}),
        ('type eq "work" and type eq "work"', {"type": "work"}),
        ('type eq "work" and type eq "home"', None),
        ('type eq "work" or type eq "home"', None),
        ('not (type eq "work")', None),
        ('type co "work"', None),
        ("type eq null", None),
        ("type pr", None),
    ],
)
def test_brackets_say_what_an_element_is_made_of_or_nothing(text: str, made: Any) -> None:
    """Only equalities say what to make; everything else leaves it open."""
    tree: Filter = parse_filter(text)
    assert documents.constants(tree) == made


def test_no_brackets_say_nothing() -> None:
    """A path without brackets has no constants."""
    assert documents.constants(None) is None
