"""What an account knows of the host's users: who came through its SCIM, and who they are at
Microsoft."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from .models import Records, UserLinkMixin, now


def mark(session: Session, records: Records, account_id: Any, user_id: Any) -> None:
    """Remember that this account's SCIM has written this user. A second time is quiet."""
    table = _table(records)
    since = {"provisioned_at": now()}
    kept = {"provisioned_at": sa.func.coalesce(table.c.provisioned_at, now())}
    _upsert(session, table, account_id, user_id, since, kept)


def end_sessions(session: Session, records: Records, account_id: Any, user_id: Any) -> None:
    """Let every session of a user that began until now be over."""
    table = _table(records)
    raised = {"session_epoch": table.c.session_epoch + 1}
    _upsert(session, table, account_id, user_id, {"session_epoch": 1}, raised)


def link(
    session: Session, records: Records, account_id: Any, user_id: Any, *, tenant_id: str, oid: str
) -> None:
    """Remember who a user is at Microsoft, in place of whatever was known.

    :raises sqlalchemy.exc.IntegrityError: when another user of the account is that person.
    """
    person = {"tenant_id": tenant_id, "oid": oid, "linked_at": now()}
    _upsert(session, _table(records), account_id, user_id, person, person)


def unlink(session: Session, records: Records, account_id: Any, user_id: Any) -> None:
    """Forget who a user is at Microsoft, and nothing else of them."""
    UserLink = records.UserLink
    session.execute(
        sa.update(UserLink)
        .where(UserLink.account_id == account_id, UserLink.user_id == user_id)
        .values(tenant_id=None, oid=None, linked_at=None)
        .execution_options(synchronize_session=False)
    )


def of(session: Session, records: Records, account_id: Any, user_id: Any) -> UserLinkMixin | None:
    """What is known of a user; ``None`` for nothing."""
    UserLink = records.UserLink
    return session.scalar(
        sa.select(UserLink)
        .where(UserLink.account_id == account_id, UserLink.user_id == user_id)
        .execution_options(populate_existing=True)
    )


def linked_to(
    session: Session, records: Records, account_id: Any, *, tenant_id: str, oid: str
) -> Any:
    """The key of the user who is this person at Microsoft; ``None`` for nobody."""
    UserLink = records.UserLink
    return session.scalar(
        sa.select(UserLink.user_id).where(
            UserLink.account_id == account_id,
            UserLink.tenant_id == tenant_id,
            UserLink.oid == oid,
        )
    )


def forget(session: Session, records: Records, user_id: Any) -> None:
    """Remove what is known of a user who is about to be deleted.

    The foreign key cascades, but SQLite leaves foreign keys off unless told otherwise.
    """
    for model in (records.UserLink, records.BreakGlass):
        session.execute(
            sa.delete(model)
            .where(model.user_id == user_id)
            .execution_options(synchronize_session=False)
        )


def is_provisioned(session: Session, records: Records, account_id: Any, user_id: Any) -> bool:
    """Whether this account's SCIM has ever written this user."""
    UserLink = records.UserLink
    return bool(
        session.scalar(
            sa.select(
                sa.exists().where(
                    UserLink.account_id == account_id,
                    UserLink.user_id == user_id,
                    UserLink.provisioned_at.is_not(None),
                )
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
                UserLink.account_id == account_id,
                UserLink.user_id.in_(user_ids),
                UserLink.provisioned_at.is_not(None),
            )
        )
    )


def _upsert(
    session: Session,
    table: sa.Table,
    account_id: Any,
    user_id: Any,
    new: Mapping[str, Any],
    known: Mapping[str, Any],
) -> None:
    """Insert a row with ``new``, or set ``known`` in the one that is there."""
    bind: Any = {"clause": table}
    key = {"account_id": account_id, "user_id": user_id}
    values = {"session_epoch": 0, **key, **new}
    match session.get_bind(**bind).dialect.name:
        case "postgresql":
            insert: Any = postgresql.insert(table)
        case "sqlite":
            insert = sqlite.insert(table)
        case _:
            mine = (table.c.account_id == account_id, table.c.user_id == user_id)
            change = sa.update(table).where(*mine).values(**known)
            result: Any = session.execute(change, bind_arguments=bind)
            if not result.rowcount:
                session.execute(sa.insert(table).values(**values), bind_arguments=bind)
            return
    session.execute(
        insert.values(**values).on_conflict_do_update(index_elements=list(key), set_=known),
        bind_arguments=bind,
    )


def _table(records: Records) -> sa.Table:
    table: sa.Table = records.UserLink.__table__  # type: ignore[attr-defined]  # a mapped class
    return table
