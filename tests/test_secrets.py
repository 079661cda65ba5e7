"""No secret comes back: not on a page, in an answer, the log, an export, the shell, the
application's own log, or the database."""

from __future__ import annotations

import logging
import re
import uuid
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from example_app.models import db
from flask_h5mag_scim.records import tokens

from .conftest import Entra, both_databases
from .web.test_pages import URL, Admin

TENANT = "6f0a1c1e-8f5b-4f0e-9a39-5f3c0d2a7b10"
CLIENT_ID = "3c1f6a34-7c7e-4a0a-9a1e-5b8a7f0c2d11"
#: The Value of a client secret, as Microsoft makes them.
VALUE = "Q~x8Q~vb3-kTz1_yqW0ub.aZr9LpXe7sGdN2oCmH"
PASSWORD = "a-password-in-a-scim-body-77"
SHELL = (
    ("token", "list"),
    ("token", "list", "--json"),
    ("oauth", "list"),
    ("sso", "show"),
    ("sso", "show", "--json"),
    ("log", "tail", "-n", "100"),
    ("log", "tail", "-n", "100", "--json"),
    ("log", "export", "--format", "csv"),
    ("log", "export", "--format", "json"),
)


class Everything:
    """What came out, by where."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}

    def note(self, where: str, text: str) -> None:
        self.found[f"{len(self.found)} {where}"] = text

    def holding(self, secret: str) -> list[str]:
        """Where a secret is found, whole or in a longer part."""
        half = secret[: len(secret) // 2]
        return [where for where, text in self.found.items() if half in text]


@both_databases
def test_secrets_go_in_and_never_come_out(
    app: Flask, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Two tokens, an own registration's secret, a password in a SCIM body, and everything that
    can go wrong with them; then every page, answer, entry, export and command is searched."""
    caplog.set_level(logging.DEBUG)
    seen = Everything()
    admin = Admin(app)

    # The token: shown once, in one answer.
    first = admin.generate()
    token = first.token
    early = Entra(app.test_client(), token)
    seen.note("401 of a draft", early.get("/Users").text)
    admin.save(first, name="Microsoft Entra ID")
    second = admin.generate()
    other = second.token
    admin.save(second)
    seen.note("a third one", admin.press(admin.open(), "generate").text)

    # The secret of an own registration, right and with mistakes beside it.
    typed = {
        "sso_provider": "microsoft",
        "cloud": "global",
        "mode": "redirect",
        "client_id": CLIENT_ID,
        "client_secret": VALUE,
    }
    for directory in ("common", "nonsense", TENANT):
        answer = admin.press(admin.open(), "save", **typed, directory=directory)
        seen.note(f"Save with {directory}", answer.text)
    assert answer.status_code == 303
    seen.note(
        "Save of what is none",
        admin.press(
            admin.open(),
            "save",
            **{**typed, "directory": TENANT, "client_secret": f"{VALUE} {VALUE}"},
        ).text,
    )

    # SCIM, right and wrong.
    entra = Entra(app.test_client(), token)
    user = entra.user(password=PASSWORD, nickName="x")
    seen.note("a user", entra.get(f"/Users/{user['id']}").text)
    for method, path, body in (
        ("PATCH", f"/Users/{user['id']}", {"Operations": [
            {"op": "add", "path": "password", "value": PASSWORD},
            {"op": "add", "value": {"password": PASSWORD}},
        ]}),
        ("PUT", f"/Users/{user['id']}", {"userName": "ada@example.com", "password": PASSWORD}),
        ("POST", "/Users", {"userName": "ada@example.com", "password": PASSWORD}),
        ("POST", "/Users", {"userName": 5, "password": {"value": PASSWORD}}),
        ("POST", "/Users", f'{{"userName": "x", "password": "{PASSWORD}"'),
        ("POST", "/Bulk", {"Operations": [
            {"method": "POST", "path": "/Users", "bulkId": "a",
             "data": {"userName": "ada@example.com", "password": PASSWORD}},
        ]}),
        ("GET", f"/Users?filter=password eq \"{PASSWORD}\"", None),
        ("GET", f"/Users?access_token={other}", None),
    ):  # fmt: skip
        seen.note(f"{method} {path[:20]}", entra.send(method, path, body).text)
    # The 404 says back to whoever asked what was not found; nothing else shall keep it.
    assert entra.get(f"/{other}").status_code == 404
    seen.note("a slip", Entra(app.test_client(), token[:-1] + "x").get("/Users").text)

    # The token endpoint.
    page = admin.open()
    client_id = page.id("h5s-client-id")["value"]
    for secret in (token, token[:-1] + "x", other + "x"):
        form = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": secret,
        }
        answer = app.test_client().post("/scim-oauth/token", data=form)
        seen.note("the token endpoint", answer.text)
    issued = app.test_client().post("/scim-oauth/token", data={**form, "client_secret": token})
    access_token = issued.get_json()["access_token"]

    # Everything that an admin and an operator can look at.
    for url in (
        URL,
        f"{URL}/live",
        f"{URL}/activity",
        f"{URL}/activity?user=ada@example.com",
        f"{URL}/activity/export.csv",
        f"{URL}/activity/export.json",
        f"{URL}/disconnect",
    ):
        answer = admin.client.get(url)
        assert answer.status_code == 200, url
        seen.note(url, answer.text)
        seen.note(f"{url}, headers", str(answer.headers))
    for revoke in re.findall(rf"{URL}/tokens/[0-9a-f-]+/revoke", admin.client.get(URL).text):
        seen.note(revoke, admin.client.get(revoke).text)
    for words in SHELL:
        result = app.test_cli_runner().invoke(args=["scim", *words, "--account", "acme"])
        assert result.exit_code == 0, (words, result.output)
        seen.note(" ".join(words), result.output)
    with app.app_context():
        for table in db.metadata.sorted_tables:
            for row in db.session.execute(sa.select(table)):
                seen.note(f"table {table.name}", repr(tuple(row)))
        db.session.remove()
    with admin.client.session_transaction() as session:
        seen.note("the session", repr(dict(session)))
    seen.note("the application's log", "\n".join(r.getMessage() for r in caplog.records))

    assert len(seen.found) > 40
    for secret in (token, other, VALUE, PASSWORD, app.config["SECRET_KEY"] * 40):
        assert seen.holding(secret) == [], secret
    assert seen.holding(str(app.config["H5MAG_SCIM_OIDC_CLIENT_SECRET"])) == []
    without_answer = {w: t for w, t in seen.found.items() if "token endpoint" not in w}
    assert [w for w, t in without_answer.items() if access_token[:60] in t] == []
    # The look-up key is in its table and nowhere else.
    assert all("table scim_token" in w for w in seen.holding(tokens.hash_text(token)))
    assert seen.holding(tokens.hash_text(token)) != []
    assert uuid.UUID(user["id"])


def test_the_search_would_find_a_secret() -> None:
    """The test above is no good if it cannot fail."""
    seen: Any = Everything()
    seen.note("a page", f"… {VALUE[:25]} …")
    assert seen.holding(VALUE) == ["0 a page"]
