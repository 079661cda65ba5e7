"""The header of the page: each of its states comes from what has really happened."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from example_app.models import User, db
from example_app.provisioning import scim
from flask_h5mag_scim.records import federation, log, tokens
from flask_h5mag_scim.records.models import now
from flask_h5mag_scim.web import people

from ..conftest import Entra, both_databases, get_account, make_token
from .test_pages import (
    TENANT,
    URL,
    Admin,
    Page,
    change_token,
    configure,
    held,
    owner,
    reconfigure,
)

__all__ = ["owner"]  # a fixture


def switch(app: Flask, **values: Any) -> None:
    """What the danger zone or the brake would write."""
    with app.app_context():
        db.session.add(scim.records.AccountState(account_id=get_account().id, **values))
        db.session.commit()


def taken(entra: Entra, times: int = 1) -> None:
    """Requests that fail: the user name is somebody's."""
    entra.user("taken")
    for _ in range(times):
        body = {"userName": "taken@example.com", "externalId": "another"}
        assert entra.post("/Users", body).status_code == 409


# -- each state --------------------------------------------------------------------------


@both_databases
def test_from_not_set_up_to_connected(app: Flask, owner: Admin) -> None:
    """Generate, Save, the first request, the first people: the pill says what is next."""
    assert owner.open().pill.startswith("Not set up")
    made = owner.generate()
    assert made.pill == "Token not saved Press Save so that Microsoft Entra can use the token."
    assert owner.save(made).pill.startswith("Waiting for Microsoft Entra")
    entra = Entra(app.test_client(), made.token)
    assert entra.get("/Users").status_code == 200
    assert owner.open().pill == "Connected Last request just now. No users yet."
    entra.user("one")
    assert owner.open().pill == "Connected Last request just now. 1 user."
    entra.user("two")
    entra.group("Editors")
    assert owner.open().pill == "Connected Last request just now. 2 users, 1 group."
    change_token(app, made.token, last_used_at=now() - timedelta(minutes=4))
    assert owner.open().pill == "Connected Last request 4 min ago. 2 users, 1 group."


def test_what_comes_next_stands_above_generate(app: Flask, owner: Admin) -> None:
    """To copy before Save, to paste before Microsoft Entra has come, to replace from then on."""
    page = owner.open()
    assert "copy it and press Save. Then paste it" in page.id("h5s-next").text
    made = owner.generate()
    assert not made.has("h5s-next")
    assert "Copy it before you press Save" in made.id("h5s-token-hint").text
    saved = owner.save(made).id("h5s-next").text
    assert saved.startswith("Next, in Microsoft Entra: paste the Provisioning URL")
    assert "If you have not copied the token, generate a new one." in saved
    Entra(app.test_client(), made.token).get("/Users")
    assert owner.open().id("h5s-next").text.startswith("To replace the token in use")


def test_people_of_the_host_and_of_others_are_not_counted(
    app: Flask, owner: Admin, entra: Entra, other_entra: Entra
) -> None:
    """The header counts whom SCIM has written into this account; the owner was there before."""
    entra.user("mine")
    for n in range(3):
        other_entra.user(f"theirs{n}")
    other_entra.group("Theirs")
    assert owner.open().pill.endswith("1 user.")


@pytest.mark.parametrize(
    ("silent", "label"),
    [
        (timedelta(minutes=119), "Connected Last request 1 h ago."),
        (timedelta(minutes=121), "Quiet for 2 h Expected every 40 min."),
        (timedelta(hours=3), "Quiet for 3 h Expected every 40 min."),
        (timedelta(days=5), "Quiet for 5 days Expected every 40 min."),
    ],
)
def test_three_cycles_left_out_are_quiet(
    app: Flask, owner: Admin, silent: timedelta, label: str
) -> None:
    """Whoever left out one may be late; whoever never came is waited for."""
    change_token(app, make_token(app, "acme"), last_used_at=now() - silent)
    assert owner.open().pill.startswith(label)


def test_a_workload_identity_that_comes_keeps_the_account_from_being_quiet(
    app: Flask, owner: Admin
) -> None:
    """The last of all credentials counts."""
    change_token(app, make_token(app, "acme"), last_used_at=now() - timedelta(days=1))
    with app.app_context():
        trusted = federation.trust(
            db.session,
            scim.records,
            get_account().id,
            name="Contoso",
            cloud="global",
            tenant_id=TENANT,
            subject=TENANT,
            audience=f"api://{TENANT}",
            created_by="test",
        )
        trusted.last_used_at = now()
        db.session.commit()
    assert owner.open().pill.startswith("Connected Last request just now.")


@both_databases
def test_five_failed_requests_in_a_day_want_attention(
    app: Flask, owner: Admin, entra: Entra
) -> None:
    """Four do not, and those of yesterday no longer do."""
    taken(entra, 4)
    assert owner.open().pill.startswith("Connected")
    taken_again = {"userName": "taken@example.com", "externalId": "another"}
    entra.post("/Users", taken_again)
    page = owner.open()
    assert page.pill.startswith("Attention 5 failed requests in 24 h.")
    (link,) = [a for a in page.all("a") if a.text == "See what each of them needs"]
    assert "uniqueness" in owner.open(link["href"]).text
    with app.app_context():
        db.session.execute(sa.update(scim.LogEntry).values(at=now() - timedelta(hours=25)))
        db.session.commit()
    assert owner.open().pill.startswith("Connected")


def test_many_failures_are_counted_up_to_a_thousand(app: Flask, owner: Admin, entra: Entra) -> None:
    """What is read does not grow with them."""
    entra.get("/Users")
    with app.app_context():
        for _ in range(1001):
            log.record(db.session, scim.records, get_account().id, log.Event.REFUSED, status=409)
        db.session.commit()
    assert owner.open().pill.startswith("Attention 1000+ failed requests")


def test_tries_of_a_token_that_is_not_saved_are_no_failures(app: Flask, owner: Admin) -> None:
    """They are part of setting up: neither while it is a draft, nor once it is saved."""
    made = owner.generate()
    entra = Entra(app.test_client(), made.token)
    for _ in range(6):
        assert entra.get("/Users").status_code == 401
        change_token(app, made.token, last_used_at=None)  # a minute passes
    with app.app_context():
        tries = log.recent(db.session, scim.records, get_account().id, limit=10)
        assert len([entry for entry in tries if entry.status == 401]) == 6
    assert owner.open().pill.startswith("Token not saved")
    assert owner.save(owner.open()).pill.startswith("Waiting for Microsoft Entra")


def test_tries_of_a_revoked_token_are_failures(app: Flask, owner: Admin, entra: Entra) -> None:
    """Somebody forgot to paste the new token: that does not mend itself."""
    entra.get("/Users")
    old = make_token(app, "acme")
    change_token(app, old, revoked_at=now())
    stale = Entra(app.test_client(), old)
    for _ in range(5):
        assert stale.get("/Users").status_code == 401
        change_token(app, old, last_used_at=None)
    assert owner.open().pill.startswith("Attention 5 failed requests")


def test_being_asked_to_come_back_is_no_failure(app: Flask, owner: Admin, entra: Entra) -> None:
    """503 loses nothing, and after a pause nothing is left to do."""
    entra.get("/Users")
    with app.app_context():
        for _ in range(9):
            log.record(db.session, scim.records, get_account().id, log.Event.REFUSED, status=503)
        db.session.commit()
    assert owner.open().pill.startswith("Connected")


def test_another_accounts_failures_are_theirs(
    owner: Admin, entra: Entra, other_entra: Entra
) -> None:
    """Nothing of it shows here."""
    entra.get("/Users")
    taken(other_entra, 9)
    assert owner.open().pill.startswith("Connected")


@pytest.mark.parametrize(
    ("left", "label"),
    [
        (timedelta(days=31), "Waiting for Microsoft Entra"),
        (timedelta(days=9, hours=1), "Token expires in 9 days"),
        (timedelta(hours=5), "Token expires in less than a day"),
        (-timedelta(hours=1), "Token expired Microsoft Entra is refused"),
    ],
)
def test_the_end_of_the_token_in_use(app: Flask, owner: Admin, left: timedelta, label: str) -> None:
    """A month before, and when it has come."""
    change_token(app, make_token(app, "acme"), expires_at=now() + left)
    assert owner.open().pill.startswith(label)


def test_paused_and_by_whom(app: Flask, owner: Admin, entra: Entra) -> None:
    """It is not quiet then."""
    change_token(app, entra.token, last_used_at=now() - timedelta(days=2))
    switch(app, paused_at=now() - timedelta(hours=2), paused_by="admin@acme.example")
    page = owner.open()
    assert page.pill.startswith("Paused admin@acme.example paused provisioning 2 h ago.")
    link = page.one("a", href=f"{URL}?#h5s-danger")
    assert link.text == "Resume it in the danger zone"
    assert page.has("h5s-danger")


def test_without_a_licence_the_header_says_so(app: Flask) -> None:
    """Whatever else there is: Microsoft Entra is refused."""
    make_token(app, "umbrella", expires_in=timedelta(days=1))
    assert Admin(app, "owner@umbrella.example").open().pill.startswith("No licence")


# -- what comes first --------------------------------------------------------------------


def test_the_worst_that_wants_doing_comes_first(app: Flask, owner: Admin, entra: Entra) -> None:
    """Of everything at once: the brake, the pause, the draft, a token about to end, failures,
    silence, and a token that ends this month."""
    taken(entra, 5)
    silent = now() - timedelta(hours=3)
    change_token(app, entra.token, last_used_at=silent, expires_at=now() + timedelta(days=2))
    make_token(app, "acme", state="draft")
    switch(app, braked_at=now(), paused_at=now(), paused_by="admin@acme.example")
    reconfigure(app, brake_users=10)

    def label(**values: Any) -> str:
        with app.app_context():
            db.session.execute(sa.update(scim.records.AccountState).values(**values))
            db.session.commit()
        return owner.open().pill

    assert label(session_epoch=0).startswith("Brake engaged")
    assert label(braked_at=None).startswith("Paused")
    assert label(paused_at=None).startswith("Token not saved")
    owner.press(owner.open(), "discard")
    assert owner.open().pill.startswith("Token expires in 2 days")
    change_token(app, entra.token, expires_at=now() + timedelta(days=20))
    assert owner.open().pill.startswith("Attention")
    with app.app_context():
        db.session.execute(sa.delete(scim.LogEntry))
        db.session.commit()
    assert owner.open().pill.startswith("Quiet")
    change_token(app, entra.token, last_used_at=now())
    assert owner.open().pill.startswith("Token expires in 20 days")


# -- tokens ------------------------------------------------------------------------------


def test_when_a_token_came_first_is_kept(app: Flask, entra: Entra) -> None:
    """The first use stays while the last one moves on; tries before Save are no use of it."""

    def used() -> tuple[Any, Any]:
        with app.app_context():
            token = db.session.scalars(
                sa.select(scim.Token).filter_by(hash=tokens.hash_text(entra.token))
            ).one()
            return token.first_used_at, token.last_used_at

    assert used() == (None, None)
    entra.get("/Users")
    first, last = used()
    assert first == last is not None
    change_token(app, entra.token, last_used_at=last - timedelta(minutes=5))
    entra.get("/Users")
    assert used()[0] == first
    assert used()[1] > last - timedelta(minutes=5)

    owner = Admin(app)
    draft = owner.generate()
    entra.token = draft.token
    assert entra.get("/Users").status_code == 401
    assert None not in used()
    owner.save(draft)
    assert used() == (None, None)


def test_a_try_before_save_is_told_where_save_is(app: Flask, owner: Admin) -> None:
    """With its time, until the token is saved."""
    made = owner.generate()
    assert "tried this token" not in owner.open().text
    Entra(app.test_client(), made.token).get("/Users")
    note = owner.open().id("h5s-draft").text
    assert "Microsoft Entra tried this token at" in note
    assert "press Save" in note
    assert "tried this token" not in owner.save(owner.open()).text


@pytest.mark.parametrize("change", [{"role": "editor"}, {"active": False}])
def test_a_token_that_outlives_its_makers_role_is_pointed_out(
    app: Flask, owner: Admin, change: dict[str, Any]
) -> None:
    """The page says who made it; the token goes on working."""
    with app.app_context():
        leaver = User(account_id=get_account().id, username="leaver@acme.example", role="admin")
        leaver.password_hash = db.session.scalars(
            sa.select(User.password_hash).filter_by(username="owner@acme.example")
        ).one()
        db.session.add(leaver)
        db.session.commit()
    maker = Admin(app, "leaver@acme.example")
    made = maker.generate()
    maker.save(made)
    assert "who generated" not in owner.open().text
    with app.app_context():
        leaver = db.session.scalars(sa.select(User).filter_by(username="leaver@acme.example")).one()
        for name, value in change.items():
            setattr(leaver, name, value)
        db.session.commit()
    assert "leaver@acme.example, who generated the token" in owner.open().notes
    assert "no longer manages this account" in owner.open().notes
    assert Entra(app.test_client(), made.token).get("/Users").status_code == 200
    with app.app_context():
        db.session.execute(sa.delete(User).filter_by(username="leaver@acme.example"))
        db.session.commit()
    assert "is not a user of this account" in owner.open().notes


def test_a_token_from_the_shell_outlives_nobody(app: Flask, owner: Admin) -> None:
    """The operator is no user of the account, and is not missed."""
    run = app.test_cli_runner().invoke
    done = run(args=["scim", "token", "create", "--account", "acme", "--name", "shell"])
    assert done.exit_code == 0, done.output
    assert held(app) == [("active", "shell")]
    assert "who generated" not in owner.open().text


# -- what it costs -----------------------------------------------------------------------


def fill(app: Flask, size: int) -> None:
    """So many users, failures, changes with ignored attributes and former tokens."""
    with app.app_context():
        key = get_account().id
        people = [
            User(account_id=key, username=f"u{size}-{n}@acme.example", external_id=f"x{size}-{n}")
            for n in range(size)
        ]
        db.session.add_all(people)
        db.session.flush()
        db.session.add_all(
            scim.UserLink(account_id=key, user_id=user.id, provisioned_at=now()) for user in people
        )
        for n in range(size):
            log.record(db.session, scim.records, key, log.Event.REFUSED, status=409)
            log.record(
                db.session,
                scim.records,
                key,
                log.Event.USER_UPDATED,
                resource_type="User",
                ignored=[f"title{n}"],
            )
        for _ in range(min(size, 100)):
            token, _text = tokens.issue(db.session, scim.records, key, created_by="x")
            tokens.activate(db.session, scim.records, token, name="x", expires_at=None)
            tokens.revoke(token)
        db.session.commit()


@both_databases
def test_the_page_costs_the_same_however_much_there_is(
    app: Flask, owner: Admin, entra: Entra, statements: Callable[[], Any]
) -> None:
    """A bounded number of statements, for 10 and for 1,000 of everything."""
    entra.get("/Users")
    configure(app)
    counted = []
    for size in (10, 1000):
        fill(app, size)
        owner.open()  # what the first visit tells, it tells once
        with statements() as seen:
            page = owner.open()
        assert "Attention" in page.pill
        with statements() as seen_live:
            assert owner.client.get(f"{URL}/live").status_code == 200
        counted.append((len(seen), len(seen_live)))
    assert counted[0] == counted[1]
    assert counted[0][0] <= 22
    assert counted[0][1] <= 15


@both_databases
def test_of_a_large_directory_those_who_came_last_are_looked_at(
    app: Flask, owner: Admin, entra: Entra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is said of object ids is said of those who came last; it names how many. Everybody
    is in the header's count."""
    configure(app)
    for name in ("ada", "bob"):
        entra.user(name)
    entra.user("nick", externalId="nick")
    monkeypatch.setattr(people, "NEWEST", 2)
    for page in (owner.open(), Page(owner.client.get(f"{URL}/live"))):
        assert page.id("h5s-step-mapping").text == "To do"
        assert page.pill.endswith("3 users.")
    text = owner.open().text
    assert "Who may sign in (1 of the last 2 cannot yet)" in text
    assert "1 of the last 2 users who were provisioned have an externalId" in text
    assert "1 of the last 2 users who were provisioned have no Microsoft link yet." in text
    for name in ("kim", "lee"):
        entra.user(name)
    for page in (owner.open(), Page(owner.client.get(f"{URL}/live"))):
        assert page.id("h5s-step-mapping").text == "Done"
    text = owner.open().text
    assert "The last 2 users who were provisioned have an object ID as externalId." in text
    assert "The last 2 users who were provisioned can be found at Microsoft." in text


def test_the_live_address_is_the_managers_and_changes_nothing(app: Flask, owner: Admin) -> None:
    """Nobody else reads it, nothing is written, no cookie is renewed, and it has the same words
    as the page."""
    made = owner.generate()
    Entra(app.test_client(), made.token).get("/Users")
    with owner.client.session_transaction() as session:
        session.permanent = True
        before = dict(session)
    writes: list[str] = []

    def note(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if not statement.startswith(("SELECT", "BEGIN", "PRAGMA")):
            writes.append(statement)

    with app.app_context():
        engine = db.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    answer = owner.client.get(f"{URL}/live")
    sa.event.remove(engine, "before_cursor_execute", note)
    assert answer.status_code == 200
    assert writes == []
    assert "Set-Cookie" not in answer.headers
    assert "Set-Cookie" in owner.client.get(URL).headers, "which renews it, as any visit does"
    assert answer.headers["Cache-Control"] == "no-store"
    with owner.client.session_transaction() as session:
        assert dict(session) == before
    fresh = Page(answer)
    assert fresh.pill == owner.open().pill
    assert fresh.id("h5s-draft").text == owner.open().id("h5s-draft").text
    assert made.token not in fresh.html
    assert not fresh.all("input")

    with app.app_context():
        reader = User(account_id=get_account().id, username="reader@acme.example", role="reader")
        reader.password_hash = db.session.scalars(
            sa.select(User.password_hash).filter_by(username="owner@acme.example")
        ).one()
        db.session.add(reader)
        db.session.commit()
    assert Admin(app, "reader@acme.example").client.get(f"{URL}/live").status_code == 403
    anonymous = app.test_client().get(f"{URL}/live")
    assert anonymous.status_code == 401
    assert "Set-Cookie" not in anonymous.headers
    # Who manages several accounts is not told of one on the page of another.
    address = owner.open().all("div", class_="h5s")[0]["data-h5s-live-at"]
    assert owner.client.get(address).status_code == 200
    assert Admin(app, "owner@globex.example").client.get(address).status_code == 409
    stranger = Page(Admin(app, "owner@globex.example").client.get(f"{URL}/live"))
    assert stranger.pill.startswith("Not set up")
    assert tokens.hash_text(made.token)[:6] not in stranger.html
