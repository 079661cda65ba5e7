"""The SCIM routes: a table, one unit of work around it, and SCIM errors for everything."""

from __future__ import annotations

from flask import Blueprint, Flask, Response, request
from werkzeug.routing import BaseConverter

from ..protocol import messages
from ..protocol.errors import MethodNotAllowed, NotFound, NotImplementedHere, SCIMError
from ..state import State, get_state
from . import bearer, bulk, cors, discovery, journal, search, tracing, verbs
from .exchange import (
    MAX_BODY,
    MEDIA_TYPE,
    Answer,
    Exchange,
    Message,
    View,
    http_message,
    locate,
)
from .failures import as_scim_error, is_given_up

blueprint = Blueprint("h5mag_scim_api", __name__)
tracing.follow(blueprint)


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
_READING = frozenset({"GET", "HEAD"})
_VERBS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


@blueprint.route("", methods=_VERBS, provide_automatic_options=False)
@blueprint.route("/", methods=_VERBS, provide_automatic_options=False)
@blueprint.route("/<h5mag_scim_path:path>", methods=_VERBS, provide_automatic_options=False)
def endpoint(path: str = "") -> Response:
    """One request, one transaction: a change is committed with its log entry, and an error
    takes everything back and leaves an entry of its own."""
    state = get_state()
    if cors.is_preflight():
        return cors.preflight(state.config)
    request.max_content_length = MAX_BODY
    return _carry_out(path, state)


def _carry_out(path: str, state: State, *, can_repeat: bool = True) -> Response:
    message = http_message(path)
    caller: bearer.Caller | None = None
    exchange: Exchange | None = None
    error: SCIMError | None = None
    try:
        caller = bearer.identify(state)
        bearer.admit(state, caller)
        view, exchange = _route(path, message, state, caller)
        answer = view(exchange)
        if message.method not in _READING:
            state.session.commit()
    except Exception as cause:
        state.session.rollback()
        if not (can_repeat and is_given_up(cause)):
            error = as_scim_error(cause)
    else:
        journal.touch(state, caller)
        for about, change in answer.changes:
            journal.tell(about, change)
            # What a receiver wrote and did not commit is not kept by chance.
            state.session.rollback()
        return _response(answer)
    # Not while the cause is handled: what fails from here on would be told with its text, and
    # with the values in that.
    if error is None:
        # Of two requests that wait for each other the database gives one up. Nothing of it is
        # done, and a second time nothing is in its way.
        return _carry_out(path, state, can_repeat=False)
    journal.record_refusal(state, caller, message, exchange, error)
    return _response(Answer(error.status, error.body()), error.headers())


# The table of addresses

_COLLECTION: dict[str, View] = {"GET": search.by_address, "POST": verbs.create}
_SEARCH: dict[str, View] = {"POST": search.by_body}
_ROOT: dict[str, dict[str, View]] = {
    "": {"GET": search.of_all_by_address},
    ".search": {"POST": search.of_all_by_body},
}
_BULK: dict[str, View] = {"POST": bulk.bulk}


def _route(
    path: str, message: Message, state: State, caller: bearer.Caller
) -> tuple[View, Exchange]:
    """The view for an address and a verb."""
    resource, id = locate(path, state)
    name = path.strip("/").partition("/")[0].lower()
    views: dict[str, View] | None
    if resource is not None and id.lower() == ".search":
        views, id = _SEARCH, ""
    elif resource is not None:
        views = verbs.ITEM if id else _COLLECTION
    elif name in _ROOT and not id:
        views = _ROOT[name]
    elif name == "bulk" and not id:
        views = _BULK
    elif name == "me":
        raise NotImplementedHere(
            "A token of this server stands for an account and for no person, so that there is "
            "nobody at /Me (RFC 7644 §3.11)."
        )
    else:
        views = discovery.VIEWS.get(name)
    if views is None or "/" in id:
        place = repr(path[:100])
        raise NotFound(
            f"There is nothing at {place}. The provisioning URL is followed by /Users, "
            "/Groups, /.search, /Bulk, /Schemas, /ResourceTypes or /ServiceProviderConfig.",
            values=[place],
        )
    method = "GET" if message.method == "HEAD" else message.method
    if method not in views:
        raise MethodNotAllowed(message.method, list(views))
    about = resource or state.scim.user
    return views[method], Exchange(state, caller, message, about, id, resource is not None)


def _response(answer: Answer, headers: dict[str, str] | None = None) -> Response:
    # Answers carry personal data and belong to one token.
    said = {**(headers or {}), "Cache-Control": "no-store"}
    if answer.location is not None:
        said["Location"] = answer.location
    if answer.tag is not None:
        said["ETag"] = answer.tag
    if answer.body is not None:
        body = messages.write(answer.body)
        response = Response(body, status=answer.status, headers=said, content_type=MEDIA_TYPE)
    else:
        response = Response(status=answer.status, headers=said)
        del response.headers["Content-Type"]
    cors.allow(response, get_state().config)
    return response


# What happens before or outside of the view: a host's own before_request, for example.


@blueprint.errorhandler(Exception)
def _outside(cause: Exception) -> Response:
    error = as_scim_error(cause)
    return _response(Answer(error.status, error.body()), error.headers())
