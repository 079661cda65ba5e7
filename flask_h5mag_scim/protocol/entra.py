"""What Microsoft Entra sends, rewritten to what the RFC says: JSON in, JSON out.

Every habit of Microsoft's provisioning client that departs from RFC 7644 is straightened
here, for every client and always, so that no other room knows who is calling. Both PATCH
dialects arrive at one server: the ``aadOptscim062020`` flag does not reach on-demand
provisioning.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from marshmallow import fields

from .errors import SCIMError
from .paths import is_storable, parse_path
from .schemas import ENTERPRISE_USER, USER, Boolean, Complex, Table, Target

#: ``roles[primary eq "True"].value``: a boolean compared with a text.
_PRIMARY = re.compile(r'(\bprimary\s+(?:eq|ne)\s+)"(true|false)"', re.IGNORECASE)

#: Names that only the enterprise extension has, where nothing of a path stands before them;
#: or a text in quotes, in which they are no names.
_ENTERPRISE = re.compile(
    r'"(?:[^"\\]|\\.)*"|(?<![\w$:.-])(?:'
    + "|".join(USER.extensions[ENTERPRISE_USER])
    + r")(?![\w:-])",
    re.IGNORECASE,
)


def query_text(text: str) -> str:
    """A query's filter as :func:`filter_text`, and with URNs: ``manager eq "id"``, Microsoft's
    old question whether a reference is there, means the enterprise extension's."""

    def named(found: re.Match[str]) -> str:
        return found[0] if found[0].startswith('"') else f"{ENTERPRISE_USER}:{found[0]}"

    return _ENTERPRISE.sub(named, filter_text(text))


def filter_text(text: str) -> str:
    """A filter or a path with booleans in place of ``"True"`` and ``"False"``."""
    return _PRIMARY.sub(lambda found: found[1] + found[2].lower(), text)


def resource(body: Mapping[str, Any], table: Table) -> dict[str, Any]:
    """The body of a POST or PUT.

    Strings for booleans, ``displayName`` for ``display`` and JSON within a string in roles,
    the manager as a bare id, and enterprise attributes without their URN.
    """
    result: dict[str, Any] = {}
    bare: dict[str, Any] = {}
    for key, value in body.items():
        target = _locate(key, table)
        if target is None or value is None:
            result[key] = value
        elif target.container:
            result[key] = _extension(value, target, table)
        elif target.urn and ":" not in key:
            bare[target.name] = _value(value, target)
        else:
            result[key] = _value(value, target)
    if bare:
        key = next((k for k in result if k.lower() == ENTERPRISE_USER.lower()), ENTERPRISE_USER)
        part = result.get(key) or {}
        # Where an attribute comes both ways, the one with its URN is meant; what is no
        # object is left for the schema to refuse.
        result[key] = {**bare, **part} if isinstance(part, dict) else part
    return result


def patch(operations: Any, table: Table) -> Any:
    """The ``Operations`` of a PATCH.

    Ops in capitals, extra members of an operation, strings for booleans, ``""`` for "take
    it away", the manager as a bare id, in a list, or emptied by ``{"value": ""}``, and
    enterprise attributes without their URN. What is not a list of objects is left for the
    reader of the message to refuse.
    """
    if not isinstance(operations, list):
        return operations
    return [_operation(one, table) if isinstance(one, dict) else one for one in operations]


def _operation(one: dict[str, Any], table: Table) -> dict[str, Any]:
    op, path, value = one.get("op"), one.get("path"), one.get("value")
    op = op.lower() if isinstance(op, str) else op
    # A removal's value names what goes: an empty one names nothing, and not everything.
    clearing = op != "remove"
    if isinstance(path, str) and path:
        path = filter_text(path)
        target = _locate(path, table)
        if target is not None and target.container:
            value = _extension(value, target, table, clearing=clearing)
        elif target is not None:
            value = _value(_cleared(value) if clearing else value, target)
            path = str(target.path) if target.urn == ENTERPRISE_USER else path
    elif isinstance(value, dict):
        value = dict(_attribute(key, part, table) for key, part in value.items())
    result = {"op": op, "path": path}
    return {**result, "value": value} if "value" in one else result


def _attribute(key: str, value: Any, table: Table) -> tuple[str, Any]:
    """One member of a path-less value. Its key is a path: ``name.givenName``, ``URN:attr``,
    even ``emails[type eq "work"].value`` (the flag's dialect)."""
    key = filter_text(key)
    target = _locate(key, table)
    if target is None:
        return key, value
    if target.container:
        return key, _extension(value, target, table, clearing=True)
    name = str(target.path) if target.urn == ENTERPRISE_USER else key
    return name, _value(_cleared(value), target)


def _locate(text: str, table: Table) -> Target | None:
    """Where a path leads; ``manager`` leads to the enterprise extension's. ``None`` for a
    path that cannot be read: whoever needs it says so."""
    try:
        path = parse_path(text)
    except SCIMError:
        return None
    target = table.locate(path)
    if target.field is None and target.urn is None and ENTERPRISE_USER in table.extensions:
        enterprise = table.locate(parse_path(f"{ENTERPRISE_USER}:{text}"))
        if enterprise.field is not None:
            return enterprise
    return target


def _extension(value: Any, target: Target, table: Table, *, clearing: bool = False) -> Any:
    if not isinstance(value, dict):
        return value
    result = {}
    for name, part in value.items():
        inner = _locate(f"{target.urn}:{name}", table)
        part = _cleared(part) if clearing else part
        result[name] = part if inner is None else _value(part, inner)
    return result


def _cleared(value: Any) -> Any:
    """``""`` takes a value away, on its own or as a sub-attribute (the gallery's null test)."""
    if value == "":
        return None
    if isinstance(value, dict):
        return {key: None if part == "" else part for key, part in value.items()}
    return value


def _value(value: Any, target: Target) -> Any:
    if target.urn == ENTERPRISE_USER and target.name == "manager" and target.sub is None:
        return _manager(value)
    if target.sub is not None:
        if target.name == "roles" and target.sub == "value":
            value = _role({"value": value})["value"]
        return _straight(value, target.sub_field, target.name)
    whole = target.field if target.filter is None else target.element
    return _straight(value, whole, target.name)


def _manager(value: Any) -> Any:
    """The manager's id, however it is wrapped, as ``{"value": id}``; ``None`` without one."""
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, str):
        return {"value": value} if value else None
    if isinstance(value, dict) and not value.get("value") and value.keys() <= {"value", "$ref"}:
        return None
    return value


def _straight(value: Any, field: fields.Field[Any] | None, name: str) -> Any:
    if isinstance(field, Boolean):
        if isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        return value
    if isinstance(field, fields.List):
        if isinstance(value, list):
            return [_straight(item, field.inner, name) for item in value]
        return _straight(value, field.inner, name) if isinstance(value, dict) else value
    if isinstance(field, Complex) and isinstance(value, dict):
        if name == "roles":
            value = _role(value)
        result = {}
        for key, part in value.items():
            known = field.sub_attributes
            if key == "displayName" and key not in known and "display" in known:
                key = "display"
            sub = next((known[each] for each in known if each.lower() == key.lower()), None)
            result[key] = _straight(part, sub, name)
        return result
    return value


def _role(value: dict[str, Any]) -> dict[str, Any]:
    """App roles arrive by PATCH as ``{"value": "{\\"id\\": …, \\"value\\": …}"}``: JSON in a
    text. Unpacked, a second Add of the same role is seen to be the same."""
    text = value.get("value")
    if not (isinstance(text, str) and text.startswith("{")):
        return value
    try:
        packed = json.loads(text)
    except (ValueError, RecursionError):
        return value
    if not (isinstance(packed, dict) and _is_text(packed.get("value"))):
        return value
    role = {**value, "value": packed["value"]}
    if _is_text(packed.get("displayName")):
        role["display"] = packed["displayName"]
    return role


def _is_text(value: Any) -> bool:
    # The escapes of the inner JSON were invisible to whoever read the body.
    return isinstance(value, str) and is_storable(value)
