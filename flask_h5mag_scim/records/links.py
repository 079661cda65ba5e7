"""What an account knows of the host's users: who came through its SCIM, and who they are at
Microsoft."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .models import Records, UserLinkMixin, now
from .upserts import upsert


def mark(session: Session, records: Records, account_id: Any, user_id: Any) -> None:
    """Remember that this account's SCIM has written this user. A second time is quiet."""
    kept = sa.func.coalesce(records.UserLink.provisioned_at, now())
    _set(
        session,
        records,
        account_id,
        user_id,
        new={"provisioned_at": now()},
        known={"provisioned_at": kept},
    )


def end_sessions(session: Session, records: Records, account_id: Any, user_id: Any) -> None:
    """Let every session of a user that began until now be over."""
    raised = records.UserLink.session_epoch + 1
    _set(
        session,
        records,
        account_id,
        user_id,
        new={"session_epoch": 1},
        known={"session_epoch": raised},
    )


def link(
    session: Session, records: Records, account_id: Any, user_id: Any, *, tenant_id: str, oid: str
) -> None:
    """Remember who a user is at Microsoft, in place of whatever was known.

    :raises sqlalchemy.exc.IntegrityError: when another user of the account is that person.
    """
    person = {"tenant_id": tenant_id, "oid": oid, "linked_at": now()}
    _set(session, records, account_id, user_id, new=person, known=person)


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


def _set(
    session: Session,
    records: Records,
    account_id: Any,
    user_id: Any,
    *,
    new: Mapping[str, Any],
    known: Mapping[str, Any],
) -> None:
    key = {"account_id": account_id, "user_id": user_id}
    upsert(session, records.UserLink, key, new={"session_epoch": 0, **new}, known=known)
