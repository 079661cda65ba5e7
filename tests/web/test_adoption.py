"""Users that the host had before provisioning, and users that it protects."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from example_app.models import Account, User, db
from example_app.provisioning import scim
from flask_h5mag_scim.records import break_glass
from flask_h5mag_scim.records.log import Event

from ..conftest import Entra, both_databases, error_of, get_account


@pytest.fixture
def grace(app: Flask) -> str:
    """Somebody who came by hand; her id."""
    with app.app_context():
        account = get_account()
        user = User(account_id=account.id, username="grace@acme.example", role="editor")
        db.session.add(user)
        db.session.commit()
        return str(user.id)


@pytest.fixture
def keep_for_oneself(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """The host lets provisioning have nobody; whom it was asked about."""
    asked: list[Any] = []

    def refuse(user: User, account: Account) -> bool:
        asked.append((user.username, account.slug))
        return False

    monkeypatch.setattr(scim, "can_adopt", refuse)
    return asked


def events(app: Flask, id: str) -> list[str]:
    with app.app_context():
        Entry = scim.LogEntry
        found = sa.select(Entry.event).where(Entry.resource_id == id).order_by(Entry.id)
        return list(db.session.scalars(found))


def is_linked(app: Flask, id: str) -> bool:
    with app.app_context():
        links = db.session.scalars(sa.select(scim.UserLink.user_id))
        return id in map(str, links)


@both_databases
def test_a_user_of_the_host_is_found_and_linked_and_not_made_twice(
    app: Flask, entra: Entra, grace: str
) -> None:
    """As Entra does it: the matching query, a read, and a PATCH of what differs."""
    assert entra.find('userName eq "GRACE@acme.example"') == [grace]
    assert entra.get(f"/Users/{grace}").get_json()["userName"] == "grace@acme.example"
    assert not is_linked(app, grace)
    operation = {"op": "Add", "path": "externalId", "value": "8f14e45f"}
    assert entra.patch(f"/Users/{grace}", operation).status_code == 200
    assert is_linked(app, grace)
    assert events(app, grace) == [Event.USER_ADOPTED, Event.USER_UPDATED]
    entra.patch(f"/Users/{grace}", {"op": "Add", "path": "title", "value": "Admiral"})
    assert events(app, grace) == [Event.USER_ADOPTED, Event.USER_UPDATED, Event.USER_UPDATED]
    assert entra.find('userName eq "grace@acme.example"') == [grace]
    error_of(entra.post("/Users", {"userName": "Grace@ACME.example"}), 409, "uniqueness")


@both_databases
def test_a_write_that_changes_nothing_links_and_says_so(
    app: Flask, entra: Entra, grace: str
) -> None:
    """Who was taken over is in the log, also where nothing had to be changed."""
    same = {"op": "replace", "path": "userName", "value": "grace@acme.example"}
    assert entra.patch(f"/Users/{grace}", same).status_code == 200
    assert is_linked(app, grace)
    assert events(app, grace) == [Event.USER_ADOPTED]


@both_databases
@pytest.mark.parametrize("verb", ["PUT", "PATCH", "DELETE"])
def test_whom_the_host_keeps_for_itself_is_visible_and_is_not_written(
    app: Flask, entra: Entra, grace: str, keep_for_oneself: list[Any], verb: str
) -> None:
    """403 with a sentence, in the log, nothing changed, and still found by every query."""
    before = entra.get(f"/Users/{grace}").get_json()
    body: Any = None
    if verb == "PUT":
        body = {"userName": "grace@acme.example", "title": "taken over"}
    elif verb == "PATCH":
        body = {"Operations": [{"op": "replace", "path": "active", "value": False}]}
    detail = error_of(entra.send(verb, f"/Users/{grace}", body), 403)
    assert "before provisioning" in detail
    assert keep_for_oneself == [("grace@acme.example", "acme")]
    assert entra.get(f"/Users/{grace}").get_json() == before
    assert entra.find('userName eq "grace@acme.example"') == [grace]
    assert not is_linked(app, grace)
    assert events(app, grace) == [Event.REFUSED]


@both_databases
def test_who_came_through_scim_is_not_asked_about(
    entra: Entra, keep_for_oneself: list[Any]
) -> None:
    """can_adopt is about the host's own people, at the first write."""
    user = entra.user("ada")
    assert (
        entra.patch(
            f"/Users/{user['id']}", {"op": "replace", "path": "active", "value": False}
        ).status_code
        == 200
    )
    assert entra.delete(f"/Users/{user['id']}").status_code == 204
    assert keep_for_oneself == []


@both_databases
def test_a_protected_user_is_neither_deactivated_nor_deleted(
    app: Flask, entra: Entra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """403 with a sentence; reading and every other change go on, and the question is about
    the person as they were before the request."""
    user = entra.user("ada", title="captain")
    address = f"/Users/{user['id']}"
    monkeypatch.setattr(scim, "is_protected", lambda user: user.username == "ada@example.com")
    before = entra.get(address).get_json()
    off = {"op": "replace", "path": "active", "value": False}
    renamed = {"op": "replace", "path": "userName", "value": "bo@example.com"}
    for answer in (
        entra.patch(address, off),
        entra.patch(address, renamed, off),
        entra.put(address, {**before, "active": False}),
        entra.delete(address),
    ):
        assert "protects" in error_of(answer, 403)
    assert entra.get(address).get_json() == before
    assert events(app, user["id"])[1:] == [Event.REFUSED] * 4
    title = {"op": "replace", "path": "title", "value": "admiral"}
    assert entra.patch(address, title).get_json()["title"] == "admiral"
    monkeypatch.setattr(scim, "is_protected", lambda user: False)
    assert entra.patch(address, off).get_json()["active"] is False
    monkeypatch.setattr(scim, "is_protected", lambda user: True)
    assert entra.patch(address, title).status_code == 200
    on = {"op": "replace", "path": "active", "value": True}
    assert entra.patch(address, on).get_json()["active"] is True


@both_databases
@pytest.mark.parametrize("verb", ["PUT", "PATCH", "DELETE"])
def test_a_break_glass_owner_is_not_taken_over(
    app: Flask, entra: Entra, grace: str, verb: str
) -> None:
    """Otherwise whoever provisions could close the way in that is left without Microsoft."""
    with app.app_context():
        user = db.session.get_one(User, uuid.UUID(grace))
        break_glass.name(db.session, scim.records, user.account_id, [user.id], by="test")
        db.session.commit()
    body: Any = None
    if verb == "PUT":
        body = {"userName": "grace@acme.example", "active": False}
    elif verb == "PATCH":
        body = {"Operations": [{"op": "replace", "path": "active", "value": False}]}
    assert "break-glass" in error_of(entra.send(verb, f"/Users/{grace}", body), 403)
    assert entra.get(f"/Users/{grace}").get_json()["active"] is True
    assert not is_linked(app, grace)
