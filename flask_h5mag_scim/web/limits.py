"""How often one address may sign in, and how often one browser is sent to Microsoft."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from flask import session

#: Addresses that are remembered. Who has more of them than this is not stopped by counting.
MAX_ADDRESSES = 10_000
#: After this many departures for Microsoft within this many seconds the browser waits for a
#: click: by themselves pages go in circles, people do not.
MAX_DEPARTURES = 3
DEPARTURES_WITHIN = 120

_MINUTE = 60 * 10**9
_DEPARTURES = "_h5mag_scim_sso_departures"


class RateLimit:
    """At most ``per_minute`` in a row for each key, and after that as many in each minute.

    Kept in this process: every worker counts for itself. Of each key only the moment is
    remembered up to which its share is used (the generic cell rate algorithm, in
    nanoseconds, which add up without rounding); the keys unused for longest go first.
    """

    def __init__(
        self,
        per_minute: int,
        *,
        size: int = MAX_ADDRESSES,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._interval = _MINUTE // per_minute
        self._at_once = self._interval * per_minute
        self._size = size
        self._clock = clock
        self._lock = threading.Lock()
        self._used_up_to: OrderedDict[str, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._used_up_to)

    def wait(self, key: str) -> int:
        """0, and this time counts; or the whole seconds after which ``key`` may come again."""
        now = self._clock()
        with self._lock:
            used = max(self._used_up_to.get(key, now), now) + self._interval
            too_early = used - now - self._at_once
            if too_early > 0:
                return math.ceil(too_early / 10**9)
            self._used_up_to[key] = used
            self._used_up_to.move_to_end(key)
            if len(self._used_up_to) > self._size:
                self._used_up_to.popitem(last=False)
        return 0


def subscriber(address: str | None) -> str | None:
    """Whom an address belongs to: itself, or of IPv6 the /64, which is handed out as a whole.

    ``None`` where nothing is known, as behind a Unix socket: then everybody would share one
    limit, and one could shut out all.
    """
    try:
        ip = ip_address(address or "")
    except ValueError:
        return None
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return f"{IPv6Address(int(ip) >> 64 << 64)}/64"
    return str(ip)


def departures() -> list[int]:
    """When this browser was sent to Microsoft without a click, in the last two minutes."""
    now = int(time.time())
    return [at for at in session.get(_DEPARTURES, ()) if 0 <= now - at < DEPARTURES_WITHIN]


def goes_in_circles() -> bool:
    """Whether this browser has been sent to Microsoft too often to be sent there again."""
    return len(departures()) >= MAX_DEPARTURES


def keep_departures(times: list[int]) -> None:
    """Store what :func:`departures` told; also in a session that has just been emptied."""
    if times:
        session[_DEPARTURES] = times[-MAX_DEPARTURES:]
    else:
        session.pop(_DEPARTURES, None)


def note_departure(*, clicked: bool) -> None:
    """Count that the browser leaves for Microsoft; a click begins the count anew."""
    keep_departures([] if clicked else [*departures(), int(time.time())])
