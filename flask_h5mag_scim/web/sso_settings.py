"""The part of the page that chooses how an account's people sign in: its form, and Save."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from flask import request

from .. import config as configuration
from ..records import break_glass, log, providers
from ..records.models import IdentityProviderMixin, LogKind, Mode, ProviderState, now
from ..state import get_state
from ..texts import TEXTS, Done, say, span
from . import directory, forms, require

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
    mode: str = Mode.REDIRECT.value
    #: User names, one a line; ``None`` when they were not asked for.
    break_glass: str | None = None
    #: The account's own registration at Microsoft; empty for the host's.
    client_id: str = ""
    #: What was typed, never what is stored.
    client_secret: str = field(default="", repr=False)
    #: A day, as browsers send it.
    secret_expires: str = ""

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
            mode=request.form.get("mode", Mode.REDIRECT.value),
            break_glass=request.form.get("break_glass"),
            client_id=request.form.get("client_id", "").strip()[:100],
            client_secret=request.form.get("client_secret", "").strip()[:1000],
            secret_expires=request.form.get("secret_expires", "").strip()[:40],
        )

    @classmethod
    def stored(
        cls,
        in_force: IdentityProviderMixin | None,
        pending: IdentityProviderMixin | None,
        break_glass: Sequence[str] = (),
    ) -> SSOForm:
        """The settings as they were saved last.

        :param break_glass: the user names of the break-glass owners.
        """
        row = pending or in_force
        if row is None:
            return cls(provider="none", directory=_own_domain(), cloud="global")
        # Switched off is the other provider; pending settings may test a directory in peace.
        mode, ends = Mode(row.mode), row.secret_expires_at
        is_none = mode is Mode.OFF and pending is None
        return cls(
            provider="none" if is_none else "microsoft",
            directory=row.tenant_id,
            cloud=row.cloud,
            session_hours=str(row.session_hours),
            refuses_guests=not row.allows_guests,
            links_by_user_name=row.links_by_user_name,
            mode=Mode.REDIRECT.value if is_none else mode.value,
            break_glass="\n".join(break_glass),
            client_id=row.client_id or "",
            secret_expires="" if ends is None else f"{ends:%Y-%m-%d}",
        )


@dataclass(frozen=True)
class Found:
    """The directory that a form names."""

    tenant_id: str = ""
    #: The domain by which it was found, if it was.
    domain: str = ""
    #: Why there is none, in a sentence.
    problem: str = ""


def find_directory(sso: SSOForm) -> Found:
    """The directory that was typed, by its ID or by a domain of it.

    For a domain it asks Microsoft, which may take seconds: to be called while nothing is
    locked. Gives the database's connection back for that time.
    """
    if sso.provider != "microsoft":
        return Found()
    state = get_state()
    typed = sso.directory.lower()
    if not configuration.DOMAIN.fullmatch(typed):
        try:
            return Found(configuration.tenant_id(sso.directory))
        except ValueError as wrong:
            return Found(problem=str(wrong))
    if sso.cloud not in state.config.oidc_clouds:
        return Found()
    state.session.commit()
    try:
        return Found(directory.resolve(state.config, sso.cloud, typed), domain=typed)
    except directory.DomainError as error:
        return Found(problem=say(f"domain.{error.reason}", domain=typed))


def _own_domain() -> str:
    """The domain in the address of the admin who looks at the page."""
    domain = forms.actor().rpartition("@")[2].lower()
    return domain if configuration.DOMAIN.fullmatch(domain) else ""


@dataclass
class Saved:
    """What became of the settings of a form."""

    #: Sentences beside fields, by field.
    problems: dict[str, str] = field(default_factory=dict)
    #: What was done.
    done: list[Done] = field(default_factory=list)
    #: Nothing is stored before the admin has signed in again.
    must_sign_in: bool = False


def version(account: Any) -> str:
    """What the stored settings are, so that a form made of older ones is noticed: pressing
    Save for a token must not undo what somebody else has set meanwhile."""
    state = get_state()
    key = state.scim.account_key(account)
    rows = providers.load(state.session, state.scim.records, key)
    parts = [f"{row.id.hex}:{row.version}:{row.mode}" if row else "" for row in rows]
    owners = break_glass.named(state.session, state.scim.records, key)
    return ".".join([*parts, *map(str, owners)])


@dataclass(frozen=True)
class Changed:
    """What somebody else has done to the settings while a form was open."""

    #: Who did it last, when, and what it was, in words; nothing where the log does not say.
    who: str
    at: datetime | None
    what: str
    #: What is stored by now and differs from what was sent: labels with values, in words.
    differences: tuple[tuple[str, str], ...]


#: What changes the settings of the form.
_CHANGES = {
    log.Event.SSO_SAVED,
    log.Event.SSO_IN_FORCE,
    log.Event.SSO_OFF,
    log.Event.SSO_TRIAL_BEGAN,
    log.Event.SSO_TRIAL_KEPT,
    log.Event.SSO_TRIAL_ENDED,
    log.Event.SSO_BREAK_GLASS_NAMED,
    log.Event.SSO_BREAK_GLASS_REMOVED,
}
#: Among so many entries of the log the last of them is looked for.
_LOOKED_THROUGH = 50


def changed(account: Any, sent: SSOForm) -> Changed:
    """Who has changed the settings last, and how they differ from what was ``sent`` now."""
    state = get_state()
    records, key = state.scim.records, state.scim.account_key(account)
    settings = log.Query(kinds=(LogKind.SETTING,))
    entries = log.page(state.session, records, key, settings, limit=_LOOKED_THROUGH).entries
    last = next((entry for entry in entries if entry.event in _CHANGES), None)
    rows = providers.load(state.session, records, key)
    stored = SSOForm.stored(*rows, require.break_glass_names(account))
    sent = replace(
        sent,
        directory=sent.directory.lower(),
        client_id=sent.client_id.lower(),
        break_glass="\n".join(require.names_in(sent.break_glass or "")),
    )
    mine = _in_words(sent)
    return Changed(
        who="" if last is None else last.actor,
        at=None if last is None else last.at,
        what="" if last is None else TEXTS[f"event.{last.event}"],
        differences=tuple(
            (label, value) for label, value in _in_words(stored).items() if mine.get(label) != value
        ),
    )


def _in_words(sso: SSOForm) -> dict[str, str]:
    """The settings as somebody reads them on the page, by their labels; no secret."""
    provider = {say("sso.provider"): TEXTS.get(f"sso.{sso.provider}", sso.provider)}
    if sso.provider != "microsoft":
        return provider
    yes = {True: say("yes"), False: say("no")}
    return provider | {
        say("sso.directory"): sso.directory,
        say("mode"): TEXTS.get(f"mode.{sso.mode}", sso.mode),
        say("break_glass"): ", ".join((sso.break_glass or "").split("\n")) or say("nobody"),
        say("sso.client_id"): sso.client_id or say("sso.client_id.none"),
        say("sso.secret_expires"): sso.secret_expires or say("never"),
        say("sso.cloud"): TEXTS.get(f"cloud.{sso.cloud}", sso.cloud),
        say("sso.guests"): yes[sso.refuses_guests],
        say("sso.by_name"): yes[sso.links_by_user_name],
        say("session_hours"): session_hours(sso.session_hours).get(sso.session_hours, ""),
    }


def save(account: Any, sso: SSOForm, found: Found) -> Saved:
    """Store the settings, or say beside each field what is wrong. Does not commit.

    :param found: what :func:`find_directory` said of ``sso``.
    """
    answer = Saved()
    state = get_state()
    records, key = state.scim.records, state.scim.account_key(account)
    match sso.provider:
        case "none":
            in_force = providers.in_force(state.session, records, key)
            is_required = in_force is not None and in_force.mode_at(now()) is Mode.REQUIRE
            answer.must_sign_in = is_required and not forms.login_is_recent()
            if answer.must_sign_in:
                return answer
            if providers.switch_off(state.session, records, key, by=forms.actor()):
                forms.log_event(account, log.Event.SSO_OFF)
                answer.done.append("sso-off")
        case "microsoft":
            if found.problem:
                answer.problems["directory"] = found.problem
            if sso.cloud not in state.config.oidc_clouds:
                answer.problems["cloud"] = say("cloud.unknown")
            if not _HOURS.fullmatch(sso.session_hours):
                answer.problems["session_hours"] = say("session_hours.unknown")
            if sso.mode not in set(Mode):
                answer.problems["mode"] = say("mode.unknown")
            registration = _registration(account, sso, found, answer.problems)
            if not answer.problems:
                _save_microsoft(account, sso, found, registration, answer)
        case _:
            answer.problems["sso_provider"] = say("provider.unknown")
    return answer


def keeps_secret(sso: SSOForm, rows: Sequence[IdentityProviderMixin | None]) -> bool:
    """Whether the form can leave the secret empty, because one is stored for what it names."""
    stored = providers.sealed_secret(
        get_state().vault, rows, cloud=sso.cloud, client_id=sso.client_id.lower(), typed=""
    )
    return stored is not None


@dataclass(frozen=True)
class _Registration:
    """The registration at Microsoft that an account uses, as it is stored."""

    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None


def _registration(
    account: Any, sso: SSOForm, found: Found, problems: dict[str, str]
) -> _Registration:
    """The registration that a form names; adds to ``problems`` what is wrong with it."""
    state = get_state()
    if not sso.client_id:
        if sso.client_secret:
            problems["client_id"] = say("client_id.missing")
        elif not state.config.has_registration:
            problems["client_id"] = say("client_id.needed")
        return _Registration()
    client_id, sealed = sso.client_id.lower(), None
    in_force, pending = providers.load(
        state.session, state.scim.records, state.scim.account_key(account)
    )
    try:
        if client_id == found.tenant_id:
            raise ValueError(say("client_id.directory"))
        client_id = configuration.client_id(client_id)
    except ValueError as wrong:
        problems["client_id"] = str(wrong)
    try:
        if sso.client_secret:
            configuration.client_secret(sso.client_secret)
        sealed = providers.sealed_secret(
            state.vault,
            (pending, in_force),
            cloud=sso.cloud,
            client_id=client_id,
            typed=sso.client_secret,
        )
        if sealed is None:
            raise ValueError(say("client_secret.needed"))
    except ValueError as wrong:
        problems["client_secret"] = str(wrong)
    stored = SSOForm.stored(in_force, pending)
    expires_at = None
    try:
        if sso.secret_expires:
            expires_at = datetime.combine(date.fromisoformat(sso.secret_expires), time(), UTC)
    except ValueError:
        problems["secret_expires"] = say("secret_expires.unknown")
    is_new = bool(sso.client_secret) or sso.secret_expires != stored.secret_expires
    # A day that has come since it was stored must not keep an admin from saving the rest.
    if expires_at is not None and expires_at <= now() and is_new:
        problems["secret_expires"] = say("secret_expires.past")
    return _Registration(client_id, sealed, expires_at)


def _save_microsoft(
    account: Any, sso: SSOForm, found: Found, registration: _Registration, answer: Saved
) -> None:
    state = get_state()
    records, key = state.scim.records, state.scim.account_key(account)

    def versions() -> set[tuple[Any, int]]:
        rows = providers.load(state.session, records, key)
        return {(row.id, row.version) for row in rows if row is not None}

    wanted = providers.Settings(
        sso.cloud,
        found.tenant_id,
        Mode(sso.mode),
        client_id=registration.client_id,
        client_secret=registration.client_secret,
        secret_expires_at=registration.expires_at,
        allows_guests=not sso.refuses_guests,
        links_by_user_name=sso.links_by_user_name,
        session_hours=int(sso.session_hours),
    )
    if not _name_break_glass(account, sso, wanted, answer):
        return
    if found.domain:
        answer.done.append(("sso-domain", {"domain": found.domain, "tenant": found.tenant_id}))
    before = versions()
    if providers.weaken(state.session, records, key, wanted, by=forms.actor()):
        if wanted.mode is Mode.OFF:
            forms.log_event(account, log.Event.SSO_OFF)
            answer.done.append("sso-off")
            return
        is_pending = False
    else:
        row = providers.save(state.session, records, key, wanted, by=forms.actor())
        is_pending = row.state == ProviderState.PENDING
    if versions() == before:
        return
    detail = f"{wanted.tenant_id} ({wanted.cloud}), {wanted.mode}"
    if wanted.client_id is not None:
        detail += f", app registration {wanted.client_id}"
        if sso.client_secret:
            detail += " with the secret entered now"
    forms.log_event(account, log.Event.SSO_SAVED, detail=detail)
    answer.done.append("sso-pending" if is_pending else "sso-saved")


def _name_break_glass(
    account: Any, sso: SSOForm, wanted: providers.Settings, answer: Saved
) -> bool:
    """Store who the break-glass owners are. Says whether the settings can be stored as well,
    which may be that Microsoft is required of everybody else."""
    state = get_state()
    owners = require.break_glass_owners(account)
    is_changed = sso.break_glass is not None and (
        require.names_in(sso.break_glass) != [require.name_of(user) for user in owners]
    )
    if is_changed:
        try:
            owners = require.find_break_glass(account, require.names_in(sso.break_glass or ""))
        except ValueError as wrong:
            answer.problems["break_glass"] = str(wrong)
            return False
    rows = providers.load(state.session, state.scim.records, state.scim.account_key(account))
    begins = False
    if wanted.mode is Mode.REQUIRE:
        answer.problems |= require.obstacles(account, wanted, owners)
        begins = all(row is None or row.mode != Mode.REQUIRE for row in rows)
    in_force = rows[0]
    is_another_door = (
        in_force is not None
        and in_force.mode_at(now()) is not Mode.OFF
        and replace(providers.Settings.of(in_force), mode=in_force.mode_at(now())).door
        != wanted.door
    )
    # All of them open a door or close one.
    answer.must_sign_in = (begins or is_changed or is_another_door) and not forms.login_is_recent()
    if answer.problems or answer.must_sign_in:
        return False
    try:
        if is_changed and require.name_break_glass(account, owners, by=forms.actor()):
            answer.done.append("break-glass")
    except ValueError as wrong:
        answer.problems["break_glass"] = str(wrong)
    return not answer.problems


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
