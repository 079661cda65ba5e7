"""What a request costs is counted in SQL statements, which machines do not change."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from example_app.models import Team, TeamMember, User, db

from .conftest import Entra, both_databases, get_account

SIZES = (10, 10_000)


def fill(app: Flask, size: int) -> tuple[str, list[str]]:
    """A directory of ``size`` users, all of them in one group; its id and theirs."""
    with app.app_context():
        account = get_account().id
        team = uuid.uuid4()
        people = [uuid.uuid4() for _ in range(size)]
        db.session.execute(
            sa.insert(User),
            [
                {
                    "id": id,
                    "account_id": account,
                    "username": f"u{n}@example.com",
                    "external_id": f"x{n}",
                    "email": f"u{n}@example.com",
                    "scim_extra": {},
                }
                for n, id in enumerate(people)
            ],
        )
        db.session.execute(sa.insert(Team), [{"id": team, "account_id": account, "name": "All"}])
        db.session.execute(
            sa.insert(TeamMember), [{"team_id": team, "user_id": id} for id in people]
        )
        db.session.commit()
    return str(team), [str(id) for id in people]


@both_databases
def test_no_verb_costs_more_statements_in_a_large_directory(
    app: Flask, entra: Entra, statements: Any
) -> None:
    """The same small number for 10 and for 10,000 users, and for a group of as many."""
    counted: dict[int, dict[str, int]] = {}
    team, people = fill(app, SIZES[0])
    for size in SIZES:
        if size > SIZES[0]:
            entra.delete(f"/Groups/{team}")
            with app.app_context():
                db.session.execute(sa.delete(User).where(User.external_id.like("x%")))
                db.session.commit()
            team, people = fill(app, size)
        entra.get("/Users?count=1")
        seen_here: dict[str, int] = {}

        def count(
            name: str, *request: Any, status: int, seen_here: dict[str, int] = seen_here
        ) -> None:
            with statements() as seen:
                answer = entra.send(*request)
            assert answer.status_code == status, answer.text
            seen_here[name] = len(
                [s for s in seen if not s.startswith(("BEGIN", "PRAGMA", "SAVEPOINT"))]
            )

        def operations(*all: Any) -> Any:
            return {"Operations": list(all)}

        user, group = f"/Users/{people[3]}", f"/Groups/{team}"
        new = str(uuid.uuid4())
        member = [{"value": people[5]}]
        many = [{"value": id} for id in people[:8]]
        count("match", "GET", '/Users?filter=userName+eq+"u3@example.com"', status=200)
        count("miss", "GET", '/Users?filter=userName+eq+"nobody"', status=200)
        count("read user", "GET", user, status=200)
        count("list users", "GET", "/Users?count=5", status=200)
        count("sorted users", "GET", "/Users?count=5&sortBy=displayName", status=200)
        first = next(entra.walk(count=3, sortBy="userName"))
        following = f"/Users?count=3&sortBy=userName&cursor={first['nextCursor']}"
        count("first page", "GET", "/Users?count=3&sortBy=userName&cursor", status=200)
        count("next page", "GET", following, status=200)
        shown = {"count": 5, "sortBy": "displayName", "excludedAttributes": ["members"]}
        count("search all", "POST", "/.search", shown, status=200)
        count("follow all", "POST", "/.search", {**shown, "cursor": ""}, status=200)
        count("match of all", "GET", '/?filter=userName+eq+"u3@example.com"', status=200)
        count("create user", "POST", "/Users", {"userName": new, "externalId": new}, status=201)
        count(
            "patch user",
            "PATCH",
            user,
            operations({"op": "replace", "path": "title", "value": "x"}),
            status=200,
        )
        count(
            "rename user",
            "PATCH",
            user,
            operations({"op": "replace", "path": "userName", "value": f"r{new}"}),
            status=200,
        )
        count("put user", "PUT", user, {"userName": f"p{new}"}, status=200)
        count("delete user", "DELETE", user, status=204)
        count("read group", "GET", f"{group}?excludedAttributes=members", status=200)
        count("list groups", "GET", "/Groups?excludedAttributes=members", status=200)
        count(
            "remove member",
            "PATCH",
            group,
            operations({"op": "remove", "path": "members", "value": member}),
            status=204,
        )
        count(
            "add member",
            "PATCH",
            group,
            operations({"op": "add", "path": "members", "value": member}),
            status=204,
        )
        count(
            "add members again",
            "PATCH",
            group,
            operations({"op": "add", "path": "members", "value": many[4:]}),
            status=204,
        )
        count(
            "rename group",
            "PATCH",
            group,
            operations({"op": "replace", "path": "displayName", "value": new}),
            status=204,
        )
        count("create group", "POST", "/Groups", {"displayName": f"g{new}"}, status=201)
        count("delete group", "DELETE", group, status=204)
        counted[size] = seen_here
    assert counted[SIZES[0]] == counted[SIZES[1]]
    assert counted[SIZES[1]] == {
        # The token; then what the verb needs.
        "match": 3,  # the page, its groups; no COUNT
        "miss": 2,
        "read user": 3,
        "list users": 4,  # the page, COUNT, their groups
        "sorted users": 4,
        "first page": 3,  # no COUNT
        "next page": 3,
        "search all": 6,  # the page's keys, COUNT, rows of people, rows of groups, their groups
        "follow all": 5,
        "match of all": 4,
        "create user": 5,  # names taken?, INSERT, its link, the log
        "patch user": 9,  # linked?, break-glass?, the row, UPDATE, its link, two entries, groups
        "rename user": 7,
        "put user": 7,
        "delete user": 11,  # what is known of it (3), its groups' versions, its memberships
        "read group": 2,
        "list groups": 2,
        "remove member": 6,  # the row, DELETE, UPDATE of lastModified, the version, the log
        "add member": 7,  # known?, INSERT, which says who came
        "add members again": 5,  # the version is read; nothing changed, so nothing is logged
        "rename group": 6,
        "create group": 5,
        "delete group": 6,
    }


@both_databases
@pytest.mark.parametrize("k", [1, 50])
def test_members_that_come_or_go_touch_as_many_rows(
    app: Flask, entra: Entra, statements: Any, k: int
) -> None:
    """No statement of a membership change reads the whole group."""
    team, people = fill(app, 2000)
    value = [{"value": id} for id in people[:k]]
    touched: list[tuple[str, int]] = []
    with app.app_context():
        engine = db.engine

    def after(
        conn: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool
    ) -> None:
        if "team_member" in statement:
            verb = statement.split()[0]
            # Three values make a row; what comes of it is read after this.
            touched.append((verb, len(parameters) // 3 if verb == "INSERT" else cursor.rowcount))

    sa.event.listen(engine, "after_cursor_execute", after)
    try:
        for op in ("remove", "add", "add", "remove"):
            answer = entra.patch(f"/Groups/{team}", {"op": op, "path": "members", "value": value})
            assert answer.status_code == 204
    finally:
        sa.event.remove(engine, "after_cursor_execute", after)
    assert touched == [("DELETE", k), ("INSERT", k), ("INSERT", k), ("DELETE", k)]


@both_databases
def test_a_page_of_groups_reads_all_members_in_one_statement(
    app: Flask, entra: Entra, statements: Any
) -> None:
    """The number of statements does not depend on how many groups the page has."""
    users = [entra.user(f"u{n}") for n in range(3)]
    for n in range(7):
        entra.group(f"Group {n}", members=[{"value": user["id"]} for user in users])
    with statements() as seen:
        page = entra.get("/Groups?count=7").get_json()
    assert sum(len(group["members"]) for group in page["Resources"]) == 21
    assert len([s for s in seen if "team_member" in s]) == 1
