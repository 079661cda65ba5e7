"""Requiring Microsoft, as its users live through it: an admin and an editor in Chromium, a
stand-in for Microsoft beside them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest
import requests

from .conftest import PASSWORD, both_databases
from .test_product import MICROSOFT, TENANT, Site, person, sign_in_at_microsoft, site

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["site"]  # a fixture

pytestmark = pytest.mark.browser

ADMIN, BREAK_GLASS, EDITOR = "admin@acme.example", "owner@acme.example", "noor@acme.example"
PAGE = "/account/provisioning"


def by_password(page: Page, name: str, **typed: str) -> None:
    """Fill in the host's login form, past Microsoft."""
    page.fill("[name=email]", name)
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    for field, text in typed.items():
        page.fill(f"[name={field}]", text)
        page.fill("[name=password]", PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).click()


def by_microsoft(site: Site, name: str, path: str = "/login") -> Page:
    page = site.visitor(path)
    page.fill("[name=email]", name)
    page.keyboard.press("Enter")
    sign_in_at_microsoft(page, name)
    page.get_by_text(name).first.wait_for()
    return page


def pass_test(page: Page, name: str) -> Page:
    """Press Test sign-in and finish it in its own tab; the tab."""
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Test sign-in").click()
    sign_in_at_microsoft(opened.value, name)
    opened.value.get_by_role("heading", name="Test sign-in passed").wait_for()
    return opened.value


def provision(site: Site, token: str, name: str, **attributes: Any) -> None:
    """Let Entra bring somebody, whom the stand-in knows as well."""
    oid = str(uuid.uuid4())
    person(site, name, oid)
    body = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": name,
        "externalId": oid,
        "active": True,
        **attributes,
    }
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/scim+json"}
    answer = requests.post(f"{site.url}/scim/v2/Users", json=body, headers=headers, timeout=10)
    assert answer.status_code == 201, answer.text


@both_databases
def test_from_a_first_test_to_requiring_microsoft_and_break_glass(site: Site) -> None:
    """Chosen, tested, redirecting; required on trial and kept; passwords refused; break-glass
    in and out again."""
    owner = site.visitor(f"/login?password=1&next={PAGE}")
    by_password(owner, BREAK_GLASS)
    owner.get_by_role("button", name="Generate Token").click()
    token = owner.get_by_label("API Token").input_value()
    owner.get_by_label(MICROSOFT).check()
    owner.get_by_label("Directory (tenant) ID").fill(TENANT)
    owner.get_by_text("More settings").click()
    owner.get_by_label("Microsoft cloud").select_option("stand-in")
    owner.get_by_role("button", name="Save").click()
    owner.get_by_text("One step left: Test sign-in", exact=True).wait_for()

    # An admin and an editor come from Entra; the settings pass their test and are in force.
    admin_role = [{"value": "admin", "primary": True}]
    provision(site, token, ADMIN, roles=admin_role)
    provision(site, token, EDITOR)
    pass_test(owner, EDITOR)
    owner.reload()
    owner.get_by_text("People are redirected to the Microsoft login page").wait_for()

    # The admin comes in through Microsoft and wants it required: first somebody is missing.
    admin = by_microsoft(site, ADMIN)
    admin.goto(site.url + PAGE)
    break_glass = admin.get_by_label("Break-glass owners")
    assert not break_glass.is_visible()
    admin.get_by_label("Require Microsoft").check()
    assert break_glass.is_visible()
    admin.get_by_role("button", name="Save").click()
    admin.get_by_text("Name at least one break-glass owner").wait_for()
    admin.wait_for_function("document.activeElement.id == 'h5s-break-glass'")
    admin.get_by_label("Break-glass owners").fill(BREAK_GLASS)
    admin.get_by_role("button", name="Save").click()
    admin.get_by_text("One step left: Test sign-in", exact=True).wait_for()

    # Another person's test is no proof; the admin's own begins the trial.
    tab = pass_test(admin, EDITOR)
    tab.get_by_text("Test sign-in with your own Microsoft account").wait_for()
    tab.close()
    tab = pass_test(admin, ADMIN)
    tab.get_by_text("on trial").wait_for()
    tab.close()
    admin.reload()
    admin.get_by_text("On trial for 30 more min").wait_for()
    admin.get_by_role("button", name="Keep").click()
    admin.get_by_text("Microsoft stays required.").first.wait_for()
    assert admin.get_by_text("On trial for").count() == 0

    # The editor still comes in through Microsoft. A password opens nothing by itself.
    by_microsoft(site, EDITOR)
    locked_out = site.visitor("/login?password=1")
    by_password(locked_out, BREAK_GLASS)
    locked_out.get_by_text("Your account requires Microsoft to sign in").wait_for()
    assert locked_out.get_by_role("link", name="Sign in with Microsoft").is_visible()
    locked_out.goto(site.url + PAGE)
    assert "/login" in locked_out.url

    # A break-glass owner comes in with a recovery code, and steps back to the redirect.
    codes = site.app.test_cli_runner().invoke(args=["recovery-codes", BREAK_GLASS]).stdout.split()
    assert len(codes) == 8
    glass = site.visitor(f"/login?password=1&next={PAGE}")
    by_password(glass, BREAK_GLASS, code=codes[0])
    glass.wait_for_url(site.url + PAGE)
    glass.get_by_role("heading", name="Activity").click()
    glass.get_by_text("A break-glass owner signed in with a password").wait_for()
    glass.get_by_label("Redirect to Microsoft").check()
    glass.get_by_role("button", name="Save").click()
    glass.get_by_text("Single sign-on is saved.").first.wait_for()

    # Now the password is a second way in again, and who signs out stays out.
    locked_out.goto(f"{site.url}/login?password=1")
    by_password(locked_out, BREAK_GLASS)
    locked_out.get_by_role("button", name="Sign out").click()
    locked_out.get_by_text("You are signed out").first.wait_for()
    admin.goto(f"{site.url}/people")
    admin.get_by_role("button", name="Sign out").click()
    admin.get_by_text("Also sign out of Microsoft").wait_for()
