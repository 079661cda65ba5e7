"""``meta.version`` and entity tags (RFC 7644 §3.14, RFC 9110 §8.8.3)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

#: Kept, because json.dumps() makes a new one for every resource.
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False)

#: One member of If-Match or If-None-Match; what is in quotes may hold commas.
_TAG = re.compile(r'\s*(?:W/)?"([^"]*)"\s*(?:,|$)')


def entity_tag(document: Mapping[str, Any], revision: int | None = None) -> str:
    """A weak entity tag for what a client can write of a resource.

    Two documents have the same tag when they say the same; ``meta`` does not count, so that
    a change that changes nothing has none.

    :param document: the resource before anything is left out of it, without what refers to
        others.
    :param revision: counts the changes of what is not in the document: a group's members.
    """
    said = dict(document)
    said.pop("meta", None)
    text = _ENCODER.encode([revision, said])
    return f'W/"{hashlib.sha256(text.encode()).hexdigest()[:24]}"'


def matches(header: str, tag: str) -> bool:
    """Whether a list of entity tags, or ``*``, has ``tag``, by weak comparison: SCIM's tags
    are weak, and RFC 7644 §3.14 puts them into If-Match nevertheless."""
    if header.strip() == "*":
        return True
    wanted = tag.removeprefix("W/").strip('"')
    at, found = 0, False
    while match := _TAG.match(header, at):
        found = found or match[1] == wanted
        at = match.end()
    return found
