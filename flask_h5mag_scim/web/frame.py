"""What the pages of "Provisioning & SSO" share: their blueprint, who may do what, the host's
layout around them, and what is said on the next one."""

from __future__ import annotations

from typing import Any

from flask import (
    Blueprint,
    Response,
    abort,
    current_app,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from werkzeug.wrappers import Response as BaseResponse

from ..state import get_state
from ..texts import Done, say, say_done, say_html
from . import forms

blueprint = Blueprint(
    "h5mag_scim_pages", __name__, template_folder="../templates", static_folder="../static"
)

#: Session key: what to say on the next page.
_DONE = "_h5mag_scim_done"


@blueprint.after_request
def _secure(response: Response) -> Response:
    is_static = request.endpoint == f"{blueprint.name}.static"
    return response if is_static else forms.secure_headers(response)


def check_writer() -> Any:
    """The account, when this request may change it."""
    account = forms.require_manager()
    state = get_state()
    if not state.scim.is_licensed(account):
        abort(403, description=say("refused.licence", email=state.config.support_email))
    forms.check_csrf(account)
    return account


def require_writer() -> Any:
    """The account, when this request may change it; no other changes it meanwhile."""
    account = check_writer()
    forms.lock(account)
    return account


def to_page(*done: Done) -> BaseResponse:
    """To the page, which then says what was done (codes of ``done.…``)."""
    if done:
        session[_DONE] = list(done)
    return redirect(url_for(forms.PAGE), 303)


def done_before() -> list[Done]:
    """What the request before this one has done; said once."""
    found: list[Done] = session.pop(_DONE, [])
    return found


def render(
    template: str, account: Any, *, status: int = 200, done: list[Done] | None = None, **values: Any
) -> BaseResponse:
    """A page in the host's layout.

    :param done: what was done, for the note above everything.
    """
    state = get_state()
    page = render_template(
        f"h5mag_scim/{template}",
        layout=state.config.layout,
        say=say_html,
        account_url=_account_url(),
        scim_csrf=forms.csrf_token(),
        scim_account=forms.account_mark(account),
        licensed=state.scim.is_licensed(account),
        support_email=state.config.support_email,
        signed_in_again=forms.returned_from_login(),
        recent_login=forms.login_is_recent(),
        done=[say_done(each) for each in done or ()],
        **values,
    )
    return make_response(page, status)


def _account_url() -> str | None:
    """The host's page above these, when it has one."""
    parent = get_state().config.page_url_prefix.rpartition("/")[0]
    adapter = current_app.create_url_adapter(request)
    if not parent or adapter is None or not adapter.test(parent, "GET"):
        return None
    return f"{request.script_root}{parent}"
