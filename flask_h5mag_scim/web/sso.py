"""Sign in with Microsoft: to the directory, back, and the admin's test of the same road.

A sign-in ends signed in, or on a page of ours that says who can do what about it. That
page never goes to Microsoft by itself, so there are no loops.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field, fields
from typing import Any
from urllib.parse import unquote
from uuid import UUID

from flask import (
    Blueprint,
    Flask,
    abort,
    current_app,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user, logout_user
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import BuildError

from ..reasons import SignInReason
from ..records import locks, log, providers
from ..records.models import IdentityProviderMixin, Mode, ProviderState
from ..records.providers import Settings
from ..signals import sso_linked, sso_refused, sso_signed_in, tell
from ..state import State, get_app, get_state
from ..texts import say, say_html
from . import (
    directory,
    forms,
    limits,
    modes,
    oidc,
    people,
    refusals,
    registration,
    require,
    sessions,
    warnings,
)
from .directory import SignInError

blueprint = Blueprint("h5mag_scim_sso", __name__)

#: Seconds from leaving for Microsoft to coming back.
MAX_DURATION = 600
#: Sign-ins that may be under way in one browser, and the room they take in its cookie:
#: browsers drop one of 4096 bytes whole, and the host's own session lives in it too.
MAX_ATTEMPTS = 5
MAX_ATTEMPTS_SIZE = 1800
#: Seconds for which a passed test proves who the admin is at Microsoft.
TEST_COUNTS = 15 * 60
#: Characters of one query parameter; Microsoft's codes are below 2,000.
MAX_PARAMETER = 4096

_ATTEMPTS = "_h5mag_scim_sso"
_OTHER_TABS = "_h5mag_scim_sso_tabs"
_RESULT = "_h5mag_scim_sso_test"
_PUBLIC_ID = re.compile(r"[A-Za-z0-9_-]{1,32}")
_LOCAL_PATH = re.compile(
    r"/(?![/\\]|%2f|%5c|%[01][0-9a-f]|%7f)[\x21-\x5b\x5d-\x7e]*", re.IGNORECASE
)


def register(app: Flask, state: State) -> None:
    """Hang the routes in, and make this application's stores: of metadata and keys, and of
    who signs in how often.
    """
    state.kept["oidc"] = directory.Store()
    state.kept["sso_rate"] = limits.RateLimit(state.config.sso_rate_limit)
    app.register_blueprint(blueprint, url_prefix=state.config.sso_url_prefix)


def safe_next(text: str | None, *, forbidden_prefixes: Sequence[str]) -> str | None:
    """``text`` when it is a local path to return to after signing in, else ``None``.

    :param forbidden_prefixes: paths that lead back into a sign-in or out of the session.
        They are compared as a server reads them, percent-decoded and in any case.

    Werkzeug's ``redirect()`` strips a tab and a leading space, after which ``/\\t/host`` is
    another host; so only visible ASCII without the backslash passes.
    """
    if text is None or len(text) > 500 or not _LOCAL_PATH.fullmatch(text):
        return None
    path = unquote(re.split(r"[?#]", text)[0]).casefold()
    if any(segment in (".", "..") for segment in path.split("/")):
        return None
    for prefix in forbidden_prefixes:
        closed = prefix.rstrip("/").casefold()
        if path == closed or path.startswith(closed + "/"):
            return None
    return text


# What is remembered between leaving for Microsoft and coming back


@dataclass(frozen=True)
class Attempt:
    """One sign-in under way, in the browser's session and nowhere else.

    The account is the one of ``provider``: nothing that comes back from Microsoft through
    the browser has a say in it.
    """

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    code_verifier: str = field(repr=False)
    #: ``login``, or ``test``, which can never end in a login.
    purpose: str
    provider: str
    version: int
    public_id: str
    next: str
    #: Who began a test.
    user: str
    at: int


def _attempts() -> list[Attempt]:
    now = int(time.time())
    # A cookie of an earlier release may hold another shape.
    rows = [row for row in session.get(_ATTEMPTS, ()) if len(row) == len(fields(Attempt))]
    kept = [Attempt(*row) for row in rows]
    return [each for each in kept if 0 <= now - each.at <= MAX_DURATION]


def _keep(attempts: list[Attempt]) -> None:
    rows = [list(astuple(each)) for each in attempts[-MAX_ATTEMPTS:]]
    while len(rows) > 1 and len(json.dumps(rows)) > MAX_ATTEMPTS_SIZE:
        rows.pop(0)
    if rows:
        session[_ATTEMPTS] = rows
    else:
        session.pop(_ATTEMPTS, None)


def _take(state: str) -> Attempt | None:
    """The attempt with this state, which can be taken once."""
    attempts = _attempts()
    found = next((each for each in attempts if each.state == state), None)
    if found is not None:
        _keep([each for each in attempts if each is not found])
    return found


def _keep_other_tabs(attempts: list[Attempt], user: Any) -> None:
    """Remember of sign-ins that another tab began where they were to end, and nothing else."""
    if attempts:
        rows = [[each.state, each.next, each.at] for each in attempts]
        session[_OTHER_TABS] = {"user": user.get_id(), "rows": rows}


def _take_other_tab(state: str) -> str | None:
    """Where to go on when a tab comes back after another one signed the person in."""
    kept = session.get(_OTHER_TABS)
    if kept is None or not current_user.is_authenticated:
        return None
    now = int(time.time())
    found = [row for row in kept["rows"] if row[0] == state and 0 <= now - row[2] <= MAX_DURATION]
    if not found or kept["user"] != current_user.get_id():
        return None
    session[_OTHER_TABS] = {**kept, "rows": [row for row in kept["rows"] if row[0] != state]}
    return page_after_login(found[0][1]) or f"{request.script_root}/"


def _begin(
    provider: IdentityProviderMixin,
    *,
    purpose: str,
    next: str = "",
    user: str = "",
    **parameters: str,
) -> ResponseReturnValue:
    state = get_state()
    connection = directory.connect(state.config, provider, state.vault)
    version, public_id, key = provider.version, provider.public_id, provider.id.hex
    # The directory may be slow: no connection to the database waits for it.
    state.session.commit()
    begun = oidc.authorize(
        connection,
        state.kept["oidc"],
        name=_client_name(key),
        redirect_uri=oidc.redirect_uri(state),
        # For who comes back when the attempt is forgotten; see _begun_at().
        state=f"{public_id}.{secrets.token_urlsafe(24)}",
        **parameters,
    )
    attempt = Attempt(
        state=begun.state,
        nonce=begun.nonce,
        code_verifier=begun.code_verifier,
        purpose=purpose,
        provider=key,
        version=version,
        public_id=public_id,
        next=next,
        user=user,
        at=int(time.time()),
    )
    _keep([*_attempts(), attempt])
    return redirect(begun.url, 303)


def _redeem(connection: directory.Connection, attempt: Attempt) -> dict[str, Any]:
    state = get_state()
    state.session.commit()
    # What is read after the exchange is read anew, also where the host's sessions do not
    # expire what they hold on commit.
    state.session.expire_all()
    return oidc.redeem(
        connection,
        state.kept["oidc"],
        name=_client_name(attempt.provider),
        redirect_uri=oidc.redirect_uri(state),
        nonce=attempt.nonce,
        code_verifier=attempt.code_verifier,
    )


def _client_name(provider: str) -> str:
    # Of fixed length and without an underscore, so that no two names share a beginning in
    # the keys that Authlib makes from them.
    return f"m{provider}"


# The routes


@blueprint.before_request
def _refuse_head() -> None:
    # Flask answers HEAD with the GET view: a link checker would use up somebody's state.
    if request.method == "HEAD":
        abort(405)


@blueprint.before_request
def _limit_rate() -> ResponseReturnValue | None:
    # Before a state is looked at: who waits and reloads comes in with the same answer.
    if request.endpoint not in (f"{blueprint.name}.login", f"{blueprint.name}.callback"):
        return None
    who = limits.subscriber(request.remote_addr)
    if who is None:
        return None
    seconds = get_state().kept["sso_rate"].wait(f"{request.endpoint} {who}")
    if not seconds:
        return None
    current_app.logger.warning("sign-in with Microsoft: too many from %s", who)
    body, status = _page(SignInReason.RATE, status=429)
    return body, status, {"Retry-After": str(seconds)}


blueprint.after_request(forms.secure_headers)


@blueprint.get("/<public_id>/login")
def login(public_id: str) -> ResponseReturnValue:
    """Send the browser to the account's directory.

    ``?next=`` is where to go afterwards, ``?login_hint=`` who is signing in, and ``?again=1``
    lets the person choose another Microsoft account.
    """
    state = get_state()
    again = request.args.get("again") == "1"
    target = page_after_login(request.args.get("next"))
    hint = request.args.get("login_hint", "")
    found = by_public_id(public_id)
    if found is None:
        return _page(SignInReason.UNKNOWN, status=404)
    provider, account = found
    key, public_id = state.scim.account_key(account), provider.public_id
    # Microsoft takes one of the two.
    parameters = {"prompt": "select_account"} if again else {}
    if not again and 0 < len(hint) <= 254 and hint.isprintable():
        parameters["login_hint"] = hint
    try:
        _check_serves(provider, account)
        if not again and limits.goes_in_circles():
            raise SignInError(SignInReason.CIRCLES)
        response = _begin(provider, purpose="login", next=target or "", **parameters)
    except SignInError as refusal:
        # Anybody can ask for this address, so the customer's log does not tell of it.
        reference = _reference()
        _note(refusal, reference, account=key)
        return _page(refusal.reason, reference=reference, public_id=public_id, next=target)
    limits.note_departure(clicked=again)
    return response


@blueprint.get("/callback")
def callback() -> ResponseReturnValue:
    """Take what Microsoft's answer brings, for the attempt that its ``state`` names."""
    # The state comes first: an error without it is a text from anybody.
    states = request.args.getlist("state")
    state = states[0] if len(states) == 1 else ""
    attempt = _take(state)
    if attempt is None:
        signed_in_already = _take_other_tab(state)
        if signed_in_already is not None:
            return redirect(signed_in_already, 303)
        if not states and "admin_consent" in request.args:
            return _page(SignInReason.CONSENT, status=200)
        return _refuse_stranger(SignInReason.STATE, public_id=_begun_at(state))
    if attempt.purpose == "test":
        return _end_test(attempt)
    return _end_login(attempt)


@blueprint.post("/test")
def start_test() -> ResponseReturnValue:
    """Begin *Test sign-in* for the settings that wait for it, or those in force."""
    state = get_state()
    account = forms.require_manager()
    forms.check_csrf(account)
    in_force, pending = providers.load(
        state.session, state.scim.records, state.scim.account_key(account)
    )
    provider = pending or in_force
    if provider is None:
        return _page(SignInReason.NOTHING_TO_TEST, status=404)
    tenant_id, is_own = provider.tenant_id, provider.client_id is not None
    try:
        _check_licence(account)
        return _begin(provider, purpose="test", user=current_user.get_id(), prompt="select_account")
    except SignInError as refusal:
        return _fail_test(account, tenant_id, refusal, is_own=is_own)


@blueprint.get("/test")
def test_result() -> ResponseReturnValue:
    """What the last test of this session brought to light."""
    state = get_state()
    account = forms.require_manager()
    result = session.get(_RESULT)
    if result is None or result["account"] != str(state.scim.account_key(account)):
        return redirect(url_for(forms.PAGE), 303)
    me = _linkable(account)
    obstacle = None
    if me is not None:
        key = state.scim.account_key(account)
        obstacle = people.obstacle_to_link(key, me, result["tenant"], result["oid"])
    return render_template(
        "h5mag_scim/sso_test.html",
        layout=state.config.layout,
        say=say_html,
        scim_csrf=forms.csrf_token(),
        scim_account=forms.account_mark(account),
        result=result,
        hint=_hint(result),
        nobody=refusals.nobody(result.get("nobody")),
        me=None if me is None else forms.actor(),
        obstacle=obstacle,
        recent_login=forms.login_is_recent(),
        page_url=url_for(forms.PAGE),
        obstacles=require.obstacles_of_pending(account) if result.get("is_pending") else (),
    )


@blueprint.post("/link")
def link_me() -> ResponseReturnValue:
    """Make the signed-in admin the person of the test that passed just now, so that single
    sign-on works without provisioning.
    """
    state = get_state()
    account = forms.require_manager()
    forms.check_csrf(account)
    if not state.scim.is_licensed(account):
        abort(403, description=say("refused.licence", email=state.config.support_email))
    forms.require_recent_login(f"{blueprint.name}.test_result")
    forms.lock(account)
    me, result = _linkable(account), session.get(_RESULT)
    back = redirect(url_for(f"{blueprint.name}.test_result"), 303)
    if me is None or result is None:
        return back
    try:
        people.link(me, result["oid"], by=forms.actor(), tenant_id=result["tenant"])
    except ValueError:  # the page says why
        return back
    sessions.keep()  # with another person, those of the user are over
    state.session.commit()
    linked = {**result, "user": _shown(forms.actor()), "linked": True}
    del linked["nobody"]
    session[_RESULT] = linked
    tell(sso_linked, get_app(), account=account, user=me, by="admin")
    return back


def _linkable(account: Any) -> Any:
    """The signed-in admin as a user of the account, when their own test of just now found
    nobody.
    """
    result = session.get(_RESULT) or {}
    key = get_state().scim.account_key(account)
    is_own = (result.get("account"), result.get("by")) == (str(key), current_user.get_id())
    if not is_own or not 0 <= time.time() - result["at"] <= TEST_COUNTS:
        return None
    return people.member(key) if result.get("nobody") in refusals.LINKABLE else None


# The end of a sign-in


def _end_login(attempt: Attempt) -> ResponseReturnValue:
    state = get_state()
    try:
        account, person = _admit(attempt)
    except SignInError as refusal:
        return _refuse_login(attempt, refusal)
    user = person.user
    people.note(state.scim.account_key(account), user, log.Event.SSO_SIGNED_IN)
    state.session.commit()
    _sign_in(user, attempt)
    if person.is_new:
        tell(sso_linked, get_app(), account=account, user=user, by=str(person.way))
    tell(sso_signed_in, get_app(), account=account, user=user)
    warnings.tell_of_secret(account)
    return redirect(page_after_login(attempt.next) or f"{request.script_root}/", 303)


def _admit(attempt: Attempt) -> tuple[Any, people.Person]:
    """The account that Microsoft's answer opens, and as whom.

    :raises SignInError: when it opens nothing.
    """
    provider, account = _serving(attempt)
    _check_answer()
    state = get_state()
    key = state.scim.account_key(account)
    claims = _redeem(directory.connect(state.config, provider, state.vault), attempt)
    # Before the settings are looked at: a change that they do not show yet ends the session.
    sessions.begins_at_microsoft(key, claims.get("login_hint"))
    # Microsoft took its time, and meanwhile all of it may have changed.
    provider, account = _serving(attempt)
    return account, people.admit(key, Settings.of(provider), claims)


def _serving(attempt: Attempt) -> tuple[IdentityProviderMixin, Any]:
    """The settings with which ``attempt`` began, if they are still the ones that serve."""
    found = by_public_id(attempt.public_id)
    if found is None:
        raise SignInError(SignInReason.CHANGED)
    _check_serves(*found)
    _check_current(attempt, found[0])
    return found


def _refuse_login(attempt: Attempt, refusal: SignInError) -> ResponseReturnValue:
    state = get_state()
    reference = _reference()
    found = by_public_id(attempt.public_id)
    account = None if found is None else found[1]
    key = None if account is None else state.scim.account_key(account)
    _note(refusal, reference, account=key)
    if account is not None:
        log.record(
            state.session,
            state.scim.records,
            key,
            log.Event.SSO_REFUSED,
            status=refusals.STATUS.get(refusal.reason, 403),
            reason=refusal.reason,
            detail=_detail(refusal, reference),
        )
        state.session.commit()
        tell(
            sso_refused, get_app(), account=account, reason=str(refusal.reason), reference=reference
        )
        if found is not None and found[0].id.hex == attempt.provider:
            registration.notice_refusal(account, found[0], refusal)
    return _page(
        refusal.reason,
        reference=reference,
        number=refusal.number,
        public_id=attempt.public_id,
        next=page_after_login(attempt.next),
    )


def _refuse_stranger(reason: SignInReason, *, public_id: str | None = None) -> ResponseReturnValue:
    """End what no account can be told of, because nothing proves that it concerns one.

    :param public_id: where the person can begin anew.
    """
    reference = _reference()
    _note(SignInError(reason), reference)
    return _page(reason, reference=reference, public_id=public_id)


def _begun_at(state: str) -> str | None:
    """The sign-on address that a state without an attempt names, if there is one.

    Anybody can write it, as they can write the address itself: it makes a link, and decides
    nothing.
    """
    public_id = state.partition(".")[0]
    return None if by_public_id(public_id) is None else public_id


def _sign_in(user: Any, attempt: Attempt) -> None:
    """Replace the browser's session by a new one of ``user``.

    What was planted in the old one, or belonged to somebody else, is gone; so is a
    remember-me cookie, which would let the person in later without asking Microsoft.
    """
    other_tabs = [
        each for each in _attempts() if (each.purpose, each.provider) == ("login", attempt.provider)
    ]
    departures = limits.departures()
    session.clear()
    _keep_other_tabs(other_tabs, user)
    # A session that the application does not take leads straight back here.
    limits.keep_departures(departures)
    logout_user()  # after clear(): it leaves the word there that drops the cookie
    login_user(user, remember=False)
    # Sessions kept on the server have an id, which may have been planted as well.
    regenerate = getattr(current_app.session_interface, "regenerate", None)
    if regenerate is not None:
        regenerate(session)


def _end_test(attempt: Attempt) -> ResponseReturnValue:
    state = get_state()
    scim = state.scim
    found = _tested(attempt)
    if found is None:
        return _refuse_stranger(SignInReason.TEST_SESSION)
    provider, account = found
    tenant_id, is_own = provider.tenant_id, provider.client_id is not None
    key = scim.account_key(account)
    try:
        _check_current(attempt, provider)
        _check_licence(account)
        _check_answer()
        claims = _redeem(directory.connect(state.config, provider, state.vault), attempt)
        # A Save that has read the settings already would write untested ones over those that
        # begin to serve here.
        locks.lock_account(state.session, scim.account, key)
        found = _tested(attempt)
        if found is None:
            raise SignInError(SignInReason.CHANGED)
        provider, account = found
        settings = Settings.of(provider)
        people.check_guest(settings, claims)
        was_pending = provider.state == ProviderState.PENDING
        tester = _tester(account, settings, claims)
        took_force = was_pending and require.may_begin(provider, account, tester)
        if was_pending and not took_force:
            _check_current(attempt, provider)
        elif not providers.passed(
            state.session, scim.records, provider, version=attempt.version, by=attempt.user
        ):
            raise SignInError(SignInReason.CHANGED)
        sessions.keep()  # with another directory, those of the account are over
    except SignInError as refusal:
        return _fail_test(account, tenant_id, refusal, is_own=is_own)
    reference = _reference()
    _log_test(account, f"passed, reference {reference}", status=200)
    if took_force:
        _log_test(account, str(provider.mode), event=log.Event.SSO_IN_FORCE)
    if took_force and require.has_just_begun(provider):
        _log_test(account, None, event=log.Event.SSO_TRIAL_BEGAN)
    result = {
        "passed": True,
        "took_force": took_force,
        "mode": str(provider.mode),
        "is_pending": was_pending and not took_force,
        "is_own": tester is not None and tester.get_id() == attempt.user,
        "tenant": tenant_id,
        "oid": oidc.object_id(claims),
        "name": _shown(claims.get("preferred_username")),
        "by": attempt.user,
        "at": int(time.time()),
    }
    try:
        user = people.find(scim.account_key(account), settings, claims).user
    except SignInError as refusal:
        is_nameless = settings.links_by_user_name and "upn" not in claims
        is_unknown = refusal.reason is SignInReason.NOT_PROVISIONED
        reason = SignInReason.NO_UPN if is_nameless and is_unknown else refusal.reason
        result["nobody"] = str(reason)
    else:
        result["user"] = _shown(scim.user.value(user, "userName"))
    return _show_result(account, reference, result)


def _tester(account: Any, settings: Settings, claims: Mapping[str, Any]) -> Any:
    """The user who a passed test showed somebody to be; ``None`` for nobody."""
    try:
        return people.find(get_state().scim.account_key(account), settings, claims).user
    except SignInError:
        return None


def _tested(attempt: Attempt) -> tuple[IdentityProviderMixin, Any] | None:
    """The settings under test, when the one who began it is here and still manages them."""
    state = get_state()
    scim = state.scim
    if not current_user.is_authenticated or current_user.get_id() != attempt.user:
        return None
    if not sessions.permits(current_user._get_current_object()):  # not any more
        return None
    found = providers.by_id(state.session, scim.records, UUID(attempt.provider))
    if found is None or not scim.can_manage(current_user._get_current_object(), found[1]):
        return None
    return found


def _fail_test(
    account: Any, tenant_id: str, refusal: SignInError, *, is_own: bool
) -> ResponseReturnValue:
    state = get_state()
    reference = _reference()
    _note(refusal, reference, account=state.scim.account_key(account))
    detail = "failed: " + _detail(refusal, reference)
    _log_test(account, detail, status=403, reason=refusal.reason)
    result = {
        "passed": False,
        "tenant": tenant_id,
        "reason": str(refusal.reason),
        "number": refusal.number,
        "own": is_own,
    }
    return _show_result(account, reference, result)


def _show_result(account: Any, reference: str, result: dict[str, Any]) -> ResponseReturnValue:
    # The page has an address of its own: reloading it repeats nothing, and the code is not
    # left standing in the address bar.
    state = get_state()
    key = str(state.scim.account_key(account))
    state.session.commit()
    session[_RESULT] = {**result, "account": key, "reference": reference}
    return redirect(url_for(f"{blueprint.name}.test_result"), 303)


# The rules


def by_public_id(public_id: str) -> tuple[IdentityProviderMixin, Any] | None:
    """The settings in force behind a sign-on address, with their account."""
    if not _PUBLIC_ID.fullmatch(public_id):  # PostgreSQL raises for NUL
        return None
    state = get_state()
    return providers.by_public_id(state.session, state.scim.records, public_id)


def _check_licence(account: Any) -> None:
    if not get_state().scim.is_licensed(account):
        raise SignInError(SignInReason.LICENCE)


def _check_serves(provider: IdentityProviderMixin, account: Any) -> None:
    """Refuse an account that does not sign in with Microsoft now."""
    _check_licence(account)
    require.settle(provider, account)
    if modes.serving(provider, account) is Mode.OFF:
        raise SignInError(SignInReason.OFF)


def _check_current(attempt: Attempt, provider: IdentityProviderMixin) -> None:
    """Refuse an attempt that began under other settings."""
    if provider.id.hex != attempt.provider or provider.version != attempt.version:
        raise SignInError(SignInReason.CHANGED)


def _check_answer() -> None:
    """Refuse what Microsoft sends instead of a code (OpenID Connect Core §3.1.2.6)."""
    given = {name: request.args.getlist(name) for name in ("error", "error_description", "code")}
    if any(len(values) > 1 or len("".join(values)) > MAX_PARAMETER for values in given.values()):
        raise SignInError(SignInReason.REQUEST)
    if any(given["error"]):
        is_busy = given["error"][0] in refusals.BUSY
        reason = SignInReason.BUSY if is_busy else SignInReason.PROVIDER
        raise SignInError(reason, number=oidc.aadsts("".join(given["error_description"])))
    if not any(given["code"]):
        raise SignInError(SignInReason.REQUEST)


def page_after_login(text: str | None, *, besides: Sequence[str] = ()) -> str | None:
    """``text`` when it is a page of this application that can be opened after signing in.

    :param besides: more paths that are not to be returned to.
    """
    config = get_state().config
    root = request.script_root
    prefixes = (config.sso_url_prefix, config.url_prefix, config.oauth_url_prefix)
    closed = [*(root + prefix for prefix in prefixes), *besides]
    blueprint_of_login, dot, _ = config.login_endpoint.rpartition(".")
    for endpoint in (config.login_endpoint, f"{blueprint_of_login}{dot}logout"):
        url = _url(endpoint)
        if url is not None:
            closed.append(url)
    safe = safe_next(text, forbidden_prefixes=closed)
    if safe is None:
        return None
    adapter = current_app.create_url_adapter(request)
    path = unquote(re.split(r"[?#]", safe)[0]).removeprefix(root)
    try:
        if adapter is not None:
            adapter.match(path, method="GET")
    except MethodNotAllowed:
        return None
    except HTTPException:
        return safe  # unknown here, and it may well be served in front of this application
    return safe


# Words and traces


def _reference() -> str:
    """What joins a page, a log entry and a line in the application's log."""
    return secrets.token_hex(4).upper()


def _detail(refusal: SignInError, reference: str) -> str:
    parts = [refusal.reason, f"reference {reference}"]
    if refusal.number is not None:
        parts.append(f"AADSTS{refusal.number}")
    if refusal.object_id is not None:
        parts.append(f"object id {refusal.object_id}")
    return ", ".join(parts)


def _note(refusal: SignInError, reference: str, *, account: Any = None) -> None:
    clock = " (clock skew? compare this server's clock)" if refusal.reason in refusals.CLOCK else ""
    current_app.logger.warning(
        "sign-in with Microsoft refused: %s%s, account %s",
        _detail(refusal, reference),
        clock,
        account,
    )


def _log_test(
    account: Any,
    detail: str | None,
    *,
    event: log.Event = log.Event.SSO_TESTED,
    status: int | None = None,
    reason: str | None = None,
) -> None:
    state = get_state()
    log.record(
        state.session,
        state.scim.records,
        state.scim.account_key(account),
        event,
        actor=forms.actor(),
        status=status,
        reason=reason,
        detail=detail,
    )


def _shown(value: object) -> str | None:
    """A text from a token that a page can show."""
    return value[:254] if isinstance(value, str) and value.isprintable() else None


def _url(endpoint: str, **values: Any) -> str | None:
    try:
        return url_for(endpoint, **values)
    except BuildError:
        return None


def _page(
    reason: SignInReason,
    *,
    reference: str | None = None,
    number: str | None = None,
    public_id: str | None = None,
    next: str | None = None,
    status: int | None = None,
) -> tuple[str, int]:
    """The page on which a sign-in ends that did not succeed."""
    config = get_state().config
    found = None if public_id is None else by_public_id(public_id)
    is_required = found is not None and modes.serving(*found) is Mode.REQUIRE
    message = refusals.message(reason, email=config.support_email, requires_microsoft=is_required)
    again_url = None
    if public_id is not None and message.again is not None:
        again_url = url_for(f"{blueprint.name}.login", public_id=public_id, again=1, next=next)
    body = render_template(
        "h5mag_scim/sso_message.html",
        layout=config.layout,
        say=say_html,
        message=message,
        reference=reference,
        number=number,
        again_url=again_url,
        password_url=_url(config.login_endpoint, password=1, next=next),
        home_url=f"{request.script_root}/" if current_user.is_authenticated else None,
    )
    return body, status or refusals.STATUS.get(reason, 403)


def _hint(result: Mapping[str, Any]) -> str | None:
    if result["passed"]:
        return None
    return refusals.hint(
        result["reason"],
        result["number"],
        is_own=result.get("own", False),
        redirect_uri=oidc.redirect_uri(get_state()),
    )
