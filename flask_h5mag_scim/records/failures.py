"""The requests of an account's provisioning client that failed, for whoever watches over them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..reasons import Reason
from .models import LogKind, Records

#: More are not counted: nobody acts differently upon them.
MAX_COUNTED = 1000
#: Of so many former tokens it is worth while to know when they were saved.
MAX_TOKENS = 20


def count(
    session: Session,
    records: Records,
    account_id: Any,
    *,
    since: datetime,
    saved: Mapping[str, datetime],
) -> int:
    """How many requests were refused since a time, up to :data:`MAX_COUNTED`.

    Left out are tries of a token that was not saved yet, which are part of setting it up, 503,
    with which a client is asked to come back: nothing is lost by it, and what the brake held
    back, of which the admins are told in another way.

    :param saved: the account's credentials by their fingerprint, and since when each is one.
    """
    Entry = records.LogEntry
    was_saved = [
        sa.and_(Entry.fingerprint == fingerprint, Entry.at >= at)
        for fingerprint, at in saved.items()
    ]
    found = (
        sa.select(Entry.id)
        .where(
            Entry.account_id == account_id,
            Entry.kind == LogKind.ERROR,
            Entry.at >= since,
            Entry.status != 503,
            sa.or_(Entry.reason.is_(None), Entry.reason != Reason.BRAKE),
            sa.or_(Entry.status != 401, Entry.fingerprint.is_(None), *was_saved),
        )
        .order_by(Entry.at.desc(), Entry.id.desc())
        .limit(MAX_COUNTED)
        .subquery()
    )
    return session.scalar(sa.select(sa.func.count()).select_from(found)) or 0
