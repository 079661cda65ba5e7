"""What decides whether a session goes on, in one statement. Nothing here commits."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from .models import Mode, Records, mode_at, now


@dataclass(frozen=True)
class Standing:
    """What an account knows now that bears on one user's sessions."""

    #: Sessions that began under a smaller number are over: the account's, and the user's.
    account_epoch: int
    user_epoch: int
    #: How people sign in now.
    mode: Mode
    #: Since when they must with Microsoft, if they must.
    required_since: datetime | None
    #: How long a session that came from Microsoft may last; ``None`` without a directory.
    session_hours: int | None
    #: Whether the user keeps the password when the account requires Microsoft.
    is_break_glass: bool


def standing(session: Session, records: Records, account_id: Any, user_id: Any) -> Standing | None:
    """How a user of an account stands now; ``None`` when there is no such account any more."""
    parameters = {"scim_account": account_id, "scim_user": user_id}
    # Asked for while the host's own changes may be half made.
    with session.no_autoflush:
        row = session.execute(records.standing, parameters).one_or_none()
    if row is None:
        return None
    mode = Mode.OFF
    if row.mode is not None:
        mode = mode_at(row.mode, row.trial_ends_at, row.mode_after_trial, now())
    return Standing(
        account_epoch=row.account_epoch or 0,
        user_epoch=row.user_epoch or 0,
        mode=mode,
        required_since=row.required_since,
        session_hours=row.session_hours,
        is_break_glass=row.break_glass_id is not None,
    )
