"""Signing in with Microsoft, through HTTP, against a stand-in that verifies what it is sent."""

from __future__ import annotations

import base64
import hmac
import json
import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import pytest
import requests
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from joserfc import jws, jwt
from werkzeug.test import TestResponse
from werkzeug.wrappers import Response

from example_app import create_app
from example_app.models import Account, User, db
from example_app.provisioning import scim
from flask_h5mag_scim import sso_refused, sso_signed_in
from flask_h5mag_scim.reasons import SignInReason
from flask_h5mag_scim.records import links, providers
from flask_h5mag_scim.records.models import Mode, ProviderState
from flask_h5mag_scim.texts import TEXTS
from flask_h5mag_scim.web import directory, explanations, oidc, refusals, sso

from ..conftest import both_databases
from ..issuer import ABSENT, CLIENT_ID, CLIENT_SECRET, KEYS, Issuer, encode, new_key, running

TENANT = "8f14e45f-ceea-467f-a1d2-3b5c6d7e8f90"
OTHER_TENANT = "11111111-2222-3333-4444-555555555555"
OID = "0f0f0f0f-aaaa-4bbb-8ccc-d0d0d0d0d0d0"
OWNER_OID = "aaaaaaaa-0000-4000-8000-000000000001"
PUBLIC_URL = "https://h5mag.example"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running() as found:
        found.claims = {"oid": OID}
        yield found


@pytest.fixture
def app(issuer: Issuer, database_url: str) -> Iterator[Flask]:
    app = create_app(
        {
            "TESTING": True,
            "SECRET_KEY": "test",
            "SQLALCHEMY_DATABASE_URI": database_url,
            "H5MAG_SCIM_PUBLIC_URL": PUBLIC_URL,
            "SESSION_COOKIE_SECURE": False,
            "H5MAG_SCIM_OIDC_CLIENT_ID": CLIENT_ID,
            "H5MAG_SCIM_OIDC_CLIENT_SECRET": CLIENT_SECRET,
            "H5MAG_SCIM_OIDC_CLOUDS": {
                "test": issuer.base,
                "pathless": f"{issuer.base}/.well-known/openid-configuration",
            },
        }
    )
    with app.app_context():
        db.create_all()
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@dataclass
class World:
    """One account that redirects, its owner, and Kim, whom SCIM brought."""

    app: Flask
    issuer: Issuer

    def __post_init__(self) -> None:
        with self.app.app_context():
            acme = Account(slug="acme", name="Acme", plan="enterprise")
            db.session.add(acme)
            db.session.flush()
            owner = User(account_id=acme.id, username="owner@acme.example", role="owner")
            owner.email = owner.username
            db.session.add(owner)
            self.acme = acme.id
            db.session.commit()
            self.owner = str(owner.id)
        self.kim = self.person("kim@acme.example", OID)
        self.configure()

    def person(
        self, username: str, external_id: str, *, account: Any = None, provisioned: bool = True
    ) -> str:
        with self.app.app_context():
            user = User(account_id=account or self.acme, username=username, external_id=external_id)
            db.session.add(user)
            db.session.flush()
            if provisioned:
                links.mark(db.session, scim.records, user.account_id, user.id)
            db.session.commit()
            return str(user.id)

    def account(self, slug: str) -> Any:
        with self.app.app_context():
            found = Account(slug=slug, name=slug, plan="enterprise")
            db.session.add(found)
            db.session.commit()
            return found.id

    def configure(
        self,
        *,
        account: Any = None,
        tenant: str = TENANT,
        mode: Mode = Mode.REDIRECT,
        cloud: str = "test",
        save: Callable[..., Any] = providers.configure,
        **settings: Any,
    ) -> str:
        with self.app.app_context():
            row = save(
                db.session,
                scim.records,
                account or self.acme,
                providers.Settings(cloud, tenant, mode, **settings),
                by="test",
            )
            db.session.commit()
            self.public_id: str = row.public_id
            return self.public_id

    def rows(self) -> dict[str, Any]:
        with self.app.app_context():
            found = db.session.scalars(
                sa.select(scim.IdentityProvider).where(
                    scim.IdentityProvider.account_id == self.acme
                )
            )
            return {row.state: row for row in found}

    def change(self, user_id: str, **values: Any) -> None:
        with self.app.app_context():
            user = db.session.get_one(User, uuid.UUID(user_id))
            for name, value in values.items():
                setattr(user, name, value)
            db.session.commit()

    def log(self) -> list[Any]:
        with self.app.app_context():
            return list(db.session.scalars(sa.select(scim.LogEntry).order_by(scim.LogEntry.id)))

    def events(self) -> list[str]:
        return [entry.event for entry in self.log()]

    def browser(self, signed_in_as: str | None = None) -> FlaskClient:
        client = self.app.test_client()
        if signed_in_as is not None:
            with client.session_transaction(base_url=PUBLIC_URL) as session:
                session["_user_id"] = signed_in_as
                session["_fresh"] = True
        return client

    # One sign-in, step by step

    def start(self, client: FlaskClient, public_id: str | None = None, **query: str) -> str:
        """The address at the issuer to which the browser is sent."""
        response = client.get(
            f"/sso/{public_id or self.public_id}/login", query_string=query, base_url=PUBLIC_URL
        )
        assert response.status_code == 303, response.text
        return str(response.location)

    def approve(self, location: str) -> str:
        """The path to which the issuer sends the browser back."""
        answer = requests.get(location, allow_redirects=False, timeout=5)
        assert answer.status_code == 302, answer.text
        back = answer.headers["Location"]
        assert back.startswith(f"{PUBLIC_URL}/sso/callback?")
        return back.removeprefix(PUBLIC_URL)

    def arrive(self, client: FlaskClient, path: str, **options: Any) -> TestResponse:
        return client.get(path, base_url=PUBLIC_URL, **options)

    def sign_in(self, client: FlaskClient, **query: str) -> TestResponse:
        return self.arrive(client, self.approve(self.start(client, **query)))

    def begin_test(self, client: FlaskClient) -> TestResponse:
        with client.session_transaction(base_url=PUBLIC_URL) as session:
            session["_h5mag_scim_csrf"] = "csrf"
            session["csrf_token"] = "csrf"
        return client.post(
            "/sso/test",
            data={"scim_csrf": "csrf", "csrf_token": "csrf"},
            base_url=PUBLIC_URL,
        )

    def test(self, client: FlaskClient) -> TestResponse:
        """The result page of a whole test sign-in."""
        started = self.begin_test(client)
        assert started.status_code == 303
        ended = self.arrive(client, self.approve(started.location))
        assert ended.status_code == 303, ended.text
        assert ended.location == "/sso/test"
        return self.arrive(client, ended.location)


@pytest.fixture
def world(app: Flask, issuer: Issuer) -> World:
    return World(app, issuer)


def who(client: FlaskClient) -> str | None:
    """Whose session the browser has."""
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        return session.get("_user_id")


def pending(client: FlaskClient) -> int:
    """How many sign-ins are under way in the browser."""
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        return len(session.get("_h5mag_scim_sso", ()))


def assert_final(response: TestResponse, *, status: int = 403) -> str:
    """A page of ours that leads nowhere by itself, and tells no one else's words."""
    assert response.status_code == status, response.text
    text = response.get_data(as_text=True)
    assert "Location" not in response.headers
    assert "Refresh" not in response.headers
    assert "http-equiv" not in text
    assert_private(response)
    for secret in (CLIENT_SECRET, "Trace ID", "Invalid client secret"):
        assert secret not in text
    return text


def assert_private(response: TestResponse) -> None:
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]


def assert_refused(
    world: World, client: FlaskClient, response: TestResponse, reason: str, *, status: int = 403
) -> str:
    """Nobody is signed in, the state is used up, and the log says why."""
    text = assert_final(response, status=status)
    assert who(client) is None
    assert pending(client) == 0
    entry = world.log()[-1]
    assert (entry.event, entry.reason) == ("sso.refused", reason)
    assert entry.detail.startswith(f"{reason}, reference ")
    reference = re.search(r"reference ([0-9A-F]{8})", entry.detail)
    assert reference is not None
    assert reference.group(1) in text
    assert "@" not in entry.detail
    return text


# The way in


@both_databases
def test_a_provisioned_user_signs_in(world: World) -> None:
    """Whom SCIM brought with externalId = oid comes back from Microsoft signed in."""
    client = world.browser()
    told: list[Any] = []

    def listen(app: Flask, user: User, account: Account) -> None:
        told.append((str(user.id), account.id))

    with sso_signed_in.connected_to(listen):
        response = world.sign_in(client, next="/magazines?page=2")
    assert response.status_code == 303
    assert response.location == "/magazines?page=2"
    assert_private(response)
    assert who(client) == world.kim
    assert world.events()[-1] == "sso.signed_in"
    assert world.log()[-1].resource_id == world.kim
    assert told == [(world.kim, world.acme)]
    assert b"kim@acme.example" in client.get("/", base_url=PUBLIC_URL).data


def test_the_authorization_request(world: World) -> None:
    """Code flow with PKCE at the tenant's own endpoint, and a redirect URI from configuration."""
    location = world.start(world.browser(), login_hint="kim@acme.example")
    parts = urlsplit(location)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    assert parts.path == f"/{TENANT}/oauth2/v2.0/authorize"
    assert query["response_type"] == "code"
    assert query["response_mode"] == "query"
    assert query["code_challenge_method"] == "S256"
    assert query["redirect_uri"] == f"{PUBLIC_URL}/sso/callback"
    assert query["login_hint"] == "kim@acme.example"
    assert len(query["state"]) >= 30
    assert len(query["nonce"]) >= 20
    assert "prompt" not in query
    assert CLIENT_SECRET not in location


def test_try_again_lets_one_choose_another_account(world: World) -> None:
    """``?again=1`` asks Microsoft for its account picker, without a hint."""
    location = world.start(world.browser(), again="1", login_hint="kim@acme.example")
    query = parse_qs(urlsplit(location).query)
    assert query["prompt"] == ["select_account"]
    assert "login_hint" not in query


@pytest.mark.parametrize("hint", ["a\nb", "x" * 255, "a\x00b", ""])
def test_a_strange_login_hint_is_dropped(world: World, hint: str) -> None:
    """What cannot be an address does not travel to Microsoft."""
    location = world.start(world.browser(), login_hint=hint)
    assert "login_hint" not in parse_qs(urlsplit(location).query)


def test_the_token_request(world: World, issuer: Issuer) -> None:
    """The secret goes in the body, to the token endpoint, with nothing but what belongs there."""
    world.sign_in(world.browser())
    form = next(form for name, form in issuer.asked if name == "token")
    assert set(form) == {
        "client_id",
        "client_secret",
        "code",
        "code_verifier",
        "grant_type",
        "redirect_uri",
    }
    assert form["client_secret"] == CLIENT_SECRET


def test_a_provider_without_a_tenant_in_its_path(world: World, issuer: Issuer) -> None:
    """A stand-in with an explicit metadata address passes through the same checks."""
    world.configure(cloud="pathless")
    issuer.claims = {"oid": OID, "tid": TENANT}
    client = world.browser()
    assert world.sign_in(client).status_code == 303
    assert who(client) == world.kim
    issuer.claims = {"oid": OID, "tid": OTHER_TENANT}
    other = world.browser()
    assert_refused(world, other, world.sign_in(other), "tenant")


@pytest.mark.parametrize("claims", [{"ver": ABSENT}, {"tid": ABSENT}, {"oid": ABSENT}], ids=str)
def test_no_provider_is_spared_a_check(
    world: World, issuer: Issuer, claims: dict[str, Any]
) -> None:
    """The stand-in's tokens need every claim that Microsoft's need."""
    world.configure(cloud="pathless")
    issuer.claims = {"oid": OID, "tid": TENANT, **claims}
    client = world.browser()
    assert_final(world.sign_in(client))
    assert who(client) is None


@pytest.mark.filterwarnings("ignore:get_jwt_config")  # its own deprecated use of Authlib
def test_oidc_provider_mock_signs_in(world: World) -> None:
    """The provider of the demo, which signs with Authlib, is good enough for the same checks."""
    mock = pytest.importorskip("oidc_provider_mock")
    user = mock.User(sub="kim", claims={"tid": TENANT, "oid": OID, "ver": "2.0"})
    with mock.run_server_in_thread(user_claims=[user]) as server:
        base = f"http://localhost:{server.server_port}"
        state = world.app.extensions["h5mag_scim"]
        clouds = {**state.config.oidc_clouds, "mock": f"{base}/.well-known/openid-configuration"}
        object.__setattr__(state.config, "oidc_clouds", clouds)
        world.configure(cloud="mock")
        client = world.browser()
        answer = requests.post(
            world.start(client), data={"sub": "kim"}, allow_redirects=False, timeout=5
        )
        back = answer.headers["Location"].removeprefix(PUBLIC_URL)
        assert world.arrive(client, back).status_code == 303
    assert who(client) == world.kim


def test_two_tabs(world: World) -> None:
    """Two sign-ins that overlap in one browser both end well."""
    client = world.browser()
    one = world.approve(world.start(client, next="/magazines"))
    two = world.approve(world.start(client, next="/people"))
    assert world.arrive(client, two).location == "/people"
    assert world.arrive(client, one).location == "/magazines"
    assert who(client) == world.kim


def test_a_key_rotation(world: World, issuer: Issuer) -> None:
    """The first sign-in after Microsoft changed its keys works."""
    world.sign_in(world.browser())
    issuer.rotate()
    client = world.browser()
    assert world.sign_in(client).status_code == 303
    assert who(client) == world.kim


def test_the_keys_are_down_and_known(world: World, issuer: Issuer) -> None:
    """An outage of the key server stops nobody whose key is known."""
    world.sign_in(world.browser())
    issuer.answers["keys"] = lambda: Response("down", status=503)
    client = world.browser()
    assert world.sign_in(client).status_code == 303


# Tokens


def hs256(key: bytes) -> Callable[[dict[str, Any], dict[str, Any]], str]:
    def forge(header: dict[str, Any], claims: dict[str, Any]) -> str:
        body = encode({**header, "alg": "HS256"}, claims).rpartition(".")[0]
        digest = hmac.digest(key, body.encode(), "sha256")
        return f"{body}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"

    return forge


def unsigned(header: dict[str, Any], claims: dict[str, Any]) -> str:
    return encode({**header, "alg": "none"}, claims)


def other_key(**header: Any) -> Callable[[dict[str, Any], dict[str, Any]], str]:
    key = new_key("first")

    def forge(given: dict[str, Any], claims: dict[str, Any]) -> str:
        members = {**given, **header}
        if header.get("jwk") is True:
            members["jwk"] = {"kty": "RSA"}
        return jwt.encode(members, claims, key)

    return forge


def mangled(change: Callable[[str], Any]) -> Callable[[dict[str, Any], dict[str, Any]], Any]:
    def forge(header: dict[str, Any], claims: dict[str, Any]) -> Any:
        return change(encode(header, claims, b"x" * 256))

    return forge


FORGERIES: dict[str, tuple[str, Callable[[dict[str, Any], dict[str, Any]], Any]]] = {
    "none": ("algorithm", unsigned),
    "HS256 with the client secret": ("algorithm", hs256(CLIENT_SECRET.encode())),
    "HS256 with the public key": ("algorithm", hs256(KEYS[0].as_pem(private=False))),
    "unknown kid": ("key", other_key(kid="stranger")),
    "known kid, other key": ("signature", other_key()),
    "jku": ("signature", other_key(jku="http://localhost:1/keys")),
    "x5u": ("signature", other_key(x5u="http://localhost:1/cert")),
    "broken signature": ("signature", mangled(str)),
    "no signature": ("signature", mangled(lambda token: token.rpartition(".")[0] + ".")),
    "two parts": ("signature", mangled(lambda token: token.rpartition(".")[0])),
    "five parts": ("signature", mangled(lambda token: token + ".x.y")),
    "garbage": ("signature", mangled(lambda token: "garbage")),
    "empty": ("signature", mangled(lambda token: "")),
    "a list": ("answer", mangled(lambda token: [token])),
    "a number": ("answer", mangled(lambda token: 7)),
    "null": ("answer", mangled(lambda token: None)),
    "not ASCII": ("signature", mangled(lambda token: "é.é.é")),
    "long": ("signature", mangled(lambda token: token + "x" * 150_000)),
    "too long": ("answer", mangled(lambda token: token + "x" * 1_000_000)),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_forged_tokens(world: World, issuer: Issuer, name: str) -> None:
    """A token that Microsoft's key did not sign opens nothing and crashes nothing."""
    reason, issuer.forge = FORGERIES[name]
    client = world.browser()
    assert_refused(world, client, world.sign_in(client), reason)


CLAIMS: list[tuple[str, dict[str, Any]]] = [
    ("issuer", {"iss": "https://evil.example/v2.0"}),
    ("tenant", {"tid": OTHER_TENANT}),
    ("tenant", {"tid": ABSENT}),
    ("oid", {"oid": ABSENT}),
    ("oid", {"oid": "kim"}),
    ("version", {"ver": "1.0"}),
    ("audience", {"aud": "another"}),
    ("audience", {"aud": "another", "azp": CLIENT_ID}),
    ("audience", {"aud": []}),
    ("audience", {"aud": [CLIENT_ID, "another"], "azp": CLIENT_ID}),
    ("nonce", {"nonce": "another"}),
    ("nonce", {"nonce": ABSENT, "nonce_supported": False}),
    ("expired", {"exp": 1}),
    ("expired", {"exp": ABSENT}),
    ("expired", {"exp": "tomorrow"}),
    ("issued", {"iat": 1}),
    ("clock", {"iat": 99_999_999_999}),
    ("not_yet", {"nbf": 99_999_999_999}),
]


@pytest.mark.parametrize(("reason", "claims"), CLAIMS, ids=str)
def test_wrong_claims(world: World, issuer: Issuer, reason: str, claims: dict[str, Any]) -> None:
    """A signed token for somebody, somewhere or some time else is refused for that reason."""
    issuer.claims = {"oid": OID, **claims}
    client = world.browser()
    assert_refused(world, client, world.sign_in(client), reason)


def test_a_token_of_another_tenant(world: World, issuer: Issuer) -> None:
    """nOAuth: another directory of the same cloud, validly signed, with the same object id."""
    issuer.claims = {
        "oid": OID,
        "tid": OTHER_TENANT,
        "iss": issuer.issuer(OTHER_TENANT),
        "email": "kim@acme.example",
    }
    client = world.browser()
    assert_refused(world, client, world.sign_in(client), "tenant")


def test_a_wrong_clock_is_named(
    world: World, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    """Five minutes between two clocks are a clear line in the log, not a riddle."""
    at = int(time.time()) + 300
    issuer.claims = {"oid": OID, "iat": at, "nbf": at, "exp": at + 3600}
    client = world.browser()
    with caplog.at_level(logging.WARNING):
        assert_refused(world, client, world.sign_in(client), "clock")
    assert "clock skew" in caplog.text


def test_a_deep_payload(world: World, issuer: Issuer) -> None:
    """A payload nested deeper than the parser goes is refused."""
    issuer.claims = {"oid": OID, "x": []}
    deep = '{"x":' + "[" * 90_000 + "]" * 90_000 + "}"
    key = issuer.signing_key

    def forge(header: dict[str, Any], claims: dict[str, Any]) -> str:
        return jws.serialize_compact(header, deep.encode(), key)

    issuer.forge = forge
    client = world.browser()
    assert_final(world.sign_in(client))
    assert who(client) is None


# The token endpoint


def raises(status: int, body: str, mimetype: str = "application/json") -> Callable[[], Response]:
    return lambda: Response(body, status=status, mimetype=mimetype)


ANSWERS: dict[str, tuple[str, Callable[[], Response]]] = {
    "500": ("answer", raises(500, "oops")),
    "503 in JSON": ("answer", raises(503, '{"error": "temporarily_unavailable"}')),
    "429": ("answer", raises(429, "slow down", "text/plain")),
    "HTML": ("answer", raises(200, "<html>", "text/html")),
    "a list": ("answer", raises(200, "[1]")),
    "a text": ("answer", raises(200, '"x"')),
    "nothing": ("answer", raises(200, "")),
    "not UTF-8": ("answer", lambda: Response(b"\xff\xfe", mimetype="application/json")),
    "deep": ("answer", raises(200, "[" * 100_000)),
    "no ID token": ("no_id_token", raises(200, '{"access_token": "x", "token_type": "Bearer"}')),
    "an empty object": ("no_id_token", raises(200, "{}")),
    "invalid_grant": ("code", raises(400, '{"error": "invalid_grant"}')),
    "an error that is a list": ("provider", raises(400, '{"error": ["x"]}')),
    "an error that is an object": ("provider", raises(400, '{"error": {"x": []}}')),
    "redirect": (
        "answer",
        lambda: Response(status=307, headers={"Location": "http://localhost:1/steal"}),
    ),
    "redirect with a token": (
        "answer",
        lambda: Response("{}", status=302, headers={"Location": "/steal"}),
    ),
    "long": ("answer", raises(200, '{"x": "' + "x" * 400_000 + '"}')),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_strange_answers_of_the_token_endpoint(world: World, issuer: Issuer, name: str) -> None:
    """Whatever the token endpoint answers instead of a token ends on our page."""
    reason, issuer.answers["token"] = ANSWERS[name]
    client = world.browser()
    assert_refused(world, client, world.sign_in(client), reason)
    assert issuer.count("/steal") == 0


def test_a_token_endpoint_that_hangs(
    world: World, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for a silent token endpoint to answer, nor for one that drips to end."""
    world.sign_in(world.browser())  # metadata and keys are known from here on
    go_on, ended = threading.Event(), []

    def hang() -> Response:
        go_on.wait(60)
        ended.append("hang")
        return Response("{}", mimetype="application/json")

    def drip() -> Response:
        def body() -> Iterator[bytes]:
            for _ in range(600):
                if go_on.wait(0.1):
                    break
                yield b" "
            ended.append("drip")

        return Response(body(), mimetype="application/json")

    monkeypatch.setattr(directory, "TIMEOUT", (0.3, 0.3))
    monkeypatch.setattr(directory, "DEADLINE", 0.5)
    for misbehaviour in (hang, drip):
        issuer.answers["token"] = misbehaviour
        client = world.browser()
        assert_refused(world, client, world.sign_in(client), "timeout")
    assert ended == []
    go_on.set()


def test_the_real_limits_free_a_worker_in_time() -> None:
    """The limits in force add up to less than fifteen seconds."""
    assert directory.DEADLINE < 15
    assert sum(directory.TIMEOUT) < 15


def test_a_wrong_client_secret(
    world: World, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    """An endpoint that verifies the secret refuses ours when it is wrong; its words stay there."""
    issuer.client_secret = "another"
    client = world.browser()
    with caplog.at_level(logging.DEBUG, logger=world.app.logger.name):
        text = assert_refused(world, client, world.sign_in(client), "client")
    assert "AADSTS7000215" in text
    assert CLIENT_SECRET not in caplog.text
    assert "Invalid client secret" not in caplog.text


def test_a_wrong_code_verifier(world: World, issuer: Issuer) -> None:
    """An endpoint that verifies PKCE refuses a code that was begun with another challenge."""
    client = world.browser()
    location = world.start(client)
    forged = re.sub(r"code_challenge=[^&]+", "code_challenge=" + "A" * 43, location)
    text = assert_refused(world, client, world.arrive(client, world.approve(forged)), "code")
    assert "AADSTS501481" in text


def test_somebody_elses_code(world: World) -> None:
    """A code from another browser's sign-in does not fit this one's PKCE verifier."""
    victim, attacker = world.browser(), world.browser()
    state = parse_qs(urlsplit(world.start(victim)).query)["state"][0]
    stolen = parse_qs(urlsplit(world.approve(world.start(attacker))).query)["code"][0]
    response = world.arrive(victim, "/sso/callback?" + urlencode({"state": state, "code": stolen}))
    assert_refused(world, victim, response, "code")


def test_somebody_elses_token(world: World, issuer: Issuer) -> None:
    """A token that was issued for another sign-in fails by its nonce."""
    stolen = issuer.id_token("nonce-of-somebody-else", TENANT)
    issuer.forge = lambda header, claims: stolen
    client = world.browser()
    assert_refused(world, client, world.sign_in(client), "nonce")


# The state


def test_the_callback_without_a_state_of_ours(world: World) -> None:
    """No state, an empty one, a wrong one: a page, and nothing asked of Microsoft."""
    client = world.browser()
    world.start(client)
    for query in ("", "?state=", "?state=wrong&code=x", "?code=x", "?state=a&state=b"):
        response = world.arrive(client, "/sso/callback" + query)
        assert_final(response, status=400)
    assert pending(client) == 1
    assert world.issuer.count("token") == 0
    assert world.events() == []


def test_login_csrf(world: World) -> None:
    """The attacker's own answer from Microsoft signs nobody in in the victim's browser."""
    attacker, victim = world.browser(), world.browser()
    path = world.approve(world.start(attacker))
    assert_final(world.arrive(victim, path), status=400)
    assert who(victim) is None


def test_a_replayed_callback(world: World) -> None:
    """The same answer twice: the first sign-in stays, and elsewhere it opens nothing."""
    client = world.browser()
    path = world.approve(world.start(client))
    assert world.arrive(client, path).status_code == 303
    assert_final(world.arrive(client, path), status=400)
    assert who(client) == world.kim
    stranger = world.browser()
    assert_final(world.arrive(stranger, path), status=400)
    assert who(stranger) is None


def test_a_code_cannot_be_used_twice(world: World, issuer: Issuer) -> None:
    """Even a browser whose session was copied cannot redeem the code again."""
    client, copy = world.browser(), world.browser()
    location = world.start(client)
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        kept = dict(session)
    with copy.session_transaction(base_url=PUBLIC_URL) as session:
        session.update(kept)
    path = world.approve(location)
    assert world.arrive(client, path).status_code == 303
    assert_refused(world, copy, world.arrive(copy, path), "code")


def test_a_state_is_used_up_by_an_error(world: World) -> None:
    """After ``error=access_denied`` the same state is worth nothing."""
    client = world.browser()
    state = parse_qs(urlsplit(world.start(client)).query)["state"][0]
    denied = f"/sso/callback?state={state}&error=access_denied"
    assert_refused(world, client, world.arrive(client, denied), "provider")
    assert_final(world.arrive(client, denied), status=400)
    assert world.issuer.count("token") == 0


def test_a_state_of_eleven_minutes_ago(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes back after more than ten minutes starts again."""
    client = world.browser()
    path = world.approve(world.start(client))
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        rows = session["_h5mag_scim_sso"]
        session["_h5mag_scim_sso"] = [[*row[:-1], row[-1] - 601] for row in rows]
    assert_final(world.arrive(client, path), status=400)
    assert who(client) is None


def test_a_state_of_an_earlier_release(world: World) -> None:
    """A session that holds what an older release kept there is no crash."""
    client = world.browser()
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        session["_h5mag_scim_sso"] = [["x", 1], ["y"]]
    assert_final(world.arrive(client, "/sso/callback?state=x&code=y"), status=400)
    assert world.sign_in(client).status_code == 303


@pytest.mark.parametrize("text", ["<b>Call +31 20 555 0123</b>", "AADSTS50011 <script>"])
def test_an_error_without_a_state(world: World, text: str) -> None:
    """Anybody can write such a link, so nothing of it is shown."""
    query = urlencode({"error": "access_denied", "error_description": text})
    page = assert_final(world.arrive(world.browser(), f"/sso/callback?{query}"), status=400)
    for part in ("555", "script", "AADSTS", "access_denied"):
        assert part not in page.replace("<script src=", "")


def test_an_error_with_a_state(world: World, issuer: Issuer) -> None:
    """Microsoft's refusal is told in our words, with its number and our reference."""
    issuer.denial = {
        "error": "access_denied",
        "error_description": "AADSTS50105: <b>kim@acme.example</b> is not assigned.",
    }
    client = world.browser()
    told: list[Any] = []
    with sso_refused.connected_to(lambda app, **evidence: told.append(evidence)):
        page = assert_refused(world, client, world.sign_in(client), "provider")
    assert "AADSTS50105" in page
    assert "not assigned" not in page
    assert "AADSTS50105" in world.log()[-1].detail
    assert told[0]["reason"] == "provider"
    assert told[0]["reference"] in page


def test_an_error_wins_over_a_code(world: World) -> None:
    """With both, nothing is redeemed."""
    client = world.browser()
    path = world.approve(world.start(client)) + "&error=server_error"
    assert_refused(world, client, world.arrive(client, path), "busy")
    assert world.issuer.count("token") == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda path: path + "&code=another", "request"),
        (lambda path: re.sub(r"code=[^&]+", "", path), "request"),
        (lambda path: re.sub(r"code=[^&]+", "code=", path), "request"),
        (lambda path: re.sub(r"code=[^&]+", "code[]=x", path), "request"),
        (lambda path: re.sub(r"code=[^&]+", "code=" + "x" * 6000, path), "request"),
        (lambda path: re.sub(r"code=[^&]+", "code=%00", path), "code"),
        (lambda path: re.sub(r"code=[^&]+", "code=%ff%fe", path), "code"),
        (lambda path: path + "&error=a&error=b", "request"),
        (lambda path: path + "&error=x&error_description=" + "x" * 6000, "request"),
    ],
    ids=range(9),
)
def test_strange_parameters(world: World, change: Callable[[str], str], reason: str) -> None:
    """Duplicates, arrays, NUL, bad UTF-8 and novels end on a page."""
    client = world.browser()
    path = change(world.approve(world.start(client)))
    status = 400 if reason == "request" else 403
    assert_refused(world, client, world.arrive(client, path), reason, status=status)


def test_many_parameters(world: World) -> None:
    """Four hundred parameters that nobody asked for change nothing."""
    client = world.browser()
    path = world.approve(world.start(client)) + "".join(f"&p{n}=x" for n in range(400))
    assert world.arrive(client, path).status_code == 303


@both_databases
def test_strange_states_and_public_ids(world: World) -> None:
    """NUL and bad UTF-8 reach neither the session nor the database."""
    client = world.browser()
    for state in ("%00", "%ff", "x" * 6000, "[]", "%F0%9F%92%A9"):
        assert_final(world.arrive(client, f"/sso/callback?state={state}&code=x"), status=400)
    for public_id in ("%00", "%ff", "x" * 3000, "unknown", "a%20b"):
        assert_final(world.arrive(client, f"/sso/{public_id}/login"), status=404)


def test_other_methods(world: World) -> None:
    """POST and HEAD are not allowed, and use up nothing."""
    client = world.browser()
    path = world.approve(world.start(client))
    assert client.post(path, base_url=PUBLIC_URL).status_code == 405
    assert client.head(path, base_url=PUBLIC_URL).status_code == 405
    assert client.options(path, base_url=PUBLIC_URL).status_code == 200
    assert world.arrive(client, path).status_code == 303


def test_forty_abandoned_sign_ins(world: World) -> None:
    """The cookie stays small, whatever ``next`` each of them brings, and the last one works."""
    client = world.browser()
    path = ""
    for number in range(40):
        target = "/" + "".join(uuid.uuid4().hex for _ in range(15)) + str(number)
        response = client.get(
            f"/sso/{world.public_id}/login?again=1&next={target}", base_url=PUBLIC_URL
        )
        assert len(response.headers["Set-Cookie"]) < 4000
        path = response.location
    assert pending(client) <= 5
    assert world.arrive(client, world.approve(path)).status_code == 303
    for _ in range(40):
        world.start(client, again="1")
    assert pending(client) == 5


# What may have changed meanwhile


def test_an_address_that_is_not_in_use(world: World) -> None:
    """An unknown sign-on address is 404 and says where to find the right one."""
    page = assert_final(world.arrive(world.browser(), "/sso/nobody/login"), status=404)
    assert "Sign-on URL" in page


def test_mode_off(world: World) -> None:
    """An account that does not redirect is told so, with the way in by password."""
    world.configure(mode=Mode.OFF)
    page = assert_final(world.arrive(world.browser(), f"/sso/{world.public_id}/login"))
    assert "password=1" in page
    assert "Try again" not in page
    assert world.issuer.count("discovery") == 0


def test_no_licence(world: World) -> None:
    """Without the licence there is no sign-in with Microsoft, and the page says whom to ask."""
    client = world.browser()
    path = world.approve(world.start(client))
    with world.app.app_context():
        db.session.get_one(Account, world.acme).plan = "professional"
        db.session.commit()
    assert_refused(world, client, world.arrive(client, path), "licence")
    page = assert_final(world.arrive(client, f"/sso/{world.public_id}/login"))
    assert "support@h5mag.com" in page


def test_pending_settings_serve_nobody(world: World) -> None:
    """What has not passed its test is not used to sign in."""
    world.configure(tenant=OTHER_TENANT, save=providers.save)
    assert f"/{TENANT}/" in world.start(world.browser())
    client = world.browser()
    assert world.sign_in(client).status_code == 303


def replace_row(world: World) -> None:
    """Delete the settings and store others that look the same from outside."""
    with world.app.app_context():
        row = db.session.scalars(sa.select(scim.IdentityProvider)).one()
        names = ("account_id", "public_id", "state", "cloud", "tenant_id", "mode", "version")
        values = {name: getattr(row, name) for name in names}
        db.session.delete(row)
        db.session.flush()
        db.session.add(scim.IdentityProvider(**values))
        db.session.commit()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (replace_row, "changed"),
        (lambda world: world.configure(tenant=OTHER_TENANT), "changed"),
        (lambda world: world.configure(mode=Mode.OFF), "off"),
        (
            lambda world: (world.configure(tenant=OTHER_TENANT), world.configure()),
            "changed",
        ),
    ],
    ids=["another row", "another directory", "off", "there and back"],
)
def test_settings_that_changed_meanwhile(
    world: World, change: Callable[[World], Any], reason: str
) -> None:
    """A sign-in that began under other settings is refused before the code is sent."""
    client = world.browser()
    path = world.approve(world.start(client))
    change(world)
    assert_refused(world, client, world.arrive(client, path), reason)
    assert world.issuer.count("token") == 0


@both_databases
def test_switched_off_while_microsoft_answers(world: World, issuer: Issuer) -> None:
    """What changes during the exchange itself counts as well."""

    def forge(header: dict[str, Any], claims: dict[str, Any]) -> str:
        with world.app.app_context():
            providers.switch_off(db.session, scim.records, world.acme, by="test")
            db.session.commit()
        return jwt.encode(header, claims, issuer.signing_key)

    issuer.forge = forge
    client = world.browser()
    assert_refused(world, client, world.sign_in(client), "off")


def test_switched_off_with_sessions_that_keep_what_they_read(
    world: World, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host whose sessions do not expire on commit is told the same."""
    monkeypatch.setitem(db.session.session_factory.kw, "expire_on_commit", False)
    test_switched_off_while_microsoft_answers(world, issuer)


def test_the_provider_is_gone(world: World) -> None:
    """Settings that were deleted meanwhile end on a page."""
    client = world.browser()
    path = world.approve(world.start(client))
    with world.app.app_context():
        db.session.execute(sa.delete(scim.IdentityProvider))
        db.session.commit()
    assert_final(world.arrive(client, path))
    assert who(client) is None


@both_databases
def test_the_account_is_gone(world: World, issuer: Issuer) -> None:
    """An account that is deleted while Microsoft answers opens nothing and crashes nothing."""

    def forge(header: dict[str, Any], claims: dict[str, Any]) -> str:
        with world.app.app_context():
            db.session.execute(sa.delete(scim.LogEntry))
            db.session.execute(sa.delete(scim.UserLink))
            db.session.execute(sa.delete(scim.IdentityProvider))
            db.session.execute(sa.delete(User))
            db.session.execute(sa.delete(Account))
            db.session.commit()
        return jwt.encode(header, claims, issuer.signing_key)

    issuer.forge = forge
    client = world.browser()
    assert_final(world.sign_in(client))
    assert who(client) is None


def test_no_registration_at_microsoft(world: World) -> None:
    """Without the host's registration the page says that only H5mag can help."""
    config = world.app.extensions["h5mag_scim"].config
    object.__setattr__(config, "oidc_client_id", None)
    page = assert_final(world.arrive(world.browser(), f"/sso/{world.public_id}/login"))
    assert "support@h5mag.com" in page


@both_databases
def test_no_connection_waits_for_microsoft(
    world: World, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a directory is asked, every connection to the database is back in its pool."""
    with world.app.app_context():
        pool: Any = db.engine.pool
    held: list[tuple[str, int]] = []
    get_object = directory._get_object

    def ask(url: str) -> dict[str, object]:
        held.append((url.rpartition("/")[2], pool.checkedout()))
        return get_object(url)

    def forge(header: dict[str, Any], claims: dict[str, Any]) -> str:
        held.append(("token", pool.checkedout()))
        return jwt.encode(header, claims, issuer.signing_key)

    monkeypatch.setattr(directory, "_get_object", ask)
    issuer.forge = forge
    asked = [("openid-configuration", 0), ("token", 0), ("keys", 0)]
    assert world.sign_in(world.browser()).status_code == 303
    assert held == asked
    world.configure(tenant=OTHER_TENANT, save=providers.save)
    assert "passed" in world.test(world.browser(signed_in_as=world.owner)).text
    assert held == asked * 2


def test_discovery_is_down(world: World, issuer: Issuer) -> None:
    """A directory that cannot be reached is 503 with a way to try again."""
    issuer.answers["discovery"] = lambda: Response("down", status=503)
    page = assert_final(
        world.arrive(world.browser(), f"/sso/{world.public_id}/login?next=/people"), status=503
    )
    assert "Try again" in page
    assert f"/sso/{world.public_id}/login?again=1&amp;next=/people" in page
    assert world.events() == []


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://localhost:1/steal"},
        {"authorization_endpoint": "https://evil.example/authorize"},
    ],
    ids=str,
)
def test_metadata_that_points_elsewhere(
    world: World, issuer: Issuer, metadata: dict[str, str]
) -> None:
    """Neither the browser nor the secret goes where the directory does not live."""
    issuer.metadata = metadata
    assert_final(world.arrive(world.browser(), f"/sso/{world.public_id}/login"), status=503)


# Who may come in


def test_an_unknown_user(world: World, issuer: Issuer) -> None:
    """Whom SCIM has not brought is told so; nobody is created."""
    issuer.claims = {"oid": OWNER_OID, "email": "kim@acme.example", "upn": "kim@acme.example"}
    client = world.browser()
    page = assert_refused(world, client, world.sign_in(client), "not_provisioned")
    assert "Your account has not been set up yet" in page
    assert OWNER_OID in world.log()[-1].detail
    with world.app.app_context():
        assert db.session.scalar(sa.select(sa.func.count()).select_from(User)) == 2


def test_an_inactive_user_sees_the_same_page(world: World, issuer: Issuer) -> None:
    """The page does not tell a stranger which of the two it is."""

    def page() -> str:
        text = assert_final(world.sign_in(world.browser()))
        return re.sub(r"[0-9A-F]{8}", "", text)

    world.change(world.kim, active=False)
    inactive = page()
    issuer.claims = {"oid": OWNER_OID}
    assert page() == inactive
    assert [entry.detail.split(",")[0] for entry in world.log()] == ["inactive", "not_provisioned"]


def test_a_user_of_the_host_whom_scim_never_wrote(world: World, issuer: Issuer) -> None:
    """An externalId alone, without provisioning by this account, opens nothing."""
    world.person("lee@acme.example", OWNER_OID, provisioned=False)
    issuer.claims = {"oid": OWNER_OID}
    client = world.browser()
    assert_refused(world, client, world.sign_in(client), "not_by_scim")


@both_databases
def test_two_users_with_the_same_object_id(world: World) -> None:
    """If the data is so, nobody is guessed."""
    world.person("twin@acme.example", OID.upper())
    client = world.browser()
    assert_refused(world, client, world.sign_in(client), "ambiguous")


def test_upper_case_object_ids(world: World, issuer: Issuer) -> None:
    """An externalId in capitals is the same person."""
    world.change(world.kim, external_id=OID.upper())
    client = world.browser()
    assert world.sign_in(client).status_code == 303
    assert who(client) == world.kim


def test_the_same_person_in_two_accounts(world: World) -> None:
    """The account is the one of the sign-on address, whoever else has the object id."""
    globex = world.account("globex")
    twin = world.person("kim@globex.example", OID, account=globex)
    acme_id = world.public_id
    globex_id = world.configure(account=globex)
    for public_id, user in ((acme_id, world.kim), (globex_id, twin)):
        client = world.browser()
        world.arrive(client, world.approve(world.start(client, public_id=public_id)))
        assert who(client) == user


def test_a_foreign_customers_user(world: World, issuer: Issuer) -> None:
    """Who owns a directory and a SCIM token opens his own account with them, never another."""
    globex = world.account("globex")
    acme_id = world.public_id
    globex_id = world.configure(account=globex, tenant=OTHER_TENANT)
    victim_oid = str(uuid.uuid4())
    victim = world.person("ceo@acme.example", victim_oid)
    planted = world.person("ceo@acme.example", victim_oid, account=globex)
    issuer.claims = {"oid": victim_oid, "email": "ceo@acme.example"}
    client = world.browser()
    world.arrive(client, world.approve(world.start(client, public_id=globex_id)))
    assert who(client) == planted
    assert planted != victim
    # His token brought to the other account's sign-in.
    issuer.claims["tid"] = OTHER_TENANT
    issuer.claims["iss"] = issuer.issuer(OTHER_TENANT)
    client = world.browser()
    world.arrive(client, world.approve(world.start(client, public_id=acme_id)))
    assert who(client) is None


def test_deactivated_while_signed_in(world: World) -> None:
    """The next click after a deactivation is refused, and so is the next sign-in."""
    client = world.browser()
    world.sign_in(client)
    assert client.get("/magazines", base_url=PUBLIC_URL).status_code == 200
    world.change(world.kim, active=False)
    assert client.get("/magazines", base_url=PUBLIC_URL).status_code == 302
    assert_final(world.sign_in(client))
    world.change(world.kim, active=True)
    assert world.sign_in(client).status_code == 303
    assert client.get("/magazines", base_url=PUBLIC_URL).status_code == 200


def test_the_host_may_be_stricter(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whom Flask-Login would not sign in is refused on a page, and nothing is half done."""
    monkeypatch.setattr(User, "is_active", False)
    client = world.browser()
    assert_refused(world, client, world.sign_in(client), "inactive")


def test_the_host_may_know_nobody_inactive(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whom SCIM deactivated stays out where every user is active to Flask-Login."""
    monkeypatch.setattr(User, "is_active", True)
    world.change(world.kim, active=False)
    client = world.browser()
    assert_refused(world, client, world.sign_in(client), "inactive")
    text = world.test(world.browser(signed_in_as=world.owner)).text
    assert "Test sign-in passed" in text
    assert "The user with this object id is deactivated." in text


# The session


def test_session_fixation(world: World) -> None:
    """Nothing that stood in the session before lives on after the sign-in."""
    client = world.browser()
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        session["planted"] = "by an attacker"
        session["csrf_token"] = "known"
    world.sign_in(client)
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        ours = {"_h5mag_scim_session", "_h5mag_scim_sso_departures"}
        assert set(session) <= {"_user_id", "_fresh", "_id", *ours}
        assert not session.permanent


def test_sessions_on_the_server_get_a_new_id(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session interface that can change the id is asked to."""
    asked: list[Any] = []
    interface = world.app.session_interface
    monkeypatch.setattr(interface, "regenerate", lambda s: asked.append(dict(s)), raising=False)
    world.sign_in(world.browser())
    assert [each["_user_id"] for each in asked] == [world.kim]


def test_signing_in_as_somebody_else(world: World) -> None:
    """Who was signed in before is not any more; who fails stays who they were."""
    client = world.browser(signed_in_as=world.owner)
    world.sign_in(client)
    assert who(client) == world.kim
    client = world.browser(signed_in_as=world.owner)
    world.change(world.kim, active=False)
    assert_final(world.sign_in(client))
    assert who(client) == world.owner


def test_no_remember_me(world: World) -> None:
    """No remember-me cookie is set, and one that is there is dropped."""
    client = world.browser()
    client.set_cookie("remember_token", "old", domain="h5mag.example")
    response = world.sign_in(client)
    cookies = response.headers.getlist("Set-Cookie")
    assert any(each.startswith("remember_token=;") for each in cookies)
    assert client.get_cookie("remember_token", domain="h5mag.example") is None


def test_a_failing_receiver_changes_nothing(world: World) -> None:
    """A broken receiver of the signal does not undo the sign-in."""

    def broken(app: Flask, **evidence: Any) -> None:
        raise RuntimeError

    client = world.browser()
    with sso_signed_in.connected_to(broken):
        assert world.sign_in(client).status_code == 303
    assert who(client) == world.kim


# Where one goes afterwards


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/people?page=2", "/people?page=2"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("/\t/evil.example", "/"),
        (" //evil.example", "/"),
        ("/\\evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/login", "/"),
        ("/login?password=1", "/"),
        ("/logout", "/"),
        ("/people/../logout", "/"),
        ("/./logout", "/"),
        ("/people/%2e%2E/logout", "/"),
        ("/sso/callback?code=x", "/"),
        ("/sso/test", "/"),
        ("/scim/v2/Users", "/"),
        ("/account/provisioning", "/account/provisioning"),
        ("/people/00000000-0000-4000-8000-000000000000/role", "/"),
        ("/served/by/a/proxy", "/served/by/a/proxy"),
    ],
)
def test_next(world: World, target: str, expected: str) -> None:
    """One comes out on a page of this application, and on none that only takes forms."""
    response = world.sign_in(world.browser(), next=target)
    assert response.status_code == 303
    assert response.location == expected


def test_next_is_checked_again_when_it_is_used(world: World) -> None:
    """What an older release may have stored is not trusted either."""
    client = world.browser()
    path = world.approve(world.start(client, next="/people"))
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        rows = session["_h5mag_scim_sso"]
        session["_h5mag_scim_sso"] = [
            ["//evil.example" if value == "/people" else value for value in row] for row in rows
        ]
    assert world.arrive(client, path).location == "/"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"},
        {"Forwarded": "host=evil.example"},
    ],
    ids=str,
)
def test_the_redirect_uri_is_configured(world: World, headers: dict[str, str]) -> None:
    """No header moves the address to which Microsoft sends the code."""
    response = world.browser().get(f"/sso/{world.public_id}/login", headers=headers)
    query = parse_qs(urlsplit(response.location).query)
    assert query["redirect_uri"] == [f"{PUBLIC_URL}/sso/callback"]


def test_every_answer_is_private(world: World) -> None:
    """Nothing on the way is cached, framed or told to the next site."""
    client = world.browser()
    response = client.get(f"/sso/{world.public_id}/login", base_url=PUBLIC_URL)
    assert_private(response)
    assert_private(world.arrive(client, world.approve(response.location)))


# Test sign-in


@both_databases
def test_a_test_puts_pending_settings_in_force(world: World, issuer: Issuer) -> None:
    """A real round trip with the saved settings makes them serve; nobody is signed in."""
    world.configure(tenant=OTHER_TENANT, save=providers.save)
    assert set(world.rows()) == {ProviderState.IN_FORCE, ProviderState.PENDING}
    client = world.browser(signed_in_as=world.owner)
    page = world.test(client)
    assert page.status_code == 200
    assert_private(page)
    text = page.get_data(as_text=True)
    for part in (
        "Test sign-in passed",
        OTHER_TENANT,
        OID,
        "kim@acme.example",
        "Nobody was signed in",
        "/account/provisioning",
    ):
        assert part in text
    rows = world.rows()
    assert set(rows) == {ProviderState.IN_FORCE}
    assert rows[ProviderState.IN_FORCE].tenant_id == OTHER_TENANT
    assert rows[ProviderState.IN_FORCE].tested_at is not None
    assert who(client) == world.owner
    assert world.events() == ["sso.tested", "sso.in_force"]
    assert world.log()[0].actor == "owner@acme.example"
    assert f"/{OTHER_TENANT}/" in world.start(world.browser())


def test_the_first_settings_of_an_account(world: World) -> None:
    """Until its test has passed, a new account redirects nobody."""
    globex = world.account("globex")
    public_id = world.configure(account=globex, save=providers.save)
    assert_final(world.arrive(world.browser(), f"/sso/{public_id}/login"), status=404)


def test_settings_in_force_can_be_tested_again(world: World) -> None:
    """Without pending settings the test tries those in force and changes only its time."""
    client = world.browser(signed_in_as=world.owner)
    text = world.test(client).get_data(as_text=True)
    assert "were in force before" in text
    assert world.events() == ["sso.tested"]
    assert world.rows()[ProviderState.IN_FORCE].tested_at is not None


def test_a_test_asks_which_account(world: World) -> None:
    """The admin may try a Microsoft account that is not the one of this browser."""
    location = world.begin_test(world.browser(signed_in_as=world.owner)).location
    assert parse_qs(urlsplit(location).query)["prompt"] == ["select_account"]


def test_a_person_who_is_not_provisioned_yet(world: World, issuer: Issuer) -> None:
    """That nobody here has the object id is a warning, and blocks nothing."""
    world.configure(tenant=OTHER_TENANT, save=providers.save)
    issuer.claims = {"oid": OWNER_OID, "preferred_username": "boss@acme.example"}
    text = world.test(world.browser(signed_in_as=world.owner)).get_data(as_text=True)
    assert "Test sign-in passed" in text
    assert "Nobody yet" in text
    assert "map objectId to externalId" in text
    assert set(world.rows()) == {ProviderState.IN_FORCE}


@pytest.mark.parametrize("name", ["\ud800", "a\x00b", 7, None, ABSENT, ["x"], "<b>x</b>"])
def test_a_strange_user_name(world: World, issuer: Issuer, name: Any) -> None:
    """What a directory calls its people is shown as text or not at all."""
    issuer.claims = {"oid": OID, "preferred_username": name}
    page = world.test(world.browser(signed_in_as=world.owner))
    assert page.status_code == 200
    assert "<b>x" not in page.get_data(as_text=True)


@pytest.mark.parametrize(
    ("claims", "denial", "hint"),
    [
        ({"tid": OTHER_TENANT}, None, "another directory"),
        ({"oid": ABSENT}, None, "object id is missing"),
        (
            {},
            {"error": "invalid_request", "error_description": "AADSTS50011: mismatch"},
            f"{PUBLIC_URL}/sso/callback",
        ),
        ({}, {"error": "x", "error_description": "AADSTS65001: consent"}, "Consent is missing"),
        ({}, {"error": "x", "error_description": "AADSTS999999: new"}, "sign-in logs"),
        ({}, {"error": "server_error"}, "Microsoft is busy"),
    ],
    ids=str,
)
def test_a_failed_test(
    world: World,
    issuer: Issuer,
    claims: dict[str, Any],
    denial: dict[str, str] | None,
    hint: str,
) -> None:
    """An admin is told the reason in words, and the settings stay pending."""
    world.configure(tenant=OTHER_TENANT, save=providers.save)
    issuer.claims = {"oid": OID, "tid": OTHER_TENANT, **claims}
    if "tid" in claims:
        issuer.claims["tid"] = TENANT
    issuer.denial = denial
    client = world.browser(signed_in_as=world.owner)
    text = world.test(client).get_data(as_text=True)
    assert "Test sign-in failed" in text
    assert hint in text
    assert "mismatch" not in text
    assert set(world.rows()) == {ProviderState.IN_FORCE, ProviderState.PENDING}
    assert world.rows()[ProviderState.PENDING].tested_at is None
    assert world.log()[-1].event == "sso.tested"
    assert world.log()[-1].detail.startswith(f"failed: {world.log()[-1].reason}, ")
    assert who(client) == world.owner


def test_a_test_of_a_directory_that_does_not_exist(world: World, issuer: Issuer) -> None:
    """Metadata that cannot be had is a failed test with advice, before anybody leaves."""
    issuer.answers["discovery"] = lambda: Response("no such tenant", status=400)
    client = world.browser(signed_in_as=world.owner)
    response = world.begin_test(client)
    assert response.location == "/sso/test"
    text = world.arrive(client, response.location).get_data(as_text=True)
    assert "Check the Directory (tenant) ID" in text


def test_a_test_never_signs_in(world: World) -> None:
    """The answer to a test, in a browser that is signed out by now, opens nothing."""
    client = world.browser(signed_in_as=world.owner)
    path = world.approve(world.begin_test(client).location)
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        del session["_user_id"]
    assert_final(world.arrive(client, path))
    assert who(client) is None
    assert world.rows()[ProviderState.IN_FORCE].tested_at is None


def test_a_test_belongs_to_its_admin(world: World) -> None:
    """Another person in the same browser, another account's admin, a demoted one: refused."""
    world.configure(tenant=OTHER_TENANT, save=providers.save)
    admin = world.person("admin@acme.example", str(uuid.uuid4()))
    world.change(admin, role="admin")

    def changed_session(client: FlaskClient) -> None:
        with client.session_transaction(base_url=PUBLIC_URL) as session:
            session["_user_id"] = admin

    def demoted(client: FlaskClient) -> None:
        world.change(world.owner, role="editor")

    for change in (changed_session, demoted):
        client = world.browser(signed_in_as=world.owner)
        path = world.approve(world.begin_test(client).location)
        change(client)
        assert_final(world.arrive(client, path))
    assert set(world.rows()) == {ProviderState.IN_FORCE, ProviderState.PENDING}
    assert world.issuer.count("token") == 0


def test_settings_that_changed_during_a_test(world: World, issuer: Issuer) -> None:
    """Untested settings never take force on the strength of another test."""
    world.configure(tenant=OTHER_TENANT, save=providers.save)
    client = world.browser(signed_in_as=world.owner)
    path = world.approve(world.begin_test(client).location)
    world.configure(tenant=str(uuid.uuid4()), save=providers.save)
    assert world.arrive(client, path).location == "/sso/test"
    text = world.arrive(client, "/sso/test").get_data(as_text=True)
    assert "Somebody saved other settings" in text
    assert ProviderState.PENDING in world.rows()
    assert world.issuer.count("token") == 0


@both_databases
def test_settings_that_change_while_microsoft_answers_a_test(world: World, issuer: Issuer) -> None:
    """The same holds for a Save in the very moment of the exchange."""
    world.configure(tenant=OTHER_TENANT, save=providers.save)

    def forge(header: dict[str, Any], claims: dict[str, Any]) -> str:
        world.configure(tenant=str(uuid.uuid4()), save=providers.save)
        return jwt.encode(header, claims, issuer.signing_key)

    issuer.forge = forge
    client = world.browser(signed_in_as=world.owner)
    assert "Somebody saved other settings" in world.test(client).get_data(as_text=True)
    assert world.rows()[ProviderState.IN_FORCE].tenant_id == TENANT


def test_who_may_test(world: World) -> None:
    """Members get 403, strangers the login, and a form from elsewhere 400."""
    assert world.begin_test(world.browser(signed_in_as=world.kim)).status_code == 403
    assert world.arrive(world.browser(signed_in_as=world.kim), "/sso/test").status_code == 403
    assert "/login" in world.begin_test(world.browser()).location
    client = world.browser(signed_in_as=world.owner)
    assert client.post("/sso/test", base_url=PUBLIC_URL).status_code == 400
    assert client.post("/sso/test", data={"scim_csrf": "x"}, base_url=PUBLIC_URL).status_code == 400
    assert world.issuer.asked == []


def test_nothing_to_test(world: World) -> None:
    """Before the first Save the page says what to do."""
    with world.app.app_context():
        db.session.execute(sa.delete(scim.IdentityProvider))
        db.session.commit()
    client = world.browser(signed_in_as=world.owner)
    assert "press Save first" in assert_final(world.begin_test(client), status=404)


def test_a_test_without_licence(world: World) -> None:
    """A licence that ended stops the test as well."""
    with world.app.app_context():
        db.session.get_one(Account, world.acme).plan = "professional"
        db.session.commit()
    client = world.browser(signed_in_as=world.owner)
    response = world.begin_test(client)
    assert "Enterprise licence" in world.arrive(client, response.location).get_data(as_text=True)
    assert world.issuer.asked == []


def test_a_licence_that_ends_during_a_test(world: World) -> None:
    """Who comes back without the licence has tested nothing, and Microsoft is not asked."""
    world.configure(tenant=OTHER_TENANT, save=providers.save)
    client = world.browser(signed_in_as=world.owner)
    path = world.approve(world.begin_test(client).location)
    with world.app.app_context():
        db.session.get_one(Account, world.acme).plan = "professional"
        db.session.commit()
    assert "Enterprise licence" in world.arrive(client, world.arrive(client, path).location).text
    assert world.log()[-1].detail.startswith("failed: licence, ")
    assert world.rows()[ProviderState.PENDING].tested_at is None
    assert world.issuer.count("token") == 0


@both_databases
def test_a_tester_who_is_demoted_while_microsoft_answers(world: World, issuer: Issuer) -> None:
    """Who no longer manages the account when the answer is there puts nothing in force."""
    world.configure(tenant=OTHER_TENANT, save=providers.save)

    def forge(header: dict[str, Any], claims: dict[str, Any]) -> str:
        world.change(world.owner, role="editor")
        return jwt.encode(header, claims, issuer.signing_key)

    issuer.forge = forge
    client = world.browser(signed_in_as=world.owner)
    path = world.approve(world.begin_test(client).location)
    assert world.arrive(client, path).location == "/sso/test"
    assert world.arrive(client, "/sso/test").status_code == 403
    assert world.log()[-1].detail.startswith("failed: changed, ")
    assert world.rows()[ProviderState.IN_FORCE].tenant_id == TENANT
    assert world.rows()[ProviderState.PENDING].tested_at is None


def test_a_result_belongs_to_its_account(world: World) -> None:
    """A result in the session is shown to the managers of the account it speaks of only."""
    client = world.browser(signed_in_as=world.owner)
    assert world.arrive(client, "/sso/test").location == "/account/provisioning"
    world.test(client)
    globex = world.account("globex")
    other = world.person("boss@globex.example", str(uuid.uuid4()), account=globex)
    world.change(other, role="owner")
    with client.session_transaction(base_url=PUBLIC_URL) as session:
        session["_user_id"] = other
        del session["_h5mag_scim_session"]
    assert world.arrive(client, "/sso/test").location == "/account/provisioning"


# Pages and logs


def test_refusal_pages_offer_both_ways(world: World) -> None:
    """Every refusal has "Try again" and the way in by password, which is always open."""
    world.change(world.kim, active=False)
    page = assert_final(world.sign_in(world.browser(), next="/people"))
    assert f'href="/sso/{world.public_id}/login?again=1&amp;next=/people"' in page
    assert 'href="/login?password=1&amp;next=/people"' in page
    assert "Sign in with your H5mag password" in page
    assert "<script>" not in page
    assert " style=" not in page.split("<main")[1]


def test_every_reason_has_its_words() -> None:
    """No reason leaves a page or a test result without a text."""
    for reason in set(SignInReason) - {SignInReason.NO_UPN}:  # only a test's result says it
        said = refusals.message(reason, email="help@h5mag.example", requires_microsoft=False)
        assert "{" not in said.text, reason
    nobody = {key.removeprefix("nobody.") for key in TEXTS if key.startswith("nobody.")}
    assert nobody < set(SignInReason)
    untested = {
        SignInReason.OFF,
        SignInReason.STATE,
        SignInReason.CIRCLES,
        SignInReason.UNKNOWN,
        SignInReason.RATE,
        SignInReason.TEST_SESSION,
        SignInReason.NOTHING_TO_TEST,
        SignInReason.CONSENT,
    }
    for reason in set(SignInReason) - untested - nobody:
        assert refusals.hint(reason, None, is_own=False, redirect_uri="https://h5mag.example")


def test_no_reason_is_left_that_nothing_gives() -> None:
    """Each stands in the code that ends sign-ins, besides where it is put into words."""
    words = {refusals.__file__, explanations.__file__}
    sources = [path for path in Path(sso.__file__).parent.glob("*.py") if str(path) not in words]
    given = re.findall(r"\bSignInReason\.([A-Z_]+)", "".join(map(Path.read_text, sources)))
    assert set(given) == set(SignInReason.__members__)


def test_an_unknown_key_is_looked_for_once(world: World, issuer: Issuer) -> None:
    """A token with a key that nobody lists costs one more look, within the same sign-in."""
    world.sign_in(world.browser())
    issuer.forge = other_key(kid="stranger")
    for _ in range(3):
        assert_final(world.sign_in(world.browser()))
    assert issuer.count("keys") == 2


def test_a_login_endpoint_that_does_not_exist(world: World) -> None:
    """A misspelt endpoint costs the link, not the page."""
    config = world.app.extensions["h5mag_scim"].config
    object.__setattr__(config, "login_endpoint", "auth.signin")
    page = assert_final(world.arrive(world.browser(), "/sso/nobody/login"), status=404)
    assert "H5mag password" not in page


def test_logs_carry_no_secret(
    world: World, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither code, token, secret nor address reaches a log, whatever happens."""
    client = world.browser()
    names = [
        "authlib.integrations.base_client.sync_app",
        world.app.logger.name,
        "flask_h5mag_scim.web.oidc",
        "flask_h5mag_scim.web.directory",
    ]
    with caplog.at_level(logging.INFO):
        for name in names:
            caplog.set_level(logging.DEBUG, logger=name)
        path = world.approve(world.start(client))
        issuer.claims["tid"] = OTHER_TENANT
        world.arrive(client, path)
    code = parse_qs(urlsplit(path).query)["code"][0]
    verifier = next(form for name, form in issuer.asked if name == "token")["code_verifier"]
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name in names)
    assert "tenant, reference" in ours
    for secret in (code, verifier, CLIENT_SECRET, "@", "eyJ"):
        assert secret not in ours
        assert secret not in json.dumps([entry.detail for entry in world.log()])


def test_addresses(world: World) -> None:
    """The two addresses that an admin copies are made from the configured one."""
    state = world.app.extensions["h5mag_scim"]
    row = world.rows()[ProviderState.IN_FORCE]
    assert oidc.redirect_uri(state) == f"{PUBLIC_URL}/sso/callback"
    assert oidc.sign_on_url(state, row) == f"{PUBLIC_URL}/sso/{world.public_id}/login"
    with world.app.test_request_context():
        account = db.session.get_one(Account, world.acme)
        url = scim.sso_url(account, next="/people?a=b")
    assert url == f"/sso/{world.public_id}/login?next={quote('/people?a=b', safe='/?')}"
