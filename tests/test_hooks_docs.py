"""docs/hooks.md tells the truth: its files run as they stand there, over HTTP, on SQLite and
PostgreSQL."""

from __future__ import annotations

import importlib
import logging
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask, render_template
from flask.testing import FlaskClient
from jinja2 import DictLoader

from flask_h5mag_scim.records import tokens

from .conftest import Entra, both_databases, error_of
from .documents import ROOT, blocks, write_files

HOOKS = (ROOT / "docs" / "hooks.md").read_text()

pytestmark = both_databases


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, ModuleType]]:
    """The document's files, imported by the names that they have there."""
    folder = tmp_path_factory.mktemp("hooks")
    names = sorted(name.removesuffix(".py") for name in write_files(HOOKS, folder))
    sys.path.insert(0, str(folder))
    try:
        yield {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(str(folder))
        for name in names:
            sys.modules.pop(name, None)


@dataclass
class Host:
    """An application of the document's, an account with an owner, and its SCIM client."""

    module: ModuleType
    app: Flask
    entra: Entra

    def add(self, name: str, **values: Any) -> None:
        """A row of one of the models."""
        with self.app.app_context():
            self.module.db.session.add(getattr(self.module, name)(**values))
            self.module.db.session.commit()

    def change(self, id: int, **values: Any) -> None:
        """A user's columns, by the application's own hand."""
        with self.app.app_context():
            User = self.module.User
            self.module.db.session.execute(sa.update(User).filter_by(id=id).values(**values))
            self.module.db.session.commit()

    def rows(self, name: str, *columns: str) -> list[tuple[Any, ...]]:
        """Columns of a model's rows, in the order of their keys."""
        model = getattr(self.module, name)
        with self.app.app_context():
            found = self.module.db.session.execute(
                sa.select(*(getattr(model, column) for column in columns)).order_by(
                    *sa.inspect(model).primary_key
                )
            )
            return [tuple(row) for row in found]


def start(module: ModuleType, database_url: str) -> Host:
    app = module.create_app(
        {
            "TESTING": True,
            "SECRET_KEY": "test",
            "SQLALCHEMY_DATABASE_URI": database_url,
            "H5MAG_SCIM_PUBLIC_URL": "https://host.example",
        }
    )
    db, scim = module.db, module.scim
    with app.app_context():
        db.create_all()
        account = module.Account(name="acme")
        db.session.add(account)
        db.session.flush()
        db.session.add(module.User(account_id=account.id, username="owner", is_owner=True))
        token, text = tokens.issue(db.session, scim.records, account.id, created_by="test")
        tokens.activate(db.session, scim.records, token, name="test", expires_at=None)
        db.session.commit()
    return Host(module, app, Entra(app.test_client(), text))


def stop(host: Host) -> None:
    with host.app.app_context():
        host.module.db.session.remove()
        host.module.db.engine.dispose()


@pytest.fixture
def hard(files: dict[str, ModuleType], database_url: str) -> Iterator[Host]:
    host = start(files["hard_delete"], database_url)
    yield host
    stop(host)


@pytest.fixture
def soft(files: dict[str, ModuleType], database_url: str) -> Iterator[Host]:
    host = start(files["soft_delete"], database_url)
    yield host
    stop(host)


OWNER = 1


# Deleting for good


def test_documents_are_handed_over_and_drafts_go(hard: Host) -> None:
    """What refers to a person goes first or to the owner, in the transaction of the DELETE."""
    ada = int(hard.entra.user("ada")["id"])
    hard.entra.group("Editors", members=[{"value": str(ada)}])
    hard.add("Document", owner_id=ada)
    hard.add("Draft", author_id=ada)
    assert hard.entra.delete(f"/Users/{ada}").status_code == 204
    error_of(hard.entra.get(f"/Users/{ada}"), 404)
    assert hard.rows("Document", "owner_id") == [(OWNER,)]
    assert hard.rows("Draft", "id") == hard.rows("TeamMember", "user_id") == []
    assert hard.rows("User", "id") == [(OWNER,)]


def test_what_nobody_thought_of_is_a_conflict_with_a_sentence(hard: Host) -> None:
    """The document has the sentence word for word, and nothing was handed over."""
    ada = int(hard.entra.user("ada")["id"])
    hard.entra.group("Editors", members=[{"value": str(ada)}])
    hard.add("Document", owner_id=ada)
    hard.add("Draft", author_id=ada)
    hard.add("Signature", user_id=ada)
    detail = error_of(hard.entra.delete(f"/Users/{ada}"), 409)
    assert f'*"{detail}"*' in re.sub(r"\s+", " ", HOOKS)
    assert hard.rows("Document", "owner_id") == [(ada,)]
    assert hard.rows("Draft", "author_id") == hard.rows("TeamMember", "user_id") == [(ada,)]
    assert hard.entra.get(f"/Users/{ada}").status_code == 200


def test_an_override_refuses_with_its_own_sentence_and_status(hard: Host) -> None:
    """A subclass of SCIMError has a status of its own; SCIMError itself is 400."""
    ada = int(hard.entra.user("ada")["id"])
    hard.change(OWNER, is_owner=False)
    hard.change(ada, is_owner=True)
    detail = error_of(hard.entra.delete(f"/Users/{ada}"), 409)
    assert detail == "Nobody could take over the documents. Make somebody else an owner."
    assert hard.rows("User", "id") == [(OWNER,), (ada,)]


def test_who_was_there_before_is_asked_about(hard: Host) -> None:
    """Owners can be read and not written, in the words of the callback, of which the log keeps
    no name; others are adopted."""
    path = f"/Users/{OWNER}"
    rename = {"op": "replace", "path": "userName", "value": "renamed"}
    sentence = "owner was an owner before provisioning and stays one. Unassign them."
    for answer in (
        hard.entra.patch(path, rename),
        hard.entra.put(path, {"userName": "renamed"}),
        hard.entra.delete(path),
    ):
        assert error_of(answer, 403) == sentence
    with hard.app.app_context():
        Entry = hard.module.scim.LogEntry
        logged = set(hard.module.db.session.scalars(sa.select(Entry.detail)))
    assert logged == {sentence.replace("owner", "…")}
    assert hard.entra.get(path).get_json()["userName"] == "owner"
    assert hard.entra.find('userName eq "owner"') == [str(OWNER)]
    hard.add("User", account_id=1, username="bo")
    assert hard.entra.patch("/Users/2", rename).get_json()["userName"] == "renamed"
    hard.change(2, is_owner=True)
    again = {**rename, "value": "renamed again"}
    assert hard.entra.patch("/Users/2", again).status_code == 200  # asked once, at the first


def test_who_is_protected_is_changed_but_does_not_leave(hard: Host) -> None:
    """Neither deactivated nor deleted, by any verb."""
    ada = int(hard.entra.user("ada")["id"])
    hard.change(ada, is_emergency=True)
    path = f"/Users/{ada}"
    for answer in (
        hard.entra.delete(path),
        hard.entra.patch(path, {"op": "replace", "path": "active", "value": False}),
        hard.entra.put(path, {"userName": "ada", "active": False}),
    ):
        assert "protects this User" in error_of(answer, 403)
    assert hard.rows("User", "username", "active")[1] == ("ada@example.com", True)
    rename = {"op": "replace", "path": "userName", "value": "renamed"}
    assert hard.entra.patch(path, rename).get_json()["userName"] == "renamed"
    hard.change(ada, is_emergency=False)
    assert hard.entra.delete(path).status_code == 204


def test_the_last_seat_is_the_last(hard: Host) -> None:
    """``new`` counts, refuses, and takes people again when a seat is free."""
    with hard.app.app_context():
        hard.module.db.session.execute(sa.update(hard.module.Account).values(seats=2))
        hard.module.db.session.commit()
    ada = hard.entra.user("ada")["id"]
    detail = error_of(hard.entra.post("/Users", {"userName": "bo", "active": True}), 400)
    assert detail == "All 2 seats are taken. Delete people or order more."
    assert hard.rows("User", "username") == [("owner",), ("ada@example.com",)]
    hard.entra.delete(f"/Users/{ada}")
    assert hard.entra.user("bo")["userName"] == "bo@example.com"


# Soft delete


def test_who_is_marked_is_gone_for_scim_and_stays_as_a_row(soft: Host) -> None:
    """404 for every verb, in no list, in no group."""
    ada = soft.entra.user("ada")["id"]
    group = soft.entra.group("Editors", members=[{"value": ada}])["id"]
    path = f"/Users/{ada}"
    assert soft.entra.delete(path).status_code == 204
    error_of(soft.entra.get(path), 404)
    error_of(soft.entra.delete(path), 404)
    error_of(soft.entra.put(path, {"userName": "ada"}), 404)
    error_of(soft.entra.patch(path, {"op": "replace", "path": "active", "value": True}), 404)
    assert soft.entra.find('userName eq "ada@example.com"') == []
    assert "members" not in soft.entra.get(f"/Groups/{group}").get_json()
    assert soft.rows("TeamMember", "user_id") == []
    add = {"op": "add", "path": "members", "value": [{"value": ada}]}
    error_of(soft.entra.patch(f"/Groups/{group}", add), 400, "invalidValue")
    [(_, owners), (id, marked)] = soft.rows("User", "id", "deleted_at")
    assert (str(id), owners) == (ada, None)
    assert marked is not None


def test_the_same_person_again_is_a_new_resource(soft: Host) -> None:
    """Name and external id are free again; among those who are here they stay unique."""
    names = {"externalId": "5c1d0a52-0001-4d7e-8a55-0b0b0b0b0b01"}
    first = soft.entra.user("ada", **names)["id"]
    group = soft.entra.group("Editors", members=[{"value": first}])["id"]
    soft.entra.delete(f"/Users/{first}")
    second = soft.entra.user("ada", **names)["id"]
    assert second != first
    assert soft.entra.find(f'externalId eq "{names["externalId"]}"') == [second]
    assert "members" not in soft.entra.get(f"/Groups/{group}").get_json()
    again = {"userName": "ADA@example.com", "active": True}
    error_of(soft.entra.post("/Users", again), 409, "uniqueness")
    soft.entra.delete(f"/Users/{second}")
    assert len(soft.rows("User", "id")) == 3


@pytest.mark.parametrize("column", ["username", "external_id"])
def test_the_indexes_themselves_compare_only_who_is_here(soft: Host, column: str) -> None:
    """Between two requests at the same moment the database decides."""
    values = {"account_id": 1, "username": "ada", "external_id": None}
    taken = {**values, "username": "bo", column: "x"}
    soft.add("User", **taken)
    with pytest.raises(sa.exc.IntegrityError):
        soft.add("User", **{**values, "username": "cy", column: "x"})
    soft.entra.delete("/Users/2")
    soft.add("User", **{**values, "username": "cy", column: "x"})


def test_a_deleted_persons_session_ends(soft: Host) -> None:
    """The user_loader turns them away at the next click, though ``active`` is still true."""
    ada = soft.entra.user("ada")["id"]
    browser = soft.app.test_client()
    with browser.session_transaction() as session:
        session["_user_id"] = ada
    assert browser.get("/").text == "Hello ada@example.com"
    soft.entra.delete(f"/Users/{ada}")
    assert browser.get("/").status_code == 401
    assert [active for (active,) in soft.rows("User", "active")] == [True, True]


def test_the_nightly_job_removes_who_left_a_month_ago(soft: Host) -> None:
    """Nothing of the extension's is in its way, and nobody else goes."""
    long_ago, lately = (soft.entra.user(name)["id"] for name in ("ada", "bo"))
    soft.entra.group("Editors", members=[{"value": long_ago}, {"value": lately}])
    for id in (long_ago, lately):
        soft.entra.delete(f"/Users/{id}")
    soft.change(int(long_ago), deleted_at=datetime.now(UTC) - timedelta(days=31))
    result = soft.app.test_cli_runner().invoke(args=["purge"])
    assert result.exit_code == 0, result.output
    assert soft.rows("User", "id") == [(OWNER,), (int(lately),)]


# Signals


def test_receivers_write_and_hear_of_who_is_gone(
    files: dict[str, ModuleType], hard: Host, caplog: pytest.LogCaptureFixture
) -> None:
    """The mail waits for a worker, once for each new person who is active."""
    receivers = files["receivers"]
    receivers.connect(hard.app)
    ada = hard.entra.user("ada")["id"]
    hard.entra.user("off", active=False)
    error_of(hard.entra.post("/Users", {"userName": "ADA@example.com"}), 409, "uniqueness")
    with hard.app.app_context():
        mails = hard.module.db.session.scalars(sa.select(receivers.Mail)).all()
        assert [(one.address, one.text) for one in mails] == [
            ("ada@example.com", "Welcome to acme.")
        ]
    caplog.set_level(logging.WARNING)
    caplog.clear()
    hard.entra.patch(f"/Users/{ada}", {"op": "replace", "path": "active", "value": False})
    hard.entra.delete(f"/Users/{ada}")
    heard = [one.getMessage() for one in caplog.records if one.getMessage().startswith("user ")]
    assert heard == [f"user {ada} of acme was deactivated", f"user {ada} of acme was deleted"]


# Forms of your own


@pytest.fixture
def form(files: dict[str, ModuleType], hard: Host) -> FlaskClient:
    """The owner's browser, and the document's forms."""
    templates = {
        re.match(r"\{# (\w+\.html) #\}", block)[1]: block  # type: ignore[index]
        for block in blocks(HOOKS, "jinja")
    }
    assert templates.keys() == {"name.html", "person.html"}
    hard.app.jinja_loader = DictLoader(templates)  # type: ignore[assignment]
    hard.app.register_blueprint(files["forms"].people)
    browser = hard.app.test_client()
    with browser.session_transaction() as session:
        session["_user_id"] = str(OWNER)
    return browser


def token(page: str) -> str:
    """Flask-WTF's own, of a form."""
    return page.split('name="csrf_token"')[1].split('value="')[1].split('"')[0]


def test_what_entra_manages_is_disabled_in_both_forms(hard: Host, form: FlaskClient) -> None:
    """With the reason tied to it; what is the application's own stays open."""
    key = hard.entra.user("ada")["id"]
    page = form.get(f"/people/{key}").text
    for name in ("username", "active"):
        [tag] = re.findall(rf'<input[^>]*name="{name}"[^>]*>', page)
        assert " disabled" in tag
        assert f'aria-describedby="scim-managed-{name}"' in tag
        assert f'id="scim-managed-{name}">Managed by Microsoft Entra ID</small>' in page
    [tag] = re.findall(r'<input[^>]*name="is_emergency"[^>]*>', page)
    assert " disabled" not in tag
    assert "disabled" not in form.get(f"/people/{OWNER}").text
    with hard.app.test_request_context("/"):
        for user in hard.module.db.session.scalars(sa.select(hard.module.User)):
            is_ada = str(user.id) == key
            assert (" disabled" in render_template("name.html", user=user)) is is_ada


def test_only_the_rest_is_stored(hard: Host, form: FlaskClient) -> None:
    """A box that is disabled is not unticked by the browser's silence."""
    key = hard.entra.user("ada")["id"]
    data = {"csrf_token": token(form.get(f"/people/{key}").text), "is_emergency": "y"}
    assert form.post(f"/people/{key}", data=data).status_code == 303
    assert hard.rows("User", "username", "active", "is_emergency")[1] == (
        "ada@example.com",
        True,
        True,
    )
    data = {"csrf_token": token(form.get(f"/people/{OWNER}").text), "username": "boss"}
    assert form.post(f"/people/{OWNER}", data=data).status_code == 303
    assert hard.rows("User", "username", "active")[0] == ("boss", False)


def test_what_is_sent_all_the_same_is_refused(hard: Host, form: FlaskClient) -> None:
    """By a form from before, or by hand, and nothing of it is stored."""
    key = hard.entra.user("ada")["id"]
    data = {
        "csrf_token": token(form.get(f"/people/{key}").text),
        "username": "eve",
        "is_emergency": "y",
    }
    answer = form.post(f"/people/{key}", data=data)
    assert answer.status_code == 400
    assert "This field is disabled" in answer.text
    assert 'value="eve"' not in answer.text
    answer = form.post(f"/people/{key}/name", data={"username": "eve"})
    assert answer.status_code == 400
    assert "Microsoft Entra ID manages username." in answer.text
    assert hard.rows("User", "username", "is_emergency")[1] == ("ada@example.com", False)
    assert form.post(f"/people/{OWNER}/name", data={"username": "boss"}).status_code == 303
    assert hard.rows("User", "username")[0] == ("boss",)
