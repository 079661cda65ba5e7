"""Cross-origin requests, for validators that run in a browser. The token comes in a header
that scripts of the allowed origins set; cookies play no part."""

from __future__ import annotations

from flask import Response, request

from ..config import Config

_ALLOWED = {
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match, If-None-Match",
    "Access-Control-Max-Age": "3600",
}
_EXPOSED = "ETag, Location, Retry-After, WWW-Authenticate, X-Request-Id"


def is_preflight() -> bool:
    """Whether the request only asks whether another may be made. It carries no token."""
    return request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers


def preflight(config: Config) -> Response:
    """The answer to a preflight request: for an origin that is not allowed, one without the
    headers that would let the browser go on."""
    response = Response(status=204, headers=_ALLOWED if _is_allowed(config) else None)
    del response.headers["Content-Type"]
    allow(response, config)
    return response


def allow(response: Response, config: Config) -> None:
    """Let scripts of the allowed origins read a response, errors too."""
    if not config.cors_origins:
        return
    response.vary.add("Origin")
    if _is_allowed(config):
        response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED


def _is_allowed(config: Config) -> bool:
    return request.headers.get("Origin") in config.cors_origins
