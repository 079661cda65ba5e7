"""RFC 7644 §3.12 in full: every status of table 8 and every scimType of table 9 that this
server gives, each by one request, and that the request changed nothing."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.test import TestResponse

from example_app.models import db
from flask_h5mag_scim.protocol import errors
from flask_h5mag_scim.records import log
from flask_h5mag_scim.web import cursors

from ..conftest import Entra, both_databases, error_of, make_token

#: What tables 8 and 9 have and this server never sends, and why.
NEVER_STATUS = {
    307: "it redirects nobody: doubled and trailing slashes are taken as they come",
    308: "the same",
}
NEVER_SCIM_TYPE = {
    "tooMany": "a list is cut into pages instead, each as large as the server likes",
    "invalidVers": "the version stands in the address, and below the prefix there is only one",
    "sensitive": "Microsoft Entra ID looks people up by a filter in the address, and has no "
    "other way",
}


@dataclass
class World:
    """An account with a person in a team, and what can break on the way to it."""

    entra: Entra
    unlicensed: Entra
    ada: str
    monkeypatch: pytest.MonkeyPatch

    def patch(self, *operations: Any) -> TestResponse:
        """A PATCH of ada whose first operation is a good one."""
        good = {"op": "replace", "path": "displayName", "value": "must not stick"}
        return self.entra.patch(f"/Users/{self.ada}", good, *operations)

    def search(self, **parameters: str) -> TestResponse:
        return self.entra.client.get(
            "/scim/v2/Users",
            query_string=parameters,
            headers={"Authorization": f"Bearer {self.entra.token}"},
        )

    def next_page(self, count: str, lifetime: timedelta = cursors.LIFETIME) -> TestResponse:
        """The second page of a list that began with pages of one."""
        cursor = self.search(cursor="", count="1").get_json()["nextCursor"]
        with self.monkeypatch.context() as patched:
            patched.setattr(cursors, "LIFETIME", lifetime)
            return self.search(cursor=cursor, count=count)

    def create_while(self, trouble: Exception) -> TestResponse:
        """A POST that fails after the user was written; the refusal itself is logged."""
        record, troubles = log.record, [trouble]

        def fail_once(*args: Any, **options: Any) -> None:
            if troubles:
                raise troubles.pop()
            record(*args, **options)

        with self.monkeypatch.context() as patched:
            patched.setattr(log, "record", fail_once)
            return self.entra.post("/Users", NEW)


NEW = {"userName": "new@example.com", "active": True}
OF_NOBODY = {"displayName": "New", "members": [{"value": str(uuid.uuid4())}]}

Request = Callable[[World], TestResponse]

#: Table 8, and what HTTP itself adds to it: status, scimType, request.
STATUSES: list[tuple[int, str | None, Request]] = [
    (400, None, lambda w: w.create_while(errors.SCIMError("The application says no."))),
    (400, "invalidSyntax", lambda w: w.entra.put(f"/Users/{w.ada}", "[]")),
    (401, None, lambda w: w.entra.post("/Users", NEW, headers={"Authorization": "Bearer x"})),
    (403, None, lambda w: w.unlicensed.post("/Users", NEW)),
    (404, None, lambda w: w.entra.delete(f"/Users/{uuid.uuid4()}")),
    (405, None, lambda w: w.entra.delete("/Users")),
    (409, "uniqueness", lambda w: w.entra.post("/Groups", {"displayName": "EDITORS"})),
    (409, None, lambda w: w.create_while(sa.exc.IntegrityError("", {}, Exception("late")))),
    (412, None, lambda w: w.entra.delete(f"/Users/{w.ada}", headers={"If-Match": 'W/"old"'})),
    (413, None, lambda w: w.entra.post("/Users", " " * (4 * 1024 * 1024 + 1))),
    (415, None, lambda w: w.entra.post("/Users", NEW, content_type="text/xml")),
    (500, None, lambda w: w.create_while(RuntimeError("a fault"))),
    (501, None, lambda w: w.entra.get("/Me")),
    (503, None, lambda w: w.create_while(sa.exc.OperationalError("", {}, Exception("locked")))),
]

#: Table 9: status, scimType, request.
SCIM_TYPES: list[tuple[int, str, Request]] = [
    (400, "invalidFilter", lambda w: w.search(filter='userName like "ada"')),
    (409, "uniqueness", lambda w: w.entra.post("/Users", {**NEW, "userName": "ADA@example.com"})),
    (400, "mutability", lambda w: w.patch({"op": "replace", "path": "id", "value": "x"})),
    (400, "mutability", lambda w: w.patch({"op": "remove", "path": "userName"})),
    (400, "invalidSyntax", lambda w: w.entra.post("/Users", "{")),
    (400, "invalidPath", lambda w: w.patch({"op": "replace", "path": "name[", "value": "x"})),
    (400, "noTarget", lambda w: w.patch({"op": "remove"})),
    (400, "invalidValue", lambda w: w.entra.post("/Groups", OF_NOBODY)),
    (400, "invalidValue", lambda w: w.patch({"op": "replace", "path": "active", "value": "?"})),
]


#: What RFC 9865 §2.1 adds to table 9.
CURSORS: list[tuple[int, str, Request]] = [
    (400, "invalidCursor", lambda w: w.search(cursor="x")),
    (400, "expiredCursor", lambda w: w.next_page("1", timedelta(seconds=-1))),
    (400, "invalidCount", lambda w: w.next_page("2")),
]

CASES = [*STATUSES, *SCIM_TYPES, *CURSORS]


def dump(app: Flask) -> dict[str, list[Any]]:
    """Every row of the host's people, teams and memberships, in all accounts."""
    with app.app_context():
        return {
            name: sorted(map(repr, db.session.execute(sa.select(db.metadata.tables[name]))))
            for name in ("user", "team", "team_member")
        }


@pytest.fixture
def world(app: Flask, entra: Entra, monkeypatch: pytest.MonkeyPatch) -> World:
    ada = entra.user("ada", displayName="Ada")["id"]
    entra.group("Editors", members=[{"value": ada}])
    unlicensed = Entra(entra.client, make_token(app, "umbrella"))
    return World(entra, unlicensed, ada, monkeypatch)


@both_databases
@pytest.mark.parametrize(
    ("status", "scim_type", "send"),
    [pytest.param(*case, id=" ".join(map(str, filter(None, case[:2])))) for case in CASES],
)
def test_an_error_is_a_scim_error_and_changes_nothing(
    app: Flask, world: World, status: int, scim_type: str | None, send: Request
) -> None:
    """The status is the one in the body, the scimType is the table's, and people, teams and
    memberships are what they were."""
    before = dump(app)
    error_of(send(world), status, scim_type)
    assert dump(app) == before


@both_databases
def test_what_the_client_has_already_is_no_error_and_no_body(app: Flask, world: World) -> None:
    """304 (RFC 7644 §3.14), and the next page of a list that has not changed is there."""
    before = dump(app)
    path = f"/Users/{world.ada}"
    tag = world.entra.get(path).headers["ETag"]
    answer = world.entra.get(path, headers={"If-None-Match": tag})
    assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", tag)
    assert world.next_page("1").status_code == 200
    assert dump(app) == before


def every_error() -> Iterator[type[errors.SCIMError]]:
    """The classes of errors; all but the one for whatever the web framework says."""
    found = [errors.SCIMError]
    while found:
        one = found.pop()
        found += one.__subclasses__()
        if one is not errors.OtherHTTPError:
            yield one


def test_no_error_of_the_package_is_without_a_request_here() -> None:
    """A status or a scimType that is added later is tested as well, or says why it is not."""
    tried = {(status, scim_type) for status, scim_type, _ in CASES}
    known = {(one.status, one.scim_type) for one in every_error()}
    assert known == tried
    assert not {status for status, _ in tried} & set(NEVER_STATUS)
    assert not {scim_type for _, scim_type in tried} & set(NEVER_SCIM_TYPE)
