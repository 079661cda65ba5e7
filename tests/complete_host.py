"""A host with everything that is optional: groups in groups, a manager, times, and a column
that keeps the rest. Users and teams have keys of the types that a test wants."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_h5mag_scim import (
    ENTERPRISE_USER,
    GroupResource,
    H5magSCIM,
    Membership,
    Nesting,
    UserResource,
)
from flask_h5mag_scim.records import tokens


def now() -> datetime:
    return datetime.now(UTC)


class Host:
    """The models and the extension on them."""

    def __init__(self, user_key: type[uuid.UUID | int], team_key: type[uuid.UUID | int]) -> None:
        self.db = db = SQLAlchemy(model_class=type("Base", (DeclarativeBase,), {}))

        class Account(db.Model):
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str]

        class User(db.Model):
            __table_args__ = (
                sa.Index("uq_user_name", "account_id", sa.func.lower(sa.text("name")), unique=True),
                sa.UniqueConstraint("account_id", "external_id"),
                # An id that was somebody's is never anybody else's.
                {"sqlite_autoincrement": user_key is int},
            )

            id: Mapped[Any] = mapped_column(*_key(user_key), **_made(user_key))
            account_id: Mapped[int] = mapped_column(sa.ForeignKey("account.id"))
            name: Mapped[str]
            external_id: Mapped[str | None]
            active: Mapped[bool] = mapped_column(default=True)
            display: Mapped[str | None]
            email: Mapped[str | None]
            first_name: Mapped[str | None]
            last_name: Mapped[str | None]
            full_name: Mapped[str | None]
            #: Whatever a directory calls somebody's manager: no key of anything.
            manager: Mapped[str | None]
            rest: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)
            created_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True), default=now)
            updated_at: Mapped[datetime] = mapped_column(
                sa.DateTime(timezone=True), default=now, onupdate=now
            )

        class Team(db.Model):
            __table_args__ = (
                sa.Index("uq_team_name", "account_id", sa.func.lower(sa.text("name")), unique=True),
                {"sqlite_autoincrement": team_key is int},
            )

            id: Mapped[Any] = mapped_column(*_key(team_key), **_made(team_key))
            account_id: Mapped[int] = mapped_column(sa.ForeignKey("account.id"))
            name: Mapped[str]
            external_id: Mapped[str | None]
            rest: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)
            created_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True), default=now)
            updated_at: Mapped[datetime] = mapped_column(
                sa.DateTime(timezone=True), default=now, onupdate=now
            )

        class TeamMember(db.Model):
            team_id: Mapped[Any] = mapped_column(sa.ForeignKey("team.id"), primary_key=True)
            user_id: Mapped[Any] = mapped_column(sa.ForeignKey("user.id"), primary_key=True)

        class TeamInTeam(db.Model):
            team_id: Mapped[Any] = mapped_column(sa.ForeignKey("team.id"), primary_key=True)
            member_id: Mapped[Any] = mapped_column(sa.ForeignKey("team.id"), primary_key=True)

        self.Account, self.User, self.Team = Account, User, Team
        self.TeamMember, self.TeamInTeam = TeamMember, TeamInTeam
        times = {"meta.created": "created_at", "meta.lastModified": "updated_at", "*": "rest"}
        self.scim = H5magSCIM(
            db,
            account=Account,
            user=UserResource(
                User,
                account="account_id",
                attributes={
                    "externalId": "external_id",
                    "userName": "name",
                    "active": "active",
                    "displayName": "display",
                    'emails[type eq "work"].value': "email",
                    "name.givenName": "first_name",
                    "name.familyName": "last_name",
                    "name.formatted": "full_name",
                    f"{ENTERPRISE_USER}:manager.value": "manager",
                    **times,
                },
            ),
            group=GroupResource(
                Team,
                account="account_id",
                attributes={"externalId": "external_id", "displayName": "name", **times},
                members=Membership(TeamMember, group="team_id", user="user_id"),
                nested=Nesting(TeamInTeam, group="team_id", member="member_id"),
            ),
            current_account=lambda: None,
            find_account=lambda text: db.session.scalar(sa.select(Account).filter_by(name=text)),
            can_manage=lambda user, account: False,
            is_licensed=lambda account: True,
        )

    @contextmanager
    def app(self, database_url: str) -> Iterator[Flask]:
        """An application on an empty database, with its tables."""
        app = Flask("complete_host")
        app.config.update(
            TESTING=True,
            SECRET_KEY="complete",
            SQLALCHEMY_DATABASE_URI=database_url,
            H5MAG_SCIM_PUBLIC_URL="https://complete.example",
        )
        self.db.init_app(app)
        app.register_blueprint(self.scim.blueprint)
        with app.app_context():
            sa.event.listen(self.db.engine, "connect", _with_foreign_keys)
            self.db.create_all()
        yield app
        with app.app_context():
            self.db.session.remove()
            self.db.engine.dispose()

    def make_token(self, app: Flask, name: str) -> str:
        """A token of a new account."""
        with app.app_context():
            account = self.Account(name=name)
            self.db.session.add(account)
            self.db.session.flush()
            session, records = self.db.session, self.scim.records
            token, text = tokens.issue(session, records, account.id, created_by="test")
            tokens.activate(session, records, token, name="test", expires_at=None)
            session.commit()
            return text


def _key(kind: type) -> tuple[Any, ...]:
    return (sa.Integer if kind is int else sa.Uuid(),)


def _made(kind: type) -> dict[str, Any]:
    return {"primary_key": True} | ({} if kind is int else {"default": uuid.uuid4})


def _with_foreign_keys(connection: Any, record: Any) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA foreign_keys = ON")


#: Ids of users and teams look different, and their columns have different types.
complete = Host(uuid.UUID, int)
#: A user and a team may have one id.
numbered = Host(int, int)
