"""What a host's own forms hear of people whom Microsoft Entra manages."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask, render_template_string

from example_app.models import Account, User, db
from example_app.provisioning import scim
from flask_h5mag_scim.records import links

from .conftest import Entra, both_databases

WRITTEN = {
    "active",
    "display_name",
    "email",
    "external_id",
    "first_name",
    "full_name",
    "language",
    "last_name",
    "locale",
    "role",
    "timezone",
    "user_type",
    "username",
}
TEN = sorted(WRITTEN - {"active", "external_id", "role"})


@contextmanager
def request_of(app: Flask, user_id: Any) -> Iterator[User]:
    """A person, within a request of the host's."""
    with app.test_request_context("/people"):
        yield db.session.get_one(User, uuid.UUID(str(user_id)))


def owner_id(app: Flask, slug: str = "acme") -> uuid.UUID:
    with app.app_context():
        name = f"owner@{slug}.example"
        return db.session.scalars(sa.select(User.id).filter_by(username=name)).one()


def change_account(app: Flask, slug: str, **values: Any) -> None:
    with app.app_context():
        db.session.execute(sa.update(Account).filter_by(slug=slug).values(**values))
        db.session.commit()


@both_databases
def test_who_came_through_scim_is_managed_in_what_the_map_writes(app: Flask, entra: Entra) -> None:
    """Every row that can be written, by the model's name of it or by the SCIM path; what only
    reads, keeps the rest, or is the host's own is not."""
    with request_of(app, entra.user("ada")["id"]) as ada:
        assert scim.managed_attributes(ada) == WRITTEN
        for name in ("first_name", "name.givenName", "NAME.GIVENNAME", "userName"):
            assert scim.managed(ada, name)
        assert scim.managed(ada, 'emails[type eq "work"].value')
        for name in ("created_at", "scim_extra", "password_hash", "id"):
            assert not scim.managed(ada, name)


@both_databases
def test_whom_scim_has_not_written_nobody_manages(app: Flask, entra: Entra) -> None:
    """Until the first write: a read and a search leave somebody to the host."""
    key = owner_id(app)
    assert entra.get(f"/Users/{key}").status_code == 200
    with request_of(app, key) as owner:
        assert scim.managed_attributes(owner) == frozenset()
        assert not scim.managed(owner, "first_name")
    rename = {"op": "replace", "path": "name.givenName", "value": "Olivia"}
    assert entra.patch(f"/Users/{key}", rename).status_code == 200
    with request_of(app, key) as owner:
        assert scim.managed_attributes(owner) == WRITTEN


@both_databases
def test_it_is_the_users_own_account_that_counts(app: Flask, other_entra: Entra) -> None:
    """Who was moved to another account is not managed there: its SCIM has never written them."""
    key = other_entra.user("ada")["id"]
    with app.app_context():
        acme = sa.select(Account.id).filter_by(slug="acme").scalar_subquery()
        db.session.execute(sa.update(User).where(User.id == uuid.UUID(key)).values(account_id=acme))
        db.session.commit()
    with request_of(app, key) as ada:
        assert scim.managed_attributes(ada) == frozenset()


@both_databases
def test_without_a_licence_the_hosts_own_admins_edit(app: Flask, entra: Entra) -> None:
    """Microsoft Entra is refused then; with the licence it manages again."""
    key = entra.user("ada")["id"]
    change_account(app, "acme", plan="professional")
    with request_of(app, key) as ada:
        assert scim.managed_attributes(ada) == frozenset()
    change_account(app, "acme", plan="enterprise")
    with request_of(app, key) as ada:
        assert scim.managed(ada, "role")


@both_databases
def test_who_is_let_go_by_scim_can_be_edited(app: Flask, entra: Entra) -> None:
    """When provisioning is disconnected, nothing is left that says SCIM has written them; a link
    to a person at Microsoft alone manages nobody."""
    key = uuid.UUID(entra.user("ada")["id"])
    with app.app_context():
        account_id = db.session.get_one(User, key).account_id
        links.link(
            db.session(), scim.records, account_id, key, tenant_id="t" * 36, oid=str(uuid.uuid4())
        )
        db.session.execute(sa.update(scim.UserLink).values(provisioned_at=None))
        db.session.commit()
    with request_of(app, key) as ada:
        assert scim.managed_attributes(ada) == frozenset()


def test_nobody_and_somebody_new_are_not_managed(app: Flask) -> None:
    """A form for a new person, a visitor and a row of another table are the host's own."""
    with app.test_request_context("/people"):
        account = db.session.scalars(sa.select(Account)).first()
        for each in (None, User(), account, SimpleNamespace(id=1)):
            assert scim.managed_attributes(each) == frozenset()
            assert not scim.managed(each, "first_name")


@pytest.mark.parametrize("name", ["firstname", "name.given", "", "name", "emails"])
def test_a_misspelt_name_opens_no_field(app: Flask, entra: Entra, name: str) -> None:
    """It raises, for everybody alike, and says which names there are."""
    for key in (entra.user("ada")["id"], owner_id(app)):
        with request_of(app, key) as user, pytest.raises(ValueError, match="first_name") as refused:
            scim.managed(user, name)
        assert repr(name) in str(refused.value)


FORM = """
{% from "h5mag_scim/managed.html" import managed_attrs, managed_note %}
{% for name in names %}
<input id="{{ name }}" {{ managed_attrs(user, name) }}>{{ managed_note(user, name) }}
{% endfor %}
"""


@both_databases
def test_a_form_with_ten_fields_asks_once(
    app: Flask, entra: Entra, statements: Callable[[], Any]
) -> None:
    """One statement for each person and request, also in the view; the next request asks anew."""
    keys = [entra.user(name)["id"] for name in ("ada", "bo")]
    with app.app_context():  # which the requests share, as in a host's tests
        for _ in range(2):
            with app.test_request_context("/people"):
                people = [db.session.get_one(User, uuid.UUID(key)) for key in keys]
                with statements() as seen:
                    for user in people:
                        page = render_template_string(FORM, user=user, names=TEN)
                        assert page.count(" disabled ") == len(TEN) == 10
                        assert scim.managed_attributes(user) == WRITTEN
                assert len(seen) == 2
        db.session.execute(sa.update(scim.UserLink).values(provisioned_at=None))
        with app.test_request_context("/people"):
            assert scim.managed_attributes(people[0]) == frozenset()


@both_databases
def test_a_list_with_fields_asks_once(
    app: Flask, entra: Entra, statements: Callable[[], Any]
) -> None:
    """``provisioned`` has asked about everybody; what follows for each of them is free."""
    keys = [uuid.UUID(entra.user(f"user{number}")["id"]) for number in range(20)]
    with app.test_request_context("/people"):
        people = db.session.scalars(sa.select(User).filter(User.account.has(slug="acme"))).all()
        account = people[0].account
        with statements() as seen:
            assert scim.provisioned(account, people) == set(keys)
            assert sum(scim.managed(user, "role") for user in people) == len(keys)
        assert len(seen) == 1
        account.plan = "professional"
        assert not any(scim.managed(user, "role") for user in people)
        db.session.rollback()


def test_outside_a_request_every_question_is_asked(app: Flask, entra: Entra) -> None:
    """A worker that lives for days hears what has changed."""
    key = uuid.UUID(entra.user("ada")["id"])
    with app.app_context():
        ada = db.session.get_one(User, key)
        assert scim.managed(ada, "first_name")
        db.session.execute(sa.update(scim.UserLink).values(provisioned_at=None))
        assert not scim.managed(ada, "first_name")


def test_asking_writes_nothing(app: Flask, entra: Entra) -> None:
    """A form that is shown again may hold what the database would refuse."""
    with request_of(app, entra.user("ada")["id"]) as ada:
        ada.username = "owner@acme.example"
        assert scim.managed(ada, "username")
        db.session.rollback()


def test_the_macros_tie_the_reason_to_the_field(app: Flask, entra: Entra) -> None:
    """Disabled, and described by the note beside it; a field that is not managed stays as it
    is, with its own hint."""
    markup = (
        '{% from "h5mag_scim/managed.html" import managed_attrs, managed_note %}'
        '<input{{ managed_attrs(user, "first_name", hint="hint") }}>'
        '{{ managed_note(user, "first_name") }}'
        "<select{{ managed_attrs(user, 'emails[type eq \"work\"].value', form='2') }}></select>"
        "{{ managed_note(user, 'emails[type eq \"work\"].value', form='2', class='mine') }}"
    )
    with request_of(app, entra.user("ada")["id"]) as ada:
        page = render_template_string(markup, user=ada)
    id = "scim-managed-2-emails%5Btype%20eq%20%22work%22%5D.value"
    assert page == (
        '<input disabled aria-describedby="scim-managed-first_name hint">'
        '<small class="scim-managed" id="scim-managed-first_name">'
        "Managed by Microsoft Entra ID</small>"
        f'<select disabled aria-describedby="{id}"></select>'
        f'<small class="mine" id="{id}">Managed by Microsoft Entra ID</small>'
    )
    with request_of(app, owner_id(app)) as owner:
        page = render_template_string(markup, user=owner)
    assert page == '<input aria-describedby="hint"><select></select>'
