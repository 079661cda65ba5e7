"""Pausing provisioning and disconnecting Microsoft Entra, through HTTP."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from example_app.models import Account, Team, TeamMember, User, db
from example_app.provisioning import scim
from flask_h5mag_scim import signals
from flask_h5mag_scim.config import LogValues
from flask_h5mag_scim.protocol.errors import Forbidden
from flask_h5mag_scim.provisioning.users import UserResource
from flask_h5mag_scim.records import accounts, federation, links, log, tokens
from flask_h5mag_scim.records.models import LogEntryMixin, Mode, now
from flask_h5mag_scim.web import danger

from ..conftest import Entra, both_databases, error_of, get_account, make_token
from .test_oauth import ask_with_secret, granted
from .test_pages import (
    URL,
    Admin,
    Page,
    add_user,
    change_token,
    configure,
    events,
    held,
    owner,
    reconfigure,
)

__all__ = ["owner"]  # a fixture

ASK = f"{URL}/disconnect"


# -- what an admin does ------------------------------------------------------------------


def press(admin: Admin, what: str, **typed: str) -> TestResponse:
    """Send one of the danger zone's forms."""
    csrf = admin.open().all("input", name="scim_csrf")[0]["value"]
    return admin.client.post(f"{URL}/{what}", data={"scim_csrf": csrf, **typed})


def done(admin: Admin, what: str, **typed: str) -> str:
    """The same, and what the page says then."""
    answer = press(admin, what, **typed)
    assert (answer.status_code, answer.location) == (303, URL), answer.text
    return " ".join(admin.open().statuses)


def entries(app: Flask, event: str, slug: str = "acme") -> list[LogEntryMixin]:
    """An account's entries of one event, oldest first."""
    with app.app_context():
        Entry = scim.LogEntry
        found = db.session.scalars(
            sa.select(Entry)
            .filter_by(account_id=get_account(slug).id, event=event)
            .order_by(Entry.id)
        )
        return list(found)


def people(app: Flask, slug: str = "acme") -> dict[str, tuple[bool, bool]]:
    """By user name: who is active, and who is managed by provisioning."""
    with app.app_context():
        found = db.session.scalars(sa.select(User).filter_by(account_id=get_account(slug).id)).all()
        managed = links.provisioned(
            db.session, scim.records, get_account(slug).id, [user.id for user in found]
        )
        return {user.username.split("@")[0]: (user.active, user.id in managed) for user in found}


def fill(app: Flask, size: int) -> None:
    """A directory of ``size`` provisioned people of acme, all of them in one team."""
    with app.app_context():
        account, team = get_account().id, uuid.uuid4()
        ids = [uuid.uuid4() for _ in range(size)]
        rows = [
            {"id": id, "account_id": account, "username": f"u{n}@x.example", "scim_extra": {}}
            for n, id in enumerate(ids)
        ]
        db.session.execute(sa.insert(User), rows)
        db.session.execute(sa.insert(Team), [{"id": team, "account_id": account, "name": "All"}])
        db.session.execute(sa.insert(TeamMember), [{"team_id": team, "user_id": id} for id in ids])
        db.session.execute(
            sa.insert(scim.UserLink.__table__),
            [
                {"account_id": account, "user_id": id, "provisioned_at": now(), "session_epoch": 0}
                for id in ids
            ],
        )
        db.session.commit()


def trust(app: Flask, slug: str = "acme") -> None:
    """Let a workload identity provision an account."""
    with app.app_context():
        federation.trust(
            db.session,
            scim.records,
            get_account(slug).id,
            name="Entra",
            cloud="global",
            tenant_id="8f14e45f-ceea-467f-a1d2-3b5c6d7e8f90",
            subject=str(uuid.uuid4()),
            audience=f"api://{uuid.uuid4()}",
            created_by="test",
        )
        db.session.commit()


@pytest.fixture
def told() -> Iterator[list[str]]:
    """The signals that were sent, with whom they are about."""
    seen: list[str] = []

    def gone(app: Flask, user: User, account: Account, paths: Any) -> None:
        assert (account.slug, tuple(paths), user.active) == ("acme", ("active",), False)
        seen.append(f"gone {user.username.split('@')[0]}")

    def revoked(app: Flask, token: Any, account: Account) -> None:
        seen.append(f"revoked {token.name} of {account.slug}")

    with (
        signals.user_deprovisioned.connected_to(gone),
        signals.token_revoked.connected_to(revoked),
    ):
        yield seen


# -- pause -------------------------------------------------------------------------------

ROUTES = [
    ("GET", "/Users"),
    ("GET", f"/Users/{uuid.uuid4()}"),
    ("POST", "/Users"),
    ("PUT", f"/Users/{uuid.uuid4()}"),
    ("PATCH", f"/Groups/{uuid.uuid4()}"),
    ("DELETE", f"/Groups/{uuid.uuid4()}"),
    ("GET", "/"),
    ("POST", "/.search"),
    ("POST", "/Bulk"),
    ("GET", "/Schemas"),
    ("GET", "/ServiceProviderConfig"),
    ("GET", "/nowhere"),
]


@both_databases
def test_while_provisioning_is_paused_every_address_answers_503_and_says_who_did_it(
    entra: Entra, other_entra: Entra, owner: Admin
) -> None:
    """With Retry-After, and where to go on; the other account is not touched, and nothing is
    written."""
    user = entra.user("ada")
    assert "Provisioning is paused." in done(owner, "pause")
    for method, path in ROUTES:
        answer = entra.send(method, path, None if method == "GET" else {"userName": "eve"})
        detail = error_of(answer, 503)
        assert answer.headers["Retry-After"] == "2400"
        assert re.search(
            r"owner@acme\.example paused it on \d{4}-\d\d-\d\d at \d\d:\d\d UTC", detail
        )
        assert "press Resume in Account → Provisioning & SSO" in detail
    assert entra.delete(f"/Users/{user['id']}").status_code == 503
    assert other_entra.get("/Users").status_code == 200

    assert "Provisioning goes on." in done(owner, "resume")
    assert entra.get(f"/Users/{user['id']}").get_json()["userName"] == "ada@example.com"
    assert entra.find('userName eq "eve"') == []


@both_databases
def test_no_access_token_is_given_while_provisioning_is_paused(
    app: Flask, entra: Entra, owner: Admin
) -> None:
    """The token endpoint answers 503 in OAuth's words, and those that were given before do not
    open SCIM either."""
    before = Entra(app.test_client(), granted(ask_with_secret(app, entra.token)))
    done(owner, "pause")
    answer = ask_with_secret(app, entra.token)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2400")
    assert answer.get_json()["error"] == "temporarily_unavailable"
    assert "owner@acme.example paused it" in answer.get_json()["error_description"]
    assert answer.headers["Cache-Control"] == "no-store"
    error_of(before.get("/Users"), 503)
    done(owner, "resume")
    granted(ask_with_secret(app, entra.token))
    assert before.get("/Users").status_code == 200


@both_databases
def test_a_paused_account_is_told_once_a_minute_that_microsoft_entra_asked(
    app: Flask, entra: Entra, owner: Admin
) -> None:
    """However often it asks: its log is not filled, and the page still knows when the token was
    last used."""
    entra.get("/Users")
    done(owner, "pause")
    for _ in range(5):
        error_of(entra.get("/Users"), 503)
    assert entries(app, "request.refused") == []  # it was used within this minute
    before = now() - timedelta(minutes=2)
    change_token(app, entra.token, last_used_at=before)
    for _ in range(5):
        error_of(entra.get("/Users"), 503)
    (entry,) = entries(app, "request.refused")
    assert (entry.status, "owner@acme.example paused it" in str(entry.detail)) == (503, True)
    with app.app_context():
        token = db.session.scalars(sa.select(scim.Token)).one()
        assert token.last_used_at is not None
        assert token.last_used_at > before


def test_what_a_token_lacks_is_said_before_the_pause(
    app: Flask, entra: Entra, owner: Admin
) -> None:
    """A token that was revoked is 401 while provisioning is paused as well: waiting would not
    help."""
    revoked = Entra(app.test_client(), make_token(app, "acme", state="revoked"))
    done(owner, "pause")
    error_of(revoked.get("/Users"), 401)


@both_databases
def test_that_somebody_may_pause_costs_no_statement(
    app: Flask, entra: Entra, owner: Admin, statements: Any
) -> None:
    """Whether the account is paused is read with the token."""
    entra.get("/Users")
    with statements() as seen:
        entra.get("/Users?count=0")
    before = [s for s in seen if not s.startswith(("BEGIN", "PRAGMA"))]
    assert len(before) == 2  # the token, COUNT
    done(owner, "pause")
    with statements() as seen:
        error_of(entra.get("/Users?count=0"), 503)
    assert len([s for s in seen if not s.startswith(("BEGIN", "PRAGMA"))]) == 1


def test_the_danger_zone_comes_with_the_first_token(app: Flask, owner: Admin) -> None:
    """On the first day there is nothing to pause and nothing to disconnect; later, when all of
    it is revoked, what was provisioned can still be disconnected."""
    assert not owner.open().has("h5s-danger")
    made = owner.generate()
    assert not made.has("h5s-danger"), "generated is not saved"
    page = owner.save(made)
    assert "open" not in page.id("h5s-danger")
    assert page.id("h5s-danger").text.startswith("Danger zone")


@both_databases
def test_two_admins_who_pause_at_once_pause_once(app: Flask, owner: Admin) -> None:
    """The second is told so, and whoever came first is named; resuming is the same."""
    other = Admin(app, add_user(app, "grace@acme.example", "admin"))
    done(owner, "pause")
    assert "was paused already" in done(other, "pause")
    page = other.open()
    assert "open" in page.id("h5s-danger")
    assert "owner@acme.example paused it at" in page.id("h5s-danger").text
    done(other, "resume")
    assert "was not paused" in done(owner, "resume")
    assert not owner.open().has("h5s-danger"), "nothing is connected"
    assert events(app) == [
        ("provisioning.paused", "owner@acme.example"),
        ("provisioning.resumed", "grace@acme.example"),
    ]


def test_a_pause_leaves_what_else_is_known_of_the_account(app: Flask, owner: Admin) -> None:
    """Sessions that were ended stay so."""
    with app.app_context():
        accounts.end_sessions(db.session, scim.records, get_account().id)
        db.session.commit()
    owner.sign_in("owner@acme.example")
    done(owner, "pause")
    done(owner, "resume")
    with app.app_context():
        assert accounts.session_epoch(db.session, scim.records, get_account().id) == 1


# -- who may -----------------------------------------------------------------------------

FORMS = [("pause", {}), ("resume", {}), ("disconnect", {"people": "stay"})]


@pytest.mark.parametrize(("what", "typed"), FORMS)
def test_pausing_and_disconnecting_want_a_form_of_the_page(
    app: Flask, entra: Entra, owner: Admin, what: str, typed: dict[str, str]
) -> None:
    """Without its CSRF token they are 400, from an editor 403, and nothing happens."""
    owner.open()
    assert owner.client.post(f"{URL}/{what}", data=typed).status_code == 400
    editor = Admin(app, add_user(app, "ed@acme.example", "editor"))
    assert editor.client.post(f"{URL}/{what}", data=typed).status_code == 403
    assert editor.client.get(ASK).status_code == 403
    nobody = app.test_client()
    assert nobody.post(f"{URL}/{what}", data=typed).location.startswith("/login")
    assert nobody.get(ASK).location.startswith("/login")
    assert entra.get("/Users").status_code == 200
    assert events(app) == []


@pytest.mark.parametrize(("what", "typed"), FORMS)
def test_without_a_licence_the_danger_zone_can_only_be_read(
    app: Flask, what: str, typed: dict[str, str]
) -> None:
    """Its buttons are disabled, the posts are 403, and nothing is logged."""
    make_token(app, "umbrella")
    admin = Admin(app, "owner@umbrella.example")
    page = admin.open()
    assert all("disabled" in page.button(label) for label in ("Pause", "Disconnect…"))
    answer = press(admin, what, **typed)
    assert answer.status_code == 403
    assert "Enterprise licence" in answer.text
    question = admin.open(ASK)
    assert "disabled" in question.button("Disconnect")
    assert all("disabled" in field for field in question.all("input", type="radio"))
    assert events(app, "umbrella") == []


def test_disconnecting_wants_a_recent_sign_in(app: Flask, entra: Entra, owner: Admin) -> None:
    """Somebody who signed in eleven minutes ago is sent to the login and comes back to the
    question; pausing does not ask."""
    owner.forget_login()
    assert "signed in more than ten minutes ago" in owner.open(ASK).text
    answer = press(owner, "disconnect", people="stay")
    assert answer.status_code == 303
    assert answer.location.startswith(f"/login?next={ASK}?again%3D1")
    assert held(app) == [("active", "test")]
    assert "Provisioning is paused." in done(owner, "pause")


@pytest.mark.parametrize("what", ["pause", "resume"])
def test_an_address_of_a_form_that_is_typed_leads_to_the_page(owner: Admin, what: str) -> None:
    """So does a reload of what a form led to."""
    answer = owner.client.get(f"{URL}/{what}")
    assert (answer.status_code, answer.location) == (303, URL)


# -- disconnect --------------------------------------------------------------------------


@both_databases
def test_disconnecting_closes_every_door_and_leaves_people_as_they_are(
    app: Flask, entra: Entra, other_entra: Entra, owner: Admin, told: list[str]
) -> None:
    """Tokens, the draft, workload identities and the pause end; people and teams stay as
    ordinary ones, and the other account is not touched."""
    ada, bob = entra.user("ada"), entra.user("bob", active=False)
    entra.group("Editors", members=[{"value": ada["id"]}, {"value": bob["id"]}])
    other_entra.user("eve")
    make_token(app, "acme")
    make_token(app, "acme", state="draft")
    trust(app)
    configure(app)
    done(owner, "pause")
    question = owner.open(ASK)
    assert question.one("input", name="people", checked="")["value"] == "stay"
    for said in ("People from Microsoft Entra 2", "Workload identities Entra", "Teams stay"):
        assert said in question.text
    assert "can go on doing so" in question.text  # single sign-on is in force

    assert "Microsoft Entra is disconnected." in done(owner, "disconnect", people="stay")

    assert [state for state, _ in held(app)] == ["revoked", "revoked"]
    error_of(entra.get("/Users"), 401)
    assert people(app) == {"owner": (True, False), "ada": (True, False), "bob": (False, False)}
    assert people(app, "globex")["eve"] == (True, True)
    assert other_entra.get("/Users").status_code == 200
    with app.app_context():
        assert federation.active(db.session, scim.records, get_account().id) == []
        assert tokens.draft(db.session, scim.records, get_account().id) is None
        assert len(db.session.scalars(sa.select(TeamMember)).all()) == 2
        state = accounts.get(db.session, scim.records, get_account().id)
        assert state is not None
        assert state.paused_at is None
    assert told == ["revoked test of acme", "revoked test of acme"]
    happened = Counter(event for event, by in events(app) if by == "owner@acme.example")
    assert happened == {
        "provisioning.paused": 1,
        "token.revoked": 2,
        "token.discarded": 1,
        "oauth.trust_revoked": 1,
        "provisioning.resumed": 1,
        "provisioning.disconnected": 1,
    }
    assert entries(app, "provisioning.disconnected")[0].detail == "People who stay: 2"

    assert "nothing to disconnect" in done(owner, "disconnect", people="deactivate")
    assert len(entries(app, "provisioning.disconnected")) == 1


@both_databases
def test_who_is_connected_again_takes_the_same_people_over(
    app: Flask, entra: Entra, owner: Admin
) -> None:
    """Nothing of them was lost: the matching query finds them under their old ids."""
    ada = entra.user("ada")
    done(owner, "disconnect", people="stay")
    again = Entra(app.test_client(), make_token(app, "acme"))
    assert again.find('userName eq "ada@example.com"') == [ada["id"]]
    answer = again.patch(
        f"/Users/{ada['id']}", {"op": "replace", "path": "displayName", "value": "Ada"}
    )
    assert answer.status_code == 200
    assert people(app)["ada"] == (True, True)
    assert len(entries(app, "user.adopted")) == 1


@both_databases
def test_people_are_deactivated_where_the_admin_wants_that(
    app: Flask, entra: Entra, other_entra: Entra, owner: Admin, told: list[str]
) -> None:
    """Each is logged and told, and their sessions are over; who was not provisioned, or is of
    another account, stays."""
    add_user(app, "own@acme.example", "editor")
    ada = entra.user("ada")
    entra.user("bob")
    entra.user("cleo", active=False)
    other_entra.user("eve")
    visitor = Admin(app, None)
    with app.app_context():
        db.session.get_one(User, uuid.UUID(ada["id"])).set_password("correct horse battery staple")
        db.session.commit()
    visitor.sign_in("ada@example.com")
    assert visitor.client.get(URL).status_code == 403

    said = done(owner, "disconnect", people="deactivate")
    assert "Microsoft Entra is disconnected." in said
    assert "People who were deactivated: 2." in said

    assert people(app) == {
        "owner": (True, False),
        "own": (True, False),
        "ada": (False, False),
        "bob": (False, False),
        "cleo": (False, False),
    }
    assert people(app, "globex")["eve"] == (True, True)
    assert sorted(told) == ["gone ada", "gone bob", "revoked test of acme"]
    left = entries(app, "user.deactivated")
    assert {entry.actor for entry in left} == {"owner@acme.example"}
    assert {entry.resource_type for entry in left} == {"User"}
    assert str(ada["id"]) in {entry.resource_id for entry in left}
    assert [(entry.paths, entry.changes) for entry in left] == [
        (["active"], {"active": [True, False]})
    ] * 2
    # Also when somebody activates the person again.
    with app.app_context():
        db.session.get_one(User, uuid.UUID(ada["id"])).active = True
        db.session.commit()
    assert visitor.client.get(URL).location.startswith("/login")


@both_databases
def test_who_must_not_lose_the_way_in_stays_active_and_the_page_says_why(
    app: Flask, entra: Entra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The admin who does it, break-glass owners, whom the host protects, the last owner, and
    whom the host does not accept; the others are deactivated all the same."""
    entra.user("ada")
    names = {"me": "admin", "glass": "admin", "vip": "editor", "odd": "editor", "busy": "editor"}
    for name, role in names.items():
        add_user(app, f"{name}@acme.example", role)
    with app.app_context():
        by_name = {
            user.username.split("@")[0]: user.id
            for user in db.session.scalars(sa.select(User).filter_by(account_id=get_account().id))
        }
        for name in (*names, "owner"):
            links.mark(db.session, scim.records, get_account().id, by_name[name])
        db.session.add(
            scim.records.BreakGlass(
                account_id=get_account().id, user_id=by_name["glass"], named_by="x"
            )
        )
        db.session.commit()
    monkeypatch.setattr(scim, "is_protected", lambda user: user.username.startswith("vip"))
    original = UserResource.deactivate

    def failing(self: Any, session: Any, account_id: Any, obj: User) -> Any:
        change = original(self, session, account_id, obj)
        if obj.username.startswith("odd"):
            raise RuntimeError("the host's own code does not like that")
        if obj.username.startswith("busy"):
            raise Forbidden("An edition waits for this person.")
        return change

    monkeypatch.setattr(UserResource, "deactivate", failing)
    me = Admin(app, "me@acme.example")
    answer = press(me, "disconnect", people="deactivate")
    assert answer.status_code == 200
    page = Page(answer)
    assert "Microsoft Entra is disconnected" in page.text
    assert "People who were deactivated: 1." in " ".join(page.statuses)
    assert "Still active: 6" in page.text
    for name, why in (
        ("me", "This is you."),
        ("glass", "A break-glass owner"),
        ("vip", "H5mag protects this person."),
        ("owner", "The last active owner of the account."),
        ("odd", "H5mag did not accept it."),
        ("busy", "H5mag did not accept it. An edition waits for this person."),
    ):
        assert f"{name}@acme.example {why}" in page.text
    assert page.all("input", name="people") == []  # nothing is left to do
    found = people(app)
    assert [name for name, (is_active, _) in found.items() if not is_active] == ["ada"]
    assert not any(is_managed for _, is_managed in found.values())
    kept = entries(app, "user.kept")
    assert len(kept) == 6
    assert all(entry.detail for entry in kept)
    assert "does not like" not in page.html + "".join(str(entry.detail) for entry in kept)


@both_databases
def test_a_disconnection_that_died_halfway_is_finished_by_repeating_it(
    app: Flask, entra: Entra, owner: Admin, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The door was closed first; what was committed stays, nothing is done or told twice."""
    fill(app, 10)
    monkeypatch.setattr(danger, "BATCH", 4)
    original, seen = UserResource.deactivate, []

    def dying(self: Any, *what: Any) -> Any:
        seen.append(1)
        if len(seen) == 6:
            raise sa.exc.OperationalError("", {}, Exception("the database went away"))
        return original(self, *what)

    monkeypatch.setattr(UserResource, "deactivate", dying)
    with pytest.raises(sa.exc.OperationalError):
        press(owner, "disconnect", people="deactivate")
    error_of(entra.get("/Users"), 401)
    assert Counter(people(app).values()) == {(False, False): 4, (True, True): 6, (True, False): 1}
    assert "People from Microsoft Entra 6" in owner.open(ASK).text

    assert "were deactivated: 6." in done(owner, "disconnect", people="deactivate")
    assert Counter(people(app).values()) == {(False, False): 10, (True, False): 1}
    assert len(entries(app, "user.deactivated")) == 10
    assert sorted(told) == sorted(["revoked test of acme", *(f"gone u{n}" for n in range(10))])


@both_databases
def test_a_large_directory_is_deactivated_in_batches(
    app: Flask, entra: Entra, owner: Admin, statements: Any
) -> None:
    """1,000 people take five transactions, each of as many statements as it has people, times
    a small number; nothing reads the directory for each of them."""
    fill(app, 1000)
    csrf = owner.open().all("input", name="scim_csrf")[0]["value"]
    with statements() as seen:
        answer = owner.client.post(ASK, data={"scim_csrf": csrf, "people": "deactivate"})
    assert (answer.status_code, answer.location) == (303, URL)
    assert sum(is_active for is_active, _ in people(app).values()) == 1
    done_by = Counter(
        " ".join(s.split()[:2])
        for s in seen
        if not s.startswith(("BEGIN", "PRAGMA", "SAVEPOINT", "RELEASE"))
    )
    of_each = {kind: n for kind, n in done_by.items() if n >= 1000}
    assert len(of_each) == 2, done_by  # UPDATE of the person, INSERT into the log
    others = sum(done_by.values()) - sum(of_each.values())
    assert others < 5 * 12 + 40


@both_databases
def test_two_admins_who_disconnect_at_once_deactivate_everybody_once(
    app: Flask, entra: Entra, owner: Admin, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither waits for the other forever, and nobody is logged or told twice."""
    fill(app, 30)
    monkeypatch.setattr(danger, "BATCH", 4)
    admins = [owner, Admin(app, add_user(app, "grace@acme.example", "admin"))]
    sent = []
    for admin in admins:
        csrf = admin.open().all("input", name="scim_csrf")[0]["value"]
        sent.append((admin, {"scim_csrf": csrf, "people": "deactivate"}))
    barrier = Barrier(len(sent))

    def run_one(one: tuple[Admin, dict[str, str]]) -> int:
        barrier.wait()
        return one[0].client.post(ASK, data=one[1]).status_code

    with ThreadPoolExecutor(len(sent)) as pool:
        assert list(pool.map(run_one, sent)) == [303, 303]
    assert sum(is_active for is_active, _ in people(app).values()) == 2
    assert len(entries(app, "user.deactivated")) == 30
    assert len(told) == len(set(told)) == 31


@both_databases
def test_one_request_does_not_deactivate_more_than_a_browser_waits_for(
    app: Flask, entra: Entra, owner: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page then says how many are left, and its button goes on with them."""
    fill(app, 10)
    monkeypatch.setattr(danger, "BATCH", 3)
    monkeypatch.setattr(danger, "AT_ONCE", 6)
    page = Page(press(owner, "disconnect", people="deactivate"))
    assert "Deactivated until now: 6. Left: 4." in " ".join(page.statuses)
    assert page.button("Go on")
    answer = owner.client.post(ASK, data=page.fields(), follow_redirects=True)
    assert "were deactivated: 4." in " ".join(Page(answer).statuses)
    assert Counter(people(app).values()) == {(False, False): 10, (True, False): 1}
    details = [entry.detail for entry in entries(app, "provisioning.disconnected")]
    assert details == ["People to deactivate: 10", "People to deactivate: 4"]


def test_where_microsoft_is_required_the_question_says_who_is_locked_out(
    app: Flask, entra: Entra, owner: Admin
) -> None:
    """People who were provisioned and never signed in have no other way in."""
    assert "Microsoft before" not in owner.open(ASK).text
    configure(app, mode=Mode.REQUIRE)
    assert "Nobody else can sign in" in owner.open(ASK).text


def test_an_unknown_choice_is_refused(app: Flask, entra: Entra, owner: Admin) -> None:
    """400, and nothing happens."""
    for typed in ({}, {"people": "delete"}):
        assert press(owner, "disconnect", **typed).status_code == 400
    assert held(app) == [("active", "test")]


def test_values_are_not_logged_where_the_host_wants_none(
    app: Flask, entra: Entra, owner: Admin
) -> None:
    """With H5MAG_SCIM_LOG_VALUES "none" an entry has names of attributes only."""
    reconfigure(app, log_values=LogValues.NONE)
    entra.user("ada")
    done(owner, "disconnect", people="deactivate")
    (entry,) = entries(app, "user.deactivated")
    assert (entry.paths, entry.changes) == (["active"], {})


def test_the_log_is_of_one_account(app: Flask, entra: Entra, owner: Admin) -> None:
    """What happens to an account is in its own log only."""
    done(owner, "pause")
    done(owner, "disconnect", people="stay")
    with app.app_context():
        assert log.recent(db.session, scim.records, get_account("globex").id, limit=5) == []


# -- the shell ---------------------------------------------------------------------------


def run(app: Flask, *words: str, typed: str | None = None) -> tuple[int, str, str]:
    """A command's exit code, standard output and standard error."""
    result = app.test_cli_runner().invoke(args=["scim", *words, "--account", "acme"], input=typed)
    return result.exit_code, result.stdout, result.stderr


@both_databases
def test_an_operator_pauses_and_resumes_an_account(app: Flask, entra: Entra) -> None:
    """As an admin does; a second time is quiet."""
    assert run(app, "pause")[0] == 0
    assert "operator (shell) paused it" in error_of(entra.get("/Users"), 503)
    assert "was paused already" in run(app, "pause")[2]
    assert run(app, "resume")[0] == 0
    assert entra.get("/Users").status_code == 200
    assert "was not paused" in run(app, "resume")[2]
    assert [event for event, by in events(app) if by == "operator (shell)"] == [
        "provisioning.paused",
        "provisioning.resumed",
    ]


@both_databases
def test_an_operator_disconnects_an_account(app: Flask, entra: Entra, told: list[str]) -> None:
    """After a question, or with --yes; who stays active is printed, and nothing else."""
    entra.user("ada")
    with app.app_context():
        owner = db.session.scalars(
            sa.select(User.id).filter_by(username="owner@acme.example")
        ).one()
        links.mark(db.session, scim.records, get_account().id, owner)
        db.session.commit()
    code, _, said = run(app, "disconnect", "--deactivate", typed="n\n")
    assert (code, "People to deactivate: 2" in said) == (1, True)
    assert entra.get("/Users").status_code == 200

    code, output, said = run(app, "disconnect", "--deactivate", typed="y\n")
    assert code == 0
    assert "People who were deactivated: 1." in said
    heading, line = output.splitlines()
    assert heading.split() == ["USER", "NAME", "WHY"]
    assert line == "owner@acme.example  The last active owner of the account."
    error_of(entra.get("/Users"), 401)
    assert people(app) == {"owner": (True, False), "ada": (False, False)}
    assert told == ["revoked test of acme", "gone ada"]
    assert "nothing to disconnect" in run(app, "disconnect", "--yes")[2]


@both_databases
def test_an_operator_lets_people_stay(app: Flask, entra: Entra) -> None:
    """Without --deactivate they are as active as they were."""
    entra.user("ada")
    assert run(app, "disconnect", "--yes")[:2] == (0, "")
    assert people(app)["ada"] == (True, False)
    error_of(entra.get("/Users"), 401)
