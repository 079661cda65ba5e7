"""The page "Provisioning & SSO", through HTTP, as an owner's browser uses it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from example_app.models import User, db
from example_app.provisioning import scim
from flask_h5mag_scim import token_issued, token_revoked
from flask_h5mag_scim.records import federation, log, providers, tokens
from flask_h5mag_scim.records.models import Mode, ProviderState, now

from ..browser import PATIENCE, chromium, free_port, served
from ..conftest import (
    PASSWORD,
    PUBLIC_URL,
    Entra,
    both_databases,
    get_account,
    make_token,
    password_hash,
    restamp,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

URL = "/account/provisioning"
TENANT = "8f14e45f-ceea-467f-a1d2-3b5c6d7e8f90"
OTHER_TENANT = "1d2c3b4a-0000-4000-8000-1234567890ab"
TOKEN = re.compile(r"h5mag_scim_[A-Za-z0-9_-]{49}")
VOID = {"input", "link", "meta", "img", "br", "hr"}


# -- reading a page ----------------------------------------------------------------------


@dataclass
class Element:
    name: str
    attributes: dict[str, str]
    parents: tuple[Element, ...] = ()
    words: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def __getitem__(self, name: str) -> str:
        return self.attributes[name]

    def __contains__(self, name: str) -> bool:
        return name in self.attributes


class Page(HTMLParser):
    """A page as somebody reads it and fills in its form."""

    def __init__(self, answer: TestResponse) -> None:
        super().__init__()
        self.answer = answer
        self.status = answer.status_code
        self.html = answer.text
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {k: v or "" for k, v in attrs}, tuple(self._open))
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].name == tag, f"</{tag}> closes <{self._open[-1].name}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.words.append(data)

    def all(self, name: str, /, **attributes: str) -> list[Element]:
        wanted = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
        return [
            element
            for element in self.elements
            if element.name == name
            and all(element.attributes.get(key) == value for key, value in wanted.items())
        ]

    def one(self, name: str, /, **attributes: str) -> Element:
        found = self.all(name, **attributes)
        assert len(found) == 1, (name, attributes, len(found))
        return found[0]

    def id(self, value: str) -> Element:
        found = [element for element in self.elements if element.attributes.get("id") == value]
        assert len(found) == 1, value
        return found[0]

    def has(self, value: str) -> bool:
        return any(element.attributes.get("id") == value for element in self.elements)

    @property
    def text(self) -> str:
        return self.one("body").text

    @property
    def pill(self) -> str:
        return self.one("p", class_="h5s-status").text

    @property
    def notes(self) -> str:
        found = [
            e.text for e in self.elements if "h5s-note" in e.attributes.get("class", "").split()
        ]
        return " | ".join(found)

    @property
    def statuses(self) -> list[str]:
        return [e.text for e in self.elements if e.attributes.get("role") == "status" and e.text]

    def button(self, label: str) -> Element:
        found = [element for element in self.all("button") if element.text == label]
        assert len(found) == 1, (label, [button.text for button in self.all("button")])
        return found[0]

    def buttons(self) -> list[str]:
        return [button.text for button in self.all("button") if button.text]

    def fields(self) -> dict[str, str]:
        """What the page's one form would send."""
        forms = [
            e for e in self.all("form") if e.attributes.get("class") in ("h5s-form", "h5s-card")
        ]
        assert len(forms) == 1
        values: dict[str, str] = {}
        for element in self.elements:
            if forms[0] not in element.parents:
                continue
            if element.name == "option" and "selected" in element:
                values[element.parents[-1]["name"]] = element["value"]
            is_sent = (
                element.attributes.get("type") not in ("radio", "checkbox") or "checked" in element
            )
            if element.name == "input" and "name" in element and is_sent:
                values[element["name"]] = element["value"]
        return values

    @property
    def token(self) -> str:
        value = self.id("h5s-token")["value"]
        assert TOKEN.fullmatch(value)
        return value


class Admin:
    """Somebody with a browser."""

    def __init__(self, app: Flask, name: str | None = "owner@acme.example") -> None:
        self.app = app
        self.client: FlaskClient = app.test_client()
        if name is not None:
            self.sign_in(name)

    def sign_in(self, name: str) -> None:
        answer = self.client.post("/login?password=1", data={"email": name, "password": PASSWORD})
        assert answer.status_code == 303, answer.text

    def open(self, url: str = URL) -> Page:
        answer = self.client.get(url)
        assert answer.status_code == 200, answer.text
        return Page(answer)

    def press(self, page: Page, what: str, **typed: str) -> TestResponse:
        """Send the page's form with a button: generate, save, discard."""
        return self.client.post(f"{URL}/{what}", data={**page.fields(), **typed})

    def generate(self, **typed: str) -> Page:
        answer = self.press(self.open(), "generate", **typed)
        assert answer.status_code == 200, answer.text
        return Page(answer)

    def save(self, page: Page, **typed: str) -> Page:
        """Press Save, and see the page that it leads to."""
        answer = self.press(page, "save", **typed)
        assert answer.status_code == 303, Page(answer).notes
        assert answer.location == URL
        return self.open()

    def refuse(self, page: Page, status: int, **typed: str) -> Page:
        """Press Save, and see what is wrong."""
        answer = self.press(page, "save", **typed)
        assert answer.status_code == status, answer.text
        return Page(answer)

    def forget_login(self) -> None:
        """Eleven minutes pass."""
        with self.client.session_transaction() as session:
            restamp(session, age=11 * 60)


@pytest.fixture
def owner(app: Flask) -> Admin:
    return Admin(app)


def add_user(app: Flask, name: str, role: str, slug: str = "acme") -> str:
    with app.app_context():
        user = User(account_id=get_account(slug).id, username=name, role=role)
        user.password_hash = password_hash()
        db.session.add(user)
        db.session.commit()
    return name


def reconfigure(app: Flask, **values: Any) -> None:
    """What the host's configuration would say instead."""
    state = app.extensions["h5mag_scim"]
    state.config = replace(state.config, **values)


def held(app: Flask, slug: str = "acme") -> list[tuple[str, str]]:
    """An account's tokens: state and name, oldest first."""
    with app.app_context():
        rows = db.session.scalars(
            sa.select(scim.Token)
            .filter_by(account_id=get_account(slug).id)
            .order_by(scim.Token.created_at)
        )
        return [(str(row.state(now())), row.name) for row in rows]


def events(app: Flask, slug: str = "acme") -> list[tuple[str, str]]:
    """An account's log: event and actor, oldest first."""
    with app.app_context():
        rows = log.recent(db.session, scim.records, get_account(slug).id, limit=100)
        return [(row.event, row.actor) for row in reversed(rows)]


def settings(app: Flask, slug: str = "acme") -> list[tuple[str, str, str, str] | None]:
    """The single sign-on settings in force and pending."""
    with app.app_context():
        return [
            None if row is None else (str(row.state), row.tenant_id, row.cloud, str(row.mode))
            for row in providers.load(db.session, scim.records, get_account(slug).id)
        ]


def change_token(app: Flask, text: str, **values: Any) -> uuid.UUID:
    """Let time pass for a token."""
    with app.app_context():
        token = db.session.scalars(
            sa.select(scim.Token).filter_by(hash=tokens.hash_text(text))
        ).one()
        for name, value in values.items():
            setattr(token, name, value)
        key: uuid.UUID = token.id
        db.session.commit()
        return key


def configure(
    app: Flask, tenant: str = TENANT, slug: str = "acme", mode: Mode = Mode.REDIRECT
) -> None:
    """Put single sign-on in force, as a passed test would."""
    with app.app_context():
        providers.configure(
            db.session,
            scim.records,
            get_account(slug).id,
            providers.Settings("global", tenant, mode),
            by="x",
        )
        db.session.commit()


# -- who may -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "status"), [("owner", 200), ("admin", 200), ("editor", 403), ("reader", 403)]
)
def test_owners_and_admins_manage_and_others_are_refused(
    app: Flask, role: str, status: int
) -> None:
    """The page opens for owners and admins; everybody else gets 403, also from its POSTs."""
    visitor = Admin(
        app,
        add_user(app, f"{role}@acme.example", role) if role != "owner" else "owner@acme.example",
    )
    answer = visitor.client.get(URL)
    assert answer.status_code == status
    if status == 403:
        assert "owners and admins" in answer.text
        for action in ("generate", "save", "discard", f"tokens/{uuid.uuid4()}/revoke"):
            assert visitor.client.post(f"{URL}/{action}").status_code == 403


def test_anonymous_visitors_go_to_the_hosts_login(app: Flask) -> None:
    """Without a session every address of the page leads to the login, and back to the page."""
    client = app.test_client()
    for answer in (
        client.get(URL),
        client.post(f"{URL}/generate"),
        client.post(f"{URL}/save"),
        client.post(f"{URL}/discard"),
        client.get(f"{URL}/tokens/{uuid.uuid4()}/revoke"),
        client.post(f"{URL}/tokens/{uuid.uuid4()}/revoke"),
    ):
        assert answer.status_code == 302
        assert answer.location.startswith("/login?next=%2Faccount%2Fprovisioning")
    answer = client.post(
        f"/login?password=1&next={URL}/generate",
        data={"email": "owner@acme.example", "password": PASSWORD},
        follow_redirects=True,
    )
    assert answer.request.path == URL
    assert held(app) == []


def test_without_a_licence_the_page_can_only_be_read(app: Flask) -> None:
    """Every button is disabled, the page says whom to ask, and every POST is 403."""
    token_id = change_token(app, make_token(app, "umbrella"))
    configure(app, slug="umbrella")
    visitor = Admin(app, "owner@umbrella.example")
    page = visitor.open()
    assert "takes an Enterprise licence" in page.notes
    assert page.one("a", href="mailto:support@h5mag.com")
    working = [b for b in page.all("button") if "disabled" not in b and "hidden" not in b]
    assert [button.text for button in working] == ["Sign out"]
    assert all("disabled" in radio for radio in page.all("input", type="radio"))
    for action in ("generate", "save", "discard", f"tokens/{token_id}/revoke"):
        answer = visitor.client.post(f"{URL}/{action}", data=page.fields())
        assert answer.status_code == 403
        assert "Enterprise licence" in answer.text
        assert "support@h5mag.com" in answer.text
    assert held(app, "umbrella") == [("active", "test")]
    assert settings(app, "umbrella")[0] == ("in_force", TENANT, "global", "redirect")


@pytest.mark.parametrize("csrf", ["", "wrong", "é", None])
def test_a_form_from_elsewhere_changes_nothing(app: Flask, owner: Admin, csrf: str | None) -> None:
    """Every POST without this session's token is 400."""
    text = make_token(app, "acme")
    token_id = change_token(app, text)
    data = {**owner.open().fields(), "sso_provider": "microsoft", "directory": TENANT}
    del data["scim_csrf"]
    if csrf is not None:
        data["scim_csrf"] = csrf
    for action in ("generate", "save", "discard", f"tokens/{token_id}/revoke"):
        answer = owner.client.post(f"{URL}/{action}", data=data)
        assert answer.status_code == 400
        assert "nothing was changed" in answer.text
    assert held(app) == [("active", "test")]
    assert settings(app) == [None, None]


def test_the_csrf_token_of_another_session_does_not_fit(app: Flask, owner: Admin) -> None:
    """A colleague's form, sent with this session, is refused."""
    colleague = Admin(app, add_user(app, "admin@acme.example", "admin"))
    data = colleague.open().fields()
    owner.open()
    assert owner.client.post(f"{URL}/generate", data=data).status_code == 400
    assert held(app) == []


def test_forms_carry_the_hosts_csrf_token_when_it_has_one(app: Flask, owner: Admin) -> None:
    """A host with Flask-WTF sees its own token beside ours; one without does not need it."""
    make_token(app, "acme")
    fields = owner.open().fields()
    assert fields["csrf_token"] != fields["scim_csrf"]
    del app.jinja_env.globals["csrf_token"]
    reconfigure(app, layout="h5mag_scim/layout.html")  # the host's own needs its token
    assert "csrf_token" not in owner.open().fields()


@pytest.mark.parametrize("action", ["generate", "revoke"])
def test_generate_and_revoke_want_a_recent_sign_in(app: Flask, owner: Admin, action: str) -> None:
    """After ten minutes the click leads to the login, and afterwards back to say so."""
    text = make_token(app, "acme")
    token_id = change_token(app, text)
    confirm = f"{URL}/tokens/{token_id}/revoke"
    owner.forget_login()
    page = owner.open(confirm if action == "revoke" else URL)
    assert "sign in again first" in page.text
    url = confirm if action == "revoke" else f"{URL}/generate"
    answer = owner.client.post(
        url, data={**page.fields(), "fingerprint": tokens.hash_text(text)[:6]}
    )
    assert answer.status_code == 303
    assert answer.location.startswith("/login?next=")
    assert answer.location.endswith("&password=1")
    assert held(app) == [("active", "test")]

    back = owner.client.post(
        answer.location,
        data={"email": "owner@acme.example", "password": PASSWORD},
    )
    assert back.location == f"{confirm if action == 'revoke' else URL}?again=1"
    page = owner.open(back.location)
    assert page.statuses == ["Thank you, you are signed in again. Please repeat your last step."]
    assert "sign in again first" not in page.text


def test_who_came_in_through_microsoft_signs_in_again_there(app: Flask, owner: Admin) -> None:
    """They may have no password; everybody else is asked for it."""
    configure(app)
    owner.forget_login()
    with owner.client.session_transaction() as session:
        restamp(session, method="microsoft")
    answer = owner.client.post(f"{URL}/generate", data=owner.open().fields())
    assert answer.location.startswith("/login?next=")
    assert "password" not in answer.location


def test_reading_saving_and_discarding_want_no_recent_sign_in(app: Flask, owner: Admin) -> None:
    """Only what makes or ends a token asks for it; a session without any time is too old."""
    page = owner.generate()
    owner.forget_login()
    owner.open()
    assert "The token is saved" in owner.save(page).statuses[0]
    with owner.client.session_transaction() as session:
        del session["_h5mag_scim_session"]
    assert owner.press(owner.open(), "discard").status_code == 303
    assert owner.press(owner.open(), "generate").location.startswith("/login")


# -- Generate ----------------------------------------------------------------------------


def test_generate_shows_url_and_token_once(app: Flask, owner: Admin) -> None:
    """Generate Token shows the Provisioning URL and the API Token, in one answer only."""
    before = owner.open()
    assert before.pill == "Not set up Microsoft Entra is not connected to this account."
    assert not before.has("h5s-token")
    assert before.button("Generate Token")["formaction"] == f"{URL}/generate"

    page = owner.generate()
    assert page.pill.startswith("Token not saved")
    assert page.id("h5s-url")["value"] == f"{PUBLIC_URL}/scim/v2"
    assert "Shown only once. Not active until you press Save." in page.text
    assert "readonly" in page.id("h5s-token")
    assert "name" not in page.id("h5s-token"), "the text must not be sent back"
    labels = {label["for"]: label.text for label in page.all("label")}
    assert labels["h5s-url"] == "Provisioning URL"
    assert labels["h5s-token"] == "API Token"
    assert page.answer.headers["Cache-Control"] == "no-store"
    assert held(app) == [("draft", "")]
    assert events(app) == [("token.generated", "owner@acme.example")]


def test_what_oauth_asks_for_is_there_and_folded(app: Flask, owner: Admin) -> None:
    """Token Endpoint and Client Identifier work with the API Token as secret; the page has
    them as long as there is a token to go with them."""
    assert not owner.open().has("h5s-client-id")
    page = owner.generate()
    endpoint, identifier = page.id("h5s-token-endpoint"), page.id("h5s-client-id")
    for shown in (endpoint, identifier):
        assert "readonly" in shown
        assert "name" not in shown
        (fold,) = [parent for parent in shown.parents if parent.name == "details"]
        assert "open" not in fold
    assert "the “Client Secret” in Microsoft Entra is the API Token" in page.text
    owner.save(page)
    form = {
        "grant_type": "client_credentials",
        "client_id": identifier["value"],
        "client_secret": page.id("h5s-token")["value"],
    }
    assert endpoint["value"].startswith(f"{PUBLIC_URL}/")
    answer = app.test_client().post(endpoint["value"].removeprefix(PUBLIC_URL), data=form)
    assert answer.status_code == 200, answer.text
    saved = owner.open()
    assert saved.id("h5s-client-id")["value"] == identifier["value"]
    assert "Issued an access token" in saved.text


def test_a_workload_identity_needs_no_token_on_the_page(app: Flask, owner: Admin) -> None:
    """An account that trusts one is set up: what Entra asks for is shown, and when it came."""
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
        db.session.commit()
        page = owner.open()
        assert page.pill.startswith("Waiting for Microsoft Entra")
        assert page.id("h5s-url")["value"] == f"{PUBLIC_URL}/scim/v2"
        assert page.has("h5s-client-id")
        trusted.last_used_at = now()
        db.session.commit()
        assert owner.open().pill == "Connected Last request just now. No users yet."
        federation.revoke(trusted)
        db.session.commit()
    page = owner.open()
    assert page.pill.startswith("Not set up")
    assert not page.has("h5s-client-id")


def test_the_words_and_their_order_are_the_tutorials(owner: Admin) -> None:
    """Generate Token, Provisioning URL, API Token, SSO Provider with its options, Save."""
    words = [
        "Provisioning & SSO",
        "Provisioning URL",
        "API Token",
        "SSO Provider",
        "None (H5mag passwords)",
        "Microsoft 365 / Microsoft Entra ID",
        "Redirect URI",
        "Save",
    ]
    text = owner.generate().text.partition("Sign out")[2]
    places = [text.index(word) for word in words[:-1]] + [text.rindex(" Save ")]
    assert places == sorted(places)


def test_the_tokens_text_is_nowhere_else(
    app: Flask, owner: Admin, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in the session, a later page, an address, the logs or the database."""
    caplog.set_level("DEBUG")
    page = owner.generate()
    text = page.token
    assert page.html.count(text) == 1
    with owner.client.session_transaction() as session:
        assert text not in str(dict(session))
    later = [owner.open().html, owner.press(page, "save").text, owner.open().html]
    assert not any(text in html for html in later)
    assert text not in caplog.text
    with app.app_context():
        for table in (scim.Token, scim.LogEntry):
            for row in db.session.execute(sa.select(table.__table__)):
                assert text not in str(row)


def test_a_reload_never_makes_a_second_token(app: Flask, owner: Admin) -> None:
    """The same form again leads to the page, which says that the token is not saved."""
    form = owner.open().fields()
    first = Page(owner.client.post(f"{URL}/generate", data=form))
    again = owner.client.post(f"{URL}/generate", data=form)
    assert again.status_code == 303
    assert again.location == URL
    assert held(app) == [("draft", "")]

    page = owner.open()
    fingerprint = tokens.hash_text(first.token)[:6]
    assert f"The token {fingerprint} is not saved" in page.notes
    assert "owner@acme.example generated it" in page.notes
    assert {"Generate again", "Discard", "Save"} <= set(page.buttons())
    owner.save(page)
    assert held(app) == [("active", "Microsoft Entra ID")]


@pytest.mark.parametrize("nonce", ["", "short", "x" * 5000])
def test_a_form_without_a_proper_nonce_makes_no_token(app: Flask, owner: Admin, nonce: str) -> None:
    """What the page did not write is taken for a reload."""
    assert owner.press(owner.open(), "generate", nonce=nonce).status_code == 303
    assert held(app) == []


def test_generating_again_discards_the_older_draft(app: Flask, owner: Admin) -> None:
    """One draft at a time; the older can no longer be saved."""
    first = owner.generate()
    second = owner.generate()
    assert first.token != second.token
    assert held(app) == [("draft", "")]
    refused = owner.refuse(first, 404)
    assert "no longer exists" in refused.notes
    assert held(app) == [("draft", "")]


def test_while_a_draft_can_be_saved_save_is_what_to_press(app: Flask, owner: Admin) -> None:
    """Generate again throws away what may be in Microsoft Entra already."""
    assert "h5s-button--primary" in owner.open().button("Generate Token")["class"]
    owner.generate()
    page = owner.open()
    assert "h5s-button--primary" not in page.button("Generate again")["class"]
    assert "h5s-button--primary" in page.button("Save")["class"]
    with app.app_context():
        made = now() - timedelta(minutes=61)
        db.session.execute(sa.update(scim.Token).values(created_at=made))
        db.session.commit()
    assert "h5s-button--primary" in owner.open().button("Generate again")["class"]


def test_what_was_typed_for_sso_survives_generate(app: Flask, owner: Admin) -> None:
    """The fields stand in the same form, so Generate gives them back and stores nothing."""
    page = owner.generate(sso_provider="microsoft", directory="typed", cloud="us")
    fields = page.fields()
    assert (fields["sso_provider"], fields["directory"], fields["cloud"]) == (
        "microsoft",
        "typed",
        "us",
    )
    assert settings(app) == [None, None]


def test_enter_in_a_field_saves_and_does_not_generate(owner: Admin) -> None:
    """Browsers press a form's first button on Enter; it goes where the form goes: Save."""
    page = owner.open()
    form = page.one("form", class_="h5s-form")
    first = next(e for e in page.elements if e.name == "button" and form in e.parents)
    assert "formaction" not in first
    assert form["action"] == f"{URL}/save"


# -- Save --------------------------------------------------------------------------------


@both_databases
def test_save_makes_the_token_active(app: Flask, owner: Admin) -> None:
    """Save stores name and expiry, says so once, and tells token_issued after the commit."""
    told: list[tuple[Any, str]] = []

    def receive(sender: Flask, account: Any, token: Any) -> None:
        told.append((account.slug, token.name))

    with token_issued.connected_to(receive, app):
        page = owner.generate()
        after = owner.save(page, name="  Entra,  main tenant ", expires=str(90 * 86400))
    assert told == [("acme", "Entra, main tenant")]
    assert after.statuses == ["The token is saved and active."]
    assert owner.open().statuses == [], "a reload does not say it again"
    assert after.pill.startswith("Waiting for Microsoft Entra")
    assert held(app) == [("active", "Entra, main tenant")]
    assert events(app)[-1] == ("token.saved", "owner@acme.example")
    with app.app_context():
        token = db.session.scalars(sa.select(scim.Token)).one()
        assert token.expires_at - token.activated_at < timedelta(days=90, seconds=5)
        assert token.expires_at - token.activated_at > timedelta(days=90, seconds=-5)
    assert Entra(app.test_client(), page.token).get("/Users").status_code == 200


def test_a_failed_receiver_does_not_undo_a_save(app: Flask, owner: Admin) -> None:
    """What is committed stays committed, and the admin sees that."""

    def fail(sender: Flask, **evidence: Any) -> None:
        raise RuntimeError("the host's mail server is down")

    with token_issued.connected_to(fail, app):
        assert "saved and active" in owner.save(owner.generate()).statuses[0]


def test_a_blank_name_gets_the_usual_one(app: Flask, owner: Admin) -> None:
    """Nobody is asked twice for a name."""
    owner.save(owner.generate(), name="   ")
    assert held(app) == [("active", "Microsoft Entra ID")]


def test_markup_in_a_name_is_text(owner: Admin) -> None:
    """A token's name is shown as it was typed, on the page and on the question."""
    page = owner.save(owner.generate(), name="<script>alert(1)</script>")
    assert "<script>alert" not in page.html
    link = next(a for a in page.all("a") if a.text.startswith("Revoke"))
    assert "<script>alert" not in owner.open(link["href"]).html


@pytest.mark.parametrize(
    ("configured", "offered"),
    [
        (timedelta(days=365), ["1 year", "90 days", "180 days", "2 years", "Never (not advised)"]),
        (180, ["180 days", "90 days", "1 year", "2 years", "Never (not advised)"]),
        (30, ["30 days", "90 days", "180 days", "1 year", "2 years", "Never (not advised)"]),
        (
            timedelta(hours=6),
            ["6 hours", "90 days", "180 days", "1 year", "2 years", "Never (not advised)"],
        ),
        (None, ["Never (not advised)", "90 days", "180 days", "1 year", "2 years"]),
    ],
)
def test_expiry_offers_the_configured_lifetime_first(
    app: Flask, owner: Admin, configured: Any, offered: list[str]
) -> None:
    """The host's lifetime is the default; the usual ones can be chosen; never is warned of."""
    lifetime = timedelta(days=configured) if isinstance(configured, int) else configured
    reconfigure(app, token_lifetime=lifetime)
    page = owner.generate()
    options = [o for o in page.all("option") if o.parents[-1]["name"] == "expires"]
    assert [option.text for option in options] == offered
    assert ["selected" in option for option in options] == [True] + [False] * (len(options) - 1)
    assert "Choose this only if" in page.id("h5s-never").text
    owner.save(page)
    with app.app_context():
        token = db.session.scalars(sa.select(scim.Token)).one()
        assert (token.expires_at is None) == (lifetime is None)


def test_an_expiry_that_is_not_offered_is_refused(app: Flask, owner: Admin) -> None:
    """The page's own choices are the only ones."""
    assert owner.press(owner.generate(), "save", expires="999999999").status_code == 400
    assert held(app) == [("draft", "")]


def test_a_draft_can_be_saved_for_an_hour(app: Flask, owner: Admin) -> None:
    """Then the page says to generate again, and Save of the older page says it as well."""
    page = owner.generate()
    change_token(app, page.token, created_at=now() - timedelta(minutes=61))
    old = owner.open()
    assert "cannot be saved any more. Generate again." in old.notes
    assert "draft" not in old.fields()
    assert old.pill.startswith("Not set up")
    refused = owner.refuse(page, 422, sso_provider="microsoft", directory=TENANT)
    assert "more than an hour ago" in refused.notes
    assert settings(app)[1] == ("pending", TENANT, "global", "redirect"), (
        "one does not wait for the other"
    )
    owner.generate()
    assert held(app) == [("draft", "")]


def test_save_without_a_draft_saves_the_settings(app: Flask, owner: Admin) -> None:
    """Also when there is nothing new in them."""
    after = owner.save(owner.open())
    assert after.statuses == ["Saved. Nothing had changed."]
    assert held(app) == []
    assert events(app) == []


def test_save_sent_twice_saves_once(app: Flask, owner: Admin) -> None:
    """A double click on Save is quiet."""
    page = owner.generate()
    owner.save(page)
    owner.save(page)
    assert held(app) == [("active", "Microsoft Entra ID")]
    assert [event for event, _ in events(app)] == ["token.generated", "token.saved"]


@pytest.mark.parametrize("which", ["unknown", "nonsense", "foreign"])
def test_a_draft_that_is_not_this_accounts_is_404(app: Flask, owner: Admin, which: str) -> None:
    """Nothing tells a foreign id from an unknown one, and nothing at all is saved."""
    foreign = make_token(app, "globex", state="draft")
    draft = {
        "unknown": str(uuid.uuid4()),
        "nonsense": "1 or 1=1",
        "foreign": str(change_token(app, foreign)),
    }[which]
    page = owner.refuse(owner.open(), 404, draft=draft, sso_provider="microsoft", directory=TENANT)
    assert "no longer exists" in page.notes
    assert page.fields()["directory"] == TENANT
    assert held(app, "globex") == [("draft", "")]
    assert settings(app) == [None, None]


def test_discard_forgets_the_draft(app: Flask, owner: Admin) -> None:
    """The page is as before; discarding nothing says nothing."""
    page = owner.generate()
    assert page.button("Discard")["formaction"] == f"{URL}/discard"
    assert owner.press(page, "discard").status_code == 303
    assert owner.open().statuses == ["The token was discarded."]
    assert held(app) == []
    owner.press(page, "discard")
    assert owner.open().statuses == []
    assert [event for event, _ in events(app)] == ["token.generated", "token.discarded"]


@pytest.mark.parametrize("action", ["generate", "save", "discard"])
def test_the_forms_addresses_lead_to_the_page_when_they_are_opened(
    owner: Admin, action: str
) -> None:
    """Somebody who presses Enter in the address bar after Generate is not stranded."""
    answer = owner.client.get(f"{URL}/{action}")
    assert (answer.status_code, answer.location) == (303, URL)


# -- two tokens, and their ends ----------------------------------------------------------


@both_databases
def test_two_tokens_can_be_active_and_the_older_retires(app: Flask, owner: Admin) -> None:
    """Rotation has no gap: both open the door, the page says which one is on its way out."""
    old, new = owner.generate(), None
    owner.save(old, name="old")
    new = owner.generate()
    page = owner.save(new, name="new")
    rows = [row.text for row in page.all("tr") if "Revoke" in row.text]
    assert [("new" in rows[0], "Active" in rows[0]), ("old" in rows[1], "Retiring" in rows[1])] == [
        (True, True),
        (True, True),
    ]
    for token in (old.token, new.token):
        assert Entra(app.test_client(), token).get("/Users").status_code == 200


@both_databases
def test_tokens_side_by_side_are_called_differently(app: Flask, owner: Admin) -> None:
    """Also when nobody thinks of a name: on the page, and when the field is emptied."""
    owner.save(owner.generate())
    page = owner.generate()
    assert page.fields()["name"] == "Microsoft Entra ID 2"
    owner.save(page, name=" ")
    assert [name for _, name in held(app)] == ["Microsoft Entra ID", "Microsoft Entra ID 2"]


def test_a_token_is_not_its_own_name(app: Flask, owner: Admin) -> None:
    """Pasted into the field beside it by mistake, it would stand on the page and in the log."""
    page = owner.generate()
    after = owner.save(page, name=f"Ours: {page.token}")
    assert held(app) == [("active", "Ours:")]
    assert page.token not in after.html
    again = owner.generate()
    assert again.token not in owner.save(again, name=again.token).html
    assert held(app)[1] == ("active", "Microsoft Entra ID")


def test_a_third_token_is_refused(app: Flask, owner: Admin) -> None:
    """Generate is not offered, and refused; so is Save of a draft from before."""
    for name in ("one", "two"):
        owner.save(owner.generate(), name=name)
    page = owner.open()
    assert "there cannot be a third" in page.notes
    assert not {"Generate Token", "Generate again"} & set(page.buttons())
    refused = Page(owner.press(page, "generate"))
    assert refused.status == 409
    assert "there cannot be a third" in refused.notes
    make_token(app, "acme", state="draft")
    page = owner.open()
    assert "Discard" in page.buttons()
    assert "Two tokens are active already" in owner.refuse(page, 422).notes
    assert [state for state, _ in held(app)] == ["active", "active", "draft"]


def test_rotation_help_says_when_the_old_token_can_go(app: Flask, owner: Admin) -> None:
    """In words, with the times that it is judged by: the new token is in use, and a cycle went
    by without the old one."""
    old, new = make_token(app, "acme"), make_token(app, "acme")
    first, last = now() - timedelta(minutes=90), now() - timedelta(minutes=61)

    def told() -> str:
        return owner.open().id("h5s-rotation").text

    assert "has not used the new token" in told()
    change_token(app, old, last_used_at=now())
    assert "has not used the new token" in told()
    change_token(app, new, first_used_at=first, last_used_at=now())
    assert "within the last hour as well" in told()
    change_token(app, old, last_used_at=last)
    old_name, new_name = (tokens.hash_text(text)[:6] for text in (old, new))
    assert told() == (
        f"New token {new_name} first seen {first:%Y-%m-%d %H:%M} UTC , old token {old_name} last "
        f"seen {last:%Y-%m-%d %H:%M} UTC : safe to revoke the old one."
    )
    change_token(app, old, last_used_at=None)
    assert "safe to revoke the old one, unless something else has it" in told()
    change_token(app, old, revoked_at=now())
    assert told() == ""


def test_each_token_says_where_it_stands(app: Flask, owner: Admin) -> None:
    """The newest is active and the one that it replaces retiring; then those out of use."""
    revoked, expired = make_token(app, "acme"), make_token(app, "acme")
    change_token(app, revoked, revoked_at=now())
    change_token(app, expired, expires_at=now() - timedelta(days=1))
    made = [revoked, expired, make_token(app, "acme"), make_token(app, "acme")]
    rows = [row.text for row in owner.open().all("tr")]
    for text, state in zip(made, ("Revoked", "Expired", "Retiring", "Active"), strict=True):
        assert any(f"{tokens.hash_text(text)[:6]} {state} " in row for row in rows), state


def test_last_use_is_shown_with_time_and_address(app: Flask, owner: Admin) -> None:
    """A request of Entra's makes the status Connected."""
    text = make_token(app, "acme")
    page = owner.open()
    assert "Not yet" in page.text
    client = app.test_client()
    client.environ_base["REMOTE_ADDR"] = "20.190.160.14"
    assert Entra(client, text).get("/Users").status_code == 200
    page = owner.open()
    assert page.pill == "Connected Last request just now. No users yet."
    assert "from 20.190.160.14" in page.text


@pytest.mark.parametrize(
    ("left", "when"),
    [
        (timedelta(days=31), None),
        (timedelta(days=29, hours=1), "in 29 days"),
        (timedelta(days=1, hours=1), "in 1 day"),
        (timedelta(hours=2), "in less than a day"),
    ],
)
def test_a_banner_warns_30_days_before_the_end(
    app: Flask, owner: Admin, left: timedelta, when: str | None
) -> None:
    """It names the token and says what to do; the status says it too."""
    text = make_token(app, "acme", expires_in=left)
    page = owner.open()
    if when is None:
        assert "expires" not in page.notes
    else:
        assert f"“test” ({tokens.hash_text(text)[:6]}) expires {when}" in page.notes
        assert page.pill.startswith(f"Token expires {when}")


def test_a_banner_says_that_the_token_has_expired(app: Flask, owner: Admin) -> None:
    """Until there is a new one; the old one is then no longer news."""
    change_token(app, make_token(app, "acme"), expires_at=now() - timedelta(days=1))
    page = owner.open()
    assert "has expired and Microsoft Entra is refused" in page.notes
    assert page.pill.startswith("Token expired")
    assert "Former tokens (1)" in page.text
    page = owner.save(owner.generate())
    assert "has expired" not in page.notes


def test_a_retiring_token_may_end_in_peace(app: Flask, owner: Admin) -> None:
    """Unless it is still the one that Microsoft Entra uses."""
    old = make_token(app, "acme", expires_in=timedelta(days=3))
    make_token(app, "acme")
    assert "expires in 3" not in owner.open().notes
    change_token(app, old, last_used_at=now())
    assert "expires in 3 days" in owner.open().notes


# -- Revoke ------------------------------------------------------------------------------


def revoke_link(page: Page, text: str) -> str:
    fingerprint = tokens.hash_text(text)[:6]
    return next(
        a["href"] for a in page.all("a") if a.text.startswith("Revoke") and fingerprint in a.text
    )


def test_revoking_one_of_two_asks_for_a_click(app: Flask, owner: Admin) -> None:
    """It names the token that goes on, tells token_revoked, and the door is closed."""
    old, new = make_token(app, "acme"), make_token(app, "acme")
    told: list[str] = []

    def receive(sender: Flask, account: Any, token: Any) -> None:
        told.append(token.fingerprint)

    link = revoke_link(owner.open(), old)
    question = owner.open(link)
    assert tokens.hash_text(new)[:6] in question.text
    assert not question.has("h5s-fingerprint")
    with token_revoked.connected_to(receive, app):
        answer = owner.client.post(link, data=question.fields())
    assert (answer.status_code, answer.location) == (303, URL)
    assert told == [tokens.hash_text(old)[:6]]
    assert owner.open().statuses == ["The token was revoked."]
    assert Entra(app.test_client(), old).get("/Users").status_code == 401
    assert Entra(app.test_client(), new).get("/Users").status_code == 200
    assert events(app)[0] == ("token.revoked", "owner@acme.example")


@both_databases
def test_revoking_the_only_token_asks_for_its_fingerprint(app: Flask, owner: Admin) -> None:
    """It says what stops, refuses anything else beside the field, and takes any case."""
    text = make_token(app, "acme")
    fingerprint = tokens.hash_text(text)[:6]
    link = revoke_link(owner.open(), text)
    unused = owner.open(link)
    assert "nobody has used it yet" in unused.notes
    assert "quarantine" not in unused.notes, "nothing runs that could stop"
    assert Entra(app.test_client(), text).get("/Users").status_code == 200
    question = owner.open(link)
    assert "goes into quarantine" in question.notes
    for typed in ("", "abcdeg"):
        wrong = Page(owner.client.post(link, data={**question.fields(), "fingerprint": typed}))
        assert wrong.status == 422
        box = wrong.id("h5s-fingerprint")
        assert (box["aria-invalid"], box["value"]) == ("true", typed)
        assert "autofocus" in box
        assert "not the fingerprint" in wrong.id(box["aria-describedby"]).text
        assert wrong.one("title").text.startswith("Error: ")
    assert held(app) == [("active", "test")]
    data = {**question.fields(), "fingerprint": f" {fingerprint.upper()} "}
    assert owner.client.post(link, data=data).status_code == 303
    assert held(app) == [("revoked", "test")]
    page = owner.open()
    assert page.pill.startswith("Not set up")
    assert "Former tokens (1)" in page.text


def test_tokens_of_others_and_drafts_cannot_be_revoked(app: Flask, owner: Admin) -> None:
    """Another account's id is 404 like an unknown one, to read and to post."""
    foreign = change_token(app, make_token(app, "globex"))
    draft = change_token(app, make_token(app, "acme", state="draft"))
    form = owner.open().fields()
    for key in (foreign, draft, uuid.uuid4(), "nonsense"):
        url = f"{URL}/tokens/{key}/revoke"
        assert owner.client.get(url).status_code == 404
        assert owner.client.post(url, data=form).status_code == 404
    assert held(app, "globex") == [("active", "test")]
    assert held(app) == [("draft", "")]


@pytest.mark.parametrize("end", ["revoked_at", "expires_at"])
def test_a_token_out_of_use_leads_back_to_the_page(app: Flask, owner: Admin, end: str) -> None:
    """A second click on Revoke, or an old tab, is quiet."""
    text = make_token(app, "acme")
    form = owner.open().fields()
    key = change_token(app, text, **{end: now() - timedelta(minutes=1)})
    url = f"{URL}/tokens/{key}/revoke"
    assert owner.client.get(url).location == URL
    assert owner.client.post(url, data=form).location == URL
    assert events(app) == []


# -- Single sign-on ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("", "Enter your Directory (tenant) ID."),
        ("   ", "Enter your Directory (tenant) ID."),
        ("common", "“common” stands for every directory"),
        ("Organizations", "stands for every directory"),
        ("consumers", "stands for every directory"),
        ("9188040d-6c67-4c5b-b112-36a304b66dad", "personal Microsoft accounts"),
        (f"https://login.microsoftonline.com/{TENANT}/v2.0", "This is an address"),
        (f"{TENANT}/v2.0", "This is an address"),
        ("acme..example", "This is a domain name"),
        ("someone@acme.example", "This is a domain name"),
        ("8f14e45f", "This is not a Directory (tenant) ID"),
        (TENANT + "0", "This is not a Directory (tenant) ID"),
        (TENANT.replace("8f", "<b"), "This is not a Directory (tenant) ID"),
    ],
)
def test_a_wrong_directory_is_explained_beside_its_field(
    app: Flask, owner: Admin, typed: str, reason: str
) -> None:
    """With what was typed, tied to the field, which has the focus; nothing is stored."""
    page = owner.refuse(owner.open(), 422, sso_provider="microsoft", directory=typed)
    box = page.id("h5s-directory")
    assert box["value"] == typed.strip()
    assert box["aria-invalid"] == "true"
    assert "autofocus" in box
    described = [page.id(one).text for one in box["aria-describedby"].split()]
    assert reason in described[0]
    assert page.one("title").text.startswith("Error: ")
    assert sum("autofocus" in element for element in page.elements) == 1
    assert settings(app) == [None, None]
    assert events(app) == []


def test_saved_settings_wait_for_their_test(app: Flask, owner: Admin) -> None:
    """They are pending: One step left. Redirect URI and Sign-on URL can be copied."""
    page = owner.open()
    assert not page.has("h5s-sign-on-url")
    assert "Test sign-in" not in page.buttons()
    page = owner.save(page, sso_provider="microsoft", directory=f" {TENANT.upper()} ")
    assert page.statuses == [
        "Single sign-on is saved. One step left: Test sign-in. Go to Test sign-in"
    ]
    assert page.one("a", href="#h5s-try").text == "Go to Test sign-in"
    assert page.id("h5s-try").text == "Test sign-in"
    assert settings(app) == [None, ("pending", TENANT, "global", "redirect")]
    assert "One step left: Test sign-in The redirect begins when the test has passed." in page.notes
    assert page.fields()["directory"] == TENANT
    assert page.id("h5s-redirect-uri")["value"] == f"{PUBLIC_URL}/sso/callback"
    sign_on_url = page.id("h5s-sign-on-url")["value"]
    assert re.fullmatch(rf"{PUBLIC_URL}/sso/[\w-]{{16}}/login", sign_on_url)
    assert events(app) == [("sso.saved", "owner@acme.example")]
    with app.app_context():
        account = get_account()
        with app.test_request_context():
            assert scim.sso_url(account) is None
    assert owner.save(page).statuses == ["Saved. Nothing had changed."]


def test_the_test_button_posts_to_the_sign_on_in_a_new_tab(owner: Admin) -> None:
    """With its own form, because a test changes nothing that stands in the fields."""
    page = owner.save(owner.open(), sso_provider="microsoft", directory=TENANT)
    button = page.button("Test sign-in")
    form = page.id(button["form"])
    assert form["action"] == "/sso/test"
    assert (form["method"], form["target"]) == ("post", "_blank")
    hidden = {e["name"]: e["value"] for e in page.all("input", type="hidden") if form in e.parents}
    assert hidden["scim_csrf"] == page.fields()["scim_csrf"]


@both_databases
def test_settings_in_force_say_so_and_changes_stand_beside_them(app: Flask, owner: Admin) -> None:
    """What was in force stays so until the new settings have passed; going back drops them."""
    configure(app)
    page = owner.open()
    assert (
        f"In force People are redirected to the Microsoft login page of the directory {TENANT}"
        in page.notes
    )
    page = owner.save(page, directory=OTHER_TENANT)
    assert settings(app) == [
        ("in_force", TENANT, "global", "redirect"),
        ("pending", OTHER_TENANT, "global", "redirect"),
    ]
    assert f"go on signing in with the directory {TENANT}" in page.notes
    assert page.fields()["directory"] == OTHER_TENANT
    page = owner.save(page, directory=TENANT)
    assert page.statuses == ["Single sign-on is saved."]
    assert settings(app) == [("in_force", TENANT, "global", "redirect"), None]


def test_an_sso_error_never_blocks_the_token(app: Flask, owner: Admin) -> None:
    """The token is active, the page says so, and the field has its message."""
    told: list[Any] = []

    def receive(sender: Flask, **evidence: Any) -> None:
        told.append(evidence)

    made = owner.generate()
    with token_issued.connected_to(receive, app):
        page = owner.refuse(made, 422, sso_provider="microsoft", directory="common", name="main")
    assert len(told) == 1
    assert page.statuses == ["The token is saved and active."]
    assert "single sign-on settings are not saved" in page.notes
    assert page.pill.startswith("Waiting for Microsoft Entra")
    assert made.token not in page.html
    assert held(app) == [("active", "main")]
    assert Entra(app.test_client(), made.token).get("/Users").status_code == 200


@both_databases
def test_none_switches_off_at_once(app: Flask, owner: Admin) -> None:
    """No test is needed to go back to passwords; the directory stays known."""
    configure(app)
    page = owner.save(owner.open(), sso_provider="none")
    assert page.statuses == ["Single sign-on is off. Everyone signs in with their H5mag password."]
    assert settings(app) == [("in_force", TENANT, "global", "off"), None]
    assert events(app) == [("sso.off", "owner@acme.example")]
    assert page.fields()["sso_provider"] == "none"
    assert page.fields()["directory"] == TENANT
    assert "In force" not in page.notes
    page = owner.save(page, sso_provider="microsoft")
    assert "One step left" in page.notes


def test_clouds_have_names_that_people_know(app: Flask, owner: Admin) -> None:
    """They stand in closed details; the host's own clouds keep their names."""
    clouds = app.extensions["h5mag_scim"].config.oidc_clouds
    reconfigure(app, oidc_clouds={**clouds, "stand-in": "https://login.example.com"})
    page = owner.open()
    options = [o for o in page.all("option") if o.parents[-1]["name"] == "cloud"]
    assert [(o["value"], o.text) for o in options] == [
        ("global", "Microsoft (worldwide)"),
        ("us", "Microsoft US Government"),
        ("china", "Microsoft operated by 21Vianet"),
        ("stand-in", "stand-in"),
    ]
    assert all("open" not in details for details in page.all("details"))
    page = owner.save(page, sso_provider="microsoft", directory=TENANT, cloud="stand-in")
    assert settings(app)[1] == ("pending", TENANT, "stand-in", "redirect")
    assert ["open" in d for d in page.all("details") if "Microsoft cloud" in d.text] == [True]


def test_an_unknown_cloud_or_provider_is_refused(app: Flask, owner: Admin) -> None:
    """Beside their fields, like every mistake."""
    page = owner.refuse(owner.open(), 422, sso_provider="microsoft", directory=TENANT, cloud="mars")
    assert page.id("h5s-cloud")["aria-invalid"] == "true"
    assert page.fields()["cloud"] == "mars", "what was chosen stays until it is corrected"
    page = owner.refuse(page, 422, sso_provider="google")
    assert "Choose one of the options." in page.id("h5s-provider-problem").text
    assert settings(app) == [None, None]


# -- what is kept, and what happened -----------------------------------------------------


def test_the_attributes_are_those_of_the_hosts_map(app: Flask, owner: Admin) -> None:
    """The tutorial's twelve and the role, in the host's order, with type and what can be
    searched."""
    page = owner.open()
    table = page.one("table", class_="h5s-table h5s-kept")
    names = [e.text for e in page.all("th", scope="row") if table in e.parents]
    assert names == [row.path for row in scim.user.rows()]
    assert len(names) == 13
    assert {'emails[type eq "work"].value', "name.givenName", "userType"} <= set(names)
    assert "Map objectId to externalId" in page.text
    rows = {
        row.text.split(" String ")[0]: row.text for row in page.all("tr") if table in row.parents
    }
    assert "Yes" in rows["userName"]
    assert "Match people by externalId or userName:" in page.text


def test_the_roles_for_the_app_manifest_are_those_of_the_host(
    app: Flask, owner: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The values to type, the mapping to make, and who is never made by it. Nothing of it where
    the host maps no role."""
    page = owner.open()
    advice = page.one("ul", class_="h5s-advice")
    assert [code.text for code in page.all("code") if advice in code.parents] == [
        "admin",
        "editor",
        "reader",
        "SingleAppRoleAssignment([appRoleAssignments])",
        'roles[primary eq "True"].value',
    ]
    assert "App registrations, H5mag, App roles" in advice.text
    assert "provisioning makes nobody an owner" in advice.text
    monkeypatch.setattr(scim.user, "roles", None)
    assert "app roles" not in owner.open().text


def test_the_log_is_told_in_words_without_values(app: Flask, owner: Admin) -> None:
    """What Entra did, to whom, with which token, and why something was refused. What the person
    is called now is looked up; the log itself has no values."""
    text = make_token(app, "acme")
    entra = Entra(app.test_client(), text)
    user = entra.user("nora.vale", displayName="Nora Vale", nickName="Nono")
    entra.patch(f"/Users/{user['id']}", {"op": "replace", "path": "active", "value": False})
    entra.post("/Users", {"userName": "nora.vale@example.com", "externalId": "x"})
    page = owner.open()
    table = page.one("table", class_="h5s-table h5s-log")
    rows = [row.text for row in page.all("tr") if table in row.parents][1:]
    assert "Refused to create a user" in rows[0]
    assert "Refused (409 uniqueness)" in rows[0]
    assert "Deactivated Nora Vale" in rows[1]
    assert "Created Nora Vale" in rows[2]
    assert all(tokens.hash_text(text)[:6] in row for row in rows)
    assert "nora" not in rows[0].lower()
    with app.app_context():
        kept = log.recent(db.session, scim.records, get_account().id, limit=20)
        assert "nora" not in str([vars(entry) for entry in kept]).lower()
    entra.delete(f"/Users/{user['id']}")
    page = owner.open()
    assert "Nora Vale" not in page.text
    assert user["id"] in page.text


def test_the_page_shows_the_last_ten_entries(app: Flask, owner: Admin) -> None:
    """Newest first."""
    with app.app_context():
        for number in range(25):
            log.record(
                db.session,
                scim.records,
                get_account().id,
                log.Event.USER_UPDATED,
                actor=f"token {number}",
            )
        db.session.commit()
    page = owner.open()
    table = page.one("table", class_="h5s-table h5s-log")
    rows = [row.text for row in page.all("tr") if table in row.parents][1:]
    assert len(rows) == 10
    assert "token 24" in rows[0]
    assert "token 15" in rows[-1]


def test_nothing_of_an_account_shows_in_another(app: Flask, owner: Admin) -> None:
    """Tokens, drafts, directory, sign-on address and log stay in their account."""
    text = make_token(app, "acme")
    make_token(app, "acme", state="draft")
    configure(app)
    change_token(app, text, last_used_at=now(), last_used_ip="20.190.160.14")
    assert owner.press(owner.open(), "save", sso_provider="none").status_code == 303
    stranger = Admin(app, "owner@globex.example")
    page = stranger.open()
    assert page.pill.startswith("Not set up")
    for secret in (tokens.hash_text(text)[:6], TENANT, "20.190.160.14", "acme"):
        assert secret not in page.html
    assert "Nothing has happened yet." in page.text


# -- the whole ---------------------------------------------------------------------------


def test_every_answer_is_kept_out_of_caches_frames_and_referrers(app: Flask, owner: Admin) -> None:
    """Pages, redirects and refusals; the stylesheet and the script may be kept."""
    page = owner.open()
    for answer in (
        page.answer,
        owner.press(page, "save"),
        owner.client.post(f"{URL}/save"),
        owner.client.get(f"{URL}/tokens/{uuid.uuid4()}/revoke"),
        app.test_client().get(URL),
    ):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Frame-Options"] == "DENY"
        policy = answer.headers["Content-Security-Policy"]
        for directive in ("frame-ancestors 'none'", "base-uri 'none'", "object-src 'none'"):
            assert directive in policy
    for file in ("h5mag_scim.css", "h5mag_scim.js"):
        with owner.client.get(f"{URL}/static/{file}") as answer:
            assert answer.status_code == 200
            assert "no-store" not in answer.headers["Cache-Control"]


def test_the_page_has_no_redirect_on_a_trailing_slash(owner: Admin) -> None:
    """Both spellings are the page."""
    assert owner.client.get(f"{URL}/").status_code == 200


def test_the_page_stands_in_the_hosts_layout_and_in_our_own(app: Flask, owner: Admin) -> None:
    """The host's frame is around it; without one, a plain page of ours is."""
    page = owner.open()
    assert "Magazines" in page.text
    crumbs = page.one("nav", aria_label="Breadcrumb")
    assert crumbs.text == "Account Provisioning & SSO"
    assert [a["href"] for a in page.all("a") if crumbs in a.parents] == ["/account"]
    reconfigure(app, layout="h5mag_scim/layout.html")
    page = owner.open()
    assert "Magazines" not in page.text
    assert page.one("title").text == "Provisioning & SSO"
    assert page.one("h1").text == "Provisioning & SSO"


def states(app: Flask, owner: Admin) -> Iterator[Page]:
    """The page in each of its states."""
    yield owner.open()
    made = owner.generate()
    yield made
    yield owner.open()
    yield owner.refuse(made, 422, sso_provider="microsoft", directory="common", cloud="mars")
    yield owner.save(owner.open(), sso_provider="microsoft", directory=TENANT)
    yield owner.open(next(a["href"] for a in owner.open().all("a") if a.text.startswith("Revoke")))
    make_token(app, "acme", state="revoked")
    make_token(app, "acme", expires_in=timedelta(days=9))
    configure(app)
    yield owner.open()
    yield Page(owner.press(owner.open(), "generate"))
    yield Admin(app, "owner@umbrella.example").open()


def test_every_state_is_sound_html(app: Flask, owner: Admin) -> None:
    """Ids are unique and what refers to them is right, fields have labels, nothing is inline."""
    for page in states(app, owner):
        ids = [e["id"] for e in page.elements if "id" in e]
        assert len(ids) == len(set(ids))
        for element in page.elements:
            for name in ("for", "form", "aria-describedby", "aria-labelledby"):
                assert set(element.attributes.get(name, "").split()) <= set(ids), (name, element)
            assert not [name for name in element.attributes if name.startswith("on")]
            assert "style" not in element
            assert element.name != "style"
            if element.name == "script":
                assert "src" in element
                assert "defer" in element
        labelled = {label["for"] for label in page.all("label") if "for" in label}
        for element in page.all("input") + page.all("select"):
            if element.attributes.get("type") != "hidden":
                assert element["id"] in labelled
        for button in page.all("button"):
            assert button.text or button.attributes.get("aria-hidden") == "true"


def test_copy_and_hide_appear_with_javascript_only(owner: Admin) -> None:
    """Without it they would do nothing, so they are hidden until the script shows them."""
    page = owner.generate()
    helpers = [
        b for b in page.all("button") if any(name.startswith("data-h5s") for name in b.attributes)
    ]
    assert [b.text for b in helpers] == [
        "Copy Provisioning URL",
        "Hide API Token",
        "Copy API Token",
        "Copy Token Endpoint",
        "Copy Client Identifier",
        "Copy Redirect URI",
    ]
    assert all("hidden" in button for button in helpers)


def test_a_directory_may_be_pasted_in_capitals_with_blanks_around_it(
    app: Flask, owner: Admin
) -> None:
    """It is stored as Microsoft writes it."""
    form = {**owner.open().fields(), "sso_provider": "microsoft", "cloud": "global"}
    answer = owner.client.post(f"{URL}/save", data={**form, "directory": f" {TENANT.upper()}\n"})
    assert answer.status_code == 303
    with app.app_context():
        _, pending = providers.load(db.session, scim.records, get_account().id)
        assert pending is not None
        assert pending.tenant_id == TENANT


# -- in a browser ------------------------------------------------------------------------


@pytest.fixture
def visit(app: Flask) -> Iterator[Callable[..., Any]]:
    """Open the page as acme's owner in a new window; options are the window's."""
    with served(app, free_port()) as address, chromium() as browser:
        yield partial(sign_in_and_open, browser, address)


def sign_in_and_open(browser: Browser, address: str, **options: Any) -> Page:
    window = browser.new_context(**options).new_page()
    window.set_default_timeout(PATIENCE)
    window.goto(f"{address}/login?password=1")
    window.locator("[name=email]").fill("owner@acme.example")
    window.keyboard.press("Enter")
    window.locator("[name=password]").fill(PASSWORD)
    window.keyboard.press("Enter")
    window.wait_for_url(f"{address}/")
    window.goto(address + URL)
    return window


@pytest.mark.browser
@pytest.mark.parametrize("with_scripts", [True, False])
def test_times_stay_within_their_cards_on_a_phone(
    app: Flask, entra: Entra, visit: Callable[..., Any], with_scripts: bool
) -> None:
    """Without scripts they say their zone, and are longer."""
    assert entra.get("/Users").status_code == 200
    phone = {"width": 320, "height": 800}
    window = visit(viewport=phone, java_script_enabled=with_scripts)
    beyond = window.evaluate(
        """() => [...document.querySelectorAll(".h5s-tokens time")].map(
            time => time.getBoundingClientRect().right
                - time.closest(".h5s-card").getBoundingClientRect().right)"""
    )
    assert len(beyond) == 2
    assert max(beyond) < 0


@pytest.mark.browser
def test_what_follows_a_choice_keeps_its_distance(app: Flask, visit: Callable[..., Any]) -> None:
    """Also where a field between them is hidden."""
    configure(app)
    window = visit(viewport={"width": 1280, "height": 800})
    choice = window.get_by_role("group", name="How people sign in").bounding_box()
    after = window.get_by_text("Use our own app registration").bounding_box()
    assert after["y"] - choice["y"] - choice["height"] >= 16


@pytest.mark.browser
def test_pieces_keep_their_distance(app: Flask, visit: Callable[..., Any]) -> None:
    """What folds away below a table, and a field below its label."""
    with app.app_context():
        for ended in (False, True):
            token = make_token(app, "acme", expires_in=timedelta(days=9))
            if ended:
                value = {"expires_at": now() - timedelta(days=1)}
                which = scim.Token.hash == tokens.hash_text(token)
                db.session.execute(sa.update(scim.Token).where(which).values(**value))
                db.session.commit()
    window = visit()
    gap = """([above, below]) => document.querySelector(below).getBoundingClientRect().top
        - document.querySelector(above).getBoundingClientRect().bottom"""
    assert window.evaluate(gap, [".h5s-tokens", ".h5s-tokens + .h5s-more"]) >= 12
    window.goto(window.url + "/activity")
    assert window.evaluate(gap, ["[for=h5s-only]", "#h5s-only"]) >= 4


@pytest.mark.browser
def test_what_was_done_is_announced_in_sentences(visit: Callable[..., Any]) -> None:
    """Two of them have a space between, for who hears them."""
    window = visit()
    window.get_by_role("button", name="Generate Token").click()
    window.get_by_label("Microsoft 365 / Microsoft Entra ID").check()
    window.get_by_label("Directory (tenant) ID").fill(TENANT)
    window.get_by_role("button", name="Save", exact=True).click()
    window.locator("#h5s-told", has_text="The token is saved and active. Single sign-on").wait_for(
        state="attached"
    )


@pytest.mark.browser
def test_one_click_leads_to_the_step_that_is_left(visit: Callable[..., Any]) -> None:
    """To the button, with what will be tested in sight."""
    window = visit(viewport={"width": 1280, "height": 900})
    window.get_by_label("Microsoft 365 / Microsoft Entra ID").check()
    window.get_by_label("Directory (tenant) ID").fill(TENANT)
    window.get_by_role("button", name="Save", exact=True).click()
    window.get_by_role("link", name="Go to Test sign-in").click()
    button = window.get_by_role("button", name="Test sign-in")
    assert button.evaluate("element => element === document.activeElement")
    assert button.bounding_box()["y"] >= 300


@pytest.mark.browser
def test_on_paper_save_lies_on_nothing(visit: Callable[..., Any]) -> None:
    """The bar stays at the foot of the window only where there is a window."""
    window = visit()
    position = "getComputedStyle(document.querySelector('.h5s-savebar')).position"
    assert window.evaluate(position) == "sticky"
    window.emulate_media(media="print")
    assert window.evaluate(position) == "static"


@pytest.mark.browser
def test_signs_are_there_in_high_contrast(entra: Entra, visit: Callable[..., Any]) -> None:
    """A pill's sign is filled, as it is in colour."""
    entra.get("/Users")
    window = visit(forced_colors="active")
    colours = window.evaluate(
        """() => { const pill = document.querySelector("#h5s-status .h5s-pill");
            return [getComputedStyle(pill, "::before").backgroundColor,
                getComputedStyle(pill).color, getComputedStyle(pill).backgroundColor] }"""
    )
    assert colours[0] == colours[1] != colours[2]


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out(app: Flask, visit: Callable[..., Any], width: int, scheme: str) -> None:
    """No state of the page scrolls sideways, with everything opened."""
    window = visit(viewport={"width": width, "height": 800}, color_scheme=scheme)

    def fits() -> None:
        window.wait_for_load_state()
        window.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        assert window.evaluate("document.documentElement.scrollWidth") <= width

    fits()
    window.get_by_role("button", name="Generate Token").click()
    fits()
    window.get_by_label("Token name").fill("W" * 80)
    window.get_by_label("Microsoft 365 / Microsoft Entra ID").check()
    window.get_by_label("Directory (tenant) ID").fill("x" * 200)
    window.get_by_role("button", name="Save").click()
    fits()
    window.get_by_role("link", name="Revoke").click()
    fits()


@pytest.mark.browser
@pytest.mark.parametrize("javascript", [True, False])
def test_the_tutorials_steps_work_with_and_without_javascript(
    app: Flask, visit: Callable[..., Any], javascript: bool
) -> None:
    """Generate Token, Save, Microsoft, Save, by what a person sees and presses."""
    window = visit(java_script_enabled=javascript)
    window.get_by_role("button", name="Generate Token").click()
    text = window.get_by_label("API Token", exact=True).input_value()
    assert TOKEN.fullmatch(text)
    window.get_by_role("button", name="Save").click()
    assert held(app) == [("active", "Microsoft Entra ID")]
    window.get_by_label("Microsoft 365 / Microsoft Entra ID").check()
    window.get_by_label("Directory (tenant) ID").fill(TENANT)
    window.keyboard.press("Enter")
    window.get_by_role("button", name="Test sign-in").wait_for()
    assert settings(app)[1] == (str(ProviderState.PENDING), TENANT, "global", "redirect")
    assert [state for state, _ in held(app)] == ["active"], "Enter does not generate"


@pytest.mark.browser
def test_copy_says_what_it_copied_and_hide_hides(visit: Callable[..., Any]) -> None:
    """The clipboard has the token, a screen reader hears it, and Hide covers the text."""
    window = visit(permissions=["clipboard-read", "clipboard-write"])
    window.get_by_role("button", name="Generate Token").click()
    box = window.get_by_label("API Token", exact=True)
    window.get_by_role("button", name="Copy API Token").click()
    told = window.locator("#h5s-told", has_text=re.compile(r"^API Token copied$"))
    told.wait_for(state="attached")
    assert window.evaluate("navigator.clipboard.readText()") == box.input_value()
    window.get_by_role("button", name="Hide API Token").click()
    assert "h5s-masked" in box.get_attribute("class")
    window.get_by_role("button", name="Show API Token").click()
    assert "h5s-masked" not in box.get_attribute("class")


@pytest.mark.browser
def test_times_are_the_visitors_with_utc_in_the_title(
    app: Flask, visit: Callable[..., Any]
) -> None:
    """In the browser's zone, where the script runs."""
    text = make_token(app, "acme")
    change_token(app, text, created_at=now().replace(2026, 1, 15, 12, 30))
    window = visit(timezone_id="Asia/Tokyo")
    time = window.locator("time[datetime^='2026-01-15']").first
    assert time.text_content() == "2026-01-15 21:30"
    assert time.get_attribute("title") == "2026-01-15 12:30 UTC"


@pytest.mark.browser
def test_the_directory_shows_with_microsoft_only(visit: Callable[..., Any]) -> None:
    """With None the page stays calm."""
    window = visit()
    box = window.get_by_label("Directory (tenant) ID")
    assert not box.is_visible()
    window.get_by_label("Microsoft 365 / Microsoft Entra ID").check()
    assert box.is_visible()
