"""The extension's own tables, declared on the host's ``db.Model``."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, declared_attr, mapped_column

#: How long a token that was generated and not saved can still be saved.
DRAFT_LIFETIME = timedelta(minutes=60)


def now() -> datetime:
    """The present, aware and in UTC."""
    return datetime.now(UTC)


class UTCDateTime(sa.types.TypeDecorator[datetime]):
    """An aware time, also on databases that forget the zone (SQLite)."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    # Alembic writes a type into a host's migration as its module and its repr, and imports
    # nothing. In the database this is a plain DateTime, so a migration shall say just that.
    __module__ = "sqlalchemy.types"

    def __repr__(self) -> str:
        return "DateTime(timezone=True)"

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class TokenState(StrEnum):
    """Where a token stands; read off its timestamps, so that nothing can disagree."""

    DRAFT = "draft"
    ACTIVE = "active"
    #: Active, and a newer one is to replace it. Only :func:`.tokens.states` knows of the others.
    RETIRING = "retiring"
    EXPIRED = "expired"
    REVOKED = "revoked"


class CredentialKind(StrEnum):
    """What opens an account's SCIM: its API Token, or a federated credential."""

    TOKEN = "token"  # noqa: S105, the name of a kind
    FEDERATED = "federated"


class CredentialMixin:
    """What every credential of an account has."""

    account_id: Any

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    name: Mapped[str] = mapped_column(sa.String(80), default="")
    #: 6 hexadecimal characters that name the credential on the page and in the log; a
    #: token's are the first of its hash.
    fingerprint: Mapped[str] = mapped_column(sa.String(6))
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    created_by: Mapped[str] = mapped_column(sa.String(255), default="")
    first_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    last_used_ip: Mapped[str | None] = mapped_column(sa.String(45))
    #: When the log last said that an access token was issued for it.
    last_issued_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    @property
    def called(self) -> str:
        """The credential's name and fingerprint, as the log has it."""
        return f"{self.name} ({self.fingerprint})" if self.name else self.fingerprint


def state_at(
    at: datetime,
    *,
    created_at: datetime,
    activated_at: datetime | None,
    expires_at: datetime | None,
    revoked_at: datetime | None,
) -> TokenState:
    """The state of a credential at the time ``at``. A draft too old to save is expired."""
    if revoked_at is not None:
        return TokenState.REVOKED
    if activated_at is None:
        return TokenState.DRAFT if at < created_at + DRAFT_LIFETIME else TokenState.EXPIRED
    if expires_at is not None and at >= expires_at:
        return TokenState.EXPIRED
    return TokenState.ACTIVE


class TokenMixin(CredentialMixin):
    """A bearer token of one account. The text itself is never stored."""

    #: SHA-256 of the text, hexadecimal: the look-up key. 256 random bits need no slow hash.
    hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    activated_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    @property
    def draft_expires_at(self) -> datetime:
        """Until when a draft can be saved."""
        return self.created_at + DRAFT_LIFETIME

    def state(self, at: datetime) -> TokenState:
        """The token's state at the time ``at``; see :func:`state_at`."""
        return state_at(
            at,
            created_at=self.created_at,
            activated_at=self.activated_at,
            expires_at=self.expires_at,
            revoked_at=self.revoked_at,
        )


class FederatedCredentialMixin(CredentialMixin):
    """A workload identity of a Microsoft directory that provisions one account without a
    secret: Microsoft signs for it (RFC 7523 §2.2).
    """

    cloud: Mapped[str] = mapped_column(sa.String(32))
    tenant_id: Mapped[str] = mapped_column(sa.String(36))
    #: The object id that stands in the assertion's ``sub``.
    subject: Mapped[str] = mapped_column(sa.String(36))
    #: ``api://`` and the id of the application that the assertion is made for.
    audience: Mapped[str] = mapped_column(sa.String(255))

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[Any, ...]:
        # An assertion says these three things of itself, and they must lead to one account.
        is_trusted = sa.text("revoked_at IS NULL")
        return (
            sa.Index(
                None,
                "tenant_id",
                "subject",
                "audience",
                unique=True,
                sqlite_where=is_trusted,
                postgresql_where=is_trusted,
            ),
        )

    def state(self, at: datetime) -> TokenState:
        """Active until it is revoked; it has no end of its own."""
        return TokenState.ACTIVE if self.revoked_at is None else TokenState.REVOKED


class ProviderState(StrEnum):
    """Settings that serve, and settings that wait for their test, side by side."""

    IN_FORCE = "in_force"
    PENDING = "pending"


class Mode(StrEnum):
    """How people of an account sign in."""

    OFF = "off"
    #: A button beside the password.
    BUTTON = "button"
    REDIRECT = "redirect"
    #: No password opens the account but those of its break-glass owners.
    REQUIRE = "require"


def mode_at(
    mode: str, trial_ends_at: datetime | None, mode_after_trial: str | None, at: datetime
) -> Mode:
    """How people sign in at the time ``at``: a trial that nobody kept is over by itself."""
    if trial_ends_at is not None and at >= trial_ends_at:
        return Mode(mode_after_trial or Mode.REDIRECT)
    return Mode(mode)


def new_public_id() -> str:
    """A random name for an account in its sign-on address."""
    return secrets.token_urlsafe(12)


class IdentityProviderMixin:
    """The Microsoft directory of one account: one row in force, one pending at most."""

    account_id: Any

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    #: Stands in the sign-on address; the same in both rows, so that the address stays.
    public_id: Mapped[str] = mapped_column(sa.String(32))
    state: Mapped[str] = mapped_column(sa.String(16))
    cloud: Mapped[str] = mapped_column(sa.String(32))
    tenant_id: Mapped[str] = mapped_column(sa.String(36))
    mode: Mapped[str] = mapped_column(sa.String(16))
    #: Raised by every change: a sign-in that began under other settings is refused.
    version: Mapped[int] = mapped_column(sa.Integer)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    updated_by: Mapped[str] = mapped_column(sa.String(255), default="")
    #: The account's own registration at Microsoft; ``None`` for the host's.
    client_id: Mapped[str | None] = mapped_column(sa.String(36))
    #: Encrypted; see :mod:`.vault`.
    client_secret: Mapped[str | None] = mapped_column(sa.Text)
    secret_expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: Of :data:`.warnings.STEPS`, the last that was told about this secret.
    secret_warned_days: Mapped[int | None] = mapped_column(sa.SmallInteger)
    #: Whether guests of the directory may sign in.
    allows_guests: Mapped[bool] = mapped_column(default=True)
    #: Whether somebody without an object id may be found once by user name.
    links_by_user_name: Mapped[bool] = mapped_column(default=False)
    #: After how many hours a session that came from Microsoft ends, whatever happens in it.
    session_hours: Mapped[int] = mapped_column(sa.SmallInteger, default=12)
    #: When a test sign-in passed with exactly these settings, and whose it was.
    tested_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    tested_by: Mapped[str | None] = mapped_column(sa.String(255))
    #: Until when *Require* is on trial, and what follows if nobody keeps it; ``None`` for a
    #: mode that is no trial.
    trial_ends_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    mode_after_trial: Mapped[str | None] = mapped_column(sa.String(16))
    #: Since when Microsoft is required, through every change of the settings.
    required_since: Mapped[datetime | None] = mapped_column(UTCDateTime)

    def mode_at(self, at: datetime) -> Mode:
        """How people sign in at the time ``at``; see :func:`mode_at`."""
        return mode_at(self.mode, self.trial_ends_at, self.mode_after_trial, at)

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[Any, ...]:
        return (
            sa.UniqueConstraint("account_id", "state"),
            sa.UniqueConstraint("public_id", "state"),
        )


class UserLinkMixin:
    """What an account knows of a host user beside the host: whether its SCIM has written
    them, who they are at Microsoft, and which of their sessions are over."""

    account_id: Any
    user_id: Any

    #: When SCIM wrote the user for the first time; ``None`` for one that it never has.
    provisioned_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: The person at Microsoft: a directory and an object id in it, both or neither.
    tenant_id: Mapped[str | None] = mapped_column(sa.String(36))
    oid: Mapped[str | None] = mapped_column(sa.String(36))
    linked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: Sessions that began under a smaller number are over.
    session_epoch: Mapped[int] = mapped_column(sa.Integer, default=0)

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[Any, ...]:
        return (
            sa.UniqueConstraint("account_id", "tenant_id", "oid"),
            # How many SCIM has written, and who came last.
            sa.Index("ix_scim_user_provisioned", "account_id", "provisioned_at"),
        )


class BreakGlassMixin:
    """Somebody who keeps the password when an account requires Microsoft."""

    account_id: Any
    user_id: Any

    named_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    named_by: Mapped[str] = mapped_column(sa.String(255), default="")


class AccountStateMixin:
    """What the extension knows of an account as a whole. Without a row, nothing yet."""

    account_id: Any

    #: Sessions that began under a smaller number are over.
    session_epoch: Mapped[int] = mapped_column(sa.Integer, default=0)
    #: Since when, and by whom, provisioning is paused: SCIM answers 503.
    paused_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    paused_by: Mapped[str | None] = mapped_column(sa.String(255))
    #: Since when the mass-deactivation brake refuses; ``None`` while it does not.
    braked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: Until when an admin has released it, and who.
    released_until: Mapped[datetime | None] = mapped_column(UTCDateTime)
    released_by: Mapped[str | None] = mapped_column(sa.String(255))
    #: How many provisioned users the account had, and when they were counted: what the
    #: brake's percentage is of.
    users_counted: Mapped[int | None] = mapped_column(sa.Integer)
    users_counted_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class WarningMixin:
    """A warning that was told, so that it is told once. The row goes when its cause does."""

    account_id: Any

    #: What is warned about, as ``token_expiring``; the list is :class:`.warnings.Kind`.
    kind: Mapped[str] = mapped_column(sa.String(30), primary_key=True)
    #: What it is about, and how urgent: a token's fingerprint and days, for example.
    about: Mapped[str] = mapped_column(sa.String(80), default="")
    told_at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)


class GroupVersionMixin:
    """How often the members of a host's group have changed: a group's entity tag must not
    cost a read of its members. A group whose members never changed has no row."""

    group_id: Any

    version: Mapped[int] = mapped_column(sa.Integer)


class LogKind(StrEnum):
    """What an entry of the log is, roughly: what the page filters by, and what is counted."""

    #: A user was written through SCIM.
    USER = "user"
    #: A user was deactivated or deleted through SCIM; what the brake counts.
    USER_LEFT = "user_left"
    #: A group was written through SCIM.
    GROUP = "group"
    #: A request of a provisioning client was refused.
    ERROR = "error"
    #: Somebody came in through Microsoft, or with a break-glass password.
    SIGN_IN = "sign_in"
    #: Somebody did not.
    SIGN_IN_ERROR = "sign_in_error"
    #: Somebody, or the time, changed what holds for the account.
    SETTING = "setting"


class LogEntryMixin:
    """One thing that happened to an account: a SCIM write, a refusal, a setting."""

    account_id: Any

    id: Mapped[int] = mapped_column(
        sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True
    )
    at: Mapped[datetime] = mapped_column(UTCDateTime, default=now)
    #: What happened, as ``user.updated``; the list is :class:`.log.Event`.
    event: Mapped[str] = mapped_column(sa.String(40))
    kind: Mapped[str] = mapped_column(sa.String(15), default=LogKind.SETTING)
    #: Who did it: a token by name and fingerprint, or a person.
    actor: Mapped[str] = mapped_column(sa.String(255), default="")
    #: The fingerprint of the token or workload identity, where one did it.
    fingerprint: Mapped[str | None] = mapped_column(sa.String(6))
    method: Mapped[str | None] = mapped_column(sa.String(10))
    #: Below the provisioning URL; what a filter compares with is left out.
    address: Mapped[str | None] = mapped_column(sa.String(500))
    resource_type: Mapped[str | None] = mapped_column(sa.String(20))
    resource_id: Mapped[str | None] = mapped_column(sa.String(255))
    #: Who has the value already that only one may have. What was to be created has no id: then
    #: ``resource_id`` is theirs as well, so that the entry is found by it.
    holder_id: Mapped[str | None] = mapped_column(sa.String(255))
    status: Mapped[int | None] = mapped_column(sa.SmallInteger)
    scim_type: Mapped[str | None] = mapped_column(sa.String(20))
    #: Why it was refused, where that needs telling: a word of :class:`.Reason`, or of
    #: :class:`.SignInReason`.
    reason: Mapped[str | None] = mapped_column(sa.String(40))
    detail: Mapped[str | None] = mapped_column(sa.Text)
    #: Of the HTTP request, as its answer's ``X-Request-Id`` has it.
    request_id: Mapped[str | None] = mapped_column(sa.String(36))
    #: What Microsoft Entra calls the same request (its header ``ADSCIMVersion``).
    correlation_id: Mapped[str | None] = mapped_column(sa.String(255))
    #: How many milliseconds the request took up to here.
    duration: Mapped[int | None] = mapped_column(sa.Integer)
    #: Names of the attributes that were written.
    paths: Mapped[list[str]] = mapped_column(sa.JSON, default=list)
    #: Names of the attributes that were sent and that this host does not keep.
    ignored: Mapped[list[str]] = mapped_column(sa.JSON, default=list)
    #: Before and after by name of the attribute, as ``H5MAG_SCIM_LOG_VALUES`` lets them be
    #: seen; empty where values are switched off.
    changes: Mapped[dict[str, list[Any]]] = mapped_column(sa.JSON, default=dict)
    #: The body of the request, the same way.
    body: Mapped[str | None] = mapped_column(sa.Text)

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[Any, ...]:
        # The newest first, whatever is looked for: all of it, one kind, one resource, or one
        # credential.
        return (
            sa.Index("ix_scim_log_at", "account_id", "at", "id"),
            sa.Index("ix_scim_log_kind", "account_id", "kind", "at", "id"),
            sa.Index("ix_scim_log_resource", "account_id", "resource_id", "at", "id"),
            sa.Index("ix_scim_log_fingerprint", "account_id", "fingerprint", "at", "id"),
        )


@dataclass(frozen=True)
class Records:
    """The extension's models on one host's ``db``, and the host's model of an account."""

    account: type[Any]
    Token: type[TokenMixin]
    FederatedCredential: type[FederatedCredentialMixin]
    IdentityProvider: type[IdentityProviderMixin]
    UserLink: type[UserLinkMixin]
    BreakGlass: type[BreakGlassMixin]
    AccountState: type[AccountStateMixin]
    Warning: type[WarningMixin]
    GroupVersion: type[GroupVersionMixin]
    LogEntry: type[LogEntryMixin]

    @cached_property
    def token_by_hash(self) -> sa.Select[Any]:
        """A token by its hash, as :meth:`credential` has it: built once, because rebuilding it
        for each request would cost more than the query."""
        return self.credential(CredentialKind.TOKEN).where(
            self.Token.hash == sa.bindparam("scim_token_hash")
        )

    @cached_property
    def credential_by_id(self) -> Mapping[CredentialKind, sa.Select[Any]]:
        """A credential by its id, as :meth:`credential` has it, for each kind; built once like
        :attr:`token_by_hash`."""
        return {
            kind: self.credential(kind).where(model.id == sa.bindparam("scim_credential_id"))
            for kind, model in self.credentials.items()
        }

    def credential(self, kind: CredentialKind) -> sa.Select[Any]:
        """Credentials of a kind with all that decides whether they open their account now:
        what :func:`.tokens.verified` reads.

        Columns rather than an entity, which every request would have to build; the account is
        one, for the host's own questions about it.
        """
        model: Any = self.credentials[kind]
        AccountState = self.AccountState
        is_token = kind is CredentialKind.TOKEN
        return (
            self.with_account(model)
            .outerjoin(AccountState, AccountState.account_id == model.account_id)
            .with_only_columns(
                self.account,
                AccountState.paused_at,
                AccountState.paused_by,
                model.id,
                model.name,
                model.fingerprint,
                model.last_used_at,
                model.created_at,
                # Trust is good as soon as it is there, and has no end of its own.
                model.activated_at if is_token else model.created_at,
                model.expires_at if is_token else sa.null(),
                model.revoked_at,
                maintain_column_froms=True,
            )
        )

    @cached_property
    def credentials(self) -> Mapping[CredentialKind, type[TokenMixin | FederatedCredentialMixin]]:
        """The model of each kind of credential."""
        return {
            CredentialKind.TOKEN: self.Token,
            CredentialKind.FEDERATED: self.FederatedCredential,
        }

    @cached_property
    def standing(self) -> sa.Select[Any]:
        """What bears on one user's sessions, by the keys of the account and the user; built
        once like :attr:`token_by_hash`, because it is asked for with every request."""
        Provider, BreakGlass = self.IdentityProvider, self.BreakGlass
        UserLink, AccountState = self.UserLink, self.AccountState
        account = single_key(self.account)
        user_id: Any = sa.bindparam("scim_user")
        return (
            sa.select(
                AccountState.session_epoch.label("account_epoch"),
                UserLink.session_epoch.label("user_epoch"),
                BreakGlass.user_id.label("break_glass_id"),
                Provider.mode,
                Provider.trial_ends_at,
                Provider.mode_after_trial,
                Provider.required_since,
                Provider.session_hours,
            )
            .select_from(self.account)
            .outerjoin(AccountState, AccountState.account_id == account)
            .outerjoin(
                Provider,
                sa.and_(Provider.account_id == account, Provider.state == ProviderState.IN_FORCE),
            )
            .outerjoin(
                UserLink, sa.and_(UserLink.account_id == account, UserLink.user_id == user_id)
            )
            .outerjoin(
                BreakGlass,
                sa.and_(BreakGlass.account_id == account, BreakGlass.user_id == user_id),
            )
            .where(account == sa.bindparam("scim_account"))
        )

    def with_account(self, model: type[Any]) -> sa.Select[Any]:
        """Rows of ``model``, each beside the account that it belongs to."""
        key = single_key(self.account)
        return sa.select(model, self.account).join(self.account, key == model.account_id)


def single_key(model: type[Any]) -> sa.Column[Any]:
    """The one primary key column of ``model``.

    :raises TypeError: when the key has several columns.
    """
    mapper: Any = sa.inspect(model)
    if len(mapper.primary_key) != 1:
        raise TypeError(
            f"{model.__name__} has a primary key of several columns; flask_h5mag_scim needs "
            "one, because a SCIM id is one text."
        )
    column: sa.Column[Any] = mapper.primary_key[0]
    return column


def declare(db: Any, *, account: type[Any], user: type[Any], group: type[Any]) -> Records:
    """Declare the tables on ``db.Model``, their keys typed after the host's.

    :raises RuntimeError: when they are declared on this ``db`` already.
    """
    account_key, user_key, group_key = map(single_key, (account, user, group))
    shared = {"__module__": __name__}
    # Also one that the host's models inherit.
    if (bind_key := getattr(account, "__bind_key__", None)) is not None:
        shared["__bind_key__"] = bind_key
    tables = account_key.table.metadata.tables.values()
    if any(table.name == "scim_token" for table in tables):
        raise RuntimeError(
            "H5magSCIM was already created for this db. Create it once, at import, and "
            "register that instance on every application."
        )

    def of_account(**options: Any) -> Any:
        return mapped_column(sa.ForeignKey(account_key, ondelete="CASCADE"), **options)

    def of_user() -> dict[str, Any]:
        return {
            "account_id": of_account(primary_key=True),
            "user_id": mapped_column(
                sa.ForeignKey(user_key, ondelete="CASCADE"), primary_key=True, index=True
            ),
        }

    def model(name: str, table: str, mixin: type[Any], **columns: Any) -> Any:
        namespace = {**shared, "__tablename__": table, **columns}
        return type(name, (mixin, db.Model), namespace)

    return Records(
        account=account,
        Token=model("SCIMToken", "scim_token", TokenMixin, account_id=of_account(index=True)),
        FederatedCredential=model(
            "SCIMFederatedCredential",
            "scim_federated_credential",
            FederatedCredentialMixin,
            account_id=of_account(index=True),
        ),
        IdentityProvider=model(
            "SCIMIdentityProvider",
            "scim_identity_provider",
            IdentityProviderMixin,
            account_id=of_account(),
        ),
        UserLink=model("SCIMUser", "scim_user", UserLinkMixin, **of_user()),
        BreakGlass=model("SCIMBreakGlass", "scim_break_glass", BreakGlassMixin, **of_user()),
        AccountState=model(
            "SCIMAccount",
            "scim_account",
            AccountStateMixin,
            account_id=of_account(primary_key=True),
        ),
        Warning=model(
            "SCIMWarning", "scim_warning", WarningMixin, account_id=of_account(primary_key=True)
        ),
        GroupVersion=model(
            "SCIMGroup",
            "scim_group",
            GroupVersionMixin,
            group_id=mapped_column(sa.ForeignKey(group_key, ondelete="CASCADE"), primary_key=True),
        ),
        LogEntry=model("SCIMLogEntry", "scim_log", LogEntryMixin, account_id=of_account()),
    )
