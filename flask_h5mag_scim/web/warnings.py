"""What an account's admins should hear of before it hurts: what is due, and telling it once.

Nobody runs a timer for it: ``flask scim warn`` does it for all accounts when the host's cron
calls it, an admin who opens the page for theirs, a sign-in for the secret it was made with, and
the brake at once. No request of SCIM's is slower for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import current_app, has_request_context

from .. import signals
from ..records import brake, log, providers, warnings
from ..records.models import IdentityProviderMixin, Mode, TokenMixin, now
from ..records.warnings import Kind
from ..state import State, get_app, get_state
from ..texts import ahead, say, span
from .status import FAILURES_WITHIN, Facts


@dataclass(frozen=True)
class Warning:
    """Something that is due to be told."""

    kind: Kind
    #: The cause and how urgent it is: the same text is the same warning.
    about: str
    #: One line, the subject of a mail.
    title: str
    #: What it means and what to do.
    text: str
    signal: signals.Signal
    #: What the signal carries besides the account.
    evidence: Mapping[str, Any]
    #: Where a secret ends: the settings it belongs to, and with how many days left.
    secret: tuple[IdentityProviderMixin, int] | None = None


def due(account: Any, at: datetime, facts: Facts | None = None) -> list[Warning]:
    """What the admins of ``account`` should know at the time ``at``, whether they were told or
    not, the first thing to see to first. Nothing without a licence.

    An account that is paused is neither quiet nor failing.

    :param facts: those of the account, where the caller has them.
    """
    state = get_state()
    if not state.scim.is_licensed(account):
        return []
    facts = facts or Facts.of(account, at)
    found = [_brake(facts.braked_at), _token(facts, at), _secret(account, at)]
    if facts.paused_at is None:
        found += [_failing(facts), _quiet(facts, at)]
    return [warning for warning in found if warning is not None]


def tell(account: Any, *, facts: Facts | None = None) -> list[Warning]:
    """Tell the admins of ``account`` what is due and was not told yet: by signal and by mail,
    with an entry in the log. What is gone is forgotten, so that it can be told again. Commits,
    if there was something.

    :returns: what was told now.
    """
    state = get_state()
    records, key = state.scim.records, state.scim.account_key(account)
    found = due(account, now(), facts)
    known = warnings.told(state.session, records, key)
    gone = known.keys() - {warning.kind for warning in found}
    if gone:
        warnings.forget(state.session, records, key, sorted(gone))
    news = [warning for warning in found if known.get(warning.kind) != warning.about]
    told = _tell(account, news)
    if gone and not told:
        state.session.commit()
    return told


def tell_of_brake(account: Any) -> None:
    """Tell the admins that the brake of ``account`` has engaged, if it has. Commits then."""
    state = get_state()
    key = state.scim.account_key(account)
    warning = _brake(brake.standing(state.session, state.scim.records, key).braked_at)
    _tell(account, [] if warning is None else [warning])


def tell_of_secret(account: Any) -> None:
    """Tell the admins of the end of the secret in force, if it is near. Commits then."""
    warning = _secret(account, now())
    _tell(account, [] if warning is None else [warning])


def tell_of_dead_secret(account: Any, provider: IdentityProviderMixin) -> None:
    """Tell the admins that Microsoft has just called the secret of settings expired."""
    _tell(account, [_secret_warning(provider, 0, now())])


# -- what there is to tell -----------------------------------------------------------------


def _brake(engaged_at: datetime | None) -> Warning | None:
    if engaged_at is None:
        return None
    return Warning(
        Kind.BRAKE_ENGAGED,
        _stamp(engaged_at),
        say("warning.brake.title"),
        say("warning.brake", time=_moment(engaged_at), length=span(brake.RELEASE)),
        signals.brake_engaged,
        {"engaged_at": engaged_at},
    )


def _token(facts: Facts, at: datetime) -> Warning | None:
    token = facts.held.expired
    if token is not None and token.expires_at is not None:
        return _token_warning(token, token.expires_at, 0, at)
    token = facts.held.expiring(at)
    if token is None or token.expires_at is None:
        return None
    days = warnings.step(token.expires_at, at)
    return None if days is None else _token_warning(token, token.expires_at, days, at)


def _token_warning(token: TokenMixin, ends_at: datetime, days: int, at: datetime) -> Warning:
    name, time = token.called, _moment(ends_at)
    if days == 0:
        title = say("warning.token.expired.title", name=name)
        text = say("warning.token.expired", time=time)
    else:
        title = say("warning.token.title", name=name, when=ahead(ends_at - at))
        text = say("warning.token", time=time)
    return Warning(
        Kind.TOKEN_EXPIRING,
        f"{token.id} {days}",
        title,
        text,
        signals.token_expiring,
        {"token": token, "expires_at": ends_at, "days": max(0, (ends_at - at).days)},
    )


def _secret(account: Any, at: datetime) -> Warning | None:
    state = get_state()
    key = state.scim.account_key(account)
    provider = providers.in_force(state.session, state.scim.records, key)
    if provider is None or provider.mode_at(at) is Mode.OFF:
        return None
    days = providers.secret_warning(provider, at)
    return None if days is None else _secret_warning(provider, days, at)


def _secret_warning(provider: IdentityProviderMixin, days: int, at: datetime) -> Warning:
    ends_at, left = provider.secret_expires_at, 0
    if days == 0 or ends_at is None:
        title, text = say("secret.expired.title"), say("secret.expired")
    else:
        title = say("secret.expiring.title", when=ahead(ends_at - at))
        text, left = say("secret.expiring"), (ends_at - at).days
    return Warning(
        Kind.SECRET_EXPIRING,
        f"{provider.id} {days}",
        title,
        text,
        signals.sso_secret_expiring,
        {"expires_at": ends_at, "days": left},
        secret=(provider, days),
    )


def _failing(facts: Facts) -> Warning | None:
    if not facts.is_failing:
        return None
    hours = span(FAILURES_WITHIN)
    return Warning(
        Kind.FAILING,
        "",
        say("warning.failing.title", count=facts.failed, length=hours),
        say("warning.failing"),
        signals.provisioning_failing,
        {"failures": facts.failed},
    )


def _quiet(facts: Facts, at: datetime) -> Warning | None:
    last, silent = facts.held.last_used_at, facts.quiet_for(at)
    if last is None or silent is None:
        return None
    return Warning(
        Kind.QUIET,
        _stamp(last),
        say("warning.quiet.title", length=span(silent)),
        say("warning.quiet", time=_moment(last)),
        signals.provisioning_quiet,
        {"last_request_at": last},
    )


# -- telling it ----------------------------------------------------------------------------


def _tell(account: Any, found: Sequence[Warning]) -> list[Warning]:
    """Tell those of ``found`` that nobody has told yet."""
    state = get_state()
    key = state.scim.account_key(account)
    news = [warning for warning in found if _is_mine(state, key, warning)]
    for warning in news:
        _record(state, key, warning)
    if news:
        state.session.commit()
    for warning in news:
        signals.tell(warning.signal, get_app(), account=account, **warning.evidence)
        _mail(state, account, warning)
    return news


def _is_mine(state: State, key: Any, warning: Warning) -> bool:
    """Whether it is for this process to tell it; written down then."""
    session, records = state.session, state.scim.records
    if warning.secret is None:
        return warnings.note(session, records, key, warning.kind, warning.about)
    # What was told of a secret goes with it, from settings that wait to those that serve.
    provider, days = warning.secret
    told = provider.secret_warned_days
    if told is not None and told <= days:
        return False  # asked again while it is written; this spares every visit the write
    return providers.note_secret_warning(session, records, provider, days)


def _record(state: State, key: Any, warning: Warning) -> None:
    event, detail = log.Event.WARNED, warning.title
    if warning.kind is Kind.SECRET_EXPIRING:
        ends_at = warning.evidence["expires_at"]
        is_over = warning.secret is not None and warning.secret[1] == 0
        event = log.Event.SSO_SECRET_EXPIRING
        detail = "expired" if is_over else f"expires on {ends_at:%Y-%m-%d}"
    log.record(state.session, state.scim.records, key, event, detail=detail)


def _mail(state: State, account: Any, warning: Warning) -> None:
    """Hand a warning to the host's own mail; its failure is the host's to repair. The subject
    is one line, whatever a token is called."""
    subject = " ".join(warning.title.split())
    text = f"{warning.title}.\n\n{warning.text}\n\n{say('warning.page', url=page_url(state))}\n"
    try:
        state.scim.mail_admins(account, subject, text)
    except Exception:
        current_app.logger.exception("mail_admins failed for: %s", warning.title)


def page_url(state: State) -> str:
    """The public address of the page; also outside a request."""
    is_known = state.config.public_url is not None or has_request_context()
    return (state.public_url if is_known else "") + state.config.page_url_prefix


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f")


def _moment(at: datetime) -> str:
    return say("at", time=at.strftime("%Y-%m-%d %H:%M"))
