"""What the log shows of people's values: enough to see what changed, and not what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

from .errors import without_literals

#: Stands for what is left out.
MASK = "•••"
#: How long one value may be, and how many elements of a list are kept.
MAX_LENGTH = 200
MAX_ELEMENTS = 20
#: How many members of an object are kept, and how many values all in all: nobody reads more,
#: and a body of megabytes costs, and fills, no more than a page of it.
MAX_MEMBERS = 100
MAX_VALUES = 1000
#: So many characters of a text or a name count as one value more.
_AS_LONG_AS_A_VALUE = 20
#: Of an expression, how many characters are looked at.
MAX_EXPRESSION = 1000
#: How deep a value is looked into, and how long a name is that is remembered.
MAX_DEPTH = 8
MAX_NAME = 100

#: An e-mail address, whose domain says nothing of a person. What else has an @ may be all
#: name: @ada.lovelace, or the end of https://example.com/@ada.lovelace.
_ADDRESS = re.compile(r"([^@\s/]+)@([\w-]+(?:\.[\w-]+)*\.[^\W\d_][\w-]*)")
_SECRET = re.compile(
    r"pass(word|phrase|wd)|\bpwd\b|secret|token|credential|cursor|(api|private)[-_.]?key",
    re.IGNORECASE,
)
_URN = re.compile(r"(urn:|https?://)[\w.:/~-]+", re.IGNORECASE)
#: What says nothing of a person, and everything about the request: by the name of a member,
#: as far as it looks like what belongs there.
_OPEN = {
    "schemas": _URN,
    "op": re.compile(r"add|replace|remove", re.IGNORECASE),
    "method": re.compile(r"post|put|patch|delete", re.IGNORECASE),
    "type": re.compile(r"[\w-]{1,20}"),
    "sortorder": re.compile(r"(a|de)scending", re.IGNORECASE),
    "startindex": re.compile(r"-?\d{1,10}"),
    "count": re.compile(r"-?\d{1,10}"),
    "failonerrors": re.compile(r"-?\d{1,10}"),
}
#: Members whose text is a list of names of attributes.
LISTS = frozenset({"attributes", "excludedattributes"})
#: Members whose text is an expression: names of attributes, and what they are compared with.
EXPRESSIONS = LISTS | {"path", "filter", "sortby"}
_TRUTH = frozenset({"true", "false"})

_COMPARISONS = frozenset({"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr"})
_WORDS = frozenset({*_COMPARISONS, "and", "or", "not", "true", "false", "null"})
_PART = re.compile(r"\s+|[()\[\],]|[^\s()\[\],]+")
_ATTRIBUTE = re.compile(r"(urn:[\w.:~%+/-]+:)?\$?[A-Za-z][\w-]*(\.\$?[A-Za-z][\w-]*)?", re.ASCII)
_SUB = re.compile(r"\.\$?[A-Za-z][\w-]*", re.ASCII)
#: The type in brackets, which alone keeps its quotes.
_TYPE = re.compile(r'"[\w-]{1,20}"')
#: What stands before a comparison.
_OPENING = frozenset({"", "(", "[", "and", "or", "not"})


def masked(value: Any) -> Any:
    """A value of JSON for people who need not learn it: the first letter of a text, the domain
    of an address, true, false and null as they are.
    """
    return _Walk(hide=True).of(value)


def bounded(value: Any) -> Any:
    """A value of JSON in full, but for secrets and for what would fill a table."""
    return _Walk(hide=False).of(value)


def pairs(values: Mapping[str, Sequence[Any]], *, hide: bool) -> dict[str, list[Any]]:
    """What attributes were and what they are now, by their names.

    :param hide: whether values are masked.
    """
    walk = _Walk(hide=hide)
    return {
        # With "*", a name may be the client's own text.
        _named(name).shown: [walk.of(value, _named(name)) for value in both]
        for name, both in islice(values.items(), MAX_MEMBERS)
    }


def name(text: str) -> str:
    """The name of an attribute, or its path, of the client's own making: "…" for what is
    neither."""
    return _named(text).shown


def body(sent: Any, *, hide: bool, length: int = 4000) -> str:
    """A request's body as text.

    :param sent: the body as parsed.
    :param hide: whether values are masked.
    :param length: where it is cut.
    """
    text = json.dumps(masked(sent) if hide else bounded(sent), ensure_ascii=False)
    return text if len(text) <= length else text[:length] + "…"


def expression(text: str, *, of: str = "path") -> str:
    """A path, a list of names or a filter, even one that cannot be read, for people who need
    not learn what it compares with: names of attributes, operators and brackets, and "…" for
    the rest.

    :param of: which of :data:`EXPRESSIONS` it is. In a filter a name alone says nothing, so
        that it may be anything; and "Lovelace, Ada" is two names in a list alone.
    """
    if of != "filter" and len(text) <= MAX_NAME and _ATTRIBUTE.fullmatch(text):
        return text  # as in most operations of a PATCH
    parts = _PART.findall(without_literals(text[:MAX_EXPRESSION]))
    words = [number for number, part in enumerate(parts) if not part.isspace()]
    for place, number in enumerate(words):
        before = parts[words[place - 1]].lower() if place else ""
        after = parts[words[place + 1]].lower() if place + 1 < len(words) else ""
        if not _is_open(parts[number], before, after, of):
            parts[number] = "…"
    return "".join(parts)


def _is_open(part: str, before: str, after: str, of: str) -> bool:
    """Whether a part of an expression is no value."""
    if part in "()[],…" or part.lower() in _WORDS:
        return True
    if _TYPE.fullmatch(part) or (before == "]" and _SUB.fullmatch(part)):
        return True  # the type in brackets, or what follows them
    # A name stands before an operator or a bracket, or in a list of names.
    if not _ATTRIBUTE.fullmatch(part):
        return False
    beside = ("", ",") if of in LISTS else ("",)
    if after in _COMPARISONS or after == "[":
        return before in _OPENING or before in beside
    return of != "filter" and before in beside and after in beside


class _Name(NamedTuple):
    """The name of a member, or the path that stands for one, and what that says."""

    #: As it is shown: a PATCH without a path has paths for names, which may compare with
    #: values; and whoever likes to has people for names.
    shown: str
    lower: str
    is_secret: bool


def _named(name: str) -> _Name:
    # A few dozen names make all that clients send; what nobody sends twice is not kept.
    return _known_name(name) if len(name) <= MAX_NAME else _seen(name[:MAX_EXPRESSION])


@lru_cache(maxsize=1024)
def _known_name(name: str) -> _Name:
    return _seen(name)


def _seen(name: str) -> _Name:
    shown = expression(name)[:MAX_LENGTH]
    return _Name(shown, name.lower(), _SECRET.search(name) is not None)


_NAMELESS = _Name("", "", is_secret=False)


class _Walk:
    """One way through a value, as far as it is shown."""

    def __init__(self, *, hide: bool) -> None:
        self._hide = hide
        self._left = MAX_VALUES

    def of(self, value: Any, name: _Name = _NAMELESS, depth: int = 0) -> Any:
        """``value``, which stands under ``name``, as it is shown."""
        self._left -= 1
        if value is None or value is True or value is False:
            return value
        if name.is_secret:
            return MASK
        if isinstance(value, str):
            return self._of_text(value, name.lower)
        if depth > MAX_DEPTH or self._left < 0:
            return "…"
        match value:
            case dict():
                return self._of_members(value, depth)
            case list():
                return self._of_elements(value, name, depth)
        return self._of_number(value, name.lower)

    def _of_elements(self, value: Sequence[Any], name: _Name, depth: int) -> list[Any]:
        shown: list[Any] = []
        for each in value[:MAX_ELEMENTS]:
            if self._left < 0:
                break
            shown.append(self.of(each, name, depth + 1))
        more = len(value) - len(shown)
        return [*shown, f"… and {more} more"] if more else shown

    def _of_members(self, value: Mapping[str, Any], depth: int) -> dict[str, Any]:
        members = [(_named(key), each) for key, each in islice(value.items(), MAX_MEMBERS)]
        # The value of a PATCH's operation is what its path says, whatever it is called.
        is_secret = any(
            name.lower == "path" and isinstance(each, str) and _named(each).is_secret
            for name, each in members
        )
        found: dict[str, Any] = {}
        seen = 0
        for name, each in members:
            if self._left < 0:
                break
            seen += 1
            self._left -= len(name.shown) // _AS_LONG_AS_A_VALUE
            is_hidden = is_secret and name.lower == "value"
            found[name.shown] = MASK if is_hidden else self.of(each, name, depth + 1)
        if len(value) > seen:
            found["…"] = f"{len(value) - seen} more"
        return found

    def _of_text(self, text: str, name: str) -> str:
        if self._left < 0:
            return "…"
        shown = self._shown(text, name)
        self._left -= len(shown) // _AS_LONG_AS_A_VALUE
        return shown

    def _shown(self, text: str, name: str) -> str:
        if name in EXPRESSIONS:
            if not self._hide and not _named(text).is_secret:
                return text[:MAX_LENGTH]
            if text.startswith("/"):
                return _address(text)
            return expression(text, of=name)[:MAX_LENGTH]
        text, is_cut = text[:MAX_LENGTH], len(text) > MAX_LENGTH
        if not self._hide:
            return f"{text}…" if is_cut else text
        if not text or text.lower() in _TRUTH:
            return text
        if name in _OPEN and _OPEN[name].fullmatch(text):
            return text
        whole = _ADDRESS.fullmatch(text) if "@" in text and not is_cut else None
        return f"{whole[1][:1]}{MASK}@{whole[2]}" if whole else f"{text[0]}{MASK}"

    def _of_number(self, value: Any, name: str) -> Any:
        if self._hide and not (name in _OPEN and _OPEN[name].fullmatch(str(value))):
            return MASK
        # JSON has numbers of thousands of digits.
        return value if len(str(value)) <= MAX_LENGTH else "…"


def _address(text: str) -> str:
    """The address in an operation of a bulk request, without whom it is about."""
    first, slash, _ = text[1:].partition("/")
    return f"/{first if first.isalpha() else '…'}{'/…' if slash else ''}"[:MAX_LENGTH]
