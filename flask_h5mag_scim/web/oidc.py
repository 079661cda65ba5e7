"""The OpenID Connect side of a sign-in: one account's directory, its keys, its tokens.

Everything that decides whether a token is good is a pure function here
(:func:`check_metadata`, :func:`usable_keys`, :func:`check_header`, :func:`check_claims`).
A stand-in for Microsoft differs in the *data* of its :class:`Connection` only; it passes
through the same functions.
"""

from __future__ import annotations

import hmac
import json
import logging
import math
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

import requests
from authlib.integrations.base_client import OAuthError
from authlib.integrations.flask_client import FlaskIntegration, FlaskOAuth2App
from joserfc.errors import ClaimError, InvalidKeyIdError, JoseError
from joserfc.jwk import RSAKey
from joserfc.jws import extract_compact

from ..config import METADATA_SUFFIX, Config
from ..records.models import IdentityProviderMixin
from ..state import State

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: The one algorithm. Microsoft signs with it in every cloud, and what the metadata lists is
#: not asked: a list that names ``none`` must not switch the signature off.
ALGORITHM = "RS256"
SCOPE = "openid profile"  # without profile there is no oid

#: How far two clocks may be apart, in seconds.
LEEWAY = 60
#: How long ago a token may have been issued; it comes straight from the token endpoint.
MAX_AGE = 3600

#: Seconds to connect, and between two bytes of an answer.
TIMEOUT = (3.0, 5.0)
#: Seconds for one answer as a whole, name resolution and a dripping server included.
DEADLINE = 12.0
#: Bytes of one answer. Microsoft's keys are about 15 kB.
MAX_ANSWER = 256 * 1024

#: After this many seconds the next sign-in looks for new metadata and keys …
REFRESH = 3600.0
#: … and until this age the old ones serve when that fails.
LIFETIME = 24 * 3600.0
#: At most one forced look for an unknown key, and one failed refresh, in this time.
COOLDOWN = 30.0
#: With nothing usable: how soon a directory that could not be reached is asked again.
RETRY = 5.0

_GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_AADSTS = re.compile(r"AADSTS(\d{4,9})")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


class SignInError(Exception):
    """A sign-in that ends here.

    ``reason`` is a code for logs and pages, never a text that somebody else wrote;
    ``number`` is Microsoft's AADSTS number when there is one, and ``object_id`` the person
    whom Microsoft vouched for before we refused.
    """

    def __init__(
        self, reason: str, *, number: str | None = None, object_id: str | None = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.number = number
        self.object_id = object_id


class ClaimsRefused(SignInError):  # noqa: N818, it is a verdict, not a fault
    """The ID token is not one for this account, this application and this moment."""


class DirectoryError(SignInError):
    """The directory's metadata or keys cannot be had, or cannot be trusted."""


@dataclass(frozen=True)
class Connection:
    """What one sign-in is checked against: this account's directory, and this
    application's registration there.
    """

    issuer: str
    metadata_url: str
    tenant_id: str
    client_id: str
    client_secret: str


@dataclass(frozen=True)
class Metadata:
    """The three addresses of a directory that are used."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


@dataclass(frozen=True)
class Authorization:
    """Where to send the browser, and what to remember until it returns."""

    url: str
    state: str
    nonce: str
    code_verifier: str


def connect(config: Config, provider: IdentityProviderMixin) -> Connection:
    """The connection of an account's settings.

    :raises SignInError: when this application has no registration, or its configuration
        does not know the cloud any more.
    """
    if config.oidc_client_id is None or config.oidc_client_secret is None:
        raise SignInError("registration")
    authority = config.oidc_clouds.get(provider.cloud)
    if authority is None:
        raise SignInError("cloud")
    tenant_id = provider.tenant_id.lower()
    issuer = (
        authority.removesuffix(METADATA_SUFFIX)
        if authority.endswith(METADATA_SUFFIX)
        else f"{authority}/{tenant_id}/v2.0"
    )
    return Connection(
        issuer=issuer,
        metadata_url=issuer + METADATA_SUFFIX,
        tenant_id=tenant_id,
        client_id=config.oidc_client_id,
        client_secret=config.oidc_client_secret,
    )


def redirect_uri(state: State) -> str:
    """The one address that is registered at Microsoft, for every account."""
    return f"{state.public_url}{state.config.sso_url_prefix}/callback"


def sign_on_url(state: State, provider: IdentityProviderMixin) -> str:
    """Where an account's people begin, and what its admin pastes as *Sign-on URL*."""
    return f"{state.public_url}{state.config.sso_url_prefix}/{provider.public_id}/login"


# The checks


def check_metadata(document: Mapping[str, object], connection: Connection) -> Metadata:
    """The directory's addresses, after the checks of OpenID Connect Discovery §4.3.

    Every address must have the scheme and host of the metadata itself, which the host's
    configuration chose: the client secret and the browser go nowhere else.

    :raises DirectoryError: when the issuer or an address is not the directory's own.
    """
    if document.get("issuer") != connection.issuer:
        raise DirectoryError("metadata")
    origin = _origin(connection.metadata_url)
    found = {}
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        address = document.get(name)
        if not isinstance(address, str) or not _PRINTABLE.fullmatch(address):
            raise DirectoryError("metadata")
        if _origin(address) != origin:
            raise DirectoryError("metadata")
        found[name] = address
    return Metadata(**found)


def usable_keys(document: Mapping[str, object], connection: Connection) -> list[dict[str, str]]:
    """The RSA signing keys of a JWKS that may sign for this directory.

    A key that carries an ``issuer`` of its own signs for that issuer only: Microsoft says
    so for its keys, where the text ``{tenantid}`` stands for any directory. Keys that are
    broken or of another kind are passed over (RFC 7517 §5).

    :raises DirectoryError: when none is left.
    """
    listed = document.get("keys")
    keys = []
    for key in listed if isinstance(listed, list) else ():
        if not isinstance(key, dict) or key.get("kty") != "RSA":
            continue
        if key.get("use", "sig") != "sig" or key.get("alg", ALGORITHM) != ALGORITHM:
            continue
        issuer = key.get("issuer", connection.issuer)
        if not isinstance(issuer, str):
            continue
        if issuer.replace("{tenantid}", connection.tenant_id) != connection.issuer:
            continue
        kept = {name: key[name] for name in ("kty", "n", "e", "kid") if name in key}
        if not all(isinstance(value, str) for value in kept.values()):
            continue
        if len(kept.get("n", "")) < 342:  # 2048 bits
            continue
        try:
            RSAKey.import_key(dict(kept))
        except (JoseError, ValueError):
            continue
        keys.append(kept)
    if not keys:
        raise DirectoryError("keys")
    return keys


def check_header(header: Mapping[str, object], *, key_count: int) -> None:
    """Refuse an algorithm that is not RS256, and a token that does not name its key
    where there are several to choose from (OpenID Connect Core §10.1).

    :raises ClaimsRefused: with the reason ``algorithm`` or ``key``.
    """
    if header.get("alg") != ALGORITHM:
        raise ClaimsRefused("algorithm")
    if not isinstance(header.get("kid"), str) and not ("kid" not in header and key_count == 1):
        raise ClaimsRefused("key")


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
    if _guid(claims.get("tid")) != connection.tenant_id:
        raise ClaimsRefused("tenant")
    if claims.get("iss") != connection.issuer:
        raise ClaimsRefused("issuer")
    if claims.get("ver") != "2.0":
        raise ClaimsRefused("version")
    if claims.get("aud") not in (connection.client_id, [connection.client_id]):
        raise ClaimsRefused("audience")
    if claims.get("azp", connection.client_id) != connection.client_id:
        raise ClaimsRefused("party")
    sent = claims.get("nonce")
    if not nonce or not isinstance(sent, str) or not _equal(sent, nonce):
        raise ClaimsRefused("nonce")
    expires, issued = _seconds(claims.get("exp")), _seconds(claims.get("iat"))
    if expires is None or expires < now - LEEWAY:
        raise ClaimsRefused("expired")
    if issued is None or issued < now - MAX_AGE:
        raise ClaimsRefused("issued")
    if issued > now + LEEWAY:
        raise ClaimsRefused("clock")
    if "nbf" in claims:
        not_before = _seconds(claims["nbf"])
        if not_before is None or not_before > now + LEEWAY:
            raise ClaimsRefused("not_yet")
    if _guid(claims.get("oid")) is None:
        raise ClaimsRefused("oid")


def object_id(claims: Mapping[str, object]) -> str:
    """The person: the ``oid`` of checked claims, in lower case."""
    return str(claims["oid"]).lower()


def aadsts(text: object) -> str | None:
    """Microsoft's error number in ``text``; the only part of it that is ever used."""
    found = _AADSTS.search(text[:4000]) if isinstance(text, str) else None
    return found.group(1) if found else None


def _guid(value: object) -> str | None:
    if not isinstance(value, str) or not _GUID.fullmatch(value.lower()):
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


def _origin(address: str) -> tuple[str, str] | None:
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    return parts.scheme, parts.netloc


# Asking the directory


def _within(seconds: float, call: Callable[[], T]) -> T:
    """The result of ``call``, or :class:`TimeoutError` after ``seconds``.

    requests bounds the wait for each byte, not for all of them, and not the look-up of
    the name; a worker must be free again in any case.
    """
    answer: Future[T] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, name="h5mag-scim-oidc", daemon=True).start()
    return answer.result(timeout=seconds)


def _read(response: requests.Response) -> bytes:
    """The body of a streamed response, up to a limit and a deadline."""
    ends = time.monotonic() + DEADLINE
    body = bytearray()
    with response:
        for chunk in response.iter_content(16 * 1024):
            body += chunk
            if len(body) > MAX_ANSWER or time.monotonic() > ends:
                raise ValueError("the answer is too long")
    return bytes(body)


def _get_object(url: str) -> dict[str, object]:
    """The JSON object at ``url``.

    :raises requests.RequestException, ValueError, RecursionError, TimeoutError: whatever
        is wrong with it.
    """

    def call() -> bytes:
        response = requests.get(
            url,
            headers={"Accept": "application/json"},
            timeout=TIMEOUT,
            # The checked address is the one that answers, or nobody does.
            allow_redirects=False,
            stream=True,
        )
        if response.status_code != requests.codes.ok:
            response.close()
            raise ValueError("the answer is not 200")
        return _read(response)

    document = json.loads(_within(DEADLINE, call))
    if not isinstance(document, dict):
        raise ValueError("the answer is not a JSON object")
    return document


class _Kept(Generic[T]):
    """One thing that was fetched, how old it is, and who may fetch it again when."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._value: T | None = None
        self._fetched = self._failed = self._forced = -math.inf
        self._reason = ""

    def get(self, fetch: Callable[[], T], *, force: bool = False) -> T:
        """The value; fetched first when it is missing, old, or ``force`` asks for it.

        A value that is still usable outlives a failing ``fetch``.

        :raises DirectoryError: when there is no usable value.
        """
        value = self._usable()
        if value is not None and not self._is_due(force):
            return value
        # With a usable value in hand nobody waits for the one who refreshes it.
        if not self._lock.acquire(blocking=force or value is None) and value is not None:
            return value
        try:
            if self._is_due(force):
                self._refresh(fetch, force)
            value = self._usable()
            if value is None:
                raise DirectoryError(self._reason)
            return value
        finally:
            self._lock.release()

    def _usable(self) -> T | None:
        return self._value if self._clock() - self._fetched < LIFETIME else None

    def _is_due(self, force: bool) -> bool:
        now = self._clock()
        if force:
            return now - self._forced >= COOLDOWN
        if self._usable() is None:
            return now - self._failed >= RETRY
        return now - self._fetched >= REFRESH and now - self._failed >= COOLDOWN

    def _refresh(self, fetch: Callable[[], T], force: bool) -> None:
        if force:
            self._forced = self._clock()
        try:
            self._value = fetch()
        except DirectoryError as refusal:
            self._reason = refusal.reason
            self._failed = self._clock()
        else:
            self._fetched = self._clock()


class Store:
    """The metadata and keys of the directories of one application, at most ``limit``.

    One fetch at a time for each; the least recently used are forgotten first.
    """

    def __init__(self, *, limit: int = 256, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, tuple[_Kept[Metadata], _Kept[list[dict[str, str]]]]] = (
            OrderedDict()
        )

    def metadata(self, connection: Connection) -> Metadata:
        """The directory's checked addresses.

        :raises DirectoryError: when they cannot be had.
        """
        kept, _ = self._entry(connection)
        return kept.get(
            lambda: check_metadata(_ask(connection.metadata_url, "discovery"), connection)
        )

    def keys(self, connection: Connection, *, force: bool = False) -> list[dict[str, str]]:
        """The directory's signing keys.

        :param force: look again, because a token names a key that is not among them; not
            more often than every 30 seconds.
        :raises DirectoryError: when there are none.
        """
        _, kept = self._entry(connection)
        return kept.get(
            lambda: usable_keys(
                _ask(self.metadata(connection).jwks_uri, "keys_unavailable"), connection
            ),
            force=force,
        )

    def _entry(self, connection: Connection) -> tuple[_Kept[Metadata], _Kept[list[dict[str, str]]]]:
        with self._lock:
            entry = self._entries.get(connection.metadata_url)
            if entry is None:
                entry = self._entries[connection.metadata_url] = (
                    _Kept(self._clock),
                    _Kept(self._clock),
                )
            self._entries.move_to_end(connection.metadata_url)
            if len(self._entries) > self._limit:
                self._entries.popitem(last=False)
            return entry


def _ask(url: str, reason: str) -> dict[str, object]:
    try:
        return _get_object(url)
    except (requests.RequestException, OSError, ValueError, RecursionError) as error:
        logger.warning("%s did not answer as it should: %s", url, type(error).__name__)
        raise DirectoryError(reason) from error


# Sending a browser to the directory, and taking its answer


class _Answer:
    """The part of a response that Authlib reads, read within limits."""

    def __init__(self, response: requests.Response) -> None:
        self.status_code = response.status_code
        if 300 <= response.status_code < 400:
            raise ValueError("the token endpoint redirects")
        self._body = _read(response)

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
                "code_challenge_method": "S256",
                # Authlib's Basic does not form-encode the secret as RFC 6749 §2.3.1 wants.
                "token_endpoint_auth_method": "client_secret_post",
                "default_timeout": TIMEOUT,
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
        return _within(DEADLINE, lambda: call(redirect_uri, **kwargs))

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
    begun = client.create_authorization_url(redirect_uri, response_mode="query", **parameters)
    return Authorization(
        url=begun["url"],
        state=begun["state"],
        nonce=begun["nonce"],
        code_verifier=begun["code_verifier"],
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
        raise SignInError(_token_error(error.error), number=aadsts(error.description)) from error
    except InvalidKeyIdError as error:
        raise SignInError("key") from error
    except ClaimError as error:
        raise ClaimsRefused("claims") from error
    except JoseError as error:
        raise SignInError("signature") from error
    except (TimeoutError, requests.Timeout) as error:
        raise SignInError("timeout") from error
    except Exception as error:
        # Authlib reads the answer without checking its types, so what it raises for garbage
        # is any exception there is. None of them may become a 500 or a sign-in.
        logger.warning("the token endpoint's answer was refused: %s", type(error).__name__)
        raise SignInError("answer") from error
    claims = token.get("userinfo")
    if not claims:
        raise SignInError("no_id_token")
    check_claims(claims, connection, nonce, time.time())
    return dict(claims)


def _token_error(error: object) -> str:
    # RFC 6749 §5.2
    match error:
        case "invalid_grant":
            return "code"
        case "invalid_client" | "unauthorized_client":
            return "client"
        case _:
            return "provider"
