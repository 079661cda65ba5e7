"""Microsoft Entra's conversation, entry for entry."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from ..complete_host import complete
from ..conftest import both_databases, make_token
from .conversation import Conversation, load

#: Entries that the complete host does not satisfy, each with its reason.
NOT_SATISFIED = {
    "oauth-token-client-credentials": "there is no token endpoint yet",
    "oauth-token-workload-identity": "there is no token endpoint yet",
    "oauth-token-wrong-secret": "there is no token endpoint yet",
}

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

#: Entries that the example app does not satisfy besides, although its roles have its names.
NOT_IN_EXAMPLE = {
    "create-eve-many-roles": "a person has one role: of two that are not primary, the higher is",
    "legacy-roles-assertive-replace": "the same",
    "reference-check-hit": "manager is kept by the catch-all, which is not searched",
    "reference-check-miss": "the same",
    "legacy-nested-group-member": "its teams are in no teams",
}


def sender(app: Flask) -> Any:
    """Sends what a conversation says to an application."""
    client = app.test_client()

    def send(method: str, path: str, headers: dict[str, str], body: bytes | None) -> Any:
        answer = client.open(f"/scim/v2{path}", method=method, headers=headers, data=body)
        return answer.status_code, answer.headers, answer.text

    return send


def differing(app: Flask, token: str, entries: list[dict[str, Any]]) -> dict[str, list[str]]:
    """What is wrong with the answers, by the entry's name."""
    conversation = Conversation(sender(app), {"token": token})
    wrong = {e["name"]: conversation.run(e) for e in entries if e["base"] == "scim"}
    return {name: problems for name, problems in wrong.items() if problems}


@pytest.fixture
def complete_app(database_url: str) -> Iterator[Flask]:
    with complete.app(database_url) as app:
        yield app


@both_databases
def test_every_entry_of_the_conversation_is_answered_as_entra_needs_it(complete_app: Flask) -> None:
    """All entries, in order and verbatim, the optional ones as well, against an empty account."""
    entries = load("entra_requests.json")
    assert differing(complete_app, complete.make_token(complete_app, "acme"), entries) == {}
    assert {e["name"] for e in entries if e["base"] != "scim"} == set(NOT_SATISFIED)


def with_roles(name: str) -> list[dict[str, Any]]:
    """A conversation in which roles are called as in the example app, also in JSON that stands
    within a text."""
    names = "|".join(ROLES)
    found = re.compile(rf'(\\?"value\\?":\s*\\?")({names})(?=\\?")')
    text = found.sub(lambda match: match[1] + ROLES[match[2]], json.dumps(load(name)))
    entries: list[dict[str, Any]] = json.loads(text)
    return entries


@both_databases
def test_the_example_app_differs_where_its_own_rules_do(app: Flask) -> None:
    """Only named entries differ, and all of them do."""
    wrong = differing(app, make_token(app, "acme"), with_roles("entra_requests.json"))
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
