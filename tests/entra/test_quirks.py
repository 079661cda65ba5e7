"""Quirks of ENTRA.md §4 that the long conversation does not have."""

from __future__ import annotations

from flask import Flask

from ..conftest import both_databases, make_token
from .conversation import Conversation, load
from .test_conversation import sender


@both_databases
def test_every_quirk_is_answered_as_its_file_says(app: Flask) -> None:
    """All of ``quirks.json``, in order, against an empty account."""
    conversation = Conversation(sender(app), {"token": make_token(app, "acme")})
    wrong = {entry["name"]: conversation.run(entry) for entry in load("quirks.json")}
    assert {name: problems for name, problems in wrong.items() if problems} == {}
