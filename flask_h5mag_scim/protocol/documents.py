"""A resource in flight is a plain dictionary, keyed as on the wire in the RFC's spelling.

An extension's attributes are a dictionary under its URN. Nothing here knows what the
attributes mean; :mod:`.schemas` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .paths import AttrExp, Filter, LogExp, Not
from .schemas import Target


def home(document: dict[str, Any], urn: str | None, *, create: bool = False) -> dict[str, Any]:
    """The dictionary that holds the attributes of a schema: the document itself, or the
    extension's part of it (an empty one that belongs to nobody if it is not there)."""
    if urn is None:
        return document
    part = document.get(urn)
    if not isinstance(part, dict):
        part = {}
        if create:
            document[urn] = part
    return part


def copied(value: Any) -> Any:
    """A copy of JSON; copy.deepcopy(), which keeps books, takes three times as long."""
    if isinstance(value, dict):
        return {name: copied(part) for name, part in value.items()}
    return [copied(part) for part in value] if isinstance(value, list) else value


def lookup(document: dict[str, Any], target: Target) -> Any:
    """The value at a path without brackets; ``None`` where there is none."""
    value = home(document, target.urn).get(target.name)
    if target.sub is None:
        return value
    return value.get(target.sub) if isinstance(value, dict) else None


def assign(document: dict[str, Any], target: Target, value: Any) -> None:
    """Set the value at a path without brackets, making what it stands in."""
    part = home(document, target.urn, create=True)
    if target.sub is None:
        part[target.name] = value
        return
    inner = part.get(target.name)
    if not isinstance(inner, dict):
        inner = part[target.name] = {}
    inner[target.sub] = value


def remove(document: dict[str, Any], target: Target) -> None:
    """Take the value at a path without brackets away, and what is left empty by it."""
    part = home(document, target.urn)
    if target.sub is None:
        part.pop(target.name, None)
    elif isinstance(inner := part.get(target.name), dict):
        inner.pop(target.sub, None)
        if not inner:
            del part[target.name]
    if target.urn is not None and not part:
        document.pop(target.urn, None)


def elements(document: dict[str, Any], target: Target) -> list[Any]:
    """The list of a multi-valued attribute; an empty one where there is none."""
    value = home(document, target.urn).get(target.name)
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def set_elements(document: dict[str, Any], target: Target, values: list[Any]) -> None:
    """Give a multi-valued attribute its list; an empty one is none (RFC 7643 §2.5)."""
    whole = Target(target.name, urn=target.urn)
    if values:
        assign(document, whole, values)
    else:
        remove(document, whole)


def holds(element: Any, tree: Filter, sub_fields: Mapping[str, Any]) -> bool:
    """Whether one element of a multi-valued attribute satisfies the filter in brackets.

    :param sub_fields: the schema's fields of the element, which know ``caseExact``.
    """
    match tree:
        case LogExp("and", terms):
            return all(holds(element, term, sub_fields) for term in terms)
        case LogExp(_, terms):
            return any(holds(element, term, sub_fields) for term in terms)
        case Not(inner):
            return not holds(element, inner, sub_fields)
        case AttrExp(path, op, wanted):
            name = path.name
            # An element of a custom attribute may be a bare value; "value" names it.
            found = element.get(name) if isinstance(element, dict) else element
            field = sub_fields.get(name)
            exact = bool(field is not None and field.metadata.get("caseExact"))
            return compare(found, op, wanted, exact=exact)
        case _:
            return False


def compare(found: Any, op: str, wanted: Any, *, exact: bool) -> bool:
    """RFC 7644 table 3 on one value. Values of different types are never equal, and a
    boolean is not a number."""
    if op == "pr":
        return found not in (None, "", [], {})
    if op == "ne":
        return not compare(found, "eq", wanted, exact=exact)
    if wanted is None:
        return op == "eq" and found is None
    if found is None or isinstance(found, bool) is not isinstance(wanted, bool):
        return False
    if isinstance(found, str) and isinstance(wanted, str):
        if not exact:
            found, wanted = found.lower(), wanted.lower()
        match op:
            case "co":
                return wanted in found
            case "sw":
                return bool(found.startswith(wanted))
            case "ew":
                return bool(found.endswith(wanted))
    elif not (isinstance(found, int | float) and isinstance(wanted, int | float)):
        return False
    match op:
        case "eq":
            return bool(found == wanted)
        case "gt":
            return bool(found > wanted)
        case "ge":
            return bool(found >= wanted)
        case "lt":
            return bool(found < wanted)
        case "le":
            return bool(found <= wanted)
    return False


def constants(tree: Filter | None) -> dict[str, Any] | None:
    """What an element must be made of to satisfy ``tree``: ``type eq "work"`` is
    ``{"type": "work"}``. ``None`` when the brackets say something else."""
    match tree:
        case AttrExp(path, "eq", value) if value is not None:
            return {path.name: value}
        case LogExp("and", terms):
            result: dict[str, Any] = {}
            for term in terms:
                part = constants(term)
                if part is None or any(result.get(k, v) != v for k, v in part.items()):
                    return None
                result |= part
            return result
        case _:
            return None
