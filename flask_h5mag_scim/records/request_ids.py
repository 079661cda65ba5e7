"""The ids of HTTP requests, by which entries of the log are found."""

from __future__ import annotations

import os
import time
import uuid
from datetime import UTC, datetime

#: Milliseconds in the 48 bits with which an id begins.
_MAX_TIME = 1 << 48
#: How many seconds the clock of another machine may be ahead.
_AHEAD = 3600


def new_id() -> str:
    """An id of version 7 (RFC 9562 §5.7): it begins with the time, so that ids sort by it."""
    at = time.time_ns() // 1_000_000 % _MAX_TIME
    chance = int.from_bytes(os.urandom(10)) & ~(0xF000 << 64 | 0xC000 << 48)
    return str(uuid.UUID(int=at << 80 | chance | 0x7000 << 64 | 0x8000 << 48))


def time_of(request_id: str) -> datetime | None:
    """When a request arrived, by its id; ``None`` for what is no id of a request."""
    try:
        found = uuid.UUID(request_id)
        if found.version != 7 or str(found) != request_id.lower():
            return None
    except ValueError:
        return None
    at = found.int >> 80
    is_future = at / 1000 > time.time() + _AHEAD
    return None if is_future else datetime.fromtimestamp(at / 1000, UTC)
