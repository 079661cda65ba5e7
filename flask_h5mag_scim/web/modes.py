"""How the people of an account sign in: by password, by a button, by redirect, or only with
Microsoft; and whose password, and which session, still counts then."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from flask import current_app, g, has_request_context
from sqlalchemy.orm import Session

from ..reasons import Reason
from ..records import log, sessions
from ..records.models import IdentityProviderMixin, Mode, now
from ..records.sessions import Standing
from ..signals import break_glass_used, tell
from ..state import get_app, get_state

#: Seconds that sessions from before go on when Microsoft begins to be required, and that a
#: break-glass session lasts.
GRACE = 10 * 60
BREAK_GLASS_LIFETIME = 60 * 60

#: In ``g``: whose break-glass sign-in :func:`password_allowed` has just allowed.
_ALLOWED = "h5mag_scim_break_glass"
#: Why a password is refused, in the log's words.
_REFUSED: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.MICROSOFT_REQUIRED: "Microsoft is required",
        Reason.BREAK_GLASS_ROLE: "a break-glass owner who no longer manages the account",
        Reason.BREAK_GLASS_FACTOR: "a break-glass owner without a second factor",
    }
)
#: A refusal of the same user is logged once in so many seconds, and that of so many users is
#: remembered: anybody can type a name into the host's forms.
_LOG_AGAIN = 60
_REMEMBERED = 1000


# What holds now


def serving(provider: IdentityProviderMixin | None, account: Any) -> Mode:
    """How the people of ``account`` sign in now; without a licence, as if nothing were set.

    :param provider: its settings in force, if there are any.
    """
    if provider is None or not get_state().scim.is_licensed(account):
        return Mode.OFF
    return provider.mode_at(now())


def password_allowed(user: Any) -> bool:
    """See :meth:`.H5magSCIM.password_allowed`."""
    state = get_state()
    scim = state.scim
    if not isinstance(user, scim.user.model):
        return True
    account_id, user_id = getattr(user, scim.user.account), scim.user.key(user)
    if account_id is None:
        return True
    standing = sessions.standing(state.session, scim.records, account_id, user_id)
    account = _account(account_id)
    if standing is None or account is None:
        return False
    if not _requires(standing, account):
        return True
    reason = _refusal(user, account, standing)
    if reason is not None:
        _note_refusal(account_id, user, reason)
        return False
    if has_request_context():
        setattr(g, _ALLOWED, user_id)
    return True


def _refusal(user: Any, account: Any, standing: Standing) -> Reason | None:
    """Why this password opens nothing where Microsoft is required; ``None`` if it does."""
    scim = get_state().scim
    if not standing.is_break_glass:
        return Reason.MICROSOFT_REQUIRED
    if not scim.can_manage(user, account):
        return Reason.BREAK_GLASS_ROLE
    if not scim.second_factor(user):
        return Reason.BREAK_GLASS_FACTOR
    return None


def permits_session(user: Any, standing: Standing, *, at: int, is_break_glass: bool) -> bool:
    """Whether a session that did not begin at Microsoft may go on.

    Where the account requires Microsoft, a break-glass session may for an hour, while its
    owner is named; any other for ten minutes, if it began before Microsoft was required.

    :param at: when it began, in seconds since 1970; 0 if nobody knows.
    :param is_break_glass: what :func:`uses_break_glass` said then.
    """
    if standing.mode is not Mode.REQUIRE:
        return True
    present = time.time()
    if is_break_glass and standing.is_break_glass:
        may = 0 <= present - at < BREAK_GLASS_LIFETIME
    else:
        since = 0 if standing.required_since is None else standing.required_since.timestamp()
        may = at <= since and 0 <= present - since < GRACE
    if may:
        return True
    account = _account(getattr(user, get_state().scim.user.account))
    return account is not None and not _requires(standing, account)


def _requires(standing: Standing, account: Any) -> bool:
    # Who may not use single sign-on any more must not be locked out by it.
    return standing.mode is Mode.REQUIRE and bool(get_state().scim.is_licensed(account))


def _account(account_id: Any) -> Any:
    state = get_state()
    return state.session.get(state.scim.account, account_id)


# Break-glass


def uses_break_glass(user: Any) -> bool:
    """Whether the session of ``user`` that is about to begin is the break-glass sign-in that
    :func:`password_allowed` allowed in this request. Logs and signals it."""
    state = get_state()
    scim = state.scim
    if g.pop(_ALLOWED, None) != scim.user.key(user):
        return False
    account_id = getattr(user, scim.user.account)
    _log_apart(account_id, log.Event.SSO_BREAK_GLASS, user)
    current_app.logger.warning("break-glass sign-in, account %s", account_id)
    tell(break_glass_used, get_app(), account=_account(account_id), user=user)
    return True


def _note_refusal(account_id: Any, user: Any, reason: Reason) -> None:
    remembered: OrderedDict[Any, float] = get_state().kept.setdefault("modes", OrderedDict())
    key, at = get_state().scim.user.key(user), time.monotonic()
    if at - remembered.get(key, -_LOG_AGAIN) < _LOG_AGAIN:
        return
    remembered[key] = at
    remembered.move_to_end(key)
    while len(remembered) > _REMEMBERED:
        remembered.popitem(last=False)
    _log_apart(account_id, log.Event.SSO_PASSWORD_REFUSED, user, reason)


def _log_apart(account_id: Any, event: log.Event, user: Any, reason: Reason | None = None) -> None:
    """An entry in a transaction of its own: the host's view is in the middle of something,
    and need not commit when it lets nobody in."""
    state = get_state()
    records, resource = state.scim.records, state.scim.user
    bind: Any = {"mapper": sa.inspect(records.LogEntry)}
    try:
        with Session(state.session.get_bind(**bind)) as own:
            log.record(
                own,
                records,
                account_id,
                event,
                actor=str(resource.value(user, "userName") or user.get_id()),
                resource_type=resource.name,
                resource_id=str(resource.key(user)),
                status=None if reason is None else 403,
                reason=reason,
                detail=None if reason is None else _REFUSED[reason],
            )
            own.commit()
    except sa.exc.OperationalError:  # SQLite, and the host is writing itself
        current_app.logger.exception("could not log %s, account %s", event, account_id)
