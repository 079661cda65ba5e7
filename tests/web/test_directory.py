"""Which directory, addresses and keys are good enough, and how often they are asked for."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from joserfc.jwk import ECKey, RSAKey
from werkzeug.wrappers import Response

from flask_h5mag_scim import config as configuration
from flask_h5mag_scim.records.vault import Vault
from flask_h5mag_scim.web import directory
from flask_h5mag_scim.web.directory import Connection, DirectoryError, SignInError, Store

from ..issuer import CLIENT_ID, CLIENT_SECRET, Issuer, new_key, running

TENANT = "8f14e45f-ceea-467f-a1d2-3b5c6d7e8f90"
OTHER_TENANT = "11111111-2222-3333-4444-555555555555"
PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"
HOST = "https://login.microsoftonline.com"
ISSUER = f"{HOST}/{TENANT}/v2.0"

CONNECTION = Connection(
    issuer=ISSUER,
    metadata_url=f"{ISSUER}/.well-known/openid-configuration",
    tenant_id=TENANT,
    client_id=CLIENT_ID,
    client_secret=CLIENT_SECRET,
)


def settings(**values: Any) -> configuration.Config:
    found, _ = configuration.read(
        {
            "H5MAG_SCIM_OIDC_CLIENT_ID": CLIENT_ID,
            "H5MAG_SCIM_OIDC_CLIENT_SECRET": CLIENT_SECRET,
            "H5MAG_SCIM_OIDC_CLOUDS": {
                "test": "https://login.example.com",
                "pathless": "http://localhost:9400/.well-known/openid-configuration",
            },
            **values,
        },
        development=True,
    )
    return found


def provider(cloud: str, tenant_id: str = TENANT) -> Any:
    return SimpleNamespace(cloud=cloud, tenant_id=tenant_id, client_id=None, client_secret=None)


NO_KEYS = Vault([], secret_keys=[])


@pytest.mark.parametrize(
    ("cloud", "issuer"),
    [
        ("global", f"https://login.microsoftonline.com/{TENANT}/v2.0"),
        ("us", f"https://login.microsoftonline.us/{TENANT}/v2.0"),
        ("china", f"https://login.partner.microsoftonline.cn/{TENANT}/v2.0"),
        ("test", f"https://login.example.com/{TENANT}/v2.0"),
        ("pathless", "http://localhost:9400"),
    ],
)
def test_connections(cloud: str, issuer: str) -> None:
    """A cloud and a tenant name one issuer, and the metadata stands below it."""
    found = directory.connect(settings(), provider(cloud, TENANT.upper()), NO_KEYS)
    assert found.issuer == issuer
    assert found.metadata_url == f"{issuer}/.well-known/openid-configuration"
    assert (found.tenant_id, found.client_id) == (TENANT, CLIENT_ID)


def test_a_connection_needs_a_registration_and_a_cloud() -> None:
    """Without the host's registration, or with a cloud that is gone, nothing begins."""
    bare = settings(H5MAG_SCIM_OIDC_CLIENT_ID=None, H5MAG_SCIM_OIDC_CLIENT_SECRET=None)
    with pytest.raises(SignInError, match="registration"):
        directory.connect(bare, provider("global"), NO_KEYS)
    for half in ("oidc_client_id", "oidc_client_secret"):
        with pytest.raises(SignInError, match="registration"):
            directory.connect(replace(settings(), **{half: None}), provider("global"), NO_KEYS)
    with pytest.raises(SignInError, match="cloud"):
        directory.connect(settings(), provider("gone"), NO_KEYS)


@pytest.mark.parametrize(
    "tenant", ["common", "", "../x", f"{TENANT}/..", f"{TENANT}\n", "a.b", PERSONAL]
)
def test_a_tenant_is_a_guid(tenant: str) -> None:
    """Whatever else got into the table, it leads to no address of the cloud."""
    with pytest.raises(SignInError, match="tenant_id"):
        directory.connect(settings(), provider("global", tenant), NO_KEYS)


def test_a_usable_tenant_id() -> None:
    """A directory's id passes in any case and comes out in lower case."""
    assert configuration.tenant_id(TENANT) == TENANT
    assert configuration.tenant_id(TENANT.upper()) == TENANT


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Enter your Directory"),
        (" ", "Enter your Directory"),
        ("common", "“common” stands for every directory"),
        ("Organizations", "“Organizations” stands for every directory"),
        ("consumers", "“consumers” stands for every directory"),
        (PERSONAL, "personal Microsoft accounts"),
        (PERSONAL.upper(), "personal Microsoft accounts"),
        (f"https://login.microsoftonline.com/{TENANT}/v2.0", "This is an address"),
        (f"urn:uuid:{TENANT}", "This is an address"),
        ("acme.onmicrosoft.com", "This is a domain name"),
        ("someone@acme", "This is a domain name"),
        ("8f14e45f", "under Entra ID, Overview"),
        (TENANT.replace("-", ""), "This is not a Directory"),
        (f"{{{TENANT}}}", "This is not a Directory"),
        (f"{TENANT}\n", "This is not a Directory"),
        (TENANT.replace("8", "٨"), "This is not a Directory"),
    ],
)
def test_an_unusable_tenant_id(text: str, sentence: str) -> None:
    """Page, shell and sign-in refuse it by one rule, with a sentence for whoever typed it."""
    with pytest.raises(ValueError) as refused:
        configuration.tenant_id(text)
    assert sentence in str(refused.value)


# Metadata

METADATA = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{HOST}/{TENANT}/oauth2/v2.0/authorize",
    "token_endpoint": f"{HOST}/{TENANT}/oauth2/v2.0/token",
    "jwks_uri": f"{HOST}/{TENANT}/discovery/v2.0/keys",
    "userinfo_endpoint": "https://graph.microsoft.com/oidc/userinfo",
}


def test_metadata() -> None:
    """Microsoft's metadata passes, userinfo on its other host included."""
    found = directory.check_metadata(METADATA, CONNECTION)
    assert found.token_endpoint == METADATA["token_endpoint"]


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": f"{HOST}/{{tenantid}}/v2.0"},
        {"issuer": f"{HOST}/{OTHER_TENANT}/v2.0"},
        {"issuer": None},
        {"authorization_endpoint": "https://evil.example/authorize"},
        {"token_endpoint": "https://evil.example/token"},
        {"jwks_uri": "https://evil.example/keys"},
        {"token_endpoint": f"http://login.microsoftonline.com/{TENANT}/token"},
        {"token_endpoint": "https://login.microsoftonline.com@evil.example/token"},
        {"token_endpoint": "https://login.microsoftonline.com:8443/token"},
        {"token_endpoint": "https://login.microsoftonline.com.evil.example/token"},
        {"token_endpoint": "//login.microsoftonline.com/token"},
        {"token_endpoint": f"{HOST}/to ken"},
        {"token_endpoint": "https://[::1/token"},
        {"jwks_uri": "http://169.254.169.254/latest"},
        {"jwks_uri": ["https://login.microsoftonline.com/keys"]},
        {"jwks_uri": None},
    ],
    ids=str,
)
def test_metadata_that_is_not_the_directorys_own(changes: dict[str, Any]) -> None:
    """Another issuer, and any address on another host, scheme or port, is refused."""
    with pytest.raises(DirectoryError, match="metadata"):
        directory.check_metadata({**METADATA, **changes}, CONNECTION)


# Keys

KEY = new_key("a").as_dict(private=False)
SMALL = {"kty": "RSA", "n": KEY["n"][:100], "e": "AQAB", "kid": "small"}


@pytest.mark.parametrize(
    "key",
    [
        KEY,
        {**KEY, "issuer": ISSUER},
        {**KEY, "issuer": f"{HOST}/{{tenantid}}/v2.0"},
        {**KEY, "x5c": ["junk"], "key_ops": "junk"},
        {name: KEY[name] for name in ("kty", "n", "e")},
    ],
    ids=range(5),
)
def test_keys_that_may_sign(key: dict[str, Any]) -> None:
    """RSA signing keys of this directory, or of all directories, are used."""
    assert directory.usable_keys({"keys": [key]}, CONNECTION)[0]["n"] == KEY["n"]


@pytest.mark.parametrize(
    "key",
    [
        {**KEY, "issuer": f"{HOST}/{OTHER_TENANT}/v2.0"},
        {**KEY, "issuer": "https://evil.example/{tenantid}/v2.0"},
        {**KEY, "issuer": [ISSUER]},
        {**KEY, "kty": "EC"},
        {**KEY, "use": "enc"},
        {**KEY, "alg": "RS512"},
        {**KEY, "kid": 7},
        {**KEY, "n": "!" * 400},
        {**KEY, "n": 7},
        {**KEY, "e": None},
        {"kty": "RSA", "kid": "a"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "a"},
        ECKey.generate_key("P-256").as_dict(private=False),
        SMALL,
        "key",
        None,
    ],
    ids=range(16),
)
def test_keys_that_may_not_sign(key: Any) -> None:
    """Foreign, weak, broken and other keys are passed over without a word."""
    good = {**KEY, "kid": "good"}
    assert directory.usable_keys({"keys": [key, good]}, CONNECTION) == [
        {name: good[name] for name in ("kty", "n", "e", "kid")}
    ]
    with pytest.raises(DirectoryError, match="keys"):
        directory.usable_keys({"keys": [key]}, CONNECTION)


@pytest.mark.parametrize("document", [{}, {"keys": None}, {"keys": {}}, {"keys": []}], ids=str)
def test_a_key_set_without_keys(document: dict[str, Any]) -> None:
    """An empty set is no set."""
    with pytest.raises(DirectoryError, match="keys"):
        directory.usable_keys(document, CONNECTION)


# The store


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running() as found:
        yield found


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Store:
    return Store(clock=clock)


@pytest.fixture
def connection(issuer: Issuer) -> Connection:
    return directory.connect(
        settings(H5MAG_SCIM_OIDC_CLOUDS={"test": issuer.base}),
        provider("test"),
        NO_KEYS,
    )


def kids(store: Store, connection: Connection, *, force: bool = False) -> list[str]:
    return [key["kid"] for key in store.keys(connection, force=force)]


def test_what_is_fresh_is_not_fetched_again(
    issuer: Issuer, store: Store, connection: Connection, clock: Clock
) -> None:
    """Within the hour, any number of sign-ins cost one look at metadata and keys."""
    for _ in range(3):
        assert kids(store, connection) == ["first"]
        clock.now += 1100
    assert [name for name, _ in issuer.asked] == ["discovery", "keys"]


def test_after_an_hour_the_next_sign_in_looks_again(
    issuer: Issuer, store: Store, connection: Connection, clock: Clock
) -> None:
    """A rotation is seen after an hour even if the key id stays."""
    kids(store, connection)
    issuer.rotate()
    clock.now += 3600
    assert kids(store, connection) == ["second"]


def test_an_unknown_key_is_looked_for_once_in_thirty_seconds(
    issuer: Issuer, store: Store, connection: Connection, clock: Clock
) -> None:
    """A rotation is seen at once; many unknown keys cost one fetch per cooldown."""
    kids(store, connection)
    issuer.rotate()
    for _ in range(5):
        assert kids(store, connection, force=True) == ["second"]
    assert issuer.count("keys") == 2
    clock.now += 30
    kids(store, connection, force=True)
    assert issuer.count("keys") == 3


OUTAGES = {
    "500": lambda: Response("oops", status=500),
    "redirect": lambda: Response(status=302, headers={"Location": "/elsewhere"}),
    "html": lambda: Response("<html>", mimetype="text/html"),
    "list": lambda: Response("[]", mimetype="application/json"),
    "empty": lambda: Response(""),
    "no keys": lambda: Response('{"keys": []}'),
    "deep": lambda: Response("[" * 100_000),
    "large": lambda: Response(b'{"keys": "' + b"x" * 300_000 + b'"}'),
    "not utf-8": lambda: Response(b"\xff\xfe{"),
}


@pytest.mark.parametrize("outage", OUTAGES)
def test_an_outage_of_the_keys_keeps_the_last_good_ones(
    outage: str, issuer: Issuer, store: Store, connection: Connection, clock: Clock
) -> None:
    """Whatever stands in the place of the keys, people with a known key go on signing in."""
    kids(store, connection)
    issuer.answers["keys"] = OUTAGES[outage]
    assert kids(store, connection, force=True) == ["first"]
    clock.now += 3 * 3600
    assert kids(store, connection) == ["first"]
    assert issuer.count("/elsewhere") == 0


@pytest.mark.parametrize("outage", OUTAGES)
def test_without_good_keys_nothing_is_trusted(
    outage: str, issuer: Issuer, store: Store, connection: Connection
) -> None:
    """At first there is nothing to fall back to."""
    issuer.answers["keys"] = OUTAGES[outage]
    with pytest.raises(DirectoryError, match="keys"):
        store.keys(connection)


@pytest.mark.parametrize("status", [500, 404, 203])
def test_good_keys_with_a_bad_status(
    status: int, issuer: Issuer, store: Store, connection: Connection
) -> None:
    """An error page is not believed, even if it looks like keys."""
    body = json.dumps({"keys": [KEY]})
    issuer.answers["keys"] = lambda: Response(body, status=status)
    with pytest.raises(DirectoryError, match="keys_unavailable"):
        store.keys(connection)


def test_good_keys_in_too_long_an_answer(
    issuer: Issuer, store: Store, connection: Connection
) -> None:
    """Nobody fills the memory: neither a long answer nor one without an end is read."""
    body = json.dumps({"keys": [KEY], "x": "x" * directory.MAX_ANSWER})
    left, ended = threading.Event(), []

    def endless() -> Iterator[bytes]:
        for _ in range(12_000):
            if left.wait(0.005):
                return
            yield b" " * 4096
        ended.append("endless")

    for answer in (lambda: Response(body), lambda: Response(endless())):
        issuer.answers["keys"] = answer
        with pytest.raises(DirectoryError, match="keys_unavailable"):
            Store().keys(connection)
    assert ended == []
    left.set()


def test_keys_do_not_outlive_a_day(
    issuer: Issuer, store: Store, connection: Connection, clock: Clock
) -> None:
    """After a day without an answer the old keys are not trusted any more."""
    kids(store, connection)
    issuer.answers["keys"] = OUTAGES["500"]
    clock.now += 24 * 3600 - 1
    assert kids(store, connection) == ["first"]
    clock.now += 1
    with pytest.raises(DirectoryError, match="keys"):
        kids(store, connection)


def test_an_outage_is_not_asked_at_every_sign_in(
    issuer: Issuer, store: Store, connection: Connection, clock: Clock
) -> None:
    """A directory that is down costs a worker's time only now and then."""
    kids(store, connection)
    issuer.answers["keys"] = OUTAGES["500"]
    clock.now += 3600
    for _ in range(5):
        kids(store, connection)
    assert issuer.count("keys") == 2
    clock.now += 30
    kids(store, connection)
    assert issuer.count("keys") == 3


def test_a_directory_that_never_answered_is_asked_again_soon(
    issuer: Issuer, store: Store, connection: Connection, clock: Clock
) -> None:
    """After five seconds "try again" really tries again."""
    issuer.answers["discovery"] = OUTAGES["500"]
    for _ in range(3):
        with pytest.raises(DirectoryError, match="discovery"):
            store.metadata(connection)
    assert issuer.count("discovery") == 1
    del issuer.answers["discovery"]
    clock.now += 5
    assert store.metadata(connection).jwks_uri.endswith("/keys")


def test_metadata_that_turns_bad_does_not_replace_good(
    issuer: Issuer, store: Store, connection: Connection, clock: Clock
) -> None:
    """An attacker's hour at the discovery address does not move the token endpoint."""
    good = store.metadata(connection)
    issuer.metadata = {"token_endpoint": "https://evil.example/token"}
    clock.now += 3600
    assert store.metadata(connection) == good


def test_nobody_listening(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    """A closed port is an unavailable directory, and the log says which."""
    dead = replace(CONNECTION, metadata_url="http://127.0.0.1:9/.well-known/openid-configuration")
    with pytest.raises(DirectoryError, match="discovery"):
        store.metadata(dead)
    assert "http://127.0.0.1:9/" in caplog.text


def test_a_server_that_says_nothing(
    issuer: Issuer, store: Store, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A silent server is left when the time-out for the next byte is over."""
    go_on, late = threading.Event(), []

    def silent() -> Response:
        go_on.wait(60)
        late.append("late")
        return Response("late")

    monkeypatch.setattr(directory, "TIMEOUT", (0.3, 0.3))
    issuer.answers["discovery"] = silent
    with pytest.raises(DirectoryError, match="discovery"):
        store.metadata(connection)
    assert late == []
    go_on.set()


def test_a_call_is_bounded() -> None:
    """Whatever hangs, the caller is free again; whatever fails, the caller learns at once."""
    go_on = threading.Event()
    with pytest.raises(TimeoutError):
        directory.within(0.1, lambda: go_on.wait(5))
    go_on.set()
    with pytest.raises(ZeroDivisionError):
        directory.within(5, lambda: 1 // 0)


def test_reading_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread of a dripping server does not live on."""
    monkeypatch.setattr(directory, "DEADLINE", -1)
    response = requests.Response()
    response.raw = io.BytesIO(b"{}")
    with pytest.raises(ValueError, match="too long"):
        directory.read(response)


def test_a_dripping_server_is_left_alone(
    issuer: Issuer, store: Store, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One byte at a time, each within the time-out, still ends at the deadline."""

    left, ended = threading.Event(), []

    def drip() -> Response:
        def body() -> Iterator[bytes]:
            for _ in range(600):
                if left.wait(0.1):
                    return
                yield b" "
            ended.append("drip")

        return Response(body(), mimetype="application/json")

    monkeypatch.setattr(directory, "DEADLINE", 0.5)
    issuer.answers["discovery"] = drip
    with pytest.raises(DirectoryError, match="discovery"):
        store.metadata(connection)
    assert ended == []
    left.set()


def test_fifty_at_once_cost_one_fetch(issuer: Issuer, store: Store, connection: Connection) -> None:
    """A cold store asks once, however many sign-ins wait for it."""
    found: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: found.append(kids(store, connection))) for _ in range(50)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [["first"]] * 50
    assert (issuer.count("discovery"), issuer.count("keys")) == (1, 1)


def test_fifty_at_once_share_one_failure(
    issuer: Issuer, store: Store, connection: Connection
) -> None:
    """While a directory is down, those who waited do not each try it in turn."""
    issuer.answers["discovery"] = OUTAGES["500"]
    refused: list[str] = []

    def ask() -> None:
        with pytest.raises(DirectoryError) as caught:
            store.keys(connection)
        refused.append(caught.value.reason)

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == ["discovery"] * 50
    assert issuer.count("discovery") == 1


def test_nobody_waits_for_a_refresh(
    issuer: Issuer, store: Store, connection: Connection, clock: Clock
) -> None:
    """While one sign-in looks for new keys, the others use the ones at hand."""
    kids(store, connection)
    clock.now += 3600
    asked, go_on = threading.Event(), threading.Event()

    def slow() -> Response:
        asked.set()
        go_on.wait(5)
        return Response("late", status=500)

    issuer.answers["keys"] = slow
    first = threading.Thread(target=lambda: kids(store, connection))
    first.start()
    assert asked.wait(5)
    assert kids(store, connection) == ["first"]
    go_on.set()
    first.join()


def test_who_looks_for_an_unknown_key_waits_for_the_refresh(
    issuer: Issuer, store: Store, connection: Connection, clock: Clock
) -> None:
    """The key may be among those that somebody is fetching right now."""
    kids(store, connection)
    clock.now += 3600
    asked, go_on = threading.Event(), threading.Event()
    issuer.rotate()

    def slow() -> Response:
        asked.set()
        go_on.wait(5)
        return Response(json.dumps({"keys": [issuer.signing_key.as_dict(private=False)]}))

    issuer.answers["keys"] = slow
    first = threading.Thread(target=lambda: kids(store, connection))
    first.start()
    assert asked.wait(5)
    found: list[list[str]] = []
    second = threading.Thread(target=lambda: found.append(kids(store, connection, force=True)))
    second.start()
    second.join(0.2)
    assert found == []
    go_on.set()
    first.join()
    second.join()
    assert found == [["second"]]


def test_the_store_is_bounded(issuer: Issuer, clock: Clock) -> None:
    """The directory that was not used for longest is forgotten first."""
    store = Store(limit=2, clock=clock)
    one, two, three = (
        directory.connect(
            settings(H5MAG_SCIM_OIDC_CLOUDS={"test": issuer.base}),
            provider("test", f"{number * 8}-0000-4000-8000-000000000000"),
            NO_KEYS,
        )
        for number in "123"
    )
    for each in (one, two, one, three, one):
        store.metadata(each)
    assert issuer.count("discovery") == 3
    store.metadata(two)
    assert issuer.count("discovery") == 4


def test_tenants_do_not_share_keys(issuer: Issuer, store: Store, connection: Connection) -> None:
    """Each directory's keys are its own."""
    other = directory.connect(
        settings(H5MAG_SCIM_OIDC_CLOUDS={"test": issuer.base}),
        provider("test", OTHER_TENANT),
        NO_KEYS,
    )
    issuer.key_members = {"issuer": connection.issuer}
    assert kids(store, connection) == ["first"]
    with pytest.raises(DirectoryError, match="keys"):
        store.keys(other)


def test_a_key_is_what_it_says() -> None:
    """The keys that are handed to the verifier are public and complete."""
    kept = directory.usable_keys({"keys": [new_key("x").as_dict(private=True)]}, CONNECTION)
    assert set(kept[0]) == {"kty", "n", "e", "kid"}
    assert not RSAKey.import_key(dict(kept[0])).is_private


def test_the_secret_is_not_in_the_repr() -> None:
    """A connection that ends up in a log or a traceback does not tell the secret."""
    assert CLIENT_SECRET not in repr(CONNECTION)
