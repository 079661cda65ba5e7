"""The danger zone of the page: pausing provisioning, and disconnecting Microsoft Entra."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from flask import abort, request
from werkzeug.wrappers import Response as BaseResponse

from .. import signals
from ..config import LogValues
from ..provisioning.resources import Change
from ..provisioning.users import LastOwner
from ..records import accounts, break_glass, federation, links, locks, log, providers, tokens
from ..records.models import Mode
from ..state import State, get_app, get_state
from ..texts import say
from . import forms, modes, people, require
from .failures import as_scim_error, is_given_up
from .frame import blueprint, render, require_writer, to_page

#: How many people one transaction deactivates.
BATCH = 200
#: How many people one request deactivates. More take longer than a browser, or what stands
#: before this server, waits; the page then asks to go on.
AT_ONCE = 2000
#: How often a batch is begun that the database gives up.
TRIES = 3
#: How many of those who stay active a page names.
SHOWN = 100

_ASK = f"{blueprint.name}.ask_disconnect"


class People(StrEnum):
    """What becomes of the people whom Microsoft Entra has provisioned."""

    STAY = "stay"
    DEACTIVATE = "deactivate"


class Why(StrEnum):
    """Why somebody is not deactivated."""

    #: It is the one who disconnects.
    YOU = "you"
    BREAK_GLASS = "break_glass"
    #: The host says so.
    PROTECTED = "protected"
    LAST_OWNER = "last_owner"
    #: The application did not accept it.
    FAILED = "failed"


@dataclass(frozen=True)
class Kept:
    """Somebody who stays active."""

    name: str
    why: Why
    #: What the application said.
    said: str = ""

    @property
    def reason(self) -> str:
        """Why, in words."""
        return " ".join(filter(None, [say(f"kept.{self.why}"), self.said]))


@dataclass
class Outcome:
    """What became of people."""

    deactivated: int = 0
    kept: list[Kept] = field(default_factory=list)
    #: How many were looked at.
    seen: int = 0

    def add(self, other: Outcome) -> None:
        """Count ``other``, too."""
        self.deactivated += other.deactivated
        self.kept += other.kept
        self.seen += other.seen


# -- what the routes do ------------------------------------------------------------------


@blueprint.get("/pause")
@blueprint.get("/resume")
def back_from_pause() -> BaseResponse:
    """Where a form was posted to, typed or reloaded: the page."""
    return to_page()


@blueprint.post("/pause")
def pause_provisioning() -> BaseResponse:
    """Let SCIM answer 503 until somebody resumes."""
    account = require_writer()
    return to_page("paused" if pause(account, by=forms.actor()) else "paused-before")


@blueprint.post("/resume")
def resume_provisioning() -> BaseResponse:
    """Let SCIM work again."""
    account = require_writer()
    return to_page("resumed" if resume(account, by=forms.actor()) else "resumed-before")


@blueprint.get("/disconnect")
def ask_disconnect() -> BaseResponse:
    """Say what stops, and ask what becomes of people."""
    return _disconnect_page(forms.require_manager())


@blueprint.post("/disconnect")
def disconnect() -> BaseResponse:
    """Revoke what opens the account's SCIM, and do with people what was chosen."""
    account = require_writer()
    forms.require_recent_login(_ASK)
    chosen = request.form.get("people", "")
    if chosen not in set(People):
        abort(400)
    state = get_state()
    by, key = forms.actor(), state.scim.account_key(account)
    myself = people.member(key)
    besides = None if myself is None else state.scim.user.key(myself)
    if not cut_off(account, People(chosen), by=by):
        return to_page("disconnected-before")
    if chosen == People.STAY:
        return to_page("disconnected")
    outcome = Outcome()
    for batch in deactivate(account, by=by, besides=besides):
        outcome.add(batch)
        if outcome.seen >= AT_ONCE:
            break
    if outcome.kept or links.count_provisioned(state.session, state.scim.records, key):
        return _disconnect_page(account, outcome)
    return to_page("disconnected", ("deactivated", {"count": str(outcome.deactivated)}))


def _disconnect_page(account: Any, outcome: Outcome | None = None) -> BaseResponse:
    """The question; after ``outcome`` what became of people, and the question for the rest."""
    state = get_state()
    session, records, key = state.session, state.scim.records, state.scim.account_key(account)
    serving = modes.serving(providers.in_force(session, records, key), account)
    return render(
        "disconnect.html",
        account,
        tokens=tokens.active(session, records, key),
        trusted=federation.active(session, records, key),
        count=links.count_provisioned(session, records, key),
        signs_in_by_microsoft=serving is not Mode.OFF,
        requires_microsoft=serving is Mode.REQUIRE,
        outcome=outcome,
        choices=list(People),
        shown=SHOWN,
    )


# -- what the shell does as well ---------------------------------------------------------


def pause(account: Any, *, by: str) -> bool:
    """Pause the provisioning of an account that is locked, and commit. Says whether this
    began it.

    :param by: who wants it, for the log and for those who ask SCIM in vain.
    """
    state = get_state()
    records, key = state.scim.records, state.scim.account_key(account)
    is_new = accounts.pause(state.session, records, key, by=by)
    if is_new:
        log.record(state.session, records, key, log.Event.PAUSED, actor=by)
    state.session.commit()
    return is_new


def resume(account: Any, *, by: str) -> bool:
    """End the pause of an account, and commit. Says whether there was one."""
    state = get_state()
    was_paused = _resume(state, state.scim.account_key(account), by)
    state.session.commit()
    return was_paused


def _resume(state: State, key: Any, by: str) -> bool:
    records = state.scim.records
    was_paused = accounts.resume(state.session, records, key)
    if was_paused:
        log.record(state.session, records, key, log.Event.RESUMED, actor=by)
    return was_paused


def cut_off(account: Any, chosen: People, *, by: str) -> bool:
    """Revoke whatever opens the SCIM of an account that is locked, end its pause, and commit.
    Says whether anything was connected.

    People who stay are the application's own from here on; :func:`deactivate` sees to others.

    :param by: who wants it, for the log.
    """
    state = get_state()
    session, records, key = state.session, state.scim.records, state.scim.account_key(account)

    def note(event: log.Event, detail: str | None = None) -> None:
        log.record(session, records, key, event, actor=by, detail=detail)

    revoked = tokens.active(session, records, key)
    for token in revoked:
        tokens.revoke(token)
        note(log.Event.TOKEN_REVOKED, token.called)
    had_draft = tokens.discard_drafts(session, records, key)
    if had_draft:
        note(log.Event.TOKEN_DISCARDED)
    trusted = federation.active(session, records, key)
    for credential in trusted:
        federation.revoke(credential)
        note(log.Event.OAUTH_TRUST_REVOKED, credential.called)
    was_paused = _resume(state, key, by)
    if chosen is People.STAY:
        count = links.let_go(session, records, key)
    else:
        count = links.count_provisioned(session, records, key)
    was_connected = bool(revoked or had_draft or trusted or was_paused or count)
    if was_connected:
        note(log.Event.DISCONNECTED, say(f"disconnected.{chosen}", count=count))
    session.commit()
    for token in revoked:
        signals.tell(signals.token_revoked, get_app(), account=account, token=token)
        # What a receiver wrote and did not commit is not kept by chance.
        session.rollback()
    return was_connected


def deactivate(account: Any, *, by: str, besides: Any = None) -> Iterator[Outcome]:
    """Deactivate everybody whom the account's SCIM has written, a batch at a time, each
    committed and told before it is yielded. Who was looked at, and stays, is the application's
    own from then on; so that it goes on with the rest when it is begun again.

    :param by: who wants it, for the log.
    :param besides: the key of a user who stays active.
    """
    state = get_state()
    key = state.scim.account_key(account)
    while True:
        outcome, left = _next_batch(state, account, key, by, besides)
        if not outcome.seen:
            return
        for user in left:
            signals.tell(
                signals.user_deprovisioned,
                get_app(),
                account=account,
                user=user,
                paths=("active",),
            )
            state.session.rollback()
        yield outcome


def _next_batch(
    state: State, account: Any, key: Any, by: str, besides: Any
) -> tuple[Outcome, list[Any]]:
    """:func:`_deactivate_some`, again where the database gave it up for a request of SCIM's
    that was still under way: of two that wait for each other."""
    for _ in range(TRIES - 1):
        try:
            return _deactivate_some(state, account, key, by, besides)
        except sa.exc.DBAPIError as cause:
            state.session.rollback()
            if not is_given_up(cause):
                raise
    return _deactivate_some(state, account, key, by, besides)


def _deactivate_some(
    state: State, account: Any, key: Any, by: str, besides: Any
) -> tuple[Outcome, list[Any]]:
    """One batch: what became of it, and whom a signal is due for."""
    scim, session = state.scim, state.session
    records, resource = scim.records, scim.user
    locks.begin_write(session, resource.model)
    keys = links.some_provisioned(session, records, key, limit=BATCH)
    outcome, left = Outcome(seen=len(keys)), []
    named = set(break_glass.named(session, records, key)) if keys else set()
    keeps_values = state.config.log_values is not LogValues.NONE
    changes = {"active": [True, False]} if keeps_values else None
    for user in resource.locked(session, key, keys) if keys else ():
        if not resource.is_active(user):
            continue
        name, unmoved = require.name_of(user), _unmoved(state, user, besides, named)
        done = Kept(name, unmoved) if unmoved else _deactivated(state, key, user, name)
        if isinstance(done, Kept):
            outcome.kept.append(done)
            people.note(key, user, log.Event.USER_KEPT, by=by, detail=done.reason)
        else:
            outcome.deactivated += 1
            left.append(user)
            people.note(
                key, user, log.Event.USER_DEACTIVATED, by=by, paths=done.paths, changes=changes
            )
    if left:
        gone = [resource.key(user) for user in left]
        # Who is restored must not find an old session alive.
        links.end_sessions_of(session, records, key, gone)
    if keys:
        links.let_go(session, records, key, keys)
    session.commit()
    return outcome, left


def _unmoved(state: State, user: Any, besides: Any, named: Collection[Any]) -> Why | None:
    """Why a user is not even tried; ``None`` for most."""
    key = state.scim.user.key(user)
    if key == besides:
        return Why.YOU
    if key in named:
        return Why.BREAK_GLASS
    return Why.PROTECTED if state.scim.is_protected(user) else None


def _deactivated(state: State, key: Any, user: Any, name: str) -> Change | Kept:
    """What was done to one user, or why nothing was; the others are not hurt by it."""
    try:
        with state.session.begin_nested():
            return state.scim.user.deactivate(state.session, key, user)
    except LastOwner:
        return Kept(name, Why.LAST_OWNER)
    except sa.exc.OperationalError:
        raise  # the database itself: nothing of the batch is done
    except Exception as cause:
        return Kept(name, Why.FAILED, as_scim_error(cause).without_values())
