"""PATCH as a function of documents (RFC 7644 §3.5.2)."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest
from marshmallow import ValidationError

from flask_h5mag_scim.protocol import patch
from flask_h5mag_scim.protocol.errors import (
    InvalidPath,
    InvalidSyntax,
    InvalidValue,
    Mutability,
    NoTarget,
    SCIMError,
)
from flask_h5mag_scim.protocol.schemas import CORE_USER, ENTERPRISE_USER, GROUP, USER, Target

CUSTOM = "urn:ietf:params:scim:schemas:extension:H5mag:2.0:User"
MISSING = object()

BEFORE: dict[str, Any] = {
    "userName": "ada",
    "active": True,
    "displayName": "Ada",
    "name": {"givenName": "Ada", "familyName": "B"},
    "emails": [
        {"type": "work", "value": "w@x", "primary": True},
        {"type": "home", "value": "h@x"},
    ],
    ENTERPRISE_USER: {"department": "IT", "manager": {"value": "1"}},
    "costume": "hat",
    "hats": ["a", "b"],
}
WORK, HOME = BEFORE["emails"]


def op(op: str, path: str | None = None, value: Any = MISSING) -> dict[str, Any]:
    one = {"op": op} if path is None else {"op": op, "path": path}
    return one if value is MISSING else {**one, "value": value}


def applied(
    *operations: dict[str, Any],
    before: dict[str, Any] = BEFORE,
    keeps: Any = lambda target: True,
    table: Any = USER,
) -> tuple[dict[str, Any], list[str]]:
    return patch.apply(before, patch.parse(operations, table), keeps)


def changed(*operations: dict[str, Any]) -> dict[str, Any]:
    """What differs from BEFORE; ``None`` for what is gone."""
    after, ignored = applied(*operations)
    assert ignored == []
    return {k: after.get(k) for k in {**BEFORE, **after} if after.get(k) != BEFORE.get(k)}


SIMPLE = [
    (op("add", "nickName", "A"), {"nickName": "A"}),
    (op("add", "displayName", "B"), {"displayName": "B"}),
    (op("replace", "displayName", "B"), {"displayName": "B"}),
    (op("replace", "nickName", "A"), {"nickName": "A"}),
    (op("replace", "DISPLAYNAME", "Ada"), {}),
    (op("remove", "displayName"), {"displayName": None}),
    (op("remove", "displayName", "whatever"), {"displayName": None}),
    (op("remove", "nickName"), {}),
    (op("replace", "displayName", None), {"displayName": None}),
    (op("add", "displayName", None), {}),
    (op("replace", "active", False), {"active": False}),
    (op("replace", f"{CORE_USER}:displayName", "B"), {"displayName": "B"}),
]
COMPLEX = [
    (op("add", "name.givenName", "B"), {"name": {"givenName": "B", "familyName": "B"}}),
    (op("add", "name.middleName", "M"), {"name": {**BEFORE["name"], "middleName": "M"}}),
    (op("remove", "name.givenName"), {"name": {"familyName": "B"}}),
    (op("replace", "name.givenName", None), {"name": {"familyName": "B"}}),
    (op("add", "name", {"givenName": "B"}), {"name": {"givenName": "B", "familyName": "B"}}),
    (op("replace", "name", {"GIVENNAME": "B"}), {"name": {"givenName": "B", "familyName": "B"}}),
    (op("replace", "name", {"givenname": None}), {"name": {"familyName": "B"}}),
    (op("replace", "name", {"givenName": None, "familyName": None}), {"name": None}),
    (op("remove", "name"), {"name": None}),
    (op("replace", "name", None), {"name": None}),
]
LISTS = [
    (op("add", "emails", {"value": "n@x"}), {"emails": [WORK, HOME, {"value": "n@x"}]}),
    (op("add", "emails", [{"value": "n@x"}]), {"emails": [WORK, HOME, {"value": "n@x"}]}),
    (op("add", "emails", [{"value": "w@x", "type": "work"}]), {}),
    (op("add", "emails", [{}, None]), {}),
    (op("replace", "emails", [{"value": "n@x"}]), {"emails": [{"value": "n@x"}]}),
    (op("replace", "emails", []), {"emails": None}),
    (op("replace", "emails", None), {"emails": None}),
    (op("remove", "emails"), {"emails": None}),
    (op("remove", "emails", [{"value": "h@x", "$ref": None}]), {"emails": [WORK]}),
    (op("remove", "emails", {"type": "home"}), {"emails": [WORK]}),
    (op("remove", "emails", ["h@x"]), {"emails": [WORK]}),
    (op("remove", "emails", [{"value": "other"}]), {}),
    (op("remove", "emails", [{}]), {}),
    (op("remove", "emails", []), {}),
    (op("remove", "emails", ""), {}),
    (
        op("replace", "emails.value", "n@x"),
        {"emails": [{**WORK, "value": "n@x"}, {**HOME, "value": "n@x"}]},
    ),
    (op("remove", "emails.value"), {"emails": None}),
    (op("add", "ims.value", "n"), {"ims": [{"value": "n"}]}),
    (
        op("add", "emails", [{"value": "n@x", "primary": True}]),
        {"emails": [{**WORK, "primary": False}, HOME, {"value": "n@x", "primary": True}]},
    ),
    (
        op("add", "emails", [{**HOME, "primary": True}]),
        {"emails": [{**WORK, "primary": False}, {**HOME, "primary": True}]},
    ),
    (
        op("add", "emails", [{**WORK, "primary": False}]),
        {"emails": [{**WORK, "primary": False}, HOME]},
    ),
    (
        op("add", "emails", [{"primary": True}]),
        {},
    ),
]
VALUE_PATHS = [
    (
        op("replace", 'emails[type eq "WORK"].value', "n@x"),
        {"emails": [{**WORK, "value": "n@x"}, HOME]},
    ),
    (
        op("add", 'emails[type eq "other"].value', "n@x"),
        {"emails": [WORK, HOME, {"type": "other", "value": "n@x"}]},
    ),
    (
        op("replace", 'ims[type eq "a" and primary eq true].value', "n"),
        {"ims": [{"type": "a", "primary": True, "value": "n"}]},
    ),
    (
        op("add", 'emails[type eq "home"]', {"display": "H"}),
        {"emails": [WORK, {**HOME, "display": "H"}]},
    ),
    (
        op("replace", 'emails[type eq "work"]', {"value": "n@x"}),
        {"emails": [{"type": "work", "value": "n@x"}, HOME]},
    ),
    (op("replace", 'emails[type eq "home"]', {"value": None}), {"emails": [WORK]}),
    (op("replace", 'emails[type eq "home"].value', None), {"emails": [WORK]}),
    (op("remove", 'emails[type eq "home"].value'), {"emails": [WORK]}),
    (op("remove", 'emails[type eq "home"]'), {"emails": [WORK]}),
    (op("remove", 'emails[type eq "other"]'), {}),
    (op("remove", "emails[value pr]"), {"emails": None}),
    (op("remove", 'emails[not (type eq "work")]'), {"emails": [WORK]}),
    (
        op("add", 'emails[type eq "home"].primary', True),
        {"emails": [{**WORK, "primary": False}, {**HOME, "primary": True}]},
    ),
    (
        op("replace", 'emails[value ew "@x"].display', "D"),
        {"emails": [{**WORK, "display": "D"}, {**HOME, "display": "D"}]},
    ),
]
EXTENSIONS = [
    (
        op("add", f"{ENTERPRISE_USER}:division", "D"),
        {ENTERPRISE_USER: {**BEFORE[ENTERPRISE_USER], "division": "D"}},
    ),
    (
        op("replace", f"{ENTERPRISE_USER}:manager.value", "2"),
        {ENTERPRISE_USER: {"department": "IT", "manager": {"value": "2"}}},
    ),
    (op("remove", f"{ENTERPRISE_USER}:manager"), {ENTERPRISE_USER: {"department": "IT"}}),
    (
        op("replace", ENTERPRISE_USER, {"DEPARTMENT": "HR"}),
        {ENTERPRISE_USER: {"department": "HR", "manager": {"value": "1"}}},
    ),
    (op("remove", ENTERPRISE_USER), {ENTERPRISE_USER: None}),
    (op("replace", ENTERPRISE_USER, None), {ENTERPRISE_USER: None}),
    (op("add", ENTERPRISE_USER, None), {}),
    (op("replace", CORE_USER, {"displayName": "B", "id": "5"}), {"displayName": "B"}),
    (op("add", f"{CUSTOM}:badge", "7"), {CUSTOM: {"badge": "7"}}),
    (op("add", CUSTOM, {"badge": "7"}), {CUSTOM: {"badge": "7"}}),
]
CUSTOMS = [
    (op("add", "shoe", 43), {"shoe": 43}),
    (op("replace", "costume", {"hat": 1}), {"costume": {"hat": 1}}),
    (op("add", "shoe.size", 43), {"shoe": {"size": 43}}),
    (op("add", "hats", ["b", "c"]), {"hats": ["a", "b", "c"]}),
    (op("replace", "hats", ["c"]), {"hats": ["c"]}),
    (op("remove", "hats", ["a"]), {"hats": ["b"]}),
    (op("remove", "hats"), {"hats": None}),
    (op("add", 'shoes[type eq "left"].size', 43), {"shoes": [{"type": "left", "size": 43}]}),
    (op("add", f"{CORE_USER}:role", "editor"), {"role": "editor"}),
]
PATHLESS = [
    (op("add", value={"nickName": "A", "displayName": "B"}), {"nickName": "A", "displayName": "B"}),
    (
        op("replace", value={"name": {"givenName": "B"}}),
        {"name": {"givenName": "B", "familyName": "B"}},
    ),
    (op("replace", value={"name.givenName": "B"}), {"name": {"givenName": "B", "familyName": "B"}}),
    (
        op("replace", value={'emails[type eq "home"].value': "n@x"}),
        {"emails": [WORK, {**HOME, "value": "n@x"}]},
    ),
    (
        op("replace", value={f"{ENTERPRISE_USER}:department": "HR"}),
        {ENTERPRISE_USER: {**BEFORE[ENTERPRISE_USER], "department": "HR"}},
    ),
    (
        op("replace", value={ENTERPRISE_USER: {"department": "HR"}}),
        {ENTERPRISE_USER: {**BEFORE[ENTERPRISE_USER], "department": "HR"}},
    ),
    (
        op(
            "replace",
            value={"schemas": [CORE_USER], "id": "9", "meta": {}, "groups": [], "displayName": "B"},
        ),
        {"displayName": "B"},
    ),
    (op("replace", value={"displayName": None}), {"displayName": None}),
    (op("add", "", {"displayName": "B"}), {"displayName": "B"}),
    (op("add", value={}), {}),
]


@pytest.mark.parametrize(
    ("operation", "difference"),
    [*SIMPLE, *COMPLEX, *LISTS, *VALUE_PATHS, *EXTENSIONS, *CUSTOMS, *PATHLESS],
)
def test_one_operation_changes_this_and_nothing_else(
    operation: dict[str, Any], difference: dict[str, Any]
) -> None:
    """add, replace and remove on every kind of attribute (RFC 7644 §3.5.2.1 to §3.5.2.3)."""
    untouched = copy.deepcopy(BEFORE)
    assert changed(operation) == difference
    assert untouched == BEFORE


def test_adding_to_a_custom_complex_attribute_keeps_its_other_parts() -> None:
    """A custom attribute behaves like those that a schema knows."""
    before = {"userName": "a", "shoe": {"size": 43}}
    after, _ = applied(op("add", "shoe", {"colour": "red"}), before=before)
    assert after["shoe"] == {"size": 43, "colour": "red"}


def test_operations_apply_in_order_and_see_each_other() -> None:
    """RFC 7644 §3.5.2: "each operation … is applied in sequence"."""
    assert changed(
        op("add", "nickName", "1"),
        op("replace", "nickName", "2"),
        op("remove", "displayName"),
        op("add", "displayName", "D"),
    ) == {"nickName": "2", "displayName": "D"}
    assert changed(op("add", "nickName", "1"), op("remove", "nickName")) == {}


def test_several_operations_with_one_filter_end_in_one_element() -> None:
    """The first makes the element, the others find it (ENTRA.md §4.3.4)."""
    path = 'addresses[type eq "work"]'
    after = changed(
        op("add", f"{path}.locality", "L"),
        op("add", f"{path}.country", "NL"),
        op("replace", f"{path}.primary", True),
    )
    assert after == {
        "addresses": [{"type": "work", "locality": "L", "country": "NL", "primary": True}]
    }


def test_a_failing_operation_leaves_the_input_as_it_was() -> None:
    """A PATCH is atomic: what went before the fault did not happen."""
    before = copy.deepcopy(BEFORE)
    with pytest.raises(Mutability):
        applied(
            op("replace", 'emails[type eq "work"].value', "n@x"),
            op("remove", "name"),
            op("replace", "id", "5"),
            before=before,
        )
    assert before == BEFORE


REFUSED = [
    (op("move", "displayName", "x"), InvalidSyntax),
    (op("Add", "displayName", "x"), InvalidSyntax),
    ({"path": "displayName", "value": "x"}, InvalidSyntax),
    ({"op": ["add"], "path": "displayName", "value": "x"}, InvalidSyntax),
    ({"op": "add", "path": 5, "value": "x"}, InvalidSyntax),
    (op("add", "displayName"), InvalidSyntax),
    (op("replace", "displayName"), InvalidSyntax),
    (op("add"), InvalidSyntax),
    (op("add", value="x"), InvalidSyntax),
    (op("replace", value=[{"displayName": "x"}]), InvalidSyntax),
    (op("remove"), NoTarget),
    (op("remove", value={"displayName": "x"}), NoTarget),
    (op("add", "a b", "x"), InvalidPath),
    (op("add", value={"a b": "x"}), InvalidPath),
    (op("add", "userName.foo", "x"), InvalidPath),
    (op("remove", "active.foo"), InvalidPath),
    (op("add", 'name[type eq "x"].givenName', "x"), InvalidPath),
    (op("add", 'displayName[type eq "x"]', "x"), InvalidPath),
    (op("add", value={"userName.foo": "x"}), InvalidPath),
    (op("add", ENTERPRISE_USER, "x"), InvalidValue),
    (op("replace", "id", "x"), Mutability),
    (op("replace", "meta.created", "x"), Mutability),
    (op("add", "groups", [{"value": "1"}]), Mutability),
    (op("replace", f"{ENTERPRISE_USER}:manager.displayName", "x"), Mutability),
    (op("remove", "userName"), Mutability),
    (op("replace", "userName", None), InvalidValue),
    (op("replace", "userName", ""), ValidationError),
    (op("replace", "active", "no"), ValidationError),
    (op("replace", "displayName", 5), ValidationError),
    (op("replace", "name", "Ada"), ValidationError),
    (op("add", "emails", ["w@x"]), ValidationError),
    (op("replace", 'emails[type eq "work"].value', 5), ValidationError),
    (op("add", "emails[type eq 5].value", "x"), ValidationError),
    (op("add", 'emails[type eq "a" or type eq "b"].value', "x"), NoTarget),
    (op("replace", 'emails[type sw "x"].value', "x"), NoTarget),
    # What would be made would not match itself.
    (op("replace", 'emails[value eq "gone@x"].value', "new@x"), NoTarget),
    (op("add", 'phoneNumbers[type eq "work"]', {"type": "home", "value": "1"}), NoTarget),
    (op("add", 'hats[type eq "x"]', "x"), InvalidValue),
]


@pytest.mark.parametrize(("operation", "error"), REFUSED)
def test_an_operation_that_cannot_be_is_refused(
    operation: dict[str, Any], error: type[Exception]
) -> None:
    """Each fault has RFC 7644 table 9's scimType; a required attribute's removal is
    mutability (§3.5.2.2)."""
    with pytest.raises((SCIMError, ValidationError)) as refused:
        applied(operation)
    assert type(refused.value) is error


def test_a_required_attribute_of_a_group_is_not_removed() -> None:
    """displayName is required of groups, and of users it is not."""
    with pytest.raises(Mutability, match="displayName"):
        applied(op("remove", "displayName"), before={"displayName": "G"}, table=GROUP)


def test_what_the_host_does_not_keep_is_ignored_and_named_once() -> None:
    """One foreign attribute must not stop a whole user (ENTRA.md §4.3.11)."""

    def keeps(target: Target) -> bool:
        return target.name not in ("nickName", "costume") and target.sub != "middleName"

    after, ignored = applied(
        op("add", "nickName", 5),
        op("replace", "NICKNAME", "x"),
        op("remove", "costume"),
        op("add", value={"name.middleName": "M", "displayName": "B"}),
        keeps=keeps,
    )
    assert after == {**BEFORE, "displayName": "B"}
    assert ignored == ["nickName", "costume", "name.middleName"]


def test_deactivation_does_not_fail_on_an_old_bad_value() -> None:
    """Only what is sent is validated (DESIGN §13.13)."""
    before = {"userName": "", "active": True, "displayName": 5, "emails": [{"value": 7}]}
    after, _ = applied(op("replace", "active", False), before=before)
    assert after == {**before, "active": False}


def test_a_list_has_an_end() -> None:
    """Each new value is compared with all others: thousands would cost minutes."""
    values = [{"value": str(n)} for n in range(patch.MAX_ELEMENTS)]
    after, _ = applied(op("replace", "ims", values))
    assert len(after["ims"]) == patch.MAX_ELEMENTS
    with pytest.raises(InvalidValue, match="ims has more than"):
        applied(op("add", "ims", [{"value": "one more"}]), before=after)
    with pytest.raises(InvalidValue, match=r"^ims\[type eq \"x\"\]\.value: there are 1000 values"):
        applied(op("add", 'ims[type eq "x"].value', "one more"), before=after)


@pytest.mark.parametrize(
    ("path", "value", "enough"),
    [
        ("entitlements", [{"value": str(n)} for n in range(500)], 3),
        ("costumes", [{"colour": n} for n in range(500)], 3),
        ('entitlements[value pr and not (value eq "x")].display', "new", 200),
        (f"entitlements[{' or '.join(['value pr'] * 90)}].display", "new", 4),
    ],
)
def test_the_operations_of_a_request_have_an_end_together(
    path: str, value: Any, enough: int
) -> None:
    """A request of 200 KB could otherwise be compared for minutes."""
    before = {**BEFORE, "entitlements": [{"value": str(n)} for n in range(900)]}
    one = op("replace" if isinstance(value, list) else "add", path, value)
    applied(*[one] * enough, before=before)
    with pytest.raises(InvalidValue, match="too many values for one request"):
        applied(*[one] * 4 * enough, before=before)


def test_thousands_of_foreign_attributes_are_ignored() -> None:
    """Each is named once, however many there are."""
    paths = [f"foreign{n}" for n in range(20_000)]
    began = time.process_time()
    _, ignored = applied(*(op("add", path, 1) for path in paths * 2), keeps=lambda target: False)
    assert ignored == paths
    # Of the process alone: who compares each with all the others takes minutes.
    assert time.process_time() - began < 10


def test_a_long_op_is_not_echoed_whole() -> None:
    """The sentence stays one that people can read."""
    with pytest.raises(InvalidSyntax) as refused:
        applied(op("x" * 5000, "displayName", "x"))
    assert len(refused.value.detail) < 200
