"""How often the members of groups have changed, for their entity tags."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from .models import Records
from .upserts import Upsert


def revision(records: Records, group_key: Any) -> Any:
    """A column for a statement on groups: the revision of the one with ``group_key``, 0 for
    a group whose members never changed."""
    table = _table(records)
    found = sa.select(table.c.version).where(table.c.group_id == group_key).scalar_subquery()
    return sa.func.coalesce(found, 0)


def of(session: Session, records: Records, group_id: Any) -> int:
    """The revision of one group."""
    return session.scalar(_of(records), {"scim_group": group_id}) or 0


@lru_cache(maxsize=8)
def _of(records: Records) -> sa.Select[Any]:
    GroupVersion = records.GroupVersion
    mine = GroupVersion.group_id == sa.bindparam("scim_group")
    return sa.select(GroupVersion.version).where(mine)


def raise_(session: Session, records: Records, group_id: Any) -> int:
    """Count a change of one group's members; its new revision."""
    return int(_raising(records)(session, {"group_id": group_id, "version": 1}))


@lru_cache(maxsize=8)
def _raising(records: Records) -> Upsert:
    return Upsert(
        records.GroupVersion,
        ["group_id"],
        lambda kept, sent: {"version": kept.version + 1},
        returning="version",
    )


def raise_where(session: Session, records: Records, group: sa.Column[Any], condition: Any) -> None:
    """Count a change for every group that stands in an association table.

    :param group: the table's column with the group's key.
    :param condition: which of its rows; for example those of a user who is about to go.
    """
    # The association's rows first, as a change of a group's members takes them, and the versions
    # in one order, so that no two requests wait for each other.
    there = sa.select(group).where(condition).with_for_update().subquery().c[0]
    _raise_all(session, _table(records), sa.select(there).distinct().order_by(there))


def forget(session: Session, records: Records, group_id: Any) -> None:
    """Remove what is known of a group that is about to be deleted.

    The foreign key cascades, but SQLite leaves foreign keys off unless told otherwise.
    """
    table = _table(records)
    session.execute(
        sa.delete(table).where(table.c.group_id == group_id), bind_arguments={"clause": table}
    )


def _raise_all(session: Session, table: sa.Table, groups: sa.Select[Any]) -> None:
    """Raise the versions of ``groups``, a statement that finds their keys."""
    bind: Any = {"clause": table}
    raised = table.c.version + 1
    match session.get_bind(**bind).dialect.name:
        case "postgresql":
            insert: Any = postgresql.insert
        case "sqlite":
            insert = sqlite.insert
        case _:
            keys = list(session.scalars(groups, bind_arguments=bind))
            there = sa.select(table.c.group_id).where(table.c.group_id.in_(keys))
            known = set(session.scalars(there, bind_arguments=bind))
            mine = table.c.group_id.in_(known)
            change = sa.update(table).where(mine).values(version=raised)
            session.execute(change, bind_arguments=bind)
            new = [{"group_id": key, "version": 1} for key in keys if key not in known]
            if new:
                session.execute(sa.insert(table), new, bind_arguments=bind)
            return
    # "where true", because SQLite takes an ON after a plain SELECT for that of a join.
    rows = groups.add_columns(sa.literal(1)).where(sa.true())
    statement = insert(table).from_select(["group_id", "version"], rows)
    session.execute(
        statement.on_conflict_do_update(index_elements=["group_id"], set_={"version": raised}),
        bind_arguments=bind,
    )


def _table(records: Records) -> sa.Table:
    table: sa.Table = records.GroupVersion.__table__  # type: ignore[attr-defined]  # a mapped class
    return table
