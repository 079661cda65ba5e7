"""What an account knows of the host's users: who came through its SCIM, and who they are at
Microsoft."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .models import CredentialKind, Records, UserLinkMixin, now
from .tokens import Verified
from .upserts import Upsert


def mark(
    session: Session,
    records: Records,
    account_id: Any,
    user_id: Any,
    *,
    by: Verified | None = None,
) -> bool:
    """Remember that this account's SCIM has written this user. A second time is quiet.

    :param by: the credential with which it does.
    :returns: whether that is still good. When it was revoked after the request had come in,
        nobody may be provisioned with it any more.
    """
    row = _row(account_id, user_id, provisioned_at=now())
    marking = _marking(records, CredentialKind.TOKEN if by is None else by.kind)
    is_good = marking(session, {**row, "scim_credential": None if by is None else by.id})
    return by is None or bool(is_good)


def end_sessions(session: Session, records: Records, account_id: Any, user_id: Any) -> None:
    """Let every session of a user that began until now be over."""
    _ending(records)(session, _row(account_id, user_id, session_epoch=1))


def link(
    session: Session, records: Records, account_id: Any, user_id: Any, *, tenant_id: str, oid: str
) -> None:
    """Remember who a user is at Microsoft, in place of whatever was known.

    :raises sqlalchemy.exc.IntegrityError: when another user of the account is that person.
    """
    row = _row(account_id, user_id, tenant_id=tenant_id, oid=oid, linked_at=now())
    _linking(records)(session, row)


def _row(account_id: Any, user_id: Any, **values: Any) -> dict[str, Any]:
    return {"account_id": account_id, "user_id": user_id, "session_epoch": 0, **values}


def end_sessions_of(
    session: Session, records: Records, account_id: Any, user_ids: Sequence[Any]
) -> None:
    """:func:`end_sessions` for several users of whom something is known already. One
    statement."""
    UserLink = records.UserLink
    session.execute(
        sa.update(UserLink)
        .where(UserLink.account_id == account_id, UserLink.user_id.in_(user_ids))
        .values(session_epoch=UserLink.session_epoch + 1)
        .execution_options(synchronize_session=False)
    )


_KEY = ("account_id", "user_id")


@lru_cache(maxsize=16)
def _marking(records: Records, kind: CredentialKind) -> Upsert:
    model = records.credentials[kind]
    is_good = sa.select(model.revoked_at.is_(None)).where(
        model.id == sa.bindparam("scim_credential", type_=model.id.type)
    )
    return Upsert(
        records.UserLink,
        _KEY,
        lambda kept, sent: {
            "provisioned_at": sa.func.coalesce(kept.provisioned_at, sent.provisioned_at)
        },
        returning=is_good.scalar_subquery(),
    )


@lru_cache(maxsize=8)
def _ending(records: Records) -> Upsert:
    return Upsert(
        records.UserLink, _KEY, lambda kept, sent: {"session_epoch": kept.session_epoch + 1}
    )


@lru_cache(maxsize=8)
def _linking(records: Records) -> Upsert:
    return Upsert(
        records.UserLink,
        _KEY,
        lambda kept, sent: {
            "tenant_id": sent.tenant_id,
            "oid": sent.oid,
            "linked_at": sent.linked_at,
        },
    )


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
    key = {"scim_account": account_id, "scim_user": user_id}
    return bool(session.scalar(_is_provisioned(records), key))


@lru_cache(maxsize=8)
def _is_provisioned(records: Records) -> sa.Select[Any]:
    UserLink = records.UserLink
    return sa.select(
        sa.exists().where(
            UserLink.account_id == sa.bindparam("scim_account"),
            UserLink.user_id == sa.bindparam("scim_user"),
            UserLink.provisioned_at.is_not(None),
        )
    )


def provisioned_by(session: Session, records: Records, account_id: Any, user_id: Any) -> Any:
    """The account's row when its SCIM has written this user, else ``None``."""
    UserLink = records.UserLink
    return session.scalar(
        records.with_account(UserLink)
        .with_only_columns(records.account, maintain_column_froms=True)
        .where(
            UserLink.account_id == account_id,
            UserLink.user_id == user_id,
            UserLink.provisioned_at.is_not(None),
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


def count_provisioned(session: Session, records: Records, account_id: Any) -> int:
    """How many users this account's SCIM has written."""
    found = sa.select(sa.func.count()).where(*_is_of(records, account_id))
    return session.scalar(found) or 0


def some_provisioned(
    session: Session, records: Records, account_id: Any, *, limit: int
) -> list[Any]:
    """The keys of some users whom this account's SCIM has written, in order."""
    UserLink = records.UserLink
    return list(
        session.scalars(
            sa.select(UserLink.user_id)
            .where(*_is_of(records, account_id))
            .order_by(UserLink.user_id)
            .limit(limit)
        )
    )


def let_go(
    session: Session, records: Records, account_id: Any, user_ids: Sequence[Any] | None = None
) -> int:
    """Let users be the application's own, as if this account's SCIM had never written them.
    Who they are at Microsoft, where they are linked, stays. Says how many it were.

    :param user_ids: whom; everybody if left out.
    """
    UserLink = records.UserLink
    some = [] if user_ids is None else [UserLink.user_id.in_(user_ids)]
    result: Any = session.execute(
        sa.update(UserLink)
        .where(*_is_of(records, account_id), *some)
        .values(provisioned_at=None)
        .execution_options(synchronize_session=False)
    )
    return int(result.rowcount)


def _is_of(records: Records, account_id: Any) -> list[Any]:
    UserLink = records.UserLink
    return [UserLink.account_id == account_id, UserLink.provisioned_at.is_not(None)]
