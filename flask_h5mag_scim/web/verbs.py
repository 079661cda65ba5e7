"""GET, POST, PUT, PATCH and DELETE of one resource, the same for users and groups
(RFC 7644 §3)."""

from __future__ import annotations

from typing import Any

from ..protocol import entra, messages, patch
from ..provisioning.groups import GroupResource
from ..provisioning.resources import Change
from ..provisioning.users import UserResource
from ..records import links, locks
from .exchange import Answer, Exchange, View, present


def read(exchange: Exchange) -> Answer:
    """One resource (§3.4.1)."""
    row = exchange.resource.read(exchange.session, exchange.account_id, exchange.id)
    return Answer(200, present(exchange, [row], exchange.projection())[0])


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
    obj = _held(exchange)
    change = exchange.resource.replace(exchange.session, exchange.account_id, obj, body)
    return _written(exchange, change, 200)


def modify(exchange: Exchange) -> Answer:
    """PATCH (§3.5.2)."""
    resource = exchange.resource
    raw = entra.patch(messages.patch_operations(exchange.message.body()), resource.table)
    operations = patch.parse(messages.checked_operations(raw), resource.table)
    obj = _held(exchange)
    change = resource.patch(exchange.session, exchange.account_id, obj, operations)
    if isinstance(resource, GroupResource) and not exchange.projection().requested:
        # RFC 7644 §3.5.2 allows 204; the members of a large group are nobody's wish.
        return Answer(204, change=change)
    return _written(exchange, change, 200)


def delete(exchange: Exchange) -> Answer:
    """DELETE (§3.6)."""
    resource = exchange.resource
    obj = _held(exchange)
    if isinstance(resource, UserResource):
        links.forget(exchange.session, exchange.state.scim.records, resource.key(obj))
    change = resource.remove(exchange.session, obj)
    return Answer(204, change=change)


def _held(exchange: Exchange) -> Any:
    """The resource of the address as an entity, which nobody else changes from here on."""
    locks.begin_write(exchange.session, exchange.resource.model)
    return exchange.resource.get(exchange.session, exchange.account_id, exchange.id)


def _written(exchange: Exchange, change: Change, status: int) -> Answer:
    body = present(exchange, [change.obj], exchange.projection(), new=status == 201)[0]
    location = f"{exchange.state.provisioning_url}/{exchange.resource.endpoint}/{change.id}"
    return Answer(status, body, location, change)


ITEM: dict[str, View] = {"GET": read, "PUT": replace, "PATCH": modify, "DELETE": delete}
