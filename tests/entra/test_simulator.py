"""Cycles of a client that sends only what differs: a server that returns what it took hears
nothing more about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from ..complete_host import complete
from ..conftest import Entra, both_databases, make_token
from .simulator import MANAGER, Directory, Person, Quarantine, Send, Simulator, Team

pytestmark = both_databases


@dataclass
class Job:
    """A provisioning job, its source, and what it provisions."""

    entra: Entra
    simulator: Simulator
    directory: Directory

    def cycle(self) -> list[tuple[str, str, Any]]:
        """What a cycle without a failure writes."""
        written = self.simulator.cycle(self.directory)
        assert self.simulator.failures == []
        return written

    def user(self, name: str) -> dict[str, Any]:
        return self.entra.get(f"/Users/{self.simulator.users[name]}").get_json()

    def members(self, name: str) -> set[str]:
        """The names of what is in a group at the server."""
        group = self.entra.get(f"/Groups/{self.simulator.groups[name]}").get_json()
        names = {id: name for name, id in (self.simulator.users | self.simulator.groups).items()}
        return {names[member["value"]] for member in group.get("members", [])}


def sender(entra: Entra) -> Send:
    def send(method: str, path: str, parameters: dict[str, str], body: Any) -> tuple[int, Any]:
        answer = entra.client.open(
            f"/scim/v2{path}",
            method=method,
            query_string=parameters,
            json=body,
            headers={"Authorization": f"Bearer {entra.token}", "User-Agent": ""},
        )
        return answer.status_code, answer.get_json(force=True, silent=True)

    return send


def source() -> Directory:
    """Somebody with everything, somebody with next to nothing, somebody who left, and teams."""
    ada = {
        "userPrincipalName": "Ada@example.com",
        "displayName": "Ada Byron",
        "jobTitle": "Countess",
        "mail": "Ada.Byron@Example.com",
        "preferredLanguage": "en-GB",
        "givenName": "Ada",
        "surname": "Byron",
        "physicalDeliveryOfficeName": "4/12",
        "streetAddress": "12 St James's Square",
        "city": "London",
        "state": "Greater London",
        "postalCode": "SW1Y 4LB",
        "country": "GB",
        "telephoneNumber": "+44 20 1",
        "facsimileTelephoneNumber": "+44 20 2",
        "employeeId": "0042",
        "department": "Engines",
    }
    bo = {"userPrincipalName": "bo#ext#@example.com", "displayName": 'Bo "B" Šimon', "mail": "bo@x"}
    return Directory(
        people={
            "ada": Person(ada, manager="bo", role="admin"),
            "bo": Person(bo, role="reader"),
            "cy": Person({"userPrincipalName": "cy@example.com"}, role="editor"),
            "gone": Person({"userPrincipalName": "gone@example.com"}, enabled=False),
        },
        teams={
            "Editors": Team("Editors", {"ada", "bo", "gone"}),
            "Board": Team('The "Board"', {"ada"}),
            "Empty": Team("Empty"),
        },
    )


@pytest.fixture(params=["example app", "complete host"])
def entra(request: pytest.FixtureRequest, database_url: str) -> Iterator[Entra]:
    if request.param == "example app":
        app = request.getfixturevalue("app")
        yield Entra(app.test_client(), make_token(app, "acme"))
        return
    with complete.app(database_url) as app:
        yield Entra(app.test_client(), complete.make_token(app, "acme"))


@pytest.fixture(params=["legacy", "flag"])
def job(request: pytest.FixtureRequest, entra: Entra) -> Job:
    """A job after its first cycle."""
    # Only the example app keeps a role.
    is_example = entra.client.application.name == "example_app"
    simulator = Simulator(sender(entra), request.param, with_roles=is_example)
    found = Job(entra, simulator, source())
    if not is_example:
        found.directory.teams["All"] = Team("All", {"Editors", "cy"})
    written = found.cycle()
    assert [method for method, path, _ in written if path == "/Users"] == ["POST"] * 3
    return found


def test_a_second_cycle_without_a_change_only_reads(job: Job) -> None:
    """All objects are read and compared, and nothing is sent."""
    assert job.cycle() == []
    # Two probes; a person is read for the attributes and for the manager. Who is disabled at
    # first sight is looked for under either name.
    assert len(job.simulator.sent) == 2 + 3 * 2 + 2 + len(job.directory.teams)
    assert job.members("Editors") == {"ada", "bo"}
    if "All" in job.directory.teams:
        assert job.members("All") == {"Editors", "cy"}


def test_a_restart_finds_everybody_again(job: Job) -> None:
    """By the matching filters; only members, which are never read, are sent once more."""
    users, groups = job.simulator.users, job.simulator.groups
    job.simulator.restart()
    written = job.cycle()
    assert (job.simulator.users, job.simulator.groups) == (users, groups)
    assert {method for method, _, _ in written} == {"PATCH"}
    assert {o.get("path") for _, _, operations in written for o in operations} == {"members"}
    assert job.cycle() == []


def test_changes_of_the_source_are_sent_and_nothing_else(job: Job) -> None:
    """Add for what was not there, Replace for what was otherwise, references at the end."""
    directory, simulator = job.directory, job.simulator
    directory.people["ada"].values |= {"jobTitle": "Analyst", "mobile": "+44 7"}
    directory.people["ada"].manager = "cy"
    directory.people["bo"].enabled = False
    directory.people["cy"].values["mail"] = "cy@example.com"
    directory.people["cy"].manager = "ada"
    directory.teams["Board"].name = "Directors"
    directory.teams["Editors"].members = {"ada", "cy"}
    ada, bo, cy = (f"/Users/{simulator.users[name]}" for name in ("ada", "bo", "cy"))
    board, editors = (f"/Groups/{simulator.groups[name]}" for name in ("Board", "Editors"))
    mobile, mail = 'phoneNumbers[type eq "mobile"].value', 'emails[type eq "work"].value'
    bo_id, cy_id, ada_id = (simulator.users[name] for name in ("bo", "cy", "ada"))
    legacy = [
        (
            ada,
            {"op": "Replace", "path": "title", "value": "Analyst"},
            {"op": "Add", "path": mobile, "value": "+44 7"},
        ),
        (bo, {"op": "Replace", "path": "active", "value": "False"}),
        (cy, {"op": "Add", "path": mail, "value": "cy@example.com"}),
        (board, {"op": "Replace", "path": "displayName", "value": "Directors"}),
        (ada, {"op": "Replace", "path": MANAGER, "value": cy_id}),
        (cy, {"op": "Add", "path": MANAGER, "value": ada_id}),
        (editors, {"op": "Add", "path": "members", "value": [{"$ref": None, "value": cy_id}]}),
        (editors, {"op": "Remove", "path": "members", "value": [{"$ref": None, "value": bo_id}]}),
    ]
    flag = [
        (
            ada,
            {"op": "add", "path": mobile, "value": "+44 7"},
            {"op": "replace", "value": {"title": "Analyst"}},
        ),
        (bo, {"op": "replace", "value": {"active": False}}),
        (cy, {"op": "add", "path": mail, "value": "cy@example.com"}),
        (board, {"op": "replace", "value": {"displayName": "Directors"}}),
        (ada, {"op": "replace", "value": {MANAGER: cy_id}}),
        (cy, {"op": "add", "value": {MANAGER: ada_id}}),
        (editors, {"op": "add", "path": "members", "value": [{"value": cy_id}]}),
        (editors, {"op": "remove", "path": f'members[value eq "{bo_id}"]'}),
    ]
    expected = legacy if simulator.dialect == "legacy" else flag
    assert job.cycle() == [("PATCH", path, list(operations)) for path, *operations in expected]
    assert job.cycle() == []
    assert job.members("Editors") == {"ada", "cy"}
    assert job.user("bo")["active"] is False


def test_who_is_disabled_comes_back_and_who_is_deleted_does_not(job: Job) -> None:
    """Memberships stay while somebody is inactive; a new person of the same name is new."""
    directory, id = job.directory, job.simulator.users["bo"]
    bo = directory.people["bo"]
    bo.enabled = False
    assert [method for method, _, _ in job.cycle()] == ["PATCH"]
    assert job.cycle() == []
    bo.enabled = True
    assert [path for _, path, _ in job.cycle()] == [f"/Users/{id}"]
    assert job.user("bo")["active"] is True
    assert job.members("Editors") == {"ada", "bo"}
    assert job.cycle() == []

    del directory.people["bo"]
    directory.people["ada"].manager = None
    directory.teams["Editors"].members = {"ada"}
    deleted = job.simulator.groups["Board"]
    del directory.teams["Board"]
    written = job.cycle()
    assert [(m, p) for m, p, _ in written if m == "DELETE"] == [
        ("DELETE", f"/Users/{id}"),
        ("DELETE", f"/Groups/{deleted}"),
    ]
    assert [path for m, path, _ in written if m == "PATCH"] == [
        f"/Users/{job.simulator.users['ada']}"
    ]
    assert job.members("Editors") == {"ada"}
    assert job.cycle() == []

    directory.people["bo"] = Person(bo.values)
    directory.teams["Editors"].members = {"ada", "bo"}
    job.cycle()
    assert job.simulator.users["bo"] != id
    assert job.members("Editors") == {"ada", "bo"}
    assert job.cycle() == []


def test_somebody_is_found_under_a_new_name(job: Job) -> None:
    """A changed user name is sent to the same id; after a restart the second matching
    attribute finds the person."""
    id = job.simulator.users["ada"]
    job.directory.people["ada"].values["userPrincipalName"] = "ada.king@example.com"
    job.simulator.restart()
    written = [one for one in job.cycle() if one[1].startswith("/Users")]
    assert [(method, path) for method, path, _ in written] == [("PATCH", f"/Users/{id}")]
    assert job.user("ada")["userName"] == "ada.king@example.com"
    assert job.cycle() == []


@pytest.mark.parametrize("entra", ["example app"], indirect=True)
@pytest.mark.parametrize("role", ["editor", "reader"])
def test_a_changed_role_is_sent_once(job: Job, role: str) -> None:
    """SingleAppRoleAssignment, in the shape of either dialect."""
    job.directory.people["ada"].role = role
    written = job.cycle()
    assert [operation["path"] for _, _, operations in written for operation in operations] == [
        "roles"
    ]
    roles = {one["value"]: one.get("primary", False) for one in job.user("ada")["roles"]}
    assert [value for value, is_primary in roles.items() if is_primary] == [role]
    assert job.cycle() == []


def changed(send: Send, change: Any) -> Send:
    """A server that answers GETs otherwise."""

    def answer(method: str, path: str, parameters: dict[str, str], body: Any) -> tuple[int, Any]:
        status, found = send(method, path, parameters, body)
        return change(status, found) if method == "GET" else (status, found)

    return answer


def _resources(found: Any) -> list[Any]:
    resources: list[Any] = found.get("Resources", [found])
    return resources


def _without_title(status: int, found: Any) -> tuple[int, Any]:
    for resource in _resources(found):
        resource.pop("title", None)
    return status, found


def _in_small_letters(status: int, found: Any) -> tuple[int, Any]:
    for resource in _resources(found):
        if "userName" in resource:
            resource["userName"] = resource["userName"].lower()
    return status, found


def _active_as_text(status: int, found: Any) -> tuple[int, Any]:
    for resource in _resources(found):
        if "active" in resource:
            resource["active"] = str(resource["active"])
    return status, found


@pytest.mark.parametrize(
    ("fault", "path"),
    [(_without_title, "title"), (_in_small_letters, "userName"), (_active_as_text, "active")],
)
def test_a_server_that_does_not_return_what_it_took_is_never_left_alone(
    job: Job, fault: Any, path: str
) -> None:
    """The simulator would see it: the same is sent in every cycle."""
    job.simulator.send = changed(job.simulator.send, fault)
    first, second = job.cycle(), job.cycle()
    assert first == second != []
    for _, _, operations in first:
        assert [o.get("path") or [*o["value"]] for o in operations] in ([path], [[path]])


def test_failures_are_seen(job: Job) -> None:
    """Members in spite of the exclusion, two matches, a lost link, a refusal, no SCIM."""
    simulator, send = job.simulator, job.simulator.send

    def with_members(status: int, found: Any) -> tuple[int, Any]:
        for resource in _resources(found):
            resource.setdefault("members", [])
        return status, found

    def twice(status: int, found: Any) -> tuple[int, Any]:
        if found.get("totalResults") == 1:
            found["Resources"] *= 2
        return status, found

    simulator.send = changed(send, with_members)
    simulator.cycle(job.directory)
    assert [text.split()[0] for text in simulator.failures] == ["MultipleEntriesInResponse"] * len(
        job.directory.teams
    )

    lost = replace(simulator, send=changed(send, twice), users={}, groups={}, members={})
    lost.cycle(Directory(people=job.directory.people))
    assert {text.split()[0] for text in lost.failures} == {"DuplicateTargetEntries"}

    simulator.send = send
    job.entra.delete(f"/Users/{simulator.users['cy']}")
    job.directory.people["bo"].values["userPrincipalName"] = "ADA@example.com"
    simulator.cycle(job.directory)
    assert [text.split()[0] for text in simulator.failures] == ["PATCH", "InvalidAnchor"]
    assert "belongs to another User" in simulator.failures[0]

    simulator.send = lambda *request: (404, None)
    with pytest.raises(Quarantine):
        simulator.cycle(job.directory)
