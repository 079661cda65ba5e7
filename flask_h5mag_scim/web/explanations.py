"""What an error in the log means for its reader: what happened, who can fix it, what to click."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from ..provisioning.roles import ROLES
from ..records.brake import HELD_BACK
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

#: The errors, by the end of their text's key (``meaning.…``).
CURES: Mapping[str, _Cure] = MappingProxyType(
    {
        "token_draft": (_YOU, ("save", "connection", "start")),
        "token_expired": (_YOU, _RENEW),
        "token_revoked": (_YOU, (*_RENEW, "extra")),
        "trust_revoked": (_H5MAG, ("support",)),
        "unauthorized": (_YOU, _RENEW),
        "licence": (_H5MAG, ("licence",)),
        "adopt": (_MICROSOFT, ("scope", "change_here")),
        "protected": (_MICROSOFT, ("scope", "change_here")),
        "last_owner": (_YOU, ("other_owner", "scope")),
        "break_glass": (_MICROSOFT, ("scope", "break_glass")),
        "brake": (_YOU, ("brake", "brake.scope")),
        "forbidden": (_H5MAG, ("support",)),
        "gone": (_MICROSOFT, ("gone",)),
        "nothing_there": (_MICROSOFT, ("address", "extra")),
        "method": (_MICROSOFT, ("address", "extra")),
        "uniqueness": (_MICROSOFT, ("twin", "twin.source", "retry")),
        "conflict": (_H5MAG, ("support",)),
        "changed_meanwhile": (_NOBODY, ("wait",)),
        "too_large": (_MICROSOFT, ("group_size", "support")),
        "media_type": (_H5MAG, ("tool", "support")),
        "filter": (_MICROSOFT, ("matching", "retry")),
        "value": (_MICROSOFT, ("mapping", "source", "retry")),
        "role": (_MICROSOFT, ("roles", "roles.assign", "retry")),
        "read_only": (_MICROSOFT, ("mapping.remove", "retry")),
        "path": (_MICROSOFT, ("mapping", "retry")),
        "syntax": (_H5MAG, ("mapping", "support")),
        "cursor": (_YOU, ("tool", "extra")),
        "bad_request": (_H5MAG, ("mapping", "support")),
        "not_offered": (_YOU, ("tool", "extra")),
        "paused": (_YOU, ("resume",)),
        "busy": (_NOBODY, ("wait",)),
        "fault": (_H5MAG, ("support",)),
        "other": (_H5MAG, ("support",)),
        "oauth_client": (_MICROSOFT, ("oauth",)),
        "oauth_assertion": (_NOBODY, ("wait",)),
        "oauth": (_MICROSOFT, ("oauth", "support")),
        "password": (_NOBODY, ("microsoft_sign_in", "test")),
        "password.role": (_YOU, ("break_glass.role",)),
        "password.factor": (_YOU, ("second_factor", "break_glass.role")),
    }
)

#: What several errors of one status are told apart by: the words of their details.
_SAID: tuple[tuple[str, str], ...] = (
    ("is not saved yet", "token_draft"),
    ("This token has expired", "token_expired"),
    ("This token was revoked", "token_revoked"),
    ("this workload identity was revoked", "trust_revoked"),
    ("client identifier belongs to something else", "oauth_client"),
    ("This assertion has expired", "oauth_assertion"),
    ("needs an Enterprise licence", "licence"),
    ("the application keeps it for itself", "adopt"),
    ("The application protects this User", "protected"),
    ("the last active owner of the account", "last_owner"),
    ("is a break-glass owner of the account", "break_glass"),
    (HELD_BACK, "brake"),
    ("Provisioning is paused", "paused"),
    ("Provisioning of this account is paused", "paused"),
    ("with the id", "gone"),
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
REASONS: Mapping[str, _Cure] = MappingProxyType(
    {
        "not_provisioned": (_MICROSOFT, ("assign", "external_id", "on_demand")),
        "no_upn": (_MICROSOFT, ("assign", "external_id", "upn")),
        "not_by_scim": (_MICROSOFT, ("assign", "external_id", "on_demand")),
        "inactive": (_MICROSOFT, ("enable", "on_demand")),
        "ambiguous": (_MICROSOFT, ("external_id", "on_demand")),
        "mismatch": (_H5MAG, ("external_id", "unlink")),
        "guest": (_MICROSOFT, ("guest", "guest.allow")),
        "off": (_YOU, ("settings", "test")),
        "licence": (_H5MAG, ("licence",)),
        "cloud": _SETTINGS,
        "tenant_id": _SETTINGS,
        "discovery": _SETTINGS,
        "metadata": _SETTINGS,
        "tenant": (_MICROSOFT, ("account", "settings")),
        "issuer": _SETTINGS,
        "own_client": (_YOU, ("secret",)),
        "own_secret": (_YOU, ("secret",)),
        "oid": (_MICROSOFT, ("consent", "test")),
        "provider": (_MICROSOFT, ("sign_in_logs",)),
        "registration": _OURS,
        "client": _OURS,
        "keys": _OURS,
        "version": _OURS,
        "audience": _OURS,
        "party": _OURS,
        "claims": _OURS,
        "algorithm": _OURS,
        "signature": _OURS,
        "expired": _OURS,
        "issued": _OURS,
        "clock": _OURS,
        "not_yet": _OURS,
        "keys_unavailable": _AGAIN,
        "key": _AGAIN,
        "busy": _AGAIN,
        "timeout": _AGAIN,
        "answer": _AGAIN,
        "no_id_token": _AGAIN,
        "code": _AGAIN,
        "nonce": _AGAIN,
        "state": _AGAIN,
        "request": _AGAIN,
        "circles": _AGAIN,
        "rate": _AGAIN,
        "changed": _AGAIN,
    }
)
#: The cure by what an AADSTS number means.
NUMBERS: Mapping[str, _Cure] = MappingProxyType(
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
    {"not_provisioned", "no_upn", "not_by_scim", "inactive", "ambiguous", "mismatch"}
)
#: Reasons that no test meets, and the end of their text's key (``meaning.sso.…``).
_UNHINTED: Mapping[str, str] = MappingProxyType(
    {"off": "off", "state": "again", "circles": "circles", "rate": "rate"}
)
#: Reasons that come with the account's own registration.
_OWN = frozenset({"own_client", "own_secret"})
_NUMBER = re.compile(r"\bAADSTS(\d{4,9})\b")


def explain(entry: LogEntryMixin) -> Explanation | None:
    """What an entry about an error means; ``None`` when nothing went wrong."""
    event = entry.event
    if event == Event.SSO_PASSWORD_REFUSED:
        return _explanation(_password(entry.detail or ""))
    if event == Event.SSO_REFUSED or (event == Event.SSO_TESTED and (entry.status or 0) >= 400):
        return _sign_in(entry.detail or "")
    if event not in (Event.REFUSED, Event.OAUTH_REFUSED):
        return None
    return _explanation(_case(entry))


def _case(entry: LogEntryMixin) -> str:
    status, detail = entry.status or 0, entry.detail or ""
    said = next((case for words, case in _SAID if words in detail), None)
    if said is not None:
        return said
    if entry.event == Event.OAUTH_REFUSED:
        return "oauth" if status < 500 else "busy"
    if (entry.scim_type or "") in _TYPES:
        case = _TYPES[entry.scim_type or ""]
        return "role" if case == "value" and entry.paths == [ROLES.name] else case
    if status >= 500:
        return _STATUSES.get(status, "fault")
    return _STATUSES.get(status, "other")


def _password(detail: str) -> str:
    if "no longer manages" in detail:
        return "password.role"
    return "password.factor" if "second factor" in detail else "password"


def _explanation(case: str) -> Explanation:
    return _with_cure(say(f"meaning.{case}"), CURES[case])


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


def _sign_in(detail: str) -> Explanation:
    """What a refused sign-in means: its detail begins with the code of the reason."""
    reason = detail.removeprefix("failed: ").partition(",")[0].strip()
    found = _NUMBER.search(detail)
    number = found[1] if found else None
    is_own = reason in _OWN
    cure = REASONS.get(reason, _OURS)
    if meaning := refusals.AADSTS.get(number or ""):
        own = NUMBERS.get(f"{meaning}.own") if is_own else None
        cure = own or NUMBERS[meaning]
    elif reason in _PEOPLE:
        return _with_cure(say(f"nobody.{reason}"), cure)
    elif reason in _UNHINTED or reason not in REASONS:
        return _with_cure(say(f"meaning.sso.{_UNHINTED.get(reason, 'unknown')}"), cure)
    redirect_uri = oidc.redirect_uri(get_state()) if meaning == "redirect_uri" else ""
    return _with_cure(refusals.hint(reason, number, is_own=is_own, redirect_uri=redirect_uri), cure)
