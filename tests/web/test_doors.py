"""Every address of the extension that a form is posted to, found in the application's own
table, so that a new one cannot be forgotten."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from example_app.models import Account, db
from example_app.provisioning import scim
from flask_h5mag_scim.records.models import TokenState, now

from ..conftest import get_account, make_token
from .test_pages import URL, Admin, add_user

#: Blueprints whose forms belong to an account's admins.
OURS = ("h5mag_scim_pages", "h5mag_scim_sso")


def posts(app: Flask) -> list[str]:
    """The addresses, with what they need filled in."""
    with app.app_context():
        Token = scim.Token
        token_id = db.session.scalar(sa.select(Token.id).limit(1)) or uuid.uuid4()
    adapter = app.url_map.bind("localhost")
    found = [
        adapter.build(
            rule.endpoint,
            dict.fromkeys(rule.arguments, token_id),
            method="POST",
        )
        for rule in app.url_map.iter_rules()
        if "POST" in (rule.methods or ()) and rule.endpoint.partition(".")[0] in OURS
    ]
    assert f"{URL}/generate" in found
    assert f"{URL}/disconnect" in found
    return found


def stored(app: Flask) -> str:
    """Everything that the extension and the host keep, as one text."""
    with app.app_context():
        rows = []
        for table in db.metadata.sorted_tables:
            rows += [f"{table.name}: {tuple(row)}" for row in db.session.execute(sa.select(table))]
        return "\n".join(sorted(rows))


@pytest.fixture
def token(app: Flask) -> str:
    return make_token(app, "acme")


def test_a_stranger_is_sent_to_the_login(app: Flask, token: str) -> None:
    """Nothing is done for somebody who is not signed in."""
    before = stored(app)
    for url in posts(app):
        answer = app.test_client().post(url, data={"confirm": "yes"})
        assert answer.status_code in (302, 303), url
        assert answer.location.startswith("/login"), url
    assert stored(app) == before


def test_who_does_not_manage_the_account_is_refused(app: Flask, token: str) -> None:
    """An editor has no business here, also with a form of their own session."""
    editor = Admin(app, add_user(app, "editor@acme.example", "editor"))
    before = stored(app)
    for url in posts(app):
        with editor.client.session_transaction() as session:
            session["_h5mag_scim_csrf"] = "known"
        answer = editor.client.post(url, data={"scim_csrf": "known"})
        assert answer.status_code == 403, url
    assert stored(app) == before


@pytest.mark.parametrize("sent", [{}, {"scim_csrf": ""}, {"scim_csrf": "another"}])
def test_a_form_of_another_site_does_nothing(app: Flask, token: str, sent: dict[str, str]) -> None:
    """The owner's browser sends it, with the owner's cookie, and it is refused."""
    owner = Admin(app)
    owner.open()
    before = stored(app)
    for url in posts(app):
        answer = owner.client.post(url, data=sent)
        assert answer.status_code == 400, url
    assert stored(app) == before


def test_without_the_licence_nothing_is_changed(app: Flask) -> None:
    """Also a form that was opened while the account still had it."""
    owner = Admin(app)
    make_token(app, "acme")
    form = owner.open().fields()
    with app.app_context():
        account = get_account()
        account.plan = "professional"
        db.session.commit()
    before = stored(app)
    # A test sign-in says it in its own result.
    for url in (url for url in posts(app) if url.startswith(URL)):
        answer = owner.client.post(url, data={**form, "what": "deactivate"})
        assert answer.status_code == 403, url
        assert "Enterprise licence" in answer.text
    assert stored(app) == before


def test_another_accounts_token_is_not_there(app: Flask) -> None:
    """An owner who puts the id of somebody else's token into the address revokes nothing."""
    make_token(app, "globex")
    owner = Admin(app)
    form: dict[str, Any] = owner.open().fields()
    with app.app_context():
        theirs = db.session.scalars(sa.select(scim.Token)).one()
        url = f"{URL}/tokens/{theirs.id}/revoke"
        fingerprint = theirs.fingerprint
    assert owner.client.get(url).status_code == 404
    assert owner.client.post(url, data={**form, "fingerprint": fingerprint}).status_code == 404
    with app.app_context():
        theirs = db.session.scalars(sa.select(scim.Token)).one()
        assert theirs.state(now()) == TokenState.ACTIVE


def test_a_form_of_one_account_does_nothing_to_another(
    app: Flask, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who manages several customers has left a tab open, and disconnects in it."""
    make_token(app, "globex")
    shown = "acme"

    def current() -> Account:
        return get_account(shown)

    monkeypatch.setattr(scim, "current_account", current)
    monkeypatch.setattr(scim, "can_manage", lambda user, account: True)
    supporter = Admin(app)
    form = supporter.open().fields()
    form |= {"people": "deactivate", "sso_provider": "microsoft", "directory": str(uuid.uuid4())}
    shown = "globex"
    before = stored(app)
    for url in posts(app):
        answer = supporter.client.post(url, data=form)
        assert answer.status_code == 400, url
        assert "for another account" in answer.text
    assert stored(app) == before
    form["scim_account"] = supporter.open().fields()["scim_account"]
    assert supporter.client.post(f"{URL}/pause", data=form).status_code == 303
