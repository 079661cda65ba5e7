"""The requests of an account's provisioning client that failed, for whoever watches over them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..reasons import Reason
from .models import LogKind, Records

#: More are not counted: nobody acts differently upon them.
MAX_COUNTED = 1000
#: Refusals that are no failures: tries of a token that is not saved are part of setting it up,
#: and of what the brake holds back the admins are told in another way.
_EXPECTED = (Reason.TOKEN_DRAFT, Reason.BRAKE)


def count(session: Session, records: Records, account_id: Any, *, since: datetime) -> int:
    """How many requests failed since a time, up to :data:`MAX_COUNTED`.

    Left out are tries of a token that is not saved, what the brake holds back, and 503, with
    which a client is asked to come back: nothing is lost by it.
    """
    Entry = records.LogEntry
    found = (
        sa.select(Entry.id)
        .where(
            Entry.account_id == account_id,
            Entry.kind == LogKind.ERROR,
            Entry.at >= since,
            Entry.status != 503,
            sa.or_(Entry.reason.is_(None), Entry.reason.not_in(_EXPECTED)),
        )
        .order_by(Entry.at.desc(), Entry.id.desc())
        .limit(MAX_COUNTED)
        .subquery()
    )
    return session.scalar(sa.select(sa.func.count()).select_from(found)) or 0
