"""What the extension knows of an account as a whole. Nothing here commits."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from .models import Records


def session_epoch(session: Session, records: Records, account_id: Any) -> int:
    """The number that the stamp of a session of the account's people must have by now."""
    AccountState = records.AccountState
    found = sa.select(AccountState.session_epoch).where(AccountState.account_id == account_id)
    return session.scalar(found) or 0


def end_sessions(session: Session, records: Records, account_id: Any) -> None:
    """Let every session of the account's people that began until now be over."""
    table: Any = records.AccountState.__table__  # type: ignore[attr-defined]  # a mapped class
    bind: Any = {"clause": table}
    raised = {"session_epoch": table.c.session_epoch + 1}
    first = {"account_id": account_id, "session_epoch": 1}
    match session.get_bind(**bind).dialect.name:
        case "postgresql":
            insert: Any = postgresql.insert(table)
        case "sqlite":
            insert = sqlite.insert(table)
        case _:
            change = sa.update(table).where(table.c.account_id == account_id).values(**raised)
            result: Any = session.execute(change, bind_arguments=bind)
            if not result.rowcount:
                session.execute(sa.insert(table).values(**first), bind_arguments=bind)
            return
    statement = insert.values(**first).on_conflict_do_update(
        index_elements=["account_id"], set_=raised
    )
    session.execute(statement, bind_arguments=bind)
