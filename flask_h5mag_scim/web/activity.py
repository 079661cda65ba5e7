"""Activity: the account's log, as its admins read it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..records import log
from ..records.models import LogEntryMixin
from ..state import get_state
from ..texts import TEXTS, say

#: How many entries the page "Provisioning & SSO" shows.
SHOWN = 10


def recent(account: Any) -> list[Activity]:
    """The last things that happened, for the page "Provisioning & SSO"."""
    state = get_state()
    scim, key = state.scim, state.scim.account_key(account)
    entries = log.recent(state.session, scim.records, key, limit=SHOWN)
    names: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for resource in (scim.user, scim.group):
        ids = {e.resource_id for e in entries if e.resource_id and e.resource_type == resource.name}
        names[resource.name] = resource.names(state.session, key, ids)
    return [
        Activity.of(entry, names[entry.resource_type or ""].get(entry.resource_id or ""))
        for entry in entries
    ]


@dataclass(frozen=True)
class Activity:
    """One entry of the log in words."""

    at: datetime
    what: str
    notes: Sequence[str]
    refused: bool
    result: str
    by: str

    @classmethod
    def of(cls, entry: LogEntryMixin, called: str | None) -> Activity:
        """``entry`` in words. The log has names of attributes only; what the user or group is
        called now (``called``) was looked up for the page.
        """
        refused = entry.event.endswith(".refused") or (entry.status or 0) >= 400
        what = TEXTS.get(f"event.{entry.event}", entry.event)
        if entry.event == log.Event.REFUSED and f"refused.{entry.method}" in TEXTS:
            kind = TEXTS.get(f"kind.{entry.resource_type}", say("kind.other"))
            what = say(f"refused.{entry.method}", what=kind)
        about = called or entry.resource_id
        notes = [note for note in (about, entry.detail) if note]
        for key, paths in (("paths", entry.paths), ("ignored", entry.ignored)):
            if paths:
                notes.append(say(f"activity.{key}", paths=", ".join(paths)))
        code = " ".join(str(part) for part in (entry.status, entry.scim_type) if part)
        result = say("activity.refused") if refused else say("activity.done")
        return cls(
            at=entry.at,
            what=what,
            notes=notes,
            refused=refused,
            result=f"{result} ({code})" if refused and code else result,
            by=entry.actor,
        )
