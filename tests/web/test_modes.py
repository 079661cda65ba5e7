"""How people sign in: off, button, redirect, require; its trial, and break-glass."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from example_app import recovery
from example_app.models import Account, User, db
from example_app.provisioning import scim
from flask_h5mag_scim import break_glass_used
from flask_h5mag_scim.reasons import Reason
from flask_h5mag_scim.records import break_glass, links, providers
from flask_h5mag_scim.records.models import Mode, now
from flask_h5mag_scim.web import explanations
from flask_h5mag_scim.web import require as rules

from ..conftest import PASSWORD, both_databases, password_hash, restamp
from ..issuer import Issuer
from .test_pages import Page
from .test_sso import (
    OID,
    OTHER_TENANT,
    PUBLIC_URL,
    TENANT,
    World,
    app,
    assert_final,
    issuer,
    who,
)

__all__ = ["app", "issuer"]  # fixtures

PAGE = "/account/provisioning"
LIN, MO = "lin@acme.example", "mo@acme.example"
MO_OID = "0f0f0f0f-aaaa-4bbb-8ccc-d0d0d0d0d0d1"


class Office(World):
    """Kim is an owner who comes from Microsoft, Lin one with a password, Mo an editor."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.lin = self.person(LIN, "x", provisioned=False)
        self.mo = self.person(MO, MO_OID)
        for user, role in ((self.kim, "owner"), (self.lin, "owner"), (self.mo, "editor")):
            self.change(user, role=role, password_hash=password_hash())


@pytest.fixture
def world(app: Flask, issuer: Issuer) -> Office:
    return Office(app, issuer)


def by_microsoft(world: Office) -> FlaskClient:
    client = world.browser()
    assert world.sign_in(client).status_code == 303
    return client


def post_password(world: Office, name: str = LIN, **typed: str) -> tuple[FlaskClient, TestResponse]:
    client = world.browser()
    data = {"email": name, "password": PASSWORD, **typed}
    return client, client.post("/login?password=1", data=data, base_url=PUBLIC_URL)


def by_password(world: Office, name: str = LIN, **typed: str) -> FlaskClient:
    client, answer = post_password(world, name, **typed)
    assert answer.status_code == 303, answer.text
    return client


def is_in(client: FlaskClient) -> bool:
    answer = client.get("/magazines", base_url=PUBLIC_URL)
    assert answer.status_code in (200, 302)
    return answer.status_code == 200


def look(client: FlaskClient) -> Page:
    answer = client.get(PAGE, base_url=PUBLIC_URL)
    assert answer.status_code == 200, answer.text
    return Page(answer)


def post(client: FlaskClient, what: str, **typed: str) -> TestResponse:
    fields = {**look(client).fields(), **typed}
    return client.post(f"{PAGE}/{what}", data=fields, base_url=PUBLIC_URL)


def save(client: FlaskClient, **typed: str) -> Page:
    """The page after Save, which is shown again where something is wrong."""
    answer = post(client, "save", **typed)
    if answer.status_code == 303:
        assert answer.location == PAGE
        return look(client)
    return Page(answer)


def problems(page: Page) -> dict[str, str]:
    """The sentences beside fields, by the end of their id."""
    found = page.all("p", class_="h5s-problem")
    return {p["id"].removeprefix("h5s-").removesuffix("-problem"): p.text for p in found}


def modes(world: Office) -> dict[str, str]:
    return {state: row.mode for state, row in world.rows().items()}


def alter(world: Office, **values: Any) -> None:
    """Write over the settings in force."""
    with world.app.app_context():
        Provider = scim.IdentityProvider
        db.session.execute(sa.update(Provider).where(Provider.state == "in_force").values(**values))
        db.session.commit()


def name(world: Office, *names: str) -> None:
    with world.app.app_context():
        scim.name_break_glass(db.session.get_one(Account, world.acme), names, by="test")
        db.session.commit()


def codes(world: Office, user: str | None = None) -> list[str]:
    with world.app.app_context():
        made = recovery.renew(db.session.get_one(User, uuid.UUID(user or world.lin)))
        db.session.commit()
        return made


def require(world: Office, *, on_trial: bool = False) -> None:
    """Let acme require Microsoft, with Lin for break-glass."""
    name(world, LIN)
    world.configure(mode=Mode.REQUIRE)
    if on_trial:
        ends = now() + timedelta(minutes=30)
        alter(world, trial_ends_at=ends, mode_after_trial="redirect")


def allowed(world: Office, user: str) -> bool:
    with world.app.test_request_context():
        return scim.password_allowed(db.session.get_one(User, uuid.UUID(user)))


def require_on_the_page(world: Office, client: FlaskClient, **typed: str) -> Page:
    return save(client, mode="require", break_glass=LIN, **typed)


# Where people go


@pytest.mark.parametrize(
    ("mode", "redirects", "button", "password"),
    [
        (Mode.OFF, False, False, True),
        (Mode.BUTTON, False, True, True),
        (Mode.REDIRECT, True, True, True),
        (Mode.REQUIRE, True, True, False),
    ],
)
def test_what_each_mode_means(
    world: Office, mode: Mode, redirects: bool, button: bool, password: bool
) -> None:
    """Where the host sends people, whether it shows a button, and whom a password lets in."""
    public_id = world.configure(mode=mode)
    address = f"/sso/{public_id}/login?next=/people&login_hint=mo"
    with world.app.test_request_context():
        acme = db.session.get_one(Account, world.acme)
        url = scim.sso_url(acme, next="/people", login_hint="mo")
        assert url == (address if redirects else None)
        url = scim.sso_button_url(acme, next="/people", login_hint="mo")
        assert url == (address if button else None)
        acme.plan = "professional"
        assert scim.sso_url(acme) is None
        assert scim.sso_button_url(acme) is None
        assert scim.sso_button_url(None) is None
    assert allowed(world, world.mo) is password
    client = world.browser()
    if button:
        assert world.sign_in(client).status_code == 303
        assert who(client) == world.kim
    else:
        answer = world.arrive(client, f"/sso/{public_id}/login")
        assert "does not sign in with Microsoft" in assert_final(answer)


def test_the_login_page_shows_the_button(world: Office) -> None:
    """Beside the password, for people of an account that has one."""
    world.configure(mode=Mode.BUTTON)
    answer = world.browser().post("/login", data={"email": MO}, base_url=PUBLIC_URL)
    assert f'href="/sso/{world.public_id}/login?login_hint=mo@acme.example"' in answer.text
    world.configure(mode=Mode.OFF)
    answer = world.browser().post("/login", data={"email": MO}, base_url=PUBLIC_URL)
    assert "/sso/" not in answer.text


# Choosing on the page


@both_databases
def test_stronger_waits_for_its_test_and_weaker_does_not(world: Office) -> None:
    """What asks more of people begins when the test has passed; what asks less, at once."""
    world.configure(mode=Mode.BUTTON)
    client = by_microsoft(world)
    page = look(client)
    assert page.fields()["mode"] == "button"
    assert "may sign in with Microsoft" in page.notes
    page = save(client, mode="redirect")
    assert modes(world) == {"in_force": "button", "pending": "redirect"}
    assert "The redirect begins when the test has passed." in page.notes
    assert "people are redirected to Microsoft" in world.test(client).text
    assert modes(world) == {"in_force": "redirect"}
    assert world.log()[-1].detail == "redirect"
    page = save(client, mode="button")
    assert modes(world) == {"in_force": "button"}
    assert page.statuses == ["Single sign-on is saved."]
    assert world.log()[-1].detail == f"{TENANT} (test), button"
    page = save(client, mode="off")
    assert modes(world) == {"in_force": "off"}
    assert world.events()[-1] == "sso.off"


def test_weaker_with_something_else_waits(world: Office) -> None:
    """Another directory is tested, whatever is done with it."""
    client = by_microsoft(world)
    save(client, mode="button", directory=OTHER_TENANT)
    assert modes(world) == {"in_force": "redirect", "pending": "button"}


def test_a_directory_can_be_tested_while_everything_is_off(world: Office) -> None:
    """Off is a mode as well: the settings wait, and the test changes nothing for people."""
    world.configure(mode=Mode.OFF)
    client = by_password(world)
    page = save(client, sso_provider="microsoft", mode="off", directory=OTHER_TENANT)
    assert modes(world) == {"in_force": "off", "pending": "off"}
    assert page.fields()["sso_provider"] == "microsoft"
    assert "change nothing for people" in page.notes


def test_a_mode_that_is_not_offered_is_refused(world: Office) -> None:
    """With a sentence beside the choice."""
    page = save(by_microsoft(world), mode="magic")
    assert problems(page) == {"mode": "Choose one of the options."}
    assert modes(world) == {"in_force": "redirect"}


# Requiring Microsoft (catalogue 87)


@both_databases
def test_require_begins_on_trial_when_the_admin_has_passed_the_test(world: Office) -> None:
    """Saved, tested as oneself, on trial, kept; each step is in the log."""
    client = by_microsoft(world)
    page = require_on_the_page(world, client)
    assert modes(world) == {"in_force": "redirect", "pending": "require"}
    assert "with the Microsoft account of the H5mag user you are now" in page.notes
    assert allowed(world, world.mo)
    assert "on trial" in world.test(client).text
    row = world.rows()["in_force"]
    assert (row.mode, row.mode_after_trial) == ("require", "redirect")
    assert timedelta(minutes=29) < row.trial_ends_at - now() <= timedelta(minutes=30)
    assert not allowed(world, world.mo)
    page = look(client)
    assert "On trial for 30 more min" in page.notes
    assert "redirected to Microsoft as before" in page.notes
    assert post(client, "keep").status_code == 303
    page = look(client)
    assert page.statuses == ["Microsoft stays required."]
    assert "On trial" not in page.notes
    row = world.rows()["in_force"]
    assert (row.mode, row.trial_ends_at, row.mode_after_trial) == ("require", None, None)
    assert [(e.event, e.actor) for e in world.log() if e.actor] == [
        ("sso.break_glass_named", "kim@acme.example"),
        ("sso.saved", "kim@acme.example"),
        ("sso.tested", "kim@acme.example"),
        ("sso.in_force", "kim@acme.example"),
        ("sso.trial_began", "kim@acme.example"),
        ("sso.password_refused", MO),
        ("sso.trial_kept", "kim@acme.example"),
    ]
    named = next(e for e in world.log() if e.event == "sso.break_glass_named")
    assert named.resource_id == world.lin


def test_require_wants_the_admins_own_test(world: Office, issuer: Issuer) -> None:
    """Another person's sign-in proves that it works, and not that the admin can come in."""
    client = by_microsoft(world)
    require_on_the_page(world, client)
    issuer.claims = {"oid": MO_OID}
    page = world.test(client)
    assert "Test sign-in passed" in page.text
    assert "not in force yet" in page.text
    assert "Test sign-in with your own Microsoft account" in page.text
    assert modes(world) == {"in_force": "redirect", "pending": "require"}
    assert world.rows()["pending"].tested_at is None
    issuer.claims = {"oid": str(uuid.uuid4())}
    assert "Test sign-in with your own Microsoft account" in world.test(client).text
    assert modes(world) == {"in_force": "redirect", "pending": "require"}
    issuer.claims = {"oid": OID}
    assert "on trial" in world.test(client).text
    assert modes(world) == {"in_force": "require"}


def test_a_test_of_weaker_settings_is_no_proof(world: Office) -> None:
    """Neither that of the redirect, passed just now, nor that of settings changed since."""
    client = by_microsoft(world)
    world.test(client)
    assert world.rows()["in_force"].tested_at is not None
    require_on_the_page(world, client)
    assert modes(world) == {"in_force": "redirect", "pending": "require"}
    started = world.begin_test(client)
    save(client, mode="require", session_hours="4")
    back = world.arrive(client, world.approve(started.location))
    assert "Somebody saved other settings" in world.arrive(client, back.location).text
    assert modes(world) == {"in_force": "redirect", "pending": "require"}


def test_what_came_in_the_way_meanwhile_keeps_it_pending(world: Office) -> None:
    """The reasons are looked at again when the test has passed."""
    client = by_microsoft(world)
    require_on_the_page(world, client)
    world.person("new@acme.example", "bjensen")
    page = world.test(client)
    assert "an active user whom Microsoft Entra manages has no object ID" in page.text
    assert modes(world) == {"in_force": "redirect", "pending": "require"}
    with world.app.app_context():
        break_glass.name(db.session(), scim.records, world.acme, [], by="test")
        db.session.commit()
    assert "Name at least one break-glass owner" in world.test(client).text


def stranger(world: Office) -> str:
    other = world.account("other")
    user = world.person("eve@other.example", "e", account=other, provisioned=False)
    world.change(user, role="owner")
    return "eve@other.example"


def gone(world: Office) -> str:
    world.change(world.lin, active=False)
    return LIN


def provisioned(world: Office) -> str:
    with world.app.app_context():
        links.mark(db.session(), scim.records, world.acme, uuid.UUID(world.lin))
        db.session.commit()
    return LIN


def editor(world: Office) -> str:
    world.change(world.lin, role="editor")
    return LIN


@pytest.mark.parametrize(
    ("who_is_named", "sentence"),
    [
        (lambda world: "", "Name at least one break-glass owner"),
        (lambda world: "nobody@acme.example", "There is no user called “nobody@acme.example”"),
        (lambda world: "a\x00b", "There is no user called “ab”"),
        (stranger, "There is no user called “eve@other.example”"),
        (gone, "is not active"),
        (editor, "is neither owner nor admin"),
        (provisioned, "is managed by Microsoft Entra"),
        (lambda world: f"{LIN}\na\nb\nc", "Name 3 break-glass owners at most"),
    ],
)
def test_who_cannot_be_a_break_glass_owner(
    world: Office, who_is_named: Callable[[Office], str], sentence: str
) -> None:
    """The reason stands beside the field, and nothing is stored."""
    client = by_microsoft(world)
    page = save(client, mode="require", break_glass=who_is_named(world))
    assert list(problems(page)) == ["break-glass"]
    assert sentence in problems(page)["break-glass"]
    assert "autofocus" in page.id("h5s-break-glass")
    assert modes(world) == {"in_force": "redirect"}
    assert "sso.break_glass_named" not in world.events()


def test_break_glass_owners_are_named_in_any_spelling_and_once(world: Office) -> None:
    """Blank lines and repetitions do not count."""
    page = save(by_microsoft(world), break_glass=f"\n {LIN.upper()} \n{LIN}\n")
    assert page.statuses == ["The break-glass owners are saved."]
    assert page.id("h5s-break-glass").text == LIN


def test_people_whom_microsoft_cannot_find_stand_in_the_way(world: Office) -> None:
    """Who has no object id would be locked out."""
    world.person("a@acme.example", "bjensen")
    client = by_microsoft(world)
    page = require_on_the_page(world, client)
    assert "an active user whom Microsoft Entra manages has no object ID" in problems(page)["mode"]
    world.person("b@acme.example", "cjensen")
    page = require_on_the_page(world, client)
    assert "2 active users" in problems(page)["mode"]
    assert modes(world) == {"in_force": "redirect"}


@pytest.mark.parametrize("days", [None, 7])
def test_a_secret_that_ends_soon_stands_in_the_way(world: Office, days: int | None) -> None:
    """Of the account's own registration: its end would be a lock-out."""
    ends = now() + timedelta(days=days) if days else None
    wanted = providers.Settings("test", TENANT, Mode.REQUIRE, str(uuid.uuid4()))
    wanted = replace(wanted, secret_expires_at=ends)
    with world.app.test_request_context():
        acme = db.session.get_one(Account, world.acme)
        owners = [db.session.get_one(User, uuid.UUID(world.lin))]
        found = rules.obstacles(acme, wanted, owners)
        assert list(found) == ["secret_expires"]
        assert "more than 7 days away" in found["secret_expires"]
        later = replace(wanted, secret_expires_at=now() + timedelta(days=8))
        assert rules.obstacles(acme, later, owners) == {}
        assert rules.obstacles(acme, replace(wanted, client_id=None), owners) == {}


def test_without_a_second_factor_microsoft_cannot_be_required(
    world: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Break-glass would be a password alone."""
    monkeypatch.setattr(scim, "knows_second_factor", False)
    page = require_on_the_page(world, by_microsoft(world))
    assert "has no second factor" in problems(page)["mode"]


@pytest.mark.parametrize("typed", [{"mode": "require"}, {"break_glass": "owner@acme.example"}])
def test_closing_or_opening_a_door_wants_a_recent_sign_in(
    world: Office, typed: dict[str, str]
) -> None:
    """Requiring Microsoft, and naming who keeps the password."""
    name(world, LIN)
    client = by_microsoft(world)
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        restamp(session, age=601)
    answer = post(client, "save", **typed)
    assert answer.status_code == 303
    assert answer.location.startswith("/login?next=/account/provisioning")
    assert modes(world) == {"in_force": "redirect"}
    assert look(client).id("h5s-break-glass").text == LIN


@pytest.mark.parametrize(
    "typed",
    [
        {"directory": OTHER_TENANT},
        {"refuse_guests": "on"},
        {"link_by_user_name": "on"},
        {"client_id": str(uuid.UUID(int=7, version=4)), "client_secret": "abc~defgh"},
    ],
)
def test_changing_who_may_come_in_wants_a_recent_sign_in(
    world: Office, typed: dict[str, str]
) -> None:
    """Whoever has only an admin's session cannot send the account's people elsewhere; what
    changes nothing of the kind needs no more than the session."""
    name(world, LIN)
    client = by_microsoft(world)
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        restamp(session, age=601)
    answer = post(client, "save", **typed)
    assert answer.status_code == 303
    assert answer.location.startswith("/login?next=/account/provisioning")
    assert list(world.rows()) == ["in_force"]
    save(client, session_hours="4")
    assert world.rows()["pending"].session_hours == 4


@pytest.mark.parametrize("typed", [{"sso_provider": "none"}, {"mode": "redirect"}])
def test_ending_that_microsoft_is_required_wants_a_recent_sign_in(
    world: Office, typed: dict[str, str]
) -> None:
    """It lets passwords in again."""
    require(world)
    client = by_microsoft(world)
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        restamp(session, age=601)
    assert post(client, "save", **typed).location.startswith("/login?next=/account/provisioning")
    assert modes(world) == {"in_force": "require"}
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        restamp(session, age=60)
    assert post(client, "save", **typed).location == "/account/provisioning"
    assert modes(world)["in_force"] in ("off", "redirect")


def test_other_settings_leave_the_trial_as_it_is(world: Office) -> None:
    """A change beside it neither prolongs the trial nor begins another."""
    require(world, on_trial=True)
    client = by_microsoft(world)
    before = world.rows()["in_force"]
    save(client, session_hours="4")
    assert modes(world) == {"in_force": "require", "pending": "require"}
    world.test(client)
    after = world.rows()["in_force"]
    assert (after.session_hours, after.mode) == (4, "require")
    assert after.trial_ends_at == before.trial_ends_at
    assert after.required_since == before.required_since
    assert "sso.trial_began" not in world.events()


def test_another_directory_begins_a_trial_of_its_own(world: Office) -> None:
    """After it comes the redirect, since the settings before are gone."""
    require(world)
    with world.app.app_context():
        row = providers.save(
            db.session(),
            scim.records,
            world.acme,
            providers.Settings("test", OTHER_TENANT, Mode.REQUIRE),
            by="test",
        )
        providers.put_in_force(db.session(), scim.records, row)
        db.session.commit()
    row = world.rows()["in_force"]
    assert (row.mode, row.mode_after_trial) == ("require", "redirect")
    assert row.trial_ends_at is not None


# The trial


@both_databases
def test_a_trial_that_nobody_keeps_is_over_by_itself(world: Office) -> None:
    """At its minute, whatever anybody does; it is written down once, at the next page view."""
    require(world, on_trial=True)
    client = by_microsoft(world)
    assert not allowed(world, world.mo)
    alter(world, trial_ends_at=now() - timedelta(seconds=1), mode_after_trial="button")
    assert allowed(world, world.mo)
    with world.app.test_request_context():
        acme = db.session.get_one(Account, world.acme)
        assert scim.sso_url(acme) is None
        assert scim.sso_button_url(acme) is not None
    assert modes(world) == {"in_force": "require"}
    page = look(client)
    assert page.fields()["mode"] == "button"
    look(client)
    assert world.events().count("sso.trial_ended") == 1
    row = world.rows()["in_force"]
    assert (row.mode, row.trial_ends_at, row.required_since) == ("button", None, None)


def test_a_sign_in_writes_down_that_a_trial_is_over(world: Office) -> None:
    """And is not refused for it, also when the trial ends under way."""
    require(world, on_trial=True)
    client = world.browser()
    location = world.start(client)
    alter(world, trial_ends_at=now() - timedelta(seconds=1))
    assert world.arrive(client, world.approve(location)).status_code == 303
    assert who(client) == world.kim
    assert world.events() == [
        "sso.break_glass_named",
        "sso.trial_ended",
        "sso.linked",
        "sso.signed_in",
    ]
    assert modes(world) == {"in_force": "redirect"}


def test_keep_is_for_who_came_in_through_microsoft(world: Office) -> None:
    """A break-glass owner cannot prove that Microsoft works."""
    require(world, on_trial=True)
    client = by_password(world, code=codes(world)[0])
    page = look(client)
    assert "Keep" not in page.buttons()
    assert "sign in with Microsoft" in page.notes
    answer = post(client, "keep")
    assert answer.status_code == 403
    assert "Keep is for an admin who came in through Microsoft" in Page(answer).text
    assert world.rows()["in_force"].trial_ends_at is not None


def test_keep_wants_a_form_of_the_page_and_a_recent_sign_in(world: Office) -> None:
    """CSRF and the ten minutes."""
    require(world, on_trial=True)
    client = by_microsoft(world)
    assert post(client, "keep", scim_csrf="x").status_code == 400
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        restamp(session, age=601)
    assert post(client, "keep").location.startswith("/login?next=/account/provisioning")
    assert client.get(f"{PAGE}/keep", base_url=PUBLIC_URL).location == PAGE
    assert world.rows()["in_force"].trial_ends_at is not None


def test_keep_comes_too_late(world: Office) -> None:
    """A form that was opened before changes nothing after."""
    require(world, on_trial=True)
    client = by_microsoft(world)
    fields = look(client).fields()
    alter(world, trial_ends_at=now() - timedelta(seconds=1))
    client.post(f"{PAGE}/keep", data=fields, base_url=PUBLIC_URL)
    assert look(client).statuses == [
        "There is no trial to keep: it has ended, or was kept already."
    ]
    assert modes(world) == {"in_force": "redirect"}
    assert "sso.trial_kept" not in world.events()


def test_a_form_from_the_trial_does_not_require_microsoft_again(world: Office) -> None:
    """Saved after its end, it is out of date."""
    require(world, on_trial=True)
    client = by_microsoft(world)
    fields = look(client).fields()
    alter(world, trial_ends_at=now() - timedelta(seconds=1))
    answer = client.post(f"{PAGE}/save", data=fields, base_url=PUBLIC_URL)
    assert answer.status_code == 422
    assert modes(world) == {"in_force": "redirect"}


# Passwords (catalogue 85 and 86)


@both_databases
def test_passwords_open_an_account_that_requires_microsoft_no_more(world: Office) -> None:
    """With a sentence and a button, for everybody; the refusal is in the log."""
    require(world)
    client, answer = post_password(world, MO)
    assert answer.status_code == 403
    assert "Your account requires Microsoft" in answer.text
    assert f"/sso/{world.public_id}/login" in answer.text
    assert who(client) is None
    entry = world.log()[-1]
    assert (entry.event, entry.status, entry.resource_id) == (
        "sso.password_refused",
        403,
        world.mo,
    )
    assert entry.detail == "Microsoft is required"


def test_a_wrong_password_gets_the_usual_answer_and_no_entry(world: Office) -> None:
    """Nothing tells a stranger who is a break-glass owner."""
    require(world)
    for each in (MO, LIN):
        _, answer = post_password(world, each, password="wrong")
        assert answer.status_code == 401
        assert "Your account requires" not in answer.text
    assert "sso.password_refused" not in world.events()


def demoted(world: Office) -> None:
    world.change(world.lin, role="editor")


@pytest.mark.parametrize(
    ("user", "with_code", "before", "reason", "meaning"),
    [
        # An owner, not named
        ("kim", True, None, Reason.MICROSOFT_REQUIRED, "the account requires Microsoft"),
        ("lin", False, None, Reason.BREAK_GLASS_FACTOR, "has no second factor"),
        ("lin", True, demoted, Reason.BREAK_GLASS_ROLE, "neither owner nor admin"),
    ],
)
def test_break_glass_is_refused_and_logged(
    world: Office,
    user: str,
    with_code: bool,
    before: Callable[[Office], None] | None,
    reason: Reason,
    meaning: str,
) -> None:
    """For who is not named, shows no second factor, or manages nothing any more; and the log
    tells the three apart."""
    require(world)
    key = getattr(world, user)
    if before is not None:
        before(world)
    code = codes(world, key)[0] if with_code else "00000-00000-00000-00000"
    client, answer = post_password(world, f"{user}@acme.example", code=code)
    assert answer.status_code == 403
    assert who(client) is None
    entry = world.log()[-1]
    assert (entry.event, entry.status) == ("sso.password_refused", 403)
    assert entry.reason == reason
    with world.app.app_context():
        explanation = explanations.explain(entry)
    assert explanation is not None
    assert meaning in explanation.what


@both_databases
def test_a_break_glass_owner_comes_in_with_a_second_factor(world: Office) -> None:
    """Logged, told by a signal, and good for one sign-in."""
    require(world)
    code = codes(world)[0]
    told: list[Any] = []

    def listen(app: Flask, user: User, account: Account) -> None:
        told.append((str(user.id), account.id))

    with break_glass_used.connected_to(listen):
        client = by_password(world, code=code.upper())
    assert is_in(client)
    assert told == [(world.lin, world.acme)]
    assert world.events()[-1] == "sso.break_glass"
    assert (world.log()[-1].resource_id, world.log()[-1].actor) == (world.lin, LIN)
    _, answer = post_password(world, code=code)
    assert answer.status_code == 403


def test_nothing_of_break_glass_is_told_where_a_password_is_enough(world: Office) -> None:
    """In an account that only redirects, Lin signs in as ever."""
    name(world, LIN)
    client = by_password(world)
    assert is_in(client)
    assert "sso.break_glass" not in world.events()


def test_a_break_glass_session_lasts_an_hour_while_its_owner_is_named(world: Office) -> None:
    """And no longer."""
    require(world)
    # Stamps are whole seconds: a session of this very second could be one from before.
    alter(world, required_since=now() - timedelta(seconds=5))
    client = by_password(world, code=codes(world)[0])
    for age, goes_on in ((3500, True), (3600, False), (-60, False), (0, True)):
        with client.session_transaction(base_url=PUBLIC_URL) as session:
            restamp(session, age=age)
        assert is_in(client) is goes_on, age
        if not goes_on:
            client = by_password(world, code=codes(world)[0])
    name(world, "owner@acme.example")
    assert not is_in(client)


def test_a_refused_sign_in_does_not_promise_a_password(world: Office) -> None:
    """Its page names the way that there is."""
    for mode, words in ((Mode.REDIRECT, "your H5mag password"), (Mode.REQUIRE, "a break-glass")):
        world.configure(mode=mode)
        alter(world, client_id=str(uuid.uuid4()), client_secret="unreadable")
        answer = world.arrive(world.browser(), f"/sso/{world.public_id}/login")
        text = assert_final(answer)
        assert ("Sign in with your H5mag password</a>" in text) is (mode is Mode.REDIRECT)
        assert ("Sign in as a break-glass owner</a>" in text) is (mode is Mode.REQUIRE)
        assert ("Until then, sign in with your H5mag password." in text) is (mode is Mode.REDIRECT)
        assert words in text


def test_what_a_password_let_in_without_asking_ends_at_once(world: Office) -> None:
    """A host's view that forgets to ask opens nothing, not even for a break-glass owner."""
    require(world)
    alter(world, required_since=now() - timedelta(seconds=5))

    @world.app.post("/magic-link/<user>")
    def magic(user: str) -> str:
        from flask_login import login_user

        login_user(db.session.get_one(User, uuid.UUID(user)))
        return "in"

    for user in (world.mo, world.lin):
        client = world.browser()
        assert client.post(f"/magic-link/{user}", base_url=PUBLIC_URL).text == "in"
        assert not is_in(client)
    assert "sso.break_glass" not in world.events()


def test_sessions_from_before_get_ten_minutes(world: Office) -> None:
    """Those that began with a password; those from Microsoft go on."""
    old, lin, kim = by_password(world, MO), by_password(world), by_microsoft(world)
    for client in (old, lin):
        with client.session_transaction(base_url=PUBLIC_URL) as session:
            restamp(session, age=3600)
    require(world)
    for minutes, goes_on in ((9, True), (10, False)):
        alter(world, required_since=now() - timedelta(minutes=minutes))
        assert is_in(kim)
        assert is_in(old) is goes_on
        assert is_in(lin) is goes_on


def test_a_remember_me_cookie_opens_nothing(world: Office) -> None:
    """It brings a session back of which nobody knows how it began."""
    require(world)
    alter(world, required_since=now() - timedelta(minutes=10))
    client = world.browser(signed_in_as=world.mo)
    assert not is_in(client)
    alter(world, mode="redirect")
    assert is_in(world.browser(signed_in_as=world.mo))


def test_without_a_licence_nobody_is_locked_out(world: Office) -> None:
    """Single sign-on ends with the plan, and so does what requires it."""
    require(world)
    alter(world, required_since=now() - timedelta(minutes=10))
    with world.app.app_context():
        db.session.get_one(Account, world.acme).plan = "professional"
        db.session.commit()
    client = by_password(world, MO)
    assert is_in(client)


def test_other_accounts_and_other_people_are_not_concerned(world: Office) -> None:
    """What acme requires, it requires of its own."""
    require(world)
    other = world.account("other")
    eve = world.person("eve@other.example", "e", account=other)
    assert allowed(world, eve)
    assert not allowed(world, world.mo)
    with world.app.test_request_context():
        assert scim.password_allowed(object())


def test_refusals_do_not_fill_the_log(world: Office) -> None:
    """Anybody can type a name into a form that forgets the password: one entry a minute."""
    require(world)
    for _ in range(3):
        assert not allowed(world, world.mo)
    assert world.events().count("sso.password_refused") == 1
    assert not allowed(world, world.kim)
    assert world.events().count("sso.password_refused") == 2
    refused = world.app.extensions["h5mag_scim"].kept["modes"]
    refused[uuid.UUID(world.mo)] -= 60
    assert not allowed(world, world.mo)
    assert world.events().count("sso.password_refused") == 3
    refused.update((n, 0.0) for n in range(2000))
    refused.pop(uuid.UUID(world.mo))
    assert not allowed(world, world.mo)
    assert len(refused) == 1000


def test_an_entry_does_not_depend_on_the_hosts_transaction(
    world: Office, caplog: pytest.LogCaptureFixture
) -> None:
    """What the host takes back stays written; and a database that is busy refuses no one more."""
    require(world)
    with world.app.test_request_context():
        assert not scim.password_allowed(db.session.get_one(User, uuid.UUID(world.mo)))
        db.session.rollback()
    assert world.events()[-1] == "sso.password_refused"
    with world.app.test_request_context():
        db.session.execute(sa.text("PRAGMA busy_timeout=1"))
        kim = db.session.get_one(User, uuid.UUID(world.kim))
        kim.display_name = "Half made"
        db.session.flush()  # the view is writing itself
        with caplog.at_level(logging.ERROR):
            assert not scim.password_allowed(kim)
        db.session.rollback()
    assert "could not log sso.password_refused" in caplog.text


# Break-glass owners, later


def test_the_last_break_glass_owner_stays_while_microsoft_is_required(world: Office) -> None:
    """Neither the page nor the shell takes the last way in away."""
    require(world)
    page = save(by_microsoft(world), break_glass="")
    assert "Name at least one" in problems(page)["break-glass"]
    page = save(by_microsoft(world), mode="redirect", break_glass="")
    assert "Name at least one" in problems(page)["break-glass"]
    done = run(world, "sso", "break-glass", "remove", LIN, "--account", "acme")
    assert done.exit_code == 1
    assert "Name at least one" in done.stderr
    with world.app.app_context():
        acme = db.session.get_one(Account, world.acme)
        assert [str(user.id) for user in scim.break_glass_owners(acme)] == [world.lin]


def test_somebody_elses_break_glass_owners_are_not_undone(world: Office) -> None:
    """A form that was opened before they were named is out of date."""
    client = by_microsoft(world)
    fields = look(client).fields()
    name(world, LIN)
    answer = client.post(f"{PAGE}/save", data=fields, base_url=PUBLIC_URL)
    assert answer.status_code == 422
    assert "Somebody else changed these settings" in answer.text
    assert look(client).id("h5s-break-glass").text == LIN


def test_names_and_their_removal_are_in_the_log(world: Office) -> None:
    """Who did it, and whom it concerns."""
    name(world, LIN, "owner@acme.example")
    name(world, "owner@acme.example")
    name(world, "owner@acme.example")
    assert sorted((e.event, e.actor, e.resource_id) for e in world.log()) == sorted(
        [
            ("sso.break_glass_named", "test", world.lin),
            ("sso.break_glass_named", "test", world.owner),
            ("sso.break_glass_removed", "test", world.lin),
        ]
    )


# The shell


def run(world: Office, *words: str) -> Any:
    return world.app.test_cli_runner().invoke(args=["scim", *words])


def test_break_glass_from_the_shell(world: Office) -> None:
    """Added, listed, removed, with the page's own rules."""
    common = ("--account", "acme")
    assert run(world, "sso", "break-glass", "add", LIN, *common).exit_code == 0
    assert run(world, "sso", "break-glass", "add", "owner@acme.example", *common).exit_code == 0
    listed = run(world, "sso", "break-glass", "list", *common)
    assert listed.stdout.split() == [LIN, "owner@acme.example"]
    refused = run(world, "sso", "break-glass", "add", MO, *common)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "neither owner nor admin" in refused.stderr
    assert run(world, "sso", "break-glass", "remove", LIN.upper(), *common).exit_code == 0
    assert run(world, "sso", "break-glass", "list", *common).stdout.split() == [
        "owner@acme.example"
    ]
    refused = run(world, "sso", "break-glass", "remove", LIN, *common)
    assert "is no break-glass owner" in refused.stderr
    assert {e.actor for e in world.log()} == {"operator (shell)"}


def test_the_shell_requires_microsoft_without_a_trial(
    world: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its operator can switch it off again; a break-glass owner there must be."""
    words = ("sso", "configure", "--account", "acme", "--tenant", TENANT, "--cloud", "test")
    refused = run(world, *words, "--mode", "require")
    assert (refused.exit_code, modes(world)) == (1, {"in_force": "redirect"})
    assert "name a break-glass owner first" in refused.stderr
    name(world, LIN)
    monkeypatch.setattr(scim, "knows_second_factor", False)
    assert "knows no second factor" in run(world, *words, "--mode", "require").stderr
    monkeypatch.undo()
    assert run(world, *words, "--mode", "require").exit_code == 0
    row = world.rows()["in_force"]
    assert (row.mode, row.trial_ends_at) == ("require", None)
    assert row.required_since is not None
    assert run(world, *words, "--mode", "button").exit_code == 0
    assert modes(world) == {"in_force": "button"}


@pytest.mark.parametrize("minutes", [-1, 10])
def test_the_shell_makes_a_trial_lasting(world: Office, minutes: int) -> None:
    """One that is under way, and one that is over."""
    require(world, on_trial=True)
    alter(world, trial_ends_at=now() + timedelta(minutes=minutes))
    words = ("sso", "configure", "--account", "acme", "--tenant", TENANT, "--cloud", "test")
    assert run(world, *words, "--mode", "require").exit_code == 0
    row = world.rows()["in_force"]
    assert (row.mode, row.trial_ends_at) == ("require", None)
    assert row.required_since is not None


@both_databases
def test_off_from_the_shell_is_the_way_out(world: Office) -> None:
    """It ends a requirement, and its trial, and everybody has a password again."""
    require(world, on_trial=True)
    assert run(world, "sso", "off", "--account", "acme").exit_code == 0
    row = world.rows()["in_force"]
    assert (row.mode, row.trial_ends_at, row.mode_after_trial) == ("off", None, None)
    assert is_in(by_password(world, MO))


# Meanwhile (catalogue 88 and 89)


@pytest.mark.parametrize("way", ["page", "shell"])
def test_switched_off_while_a_login_is_under_way(world: Office, way: str) -> None:
    """The person is not signed in, and reads why."""
    admin = by_microsoft(world)
    client = world.browser()
    location = world.start(client)
    if way == "page":
        save(admin, mode="off")
    else:
        run(world, "sso", "off", "--account", "acme")
    answer = world.arrive(client, world.approve(location))
    assert "does not sign in with Microsoft" in assert_final(answer)
    assert who(client) is None


def test_the_trial_may_end_for_a_suspended_account(world: Office) -> None:
    """Its licence gone, a login under way ends on our page."""
    require(world)
    client = world.browser()
    location = world.start(client)
    with world.app.app_context():
        db.session.get_one(Account, world.acme).plan = "professional"
        db.session.commit()
    assert_final(world.arrive(client, world.approve(location)))
    assert who(client) is None
