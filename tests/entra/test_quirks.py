"""Quirks of ENTRA.md §4 that the long conversation does not have."""

from __future__ import annotations

from flask import Flask

from ..complete_host import complete
from ..conftest import both_databases, make_token
from .conversation import load
from .test_conversation import complete_app, differing, with_roles

__all__ = ["complete_app"]

#: Entries that the example app does not satisfy, each with its reason.
NOT_IN_EXAMPLE = {
    "create-with-bare-enterprise-attributes": "everybody has a role, also who was sent none",
    "stringified-role": "the role that everybody begins with stays beside it",
    "stringified-role-again": "the same",
    "stringified-role-taken-away": "the least role is left",
}


@both_databases
def test_every_quirk_is_answered_as_its_file_says(complete_app: Flask) -> None:
    """All of ``quirks.json``, in order and verbatim, against an empty account."""
    token = complete.make_token(complete_app, "acme")
    assert differing(complete_app, {"token": token}, load("quirks.json")) == {}


@both_databases
def test_the_example_app_differs_where_people_have_one_role(app: Flask) -> None:
    """Only named entries differ, and all of them do."""
    wrong = differing(app, {"token": make_token(app, "acme")}, with_roles("quirks.json"))
    assert {name: text for name, text in wrong.items() if name not in NOT_IN_EXAMPLE} == {}
    assert set(wrong) == set(NOT_IN_EXAMPLE)
