"""Who somebody at Microsoft is here: links, and what an admin is told of them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from werkzeug.local import LocalProxy
from werkzeug.test import TestResponse

from example_app.models import Account, User, db
from example_app.provisioning import scim
from flask_h5mag_scim import sso_linked
from flask_h5mag_scim.records import links, locks, providers
from flask_h5mag_scim.records.models import ProviderState
from flask_h5mag_scim.web import people, sso
from flask_h5mag_scim.web.people import Reach

from ..conftest import PASSWORD, both_databases, password_hash
from ..issuer import ABSENT, Issuer
from .test_sso import (
    OID,
    OTHER_TENANT,
    OWNER_OID,
    PUBLIC_URL,
    TENANT,
    World,
    app,
    assert_private,
    assert_refused,
    issuer,
    who,
    world,
)

__all__ = ["app", "issuer", "world"]

UPN = "nick@acme.example"


def link(world: World, user_id: str, *, tenant: str = TENANT, oid: str = OID) -> None:
    """Store who somebody is at Microsoft."""
    with world.app.app_context():
        user = db.session.get_one(User, uuid.UUID(user_id))
        links.link(db.session, scim.records, user.account_id, user.id, tenant_id=tenant, oid=oid)
        db.session.commit()


def linked(world: World, user_id: str) -> tuple[str | None, str | None]:
    """Whom the store says that somebody is."""
    with world.app.app_context():
        user = db.session.get_one(User, uuid.UUID(user_id))
        found = links.of(db.session, scim.records, user.account_id, user.id)
        return (None, None) if found is None else (found.tenant_id, found.oid)


@contextmanager
def told() -> Iterator[list[tuple[str, str]]]:
    """Whom the signal named, and by what they were found."""
    heard: list[tuple[str, str]] = []

    def listen(app: Any, account: Account, user: User, by: str) -> None:
        assert user.account_id == account.id
        heard.append((str(user.id), by))

    with sso_linked.connected_to(listen):
        yield heard


def come(world: World, issuer: Issuer, **claims: Any) -> tuple[FlaskClient, TestResponse]:
    """Somebody comes from Microsoft in a browser of their own."""
    issuer.claims = {"oid": OID, **claims}
    client = world.browser()
    return client, world.sign_in(client)


def refused(world: World, issuer: Issuer, reason: str, **claims: Any) -> str:
    client, answer = come(world, issuer, **claims)
    return assert_refused(world, client, answer, reason)


def enters(world: World, issuer: Issuer, user_id: str, **claims: Any) -> None:
    client, answer = come(world, issuer, **claims)
    assert answer.status_code == 303, answer.text
    assert who(client) == user_id


# 1. The stored link


@both_databases
def test_the_first_sign_in_stores_the_link(world: World, issuer: Issuer) -> None:
    """Whom provisioning gave the object id is linked once, and that is told once."""
    with told() as heard:
        enters(world, issuer, world.kim)
        enters(world, issuer, world.kim)
    assert linked(world, world.kim) == (TENANT, OID)
    assert heard == [(world.kim, "externalId")]
    assert world.events() == ["sso.linked", "sso.signed_in", "sso.signed_in"]
    entry = world.log()[0]
    assert (entry.resource_id, entry.detail) == (
        world.kim,
        f"object id {OID}, found by externalId",
    )


def test_a_link_is_enough(world: World, issuer: Issuer) -> None:
    """Whom the host linked needs no provisioning; an externalId that is none is no obstacle."""
    for external_id in (None, "lee"):
        lee = world.person(f"{external_id}@acme.example", "", provisioned=False)
        world.change(lee, external_id=external_id)
        oid = str(uuid.uuid4())
        link(world, lee, oid=oid)
        enters(world, issuer, lee, oid=oid)


def test_a_link_comes_before_the_external_id(world: World, issuer: Issuer) -> None:
    """Who was linked stays who they are, also when provisioning makes a twin."""
    lee = world.person("lee@acme.example", "lee")
    link(world, lee)
    enters(world, issuer, lee)
    assert linked(world, world.kim) == (None, None)


def test_a_link_to_somebody_inactive(world: World, issuer: Issuer) -> None:
    """A link opens nothing for somebody who is deactivated, or whom the host shuts out."""
    link(world, world.kim)
    world.change(world.kim, active=False)
    refused(world, issuer, "inactive")


def test_who_is_shut_out_is_not_linked(
    world: World, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refused sign-in leaves no link behind."""
    monkeypatch.setattr(User, "is_active", property(lambda self: False))
    refused(world, issuer, "inactive")
    assert linked(world, world.kim) == (None, None)


@both_databases
def test_a_link_and_an_external_id_that_disagree(world: World, issuer: Issuer) -> None:
    """Whether the one person comes or the other: nobody is guessed, and nothing changes."""
    link(world, world.kim, oid=OWNER_OID)
    page = refused(world, issuer, "mismatch", oid=OID)
    assert "Your account has not been set up yet" in page
    refused(world, issuer, "mismatch", oid=OWNER_OID)
    assert linked(world, world.kim) == (TENANT, OWNER_OID)
    assert OWNER_OID in world.log()[-1].detail


def test_a_link_to_a_former_directory(world: World, issuer: Issuer) -> None:
    """With another directory, provisioning says anew who somebody is, and old ids say nothing."""
    link(world, world.kim, tenant=OTHER_TENANT, oid=OWNER_OID)
    refused(world, issuer, "not_provisioned", oid=OWNER_OID)
    enters(world, issuer, world.kim, oid=OID)
    assert linked(world, world.kim) == (TENANT, OID)


@both_databases
def test_a_linked_user_who_left_the_account(world: World, issuer: Issuer) -> None:
    """A link that outlived its user opens nothing, and is in nobody's way."""
    lee = world.person("lee@acme.example", "lee")
    link(world, lee)
    globex = world.account("globex")
    with world.app.app_context():
        db.session.get_one(User, uuid.UUID(lee)).account_id = globex
        db.session.commit()
    enters(world, issuer, world.kim)
    assert linked(world, world.kim) == (TENANT, OID)


# 3. The user name


def by_name(world: World, external_id: str | None = "nick", **options: Any) -> str:
    """Nick, whom only the user name can find, in an account that wants that."""
    world.configure(links_by_user_name=True)
    nick = world.person(UPN, external_id or "", **options)
    world.change(nick, external_id=external_id)
    return nick


NEW_OID = "77777777-7777-4777-8777-777777777777"


@both_databases
@pytest.mark.parametrize(
    "claims", [{"upn": UPN}, {"upn": UPN.upper(), "acct": 0}], ids=["plain", "capitals"]
)
def test_a_user_name_finds_somebody_once(
    world: World, issuer: Issuer, claims: dict[str, Any]
) -> None:
    """The upn finds whom SCIM gave this user name and no object id, and the link is kept."""
    nick = by_name(world)
    with told() as heard:
        enters(world, issuer, nick, oid=NEW_OID, **claims)
        enters(world, issuer, nick, oid=NEW_OID, upn="new.name@acme.example")
    assert linked(world, nick) == (TENANT, NEW_OID)
    assert heard == [(nick, "userName")]
    assert world.events() == ["sso.linked", "sso.signed_in", "sso.signed_in"]
    assert world.log()[0].detail == f"object id {NEW_OID}, found by userName"


def test_no_user_name_unless_the_account_wants_it(world: World, issuer: Issuer) -> None:
    """The switch is off from the beginning."""
    nick = by_name(world)
    world.configure()
    refused(world, issuer, "not_provisioned", oid=NEW_OID, upn=UPN)
    assert linked(world, nick) == (None, None)


def test_a_user_name_that_was_given_to_somebody_else(world: World, issuer: Issuer) -> None:
    """Another person with the same user name and e-mail address is not the one who was linked,
    nor the one whom provisioning gave an object id."""
    nick = by_name(world)
    enters(world, issuer, nick, oid=NEW_OID, upn=UPN)
    refused(world, issuer, "not_provisioned", oid=OWNER_OID, upn=UPN, email=UPN)
    refused(world, issuer, "not_provisioned", oid=OWNER_OID, upn="kim@acme.example")
    assert linked(world, nick) == (TENANT, NEW_OID)


@pytest.mark.parametrize(
    "claims",
    [
        {"preferred_username": UPN, "email": UPN, "unique_name": UPN},
        {"upn": [UPN]},
        {"upn": ""},
        {"upn": "%"},
        {"upn": UPN, "acct": 1},
        {"upn": UPN, "acct": "1"},
        {"upn": UPN, "acct": None},
        {"upn": UPN, "acct": []},
        {"upn": f"{UPN}\x00"},
    ],
    ids=ascii,
)
@both_databases
def test_only_the_upn_of_a_member(world: World, issuer: Issuer, claims: dict[str, Any]) -> None:
    """No other claim is a user name, and no guest is found by one."""
    by_name(world)
    refused(world, issuer, "not_provisioned", oid=NEW_OID, **claims)


@pytest.mark.parametrize(
    ("person", "reason"),
    [
        ({"provisioned": False}, "not_provisioned"),
        ({"external_id": str(uuid.UUID(int=7))}, "not_provisioned"),
        ({"external_id": str(uuid.UUID(int=7)).upper()}, "not_provisioned"),
        ({"active": False}, "inactive"),
        ({"linked": OTHER_TENANT}, "not_provisioned"),
    ],
    ids=["host", "object id", "capitals", "inactive", "linked"],
)
def test_whom_a_user_name_does_not_find(
    world: World, issuer: Issuer, person: dict[str, Any], reason: str
) -> None:
    """Not the host's own people, none with an object id of any kind, nobody inactive."""
    active, tenant = person.pop("active", True), person.pop("linked", None)
    nick = by_name(world, **person)
    world.change(nick, active=active)
    if tenant:
        link(world, nick, tenant=tenant, oid=OWNER_OID)
    before = linked(world, nick)
    refused(world, issuer, reason, oid=NEW_OID, upn=UPN)
    assert linked(world, nick) == before


@both_databases
def test_two_users_with_the_same_user_name(world: World, issuer: Issuer) -> None:
    """If the data is so, nobody is guessed."""
    by_name(world)
    with world.app.app_context():
        db.session.execute(sa.text("DROP INDEX uq_user_username"))
        db.session.commit()
    world.person(UPN.title(), "other")
    refused(world, issuer, "ambiguous", oid=NEW_OID, upn=UPN)


@both_databases
def test_two_people_at_once(world: World, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two people who come under one user name at the same moment, one is linked."""
    nick = by_name(world)
    lock = locks.lock_account

    def late(*arguments: Any) -> None:
        # The other one was found, locked, linked and committed in between.
        monkeypatch.setattr(locks, "lock_account", lock)
        link(world, nick, oid=OWNER_OID)
        lock(*arguments)

    monkeypatch.setattr(locks, "lock_account", late)
    refused(world, issuer, "not_provisioned", oid=NEW_OID, upn=UPN)
    assert linked(world, nick) == (TENANT, OWNER_OID)


# Two accounts


@both_databases
@pytest.mark.parametrize("tenant", [TENANT, OTHER_TENANT], ids=["one directory", "two"])
def test_accounts_never_reach_each_other(world: World, issuer: Issuer, tenant: str) -> None:
    """Two accounts that share user names, e-mail addresses, an object id and perhaps the
    directory: whoever comes through the one is its own user, by every rule."""
    globex = world.account("globex")
    addresses = {
        world.acme: world.configure(links_by_user_name=True),
        globex: world.configure(account=globex, tenant=tenant, links_by_user_name=True),
    }
    nick, eve = str(uuid.uuid4()), str(uuid.uuid4())
    people_of = {
        world.acme: [world.kim, world.person(UPN, "nick"), world.person("eve@x.example", "eve")],
        globex: [
            world.person("kim@acme.example", OID, account=globex),
            world.person(UPN, "nick", account=globex),
            world.person("eve@x.example", "eve", account=globex),
        ],
    }
    link(world, people_of[world.acme][2], oid=eve)
    link(world, people_of[globex][2], tenant=tenant, oid=eve)
    for account, mine in people_of.items():
        issuer_tenant = TENANT if account == world.acme else tenant
        for user, oid, name in zip(
            mine, (OID, nick, eve), ("kim@acme.example", UPN, "x"), strict=True
        ):
            issuer.claims = {"oid": oid, "upn": name, "email": "kim@acme.example"}
            client = world.browser()
            location = world.start(client, public_id=addresses[account])
            assert world.arrive(client, world.approve(location)).status_code == 303
            assert who(client) == user
            assert linked(world, user) == (issuer_tenant, oid)


@both_databases
def test_a_name_of_another_account_opens_nothing(world: World, issuer: Issuer) -> None:
    """Who owns a directory and names somebody there like another customer's user is nobody."""
    nick = by_name(world)
    globex = world.account("globex")
    world.configure(account=globex, tenant=OTHER_TENANT, links_by_user_name=True)
    refused(world, issuer, "not_provisioned", oid=NEW_OID, upn=UPN, email=UPN)
    link(world, nick, oid=NEW_OID)
    refused(world, issuer, "not_provisioned", oid=NEW_OID, upn=UPN, email=UPN)


@both_databases
def test_what_is_kept_of_somebody_is_no_provisioning(world: World, issuer: Issuer) -> None:
    """Of people whom SCIM never wrote, the store may know when their sessions ended."""
    nick = by_name(world, provisioned=False)
    lee = world.person("lee@acme.example", OWNER_OID, provisioned=False)
    for user, oid in ((nick, NEW_OID), (lee, OWNER_OID)):
        call(world, user, oid)
        call(world, user, None)
    refused(world, issuer, "not_provisioned", oid=NEW_OID, upn=UPN)
    refused(world, issuer, "not_by_scim", oid=OWNER_OID)


def test_who_is_inactive_for_scim_alone(
    world: World, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host may let Flask-Login know nobody inactive."""
    monkeypatch.setattr(User, "is_active", property(lambda self: True))
    world.change(world.kim, active=False)
    refused(world, issuer, "inactive")


# Guests


@pytest.mark.parametrize("acct", [1, "1", ABSENT, None, False, True, [], "0.0", -1], ids=str)
def test_guests_are_refused_where_the_account_wants_it(
    world: World, issuer: Issuer, acct: Any
) -> None:
    """Who is a guest, or may be one for all that Microsoft says, does not come in."""
    world.configure(allows_guests=False)
    page = refused(world, issuer, "guest", acct=acct)
    assert "Only your organisation’s own people" in page
    assert linked(world, world.kim) == (None, None)


@pytest.mark.parametrize("acct", [0, "0"], ids=repr)
def test_members_are_no_guests(world: World, issuer: Issuer, acct: Any) -> None:
    world.configure(allows_guests=False)
    enters(world, issuer, world.kim, acct=acct)


@pytest.mark.parametrize("acct", [1, ABSENT], ids=str)
def test_guests_come_in_otherwise(world: World, issuer: Issuer, acct: Any) -> None:
    """A guest has an object id of their own in the directory."""
    enters(world, issuer, world.kim, acct=acct)


def test_settings_with_which_nobody_can_sign_in(world: World, issuer: Issuer) -> None:
    """Without the claim everybody would be refused, and the test says so and how to get it."""
    world.configure(allows_guests=False, save=providers.save)
    text = world.test(world.browser(signed_in_as=world.owner)).get_data(as_text=True)
    assert "Test sign-in failed" in text
    assert "optional claim acct" in text
    assert world.rows()[ProviderState.IN_FORCE].allows_guests
    issuer.claims = {"oid": OID, "acct": 0}
    world.test(world.browser(signed_in_as=world.owner))
    assert not world.rows()[ProviderState.IN_FORCE].allows_guests


# Links by hand


def call(world: World, user_id: str, oid: str | None = OID, **options: Any) -> None:
    with world.app.app_context():
        user = db.session.get_one(User, uuid.UUID(user_id))
        if oid is None:
            scim.unlink_user(user, **options)
        else:
            scim.link_user(user, oid, **options)
        db.session.commit()


@both_databases
def test_the_host_links_and_unlinks(world: World, issuer: Issuer) -> None:
    """Single sign-on without provisioning, until the link is taken back."""
    oid = OWNER_OID.upper()
    call(world, world.owner, oid, by="the host")
    call(world, world.owner, oid, by="the host")
    assert linked(world, world.owner) == (TENANT, OWNER_OID)
    client, _ = come(world, issuer, oid=OWNER_OID)
    assert who(client) == world.owner
    assert client.get("/magazines", base_url=PUBLIC_URL).status_code == 200
    call(world, world.owner, None, by="the host")
    call(world, world.owner, None)
    assert linked(world, world.owner) == (None, None)
    assert client.get("/magazines", base_url=PUBLIC_URL).status_code == 302
    refused(world, issuer, "not_provisioned", oid=OWNER_OID)
    assert world.events() == ["sso.linked", "sso.signed_in", "sso.unlinked", "sso.refused"]
    entry = world.log()[0]
    assert (entry.actor, entry.resource_id) == ("the host", world.owner)
    assert world.log()[2].actor == "the host"


def test_another_link_ends_sessions(world: World, issuer: Issuer) -> None:
    """Who came in as the person that the user was is somebody else now."""
    call(world, world.owner, OWNER_OID)
    client, _ = come(world, issuer, oid=OWNER_OID)
    call(world, world.owner, NEW_OID)
    assert client.get("/magazines", base_url=PUBLIC_URL).status_code == 302
    enters(world, issuer, world.owner, oid=NEW_OID)


@pytest.mark.parametrize("oid", ["", "owner@acme.example", "{" + OID + "}", OID + "\n", None, 7])
def test_only_an_object_id_is_linked(world: World, oid: Any) -> None:
    with (
        world.app.app_context(),
        pytest.raises(ValueError, match="not an object id"),
    ):
        scim.link_user(db.session.get_one(User, uuid.UUID(world.owner)), oid)
    assert world.events() == []


@both_databases
def test_what_cannot_be_linked(world: World) -> None:
    """Nobody is two people, and no two are one; the account must have a directory."""
    with pytest.raises(ValueError, match="another object id"):
        call(world, world.kim, OWNER_OID)
    with pytest.raises(ValueError, match="as externalId"):
        call(world, world.owner, OID)
    lee = world.person("lee@acme.example", "lee")
    link(world, lee, oid=OWNER_OID)
    with pytest.raises(ValueError, match="is linked to this person"):
        call(world, world.owner, OWNER_OID)
    globex = world.account("globex")
    max_ = world.person("max@globex.example", "max", account=globex)
    with pytest.raises(ValueError, match="no Microsoft directory in force"):
        call(world, max_, OID)
    world.configure(account=globex, save=providers.save)
    with pytest.raises(ValueError, match="no Microsoft directory in force"):
        call(world, max_, OID)
    world.configure(account=globex, tenant=OTHER_TENANT)
    call(world, max_, OID)
    assert linked(world, max_) == (OTHER_TENANT, OID)
    assert linked(world, world.owner) == (None, None)


@both_databases
def test_two_links_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes second is told, and one person stays one user."""
    lee = world.person("lee@acme.example", "lee")
    lock = locks.lock_account

    def late(*arguments: Any) -> None:
        monkeypatch.setattr(locks, "lock_account", lock)
        link(world, lee, oid=OWNER_OID)
        lock(*arguments)

    monkeypatch.setattr(locks, "lock_account", late)
    with pytest.raises(ValueError, match="is linked to this person"):
        call(world, world.owner, OWNER_OID)
    assert linked(world, world.owner) == (None, None)


def test_who_links_is_in_the_log(world: World) -> None:
    """Without a name it is whoever is signed in."""
    with world.app.test_request_context():
        from flask_login import login_user

        owner = db.session.get_one(User, uuid.UUID(world.owner))
        login_user(owner)
        scim.link_user(owner, OWNER_OID)
        db.session.commit()
    assert world.log()[-1].actor == "owner@acme.example"


# "Link my account" on the result of a test


def admin(world: World) -> FlaskClient:
    """The owner, who signed in with a password just now."""
    world.change(world.owner, password_hash=password_hash())
    client = world.browser()
    answer = client.post(
        "/login?password=1",
        data={"email": "owner@acme.example", "password": PASSWORD},
        base_url=PUBLIC_URL,
    )
    assert answer.status_code == 303
    return client


def press(client: FlaskClient, csrf: str = "csrf") -> TestResponse:
    return client.post(
        "/sso/link", data={"scim_csrf": csrf, "csrf_token": csrf}, base_url=PUBLIC_URL
    )


BUTTON = "Link my account</button>"


@both_databases
def test_an_admin_links_their_own_account(world: World, issuer: Issuer) -> None:
    """A test that found nobody offers it, and from then on Microsoft lets the admin in."""
    issuer.claims = {"oid": OWNER_OID, "preferred_username": "boss@acme.example"}
    client = admin(world)
    page = world.test(client)
    assert BUTTON in page.text
    assert "Link your account owner@acme.example" in page.text
    with told() as heard:
        answer = press(client)
    assert (answer.status_code, answer.location) == (303, "/sso/test")
    assert_private(answer)
    assert heard == [(world.owner, "admin")]
    assert linked(world, world.owner) == (TENANT, OWNER_OID)
    assert (world.log()[-1].event, world.log()[-1].actor) == ("sso.linked", "owner@acme.example")
    page = world.arrive(client, "/sso/test")
    assert "Your account owner@acme.example is linked" in page.text
    assert "Nobody yet" not in page.text
    assert BUTTON not in page.text
    assert press(client).location == "/sso/test"
    assert world.events().count("sso.linked") == 1
    enters(world, issuer, world.owner, oid=OWNER_OID)


def test_the_admin_stays_signed_in(world: World, issuer: Issuer) -> None:
    """Linked to somebody else, every session of the admin is over but the one that said so."""
    link(world, world.owner, oid=NEW_OID)
    client, other = admin(world), admin(world)
    issuer.claims = {"oid": OWNER_OID}
    world.test(client)
    press(client)
    assert linked(world, world.owner) == (TENANT, OWNER_OID)
    assert world.arrive(client, "/sso/test").status_code == 200
    assert world.arrive(other, "/account/provisioning").status_code == 302


def nobody_links(world: World, client: FlaskClient, **options: Any) -> TestResponse:
    answer = press(client, **options)
    assert linked(world, world.owner) == (None, None)
    assert "sso.linked" not in world.events()
    return answer


def test_linking_wants_csrf_and_a_recent_sign_in(
    world: World, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer.claims = {"oid": OWNER_OID}
    client = admin(world)
    world.test(client)
    assert nobody_links(world, client, csrf="other").status_code == 400
    at = time.time()
    monkeypatch.setattr(time, "time", lambda: at + 11 * 60)
    assert "asked to sign in again" in world.arrive(client, "/sso/test").text
    answer = nobody_links(world, client)
    assert answer.location.startswith("/login?next=")
    assert "/sso/test" in answer.location


def test_an_old_test_links_nobody(
    world: World, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a quarter of an hour somebody else may sit there."""
    issuer.claims = {"oid": OWNER_OID}
    client = admin(world)
    world.test(client)
    monkeypatch.setattr(sso, "TEST_COUNTS", -1)
    assert BUTTON not in world.arrive(client, "/sso/test").text
    assert nobody_links(world, client).location == "/sso/test"


def test_somebody_elses_test_links_nobody(world: World, issuer: Issuer) -> None:
    """What another admin tested in this browser says nothing of who this one is."""
    issuer.claims = {"oid": OWNER_OID}
    other = world.person("admin@acme.example", "admin")
    world.change(other, role="admin")
    client = world.browser(signed_in_as=other)
    world.test(client)
    assert BUTTON in world.arrive(client, "/sso/test").text
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        kept = session["_h5mag_scim_sso_test"]
    client = admin(world)
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        session["_h5mag_scim_sso_test"] = kept
        session["_h5mag_scim_csrf"] = session["csrf_token"] = "csrf"
    assert BUTTON not in world.arrive(client, "/sso/test").text
    assert nobody_links(world, client).location == "/sso/test"


def test_only_managers_with_a_licence_link(world: World, issuer: Issuer) -> None:
    issuer.claims = {"oid": OWNER_OID}
    client = admin(world)
    world.test(client)
    with world.app.app_context():
        db.session.get_one(Account, world.acme).plan = "professional"
        db.session.commit()
    assert nobody_links(world, client).status_code == 403
    with world.app.app_context():
        db.session.get_one(Account, world.acme).plan = "enterprise"
        db.session.commit()
    world.change(world.owner, role="editor")
    assert nobody_links(world, client).status_code == 403
    assert nobody_links(world, world.browser()).status_code == 302


def test_a_failed_test_links_nobody(world: World, issuer: Issuer) -> None:
    issuer.claims = {"oid": OWNER_OID, "aud": "another"}
    client = admin(world)
    assert BUTTON not in world.test(client).text
    assert nobody_links(world, client).location == "/sso/test"
    assert nobody_links(world, admin(world)).status_code == 400  # no form was ever shown


def test_a_test_that_found_somebody_links_nobody(world: World) -> None:
    client = admin(world)
    page = world.test(client).text
    assert "kim@acme.example" in page
    assert BUTTON not in page
    assert nobody_links(world, client).location == "/sso/test"


def test_why_an_admin_cannot_be_linked(world: World, issuer: Issuer) -> None:
    """The card says it in place of the button."""
    issuer.claims = {"oid": OWNER_OID}
    client = admin(world)
    world.test(client)
    twin = world.person("twin@acme.example", OWNER_OID, provisioned=False)
    page = world.arrive(client, "/sso/test").text
    assert "Another user of this account has this object id" in page
    assert BUTTON not in page
    nobody_links(world, client)
    world.change(twin, external_id=None)
    world.change(world.owner, external_id=NEW_OID)
    assert "with another object id" in world.arrive(client, "/sso/test").text
    nobody_links(world, client)
    world.change(world.owner, external_id=None)
    assert BUTTON in world.arrive(client, "/sso/test").text
    world.configure(tenant=OTHER_TENANT)
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        kept = {name: session[name] for name in ("_h5mag_scim_sso_test", "_h5mag_scim_csrf")}
    client = admin(world)  # the other directory ended the session
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        session.update(kept)
    assert "not one of this account’s any more" in world.arrive(client, "/sso/test").text
    nobody_links(world, client)


@pytest.mark.parametrize("tenant", [None, TENANT], ids=["unlinked", "linked"])
def test_links_to_a_directory_that_waits(world: World, tenant: str | None) -> None:
    """Settings that require Microsoft wait for an admin who is linked to their directory; whom
    that would shut out of the one in force is not linked before it serves."""
    world.configure(tenant=OTHER_TENANT, save=providers.save)
    if tenant:
        link(world, world.owner, tenant=tenant, oid=NEW_OID)
    with world.app.test_request_context():
        owner = db.session.get_one(User, uuid.UUID(world.owner))
        if tenant:
            with pytest.raises(ValueError, match="not in force yet"):
                people.link(owner, OWNER_OID, by="test", tenant_id=OTHER_TENANT)
        else:
            people.link(owner, OWNER_OID, by="test", tenant_id=OTHER_TENANT)
        db.session.commit()
    expected = (TENANT, NEW_OID) if tenant else (OTHER_TENANT, OWNER_OID)
    assert linked(world, world.owner) == expected


def test_an_admin_from_elsewhere_is_offered_nothing(
    world: World, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host may let its own staff manage an account of which they are no users."""
    issuer.claims = {"oid": OWNER_OID}
    globex = world.account("globex")
    staff = world.person("staff@h5mag.example", "staff", account=globex)
    with world.app.app_context():
        acme = db.session.get_one(Account, world.acme)
        db.session.expunge(acme)
    monkeypatch.setattr(scim, "current_account", lambda: db.session.get(Account, world.acme))
    monkeypatch.setattr(scim, "can_manage", lambda user, account: True)
    client = world.browser(signed_in_as=staff)
    page = world.test(client).text
    assert "Test sign-in passed" in page
    assert BUTTON not in page
    assert press(client).status_code == 303
    assert linked(world, staff) == (None, None)


def test_a_key_of_another_table_is_no_user(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host's staff may be kept in a table of its own, with the same numbers."""

    class Staff:
        id = uuid.UUID(world.owner)

    with world.app.test_request_context():
        monkeypatch.setattr(people, "current_user", LocalProxy(Staff))
        assert people.member(world.acme) is None


@pytest.mark.parametrize(
    ("claims", "hint"),
    [
        ({"upn": "stranger@acme.example"}, "map objectId to externalId"),
        ({}, "no upn claim"),
    ],
    ids=["unknown", "without"],
)
def test_the_card_says_why_nobody_was_found(
    world: World, issuer: Issuer, claims: dict[str, Any], hint: str
) -> None:
    world.configure(links_by_user_name=True)
    issuer.claims = {"oid": OWNER_OID, **claims}
    assert hint in world.test(world.browser(signed_in_as=world.owner)).text


def test_a_test_stores_no_link(world: World, issuer: Issuer) -> None:
    """It shows whom a sign-in would find, and leaves the rest to that."""
    nick = by_name(world)
    issuer.claims = {"oid": NEW_OID, "upn": UPN}
    assert UPN in world.test(world.browser(signed_in_as=world.owner)).text
    assert linked(world, nick) == (None, None)


def test_the_card_tells_of_a_disagreement(world: World, issuer: Issuer) -> None:
    link(world, world.kim, oid=OWNER_OID)
    assert "disagree" in world.test(world.browser(signed_in_as=world.owner)).text


# Whom Microsoft can lead to


def reach(world: World, account: Any = None) -> Reach:
    with world.app.app_context():
        found = db.session.get_one(Account, account or world.acme)
        return people.reach(found, TENANT)


@both_databases
def test_people_without_an_object_id_are_counted(
    world: World, statements: Callable[[], Any]
) -> None:
    """Active people of the account whom SCIM wrote, by whether Microsoft can lead to them."""
    assert reach(world) == Reach(1, 0, 0)
    nick = world.person("nick@acme.example", "nick")
    nobody = world.person("nobody@acme.example", "")
    world.change(nobody, external_id=None)
    assert reach(world) == Reach(3, 2, 2)
    link(world, nick)
    assert reach(world) == Reach(3, 2, 1)
    link(world, nick, tenant=OTHER_TENANT)
    assert reach(world) == Reach(3, 2, 2)
    world.person("upper@acme.example", str(uuid.uuid4()).upper())
    world.person("gone@acme.example", "gone")
    gone = world.person("gone.too@acme.example", "gone too")
    world.change(gone, active=False)
    link(world, world.person("local@acme.example", "local", provisioned=False), oid=NEW_OID)
    globex = world.account("globex")
    world.person("kim@globex.example", "kim", account=globex)
    with world.app.app_context():  # somebody whom the host has moved
        links.mark(db.session, scim.records, globex, uuid.UUID(nick))
        db.session.commit()
    assert reach(world) == Reach(5, 3, 3)
    assert reach(world, globex) == Reach(1, 1, 1)
    with world.app.app_context():
        acme = db.session.get_one(Account, world.acme)
        with statements() as seen:
            people.reach(acme, TENANT)
            people.reach(acme, TENANT, newest=2)
    assert len(seen) == 2


def open_page(world: World) -> tuple[FlaskClient, str]:
    client = admin(world)
    answer = world.arrive(client, "/account/provisioning")
    assert answer.status_code == 200
    return client, " ".join(answer.text.split())


def test_the_page_reports_the_mapping(world: World) -> None:
    """How many it concerns, and which row to change."""
    assert "All provisioned users (1) have an object ID as externalId." in open_page(world)[1]
    world.person("nick@acme.example", "nick")
    world.person("nora@acme.example", "nora")
    link(world, world.person("lena@acme.example", "lena"), oid=NEW_OID)
    page = open_page(world)[1]
    assert "3 of 4 provisioned users have an externalId that is not an object ID." in page
    assert "2 of them cannot sign in" in page
    assert "<code>externalId</code> ← <code>objectId</code>" in page
    assert "Who may sign in (2 cannot yet)" in page


def test_the_page_reports_that_nobody_is_provisioned(world: World) -> None:
    with world.app.app_context():
        db.session.execute(sa.delete(scim.UserLink))
        db.session.commit()
    assert "Nobody is provisioned yet." in open_page(world)[1]


@both_databases
def test_the_switches_are_saved(world: World) -> None:
    """Both wait for the test like every other setting, and can be taken back."""
    client, page = open_page(world)
    assert 'name="refuse_guests" type="checkbox" value="yes"' in page
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        csrf = session["_h5mag_scim_csrf"]
    form = {
        "scim_csrf": csrf,
        "sso_provider": "microsoft",
        "directory": TENANT,
        "cloud": "test",
        "mode": "redirect",
    }

    def save(**values: str) -> tuple[bool, bool] | None:
        answer = client.post(
            "/account/provisioning/save", data={**form, **values}, base_url=PUBLIC_URL
        )
        assert answer.status_code == 303, answer.text
        row = world.rows().get(ProviderState.PENDING)
        return None if row is None else (row.allows_guests, row.links_by_user_name)

    assert save(refuse_guests="yes") == (False, False)
    page = open_page(world)[1]
    assert 'aria-describedby="h5s-refuse-guests-hint" checked' in page
    assert save(link_by_user_name="yes") == (True, True)
    assert 'aria-describedby="h5s-link-by-name-hint" checked' in open_page(world)[1]
    assert save() is None
