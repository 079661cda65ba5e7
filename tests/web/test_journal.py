"""What the log keeps of each SCIM request."""

from __future__ import annotations

import dataclasses
import json
import re
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask, abort

from example_app.models import db
from example_app.provisioning import scim
from flask_h5mag_scim.config import LogValues
from flask_h5mag_scim.protocol import masks
from flask_h5mag_scim.records import log, request_ids
from flask_h5mag_scim.records.models import now
from flask_h5mag_scim.web import tracing
from flask_h5mag_scim.web.exchange import MAX_BODY

from ..conftest import PUBLIC_URL, Entra, both_databases, make_token

HEADER = "X-Request-Id"
ADA = {
    "userName": "ada.lovelace@example.com",
    "displayName": "Augusta Lovelace",
    "name": {"givenName": "Augusta", "familyName": "Lovelace", "formatted": "Augusta King"},
    "emails": [{"type": "work", "value": "countess@example.com", "primary": True}],
    "title": "Enchantress of Number",
    "externalId": "0d4c7a1e-lovelace",
    "userType": "Mathematician",
}
#: What of it nobody may find in a masked log.
PERSONAL = re.compile(
    r"lovelace|augusta|king|countess|enchant|number|0d4c|mathemat|10 downing", re.IGNORECASE
)


@pytest.fixture
def entries(app: Flask) -> Callable[[], list[Any]]:
    """All entries of the log about requests, oldest first."""

    def read() -> list[Any]:
        with app.app_context():
            Entry = scim.LogEntry
            return list(db.session.scalars(sa.select(Entry).order_by(Entry.id)))

    return read


def keep(app: Flask, values: LogValues) -> None:
    """Set how much of values the log keeps."""
    state = app.extensions["h5mag_scim"]
    state.config = dataclasses.replace(state.config, log_values=values)


def whole(entry: Any) -> str:
    """Everything that a row has, as text."""
    return json.dumps(
        {column.name: getattr(entry, column.name) for column in scim.LogEntry.__table__.columns},
        default=str,
        ensure_ascii=False,
    )


# Which request it was


@both_databases
def test_every_entry_of_a_request_has_the_id_that_its_answer_says(
    app: Flask, entra: Entra, entries: Any
) -> None:
    """A customer tells support one id, and support finds what happened by it."""
    answers = [
        entra.post("/Users", ADA),
        entra.post("/Users", ADA),  # refused: 409
        entra.post("/Users", "no JSON"),
        entra.get("/Nowhere"),
    ]
    assert [entry.request_id for entry in entries()] == [a.headers[HEADER] for a in answers]
    assert len({answer.headers[HEADER] for answer in answers}) == 4
    assert [entry.status for entry in entries()] == [201, 409, 400, 404]


def test_answers_that_leave_no_entry_have_an_id_as_well(app: Flask, entra: Entra) -> None:
    """Reading, a token that nobody knows, a verb that is not there, the token endpoint, and
    what the host itself refuses before anything of ours is asked."""
    paths = ["/Users", "/Schemas", "/ServiceProviderConfig"]
    answers = [entra.get(path) for path in paths]
    answers.append(Entra(entra.client, "unknown").get("/Users"))
    answers.append(entra.send("TRACE", "/Users"))
    answers.append(entra.client.post("/scim-oauth/token"))
    app.before_request_funcs[None].append(lambda: abort(418))
    answers.append(entra.get("/Users"))
    assert answers[-1].status_code == 418
    assert all(request_ids.time_of(answer.headers[HEADER]) for answer in answers)
    assert len({answer.headers[HEADER] for answer in answers}) == len(answers)


def test_no_client_chooses_the_id(entra: Entra) -> None:
    """It would else hide behind somebody else's request."""
    mine = str(uuid.uuid4())
    answer = entra.get("/Users", headers={HEADER: mine, "H5mag-Scim.Trace": mine})
    assert answer.headers[HEADER] != mine


def test_an_id_says_when_the_request_was_made() -> None:
    """So its entries are looked for in one minute of the log, and ids sort by time."""
    before = now() - timedelta(milliseconds=1)
    ids = [request_ids.new_id() for _ in range(100)]
    times = [request_ids.time_of(id) for id in ids]
    assert all(before <= at <= now() for at in times if at is not None)
    assert len(set(ids)) == 100
    assert {uuid.UUID(id).version for id in ids} == {7}
    assert {uuid.UUID(id).variant for id in ids} == {uuid.RFC_4122}
    assert [id[:13] for id in ids] == sorted(id[:13] for id in ids)
    assert request_ids.time_of(ids[0].upper()) == times[0]
    for wrong in (
        "",
        "x",
        str(uuid.uuid4()),
        ids[0][:-1],
        "{" + ids[0] + "}",
        "f" * 8 + ids[0][8:],
    ):
        assert request_ids.time_of(wrong) is None


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (None, None),
        ("", None),
        ("5.0", "5.0"),
        ("Date:11/23/2026 06:03:13 AM, ActivityId:6f0a-1b", "6f0a-1b"),
        ("Date: Mon, activityid: 6f0a-1b, More:x", "6f0a-1b"),
        ("ActivityId:<script>", "ActivityId:<script>"),
        ("a\tb\x85c\xa0d", "a b c d"),
        ("x" * 5000, "x" * 255),
    ],
)
def test_microsoft_s_own_id_is_kept_as_text(
    entra: Entra, entries: Any, sent: str | None, kept: str | None
) -> None:
    """The client chooses it: no line breaks, no more than fits, and nothing is believed."""
    entra.post("/Users", ADA, headers={} if sent is None else {"ADSCIMVersion": sent})
    assert [entry.correlation_id for entry in entries()] == [kept]


@both_databases
def test_entries_name_the_credential_and_how_long_it_took(
    app: Flask, entra: Entra, entries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a change, of a refusal, and of the token endpoint's."""
    ticks = iter(range(1, 1000))
    monkeypatch.setattr(tracing.time, "monotonic", lambda: next(ticks) / 4)
    entra.post("/Users", ADA)
    entra.post("/Users", ADA)
    unsaved = Entra(entra.client, make_token(app, "acme", state="draft"))
    assert unsaved.get("/Users").status_code == 401
    with app.app_context():
        fingerprints = {token.name: token.fingerprint for token in db.session.query(scim.Token)}
    mine, drafts = fingerprints["test"], fingerprints[""]
    assert [entry.fingerprint for entry in entries()] == [mine, mine, drafts]
    assert [entry.duration for entry in entries()] == [250, 250, 250]


def test_the_operations_of_a_bulk_request_share_its_id_and_have_their_own_data(
    app: Flask, entra: Entra, entries: Any
) -> None:
    """Each entry shows what was sent for it, at its own address, and not the whole."""
    cy = entra.user("cy")
    before = len(entries())
    answer = entra.post(
        "/Bulk",
        {
            "Operations": [
                {"method": "POST", "path": "/Users", "bulkId": "a", "data": ADA},
                {"method": "POST", "path": "/Users", "bulkId": "b", "data": {"active": "maybe"}},
                {"method": "DELETE", "path": f"/Users/{cy['id']}"},
                {"method": "ABCDEFGHIJKLMNOP", "path": "/Users/ada@example.com"},
            ]
        },
    )
    assert answer.status_code == 200
    found = entries()[before:]
    assert {entry.request_id for entry in found} == {answer.headers[HEADER]}
    assert [(e.method, e.address, e.status) for e in found] == [
        ("POST", "/Users", 201),
        ("POST", "/Users", 400),
        ("DELETE", f"/Users/{cy['id']}", 204),
        ("…", "/Users/…", 400),
    ]
    assert "maybe" not in found[0].body
    assert json.loads(found[1].body) == {"active": "m•••"}
    assert found[2].body is None


@both_databases
def test_the_token_endpoint_s_entries_say_the_request_too(
    app: Flask, entra: Entra, entries: Any
) -> None:
    """Of an issue and of a refusal; nothing of what was posted is kept, which is secrets."""
    sent = {"grant_type": "client_credentials", "client_id": "wrong", "client_secret": entra.token}
    refused = entra.client.post(
        "/scim-oauth/token", data=sent, headers={"ADSCIMVersion": "ActivityId:6f0a"}
    )
    assert refused.status_code == 401
    (entry,) = entries()
    assert entry.event == log.Event.OAUTH_REFUSED
    assert entry.request_id == refused.headers[HEADER]
    assert (entry.correlation_id, entry.body, entry.changes) == ("6f0a", None, {})
    assert entry.fingerprint in entry.actor
    assert entry.duration is not None
    assert entra.token not in whole(entry)


# The address


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/Users/ada@example.com", "/Users/…"),
        ("/Nowhere/ada", "/…/…"),
        ("/scim/Users", "/scim/Users"),
        ("/a/b/c/d/e/f/g/h/i", "/…/…/…/…/…/…/…"),
        ('/Users?filter=userName eq ada@x "', "/Users?filter=userName eq … …"),
        (
            '/Users?filter=emails[type eq "work"] eqq "a"',
            '/Users?filter=emails[type eq "work"] … …',
        ),
        ('/Users?filter=name.givenName sw "Ada" and', "/Users?filter=name.givenName sw … and"),
        ("/Users?filter=Ada Lovelace", "/Users?filter=… …"),
        ("/Users?filter=Lovelace", "/Users?filter=…"),
        ("/Users?filter=userName eq .Lovelace", "/Users?filter=userName eq …"),
        ("/Users?filter=userName eq Ada and", "/Users?filter=userName eq … and"),
        ("/Users?filter=userName eq Ada eq x", "/Users?filter=userName eq … eq …"),
        ("/Users?startIndex=1&count=x", "/Users?startIndex=1&count=…"),
        ("/Users?cursor=secret&count=5", "/Users?cursor=…&count=5"),
        ("/Users?sortBy=ada@x&sortOrder=ascending", "/Users?sortBy=…&sortOrder=ascending"),
        ("/Users?filter=x eq &who=ada&<b>=1", "/Users?filter=x eq &who=…&…=…"),
        (
            "/Users?attributes=userName,title&filter=a eq",
            "/Users?attributes=userName,title&filter=a eq",
        ),
    ],
)
def test_an_address_is_kept_without_whom_it_is_about(
    entra: Entra, entries: Any, path: str, shown: str
) -> None:
    """What a filter compares with, what is no id, cursors and unknown parameters are left out,
    even where none of it can be read; names of attributes and operators stay."""
    assert entra.get(path).status_code >= 400
    (entry,) = entries()
    assert entry.address == shown


def test_a_long_address_is_cut(entra: Entra, entries: Any) -> None:
    """It is the client's, and a column is not."""
    many = "&".join(f"filter=userName eq {n}" + " and title pr" * 200 for n in range(20))
    assert entra.get(f"/Users?{many}").status_code >= 400
    assert len(entries()[0].address) <= 500


# Before and after


@both_databases
def test_an_entry_shows_before_and_after_of_what_was_written(
    app: Flask, entra: Entra, entries: Any
) -> None:
    """In full only where the host wants it; by the names that the page has for attributes."""
    keep(app, LogValues.FULL)
    user = entra.post("/Users", {**ADA, "roles": [{"value": "editor"}]}).get_json()
    entra.patch(
        f"/Users/{user['id']}",
        {"op": "replace", "path": 'emails[type eq "work"].value', "value": "new@example.com"},
        {"op": "replace", "path": "active", "value": "False"},
        {"op": "add", "path": "title", "value": "Countess"},
        {"op": "remove", "path": "userType"},
        {"op": "replace", "path": "displayName", "value": ADA["displayName"]},
    )
    entra.delete(f"/Users/{user['id']}")
    created, patched, deleted = entries()
    assert created.changes["displayName"] == [None, "Augusta Lovelace"]
    assert patched.changes == {
        'emails[type eq "work"].value': ["countess@example.com", "new@example.com"],
        "active": [True, False],
        "title": ["Enchantress of Number", "Countess"],
        "userType": ["Mathematician", None],
    }
    assert set(patched.changes) == set(patched.paths)
    assert deleted.changes["userName"] == ["ada.lovelace@example.com", None]
    assert deleted.changes["name.givenName"] == ["Augusta", None]
    assert deleted.changes["active"] == [False, None]
    assert not {"id", "meta", "meta.created", "groups"} & deleted.changes.keys()


@both_databases
def test_a_masked_log_holds_nothing_personal(app: Flask, entra: Entra, entries: Any) -> None:
    """The default: first letters and the domains of addresses, in what was written, what was
    refused, and what could not even be read. True and false stay, and so do ids."""
    user = entra.post("/Users", ADA).get_json()
    path = f"/Users/{user['id']}"
    entra.post("/Users", ADA)
    entra.put(path, {**ADA, "title": "10 Downing Street", "active": "Lovelace"})
    entra.patch(path, {"op": "add", "value": {'emails[value eq "countess@example.com"].x': "y"}})
    entra.patch(path, {"op": "replace", "path": 'emails[value eq "countess"]', "value": "King"})
    entra.patch(path, {"op": "replace", "path": "Augusta Lovelace", "value": "King"})
    entra.patch(path, {"op": "replace", "path": "Lovelace, Augusta", "value": "King"})
    entra.patch(path, {"op": "add", "path": "profileUrl", "value": "https://tv.example/@lovelace"})
    entra.patch(path, {"op": "add", "path": "nickName", "value": "@countess"})
    entra.patch(path, {"op": "replace", "path": "active", "value": "False"})
    entra.post("/Users", '{"userName": "ada.lovelace@example.com"')
    entra.send("POST", "/Users", "lovelace", content_type="text/lovelace; king=augusta")
    entra.post("/.search", {"filter": 'displayName eq "Lovelace'})
    entra.post(
        "/Bulk", {"Operations": [{"method": "POST", "path": "/Users/lovelace", "data": ADA}]}
    )
    entra.post("/Bulk", {"Operations": [{"method": "Augusta", "path": "/Users", "data": ADA}]})
    entra.get("/Users/countess@example.com?filter=userName eq lovelace")
    entra.get("/Users?sortBy=Lovelace, Ada")
    entra.delete(path)
    found = entries()
    assert len(found) == 18
    for entry in found:
        # An attribute's own name may be "number" or the media type's; the values may not.
        text = whole(entry).replace("text/lovelace", "").replace("employeeNumber", "")
        assert not PERSONAL.search(text), text
    first, last = found[0], found[-1]
    assert first.changes["userName"] == [None, "a•••@example.com"]
    assert first.changes["displayName"] == [None, "A•••"]
    assert last.changes["userName"] == ["a•••@example.com", None]
    (left,) = [e for e in found if e.event == log.Event.USER_DEACTIVATED]
    assert left.changes == {"active": [True, False]}
    assert json.loads(left.body)["Operations"] == [
        {"op": "replace", "path": "active", "value": "False"}
    ]
    assert user["id"] in last.address


def test_what_is_no_json_is_described_and_not_kept(entra: Entra, entries: Any) -> None:
    """What cannot be read cannot be masked: its media type and its length stay."""
    entra.post("/Users", '{"userName": "ada"')
    entra.post("/Users", "a,b", content_type="text/csv")
    entra.post("/Users", "a,b", content_type="ada lovelace; x")
    entra.post("/Users", '["ada"]', content_type="application/json")
    assert [entry.body for entry in entries()] == [
        "application/scim+json, 18 bytes",
        "text/csv, 3 bytes",
        "?, 3 bytes",
        "application/json, 7 bytes",
    ]


def test_a_body_that_is_too_large_is_described_too(entra: Entra, entries: Any) -> None:
    """It is not even read."""
    assert entra.post("/Users", '{"userName": "' + "a" * MAX_BODY + '"}').status_code == 413
    assert entries()[0].body == f"application/scim+json, {MAX_BODY + 16:,} bytes"


@pytest.mark.parametrize("values", list(LogValues))
def test_no_password_is_ever_kept(
    app: Flask, entra: Entra, entries: Any, values: LogValues
) -> None:
    """Wherever in a request it stands, and however much the host lets the log keep."""
    keep(app, values)
    user = entra.post("/Users", {**ADA, "password": "sesame"}).get_json()
    path = f"/Users/{user['id']}"
    custom = "urn:ietf:params:scim:schemas:extension:acme:2.0:User"
    entra.patch(path, {"op": "replace", "path": "password", "value": "sesame"})
    entra.patch(path, {"op": "replace", "Path": "Password", "Value": "sesame"})
    entra.patch(path, {"op": "replace", "value": {"password": "sesame", "title": "x"}})
    entra.patch(path, {"op": "add", "value": {custom: {"apiKey": {"value": ["sesame"]}}}})
    entra.patch(path, {"op": "add", "path": f"{custom}:clientSecret", "value": {"v": "sesame"}})
    entra.patch(path, {"op": "replace", "path": 'x[password eq "sesame"].y', "value": 1})
    entra.put(path, {**ADA, "password": ["sesame"]})
    entra.delete(path)
    assert len(entries()) >= 8
    for entry in entries():
        assert "sesame" not in whole(entry)
        assert entra.token not in whole(entry)


def test_none_keeps_no_value_at_all(app: Flask, entra: Entra, entries: Any) -> None:
    """Names of attributes only: no before, no after, no body, of changes and of refusals."""
    keep(app, LogValues.NONE)
    user = entra.user("ada", title="x")
    group = entra.group(members=[{"value": user["id"]}])
    entra.patch(f"/Users/{user['id']}", {"op": "replace", "path": "active", "value": "maybe"})
    entra.patch(f"/Users/{user['id']}", {"op": "replace", "path": "title", "value": "y"})
    entra.post("/Users", "no JSON")
    entra.delete(f"/Groups/{group['id']}")
    entra.delete(f"/Users/{user['id']}")
    assert len(entries()) == 7
    assert [(entry.changes, entry.body) for entry in entries()] == [({}, None)] * 7
    assert entries()[3].paths == ["title"]


def test_full_keeps_what_was_sent_within_bounds(app: Flask, entra: Entra, entries: Any) -> None:
    """A host may decide so; a table is no archive even then."""
    keep(app, LogValues.FULL)
    entra.post("/Users", {**ADA, "title": "x" * 5000, "nickName": "n\u202e\U0001f600"})
    (entry,) = entries()
    sent = json.loads(entry.body)
    assert sent["name"] == ADA["name"]
    assert sent["nickName"] == "n\u202e\U0001f600"
    assert sent["title"] == "x" * 200 + "…"
    assert entry.changes["title"] == [None, "x" * 200 + "…"]
    entra.post("/Users", {f"custom{n}": "x" * 300 for n in range(500)})
    assert len(entries()[-1].body) == 4001


@pytest.mark.parametrize("state", ["draft", "revoked"])
def test_nothing_is_read_of_who_is_not_let_in(app: Flask, entries: Any, state: str) -> None:
    """The entry says that somebody knocked; their parcel stays closed."""
    Entra(app.test_client(), make_token(app, "acme", state=state)).post("/Users", ADA)
    Entra(app.test_client(), make_token(app, "umbrella")).post("/Users", ADA)
    assert [(entry.status, entry.body) for entry in entries()] == [(401, None), (403, None)]


# Members


@both_databases
def test_members_are_told_by_number_and_the_first_by_id(
    app: Flask, entra: Entra, entries: Any
) -> None:
    """Who came is known exactly; who left only where all that were named did."""
    ids = [entra.user(f"u{n}")["id"] for n in range(30)]
    before = len(entries())
    group = entra.group(members=[{"value": id} for id in ids[:3]])
    path = f"/Groups/{group['id']}"

    def values(*which: str) -> list[dict[str, str]]:
        return [{"value": id} for id in which]

    entra.patch(
        path,
        {"op": "add", "path": "members", "value": values(*ids[2:5])},
        {"op": "remove", "path": "members", "value": values(ids[0])},
    )
    entra.patch(path, {"op": "remove", "path": "members", "value": values(ids[1], ids[20])})
    entra.patch(path, {"op": "replace", "path": "members", "value": values(*ids[4:])})
    entra.patch(path, {"op": "add", "path": "members", "value": values(*ids[4:])})
    found = [entry.changes for entry in entries()[before:]]
    assert "members.removed" not in found[0]
    assert found[0]["members"] == [None, "+3 −0"]
    assert set(found[0]["members.added"][1]) == set(ids[:3])
    assert found[1]["members"] == [None, "+2 −1"]
    assert set(found[1]["members.added"][1]) == set(ids[3:5])
    assert found[1]["members.removed"] == [[ids[0]], None]
    # Two were named and one left: which one, nobody looked.
    assert found[2] == {"members": [None, "+0 −1"]}
    assert found[3]["members"] == [None, "+25 −2"]
    assert len(found[3]["members.added"][1]) == 20
    assert len(found) == 4  # the last one changed nothing


def test_thousands_of_members_cost_the_log_no_more_than_twenty(
    app: Flask, entra: Entra, entries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is kept of a body is cut before it is gone through."""
    looked: list[Any] = []
    walk = masks._Walk.of

    def counting(self: Any, value: Any, *rest: Any) -> Any:
        looked.append(value)
        return walk(self, value, *rest)

    monkeypatch.setattr(masks._Walk, "of", counting)
    group = entra.group()
    looked.clear()
    many = [{"value": str(uuid.uuid4())} for _ in range(5000)]
    answer = entra.patch(f"/Groups/{group['id']}", {"op": "add", "path": "members", "value": many})
    assert answer.status_code == 400
    assert len(looked) < 100
    body = json.loads(entries()[-1].body)
    assert body["Operations"][0]["value"][-1] == "… and 4980 more"


def test_scripts_of_another_origin_may_read_the_id(app: Flask, entra: Entra) -> None:
    """Validators that run in a browser show it."""
    state = app.extensions["h5mag_scim"]
    state.config = dataclasses.replace(state.config, cors_origins=frozenset({PUBLIC_URL}))
    answer = entra.get("/Users", headers={"Origin": PUBLIC_URL})
    assert HEADER in answer.headers["Access-Control-Expose-Headers"]
