"""Filters become SQL.

Two steps, so that statements can be kept: :meth:`Compiler.prepare` resolves a filter's
paths, checks its values and takes them out; what is left is the filter's *shape*, and
:meth:`Compiler.where` makes the expression of a shape. What cannot be compiled is an error,
never a search in Python and never an empty answer: Entra takes an empty answer for "no such
user" and makes a twin.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, NoReturn

import sqlalchemy as sa

from ..protocol import documents
from ..protocol.errors import InvalidFilter, literals
from ..protocol.paths import AttrExp, Filter, LogExp, Not, Path, ValuePath
from ..protocol.schemas import Boolean, Complex, DateTime, Target
from .mapping import AttributeMap, Element, Entry

_TEXTUAL = frozenset({"co", "sw", "ew"})


@dataclass(frozen=True, slots=True)
class Constant:
    """Decided already."""

    value: bool


@dataclass(frozen=True, slots=True)
class Joined:
    """Terms joined by ``and`` or ``or``."""

    op: str
    terms: tuple[Shape, ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """The plain opposite: also what has no value at all."""

    term: Shape


@dataclass(frozen=True, slots=True)
class Comparison:
    """A model's attribute against the value number ``slot``; ``slot`` is -1 without one."""

    attribute: str
    kind: str
    op: str
    slot: int = -1


@dataclass(frozen=True, slots=True)
class Relation:
    """Some element of an association, on one of its sides, that satisfies ``term``."""

    attribute: str
    side: str
    term: Shape


Shape = Constant | Joined | Negation | Comparison | Relation


@dataclass(frozen=True)
class Prepared:
    """A filter's shape and the values for it, as bound parameters."""

    shape: Shape
    values: dict[str, Any]


@dataclass(frozen=True)
class Side:
    """One kind of what an association table brings, as filters see it.

    :param parse_id: an id's text as the key's type, ``None`` for a text that is no id.
    :param where: the condition that a resource is related to something. It is given what
        makes a condition of the other side's column, or ``None`` for "to anything".
    :param type: the ``type`` of such an element; ``None`` where that is not searched.
    """

    parse_id: Callable[[str], Any]
    where: Callable[[Callable[[Any], sa.ColumnElement[bool]] | None], sa.ColumnElement[bool]]
    type: str | None = None


#: Attributes that are kept in association tables, and each one's sides by name.
Related = dict[str, dict[str, Side]]


class _Absent(Exception):  # noqa: N818, it says what is the case; no caller sees it
    """The attribute of a term is not kept where it could be searched."""


class Compiler:
    """Filters on one mapped resource.

    :param key: the column of the resource's id.
    :param parse_id: an id's text as the key's type, ``None`` for a text that is no id.
    :param related: attributes like ``members``.
    """

    def __init__(
        self,
        attributes: AttributeMap,
        key: Any,
        parse_id: Callable[[str], Any],
        related: Related,
    ) -> None:
        self.map = attributes
        self.key = key
        self.parse_id = parse_id
        self.related = related

    def prepare(
        self,
        tree: Filter,
        values: dict[str, Any] | None = None,
        absent: list[AttrExp | ValuePath] | None = None,
    ) -> Prepared:
        """Check a filter and take its values out.

        :param values: where the values go, beside those of another type in one statement.
        :param absent: where terms go whose attribute this type does not have: in a search of
            several types, it has no value there. Without a list they are refused.
        :raises InvalidFilter: naming what is not searched, or not so.
        """
        values = {} if values is None else values
        return Prepared(self._shape(tree, values, absent), values)

    def _shape(
        self, tree: Filter, values: dict[str, Any], absent: list[AttrExp | ValuePath] | None
    ) -> Shape:
        match tree:
            case LogExp(op, terms):
                return Joined(op, tuple(self._shape(term, values, absent) for term in terms))
            case Not(inner):
                return Negation(self._shape(inner, values, absent))
            case AttrExp() | ValuePath():
                try:
                    return self._term(tree, values)
                except _Absent:
                    if absent is None:
                        raise not_searched(tree, self.map) from None
                    absent.append(tree)
                    if isinstance(tree, ValuePath):
                        return Constant(False)
                    return Constant(documents.compare(None, tree.op, tree.value, exact=False))

    def _term(self, tree: AttrExp | ValuePath, values: dict[str, Any]) -> Shape:
        match tree:
            case ValuePath(path):
                target = self.map.table.locate(path)
                if target.urn is None and target.name in self.related and target.filter:
                    return self._relation(target.name, target.filter, values)
                return self._elements(target, None, tree, values)
            case AttrExp():
                return self._comparison(tree, values)

    def _comparison(self, tree: AttrExp, values: dict[str, Any]) -> Shape:
        if tree.op == "ne" or (tree.op == "eq" and tree.value is None):
            op = "eq" if tree.op == "ne" else "pr"
            return Negation(self._comparison(AttrExp(tree.path, op, tree.value), values))
        if tree.value is None and tree.op != "pr":
            _refuse(tree, "null is compared with eq and ne only")
        target = self.map.table.locate(tree.path)
        if target.urn is None and target.name == "id" and target.sub is None:
            return self._id(tree, values)
        if target.urn is None and target.name in self.related:
            if target.filter is not None:
                _refuse(tree, f"brackets of {target.name} stand at its end")
            inner = AttrExp(Path(target.sub or "value"), tree.op, tree.value)
            return self._relation(target.name, inner, values)
        if target.multi_valued:
            return self._elements(target, tree, tree, values)
        if target.urn is None and target.name == "meta":
            made = self._made(target, tree)
            if made is not None:
                return made
        if isinstance(target.element, Complex) and target.sub is None:
            if tree.op == "pr":
                parts = self.map.parts(target)
                if parts:
                    shapes = (self._on(part, tree, values) for part in parts)
                    return _joined("or", tuple(shapes))
            elif "value" in target.element.sub_attributes:
                target = self.map.table.locate(Path(target.name, "value", target.urn))
        entry = self.map.at(target)
        if entry is None:
            raise _Absent
        return self._on(entry, tree, values)

    def _made(self, target: Target, tree: AttrExp) -> Shape | None:
        """What the server makes of ``meta`` by itself (RFC 7643 §3.1)."""
        match (target.sub or "").lower():
            case "resourcetype":
                if tree.op != "pr" and not isinstance(tree.value, str):
                    _refuse(tree, "compare it with a text in quotes")
                kind = self.map.table.schema.__name__
                return Constant(documents.compare(kind, tree.op, tree.value, exact=True))
            case "location" | "version":
                _refuse(tree, "it is made anew for each answer and kept nowhere; search the id")
            case "" if tree.op == "pr":
                return Constant(True)
        return None

    def _id(self, tree: AttrExp, values: dict[str, Any]) -> Shape:
        if tree.op == "pr":
            return Constant(True)
        key = _key(tree, "id", self.parse_id)
        return Constant(False) if key is None else self._bound("id", "id", "eq", key, values)

    def _relation(self, name: str, tree: Filter, values: dict[str, Any]) -> Shape:
        """An attribute that is kept in association tables: on whichever side it is found."""
        shapes = []
        for kind, side in self.related[name].items():
            term = self._of_side(tree, name, side, values)
            shapes.append(term if term == Constant(False) else Relation(name, kind, term))
        return _joined("or", tuple(shapes))

    def _of_side(self, tree: Filter, name: str, side: Side, values: dict[str, Any]) -> Shape:
        match tree:
            case LogExp(op, terms):
                return _joined(op, tuple(self._of_side(t, name, side, values) for t in terms))
            case Not(inner):
                return _negated(self._of_side(inner, name, side, values))
            case AttrExp(path, "ne", value):
                return _negated(self._of_side(AttrExp(path, "eq", value), name, side, values))
            case AttrExp(path, op, value) if path.name.lower() == "type" and side.type:
                return Constant(documents.compare(side.type, op, value, exact=False))
            case AttrExp(path, op, value) if path.name.lower() == "value":
                if op == "pr" or value is None:
                    return Constant(op == "pr")
                key = _key(tree, name, side.parse_id)
                if key is None:
                    return Constant(False)
                return self._bound(name, "related", "eq", key, values)
            case _:
                known = "the value and the type are" if side.type else "only the value is"
                raise InvalidFilter(
                    f"{tree}: of {name}, {known} searched.", values=literals(str(tree))
                )

    def _elements(
        self,
        target: Target,
        outer: AttrExp | None,
        tree: AttrExp | ValuePath,
        values: dict[str, Any],
    ) -> Shape:
        """A multi-valued attribute: whatever its slots make of it, joined by ``or``."""
        elements = self.map.elements(target)
        if not elements:
            raise _Absent
        shapes = []
        for element in elements:
            terms = []
            if target.filter is not None:
                terms.append(self._bracket(target.filter, element, elements, values))
            sub = target.sub or "value"
            if outer is not None:
                inner = AttrExp(Path(sub), outer.op, outer.value)
                terms.append(self._in_element(inner, element, elements, values))
            if outer is None or all(slot.sub != sub for slot in element.slots):
                # An element of which nothing is kept is not there.
                present = (Comparison(s.attribute, "present", "pr") for s in element.slots)
                terms.append(_joined("or", tuple(present)))
            shapes.append(_joined("and", tuple(terms)))
        found = _joined("or", tuple(shapes))
        if found == Constant(False) and (target.filter or target.sub not in (None, "value")):
            kept = ", ".join(slot.text for element in elements for slot in element.slots)
            raise InvalidFilter(
                f"{tree} finds nothing that is kept here. Kept is {kept}.",
                values=literals(str(tree)),
            )
        return found

    def _bracket(
        self, tree: Filter, element: Element, elements: list[Element], values: dict[str, Any]
    ) -> Shape:
        match tree:
            case LogExp(op, terms):
                shapes = tuple(self._bracket(t, element, elements, values) for t in terms)
                return _joined(op, shapes)
            case Not(inner):
                return _negated(self._bracket(inner, element, elements, values))
            case AttrExp():
                return self._in_element(tree, element, elements, values)
            case ValuePath():
                raise InvalidFilter(
                    f"{tree}: brackets cannot stand in brackets.", values=literals(str(tree))
                )

    def _in_element(
        self, tree: AttrExp, element: Element, elements: list[Element], values: dict[str, Any]
    ) -> Shape:
        """One comparison within an element: on what the host keeps, or on what is known of
        the element without looking (its brackets, and that the first is primary)."""
        name = tree.path.name.lower()
        for slot in element.slots:
            if name == slot.sub.lower():
                if tree.op == "ne":
                    positive = AttrExp(tree.path, "eq", tree.value)
                    return _negated(self._in_element(positive, element, elements, values))
                if tree.value is None and tree.op == "eq":
                    return _negated(self._on(slot, AttrExp(tree.path, "pr"), values))
                if tree.value is None and tree.op != "pr":
                    _refuse(tree, "null is compared with eq and ne only")
                return self._on(slot, tree, values)
        known = {key.lower(): value for key, value in element.constants.items()}
        known.setdefault("primary", element.first)
        kept = sorted({slot.sub for one in elements for slot in one.slots})
        if name not in known and name not in [sub.lower() for sub in kept]:
            of = element.slots[0].target.name
            _refuse(tree, f"of {of}, only {', '.join(kept)} is kept and searched")
        found = known.get(name)
        if isinstance(found, bool) and tree.op not in ("eq", "ne", "pr"):
            _refuse(tree, "a boolean is compared with eq and ne only")
        return Constant(documents.compare(found, tree.op, tree.value, exact=False))

    def _on(self, entry: Entry, tree: AttrExp, values: dict[str, Any]) -> Shape:
        """A comparison with one of the model's attributes."""
        leaf, op, value = entry.target.leaf, tree.op, tree.value
        if isinstance(leaf, Boolean):
            if op == "pr":
                return Comparison(entry.attribute, "present", "pr")
            if op != "eq":
                _refuse(tree, "a boolean is compared with eq and ne only")
            if not isinstance(value, bool):
                _refuse(tree, "compare it with true or false")
            # Part of the shape: there are two of them, and no index to find by.
            return Comparison(entry.attribute, "boolean", "true" if value else "false")
        if isinstance(leaf, DateTime):
            if op == "pr":
                return Comparison(entry.attribute, "present", "pr")
            if op in _TEXTUAL:
                _refuse(tree, "a time has no text to search in; use gt, ge, lt or le")
            return self._bound(entry.attribute, "time", op, self._time(entry, tree), values)
        if op == "pr":
            kind = "text" if entry.convert is None else "present"
            return Comparison(entry.attribute, kind, "pr")
        if not isinstance(value, str):
            _refuse(tree, "compare it with a text in quotes")
        if entry.convert is not None:
            return self._converted(entry, entry.convert, tree, values)
        if op in _TEXTUAL and value == "":
            return Comparison(entry.attribute, "present", "pr")
        kind = "text" if entry.ignores_case else "exact"
        return self._bound(entry.attribute, kind, op, value, values)

    def _converted(
        self,
        entry: Entry,
        convert: Callable[[str], Any],
        tree: AttrExp,
        values: dict[str, Any],
    ) -> Shape:
        # As text, a UUID has no dashes on SQLite and a member of an enumeration its name.
        if tree.op != "eq":
            _refuse(tree, "it is compared with eq and ne only")
        try:
            value = convert(tree.value)
        except ValueError:
            return Constant(False)  # nobody has what cannot be kept
        return self._bound(entry.attribute, "native", "eq", value, values)

    def _time(self, entry: Entry, tree: AttrExp) -> datetime:
        try:
            value = datetime.fromisoformat(tree.value)
            aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            _refuse(tree, 'compare it with a time like "2026-01-31T09:30:00Z"')
        column = getattr(self.map.model, entry.attribute)
        keeps_zone = getattr(column.type, "timezone", True)
        return aware if keeps_zone else aware.replace(tzinfo=None)

    @staticmethod
    def _bound(
        attribute: str, kind: str, op: str, value: Any, values: dict[str, Any]
    ) -> Comparison:
        slot = len(values)
        values[f"scim_{slot}"] = value
        return Comparison(attribute, kind, op, slot)

    # The expression of a shape

    def where(self, shape: Shape, other: Any = None) -> sa.ColumnElement[bool]:
        """The condition, true or false for every row and never unknown.

        :param other: within a :class:`Relation`, the other side's column.
        """
        match shape:
            case Constant(value):
                return sa.true() if value else sa.false()
            case Joined("and", terms):
                return sa.and_(*(self.where(term, other) for term in terms))
            case Joined(_, terms):
                return sa.or_(*(self.where(term, other) for term in terms))
            case Negation(term):
                return sa.not_(self.where(term, other))
            case Relation(attribute, side, term):
                condition = None if term == Constant(True) else partial(self.where, term)
                return self.related[attribute][side].where(condition)
            case Comparison(_, "related", _, slot):
                return other == sa.bindparam(f"scim_{slot}", type_=other.type)  # type: ignore[no-any-return]  # a host's column
            case Comparison(attribute, kind, op, slot):
                return self._compare(attribute, kind, op, sa.bindparam(f"scim_{slot}"))

    def _compare(
        self, attribute: str, kind: str, op: str, bound: sa.BindParameter[Any]
    ) -> sa.ColumnElement[bool]:
        if kind == "id":
            return self.key == bound  # type: ignore[no-any-return]  # a host's column
        column: Any = getattr(self.map.model, attribute)
        if kind == "boolean":
            return column.is_(sa.true() if op == "true" else sa.false())  # type: ignore[no-any-return]  # the same
        there = column.is_not(None)
        if kind == "present" or (kind == "text" and op == "pr"):
            return there if kind == "present" else sa.and_(there, as_text(column) != "")
        if kind in ("time", "native"):
            return sa.and_(there, _ordered(op, column, bound))
        column = as_text(column)
        bound = sa.bindparam(bound.key, type_=sa.String())
        # The database lowers both sides: its idea of a letter decides on either.
        left, right = (column, bound) if kind == "exact" else (_lower(column), _lower(bound))
        match op:
            case "co":
                return sa.and_(there, sa.func.replace(left, right, "") != left)
            case "sw":
                return sa.and_(there, sa.func.substr(left, 1, sa.func.length(right)) == right)
            case "ew":
                start = sa.func.length(left) - sa.func.length(right) + 1
                return sa.and_(there, start >= 1, sa.func.substr(left, start) == right)
            case _:
                return sa.and_(there, _ordered(op, left, right))


def not_searched(tree: AttrExp | ValuePath, *maps: AttributeMap) -> InvalidFilter:
    """The refusal of a term, with what is searched instead."""
    name = maps[0].table.locate(tree.path).text or str(tree)
    entries = [entry.text for attributes in maps for entry in attributes.entries]
    known = ", ".join(dict.fromkeys(["id", *entries]))
    return InvalidFilter(
        f"{name} is not searched here. Attributes that are: {known}.",
        values=literals(str(tree)),
    )


def _ordered(op: str, left: Any, right: Any) -> Any:
    match op:
        case "eq":
            return left == right
        case "gt":
            return left > right
        case "ge":
            return left >= right
        case "lt":
            return left < right
        case _:
            return left <= right


def as_text(column: Any) -> Any:
    """A column's values as the database's texts."""
    return column if isinstance(column.type, sa.String) else sa.cast(column, sa.String)


def _lower(value: Any) -> Any:
    return sa.func.lower(value)


def _joined(op: str, terms: tuple[Shape, ...]) -> Shape:
    """Terms joined, with what is decided already taken out."""
    dominant = Constant(op == "or")
    if dominant in terms:
        return dominant
    rest = tuple(term for term in terms if not isinstance(term, Constant))
    if not rest:
        return Constant(op == "and")
    return rest[0] if len(rest) == 1 else Joined(op, rest)


def _negated(shape: Shape) -> Shape:
    return Constant(not shape.value) if isinstance(shape, Constant) else Negation(shape)


def _refuse(tree: AttrExp, why: str) -> NoReturn:
    raise InvalidFilter(f"{tree}: {why}.", values=literals(str(tree)))


def _key(tree: AttrExp, name: str, parse: Callable[[str], Any]) -> Any:
    """The key that an id is compared with; ``None`` for a text that is no id."""
    if tree.op != "eq":
        _refuse(tree, f"{name} is compared with eq and ne only")
    if not isinstance(tree.value, str):
        _refuse(tree, "an id is a text in quotes")
    return parse(tree.value)
