"""Insert a row, or change the one that is there: one statement where the database has one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session


class Upsert:
    """One way to insert or change rows of one model. Its statements are built once.

    :param key: the names of the columns by which a row is known.
    :param change: what becomes of a row that is there: takes its columns and what was sent,
        and gives new values by column.
    :param returning: a column whose value in the row afterwards is returned; or a question of
        another sort, with parameters that are sent with the row.
    """

    def __init__(
        self,
        model: type[Any],
        key: Sequence[str],
        change: Callable[[Any, Any], Mapping[str, Any]],
        *,
        returning: str | sa.ColumnElement[Any] | None = None,
    ) -> None:
        self._table: Any = model.__table__
        self._bind: Any = {"clause": self._table}
        self._key = tuple(key)
        self._change = change
        self._returning = self._table.c[returning] if isinstance(returning, str) else returning

    def __call__(self, session: Session, values: Mapping[str, Any]) -> Any:
        """Carry it out with the values of a whole row."""
        statement = self._statement(session.get_bind(**self._bind).dialect.name)
        if statement is None:
            return self._in_steps(session, values)
        found = session.execute(statement, dict(values), bind_arguments=self._bind)
        return found.scalar_one() if self._returning is not None else None

    @lru_cache(maxsize=8)  # noqa: B019, kept as long as its process
    def _statement(self, dialect: str) -> Any:
        match dialect:
            case "postgresql":
                insert: Any = postgresql.insert(self._table)
            case "sqlite":
                insert = sqlite.insert(self._table)
            case _:
                return None
        statement = insert.on_conflict_do_update(
            index_elements=list(self._key),
            set_=dict(self._change(self._table.c, insert.excluded)),
        )
        if self._returning is not None:
            statement = statement.returning(self._returning)
        return statement

    def _in_steps(self, session: Session, values: Mapping[str, Any]) -> Any:
        mine = [self._table.c[name] == values[name] for name in self._key]
        change = dict(self._change(self._table.c, SimpleNamespace(**values)))
        update = sa.update(self._table).where(*mine).values(change)
        result: Any = session.execute(update, bind_arguments=self._bind)
        if not result.rowcount:
            row = {name: value for name, value in values.items() if name in self._table.c}
            session.execute(sa.insert(self._table), row, bind_arguments=self._bind)
        if self._returning is None:
            return None
        found = sa.select(self._returning).select_from(self._table).where(*mine)
        return session.scalar(found, dict(values), bind_arguments=self._bind)
