"""The log as a file: CSV for people with a spreadsheet, JSON for machines.

Read and written a batch at a time, so that ten million entries need no more memory than one
batch. A file that breaks off looks so: JSON lacks its end, and HTTP its last piece.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC
from typing import Any

from sqlalchemy.orm import Session

from ..records import log
from ..records.models import LogEntryMixin, Records
from .entries import headline

#: How many entries are read with one statement.
BATCH = 500

#: What an entry is in a file, in this order: names that stay.
KEYS = (
    "id",
    "time",
    "event",
    "kind",
    "what",
    "actor",
    "fingerprint",
    "method",
    "address",
    "resource_type",
    "resource_id",
    "holder_id",
    "status",
    "scim_type",
    "reason",
    "detail",
    "duration_ms",
    "request_id",
    "correlation_id",
    "paths",
    "ignored",
    "changes",
    "body",
)

#: Where a spreadsheet would find a formula: a cell that begins like one, and, as many countries
#: part cells by semicolons, what begins so behind one of those; or in a line of its own.
_FORMULA = re.compile(r'(?:^|(?<=[;\t\r\n]))(?=["\s]{0,9}[=+\-@\uff0b\uff0d\uff1d\uff20])')

#: What a terminal would obey that shows a file; tabs and line breaks stay in their cells.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
#: The same in JSON, which has escaped the others.
_UNESCAPED = re.compile(r"[\x7f-\x9f]")

Row = dict[str, Any]


def rows(session: Session, records: Records, account_id: Any, query: log.Query) -> Iterator[Row]:
    """The entries that a query finds, newest first. The session's transaction is ended after
    each batch: a slow reader holds nothing."""
    before = None
    while True:
        page = log.page(session, records, account_id, query, before=before, limit=BATCH)
        before = log.Position.of(page.entries[-1]) if page.entries else None
        batch = [row(entry) for entry in page.entries]
        session.rollback()
        yield from batch
        if not page.has_older:
            return


def row(entry: LogEntryMixin) -> Row:
    """One entry by :data:`KEYS`; its time in ISO 8601, in UTC."""
    found = {
        "time": entry.at.astimezone(UTC).isoformat(timespec="milliseconds"),
        "what": headline(entry),
        "duration_ms": entry.duration,
    }
    return {key: found[key] if key in found else getattr(entry, key) for key in KEYS}


def as_csv(found: Iterable[Row]) -> Iterator[str]:
    """Rows as CSV with a header, a piece for each line. A spreadsheet takes no cell for a
    formula."""
    written = io.StringIO()
    writer = csv.writer(written)
    writer.writerow(KEYS)
    for each in found:
        yield _taken(written)
        writer.writerow([_cell(each[key]) for key in KEYS])
    yield _taken(written)


def as_json(found: Iterable[Row]) -> Iterator[str]:
    """Rows as an array of objects, a piece for each object; without its last bracket when not
    all of them could be read."""
    before = "[\n"
    for each in found:
        yield before + json_text(each)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def json_text(value: Any, **options: Any) -> str:
    """A value of JSON as text that people can read and that a terminal obeys in nothing.

    :param options: those of :func:`json.dumps`.
    """
    text = json.dumps(value, ensure_ascii=False, **options)
    return _UNESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _taken(written: io.StringIO) -> str:
    text = written.getvalue()
    written.seek(0)
    written.truncate()
    return text


def _cell(value: Any) -> str:
    if value is None or value == [] or value == {}:
        return ""
    if not isinstance(value, str):
        value = json_text(value)
    return _FORMULA.sub("'", _CONTROL.sub("\ufffd", value))
