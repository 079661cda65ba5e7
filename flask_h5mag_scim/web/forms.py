"""What guards every form and page of the extension: CSRF, role, recent login, headers."""

from __future__ import annotations

import secrets
from typing import Any

from flask import Response, abort, current_app, redirect, request, session, url_for
from flask_login import current_user

from ..records import locks, log
from ..state import get_state
from ..texts import say
from . import sessions

#: The hidden field that carries :func:`csrf_token`. The host's own may stand beside it.
CSRF_FIELD = "scim_csrf"
#: The hidden field that says of which account a form is: somebody may manage several.
ACCOUNT_FIELD = "scim_account"
#: How many seconds old an authentication may be for what opens or closes a door.
RECENT_LOGIN = 10 * 60
#: The page, where everyone ends who is sent away to sign in.
PAGE = "h5mag_scim_pages.index"

_CSRF = "_h5mag_scim_csrf"


def csrf_token() -> str:
    """This session's token for the hidden field, made at first use."""
    token = session.get(_CSRF)
    if not isinstance(token, str):
        token = session[_CSRF] = secrets.token_urlsafe(32)
    return token


def account_mark(account: Any) -> str:
    """What :data:`ACCOUNT_FIELD` says in the forms of ``account``; no secret."""
    return str(get_state().scim.account_key(account))


def check_csrf(account: Any) -> None:
    """Refuse, with 400, a form that was not made for this session, or for another account."""
    expected = session.get(_CSRF)
    sent = request.form.get(CSRF_FIELD, "")
    # As bytes: compare_digest raises on text that is not ASCII.
    if not isinstance(expected, str) or not secrets.compare_digest(
        expected.encode(), sent.encode("utf-8", "replace")
    ):
        abort(400, description=say("refused.csrf"))
    # In a tab that was left open while its owner went on to another customer.
    if request.form.get(ACCOUNT_FIELD, account_mark(account)) != account_mark(account):
        abort(400, description=say("refused.account"))


def require_manager() -> Any:
    """The account that the signed-in owner or admin manages.

    Anonymous visitors are sent to the host's login; everyone else gets 403.
    """
    if not current_user.is_authenticated:
        abort(current_app.make_response(current_app.login_manager.unauthorized()))  # type: ignore[attr-defined]  # set by Flask-Login
    scim = get_state().scim
    account = scim.current_account()
    if account is None or not scim.can_manage(current_user._get_current_object(), account):
        abort(403, description=say("refused.role"))
    return account


def lock(account: Any) -> None:
    """Let nobody else change ``account`` until the transaction ends.

    Who has waited for somebody who ended this very session is sent to the host's login: what
    the request keeps going must be a session that still is one.
    """
    state = get_state()
    locks.lock_account(state.session, state.scim.account, state.scim.account_key(account))
    if not sessions.permits(current_user._get_current_object()):
        abort(current_app.make_response(current_app.login_manager.unauthorized()))  # type: ignore[attr-defined]  # set by Flask-Login


def login_is_recent() -> bool:
    """Whether the person authenticated in this session within the last ten minutes.

    A session that came back from a remember-me cookie has not.
    """
    is_own = sessions.is_of(current_user._get_current_object())
    return is_own and 0 <= sessions.current().age <= RECENT_LOGIN


def require_recent_login(endpoint: str = PAGE, **values: Any) -> None:
    """Send someone who signed in too long ago to the host's login.

    :param endpoint: the page of ours to return to, with its ``values``.
    """
    if login_is_recent():
        return
    # In the address, not in the session: hosts empty the session when somebody signs in.
    back = url_for(endpoint, **values, again=1)
    # Who came in with a password may be unknown to Microsoft, and is asked for it again.
    password = None if sessions.current().method == sessions.MICROSOFT else 1
    login = url_for(get_state().config.login_endpoint, next=back, password=password)
    abort(redirect(login, 303))


def returned_from_login() -> bool:
    """Whether :func:`require_recent_login` sent this person away, and they did sign in."""
    return "again" in request.args and login_is_recent()


def secure_headers(response: Response) -> Response:
    """Keep a page out of caches, frames and referrers."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Content-Security-Policy"] = (
        "frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
    )
    return response


def actor() -> str:
    """The signed-in person by user name, for the log and the token; nothing for nobody."""
    user = current_user._get_current_object()
    if user is None or not user.is_authenticated:
        return ""
    resource = get_state().scim.user
    if isinstance(user, resource.model):
        return str(resource.value(user, "userName") or user.get_id())
    return str(user.get_id())


def log_event(account: Any, event: log.Event, *, detail: str | None = None) -> None:
    """An entry in the account's log about what the signed-in person did. Does not commit."""
    state = get_state()
    key = state.scim.account_key(account)
    log.record(state.session, state.scim.records, key, event, actor=actor(), detail=detail)
