"""Resources on the host's models, below HTTP."""

from __future__ import annotations

import re
import uuid
from datetime import UTC
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from marshmallow import ValidationError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from example_app.models import TeamMember, User, db
from example_app.provisioning import scim
from flask_h5mag_scim import UserResource
from flask_h5mag_scim.protocol import entra, patch
from flask_h5mag_scim.protocol.errors import InvalidValue, NotFound, Uniqueness
from flask_h5mag_scim.protocol.messages import Query
from flask_h5mag_scim.protocol.schemas import ENTERPRISE_USER
from flask_h5mag_scim.provisioning.mapping import integer_bound
from flask_h5mag_scim.provisioning.resources import Change
from flask_h5mag_scim.provisioning.users import MANAGER
from flask_h5mag_scim.records.models import single_key

from ..conftest import both_databases, get_account


class House:
    """One account and its users and groups, in one transaction."""

    def __init__(self, slug: str = "acme") -> None:
        self.account = get_account(slug)
        self.id = self.account.id

    def create(self, resource: Any, **body: Any) -> Change:
        return resource.create(db.session, self.account, self.id, body)

    def user(self, name: str, **body: Any) -> Change:
        return self.create(scim.user, userName=name, **body)

    def patch(self, resource: Any, id: str, *operations: dict[str, Any]) -> Change:
        parsed = patch.parse(entra.patch(list(operations), resource.table), resource.table)
        obj = resource.get(db.session, self.id, id)
        return resource.patch(db.session, self.id, obj, parsed)

    def members(self, group: Change) -> set[str]:
        keys = sa.select(TeamMember.user_id).where(TeamMember.team_id == group.obj.id)
        return {str(key) for key in db.session.scalars(keys)}


@pytest.fixture
def house(app: Flask) -> Any:
    with app.app_context():
        yield House()
        db.session.rollback()
        db.session.remove()


def test_a_change_tells_what_was_written(house: House) -> None:
    """Log, signal and answer are made of it."""
    created = house.user("ada", displayName="Ada", active=True, nickName="A")
    assert created.kind == "created"
    assert created.paths == ["userName", "active", "displayName", "nickName"]
    assert created.id == str(created.obj.id)
    assert created.active is None

    off = {"op": "replace", "path": "active", "value": False}
    changed = house.patch(scim.user, created.id, off, {"op": "remove", "path": "displayName"})
    assert (changed.kind, changed.active) == ("updated", False)
    assert changed.paths == ["active", "displayName"]
    again = house.patch(scim.user, created.id, off)
    assert (again.paths, again.active) == ([], None)


def test_a_refused_patch_writes_nothing(house: House) -> None:
    """The model is set only when every operation was applied."""
    created = house.user("ada", displayName="Ada")
    with pytest.raises(ValidationError):
        house.patch(
            scim.user,
            created.id,
            {"op": "replace", "path": "displayName", "value": "X"},
            {"op": "replace", "path": "active", "value": "perhaps"},
        )
    assert created.obj.display_name == "Ada"
    assert db.session.is_modified(created.obj) is False


@pytest.mark.parametrize("path", ["userName", "active"])
def test_what_identifies_a_user_cannot_be_cleared(house: House, path: str) -> None:
    """A user without a name or a state is none."""
    created = house.user("ada")
    with pytest.raises(InvalidValue, match=path):
        house.patch(scim.user, created.id, {"op": "replace", "path": path, "value": None})


def test_a_taken_name_is_refused_before_anything_is_written(house: House) -> None:
    """In any case, on create and on rename; one's own name in other letters is free."""
    ada, bo = house.user("ada", externalId="1"), house.user("bo", externalId="2")
    with pytest.raises(Uniqueness, match="'ADA'"):
        house.user("ADA")
    with pytest.raises(Uniqueness, match="userName 'Ada'"):
        house.patch(scim.user, bo.id, {"op": "replace", "path": "userName", "value": "Ada"})
    with pytest.raises(Uniqueness, match="externalId '1'"):
        house.patch(scim.user, bo.id, {"op": "replace", "path": "externalId", "value": "1"})
    assert bo.obj.username == "bo"
    house.patch(scim.user, ada.id, {"op": "replace", "path": "userName", "value": "ADA"})
    assert ada.obj.username == "ADA"
    other = House("globex")
    assert other.user("ada", externalId="1").obj.account_id == other.id


@both_databases
def test_the_database_decides_when_nobody_looked(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the flush, another request may have been faster: 409 as well."""
    monkeypatch.setattr(scim.user, "_require_unique", lambda *args: None)
    house.user("ada")
    db.session.commit()
    with pytest.raises(Uniqueness, match="userName or externalId"):
        house.user("ADA")


@both_databases
def test_a_value_that_is_too_large_for_its_index_or_column(house: House) -> None:
    """PostgreSQL refuses some values only when they are written: an invalid value, not a
    busy database that clients ask again and again."""
    name = "".join(uuid.uuid4().hex for _ in range(300))
    if db.engine.dialect.name == "sqlite":
        assert house.user(name).obj.username == name
        return
    with pytest.raises(InvalidValue):
        house.user(name)


def test_an_id_of_another_account_is_not_found(house: House) -> None:
    """Every look-up starts from the account's own select."""
    foreign = House("globex").user("ada").id
    for look in (scim.user.read, scim.user.get):
        with pytest.raises(NotFound, match=foreign):
            look(db.session, house.id, foreign)
    assert scim.user.find_all(db.session, house.id, "userName", "ada", limit=9) == []


def test_find_all_looks_for_a_mapped_value(house: House) -> None:
    """Single sign-on asks it for the person behind a subject."""
    ada = house.user("Ada", externalId="Ext")
    find = scim.user.find_all
    assert find(db.session, house.id, "externalId", "Ext", limit=2) == [ada.obj]
    assert find(db.session, house.id, "externalId", "ext", limit=2) == []
    assert find(db.session, house.id, "userName", "aDA", limit=2, ignore_case=True) == [ada.obj]
    assert find(db.session, house.id, "nickName", "x", limit=2) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "123",
        f"{{{uuid.UUID(int=1)}}}",
        uuid.UUID(int=1).hex,
        f"urn:uuid:{uuid.UUID(int=1)}",
    ],
)
def test_one_resource_has_one_id(text: str) -> None:
    """What Python would also read as a UUID is no second address of a user."""
    assert scim.user.parse_id(text) is None
    assert scim.user.parse_id(str(uuid.UUID(int=1)).upper()) == uuid.UUID(int=1)


@pytest.mark.parametrize(
    ("kind", "bound"), [(sa.SmallInteger(), 2**15), (sa.Integer(), 2**31), (sa.BigInteger(), 2**63)]
)
def test_whole_numbers_end_where_their_column_ends(kind: sa.Integer, bound: int) -> None:
    """PostgreSQL fails on a larger one, instead of finding nothing."""
    assert integer_bound(kind) == bound

    class Base(DeclarativeBase):
        pass

    class Person(Base):
        __tablename__ = "person"
        id: Mapped[int] = mapped_column(kind, primary_key=True)
        account_id: Mapped[int]
        name: Mapped[str | None]
        enabled: Mapped[bool]
        oid: Mapped[str | None]

    rows = {"userName": "name", "active": "enabled", "externalId": "oid"}
    resource = UserResource(Person, account="account_id", attributes=rows)
    assert resource.parse_id(str(bound - 1)) == bound - 1
    for text in (str(bound), "01", " 1", "1_0", "+1", "-0", "1.0", "٣"):
        assert resource.parse_id(text) is None


def test_pages_do_not_overlap_and_count_themselves(house: House) -> None:
    """startIndex is 1-based, the order is that of the keys, the total is the whole."""
    for number in range(7):
        house.user(f"u{number}", nickName="x")
    total = scim.user.search(db.session, house.id, Query(None, 1, 0)).total
    assert total == 8
    seen: list[Any] = []
    for start in (1, 4, 7):
        page = scim.user.search(db.session, house.id, Query(None, start, 3))
        assert page.total == total
        seen += [row.id for row in page.rows]
    assert len(seen) == len(set(seen)) == total
    assert seen == sorted(seen)
    past = scim.user.search(db.session, house.id, Query(None, 99, 3))
    assert (list(past.rows), past.total) == ([], total)


A, B, C = "abc"
MEMBER_OPERATIONS = [
    ([{"op": "add", "path": "members", "value": [{"value": C}]}], {A, B, C}),
    ([{"op": "add", "path": "members", "value": {"value": C}}], {A, B, C}),
    ([{"op": "add", "value": {"members": [{"value": C}]}}], {A, B, C}),
    ([{"op": "add", "path": "members", "value": [C]}], {A, B, C}),
    ([{"op": "add", "path": "members", "value": []}], {A, B}),
    ([{"op": "remove", "path": "members", "value": [{"$ref": None, "value": A}]}], {B}),
    ([{"op": "remove", "path": "members", "value": [A]}], {B}),
    ([{"op": "remove", "path": "members", "value": [{"value": C}]}], {A, B}),
    ([{"op": "remove", "path": "members", "value": []}], {A, B}),
    ([{"op": "Remove", "path": "members"}], set()),
    ([{"op": "remove", "path": f'members[value eq "{A}"]'}], {B}),
    ([{"op": "remove", "path": f'members[value eq "{A}" or value eq "{B}"]'}], set()),
    ([{"op": "remove", "path": f'MEMBERS[VALUE EQ "{A}"]'}], {B}),
    ([{"op": "replace", "path": "members", "value": [{"value": C}]}], {C}),
    ([{"op": "replace", "path": "members", "value": []}], set()),
    ([{"op": "replace", "path": "members", "value": None}], set()),
    # One member in another's place, and not in everybody's.
    ([{"op": "replace", "path": f'members[value eq "{A}"]', "value": {"value": C}}], {B, C}),
    ([{"op": "replace", "path": f'members[value eq "{A}"].value', "value": C}], {B, C}),
    ([{"op": "add", "path": f'members[value eq "{C}"]', "value": {"type": "User"}}], {A, B, C}),
    # In their order.
    (
        [
            {"op": "remove", "path": "members", "value": [{"value": A}]},
            {"op": "add", "path": "members", "value": [{"value": A}]},
        ],
        {A, B},
    ),
    (
        [
            {"op": "add", "path": "members", "value": [{"value": C}]},
            {"op": "remove", "path": f'members[value eq "{C}"]'},
        ],
        {A, B},
    ),
    (
        [
            {"op": "remove", "path": "members"},
            {"op": "add", "path": "members", "value": [{"value": C}]},
        ],
        {C},
    ),
    (
        [
            {"op": "add", "path": "members", "value": [{"value": C}]},
            {"op": "replace", "path": "members", "value": [{"value": A}]},
        ],
        {A},
    ),
]


@pytest.mark.parametrize("capitals", [False, True])
def test_operations_on_members(house: House, capitals: bool) -> None:
    """Every way to say it, folded into one insert and one delete; ids ignore case."""
    ids = {name: house.user(name).id for name in "abc"}
    for number, (operations, expected) in enumerate(MEMBER_OPERATIONS):
        group = house.create(
            scim.group, displayName=f"G{number}", members=[{"value": ids[n]} for n in "ab"]
        )
        filled = _with_ids(operations, {k: v.upper() if capitals else v for k, v in ids.items()})
        change = house.patch(scim.group, group.id, *filled)
        assert house.members(group) == {ids[name] for name in expected}, operations
        assert ("members" in change.paths) == (expected != {A, B}), operations


def _with_ids(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {k: v if k == "op" else _with_ids(v, ids) for k, v in value.items()}
    if isinstance(value, list):
        return [_with_ids(one, ids) for one in value]
    if isinstance(value, str):
        for name, id in ids.items():
            value = id if value == name else value.replace(f'"{name}"', f'"{id}"')
    return value


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "members", "value": [{"value": "x"}]},
        {"op": "add", "path": "members", "value": [{"value": str(uuid.UUID(int=5))}]},
        {"op": "add", "path": "members", "value": 5},
        {"op": "add", "path": "members", "value": [{"display": "x"}]},
        {"op": "replace", "path": "members", "value": [{"value": 5}]},
        {"op": "remove", "path": "members", "value": [{"display": "x"}]},
        {"op": "remove", "path": 'members[display eq "x"]'},
        {"op": "remove", "path": 'members[not (value eq "x")]'},
        {"op": "add", "path": "members.display", "value": "x"},
        {"op": "replace", "path": f'members[value eq "{uuid.UUID(int=5)}"]', "value": {}},
    ],
)
def test_what_names_no_member_is_refused(house: House, operation: dict[str, Any]) -> None:
    """An invalid value, and nobody left the group."""
    ada = house.user("ada")
    group = house.create(scim.group, displayName="G", members=[{"value": ada.id}])
    with pytest.raises((InvalidValue, ValidationError)):
        house.patch(scim.group, group.id, operation)
    assert house.members(group) == {ada.id}


def test_many_unknown_members_make_a_short_sentence(house: House) -> None:
    """Ten are named, the rest counted."""
    members = [{"value": f"unknown-{number}"} for number in range(500)]
    with pytest.raises(InvalidValue, match="and 490 more") as refused:
        house.create(scim.group, displayName="G", members=members)
    assert len(refused.value.detail) < 1000


def test_a_put_without_members_keeps_them_and_with_an_empty_list_does_not(house: House) -> None:
    """Absent is not empty."""
    ada = house.user("ada")
    group = house.create(scim.group, displayName="G", members=[{"value": ada.id}])
    scim.group.replace(db.session, house.id, group.obj, {"displayName": "H"})
    assert house.members(group) == {ada.id}
    scim.group.replace(db.session, house.id, group.obj, {"displayName": "H", "members": []})
    assert house.members(group) == set()


def test_a_changed_membership_is_a_changed_group(house: House) -> None:
    """lastModified moves when members do, and only then."""
    ada = house.user("ada")
    group = house.create(scim.group, displayName="G")
    before = group.obj.updated_at
    add = {"op": "add", "path": "members", "value": [{"value": ada.id}]}
    house.patch(scim.group, group.id, add)
    after = group.obj.updated_at
    assert after > before
    again = house.patch(scim.group, group.id, add)
    assert again.paths == []
    # SQLite gives it back without its zone.
    assert group.obj.updated_at.replace(tzinfo=UTC) == after


def test_deleting_takes_memberships_along(house: House) -> None:
    """A foreign key would refuse otherwise."""
    ada = house.user("ada")
    group = house.create(scim.group, displayName="G", members=[{"value": ada.id}])
    scim.user.remove(db.session, ada.obj)
    assert house.members(group) == set()
    assert db.session.get(User, uuid.UUID(ada.id)) is None


class Base(DeclarativeBase):
    pass


class Person(Base):
    __tablename__ = "person"
    __table_args__ = (
        sa.Index("one", "tenant", sa.func.lower(sa.text("display_name")), unique=True),
        sa.UniqueConstraint("tenant", "oid"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[int]
    name: Mapped[str]
    display_name: Mapped[str]
    enabled: Mapped[bool]
    oid: Mapped[str]
    other: Mapped[str] = mapped_column("other_column")


@pytest.mark.parametrize(
    ("rows", "advice"),
    [
        ({"userName": "display_name", "externalId": "oid"}, None),
        (
            {"userName": "name", "externalId": "oid"},
            "sa.Index('uq_person_name', 'tenant', sa.func.lower(sa.text('name')), unique=True)",
        ),
        (
            {"userName": "display_name", "externalId": "other"},
            "sa.Index('uq_person_other_column', 'tenant', 'other_column', unique=True)",
        ),
    ],
)
def test_a_missing_unique_index_is_advised(rows: dict[str, str], advice: str | None) -> None:
    """Without one, two requests at once could create a twin; the advice can be pasted."""
    resource = UserResource(Person, account="tenant", attributes={**rows, "active": "enabled"})
    about_indexes = [str(each) for each in resource.advice() if "unique index" in each.what]
    assert len(about_indexes) == (advice is not None)
    assert advice is None or advice in about_indexes[0]


def test_rows_of_the_tutorial_that_are_missing_are_named() -> None:
    """Customers' attribute mappings send them."""
    rows = {"userName": "display_name", "externalId": "oid", "active": "enabled"}
    resource = UserResource(Person, account="tenant", attributes=rows)
    (advice,) = (each for each in resource.advice() if "no row for" in each.what)
    assert "preferredLanguage" in advice.what
    assert "userName" not in advice.what


class Desk(Base):
    __tablename__ = "desk"

    id: Mapped[int] = mapped_column(primary_key=True)
    tenant: Mapped[int]
    login: Mapped[str]
    enabled: Mapped[bool]
    oid: Mapped[str | None]
    words: Mapped[str | None]
    key: Mapped[int | None] = mapped_column(sa.ForeignKey("desk.id"))
    name: Mapped[str | None] = mapped_column(sa.ForeignKey("desk.login"))
    person: Mapped[int | None] = mapped_column(sa.ForeignKey("person.id"))


@pytest.mark.parametrize(
    ("attribute", "sent", "kept"),
    [
        ("words", "wm9k2", True),
        ("words", "2", True),
        ("key", "1", True),
        ("key", "2", False),
        ("key", "3", False),
        ("name", "mine", True),
        ("name", "theirs", False),
        ("name", "nobody", False),
        ("person", "2", True),
    ],
)
def test_a_manager_is_a_user_of_the_account_where_a_foreign_key_says_user(
    attribute: str, sent: str, kept: bool
) -> None:
    """A mere text keeps whatever is sent, and a key of another table is the host's affair."""
    rows = {"userName": "login", "externalId": "oid", "active": "enabled", MANAGER: attribute}
    resource = UserResource(Desk, account="tenant", attributes=rows)
    engine = sa.create_engine("sqlite://")
    Desk.__table__.create(engine)
    with Session(engine) as session:
        session.add(Desk(id=1, tenant=1, login="mine", enabled=True))
        session.add(Desk(id=2, tenant=2, login="theirs", enabled=True))
        session.flush()
        body = {"userName": "new", "active": True, ENTERPRISE_USER: {"manager": {"value": sent}}}
        if kept:
            change = resource.create(session, None, 1, body)
            assert MANAGER in change.paths
            assert str(getattr(change.obj, attribute)) == sent
        else:
            with pytest.raises(InvalidValue) as refused:
                resource.create(session, None, 1, body)
            sentence = f"{MANAGER}: no User of this account has the id "
            assert refused.value.detail == f"{sentence}{sent!r}."
            assert refused.value.without_values() == f"{sentence}…."


class Seat(Base):
    __tablename__ = "seat"

    row: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)


def test_a_key_of_several_columns_is_refused_in_the_same_words_everywhere() -> None:
    """Whichever looks first, the resource or the records, says the same."""
    with pytest.raises(TypeError) as by_records:
        single_key(Seat)
    with pytest.raises(TypeError, match=re.escape(str(by_records.value))):
        UserResource(Seat, account="row", attributes={})


@both_databases
def test_a_user_who_is_deleted_meanwhile_is_an_invalid_member(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look and the insert: the foreign key refuses, in words and not as a 500."""
    group = house.create(scim.group, displayName="G")
    monkeypatch.setattr(scim.user, "known", lambda session, account_id, keys: set(keys))
    add = {"op": "add", "path": "members", "value": [{"value": str(uuid.UUID(int=5))}]}
    with pytest.raises(InvalidValue, match="refers to something that is not there"):
        house.patch(scim.group, group.id, add)
