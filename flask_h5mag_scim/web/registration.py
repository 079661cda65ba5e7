"""An account's own registration at Microsoft: telling in time that its secret ends.

Nobody runs a timer for that: whoever signs in or opens the page brings it to light.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..records import log, providers
from ..records.models import IdentityProviderMixin, Mode, now
from ..signals import sso_secret_expiring, tell
from ..state import get_app, get_state
from ..texts import ahead, say
from .directory import SignInError

#: What Microsoft says of a secret whose end has come.
_EXPIRED = "7000222"


def notice(account: Any) -> None:
    """Tell of a secret in force that ends soon, once for each of the warnings. Commits then."""
    state = get_state()
    records, key = state.scim.records, state.scim.account_key(account)
    provider = providers.in_force(state.session, records, key)
    if provider is None or provider.mode_at(now()) is Mode.OFF:
        return
    days = providers.secret_warning(provider, now())
    if days is not None:
        _tell_once(account, provider, days)


def notice_refusal(account: Any, provider: IdentityProviderMixin, refusal: SignInError) -> None:
    """Tell that Microsoft has just called the account's secret expired. Commits then."""
    if refusal.reason == "own_client" and refusal.number == _EXPIRED:
        _tell_once(account, provider, 0)


@dataclass(frozen=True)
class Warning:
    """What the page says above everything."""

    tone: str
    title: str
    text: str


def warning(rows: Iterable[IdentityProviderMixin | None], at: datetime) -> Warning | None:
    """What is wrong with the secret of settings that serve or wait, the worst first."""
    vault = get_state().vault
    known = [
        row for row in rows if row is not None and row.client_id and row.mode_at(at) is not Mode.OFF
    ]
    if not all(vault.opens(row.client_secret) for row in known):
        return Warning("bad", say("secret.unreadable.title"), say("secret.unreadable"))
    steps = {row: providers.secret_warning(row, at) for row in known}
    due = {row: days for row, days in steps.items() if days is not None}
    if not due:
        return None
    row = min(due, key=lambda row: due[row])
    if due[row] == 0 or row.secret_expires_at is None:
        return Warning("bad", say("secret.expired.title"), say("secret.expired"))
    when = ahead(row.secret_expires_at - at)
    return Warning("warn", say("secret.expiring.title", when=when), say("secret.expiring"))


def _tell_once(account: Any, provider: IdentityProviderMixin, days: int) -> None:
    told = provider.secret_warned_days
    if told is not None and told <= days:
        return
    state = get_state()
    records, expires_at = state.scim.records, provider.secret_expires_at
    if not providers.note_secret_warning(state.session, records, provider, days):
        return
    left = timedelta(0) if expires_at is None else max(expires_at - now(), timedelta(0))
    log.record(
        state.session,
        records,
        state.scim.account_key(account),
        log.Event.SSO_SECRET_EXPIRING,
        detail="expired" if days == 0 else f"expires on {expires_at:%Y-%m-%d}",
    )
    state.session.commit()
    tell(
        sso_secret_expiring,
        get_app(),
        account=account,
        expires_at=expires_at,
        days=0 if days == 0 else left.days,
    )
