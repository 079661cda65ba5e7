"""A second host, as different from the example app as hosts are: whole numbers for keys,
people of two kinds in one table, a plain membership table, no e-mail, no name to show,
nothing that keeps the rest, times without a zone, and deletion that only marks."""

from __future__ import annotations

import enum
import sqlite3
import uuid
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, validates

from flask_h5mag_scim import (
    ENTERPRISE_USER,
    GroupResource,
    H5magSCIM,
    Membership,
    SCIMError,
    UserResource,
)
from flask_h5mag_scim.records import tokens


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


def now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


class Kind(enum.Enum):
    STAFF = "Employee"
    GUEST = "Contractor"


class Customer(db.Model):
    number: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]


class Person(db.Model):
    """Somebody or something that can sign in; a machine is no SCIM user."""

    __mapper_args__ = {"polymorphic_on": "species", "polymorphic_identity": "machine"}  # noqa: RUF012

    number: Mapped[int] = mapped_column("nr", primary_key=True)
    species: Mapped[str] = mapped_column(sa.String(10))
    customer: Mapped[int] = mapped_column(sa.ForeignKey("customer.number"))
    login: Mapped[str] = mapped_column(sa.String(60))


class Human(Person):
    __mapper_args__ = {"polymorphic_identity": "human"}  # noqa: RUF012

    enabled: Mapped[bool | None] = mapped_column(default=True)
    directory_id: Mapped[uuid.UUID | None]
    first: Mapped[str | None] = mapped_column(sa.String(20))
    kind: Mapped[Kind | None] = mapped_column(sa.Enum(Kind))
    desk: Mapped[int | None] = mapped_column(sa.SmallInteger)
    boss: Mapped[int | None] = mapped_column(sa.ForeignKey("person.nr"))
    born: Mapped[datetime | None] = mapped_column(sa.DateTime, default=now)
    touched: Mapped[datetime | None] = mapped_column(sa.DateTime, default=now, onupdate=now)
    gone: Mapped[datetime | None] = mapped_column(sa.DateTime)

    @validates("login")
    def _no_blanks(self, key: str, value: str) -> str:
        if " " in value:
            raise ValueError("no blanks")
        return value


sa.Index(
    "uq_person_login",
    Human.__table__.c.customer,
    sa.func.lower(Human.__table__.c.login),
    unique=True,
    sqlite_where=sa.text("gone IS NULL"),
    postgresql_where=sa.text("gone IS NULL"),
)


class Crew(db.Model):
    number: Mapped[int] = mapped_column(primary_key=True)
    customer: Mapped[int] = mapped_column(sa.ForeignKey("customer.number"))
    label: Mapped[str] = mapped_column(sa.String(40))
    code: Mapped[str | None] = mapped_column(sa.Text)
    changed: Mapped[datetime] = mapped_column(sa.DateTime, default=now)

    __table_args__ = (sa.UniqueConstraint("customer", "label"),)


crew_person = sa.Table(
    "crew_person",
    db.metadata,
    sa.Column("crew", sa.ForeignKey("crew.number"), primary_key=True),
    sa.Column("nr", sa.ForeignKey("person.nr"), primary_key=True, key="person"),
)


class Humans(UserResource):
    """People are marked as gone and never deleted."""

    def select(self, account_id: Any) -> sa.Select[Any]:
        # An order of the host's own is none of SCIM's business.
        found = super().select(account_id).where(Human.gone.is_(None))
        return found.order_by(Human.login.desc())

    def delete(self, session: Session, obj: Human) -> None:
        if obj.login == "captain":
            raise SCIMError("The captain stays on board.")
        self.group.members.forget_user(session, obj.number)
        obj.gone = now()


scim = H5magSCIM(
    db,
    account=Customer,
    user=Humans(
        Human,
        account="customer",
        attributes={
            "userName": "login",
            "active": "enabled",
            "externalId": "directory_id",
            "name.givenName": "first",
            "userType": "kind",
            f"{ENTERPRISE_USER}:employeeNumber": "desk",
            f"{ENTERPRISE_USER}:manager.value": "boss",
            "meta.created": "born",
            "meta.lastModified": "touched",
        },
    ),
    group=GroupResource(
        Crew,
        account="customer",
        # Under one name, people have a UUID and crews have a text.
        attributes={
            "displayName": "label",
            "externalId": "code",
            "meta.lastModified": "changed",
        },
        members=Membership(crew_person, group="crew", user="person"),
    ),
    current_account=lambda: None,
    find_account=lambda text: db.session.scalar(sa.select(Customer).filter_by(title=text)),
    can_manage=lambda user, account: False,
    is_licensed=lambda account: True,
)


def create_app(database_url: str) -> Flask:
    app = Flask("other_host")
    app.config.update(
        TESTING=True,
        SECRET_KEY="other",
        SQLALCHEMY_DATABASE_URI=database_url,
        H5MAG_SCIM_PUBLIC_URL="https://other.example",
    )
    db.init_app(app)
    app.register_blueprint(scim.blueprint)
    with app.app_context():
        sa.event.listen(db.engine, "connect", _with_foreign_keys)
    return app


def _with_foreign_keys(connection: Any, record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA foreign_keys = ON")


def make_token(customer: Customer) -> str:
    token, text = tokens.issue(db.session, scim.records, customer.number, created_by="test")
    tokens.activate(db.session, scim.records, token, name="test", expires_at=None)
    return text
