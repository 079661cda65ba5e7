"""The host's map: what the constructor refuses, and that nothing is lost on the way."""

from __future__ import annotations

import copy
import enum
import json
import random
import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from flask_h5mag_scim import ENTERPRISE_USER, GroupResource, Membership, UserResource
from flask_h5mag_scim.protocol.errors import InvalidValue
from flask_h5mag_scim.protocol.paths import parse_path
from flask_h5mag_scim.protocol.schemas import USER
from flask_h5mag_scim.provisioning.mapping import AttributeMap, timestamp

CUSTOM = "urn:ietf:params:scim:schemas:extension:H5mag:2.0:User"


class Base(DeclarativeBase):
    pass


class Colour(enum.Enum):
    RED = "Red"


class Person(Base):
    __tablename__ = "person"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int]
    login: Mapped[str]
    enabled: Mapped[bool]
    oid: Mapped[str | None]
    title: Mapped[str | None]
    first: Mapped[str | None]
    last: Mapped[str | None]
    work_mail: Mapped[str | None]
    home_mail: Mapped[str | None]
    city: Mapped[str | None]
    country: Mapped[str | None]
    department: Mapped[str | None]
    boss: Mapped[str | None]
    badge: Mapped[str | None]
    desk: Mapped[int | None]
    token: Mapped[uuid.UUID | None]
    colour: Mapped[Colour | None]
    born: Mapped[datetime | None]
    extra: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON)
    other_id: Mapped[int | None] = mapped_column(sa.ForeignKey("person.id"))
    other: Mapped[Person | None] = relationship(remote_side=[id])

    @property
    def plain(self) -> str:
        return self.login

    @hybrid_property
    def shown(self) -> str:
        """A hybrid without a setter."""
        return self.login

    @hybrid_property
    def fussy(self) -> str | None:
        """A hybrid that refuses some values."""
        return self.title

    @fussy.inplace.setter
    def _set_fussy(self, value: str | None) -> None:
        if value == "bad":
            raise ValueError("a secret of the host")
        self.title = value


class Team(Base):
    __tablename__ = "team"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int]
    name: Mapped[str]


NEEDED = {"userName": "login", "active": "enabled", "externalId": "oid"}
MAPPED = {
    **NEEDED,
    "displayName": "title",
    "name.givenName": "first",
    "name.familyName": "last",
    'emails[type eq "work"].value': "work_mail",
    'emails[type eq "home"].value': "home_mail",
    'addresses[type eq "work"].locality': "city",
    'addresses[type eq "work"].country': "country",
    f"{ENTERPRISE_USER}:department": "department",
    f"{ENTERPRISE_USER}:manager.value": "boss",
    f"{CUSTOM}:badge": "badge",
}


def attribute_map(*, rest: bool = True, **rows: str) -> AttributeMap:
    return AttributeMap(Person, USER, {**(rows or MAPPED), **({"*": "extra"} if rest else {})})


def through(
    documents: dict[str, Any], attributes: AttributeMap
) -> tuple[dict[str, Any], list[str]]:
    """A document written to a model and read back, and what was ignored."""
    person = Person()
    _, ignored = attributes.write(person, {}, documents)
    return attributes.document(person), ignored


# Refusals at start


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ({"user name": "login"}, "is no SCIM path"),
        ({'emails[type eq "work"': "login"}, "is no SCIM path"),
        ({5: "login"}, "must be texts"),
        ({"title": 5}, "must be texts"),
        ({"costume": "title"}, "is no attribute of User in RFC 7643"),
        ({"name.pet": "title"}, "is no attribute of User in RFC 7643"),
        ({"userName.value": "title"}, "is no attribute of User in RFC 7643"),
        ({f"{ENTERPRISE_USER}:shoe": "title"}, "is no attribute of User in RFC 7643"),
        ({ENTERPRISE_USER: "title"}, "is no attribute of User in RFC 7643"),
        ({"title": "nothing"}, "which is no attribute of Person"),
        ({"title": "plain"}, "which is a plain property of Person. Name a column or a hybrid"),
        ({"title": "other"}, "neither a column nor a hybrid_property"),
        ({"title": "title", "nickName": "title"}, "from both 'title' and 'nickName'"),
        ({"title": "title", "TITLE": "first"}, "names title twice"),
        (
            {'emails[type eq "work"].value': "title", 'emails[type eq "WORK"].value': "first"},
            "twice",
        ),
        ({"emails": "title"}, 'Say which value it means, like emails[type eq "work"].value'),
        ({"emails.value": "title"}, "is multi-valued"),
        ({'emails[type eq "work"]': "title"}, "is multi-valued"),
        ({'emails[type ne "work"].value': "title"}, "is multi-valued"),
        ({'emails[type eq "a" or type eq "b"].value': "title"}, "is multi-valued"),
        ({'emails[type eq 5].value': "title"}, "the brackets of"),
        ({'roles[primary eq "true"].value': "title"}, "the brackets of"),
        ({'emails[shape eq "x"].value': "title"}, "the brackets of"),
        ({'title[type eq "work"]': "title"}, "has brackets, but is single-valued"),
        ({"name": "title"}, "is complex. Map its parts, like name.formatted"),
        ({f"{ENTERPRISE_USER}:manager": "title"}, "manager.value"),
        ({"id": "title"}, "is taken care of"),
        ({"groups": "title"}, "is taken care of"),
        ({"password": "title"}, "is taken care of"),
        ({"meta.location": "title"}, "only created and lastModified"),
        ({"*": "title"}, "does not keep JSON"),
        ({"*": "shown"}, "does not keep JSON"),
        ({"*": "nothing"}, "which is no attribute of Person"),
    ],
)  # fmt: skip
def test_a_wrong_row_stops_the_start_with_a_sentence(rows: dict[Any, Any], sentence: str) -> None:
    """Misconfiguration fails where it stands and says what to do (STYLE.md §6.6)."""
    with pytest.raises(ValueError) as refused:
        AttributeMap(Person, USER, {**NEEDED, **rows} if "userName" not in rows else rows)
    assert sentence in str(refused.value)
    assert str(refused.value).startswith("The attribute map of Person")


@pytest.mark.parametrize("path", ["userName", "active", "externalId"])
def test_a_user_needs_these_rows(path: str) -> None:
    """Without them there is no matching, no switching off and no single sign-on."""
    rows = {key: value for key, value in NEEDED.items() if key != path}
    with pytest.raises(ValueError, match=f"must map '{path}'"):
        UserResource(Person, account="account_id", attributes=rows)


def test_a_group_needs_a_name() -> None:
    """Entra matches groups by displayName."""
    members = Membership(
        sa.Table("m", sa.MetaData(), sa.Column("a"), sa.Column("b")), group="a", user="b"
    )
    with pytest.raises(ValueError, match="must map 'displayName'"):
        GroupResource(Team, account="account_id", attributes={}, members=members)


@pytest.mark.parametrize("attribute", ["account_id", "id"])
def test_the_keys_are_not_for_clients_to_write(attribute: str) -> None:
    """A mapped account column would let a client move a user to another customer."""
    rows = {**NEEDED, "title": "title", f"{ENTERPRISE_USER}:costCenter": attribute}
    with pytest.raises(ValueError, match=f"lets clients write '{attribute}'"):
        UserResource(Person, account="account_id", attributes=rows)


def test_other_refusals_of_the_constructors() -> None:
    """An account column or a membership column that is not there is named."""
    with pytest.raises(ValueError, match="no column attribute 'tenant'"):
        UserResource(Person, account="tenant", attributes=NEEDED)
    table = sa.Table("member", sa.MetaData(), sa.Column("team_id"))
    with pytest.raises(TypeError, match="member has no column 'user_id'"):
        Membership(table, group="team_id", user="user_id")


def test_a_read_only_hybrid_may_share_what_another_row_writes() -> None:
    """The way out that the refusal of two rows on one attribute names."""
    attributes = attribute_map(**NEEDED, displayName="shown")
    document, ignored = through({"userName": "ada", "displayName": "other"}, attributes)
    assert document["displayName"] == "ada"
    assert ignored == ["displayName"]


# Reading is the mirror of writing


class Chance:
    """Random documents that a schema would let through."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def maybe(self) -> bool:
        return self.random.random() < 0.5

    def text(self) -> str:
        return self.random.choice(["a", "B", "é", "x y", "%_\\", "True", "1"])

    def some(self, *names: str) -> dict[str, Any]:
        return {name: self.text() for name in names if self.maybe()}

    def elements(self, *subs: str) -> list[dict[str, Any]]:
        found = []
        primary = False
        for _ in range(self.random.randint(0, 4)):
            element: dict[str, Any] = self.some(*subs, "display")
            if not element:
                continue
            kind = self.random.choice(["work", "Work", "home", "other", None])
            if kind:
                element["type"] = kind
            if not primary and self.random.random() < 0.3:
                element["primary"] = primary = True
            elif self.random.random() < 0.2:
                element["primary"] = False
            if element not in found:
                found.append(element)
        return found

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "userName": self.text(),
            **self.some("externalId", "displayName", "nickName", "costume"),
        }
        if self.maybe():
            document["active"] = self.maybe()
        enterprise: dict[str, Any] = self.some("department", "costCenter", "shoe")
        if self.maybe():
            enterprise["manager"] = self.some("value", "$ref", "pet")
        parts = {
            "name": self.some("givenName", "familyName", "middleName", "pet"),
            "emails": self.elements("value"),
            "addresses": self.elements("locality", "country", "region"),
            "phoneNumbers": self.elements("value"),
            "hats": [self.text() for _ in range(self.random.randint(0, 2))],
            "shoe": {"size": 43, "left": {"lace": [1, None]}} if self.maybe() else {},
            ENTERPRISE_USER: {key: part for key, part in enterprise.items() if part},
            CUSTOM: self.some("badge", "pin"),
        }
        return {**document, **{name: part for name, part in parts.items() if part}}


def comparable(document: dict[str, Any]) -> dict[str, Any]:
    """A document with its lists in one order; order means nothing in them (RFC 7643 §2.4)."""
    result = copy.deepcopy(document)
    for name, value in result.items():
        if isinstance(value, list):
            result[name] = sorted(value, key=lambda one: json.dumps(one, sort_keys=True))
    return result


def with_primary(document: dict[str, Any]) -> dict[str, Any]:
    """What reading adds: the first mapped element is primary while no other says so."""
    result = copy.deepcopy(document)
    for name, subs in (("emails", {"value"}), ("addresses", {"locality", "country"})):
        elements = result.get(name, [])
        if not any(element.get("primary") is True for element in elements):
            for element in elements:
                if element.get("type", "").lower() == "work" and subs & set(element):
                    element.setdefault("primary", True)
                    break
    return result


@pytest.mark.parametrize("seed", range(100))
def test_with_a_catch_all_nothing_is_lost(seed: int) -> None:
    """What is written is read back whole, and reading it again changes nothing."""
    document = Chance(seed).document()
    before = copy.deepcopy(document)
    attributes = attribute_map()
    person = Person()
    _, ignored = attributes.write(person, {}, document)
    found = attributes.document(person)
    assert comparable(found) == comparable(with_primary(document))
    assert ignored == []
    assert document == before
    assert attributes.write(person, found, copy.deepcopy(found)) == ({}, [])


@pytest.mark.parametrize("seed", range(100))
def test_a_second_document_replaces_the_first_whole(seed: int) -> None:
    """Nothing of the old one shines through (a PUT)."""
    chance = Chance(seed)
    old, new = chance.document(), chance.document()
    attributes = attribute_map()
    person = Person()
    attributes.write(person, {}, old)
    attributes.write(person, attributes.document(person), new)
    assert comparable(attributes.document(person)) == comparable(with_primary(new))


@pytest.mark.parametrize("seed", range(100))
def test_without_a_catch_all_what_is_lost_is_named(seed: int) -> None:
    """Each top-level name, or part of one, that reads differently is in the list; what
    reads the same is not."""
    document = Chance(seed).document()
    found, ignored = through(document, attribute_map(rest=False))
    wanted, found = comparable(with_primary(document)), comparable(found)
    lost = set()
    for name, value in wanted.items():
        if isinstance(value, dict):
            between = ":" if name.startswith("urn:") else "."
            lost |= {f"{name}{between}{k}" for k in value if value[k] != found.get(name, {}).get(k)}
        elif value != found.get(name):
            lost.add(name)
    assert set(ignored) == lost
    assert len(ignored) == len(set(ignored))


def test_slots_and_what_is_left_of_their_elements() -> None:
    """The value goes to its column, the remainder to ``*``, and both come back as one."""
    attributes = attribute_map()
    person = Person()
    emails = [
        {"type": "other", "value": "o@x"},
        {"type": "work", "value": "w@x", "display": "W", "primary": True},
        {"type": "work", "value": "second@x"},
        {"type": "home", "value": "h@x"},
    ]
    paths, _ = attributes.write(person, {}, {"emails": emails})
    assert list(paths) == ['emails[type eq "work"].value', 'emails[type eq "home"].value', "emails"]
    assert (person.work_mail, person.home_mail) == ("w@x", "h@x")
    assert person.extra == {
        "emails": [
            {"type": "work", "display": "W"},
            {"type": "other", "value": "o@x"},
            {"type": "work", "value": "second@x"},
        ]
    }
    found = attributes.document(person)["emails"]
    assert sorted(e["value"] for e in found) == ["h@x", "o@x", "second@x", "w@x"]
    assert found[0] == emails[1]


def test_rows_with_the_same_brackets_are_one_element() -> None:
    """City and country of the work address belong together, whichever is there."""
    attributes = attribute_map()
    person = Person(country="NL")
    assert attributes.document(person)["addresses"] == [
        {"type": "work", "country": "NL", "primary": True}
    ]
    document = {
        "addresses": [
            {"type": "work", "locality": "Gouda"},
            {"type": "work", "locality": "Ghent", "country": "BE"},
        ]
    }
    found, _ = through(document, attributes)
    assert {(a.get("locality"), a.get("country")) for a in found["addresses"]} == {
        ("Gouda", None),
        ("Ghent", "BE"),
    }


@pytest.mark.parametrize(
    ("document", "primary"),
    [
        ({"emails": [{"type": "work", "value": "w"}, {"type": "home", "value": "h"}]}, "w"),
        (
            {
                "emails": [
                    {"type": "work", "value": "w", "primary": False},
                    {"type": "home", "value": "h", "primary": True},
                ]
            },
            "h",
        ),
        ({"emails": [{"type": "work", "value": "w", "primary": False}]}, None),
        ({"emails": [{"type": "home", "value": "h"}]}, None),
    ],
)
def test_the_first_slot_is_primary_unless_something_else_is_said(
    document: dict[str, Any], primary: str | None
) -> None:
    """It needs no storage, and what the client says is stronger."""
    found, _ = through(document, attribute_map())
    assert [e["value"] for e in found["emails"] if e.get("primary")] == (
        [primary] if primary else []
    )


def test_an_empty_list_or_object_is_no_value() -> None:
    """RFC 7643 §2.5: neither kept, nor answered, nor called ignored."""
    empty = {"roles": [], "name": {}, "shoe": {"left": {}}, ENTERPRISE_USER: {"manager": {}}}
    for attributes in (attribute_map(), attribute_map(rest=False)):
        assert through(empty, attributes) == ({}, [])


def test_what_no_map_names_is_not_touched() -> None:
    """Only differences are written: an attribute of the host's own stays as it is."""
    person = Person(login="ada", token=uuid.uuid4(), title="T")
    token = person.token
    attributes = attribute_map(**NEEDED, displayName="title")
    before = attributes.document(person)
    paths, _ = attributes.write(person, before, {**before, "userName": "bo"})
    assert paths == {"userName": ("ada", "bo")}
    assert (person.login, person.token, person.title) == ("bo", token, "T")


def test_a_read_only_attribute_may_be_mapped_and_is_never_written() -> None:
    """``manager.displayName`` is the host's to fill; a PUT without it clears nothing and
    calls nothing ignored."""
    attributes = attribute_map(
        **{**NEEDED, f"{ENTERPRISE_USER}:manager.displayName": "title", "meta.created": "born"}
    )
    person = Person(login="ada", title="Boss", born=datetime(2026, 1, 1))
    before = attributes.document(person)
    assert before[ENTERPRISE_USER] == {"manager": {"displayName": "Boss"}}
    assert attributes.write(person, before, {"userName": "ada"}) == ({}, [])
    assert person.title == "Boss"
    assert person.born is not None


def test_a_password_is_kept_by_nobody() -> None:
    """Not even ``*`` may become a store of clear passwords."""
    person = Person()
    paths, ignored = attribute_map().write(person, {}, {"userName": "a", "password": "secret"})
    assert "password" in ignored
    assert "password" not in paths
    assert "secret" not in json.dumps(person.extra)


@pytest.mark.parametrize(
    ("column", "sent", "stored", "read"),
    [
        ("desk", "12", 12, "12"),
        (
            "token",
            "00000000-0000-0000-0000-00000000000A",
            uuid.UUID(int=10),
            str(uuid.UUID(int=10)),
        ),
        ("colour", "red", Colour.RED, "Red"),
        ("badge", 12, "12", "12"),
        ("badge", 1.5, "1.5", "1.5"),
    ],
)
def test_a_column_of_another_type_keeps_what_it_can(
    column: str, sent: Any, stored: Any, read: str
) -> None:
    """Numbers, UUIDs and enumerations are made of the client's text and told as one."""
    path = f"{CUSTOM}:code"
    attributes = attribute_map(**{**NEEDED, path: column})
    person = Person()
    attributes.write(person, {}, {CUSTOM: {"code": sent}})
    assert getattr(person, column) == stored
    assert attributes.document(person)[CUSTOM] == {"code": read}


@pytest.mark.parametrize(
    ("column", "sent"),
    [
        ("desk", "x"),
        ("desk", str(2**31)),
        ("desk", " 1"),
        ("desk", "١"),
        ("token", "x"),
        ("colour", "green"),
        ("badge", {"a": 1}),
        ("badge", [1]),
        ("badge", True),
        ("fussy", "bad"),
    ],
)
def test_a_column_refuses_what_it_cannot_keep(column: str, sent: Any) -> None:
    """An invalid value that names the path, not an error of the database; the host's own
    words stay inside."""
    path = f"{CUSTOM}:code"
    with pytest.raises(InvalidValue) as refused:
        attribute_map(**{**NEEDED, path: column}).write(Person(), {}, {CUSTOM: {"code": sent}})
    assert refused.value.path == path
    assert "secret" not in refused.value.detail


@pytest.mark.parametrize(
    ("path", "rest", "kept"),
    [
        ("userName", False, True),
        ("nickName", False, False),
        ("nickName", True, True),
        ("password", True, False),
        ("name", False, True),
        ("name.givenName", False, True),
        ("name.middleName", False, False),
        ("emails", False, True),
        ('emails[type eq "work"].value', False, True),
        ('emails[type eq "WORK"].value', False, True),
        ('emails[type eq "other"].value', False, False),
        ('emails[type eq "other"].value', True, True),
        ('emails[type eq "work"].display', False, False),
        ('emails[type eq "work"].primary', False, True),
        ("emails.type", False, True),
        ("phoneNumbers", False, False),
        (f"{ENTERPRISE_USER}:manager", False, True),
        (f"{ENTERPRISE_USER}:costCenter", False, False),
        (f"{CUSTOM}:badge", False, True),
        (f"{CUSTOM}:pin", False, False),
        (ENTERPRISE_USER, False, True),
        ("costume", False, False),
        ("costume", True, True),
    ],
)
def test_what_is_kept_decides_what_is_ignored(path: str, rest: bool, kept: bool) -> None:
    """A path that the map knows is never dropped, one that it does not never stops a user."""
    attributes = attribute_map(rest=rest)
    assert attributes.keeps(USER.locate(parse_path(path))) is kept


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (datetime(2026, 1, 31, 9, 30), "2026-01-31T09:30:00Z"),
        (datetime(2026, 1, 31, 9, 30, 0, 5, timezone.utc), "2026-01-31T09:30:00.000005Z"),  # noqa: UP017
        (datetime(2026, 1, 31, 9, 30, tzinfo=timezone(timedelta(hours=2))), "2026-01-31T07:30:00Z"),
    ],
)
def test_times_are_told_in_utc(value: datetime, text: str) -> None:
    """A naive one is UTC already (DESIGN §10)."""
    assert timestamp(value) == text
