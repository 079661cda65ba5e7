"""``flask scim log …``: what happened to an account, and what is kept of it."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from tempfile import mkstemp
from typing import Any

import click
from flask.cli import with_appcontext

from ..records import locks
from ..records import log as records
from ..records.log import Query
from ..records.models import LogEntryMixin, LogKind, now
from ..state import State, get_state
from ..texts import say
from ..web import explanations, export
from ..web.activity import ONLY, Filters, begin_export
from ..web.entries import Line, lines
from ..web.lookup import narrowed
from .shell import (
    OPERATOR,
    Group,
    about_account,
    for_machines,
    is_terminal,
    json_option,
    plain,
    show_json,
    show_json_line,
    show_pairs,
    with_addresses,
)

group = Group("log", help="What happened to an account: the page's Activity.")

#: How often a log is looked at that is followed, and how much of it anew each time: what was
#: begun before is not always written before.
_EVERY = 2.0
_AGAIN = timedelta(seconds=30)
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


class Moment(click.ParamType):  # type: ignore[type-arg]  # generic only in new releases
    """A day, a time, or how long ago."""

    name = "when"

    def __init__(self, *, end: bool = False) -> None:
        self._end = end

    def convert(self, value: Any, param: Any, ctx: Any) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            if match := re.fullmatch(r"(\d{1,6})([mhd])", value):
                return now() - timedelta(**{_UNITS[match[2]]: int(match[1])})
            at = datetime.fromisoformat(value)
            is_day = re.fullmatch(r"\d{4}-\d{2}-\d{2}", value) is not None
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
            return at + timedelta(days=1) if is_day and self._end else at
        except (ValueError, OverflowError):
            self.fail(say("shell.when", value=value), param, ctx)


def filtered(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the filters of the page, as a query of the log."""

    @click.option(
        "--what",
        type=click.Choice(list(ONLY)),
        default="everything",
        show_default=True,
        help="Which entries.",
    )
    @click.option(
        "--user",
        "--about",
        "about",
        metavar="NAME",
        help="User name, e-mail address, group, id, request id or a token's fingerprint.",
    )
    @click.option(
        "--since", type=Moment(), help="YYYY-MM-DD, a time, or how long ago: 30m, 2h, 7d."
    )
    @click.option("--until", type=Moment(end=True), help="The same; a day to its end.")
    @about_account
    def run(
        state: State,
        account: Any,
        account_id: Any,
        what: str,
        about: str | None,
        since: datetime | None,
        until: datetime | None,
        **options: Any,
    ) -> None:
        query = Query(kinds=ONLY[what], since=since, until=until)
        if about:
            found = narrowed(account_id, query, about)
            if found is None:
                raise click.ClickException(say("shell.unknown", name=about))
            query = found
        words = Filters(
            only=what,
            about=about or "",
            since=since.isoformat() if since else "",
            until=until.isoformat() if until else "",
            query=query,
        )
        command(state, account, account_id, filters=words, **options)

    run.__doc__ = command.__doc__
    run.__name__ = command.__name__
    return run


@group.command(
    "tail",
    example="flask scim log tail --account contoso --what errors -n 50\n"
    "flask scim log tail --account contoso -f --json | jq .what",
)
@click.option("-f", "--follow", is_flag=True, help="Go on with what happens; Ctrl-C ends it.")
@click.option(
    "-n", "number", type=click.IntRange(0, 10_000), default=20, show_default=True, help="How many."
)
@json_option
@filtered
def log_tail(
    state: State,
    account: Any,
    account_id: Any,
    filters: Filters,
    follow: bool,
    number: int,
    as_json: bool,
) -> None:
    """Show the last entries, the newest at the end; with --json an object a line.

    What a file of `log export` has of an entry, an object has as well.
    """
    page = _read(state, account_id, filters.query, limit=max(number, 1))
    entries = page.entries[::-1] if number else []
    if not entries and not follow:
        click.echo(say("activity.none"), err=True)
    _show(account, entries, as_json=as_json)
    newest = page.entries[0] if page.entries else None
    if not follow:
        return
    try:
        for found in _following(state, account_id, filters.query, after=newest):
            _show(account, found, as_json=as_json)
            sys.stdout.flush()
            state.session.rollback()  # what follows is read anew
    except KeyboardInterrupt:
        return


def _read(state: State, account_id: Any, query: Query, **options: Any) -> records.Page:
    return records.page(state.session, state.scim.records, account_id, query, **options)


def _following(
    state: State, account_id: Any, query: Query, *, after: LogEntryMixin | None
) -> Iterator[list[LogEntryMixin]]:
    """What comes after an entry, oldest first, for ever; the session's transaction is the
    caller's to end."""
    newest = (now(), 0) if after is None else (after.at, after.id)
    seen: dict[int, datetime] | None = None
    while True:
        begin = newest[0] - _AGAIN
        found = list(_since(state, account_id, query, records.Position(begin, 0)))
        if seen is None:
            new = [each for each in found if (each.at, each.id) > newest]
        else:
            # Also what was begun earlier and is there only now.
            known = seen
            new = [each for each in found if each.id not in known]
        seen = {each.id: each.at for each in found}
        if new:
            newest = max(newest, (new[-1].at, new[-1].id))
            yield new
        else:
            state.session.rollback()
        time.sleep(_EVERY)


def _since(
    state: State, account_id: Any, query: Query, place: records.Position
) -> Iterator[LogEntryMixin]:
    while True:
        page = _read(state, account_id, query, after=place, limit=500)
        yield from page.entries[::-1]
        if not page.has_newer:
            return
        place = records.Position.of(page.entries[0])


def _show(account: Any, entries: list[LogEntryMixin], *, as_json: bool) -> None:
    if as_json:
        for entry in entries:
            show_json_line(export.row(entry))
        return
    for line in lines(account, entries) if entries else ():
        click.echo(plain(_in_a_line(line)))


def _in_a_line(line: Line) -> str:
    result = say("activity.done") if not line.refused else line.result
    parts = [f"{line.at:%Y-%m-%d %H:%M:%S}", str(line.entry.id), result, line.what]
    if line.by:
        parts.append(f"[{line.by}]")
    # Of an error, why, and of a setting, which token or directory; the rest says it already.
    tells_more = line.refused or line.entry.kind == LogKind.SETTING
    return "  ".join([*parts, *line.notes] if tells_more else parts)


@group.command(
    "show",
    example="flask scim log show 4711 --account contoso\n"
    "flask scim log show 0193c1f0-0000-7000-8000-000000000000 --account contoso",
)
@click.argument("id")
@json_option
@about_account
def log_show(state: State, account: Any, account_id: Any, id: str, as_json: bool) -> None:
    """Show everything of an entry, or of all entries of a request, by its ID.

    Of an error, also what it means, who can fix it and how.
    """
    entries = _by_id(state, account_id, id)
    if not entries:
        raise click.ClickException(say("shell.no_entry", id=id))
    with with_addresses(state):
        if as_json:
            show_json([_document(entry) for entry in entries])
            return
        for number, line in enumerate(lines(account, entries)):
            if number:
                click.echo()
            _show_all(line)


def _by_id(state: State, account_id: Any, text: str) -> list[LogEntryMixin]:
    Entry = state.scim.LogEntry
    if re.fullmatch(r"[0-9]{1,18}", text):
        entry = state.session.get(Entry, int(text))
        return [entry] if entry is not None and entry.account_id == account_id else []
    query = Query(request_id=text.lower())
    return _read(state, account_id, query, limit=1000).entries[::-1]


def _document(entry: LogEntryMixin) -> dict[str, Any]:
    meaning = explanations.explain(entry)
    explanation = None
    if meaning is not None:
        explanation = {"what": meaning.what, "who": meaning.who, "steps": list(meaning.steps)}
    return {**export.row(entry), "explanation": explanation}


def _show_all(line: Line) -> None:
    entry = line.entry
    address = " ".join(filter(None, (entry.method, entry.address)))
    about = " ".join(filter(None, (entry.resource_type, line.subject, line.name)))
    holder = " ".join(filter(None, (entry.holder_id, line.holder)))
    values = {
        "id": str(entry.id),
        "time": f"{entry.at:%Y-%m-%d %H:%M:%S} UTC",
        "event": entry.event,
        "result": line.result,
        "actor": line.by,
        "fingerprint": entry.fingerprint,
        "address": address,
        "about": about,
        "holder": holder,
        "reason": entry.reason,
        "detail": entry.detail,
        "duration": None if entry.duration is None else f"{entry.duration} ms",
        "request": entry.request_id,
        "correlation": entry.correlation_id,
        "ignored": ", ".join(entry.ignored or ()),
    }
    click.secho(plain(line.what), bold=True)
    show_pairs([(say(f"shell.log.{name}"), text) for name, text in values.items() if text])
    if line.changes:
        _section(
            "changes", [f"{c.name}: {c.before or '–'} → {c.after or '–'}" for c in line.changes]
        )
    if line.body:
        _section("body", line.body.splitlines())
    meaning = explanations.explain(entry)
    if meaning is not None:
        steps = [f"{number}. {step}" for number, step in enumerate(meaning.steps, 1)]
        _section("meaning", [meaning.what, f"{say('shell.log.who')} {meaning.who}", *steps])


def _section(name: str, found: list[str]) -> None:
    click.secho(say(f"shell.log.{name}"), bold=True)
    for text in found:
        click.echo(f"  {plain(text)}")


@group.command(
    "export",
    example="flask scim log export --account contoso --format csv -o contoso.csv\n"
    "flask scim log export --account contoso --format json --what errors --since 7d",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "json"]),
    default="csv",
    show_default=True,
    help="CSV with a header, or a JSON array of objects.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True),
    default="-",
    metavar="FILE",
    help="Where to; it is there when all of it is. Standard output if left out.",
)
@filtered
def log_export(
    state: State, account: Any, account_id: Any, filters: Filters, form: str, output: str
) -> None:
    """Write the log as a file, as the page does, newest first. The log says so."""
    query = begin_export(account, filters, form, by=OPERATOR)
    write = export.as_csv if form == "csv" else export.as_json
    found = export.rows(state.session, state.scim.records, account_id, query)
    # Who sees the entries themselves needs no count of them.
    is_shown = output == "-" and is_terminal(sys.stdout)
    shows_progress = is_terminal(sys.stderr) and not is_shown
    with _output(output) as put:
        for number, piece in enumerate(write(found)):
            put(for_machines(piece))
            if number % export.BATCH == 0 and shows_progress:
                click.echo(f"\r{say('shell.log.exported', n=f'{number:,}')}", nl=False, err=True)
    if shows_progress:
        click.echo(err=True)


@contextmanager
def _output(name: str) -> Iterator[Callable[[bytes], object]]:
    """What writes to standard output, or to a file that is there when all of it is, and that
    only its owner reads."""
    if name == "-":
        yield partial(click.echo, nl=False)
        return
    path = Path(name)
    part = None
    try:
        # A new one: what lies there already may be somebody else's, or lead elsewhere.
        descriptor, made = mkstemp(prefix=f"{path.name}.", suffix=".part", dir=path.parent)
        part = Path(made)
        with open(descriptor, "wb") as file:
            yield file.write
        part.replace(path)
    except OSError as error:
        raise click.FileError(str(path), error.strerror) from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)


@group.command(
    "prune",
    example="flask scim log prune\nflask scim log prune --older-than 90 --dry-run",
)
@click.option(
    "--older-than",
    type=click.IntRange(1, 36500),
    metavar="DAYS",
    help="What is older is removed; H5MAG_SCIM_LOG_RETENTION if left out.",
)
@click.option(
    "--batch",
    type=click.IntRange(1, 100_000),
    default=5000,
    show_default=True,
    help="How many entries are removed at once.",
)
@click.option("--dry-run", is_flag=True, help="Say how many there are, roughly; remove nothing.")
@json_option
@with_appcontext
def log_prune(older_than: int | None, batch: int, dry_run: bool, as_json: bool) -> None:
    """Remove what is too old from the log of every account. Run it once a day, from cron.

    Each batch is done by itself, so that nobody waits long and what was interrupted is not
    lost.
    """
    state = get_state()
    session, tables = state.session, state.scim.records
    kept = state.config.log_retention if older_than is None else timedelta(days=older_than)
    before = now() - kept
    about = records.how_many(session, tables, before=before)
    session.rollback()
    removed = 0
    if not dry_run:
        is_hidden = as_json or not is_terminal(sys.stderr)
        with click.progressbar(
            length=about, label=say("shell.log.pruning"), file=sys.stderr, hidden=is_hidden
        ) as bar:
            while True:
                locks.begin_write(session, tables.LogEntry)
                done = records.prune(session, tables, before=before, batch=batch)
                session.commit()
                if not done:
                    break
                removed += done
                bar.update(done)
    if as_json:
        show_json({"before": before, "about": about, "removed": removed})
        return
    if not removed and not dry_run and not is_terminal(sys.stderr):
        return  # cron mails whatever is printed
    key = "shell.log.would_prune" if dry_run else "shell.log.pruned"
    number = about if dry_run else removed
    click.echo(say(key, n=f"{number:,}", day=f"{before:%Y-%m-%d %H:%M} UTC"), err=True)
