"""``Authorization: Bearer …`` → token → account → licence (RFC 6750)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import request

from ..protocol.errors import Forbidden, Unauthorized
from ..records import tokens
from ..records.models import TokenState
from ..state import State

#: Where an admin finds everything that a refusal speaks of.
PLACE = "Account → Provisioning & SSO"


@dataclass(frozen=True)
class Caller:
    """Whose token came with the request. The token decides the account, nothing else."""

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
    token = tokens.verify(state.session, state.scim.records, text.strip())
    if token is None:
        raise Unauthorized(
            "This token is not known here. Copy the whole API Token of "
            f"{PLACE} into Entra's Secret Token, or generate a new one."
        )
    return Caller(token, token.account, state.scim.account_key(token.account))


def admit(state: State, caller: Caller) -> None:
    """Let a caller in.

    :raises Unauthorized: when the token is not saved, has ended or was revoked.
    :raises Forbidden: when the account's plan does not include provisioning.
    """
    match caller.token.state:
        case TokenState.DRAFT:
            raise Unauthorized(f"This token is not saved yet: press Save in {PLACE}.")
        case TokenState.EXPIRED:
            raise Unauthorized(f"This token has expired. Generate and save a new one in {PLACE}.")
        case TokenState.REVOKED:
            raise Unauthorized(f"This token was revoked. Generate and save a new one in {PLACE}.")
    if not state.scim.is_licensed(caller.account):
        raise Forbidden(
            "Provisioning needs an Enterprise licence, which this account does not have. "
            f"Ask {state.config.support_email}."
        )
