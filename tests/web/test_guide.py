"""The setup guide on the page: what to do, and what has been seen to happen."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask

from example_app.models import db
from example_app.provisioning import scim
from flask_h5mag_scim.records import log, providers
from flask_h5mag_scim.records.models import now

from ..conftest import Entra, both_databases, get_account, make_token
from . import test_pages
from .test_pages import (
    TENANT,
    URL,
    Admin,
    Page,
    configure,
    held,
    owner,
    visit,
)

# Fixtures that this file's tests take by name.
__all__ = ["owner", "visit"]

STEPS = ["token", "request", "mapping", "user", "sso"]


def done(page: Page) -> list[str]:
    """The steps that are ticked; each tick is a word, for whoever does not see colours."""
    ticks = {name: page.id(f"h5s-step-{name}").text for name in STEPS}
    assert set(ticks.values()) <= {"Done", "To do"}
    found = [name for name, tick in ticks.items() if tick == "Done"]
    assert page.id("h5s-steps-done").text == f"{len(found)} of 5 done"
    return found


@both_databases
def test_each_step_is_ticked_when_it_has_happened(app: Flask, owner: Admin) -> None:
    """A token saved, a request, the mapping, the first person, the test of single sign-on."""
    assert done(owner.open()) == []
    made = owner.generate()
    assert done(made) == [], "generated is not saved"
    assert done(owner.save(made)) == ["token"]
    entra = Entra(app.test_client(), made.token)
    entra.get("/Users")
    assert done(owner.open()) == ["token", "request"]
    user = entra.user("ada", externalId="ada")
    assert done(owner.open()) == ["token", "request", "user"]
    path = {"op": "replace", "path": "externalId", "value": str(uuid.uuid4())}
    assert entra.patch(f"/Users/{user['id']}", path).status_code == 200
    assert done(owner.open()) == ["token", "request", "mapping", "user"]
    configure(app)
    assert "sso" not in done(owner.open()), "an operator put it in force, nobody has tested it"
    with app.app_context():
        account = get_account().id
        row = providers.in_force(db.session, scim.records, account)
        assert row is not None
        row.tested_at = now()
        db.session.commit()
    assert done(owner.open()) == STEPS


def test_one_person_without_an_object_id_unticks_the_mapping(
    owner: Admin, entra: Entra, other_entra: Entra
) -> None:
    """Nothing else shows what the mapping is; another account's people say nothing of it."""
    entra.user("ada")
    other_entra.user("eve", externalId="eve")
    assert "mapping" in done(owner.open())
    entra.user("bob", externalId="bob")
    assert "mapping" not in done(owner.open())


def test_the_guide_is_closed_and_says_what_to_do_in_the_pages_own_words(owner: Admin) -> None:
    """Five steps, the values named as the page and Microsoft Entra name them, and the twelve rows
    of the mapping."""
    page = owner.open()
    (fold,) = [e for e in page.all("details") if e.text.startswith("Setup guide")]
    assert "open" not in fold
    assert len([e for e in page.all("li", class_="h5s-step") if fold in e.parents]) == 5
    for words in (
        "Generate Token",
        "Provisioning URL into “Tenant URL”",
        "API Token into “Secret Token”",
        "Test Connection",
        "Provision on demand",
        "Test sign-in",
        "every 40 minutes",
        "with one person",
    ):
        assert words in fold.text
    titles = [e.text for e in page.all("h3") if fold in e.parents]
    assert titles[0] == "Before you begin"
    table = page.one("table", class_="h5s-table h5s-mapping")
    rows = [row.text for row in page.all("tr") if table in row.parents][1:]
    assert len(rows) == 12
    assert "externalId objectId" in rows
    assert "userName userPrincipalName" in rows
    assert not [row for row in rows if "roles" in row]


def test_attributes_that_are_not_kept_are_listed(app: Flask, owner: Admin) -> None:
    """By name, the most frequent first, with how often they came; another account has none."""
    assert "Sent by Microsoft Entra and not kept" not in owner.open().text
    with app.app_context():
        account = get_account().id
        for kind, event, ignored in (
            ("User", log.Event.USER_CREATED, ["title", "nickName"]),
            ("User", log.Event.USER_UPDATED, ["nickName"]),
            ("Group", log.Event.GROUP_CREATED, ["description"]),
        ):
            log.record(
                db.session, scim.records, account, event, resource_type=kind, ignored=ignored
            )
        db.session.commit()
    page = owner.open()
    assert "Sent by Microsoft Entra and not kept (3)" in page.text
    table = page.one("table", class_="h5s-table h5s-ignored")
    rows = [row.text for row in page.all("tr") if table in row.parents][1:]
    assert rows[0].startswith("nickName Users 2 ")
    assert {row.rpartition(" 1 ")[0] for row in rows[1:]} == {"title Users", "description Groups"}
    assert "not kept" not in Admin(app, "owner@globex.example").open().text


def test_the_roles_can_be_copied_into_the_manifest(owner: Admin) -> None:
    """As Microsoft's application manifest has them, each with an id of its own that stays."""
    first, second = owner.open(), owner.open()
    roles = json.loads(first.one("pre", class_="h5s-block").text)
    assert [role["value"] for role in roles] == ["admin", "editor", "reader"]
    assert {role["isEnabled"] for role in roles} == {True}
    assert {tuple(role["allowedMemberTypes"]) for role in roles} == {("User",)}
    assert len({uuid.UUID(role["id"]) for role in roles}) == 3
    assert set(roles[0]) == {
        "allowedMemberTypes",
        "description",
        "displayName",
        "id",
        "isEnabled",
        "value",
    }
    assert roles == json.loads(second.one("pre", class_="h5s-block").text)


# -- two admins --------------------------------------------------------------------------


def test_the_second_save_is_told_who_changed_what(app: Flask, owner: Admin) -> None:
    """Who, when, and what differs by now from what was sent; nothing of the second is stored."""
    colleague = Admin(app, test_pages.add_user(app, "admin@acme.example", "admin"))
    mine, theirs = owner.open(), colleague.open()
    colleague.save(theirs, sso_provider="microsoft", directory=TENANT, mode="button")
    page = owner.refuse(mine, 422, sso_provider="microsoft", directory="acme.example/x")
    told = page.id("h5s-provider-problem").text
    assert "admin@acme.example, " in told
    assert "Saved the single sign-on settings" in told
    assert f"Directory (tenant) ID: {TENANT}" in told
    assert "How people sign in: Show a Microsoft button" in told
    assert "Microsoft cloud" not in told, "that is the same"
    fields = page.fields()
    assert (fields["directory"], fields["mode"]) == (TENANT, "button")
    assert [e["id"] for e in page.elements if "autofocus" in e] == ["h5s-microsoft"], (
        "a blank there must not choose the other"
    )
    assert test_pages.settings(app)[1] == ("pending", TENANT, "global", "button")
    # The page that says so can be saved.
    owner.save(page, mode="redirect")


def test_what_the_other_admin_typed_as_a_secret_is_not_told(app: Flask, owner: Admin) -> None:
    """The differences have no secrets in them, on either side."""
    colleague = Admin(app, test_pages.add_user(app, "admin@acme.example", "admin"))
    mine, theirs = owner.open(), colleague.open()
    own = {"sso_provider": "microsoft", "directory": TENANT, "client_id": str(uuid.uuid4())}
    colleague.save(theirs, **own, client_secret="their-secret~value")
    page = owner.refuse(mine, 422, **own, client_secret="my-secret~value")
    assert "Somebody else changed" in page.text
    assert "secret~value" not in page.html


# -- in a browser ------------------------------------------------------------------------


@pytest.mark.browser
def test_the_open_page_says_that_the_token_was_tried(app: Flask, visit: Callable[..., Any]) -> None:
    """Without a reload, and the token is still there to copy; a screen reader hears it."""
    window = visit()
    window.clock.install()
    window.reload()
    window.get_by_role("button", name="Generate Token").click()
    box = window.get_by_label("API Token", exact=True)
    text = box.input_value()
    window.get_by_label("Token name").fill("half typed")
    assert Entra(app.test_client(), text).get("/Users").status_code == 401
    window.clock.run_for(11_000)
    window.get_by_text("Microsoft Entra tried this token at").wait_for()
    window.clock.run_for(100)
    told = window.locator("#h5s-told", has_text="has just tried this token: press Save")
    told.wait_for(state="attached")
    assert box.input_value() == text
    assert window.get_by_label("Token name").input_value() == "half typed"
    # A form that was sent once sends the same token's draft.
    window.get_by_role("button", name="Save", exact=True).click()
    window.get_by_text("The token is saved and active.").first.wait_for()
    assert held(app) == [("active", "half typed")]


@pytest.mark.browser
def test_the_status_and_the_guide_change_while_somebody_looks(
    app: Flask, visit: Callable[..., Any]
) -> None:
    """The first request shows within ten seconds; after an hour nobody asks any more."""
    text = make_token(app, "acme")
    window = visit()
    window.clock.install()
    window.reload()
    window.get_by_text("Waiting for Microsoft Entra").wait_for()
    window.get_by_text("Setup guide", exact=True).click()
    assert window.locator("#h5s-step-request").text_content() == "To do"
    Entra(app.test_client(), text).get("/Users")
    window.clock.run_for(11_000)
    window.locator("#h5s-status", has_text="Connected").wait_for()
    assert window.locator("#h5s-step-request").text_content() == "Done"
    assert window.get_by_text("2 of 5 done").is_visible()
    assert window.locator("#h5s-next", has_text="To replace the token in use").is_visible()
    assert window.locator("details[open] #h5s-step-request").count() == 1, "it stays open"

    window.clock.fast_forward(61 * 60_000)
    window.wait_for_timeout(200)
    asked: list[str] = []
    window.on("request", lambda request: asked.append(request.url))
    window.clock.run_for(60_000)
    window.wait_for_timeout(200)
    assert not [url for url in asked if "live" in url]


@pytest.mark.browser
def test_who_was_signed_out_is_not_asked_for_again(app: Flask, visit: Callable[..., Any]) -> None:
    """The script stops at the first refusal, and the page stays as it is."""
    window = visit()
    window.clock.install()
    window.reload()
    window.context.clear_cookies()
    asked: list[str] = []
    window.on("request", lambda request: asked.append(request.url))
    with window.expect_response(lambda answer: urlsplit(answer.url).path == f"{URL}/live"):
        window.clock.run_for(11_000)
    window.wait_for_timeout(300)
    window.clock.run_for(60_000)
    window.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    window.wait_for_timeout(300)
    pages = [url for url in asked if "/static/" not in url]
    assert [urlsplit(url).path for url in pages] == [f"{URL}/live"]
    assert window.get_by_role("button", name="Generate Token").is_visible()


@pytest.mark.browser
@pytest.mark.parametrize("javascript", [True, False])
def test_back_and_reload_never_make_a_second_token(
    app: Flask, visit: Callable[..., Any], javascript: bool
) -> None:
    """The browser sends the form again, or shows the page from before; one token there is."""
    window = visit(java_script_enabled=javascript)
    window.get_by_role("button", name="Generate Token").click()
    window.get_by_label("API Token", exact=True).wait_for()
    for _ in range(2):
        window.reload()
        window.get_by_role("button", name="Save", exact=True).wait_for()
    assert held(app) == [("draft", "")]
    window.go_back()
    window.go_forward()
    window.wait_for_load_state()
    assert held(app) == [("draft", "")]
    window.goto(window.url.partition("/account")[0] + URL)
    window.get_by_role("button", name="Save", exact=True).click()
    window.get_by_text("The token is saved and active.").first.wait_for()
    window.reload()
    window.go_back()
    window.wait_for_load_state()
    assert held(app) == [("active", "Microsoft Entra ID")]


@pytest.mark.browser
def test_the_guide_opens_where_the_first_step_points_to_it(visit: Callable[..., Any]) -> None:
    """The link leads into the closed part, and the browser opens it."""
    window = visit()
    window.get_by_role("link", name="The setup guide leads through it.").click()
    window.get_by_role("heading", name="Connect Microsoft Entra").wait_for()
    assert window.get_by_text("Press Test Connection.").is_visible()
