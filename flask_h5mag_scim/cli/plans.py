"""How the database would go about a statement. Nothing is executed but ``EXPLAIN``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.orm import Session

#: Below so many rows PostgreSQL's plan says little about its plan for a million.
_SMALL = 10_000


class Reach(IntEnum):
    """How much of a table is read, from the least to the most."""

    #: What an index finds by a value.
    FOUND = 1
    #: A range of an index, within the account.
    RANGE = 2
    #: All rows of the account.
    ACCOUNT = 3
    #: All rows of all accounts.
    TABLE = 4


@dataclass(frozen=True)
class Access:
    """One way in which a plan goes into a table."""

    table: str
    #: ``None`` for a table that is read from one end to the other.
    index: str | None
    reach: Reach


@dataclass(frozen=True)
class Plan:
    """What the database says of one statement."""

    #: As the database shows it.
    lines: list[str]
    accesses: list[Access]
    #: Whether the table is so small that its indexes need not be worth it yet.
    is_small: bool = False

    def reach(self, table: str) -> Access | None:
        """The access that reads most of a table, with the names of all indexes where several
        read as much; ``None`` when it is not read at all."""
        found = [access for access in self.accesses if access.table == table]
        if not found:
            return None
        most = max(access.reach for access in found)
        names = dict.fromkeys(each.index for each in found if each.reach is most and each.index)
        return Access(table, ", ".join(names) or None, most)


class UnknownDatabase(Exception):  # noqa: N818, it says what is the case
    """A database whose plans are not understood here."""


def sql(
    statement: Any, values: Mapping[str, Any], dialect: sa.Dialect
) -> tuple[str, dict[str, Any]]:
    """A statement as people read it, with ``:name`` for each value, and these."""
    text, bound = _compiled(statement, values, dialect)
    return text.replace(r"\:", ":"), {each.key: each.value for each in bound}


def _compiled(
    statement: Any, values: Mapping[str, Any], dialect: sa.Dialect
) -> tuple[str, list[sa.BindParameter[Any]]]:
    """A statement as ``sa.text()`` takes it, and its values."""
    # PostgreSQL's drivers write casts of their own behind their placeholders.
    kind: Any = PGDialect if dialect.name == "postgresql" else type(dialect)
    compiled = statement.compile(dialect=kind(paramstyle="pyformat"))
    # Lists of values are a placeholder for each of them only from here on.
    expanded = compiled.construct_expanded_state(dict(values))
    types = {name: bind.type for bind, name in compiled.bind_names.items()}
    text = expanded.statement.replace(":", r"\:")
    text = re.sub(r"%\((\w+)\)s", r":\1", text).replace("%%", "%")
    bound = [
        sa.bindparam(name, value, type_=types.get(name))
        for name, value in expanded.parameters.items()
        if re.search(rf"(?<!\\):{name}\b", text)
    ]
    return text, bound


def plan(
    session: Session, statement: Any, values: Mapping[str, Any], *, account: str, table: sa.Table
) -> Plan:
    """The plan for a ``SELECT`` with these values.

    :param account: the name of the column with the account's key.
    :param table: the table that the statement is about; it says which database is asked.
    :raises UnknownDatabase: when it is neither SQLite nor PostgreSQL.
    """
    connection = session.connection(bind_arguments={"clause": table})
    if connection.dialect.name == "sqlite":
        lines = [row.detail for row in _explain(connection, "QUERY PLAN", statement, values)]
        return Plan(lines, list(_of_sqlite(lines, account)))
    if connection.dialect.name != "postgresql":
        raise UnknownDatabase(connection.dialect.name)
    lines = [row[0] for row in _explain(connection, "", statement, values)]
    accesses = _of_postgresql(connection, statement, values, account)
    return Plan(lines, accesses, is_small=_is_small(connection, table))


def _explain(
    connection: sa.Connection, how: str, statement: Any, values: Mapping[str, Any]
) -> list[Any]:
    text, bound = _compiled(statement, values, connection.dialect)
    return list(connection.execute(sa.text(f"EXPLAIN {how} {text}").bindparams(*bound)))


def _is_small(connection: sa.Connection, table: sa.Table) -> bool:
    name = connection.dialect.identifier_preparer.format_table(table)
    rows = connection.scalar(
        sa.text("SELECT reltuples FROM pg_class WHERE oid = to_regclass(:name)"), {"name": name}
    )
    return rows is not None and rows < _SMALL


def _of_sqlite(lines: Iterable[str], account: str) -> Iterable[Access]:
    for line in lines:
        match = re.match(
            r"(?P<how>SEARCH|SCAN) (?:TABLE )?(?P<table>\S+)(?: AS \S+)?"
            r"(?: USING (?:AUTOMATIC )?(?:PARTIAL )?(?:COVERING )?"
            r"(?:INDEX (?P<index>\S+)|(?P<key>INTEGER PRIMARY KEY)))?(?: \((?P<terms>.*)\))?",
            line,
        )
        if match is None or match["table"] in ("CONSTANT", "SUBQUERY"):
            continue
        index = match["index"] or ("PRIMARY KEY" if match["key"] else None)
        terms = (match["terms"] or "").split(" AND ") if match["how"] == "SEARCH" else []
        others = [term for term in terms if not re.match(rf'"?{re.escape(account)}"?=', term)]
        # An index that is gone through for its order finds nothing.
        yield Access(
            match["table"].strip('"'),
            index,
            _reach(
                has_terms=bool(terms),
                has_others=bool(others),
                has_equal=any(re.fullmatch(r"(<expr>|[^<>]+)=\?", term) for term in others),
            ),
        )


def _of_postgresql(
    connection: sa.Connection, statement: Any, values: Mapping[str, Any], account: str
) -> list[Access]:
    def walk(node: Mapping[str, Any], table: str | None) -> Iterable[Access]:
        table = node.get("Relation Name", table)
        index = node.get("Index Name")
        if index is not None:
            # Texts may hold anything, even the word by which conditions are joined.
            condition = re.sub(r"'(?:[^']|'')*'", "?", node.get("Index Cond", ""))
            terms = [term.strip("( ") for term in condition.split(" AND ") if term]
            others = [term for term in terms if not re.match(rf'"?{re.escape(account)}"? = ', term)]
            reach = _reach(
                has_terms=bool(terms),
                has_others=bool(others),
                has_equal=any(" = " in term for term in others),
            )
            yield Access(str(table), index, reach)
        elif node["Node Type"] in ("Seq Scan", "Sample Scan"):
            yield Access(str(table), None, Reach.TABLE)
        for part in node.get("Plans", ()):
            yield from walk(part, table)

    (answer,) = _explain(connection, "(FORMAT JSON)", statement, values)
    return list(walk(answer[0][0]["Plan"], None))


def _reach(*, has_terms: bool, has_others: bool, has_equal: bool) -> Reach:
    if not has_terms:
        return Reach.TABLE
    if not has_others:
        return Reach.ACCOUNT
    return Reach.FOUND if has_equal else Reach.RANGE
