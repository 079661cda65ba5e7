"""H5mag, a stand-in: a small editor for digital magazines that hosts flask_h5mag_scim."""

from __future__ import annotations

import os
import secrets
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import sqlalchemy as sa
from flask import Flask, Response
from flask_login import LoginManager

from . import auth, cli, views
from .models import User, db
from .provisioning import scim

__all__ = ["create_app"]

login_manager = LoginManager()
login_manager.login_view = "login"
login_manager.login_message = ""


@login_manager.user_loader  # type: ignore[untyped-decorator]  # Flask-Login has no types
def load_user(user_id: str) -> User | None:
    """The person of this session; nobody once they are deactivated or deleted, or the session
    is over for another reason.

    Flask-Login asks at every request, so a deactivation ends a session at the next click.
    """
    try:
        user = db.session.get(User, uuid.UUID(user_id))
    except ValueError:
        return None
    return scim.session_guard(user)


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """The application.

    :param config: settings that win over the environment's ``FLASK_…``, which win over the
        defaults. ``FLASK_INSTANCE_PATH`` moves the folder of the database and the secret
        key; ``FLASK_H5MAG_SCIM_PUBLIC_URL`` is the address that browsers and Microsoft use.
    """
    instance_path = os.environ.get("FLASK_INSTANCE_PATH")
    app = Flask(
        __name__, instance_path=str(Path(instance_path).absolute()) if instance_path else None
    )
    app.config.from_mapping(
        H5MAG_SCIM_LAYOUT="layout.html",
        H5MAG_SCIM_PUBLIC_URL=f"http://127.0.0.1:{_port()}",
        MAX_CONTENT_LENGTH=4 * 1024 * 1024,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_NAME="h5mag_session",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=None,
        SQLALCHEMY_DATABASE_URI=None,
    )
    app.config.from_prefixed_env()
    app.config.from_mapping(config or {})

    folder = Path(app.instance_path)
    if app.config["SQLALCHEMY_DATABASE_URI"] is None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{folder / 'h5mag.sqlite'}"
    if not app.config["SECRET_KEY"]:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        app.config["SECRET_KEY"] = _kept_secret(folder / "secret_key")
    if app.config["SESSION_COOKIE_SECURE"] is None:
        public_url = str(app.config["H5MAG_SCIM_PUBLIC_URL"])
        app.config["SESSION_COOKIE_SECURE"] = public_url.startswith("https:")

    db.init_app(app)
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            sa.event.listen(db.engine, "connect", _prepare_sqlite)
    login_manager.init_app(app)
    app.register_blueprint(scim.blueprint)
    auth.register(app)
    views.register(app)
    cli.register(app)
    app.after_request(_harden)
    return app


def _port() -> str:
    """The port of ``flask run``, for the public address of a machine that has no other."""
    context = click.get_current_context(silent=True)
    if context is not None and context.info_name == "run":
        return str(context.params["port"])
    return os.environ.get("FLASK_RUN_PORT", "5000")


def _kept_secret(path: Path) -> str:
    """The secret key in ``path``, made at the first start.

    Written aside and linked into place, so that two workers that start together agree.
    """
    if not path.exists():
        draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
        with suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text()


def _prepare_sqlite(connection: Any, record: object) -> None:
    """Let readers and a writer work side by side, and hold the foreign keys."""
    cursor = connection.cursor()
    for pragma in (
        "busy_timeout=5000",
        "journal_mode=WAL",
        "synchronous=NORMAL",
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _harden(response: Response) -> Response:
    """Security headers for every page, beside a blueprint's own.

    A browser obeys every policy it gets. There is no ``form-action``: Chrome applies it to
    redirects too, and signing in is a form whose answer redirects to Microsoft.
    """
    response.headers.add(
        "Content-Security-Policy",
        "default-src 'self'; base-uri 'none'; object-src 'none'; frame-ancestors 'none'",
    )
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    if response.mimetype == "text/html":
        # Nobody's magazines may come back with the Back button after signing out.
        response.headers.setdefault("Cache-Control", "no-store")
    return response
