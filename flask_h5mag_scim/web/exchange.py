"""One message to one SCIM address, and what is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import request

from ..protocol import messages
from ..protocol.errors import UnsupportedMediaType
from ..protocol.projection import Projection
from ..provisioning.resources import Change, Resource
from ..state import State
from . import bearer

#: Thousands of members fit; a body beyond it is not a SCIM request.
MAX_BODY = 4 * 1024 * 1024
MEDIA_TYPE = "application/scim+json"


@dataclass(frozen=True)
class Message:
    """What was sent: an HTTP request, or one operation of a bulk request."""

    method: str
    #: The parameters of the address.
    arguments: Mapping[str, str]
    #: Reads the body; raises what is wrong with it.
    body: Callable[[], dict[str, Any]]


def http_message() -> Message:
    """The current request."""
    return Message(request.method, request.args, _http_body)


def _http_body() -> dict[str, Any]:
    if request.mimetype not in ("", MEDIA_TYPE, "application/json"):
        sent = repr(request.mimetype[:80])
        raise UnsupportedMediaType(f"Send the body as {MEDIA_TYPE}, not as {sent}.", values=[sent])
    return messages.read_object(request.get_data(cache=False))


@dataclass(frozen=True)
class Exchange:
    """One message and what its address means."""

    state: State
    caller: bearer.Caller
    message: Message
    #: The resource type that is spoken of; of no matter for discovery.
    resource: Resource
    id: str
    #: Whether the address is that of a resource or a list of them.
    is_about_resources: bool = True

    @property
    def session(self) -> Any:
        return self.state.session

    @property
    def account_id(self) -> Any:
        return self.caller.account_id

    @property
    def is_id(self) -> bool:
        """Whether the address names a resource by what can be an id."""
        return self.resource.parse_id(self.id) is not None

    def projection(self) -> Projection:
        """What the answer shows."""
        arguments = self.message.arguments
        return Projection(
            self.resource.table, arguments.get("attributes"), arguments.get("excludedAttributes")
        )


@dataclass(frozen=True)
class Answer:
    """What a view says; ``change`` when it wrote something."""

    status: int
    body: dict[str, Any] | None = None
    location: str | None = None
    change: Change | None = None


View = Callable[[Exchange], Answer]


def present(
    exchange: Exchange, sources: Sequence[Any], projection: Projection, *, new: bool = False
) -> list[dict[str, Any]]:
    """Entities or rows as resources; what refers to others is read once for all of them.

    :param new: whether they were made just now, so that nothing refers to them yet.
    """
    resource = exchange.resource
    base = exchange.state.provisioning_url
    relation, related = resource.relation, {}
    if sources and projection.shows(relation) and not (new and relation == "groups"):
        keys = [resource.key(source) for source in sources]
        related = resource.related_to(exchange.session, exchange.account_id, keys)
    presented = []
    for source in sources:
        id = resource.id(source)
        document = resource.map.document(source)
        urns = [key for key in document if key.startswith("urn:")]
        result = {"schemas": [resource.table.urn, *urns], "id": id, **document}
        if found := related.get(resource.key(source)):
            result[relation] = [
                {
                    "value": one.id,
                    "$ref": f"{base}/{one.endpoint}/{one.id}",
                    **({"display": one.display} if one.display else {}),
                    "type": one.type,
                }
                for one in found
            ]
        result["meta"] = {
            "resourceType": resource.name,
            **document.get("meta", {}),
            "location": f"{base}/{resource.endpoint}/{id}",
        }
        presented.append(projection.apply(result))
    return presented
