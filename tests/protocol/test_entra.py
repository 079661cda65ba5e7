"""Microsoft's habits, straightened: JSON in, JSON out (ENTRA.md §4)."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from flask_h5mag_scim.protocol import entra
from flask_h5mag_scim.protocol.schemas import CORE_USER, ENTERPRISE_USER, GROUP, USER

CUSTOM = "urn:ietf:params:scim:schemas:extension:H5mag:2.0:User"
ROLE = json.dumps({"id": "b7", "value": "25", "displayName": "Role1234"})
MANAGER = f"{ENTERPRISE_USER}:manager"


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ('roles[primary eq "True"].value eq "x"', 'roles[primary eq true].value eq "x"'),
        ('roles[PRIMARY EQ "false"]', "roles[PRIMARY EQ false]"),
        ('primary ne "TRUE"', "primary ne true"),
        ('userName eq "primary eq \\"True\\""', 'userName eq "primary eq \\"True\\""'),
        ('type eq "True"', 'type eq "True"'),
        ('notprimary eq "True"', 'notprimary eq "True"'),
    ],
)
def test_a_boolean_compared_with_a_text_is_a_boolean(sent: str, meant: str) -> None:
    """``roles[primary eq "True"]``, but never within a value (ENTRA.md §4.3.5)."""
    assert entra.filter_text(sent) == meant


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ('id eq "1" and manager eq "2"', f'id eq "1" and {ENTERPRISE_USER}:manager eq "2"'),
        ("(MANAGER.value pr)", f"({ENTERPRISE_USER}:MANAGER.value pr)"),
        (f'{ENTERPRISE_USER}:manager eq "2"', f'{ENTERPRISE_USER}:manager eq "2"'),
        ('title eq "the \\"manager eq 1"', 'title eq "the \\"manager eq 1"'),
        ("managers pr or x.manager pr", "managers pr or x.manager pr"),
        ('roles[primary eq "True"]', "roles[primary eq true]"),
    ],
)
def test_a_query_may_leave_the_urn_of_an_enterprise_attribute_out(sent: str, meant: str) -> None:
    """Microsoft's old question whether a reference is there (ENTRA.md §2.7), and never within
    a value."""
    assert entra.query_text(sent) == meant


OPERATIONS = [
    ("op in capitals", {"op": "Replace", "path": "displayName", "value": "x"},
     {"op": "replace", "path": "displayName", "value": "x"}),
    ("op in screams", {"op": "REMOVE", "path": "displayName"},
     {"op": "remove", "path": "displayName"}),
    ("no op", {"path": "displayName", "value": "x"},
     {"op": None, "path": "displayName", "value": "x"}),
    ("active as a text", {"op": "Add", "path": "active", "value": "False"},
     {"op": "add", "path": "active", "value": False}),
    ("a qualified active", {"op": "Add", "path": f"{CORE_USER}:active", "value": "true"},
     {"op": "add", "path": f"{CORE_USER}:active", "value": True}),
    ("no boolean at all", {"op": "replace", "path": "active", "value": "yes"},
     {"op": "replace", "path": "active", "value": "yes"}),
    ("a text that only looks like one", {"op": "replace", "path": "displayName", "value": "True"},
     {"op": "replace", "path": "displayName", "value": "True"}),
    ("primary of an element",
     {"op": "Add", "path": 'emails[type eq "work"].primary', "value": "True"},
     {"op": "add", "path": 'emails[type eq "work"].primary', "value": True}),
    ("primary within a list",
     {"op": "Add", "path": "emails", "value": [{"value": "x", "primary": "False"}]},
     {"op": "add", "path": "emails", "value": [{"value": "x", "primary": False}]}),
    ("primary within brackets",
     {"op": "Add", "path": 'roles[primary eq "True"].value', "value": "x"},
     {"op": "add", "path": "roles[primary eq true].value", "value": "x"}),
    ("the manager as a text", {"op": "Add", "path": MANAGER, "value": "7"},
     {"op": "add", "path": MANAGER, "value": {"value": "7"}}),
    ("the manager as an object", {"op": "Add", "path": MANAGER, "value": {"value": "7"}},
     {"op": "add", "path": MANAGER, "value": {"value": "7"}}),
    ("the manager in a list",
     {"op": "Replace", "path": "manager", "value": [{"$ref": "/7", "value": "7"}]},
     {"op": "replace", "path": MANAGER, "value": {"$ref": "/7", "value": "7"}}),
    ("no manager, as a text", {"op": "Replace", "path": MANAGER, "value": ""},
     {"op": "replace", "path": MANAGER, "value": None}),
    ("no manager, as an object", {"op": "Replace", "path": MANAGER, "value": {"value": ""}},
     {"op": "replace", "path": MANAGER, "value": None}),
    ("no manager, as a list", {"op": "Replace", "path": MANAGER, "value": []},
     {"op": "replace", "path": MANAGER, "value": None}),
    ("the manager's value", {"op": "Add", "path": f"{MANAGER}.value", "value": "7"},
     {"op": "add", "path": f"{MANAGER}.value", "value": "7"}),
    ("an enterprise attribute without URN", {"op": "Add", "path": "department", "value": "IT"},
     {"op": "add", "path": f"{ENTERPRISE_USER}:department", "value": "IT"}),
    ("in another case", {"op": "Add", "path": "EmployeeNumber", "value": "1"},
     {"op": "add", "path": f"{ENTERPRISE_USER}:employeeNumber", "value": "1"}),
    ("nothing, as a text", {"op": "Replace", "path": "displayName", "value": ""},
     {"op": "replace", "path": "displayName", "value": None}),
    ("nothing, as null", {"op": "Replace", "path": "displayName", "value": None},
     {"op": "replace", "path": "displayName", "value": None}),
    ("nothing in a part", {"op": "Replace", "path": "name", "value": {"givenName": ""}},
     {"op": "replace", "path": "name", "value": {"givenName": None}}),
    ("no value is not an empty one", {"op": "Replace", "path": "members"},
     {"op": "replace", "path": "members"}),
    ("a removal of nothing", {"op": "Remove", "path": "members", "value": ""},
     {"op": "remove", "path": "members", "value": ""}),
    ("a removal with a value", {"op": "Remove", "path": "name.givenName", "value": "Ada"},
     {"op": "remove", "path": "name.givenName", "value": "Ada"}),
    ("other members of an operation",
     {"op": "Add", "name": "addMember", "id": 5, "path": "displayName", "value": "x"},
     {"op": "add", "path": "displayName", "value": "x"}),
    ("displayName for display",
     {"op": "Add", "path": "roles", "value": [{"value": "a", "displayName": "A"}]},
     {"op": "add", "path": "roles", "value": [{"value": "a", "display": "A"}]}),
    ("a role in a text", {"op": "Add", "path": "roles", "value": [{"value": ROLE}]},
     {"op": "add", "path": "roles", "value": [{"value": "25", "display": "Role1234"}]}),
    ("a role in a text at its place",
     {"op": "Replace", "path": 'roles[primary eq "True"].value', "value": ROLE},
     {"op": "replace", "path": "roles[primary eq true].value", "value": "25"}),
    ("a text that only looks like a role",
     {"op": "Add", "path": "roles", "value": [{"value": "{x"}]},
     {"op": "add", "path": "roles", "value": [{"value": "{x"}]}),
    ("a role of another shape",
     {"op": "Add", "path": "roles", "value": [{"value": '{"value": 25}'}]},
     {"op": "add", "path": "roles", "value": [{"value": '{"value": 25}'}]}),
    ("a role that cannot be stored",
     {"op": "Add", "path": "roles", "value": [{"value": '{"value": "\\ud800"}'}]},
     {"op": "add", "path": "roles", "value": [{"value": '{"value": "\\ud800"}'}]}),
    ("a role within a role within …",
     {"op": "Add", "path": "roles", "value": [{"value": '{"a":' + "[" * 10**5}]},
     {"op": "add", "path": "roles", "value": [{"value": '{"a":' + "[" * 10**5}]}),
    ("keys that are paths",
     {"op": "replace", "value": {
         "name.givenName": "G", f"{ENTERPRISE_USER}:employeeNumber": "1", "active": "False",
         'emails[type eq "work"].value': "x", "department": "IT", "displayName": ""}},
     {"op": "replace", "path": None, "value": {
         "name.givenName": "G", f"{ENTERPRISE_USER}:employeeNumber": "1", "active": False,
         'emails[type eq "work"].value': "x", f"{ENTERPRISE_USER}:department": "IT",
         "displayName": None}}),
    ("a key that is a schema",
     {"op": "add", "value": {ENTERPRISE_USER: {"manager": "7", "department": ""}}},
     {"op": "add", "path": None,
      "value": {ENTERPRISE_USER: {"manager": {"value": "7"}, "department": None}}}),
    ("a path that is a schema",
     {"op": "add", "path": ENTERPRISE_USER, "value": {"manager": [{"value": "7"}]}},
     {"op": "add", "path": ENTERPRISE_USER, "value": {"manager": {"value": "7"}}}),
    ("a custom extension", {"op": "Add", "path": f"{CUSTOM}:badge", "value": "True"},
     {"op": "add", "path": f"{CUSTOM}:badge", "value": "True"}),
    ("a path that cannot be read", {"op": "Add", "path": "a b[", "value": "True"},
     {"op": "add", "path": "a b[", "value": "True"}),
    ("a key that cannot be read", {"op": "add", "value": {"a b[": "True"}},
     {"op": "add", "path": None, "value": {"a b[": "True"}}),
    ("a path of another type", {"op": "Add", "path": ["x"], "value": "True"},
     {"op": "add", "path": ["x"], "value": "True"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "meant"), [row[1:] for row in OPERATIONS], ids=[row[0] for row in OPERATIONS]
)
def test_an_operation_is_rewritten_to_what_the_rfc_says(sent: Any, meant: Any) -> None:
    """Every quirk of a PATCH; what needs no rewriting passes unchanged."""
    before = copy.deepcopy(sent)
    found = entra.patch([sent], USER)
    assert found == [{"path": None, **meant} if "path" not in sent else meant]
    assert sent == before
    assert entra.patch(found, USER) == found


@pytest.mark.parametrize("operations", [None, 5, "x", {}, [None, 5, "x", []]])
def test_what_is_no_list_of_operations_is_left_for_others_to_refuse(operations: Any) -> None:
    """This room rewrites and never refuses."""
    assert entra.patch(operations, USER) == operations


def test_members_keep_their_value_list() -> None:
    """Legacy ``Remove`` means exactly these; the list is not turned into anything else."""
    value = [{"$ref": None, "value": "1"}, {"value": "2", "displayName": "B"}]
    sent = {"op": "Remove", "path": "members", "value": value}
    assert entra.patch([sent], GROUP) == [
        {
            "op": "remove",
            "path": "members",
            "value": [{"$ref": None, "value": "1"}, {"value": "2", "display": "B"}],
        }
    ]


RESOURCES = [
    ("booleans as texts", {"active": "True", "roles": [{"value": "a", "primary": "True"}]},
     {"active": True, "roles": [{"value": "a", "primary": True}]}),
    ("the manager as a text", {ENTERPRISE_USER: {"manager": "7"}},
     {ENTERPRISE_USER: {"manager": {"value": "7"}}}),
    ("the manager without URN", {"manager": "7"}, {ENTERPRISE_USER: {"manager": {"value": "7"}}}),
    ("no manager", {"manager": ""}, {ENTERPRISE_USER: {"manager": None}}),
    ("an attribute beside its own schema", {"department": "IT", ENTERPRISE_USER: {"division": "D"}},
     {ENTERPRISE_USER: {"department": "IT", "division": "D"}}),
    ("in the other order", {ENTERPRISE_USER: {"division": "D"}, "department": "IT"},
     {ENTERPRISE_USER: {"department": "IT", "division": "D"}}),
    ("the schema in capitals", {"department": "IT", ENTERPRISE_USER.upper(): {"division": "D"}},
     {ENTERPRISE_USER.upper(): {"department": "IT", "division": "D"}}),
    ("both ways", {"department": "bare", ENTERPRISE_USER: {"department": "with URN"}},
     {ENTERPRISE_USER: {"department": "with URN"}}),
    ("a schema that is no object", {"manager": "7", ENTERPRISE_USER: "x"}, {ENTERPRISE_USER: "x"}),
    ("a schema that is null", {"manager": "7", ENTERPRISE_USER: None},
     {ENTERPRISE_USER: {"manager": {"value": "7"}}}),
    ("roles of the complex function",
     {"roles": [{"value": "a", "displayName": "A", "primary": False},
                {"value": ROLE, "type": "t"}]},
     {"roles": [{"value": "a", "display": "A", "primary": False},
                {"value": "25", "display": "Role1234", "type": "t"}]}),
    ("a custom extension", {CUSTOM: {"badge": "True"}}, {CUSTOM: {"badge": "True"}}),
    ("null", {"displayName": None, "manager": None}, {"displayName": None, "manager": None}),
    ("keys that are no paths", {"a b": "True", "": 1}, {"a b": "True", "": 1}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "meant"), [row[1:] for row in RESOURCES], ids=[row[0] for row in RESOURCES]
)
def test_a_resource_is_rewritten_to_what_the_rfc_says(sent: Any, meant: Any) -> None:
    """Every quirk of a POST; a second time changes nothing."""
    before = copy.deepcopy(sent)
    assert entra.resource(sent, USER) == meant
    assert sent == before
    assert entra.resource(meant, USER) == meant
