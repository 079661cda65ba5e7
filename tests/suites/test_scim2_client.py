"""scim2-client, which learns from the server itself what it can do, uses all of it: versions,
sorting, cursors, searches and bulk requests, with every message checked on both sides."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from scim2_client.engines.wsgi import WSGISCIMClient
from scim2_models import (
    BulkOperation,
    BulkRequest,
    PatchOp,
    PatchOperation,
    SCIMException,
    SearchRequest,
)

from ..conftest import PUBLIC_URL, both_databases, make_token

pytestmark = both_databases


@pytest.fixture
def scim(app: Flask) -> WSGISCIMClient:
    """A client that has discovered everything."""
    token = make_token(app, "acme")
    client = WSGISCIMClient(
        app, f"{PUBLIC_URL}/scim/v2", headers={"Authorization": f"Bearer {token}"}
    )
    client.discover()
    return client


def model(scim: WSGISCIMClient, name: str) -> Any:
    """The class that the client made of a published schema."""
    found = scim.get_resource_model(name)
    assert found is not None
    return found


def patched(kind: Any, path: str, value: Any) -> PatchOp[Any]:
    operation = PatchOperation(op=PatchOperation.Op.replace_, path=path, value=value)
    return PatchOp[kind](operations=[operation])


def test_what_is_advertised_is_what_is_there(scim: WSGISCIMClient) -> None:
    """The client would not use what the server does not advertise."""
    config = scim.provider.config
    assert config.patch.supported
    assert config.bulk.supported
    assert config.bulk.max_operations > 0
    assert config.filter.supported
    assert config.sort.supported
    assert config.etag.supported
    assert config.pagination.cursor
    assert not config.change_password.supported


def test_of_two_writers_the_second_has_to_read_again(scim: WSGISCIMClient) -> None:
    """The client sends the version that it read, and takes a 304 for what it has."""
    User = model(scim, "User")
    first = scim.create(User(user_name="ada@example.com", active=True))
    second = scim.query(User, first.id)
    assert first.meta.version == second.meta.version
    changed = scim.modify(first, patched(User, "displayName", "Ada"))
    assert changed.meta.version != second.meta.version
    with pytest.raises(SCIMException, match="has changed since it was read"):
        scim.modify(second, patched(User, "displayName", "Countess"))
    with pytest.raises(SCIMException, match="has changed since it was read"):
        scim.delete(second)
    assert scim.query(User, first.id).display_name == "Ada"
    scim.delete(scim.query(User, first.id))


def test_lists_are_sorted_and_followed(scim: WSGISCIMClient) -> None:
    """The pages of a cursor, in descending order, hold everybody once."""
    User = model(scim, "User")
    for letter in "bdac":
        scim.create(User(user_name=f"{letter}@example.com", active=True))
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        request = SearchRequest[User](
            filter='userName ew "@example.com"',
            sort_by="userName",
            sort_order=SearchRequest.SortOrder.descending,
            count=3,
            cursor=cursor,
        )
        page = scim.search(User, request)
        seen += [one.user_name[0] for one in page.resources]
        cursor = page.next_cursor
    assert seen == list("dcba")


def test_a_search_at_the_root_finds_both_types(scim: WSGISCIMClient) -> None:
    """Each answer is read with the schema that it names."""
    User, Group = model(scim, "User"), model(scim, "Group")
    scim.create(User(user_name="ada@example.com", display_name="Same", active=True))
    scim.create(Group(display_name="Same"))
    page = scim.search(search_request=SearchRequest(filter='displayName eq "same"'))
    assert {type(one) for one in page.resources} == {User, Group}


def test_a_bulk_request_makes_a_group_of_whom_it_makes(scim: WSGISCIMClient) -> None:
    """The member is named by its bulkId; what fails says so in its own answer."""
    User, Group = model(scim, "User"), model(scim, "Group")
    member = Group.get_field_root_type("members")
    request = BulkRequest[User | Group](
        operations=[
            BulkOperation[Group](
                method="POST",
                path="/Groups",
                bulk_id="g",
                data=Group(display_name="Editors", members=[member(value="bulkId:u")]),
            ),
            BulkOperation[User](
                method="POST",
                path="/Users",
                bulk_id="u",
                data=User(user_name="ada@example.com", active=True),
            ),
            BulkOperation[User](
                method="POST",
                path="/Users",
                bulk_id="twin",
                data=User(user_name="ADA@example.com", active=True),
            ),
        ]
    )
    done = {one.bulk_id: one for one in scim.bulk(request).operations}
    assert {name: one.status for name, one in done.items()} == {"g": 201, "u": 201, "twin": 409}
    assert done["twin"].response.scim_type == "uniqueness"
    group = scim.query(Group, done["g"].location.rpartition("/")[2])
    assert [one.value for one in group.members] == [done["u"].location.rpartition("/")[2]]
