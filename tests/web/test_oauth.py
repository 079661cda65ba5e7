"""The token endpoint, through HTTP, and the access tokens it gives."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
import logging
import re
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from flask import Flask
from itsdangerous import URLSafeSerializer
from joserfc import jws
from werkzeug.exceptions import Forbidden
from werkzeug.test import TestResponse
from werkzeug.wrappers import Response

from example_app.models import Account, User, db
from example_app.provisioning import scim
from flask_h5mag_scim.records import federation, log, tokens
from flask_h5mag_scim.records.models import CredentialKind, now
from flask_h5mag_scim.web import access_tokens, assertion
from flask_h5mag_scim.web.directory import Store

from ..conftest import PUBLIC_URL, Entra, both_databases, error_of, get_account, make_token
from ..issuer import ABSENT, CLIENT_ID, KEYS, Issuer, encode, new_key, running

URL = "/scim-oauth/token"
TENANT = "8f14e45f-ceea-467f-a1d2-3b5c6d7e8f90"
OTHER_TENANT = "11111111-2222-3333-4444-555555555555"
SUBJECT = "0f0f0f0f-aaaa-4bbb-8ccc-d0d0d0d0d0d0"
OTHER_SUBJECT = "0f0f0f0f-aaaa-4bbb-8ccc-000000000000"
AUDIENCE = f"api://{CLIENT_ID}"
FORM = "application/x-www-form-urlencoded"


def client_id(app: Flask, slug: str = "acme") -> str:
    with app.app_context():
        return access_tokens.client_id(get_account(slug).id)


def ask(app: Flask, *, headers: dict[str, str] | None = None, **form: str) -> TestResponse:
    sent = {"grant_type": "client_credentials", **form}
    return app.test_client().post(URL, data=sent, headers=headers)


def ask_with_secret(app: Flask, secret: str, slug: str = "acme", **form: str) -> TestResponse:
    return ask(app, **{"client_id": client_id(app, slug), "client_secret": secret, **form})


def basic(name: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def granted(answer: TestResponse) -> str:
    """The access token of a good answer, which is checked."""
    assert answer.status_code == 200, answer.text
    body = answer.get_json()
    assert set(body) == {"access_token", "token_type", "expires_in"}
    assert body["token_type"] == "Bearer"
    assert isinstance(body["expires_in"], int)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Pragma"] == "no-cache"
    assert "Set-Cookie" not in answer.headers
    return str(body["access_token"])


def refused(answer: TestResponse, status: int, error: str) -> str:
    """The description of a refusal, which is checked against RFC 6749 §5.2."""
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/json"
    body = answer.get_json()
    assert set(body) == {"error", "error_description"}
    assert body["error"] == error, body
    assert re.fullmatch(r"[\x20-\x21\x23-\x5B\x5D-\x7E]{12,}", body["error_description"])
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Pragma"] == "no-cache"
    return str(body["error_description"])


def entries(app: Flask, slug: str = "acme") -> list[Any]:
    """The account's log about the token endpoint, oldest first."""
    with app.app_context():
        found = log.recent(db.session, scim.records, get_account(slug).id, limit=50)
        return [entry for entry in reversed(found) if entry.event.startswith("oauth.")]


def events(app: Flask, slug: str = "acme") -> list[str]:
    return [entry.event for entry in entries(app, slug)]


def configure(app: Flask, **values: Any) -> None:
    state = app.extensions["h5mag_scim"]
    state.config = dataclasses.replace(state.config, **values)


def change(app: Flask, model: Any, **values: Any) -> None:
    """Write over every row of ``model``."""
    with app.app_context():
        db.session.execute(sa.update(model).values(**values))
        db.session.commit()


# Client credentials


@both_databases
@pytest.mark.parametrize("place", ["form", "header", "header, encoded", "header and form"])
def test_an_api_token_gets_an_access_token_that_opens_its_account(app: Flask, place: str) -> None:
    """The secret in the form or in the header (RFC 6749 §2.3.1); what it opens is the account
    of the API Token and no other."""
    secret, name = make_token(app, "acme"), client_id(app)
    if place == "form":
        answer = ask(app, client_id=name, client_secret=secret)
    elif place == "header":
        answer = ask(app, headers=basic(name, secret))
    elif place == "header and form":
        answer = ask(app, headers=basic(name, secret), client_id=name)
    else:
        answer = ask(
            app,
            headers=basic(
                "".join(f"%{ord(c):02x}" for c in name), "".join(f"%{ord(c):02X}" for c in secret)
            ),
        )
    text = granted(answer)
    assert text.startswith("h5mag_scim_at_")
    assert len(text) < 400
    assert secret not in text
    entra = Entra(app.test_client(), text)
    made = entra.user("kim")
    with app.app_context():
        assert db.session.get(User, uuid.UUID(made["id"])).account_id == get_account().id


def test_the_client_identifier_is_the_accounts_and_stays(app: Flask) -> None:
    """Customers have it in their settings: it may never change, and tells nothing."""
    assert access_tokens.client_id(7) == "0d193ef0-4482-5142-ad7b-34ce39d6fb55"
    assert client_id(app, "acme") != client_id(app, "globex")
    with app.app_context():
        assert str(get_account().id) not in client_id(app, "acme")


def test_white_space_around_what_was_pasted_does_not_matter(app: Flask) -> None:
    """As it does not for the bearer token; nor does the case of the identifier."""
    secret = make_token(app, "acme")
    granted(
        ask(app, client_id=f" {client_id(app).upper()} ", client_secret=f" {secret}\n", scope=" ")
    )
    granted(ask(app, headers=basic(f"{client_id(app)} ", f"{secret} ")))


@both_databases
def test_identifier_and_secret_belong_together(app: Flask) -> None:
    """The identifier of one account with the token of another opens neither, and is in the log
    of the account whose token it was."""
    make_token(app, "acme")
    theirs = make_token(app, "globex")
    description = refused(ask_with_secret(app, theirs, "acme"), 401, "invalid_client")
    assert "Client Identifier of Account > Provisioning & SSO" in description
    answer = ask(app, headers=basic(client_id(app, "acme"), theirs))
    refused(answer, 401, "invalid_client")
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert events(app, "acme") == []
    (entry,) = entries(app, "globex")
    assert (entry.event, entry.status, entry.detail) == ("oauth.refused", 401, description)
    assert entry.actor.startswith("test (")
    refused(ask_with_secret(app, theirs, "acme", client_id="x"), 401, "invalid_client")


@pytest.mark.parametrize(
    ("state", "expires_in", "sentence"),
    [
        ("draft", None, "not saved yet: press Save in Account > Provisioning & SSO"),
        ("revoked", None, "was revoked"),
        ("active", timedelta(seconds=-1), "has expired"),
    ],
)
def test_a_secret_that_is_no_longer_good_says_why(
    app: Flask, state: str, expires_in: timedelta | None, sentence: str
) -> None:
    """To Entra's log, and to the account's once a minute however often it is tried."""
    secret = make_token(app, "acme", state=state, expires_in=expires_in)
    for _ in range(3):
        assert sentence in refused(ask_with_secret(app, secret), 401, "invalid_client")
    (entry,) = entries(app)
    assert (entry.event, entry.status) == ("oauth.refused", 401)
    assert sentence in entry.detail


@pytest.mark.parametrize("secret", ["wrong", "well-formed", "h5mag_scim_at_x.y", "é\x00"])
def test_an_unknown_secret_is_refused_alike_whoever_is_named(
    app: Flask, caplog: pytest.LogCaptureFixture, secret: str
) -> None:
    """Nobody learns which identifiers there are, no account's log can be filled, and the
    application's log has no secret."""
    make_token(app, "acme")
    if secret == "well-formed":
        secret = tokens.generate_text()
    with caplog.at_level(logging.DEBUG):
        answers = [
            refused(ask(app, client_id=name, client_secret=secret), 401, "invalid_client")
            for name in (client_id(app), str(uuid.uuid4()), "x")
        ]
    assert len(set(answers)) == 1
    assert "not known here" in answers[0]
    assert events(app) == []
    assert "invalid_client" in caplog.text
    assert secret not in caplog.text
    answer = ask(app, client_id=client_id(app), client_secret=secret)
    assert "WWW-Authenticate" not in answer.headers


def test_an_account_without_licence_is_told_whom_to_ask(app: Flask) -> None:
    """The client is known, and not authorized (RFC 6749 §5.2)."""
    secret = make_token(app, "umbrella")
    description = refused(ask_with_secret(app, secret, "umbrella"), 400, "unauthorized_client")
    assert "Enterprise licence" in description
    assert "support@h5mag.com" in description
    assert events(app, "umbrella") == ["oauth.refused"]


def test_an_access_token_is_no_secret(app: Flask) -> None:
    """Nobody prolongs an access token by itself, nor generates one of it after a revocation."""
    text = granted(ask_with_secret(app, make_token(app, "acme")))
    refused(ask_with_secret(app, text), 401, "invalid_client")
    refused(ask(app, headers=basic(client_id(app), text)), 401, "invalid_client")


@pytest.mark.parametrize(
    "header",
    [
        "Bearer x",
        "Basic",
        "Basic !",
        "Basic eA==",
        "Basic /w==",
        "Digest username=x",
        "",
        basic("é", "x")["Authorization"],
    ],
)
def test_an_odd_header_is_an_unknown_client(app: Flask, header: str) -> None:
    """401 with the challenge that RFC 6749 §5.2 asks for."""
    answer = ask(app, headers={"Authorization": header})
    refused(answer, 401, "invalid_client")
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="SCIM"'


def test_another_scheme_with_the_same_words_is_not_basic(app: Flask) -> None:
    """What a header calls user name and password counts in HTTP Basic only."""
    header = f'Digest username="{client_id(app)}", password="{make_token(app, "acme")}"'
    refused(ask(app, headers={"Authorization": header}), 401, "invalid_client")


def test_one_way_to_authenticate_at_a_time(app: Flask) -> None:
    """RFC 6749 §2.3: "MUST NOT use more than one authentication method in each request"."""
    secret, name = make_token(app, "acme"), client_id(app)
    header = basic(name, secret)
    for answer in (
        ask(app, headers=header, client_secret=secret),
        ask(app, headers=header, client_assertion="x", client_assertion_type=assertion.TYPE),
        ask(app, client_id=name, client_secret=secret, client_assertion="x"),
        ask(app, client_id=name, client_secret=secret, client_assertion_type=assertion.TYPE),
        ask(app, headers=header, client_id=client_id(app, "globex")),
    ):
        refused(answer, 400, "invalid_request")
    refused(ask(app, client_id=name), 401, "invalid_client")
    refused(ask(app, client_secret=secret), 400, "invalid_request")


# The request


def post(app: Flask, body: str, content_type: str | None = FORM, query: str = "") -> TestResponse:
    return app.test_client().post(f"{URL}{query}", data=body, content_type=content_type)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ("&grant_type=client_credentials", "invalid_request"),
        ("&client_id=x", "invalid_request"),
        ("&resource=a&resource=b", "invalid_request"),
        ("&scope=a&scope=a", "invalid_request"),
        ("&scope=%22", "invalid_scope"),
        ("&scope=a++b", "invalid_scope"),
        ("&scope=%C3%A9", "invalid_scope"),
        ("&scope=%00", "invalid_scope"),
        ("&x=" + "x" * 16384, "invalid_request"),
    ],
)
def test_what_rfc_6749_does_not_allow_is_refused(app: Flask, change: str, error: str) -> None:
    """The same request without the change is good."""
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id(app),
        "client_secret": make_token(app, "acme"),
    }
    refused(post(app, urlencode(form) + change), 400, error)
    granted(post(app, urlencode(form)))


@pytest.mark.parametrize("scope", ["scim", "a b", "https://x.example/.default"])
def test_a_scope_is_taken_and_unknown_parameters_are_ignored(app: Flask, scope: str) -> None:
    """RFC 6749 §3.2 and §3.3: there is one thing that can be asked for."""
    granted(ask_with_secret(app, make_token(app, "acme"), scope=scope, resource="x"))


@pytest.mark.parametrize(
    ("grant_type", "error"),
    [
        ("", "invalid_request"),
        ("authorization_code", "unsupported_grant_type"),
        ("password", "unsupported_grant_type"),
        ("refresh_token", "unsupported_grant_type"),
        ("Client_Credentials", "unsupported_grant_type"),
        ("urn:ietf:params:oauth:grant-type:token-exchange", "unsupported_grant_type"),
    ],
)
def test_there_is_one_grant(app: Flask, grant_type: str, error: str) -> None:
    """RFC 6749 §4.4.2."""
    answer = ask_with_secret(app, make_token(app, "acme"), grant_type=grant_type)
    assert "grant_type" in refused(answer, 400, error)


@pytest.mark.parametrize(
    "content_type", [None, "application/json", "multipart/form-data; boundary=x", "text/plain"]
)
def test_the_body_is_a_form(app: Flask, content_type: str | None) -> None:
    """RFC 6749 §4.4.2 asks for it; with a charset it is one as well."""
    form = urlencode(
        {
            "grant_type": "client_credentials",
            "client_id": client_id(app),
            "client_secret": make_token(app, "acme"),
        }
    )
    assert FORM in refused(post(app, form, content_type), 400, "invalid_request")
    granted(post(app, form, f"{FORM}; charset=UTF-8"))


@pytest.mark.parametrize("name", ["client_id", "client_secret", "client_assertion"])
def test_credentials_do_not_go_into_an_address(app: Flask, name: str) -> None:
    """RFC 6749 §2.3.1: a proxy would write them into its log. Other queries are no matter."""
    form = urlencode(
        {
            "grant_type": "client_credentials",
            "client_id": client_id(app),
            "client_secret": make_token(app, "acme"),
        }
    )
    answer = post(app, form, query=f"?{name}=x")
    assert "address" in refused(answer, 400, "invalid_request")
    granted(post(app, form, query="?api-version=1"))


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"])
def test_only_post_is_answered(app: Flask, method: str) -> None:
    """RFC 6749 §3.2; and nobody is sent there after signing in."""
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id(app),
        "client_secret": make_token(app, "acme"),
    }
    kind = {"query_string": form} if method in ("GET", "HEAD") else {"data": form}
    answer = app.test_client().open(URL, method=method, **kind)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    if method != "HEAD":
        refused(answer, 405, "invalid_request")
    with app.test_request_context():
        assert scim.safe_next(URL) is None


def test_the_address_is_configured(app: Flask, database_url: str) -> None:
    """And is no part of SCIM's own, which has an answer for everything below it."""
    from example_app import create_app

    other = create_app(
        {
            "TESTING": True,
            "SECRET_KEY": "test",
            "SQLALCHEMY_DATABASE_URI": database_url,
            "H5MAG_SCIM_URL_PREFIX": "/scim",
            "H5MAG_SCIM_OAUTH_URL_PREFIX": "/oauth/scim",
        }
    )
    answer = other.test_client().post("/oauth/scim/token")
    refused(answer, 400, "invalid_request")
    assert other.test_client().post(URL).status_code == 404


# The access token


def seconds_until_end(answer: TestResponse) -> int:
    granted(answer)
    return int(answer.get_json()["expires_in"])


def test_an_access_token_lives_as_configured_and_never_longer_than_its_origin(app: Flask) -> None:
    """3600 seconds unless the host says otherwise; Entra takes 3600 to 21600."""
    assert seconds_until_end(ask_with_secret(app, make_token(app, "acme"))) == 3600
    configure(app, access_token_lifetime=timedelta(hours=6))
    secret = make_token(app, "acme", expires_in=timedelta(days=1))
    assert seconds_until_end(ask_with_secret(app, secret)) == 21600
    change(app, scim.Token, expires_at=now() + timedelta(minutes=10))
    assert 590 <= seconds_until_end(ask_with_secret(app, secret)) <= 600


@both_databases
def test_an_access_token_ends_with_its_time(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entra is told to get a new one."""
    entra = Entra(app.test_client(), granted(ask_with_secret(app, make_token(app, "acme"))))
    start = now()
    for seconds, status in ((3590, 200), (3601, 401)):
        at = start + timedelta(seconds=seconds)
        monkeypatch.setattr("flask_h5mag_scim.web.bearer.now", lambda at=at: at)
        answer = entra.get("/Users")
        assert answer.status_code == status
    assert "This access token has expired" in error_of(answer, 401)
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="SCIM", error="invalid_token"'


@both_databases
@pytest.mark.parametrize("end", ["revoke", "expire", "delete", "licence"])
def test_an_access_token_ends_with_what_it_was_made_of(app: Flask, end: str) -> None:
    """At once: the row of the API Token is read at every request."""
    entra = Entra(app.test_client(), granted(ask_with_secret(app, make_token(app, "acme"))))
    assert entra.get("/Users").status_code == 200
    status, sentence = 401, "was revoked"
    if end == "revoke":
        change(app, scim.Token, revoked_at=now())
    elif end == "expire":
        change(app, scim.Token, expires_at=now())
        sentence = "has expired"
    elif end == "delete":
        with app.app_context():
            db.session.execute(sa.delete(scim.Token))
            db.session.commit()
        sentence = "not there any more"
    else:
        change(app, Account, plan="professional")
        status, sentence = 403, "Enterprise licence"
    assert sentence in error_of(entra.get("/Users"), status)


def test_rotation_keeps_both_alive_until_the_old_one_is_revoked(app: Flask) -> None:
    """Two API Tokens are two secrets of one client; revoking one does not touch the other."""
    one, two = make_token(app, "acme"), make_token(app, "acme")
    texts = [granted(ask_with_secret(app, secret)) for secret in (one, two)]
    with app.app_context():
        hashed = tokens.hash_text(one)
        db.session.execute(
            sa.update(scim.Token).where(scim.Token.hash == hashed).values(revoked_at=now())
        )
        db.session.commit()
    old, new = (Entra(app.test_client(), text).get("/Users") for text in texts)
    assert (old.status_code, new.status_code) == (401, 200)


def forge(app: Flask, text: str, how: str) -> str:
    """An access token with something about it changed."""
    body = text.removeprefix(access_tokens.PREFIX)
    payload, _, signature = body.rpartition(".")
    with app.test_request_context():
        read = access_tokens.read(text)
        assert read is not None
        if how == "another account":
            other = dataclasses.replace(read, client_id=client_id(app, "globex"))
            return access_tokens.write(other)
        if how == "another credential":
            return access_tokens.write(dataclasses.replace(read, credential_id=uuid.uuid4()))
        if how == "another kind":
            return access_tokens.write(dataclasses.replace(read, kind=CredentialKind.FEDERATED))
        later = dataclasses.replace(read, expires_at=now() + timedelta(days=999))
        others = access_tokens.write(later).removeprefix(access_tokens.PREFIX)
        if how == "another secret":
            app.secret_key = "stolen from elsewhere"
            forged = access_tokens.write(later)
            app.secret_key = "test"
            return forged
    return (
        access_tokens.PREFIX
        + {
            "payload of another": f"{others.rpartition('.')[0]}.{signature}",
            "signature cut": f"{payload}.{signature[:-1]}",
            "no signature": payload,
            "empty signature": f"{payload}.",
            "nothing": "",
            "dots": "...",
            "compressed garbage": ".eJw",
        }[how]
    )


@pytest.mark.parametrize(
    "how",
    [
        "another account",
        "another credential",
        "another kind",
        "another secret",
        "payload of another",
        "signature cut",
        "no signature",
        "empty signature",
        "nothing",
        "dots",
        "compressed garbage",
    ],
)
def test_a_tampered_access_token_opens_nothing(app: Flask, how: str) -> None:
    """Only what this application has signed is read, and all of it must fit its row."""
    make_token(app, "globex")
    text = granted(ask_with_secret(app, make_token(app, "acme")))
    answer = Entra(app.test_client(), forge(app, text, how)).get("/Users")
    assert "token endpoint" in error_of(answer, 401)
    assert Entra(app.test_client(), text).get("/Users").status_code == 200


@pytest.mark.parametrize("salt", ["cookie-session", "itsdangerous", "another purpose"])
def test_what_the_same_key_signs_for_another_purpose_is_no_access_token(
    app: Flask, salt: str
) -> None:
    """A host signs much with its ``SECRET_KEY``, of what people send to it as well."""
    text = granted(ask_with_secret(app, make_token(app, "acme")))
    signed = text.removeprefix(access_tokens.PREFIX)
    signer = URLSafeSerializer(
        "test", salt, signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256}
    )
    _, claims = signer.loads_unsafe(signed)
    forged = signer.dumps(claims)
    assert forged.rpartition(".")[0] == signed.rpartition(".")[0]
    error_of(Entra(app.test_client(), f"{access_tokens.PREFIX}{forged}").get("/Users"), 401)


def test_an_api_token_that_begins_like_an_access_token_is_an_api_token(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One in 262,144 does."""
    real = tokens.secrets.token_urlsafe
    monkeypatch.setattr(tokens.secrets, "token_urlsafe", lambda n: "at_" + real(n)[3:])
    secret = make_token(app, "acme")
    assert secret.startswith(access_tokens.PREFIX)
    assert Entra(app.test_client(), secret).get("/Users").status_code == 200
    text = granted(ask_with_secret(app, secret))
    assert Entra(app.test_client(), text).get("/Users").status_code == 200


def test_a_new_secret_key_keeps_the_old_access_tokens_as_a_fallback(app: Flask) -> None:
    """``SECRET_KEY_FALLBACKS`` reads, ``SECRET_KEY`` signs."""
    secret = make_token(app, "acme")
    text = granted(ask_with_secret(app, secret))
    app.config.update(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["test"])
    assert Entra(app.test_client(), text).get("/Users").status_code == 200
    newer = granted(ask_with_secret(app, secret))
    app.config.update(SECRET_KEY_FALLBACKS=None)
    assert Entra(app.test_client(), newer).get("/Users").status_code == 200
    error_of(Entra(app.test_client(), text).get("/Users"), 401)


def test_without_a_secret_key_nothing_is_issued(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    """And the application's log says what to do."""
    secret = make_token(app, "acme")
    app.secret_key = None
    refused(ask_with_secret(app, secret), 500, "server_error")
    assert "Set SECRET_KEY" in caplog.text


@both_databases
def test_an_access_token_costs_no_more_statements_than_a_bearer_token(
    app: Flask, statements: Callable[[], Any]
) -> None:
    """One look-up by primary key in place of one by hash."""
    secret = make_token(app, "acme")
    text = granted(ask_with_secret(app, secret))
    counted = []
    for bearer in (secret, text):
        entra = Entra(app.test_client(), bearer)
        entra.get("/Users?count=1")
        with statements() as seen:
            entra.get("/Users?count=1")
        counted.append(len(seen))
        assert len([statement for statement in seen if "scim_token" in statement]) == 1
    assert counted[0] == counted[1]


@both_databases
def test_an_issue_is_logged_once_a_minute_and_without_secrets(app: Flask) -> None:
    """A good client that asks before every request does not fill the log."""
    secret = make_token(app, "acme")
    texts = [granted(ask_with_secret(app, secret)) for _ in range(3)]
    (entry,) = entries(app)
    assert (entry.event, entry.status) == ("oauth.token_issued", None)
    assert entry.actor == f"test ({tokens.hash_text(secret)[:6]})"
    everything = repr({c.name: getattr(entry, c.name) for c in scim.LogEntry.__table__.columns})
    assert all(text not in everything for text in [secret, *texts])
    with app.app_context():
        token = db.session.scalars(sa.select(scim.Token)).one()
        assert (token.last_used_ip, token.last_used_at) == ("127.0.0.1", token.last_used_at)
        assert token.last_used_at is not None
    # Requests in between do not make the next issue go unlogged.
    change(app, scim.Token, last_issued_at=now() - timedelta(seconds=61))
    granted(ask_with_secret(app, secret))
    granted(ask_with_secret(app, make_token(app, "acme")))
    assert events(app) == ["oauth.token_issued"] * 3


def test_an_access_token_acts_under_the_name_of_what_it_was_made_of(app: Flask) -> None:
    """The log says which API Token it was."""
    secret = make_token(app, "acme")
    Entra(app.test_client(), granted(ask_with_secret(app, secret))).user("kim")
    with app.app_context():
        (entry,) = [
            e
            for e in log.recent(db.session, scim.records, get_account().id, limit=9)
            if e.event == "user.created"
        ]
        assert entry.actor == f"test ({tokens.hash_text(secret)[:6]})"


def test_what_the_host_or_the_database_does_is_answered_in_json(
    app: Flask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without its cause, and without the secret in the log."""
    secret = make_token(app, "acme")

    def fail(error: Exception) -> Callable[..., Any]:
        def verify(*arguments: Any) -> Any:
            raise error

        return verify

    busy = sa.exc.OperationalError("SELECT ?", {"secret": secret}, Exception("locked"))
    monkeypatch.setattr(tokens, "verify", fail(busy))
    refused(ask_with_secret(app, secret), 503, "temporarily_unavailable")
    monkeypatch.setattr(tokens, "verify", fail(KeyError("internal")))
    assert "internal" not in refused(ask_with_secret(app, secret), 500, "server_error")
    assert secret not in caplog.text
    monkeypatch.undo()

    def closed() -> None:
        raise Forbidden('Closed for "maintenance"')

    app.before_request_funcs.setdefault(None, []).append(closed)
    description = refused(ask_with_secret(app, secret), 403, "invalid_request")
    assert description == "Closed for 'maintenance'"


# Workload identity federation


@pytest.fixture
def issuer(app: Flask) -> Iterator[Issuer]:
    """A stand-in for Microsoft that signs what the workload identity brings."""
    with running() as found:
        clouds = {**app.extensions["h5mag_scim"].config.oidc_clouds, "test": found.base}
        configure(app, oidc_clouds=clouds, oidc_client_id=None, oidc_client_secret=None)
        found.claims = {
            "aud": AUDIENCE,
            "sub": SUBJECT,
            "oid": SUBJECT,
            "nonce": ABSENT,
            "email": ABSENT,
            "preferred_username": ABSENT,
        }
        yield found


def trust(app: Flask, slug: str = "acme", **values: Any) -> Any:
    """The id of a new trust."""
    with app.app_context():
        row = federation.trust(
            db.session,
            scim.records,
            get_account(slug).id,
            **{
                "name": "Entra",
                "cloud": "test",
                "tenant_id": TENANT,
                "subject": SUBJECT,
                "audience": AUDIENCE,
                "created_by": "test",
                **values,
            },
        )
        db.session.commit()
        return row.id


def ask_with_assertion(app: Flask, text: str, **form: str) -> TestResponse:
    sent = {"client_assertion_type": assertion.TYPE, "client_assertion": text, **form}
    return ask(app, **sent)


@both_databases
def test_a_workload_identity_needs_no_secret(app: Flask, issuer: Issuer) -> None:
    """The assertion that Microsoft signs opens the account that trusts it, with or without
    the client identifier (RFC 7521 §4.2); a host needs no registration for it."""
    trust(app)
    text = issuer.id_token("", TENANT)
    token = granted(ask_with_assertion(app, text, client_id=client_id(app), scope="scim"))
    granted(ask_with_assertion(app, text))
    made = Entra(app.test_client(), token).user("kim")
    with app.app_context():
        assert db.session.get(User, uuid.UUID(made["id"])).account_id == get_account().id
        row = db.session.scalars(sa.select(scim.FederatedCredential)).one()
        assert row.last_used_at is not None
        assert row.last_used_ip == "127.0.0.1"
        called = row.called
    (entry,) = entries(app)
    assert (entry.event, entry.actor) == ("oauth.token_issued", called)
    assert events(app, "globex") == []
    assert issuer.count("keys") == 1


@both_databases
def test_access_tokens_die_with_the_trust(app: Flask, issuer: Issuer) -> None:
    """Revoked is revoked for the next request and for the next token; who is trusted again
    starts anew."""
    trust(app)
    text = issuer.id_token("", TENANT)
    entra = Entra(app.test_client(), granted(ask_with_assertion(app, text)))
    assert entra.get("/Users").status_code == 200
    change(app, scim.FederatedCredential, revoked_at=now(), last_used_at=None)
    assert "trust in this workload identity was revoked" in error_of(entra.get("/Users"), 401)
    assert "was revoked" in refused(ask_with_assertion(app, text), 401, "invalid_client")
    trust(app)
    granted(ask_with_assertion(app, text))
    error_of(entra.get("/Users"), 401)


def test_an_access_token_of_a_trust_costs_one_look_up(
    app: Flask, issuer: Issuer, statements: Callable[[], Any]
) -> None:
    """As that of an API Token."""
    trust(app)
    entra = Entra(app.test_client(), granted(ask_with_assertion(app, issuer.id_token("", TENANT))))
    with statements() as seen:
        assert entra.get("/Users?count=1").status_code == 200
    found = [statement for statement in seen if "credential" in statement or "token" in statement]
    assert len(found) == 1


def test_an_account_without_licence_gets_no_token_for_its_trust(app: Flask, issuer: Issuer) -> None:
    """The same sentence as for a secret."""
    trust(app, "umbrella")
    answer = ask_with_assertion(app, issuer.id_token("", TENANT))
    assert "Enterprise licence" in refused(answer, 400, "unauthorized_client")


def test_the_client_identifier_beside_an_assertion_must_be_the_accounts(
    app: Flask, issuer: Issuer
) -> None:
    """RFC 7521 §4.2: it "MUST identify the same client"."""
    trust(app)
    text = issuer.id_token("", TENANT)
    for name in (client_id(app, "globex"), "x"):
        refused(ask_with_assertion(app, text, client_id=name), 401, "invalid_client")
    assert (events(app), events(app, "globex")) == (["oauth.refused"], [])


@pytest.mark.parametrize("suffix", ["", f"/{PUBLIC_URL.removeprefix('http://')}"])
def test_the_audience_may_name_this_host(app: Flask, issuer: Issuer, suffix: str) -> None:
    """Microsoft may write the host behind the application."""
    trust(app)
    issuer.claims["aud"] = AUDIENCE + suffix
    granted(ask_with_assertion(app, issuer.id_token("", TENANT)))


#: Claims that make an assertion one of somebody else. None of them may be told apart.
STRANGERS = [
    {"aud": f"api://{OTHER_TENANT}"},
    {"aud": CLIENT_ID},
    {"aud": f"{AUDIENCE}/elsewhere.example"},
    {"aud": f"{AUDIENCE}/"},
    {"aud": [AUDIENCE]},
    {"aud": ABSENT},
    {"aud": "\x00"},
    {"sub": OTHER_SUBJECT},
    {"sub": ABSENT},
    {"sub": 5},
    {"sub": "%"},
    {"tid": OTHER_TENANT},
    {"tid": ABSENT},
    {"tid": "common"},
    {"iss": ABSENT},
    {"iss": "https://login.microsoftonline.com/common/v2.0"},
    {"iss": f"https://sts.windows.net/{TENANT}/"},
]


@both_databases
@pytest.mark.parametrize("claims", STRANGERS)
def test_who_is_not_trusted_is_refused_without_a_hint(
    app: Flask, issuer: Issuer, claims: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Another application's audience, another service principal of the right directory,
    another directory, another issuer: one and the same answer, and no account's log."""
    trust(app)
    trust(app, "globex", subject=OTHER_TENANT)
    issuer.claims.update(claims)
    text = issuer.id_token("", TENANT)
    answer = ask_with_assertion(app, text, client_id=client_id(app))
    assert "is not trusted here" in refused(answer, 401, "invalid_client")
    assert (events(app), events(app, "globex")) == ([], [])
    assert text not in caplog.text
    assert "an assertion from 127.0.0.1 was refused" in caplog.text


@both_databases
def test_half_a_character_is_no_audience(app: Flask, issuer: Issuer) -> None:
    """JSON can carry it, and a database cannot be asked for it."""
    trust(app)
    issuer.forge = lambda header, claims: encode(header, {**claims, "aud": "\ud800"}, b"x")
    answer = ask_with_assertion(app, issuer.id_token("", TENANT))
    assert "is not trusted here" in refused(answer, 401, "invalid_client")


def test_another_directorys_own_keys_do_not_count(app: Flask, issuer: Issuer) -> None:
    """The trust says whose keys are asked, never the assertion's own ``iss``."""
    trust(app)
    text = issuer.id_token("", OTHER_TENANT)
    refused(ask_with_assertion(app, text), 401, "invalid_client")
    assert issuer.count("discovery") == issuer.count("keys") == 0
    granted(ask_with_assertion(app, issuer.id_token("", TENANT)))


def signed_otherwise(issuer: Issuer, how: str) -> Any:
    """An assertion with good claims and a bad signature."""
    good = issuer.id_token("", TENANT)
    own = new_key("first")  # the name of Microsoft's key, and another key
    parts = jws.extract_compact(good.encode())
    payload = parts.payload
    if how == "none":
        issuer.forge = lambda header, claims: encode({"alg": "none"}, claims)
    elif how == "HS256 with the public key":
        unsigned = encode({"alg": "HS256", "kid": "first"}, json.loads(payload)).rstrip(".")
        digest = hmac.digest(KEYS[0].as_pem(private=False), unsigned.encode(), "sha256")
        return f"{unsigned}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"
    elif how == "another key":
        return jws.serialize_compact({"alg": "RS256", "kid": "first"}, payload, own)
    elif how == "jwk":
        header = {"alg": "RS256", "kid": "first", "jwk": own.as_dict(private=False)}
        return jws.serialize_compact(header, payload, own)
    elif how == "jwk without kid":
        header = {"alg": "RS256", "jwk": own.as_dict(private=False)}
        return jws.serialize_compact(header, payload, own)
    elif how == "jku":
        header = {"alg": "RS256", "kid": "evil", "jku": "https://evil.example/keys"}
        return jws.serialize_compact(header, payload, own)
    elif how == "RS512":
        return jws.serialize_compact(
            {"alg": "RS512", "kid": "first"}, payload, KEYS[0], algorithms=["RS512"]
        )
    elif how.startswith("crit"):
        crit: Any = 5 if how == "crit is no list" else ["b64"]
        header = {"alg": "RS256", "kid": "first", "crit": crit, "b64": True}
        unsigned = encode(header, json.loads(payload)).rstrip(".")
        signature = KEYS[0].get_op_key("sign").sign(unsigned.encode(), PKCS1v15(), SHA256())
        return f"{unsigned}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"
    elif how == "changed afterwards":
        head, _, signature = good.split(".")
        issuer.claims["exp"] = int(time.time()) + 7200
        return f"{head}.{issuer.id_token('', TENANT).split('.')[1]}.{signature}"
    elif how == "kid is no text":
        issuer.forge = lambda _, claims: encode({"alg": "RS256", "kid": 5}, claims, b"x")
    return issuer.id_token("", TENANT)


@pytest.mark.parametrize(
    "how",
    [
        "none",
        "HS256 with the public key",
        "another key",
        "jwk",
        "jwk without kid",
        "jku",
        "RS512",
        "crit",
        "crit is no list",
        "changed afterwards",
        "kid is no text",
    ],
)
def test_a_signature_that_is_not_microsofts_is_refused(
    app: Flask, issuer: Issuer, how: str
) -> None:
    """Like somebody who is not trusted; nothing is fetched from where the assertion points."""
    trust(app)
    answer = ask_with_assertion(app, signed_otherwise(issuer, how), client_id=client_id(app))
    assert "is not trusted here" in refused(answer, 401, "invalid_client")
    assert events(app) == []
    assert {endpoint for endpoint, _ in issuer.asked} <= {"discovery", "keys"}


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "a.b",
        "..",
        "a.b.c.d.e",
        "é.é.é",
        encode({"alg": "RS256"}, []),  # type: ignore[arg-type]
        encode({"alg": "RS256"}, "x"),  # type: ignore[arg-type]
        base64.urlsafe_b64encode(b'{"alg":"RS256"}').decode().rstrip("=") + ".e30x.x",
        base64.urlsafe_b64encode(b"[" * 3000).decode(),
        ".".join([base64.urlsafe_b64encode(b'{"alg":"RS256"}').decode().rstrip("=")] * 2) + ".",
        base64.urlsafe_b64encode(b'{"alg":"RS256"}').decode().rstrip("=")
        + "."
        + base64.urlsafe_b64encode(b"[" * 4000).decode().rstrip("=")
        + ".x",
    ],
)
def test_garbage_is_no_assertion(app: Flask, text: str) -> None:
    """And no fault of the server."""
    answer = ask_with_assertion(app, text)
    assert "is not trusted here" in refused(answer, 401, "invalid_client")


def test_an_assertion_has_a_length(app: Flask, issuer: Issuer) -> None:
    """8 KiB; a good one that is longer is not looked at."""
    trust(app)
    issuer.claims["padding"] = "x" * 5000
    granted(ask_with_assertion(app, issuer.id_token("", TENANT)))
    issuer.claims["padding"] = "x" * 6500
    text = issuer.id_token("", TENANT)
    assert len(text) > 8192
    assert "is not trusted" in refused(ask_with_assertion(app, text), 401, "invalid_client")


@pytest.mark.parametrize(
    ("claims", "good"),
    [
        ({"exp": -50}, True),
        ({"exp": -70}, False),
        ({"exp": ABSENT}, False),
        ({"exp": "soon"}, False),
        ({"nbf": 50}, True),
        ({"nbf": 70}, False),
        ({"nbf": "x"}, False),
        ({"nbf": ABSENT}, True),
        ({"iat": 50}, True),
        ({"iat": 70}, False),
        ({"iat": ABSENT}, False),
        ({"iat": -86300}, True),
        ({"iat": -86500}, False),
    ],
)
def test_an_assertion_is_for_now(
    app: Flask, issuer: Issuer, claims: dict[str, Any], good: bool
) -> None:
    """Give or take a minute. Microsoft signed it for this account, so its log has it."""
    trust(app)
    at = int(time.time())
    issuer.claims.update({k: at + v if isinstance(v, int) else v for k, v in claims.items()})
    answer = ask_with_assertion(app, issuer.id_token("", TENANT))
    if good:
        granted(answer)
    else:
        assert "has expired, or is not valid yet" in refused(answer, 401, "invalid_client")
        assert events(app) == ["oauth.refused"]


def test_a_new_key_of_microsofts_is_found(app: Flask, issuer: Issuer) -> None:
    """By the name in the header, and looked for again once in half a minute."""
    trust(app)
    granted(ask_with_assertion(app, issuer.id_token("", TENANT)))
    issuer.rotate()
    granted(ask_with_assertion(app, issuer.id_token("", TENANT)))
    assert issuer.count("keys") == 2
    issuer.signing_key = new_key("third")
    for _ in range(3):
        refused(ask_with_assertion(app, issuer.id_token("", TENANT)), 401, "invalid_client")
    assert issuer.count("keys") == 2


def test_a_key_has_to_be_named_where_there_are_several(app: Flask, issuer: Issuer) -> None:
    """None is tried in the hope that it fits (OpenID Connect Core §10.1)."""
    trust(app)
    issuer.header = {"kid": ABSENT}
    granted(ask_with_assertion(app, issuer.id_token("", TENANT)))
    issuer.keys = list(KEYS)
    app.extensions["h5mag_scim"].kept["oidc"] = Store()
    for _ in range(5):
        refused(ask_with_assertion(app, issuer.id_token("", TENANT)), 401, "invalid_client")


def test_a_directory_that_does_not_answer_is_no_refusal(app: Flask, issuer: Issuer) -> None:
    """Entra tries again later."""
    trust(app)
    issuer.answers["keys"] = lambda: Response("down", status=500)
    answer = ask_with_assertion(app, issuer.id_token("", TENANT))
    refused(answer, 503, "temporarily_unavailable")
    assert answer.headers["Retry-After"] == "30"


def test_a_cloud_that_is_not_configured_any_more_is_trusted_no_longer(
    app: Flask, issuer: Issuer
) -> None:
    """The host's configuration has the last word."""
    trust(app)
    text = issuer.id_token("", TENANT)
    configure(app, oidc_clouds={})
    refused(ask_with_assertion(app, text), 401, "invalid_client")


@pytest.mark.parametrize("kind", ["", "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"])
def test_the_type_of_the_assertion_is_said(app: Flask, issuer: Issuer, kind: str) -> None:
    """RFC 7523 §2.2; and the assertion itself is there."""
    trust(app)
    text = issuer.id_token("", TENANT)
    answer = ask_with_assertion(app, text, client_assertion_type=kind)
    assert assertion.TYPE in refused(answer, 400, "invalid_request")
    refused(ask_with_assertion(app, ""), 400, "invalid_request")


@both_databases
def test_one_workload_identity_provisions_one_account(app: Flask) -> None:
    """The database decides between two that trust the same; another application of the same
    directory is another workload identity."""
    trust(app)
    for slug in ("acme", "globex"):
        with pytest.raises(federation.FederationError):
            trust(app, slug)
    trust(app, "globex", audience=f"api://{OTHER_TENANT}")
    change(app, scim.FederatedCredential, revoked_at=now())
    trust(app, "globex")


def test_quoting_is_undone_once(app: Flask) -> None:
    """RFC 6749 §2.3.1 encodes the two halves of the header once."""
    secret = make_token(app, "acme")
    twice = quote("".join(f"%{ord(c):02x}" for c in secret))
    refused(ask(app, headers=basic(client_id(app), twice)), 401, "invalid_client")
