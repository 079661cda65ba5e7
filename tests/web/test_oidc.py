"""What makes an ID token good enough, and where one may go afterwards."""

from __future__ import annotations

import math
from typing import Any

import pytest

from flask_h5mag_scim.web import oidc
from flask_h5mag_scim.web.directory import Connection
from flask_h5mag_scim.web.oidc import ClaimsRefused
from flask_h5mag_scim.web.sso import Attempt, safe_next

from ..issuer import ABSENT, CLIENT_ID, CLIENT_SECRET

TENANT = "8f14e45f-ceea-467f-a1d2-3b5c6d7e8f90"
OTHER_TENANT = "11111111-2222-3333-4444-555555555555"
OID = "0f0f0f0f-aaaa-4bbb-8ccc-d0d0d0d0d0d0"
HOST = "https://login.microsoftonline.com"
ISSUER = f"{HOST}/{TENANT}/v2.0"
NOW = 1_800_000_000.0
NONCE = "n-0S6_WzA2Mj"

CONNECTION = Connection(
    issuer=ISSUER,
    metadata_url=f"{ISSUER}/.well-known/openid-configuration",
    tenant_id=TENANT,
    client_id=CLIENT_ID,
    client_secret=CLIENT_SECRET,
)

GOOD = {
    "iss": ISSUER,
    "aud": CLIENT_ID,
    "tid": TENANT,
    "oid": OID,
    "ver": "2.0",
    "nonce": NONCE,
    "iat": NOW - 5,
    "nbf": NOW - 5,
    "exp": NOW + 3600,
}


def check(**changes: Any) -> None:
    claims = {**GOOD, **changes}
    claims = {name: value for name, value in claims.items() if value is not ABSENT}
    oidc.check_claims(claims, CONNECTION, NONCE, NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"aud": [CLIENT_ID]},
        {"azp": CLIENT_ID},
        {"tid": TENANT.upper()},
        {"oid": OID.upper()},
        {"nbf": ABSENT},
        {"exp": NOW - 60},
        {"exp": NOW + 0.5},
        {"iat": NOW + 60, "nbf": NOW + 60},
        {"iat": NOW - 3600},
        {"email": "ceo@globex.example", "email_verified": True},
    ],
    ids=str,
)
def test_claims_that_are_good(changes: dict[str, Any]) -> None:
    """The claims that Microsoft sends pass, up to the edge of each tolerance."""
    check(**changes)


FORGED = [
    # 1-3, 7: the issuer
    ("issuer", {"iss": "https://evil.example/v2.0"}),
    ("issuer", {"iss": f"{HOST}/{{tenantid}}/v2.0"}),
    ("issuer", {"iss": f"https://sts.windows.net/{TENANT}/", "ver": "1.0"}),
    ("issuer", {"iss": f"{HOST}/{OTHER_TENANT}/v2.0"}),
    ("issuer", {"iss": ISSUER + "/"}),
    ("issuer", {"iss": ISSUER.upper()}),
    ("issuer", {"iss": [ISSUER]}),
    ("issuer", {"iss": ABSENT}),
    # 3: the version
    ("version", {"ver": "1.0"}),
    ("version", {"ver": 2.0}),
    ("version", {"ver": ABSENT}),
    # 4-6, 8: the tenant, the only wall between customers of one registration
    ("tenant", {"tid": OTHER_TENANT, "iss": f"{HOST}/{OTHER_TENANT}/v2.0"}),
    ("tenant", {"tid": OTHER_TENANT}),
    ("tenant", {"tid": ABSENT}),
    ("tenant", {"tid": [TENANT]}),
    ("tenant", {"tid": TENANT + "\n"}),
    ("tenant", {"tid": None}),
    # 9, 10: the person
    ("oid", {"oid": ABSENT}),
    ("oid", {"oid": [OID]}),
    ("oid", {"oid": ""}),
    ("oid", {"oid": "bjensen"}),
    ("oid", {"oid": "{" + OID + "}"}),
    ("oid", {"oid": OID.replace("-", "")}),
    ("oid", {"oid": OID + "\n"}),
    # 11-14: the audience
    ("audience", {"aud": "another-application"}),
    ("audience", {"aud": "another-application", "azp": CLIENT_ID}),
    ("audience", {"aud": []}),
    ("audience", {"aud": ABSENT}),
    ("audience", {"aud": [CLIENT_ID, "another-application"]}),
    ("audience", {"aud": [CLIENT_ID, CLIENT_ID]}),
    ("audience", {"aud": {CLIENT_ID: 1}}),
    ("party", {"azp": "another-application"}),
    # 15, 16: the nonce
    ("nonce", {"nonce": "another"}),
    ("nonce", {"nonce": ABSENT}),
    ("nonce", {"nonce": ABSENT, "nonce_supported": False}),
    ("nonce", {"nonce": [NONCE]}),
    ("nonce", {"nonce": "ñ"}),
    ("nonce", {"nonce": "\ud800"}),
    # 17-20, 90: the time
    ("expired", {"exp": NOW - 61}),
    ("expired", {"exp": ABSENT}),
    ("expired", {"exp": str(int(NOW) + 3600)}),
    ("expired", {"exp": True}),
    ("expired", {"exp": math.nan}),
    ("expired", {"exp": math.inf}),
    ("expired", {"exp": None}),
    ("not_yet", {"nbf": NOW + 61}),
    ("not_yet", {"nbf": "soon"}),
    ("not_yet", {"nbf": True}),
    ("not_yet", {"nbf": None}),
    ("not_yet", {"nbf": math.nan}),
    ("clock", {"iat": NOW + 61}),
    ("issued", {"iat": NOW - 3601}),
    ("issued", {"iat": NOW - 10 * 24 * 3600}),
    ("issued", {"iat": ABSENT}),
    ("issued", {"iat": False}),
    ("issued", {"iat": -math.inf}),
]


@pytest.mark.parametrize(("reason", "changes"), FORGED, ids=str)
def test_forged_claims(reason: str, changes: dict[str, Any]) -> None:
    """Each forged token is refused, and for its own reason."""
    with pytest.raises(ClaimsRefused) as caught:
        check(**changes)
    assert caught.value.reason == reason


def test_a_nonce_that_was_never_sent_fits_nothing() -> None:
    """An empty expected nonce does not let a token with an empty nonce pass."""
    with pytest.raises(ClaimsRefused, match="nonce"):
        oidc.check_claims({**GOOD, "nonce": ""}, CONNECTION, "", NOW)


def test_numbers_of_any_size_are_compared() -> None:
    """A time with four hundred digits is a time, not a crash."""
    check(exp=10**400)
    with pytest.raises(ClaimsRefused, match="clock"):
        check(iat=10**400)


def test_object_ids_are_lower_case() -> None:
    """Entra's spelling of an object id does not matter."""
    assert oidc.object_id({"oid": OID.upper()}) == OID


@pytest.mark.parametrize(
    ("reason", "header", "key_count"),
    [
        (None, {"alg": "RS256", "kid": "a"}, 1),
        (None, {"alg": "RS256", "kid": "a"}, 5),
        (None, {"alg": "RS256"}, 1),
        ("key", {"alg": "RS256"}, 2),
        ("key", {"alg": "RS256", "kid": None}, 1),
        ("key", {"alg": "RS256", "kid": ["a"]}, 1),
        ("algorithm", {"alg": "none", "kid": "a"}, 1),
        ("algorithm", {"alg": "None", "kid": "a"}, 1),
        ("algorithm", {"alg": "HS256", "kid": "a"}, 1),
        ("algorithm", {"alg": "RS512", "kid": "a"}, 1),
        ("algorithm", {"alg": ["RS256"], "kid": "a"}, 1),
        ("algorithm", {"kid": "a"}, 1),
    ],
    ids=str,
)
def test_header(reason: str | None, header: dict[str, Any], key_count: int) -> None:
    """Only RS256 passes, and a token without kid only where there is one key."""
    if reason is None:
        oidc.check_header(header, key_count=key_count)
        return
    with pytest.raises(ClaimsRefused) as caught:
        oidc.check_header(header, key_count=key_count)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("50011", "AADSTS50011: The redirect URI <script>alert(1)</script>"),
        ("7000222", "x AADSTS7000222: expired"),
        (None, "call +31 20 555 0123, AADSTS is down"),
        (None, "AADSTS12"),
        (None, " " * 5000 + "AADSTS50011"),
        (None, None),
        (None, ["AADSTS50011"]),
    ],
)
def test_aadsts(number: str | None, text: object) -> None:
    """Of Microsoft's error text only the number is ever used."""
    assert oidc.aadsts(text) == number


def test_what_ties_a_sign_in_to_its_browser_is_not_printed() -> None:
    """A dump of local variables tells neither state, nonce nor verifier."""
    secrets = {"state": "s-5wE1", "nonce": NONCE, "code_verifier": "v-9rT4"}
    begun = oidc.Authorization(url=f"{HOST}/authorize?state=s-5wE1&nonce={NONCE}", **secrets)
    attempt = Attempt(
        **secrets,
        purpose="login",
        provider="f00d",
        version=1,
        public_id="acme-id",
        next="/magazines",
        user="",
        at=int(NOW),
    )
    printed = f"{begun} {begun!r} {attempt} {attempt!r}"
    assert "acme-id" in printed
    for secret in secrets.values():
        assert secret not in printed


# next

PREFIXES = ["/sso", "/scim/v2", "/login", "/logout"]


@pytest.mark.parametrize(
    "text",
    [
        "/",
        "/magazines",
        "/magazines?page=2&q=a%20b#top",
        "/ssoverview",
        "/login-help",
        "/a/%2f/b",
        "/a//b",
        "/search?next=https://evil.example/",
        "/" + "a" * 499,
    ],
)
def test_next_that_is_safe(text: str) -> None:
    """A local page is where one may return to."""
    assert safe_next(text, forbidden_prefixes=PREFIXES) == text


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "magazines",
        "https://evil.example/",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        " //evil.example",
        "/ /evil.example",
        "/%09/evil.example",
        "/%0a/evil.example",
        "/%00",
        "/%7f/evil.example",
        "/%2f/evil.example",
        "/%2Fevil.example",
        "/%5cevil.example",
        "/%5Cevil.example",
        "http:x",
        "https:/x",
        "javascript:alert(1)",
        "user@evil.example",
        "/a\r\nSet-Cookie: x=1",
        "/a\n",
        "/a\x00",
        "/a\\b",
        "/ä",
        "/" + "a" * 500,
        "/.//evil.example",
        "/a/..//evil.example",
        "/%2e%2e//evil.example",
        "/sso",
        "/sso/callback?code=1",
        "/SSO/x/login",
        "/%73so/callback",
        "/a/../sso/callback",
        "/a/%2E%2e/sso/callback",
        "/./sso/callback",
        "/login",
        "/login?next=/",
        "/login#x",
        "/logout",
        "/logout/",
        "/scim/v2/Users",
    ],
)
def test_next_that_is_not_safe(text: str | None) -> None:
    """Another host, a control character and the way into or out of a sign-in are dropped."""
    assert safe_next(text, forbidden_prefixes=PREFIXES) is None
