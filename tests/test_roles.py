"""App roles: whatever shape they come in, a person has the one that was meant; nobody becomes
an owner through SCIM, and the last one stays."""

from __future__ import annotations

import enum
import json
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from example_app.models import Account, User, db
from example_app.provisioning import scim
from flask_h5mag_scim import GroupResource, H5magSCIM, Membership, UserResource
from flask_h5mag_scim.records import tokens

from .conftest import Entra, both_databases, error_of
from .test_concurrency import at_once

KIND = "WindowsAzureActiveDirectoryRole"
SLOT = 'roles[primary eq "True"]'
CORE_USER = "urn:ietf:params:scim:schemas:core:2.0:User"


def packed(value: str, name: str | None = None) -> dict[str, str]:
    """A role as SingleAppRoleAssignment sends it in a PATCH: JSON in a text."""
    role = {"id": str(uuid.uuid4()), "value": value, "displayName": name or value}
    return {"value": json.dumps(role)}


def full(value: str, **more: Any) -> dict[str, Any]:
    return {"primary": False, "type": KIND, "display": value, "value": value, **more}


def role_of(app: Flask, user: dict[str, Any]) -> str:
    """What the host itself keeps."""
    with app.app_context():
        return db.session.get_one(User, uuid.UUID(user["id"])).role


def shown(entra: Entra, user: dict[str, Any]) -> list[tuple[str | None, bool | None]]:
    """The roles of a GET: their values, and which is primary."""
    found = entra.get(f"/Users/{user['id']}").get_json().get("roles", [])
    return [(role.get("value"), role.get("primary")) for role in found]


def person(app: Flask, entra: Entra, role: str, *, active: bool = True) -> dict[str, Any]:
    """A user who got a role in the application, and not by SCIM."""
    user = entra.user(f"{role}-{uuid.uuid4().hex[:8]}", active=active)
    give(app, user["id"], role)
    return user


def give(app: Flask, id: str, role: str) -> None:
    with app.app_context():
        db.session.get_one(User, uuid.UUID(id)).role = role
        db.session.commit()


def first_owner(entra: Entra) -> str:
    """The id of the owner that every account begins with."""
    [id] = entra.find('userName eq "owner@acme.example"')
    return id


# POST


@both_databases
@pytest.mark.parametrize(
    ("sent", "role", "comes_back"),
    [
        (None, "reader", [("reader", True)]),
        ([], "reader", [("reader", True)]),
        # SingleAppRoleAssignment
        ([{"primary": True, "type": KIND, "value": "Admin"}], "admin", [("admin", True)]),
        ([{"primary": "True", "type": KIND, "value": "Editor"}], "editor", [("editor", True)]),
        # AppRoleAssignmentsComplex: nobody says which one counts, and "display" has another name.
        (
            [
                {"primary": False, "type": KIND, "displayName": "Reader", "value": "Reader"},
                {"primary": False, "type": KIND, "displayName": "Admin", "value": "Admin"},
            ],
            "admin",
            [("admin", True), ("reader", False)],
        ),
        # AssertiveAppRoleAssignmentsComplex
        ([full("reader"), full("editor")], "editor", [("editor", True), ("reader", False)]),
        # The client's own word counts more than power, and its last one most.
        (
            [full("admin"), full("reader", primary=True)],
            "reader",
            [("reader", True), ("admin", False)],
        ),
        (
            [full("reader", primary=True), full("editor", primary=True), full("admin")],
            "editor",
            [("editor", True), ("reader", False), ("admin", False)],
        ),
        # One role in two spellings is one role.
        ([full("Editor"), full("EDITOR")], "editor", [("editor", True)]),
        # What has no value gives nobody a role, nor takes it.
        (
            [{"type": KIND, "primary": True, "display": "?"}, full("editor")],
            "editor",
            [("editor", True), (None, False)],
        ),
    ],
)
def test_a_new_person_has_the_role_that_was_meant(
    app: Flask, entra: Entra, sent: Any, role: str, comes_back: Any
) -> None:
    """Every shape of ENTRA.md §4.4 in a POST arrives in the host's own column, in its spelling."""
    user = entra.user("ada") if sent is None else entra.user("ada", roles=sent)
    assert role_of(app, user) == role
    assert [(r.get("value"), r.get("primary")) for r in user["roles"]] == comes_back
    assert shown(entra, user) == comes_back


# PATCH


def operation(op: str, path: str | None, value: Any) -> dict[str, Any]:
    return {"op": op, **({"path": path} if path else {}), "value": value}


@both_databases
@pytest.mark.parametrize(
    ("operations", "role", "comes_back"),
    [
        # SingleAppRoleAssignment sends what is new, and no more.
        (
            [operation("Add", "roles", [packed("Editor")])],
            "editor",
            [("editor", True), ("admin", False)],
        ),
        (
            [operation("Add", "roles", [packed("Reader"), packed("Editor")])],
            "editor",
            [("editor", True), ("admin", False), ("reader", False)],
        ),
        ([operation("Add", "roles", packed("editor"))], "editor", None),
        ([operation("Add", None, {"roles": [packed("editor")]})], "editor", None),
        ([operation("Add", f"{CORE_USER}:roles", [packed("editor")])], "editor", None),
        # It is there already: no second element.
        (
            [operation("Add", "roles", [packed("Admin", "Administrator")])],
            "admin",
            [("admin", True)],
        ),
        (
            [operation("Add", "roles", [{"primary": False, "value": "ADMIN"}])],
            "admin",
            [("admin", True)],
        ),
        # AssertiveAppRoleAssignmentsComplex sends all there is.
        (
            [operation("replace", "roles", [full("Reader"), full("Editor")])],
            "editor",
            [("editor", True), ("reader", False)],
        ),
        (
            [operation("replace", None, {"roles": [full("Reader"), full("Editor")]})],
            "editor",
            [("editor", True), ("reader", False)],
        ),
        (
            [operation("replace", "roles", [full("Editor"), full("Reader", primary="True")])],
            "reader",
            [("reader", True), ("editor", False)],
        ),
        # By the path of the mapping, in both dialects.
        ([operation("Add", f"{SLOT}.value", "Editor")], "editor", [("editor", True)]),
        ([operation("Replace", f"{SLOT}.value", "Editor")], "editor", [("editor", True)]),
        ([operation("replace", None, {f"{SLOT}.value": "Editor"})], "editor", [("editor", True)]),
        ([operation("Replace", f"{SLOT}.value", packed("Editor")["value"])], "editor", None),
        ([operation("replace", SLOT, {"value": "Editor"})], "editor", [("editor", True)]),
        (
            [
                operation("Add", f"{SLOT}.display", "Editors"),
                operation("Add", f"{SLOT}.type", KIND),
                operation("Add", f"{SLOT}.value", "Editor"),
            ],
            "editor",
            [("editor", True)],
        ),
        # Another element says what the role is, and takes primary from the old one.
        (
            [operation("Add", f'roles[type eq "{KIND}"].value', "Editor")],
            "editor",
            [("editor", True), ("admin", False)],
        ),
        (
            [
                operation("add", "roles", [full("reader"), full("admin", primary=True)]),
                operation("replace", 'roles[value eq "Reader"].primary', "True"),
            ],
            "reader",
            [("reader", True), ("admin", False)],
        ),
        # The last word of a request is the one that counts.
        (
            [
                operation("Add", "roles", [packed("reader")]),
                operation("Replace", f"{SLOT}.value", "Editor"),
            ],
            "editor",
            [("editor", True), ("admin", False)],
        ),
        # The role that is set is in the list already.
        (
            [
                operation("replace", "roles", [full("admin"), full("editor")]),
                operation("Replace", f"{SLOT}.value", "Editor"),
            ],
            "editor",
            [("editor", True)],
        ),
        # Nothing but a name for it.
        ([operation("Add", f"{SLOT}.display", "Boss")], "admin", [("admin", True)]),
        (
            [operation("Add", "roles", [{"display": "Boss", "primary": True}])],
            "admin",
            [("admin", True), (None, False)],
        ),
    ],
)
def test_a_patch_gives_the_role_that_was_meant(
    app: Flask, entra: Entra, operations: Any, role: str, comes_back: Any
) -> None:
    """Every shape of ENTRA.md §4.4 in a PATCH; the old role is kept beside it only where the
    list was added to. Sent again, it changes nothing."""
    user = entra.user("ada", roles=[{"primary": True, "value": "Admin"}])
    answer = entra.patch(f"/Users/{user['id']}", *operations)
    assert answer.status_code == 200, answer.text
    assert role_of(app, user) == role
    comes_back = comes_back or shown(entra, user)
    assert shown(entra, user) == comes_back
    assert Counter(primary for _, primary in comes_back)[True] == 1
    again = entra.patch(f"/Users/{user['id']}", *operations).get_json()
    assert again["meta"] == answer.get_json()["meta"]
    assert shown(entra, user) == comes_back


@both_databases
@pytest.mark.parametrize(
    "removal",
    [
        {"op": "Remove", "path": "roles"},
        {"op": "Replace", "path": "roles", "value": []},
        {"op": "Replace", "path": "roles", "value": None},
        {"op": "Replace", "path": "roles", "value": ""},
        {"op": "Replace", "value": {"roles": []}},
        {"op": "Remove", "path": f"{SLOT}.value"},
        {"op": "Remove", "path": SLOT},
        {"op": "Replace", "path": f"{SLOT}.value", "value": ""},
        {"op": "Replace", "path": f"{SLOT}.value", "value": None},
        {"op": "Remove", "path": 'roles[value eq "ADMIN"]'},
        {"op": "Remove", "path": "roles", "value": [packed("Admin", "Another name")]},
        {"op": "Remove", "path": "roles", "value": [full("Admin")]},
        {"op": "Remove", "path": "roles", "value": ["Admin"]},
        {"op": "Replace", "path": "roles", "value": [{"display": "no value", "value": ""}]},
    ],
    ids=lambda removal: json.dumps(removal)[:60],
)
def test_a_role_that_is_taken_away_leaves_the_least_powerful(
    app: Flask, entra: Entra, removal: Any
) -> None:
    """Nobody is without a role, and nobody keeps one that was taken away."""
    user = entra.user(
        "ada", roles=[{"primary": True, "type": KIND, "display": "A", "value": "Admin"}]
    )
    answer = entra.patch(f"/Users/{user['id']}", removal)
    assert answer.status_code == 200, answer.text
    assert role_of(app, user) == "reader"
    assert shown(entra, user)[0] == ("reader", True)
    # What the old one was called, the new one is not.
    assert set(answer.get_json()["roles"][0]) == {"value", "primary"}


def test_the_other_roles_stay_when_one_is_taken_away(app: Flask, entra: Entra) -> None:
    """Being named does not give the person more than the least role."""
    user = entra.user("ada", roles=[full("admin"), full("editor"), full("reader")])
    entra.patch(f"/Users/{user['id']}", {"op": "remove", "path": 'roles[value eq "admin"]'})
    assert role_of(app, user) == "reader"
    assert sorted(shown(entra, user)) == [("editor", False), ("reader", True)]


# PUT


@both_databases
def test_a_put_keeps_the_role_unless_it_speaks_of_roles(app: Flask, entra: Entra) -> None:
    """Absence is no opinion about it, like for active; an empty list is one."""
    user = entra.user("ada", roles=[full("Editor"), full("reader")])
    path, body = f"/Users/{user['id']}", {"userName": "ada@example.com"}
    kept = [("editor", True), ("reader", False)]
    assert entra.put(path, body).status_code == 200
    assert shown(entra, user) == kept
    assert entra.put(path, {**body, "roles": [full("READER"), full("ADMIN")]}).status_code == 200
    assert (role_of(app, user), shown(entra, user)) == (
        "admin",
        [("admin", True), ("reader", False)],
    )
    assert entra.put(path, {**body, "roles": []}).status_code == 200
    assert (role_of(app, user), shown(entra, user)) == ("reader", [("reader", True)])


@both_databases
def test_what_is_read_can_be_put_back(app: Flask, entra: Entra) -> None:
    """Also what an owner has, which is no role that SCIM gives: nothing is given."""
    owner = first_owner(entra)
    found = entra.get(f"/Users/{owner}").get_json()
    assert found["roles"] == [{"primary": True, "value": "owner"}]
    answer = entra.put(f"/Users/{owner}", {**found, "externalId": "x", "title": "Founder"})
    assert answer.status_code == 200, answer.text
    assert answer.get_json()["roles"] == found["roles"]


# What is refused

UNKNOWN = [
    operation("Add", "roles", [packed("Boss")]),
    operation("Add", "roles", [packed("Editor"), packed("Boss")]),
    operation("Replace", "roles", [full("editor", primary=True), full("Boss")]),
    operation("Replace", f"{SLOT}.value", "Boss"),
    operation("Replace", SLOT, {"value": "Boss"}),
    operation("Replace", None, {f"{SLOT}.value": "Boss"}),
    operation("Replace", "roles.value", "Boss"),
    operation("Add", 'roles[value eq "Boss"].primary', True),
    operation("Add", f'roles[type eq "{KIND}"].value', "Boss"),
]


@both_databases
@pytest.mark.parametrize("wanted", ["Boss", "Owner"])
@pytest.mark.parametrize("template", UNKNOWN, ids=lambda o: json.dumps(o)[:60])
def test_a_role_that_is_not_given_is_refused(
    app: Flask, entra: Entra, template: Any, wanted: str
) -> None:
    """400 that names the roles there are; an owner is made in the application."""
    user = entra.user("ada", roles=[full("editor")])
    body = json.loads(json.dumps(template).replace("Boss", wanted))
    detail = error_of(entra.patch(f"/Users/{user['id']}", body), 400, "invalidValue")
    assert repr(wanted) in detail
    assert "admin, editor, reader" in detail
    assert ("in the application itself" in detail) == (wanted == "Owner")
    assert role_of(app, user) == "editor"
    with app.app_context():
        entry = db.session.scalars(
            sa.select(scim.LogEntry).order_by(scim.LogEntry.id.desc()).limit(1)
        ).one()
        assert (entry.status, entry.scim_type) == (400, "invalidValue")
        assert wanted not in entry.detail


@both_databases
def test_a_post_and_a_put_are_refused_alike(app: Flask, entra: Entra) -> None:
    """No way round."""
    user = entra.user("ada")
    for wanted in ("Boss", "owner"):
        for sent in ([full(wanted)], [full("editor", primary=True), full(wanted)]):
            body = {"userName": "bo@example.com", "roles": sent}
            error_of(entra.post("/Users", body), 400, "invalidValue")
            error_of(entra.put(f"/Users/{user['id']}", body), 400, "invalidValue")
    assert entra.find('userName eq "bo@example.com"') == []
    assert role_of(app, user) == "reader"


@both_databases
def test_what_was_stored_before_is_not_checked_and_gives_nothing(app: Flask, entra: Entra) -> None:
    """'*' may have kept roles before the application knew any. They stand in nobody's way,
    show as they are but for being primary, and make nobody an owner."""
    user = entra.user("ada")
    with app.app_context():
        row = db.session.get_one(User, uuid.UUID(user["id"]))
        row.role = "chief"
        row.scim_extra = {"roles": [{"value": "owner", "primary": True}, {"value": "25"}]}
        db.session.commit()
    path = f"/Users/{user['id']}"
    assert shown(entra, user) == [("chief", True), ("owner", False), ("25", None)]
    assert entra.patch(path, operation("replace", "title", "x")).status_code == 200
    assert role_of(app, user) == "chief"
    taken = operation("replace", 'roles[value eq "owner"].primary', True)
    error_of(entra.patch(path, taken), 400, "invalidValue")
    assert entra.patch(path, operation("Add", "roles", [packed("Editor")])).status_code == 200
    assert shown(entra, user) == [
        ("editor", True),
        ("chief", False),
        ("owner", False),
        ("25", None),
    ]


# The last owner

TAKEN = [
    ("PATCH", [operation("Add", "roles", [packed("reader")])]),
    ("PATCH", [operation("Replace", f"{SLOT}.value", "Admin")]),
    ("PATCH", [{"op": "Remove", "path": "roles"}]),
    ("PATCH", [operation("Replace", "active", "False")]),
    (
        "PATCH",
        [operation("Replace", "active", "False"), operation("Replace", f"{SLOT}.value", "admin")],
    ),
    ("PUT", {"roles": []}),
    ("PUT", {"active": False}),
    ("DELETE", None),
]


def take(entra: Entra, id: str, method: str, change: Any) -> Any:
    if method == "PATCH":
        return entra.patch(f"/Users/{id}", *change)
    if method == "PUT":
        body = {"userName": f"{id}@example.com", "externalId": id, **change}
        return entra.put(f"/Users/{id}", body)
    return entra.delete(f"/Users/{id}")


@both_databases
@pytest.mark.parametrize(("method", "change"), TAKEN)
def test_the_last_active_owner_stays(app: Flask, entra: Entra, method: str, change: Any) -> None:
    """403 that says what to do, in the log as well, and nothing changed; others may go, and
    whoever is inactive does not count."""
    id = first_owner(entra)
    before = entra.get(f"/Users/{id}").get_json()
    resting = person(app, entra, "owner", active=False)
    detail = error_of(take(entra, id, method, change), 403)
    assert "last active owner" in detail
    assert "Make somebody else an owner" in detail
    assert entra.get(f"/Users/{id}").get_json() == before
    with app.app_context():
        entry = db.session.scalars(
            sa.select(scim.LogEntry).order_by(scim.LogEntry.id.desc()).limit(1)
        ).one()
        assert (entry.status, entry.resource_id, entry.detail) == (403, id, detail)
    assert take(entra, resting["id"], method, change).status_code in (200, 204)
    person(app, entra, "owner")
    assert take(entra, id, method, change).status_code in (200, 204)


@both_databases
def test_the_last_owner_may_change_otherwise(entra: Entra) -> None:
    """What leaves an active owner is no concern of this rule."""
    id = first_owner(entra)
    operations = [
        operation("Replace", "displayName", "Olivia"),
        operation("Add", "active", "True"),
        operation("Add", "roles", [packed("Owner")]),
    ]
    answer = entra.patch(f"/Users/{id}", *operations)
    assert answer.status_code == 200, answer.text
    assert answer.get_json()["roles"][0]["value"] == "owner"


@both_databases
def test_an_owner_of_another_account_does_not_count(
    app: Flask, entra: Entra, other_entra: Entra
) -> None:
    """Every account keeps an owner of its own."""
    person(app, other_entra, "owner")
    error_of(entra.delete(f"/Users/{first_owner(entra)}"), 403)


@both_databases
def test_of_the_last_two_owners_one_stays(app: Flask, entra: Entra) -> None:
    """Whatever takes them away, and however close together."""
    for method, change in TAKEN:
        with app.app_context():
            db.session.execute(sa.update(User).where(User.role == "owner").values(role="admin"))
            db.session.commit()
        owners = [person(app, entra, "owner")["id"] for _ in range(2)]
        answers = at_once(
            entra, [lambda e, id=id, m=method, c=change: take(e, id, m, c) for id in owners]
        )
        assert sorted(a.status_code for a in answers)[1] == 403, [a.text for a in answers]
        with app.app_context():
            left = db.session.scalars(
                sa.select(User.id).where(
                    User.role == "owner",
                    User.active,
                    User.account.has(Account.slug == "acme"),
                )
            ).all()
            assert len(left) == 1


@both_databases
def test_only_owners_cost_a_statement(app: Flask, entra: Entra, statements: Any) -> None:
    """The account is locked and owners are counted for nobody else."""
    costs = {}
    for role in ("admin", "owner"):
        user = person(app, entra, role)
        with statements() as seen:
            answer = entra.patch(f"/Users/{user['id']}", operation("replace", "active", False))
        assert answer.status_code == 200
        costs[role] = len([s for s in seen if not s.startswith(("BEGIN", "PRAGMA"))])
    assert costs["owner"] - costs["admin"] == 2


# Reading


@both_databases
@pytest.mark.parametrize(
    "filter",
    [
        'roles[primary eq "True"].value eq "Admin"',
        'roles[primary eq true].value eq "admin"',
        'roles.value eq "admin"',
        'roles eq "ADMIN"',
        'roles[value eq "admin"]',
        'roles[value eq "admin" and primary eq true]',
    ],
)
def test_roles_are_searched(app: Flask, entra: Entra, filter: str) -> None:
    """As SQL on the host's column, without case."""
    entra.user("ada", roles=[full("editor")])
    user = entra.user("bo", roles=[full("Admin")])
    assert entra.find(filter) == [user["id"]]


@both_databases
def test_schemas_name_the_roles(entra: Entra) -> None:
    """Microsoft's discovery offers what the host can take."""
    described = entra.get(f"/Schemas/{CORE_USER}").get_json()["attributes"]
    parts = {
        f"{attribute['name']}.{sub['name']}": sub.get("canonicalValues")
        for attribute in described
        for sub in attribute.get("subAttributes", [])
    }
    assert parts["roles.value"] == ["admin", "editor", "reader"]
    assert parts["roles.type"] is None
    assert parts["emails.type"] == ["work", "home", "other"]
    assert parts["groups.type"] == ["direct", "indirect"]


# A host that keeps nothing else, and whose roles are an enumeration


class Base(DeclarativeBase):
    pass


small = SQLAlchemy(model_class=Base)


class Level(enum.Enum):
    BOSS = "Boss"
    HAND = "Hand"
    GUEST = "Guest"


class Firm(small.Model):
    id: Mapped[int] = mapped_column(primary_key=True)


class Worker(small.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    firm: Mapped[int] = mapped_column(sa.ForeignKey("firm.id"))
    login: Mapped[str]
    directory: Mapped[str | None]
    enabled: Mapped[bool] = mapped_column(default=True)
    level: Mapped[Level | None] = mapped_column(sa.Enum(Level))
    mail: Mapped[str | None]
    phone: Mapped[str | None]


class Crew(small.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    firm: Mapped[int] = mapped_column(sa.ForeignKey("firm.id"))
    title: Mapped[str]


crew_worker = sa.Table(
    "crew_worker",
    small.metadata,
    sa.Column("crew", sa.ForeignKey("crew.id"), primary_key=True),
    sa.Column("worker", sa.ForeignKey("worker.id"), primary_key=True),
)

NEEDED = {"userName": "login", "active": "enabled", "externalId": "directory"}
ROLE = {"roles[primary eq true].value": "level"}

works = H5magSCIM(
    small,
    account=Firm,
    user=UserResource(
        Worker,
        account="firm",
        attributes={
            **NEEDED,
            **ROLE,
            'emails[type eq "work"].value': "mail",
            'phoneNumbers[type eq "satellite"].value': "phone",
        },
        roles=["Hand", "Guest"],
        owner_role="Boss",
    ),
    group=GroupResource(
        Crew,
        account="firm",
        attributes={"displayName": "title"},
        members=Membership(crew_worker, group="crew", user="worker"),
    ),
    current_account=lambda: None,
    find_account=lambda text: None,
    can_manage=lambda user, account: False,
    is_licensed=lambda account: True,
)


@pytest.fixture
def firm(database_url: str) -> Iterator[Entra]:
    app = Flask("small_host")
    app.config.update(
        TESTING=True,
        SECRET_KEY="small",
        SQLALCHEMY_DATABASE_URI=database_url,
        H5MAG_SCIM_PUBLIC_URL="https://small.example",
    )
    small.init_app(app)
    app.register_blueprint(works.blueprint)
    with app.app_context():
        small.create_all()
        account = Firm(id=1)
        small.session.add(account)
        small.session.flush()
        small.session.add(Worker(firm=1, login="boss", level=Level.BOSS))
        token, text = tokens.issue(small.session, works.records, 1, created_by="test")
        tokens.activate(small.session, works.records, token, name="test", expires_at=None)
        small.session.commit()
    yield Entra(app.test_client(), text)
    with app.app_context():
        small.session.remove()
        small.engine.dispose()


def last_change(firm: Entra) -> Any:
    with firm.client.application.app_context():
        return small.session.scalars(
            sa.select(works.LogEntry).order_by(works.LogEntry.id.desc()).limit(1)
        ).one()


@both_databases
def test_other_roles_are_ignored_where_nothing_keeps_them(firm: Entra) -> None:
    """The role arrives, in an enumeration as well; the rest is named in the log."""
    user = firm.user("ada", roles=[full("guest"), full("HAND")])
    assert user["roles"] == [{"primary": True, "value": "Hand"}]
    assert "roles" in (last_change(firm).ignored or [])
    path = f"/Users/{user['id']}"
    found = firm.patch(path, operation("Add", "roles", [packed("Guest")])).get_json()
    assert found["roles"] == [{"primary": True, "value": "Guest"}]
    found = firm.patch(path, operation("Add", f"{SLOT}.display", "A guest")).get_json()
    assert found["roles"] == [{"primary": True, "value": "Guest"}]
    error_of(firm.patch(path, operation("Add", f"{SLOT}.value", "boss")), 400, "invalidValue")
    assert firm.find('roles eq "guest"') == [user["id"]]


@both_databases
def test_the_last_owner_stays_there_as_well(firm: Entra) -> None:
    """Whole numbers for keys, an enumeration for roles: the rule is the same."""
    [boss] = firm.find('userName eq "boss"')
    error_of(firm.delete(f"/Users/{boss}"), 403)
    error_of(firm.patch(f"/Users/{boss}", operation("replace", "active", "False")), 403)


@both_databases
def test_who_has_no_role_gets_one_by_being_given_one(firm: Entra) -> None:
    """Where the application gives none of its own, none is taken away."""
    user = firm.user("ada")
    assert "roles" not in user
    path = f"/Users/{user['id']}"
    assert "roles" not in firm.patch(path, {"op": "remove", "path": "roles"}).get_json()
    found = firm.patch(path, operation("Add", f"{SLOT}.value", "hand")).get_json()
    assert found["roles"] == [{"primary": True, "value": "Hand"}]


def test_schemas_name_only_the_types_that_are_kept(firm: Entra) -> None:
    """Without '*' there are no home addresses to offer."""
    described = firm.get(f"/Schemas/{CORE_USER}").get_json()["attributes"]
    types = {
        attribute["name"]: sub.get("canonicalValues")
        for attribute in described
        for sub in attribute.get("subAttributes", [])
        if sub["name"] == "type"
    }
    assert types == {
        "emails": ["work"],
        "phoneNumbers": ["satellite"],
        "groups": ["direct", "indirect"],
    }


@pytest.mark.parametrize(
    ("attributes", "options", "sentence"),
    [
        (ROLE, {}, "Say with roles="),
        (ROLE, {"owner_role": "Boss"}, "Say with roles="),
        ({}, {"roles": ["Hand"]}, "has no row"),
        ({}, {"owner_role": "Boss"}, "has no row"),
        (ROLE, {"roles": []}, "the most powerful first"),
        (ROLE, {"roles": ["Hand", ""]}, "the most powerful first"),
        (ROLE, {"roles": "Hand"}, "the most powerful first"),
        (ROLE, {"roles": ["Hand", "hand"]}, "twice"),
        (ROLE, {"roles": ["Hand", "Boss"], "owner_role": "boss"}, "does not name"),
        (ROLE, {"roles": ["Hand"], "owner_role": ""}, "does not name"),
        (ROLE, {"roles": ["Hand", "Captain"]}, "does not keep the role 'Captain'"),
        (ROLE, {"roles": ["Hand"], "owner_role": "Captain"}, "does not keep the role 'Captain'"),
        ({f'roles[type eq "{KIND}"].value': "level"}, {"roles": ["Hand"]}, "Map 'roles[primary"),
        ({"roles[primary eq false].value": "level"}, {}, "Map 'roles[primary"),
    ],
)
def test_a_host_is_told_what_does_not_fit(
    attributes: dict[str, str], options: dict[str, Any], sentence: str
) -> None:
    """At the start, in a sentence, and not by an admin's first assignment."""
    with pytest.raises(ValueError, match=sentence.replace("[", r"\[")):
        UserResource(Worker, account="firm", attributes={**NEEDED, **attributes}, **options)
