"""A directory's life through HTTP, beside a model of it that is a few dictionaries."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask import Flask
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from example_app.models import Team, TeamMember, User, db
from flask_h5mag_scim.protocol.schemas import CORE_GROUP, CORE_USER

from ..conftest import Entra, error_of
from .effort import examples

LOGINS = st.sampled_from(["ada", "Ada", "bo", "BO", "cy", "dee"])
TITLES = st.sampled_from(["Editors", "editors", "Readers", "Guests"])
WORDS = st.sampled_from(["x", "Y", "zz", "it's", "100%"])
#: What a PATCH and a PUT set here: in the host's columns, in a slot, and what "*" keeps.
ATTRIBUTES = {
    "displayName": "displayName",
    "nickName": "nickName",
    "name.givenName": "name.givenName",
    'emails[type eq "work"].value': "email",
    "externalId": "externalId",
}


class Directory(RuleBasedStateMachine):
    """Users and groups of one account; a second account looks on."""

    app: Flask
    entra: Entra
    other_entra: Entra

    users = Bundle("users")
    groups = Bundle("groups")

    def __init__(self) -> None:
        super().__init__()
        #: The model: by id, what was set of each.
        self.people: dict[str, dict[str, Any]] = {}
        self.teams: dict[str, dict[str, Any]] = {}
        with self.app.app_context():
            for statement in (
                sa.delete(TeamMember),
                sa.delete(Team),
                sa.delete(User).where(User.role != "owner"),
            ):
                db.session.execute(statement)
            db.session.commit()
        found = self.other_entra.get("/Users").get_json()["Resources"]
        assert len(found) == 1
        self.foreigner = self.other_entra.user("ada", displayName="Of another account")
        self.foreign_group = self.other_entra.group(
            "Editors", members=[{"value": self.foreigner["id"]}]
        )

    # What the model says

    def taken(self, key: str, value: Any, owner: str | None, among: dict[str, Any]) -> bool:
        folded = value.lower() if key != "externalId" else value
        return any(
            other[key] is not None
            and (other[key].lower() if key != "externalId" else other[key]) == folded
            for id, other in among.items()
            if id != owner
        )

    def expect(self, answer: Any, is_fine: bool, status: int, refused: int, kind: Any) -> bool:
        if is_fine:
            assert answer.status_code == status, answer.text
            return True
        error_of(answer, refused, kind)
        return False

    # Users

    @initialize(target=users)
    def first(self) -> Any:
        return self._created("first", "One", None, True)

    @rule(target=users, login=LOGINS, title=WORDS, external=st.none() | WORDS, active=st.booleans())
    def create_user(self, login: str, title: str, external: str | None, active: bool) -> Any:
        return self._created(login, title, external, active)

    def _created(self, login: str, title: str, external: str | None, active: bool) -> Any:
        body = {"schemas": [CORE_USER], "userName": login, "displayName": title, "active": active}
        answer = self.entra.post("/Users", {**body, "externalId": external})
        is_free = not self.taken("userName", login, None, self.people) and not (
            external and self.taken("externalId", external, None, self.people)
        )
        if not self.expect(answer, is_free, 201, 409, "uniqueness"):
            return multiple()
        id = answer.get_json()["id"]
        self.people[id] = {
            **dict.fromkeys(ATTRIBUTES.values()),
            "userName": login,
            "displayName": title,
            "externalId": external,
            "active": active,
        }
        return id

    @rule(id=users, login=LOGINS, title=st.none() | WORDS, email=st.none() | WORDS)
    def replace_user(self, id: str, login: str, title: str | None, email: str | None) -> None:
        body: dict[str, Any] = {"schemas": [CORE_USER], "userName": login}
        if title:
            body["displayName"] = title
        if email:
            body["emails"] = [{"type": "work", "value": email}]
        answer = self.entra.put(f"/Users/{id}", body)
        if id not in self.people:
            error_of(answer, 404)
            return
        is_free = not self.taken("userName", login, id, self.people)
        if self.expect(answer, is_free, 200, 409, "uniqueness"):
            kept = {name: self.people[id][name] for name in ("externalId", "active")}
            self.people[id] = {
                **dict.fromkeys(ATTRIBUTES.values()),
                "userName": login,
                "displayName": title,
                "email": email,
                **kept,
            }

    @rule(
        id=users,
        sets=st.dictionaries(st.sampled_from(sorted(ATTRIBUTES)), WORDS, min_size=1, max_size=3),
        op=st.sampled_from(["add", "Add", "replace", "Replace"]),
        spoils=st.sampled_from([None, None, None, "path", "value", "read-only", "op"]),
    )
    def patch_user(self, id: str, sets: dict[str, str], op: str, spoils: str | None) -> None:
        """Several attributes in one PATCH; sometimes its last operation is wrong."""
        operations = [{"op": op, "path": path, "value": value} for path, value in sets.items()]
        wrong = {
            "path": ({"op": "add", "path": "emails[", "value": "x"}, "invalidPath"),
            "value": ({"op": "add", "path": "active", "value": "perhaps"}, "invalidValue"),
            "read-only": ({"op": "replace", "path": "id", "value": "x"}, "mutability"),
            "op": ({"op": "move", "path": "title", "value": "x"}, "invalidSyntax"),
        }
        if spoils:
            operations.append(wrong[spoils][0])
        answer = self.entra.patch(f"/Users/{id}", *operations)
        if id not in self.people:
            assert answer.status_code in (400, 404), answer.text
            return
        if spoils:
            error_of(answer, 400, wrong[spoils][1])
            return
        external = sets.get("externalId")
        is_free = not (external and self.taken("externalId", external, id, self.people))
        if self.expect(answer, is_free, 200, 409, "uniqueness"):
            self.people[id] |= {ATTRIBUTES[path]: value for path, value in sets.items()}

    @rule(id=users, path=st.sampled_from(sorted({*ATTRIBUTES, "active", "userName"})))
    def remove_attribute(self, id: str, path: str) -> None:
        answer = self.entra.patch(f"/Users/{id}", {"op": "Remove", "path": path})
        if id not in self.people:
            error_of(answer, 404)
        elif path == "active":
            error_of(answer, 400, "invalidValue")
        elif path == "userName":
            error_of(answer, 400, "mutability")
        else:
            assert answer.status_code == 200, answer.text
            self.people[id][ATTRIBUTES[path]] = None

    @rule(id=users, login=LOGINS)
    def rename(self, id: str, login: str) -> None:
        answer = self.entra.patch(
            f"/Users/{id}", {"op": "Replace", "value": {"userName": login, "nickName": login}}
        )
        if id not in self.people:
            error_of(answer, 404)
            return
        is_free = not self.taken("userName", login, id, self.people)
        if self.expect(answer, is_free, 200, 409, "uniqueness"):
            self.people[id] |= {"userName": login, "nickName": login}

    @rule(id=users, active=st.sampled_from([True, False, "True", "False"]))
    def activate(self, id: str, active: Any) -> None:
        answer = self.entra.patch(
            f"/Users/{id}", {"op": "Replace", "path": "active", "value": active}
        )
        if id in self.people:
            assert answer.status_code == 200, answer.text
            self.people[id]["active"] = active in (True, "True")
        else:
            error_of(answer, 404)

    @rule(id=consumes(users), again=st.booleans(), target=users)
    def delete_user(self, id: str, again: bool) -> Any:
        """Sometimes the id is asked for again later, when it is nobody's."""
        answer = self.entra.delete(f"/Users/{id}")
        if self.people.pop(id, None) is None:
            error_of(answer, 404)
        else:
            assert answer.status_code == 204, answer.text
            for team in self.teams.values():
                team["members"].discard(id)
        return id if again else multiple()

    # Groups

    @rule(target=groups, title=TITLES, members=st.lists(users, max_size=3))
    def create_group(self, title: str, members: list[str]) -> Any:
        body = {
            "schemas": [CORE_GROUP],
            "displayName": title,
            "members": [{"value": id} for id in members],
        }
        answer = self.entra.post("/Groups", body)
        if self.taken("displayName", title, None, self.teams):
            error_of(answer, 409, "uniqueness")
            return multiple()
        if not self.expect(answer, self.people.keys() >= set(members), 201, 400, "invalidValue"):
            return multiple()
        id = answer.get_json()["id"]
        self.teams[id] = {"displayName": title, "members": set(members)}
        return id

    @rule(id=groups, title=TITLES)
    def rename_group(self, id: str, title: str) -> None:
        answer = self.entra.patch(
            f"/Groups/{id}", {"op": "Replace", "path": "displayName", "value": title}
        )
        if id not in self.teams:
            error_of(answer, 404)
            return
        is_free = not self.taken("displayName", title, id, self.teams)
        if self.expect(answer, is_free, 204, 409, "uniqueness"):
            self.teams[id]["displayName"] = title

    @rule(
        id=groups,
        op=st.sampled_from(["Add", "Replace", "Remove", "remove by path"]),
        members=st.lists(users, min_size=1, max_size=3),
        foreign=st.sampled_from([False, False, False, True]),
    )
    def change_members(self, id: str, op: str, members: list[str], foreign: bool) -> None:
        """In every dialect; sometimes somebody of the other account is among them."""
        named = [*members, self.foreigner["id"]] if foreign else members
        if op == "remove by path":
            operations = [{"op": "Remove", "path": f'members[value eq "{m}"]'} for m in named]
        else:
            operations = [{"op": op, "path": "members", "value": [{"value": m} for m in named]}]
        answer = self.entra.patch(f"/Groups/{id}", *operations)
        if id not in self.teams:
            error_of(answer, 404)
            return
        is_removal = op in ("Remove", "remove by path")
        is_fine = is_removal or self.people.keys() >= set(named)
        if not self.expect(answer, is_fine, 204, 400, "invalidValue"):
            return
        kept = self.teams[id]["members"]
        if is_removal:
            kept.difference_update(named)
        elif op == "Add":
            kept.update(named)
        else:
            self.teams[id]["members"] = set(named)

    @rule(id=groups, title=TITLES, members=st.none() | st.lists(users, max_size=3))
    def replace_group(self, id: str, title: str, members: list[str] | None) -> None:
        body: dict[str, Any] = {"schemas": [CORE_GROUP], "displayName": title}
        if members is not None:
            body["members"] = [{"value": member} for member in members]
        answer = self.entra.put(f"/Groups/{id}", body)
        if id not in self.teams:
            error_of(answer, 404)
            return
        if self.taken("displayName", title, id, self.teams):
            error_of(answer, 409, "uniqueness")
            return
        is_fine = self.people.keys() >= set(members or ())
        if self.expect(answer, is_fine, 200, 400, "invalidValue"):
            self.teams[id]["displayName"] = title
            if members is not None:
                self.teams[id]["members"] = set(members)

    @rule(id=consumes(groups), again=st.booleans(), target=groups)
    def delete_group(self, id: str, again: bool) -> Any:
        answer = self.entra.delete(f"/Groups/{id}")
        if self.teams.pop(id, None) is None:
            error_of(answer, 404)
        else:
            assert answer.status_code == 204, answer.text
        return id if again else multiple()

    # The other account

    @rule(verb=st.sampled_from(["GET", "PUT", "PATCH", "DELETE"]), group=st.booleans())
    def reach_across(self, verb: str, group: bool) -> None:
        """Another account's ids are nobody's."""
        one = self.foreign_group if group else self.foreigner
        place = f"/{'Groups' if group else 'Users'}/{one['id']}"
        body: Any = {"schemas": one["schemas"], "displayName": "mine", "userName": "mine"}
        if verb == "PATCH":
            body = {"Operations": [{"op": "replace", "path": "displayName", "value": "mine"}]}
        error_of(self.entra.send(verb, place, None if verb in ("GET", "DELETE") else body), 404)

    # What always holds

    @invariant()
    def what_is_read_is_what_was_written(self) -> None:
        found = self.entra.get("/Users").get_json()
        read = {one["id"]: self._seen(one) for one in found["Resources"]}
        owner = next(id for id, one in read.items() if one["userName"] == "owner@acme.example")
        del read[owner]
        assert read == self.people
        assert found["totalResults"] == len(self.people) + 1
        groups = {
            one["id"]: [member["value"] for member in one.get("members", [])]
            for one in self.entra.get("/Groups").get_json()["Resources"]
        }
        assert {id: sorted(team["members"]) for id, team in self.teams.items()} == groups
        for one in found["Resources"]:
            seen = {group["value"] for group in one.get("groups", [])}
            assert seen == {id for id, team in self.teams.items() if one["id"] in team["members"]}

    @staticmethod
    def _seen(one: dict[str, Any]) -> dict[str, Any]:
        return {
            "userName": one["userName"],
            "displayName": one.get("displayName"),
            "nickName": one.get("nickName"),
            "externalId": one.get("externalId"),
            "active": one["active"],
            "email": one["emails"][0]["value"] if "emails" in one else None,
            "name.givenName": one.get("name", {}).get("givenName"),
        }

    @invariant()
    def names_are_unique(self) -> None:
        with self.app.app_context():
            for column, model in ((User.username, User), (Team.name, Team)):
                rows = db.session.execute(sa.select(model.account_id, sa.func.lower(column))).all()
                assert len(rows) == len(set(rows))

    @invariant()
    def members_live(self) -> None:
        with self.app.app_context():
            living = db.session.execute(sa.select(User.id, User.account_id)).all()
            groups = dict(db.session.execute(sa.select(Team.id, Team.account_id)).all())
            for row in db.session.scalars(sa.select(TeamMember)):
                assert (row.user_id, groups[row.team_id]) in living

    @rule(title=WORDS, active=st.booleans())
    def filters_count(self, title: str, active: bool) -> None:
        folded = title.lower()
        expected = {
            f'displayName eq "{title}"': {
                id
                for id, one in self.people.items()
                if one["displayName"] is not None and one["displayName"].lower() == folded
            },
            f'active eq {str(active).lower()} and not (userName sw "owner")': {
                id for id, one in self.people.items() if one["active"] is active
            },
        }
        for filter, ids in expected.items():
            found = self.entra.find(filter)
            assert len(found) == len(ids)
            assert set(found) == ids

    @rule(id=groups)
    def groups_are_found_by_member(self, id: str) -> None:
        expected = self.teams.get(id, {}).get("members", set())
        assert set(self.entra.find(f'groups.value eq "{id}"')) == expected

    def teardown(self) -> None:
        """The other account is as it was, to the letter."""
        found = self.other_entra.get(f"/Users/{self.foreigner['id']}").get_json()
        assert {**found, "groups": None} == {**self.foreigner, "groups": None}
        assert self.other_entra.get(f"/Groups/{self.foreign_group['id']}").get_json() == (
            self.foreign_group
        )
        assert len(self.other_entra.find("id pr")) == 2


def test_a_directory_stays_what_was_made_of_it(
    app: Flask, entra: Entra, other_entra: Entra
) -> None:
    """Users and groups come, change and go, rightly and wrongly: what is read is what a
    simple model says, and nothing is ever anybody else's."""
    machine = type(
        "Directory", (Directory,), {"app": app, "entra": entra, "other_entra": other_entra}
    )
    run_state_machine_as_test(machine, settings=examples(12, stateful_step_count=25))
