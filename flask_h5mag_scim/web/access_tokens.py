"""Access tokens (RFC 6749 §1.4): short-lived, signed by this application, and not stored.

An access token names the credential that it was made of, whose row is read at every
request, so that it never outlives it.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import current_app
from itsdangerous import BadData, URLSafeSerializer

from ..records import tokens
from ..records.models import CredentialKind

#: Recognisable, for secret scanners.
PREFIX = f"{tokens.PREFIX}at_"

#: Client identifiers are UUIDs of version 5 in this namespace. Never to be changed: they
#: stand in the settings of customers.
_CLIENTS = uuid.UUID("5b0c7f4e-64a1-4f57-9a52-2f3c1d7e9b08")


@dataclass(frozen=True)
class AccessToken:
    """What an access token says."""

    kind: CredentialKind
    credential_id: uuid.UUID
    #: The client that it was issued to.
    client_id: str
    expires_at: datetime


def client_id(account_id: Any) -> str:
    """The client identifier of an account (RFC 6749 §2.2): no secret, and always the same."""
    return str(uuid.uuid5(_CLIENTS, str(account_id)))


def is_one(text: str) -> bool:
    """Whether ``text`` is to be read as an access token. An API Token whose random part
    happens to begin alike is none: it has a checksum of its own."""
    return text.startswith(PREFIX) and not tokens.is_well_formed(text)


def write(token: AccessToken) -> str:
    """The text of an access token."""
    claims = [
        token.kind,
        token.credential_id.hex,
        token.client_id,
        int(token.expires_at.timestamp()),
    ]
    return PREFIX + str(_serializer().dumps(claims))


def read(text: str) -> AccessToken | None:
    """What the access token says; ``None`` when this application has not signed it."""
    try:
        kind, credential_id, client, expires_at = _serializer().loads(text.removeprefix(PREFIX))
    except BadData:
        return None
    return AccessToken(
        kind=CredentialKind(kind),
        credential_id=uuid.UUID(credential_id),
        client_id=client,
        expires_at=datetime.fromtimestamp(expires_at, UTC),
    )


def _serializer() -> URLSafeSerializer:
    if not current_app.secret_key:
        raise RuntimeError("Set SECRET_KEY: access tokens are signed with it.")
    fallbacks = current_app.config.get("SECRET_KEY_FALLBACKS") or ()
    return URLSafeSerializer(
        [*fallbacks, current_app.secret_key],  # signs with the last, reads with all
        salt="flask_h5mag_scim.access_token",
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
