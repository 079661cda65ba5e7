"""The mass-deactivation brake: only so many people leave within an hour, until somebody says
that all of them shall."""

# ruff: noqa: F401, F811, the fixture owner is that of test_pages

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask

from example_app.models import User, db
from example_app.provisioning import scim
from flask_h5mag_scim import brake_engaged
from flask_h5mag_scim.reasons import Reason
from flask_h5mag_scim.records import brake, log
from flask_h5mag_scim.records.brake import Limits
from flask_h5mag_scim.records.models import now

from ..conftest import Entra, both_databases, error_of, get_account
from ..test_concurrency import at_once
from .test_pages import URL, Admin, Page, add_user, owner, reconfigure

OFF = {"op": "replace", "path": "active", "value": False}
ON = {"op": "replace", "path": "active", "value": True}


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """What the host mailed: the account, the subject and the text."""
    sent: list[tuple[str, str, str]] = []
    monkeypatch.setattr(
        scim, "mail_admins", lambda account, *mail: sent.append((account.slug, *mail))
    )
    return sent


@pytest.fixture
def signals(app: Flask) -> Iterator[list[str]]:
    """Of which accounts it was told that their brake engaged."""
    heard: list[str] = []

    def listen(sender: Flask, account: Any, engaged_at: Any) -> None:
        assert abs(now() - engaged_at) < timedelta(minutes=1)
        heard.append(account.slug)

    with brake_engaged.connected_to(listen, app):
        yield heard


def people(entra: Entra, count: int, prefix: str = "u") -> list[str]:
    """The ids of users who were created just now."""
    return [entra.user(f"{prefix}{n}")["id"] for n in range(count)]


def leave(entra: Entra, id: str) -> int:
    return entra.patch(f"/Users/{id}", OFF).status_code


def events(app: Flask, event: log.Event, slug: str = "acme") -> list[Any]:
    with app.app_context():
        found = log.recent(db.session, scim.records, get_account(slug).id, limit=200)
        return [entry for entry in found if entry.event == event]


def standing(app: Flask, slug: str = "acme") -> brake.Standing:
    with app.app_context():
        return brake.standing(db.session, scim.records, get_account(slug).id)


def active(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(
            sa.select(sa.func.count()).where(
                User.external_id.is_not(None), User.deactivated_at.is_(None)
            )
        )


def wait(app: Flask, **time: float) -> None:
    """Let time pass: what is kept becomes as much older."""
    past = timedelta(**time)
    State, Entry = scim.records.AccountState, scim.LogEntry
    with app.app_context():
        for entry in db.session.scalars(sa.select(Entry)):
            entry.at -= past
        for row in db.session.scalars(sa.select(State)):
            for name in ("braked_at", "released_until", "users_counted_at"):
                if (value := getattr(row, name)) is not None:
                    setattr(row, name, value - past)
        db.session.commit()


def release(admin: Admin) -> Page:
    """Press the button, and see the page that it leads to."""
    answer = admin.client.post(f"{URL}/brake/release", data=csrf(admin))
    assert answer.status_code == 303, answer.text
    assert answer.location == URL
    return admin.open()


def csrf(admin: Admin) -> dict[str, str]:
    return {"scim_csrf": admin.open().fields()["scim_csrf"]}


# SCIM


@both_databases
def test_the_brake_engages_after_the_limit(
    app: Flask, entra: Entra, mails: list[Any], signals: list[str]
) -> None:
    """So many may leave; the next is refused with 403 and a sentence, by PATCH, PUT and DELETE;
    the admins are told once; everything else goes on."""
    reconfigure(app, brake_users=2)
    ids = people(entra, 5)
    assert [leave(entra, id) for id in ids[:2]] == [200, 200]
    assert signals == mails == []
    detail = error_of(entra.patch(f"/Users/{ids[2]}", OFF), 403)
    assert "neither deactivated nor deleted" in detail
    assert "Account → Provisioning & SSO" in detail
    error_of(entra.delete(f"/Users/{ids[3]}"), 403)
    put = {"userName": "u4@example.com", "externalId": "x", "active": False}
    error_of(entra.put(f"/Users/{ids[4]}", put), 403)
    assert active(app) == 3
    # Told once.
    assert signals == ["acme"]
    ((slug, subject, text),) = mails
    assert slug == "acme"
    assert subject == "Provisioning holds back a mass deactivation"
    assert "http://127.0.0.1:5000/account/provisioning" in text
    assert "example.com" not in text
    (engaged,) = events(app, log.Event.BRAKE_ENGAGED)
    assert engaged.detail == "2 people within an hour"
    assert len(events(app, log.Event.WARNED)) == 1
    refused = events(app, log.Event.REFUSED)
    assert [(entry.reason, entry.detail) for entry in refused] == [(Reason.BRAKE, detail)] * 3
    # Everything else passes.
    assert (
        entra.patch(f"/Users/{ids[2]}", {"op": "add", "path": "title", "value": "x"}).status_code
        == 200
    )
    assert entra.patch(f"/Users/{ids[0]}", ON).status_code == 200
    assert entra.user("new")["active"] is True
    assert entra.post("/Users", {**put, "userName": "off", "externalId": "y"}).status_code == 201
    assert entra.delete(f"/Groups/{entra.group()['id']}").status_code == 204
    assert entra.get("/Users").status_code == 200


@both_databases
def test_what_is_refused_has_done_nothing(app: Flask, entra: Entra) -> None:
    """Also not what came with it: names, memberships, sessions."""
    reconfigure(app, brake_users=1)
    ids = people(entra, 2)
    group = entra.group(members=[{"value": ids[1]}])
    leave(entra, ids[0])
    title = {"op": "add", "path": "title", "value": "Gone"}
    assert entra.patch(f"/Users/{ids[1]}", title, OFF).status_code == 403
    assert entra.delete(f"/Users/{ids[1]}").status_code == 403
    found = entra.get(f"/Users/{ids[1]}").get_json()
    assert (found["active"], found.get("title")) == (True, None)
    assert [m["value"] for m in entra.get(f"/Groups/{group['id']}").get_json()["members"]] == [
        ids[1]
    ]
    with app.app_context():
        epochs = db.session.scalars(sa.select(scim.UserLink.session_epoch))
        assert sorted(epochs) == [0, 1]


def test_without_limits_nobody_counts(app: Flask, entra: Entra, statements: Any) -> None:
    """It is off unless the host sets it, and costs nothing then; with it, two statements."""
    counted = []
    for limit in (None, 10):
        reconfigure(app, brake_users=limit)
        ids = people(entra, 3, f"l{limit}")
        leave(entra, ids[0])
        with statements() as seen:
            leave(entra, ids[1])
        counted.append(len(seen))
        assert any("scim_account" in s and "braked_at" in s for s in seen) is (limit is not None)
        with statements() as seen:
            entra.patch(f"/Users/{ids[2]}", {"op": "add", "path": "title", "value": "x"})
        assert not any("braked_at" in s for s in seen)
    assert counted[1] - counted[0] == 2


@both_databases
def test_nobody_counts_twice(app: Flask, entra: Entra) -> None:
    """Deactivated, back, deactivated again and deleted is one person."""
    reconfigure(app, brake_users=2)
    ids = people(entra, 3)
    for _ in range(3):
        assert leave(entra, ids[0]) == 200
        assert entra.patch(f"/Users/{ids[0]}", ON).status_code == 200
    assert entra.delete(f"/Users/{ids[0]}").status_code == 204
    assert leave(entra, ids[1]) == 200
    assert entra.delete(f"/Users/{ids[1]}").status_code == 204
    assert leave(entra, ids[2]) == 403


@both_databases
def test_it_holds_until_it_is_released(app: Flask, entra: Entra, owner: Admin) -> None:
    """Whatever time goes by: who waits an hour between two tries gets no further. A release
    lets everything pass for a day; then the brake watches again, and counts from there."""
    reconfigure(app, brake_users=1)
    ids = people(entra, 8)
    assert [leave(entra, id) for id in ids[:2]] == [200, 403]
    wait(app, hours=3)
    assert leave(entra, ids[1]) == 403
    page = release(owner)
    assert "The brake is released" in page.statuses[0]
    assert [leave(entra, id) for id in ids[1:5]] == [200] * 4
    wait(app, hours=23.9)
    assert leave(entra, ids[5]) == 200
    wait(app, hours=0.2)
    # Those of the last hour left with the admin's consent.
    assert [leave(entra, id) for id in ids[6:8]] == [200, 403]
    assert standing(app).braked_at is not None
    assert len(events(app, log.Event.BRAKE_ENGAGED)) == 2


@both_databases
def test_the_hour_moves_on(app: Flask, entra: Entra) -> None:
    """A few people each hour are no mass deactivation."""
    reconfigure(app, brake_users=2)
    ids = people(entra, 7)
    for n in (0, 2, 4):
        assert [leave(entra, id) for id in ids[n : n + 2]] == [200, 200]
        wait(app, hours=1.1)
    leave(entra, ids[6])
    assert standing(app).braked_at is None


@both_databases
def test_a_percentage_of_those_who_are_provisioned(app: Flask, entra: Entra) -> None:
    """Of those that there were before the first left, also when they are deleted; the
    application's own people are none of them."""
    reconfigure(app, brake_percent=50.0)
    for n in range(10):
        add_user(app, f"own{n}@acme.example", "reader")
    ids = people(entra, 14)
    assert [entra.delete(f"/Users/{id}").status_code for id in ids[:8]] == [204] * 7 + [403]
    assert standing(app).users_counted == 14
    assert events(app, log.Event.BRAKE_ENGAGED)[0].detail == (
        "50 % of all provisioned people (5 at least) within an hour"
    )


@both_databases
def test_a_percentage_spares_small_accounts(app: Flask, entra: Entra) -> None:
    """Five people may always leave; a number of people may be smaller."""
    reconfigure(app, brake_percent=1.0)
    ids = people(entra, 8)
    assert [leave(entra, id) for id in ids[:6]] == [200] * 5 + [403]


@both_databases
def test_the_users_are_counted_once_an_hour(app: Flask, entra: Entra, statements: Any) -> None:
    """However large the account is and however many leave."""
    reconfigure(app, brake_percent=90.0)
    ids = people(entra, 6)

    def counts(id: str) -> int:
        with statements() as seen:
            assert leave(entra, id) == 200
        return sum("count(" in s.lower() and "scim_user" in s for s in seen)

    assert [counts(id) for id in ids[:3]] == [1, 0, 0]
    people(entra, 4, "more")
    wait(app, hours=1.1)
    assert [counts(id) for id in ids[3:5]] == [1, 0]
    assert standing(app).users_counted == 10


@pytest.mark.parametrize(
    ("limits", "provisioned", "allowed"),
    [
        (Limits(users=3), 1000, 3),
        (Limits(percent=10), 1000, 100),
        (Limits(percent=10), 29, 5),
        (Limits(percent=0.57), 10_000, 57),
        (Limits(users=20, percent=10), 1000, 20),
        (Limits(users=200, percent=10), 1000, 100),
        (Limits(users=2, percent=10), 10, 2),
    ],
)
def test_the_smaller_limit_counts(limits: Limits, provisioned: int, allowed: int) -> None:
    """More than N users, or more than X % of them."""
    assert limits.allowed(provisioned) == allowed


@both_databases
def test_another_account_goes_on(app: Flask, entra: Entra, other_entra: Entra) -> None:
    """Each account has a brake of its own."""
    reconfigure(app, brake_users=1)
    mine, theirs = people(entra, 3), people(other_entra, 2)
    assert [leave(entra, id) for id in mine[:2]] == [200, 403]
    assert leave(other_entra, theirs[0]) == 200
    assert standing(app, "globex").braked_at is None
    assert leave(other_entra, theirs[1]) == 403
    assert leave(entra, mine[2]) == 403


@both_databases
def test_only_scim_counts(app: Flask, entra: Entra) -> None:
    """Whom an admin takes out by hand has left with somebody's consent."""
    reconfigure(app, brake_users=1)
    ids = people(entra, 3)
    with app.app_context():
        for id in ids[:2]:
            log.record(
                db.session,
                scim.records,
                get_account().id,
                log.Event.USER_DEACTIVATED,
                actor="owner@acme.example",
                resource_type="User",
                resource_id=id,
            )
        db.session.commit()
    assert leave(entra, ids[2]) == 200


@both_databases
def test_each_operation_of_a_bulk_request_counts(
    app: Flask, entra: Entra, mails: list[Any], signals: list[str]
) -> None:
    """What comes within the limit is done, the rest is refused one by one, and stays so."""
    reconfigure(app, brake_users=2)
    ids = people(entra, 5)
    patch = {"Operations": [OFF]}
    operations: list[dict[str, Any]] = [
        {"method": "PATCH", "path": f"/Users/{id}", "data": patch} for id in ids[:4]
    ]
    operations.append({"method": "DELETE", "path": f"/Users/{ids[0]}"})
    operations.append({"method": "DELETE", "path": f"/Users/{ids[4]}"})
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": operations,
    }
    answer = entra.post("/Bulk", body).get_json()
    assert [o["status"] for o in answer["Operations"]] == ["200", "200", "403", "403", "204", "403"]
    assert "holds back the rest" in answer["Operations"][2]["response"]["detail"]
    assert active(app) == 3
    assert signals == ["acme"]
    assert len(mails) == len(events(app, log.Event.BRAKE_ENGAGED)) == 1
    again = entra.post("/Bulk", {**body, "Operations": operations[2:4]}).get_json()
    assert [o["status"] for o in again["Operations"]] == ["403", "403"]
    assert len(mails) == 1


@both_databases
@pytest.mark.parametrize("verb", ["PATCH", "DELETE"])
def test_of_many_at_once_exactly_so_many_pass(
    app: Flask, entra: Entra, mails: list[Any], signals: list[str], verb: str
) -> None:
    """Nobody slips through between counting and writing, and the admins are told once."""
    reconfigure(app, brake_users=4)
    ids = people(entra, 12)
    body = {"Operations": [OFF]} if verb == "PATCH" else None
    answers = at_once(entra, [lambda e, i=id: e.send(verb, f"/Users/{i}", body) for id in ids])
    done = 200 if verb == "PATCH" else 204
    assert Counter(a.status_code for a in answers) == {done: 4, 403: 8}
    assert active(app) == 8
    assert signals == ["acme"]
    assert len(mails) == len(events(app, log.Event.BRAKE_ENGAGED)) == 1


@both_databases
def test_owners_leave_at_once(app: Flask, entra: Entra) -> None:
    """Who guards the last owner and who counts lock in the same order, whatever the verb."""
    reconfigure(app, brake_users=100)
    for round in range(4):
        ids = []
        for n in range(6):
            id = entra.user(f"o{round}.{n}")["id"]
            ids.append(id)
        with app.app_context():
            db.session.execute(
                sa.update(User).where(User.external_id.is_not(None)).values(role="owner")
            )
            db.session.commit()
        tasks: list[Any] = [lambda e, i=id: e.patch(f"/Users/{i}", OFF) for id in ids[:3]]
        tasks += [lambda e, i=id: e.delete(f"/Users/{i}") for id in ids[3:]]
        answers = at_once(entra, tasks)
        assert Counter(a.status_code for a in answers) == {200: 3, 204: 3}


@both_databases
def test_a_bulk_request_that_fails_at_its_end_engages_nothing(
    app: Flask, entra: Entra, mails: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then nobody has left, and there is nothing to hold back."""
    reconfigure(app, brake_users=1)
    ids = people(entra, 3)
    patch = {"Operations": [OFF]}
    operations = [{"method": "PATCH", "path": f"/Users/{id}", "data": patch} for id in ids]
    commit = db.session.commit

    def fail() -> None:
        monkeypatch.setattr(db.session, "commit", commit)
        raise sa.exc.OperationalError("COMMIT", {}, Exception("gone"))

    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": operations,
    }
    monkeypatch.setattr(db.session, "commit", fail)
    assert entra.post("/Bulk", body).status_code == 503
    assert active(app) == 3
    assert standing(app).braked_at is None
    assert mails == []
    assert leave(entra, ids[0]) == 200


@both_databases
def test_a_busy_hour_is_not_read_through(app: Flask) -> None:
    """Who has left is counted by the log's index, among however many other changes."""
    with app.app_context():
        account = get_account().id
        db.session.execute(
            sa.insert(scim.LogEntry),
            [
                {
                    "account_id": account,
                    "at": now() - timedelta(seconds=n / 10),
                    "event": "user.updated",
                    "kind": "user_left" if n % 1000 == 0 else "user",
                    "method": "PATCH",
                    "resource_id": str(n),
                }
                for n in range(20_000)
            ],
        )
        db.session.commit()
        is_sqlite = db.engine.dialect.name == "sqlite"
        if not is_sqlite:
            with db.engine.begin() as connection:
                connection.exec_driver_sql("ANALYZE scim_log")
        asked: list[tuple[str, Any]] = []

        def note(conn: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
            asked.append((statement, parameters))

        records = scim.records
        sa.event.listen(db.engine, "before_cursor_execute", note)
        assert brake.may_leave(db.session, records, account, "x", Limits(users=100))
        assert not brake.may_leave(db.session, records, account, "x", Limits(users=20))
        brake.held_back(db.session, records, account, now())
        sa.event.remove(db.engine, "before_cursor_execute", note)
        db.session.rollback()
        counted = [one for one in asked if "scim_log" in one[0]]
        assert len(counted) == 3
        how = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
        with db.engine.connect() as connection:
            for statement, parameters in counted:
                rows = connection.exec_driver_sql(f"{how} {statement}", parameters).all()
                assert "ix_scim_log_kind" in "\n".join(row[-1] for row in rows)


@both_databases
def test_one_by_one_and_in_bulk_at_once(app: Flask, entra: Entra) -> None:
    """No more leave than may, whatever waits for whom. Whoever the database gives up twice, as
    a bulk request holds many rows, is asked to come again."""
    reconfigure(app, brake_users=6)
    ids = people(entra, 10)
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
        "Operations": [
            {"method": "PATCH", "path": f"/Users/{id}", "data": {"Operations": [OFF]}} for id in ids
        ],
    }
    tasks: list[Any] = [lambda e: e.post("/Bulk", body)]
    tasks += [lambda e, i=id: e.patch(f"/Users/{i}", OFF) for id in reversed(ids[5:])]
    answers = at_once(entra, tasks)
    assert {a.status_code for a in answers} <= {200, 403, 503}
    assert active(app) >= 4
    again = entra.post("/Bulk", body)
    assert again.status_code == 200
    assert active(app) == 4


# The page


@both_databases
def test_the_page_says_what_happened_and_releases(
    app: Flask,
    entra: Entra,
    owner: Admin,
    mails: list[Any],
) -> None:
    """Directly below its header: since when, after how many, who is held back, what to do."""
    assert not owner.open().has("h5s-brake")
    reconfigure(app, brake_users=2, brake_percent=30.0)
    ids = people(entra, 5)
    for id in (*ids, *ids[2:]):
        leave(entra, id)
    note = owner.open().id("h5s-brake").text
    assert "after 2 people or 30 % of all provisioned people (5 at least) within an hour" in note
    assert "3 people were held back so far." in note
    assert "for 1 day everything passes" in note
    link = owner.open().one("a", href=f"{URL}/activity?only=errors")
    assert link.text == "See who, under Errors"
    page = release(owner)
    assert page.statuses[0] == "The brake is released."
    note = page.id("h5s-brake").text
    assert "owner@acme.example released it" in note
    assert "Release the brake" not in page.buttons()
    (released,) = events(app, log.Event.BRAKE_RELEASED)
    assert released.actor == "owner@acme.example"
    assert leave(entra, ids[2]) == 200
    # A second click finds nothing to do.
    assert "not engaged any more" in release(owner).statuses[0]
    assert len(events(app, log.Event.BRAKE_RELEASED)) == 1
    wait(app, hours=24.1)
    assert not owner.open().has("h5s-brake")
    # The next time is told again.
    assert [leave(entra, id) for id in (*people(entra, 3, "v"),)] == [200, 200, 403]
    assert len(mails) == 2


def test_without_its_limits_an_engaged_brake_is_not_spoken_of(
    app: Flask, entra: Entra, owner: Admin
) -> None:
    """A host that takes the limits away lets everybody pass; header and note say nothing else."""
    reconfigure(app, brake_users=1)
    ids = people(entra, 3)
    assert [leave(entra, id) for id in ids] == [200, 403, 403]
    assert "Brake engaged" in owner.open().text
    reconfigure(app, brake_users=None)
    page = owner.open()
    assert "Brake engaged" not in page.text
    assert not page.has("h5s-brake")
    assert leave(entra, ids[1]) == 200


@both_databases
def test_who_may_release(app: Flask, entra: Entra, owner: Admin) -> None:
    """An owner or admin with a licence who signed in a moment ago, by the page's own form."""
    reconfigure(app, brake_users=1)
    ids = people(entra, 2)
    assert [leave(entra, id) for id in ids] == [200, 403]
    form = csrf(owner)
    url = f"{URL}/brake/release"
    assert owner.client.post(url).status_code == 400
    assert owner.client.get(url).location == URL
    assert Admin(app, None).client.post(url, data=form).status_code in (302, 303)
    reader = Admin(app, add_user(app, "reader@acme.example", "reader"))
    assert reader.client.post(url, data=form).status_code == 403
    stranger = Admin(app, "owner@globex.example")
    assert stranger.client.post(url, data=csrf(stranger)).location == URL
    owner.forget_login()
    away = owner.client.post(url, data=form)
    assert (away.status_code, away.location.partition("?")[0]) == (303, "/login")
    assert standing(app).braked_at is not None
    assert leave(entra, ids[1]) == 403
    owner.sign_in("owner@acme.example")
    release(owner)
    assert leave(entra, ids[1]) == 200


def test_without_a_licence_it_can_be_read(
    app: Flask,
    entra: Entra,
    owner: Admin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The button is disabled, and its form refused."""
    reconfigure(app, brake_users=1)
    assert [leave(entra, id) for id in people(entra, 2)] == [200, 403]
    form = csrf(owner)
    monkeypatch.setattr(scim, "is_licensed", lambda account: False)
    assert "disabled" in owner.open().button("Release the brake")
    assert owner.client.post(f"{URL}/brake/release", data=form).status_code == 403
    assert standing(app).braked_at is not None


# The shell


def run(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=["scim", "brake", *words, "--account", "acme"])


@both_databases
def test_the_operator_sees_and_releases(app: Flask, entra: Entra) -> None:
    """What the page does, from the shell; with exit codes and JSON for scripts."""
    assert "Off: the application sets no limit." in run(app, "show").stdout
    reconfigure(app, brake_users=1)
    assert "Watching." in run(app, "show").stdout
    needless = run(app, "release")
    assert (needless.exit_code, needless.stdout) == (0, "")
    assert "not engaged" in needless.stderr
    ids = people(entra, 3)
    assert [leave(entra, id) for id in ids] == [200, 403, 403]
    shown = run(app, "show").stdout
    assert "Engaged: nobody else is deactivated or deleted." in shown
    assert "2 people were held back so far." in shown
    found = json.loads(run(app, "show", "--json").stdout)
    assert (found["state"], found["users"], found["held_back"]) == ("engaged", 1, 2)
    assert found["engaged_at"].startswith(f"{now():%Y-}")
    released = run(app, "release")
    assert (released.exit_code, released.stdout) == (0, "")
    assert "Until " in released.stderr
    assert "operator (shell)" in run(app, "show").stdout
    assert json.loads(run(app, "show", "--json").stdout)["state"] == "released"
    assert [leave(entra, id) for id in ids[1:]] == [200, 200]
    (entry,) = events(app, log.Event.BRAKE_RELEASED)
    assert entry.actor == "operator (shell)"
