"""Groups in groups, where the host has a table for them, over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from flask_h5mag_scim import Nesting, group_updated

from .complete_host import Host, complete, numbered
from .conftest import Entra, both_databases, error_of
from .test_concurrency import at_once

HOSTS = {"two kinds of keys": complete, "one kind of keys": numbered}
#: In ``numbered``, a user and a group may have one id.
both_hosts = pytest.mark.parametrize("host", HOSTS, indirect=True)


@pytest.fixture
def host(request: pytest.FixtureRequest) -> Host:
    return HOSTS[getattr(request, "param", "two kinds of keys")]


@pytest.fixture
def app(host: Host, database_url: str) -> Iterator[Flask]:
    with host.app(database_url) as app:
        yield app


@dataclass
class Directory:
    """An account with the users ada and bo and the groups All, Staff and Board; in Staff is
    Board, and in All are Staff and ada."""

    host: Host
    app: Flask
    entra: Entra
    ids: dict[str, str]

    def path(self, group: str) -> str:
        return f"/Groups/{self.ids[group]}"

    def element(self, name: str, **about: Any) -> dict[str, Any]:
        kind = "User" if name in ("ada", "bo") else "Group"
        return {"value": self.ids[name], "type": kind, **about}

    def members(self, group: str) -> set[str]:
        """The names of what is in a group."""
        found = self.entra.get(self.path(group)).get_json().get("members", [])
        return {member["display"] for member in found}

    def change(self, group: str, *operations: dict[str, Any], status: int = 204) -> Any:
        answer = self.entra.patch(self.path(group), *operations)
        assert answer.status_code == status, answer.text
        return answer

    def fill(self, value: Any) -> Any:
        """``value`` with ids in the place of the names in braces."""
        if isinstance(value, dict):
            return {key: self.fill(part) for key, part in value.items()}
        if isinstance(value, list):
            return [self.fill(part) for part in value]
        if isinstance(value, str):
            for name, id in self.ids.items():
                value = value.replace("{" + name + "}", id)
        return value

    def count(self, model: Any) -> int:
        with self.app.app_context():
            return self.host.db.session.scalar(sa.select(sa.func.count()).select_from(model))


@pytest.fixture
def directory(host: Host, app: Flask) -> Directory:
    entra = Entra(app.test_client(), host.make_token(app, "acme"))
    ids = {name: entra.user(name, displayName=name)["id"] for name in ("ada", "bo")}
    for group in ("All", "Staff", "Board"):
        ids[group] = entra.group(group)["id"]
    found = Directory(host, app, entra, ids)
    for group, members in {"Staff": ["Board"], "All": ["Staff", "ada"]}.items():
        value = [found.element(member) for member in members]
        found.change(group, {"op": "add", "path": "members", "value": value})
    return found


@both_databases
@both_hosts
def test_members_are_users_and_groups(directory: Directory) -> None:
    """Users come first; each has its type, its own address and its name."""
    base = "https://complete.example/scim/v2"
    ids = directory.ids
    expected = [
        {
            "value": ids["ada"],
            "$ref": f"{base}/Users/{ids['ada']}",
            "display": "ada",
            "type": "User",
        },
        {
            "value": ids["Staff"],
            "$ref": f"{base}/Groups/{ids['Staff']}",
            "display": "Staff",
            "type": "Group",
        },
    ]
    assert directory.entra.get(directory.path("All")).get_json()["members"] == expected
    page = directory.entra.get("/Groups").get_json()["Resources"]
    assert [[m["display"] for m in group.get("members", [])] for group in page] == [
        ["ada", "Staff"],
        ["Board"],
        [],
    ]


#: Operations on All, in which ada and Staff are, and who is in it afterwards.
OPERATIONS: list[tuple[list[dict[str, Any]], set[str]]] = [
    (
        [{"op": "add", "path": "members", "value": [{"value": "{Board}", "type": "Group"}]}],
        {"ada", "Staff", "Board"},
    ),
    (
        [{"op": "add", "path": "members", "value": [{"value": "{Board}", "type": "group"}]}],
        {"ada", "Staff", "Board"},
    ),
    (
        [
            {
                "op": "add",
                "path": "members",
                "value": [{"value": "{Board}", "$ref": "https://x/users/scim/v2/Groups/{Board}"}],
            }
        ],
        {"ada", "Staff", "Board"},
    ),
    (
        [
            {
                "op": "add",
                "path": "members",
                "value": [{"value": "{bo}", "$ref": "../Users/{bo}"}, {"value": "{ada}"}],
            }
        ],
        {"ada", "bo", "Staff"},
    ),
    ([{"op": "remove", "path": 'members[value eq "{Staff}" and type eq "Group"]'}], {"ada"}),
    ([{"op": "remove", "path": 'members[type eq "Group" and value eq "{Staff}"]'}], {"ada"}),
    ([{"op": "remove", "path": 'members[value eq "{ada}" and type eq "User"]'}], {"Staff"}),
    (
        [{"op": "remove", "path": 'members[value eq "{ada}" and type eq "Group"]'}],
        {"ada", "Staff"},
    ),
    (
        [{"op": "remove", "path": "members", "value": [{"value": "{Staff}", "type": "User"}]}],
        {"ada", "Staff"},
    ),
    (
        [{"op": "remove", "path": "members", "value": [{"value": "{Staff}", "type": "Group"}]}],
        {"ada"},
    ),
    ([{"op": "remove", "path": "members"}], set()),
    (
        [{"op": "replace", "path": "members", "value": [{"value": "{Board}", "type": "Group"}]}],
        {"Board"},
    ),
    ([{"op": "replace", "path": "members", "value": [{"value": "{bo}"}]}], {"bo"}),
    (
        [
            {
                "op": "replace",
                "path": 'members[value eq "{Staff}" and type eq "Group"]',
                "value": {"value": "{Board}", "type": "Group"},
            }
        ],
        {"ada", "Board"},
    ),
    # In their order.
    (
        [
            {"op": "add", "path": "members", "value": [{"value": "{Board}", "type": "Group"}]},
            {"op": "remove", "path": 'members[value eq "{Board}" and type eq "Group"]'},
            {"op": "remove", "path": 'members[value eq "{Staff}" and type eq "Group"]'},
            {"op": "add", "path": "members", "value": [{"value": "{Staff}", "type": "Group"}]},
        ],
        {"ada", "Staff"},
    ),
]


@both_databases
@both_hosts
def test_users_and_groups_come_and_go(directory: Directory) -> None:
    """The type of an element, or its address, says what kind of thing has the id."""
    members = [directory.element("ada"), directory.element("Staff")]
    for operations, expected in OPERATIONS:
        directory.entra.put(directory.path("All"), {"displayName": "All", "members": members})
        directory.change("All", *directory.fill(operations))
        assert directory.members("All") == expected, operations


@both_databases
def test_an_id_alone_says_enough_where_it_can_be_one_thing_only(directory: Directory) -> None:
    """Microsoft sends a nested group as one bare id."""
    ids = directory.ids
    value = [{"$ref": None, "value": ids["Board"]}, {"$ref": None, "value": ids["bo"]}]
    directory.change("All", {"op": "Add", "path": "members", "value": value})
    assert directory.members("All") == {"ada", "bo", "Staff", "Board"}
    directory.change("All", {"op": "Remove", "path": "members", "value": value})
    assert directory.members("All") == {"ada", "Staff"}
    directory.change("All", {"op": "remove", "path": f'members[value eq "{ids["Staff"]}"]'})
    assert directory.members("All") == {"ada"}


@both_databases
@pytest.mark.parametrize("host", ["one kind of keys"], indirect=True)
def test_of_a_user_and_a_group_with_one_id_the_user_is_meant(directory: Directory) -> None:
    """RFC 7643 wants ids that are unique; a host with numbers has them twice."""
    ids = directory.ids
    assert ids["ada"] == ids["All"]
    assert ids["bo"] == ids["Staff"]
    board = directory.path("Board")
    value = [{"value": ids["bo"]}]
    directory.change("Board", {"op": "add", "path": "members", "value": value})
    assert directory.members("Board") == {"bo"}
    assert directory.members("Staff") == {"Board"}
    # What is removed is whatever the filter matches (RFC 7644 §3.5.2.2).
    value = [{"value": ids["ada"], "type": "User"}, {"value": ids["ada"], "type": "Group"}]
    error_of(
        directory.entra.patch(board, {"op": "add", "path": "members", "value": value}),
        400,
        "invalidValue",
    )
    fourth = directory.entra.group("Fourth")["id"]
    third = directory.entra.user("cy", displayName="cy")["id"]
    assert ids["Board"] == third
    value = [{"value": third, "type": "User"}, {"value": third, "type": "Group"}]
    path = f"/Groups/{fourth}"
    directory.entra.patch(path, {"op": "add", "path": "members", "value": value})
    assert len(directory.entra.get(path).get_json()["members"]) == 2
    directory.entra.patch(path, {"op": "remove", "path": f'members[value eq "{third}"]'})
    assert "members" not in directory.entra.get(path).get_json()


@both_databases
@both_hosts
def test_a_put_and_a_post_bring_groups_as_well(directory: Directory) -> None:
    """All that is sent, and nothing else; without ``members`` everything stays."""
    entra, path = directory.entra, directory.path("All")
    members = [directory.element("bo"), directory.element("Board")]
    shown = entra.put(path, {"displayName": "All", "members": members}).get_json()
    assert {member["display"] for member in shown["members"]} == {"bo", "Board"}
    entra.put(path, {"displayName": "All"})
    assert directory.members("All") == {"bo", "Board"}
    entra.put(path, {"displayName": "All", "members": []})
    assert directory.members("All") == set()
    made = entra.group("New", members=members)
    assert {member["type"] for member in made["members"]} == {"User", "Group"}


@both_databases
@both_hosts
@pytest.mark.parametrize(
    ("group", "member"), [("All", "All"), ("Board", "All"), ("Board", "Staff"), ("Staff", "All")]
)
def test_no_group_is_in_itself(directory: Directory, group: str, member: str) -> None:
    """Directly or through others: refused with a sentence, and nothing is written."""
    before = directory.entra.get("/Groups").get_json()
    elements = [directory.element("bo"), directory.element(member)]
    for answer in (
        directory.entra.patch(
            directory.path(group), {"op": "add", "path": "members", "value": elements}
        ),
        directory.entra.put(directory.path(group), {"displayName": group, "members": elements}),
    ):
        detail = error_of(answer, 400, "invalidValue")
        assert "a group cannot be in itself" in detail
        assert repr(directory.ids[member]) in detail
    assert directory.entra.get("/Groups").get_json() == before


@both_databases
@both_hosts
def test_a_circle_of_somebody_elses_making_ends(directory: Directory) -> None:
    """The application may write what it wants; every question is answered all the same."""
    host, ids = directory.host, directory.ids
    with directory.app.app_context():
        host.db.session.add(host.TeamInTeam(team_id=int(ids["Board"]), member_id=int(ids["All"])))
        host.db.session.commit()
    groups = directory.entra.get(f"/Users/{ids['ada']}").get_json()["groups"]
    assert {(g["display"], g["type"]) for g in groups} == {
        ("All", "direct"),
        ("Staff", "indirect"),
        ("Board", "indirect"),
    }
    assert directory.entra.find(f'groups.value eq "{ids["Staff"]}"') == [ids["ada"]]
    elements = [directory.element("Staff")]
    answer = directory.entra.patch(
        directory.path("Board"), {"op": "add", "path": "members", "value": elements}
    )
    error_of(answer, 400, "invalidValue")


@both_databases
@both_hosts
def test_a_user_shows_the_groups_above(directory: Directory) -> None:
    """RFC 7643 §4.1.2: direct or indirect, each group once, in one order for everybody."""
    entra, ids = directory.entra, directory.ids
    value = [directory.element("ada"), directory.element("bo")]
    directory.change("Board", {"op": "add", "path": "members", "value": value})

    def groups(user: dict[str, Any]) -> list[tuple[str, str]]:
        return [(group["display"], group["type"]) for group in user["groups"]]

    indirect = [("All", "indirect"), ("Staff", "indirect"), ("Board", "direct")]
    assert groups(entra.get(f"/Users/{ids['bo']}").get_json()) == indirect
    # Who is in a group in both ways, is in it directly.
    assert groups(entra.get(f"/Users/{ids['ada']}").get_json()) == [
        ("All", "direct"),
        ("Staff", "indirect"),
        ("Board", "direct"),
    ]
    page = {user["id"]: groups(user) for user in entra.get("/Users").get_json()["Resources"]}
    assert page[ids["bo"]] == indirect
    shown = entra.get(f"/Users/{ids['bo']}").get_json()["groups"][0]
    assert shown["$ref"] == f"https://complete.example/scim/v2/Groups/{ids['All']}"


#: A filter on groups, and which it finds; bo is in Board, and nobody in Empty.
GROUP_FILTERS: list[tuple[str, set[str]]] = [
    ('members.value eq "{ada}" and displayName pr', {"All"}),
    ('members eq "{bo}" and not (displayName eq "Staff")', {"Board"}),
    ('members[value eq "{ada}"]', {"All"}),
    ('members.value eq "{Board}"', {"Staff"}),
    ('members[value eq "{Staff}" and type eq "Group"]', {"All"}),
    ('MEMBERS[TYPE EQ "group" AND VALUE EQ "{Staff}"]', {"All"}),
    ('members[value eq "{Board}" and type eq "User"]', set()),
    ('members[type eq "Group"]', {"All", "Staff"}),
    ('members.type eq "User"', {"All", "Board"}),
    ('members[type eq "Group" and not (value eq "{Staff}")]', {"Staff"}),
    ('members[type eq "Group" and value ne "{Staff}"]', {"Staff"}),
    ('members[value eq "{Board}" and value eq "{Staff}"]', set()),
    ('members[value eq "{Board}" or value eq "{bo}"]', {"Staff", "Board"}),
    ("members pr", {"All", "Staff", "Board"}),
    ("members.value pr", {"All", "Staff", "Board"}),
    ("members[value pr]", {"All", "Staff", "Board"}),
    ("not (members pr)", {"Empty"}),
    ("members eq null", {"Empty"}),
    ('members[value eq "nobody"]', set()),
    ('members ne "{ada}" and members ne "{bo}"', {"Empty", "Staff"}),
    ('members.value eq "{Board}" or members.value eq "{Staff}"', {"All", "Staff"}),
]


@both_databases
def test_groups_are_found_by_what_is_in_them(directory: Directory) -> None:
    """Users or groups, directly in it; brackets speak of one element."""
    directory.entra.group("Empty")
    directory.change("Board", {"op": "add", "path": "members", "value": [directory.element("bo")]})
    page = directory.entra.get("/Groups").get_json()["Resources"]
    names = {group["id"]: group["displayName"] for group in page}
    for filter, expected in GROUP_FILTERS:
        found = directory.entra.find(directory.fill(filter), "Groups")
        assert {names[id] for id in found} == expected, filter


@both_databases
@pytest.mark.parametrize("host", ["one kind of keys"], indirect=True)
def test_a_filter_finds_a_user_or_a_group_of_that_id(directory: Directory) -> None:
    """Where both have it, either; the type tells them apart."""
    entra, ids = directory.entra, directory.ids
    directory.change("Board", {"op": "add", "path": "members", "value": [directory.element("bo")]})
    both = {ids["Board"], ids["All"]}
    assert set(entra.find(f'members.value eq "{ids["bo"]}"', "Groups")) == both
    typed = f'members[value eq "{ids["bo"]}" and type eq "{{}}"]'
    assert entra.find(typed.format("User"), "Groups") == [ids["Board"]]
    assert entra.find(typed.format("Group"), "Groups") == [ids["All"]]


#: A filter on users, and whom it finds; bo is in Board, ada in All, and cy in nothing.
USER_FILTERS: list[tuple[str, set[str]]] = [
    ('groups.value eq "{All}"', {"ada", "bo"}),
    ('groups eq "{Staff}"', {"bo"}),
    ('groups[value eq "{Staff}"]', {"bo"}),
    ('groups[value eq "{Board}" or value eq "{All}"]', {"ada", "bo"}),
    ('groups.value eq "{All}" and groups.value eq "{Staff}"', {"bo"}),
    ('groups.value eq "{All}" and not (groups.value eq "{Staff}")', {"ada"}),
    ('groups ne "{Staff}"', {"ada", "cy"}),
    ("groups pr", {"ada", "bo"}),
    ("not (groups pr)", {"cy"}),
    ('groups.value eq "424242"', set()),
    ('groups.value eq "no number"', set()),
]


@both_databases
@both_hosts
def test_users_are_found_by_the_groups_above(directory: Directory) -> None:
    """Direct and indirect ones, as a user shows them."""
    entra = directory.entra
    directory.ids["cy"] = entra.user("cy", displayName="cy")["id"]
    directory.change("Board", {"op": "add", "path": "members", "value": [directory.element("bo")]})
    for filter, expected in USER_FILTERS:
        found = entra.find(directory.fill(filter))
        assert set(found) == {directory.ids[name] for name in expected}, filter


@both_databases
@pytest.mark.parametrize(
    ("endpoint", "filter"),
    [
        ("Users", 'groups[type eq "direct"]'),
        ("Users", 'groups.display eq "All"'),
        ("Groups", 'members[display eq "ada"]'),
        ("Groups", 'members.value gt "1"'),
        ("Groups", "members.value eq 1"),
        ("Groups", 'members[value eq "1"].type eq "User"'),
    ],
)
def test_what_is_not_known_of_members_is_not_searched(
    directory: Directory, endpoint: str, filter: str
) -> None:
    """Whether a group is direct depends on others: refused, and never a guess."""
    answer = directory.entra.client.get(
        f"/scim/v2/{endpoint}",
        query_string={"filter": filter},
        headers={"Authorization": f"Bearer {directory.entra.token}"},
    )
    error_of(answer, 400, "invalidFilter")


@both_databases
@both_hosts
def test_a_deleted_group_leaves_the_groups_it_was_in(directory: Directory) -> None:
    """And what was in it stays, in whatever else it is."""
    host = directory.host
    assert directory.count(host.TeamInTeam) == 2
    assert directory.entra.delete(directory.path("Staff")).status_code == 204
    assert directory.count(host.TeamInTeam) == 0
    assert directory.members("All") == {"ada"}
    assert directory.entra.get(directory.path("Board")).status_code == 200
    assert directory.count(host.TeamMember) == 1
    assert directory.entra.delete(f"/Users/{directory.ids['ada']}").status_code == 204
    assert directory.members("All") == set()


@both_databases
@both_hosts
def test_a_group_has_a_new_version_when_a_group_in_it_is_deleted(directory: Directory) -> None:
    """As when a group comes or goes; what is further above shows nothing of it."""

    def versions() -> dict[str, str]:
        page = directory.entra.get("/Groups?excludedAttributes=members").get_json()["Resources"]
        return {group["displayName"]: group["meta"]["version"] for group in page}

    before = versions()
    directory.entra.delete(directory.path("Board"))
    after = versions()
    assert after["Staff"] != before["Staff"]
    assert after["All"] == before["All"]
    value = [directory.element("Staff")]
    directory.change("All", {"op": "remove", "path": "members", "value": value})
    assert versions()["All"] != before["All"]


@both_databases
@both_hosts
def test_another_accounts_group_is_no_member(directory: Directory) -> None:
    """Its id is refused like one that nobody has, and removing it takes nothing away."""
    host, app = directory.host, directory.app
    other = Entra(app.test_client(), host.make_token(app, "globex"))
    inner = other.group("Inner")["id"]
    outer = other.group("Outer", members=[{"value": inner, "type": "Group"}])["id"]
    details = []
    for id in (inner, "424242"):
        for value in ({"value": id, "type": "Group"}, {"value": id}):
            operation = {"op": "add", "path": "members", "value": [value]}
            detail = error_of(
                directory.entra.patch(directory.path("All"), operation), 400, "invalidValue"
            )
            details.append(detail.replace(id, "ID"))
    assert set(details) == {"members: no User or Group of this account has the id 'ID'."}
    error_of(
        directory.entra.patch(
            f"/Groups/{outer}", {"op": "remove", "path": f'members[value eq "{inner}"]'}
        ),
        404,
    )
    error_of(directory.entra.delete(f"/Groups/{inner}"), 404)
    assert directory.entra.find(f'members[value eq "{inner}" and type eq "Group"]', "Groups") == []
    assert directory.entra.find(f'groups.value eq "{outer}"') == []
    assert [m["value"] for m in other.get(f"/Groups/{outer}").get_json()["members"]] == [inner]


@both_databases
def test_a_nested_group_of_another_account_is_not_shown(directory: Directory) -> None:
    """Not even where the application itself has mixed accounts up."""
    host, app, ids = directory.host, directory.app, directory.ids
    other = Entra(app.test_client(), host.make_token(app, "globex"))
    foreign, above = other.group("Foreign")["id"], other.group("Above")["id"]
    with app.app_context():
        for team, member in ((ids["All"], foreign), (foreign, ids["All"]), (above, foreign)):
            host.db.session.add(host.TeamInTeam(team_id=int(team), member_id=int(member)))
        host.db.session.commit()
    assert directory.members("All") == {"ada", "Staff"}
    groups = directory.entra.get(f"/Users/{ids['ada']}").get_json()["groups"]
    assert [group["display"] for group in groups] == ["All"]
    assert directory.entra.find(f'groups.value eq "{foreign}"') == []


@both_databases
def test_a_nested_group_is_logged_told_and_touches_the_group(directory: Directory) -> None:
    """As for users; nothing of it when nothing changes."""
    host, entra = directory.host, directory.entra
    told: list[Any] = []

    def receive(sender: Any, **evidence: Any) -> None:
        told.append((evidence["group"].name, evidence["paths"]))

    group_updated.connect(receive)
    add = {"op": "add", "path": "members", "value": [directory.element("Board")]}
    before = entra.get(directory.path("All")).get_json()["meta"]["lastModified"]
    directory.change("All", add)
    after = entra.get(directory.path("All")).get_json()["meta"]["lastModified"]
    assert after > before
    logged = directory.count(host.scim.LogEntry)
    directory.change("All", add)
    assert entra.get(directory.path("All")).get_json()["meta"]["lastModified"] == after
    assert directory.count(host.scim.LogEntry) == logged
    assert told == [("All", ("members",))]
    with directory.app.app_context():
        Entry = host.scim.LogEntry
        last = host.db.session.scalars(sa.select(Entry).order_by(Entry.id.desc())).first()
        assert (last.paths, last.resource_id) == (["members"], directory.ids["All"])


@both_databases
@pytest.mark.parametrize("host", HOSTS, indirect=True)
def test_statements_do_not_depend_on_how_many_there_are(
    directory: Directory, statements: Any
) -> None:
    """Members of all kinds, and groups of all heights, are one statement for a page."""
    entra = directory.entra

    def counted(method: str, path: str, body: Any = None) -> int:
        with statements() as seen:
            answer = entra.send(method, path, body)
        assert answer.status_code in (200, 204), answer.text
        return len([s for s in seen if not s.startswith(("BEGIN", "PRAGMA", "SAVEPOINT"))])

    def all_of_them() -> dict[str, int]:
        def members(op: str, *names: str) -> Any:
            value = [directory.element(name) for name in names]
            return {"Operations": [{"op": op, "path": "members", "value": value}]}

        path = directory.path("All")
        return {
            "groups": counted("GET", "/Groups?count=20"),
            "users": counted("GET", "/Users?count=20"),
            "user": counted("GET", f"/Users/{directory.ids['ada']}"),
            "of a group": counted("GET", f'/Users?filter=groups+eq+"{directory.ids["All"]}"'),
            "with a group": counted("GET", f'/Groups?filter=members+eq+"{directory.ids["Board"]}"'),
            "add a user": counted("PATCH", path, members("add", "bo")),
            "add a group": counted("PATCH", path, members("add", "Board")),
            "remove both": counted("PATCH", path, members("remove", "bo", "Board")),
        }

    entra.get("/Users?count=1")
    few = all_of_them()
    made = [entra.user(f"u{n}")["id"] for n in range(12)]
    above = directory.ids["Board"]
    for n in range(12):
        members = [{"value": id, "type": "User"} for id in made]
        team = entra.group(f"Team {n}", members=members)["id"]
        value = [{"value": team, "type": "Group"}]
        entra.patch(f"/Groups/{above}", {"op": "add", "path": "members", "value": value})
        above = team
    assert all_of_them() == few
    assert few == {
        # The token; then what the verb needs.
        "groups": 3,
        "users": 3,
        "user": 3,
        "of a group": 3,
        "with a group": 3,
        "add a user": 7,
        "add a group": 9,  # no user, a turn, and the groups above
        "remove both": 7,  # from either table
    }


@both_databases
def test_two_halves_of_a_circle_are_not_closed_at_once(directory: Directory) -> None:
    """Of two requests that are each right, the second one sees the first."""
    entra = directory.entra

    def put(inner: str, outer: str) -> Any:
        value = [{"value": inner, "type": "Group"}]
        operation = {"op": "add", "path": "members", "value": value}
        return lambda entra: entra.patch(f"/Groups/{outer}", operation)

    for turn in range(3):
        north, east, south, west = (entra.group(f"{turn}{n}")["id"] for n in "NESW")
        put(south, east)(entra)
        put(north, west)(entra)
        answers = at_once(entra, [put(east, north), put(west, south)])
        assert sorted(answer.status_code for answer in answers) == [204, 400]
    for turn in range(8):
        up, down = entra.group(f"{turn} Up")["id"], entra.group(f"{turn} Down")["id"]
        answers = at_once(entra, [put(up, down), put(down, up)])
        assert sorted(answer.status_code for answer in answers) == [204, 400]


def test_schemas_say_what_a_member_can_be(directory: Directory) -> None:
    """For the element's type and for where its address leads."""
    core = "urn:ietf:params:scim:schemas:core:2.0:Group"
    attributes = directory.entra.get(f"/Schemas/{core}").get_json()["attributes"]
    members = next(a for a in attributes if a["name"] == "members")
    parts = {part["name"]: part for part in members["subAttributes"]}
    assert parts["type"]["canonicalValues"] == ["User", "Group"]
    assert parts["$ref"]["referenceTypes"] == ["User", "Group"]
    assert "canonicalValues" not in parts["$ref"]


def test_a_nesting_names_two_columns_that_are_there() -> None:
    """What is wrong stops the start."""
    table = sa.Table("inside", sa.MetaData(), sa.Column("a"), sa.Column("b"))
    with pytest.raises(TypeError, match="inside has no column 'c' for Nesting"):
        Nesting(table, group="a", member="c")
    with pytest.raises(TypeError, match="Nesting of inside needs two columns, not 'a' twice"):
        Nesting(table, group="a", member="a")
