"""The host's map ``{SCIM path: model attribute}``, joined with the attribute table.

Reading, writing, filtering, PATCH, ``/Schemas`` and the page all derive from it. What is
not in the map cannot be lost: only differences are written.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import partial
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from marshmallow import ValidationError, fields
from sqlalchemy.ext.hybrid import HybridExtensionType

from ..protocol import documents
from ..protocol.discovery import scim_type
from ..protocol.errors import InvalidValue, SCIMError
from ..protocol.paths import parse_path
from ..protocol.schemas import Boolean, Complex, DateTime, Table, Target, deserialize

CATCH_ALL = "*"

#: What attributes were and what they are now, by their SCIM paths.
Values = dict[str, tuple[Any, Any]]

#: Made by the server for every answer; never read from the map's model attributes.
_NEVER_MAPPED = frozenset({"id", "schemas", "groups", "members", "password"})
_MADE = ("schemas", "id", "meta", "groups", "members", "password")

#: An element of a list, as reading makes it: what its brackets say, whether it comes first, and
#: of each value that is kept of it the place, the sub-attribute and the field.
_Part = tuple[Mapping[str, Any], bool, list[tuple[int, str, fields.Field[Any] | None]]]

#: How many paths a map remembers the rows of.
_MAX_FOUND = 256


@dataclass(frozen=True)
class Entry:
    """One row of the map."""

    target: Target
    #: The name of the model's attribute.
    attribute: str
    #: What the brackets of a multi-valued attribute say of the element; empty without.
    constants: Mapping[str, Any]
    #: Whether a client's value may be set: nothing read-only, and no hybrid without a setter.
    writable: bool
    #: Makes what a column of numbers, UUIDs or an enumeration keeps; ``None`` for texts.
    #: Raises :class:`ValueError` for a text that it cannot keep.
    convert: Callable[[str], Any] | None = None

    @property
    def text(self) -> str:
        """The SCIM path as people read it."""
        return self.target.text

    @property
    def ignores_case(self) -> bool:
        """Whether two texts that differ in case are one value."""
        leaf = self.target.leaf
        exact = leaf is not None and leaf.metadata.get("caseExact")
        return self.convert is None and not exact

    @property
    def sub(self) -> str:
        """The sub-attribute that a slot keeps."""
        return self.target.sub or "value"

    def for_model(self, value: Any) -> Any:
        """A client's value as the model's attribute keeps it.

        :raises InvalidValue: when it cannot be kept there.
        """
        if value is None or isinstance(self.target.leaf, Boolean):
            return value
        try:
            text = _scalar(value)
            return text if self.convert is None else self.convert(text)
        except ValueError:
            shown = repr(str(value)[:100])
            raise InvalidValue(
                f"{self.text}: {shown} is not a value that this application keeps.",
                path=self.text,
                values=[shown],
            ) from None

    def fits(self, element: Any) -> bool:
        """Whether an element of the list is this slot's."""
        return isinstance(element, dict) and all(
            _equal(element.get(name), value) for name, value in self.constants.items()
        )


@dataclass(frozen=True)
class Element:
    """One element of a multi-valued attribute, as far as the map's rows keep it: the rows
    with the same brackets."""

    slots: tuple[Entry, ...]
    #: Whether it comes first, and so is the primary one while no other says so.
    first: bool

    @property
    def constants(self) -> Mapping[str, Any]:
        """What the brackets say of it."""
        return self.slots[0].constants

    def fits(self, element: Any) -> bool:
        """Whether an element of the list is this one."""
        return self.slots[0].fits(element)

    def takes(self, element: Any) -> bool:
        """Whether an element of the list is this one and has something that is kept."""
        return self.fits(element) and any(slot.sub in element for slot in self.slots)

    def lacks(self, element: Any) -> bool:
        """Whether an element of the list is this one without what is kept."""
        return self.fits(element) and not self.takes(element)


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
                self._check_catch_all(attribute, writable)
                self.extra = attribute
                continue
            entry = self._entry(key, attribute, writable)
            for other in self.entries:
                if str(other.target.path).lower() == str(entry.target.path).lower():
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
        lists: dict[tuple[str | None, str], dict[str, list[Entry]]] = {}
        for entry in self.entries:
            if entry.target.multi_valued:
                alike = lists.setdefault((entry.target.urn, entry.target.name), {})
                alike.setdefault(repr(sorted(entry.constants.items())).lower(), []).append(entry)
        self._elements = {
            place: [Element(tuple(slots), not n) for n, slots in enumerate(alike.values())]
            for place, alike in lists.items()
        }
        self._by_place = {(e.target.urn, e.target.name, e.target.sub): e for e in self._plain}
        self._found: dict[str, Entry | None] = {}
        self._names = list(dict.fromkeys(entry.attribute for entry in self.entries))
        if self.extra and self.extra not in self._names:
            self._names.append(self.extra)
        places = {name: place for place, name in enumerate(self._names)}
        self._place_of_extra = places.get(self.extra) if self.extra else None
        #: The rows as reading takes them: where among the values of all names each one's is.
        self._plan = [
            (
                places[e.attribute],
                target,
                target.name,
                target.sub,
                leaf,
                not isinstance(leaf, Boolean),
            )
            for e in self._plain
            for target, leaf in [(e.target, e.target.leaf)]
        ]
        self._made: dict[tuple[str | None, str], list[_Part]] = {
            place: [
                (
                    element.constants,
                    element.first,
                    [(places[e.attribute], e.sub, e.target.leaf) for e in element.slots],
                )
                for element in elements
            ]
            for place, elements in self._elements.items()
        }

    # Start-up checks

    def _check_attribute(self, key: str, attribute: str) -> bool:
        mapper: Any = sa.inspect(self.model)
        if not (isinstance(key, str) and isinstance(attribute, str)):
            raise ValueError(
                f"{self._where}: {key!r} and its value must be texts, a SCIM path and the name "
                "of an attribute."
            )
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

    def _check_catch_all(self, attribute: str, writable: bool) -> None:
        column = getattr(self.model, attribute)
        # A type of the host's own may well keep JSON.
        if not writable or not isinstance(
            column.type, sa.JSON | sa.types.TypeDecorator | sa.types.NullType
        ):
            raise ValueError(
                f"{self._where}: '*' is mapped to {attribute!r}, which does not keep JSON. Name a "
                "column of the type sa.JSON."
            )

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
        unknown = target.field is None or (target.sub and target.sub_field is None)
        if target.container or (unknown and target.urn in (None, *self.table.extensions)):
            raise ValueError(
                f"{self._where}: {key!r} is no attribute of {self.table.schema.__name__} in "
                "RFC 7643; what that does not know is kept by '*'."
            )
        constants: Mapping[str, Any] = {}
        if target.multi_valued:
            found = documents.constants(target.filter)
            if not found or not target.sub:
                raise ValueError(
                    f"{self._where}: {key!r} is multi-valued. Say which value it means, like "
                    f'{name}[type eq "work"].value.'
                )
            self._check_constants(key, target, found)
            constants = found
        elif target.filter is not None:
            raise ValueError(f"{self._where}: {key!r} has brackets, but is single-valued.")
        if isinstance(target.leaf, Complex):
            part = next(iter(target.leaf.sub_attributes))
            raise ValueError(
                f"{self._where}: {key!r} is complex. Map its parts, like {key}.{part}."
            )
        writable = writable and not target.read_only
        is_text = not isinstance(target.leaf, Boolean | DateTime)
        convert = self._converter(attribute) if is_text else None
        return Entry(target, attribute, constants, writable, convert)

    def _check_constants(self, key: str, target: Target, found: dict[str, Any]) -> None:
        try:
            deserialize(target.element, found, target.text)
        except ValidationError:
            wrong = True
        else:
            known = target.element.sub_attributes if isinstance(target.element, Complex) else found
            wrong = not found.keys() <= known.keys()
        if wrong:
            raise ValueError(f"{self._where}: the brackets of {key!r} fit no {target.name}.")

    def _converter(self, attribute: str) -> Callable[[str], Any] | None:
        kind = getattr(self.model, attribute).type
        match kind:
            case sa.Enum():
                return partial(_member, {str(on_wire(m, None)).lower(): m for m in _members(kind)})
            case sa.Integer():
                return partial(_integer, bound=integer_bound(kind))
            case sa.Uuid():
                return uuid.UUID if kind.as_uuid else _uuid_text
        return None

    # Looking up

    def find(self, path: str) -> Entry | None:
        """The row for a SCIM path, or ``None``."""
        # Every write asks for the same few paths. What is asked for is never a client's text,
        # but nobody has to rely on that.
        if path not in self._found and len(self._found) < _MAX_FOUND:
            self._found[path] = self._find(path)
        return self._found[path] if path in self._found else self._find(path)

    def _find(self, path: str) -> Entry | None:
        wanted = self.table.locate(parse_path(path)).path
        return next((entry for entry in self.entries if entry.target.path == wanted), None)

    def at(self, target: Target) -> Entry | None:
        """The row for a single-valued target."""
        return self._by_place.get((target.urn, target.name, target.sub))

    def parts(self, target: Target) -> list[Entry]:
        """The rows below a single-valued complex attribute, such as ``name``."""
        place = (target.urn, target.name)
        return [e for e in self._plain if (e.target.urn, e.target.name) == place]

    def elements(self, target: Target) -> list[Element]:
        """What the rows keep of a multi-valued attribute."""
        return self._elements.get((target.urn, target.name), [])

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
        wanted = documents.constants(target.filter) or {}
        slots = [
            slot
            for element in self.elements(target)
            for slot in element.slots
            if _agree(slot.constants, wanted)
        ]
        if target.sub is None:
            return bool(slots)
        return any(target.sub in (slot.sub, "primary", *slot.constants) for slot in slots)

    def canonical_values(self, target: Target) -> list[str] | None:
        """What the ``type`` of a multi-valued attribute can be: that of the rows' brackets,
        and with ``"*"`` what the RFC says as well. ``None`` where the map says nothing."""
        elements = self.elements(target)
        if target.sub != "type" or not elements:
            return None
        field = target.sub_field
        usual = field.metadata.get("canonicalValues", ()) if field and self.extra else ()
        mapped = [e.constants["type"] for e in elements if "type" in e.constants]
        return list({value.lower(): value for value in (*mapped, *usual)}.values())

    def rows(self, unique: Collection[str]) -> list[AttributeRow]:
        """The mapped attributes for people, in the host's order; ``meta`` is left out.

        :param unique: the paths that the resource keeps unique within an account.
        """
        return [
            AttributeRow(
                path=entry.text,
                type=scim_type(entry.target.leaf) if entry.target.leaf else "string",
                filterable=True,
                unique=entry.text in unique,
                required=bool(entry.target.field and entry.target.field.required),
            )
            for entry in self.entries
            if entry.target.name != "meta"
        ]

    # Reading

    def columns(self) -> list[Any]:
        """What a ``select`` needs so that its rows can be read by :meth:`document`."""
        return [getattr(self.model, name).label(name) for name in self._names]

    def document(self, source: Any) -> dict[str, Any]:
        """The resource as a document, without ``id``, ``schemas`` and what refers to others.

        :param source: an entity, or a row of :meth:`columns`; both answer to the same names.
        """
        return self.documents([source])[0]

    def documents(self, sources: Sequence[Any]) -> list[dict[str, Any]]:
        """:meth:`document` for several entities, or for several rows of one statement."""
        names = self._names
        if not (sources and isinstance(sources[0], sa.Row)):
            return [self._document([getattr(each, name) for name in names]) for each in sources]
        # A row takes ten times as long to answer to a name as to a number.
        places = {name: place for place, name in enumerate(sources[0]._fields)}
        take = itemgetter(*(places[name] for name in names))
        rows = ((take(row),) if len(names) == 1 else take(row) for row in sources)
        return [self._document(row) for row in rows]

    def _document(self, values: Sequence[Any]) -> dict[str, Any]:
        """A document of the values of all names, in their order."""
        kept = None if self._place_of_extra is None else values[self._place_of_extra]
        # A copy: an entity's is still the entity's.
        result: dict[str, Any] = documents.copied(kept) if kept else {}
        # A list does this for every value on the page. What most of them are is done right
        # here, without asking the schema again: texts at the top or one level below it.
        for place, target, name, sub, leaf, is_text in self._plan:
            value = values[place]
            if value is None:
                continue
            if not is_text or type(value) is not str:
                value = on_wire(value, leaf)
            if target.urn is not None:
                documents.assign(result, target, value)
            elif sub is None:
                result[name] = value
            elif type(inner := result.get(name)) is dict:
                inner[sub] = value
            else:
                result[name] = {sub: value}
        for (urn, name), parts in self._made.items():
            if urn is not None or result.get(name) is not None:
                named = dict(zip(self._names, values, strict=True))
                self._read_elements(result, named, self._elements[urn, name])
            elif made := _made_of(values, parts):
                # Nothing of it is in "*", as usual: nothing to find there and to sort.
                result[name] = made
        return result

    @staticmethod
    def _read_elements(
        document: dict[str, Any], values: Mapping[str, Any], elements: list[Element]
    ) -> None:
        target = elements[0].slots[0].target
        current = documents.elements(document, target)
        own: dict[int, dict[str, Any]] = {}
        first: dict[str, Any] | None = None
        for element in elements:
            found = {slot.sub: values[slot.attribute] for slot in element.slots}
            if all(value is None for value in found.values()):
                continue
            # What '*' kept of this element lacks just what the rows keep.
            rest = next((e for e in current if id(e) not in own and element.lacks(e)), None)
            if rest is None:
                rest = dict(element.constants)
                current = [*current, rest]
            for slot in element.slots:
                if found[slot.sub] is not None:
                    rest[slot.sub] = on_wire(found[slot.sub], slot.target.leaf)
            own[id(rest)] = rest
            first = rest if element.first else first
        said = [e for e in current if isinstance(e, dict) and e.get("primary") is True]
        if first is not None and not said:
            first.setdefault("primary", True)
        if any(element.constants.get("primary") is True for element in elements) and any(
            id(e) in own for e in said
        ):
            # "*" may be older than the row that keeps the primary one.
            for other in (e for e in said if id(e) not in own):
                other["primary"] = False
        if current:
            # The elements in the host's own columns come first.
            current = sorted(current, key=lambda element: id(element) not in own)
            documents.set_elements(document, target, current)

    # Writing

    def write(
        self, obj: Any, before: dict[str, Any], after: dict[str, Any]
    ) -> tuple[Values, list[str]]:
        """Set on ``obj`` what differs between two documents.

        :returns: what was written, and the paths that this host cannot keep.
        """
        # A PATCH leaves most of a resource alone: only what differs is taken apart.
        names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        old, old_rest = self._split(before, names)
        new, new_rest = self._split(after, names)
        written: Values = {}
        # Not even "*" may become a store of clear passwords.
        core = self.table.core
        ignored = [name for name in after if name in core and core[name].load_only]
        for entry in self.entries:
            was, now = old.get(entry.text), new.get(entry.text)
            if now == was or entry.target.read_only:
                continue
            if entry.writable:
                self._set(obj, entry, now)
                written[entry.text] = was, now
            elif now is not None:
                # What is only absent, nobody asked for.
                ignored.append(entry.text)
        differing = _differing(old_rest, new_rest)
        if self.extra is not None and differing:
            setattr(obj, self.extra, self._split(after, after)[1])
            written |= differing
        else:
            ignored += differing
        return written, ignored

    def values(self, document: dict[str, Any]) -> dict[str, Any]:
        """What a document says of each attribute that clients may write."""
        values, rest = self._split(document, document)
        return {
            entry.text: values[entry.text]
            for entry in self.entries
            if not entry.target.read_only and values.get(entry.text) is not None
        } | {name: value for name, (_, value) in _differing({}, rest).items()}

    @staticmethod
    def _set(obj: Any, entry: Entry, value: Any) -> None:
        try:
            setattr(obj, entry.attribute, entry.for_model(value))
        except ValueError as error:
            # The host's own validator, or the setter of its hybrid property, refuses.
            shown = repr(str(value)[:100])
            raise InvalidValue(
                f"{entry.text}: the application does not accept {shown}.",
                path=entry.text,
                values=[shown],
            ) from error

    def _split(
        self, document: dict[str, Any], names: Iterable[str]
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """A document as the values of the map's rows, where there are any, and the rest. The
        mirror of reading.

        :param names: the members of the document that are meant.
        """
        rest = {
            name: documents.copied(document[name])
            for name in names
            if name in document and name not in _MADE
        }
        values: dict[str, Any] = {}
        for entry in self._plain:
            if (entry.target.urn or entry.target.name) in rest:
                values[entry.text] = documents.lookup(rest, entry.target)
                documents.remove(rest, entry.target)
        for (urn, name), elements in self._elements.items():
            if (urn or name) in rest:
                self._split_elements(rest, values, elements)
        # RFC 7643 §2.5: an empty list is no value, and so is an object without any.
        return values, _pruned(rest)

    @staticmethod
    def _split_elements(
        rest: dict[str, Any], values: dict[str, Any], elements: list[Element]
    ) -> None:
        target = elements[0].slots[0].target
        current = documents.elements(rest, target)
        taken: list[tuple[Element, dict[str, Any]]] = []
        for element in elements:
            found: dict[str, Any] = next((e for e in current if element.takes(e)), {})
            for slot in element.slots:
                values[slot.text] = found.pop(slot.sub, None)
            if any(values[slot.text] is not None for slot in element.slots):
                taken.append((element, found))
                current = [e for e in current if e is not found]
                if (
                    element.first
                    and "primary" not in element.constants
                    and found.get("primary") is True
                ):
                    # Reading says it again by itself.
                    del found["primary"]
        others = [e for e in current if not any(_says_nothing(e, one) for one in elements)]
        # Reading gives what a row keeps to the first element that fits and lacks it. What is
        # left of the right one goes first, even with nothing to say if another would be taken.
        left = [*(found for _, found in taken), *others]
        own = [
            found
            for element, found in taken
            if dict(element.constants) != found
            or any(element.lacks(other) for other in left if other is not found)
        ]
        documents.set_elements(rest, target, [*own, *others])

    # Advice at start

    def missing(self, paths: Iterable[str]) -> list[str]:
        """Those of ``paths`` that have no row."""
        return [path for path in paths if self.find(path) is None]


def _made_of(values: Sequence[Any], parts: list[_Part]) -> list[dict[str, Any]]:
    """The list of a multi-valued attribute of which only the rows keep something."""
    made = []
    first: dict[str, Any] | None = None
    is_said = False
    for constants, is_first, slots in parts:
        one: dict[str, Any] | None = None
        for place, sub, leaf in slots:
            value = values[place]
            if value is not None:
                one = {**constants} if one is None else one
                one[sub] = on_wire(value, leaf)
        if one is not None:
            made.append(one)
            is_said = is_said or one.get("primary") is True
            first = one if is_first else first
    if first is not None and not is_said:
        first.setdefault("primary", True)
    return made


def on_wire(value: Any, leaf: fields.Field[Any] | None) -> Any:
    """A model's value as JSON has it."""
    if isinstance(leaf, Boolean):
        return bool(value)
    if type(value) is str:
        return value  # most of them
    if isinstance(leaf, DateTime) and isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, Enum):
        value = value.value
    return value if isinstance(value, str) else str(value)


def timestamp(value: datetime) -> str:
    """A time as answers have it: in UTC, ending in ``Z``. A naive one is UTC already."""
    if value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return f"{value.isoformat()}Z"


def _says_nothing(item: Any, element: Element) -> bool:
    """Whether an item of the list holds only what the brackets say of it."""
    return element.fits(item) and set(item) <= set(element.constants)


def _pruned(value: dict[str, Any]) -> dict[str, Any]:
    parts = {k: _pruned(v) if isinstance(v, dict) else v for k, v in value.items()}
    return {k: v for k, v in parts.items() if v not in (None, [], {})}


def _differing(old: dict[str, Any], new: dict[str, Any]) -> Values:
    """What differs, by name; within an extension or a complex attribute, by its parts."""
    found: Values = {}
    for name in {**old, **new}:
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if isinstance(before or {}, dict) and isinstance(after or {}, dict):
            between = ":" if name.lower().startswith("urn:") else "."
            parts = {**(before or {}), **(after or {})}
            for part in parts:
                both = (before or {}).get(part), (after or {}).get(part)
                if both[0] != both[1]:
                    found[f"{name}{between}{part}"] = both
        else:
            found[name] = before, after
    return found


def integer_bound(kind: sa.Integer) -> int:
    """Below what a column of this type keeps whole numbers."""
    if isinstance(kind, sa.BigInteger):
        return 2**63
    return 2**15 if isinstance(kind, sa.SmallInteger) else 2**31


def _scalar(value: Any) -> str:
    # A custom attribute may be anything; what a column keeps of it is one value.
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError
    return str(value)


def _integer(text: str, *, bound: int) -> int:
    # int() reads underscores, blanks and digits of any script.
    if not re.fullmatch(r"-?[0-9]{1,19}", text) or abs(int(text)) >= bound:
        raise ValueError
    return int(text)


def _uuid_text(text: str) -> str:
    return str(uuid.UUID(text))


def _members(kind: sa.Enum) -> Iterable[Any]:
    return kind.enum_class or kind.enums


def _member(known: Mapping[str, Any], text: str) -> Any:
    if text.lower() not in known:
        raise ValueError
    return known[text.lower()]


def _equal(found: Any, wanted: Any) -> bool:
    if isinstance(found, str) and isinstance(wanted, str):
        return found.lower() == wanted.lower()
    return bool(found == wanted)


def _agree(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(_equal(other[name], value) for name, value in one.items() if name in other)
