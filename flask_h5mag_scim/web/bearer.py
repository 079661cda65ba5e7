"""``Authorization: Bearer …`` → credential → account → licence (RFC 6750).

The text is an API Token, or an access token that the token endpoint made of a credential;
nobody else needs to know which.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import request

from ..protocol.errors import Forbidden, Paused, Unauthorized
from ..reasons import Reason
from ..records import tokens
from ..records.models import CredentialKind, TokenState, now
from ..state import State
from . import access_tokens

#: Where an admin finds everything that a refusal speaks of.
PLACE = "Account → Provisioning & SSO"


@dataclass(frozen=True)
class Caller:
    """Whose token came with the request. The token decides the account, nothing else.

    ``token`` is the credential behind it: the API Token, or what an access token was made of.
    """

    token: tokens.Verified
    account: Any
    account_id: Any

    @property
    def actor(self) -> str:
        """The token by its name and fingerprint, for the log."""
        return f"{self.token.name or 'token'} ({self.token.fingerprint})"


def identify(state: State) -> Caller:
    """The caller behind the request's token, whatever the token's state.

    :raises Unauthorized: without a token, or with one that was never issued here.
    """
    kind, _, text = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not text.strip():
        raise Unauthorized(
            "The request has no bearer token. Paste the API Token of "
            f"{PLACE} into Entra's Secret Token."
        )
    text = text.strip()
    if access_tokens.is_one(text):
        return _holder_of_access_token(state, text)
    token = tokens.verify(state.session, state.scim.records, text)
    if token is None:
        raise Unauthorized(
            "This token is not known here. Copy the whole API Token of "
            f"{PLACE} into Entra's Secret Token, or generate a new one."
        )
    return caller_of(state, token)


def caller_of(state: State, token: tokens.Verified) -> Caller:
    """Who holds a credential."""
    return Caller(token, token.account, state.scim.account_key(token.account))


def _holder_of_access_token(state: State, text: str) -> Caller:
    access_token = access_tokens.read(text)
    if access_token is None:
        raise Unauthorized(
            "This access token is not known here. Get a new one from the token endpoint."
        )
    if access_token.expires_at <= now():
        raise Unauthorized("This access token has expired. Get a new one from the token endpoint.")
    token = tokens.by_id(
        state.session, state.scim.records, access_token.kind, access_token.credential_id
    )
    caller = None if token is None else caller_of(state, token)
    if caller is None or access_tokens.client_id(caller.account_id) != access_token.client_id:
        raise Unauthorized(
            "What this access token was issued for is not there any more. Get a new one from "
            "the token endpoint."
        )
    return caller


def admit(state: State, caller: Caller) -> None:
    """Let a caller in.

    :raises Unauthorized: when the token is not saved, has ended or was revoked.
    :raises Forbidden: when the account's plan does not include provisioning.
    :raises Paused: when an admin has paused it.
    """
    match caller.token.kind, caller.token.state:
        case _, TokenState.DRAFT:
            raise Unauthorized(
                f"This token is not saved yet: press Save in {PLACE}.", reason=Reason.TOKEN_DRAFT
            )
        case _, TokenState.EXPIRED:
            raise Unauthorized(
                f"This token has expired. Generate and save a new one in {PLACE}.",
                # A draft that was left too long was never in use.
                reason=Reason.TOKEN_EXPIRED if caller.token.was_saved else Reason.TOKEN_DRAFT,
            )
        case _, TokenState.REVOKED:
            raise revoked(state, caller)
    if not state.scim.is_licensed(caller.account):
        raise Forbidden(
            "Provisioning needs an Enterprise licence, which this account does not have. "
            f"Ask {state.config.support_email}.",
            reason=Reason.LICENCE,
        )
    if caller.token.paused_at is not None:
        raise Paused(
            f"Provisioning is paused, and nothing was changed: {caller.token.paused_by} paused it "
            f"on {caller.token.paused_at:%Y-%m-%d at %H:%M} UTC. To go on, press Resume in {PLACE}."
        )


def revoked(state: State, caller: Caller) -> Unauthorized:
    """What a caller is told whose credential was revoked."""
    if caller.token.kind is CredentialKind.FEDERATED:
        return Unauthorized(
            f"The trust in this workload identity was revoked. Ask {state.config.support_email}.",
            reason=Reason.TRUST_REVOKED,
        )
    return Unauthorized(
        f"This token was revoked. Generate and save a new one in {PLACE}.",
        reason=Reason.TOKEN_REVOKED,
    )


def readmit(state: State, caller: Caller) -> None:
    """Ask once more whether a caller may come in, at the end of what took long: whoever
    disconnects or pauses meanwhile means this as well.

    :raises SCIMError: as :func:`admit` does.
    """
    token = caller.token
    known = tokens.by_id(state.session, state.scim.records, token.kind, token.id)
    if known is None:
        raise revoked(state, caller)
    admit(state, caller_of(state, known))
