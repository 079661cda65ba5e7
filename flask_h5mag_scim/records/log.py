"""The provisioning log: what happened to an account, in its customer's reach."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .models import LogEntryMixin, Records, now

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
    status: int | None = None,
    scim_type: str | None = None,
    detail: str | None = None,
    paths: Sequence[str] = (),
    ignored: Sequence[str] = (),
) -> None:
    """Write one entry, in the caller's transaction. Values and secrets never come here."""
    session.execute(
        _insert(records),
        {
            "account_id": account_id,
            "at": now(),
            "event": str(event),
            "actor": actor[:255],
            "method": method,
            "resource_type": resource_type,
            "resource_id": _storable(resource_id, 255),
            "status": status,
            "scim_type": scim_type,
            "detail": _storable(detail, 2000),
            "paths": _bounded(paths),
            "ignored": _bounded(ignored),
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


def recent(
    session: Session, records: Records, account_id: Any, *, limit: int
) -> list[LogEntryMixin]:
    """The account's last entries, newest first."""
    Entry = records.LogEntry
    return list(
        session.scalars(
            sa.select(Entry)
            .where(Entry.account_id == account_id)
            .order_by(Entry.id.desc())
            .limit(limit)
        )
    )
