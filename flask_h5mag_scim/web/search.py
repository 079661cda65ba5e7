"""Lists and searches (RFC 7644 §3.4.2 and §3.4.3, RFC 9865)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..protocol import entra, messages
from ..provisioning.search import Page, Search, Stretch
from ..state import State
from . import cursors
from .exchange import Answer, Exchange, present


def by_address(exchange: Exchange) -> Answer:
    """A page of one resource type, asked for by the parameters of a GET."""
    return _listed(exchange, exchange.resource.lists)


def by_body(exchange: Exchange) -> Answer:
    """The same, asked for by a SearchRequest."""
    return by_address(_as_parameters(exchange))


def of_all_by_address(exchange: Exchange) -> Answer:
    """A page of all resource types together (§3.4.2.1)."""
    return _listed(exchange, _of_all(exchange.state))


def of_all_by_body(exchange: Exchange) -> Answer:
    """The same, asked for by a SearchRequest."""
    return of_all_by_address(_as_parameters(exchange))


def _as_parameters(exchange: Exchange) -> Exchange:
    arguments = messages.search_request(exchange.message.body())
    return replace(exchange, message=replace(exchange.message, arguments=arguments))


def _of_all(state: State) -> Search:
    # Kept, because its statements are.
    if "search" not in state.kept:
        state.kept["search"] = Search(state.scim.user, state.scim.group)
    found: Search = state.kept["search"]
    return found


def _listed(exchange: Exchange, search: Search) -> Answer:
    config = exchange.state.config
    query = messages.read_query(exchange.message.arguments, max_results=config.max_results)
    if query.filter is not None:
        query = replace(query, filter=entra.query_text(query.filter))
    session, account_id = exchange.session, exchange.account_id
    if query.cursor is None:
        page = search.page(session, account_id, query)
        shown = _presented(exchange, search, page)
        body = messages.list_response(shown, total=page.total, start_index=query.start_index)
        return Answer(200, body)
    place = cursors.read(account_id, search.resources, query)
    stretch = search.follow(session, account_id, query, place)
    following = None
    if stretch.end is not None:
        following = cursors.write(stretch.end, account_id, search.resources, query)
    shown = _presented(exchange, search, stretch)
    body = messages.list_response(
        shown, total=stretch.total, start_index=None, next_cursor=following
    )
    return Answer(200, body)


def _presented(exchange: Exchange, search: Search, found: Page | Stretch) -> list[dict[str, Any]]:
    """What was found, in its order; resources of one type together take as many statements as
    one of them."""
    shown = []
    for number, resource in enumerate(search.resources):
        about = replace(exchange, resource=resource)
        rows = [row for row, type_ in zip(found.rows, found.types, strict=True) if type_ == number]
        shown.append(iter(present(about, rows, about.projection()) if rows else []))
    return [next(shown[type_]) for type_ in found.types]
