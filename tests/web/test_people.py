"""Who somebody at Microsoft is here: links, and what an admin is told of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from example_app.models import Account, User, db
from example_app.provisioning import scim
from flask_h5mag_scim.records import links
from flask_h5mag_scim.web import people
from flask_h5mag_scim.web.people import Reach

from ..conftest import both_databases
from .test_sso import OID, OTHER_TENANT, TENANT, World, app, issuer, world

__all__ = ["app", "issuer", "world"]


def link(world: World, user_id: str, *, tenant: str = TENANT, oid: str = OID) -> None:
    """Store who somebody is at Microsoft."""
    with world.app.app_context():
        user = db.session.get_one(User, uuid.UUID(user_id))
        links.link(db.session, scim.records, user.account_id, user.id, tenant_id=tenant, oid=oid)
        db.session.commit()


# Whom Microsoft can lead to


def reach(world: World, account: Any = None) -> Reach:
    with world.app.app_context():
        found = db.session.get_one(Account, account or world.acme)
        return people.reach(found, TENANT)


@both_databases
def test_people_without_an_object_id_are_counted(
    world: World, statements: Callable[[], Any]
) -> None:
    """Active people of the account whom SCIM wrote, by whether Microsoft can lead to them."""
    assert reach(world) == Reach(1, 0, 0)
    nick = world.person("nick@acme.example", "nick")
    nobody = world.person("nobody@acme.example", "")
    world.change(nobody, external_id=None)
    assert reach(world) == Reach(3, 2, 2)
    link(world, nick)
    assert reach(world) == Reach(3, 2, 1)
    link(world, nick, tenant=OTHER_TENANT)
    assert reach(world) == Reach(3, 2, 2)
    world.person("upper@acme.example", str(uuid.uuid4()).upper())
    world.person("gone@acme.example", "gone")
    gone = world.person("gone.too@acme.example", "gone too")
    world.change(gone, active=False)
    world.person("local@acme.example", "local", provisioned=False)
    globex = world.account("globex")
    world.person("kim@globex.example", "kim", account=globex)
    assert reach(world) == Reach(5, 3, 3)
    assert reach(world, globex) == Reach(1, 1, 1)
    with world.app.app_context():
        acme = db.session.get_one(Account, world.acme)
        with statements() as seen:
            people.reach(acme, TENANT)
    assert len(seen) == 1
