"""Two requests at the same moment."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from example_app.models import db
from example_app.provisioning import scim

from .conftest import Entra, both_databases


def at_once(entra: Entra, tasks: list[Any]) -> list[Any]:
    """Run each task with a client of its own, all starting together."""
    barrier = Barrier(len(tasks))

    def run(task: Any) -> Any:
        own = Entra(entra.client.application.test_client(), entra.token)
        barrier.wait()
        return task(own)

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))


@both_databases
def test_of_two_creates_of_one_user_one_wins(entra: Entra) -> None:
    """One 201, the others 409 uniqueness; the matching query then finds the winner."""
    for n in range(5):
        body = {"userName": f"ada{n}@example.com", "externalId": f"x{n}", "active": True}
        answers = at_once(entra, [lambda entra, b=body: entra.post("/Users", b)] * 4)
        assert Counter(a.status_code for a in answers) == {201: 1, 409: 3}
        assert {a.get_json().get("scimType") for a in answers} == {None, "uniqueness"}
        assert len(entra.find(f'userName eq "{body["userName"]}"')) == 1


@both_databases
def test_changes_of_different_attributes_are_both_kept(entra: Entra) -> None:
    """Rows are locked before they are read: no update is lost, also within '*'."""
    user = entra.user("ada")
    names = [f"custom{n}" for n in range(6)]

    def change(name: str) -> Any:
        operation = {"op": "add", "path": name, "value": name}
        return lambda entra: entra.patch(f"/Users/{user['id']}", operation)

    answers = at_once(entra, [change(name) for name in names])
    assert {answer.status_code for answer in answers} == {200}
    found = entra.get(f"/Users/{user['id']}").get_json()
    assert {name: found.get(name) for name in names} == {name: name for name in names}


@both_databases
def test_the_same_member_added_at_once_is_in_once(entra: Entra) -> None:
    """Nobody gets an error for being second."""
    user, group = entra.user("ada"), entra.group()
    operation = {"op": "add", "path": "members", "value": [{"value": user["id"]}]}
    answers = at_once(entra, [lambda e: e.patch(f"/Groups/{group['id']}", operation)] * 4)
    assert {answer.status_code for answer in answers} == {204}
    members = entra.get(f"/Groups/{group['id']}").get_json()["members"]
    assert [member["value"] for member in members] == [user["id"]]


def change(group: dict[str, Any], op: str, users: list[dict[str, Any]]) -> Any:
    """A task that adds users to a group, or removes them."""
    operation = {"op": op, "path": "members", "value": [{"value": u["id"]} for u in users]}
    return lambda entra: entra.patch(f"/Groups/{group['id']}", operation)


def delete(path: str) -> Any:
    return lambda entra: entra.delete(path)


@both_databases
def test_people_leave_groups_while_they_are_deleted(entra: Entra) -> None:
    """As at the end of a project: no request waits for one that waits for it."""
    for n in range(8):
        users = [entra.user(f"user{n}.{i}") for i in range(4)]
        groups = [entra.group(f"Group {n}.{i}") for i in range(3)]
        for group in groups:
            change(group, "add", users)(entra)
        tasks = [delete(f"/Users/{user['id']}") for user in users[:2]]
        tasks += [change(group, "remove", users) for group in groups]
        answers = at_once(entra, tasks)
        assert {answer.status_code for answer in answers} == {204}


@both_databases
def test_people_and_their_groups_are_deleted_at_once(entra: Entra) -> None:
    """Whichever comes first, the other finds less to do."""
    for n in range(8):
        users = [entra.user(f"user{n}.{i}") for i in range(3)]
        groups = [entra.group(f"Group {n}.{i}") for i in range(3)]
        for group in groups:
            change(group, "add", users)(entra)
        tasks = [delete(f"/Users/{user['id']}") for user in users]
        tasks += [delete(f"/Groups/{group['id']}") for group in groups]
        answers = at_once(entra, tasks)
        assert {answer.status_code for answer in answers} == {204}


@both_databases
@pytest.mark.parametrize(("given_up", "status"), [(1, 200), (2, 503)])
def test_what_the_database_gives_up_is_tried_once_more(
    app: Flask, entra: Entra, monkeypatch: pytest.MonkeyPatch, given_up: int, status: int
) -> None:
    """A deadlock is nobody's fault: the request is carried out again from its beginning, body
    and all, and nothing of the first time is left."""
    owner = entra.get("/Users").get_json()["Resources"][0]["id"]
    seen: list[str] = []

    class Deadlock(Exception):
        sqlstate = "40P01"

    def refuse(user: Any, account: Any) -> bool:
        seen.append(user.username)
        if len(seen) <= given_up:
            raise sa.exc.OperationalError("SELECT", {}, Deadlock())
        return True

    monkeypatch.setattr(scim, "can_adopt", refuse)
    answer = entra.patch(f"/Users/{owner}", {"op": "add", "path": "title", "value": "Chief"})
    assert answer.status_code == status
    assert seen == ["owner@acme.example"] * 2
    assert ("Chief" in entra.get(f"/Users/{owner}").text) is (status == 200)
    with app.app_context():
        Entry = scim.LogEntry
        refused = db.session.scalars(sa.select(Entry).where(Entry.status >= 400)).all()
        assert len(refused) == (1 if status == 503 else 0)
