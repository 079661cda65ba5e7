"""The token endpoint (RFC 6749 §3.2) for client credentials: what Microsoft asks of gallery
listings beside the bearer token.

The client identifier names the account, and the client secret is its API Token: what the page
shows of a token, and revoking it, holds for the access tokens that were made of it. A workload
identity that the account trusts needs no secret (RFC 7523 §2.2).
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_plus

import sqlalchemy as sa
from flask import Blueprint, Flask, Response, current_app, jsonify, request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from ..protocol.errors import Forbidden, Paused, SCIMError
from ..reasons import Reason
from ..records import log, tokens
from ..records.models import now
from ..state import State, get_state
from . import access_tokens, assertion, bearer, tracing
from .directory import DirectoryError

#: Bytes of a request; an assertion is the largest part of one.
MAX_BODY = 16 * 1024
#: RFC 6749 appendix A.4.
_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*")
#: What RFC 6749 §5.2 leaves out of descriptions.
_UNDESCRIBABLE = re.compile(r"[^\x20-\x21\x23-\x5B\x5D-\x7E]")
_CREDENTIALS = frozenset({"client_id", "client_secret", "client_assertion"})

blueprint = Blueprint("h5mag_scim_oauth", __name__)
tracing.follow(blueprint)


def register(app: Flask, state: State) -> None:
    """Hang the token endpoint in."""
    app.register_blueprint(blueprint, url_prefix=state.config.oauth_url_prefix)


def token_endpoint(state: State) -> str:
    """What an admin pastes as Entra's *Token Endpoint*."""
    return f"{state.public_url}{state.config.oauth_url_prefix}/token"


class OAuthError(Exception):
    """A request that is answered with an error of RFC 6749 §5.2.

    :param error: the code.
    :param description: a sentence that an admin can act on; no secrets.
    :param caller: whose request it was, when a credential has shown that.
    :param reason: why, for the log of the caller's account.
    """

    def __init__(
        self,
        error: str,
        description: str,
        *,
        status: int = 400,
        caller: bearer.Caller | None = None,
        reason: Reason | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(error)
        self.error = error
        self.description = _UNDESCRIBABLE.sub("'", description.replace("→", ">"))
        self.status = status
        self.caller = caller
        self.reason = reason
        self.headers = headers or {}


class InvalidClientError(OAuthError):
    """The client is not who it says, or does not say who it is."""

    def __init__(
        self,
        description: str,
        *,
        caller: bearer.Caller | None = None,
        reason: Reason | None = None,
    ) -> None:
        super().__init__(
            "invalid_client",
            description,
            status=401,
            caller=caller,
            reason=reason,
            # RFC 6749 §5.2 asks for the challenge when the header was tried.
            headers={"WWW-Authenticate": 'Basic realm="SCIM"'} if _tries_header() else None,
        )


@blueprint.route(
    "/token",
    methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
    provide_automatic_options=False,
)
def token() -> Response:
    """An access token for client credentials (RFC 6749 §4.4)."""
    state = get_state()
    try:
        caller = _authenticate(state, _parameters())
        _admit(state, caller)
    except OAuthError as error:
        state.session.rollback()
        _record_refusal(state, error)
        return _refused(error)
    return _issue(state, caller)


# The request


def _parameters() -> dict[str, str]:
    """The checked parameters; one without a value counts as left out (RFC 6749 §3.2)."""
    if request.method != "POST":
        raise OAuthError(
            "invalid_request", "Send a POST request.", status=405, headers={"Allow": "POST"}
        )
    if request.mimetype != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", "Send the body as application/x-www-form-urlencoded.")
    if not _CREDENTIALS.isdisjoint(request.args):
        # RFC 6749 §2.3.1: addresses end up in logs.
        raise OAuthError("invalid_request", "Credentials go into the body, not into the address.")
    request.max_content_length = MAX_BODY
    try:
        sent = request.form
    except RequestEntityTooLarge as error:
        raise OAuthError(
            "invalid_request", f"The body is larger than {MAX_BODY // 1024} KiB."
        ) from error
    if any(len(values) > 1 for _, values in sent.lists()):
        raise OAuthError("invalid_request", "A parameter was sent more than once.")
    found = {name: value for name, text in sent.items() if (value := text.strip())}
    match found.get("grant_type"):
        case None:
            raise OAuthError("invalid_request", "The parameter grant_type is missing.")
        case "client_credentials":
            pass
        case _:
            raise OAuthError(
                "unsupported_grant_type", "The only grant_type here is client_credentials."
            )
    if "scope" in found and not _SCOPE.fullmatch(found["scope"]):
        raise OAuthError("invalid_scope", "The scope cannot be read. It may be left out.")
    return found


# The client


def _tries_header() -> bool:
    return "Authorization" in request.headers


def _authenticate(state: State, sent: dict[str, str]) -> bearer.Caller:
    """Who asks, by the one way of RFC 6749 §2.3 that the request uses."""
    by_assertion = "client_assertion" in sent or "client_assertion_type" in sent
    if _tries_header() + ("client_secret" in sent) + by_assertion > 1:
        raise OAuthError("invalid_request", "Authenticate the client in one way, not in several.")
    if by_assertion:
        return _by_assertion(state, sent)
    if _tries_header():
        return _by_secret(state, *_basic(sent))
    if "client_secret" not in sent:
        raise InvalidClientError(
            "The request has no client secret. Paste the API Token of "
            f"{bearer.PLACE} into Entra's Client Secret."
        )
    if "client_id" not in sent:
        raise OAuthError("invalid_request", "The parameter client_id is missing.")
    return _by_secret(state, sent["client_id"], sent["client_secret"])


def _basic(sent: dict[str, str]) -> tuple[str, str]:
    """Identifier and secret of the header, form-encoded as RFC 6749 §2.3.1 has them."""
    given = request.authorization
    if given is None or given.type != "basic":
        raise InvalidClientError("The Authorization header cannot be read as HTTP Basic.")
    client_id = unquote_plus(given.username or "").strip()
    if sent.get("client_id", client_id) != client_id:
        raise OAuthError("invalid_request", "The header and the body name different clients.")
    return client_id, unquote_plus(given.password or "").strip()


def _by_secret(state: State, client_id: str, secret: str) -> bearer.Caller:
    found = tokens.verify(state.session, state.scim.records, secret)
    if found is None:
        raise InvalidClientError(
            "This client secret is not known here. Copy the whole API Token of "
            f"{bearer.PLACE} into Entra's Client Secret, or generate a new one."
        )
    return _belonging(bearer.caller_of(state, found), client_id)


def _by_assertion(state: State, sent: dict[str, str]) -> bearer.Caller:
    if sent.get("client_assertion_type") != assertion.TYPE:
        raise OAuthError("invalid_request", f"The client_assertion_type must be {assertion.TYPE}.")
    if "client_assertion" not in sent:
        raise OAuthError("invalid_request", "The parameter client_assertion is missing.")
    try:
        found = assertion.verify(state, sent["client_assertion"], state.kept["oidc"])
    except assertion.AssertionRefused as refusal:
        current_app.logger.warning(
            "OAuth: an assertion from %s was refused: %s", request.remote_addr, refusal.reason
        )
        if refusal.credential is None:
            raise InvalidClientError(
                "This assertion is not trusted here. Its tenant, issuer, subject and audience "
                f"must be as they were told to H5mag: ask {state.config.support_email}."
            ) from refusal
        raise InvalidClientError(
            "This assertion has expired, or is not valid yet. Get a new one.",
            caller=bearer.caller_of(state, refusal.credential),
            reason=Reason.OAUTH_ASSERTION,
        ) from refusal
    except DirectoryError as error:
        raise OAuthError(
            "temporarily_unavailable",
            "Microsoft's keys cannot be had at the moment. Try again later.",
            status=503,
            headers={"Retry-After": "30"},
        ) from error
    caller = bearer.caller_of(state, found)
    # RFC 7521 §4.2: the identifier may be left out beside an assertion.
    return _belonging(caller, sent["client_id"]) if "client_id" in sent else caller


def _belonging(caller: bearer.Caller, client_id: str) -> bearer.Caller:
    if client_id.lower() != access_tokens.client_id(caller.account_id):
        raise InvalidClientError(
            "This client identifier belongs to something else than what came with it. Copy the "
            f"Client Identifier of {bearer.PLACE} again.",
            caller=caller,
            reason=Reason.OAUTH_CLIENT,
        )
    return caller


def _admit(state: State, caller: bearer.Caller) -> None:
    try:
        bearer.admit(state, caller)
    except Forbidden as refusal:
        raise OAuthError(
            "unauthorized_client", refusal.detail, caller=caller, reason=refusal.reason
        ) from refusal
    except Paused as refusal:
        raise OAuthError(
            "temporarily_unavailable",
            refusal.detail,
            status=refusal.status,
            caller=caller,
            reason=refusal.reason,
            headers=refusal.headers(),
        ) from refusal
    except SCIMError as refusal:
        raise InvalidClientError(refusal.detail, caller=caller, reason=refusal.reason) from refusal


# The answer


def _issue(state: State, caller: bearer.Caller) -> Response:
    at = now().replace(microsecond=0)
    expires_at = at + state.config.access_token_lifetime
    if caller.token.expires_at is not None:
        expires_at = min(expires_at, caller.token.expires_at)
    text = access_tokens.write(
        access_tokens.AccessToken(
            kind=caller.token.kind,
            credential_id=caller.token.id,
            client_id=access_tokens.client_id(caller.account_id),
            expires_at=expires_at,
        )
    )
    session, records = state.session, state.scim.records
    tokens.touch(session, records, caller.token, request.remote_addr)
    if tokens.note_issue(session, records, caller.token):
        _record(state, caller, log.Event.OAUTH_TOKEN_ISSUED)
    session.commit()
    seconds = int((expires_at - at).total_seconds())
    return _answer({"access_token": text, "token_type": "Bearer", "expires_in": seconds})


def _refused(error: OAuthError) -> Response:
    answer = _answer({"error": error.error, "error_description": error.description})
    answer.status_code = error.status
    answer.headers.update(error.headers)
    return answer


def _answer(body: dict[str, Any]) -> Response:
    answer = jsonify(body)
    # RFC 6749 §5.1
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Pragma"] = "no-cache"
    return answer


# The log


def _record(state: State, caller: bearer.Caller, event: log.Event, **what: Any) -> None:
    log.record(
        state.session,
        state.scim.records,
        caller.account_id,
        event,
        actor=caller.actor,
        method=request.method,
        request=tracing.request_facts(caller.token.fingerprint),
        **what,
    )


def _record_refusal(state: State, error: OAuthError) -> None:
    """In the account's log once a minute for each credential, and when no credential has shown
    the account, in the application's log only."""
    caller = error.caller
    if caller is None:
        current_app.logger.warning(
            "OAuth: %s %s from %s", error.error, error.description, request.remote_addr
        )
    elif tokens.touch(state.session, state.scim.records, caller.token, request.remote_addr):
        _record(
            state,
            caller,
            log.Event.OAUTH_REFUSED,
            status=error.status,
            reason=error.reason,
            detail=error.description,
        )
        state.session.commit()


@blueprint.errorhandler(Exception)
def _fault(cause: Exception) -> Response:
    """What is no refusal of ours: a host's own hook, the database, a mistake."""
    get_state().session.rollback()
    match cause:
        case HTTPException():
            status, sentence = cause.code or 500, cause.description or cause.name
            error = "invalid_request" if status < 500 else "server_error"
        case sa.exc.OperationalError() | sa.exc.TimeoutError():
            status, error = 503, "temporarily_unavailable"
            sentence = "The database cannot answer at the moment. Try again later."
        case _:
            status, error, sentence = 500, "server_error", "Something went wrong here."
    if status >= 500:
        if isinstance(cause, sa.exc.StatementError):
            cause.hide_parameters = True
        current_app.logger.error("OAuth: %s", error, exc_info=cause)
    return _refused(OAuthError(error, sentence, status=status))
