"""What the extension knows of an account as a whole. Nothing here commits."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .models import AccountStateMixin, Records, now
from .upserts import Upsert


def get(session: Session, records: Records, account_id: Any) -> AccountStateMixin | None:
    """What is known of an account now; ``None`` for nothing yet."""
    AccountState = records.AccountState
    return session.scalar(
        sa.select(AccountState)
        .where(AccountState.account_id == account_id)
        .execution_options(populate_existing=True)
    )


def pause(session: Session, records: Records, account_id: Any, *, by: str) -> bool:
    """Let SCIM answer nothing but 503 until :func:`resume`. Says whether this began it.

    The caller has locked the account.

    :param by: who wants it; those who ask SCIM in vain are told.
    """
    known = get(session, records, account_id)
    if known is not None and known.paused_at is not None:
        return False
    row = {
        "account_id": account_id,
        "session_epoch": 0,
        "paused_at": now(),
        "paused_by": by[:255],
    }
    _pausing(records)(session, row)
    return True


@lru_cache(maxsize=8)
def _pausing(records: Records) -> Upsert:
    return Upsert(
        records.AccountState,
        ["account_id"],
        lambda kept, sent: {"paused_at": sent.paused_at, "paused_by": sent.paused_by},
    )


def resume(session: Session, records: Records, account_id: Any) -> bool:
    """Let SCIM work again. Says whether it was paused."""
    AccountState = records.AccountState
    result: Any = session.execute(
        sa.update(AccountState)
        .where(AccountState.account_id == account_id, AccountState.paused_at.is_not(None))
        .values(paused_at=None, paused_by=None)
        .execution_options(synchronize_session=False)
    )
    return bool(result.rowcount)


def session_epoch(session: Session, records: Records, account_id: Any) -> int:
    """The number that the stamp of a session of the account's people must have by now."""
    AccountState = records.AccountState
    found = sa.select(AccountState.session_epoch).where(AccountState.account_id == account_id)
    return session.scalar(found) or 0


def end_sessions(session: Session, records: Records, account_id: Any) -> None:
    """Let every session of the account's people that began until now be over."""
    _ending(records)(session, {"account_id": account_id, "session_epoch": 1})


@lru_cache(maxsize=8)
def _ending(records: Records) -> Upsert:
    return Upsert(
        records.AccountState,
        ["account_id"],
        lambda kept, sent: {"session_epoch": kept.session_epoch + 1},
    )
