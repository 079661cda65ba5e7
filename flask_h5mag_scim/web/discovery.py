"""The views of ``/Schemas``, ``/ResourceTypes`` and ``/ServiceProviderConfig``."""

from __future__ import annotations

from typing import Any

from ..protocol import discovery, messages
from ..protocol.errors import Forbidden, NotFound
from . import cursors
from .exchange import MAX_BODY, MAX_OPERATIONS, Answer, Exchange, View


def _discovered(resources: list[dict[str, Any]], exchange: Exchange) -> Answer:
    if exchange.message.arguments.get("filter"):
        # RFC 7644 §4: "SHOULD respond with HTTP status code 403".
        raise Forbidden("This endpoint cannot be filtered.")
    if not exchange.id:
        return Answer(200, messages.list_response(resources, total=len(resources)))
    for resource in resources:
        if resource["id"].lower() == exchange.id.lower():
            return Answer(200, resource)
    name = repr(exchange.id[:200])
    raise NotFound(f"There is no {name} here.", values=[name])


def _schemas(exchange: Exchange) -> Answer:
    scim, base = exchange.state.scim, exchange.state.provisioning_url
    return _discovered(
        [
            schema
            for resource in (scim.user, scim.group)
            for schema in discovery.schemas(
                resource.table, resource.keeps, base, resource.canonical_values
            )
        ],
        exchange,
    )


def _resource_types(exchange: Exchange) -> Answer:
    scim, base = exchange.state.scim, exchange.state.provisioning_url
    return _discovered(
        [
            discovery.resource_type(
                resource.table, resource.endpoint, resource.kept_extensions(), base
            )
            for resource in (scim.user, scim.group)
        ],
        exchange,
    )


def _service_provider_config(exchange: Exchange) -> Answer:
    state = exchange.state
    config = discovery.service_provider_config(
        state.provisioning_url,
        max_results=state.config.max_results,
        cursor_lifetime=int(cursors.LIFETIME.total_seconds()),
        max_operations=MAX_OPERATIONS,
        max_payload=MAX_BODY,
    )
    if not exchange.id and not exchange.message.arguments.get("filter"):
        return Answer(200, config)
    # There is one, so that it has no id of its own; its schema's names it as well.
    return _discovered([{**config, "id": discovery.SERVICE_PROVIDER_CONFIG}], exchange)


#: By the address in lower case.
VIEWS: dict[str, dict[str, View]] = {
    "schemas": {"GET": _schemas},
    "resourcetypes": {"GET": _resource_types},
    "serviceproviderconfig": {"GET": _service_provider_config},
}
