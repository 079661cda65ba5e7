"""A host with Flask-WTF's CSRFProtect."""

from __future__ import annotations

import pytest
from flask import Flask
from flask_login import LoginManager
from flask_wtf.csrf import CSRFProtect

from example_app.models import Account, User, db
from example_app.provisioning import scim

from .conftest import PUBLIC_URL, Entra, make_token


@pytest.mark.parametrize("protected_first", [True, False])
def test_scim_is_exempt_and_the_page_is_not(database_url: str, protected_first: bool) -> None:
    """In whichever order the two are set up: Entra has no token, a browser has one."""
    app = Flask(__name__)
    app.config.from_mapping(
        SECRET_KEY="test",
        SQLALCHEMY_DATABASE_URI=database_url,
        H5MAG_SCIM_PUBLIC_URL=PUBLIC_URL,
    )
    db.init_app(app)
    LoginManager(app).user_loader(lambda id: None)
    if protected_first:
        CSRFProtect(app)
    app.register_blueprint(scim.blueprint)
    if not protected_first:
        CSRFProtect(app)
    with app.app_context():
        db.create_all()
        db.session.add(Account(slug="acme", name="Acme", plan="enterprise"))
        db.session.commit()
    entra = Entra(app.test_client(), make_token(app, "acme"))
    assert entra.post("/Users", {"userName": "ada@example.com"}).status_code == 201
    unknown = app.test_client().post("/scim-oauth/token", data={"grant_type": "client_credentials"})
    assert unknown.get_json()["error"] == "invalid_client"
    refused = app.test_client().post("/account/provisioning/generate")
    assert refused.status_code == 400
    assert "CSRF" in refused.text
    with app.app_context():
        assert db.session.query(User).count() == 1
        db.session.remove()
        db.engine.dispose()
