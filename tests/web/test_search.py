"""Sorted lists, cursors and searches over HTTP: what comes in which order, page by page."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from flask import Flask

from example_app.models import Team, TeamMember, User, db

from ..conftest import ENTERPRISE, Entra, both_databases, error_of, get_account

SEARCH_REQUEST = "urn:ietf:params:scim:api:messages:2.0:SearchRequest"
CORE_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
CORE_GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"

#: Letter, displayName, work address, whether active, day of creation. Names that differ in
#: case are one value to sort by, and an empty one is a value.
PEOPLE = [
    ("a", "bee", "z@x.example", True, 3),
    ("b", None, "y@x.example", False, 1),
    ("c", "Ant", None, True, 2),
    ("d", "BEE", "w@x.example", False, 2),
    ("e", None, None, True, 5),
    ("f", "bee", "X@x.example", True, 4),
    ("g", "", "v@x.example", True, 6),
]
TEAMS = [("p", "bed", 2), ("q", "Zoo", 7), ("r", "ant", 4)]
NAMES = {uuid.UUID(int=n): letter for n, (letter, *_) in enumerate([*PEOPLE, *TEAMS], 1)}
KEYS = {letter: key for key, letter in NAMES.items()}


def day(number: int) -> datetime:
    return datetime(2026, 1, number, 12, 0, 0, number, tzinfo=UTC)


@pytest.fixture
def house(app: Flask, entra: Entra) -> Entra:
    """Seven people, nobody else, and three teams, under ids in the order of their letters."""
    fill(app)
    return entra


def fill(app: Flask) -> None:
    with app.app_context():
        for model in (TeamMember, Team, User):
            db.session.execute(sa.delete(model))
        account = get_account().id
        other = get_account("globex").id
        db.session.add_all(person(account, letter) for letter, *_ in PEOPLE)
        db.session.add_all(
            Team(id=KEYS[letter], account_id=account, name=name, created_at=day(number))
            for letter, name, number in TEAMS
        )
        # Another account's people and teams stand between them in every order.
        db.session.add(User(id=uuid.UUID(int=99), account_id=other, username="c2@x.example"))
        db.session.add(Team(id=uuid.UUID(int=98), account_id=other, name="beech"))
        db.session.flush()
        db.session.add(TeamMember(team_id=KEYS["p"], user_id=KEYS["a"]))
        db.session.commit()


def person(account: Any, letter: str, id: uuid.UUID | None = None, **values: Any) -> User:
    display_name, email, is_active, number = next(p for p in PEOPLE if p[0] == letter)[1:]
    return User(
        **{
            "id": id or KEYS[letter],
            "account_id": account,
            "username": f"{letter.upper()}@x.example",
            "external_id": f"{letter}-1",
            "display_name": display_name,
            "email": email,
            "deactivated_at": None if is_active else day(number),
            "created_at": day(number),
            **values,
        }
    )


def letters(page: Any) -> str:
    return "".join(NAMES.get(uuid.UUID(one["id"]), "?") for one in page["Resources"])


# Order (RFC 7644 §3.4.2.3)

SORTED = [
    ("userName", "abcdefg"),
    (f"{CORE_USER}:USERNAME", "abcdefg"),
    # Of equals, the one with the lower id first; without a value, at the end.
    ("displayName", "gcadfbe"),
    ("emails", "gdfba" + "ce"),
    ("emails.value", "gdfbace"),
    ('emails[type eq "work"].value', "gdfbace"),
    ("meta.created", "bcdafeg"),
    ("active", "bd" + "acefg"),
    ("externalId", "abcdefg"),
    ("id", "abcdefg"),
    # Mapped, and nobody has one.
    ("name.givenName", "abcdefg"),
]


@both_databases
def test_a_list_is_sorted_both_ways_and_page_by_page(house: Entra) -> None:
    """Without a value last, or first when descending; by index and by cursor the same."""
    for sort_by, expected in SORTED:
        require_order(house, "/Users", sort_by, expected)


def require_order(entra: Entra, path: str, sort_by: str, expected: str) -> None:
    for order, wanted in (("ascending", expected), ("DESCENDING", expected[::-1])):
        query = {"sortBy": sort_by, "sortOrder": order}
        page = entra.ask(path, **query)
        assert (letters(page), page["totalResults"]) == (wanted, len(wanted)), query
        for count in (1, 3):
            pages = [
                letters(entra.ask(path, startIndex=start, count=count, **query))
                for start in range(1, len(wanted) + 1, count)
            ]
            assert "".join(pages) == wanted, query
            walked = [letters(page) for page in entra.walk(path, count=count, **query)]
            assert walked == pages, query


@both_databases
def test_a_filtered_list_is_sorted_and_followed_as_well(house: Entra) -> None:
    """The filter, the place and the order are one statement's."""
    query = {"filter": "displayName pr and active eq true", "sortBy": "meta.created"}
    assert letters(house.ask(**query)) == "caf"
    assert [letters(page) for page in house.walk(count=2, **query)] == ["ca", "f"]
    descending = house.walk(count=1, sortOrder="descending", **query)
    assert [letters(page) for page in descending] == ["f", "a", "c"]


def test_lists_are_ascending_and_in_the_order_of_ids_by_themselves(house: Entra) -> None:
    """The default of sortOrder; and an order of nothing is ignored, whatever it says."""
    assert letters(house.ask(sortBy="displayName")) == "gcadfbe"
    assert letters(house.ask(sortOrder="descending")) == "abcdefg"
    assert letters(house.ask(sortOrder="sideways", sortBy="")) == "abcdefg"


UNSORTED = [
    "title",
    "costume",
    "name",
    "emails.type",
    "groups",
    "password",
    "[",
    "*",
    "active.value",
    f"{ENTERPRISE}:department",
    'emails[type eq "home"].value',
    "schemas",
    "meta",
    CORE_USER,
]


def test_what_nothing_is_sorted_by_is_refused_with_what_can_be(house: Entra) -> None:
    """Also a complex attribute: "the attribute name must be a path to a sub-attribute"."""
    for sort_by in UNSORTED:
        for path in ("/Users", "/"):
            answer = house.get(f"{path}?{urlencode({'sortBy': sort_by})}")
            detail = error_of(answer, 400, "invalidValue")
            assert "userName" in detail
            assert "name.givenName" in detail


@pytest.mark.parametrize("order", ["up", "asc", "descending "])
def test_an_order_that_is_none_is_refused(house: Entra, order: str) -> None:
    """Neither ascending nor descending."""
    answer = house.get(f"/Users?{urlencode({'sortBy': 'userName', 'sortOrder': order})}")
    assert "sortOrder" in error_of(answer, 400, "invalidValue")


@both_databases
def test_the_first_of_several_addresses_sorts(house: Entra) -> None:
    """A list keeps its order when people get a second address elsewhere: the mapped one is
    what a list is sorted by."""
    home = [{"type": "home", "value": "a@home.example"}]
    house.patch(f"/Users/{KEYS['e']}", {"op": "add", "path": "emails", "value": home})
    assert letters(house.ask(sortBy="emails")) == "gdfbace"


# Cursors (RFC 9865)


@both_databases
def test_the_last_page_has_no_next_cursor(house: Entra) -> None:
    """Also when it is full; and all pages together have each once."""
    for count, pages in ((3, ["abc", "def", "g"]), (7, ["abcdefg"]), (200, ["abcdefg"])):
        assert [letters(page) for page in house.walk(count=count)] == pages
    assert [letters(page) for page in house.walk()] == ["abcdefg"]
    nothing = list(house.walk(filter='userName eq "nobody"'))
    assert [page["Resources"] for page in nothing] == [[]]


def test_a_total_is_there_where_nobody_had_to_count(house: Entra) -> None:
    """RFC 9865 §2 lets it be left out; the only page has it, and so has a count of 0, which
    asks for nothing else."""
    totals = [page.get("totalResults") for page in house.walk(count=3)]
    assert totals == [None, None, None]
    assert [page.get("totalResults") for page in house.walk()] == [7]
    for count in (0, -3):
        (counted,) = house.walk(count=count, filter="active eq true")
        assert (counted["totalResults"], counted["Resources"]) == (5, [])


def test_a_cursor_needs_no_escape_in_an_address(house: Entra) -> None:
    """RFC 9865 §2: only the unreserved characters of RFC 3986."""
    for sort_by in ("displayName", "meta.created", "id"):
        page = next(house.walk(count=1, sortBy=sort_by))
        assert set(page["nextCursor"]) <= set(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~"
        )


@both_databases
def test_who_comes_and_goes_between_pages_moves_nobody_else(app: Flask, house: Entra) -> None:
    """After every page the one at whom it ended is deleted, somebody comes who would have been
    first, and somebody like the one who was deleted: all others come, and come once."""
    for sort_by in ("", "userName", "displayName", "meta.created", "emails", "active"):
        for order in ("ascending", "descending"):
            fill(app)
            query = {"count": 2, "sortBy": sort_by, "sortOrder": order}
            whole = letters(house.ask(**{**query, "count": 7}))
            seen = ""
            for number, page in enumerate(house.walk(**query)):
                seen += letters(page)
                end = letters(page).strip("?")[-1]
                backwards = order == "descending" and sort_by
                replace_between_pages(app, end, whole[0], number, backwards=bool(backwards))
            assert seen.replace("?", "") == whole, query


def replace_between_pages(
    app: Flask, end: str, first: str, number: int, *, backwards: bool
) -> None:
    with app.app_context():
        account = get_account().id
        db.session.execute(sa.delete(TeamMember).where(TeamMember.user_id == KEYS[end]))
        db.session.execute(sa.delete(User).where(User.id == KEYS[end]))
        last_id = 2**128 - 1 - number
        before, after = (last_id, 0) if backwards else (0, last_id)
        name = f"{'~' if backwards else '!'}{number}"
        if not number:
            db.session.add(
                person(account, first, uuid.UUID(int=before), username=name, external_id=name)
            )
            db.session.add(
                person(account, end, uuid.UUID(int=after), username=f"{end}2", external_id="2")
            )
        db.session.commit()


@pytest.mark.parametrize(
    "change",
    [
        {"filter": "active eq false"},
        {"filter": ""},
        {"sortBy": "displayName"},
        {"sortBy": ""},
        {"sortOrder": "descending"},
    ],
)
def test_a_cursor_belongs_to_its_query(house: Entra, change: dict[str, str]) -> None:
    """With another filter or order it would begin somewhere else."""
    query = {"filter": "active eq true", "sortBy": "userName", "count": 2}
    cursor = next(house.walk(**query))["nextCursor"]
    assert letters(house.ask(cursor=cursor, **query)) == "ef"
    answer = house.get(f"/Users?{urlencode({**query, **change, 'cursor': cursor})}")
    error_of(answer, 400, "invalidCursor")


def test_a_cursor_belongs_to_its_account_and_its_endpoint(house: Entra, other_entra: Entra) -> None:
    """Refused in the same words as a forged one."""
    cursor = next(house.walk(count=2))["nextCursor"]
    said, _, signature = cursor.rpartition(".")
    details = {
        error_of(entra.get(f"{path}?count=2&cursor={sent}"), 400, "invalidCursor")
        for entra, path, sent in (
            (other_entra, "/Users", cursor),
            (house, "/Groups", cursor),
            (house, "/", cursor),
            (house, "/Users", f"{said}.{signature[::-1]}"),
            (house, "/Users", f"{said[:-6]}{said[-1:-7:-1]}.{signature}"),
            (house, "/Users", said),
            (house, "/Users", "x"),
            (house, "/Users", "1"),
            (house, "/Users", "é" * 3000),
        )
    }
    assert len(details) == 1


def test_a_cursor_expires(house: Entra, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time that /ServiceProviderConfig promises."""
    cursor = next(house.walk(count=2))["nextCursor"]
    config = house.get("/ServiceProviderConfig").get_json()["pagination"]
    assert config["cursorTimeout"] == 3600
    moment = datetime.now(UTC).timestamp()
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: moment + 3500)
    assert letters(house.ask(cursor=cursor, count=2)) == "cd"
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: moment + 3700)
    error_of(house.get(f"/Users?count=2&cursor={cursor}"), 400, "expiredCursor")


def test_a_cursor_survives_a_new_secret_key(app: Flask, house: Entra) -> None:
    """While the old one is among the fallbacks, and no longer."""
    cursor = next(house.walk(count=2))["nextCursor"]
    app.config["SECRET_KEY"] = "new"
    app.config["SECRET_KEY_FALLBACKS"] = ["test"]
    assert letters(house.ask(cursor=cursor, count=2)) == "cd"
    app.config["SECRET_KEY_FALLBACKS"] = []
    error_of(house.get(f"/Users?count=2&cursor={cursor}"), 400, "invalidCursor")


@pytest.mark.parametrize("count", ["x", "1.5", "3", "", "200"])
def test_the_pages_of_a_cursor_have_one_size(house: Entra, count: str) -> None:
    """RFC 9865 §2.1: a count that is none, or another than the first page's."""
    cursor = next(house.walk(count=2))["nextCursor"]
    answer = house.get(f"/Users?{urlencode({'cursor': cursor, 'count': count})}")
    error_of(answer, 400, "invalidCount")


def test_a_page_has_no_more_than_is_offered(app: Flask, house: Entra) -> None:
    """Whatever count says (RFC 9865 §4: "regardless of what is specified"), with cursors too."""
    config = house.get("/ServiceProviderConfig").get_json()
    assert config["pagination"]["maxPageSize"] == 200
    with app.app_context():
        account = get_account().id
        db.session.add_all(User(account_id=account, username=f"u{n}") for n in range(400))
        db.session.commit()
    sizes = [len(page["Resources"]) for page in house.walk(count=99999)]
    assert sizes == [200, 200, 7]


def test_one_way_of_paging_at_a_time(house: Entra) -> None:
    """startIndex 1 is where a cursor begins anyway; any other contradicts it."""
    assert letters(house.ask(startIndex=1, cursor="", count=2)) == "ab"
    assert "startIndex" in error_of(house.get("/Users?startIndex=3&cursor="), 400, "invalidValue")


# SearchRequest (RFC 7644 §3.4.3)


def search(entra: Entra, path: str = "", /, **body: Any) -> Any:
    answer = entra.post(f"{path}/.search", {"schemas": [SEARCH_REQUEST], **body})
    assert answer.status_code == 200, answer.text
    return answer.get_json()


@both_databases
def test_a_search_finds_what_an_address_finds(house: Entra) -> None:
    """The same list for the same question, of one type and of all."""
    for path in ("/Users", "/Groups", ""):
        for query in (
            {},
            {"filter": 'displayName sw "b"', "sortBy": "displayName", "sortOrder": "descending"},
            {"count": 2, "startIndex": 2},
            {"count": 0},
        ):
            assert search(house, path, **query) == house.ask(path or "/", **query)
        first = search(house, path, cursor="", count=2)
        assert letters(first) == letters(house.ask(path or "/", count=2))
        second = search(house, path, cursor=first["nextCursor"], count=2)
        assert letters(second) == letters(house.ask(path or "/", count=2, startIndex=3))


def test_a_search_shows_what_is_asked_for(house: Entra) -> None:
    """attributes and excludedAttributes are lists; names of members ignore case."""
    query = {"filter": f'id eq "{KEYS["a"]}"'}
    (only,) = search(house, "/Users", attributes=["userName", "name.givenName"], **query)[
        "Resources"
    ]
    assert only == {"schemas": [CORE_USER], "id": str(KEYS["a"]), "userName": "A@x.example"}
    (rest,) = search(house, "/Users", EXCLUDEDATTRIBUTES=["meta", "groups"], **query)["Resources"]
    assert {"meta", "groups"}.isdisjoint(rest)
    assert "userName" in rest


def test_what_microsoft_writes_into_filters_is_understood_in_a_search(house: Entra) -> None:
    """A text for a boolean, as in the filter of an address."""
    quirk = 'emails[primary eq "True"].value pr'
    assert letters(search(house, "/Users", filter=quirk)) == "abdfg"
    assert letters(search(house, filter=quirk)) == "abdfg"


@pytest.mark.parametrize(
    ("body", "scim_type"),
    [
        ({"schemas": [CORE_USER]}, "invalidSyntax"),
        ({"filter": 5}, "invalidValue"),
        ({"sortBy": ["userName"]}, "invalidValue"),
        ({"cursor": 7}, "invalidValue"),
        ({"attributes": "userName"}, "invalidValue"),
        ({"excludedAttributes": [1]}, "invalidValue"),
        ({"count": "many"}, "invalidValue"),
        ({"count": True}, "invalidValue"),
        ({"startIndex": [1]}, "invalidValue"),
        ({"count": {}, "cursor": ""}, "invalidCount"),
        ({"filter": "userName eqq 5"}, "invalidFilter"),
        ({"filter": "costume pr"}, "invalidFilter"),
        ({"sortBy": "costume"}, "invalidValue"),
        ({"cursor": "x"}, "invalidCursor"),
        ([], "invalidSyntax"),
    ],
)
@pytest.mark.parametrize("path", ["", "/Users"])
def test_a_search_that_is_none_is_refused(
    house: Entra, path: str, body: Any, scim_type: str
) -> None:
    """Each with the keyword of what is wrong."""
    error_of(house.post(f"{path}/.search", body), 400, scim_type)


@pytest.mark.parametrize(
    ("verb", "path", "allowed"),
    [
        ("GET", "/.search", "POST"),
        ("GET", "/Users/.search", "POST"),
        ("DELETE", "/Groups/.SEARCH", "POST"),
        ("POST", "/", "GET"),
        ("PATCH", "", "GET"),
    ],
)
def test_searches_are_posted(house: Entra, verb: str, path: str, allowed: str) -> None:
    """Another verb is 405 and says which is right."""
    answer = house.send(verb, path)
    error_of(answer, 405)
    assert answer.headers["Allow"] == allowed


def test_a_search_leaves_no_entry_and_a_refused_one_does(app: Flask, house: Entra) -> None:
    """It is a POST that changes nothing."""
    search(house, "/Users", filter="active eq true")
    house.post("/Users/.search", {"filter": 'costume eq "secret"'})
    from example_app.provisioning import scim

    with app.app_context():
        entries = db.session.scalars(sa.select(scim.LogEntry)).all()
        assert [(e.event, e.resource_type, e.resource_id) for e in entries] == [
            ("request.refused", "User", None)
        ]
        assert "secret" not in entries[0].detail


# All types together (RFC 7644 §3.4.2.1)


@both_databases
def test_the_root_lists_people_and_groups_each_as_itself(house: Entra) -> None:
    """With its own schemas, type, address, and what it refers to."""
    page = house.ask("/")
    assert letters(page) == "abcdefgpqr"
    assert page["totalResults"] == 10
    for shown in page["Resources"]:
        kind = shown["meta"]["resourceType"]
        endpoint = {"User": "/Users", "Group": "/Groups"}[kind]
        assert shown == house.get(f"{endpoint}/{shown['id']}").get_json()
        assert shown["schemas"] == [CORE_USER if kind == "User" else CORE_GROUP]
    first, team = page["Resources"][0], page["Resources"][7]
    assert [group["display"] for group in first["groups"]] == ["bed"]
    assert [member["value"] for member in team["members"]] == [str(KEYS["a"])]


EVERYWHERE = [
    ('displayName sw "be"', "adfp"),
    # What a type does not have, has no value there.
    ('userName eq "a@x.example"', "a"),
    ('not (userName eq "a@x.example")', "bcdefgpqr"),
    ('userName ne "a@x.example" and displayName pr', "cdfpqr"),
    ("userName pr", "abcdefg"),
    ("userName eq null", "pqr"),
    ('active eq false or displayName eq "zoo"', "bdq"),
    ('emails[type eq "work" and value co "x.example"]', "abdfg"),
    ('not (emails[type eq "work"])', "ce" + "pqr"),
    (f'members.value eq "{KEYS["a"]}"', "p"),
    (f'groups.value eq "{KEYS["p"]}"', "a"),
    (f'id eq "{KEYS["b"]}" or id eq "{KEYS["q"]}"', "bq"),
    ('meta.resourceType eq "Group"', "pqr"),
    ('meta.resourceType eq "User" and active eq false', "bd"),
    ('meta.resourceType ne "User"', "pqr"),
    ('meta.resourceType eq "user"', ""),
    (f'{CORE_USER}:displayName eq "bee"', "adf"),
    (f'{CORE_GROUP}:displayName eq "zoo"', "q"),
    ('meta.created lt "2026-01-02T13:00:00Z"', "bcd" + "p"),
]


@both_databases
def test_a_filter_is_asked_of_every_type(house: Entra) -> None:
    """Page and count agree, by address and by search, whatever the size of the pages."""
    wrong = {}
    for filter, expected in EVERYWHERE:
        page = house.ask("/", filter=filter)
        counted = search(house, filter=filter, count=0)
        walked = "".join(letters(one) for one in house.walk("/", filter=filter, count=2))
        found = (letters(page), page["totalResults"], counted["totalResults"], walked)
        if found != (expected, len(expected), len(expected), expected):
            wrong[filter] = found
    assert not wrong


@pytest.mark.parametrize(
    "filter",
    [
        'costume eq "x"',
        'userName pr or costume eq "x"',
        'title eq "x"',
        'phoneNumbers[type eq "work"].value eq "x"',
        'emails[type eq "home"]',
        "active gt true",
        'meta.location eq "x"',
        "userName eq 5",
    ],
)
def test_a_filter_on_what_no_type_has_is_refused(house: Entra, filter: str) -> None:
    """And so is one that a type which has the attribute cannot answer."""
    answer = house.get(f"/?{urlencode({'filter': filter})}")
    error_of(answer, 400, "invalidFilter")


ALL_SORTED = [
    ("displayName", "gcrpadfqbe"),
    ("meta.created", "bcdp" + "a" + "fr" + "egq"),
    ("id", "abcdefgpqr"),
    # Groups have none.
    ("userName", "abcdefgpqr"),
    ("active", "bdacefgpqr"),
    ("emails", "gdfba" + "ce" + "pqr"),
    ("externalId", "abcdefgpqr"),
]


@both_databases
def test_people_and_groups_are_sorted_among_each_other(house: Entra) -> None:
    """Of equals people first, descending the other way round; by index and by cursor."""
    for sort_by, expected in ALL_SORTED:
        require_order(house, "/", sort_by, expected)


def test_each_type_shows_what_it_has_of_what_is_asked_for(house: Entra) -> None:
    """attributes and excludedAttributes speak of every type at once."""
    shown = search(house, attributes=["displayName", "userName", "members"], count=200)
    by_id = {one["id"]: set(one) - {"schemas", "id"} for one in shown["Resources"]}
    assert by_id[str(KEYS["a"])] == {"userName", "displayName"}
    assert by_id[str(KEYS["p"])] == {"displayName", "members"}
    for one in search(house, excludedAttributes=["members", "groups", "meta"])["Resources"]:
        assert {"members", "groups", "meta"}.isdisjoint(one)


def test_pages_past_the_end_of_everything_are_empty(house: Entra) -> None:
    """startIndex and count mean what they mean on one type."""
    for parameters, expected in (
        ({"startIndex": 11}, (10, 0)),
        ({"startIndex": 99999999999}, (10, 0)),
        ({"startIndex": 10}, (10, 1)),
        ({"count": 0}, (10, 0)),
        ({"count": -1}, (10, 0)),
        ({"count": 99999999999}, (10, 10)),
    ):
        page = house.ask("/", **parameters)
        assert (page["totalResults"], page["itemsPerPage"]) == expected, parameters


def test_the_root_belongs_to_the_token_as_well(house: Entra, other_entra: Entra) -> None:
    """Another account's people and groups are in no list of all types."""
    found = {one["id"] for one in other_entra.ask("/")["Resources"]}
    assert {str(uuid.UUID(int=98)), str(uuid.UUID(int=99))} <= found
    assert not found & {str(key) for key in KEYS.values()}
    error_of(Entra(house.client, "none").post("/.search", {}), 401)
