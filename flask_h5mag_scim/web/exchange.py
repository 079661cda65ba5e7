"""One message to one SCIM address, and what is answered."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

import sqlalchemy as sa
from flask import request

from ..protocol import masks, messages
from ..protocol.errors import UnsupportedMediaType
from ..protocol.projection import Projection
from ..protocol.versions import entity_tag
from ..provisioning.groups import GroupResource
from ..provisioning.resources import REVISION, Change, Reference, Resource
from ..records import versions
from ..state import State
from . import bearer

#: Thousands of members fit; a body beyond it is not a SCIM request.
MAX_BODY = 4 * 1024 * 1024
#: How many operations a bulk request may have: it holds the rows that it writes to its end.
MAX_OPERATIONS = 1000
MEDIA_TYPE = "application/scim+json"


@dataclass(frozen=True)
class Message:
    """What was sent: an HTTP request, or one operation of a bulk request."""

    method: str
    #: The parameters of the address.
    arguments: Mapping[str, str]
    #: Reads the body; raises what is wrong with it.
    body: Callable[[], dict[str, Any]]
    #: The entity tags on which the client makes it depend (RFC 7644 §3.14).
    if_match: str | None = None
    if_none_match: str | None = None
    #: Whether the answer to a write shows the resource.
    wants_body: bool = True
    #: Below the provisioning URL, without the parameters.
    address: str = ""


def http_message(address: str) -> Message:
    """The current request. Its body may be read more than once, and is parsed once."""
    return Message(
        request.method,
        request.args,
        cache(_http_body),
        request.headers.get("If-Match"),
        request.headers.get("If-None-Match"),
        address=address,
    )


def _http_body() -> dict[str, Any]:
    if request.mimetype not in ("", MEDIA_TYPE, "application/json"):
        sent = repr(request.mimetype[:80])
        raise UnsupportedMediaType(f"Send the body as {MEDIA_TYPE}, not as {sent}.", values=[sent])
    return messages.read_object(request.get_data())


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

    def projection(self) -> Projection:
        """What the answer shows."""
        arguments = self.message.arguments
        return Projection(
            self.resource.table, arguments.get("attributes"), arguments.get("excludedAttributes")
        )

    def location(self, id: str) -> str:
        """The address of a resource."""
        return f"{self.state.provisioning_url}/{self.resource.endpoint}/{id}"


@dataclass(frozen=True)
class Answer:
    """What a view says."""

    status: int
    body: dict[str, Any] | None = None
    location: str | None = None
    #: The entity tag of the resource that was read or written.
    tag: str | None = None
    #: What was written, with whom it was about: more than one thing in a bulk request.
    changes: Sequence[tuple[Exchange, Change]] = ()


View = Callable[[Exchange], Answer]


def locate(path: str, state: State) -> tuple[Resource | None, str]:
    """The resource type that an address below the SCIM prefix speaks of, ``None`` for another,
    and what follows. Names of endpoints ignore case, as Microsoft's own collection of requests
    does; so do doubled and trailing slashes not matter."""
    name, _, rest = path.strip("/").partition("/")
    for resource in (state.scim.user, state.scim.group):
        if name.lower() == resource.endpoint.lower():
            return resource, rest.strip("/")
    return None, rest.strip("/")


#: What an address may hold beside ids, and where else admins paste the provisioning URL.
_WORDS = frozenset(
    {
        "users",
        "groups",
        "me",
        "bulk",
        ".search",
        "schemas",
        "resourcetypes",
        "serviceproviderconfig",
        "scim",
        "v2",
    }
)
_PLAIN = {
    "startindex": re.compile(r"-?\d{1,10}"),
    "count": re.compile(r"-?\d{1,10}"),
    "sortorder": re.compile(r"(a|de)scending", re.IGNORECASE),
}
#: A path stands in bodies only.
_EXPRESSIONS = masks.EXPRESSIONS - {"path"}
_PARAMETER = re.compile(r"[A-Za-z]{1,30}")
#: How many parts and how many parameters of an address are shown.
_SHOWN = 6


def shown_address(message: Message, state: State) -> str:
    """A message's address for people who need not learn whom it looks for: words of SCIM, ids
    and names of attributes, and "…" for the rest."""
    resource, id = locate(message.address, state)
    has_id = resource is not None and resource.parse_id(id) is not None
    parts = [
        part if part.lower() in _WORDS or (has_id and part == id) else "…"
        for part in message.address.strip("/").split("/", _SHOWN)
        if part
    ]
    parameters = [
        f"{name if _PARAMETER.fullmatch(name) else '…'}={_shown_parameter(name.lower(), value)}"
        for name, value in islice(message.arguments.items(), _SHOWN)
    ]
    return "/" + "/".join(parts) + ("?" + "&".join(parameters) if parameters else "")


def _shown_parameter(name: str, value: str) -> str:
    if name in _EXPRESSIONS:
        return masks.expression(value, of=name)
    plain = _PLAIN.get(name)
    return value if not value or (plain and plain.fullmatch(value)) else "…"


def tag_of(
    exchange: Exchange,
    source: Any,
    document: Mapping[str, Any],
    *,
    revision: int | None = None,
) -> str:
    """The entity tag of an entity or row whose document is there already.

    :param revision: the revision of a group, where it is known already.
    """
    if isinstance(exchange.resource, GroupResource) and revision is None:
        if isinstance(source, sa.Row):
            revision = getattr(source, REVISION)
        else:
            key = exchange.resource.key(source)
            revision = versions.of(exchange.session, exchange.state.scim.records, key)
    return entity_tag(document, revision)


def present(
    exchange: Exchange, sources: Sequence[Any], projection: Projection
) -> list[dict[str, Any]]:
    """Entities or rows as resources; what refers to others is read once for all of them."""
    documents = exchange.resource.map.documents(sources)
    tags = None
    if projection.shows("meta"):
        tags = [
            tag_of(exchange, source, document)
            for source, document in zip(sources, documents, strict=True)
        ]
    return presented(exchange, sources, documents, tags, projection)


def presented(
    exchange: Exchange,
    sources: Sequence[Any],
    documents: Sequence[dict[str, Any]],
    tags: Sequence[str] | None,
    projection: Projection,
    *,
    new: bool = False,
) -> list[dict[str, Any]]:
    """:func:`present` for those whose documents and entity tags are there already.

    :param new: whether they were made just now, so that nothing refers to them yet.
    """
    resource = exchange.resource
    base = exchange.state.provisioning_url
    relation, related = resource.relation, {}
    keys = resource.keys_of(sources)
    if keys and projection.shows(relation) and not (new and relation == "groups"):
        related = resource.related_to(exchange.session, exchange.account_id, keys)
    # A page has a hundred of these, and a group thousands of members: what is the same for all
    # of them is said once.
    shown = []
    name, urn, place = resource.name, resource.table.urn, f"{base}/{resource.endpoint}/"
    for number, (key, document) in enumerate(zip(keys, documents, strict=True)):
        id = str(key)
        urns = [part for part in document if ":" in part and part.startswith("urn:")]
        result = {"schemas": [urn, *urns], "id": id, **document}
        if key in related:
            result[relation] = [_referred(one, base) for one in related[key]]
        meta = result["meta"] = {
            "resourceType": name,
            **document.get("meta", {}),
            "location": place + id,
        }
        if tags:
            meta["version"] = tags[number]
        shown.append(projection.apply(result))
    return shown


def _referred(one: Reference, base: str) -> dict[str, Any]:
    id, display, type, endpoint = one
    address = f"{base}/{endpoint}/{id}"
    if not display:
        return {"value": id, "$ref": address, "type": type}
    return {"value": id, "$ref": address, "display": display, "type": type}
