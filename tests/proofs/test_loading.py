"""What is not taken through marshmallow, because it is plainly valid, comes out as from it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from marshmallow import ValidationError

from flask_h5mag_scim.protocol import schemas
from flask_h5mag_scim.protocol.schemas import ENTERPRISE_USER, GROUP, USER, Table

from .effort import examples

TEXTS = st.text(max_size=3)
#: Rarely something that does not belong there.
ODD = st.sampled_from([None, 0, 1.5, True, "", [], {}, ["x"], {"value": 1}, {"value": None}])


def value_of(field: Any) -> st.SearchStrategy[Any]:
    """What an attribute may be sent as."""
    if isinstance(field, schemas.fields.List):
        usual: st.SearchStrategy[Any] = st.lists(value_of(field.inner), max_size=3)
    elif isinstance(field, schemas.Complex):
        usual = members_of(field.sub_attributes)
    else:
        usual = st.booleans() if isinstance(field, schemas.Boolean) else TEXTS
    return st.integers(0, 30).flatmap(lambda odd: ODD if not odd else usual)


def members_of(known: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object with some of the attributes, and now and then one that nobody knows."""
    return st.fixed_dictionaries(
        {}, optional={**{name: value_of(field) for name, field in known.items()}, "pet": ODD}
    )


USERS = st.builds(
    lambda body, name, enterprise: {**body, "userName": name, ENTERPRISE_USER: enterprise},
    members_of({name: field for name, field in USER.core.items() if name != "userName"}),
    TEXTS,
    members_of(USER.extensions[ENTERPRISE_USER]),
)
GROUPS = members_of(GROUP.core)


def loaded(table: Table, body: dict[str, Any]) -> tuple[dict[str, Any] | None, Any]:
    """What becomes of a body: a document, or what is wrong with it."""
    try:
        return table.load(body), None
    except ValidationError as error:
        return None, error.messages


@given(sent=st.tuples(st.just(USER), USERS) | st.tuples(st.just(GROUP), GROUPS))
@examples(300)
def test_a_plain_body_is_what_marshmallow_makes_of_it(sent: tuple[Table, dict[str, Any]]) -> None:
    """And what is wrong is said in the same words."""
    table, body = sent
    before = json.dumps(body)
    found = loaded(table, body)
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(schemas, "_is_plain", lambda *_: False)
        assert found == loaded(table, body)
    assert json.dumps(body) == before
    event("valid" if found[1] is None else "refused")


ALL = {**USER.core, **USER.extensions[ENTERPRISE_USER], **GROUP.core}


@given(
    sent=st.sampled_from(sorted(ALL)).flatmap(
        lambda name: st.tuples(st.just(name), value_of(ALL[name]))
    )
)
@examples(300)
def test_a_plain_value_of_a_patch_is_what_marshmallow_makes_of_it(sent: tuple[str, Any]) -> None:
    """The same for one value that an operation sends."""
    name, value = sent

    def deserialized() -> Any:
        try:
            return schemas.deserialize(ALL[name], value, name), None
        except ValidationError as error:
            return None, error.messages

    found = deserialized()
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(schemas, "_is_taken", lambda *_: False)
        assert found == deserialized()


def test_what_is_plainly_valid_does_not_go_through_marshmallow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A POST of Microsoft's, say: it would take as long as to insert it."""

    def load(*_: Any, **__: Any) -> Any:
        raise AssertionError("it was taken through marshmallow")

    monkeypatch.setattr(schemas.Schema, "load", load)
    body = {
        "userName": "ada",
        "active": True,
        "emails": [{"primary": True, "type": "work", "value": "ada@example.com"}],
        "name": {"givenName": "Ada", "pet": "Tom"},
        "meta": {"resourceType": "User"},
        "roles": [],
    }
    assert USER.load(body) == {name: body[name] for name in body if name != "meta"}
