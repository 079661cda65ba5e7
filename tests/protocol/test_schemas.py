"""The attribute table: looking up, loading, and what is said of a wrong value."""

from __future__ import annotations

from typing import Any

import pytest
from marshmallow import ValidationError

from flask_h5mag_scim.protocol.paths import parse_path
from flask_h5mag_scim.protocol.schemas import (
    CORE_GROUP,
    CORE_USER,
    ENTERPRISE_USER,
    GROUP,
    USER,
    deserialize,
    sentences,
)

CUSTOM = "urn:ietf:params:scim:schemas:extension:H5mag:2.0:User"


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("USERNAME", "userName"),
        ("Name.GIVENNAME", "name.givenName"),
        (f"{CORE_USER}:username", "userName"),
        (f"{CORE_USER.upper()}:name.givenname", "name.givenName"),
        (f"{ENTERPRISE_USER.lower()}:Manager.Value", f"{ENTERPRISE_USER}:manager.value"),
        ('EMAILS[TYPE eq "work"].VALUE', 'emails[type eq "work"].value'),
        ('emails[NOT (Type eq "a" or PRIMARY pr)]', 'emails[not ((type eq "a" or primary pr))]'),
        ("costume", "costume"),
        (f"{CUSTOM}:Badge", f"{CUSTOM}:Badge"),
    ],
)
def test_a_path_is_found_without_regard_to_case(text: str, canonical: str) -> None:
    """RFC 7643 §2.1: attribute names are case-insensitive; the core URN may be left out."""
    assert USER.locate(parse_path(text)).text == canonical


@pytest.mark.parametrize(
    ("text", "urn"),
    [
        (ENTERPRISE_USER, ENTERPRISE_USER),
        (ENTERPRISE_USER.upper(), ENTERPRISE_USER),
        (CORE_USER, CORE_USER),
        (CUSTOM, CUSTOM),
    ],
)
def test_a_bare_urn_names_a_whole_schema(text: str, urn: str) -> None:
    """``urn:…:2.0:User`` is a container and not the attribute ``User`` (DESIGN §13.3)."""
    target = USER.locate(parse_path(text))
    assert target.container
    assert target.urn == urn
    assert target.text == urn


def test_what_nobody_knows_has_no_field() -> None:
    """Unknown attributes are located all the same; the map decides about them."""
    for text in ("costume", "name.pet", f"{ENTERPRISE_USER}:shoe", f"{CUSTOM}:badge"):
        target = USER.locate(parse_path(text))
        assert target.leaf is None
        assert not target.read_only


@pytest.mark.parametrize(
    "text",
    [
        "id",
        "meta",
        "meta.created",
        "groups",
        "groups.value",
        f"{ENTERPRISE_USER}:manager.displayName",
    ],
)
def test_read_only_is_known_of_attributes_and_their_parts(text: str) -> None:
    """A part of a read-only attribute is read-only, and so is a read-only part."""
    assert USER.locate(parse_path(text)).read_only


def test_load_brings_names_to_the_schema_s_spelling_and_drops_nulls() -> None:
    """RFC 7643 §2.5: null is "not there", at any depth; core attributes may come in the
    core schema's own URN."""
    assert USER.load(
        {
            "schemas": [CORE_USER],
            "USERNAME": "ada",
            "displayName": None,
            "Name": {"GIVENNAME": "Ada", "familyName": None, "pet": {"a": None, "b": 1}},
            "emails": [None, {"TYPE": "work", "Value": "a@x", "display": None}],
            CORE_USER.lower(): {"nickname": "A"},
            ENTERPRISE_USER.upper(): {"DEPARTMENT": "IT", "division": None},
            "costume": {"hat": None, "list": [None, {"x": None}]},
        }
    ) == {
        "userName": "ada",
        "name": {"givenName": "Ada", "pet": {"b": 1}},
        "emails": [{"type": "work", "value": "a@x"}],
        "nickName": "A",
        ENTERPRISE_USER: {"department": "IT"},
        "costume": {"list": [{}]},
    }


def test_load_leaves_read_only_attributes_out_even_when_they_are_wrong() -> None:
    """RFC 7644 §3.3: read-only attributes "SHALL be ignored"."""
    assert USER.load(
        {
            "userName": "ada",
            "id": 5,
            "meta": "x",
            "groups": [1],
            ENTERPRISE_USER: {"manager": {"value": "1", "displayName": 7}},
        }
    ) == {"userName": "ada", ENTERPRISE_USER: {"manager": {"value": "1"}}}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "userName: Missing data for required field."),
        ({"userName": None}, "userName: Missing data for required field."),
        ({"userName": ""}, "userName: Shorter than minimum length 1."),
        ({"userName": 5}, "userName: Not a valid string."),
        ({"userName": "a", "active": "true"}, "active: Not true or false."),
        ({"userName": "a", "active": 1}, "active: Not true or false."),
        ({"userName": "a", "name": "Ada"}, "name: Invalid input type."),
        ({"userName": "a", "name": {"givenName": 1}}, "name.givenName: Not a valid string."),
        ({"userName": "a", "emails": "a@x"}, "emails: Not a valid list."),
        (
            {"userName": "a", "emails": [{"value": "ok"}, {"value": 1}]},
            "emails[1].value: Not a valid string.",
        ),
        ({"userName": "a", ENTERPRISE_USER: "x"}, f"{ENTERPRISE_USER}: Not an object."),
        (
            {"userName": "a", ENTERPRISE_USER: {"department": 1}},
            f"{ENTERPRISE_USER}:department: Not a valid string.",
        ),
    ],
)
def test_a_wrong_value_is_told_with_its_path(body: dict[str, Any], sentence: str) -> None:
    """The sentence names the attribute down to the element."""
    with pytest.raises(ValidationError) as refused:
        USER.load(body)
    assert sentences(refused.value.messages) == [sentence]


def test_all_that_is_wrong_is_told_at_once() -> None:
    """One round trip tells an admin everything, also from the extension."""
    with pytest.raises(ValidationError) as refused:
        USER.load({"active": 0, ENTERPRISE_USER: {"costCenter": []}})
    assert len(sentences(refused.value.messages)) == 3


def test_the_last_of_several_primary_values_has_it() -> None:
    """RFC 7643 §2.4: "true" MUST appear no more than once in a list."""
    loaded = USER.load(
        {"userName": "a", "ims": [{"value": "1", "primary": True}, {"value": "2", "primary": True}]}
    )
    assert [element["primary"] for element in loaded["ims"]] == [False, True]


def test_a_group_needs_a_name_and_its_members_values() -> None:
    """displayName is required here, because Entra matches groups by it."""
    with pytest.raises(ValidationError) as refused:
        GROUP.load({"schemas": [CORE_GROUP], "members": [{"type": "User"}]})
    assert set(sentences(refused.value.messages)) == {
        "members[0].value: Missing data for required field.",
        "displayName: Missing data for required field.",
    }


@pytest.mark.parametrize(
    ("path", "value", "loaded"),
    [
        ("userName", "x", "x"),
        ("emails", {"VALUE": "x", "type": None}, [{"value": "x"}]),
        ("emails", [None, {"value": "x"}], [{"value": "x"}]),
        ("name", {"GivenName": "x", "pet": None}, {"givenName": "x"}),
        (f"{ENTERPRISE_USER}:manager", {"value": "1", "displayName": "B"}, {"value": "1"}),
        ("costume", {"a": None, "b": [None, 1]}, {"b": [1]}),
    ],
)
def test_one_value_is_loaded_by_its_own_field(path: str, value: Any, loaded: Any) -> None:
    """A PATCH's value is respelled, freed of nulls and read-only parts, and checked."""
    assert deserialize(USER.locate(parse_path(path)).field, value, path) == loaded


def test_one_wrong_value_is_told_with_the_path_it_was_aimed_at() -> None:
    """The operation's path stands in front of marshmallow's message."""
    target = USER.locate(parse_path('emails[type eq "work"].value'))
    with pytest.raises(ValidationError) as refused:
        deserialize(target.leaf, 5, target.text)
    assert sentences(refused.value.messages) == [
        'emails[type eq "work"].value: Not a valid string.'
    ]
