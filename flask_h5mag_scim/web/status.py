"""How provisioning stands, in one pill and one sentence: what is worst, and wants doing first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from ..records import failures
from ..records.models import single_key
from ..state import get_state
from ..texts import ago, ahead, say
from .credentials import CYCLE, Credentials

#: Microsoft Entra has gone quiet when it left out so much: it may be late for one cycle, and a
#: long one may swallow the next.
QUIET_AFTER = 3 * CYCLE
#: So many failed requests in :data:`FAILURES_WITHIN` want attention. One of them may be a typing
#: error that is mended already; what stays broken is tried again with every cycle, so that it
#: comes to this number within hours.
FAILURES = 5
FAILURES_WITHIN = timedelta(hours=24)
#: A token that ends within this time comes before requests that fail: then all of them will.
ENDS_SOON = timedelta(days=3)


@dataclass(frozen=True)
class Status:
    """The pill in the header: its class, its words and one sentence."""

    tone: str
    label: str
    why: str
    #: What it is called in the catalogue.
    name: str


@dataclass(frozen=True)
class Facts:
    """What the status of an account is made of."""

    held: Credentials
    is_licensed: bool
    #: Since when provisioning is paused, and by whom.
    paused_at: datetime | None
    paused_by: str
    #: Since when the brake refuses to deactivate more people.
    braked_at: datetime | None
    #: Failed requests of the last :data:`FAILURES_WITHIN`.
    failed: int
    #: People that SCIM has written, and groups.
    users: int
    groups: int

    @classmethod
    def of(cls, account: Any, at: datetime, held: Credentials | None = None) -> Facts:
        """Those of ``account`` at the time ``at``: two statements besides those of ``held``."""
        state = get_state()
        scim, key = state.scim, state.scim.account_key(account)
        failed = failures.count(state.session, scim.records, key, since=at - FAILURES_WITHIN)
        row = state.session.execute(_standing(account)).one()
        return cls(
            held=held or Credentials.of(account, at),
            is_licensed=bool(scim.is_licensed(account)),
            paused_at=row.paused_at,
            paused_by=row.paused_by or "",
            # Where the host has switched it off, nothing is held back any more.
            braked_at=row.braked_at if state.config.has_brake else None,
            failed=failed,
            users=row.users,
            groups=row.groups,
        )

    def quiet_for(self, at: datetime) -> timedelta | None:
        """How long Microsoft Entra has left out its cycles; ``None`` while it has not, and
        where it never came."""
        last = self.held.last_used_at
        return None if last is None or at - last < QUIET_AFTER else at - last

    @property
    def was_connected(self) -> bool:
        """Whether there is something to pause or to disconnect, or was."""
        held = self.held
        return bool(held.usable or held.former or self.users or self.paused_at)

    @property
    def is_failing(self) -> bool:
        """Whether so many requests fail that somebody should look at them."""
        return self.failed >= FAILURES


def _standing(account: Any) -> sa.Select[Any]:
    """The account's switches and how much has arrived, in one row."""
    scim = get_state().scim
    key, records = scim.account_key(account), scim.records
    AccountState, UserLink = records.AccountState, records.UserLink
    users = sa.select(sa.func.count()).where(
        UserLink.account_id == key, UserLink.provisioned_at.is_not(None)
    )
    listed = scim.group.select(key).order_by(None)
    groups = listed.with_only_columns(scim.group.key_attribute, maintain_column_froms=True)
    own = single_key(records.account)
    return (
        sa.select(
            AccountState.paused_at,
            AccountState.paused_by,
            AccountState.braked_at,
            users.scalar_subquery().label("users"),
            sa.select(sa.func.count())
            .select_from(groups.subquery())
            .scalar_subquery()
            .label("groups"),
        )
        .select_from(records.account)
        .outerjoin(AccountState, AccountState.account_id == own)
        .where(own == key)
    )


def status(facts: Facts, at: datetime) -> Status:
    """The one thing to know at the time ``at``."""
    held = facts.held
    expiring = held.expiring(at)
    left = None if expiring is None or expiring.expires_at is None else expiring.expires_at - at
    if not facts.is_licensed:
        return _told("off", "licence")
    # Somebody waits for a decision, or has taken one: nothing else is true until it changes.
    if facts.braked_at is not None:
        return _told("bad", "brake")
    if facts.paused_at is not None:
        return _told("warn", "paused", ago=ago(at - facts.paused_at), who=facts.paused_by)
    # Setting up: the next step, whatever else there is.
    if held.draft_can_be_saved:
        return _told("warn", "draft")
    if held.expired is not None:
        return _told("bad", "expired")
    if not held.usable:
        return _told("off", "none")
    # What stops, or has stopped.
    if left is not None and left <= ENDS_SOON:
        return _told("bad", "expiring", when=ahead(left))
    if facts.is_failing:
        more = facts.failed >= failures.MAX_COUNTED
        return _told("warn", "attention", count=f"{facts.failed}{'+' if more else ''}")
    silent = facts.quiet_for(at)
    if silent is not None:
        hours = int(silent.total_seconds() // 3600)
        length = _many("hours", hours) if hours < 48 else _many("days", hours // 24)
        return _told("warn", "quiet", length=length, minutes=int(CYCLE.total_seconds() // 60))
    if left is not None:
        return _told("warn", "expiring", when=ahead(left))
    last = held.last_used_at
    if last is None:
        return _told("wait", "waiting")
    return _told("ok", "connected", ago=ago(at - last), arrived=_arrived(facts))


def _arrived(facts: Facts) -> str:
    parts = [_many("users", facts.users)] if facts.users else [say("status.users.none")]
    if facts.groups:
        parts.append(_many("groups", facts.groups))
    return ", ".join(parts)


def _many(what: str, n: int) -> str:
    return say(f"status.{what}.one") if n == 1 else say(f"status.{what}", n=f"{n:,}")


def _told(tone: str, key: str, **values: Any) -> Status:
    return Status(tone, say(f"status.{key}", **values), say(f"status.{key}.why", **values), key)
