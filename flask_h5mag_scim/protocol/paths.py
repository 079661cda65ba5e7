"""Attribute paths and filters, by the grammar of RFC 7644 figures 1 and 7.

One parser reads the host's attribute map, the paths of PATCH operations and the filters of
queries. Its limits keep a hostile text from costing more than a friendly one.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NoReturn

from .errors import InvalidFilter, InvalidPath, SCIMError

MAX_LENGTH = 8192
MAX_TERMS = 100
MAX_DEPTH = 20
#: How long a path is that is remembered.
MAX_KNOWN = 100

COMPARISONS = frozenset({"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"})

_SPACE = re.compile(r"[ \t]*")
#: ATTRNAME of the ABNF, with the ``$`` of ``$ref``; a URN in front may hold dots and colons.
_ATTRIBUTE = re.compile(
    r"(?:(?P<urn>urn:[A-Za-z0-9:._~%+/-]+):)?(?P<name>\$?[A-Za-z][A-Za-z0-9_-]*)"
    r"(?:\.(?P<sub>\$?[A-Za-z][A-Za-z0-9_-]*))?",
    re.IGNORECASE,
)
_WORD = re.compile(r"[A-Za-z]+")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})(?:\.[0-9]{1,18})?(?:[eE][+-]?[0-9]{1,3})?")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Path:
    """``attrPath`` or ``valuePath [subAttr]``: ``URN:name[filter].sub``."""

    name: str
    sub: str | None = None
    urn: str | None = None
    filter: Filter | None = None

    def __str__(self) -> str:
        text = f"{self.urn}:{self.name}" if self.urn else self.name
        if self.filter is not None:
            text += f"[{self.filter}]"
        return f"{text}.{self.sub}" if self.sub else text


@dataclass(frozen=True, slots=True)
class AttrExp:
    """``attrPath SP compareOp SP compValue``, or ``attrPath SP "pr"`` without a value."""

    path: Path
    op: str
    value: Any = None

    def __str__(self) -> str:
        if self.op == "pr":
            return f"{self.path} pr"
        return f"{self.path} {self.op} {json.dumps(self.value, ensure_ascii=False)}"


@dataclass(frozen=True, slots=True)
class LogExp:
    """Terms joined by ``and`` or by ``or``; two or more."""

    op: str
    terms: tuple[Filter, ...]

    def __str__(self) -> str:
        return "(" + f" {self.op} ".join(str(term) for term in self.terms) + ")"


@dataclass(frozen=True, slots=True)
class Not:
    """``not ( FILTER )``."""

    filter: Filter

    def __str__(self) -> str:
        return f"not ({self.filter})"


@dataclass(frozen=True, slots=True)
class ValuePath:
    """``attrPath [ valFilter ]`` as a term: some element satisfies the brackets."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


Filter = AttrExp | LogExp | Not | ValuePath


def parse_filter(text: str) -> Filter:
    """Read a query's filter.

    :raises InvalidFilter: with the place where the text stops making sense.
    """
    reader = _Reader(text, InvalidFilter)
    tree = reader.disjunction(inside=False)
    reader.end()
    return tree


def parse_path(text: str) -> Path:
    """Read the path of a PATCH operation, or a key of the host's attribute map.

    :raises InvalidPath: with the place where the text stops making sense.
    """
    # A few dozen paths make all that clients send; what nobody sends twice is not kept.
    return _known_path(text) if len(text) <= MAX_KNOWN else _read_path(text)


@lru_cache(maxsize=1024)
def _known_path(text: str) -> Path:
    return _read_path(text)


def _read_path(text: str) -> Path:
    reader = _Reader(text, InvalidPath)
    path = reader.path()
    reader.end()
    return path


class _Reader:
    """A recursive descent over one text; ``error`` is what its user understands."""

    def __init__(self, text: str, error: type[SCIMError]) -> None:
        self.text = text
        self.error = error
        self.at = 0
        self.terms = 0
        self.depth = 0
        if len(text) > MAX_LENGTH:
            raise error(f"The expression is longer than {MAX_LENGTH} characters.")

    def fail(self, expected: str) -> NoReturn:
        rest = self.text[self.at : self.at + 20]
        found = repr(rest) if rest else "the end"
        where = f"at position {self.at + 1}"
        shown = repr(self.text[:200])
        raise self.error(
            f"Expected {expected} {where} of {shown}, found {found}.",
            values=(shown, found) if rest else (shown,),
        )

    def space(self) -> None:
        match = _SPACE.match(self.text, self.at)
        if match:
            self.at = match.end()

    def end(self) -> None:
        self.space()
        if self.at < len(self.text):
            self.fail("the end of the expression")

    def take(self, literal: str) -> bool:
        self.space()
        if self.text.startswith(literal, self.at):
            self.at += len(literal)
            return True
        return False

    def word(self, *words: str) -> str | None:
        """The next word if it is one of ``words``; operators ignore case (§3.4.2.2)."""
        self.space()
        match = _WORD.match(self.text, self.at)
        if match and (found := match.group().lower()) in words:
            self.at = match.end()
            return found
        return None

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"The expression has more than {MAX_DEPTH} levels of brackets.")

    def disjunction(self, *, inside: bool) -> Filter:
        return self._joined("or", inside=inside)

    def _joined(self, op: str, *, inside: bool) -> Filter:
        # RFC 7644 §3.4.2.2: "and" binds closer than "or".
        def part() -> Filter:
            return self._joined("and", inside=inside) if op == "or" else self._term(inside=inside)

        terms = [part()]
        while self.word(op):
            terms.append(part())
        return terms[0] if len(terms) == 1 else LogExp(op, tuple(terms))

    def _term(self, *, inside: bool) -> Filter:
        start = self.at
        if self.word("not"):
            if self.take("("):
                return Not(self._group(inside=inside))
            # An attribute may be called "not"; then an operator follows.
            self.at = start
        if self.take("("):
            return self._group(inside=inside)
        return self._comparison(inside=inside)

    def _group(self, *, inside: bool) -> Filter:
        self.deeper()
        tree = self.disjunction(inside=inside)
        if not self.take(")"):
            self.fail("')'")
        self.depth -= 1
        return tree

    def _comparison(self, *, inside: bool) -> Filter:
        self.terms += 1
        if self.terms > MAX_TERMS:
            raise self.error(f"The expression has more than {MAX_TERMS} comparisons.")
        path = self.path(inside=inside)
        if self.word("pr"):
            return AttrExp(path, "pr")
        op = self.word(*COMPARISONS)
        if op is not None:
            return AttrExp(path, op, self._value())
        if path.filter is None or path.sub is not None:
            self.fail("an operator (eq, ne, co, sw, ew, gt, ge, lt, le or pr)")
        return ValuePath(path)

    def path(self, *, inside: bool = False) -> Path:
        self.space()
        match = _ATTRIBUTE.match(self.text, self.at)
        if match is None:
            self.fail("an attribute name")
        urn, name, sub = match.group("urn", "name", "sub")
        if inside and (urn or sub):
            # What stands in the list is complex already; it holds no more (RFC 7643 §2.3.8).
            self.fail("the plain name of a sub-attribute in brackets")
        self.at = match.end()
        if sub is not None or inside or not self.text.startswith("[", self.at):
            return Path(name, sub, urn)
        self.at += 1
        self.deeper()
        tree = self.disjunction(inside=True)
        if not self.take("]"):
            self.fail("']'")
        self.depth -= 1
        if self.text.startswith(".", self.at):
            self.at += 1
            match = _ATTRIBUTE.match(self.text, self.at)
            if match is None or match["urn"] or match["sub"]:
                self.fail("a sub-attribute name")
            self.at = match.end()
            sub = match["name"]
        return Path(name, sub, urn, tree)

    def _value(self) -> Any:
        # compValue is false, null, true, a number or a string by the rules of JSON.
        self.space()
        if self.text.startswith('"', self.at):
            try:
                value, self.at = _DECODER.raw_decode(self.text, self.at)
            except ValueError:
                self.fail("a closed JSON string")
            if not is_storable(value):
                self.fail("a string of ordinary characters")
            return value
        literal = self.word("true", "false", "null")
        if literal is not None:
            return {"true": True, "false": False, "null": None}[literal]
        match = _NUMBER.match(self.text, self.at)
        if match is None:
            self.fail('a value: a "quoted" string, a number, true, false or null')
        self.at = match.end()
        number = json.loads(match.group())
        if number in (float("inf"), float("-inf")):
            self.fail("a number that is not beyond all numbers")
        return number


def is_storable(text: str) -> bool:
    """Whether a database can keep ``text``: JSON's escapes can also spell NUL and halves
    of surrogate pairs, for which PostgreSQL and UTF-8 have no place."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\x00" not in text
