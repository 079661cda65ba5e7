"""Activity in Chromium, as an admin uses it who looks into a failure."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from flask import Flask

from flask_h5mag_scim.records import log

from .browser import PATIENCE, chromium, free_port, served
from .conftest import PASSWORD, Entra
from .web.test_activity import write

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

URL = "/account/provisioning"

pytestmark = pytest.mark.browser


@dataclass
class Site:
    url: str
    browser: Browser

    def admin(self, *, scripts: bool = True, width: int = 1280, scheme: str = "light") -> Page:
        """An owner's browser on the page "Provisioning & SSO"."""
        context = self.browser.new_context(
            viewport={"width": width, "height": 900},
            java_script_enabled=scripts,
            color_scheme="dark" if scheme == "dark" else "light",
        )
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.goto(f"{self.url}/login?password=1&next={URL}")
        page.fill("[name=email]", "owner@acme.example")
        page.fill("[name=password]", PASSWORD)
        page.get_by_role("button", name="Sign in").first.click()
        page.wait_for_url(self.url + URL)
        return page


@pytest.fixture
def site(app: Flask, entra: Entra) -> Iterator[Site]:
    """An account in which a person was created, a twin refused, and much else happened."""
    ada = entra.user("ada", displayName="Ada Lovelace")
    entra.post("/Users", {"userName": ada["userName"], "externalId": "x"})
    for number in range(30):
        write(app, log.Event.WARNED, detail=f"warning {number}")
    entra.patch(f"/Users/{ada['id']}", {"op": "replace", "path": "active", "value": False})
    with served(app, free_port()) as url, chromium() as browser:
        yield Site(url, browser)


@pytest.mark.parametrize("scripts", [True, False])
def test_a_failure_is_found_understood_and_taken_along(
    site: Site, entra: Entra, scripts: bool
) -> None:
    """From the page to all activity, back and forth, to the error, its explanation and everything
    about the person, into a file; with the keyboard where a mouse would do, without scripts too."""
    page = site.admin(scripts=scripts)
    page.get_by_role("heading", name="Activity").click()
    page.get_by_text("Deactivated Ada Lovelace").wait_for()
    page.get_by_role("link", name="All activity").click()
    page.get_by_role("link", name="Older").click()
    page.get_by_text("Refused to create a user").wait_for()
    page.get_by_role("link", name="Newer").click()
    page.get_by_text("Deactivated Ada Lovelace").wait_for()

    page.get_by_label("Show", exact=True).select_option("Errors")
    page.get_by_role("button", name="Show").click()
    row = page.locator("summary", has_text="Refused to create a user")
    row.focus()
    page.keyboard.press("Enter")
    page.get_by_text("a value that only one may have").wait_for()
    page.get_by_text("Provision on demand").wait_for()
    assert page.get_by_text("Deactivated Ada Lovelace").count() == 0

    page.get_by_label("User, group, request or token").fill("ADA@example.com")
    page.get_by_label("Show", exact=True).select_option("Everything")
    page.get_by_role("button", name="Show").click()
    page.get_by_text("Created Ada Lovelace").wait_for()
    assert page.locator("details.h5s-entry").count() == 3
    page.locator("summary", has_text="Deactivated Ada Lovelace").click()
    page.get_by_role("link", name="Everything about Ada Lovelace").first.click()
    assert page.locator("details.h5s-entry").count() == 3
    with page.expect_download() as taken:
        page.get_by_role("link", name="JSON").click()
    assert re.fullmatch(r"h5mag-activity-\d{4}-\d\d-\d\d\.json", taken.value.suggested_filename)
    # Who was not created is found where the one is found that is in the way.
    about_ada = ["user.deactivated", "request.refused", "user.created"]
    rows = json.loads(taken.value.path().read_text("utf-8"))
    assert [row["event"] for row in rows] == about_ada
    with page.expect_download() as taken:
        page.get_by_role("link", name="CSV").click()
    assert re.fullmatch(r"h5mag-activity-\d{4}-\d\d-\d\d\.csv", taken.value.suggested_filename)
    with taken.value.path().open(encoding="utf-8-sig", newline="") as file:
        dialect = csv.Sniffer().sniff(file.readline())
        file.seek(0)
        lines = list(csv.DictReader(file, dialect=dialect))
    assert [line["event"] for line in lines] == about_ada

    page.get_by_label("User, group, request or token").fill("grace@example.com")
    page.keyboard.press("Enter")
    page.get_by_text(
        "Nobody and nothing in this account is called “grace@example.com” now."
    ).wait_for()
    page.get_by_role("link", name="Show everything").click()
    page.get_by_text("Deactivated Ada Lovelace").wait_for()


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it_on_every_screen(site: Site, width: int, scheme: str) -> None:
    """Closed, open, empty and with a mistake: axe finds nothing, and nothing is cut off."""
    from axe_playwright_python.sync_playwright import Axe

    page = site.admin(width=width, scheme=scheme)
    for address in ("", "?only=errors", "?about=nobody", "?since=yesterday"):
        page.goto(f"{site.url}{URL}/activity{address}")
        for _ in range(2):
            wrong = Axe().run(page).response["violations"]
            assert not wrong, [(one["id"], one["nodes"][0]["html"]) for one in wrong]
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
