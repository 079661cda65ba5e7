"""What somebody tries who chose a text: to speak to a terminal, a mail or a file with it. And
who comes too late: to go on with what was revoked meanwhile."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from example_app.models import User, db
from example_app.provisioning import scim
from flask_h5mag_scim.config import LogValues
from flask_h5mag_scim.records import locks, log
from flask_h5mag_scim.records.models import now
from flask_h5mag_scim.web import bearer, danger, journal, warnings
from flask_h5mag_scim.web import bulk as bulk_view

from .conftest import Entra, both_databases, error_of, get_account
from .web.test_activity import URL, write
from .web.test_pages import URL as PAGE
from .web.test_pages import Admin, owner, reconfigure

__all__ = ["owner"]  # the fixture

#: Titles of windows and colours: as ECMA-48 has them, in seven bits and in eight.
ORDERS = "\x1b]0;owned\x07\x1b[31m\x9b31m\x7f"


def shell(app: Flask, *words: str) -> str:
    answer = app.test_cli_runner().invoke(args=["scim", *words])
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_a_token_s_name_is_one_plain_line(app: Flask) -> None:
    """Also one from the shell: it stands in logs, in tables and in the subjects of mails."""
    name = f"Entra{ORDERS}\r\nBcc: \u202eeverybody"
    shell(app, "token", "create", "--account", "acme", "--name", name)
    (found,) = json.loads(shell(app, "token", "list", "--account", "acme", "--json"))
    assert found["name"] == "Entra]0;owned[31m31m Bcc: everybody"


def test_a_workload_identity_s_name_is_one_plain_line(app: Flask) -> None:
    """The log says it as the actor of all that it does."""
    id = "8f14e45f-ceea-467f-a1d2-3b5c6d7e8f90"
    whose = ["--account", "acme", "--tenant", id, "--subject", id, "--audience", f"api://{id}"]
    shell(app, "oauth", "trust", *whose, "--name", f"Entra{ORDERS}\r\nDisconnected by Ada")
    (found,) = json.loads(shell(app, "oauth", "list", "--account", "acme", "--json"))
    assert found["name"] == "Entra]0;owned[31m31m Disconnected by Ada"


def test_a_mail_s_subject_is_one_line(
    app: Flask, entra: Entra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody writes a header of the host's mail with the name of a token."""
    subjects: list[str] = []
    monkeypatch.setattr(
        scim, "mail_admins", lambda account, subject, text: subjects.append(subject)
    )
    with app.app_context():
        db.session.execute(
            sa.update(scim.Token).values(
                name="Entra\r\nBcc: everybody@example.com", expires_at=now() + timedelta(days=2)
            )
        )
        db.session.commit()
        warnings.tell(get_account())
    (subject,) = subjects
    assert "Bcc: everybody@example.com" in subject
    assert subject.splitlines() == [subject]


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_file_gives_a_terminal_no_orders(
    app: Flask, owner: Admin, entra: Entra, form: str
) -> None:
    """Somebody will look at it with "cat"; nor does the shell, to which it can be written."""
    reconfigure(app, log_values=LogValues.FULL)
    entra.user(displayName=f"Ada{ORDERS}")
    write(app, log.Event.WARNED, detail=f"two\nlines{ORDERS}", changes={"x": [None, ORDERS]})
    file: Any = owner.client.get(f"{URL}/export.{form}").data.decode()
    printed = shell(app, "log", "export", "--account", "acme", "--format", form)
    for text in (file, printed):
        assert "Ada" in text
        assert not set(text) & set(ORDERS) - set("]0;owned[31m")
    if form == "json":
        assert [entry["detail"] for entry in json.loads(file)] == [f"two\nlines{ORDERS}", None]


@pytest.mark.parametrize("words", [["tail"], ["show", "{id}"]])
def test_json_in_the_shell_gives_a_terminal_no_orders(
    app: Flask, entra: Entra, words: list[str]
) -> None:
    """It is JSON with everything in it all the same."""
    id = write(app, log.Event.WARNED, detail=f"Ada{ORDERS}")
    wanted = [word.format(id=id) for word in words]
    text = shell(app, "log", *wanted, "--account", "acme", "--json")
    assert not set(text) & set(ORDERS) - set("]0;owned[31m")
    found = json.loads(text)
    assert (found if isinstance(found, dict) else found[0])["detail"] == f"Ada{ORDERS}"


def test_an_export_is_written_into_nobody_else_s_file(
    app: Flask, entra: Entra, tmp_path: Path
) -> None:
    """In a folder that others write to as well, what they have put there is neither filled nor
    followed."""
    entra.user()
    mine, theirs = tmp_path / "log.csv", tmp_path / "theirs"
    theirs.write_text("theirs")
    (tmp_path / "log.csv.part").symlink_to(theirs)
    shell(app, "log", "export", "--account", "acme", "--output", str(mine))
    assert theirs.read_text() == "theirs"
    assert "user.created" in mine.read_text()
    assert mine.stat().st_mode & 0o777 == 0o600
    assert len(list(tmp_path.glob("log.csv*"))) == 2


@pytest.mark.parametrize("values", list(LogValues))
def test_what_cannot_be_logged_is_not_told_to_the_application_s_log(
    app: Flask,
    entra: Entra,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    values: LogValues,
) -> None:
    """When the database fails at that very moment, no name gets out beside the account's log:
    not that of the refusal, nor of what the database gave up before it was tried again."""
    reconfigure(app, log_values=values)
    entra.user("lovelace")

    def fail(*args: Any, **options: Any) -> None:
        raise sa.exc.OperationalError("INSERT INTO scim_log", options, Exception("disk full"))

    class Deadlock(Exception):
        sqlstate = "40P01"

    tried: list[Any] = []

    def give_up_once(session: Any, model: Any) -> None:
        tried.append(model)
        if len(tried) == 1:
            raise sa.exc.OperationalError("UPDATE", {"username": "lovelace"}, Deadlock())

    monkeypatch.setattr(locks, "begin_write", give_up_once)
    monkeypatch.setattr(log, "record", fail)
    answer = entra.post("/Users", {"userName": "lovelace@example.com", "title": "Lovelace"})
    assert "lovelace@example.com" in error_of(answer, 409, "uniqueness")
    assert tried == [User, User]
    assert "a refusal could not be logged" in caplog.text
    assert "lovelace" not in caplog.text.lower()


def bulk(*operations: dict[str, Any]) -> dict[str, Any]:
    return {"Operations": list(operations)}


NEW = {"userName": "late@example.com", "active": True}
ON = {"op": "replace", "path": "active", "value": True}


@both_databases
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/Users/{id}", {"Operations": [ON]}),
        ("PUT", "/Users/{id}", {"userName": "ada@example.com", "active": True}),
        ("POST", "/Users", NEW),
        ("POST", "/Bulk", bulk({"method": "POST", "path": "/Users", "bulkId": "x", "data": NEW})),
    ],
    ids=["patch", "put", "create", "bulk"],
)
def test_who_came_in_before_a_disconnection_provisions_nobody_after_it(
    app: Flask,
    owner: Admin,
    entra: Entra,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    body: dict[str, Any],
) -> None:
    """A request that was let in, and waits while everybody is deactivated, brings nobody back."""
    id = entra.user("ada")["id"]
    page, admit, came, go = owner.open(f"{PAGE}/disconnect"), bearer.admit, Event(), Event()

    def admit_and_wait(state: Any, caller: bearer.Caller) -> None:
        admit(state, caller)
        state.session.rollback()
        came.set()
        assert go.wait(60)

    with monkeypatch.context() as patched, ThreadPoolExecutor(1) as pool:
        patched.setattr(bearer, "admit", admit_and_wait)
        late = pool.submit(
            Entra(app.test_client(), entra.token).send, method, path.format(id=id), body
        )
        assert came.wait(60)
        patched.setattr(bearer, "admit", admit)
        answer = owner.press(page, "disconnect", people="deactivate")
        assert answer.status_code == 303, answer.text
        go.set()
        assert late.result().status_code == 401
    with app.app_context():
        here = db.session.scalars(sa.select(User).filter_by(account_id=get_account().id)).all()
        assert [user.username for user in here if user.active] == ["owner@acme.example"]


@both_databases
def test_a_bulk_request_is_not_done_that_was_begun_before_a_pause(
    app: Flask, owner: Admin, entra: Entra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may take long, and whoever pauses means it as well: nothing of it is kept."""
    read = bulk_view.read_bulk

    def pause_and_read(*args: Any, **options: Any) -> Any:
        with app.app_context():
            account = get_account()
            danger.pause(account, by="somebody")
        return read(*args, **options)

    monkeypatch.setattr(bulk_view, "read_bulk", pause_and_read)
    operation = {"method": "POST", "path": "/Users", "bulkId": "x", "data": NEW}
    answer = entra.post("/Bulk", bulk(operation))
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    with app.app_context():
        assert not db.session.scalars(sa.select(User).filter_by(username=NEW["userName"])).all()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_bulk_request_under_way_stops_no_disconnection(
    app: Flask, owner: Admin, entra: Entra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds somebody whom the disconnection waits for, and then waits for somebody whom the
    disconnection holds: the database gives one of them up, and everybody is deactivated."""
    first, last = sorted(entra.user(f"u{number}")["id"] for number in range(2))
    page, record, holds, go = owner.open(f"{PAGE}/disconnect"), journal.record, Event(), Event()

    def record_and_wait(*what: Any) -> None:
        record(*what)
        if not holds.is_set():
            holds.set()
            assert go.wait(60)

    def entitle(id: str) -> dict[str, Any]:
        operation = {"op": "replace", "path": "title", "value": "Dr"}
        return {"method": "PATCH", "path": f"/Users/{id}", "data": {"Operations": [operation]}}

    monkeypatch.setattr(journal, "record", record_and_wait)
    with ThreadPoolExecutor(2) as pool:
        late = pool.submit(
            Entra(app.test_client(), entra.token).post,
            "/Bulk",
            bulk(entitle(last), entitle(first)),
        )
        assert holds.wait(60)
        answer = pool.submit(owner.press, page, "disconnect", people="deactivate")
        wait_for_lock(app)
        go.set()
        assert answer.result().status_code == 303
        assert late.result().status_code in {200, 401}
    with app.app_context():
        here = db.session.scalars(sa.select(User).filter_by(account_id=get_account().id)).all()
        assert [user.username for user in here if user.active] == ["owner@acme.example"]


def wait_for_lock(app: Flask) -> None:
    """Until somebody waits for a row that somebody else holds."""
    waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    with app.app_context(), db.engine.connect() as connection:
        for _ in range(600):
            if connection.scalar(waiting):
                return
            connection.rollback()
            time.sleep(0.05)
    pytest.fail("nobody waits")
