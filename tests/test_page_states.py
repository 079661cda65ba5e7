"""The page in each of its states, in Chromium: readable by everybody, on a phone as on a desk,
in the light and in the dark, with scripts and without.

Set TEST_SCREENSHOTS to a folder to look at them.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from example_app import create_app
from example_app.models import Account, User, db
from example_app.provisioning import scim
from flask_h5mag_scim.records import accounts, providers, tokens
from flask_h5mag_scim.records.models import Mode, now
from flask_h5mag_scim.web.sessions import MICROSOFT

from .browser import chromium, free_port, served
from .conftest import PASSWORD, Entra, password_hash, restamp

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

PAGE = "/account/provisioning"
TENANT = "6f0a1c1e-8f5b-4f0e-9a39-5f3c0d2a7b10"

#: Width, and what the person prefers.
LOOKS = [(1280, "light"), (1280, "dark"), (320, "light"), (320, "dark")]


@dataclass
class Site:
    """One application with an account for each state, and a browser."""

    app: Flask
    url: str
    browser: Browser

    def owner(self, state: str, *, scripts: bool = True) -> Page:
        """The page, as the owner of an account in a state sees it."""
        name, client = self._customer(state)
        context = self.browser.new_context(
            viewport={"width": 1280, "height": 900}, java_script_enabled=scripts
        )
        cookie = client.get_cookie(self.app.config["SESSION_COOKIE_NAME"])
        assert cookie is not None
        context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": self.url}])
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.goto(self.url + PAGE)
        assert page.url == self.url + PAGE, page.inner_text("body")
        return page

    def _customer(self, state: str) -> tuple[str, FlaskClient]:
        """An account in a state: its name, and its owner's browser."""
        name = f"{state}-{uuid.uuid4().hex[:6]}"
        client = self.app.test_client()
        with self.app.app_context():
            account = Account(slug=name, name=name.title(), plan="enterprise")
            db.session.add(account)
            db.session.flush()
            owner = User(account_id=account.id, role="owner", display_name="Olga Owner")
            owner.username = owner.email = f"owner@{name}.example"
            owner.password_hash = password_hash()
            db.session.add(owner)
            db.session.commit()
            account_id, user_name = account.id, owner.username
        form = {"email": user_name, "password": PASSWORD}
        assert client.post("/login?password=1", data=form).status_code == 303
        with self.app.app_context():
            STATES[state][0](Customer(self.app, name, account_id))
            db.session.remove()
        with client.session_transaction() as session:
            restamp(session, **({"method": MICROSOFT} if state == "required" else {}))
        return name, client


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    port = free_port()
    path = tmp_path_factory.mktemp("states") / "host.sqlite"
    app = create_app(
        {
            "SECRET_KEY": "test",
            "SQLALCHEMY_DATABASE_URI": f"sqlite:///{path}",
            "H5MAG_SCIM_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "H5MAG_SCIM_OIDC_CLIENT_ID": "h5mag",
            "H5MAG_SCIM_OIDC_CLIENT_SECRET": "a secret of the host",
            "H5MAG_SCIM_BRAKE_USERS": 2,
        }
    )
    with app.app_context():
        db.create_all()
    with served(app, port) as url, chromium() as browser:
        yield Site(app, url, browser)
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


# -- the states --------------------------------------------------------------------------


@dataclass
class Customer:
    """An account that is brought into a state."""

    app: Flask
    name: str
    id: Any

    def token(
        self, name: str = "Microsoft Entra ID", *, days: int | None = 365, hours_old: int = 0
    ) -> str:
        """A saved token, as its text."""
        made, text = tokens.issue(db.session, scim.records, self.id, created_by=self.owner)
        ends = None if days is None else now() + timedelta(days=days)
        tokens.activate(db.session, scim.records, made, name=name, expires_at=ends)
        if hours_old:
            made.created_at = made.activated_at = now() - timedelta(hours=hours_old)
        db.session.commit()
        return text

    @property
    def owner(self) -> str:
        return f"owner@{self.name}.example"

    def used(self, text: str, *, ago: timedelta) -> None:
        """Let the last request have come some time ago."""
        Token = scim.Token
        when = now() - ago
        db.session.execute(
            sa.update(Token)
            .where(Token.hash == tokens.hash_text(text))
            .values(last_used_at=when, first_used_at=when, last_used_ip="20.50.2.11")
        )
        db.session.commit()

    def entra(self, text: str | None = None) -> Entra:
        return Entra(self.app.test_client(), text or self.token())

    def people(self, entra: Entra, count: int) -> list[dict[str, Any]]:
        return [
            entra.user(f"person{n}.{self.name}", displayName=f"Person {n}") for n in range(count)
        ]

    def single_sign_on(self, mode: Mode, *, tested: bool = True) -> None:
        """A directory in force, or one that waits for its test."""
        wanted = providers.Settings(cloud="global", tenant_id=TENANT, mode=mode)
        if tested:
            providers.configure(db.session, scim.records, self.id, wanted, by=self.owner)
        else:
            providers.save(db.session, scim.records, self.id, wanted, by=self.owner)
        db.session.commit()


def _draft(customer: Customer) -> None:
    _, text = tokens.issue(db.session, scim.records, customer.id, created_by=customer.owner)
    db.session.commit()
    assert customer.entra(text).get("/Users").status_code == 401


def _waiting(customer: Customer) -> None:
    customer.token()


def _connected(customer: Customer) -> None:
    entra = customer.entra()
    people = customer.people(entra, 3)
    entra.group("Editors", members=[{"value": person["id"]} for person in people])
    entra.patch(f"/Users/{people[0]['id']}", {"op": "Replace", "path": "active", "value": "False"})
    customer.single_sign_on(Mode.REDIRECT)


def _rotation(customer: Customer) -> None:
    old = customer.token("Old token", hours_old=5)
    new = customer.token("New token")
    customer.entra(old)
    customer.used(old, ago=timedelta(hours=4))
    assert customer.entra(new).get("/Users").status_code == 200


def _attention(customer: Customer) -> None:
    entra = customer.entra()
    customer.people(entra, 1)
    for n in range(12):
        body = {"schemas": [], "userName": f"person0.{customer.name}@example.com"}
        assert entra.post("/Users", {**body, "externalId": str(n)}).status_code >= 400


def _quiet(customer: Customer) -> None:
    text = customer.token()
    customer.people(customer.entra(text), 2)
    customer.used(text, ago=timedelta(hours=3))


def _expiring(customer: Customer) -> None:
    text = customer.token(days=10)
    customer.people(customer.entra(text), 1)


def _expired(customer: Customer) -> None:
    text = customer.token()
    customer.people(customer.entra(text), 1)
    Token = scim.Token
    db.session.execute(
        sa.update(Token)
        .where(Token.account_id == customer.id)
        .values(expires_at=now() - timedelta(days=1))
    )
    db.session.commit()


def _paused(customer: Customer) -> None:
    entra = customer.entra()
    customer.people(entra, 1)
    accounts.pause(db.session, scim.records, customer.id, by=customer.owner)
    db.session.commit()
    assert entra.get("/Users").status_code == 503


def _braked(customer: Customer) -> None:
    entra = customer.entra()
    for person in customer.people(entra, 4):
        entra.delete(f"/Users/{person['id']}")


def _unlicensed(customer: Customer) -> None:
    account = db.session.get(Account, customer.id)
    assert account is not None
    account.plan = "professional"
    db.session.commit()
    customer.token()


def _pending(customer: Customer) -> None:
    customer.token()
    customer.single_sign_on(Mode.REDIRECT, tested=False)


def _required(customer: Customer) -> None:
    customer.people(customer.entra(), 2)
    scim.name_break_glass(db.session.get(Account, customer.id), [customer.owner], by=customer.owner)
    customer.single_sign_on(Mode.REQUIRE)
    Provider = scim.IdentityProvider
    db.session.execute(
        sa.update(Provider)
        .where(Provider.account_id == customer.id)
        .values(trial_ends_at=now() + timedelta(minutes=28), mode_after_trial="redirect")
    )
    db.session.commit()


def _nothing(customer: Customer) -> None:
    """As the account is on its first day."""


#: Each state, and words that only it has.
STATES: dict[str, tuple[Callable[[Customer], None], str]] = {
    "none": (_nothing, "Not set up"),
    "draft": (_draft, "Token not saved"),
    "waiting": (_waiting, "Waiting for Microsoft Entra"),
    "connected": (_connected, "Connected"),
    "rotation": (_rotation, "safe to revoke"),
    "attention": (_attention, "Attention"),
    "quiet": (_quiet, "Quiet"),
    "expiring": (_expiring, "Token expires"),
    "expired": (_expired, "Token expired"),
    "paused": (_paused, "Paused"),
    "braked": (_braked, "Release"),
    "unlicensed": (_unlicensed, "Enterprise licence"),
    "pending": (_pending, "One step left: Test sign-in"),
    "required": (_required, "On trial for"),
}


# -- what holds in all of them -----------------------------------------------------------


def check(page: Page, what: str) -> None:
    """Nothing serious for axe, and nothing beside the screen, in every look; opened as it comes
    and with everything unfolded."""
    from axe_playwright_python.sync_playwright import Axe

    for unfolded in (False, True):
        if unfolded:
            page.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true })")
        for width, scheme in LOOKS:
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of two words
            folder = os.environ.get("TEST_SCREENSHOTS")
            if folder:
                name = f"{what}-{'open' if unfolded else 'first'}-{width}-{scheme}.png"
                page.screenshot(path=str(Path(folder) / name), full_page=True)
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{what}, {width} px: {wide} px wide"
            # Once in each width and each scheme: axe takes its time.
            if not unfolded or (width, scheme) not in ((1280, "light"), (320, "dark")):
                continue
            found = Axe().run(page).response["violations"]
            serious = [
                f"{one['id']}: {one['help']}: {[node['target'] for node in one['nodes']][:3]}"
                for one in found
                if one["impact"] in ("serious", "critical")
            ]
            assert serious == [], f"{what}, {width} px, {scheme}"


@pytest.mark.parametrize("state", STATES)
def test_each_state_is_for_everybody(site: Site, state: str) -> None:
    """Its words are there; axe finds nothing serious; nothing is cut off on a phone."""
    page = site.owner(state)
    page.get_by_text(re.compile(re.escape(STATES[state][1]))).first.wait_for()
    check(page, state)


@pytest.mark.parametrize("state", STATES)
def test_each_state_says_the_same_without_scripts(site: Site, state: str) -> None:
    """Scripts only add comfort: what they add is hidden without them."""
    page = site.owner(state, scripts=False)
    assert page.get_by_text(re.compile(re.escape(STATES[state][1]))).first.is_visible()
    assert page.get_by_role("button", name=re.compile("^(Copy|Hide|Show)")).count() == 0
    assert page.get_by_role("heading", name="Provisioning & SSO").is_visible()


def test_the_first_screen_is_calm(site: Site) -> None:
    """On the first day there are one thing to press, one to choose, and nothing unfolded."""
    page = site.owner("none")
    assert page.locator("details[open]").count() == 0
    visible = [b.inner_text() for b in page.get_by_role("button").all() if b.is_visible()]
    assert [text for text in visible if text] == ["Sign out", "Generate Token", "Save"]
