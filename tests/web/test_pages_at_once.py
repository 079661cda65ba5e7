"""Two admins at the same moment, and an operator in the shell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from example_app.models import db
from example_app.provisioning import scim
from flask_h5mag_scim import token_issued
from flask_h5mag_scim.records import providers, tokens
from flask_h5mag_scim.records.models import TokenState, now

from ..conftest import PASSWORD, both_databases, get_account, make_token

PAGE = "/account/provisioning"
TENANT = "6f0a1c1e-8f5b-4f0e-9a39-5f3c0d2a7b10"
OTHER_TENANT = "7f0a1c1e-8f5b-4f0e-9a39-5f3c0d2a7b10"
Task = Callable[[], Any]


class Admin:
    """The owner of acme in one more browser."""

    def __init__(self, app: Flask) -> None:
        self.client: FlaskClient = app.test_client()
        form = {"email": "owner@acme.example", "password": PASSWORD}
        assert self.client.post("/login", data=form).status_code == 303
        self.fields = self.read(self.client.get(PAGE))

    @staticmethod
    def read(answer: TestResponse) -> dict[str, str]:
        found = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', answer.text)
        return dict(found)

    def post(self, where: str, **fields: str) -> TestResponse:
        return self.client.post(f"{PAGE}/{where}", data={**self.fields, **fields})

    def generate(self) -> None:
        self.fields = self.read(self.post("generate"))
        assert "draft" in self.fields


def at_once(*tasks: Task) -> list[Any]:
    barrier = Barrier(len(tasks))

    def run(task: Task) -> Any:
        barrier.wait()
        return task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))


def active(app: Flask) -> list[Any]:
    with app.app_context():
        account = get_account()
        saved = tokens.listed(db.session, scim.records, account.id)
        return [token for token in saved if token.state(now()) is TokenState.ACTIVE]


def settings(app: Flask) -> tuple[Any, Any]:
    with app.app_context():
        account = get_account()
        return providers.load(db.session, scim.records, account.id)


@both_databases
def test_of_two_revocations_at_once_one_asks_for_the_fingerprint(app: Flask) -> None:
    """Each sees another token that stays; together they would leave none."""
    for _ in range(3):
        for token in active(app):
            with app.app_context():
                tokens.revoke(db.session.merge(token))
                db.session.commit()
        make_token(app, "acme")
        make_token(app, "acme")
        one, other = (token.id for token in active(app))
        first, second = Admin(app), Admin(app)
        answers = at_once(
            lambda a=first, i=one: a.post(f"tokens/{i}/revoke"),
            lambda a=second, i=other: a.post(f"tokens/{i}/revoke"),
        )
        assert Counter(answer.status_code for answer in answers) == {303: 1, 422: 1}
        assert len(active(app)) == 1


@both_databases
def test_a_draft_that_is_saved_twice_is_issued_once(app: Flask) -> None:
    """A double click sends the form twice; the host hears of one token."""
    heard: list[Any] = []

    def hear(app: Flask, **evidence: Any) -> None:
        heard.append(evidence["token"])

    admin = Admin(app)
    admin.generate()
    twin = Admin(app)
    fields = {**admin.fields, "scim_csrf": twin.fields["scim_csrf"]}
    with token_issued.connected_to(hear, app):
        answers = at_once(lambda: admin.post("save"), lambda: twin.post("save", **fields))
    assert {answer.status_code for answer in answers} == {303}
    assert len(heard) == len(active(app)) == 1


@both_databases
def test_two_first_settings_at_once_are_one_after_the_other(app: Flask) -> None:
    """The second is told that the first was there; neither fails, and one is stored."""
    first, second = Admin(app), Admin(app)

    def save(admin: Admin, tenant: str) -> TestResponse:
        return admin.post("save", sso_provider="microsoft", directory=tenant, cloud="global")

    answers = at_once(lambda: save(first, TENANT), lambda: save(second, OTHER_TENANT))
    assert Counter(answer.status_code for answer in answers) == {303: 1, 422: 1}
    refused = next(answer for answer in answers if answer.status_code == 422)
    assert "Somebody else changed these settings" in refused.text
    in_force, pending = settings(app)
    assert in_force is None
    assert pending.tenant_id in (TENANT, OTHER_TENANT)
    assert f'value="{pending.tenant_id}"' in refused.text


def test_saving_a_token_undoes_nothing_that_somebody_else_has_set(app: Flask) -> None:
    """A form that was opened before says None; the directory that is set by now stays, the
    token is activated all the same, and the next Save is of what is there now."""
    admin, other = Admin(app), Admin(app)
    admin.generate()
    other.post("save", sso_provider="microsoft", directory=TENANT, cloud="global")
    answer = admin.post("save", sso_provider="none")
    assert answer.status_code == 422
    assert "Somebody else changed these settings" in answer.text
    assert len(active(app)) == 1
    assert settings(app)[1].tenant_id == TENANT
    admin.fields = admin.read(answer)
    assert admin.post("save", sso_provider="none").status_code == 303
    assert settings(app) == (None, None)


def test_what_was_typed_before_generate_stays_bound_to_what_was_read(app: Flask) -> None:
    """Generate keeps the typed settings; it must not make them look as if they were new."""
    admin, other = Admin(app), Admin(app)
    other.post("save", sso_provider="microsoft", directory=TENANT, cloud="global")
    answer = admin.post("generate", sso_provider="none")
    admin.fields = admin.read(answer)
    assert admin.post("save", sso_provider="none").status_code == 422
    assert settings(app)[1].tenant_id == TENANT


@both_databases
def test_generate_and_discard_at_once_lose_no_text(app: Flask) -> None:
    """Who generates sees the token, whatever becomes of it the moment after."""
    for _ in range(4):
        first, second, third = Admin(app), Admin(app), Admin(app)
        answers = at_once(
            lambda a=first: a.post("generate"),
            lambda a=second: a.post("generate"),
            lambda a=third: a.post("discard"),
        )
        assert [answer.status_code for answer in answers] == [200, 200, 303]
        assert all("h5mag_scim_" in answer.text for answer in answers[:2])


@both_databases
def test_the_shell_makes_no_third_token_at_the_same_moment(app: Flask) -> None:
    """Two are active at most, however many operators there are."""
    make_token(app, "acme")
    words = ["scim", "token", "create", "--account", "acme", "--name", "x"]
    runs = at_once(*[lambda: app.test_cli_runner().invoke(args=words)] * 3)
    assert sorted(run.exit_code for run in runs) == [0, 1, 1]
    assert len(active(app)) == 2


def test_a_token_from_the_shell_leaves_the_pages_draft_alone(app: Flask) -> None:
    """An admin between Generate and Save finds the draft still there."""
    admin = Admin(app)
    admin.generate()
    words = ["scim", "token", "create", "--account", "acme", "--name", "x"]
    assert app.test_cli_runner().invoke(args=words).exit_code == 0
    assert admin.post("save").status_code == 303
    assert len(active(app)) == 2


@both_databases
@pytest.mark.parametrize("name", ["a\x00b", "a\x07\u202eb"])
def test_a_name_that_no_database_keeps_is_cleaned(app: Flask, name: str) -> None:
    """Characters that nobody can see are left out of a token's name."""
    admin = Admin(app)
    admin.generate()
    assert admin.post("save", name=name).status_code == 303
    assert [token.name for token in active(app)] == ["ab"]
