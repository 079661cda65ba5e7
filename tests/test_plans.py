"""How SQLite goes through the association tables, which no count of statements shows."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from example_app.models import db

from .conftest import Entra


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
