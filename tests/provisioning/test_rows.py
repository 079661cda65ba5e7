"""Rows of the host's models, without the session's readers."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session, with_loader_criteria

from example_app.models import User, db
from flask_h5mag_scim.provisioning.rows import fetch

from ..conftest import Entra, error_of, get_account

NAMES = sa.select(User.username.label("name"), User.active.label("active")).where(
    User.username.like(sa.bindparam("like"))
)


@pytest.fixture
def hiding(app: Flask) -> Any:
    """A host whose session leaves out who is called "gone"."""

    def hide(asked: Any) -> None:
        if asked.is_select:
            asked.statement = asked.statement.options(
                with_loader_criteria(User, User.username != "gone@example.com")
            )

    sa.event.listen(db.session, "do_orm_execute", hide)
    yield
    sa.event.remove(db.session, "do_orm_execute", hide)


def test_what_the_host_hides_in_its_session_stays_hidden(entra: Entra, hiding: Any) -> None:
    """A host may leave out what is deleted softly wherever its session is asked."""
    gone, there = entra.user("gone"), entra.user("there")
    entra.group(members=[{"value": there["id"]}])
    error_of(entra.get(f"/Users/{gone['id']}"), 404)
    assert entra.get(f"/Users/{there['id']}").status_code == 200
    assert entra.find('userName eq "gone@example.com"') == []
    assert all(one["userName"] != "gone@example.com" for one in entra.ask()["Resources"])


def test_what_a_statement_leaves_out_is_left_out(app: Flask, entra: Entra) -> None:
    """A host's own select() may carry criteria as options."""
    entra.user("ada")
    entra.user("adam")
    without = NAMES.options(with_loader_criteria(User, User.username != "ada@example.com"))
    with app.app_context():
        found = fetch(db.session, User, without, {"like": "ada%"})
        assert [row.name for row in found] == ["adam@example.com"]


def test_rows_are_the_sessions(app: Flask, entra: Entra) -> None:
    """The same values under the same names, and what is not flushed yet is found as well."""
    entra.user("ada")
    with app.app_context():
        account = get_account()
        db.session.add(User(username="adam", account_id=account.id))
        rows = fetch(db.session, User, NAMES, {"like": "ada%"}).all()
        assert {row.name for row in rows} == {"ada@example.com", "adam"}
        assert {row.active for row in rows} == {True}
        assert set(rows) == set(db.session.execute(NAMES, {"like": "ada%"}))
        db.session.rollback()


def test_what_a_session_says_of_all_its_statements_is_heard(app: Flask) -> None:
    """A host may tell its session of which schema an account's tables are, for example."""
    said: list[Any] = []

    def note(conn: Any, statement: Any, many: Any, one: Any, options: Any) -> None:
        said.append(options.get("whose"))

    with app.app_context():
        sa.event.listen(db.engine, "before_execute", note)
        with Session(db.engine, execution_options={"whose": "acme"}) as session:
            fetch(session, User, NAMES, {"like": "%"}).all()
        sa.event.remove(db.engine, "before_execute", note)
    assert said == ["acme"]
