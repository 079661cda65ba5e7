"""Every text that people read, in one catalogue, so that Dutch can follow.

One file for each part of the product; a key is used once in all of them. What is answered to
machines, the details of SCIM errors, is no part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from markupsafe import Markup, escape

from . import (
    activity,
    danger,
    explanations,
    guide,
    managed,
    page,
    shell,
    sign_in,
    single_sign_on,
    status,
    warnings,
)

_PARTS: tuple[Mapping[str, str], ...] = (
    activity.TEXTS,
    danger.TEXTS,
    explanations.TEXTS,
    guide.TEXTS,
    managed.TEXTS,
    page.TEXTS,
    shell.TEXTS,
    sign_in.TEXTS,
    single_sign_on.TEXTS,
    status.TEXTS,
    warnings.TEXTS,
)

#: All of them, by key.
TEXTS: Mapping[str, str] = MappingProxyType(
    {key: text for part in _PARTS for key, text in part.items()}
)


#: Something that was done: a code of the catalogue (``done.…``), perhaps with values.
Done = str | tuple[str, dict[str, str]]


def say(key: str, **values: Any) -> str:
    """The text of ``key``, with ``values`` in its brackets."""
    text = TEXTS[key]
    return text.format(**values) if values else text


def say_html(key: str, **values: Any) -> Markup:
    """The same for templates, where a value may be markup."""
    return escape(TEXTS[key]).format(**values)


def say_done(done: Done) -> Markup:
    """What was done, in a sentence."""
    code, values = (done, {}) if isinstance(done, str) else done
    return say_html(f"done.{code}", **values)


def ago(past: timedelta) -> str:
    """How long something is past, roughly."""
    minutes = int(past.total_seconds() // 60)
    if minutes < 1:
        return say("ago.now")
    if minutes < 60:
        return say("ago.minutes", n=minutes)
    if minutes < 48 * 60:
        return say("ago.hours", n=minutes // 60)
    return say("ago.days", n=minutes // (24 * 60))


def ahead(future: timedelta) -> str:
    """How far something is ahead, in whole days."""
    # What was chosen as 90 days is that also when it is read a moment later.
    days = (future + timedelta(minutes=1)).days
    if days < 1:
        return say("in.today")
    return say("in.day") if days == 1 else say("in.days", n=days)


def span(length: timedelta) -> str:
    """A length of time, in the largest unit that fits."""
    years, rest = divmod(length.days, 365)
    if years and not rest:
        return say("span.year") if years == 1 else say("span.years", n=years)
    if length.days:
        return say("span.day") if length.days == 1 else say("span.days", n=length.days)
    hours = max(1, length.seconds // 3600)
    return say("span.hour") if hours == 1 else say("span.hours", n=hours)
