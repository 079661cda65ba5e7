"""Microsoft Entra's conversation, entry for entry."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from ..conftest import both_databases, make_token
from .conversation import Conversation, load

#: Optional entries that this server does not satisfy, each with its reason.
NOT_SATISFIED = {
    "oauth-token-client-credentials": "there is no token endpoint yet",
    "oauth-token-workload-identity": "there is no token endpoint yet",
    "oauth-token-wrong-secret": "there is no token endpoint yet",
    "reference-check-hit": "manager is kept by the catch-all, which is not searched",
    "reference-check-miss": "manager is kept by the catch-all, which is not searched",
    "legacy-nested-group-member": "a member that is no user of the account is refused",
}


def _send(app: Flask) -> Any:
    client = app.test_client()

    def send(method: str, path: str, headers: dict[str, str], body: bytes | None) -> Any:
        answer = client.open(f"/scim/v2{path}", method=method, headers=headers, data=body)
        return answer.status_code, answer.headers, answer.text

    return send


@both_databases
def test_every_entry_of_the_conversation_is_answered_as_entra_needs_it(app: Flask) -> None:
    """All entries, in order, against an empty account; only named optional ones differ."""
    conversation = Conversation(_send(app), {"token": make_token(app, "acme")})
    wrong: dict[str, list[str]] = {}
    for entry in load("entra_requests.json"):
        if entry["base"] == "scim":
            if problems := conversation.run(entry):
                wrong[entry["name"]] = problems
        else:
            assert entry["name"] in NOT_SATISFIED
    unexpected = {name: text for name, text in wrong.items() if name not in NOT_SATISFIED}
    assert not unexpected
    optional = {entry["name"] for entry in load("entra_requests.json") if entry["optional"]}
    assert set(NOT_SATISFIED) <= optional
    assert {name for name in NOT_SATISFIED if not name.startswith("oauth")} == set(wrong)


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
