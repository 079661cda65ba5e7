"""GET, POST, PUT, PATCH and DELETE of one resource, the same for users and groups
(RFC 7644 §3)."""

from __future__ import annotations

from typing import Any

from ..protocol import entra, messages, patch
from ..protocol.errors import Forbidden, PreconditionFailed
from ..protocol.versions import matches
from ..provisioning.groups import GroupResource
from ..provisioning.resources import Change
from ..provisioning.users import UserResource
from ..reasons import Reason
from ..records import break_glass, links, locks, versions
from . import bearer, brake, journal
from .exchange import Answer, Exchange, View, presented, tag_of


def read(exchange: Exchange) -> Answer:
    """One resource (§3.4.1); 304 when the client has it already (§3.14)."""
    row = exchange.resource.read(exchange.session, exchange.account_id, exchange.id)
    document = exchange.resource.map.document(row)
    tag = tag_of(exchange, row, document)
    known = exchange.message.if_none_match
    if known is not None and matches(known, tag):
        return Answer(304, tag=tag)
    body = presented(exchange, [row], [document], [tag], exchange.projection())[0]
    return Answer(200, body, tag=tag)


def create(exchange: Exchange) -> Answer:
    """A new resource (§3.3)."""
    body = entra.resource(exchange.message.body(), exchange.resource.table)
    locks.begin_write(exchange.session, exchange.resource.model)
    change = exchange.resource.create(
        exchange.session, exchange.caller.account, exchange.account_id, body
    )
    return _written(exchange, change, 201)


def replace(exchange: Exchange) -> Answer:
    """PUT (§3.5.1)."""
    body = entra.resource(exchange.message.body(), exchange.resource.table)
    obj, is_adopted = _held(exchange)
    change = exchange.resource.replace(exchange.session, exchange.account_id, obj, body)
    change.is_adopted = is_adopted
    return _written(exchange, change, 200)


def modify(exchange: Exchange) -> Answer:
    """PATCH (§3.5.2)."""
    resource = exchange.resource
    raw = entra.patch(messages.patch_operations(exchange.message.body()), resource.table)
    operations = patch.parse(messages.checked_operations(raw), resource.table)
    obj, is_adopted = _held(exchange)
    change = resource.patch(exchange.session, exchange.account_id, obj, operations)
    change.is_adopted = is_adopted
    # RFC 7644 §3.5.2 allows 204; the members of a large group are nobody's wish.
    is_silent = isinstance(resource, GroupResource) and not exchange.projection().requested
    return _written(exchange, change, 204 if is_silent else 200)


def delete(exchange: Exchange) -> Answer:
    """DELETE (§3.6)."""
    resource, session = exchange.resource, exchange.session
    records = exchange.state.scim.records
    obj, is_adopted = _held(exchange, deleting=True)
    key = resource.key(obj)
    if isinstance(resource, UserResource):
        links.forget(session, records, key)
    for group, condition in resource.memberships(key):
        versions.raise_where(session, records, group, condition)
    change = resource.remove(session, obj)
    if isinstance(resource, UserResource):
        # After the account's own row, which keeps its last owner, like everywhere.
        brake.check(exchange, change.id, besides=0 if is_adopted else 1)
    if isinstance(resource, GroupResource):
        # After the members' rows, which others take first.
        versions.forget(session, records, key)
    journal.record(exchange, change, 204)
    return Answer(204, changes=[(exchange, change)])


def _held(exchange: Exchange, *, deleting: bool = False) -> tuple[Any, bool]:
    """The resource of the address as an entity, which nobody else changes from here on, and
    whether it is a user that was the application's own until now.

    :raises PreconditionFailed: when it is not the one that the client knows.
    :raises Forbidden: when the host keeps the user for itself.
    """
    resource, session = exchange.resource, exchange.session
    locks.begin_write(session, resource.model)
    obj = resource.get(session, exchange.account_id, exchange.id, deleting=deleting)
    _require_known(exchange, obj)
    if not isinstance(resource, UserResource):
        return obj, False
    scim = exchange.state.scim
    if links.is_provisioned(session, scim.records, exchange.account_id, resource.key(obj)):
        return obj, False
    key = resource.key(obj)
    if break_glass.is_named(session, scim.records, exchange.account_id, key):
        raise Forbidden(
            "This User is a break-glass owner of the account, the way in when Microsoft is not, "
            "and is not provisioned. Leave the person out of the scope of provisioning, or name "
            "another break-glass owner first.",
            reason=Reason.BREAK_GLASS,
        )
    if not scim.can_adopt(obj, exchange.caller.account):
        raise Forbidden(
            "This User was in the application before provisioning began, and the application "
            "keeps it for itself. Leave the person out of the scope of provisioning, or change "
            "them in the application.",
            reason=Reason.ADOPT,
        )
    return obj, True


def _require_known(exchange: Exchange, obj: Any) -> None:
    wanted, unwanted = exchange.message.if_match, exchange.message.if_none_match
    if wanted is None and unwanted is None:
        return
    tag = tag_of(exchange, obj, exchange.resource.map.document(obj))
    if (wanted is not None and not matches(wanted, tag)) or (
        unwanted is not None and matches(unwanted, tag)
    ):
        raise PreconditionFailed(
            f"This {exchange.resource.name} has changed since it was read: its version is now "
            f"{tag}. Read it again."
        )


def _written(exchange: Exchange, change: Change, status: int) -> Answer:
    """What is answered to a POST, PUT or PATCH, after what the extension itself keeps of it."""
    resource, session = exchange.resource, exchange.session
    records, key = exchange.state.scim.records, resource.key(change.obj)
    revision = None
    if isinstance(resource, UserResource):
        if change.is_adopted or change.kind == "created":
            by = exchange.caller.token
            if not links.mark(session, records, exchange.account_id, key, by=by):
                raise bearer.revoked(exchange.state, exchange.caller)
        if change.kind == "updated" and change.active is False:
            brake.check(exchange, change.id)
            # Who is restored must not find an old session alive.
            links.end_sessions(session, records, exchange.account_id, key)
    elif "members" in change.paths:
        revision = versions.raise_(session, records, key)
    elif change.kind == "created":
        revision = 0
    document = resource.map.document(change.obj)
    tag = tag_of(exchange, change.obj, document, revision=revision)
    body = None
    if status != 204 and exchange.message.wants_body:
        shown = presented(
            exchange,
            [change.obj],
            [document],
            [tag],
            exchange.projection(),
            new=change.kind == "created",
        )
        body = shown[0]
    journal.record(exchange, change, status)
    location = None if status == 204 else exchange.location(change.id)
    return Answer(status, body, location, tag, [(exchange, change)])


ITEM: dict[str, View] = {"GET": read, "PUT": replace, "PATCH": modify, "DELETE": delete}
