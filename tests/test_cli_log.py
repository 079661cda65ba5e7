"""``flask scim log …``: the log in the shell."""

from __future__ import annotations

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask

from example_app.models import db
from example_app.provisioning import scim
from flask_h5mag_scim.cli import logs
from flask_h5mag_scim.records import log
from flask_h5mag_scim.records.models import now

from .conftest import Entra, both_databases, get_account


def run(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=["scim", "log", *words])


def rows(app: Flask, *words: str) -> list[dict[str, Any]]:
    result = run(app, *words, "--account", "acme", "--json")
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def add(app: Flask, *ages: timedelta, slug: str = "acme") -> None:
    """Entries that are so old."""
    with app.app_context():
        account = get_account(slug).id
        values = [
            {
                "account_id": account,
                "at": now() - age,
                "event": "token.saved",
                "kind": "setting",
                "actor": f"n{number}",
                "paths": [],
                "ignored": [],
                "changes": {},
            }
            for number, age in enumerate(ages)
        ]
        db.session.execute(sa.insert(scim.LogEntry), values)
        db.session.commit()


def count(app: Flask) -> int:
    with app.app_context():
        return db.session.scalar(sa.select(sa.func.count()).select_from(scim.LogEntry)) or 0


@both_databases
def test_tail_shows_the_newest_at_the_end(app: Flask, entra: Entra) -> None:
    """In the page's words, with what people are called now."""
    entra.user("ada", displayName="Ada Lovelace")
    entra.group("Editors")
    entra.post("/Users", {"userName": "ada@example.com", "externalId": "x"})
    result = run(app, "tail", "--account", "acme", "-n", "2")
    assert result.exit_code == 0
    first, second = result.stdout.splitlines()
    assert "Editors" in first
    assert "409 uniqueness" in second
    assert len(rows(app, "tail")) == 3
    for number in range(7):  # also more than there are
        assert len(rows(app, "tail", "-n", str(number))) == min(number, 3)
    assert run(app, "tail", "--account", "globex").stdout == ""


@both_databases
def test_the_filters_are_the_pages(app: Flask, entra: Entra) -> None:
    """What, about whom, and when; an unknown person is a mistake, never everything."""
    ada = entra.user("ada", displayName="Ada")
    entra.user("bob")
    entra.group("Editors")
    entra.post("/Users", {"userName": "ada@example.com", "externalId": "x"})
    entra.delete(f"/Users/{ada['id']}")
    assert [row["event"] for row in rows(app, "tail", "--what", "errors")] == ["request.refused"]
    assert [row["event"] for row in rows(app, "tail", "--what", "left")] == ["user.deleted"]
    about = rows(app, "tail", "--user", ada["id"])
    # Who was not created is found where the one is found that is in the way.
    about_ada = ["user.created", "request.refused", "user.deleted"]
    assert [row["event"] for row in about] == about_ada
    assert rows(app, "tail", "--about", "BOB@example.com")[0]["event"] == "user.created"
    assert rows(app, "tail", "--user", about[0]["request_id"]) == about[:1]
    assert rows(app, "tail", "--until", "1h") == []
    assert len(rows(app, "tail", "--since", "1h")) == 5
    today = datetime.now(UTC).date().isoformat()
    assert len(rows(app, "tail", "--since", today, "--until", today)) == 5
    unknown = run(app, "tail", "--account", "acme", "--user", "nobody")
    assert (unknown.exit_code, unknown.stdout) == (1, "")
    assert "Nothing in this account is called 'nobody'" in unknown.stderr
    wrong = run(app, "tail", "--account", "acme", "--since", "yesterday")
    assert wrong.exit_code == 2
    assert "how long ago" in wrong.stderr


@both_databases
def test_follow_goes_on_until_it_is_interrupted(
    app: Flask, entra: Entra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each entry once, also one that was begun before the last and is there after it; Ctrl-C
    is no error."""
    entra.user("ada")
    rounds = iter(range(4))

    def wait(seconds: float) -> None:
        match next(rounds):
            case 0:
                entra.user("bob")
            case 1:
                add(app, timedelta(seconds=5))
            case 2:
                pass
            case _:
                raise KeyboardInterrupt

    monkeypatch.setattr(logs.time, "sleep", wait)
    result = run(app, "tail", "--account", "acme", "-f", "--json", "-n", "5")
    assert result.exit_code == 0
    found = [json.loads(line)["event"] for line in result.stdout.splitlines()]
    assert found == ["user.created", "user.created", "token.saved"]


@both_databases
def test_show_has_everything_of_an_entry_and_of_a_request(app: Flask, entra: Entra) -> None:
    """With what an error means and what to do; another account's entries are not there."""
    entra.user("ada", displayName="Ada")
    entra.post("/Users", {"userName": "ada@example.com", "externalId": "x"})
    (refused,) = rows(app, "tail", "--what", "errors")
    for id in (str(refused["id"]), refused["request_id"].upper()):
        result = run(app, "show", id, "--account", "acme")
        assert result.exit_code == 0, result.output
        assert "409 uniqueness" in result.stdout
        assert refused["request_id"] in result.stdout
        assert "POST" in result.stdout
        assert "Who can fix it:" in result.stdout
        assert "1. " in result.stdout
        assert "ada@example.com" not in result.stdout
        elsewhere = run(app, "show", id, "--account", "globex")
        assert (elsewhere.exit_code, elsewhere.stdout) == (1, "")
    (shown,) = json.loads(run(app, "show", id, "--account", "acme", "--json").stdout)
    assert shown.pop("explanation")["steps"]
    assert shown == refused
    entra.get("/Users/gone")
    (gone,) = rows(app, "tail", "--what", "errors", "-n", "1")
    assert (gone["status"], gone["reason"]) == (404, "gone")
    shown_gone = run(app, "show", str(gone["id"]), "--account", "acme").stdout
    assert re.search(r"^Reason +gone$", shown_gone, re.MULTILINE), shown_gone
    for nothing in ("0", "999999999999999999", "9" * 40, "x"):
        assert run(app, "show", nothing, "--account", "acme").exit_code == 1


def test_what_others_wrote_gives_the_terminal_no_orders(app: Flask, entra: Entra) -> None:
    """Names come from customers' directories."""
    entra.user("ada", displayName="\x1b]0;owned\x07\x1b[31mAda\r\nroot")
    for words in (("tail",), ("show", "1")):
        output = run(app, *words, "--account", "acme").stdout
        assert "Ada" in output
        assert "\x1b" not in output
        assert "\x07" not in output
        assert "\r" not in output
        assert "\nroot" not in output


@both_databases
def test_export_is_what_the_page_exports(app: Flask, entra: Entra, tmp_path: Path) -> None:
    """CSV or JSON, to a file or to standard output, and the log says that it was."""
    entra.user("ada")
    entra.group("Editors")
    file = tmp_path / "log.csv"
    result = run(app, "export", "--account", "acme", "-o", str(file))
    assert (result.exit_code, result.stdout) == (0, "")
    lines = list(csv.DictReader(io.StringIO(file.read_text())))
    assert [line["event"] for line in lines] == ["group.created", "user.created"]
    result = run(app, "export", "--account", "acme", "--format", "json", "--what", "groups")
    assert [row["event"] for row in json.loads(result.stdout)] == ["group.created"]
    exported = [row for row in rows(app, "tail") if row["event"] == "log.exported"]
    assert len(exported) == 2
    assert {row["actor"] for row in exported} == {"operator (shell)"}
    assert "JSON" in exported[1]["detail"]


def test_an_export_is_utf_8_whatever_the_terminal_is(app: Flask, entra: Entra) -> None:
    """On standard output as in a file: what is masked has no letter in most encodings."""
    entra.user("ada")
    runner = app.test_cli_runner(charset="latin-1")
    for form in ("csv", "json"):
        words = ["scim", "log", "export", "--account", "acme", "--format", form]
        result = runner.invoke(args=words)
        assert result.exit_code == 0, result.stderr
        assert "a•••@" in result.stdout_bytes.decode()


def test_an_export_that_breaks_off_leaves_no_file(
    app: Flask, entra: Entra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a log looks like a whole one."""
    entra.user("ada")

    def fail(*words: Any, **options: Any) -> Any:
        raise sa.exc.OperationalError("SELECT", {}, Exception("gone away"))

    monkeypatch.setattr(log, "page", fail)
    file = tmp_path / "log.csv"
    result = run(app, "export", "--account", "acme", "-o", str(file))
    assert result.exit_code == 1
    assert "gone away" in result.stderr
    assert list(tmp_path.glob("log*")) == []


def test_tail_says_which_token_or_directory_it_was(app: Flask) -> None:
    """Of two that were saved at night one wants to know which."""
    words = ["scim", "token", "create", "--account", "acme", "--name", "Terraform"]
    app.test_cli_runner().invoke(args=words)
    result = run(app, "tail", "--account", "acme", "-n", "1")
    assert "Saved a token" in result.stdout
    assert "Terraform (" in result.stdout


@both_databases
def test_prune_removes_what_is_older_than_the_retention(app: Flask) -> None:
    """Of all accounts, in batches that are each done; --dry-run only says how many."""
    day = timedelta(days=1)
    add(app, day * 95, slug="globex")
    add(app, *(day * n for n in (90, 80, 70, 40, 31, 29, 3)))
    dry = run(app, "prune", "--dry-run")
    assert (dry.exit_code, dry.stdout) == (0, "")
    assert ": about 6. Nothing was removed." in dry.stderr
    assert count(app) == 8
    result = run(app, "prune", "--batch", "2", "--older-than", "75", "--json")
    assert json.loads(result.stdout)["removed"] == 3
    assert count(app) == 5
    result = run(app, "prune", "--batch", "1")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.endswith(": 3.\n")
    assert [row["actor"] for row in rows(app, "tail")] == ["n5", "n6"]
    assert run(app, "prune").stderr == ""  # cron has nothing to mail
    assert run(app, "prune", "--older-than", "0").exit_code == 2


@both_databases
def test_how_many_there_are_takes_a_few_looks(app: Flask, statements: Any) -> None:
    """However long the log is: their ids are in the order of time."""
    add(app, *(timedelta(minutes=n) for n in range(3000, 0, -1)))
    with app.app_context(), statements() as seen:
        before = now() - timedelta(minutes=1000, seconds=30)
        assert log.how_many(db.session, scim.records, before=before) == 2000
        assert log.how_many(db.session, scim.records, before=now()) == 3000
        assert log.how_many(db.session, scim.records, before=now() - timedelta(days=9)) == 0
    assert len(seen) < 3 * 16
