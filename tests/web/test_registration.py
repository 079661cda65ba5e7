"""Which directory, by its ID or a domain, and as whom: the host's registration or one's own."""

# ruff: noqa: F401, F811, the fixtures are those of test_sso

from __future__ import annotations

import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.wrappers import Response

from example_app.models import Account, User, db
from example_app.provisioning import scim
from flask_h5mag_scim import sso_secret_expiring
from flask_h5mag_scim.records import locks, providers
from flask_h5mag_scim.records.models import Mode, ProviderState, now
from flask_h5mag_scim.records.vault import Vault
from flask_h5mag_scim.texts import TEXTS
from flask_h5mag_scim.web import directory, refusals
from flask_h5mag_scim.web.sessions import Stamp
from flask_h5mag_scim.web.sso_settings import SSOForm

from ..conftest import both_databases
from ..issuer import CLIENT_ID, CLIENT_SECRET, Issuer
from .test_pages import Page
from .test_sso import (
    OTHER_TENANT,
    PUBLIC_URL,
    TENANT,
    World,
    app,
    assert_final,
    assert_refused,
    issuer,
    who,
    world,
)

URL = "/account/provisioning"
DOMAIN = "acme.example"
OWN_ID = "5d0e3f6a-1111-4a0a-9a1e-5b8a7f0c2d22"
OWN_SECRET = "Vk~8Q~the.value-of-a_secret"
NEXT_SECRET = "Wm~9R~the.value-of-another"
PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"


class Admin:
    """The account's owner on the page."""

    def __init__(self, world: World, account: Any = None) -> None:
        self.client: FlaskClient = world.browser(signed_in_as=world.owner)
        with self.client.session_transaction(base_url=PUBLIC_URL) as session:
            # A moment ago, as a change of who may come in wants it.
            kept = (str(account or world.acme), world.owner, 0, 0, "password", int(time.time()), "")
            session["_h5mag_scim_session"] = list(Stamp(*kept))

    def open(self) -> Page:
        answer = self.client.get(URL, base_url=PUBLIC_URL)
        assert answer.status_code == 200, answer.text
        return Page(answer)

    def press(self, what: str = "save", **typed: str) -> Any:
        form = {**self.open().fields(), "sso_provider": "microsoft", "cloud": "test", **typed}
        return self.client.post(f"{URL}/{what}", data=form, base_url=PUBLIC_URL)

    def save(self, **typed: str) -> Page:
        answer = self.press(**typed)
        assert answer.status_code == 303, Page(answer).text
        return self.open()

    def refuse(self, field: str, **typed: str) -> str:
        """What stands beside a field after Save."""
        answer = self.press(**typed)
        assert answer.status_code == 422, answer.location
        page = Page(answer)
        box = page.id(field)
        assert box["aria-invalid"] == "true"
        assert page.one("title").text.startswith("Error: ")
        for secret in (OWN_SECRET, NEXT_SECRET):
            assert secret not in page.html
        return page.id(box["aria-describedby"].split()[0]).text


@pytest.fixture
def admin(world: World) -> Admin:
    return Admin(world)


@pytest.fixture
def told(app: Flask) -> Iterator[list[tuple[datetime | None, int]]]:
    """What was told of secrets that end."""
    heard: list[tuple[datetime | None, int]] = []

    def listen(sender: Flask, account: Account, expires_at: datetime | None, days: int) -> None:
        assert account.slug == "acme"
        heard.append((expires_at, days))

    with sso_secret_expiring.connected_to(listen, app):
        yield heard


def own(world: World, **settings: Any) -> None:
    """Put the account's own registration in force, here and at the issuer."""
    with world.app.app_context():
        sealed = world.app.extensions["h5mag_scim"].vault.seal(OWN_SECRET)
    world.configure(client_id=OWN_ID, client_secret=sealed, **settings)
    world.issuer.client_secret = OWN_SECRET
    world.issuer.claims["aud"] = OWN_ID


def reconfigure(world: World, **values: Any) -> None:
    state = world.app.extensions["h5mag_scim"]
    state.config = replace(state.config, **values)


def midnight(*, in_days: int) -> datetime:
    """A day as the page stores it."""
    day = now() + timedelta(days=in_days)
    return day.replace(hour=0, minute=0, second=0, microsecond=0)


def change_row(world: World, **values: Any) -> None:
    """Write to the settings in force beside every rule."""
    with world.app.app_context():
        row = db.session.get_one(scim.IdentityProvider, world.rows()[ProviderState.IN_FORCE].id)
        for name, value in values.items():
            setattr(row, name, value)
        db.session.commit()


def opened(world: World, state: ProviderState) -> str:
    """The secret of a row, in the clear."""
    with world.app.app_context():
        vault = world.app.extensions["h5mag_scim"].vault
        return str(vault.open(world.rows()[state].client_secret))


# Domains


@both_databases
def test_a_domain_is_resolved_when_it_is_saved(
    world: World,
    issuer: Issuer,
    admin: Admin,
) -> None:
    """What is stored and shown is the ID; the page says which domain it came from."""
    issuer.domains[DOMAIN] = OTHER_TENANT
    page = admin.save(directory="Acme.Example")
    assert f"{DOMAIN} belongs to the directory {OTHER_TENANT}" in page.statuses[0]
    assert "One step left" in page.statuses[0]
    assert page.fields()["directory"] == OTHER_TENANT
    assert world.rows()[ProviderState.PENDING].tenant_id == OTHER_TENANT
    assert [endpoint for endpoint, _ in issuer.asked] == ["discovery"]
    # Where it leads to what is in force, that is said as well.
    issuer.domains[DOMAIN] = TENANT
    assert f"{DOMAIN} belongs to the directory {TENANT}" in admin.save(directory=DOMAIN).statuses[0]
    assert set(world.rows()) == {ProviderState.IN_FORCE}


def answering(**metadata: Any) -> Callable[[Issuer], None]:
    def change(issuer: Issuer) -> None:
        values = {
            name: value.format(base=issuer.base) if isinstance(value, str) else value
            for name, value in metadata.items()
        }
        issuer.metadata.update(values)

    return change


def failing(answer: Response | Callable[[], Response]) -> Callable[[Issuer], None]:
    def change(issuer: Issuer) -> None:
        issuer.answers["discovery"] = answer if not isinstance(answer, Response) else lambda: answer

    return change


def unknown(issuer: Issuer) -> None:
    issuer.domains.clear()


NO_DIRECTORY = [
    ("unknown", unknown, "Microsoft knows no directory with the domain acme.example"),
    (
        "not there",
        failing(Response('{"error":"invalid_tenant"}', status=400)),
        "knows no directory with the domain",
    ),
    ("down", failing(Response("down", status=503)), "could not be asked"),
    ("html", failing(Response("<html>")), "could not be asked"),
    ("a list", failing(Response("[]")), "could not be asked"),
    ("deep", failing(Response("[" * 100_000)), "could not be asked"),
    ("endless", failing(Response(b"x" * 400_000)), "could not be asked"),
    (
        "a redirect",
        failing(Response(status=302, headers={"Location": "http://127.0.0.1:9/"})),
        "could not be asked",
    ),
    ("no issuer", answering(issuer=None), "not in this cloud"),
    (
        "another cloud",
        answering(issuer=f"https://login.microsoftonline.us/{OTHER_TENANT}/v2.0"),
        "not in this cloud",
    ),
    ("a tail", answering(issuer=f"{{base}}/{OTHER_TENANT}/v2.0/x"), "not in this cloud"),
    ("a head", answering(issuer=f"https://evil.example/{{base}}/{TENANT}/v2.0"), "not in this"),
    (
        "another host",
        answering(token_endpoint="https://evil.example/token"),
        "not in this cloud",
    ),
    ("the template", answering(issuer="{base}/{{tenantid}}/v2.0"), "everybody’s"),
    ("common", answering(issuer="{base}/common/v2.0"), "everybody’s"),
    ("personal accounts", answering(issuer=f"{{base}}/{PERSONAL}/v2.0"), "everybody’s"),
]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [case[1:] for case in NO_DIRECTORY],
    ids=[case[0] for case in NO_DIRECTORY],
)
def test_a_domain_without_a_directory_of_its_own(
    world: World,
    issuer: Issuer,
    admin: Admin,
    change: Callable[[Issuer], None],
    sentence: str,
) -> None:
    """Said beside the field with a sentence; nothing is stored."""
    issuer.domains[DOMAIN] = OTHER_TENANT
    change(issuer)
    assert sentence in admin.refuse("h5s-directory", directory=DOMAIN)
    assert set(world.rows()) == {ProviderState.IN_FORCE}


def test_a_cloud_without_domains(admin: Admin, issuer: Issuer) -> None:
    """A stand-in without tenants in its addresses is not asked."""
    assert "Enter the Directory" in admin.refuse(
        "h5s-directory", directory=DOMAIN, cloud="pathless"
    )
    assert issuer.asked == []


@pytest.mark.parametrize(
    "typed",
    [
        "localhost",
        "169.254.169.254",
        "127.1",
        "0x7f.0x1",
        "[::1]",
        "::1",
        "someone@acme.example",
        "acme.example@evil.example",
        "acme.example:443",
        "acme.example/x",
        "acme.example/../common",
        "../x",
        "..",
        "acme.example?x",
        "acme.example#x",
        "acme.example\\x",
        "acme..example",
        ".acme.example",
        "acme.example.",
        "-acme.example",
        "acme_x.example",
        "acme.e",
        "acmé.example",
        "acme.example\u0000x",
        "acme .example",
        "a" * 64 + ".example",
        "a." * 130 + "example",
        "common",
        "organizations",
        "consumers",
        PERSONAL,
        "https://acme.example",
        "   ",
    ],
)
def test_what_is_no_domain_is_never_asked_for(
    world: World,
    admin: Admin,
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
) -> None:
    """Nothing that a customer types decides whom this server calls (79, 80)."""

    def call(*args: Any, **options: Any) -> Any:
        pytest.fail(f"this server called {args}")

    monkeypatch.setattr(requests, "get", call)
    admin.refuse("h5s-directory", directory=typed)
    assert set(world.rows()) == {ProviderState.IN_FORCE}


@pytest.mark.parametrize(
    "cloud", ["169.254.169.254", "http://localhost", "https://[::1]", "x@evil.example", "", "Test"]
)
def test_a_cloud_is_one_of_the_list(
    world: World,
    admin: Admin,
    issuer: Issuer,
    monkeypatch: pytest.MonkeyPatch,
    cloud: str,
) -> None:
    """A host that is sent as the cloud is called by nobody (80)."""
    monkeypatch.setattr(requests, "get", lambda *args, **options: pytest.fail("called"))
    assert "one of the clouds" in admin.refuse("h5s-cloud", directory=DOMAIN, cloud=cloud)
    assert set(world.rows()) == {ProviderState.IN_FORCE}


@both_databases
def test_nothing_waits_while_microsoft_is_asked(
    world: World,
    issuer: Issuer,
    admin: Admin,
) -> None:
    """Neither a lock nor a connection is held: whoever writes meanwhile does not wait."""
    issuer.domains[DOMAIN] = OTHER_TENANT
    held: list[int] = []

    def answer() -> Response:
        with world.app.app_context():
            held.append(db.engine.pool.checkedout())  # type: ignore[attr-defined]
            locks.lock_account(db.session, Account, world.acme)
            db.session.get_one(User, uuid.UUID(world.kim)).display_name = "Meanwhile"
            db.session.commit()
        del issuer.answers["discovery"]
        return Response('{"error":"x"}', status=400)

    issuer.answers["discovery"] = answer
    admin.refuse("h5s-directory", directory=DOMAIN)
    assert held == [0]


def test_microsoft_that_hangs(
    issuer: Issuer,
    admin: Admin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The worker is free again after the same time as at a sign-in."""
    release = threading.Event()

    def answer() -> Response:
        release.wait(10)
        return Response("{}")

    issuer.domains[DOMAIN] = OTHER_TENANT
    issuer.answers["discovery"] = answer
    monkeypatch.setattr(directory, "DEADLINE", 0.2)
    began = now()
    try:
        assert "could not be asked" in admin.refuse("h5s-directory", directory=DOMAIN)
        assert now() - began < timedelta(seconds=5)
    finally:
        release.set()


def test_who_may_not_save_asks_nothing(world: World, issuer: Issuer) -> None:
    """Neither a form from elsewhere nor somebody without the role makes this server call."""
    issuer.domains[DOMAIN] = OTHER_TENANT
    form = {"sso_provider": "microsoft", "directory": DOMAIN, "cloud": "test"}
    for person, status in ((world.owner, 400), (world.kim, 403)):
        client = world.browser(signed_in_as=person)
        answer = client.post(f"{URL}/save", data=form, base_url=PUBLIC_URL)
        assert answer.status_code == status
    assert issuer.asked == []


def test_the_domain_of_the_admin_is_a_first_guess(world: World) -> None:
    """Where nothing is stored yet, and where the address has one."""
    assert Admin(world).open().fields()["directory"] == TENANT
    globex = world.account("globex")
    for name, guess in (
        ("owner@globex.example", "globex.example"),
        ("owner", ""),
        ("owner@localhost", ""),
    ):
        world.change(world.owner, account_id=globex, username=name)
        assert Admin(world, globex).open().fields()["directory"] == guess


# The account's own registration


@both_databases
def test_an_own_registration_is_stored_and_used(
    world: World,
    issuer: Issuer,
    admin: Admin,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its secret is encrypted, sent to Microsoft's token endpoint, and shown nowhere (78)."""
    caplog.set_level(logging.DEBUG)
    page = admin.save(
        client_id=OWN_ID.upper(), client_secret=f" {OWN_SECRET}\n", secret_expires="2033-02-01"
    )
    row = world.rows()[ProviderState.PENDING]
    assert (row.client_id, row.secret_expires_at) == (OWN_ID, datetime(2033, 2, 1, tzinfo=UTC))
    assert opened(world, ProviderState.PENDING) == OWN_SECRET
    assert page.fields()["client_id"] == OWN_ID
    assert page.fields()["secret_expires"] == "2033-02-01"
    assert page.fields()["client_secret"] == ""
    assert page.id("h5s-app-secret")["type"] == "password"
    assert "A secret is stored" in page.id("h5s-app-secret-hint").text

    issuer.client_secret = OWN_SECRET
    issuer.claims["aud"] = OWN_ID
    result = world.test(admin.client).get_data(as_text=True)
    assert "Test sign-in passed" in result
    client = world.browser()
    world.sign_in(client)
    assert who(client) == world.kim
    token_request = [form for name, form in issuer.asked if name == "token"][-1]
    assert (token_request["client_id"], token_request["client_secret"]) == (OWN_ID, OWN_SECRET)
    authorize = [query for name, query in issuer.asked if name == "authorize"][-1]
    assert authorize["client_id"] == OWN_ID

    with admin.client.session_transaction(base_url=PUBLIC_URL) as session:
        kept = str(dict(session))
    row = world.rows()[ProviderState.IN_FORCE]
    entries = [entry.detail for entry in world.log()]
    assert any(entry and f"app registration {OWN_ID} with the secret" in entry for entry in entries)
    traces = [
        page.html,
        admin.open().html,
        result,
        kept,
        repr(row),
        repr(providers.Settings.of(row)),
        repr(entries),
        "\n".join(r.getMessage() for r in caplog.records if not r.name.startswith("urllib3")),
    ]
    for trace in traces:
        assert OWN_SECRET not in trace
        assert row.client_secret not in trace


def test_a_form_does_not_tell_its_secret() -> None:
    """Not even to a log that somebody writes one day."""
    form = SSOForm("microsoft", TENANT, "global", client_secret=OWN_SECRET)
    assert OWN_SECRET not in repr(form)
    assert OWN_SECRET not in repr(providers.Settings("global", TENANT, client_secret=OWN_SECRET))


@both_databases
def test_an_empty_secret_keeps_the_stored_one(world: World, admin: Admin) -> None:
    """And typing the same one again changes nothing."""
    own(world)
    stored = world.rows()[ProviderState.IN_FORCE].client_secret
    for typed in ("", OWN_SECRET):
        assert admin.save(client_secret=typed).statuses == ["Saved. Nothing had changed."]
    admin.save(session_hours="8")
    assert world.rows()[ProviderState.PENDING].client_secret == stored
    # Back to what is in force: what waited is dropped.
    admin.save(session_hours="12", client_secret=OWN_SECRET)
    assert set(world.rows()) == {ProviderState.IN_FORCE}


@both_databases
def test_a_new_secret_leaves_no_gap(
    world: World,
    issuer: Issuer,
    admin: Admin,
) -> None:
    """The old one serves until a test has passed with the new one."""
    own(world)
    page = admin.save(client_secret=NEXT_SECRET)
    assert "One step left" in page.notes
    assert opened(world, ProviderState.IN_FORCE) == OWN_SECRET
    client = world.browser()
    world.sign_in(client)
    assert who(client) == world.kim
    text = world.test(admin.client).get_data(as_text=True)
    assert "Enter its Value, not its Secret ID" in text
    assert set(world.rows()) == {ProviderState.IN_FORCE, ProviderState.PENDING}
    issuer.client_secret = NEXT_SECRET
    world.test(admin.client)
    assert set(world.rows()) == {ProviderState.IN_FORCE}
    assert opened(world, ProviderState.IN_FORCE) == NEXT_SECRET


@pytest.mark.parametrize(
    ("field", "typed", "sentence"),
    [
        ("h5s-app-id", {"client_id": "h5mag"}, "This is not an Application (client) ID"),
        ("h5s-app-id", {"client_id": TENANT}, "This is the Directory (tenant) ID"),
        ("h5s-app-id", {"client_id": "", "client_secret": OWN_SECRET}, "that this secret belongs"),
        ("h5s-app-secret", {"client_secret": ""}, "Enter the Value of this registration’s"),
        (
            "h5s-app-secret",
            {"client_secret": OTHER_TENANT},
            "Enter the secret’s Value, not its Sec",
        ),
        ("h5s-app-secret", {"client_secret": OTHER_TENANT.upper()}, "This is the Secret ID."),
        (
            "h5s-app-secret",
            {"client_secret": "two words of it"},
            "not the Value of a client secret",
        ),
        ("h5s-app-secret", {"client_secret": "short"}, "not the Value of a client secret"),
        ("h5s-app-secret", {"client_secret": "sécret-sécret"}, "not the Value of a client secret"),
        ("h5s-app-expires", {"secret_expires": "soon"}, "This is not a day"),
        ("h5s-app-expires", {"secret_expires": "2033-02-30"}, "This is not a day"),
        ("h5s-app-expires", {"secret_expires": "2020-01-01"}, "has expired already"),
    ],
)
def test_mistakes_in_a_registration_stand_beside_their_fields(
    world: World,
    admin: Admin,
    field: str,
    typed: dict[str, str],
    sentence: str,
) -> None:
    """Nothing is stored, and a secret that was typed is not sent back."""
    form = {"client_id": OWN_ID, "client_secret": OWN_SECRET, **typed}
    assert sentence in admin.refuse(field, **form)
    assert set(world.rows()) == {ProviderState.IN_FORCE}


def test_a_secret_that_is_lost_with_another_mistake_is_asked_for_again(admin: Admin) -> None:
    """It is neither stored nor sent back, and the page says so."""
    typed = {"client_id": OWN_ID, "client_secret": OWN_SECRET, "secret_expires": "soon"}
    assert "Enter the secret again" in admin.refuse("h5s-app-secret", **typed)
    page = Page(admin.press("save", **typed))
    assert page.fields()["client_id"] == OWN_ID
    assert ["open" in d for d in page.all("details") if "app registration" in d.text] == [True]


@pytest.mark.parametrize(
    "change", [{"client_id": "6e0e3f6a-1111-4a0a-9a1e-5b8a7f0c2d22"}, {"cloud": "pathless"}]
)
def test_a_secret_belongs_to_one_registration(
    world: World,
    admin: Admin,
    change: dict[str, str],
) -> None:
    """Another application, or another cloud, asks for the secret anew."""
    own(world)
    assert "Enter the Value" in admin.refuse("h5s-app-secret", **change)


def test_going_back_to_the_hosts_registration(world: World, admin: Admin) -> None:
    """Emptying the ID is enough; the secret is gone with it."""
    own(world, secret_expires_at=datetime(2033, 2, 1, tzinfo=UTC))
    page = admin.save(client_id="")
    row = world.rows()[ProviderState.PENDING]
    assert (row.client_id, row.client_secret, row.secret_expires_at) == (None, None, None)
    assert ["open" in d for d in page.all("details") if "app registration" in d.text] == [False]
    world.issuer.client_secret = CLIENT_SECRET
    world.issuer.claims["aud"] = CLIENT_ID
    assert "Test sign-in passed" in world.test(admin.client).get_data(as_text=True)


def test_a_day_that_has_come_does_not_stand_in_the_way(world: World, admin: Admin) -> None:
    """Whoever saves something else is warned, not refused."""
    own(world, secret_expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    assert admin.save(session_hours="8").fields()["secret_expires"] == "2020-01-01"
    assert "expired already" in admin.refuse("h5s-app-expires", client_secret=NEXT_SECRET)


def test_a_host_without_a_registration(world: World, admin: Admin) -> None:
    """Microsoft can be chosen by who brings a registration, and by nobody else."""
    reconfigure(world, oidc_client_id=None, oidc_client_secret=None)
    with world.app.test_request_context():
        account = db.session.get(Account, world.acme)
        assert scim.sso_url(account) is None
    page = admin.open()
    assert "your directory needs one of its own" in page.text
    assert ["open" in d for d in page.all("details") if "app registration" in d.text] == [True]
    assert not page.has("h5s-consent-hint")
    assert "of your app registration" in admin.refuse("h5s-app-id", directory=OTHER_TENANT)
    own(world)
    with world.app.test_request_context():
        account = db.session.get(Account, world.acme)
        assert scim.sso_url(account) is not None
    client = world.browser()
    world.sign_in(client)
    assert who(client) == world.kim


@both_databases
def test_a_secret_that_no_key_opens(world: World, issuer: Issuer) -> None:
    """A refusal that says who can repair it, never an error; the page asks for the secret."""
    own(world)
    world.app.config["SECRET_KEY"] = "changed"
    client = world.browser()
    answer = client.get(f"/sso/{world.public_id}/login", base_url=PUBLIC_URL)
    text = assert_final(answer, status=403)
    assert "Your organisation’s registration of H5mag does not work" in text
    assert "Sign in with your H5mag password" in text.replace("sign in", "Sign in")

    admin = Admin(world)
    page = admin.open()
    assert "cannot be read any more" in page.notes
    assert "A secret is stored" not in page.text
    result = admin.client.get(world.begin_test(admin.client).location, base_url=PUBLIC_URL)
    assert "cannot be read any more. Enter it again" in result.get_data(as_text=True)
    assert "Enter the Value" in admin.refuse("h5s-app-secret", session_hours="8")
    admin.save(client_secret=OWN_SECRET)
    assert opened(world, ProviderState.PENDING) == OWN_SECRET
    assert "Test sign-in passed" in world.test(admin.client).get_data(as_text=True)
    assert "cannot be read" not in admin.open().text


def test_a_secret_that_no_key_opens_while_somebody_signs_in(world: World) -> None:
    """Between leaving and coming back, too."""
    own(world)
    client = world.browser()
    path = world.approve(world.start(client))
    change_row(world, client_secret=Vault([], secret_keys=["gone"]).seal(OWN_SECRET))
    assert_refused(world, client, world.arrive(client, path), "own_secret")


# The end of a secret


def expired_secret(issuer: Issuer) -> None:
    body = '{"error":"invalid_client","error_description":"AADSTS7000222: expired. Trace ID: x"}'
    issuer.answers["token"] = lambda: Response(body, status=401, mimetype="application/json")


@both_databases
def test_microsoft_calls_the_secret_expired(
    world: World,
    issuer: Issuer,
    admin: Admin,
    told: list[Any],
) -> None:
    """People are told whom to ask, without Microsoft's words; the admins are told once (40)."""
    own(world)
    expired_secret(issuer)
    for _ in range(2):
        client = world.browser()
        text = assert_final(world.sign_in(client))
        assert "Your organisation’s registration of H5mag does not work" in text
        assert who(client) is None
    assert told == [(None, 0)]
    assert world.events().count("sso.secret_expiring") == 1
    assert "The secret of your app registration has expired" in admin.open().notes
    assert "has expired. Make a new one" in world.test(admin.client).get_data(as_text=True)
    # A new secret begins anew.
    del issuer.answers["token"]
    issuer.client_secret = NEXT_SECRET
    admin.save(client_secret=NEXT_SECRET)
    world.test(admin.client)
    assert "expired" not in admin.open().notes
    expired_secret(issuer)
    assert_final(world.sign_in(world.browser()))
    assert len(told) == 2


def test_other_refusals_of_the_secret_are_no_end_of_it(
    world: World,
    issuer: Issuer,
    told: list[Any],
) -> None:
    """A wrong secret is refused as one; and the host's own is not the account's to renew."""
    own(world)
    issuer.client_secret = "other"
    client = world.browser()
    text = assert_refused(world, client, world.sign_in(client), "own_client")
    assert "Invalid client secret" not in text
    world.configure()
    expired_secret(issuer)
    client = world.browser()
    text = assert_refused(world, client, world.sign_in(client), "client")
    assert "Only H5mag can repair that" in text
    assert told == []


@both_databases
@pytest.mark.parametrize("way", ["sign-in", "page"])
def test_warnings_before_the_end(
    world: World,
    admin: Admin,
    told: list[Any],
    way: str,
) -> None:
    """Once each at 30, 14 and 3 days and at the end, by whoever comes along."""

    def pass_by() -> None:
        if way == "page":
            admin.open()
        else:
            world.sign_in(world.browser())

    own(world)
    for left, days, note in (
        (timedelta(days=31), None, None),
        (timedelta(days=29, hours=1), 29, "expires in 29 days"),
        (timedelta(days=19, hours=23), None, "expires in 19 days"),
        (timedelta(days=13, hours=23), 13, "expires in 13 days"),
        (timedelta(days=2, hours=23), 2, "expires in 2 days"),
        (timedelta(hours=2), None, "expires in less than a day"),
        (timedelta(hours=-1), 0, "has expired"),
        (timedelta(days=-9), None, "has expired"),
    ):
        ends = now() + left
        change_row(world, secret_expires_at=ends)
        told.clear()
        version = world.rows()[ProviderState.IN_FORCE].version
        pass_by()
        pass_by()
        assert told == ([] if days is None else [(ends, days)]), left
        assert world.rows()[ProviderState.IN_FORCE].version == version
        notes = admin.open().notes
        assert note in notes if note else "registration" not in notes
    assert world.events().count("sso.secret_expiring") == 4
    details = [e.detail for e in world.log() if e.event == "sso.secret_expiring"]
    assert re.fullmatch(r"expires on \d{4}-\d\d-\d\d", details[0])
    assert details[-1] == "expired"


def test_an_old_warning_stays_with_its_secret(
    world: World,
    admin: Admin,
    told: list[Any],
) -> None:
    """Other settings do not repeat it; another end, or another secret, may bring a new one."""
    own(world, secret_expires_at=midnight(in_days=10))
    admin.open()
    assert len(told) == 1
    admin.save(session_hours="8")
    world.test(admin.client)
    assert world.rows()[ProviderState.IN_FORCE].session_hours == 8
    admin.open()
    assert len(told) == 1
    admin.save(secret_expires=f"{midnight(in_days=9):%Y-%m-%d}")
    world.test(admin.client)
    admin.open()
    assert len(told) == 2


def test_nothing_is_told_of_settings_that_do_not_serve(
    world: World,
    admin: Admin,
    told: list[Any],
) -> None:
    """Switched off, or waiting for their test."""
    own(world, secret_expires_at=now() + timedelta(days=1))
    with world.app.app_context():  # past what would end the admin's session
        providers.in_force(db.session(), scim.records, world.acme).mode = Mode.OFF.value
        db.session.commit()
    admin.open()
    assert told == []
    assert "expires in" not in admin.open().notes


# Consent


def test_the_link_for_admin_consent(world: World, admin: Admin) -> None:
    """Made of what is stored: the directory's own address, the registration, our address."""

    def link() -> Any:
        return next(a for a in admin.open().all("a") if a.text == "Grant admin consent")

    found = link()
    assert found["rel"] == "noopener noreferrer"
    assert found["target"] == "_blank"
    assert found["href"].startswith(f"{world.issuer.base}/{TENANT}/v2.0/adminconsent?")
    assert "scope=openid%20profile" in found["href"]
    assert parse_qs(urlsplit(found["href"]).query) == {
        "client_id": [CLIENT_ID],
        "scope": ["openid profile"],
        "redirect_uri": [f"{PUBLIC_URL}/sso/callback"],
    }
    own(world)
    assert f"client_id={OWN_ID}" in link()["href"]
    change_row(world, cloud="pathless")
    assert not admin.open().has("h5s-consent-hint")
    reconfigure(world, oidc_clouds={})
    assert not admin.open().has("h5s-consent-hint")


def test_no_consent_without_a_directory(world: World) -> None:
    """There is nobody yet to give it."""
    globex = world.account("globex")
    world.change(world.owner, account_id=globex)
    assert not Admin(world, globex).open().has("h5s-consent-hint")


def test_what_microsoft_says_of_consent_is_not_believed(world: World) -> None:
    """The way back ends on a page that says so; nothing changes, whoever the tenant is."""
    client = world.browser()
    before = {state: row.version for state, row in world.rows().items()}
    answer = world.arrive(client, f"/sso/callback?admin_consent=True&tenant={OTHER_TENANT}")
    text = assert_final(answer, status=200)
    assert "You are back from Microsoft" in text
    assert OTHER_TENANT not in text
    assert who(client) is None
    assert {state: row.version for state, row in world.rows().items()} == before
    assert world.rows()[ProviderState.IN_FORCE].tenant_id == TENANT
    # With a state it is an answer to a sign-in like any other.
    path = world.approve(world.start(client))
    world.arrive(client, f"{path}&admin_consent=True")
    assert who(client) == world.kim
    assert_final(world.arrive(client, "/sso/callback?admin_consent=True&state=x"), status=400)


# What Microsoft's numbers mean

NUMBERS = """50011 900971 70004 700016 70001 90002 90038 7000215 70002 7000222 700025 700027 50012
50105 50020 50034 51004 16000 90072 65001 90094 90008 65004 53000 53001 53003 530032 50131 50158
50053 50055 50057 50126 50144 50058 50194 50196 54005 70008 501481 90033 90006 90024 90055
700005"""


def test_every_number_has_its_hint() -> None:
    """Those that Microsoft's road can end with; other words for who can repair the secret."""
    assert set(refusals.AADSTS) == set(NUMBERS.split())

    def hint(reason: str, number: str | None, *, is_own: bool) -> str:
        address = "https://h5mag.example/sso/callback"
        return refusals.hint(reason, number, is_own=is_own, redirect_uri=address)

    for number in NUMBERS.split():
        assert "{" not in hint("provider", number, is_own=False)
    assert "https://h5mag.example/sso/callback" in hint("provider", "50011", is_own=True)
    for number in ("7000215", "7000222", "700025", "700027"):
        assert "H5mag" in hint("client", number, is_own=False)
        assert "Only H5mag" not in hint("own_client", number, is_own=True)
    assert "Value" in hint("own_client", "7000215", is_own=True)
    assert hint("own_client", None, is_own=True) == TEXTS["test_hint.own_client"]


def test_the_hosts_own_secret_is_not_the_customers(
    world: World,
    issuer: Issuer,
    admin: Admin,
) -> None:
    """The same number has other words where the registration is H5mag's."""
    issuer.client_secret = "other"
    text = world.test(admin.client).get_data(as_text=True)
    assert "Only H5mag can renew it" in text


@pytest.mark.parametrize("domain", ["../x", "acme.example/x", "127.0.0.1", "ACME.example", ""])
def test_nothing_but_a_domain_becomes_part_of_an_address(
    world: World, monkeypatch: pytest.MonkeyPatch, domain: str
) -> None:
    """Whoever asks, the form or code to come."""
    monkeypatch.setattr(requests, "get", lambda *args, **options: pytest.fail("called"))
    config = world.app.extensions["h5mag_scim"].config
    with pytest.raises(directory.DomainError, match="unknown"):
        directory.resolve(config, "test", domain)


@both_databases
def test_two_processes_tell_once(world: World) -> None:
    """What another one has told since the row was read is not told again."""
    own(world)
    with world.app.app_context():
        row = providers.in_force(db.session, scim.records, world.acme)
        assert row is not None
        change_row(world, secret_warned_days=14)
        assert not providers.note_secret_warning(db.session, scim.records, row, 14)
        assert not providers.note_secret_warning(db.session, scim.records, row, 30)
        assert providers.note_secret_warning(db.session, scim.records, row, 3)
        assert row.secret_warned_days == 3
        db.session.rollback()
