"""The wall around single sign-on: what no other file of tests proves of it, and that
``docs/security.md`` names a test for every attack and fault of the catalogue."""

from __future__ import annotations

import ast
import json
import logging
import re
import threading
import time
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient
from joserfc import jwt
from joserfc.jwk import RSAKey
from werkzeug.test import TestResponse
from werkzeug.wrappers import Response

from example_app import create_app
from flask_h5mag_scim.records import providers
from flask_h5mag_scim.records.models import ProviderState
from flask_h5mag_scim.web import directory, limits, people

from ..conftest import both_databases
from ..documents import ROOT
from ..issuer import KEYS, Issuer
from . import test_sso
from .test_sso import (
    OTHER_TENANT,
    PUBLIC_URL,
    World,
    assert_final,
    assert_private,
    assert_refused,
    other_key,
    pending,
    who,
)

issuer, app, world = test_sso.issuer, test_sso.app, test_sso.world

SECURITY = (ROOT / "docs" / "security.md").read_text()


# The catalogue


def catalogue() -> list[list[str]]:
    """The cells of the table's rows."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in SECURITY.splitlines()
        if re.match(r"\| *\d+ *\|", line)
    ]


def test_every_number_of_the_catalogue_is_in_the_table() -> None:
    """1 to 94, each once and in order, with what is tried."""
    assert [row[0] for row in catalogue()] == [str(number) for number in range(1, 95)]
    assert all(len(row) == 4 and row[1] for row in catalogue())


@cache
def names_in(path: str) -> set[str]:
    """The names of the tests in a file."""
    tree = ast.parse((ROOT / "tests" / f"{path}.py").read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("row", catalogue(), ids=lambda row: row[0])
def test_every_number_has_a_test_that_exists(row: list[str]) -> None:
    """A number without a test, and a test that was renamed or deleted, is found here."""
    named = re.findall(r"`([\w/]+)::(test_\w+)`", row[3])
    assert named
    for path, name in named:
        assert name in names_in(path)


def test_what_lies_beside_single_sign_on_has_tests_that_exist() -> None:
    """The second table names no test that was renamed or deleted either."""
    beside = SECURITY.partition("## Beside single sign-on")[2]
    named = re.findall(r"`([\w/]+)::(test_\w+)`", beside)
    assert len(named) > 10
    assert [name for path, name in named if name not in names_in(path)] == []


# 26, 32, 34: keys


def embedded_key(**header: Any) -> Callable[[dict[str, Any], dict[str, Any]], str]:
    """Forges with a key that the token brings along."""
    # Small, because a header beyond 512 bytes is refused for its length.
    key = RSAKey.generate_key(1024, private=True, auto_kid=False)
    brought = {name: key.as_dict(private=False)[name] for name in ("kty", "n", "e")}

    def forge(given: dict[str, Any], claims: dict[str, Any]) -> str:
        members = {**given, "jwk": brought, **header}
        members = {name: value for name, value in members.items() if value is not test_sso.ABSENT}
        return jwt.encode(members, claims, key)

    return forge


@pytest.mark.filterwarnings("ignore:Key size should be")
@pytest.mark.parametrize(
    ("header", "reason"),
    [({}, "signature"), ({"kid": "stranger"}, "key"), ({"kid": test_sso.ABSENT}, "signature")],
    ids=["known kid", "unknown kid", "no kid"],
)
def test_a_token_that_brings_its_own_key(
    world: World, issuer: Issuer, header: dict[str, Any], reason: str
) -> None:
    """A ``jwk`` in the header is not a key of the directory, whatever it is called."""
    issuer.forge = embedded_key(**header)
    client = world.browser()
    assert_refused(world, client, world.sign_in(client), reason)


def test_addresses_in_a_header_are_not_fetched(
    world: World, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``jku`` and ``x5u`` lead nowhere: nothing but the directory's own addresses is asked."""
    asked: list[str] = []
    get_object = directory._get_object

    def ask(url: str) -> dict[str, object]:
        asked.append(urlsplit(url).path.rpartition("/")[2])
        return get_object(url)

    monkeypatch.setattr(directory, "_get_object", ask)
    elsewhere = f"{issuer.base}/elsewhere"
    issuer.forge = other_key(jku=elsewhere, x5u=elsewhere)
    client = world.browser()
    assert_refused(world, client, world.sign_in(client), "signature")
    assert asked == ["openid-configuration", "keys"]
    assert issuer.count("/elsewhere") == 0


def test_the_keys_are_down_and_the_key_is_unknown(world: World, issuer: Issuer) -> None:
    """Who cannot be verified stays out, and the old key goes on working."""
    world.sign_in(world.browser())
    issuer.answers["keys"] = lambda: Response("down", status=503)
    issuer.signing_key = KEYS[1]
    client = world.browser()
    assert_refused(world, client, world.sign_in(client), "key")
    issuer.signing_key = KEYS[0]
    assert world.sign_in(world.browser()).status_code == 303


def test_a_key_of_another_directory_signs_nothing_here(world: World, issuer: Issuer) -> None:
    """A key that names its issuer, among those of this directory, is not used for it."""
    foreign = {**KEYS[1].as_dict(private=False), "issuer": issuer.issuer(OTHER_TENANT)}
    listed = {"keys": [KEYS[0].as_dict(private=False), foreign]}
    issuer.answers["keys"] = lambda: Response(json.dumps(listed), mimetype="application/json")
    issuer.signing_key = KEYS[1]
    client = world.browser()
    assert_refused(world, client, world.sign_in(client), "key")


# 36, 39: what an admin and a person are told


@pytest.mark.parametrize(
    "metadata",
    [{"issuer": "https://evil.example"}, {"jwks_uri": "http://169.254.169.254/keys"}],
    ids=str,
)
def test_untrusted_metadata_is_never_put_in_force(
    world: World, issuer: Issuer, metadata: dict[str, str]
) -> None:
    """A directory that describes itself falsely stays pending, and the old one serves."""
    world.configure(tenant=OTHER_TENANT, save=providers.save)
    issuer.metadata = metadata
    client = world.browser(signed_in_as=world.owner)
    response = world.begin_test(client)
    assert response.location == "/sso/test"
    assert "does not trust" in world.arrive(client, response.location).text
    assert world.rows()[ProviderState.IN_FORCE].tenant_id == test_sso.TENANT
    assert issuer.count("authorize") == 0


def test_a_code_that_microsoft_no_longer_takes(world: World, issuer: Issuer) -> None:
    """Who waited too long is asked to start again, and can."""
    client = world.browser()
    path = world.approve(world.start(client))
    issuer._codes.clear()
    text = assert_refused(world, client, world.arrive(client, path), "code")
    assert "Please start again" in text
    assert f"/sso/{world.public_id}/login?again=1" in text
    assert world.sign_in(client, again="1").status_code == 303


# 47: mix-up


def test_the_account_is_the_one_of_the_state(world: World, issuer: Issuer) -> None:
    """One browser, two accounts: a state with the other account's code opens neither."""
    globex = world.account("globex")
    acme_id = world.public_id
    globex_id = world.configure(account=globex, tenant=OTHER_TENANT)
    world.person("kim@globex.example", test_sso.OID, account=globex)
    client = world.browser()
    ours = world.start(client, public_id=acme_id)
    theirs = world.start(client, public_id=globex_id)
    state = parse_qs(urlsplit(ours).query)["state"][0]
    code = parse_qs(urlsplit(world.approve(theirs)).query)["code"][0]
    response = world.arrive(client, "/sso/callback?" + urlencode({"state": state, "code": code}))
    assert_final(response)
    assert who(client) is None
    entry = world.log()[-1]
    assert (entry.account_id, entry.detail.split(",")[0]) == (world.acme, "code")
    # The code went to the directory of the state, and to no other.
    assert issuer.asked[-1][0] == "token"
    assert pending(client) == 1


# 49: a test


def test_a_test_signs_in_nobody_else(world: World) -> None:
    """A test that finds somebody ends on its result, and the admin stays who they were."""
    client = world.browser(signed_in_as=world.owner)
    path = world.approve(world.begin_test(client).location)
    assert world.arrive(client, path).location == "/sso/test"
    assert who(client) == world.owner
    assert "sso.signed_in" not in world.events()


# 51: two tabs


def test_two_tabs_come_back_signed_in(world: World) -> None:
    """The tab that is second finds the person signed in, and goes where it was to go."""
    client = world.browser()
    paths = [
        world.approve(world.start(client, next=target)) for target in ("/magazines", "/people")
    ]
    for path, target in zip(paths, ("/magazines", "/people"), strict=True):
        response = world.arrive(client, path)
        assert (response.status_code, response.location) == (303, target)
        assert_private(response)
    assert world.events().count("sso.signed_in") == 1
    # The word is good for once.
    assert_final(world.arrive(client, paths[1]), status=400)
    assert who(client) == world.kim


def test_a_tab_that_was_cancelled_goes_on_too(world: World) -> None:
    """Whatever the second tab brings: the person is signed in, and nothing is redeemed."""
    client = world.browser()
    second = parse_qs(urlsplit(world.start(client, next="/people")).query)["state"][0]
    world.sign_in(client)
    redeemed = world.issuer.count("token")
    response = world.arrive(client, f"/sso/callback?state={second}&error=access_denied")
    assert response.location == "/people"
    assert world.issuer.count("token") == redeemed


@pytest.mark.parametrize("target", ["", "//evil.example", "/logout"])
def test_a_tab_without_a_page_of_its_own_goes_to_the_default_one(world: World, target: str) -> None:
    """``next`` is as narrow here as anywhere."""
    client = world.browser()
    path = world.approve(world.start(client))
    world.sign_in(client)
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        kept = session["_h5mag_scim_sso_tabs"]
        kept["rows"] = [[state, target, at] for state, _, at in kept["rows"]]
        session["_h5mag_scim_sso_tabs"] = kept
    assert world.arrive(client, path).location == "/"


def sign_out(client: FlaskClient) -> None:
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        del session["_user_id"]


def test_a_tab_of_somebody_else_or_of_long_ago(world: World) -> None:
    """After signing out, as somebody else, or after ten minutes the other tab is over."""

    def somebody_else(client: FlaskClient) -> None:
        with client.session_transaction(base_url=PUBLIC_URL) as session:
            session["_user_id"] = world.owner
            del session["_h5mag_scim_session"]  # as after a sign-in of the host's own

    def later(client: FlaskClient) -> None:
        with client.session_transaction(base_url=PUBLIC_URL) as session:
            kept = session["_h5mag_scim_sso_tabs"]
            kept["rows"] = [[state, target, at - 601] for state, target, at in kept["rows"]]
            session["_h5mag_scim_sso_tabs"] = kept

    for change in (sign_out, somebody_else, later):
        client = world.browser()
        path = world.approve(world.start(client))
        world.sign_in(client)
        change(client)
        assert_final(world.arrive(client, path), status=400)


def test_only_tabs_of_the_same_account_and_purpose_are_remembered(world: World) -> None:
    """A sign-in to another account, and a test, end with the session that began them."""
    globex = world.account("globex")
    acme_id = world.public_id
    globex_id = world.configure(account=globex)
    client = world.browser(signed_in_as=world.owner)
    test = world.begin_test(client).location
    other = world.start(client, public_id=globex_id)
    world.arrive(client, world.approve(world.start(client, public_id=acme_id)))
    assert who(client) == world.kim
    for location in (test, other):
        assert_final(world.arrive(client, world.approve(location)), status=400)


def test_what_is_remembered_of_a_tab_redeems_nothing(world: World) -> None:
    """Of the other attempt neither nonce nor verifier outlives the old session."""
    client = world.browser()
    world.start(client)
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        row = session["_h5mag_scim_sso"][0]
    world.sign_in(client)
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        text = json.dumps(dict(session))
    assert row[0] in text
    assert row[1] not in text
    assert row[2] not in text


def test_a_tab_whose_sign_in_was_forgotten(world: World) -> None:
    """Two tabs that leave at the same moment overwrite each other's cookie; late is late. The
    page leads to where that sign-in began, and nowhere else."""
    client = world.browser()
    path = world.approve(world.start(client))
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        del session["_h5mag_scim_sso"]
    page = assert_final(world.arrive(client, path), status=400)
    assert f'href="/sso/{world.public_id}/login?again=1"' in page
    assert who(client) is None
    for state in ("unknown.x", "..x", "//evil.example.x", "%00.x", world.public_id[:-1]):
        page = assert_final(world.arrive(client, f"/sso/callback?state={state}"), status=400)
        assert "again=1" not in page
        assert "evil" not in page
    assert world.issuer.count("token") == 0


# 84: circles


def begin(world: World, client: FlaskClient, **query: str) -> TestResponse:
    return client.get(f"/sso/{world.public_id}/login", query_string=query, base_url=PUBLIC_URL)


def assert_button(world: World, response: TestResponse, target: str = "") -> None:
    text = assert_final(response, status=200)
    following = f"&amp;next={target}" if target else ""
    assert f'href="/sso/{world.public_id}/login?again=1{following}"' in text
    assert "Sign in with Microsoft</a>" in text


def test_the_fourth_departure_in_two_minutes_waits_for_a_click(world: World) -> None:
    """Three redirects to Microsoft, then a page with a button that works."""
    client = world.browser()
    for _ in range(3):
        assert begin(world, client).status_code == 303
    assert_button(world, begin(world, client, next="/people"), "/people")
    assert_button(world, begin(world, client))
    assert pending(client) == 3
    assert world.events() == []
    # Another browser is not concerned, and a click begins the count anew.
    assert begin(world, world.browser()).status_code == 303
    assert world.sign_in(client, again="1", next="/people").location == "/people"
    for _ in range(3):
        assert begin(world, client).status_code == 303
    assert_button(world, begin(world, client))


def test_three_failures_in_a_row(world: World) -> None:
    """Who is refused three times is asked before the next try."""
    world.change(world.kim, active=False)
    client = world.browser()
    for _ in range(3):
        assert_final(world.sign_in(client))
    assert_button(world, begin(world, client))


def test_an_application_that_does_not_keep_its_sessions(world: World) -> None:
    """Sign-ins that succeed and lead straight back to the login go in circles as well."""
    client = world.browser()
    for _ in range(3):
        assert world.sign_in(client).status_code == 303
        sign_out(client)
    assert_button(world, begin(world, client))


def test_departures_are_forgotten_after_two_minutes(world: World) -> None:
    """People who come back later are not taken for a circle."""
    client = world.browser()
    for _ in range(3):
        begin(world, client)
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        times = session["_h5mag_scim_sso_departures"]
        session["_h5mag_scim_sso_departures"] = [at - 120 for at in times]
    assert begin(world, client).status_code == 303


def test_a_departure_that_does_not_take_place_is_not_counted(world: World, issuer: Issuer) -> None:
    """While the directory is down, nobody is sent in circles."""
    issuer.answers["discovery"] = lambda: Response("down", status=503)
    client = world.browser()
    for _ in range(5):
        assert_final(begin(world, client), status=503)


def test_circles_are_in_the_applications_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The operator is told, with the reference of the page."""
    client = world.browser()
    with caplog.at_level(logging.WARNING):
        text = [begin(world, client) for _ in range(4)][-1].text
    logged = re.search(r"circles, reference ([0-9A-F]{8})", caplog.text)
    assert logged is not None
    assert logged.group(1) in text


# 91: fifty at once


@both_databases
def test_fifty_callbacks_at_once_with_nothing_known(
    world: World, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that has just started asks once for the metadata and once for the keys."""
    # Fifty on a busy machine may take longer than one should.
    monkeypatch.setattr(directory, "DEADLINE", 60.0)
    monkeypatch.setattr(directory, "TIMEOUT", (30.0, 30.0))
    clients = [world.browser() for _ in range(50)]
    paths = [world.approve(world.start(client)) for client in clients]
    world.app.extensions["h5mag_scim"].kept["oidc"] = directory.Store()
    issuer.asked.clear()
    answers: list[int] = []
    together = threading.Barrier(50)

    def arrive(client: FlaskClient, path: str) -> None:
        together.wait(30)
        answers.append(world.arrive(client, path).status_code)

    threads = [
        threading.Thread(target=arrive, args=each) for each in zip(clients, paths, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [entry.detail for entry in world.log() if entry.event == "sso.refused"] == []
    assert answers == [303] * 50
    assert (issuer.count("discovery"), issuer.count("keys"), issuer.count("token")) == (1, 1, 50)


@pytest.mark.parametrize("found_by", ["externalId", "userName"])
def test_the_link_is_stored_while_another_tab_looks_for_it(
    world: World, issuer: Issuer, monkeypatch: pytest.MonkeyPatch, found_by: str
) -> None:
    """Of two first sign-ins of one person at the same moment neither is refused."""
    if found_by == "userName":
        world.configure(links_by_user_name=True)
        world.change(world.kim, external_id="kim")
        issuer.claims["upn"] = "kim@acme.example"
    world.sign_in(world.browser())
    linked = people._linked
    too_early = iter([None])
    monkeypatch.setattr(people, "_linked", lambda *key: next(too_early, linked(*key)))
    client = world.browser()
    assert world.sign_in(client).status_code == 303
    assert who(client) == world.kim
    assert world.events().count("sso.linked") == 1


# 92: a limit for each address


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> int:
        return int(self.seconds * 10**9)


def test_a_rate_limit() -> None:
    """So many at once, then as many a minute, and the time to wait is the one that it takes."""
    clock = Clock()
    limit = limits.RateLimit(30, clock=clock)
    assert [limit.wait("a") for _ in range(31)] == [0] * 30 + [2]
    assert limit.wait("b") == 0
    clock.seconds += 1.9
    assert limit.wait("a") == 1
    clock.seconds += 0.1
    assert [limit.wait("a") for _ in range(2)] == [0, 2]
    # Who is refused does not wait longer for having tried.
    clock.seconds += 60
    assert [limit.wait("a") for _ in range(31)] == [0] * 30 + [2]
    clock.seconds += 3600
    assert [limit.wait("a") for _ in range(31)] == [0] * 30 + [2]


def test_a_rate_limit_of_any_size_is_exact() -> None:
    """Numbers that do not divide a minute lose nothing to rounding."""
    for per_minute in (1, 7, 300, 1001):
        limit = limits.RateLimit(per_minute, clock=Clock())
        assert [limit.wait("a") for _ in range(per_minute)] == [0] * per_minute
        assert limit.wait("a") > 0


def test_a_rate_limit_remembers_so_many_addresses() -> None:
    """Its memory is bounded; who came most recently is remembered."""
    limit = limits.RateLimit(1, size=2, clock=Clock())
    for key in ("a", "b", "c", "d", "c"):
        limit.wait(key)
    assert len(limit) == 2
    assert limit.wait("d") > 0
    assert limit.wait("a") == 0


@pytest.mark.parametrize(
    ("address", "subscriber"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", None),
        (None, None),
        ("unix:", None),
    ],
)
def test_whom_an_address_belongs_to(address: str | None, subscriber: str | None) -> None:
    """Of IPv6 the network counts, which its owner has to the full."""
    assert limits.subscriber(address) == subscriber


@pytest.fixture
def clock(world: World) -> Clock:
    """Stands still; twenty sign-ins a minute."""
    clock = Clock()
    rate = limits.RateLimit(20, clock=clock)
    world.app.extensions["h5mag_scim"].kept["sso_rate"] = rate
    return clock


def from_address(world: World, address: str | None, path: str, **headers: str) -> TestResponse:
    return world.browser().get(
        path,
        base_url=PUBLIC_URL,
        headers=headers,
        environ_overrides={"REMOTE_ADDR": address},
    )


def test_a_thousand_sign_ins_a_minute_from_one_address(
    world: World, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """What is too much is refused with the time to wait; nobody else notices."""
    path = f"/sso/{world.public_id}/login"
    with caplog.at_level(logging.WARNING):
        answers = [from_address(world, "203.0.113.7", path) for _ in range(100)]
    assert [each.status_code for each in answers] == [303] * 20 + [429] * 80
    refused = answers[-1]
    text = assert_final(refused, status=429)
    assert refused.headers["Retry-After"] == "3"
    assert "Too many sign-ins" in text
    assert "203.0.113.7" not in text
    assert "203.0.113.7" in caplog.text
    assert world.events() == []
    for _ in range(5):
        assert from_address(world, "203.0.113.8", path).status_code == 303
    clock.seconds += 3
    assert from_address(world, "203.0.113.7", path).status_code == 303
    assert from_address(world, "203.0.113.7", path).status_code == 429


def test_nobody_chooses_an_address_by_a_header(world: World, clock: Clock) -> None:
    """The address is the connection's, or what the host's own middleware makes of it."""
    path = f"/sso/{world.public_id}/login"
    forwarded = {"X-Forwarded-For": "203.0.113.8", "Forwarded": "for=203.0.113.8"}
    for _ in range(20):
        from_address(world, "203.0.113.7", path)
    assert from_address(world, "203.0.113.7", path, **forwarded).status_code == 429
    assert from_address(world, "203.0.113.8", path).status_code == 303


def test_one_network_of_ipv6_is_one_address(world: World, clock: Clock) -> None:
    """Who changes addresses within a network gains nothing."""
    path = f"/sso/{world.public_id}/login"
    answers = [from_address(world, f"2001:db8::{n:x}", path).status_code for n in range(21)]
    assert answers == [303] * 20 + [429]


def test_without_an_address_nobody_is_shut_out(world: World, clock: Clock) -> None:
    """Behind a Unix socket all would be one: there the server in front must count."""
    path = f"/sso/{world.public_id}/login"
    assert {from_address(world, "", path).status_code for _ in range(30)} == {303}


def test_a_callback_that_waits_is_not_used_up(world: World, clock: Clock) -> None:
    """A flood of answers is stopped as well, and a reload after the wait signs in."""
    client = world.browser()
    path = world.approve(world.start(client))
    for _ in range(20):
        assert_final(world.arrive(world.browser(), "/sso/callback?state=x"), status=400)
    refused = world.arrive(client, path)
    assert_final(refused, status=429)
    assert pending(client) == 1
    # Beginning and ending are counted apart: whoever may begin may end.
    assert begin(world, world.browser()).status_code == 303
    clock.seconds += int(refused.headers["Retry-After"])
    assert world.arrive(client, path).status_code == 303
    assert who(client) == world.kim


def test_the_admins_test_is_not_counted_as_a_sign_in(world: World, clock: Clock) -> None:
    """A crowd at the door does not keep the admin from looking after it."""
    for _ in range(21):
        begin(world, world.browser())
    client = world.browser(signed_in_as=world.owner)
    assert world.begin_test(client).location.startswith(world.issuer.base)


def test_the_limit_is_configured(database_url: str) -> None:
    """The setting is what counts, and the default is large enough for an office."""
    for setting, expected in (({"H5MAG_SCIM_SSO_RATE_LIMIT": 2}, 2), ({}, 300)):
        app: Flask = create_app(
            {"TESTING": True, "SQLALCHEMY_DATABASE_URI": database_url, **setting}
        )
        limit = app.extensions["h5mag_scim"].kept["sso_rate"]
        began = time.monotonic()
        taken = 0
        while limit.wait("a") == 0:
            taken += 1
        # While it was counted, a little came back.
        assert expected <= taken <= expected * (1 + (time.monotonic() - began) / 60) + 1


# 93, 94: what an answer gives away


def test_the_way_back_leaves_no_trace(world: World) -> None:
    """Every end of a sign-in is private, and a success leads away from the code."""
    world.app.after_request_funcs[None].clear()  # the host's own headers
    client = world.browser()
    path = world.approve(world.start(client))
    code = parse_qs(urlsplit(path).query)["code"][0]
    success = world.arrive(client, path)
    assert success.status_code == 303
    assert_private(success)
    assert code not in success.location
    assert code not in success.text
    world.change(world.kim, active=False)
    path = world.approve(world.start(client))
    code = parse_qs(urlsplit(path).query)["code"][0]
    refused = world.arrive(client, path)
    assert code not in assert_final(refused)
    assert_private(world.arrive(client, "/sso/unknown/login"))
    assert_private(world.arrive(client, "/sso/callback"))
