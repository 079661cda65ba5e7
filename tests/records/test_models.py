"""The extension's tables on a host's ``db``."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_h5mag_scim.records.models import UTCDateTime, declare

from ..conftest import both_databases

TABLES = {
    "scim_token",
    "scim_federated_credential",
    "scim_identity_provider",
    "scim_user",
    "scim_warning",
    "scim_group",
    "scim_break_glass",
    "scim_account",
    "scim_log",
}


def host(**account: Any) -> tuple[Any, type[Any], type[Any]]:
    """A fresh ``db`` with an account and a user, keyed by whole numbers."""
    db = SQLAlchemy(model_class=type("Base", (DeclarativeBase,), {}))

    class Account(db.Model):
        vars().update(account)
        id: Mapped[int] = mapped_column(primary_key=True)

    class User(db.Model):
        vars().update(account)
        id: Mapped[str] = mapped_column(sa.String(8), primary_key=True)

    return db, Account, User


def app_of(db: Any, url: str, **config: Any) -> Flask:
    app = Flask(__name__)
    app.config.update(SQLALCHEMY_DATABASE_URI=url, **config)
    db.init_app(app)
    return app


@both_databases
def test_create_all_makes_the_tables_with_the_host_s_keys(database_url: str) -> None:
    """Foreign keys are typed after whatever the host uses (DESIGN §10)."""
    db, Account, User = host()
    records = declare(db, account=Account, user=User, group=User)
    app = app_of(db, database_url)
    with app.app_context():
        db.create_all()
        inspector = sa.inspect(db.engine)
        assert set(inspector.get_table_names()) >= TABLES
        keys = {c["name"]: c["type"] for c in inspector.get_columns("scim_user")}
        assert isinstance(keys["account_id"], sa.Integer)
        assert isinstance(keys["user_id"], sa.String)
        indexes = [index["column_names"] for index in inspector.get_indexes("scim_log")]
        assert sorted(indexes) == [
            ["account_id", "at", "id"],
            ["account_id", "fingerprint", "at", "id"],
            ["account_id", "kind", "at", "id"],
            ["account_id", "resource_id", "at", "id"],
        ]
        for table in TABLES:
            for key in inspector.get_foreign_keys(table):
                assert key["options"] == {"ondelete": "CASCADE"}, table
        entry = records.LogEntry(account_id=1, event="x")
        db.session.add(Account(id=1))
        db.session.flush()
        db.session.add(entry)
        db.session.commit()
        assert entry.at.tzinfo is not None
        assert entry.paths == []
        db.session.remove()
        db.engine.dispose()


def test_the_tables_go_where_the_account_is(tmp_path: Path) -> None:
    """A host's ``__bind_key__`` is copied; foreign keys cannot cross databases."""
    db, Account, User = host(__bind_key__="people")
    records = declare(db, account=Account, user=User, group=User)
    people = f"sqlite:///{tmp_path / 'people.sqlite'}"
    app = app_of(db, "sqlite://", SQLALCHEMY_BINDS={"people": people})
    with app.app_context():
        db.create_all()
        assert set(sa.inspect(db.engines["people"]).get_table_names()) >= TABLES
        assert sa.inspect(db.engine).get_table_names() == []
        db.session.add_all([Account(id=1), records.LogEntry(account_id=1, event="x")])
        db.session.commit()
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()


def test_an_inherited_bind_key_counts(tmp_path: Path) -> None:
    """A host may say it once, in a base class of its models."""
    db = SQLAlchemy(model_class=type("Base", (DeclarativeBase,), {}))

    class People(db.Model):
        __abstract__ = True
        __bind_key__ = "people"

    class Account(People):
        id: Mapped[int] = mapped_column(primary_key=True)

    class User(People):
        id: Mapped[int] = mapped_column(primary_key=True)

    records = declare(db, account=Account, user=User, group=User)
    assert records.Token.__table__.metadata is Account.__table__.metadata


@pytest.mark.parametrize("schema", [None, "people"])
def test_declaring_twice_says_so(schema: str | None) -> None:
    """In words, and before SQLAlchemy raises from deep inside (DESIGN §13.11)."""
    metadata = sa.MetaData(schema=schema)
    db = SQLAlchemy(model_class=type("Base", (DeclarativeBase,), {"metadata": metadata}))

    class Account(db.Model):
        id: Mapped[int] = mapped_column(primary_key=True)

    declare(db, account=Account, user=Account, group=Account)
    with pytest.raises(RuntimeError, match="was already created for this db"):
        declare(db, account=Account, user=Account, group=Account)


def test_a_key_of_several_columns_is_refused() -> None:
    """A SCIM id is one text."""
    db, Account, _ = host()

    class Pair(db.Model):
        a: Mapped[int] = mapped_column(primary_key=True)
        b: Mapped[int] = mapped_column(primary_key=True)

    with pytest.raises(TypeError, match="Pair has a primary key of several columns"):
        declare(db, account=Account, user=Pair, group=Account)


def test_times_are_aware_and_in_utc() -> None:
    """Also on a database that forgets the zone."""
    kind = UTCDateTime()
    dialect = sa.create_engine("sqlite://").dialect
    sent = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
    kept = kind.process_bind_param(sent, dialect)
    assert kept is not None
    assert kept.isoformat() == "2026-01-01T10:00:00+00:00"
    assert kind.process_result_value(kept.replace(tzinfo=None), dialect) == sent
    assert kind.process_result_value(sent, dialect) == sent
    assert kind.process_bind_param(None, dialect) is None
    assert kind.process_result_value(None, dialect) is None


#: Alembic keeps its configuration in global state: a process of its own.
MIGRATE = """
import sys, sqlalchemy as sa
from flask import Flask
from flask_migrate import Migrate, init, migrate, upgrade
from example_app.models import db
from example_app.provisioning import scim
app = Flask("host")
app.config.update(SQLALCHEMY_DATABASE_URI=sys.argv[1])
db.init_app(app)
Migrate(app, db, directory=sys.argv[2])
with app.app_context():
    init(); migrate(message="first"); upgrade(); migrate(message="second")
    print("TABLES", *sa.inspect(db.engine).get_table_names())
    db.engine.dispose()
"""


@both_databases
def test_migrations_see_the_tables_once(database_url: str, tmp_path: Path) -> None:
    """The first autogenerate creates them; the second finds nothing more to do."""
    pytest.importorskip("flask_migrate")
    folder = tmp_path / "migrations"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MIGRATE), database_url, str(folder)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) >= TABLES
    (first,) = (folder / "versions").glob("*.py")
    assert all(f"create_table('{table}'" in first.read_text() for table in TABLES)
    assert "No changes in schema detected" in done.stderr
