"""The models that the README's integration is written for."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from flask_login import UserMixin
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from werkzeug.security import check_password_hash


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


def now() -> datetime:
    return datetime.now(UTC)


class Account(db.Model):
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    name: Mapped[str]
    plan: Mapped[str] = mapped_column(default="starter")


class User(UserMixin, db.Model):
    __table_args__ = (
        sa.Index("uq_user_username", "account_id", sa.func.lower(sa.text("username")), unique=True),
        sa.UniqueConstraint("account_id", "external_id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    account_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("account.id"))
    username: Mapped[str]
    email: Mapped[str | None]
    display_name: Mapped[str | None]
    full_name: Mapped[str | None]
    first_name: Mapped[str | None]
    last_name: Mapped[str | None]
    language: Mapped[str | None]
    locale: Mapped[str | None]
    timezone: Mapped[str | None]
    user_type: Mapped[str | None]
    password_hash: Mapped[str | None]
    external_id: Mapped[str | None]
    scim_extra: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)
    role: Mapped[str] = mapped_column(default="reader")
    created_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True), default=now)
    updated_at: Mapped[datetime] = mapped_column(
        sa.DateTime(timezone=True), default=now, onupdate=now
    )
    deactivated_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))

    account: Mapped[Account] = relationship()

    def check_password(self, password: str) -> bool:
        return self.password_hash is not None and check_password_hash(self.password_hash, password)

    @hybrid_property
    def active(self) -> bool:
        return self.deactivated_at is None

    @active.inplace.setter
    def _set_active(self, active: bool) -> None:
        self.deactivated_at = None if active else now()

    @active.inplace.expression
    @classmethod
    def _active_expression(cls) -> sa.ColumnElement[bool]:
        return cls.deactivated_at.is_(None)


class Team(db.Model):
    __table_args__ = (
        sa.Index("uq_team_name", "account_id", sa.func.lower(sa.text("name")), unique=True),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    account_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("account.id"))
    name: Mapped[str]
    external_id: Mapped[str | None]


class TeamMember(db.Model):
    team_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("team.id"), primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("user.id"), primary_key=True)
    joined_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True), default=now)
