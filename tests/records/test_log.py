"""The provisioning log."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from example_app.models import Account, db
from example_app.provisioning import scim
from flask_h5mag_scim.records import log, request_ids
from flask_h5mag_scim.records.log import Event, Position, Query
from flask_h5mag_scim.records.models import LogKind

from ..conftest import both_databases


def accounts() -> list[Any]:
    return list(db.session.scalars(sa.select(Account.id).order_by(Account.slug)))


@both_databases
def test_an_entry_keeps_what_it_is_told_and_no_more_than_fits(app: Flask) -> None:
    """Long texts are cut and what a database cannot keep is replaced: the log must not fail
    on what it tells of."""
    with app.app_context():
        acme, *_ = accounts()
        log.record(
            db.session,
            scim.records,
            acme,
            Event.REFUSED,
            actor="a" * 300,
            method="PATCH",
            resource_type="User",
            resource_id="\x00" + "i" * 300,
            status=400,
            scim_type="invalidValue",
            reason="r" * 50,
            detail="\x00" + "d" * 3000,
            paths=["userName"],
            ignored=["costume"],
        )
        db.session.commit()
        (entry,) = log.recent(db.session, scim.records, acme, limit=5)
        assert (entry.event, entry.method, entry.status) == ("request.refused", "PATCH", 400)
        assert (entry.resource_type, entry.scim_type) == ("User", "invalidValue")
        assert (entry.paths, entry.ignored) == (["userName"], ["costume"])
        assert (len(entry.actor), len(entry.resource_id), len(entry.detail)) == (255, 255, 2000)
        assert len(entry.reason) == 40
        assert entry.detail.startswith("\ufffd")
        assert entry.at.tzinfo is not None
        db.session.remove()


def test_recent_is_newest_first_and_of_one_account(app: Flask) -> None:
    """A customer reads its own log and no other's."""
    with app.app_context():
        acme, globex, _ = accounts()
        for number in range(5):
            log.record(db.session, scim.records, acme, Event.USER_CREATED, resource_id=str(number))
        log.record(db.session, scim.records, globex, Event.USER_CREATED, resource_id="theirs")
        found = log.recent(db.session, scim.records, acme, limit=3)
        assert [entry.resource_id for entry in found] == ["4", "3", "2"]
        db.session.rollback()


def test_an_entry_lives_and_dies_with_the_caller_s_transaction(app: Flask) -> None:
    """A change that is taken back was never logged."""
    with app.app_context():
        acme, *_ = accounts()
        log.record(db.session, scim.records, acme, Event.USER_CREATED)
        db.session.rollback()
        assert log.recent(db.session, scim.records, acme, limit=5) == []


def test_every_event_is_of_a_kind_that_a_column_keeps(app: Flask) -> None:
    """What is looked for by kind is found: nobody who left among those who changed."""
    assert log.kind_of(Event.USER_DEACTIVATED) is LogKind.USER_LEFT
    assert log.kind_of(Event.USER_DELETED) is LogKind.USER_LEFT
    assert log.kind_of(Event.USER_ADOPTED) is LogKind.USER
    assert log.kind_of(Event.GROUP_DELETED) is LogKind.GROUP
    assert log.kind_of(Event.OAUTH_REFUSED) is LogKind.ERROR
    assert log.kind_of(Event.SSO_REFUSED) is LogKind.SIGN_IN_ERROR
    assert log.kind_of(Event.TOKEN_SAVED) is LogKind.SETTING
    kind, event = scim.LogEntry.__table__.c.kind.type, scim.LogEntry.__table__.c.event.type
    assert all(len(log.kind_of(one)) <= kind.length and len(one) <= event.length for one in Event)


# Searching

#: The times of the entries: many at the same moment, as a bulk request makes them.
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVENTS = (Event.USER_UPDATED, Event.REFUSED, Event.GROUP_UPDATED, Event.USER_DELETED)
NUMBER = 60


@pytest.fixture
def acme(app: Flask) -> Iterator[Any]:
    """An account whose log has NUMBER entries, newest last: ten at each of six moments, of
    each of four kinds in turns, about three people; as many others are another account's."""
    with app.app_context():
        acme, globex, _ = accounts()
        rows = [
            {
                "account_id": account,
                "at": START + timedelta(hours=number // 10),
                "event": str(EVENTS[number % 4]),
                "kind": str(log.kind_of(EVENTS[number % 4])),
                "resource_type": "User",
                "resource_id": f"person {number % 3}",
                "fingerprint": f"{number % 2:06}",
                "detail": str(number) if account == acme else "another's",
                "ignored": ["costume"] if number % 4 == 0 else ["cape", "costume"],
            }
            for number in range(NUMBER)
            for account in (acme, globex)
        ]
        db.session.execute(sa.insert(scim.LogEntry), rows)
        db.session.commit()
        yield acme
        db.session.remove()


def numbers(page: log.Page) -> list[int]:
    return [int(entry.detail) for entry in page.entries]


def search(account: Any, query: Query = Query(), **options: Any) -> log.Page:  # noqa: B008
    return log.page(db.session, scim.records, account, query, **{"limit": 100, **options})


QUERIES: list[tuple[Query, Any]] = [
    (Query(), lambda n: True),
    (Query(kinds=(LogKind.ERROR,)), lambda n: n % 4 == 1),
    (Query(kinds=(LogKind.USER, LogKind.USER_LEFT, LogKind.SIGN_IN)), lambda n: n % 4 in (0, 3)),
    (Query(kinds=(LogKind.SIGN_IN,)), lambda n: False),
    (Query(resource_ids=("person 1",)), lambda n: n % 3 == 1),
    (Query(resource_ids=("person 1", "person 2", "nobody")), lambda n: n % 3 in (1, 2)),
    (Query(resource_ids=()), lambda n: False),
    (Query(resource_ids=("person 0",), kinds=(LogKind.ERROR,)), lambda n: n % 12 == 9),
    (Query(since=START + timedelta(hours=2)), lambda n: n >= 20),
    (Query(until=START + timedelta(hours=2)), lambda n: n < 20),
    (
        Query(since=START + timedelta(hours=1), until=START + timedelta(hours=2)),
        lambda n: 10 <= n < 20,
    ),
    (Query(fingerprint="000001"), lambda n: n % 2 == 1),
    (Query(fingerprint="000001", kinds=(LogKind.ERROR, LogKind.USER)), lambda n: n % 4 == 1),
    (Query(fingerprint="unknown"), lambda n: False),
]


@both_databases
@pytest.mark.parametrize(("query", "wanted"), QUERIES)
@pytest.mark.parametrize("limit", [1, 7, 60, 100])
def test_pages_show_all_that_is_found_once_and_in_order_both_ways(
    acme: Any, query: Query, wanted: Any, limit: int
) -> None:
    """Newest first, whatever is looked for, also where many entries have the same time, and
    where several kinds or several people are looked for; and nothing of another account."""
    expected = [number for number in reversed(range(NUMBER)) if wanted(number)]
    found: list[list[int]] = []
    page = search(acme, query, limit=limit)
    assert not page.has_newer
    last = page
    for _ in range(NUMBER + 1):
        found.append(numbers(page))
        last = page
        if not page.has_older:
            break
        page = search(acme, query, limit=limit, before=Position.of(page.entries[-1]))
        assert page.has_newer
    assert [number for one in found for number in one] == expected
    assert all(len(one) == limit for one in found[:-1])
    # And back again.
    while last.entries and Position.of(last.entries[0]) != Position.of(
        search(acme, query, limit=1).entries[0]
    ):
        last = search(acme, query, limit=limit, after=Position.of(last.entries[0]))
        assert last.has_older
        assert numbers(last) == sorted(numbers(last), reverse=True)
        assert set(numbers(last)) <= set(expected)
    assert not last.has_newer
    assert numbers(last)[:1] == expected[:1]


@both_databases
def test_a_place_of_another_account_shows_nothing_of_it(acme: Any) -> None:
    """A place is a time and a number; whose they were does not matter."""
    _, globex, _ = accounts()
    theirs = search(globex, limit=10).entries
    for place in (Position.of(theirs[0]), Position.of(theirs[-1])):
        for page in (search(acme, before=place), search(acme, after=place)):
            assert {entry.account_id for entry in page.entries} <= {acme}
    assert not search(acme, Query(), before=Position(START, 0)).entries
    assert len(search(acme, Query(), after=Position(START, 0)).entries) == NUMBER


@both_databases
def test_a_request_is_found_by_its_id(app: Flask) -> None:
    """All of its entries, in its own account; what is no id of ours finds nothing."""
    with app.app_context():
        acme, globex, _ = accounts()
        mine, other = request_ids.new_id(), request_ids.new_id()
        for account, id in ((acme, mine), (acme, mine), (acme, other), (globex, mine)):
            request = log.Request(request_id=id)
            log.record(db.session, scim.records, account, Event.USER_CREATED, request=request)
        found = search(acme, Query(request_id=mine)).entries
        assert [(entry.account_id, entry.request_id) for entry in found] == [(acme, mine)] * 2
        assert len(search(acme, Query(request_id=f" {mine.upper()} ")).entries) == 2
        for wrong in ("", "x", mine.replace("-7", "-4"), "ffffffff" + mine[8:]):
            assert search(acme, Query(request_id=wrong)).entries == []
        db.session.remove()


@both_databases
def test_ignored_attributes_are_told_by_how_often(acme: Any) -> None:
    """Of the last changes of users and groups; what was refused is none."""
    ignored = log.ignored(db.session, scim.records, acme)
    told = [(one.resource_type, one.path, one.times) for one in ignored]
    assert told == [("User", "costume", 45), ("User", "cape", 30)]
    assert {one.last_at for one in ignored} == {START + timedelta(hours=5)}
    told = [(one.path, one.times) for one in log.ignored(db.session, scim.records, acme, changes=4)]
    assert told == [("costume", 4), ("cape", 3)]
    names = [f"part{number}" for number in range(log.MAX_NAMES + 5)]
    log.record(
        db.session, scim.records, acme, Event.USER_UPDATED, resource_type="User", ignored=names
    )
    (last,) = search(acme, limit=1).entries
    assert last.ignored[-1] == "… and 5 more"
    found = {one.path for one in log.ignored(db.session, scim.records, acme, changes=1)}
    assert found == set(names[: log.MAX_NAMES]), "and that is no attribute"


@both_databases
def test_pruning_removes_the_oldest_of_all_accounts_in_batches(acme: Any) -> None:
    """What is from before a time goes, in steps that hold nobody up; the rest stays."""
    _, globex, _ = accounts()

    def prune(hour: int, batch: int) -> int:
        before = START + timedelta(hours=hour)
        return log.prune(db.session, scim.records, before=before, batch=batch)

    assert [prune(2, 15), prune(2, 15), prune(2, 15), prune(2, 15)] == [15, 15, 10, 0]
    assert numbers(search(acme)) == list(reversed(range(20, 60)))
    assert len(search(globex).entries) == 40
    assert prune(0, 5000) == 0
    assert prune(7, 5000) == 80
    assert search(acme).entries == []
    assert prune(7, 5000) == 0
    assert log.oldest(db.session, scim.records) is None
