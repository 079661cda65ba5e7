"""What makes one request findable later: its own id, Microsoft's id of it, and how long it
took."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

from flask import Blueprint, Response, request

from ..records import log
from ..records.request_ids import new_id

HEADER = "X-Request-Id"

_TRACE = "h5mag_scim.trace"
#: What Microsoft Entra sends: "5.0" once, today a text with the id that its own log has.
_MICROSOFTS = "ADSCIMVersion"
_ACTIVITY = re.compile(r"\bActivityId:\s*([\w-]{1,100})", re.IGNORECASE | re.ASCII)
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


@dataclass(frozen=True)
class Trace:
    """One HTTP request."""

    id: str
    #: On the clock that only goes forwards.
    began: float


def follow(blueprint: Blueprint) -> None:
    """Give each request to a blueprint an id, and each answer the header that says it."""
    blueprint.before_request(_begin)
    blueprint.after_request(_say)


def current() -> Trace:
    """The current request's trace."""
    # Not in flask.g, which requests can share in tests; and no client reaches it.
    found = request.environ.get(_TRACE)
    if not isinstance(found, Trace):
        found = request.environ[_TRACE] = Trace(new_id(), time.monotonic())
    return found


def correlation_id() -> str | None:
    """What Microsoft Entra calls the current request; ``None`` where it does not say. The
    text is the client's."""
    sent = request.headers.get(_MICROSOFTS, "")[:1000]
    activity = _ACTIVITY.search(sent)
    text = activity[1] if activity else _UNPRINTABLE.sub(" ", sent)
    return text.strip()[:255] or None


def request_facts(fingerprint: str | None, address: str | None = None) -> log.Request:
    """What an entry of the log says of the current request.

    :param fingerprint: of the credential that came with it.
    :param address: as it may be shown.
    """
    trace = current()
    return log.Request(
        request_id=trace.id,
        correlation_id=correlation_id(),
        fingerprint=fingerprint,
        address=address,
        duration=round((time.monotonic() - trace.began) * 1000),
    )


def _begin() -> None:
    current()


def _say(response: Response) -> Response:
    response.headers[HEADER] = current().id
    return response
