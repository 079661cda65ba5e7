"""``attributes`` and ``excludedAttributes`` (RFC 7644 §3.9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .errors import InvalidValue, SCIMError
from .paths import parse_path
from .schemas import Table, Target

#: Returned whatever is asked for (``returned: always``, RFC 7643 §7).
_ALWAYS = frozenset({"schemas", "id"})

#: More attributes than any resource has.
MAX_NAMES = 500


class Projection:
    """Which attributes an answer shows.

    :param attributes: the parameter's text, or ``None``; when both are given it wins.
    :param excluded: the text of ``excludedAttributes``, or ``None``.
    """

    def __init__(self, table: Table, attributes: str | None, excluded: str | None) -> None:
        self.requested = bool(attributes and attributes.strip())
        self._only = _targets(table, attributes) if self.requested else None
        self._without = _targets(table, excluded) if excluded and not self.requested else []

    def shows(self, name: str) -> bool:
        """Whether a core attribute is shown at all; what is not need not be read."""
        if self._only is not None:
            return any(t.name.lower() == name.lower() and t.urn is None for t in self._only)
        return not any(t.name == name and t.urn is None and t.sub is None for t in self._without)

    def apply(self, document: dict[str, Any]) -> dict[str, Any]:
        """``document`` with what is asked for. The document itself may be changed."""
        if self._only is not None:
            result = {name: document[name] for name in document if name in _ALWAYS}
            for target in self._only:
                _copy(document, result, target)
            return result
        for target in self._without:
            _drop(document, target)
        return document


def _targets(table: Table, text: str | None) -> list[Target]:
    targets = []
    names = (text or "").split(",")
    if len(names) > MAX_NAMES:
        raise InvalidValue(f"attributes and excludedAttributes name at most {MAX_NAMES}.")
    for name in names:
        if name.strip():
            try:
                targets.append(table.locate(parse_path(name.strip())))
            except SCIMError:
                continue  # a name that is none selects nothing, as an unknown one does
    return targets


def _copy(source: Mapping[str, Any], result: dict[str, Any], target: Target) -> None:
    if target.urn is not None:
        part = source.get(target.urn)
        if not isinstance(part, dict):
            return
        if target.container:
            result[target.urn] = part
            return
        inner = result.setdefault(target.urn, {})
        _copy(part, inner, Target(target.name, target.sub))
        if not inner:
            del result[target.urn]
        return
    value = source.get(target.name)
    if value is None:
        return
    if target.sub is None:
        result[target.name] = value
    elif isinstance(value, dict):
        if target.sub in value:
            kept = result.setdefault(target.name, {})
            kept[target.sub] = value[target.sub]
    elif isinstance(value, list):
        kept = result.setdefault(target.name, [{} for _ in value])
        for item, shown in zip(value, kept, strict=True):
            if isinstance(item, dict) and target.sub in item:
                shown[target.sub] = item[target.sub]


def _drop(document: dict[str, Any], target: Target) -> None:
    if target.urn is not None:
        part = document.get(target.urn)
        if target.container:
            document.pop(target.urn, None)
        elif isinstance(part, dict):
            _drop(part, Target(target.name, target.sub))
            if not part:
                del document[target.urn]
    elif target.sub is None:
        if target.name not in _ALWAYS:
            document.pop(target.name, None)
    else:
        value = document.get(target.name)
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                item.pop(target.sub, None)
        if value == {}:
            del document[target.name]
