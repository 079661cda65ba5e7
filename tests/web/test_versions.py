"""Versions of resources: entity tags, and requests that depend on them (RFC 7644 §3.14)."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from flask import Flask

from example_app.models import Team, TeamMember, db
from example_app.provisioning import scim

from ..conftest import Entra, both_databases, error_of
from ..test_concurrency import at_once


def tag(entra: Entra, path: str) -> str:
    answer = entra.get(path)
    assert answer.status_code == 200
    if "meta" in answer.get_json():
        assert answer.headers["ETag"] == answer.get_json()["meta"]["version"]
    return answer.headers["ETag"]


@both_databases
def test_every_answer_about_one_resource_has_its_version(entra: Entra) -> None:
    """In the header and in meta, the same after a write as at the next read, and in lists."""
    for made, path in (
        (entra.post("/Users", {"userName": "ada", "title": "x"}), "/Users"),
        (entra.post("/Groups", {"displayName": "Editors"}), "/Groups"),
    ):
        version = made.headers["ETag"]
        assert version.startswith('W/"')
        assert made.get_json()["meta"]["version"] == version
        address = f"{path}/{made.get_json()['id']}"
        assert tag(entra, address) == version
        assert tag(entra, f"{address}?attributes=id") == version
        assert tag(entra, f"{address}?excludedAttributes=meta,members") == version
        listed = entra.get(path).get_json()["Resources"]
        assert version in [found["meta"]["version"] for found in listed]
        name = {"userName": "ada", "displayName": "Editors", "externalId": "y"}
        put = entra.put(address, name)
        assert put.headers["ETag"] == tag(entra, address) != version
        patched = entra.patch(address, {"op": "replace", "path": "displayName", "value": "New"})
        assert patched.headers["ETag"] == tag(entra, address) not in (version, put.headers["ETag"])


@both_databases
def test_a_change_that_changes_nothing_has_no_new_version(entra: Entra) -> None:
    """Also one that sends everything again."""
    user = entra.user("ada", title="x")
    address = f"/Users/{user['id']}"
    before = tag(entra, address)
    entra.patch(address, {"op": "replace", "path": "title", "value": "x"})
    entra.put(address, user)
    assert tag(entra, address) == before


@both_databases
def test_members_who_come_and_go_make_a_new_version_of_the_group(entra: Entra) -> None:
    """Not of the user, whose groups are the groups' business; and a deleted user is one who
    leaves."""
    ada, bo = entra.user("ada"), entra.user("bo")
    group = entra.group("Editors", members=[{"value": ada["id"]}])
    address = f"/Groups/{group['id']}"
    seen = [group["meta"]["version"]]
    assert tag(entra, address) == seen[0]
    of_ada = tag(entra, f"/Users/{ada['id']}")

    def expect_a_new_one() -> None:
        now = tag(entra, address)
        assert now not in seen
        seen.append(now)

    member = {"path": "members", "value": [{"value": bo["id"]}]}
    entra.patch(address, {"op": "add", **member})
    expect_a_new_one()
    entra.patch(address, {"op": "add", **member})
    assert tag(entra, address) == seen[-1]
    entra.patch(address, {"op": "remove", **member})
    expect_a_new_one()
    entra.put(address, {"displayName": "Editors", "members": [{"value": bo["id"]}]})
    expect_a_new_one()
    entra.delete(f"/Users/{bo['id']}")
    expect_a_new_one()
    assert tag(entra, f"/Users/{ada['id']}") == of_ada


@both_databases
def test_a_new_group_has_nothing_of_an_older_one(app: Flask, entra: Entra) -> None:
    """The counter goes with its group."""
    user = entra.user("ada")
    group = entra.group("Editors", members=[{"value": user["id"]}])
    with app.app_context():
        assert db.session.query(scim.GroupVersion).count() == 1
    entra.delete(f"/Groups/{group['id']}")
    with app.app_context():
        assert db.session.query(scim.GroupVersion).count() == 0


@both_databases
@pytest.mark.parametrize("endpoint", ["Users", "Groups"])
@pytest.mark.parametrize("verb", ["PUT", "PATCH", "DELETE"])
def test_a_write_on_an_old_version_is_a_412_and_changes_nothing(
    entra: Entra, endpoint: str, verb: str
) -> None:
    """With If-Match; with the version that it is now, it goes through."""
    made = entra.user("ada") if endpoint == "Users" else entra.group("Editors")
    address = f"/{endpoint}/{made['id']}"
    old = tag(entra, address)
    entra.patch(address, {"op": "replace", "path": "displayName", "value": "Newer"})
    body: Any = None
    if verb == "PUT":
        body = {"userName": "bo", "displayName": "Bo"}
    elif verb == "PATCH":
        body = {"Operations": [{"op": "replace", "path": "displayName", "value": "Bo"}]}
    before = entra.get(address).get_json()
    answer = entra.send(verb, address, body, headers={"If-Match": old})
    assert before["meta"]["version"] in error_of(answer, 412)
    assert entra.get(address).get_json() == before
    known = f'"other", {before["meta"]["version"]}'
    answer = entra.send(verb, address, body, headers={"If-Match": known})
    assert answer.status_code in (200, 204)


@both_databases
def test_any_version_and_no_version(entra: Entra) -> None:
    """``*`` is every version of what is there; If-None-Match is the opposite; and who sends
    no condition is never refused."""
    address = f"/Users/{entra.user('ada')['id']}"
    operation = {"op": "replace", "path": "title", "value": uuid.uuid4().hex}
    assert entra.patch(address, operation, headers={"If-Match": "*"}).status_code == 200
    error_of(entra.patch(address, operation, headers={"If-None-Match": "*"}), 412)
    assert entra.patch(address, operation, headers={"If-None-Match": '"x"'}).status_code == 200
    error_of(entra.patch(address, operation, headers={"If-Match": "nonsense"}), 412)
    missing = f"/Users/{uuid.uuid4()}"
    error_of(entra.patch(missing, operation, headers={"If-Match": "*"}), 404)
    assert entra.patch(address, operation).status_code == 200


@both_databases
def test_what_the_client_has_already_is_not_sent_again(entra: Entra) -> None:
    """304 without a body, and without a look for groups or members."""
    ada = entra.user("ada")
    group = entra.group("Editors", members=[{"value": ada["id"]}])
    for address in (f"/Users/{ada['id']}", f"/Groups/{group['id']}"):
        known = tag(entra, address)
        for header in (known, known.removeprefix("W/"), f'"a,b" , {known}', "*"):
            answer = entra.get(address, headers={"If-None-Match": header})
            assert (answer.status_code, answer.data) == (304, b"")
            assert answer.headers["ETag"] == known
        assert entra.get(address, headers={"If-None-Match": 'W/"0"'}).status_code == 200


@both_databases
def test_no_version_costs_a_read_of_members(app: Flask, entra: Entra, statements: Any) -> None:
    """Not the read of a group, not a list of them, not a conditional write."""
    users = [entra.user(f"u{n}") for n in range(3)]
    group = entra.group("Editors", members=[{"value": user["id"]} for user in users])
    address = f"/Groups/{group['id']}"
    known = tag(entra, address)
    with statements() as seen:
        entra.get(f"{address}?excludedAttributes=members")
        entra.get("/Groups?excludedAttributes=members")
        entra.get(address, headers={"If-None-Match": known})
        operation = {"op": "replace", "path": "displayName", "value": "New"}
        answer = entra.patch(address, operation, headers={"If-Match": known})
    assert answer.status_code == 204
    assert seen
    assert not [statement for statement in seen if TeamMember.__tablename__ in statement]


@both_databases
def test_of_writes_on_one_version_at_once_one_wins(entra: Entra) -> None:
    """A lost update between two concurrent PATCHes is impossible: the second one is told."""
    user = entra.user("ada")
    group = entra.group("Editors", members=[{"value": user["id"]}])
    for address, value in (
        (f"/Users/{user['id']}", {"op": "replace", "path": "title", "value": None}),
        (f"/Groups/{group['id']}", {"op": "replace", "path": "displayName", "value": None}),
    ):
        known = {"If-Match": tag(entra, address)}

        def change(number: int, address: str = address, op: Any = value, known: Any = known) -> Any:
            operation = {**op, "value": f"new {number}"}
            return lambda one: one.patch(address, operation, headers=known)

        answers = at_once(entra, [change(number) for number in range(4)])
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses[1:] == [412, 412, 412]
        assert statuses[0] in (200, 204)


@both_databases
def test_the_hosts_own_views_can_say_that_members_changed(app: Flask, entra: Entra) -> None:
    """What they change is a new version too."""
    user, group = entra.user("ada"), entra.group("Editors")
    address = f"/Groups/{group['id']}"
    before = tag(entra, address)
    with app.app_context():
        team = db.session.get_one(Team, uuid.UUID(group["id"]))
        db.session.add(TeamMember(team_id=team.id, user_id=uuid.UUID(user["id"])))
        scim.members_changed(team)
        db.session.commit()
    assert tag(entra, address) != before
    off = {"op": "replace", "path": "members", "value": []}
    error_of(entra.patch(address, off, headers={"If-Match": before}), 412)
