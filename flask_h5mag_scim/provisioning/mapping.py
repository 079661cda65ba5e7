"""The host's map ``{SCIM path: model attribute}``, joined with the attribute table.

Reading, writing, filtering, PATCH, ``/Schemas`` and the page all derive from it. What is
not in the map cannot be lost: only differences are written.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

import sqlalchemy as sa
from marshmallow import fields
from sqlalchemy.ext.hybrid import HybridExtensionType

from ..protocol import documents
from ..protocol.discovery import scim_type
from ..protocol.errors import SCIMError
from ..protocol.paths import parse_path
from ..protocol.schemas import Boolean, Complex, DateTime, Table, Target

CATCH_ALL = "*"

#: Made by the server for every answer; never read from the map's model attributes.
_NEVER_MAPPED = frozenset({"id", "schemas", "groups", "members", "password"})
_MADE = ("schemas", "id", "meta", "groups", "members", "password")


@dataclass(frozen=True)
class Entry:
    """One row of the map."""

    target: Target
    #: The name of the model's attribute.
    attribute: str
    #: What the brackets of a multi-valued attribute say of the element; empty without.
    constants: Mapping[str, Any]
    #: Whether a client's value may be set: no ``meta``, and no hybrid without a setter.
    writable: bool

    @property
    def text(self) -> str:
        """The SCIM path as people read it."""
        return self.target.text

    @property
    def sub(self) -> str:
        """The sub-attribute that a slot keeps."""
        return self.target.sub or "value"

    def fits(self, element: Any) -> bool:
        """Whether an element of the list is this slot's."""
        return isinstance(element, dict) and all(
            _equal(element.get(name), value) for name, value in self.constants.items()
        )


@dataclass(frozen=True)
class AttributeRow:
    """One mapped attribute as the page shows it."""

    path: str
    type: str
    filterable: bool
    unique: bool
    required: bool


class AttributeMap:
    """The map of one resource on one model.

    :param model: the host's mapped class.
    :param table: the resource's attribute table.
    :param attributes: SCIM path to the name of a column or of a hybrid property; ``"*"``
        names a JSON column that keeps everything else.
    :raises ValueError: when a row is wrong; the message says which and what to do.
    """

    def __init__(self, model: type[Any], table: Table, attributes: Mapping[str, str]) -> None:
        self.model = model
        self.table = table
        self.extra: str | None = None
        self.entries: list[Entry] = []
        self._where = f"The attribute map of {model.__name__}"
        written: dict[str, str] = {}
        for key, attribute in attributes.items():
            writable = self._check_attribute(key, attribute)
            if key == CATCH_ALL:
                self.extra = attribute
                continue
            entry = self._entry(key, attribute, writable)
            for other in self.entries:
                if other.target.path == entry.target.path:
                    raise ValueError(f"{self._where} names {entry.text} twice.")
            if entry.writable and attribute in written:
                raise ValueError(
                    f"{self._where} writes {attribute!r} from both {written[attribute]!r} and "
                    f"{key!r}: a client would correct one and break the other in every cycle. "
                    "Map one of them, or a hybrid property without a setter."
                )
            if entry.writable:
                written[attribute] = key
            self.entries.append(entry)
        if self.extra in written:
            raise ValueError(f"{self._where} uses {self.extra!r} for '*' and for an attribute.")

        self._plain = [e for e in self.entries if not e.target.multi_valued]
        self._slots: dict[tuple[str | None, str], list[Entry]] = {}
        for entry in self.entries:
            if entry.target.multi_valued:
                self._slots.setdefault((entry.target.urn, entry.target.name), []).append(entry)
        self._by_place = {(e.target.urn, e.target.name, e.target.sub): e for e in self._plain}

    # Start-up checks

    def _check_attribute(self, key: str, attribute: str) -> bool:
        mapper: Any = sa.inspect(self.model)
        if not isinstance(attribute, str):
            raise ValueError(f"{self._where}: the value of {key!r} must be an attribute's name.")
        descriptor = mapper.all_orm_descriptors.get(attribute)
        if descriptor is None:
            found = "a plain property" if hasattr(self.model, attribute) else "no attribute"
            raise ValueError(
                f"{self._where}: {key!r} is mapped to {attribute!r}, which is {found} of "
                f"{self.model.__name__}. Name a column or a hybrid_property, which can also be "
                "searched."
            )
        if descriptor.extension_type is HybridExtensionType.HYBRID_PROPERTY:
            return descriptor.fset is not None
        if attribute not in mapper.columns:
            raise ValueError(
                f"{self._where}: {key!r} is mapped to {attribute!r}, which is neither a column "
                "nor a hybrid_property."
            )
        return True

    def _entry(self, key: str, attribute: str, writable: bool) -> Entry:
        try:
            target = self.table.locate(parse_path(key))
        except SCIMError as error:
            raise ValueError(f"{self._where}: {key!r} is no SCIM path. {error.detail}") from None
        name = target.name
        if name in _NEVER_MAPPED and target.urn is None:
            raise ValueError(f"{self._where}: {key!r} is not mapped; it is taken care of.")
        if name == "meta" and target.sub not in ("created", "lastModified"):
            raise ValueError(f"{self._where}: of meta, only created and lastModified are mapped.")
        if target.container or (target.urn is None and target.field is None):
            raise ValueError(
                f"{self._where}: {key!r} is no attribute of {self.table.schema.__name__} in "
                "RFC 7643; what it does not know is kept by '*'."
            )
        constants: Mapping[str, Any] = {}
        if target.multi_valued:
            found = documents.constants(target.filter)
            if not found or not target.sub:
                raise ValueError(
                    f"{self._where}: {key!r} is multi-valued. Say which value it means, like "
                    f'{name}[type eq "work"].value.'
                )
            constants = found
        elif target.filter is not None:
            raise ValueError(f"{self._where}: {key!r} has brackets, but is single-valued.")
        if isinstance(target.leaf, Complex):
            raise ValueError(f"{self._where}: {key!r} is complex. Map its parts, like {key}.value.")
        return Entry(target, attribute, constants, writable and name != "meta")

    # Looking up

    def find(self, path: str) -> Entry | None:
        """The row for a SCIM path, or ``None``."""
        wanted = self.table.locate(parse_path(path)).path
        return next((entry for entry in self.entries if entry.target.path == wanted), None)

    def at(self, target: Target) -> Entry | None:
        """The row for a single-valued target."""
        return self._by_place.get((target.urn, target.name, target.sub))

    def parts(self, target: Target) -> list[Entry]:
        """The rows below a single-valued complex attribute, such as ``name``."""
        place = (target.urn, target.name)
        return [e for e in self._plain if (e.target.urn, e.target.name) == place]

    def slots(self, target: Target) -> list[Entry]:
        """The rows that keep elements of a multi-valued attribute."""
        return self._slots.get((target.urn, target.name), [])

    def keeps(self, target: Target) -> bool:
        """Whether this host keeps what stands at a target; what it keeps is never ignored."""
        if target.container:
            return True
        if target.field is not None and target.field.load_only:
            return False
        if self.extra is not None:
            return True
        if not target.multi_valued:
            if target.sub is None:
                return bool(self.parts(target))
            return self.at(target) is not None
        slots = self.slots(target)
        wanted = documents.constants(target.filter) or {}
        slots = [slot for slot in slots if _agree(slot.constants, wanted)]
        if target.sub is None:
            return bool(slots)
        return any(target.sub in (slot.sub, "primary", *slot.constants) for slot in slots)

    def rows(self) -> list[AttributeRow]:
        """The mapped attributes for people, in the host's order; ``meta`` is left out."""
        return [
            AttributeRow(
                path=entry.text,
                type=scim_type(entry.target.leaf) if entry.target.leaf else "string",
                filterable=True,
                unique=self._characteristic(entry, "uniqueness") == "server",
                required=bool(entry.target.field and entry.target.field.required),
            )
            for entry in self.entries
            if entry.target.name != "meta"
        ]

    @staticmethod
    def _characteristic(entry: Entry, name: str) -> Any:
        leaf = entry.target.leaf
        return leaf.metadata.get(name) if leaf is not None else None

    # Reading

    def columns(self) -> list[Any]:
        """What a ``select`` needs so that its rows can be read by :meth:`document`."""
        names = dict.fromkeys(entry.attribute for entry in self.entries)
        if self.extra:
            names[self.extra] = None
        return [getattr(self.model, name).label(name) for name in names]

    def document(self, source: Any) -> dict[str, Any]:
        """The resource as a document, without ``id``, ``schemas`` and what refers to others.

        :param source: an entity, or a row of :meth:`columns`; both answer to the same names.
        """
        kept = getattr(source, self.extra) if self.extra else None
        # A row's JSON was decoded for it alone; an entity's is still the entity's.
        result: dict[str, Any] = (
            {} if not kept else kept if isinstance(source, sa.Row) else copy.deepcopy(kept)
        )
        for entry in self._plain:
            value = getattr(source, entry.attribute)
            if value is not None:
                documents.assign(result, entry.target, on_wire(value, entry.target.leaf))
        for slots in self._slots.values():
            self._read_slots(result, source, slots)
        return result

    @staticmethod
    def _read_slots(document: dict[str, Any], source: Any, slots: list[Entry]) -> None:
        current = documents.elements(document, slots[0].target)
        own: dict[int, dict[str, Any]] = {}
        for slot in slots:
            value = getattr(source, slot.attribute)
            if value is None:
                continue
            value = on_wire(value, slot.target.leaf)
            # What '*' kept of this element lacks just what the slot keeps.
            rest = next((e for e in current if slot.fits(e) and slot.sub not in e), None)
            if rest is None:
                rest = dict(slot.constants)
                current = [*current, rest]
            rest[slot.sub] = value
            own[id(rest)] = rest
        first = next((e for e in current if slots[0].fits(e) and id(e) in own), None)
        if first is not None and not any(
            isinstance(e, dict) and e.get("primary") is True for e in current
        ):
            first.setdefault("primary", True)
        if current:
            # The elements in the host's own columns come first.
            current.sort(key=lambda element: id(element) not in own)
            documents.set_elements(document, slots[0].target, current)

    # Writing

    def write(
        self, obj: Any, before: dict[str, Any], after: dict[str, Any]
    ) -> tuple[list[str], list[str]]:
        """Set on ``obj`` what differs between two documents.

        :returns: the paths written, and the paths that this host cannot keep.
        """
        old, old_rest = self._split(before)
        new, new_rest = self._split(after)
        written: list[str] = []
        # Not even "*" may become a store of clear passwords.
        core = self.table.core
        ignored = [name for name in after if name in core and core[name].load_only]
        for entry in self.entries:
            if entry.target.name != "meta" and new[entry.text] != old[entry.text]:
                if entry.writable:
                    setattr(obj, entry.attribute, new[entry.text])
                    written.append(entry.text)
                else:
                    ignored.append(entry.text)
        differing = [
            name for name in {**old_rest, **new_rest} if old_rest.get(name) != new_rest.get(name)
        ]
        if self.extra is not None and differing:
            setattr(obj, self.extra, new_rest)
            written += differing
        else:
            ignored += differing
        return written, ignored

    def _split(self, document: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """A document as the values of the map's rows, and the rest. The mirror of reading."""
        rest = copy.deepcopy(document)
        for name in _MADE:
            rest.pop(name, None)
        values: dict[str, Any] = {}
        for entry in self._plain:
            if entry.target.name != "meta":
                values[entry.text] = documents.lookup(rest, entry.target)
                documents.remove(rest, entry.target)
        for slots in self._slots.values():
            self._split_slots(rest, values, slots)
        return values, rest

    @staticmethod
    def _split_slots(rest: dict[str, Any], values: dict[str, Any], slots: list[Entry]) -> None:
        current = documents.elements(rest, slots[0].target)
        for slot in slots:
            element = next((e for e in current if slot.fits(e) and slot.sub in e), None)
            values[slot.text] = None if element is None else element.pop(slot.sub)
            if element is None:
                continue
            if slot is slots[0] and element.get("primary") is True:
                # Reading says it again by itself.
                del element["primary"]
        said = [set(slot.constants) for slot in slots]
        left = [
            e
            for e in current
            if not (isinstance(e, dict) and any(set(e) <= names for names in said))
        ]
        documents.set_elements(rest, slots[0].target, left)

    # Advice at start

    def missing(self, paths: Iterable[str]) -> list[str]:
        """Those of ``paths`` that have no row."""
        return [path for path in paths if self.find(path) is None]


def on_wire(value: Any, leaf: fields.Field[Any] | None) -> Any:
    """A model's value as JSON has it."""
    if isinstance(leaf, DateTime) and isinstance(value, datetime):
        return timestamp(value)
    if isinstance(leaf, Boolean):
        return bool(value)
    if isinstance(value, Enum):
        value = value.value
    return value if isinstance(value, str) else str(value)


def timestamp(value: datetime) -> str:
    """A time as answers have it: in UTC, ending in ``Z``. A naive one is UTC already."""
    aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return aware.isoformat().replace("+00:00", "Z")


def _equal(found: Any, wanted: Any) -> bool:
    if isinstance(found, str) and isinstance(wanted, str):
        return found.lower() == wanted.lower()
    return bool(found == wanted)


def _agree(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(_equal(other[name], value) for name, value in one.items() if name in other)
