"""Whom or what a search of the log means: a person, a group, a request or a token, by any of
the names that people have at hand."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from ..provisioning.resources import Resource
from ..records import federation, log, tokens
from ..records.request_ids import time_of
from ..state import get_state

#: How many users and groups one search is about.
MOST = 20
#: How long after its last use was noted a token's entries may still be written.
_AFTER = timedelta(minutes=15)

_FINGERPRINT = re.compile(r"[0-9a-f]{6}")
#: By which attributes people and groups are found; whether letters may be large or small.
_USER = (("userName", True), ('emails[type eq "work"].value', True), ("externalId", False))
_GROUP = (("displayName", True), ("externalId", False))


def narrowed(account_id: Any, query: log.Query, text: str) -> log.Query | None:
    """``query``, about what ``text`` names: a user by user name, e-mail address, id or external
    id, a group by display name, id or external id, a request by its id, a token by its
    fingerprint. ``None`` when nothing in this account is called so.
    """
    text = "".join(letter for letter in text if letter.isprintable()).strip()[:255]
    if not text:
        return None
    if _FINGERPRINT.fullmatch(text.lower()):
        by_token = _of_token(account_id, query, text.lower())
        if by_token is not None:
            return by_token
    if (by_request := _of_request(account_id, query, text)) is not None:
        return by_request
    ids = list(dict.fromkeys(_ids(account_id, text)))[:MOST]
    return replace(query, resource_ids=tuple(ids)) if ids else None


def _of_token(account_id: Any, query: log.Query, fingerprint: str) -> log.Query | None:
    """The entries of a token, sought no longer than it was in use."""
    state = get_state()
    session, records = state.session, state.scim.records
    known = [
        *tokens.listed(session, records, account_id),
        *federation.listed(session, records, account_id),
    ]
    if draft := tokens.draft(session, records, account_id):
        known.append(draft)
    found = [credential for credential in known if credential.fingerprint == fingerprint]
    if not found:
        return None
    since = min(one.created_at for one in found)
    until = max(one.last_used_at or one.created_at for one in found) + _AFTER
    return replace(
        query,
        fingerprint=fingerprint,
        since=max(since, query.since or since),
        until=min(until, query.until or until),
    )


def _of_request(account_id: Any, query: log.Query, text: str) -> log.Query | None:
    """The entries of a request. A user's id may look the same."""
    if time_of(text) is None:
        return None
    found = replace(query, request_id=text.lower())
    state = get_state()
    page = log.page(state.session, state.scim.records, account_id, found, limit=1)
    return found if page.entries else None


def _ids(account_id: Any, text: str) -> Iterator[str]:
    """The ids of users and groups that ``text`` may name; also of some who are gone."""
    state = get_state()
    scim = state.scim
    resources: tuple[tuple[Resource, Any], ...] = ((scim.user, _USER), (scim.group, _GROUP))
    for resource, paths in resources:
        key = resource.parse_id(text)
        if key is not None:
            yield str(key)
        for path, ignores_case in paths:
            for found in resource.find_all(
                state.session, account_id, path, text, limit=MOST, ignore_case=ignores_case
            ):
                yield resource.id(found)
