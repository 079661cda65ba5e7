"""What an error in the log means for its reader: what happened, who can fix it, what to click."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from ..reasons import Reason, SignInReason
from ..records.log import Event
from ..records.models import LogEntryMixin
from ..state import get_state
from ..texts import say
from . import oidc, refusals


class Who(StrEnum):
    """Who can fix something; in words it is ``meaning.who.…`` of the catalogue."""

    #: An owner or admin of the account, on our pages.
    YOU = "you"
    #: Whoever manages the directory, on Microsoft's.
    MICROSOFT = "microsoft"
    H5MAG = "h5mag"
    #: It passes.
    NOBODY = "nobody"


@dataclass(frozen=True)
class Explanation:
    """An error in words."""

    what: str
    who: str
    #: What to do, in order; one at least.
    steps: tuple[str, ...]


#: Who can fix it, and the steps (``step.…`` of the catalogue).
_Cure = tuple[Who, Sequence[str]]

_YOU, _MICROSOFT, _H5MAG, _NOBODY = Who.YOU, Who.MICROSOFT, Who.H5MAG, Who.NOBODY
_RENEW = ("token", "paste", "start")

#: The errors, by the end of their text's key (``meaning.…``): the reasons, and what is known
#: by the scimType or the status where there is none.
CURES: Mapping[str, _Cure] = MappingProxyType(
    {
        Reason.TOKEN_DRAFT: (_YOU, ("save", "connection", "start")),
        Reason.TOKEN_EXPIRED: (_YOU, _RENEW),
        Reason.TOKEN_REVOKED: (_YOU, (*_RENEW, "extra")),
        Reason.TRUST_REVOKED: (_H5MAG, ("support",)),
        Reason.OAUTH_CLIENT: (_MICROSOFT, ("oauth",)),
        Reason.OAUTH_ASSERTION: (_NOBODY, ("wait",)),
        Reason.LICENCE: (_H5MAG, ("licence",)),
        Reason.PAUSED: (_YOU, ("resume",)),
        Reason.BRAKE: (_YOU, ("brake", "brake.scope")),
        Reason.GONE: (_MICROSOFT, ("gone",)),
        Reason.ADOPT: (_MICROSOFT, ("scope", "change_here")),
        Reason.PROTECTED: (_MICROSOFT, ("scope", "change_here")),
        Reason.LAST_OWNER: (_YOU, ("other_owner", "scope")),
        Reason.BREAK_GLASS: (_MICROSOFT, ("scope", "break_glass")),
        Reason.ROLE: (_MICROSOFT, ("roles", "roles.assign", "retry")),
        Reason.MICROSOFT_REQUIRED: (_NOBODY, ("microsoft_sign_in", "test")),
        Reason.BREAK_GLASS_ROLE: (_YOU, ("break_glass.role",)),
        Reason.BREAK_GLASS_FACTOR: (_YOU, ("second_factor", "break_glass.role")),
        "unauthorized": (_YOU, _RENEW),
        "forbidden": (_H5MAG, ("support",)),
        "nothing_there": (_MICROSOFT, ("address", "extra")),
        "method": (_MICROSOFT, ("address", "extra")),
        "uniqueness": (_MICROSOFT, ("twin", "twin.source", "retry")),
        "uniqueness.holder": (_MICROSOFT, ("twin.holder", "twin.source", "retry")),
        "conflict": (_H5MAG, ("support",)),
        "changed_meanwhile": (_NOBODY, ("wait",)),
        "too_large": (_MICROSOFT, ("group_size", "support")),
        "media_type": (_H5MAG, ("tool", "support")),
        "filter": (_MICROSOFT, ("matching", "retry")),
        "value": (_MICROSOFT, ("mapping", "source", "retry")),
        "read_only": (_MICROSOFT, ("mapping.remove", "retry")),
        "path": (_MICROSOFT, ("mapping", "retry")),
        "syntax": (_H5MAG, ("mapping", "support")),
        "cursor": (_YOU, ("tool", "extra")),
        "bad_request": (_H5MAG, ("mapping", "support")),
        "not_offered": (_YOU, ("tool", "extra")),
        "busy": (_NOBODY, ("wait",)),
        "fault": (_H5MAG, ("support",)),
        "other": (_H5MAG, ("support",)),
        "oauth": (_MICROSOFT, ("oauth", "support")),
    }
)

_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "invalidFilter": "filter",
        "uniqueness": "uniqueness",
        "mutability": "read_only",
        "invalidSyntax": "syntax",
        "invalidPath": "path",
        "noTarget": "path",
        "invalidValue": "value",
        "invalidCursor": "cursor",
        "expiredCursor": "cursor",
        "invalidCount": "cursor",
    }
)
_STATUSES: Mapping[int, str] = MappingProxyType(
    {
        400: "bad_request",
        401: "unauthorized",
        403: "forbidden",
        404: "nothing_there",
        405: "method",
        409: "conflict",
        412: "changed_meanwhile",
        413: "too_large",
        415: "media_type",
        500: "fault",
        501: "not_offered",
        503: "busy",
    }
)

#: Sign-ins: the cure by the reason.
_AGAIN: _Cure = (_NOBODY, ("again",))
_OURS: _Cure = (_H5MAG, ("test", "support.reference"))
_SETTINGS: _Cure = (_YOU, ("settings",))
SIGN_IN_CURES: Mapping[str, _Cure] = MappingProxyType(
    {
        SignInReason.NOT_PROVISIONED: (_MICROSOFT, ("assign", "external_id", "on_demand")),
        SignInReason.NOT_BY_SCIM: (_MICROSOFT, ("assign", "external_id", "on_demand")),
        SignInReason.INACTIVE: (_MICROSOFT, ("enable", "on_demand")),
        SignInReason.AMBIGUOUS: (_MICROSOFT, ("external_id", "on_demand")),
        SignInReason.MISMATCH: (_H5MAG, ("external_id", "unlink")),
        SignInReason.GUEST: (_MICROSOFT, ("guest", "guest.allow")),
        SignInReason.OFF: (_YOU, ("settings", "test")),
        SignInReason.LICENCE: (_H5MAG, ("licence",)),
        SignInReason.CLOUD: _SETTINGS,
        SignInReason.TENANT_ID: _SETTINGS,
        SignInReason.DISCOVERY: _SETTINGS,
        SignInReason.METADATA: _SETTINGS,
        SignInReason.TENANT: (_MICROSOFT, ("account", "settings")),
        SignInReason.ISSUER: _SETTINGS,
        SignInReason.OWN_CLIENT: (_YOU, ("secret",)),
        SignInReason.OWN_SECRET: (_YOU, ("secret",)),
        SignInReason.OID: (_MICROSOFT, ("consent", "test")),
        SignInReason.PROVIDER: (_MICROSOFT, ("sign_in_logs",)),
        SignInReason.REGISTRATION: _OURS,
        SignInReason.CLIENT: _OURS,
        SignInReason.KEYS: _OURS,
        SignInReason.VERSION: _OURS,
        SignInReason.AUDIENCE: _OURS,
        SignInReason.PARTY: _OURS,
        SignInReason.CLAIMS: _OURS,
        SignInReason.ALGORITHM: _OURS,
        SignInReason.SIGNATURE: _OURS,
        SignInReason.EXPIRED: _OURS,
        SignInReason.ISSUED: _OURS,
        SignInReason.CLOCK: _OURS,
        SignInReason.NOT_YET: _OURS,
        SignInReason.KEYS_UNAVAILABLE: _AGAIN,
        SignInReason.KEY: _AGAIN,
        SignInReason.BUSY: _AGAIN,
        SignInReason.TIMEOUT: _AGAIN,
        SignInReason.ANSWER: _AGAIN,
        SignInReason.NO_ID_TOKEN: _AGAIN,
        SignInReason.CODE: _AGAIN,
        SignInReason.NONCE: _AGAIN,
        SignInReason.REQUEST: _AGAIN,
        SignInReason.CHANGED: _AGAIN,
    }
)
#: The cure by what an AADSTS number means.
AADSTS_CURES: Mapping[str, _Cure] = MappingProxyType(
    {
        "redirect_uri": (_MICROSOFT, ("redirect", "test")),
        "application": (_MICROSOFT, ("settings", "consent")),
        "directory": _SETTINGS,
        "secret": _OURS,
        "secret.own": (_YOU, ("secret",)),
        "secret_expired": _OURS,
        "secret_expired.own": (_YOU, ("secret",)),
        "platform": _OURS,
        "platform.own": (_MICROSOFT, ("redirect", "test")),
        "interaction": _AGAIN,
        "single_tenant": _SETTINGS,
        "certificate": _OURS,
        "certificate.own": (_MICROSOFT, ("secret",)),
        "assignment": (_MICROSOFT, ("assign",)),
        "other_account": (_MICROSOFT, ("account",)),
        "consent": (_MICROSOFT, ("consent", "test")),
        "declined": (_NOBODY, ("again",)),
        "conditional_access": (_MICROSOFT, ("policy",)),
        "credentials": (_MICROSOFT, ("person",)),
        "loop": _AGAIN,
        "stale": _AGAIN,
        "busy": _AGAIN,
    }
)
#: Reasons why Microsoft's person is nobody here.
_PEOPLE = frozenset(
    {
        SignInReason.NOT_PROVISIONED,
        SignInReason.NOT_BY_SCIM,
        SignInReason.INACTIVE,
        SignInReason.AMBIGUOUS,
        SignInReason.MISMATCH,
    }
)
#: Reasons that come with the account's own registration.
_OWN = frozenset({SignInReason.OWN_CLIENT, SignInReason.OWN_SECRET})
_NUMBER = re.compile(r"\bAADSTS(\d{4,9})\b")


def explain(entry: LogEntryMixin) -> Explanation | None:
    """What an entry about an error means; ``None`` when nothing went wrong."""
    event = entry.event
    if event == Event.SSO_REFUSED or (event == Event.SSO_TESTED and (entry.status or 0) >= 400):
        return _sign_in(entry)
    if event not in (Event.REFUSED, Event.OAUTH_REFUSED, Event.SSO_PASSWORD_REFUSED):
        return None
    case = _case(entry)
    return _with_cure(say(f"meaning.{case}"), CURES[case])


def _case(entry: LogEntryMixin) -> str:
    reason, scim_type, status = entry.reason or "", entry.scim_type or "", entry.status or 0
    if reason in CURES:
        return reason
    if entry.event == Event.OAUTH_REFUSED:
        return "oauth" if status < 500 else "busy"
    if scim_type in _TYPES:
        return _TYPES[scim_type] + (".holder" if entry.holder_id else "")
    return _STATUSES.get(status, "fault" if status >= 500 else "other")


def _with_cure(what: str, cure: _Cure) -> Explanation:
    who, steps = cure
    state = get_state()
    values = {"email": state.config.support_email}
    if "redirect" in steps:
        values["redirect_uri"] = oidc.redirect_uri(state)
    return Explanation(
        what=what,
        who=say(f"meaning.who.{who}"),
        steps=tuple(say(f"step.{step}", **values) for step in steps),
    )


def _sign_in(entry: LogEntryMixin) -> Explanation:
    reason = entry.reason or ""
    found = _NUMBER.search(entry.detail or "")
    number = found[1] if found else None
    is_own = reason in _OWN
    cure = SIGN_IN_CURES.get(reason, _OURS)
    if meaning := refusals.AADSTS.get(number or ""):
        own = AADSTS_CURES.get(f"{meaning}.own") if is_own else None
        cure = own or AADSTS_CURES[meaning]
    elif reason in _PEOPLE:
        return _with_cure(say(f"nobody.{reason}"), cure)
    elif reason == SignInReason.OFF:  # no test meets it, so that it has no hint
        return _with_cure(say("meaning.sso.off"), cure)
    elif reason not in SIGN_IN_CURES:
        return _with_cure(say("meaning.sso.unknown"), cure)
    redirect_uri = oidc.redirect_uri(get_state()) if meaning == "redirect_uri" else ""
    return _with_cure(refusals.hint(reason, number, is_own=is_own, redirect_uri=redirect_uri), cure)
