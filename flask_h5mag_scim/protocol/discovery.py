"""``/Schemas``, ``/ResourceTypes`` and ``/ServiceProviderConfig`` (RFC 7644 §4), read off
the attribute table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from marshmallow import fields

from .schemas import Complex, Table, Target

SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Schema"
RESOURCE_TYPE = "urn:ietf:params:scim:schemas:core:2.0:ResourceType"
SERVICE_PROVIDER_CONFIG = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"

#: Common attributes belong to every resource and to no schema (RFC 7643 §3.1). Microsoft's
#: gallery validation looks for externalId in the schema nevertheless.
_COMMON = frozenset({"id", "meta"})


#: The values that a host suggests for an attribute, and for a reference the types that it
#: leads to; ``None`` for those of the RFC.
Canonical = Callable[[Target], Sequence[str] | None]


def schemas(
    table: Table,
    keeps: Callable[[Target], bool],
    base: str,
    canonical: Canonical = lambda target: None,
) -> list[dict[str, Any]]:
    """The resource's schema and those of its extensions, with the attributes that this
    host keeps and no others: what is published must be stored and returned.

    :param base: the SCIM address, for ``meta.location``.
    :param canonical: the values that this host suggests; a client may learn from them which
        elements of a multi-valued attribute there are.
    """
    found = [_schema(table.urn, table.schema, table.core, None, keeps, base, canonical)]
    for urn, extension in table.schema.extensions.items():
        schema = _schema(urn, extension, table.extensions[urn], urn, keeps, base, canonical)
        if schema["attributes"]:
            found.append(schema)
    return found


def _schema(
    urn: str,
    schema: Any,
    table: Mapping[str, fields.Field[Any]],
    extension: str | None,
    keeps: Callable[[Target], bool],
    base: str,
    canonical: Canonical,
) -> dict[str, Any]:
    attributes = []
    for name, field in table.items():
        if extension is None and name in _COMMON:
            continue
        target = Target(name, urn=extension, field=field)
        shown = _attribute(name, field, target, keeps, canonical)
        if shown is not None:
            attributes.append(shown)
    return {
        "schemas": [SCHEMA],
        "id": urn,
        "name": schema.__name__,
        "description": schema.description,
        "attributes": attributes,
        "meta": {"resourceType": "Schema", "location": f"{base}/Schemas/{urn}"},
    }


def _attribute(
    name: str,
    field: fields.Field[Any],
    target: Target,
    keeps: Callable[[Target], bool],
    canonical: Canonical,
) -> dict[str, Any] | None:
    inner = field.inner if isinstance(field, fields.List) else field
    subs = []
    if isinstance(inner, Complex):
        for sub, sub_field in inner.sub_attributes.items():
            part = Target(target.name, sub, target.urn, None, target.field, sub_field)
            if keeps(part):
                subs.append(_characteristics(sub, sub_field, canonical(part)))
        if not subs:
            return None
    elif not keeps(target):
        return None
    described = _characteristics(name, field, canonical(target))
    if subs:
        described["subAttributes"] = subs
    return described


def _characteristics(
    name: str, field: fields.Field[Any], values: Sequence[str] | None
) -> dict[str, Any]:
    """RFC 7643 §7's characteristics of one attribute."""
    inner = field.inner if isinstance(field, fields.List) else field
    about = {**inner.metadata, **field.metadata}
    kind = scim_type(field)
    if values:
        about["referenceTypes" if kind == "reference" else "canonicalValues"] = list(values)
    described: dict[str, Any] = {
        "name": name,
        "type": kind,
        "multiValued": isinstance(field, fields.List),
        "description": about["description"],
        "required": field.required,
        "mutability": _mutability(field),
        "returned": about.get("returned", "default"),
        "uniqueness": about.get("uniqueness", "none"),
    }
    if kind in ("string", "reference", "binary"):
        described["caseExact"] = bool(about.get("caseExact", kind != "string"))
    for key in ("canonicalValues", "referenceTypes"):
        if key in about:
            described[key] = about[key]
    return described


def scim_type(field: fields.Field[Any]) -> str:
    """The attribute's type in RFC 7643 §2.3's words."""
    inner = field.inner if isinstance(field, fields.List) else field
    return str(getattr(inner, "scim_type", "string"))


def _mutability(field: fields.Field[Any]) -> str:
    if field.dump_only:
        return "readOnly"
    return "writeOnly" if field.load_only else "readWrite"


def resource_type(
    table: Table, endpoint: str, extensions: Sequence[str], base: str
) -> dict[str, Any]:
    """A resource type (RFC 7643 §6)."""
    name = table.schema.__name__
    described: dict[str, Any] = {
        "schemas": [RESOURCE_TYPE],
        "id": name,
        "name": name,
        "endpoint": f"/{endpoint}",
        "description": table.schema.description,
        "schema": table.urn,
        "meta": {"resourceType": "ResourceType", "location": f"{base}/ResourceTypes/{name}"},
    }
    if extensions:
        described["schemaExtensions"] = [{"schema": urn, "required": False} for urn in extensions]
    return described


def service_provider_config(
    base: str, *, max_results: int, cursor_lifetime: int, max_operations: int, max_payload: int
) -> dict[str, Any]:
    """What this server can do (RFC 7643 §5, RFC 9865 §4).

    :param max_results: how many resources a page has at most, and without a count.
    :param cursor_lifetime: for how many seconds the next page can be asked for.
    :param max_operations: how many operations a bulk request may have.
    :param max_payload: how large its body may be, in bytes.
    """
    return {
        "schemas": [SERVICE_PROVIDER_CONFIG],
        "patch": {"supported": True},
        "bulk": {
            "supported": True,
            "maxOperations": max_operations,
            "maxPayloadSize": max_payload,
        },
        "filter": {"supported": True, "maxResults": max_results},
        "changePassword": {"supported": False},
        "sort": {"supported": True},
        "pagination": {
            "cursor": True,
            "index": True,
            "defaultPaginationMethod": "index",
            "defaultPageSize": max_results,
            "maxPageSize": max_results,
            "cursorTimeout": cursor_lifetime,
        },
        "etag": {"supported": True},
        "authenticationSchemes": [
            {
                "type": "oauthbearertoken",
                "name": "Bearer token",
                "description": "The API Token of Account → Provisioning & SSO, sent as "
                "Authorization: Bearer.",
                "specUri": "https://www.rfc-editor.org/info/rfc6750",
                "primary": True,
            },
            {
                "type": "oauth2",
                "name": "OAuth 2.0 client credentials",
                "description": "An access token of the token endpoint that Account → "
                "Provisioning & SSO shows; the client secret is the API Token.",
                "specUri": "https://www.rfc-editor.org/info/rfc6749",
                "primary": False,
            },
        ],
        "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": f"{base}/ServiceProviderConfig",
        },
    }
