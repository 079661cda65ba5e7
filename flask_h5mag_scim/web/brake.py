"""The mass-deactivation brake: SCIM is refused, the admins are told, and one click releases it.

A refusal is 403 and never 429, upon which Microsoft Entra may put its whole job into
quarantine: everything else goes on, and who was refused is tried again by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask import Response, after_this_request, current_app, g
from werkzeug.wrappers import Response as BaseResponse

from ..protocol.errors import Forbidden
from ..reasons import Reason
from ..records import brake, log, warnings
from ..records.models import now
from ..records.warnings import Kind
from ..state import State, get_state
from ..texts import say, span
from . import forms
from .exchange import Exchange
from .frame import blueprint, require_writer, to_page
from .warnings import tell_of_brake

#: Name in ``g``: that the brake of this request's account engages at its end.
_ENGAGES = "_h5mag_scim_brake_engages"


class HeldBack(Forbidden):
    """One more user may not leave now."""

    default_detail = (
        "Many users of this account were deactivated or deleted within an hour, so that the "
        "application holds back the rest: this User was neither deactivated nor deleted. If all "
        "of them are meant to leave, an owner or admin of the account releases the brake in "
        "Account → Provisioning & SSO; Microsoft Entra then tries again by itself. Everything "
        "else goes on."
    )
    reason = Reason.BRAKE


def limits(state: State) -> brake.Limits:
    """When the brake engages, as the host has configured it."""
    return brake.Limits(state.config.brake_users, state.config.brake_percent)


# -- SCIM ----------------------------------------------------------------------------------


def check(exchange: Exchange, user_id: str, *, besides: int = 0) -> None:
    """Let a user leave whom SCIM is deactivating or deleting in this transaction.

    :param besides: as :func:`.brake.may_leave` has it.
    :raises HeldBack: when too many have left within the hour.
    """
    state, account_id = exchange.state, exchange.account_id
    if not state.config.has_brake:
        return
    records, wanted = state.scim.records, limits(state)
    if brake.may_leave(state.session, records, account_id, user_id, wanted, besides=besides):
        return
    if _ENGAGES not in g:
        # Not here: what this transaction has written will be taken back.
        setattr(g, _ENGAGES, True)

        @after_this_request
        def engage(response: Response) -> Response:
            g.pop(_ENGAGES, None)
            _engage(state, exchange.caller.account, account_id)
            return response

    raise HeldBack


def _engage(state: State, account: Any, account_id: Any) -> None:
    """Let the brake hold until somebody releases it, and tell the admins. Commits.

    Two requests may find at once that it has to, and a bulk request may fail after it: one
    engages it, if as many have left as may.
    """
    session, records = state.session, state.scim.records
    try:
        session.rollback()
        if not brake.engage(session, records, account_id, limits(state)):
            session.rollback()
            return
        log.record(session, records, account_id, log.Event.BRAKE_ENGAGED, detail=limit(state))
        session.commit()
        tell_of_brake(account)
    except sa.exc.SQLAlchemyError:
        # The next one who may not leave engages it.
        session.rollback()
        current_app.logger.exception("SCIM: the brake could not engage")


# -- the page ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Brake:
    """What the page says of a brake that is engaged, or was released a short while ago."""

    #: ``None`` while it is released.
    engaged_at: datetime | None
    released_until: datetime | None
    released_by: str
    #: After how many it engages, in words.
    limit: str
    #: How many users it has kept from leaving.
    held_back: str
    #: Whether that is anybody.
    holds_somebody: bool
    #: For how long a release holds, in words.
    release: str


def context(account: Any) -> Brake | None:
    """What the page says of the brake of ``account``; ``None`` while there is nothing to say.
    One statement, and one more while it is engaged."""
    state = get_state()
    if not state.config.has_brake:
        return None
    session, records, key = state.session, state.scim.records, state.scim.account_key(account)
    known = brake.standing(session, records, key)
    count = 0
    if known.braked_at is not None:
        count = brake.held_back(session, records, key, known.braked_at)
    elif not known.is_released(now()):
        return None
    return Brake(
        engaged_at=known.braked_at,
        released_until=known.released_until,
        released_by=known.released_by or "",
        limit=limit(state),
        held_back=held_back_text(count),
        holds_somebody=count > 0,
        release=span(brake.RELEASE),
    )


@blueprint.post("/brake/release")
def release_brake() -> BaseResponse:
    """Let everything pass for a day: it opens the door for whatever was held back."""
    account = require_writer()
    forms.require_recent_login()
    state = get_state()
    if release(account, by=forms.actor()) is None:
        return to_page("brake-not-engaged")
    state.session.commit()
    return to_page("brake-released")


@blueprint.get("/brake/release")
def no_brake_to_see() -> BaseResponse:
    """Where the form was posted to, typed or reloaded: the page."""
    return to_page()


def release(account: Any, *, by: str) -> datetime | None:
    """Release the brake of ``account``, as :func:`.brake.release` does, with an entry in its
    log. Does not commit."""
    state = get_state()
    session, records, key = state.session, state.scim.records, state.scim.account_key(account)
    until = brake.release(session, records, key, by=by)
    if until is not None:
        # The next time is another one to tell of.
        warnings.forget(session, records, key, [Kind.BRAKE_ENGAGED])
        log.record(session, records, key, log.Event.BRAKE_RELEASED, actor=by)
    return until


def limit(state: State) -> str:
    """After how many the brake engages, in words."""
    users, percent = state.config.brake_users, state.config.brake_percent
    parts = []
    if users is not None:
        parts.append(say("brake.limit.user") if users == 1 else say("brake.limit.users", n=users))
    if percent is not None:
        parts.append(say("brake.limit.percent", n=f"{percent:g}", spared=brake.SPARED))
    return say("brake.limit.hour", limit=say("brake.limit.or").join(parts))


def held_back_text(count: int) -> str:
    """How many users the brake has kept from leaving, in words."""
    if count == 0:
        return say("brake.held.none")
    return say("brake.held.one") if count == 1 else say("brake.held", n=f"{count:,}")
