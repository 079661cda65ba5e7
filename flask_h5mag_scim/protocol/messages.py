"""The messages of RFC 7644: JSON bodies, PatchOp, ListResponse, query parameters."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isinf
from typing import Any, NoReturn

from .errors import InvalidCount, InvalidSyntax, InvalidValue, SCIMError
from .patch import PATCH_OP
from .paths import is_storable

LIST_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
SEARCH_REQUEST = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"

#: More levels than any SCIM body has; Python's reader itself gives up much later.
MAX_DEPTH = 20

#: What is written was made here, a tree: nothing to look for circles in.
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)


def read_object(data: bytes) -> dict[str, Any]:
    """The JSON object in a request's body.

    :raises InvalidSyntax: when it is no JSON, or no object.
    :raises InvalidValue: when it holds a text that no database stores.
    """
    try:
        # Decoded here, because json would also take UTF-16, past the look for escapes below.
        text = data.decode("utf-8-sig")
        body = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        raise InvalidSyntax("The body of the request is not valid JSON.") from None
    if not isinstance(body, dict):
        raise InvalidSyntax("The body of the request must be a JSON object.")
    _check(body, 0, escaped=b"\\u" in data)
    return body


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    # 1e999 is a JSON number; what Python makes of it could not be written as JSON again.
    number = float(text)
    if isinf(number):
        raise ValueError(f"{text} is too large")
    return number


def _check(value: Any, depth: int, *, escaped: bool) -> None:
    if isinstance(value, str):
        # What cannot be stored can only come in as an escape.
        if escaped and not is_storable(value):
            raise InvalidValue("A text in the body holds a character that cannot be stored.")
    elif isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            raise InvalidSyntax(f"The body is nested more than {MAX_DEPTH} levels deep.")
        if isinstance(value, dict):
            for key in value:
                _check(key, depth + 1, escaped=escaped)
            value = list(value.values())
        for part in value:
            _check(part, depth + 1, escaped=escaped)


def patch_operations(body: Mapping[str, Any]) -> Any:
    """The ``Operations`` of a PatchOp, whatever they are.

    :raises InvalidSyntax: when the body says that it is another message.
    """
    require_schema(body, PATCH_OP, "a PATCH")
    return member(body, "Operations")


def checked_operations(operations: Any) -> list[dict[str, Any]]:
    """``operations`` as a list of objects with something in it.

    :raises InvalidSyntax: when it is anything else.
    """
    if not isinstance(operations, list) or not operations:
        raise InvalidSyntax("A PATCH needs a list of Operations with at least one operation.")
    if not all(isinstance(one, dict) for one in operations):
        raise InvalidSyntax("Each of the Operations must be an object.")
    return operations


def require_schema(body: Mapping[str, Any], urn: str, what: str) -> None:
    """Refuse a message that says that it is another one. Its schemas may be left out.

    :raises InvalidSyntax: naming ``what`` the message must be.
    """
    schemas = member(body, "schemas")
    urns = schemas if isinstance(schemas, list) else []
    if schemas is not None and not any(
        isinstance(one, str) and one.lower() == urn.lower() for one in urns
    ):
        raise InvalidSyntax(f"The schemas of {what} must name {urn}.")


def member(body: Mapping[str, Any], name: str) -> Any:
    """A member of a message, whose name ignores case; ``None`` where it is not there."""
    if name in body:
        return body[name]
    return next((body[key] for key in body if key.lower() == name.lower()), None)


@dataclass(frozen=True)
class Query:
    """The query of a list (RFC 7644 §3.4.2)."""

    filter: str | None
    start_index: int
    count: int
    sort_by: str | None = None
    descending: bool = False
    #: Where the last page ended, empty for the first page; ``None`` when pages are found by
    #: ``start_index`` (RFC 9865 §2).
    cursor: str | None = None


def search_request(body: Mapping[str, Any]) -> dict[str, str]:
    """A SearchRequest as the parameters of an address, which mean the same (RFC 7644 §3.4.3).

    :raises InvalidSyntax: when the body says that it is another message.
    :raises InvalidValue: for a member of another type.
    """
    require_schema(body, SEARCH_REQUEST, "a search")
    found = {}
    for name in ("filter", "sortBy", "sortOrder", "cursor"):
        value = member(body, name)
        if not isinstance(value, str | None):
            raise InvalidValue(f"{name} of a search must be a text.", path=name)
        found[name] = value
    for name in ("attributes", "excludedAttributes"):
        names = member(body, name)
        if not isinstance(names, list | None) or not all(isinstance(n, str) for n in names or ()):
            raise InvalidValue(f"{name} of a search must be a list of texts.", path=name)
        found[name] = ",".join(names) if names else None
    for name in ("startIndex", "count"):
        number = member(body, name)
        found[name] = None if number is None else str(number)
    return {name: value for name, value in found.items() if value is not None}


def read_query(parameters: Mapping[str, str], *, max_results: int) -> Query:
    """The parameters of a list. Unknown ones are none of our business.

    :raises InvalidValue: for a number that is none, or an order that is none.
    :raises InvalidCount: for a count that is none, beside a cursor.
    """
    cursor = parameters.get("cursor")
    start_index = _integer(parameters, "startIndex", 1)
    wrong_count = InvalidValue if cursor is None else InvalidCount
    count = _integer(parameters, "count", max_results, wrong_count)
    if cursor is not None and start_index > 1:
        raise InvalidValue(
            "Pages are found by startIndex or by cursor: leave one of them out.", path="startIndex"
        )
    sort_by = parameters.get("sortBy", "").strip() or None
    return Query(
        filter=parameters.get("filter") or None,
        # §3.4.2.4: values below 1 are 1, negative counts are 0.
        start_index=max(1, start_index),
        count=min(max(0, count), max_results),
        sort_by=sort_by,
        # An order without something to order by is ignored (§3.4.2.3).
        descending=sort_by is not None and _is_descending(parameters),
        cursor=cursor,
    )


def _is_descending(parameters: Mapping[str, str]) -> bool:
    text = parameters.get("sortOrder") or "ascending"
    if text.lower() not in ("ascending", "descending"):
        shown = repr(text[:40])
        raise InvalidValue(
            f"sortOrder must be ascending or descending, not {shown}.",
            path="sortOrder",
            values=[shown],
        )
    return text.lower() == "descending"


def _integer(
    parameters: Mapping[str, str], name: str, default: int, error: type[SCIMError] = InvalidValue
) -> int:
    text = parameters.get(name)
    if text is None or not text.strip():
        return default
    try:
        number = int(text)
    except ValueError:
        shown = repr(text[:40])
        raise error(f"{name} must be a whole number, not {shown}.", values=[shown]) from None
    # What no list can have is brought to what a database can count.
    return min(max(number, -1), 2**31)


def list_response(
    resources: Sequence[Mapping[str, Any]],
    *,
    total: int | None,
    start_index: int | None = 1,
    next_cursor: str | None = None,
) -> dict[str, Any]:
    """A ListResponse (RFC 7644 §3.4.2).

    :param total: how many there are on all pages; ``None`` where nobody has counted (RFC 9865
        §2: "MAY choose to omit").
    :param start_index: ``None`` for a page that a cursor found.
    """
    paging = {
        "totalResults": total,
        "itemsPerPage": len(resources),
        "startIndex": start_index,
        "nextCursor": next_cursor,
    }
    return {
        "schemas": [LIST_RESPONSE],
        **{name: value for name, value in paging.items() if value is not None},
        "Resources": list(resources),
    }


def write(document: Mapping[str, Any]) -> bytes:
    """A message as it goes on the wire."""
    return _ENCODER.encode(document).encode()
