"""What the log shows of people's values: enough to see what changed, and not what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from .errors import without_literals

#: Stands for what is left out.
MASK = "•••"
#: How long one value may be, and how many elements of a list are kept.
MAX_LENGTH = 200
MAX_ELEMENTS = 20

_ADDRESS = re.compile(r"([^@\s]*)@([^@\s]+)")
#: These say nothing of a person, and everything about the request.
_OPEN = frozenset({"schemas", "op", "path", "type", "primary", "method", "bulkid", "active"})
_SECRET = re.compile(r"pass(word|phrase)|secret|token", re.IGNORECASE)


def masked(value: Any) -> Any:
    """A value of JSON for people who need not learn it: the first letter of a text, the domain
    of an address, true, false and null as they are.
    """
    return _walk(value, _mask_text)


def bounded(value: Any) -> Any:
    """A value of JSON in full, but for secrets and for what would fill a table."""
    return _walk(value, lambda text: text[:MAX_LENGTH])


def body(sent: Any, *, hide: bool, length: int = 4000) -> str:
    """A request's body as text.

    :param sent: the body as parsed.
    :param hide: whether values are masked.
    :param length: where it is cut.
    """
    text = json.dumps(masked(sent) if hide else bounded(sent), ensure_ascii=False)
    return text if len(text) <= length else text[:length] + "…"


def _mask_text(text: str) -> str:
    if not text:
        return text
    whole = _ADDRESS.fullmatch(text)
    if whole:
        return f"{whole[1][:1]}{MASK}@{whole[2][:MAX_LENGTH]}"
    return f"{text[0]}{MASK}"


def _walk(value: Any, of_text: Callable[[str], str], name: str = "", depth: int = 0) -> Any:
    if value is None:
        return None
    if _SECRET.search(name) or depth > 8:
        return MASK
    match value:
        case bool():
            return value
        case dict():
            # A PATCH without a path has paths for names, and they may compare with values.
            named = {without_literals(str(key))[:MAX_LENGTH]: each for key, each in value.items()}
            items = list(named.items())[:100]
            return {key: _walk(each, of_text, key, depth + 1) for key, each in items}
        case list():
            shown = [_walk(each, of_text, name, depth + 1) for each in value[:MAX_ELEMENTS]]
            more = len(value) - len(shown)
            return [*shown, f"… and {more} more"] if more else shown
    if isinstance(value, str) and name.lower() in _OPEN:
        return without_literals(value)[:MAX_LENGTH]
    return of_text(str(value))
