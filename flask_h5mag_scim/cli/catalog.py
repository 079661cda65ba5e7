"""The indexes that a database really has, those on expressions included."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa


@dataclass(frozen=True)
class Index:
    """One index, or what a constraint makes of itself."""

    name: str
    is_unique: bool
    #: Names of columns, or expressions as :func:`normal` has them.
    parts: tuple[str, ...]


def indexes(connection: sa.Connection, table: sa.Table) -> list[Index]:
    """The indexes of a table, its primary key among them."""
    inspector = sa.inspect(connection)
    key = inspector.get_pk_constraint(table.name, table.schema)
    columns = key["constrained_columns"]
    name = key.get("name") or "PRIMARY KEY"
    found = [Index(name, True, tuple(map(normal, columns)))] if columns else []
    if connection.dialect.name == "sqlite":
        return [*found, *_of_sqlite(connection, table)]
    for index in inspector.get_indexes(table.name, table.schema):
        parts = index.get("expressions") or index["column_names"]
        found.append(
            Index(
                str(index["name"]),
                bool(index["unique"]),
                tuple(normal(part or "") for part in parts),
            )
        )
    return found


def _of_sqlite(connection: sa.Connection, table: sa.Table) -> list[Index]:
    # SQLAlchemy leaves out what is on an expression.
    rows = connection.execute(
        sa.text(
            'SELECT list.name, list."unique", master.sql FROM pragma_index_list(:table) AS list '
            "LEFT JOIN sqlite_master AS master ON master.name = list.name"
        ),
        {"table": table.name},
    ).all()
    found = []
    for name, unique, sql in rows:
        if sql is None:  # made by a constraint
            columns = connection.execute(
                sa.text("SELECT name FROM pragma_index_info(:index) ORDER BY seqno"),
                {"index": name},
            )
            parts: Sequence[str] = [column or "" for column in columns.scalars()]
        else:
            parts = _split(sql[sql.index("(") :])
        found.append(Index(name, bool(unique), tuple(map(normal, parts))))
    return found


def _split(text: str) -> list[str]:
    """What stands in the first brackets, at its commas."""
    parts, depth = [""], 0
    for letter in text:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth == 0:
            break
        if letter == "," and depth == 1:
            parts.append("")
        elif letter != "(" or depth > 1:
            parts[-1] += letter
    return parts


def normal(expression: str) -> str:
    """A column or an expression without what databases write differently: quotes, casts to
    text, blanks and brackets around a name."""
    text = re.sub(r'["`\[\]\s]', "", expression.lower())
    text = re.sub(r"::(text|charactervarying(\(\d+\))?)", "", text)
    return re.sub(r"\(\((\w+)\)\)", r"(\1)", text)
