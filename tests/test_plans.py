"""How the databases go through the tables, which no count of statements shows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from example_app.models import db
from example_app.provisioning import scim
from flask_h5mag_scim.records import failures, log, request_ids
from flask_h5mag_scim.records.models import LogKind

from .conftest import Entra, both_databases, get_account


@pytest.mark.parametrize("path", ["Users", "Groups"])
def test_memberships_are_read_before_what_they_lead_to(app: Flask, entra: Entra, path: str) -> None:
    """The groups of a user are found without going through all groups of the account, and the
    members of a group without going through all of its people."""
    user = entra.user()
    group = entra.group(members=[{"value": user["id"]}])
    seen: list[tuple[str, Any]] = []

    def note(conn: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        seen.append((statement, parameters))

    with app.app_context():
        sa.event.listen(db.engine, "before_cursor_execute", note)
        found = entra.get(f"/{path}/{user['id'] if path == 'Users' else group['id']}").get_json()
        sa.event.remove(db.engine, "before_cursor_execute", note)
        assert found["groups" if path == "Users" else "members"]
        ((statement, parameters),) = [one for one in seen if "team_member" in one[0]]
        with db.engine.connect() as connection:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            steps = [row.detail for row in plan]
    assert steps[0].startswith("SEARCH team_member USING COVERING INDEX")


START = datetime(2026, 3, 1, tzinfo=UTC)
LATER = START + timedelta(days=10)
CHANGES = (LogKind.USER, LogKind.GROUP)


def _page(**query: Any) -> Callable[[Any], Any]:
    place = query.pop("place", {})
    return lambda account: log.page(
        db.session, scim.records, account, log.Query(**query), **place, limit=20
    )


#: What is asked of the log, and the index that it must be entered by.
QUESTIONS: list[tuple[str, Callable[[Any], Any]]] = [
    ("at", _page()),
    ("at", _page(place={"before": log.Position(LATER, 5000)})),
    ("at", _page(place={"after": log.Position(LATER, 5000)})),
    ("at", _page(since=LATER, until=LATER + timedelta(days=1))),
    ("kind", _page(kinds=(LogKind.ERROR,))),
    ("kind", _page(kinds=CHANGES, place={"after": log.Position(LATER, 5000)})),
    ("resource", _page(resource_ids=("person 7", "person 8"))),
    ("resource", _page(resource_ids=("person 7",), kinds=CHANGES)),
    ("fingerprint", _page(fingerprint="0000aa")),
    ("at", _page(request_id=request_ids.new_id())),
    (
        "kind",
        lambda account: failures.count(db.session, scim.records, account, since=START),
    ),
    ("kind", lambda account: log.ignored(db.session, scim.records, account, changes=20)),
]


@both_databases
def test_the_log_is_read_by_its_indexes(app: Flask) -> None:
    """Whatever is looked for, the log is entered by the index that is made for it, and never
    read from its beginning to its end."""
    with app.app_context():
        account = get_account().id
        kinds = [*[LogKind.USER] * 7, LogKind.GROUP, LogKind.SIGN_IN, LogKind.SETTING]
        db.session.execute(
            sa.insert(scim.LogEntry),
            [
                {
                    "account_id": account,
                    "at": START + timedelta(minutes=number),
                    "event": "x",
                    "kind": LogKind.ERROR if number % 500 == 0 else kinds[number % 10],
                    "resource_id": f"person {number % 200}",
                    "fingerprint": "0000aa" if number % 400 == 0 else "0000bb",
                }
                for number in range(20_000)
            ],
        )
        db.session.commit()
        is_sqlite = db.engine.dialect.name == "sqlite"
        if not is_sqlite:
            # By and by PostgreSQL does so itself; SQLite never does.
            with db.engine.begin() as connection:
                connection.exec_driver_sql("ANALYZE")
        asked: list[tuple[str, Any]] = []

        def note(conn: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
            asked.append((statement, parameters))

        for index, ask in QUESTIONS:
            asked.clear()
            sa.event.listen(db.engine, "before_cursor_execute", note)
            ask(account)
            sa.event.remove(db.engine, "before_cursor_execute", note)
            ((statement, parameters),) = [one for one in asked if "scim_log" in one[0]]
            how = "EXPLAIN QUERY PLAN" if is_sqlite else "EXPLAIN"
            with db.engine.connect() as connection:
                rows = connection.exec_driver_sql(f"{how} {statement}", parameters).all()
            plan = "\n".join(row[-1] for row in rows)
            assert f"ix_scim_log_{index}" in plan, plan
            assert "SCAN scim_log" not in plan, plan
            assert "Seq Scan on scim_log" not in plan, plan
        db.session.remove()
