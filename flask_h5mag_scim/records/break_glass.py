"""Who keeps the password when an account requires Microsoft: its break-glass owners.

They are the way in when Microsoft is not, so provisioning must not be able to close it.
Nothing here commits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .models import Records, now

#: Every one of them is a way around Microsoft.
MAX_NAMED = 3


def named(session: Session, records: Records, account_id: Any) -> list[Any]:
    """The keys of the account's break-glass owners, who was named first comes first."""
    BreakGlass = records.BreakGlass
    return list(
        session.scalars(
            sa.select(BreakGlass.user_id)
            .where(BreakGlass.account_id == account_id)
            .order_by(BreakGlass.named_at, BreakGlass.user_id)
        )
    )


def is_named(session: Session, records: Records, account_id: Any, user_id: Any) -> bool:
    """Whether this user is one of them."""
    return user_id in named(session, records, account_id)


def name(
    session: Session, records: Records, account_id: Any, user_ids: Sequence[Any], *, by: str
) -> bool:
    """Let exactly these be the break-glass owners. Says whether that changed anything.

    Who they may be, and how many, is the caller's to check.
    """
    known = named(session, records, account_id)
    if set(known) == set(user_ids):
        return False
    BreakGlass = records.BreakGlass
    session.execute(
        sa.delete(BreakGlass)
        .where(BreakGlass.account_id == account_id, BreakGlass.user_id.not_in(user_ids))
        .execution_options(synchronize_session=False)
    )
    for user_id in user_ids:
        if user_id not in known:
            row = BreakGlass()
            row.account_id, row.user_id = account_id, user_id
            row.named_at, row.named_by = now(), by[:255]
            session.add(row)
    session.flush()
    return True
