"""H5mag, a stand-in: a small editor for digital magazines that hosts flask_h5mag_scim."""

from __future__ import annotations

import os
import secrets
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask, Response
from flask_login import LoginManager

from .models import User, db
from .provisioning import scim

__all__ = ["create_app"]

login_manager = LoginManager()
login_manager.login_view = "login"
login_manager.login_message = ""


@login_manager.user_loader
def load_user(user_id: str) -> User | None:
    """The person of this session; nobody once they are deactivated or deleted.

    Flask-Login asks at every request, so a deactivation ends a session at the next click.
    """
    try:
        user = db.session.get(User, uuid.UUID(user_id))
    except ValueError:
        return None
    return user if user is not None and user.is_active else None


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """The application.

    :param config: settings that win over the environment's ``FLASK_…``, which win over the
        defaults below.
    """
    app = Flask(__name__, instance_path=str(Path("instance").absolute()))
    app.config.from_mapping(
        H5MAG_SCIM_LAYOUT="layout.html",
        H5MAG_SCIM_PUBLIC_URL=f"http://127.0.0.1:{os.environ.get('FLASK_RUN_PORT', '5000')}",
        PERMANENT_SESSION_LIFETIME=12 * 60 * 60,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_NAME="h5mag_session",
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=4 * 1024 * 1024,
    )
    app.config.from_prefixed_env()
    app.config.from_mapping(config or {})
    Path(app.instance_path).mkdir(parents=True, exist_ok=True)
    if not app.config.get("SQLALCHEMY_DATABASE_URI"):
        path = Path(app.instance_path) / "h5mag.sqlite"
        app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{path}"
    if not app.config.get("SECRET_KEY"):
        app.config["SECRET_KEY"] = _kept_secret(Path(app.instance_path) / "secret_key")
    app.config.setdefault(
        "SESSION_COOKIE_SECURE", str(app.config["H5MAG_SCIM_PUBLIC_URL"]).startswith("https:")
    )

    db.init_app(app)
    login_manager.init_app(app)
    app.register_blueprint(scim.blueprint)
    return app
