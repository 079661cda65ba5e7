"""Customers for the tests in a browser: accounts in any state, in one application beside a
stand-in for Microsoft, and the windows in which their people look at the page."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
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

from .browser import PATIENCE, chromium, free_port, served
from .conftest import PASSWORD, Entra, password_hash, restamp
from .issuer import CLIENT_ID, CLIENT_SECRET, Issuer, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page, Response

PAGE = "/account/provisioning"
TENANT = "6f0a1c1e-8f5b-4f0e-9a39-5f3c0d2a7b10"


@dataclass
class Customer:
    """An account that a test brings into a state."""

    app: Flask
    name: str
    id: Any
    #: Where its people are signed in, by their user names.
    browsers: dict[str, FlaskClient] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        """The user name of the one who owns it."""
        return f"owner@{self.name}.example"

    def add(self, name: str, role: str) -> str:
        """Somebody who is signed in with a password; their user name."""
        user = User(account_id=self.id, role=role, display_name=f"{name.title()} {role.title()}")
        user.username = user.email = f"{name}@{self.name}.example"
        user.password_hash = password_hash()
        db.session.add(user)
        db.session.commit()
        client = self.browsers[user.username] = self.app.test_client()
        form = {"email": user.username, "password": PASSWORD}
        assert client.post("/login?password=1", data=form).status_code == 303
        return user.username

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

    def draft(self) -> str:
        """A token that is not saved, as its text."""
        _, text = tokens.issue(db.session, scim.records, self.id, created_by=self.owner)
        db.session.commit()
        return text

    def tokens(self) -> list[Any]:
        """All of its tokens, in the order in which they were made."""
        Token = scim.Token
        mine = sa.select(Token).where(Token.account_id == self.id).order_by(Token.created_at)
        return list(db.session.scalars(mine.execution_options(populate_existing=True)))

    def change_tokens(self, **values: Any) -> None:
        """Let all of its tokens be otherwise, as they come to be with time."""
        Token = scim.Token
        db.session.execute(sa.update(Token).where(Token.account_id == self.id).values(**values))
        db.session.commit()

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
        """Microsoft Entra with a token of this account."""
        return Entra(self.app.test_client(), text or self.token())

    def people(self, entra: Entra, count: int) -> list[dict[str, Any]]:
        """So many people whom Microsoft Entra brings now."""
        return [
            entra.user(f"person{n}.{self.name}", displayName=f"Person {n}") for n in range(count)
        ]

    def bring_owner(self, entra: Entra) -> None:
        """Microsoft Entra takes over the owner, who was here before."""
        (found,) = entra.ask(filter=f'userName eq "{self.owner}"')["Resources"]
        body = {"userName": self.owner, "externalId": str(uuid.uuid4()), "active": True}
        assert entra.put(f"/Users/{found['id']}", body).status_code == 200

    def single_sign_on(
        self, mode: Mode, *, tested: bool = True, cloud: str = "global", **settings: Any
    ) -> None:
        """A directory in force, or one that waits for its test."""
        wanted = providers.Settings(cloud=cloud, tenant_id=TENANT, mode=mode, **settings)
        store = providers.configure if tested else providers.save
        store(db.session, scim.records, self.id, wanted, by=self.owner)
        db.session.commit()

    def require_on_trial(self, *, cloud: str = "global") -> None:
        """Microsoft is required, on trial, of everybody but the owner."""
        account = db.session.get(Account, self.id)
        scim.name_break_glass(account, [self.owner], by=self.owner)
        self.single_sign_on(Mode.REQUIRE, cloud=cloud)
        Provider = scim.IdentityProvider
        db.session.execute(
            sa.update(Provider)
            .where(Provider.account_id == self.id)
            .values(trial_ends_at=now() + timedelta(minutes=28), mode_after_trial="redirect")
        )
        db.session.commit()

    def pause(self) -> None:
        """Provisioning is paused by its owner."""
        accounts.pause(db.session, scim.records, self.id, by=self.owner)
        db.session.commit()

    def end_licence(self) -> None:
        """The account has no licence for all of this any more."""
        account = db.session.get_one(Account, self.id)
        account.plan = "professional"
        db.session.commit()


@dataclass
class Site:
    """One application with an account for each test, a stand-in for Microsoft, and a browser."""

    app: Flask
    url: str
    browser: Browser
    microsoft: Issuer
    #: What no page may do: errors of scripts, what the content security policy stopped, what
    #: did not load, and requests to other hosts.
    faults: list[str] = field(default_factory=list)

    def customer(self, prepare: Callable[[Customer], None] | None = None) -> Customer:
        """A licensed account with an owner, in the state in which ``prepare`` leaves it."""
        name = f"c-{uuid.uuid4().hex[:8]}"
        with self.app.app_context():
            account = Account(slug=name, name="Contoso", plan="enterprise")
            db.session.add(account)
            db.session.commit()
            customer = Customer(self.app, name, account.id)
            customer.add("owner", "owner")
            if prepare is not None:
                prepare(customer)
            db.session.remove()
        return customer

    def window(
        self,
        customer: Customer,
        user_name: str | None = None,
        *,
        path: str = PAGE,
        scripts: bool = True,
        **stamp: Any,
    ) -> Page:
        """A page in a browser of its own, for somebody who signed in a moment ago.

        :param user_name: who; otherwise the owner.
        :param stamp: how their session began, if otherwise (see ``restamp``).
        """
        client = customer.browsers[user_name or customer.owner]
        if stamp:
            with client.session_transaction() as session:
                restamp(session, **stamp)
        cookie = client.get_cookie(self.app.config["SESSION_COOKIE_NAME"])
        assert cookie is not None
        context = self.browser.new_context(
            viewport={"width": 1280, "height": 900}, java_script_enabled=scripts
        )
        context.set_default_timeout(PATIENCE)
        context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": self.url}])
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=self.url)
        context.on("response", self._loaded)
        context.on("console", self._said)
        context.on("weberror", lambda error: self.faults.append(str(error.error)))
        page = context.new_page()
        page.goto(self.url + path)
        return page

    def _loaded(self, response: Response) -> None:
        is_ours = response.url.startswith((f"{self.url}/", f"{self.microsoft.base}/", "blob:"))
        is_document = response.request.resource_type == "document"
        if not is_ours or (response.status >= 400 and not is_document):
            self.faults.append(f"{response.status} {response.url}")
        is_page = is_document and response.url.startswith(self.url) and response.status == 200
        if is_page and not self._is_strict(response.headers):
            self.faults.append(f"no strict content security policy: {response.url}")

    @staticmethod
    def _is_strict(headers: dict[str, str]) -> bool:
        policy = headers.get("content-security-policy", "")
        return "default-src 'self'" in policy and "unsafe" not in policy

    def _said(self, message: ConsoleMessage) -> None:
        # That a document is an answer to a mistake is no fault; what it loads was seen above.
        is_answer = message.text.startswith("Failed to load resource: the server responded")
        if message.type in ("error", "warning") and not is_answer:
            self.faults.append(message.text)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    port = free_port()
    path = tmp_path_factory.mktemp("site") / "host.sqlite"
    with running() as microsoft:
        app = create_app(
            {
                "SECRET_KEY": "test",
                "SQLALCHEMY_DATABASE_URI": f"sqlite:///{path}",
                "H5MAG_SCIM_PUBLIC_URL": f"http://127.0.0.1:{port}",
                "H5MAG_SCIM_OIDC_CLIENT_ID": CLIENT_ID,
                "H5MAG_SCIM_OIDC_CLIENT_SECRET": CLIENT_SECRET,
                "H5MAG_SCIM_OIDC_CLOUDS": {"stand-in": microsoft.base},
                "H5MAG_SCIM_BRAKE_USERS": 2,
            }
        )
        with app.app_context():
            db.create_all()
        with served(app, port) as url, chromium() as browser:
            yield Site(app, url, browser, microsoft)
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


@pytest.fixture
def no_faults(site: Site) -> Iterator[None]:
    """After the test: none of its pages did what no page may do."""
    site.faults.clear()
    yield
    for context in site.browser.contexts:
        context.close()
    assert site.faults == []
