"""The mass-deactivation brake: how many people SCIM may take out of an account in an hour.

Whoever asks :func:`may_leave` holds the account's row of ``scim_account`` from then on, so that
of two requests at once the second counts what the first did. A user's own row is locked before
it, as everywhere in SCIM; only a bulk request, which goes on to other users, can come to wait
for one that waits for it, and then the database gives one of them up. Nothing here commits.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..reasons import Reason
from . import links, locks
from .models import LogKind, Records, now
from .upserts import Upsert

#: How far back deactivations and deletions are counted, and how long a count of the account's
#: users is good for.
WINDOW = timedelta(hours=1)
#: For how long everything passes after a release: until Microsoft Entra's next cycles have
#: done the rest, also where they are far apart.
RELEASE = timedelta(hours=24)
#: A percentage never stops so many within an hour: in a small account it would be one person.
SPARED = 5
#: No more entries than this are read to say how many were held back.
MOST_COUNTED = 1000


@dataclass(frozen=True)
class Limits:
    """After how many users the brake engages, as the host has configured it."""

    users: int | None = None
    #: Of the users that the account's SCIM has written.
    percent: float | None = None

    def allowed(self, provisioned: int) -> int:
        """How many may leave within an hour when so many are provisioned."""
        limits = [] if self.users is None else [self.users]
        if self.percent is not None:
            # Through the text, so that 0.57 % of 10,000 are 57.
            share = Decimal(str(self.percent)) * provisioned / 100
            limits.append(max(SPARED, int(share)))
        return min(limits)


@dataclass(frozen=True)
class Standing:
    """How the brake of an account stands."""

    braked_at: datetime | None = None
    released_until: datetime | None = None
    released_by: str | None = None
    users_counted: int | None = None
    users_counted_at: datetime | None = None

    def is_released(self, at: datetime) -> bool:
        """Whether everything passes, because an admin said so."""
        return self.released_until is not None and at < self.released_until


def standing(session: Session, records: Records, account_id: Any) -> Standing:
    """How the brake of an account stands now."""
    return _standing(session, records, account_id) or Standing()


def may_leave(
    session: Session,
    records: Records,
    account_id: Any,
    user_id: str,
    limits: Limits,
    *,
    besides: int = 0,
) -> bool:
    """Whether SCIM may deactivate or delete one more user. Locks the account's row of
    ``scim_account`` until the transaction ends.

    Who has left within the hour already counts once, whatever else happens to them.

    :param user_id: whom, as the log has it; the user's own row is locked.
    :param limits: one of them at least.
    :param besides: how many provisioned users this transaction has removed that no entry of
        the log speaks of yet.
    """
    known = _locked(session, records, account_id)
    at = now()
    if known.is_released(at):
        return True
    if known.braked_at is not None:
        return False
    allowed = _allowed(session, records, account_id, limits, known, at, besides)
    others = _left(records, account_id, known, at).where(records.LogEntry.resource_id != user_id)
    return _number(session, others, up_to=allowed) < allowed


def engage(session: Session, records: Records, account_id: Any, limits: Limits) -> bool:
    """Let the brake refuse from now on, until it is released, if as many have left as may.
    ``False`` when it did so before, is released, or fewer have.

    :param limits: one of them at least.
    """
    known = _locked(session, records, account_id)
    at = now()
    if known.braked_at is not None or known.is_released(at):
        return False
    allowed = _allowed(session, records, account_id, limits, known, at)
    if _number(session, _left(records, account_id, known, at), up_to=allowed) < allowed:
        return False
    _write(session, records, account_id, braked_at=at)
    return True


def release(session: Session, records: Records, account_id: Any, *, by: str) -> datetime | None:
    """Let everything pass until the time that is returned; then the brake watches again, and
    counts from there. ``None``, and nothing happens, when it is not engaged.

    :param by: who does it.
    """
    if _locked(session, records, account_id).braked_at is None:
        return None
    until = now() + RELEASE
    _write(session, records, account_id, braked_at=None, released_until=until, released_by=by[:255])
    return until


def held_back(session: Session, records: Records, account_id: Any, engaged_at: datetime) -> int:
    """How many users a brake that is engaged has kept from leaving, of the last
    :data:`MOST_COUNTED` refusals.
    """
    # It engages after the request that was refused first. What it held back another time is
    # older: everything passed for a day in between.
    since = engaged_at - WINDOW
    Entry = records.LogEntry
    refused = (
        sa.select(Entry.resource_id)
        .where(
            Entry.account_id == account_id,
            Entry.kind == LogKind.ERROR,
            Entry.at >= since,
            Entry.reason == Reason.BRAKE,
        )
        .order_by(Entry.at.desc(), Entry.id.desc())
        .limit(MOST_COUNTED)
        .subquery()
    )
    return session.scalar(sa.select(sa.func.count(refused.c.resource_id.distinct()))) or 0


def _standing(
    session: Session, records: Records, account_id: Any, *, lock: bool = False
) -> Standing | None:
    row = records.AccountState
    found = sa.select(
        row.braked_at,
        row.released_until,
        row.released_by,
        row.users_counted,
        row.users_counted_at,
    ).where(row.account_id == account_id)
    if lock:
        found = found.with_for_update(key_share=True)
    values = session.execute(found).one_or_none()
    return None if values is None else Standing(*values)


def _locked(session: Session, records: Records, account_id: Any) -> Standing:
    """How the brake stands, in a row that nobody else changes from here on."""
    locks.begin_write(session, records.AccountState)
    known = _standing(session, records, account_id, lock=True)
    if known is None:
        _making(records)(session, {"account_id": account_id, "session_epoch": 0})
        known = _standing(session, records, account_id, lock=True)
    return known or Standing()


@lru_cache(maxsize=8)
def _making(records: Records) -> Upsert:
    return Upsert(
        records.AccountState,
        ["account_id"],
        lambda kept, sent: {"session_epoch": kept.session_epoch},
    )


def _write(session: Session, records: Records, account_id: Any, **values: Any) -> None:
    row = records.AccountState
    session.execute(
        sa.update(row)
        .where(row.account_id == account_id)
        .values(values)
        .execution_options(synchronize_session=False)
    )


def _allowed(
    session: Session,
    records: Records,
    account_id: Any,
    limits: Limits,
    known: Standing,
    at: datetime,
    besides: int = 0,
) -> int:
    if limits.percent is None:
        return limits.allowed(0)
    users, counted_at = known.users_counted, known.users_counted_at
    if users is None or counted_at is None or at - counted_at >= WINDOW:
        users = links.count_provisioned(session, records, account_id) + besides
        _write(session, records, account_id, users_counted=users, users_counted_at=at)
    return limits.allowed(users)


def _left(records: Records, account_id: Any, known: Standing, at: datetime) -> sa.Select[Any]:
    """The users whom SCIM has deactivated or deleted within the hour, each once."""
    Entry = records.LogEntry
    since = at - WINDOW
    if known.released_until is not None:
        # What passed because an admin said so is nothing to stop anybody for.
        since = max(since, known.released_until)
    return (
        sa.select(Entry.resource_id)
        .where(
            Entry.account_id == account_id,
            Entry.kind == LogKind.USER_LEFT,
            Entry.at >= since,
            # Whom an admin or the operator took out came by no request.
            Entry.method.is_not(None),
        )
        .distinct()
    )


def _number(session: Session, found: sa.Select[Any], *, up_to: int) -> int:
    bounded = found.limit(up_to).subquery()
    return session.scalar(sa.select(sa.func.count()).select_from(bounded)) or 0
