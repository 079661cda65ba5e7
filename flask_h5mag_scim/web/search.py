"""Lists and searches (RFC 7644 §3.4.2)."""

from __future__ import annotations

from ..protocol import entra, messages
from .exchange import Answer, Exchange, present


def by_address(exchange: Exchange) -> Answer:
    """A page of one resource type, asked for by the parameters of a GET."""
    query = messages.read_query(
        exchange.message.arguments, max_results=exchange.state.config.max_results
    )
    if query.filter is not None:
        query = messages.Query(entra.query_text(query.filter), query.start_index, query.count)
    page = exchange.resource.search(exchange.session, exchange.account_id, query)
    resources = present(exchange, page.rows, exchange.projection())
    body = messages.list_response(resources, total=page.total, start_index=query.start_index)
    return Answer(200, body)
