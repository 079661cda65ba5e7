"""An account's own registration at Microsoft: what is wrong with its secret, or soon will be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..reasons import SignInReason
from ..records import providers
from ..records.models import IdentityProviderMixin, Mode
from ..state import get_state
from ..texts import ahead, say
from .directory import SignInError
from .warnings import tell_of_dead_secret

#: What Microsoft says of a secret whose end has come.
_EXPIRED = "7000222"


def notice_refusal(account: Any, provider: IdentityProviderMixin, refusal: SignInError) -> None:
    """Tell that Microsoft has just called the account's secret expired. Commits then."""
    if refusal.reason is SignInReason.OWN_CLIENT and refusal.number == _EXPIRED:
        tell_of_dead_secret(account, provider)


@dataclass(frozen=True)
class Note:
    """What the page says above everything."""

    tone: str
    title: str
    text: str


def warning(rows: Iterable[IdentityProviderMixin | None], at: datetime) -> Note | None:
    """What is wrong with the secret of settings that serve or wait, the worst first."""
    vault = get_state().vault
    known = [
        row for row in rows if row is not None and row.client_id and row.mode_at(at) is not Mode.OFF
    ]
    if not all(vault.opens(row.client_secret) for row in known):
        return Note("bad", say("secret.unreadable.title"), say("secret.unreadable"))
    steps = {row: providers.secret_warning(row, at) for row in known}
    due = {row: days for row, days in steps.items() if days is not None}
    if not due:
        return None
    row = min(due, key=lambda row: due[row])
    if due[row] == 0 or row.secret_expires_at is None:
        return Note("bad", say("secret.expired.title"), say("secret.expired"))
    when = ahead(row.secret_expires_at - at)
    return Note("warn", say("secret.expiring.title", when=when), say("secret.expiring"))
