"""``attributes`` and ``excludedAttributes`` (RFC 7644 §3.9)."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from flask_h5mag_scim.protocol.projection import Projection
from flask_h5mag_scim.protocol.schemas import CORE_USER, ENTERPRISE_USER, USER

DOCUMENT: dict[str, Any] = {
    "schemas": [CORE_USER],
    "id": "1",
    "userName": "ada",
    "name": {"givenName": "Ada", "familyName": "B"},
    "emails": [{"type": "work", "value": "a@x"}, {"type": "home"}],
    "costume": "hat",
    ENTERPRISE_USER: {"department": "IT", "manager": {"value": "7", "displayName": "B"}},
    "meta": {"resourceType": "User", "location": "/1"},
}
ALWAYS = {"schemas": [CORE_USER], "id": "1"}


def shown(attributes: str | None = None, excluded: str | None = None) -> dict[str, Any]:
    return Projection(USER, attributes, excluded).apply(copy.deepcopy(DOCUMENT))


@pytest.mark.parametrize(
    ("attributes", "parts"),
    [
        ("userName", {"userName": "ada"}),
        ("USERNAME, costume", {"userName": "ada", "costume": "hat"}),
        (f"{CORE_USER}:userName", {"userName": "ada"}),
        ("name.givenName", {"name": {"givenName": "Ada"}}),
        ("name.givenName,name", {"name": DOCUMENT["name"]}),
        ("name,name.givenName", {"name": DOCUMENT["name"]}),
        ("name.givenName,name.familyName", {"name": DOCUMENT["name"]}),
        ("emails.value", {"emails": [{"value": "a@x"}, {}]}),
        ("emails,emails.type", {"emails": DOCUMENT["emails"]}),
        (f"{ENTERPRISE_USER}:department", {ENTERPRISE_USER: {"department": "IT"}}),
        (f"{ENTERPRISE_USER}:manager.value", {ENTERPRISE_USER: {"manager": {"value": "7"}}}),
        (ENTERPRISE_USER, {ENTERPRISE_USER: DOCUMENT[ENTERPRISE_USER]}),
        (f"{ENTERPRISE_USER}:division", {}),
        ("meta.location", {"meta": {"location": "/1"}}),
        ("id", {}),
        ("nobody,((,", {}),
    ],
)
def test_attributes_shows_these_and_what_is_always_returned(
    attributes: str, parts: dict[str, Any]
) -> None:
    """id and schemas come always; an unknown or unreadable name selects nothing."""
    assert shown(attributes) == {**ALWAYS, **parts}


@pytest.mark.parametrize(
    ("excluded", "gone"),
    [
        ("userName", {"userName": None}),
        ("id,schemas", {}),
        ("NAME", {"name": None}),
        ("name.givenName", {"name": {"familyName": "B"}}),
        ("name.givenName,name.familyName", {"name": None}),
        ("emails.value", {"emails": [{"type": "work"}, {"type": "home"}]}),
        (ENTERPRISE_USER, {ENTERPRISE_USER: None}),
        (
            f"{ENTERPRISE_USER}:manager.displayName",
            {ENTERPRISE_USER: {"department": "IT", "manager": {"value": "7"}}},
        ),
        (f"{ENTERPRISE_USER}:manager,{ENTERPRISE_USER}:department", {ENTERPRISE_USER: None}),
        ("nobody", {}),
    ],
)
def test_excluded_attributes_are_left_out(excluded: str, gone: dict[str, Any]) -> None:
    """Everything else stays, no empty shells are left, and id cannot be excluded."""
    expected = {**DOCUMENT, **gone}
    assert shown(None, excluded) == {k: v for k, v in expected.items() if v is not None}


@pytest.mark.parametrize(
    ("attributes", "excluded", "visible", "requested"),
    [
        (None, None, True, False),
        ("", None, True, False),
        ("userName", None, False, True),
        ("GROUPS", None, True, True),
        ("groups.value", None, True, True),
        (None, "groups", False, False),
        (None, "Groups", False, False),
        (None, "groups.value", True, False),
        (None, f"{CORE_USER}:groups", False, False),
        ("groups", "groups", True, True),
    ],
)
def test_what_is_not_shown_need_not_be_read(
    attributes: str | None, excluded: str | None, visible: bool, requested: bool
) -> None:
    """The answer decides whether members are read at all; ``attributes`` wins over its
    opposite."""
    projection = Projection(USER, attributes, excluded)
    assert projection.shows("groups") is visible
    assert projection.requested is requested


def test_without_parameters_the_document_is_left_alone() -> None:
    """The default shows everything."""
    assert shown() == DOCUMENT
