"""The provisioning log: what happened to an account, in its customer's reach."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from . import request_ids
from .models import LogEntryMixin, LogKind, Records, UTCDateTime, now

#: How many names of attributes one entry keeps.
MAX_NAMES = 100


class Event(StrEnum):
    """Everything that the log can say."""

    USER_CREATED = "user.created"
    USER_ADOPTED = "user.adopted"
    USER_UPDATED = "user.updated"
    USER_DEACTIVATED = "user.deactivated"
    USER_REACTIVATED = "user.reactivated"
    USER_DELETED = "user.deleted"
    USER_KEPT = "user.kept"
    GROUP_CREATED = "group.created"
    GROUP_UPDATED = "group.updated"
    GROUP_DELETED = "group.deleted"
    REFUSED = "request.refused"
    TOKEN_GENERATED = "token.generated"  # noqa: S105, the name of an event
    TOKEN_SAVED = "token.saved"  # noqa: S105
    TOKEN_DISCARDED = "token.discarded"  # noqa: S105
    TOKEN_REVOKED = "token.revoked"  # noqa: S105
    OAUTH_TOKEN_ISSUED = "oauth.token_issued"  # noqa: S105, the name of an event
    OAUTH_REFUSED = "oauth.refused"
    OAUTH_TRUSTED = "oauth.trusted"
    OAUTH_TRUST_REVOKED = "oauth.trust_revoked"
    SSO_SAVED = "sso.saved"
    SSO_IN_FORCE = "sso.in_force"
    SSO_OFF = "sso.off"
    SSO_TESTED = "sso.tested"
    SSO_SIGNED_IN = "sso.signed_in"
    SSO_REFUSED = "sso.refused"
    SESSIONS_ENDED = "sessions.ended"
    SSO_SECRET_EXPIRING = "sso.secret_expiring"  # noqa: S105, the name of an event
    SSO_REENCRYPTED = "sso.reencrypted"
    SSO_LINKED = "sso.linked"
    SSO_UNLINKED = "sso.unlinked"
    SSO_TRIAL_BEGAN = "sso.trial_began"
    SSO_TRIAL_KEPT = "sso.trial_kept"
    SSO_TRIAL_ENDED = "sso.trial_ended"
    SSO_BREAK_GLASS_NAMED = "sso.break_glass_named"
    SSO_BREAK_GLASS_REMOVED = "sso.break_glass_removed"
    SSO_BREAK_GLASS = "sso.break_glass"
    SSO_PASSWORD_REFUSED = "sso.password_refused"  # noqa: S105, the name of an event
    PAUSED = "provisioning.paused"
    RESUMED = "provisioning.resumed"
    DISCONNECTED = "provisioning.disconnected"
    BRAKE_ENGAGED = "brake.engaged"
    BRAKE_RELEASED = "brake.released"
    WARNED = "warning.told"
    LOG_EXPORTED = "log.exported"


_KINDS = {
    Event.USER_DEACTIVATED: LogKind.USER_LEFT,
    Event.USER_DELETED: LogKind.USER_LEFT,
    Event.REFUSED: LogKind.ERROR,
    Event.OAUTH_REFUSED: LogKind.ERROR,
    Event.SSO_SIGNED_IN: LogKind.SIGN_IN,
    Event.SSO_BREAK_GLASS: LogKind.SIGN_IN,
    Event.SSO_REFUSED: LogKind.SIGN_IN_ERROR,
    Event.SSO_PASSWORD_REFUSED: LogKind.SIGN_IN_ERROR,
}


def kind_of(event: Event) -> LogKind:
    """What sort of thing an event is."""
    other = {"user": LogKind.USER, "group": LogKind.GROUP}
    return _KINDS.get(event) or other.get(event.partition(".")[0], LogKind.SETTING)


@dataclass(frozen=True)
class Request:
    """What an entry says of the HTTP request that led to it."""

    request_id: str | None = None
    correlation_id: str | None = None
    #: Whose credential it had.
    fingerprint: str | None = None
    #: Below the provisioning URL, without what a filter compares with.
    address: str | None = None
    #: In milliseconds, up to the entry.
    duration: int | None = None


def record(
    session: Session,
    records: Records,
    account_id: Any,
    event: Event,
    *,
    actor: str = "",
    method: str | None = None,
    resource_type: str | None = None,
    resource_id: str | None = None,
    holder_id: str | None = None,
    status: int | None = None,
    scim_type: str | None = None,
    reason: str | None = None,
    detail: str | None = None,
    paths: Sequence[str] = (),
    ignored: Sequence[str] = (),
    request: Request | None = None,
    changes: Mapping[str, Sequence[Any]] | None = None,
    body: str | None = None,
) -> None:
    """Write one entry, in the caller's transaction. Secrets never come here, and values of
    people as the host lets the log keep them.

    :param holder_id: who has a value already that only one may have.
    :param changes: before and after by name of the attribute. Of members: under ``members``
        how many came and left, under ``members.added`` and ``members.removed`` the ids of the
        first of them, and the same with ``members[type eq "Group"]`` for groups in groups.
    :param body: the request's.
    """
    request = request or Request()
    session.execute(
        _insert(records),
        {
            "account_id": account_id,
            "at": now(),
            "event": str(event),
            "kind": str(kind_of(event)),
            "actor": actor[:255],
            "fingerprint": request.fingerprint,
            "method": _storable(method, 10),
            "address": _storable(request.address, 500),
            "resource_type": resource_type,
            "resource_id": _storable(resource_id, 255),
            "holder_id": _storable(holder_id, 255),
            "status": status,
            "scim_type": scim_type,
            "reason": _storable(reason, 40),
            "detail": _storable(detail, 2000),
            "request_id": request.request_id,
            "correlation_id": _storable(request.correlation_id, 255),
            "duration": request.duration,
            "paths": _bounded(paths),
            "ignored": _bounded(ignored),
            "changes": {
                name[:500]: list(pair) for name, pair in list((changes or {}).items())[:MAX_NAMES]
            },
            "body": _storable(body, 5000),
        },
    )


@lru_cache(maxsize=8)
def _insert(records: Records) -> sa.Insert:
    return sa.insert(records.LogEntry.__table__)  # type: ignore[attr-defined]  # a mapped class


def _bounded(names: Sequence[str]) -> list[str]:
    # A request may bring tens of thousands; nobody reads them, and all of them are counted.
    shown = [name[:500] for name in names[:MAX_NAMES]]
    more = len(names) - len(shown)
    return [*shown, f"… and {more} more"] if more else shown


def _storable(text: str | None, length: int) -> str | None:
    # An address can spell NUL, as %00; PostgreSQL has no place for it.
    return text[:length].replace("\x00", "\ufffd") if text else None


# Reading


@dataclass(frozen=True)
class Position:
    """A place in the log: entries are in the order of their times, and then of their ids."""

    at: datetime
    id: int

    @classmethod
    def of(cls, entry: LogEntryMixin) -> Position:
        """Where an entry stands."""
        return cls(entry.at, entry.id)


@dataclass(frozen=True)
class Query:
    """Which entries are looked for. All of it has to hold; nothing given is everything."""

    kinds: tuple[LogKind, ...] = ()
    #: The user or group that an entry is about: any of these.
    resource_ids: tuple[str, ...] | None = None
    since: datetime | None = None
    #: Entries before this time.
    until: datetime | None = None
    #: As :func:`.request_ids.new_id` made it; any other is nobody's.
    request_id: str | None = None
    fingerprint: str | None = None


@dataclass(frozen=True)
class Page:
    """Some entries, newest first, and whether there are others around them."""

    entries: list[LogEntryMixin]
    has_newer: bool
    has_older: bool


_EVERYTHING = Query()
#: How far from a request's own time its entries can be: by clocks of two machines, or because
#: the request took so long.
_BEFORE, _AFTER = timedelta(minutes=5), timedelta(hours=1)


def page(
    session: Session,
    records: Records,
    account_id: Any,
    query: Query = _EVERYTHING,
    *,
    before: Position | None = None,
    after: Position | None = None,
    limit: int,
) -> Page:
    """The newest ``limit`` entries that a query finds; before a place, or the next ones after
    it, where one is given. What is read does not grow with the log.
    """
    backwards = after is not None
    found = _found(records, account_id, query, before, after, limit + 1)
    Entry = records.LogEntry
    entries = list(
        session.scalars(
            sa.select(Entry)
            .where(Entry.id.in_(sa.select(found.c.id)), Entry.account_id == account_id)
            .order_by(*((Entry.at, Entry.id) if backwards else (Entry.at.desc(), Entry.id.desc())))
        )
    )
    more = len(entries) > limit
    entries = entries[:limit]
    if backwards:
        return Page(entries[::-1], has_newer=more, has_older=True)
    return Page(entries, has_newer=before is not None, has_older=more)


def recent(
    session: Session, records: Records, account_id: Any, *, limit: int
) -> list[LogEntryMixin]:
    """The account's last entries, newest first."""
    return page(session, records, account_id, limit=limit).entries


def _found(
    records: Records,
    account_id: Any,
    query: Query,
    before: Position | None,
    after: Position | None,
    limit: int,
) -> sa.Subquery:
    """The ids and times of the entries. One branch for each value that the index is entered
    by, so that each is read in the index's own order and stops after ``limit``."""
    Entry = records.LogEntry
    order: Any = (Entry.at, Entry.id) if after else (Entry.at.desc(), Entry.id.desc())
    conditions: list[Any] = [Entry.account_id == account_id]
    place = sa.tuple_(Entry.at, Entry.id)
    if before is not None:
        conditions.append(place < _tuple(before))
    if after is not None:
        conditions.append(place > _tuple(after))
    if query.since is not None:
        conditions.append(Entry.at >= query.since)
    if query.until is not None:
        conditions.append(Entry.at < query.until)
    if query.request_id is not None:
        id = query.request_id.strip().lower()
        conditions += [Entry.request_id == id, *_around(Entry, id)]
    if query.fingerprint is not None:
        conditions.append(Entry.fingerprint == query.fingerprint)
    if query.resource_ids is not None:
        branches: list[Any] = [Entry.resource_id == id for id in query.resource_ids]
        if query.kinds:
            conditions.append(Entry.kind.in_(query.kinds))
    else:
        branches = [Entry.kind == kind for kind in query.kinds]
        if not branches:
            branches = [sa.true()]
    parts = [
        sa.select(Entry.id, Entry.at)
        .where(*conditions, branch)
        .order_by(*order)
        .limit(limit)
        .subquery()
        for branch in branches
    ]
    if not parts:
        return sa.select(Entry.id, Entry.at).where(sa.false()).subquery()
    if len(parts) == 1:
        return parts[0]
    together = sa.union_all(*(sa.select(part) for part in parts)).subquery()
    order = (together.c.at, together.c.id)
    if not after:
        order = (together.c.at.desc(), together.c.id.desc())
    return sa.select(together).order_by(*order).limit(limit).subquery()


def _around(Entry: type[LogEntryMixin], request_id: str) -> list[Any]:
    """When the entries of a request were written: no index is entered by its id, which says
    the time."""
    at = request_ids.time_of(request_id)
    if at is None:
        return [sa.false()]
    return [Entry.at >= at - _BEFORE, Entry.at < at + _AFTER]


def _tuple(place: Position) -> Any:
    return sa.tuple_(sa.literal(place.at, UTCDateTime()), sa.literal(place.id, sa.BigInteger()))


@dataclass(frozen=True)
class Ignored:
    """An attribute that a client sent and that this host does not keep."""

    resource_type: str
    path: str
    #: In how many of the last changes, and when last.
    times: int
    last_at: datetime


def ignored(
    session: Session, records: Records, account_id: Any, *, changes: int = 500
) -> list[Ignored]:
    """What was ignored in the account's last ``changes`` changes, the most frequent first."""
    Entry = records.LogEntry
    kinds = (LogKind.USER, LogKind.USER_LEFT, LogKind.GROUP)
    found = _found(records, account_id, Query(kinds=kinds), None, None, changes)
    rows = session.execute(
        sa.select(Entry.resource_type, Entry.ignored, Entry.at)
        .where(Entry.id.in_(sa.select(found.c.id)))
        .order_by(Entry.at.desc(), Entry.id.desc())
    )
    times: Counter[tuple[str, str]] = Counter()
    last: dict[tuple[str, str], datetime] = {}
    for resource_type, paths, at in rows:
        for path in (paths or ())[:MAX_NAMES]:  # what follows counts the rest
            times[resource_type or "", path] += 1
            last.setdefault((resource_type or "", path), at)
    return [Ignored(*key, times=n, last_at=last[key]) for key, n in times.most_common()]


# Removing


def oldest(session: Session, records: Records) -> datetime | None:
    """When the log's first entry was written; ``None`` without any."""
    Entry = records.LogEntry
    return session.scalar(sa.select(Entry.at).order_by(Entry.id).limit(1))


def how_many(session: Session, records: Records, *, before: datetime) -> int:
    """Roughly how many entries of all accounts are from before a time: by their ids, which are
    in the order of time, with a few look-ups however many there are."""
    Entry = records.LogEntry
    low, high = session.execute(sa.select(sa.func.min(Entry.id), sa.func.max(Entry.id))).one()
    if low is None:
        return 0
    first, beyond = int(low), int(high) + 1
    begin = first
    while first < beyond:
        middle = (first + beyond) // 2
        at = session.scalar(
            sa.select(Entry.at).where(Entry.id >= middle).order_by(Entry.id).limit(1)
        )
        if at is None or at >= before:
            beyond = middle
        else:
            first = middle + 1
    return first - begin


def prune(session: Session, records: Records, *, before: datetime, batch: int = 5000) -> int:
    """Remove up to ``batch`` of the oldest entries of all accounts that are from before a
    time. Says how many; 0 when there are no more. Does not commit."""
    Entry = records.LogEntry
    oldest = sa.select(Entry.id, Entry.at).order_by(Entry.id).limit(batch).subquery()
    old = list(session.scalars(sa.select(oldest.c.id).where(oldest.c.at < before)))
    if old:
        session.execute(
            sa.delete(Entry).where(Entry.id.in_(old)).execution_options(synchronize_session=False)
        )
    return len(old)
