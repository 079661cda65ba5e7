"""What an account's admins are told before it hurts: each cause once, by whoever notices first,
and again when it had gone."""

# ruff: noqa: F401, F811, the fixtures are those of test_pages and test_brake

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa
from blinker import Signal
from click.testing import Result
from flask import Flask

import flask_h5mag_scim
from example_app.models import Account, db
from example_app.provisioning import scim
from flask_h5mag_scim.cli import warn
from flask_h5mag_scim.records import accounts, brake, log, providers, tokens
from flask_h5mag_scim.records.models import Mode, now
from flask_h5mag_scim.records.providers import Settings
from flask_h5mag_scim.records.warnings import Kind, step
from flask_h5mag_scim.web import warnings
from flask_h5mag_scim.web.status import FAILURES

from ..conftest import PUBLIC_URL, Entra, both_databases, get_account, make_token
from .test_brake import leave, mails, people
from .test_pages import TENANT, URL, Admin, owner, reconfigure

SIGNALS: dict[str, Signal] = {
    name: getattr(flask_h5mag_scim, name)
    for name in (
        "token_expiring",
        "sso_secret_expiring",
        "provisioning_quiet",
        "provisioning_failing",
        "brake_engaged",
    )
}


@pytest.fixture
def heard(app: Flask) -> Iterator[list[tuple[str, str, dict[str, Any]]]]:
    """Every signal that warns: its name, the account and what it carries."""
    found: list[tuple[str, str, dict[str, Any]]] = []
    receivers = []
    for name, signal in SIGNALS.items():

        def listen(sender: Flask, account: Account, name: str = name, **evidence: Any) -> None:
            if "token" in evidence:
                evidence["token"] = evidence["token"].name
            found.append((name, account.slug, evidence))

        signal.connect(listen, app)
        receivers.append((signal, listen))
    yield found
    for signal, listen in receivers:
        signal.disconnect(listen, app)


def tell(app: Flask, slug: str = "acme") -> list[Kind]:
    """What is told now of an account."""
    with app.app_context():
        account = get_account(slug)
        return [warning.kind for warning in warnings.tell(account)]


def run(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=["scim", "warn", *words])


def change_tokens(app: Flask, slug: str = "acme", name: str = "test", **values: Any) -> None:
    """Write to the tokens of a name beside every rule."""
    with app.app_context():
        found = sa.update(scim.Token).filter_by(account_id=get_account(slug).id, name=name)
        db.session.execute(found.values(values))
        db.session.commit()


def add_token(app: Flask, name: str, slug: str = "acme", **values: Any) -> None:
    """An active token, the newest."""
    with app.app_context():
        token, _ = tokens.create(
            db.session,
            scim.records,
            get_account(slug).id,
            name=name,
            expires_at=None,
            created_by="owner@acme.example",
        )
        for key, value in values.items():
            setattr(token, key, value)
        db.session.commit()


def entries(app: Flask, event: log.Event = log.Event.WARNED, slug: str = "acme") -> list[str]:
    with app.app_context():
        found = log.recent(db.session, scim.records, get_account(slug).id, limit=200)
        return [entry.detail or "" for entry in reversed(found) if entry.event == event]


def fail(app: Flask, count: int, slug: str = "acme") -> None:
    """As many failed requests a moment ago."""
    with app.app_context():
        for _ in range(count):
            log.record(
                db.session,
                scim.records,
                get_account(slug).id,
                log.Event.REFUSED,
                method="POST",
                status=409,
                detail="userName … belongs to another User.",
            )
        db.session.commit()


# What is told


@both_databases
def test_a_token_that_ends(app: Flask, entra: Entra, mails: list[Any], heard: list[Any]) -> None:
    """Once each at 30, 14 and 3 days and at the end, with its name and what to do."""
    for left, days, title in (
        (timedelta(days=31), None, None),
        (timedelta(days=29, hours=1), 29, "expires in 29 days"),
        (timedelta(days=20), None, None),
        (timedelta(days=13, hours=23), 13, "expires in 13 days"),
        (timedelta(days=2, hours=23), 2, "expires in 2 days"),
        (timedelta(hours=2), None, None),
        (timedelta(hours=-1), 0, "has expired"),
        (timedelta(days=-9), None, None),
    ):
        ends = now() + left
        change_tokens(app, expires_at=ends)
        heard.clear()
        mails.clear()
        told = [*tell(app), *tell(app)]
        if days is None:
            assert told == heard == mails == [], left
            continue
        assert told == [Kind.TOKEN_EXPIRING], left
        evidence = {"token": "test", "expires_at": ends, "days": days}
        assert heard == [("token_expiring", "acme", evidence)]
        ((slug, subject, text),) = mails
        assert slug == "acme"
        assert subject.startswith("The API Token test (")
        assert title is not None
        assert subject.endswith(title)
        assert f"{ends:%Y-%m-%d %H:%M} UTC" in text
        assert text.endswith(f"{PUBLIC_URL}/account/provisioning\n")
        assert entra.token not in text
    assert len(entries(app)) == 4


def test_only_tokens_that_matter(app: Flask, entra: Entra) -> None:
    """The newest and the one in use; not one that was replaced, or revoked."""
    change_tokens(app, expires_at=now() + timedelta(days=10))
    add_token(app, "next", activated_at=now() + timedelta(seconds=1), last_used_at=now())
    assert tell(app) == []
    # Microsoft Entra still comes with the old one.
    change_tokens(app, last_used_at=now() + timedelta(seconds=1))
    assert tell(app) == [Kind.TOKEN_EXPIRING]
    change_tokens(app, revoked_at=now())
    assert tell(app) == []
    change_tokens(app, name="next", expires_at=now() + timedelta(days=10))
    assert tell(app) == [Kind.TOKEN_EXPIRING]


@both_databases
def test_microsoft_stays_away(app: Flask, entra: Entra, mails: list[Any], heard: list[Any]) -> None:
    """Each silence is told once, also when nobody looked in between."""
    assert entra.get("/Users").status_code == 200
    assert tell(app) == []
    last = now() - timedelta(hours=3)
    change_tokens(app, last_used_at=last)
    assert [*tell(app), *tell(app)] == [Kind.QUIET]
    assert heard == [("provisioning_quiet", "acme", {"last_request_at": last})]
    assert mails[0][1] == "Microsoft Entra has not been heard of for 3 hours"
    assert "quarantine" in mails[0][2]
    # It came, and then stayed away again.
    change_tokens(app, last_used_at=last + timedelta(minutes=30))
    assert tell(app) == [Kind.QUIET]
    # It came, somebody looked, and it stayed away as long as before.
    change_tokens(app, last_used_at=now())
    assert tell(app) == []
    change_tokens(app, last_used_at=last)
    assert tell(app) == [Kind.QUIET]


@both_databases
def test_many_failures(app: Flask, entra: Entra, mails: list[Any], heard: list[Any]) -> None:
    """Told once while they go on, and again after it was better for a day."""
    entra.get("/Users")
    fail(app, FAILURES - 1)
    assert tell(app) == []
    fail(app, 1)
    assert [*tell(app), *tell(app)] == [Kind.FAILING]
    fail(app, 3)
    assert tell(app) == []
    assert heard == [("provisioning_failing", "acme", {"failures": FAILURES})]
    assert mails[0][1] == f"{FAILURES} requests of Microsoft Entra failed within 1 day"
    assert "Activity" in mails[0][2]
    with app.app_context():
        for entry in db.session.scalars(sa.select(scim.LogEntry)):
            entry.at -= timedelta(hours=25)
        db.session.commit()
    assert tell(app) == []
    fail(app, FAILURES)
    assert tell(app) == [Kind.FAILING]


@both_databases
def test_the_brake(app: Flask, entra: Entra, mails: list[Any], heard: list[Any]) -> None:
    """Told at once; what it holds back is no failure besides. If that did not come through,
    the next one who looks tells it."""
    reconfigure(app, brake_users=1)
    ids = people(entra, 2)
    leave(entra, ids[0])
    for _ in range(2 * FAILURES):
        assert leave(entra, ids[1]) == 403
    assert [name for name, *_ in heard] == ["brake_engaged"]
    assert tell(app) == []
    with app.app_context():
        db.session.execute(sa.delete(scim.records.Warning))
        db.session.commit()
    assert [*tell(app), *tell(app)] == [Kind.BRAKE_ENGAGED]
    assert len(mails) == 2
    # A host that takes the brake away is not told of it any more.
    reconfigure(app, brake_users=None)
    assert tell(app) == []
    assert leave(entra, ids[1]) == 200


@both_databases
def test_a_secret_that_ends(app: Flask, mails: list[Any], heard: list[Any]) -> None:
    """Under the same roof as the others: by mail too."""
    ends = now() + timedelta(days=10, hours=1)
    with app.app_context():
        wanted = Settings(
            cloud="global",
            tenant_id=TENANT,
            mode=Mode.REDIRECT,
            client_id="3c1f6a34-7c7e-4a0a-9a1e-5b8a7f0c2d11",
            client_secret="sealed",
            secret_expires_at=ends,
        )
        providers.configure(db.session, scim.records, get_account().id, wanted, by="test")
        db.session.commit()
    assert [*tell(app), *tell(app)] == [Kind.SECRET_EXPIRING]
    assert heard == [("sso_secret_expiring", "acme", {"expires_at": ends, "days": 10})]
    assert mails[0][1] == "The secret of your app registration expires in 10 days"
    assert len(entries(app, log.Event.SSO_SECRET_EXPIRING)) == 1
    assert entries(app) == []


def test_several_at_once(app: Flask, entra: Entra, mails: list[Any]) -> None:
    """All of them are told, the first to be seen to first."""
    ends = now() + timedelta(days=1)
    change_tokens(app, expires_at=ends, last_used_at=now() - timedelta(hours=5))
    fail(app, FAILURES)
    assert tell(app) == [Kind.TOKEN_EXPIRING, Kind.FAILING, Kind.QUIET]
    assert len(mails) == len(entries(app)) == 3
    assert entries(app)[0] == mails[0][1]


# What is not told


def test_who_is_not_warned(app: Flask, entra: Entra, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not begun, who has paused it, and who has no licence."""
    assert tell(app, "globex") == []
    assert tell(app) == []  # it has a token, and nobody ever came
    change_tokens(app, last_used_at=now() - timedelta(hours=5))
    fail(app, FAILURES)
    with app.app_context():
        accounts.pause(db.session, scim.records, get_account().id, by="owner@acme.example")
        db.session.commit()
    assert tell(app) == []
    with app.app_context():
        accounts.resume(db.session, scim.records, get_account().id)
        db.session.commit()
    monkeypatch.setattr(scim, "is_licensed", lambda account: False)
    change_tokens(app, expires_at=now() + timedelta(days=1))
    assert tell(app) == []


def test_requests_of_microsoft_tell_nothing(app: Flask, entra: Entra, statements: Any) -> None:
    """SCIM is as fast as it was: nothing is looked up for warnings."""
    change_tokens(app, expires_at=now() + timedelta(days=1))
    with statements() as seen:
        entra.user("ada")
    assert not any("scim_warning" in statement for statement in seen)
    assert tell(app) == [Kind.TOKEN_EXPIRING]


# Who tells it


@both_databases
def test_an_admin_opens_the_page(app: Flask, entra: Entra, owner: Admin, mails: list[Any]) -> None:
    """Without any cron: once, however often it is opened."""
    change_tokens(app, expires_at=now() + timedelta(days=2))
    owner.open()
    owner.open()
    assert [slug for slug, *_ in mails] == ["acme"]
    assert len(entries(app)) == 1


@both_databases
def test_a_draft_that_goes_while_admins_are_told(
    app: Flask, entra: Entra, owner: Admin, mails: list[Any]
) -> None:
    """Another admin generates a token at that very moment: the page is there all the same."""
    owner.generate()
    with app.app_context():
        engine, Token = db.engine, scim.Token

    def discard(sender: Any, **evidence: Any) -> None:
        with engine.begin() as connection:
            gone = connection.execute(sa.delete(Token).where(Token.activated_at.is_(None)))
            assert gone.rowcount == 1

    change_tokens(app, expires_at=now() + timedelta(days=2))
    with SIGNALS["token_expiring"].connected_to(discard):
        page = owner.open()
    assert len(mails) == 1
    assert page.pill.startswith("Token not saved")


@both_databases
def test_two_processes_tell_once(app: Flask, entra: Entra, mails: list[Any]) -> None:
    """Of those that look at the same moment one tells it."""
    for round in range(5):
        ends = now() + timedelta(days=[29, 13, 2][round % 3])
        with app.app_context():
            db.session.execute(sa.delete(scim.records.Warning))
            db.session.commit()
        change_tokens(app, expires_at=ends, last_used_at=now() - timedelta(hours=3))
        mails.clear()
        barrier = Barrier(4)

        def look(number: int, barrier: Barrier = barrier) -> list[Kind]:
            barrier.wait()
            return tell(app)

        with ThreadPoolExecutor(4) as pool:
            told = [kind for kinds in pool.map(look, range(4)) for kind in kinds]
        assert sorted(told) == [Kind.QUIET, Kind.TOKEN_EXPIRING]
        assert len(mails) == 2


def test_a_mail_that_fails(
    app: Flask,
    entra: Entra,
    heard: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Reaches nobody but the application's log: the others are told, and the page opens."""

    def refuse(account: Any, subject: str, text: str) -> None:
        raise OSError("no mail today")

    monkeypatch.setattr(scim, "mail_admins", refuse)
    change_tokens(
        app, expires_at=now() + timedelta(days=1), last_used_at=now() - timedelta(hours=5)
    )
    Admin(app).open()
    assert [name for name, *_ in heard] == ["token_expiring", "provisioning_quiet"]
    assert caplog.text.count("mail_admins failed for: ") == 2
    assert len(entries(app)) == 2


# The shell


@both_databases
def test_cron_warns_every_account(
    app: Flask, entra: Entra, other_entra: Entra, mails: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In batches, once; what it told stands in a table or as JSON."""
    monkeypatch.setattr(warn, "_BATCH", 1)
    make_token(app, "umbrella")
    for slug in ("acme", "globex", "umbrella"):
        change_tokens(app, slug, expires_at=now() + timedelta(days=2))
    result = run(app, "--account", "globex")
    assert result.exit_code == 0
    assert "token_expiring" in result.stdout
    assert "Accounts looked at: 1. Warnings told: 1." in result.stderr
    result = run(app, "--json")
    assert result.exit_code == 0
    with app.app_context():
        acme = str(get_account().id)
    (one,) = json.loads(result.stdout)
    assert (one["account"], one["warning"]) == (acme, "token_expiring")
    assert one["title"].startswith("The API Token test (")
    assert "Accounts looked at: 3. Warnings told: 1." in result.stderr
    result = run(app)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    assert json.loads(run(app, "--json").stdout) == []
    assert [slug for slug, *_ in mails] == ["globex", "acme"]


def test_one_account_that_fails_stops_no_other(
    app: Flask,
    entra: Entra,
    other_entra: Entra,
    mails: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The exit code says it to cron, and the application's log why."""
    for slug in ("acme", "globex"):
        change_tokens(app, slug, expires_at=now() + timedelta(days=2))

    def ask(account: Account) -> bool:
        if account.slug == "acme":
            raise RuntimeError("the billing system is away")
        return True

    monkeypatch.setattr(scim, "is_licensed", ask)
    result = run(app)
    assert result.exit_code == 1
    assert "Accounts that could not be looked at: 1." in result.stderr
    assert "the billing system is away" in caplog.text
    assert [slug for slug, *_ in mails] == ["globex"]


def test_an_account_that_is_not_there(app: Flask) -> None:
    """Said in a sentence."""
    result = run(app, "--account", "nobody")
    assert result.exit_code == 1
    assert "There is no account 'nobody'" in result.stderr


def test_no_address_is_made_up(app: Flask, entra: Entra, mails: list[Any]) -> None:
    """Where the host's public address is not configured, as in development, a mail from the
    shell has the path alone."""
    reconfigure(app, public_url=None)
    change_tokens(app, expires_at=now() + timedelta(days=2))
    run(app)
    assert mails[0][2].endswith("Provisioning & SSO: /account/provisioning\n")


@pytest.mark.parametrize(
    ("left", "due"),
    [
        (timedelta(days=30, seconds=1), None),
        (timedelta(days=30), 30),
        (timedelta(days=14), 14),
        (timedelta(days=3, seconds=1), 14),
        (timedelta(seconds=1), 3),
        (timedelta(0), 0),
        (timedelta(days=-400), 0),
    ],
)
def test_the_steps(left: timedelta, due: int | None) -> None:
    """The last one that has come counts."""
    at = datetime(2033, 2, 1)
    assert step(at + left, at) == due
