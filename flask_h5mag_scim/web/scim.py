"""The SCIM routes: a table, one unit of work around it, and SCIM errors for everything."""

from __future__ import annotations

import sqlalchemy as sa
from flask import Blueprint, Flask, Response, current_app, request
from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
from werkzeug.routing import BaseConverter

from ..protocol import messages
from ..protocol.errors import (
    Conflict,
    InternalError,
    MethodNotAllowed,
    NotFound,
    OtherHTTPError,
    SCIMError,
    TooLarge,
    Unavailable,
)
from ..protocol.schemas import refusal
from ..provisioning.resources import Resource
from ..state import State, get_state
from . import bearer, discovery, journal, search, verbs
from .exchange import MAX_BODY, MEDIA_TYPE, Answer, Exchange, Message, View, http_message

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
        view, exchange = _route(path, http_message(), state, caller)
        answer = view(exchange)
        if answer.change is not None:
            journal.record(exchange, answer.change, answer.status)
            state.session.commit()
    except Exception as cause:
        state.session.rollback()
        error = _as_scim_error(cause)
        journal.record_refusal(state, caller, exchange, error)
        return _response(Answer(error.status, error.body()), error.headers())
    journal.touch(state, caller)
    if answer.change is not None:
        journal.tell(exchange, answer.change)
        # What a receiver wrote and did not commit is not kept by chance.
        state.session.rollback()
    headers = {"Location": answer.location} if answer.location else {}
    return _response(answer, headers)


# The table of addresses

_COLLECTION: dict[str, View] = {"GET": search.by_address, "POST": verbs.create}


def _route(
    path: str, message: Message, state: State, caller: bearer.Caller
) -> tuple[View, Exchange]:
    """The view for an address and a verb. Names of endpoints ignore case, as Microsoft's own
    collection of requests does; so do doubled and trailing slashes not matter."""
    name, _, id = path.strip("/").partition("/")
    id = id.strip("/")
    views: dict[str, View] | None = discovery.VIEWS.get(name.lower())
    resource: Resource = state.scim.user
    is_about_resources = False
    for one in (state.scim.user, state.scim.group):
        if name.lower() == one.endpoint.lower():
            views = verbs.ITEM if id else _COLLECTION
            resource, is_about_resources = one, True
    if views is None or "/" in id:
        place = repr(path[:100])
        raise NotFound(
            f"There is nothing at {place}. The provisioning URL is followed by /Users, "
            "/Groups, /Schemas, /ResourceTypes or /ServiceProviderConfig.",
            values=[place],
        )
    method = "GET" if message.method == "HEAD" else message.method
    if method not in views:
        raise MethodNotAllowed(message.method, list(views))
    return views[method], Exchange(state, caller, message, resource, id, is_about_resources)


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


# What happens before or outside of the view: a host's own before_request, for example.


@blueprint.errorhandler(Exception)
def _outside(cause: Exception) -> Response:
    error = _as_scim_error(cause)
    return _response(Answer(error.status, error.body()), error.headers())
