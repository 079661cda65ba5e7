"""A small client that provisions like Microsoft Entra: it matches, reads, compares and sends
only what differs, in either PATCH dialect.

It reads every object in every cycle, as after a restart, so that a server which does not
return what it took is asked to take it again and again. It shares no code with the server.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

CORE_USER = "urn:ietf:params:scim:schemas:core:2.0:User"
CORE_GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
MANAGER = f"{ENTERPRISE}:manager"
ROLE = 'roles[primary eq "True"].value'
ROLE_TYPE = "WindowsAzureActiveDirectoryRole"

#: Sends method, path, parameters and body; gives back the status and the answer.
Send = Callable[[str, str, dict[str, str], Any], tuple[int, Any]]

#: Microsoft's default mapping: SCIM attribute, and what it comes from (ENTRA.md §5).
MAPPING = {
    "userName": "userPrincipalName",
    "displayName": "displayName",
    "title": "jobTitle",
    'emails[type eq "work"].value': "mail",
    "preferredLanguage": "preferredLanguage",
    "name.givenName": "givenName",
    "name.familyName": "surname",
    "name.formatted": "fullName",
    'addresses[type eq "work"].formatted': "physicalDeliveryOfficeName",
    'addresses[type eq "work"].streetAddress': "streetAddress",
    'addresses[type eq "work"].locality': "city",
    'addresses[type eq "work"].region': "state",
    'addresses[type eq "work"].postalCode': "postalCode",
    'addresses[type eq "work"].country': "country",
    'phoneNumbers[type eq "work"].value': "telephoneNumber",
    'phoneNumbers[type eq "mobile"].value': "mobile",
    'phoneNumbers[type eq "fax"].value': "facsimileTelephoneNumber",
    "externalId": "objectId",
    f"{ENTERPRISE}:employeeNumber": "employeeId",
    f"{ENTERPRISE}:department": "department",
}


@dataclass
class Person:
    """Somebody in the source directory."""

    values: dict[str, str]
    #: Assigned, and allowed to sign in.
    enabled: bool = True
    #: Their manager's name in the source.
    manager: str | None = None
    role: str | None = None
    object_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass
class Team:
    """A group in the source directory; its members are names of people and of teams."""

    name: str
    members: set[str] = field(default_factory=set)
    object_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass
class Directory:
    """The source, by names that never change."""

    people: dict[str, Person] = field(default_factory=dict)
    teams: dict[str, Team] = field(default_factory=dict)


class Quarantine(Exception):
    """The server does not answer like one that speaks SCIM."""


@dataclass
class Simulator:
    """One provisioning job.

    :param dialect: ``legacy``, or ``flag`` for the one of ``aadOptscim062020``.
    :param with_roles: whether app roles are mapped (SingleAppRoleAssignment).
    """

    send: Send
    dialect: str
    with_roles: bool = False
    #: Ids at the server, by names in the source: what the job keeps between cycles.
    users: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    #: The members that were sent: they are never read.
    members: dict[str, set[str]] = field(default_factory=dict)
    #: What a provisioning log would call an error in the last cycle.
    failures: list[str] = field(default_factory=list)
    #: Method, path and body of each request of the last cycle.
    sent: list[tuple[str, str, Any]] = field(default_factory=list)

    def cycle(self, directory: Directory) -> list[tuple[str, str, Any]]:
        """Bring the server into line with the source; the requests that wrote something.

        A PATCH is shown with its operations.
        """
        self.failures, self.sent = [], []
        self._probe("Users", "userName")
        self._probe("Groups", "displayName")
        for name in [name for name in self.users if name not in directory.people]:
            self._delete(f"/Users/{self.users.pop(name)}")
        for name, person in directory.people.items():
            self._provision(name, person)
        for name in [name for name in self.groups if name not in directory.teams]:
            self._delete(f"/Groups/{self.groups.pop(name)}")
            self.members.pop(name, None)
        for name, team in directory.teams.items():
            self._provision_group(name, team)
        # Both ends of a reference have ids by now.
        for name, person in directory.people.items():
            self._refer(name, person)
        for name, team in directory.teams.items():
            self._send_members(name, team)
        return [
            (method, path, body["Operations"] if method == "PATCH" else body)
            for method, path, body in self.sent
            if method != "GET"
        ]

    def restart(self) -> None:
        """Forget what is linked: everything is matched again."""
        self.users, self.groups, self.members = {}, {}, {}

    # Requests

    def _request(
        self, method: str, path: str, body: Any = None, **parameters: str
    ) -> tuple[int, Any]:
        self.sent.append((method, path, body))
        return self.send(method, path, parameters, body)

    def _write(self, method: str, path: str, body: Any, *expected: int) -> Any:
        status, answer = self._request(method, path, body)
        if status not in expected:
            self.failures.append(f"{method} {path}: {status} {(answer or {}).get('detail')}")
            return None
        return answer or {}

    def _probe(self, endpoint: str, attribute: str) -> None:
        nobody = f'{attribute} eq "{uuid.uuid4()}"'
        status, answer = self._request("GET", f"/{endpoint}", filter=nobody)
        if status != 200 or answer.get("totalResults") != 0:
            raise Quarantine(f"{endpoint}: {status} {answer}")

    def _delete(self, path: str) -> None:
        self._write("DELETE", path, None, 204, 404)

    def _patch(self, path: str, operations: list[dict[str, Any]]) -> bool:
        body = {"schemas": [PATCH_OP], "Operations": operations}
        return self._write("PATCH", path, body, 200, 204) is not None

    def _found(
        self, endpoint: str, id: str | None, matching: dict[str, str], **parameters: str
    ) -> tuple[bool, Any]:
        """Whether an object can go on, and the resource that it is linked to or matches."""
        if id is not None:
            status, answer = self._request("GET", f"/{endpoint}/{id}", **parameters)
            if status != 200:
                self.failures.append(f"InvalidAnchor {endpoint}/{id}: {status}")
            return status == 200, answer
        for attribute, value in matching.items():
            filter = f"{attribute} eq {json.dumps(value)}"
            status, answer = self._request("GET", f"/{endpoint}", filter=filter, **parameters)
            found = answer.get("Resources", []) if status == 200 else []
            if status != 200 or len(found) > 1:
                self.failures.append(f"DuplicateTargetEntries {filter}: {status} {len(found)}")
                return False, None
            if found:
                return True, found[0]
        return True, None

    # Users

    def _wanted(self, person: Person) -> dict[str, Any]:
        values = {**person.values, "objectId": person.object_id}
        values["fullName"] = " ".join(
            values[part] for part in ("givenName", "surname") if part in values
        )
        # Nothing is sent for what is empty in the source.
        wanted: dict[str, Any] = {
            path: values[source] for path, source in MAPPING.items() if values.get(source)
        }
        wanted["active"] = person.enabled
        if self.with_roles and person.role:
            wanted[ROLE] = person.role
        return wanted

    def _provision(self, name: str, person: Person) -> None:
        wanted = self._wanted(person)
        matching = {"userName": wanted["userName"], "externalId": wanted["externalId"]}
        goes_on, current = self._found("Users", self.users.get(name), matching)
        if not goes_on:
            return
        if current is None:
            if person.enabled:  # who is disabled at first sight is not created
                made = self._write("POST", "/Users", _user(wanted), 201)
                if made:
                    self.users[name] = made["id"]
            return
        self.users[name] = current["id"]
        differing = list(_differing(wanted, current))
        if differing:
            self._patch(f"/Users/{current['id']}", self._rendered(differing))

    def _refer(self, name: str, person: Person) -> None:
        if name not in self.users:
            return
        wanted = self.users.get(person.manager or "")
        path = f"/Users/{self.users[name]}"
        status, current = self._request("GET", path)
        found = value_at(current, f"{MANAGER}.value") if status == 200 else None
        if wanted is not None and wanted != found:
            op = "Replace" if found else "Add"
            self._patch(path, self._rendered([(op, MANAGER, wanted)]))
        elif wanted is None and found and person.manager is None:
            self._patch(path, [{"op": self._op("Remove"), "path": MANAGER}])

    # Groups

    def _provision_group(self, name: str, team: Team) -> None:
        wanted = {"displayName": team.name, "externalId": team.object_id}
        matching = {"displayName": team.name}
        goes_on, current = self._found(
            "Groups", self.groups.get(name), matching, excludedAttributes="members"
        )
        if not goes_on:
            return
        if current is None:
            body = {"schemas": [CORE_GROUP], **wanted, "members": []}
            made = self._write("POST", "/Groups", body, 201)
            if made:
                self.groups[name] = made["id"]
            return
        if "members" in current:
            self.failures.append(f"MultipleEntriesInResponse Groups/{current['id']}")
            return
        self.groups[name] = current["id"]
        differing = list(_differing(wanted, current))
        if differing:
            self._patch(f"/Groups/{current['id']}", self._rendered(differing))

    def _send_members(self, name: str, team: Team) -> None:
        if name not in self.groups:
            return
        linked = {**self.groups, **self.users}
        wanted = {linked[member] for member in team.members if member in linked}
        # Who was deleted is nobody's member any more, and nothing is sent about it.
        had = self.members.get(name, set()) & set(linked.values())
        path = f"/Groups/{self.groups[name]}"
        for op, ids in (("Add", sorted(wanted - had)), ("Remove", sorted(had - wanted))):
            if ids and not self._patch(path, self._member_operations(op, ids)):
                return
        self.members[name] = wanted

    def _member_operations(self, op: str, ids: list[str]) -> list[dict[str, Any]]:
        if self.dialect == "legacy":
            value = [{"$ref": None, "value": id} for id in ids]
            return [{"op": op, "path": "members", "value": value}]
        if op == "Add":
            return [{"op": "add", "path": "members", "value": [{"value": id} for id in ids]}]
        return [{"op": "remove", "path": f'members[value eq "{id}"]'} for id in ids]

    # The dialects (ENTRA.md §4.2)

    def _op(self, op: str) -> str:
        return op if self.dialect == "legacy" else op.lower()

    def _rendered(self, differing: list[tuple[str, str, Any]]) -> list[dict[str, Any]]:
        operations: list[dict[str, Any]] = []
        together: dict[str, dict[str, Any]] = {}
        for op, path, value in differing:
            if path == ROLE:
                operations.append(
                    {"op": self._op("Add"), "path": "roles", "value": [self._role(value)]}
                )
            elif self.dialect == "legacy":
                text = str(value) if isinstance(value, bool) else value
                operations.append({"op": op, "path": path, "value": text})
            elif "[" in path:
                operations.append({"op": op.lower(), "path": path, "value": value})
            else:
                together.setdefault(op.lower(), {})[path] = value
        return [*operations, *({"op": op, "value": value} for op, value in together.items())]

    def _role(self, value: str) -> dict[str, Any]:
        """§4.4: without the flag, a PATCH has JSON within a text."""
        if self.dialect == "legacy":
            packed = {"id": str(uuid.uuid5(uuid.NAMESPACE_OID, value)), "value": value}
            return {"value": json.dumps({**packed, "displayName": value.title()})}
        return _role(value)


def _role(value: str) -> dict[str, Any]:
    return {"primary": True, "type": ROLE_TYPE, "value": value, "display": value.title()}


def _differing(wanted: dict[str, Any], current: Any) -> Iterator[tuple[str, str, Any]]:
    """``Add`` for what the server does not show, ``Replace`` for what it shows otherwise."""
    for path, value in wanted.items():
        found = value_at(current, path)
        if found in (None, ""):
            yield "Add", path, value
        elif found != value or isinstance(found, bool) is not isinstance(value, bool):
            yield "Replace", path, value


def _user(wanted: dict[str, Any]) -> dict[str, Any]:
    """The body of a POST."""
    body: dict[str, Any] = {
        "schemas": [CORE_USER, ENTERPRISE],
        "meta": {"resourceType": "User"},
        "roles": [],
    }
    for path, value in wanted.items():
        urn, name, _, is_, sub = _parts(path)
        if path == ROLE:
            body["roles"] = [_role(value)]
        elif is_ is not None:
            elements = body.setdefault(name, [])
            element = next((e for e in elements if e["type"] == is_), None)
            if element is None:
                element = {"type": is_, "primary": True} if name == "emails" else {"type": is_}
                elements.append(element)
            element[sub] = value
        elif sub is not None:
            body.setdefault(name, {})[sub] = value
        else:
            (body.setdefault(urn, {}) if urn else body)[name] = value
    return body


_PATH = re.compile(
    r'(?:(urn:.+):)?(\w+)(?:\[(\w+) eq "([^"]*)"\])?(?:\.(\w+))?',
)


def _parts(path: str) -> tuple[Any, ...]:
    match = _PATH.fullmatch(path)
    assert match is not None, path
    return match.groups()


def value_at(resource: Any, path: str) -> Any:
    """What a resource shows at a target attribute of the mapping."""
    urn, name, key, is_, sub = _parts(path)
    found = (resource.get(urn, {}) if urn else resource).get(name)
    if key is not None:
        matching = (e for e in found or [] if str(e.get(key)).lower() == is_.lower())
        found = next(matching, None)
    return found.get(sub) if sub and isinstance(found, dict) else None if sub else found
