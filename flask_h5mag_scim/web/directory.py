"""One account's directory at Microsoft: its addresses, its keys, and asking it for them.

What may be trusted of an answer is decided by pure functions (:func:`check_metadata`,
:func:`usable_keys`). A stand-in for Microsoft differs in the *data* of its
:class:`Connection` only; no function knows it.
"""

from __future__ import annotations

import json
import logging
import math
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import requests
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from .. import config as configuration
from ..config import METADATA_SUFFIX, Config
from ..reasons import SignInReason
from ..records.vault import Vault, VaultError

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: The one algorithm. Microsoft signs with it in every cloud, and what the metadata lists is
#: not asked: a list that names ``none`` must not switch the signature off.
ALGORITHM = "RS256"

#: Seconds to connect, and between two bytes of an answer.
TIMEOUT = (3.0, 5.0)
#: Seconds for one answer as a whole, name resolution and a dripping server included. A
#: sign-in asks three times at most, and servers give a worker about 30 seconds.
DEADLINE = 8.0
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

_PRINTABLE = re.compile(r"[\x21-\x7e]+")


class SignInError(Exception):
    """A sign-in that ends here.

    ``reason`` is never a text that somebody else wrote; ``number`` is Microsoft's AADSTS number
    when there is one, and ``object_id`` the person whom Microsoft vouched for before we refused.
    """

    def __init__(
        self, reason: SignInReason, *, number: str | None = None, object_id: str | None = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.number = number
        self.object_id = object_id


class DirectoryError(SignInError):
    """The directory's metadata or keys cannot be had, or cannot be trusted."""


class DomainError(Exception):
    """A domain does not lead to one organisation's directory; ``reason`` is a code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Pinned(Protocol):
    """A row that says which directory is trusted."""

    @property
    def cloud(self) -> Any:
        """A name in the configuration."""

    @property
    def tenant_id(self) -> Any:
        """The directory's id, perhaps."""


class Registered(Pinned, Protocol):
    """A row that also says as whom its account speaks to Microsoft."""

    @property
    def client_id(self) -> Any:
        """The account's own; ``None`` for the host's."""

    @property
    def client_secret(self) -> Any:
        """Encrypted."""


@dataclass(frozen=True)
class Directory:
    """One organisation's directory, and where it describes itself."""

    issuer: str
    metadata_url: str
    tenant_id: str


@dataclass(frozen=True)
class Connection(Directory):
    """What one sign-in is checked against: this account's directory, and this
    application's registration there.
    """

    client_id: str
    client_secret: str = field(repr=False)
    #: Whether the registration is the account's own, which its admins can repair.
    is_own: bool = False


@dataclass(frozen=True)
class Metadata:
    """The addresses of a directory that are used."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    #: Where people sign out; ``None`` when the directory has no such address of its own.
    end_session_endpoint: str | None


def is_registered(config: Config, provider: Registered) -> bool:
    """Whether there is a registration at Microsoft for these settings: the account's own, or
    the host's."""
    return provider.client_id is not None or config.has_registration


def connect(config: Config, provider: Registered, vault: Vault) -> Connection:
    """The connection of an account's settings, with its own registration if it has one.

    :param vault: opens the account's own secret.
    :raises SignInError: when there is no registration, its secret cannot be read, the
        configuration does not know the cloud any more, or the tenant is no organisation's.
    """
    if provider.client_id is not None:
        client_id, client_secret = provider.client_id, _open(vault, provider.client_secret)
    elif config.oidc_client_id is not None and config.oidc_client_secret is not None:
        client_id, client_secret = config.oidc_client_id, config.oidc_client_secret
    else:
        raise SignInError(SignInReason.REGISTRATION)
    found = locate(config, provider)
    return Connection(
        issuer=found.issuer,
        metadata_url=found.metadata_url,
        tenant_id=found.tenant_id,
        client_id=client_id,
        client_secret=client_secret,
        is_own=provider.client_id is not None,
    )


def _open(vault: Vault, sealed: str | None) -> str:
    try:
        return vault.open(sealed or "")
    except VaultError as error:
        raise SignInError(SignInReason.OWN_SECRET) from error


def locate(config: Config, pinned: Pinned) -> Directory:
    """The directory that a row names.

    :raises SignInError: when the configuration does not know the cloud any more, or the
        tenant is no organisation's.
    """
    authority = config.oidc_clouds.get(pinned.cloud)
    if authority is None:
        raise SignInError(SignInReason.CLOUD)
    try:
        # "common" and its kin are no directory, and no text may lead elsewhere in the cloud.
        tenant_id = configuration.tenant_id(pinned.tenant_id)
    except ValueError as error:
        raise SignInError(SignInReason.TENANT_ID) from error
    issuer = (
        authority.removesuffix(METADATA_SUFFIX)
        if authority.endswith(METADATA_SUFFIX)
        else f"{authority}/{tenant_id}/v2.0"
    )
    return Directory(issuer, issuer + METADATA_SUFFIX, tenant_id)


def consent_url(config: Config, provider: Registered, redirect_uri: str) -> str | None:
    """Where an administrator of the directory lets all its people use the application.

    What Microsoft answers there is believed by nobody: anybody can write such an answer.

    :returns: ``None`` where there is no such page: without a registration, for a directory
        that cannot be located, and for a stand-in that is no Microsoft.
    """
    client_id = provider.client_id or config.oidc_client_id
    try:
        found = locate(config, provider)
    except SignInError:
        return None
    if client_id is None or found.tenant_id not in found.issuer:
        return None
    query = {"client_id": client_id, "scope": "openid profile", "redirect_uri": redirect_uri}
    return f"{found.issuer}/adminconsent?{urlencode(query, quote_via=quote)}"


def resolve(config: Config, cloud: str, domain: str) -> str:
    """The tenant id of the directory that has a domain.

    Asks the chosen cloud's authority, and nobody else: the domain is a part of the path.

    :param cloud: one that ``config`` knows.
    :param domain: as :data:`..config.DOMAIN` has it.
    :raises DomainError: with the reason ``unknown``, ``unreachable``, ``elsewhere``, ``many``
        or ``unsupported``.
    """
    authority = config.oidc_clouds[cloud]
    if authority.endswith(METADATA_SUFFIX):
        raise DomainError("unsupported")
    if not configuration.DOMAIN.fullmatch(domain):
        raise DomainError("unknown")
    try:
        document = _get_object(f"{authority}/{domain}/v2.0{METADATA_SUFFIX}")
    except _StatusError as error:
        raise DomainError("unknown" if error.status in (400, 404) else "unreachable") from error
    except _FAILURES as error:
        raise DomainError("unreachable") from error
    issuer = document.get("issuer")
    named = re.fullmatch(
        re.escape(authority) + r"/([^/]+)/v2\.0", issuer if isinstance(issuer, str) else ""
    )
    if named is None:
        raise DomainError("elsewhere")
    try:
        tenant_id = configuration.tenant_id(named.group(1))
    except ValueError as error:
        raise DomainError("many") from error
    try:
        check_metadata(document, locate(config, _Found(cloud, tenant_id)))
    except DirectoryError as error:
        raise DomainError("elsewhere") from error
    return tenant_id


@dataclass(frozen=True)
class _Found:
    """A directory that is not stored yet."""

    cloud: str
    tenant_id: str


def check_metadata(document: Mapping[str, object], directory: Directory) -> Metadata:
    """The directory's addresses, after the checks of OpenID Connect Discovery §4.3.

    Every address must have the scheme and host of the metadata itself, which the host's
    configuration chose: the client secret and the browser go nowhere else.

    :raises DirectoryError: when the issuer or an address is not the directory's own.
    """
    if document.get("issuer") != directory.issuer:
        raise DirectoryError(SignInReason.METADATA)
    origin = _origin(directory.metadata_url)

    def own(name: str) -> str | None:
        address = document.get(name)
        if not isinstance(address, str) or not _PRINTABLE.fullmatch(address):
            return None
        return address if _origin(address) == origin else None

    found = {}
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        address = own(name)
        if address is None:
            raise DirectoryError(SignInReason.METADATA)
        found[name] = address
    return Metadata(**found, end_session_endpoint=own("end_session_endpoint"))


def usable_keys(document: Mapping[str, object], directory: Directory) -> list[dict[str, str]]:
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
        issuer = key.get("issuer", directory.issuer)
        if not isinstance(issuer, str):
            continue
        if issuer.replace("{tenantid}", directory.tenant_id) != directory.issuer:
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
        raise DirectoryError(SignInReason.KEYS)
    return keys


def _origin(address: str) -> tuple[str, str] | None:
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    return parts.scheme, parts.netloc


def within(seconds: float, call: Callable[[], T]) -> T:
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


def read(response: requests.Response) -> bytes:
    """The body of a streamed response, up to a limit and a deadline."""
    ends = time.monotonic() + DEADLINE
    body = bytearray()
    with response:
        for chunk in response.iter_content(16 * 1024):
            body += chunk
            if len(body) > MAX_ANSWER or time.monotonic() > ends:
                raise ValueError("the answer is too long")
    return bytes(body)


class _StatusError(ValueError):
    """An answer that is not 200."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the answer is {status}")
        self.status = status


#: What is raised for an answer that cannot be had or used.
_FAILURES = (requests.RequestException, OSError, ValueError, RecursionError)


def _get_object(url: str) -> dict[str, object]:
    """The JSON object at ``url``.

    :raises _FAILURES: whatever is wrong with it.
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
            raise _StatusError(response.status_code)
        return read(response)

    document = json.loads(within(DEADLINE, call))
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
        self._reason = SignInReason.DISCOVERY  # until a refresh fails, which sets its own

    def get(self, fetch: Callable[[], T], *, force: bool = False) -> T:
        """The value; fetched first when it is missing, old, or ``force`` asks for it.

        A value that is still usable outlives a failing ``fetch``.

        :raises DirectoryError: when there is no usable value.
        """
        value = self._usable()
        if value is None or force:
            self._lock.acquire()
        elif not self._lock.acquire(blocking=False):
            return value  # with a usable value nobody waits for the one who refreshes it
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

    def metadata(self, directory: Directory) -> Metadata:
        """The directory's checked addresses.

        :raises DirectoryError: when they cannot be had.
        """
        kept, _ = self._entry(directory)
        return kept.get(
            lambda: check_metadata(_ask(directory.metadata_url, SignInReason.DISCOVERY), directory)
        )

    def keys(self, directory: Directory, *, force: bool = False) -> list[dict[str, str]]:
        """The directory's signing keys.

        :param force: look again, because a token names a key that is not among them; not
            more often than every 30 seconds.
        :raises DirectoryError: when there are none.
        """
        _, kept = self._entry(directory)
        return kept.get(
            lambda: usable_keys(
                _ask(self.metadata(directory).jwks_uri, SignInReason.KEYS_UNAVAILABLE), directory
            ),
            force=force,
        )

    def _entry(self, directory: Directory) -> tuple[_Kept[Metadata], _Kept[list[dict[str, str]]]]:
        with self._lock:
            entry = self._entries.get(directory.metadata_url)
            if entry is None:
                entry = self._entries[directory.metadata_url] = (
                    _Kept(self._clock),
                    _Kept(self._clock),
                )
            self._entries.move_to_end(directory.metadata_url)
            if len(self._entries) > self._limit:
                self._entries.popitem(last=False)
            return entry


def _ask(url: str, reason: SignInReason) -> dict[str, object]:
    try:
        return _get_object(url)
    except _FAILURES as error:
        logger.warning("%s did not answer as it should: %s", url, type(error).__name__)
        raise DirectoryError(reason) from error
