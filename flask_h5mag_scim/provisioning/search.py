"""Pages of resources, of one type or of several: filtered, sorted and cut by the database
(RFC 7644 §3.4.2).

A page is found by its index, or by the place where the last one ended (RFC 9865). The
statements are kept by their shape; values are bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import add
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..protocol.errors import InvalidValue
from ..protocol.messages import Query
from ..protocol.paths import AttrExp, ValuePath, parse_filter
from .expressions import Shape, as_text, not_searched
from .ordering import Sorting, SortKey, comes_after, order_by
from .rows import fetch

if TYPE_CHECKING:
    from .resources import Resource

#: The account's key among the bound values of every statement on a host's models.
ACCOUNT = "scim_account"


@dataclass(frozen=True)
class Page:
    """One page of a list, found by its index."""

    #: Rows of :attr:`Resource.columns`, and the number of each one's type.
    rows: Sequence[Any]
    types: Sequence[int]
    total: int


@dataclass(frozen=True)
class Place:
    """A place in an order of resources: right after this one, which may be gone by now."""

    type: int
    key: Any
    #: What it was sorted by; ``None`` without a value, and where nothing is sorted.
    value: Any = None


@dataclass(frozen=True)
class Stretch:
    """One page of a list, found by the place where the last one ended."""

    rows: Sequence[Any]
    types: Sequence[int]
    #: Where the next page begins; ``None`` on the last one.
    end: Place | None
    #: How many there are on all pages, where that is known without counting.
    total: int | None


@dataclass(frozen=True, slots=True)
class _Shape:
    """All that a statement is made of but for the values."""

    #: For each type: its filter and what it is sorted by, ``None`` without.
    filters: tuple[Shape | None, ...]
    sorts: tuple[SortKey | None, ...]
    descending: bool
    #: The type of the place that is begun at, and whether that has a value.
    place: tuple[int, bool] | None = None


class Search:
    """Lists of one resource type, or of several together in the order they are given here.

    An attribute that one of several types does not have is one without a value there.
    """

    def __init__(self, *resources: Resource) -> None:
        self.resources = resources
        self._sortings = [Sorting(one.map, one.key_attribute) for one in resources]
        #: By it the session knows which database is asked.
        self._model = resources[0].model

    def page(self, session: Session, account_id: Any, query: Query) -> Page:
        """The page at ``start_index``.

        :raises InvalidFilter: when the filter cannot be asked of the database.
        :raises InvalidValue: when nothing is sorted by what ``sort_by`` names.
        """
        filters, parameters, statement = self._asked(account_id, query)
        offset = query.start_index - 1
        found: Sequence[Any] = []
        total: int | None = None
        if query.count:
            found = fetch(session, self._model, statement, parameters).all()
            # A page that is not full, or the first one empty, has counted itself.
            if len(found) < query.count and (found or not offset):
                total = offset + len(found)
        if total is None:
            total = self._total(session, filters, parameters)
        return Page(*self._rows(session, account_id, found), total)

    def statement(self, account_id: Any, query: Query) -> tuple[sa.Select[Any], dict[str, Any]]:
        """What :meth:`page` asks the database, and the values, for whoever explains it.

        :raises InvalidFilter: like :meth:`page`.
        :raises InvalidValue: like :meth:`page`.
        """
        _, parameters, statement = self._asked(account_id, query)
        return statement, parameters

    def _asked(
        self, account_id: Any, query: Query
    ) -> tuple[tuple[Shape | None, ...], dict[str, Any], sa.Select[Any]]:
        filters, values = self._prepare(query)
        shape = _Shape(filters, self._sorts(query), query.descending)
        offset = query.start_index - 1
        limits = {
            "scim_limit": query.count,
            "scim_offset": offset,
            "scim_reach": query.count + offset,
        }
        return filters, {ACCOUNT: account_id, **values, **limits}, self._page(shape)

    def follow(
        self, session: Session, account_id: Any, query: Query, place: Place | None
    ) -> Stretch:
        """The page that begins at ``place``; the first one without.

        :raises InvalidFilter: when the filter cannot be asked of the database.
        :raises InvalidValue: when nothing is sorted by what ``sort_by`` names.
        """
        filters, values = self._prepare(query)
        begin = None if place is None else (place.type, place.value is not None)
        shape = _Shape(filters, self._sorts(query), query.descending, begin)
        parameters = {ACCOUNT: account_id, **values}
        if not query.count:
            return Stretch([], [], None, self._total(session, filters, parameters))
        # One more than is shown tells whether there is another page.
        reach = query.count + 1
        limits = {"scim_limit": reach, "scim_offset": 0, "scim_reach": reach}
        if place is not None:
            limits |= {"scim_after_key": place.key, "scim_after_value": place.value}
        found = fetch(session, self._model, self._page(shape), {**parameters, **limits}).all()
        shown, is_last = found[: query.count], len(found) < reach
        rows, types = self._rows(session, account_id, shown)
        end = None if is_last else self._place(shown[-1])
        total = len(found) if is_last and place is None else None
        return Stretch(rows, types, end, total)

    # What is asked

    def _prepare(self, query: Query) -> tuple[tuple[Shape | None, ...], dict[str, Any]]:
        if query.filter is None:
            return (None,) * len(self.resources), {}
        tree = parse_filter(query.filter)
        compilers = [one.compiler for one in self.resources]
        values: dict[str, Any] = {}
        if len(compilers) == 1:
            return (compilers[0].prepare(tree, values).shape,), values
        absent: list[list[AttrExp | ValuePath]] = [[] for _ in compilers]
        shapes = tuple(
            compiler.prepare(tree, values, missing).shape
            for compiler, missing in zip(compilers, absent, strict=True)
        )
        for term in absent[0]:
            if all(term in others for others in absent):
                raise not_searched(term, *(compiler.map for compiler in compilers))
        return shapes, values

    def _sorts(self, query: Query) -> tuple[SortKey | None, ...]:
        if query.sort_by is None:
            return (None,) * len(self.resources)
        sorts = tuple(sorting.find(query.sort_by) for sorting in self._sortings)
        if not any(sorts):
            entries = [entry.text for one in self.resources for entry in one.map.entries]
            known = ", ".join(dict.fromkeys(["id", *entries]))
            shown = repr(query.sort_by[:100])
            raise InvalidValue(
                f"sortBy: nothing is sorted by {shown} here. What can be named: {known}.",
                path="sortBy",
                values=[shown],
            )
        return sorts

    # The statements

    @lru_cache(maxsize=256)  # noqa: B019, a search lives as long as its process
    def _page(self, shape: _Shape) -> sa.Select[Any]:
        sorted_by = self._expressions(shape.sorts)
        if len(self.resources) == 1:
            columns = [*self.resources[0].columns, *_labelled(sorted_by[0])]
            return (
                self._branch(0, shape, sorted_by)
                .with_only_columns(*columns, maintain_column_froms=True)
                .limit(sa.bindparam("scim_limit"))
                .offset(_offset(shape))
            )
        kind = next((each.type for each in sorted_by if each is not None), None)
        branches = []
        for number, expression in enumerate(sorted_by):
            columns = [sa.literal_column(str(number), sa.Integer).label("scim_type")]
            if kind is not None:
                value = sa.cast(sa.null(), kind) if expression is None else expression
                columns += _labelled(value)
            for other, resource in enumerate(self.resources):
                key = resource.key_attribute
                key = key if other == number else sa.cast(sa.null(), key.type)
                columns.append(key.label(f"scim_key_{other}"))
            # No type can have more on the page than the page has.
            branch = (
                self._branch(number, shape, sorted_by)
                .with_only_columns(*columns, maintain_column_froms=True)
                .limit(sa.bindparam("scim_reach"))
            )
            branches.append(sa.select(branch.subquery()))
        found = sa.union_all(*branches).subquery()
        ties = [column for column in found.c if column.key != "scim_value"]
        terms = order_by(
            found.c.get("scim_value"), self._nullable(shape), ties, descending=shape.descending
        )
        return (
            sa.select(found)
            .order_by(*terms)
            .limit(sa.bindparam("scim_limit"))
            .offset(_offset(shape))
        )

    def _branch(self, number: int, shape: _Shape, sorted_by: Sequence[Any]) -> sa.Select[Any]:
        """One type's resources in their order, from the place on."""
        resource, sort = self.resources[number], shape.sorts[number]
        key, expression = resource.key_attribute, sorted_by[number]
        nullable = sort is not None and sort.nullable
        found = resource.found(shape.filters[number])
        if shape.place is not None:
            begun_at, has_value = shape.place
            later: Any = sa.true() if (number > begun_at) is not shape.descending else sa.false()
            if number == begun_at:
                bound = sa.bindparam("scim_after_key", type_=key.type)
                later = key < bound if shape.descending else key > bound
            value = None
            if has_value:
                kind = next(each.type for each in sorted_by if each is not None)
                value = sa.bindparam("scim_after_value", type_=kind)
            found = found.where(
                comes_after(expression, nullable, value, later, descending=shape.descending)
            )
        terms = order_by(expression, nullable, [key], descending=shape.descending)
        return found.order_by(*terms)

    def _expressions(self, sorts: Sequence[SortKey | None]) -> list[Any]:
        """What each type is sorted by, all of one kind, because they are sorted together."""
        if len(sorts) == 1 and sorts[0] is not None and sorts[0].kind == "key":
            return [None]  # what decides between equals is all there is
        found = [
            None if sort is None else sorting.expression(sort)
            for sort, sorting in zip(sorts, self._sortings, strict=True)
        ]
        if len({_family(each.type) for each in found if each is not None}) > 1:
            return [None if each is None else as_text(each) for each in found]
        return found

    def _nullable(self, shape: _Shape) -> bool:
        return any(sort is None or sort.nullable for sort in shape.sorts)

    def _total(
        self, session: Session, filters: tuple[Shape | None, ...], parameters: dict[str, Any]
    ) -> int:
        return fetch(session, self._model, self._count(filters), parameters).scalar() or 0

    @lru_cache(maxsize=256)  # noqa: B019, a search lives as long as its process
    def _count(self, filters: tuple[Shape | None, ...]) -> sa.Select[Any]:
        counts = [
            resource.found(shape).with_only_columns(sa.func.count(), maintain_column_froms=True)
            for resource, shape in zip(self.resources, filters, strict=True)
        ]
        if len(counts) == 1:
            return counts[0]
        return sa.select(reduce(add, (each.scalar_subquery() for each in counts)))

    # What is found

    def _rows(
        self, session: Session, account_id: Any, found: Sequence[Any]
    ) -> tuple[list[Any], list[int]]:
        """The rows to what a page's statement found, and their types. Of several types it
        found keys; their rows take one statement for each type that is there."""
        if len(self.resources) == 1:
            return list(found), [0] * len(found)
        places = [self._place(each) for each in found]
        rows: dict[tuple[int, Any], Any] = {}
        for number, resource in enumerate(self.resources):
            keys = [place.key for place in places if place.type == number]
            if keys:
                for row in resource.rows_by_key(session, account_id, keys):
                    rows[number, resource.key(row)] = row
        # Somebody may have been deleted between the two statements.
        there = [place for place in places if (place.type, place.key) in rows]
        return [rows[p.type, p.key] for p in there], [p.type for p in there]

    def _place(self, found: Any) -> Place:
        value = getattr(found, "scim_value", None)
        if len(self.resources) == 1:
            return Place(0, self.resources[0].key(found), value)
        return Place(found.scim_type, getattr(found, f"scim_key_{found.scim_type}"), value)


def _labelled(expression: Any) -> list[Any]:
    return [] if expression is None else [expression.label("scim_value")]


def _offset(shape: _Shape) -> sa.BindParameter[Any] | None:
    return sa.bindparam("scim_offset") if shape.place is None else None


def _family(kind: Any) -> Any:
    """What can be compared with each other."""
    for family in (sa.String, sa.Integer, sa.Uuid):
        if isinstance(kind, family):
            return family
    return type(kind), getattr(kind, "timezone", None)
