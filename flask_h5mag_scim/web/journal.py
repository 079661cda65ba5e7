"""What is told of a request: the account's log, and signals to the host."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa
from flask import current_app, request
from werkzeug.exceptions import HTTPException

from .. import signals
from ..config import LogValues
from ..protocol import masks
from ..protocol.errors import SCIMError, Uniqueness
from ..provisioning.resources import Change, Resource
from ..provisioning.users import UserResource
from ..records import log, tokens
from ..records.log import Event
from ..state import State, get_app
from . import bearer, tracing
from .exchange import Exchange, Message, shown_address

#: Verbs that bring a body.
_WRITING = frozenset({"POST", "PUT", "PATCH"})
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,60}/[\w.+-]{1,60}", re.ASCII)

_EVENTS = {
    ("User", "created"): Event.USER_CREATED,
    ("User", "updated"): Event.USER_UPDATED,
    ("User", "deleted"): Event.USER_DELETED,
    ("Group", "created"): Event.GROUP_CREATED,
    ("Group", "updated"): Event.GROUP_UPDATED,
    ("Group", "deleted"): Event.GROUP_DELETED,
}


def record(exchange: Exchange, change: Change, status: int) -> None:
    """What was written, in the transaction that wrote it."""
    state, resource = exchange.state, exchange.resource
    event = _EVENTS[resource.name, change.kind]
    if change.active is not None and change.kind == "updated":
        event = Event.USER_REACTIVATED if change.active else Event.USER_DEACTIVATED
    events = [Event.USER_ADOPTED] if change.is_adopted else []
    if change.kind != "updated" or change.paths or change.ignored:
        events.append(event)
    if not events:
        return
    facts = _facts(state, exchange.caller, exchange.message)
    for event in events:
        is_change = event is not Event.USER_ADOPTED
        log.record(
            state.session,
            state.scim.records,
            exchange.account_id,
            event,
            actor=exchange.caller.actor,
            method=exchange.message.method,
            resource_type=resource.name,
            resource_id=change.id,
            status=status,
            # With "*", a path may be the client's own text.
            paths=[masks.name(path) for path in change.paths if is_change],
            ignored=[masks.name(path) for path in change.ignored if is_change],
            request=facts,
            changes=_before_and_after(state, change) if is_change else None,
            body=_body(state, exchange.message) if is_change else None,
        )


def _facts(state: State, caller: bearer.Caller, message: Message) -> log.Request:
    return tracing.request_facts(caller.token.fingerprint, shown_address(message, state))


def _before_and_after(state: State, change: Change) -> dict[str, list[Any]] | None:
    """What a change did to each attribute, as far as the host lets the log keep values."""
    if state.config.log_values is LogValues.NONE:
        return None
    hide = state.config.log_values is LogValues.MASKED
    # Ids say nothing of people, and entries are found by them.
    return masks.pairs(change.values, hide=hide) | change.members


def _body(state: State, message: Message) -> str | None:
    """What was sent, as far as the host lets the log keep values; of what is no JSON, only
    what it says it is and its length."""
    if state.config.log_values is LogValues.NONE or message.method not in _WRITING:
        return None
    try:
        sent = message.body()
    except (SCIMError, HTTPException):
        # What cannot be read cannot be masked either.
        kind = request.mimetype if _MEDIA_TYPE.fullmatch(request.mimetype) else "?"
        length = request.content_length
        return f"{kind}, {'?' if length is None else f'{length:,}'} bytes"
    if sent is None:
        return None
    return masks.body(sent, hide=state.config.log_values is LogValues.MASKED)


def record_refusal(
    state: State,
    caller: bearer.Caller | None,
    message: Message,
    exchange: Exchange | None,
    error: SCIMError,
) -> None:
    """A refusal in a transaction of its own. Without an account there is no log to write it
    to but the application's."""
    app = current_app
    if caller is None:
        app.logger.warning("SCIM: %s %s from %s", error.status, error.detail, request.remote_addr)
        return
    try:
        used = tokens.touch(state.session, state.scim.records, caller.token, request.remote_addr)
        # A token that opens nothing says so once a minute, however often it is tried.
        if used or caller.token.opens:
            about = exchange if exchange is not None and exchange.is_about_resources else None
            resource = about.resource if about else None
            id = about.id if about else ""
            # Of who is not let in, or speaks of nothing that is here, no body is read.
            reads = exchange is not None
            note_refusal(state, caller, message, resource, id, error, reads=reads)
        state.session.commit()
    except sa.exc.SQLAlchemyError as cause:
        state.session.rollback()
        # What people are called is no more for the application's log than for the account's.
        if isinstance(cause, sa.exc.StatementError):
            cause.hide_parameters = True
        app.logger.exception("SCIM: a refusal could not be logged: %s", error.without_values())


def note_refusal(
    state: State,
    caller: bearer.Caller,
    message: Message,
    resource: Resource | None,
    id: str,
    error: SCIMError,
    *,
    reads: bool = True,
) -> None:
    """An entry about a refusal, in the caller's transaction.

    :param reads: whether the entry shows the message's body.
    """
    # What is no id may be anything that somebody put into an address.
    is_id = resource is not None and resource.parse_id(id) is not None
    holder_id = error.holder_id if isinstance(error, Uniqueness) else None
    log.record(
        state.session,
        state.scim.records,
        caller.account_id,
        Event.REFUSED,
        actor=caller.actor,
        method=message.method,
        resource_type=resource.name if resource else None,
        resource_id=id if is_id else holder_id,
        holder_id=holder_id,
        status=error.status,
        scim_type=error.scim_type,
        reason=error.reason,
        detail=error.without_values(),
        paths=[path] if (path := error.safe_path()) else [],
        request=_facts(state, caller, message),
        body=_body(state, message) if reads else None,
    )


def touch(state: State, caller: bearer.Caller) -> None:
    """Note that the token was used, in a transaction of its own."""
    try:
        if tokens.touch(state.session, state.scim.records, caller.token, request.remote_addr):
            state.session.commit()
    except sa.exc.SQLAlchemyError:
        # The request itself is done; when the token was last used is only information.
        state.session.rollback()
        current_app.logger.exception("SCIM: the use of a token could not be noted")


def tell(exchange: Exchange, change: Change) -> None:
    """Send the signals of a change that is committed."""
    app = get_app()
    evidence = {"account": exchange.caller.account, "paths": tuple(change.paths)}
    if isinstance(exchange.resource, UserResource):
        told = []
        if change.kind == "created":
            told.append(signals.user_provisioned)
        elif change.kind == "updated" and change.paths:
            told.append(signals.user_updated)
        if change.kind == "deleted" or (change.kind == "updated" and change.active is False):
            told.append(signals.user_deprovisioned)
        for signal in told:
            signals.tell(signal, app, user=change.obj, **evidence)
        return
    group_signals = {
        "created": signals.group_provisioned,
        "updated": signals.group_updated,
        "deleted": signals.group_deprovisioned,
    }
    if change.paths or change.kind != "updated":
        signals.tell(group_signals[change.kind], app, group=change.obj, **evidence)
