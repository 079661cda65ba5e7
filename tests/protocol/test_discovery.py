"""``/Schemas`` and its neighbours, read off the attribute table (RFC 7643 §5 to §7)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from flask_h5mag_scim.protocol import discovery
from flask_h5mag_scim.protocol.schemas import (
    CORE_GROUP,
    CORE_USER,
    ENTERPRISE_USER,
    GROUP,
    USER,
    Table,
    Target,
)

BASE = "https://h5mag.example/scim/v2"


def everything(target: Target) -> bool:
    return True


def attributes(table: Table, keeps: Any = everything) -> dict[str, Any]:
    """Described attributes by path, those of extensions too."""
    return {
        ("" if schema["id"] == table.urn else schema["id"] + ":") + path: attribute
        for schema in discovery.schemas(table, keeps, BASE)
        for path, attribute in _walk(schema["attributes"], "")
    }


def _walk(described: list[dict[str, Any]], prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for attribute in described:
        yield prefix + attribute["name"], attribute
        yield from _walk(attribute.get("subAttributes", []), f"{prefix}{attribute['name']}.")


def test_only_what_is_kept_is_published() -> None:
    """Entra's "discover schema" offers what works, sub-attribute for sub-attribute."""
    kept = {
        (None, "userName", None),
        (None, "name", "givenName"),
        (None, "emails", "value"),
        (ENTERPRISE_USER, "manager", "value"),
    }
    found = attributes(USER, lambda target: (target.urn, target.name, target.sub) in kept)
    assert set(found) == {
        "userName",
        "name",
        "name.givenName",
        "emails",
        "emails.value",
        f"{ENTERPRISE_USER}:manager",
        f"{ENTERPRISE_USER}:manager.value",
    }


def test_an_extension_of_which_nothing_is_kept_is_not_there() -> None:
    """An empty schema helps nobody."""
    schemas = discovery.schemas(USER, lambda target: target.urn is None, BASE)
    assert [schema["id"] for schema in schemas] == [CORE_USER]
    schemas = discovery.schemas(USER, everything, BASE)
    assert [schema["id"] for schema in schemas] == [CORE_USER, ENTERPRISE_USER]


@pytest.mark.parametrize(
    ("table", "path", "characteristics"),
    [
        (
            USER,
            "userName",
            {
                "type": "string",
                "multiValued": False,
                "required": True,
                "caseExact": False,
                "mutability": "readWrite",
                "returned": "default",
                "uniqueness": "server",
            },
        ),
        (USER, "externalId", {"caseExact": True, "required": False, "uniqueness": "none"}),
        (USER, "active", {"type": "boolean"}),
        (USER, "name", {"type": "complex", "multiValued": False}),
        (USER, "emails", {"type": "complex", "multiValued": True}),
        (USER, "emails.type", {"canonicalValues": ["work", "home", "other"]}),
        (USER, "profileUrl", {"type": "reference", "referenceTypes": ["external"]}),
        (USER, "x509Certificates.value", {"type": "binary", "caseExact": True}),
        (USER, "groups", {"mutability": "readOnly", "multiValued": True}),
        (USER, "groups.$ref", {"type": "reference", "referenceTypes": ["Group"]}),
        (USER, "password", {"mutability": "writeOnly", "returned": "never"}),
        (USER, f"{ENTERPRISE_USER}:manager.displayName", {"mutability": "readOnly"}),
        (GROUP, "displayName", {"required": True, "uniqueness": "server"}),
        (GROUP, "members.value", {"required": True}),
    ],
)
def test_characteristics_are_those_of_the_table(
    table: Table, path: str, characteristics: dict[str, Any]
) -> None:
    """RFC 7643 §7's members, from the field's class and metadata."""
    described = attributes(table)[path]
    assert {key: described.get(key) for key in characteristics} == characteristics


@pytest.mark.parametrize("table", [USER, GROUP])
def test_every_attribute_is_described_in_full_and_without_null(table: Table) -> None:
    """RFC 7643 §7: each attribute has all its members; a null stops some validators."""
    for path, described in attributes(table).items():
        assert None not in described.values(), path
        needed = {"name", "type", "multiValued", "description", "required", "mutability"}
        assert needed | {"returned", "uniqueness"} <= set(described), path
        assert described["description"].endswith("."), path
        assert ("caseExact" in described) == (
            described["type"] in ("string", "reference", "binary")
        ), path
        assert ("subAttributes" in described) == (described["type"] == "complex"), path


def test_common_attributes_belong_to_no_schema() -> None:
    """RFC 7643 §3.1; only externalId is shown, which Microsoft's validation looks for."""
    found = attributes(USER)
    assert "id" not in found
    assert "meta" not in found
    assert "externalId" in found


def test_a_schema_says_where_it_is() -> None:
    """meta.location is the address by which it is read again."""
    for schema in discovery.schemas(USER, everything, BASE):
        assert schema["schemas"] == ["urn:ietf:params:scim:schemas:core:2.0:Schema"]
        assert schema["meta"] == {
            "resourceType": "Schema",
            "location": f"{BASE}/Schemas/{schema['id']}",
        }


def test_a_resource_type_names_its_schemas() -> None:
    """RFC 7643 §6; without an extension the member is left out."""
    user = discovery.resource_type(USER, "Users", [ENTERPRISE_USER], BASE)
    assert user["schema"] == CORE_USER
    assert user["endpoint"] == "/Users"
    assert user["schemaExtensions"] == [{"schema": ENTERPRISE_USER, "required": False}]
    assert user["meta"]["location"] == f"{BASE}/ResourceTypes/User"
    group = discovery.resource_type(GROUP, "Groups", [], BASE)
    assert group["schema"] == CORE_GROUP
    assert "schemaExtensions" not in group


def test_the_provider_config_promises_only_what_is_there() -> None:
    """RFC 7643 §5: all but the change of passwords, which are never kept."""
    config = discovery.service_provider_config(
        BASE, max_results=7, cursor_lifetime=60, max_operations=8, max_payload=9
    )
    supported = {
        key for key, value in config.items() if isinstance(value, dict) and value.get("supported")
    }
    assert supported == {"patch", "filter", "sort", "bulk", "etag"}
    assert config["bulk"] == {"supported": True, "maxOperations": 8, "maxPayloadSize": 9}
    assert config["filter"]["maxResults"] == 7
    assert config["pagination"] == {
        "cursor": True,
        "index": True,
        "defaultPaginationMethod": "index",
        "defaultPageSize": 7,
        "maxPageSize": 7,
        "cursorTimeout": 60,
    }
    schemes = config["authenticationSchemes"]
    assert [scheme["type"] for scheme in schemes] == ["oauthbearertoken", "oauth2"]
    assert [scheme["primary"] for scheme in schemes] == [True, False]
