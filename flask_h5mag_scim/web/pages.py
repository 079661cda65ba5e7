"""The page "Provisioning & SSO": the token, the SSO provider, what is kept, what happened."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from flask import (
    Flask,
    abort,
    request,
    session,
    url_for,
)
from werkzeug.wrappers import Response as BaseResponse

from .. import signals
from ..records import accounts, log, providers, tokens
from ..records.models import IdentityProviderMixin, Mode, TokenMixin, TokenState, now
from ..state import State, get_app, get_state
from ..texts import Done, ahead, say, span
from . import (
    access_tokens,
    activity,
    brake,
    credentials,
    directory,
    forms,
    guide,
    live,
    modes,
    oauth,
    oidc,
    people,
    registration,
    require,
    sessions,
    sso_settings,
    warnings,
)
from . import danger as danger  # for its routes, on the same blueprint
from .frame import blueprint, check_writer, done_before, render, require_writer, to_page
from .sso_settings import SSOForm
from .status import Facts

#: How many tokens that are out of use the page shows.
SHOWN = 20

_NONCE = re.compile(r"[A-Za-z0-9_-]{22}")
#: Session key: the nonces of forms that were used.
_USED = "_h5mag_scim_used"


def register(app: Flask, state: State) -> None:
    """Add the page at its prefix."""
    app.register_blueprint(blueprint, url_prefix=state.config.page_url_prefix)


@dataclass(frozen=True)
class Lifetime:
    """One choice for how long a token lives."""

    value: str
    label: str
    length: timedelta | None


@dataclass
class Answer:
    """What a request has to say on the page besides what is stored."""

    #: Sentences beside fields, by field; a problem of ``token`` stands above them.
    problems: dict[str, str] = field(default_factory=dict)
    #: What was done.
    done: list[Done] = field(default_factory=list)
    #: The draft that was just made and its text, which no other response ever has.
    draft: TokenMixin | None = None
    text: str | None = None
    sso: SSOForm | None = None
    #: What somebody else did to the settings while the form was open.
    changed: sso_settings.Changed | None = None
    status: int = 200


# -- what the routes do ------------------------------------------------------------------


@blueprint.get("", strict_slashes=False)
def index() -> BaseResponse:
    """The page."""
    account = forms.require_manager()
    _settle(account)
    facts = Facts.of(account, now())
    # Made before anybody is told, which commits: afterwards somebody else may discard the draft
    # that is on it.
    page = _page(account, Answer(done=done_before()), facts)
    warnings.tell(account, facts=facts)
    return page


@blueprint.get("/generate")
@blueprint.get("/save")
@blueprint.get("/discard")
@blueprint.get("/keep")
@blueprint.get("/sign-out-everywhere")
def back() -> BaseResponse:
    """Where a form was posted to, typed or reloaded: the page."""
    return to_page()


@blueprint.post("/generate")
def generate() -> BaseResponse:
    """Make a draft and show its text, here and never again."""
    account = require_writer()
    forms.require_recent_login()
    if not _first_use(request.form.get("nonce", "")):
        return to_page()
    state = get_state()
    records, key = state.scim.records, state.scim.account_key(account)
    if len(tokens.active(state.session, records, key)) >= tokens.MAX_ACTIVE:
        problems = {"token": say("generate.full")}
        return _page(account, Answer(problems=problems, sso=SSOForm.sent(), status=409))
    draft, text = tokens.issue(state.session, records, key, created_by=forms.actor())
    forms.log_event(account, log.Event.TOKEN_GENERATED, detail=draft.called)
    # Made before the commit: afterwards somebody else may discard the draft, and the text
    # would be lost with the page.
    page = _page(account, Answer(draft=draft, text=text, sso=SSOForm.sent()))
    state.session.commit()
    return page


@blueprint.post("/save")
def save() -> BaseResponse:
    """Activate the draft, if the form has one, and store the single sign-on settings.

    Neither waits for the other: what is wrong with one is said, and the other is saved.
    """
    check_writer()  # before Microsoft is asked about a domain for them
    sent = SSOForm.sent()
    found = sso_settings.Found() if sent is None else sso_settings.find_directory(sent)
    account = require_writer()
    state = get_state()
    _settle(account, is_locked=True)
    answer = Answer(sso=sent, status=422)
    token = None
    must_sign_in = False
    if "draft" in request.form:
        token = _token(account, request.form["draft"])
        if token is None:
            answer.problems["token"] = say("draft.gone")
            answer.status = 404
            return _page(account, answer)
        if not _activate(account, token, answer):
            token = None
    stored = sso_settings.version(account)
    if answer.sso is not None and request.form.get("sso_version", stored) != stored:
        answer.problems["sso_provider"] = say("sso.changed")
        answer.changed = sso_settings.changed(account, answer.sso)
        answer.sso = None  # the page shows what is stored by now
    if answer.sso is not None:
        saved = sso_settings.save(account, answer.sso, found)
        must_sign_in = saved.must_sign_in
        sessions.keep()  # with another directory, or none, those of the account are over
        answer.problems |= saved.problems
        answer.done += saved.done
    state.session.commit()
    if token is not None:
        signals.tell(signals.token_issued, get_app(), account=account, token=token)
    if must_sign_in:
        forms.require_recent_login()
    if answer.problems:
        return _page(account, answer)
    return to_page(*(answer.done or ["nothing"]))


@blueprint.post("/keep")
def keep() -> BaseResponse:
    """Let *Require* stay that is on trial: for an admin who came in through Microsoft, which
    shows that one can."""
    account = require_writer()
    state = get_state()
    row = _settle(account, is_locked=True)
    forms.require_recent_login()
    if sessions.current().method != sessions.MICROSOFT:
        return _page(account, Answer(problems={"mode": say("trial.keep.refused")}, status=403))
    by = forms.actor()
    if row is None or not providers.keep(state.session, state.scim.records, row, by=by):
        return to_page("trial-over")
    forms.log_event(account, log.Event.SSO_TRIAL_KEPT)
    state.session.commit()
    return to_page("trial-kept")


@blueprint.post("/discard")
def discard() -> BaseResponse:
    """Forget the draft."""
    account = require_writer()
    state = get_state()
    key = state.scim.account_key(account)
    if not tokens.discard_drafts(state.session, state.scim.records, key):
        return to_page()
    forms.log_event(account, log.Event.TOKEN_DISCARDED)
    state.session.commit()
    return to_page("discarded")


@blueprint.get("/tokens/<uuid:token_id>/revoke")
def ask_revoke(token_id: uuid.UUID) -> BaseResponse:
    """Say what stops, and ask."""
    account = forms.require_manager()
    token = _saved_token(account, token_id)
    if token.state(now()) is not TokenState.ACTIVE:
        return to_page()
    return _revoke_page(account, token)


@blueprint.post("/tokens/<uuid:token_id>/revoke")
def revoke(token_id: uuid.UUID) -> BaseResponse:
    """Close the door for one token. The only one in use asks for its fingerprint."""
    account = require_writer()
    forms.require_recent_login(f"{blueprint.name}.ask_revoke", token_id=token_id)
    token = _saved_token(account, token_id)
    if token.state(now()) is not TokenState.ACTIVE:
        return to_page()
    typed = request.form.get("fingerprint", "").strip().lower()
    if not _others(account, token) and typed != token.fingerprint:
        return _revoke_page(account, token, typed=typed)
    tokens.revoke(token)
    forms.log_event(account, log.Event.TOKEN_REVOKED, detail=token.called)
    state = get_state()
    state.session.commit()
    signals.tell(signals.token_revoked, get_app(), account=account, token=token)
    return to_page("revoked")


@blueprint.post("/sign-out-everywhere")
def sign_out_everywhere() -> BaseResponse:
    """End every session of the account's people but this one."""
    account = require_writer()
    forms.require_recent_login()
    state = get_state()
    accounts.end_sessions(state.session, state.scim.records, state.scim.account_key(account))
    sessions.keep()
    forms.log_event(account, log.Event.SESSIONS_ENDED)
    state.session.commit()
    return to_page("signed-out-everywhere")


# -- their steps -------------------------------------------------------------------------


def _settle(account: Any, *, is_locked: bool = False) -> IdentityProviderMixin | None:
    """The settings in force; that a trial of them is over is written down before.

    :param is_locked: whether the caller has locked the account; it still is afterwards.
    """
    state = get_state()
    key = state.scim.account_key(account)
    row = providers.in_force(state.session, state.scim.records, key)
    if require.settle(row, account) and is_locked:
        forms.lock(account)
    return row


def _first_use(nonce: str) -> bool:
    """Whether this very form comes for the first time; a reload sends it again."""
    used: list[str] = session.get(_USED, [])
    if not _NONCE.fullmatch(nonce) or nonce in used:
        return False
    session[_USED] = [*used, nonce][-10:]
    return True


def _token(account: Any, text: str) -> TokenMixin | None:
    try:
        token_id = uuid.UUID(text)
    except ValueError:
        return None
    state = get_state()
    key = state.scim.account_key(account)
    return tokens.get(state.session, state.scim.records, key, token_id)


def _saved_token(account: Any, token_id: uuid.UUID) -> TokenMixin:
    token = _token(account, str(token_id))
    if token is None or token.activated_at is None:
        abort(404)
    return token


def _others(account: Any, token: TokenMixin) -> list[TokenMixin]:
    """The tokens that stay active without this one."""
    state = get_state()
    key = state.scim.account_key(account)
    active = tokens.active(state.session, state.scim.records, key)
    return [other for other in active if other.id != token.id]


def _activate(account: Any, token: TokenMixin, answer: Answer) -> bool:
    """Make the draft active. Says whether this request did it."""
    if token.activated_at is not None:  # the form was sent twice; it is saved
        return False
    name = tokens.clean_name(request.form.get("name", "")) or _default_name(_others(account, token))
    choices = _lifetimes()
    wanted = request.form.get("expires", choices[0].value)
    lifetime = next((choice for choice in choices if choice.value == wanted), None)
    if lifetime is None:
        abort(400)
    expires_at = None if lifetime.length is None else now() + lifetime.length
    state = get_state()
    try:
        tokens.activate(state.session, state.scim.records, token, name=name, expires_at=expires_at)
    except tokens.TokenError as error:
        answer.problems["token"] = say(f"token_problem.{error.problem}")
        return False
    forms.log_event(account, log.Event.TOKEN_SAVED, detail=token.called)
    answer.done.append("token")
    return True


def _default_name(active: Sequence[TokenMixin]) -> str:
    """What a token is called when nobody says it: not like one that it stands beside."""
    taken = {token.name for token in active}
    names = (say("name.default"), *(say("name.next", n=n) for n in range(2, 9)))
    return next(name for name in names if name not in taken)


def _lifetimes() -> list[Lifetime]:
    """How long a token may live, the configured default first."""
    default = get_state().config.token_lifetime
    lengths: list[timedelta | None] = [timedelta(days=n) for n in (365, 90, 180, 730)]
    if default not in lengths:
        lengths.append(default)
    lengths.sort(key=lambda length: (length != default, length is None, length or timedelta()))
    if None not in lengths:
        lengths.append(None)
    return [
        Lifetime("never", say("expires.never.option"), None)
        if length is None
        else Lifetime(f"{length.total_seconds():.0f}", span(length), length)
        for length in lengths
    ]


# -- what the page shows -----------------------------------------------------------------


def _page(account: Any, answer: Answer, facts: Facts | None = None) -> BaseResponse:
    standing = live.Standing.of(account, draft=answer.draft, facts=facts)
    return render(
        "provisioning.html",
        account,
        status=answer.status,
        problems=answer.problems,
        done=answer.done,
        at=standing.at,
        # The button is further down than the note that speaks of it.
        one_step_left="sso-pending" in answer.done,
        standing=standing,
        held=standing.held,
        nonce=secrets.token_urlsafe(16),
        ahead=ahead,
        advice=guide.advice(),
        activity=activity.recent(account),
        brake=brake.context(account),
        shown=SHOWN,
        **_about_tokens(account, answer, standing),
        **_about_sign_in(account, answer, standing),
        **_about_attributes(account),
    )


def _about_tokens(account: Any, answer: Answer, standing: live.Standing) -> dict[str, Any]:
    """What the page says of tokens, and its fields for them."""
    state, held = get_state(), standing.held
    lifetimes = _lifetimes()
    return {
        "expiring": held.expiring(standing.at),
        "expired": held.expired,
        "orphans": credentials.orphans(account, held),
        "full": len(held.active) >= tokens.MAX_ACTIVE,
        "text": answer.text,
        "provisioning_url": state.provisioning_url,
        "token_endpoint": oauth.token_endpoint(state),
        "client_id": access_tokens.client_id(state.scim.account_key(account)),
        "name": tokens.clean_name(request.form.get("name", "")) or _default_name(held.active),
        "lifetimes": lifetimes,
        "expires": request.form.get("expires", lifetimes[0].value),
    }


def _about_sign_in(account: Any, answer: Answer, standing: live.Standing) -> dict[str, Any]:
    """What the page says of single sign-on, and its fields for it."""
    state = get_state()
    config, scim = state.config, state.scim
    in_force, pending = standing.in_force, standing.pending
    mode = modes.serving(in_force, account)
    serving = in_force if mode is not Mode.OFF else None
    known = pending or in_force
    redirect_uri = oidc.redirect_uri(state)
    sso = answer.sso or SSOForm.stored(in_force, pending, require.break_glass_names(account))
    # What was typed belongs to the settings that were there when it was typed.
    version = request.form.get("sso_version", "") if answer.sso else sso_settings.version(account)
    return {
        "sso": sso,
        "sso_version": version,
        "changed": answer.changed,
        "serving": serving,
        "mode": mode,
        "modes": list(Mode),
        "trial": require.trial(serving),
        "sign_on_path": scim.sso_button_url(account, next=url_for(forms.PAGE)),
        "came_by_microsoft": sessions.current().method == sessions.MICROSOFT,
        "pending": pending,
        "testable": pending or serving,
        "reach": None if known is None else standing.reach,
        "reach_is_partial": standing.facts.users > people.NEWEST,
        "has_registration": config.has_registration,
        "secret": registration.warning((in_force, pending), standing.at),
        "keeps_secret": sso_settings.keeps_secret(sso, (pending, in_force)),
        "consent_url": known and directory.consent_url(config, known, redirect_uri),
        "clouds": sso_settings.clouds(config.oidc_clouds, sso.cloud),
        "session_hours": sso_settings.session_hours(sso.session_hours),
        "redirect_uri": redirect_uri,
        "sign_on_url": known and oidc.sign_on_url(state, known),
    }


def _about_attributes(account: Any) -> dict[str, Any]:
    """What the page says of the attributes that are kept, and of those that are not."""
    state = get_state()
    scim = state.scim
    rows, roles = scim.user.rows(), scim.user.roles
    ignored = log.ignored(state.session, scim.records, scim.account_key(account))
    return {
        "attributes": rows,
        "matching": [row.path for row in rows if row.filterable and row.unique],
        "ignored": ignored[:SHOWN],
        "mapping": guide.mapping(rows),
        "roles": roles,
        "app_roles": guide.app_roles(roles.given) if roles else "",
    }


def _revoke_page(account: Any, token: TokenMixin, *, typed: str | None = None) -> BaseResponse:
    """The question before a token is revoked; again, when ``typed`` was wrong."""
    return render(
        "revoke.html",
        account,
        status=200 if typed is None else 422,
        token=token,
        others=_others(account, token),
        typed=typed,
    )
