"""Activity: the account's log, as its admins read, search and take it with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from flask import Response, request
from sqlalchemy.orm import Session
from werkzeug.wrappers import Response as BaseResponse

from ..records import log
from ..records.models import LogEntryMixin, LogKind, now
from ..state import get_state
from ..texts import say, span
from . import explanations, export, forms
from .entries import Line, lines
from .frame import blueprint, render
from .lookup import narrowed

#: How many entries the page "Provisioning & SSO" shows, and how many a page of Activity.
SHOWN = 10
PAGE_SIZE = 25

#: What one can look for; in words it is ``activity.only.…`` of the catalogue.
ONLY: Mapping[str, tuple[LogKind, ...]] = MappingProxyType(
    {
        "everything": (),
        "errors": (LogKind.ERROR, LogKind.SIGN_IN_ERROR),
        "changes": (LogKind.USER, LogKind.USER_LEFT, LogKind.GROUP),
        "left": (LogKind.USER_LEFT,),
        "groups": (LogKind.GROUP,),
        "sign-ins": (LogKind.SIGN_IN, LogKind.SIGN_IN_ERROR),
        "settings": (LogKind.SETTING,),
    }
)

#: The first and last year that the log is looked through.
_YEARS = range(2000, 9999)


@dataclass
class Filters:
    """What is looked for, as it was typed, and as a query of the log."""

    only: str
    about: str
    since: str
    until: str
    query: log.Query = field(default_factory=log.Query)
    #: Sentences beside fields, by field.
    problems: dict[str, str] = field(default_factory=dict)
    #: Whether nothing in the account is called what was typed.
    unknown: bool = False

    @classmethod
    def sent(cls, account_id: Any) -> Filters:
        """Those in the request's address."""

        def given(name: str) -> str:
            return request.args.get(name, "").strip()[:255]

        filters = cls(
            only=given("only") or "everything",
            about=given("about"),
            since=given("since"),
            until=given("until"),
        )
        filters._read(account_id)
        return filters

    def _read(self, account_id: Any) -> None:
        if self.only not in ONLY:
            self.problems["only"] = say("activity.only.unknown")
        since, until = self._day("since"), self._day("until")
        if since and until and until < since:
            self.problems["until"] = say("activity.until.before")
        if self.problems:
            return
        query = log.Query(
            kinds=ONLY[self.only],
            since=since,
            until=None if until is None else until + timedelta(days=1),
        )
        if self.about:
            found = narrowed(account_id, query, self.about)
            self.unknown = found is None
            query = found or query
        self.query = query

    def _day(self, name: str) -> datetime | None:
        text = getattr(self, name)
        if not text:
            return None
        try:
            day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
        except ValueError:
            day = None
        if day is None or day.year not in _YEARS:
            self.problems[name] = say("activity.day.unknown")
            return None
        return day

    @property
    def finds(self) -> bool:
        """Whether there is something to look for."""
        return not self.problems and not self.unknown

    @property
    def given(self) -> dict[str, str]:
        """For an address that looks for the same."""
        return {
            name: value
            for name in ("only", "about", "since", "until")
            if (value := getattr(self, name)) and value != "everything"
        }

    def in_words(self) -> str:
        """For the log, which need not repeat what people are called."""
        parts = [say(f"activity.only.{self.only}")]
        if self.query.resource_ids:
            parts.append(say("activity.told.about", ids=", ".join(self.query.resource_ids)))
        if self.query.request_id:
            parts.append(say("activity.told.request", id=self.query.request_id))
        if self.query.fingerprint:
            parts.append(say("activity.told.token", fingerprint=self.query.fingerprint))
        if self.since:
            parts.append(say("activity.told.since", day=self.since))
        if self.until:
            parts.append(say("activity.told.until", day=self.until))
        return ", ".join(parts)


# -- what the routes do ------------------------------------------------------------------


@blueprint.get("/activity")
def activity() -> BaseResponse:
    """A page of the log, with the filters of the address."""
    account = forms.require_manager()
    return _page(account, Filters.sent(get_state().scim.account_key(account)))


@blueprint.get("/activity/export.<any(csv, json):form>")
def export_activity(form: str) -> BaseResponse:
    """All that the filters of the address find, as a file."""
    account = forms.require_manager()
    state = get_state()
    scim, key = state.scim, state.scim.account_key(account)
    filters = Filters.sent(key)
    # A link on a foreign site would write into the log that the admin has taken a file.
    is_foreign = request.headers.get("Sec-Fetch-Site") == "cross-site"
    if is_foreign or not filters.finds:
        return _page(account, filters)
    query = begin_export(account, filters, form, by=forms.actor())
    of_log: Any = {"mapper": sa.inspect(scim.records.LogEntry)}
    bind = state.session.get_bind(**of_log)

    def pieces() -> Iterator[str]:
        # In a session of its own: the request's ends before its answer is written.
        with Session(bind) as own:
            found = export.rows(own, scim.records, key, query)
            if form == "json":
                yield from export.as_json(found)
                return
            yield "\ufeff"  # without it Excel takes UTF-8 for something else
            yield from export.as_csv(found)

    answer = Response(pieces(), mimetype="text/csv" if form == "csv" else "application/json")
    name = f"h5mag-activity-{now():%Y-%m-%d}.{form}"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer


def begin_export(account: Any, filters: Filters, form: str, *, by: str) -> log.Query:
    """Write into the log that what the filters find leaves it, and commit. Says what finds it
    from now on: not that entry.

    :param by: who takes it.
    """
    state = get_state()
    records, key = state.scim.records, state.scim.account_key(account)
    present = now()
    detail = say("activity.told", form=form.upper(), what=filters.in_words())
    log.record(state.session, records, key, log.Event.LOG_EXPORTED, actor=by, detail=detail)
    state.session.commit()
    return replace(filters.query, until=min(filters.query.until or present, present))


# -- what the pages show -----------------------------------------------------------------


def recent(account: Any) -> list[Line]:
    """The last things that happened, for the page "Provisioning & SSO"."""
    state = get_state()
    scim, key = state.scim, state.scim.account_key(account)
    return lines(account, log.recent(state.session, scim.records, key, limit=SHOWN))


def _page(account: Any, filters: Filters) -> BaseResponse:
    page = _read(account, filters) if filters.finds else log.Page([], False, False)
    config = get_state().config
    return render(
        "activity.html",
        account,
        status=422 if filters.problems else 200,
        filters=filters,
        choices=list(ONLY),
        lines=lines(account, page.entries),
        explain=explanations.explain,
        newer=_place(page.entries[0]) if page.has_newer else None,
        older=_place(page.entries[-1]) if page.has_older else None,
        retention=span(config.log_retention),
        values=config.log_values,
    )


def _read(account: Any, filters: Filters) -> log.Page:
    state = get_state()
    records, key = state.scim.records, state.scim.account_key(account)
    before = _position(request.args.get("before"))
    after = None if before else _position(request.args.get("after"))
    page = log.page(
        state.session, records, key, filters.query, before=before, after=after, limit=PAGE_SIZE
    )
    if (after and not page.has_newer) or (before and not page.entries):
        # The first page, and full; or nothing is left where the link led.
        return log.page(state.session, records, key, filters.query, limit=PAGE_SIZE)
    return page


# -- places in the log -------------------------------------------------------------------


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _place(entry: LogEntryMixin) -> str:
    """Where an entry stands, for an address."""
    return f"{(entry.at - _EPOCH) // timedelta(microseconds=1):x}-{entry.id:x}"


def _position(text: str | None) -> log.Position | None:
    """A place in an address; ``None``, which is the first page, for what is none."""
    at, _, id = (text or "").partition("-")
    try:
        number = int(id, 16)
        return log.Position(_EPOCH + timedelta(microseconds=int(at, 16)), number % (1 << 63))
    except (ValueError, OverflowError):
        return None
