"""Nothing crosses accounts: the token decides, and another account's ids do not exist."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Entra, both_databases, error_of

Parts = tuple[Entra, Entra, dict[str, Any], dict[str, Any]]


@pytest.fixture
def parts(entra: Entra, other_entra: Entra) -> Parts:
    """Two accounts; the second has a user and a group with that user in it."""
    user = other_entra.user("ada", displayName="Ada", title="Engineer")
    group = other_entra.group("Editors", members=[{"value": user["id"]}])
    user = other_entra.get(f"/Users/{user['id']}").get_json()
    return entra, other_entra, user, group


@both_databases
@pytest.mark.parametrize("endpoint", ["Users", "Groups"])
@pytest.mark.parametrize("verb", ["GET", "PUT", "PATCH", "DELETE"])
def test_another_accounts_id_is_a_404_on_every_route(
    parts: Parts, endpoint: str, verb: str
) -> None:
    """The answer is that of an id that was never there, and nothing changes over there."""
    entra, other, user, group = parts
    theirs = user if endpoint == "Users" else group
    body: Any = None
    if verb == "PATCH":
        body = {"Operations": [{"op": "replace", "path": "displayName", "value": "taken over"}]}
    elif verb == "PUT":
        body = {"userName": "x", "displayName": "taken over"}
    detail = error_of(entra.send(verb, f"/{endpoint}/{theirs['id']}", body), 404)
    assert detail.replace(theirs["id"], "") == error_of(
        entra.send(verb, f"/{endpoint}/00000000-0000-0000-0000-000000000000", body), 404
    ).replace("00000000-0000-0000-0000-000000000000", "")
    assert other.get(f"/{endpoint}/{theirs['id']}").get_json() == theirs


@both_databases
def test_another_accounts_people_are_in_no_list_and_no_search(parts: Parts) -> None:
    """Whatever the filter, only one's own are found."""
    entra, _, user, group = parts
    listed = entra.get("/Users").get_json()
    assert [found["userName"] for found in listed["Resources"]] == ["owner@acme.example"]
    for filter in (
        'userName eq "ada@example.com"',
        f'externalId eq "{user["externalId"]}"',
        f'id eq "{user["id"]}"',
        f'groups eq "{group["id"]}"',
        'not (userName eq "owner@acme.example")',
        'userName pr and displayName eq "Ada"',
    ):
        assert entra.find(filter) == []
    for filter in (f'members eq "{user["id"]}"', "displayName pr"):
        assert entra.find(filter, "Groups") == []


@both_databases
@pytest.mark.parametrize("op", ["add", "replace", "remove"])
def test_another_accounts_user_cannot_be_put_into_a_group(parts: Parts, op: str) -> None:
    """Neither by PATCH, PUT nor POST; removing a stranger removes nobody."""
    entra, other, user, group = parts
    own = entra.group("Mine")
    stranger = [{"value": user["id"]}]
    answer = entra.patch(f"/Groups/{own['id']}", {"op": op, "path": "members", "value": stranger})
    assert answer.status_code == (204 if op == "remove" else 400)
    error_of(
        entra.put(f"/Groups/{own['id']}", {"displayName": "M", "members": stranger}),
        400,
        "invalidValue",
    )
    error_of(entra.post("/Groups", {"displayName": "N", "members": stranger}), 400, "invalidValue")
    assert "members" not in entra.get(f"/Groups/{own['id']}").get_json()
    assert other.get(f"/Groups/{group['id']}").get_json()["members"][0]["value"] == user["id"]


@both_databases
def test_two_accounts_may_have_the_same_names(parts: Parts) -> None:
    """Uniqueness ends at the account's border."""
    entra, _, user, _ = parts
    twin = entra.user("ada", externalId=user["externalId"])
    entra.group("Editors", members=[{"value": twin["id"]}])
    assert entra.find('userName eq "ada@example.com"') == [twin["id"]]
