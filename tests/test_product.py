"""The whole product, as its users use it: an admin and an editor in Chromium, Microsoft Entra
over HTTP. No step goes through the shell or the database."""

from __future__ import annotations

import re
import uuid
import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests
from flask import Flask, request

from example_app import create_app
from example_app.models import db

from .browser import PATIENCE, chromium, free_port, served
from .conftest import PASSWORD, both_databases
from .entra.conversation import Conversation, Send
from .entra.test_conversation import NOT_IN_EXAMPLE, with_roles

with warnings.catch_warnings():
    # It imports a module that the next major version of Authlib drops.
    warnings.simplefilter("ignore")
    import oidc_provider_mock

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

TENANT = "6f0a1c1e-8f5b-4f0e-9a39-5f3c0d2a7b10"
MICROSOFT = "Microsoft 365 / Microsoft Entra ID"

pytestmark = pytest.mark.browser


@dataclass
class Site:
    """H5mag on its address, a stand-in for Microsoft, and a browser."""

    app: Flask
    url: str
    browser: Browser
    directory: str

    def visitor(self, path: str) -> Page:
        """A page in a browser of its own, without anybody's cookies."""
        page = self.browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(self.url + path)
        return page


@pytest.fixture
def site(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    port, directory_port = free_port(), free_port()
    directory = f"http://localhost:{directory_port}"
    app = create_app(
        {
            "SECRET_KEY": "test",
            "SQLALCHEMY_DATABASE_URI": database_url,
            "H5MAG_SCIM_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "H5MAG_SCIM_OIDC_CLIENT_ID": "h5mag",
            "H5MAG_SCIM_OIDC_CLIENT_SECRET": "a secret of the host",
            "H5MAG_SCIM_OIDC_CLOUDS": {"stand-in": f"{directory}/.well-known/openid-configuration"},
        }
    )
    monkeypatch.setenv("EXAMPLE_APP_PASSWORD", PASSWORD)
    assert app.test_cli_runner().invoke(args=["init"]).exit_code == 0
    with (
        oidc_provider_mock.run_server_in_thread(directory_port),
        served(app, port) as url,
        chromium() as browser,
    ):
        yield Site(app, url, browser, directory)
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def person(site: Site, name: str, oid: str) -> None:
    """Somebody whom the stand-in for Microsoft knows."""
    claims = {"oid": oid, "tid": TENANT, "ver": "2.0", "preferred_username": name}
    requests.put(f"{site.directory}/users/{name}", json=claims, timeout=10).raise_for_status()


def sign_in_at_microsoft(page: Page, name: str) -> None:
    page.wait_for_url(re.compile("localhost"))
    page.fill("[name=sub]", name)
    page.get_by_role("button", name="Authorize").click()


def sender(base: str) -> Send:
    """Requests as Entra sends them: the path as it is on the wire, no User-Agent."""
    parts = urlsplit(base)

    def send(method: str, path: str, headers: dict[str, str], body: bytes | None) -> Any:
        with closing(HTTPConnection(parts.hostname or "", parts.port, timeout=30)) as connection:
            connection.request(method, parts.path + path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read().decode()

    return send


def test_requests_really_go_without_a_user_agent() -> None:
    """The firewall's trap that Entra steps into is in the test, too."""
    app = Flask(__name__)

    @app.get("/")
    def headers() -> dict[str, str]:
        return dict(request.headers)

    with served(app, free_port()) as url:
        _, _, text = sender(url)("GET", "/", {"Authorization": "Bearer x"}, None)
    assert "User-Agent" not in text
    assert "Bearer x" in text


@both_databases
def test_from_generate_token_to_an_editor_who_signs_in_with_microsoft(site: Site) -> None:
    """Token generated, tried too early, saved; Entra's whole conversation; Microsoft chosen,
    tested and in force; a provisioned person comes in, is switched off, and comes back."""
    admin = site.visitor("/login")
    admin.fill("[name=email]", "owner@acme.example")
    admin.keyboard.press("Enter")
    admin.fill("[name=password]", PASSWORD)
    admin.keyboard.press("Enter")
    admin.get_by_role("link", name="Account").first.click()
    admin.get_by_role("link", name="Provisioning & SSO").first.click()

    # Generate Token: both values are there, and the token does not work yet.
    admin.get_by_role("button", name="Generate Token").click()
    base = admin.get_by_label("Provisioning URL").input_value()
    token = admin.get_by_label("API Token").input_value()
    assert base == f"{site.url}/scim/v2"
    send = sender(base)
    bearer = {"Authorization": f"Bearer {token}"}
    status, _, text = send("GET", "/Users", bearer, None)
    assert status == 401
    assert "not saved yet" in text

    # Save: it works.
    admin.get_by_role("button", name="Save").click()
    admin.get_by_text("Waiting for Microsoft Entra").wait_for()
    assert token not in admin.content()
    assert send("GET", "/Users", bearer, None)[0] == 200

    # Everything that Entra says, word for word.
    conversation = Conversation(send, {"token": token})
    wrong = {}
    for entry in with_roles("entra_requests.json"):
        if entry["base"] == "scim" and (problems := conversation.run(entry)):
            wrong[entry["name"]] = problems
    assert set(wrong) <= set(NOT_IN_EXAMPLE), wrong

    # Microsoft is selected, saved, tested, and in force.
    admin.reload()
    # The conversation has requests that must fail, and the header counts them.
    admin.get_by_text("failed requests in 24 h").wait_for()
    admin.get_by_label(MICROSOFT).check()
    admin.get_by_label("Directory (tenant) ID").fill(TENANT)
    admin.get_by_text("More settings").click()
    admin.get_by_label("Microsoft cloud").select_option("stand-in")
    admin.get_by_role("button", name="Save").click()
    admin.get_by_text("One step left: Test sign-in", exact=True).wait_for()
    oid = str(uuid.uuid4())
    person(site, "noor@acme.example", oid)
    with admin.context.expect_page() as opened:
        admin.get_by_role("button", name="Test sign-in").click()
    sign_in_at_microsoft(opened.value, "noor@acme.example")
    opened.value.get_by_text(TENANT).first.wait_for()
    assert oid in opened.value.content()
    admin.reload()
    admin.get_by_text("In force").first.wait_for()

    # Entra provisions a person, who signs in with Microsoft.
    body = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "noor@acme.example",
        "externalId": oid,
        "active": True,
        "emails": [{"type": "work", "value": "noor@acme.example", "primary": True}],
    }
    headers = {**bearer, "Content-Type": "application/scim+json"}
    created = requests.post(f"{base}/Users", json=body, headers=headers, timeout=10)
    assert created.status_code == 201
    editor = site.visitor("/login")
    sign_in(site, editor)
    editor.goto(f"{site.url}/people")
    assert editor.url == f"{site.url}/people"

    # Switched off: the next click is refused, and so is signing in again.
    switch(base, headers, created.json()["id"], active="False")
    editor.goto(f"{site.url}/people")
    assert editor.url.startswith(f"{site.url}/login")
    again = site.visitor("/login")
    again.fill("[name=email]", "noor@acme.example")
    again.keyboard.press("Enter")
    sign_in_at_microsoft(again, "noor@acme.example")
    again.get_by_text("has not been set up").first.wait_for()
    again.goto(f"{site.url}/people")
    assert again.url.startswith(f"{site.url}/login")

    # Restored: they enter again.
    switch(base, headers, created.json()["id"], active="True")
    sign_in(site, site.visitor("/login"))


def sign_in(site: Site, page: Page) -> None:
    page.fill("[name=email]", "noor@acme.example")
    page.keyboard.press("Enter")
    sign_in_at_microsoft(page, "noor@acme.example")
    page.wait_for_url(f"{site.url}/")
    page.get_by_text("noor@acme.example").first.wait_for()


def switch(base: str, headers: dict[str, str], id: str, *, active: str) -> None:
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "Replace", "path": "active", "value": active}],
    }
    answer = requests.patch(f"{base}/Users/{id}", json=body, headers=headers, timeout=10)
    assert answer.status_code == 200
