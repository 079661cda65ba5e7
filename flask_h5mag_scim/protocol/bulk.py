"""Bulk requests (RFC 7644 §3.7): their operations, and which needs which."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import InvalidSyntax, InvalidValue, SCIMError, TooLarge
from .messages import member, require_schema

BULK_REQUEST = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
BULK_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"

METHODS = ("POST", "PUT", "PATCH", "DELETE")

#: Stands for the id of a resource that the same request makes.
PREFIX = "bulkId:"
#: The same within a path: of an address, or of a PATCH operation.
_WITHIN = re.compile(r'(?<=[/"])bulkId:([^/"\\]+)')


@dataclass(frozen=True)
class BulkOperation:
    """One operation of a bulk request.

    ``error`` is what is wrong with it when it cannot even be tried; then the rest is what
    could be read.
    """

    method: str
    path: str
    bulk_id: str | None = None
    version: str | None = None
    data: Any = None
    error: SCIMError | None = None


def read_bulk(
    body: Mapping[str, Any], *, max_operations: int
) -> tuple[list[BulkOperation], int | None]:
    """The operations of a bulk request, and after how many errors to stop (``None``: never).

    :raises InvalidSyntax: when the body is no bulk request.
    :raises InvalidValue: for a ``failOnErrors`` that is none, or a ``bulkId`` used twice.
    :raises TooLarge: when there are more operations than ``max_operations``.
    """
    require_schema(body, BULK_REQUEST, "a bulk request")
    raw = member(body, "Operations")
    if not isinstance(raw, list) or not raw:
        raise InvalidSyntax("A bulk request needs a list of Operations with at least one in it.")
    if len(raw) > max_operations:
        raise TooLarge(
            f"A bulk request may have {max_operations} operations (maxOperations); this one has "
            f"{len(raw)}."
        )
    limit = member(body, "failOnErrors")
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise InvalidValue("failOnErrors must be a whole number of at least 1.")
    operations = [_operation(one) for one in raw]
    seen: set[str] = set()
    for one in operations:
        if one.bulk_id is not None and one.method == "POST":
            if one.bulk_id in seen:
                shown = repr(one.bulk_id[:60])
                raise InvalidValue(f"The bulkId {shown} is used twice.", values=[shown])
            seen.add(one.bulk_id)
    return operations, limit


def _operation(raw: Any) -> BulkOperation:
    if not isinstance(raw, dict):
        error = InvalidSyntax("Each of the Operations must be an object.")
        return BulkOperation("", "", error=error)
    method, path = member(raw, "method"), member(raw, "path")
    bulk_id, version = member(raw, "bulkId"), member(raw, "version")
    read = BulkOperation(
        method.upper() if isinstance(method, str) else "",
        path if isinstance(path, str) else "",
        bulk_id if isinstance(bulk_id, str) else None,
        version if isinstance(version, str) else None,
        member(raw, "data"),
    )
    why = None
    if read.method not in METHODS:
        why = f"its method must be one of {', '.join(METHODS)}"
    elif not read.path.startswith("/"):
        why = "its path must begin with /, like /Users"
    elif read.method == "POST" and not read.bulk_id:
        why = "a POST needs a bulkId"
    elif read.method != "DELETE" and not isinstance(read.data, dict):
        why = f"the data of a {read.method} must be an object"
    elif version is not None and read.version is None:
        why = "its version must be a text"
    if why is None:
        return read
    error = InvalidSyntax(f"An operation of a bulk request cannot be carried out: {why}.")
    return BulkOperation(read.method, read.path, read.bulk_id, error=error)


def needs(operation: BulkOperation) -> set[str]:
    """The bulkIds that an operation refers to, in its path or its data."""
    found = set(_WITHIN.findall(operation.path))
    found |= {name for text in _texts(operation.data) for name in _named(text)}
    return found


def _named(text: str) -> Iterator[str]:
    if text.startswith(PREFIX):
        yield text.removeprefix(PREFIX)
    yield from _WITHIN.findall(text)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if PREFIX in value:
            yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from _texts(part)


def resolved(value: Any, ids: Mapping[str, str]) -> Any:
    """``value`` with ids in place of the bulkIds that ``ids`` knows. Others stay."""
    if isinstance(value, str):
        if PREFIX not in value:
            return value
        if value.startswith(PREFIX):
            return ids.get(value.removeprefix(PREFIX), value)
        return _WITHIN.sub(lambda found: ids.get(found[1], found[0]), value)
    if isinstance(value, dict):
        return {key: resolved(part, ids) for key, part in value.items()}
    if isinstance(value, list):
        return [resolved(part, ids) for part in value]
    return value


def without(data: Any, names: set[str]) -> tuple[Any, Any]:
    """``data`` without what refers to any of ``names``, and only that; of two resources that
    refer to each other, one has to be made first without the other.

    An element or complex value goes as a whole when its ``value`` is such a reference.

    :returns: what stays, and what went, in the shape of ``data``; ``None`` for nothing.
    """
    references = {PREFIX + name for name in names}
    kept, gone = _parted(data, lambda value: isinstance(value, str) and value in references)
    return kept, None if gone is _NOTHING else gone


_NOTHING: Any = object()


def _parted(value: Any, is_reference: Callable[[Any], bool]) -> tuple[Any, Any]:
    if is_reference(value) or (isinstance(value, dict) and is_reference(value.get("value"))):
        return _NOTHING, value
    if isinstance(value, dict):
        parts = {key: _parted(part, is_reference) for key, part in value.items()}
        kept: Any = {key: part[0] for key, part in parts.items() if part[0] is not _NOTHING}
        gone: Any = {key: part[1] for key, part in parts.items() if part[1] is not _NOTHING}
        return kept, gone or _NOTHING
    if isinstance(value, list):
        pairs = [_parted(part, is_reference) for part in value]
        kept = [part[0] for part in pairs if part[0] is not _NOTHING]
        gone = [part[1] for part in pairs if part[1] is not _NOTHING]
        return kept, gone or _NOTHING
    return value, _NOTHING


def in_order(operations: Sequence[BulkOperation]) -> list[list[int]]:
    """The operations' numbers in the order to carry them out: as they came, but what makes a
    resource before what refers to it (RFC 7644 §3.7.1). Those that refer to each other in a
    circle are together in one list."""
    makers = {
        one.bulk_id: number
        for number, one in enumerate(operations)
        if one.method == "POST" and one.bulk_id and one.error is None
    }
    edges = [
        sorted(makers[name] for name in needs(one) if name in makers) if one.error is None else []
        for one in operations
    ]
    return _components(edges)


def _components(edges: list[list[int]]) -> list[list[int]]:
    """Tarjan's strongly connected components, without recursion: what is pointed at first."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    waiting: set[int] = set()
    found: list[list[int]] = []
    for root in range(len(edges)):
        if root in index:
            continue
        work = [(root, iter(edges[root]))]
        index[root] = low[root] = len(index)
        stack.append(root)
        waiting.add(root)
        while work:
            node, rest = work[-1]
            for other in rest:
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    waiting.add(other)
                    work.append((other, iter(edges[other])))
                    break
                if other in waiting:
                    low[node] = min(low[node], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    at = stack.index(node)
                    found.append(sorted(stack[at:]))
                    waiting -= set(stack[at:])
                    del stack[at:]
    return found
