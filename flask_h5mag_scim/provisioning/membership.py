"""The members of groups, by statements on the host's association table.

A team of thousands is never loaded to add one person: adding or removing k members touches
k rows, whatever the size of the group.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

#: As many bound values as every database takes in one statement.
BATCH = 5000


class Membership:
    """Where the host keeps who belongs to which group.

    :param model: the association's mapped class, or its :class:`sqlalchemy.Table`.
    :param group: the name of the attribute (or column) with the group's key.
    :param user: the same for the user's key.
    :raises TypeError: when one of them is not there.
    """

    def __init__(self, model: type[Any] | sa.Table, *, group: str, user: str) -> None:
        if isinstance(model, sa.Table):
            self.table, columns = model, model.c
        else:
            mapper: Any = sa.inspect(model)
            self.table, columns = mapper.local_table, mapper.columns
        for name in (group, user):
            if name not in columns:
                raise TypeError(f"{self.table.name} has no column {name!r} for Membership.")
        self.group: sa.Column[Any] = columns[group]
        self.user: sa.Column[Any] = columns[user]
        #: By the table, a host with several databases finds the right one.
        self._bind: dict[str, Any] = {"clause": self.table}

    def add(self, session: Session, group_key: Any, user_keys: Sequence[Any]) -> int:
        """Let users belong to a group; who does already, stays. Returns how many came."""
        added = 0
        for batch in _batches(user_keys):
            there = set(
                session.scalars(
                    sa.select(self.user).where(self.group == group_key, self.user.in_(batch)),
                    bind_arguments=self._bind,
                )
            )
            rows = [
                {self.group.key: group_key, self.user.key: key} for key in batch if key not in there
            ]
            if rows:
                session.execute(self._insert(session), rows, bind_arguments=self._bind)
            added += len(rows)
        return added

    def _insert(self, session: Session) -> Any:
        # Somebody else may add the same person between the look and the insert.
        match session.get_bind(**self._bind).dialect.name:
            case "postgresql":
                return postgresql.insert(self.table).on_conflict_do_nothing()
            case "sqlite":
                return sqlite.insert(self.table).on_conflict_do_nothing()
            case _:
                return sa.insert(self.table)

    def remove(self, session: Session, group_key: Any, user_keys: Sequence[Any]) -> int:
        """Let users no longer belong to a group. Returns how many left."""
        return sum(
            self._delete(session, self.group == group_key, self.user.in_(batch))
            for batch in _batches(user_keys)
        )

    def replace(self, session: Session, group_key: Any, user_keys: Sequence[Any]) -> int:
        """Make these users, and no others, the members. Returns how many came and left."""
        if len(user_keys) <= BATCH:
            gone = self._delete(
                session,
                self.group == group_key,
                *([self.user.not_in(user_keys)] if user_keys else []),
            )
        else:
            wanted = set(user_keys)
            current = session.scalars(
                sa.select(self.user).where(self.group == group_key), bind_arguments=self._bind
            )
            gone = self.remove(session, group_key, [key for key in current if key not in wanted])
        return gone + self.add(session, group_key, user_keys)

    def forget_user(self, session: Session, user_key: Any) -> None:
        """Take a user out of every group."""
        self._delete(session, self.user == user_key)

    def forget_group(self, session: Session, group_key: Any) -> None:
        """Take everybody out of a group."""
        self._delete(session, self.group == group_key)

    def _delete(self, session: Session, *conditions: Any) -> int:
        statement = sa.delete(self.table).where(*conditions)
        result: Any = session.execute(statement, bind_arguments=self._bind)
        return int(result.rowcount)

    def has_user(self, group_key: Any, user_key: Any) -> sa.ColumnElement[bool]:
        """The condition that a group (a column) has a user (a bound value)."""
        return sa.exists().where(self.group == group_key, self.user == user_key)


def _batches(keys: Sequence[Any]) -> Iterable[Sequence[Any]]:
    for start in range(0, len(keys), BATCH):
        yield keys[start : start + BATCH]
