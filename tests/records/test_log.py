"""The provisioning log."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask import Flask

from example_app.models import Account, db
from example_app.provisioning import scim
from flask_h5mag_scim.records import log
from flask_h5mag_scim.records.log import Event

from ..conftest import both_databases


def accounts() -> list[Any]:
    return list(db.session.scalars(sa.select(Account.id).order_by(Account.slug)))


@both_databases
def test_an_entry_keeps_what_it_is_told_and_no_more_than_fits(app: Flask) -> None:
    """Long texts are cut and what a database cannot keep is replaced: the log must not fail
    on what it tells of."""
    with app.app_context():
        acme, *_ = accounts()
        log.record(
            db.session,
            scim.records,
            acme,
            Event.REFUSED,
            actor="a" * 300,
            method="PATCH",
            resource_type="User",
            resource_id="\x00" + "i" * 300,
            status=400,
            scim_type="invalidValue",
            detail="\x00" + "d" * 3000,
            paths=["userName"],
            ignored=["costume"],
        )
        db.session.commit()
        (entry,) = log.recent(db.session, scim.records, acme, limit=5)
        assert (entry.event, entry.method, entry.status) == ("request.refused", "PATCH", 400)
        assert (entry.resource_type, entry.scim_type) == ("User", "invalidValue")
        assert (entry.paths, entry.ignored) == (["userName"], ["costume"])
        assert (len(entry.actor), len(entry.resource_id), len(entry.detail)) == (255, 255, 2000)
        assert entry.detail.startswith("\ufffd")
        assert entry.at.tzinfo is not None
        db.session.remove()


def test_recent_is_newest_first_and_of_one_account(app: Flask) -> None:
    """A customer reads its own log and no other's."""
    with app.app_context():
        acme, globex, _ = accounts()
        for number in range(5):
            log.record(db.session, scim.records, acme, Event.USER_CREATED, resource_id=str(number))
        log.record(db.session, scim.records, globex, Event.USER_CREATED, resource_id="theirs")
        found = log.recent(db.session, scim.records, acme, limit=3)
        assert [entry.resource_id for entry in found] == ["4", "3", "2"]
        db.session.rollback()


def test_an_entry_lives_and_dies_with_the_caller_s_transaction(app: Flask) -> None:
    """A change that is taken back was never logged."""
    with app.app_context():
        acme, *_ = accounts()
        log.record(db.session, scim.records, acme, Event.USER_CREATED)
        db.session.rollback()
        assert log.recent(db.session, scim.records, acme, limit=5) == []
