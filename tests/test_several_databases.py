"""A host that keeps its accounts in a database of their own (``__bind_key__``)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_login import LoginManager, UserMixin
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_h5mag_scim import GroupResource, H5magSCIM, Membership, UserResource

from .conftest import Entra, error_of


@pytest.fixture(params=[False, True], ids=["quiet", "listening"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Flask]:
    """The host, with one account; and once with a listener of its own in its session."""
    db = SQLAlchemy(model_class=type("Base", (DeclarativeBase,), {}))

    class Customer(db.Model):
        __bind_key__ = "customers"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Person(UserMixin, db.Model):
        __bind_key__ = "customers"
        id: Mapped[int] = mapped_column(primary_key=True)
        customer: Mapped[int]
        login: Mapped[str]
        directory_id: Mapped[str | None]
        active: Mapped[bool] = mapped_column(default=True)

    class Crew(db.Model):
        __bind_key__ = "customers"
        id: Mapped[int] = mapped_column(primary_key=True)
        customer: Mapped[int]
        label: Mapped[str]

    crew_person = db.Table(
        "crew_person",
        sa.Column("crew", sa.Integer, primary_key=True),
        sa.Column("person", sa.Integer, primary_key=True),
        bind_key="customers",
    )
    scim = H5magSCIM(
        db,
        account=Customer,
        user=UserResource(
            Person,
            account="customer",
            attributes={"userName": "login", "externalId": "directory_id", "active": "active"},
        ),
        group=GroupResource(
            Crew,
            account="customer",
            attributes={"displayName": "label"},
            members=Membership(crew_person, group="crew", user="person"),
        ),
        current_account=lambda: db.session.get(Customer, 1),
        find_account=lambda text: db.session.get(Customer, int(text)),
        can_manage=lambda user, account: True,
        is_licensed=lambda account: True,
    )
    app = Flask("host")
    app.config.update(
        TESTING=True,
        SECRET_KEY="x" * 32,
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'main.sqlite'}",
        SQLALCHEMY_BINDS={"customers": f"sqlite:///{tmp_path / 'customers.sqlite'}"},
    )
    db.init_app(app)
    LoginManager(app).request_loader(lambda request: db.session.get(Person, 1))
    app.register_blueprint(scim.blueprint)
    if request.param:
        sa.event.listen(db.session, "do_orm_execute", lambda asked: None)
    with app.app_context():
        db.create_all()
        db.session.add_all([Customer(id=1), Person(id=1, customer=1, login="owner")])
        db.session.commit()
    yield app
    with app.app_context():
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()


def shell(app: Flask, *words: Any) -> str:
    result = app.test_cli_runner().invoke(args=["scim", *words])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_everything_is_asked_where_the_accounts_are(app: Flask) -> None:
    """Requests, the page and the shell, also for what is no entity."""
    whose = ["--account", "1"]
    entra = Entra(app.test_client(), shell(app, "token", "create", *whose, "--name", "x").strip())
    ada = entra.user("ada")
    error_of(entra.post("/Users", {"userName": "ada@example.com"}), 409, "uniqueness")
    entra.group(members=[{"value": ada["id"]}])
    assert entra.find('userName eq "ada@example.com"') == [ada["id"]]
    page = app.test_client().get("/account/provisioning")
    assert "1 user, 1 group" in page.text
    assert "Connected" in page.text
    assert shell(app, "warn") == ""
    assert "person" in shell(app, "explain", 'userName eq "ada"')
    shell(app, "disconnect", *whose, "--deactivate", "--yes")
    shell(app, "log", "prune", "--dry-run")
