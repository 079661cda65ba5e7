"""Microsoft Entra's conversation, entry for entry."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from flask_h5mag_scim.records import federation, tokens
from flask_h5mag_scim.web import access_tokens

from ..complete_host import complete
from ..conftest import both_databases, make_token
from ..issuer import CLIENT_ID, Issuer, running
from .conversation import Conversation, Send, load

TENANT = "8f14e45f-ceea-467f-a1d2-3b5c6d7e8f90"
SUBJECT = "0f0f0f0f-aaaa-4bbb-8ccc-d0d0d0d0d0d0"

#: What the roles of the conversation are called in the example app.
ROLES = {
    "Admin": "admin",
    "owner": "admin",
    "approver": "editor",
    "25": "editor",
    "OGCIACGFVVRR": "editor",
    "UOYTUVLKIPND": "editor",
    "Test": "editor",
    "User": "reader",
}

#: Entries that the example app does not satisfy, although its roles have its names.
NOT_IN_EXAMPLE = {
    "create-eve-many-roles": "a person has one role: of two that are not primary, the higher is",
    "legacy-roles-assertive-replace": "the same",
    "reference-check-hit": "manager is kept by the catch-all, which is not searched",
    "reference-check-miss": "the same",
    "legacy-nested-group-member": "its teams are in no teams",
}


def sender(app: Flask, prefix: str = "/scim/v2") -> Send:
    """Sends what a conversation says to an application."""
    client = app.test_client()

    def send(method: str, path: str, headers: dict[str, str], body: bytes | None) -> Any:
        answer = client.open(f"{prefix}{path}", method=method, headers=headers, data=body)
        return answer.status_code, answer.headers, answer.text

    return send


def differing(
    app: Flask, names: dict[str, str], entries: list[dict[str, Any]]
) -> dict[str, list[str]]:
    """What is wrong with the answers, by the entry's name.

    :param names: what stands for the placeholders; a token that an entry asks for is in it
        afterwards.
    """
    bases = {
        "scim": Conversation(sender(app), names),
        "oauth": Conversation(sender(app, "/scim-oauth"), names, "application/json"),
    }
    wrong = {entry["name"]: bases[entry["base"]].run(entry) for entry in entries}
    return {name: problems for name, problems in wrong.items() if problems}


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """Signs as Microsoft does for a workload identity."""
    with running() as found:
        found.claims = {"aud": f"api://{CLIENT_ID}", "sub": SUBJECT, "oid": SUBJECT}
        yield found


def without_bearer_token(app: Flask, api_token: str, issuer: Issuer) -> dict[str, str]:
    """What Entra knows that gets its tokens from the token endpoint: the credentials of the
    account that ``api_token`` opens, which trusts a workload identity as well."""
    state = app.extensions["h5mag_scim"]
    clouds = {**state.config.oidc_clouds, "test": issuer.base}
    state.config = dataclasses.replace(state.config, oidc_clouds=clouds)
    session, records = state.scim.db.session, state.scim.records
    with app.app_context():
        found = tokens.verify(session, records, api_token)
        assert found is not None
        account_id = state.scim.account_key(found.account)
        federation.trust(
            session,
            records,
            account_id,
            name="test",
            cloud="test",
            tenant_id=TENANT,
            subject=SUBJECT,
            audience=f"api://{CLIENT_ID}",
            created_by="test",
        )
        session.commit()
    return {
        "client_id": access_tokens.client_id(account_id),
        "client_secret": api_token,
        "entra_jwt": issuer.id_token("", TENANT),
        "scope": "scim",
    }


@pytest.fixture
def complete_app(database_url: str) -> Iterator[Flask]:
    with complete.app(database_url) as app:
        yield app


@both_databases
def test_every_entry_of_the_conversation_is_answered_as_entra_needs_it(
    complete_app: Flask, issuer: Issuer
) -> None:
    """All entries, in order and verbatim, the optional ones as well, against an empty account;
    the access token of the first one opens it for all that follow."""
    api_token = complete.make_token(complete_app, "acme")
    names = without_bearer_token(complete_app, api_token, issuer)
    assert differing(complete_app, names, load("entra_requests.json")) == {}
    assert names["token"].startswith(access_tokens.PREFIX)


def with_roles(name: str) -> list[dict[str, Any]]:
    """A conversation in which roles are called as in the example app, also in JSON that stands
    within a text."""
    names = "|".join(ROLES)
    found = re.compile(rf'(\\?"value\\?":\s*\\?")({names})(?=\\?")')
    text = found.sub(lambda match: match[1] + ROLES[match[2]], json.dumps(load(name)))
    entries: list[dict[str, Any]] = json.loads(text)
    return entries


@both_databases
def test_the_example_app_differs_where_its_own_rules_do(app: Flask, issuer: Issuer) -> None:
    """Only named entries differ, and all of them do."""
    names = without_bearer_token(app, make_token(app, "acme"), issuer)
    wrong = differing(app, names, with_roles("entra_requests.json"))
    assert {name: text for name, text in wrong.items() if name not in NOT_IN_EXAMPLE} == {}
    assert set(wrong) == set(NOT_IN_EXAMPLE)


@pytest.mark.parametrize("fault", ["status", "body", "after"])
def test_the_runner_sees_a_wrong_answer(fault: str) -> None:
    """An answer that is not what the entry expects is reported, not passed over."""
    entry = {
        "name": "x",
        "method": "GET",
        "path": "/Users/1",
        "headers": {},
        "body": None,
        "expect": {
            "status": 200,
            "body": {"active": False, "emails": [{"type": "work"}]},
            "after": {"path": "/Users/1", "members": ["1"]},
        },
    }
    answers = {
        "status": (404, "{}"),
        "body": (200, '{"active": 0, "emails": [{"type": "home"}], "members": [{"value": "1"}]}'),
        "after": (200, '{"active": false, "emails": [{"type": "work"}], "members": []}'),
    }
    status, text = answers[fault]
    headers = {"Content-Type": "application/scim+json"}
    conversation = Conversation(lambda *sent: (status, headers, text), {"token": "t"})
    assert conversation.run(entry)
