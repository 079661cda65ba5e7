"""What lists are sorted by, as SQL (RFC 7644 §3.4.2.3), and what comes after a place in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ..protocol import documents
from ..protocol.errors import SCIMError
from ..protocol.paths import parse_path
from ..protocol.schemas import Boolean, DateTime, Target
from .expressions import as_text
from .mapping import AttributeMap, Entry, on_wire


@dataclass(frozen=True, slots=True)
class SortKey:
    """What a resource is sorted by: the first of a model's attributes that has a value."""

    attributes: tuple[str, ...]
    kind: str
    #: Whether a resource may have no value at all.
    nullable: bool


class Sorting:
    """Sorting one mapped resource.

    :param key: the column of the resource's id.
    """

    def __init__(self, attributes: AttributeMap, key: Any) -> None:
        self.map = attributes
        self.key = key

    def find(self, path: str) -> SortKey | None:
        """What ``sortBy`` names, or ``None`` when nothing is kept there.

        A complex attribute is none: "the attribute name must be a path to a sub-attribute".
        """
        try:
            target = self.map.table.locate(parse_path(path))
        except SCIMError:
            return None
        if target.path == parse_path("id"):
            return SortKey((), "key", False)
        if target.multi_valued:
            entries = self._primary_first(target)
        else:
            entry = self.map.at(target)
            entries = [] if entry is None or target.filter is not None else [entry]
        if not entries:
            return None
        kinds = {self._kind(entry) for entry in entries}
        return SortKey(
            tuple(entry.attribute for entry in entries),
            kinds.pop() if len(kinds) == 1 else "text",
            all(self._is_nullable(entry) for entry in entries),
        )

    def _primary_first(self, target: Target) -> list[Entry]:
        """The rows of a multi-valued attribute: "the value of the primary attribute, if any,
        or else the first value in the list, if any"."""
        elements = self.map.elements(target)
        if target.filter is not None:
            wanted = documents.constants(target.filter)
            elements = [element for element in elements if element.fits(wanted)]
        elements = sorted(elements, key=lambda one: one.constants.get("primary") is not True)
        sub = target.sub or "value"
        return [slot for element in elements for slot in element.slots if slot.sub == sub]

    def _kind(self, entry: Entry) -> str:
        if isinstance(entry.target.leaf, Boolean):
            return "boolean"
        if isinstance(entry.target.leaf, DateTime):
            return "native"
        if entry.convert is None:
            return "text" if entry.ignores_case else "exact"
        column = getattr(self.map.model, entry.attribute)
        return "named" if isinstance(column.type, sa.Enum) else "native"

    def _is_nullable(self, entry: Entry) -> bool:
        column = sa.inspect(self.map.model).columns.get(entry.attribute)
        # Of a hybrid only the host knows.
        return column is None or bool(column.nullable)

    def expression(self, sort: SortKey) -> Any:
        """The value of a sort key, ``NULL`` where there is none."""
        if sort.kind == "key":
            return self.key
        columns = [getattr(self.map.model, name) for name in sort.attributes]
        values = [_value(column, sort.kind) for column in columns]
        return values[0] if len(values) == 1 else sa.func.coalesce(*values)


def _value(column: Any, kind: str) -> Any:
    match kind:
        case "boolean":
            # Not every database has an order for booleans.
            return sa.case((column.is_(sa.true()), 1), (column.is_(sa.false()), 0), else_=None)
        case "named":
            # Sorted by what clients see, not by the database's own names and order.
            members = column.type.enum_class or column.type.enums
            shown = ((column == member, on_wire(member, None).lower()) for member in members)
            return sa.case(*shown, else_=None)
        case "exact":
            return as_text(column)
        case "text":
            return sa.func.lower(as_text(column), type_=sa.String())
        case _:
            return column


def order_by(sort: Any, nullable: bool, ties: Sequence[Any], *, descending: bool) -> list[Any]:
    """The terms of an ``ORDER BY``: resources without a value "are ordered last if ascending
    and first if descending", and equals in an order of their own, so that pages are stable.

    :param sort: the expression that is sorted by; ``None`` for the ties alone.
    """
    terms = [] if sort is None else [sort]
    if nullable and terms:
        terms.insert(0, sort.is_(None))
    return [term.desc() for term in (*terms, *ties)] if descending else [*terms, *ties]


def comes_after(
    sort: Any, nullable: bool, value: Any, later: sa.ColumnElement[bool], *, descending: bool
) -> sa.ColumnElement[bool]:
    """The condition that a row comes after a place in the order of :func:`order_by`.

    :param value: the bound value that the place is sorted by; ``None`` where it has none.
    :param later: the condition that a row of the same value comes after it.
    """
    if value is None:
        # Rows without a value are at the end, or descending at the beginning.
        if sort is None:
            return later
        if not nullable:
            return sa.true() if descending else sa.false()
        none = sort.is_(None)
        return sa.or_(sort.is_not(None), later) if descending else sa.and_(none, later)
    if sort is None:
        return sa.false() if descending else sa.true()
    # Said so that an index is entered at the value: "a > x or (a = x and …)" would be two.
    if descending:
        return sa.and_(sort <= value, sa.or_(sort < value, later))
    after = sa.and_(sort >= value, sa.or_(sort > value, later))
    return sa.or_(after, sort.is_(None)) if nullable else after
