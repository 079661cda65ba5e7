"""The page in each of its states, in Chromium: readable by everybody, on a phone as on a desk,
in the light and in the dark, with scripts and without.

Set TEST_SCREENSHOTS to a folder to look at them.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from example_app.models import Account, db
from example_app.provisioning import scim
from flask_h5mag_scim.records.models import Mode, now
from flask_h5mag_scim.web.sessions import MICROSOFT

from .customers import Customer, Site, no_faults, site
from .issuer import Issuer

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["no_faults", "site"]  # fixtures

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("no_faults")]

#: Width, and what the person prefers.
LOOKS = [(1280, "light"), (1280, "dark"), (320, "light"), (320, "dark")]


# -- the states --------------------------------------------------------------------------


def _draft(customer: Customer) -> None:
    assert customer.entra(customer.draft()).get("/Users").status_code == 401


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
    customer.change_tokens(expires_at=now() - timedelta(days=1))


def _paused(customer: Customer) -> None:
    entra = customer.entra()
    customer.people(entra, 1)
    customer.pause()
    assert entra.get("/Users").status_code == 503


def _braked(customer: Customer) -> None:
    entra = customer.entra()
    for person in customer.people(entra, 4):
        entra.delete(f"/Users/{person['id']}")


def _unlicensed(customer: Customer) -> None:
    customer.end_licence()
    customer.token()


def _pending(customer: Customer) -> None:
    customer.token()
    customer.single_sign_on(Mode.REDIRECT, tested=False)


def _required(customer: Customer) -> None:
    customer.people(customer.entra(), 2)
    customer.require_on_trial()


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
            # Colours that are on their way from one scheme to the other are neither.
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]  # one of two words
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


def _page(site: Site, state: str, *, scripts: bool = True) -> Page:
    """The page, as the owner of an account in a state sees it."""
    stamp = {"method": MICROSOFT} if state == "required" else {}
    return site.window(site.customer(STATES[state][0]), scripts=scripts, **stamp)


@pytest.mark.parametrize("state", STATES)
def test_each_state_is_for_everybody(site: Site, state: str) -> None:
    """Its words are there; axe finds nothing serious; nothing is cut off on a phone."""
    page = _page(site, state)
    page.get_by_text(re.compile(re.escape(STATES[state][1]))).first.wait_for()
    check(page, state)


@pytest.mark.parametrize("state", STATES)
def test_each_state_says_the_same_without_scripts(site: Site, state: str) -> None:
    """Scripts only add comfort: what they add is hidden without them."""
    page = _page(site, state, scripts=False)
    assert page.get_by_text(re.compile(re.escape(STATES[state][1]))).first.is_visible()
    assert page.get_by_role("button", name=re.compile("^(Copy|Hide|Show)")).count() == 0
    assert page.get_by_role("heading", name="Provisioning & SSO").is_visible()


def test_the_first_screen_is_calm(site: Site) -> None:
    """On the first day there are one thing to press, one to choose, and nothing unfolded."""
    page = _page(site, "none")
    assert page.locator("details[open]").count() == 0
    visible = [b.inner_text() for b in page.get_by_role("button").all() if b.is_visible()]
    assert [text for text in visible if text] == ["Sign out", "Generate Token", "Save"]


# -- the pages beside it -----------------------------------------------------------------


def _busy(customer: Customer) -> None:
    """Somebody came, was refused, changed and left; two tokens; a request that no token opened."""
    entra = customer.entra()
    ada = entra.user("ada", displayName="Ada Lovelace", title="Countess")
    entra.post("/Users", {"userName": "ada@example.com", "externalId": "x"})
    entra.patch(
        f"/Users/{ada['id']}",
        {"op": "replace", "path": "title", "value": "Mathematician"},
        {"op": "replace", "path": "active", "value": "False"},
    )
    entra.group("Editors", members=[{"value": ada["id"]}])
    for number in range(30):
        entra.patch(
            f"/Users/{ada['id']}", {"op": "replace", "path": "title", "value": f"T{number}"}
        )


def _one_token(customer: Customer) -> None:
    customer.token()


def _used_token(customer: Customer) -> None:
    customer.used(customer.token(), ago=timedelta(minutes=4))


def _two_tokens(customer: Customer) -> None:
    customer.token("Old token", hours_old=5)
    customer.token("New token")


def _stays_active(customer: Customer) -> None:
    """Of those whom Microsoft Entra brought, one is the owner who will disconnect."""
    entra = customer.entra()
    customer.people(entra, 2)
    customer.bring_owner(entra)


def _to_test(customer: Customer) -> None:
    customer.single_sign_on(Mode.REDIRECT, tested=False, cloud="stand-in")


def _requires_after_test(customer: Customer) -> None:
    scim.name_break_glass(db.session.get(Account, customer.id), [customer.owner], by="test")
    customer.single_sign_on(Mode.REQUIRE, tested=False, cloud="stand-in")


def _press(page: Page, *names: str) -> None:
    for name in names:
        page.get_by_role("button", name=name, exact=True).first.click()


def _go(path: str) -> Callable[[Page, Issuer], None]:
    def go(page: Page, microsoft: Issuer) -> None:
        page.goto(page.url + path)

    return go


def _ask_revoke(page: Page, microsoft: Issuer) -> None:
    page.get_by_role("link", name="Revoke").first.click()


def _revoke_wrongly(page: Page, microsoft: Issuer) -> None:
    _ask_revoke(page, microsoft)
    page.get_by_label("Type the fingerprint").fill("abcdef")
    _press(page, "Revoke token")


def _generate(page: Page, microsoft: Issuer) -> None:
    _press(page, "Generate Token")


def _make_mistakes(page: Page, microsoft: Issuer) -> None:
    _generate(page, microsoft)
    page.get_by_label("Microsoft 365 / Microsoft Entra ID").check()
    page.get_by_label("Directory (tenant) ID").fill("common")
    page.get_by_text("Use our own app registration").click()
    page.get_by_label("Client secret").fill(str(uuid.uuid4()))
    page.get_by_label("Expires", exact=True).select_option("Never (not advised)")
    _press(page, "Save")


def _disconnect(page: Page, microsoft: Issuer) -> None:
    page.goto(page.url + "/disconnect")
    page.get_by_label("They are deactivated").check()
    _press(page, "Disconnect")


def _test(page: Page, microsoft: Issuer) -> None:
    microsoft.claims = {"oid": "0f0f0f0f-aaaa-4bbb-8ccc-d0d0d0d0d0d0"}
    page.locator("#h5s-test").evaluate("form => { form.target = '_self' }")
    _press(page, "Test sign-in")


def _fail_test(page: Page, microsoft: Issuer) -> None:
    microsoft.denial = {"error": "access_denied", "error_description": "AADSTS50105: no role."}
    try:
        _test(page, microsoft)
        page.get_by_role("heading", name="Test sign-in failed").wait_for()
    finally:
        microsoft.denial = None


def _link(page: Page, microsoft: Issuer) -> None:
    _test(page, microsoft)
    _press(page, "Link my account")


def _sign_out(page: Page, microsoft: Issuer) -> None:
    _press(page, "Sign out")


#: A state, what is done in it, and words that only the page has to which it leads.
PAGES: dict[str, tuple[Callable[[Customer], None], Callable[[Page, Issuer], None], str]] = {
    "activity": (_busy, _go("/activity"), "Older"),
    "activity-errors": (_busy, _go("/activity?only=errors"), "Refused to create a user"),
    "activity-nothing": (_busy, _go("/activity?about=nobody"), "is called “nobody” now"),
    "activity-mistake": (
        _busy,
        _go("/activity?since=2027-01-02&until=2027-01-01"),
        "before the first",
    ),
    "activity-empty": (_nothing, _go("/activity"), "Nothing has happened yet."),
    "generated": (_one_token, _generate, "Shown only once."),
    "mistakes": (_nothing, _make_mistakes, "The single sign-on settings are not saved"),
    "revoke-only": (_used_token, _ask_revoke, "This is the only token in use."),
    "revoke-unused": (_one_token, _ask_revoke, "nobody has used it yet"),
    "revoke-wrong": (_one_token, _revoke_wrongly, "This is not the fingerprint"),
    "revoke-one-of-two": (_two_tokens, _ask_revoke, "The other active token goes on"),
    "disconnect": (_stays_active, _go("/disconnect"), "Disconnect Microsoft Entra?"),
    "disconnect-required": (_required, _go("/disconnect"), "requires Microsoft"),
    "disconnected": (_stays_active, _disconnect, "Still active: 1"),
    "test-nobody": (_to_test, _test, "Is this you?"),
    "test-linked": (_to_test, _link, "is linked"),
    "test-not-yet": (_requires_after_test, _test, "Even so, these settings are not in force"),
    "test-failed": (_to_test, _fail_test, "Test sign-in failed"),
    "sign-in-refused": (_nothing, _go("/../../sso/nowhere/login"), ""),
    "signed-out": (_connected, _sign_out, "You are signed out"),
}


@pytest.mark.parametrize("way", PAGES)
def test_each_page_beside_it_is_for_everybody(site: Site, way: str) -> None:
    """What is asked before and said after: the words are there, axe finds nothing serious, and
    nothing is cut off on a phone."""
    prepare, lead, words = PAGES[way]
    stamp = {"method": MICROSOFT} if prepare in (_required, _connected) else {}
    page = site.window(site.customer(prepare), **stamp)
    lead(page, site.microsoft)
    page.get_by_text(re.compile(re.escape(words))).first.wait_for()
    check(page, f"page-{way}")
