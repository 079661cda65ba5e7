"""Insert a row, or change the one that is there: one statement where the database has one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session


def upsert(
    session: Session,
    model: type[Any],
    key: Mapping[str, Any],
    *,
    new: Mapping[str, Any],
    known: Mapping[str, Any],
) -> None:
    """Insert a row of ``model`` with ``key`` and ``new``, or set ``known`` in the one that has
    the key.

    :param key: the primary key, by column.
    :param known: values, or expressions on the row that is there.
    """
    table: Any = model.__table__
    bind: Any = {"clause": table}
    match session.get_bind(**bind).dialect.name:
        case "postgresql":
            insert: Any = postgresql.insert(table)
        case "sqlite":
            insert = sqlite.insert(table)
        case _:
            mine = (table.c[name] == value for name, value in key.items())
            change = sa.update(table).where(*mine).values(**known)
            result: Any = session.execute(change, bind_arguments=bind)
            if not result.rowcount:
                session.execute(sa.insert(table).values(**key, **new), bind_arguments=bind)
            return
    statement = insert.values(**key, **new).on_conflict_do_update(
        index_elements=list(key), set_=known
    )
    session.execute(statement, bind_arguments=bind)
