"""Why a sign-in ended, for the person and for the admin who tests: codes, and which texts of the
catalogue say them.

A reason is a code of ours. Whatever Microsoft or a stranger wrote is never shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..reasons import SignInReason
from ..texts import TEXTS, say

#: OAuth error codes that pass by themselves (RFC 6749 §4.1.2.1).
BUSY = frozenset({"temporarily_unavailable", "server_error"})

#: Reasons that a wrong clock on this server would cause.
CLOCK = frozenset(
    {SignInReason.CLOCK, SignInReason.NOT_YET, SignInReason.EXPIRED, SignInReason.ISSUED}
)

#: Everything else is 403.
STATUS: Mapping[SignInReason, int] = MappingProxyType(
    {
        SignInReason.STATE: 400,
        SignInReason.REQUEST: 400,
        SignInReason.CIRCLES: 200,
        SignInReason.DISCOVERY: 503,
        SignInReason.METADATA: 503,
        SignInReason.KEYS: 503,
        SignInReason.KEYS_UNAVAILABLE: 503,
    }
)

#: Reasons that share a message, and its name: ``sign_in.…`` of the catalogue.
MESSAGE_OF: Mapping[SignInReason, str] = MappingProxyType(
    {
        SignInReason.CLOUD: "registration",
        SignInReason.TENANT_ID: "discovery",
        SignInReason.CLIENT: "registration",
        SignInReason.OWN_CLIENT: "own_registration",
        SignInReason.OWN_SECRET: "own_registration",
        SignInReason.METADATA: "discovery",
        SignInReason.KEYS: "discovery",
        SignInReason.KEYS_UNAVAILABLE: "discovery",
        SignInReason.INACTIVE: "not_provisioned",
        SignInReason.AMBIGUOUS: "not_provisioned",
        SignInReason.NOT_BY_SCIM: "not_provisioned",
        SignInReason.MISMATCH: "not_provisioned",
        SignInReason.TIMEOUT: "busy",
        SignInReason.ANSWER: "busy",
        SignInReason.NO_ID_TOKEN: "busy",
        SignInReason.CODE: "state",
        SignInReason.TENANT: "token",
        SignInReason.ISSUER: "token",
        SignInReason.VERSION: "token",
        SignInReason.AUDIENCE: "token",
        SignInReason.PARTY: "token",
        SignInReason.NONCE: "token",
        SignInReason.EXPIRED: "token",
        SignInReason.ISSUED: "token",
        SignInReason.CLOCK: "token",
        SignInReason.NOT_YET: "token",
        SignInReason.OID: "token",
        SignInReason.CLAIMS: "token",
        SignInReason.ALGORITHM: "token",
        SignInReason.KEY: "token",
        SignInReason.SIGNATURE: "token",
    }
)

#: Reasons after which the same sign-in need not be tried again.
FINAL = frozenset(
    {
        SignInReason.OFF,
        SignInReason.LICENCE,
        SignInReason.CONSENT,
        SignInReason.RATE,
        SignInReason.TEST_SESSION,
        SignInReason.NOTHING_TO_TEST,
    }
)

#: Reasons that a test explains with the words of another one.
_HINT_OF: Mapping[str, str] = MappingProxyType(
    {
        SignInReason.ISSUED: SignInReason.EXPIRED,
        SignInReason.NOT_YET: SignInReason.CLOCK,
        SignInReason.PARTY: SignInReason.AUDIENCE,
    }
)

#: Which of the texts ``aadsts.…`` explains an AADSTS number of Microsoft's to an admin. Microsoft
#: changes them: they explain, they never decide.
_AADSTS: tuple[tuple[str, str], ...] = (
    ("redirect_uri", "50011 900971 70004"),
    ("application", "700016 70001"),
    ("directory", "90002 90038"),
    ("secret", "7000215 70002"),
    ("secret_expired", "7000222"),
    ("platform", "700025"),
    ("interaction", "50058"),
    ("single_tenant", "50194"),
    ("certificate", "700027 50012"),
    ("assignment", "50105"),
    ("other_account", "50020 50034 51004 16000 90072"),
    ("consent", "65001 90094 90008"),
    ("declined", "65004"),
    ("conditional_access", "53000 53001 53003 530032 50131 50158"),
    ("credentials", "50053 50055 50057 50126 50144"),
    ("loop", "50196"),
    ("stale", "54005 70008 501481 700005"),
    ("busy", "90033 90006 90024 90055"),
)
AADSTS: Mapping[str, str] = MappingProxyType(
    {number: name for name, numbers in _AADSTS for number in numbers.split()}
)

#: Why a test found nobody where linking the admin who made it may help.
LINKABLE = frozenset(
    {
        SignInReason.NOT_PROVISIONED,
        SignInReason.NO_UPN,
        SignInReason.NOT_BY_SCIM,
        SignInReason.MISMATCH,
    }
)


@dataclass(frozen=True)
class Message:
    """What a person reads whose sign-in ended."""

    title: str
    text: str
    #: What the button says that tries again; ``None`` where that does not help.
    again: str | None
    #: What the link says that leads to the password.
    password: str


def message(reason: SignInReason, *, email: str, requires_microsoft: bool) -> Message:
    """What a person reads whose sign-in ended for this reason.

    :param email: whom to ask at the host's.
    :param requires_microsoft: whether passwords are for break-glass owners only.
    """
    name = MESSAGE_OF.get(reason, reason)
    other_way = "sign_in.break_glass" if requires_microsoft else "sign_in.password"
    again = f"sign_in.again.{name}"
    return Message(
        title=say(f"sign_in.{name}.title"),
        text=say(f"sign_in.{name}", email=email, until_then=say(f"{other_way}.until_then")),
        again=None if reason in FINAL else say(again if again in TEXTS else "sign_in.again"),
        password=say(other_way),
    )


def hint(reason: str, number: str | None, *, is_own: bool, redirect_uri: str) -> str:
    """What an admin reads whose test failed.

    :param reason: a :class:`.SignInReason`, as the session or the log kept it.
    :param number: Microsoft's, if there was one.
    :param is_own: whether the account has its own registration.
    """
    known = AADSTS.get(number or "")
    key = f"aadsts.{known}" if known else f"test_hint.{_HINT_OF.get(reason, reason)}"
    if is_own and f"{key}.own" in TEXTS:
        key = f"{key}.own"
    return say(key, redirect_uri=redirect_uri)


def nobody(reason: str | None) -> str | None:
    """Why a test that passed found nobody here; ``None`` when it found somebody."""
    return say(f"nobody.{reason}") if reason else None
