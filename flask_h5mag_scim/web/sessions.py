"""Sessions: how and when each began, and whether it goes on.

Flask keeps a session in a cookie that nobody can call back. So every session is stamped when
it begins, and every request compares the stamp with what is true by then.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from flask import Flask, g, has_request_context, session
from flask_login import current_user, user_logged_in, user_logged_out

from ..provisioning.advice import Advice
from ..records import accounts, sessions
from ..records.sessions import Standing
from ..state import get_state
from . import modes

#: How a session began. Whatever the host does by itself counts as a password.
PASSWORD = "password"  # noqa: S105, the name of a method
MICROSOFT = "microsoft"
BREAK_GLASS = "break_glass"

_STAMP = "_h5mag_scim_session"
#: In ``g``: what :func:`begins_at_microsoft` says of the session that is about to begin.
_MICROSOFT = "h5mag_scim_from_microsoft"
#: Characters of a login hint that are kept; it lives in the session's cookie.
_MAX_HINT = 512


class Stamp(NamedTuple):
    """How one session began."""

    #: The keys of the account and the user, as text; no account for somebody who is no user
    #: of :attr:`H5magSCIM.user`.
    account: str
    user: str
    #: What :class:`.Standing` said then.
    account_epoch: int
    user_epoch: int
    method: str
    #: Seconds since 1970.
    at: int
    #: Microsoft's own ``login_hint`` for the person, which spares them a question at sign-out.
    hint: str = ""

    @property
    def age(self) -> float:
        """Seconds since the session began."""
        return time.time() - self.at


#: A session that began without us: before the extension was there, or by a remember-me cookie.
UNKNOWN = Stamp("", "", 0, 0, PASSWORD, 0)


def register(app: Flask) -> None:
    """Stamp the sessions of this application."""
    user_logged_in.connect(_stamp, app)
    user_logged_out.connect(_forget, app)


def strict_advice(app: Flask) -> list[Advice]:
    """Whether nobody could come back from Microsoft, in development as well."""
    if app.config.get("SESSION_COOKIE_SAMESITE") != "Strict":
        return []
    return [
        Advice(
            "SESSION_COOKIE_SAMESITE is 'Strict': the browser will not send the session back "
            "from Microsoft and every sign-in will fail.",
            "Set it to 'Lax'.",
        )
    ]


def cookie_advice(app: Flask, public_url: str | None) -> list[Advice]:
    """What the application should change about its session cookie. ``Strict`` is
    :func:`strict_advice`'s."""
    config = app.config
    advice = []
    if (public_url or "").startswith("https:") and not config["SESSION_COOKIE_SECURE"]:
        advice.append(
            Advice(
                "SESSION_COOKIE_SECURE is not set: browsers send the session over plain http as "
                "well, where anybody on the way can take it.",
                "Set it to True.",
            )
        )
    if not config["SESSION_COOKIE_HTTPONLY"]:
        advice.append(
            Advice(
                "SESSION_COOKIE_HTTPONLY is off: scripts can read the session.", "Set it to True."
            )
        )
    if config["SESSION_COOKIE_SAMESITE"] not in ("Lax", "Strict"):
        advice.append(
            Advice(
                f"SESSION_COOKIE_SAMESITE is {config['SESSION_COOKIE_SAMESITE']!r}: other sites "
                "can send requests with the session.",
                "Set it to 'Lax'.",
            )
        )
    return advice


def current() -> Stamp:
    """The stamp of this request's session; :data:`UNKNOWN` where there is none."""
    kept = session.get(_STAMP)
    if not isinstance(kept, list) or len(kept) != len(Stamp._fields):
        return UNKNOWN
    return Stamp(*kept)


def begins_at_microsoft(account_id: Any, login_hint: object) -> None:
    """Say that Microsoft has vouched for the person whom this request is about to sign in.

    What ends the account's sessions from here on ends theirs.

    :param login_hint: the claim of that name.
    """
    state = get_state()
    hint = login_hint if is_hint(login_hint) else ""
    epoch = accounts.session_epoch(state.session, state.scim.records, account_id)
    setattr(g, _MICROSOFT, (epoch, hint))


def is_hint(value: object) -> bool:
    """Whether ``value`` can be Microsoft's ``login_hint`` for somebody."""
    return isinstance(value, str) and value.isprintable() and 0 < len(value) <= _MAX_HINT


def permits(user: Any) -> bool:
    """Whether ``user`` may be here, and this request's session still speaks for them; see
    :meth:`.H5magSCIM.session_guard`."""
    if user is None or not user.is_active:
        return False
    resource = get_state().scim.user
    if not isinstance(user, resource.model):
        return True
    if not resource.is_active(user):
        return False
    if not has_request_context() or getattr(user, resource.account) is None:
        return True
    stamp = current()
    if stamp != UNKNOWN and (stamp.account, stamp.user) != _names(user):
        return False
    standing = _standing(user)
    return standing is not None and _goes_on(user, stamp, standing)


def _goes_on(user: Any, stamp: Stamp, standing: Standing) -> bool:
    if stamp.account_epoch < standing.account_epoch or stamp.user_epoch < standing.user_epoch:
        return False
    if stamp.method == MICROSOFT:
        hours = standing.session_hours
        return hours is not None and 0 <= stamp.age < hours * 3600
    is_break_glass = stamp.method == BREAK_GLASS
    return modes.permits_session(user, standing, at=stamp.at, is_break_glass=is_break_glass)


def keep() -> None:
    """Let this session go on although the caller has just ended those of its account.

    In the transaction that ended them; it stays as old as it was.
    """
    user = current_user._get_current_object()
    standing = _standing(user) if isinstance(user, get_state().scim.user.model) else None
    if standing is None:
        return
    account, key = _names(user)
    _write(
        current()._replace(
            account=account,
            user=key,
            account_epoch=standing.account_epoch,
            user_epoch=standing.user_epoch,
        )
    )


def is_of(user: Any) -> bool:
    """Whether this session was stamped, and for ``user``."""
    return (current().account, current().user) == _names(user)


def _stamp(app: Flask, *, user: Any, **evidence: Any) -> None:
    """Receiver of Flask-Login's ``user_logged_in``: a session begins now."""
    account, key = _names(user)
    standing = _standing(user) if account else None
    stamp = Stamp(
        account=account,
        user=key,
        account_epoch=standing.account_epoch if standing else 0,
        user_epoch=standing.user_epoch if standing else 0,
        method=PASSWORD,
        at=int(time.time()),
    )
    begun = g.pop(_MICROSOFT, None)
    if begun is not None:
        epoch, hint = begun
        stamp = stamp._replace(method=MICROSOFT, account_epoch=epoch, hint=hint)
    elif account and modes.uses_break_glass(user):
        stamp = stamp._replace(method=BREAK_GLASS)
    _write(stamp)


def _forget(app: Flask, **evidence: Any) -> None:
    """Receiver of ``user_logged_out``: who comes after has not come in as this person did."""
    session.pop(_STAMP, None)


def _write(stamp: Stamp) -> None:
    session[_STAMP] = list(stamp)


def _names(user: Any) -> tuple[str, str]:
    resource = get_state().scim.user
    if not isinstance(user, resource.model):
        return "", str(user.get_id())
    account = getattr(user, resource.account)
    return "" if account is None else str(account), str(resource.key(user))


def _standing(user: Any) -> Standing | None:
    state = get_state()
    resource = state.scim.user
    account = getattr(user, resource.account)
    return sessions.standing(state.session, state.scim.records, account, resource.key(user))
