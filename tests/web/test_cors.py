"""Requests from scripts of other origins: validators that run in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from flask_h5mag_scim.state import EXTENSION

from ..conftest import Entra, error_of

ORIGIN = "https://validator.example"


@pytest.fixture
def allowed(app: Flask) -> Iterator[None]:
    state = app.extensions[EXTENSION]
    before = state.config
    state.config = replace(before, cors_origins=(ORIGIN, "http://localhost:8080"))
    yield
    state.config = before


def preflight(entra: Entra, origin: str, path: str = "/Users"):
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    return entra.client.options(f"/scim/v2{path}", headers=headers)


@pytest.mark.parametrize("path", ["/Users", "/Users/x", "/nothing", ""])
def test_a_preflight_needs_no_token(entra: Entra, allowed: None, path: str) -> None:
    """Browsers send none with it."""
    answer = preflight(entra, ORIGIN, path)
    assert (answer.status_code, answer.data) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert "PATCH" in answer.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    assert "If-Match" in answer.headers["Access-Control-Allow-Headers"]
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Origin" in answer.vary


def test_answers_can_be_read_errors_too(entra: Entra, allowed: None) -> None:
    """ "Failed to fetch" is what a validator shows otherwise."""
    user = entra.user("ada")
    headers = {"Origin": ORIGIN}
    answers = [
        entra.get(f"/Users/{user['id']}", headers=headers),
        entra.post("/Users", {"userName": "bo"}, headers=headers),
        entra.get("/Users/x", headers=headers),
        entra.post("/Users", "{", headers=headers),
        entra.get("/nothing", headers=headers),
        entra.send("OPTIONS", "/Users", headers=headers),
        entra.post("/Users", "x" * 5_000_000, headers=headers),
        Entra(entra.client, "wrong").get("/Users", headers=headers),
        entra.delete(f"/Users/{user['id']}", headers=headers),
    ]
    assert [answer.status_code for answer in answers] == [
        *(200, 201, 404, 400, 404, 405, 413, 401, 204)
    ]
    for answer in answers:
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert "ETag" in answer.headers["Access-Control-Expose-Headers"]
        assert "Origin" in answer.vary


@pytest.mark.parametrize(
    "origin",
    [
        "https://other.example",
        f"{ORIGIN}.evil.example",
        f"{ORIGIN}:444",
        "http://validator.example",
        "null",
        "*",
    ],
)
def test_other_origins_get_no_leave(entra: Entra, allowed: None, origin: str) -> None:
    """Exactly those that are configured; the answer varies by origin nevertheless."""
    for answer in (preflight(entra, origin), entra.get("/Users", headers={"Origin": origin})):
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert "Access-Control-Allow-Methods" not in answer.headers
        assert "Origin" in answer.vary


def test_without_configuration_there_is_nothing_of_it(entra: Entra) -> None:
    """No header, and an OPTIONS that is no preflight is a wrong verb as ever."""
    for answer in (preflight(entra, ORIGIN), entra.get("/Users", headers={"Origin": ORIGIN})):
        assert not [name for name in dict(answer.headers) if name.startswith("Access-Control")]
        assert "Origin" not in answer.vary
    error_of(entra.send("OPTIONS", "/Users"), 405)
