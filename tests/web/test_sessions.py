"""How long a session lasts, what ends it, and how somebody signs out."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import sqlalchemy as sa
from flask import Flask, session
from flask.testing import FlaskClient
from flask_login import login_user, logout_user
from werkzeug.test import TestResponse
from werkzeug.wrappers import Response

from example_app import create_app
from example_app.models import Account, User, db
from example_app.provisioning import scim
from flask_h5mag_scim.records import accounts, links, locks, providers
from flask_h5mag_scim.records.models import Mode
from flask_h5mag_scim.web import people

from ..conftest import PASSWORD, Entra, both_databases, make_token, password_hash, restamp
from ..issuer import Issuer
from .test_sso import (
    OID,
    OTHER_TENANT,
    OWNER_OID,
    PUBLIC_URL,
    TENANT,
    World,
    app,
    assert_final,
    assert_private,
    issuer,
    who,
    world,
)

__all__ = ["app", "issuer", "world"]  # fixtures

PAGE = "/account/provisioning"
LIN = "lin@acme.example"
THIRD_TENANT = "99999999-2222-3333-4444-555555555555"


@pytest.fixture
def lin(world: World) -> str:
    """An owner with a password."""
    lin = world.person(LIN, "x", provisioned=False)
    world.change(lin, password_hash=password_hash(), role="owner")
    return lin


@pytest.fixture
def entra(world: World) -> Entra:
    return Entra(world.app.test_client(), make_token(world.app, "acme"))


def by_password(world: World, **options: Any) -> FlaskClient:
    """A browser in which Lin has signed in with the password."""
    client = world.browser()
    answer = client.post(
        "/login?password=1",
        data={"email": LIN, "password": PASSWORD},
        base_url=PUBLIC_URL,
        **options,
    )
    assert answer.status_code == 303, answer.text
    return client


def by_microsoft(world: World) -> FlaskClient:
    """A browser in which Kim has signed in with Microsoft."""
    client = world.browser()
    assert world.sign_in(client).status_code == 303
    return client


def is_in(client: FlaskClient) -> bool:
    """Whether the host takes this browser for somebody."""
    answer = client.get("/magazines", base_url=PUBLIC_URL)
    assert answer.status_code in (200, 302), answer.text
    return answer.status_code == 200


def change_session(client: FlaskClient, **changes: Any) -> None:
    with client.session_transaction(base_url=PUBLIC_URL) as kept:
        restamp(kept, **changes)


def press(client: FlaskClient, what: str, **typed: str) -> TestResponse:
    """Send a form of the page."""
    text = client.get(PAGE, base_url=PUBLIC_URL).text
    found = re.search(r'name="scim_csrf" value="([^"]+)"', text)
    assert found is not None, text
    data = {"scim_csrf": found.group(1), **typed}
    return client.post(f"{PAGE}/{what}", data=data, base_url=PUBLIC_URL)


def sign_out(client: FlaskClient) -> TestResponse:
    """Press the host's button."""
    with client.session_transaction(base_url=PUBLIC_URL) as kept:
        kept["csrf_token"] = "csrf"
    return client.post("/logout", data={"csrf_token": "csrf"}, base_url=PUBLIC_URL)


def links_of(answer: TestResponse) -> dict[str, str]:
    """The addresses of a page's links, by their words."""
    found = re.findall(r'<a [^>]*href="([^"]+)"[^>]*>([^<]+)</a>', answer.text)
    return {words: address.replace("&amp;", "&") for address, words in found}


# What ends a session


@both_databases
def test_who_is_deactivated_and_restored_finds_the_old_session_dead(
    world: World, entra: Entra
) -> None:
    """60: SCIM's deactivation ends what there was, for good; a new sign-in is welcome."""
    client = by_microsoft(world)
    assert is_in(client)
    for value in (False, True):
        answer = entra.patch(
            f"/Users/{world.kim}", {"op": "replace", "path": "active", "value": value}
        )
        assert answer.status_code == 200, answer.text
        assert not is_in(client)
    assert is_in(by_microsoft(world))
    assert not is_in(client)


def test_what_scim_changes_otherwise_ends_no_session(world: World, entra: Entra) -> None:
    """Neither does a deactivation of somebody else."""
    client = by_microsoft(world)
    other = entra.user("somebody", active=False)
    path = f"/Users/{world.kim}"
    entra.patch(path, {"op": "replace", "path": "displayName", "value": "Kim"})
    entra.patch(path, {"op": "replace", "path": "active", "value": True})
    entra.patch(f"/Users/{other['id']}", {"op": "replace", "path": "active", "value": False})
    assert is_in(client)


def test_inactive_people_have_no_session(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both words for it count: the map's, and Flask-Login's."""
    client = by_microsoft(world)
    with monkeypatch.context() as patched:
        patched.setattr(User, "is_active", False)
        assert not is_in(client)
    with monkeypatch.context() as patched:
        patched.setattr(scim.user, "is_active", lambda user: False)
        assert not is_in(client)
    assert is_in(client)


@both_databases
def test_a_session_from_microsoft_ends_after_the_hours_of_its_account(
    world: World, lin: str
) -> None:
    """However busy it is; one that came with a password has no such end."""
    client, other = by_microsoft(world), by_password(world)
    for browser in (client, other):
        change_session(browser, age=12 * 3600 - 5)
        assert is_in(browser)
        change_session(browser, age=12 * 3600 + 5)
    assert not is_in(client)
    assert is_in(other)
    world.configure(session_hours=1)
    client = by_microsoft(world)
    change_session(client, age=3600 - 5)
    assert is_in(client)
    change_session(client, age=3600 + 5)
    assert not is_in(client)
    client = by_microsoft(world)
    change_session(client, age=-60)
    assert not is_in(client)  # from the future


@both_databases
def test_another_directory_ends_every_session_of_the_account_and_no_other(world: World) -> None:
    """So does switching single sign-on off; a change that leaves the directory does not."""
    globex = world.account("globex")
    client, outsider = by_microsoft(world), world.browser()
    boss = world.person("boss@globex.example", "b", account=globex)
    world.change(boss, password_hash=password_hash())
    outsider.post(
        "/login?password=1",
        data={"email": "boss@globex.example", "password": PASSWORD},
        base_url=PUBLIC_URL,
    )
    world.configure(session_hours=8)
    assert is_in(client)
    world.configure(tenant=OTHER_TENANT)
    assert not is_in(client)
    world.configure()
    client = by_microsoft(world)
    assert is_in(client)
    with world.app.app_context():
        assert providers.switch_off(db.session, scim.records, world.acme, by="test")
        db.session.commit()
    assert not is_in(client)
    assert is_in(outsider)


def test_without_a_directory_nothing_speaks_for_a_session_from_microsoft(world: World) -> None:
    """Settings that are gone bound no session, so it ends."""
    client = by_microsoft(world)
    with world.app.app_context():
        db.session.execute(sa.delete(scim.IdentityProvider))
        db.session.commit()
    assert not is_in(client)


@pytest.mark.parametrize("field", ["account", "user"])
def test_a_session_of_another_account_or_user(world: World, field: str) -> None:
    """What was stamped for one speaks for nobody else, whatever the host's part says."""
    client = by_microsoft(world)
    change_session(client, **{field: str(uuid.uuid4())})
    assert not is_in(client)


def test_a_user_who_is_moved_to_another_account_signs_in_again(world: World) -> None:
    """A session of account A does not become one of account B."""
    client = by_microsoft(world)
    world.change(world.kim, account_id=world.account("globex"))
    assert not is_in(client)


def test_a_session_of_one_account_on_the_page_of_another(
    world: World, lin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """75: whatever account the host shows, only its own managers get the page."""
    client = by_password(world)
    assert client.get(PAGE, base_url=PUBLIC_URL).status_code == 200
    globex = world.account("globex")
    monkeypatch.setattr(scim, "current_account", lambda: db.session.get(Account, globex))
    assert client.get(PAGE, base_url=PUBLIC_URL).status_code == 403
    assert client.post("/sso/test", base_url=PUBLIC_URL).status_code == 403


def test_a_session_that_nobody_stamped_lasts_until_sessions_are_ended(world: World) -> None:
    """From before the extension, or by a remember-me cookie: as old as can be."""
    client = world.browser(signed_in_as=world.kim)
    assert is_in(client)
    with world.app.app_context():
        links.end_sessions(db.session, scim.records, world.acme, uuid.UUID(world.kim))
        db.session.commit()
    assert not is_in(client)


@pytest.mark.parametrize("stamp", ["text", [], [1, 2], {"account": "x"}])
def test_a_stamp_of_another_shape_counts_as_none(world: World, stamp: Any) -> None:
    """A cookie may be of another release."""
    client = by_microsoft(world)
    with client.session_transaction(base_url=PUBLIC_URL) as kept:
        kept["_h5mag_scim_session"] = stamp
    assert is_in(client)


def test_a_host_ends_the_sessions_of_one_user(world: World, lin: str) -> None:
    """``scim.end_sessions(user)``: for a view that changes a password."""
    client, other = by_microsoft(world), by_password(world)
    with world.app.app_context():
        scim.end_sessions(db.session.get_one(User, uuid.UUID(world.kim)))
        db.session.commit()
    assert not is_in(client)
    assert is_in(other)


def test_signing_out_forgets_how_the_session_began(world: World) -> None:
    """Who comes after has not come in through Microsoft."""
    client = by_microsoft(world)
    with world.app.test_request_context():
        login_user(db.session.get_one(User, uuid.UUID(world.kim)))
        assert "_h5mag_scim_session" in session
        logout_user()
        assert "_h5mag_scim_session" not in session
    assert is_in(client)


def test_sessions_that_end_while_microsoft_answers(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """88: what changes after the settings were looked at for the last time still counts."""
    admit = people.admit

    def late(*args: Any) -> Any:
        accounts.end_sessions(db.session, scim.records, world.acme)
        return admit(*args)

    client = world.browser()
    monkeypatch.setattr(people, "admit", late)
    assert world.sign_in(client).status_code == 303
    assert not is_in(client)


# What the guard is asked


def test_the_guard_costs_one_statement(
    world: World, statements: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the one with which the host loads the user."""
    client = by_microsoft(world)
    counted = []
    for guard in (scim.session_guard, lambda user: user):
        monkeypatch.setattr(scim, "session_guard", guard)
        with statements() as seen:
            assert is_in(client)
        counted.append(len([each for each in seen if each.startswith("SELECT")]))
    assert counted[0] == counted[1] + 1


def test_outside_a_request_only_the_user_counts(world: World, lin: str) -> None:
    """There is no session to look at, in the shell for example."""
    with world.app.app_context():
        user = db.session.get_one(User, uuid.UUID(lin))
        links.end_sessions(db.session, scim.records, world.acme, user.id)
        assert scim.session_guard(user) is user
        assert scim.session_guard(None) is None
        user.active = False
        assert scim.session_guard(user) is None


def test_somebody_who_is_no_user_of_an_account_only_has_to_be_active(world: World) -> None:
    """Staff of the host's own, in another model or without an account."""
    with world.app.test_request_context():
        staff = SimpleNamespace(is_active=True)
        assert scim.session_guard(staff) is staff
        staff.is_active = False
        assert scim.session_guard(staff) is None
        loose = User(username="loose")
        assert scim.session_guard(loose) is loose


def test_an_account_that_is_gone(world: World) -> None:
    """89: of a user whose account does not exist nothing is known, so nothing is open."""
    with world.app.test_request_context():
        orphan = User(id=uuid.uuid4(), username="o", account_id=uuid.uuid4())
        assert scim.session_guard(orphan) is None


def test_a_guard_while_the_host_changes_something(world: World) -> None:
    """It does not flush what is half made."""
    with world.app.test_request_context():
        kim = db.session.get_one(User, uuid.UUID(world.kim))
        db.session.add(User())  # not to be stored as it is
        with db.session.no_autoflush:
            assert scim.user.is_active(kim)
        assert scim.session_guard(kim) is kim
        db.session.rollback()


# The page


@both_databases
def test_sign_out_everywhere(world: World, lin: str) -> None:
    """Everybody else is out, on every device; who pressed it goes on, and the log says who."""
    admin, elsewhere, kim = by_password(world), by_password(world), by_microsoft(world)
    answer = press(admin, "sign-out-everywhere")
    assert (answer.status_code, answer.location) == (303, PAGE)
    assert "Everybody is signed out, except you here." in admin.get(PAGE, base_url=PUBLIC_URL).text
    assert not is_in(elsewhere)
    assert not is_in(kim)
    assert is_in(admin)
    entry = world.log()[-1]
    assert (entry.event, entry.actor) == ("sessions.ended", LIN)
    assert admin.get(f"{PAGE}/sign-out-everywhere", base_url=PUBLIC_URL).location == PAGE
    assert is_in(by_password(world))


def test_sign_out_everywhere_is_guarded(world: World, lin: str) -> None:
    """It wants a CSRF token, a recent sign-in, and a manager; refused, it does nothing."""
    kim = by_microsoft(world)
    assert press(by_password(world), "sign-out-everywhere", scim_csrf="x").status_code == 400
    old = by_password(world)
    change_session(old, age=11 * 60)
    answer = press(old, "sign-out-everywhere")
    assert answer.status_code == 303
    assert answer.location.startswith("/login?next=")
    assert kim.post(f"{PAGE}/sign-out-everywhere", base_url=PUBLIC_URL).status_code == 403
    assert (
        world.browser()
        .post(f"{PAGE}/sign-out-everywhere", base_url=PUBLIC_URL)
        .location.startswith("/login")
    )
    assert is_in(kim)
    assert "sessions.ended" not in world.events()


def test_a_recent_sign_in_of_somebody_else_is_none(
    world: World, lin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the host forgot to ask the guard."""
    admin = by_password(world)
    monkeypatch.setattr(scim, "session_guard", lambda user: user)
    change_session(admin, user=world.kim)
    answer = press(admin, "sign-out-everywhere")
    assert answer.location.startswith("/login?next=")


def test_who_keeps_a_session_does_not_make_it_younger(world: World, lin: str) -> None:
    """Twelve hours from Microsoft stay twelve hours, and a recent sign-in stays as recent."""
    admin = by_password(world)
    change_session(admin, age=9 * 60)
    press(admin, "sign-out-everywhere")
    with admin.session_transaction(base_url=PUBLIC_URL) as kept:
        assert time.time() - kept["_h5mag_scim_session"][5] >= 9 * 60


@both_databases
def test_the_admin_who_switches_off_or_tests_another_directory_goes_on(
    world: World, lin: str, issuer: Issuer
) -> None:
    """Their own Save and their own test end everybody's session but theirs."""
    admin, kim = by_password(world), by_microsoft(world)
    world.configure(tenant=OTHER_TENANT, save=providers.save)
    issuer.claims["oid"] = OWNER_OID
    assert "Test sign-in passed" in world.test(admin).text
    assert is_in(admin)
    assert not is_in(kim)
    world.configure()
    admin = by_password(world)
    assert press(admin, "save", sso_provider="none").status_code == 303
    assert world.rows()["in_force"].mode == Mode.OFF
    assert is_in(admin)


def test_off_from_the_shell_ends_sessions_like_off_on_the_page(world: World) -> None:
    """Whoever came from Microsoft came by what is off; what is off already ends nothing."""
    client = by_microsoft(world)
    world.configure(mode=Mode.OFF)
    assert not is_in(client)
    world.configure(mode=Mode.BUTTON)
    client = by_microsoft(world)
    world.configure(mode=Mode.REDIRECT)
    assert is_in(client)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_settings_that_are_saved_while_others_pass_their_test_do_not_serve(
    world: World, lin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Save that has read the pending settings holds up the test that puts them in force."""
    world.configure(tenant=OTHER_TENANT, save=providers.save)
    tester, admin = by_password(world), by_password(world)
    back = world.approve(world.begin_test(tester).location)
    has_read, may_write = Event(), Event()
    save = providers.save

    def slow(session: Any, records: Any, account_id: Any, *args: Any, **options: Any) -> Any:
        read = providers.load(session, records, account_id)
        has_read.set()
        may_write.wait(1)
        assert read[1] is not None
        return save(session, records, account_id, *args, **options)

    monkeypatch.setattr(providers, "save", slow)
    with ThreadPoolExecutor() as pool:
        typed = {"sso_provider": "microsoft", "cloud": "test", "directory": THIRD_TENANT}
        saved = pool.submit(press, admin, "save", **typed)
        assert has_read.wait(5)
        assert world.arrive(tester, back).status_code == 303
        may_write.set()
        assert saved.result().status_code == 303
    rows = world.rows()
    assert (rows["in_force"].tenant_id, rows["pending"].tenant_id) == (TENANT, THIRD_TENANT)


def test_an_admin_whose_session_nobody_stamped_goes_on_too(world: World) -> None:
    """Whose session began before the extension goes on as well, and is no younger for it."""
    world.configure(tenant=OTHER_TENANT, save=providers.save)
    client = world.browser(signed_in_as=world.owner)
    assert "Test sign-in passed" in world.test(client).text
    assert is_in(client)
    answer = press(client, "sign-out-everywhere")
    assert answer.location.startswith("/login?next=")


def test_the_hours_are_chosen_on_the_page(world: World, lin: str) -> None:
    """1, 4, 8, 12 or 24; the choice waits for its test like the other settings."""
    admin = by_password(world)
    text = admin.get(PAGE, base_url=PUBLIC_URL).text
    options = re.search(r'name="session_hours".*?</select>', text, re.DOTALL)
    assert options is not None
    assert re.findall(r'value="(\d+)"( selected)?', options.group()) == [
        ("1", ""),
        ("4", ""),
        ("8", ""),
        ("12", " selected"),
        ("24", ""),
    ]
    settings = {
        "sso_provider": "microsoft",
        "directory": TENANT,
        "cloud": "test",
    }
    assert press(admin, "save", **settings, session_hours="4").status_code == 303
    assert world.rows()["pending"].session_hours == 4
    for wrong in ("0", "25", "", "x", "-1", "4.5", "\u0664"):
        answer = press(admin, "save", **settings, session_hours=wrong)
        assert answer.status_code == 422
        assert "Choose one of the times in the list." in answer.text
    assert world.rows()["pending"].session_hours == 4


def test_hours_that_the_page_does_not_offer_stay_chosen(world: World, lin: str) -> None:
    """An operator may have set them: a Save must not change them silently."""
    world.configure(session_hours=2)
    text = by_password(world).get(PAGE, base_url=PUBLIC_URL).text
    assert '<option value="2" selected>2 hours</option>' in text


# Who comes in


@both_databases
@pytest.mark.parametrize("what", ["save", "sign-out-everywhere", "test", "link"])
def test_a_session_that_is_ended_under_a_form_does_not_come_back(
    world: World, lin: str, issuer: Issuer, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Whoever holds somebody's session and goes on pressing buttons loses it as well."""
    issuer.claims["oid"] = OWNER_OID
    client = by_password(world)
    if what == "link":
        assert "Link my account" in world.test(client).text
    back = world.approve(world.begin_test(client).location) if what == "test" else ""
    lock = locks.lock_account

    def after_somebody_else(session: Any, account: Any, account_id: Any) -> None:
        monkeypatch.setattr(locks, "lock_account", lock)
        with world.app.app_context():
            accounts.end_sessions(db.session, scim.records, world.acme)
            db.session.commit()
        lock(session, account, account_id)

    with client.session_transaction(base_url=PUBLIC_URL) as kept:
        kept["_h5mag_scim_csrf"] = "csrf"
    monkeypatch.setattr(locks, "lock_account", after_somebody_else)
    if what == "test":
        world.arrive(client, back)
    else:
        path = "/sso/link" if what == "link" else f"{PAGE}/{what}"
        form = {"scim_csrf": "csrf", "sso_provider": "microsoft", "directory": OTHER_TENANT}
        answer = client.post(path, data={**form, "cloud": "test"}, base_url=PUBLIC_URL)
        assert answer.location.startswith("/login")
    assert not is_in(client)
    assert list(world.rows()) == ["in_force"]


def test_deleted_and_created_anew_is_somebody_else(world: World, entra: Entra) -> None:
    """61: the same object id under a new id is a new user; the old session opens nothing."""
    client = by_microsoft(world)
    assert entra.delete(f"/Users/{world.kim}").status_code == 204
    created = entra.user("kim.again", externalId=OID)
    assert created["id"] != world.kim
    assert not is_in(client)
    assert who(by_microsoft(world)) == created["id"]
    assert not is_in(client)


def test_nothing_planted_outlives_a_password(world: World, lin: str) -> None:
    """72: the example app's own log-in replaces the session as well."""
    client = world.browser()
    with client.session_transaction(base_url=PUBLIC_URL) as kept:
        kept["planted"] = "by an attacker"
        kept["_h5mag_scim_session"] = [str(world.acme), lin, 9, 9, "microsoft", 0, ""]
    client.post("/login?password=1", data={"email": LIN, "password": PASSWORD}, base_url=PUBLIC_URL)
    with client.session_transaction(base_url=PUBLIC_URL) as kept:
        assert "planted" not in kept
        assert kept["_h5mag_scim_session"][2:5] == [0, 0, "password"]


def test_signing_in_as_somebody_else_drops_the_first_person(world: World, lin: str) -> None:
    """74: of the old session nothing is left, and its stamp speaks for the new person."""
    client = by_password(world)
    with client.session_transaction(base_url=PUBLIC_URL) as kept:
        kept["of_lin"] = 1
    world.sign_in(client)
    assert who(client) == world.kim
    with client.session_transaction(base_url=PUBLIC_URL) as kept:
        assert "of_lin" not in kept
        assert kept["_h5mag_scim_session"][:2] == [str(world.acme), world.kim]
    assert is_in(client)


# Signing out


@both_databases
def test_signing_out_after_microsoft(world: World, issuer: Issuer) -> None:
    """The session ends here; the next page waits, and offers to sign out at Microsoft too."""
    issuer.claims["login_hint"] = "O.hint+of/Kim=&x=y"
    client = by_microsoft(world)
    answer = sign_out(client)
    assert (answer.status_code, answer.location) == (303, f"/sso/{world.public_id}/signed-out")
    assert "hint" not in answer.location
    assert not is_in(client)
    page = client.get(answer.location, base_url=PUBLIC_URL)
    assert page.status_code == 200
    assert_private(page)
    assert "You are signed out of H5mag" in page.text
    links = links_of(page)
    target = urlsplit(links["Also sign out of Microsoft"])
    assert f"{target.scheme}://{target.netloc}" == issuer.base
    assert target.path == f"/{TENANT}/oauth2/v2.0/logout"
    assert parse_qs(target.query) == {
        "post_logout_redirect_uri": [f"{PUBLIC_URL}/sso/signed-out"],
        "logout_hint": ["O.hint+of/Kim=&x=y"],
    }
    again = parse_qs(urlsplit(world.start(client, again="1")).query)
    assert links["Sign in again"] == f"/sso/{world.public_id}/login?again=1"
    assert again["prompt"] == ["select_account"]


def test_the_cookie_of_the_hint_is_for_one_page_and_ten_minutes(
    world: World, issuer: Issuer
) -> None:
    """It travels to /sso only, no script reads it, and the way back from Microsoft drops it."""
    issuer.claims["login_hint"] = "hint"
    world.app.config["SESSION_COOKIE_SECURE"] = True
    client = by_microsoft(world)
    answer = sign_out(client)
    [cookie] = [c for c in answer.headers.getlist("Set-Cookie") if "signed_out" in c]
    for part in ("Path=/sso", "HttpOnly", "Secure", "SameSite=Lax", "Max-Age=600"):
        assert part in cookie
    back = client.get("/sso/signed-out", base_url=PUBLIC_URL)
    assert "Also sign out" not in back.text
    assert links_of(back)["Sign in again"] == "/login"
    [dropped] = [c for c in back.headers.getlist("Set-Cookie") if "signed_out" in c]
    assert "Max-Age=0" in dropped
    page = client.get(f"/sso/{world.public_id}/signed-out", base_url=PUBLIC_URL)
    assert "logout_hint" not in page.text


def test_one_persons_hint_is_not_the_nexts(world: World, issuer: Issuer) -> None:
    """A sign-out without a hint drops that of the one before."""
    issuer.claims["login_hint"] = "of Kim"
    client = by_microsoft(world)
    sign_out(client)
    del issuer.claims["login_hint"]
    world.sign_in(client)
    sign_out(client)
    page = client.get(f"/sso/{world.public_id}/signed-out", base_url=PUBLIC_URL)
    assert "logout_hint" not in page.text


@pytest.mark.parametrize("hint", [7, ["x"], "a\nb", "x" * 513, ""])
def test_a_strange_hint_is_dropped(world: World, issuer: Issuer, hint: Any) -> None:
    """A claim is whatever the directory's admin makes of it."""
    issuer.claims["login_hint"] = hint
    client = by_microsoft(world)
    page = client.get(sign_out(client).location, base_url=PUBLIC_URL)
    assert "logout_hint" not in page.text


def test_who_came_with_a_password_gets_the_hosts_own_page(world: World, lin: str) -> None:
    """Microsoft has nothing to do with it."""
    assert sign_out(by_password(world)).location == "/signed-out"


def test_the_stamp_of_somebody_else_does_not_lead_to_microsoft(world: World) -> None:
    """Nobody signed in, or somebody else than it was stamped for."""
    with world.app.test_request_context():
        assert scim.signed_out_url() is None
    client = world.browser(signed_in_as=world.owner)
    seen: list[Any] = []
    world.app.add_url_rule("/probe", "probe", lambda: seen.append(scim.signed_out_url()) or "")
    with client.session_transaction(base_url=PUBLIC_URL) as kept:
        kept["_h5mag_scim_session"] = ["", "", 0, 0, "microsoft", 0, ""]
    client.get("/probe", base_url=PUBLIC_URL)
    assert seen == [None]


@pytest.mark.parametrize(
    "query",
    [
        "post_logout_redirect_uri=https://evil.example",
        "next=https://evil.example",
        "logout_hint=evil.example",
        "id_token_hint=evil.example&state=evil.example",
        "redirect=//evil.example",
    ],
)
def test_nothing_in_the_query_leads_anywhere(world: World, query: str) -> None:
    """82: the page is the same with and without it."""
    address = f"/sso/{world.public_id}/signed-out"
    client = world.browser()
    plain = client.get(address, base_url=PUBLIC_URL)
    asked = client.get(f"{address}?{query}", base_url=PUBLIC_URL)
    assert "evil.example" not in asked.text
    assert links_of(asked) == links_of(plain)
    assert "Also sign out of Microsoft" in links_of(plain)


def test_the_host_header_leads_nowhere(world: World) -> None:
    """82: the way back comes from the configuration."""
    address = f"/sso/{world.public_id}/signed-out"
    page = world.browser().get(address, base_url="https://evil.example")
    assert "evil.example" not in page.text


@pytest.mark.parametrize(
    "endpoint", ["https://evil.example/logout", "javascript:alert(1)", 7, "", "http://[", None]
)
def test_a_directory_cannot_send_people_elsewhere(
    world: World, issuer: Issuer, endpoint: Any
) -> None:
    """82: an address that is not the directory's own is not offered; signing in goes on."""
    issuer.metadata["end_session_endpoint"] = endpoint
    page = world.browser().get(f"/sso/{world.public_id}/signed-out", base_url=PUBLIC_URL)
    assert page.status_code == 200
    assert "Also sign out" not in page.text
    assert is_in(by_microsoft(world))


def test_an_endpoint_with_a_query_of_its_own(world: World, issuer: Issuer) -> None:
    """It keeps it."""
    issuer.metadata["end_session_endpoint"] = f"{issuer.base}/logout?p=1"
    page = world.browser().get(f"/sso/{world.public_id}/signed-out", base_url=PUBLIC_URL)
    query = parse_qs(urlsplit(links_of(page)["Also sign out of Microsoft"]).query)
    assert set(query) == {"p", "post_logout_redirect_uri"}


def test_signing_out_while_the_directory_is_down(world: World, issuer: Issuer) -> None:
    """The page does not need it."""
    issuer.answers["discovery"] = lambda: Response("down", status=500)
    page = world.browser().get(f"/sso/{world.public_id}/signed-out", base_url=PUBLIC_URL)
    assert page.status_code == 200
    assert list(links_of(page)).count("Sign in again") == 1
    assert "Also sign out" not in page.text


def test_the_signed_out_page_signs_nobody_in_by_itself(world: World) -> None:
    """83: it stays, whatever the account's mode."""
    client = by_microsoft(world)
    address = sign_out(client).location
    for _ in range(2):
        assert_final(client.get(address, base_url=PUBLIC_URL), status=200)
        assert who(client) is None


def test_an_image_on_another_site_signs_nobody_out(world: World) -> None:
    """81: a GET of any address of ours leaves the session; the host's own wants POST and CSRF."""
    client = by_microsoft(world)
    for path in ("/logout", f"/sso/{world.public_id}/signed-out", "/sso/signed-out"):
        client.get(path, base_url=PUBLIC_URL)
    assert client.post("/logout", base_url=PUBLIC_URL).status_code == 400
    assert client.post("/sso/signed-out", base_url=PUBLIC_URL).status_code == 405
    assert is_in(client)
    answer = client.get(f"/sso/{world.public_id}/signed-out", base_url=PUBLIC_URL)
    assert (answer.status_code, answer.location) == (303, "/")


def test_signed_out_of_an_account_that_does_not_redirect_any_more(world: World) -> None:
    """*Sign in again* leads to where that works."""
    world.configure(mode=Mode.OFF)
    page = world.browser().get(f"/sso/{world.public_id}/signed-out", base_url=PUBLIC_URL)
    assert links_of(page)["Sign in again"] == "/login"


def test_an_unknown_account(world: World) -> None:
    """There is no such page, not even with NUL in its name."""
    for name in ("unknown", "a%00b", "x" * 50):
        answer = world.browser().get(f"/sso/{name}/signed-out", base_url=PUBLIC_URL)
        assert answer.status_code == 404


# The cookie

HARD = {
    "SESSION_COOKIE_SECURE": True,
    "SESSION_COOKIE_HTTPONLY": True,
    "SESSION_COOKIE_SAMESITE": "Lax",
}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("SESSION_COOKIE_SECURE", False),
        ("SESSION_COOKIE_HTTPONLY", False),
        ("SESSION_COOKIE_SAMESITE", None),
        ("SESSION_COOKIE_SAMESITE", "None"),
    ],
)
def test_a_soft_session_cookie_is_warned_of(
    key: str, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """73: at the start, outside debug and testing, in one sentence with the value to set."""
    for testing in (True, False):
        for config in (HARD, {**HARD, key: value}):
            caplog.clear()
            app = Flask(__name__)
            app.config.update(
                {
                    "TESTING": testing,
                    "SECRET_KEY": "x",
                    "SQLALCHEMY_DATABASE_URI": "sqlite://",
                    "H5MAG_SCIM_PUBLIC_URL": PUBLIC_URL,
                    **config,
                }
            )
            with caplog.at_level(logging.WARNING):
                app.register_blueprint(scim.blueprint)
            warned = [r.getMessage() for r in caplog.records if "SESSION_COOKIE" in r.getMessage()]
            assert len(warned) == (0 if testing or config is HARD else 1)
            assert all(each.startswith(key) and "Set it to" in each for each in warned)


def test_the_example_apps_cookie_is_hard(caplog: pytest.LogCaptureFixture) -> None:
    """73: Secure wherever the public address is https; elsewhere nobody is warned of it."""
    for public_url, is_secure in ((PUBLIC_URL, True), ("http://127.0.0.1:5000", False)):
        app = create_app(
            {
                "SECRET_KEY": "x",
                "SQLALCHEMY_DATABASE_URI": "sqlite://",
                "H5MAG_SCIM_PUBLIC_URL": public_url,
            }
        )
        assert app.config["SESSION_COOKIE_SECURE"] is is_secure
        assert app.config["SESSION_COOKIE_HTTPONLY"]
        assert app.config["SESSION_COOKIE_SAMESITE"] == "Lax"
    assert "SESSION_COOKIE" not in caplog.text


def test_the_cookie_of_a_sign_in(world: World) -> None:
    """73: what the browser gets, with the path of the application."""
    world.app.config["SESSION_COOKIE_SECURE"] = True
    answer = world.sign_in(world.browser())
    [cookie] = [c for c in answer.headers.getlist("Set-Cookie") if c.startswith("h5mag_session=")]
    for part in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert part in cookie.split("; ")
