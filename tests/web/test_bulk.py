"""Bulk requests (RFC 7644 §3.7), and /Me (§3.11)."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from example_app.models import db
from example_app.provisioning import scim
from flask_h5mag_scim import user_provisioned
from flask_h5mag_scim.records.log import Event
from flask_h5mag_scim.web.exchange import MAX_BODY, MAX_OPERATIONS

from ..conftest import ENTERPRISE, Entra, both_databases, error_of
from ..test_concurrency import at_once

REQUEST = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
RESPONSE = "urn:ietf:params:scim:api:messages:2.0:BulkResponse"


def post(bulk_id: str, path: str, **data: Any) -> dict[str, Any]:
    return {"method": "POST", "path": path, "bulkId": bulk_id, "data": data}


def send(entra: Entra, *operations: Any, **more: Any) -> list[dict[str, Any]]:
    """The results of a bulk request that was accepted."""
    answer = entra.post("/Bulk", {"schemas": [REQUEST], "Operations": list(operations), **more})
    assert answer.status_code == 200, answer.text
    body = answer.get_json()
    assert body["schemas"] == [RESPONSE]
    return body["Operations"]


def statuses(results: list[dict[str, Any]]) -> list[str]:
    return [result["status"] for result in results]


def read(entra: Entra, result: dict[str, Any]) -> dict[str, Any]:
    """The resource of a result, by its location."""
    answer = entra.get(result["location"].split("/scim/v2")[1])
    assert answer.status_code == 200
    return answer.get_json()


def members(group: dict[str, Any]) -> set[str]:
    return {member["value"] for member in group.get("members", [])}


@both_databases
def test_every_method_in_one_request(entra: Entra) -> None:
    """Each operation is answered with its method, status, location and version."""
    bo, cy, di = (entra.user(name) for name in ("bo", "cy", "di"))
    patch = {"Operations": [{"op": "Replace", "path": "active", "value": "False"}]}
    results = send(
        entra,
        post("new", "/Users", userName="ada@example.com", externalId="a"),
        {"method": "put", "path": f"/Users/{bo['id']}", "data": {**bo, "title": "Chief"}},
        {"method": "PATCH", "path": f"/Users/{cy['id']}", "data": patch},
        {"method": "DELETE", "path": f"/Users/{di['id']}"},
        post("team", "/groups/", displayName="Editors", members=[{"value": bo["id"]}]),
        {"method": "PATCH", "path": "/Groups/bulkId:team", "data": {"Operations": []}},
    )
    assert statuses(results) == ["201", "200", "200", "204", "201", "400"]
    assert [result["method"] for result in results] == [
        *("POST", "PUT", "PATCH", "DELETE", "POST", "PATCH")
    ]
    assert results[0]["bulkId"] == "new"
    assert "response" not in results[0]
    shown = [read(entra, result) for result in (*results[:3], results[4])]
    assert [one["meta"]["version"] for one in shown] == [
        result["version"] for result in (*results[:3], results[4])
    ]
    assert shown[0]["externalId"] == "a"
    assert shown[1]["title"] == "Chief"
    assert shown[2]["active"] is False
    assert results[3]["location"].endswith(di["id"])
    error_of(entra.get(f"/Users/{di['id']}"), 404)
    assert members(shown[3]) == {bo["id"]}
    assert results[5]["response"]["scimType"] == "invalidSyntax"


@both_databases
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_references_in_any_order(entra: Entra, order: tuple[int, ...]) -> None:
    """A bulkId may be used before the operation that makes its resource, in data, in the path
    of an operation and in the path of a PATCH; results come in the order of the request."""
    group = entra.group("Old")
    operations = [
        post("ada", "/Users", userName="ada"),
        post("team", "/Groups", displayName="New", members=[{"value": "bulkId:ada"}]),
        {
            "method": "PATCH",
            "path": f"/Groups/{group['id']}",
            "data": {
                "Operations": [
                    {"op": "add", "path": "members", "value": [{"value": "bulkId:ada"}]},
                    {"op": "remove", "path": 'members[value eq "bulkId:other"]'},
                ]
            },
        },
    ]
    results = send(entra, *(operations[number] for number in order))
    assert sorted(statuses(results)) == ["201", "201", "204"]
    by_number = dict(zip(order, results, strict=True))
    ada = by_number[0]["location"].rpartition("/")[2]
    assert members(read(entra, by_number[1])) == {ada}
    assert members(read(entra, by_number[2])) == {ada}
    results = send(
        entra,
        {"method": "PATCH", "path": "/Users/bulkId:bo", "data": {"Operations": [
            {"op": "add", "path": "title", "value": "x"}]}},
        {"method": "PATCH", "path": f"/Groups/{group['id']}", "data": {"Operations": [
            {"op": "remove", "path": f'members[value eq "{ada}"]'},
            {"op": "add", "path": "members", "value": "bulkId:bo"}]}},
        post("bo", "/Users", userName="bo"),
    )  # fmt: skip
    assert statuses(results) == ["200", "204", "201"]
    assert read(entra, results[2])["title"] == "x"
    assert members(read(entra, results[1])) == {results[2]["location"].rpartition("/")[2]}


@both_databases
def test_two_who_refer_to_each_other_are_both_made(entra: Entra) -> None:
    """RFC 7644 §3.7.1: the server tries to resolve circular references; also somebody's to
    themselves."""
    manager = {"manager": {"value": "bulkId:bo"}, "department": "Navy"}
    results = send(
        entra,
        post("ada", "/Users", **{"userName": "ada", ENTERPRISE: manager}),
        post("bo", "/Users", **{"userName": "bo", ENTERPRISE: {"manager": "bulkId:ada"}}),
        post("cy", "/Users", **{"userName": "cy", ENTERPRISE: {"manager": {"value": "bulkId:cy"}}}),
    )
    assert statuses(results) == ["201"] * 3
    ada, bo, cy = (read(entra, result) for result in results)
    assert ada[ENTERPRISE] == {"manager": {"value": bo["id"]}, "department": "Navy"}
    assert bo[ENTERPRISE]["manager"]["value"] == ada["id"]
    assert cy[ENTERPRISE]["manager"]["value"] == cy["id"]


@both_databases
def test_of_a_circle_all_are_made_or_none(entra: Entra) -> None:
    """One whose name is taken takes the other along, and both are told why."""
    entra.user("bo")
    results = send(
        entra,
        post("ada", "/Users", **{"userName": "ada", ENTERPRISE: {"manager": "bulkId:bo"}}),
        post(
            "bo",
            "/Users",
            **{"userName": "bo@example.com", ENTERPRISE: {"manager": "bulkId:ada"}},
        ),
        post("cy", "/Users", userName="cy"),
    )
    assert statuses(results) == ["409", "409", "201"]
    assert results[1]["response"]["scimType"] == "uniqueness"
    assert "neither" in results[0]["response"]["detail"]
    assert entra.find('userName eq "ada"') == []


@both_databases
def test_what_fails_leaves_the_rest_alone(app: Flask, entra: Entra) -> None:
    """Each operation is done or not done; who needs one that failed is told so; refusals and
    changes are in the log; signals are sent for what was done."""
    told: list[str] = []

    def receive(app: Flask, user: Any, **more: Any) -> None:
        told.append(user.username)

    with user_provisioned.connected_to(receive):
        results = send(
            entra,
            post("a", "/Users", userName="ada", externalId="x"),
            post("b", "/Users", userName="ADA"),
            post("g", "/Groups", displayName="G", members=[{"value": "bulkId:b"}]),
            post("h", "/Groups", displayName="H", members=[{"value": "bulkId:nobody"}]),
            post("c", "/Users", userName="cy", active="perhaps"),
            post("d", "/Users", userName="di"),
        )
    assert statuses(results) == ["201", "409", "409", "400", "400", "201"]
    assert "'b'" in results[2]["response"]["detail"]
    assert "location" not in results[1]
    assert told == ["ada", "di"]
    assert len(entra.find('userName eq "ada" or userName eq "cy" or userName eq "di"')) == 2
    assert entra.find("displayName pr", "Groups") == []
    with app.app_context():
        Entry = scim.LogEntry
        found = db.session.scalars(sa.select(Entry).order_by(Entry.id)).all()
        logged = [(e.event, e.status, e.method) for e in found if e.status]
        assert not any("ada" in (e.detail or "").lower() for e in found)
    assert [one[:2] for one in logged] == [
        (Event.USER_CREATED, 201),
        (Event.REFUSED, 409),
        (Event.REFUSED, 409),
        (Event.REFUSED, 400),
        (Event.REFUSED, 400),
        (Event.USER_CREATED, 201),
    ]
    assert {one[2] for one in logged} == {"POST"}


@both_databases
@pytest.mark.parametrize(("limit", "tried"), [(1, 2), (2, 4), (3, 5)])
def test_the_request_ends_after_so_many_errors(entra: Entra, limit: int, tried: int) -> None:
    """failOnErrors: what was done before stays, and the rest is not tried."""
    entra.user("taken")
    again = {"userName": "taken@example.com"}
    results = send(
        entra,
        post("a", "/Users", userName="a"),
        post("b", "/Users", **again),
        post("c", "/Users", userName="c"),
        post("d", "/Users", **again),
        post("e", "/Users", userName="e"),
        failOnErrors=limit,
    )
    assert len(results) == tried
    made = {n for n in "ace" if entra.find(f'userName eq "{n}"')}
    assert made == {"a", "c", "e"} & {result.get("bulkId") for result in results}


@both_databases
def test_a_version_is_a_condition(entra: Entra) -> None:
    """RFC 7644 §3.7: the version of an operation is what If-Match is to a request."""
    ada = entra.user("ada")
    old = ada["meta"]["version"]
    data = {"Operations": [{"op": "replace", "path": "title", "value": "x"}]}
    operation = {"method": "PATCH", "path": f"/Users/{ada['id']}", "version": old, "data": data}
    first, second = send(entra, operation, operation)
    assert (first["status"], second["status"]) == ("200", "412")
    assert first["version"] in second["response"]["detail"]


@pytest.mark.parametrize(
    ("operation", "status"),
    [
        ("text", 400),
        ({"method": "GET", "path": "/Users"}, 400),
        ({"path": "/Users", "bulkId": "a", "data": {}}, 400),
        ({"method": "POST", "path": "/Users", "data": {"userName": "x"}}, 400),
        ({"method": "POST", "path": 5, "bulkId": "a", "data": {}}, 400),
        ({"method": "POST", "path": "Users", "bulkId": "a", "data": {}}, 400),
        ({"method": "POST", "path": "/Users", "bulkId": "a"}, 400),
        ({"method": "POST", "path": "/Users", "bulkId": "a", "data": []}, 400),
        ({"method": "DELETE", "path": "/Users/x", "version": 5}, 400),
        ({"method": "DELETE", "path": "/Users/x"}, 404),
        ({"method": "DELETE", "path": "/Users/bulkId:x"}, 404),
        ({"method": "DELETE", "path": "/Users/x/y"}, 404),
        ({"method": "DELETE", "path": "/Users"}, 405),
        ({"method": "DELETE", "path": "/Schemas/x"}, 404),
        ({"method": "POST", "path": "/Bulk", "bulkId": "a", "data": {}}, 404),
        ({"method": "POST", "path": "/Me", "bulkId": "a", "data": {}}, 404),
        ({"method": "POST", "path": "/Users/.search", "bulkId": "a", "data": {}}, 405),
        ({"method": "POST", "path": "/Users/x", "bulkId": "a", "data": {}}, 405),
    ],
)
def test_an_operation_that_is_none_fails_alone(entra: Entra, operation: Any, status: int) -> None:
    """With an error of its own, in SCIM's form."""
    result, made = send(entra, operation, post("ok", "/Users", userName="ok"))
    assert (result["status"], made["status"]) == (str(status), "201")
    assert result["response"]["status"] == str(status)
    assert len(result["response"]["detail"]) > 10


@pytest.mark.parametrize(
    ("body", "status", "scim_type"),
    [
        ({}, 400, "invalidSyntax"),
        ({"Operations": []}, 400, "invalidSyntax"),
        ({"Operations": {}}, 400, "invalidSyntax"),
        ({"schemas": ["other"], "Operations": [{}]}, 400, "invalidSyntax"),
        ({"Operations": [{}], "failOnErrors": 0}, 400, "invalidValue"),
        ({"Operations": [{}], "failOnErrors": "1"}, 400, "invalidValue"),
        ({"Operations": [{}], "failOnErrors": True}, 400, "invalidValue"),
        (
            {"Operations": [post("a", "/Users", userName="a"), post("a", "/Users", userName="b")]},
            400,
            "invalidValue",
        ),
        ({"Operations": [{}] * (MAX_OPERATIONS + 1)}, 413, None),
    ],
)
def test_a_request_that_is_none_is_refused_as_a_whole(
    entra: Entra, body: Any, status: int, scim_type: str | None
) -> None:
    """Before anything of it is done."""
    error_of(entra.post("/Bulk", body), status, scim_type)
    assert entra.get("/Users").get_json()["totalResults"] == 1


def test_the_limits_are_those_that_are_advertised(entra: Entra) -> None:
    """maxOperations and maxPayloadSize (RFC 7644 §3.7.4), and a 413 beyond them."""
    bulk = entra.get("/ServiceProviderConfig").get_json()["bulk"]
    assert bulk == {
        "supported": True,
        "maxOperations": MAX_OPERATIONS,
        "maxPayloadSize": MAX_BODY,
    }
    body = json.dumps({"Operations": [post("a", "/Users", userName="a" * MAX_BODY)]})
    error_of(entra.post("/Bulk", body), 413)
    results = send(entra, *[{"method": "DELETE", "path": "/Users/x"}] * MAX_OPERATIONS)
    assert set(statuses(results)) == {"404"}
    error_of(entra.get("/Bulk"), 405)


@both_databases
def test_another_accounts_people_are_not_there(entra: Entra, other_entra: Entra) -> None:
    """The token decides for every operation."""
    theirs = other_entra.user("ada")
    patch = {"Operations": [{"op": "replace", "path": "title", "value": "x"}]}
    results = send(
        entra,
        {"method": "PATCH", "path": f"/Users/{theirs['id']}", "data": patch},
        {"method": "DELETE", "path": f"/Users/{theirs['id']}"},
        post("g", "/Groups", displayName="G", members=[{"value": theirs["id"]}]),
    )
    assert statuses(results) == ["404", "404", "400"]
    assert other_entra.get(f"/Users/{theirs['id']}").get_json() == theirs


@both_databases
def test_the_statements_of_a_bulk_request_are_those_of_its_operations(
    entra: Entra, statements: Any
) -> None:
    """One look for the token, one COMMIT, and for each operation what its verb needs."""

    def cost(number: int) -> int:
        operations = [post(f"{n}", "/Users", userName=f"u{number}-{n}") for n in range(number)]
        with statements() as seen:
            assert set(statuses(send(entra, *operations))) == {"201"}
        return len([s for s in seen if not s.startswith(("BEGIN", "PRAGMA"))])

    cost(1)
    # names taken?, INSERT, its link, the log; SAVEPOINT and RELEASE
    assert cost(12) - cost(2) == 10 * 6


@both_databases
def test_two_bulk_requests_at_once(entra: Entra) -> None:
    """Each name is made once, whoever comes first."""
    operations = [post(f"{n}", "/Users", userName=f"u{n}") for n in range(5)]
    answers = at_once(
        entra, [lambda one: one.post("/Bulk", {"Operations": operations}) for _ in range(3)]
    )
    assert {answer.status_code for answer in answers} <= {200, 503}
    results = [
        result["status"]
        for answer in answers
        if answer.status_code == 200
        for result in answer.get_json()["Operations"]
    ]
    assert results.count("201") == 5
    assert set(results) <= {"201", "409"}
    assert entra.get("/Users").get_json()["totalResults"] == 6


@pytest.mark.parametrize("path", ["/Me", "/me/", "/Me/x"])
@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_nobody_is_me(entra: Entra, path: str, verb: str) -> None:
    """RFC 7644 §3.11: 501 from a server without it; a token of this one is no person's."""
    body = None if verb in ("GET", "DELETE") else {"userName": "x"}
    assert "/Me" in error_of(entra.send(verb, path, body), 501)
