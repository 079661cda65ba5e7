"""Client assertions (RFC 7523 §2.2): what Microsoft signs for a workload identity instead of
a client secret."""

from __future__ import annotations

import json
import logging
import time
from typing import Any
from urllib.parse import urlsplit

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

from ..reasons import SignInReason
from ..records import federation, tokens
from ..state import State
from . import oidc
from .directory import ALGORITHM, Directory, DirectoryError, SignInError, Store, locate

logger = logging.getLogger(__name__)

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

#: Characters of an assertion. Microsoft's have about 1,500.
MAX_LENGTH = 8 * 1024
#: How many seconds ago it may have been issued: Microsoft lets the tokens of some workload
#: identities live for a day.
MAX_AGE = 24 * 3600

_API = "api://"


class AssertionRefused(Exception):  # noqa: N818, it is a verdict, not a fault
    """The assertion is not one of a workload identity that an account trusts.

    ``credential`` is the trust that it does belong to, when Microsoft signed it and only the
    time is wrong; what anybody may have written belongs to nobody.
    """

    def __init__(self, reason: str, credential: tokens.Verified | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.credential = credential


def verify(state: State, text: str, store: Store) -> tokens.Verified:
    """The credential behind an assertion, whatever the credential's state.

    :raises AssertionRefused: when there is none.
    :raises DirectoryError: when the directory's keys cannot be had now.
    """
    if len(text) > MAX_LENGTH:
        raise AssertionRefused("length")
    signed, claims = _parse(text)
    # What the assertion says of itself only finds the trust. The trust says whose keys it
    # must be signed with and who must have issued it.
    audience = _application(claims.get("aud"), state)
    tenant_id, subject = oidc.guid(claims.get("tid")), oidc.guid(claims.get("sub"))
    if audience is None or tenant_id is None or subject is None:
        raise AssertionRefused("claims")
    found = federation.find(
        state.session,
        state.scim.records,
        tenant_id=tenant_id,
        subject=subject,
        audience=audience,
    )
    if found is None:
        raise AssertionRefused("nobody trusts it")
    row, credential = found
    try:
        directory = locate(state.config, row)
        _check_signature(text, signed.headers(), directory, store)
    except DirectoryError:
        raise
    except SignInError as refusal:
        raise AssertionRefused(refusal.reason) from refusal
    if claims.get("iss") != directory.issuer:
        raise AssertionRefused("issuer")
    try:
        oidc.check_times(claims, time.time(), max_age=MAX_AGE)
    except SignInError as refusal:
        raise AssertionRefused(refusal.reason, credential) from refusal
    return credential


def _parse(text: str) -> tuple[jws.CompactSignature, dict[str, Any]]:
    try:
        signed = jws.extract_compact(text.encode())
        claims = json.loads(signed.payload)
    except (JoseError, ValueError, RecursionError) as error:
        raise AssertionRefused("form") from error
    if not isinstance(claims, dict):
        raise AssertionRefused("form")
    return signed, claims


def _application(audience: object, state: State) -> str | None:
    """The application that an assertion is made for, without the host that may follow."""
    if not isinstance(audience, str):
        return None
    host = urlsplit(state.public_url).netloc
    named = audience.lower().removesuffix(f"/{host.lower()}")
    # Anything else, like NUL, is no text for a database.
    return named if oidc.guid(named.removeprefix(_API)) and named.startswith(_API) else None


def _check_signature(text: str, header: dict[str, Any], directory: Directory, store: Store) -> None:
    keys = store.keys(directory)
    oidc.check_header(header, key_count=len(keys))
    if "crit" in header:  # RFC 7515 §4.1.11: no extension is understood here
        raise SignInError(SignInReason.SIGNATURE)
    if "kid" in header and header["kid"] not in [key.get("kid") for key in keys]:
        keys = store.keys(directory, force=True)
    try:
        jws.deserialize_compact(
            text, KeySet([RSAKey.import_key(dict(key)) for key in keys]), algorithms=[ALGORITHM]
        )
    except (JoseError, ValueError) as error:
        raise SignInError(SignInReason.SIGNATURE) from error
