"""Which of the host's users came, or were taken over, through an account's SCIM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from .models import Records, now


def mark(session: Session, records: Records, account_id: Any, user_id: Any) -> None:
    """Remember that this account's SCIM has written this user. A second time is quiet."""
    table: Any = records.UserLink.__table__  # type: ignore[attr-defined]  # a mapped class
    values = {"account_id": account_id, "user_id": user_id, "provisioned_at": now()}
    match session.get_bind(clause=table).dialect.name:
        case "postgresql":
            session.execute(postgresql.insert(table).on_conflict_do_nothing(), values)
        case "sqlite":
            session.execute(sqlite.insert(table).on_conflict_do_nothing(), values)
        case _:
            if not is_provisioned(session, records, account_id, user_id):
                session.execute(sa.insert(table), values)


def forget(session: Session, records: Records, user_id: Any) -> None:
    """Remove the links of a user who is about to be deleted.

    The foreign key cascades, but SQLite leaves foreign keys off unless told otherwise.
    """
    UserLink = records.UserLink
    session.execute(
        sa.delete(UserLink)
        .where(UserLink.user_id == user_id)
        .execution_options(synchronize_session=False)
    )


def is_provisioned(session: Session, records: Records, account_id: Any, user_id: Any) -> bool:
    """Whether this account's SCIM has ever written this user."""
    UserLink = records.UserLink
    return bool(
        session.scalar(
            sa.select(
                sa.exists().where(UserLink.account_id == account_id, UserLink.user_id == user_id)
            )
        )
    )


def provisioned(
    session: Session, records: Records, account_id: Any, user_ids: Sequence[Any]
) -> set[Any]:
    """Those of ``user_ids`` that this account's SCIM has written."""
    UserLink = records.UserLink
    return set(
        session.scalars(
            sa.select(UserLink.user_id).where(
                UserLink.account_id == account_id, UserLink.user_id.in_(user_ids)
            )
        )
    )
