"""What the database itself says: whether it is what the models say, and has the indexes."""

from __future__ import annotations

import uuid
from collections.abc import Container, Iterator
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ...protocol.errors import SCIMError
from ...provisioning.membership import Association
from ...provisioning.resources import Resource
from ...records import log, vault
from ...records.models import now
from ...state import State
from ...texts import say
from .. import catalog, plans
from ..explain import Explanation, any_account, explained
from ..shell import database_error
from .findings import Finding, Severity, finding
from .models import NO_EXPRESSION, extension_models, referring

#: What Microsoft Entra can be told to match people and groups by.
_MATCHED = {
    "User": ("userName", "externalId", 'emails[type eq "work"].value'),
    "Group": ("displayName", "externalId"),
}
#: One of them is a value that every column takes.
_SAMPLES = (str(uuid.UUID(int=0)), "0")
#: How much older than the retention entries may be: who prunes, prunes once a day.
_PRUNED_LATE = timedelta(days=2)


def findings(state: State) -> Iterator[Finding]:
    """What should be put right in the database."""
    try:
        missing = list(_tables(state))
        yield from missing
        if any(each.severity is Severity.ERROR for each in missing):
            return  # the rest would only fail
        for resource in (state.scim.user, state.scim.group):
            unique = dict(_unique(state.session, resource))
            yield from unique.values()
            # The index that is missing there is the one that finds rows, too.
            yield from _found(state, resource, besides=unique)
        yield from _memberships(state)
        yield from _references(state)
        yield from _foreign_keys(state.session, state.scim.user)
        yield from _secrets(state)
        yield from _log(state)
    except sa.exc.DBAPIError as error:
        yield finding(Severity.ERROR, "database", error=database_error(error))
    finally:
        state.session.rollback()


def _connection(session: Session, table: sa.Table) -> sa.Connection:
    return session.connection(bind_arguments={"clause": table})


# Whether the migrations have run


def _tables(state: State) -> Iterator[Finding]:
    gone = []
    for table in _all(state):
        inspector = sa.inspect(_connection(state.session, table))
        if not inspector.has_table(table.name, table.schema):
            gone.append(table.name)
            continue
        there = {column["name"] for column in inspector.get_columns(table.name, table.schema)}
        missing = [column.name for column in table.columns if column.name not in there]
        if missing:
            columns = ", ".join(missing)
            yield finding(Severity.ERROR, "column_missing", table=table.name, columns=columns)
    if gone:
        yield finding(Severity.ERROR, "table_missing", tables=", ".join(gone))
    for model in extension_models(state):
        if model.__table__.name not in gone:
            yield from _indexes(state.session, model.__table__)


def _all(state: State) -> list[sa.Table]:
    """The extension's tables, and those of the host's that it reads and writes."""
    scim = state.scim
    models = [*extension_models(state), scim.account, scim.user.model, scim.group.model]
    found = [table for model in models for table in sa.inspect(model).tables]
    found += [association.table for association in _associations(state)]
    return list(dict.fromkeys(found))


def _associations(state: State) -> list[Association]:
    group = state.scim.group
    return [group.members] if group.nested is None else [group.members, group.nested]


def _indexes(session: Session, table: sa.Table) -> Iterator[Finding]:
    connection = _connection(session, table)
    there = {index.parts for index in catalog.indexes(connection, table)}
    wanted = {
        str(index.name): tuple(catalog.normal(column.name) for column in index.columns)
        for index in table.indexes
    }
    for name, parts in sorted(wanted.items()):
        if parts not in there:
            yield finding(Severity.WARNING, "index_missing", table=table.name, index=name)


# Names that are an account's own


def _unique(session: Session, resource: Resource) -> Iterator[tuple[str, Finding]]:
    """What is wrong with the indexes of names, by SCIM path."""
    columns = sa.inspect(resource.model).columns
    account = catalog.normal(columns[resource.account].name)
    for path in _MATCHED[resource.name]:
        entry = resource.map.find(path)
        if entry is None or entry.attribute not in columns:
            continue
        column = columns[entry.attribute]
        name = catalog.normal(column.name)
        lowered = f"lower({name})"
        said = {"path": path, "table": column.table.name, "column": column.name}
        index = resource.index(entry.attribute, lowered=entry.ignores_case, unique=True)
        unique = {
            frozenset(index.parts)
            for index in catalog.indexes(_connection(session, column.table), column.table)
            if index.is_unique
        }
        if unique & {frozenset([name]), frozenset([lowered])} and not column.primary_key:
            yield path, finding(Severity.WARNING, "unique_everywhere", index=index, **said)
        elif (
            path not in resource.unique
            or resource.unique_advice(path) is not None
            or frozenset([account, lowered if entry.ignores_case else name]) in unique
        ):
            continue
        elif frozenset([account, name]) in unique:
            yield path, finding(Severity.WARNING, "unique_case", index=index, **said)
        elif not any(name in parts or lowered in parts for parts in unique):
            what = say("check.unique_missing", **said)
            declared = catalog.declared(_connection(session, column.table), column.table)
            cures = (
                say("cure.unmigrated", operation=line)
                for index, line in declared
                if index.is_unique and {name, lowered} & set(index.parts)
            )
            # A constraint is what Alembic sees by itself.
            cure = next(cures, say("cure.index_missing"))
            yield path, Finding(Severity.ERROR, "unique_missing", what, cure)


# Whether rows are found


def _found(state: State, resource: Resource, besides: Container[str]) -> Iterator[Finding]:
    """What is read as a whole, ``besides`` what is told already."""
    account_id = any_account(state)
    columns = sa.inspect(resource.model).columns
    for path in _MATCHED[resource.name]:
        entry = resource.map.find(path)
        if entry is None or path in besides:
            continue
        if path in resource.unique and resource.unique_advice(path):
            continue
        found = _explained(state, resource, account_id, path)
        if found is not None and found.cure is not None:
            what = say("check.not_found_by_index", path=path, model=resource.model.__name__)
            yield Finding(Severity.WARNING, "not_found_by_index", what, found.cure)
    table = columns[resource.account].table
    wanted = (
        catalog.normal(columns[resource.account].name),
        catalog.normal(resource.key_attribute.name),
    )
    yield from _index(
        state,
        table,
        wanted,
        "page_index",
        model=resource.model.__name__,
        account=wanted[0],
        id=wanted[1],
    )


def _index(
    state: State, table: sa.Table, wanted: tuple[str, ...], code: str, **values: Any
) -> Iterator[Finding]:
    """That no index of a table begins so, and whether the model has one already."""

    def begins(index: catalog.Index) -> bool:
        return index.parts[: len(wanted)] == wanted

    connection = _connection(state.session, table)
    if any(map(begins, catalog.indexes(connection, table))):
        return
    lines = (line for index, line in catalog.declared(connection, table) if begins(index))
    line = next(lines, None)
    if line is None:
        yield finding(Severity.WARNING, code, table=table.name, **values)
    else:
        what = say(f"check.{code}", table=table.name, **values)
        yield Finding(Severity.WARNING, code, what, say("cure.unmigrated", operation=line))


def _explained(state: State, resource: Resource, account_id: Any, path: str) -> Explanation | None:
    """What becomes of looking for one value; ``None`` where nothing can be said."""
    for sample in _SAMPLES:
        text = f'{path} eq "{sample}"'
        try:
            found = explained(
                state.session, resource, account_id, text, count=state.config.max_results
            )
        except (SCIMError, plans.UnknownDatabase):
            continue
        except NO_EXPRESSION:
            return None  # which is told of the model
        if found.access is not None:
            return found
    return None


def _memberships(state: State) -> Iterator[Finding]:
    for association in _associations(state):
        table = association.table
        there = catalog.indexes(_connection(state.session, table), table)
        sides = association.group, association.member
        for mine, other in (sides, sides[::-1]):
            yield from _index(
                state,
                table,
                (catalog.normal(mine.name),),
                "membership_index",
                column=mine.name,
                other=other.name,
            )
        pair = {catalog.normal(side.name) for side in sides}
        if not any(index.is_unique and set(index.parts) <= pair for index in there):
            yield finding(
                Severity.WARNING,
                "membership_twice",
                table=table.name,
                group=sides[0].name,
                member=sides[1].name,
            )


def _references(state: State) -> Iterator[Finding]:
    known = {association.table for association in _associations(state)}
    for column in referring(state):
        table = column.table
        connection = _connection(state.session, table)
        if table in known or not sa.inspect(connection).has_table(table.name, table.schema):
            continue
        there = catalog.indexes(connection, table)
        if not any(index.parts[:1] == (catalog.normal(column.name),) for index in there):
            yield finding(Severity.HINT, "reference_index", table=table.name, column=column.name)


def _foreign_keys(session: Session, resource: Resource) -> Iterator[Finding]:
    table = sa.inspect(resource.model).columns[resource.account].table
    connection = _connection(session, table)
    is_sqlite = connection.dialect.name == "sqlite"
    if is_sqlite and not connection.scalar(sa.text("PRAGMA foreign_keys")):
        yield finding(Severity.WARNING, "sqlite_foreign_keys")


# What is kept


def _secrets(state: State) -> Iterator[Finding]:
    stale = vault.examine(state.session, state.scim.records, state.vault)
    if stale.lost:
        accounts = ", ".join(map(str, stale.lost))
        yield finding(Severity.ERROR, "secrets_lost", accounts=accounts)
    if stale.changed:
        yield finding(Severity.HINT, "secrets_old", number=len(stale.changed))


def _log(state: State) -> Iterator[Finding]:
    oldest = log.oldest(state.session, state.scim.records)
    kept = state.config.log_retention
    if oldest is not None and now() - oldest > kept + _PRUNED_LATE:
        yield finding(
            Severity.WARNING, "log_not_pruned", oldest=f"{oldest:%Y-%m-%d}", days=kept.days
        )
