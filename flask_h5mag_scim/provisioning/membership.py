"""What is in groups, by statements on the host's association tables.

A team of thousands is never loaded to add one person: adding or removing k members touches
k rows, whatever the size of the group.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

#: As many bound values as every database takes in one statement.
BATCH = 5000


class Association:
    """A table of the host's that says what is in which group.

    :param model: the association's mapped class, or its :class:`sqlalchemy.Table`.
    :param group: the name of the attribute (or column) with the group's key.
    :param member: the same for the key of what is in it.
    :raises TypeError: when one of them is not there, or both are one.
    """

    def __init__(self, model: type[Any] | sa.Table, *, group: str, member: str) -> None:
        if isinstance(model, sa.Table):
            self.table, columns = model, model.c
        else:
            mapper: Any = sa.inspect(model)
            self.table, columns = mapper.local_table, mapper.columns
        kind = type(self).__name__
        for name in (group, member):
            if name not in columns:
                raise TypeError(f"{self.table.name} has no column {name!r} for {kind}.")
        if group == member:
            raise TypeError(f"{kind} of {self.table.name} needs two columns, not {group!r} twice.")
        self.group: sa.Column[Any] = columns[group]
        self.member: sa.Column[Any] = columns[member]
        #: By the table, a host with several databases finds the right one.
        self._bind: dict[str, Any] = {"clause": self.table}

    @cached_property
    def _is_unique(self) -> bool:
        """Whether the table takes nothing into a group twice."""
        pair = {self.group, self.member}
        constraints: list[Any] = [
            each
            for each in self.table.constraints
            if isinstance(each, sa.PrimaryKeyConstraint | sa.UniqueConstraint)
        ]
        constraints += [
            index
            for index in self.table.indexes
            if index.unique
            # One that speaks of some rows only says nothing of the others.
            and not any(
                name.endswith("_where") and condition is not None
                for name, condition in index.dialect_kwargs.items()
            )
        ]
        return any(each.columns and set(each.columns) <= pair for each in constraints)

    def add(self, session: Session, group_key: Any, keys: Sequence[Any]) -> list[Any]:
        """Put something into a group; what is in it already, stays. Returns what came."""
        dialect = session.get_bind(**self._bind).dialect
        insert = None
        if self._is_unique and dialect.insert_returning:
            insert = self._insert(dialect.name, telling=True)
        if insert is None:
            return self._add_absent(session, group_key, keys)
        added: list[Any] = []
        for batch in _batches(keys):
            rows = [{self.group.key: group_key, self.member.key: key} for key in batch]
            # As one of many, a row takes longer.
            sent = rows[0] if len(rows) == 1 else rows
            came = set(session.scalars(insert, sent, bind_arguments=self._bind))
            added += [key for key in batch if key in came]
        return added

    def _add_absent(self, session: Session, group_key: Any, keys: Sequence[Any]) -> list[Any]:
        """:meth:`add` with a look before it: for a database that does not tell what came, or
        would take it twice, and where most of it is there."""
        added: list[Any] = []
        for batch in _batches(keys):
            there = set(
                session.scalars(
                    self._in_it,
                    {"scim_group": group_key, "scim_keys": list(batch)},
                    bind_arguments=self._bind,
                )
            )
            rows = [
                {self.group.key: group_key, self.member.key: key}
                for key in batch
                if key not in there
            ]
            if rows:
                # Somebody else may add the same person between the look and the insert.
                insert = self._insert(session.get_bind(**self._bind).dialect.name)
                insert = sa.insert(self.table) if insert is None else insert
                session.execute(insert, rows, bind_arguments=self._bind)
            added += [row[self.member.key] for row in rows]
        return added

    @cached_property
    def _in_it(self) -> sa.Select[Any]:
        return sa.select(self.member).where(
            self.group == sa.bindparam("scim_group"),
            self.member.in_(sa.bindparam("scim_keys", expanding=True)),
        )

    @lru_cache(maxsize=8)  # noqa: B019, an association lives as long as its process
    def _insert(self, dialect: str, *, telling: bool = False) -> Any:
        """An insert of what is not there yet, which says what it was if it is ``telling``;
        ``None`` for a database that has none."""
        match dialect:
            case "postgresql":
                insert: Any = postgresql.insert(self.table)
            case "sqlite":
                insert = sqlite.insert(self.table)
            case _:
                return None
        insert = insert.on_conflict_do_nothing()
        return insert.returning(self.member) if telling else insert

    def remove(self, session: Session, group_key: Any, keys: Sequence[Any]) -> int:
        """Take something out of a group. Returns how many left."""
        gone = 0
        for batch in _batches(keys):
            result: Any = session.execute(
                self._leaving,
                {"scim_group": group_key, "scim_keys": list(batch)},
                bind_arguments=self._bind,
            )
            gone += int(result.rowcount)
        return gone

    @cached_property
    def _leaving(self) -> sa.Delete:
        return sa.delete(self.table).where(
            self.group == sa.bindparam("scim_group"),
            self.member.in_(sa.bindparam("scim_keys", expanding=True)),
        )

    def replace(
        self, session: Session, group_key: Any, keys: Sequence[Any]
    ) -> tuple[list[Any], int]:
        """Make these, and no others, what is in a group. Returns what came, and how many
        left."""
        if len(keys) <= BATCH:
            gone = self._delete(
                session,
                self.group == group_key,
                *([self.member.not_in(keys)] if keys else []),
            )
        else:
            wanted = set(keys)
            current = session.scalars(
                sa.select(self.member).where(self.group == group_key), bind_arguments=self._bind
            )
            gone = self.remove(session, group_key, [key for key in current if key not in wanted])
        return self._add_absent(session, group_key, keys), gone

    def forget_group(self, session: Session, group_key: Any) -> None:
        """Take everything out of a group."""
        self._delete(session, self.group == group_key)

    def _delete(self, session: Session, *conditions: Any) -> int:
        statement = sa.delete(self.table).where(*conditions)
        result: Any = session.execute(statement, bind_arguments=self._bind)
        return int(result.rowcount)


class Membership(Association):
    """Where the host keeps who belongs to which group.

    :param model: the association's mapped class, or its :class:`sqlalchemy.Table`.
    :param group: the name of the attribute (or column) with the group's key.
    :param user: the same for the user's key.
    :raises TypeError: when one of them is not there.
    """

    def __init__(self, model: type[Any] | sa.Table, *, group: str, user: str) -> None:
        super().__init__(model, group=group, member=user)

    @property
    def user(self) -> sa.Column[Any]:
        """The column with the user's key."""
        return self.member

    def forget_user(self, session: Session, user_key: Any) -> None:
        """Take a user out of every group."""
        self._delete(session, self.user == user_key)


class Nesting(Association):
    """Where the host keeps which group is in which other group.

    :param model: the association's mapped class, or its :class:`sqlalchemy.Table`.
    :param group: the name of the attribute (or column) with the key of the group above.
    :param member: the same for the group that is in it.
    :raises TypeError: when one of them is not there.
    """

    def above(self, session: Session, group_key: Any) -> set[Any]:
        """The keys of the groups that a group is in, directly or through others."""
        found = sa.select(self.group).where(self.member == group_key).cte(recursive=True)
        # UNION, so that it ends even where somebody else has made a circle.
        found = found.union(sa.select(self.group).where(self.member == found.c[0]))
        return set(session.scalars(sa.select(found.c[0]), bind_arguments=self._bind))

    def forget_group(self, session: Session, group_key: Any) -> None:
        """Take everything out of a group, and the group out of every other."""
        self._delete(session, sa.or_(self.group == group_key, self.member == group_key))


def _batches(keys: Sequence[Any]) -> Iterable[Sequence[Any]]:
    for start in range(0, len(keys), BATCH):
        yield keys[start : start + BATCH]
