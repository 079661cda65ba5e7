"""H5mag's tables: accounts, the people and teams in them, magazines and their editions."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from flask_login import UserMixin
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from werkzeug.security import check_password_hash, generate_password_hash


class Base(DeclarativeBase):
    """Common ancestor of the models."""


db = SQLAlchemy(model_class=Base)

if TYPE_CHECKING:
    # Flask-SQLAlchemy makes db.Model at run time, where a type checker cannot follow.
    Model = Base
else:
    Model = db.Model

#: Owners are made with the contract.
OWNER = "owner"
#: What a manager, or Microsoft Entra, can make of somebody; the most powerful first.
ASSIGNABLE_ROLES = ("admin", "editor", "reader")
#: Who looks after an account.
MANAGERS = (OWNER, "admin")
PLANS = ("enterprise", "professional")


def now() -> datetime:
    """The present, aware and in UTC."""
    return datetime.now(UTC)


class Account(Model):
    """A customer of H5mag: the tenant of everything below."""

    __tablename__ = "account"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    slug: Mapped[str] = mapped_column(sa.String(40), unique=True)
    name: Mapped[str]
    plan: Mapped[str] = mapped_column(sa.String(20), default="professional")


class User(UserMixin, Model):  # type: ignore[misc]  # Flask-Login has no types
    """A person in one account, who came by hand or through SCIM."""

    __tablename__ = "user"
    __table_args__ = (
        sa.Index("uq_user_username", "account_id", sa.func.lower(sa.text("username")), unique=True),
        sa.UniqueConstraint("account_id", "external_id", name="uq_user_external_id"),
        # With the key at its end, so that SQLite needs no sorting and does not prefer the
        # index that is sorted by it.
        sa.Index("ix_user_email", "account_id", sa.func.lower(sa.text("email")), "id"),
        sa.Index("ix_user_account", "account_id", "id"),
        # The sign-in form does not know the account yet.
        sa.Index("ix_user_login_username", sa.func.lower(sa.text("username"))),
        sa.Index("ix_user_login_email", sa.func.lower(sa.text("email"))),
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
    external_id: Mapped[str | None]
    scim_extra: Mapped[dict[str, Any]] = mapped_column(sa.JSON, default=dict)
    role: Mapped[str] = mapped_column(sa.String(20), default="reader")
    #: How magazines sign what the person wrote. H5mag's own: no directory knows it.
    byline: Mapped[str | None]
    password_hash: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True), default=now)
    updated_at: Mapped[datetime] = mapped_column(
        sa.DateTime(timezone=True), default=now, onupdate=now
    )
    deactivated_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))

    account: Mapped[Account] = relationship()

    @hybrid_property
    def active(self) -> bool:
        """Whether the person may use H5mag at all."""
        return self.deactivated_at is None

    @active.inplace.setter
    def _set_active(self, active: bool) -> None:
        if active != self.active:
            self.deactivated_at = None if active else now()

    @active.inplace.expression
    @classmethod
    def _active_expression(cls) -> sa.ColumnElement[bool]:
        return cls.deactivated_at.is_(None)

    @property
    def is_active(self) -> bool:
        """Flask-Login's word for it: an inactive person is not signed in."""
        return self.active

    @property
    def is_manager(self) -> bool:
        """Whether the person looks after the account: its people, plan and provisioning."""
        return self.role in MANAGERS

    @property
    def can_write(self) -> bool:
        """Whether the person makes magazines, rather than only reading them."""
        return self.role != "reader"

    @property
    def label(self) -> str:
        """What the pages call this person."""
        return self.display_name or self.full_name or self.email or self.username

    @property
    def address(self) -> str:
        """The e-mail address, or the user name of somebody who has none."""
        return self.email or self.username

    def set_password(self, password: str) -> None:
        """Store a salted scrypt hash of ``password``."""
        self.password_hash = generate_password_hash(password)


def check_password(password_hash: str | None, password: str) -> bool:
    """Whether ``password`` fits; ``None``, nobody's hash, takes as long to say no."""
    matches = check_password_hash(password_hash or _NOBODYS_HASH, password)
    return matches and password_hash is not None


_NOBODYS_HASH = generate_password_hash(uuid.uuid4().hex)


class RecoveryCode(Model):
    """One code of a person that opens one sign-in; see :mod:`.recovery`."""

    __tablename__ = "recovery_code"

    user_id: Mapped[uuid.UUID] = mapped_column(
        sa.ForeignKey("user.id", ondelete="CASCADE"), primary_key=True
    )
    #: SHA-256, hexadecimal.
    digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)


class Team(Model):
    """People who work on the same magazines; a SCIM group."""

    __tablename__ = "team"
    __table_args__ = (
        sa.Index("uq_team_name", "account_id", sa.func.lower(sa.text("name")), unique=True),
        sa.Index("ix_team_external_id", "account_id", "external_id", "id"),
        sa.Index("ix_team_account", "account_id", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    account_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("account.id"))
    name: Mapped[str]
    external_id: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True), default=now)
    updated_at: Mapped[datetime] = mapped_column(
        sa.DateTime(timezone=True), default=now, onupdate=now
    )


class TeamMember(Model):
    """One person in one team. Teams can be large, so nothing loads them as a collection."""

    __tablename__ = "team_member"
    __table_args__ = (sa.Index("ix_team_member_user", "user_id", "team_id"),)

    team_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("team.id"), primary_key=True)
    user_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("user.id"), primary_key=True)
    joined_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True), default=now)


class Magazine(Model):
    """A digital magazine. Somebody owns it: a person's deletion hands it on."""

    __tablename__ = "magazine"
    __table_args__ = (sa.Index("ix_magazine_account", "account_id", "title"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    account_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("account.id"))
    title: Mapped[str]
    owner_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("user.id"), index=True)


class Edition(Model):
    """One issue of a magazine: a draft, or published."""

    __tablename__ = "edition"
    __table_args__ = (sa.Index("ix_edition_magazine", "magazine_id", "published_at"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    magazine_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("magazine.id"))
    title: Mapped[str]
    state: Mapped[str] = mapped_column(sa.String(20), default="draft")
    published_at: Mapped[datetime | None] = mapped_column(sa.DateTime(timezone=True))
