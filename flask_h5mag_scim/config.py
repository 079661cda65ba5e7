"""The ``H5MAG_SCIM_…`` values of ``app.config``, checked once at start."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from enum import StrEnum
from ipaddress import ip_address
from itertools import permutations
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import click

from .texts import say

PREFIX = "H5MAG_SCIM_"

#: Microsoft's clouds and their authorities. Registrations are separate in each.
MICROSOFT_CLOUDS: Mapping[str, str] = MappingProxyType(
    {
        "global": "https://login.microsoftonline.com",
        "us": "https://login.microsoftonline.us",
        "china": "https://login.partner.microsoftonline.cn",
    }
)
METADATA_SUFFIX = "/.well-known/openid-configuration"

#: How Microsoft writes the ids of directories and people, in lower case.
GUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
#: A domain name: letters, digits and hyphens (RFC 1123 §2.1), the last part no number, so that
#: no address of a machine is one.
DOMAIN = re.compile(
    r"(?=.{4,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])"
)
#: The directory of everybody's personal Microsoft accounts.
PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"
#: What Microsoft lets stand for a directory; each would let strangers in.
MANY_TENANTS = frozenset({"common", "organizations", "consumers"})


class LogValues(StrEnum):
    """How much of people's values the provisioning log keeps."""

    #: Enough to see that something changed: ``a•••@example.com``.
    MASKED = "masked"
    #: Names of attributes only.
    NONE = "none"
    #: All of them. Whoever may read the log reads them.
    FULL = "full"


class ConfigurationError(click.ClickException, RuntimeError):
    """The host's configuration is wrong. The message says what to change.

    ``flask …`` shows the message alone, without the way that led to it.
    """


def is_loopback(host: str | None) -> bool:
    """Whether ``host`` names this machine, where plain http is acceptable."""
    if host is None:
        return False
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_safe_origin(url: str) -> bool:
    """Whether ``url`` is https, or plain http on the loopback interface."""
    parts = urlsplit(url)
    if not parts.hostname or parts.username or parts.query or parts.fragment:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))


def tenant_id(text: str) -> str:
    """The id of one organisation's directory at Microsoft, in lower case.

    :raises ValueError: with a sentence for whoever typed ``text``, when it is none.
    """
    value = text.lower()
    if not value.strip():
        raise ValueError(say("tenant_id.empty"))
    if value in MANY_TENANTS:
        raise ValueError(say("tenant_id.many", text=text))
    if value == PERSONAL_TENANT:
        raise ValueError(say("tenant_id.personal"))
    if GUID.fullmatch(value):
        return value
    if "/" in value or ":" in value:
        raise ValueError(say("tenant_id.address"))
    if "." in value or "@" in value:
        raise ValueError(say("tenant_id.domain"))
    raise ValueError(say("tenant_id.wrong"))


def client_id(text: str) -> str:
    """The id of an application at Microsoft, in lower case.

    :raises ValueError: with a sentence for whoever typed ``text``, when it is none.
    """
    value = text.lower()
    if not GUID.fullmatch(value):
        raise ValueError(say("client_id.wrong"))
    return value


def client_secret(text: str) -> str:
    """The secret of an application at Microsoft.

    :raises ValueError: with a sentence for whoever typed ``text``, when it cannot be one.
    """
    if GUID.fullmatch(text.lower()):
        raise ValueError(say("client_secret.id"))
    if not re.fullmatch(r"[\x21-\x7e]{8,512}", text):
        raise ValueError(say("client_secret.wrong"))
    return text


def audience(text: str) -> str:
    """The audience of Microsoft's client assertions, ``api://`` and an application's id.

    :param text: as Microsoft shows it, perhaps with ``/.default`` behind it.
    :raises ValueError: with a sentence for whoever typed ``text``, when it is none.
    """
    application_id = text.lower().removeprefix("api://").partition("/")[0]
    if not GUID.fullmatch(application_id):
        raise ValueError(say("audience.wrong"))
    return f"api://{application_id}"


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be a text that is not empty")
    return value


def _url_prefix(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", value):
        raise ValueError("must begin with / and not end with it, like '/scim/v2'")
    return value


def _public_url(value: Any) -> str:
    if not isinstance(value, str) or not is_safe_origin(value):
        raise ValueError("must be the public https address, like 'https://app.h5mag.com'")
    return value.rstrip("/")


def _positive(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError("must be a whole number of at least 1")
    return value


def _lifetime(value: Any) -> timedelta | None:
    if isinstance(value, timedelta) and timedelta(0) < value <= timedelta(days=36500):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 36500:
        return timedelta(days=value)
    raise ValueError("must be a timedelta, a whole number of days, or None for no end")


def _access_token_lifetime(value: Any) -> timedelta:
    if isinstance(value, int) and not isinstance(value, bool) and 3600 <= value <= 21600:
        return timedelta(seconds=value)
    if isinstance(value, timedelta) and timedelta(hours=1) <= value <= timedelta(hours=6):
        return value
    raise ValueError(
        "must be 3600 to 21600 seconds, or a timedelta of as much: Microsoft Entra takes "
        "access tokens of 1 to 6 hours"
    )


def _retention(value: Any) -> timedelta:
    if isinstance(value, timedelta) and timedelta(days=1) <= value <= timedelta(days=36500):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 36500:
        return timedelta(days=value)
    raise ValueError("must be a timedelta of at least a day, or a whole number of days")


def _log_values(value: Any) -> LogValues:
    try:
        return LogValues(value)
    except ValueError:
        known = ", ".join(f"{one.value!r}" for one in LogValues)
        raise ValueError(f"must be one of {known}") from None


def _percent(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 100:
        return float(value)
    raise ValueError("must be a number between 0 and 100")


def _clouds(value: Any) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError('must be a mapping, like {"test": "https://login.example.com"}')
    for name, authority in value.items():
        if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,31}", name):
            raise ValueError(f"has {name!r}: a name is 1 to 32 of a-z, 0-9, - and _")
        if name in MICROSOFT_CLOUDS:
            raise ValueError(f"may not replace Microsoft's own {name!r}")
        if not isinstance(authority, str) or not is_safe_origin(authority):
            raise ValueError(f"has {name!r}: its value must be an https address")
        is_metadata = authority.endswith(METADATA_SUFFIX)
        if not is_metadata and urlsplit(authority).path not in ("", "/"):
            raise ValueError(
                f"has {name!r}: give the authority without a path, or a metadata address "
                f"that ends in {METADATA_SUFFIX}"
            )
    cleaned = {name: authority.rstrip("/") for name, authority in value.items()}
    return MappingProxyType({**MICROSOFT_CLOUDS, **cleaned})


def _origins(value: Any) -> tuple[str, ...]:
    origins = re.split(r"[\s,]+", value.strip()) if isinstance(value, str) else value
    if not isinstance(origins, list | tuple | set | frozenset):
        raise ValueError("must be a list of origins, like ['https://validator.example']")
    for origin in origins:
        if not isinstance(origin, str) or not is_safe_origin(origin) or urlsplit(origin).path:
            raise ValueError(
                f"has {origin!r}: an origin is a scheme and a host without a path, like "
                "'https://validator.example'; '*' is not one"
            )
    return tuple(origins)


def _encryption_keys(value: Any) -> tuple[str, ...]:
    keys = re.split(r"[\s,]+", value.strip()) if isinstance(value, str) else value
    sentence = (
        "must be a list of keys, the newest first, each 32 random bytes in base64url as "
        "`python -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())'` "
        "makes them"
    )
    if not isinstance(keys, list | tuple):
        raise ValueError(sentence)
    for key in keys:
        try:
            is_key = len(base64.b64decode(key, altchars=b"-_", validate=True)) == 32
        except (TypeError, ValueError, binascii.Error):
            is_key = False
        if not is_key:
            raise ValueError(sentence)  # without the key: this may end up in a log
    return tuple(keys)


def _value(default: Any, check: Callable[[Any], Any], *, repr: bool = True) -> Any:
    # A factory, because dataclasses take a read-only mapping for a mutable default.
    return field(default_factory=lambda: default, metadata={"check": check}, repr=repr)


@dataclass(frozen=True)
class Config:
    """The values of one application. A key is the field's name in capitals after
    ``H5MAG_SCIM_``; ``None`` in ``app.config`` means the default, except for
    ``H5MAG_SCIM_TOKEN_LIFETIME``, where it means that tokens never end.
    """

    url_prefix: str = _value("/scim/v2", _url_prefix)
    page_url_prefix: str = _value("/account/provisioning", _url_prefix)
    sso_url_prefix: str = _value("/sso", _url_prefix)
    # Not below /scim, which a host may choose for SCIM as a whole.
    oauth_url_prefix: str = _value("/scim-oauth", _url_prefix)
    layout: str = _value("h5mag_scim/layout.html", _text)
    login_endpoint: str = _value("login", _text)
    max_results: int = _value(200, _positive)
    token_lifetime: timedelta | None = _value(timedelta(days=365), _lifetime)
    access_token_lifetime: timedelta = _value(timedelta(hours=1), _access_token_lifetime)
    public_url: str | None = _value(None, _public_url)
    support_email: str = _value("support@h5mag.com", _text)
    log_retention: timedelta = _value(timedelta(days=30), _retention)
    log_values: LogValues = _value(LogValues.MASKED, _log_values)
    brake_users: int | None = _value(None, _positive)
    brake_percent: float | None = _value(None, _percent)
    oidc_client_id: str | None = _value(None, _text)
    oidc_client_secret: str | None = _value(None, _text, repr=False)
    oidc_clouds: Mapping[str, str] = _value(MICROSOFT_CLOUDS, _clouds)
    sso_rate_limit: int = _value(300, _positive)
    cors_origins: tuple[str, ...] = _value((), _origins)
    encryption_keys: tuple[str, ...] = _value((), _encryption_keys, repr=False)

    @property
    def has_registration(self) -> bool:
        """Whether the host has a registration at Microsoft that accounts can use."""
        return self.oidc_client_id is not None

    @property
    def has_brake(self) -> bool:
        """Whether SCIM may deactivate or delete only so many users within an hour."""
        return self.brake_users is not None or self.brake_percent is not None


def read(values: Mapping[str, Any], *, development: bool) -> tuple[Config, list[str]]:
    """The checked configuration, and the ``H5MAG_SCIM_…`` keys nobody knows.

    :param values: ``app.config``.
    :param development: whether the app runs in debug or testing mode, where
        ``H5MAG_SCIM_PUBLIC_URL`` may be left out.
    :raises ConfigurationError: naming the key and what it must be.
    """
    found: dict[str, Any] = {}
    known: set[str] = set()
    for each in fields(Config):
        key = PREFIX + each.name.upper()
        known.add(key)
        if key not in values:
            continue
        value = values[key]
        if value is None:
            if each.name == "token_lifetime":
                found[each.name] = None
            continue
        try:
            found[each.name] = each.metadata["check"](value)
        except ValueError as error:
            raise ConfigurationError(f"{key} {error}.") from error
    config = Config(**found)
    if config.public_url is None and not development:
        raise ConfigurationError(
            f"Set {PREFIX}PUBLIC_URL to this application's public https address, like "
            "'https://app.h5mag.com': the provisioning URL and the redirect URI are made "
            "from it and never from the Host header."
        )
    if not development and not values.get("SECRET_KEY"):
        raise ConfigurationError(
            "Set SECRET_KEY before the blueprint is registered: sign-ins, access tokens and the "
            "cursors of lists are signed with it."
        )
    if (config.oidc_client_id is None) != (config.oidc_client_secret is None):
        raise ConfigurationError(
            f"Set both {PREFIX}OIDC_CLIENT_ID and {PREFIX}OIDC_CLIENT_SECRET, or neither: "
            "they are the two halves of this application's registration at Microsoft."
        )
    prefixes = [
        config.url_prefix,
        config.page_url_prefix,
        config.sso_url_prefix,
        config.oauth_url_prefix,
    ]
    path = urlsplit(config.public_url or "").path
    for prefix in prefixes:
        if path.endswith(prefix):
            raise ConfigurationError(
                f"{PREFIX}PUBLIC_URL ends in {prefix!r}, which is added to it: give the "
                "application's own address, like 'https://app.h5mag.com'."
            )
    for one, other in permutations(prefixes, 2):
        if (one + "/").startswith(other + "/"):
            raise ConfigurationError(
                f"The URL prefixes {one!r} and {other!r} overlap: give the SCIM, page, "
                "SSO and OAuth prefixes different first parts."
            )
    unknown = sorted(key for key in values if key.startswith(PREFIX) and key not in known)
    return config, unknown
