"""What the host's models and its attribute maps say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import sqlalchemy as sa

from ...protocol.schemas import DateTime
from ...provisioning.groups import GroupResource
from ...provisioning.mapping import Entry
from ...provisioning.resources import Resource
from ...provisioning.roles import PATH as ROLE
from ...provisioning.users import TUTORIAL, UserResource
from ...state import State
from ...texts import say
from .findings import Finding, Severity, advised, finding

#: How long values can be that Microsoft Entra sends, where it says so.
_LONGEST = {
    "User": {
        "userName": 113,
        "externalId": 36,
        'emails[type eq "work"].value': 254,
        "displayName": 256,
        "name.givenName": 64,
        "name.familyName": 64,
    },
    "Group": {"displayName": 256, "externalId": 36},
}
#: What comes of a hybrid without an expression.
NO_EXPRESSION = (sa.exc.InvalidRequestError, sa.exc.ArgumentError, AttributeError, TypeError)
#: What Microsoft Entra's mapping of groups sends.
_GROUP_ROWS = ("displayName", "externalId")


def findings(state: State) -> Iterator[Finding]:
    """What should be put right in the maps and the models that they name."""
    scim = state.scim
    for resource in (scim.user, scim.group):
        yield from _rows(resource)
        for entry in resource.map.entries:
            yield from _entry(resource, entry)
        yield from _required(resource)
    roles = scim.user.roles
    if roles is not None and roles.owner is None:
        yield finding(Severity.HINT, "owner_role", model=_name(scim.user))
    yield from _references(state)


def _rows(resource: Resource) -> Iterator[Finding]:
    about_unique = {path: resource.unique_advice(path) for path in resource.unique}
    for path, advice in about_unique.items():
        if advice is not None:
            yield Finding(Severity.ERROR, "unique", advice.what, _unique_index(resource, path))
        elif not _is_column(resource, path):
            yield finding(Severity.HINT, "unique_unknown", model=_name(resource), path=path)
    for advice in resource.advice():
        if advice not in about_unique.values():
            yield advised(Severity.WARNING, "rows", advice)
    if isinstance(resource, GroupResource):
        for path in resource.map.missing(_GROUP_ROWS):
            yield finding(Severity.WARNING, "group_row", model=_name(resource), path=path)
    for path in resource.map.missing(["meta.lastModified"]):
        yield finding(Severity.HINT, "modified", model=_name(resource), path=path)
    if resource.map.extra is None:
        yield finding(Severity.HINT, "catch_all", model=_name(resource))


def _entry(resource: Resource, entry: Entry) -> Iterator[Finding]:
    said = {"model": _name(resource), "path": entry.text, "attribute": entry.attribute}
    if not _is_searchable(resource, entry):
        yield finding(Severity.ERROR, "hybrid_expression", **said)
    if not entry.writable and not entry.target.read_only and entry.target.name != "meta":
        severity = Severity.ERROR if entry.text in resource.needed else Severity.WARNING
        if entry.text in (*TUTORIAL, *resource.needed):
            yield finding(severity, "hybrid_setter", **said)
    column = sa.inspect(resource.model).columns.get(entry.attribute)
    if column is None:
        return
    if entry.text == "active" and not isinstance(
        column.type, sa.Boolean | sa.types.TypeDecorator | sa.types.NullType
    ):
        yield finding(Severity.ERROR, "active_type", type=column.type, **said)
    longest = _LONGEST[resource.name].get(entry.text)
    length = getattr(column.type, "length", None)
    if longest and isinstance(column.type, sa.String) and length and length < longest:
        # An object id that does not fit is nobody's.
        severity = Severity.ERROR if longest == 36 else Severity.WARNING
        yield finding(severity, "length", length=length, longest=longest, **said)
    if isinstance(entry.target.leaf, DateTime) and not getattr(column.type, "timezone", True):
        yield finding(Severity.HINT, "time_zone", **said)


def _unique_index(resource: Resource, path: str) -> str:
    entry = resource.map.find(path)
    assert entry is not None  # noqa: S101, what has no row has no advice
    index = resource.index(entry.attribute, lowered=entry.ignores_case, unique=True)
    return say("cure.unique", model=_name(resource), index=index)


def _is_column(resource: Resource, path: str) -> bool:
    entry = resource.map.find(path)
    return entry is None or entry.attribute in sa.inspect(resource.model).columns


def _is_searchable(resource: Resource, entry: Entry) -> bool:
    """Whether the attribute can stand in a statement. Of a hybrid without an expression Python
    itself is asked, and what it says of the class is nothing for a database."""
    try:
        str(sa.select(getattr(resource.model, entry.attribute)))
    except NO_EXPRESSION:
        return False
    return True


def _required(resource: Resource) -> Iterator[Finding]:
    """Columns without which there is no row, and for which SCIM may have nothing."""
    mapper: Any = sa.inspect(resource.model)
    by_attribute = {entry.attribute: entry for entry in resource.map.entries}
    makes_new = type(resource).new is not Resource.new
    for attribute, column in mapper.columns.items():
        is_made = column.default is not None or column.server_default is not None
        is_own = column.primary_key or attribute == resource.account or column.computed
        if column.nullable or is_own or column is mapper.polymorphic_on:
            continue
        entry = by_attribute.get(attribute)
        said = {"model": _name(resource), "attribute": attribute}
        if entry is None:
            if not is_made and not makes_new:
                # '*' writes its column only for whom there is something to keep.
                code = "catch_all" if attribute == resource.map.extra else "unmapped"
                yield finding(Severity.ERROR, f"not_null_{code}", **said)
        elif entry.text in (*resource.needed, ROLE) or entry.target.name == "meta":
            continue  # somebody always has it, or it is not SCIM's to take away
        elif is_made:
            yield finding(Severity.HINT, "not_null_cleared", path=entry.text, **said)
        else:
            yield finding(Severity.WARNING, "not_null", path=entry.text, **said)


def _references(state: State) -> Iterator[Finding]:
    """What else refers to people, and what becomes of it when SCIM deletes one."""
    user, members = state.scim.user, state.scim.group.members
    mapper: Any = sa.inspect(user.model)
    for column in referring(state):
        # What belongs to somebody goes with them, and memberships are seen to.
        if column.table is members.table or column.primary_key:
            continue
        key, *_ = (key for key in column.foreign_keys if key.column.table in mapper.tables)
        said = {"table": column.table.name, "column": column.name}
        if key.ondelete is not None and key.ondelete.upper() == "CASCADE":
            yield finding(Severity.HINT, "cascade", **said)
        elif key.ondelete is None and type(user).delete is UserResource.delete:
            yield finding(Severity.WARNING, "restrict", user=user.model.__name__, **said)


def referring(state: State) -> list[sa.Column[Any]]:
    """Columns of the host's that refer to a user."""
    scim = state.scim
    people: Any = sa.inspect(scim.user.model)
    own = {sa.inspect(model).local_table for model in extension_models(state)}
    return [
        column
        for metadata in scim.db.metadatas.values()
        for table in sorted(metadata.tables.values(), key=lambda table: table.name)
        if table not in own
        for column in table.columns
        if any(key.column.table in people.tables for key in column.foreign_keys)
        # The second table of a person refers to the first.
        and not (table in people.tables and column.primary_key)
    ]


def extension_models(state: State) -> list[type[Any]]:
    """The extension's own models."""
    records = state.scim.records
    models = (getattr(records, each.name) for each in fields(records))
    return [model for model in models if model is not records.account]


def _name(resource: Resource) -> str:
    return resource.model.__name__
