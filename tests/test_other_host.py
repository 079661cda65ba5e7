"""The same SCIM on a host of another shape, over HTTP, on SQLite and PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from . import other_host
from .conftest import ENTERPRISE, Entra, both_databases, error_of
from .other_host import Crew, Customer, Human, Kind, Person, crew_person, db, scim

pytestmark = both_databases


@dataclass
class Ship:
    """A customer of the other host, with its SCIM client."""

    app: Flask
    number: int
    entra: Entra

    def scalar(self, statement: Any) -> Any:
        with self.app.app_context():
            return db.session.scalar(statement)

    def log(self) -> Any:
        """The last entry of the log."""
        Entry = scim.LogEntry
        return self.scalar(sa.select(Entry).order_by(Entry.id.desc()).limit(1))

    def human(self, login: str = "ada", /, **attributes: Any) -> dict[str, Any]:
        answer = self.entra.post("/Users", {"userName": login, "active": True, **attributes})
        assert answer.status_code == 201, answer.text
        return answer.get_json()


def board(app: Flask, title: str) -> Ship:
    with app.app_context():
        customer = Customer(title=title)
        db.session.add(customer)
        db.session.flush()
        number = customer.number
        db.session.add(Person(customer=number, login="printer"))
        token = other_host.make_token(customer)
        db.session.commit()
    return Ship(app, number, Entra(app.test_client(), token))


@pytest.fixture
def app(database_url: str) -> Iterator[Flask]:
    app = other_host.create_app(database_url)
    with app.app_context():
        db.create_all()
    yield app
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def ship(app: Flask) -> Ship:
    return board(app, "first")


def test_a_person_lives_through_everything(ship: Ship) -> None:
    """Created, found, renamed, disabled, restored, deleted, created again under a new id."""
    oid = str(uuid.uuid4())
    ada = ship.human("Ada", externalId=oid, name={"givenName": "Ada"}, userType="Employee")
    id = ada["id"]
    assert id.isdecimal()
    assert ada["externalId"] == oid
    assert ada["userType"] == "Employee"
    assert ada["meta"]["created"].endswith("Z")
    assert ship.entra.get(f"/Users/{id}").get_json() == ada
    entra = ship.entra
    for filter in (
        'userName eq "ADA"',
        f'externalId eq "{oid}"',
        f'id eq "{id}"',
        'userType eq "employee"',
        "active eq true",
        'meta.created gt "2020-01-01T00:00:00Z"',
        "name.givenName pr",
    ):
        assert entra.find(filter) == [id], filter

    answer = entra.patch(
        f"/Users/{id}",
        {"op": "Replace", "path": "userName", "value": "countess"},
        {"op": "Replace", "path": "active", "value": "False"},
        {"op": "Replace", "path": "userType", "value": "Contractor"},
    )
    assert answer.status_code == 200, answer.text
    changed = answer.get_json()
    assert (changed["userName"], changed["active"]) == ("countess", False)
    assert changed["meta"]["lastModified"] > ada["meta"]["lastModified"]
    assert ship.scalar(sa.select(Human.kind)) is Kind.GUEST
    assert entra.find('userName eq "countess" and active eq false') == [id]

    entra.patch(f"/Users/{id}", {"op": "Add", "path": "active", "value": "True"})
    assert entra.get(f"/Users/{id}").get_json()["active"] is True
    assert entra.delete(f"/Users/{id}").status_code == 204
    error_of(entra.get(f"/Users/{id}"), 404)
    error_of(entra.delete(f"/Users/{id}"), 404)
    assert entra.find('userName eq "countess"') == []
    assert ship.human("countess")["id"] != id
    assert ship.scalar(sa.select(sa.func.count()).select_from(Human)) == 2


def test_rows_of_another_kind_are_no_users(ship: Ship) -> None:
    """The model's own inheritance decides who is a user, in pages and counts alike."""
    assert ship.entra.find("userName pr") == []
    ada = ship.human()
    for parameters in ("", "?count=1", "?count=0", "?startIndex=5"):
        assert ship.entra.get(f"/Users{parameters}").get_json()["totalResults"] == 1
    machine = ship.scalar(sa.select(Person.number).where(Person.species == "machine"))
    error_of(ship.entra.get(f"/Users/{machine}"), 404)
    answer = ship.entra.post(
        "/Groups", {"displayName": "C", "members": [{"value": ada["id"]}, {"value": str(machine)}]}
    )
    assert str(machine) in error_of(answer, 400, "invalidValue")


def test_groups_on_a_plain_table(ship: Ship) -> None:
    """Members come, go and are replaced; the group and its people show each other."""
    entra = ship.entra
    a, b, c = (ship.human(name)["id"] for name in "abc")
    group = entra.group("Crew", members=[{"value": a}])
    path = f"/Groups/{group['id']}"

    def members() -> list[str]:
        return [m["value"] for m in entra.get(path).get_json().get("members", [])]

    assert members() == [a]
    shown = entra.get(path).get_json()["members"][0]
    assert shown == {
        "value": a,
        "$ref": f"https://other.example/scim/v2/Users/{a}",
        "display": "a",
        "type": "User",
    }
    add = {"op": "Add", "path": "members", "value": [{"value": a}, {"value": b}, {"value": c}]}
    assert entra.patch(path, add).status_code == 204
    assert members() == [a, b, c]
    entra.patch(path, {"op": "Remove", "path": "members", "value": [{"value": b}]})
    entra.patch(path, {"op": "remove", "path": f'members[value eq "{c}"]'})
    assert members() == [a]
    entra.patch(path, {"op": "replace", "path": "members", "value": [{"value": b}]})
    assert members() == [b]
    assert entra.find(f'groups.value eq "{group["id"]}"') == [b]
    assert entra.find(f'members.value eq "{b}"', "Groups") == [group["id"]]
    assert entra.get(f"/Users/{b}").get_json()["groups"][0]["display"] == "Crew"

    entra.delete(f"/Users/{b}")
    assert members() == []
    assert entra.put(path, {"displayName": "Crew 2", "members": [{"value": c}]}).status_code == 200
    assert entra.delete(path).status_code == 204
    assert ship.scalar(sa.select(sa.func.count()).select_from(crew_person)) == 0
    assert ship.scalar(sa.select(sa.func.count()).select_from(Crew)) == 0


def test_a_group_is_no_member_where_no_group_is_in_groups(ship: Ship) -> None:
    """Least of all the person who happens to have its number."""
    entra, ada = ship.entra, ship.human("ada")["id"]
    # The customer's machine was first among the people.
    crew = [entra.group(name)["id"] for name in ("Bridge", "Deck")][-1]
    assert crew == ada
    path = f"/Groups/{entra.group('Fleet', members=[{'value': ada}])['id']}"
    for about in ({"type": "Group"}, {"$ref": f"https://other.example/scim/v2/Groups/{crew}"}):
        value = [{"value": crew, **about}]
        answer = entra.patch(path, {"op": "add", "path": "members", "value": value})
        assert "no User of this account" in error_of(answer, 400, "invalidValue")
        entra.patch(path, {"op": "remove", "path": "members", "value": value})
        assert [m["type"] for m in entra.get(path).get_json()["members"]] == ["User"]


def test_a_manager_that_is_mapped_is_kept_found_and_cleared(ship: Ship) -> None:
    """``manager.value`` on a key of the host's own; searched by ``manager`` and by its value."""
    boss, ada = ship.human("boss")["id"], ship.human("ada")["id"]
    manager = f"{ENTERPRISE}:manager"
    add = {"op": "Add", "path": manager, "value": boss}
    body = ship.entra.patch(f"/Users/{ada}", add).get_json()
    assert body[ENTERPRISE] == {"manager": {"value": boss}}
    assert ENTERPRISE in body["schemas"]
    assert ship.scalar(sa.select(Human.boss).where(Human.login == "ada")) == int(boss)
    assert ship.entra.find(f'{manager} eq "{boss}"') == [ada]
    assert ship.entra.find(f'{manager}.value eq "{boss}"') == [ada]
    assert ship.entra.find(f'{manager} eq "no number"') == []
    assert ship.entra.find(f'{manager} ne "{boss}"') == [boss]
    assert ship.entra.find(f"{manager} pr") == [ada]
    clear = {"op": "Replace", "path": manager, "value": {"value": ""}}
    assert ENTERPRISE not in ship.entra.patch(f"/Users/{ada}", clear).get_json()
    assert ship.scalar(sa.select(Human.boss).where(Human.login == "ada")) is None


@pytest.mark.parametrize("verb", ["POST", "PUT", "PATCH"])
def test_a_manager_is_somebody_of_the_same_customer(app: Flask, ship: Ship, verb: str) -> None:
    """Another customer's person is refused just like an id that nobody has, and so is a row
    that is no user, or no longer one."""
    manager = f"{ENTERPRISE}:manager"
    stranger = board(app, "second").human("stranger")["id"]
    boss, gone, ada = (ship.human(login)["id"] for login in ("boss", "gone", "ada"))
    ship.entra.delete(f"/Users/{gone}")
    machine = str(ship.scalar(sa.select(Person.number).where(Person.customer == ship.number)))

    def send(id: str) -> Any:
        body = {"userName": f"new{id}", ENTERPRISE: {"manager": {"value": id}}}
        if verb == "POST":
            return ship.entra.post("/Users", body)
        if verb == "PUT":
            return ship.entra.put(f"/Users/{ada}", {**body, "userName": "ada"})
        return ship.entra.patch(f"/Users/{ada}", {"op": "Add", "path": manager, "value": id})

    before = ship.entra.get("/Users").get_json()
    details = [
        error_of(send(id), 400, "invalidValue").replace(id, "ID")
        for id in (stranger, "424242", machine, gone)
    ]
    assert set(details) == {f"{manager}.value: no User of this account has the id 'ID'."}
    assert ship.entra.get("/Users").get_json() == before

    answer = send(boss)
    assert answer.status_code == (201 if verb == "POST" else 200), answer.text
    body = answer.get_json()
    assert body[ENTERPRISE] == {"manager": {"value": boss}}
    assert ship.scalar(sa.select(Human.boss).where(Human.number == int(body["id"]))) == int(boss)
    if verb == "PUT":
        cleared = ship.entra.put(f"/Users/{ada}", {"userName": "ada"})
    else:
        nobody = {"op": "Remove", "path": manager}
        cleared = ship.entra.patch(f"/Users/{body['id']}", nobody)
    assert ENTERPRISE not in cleared.get_json()
    assert ship.scalar(sa.select(Human.boss).where(Human.number == int(body["id"]))) is None


def test_a_manager_who_is_gone_stops_no_other_change(ship: Ship) -> None:
    """Only what is written is checked: somebody's manager may leave first."""
    boss, ada = ship.human("boss")["id"], ship.human("ada")["id"]
    refer = {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": boss}
    assert ship.entra.patch(f"/Users/{ada}", refer).status_code == 200
    assert ship.entra.delete(f"/Users/{boss}").status_code == 204
    off = {"op": "Replace", "path": "active", "value": False}
    assert ship.entra.patch(f"/Users/{ada}", off).get_json()["active"] is False


#: Path, value, and what the sentence names.
UNKEPT = [
    (f"{ENTERPRISE}:manager", "no number", "manager.value"),
    (f"{ENTERPRISE}:manager", "999999999999", "manager.value"),
    (f"{ENTERPRISE}:manager", "424242", "manager.value"),
    (f"{ENTERPRISE}:employeeNumber", "40000", "employeeNumber"),
    (f"{ENTERPRISE}:employeeNumber", "1_0", "employeeNumber"),
    ("externalId", "no guid", "externalId"),
    ("userType", "Pirate", "userType"),
    ("userName", "with blank", "userName"),
]


def test_a_value_that_the_host_cannot_keep_is_an_invalid_value(ship: Ship) -> None:
    """Numbers, UUIDs, enumerations, foreign keys and the host's own validators refuse in
    words; never a 500, and nothing is written."""
    ada = ship.human()
    first = {"op": "Replace", "path": "name.givenName", "value": "X"}
    for path, value, named in UNKEPT:
        operation = {"op": "Add", "path": path, "value": value}
        answer = ship.entra.patch(f"/Users/{ada['id']}", first, operation)
        assert named in error_of(answer, 400, "invalidValue")
        assert ship.entra.get(f"/Users/{ada['id']}").get_json() == ada, path


def test_an_id_that_can_be_none_is_not_found(ship: Ship) -> None:
    """Ids are typed: what no column of numbers holds is a 404, on every verb and in filters."""
    for id in ("x", "0", "-1", "007", "1.0", "99999999999", "9" * 30, "%00", "\uff11"):
        for answer in (
            ship.entra.get(f"/Users/{id}"),
            ship.entra.delete(f"/Users/{id}"),
            ship.entra.patch(f"/Groups/{id}", {"op": "add", "path": "displayName", "value": "x"}),
        ):
            error_of(answer, 404)
        if "%" not in id:
            assert ship.entra.find(f'id eq "{id}"') == []
            assert ship.entra.find(f'groups.value eq "{id}"') == []
    # Also %00 leaves its entry in the log.
    assert ship.scalar(sa.select(sa.func.count()).select_from(scim.LogEntry)) == 27


def test_what_is_not_kept_is_named_in_the_log(ship: Ship) -> None:
    """Without ``*``, nothing is refused and nothing disappears in silence."""
    ada = ship.human(
        displayName="Ada",
        emails=[{"type": "work", "value": "a@x"}],
        name={"givenName": "Ada", "familyName": "L"},
        password="secret",
        **{ENTERPRISE: {"department": "IT", "employeeNumber": "7"}, "costume": "hat"},
    )
    assert set(ada) == {"schemas", "id", "userName", "active", "name", ENTERPRISE, "meta"}
    entry = ship.log()
    assert set(entry.ignored) == {
        "displayName",
        "emails",
        "name.familyName",
        f"{ENTERPRISE}:department",
        "costume",
        "password",
    }
    assert f"{ENTERPRISE}:employeeNumber" in entry.paths

    answer = ship.entra.patch(
        f"/Users/{ada['id']}",
        {"op": "Add", "path": 'emails[type eq "work"].value', "value": "a@x"},
        {"op": "Add", "path": f"{ENTERPRISE}:department", "value": "IT"},
        {"op": "Replace", "path": "name.givenName", "value": "A."},
    )
    assert answer.get_json()["name"] == {"givenName": "A."}
    entry = ship.log()
    assert entry.paths == ["name.givenName"]
    assert entry.ignored == ['emails[type eq "work"].value', f"{ENTERPRISE}:department"]


def test_a_put_clears_what_is_absent_and_keeps_what_identifies(ship: Ship) -> None:
    """RFC 7644 §3.5.1; ``active`` and ``externalId`` stay when they are not sent."""
    oid = str(uuid.uuid4())
    ada = ship.human(externalId=oid, userType="Employee", name={"givenName": "Ada"})
    body = ship.entra.put(f"/Users/{ada['id']}", {"userName": "ada"}).get_json()
    assert "userType" not in body
    assert "name" not in body
    assert body["externalId"] == oid
    assert body["active"] is True
    assert ship.log().ignored == []


def test_a_filter_on_what_is_not_kept_is_refused(ship: Ship) -> None:
    """An empty answer would make Entra create a twin."""
    for filter in ('emails[type eq "work"].value eq "a@x"', 'displayName eq "x"', "costume pr"):
        answer = ship.entra.client.get(
            "/scim/v2/Users",
            query_string={"filter": filter},
            headers={"Authorization": f"Bearer {ship.entra.token}"},
        )
        assert "userName" in error_of(answer, 400, "invalidFilter")


def test_schemas_publish_what_this_host_keeps(ship: Ship) -> None:
    """Two hosts, two answers from one attribute table."""
    schemas = ship.entra.get("/Schemas").get_json()["Resources"]
    user = next(schema for schema in schemas if schema["name"] == "User")
    assert {attribute["name"] for attribute in user["attributes"]} == {
        "externalId",
        "userName",
        "name",
        "userType",
        "active",
        "groups",
    }
    enterprise = next(schema for schema in schemas if schema["id"] == ENTERPRISE)
    assert [attribute["name"] for attribute in enterprise["attributes"]] == [
        "employeeNumber",
        "manager",
    ]


def test_the_host_may_refuse_a_deletion(ship: Ship) -> None:
    """What ``delete`` raises is the answer, and nothing was deleted."""
    captain = ship.human("captain")
    detail = error_of(ship.entra.delete(f"/Users/{captain['id']}"), 400)
    assert detail == "The captain stays on board."
    assert ship.entra.get(f"/Users/{captain['id']}").status_code == 200


def test_names_are_unique_within_a_customer_only(app: Flask, ship: Ship) -> None:
    """The same names live on two ships; neither sees the other's people or crews."""
    other = board(app, "second")
    oid = str(uuid.uuid4())
    mine, theirs = (one.human("Ada", externalId=oid) for one in (ship, other))
    assert mine["id"] != theirs["id"]
    detail = error_of(ship.entra.post("/Users", {"userName": "ADA"}), 409, "uniqueness")
    assert "ADA" in detail
    answer = ship.entra.post("/Users", {"userName": "bo", "externalId": oid.upper()})
    assert "externalId" in error_of(answer, 409, "uniqueness")
    error_of(ship.entra.get(f"/Users/{theirs['id']}"), 404)
    answer = ship.entra.post("/Groups", {"displayName": "C", "members": [{"value": theirs["id"]}]})
    assert theirs["id"] in error_of(answer, 400, "invalidValue")
    crew = other.entra.group("C", members=[{"value": theirs["id"]}])
    assert ship.entra.find("displayName pr", "Groups") == []
    error_of(ship.entra.get(f"/Groups/{crew['id']}"), 404)


def test_two_applications_share_one_instance(app: Flask, tmp_path: Any) -> None:
    """Factories and tests make many applications of one ``H5magSCIM``; each has its own
    database and settings."""
    first = board(app, "first")
    second_app = other_host.create_app(f"sqlite:///{tmp_path / 'second.sqlite'}")
    with second_app.app_context():
        db.create_all()
    second = board(second_app, "second")
    try:
        first.human("only-here")
        assert second.entra.find("userName pr") == []
        error_of(Entra(second_app.test_client(), first.entra.token).get("/Users"), 401)
        assert app.extensions["h5mag_scim"] is not second_app.extensions["h5mag_scim"]
        assert app.extensions["h5mag_scim"].scim is second_app.extensions["h5mag_scim"].scim
    finally:
        with second_app.app_context():
            db.session.remove()
            db.engine.dispose()


def test_lists_are_sorted_by_numbers_kinds_ids_and_times(ship: Ship) -> None:
    """What a column keeps is what decides, except for an enumeration, where it is what clients
    see; nobody is shown twice or left out on the way, and who is gone is not shown."""
    manager = f"{ENTERPRISE}:manager"
    ids = {name: ship.human(name, name={"givenName": "Same"})["id"] for name in "abcdg"}
    ship.entra.delete(f"/Users/{ids.pop('g')}")
    day = datetime(2026, 1, 1)
    values: dict[str, dict[str, Any]] = {
        "a": {"desk": 10, "kind": Kind.GUEST, "directory_id": 3, "born": 3, "enabled": True},
        "b": {"desk": 9, "kind": None, "directory_id": None, "born": None, "enabled": False},
        "c": {"desk": None, "kind": Kind.STAFF, "directory_id": 1, "born": 1, "enabled": None},
        "d": {"desk": 100, "kind": Kind.GUEST, "directory_id": 2, "born": 2, "enabled": True},
    }
    with ship.app.app_context():
        for name, kept in values.items():
            if kept["directory_id"]:
                kept["directory_id"] = uuid.UUID(int=kept["directory_id"])
            if kept["born"]:
                kept["born"] = day.replace(microsecond=kept["born"])
            human = db.session.get_one(Human, int(ids[name]))
            for attribute, value in kept.items():
                setattr(human, attribute, value)
        db.session.get_one(Human, int(ids["b"])).boss = int(ids["a"])
        db.session.commit()
    names = {id: name for name, id in ids.items()}
    for sort_by, expected in (
        ("id", "abcd"),
        ("userName", "abcd"),
        ("name.givenName", "abcd"),
        (f"{ENTERPRISE}:employeeNumber", "badc"),
        ("userType", "adcb"),
        ("externalId", "cdab"),
        ("active", "badc"),
        ("meta.created", "cdab"),
        (f"{manager}.value", "bacd"),
    ):
        for order, wanted in (("ascending", expected), ("descending", expected[::-1])):
            query = {"sortBy": sort_by, "sortOrder": order}
            found = [one["id"] for one in ship.entra.ask(**query)["Resources"]]
            assert "".join(names[id] for id in found) == wanted, query
            for count in (1, 3):
                pages = list(ship.entra.walk(count=count, **query))
                walked = [one["id"] for page in pages for one in page["Resources"]]
                assert walked == found, query
    answer = ship.entra.get(f"/Users?sortBy={manager}")
    assert "manager.value" in error_of(answer, 400, "invalidValue")


def test_people_and_crews_with_the_same_numbers_are_not_mixed_up(ship: Ship) -> None:
    """Keys are a type's own: one list of both shows each of them once, in any order."""
    for name in "abc":
        oid = str(uuid.uuid4())
        human = ship.human(name, externalId=oid)
        crew = ship.entra.group(f"Crew {name}", externalId=oid)
        (one, other) = ship.entra.ask("/", filter=f'externalId eq "{oid}"')["Resources"]
        assert (one["id"], other["id"]) == (human["id"], crew["id"])
        named = ship.entra.ask("/", filter=f'externalId eq "x{name}"', sortBy="externalId")
        assert named["Resources"] == []
    everything = {
        (one["meta"]["resourceType"], one["id"])
        for path in ("/Users", "/Groups")
        for one in ship.entra.ask(path)["Resources"]
    }
    assert len(everything) == 6
    assert len({id for _, id in everything}) < 6
    for sort_by in ("", "id", "userName", "displayName", "externalId", "meta.lastModified"):
        for order in ("ascending", "descending"):
            query = {"sortBy": sort_by, "sortOrder": order}
            page = ship.entra.ask("/", **query)
            listed = [(one["meta"]["resourceType"], one["id"]) for one in page["Resources"]]
            assert set(listed) == everything, query
            assert page["totalResults"] == len(listed) == 6
            walked = [
                (one["meta"]["resourceType"], one["id"])
                for each in ship.entra.walk("/", count=1, **query)
                for one in each["Resources"]
            ]
            assert walked == listed, query


def test_a_form_is_told_what_the_map_writes(ship: Ship) -> None:
    """By the names of this host's model; its machines are nobody that SCIM knows."""
    key = int(ship.human()["id"])
    with ship.app.test_request_context("/"):
        human = db.session.get_one(Human, key)
        written = {entry.attribute for entry in scim.user.map.entries if entry.writable}
        assert {"login", "enabled", "first", "kind"} <= scim.managed_attributes(human) == written
        assert scim.managed(human, "userName")
        assert not scim.managed(human, "number")
        printer = db.session.scalars(sa.select(Person).filter_by(login="printer")).one()
        assert scim.managed_attributes(printer) == frozenset()
