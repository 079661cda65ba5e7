"""Entries of the log in words: what happened to whom, and what was changed."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..records.log import Event
from ..records.models import LogEntryMixin
from ..state import get_state
from ..texts import TEXTS, say

#: What users and groups are called now: by resource type, then by id.
Names = Mapping[str, Mapping[str, str]]

#: How many a headline names of the members that came or left, and of the attributes that changed.
NAMED = 3

_MEMBERS = re.compile(r'members(?:\[type eq "(?P<type>\w+)"\])?\.(?P<way>added|removed)')
_COUNTS = re.compile(r"\+(\d+) −(\d+)")
#: By what an entry calls a user or group that is not there any more.
_LABELS = {"User": ("userName", "displayName"), "Group": ("displayName",)}


@dataclass(frozen=True)
class Changed:
    """One attribute, before and after; ``None`` where it had no value."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Line:
    """One entry in words."""

    entry: LogEntryMixin
    what: str
    #: The id of the user or group; ``None`` where it has none.
    subject: str | None
    #: What the user or group is called now; ``None`` where nobody knows.
    name: str | None
    #: The same of who has the value already that only one may have.
    holder: str | None
    #: What ``what`` leaves out, in short.
    notes: Sequence[str]
    refused: bool
    result: str
    changes: Sequence[Changed]
    #: The body that was sent, one value a line where it can be laid out.
    body: str | None

    @property
    def at(self) -> datetime:
        return self.entry.at

    @property
    def by(self) -> str:
        return self.entry.actor


def lines(account: Any, entries: Sequence[LogEntryMixin]) -> list[Line]:
    """``entries`` of ``account`` in words. What people and groups are called now is looked up
    with one statement for each of the two."""
    names = _names(account, entries)
    return [_line(entry, names) for entry in entries]


def headline(entry: LogEntryMixin, names: Names | None = None) -> str:
    """What happened, in a few words.

    :param names: what is known of names; without, only what the entry itself has.
    """
    known = names or {}
    if entry.event == Event.GROUP_UPDATED and set(entry.paths or ()) == {"members"}:
        return _membership(entry, known)
    if entry.event == Event.USER_UPDATED and entry.paths:
        attributes = _attributes(entry.paths)
        return say("updated.told", what=_whom(entry, known), attributes=attributes)
    if entry.event == Event.REFUSED and f"refused.{entry.method}" in TEXTS:
        return say(f"refused.{entry.method}", what=_whom(entry, known))
    text = TEXTS.get(f"event.{entry.event}")
    return text.format(what=_whom(entry, known)) if text else entry.event


def is_refused(entry: LogEntryMixin) -> bool:
    """Whether something was not done."""
    return entry.event.endswith("refused") or (entry.status or 0) >= 400


def result(entry: LogEntryMixin) -> str:
    """Whether it was done, with the status and the kind of error."""
    if not is_refused(entry):
        return say("activity.done")
    code = " ".join(str(part) for part in (entry.status, entry.scim_type) if part)
    return f"{say('activity.refused')} ({code})" if code else say("activity.refused")


# -- whom it is about ----------------------------------------------------------------------


def _names(account: Any, entries: Sequence[LogEntryMixin]) -> Names:
    state = get_state()
    scim = state.scim
    ids: defaultdict[str, set[str]] = defaultdict(set)
    for entry in entries:
        ids[entry.resource_type or ""].update(filter(None, (entry.resource_id, entry.holder_id)))
        for type, _, members in _moved(entry):
            ids[type].update(members)
    return {
        resource.name: resource.names(state.session, scim.account_key(account), ids[resource.name])
        for resource in (scim.user, scim.group)
    }


def _name(entry: LogEntryMixin, names: Names, id: str | None) -> str | None:
    """What a user or group of the entry's type is called now."""
    return names.get(entry.resource_type or "", {}).get(id or "")


def _subject(entry: LogEntryMixin) -> str | None:
    """The id of the user or group that it was about. Who was not created has none: what stands
    there is whoever is in the way."""
    return None if entry.resource_id == entry.holder_id else entry.resource_id


def _whom(entry: LogEntryMixin, names: Names) -> str:
    type = entry.resource_type if entry.resource_type in _LABELS else "other"
    if name := _name(entry, names, _subject(entry)):
        return say(f"kind.{type}.named", name=name)
    kind = say(f"kind.{type}")
    for label in _LABELS.get(entry.resource_type or "", ()):
        before, after = (entry.changes or {}).get(label) or (None, None)
        if isinstance(value := after or before, str):
            return say("kind.was", what=kind, name=value)
    return kind


def _attributes(paths: Sequence[str]) -> str:
    """The first of them, an extension's without its long name."""
    listed = ", ".join(path.rpartition(":")[2] for path in paths[:NAMED])
    more = len(paths) - NAMED
    return say("membership.more", names=listed, count=more) if more > 0 else listed


# -- members -------------------------------------------------------------------------------


def _moved(entry: LogEntryMixin) -> Iterator[tuple[str, str, list[str]]]:
    """Who came into a group or left it: the resource type, ``added`` or ``removed``, and the
    ids of the first of them."""
    for path, pair in (entry.changes or {}).items():
        if path.startswith("members") and (found := _MEMBERS.fullmatch(path)):
            listed = pair[1] if found["way"] == "added" else pair[0]
            if isinstance(listed, list):
                yield found["type"] or "User", found["way"], [str(one) for one in listed]


def _membership(entry: LogEntryMixin, names: Names) -> str:
    group = _whom(entry, names)
    ids: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for type, way, members in _moved(entry):
        ids[way] += [(type, member) for member in members]
    said = ((entry.changes or {}).get("members") or (None, None))[1]
    counts = _COUNTS.fullmatch(said) if isinstance(said, str) else None
    came, left = (int(counts[1]), int(counts[2])) if counts else (0, 0)
    parts = [
        say(f"membership.{way}", who=_members(ids[way], count, names))
        for way, count in (("added", came), ("removed", left))
        if count
    ]
    if not parts:
        return say("membership", group=group)
    return say("membership.told", group=group, changes=", ".join(parts))


def _members(ids: Sequence[tuple[str, str]], count: int, names: Names) -> str:
    called = [name for type, id in ids if (name := names.get(type, {}).get(id))][:NAMED]
    more = count - len(called)
    if not called:
        return say("membership.one") if more == 1 else say("membership.many", count=more)
    listed = ", ".join(called)
    return say("membership.more", names=listed, count=more) if more > 0 else listed


# -- what was changed ----------------------------------------------------------------------


def _line(entry: LogEntryMixin, names: Names) -> Line:
    subject = _subject(entry)
    name = _name(entry, names, subject)
    notes = [note for note in (None if name else subject, entry.detail) if note]
    return Line(
        entry=entry,
        what=headline(entry, names),
        name=name,
        subject=subject,
        holder=_name(entry, names, entry.holder_id),
        notes=notes,
        refused=is_refused(entry),
        result=result(entry),
        changes=[
            Changed(path, _value(path, pair[0], names), _value(path, pair[1], names))
            for path, pair in (entry.changes or {}).items()
        ],
        body=_laid_out(entry.body),
    )


def _value(path: str, value: Any, names: Names) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value
    moved = _MEMBERS.fullmatch(path)
    if moved and isinstance(value, list):
        known = names.get(moved["type"] or "User", {})
        return ", ".join(known.get(str(one), str(one)) for one in value)
    return json.dumps(value, ensure_ascii=False)


def _laid_out(body: str | None) -> str | None:
    try:
        return json.dumps(json.loads(body or ""), ensure_ascii=False, indent=2)
    except ValueError:  # it was cut, or was never JSON
        return body or None
