"""Signing out: here at once, and at Microsoft for who asks for that as well.

H5mag ends its own session only; Microsoft's serves other applications too. The page on which
that ends waits, because an account that redirects would sign the person in again at once.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from flask import (
    Response,
    abort,
    after_this_request,
    current_app,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_login import current_user

from ..records import providers
from ..records.models import IdentityProviderMixin, Mode
from ..state import State, get_state
from ..texts import say_html
from . import directory, modes, sessions, sso
from .directory import SignInError

#: Carries Microsoft's name for the person from the session that ends to the page after it. In
#: an address it would stand in histories and logs.
COOKIE = "h5mag_scim_signed_out"
#: How many seconds it may take to get there, and to decide what to do.
_COOKIE_LIFETIME = 10 * 60


def signed_out_url() -> str | None:
    """See :meth:`.H5magSCIM.signed_out_url`."""
    state = get_state()
    user = current_user._get_current_object()
    stamp = sessions.current()
    if stamp.method != sessions.MICROSOFT or not sessions.is_of(user):
        return None
    account_id = getattr(user, state.scim.user.account)
    provider = providers.in_force(state.session, state.scim.records, account_id)
    if provider is None:
        return None
    after_this_request(lambda response: _remember(response, stamp.hint))
    return url_for(f"{sso.blueprint.name}.signed_out", public_id=provider.public_id)


def return_uri(state: State) -> str:
    """Where Microsoft sends people who have signed out there: one address for every account,
    because Microsoft goes to none that is not registered as a redirect URI."""
    return f"{state.public_url}{state.config.sso_url_prefix}/signed-out"


@sso.blueprint.get("/signed-out")
@sso.blueprint.get("/<public_id>/signed-out")
def signed_out(public_id: str | None = None) -> ResponseReturnValue:
    """Say that the session is over. Signs nobody in or out, whoever leads here.

    Nothing but the account's settings and the configuration decides where its links lead.
    """
    if current_user.is_authenticated:
        return redirect(f"{request.script_root}/", 303)
    state = get_state()
    again_url = url_for(state.config.login_endpoint)
    microsoft_url = None
    if public_id is not None:
        found = sso.by_public_id(public_id)
        if found is None:
            abort(404)
        provider, account = found
        if modes.serving(provider, account) is not Mode.OFF:
            # Who has just signed out may want to be somebody else.
            again_url = url_for(f"{sso.blueprint.name}.login", public_id=public_id, again=1)
        microsoft_url = _end_session_url(state, provider)
    else:
        after_this_request(lambda response: _remember(response, ""))
    return render_template(
        "h5mag_scim/sso_signed_out.html",
        layout=state.config.layout,
        say=say_html,
        again_url=again_url,
        microsoft_url=microsoft_url,
    )


def _end_session_url(state: State, provider: IdentityProviderMixin) -> str | None:
    """The directory's own address for signing out (OpenID Connect RP-Initiated Logout §2);
    ``None`` when it cannot be had."""
    try:
        found = directory.locate(state.config, provider)
        # The directory may be slow: no connection to the database waits for it.
        state.session.commit()
        endpoint = state.kept["oidc"].metadata(found).end_session_endpoint
    except SignInError:
        return None
    if endpoint is None:
        return None
    query = {"post_logout_redirect_uri": return_uri(state)}
    hint = request.cookies.get(COOKIE, "")
    if sessions.is_hint(hint):
        query["logout_hint"] = hint
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"


def _remember(response: Response, hint: str) -> Response:
    config = current_app.config
    place: dict[str, Any] = {
        "path": f"{request.script_root}{get_state().config.sso_url_prefix}",
        "secure": bool(config["SESSION_COOKIE_SECURE"]),
        "httponly": True,
        "samesite": "Lax",
    }
    if hint:
        response.set_cookie(COOKIE, hint, max_age=_COOKIE_LIFETIME, **place)
    else:  # an earlier person's, which does not travel to the host's logout
        response.delete_cookie(COOKIE, **place)
    return response
