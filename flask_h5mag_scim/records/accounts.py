"""What the extension knows of an account as a whole. Nothing here commits."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .models import Records
from .upserts import Upsert


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
