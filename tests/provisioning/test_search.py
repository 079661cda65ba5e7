"""What a page costs the database, however deep it lies."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from example_app.models import Account, Team, User, db
from example_app.provisioning import scim
from flask_h5mag_scim.protocol.messages import Query
from flask_h5mag_scim.provisioning.search import Place, Search

from ..conftest import both_databases

SIZE = 10
PEOPLE = 4000


@pytest.fixture
def account(app: Flask) -> Iterator[Any]:
    """An account with thousands of people, beside one with as many."""
    with app.app_context():
        for slug in ("large", "other"):
            account = Account(slug=slug, name=slug, plan="enterprise")
            db.session.add(account)
            db.session.flush()
            db.session.execute(
                sa.insert(User),
                [
                    {"account_id": account.id, "username": f"U{n}", "email": f"u{n}@x.example"}
                    for n in range(PEOPLE)
                ],
            )
            db.session.execute(
                sa.insert(Team), [{"account_id": account.id, "name": f"T{n}"} for n in range(500)]
            )
        db.session.execute(sa.text("ANALYZE"))
        db.session.commit()
        yield account.id
        db.session.remove()


def statement_of(search: Search, account: Any, query: Query, place: Place | None) -> Any:
    """The statement that finds a page, as the database gets it."""
    seen: list[Any] = []

    def note(conn: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        seen.append((statement, parameters))

    sa.event.listen(db.engine, "before_cursor_execute", note)
    try:
        search.follow(db.session, account, query, place)
    finally:
        sa.event.remove(db.engine, "before_cursor_execute", note)
    return seen[0]


def rows_read(statement: str, parameters: Any) -> int:
    """How many rows of tables a statement reads. SQLite counts its steps instead, of which a
    row takes dozens."""
    connection = db.session.connection()
    if connection.dialect.name == "sqlite":
        steps = 0

        def step() -> int:
            nonlocal steps
            steps += 1
            return 0

        driver = connection.connection.driver_connection
        driver.set_progress_handler(step, 1)
        connection.exec_driver_sql(statement, parameters).all()
        driver.set_progress_handler(None, 0)
        return steps // 60
    explained = connection.exec_driver_sql(
        f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters
    ).scalar_one()
    explained = json.loads(explained) if isinstance(explained, str) else explained
    return sum(
        int(node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * int(node["Actual Loops"])
        for node in nodes(explained[0]["Plan"])
        if "Relation Name" in node
    )


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


def deep(search: Search, account: Any, query: Query) -> Place:
    """The place in the middle of a long list."""
    half = Query(None, 1, PEOPLE // 2, query.sort_by, query.descending, "")
    place = search.follow(db.session, account, half, None).end
    assert place is not None
    return place


@both_databases
def test_a_deep_page_reads_no_more_rows_than_the_first(account: Any) -> None:
    """The index is entered where the last page ended: of ids and of user names, forwards and
    backwards, of people alone and of all types together."""
    everybody = Search(scim.user, scim.group)
    for search, sort_by in (
        (scim.user.lists, None),
        (scim.user.lists, "id"),
        (scim.user.lists, "userName"),
        (everybody, None),
        (everybody, "userName"),
    ):
        for descending in (False, True) if sort_by else (False,):
            query = Query(None, 1, SIZE, sort_by, descending, "")
            first = rows_read(*statement_of(search, account, query, None))
            place = deep(search, account, query)
            later = rows_read(*statement_of(search, account, query, place))
            case = (len(search.resources), sort_by, descending, first, later)
            assert first <= 3 * SIZE, case
            assert later <= 3 * SIZE, case


@pytest.mark.parametrize(
    ("sort_by", "index"), [(None, "ix_user_account"), ("userName", "uq_user_username")]
)
@pytest.mark.parametrize("descending", [False, True])
def test_a_page_is_found_by_an_index_and_not_sorted(
    account: Any, sort_by: str | None, index: str, descending: bool
) -> None:
    """SQLite sorts at most those of one name by their ids, which there is one of."""
    query = Query(None, 1, SIZE, sort_by, descending and sort_by is not None, "")
    for place in (None, deep(scim.user.lists, account, query)):
        statement, parameters = statement_of(scim.user.lists, account, query, place)
        plan = db.session.connection().exec_driver_sql(
            f"EXPLAIN QUERY PLAN {statement}", parameters
        )
        details = [row[3] for row in plan]
        assert f"USING INDEX {index}" in details[0]
        assert not [line for line in details if "TEMP B-TREE FOR ORDER BY" in line]


def test_the_same_questions_share_their_statements(account: Any) -> None:
    """Where a page begins is a bound value."""
    search = scim.user.lists
    search._page.cache_clear()
    for number in range(1, 9):
        place = Place(0, uuid.UUID(int=number), f"u{number}")
        query = Query(f'userName ne "x{number}"', 1, number, "userName", False, "")
        search.follow(db.session, account, query, place)
    assert search._page.cache_info().misses == 1
