"""SCIM over HTTP: what clients send, and what they get."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from example_app.models import Magazine, Team, TeamMember, User, db
from example_app.provisioning import scim
from flask_h5mag_scim import (
    group_updated,
    user_deprovisioned,
    user_provisioned,
    user_updated,
)
from flask_h5mag_scim.records import log
from flask_h5mag_scim.records.models import now

from ..conftest import ENTERPRISE, Entra, both_databases, error_of, get_account, make_token

CORE_USER = "urn:ietf:params:scim:schemas:core:2.0:User"

TUTORIAL = {
    "userName": "ada@example.com",
    "externalId": "8b7f2b0a-1111-4c61-9a39-0a0a0a0a0a01",
    "active": True,
    "displayName": "Ada Byrne",
    "emails": [{"type": "work", "value": "ada.byrne@example.com", "primary": True}],
    "preferredLanguage": "nl-NL",
    "name": {"givenName": "Ada", "familyName": "Byrne", "formatted": "Ada Byrne"},
    "locale": "nl-NL",
    "timezone": "Europe/Amsterdam",
    "userType": "Employee",
}


def entries(app: Flask, slug: str = "acme") -> list[Any]:
    """The account's log, newest first."""
    with app.app_context():
        account = get_account(slug)
        return log.recent(db.session, scim.records, account.id, limit=100)


# Users


@both_databases
def test_all_attributes_of_the_tutorial_come_back_as_they_were_sent(entra: Entra) -> None:
    """What is created is what the answer, GET by id and a filter show."""
    created = entra.post("/Users", {"schemas": [CORE_USER], **TUTORIAL})
    assert created.status_code == 201
    id = created.get_json()["id"]
    listed = entra.get('/Users?filter=userName+eq+"ada@example.com"').get_json()["Resources"]
    for found in (created.get_json(), entra.get(f"/Users/{id}").get_json(), *listed):
        assert {name: found[name] for name in TUTORIAL} == TUTORIAL
        assert found["schemas"] == [CORE_USER]
        assert found["meta"]["resourceType"] == "User"
        assert found["meta"]["location"] == f"http://127.0.0.1:5000/scim/v2/Users/{id}"
        assert found["meta"]["created"].endswith("Z")
    assert created.headers["Location"] == created.get_json()["meta"]["location"]


def test_attributes_land_in_the_hosts_own_columns(app: Flask, entra: Entra) -> None:
    """The host reads its people as it always did."""
    id = entra.post("/Users", TUTORIAL).get_json()["id"]
    with app.app_context():
        user = db.session.get_one(User, uuid.UUID(id))
        assert (user.username, user.email, user.first_name, user.language) == (
            "ada@example.com",
            "ada.byrne@example.com",
            "Ada",
            "nl-NL",
        )
        assert user.account.slug == "acme"
        assert user.scim_extra == {}


def test_what_the_map_does_not_name_is_kept_and_given_back(entra: Entra) -> None:
    """The catch-all keeps core, enterprise and custom attributes, next to a mapped value."""
    custom = "urn:ietf:params:scim:schemas:extension:Acme:2.0:User"
    sent = {
        "title": "Engineer",
        "name": {"givenName": "Ada", "middleName": "M"},
        "emails": [
            {"type": "work", "value": "a@example.com", "display": "Ada at work"},
            {"type": "home", "value": "a@home.example"},
        ],
        "phoneNumbers": [{"type": "fax", "value": "1"}],
        ENTERPRISE: {"department": "Engines", "manager": {"value": "7"}},
        custom: {"badgeColour": "green"},
        "shoeSize": "44",
    }
    user = entra.user(**sent)
    found = entra.get(f"/Users/{user['id']}").get_json()
    sent["emails"][0]["primary"] = True
    assert {name: found[name] for name in sent} == sent
    assert set(found["schemas"]) == {CORE_USER, ENTERPRISE, custom}


def test_a_primary_address_that_is_not_the_work_address_stays_the_primary_one(
    entra: Entra,
) -> None:
    """Only one value is primary, and it is the one that was sent so."""
    emails = [
        {"type": "work", "value": "a@example.com"},
        {"type": "home", "value": "a@home.example", "primary": True},
    ]
    user = entra.user(emails=emails)
    found = entra.get(f"/Users/{user['id']}").get_json()["emails"]
    assert [e["type"] for e in found if e.get("primary")] == ["home"]


def test_a_password_is_neither_kept_nor_returned(app: Flask, entra: Entra) -> None:
    """The catch-all must not become a store of clear passwords."""
    user = entra.user(password="hunter2 hunter2")
    assert "password" not in entra.get(f"/Users/{user['id']}").get_json()
    with app.app_context():
        stored = db.session.get_one(User, uuid.UUID(user["id"]))
        assert "hunter2" not in json.dumps(stored.scim_extra)
    assert entries(app)[0].ignored == ["password"]


@both_databases
@pytest.mark.parametrize("name", ["ada@example.com", "ADA@Example.COM"])
def test_a_taken_user_name_is_a_conflict_in_any_case(entra: Entra, name: str) -> None:
    """POST and PATCH and PUT answer 409 uniqueness and change nothing."""
    entra.user("ada")
    other = entra.user("bo")
    body = {"userName": name, "active": True}
    assert name in error_of(entra.post("/Users", body), 409, "uniqueness")
    operation = {"op": "replace", "path": "userName", "value": name}
    title = {"op": "replace", "path": "title", "value": "must not stick"}
    error_of(entra.patch(f"/Users/{other['id']}", title, operation), 409, "uniqueness")
    error_of(entra.put(f"/Users/{other['id']}", body), 409, "uniqueness")
    assert entra.get(f"/Users/{other['id']}").get_json() == other


def test_a_user_may_keep_its_own_name_in_another_case(entra: Entra) -> None:
    """A change of case is a change of one's own name, not a conflict with oneself."""
    user = entra.user("ada")
    answer = entra.patch(
        f"/Users/{user['id']}", {"op": "replace", "path": "userName", "value": "Ada@example.com"}
    )
    assert answer.get_json()["userName"] == "Ada@example.com"


def test_two_users_cannot_share_an_external_id(entra: Entra) -> None:
    """Sign-in finds people by it, so it names one."""
    user = entra.user("ada")
    body = {"userName": "bo@example.com", "externalId": user["externalId"]}
    assert "externalId" in error_of(entra.post("/Users", body), 409, "uniqueness")


@both_databases
def test_the_life_of_a_user(entra: Entra) -> None:
    """Created, disabled, still seen, restored with the same id and groups, deleted, created
    again."""
    user = entra.user("ada")
    group = entra.group("Editors", members=[{"value": user["id"]}])
    path = f"/Users/{user['id']}"
    disabled = entra.patch(path, {"op": "Replace", "path": "active", "value": "False"})
    assert disabled.get_json()["active"] is False
    assert entra.find('userName eq "ada@example.com"') == [user["id"]]
    assert entra.find("active eq false") == [user["id"]]
    members = entra.get(f"/Groups/{group['id']}").get_json()["members"]
    assert [m["value"] for m in members] == [user["id"]]
    restored = entra.patch(path, {"op": "Add", "path": "active", "value": "True"}).get_json()
    assert restored["active"] is True
    assert [g["value"] for g in restored["groups"]] == [group["id"]]
    assert entra.delete(path).status_code == 204
    error_of(entra.get(path), 404)
    error_of(entra.delete(path), 404)
    error_of(entra.patch(path, {"op": "replace", "path": "title", "value": "x"}), 404)
    assert "members" not in entra.get(f"/Groups/{group['id']}").get_json()
    assert entra.user("ada")["id"] != user["id"]


def test_a_deleted_editors_magazines_go_to_the_owner(app: Flask, entra: Entra) -> None:
    """The host's own rule runs in the same transaction."""
    user = entra.user("ada")
    with app.app_context():
        account = get_account()
        magazine = Magazine(account_id=account.id, title="Engines", owner_id=uuid.UUID(user["id"]))
        db.session.add(magazine)
        db.session.commit()
        id = magazine.id
    assert entra.delete(f"/Users/{user['id']}").status_code == 204
    with app.app_context():
        owner = db.session.get_one(User, db.session.get_one(Magazine, id).owner_id)
        assert owner.username == "owner@acme.example"


def test_put_replaces_what_is_sent_and_clears_what_is_not(entra: Entra) -> None:
    """Absent attributes are cleared, but active, externalId and memberships stay."""
    user = entra.user("ada", title="Engineer", displayName="Ada", locale="nl-NL")
    entra.group("Editors", members=[{"value": user["id"]}])
    entra.patch(f"/Users/{user['id']}", {"op": "replace", "path": "active", "value": False})
    found = entra.put(
        f"/Users/{user['id']}", {"userName": "ada2@example.com", "displayName": "A."}
    ).get_json()
    assert (found["userName"], found["displayName"]) == ("ada2@example.com", "A.")
    assert (found["active"], found["externalId"]) == (False, user["externalId"])
    assert "title" not in found
    assert "locale" not in found
    assert len(found["groups"]) == 1


@pytest.mark.parametrize(
    ("operation", "scim_type"),
    [
        ({"op": "remove", "path": "userName"}, "mutability"),
        ({"op": "replace", "path": "userName", "value": ""}, "invalidValue"),
        ({"op": "replace", "path": "userName", "value": None}, "invalidValue"),
        ({"op": "replace", "path": "userName", "value": 7}, "invalidValue"),
        ({"op": "remove", "path": "active"}, "invalidValue"),
        ({"op": "replace", "path": "active", "value": "maybe"}, "invalidValue"),
        ({"op": "replace", "path": "id", "value": "x"}, "mutability"),
        ({"op": "add", "path": "groups", "value": [{"value": "x"}]}, "mutability"),
        ({"op": "replace", "path": "meta.created", "value": "x"}, "mutability"),
        ({"op": "remove"}, "noTarget"),
        ({"op": "replace", "path": "name[", "value": "x"}, "invalidPath"),
        ({"op": "replace", "path": 'emails[value co "x"].type', "value": "x"}, "noTarget"),
        ({"op": "merge", "path": "title", "value": "x"}, "invalidSyntax"),
        ({"op": "add", "value": "x"}, "invalidSyntax"),
        ({"op": "add", "path": ["title"], "value": "x"}, "invalidSyntax"),
        ({"op": "add", "path": "name", "value": "x"}, "invalidValue"),
        ({"op": "add", "path": "emails", "value": "x"}, "invalidValue"),
        ("replace", "invalidSyntax"),
    ],
)
def test_a_patch_that_cannot_be_done_says_why_and_changes_nothing(
    entra: Entra, operation: Any, scim_type: str
) -> None:
    """The first operation is taken back with the one that fails."""
    user = entra.user("ada")
    first = {"op": "add", "path": "title", "value": "must not stick"}
    error_of(entra.patch(f"/Users/{user['id']}", first, operation), 400, scim_type)
    assert entra.get(f"/Users/{user['id']}").get_json() == user


@pytest.mark.parametrize(
    "body",
    [
        {"userName": ""},
        {"userName": 3},
        {"userName": None},
        {"displayName": "nobody"},
        {"userName": "x", "active": "perhaps"},
        {"userName": "x", "active": 1},
        {"userName": "x", "name": "Ada"},
        {"userName": "x", "emails": {"value": 3}},
        {"userName": "x", "emails": ["a@example.com"]},
        {"userName": "x", ENTERPRISE: "Engines"},
        {"userName": "x", ENTERPRISE: {"department": ["Engines"]}},
        {"userName": "x\u0000y"},
        {"userName": "x", "title": "\ud800"},
        {"userName": "x", "\u0000": "title"},
    ],
)
def test_a_user_that_is_none_is_refused_with_a_sentence(entra: Entra, body: Any) -> None:
    """A value that does not fit its attribute is 400 invalidValue and creates nobody."""
    before = entra.get("/Users").get_json()["totalResults"]
    error_of(entra.post("/Users", body), 400, "invalidValue")
    assert entra.get("/Users").get_json()["totalResults"] == before


@both_databases
def test_a_value_too_long_for_its_column_is_refused(app: Flask, entra: Entra) -> None:
    """PostgreSQL refuses it in the statement; SQLite keeps it. Neither is a 500."""
    answer = entra.post("/Users", {"userName": "x" * 3000, "locale": "y" * 3000})
    assert answer.status_code in (201, 400)
    if answer.status_code == 400:
        error_of(answer, 400, "invalidValue")


# Requests that are none


@pytest.mark.parametrize(
    ("data", "status", "scim_type"),
    [
        ("{", 400, "invalidSyntax"),
        ("", 400, "invalidSyntax"),
        ("null", 400, "invalidSyntax"),
        ("[]", 400, "invalidSyntax"),
        ('"x"', 400, "invalidSyntax"),
        ('{"userName": NaN}', 400, "invalidSyntax"),
        ('{"x": ' + "9" * 5000 + "}", 400, "invalidSyntax"),
        ('{"x": ' + "[" * 500 + "]" * 500 + "}", 400, "invalidSyntax"),
        ("[" * 100_000, 400, "invalidSyntax"),
        (b"\xff\xfe{}", 400, "invalidSyntax"),
        (b'{"userName": "\xff"}', 400, "invalidSyntax"),
        ("x" * (4 * 1024 * 1024 + 1), 413, None),
    ],
)
@pytest.mark.parametrize("verb", ["POST", "PUT", "PATCH"])
def test_a_body_that_is_no_object_is_refused(
    entra: Entra, verb: str, data: Any, status: int, scim_type: str | None
) -> None:
    """Broken, foreign and huge bodies get a SCIM error, whatever the verb."""
    path = "/Users" if verb == "POST" else f"/Users/{uuid.uuid4()}"
    error_of(entra.send(verb, path, data or b" "), status, scim_type)


@pytest.mark.parametrize(
    "operations",
    [None, [], {}, "x", [1], [None], [[]], [{"op": 1}], [{}], [{"op": None, "path": "x"}]],
)
def test_operations_that_are_none_are_refused(entra: Entra, operations: Any) -> None:
    """A PATCH without a list of operations is 400 invalidSyntax."""
    user = entra.user()
    body = {"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations}
    error_of(entra.send("PATCH", f"/Users/{user['id']}", body), 400, "invalidSyntax")


def test_another_message_is_no_patch(entra: Entra) -> None:
    """A body that says it is something else is not taken for a PATCH."""
    user = entra.user()
    body = {"schemas": [CORE_USER], "Operations": [{"op": "remove", "path": "title"}]}
    error_of(entra.send("PATCH", f"/Users/{user['id']}", body), 400, "invalidSyntax")


@pytest.mark.parametrize("content_type", ["application/scim+json", "application/json", None])
def test_json_is_taken_by_either_name(entra: Entra, content_type: str | None) -> None:
    """Both media types work, and so does a body that does not say what it is."""
    body = {"userName": "ada@example.com"}
    assert entra.post("/Users", body, content_type=content_type).status_code == 201


def test_a_body_that_is_something_else_is_refused(entra: Entra) -> None:
    """415 for a form or a text."""
    error_of(entra.post("/Users", "userName=x", content_type="text/plain"), 415)


@pytest.mark.parametrize(
    ("verb", "path", "allowed"),
    [
        ("PUT", "/Users", "GET, POST"),
        ("DELETE", "/Groups", "GET, POST"),
        ("POST", "/Users/00000000-0000-4000-8000-000000000000", "GET, PUT, PATCH, DELETE"),
        ("POST", "/Schemas", "GET"),
        ("OPTIONS", "/Users", "GET, POST"),
        ("DELETE", "/ServiceProviderConfig", "GET"),
    ],
)
def test_a_wrong_verb_is_405_and_says_which_are_right(
    entra: Entra, verb: str, path: str, allowed: str
) -> None:
    """The answer is SCIM's, with Allow."""
    answer = entra.send(verb, path)
    error_of(answer, 405)
    assert answer.headers["Allow"] == allowed


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/Users/x/y",
        "/Bulk/x",
        "/Schemas/x",
        "/ResourceTypes/x",
        "/ServiceProviderConfig/x",
        "/Users/%00",
        "/Users/" + "x" * 3000,
        "/../login",
        "/Users/é",
    ],
)
def test_an_unknown_address_is_a_scim_404(entra: Entra, path: str) -> None:
    """Everything below the prefix answers in SCIM."""
    error_of(entra.get(path), 404)


@pytest.mark.parametrize("path", ["/Users/", "//Users", "/users", "//Users//", "/USERS"])
def test_doubled_and_trailing_slashes_are_no_redirect(entra: Entra, path: str) -> None:
    """Entra appends to whatever the admin typed; a redirect would break Test Connection."""
    answer = entra.get(f'{path}?filter=userName+eq+"nobody"&aadOptscim062020&x=1')
    assert (answer.status_code, answer.get_json()["Resources"]) == (200, [])


# The token


@pytest.mark.parametrize("path", ["/Users", "/Groups", "/Schemas", "/nothing", ""])
@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic eDp5", "Bearer x"])
def test_without_a_token_there_is_nothing_to_see(app: Flask, path: str, header: str | None) -> None:
    """401 with the challenge, on every address."""
    headers = {} if header is None else {"Authorization": header}
    answer = app.test_client().get(f"/scim/v2{path}", headers=headers)
    error_of(answer, 401)
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("state", "expires_in", "sentence"),
    [
        ("draft", None, "not saved yet: press Save in Account → Provisioning & SSO"),
        ("revoked", None, "was revoked"),
        ("active", timedelta(seconds=-1), "has expired"),
    ],
)
def test_a_token_that_is_no_longer_good_says_why(
    app: Flask, state: str, expires_in: timedelta | None, sentence: str
) -> None:
    """The admin reads what to do in Entra's log; the page's log has it too, once a minute."""
    entra = Entra(app.test_client(), make_token(app, "acme", state=state, expires_in=expires_in))
    for _ in range(5):
        assert sentence in error_of(entra.get("/Users"), 401)
    assert [entry.status for entry in entries(app)] == [401]


def test_an_account_without_licence_is_refused_and_told_whom_to_ask(app: Flask) -> None:
    """403 naming the Enterprise licence and the support address."""
    entra = Entra(app.test_client(), make_token(app, "umbrella"))
    for answer in (entra.get("/Users"), entra.post("/Users", {"userName": "x"})):
        detail = error_of(answer, 403)
        assert "Enterprise licence" in detail
        assert "support@h5mag.com" in detail
    assert len(entries(app, "umbrella")) == 2


def test_the_use_of_a_token_is_noted_once_a_minute(
    app: Flask, entra: Entra, statements: Any
) -> None:
    """A second request within the minute writes nothing."""
    entra.get("/Users")
    with app.app_context():
        first = db.session.scalars(sa.select(scim.Token)).one()
        assert (first.last_used_at, first.last_used_ip) != (None, None)
    with statements() as seen:
        entra.get("/Users")
    assert not [statement for statement in seen if "UPDATE" in statement]
    with app.app_context():
        token = db.session.scalars(sa.select(scim.Token)).one()
        token.last_used_at = now() - timedelta(minutes=2)
        db.session.commit()
    entra.get("/Users")
    with app.app_context():
        assert now() - db.session.scalars(sa.select(scim.Token)).one().last_used_at < timedelta(
            minutes=1
        )


# Lists


@both_databases
def test_pages_cover_a_list_once_and_in_a_stable_order(entra: Entra) -> None:
    """startIndex and count walk the whole list; totalResults is the list's, not the page's."""
    wanted = {entra.user(f"u{n}")["id"] for n in range(11)}
    found: list[str] = []
    for start in range(1, 14, 5):
        page = entra.get(f"/Users?startIndex={start}&count=5").get_json()
        assert page["totalResults"] == 12  # with the owner
        assert page["startIndex"] == start
        assert page["itemsPerPage"] == len(page["Resources"])
        found += [resource["id"] for resource in page["Resources"]]
    assert len(found) == len(set(found)) == 12
    assert wanted < set(found)


@pytest.mark.parametrize(
    ("query", "start", "items"),
    [
        ("", 1, 4),
        ("startIndex=0", 1, 4),
        ("startIndex=-7", 1, 4),
        ("startIndex=4", 4, 1),
        ("startIndex=5", 5, 0),
        ("startIndex=99999999999999999999", 2**31, 0),
        ("count=0", 1, 0),
        ("count=-3", 1, 0),
        ("count=2", 1, 2),
        ("count=99999999999999999999", 1, 4),
        ("startIndex=&count=", 1, 4),
    ],
)
def test_odd_pages_are_answered_by_the_rfc(
    entra: Entra, query: str, start: int, items: int
) -> None:
    """RFC 7644 §3.4.2.4: below one is one, negative counts are none."""
    for name in ("a", "b", "c"):
        entra.user(name)
    page = entra.get(f"/Users?{query}").get_json()
    assert (page["startIndex"], page["itemsPerPage"], page["totalResults"]) == (start, items, 4)


@pytest.mark.parametrize("query", ["startIndex=x", "count=1.5", "count=ten", "startIndex=1e3"])
def test_a_page_number_that_is_none_is_refused(entra: Entra, query: str) -> None:
    """400 invalidValue that names the parameter."""
    assert query.split("=")[0] in error_of(entra.get(f"/Users?{query}"), 400, "invalidValue")


def test_a_list_has_a_ceiling(app: Flask, entra: Entra) -> None:
    """No more than H5MAG_SCIM_MAX_RESULTS, however many are asked for."""
    answer = entra.get("/ServiceProviderConfig").get_json()
    assert answer["filter"]["maxResults"] == 200
    with app.app_context():
        account = get_account()
        db.session.add_all(
            User(account_id=account.id, username=f"u{n}", external_id=str(n)) for n in range(201)
        )
        db.session.commit()
    page = entra.get("/Users?count=5000").get_json()
    assert (page["itemsPerPage"], page["totalResults"]) == (200, 202)


@pytest.mark.parametrize(
    "filter",
    [
        'userName eqq "x"',
        "userName eq",
        "userName eq x",
        "(userName pr",
        "userName pr)",
        'title eq "x"',
        'nothing eq "x"',
        f'{ENTERPRISE}:department eq "x"',
        'emails[type eq "home"].value eq "x"',
        "active gt true",
        'active eq "true"',
        "userName eq 5",
        "userName gt null",
        'meta.created co "2"',
        'meta.created eq "x"',
        'id gt "x"',
        "id eq 5",
        'name eq "x"',
        'emails[display eq "x"]',
        "userName",
        "and",
        "not userName pr",
        'userName eq "x" and',
        'userName eq "\\u0000"',
        "(" * 21 + "userName pr" + ")" * 21,
        " or ".join(["userName pr"] * 101),
        "x" * 9000,
    ],
)
def test_a_filter_that_cannot_be_asked_is_refused(entra: Entra, filter: str) -> None:
    """400 invalidFilter; an empty 200 would make Entra create a twin."""
    answer = entra.client.get(
        "/scim/v2/Users",
        query_string={"filter": filter},
        headers={"Authorization": f"Bearer {entra.token}"},
    )
    error_of(answer, 400, "invalidFilter")


def test_only_what_is_asked_for_is_shown(entra: Entra) -> None:
    """attributes and excludedAttributes, down to sub-attributes; id is always there."""
    user = entra.user(
        name={"givenName": "Ada", "familyName": "B"}, **{ENTERPRISE: {"department": "D"}}
    )
    path = f"/Users/{user['id']}"
    only = entra.get(f"{path}?attributes=USERNAME,name.givenName,{ENTERPRISE}:department")
    assert only.get_json() == {
        "schemas": user["schemas"],
        "id": user["id"],
        "userName": "ada@example.com",
        "name": {"givenName": "Ada"},
        ENTERPRISE: {"department": "D"},
    }
    without = entra.get(f"{path}?excludedAttributes=name.familyName,meta,id,nothing,{ENTERPRISE}")
    found = without.get_json()
    assert found["name"] == {"givenName": "Ada"}
    assert "meta" not in found
    assert ENTERPRISE not in found
    assert found["id"] == user["id"]


# Groups


@both_databases
def test_a_groups_name_is_unique_whatever_its_case(entra: Entra) -> None:
    """Entra finds groups by their name."""
    group = entra.group("Editors")
    other = entra.group("Readers")
    error_of(entra.post("/Groups", {"displayName": "EDITORS"}), 409, "uniqueness")
    operation = {"op": "Replace", "path": "displayName", "value": "editors"}
    error_of(entra.patch(f"/Groups/{other['id']}", operation), 409, "uniqueness")
    assert entra.find('displayName eq "eDiToRs"', "Groups") == [group["id"]]


@both_databases
def test_a_thousand_members_come_in_one_body_and_only_the_named_leave(entra: Entra) -> None:
    """Entra's Remove with a list removes exactly these; adding again is quiet."""
    app = entra.client.application
    with app.app_context():
        account = get_account()
        people = [User(account_id=account.id, username=f"u{n}") for n in range(1000)]
        db.session.add_all(people)
        db.session.commit()
        ids = [str(user.id) for user in people]
    path = f"/Groups/{entra.group()['id']}"
    members = [{"$ref": None, "value": id} for id in ids]
    for _ in range(2):
        answer = entra.patch(path, {"op": "Add", "path": "members", "value": members})
        assert (answer.status_code, answer.data) == (204, b"")
    assert len(entra.get(path).get_json()["members"]) == 1000
    for _ in range(2):
        entra.patch(path, {"op": "Remove", "path": "members", "value": members[:998]})
        left = {member["value"] for member in entra.get(path).get_json()["members"]}
        assert left == set(ids[998:])


def test_members_are_shown_as_people_and_only_when_asked_for(entra: Entra) -> None:
    """A member has its address and name; excluding members reads none of them."""
    user = entra.user(displayName="Ada")
    group = entra.group(members=[{"value": user["id"]}])
    assert group["members"] == [
        {
            "value": user["id"],
            "$ref": f"http://127.0.0.1:5000/scim/v2/Users/{user['id']}",
            "display": "Ada",
            "type": "User",
        }
    ]
    assert "members" not in entra.get(f"/Groups/{group['id']}?excludedAttributes=members").json


def test_a_patched_group_is_shown_when_attributes_are_asked_for(entra: Entra) -> None:
    """204 without a body, unless the request wants to see something."""
    user = entra.user()
    group = entra.group()
    operation = {"op": "add", "path": "members", "value": [{"value": user["id"]}]}
    answer = entra.patch(f"/Groups/{group['id']}?attributes=members", operation)
    assert [member["value"] for member in answer.get_json()["members"]] == [user["id"]]


@pytest.mark.parametrize("id", ["00000000-0000-4000-8000-000000000000", "nonsense", ""])
def test_a_member_who_is_nobody_is_refused_and_nobody_is_added(entra: Entra, id: str) -> None:
    """400 with the id in the sentence; the others of the same request are not added."""
    user = entra.user()
    group = entra.group()
    value = [{"value": user["id"]}, {"value": id}]
    answer = entra.patch(f"/Groups/{group['id']}", {"op": "add", "path": "members", "value": value})
    assert id in error_of(answer, 400, "invalidValue")
    assert "members" not in entra.get(f"/Groups/{group['id']}").get_json()


def test_putting_a_group_replaces_its_members_or_leaves_them(entra: Entra) -> None:
    """A body without members says nothing of them; an empty list empties the group."""
    ada, bo = entra.user("ada"), entra.user("bo")
    group = entra.group(members=[{"value": ada["id"]}])
    path = f"/Groups/{group['id']}"

    def members() -> list[str]:
        return [m["value"] for m in entra.get(path).get_json().get("members", [])]

    entra.put(path, {"displayName": "Editors"})
    assert members() == [ada["id"]]
    entra.put(path, {"displayName": "Editors", "members": [{"value": bo["id"]}]})
    assert members() == [bo["id"]]
    entra.put(path, {"displayName": "Editors", "members": []})
    assert members() == []


def test_a_changed_membership_is_a_changed_group(entra: Entra) -> None:
    """meta.lastModified moves although the group's row has no other change."""
    user = entra.user()
    group = entra.group()
    operation = {"op": "add", "path": "members", "value": [{"value": user["id"]}]}
    entra.patch(f"/Groups/{group['id']}", operation)
    changed = entra.get(f"/Groups/{group['id']}").get_json()["meta"]["lastModified"]
    assert changed > group["meta"]["lastModified"]
    entra.patch(f"/Groups/{group['id']}", operation)
    assert entra.get(f"/Groups/{group['id']}").get_json()["meta"]["lastModified"] == changed


# Discovery


def test_discovery_is_also_read_by_id(entra: Entra) -> None:
    """/Schemas and /ResourceTypes are lists, and each of their resources has an address."""
    for endpoint, count in (("Schemas", 3), ("ResourceTypes", 2)):
        listed = entra.get(f"/{endpoint}").get_json()
        assert listed["totalResults"] == len(listed["Resources"]) == count
        for resource in listed["Resources"]:
            assert entra.get(f"/{endpoint}/{resource['id']}").get_json() == resource
            assert resource["meta"]["location"].endswith(f"/{endpoint}/{resource['id']}")
    error_of(entra.get('/Schemas?filter=id+eq+"x"'), 403)
    config = entra.get("/ServiceProviderConfig").get_json()
    by_id = entra.get(f"/ServiceProviderConfig/{config['schemas'][0]}").get_json()
    assert by_id == {**config, "id": config["schemas"][0]}


# What is left behind


def test_every_change_and_every_refusal_is_in_the_log(app: Flask, entra: Entra) -> None:
    """Who, what, the attributes' names and never their values."""
    user = entra.user("ada", title="Secretary of the secret")
    path = f"/Users/{user['id']}"
    entra.patch(path, {"op": "replace", "path": "active", "value": False})
    entra.patch(path, {"op": "replace", "path": "active", "value": True})
    entra.patch(path, {"op": "replace", "path": "name.givenName", "value": "Ada Secret"})
    entra.patch(path, {"op": "replace", "path": "nothing[", "value": "x"})
    entra.post("/Users", {"userName": "ADA@example.com"})
    entra.get('/Users?filter=userName+eqq+"ada@example.com"')
    entra.patch(path, {"op": "add", "path": 'emails[value co "ada@example"].type', "value": "x"})
    entra.delete(path)
    found = entries(app)
    assert [(entry.event, entry.status) for entry in reversed(found)] == [
        ("user.created", 201),
        ("user.deactivated", 200),
        ("user.reactivated", 200),
        ("user.updated", 200),
        ("request.refused", 400),
        ("request.refused", 409),
        ("request.refused", 400),
        ("request.refused", 400),
        ("user.deleted", 204),
    ]
    assert {entry.resource_id for entry in found} == {user["id"], None}
    assert [entry.resource_type for entry in found] == ["User"] * 9
    assert found[5].paths == ["name.givenName"]
    assert found[4].scim_type == "invalidPath"
    assert found[3].detail == "userName … belongs to another User of this account already."
    assert all(entry.actor.startswith("test (") for entry in found)
    said = str([(e.paths, e.ignored, e.detail) for e in found]).lower()
    assert "ecret" not in said
    assert "ada@" not in said


def test_reading_leaves_no_entry(app: Flask, entra: Entra) -> None:
    """The log is of changes and refusals."""
    entra.get("/Users")
    entra.get('/Groups?filter=displayName+eq+"x"')
    assert entries(app) == []


def test_the_host_is_told_after_the_commit(app: Flask, entra: Entra) -> None:
    """Signals name the change; a receiver sees what is committed, and one that raises
    disturbs neither the next one nor the answer."""
    heard: list[tuple[str, str, tuple[str, ...]]] = []

    def listen(name: str) -> Any:
        def receiver(app: Flask, account: Any, paths: tuple[str, ...], **extra: Any) -> None:
            with app.app_context():
                committed = db.session.scalar(sa.select(sa.func.count()).select_from(User))
                heard.append((name, f"{account.slug} {committed}", paths))

        return receiver

    def broken(app: Flask, **extra: Any) -> None:
        raise RuntimeError("a receiver's own fault")

    receivers = [
        (signal, listen(signal.name))
        for signal in (user_provisioned, user_updated, user_deprovisioned, group_updated)
    ]
    for signal, receiver in receivers:
        signal.connect(broken, app)
        signal.connect(receiver, app)
    try:
        user = entra.user("ada")
        path = f"/Users/{user['id']}"
        entra.patch(path, {"op": "replace", "path": "active", "value": False})
        entra.patch(path, {"op": "replace", "path": "active", "value": False})
        entra.patch(path, {"op": "replace", "path": "id", "value": "refused"})
        group = entra.group()
        entra.patch(
            f"/Groups/{group['id']}",
            {"op": "add", "path": "members", "value": [{"value": user["id"]}]},
        )
        entra.delete(path)
    finally:
        for signal, receiver in receivers:
            signal.disconnect(broken, app)
            signal.disconnect(receiver, app)
    assert heard == [
        ("user-provisioned", "acme 4", ("externalId", "userName", "active")),
        ("user-updated", "acme 4", ("active",)),
        ("user-deprovisioned", "acme 4", ("active",)),
        ("group-updated", "acme 4", ("members",)),
        ("user-deprovisioned", "acme 3", ()),
    ]


def test_a_fault_of_the_server_is_a_500_without_its_cause_and_changes_nothing(
    app: Flask, entra: Entra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cause is in the application's log only."""

    def broken(*args: Any, **options: Any) -> None:
        raise RuntimeError("the cause, with a secret")

    monkeypatch.setattr(log, "record", broken)
    detail = error_of(entra.post("/Users", {"userName": "ada@example.com"}), 500)
    assert "secret" not in detail
    monkeypatch.undo()
    assert entra.find('userName eq "ada@example.com"') == []


def test_a_database_that_is_busy_is_a_503_that_asks_to_come_back(
    app: Flask, entra: Entra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entra tries again later; nothing is half done."""

    def busy(*args: Any, **options: Any) -> None:
        raise sa.exc.OperationalError("SELECT 1", {}, Exception("database is locked"))

    monkeypatch.setattr(scim.user, "get", busy)
    answer = entra.patch(f"/Users/{uuid.uuid4()}", {"op": "remove", "path": "title"})
    error_of(answer, 503)
    assert answer.headers["Retry-After"].isdigit()


@pytest.mark.parametrize("error", [sa.exc.OperationalError, sa.exc.DatabaseError])
def test_a_failing_statement_leaves_no_values_in_the_applications_log(
    entra: Entra,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: type[sa.exc.DBAPIError],
) -> None:
    """SQLAlchemy's errors quote the statement with its values; the log does not."""
    sent = {"userName": "zoe.private@example.com"}

    def fail(*args: Any, **options: Any) -> None:
        raise error("INSERT INTO user", sent, Exception("no"))

    monkeypatch.setattr(scim.user, "create", fail)
    answer = entra.post("/Users", sent)
    assert answer.status_code in (500, 503)
    assert error.__name__ in caplog.text
    assert sent["userName"] not in caplog.text


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_constraint_that_speaks_at_the_commit_is_a_conflict(app: Flask, entra: Entra) -> None:
    """A deferred constraint of the host's is 409, and nothing is kept."""
    with app.app_context():
        db.session.execute(
            sa.text(
                'ALTER TABLE "user" ADD CONSTRAINT late UNIQUE (locale) '
                "DEFERRABLE INITIALLY DEFERRED"
            )
        )
        db.session.commit()
    entra.user("ada", locale="nl-NL")
    error_of(entra.post("/Users", {"userName": "bo@example.com", "locale": "nl-NL"}), 409)
    assert entra.find('userName eq "bo@example.com"') == []


def test_what_a_receiver_leaves_uncommitted_is_not_kept_by_chance(app: Flask, entra: Entra) -> None:
    """The same at the first request of a minute, which notes the token's use, and later."""

    def write(app: Flask, user: User, **evidence: Any) -> None:
        user.full_name = "by a receiver"

    user_updated.connect(write, app)
    try:
        path = f"/Users/{entra.user('ada')['id']}"
        for title in ("first", "second"):
            with app.app_context():
                db.session.execute(sa.update(scim.Token).values(last_used_at=None))
                db.session.commit()
            entra.patch(path, {"op": "replace", "path": "title", "value": title})
            assert "name" not in entra.get(path).get_json()
    finally:
        user_updated.disconnect(write, app)


def test_a_patch_that_changes_nothing_is_no_change(app: Flask, entra: Entra) -> None:
    """It succeeds, and the log has no entry of it."""
    user = entra.user("ada")
    operation = {"op": "replace", "path": "active", "value": True}
    assert entra.patch(f"/Users/{user['id']}", operation).get_json() == user
    assert [entry.event for entry in entries(app)] == ["user.created"]


def test_what_stands_in_an_address_and_is_no_id_is_not_logged(app: Flask, entra: Entra) -> None:
    """Somebody may ask for a person by name there."""
    error_of(entra.get("/Users/ada.private@example.com"), 404)
    assert "private" not in str([(e.resource_id, e.detail, e.paths) for e in entries(app)])


def test_the_hosts_own_hooks_answer_in_scim_below_the_prefix(app: Flask, entra: Entra) -> None:
    """What the framework refuses before the view is a SCIM error too, and only there."""
    from flask import abort

    app._got_first_request = False  # the app of this test is still being built
    app.before_request(lambda: abort(403, "closed for today"))
    assert error_of(entra.get("/Users"), 403) == "closed for today"
    assert app.test_client().get("/login").mimetype == "text/html"


def test_scim_answers_touch_no_session_and_are_not_cached(entra: Entra) -> None:
    """No cookie, no-store."""
    answer = entra.get("/Users")
    assert "Set-Cookie" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"


def test_nobody_is_left_in_a_team_that_is_deleted(app: Flask, entra: Entra) -> None:
    """The association's rows go with the group, the users stay."""
    user = entra.user()
    group = entra.group(members=[{"value": user["id"]}])
    assert entra.delete(f"/Groups/{group['id']}").status_code == 204
    assert "groups" not in entra.get(f"/Users/{user['id']}").get_json()
    with app.app_context():
        assert db.session.scalars(sa.select(TeamMember)).all() == []
        assert db.session.scalars(sa.select(Team)).all() == []


@pytest.mark.parametrize("verb", ["POST", "PUT"])
def test_more_values_than_anybody_has_are_refused(entra: Entra, verb: str) -> None:
    """The bound of a PATCH holds for whole bodies too; a group's members have none."""
    user = entra.user("ada")
    phones = [{"value": str(number)} for number in range(1001)]
    path = "/Users" if verb == "POST" else f"/Users/{user['id']}"
    body = {"userName": "bo", "phoneNumbers": phones}
    assert "phoneNumbers: More than 1000" in error_of(
        entra.send(verb, path, body), 400, "invalidValue"
    )
    assert entra.send(verb, path, {**body, "phoneNumbers": phones[1:]}).status_code in (200, 201)


def test_a_projection_names_no_more_attributes_than_there_are(entra: Entra) -> None:
    """Hundreds of thousands of names would keep a worker busy for seconds."""
    user = entra.user("ada")
    for parameter in ("attributes", "excludedAttributes"):
        for count, status in ((500, 200), (501, 400)):
            names = ",".join(["title"] * count)
            answer = entra.get(f"/Users/{user['id']}?{parameter}={names}")
            assert answer.status_code == status


def test_the_log_counts_the_names_that_it_does_not_keep(app: Flask, entra: Entra) -> None:
    """One request may bring tens of thousands of attributes that are kept nowhere."""
    group = entra.group("Editors")
    many = {f"custom{number}": "x" for number in range(150)}
    assert entra.patch(f"/Groups/{group['id']}", {"op": "add", "value": many}).status_code == 204
    with app.app_context():
        entry = db.session.scalars(
            sa.select(scim.LogEntry).order_by(scim.LogEntry.id.desc()).limit(1)
        ).one()
        assert len(entry.ignored) == 101
        assert entry.ignored[-1] == "… and 50 more"
