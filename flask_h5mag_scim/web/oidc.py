"""The OpenID Connect side of a sign-in: sending a browser away, and judging what it brings.

Whether a token is good is decided by pure functions of ours (:func:`check_header`,
:func:`check_claims`), beside what Authlib checks. Every provider's token passes through
the same ones.
"""

from __future__ import annotations

import hmac
import json
import logging
import math
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.flask_client import FlaskIntegration, FlaskOAuth2App
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc.errors import ClaimError, InvalidKeyIdError, JoseError
from joserfc.jws import extract_compact

from ..config import GUID
from ..reasons import SignInReason
from ..records.models import IdentityProviderMixin
from ..state import State
from . import directory
from .directory import ALGORITHM, Connection, SignInError, Store

logger = logging.getLogger(__name__)

SCOPE = "openid profile"  # without profile there is no oid

#: How far two clocks may be apart, in seconds.
LEEWAY = 60
#: How long ago a token may have been issued; it comes straight from the token endpoint.
MAX_AGE = 3600

_AADSTS = re.compile(r"AADSTS(\d{4,9})")


class ClaimsRefused(SignInError):  # noqa: N818, it is a verdict, not a fault
    """The ID token is not one for this account, this application and this moment."""


@dataclass(frozen=True)
class Authorization:
    """Where to send the browser, and what to remember until it returns."""

    #: Has the state and the nonce in it.
    url: str = field(repr=False)
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    code_verifier: str = field(repr=False)


def redirect_uri(state: State) -> str:
    """The one address that is registered at Microsoft, for every account."""
    return f"{state.public_url}{state.config.sso_url_prefix}/callback"


def sign_on_url(state: State, provider: IdentityProviderMixin) -> str:
    """Where an account's people begin, and what its admin pastes as *Sign-on URL*."""
    return f"{state.public_url}{state.config.sso_url_prefix}/{provider.public_id}/login"


def check_header(header: Mapping[str, object], *, key_count: int) -> None:
    """Refuse an algorithm that is not RS256, and a token that does not name its key
    where there are several to choose from (OpenID Connect Core §10.1).

    :raises ClaimsRefused: with the reason ``algorithm`` or ``key``.
    """
    if header.get("alg") != ALGORITHM:
        raise ClaimsRefused(SignInReason.ALGORITHM)
    if not isinstance(header.get("kid"), str) and not ("kid" not in header and key_count == 1):
        raise ClaimsRefused(SignInReason.KEY)


def check_claims(
    claims: Mapping[str, object], connection: Connection, nonce: str, now: float
) -> None:
    """Refuse every ID token but one for this directory, this application and this sign-in.

    The signature must have been verified. The rules are those of OpenID Connect Core
    §3.1.3.7 where it lets a client choose, read strictly, and Microsoft's for a client that
    serves many directories: ``tid`` is the only wall between customers when all of them use
    one registration, and ``oid``, not the e-mail address, is the person.

    :param claims: the token's claims.
    :param connection: what they must fit.
    :param nonce: the one that was sent with this sign-in.
    :param now: seconds since 1970.
    :raises ClaimsRefused: with the reason.
    """
    if guid(claims.get("tid")) != connection.tenant_id:
        raise ClaimsRefused(SignInReason.TENANT)
    if claims.get("iss") != connection.issuer:
        raise ClaimsRefused(SignInReason.ISSUER)
    if claims.get("ver") != "2.0":
        raise ClaimsRefused(SignInReason.VERSION)
    if claims.get("aud") not in (connection.client_id, [connection.client_id]):
        raise ClaimsRefused(SignInReason.AUDIENCE)
    if claims.get("azp", connection.client_id) != connection.client_id:
        raise ClaimsRefused(SignInReason.PARTY)
    sent = claims.get("nonce")
    if not nonce or not isinstance(sent, str) or not _equal(sent, nonce):
        raise ClaimsRefused(SignInReason.NONCE)
    check_times(claims, now, max_age=MAX_AGE)
    if guid(claims.get("oid")) is None:
        raise ClaimsRefused(SignInReason.OID)


def check_times(claims: Mapping[str, object], now: float, *, max_age: float) -> None:
    """Refuse a token that is not valid now (RFC 7519 §4.1), give or take a minute.

    :param max_age: how many seconds ago it may have been issued.
    :raises ClaimsRefused: with the reason ``expired``, ``issued``, ``clock`` or ``not_yet``.
    """
    expires, issued = _seconds(claims.get("exp")), _seconds(claims.get("iat"))
    if expires is None or expires < now - LEEWAY:
        raise ClaimsRefused(SignInReason.EXPIRED)
    if issued is None or issued < now - max_age:
        raise ClaimsRefused(SignInReason.ISSUED)
    if issued > now + LEEWAY:
        raise ClaimsRefused(SignInReason.CLOCK)
    if "nbf" in claims:
        not_before = _seconds(claims["nbf"])
        if not_before is None or not_before > now + LEEWAY:
            raise ClaimsRefused(SignInReason.NOT_YET)


def object_id(claims: Mapping[str, object]) -> str:
    """The person: the ``oid`` of checked claims, in lower case."""
    return str(claims["oid"]).lower()


def aadsts(text: object) -> str | None:
    """Microsoft's error number in ``text``; the only part of it that is ever used."""
    found = _AADSTS.search(text[:4000]) if isinstance(text, str) else None
    return found.group(1) if found else None


def guid(value: object) -> str | None:
    """``value`` in lower case when it is an id as Microsoft writes them."""
    if not isinstance(value, str) or not GUID.fullmatch(value.lower()):
        return None
    return value.lower()


def _equal(one: str, other: str) -> bool:
    # Bytes, because compare_digest raises for text beyond ASCII; and JSON can carry half
    # of a surrogate pair, which the plain encoding refuses.
    return hmac.compare_digest(
        one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass")
    )


def _seconds(value: object) -> float | None:
    """A NumericDate (RFC 7519 §2). ``true`` is an int to Python, and JSON as Python reads
    it has NaN, which is neither before nor after anything.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


# Sending a browser to the directory, and taking its answer


class _Answer:
    """The part of a response that Authlib reads, read within limits."""

    def __init__(self, response: requests.Response) -> None:
        self.status_code = response.status_code
        if 300 <= response.status_code < 400:
            raise ValueError("the token endpoint redirects")
        self._body = directory.read(response)

    def json(self) -> Any:
        return json.loads(self._body)

    def raise_for_status(self) -> None:
        if self.status_code >= 400:
            raise requests.HTTPError(f"the token endpoint answered {self.status_code}")


def _limit_answers(session: Any) -> None:
    session.register_compliance_hook("access_token_response", _Answer)


class _Memory(FlaskIntegration):  # type: ignore[misc]  # Authlib has no types
    """Hands Authlib the one attempt that the view took out of the browser's session.

    The session's bookkeeping is the view's: Authlib's own lets abandoned attempts pile up
    until browsers drop the cookie.
    """

    def __init__(self, name: str, attempt: Mapping[str, str]) -> None:
        super().__init__(name)
        self._attempt = attempt

    def get_state_data(self, session: Any, state: str | None) -> Mapping[str, str]:
        return self._attempt

    def clear_state_data(self, session: Any, state: str | None) -> None:
        """Nothing is left to clear."""


class _Client(FlaskOAuth2App):  # type: ignore[misc]  # Authlib has no types
    """Authlib's client for one request, with our keys, our clock and our limits."""

    def __init__(
        self, connection: Connection, store: Store, name: str, attempt: Mapping[str, str]
    ) -> None:
        self._connection = connection
        self._store = store
        found = store.metadata(connection)
        super().__init__(
            _Memory(name, attempt),
            name,
            client_id=connection.client_id,
            client_secret=connection.client_secret,
            client_kwargs={
                "scope": SCOPE,
                # Authlib's Basic does not form-encode the secret as RFC 6749 §2.3.1 wants.
                "token_endpoint_auth_method": "client_secret_post",
                "default_timeout": directory.TIMEOUT,
            },
            compliance_fix=_limit_answers,
            # What follows stands for the metadata document: there is nothing to load.
            _loaded_at=1,
            issuer=connection.issuer,
            authorization_endpoint=found.authorization_endpoint,
            token_endpoint=found.token_endpoint,
            jwks_uri=found.jwks_uri,
            id_token_signing_alg_values_supported=[ALGORITHM],
        )

    def fetch_jwk_set(self, force: bool = False) -> dict[str, list[dict[str, str]]]:
        return {"keys": self._store.keys(self._connection, force=force)}

    def fetch_access_token(self, redirect_uri: str | None = None, **kwargs: Any) -> Any:
        call = super().fetch_access_token
        return directory.within(directory.DEADLINE, lambda: call(redirect_uri, **kwargs))

    def parse_id_token(self, token: Any, nonce: str, **options: Any) -> Any:
        signed = extract_compact(token["id_token"].encode())
        keys = self._store.keys(self._connection)
        check_header(signed.headers(), key_count=len(keys))
        try:
            return super().parse_id_token(token, nonce, **options)
        except ClaimError:
            # Authlib says less of the reason than we do. The signature is good by now.
            check_claims(json.loads(signed.payload), self._connection, nonce, time.time())
            raise


def authorize(
    connection: Connection, store: Store, *, name: str, redirect_uri: str, **parameters: str
) -> Authorization:
    """Begin a sign-in: authorization code flow with PKCE, a state and a nonce.

    :param name: of fixed length and without an underscore, one for each directory.
    :param parameters: more for the authorization request, like ``prompt``.
    :raises DirectoryError: when the directory's metadata cannot be had.
    """
    client = _Client(connection, store, name, {})
    # Authlib can make the verifier as well, and writes it into its debug log.
    code_verifier = secrets.token_urlsafe(36)
    begun = client.create_authorization_url(
        redirect_uri,
        response_mode="query",
        code_challenge=create_s256_code_challenge(code_verifier),
        code_challenge_method="S256",
        **parameters,
    )
    return Authorization(
        url=begun["url"],
        state=begun["state"],
        nonce=begun["nonce"],
        code_verifier=code_verifier,
    )


def redeem(
    connection: Connection,
    store: Store,
    *,
    name: str,
    redirect_uri: str,
    nonce: str,
    code_verifier: str,
) -> dict[str, Any]:
    """The checked claims of the person that the current request brings back.

    :raises SignInError: for whatever the token endpoint answered but a good token.
    """
    attempt = {"nonce": nonce, "code_verifier": code_verifier, "redirect_uri": redirect_uri}
    client = _Client(connection, store, name, attempt)
    try:
        # allow_redirects and stream are for requests. A redirect that keeps the method would
        # carry the secret to wherever it points.
        token = client.authorize_access_token(leeway=LEEWAY, allow_redirects=False, stream=True)
    except SignInError:
        raise
    except OAuthError as error:
        reason = _token_error(error.error, is_own=connection.is_own)
        raise SignInError(reason, number=aadsts(error.description)) from error
    except InvalidKeyIdError as error:
        raise SignInError(SignInReason.KEY) from error
    except ClaimError as error:
        raise ClaimsRefused(SignInReason.CLAIMS) from error
    except JoseError as error:
        raise SignInError(SignInReason.SIGNATURE) from error
    except (TimeoutError, requests.Timeout) as error:
        raise SignInError(SignInReason.TIMEOUT) from error
    except Exception as error:
        # Authlib reads the answer without checking its types, so what it raises for garbage
        # is any exception there is. None of them may become a 500 or a sign-in.
        logger.warning("the token endpoint's answer was refused: %s", type(error).__name__)
        raise SignInError(SignInReason.ANSWER) from error
    claims = token.get("userinfo")
    if not claims:
        raise SignInError(SignInReason.NO_ID_TOKEN)
    check_claims(claims, connection, nonce, time.time())
    return dict(claims)


def _token_error(error: object, *, is_own: bool) -> SignInReason:
    # RFC 6749 §5.2
    match error:
        case "invalid_grant":
            return SignInReason.CODE
        case "invalid_client" | "unauthorized_client" if is_own:
            return SignInReason.OWN_CLIENT
        case "invalid_client" | "unauthorized_client":
            return SignInReason.CLIENT
        case _:
            return SignInReason.PROVIDER
