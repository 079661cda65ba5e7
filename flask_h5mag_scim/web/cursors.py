"""Cursors of RFC 9865: where a page ended, signed, and bound to whom it was shown to."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from flask import current_app
from itsdangerous import BadData, SignatureExpired, URLSafeTimedSerializer

from ..protocol.errors import ExpiredCursor, InvalidCount, InvalidCursor
from ..protocol.messages import Query
from ..provisioning.resources import Resource
from ..provisioning.search import Place

#: How long a client may take between two pages.
LIFETIME = timedelta(hours=1)


def write(place: Place, account_id: Any, resources: Sequence[Resource], query: Query) -> str:
    """The cursor of the page that begins at ``place``: characters that need no escape in an
    address (RFC 9865 §2)."""
    key = str(place.key)
    about = _about(account_id, resources, query)
    return str(_signer().dumps([about, query.count, place.type, key, _written(place.value)]))


def read(account_id: Any, resources: Sequence[Resource], query: Query) -> Place | None:
    """The place that a query's cursor stands for; ``None`` for the empty one of a first page.

    :raises InvalidCursor: for a cursor that was not given out for this query of this account,
        always in the same words.
    :raises ExpiredCursor: when the client has waited too long.
    :raises InvalidCount: when the page was to have another size: its count "must be identical
        to the count of the initial query" (§2.1).
    """
    if not query.cursor:
        return None
    try:
        found = _signer().loads(query.cursor, max_age=int(LIFETIME.total_seconds()))
    except SignatureExpired:
        raise ExpiredCursor from None
    except BadData:
        raise InvalidCursor from None
    about, count, type_, key, value = found
    if about != _about(account_id, resources, query):
        raise InvalidCursor
    if count != query.count:
        raise InvalidCount
    return Place(type_, resources[type_].parse_id(key), _read(value))


def _signer() -> URLSafeTimedSerializer:
    app = current_app
    keys = [*(app.config.get("SECRET_KEY_FALLBACKS") or ()), app.secret_key]
    return URLSafeTimedSerializer(
        keys,
        salt="h5mag_scim.cursor",
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )


def _about(account_id: Any, resources: Sequence[Resource], query: Query) -> str:
    names = [resource.name for resource in resources]
    asked = [str(account_id), names, query.filter, query.sort_by, query.descending]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:32]


def _written(value: Any) -> Any:
    match value:
        case datetime():
            return {"time": value.isoformat()}
        case uuid.UUID():
            return {"uuid": value.hex}
    return value


def _read(value: Any) -> Any:
    match value:
        case {"time": text}:
            return datetime.fromisoformat(text)
        case {"uuid": text}:
            return uuid.UUID(text)
    return value
