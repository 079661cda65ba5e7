"""``flask scim explain``: what becomes of a filter, from its text to the database's plan."""

from __future__ import annotations

import json
import textwrap
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import click
import sqlalchemy as sa
from flask.cli import with_appcontext
from sqlalchemy.orm import Session

from ..protocol.errors import SCIMError
from ..protocol.messages import Query
from ..protocol.paths import AttrExp, Filter, LogExp, Not, ValuePath, parse_filter
from ..provisioning.expressions import Comparison, Constant, Joined, Negation, Relation, Shape
from ..provisioning.resources import Resource
from ..records.models import single_key
from ..state import State, get_state
from ..texts import say
from . import catalog, plans
from .plans import Access, Plan, Reach
from .shell import (
    Command,
    find_account,
    json_option,
    say_wrapped,
    show_json,
    show_pairs,
    terminal_width,
)

#: What an index can be entered by, the best first.
_ENTERED_BY = ("eq", "gt", "ge", "lt", "le")


@dataclass(frozen=True)
class Explanation:
    """What becomes of one filter on one resource type."""

    tree: Filter
    #: With ``:name`` for each value.
    sql: str
    values: dict[str, Any]
    plan: Plan
    #: What reads most of the resource's own table.
    access: Access | None
    #: Whether that is what the database does as soon as the table has grown.
    is_small: bool
    #: What can be done about it; ``None`` where nothing has to be.
    cure: str | None

    @property
    def is_found(self) -> bool:
        """Whether the database goes to the rows by an index, however large the account is."""
        return self.access is None or self.access.reach <= Reach.RANGE

    @property
    def verdict(self) -> str:
        """In a sentence."""
        if self.access is None:
            return say("explain.nothing")
        reach = self.access.reach.name.lower()
        key = f"explain.{reach}{'_small' if self.is_small else ''}"
        return say(key, index=self.access.index, table=self.access.table)


def explained(
    session: Session, resource: Resource, account_id: Any, text: str, *, count: int
) -> Explanation:
    """What becomes of a filter. It is not executed.

    :param count: how many resources a client's page has.
    :raises SCIMError: when the filter is refused.
    :raises plans.UnknownDatabase: when the database's plans are not understood.
    """
    tree = parse_filter(text)
    shape = resource.compiler.prepare(tree).shape
    statement, values = resource.lists.statement(account_id, Query(text, 1, count))
    account = sa.inspect(resource.model).columns[resource.account]
    shown, used = plans.sql(statement, values, session.get_bind(clause=account.table).dialect)
    plan = plans.plan(session, statement, values, account=account.name, table=account.table)
    access = None if shape == Constant(False) else plan.reach(account.table.name)
    found = Explanation(tree, shown, used, plan, access, is_small=False, cure=None)
    if found.is_found or access is None:
        return found
    wanted = _entries(shape)
    serving = [_serving(session, resource, one) for one in wanted]
    # What a range finds can be most of the account, and then no index is worth it.
    if plan.is_small and wanted and all(serving) and _is_equal(wanted):
        names = ", ".join(dict.fromkeys(name for name in serving if name))
        return replace(found, access=Access(access.table, names, Reach.FOUND), is_small=True)
    if plan.is_small and _is_related(shape) and not wanted:
        return replace(found, cure=say("explain.cure_small", table=access.table))
    return replace(found, cure=_cure(session, resource, shape, wanted, serving))


def _serving(session: Session, resource: Resource, one: Comparison) -> str | None:
    """The index that begins with the account and what is compared, if the database has it."""
    columns = sa.inspect(resource.model).columns
    if one.attribute not in columns:
        return None
    table = columns[one.attribute].table
    wanted = _beginning(resource, one)
    there = catalog.indexes(_connection(session, table), table)
    return next((index.name for index in there if set(index.parts[:2]) == wanted), None)


def _connection(session: Session, table: sa.Table) -> sa.Connection:
    return session.connection(bind_arguments={"clause": table})


def _beginning(resource: Resource, one: Comparison) -> set[str]:
    columns = sa.inspect(resource.model).columns
    name = catalog.normal(columns[one.attribute].name)
    return {
        catalog.normal(columns[resource.account].name),
        f"lower({name})" if one.kind == "text" else name,
    }


def _unmigrated(session: Session, resource: Resource, one: Comparison) -> str | None:
    """The line of a migration that makes the index, if the model has it already."""
    columns = sa.inspect(resource.model).columns
    if one.attribute not in columns:
        return None
    table = columns[one.attribute].table
    wanted = _beginning(resource, one)
    declared = catalog.declared(_connection(session, table), table)
    return next((line for index, line in declared if set(index.parts[:2]) == wanted), None)


def _cure(
    session: Session,
    resource: Resource,
    shape: Shape,
    wanted: list[Comparison],
    serving: list[str | None],
) -> str:
    if not wanted:
        return say("explain.cure_related" if _is_related(shape) else "explain.cure_none")
    missing = [one for one, name in zip(wanted, serving, strict=True) if name is None]
    if not missing and len(wanted) > 1:
        return say("explain.cure_split")
    if not missing and not _is_equal(wanted):
        return say("explain.cure_range", index=serving[0])
    unmigrated = {one: line for one in missing if (line := _unmigrated(session, resource, one))}
    lines = [
        missing_index(resource, one.attribute, lowered=one.kind == "text")
        for one in missing or wanted
        if one not in unmigrated
    ]
    if lines:
        key, index = ("index", "") if missing else ("order", serving[0])
        lines.insert(0, say(f"explain.cure_{key}", model=resource.model.__name__, index=index))
    lines += [say("cure.unmigrated", operation=line) for line in unmigrated.values()]
    return "\n".join(lines)


def missing_index(resource: Resource, attribute: str, *, lowered: bool) -> str:
    """An index by which rows would be found, as a line of the model."""
    index = resource.index(attribute, lowered=lowered)
    if index is None:
        return say("explain.cure_hybrid", account=resource.account, attribute=attribute)
    return f"    {index}"


def _entries(shape: Shape) -> list[Comparison]:
    """Comparisons that together find everything, if each has its index; empty without any."""
    match shape:
        case Comparison(_, "text" | "exact" | "native" | "time", op) if op in _ENTERED_BY:
            return [shape]
        case Joined("and", terms):
            found = [entries for term in terms if (entries := _entries(term))]
            return min(found, key=_weakest, default=[])
        case Joined(_, terms):
            each = [_entries(term) for term in terms]
            return [one for entries in each for one in entries] if all(each) else []
    return []


def _is_equal(wanted: list[Comparison]) -> bool:
    return all(one.op == "eq" for one in wanted)


def _is_related(shape: Shape) -> bool:
    match shape:
        case Relation():
            return True
        case Joined(_, terms):
            return any(map(_is_related, terms))
        case Negation(term):
            return _is_related(term)
    return False


def _weakest(entries: list[Comparison]) -> int:
    return max(_ENTERED_BY.index(one.op) for one in entries)


@click.command(
    "explain",
    cls=Command,
    example="flask scim explain 'userName eq \"ada@contoso.com\"' --account contoso\n"
    "flask scim explain 'displayName sw \"Ed\"' --resource Group --json",
)
@click.argument("filter_text", metavar="FILTER")
@click.option(
    "--resource",
    "kind",
    type=click.Choice(["User", "Group"], case_sensitive=False),
    metavar="User|Group",
    default="User",
    show_default=True,
    help="What is searched.",
)
@click.option("--account", metavar="NAME", help="In whose place; any account's if left out.")
@json_option
@with_appcontext
def explain(filter_text: str, kind: str, account: str | None, as_json: bool) -> None:
    """Show what becomes of FILTER: its tree, the SQL, the database's plan, and whether an index
    finds the rows.

    The statement is the one that a SCIM client's request leads to. It is explained by the
    database and never executed.
    """
    state = get_state()
    resource: Resource = state.scim.user if kind == "User" else state.scim.group
    try:
        found = explained(
            state.session,
            resource,
            _account_id(state, account),
            filter_text,
            count=state.config.max_results,
        )
    except SCIMError as error:
        raise click.ClickException(error.detail) from error
    except plans.UnknownDatabase as error:
        raise click.ClickException(say("explain.unknown_database", name=error)) from error
    finally:
        state.session.rollback()
    if as_json:
        show_json(_document(found))
    else:
        _show(found)


def _account_id(state: State, name: str | None) -> Any:
    if name is not None:
        return state.scim.account_key(find_account(state, name))
    return any_account(state)


def any_account(state: State) -> Any:
    """The key of some account, to ask for plans with; one that nobody has where there is none."""
    key = single_key(state.scim.account)
    bind = {"mapper": sa.inspect(state.scim.account)}
    found = state.session.scalar(sa.select(key).limit(1), bind_arguments=bind)
    if found is not None:
        return found
    kind = key.type.python_type
    return uuid.UUID(int=0) if kind is uuid.UUID else kind()


def _show(found: Explanation) -> None:
    def section(key: str, lines: list[str]) -> None:
        click.secho(say(key), bold=True)
        for line in lines:
            click.echo(f"  {line}")
        click.echo()

    section("explain.tree", [f"{'  ' * depth}{text}" for depth, text in _lines(found.tree)])
    section("explain.sql", _wrapped(found.sql))
    click.secho(say("explain.values"), bold=True)
    show_pairs([(f"  :{name}", _shown(value)) for name, value in found.values.items()])
    click.echo()
    section("explain.plan", found.plan.lines)
    say_wrapped(found.verdict, fg="green" if found.is_found else "yellow", bold=True)
    if found.cure:
        say_wrapped(found.cure)


def _wrapped(sql: str) -> list[str]:
    width = max(40, terminal_width() - 2)
    lines = (textwrap.wrap(line, width, subsequent_indent="  ") for line in sql.splitlines())
    return [part for parts in lines for part in parts]


def _document(found: Explanation) -> dict[str, Any]:
    return {
        "tree": _node(found.tree),
        "sql": found.sql,
        "values": found.values,
        "plan": found.plan.lines,
        "accesses": [
            {"table": one.table, "index": one.index, "reads": one.reach.name.lower()}
            for one in found.plan.accesses
        ],
        "found_by_index": found.is_found,
        "verdict": found.verdict,
        "cure": found.cure,
    }


def _node(tree: Filter) -> dict[str, Any]:
    match tree:
        case LogExp(op, terms):
            return {"op": op, "terms": [_node(term) for term in terms]}
        case Not(inner):
            return {"op": "not", "terms": [_node(inner)]}
        case ValuePath(path):
            return {"op": "has", "path": str(path)}
        case AttrExp(path, op, value):
            return {"op": op, "path": str(path), **({} if op == "pr" else {"value": value})}


def _lines(tree: Filter, depth: int = 0) -> Iterator[tuple[int, str]]:
    match tree:
        case LogExp(op, terms):
            yield depth, op
            for term in terms:
                yield from _lines(term, depth + 1)
        case Not(inner):
            yield depth, "not"
            yield from _lines(inner, depth + 1)
        case _:
            yield depth, str(tree)


def _shown(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
