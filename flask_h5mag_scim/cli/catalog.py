"""The indexes that a database really has, those on expressions included."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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


def declared(connection: sa.Connection, table: sa.Table) -> list[tuple[Index, str]]:
    """The indexes that the model gives a table, each with the line of a migration that makes it:
    what Alembic leaves out has to be written in by hand."""
    found = []
    for index in sorted(table.indexes, key=lambda index: str(index.name)):
        parts = [_as_sql(part, connection.dialect) for part in index.expressions]
        as_index = Index(str(index.name), bool(index.unique), tuple(map(normal, parts)))
        found.append((as_index, _operation(index, parts)))
    return found


def _operation(index: sa.Index, parts: Sequence[str]) -> str:
    table: Any = index.table
    written = [
        repr(part.name) if isinstance(part, sa.Column) else f"sa.text({text!r})"
        for part, text in zip(index.expressions, parts, strict=True)
    ]
    options = ["unique=True"] if index.unique else []
    if table.schema:
        options.append(f"schema={table.schema!r}")
    for name, value in index.dialect_kwargs.items():
        if name.endswith("_where") and value is not None:
            options.append(f"{name}=sa.text({_as_sql(value)!r})")
    arguments = [repr(str(index.name)), repr(table.name), f"[{', '.join(written)}]", *options]
    return f"op.create_index({', '.join(arguments)})"


def _as_sql(expression: Any, dialect: sa.Dialect | None = None) -> str:
    """As it stands in an index: without the table's name, and with its values."""
    options = {"include_table": False, "literal_binds": True}
    return str(expression.compile(dialect=dialect, compile_kwargs=options))


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
