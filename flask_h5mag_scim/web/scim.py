"""The SCIM routes: a table, one unit of work around it, and SCIM errors for everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, Flask, Response, current_app, request
from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.routing import BaseConverter

from .. import signals
from ..protocol import discovery, entra, messages, patch
from ..protocol.errors import (
    Conflict,
    Forbidden,
    InternalError,
    MethodNotAllowed,
    NotFound,
    OtherHTTPError,
    SCIMError,
    TooLarge,
    Unavailable,
    UnsupportedMediaType,
    without_literals,
)
from ..protocol.projection import Projection
from ..protocol.schemas import refusal
from ..provisioning.groups import GroupResource
from ..provisioning.resources import Change, Resource
from ..provisioning.users import UserResource
from ..records import links, locks, log, tokens
from ..records.log import Event
from ..records.models import TokenState
from ..state import State, get_app, get_state
from . import bearer

#: Thousands of members fit; a body beyond it is not a SCIM request.
MAX_BODY = 4 * 1024 * 1024
MEDIA_TYPE = "application/scim+json"

blueprint = Blueprint("h5mag_scim_api", __name__)


class AnyPath(BaseConverter):
    """Everything below the prefix, slashes and all: ``/Users/``, ``//Users``. SCIM clients
    are never sent elsewhere by a redirect."""

    regex = ".*?"
    part_isolating = False


def register(app: Flask, state: State) -> None:
    """Hang the SCIM routes in."""
    app.url_map.converters.setdefault("h5mag_scim_path", AnyPath)
    app.register_blueprint(blueprint, url_prefix=state.config.url_prefix)


@dataclass(frozen=True)
class Exchange:
    """One request and what its address means."""

    state: State
    caller: bearer.Caller
    #: The resource type that is spoken of; of no matter for discovery.
    resource: Resource
    id: str
    is_discovery: bool

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
        arguments = request.args
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

#: All of them arrive at the table of addresses, which refuses in SCIM's own words.
_VERBS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


@blueprint.route("", methods=_VERBS, provide_automatic_options=False)
@blueprint.route("/", methods=_VERBS, provide_automatic_options=False)
@blueprint.route("/<h5mag_scim_path:path>", methods=_VERBS, provide_automatic_options=False)
def endpoint(path: str = "") -> Response:
    """One request, one transaction: a change is committed with its log entry, and an error
    takes everything back and leaves an entry of its own."""
    state = get_state()
    request.max_content_length = MAX_BODY
    caller: bearer.Caller | None = None
    exchange: Exchange | None = None
    try:
        caller = bearer.identify(state)
        bearer.admit(state, caller)
        view, exchange = _route(path, state, caller)
        answer = view(exchange)
        if answer.change is not None:
            _record(exchange, answer.change, answer.status)
            state.session.commit()
    except Exception as cause:
        state.session.rollback()
        error = _as_scim_error(cause)
        _record_refusal(state, caller, exchange, error)
        return _response(Answer(error.status, error.body()), error.headers())
    _touch(state, caller)
    if answer.change is not None:
        _tell(exchange, answer.change)
        # What a receiver wrote and did not commit is not kept by chance.
        state.session.rollback()
    headers = {"Location": answer.location} if answer.location else {}
    return _response(answer, headers)


# The verbs


def _list(exchange: Exchange) -> Answer:
    arguments = request.args
    query = messages.read_query(arguments, max_results=exchange.state.config.max_results)
    if query.filter is not None:
        query = messages.Query(entra.filter_text(query.filter), query.start_index, query.count)
    page = exchange.resource.search(exchange.session, exchange.account_id, query)
    resources = _present(exchange, page.rows, exchange.projection())
    body = messages.list_response(resources, total=page.total, start_index=query.start_index)
    return Answer(200, body)


def _read(exchange: Exchange) -> Answer:
    row = exchange.resource.read(exchange.session, exchange.account_id, exchange.id)
    return Answer(200, _present(exchange, [row], exchange.projection())[0])


def _create(exchange: Exchange) -> Answer:
    body = entra.resource(_body(), exchange.resource.table)
    locks.begin_write(exchange.session, exchange.resource.model)
    change = exchange.resource.create(
        exchange.session, exchange.caller.account, exchange.account_id, body
    )
    return _written(exchange, change, 201)


def _replace(exchange: Exchange) -> Answer:
    body = entra.resource(_body(), exchange.resource.table)
    locks.begin_write(exchange.session, exchange.resource.model)
    change = exchange.resource.replace(exchange.session, exchange.account_id, exchange.id, body)
    return _written(exchange, change, 200)


def _patch(exchange: Exchange) -> Answer:
    resource = exchange.resource
    raw = entra.patch(messages.patch_operations(_body()), resource.table)
    operations = patch.parse(messages.checked_operations(raw), resource.table)
    locks.begin_write(exchange.session, exchange.resource.model)
    change = resource.patch(exchange.session, exchange.account_id, exchange.id, operations)
    if isinstance(resource, GroupResource) and not exchange.projection().requested:
        # RFC 7644 §3.5.2 allows 204; the members of a large group are nobody's wish.
        return Answer(204, change=change)
    return _written(exchange, change, 200)


def _delete(exchange: Exchange) -> Answer:
    locks.begin_write(exchange.session, exchange.resource.model)
    resource = exchange.resource
    obj = resource.get(exchange.session, exchange.account_id, exchange.id)
    if isinstance(resource, UserResource):
        links.forget(exchange.session, exchange.state.scim.records, resource.key(obj))
    change = resource.remove(exchange.session, obj)
    return Answer(204, change=change)


def _written(exchange: Exchange, change: Change, status: int) -> Answer:
    body = _present(exchange, [change.obj], exchange.projection(), new=status == 201)[0]
    location = f"{exchange.state.provisioning_url}/{exchange.resource.endpoint}/{change.id}"
    return Answer(status, body, location, change)


# Discovery


def _discovered(resources: list[dict[str, Any]], exchange: Exchange) -> Answer:
    if request.args.get("filter"):
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
            for schema in discovery.schemas(resource.table, resource.keeps, base)
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
        state.provisioning_url, max_results=state.config.max_results
    )
    if not exchange.id and not request.args.get("filter"):
        return Answer(200, config)
    # There is one, so that it has no id of its own; its schema's names it as well.
    return _discovered([{**config, "id": discovery.SERVICE_PROVIDER_CONFIG}], exchange)


# The table of addresses

_COLLECTION: dict[str, View] = {"GET": _list, "POST": _create}
_ITEM: dict[str, View] = {"GET": _read, "PUT": _replace, "PATCH": _patch, "DELETE": _delete}
_DISCOVERY: dict[str, dict[str, View]] = {
    "schemas": {"GET": _schemas},
    "resourcetypes": {"GET": _resource_types},
    "serviceproviderconfig": {"GET": _service_provider_config},
}


def _route(path: str, state: State, caller: bearer.Caller) -> tuple[View, Exchange]:
    """The view for an address and a verb. Names of endpoints ignore case, as Microsoft's own
    collection of requests does; so do doubled and trailing slashes not matter."""
    name, _, id = path.strip("/").partition("/")
    id = id.strip("/")
    resource: Resource = state.scim.user
    views: dict[str, View] | None = _DISCOVERY.get(name.lower())
    for one in (state.scim.user, state.scim.group):
        if name.lower() == one.endpoint.lower():
            resource, views = one, _ITEM if id else _COLLECTION
    if views is None or "/" in id:
        place = repr(path[:100])
        raise NotFound(
            f"There is nothing at {place}. The provisioning URL is followed by /Users, "
            "/Groups, /Schemas, /ResourceTypes or /ServiceProviderConfig.",
            values=[place],
        )
    method = "GET" if request.method == "HEAD" else request.method
    if method not in views:
        raise MethodNotAllowed(request.method, list(views))
    is_discovery = views not in (_ITEM, _COLLECTION)
    return views[method], Exchange(state, caller, resource, id, is_discovery)


# Bodies


def _body() -> dict[str, Any]:
    if request.mimetype not in ("", MEDIA_TYPE, "application/json"):
        sent = repr(request.mimetype[:80])
        raise UnsupportedMediaType(f"Send the body as {MEDIA_TYPE}, not as {sent}.", values=[sent])
    return messages.read_object(request.get_data(cache=False))


def _present(
    exchange: Exchange, sources: Sequence[Any], projection: Projection, *, new: bool = False
) -> list[dict[str, Any]]:
    """Entities or rows as resources; what refers to others is read once for all of them."""
    resource = exchange.resource
    base = exchange.state.provisioning_url
    relation, other, related = resource.relation, resource.other, {}
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
                    "value": key,
                    "$ref": f"{base}/{other.endpoint}/{key}",
                    **({"display": name} if name else {}),
                    "type": resource.relation_type,
                }
                for key, name in found
            ]
        result["meta"] = {
            "resourceType": resource.name,
            **document.get("meta", {}),
            "location": f"{base}/{resource.endpoint}/{id}",
        }
        presented.append(projection.apply(result))
    return presented


def _response(answer: Answer, headers: dict[str, str]) -> Response:
    body = b"" if answer.body is None else messages.write(answer.body)
    response = Response(body, status=answer.status, headers=headers)
    if answer.body is not None:
        response.content_type = MEDIA_TYPE
    else:
        del response.headers["Content-Type"]
    # Answers carry personal data and belong to one token.
    response.headers["Cache-Control"] = "no-store"
    return response


# The transaction


def _as_scim_error(cause: Exception) -> SCIMError:
    match cause:
        case SCIMError():
            return cause
        case ValidationError():
            return refusal(cause)
        case RequestEntityTooLarge():
            return TooLarge(f"The body is larger than {MAX_BODY // 1024 // 1024} MiB.")
        case HTTPException():
            return OtherHTTPError(cause.code or 500, cause.description or cause.name)
        case sa.exc.OperationalError() | sa.exc.TimeoutError():
            # Not its text: that has the statement with the values of people.
            reason = getattr(getattr(cause, "orig", None), "sqlstate", None)
            current_app.logger.warning(
                "SCIM: the database could not answer: %s %s", type(cause).__name__, reason or ""
            )
            return Unavailable()
        case sa.exc.IntegrityError():
            # A constraint that the database checks at the end of the transaction.
            return Conflict("The application does not accept this beside what it has already.")
        case sa.exc.StatementError():
            cause.hide_parameters = True
    current_app.logger.error("SCIM: internal error", exc_info=cause)
    return InternalError()


_EVENTS = {
    ("User", "created"): Event.USER_CREATED,
    ("User", "updated"): Event.USER_UPDATED,
    ("User", "deleted"): Event.USER_DELETED,
    ("Group", "created"): Event.GROUP_CREATED,
    ("Group", "updated"): Event.GROUP_UPDATED,
    ("Group", "deleted"): Event.GROUP_DELETED,
}


def _record(exchange: Exchange, change: Change, status: int) -> None:
    state, resource = exchange.state, exchange.resource
    event = _EVENTS[resource.name, change.kind]
    if isinstance(resource, UserResource):
        if change.active is not None and change.kind == "updated":
            event = Event.USER_REACTIVATED if change.active else Event.USER_DEACTIVATED
        if change.kind != "deleted":
            links.mark(
                state.session, state.scim.records, exchange.account_id, resource.key(change.obj)
            )
    if change.kind == "updated" and not (change.paths or change.ignored):
        return  # nothing was changed
    log.record(
        state.session,
        state.scim.records,
        exchange.account_id,
        event,
        actor=exchange.caller.actor,
        method=request.method,
        resource_type=resource.name,
        resource_id=change.id,
        status=status,
        # With "*", a path may be the client's own text.
        paths=[without_literals(path) for path in change.paths],
        ignored=[without_literals(path) for path in change.ignored],
    )


def _record_refusal(
    state: State, caller: bearer.Caller | None, exchange: Exchange | None, error: SCIMError
) -> None:
    """A refusal in a transaction of its own. Without an account there is no log to write it
    to but the application's."""
    app = current_app
    if caller is None:
        app.logger.warning("SCIM: %s %s from %s", error.status, error.detail, request.remote_addr)
        return
    try:
        used = tokens.touch(state.session, state.scim.records, caller.token, request.remote_addr)
        about = None if exchange is None or exchange.is_discovery else exchange
        # A token that is no longer good says so once a minute, however often it is tried.
        if used or caller.token.state is TokenState.ACTIVE:
            log.record(
                state.session,
                state.scim.records,
                caller.account_id,
                Event.REFUSED,
                actor=caller.actor,
                method=request.method,
                resource_type=about.resource.name if about else None,
                # What is no id may be anything that somebody put into an address.
                resource_id=about.id if about and about.is_id else None,
                status=error.status,
                scim_type=error.scim_type,
                detail=error.without_values(),
                paths=[path] if (path := error.safe_path()) else [],
            )
        state.session.commit()
    except sa.exc.SQLAlchemyError:
        state.session.rollback()
        app.logger.exception("SCIM: a refusal could not be logged: %s", error.detail)


def _touch(state: State, caller: bearer.Caller) -> None:
    try:
        if tokens.touch(state.session, state.scim.records, caller.token, request.remote_addr):
            state.session.commit()
    except sa.exc.SQLAlchemyError:
        # The request itself is done; when the token was last used is only information.
        state.session.rollback()
        current_app.logger.exception("SCIM: the use of a token could not be noted")


def _tell(exchange: Exchange, change: Change) -> None:
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


# What happens before or outside of the view: a host's own before_request, for example.


@blueprint.errorhandler(Exception)
def _outside(cause: Exception) -> Response:
    error = _as_scim_error(cause)
    return _response(Answer(error.status, error.body()), error.headers())
