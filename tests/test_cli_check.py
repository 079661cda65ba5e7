"""``flask scim check``: a host without a fault, and one for each fault."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from flask import Flask
from flask_login import LoginManager, UserMixin
from flask_sqlalchemy import SQLAlchemy
from jinja2 import DictLoader
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Session

from example_app.models import Account
from example_app.models import db as example_db
from example_app.provisioning import scim as example_scim
from flask_h5mag_scim import GroupResource, H5magSCIM, Membership, UserResource
from flask_h5mag_scim.records import providers, vault
from flask_h5mag_scim.records.models import now

from .conftest import both_databases

ROWS = {
    "userName": "login",
    "active": "enabled",
    "externalId": "oid",
    "displayName": "shown",
    'emails[type eq "work"].value': "mail",
    "preferredLanguage": "language",
    "name.givenName": "first",
    "name.familyName": "last",
    "name.formatted": "full",
    "locale": "locale",
    "timezone": "timezone",
    "userType": "kind",
    "meta.lastModified": "changed",
    "*": "rest",
}
KEY = base64.urlsafe_b64encode(bytes(32)).decode()
SETTINGS = {
    "SECRET_KEY": "0123456789abcdef0123456789abcdef",
    "H5MAG_SCIM_PUBLIC_URL": "https://app.example",
    "H5MAG_SCIM_ENCRYPTION_KEYS": [KEY],
    "H5MAG_SCIM_OIDC_CLIENT_ID": "3c1f6a34-7c7e-4a0a-9a1e-5b8a7f0c2d11",
    "H5MAG_SCIM_OIDC_CLIENT_SECRET": "the secret of the host",
    "SESSION_COOKIE_SECURE": True,
    "SESSION_COOKIE_SAMESITE": "Lax",
}


def text(length: int, **options: Any) -> sa.Column[Any]:
    return sa.Column(sa.String(length), **options)


def time(**options: Any) -> sa.Column[Any]:
    return sa.Column(sa.DateTime(timezone=True), default=lambda: datetime.now(UTC), **options)


@dataclass
class Host:
    """What a host is made of; a test changes one thing."""

    #: Columns of people in place of, or beside, the usual ones.
    columns: dict[str, Any] = field(default_factory=dict)
    rows: dict[str, str | None] = field(default_factory=dict)
    group_rows: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    #: Names of indexes that the models do not have.
    without: tuple[str, ...] = ()
    #: More of a table "thing", which refers to people.
    thing: Callable[[], list[sa.Column[Any]]] | None = None
    resource: Callable[..., UserResource] = UserResource
    #: Addresses that are the application's own.
    routes: tuple[str, ...] = ()
    #: Of Flask itself.
    options: dict[str, Any] = field(default_factory=dict)
    #: What happens to the database after it was made.
    migrate: str = ""
    templates: dict[str, str] = field(default_factory=dict)
    loader: str = "guarded"
    login: bool = True
    #: Flask-Login's.
    view: str | None = "login"
    scim: Any = None
    app: Any = None

    def make(self, url: str) -> Flask:
        class Base(DeclarativeBase):
            pass

        db = SQLAlchemy(model_class=Base)
        self.scim = scim = self._extension(db)
        app = Flask("host", **self.options)
        app.config.update({**SETTINGS, "SQLALCHEMY_DATABASE_URI": url, **self.settings})
        if self.templates:
            app.jinja_env.loader = DictLoader(self.templates)
        db.init_app(app)
        self._people(app, scim)
        for number, route in enumerate(self.routes):
            app.add_url_rule(route, f"own_{number}", lambda: "", methods=["GET", "POST"])
        app.register_blueprint(scim.blueprint)
        with app.app_context():
            if url.startswith("sqlite"):
                sa.event.listen(db.engine, "connect", _with_foreign_keys)
            db.create_all()
            for statement in filter(None, self.migrate.split(";")):
                db.session.execute(sa.text(statement))
            db.session.commit()
        self.app = app
        return app

    def _people(self, app: Flask, scim: H5magSCIM) -> None:
        if not self.loader:
            return
        manager = LoginManager(app)
        manager.login_view = self.view

        def guarded(user_id: str) -> Any:
            return scim.session_guard(None)

        def open_to_all(user_id: str) -> Any:
            return None

        if self.loader != "none":
            manager.user_loader({"guarded": guarded, "open": open_to_all}[self.loader])
        if self.login:
            app.add_url_rule("/login", "login", lambda: "")

    def _extension(self, db: Any) -> H5magSCIM:
        def indexes(*wanted: sa.Index) -> tuple[sa.Index, ...]:
            return tuple(index for index in wanted if index.name not in self.without)

        class Customer(db.Model):
            id = sa.Column(sa.Integer, primary_key=True)
            name = text(40)

        def lower(name: str) -> Any:
            return sa.func.lower(sa.text(name))

        columns: dict[str, Any] = {
            "login": text(120, nullable=False),
            "enabled": sa.Column(sa.Boolean, nullable=False, default=True),
            "oid": text(64),
            "shown": text(256),
            "mail": text(254),
            **{name: text(64) for name in ("language", "first", "last", "locale")},
            **{name: text(128) for name in ("full", "timezone", "kind")},
            "changed": time(),
            "rest": sa.Column(sa.JSON, default=dict),
            **self.columns,
        }
        Person = type(
            "Person",
            (UserMixin, db.Model),
            {
                "__tablename__": "person",
                "__table_args__": indexes(
                    sa.Index("uq_person_login", "customer_id", lower("login"), unique=True),
                    sa.Index("uq_person_oid", "customer_id", "oid", unique=True),
                    sa.Index("ix_person_mail", "customer_id", lower("mail"), "id"),
                    sa.Index("ix_person_account", "customer_id", "id"),
                ),
                "id": sa.Column(sa.Integer, primary_key=True),
                "customer_id": sa.Column(sa.ForeignKey("customer.id"), nullable=False),
                **columns,
            },
        )

        class Crew(db.Model):
            __table_args__ = indexes(
                sa.Index("uq_crew_name", "customer_id", lower("name"), unique=True),
                sa.Index("ix_crew_code", "customer_id", "code", "id"),
                sa.Index("ix_crew_account", "customer_id", "id"),
            )
            id = sa.Column(sa.Integer, primary_key=True)
            customer_id = sa.Column(sa.ForeignKey("customer.id"), nullable=False)
            name = text(256)
            code = text(64)
            changed = time()
            rest = sa.Column(sa.JSON, default=dict)

        is_pair = "pair" not in self.without
        crew_person = sa.Table(
            "crew_person",
            db.metadata,
            sa.Column("crew", sa.ForeignKey("crew.id"), primary_key=is_pair),
            sa.Column("person", sa.ForeignKey("person.id"), primary_key=is_pair),
            *indexes(sa.Index("ix_crew_person_person", "person", "crew")),
        )
        if self.thing is not None:
            sa.Table(
                "thing", db.metadata, sa.Column("id", sa.Integer, primary_key=True), *self.thing()
            )
        rows = {path: name for path, name in {**ROWS, **self.rows}.items() if name is not None}
        return H5magSCIM(
            db,
            account=Customer,
            user=self.resource(Person, account="customer_id", attributes=rows),
            group=GroupResource(
                Crew,
                account="customer_id",
                attributes=self.group_rows
                or {
                    "displayName": "name",
                    "externalId": "code",
                    "meta.lastModified": "changed",
                    "*": "rest",
                },
                members=Membership(crew_person, group="crew", user="person"),
            ),
            current_account=lambda: None,
            find_account=lambda name: None,
            can_manage=lambda user, account: False,
            is_licensed=lambda account: True,
            second_factor=lambda user: False,
        )


def _with_foreign_keys(connection: Any, record: Any) -> None:
    connection.execute("PRAGMA foreign_keys = ON")


@pytest.fixture
def made(database_url: str) -> Iterator[Callable[[Host], Flask]]:
    apps: list[tuple[Flask, Any]] = []

    def make(host: Host) -> Flask:
        app = host.make(database_url)
        apps.append((app, host.scim.db))
        return app

    yield make
    for app, db in apps:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


def findings(app: Flask) -> dict[str, dict[str, str]]:
    result = app.test_cli_runner().invoke(args=["scim", "check", "--json"])
    assert result.exit_code in (0, 1), result.output
    found = json.loads(result.stdout)
    assert result.exit_code == (1 if found["errors"] else 0)
    for severity in ("error", "warning", "hint"):
        count = len([one for one in found["findings"] if one["severity"] == severity])
        assert found[f"{severity}s"] == count
    return {one["code"]: one for one in found["findings"]}


@both_databases
def test_a_host_without_a_fault_is_told_only_what_nobody_can_look_up(
    made: Callable[[Host], Flask],
) -> None:
    """When the secret of its registration ends, Microsoft alone knows."""
    assert set(findings(made(Host()))) == {"registration_end"}


@pytest.mark.parametrize("layout", ["nowhere.html", "l.html"])
def test_a_template_that_is_not_there_is_named(made: Callable[[Host], Flask], layout: str) -> None:
    """The layout itself, or the one that it extends."""
    templates = {"l.html": "{% extends 'nowhere.html' %}"}
    host = Host(settings={"H5MAG_SCIM_LAYOUT": layout}, templates=templates)
    said = f"H5MAG_SCIM_LAYOUT is {layout!r}, and there is no template 'nowhere.html'."
    assert findings(made(host))["layout"]["what"] == said


def test_a_login_view_can_be_an_address_or_a_function(made: Callable[[Host], Flask]) -> None:
    """As Flask-Login takes it, and only for the page if that is wanted."""
    assert "login_view" not in findings(made(Host(view="/enter")))
    app = made(Host(view=None))
    app.login_manager.blueprint_login_views["h5mag_scim_pages"] = "login"  # type: ignore[attr-defined]
    assert "login_view_missing" not in findings(app)
    app = made(Host(view=None))
    app.login_manager.unauthorized_handler(lambda: "")  # type: ignore[attr-defined]
    assert "login_view_missing" not in findings(app)


class Silent:
    """A hybrid property without an expression."""

    @hybrid_property
    def awake(self) -> bool:
        return self.gone is None  # type: ignore[attr-defined]

    @awake.inplace.setter
    def _set_awake(self, value: bool) -> None: ...


class Fixed:
    """A hybrid property without a setter."""

    @hybrid_property
    def awake(self) -> bool:
        return self.gone.is_(None)  # type: ignore[attr-defined]


class Heirs(UserResource):
    def delete(self, session: Session, obj: Any) -> None:
        super().delete(session, obj)


def owner(**options: Any) -> Callable[[], list[sa.Column[Any]]]:
    return lambda: [sa.Column("owner", sa.ForeignKey("person.id", **options), index=True)]


LAYOUT = "<title>{% block title %}{% endblock %}</title>{% block head %}{% endblock %}"
CONTENT = "{% block content %}{% endblock %}"


def faults_in_code() -> dict[str, tuple[Host, str, str, str]]:
    """What is wrong with a host, what is found then, how urgent it is and what of its cure."""
    return {
        "misspelt": (
            Host(settings={"H5MAG_SCIM_LAYOTU": "x"}),
            "setting_unknown",
            "warning",
            "README",
        ),
        "local": (
            Host(settings={"H5MAG_SCIM_PUBLIC_URL": "http://localhost:5000"}),
            "url_http",
            "warning",
            "https address",
        ),
        "no url": (
            Host(settings={"H5MAG_SCIM_PUBLIC_URL": None, "TESTING": True}),
            "url_missing",
            "warning",
            "https address",
        ),
        "no key": (
            Host(settings={"SECRET_KEY": None, "TESTING": True}),
            "secret_key_missing",
            "error",
            "token_hex",
        ),
        "short key": (
            Host(settings={"SECRET_KEY": "dev"}),
            "secret_key_short",
            "warning",
            "token_hex",
        ),
        "derived": (
            Host(settings={"H5MAG_SCIM_ENCRYPTION_KEYS": None}),
            "encryption_keys",
            "hint",
            "reencrypt",
        ),
        "strict": (
            Host(settings={"SESSION_COOKIE_SAMESITE": "Strict"}),
            "cookie_strict",
            "error",
            "'Lax'",
        ),
        "cookie": (Host(settings={"SESSION_COOKIE_SECURE": False}), "cookie", "warning", "True"),
        "no registration": (
            Host(
                settings={"H5MAG_SCIM_OIDC_CLIENT_ID": None, "H5MAG_SCIM_OIDC_CLIENT_SECRET": None}
            ),
            "registration_missing",
            "hint",
            "H5MAG_SCIM_OIDC_CLIENT_ID",
        ),
        "odd registration": (
            Host(settings={"H5MAG_SCIM_OIDC_CLIENT_ID": "h5mag"}),
            "registration_id",
            "warning",
            "Application (client) ID",
        ),
        "full log": (
            Host(settings={"H5MAG_SCIM_LOG_VALUES": "full"}),
            "log_values",
            "hint",
            "masked",
        ),
        "no layout": (
            Host(settings={"H5MAG_SCIM_LAYOUT": "nowhere.html"}),
            "layout",
            "error",
            "your own pages extend",
        ),
        "broken layout": (
            Host(settings={"H5MAG_SCIM_LAYOUT": "l.html"}, templates={"l.html": "{% block %}"}),
            "layout",
            "error",
            "your own pages extend",
        ),
        "empty layout": (
            Host(settings={"H5MAG_SCIM_LAYOUT": "l.html"}, templates={"l.html": LAYOUT}),
            "layout_content",
            "error",
            "    {% block content %}{% endblock %}",
        ),
        "bare layout": (
            Host(
                settings={"H5MAG_SCIM_LAYOUT": "l.html"},
                templates={"l.html": "{% extends 'base.html' %}", "base.html": CONTENT},
            ),
            "layout_head",
            "warning",
            "{% block head %}",
        ),
        "page taken": (
            Host(routes=("/account/provisioning",)),
            "address_taken",
            "error",
            "_PAGE_URL_PREFIX",
        ),
        "token endpoint taken": (
            Host(routes=("/scim-oauth/token",)),
            "address_taken",
            "error",
            "_OAUTH_URL_PREFIX",
        ),
        "hosts told apart": (
            Host(options={"host_matching": True, "static_host": "localhost"}),
            "host_matching",
            "error",
            "web server",
        ),
        "roles without an owner": (
            Host(
                rows={"userType": None, "roles[primary eq true].value": "kind"},
                resource=partial(UserResource, roles=("editor", "reader")),
            ),
            "owner_role",
            "hint",
            "owner_role=",
        ),
        "no login": (Host(login=False), "login_endpoint", "error", "auth.login"),
        "no login view": (Host(view=None), "login_view_missing", "warning", "'auth.login'"),
        "wrong login view": (
            Host(view="auth.enter"),
            "login_view",
            "error",
            "login_manager.login_view",
        ),
        "no manager": (Host(loader=""), "login_manager", "error", "init_app"),
        "no loader": (Host(loader="none"), "user_loader", "error", "session_guard"),
        "open loader": (Host(loader="open"), "session_guard", "hint", "session_guard(user)"),
        "rows": (Host(rows={"locale": None}), "rows", "warning", "Map it"),
        "group rows": (
            Host(group_rows={"displayName": "name", "*": "rest"}),
            "group_row",
            "warning",
            "Map externalId",
        ),
        "no rest": (Host(rows={"*": None}), "catch_all", "hint", "sa.JSON"),
        "no time": (Host(rows={"meta.lastModified": None}), "modified", "hint", "onupdate"),
        "no expression": (
            Host(
                columns={"gone": sa.Column(sa.DateTime), "awake": vars(Silent)["awake"]},
                rows={"active": "awake"},
            ),
            "hybrid_expression",
            "error",
            "@awake.inplace.expression",
        ),
        "no setter": (
            Host(
                columns={"gone": sa.Column(sa.DateTime), "awake": vars(Fixed)["awake"]},
                rows={"active": "awake"},
            ),
            "hybrid_setter",
            "error",
            "@awake.inplace.setter",
        ),
        "active text": (
            Host(columns={"enabled": text(5)}),
            "active_type",
            "error",
            "sa.Boolean",
        ),
        "short name": (Host(columns={"login": text(20)}), "length", "warning", "sa.String(113)"),
        "short id": (Host(columns={"oid": text(20)}), "length", "error", "sa.String(36)"),
        "naive": (
            Host(columns={"changed": sa.Column(sa.DateTime)}),
            "time_zone",
            "hint",
            "timezone",
        ),
        "must": (
            Host(columns={"mail": text(254, nullable=False)}),
            "not_null",
            "warning",
            "nullable=True",
        ),
        "must with default": (
            Host(columns={"language": text(9, nullable=False, default="en")}),
            "not_null_cleared",
            "hint",
            "nullable=True",
        ),
        "no default": (
            Host(columns={"rest": sa.Column(sa.JSON, nullable=False)}),
            "not_null_catch_all",
            "error",
            "default=dict",
        ),
        "unmapped": (
            Host(columns={"badge": text(9, nullable=False)}),
            "not_null_unmapped",
            "error",
            "new()",
        ),
        "unique": (
            Host(without=("uq_person_login",)),
            "unique",
            "error",
            "sa.Index('uq_person_login', 'customer_id', sa.func.lower(sa.text('login')), unique",
        ),
        "restrict": (Host(thing=owner()), "restrict", "warning", "delete()"),
        "cascade": (Host(thing=owner(ondelete="CASCADE")), "cascade", "hint", "delete()"),
        "slow reference": (
            Host(
                resource=Heirs,
                thing=lambda: [sa.Column("owner", sa.ForeignKey("person.id"))],
            ),
            "reference_index",
            "hint",
            "index=True",
        ),
    }


def faults_in_the_database() -> dict[str, tuple[Host, str, str, str]]:
    """The same, of what only the database can say."""
    return {
        "no table": (Host(migrate="DROP TABLE scim_log"), "table_missing", "error", "db upgrade"),
        "no column": (
            Host(migrate="ALTER TABLE scim_account DROP COLUMN paused_by"),
            "column_missing",
            "error",
            "db upgrade",
        ),
        "no column of ours": (
            Host(migrate="ALTER TABLE person DROP COLUMN locale"),
            "column_missing",
            "error",
            "db upgrade",
        ),
        "no index": (
            Host(migrate="DROP INDEX ix_scim_log_kind"),
            "index_missing",
            "warning",
            "upgrade",
        ),
        "not migrated": (
            Host(migrate="DROP INDEX uq_person_login"),
            "unique_missing",
            "error",
            "    op.create_index('uq_person_login', 'person', "
            "['customer_id', sa.text('lower(login)')], unique=True)",
        ),
        "mail not migrated": (
            Host(migrate="DROP INDEX ix_person_mail"),
            "not_found_by_index",
            "warning",
            "    op.create_index('ix_person_mail', 'person', "
            "['customer_id', sa.text('lower(mail)'), 'id'])",
        ),
        "page not migrated": (
            Host(migrate="DROP INDEX ix_crew_account"),
            "page_index",
            "warning",
            "    op.create_index('ix_crew_account', 'crew', ['customer_id', 'id'])",
        ),
        "memberships not migrated": (
            Host(migrate="DROP INDEX ix_crew_person_person"),
            "membership_index",
            "warning",
            "    op.create_index('ix_crew_person_person', 'crew_person', ['person', 'crew'])",
        ),
        "global": (
            Host(columns={"mail": text(254, unique=True)}),
            "unique_everywhere",
            "warning",
            "sa.Index('uq_person_mail', 'customer_id'",
        ),
        "spelled": (
            Host(
                migrate="DROP INDEX uq_person_login;"
                "CREATE UNIQUE INDEX uq_person_login ON person (customer_id, login)"
            ),
            "unique_case",
            "warning",
            "sa.func.lower(sa.text('login'))",
        ),
        "slow mail": (
            Host(without=("ix_person_mail",)),
            "not_found_by_index",
            "warning",
            "sa.Index('ix_person_mail', 'customer_id', sa.func.lower(sa.text('mail')), 'id')",
        ),
        "slow group": (
            Host(without=("ix_crew_code",)),
            "not_found_by_index",
            "warning",
            "sa.Index('ix_crew_code', 'customer_id', 'code', 'id')",
        ),
        "slow page": (
            Host(without=("ix_person_account",)),
            "page_index",
            "warning",
            "sa.Index('ix_person_account', 'customer_id', 'id')",
        ),
        "slow groups of a user": (
            Host(without=("ix_crew_person_person",)),
            "membership_index",
            "warning",
            "sa.Index('ix_crew_person_person', 'person', 'crew')",
        ),
        "twice": (Host(without=("pair",)), "membership_twice", "warning", "sa.UniqueConstraint"),
    }


@pytest.mark.parametrize("fault", faults_in_code())
def test_each_fault_is_found_with_its_cure(made: Callable[[Host], Flask], fault: str) -> None:
    """And with how urgent it is."""
    require_found(made, *faults_in_code()[fault])


@both_databases
@pytest.mark.parametrize("fault", faults_in_the_database())
def test_each_fault_in_the_database_is_found(made: Callable[[Host], Flask], fault: str) -> None:
    """Whatever the models say; on either database."""
    require_found(made, *faults_in_the_database()[fault])


@both_databases
def test_a_missing_unique_index_is_told_once(made: Callable[[Host], Flask]) -> None:
    """Not once more as a slow look-up, with another index as the cure."""
    found = findings(made(Host(migrate="DROP INDEX uq_person_login")))
    assert "unique_missing" in found
    assert "not_found_by_index" not in found


def require_found(
    made: Callable[[Host], Flask], host: Host, code: str, severity: str, cure: str
) -> None:
    found = findings(made(host))
    assert code in found, list(found)
    assert found[code]["severity"] == severity
    assert cure in found[code]["cure"]
    assert found[code]["what"]


def test_warnings_fail_only_where_that_is_wanted(made: Callable[[Host], Flask]) -> None:
    """Exit codes for scripts: 0 without errors, 1 with them; --strict counts warnings too, and
    hints never."""
    runner = made(Host()).test_cli_runner()
    assert runner.invoke(args=["scim", "check", "--strict"]).exit_code == 0
    runner = made(Host(settings={"SESSION_COOKIE_SECURE": False})).test_cli_runner()
    assert runner.invoke(args=["scim", "check"]).exit_code == 0
    strict = runner.invoke(args=["scim", "check", "--strict"])
    assert strict.exit_code == 1
    assert "WARNING  cookie" in strict.stdout
    assert "Errors: 0, warnings: 1, hints: 1." in strict.stderr
    assert max(map(len, strict.stdout.splitlines())) <= 80


def test_debug_mode_at_a_public_address_is_an_error(made: Callable[[Host], Flask]) -> None:
    """Its console runs what visitors type."""
    runner = made(Host()).test_cli_runner()
    result = runner.invoke(args=["scim", "check"], env={"FLASK_DEBUG": "1"})
    assert result.exit_code == 1
    assert "ERROR  debug" in result.stdout
    assert "without --debug" in result.stdout


def test_a_database_that_does_not_answer_is_a_finding(tmp_path: Path) -> None:
    """What can be said without it is said, and the password of the database is not."""
    from . import other_host

    url = "postgresql+psycopg://somebody:secretword@127.0.0.1:1/nothing"
    app = other_host.create_app(url)
    result = app.test_cli_runner().invoke(args=["scim", "check"])
    assert result.exit_code == 1
    assert "ERROR  database" in result.stdout
    assert "SQLALCHEMY_DATABASE_URI" in result.stdout
    assert "WARNING  secret_key_short" in result.stdout
    assert "secretword" not in result.output
    other = app.test_cli_runner().invoke(args=["scim", "token", "list", "--account", "x"])
    assert other.exit_code == 1
    assert "flask scim check" in other.stderr
    assert "Traceback" not in other.output
    assert "secretword" not in other.output


@both_databases
def test_it_changes_nothing(app: Flask, statements: Any) -> None:
    """It only asks."""
    with statements() as seen:
        assert app.test_cli_runner().invoke(args=["scim", "check"]).exit_code in (0, 1)
    writing = ("INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "COMMIT")
    assert seen
    assert not [one for one in seen if one.lstrip().upper().startswith(writing)]


@both_databases
def test_what_is_kept_is_looked_at_as_well(app: Flask) -> None:
    """Secrets that no key opens or that an old one sealed, and a log that nobody prunes."""
    with app.app_context():
        accounts = example_db.session.scalars(sa.select(Account).order_by(Account.slug)).all()
        for account, key in zip(accounts, ("lost", "old", "test"), strict=True):
            sealed = vault.Vault([], secret_keys=[key]).seal("the value")
            settings = providers.Settings(
                "global",
                "11111111-2222-3333-4444-555555555555",
                client_id="3c1f6a34-7c7e-4a0a-9a1e-5b8a7f0c2d11",
                client_secret=sealed,
            )
            providers.configure(
                example_db.session, example_scim.records, account.id, settings, by="test"
            )
        lost = accounts[0].id
        example_db.session.execute(
            sa.insert(example_scim.LogEntry).values(
                account_id=lost,
                at=now() - timedelta(days=33),
                event="token.saved",
                paths=[],
                ignored=[],
                changes={},
            )
        )
        example_db.session.commit()
    app.config["SECRET_KEY_FALLBACKS"] = ["old"]
    found = findings(app)
    assert found["secrets_lost"]["severity"] == "error"
    assert str(lost) in found["secrets_lost"]["what"]
    assert "1 accounts" in found["secrets_old"]["what"]
    assert found["log_not_pruned"]["severity"] == "warning"
    assert "flask scim log prune" in found["log_not_pruned"]["cure"]
    assert "the value" not in json.dumps(found)


def test_keys_are_in_no_finding(made: Callable[[Host], Flask]) -> None:
    """However wrong they are: what is printed ends up in tickets."""
    key = Fernet.generate_key().decode()
    app = made(Host(settings={"SECRET_KEY": "dev-key", "H5MAG_SCIM_ENCRYPTION_KEYS": [key]}))
    output = app.test_cli_runner().invoke(args=["scim", "check"]).output
    for secret in ("dev-key", key, SETTINGS["H5MAG_SCIM_OIDC_CLIENT_SECRET"]):
        assert str(secret) not in output
