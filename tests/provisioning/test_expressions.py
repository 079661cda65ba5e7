"""Filters, asked of real databases."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from example_app.models import Account, Team, TeamMember, User, db
from example_app.provisioning import scim
from flask_h5mag_scim.protocol.errors import InvalidFilter
from flask_h5mag_scim.protocol.messages import Query
from flask_h5mag_scim.protocol.paths import parse_filter
from flask_h5mag_scim.protocol.schemas import CORE_USER

from ..conftest import both_databases

ADA, BO, CY, DI = (uuid.UUID(int=number) for number in range(1, 5))
TEAM, EMPTY_TEAM, NOBODY = (uuid.UUID(int=number) for number in range(11, 14))
FOREIGN = uuid.UUID(int=99)


@pytest.fixture
def account(app: Flask) -> Any:
    """An account with four people: Ada has everything, Bo special letters, Cy hardly
    anything, Di is inactive."""
    with app.app_context():
        account = Account(slug="filters", name="Filters", plan="enterprise")
        other = Account(slug="others", name="Others", plan="enterprise")
        db.session.add_all([account, other])
        db.session.flush()
        people = [
            User(
                id=ADA,
                username="Ada@X.example",
                email="ada@work.example",
                display_name="Ada",
                first_name="Ada",
                last_name="Byron",
                external_id="Ext-A",
                language="en",
                created_at=datetime(2026, 1, 1, 12, tzinfo=UTC),
            ),
            User(
                id=BO,
                username="bo",
                email="bo@home.example",
                display_name='50%_off\\ "now"',
                external_id="ext-b",
                language="",
                created_at=datetime(2026, 2, 1, 12, tzinfo=UTC),
            ),
            User(id=CY, username="cy", created_at=datetime(2026, 3, 1, 12, tzinfo=UTC)),
            User(
                id=DI,
                username="di",
                display_name="505off",
                deactivated_at=datetime(2026, 4, 1, tzinfo=UTC),
                created_at=datetime(2026, 4, 1, 12, tzinfo=UTC),
            ),
        ]
        for person in people:
            person.account_id = account.id
        foreigner = User(id=FOREIGN, username="ada", email="ada@work.example", account_id=other.id)
        teams = [Team(id=TEAM, name="T"), Team(id=EMPTY_TEAM, name="E")]
        for team in teams:
            team.account_id = account.id
        db.session.add_all([*people, foreigner, *teams])
        db.session.flush()
        db.session.add_all([TeamMember(team_id=TEAM, user_id=key) for key in (ADA, DI)])
        # Somebody else's membership must not shine through.
        db.session.add(TeamMember(team_id=TEAM, user_id=FOREIGN))
        db.session.commit()
        yield account.id
        db.session.remove()


ALL = "abcd"
FILTERS = [
    # Case, by the schema: userName ignores it, externalId and id do not.
    ('userName eq "ADA@x.EXAMPLE"', "a"),
    ('USERNAME EQ "bo"', "b"),
    (f'{CORE_USER}:userName eq "bo"', "b"),
    ('externalId eq "Ext-A"', "a"),
    ('externalId eq "ext-a"', ""),
    ('externalId co "ext"', "b"),
    ('displayName eq "ADA"', "a"),
    # The literal letters of LIKE and of SQL.
    ('displayName co "%"', "b"),
    ('displayName co "0%_o"', "b"),
    ('displayName co "0_"', ""),
    ('displayName sw "50%"', "b"),
    ('displayName sw "50_"', ""),
    ('displayName sw "50"', "bd"),
    ('displayName co "\\\\"', "b"),
    ('displayName ew "\\"now\\""', "b"),
    ('displayName ew "OFF"', "d"),
    ('displayName ew "a name longer than all of them"', ""),
    ('displayName sw ""', "abd"),
    ('displayName co ""', "abd"),
    ('displayName eq "\' or 1=1 --"', ""),
    # NULL: two-valued, as the RFC means it.
    ("displayName pr", "abd"),
    ("not (displayName pr)", "c"),
    ("displayName eq null", "c"),
    ("displayName ne null", "abd"),
    ('displayName ne "Ada"', "bcd"),
    ('not (displayName eq "Ada")', "bcd"),
    ('not (displayName ne "Ada")', "a"),
    ('not (not (displayName eq "Ada"))', "a"),
    ('not (displayName co "a")', "bcd"),
    ('not (displayName sw "A")', "bcd"),
    ('not (displayName gt "a")', "bcd"),
    ('not (displayName eq "Ada" or displayName sw "50")', "c"),
    ('not (displayName eq "Ada" and active eq true)', "bcd"),
    ('name.givenName ne "Ada" and not (name.familyName eq "Byron")', "bcd"),
    # An empty text is no value (RFC 7643 §2.5).
    ("preferredLanguage pr", "a"),
    ("preferredLanguage eq null", "bcd"),
    ('preferredLanguage eq ""', "b"),
    # Order.
    ('userName gt "bo"', "cd"),
    ('userName ge "BO"', "bcd"),
    ('userName lt "bo"', "a"),
    ('userName le "bo"', "ab"),
    # Logic.
    ('userName eq "bo" or userName eq "cy" and active eq false', "b"),
    ('(userName eq "bo" or userName eq "di") and active eq false', "d"),
    # Booleans, which are a hybrid here.
    ("active eq true", "abc"),
    ("active eq false", "d"),
    ("active ne true", "d"),
    ("not (active eq false)", "abc"),
    ("active pr", ALL),
    # Times, in any zone.
    ('meta.created gt "2026-02-01T12:00:00Z"', "cd"),
    ('meta.created ge "2026-02-01T14:00:00+02:00"', "bcd"),
    ('meta.created eq "2026-02-01T12:00:00"', "b"),
    ('meta.created lt "2026-01-15"', "a"),
    ('meta.created ne "2026-02-01T12:00:00Z"', "acd"),
    ("meta.lastModified pr", ALL),
    (f'{CORE_USER}:meta.created lt "2026-01-15"', "a"),
    # What the server makes of the resource by itself.
    ('meta.resourceType eq "User"', ALL),
    (f'{CORE_USER}:META.RESOURCETYPE eq "User" and active eq false', "d"),
    ('meta.resourceType eq "user"', ""),
    ('meta.resourceType ne "Group"', ALL),
    ('meta.resourceType sw "U"', ALL),
    ("meta.resourceType pr", ALL),
    ("meta.resourceType eq null", ""),
    ("meta pr", ALL),
    # Complex attributes.
    ("name pr", "a"),
    ("not (name pr)", "bcd"),
    ('name.familyName sw "by"', "a"),
    # Multi-valued ones, by their slots.
    ('emails eq "ADA@work.example"', "a"),
    ('emails.value eq "ada@work.example"', "a"),
    ('emails[type eq "work"].value eq "bo@home.example"', "b"),
    ('emails[TYPE eq "WORK"].VALUE eq "bo@home.example"', "b"),
    ('emails[type eq "work" and value co "@home"]', "b"),
    ('emails[value ew "example"]', "ab"),
    ('emails[not (value co "home")]', "a"),
    ('emails[value ne "bo@home.example"]', "a"),
    ('emails[type eq "work" or type eq "home"].value pr', "ab"),
    ("emails[primary eq true].value pr", "ab"),
    ('emails[type eq "work"]', "ab"),
    ('not (emails[type eq "work"])', "cd"),
    ("emails pr", "ab"),
    ('emails.type eq "work"', "ab"),
    ('emails.type ne "work"', "cd"),
    ('emails ne "bo@home.example"', "acd"),
    # Ids: typed, and of this account.
    (f'id eq "{ADA}"', "a"),
    (f'id eq "{str(ADA).upper()}"', "a"),
    (f'id ne "{ADA}"', "bcd"),
    ("id pr", ALL),
    ("id eq null", ""),
    ('id eq "no uuid"', ""),
    ('not (id eq "no uuid")', ALL),
    (f'id eq "{{{ADA}}}"', ""),
    (f'id eq "{FOREIGN}"', ""),
    (f'groups.value eq "{TEAM}"', "ad"),
    (f'groups eq "{TEAM}" and active eq true', "a"),
    (f'groups ne "{TEAM}"', "bc"),
    (f'groups.value eq "{EMPTY_TEAM}"', ""),
    (f'groups.value eq "{NOBODY}"', ""),
    ('groups.value eq "no uuid"', ""),
]
NAMES = {ADA: "a", BO: "b", CY: "c", DI: "d"}


@both_databases
def test_a_filter_finds_these_and_no_others(account: Any) -> None:
    """The table of RFC 7644 §3.4.2.2, on both databases; page and count agree."""
    wrong = {}
    for filter, expected in FILTERS:
        page = scim.user.search(db.session, account, Query(filter, 1, 100))
        counted = scim.user.search(db.session, account, Query(filter, 1, 0))
        found = "".join(NAMES[row.id] for row in page.rows)
        if (found, page.total, counted.total) != (expected, len(expected), len(expected)):
            wrong[filter] = (found, page.total, counted.total)
    assert not wrong


def test_an_empty_address_is_found_by_what_the_answer_shows_of_it(account: Any) -> None:
    """An answer has its element, type and all: brackets about the type find it, too."""
    db.session.get(User, CY).email = ""
    db.session.flush()
    found = {
        filter: [row.id for row in scim.user.search(db.session, account, Query(filter, 1, 9)).rows]
        for filter in ('emails[type eq "work"]', "emails.type pr", "emails.value pr")
    }
    assert list(found.values()) == [[ADA, BO, CY], [ADA, BO, CY], [ADA, BO]]


@both_databases
def test_groups_are_found_by_name_and_member(account: Any) -> None:
    """The other side of the membership, and another account's people in nobody's groups."""
    found = {
        filter: [
            row.name for row in scim.group.search(db.session, account, Query(filter, 1, 9)).rows
        ]
        for filter in (
            'displayName eq "t"',
            f'members.value eq "{ADA}"',
            f'members eq "{BO}"',
            f'members ne "{ADA}"',
            f'id eq "{TEAM}" and members eq "{DI}"',
            'members.value eq "x"',
        )
    }
    assert list(found.values()) == [["T"], ["T"], [], ["E"], ["T"], []]


REFUSED = [
    "costume pr",
    'nickName eq "x"',
    "title pr",
    'password eq "x"',
    "name.middleName pr",
    'name eq "x"',
    'name.pet eq "x"',
    'userName.value eq "x"',
    f'{CORE_USER}:costume eq "x"',
    'phoneNumbers[type eq "work"].value eq "x"',
    'schemas eq "x"',
    'meta.location eq "x"',
    f'{CORE_USER}:meta.location eq "x"',
    'meta.version eq "x"',
    "meta.version pr",
    "meta.resourceType eq true",
    'meta eq "x"',
    'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "x"',
    "userName eq 5",
    "userName eq true",
    "userName gt null",
    "userName co 5",
    'active eq "true"',
    "active eq 1",
    "active gt true",
    "active co true",
    'meta.created gt "yesterday"',
    "meta.created gt 5",
    'meta.created co "2026"',
    'meta.created gt "9999-12-31T23:59:59-23:59"',
    'id co "0"',
    'id gt "0"',
    "id eq 5",
    'groups.display eq "T"',
    'emails[type eq "home"]',
    'emails[type eq "home"].value eq "x"',
    'emails.type eq "home"',
    'emails[type ne "work"].value pr',
    'emails[type eq "work"].display eq "x"',
    'emails[display eq "x"].value pr',
    "emails[value gt null]",
    "emails[primary gt false]",
    'emails[primary eq "x"].value pr',
    "emails.primary eq false",
    "emails[value eq 5]",
]


@pytest.mark.parametrize("filter", REFUSED)
def test_what_cannot_be_asked_of_the_database_is_refused(filter: str) -> None:
    """invalidFilter, never an empty answer and never a search in Python."""
    with pytest.raises(InvalidFilter) as refused:
        scim.user.compiler.prepare(parse_filter(filter))
    assert len(refused.value.detail) > 20


def test_a_refusal_names_what_is_searched() -> None:
    """An admin who matches on the wrong attribute reads which ones there are."""
    with pytest.raises(InvalidFilter) as refused:
        scim.user.compiler.prepare(parse_filter('nickName eq "x"'))
    assert "nickName is not searched here" in refused.value.detail
    assert 'emails[type eq "work"].value' in refused.value.detail


def test_filters_of_one_shape_share_their_statement() -> None:
    """Values are bound: they are no part of the shape, by which statements are kept."""
    one, other, third = (
        scim.user.compiler.prepare(parse_filter(text))
        for text in ('userName eq "a"', 'userName eq "b"', 'userName ne "a"')
    )
    assert one.shape == other.shape != third.shape
    assert list(one.values.values()) == ["a"]
    lists = scim.user.lists
    assert lists._count((one.shape,)) is lists._count((other.shape,))


@pytest.mark.parametrize(
    ("filter", "index"),
    [
        ('userName eq "bo"', "uq_user_username"),
        ('externalId eq "ext-b"', "uq_user_external_id"),
        ('emails[type eq "work"].value eq "bo@home.example"', "ix_user_email"),
    ],
)
def test_a_matching_query_uses_the_index(account: Any, filter: str, index: str) -> None:
    """Entra asks one for every person: it must not read the whole account."""
    names = [f"many-{number}" for number in range(300)]
    db.session.add_all(
        User(account_id=account, username=name, email=name, external_id=name) for name in names
    )
    db.session.flush()
    asked: list[Any] = []

    def note(conn: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        asked.append((statement, parameters))

    sa.event.listen(db.engine, "before_cursor_execute", note)
    scim.user.search(db.session, account, Query(filter, 1, 1))
    sa.event.remove(db.engine, "before_cursor_execute", note)
    connection = db.session.connection()
    statement, parameters = asked[0]
    plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    details = " ".join(row[3] for row in plan)
    if index == "uq_user_external_id":
        index = "sqlite_autoindex_user"
    assert f"USING INDEX {index}" in details
    assert "SCAN" not in details
