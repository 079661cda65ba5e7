"""What an account's admins were warned of, so that each cause is told once: by whichever
process comes first, and again when it had gone in between. Nothing here commits.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from . import locks
from .models import Records, now, single_key

#: With how many days left people are warned of an end; 0 is when it has come.
STEPS = (30, 14, 3, 0)


class Kind(StrEnum):
    """What admins are warned of. The first of several is the first to be seen to."""

    BRAKE_ENGAGED = "brake_engaged"
    TOKEN_EXPIRING = "token_expiring"  # noqa: S105, the name of a warning
    SECRET_EXPIRING = "secret_expiring"  # noqa: S105
    FAILING = "provisioning_failing"
    QUIET = "provisioning_quiet"


def step(ends_at: datetime, at: datetime) -> int | None:
    """The one of :data:`STEPS` that is due at the time ``at`` for what ends then."""
    left = ends_at - at
    if left <= timedelta(0):
        return 0
    return min((days for days in STEPS if left <= timedelta(days=days)), default=None)


def told(session: Session, records: Records, account_id: Any) -> dict[Kind, str]:
    """What an account was warned of: for each kind what it was about."""
    Warning = records.Warning
    rows = session.execute(
        sa.select(Warning.kind, Warning.about).where(Warning.account_id == account_id)
    )
    return {Kind(kind): about for kind, about in rows if kind in set(Kind)}


def note(session: Session, records: Records, account_id: Any, kind: Kind, about: str) -> bool:
    """Write down that a warning is told. ``False`` when it was before, by any process.

    :param about: the cause and how urgent it is, up to 80 characters; the same text is the
        same warning.
    """
    Warning = records.Warning
    locks.begin_write(session, Warning)
    mine = (Warning.account_id == account_id, Warning.kind == str(kind))
    # Whoever comes second waits for the first one, and then finds nothing to change.
    changed: Any = session.execute(
        sa.update(Warning)
        .where(*mine, Warning.about != about)
        .values(about=about, told_at=now())
        .execution_options(synchronize_session=False)
    )
    if changed.rowcount:
        return True
    if session.scalar(sa.select(sa.exists().where(*mine))):
        return False
    row = {"account_id": account_id, "kind": str(kind), "about": about, "told_at": now()}
    try:
        with session.begin_nested():
            session.execute(sa.insert(Warning), row)
    except sa.exc.IntegrityError:
        return False
    return True


def forget(session: Session, records: Records, account_id: Any, kinds: Sequence[Kind]) -> None:
    """Remove the warnings whose cause is gone."""
    Warning = records.Warning
    locks.begin_write(session, Warning)
    session.execute(
        sa.delete(Warning)
        .where(Warning.account_id == account_id, Warning.kind.in_([str(kind) for kind in kinds]))
        .execution_options(synchronize_session=False)
    )


def watched(session: Session, records: Records, *, after: Any = None, limit: int) -> list[Any]:
    """The keys of accounts that can have something to be warned of, because they have a token,
    a trusted identity or a directory; in the order of their keys.

    :param after: the key after which to go on.
    """
    key = single_key(records.account)
    owners = (records.Token, records.FederatedCredential, records.IdentityProvider)
    found = sa.select(key).where(
        sa.or_(*(sa.exists().where(owner.account_id == key) for owner in owners))
    )
    if after is not None:
        found = found.where(key > after)
    bind = {"mapper": sa.inspect(records.account)}
    return list(session.scalars(found.order_by(key).limit(limit), bind_arguments=bind))
