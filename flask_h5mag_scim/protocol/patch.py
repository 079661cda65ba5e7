"""PATCH as a pure function: a document and operations make a document (RFC 7644 §3.5.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from . import documents
from .errors import (
    InvalidPath,
    InvalidSyntax,
    InvalidValue,
    Mutability,
    NoTarget,
    SCIMError,
    literals,
)
from .paths import Filter, LogExp, Not, parse_path
from .schemas import MAX_ELEMENTS, Complex, Table, Target, deserialize

PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

#: How many elements may be gone through for all of a request's operations together.
MAX_COMPARISONS = 2 * MAX_ELEMENTS**2
#: As how many of these a comparison in brackets counts, which takes so much longer.
_TERM = 5


@dataclass(frozen=True)
class Operation:
    """One step. ``value`` is ``None`` for a removal, unless the removal names values."""

    op: str
    target: Target
    value: Any = None


def parse(raw: Iterable[Mapping[str, Any]], table: Table) -> list[Operation]:
    """Operations with located paths; a path-less one becomes one for each attribute.

    :raises InvalidSyntax: for an operation that is none.
    :raises InvalidPath: for a path that cannot be read.
    :raises NoTarget: for a removal without a path (§3.5.2.2).
    """
    operations: list[Operation] = []
    for number, one in enumerate(raw, 1):
        op, path, value = one.get("op"), one.get("path"), one.get("value")
        if op not in ("add", "replace", "remove"):
            shown = repr(str(op)[:40])
            raise InvalidSyntax(
                f"Operation {number} has the op {shown}; possible are add, replace and remove.",
                values=[shown],
            )
        if path is not None and not isinstance(path, str):
            raise InvalidSyntax(f"The path of operation {number} is not a text.")
        if op != "remove" and "value" not in one:
            # To take what is missing for null would empty the attribute.
            raise InvalidSyntax(f"Operation {number} has no value to {op}.")
        if path:
            target = _located(path, table)
            operations += (
                _unpacked(op, target, value, table)
                if target.container
                else [Operation(op, target, value)]
            )
        elif op == "remove":
            raise NoTarget(f"Operation {number} removes and has no path that says what.")
        elif isinstance(value, dict):
            operations += _attributes(op, value, table)
        else:
            raise InvalidSyntax(
                f"Operation {number} has no path; then its value must be an object."
            )
    return operations


def _attributes(op: str, value: Mapping[str, Any], table: Table) -> list[Operation]:
    operations: list[Operation] = []
    for key, part in value.items():
        target = _located(key, table)
        if target.container:
            operations += _unpacked(op, target, part, table)
        elif target.text.lower() != "schemas" and not target.read_only:
            # Identity providers send the whole resource here, its id included; what
            # nobody may write is passed over, as in a PUT (§3.5.1).
            operations.append(Operation(op, target, part))
    return operations


def _located(text: str, table: Table) -> Target:
    target = table.locate(parse_path(text))
    if target.field is None or target.container:
        return target
    why = None
    if target.filter is not None and not target.multi_valued:
        why = "has one value, so no brackets"
    elif target.sub is not None and not isinstance(target.element, Complex):
        why = "has no sub-attributes"
    if why:
        shown = text[:200]
        raise InvalidPath(
            f"{shown}: {target.name} {why}.",
            path=target.text,
            values=[shown] if "[" in shown else [],
        )
    return target


def _unpacked(op: str, target: Target, value: Any, table: Table) -> list[Operation]:
    """An operation on a whole extension as one for each of its attributes; only the removal
    stays whole."""
    urn = target.urn or ""
    if op == "remove" or (value is None and op == "replace"):
        return [Operation("remove", target)]
    if not isinstance(value, dict | None):
        raise InvalidValue(f"{urn}: the value must be an object.", path=urn)
    return _attributes(op, {f"{urn}:{name}": part for name, part in (value or {}).items()}, table)


def apply(
    before: Mapping[str, Any],
    operations: Iterable[Operation],
    keeps: Callable[[Target], bool],
    arriving: Callable[[dict[str, Any], Operation], Operation] | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """The document after ``operations``, in their order, and the paths that were ignored.

    Only what is sent is validated: switching a person off never fails on an old value.

    :param keeps: whether the host keeps what stands at a target. What it does not keep is
        ignored and named: one foreign attribute must not stop a whole user.
    :param arriving: makes of the document so far and an operation the one that is applied.
    :raises Mutability: for a read-only attribute, or the removal of a required one.
    :raises NoTarget: for a filter that matches nothing and says nothing to make.
    :raises marshmallow.ValidationError: for a value that does not fit.
    """
    document: dict[str, Any] = documents.copied(dict(before))
    ignored: dict[str, None] = {}
    work = 0
    for operation in operations:
        target = operation.target
        if target.read_only:
            raise _about(target, Mutability, "{} is read-only.")
        if not keeps(target):
            ignored[target.text] = None
            continue
        if arriving is not None:
            operation = arriving(document, operation)
            target = operation.target
        work += _work(document, operation)
        if work > MAX_COMPARISONS:
            raise _about(
                target,
                InvalidValue,
                "{}: too many values for one request. Send the operations in several.",
            )
        if operation.op == "remove":
            _require_optional(target, Mutability)
            _remove(document, target, operation.value)
        elif operation.value is None:
            if operation.op == "replace":
                _require_optional(target, InvalidValue)
                _remove(document, target, None)
        else:
            _set(document, target, operation.value, replace=operation.op == "replace")
    return document, list(ignored)


def _work(document: dict[str, Any], operation: Operation) -> int:
    """What an operation takes, in comparisons of two elements."""
    if not operation.target.multi_valued and not isinstance(operation.value, list):
        return 0
    sent = len(operation.value) if isinstance(operation.value, list) else 1
    there = len(documents.elements(document, operation.target))
    return sent * (sent + there) * _terms(operation.target.filter)


def _terms(tree: Filter | None) -> int:
    """What it takes to compare one element with what is in brackets."""
    match tree:
        case None:
            return 1
        case LogExp(_, terms):
            return sum(map(_terms, terms))
        case Not(inner):
            return _terms(inner)
        case _:
            return _TERM


def _about(target: Target, error: type[SCIMError], detail: str) -> SCIMError:
    """An error that names ``target`` at the ``{}`` of its detail."""
    text = target.text
    return error(detail.format(text), path=text, values=literals(text))


def _require_optional(target: Target, error: type[Mutability | InvalidValue]) -> None:
    field = target.sub_field if target.sub else target.field
    if field is not None and field.required and target.filter is None:
        raise _about(target, error, "{} is required and cannot be removed.")


def _set(document: dict[str, Any], target: Target, value: Any, *, replace: bool) -> None:
    if target.filter is not None:
        _set_matching(document, target, value, replace)
    elif target.multi_valued and target.sub is None:
        _set_list(document, target, deserialize(target.field, value, target.text), replace)
    elif target.multi_valued:
        value = deserialize(target.leaf, value, target.text)
        found = [item for item in documents.elements(document, target) if isinstance(item, dict)]
        for item in found:
            item[target.sub] = value
        if not found:
            documents.set_elements(document, target, [{target.sub: value}])
    elif isinstance(target.field, Complex) and target.sub is None:
        _merge(document, target, value)
    elif target.field is None and target.sub is None and isinstance(value, list) and not replace:
        # A custom attribute: its own list says that it is multi-valued.
        _set_list(document, target, value, replace)
    elif target.field is None and isinstance(value, dict) and not replace:
        # And a custom complex one takes what is sent, like any other.
        found = documents.lookup(document, target)
        kept = found if isinstance(found, dict) else {}
        documents.assign(document, target, {**kept, **deserialize(None, value, target.text)})
    else:
        documents.assign(document, target, deserialize(target.leaf, value, target.text))


def _merge(document: dict[str, Any], target: Target, value: Any) -> None:
    """A complex attribute takes the sub-attributes that are sent and keeps its others."""
    if isinstance(value, dict):
        for sub in [key for key, part in value.items() if part is None]:
            cleared = {key.lower(): key for key in documents.lookup(document, target) or {}}
            if sub.lower() in cleared:
                name = cleared[sub.lower()]
                documents.remove(document, Target(target.name, name, target.urn))
    merged = {**(documents.lookup(document, target) or {})}
    merged |= deserialize(target.field, value, target.text)
    if merged:
        documents.assign(document, target, merged)


def _set_list(document: dict[str, Any], target: Target, values: Any, replace: bool) -> None:
    current = [] if replace else list(documents.elements(document, target))
    if len(current) + len(values) > MAX_ELEMENTS:
        raise _about(target, InvalidValue, f"{{}} has more than {MAX_ELEMENTS} values.")
    for value in values:
        if value in ({}, None):
            continue
        about = _besides_primary(value)
        found = next((item for item in current if _is_same(about, item)), None)
        if found is None:
            found = value
            current.append(value)
        elif isinstance(value, dict) and "primary" in value:
            # The same but for which is preferred. With nothing else to say, "no changes
            # should be made" (§3.5.2.1).
            found["primary"] = value["primary"]
        _yield_primary(current, found)
    documents.set_elements(document, target, current)


def _besides_primary(value: Any) -> Any:
    """An element without what makes no other element of it (RFC 7643 §2.4: the same value and
    type SHOULD NOT be there twice)."""
    if not isinstance(value, dict):
        return value
    return {name: part for name, part in value.items() if name != "primary"} or value


def _is_same(sent: Any, item: Any) -> bool:
    """Whether everything that is sent of an element is there already."""
    if not (isinstance(sent, dict) and isinstance(item, dict)):
        return bool(sent == item)
    return sent.items() <= item.items()


def _yield_primary(current: list[Any], value: Any) -> None:
    """§3.5.2: one primary value at most; the new one takes it from the old."""
    if isinstance(value, dict) and value.get("primary") is True:
        for item in current:
            if isinstance(item, dict) and item is not value and item.get("primary") is True:
                item["primary"] = False


def _set_matching(document: dict[str, Any], target: Target, value: Any, replace: bool) -> None:
    """Set in the elements that satisfy the brackets, or make one that does.

    To replace an element without saying which sub-attribute is to replace all of it but what
    the brackets say of it (§3.5.2.3).

    RFC 7644 §3.5.2.3 asks for noTarget where nothing matches; Entra counts on the element
    being made (erratum 8097 records the case), and nobody counts on the error.
    """
    if target.sub is not None:
        part = {target.sub: deserialize(target.leaf, value, target.text)}
    else:
        part = deserialize(target.element, value, target.text)
        if not isinstance(part, dict):
            raise _about(target, InvalidValue, "{}: the value must be an object.")
    current = list(documents.elements(document, target))
    matching = _matching(current, target)
    made = documents.constants(target.filter)
    if not matching:
        if made is None:
            raise _about(target, NoTarget, "Nothing matches {}.")
        matching = [deserialize(target.element, made, target.text)]
        if not _matching([{**matching[0], **part}], target):
            # It would not be found again: every repetition would make one more.
            raise _about(target, NoTarget, "Nothing matches {}.")
        if len(current) == MAX_ELEMENTS:
            raise _about(target, InvalidValue, f"{{}}: there are {MAX_ELEMENTS} values already.")
        current += matching
    for item in matching:
        if replace and target.sub is None:
            kept = {name: item[name] for name in made or () if name in item}
            item.clear()
            item |= kept
        item |= part
        _yield_primary(current, item)
    documents.set_elements(document, target, [item for item in current if not _is_empty(item)])


def _matching(current: list[Any], target: Target) -> list[Any]:
    fields = target.element.sub_attributes if isinstance(target.element, Complex) else {}
    tree = target.filter
    if tree is None:
        return [item for item in current if isinstance(item, dict)]
    return [
        item for item in current if isinstance(item, dict) and documents.holds(item, tree, fields)
    ]


def _remove(document: dict[str, Any], target: Target, value: Any) -> None:
    if target.container:
        document.pop(target.urn or "", None)
        return
    if target.filter is None and not target.multi_valued:
        found = documents.lookup(document, target)
        if target.field is not None or value is None or not isinstance(found, list):
            documents.remove(document, target)
            return
    current = documents.elements(document, target)
    if target.sub is not None:
        for item in _matching(current, target):
            item.pop(target.sub, None)
        # What says only what it was for, says nothing any more.
        kept = [item for item in current if not _is_empty(item)]
    elif target.filter is not None:
        gone = {id(item) for item in _matching(current, target)}
        kept = [item for item in current if id(item) not in gone]
    elif value is None:
        kept = []
    else:
        named = value if isinstance(value, list) else [value]
        kept = [item for item in current if not any(_is_named(one, item) for one in named)]
    documents.set_elements(document, target, kept)


def _is_empty(item: Any) -> bool:
    return isinstance(item, dict) and not set(item) - {"type", "primary"}


def _is_named(sent: Any, item: Any) -> bool:
    """Whether a removal that carries values means this element."""
    if isinstance(sent, dict):
        sent = {key: part for key, part in sent.items() if part is not None and key != "$ref"}
        return bool(sent) and _is_same(sent, item)
    return bool(item == sent or (isinstance(item, dict) and item.get("value") == sent))
