"""What people do on the page, in Chromium, with scripts and without: every way through it, to
its end."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import requests
from playwright.sync_api import Error, expect

from flask_h5mag_scim.records.models import Mode, now
from flask_h5mag_scim.web.sessions import MICROSOFT

from .conftest import PASSWORD
from .customers import PAGE, TENANT, Customer, Site, no_faults, site

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

__all__ = ["no_faults", "site"]  # fixtures

pytestmark = [pytest.mark.browser, pytest.mark.usefixtures("no_faults")]

#: With scripts, and without.
both_ways = pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])

#: Signed in longer ago than what opens a door allows.
LONG_AGO = {"age": 11 * 60}


def press(page: Page, name: str, *, nth: int = 0) -> None:
    """Press a button by its words."""
    page.get_by_role("button", name=name, exact=True).nth(nth).click()


def unfold(page: Page, heading: str) -> None:
    """Open a part of the page that is folded away."""
    page.locator("summary", has_text=heading).click()


def unfold_all(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(it => { it.open = true })")


def told(page: Page, text: str) -> None:
    """Wait until the page says this where everybody sees it."""
    expect(page.locator(".h5s-note, .h5s-problem").get_by_text(text).first).to_be_visible()


def header(page: Page) -> Locator:
    """The sentence on how provisioning is doing."""
    return page.locator("#h5s-status")


def sign_in_again(page: Page, customer: Customer) -> None:
    """Do what the host asks of somebody who signed in too long ago."""
    page.get_by_text("Please sign in once more to go on.").wait_for()
    page.get_by_label("H5mag password").fill(PASSWORD)
    press(page, "Sign in")


def ask(site: Site, token: str, path: str = "/Users") -> int:
    """What a request of Microsoft Entra's is answered."""
    headers = {"Authorization": f"Bearer {token}", "User-Agent": ""}
    return requests.get(f"{site.url}/scim/v2{path}", headers=headers, timeout=10).status_code


def look(site: Site, read: Callable[[], Any]) -> Any:
    """What the database has now."""
    with site.app.app_context():
        return read()


def states(site: Site, customer: Customer) -> list[str]:
    """The states of a customer's tokens, in the order in which they were made."""
    return look(site, lambda: [str(token.state(now())) for token in customer.tokens()])


# -- the token ---------------------------------------------------------------------------


@both_ways
def test_from_generate_to_connected(site: Site, scripts: bool) -> None:
    """Generate Token, copy, name and lifetime, Save; after the first request the page says that
    it is connected."""
    customer = site.customer()
    page = site.window(customer, scripts=scripts)
    expect(header(page)).to_contain_text("Not set up")
    press(page, "Generate Token")
    expect(header(page)).to_contain_text("Token not saved")
    field = page.get_by_label("API Token", exact=True)
    token = field.input_value()
    assert page.get_by_label("Provisioning URL", exact=True).input_value() == f"{site.url}/scim/v2"
    expect(field).to_be_focused()
    expect(page.get_by_text("Shown only once. Not active until you press Save.")).to_be_visible()
    assert ask(site, token) == 401
    copy = page.get_by_role("button", name="Copy API Token")
    if scripts:
        copy.click()
        expect(page.get_by_role("status").get_by_text("API Token copied")).to_be_attached()
        assert page.evaluate("navigator.clipboard.readText()") == token
        press(page, "Hide API Token")
        expect(field).to_have_class(re.compile("h5s-masked"))
        press(page, "Show API Token")
        expect(field).not_to_have_class(re.compile("h5s-masked"))
    else:
        assert copy.count() == 0
    page.get_by_label("Token name").fill("Contoso’s Entra")
    page.get_by_label("Expires", exact=True).select_option("90 days")
    press(page, "Save")

    told(page, "The token is saved and active.")
    assert token not in page.content()
    row = page.get_by_role("row", name="Contoso’s Entra")
    expect(row).to_contain_text("Active")
    expect(row).to_contain_text("in 90 days")
    expect(header(page)).to_contain_text("Waiting for Microsoft Entra")
    assert ask(site, token) == 200
    page.reload()
    expect(header(page)).to_contain_text("Connected")
    expect(page.get_by_role("row", name="Contoso’s Entra")).to_contain_text("from 127.0.0.1")


@both_ways
def test_a_token_that_is_left_and_found_again(site: Site, scripts: bool) -> None:
    """Who leaves without Save finds the draft: it can be saved, made anew, and discarded."""
    customer = site.customer()
    page = site.window(customer, scripts=scripts)
    press(page, "Generate Token")
    first = page.get_by_label("API Token").input_value()
    page.get_by_role("link", name="Account").first.click()
    page.get_by_role("link", name="Provisioning & SSO").first.click()
    assert first not in page.content()
    fingerprint = look(site, lambda: customer.tokens()[0].fingerprint)
    told(page, f"The token {fingerprint} is not saved")
    assert page.get_by_role("button", name="Generate Token").count() == 0
    press(page, "Generate again")
    second = page.get_by_label("API Token").input_value()
    assert second != first
    assert len(states(site, customer)) == 1
    page.goto(site.url + PAGE)
    press(page, "Save")
    told(page, "The token is saved and active.")
    assert [ask(site, first), ask(site, second)] == [401, 200]

    press(page, "Generate Token")
    page.goto(site.url + PAGE)
    press(page, "Discard")
    told(page, "The token was discarded.")
    assert states(site, customer) == ["active"]
    expect(page.get_by_role("button", name="Generate Token")).to_be_visible()


@both_ways
def test_reload_and_back_never_make_a_second_token(site: Site, scripts: bool) -> None:
    """Reloading what Generate answered, going back to it and sending it again: one token, before
    Save and after it."""
    customer = site.customer()
    page = site.window(customer, scripts=scripts)
    press(page, "Generate Token")
    made = look(site, lambda: customer.tokens()[0].id)
    page.reload()
    told(page, "is not saved")
    assert page.get_by_label("API Token").count() == 0
    press(page, "Save")
    told(page, "The token is saved and active.")
    page.reload()
    for _ in range(3):
        with_resend(page, lambda: page.go_back())
    with_resend(page, lambda: page.go_forward())
    assert look(site, lambda: [token.id for token in customer.tokens()]) == [made]
    assert states(site, customer) == ["active"]


def with_resend(page: Page, go: Callable[[], Any]) -> None:
    """Go somewhere; where the browser asks whether to send a form again, let it."""
    try:
        go()
    except Error as refused:
        if "ERR_CACHE_MISS" not in str(refused):
            raise
        page.reload()


@both_ways
def test_going_back_after_save_and_pressing_save_again(site: Site, scripts: bool) -> None:
    """The form of a token that is saved by now changes nothing more."""
    customer = site.customer()
    page = site.window(customer, scripts=scripts)
    press(page, "Generate Token")
    again = site.window(customer, scripts=scripts)  # with the draft, as the tab has it
    press(page, "Save")
    told(page, "The token is saved and active.")
    press(again, "Save")
    told(again, "Saved. Nothing had changed.")
    assert states(site, customer) == ["active"]


@both_ways
def test_a_draft_that_became_too_old(site: Site, scripts: bool) -> None:
    """After an hour Save says so, and the way out is to generate again."""
    customer = site.customer()
    page = site.window(customer, scripts=scripts)
    press(page, "Generate Token")
    look(site, lambda: customer.change_tokens(created_at=now() - timedelta(minutes=61)))
    press(page, "Save")
    told(page, "generated more than an hour ago and was never saved")
    told(page, "It was not saved within the hour")
    assert states(site, customer) == ["expired"]
    press(page, "Generate again")
    assert page.get_by_label("API Token").input_value()
    press(page, "Save")
    told(page, "The token is saved and active.")
    assert states(site, customer) == ["active"]


@both_ways
def test_a_third_token_is_refused(site: Site, scripts: bool) -> None:
    """With two active there is nothing to press; a page that is older than the second is told
    why, by Generate and, when its token is gone by then, by Save."""
    customer = site.customer(Customer.token)
    page = site.window(customer, scripts=scripts)
    look(site, lambda: customer.token("Second"))
    press(page, "Generate Token")
    told(page, "Two tokens are active, and there cannot be a third.")
    assert page.get_by_role("button", name=re.compile("Generate")).count() == 0
    assert states(site, customer) == ["active", "active"]

    customer = site.customer(Customer.token)
    page = site.window(customer, scripts=scripts)
    press(page, "Generate Token")
    look(site, lambda: customer.token("Second"))
    press(page, "Save")
    told(page, "it was discarded, or a newer one was generated")
    assert states(site, customer) == ["active", "active"]


@both_ways
def test_the_only_token_in_use_is_revoked_with_its_fingerprint(site: Site, scripts: bool) -> None:
    """It says what stops, asks for the fingerprint, refuses another, and then does it."""
    customer = site.customer(lambda it: it.used(it.token(), ago=timedelta(minutes=4)))
    fingerprint = look(site, lambda: customer.tokens()[0].fingerprint)
    page = site.window(customer, scripts=scripts)
    page.get_by_role("link", name=f"Revoke token Microsoft Entra ID, {fingerprint}").click()
    told(page, "This is the only token in use.")
    page.get_by_role("link", name="Keep it").click()
    page.get_by_role("link", name="Revoke").click()
    page.get_by_label(f"Type the fingerprint {fingerprint}").fill("abcdef")
    press(page, "Revoke token")
    told(page, "This is not the fingerprint of the token.")
    field = page.get_by_label(f"Type the fingerprint {fingerprint}")
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    assert states(site, customer) == ["active"]
    field.fill(f" {fingerprint.upper()} ")
    page.keyboard.press("Enter")
    told(page, "The token was revoked.")
    assert states(site, customer) == ["revoked"]
    expect(header(page)).to_contain_text("Not set up")
    unfold(page, "Former tokens (1)")
    expect(page.get_by_role("row", name="Microsoft Entra ID")).to_contain_text("Revoked")


@both_ways
def test_the_older_of_two_tokens_is_revoked(site: Site, scripts: bool) -> None:
    """The page says when it is safe; it names the one that goes on, and asks for nothing."""

    def rotated(customer: Customer) -> None:
        old = customer.token("Old", hours_old=5)
        customer.used(old, ago=timedelta(hours=4))
        assert customer.entra(customer.token("New")).get("/Users").status_code == 200

    customer = site.customer(rotated)
    page = site.window(customer, scripts=scripts)
    told(page, "safe to revoke the old one")
    expect(page.get_by_role("row", name="Old")).to_contain_text("Retiring")
    page.get_by_role("link", name="Revoke token Old").click()
    told(page, "The other active token goes on working.")
    press(page, "Revoke token")
    told(page, "The token was revoked.")
    assert states(site, customer) == ["revoked", "active"]


@both_ways
def test_who_signed_in_long_ago_signs_in_once_more(site: Site, scripts: bool) -> None:
    """For Generate, for Revoke and for Disconnect: said beside the button, and each leads back to
    where it was asked."""
    customer = site.customer(Customer.token)
    page = site.window(customer, scripts=scripts, **LONG_AGO)
    expect(page.get_by_role("button", name="Generate Token")).to_have_accessible_description(
        "You signed in more than ten minutes ago: you will be asked to sign in again first."
    )
    press(page, "Generate Token")
    sign_in_again(page, customer)
    told(page, "Please repeat your last step.")
    press(page, "Generate Token")
    assert page.get_by_label("API Token").input_value()
    press(page, "Discard")

    for name, question, button in (
        ("Revoke", "Revoke the token", "Revoke token"),
        ("Disconnect…", "Disconnect Microsoft Entra?", "Disconnect"),
    ):
        page = site.window(customer, scripts=scripts, **LONG_AGO)
        if name == "Disconnect…":
            unfold(page, "Danger zone")
        page.get_by_role("link", name=name).click()
        if name == "Revoke":
            fingerprint = look(site, lambda: customer.tokens()[0].fingerprint)
            page.get_by_label("Type the fingerprint").fill(fingerprint)
        press(page, button)
        sign_in_again(page, customer)
        page.get_by_role("heading", name=question).wait_for()
        told(page, "Please repeat your last step.")
    assert states(site, customer) == ["active"]


# -- what happens while the page is open -------------------------------------------------


def look_again(page: Page, *, scripts: bool) -> None:
    """Let some time pass; who has no scripts reloads."""
    if scripts:
        page.clock.run_for(10_500)
    else:
        page.goto(page.url.partition("#")[0].removesuffix("/generate"))


def with_clock(site: Site, customer: Customer, *, scripts: bool) -> Page:
    """The page, in a window where time passes when the test says so."""
    page = site.window(customer, path="/account", scripts=scripts)
    if scripts:
        page.clock.install()
    page.goto(site.url + PAGE)
    return page


@both_ways
def test_the_setup_guide_ticks_what_happens(site: Site, scripts: bool) -> None:
    """Step after step, as it happens elsewhere; with scripts nobody has to reload."""
    customer = site.customer()
    page = with_clock(site, customer, scripts=scripts)
    # A link into what is folded opens it.
    page.get_by_role("link", name="The setup guide leads through it.").click()
    ticks = page.locator(".h5s-tick")
    expect(ticks.first).to_be_visible()

    def done(expected: list[bool]) -> None:
        look_again(page, scripts=scripts)
        expect(ticks).to_have_text(["Done" if each else "To do" for each in expected])
        expect(page.get_by_text(f"{sum(expected)} of 5 done")).to_be_visible()

    done([False] * 5)
    token = look(site, customer.token)
    done([True, False, False, False, False])
    assert ask(site, token) == 200
    done([True, True, False, False, False])
    body = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "ada@contoso.example",
        "externalId": str(uuid.uuid4()),
    }
    assert look(site, lambda: customer.entra(token).post("/Users", body)).status_code == 201
    done([True, True, True, True, False])
    look(site, lambda: customer.single_sign_on(Mode.REDIRECT, tested=False, cloud="stand-in"))
    pass_test(site, site.window(customer, scripts=scripts))
    done([True] * 5)
    expect(header(page)).to_contain_text("Connected")


@both_ways
def test_microsoft_entra_has_just_tried_a_token_that_is_not_saved(
    site: Site, scripts: bool
) -> None:
    """The open page says so, while its text is still there, and Save makes it work."""
    customer = site.customer()
    page = with_clock(site, customer, scripts=scripts)
    press(page, "Generate Token")
    token = page.get_by_label("API Token").input_value()
    assert ask(site, token) == 401
    look_again(page, scripts=scripts)
    told(page, "Microsoft Entra tried this token at")
    if scripts:
        page.clock.run_for(100)
        said = page.get_by_role("status").get_by_text("Microsoft Entra has just tried this token")
        expect(said).to_be_attached()
        assert page.get_by_label("API Token").input_value() == token
    press(page, "Save")
    told(page, "The token is saved and active.")
    assert page.get_by_text("tried this token").count() == 0
    assert ask(site, token) == 200


# -- single sign-on ----------------------------------------------------------------------

PROVIDER = "Microsoft 365 / Microsoft Entra ID"
DIRECTORY = "Directory (tenant) ID"


def choose_microsoft(page: Page, directory: str = TENANT) -> None:
    """Select Microsoft and fill in the directory, at the stand-in for Microsoft."""
    page.get_by_label(PROVIDER).check()
    page.get_by_label(DIRECTORY).fill(directory)
    cloud = page.get_by_label("Microsoft cloud")
    if not cloud.is_visible():
        unfold(page, "More settings")
    cloud.select_option("stand-in")


def pass_test(site: Site, page: Page, oid: str | None = None) -> Page:
    """Press Test sign-in; Microsoft vouches for somebody. The tab with the result."""
    site.microsoft.claims = {"oid": oid or str(uuid.uuid4())}
    with page.context.expect_page() as opened:
        press(page, "Test sign-in")
    opened.value.get_by_role("heading", name="Test sign-in passed").wait_for()
    return opened.value


def wrong(field: Locator, sentence: str) -> None:
    """This field has the focus, is marked, and what is wrong with it is said with it."""
    expect(field).to_be_focused()
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(re.compile(re.escape(sentence)))


@both_ways
def test_single_sign_on_from_a_mistake_to_the_redirect_and_off_again(
    site: Site, scripts: bool
) -> None:
    """A mistake is said beside its field, which has the focus; Save leaves one step, the test; it
    passes, and people are redirected; None, and nobody is."""
    page = site.window(site.customer(), scripts=scripts)
    directory = page.get_by_label(DIRECTORY)
    expect(directory).to_be_hidden()
    choose_microsoft(page, "common")
    press(page, "Save")
    told(page, "The single sign-on settings are not saved")
    wrong(directory, "“common” stands for every directory.")
    directory.fill(TENANT)
    page.keyboard.press("Enter")
    told(page, "Single sign-on is saved. One step left: Test sign-in.")
    expect(page.get_by_label("Redirect to Microsoft")).to_be_checked()

    tab = pass_test(site, page)
    told(tab, "These settings are in force from now on")
    tab.close()
    if scripts:  # back here, the page shows by itself what the test led to
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    else:
        page.reload()
    told(page, f"People are redirected to the Microsoft login page of the directory {TENANT}.")
    unfold(page, "Redirect URI, Sign-on URL")
    assert page.get_by_label("Sign-on URL").input_value().startswith(f"{site.url}/sso/")

    page.get_by_label("None (H5mag passwords)").check()
    expect(directory).to_be_hidden()
    press(page, "Save")
    told(page, "Single sign-on is off.")
    expect(page.get_by_label("None (H5mag passwords)")).to_be_checked()


@both_ways
def test_a_mistake_in_single_sign_on_does_not_stop_a_token(site: Site, scripts: bool) -> None:
    """Saved together: the token is active, and the field says what is wrong."""
    customer = site.customer()
    page = site.window(customer, scripts=scripts)
    page.get_by_label(PROVIDER).check()
    page.get_by_label(DIRECTORY).fill("not a directory")
    press(page, "Generate Token")
    token = page.get_by_label("API Token").input_value()
    assert page.get_by_label(DIRECTORY).input_value() == "not a directory"
    press(page, "Save")
    told(page, "The token is saved and active.")
    told(page, "The single sign-on settings are not saved")
    wrong(page.get_by_label(DIRECTORY), "This is not a Directory (tenant) ID.")
    assert ask(site, token) == 200


@both_ways
def test_a_registration_of_the_customers_own(site: Site, scripts: bool) -> None:
    """The secret's ID is told from its Value; what was typed as a secret never comes back."""
    page = site.window(site.customer(), scripts=scripts)
    choose_microsoft(page)
    unfold(page, "Use our own app registration")
    page.get_by_label("Application (client) ID").fill(str(uuid.uuid4()))
    secret = page.get_by_label("Client secret")
    secret.fill(str(uuid.uuid4()))
    press(page, "Save")
    wrong(secret, "Enter the secret’s Value, not its Secret ID")
    secret.fill("Vx8Q~a.value-as-Microsoft-shows-it-0123")
    press(page, "Save")
    told(page, "Single sign-on is saved. One step left: Test sign-in.")
    assert "Vx8Q~a.value" not in page.content()
    assert secret.input_value() == ""
    expect(secret).to_have_accessible_description(re.compile("A secret is stored."))


@both_ways
def test_requiring_microsoft_asks_for_break_glass_owners(site: Site, scripts: bool) -> None:
    """Nobody named, somebody unknown, and then the owner: said beside the field; what is saved
    waits for the admin's own test."""
    customer = site.customer()
    page = site.window(customer, scripts=scripts)
    choose_microsoft(page)
    owners = page.get_by_label("Break-glass owners")
    expect(owners).to_be_hidden()
    page.get_by_label("Require Microsoft").check()
    expect(owners).to_be_visible()
    press(page, "Save")
    wrong(owners, "Name at least one break-glass owner")
    owners.fill("nobody@contoso.example")
    press(page, "Save")
    wrong(owners, "There is no user called “nobody@contoso.example” in this account.")
    owners.fill(customer.owner)
    press(page, "Save")
    told(page, "The break-glass owners are saved.")
    told(page, "when you have passed the test as yourself")
    expect(owners).to_have_value(customer.owner)


@both_ways
def test_a_trial_is_kept(site: Site, scripts: bool) -> None:
    """Who came with a password is sent to Microsoft for it; who came from there presses Keep."""
    customer = site.customer(Customer.require_on_trial)
    page = site.window(customer, scripts=scripts, method=MICROSOFT)
    told(page, "On trial for 2")
    press(page, "Keep")
    told(page, "Microsoft stays required.")
    assert page.get_by_text("On trial for").count() == 0
    told(page, "and in no other way")


@both_ways
def test_two_admins_at_once(site: Site, scripts: bool) -> None:
    """The second Save is told who changed what meanwhile, and nothing of the first is undone; the
    third, with open eyes, counts."""
    customer = site.customer()
    other = look(site, lambda: customer.add("anna", "admin"))
    page = site.window(customer, scripts=scripts)
    theirs = site.window(customer, other, scripts=scripts)
    choose_microsoft(theirs)
    press(theirs, "Save")
    told(theirs, "Single sign-on is saved.")
    choose_microsoft(page)
    page.get_by_label("Show a Microsoft button").check()
    press(page, "Save")
    told(page, "Somebody else changed these settings after you opened the page.")
    told(page, f"{other}, ")
    told(page, "How people sign in: Redirect to Microsoft")
    expect(page.get_by_label("Redirect to Microsoft")).to_be_checked()
    expect(page.locator("[name=sso_provider]:focus")).to_have_value("microsoft")
    page.get_by_label("Show a Microsoft button").check()
    press(page, "Save")
    told(page, "Single sign-on is saved.")
    theirs.reload()
    expect(theirs.get_by_label("Show a Microsoft button")).to_be_checked()


@both_ways
def test_everybody_is_signed_out(site: Site, scripts: bool) -> None:
    """But for the admin who pressed it, here."""
    customer = site.customer()
    editor = look(site, lambda: customer.add("edith", "editor"))
    other = site.window(customer, editor, path="/magazines", scripts=scripts)
    page = site.window(customer, scripts=scripts)
    unfold(page, "Sessions")
    press(page, "Sign out everywhere")
    told(page, "Everybody is signed out, except you here.")
    other.reload()
    assert "/login" in other.url
    page.reload()
    assert page.url == site.url + PAGE


# -- what is kept, and what is not -------------------------------------------------------


@both_ways
def test_attributes_and_what_is_ignored(site: Site, scripts: bool) -> None:
    """Folded away: what can match people, the roles for the manifest, and what Microsoft Entra
    sends in vain, with how often."""

    def has_ignored(customer: Customer) -> None:
        entra = customer.entra()
        entra.user("ada", password="of no use here")
        entra.user("bob", password="nor this")

    page = site.window(site.customer(has_ignored), scripts=scripts)
    expect(page.get_by_role("table").get_by_text("userName")).to_be_hidden()
    unfold(page, "Attributes")
    expect(page.get_by_text("Match people by")).to_contain_text("userName")
    row = page.get_by_role("row", name="userName")
    assert row.get_by_role("cell").all_inner_texts() == ["String", "Yes", "Yes", "Yes"]
    unfold(page, "The roles for the Manifest")
    expect(page.get_by_role("region", name="The roles for the Manifest")).to_contain_text("value")
    unfold(page, "Sent by Microsoft Entra and not kept (1)")
    row = page.get_by_role("row", name="password")
    assert row.get_by_role("cell").all_inner_texts()[:2] == ["Users", "2"]


# -- pause, disconnect, and the brake ----------------------------------------------------


@both_ways
def test_pause_and_resume(site: Site, scripts: bool) -> None:
    """Microsoft Entra is told to come back later, the header says who did it, and Resume lets it
    in again."""
    customer = site.customer()
    token = look(site, customer.token)
    page = site.window(customer, scripts=scripts)
    unfold(page, "Danger zone")
    press(page, "Pause")
    told(page, "Provisioning is paused.")
    expect(header(page)).to_contain_text(f"{customer.owner} paused provisioning just now.")
    assert ask(site, token) == 503
    page.goto(site.url + PAGE)
    press(page, "Resume")  # it stands open
    told(page, "Provisioning goes on.")
    assert ask(site, token) == 200


def provisioned(customer: Customer) -> None:
    customer.people(customer.entra(), 2)


def open_disconnect(page: Page) -> None:
    unfold(page, "Danger zone")
    page.get_by_role("link", name="Disconnect…").click()
    page.get_by_role("heading", name="Disconnect Microsoft Entra?").wait_for()


@both_ways
def test_disconnect_and_people_stay(site: Site, scripts: bool) -> None:
    """Nothing happens before it is confirmed; then no token works, and everybody is still there."""
    customer = site.customer(provisioned)
    page = site.window(customer, scripts=scripts)
    open_disconnect(page)
    page.get_by_role("link", name="Keep it connected").click()
    assert states(site, customer) == ["active"]
    open_disconnect(page)
    expect(page.get_by_label("They stay")).to_be_checked()
    press(page, "Disconnect")
    told(page, "Microsoft Entra is disconnected.")
    expect(header(page)).to_contain_text("Not set up")
    assert states(site, customer) == ["revoked"]
    page.goto(f"{site.url}/people")
    assert page.get_by_text("Deactivated", exact=True).count() == 0


@both_ways
def test_disconnect_and_people_are_deactivated(site: Site, scripts: bool) -> None:
    """But for the one who does it; the page names who stayed, and why."""

    def prepare(customer: Customer) -> None:
        entra = customer.entra()
        customer.people(entra, 2)
        customer.bring_owner(entra)

    customer = site.customer(prepare)
    page = site.window(customer, scripts=scripts)
    open_disconnect(page)
    page.get_by_label("They are deactivated").check()
    press(page, "Disconnect")
    told(page, "People who were deactivated: 2.")
    page.get_by_role("heading", name="Still active: 1").wait_for()
    expect(page.get_by_text("This is you.")).to_be_visible()
    page.get_by_role("link", name="Back to Provisioning & SSO").click()
    expect(header(page)).to_contain_text("Not set up")


def braked(customer: Customer) -> None:
    entra = customer.entra()
    answers = [
        entra.delete(f"/Users/{person['id']}").status_code for person in customer.people(entra, 4)
    ]
    assert answers == [204, 204, 403, 403]


@both_ways
def test_the_brake_is_released(site: Site, scripts: bool) -> None:
    """The first thing on the page says who was held back; one click, and everything passes."""
    customer = site.customer(braked)
    page = site.window(customer, scripts=scripts, **LONG_AGO)
    told(page, "2 people were held back so far.")
    press(page, "Release the brake")
    sign_in_again(page, customer)
    press(page, "Release the brake")
    told(page, "The brake is released.")
    told(page, "Until ")
    expect(header(page)).not_to_contain_text("Brake engaged")


# -- who may not -------------------------------------------------------------------------


@both_ways
def test_without_a_licence_everything_can_be_read_and_nothing_pressed(
    site: Site, scripts: bool
) -> None:
    """The page says whom to ask; no button, field or way out of it does anything."""

    def unlicensed(customer: Customer) -> None:
        provisioned(customer)
        customer.draft()
        customer.single_sign_on(Mode.REDIRECT)
        customer.pause()
        customer.end_licence()

    page = site.window(site.customer(unlicensed), scripts=scripts)
    told(page, "Ask support@h5mag.com")
    unfold_all(page)
    for heading in ("Setup guide", "Tokens", "Attributes", "Activity", "Danger zone"):
        expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    working = page.locator(".h5s :is(button, select, textarea, input):enabled:visible").all()
    assert [one for one in working if not is_for_copying(one)] == []
    page.get_by_role("link", name="All activity").click()
    page.get_by_role("heading", name="Activity", exact=True).wait_for()


def is_for_copying(control: Locator) -> bool:
    """Whether it shows a value, or copies one."""
    is_shown = control.get_attribute("readonly") is not None
    return is_shown or control.get_attribute("data-h5s-copy") is not None


@both_ways
def test_an_editor_is_refused(site: Site, scripts: bool) -> None:
    """403, and who to ask; in the host's own words of an error."""
    customer = site.customer()
    editor = look(site, lambda: customer.add("edith", "editor"))
    for path in ("", "/activity", "/disconnect"):
        page = site.window(customer, editor, path=PAGE + path, scripts=scripts)
        page.get_by_text("Provisioning & SSO is for the owners and admins").wait_for()
        assert page.locator(".h5s").count() == 0


# -- with the keyboard, and for a screen reader ------------------------------------------

#: What has the focus: where it is, how it shows that, and what covers it.
FOCUS = """() => {
  const it = document.activeElement, style = getComputedStyle(it), box = it.getBoundingClientRect();
  const bar = document.querySelector(".h5s-savebar")?.getBoundingClientRect();
  const isInBar = !!it.closest(".h5s-savebar");
  return {
    what: it.outerHTML.slice(0, 120),
    tag: it.tagName,
    isOurs: !!it.closest(".h5s"),
    outline: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth),
    isSeen: box.width > 1 && box.height > 1 && box.top < innerHeight && box.bottom > 0,
    isCovered: !!bar && !isInBar && box.top >= bar.top && box.bottom <= bar.bottom,
  };
}"""


def tab_to(page: Page, wanted: Locator, *, at_most: int = 40) -> None:
    """Press Tab until this has the focus."""
    for _ in range(at_most):
        page.keyboard.press("Tab")
        if wanted.evaluate("it => it === document.activeElement"):
            return
    pytest.fail(f"Tab does not lead to {wanted}")


@both_ways
def test_a_token_with_the_keyboard_alone(site: Site, scripts: bool) -> None:
    """From the top of the page to a saved token, with Tab, Enter, Space and the arrows."""
    customer = site.customer()
    page = site.window(customer, scripts=scripts)
    tab_to(page, page.get_by_role("button", name="Generate Token"))
    page.keyboard.press("Enter")
    token = page.get_by_label("API Token", exact=True)
    expect(token).to_be_focused()
    text = token.input_value()
    if scripts:
        tab_to(page, page.get_by_role("button", name="Copy API Token"), at_most=2)
        page.keyboard.press("Space")
        expect(page.get_by_role("status").get_by_text("API Token copied")).to_be_attached()
    tab_to(page, page.get_by_label("Token name"), at_most=3)
    page.keyboard.press("Control+a")
    page.keyboard.type("By hand")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    tab_to(page, page.get_by_role("button", name="Save", exact=True))
    page.keyboard.press("Space")
    told(page, "The token is saved and active.")
    expect(page.get_by_role("row", name="By hand")).to_contain_text("in 90 days")
    assert ask(site, text) == 200


def busy(customer: Customer) -> None:
    """As much on the page as there can be at once."""
    provisioned(customer)
    customer.token("Second")
    customer.single_sign_on(Mode.REDIRECT)
    customer.draft()


def ask_revoke(page: Page) -> None:
    page.get_by_role("link", name="Revoke").first.click()
    page.get_by_role("heading", name="Revoke the token").wait_for()


#: Ways to a page, for what every page has to have.
WAYS: dict[str, Callable[[Page], None]] = {
    "page": lambda page: None,
    "activity": lambda page: page.goto(page.url + "/activity") and None,
    "revoke": ask_revoke,
    "disconnect": open_disconnect,
}


@pytest.mark.parametrize("way", WAYS)
def test_the_focus_is_seen_wherever_it_goes(site: Site, way: str) -> None:
    """Tab from the first to the last thing on a page, all of it unfolded: each shows that it has
    the focus, and nothing covers it."""
    page = site.window(site.customer(busy))
    WAYS[way](page)
    unfold_all(page)
    page.evaluate("scrollTo(0, 0)")
    seen = []
    for _ in range(250):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUS)
        if at["tag"] == "BODY":
            break
        if at["isOurs"]:
            seen.append(at)
    else:
        pytest.fail("Tab does not come to an end")
    assert len(seen) > 3
    assert [at["what"] for at in seen if at["outline"] < 2] == [], "shows nothing"
    assert [at["what"] for at in seen if not at["isSeen"]] == [], "is beside the screen"
    assert [at["what"] for at in seen if at["isCovered"]] == [], "is covered"


@pytest.mark.parametrize("way", WAYS)
def test_what_a_screen_reader_is_told(site: Site, way: str) -> None:
    """One first heading and no level left out, every control with a name, every id once, every
    description there."""
    page = site.window(site.customer(busy))
    WAYS[way](page)
    unfold_all(page)
    headings = page.locator(":is(h1, h2, h3, h4):visible").all()
    levels = [int(heading.evaluate("it => it.tagName[1]")) for heading in headings]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    wrong = page.evaluate("""() => {
      const ids = [...document.querySelectorAll("[id]")].map(it => it.id);
      const twice = ids.filter((id, at) => ids.indexOf(id) !== at);
      const lost = [...document.querySelectorAll("[aria-describedby], [aria-labelledby], [for]")]
        .flatMap(it => ["aria-describedby", "aria-labelledby", "for"]
          .flatMap(name => (it.getAttribute(name) || "").split(" ")))
        .filter(id => id && !document.getElementById(id));
      return { twice, lost };
    }""")
    assert wrong == {"twice": [], "lost": []}
    controls = page.locator(".h5s :is(a, button, select, textarea, input, summary):visible")
    nameless = re.compile(r"^- (link|button|combobox|textbox|radio|checkbox)( \[[^]]*\])*:?$")
    for control in controls.all():
        said = control.aria_snapshot().splitlines()
        assert not said or not nameless.match(said[0]), control
