"""What most tests stand on: the example app on SQLite and on PostgreSQL, two licensed
accounts, a token, and a SCIM client that speaks like Microsoft Entra."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.security import generate_password_hash
from werkzeug.test import TestResponse

from example_app import create_app
from example_app.models import Account, User, db
from example_app.provisioning import scim
from flask_h5mag_scim.records import tokens
from flask_h5mag_scim.records.models import now
from flask_h5mag_scim.web.sessions import Stamp

PASSWORD = "correct horse battery staple"
PUBLIC_URL = "http://127.0.0.1:5000"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Anything that asks for PostgreSQL or a browser says so in its markers."""
    for item in items:
        callspec = getattr(item, "callspec", None)
        if callspec is not None and "postgresql" in callspec.params.values():
            item.add_marker("postgresql")


def missing(what: str) -> None:
    """Skip on a developer's machine; fail in CI, where nothing may be missing."""
    if os.environ.get("CI"):
        pytest.fail(f"CI has no {what}")
    pytest.skip(f"there is no {what}")


def postgresql_url() -> str:
    url = os.environ.get("TEST_POSTGRESQL_URL")
    if not url:
        missing("PostgreSQL server: set TEST_POSTGRESQL_URL")
    return str(url)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[str]:
    """An empty database; parametrize indirectly with "sqlite" or "postgresql"."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield f"sqlite:///{tmp_path / 'host.sqlite'}"
        return
    # A schema is as empty as a database and is made in a fiftieth of the time.
    server = sa.make_url(postgresql_url())
    name = f"test_{uuid.uuid4().hex}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {name}"))
    try:
        own = server.update_query_dict({"options": f"-csearch_path={name}"})
        yield own.render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            # Who left a transaction open fails here, instead of everybody waiting.
            connection.execute(sa.text("SET lock_timeout = '20s'"))
            connection.execute(sa.text(f"DROP SCHEMA {name} CASCADE"))
        engine.dispose()


both_databases = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@cache
def password_hash() -> str:
    """The hash of PASSWORD. A good one takes a tenth of a second at every sign-in; the host's
    own way to make them has tests of its own."""
    return generate_password_hash(PASSWORD, method="pbkdf2:sha256:1")


def make_app(database_url: str) -> Flask:
    """The example app, as most tests have it."""
    return create_app(
        {
            "TESTING": True,
            "SECRET_KEY": "test",
            "SQLALCHEMY_DATABASE_URI": database_url,
            "H5MAG_SCIM_PUBLIC_URL": PUBLIC_URL,
            "H5MAG_SCIM_OIDC_CLIENT_ID": "h5mag",
            "H5MAG_SCIM_OIDC_CLIENT_SECRET": "a secret of the host",
        }
    )


def fill(app: Flask) -> None:
    """Make its tables, and accounts with an owner each."""
    with app.app_context():
        db.create_all()
        for slug, plan in (
            ("acme", "enterprise"),
            ("globex", "enterprise"),
            ("umbrella", "professional"),
        ):
            account = Account(slug=slug, name=slug.title(), plan=plan)
            db.session.add(account)
            db.session.flush()
            owner = User(
                account_id=account.id,
                username=f"owner@{slug}.example",
                email=f"owner@{slug}.example",
                display_name=f"{slug.title()} Owner",
                role="owner",
            )
            owner.password_hash = password_hash()
            db.session.add(owner)
        db.session.commit()
    leave(app)


def leave(app: Flask) -> None:
    """Let go of the database."""
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture(scope="session")
def filled_sqlite(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A database file that is filled: to copy it takes a tenth of the time that to fill one
    does, and most tests begin with it."""
    path = tmp_path_factory.mktemp("filled") / "host.sqlite"
    fill(make_app(f"sqlite:///{path}"))
    return path.read_bytes()


@pytest.fixture
def app(database_url: str, filled_sqlite: bytes) -> Iterator[Flask]:
    """The example app with its accounts acme and globex (licensed) and umbrella (not)."""
    app = make_app(database_url)
    url = sa.make_url(database_url)
    if url.get_backend_name() == "sqlite":
        Path(url.database or "").write_bytes(filled_sqlite)
    else:
        fill(app)
    yield app
    leave(app)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def get_account(slug: str = "acme") -> Account:
    """An account, within a context of the application."""
    return db.session.scalars(sa.select(Account).filter_by(slug=slug)).one()


def make_token(
    app: Flask, slug: str, *, state: str = "active", expires_in: timedelta | None = None
) -> str:
    """A token of an account, as its text."""
    with app.app_context():
        account = get_account(slug)
        token, text = tokens.issue(db.session, scim.records, account.id, created_by="test")
        if state != "draft":
            expires_at = None if expires_in is None else now() + expires_in
            tokens.activate(db.session, scim.records, token, name="test", expires_at=expires_at)
        if state == "revoked":
            tokens.revoke(token)
        db.session.commit()
        return text


def restamp(session: Any, *, age: int | None = None, **changes: Any) -> None:
    """Let a browser's session have begun otherwise.

    :param age: how many seconds ago.
    """
    if age is not None:
        changes["at"] = int(time.time()) - age
    stamp = Stamp(*session["_h5mag_scim_session"])
    session["_h5mag_scim_session"] = list(stamp._replace(**changes))


@dataclass
class Entra:
    """A SCIM client of one account, with Entra's headers and without a User-Agent."""

    client: FlaskClient
    token: str

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str | None = "application/scim+json; charset=utf-8",
        headers: dict[str, str] | None = None,
    ) -> TestResponse:
        data = None
        if body is not None:
            data = body if isinstance(body, str | bytes) else json.dumps(body)
        return self.client.open(
            f"/scim/v2{path}",
            method=method,
            data=data,
            content_type=content_type if data is not None else None,
            headers={"Authorization": f"Bearer {self.token}", "User-Agent": "", **(headers or {})},
        )

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.send("GET", path, **options)

    def post(self, path: str, body: Any, **options: Any) -> TestResponse:
        return self.send("POST", path, body, **options)

    def put(self, path: str, body: Any, **options: Any) -> TestResponse:
        return self.send("PUT", path, body, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        return self.send("DELETE", path, **options)

    def patch(self, path: str, *operations: Any, **options: Any) -> TestResponse:
        body = {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": list(operations),
        }
        return self.send("PATCH", path, body, **options)

    def user(self, login: str = "ada", /, **attributes: Any) -> dict[str, Any]:
        """A user that was created just now."""
        body = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": f"{login}@example.com",
            "externalId": str(uuid.uuid4()),
            "active": True,
            **attributes,
        }
        answer = self.post("/Users", body)
        assert answer.status_code == 201, answer.text
        return answer.get_json()

    def group(self, title: str = "Editors", /, **attributes: Any) -> dict[str, Any]:
        """A group that was created just now."""
        body = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "displayName": title,
            **attributes,
        }
        answer = self.post("/Groups", body)
        assert answer.status_code == 201, answer.text
        return answer.get_json()

    def ask(self, path: str = "/Users", **parameters: Any) -> dict[str, Any]:
        """A page of a list."""
        answer = self.get(f"{path}?{urlencode(parameters)}")
        assert answer.status_code == 200, answer.text
        return answer.get_json()

    def walk(self, path: str = "/Users", **parameters: Any) -> Iterator[dict[str, Any]]:
        """The pages of a list by their cursors (RFC 9865)."""
        page = {"nextCursor": ""}
        for _ in range(100):
            page = self.ask(path, cursor=page["nextCursor"], **parameters)
            assert "startIndex" not in page
            assert page["itemsPerPage"] == len(page["Resources"])
            yield page
            if "nextCursor" not in page:
                return
        pytest.fail("the list does not end")

    def find(self, filter: str, endpoint: str = "Users") -> list[str]:
        """The ids that a filter finds."""
        answer = self.client.get(
            f"/scim/v2/{endpoint}",
            query_string={"filter": filter},
            headers={"Authorization": f"Bearer {self.token}"},
        )
        assert answer.status_code == 200, answer.text
        found = answer.get_json()
        assert found["totalResults"] == len(found["Resources"])
        return [resource["id"] for resource in found["Resources"]]


@pytest.fixture
def entra(app: Flask) -> Entra:
    """Entra with a token of acme."""
    return Entra(app.test_client(), make_token(app, "acme"))


@pytest.fixture
def other_entra(app: Flask) -> Entra:
    """Entra with a token of globex."""
    return Entra(app.test_client(), make_token(app, "globex"))


@pytest.fixture
def statements(app: Flask) -> Callable[[], Any]:
    """Counts SQL statements: ``with statements() as seen: …; len(seen)``."""
    from contextlib import contextmanager

    @contextmanager
    def counting() -> Iterator[list[str]]:
        seen: list[str] = []

        def note(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
            seen.append(statement)

        with app.app_context():
            engine = app.extensions["sqlalchemy"].engine
        sa.event.listen(engine, "before_cursor_execute", note)
        try:
            yield seen
        finally:
            sa.event.remove(engine, "before_cursor_execute", note)

    return counting


def error_of(answer: TestResponse, status: int, scim_type: str | None = None) -> str:
    """The detail of a SCIM error; fails when the answer is anything else."""
    body = answer.get_json(force=True)
    assert answer.status_code == status, answer.text
    assert answer.mimetype == "application/scim+json"
    assert body["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]
    assert body["status"] == str(status)
    assert body.get("scimType") == scim_type, body
    assert len(body["detail"]) > 10
    return str(body["detail"])
