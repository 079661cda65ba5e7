"""The part of the page that chooses how an account's people sign in: its form, and Save."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from flask import request

from ..config import tenant_id
from ..records import log, providers
from ..records.models import IdentityProviderMixin, Mode, ProviderState
from ..state import get_state
from . import forms
from .texts import TEXTS, say, span

_HOURS = re.compile(r"[1-9]|1[0-9]|2[0-4]")


@dataclass(frozen=True)
class SSOForm:
    """What stands in the single sign-on part of the form."""

    provider: str
    directory: str
    cloud: str
    session_hours: str = "12"
    refuses_guests: bool = False
    links_by_user_name: bool = False

    @classmethod
    def sent(cls) -> SSOForm | None:
        """What this request sent; ``None`` when it has no single sign-on part."""
        if "sso_provider" not in request.form:
            return None
        return cls(
            provider=request.form["sso_provider"],
            directory=request.form.get("directory", "").strip()[:200],
            cloud=request.form.get("cloud", "global"),
            session_hours=request.form.get("session_hours", "12"),
            refuses_guests="refuse_guests" in request.form,
            links_by_user_name="link_by_user_name" in request.form,
        )

    @classmethod
    def stored(
        cls, in_force: IdentityProviderMixin | None, pending: IdentityProviderMixin | None
    ) -> SSOForm:
        """The settings as they were saved last."""
        row = pending or in_force
        if row is None:
            return cls(provider="none", directory="", cloud="global")
        return cls(
            provider="none" if row.mode == Mode.OFF else "microsoft",
            directory=row.tenant_id,
            cloud=row.cloud,
            session_hours=str(row.session_hours),
            refuses_guests=not row.allows_guests,
            links_by_user_name=row.links_by_user_name,
        )


@dataclass
class Saved:
    """What became of the settings of a form."""

    #: Sentences beside fields, by field.
    problems: dict[str, str] = field(default_factory=dict)
    #: What was done, as codes of the catalogue (``done.…``).
    done: list[str] = field(default_factory=list)


def version(account: Any) -> str:
    """What the stored settings are, so that a form made of older ones is noticed: pressing
    Save for a token must not undo what somebody else has set meanwhile."""
    state = get_state()
    key = state.scim.account_key(account)
    rows = providers.load(state.session, state.scim.records, key)
    return ".".join(f"{row.id.hex}:{row.version}:{row.state}" if row else "" for row in rows)


def save(account: Any, sso: SSOForm) -> Saved:
    """Store the settings, or say beside each field what is wrong. Does not commit."""
    answer = Saved()
    state = get_state()
    records, key = state.scim.records, state.scim.account_key(account)
    match sso.provider:
        case "none":
            if providers.switch_off(state.session, records, key, by=forms.actor()):
                forms.log_event(account, log.Event.SSO_OFF)
                answer.done.append("sso-off")
        case "microsoft" if not state.config.has_registration:
            email = state.config.support_email
            answer.problems["sso_provider"] = say("provider.unregistered", email=email)
        case "microsoft":
            try:
                tenant_id(sso.directory)
            except ValueError as wrong:
                answer.problems["directory"] = str(wrong)
            if sso.cloud not in state.config.oidc_clouds:
                answer.problems["cloud"] = say("cloud.unknown")
            if not _HOURS.fullmatch(sso.session_hours):
                answer.problems["session_hours"] = say("session_hours.unknown")
            if not answer.problems.keys() & {"directory", "cloud", "session_hours"}:
                _save_microsoft(account, sso, answer)
        case _:
            answer.problems["sso_provider"] = say("provider.unknown")
    return answer


def _save_microsoft(account: Any, sso: SSOForm, answer: Saved) -> None:
    state = get_state()
    records, key = state.scim.records, state.scim.account_key(account)

    def versions() -> set[tuple[Any, int]]:
        rows = providers.load(state.session, records, key)
        return {(row.id, row.version) for row in rows if row is not None}

    before = versions()
    row = providers.save(
        state.session,
        records,
        key,
        providers.Settings(
            sso.cloud,
            sso.directory.lower(),
            allows_guests=not sso.refuses_guests,
            links_by_user_name=sso.links_by_user_name,
            session_hours=int(sso.session_hours),
        ),
        by=forms.actor(),
    )
    if versions() == before:
        return
    forms.log_event(account, log.Event.SSO_SAVED, detail=f"{row.tenant_id} ({row.cloud})")
    is_pending = row.state == ProviderState.PENDING
    answer.done.append("sso-pending" if is_pending else "sso-saved")


def session_hours(chosen: str) -> dict[str, str]:
    """How long a session may last, in hours, with the words for it.

    An operator may have chosen another number of hours than the page offers.
    """
    hours = {1, 4, 8, 12, 24}
    if _HOURS.fullmatch(chosen):
        hours.add(int(chosen))
    return {str(n): span(timedelta(hours=n)) for n in sorted(hours)}


def clouds(known: Mapping[str, str], chosen: str) -> dict[str, str]:
    """The clouds in the list, with the words for them.

    One that was chosen and is not configured any more stays in it, so that a Save does not
    silently choose another.
    """
    return {name: TEXTS.get(f"cloud.{name}", name) for name in (*known, chosen)}
