"""Activity through HTTP: the log as an owner reads, searches and exports it."""

from __future__ import annotations

import csv
import io
import json
import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa
from flask import Flask

from example_app.models import User, db
from example_app.provisioning import scim
from flask_h5mag_scim import texts
from flask_h5mag_scim.config import LogValues
from flask_h5mag_scim.protocol import errors
from flask_h5mag_scim.reasons import Reason, SignInReason
from flask_h5mag_scim.records import accounts, break_glass, log, tokens
from flask_h5mag_scim.records.models import LogKind, now
from flask_h5mag_scim.web import access_tokens, explanations, export, refusals
from flask_h5mag_scim.web.activity import ONLY, PAGE_SIZE

from ..conftest import Entra, both_databases, get_account, make_token
from .test_pages import Admin, Page, add_user, change_token, owner, reconfigure

__all__ = ["owner"]  # the fixture

URL = "/account/provisioning/activity"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def write(
    app: Flask, event: log.Event, *, at: datetime | None = None, slug: str = "acme", **what: Any
) -> int:
    """An entry of an account's log; its id."""
    Entry = scim.records.LogEntry
    with app.app_context():
        log.record(db.session, scim.records, get_account(slug).id, event, **what)
        id: int = db.session.scalars(sa.select(sa.func.max(Entry.id))).one()
        if at is not None:
            db.session.execute(sa.update(Entry).where(Entry.id == id).values(at=at))
        db.session.commit()
        return id


def look(owner: Admin, **filters: str) -> Page:
    return owner.open(f"{URL}?{urlencode(filters)}")


def found(page: Page) -> list[str]:
    """The headlines of the entries."""
    return [e.text for e in page.all("span", class_="h5s-entry-what")]


def opened(page: Page, number: int = 0) -> str:
    """All that an entry says when it is opened."""
    return page.all("div", class_="h5s-entry-more")[number].text


# -- words -------------------------------------------------------------------------------


def test_entries_say_who_was_changed_and_how(app: Flask, entra: Entra, owner: Admin) -> None:
    """By the name that the person or group has now; members of groups in words as well."""
    ada = entra.user("ada", displayName="Ada Lovelace")
    grace = entra.user("grace", displayName="Grace Hopper")
    team = entra.group("Editors")
    members = [{"value": ada["id"]}, {"value": grace["id"]}]
    entra.patch(f"/Groups/{team['id']}", {"op": "add", "path": "members", "value": members})
    entra.patch(f"/Groups/{team['id']}", {"op": "remove", "path": "members", "value": members[:1]})
    entra.patch(f"/Users/{ada['id']}", {"op": "replace", "path": "active", "value": False})
    entra.patch(f"/Users/{ada['id']}", {"op": "replace", "path": "active", "value": True})
    assert found(look(owner)) == [
        "Reactivated Ada Lovelace",
        "Deactivated Ada Lovelace",
        "Changed the members of the group Editors: removed Ada Lovelace",
        "Changed the members of the group Editors: added Ada Lovelace, Grace Hopper",
        "Created the group Editors",
        "Created Grace Hopper",
        "Created Ada Lovelace",
    ]


def test_who_was_deleted_is_recognised_by_what_the_mask_lets_through(
    app: Flask, entra: Entra, owner: Admin
) -> None:
    """The domain and a letter of the user name, not the name."""
    ada = entra.user("ada", displayName="Ada Lovelace")
    entra.delete(f"/Users/{ada['id']}")
    page = look(owner)
    assert found(page)[0] == "Deleted a user (a•••@example.com)"
    assert ada["id"] in opened(page)
    assert "Lovelace" not in page.html


def test_an_entry_opens_to_all_that_is_kept_of_the_request(
    app: Flask, entra: Entra, owner: Admin
) -> None:
    """Request id, Microsoft's id, address, token, before and after, ignored attributes, body and
    duration; values masked, and the page says so."""
    ada = entra.user("ada", displayName="Ada Lovelace")
    answer = entra.patch(
        f"/Users/{ada['id']}",
        {"op": "replace", "path": "displayName", "value": "Countess"},
        {"op": "add", "path": "favouriteColour", "value": "blue"},
        headers={
            "ADSCIMVersion": "Date:2026-11-23, ActivityId:5f1c8e0a-1111-4222-8333-9a4d5e6f7a8b"
        },
    )
    page = look(owner)
    text = opened(page)
    assert answer.headers["X-Request-Id"] in text
    assert "Microsoft Entra’s id 5f1c8e0a-1111-4222-8333-9a4d5e6f7a8b" in text
    assert f"PATCH /Users/{ada['id']}" in text
    assert f"Token {tokens.hash_text(entra.token)[:6]}" in text
    row = next(r.text for r in page.all("tr") if "displayName" in r.text and "C•••" in r.text)
    assert row == "displayName A••• C•••"
    assert '"value": "C•••"' in text
    assert "Lovelace" not in page.html
    assert "Values are masked" in page.text
    assert re.search(r"\d+ ms", page.text)
    reconfigure(app, log_values=LogValues.NONE)
    assert "keeps no values in this log" in look(owner).text


def test_members_that_came_and_left_are_named_in_the_table(
    app: Flask, entra: Entra, owner: Admin
) -> None:
    """Ids are what the log has; the page says who they are."""
    people = [entra.user(f"u{n}", displayName=f"Person {n}") for n in range(5)]
    entra.group("All", members=[{"value": one["id"]} for one in people])
    team = entra.group("Some")
    members = [{"value": one["id"]} for one in people]
    entra.patch(f"/Groups/{team['id']}", {"op": "add", "path": "members", "value": members})
    page = look(owner)
    headline = found(page)[0]
    assert re.search(r"added Person \d, Person \d, Person \d and 2 more", headline)
    assert all(f"Person {n}" in opened(page) for n in range(5))


# -- filters -----------------------------------------------------------------------------


def test_the_kinds_of_the_filter_cover_the_log_and_part_it(app: Flask, owner: Admin) -> None:
    """Errors are errors of requests and of sign-ins; every kind is found by something."""
    for event in log.Event:
        write(app, event)
    kinds = {str(event): log.kind_of(event) for event in log.Event}
    for only, wanted in ONLY.items():
        shown: list[str] = []
        for row in read_json(owner, only=only):
            shown.append(row["event"])
        assert sorted(set(shown) - {"log.exported"}) == sorted(
            e for e, kind in kinds.items() if (not wanted or kind in wanted) and e != "log.exported"
        )
    assert {kind for wanted in ONLY.values() for kind in wanted} == set(LogKind)


@both_databases
def test_who_has_a_value_already_is_named_and_leads_there(
    app: Flask, entra: Entra, other_entra: Entra, owner: Admin
) -> None:
    """Of a create, a rename and a part of a bulk request: the values themselves are masked. What
    was not created is found where the one is found that is in its way."""
    ada = entra.user("ada", displayName="Ada Lovelace")
    grace = entra.user("grace", displayName="Grace Hopper")
    other_entra.user("ada", displayName="Somebody of another account")
    twin = {"userName": "ADA@example.com", "externalId": "x"}
    rename = {"op": "replace", "path": "userName", "value": "ada@example.com"}
    create = {"method": "POST", "path": "/Users", "bulkId": "one", "data": twin}
    assert entra.post("/Users", twin).status_code == 409
    assert entra.patch(f"/Users/{grace['id']}", rename).status_code == 409
    bulk = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
    assert entra.post("/Bulk", {"schemas": [bulk], "Operations": [create]}).status_code == 200

    page = look(owner, only="errors")
    words = ["Refused to create a user", "Refused to update Grace Hopper"]
    assert found(page) == [words[0], words[1], words[0]]
    for number in range(3):
        told = opened(page, number)
        assert f"Has the value already {ada['id']} Everything about Ada Lovelace" in told
        assert "named below already has a value that only one may have" in told
    of_ada = look(owner, about="ada@example.com", only="errors")
    assert found(of_ada) == [words[0], words[0]]
    rows = read_json(owner, only="errors")
    assert [row["holder_id"] for row in rows] == [ada["id"]] * 3
    assert [row["resource_id"] for row in rows] == [ada["id"], grace["id"], ada["id"]]


@pytest.mark.parametrize("values", [LogValues.MASKED, LogValues.NONE])
def test_an_update_names_what_was_changed(
    app: Flask, entra: Entra, owner: Admin, values: LogValues
) -> None:
    """Not only that it was one: the first three, an extension's without its long name. Also
    where the log keeps no values but the names of attributes."""
    reconfigure(app, log_values=values)
    grace = entra.user("grace", displayName="Grace")
    department = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department"
    for changed in (
        {department: "Navy"},
        {"title": "a", "nickName": "b", "locale": "nl", "timezone": "c"},
    ):
        change = {"op": "replace", "value": changed}
        assert entra.patch(f"/Users/{grace['id']}", change).status_code == 200
    last, first, _ = found(look(owner, about=grace["id"]))
    assert first == "Updated Grace: department"
    assert re.fullmatch(r"Updated Grace: \w+, \w+, \w+ and 1 more", last)


@both_databases
def test_people_groups_requests_and_tokens_are_found_by_what_is_at_hand(
    app: Flask, entra: Entra, other_entra: Entra, owner: Admin
) -> None:
    """User name in any spelling, e-mail, external id, id, group name, request id, fingerprint;
    what another account has is unknown."""
    mail = [{"type": "work", "value": "countess@example.org", "primary": True}]
    ada = entra.user("ada", displayName="Ada", emails=mail)
    entra.user("grace", displayName="Grace")
    team = entra.group("Editors")
    request = entra.patch(
        f"/Users/{ada['id']}", {"op": "replace", "path": "displayName", "value": "Ada L"}
    ).headers["X-Request-Id"]
    for about in (
        "ada@example.com",
        "ADA@Example.com",
        "  countess@example.org ",
        ada["externalId"],
        ada["id"],
        ada["id"].upper(),
    ):
        assert found(look(owner, about=about)) == ["Updated Ada L: displayName", "Created Ada L"], (
            about
        )
    assert found(look(owner, about="editors")) == ["Created the group Editors"]
    assert found(look(owner, about=team["id"])) == ["Created the group Editors"]
    assert found(look(owner, about=request)) == ["Updated Ada L: displayName"]
    assert len(found(look(owner, about=tokens.hash_text(entra.token)[:6]))) == 4
    stranger = other_entra.user("eve")
    theirs = [
        "eve@example.com",
        stranger["externalId"],
        tokens.hash_text(other_entra.token)[:6],
        "nobody@example.com",
        "Ada L",
        "\x00",
        "%",
        "'; DROP TABLE scim_log; --",
    ]
    for about in theirs:
        page = look(owner, about=about)
        assert found(page) == [], about
        assert any("is called “" in said or "Nothing" in said for said in page.statuses), about
        assert page.id("h5s-about")["value"] == about.strip()
    assert found(look(owner, about=stranger["id"])) == []


def test_several_people_of_one_address_are_all_shown(
    app: Flask, entra: Entra, owner: Admin
) -> None:
    """A shared mailbox is nobody's alone."""
    shared = [{"type": "work", "value": "desk@example.org", "primary": True}]
    for name in ("ada", "grace"):
        entra.user(name, displayName=name.title(), emails=shared)
    entra.user("alan", displayName="Alan")
    assert found(look(owner, about="desk@example.org")) == ["Created Grace", "Created Ada"]


def test_days_are_those_of_utc_and_both_are_included(app: Flask, owner: Admin) -> None:
    """From the first midnight to the last one."""
    for hour in (0, 1, 24, 47, 48):
        at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=hour, seconds=-1)
        write(app, log.Event.WARNED, at=at, detail=f"hour {hour}")

    def hours(**filters: str) -> list[str]:
        page = look(owner, **filters)
        return re.findall(r"hour \d+", " ".join(opened(page, n) for n in range(len(found(page)))))

    assert hours(since="2026-03-01", until="2026-03-01") == ["hour 24", "hour 1"]
    assert hours(since="2026-03-02") == ["hour 48", "hour 47"]
    assert hours(until="2026-02-28") == ["hour 0"]
    assert "midnight UTC" in look(owner).text


@pytest.mark.parametrize(
    ("filters", "field"),
    [
        ({"since": "yesterday"}, "since"),
        ({"until": "2026-02-30"}, "until"),
        ({"until": "9999-12-31"}, "until"),
        ({"since": "2026-03-02", "until": "2026-03-01"}, "until"),
        ({"only": "secrets"}, "only"),
    ],
)
def test_a_mistake_is_said_beside_its_field_and_nothing_is_lost(
    app: Flask, owner: Admin, filters: dict[str, str], field: str
) -> None:
    """What was typed stays; no entry is shown that was not asked for, and none exported."""
    write(app, log.Event.WARNED)
    for address in (URL, f"{URL}/export.csv", f"{URL}/export.json"):
        answer = owner.client.get(address, query_string={"about": "ada", **filters})
        assert answer.status_code == 422
        page = Page(answer)
        marked = page.id(f"h5s-{field}")
        assert marked["aria-invalid"] == "true"
        assert f"h5s-{field}-problem" in marked["aria-describedby"].split()
        assert page.id(f"h5s-{field}-problem").text
        assert page.id("h5s-about")["value"] == "ada"
        for name, value in filters.items():
            if name != "only":
                assert page.id(f"h5s-{name}")["value"] == value
        assert found(page) == []


# -- pages -------------------------------------------------------------------------------


@both_databases
def test_pages_lead_through_the_whole_log_and_back(app: Flask, owner: Admin) -> None:
    """Each entry once, also when many have the same time; the filters stay."""
    count = 2 * PAGE_SIZE + 3
    for number in range(count):
        write(app, log.Event.WARNED, at=START, detail=f"n{number}")
        write(app, log.Event.USER_UPDATED, at=START)
    page = look(owner, only="settings")
    pages = [numbers(page)]
    while older := page.all("a", rel="next"):
        page = owner.open(older[0]["href"])
        pages.append(numbers(page))
    assert [len(each) for each in pages] == [PAGE_SIZE, PAGE_SIZE, 3]
    assert [n for each in pages for n in each] == [f"n{n}" for n in reversed(range(count))]
    back = [numbers(page)]
    while newer := page.all("a", rel="prev"):
        page = owner.open(newer[0]["href"])
        back.append(numbers(page))
    assert back == pages[::-1]
    assert page.one("option", selected="")["value"] == "settings"


def numbers(page: Page) -> list[str]:
    texts = [opened(page, n) for n in range(len(found(page)))]
    return [m[0] for text in texts if (m := re.search(r"n\d+", text))]


@pytest.mark.parametrize("place", ["x", "-", "1-", "-1", "zz-1", "f" * 60 + "-1", "\x00"])
@pytest.mark.parametrize("way", ["before", "after"])
def test_a_place_that_is_none_is_the_first_page(
    app: Flask, owner: Admin, way: str, place: str
) -> None:
    """An address that was cut or typed shows something sensible."""
    for number in range(PAGE_SIZE + 1):
        write(app, log.Event.WARNED, detail=f"n{number}")
    page = look(owner, **{way: place})
    assert numbers(page)[0] == f"n{PAGE_SIZE}"
    assert numbers(look(owner, before="1-" + "f" * 60)) == numbers(page)
    assert len(numbers(page)) == PAGE_SIZE


# -- whose it is -------------------------------------------------------------------------


def test_only_owners_and_admins_read_and_export(app: Flask) -> None:
    """Others are refused, visitors sent to sign in; an account without the licence may read."""
    editor = Admin(app, add_user(app, "editor@acme.example", "editor"))
    admin = Admin(app, add_user(app, "admin@acme.example", "admin"))
    unlicensed = Admin(app, "owner@umbrella.example")
    for address in (URL, f"{URL}/export.csv", f"{URL}/export.json"):
        assert editor.client.get(address).status_code == 403
        assert admin.client.get(address).status_code == 200
        assert unlicensed.client.get(address).status_code == 200
        away = app.test_client().get(address)
        assert away.status_code == 302
        assert away.location.startswith("/login")
    assert owner_entries(app, "umbrella") == ["log.exported", "log.exported"]


def owner_entries(app: Flask, slug: str) -> list[str]:
    with app.app_context():
        found = log.recent(db.session, scim.records, get_account(slug).id, limit=50)
        return [entry.event for entry in found]


def test_no_entry_of_another_account_is_reached(
    app: Flask, other_entra: Entra, owner: Admin
) -> None:
    """Not by id, request, place, fingerprint, or in an export."""
    eve = other_entra.user("eve", displayName="Mallory")
    request = other_entra.patch(
        f"/Users/{eve['id']}", {"op": "replace", "path": "displayName", "value": "Mallory G"}
    ).headers["X-Request-Id"]
    for n in range(PAGE_SIZE + 1):
        write(app, log.Event.WARNED, slug="globex", detail=f"globex {n}")
    place = Admin(app, "owner@globex.example").open(URL).all("a", rel="next")[0]["href"]
    write(app, log.Event.USER_UPDATED, resource_type="User", resource_id=eve["id"])
    seen = [
        owner.open(place).html,
        look(owner, about=request).html,
        look(owner, about=eve["id"]).html,
        look(owner, about=tokens.hash_text(other_entra.token)[:6]).html,
        owner.client.get(f"{URL}/export.csv").text,
        owner.client.get(f"{URL}/export.json?about={eve['id']}").text,
    ]
    for text in seen:
        assert "Mallory" not in text
        assert "globex" not in text
        assert tokens.hash_text(other_entra.token)[:6] not in text.replace(
            f'value="{tokens.hash_text(other_entra.token)[:6]}"', ""
        ).replace(f"“{tokens.hash_text(other_entra.token)[:6]}”", "")


def test_what_people_and_clients_write_is_never_markup(
    app: Flask, entra: Entra, owner: Admin
) -> None:
    """Names, ids of Microsoft's, details, bodies and what was searched for."""
    evil = "<script>alert(1)</script>"
    user = entra.user("ada", displayName=evil)
    entra.patch(
        f"/Users/{user['id']}",
        {"op": "replace", "path": "displayName", "value": evil + "2"},
        headers={"ADSCIMVersion": evil},
    )
    write(
        app,
        log.Event.REFUSED,
        actor=evil,
        method="GET",
        status=400,
        detail=evil,
        body=evil,
        paths=[evil],
        ignored=[evil],
        changes={evil: [evil, [evil]]},
        request=log.Request(request_id=evil[:36], correlation_id=evil, address=evil),
    )
    for page in (look(owner), look(owner, about=evil), owner.open()):
        assert "<script>alert" not in page.html
        assert "&lt;script&gt;" in page.html


def test_no_secret_is_on_the_page_or_in_an_export(app: Flask, owner: Admin) -> None:
    """A generated and saved token, and the client secret of an own registration."""
    page = owner.generate()
    token = page.token
    secret = "kX8Q~" + "s3cr3t-of-contoso-0123456789abcdef"
    owner.save(
        page,
        sso_provider="microsoft",
        directory="8f14e45f-ceea-467f-a1d2-3b5c6d7e8f90",
        mode="button",
        client_id=str(uuid.uuid4()),
        client_secret=secret,
    )
    entra = Entra(app.test_client(), token)
    user = entra.user("ada", password="hunter2hunter2")
    reconfigure(app, log_values=LogValues.FULL)
    entra.patch(
        f"/Users/{user['id']}", {"op": "replace", "path": "password", "value": "hunter2hunter2"}
    )
    shown = [
        look(owner).html,
        owner.open().html,
        owner.client.get(f"{URL}/export.csv").text,
        owner.client.get(f"{URL}/export.json").text,
    ]
    for text in shown:
        for hidden in (token, token[12:], secret, tokens.hash_text(token), "hunter2"):
            assert hidden not in text


# -- exports -----------------------------------------------------------------------------


def read_json(owner: Admin, **filters: str) -> list[dict[str, Any]]:
    answer = owner.client.get(f"{URL}/export.json", query_string=filters)
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = json.loads(answer.data)
    return rows


def read_csv(owner: Admin, **filters: str) -> list[dict[str, str]]:
    answer = owner.client.get(f"{URL}/export.csv", query_string=filters)
    assert answer.status_code == 200, answer.text
    return list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"), newline="")))


@both_databases
def test_both_exports_have_every_entry_once_in_stable_columns(
    app: Flask, entra: Entra, owner: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over several batches with ties, newest first, times in UTC; kept out of caches, as a
    download; the export itself is logged and not in it."""
    monkeypatch.setattr(export, "BATCH", 7)
    for number in range(30):
        write(app, log.Event.WARNED, at=START, detail=f"n{number}")
    write(app, log.Event.USER_UPDATED, at=START, paths=["title"], ignored=["x"])
    filters = {"only": "settings", "until": "2026-03-01"}
    wanted = [f"n{n}" for n in reversed(range(30))]
    assert [row["detail"] for row in read_json(owner, **filters)] == wanted
    assert [row["detail"] for row in read_csv(owner, **filters)] == wanted
    every = read_json(owner)
    assert list(every[0]) == list(export.KEYS)
    assert every[-1]["time"] == "2026-03-01T12:00:00.000+00:00"
    assert next(row for row in every if row["paths"])["ignored"] == ["x"]
    told = [row["detail"] for row in every if row["event"] == "log.exported"]
    assert told == [
        "CSV: Settings, to 2026-03-01",
        "JSON: Settings, to 2026-03-01",
    ]
    for form, kind in (("csv", "text/csv"), ("json", "application/json")):
        answer = owner.client.get(f"{URL}/export.{form}")
        assert answer.mimetype == kind
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Content-Disposition"].startswith('attachment; filename="')
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert owner.client.get(f"{URL}/export.xlsx").status_code == 404


def test_an_export_about_somebody_does_not_write_their_name_into_the_log(
    app: Flask, entra: Entra, owner: Admin
) -> None:
    """The log says by the id whose entries were taken."""
    ada = entra.user("ada")
    assert [row["event"] for row in read_json(owner, about="ada@example.com")] == ["user.created"]
    told = read_json(owner, only="settings")[0]
    assert told["event"] == "log.exported"
    assert told["detail"] == f"JSON: Everything, about {ada['id']}"
    assert told["actor"] == "owner@acme.example"


def test_a_spreadsheet_takes_nothing_for_a_formula(app: Flask, owner: Admin) -> None:
    """Cells that begin like one have an apostrophe; line breaks and quotes stay in their cell."""
    for evil in ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"):
        write(app, log.Event.WARNED, detail=evil, actor=evil)
    write(app, log.Event.WARNED, detail='a "quoted"\nline, twice')
    rows = read_csv(owner)
    assert rows[0]["detail"] == 'a "quoted"\nline, twice'
    for row in rows[1:]:
        assert row["detail"].startswith("'")
        assert row["actor"].startswith("'")
    assert len(rows) == 8


def test_a_spreadsheet_of_another_country_takes_nothing_for_a_formula(
    app: Flask, owner: Admin, entra: Entra
) -> None:
    """Dutch and German Excel part cells by semicolons: nothing behind one begins like a
    formula, nor does a line, whoever chose the text."""
    signs = "=+-@\N{FULLWIDTH EQUALS SIGN}"
    reconfigure(app, log_values=LogValues.FULL)
    entra.user(displayName="Ada;=HYPERLINK(A1)")
    for sign in signs:
        for before in (";", "; ", ';"', "\t", "\r\n"):
            write(app, log.Event.WARNED, detail=f"Ada{before}{sign}HYPERLINK(A1)")
    text = owner.client.get(f"{URL}/export.csv").data.decode("utf-8-sig")
    cells = [cell.lstrip(' "') for cell in re.split(r"[;\t\r\n]", text)]
    assert sum("HYPERLINK" in cell for cell in cells) >= 25
    assert not [cell for cell in cells if cell.startswith(tuple(signs))]


def test_a_link_on_a_foreign_site_takes_no_file(app: Flask, owner: Admin) -> None:
    """It would say in the log that the admin did; they are shown what there is to export."""
    write(app, log.Event.USER_CREATED)
    address, foreign = f"{URL}/export.csv", {"Sec-Fetch-Site": "cross-site"}
    answer = owner.client.get(address, headers=foreign)
    assert answer.mimetype == "text/html"
    assert "attachment" not in answer.headers.get("Content-Disposition", "")
    assert owner_entries(app, "acme") == ["user.created"]
    assert owner.client.get(address, headers={"Sec-Fetch-Site": "same-origin"}).is_streamed
    assert owner_entries(app, "acme") == ["log.exported", "user.created"]


def test_an_empty_export_is_whole(app: Flask, owner: Admin) -> None:
    """No entries are an empty array, and a header line."""
    assert read_json(owner, only="groups") == []
    answer = owner.client.get(f"{URL}/export.csv?only=groups")
    assert answer.data.decode("utf-8-sig").strip() == ",".join(export.KEYS)


def test_a_file_that_breaks_off_does_not_look_whole(app: Flask) -> None:
    """JSON that could not be read to its end cannot be parsed."""

    def broken() -> Any:
        yield dict.fromkeys(export.KEYS)
        raise sa.exc.OperationalError("SELECT", {}, Exception("the connection was lost"))

    written: list[str] = []
    with pytest.raises(sa.exc.OperationalError):
        written.extend(export.as_json(broken()))
    assert written
    with pytest.raises(json.JSONDecodeError):
        json.loads("".join(written))


# -- what it costs -----------------------------------------------------------------------


def test_the_page_costs_the_same_for_ten_entries_and_for_a_thousand(
    app: Flask, entra: Entra, owner: Admin, statements: Callable[[], Any]
) -> None:
    """A handful of statements, whatever is looked for and however long the log is."""
    ada = entra.user("ada", displayName="Ada")
    team = entra.group("Editors", members=[{"value": ada["id"]}])
    addresses = {
        "everything": URL,
        "errors": f"{URL}?only=errors",
        "person": f"{URL}?about=ada@example.com",
        "page": "/account/provisioning",
    }
    counted: dict[int, dict[str, int]] = {}
    for size in (10, 1000):
        with app.app_context():
            for number in range(size):
                about = (ada["id"], "User") if number % 2 else (team["id"], "Group")
                log.record(
                    db.session,
                    scim.records,
                    get_account().id,
                    log.Event.REFUSED if number % 3 else log.Event.USER_UPDATED,
                    resource_id=about[0],
                    resource_type=about[1],
                    changes={"members.added": [None, [ada["id"]]]},
                )
            db.session.commit()
        counted[size] = {}
        for name, address in addresses.items():
            with statements() as seen:
                assert owner.client.get(address).status_code == 200
            counted[size][name] = len(seen)
    assert counted[10] == counted[1000]
    assert counted[10]["everything"] <= 8, counted
    assert counted[10]["person"] <= 18, counted


def test_an_export_reads_a_batch_with_one_statement(
    app: Flask, owner: Admin, statements: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no batch is read before the one before it is written."""
    monkeypatch.setattr(export, "BATCH", 10)
    for _ in range(35):
        write(app, log.Event.WARNED)
    with app.app_context():
        found = export.rows(db.session, scim.records, get_account().id, log.Query())
        with statements() as seen:
            for number, _ in enumerate(export.as_json(found)):
                assert len(seen) <= number // 10 + 1
        assert len(seen) == 4


# -- explanations ------------------------------------------------------------------------


def errors_of(base: type[errors.SCIMError]) -> list[errors.SCIMError]:
    made: list[errors.SCIMError] = []
    for cls in base.__subclasses__():
        made += errors_of(cls)
        if cls is errors.MethodNotAllowed:
            made.append(errors.MethodNotAllowed("PUT", ["GET"]))
        elif cls is errors.OtherHTTPError:
            made += [errors.OtherHTTPError(status, "x") for status in (400, 418, 429, 502)]
        else:
            made.append(cls())
    return made


def explained(app: Flask, event: log.Event, **what: Any) -> explanations.Explanation:
    with app.app_context():
        entry = scim.records.LogEntry(event=str(event), **what)
        explanation = explanations.explain(entry)
    assert explanation is not None, (event, what)
    assert explanation.what
    assert explanation.who
    assert explanation.steps
    assert all(explanation.steps)
    return explanation


def test_every_error_of_a_request_is_explained(app: Flask) -> None:
    """What happened, who can fix it and at least one step, for each class of error there is."""
    found = errors_of(errors.SCIMError)
    assert len(found) > 20
    told = {}
    for error in found:
        explanation = explained(
            app,
            log.Event.REFUSED,
            status=error.status,
            scim_type=error.scim_type,
            reason=error.reason,
            detail=error.without_values(),
        )
        told[type(error).__name__] = explanation.what
    assert told["Unavailable"] != told["Paused"]
    assert told["Conflict"] != told["Uniqueness"]
    for status in (400, 401, 403, 503):
        explained(app, log.Event.OAUTH_REFUSED, status=status, detail="x")


def test_every_refused_sign_in_is_explained(app: Flask) -> None:
    """Each reason that a log can have, and each number of Microsoft's that is known."""
    unlogged = {
        SignInReason.UNKNOWN,
        SignInReason.TEST_SESSION,
        SignInReason.NOTHING_TO_TEST,
        SignInReason.CONSENT,
        # Told to the person or to the tester alone: anybody can bring them about.
        SignInReason.STATE,
        SignInReason.CIRCLES,
        SignInReason.RATE,
        SignInReason.NO_UPN,
    }
    assert set(explanations.SIGN_IN_CURES) == set(SignInReason) - unlogged
    for reason in explanations.SIGN_IN_CURES:
        explained(app, log.Event.SSO_REFUSED, status=403, reason=reason)
        explained(app, log.Event.SSO_TESTED, status=403, reason=reason)
    for number, meaning in refusals.AADSTS.items():
        assert meaning in explanations.AADSTS_CURES
        for reason in ("provider", "client", "own_client"):
            explained(
                app,
                log.Event.SSO_REFUSED,
                status=403,
                reason=reason,
                detail=f"{reason}, reference 1A2B3C4D, AADSTS{number}",
            )
    of_another_time = explained(app, log.Event.SSO_REFUSED, status=403, reason="no such")
    assert "H5mag" in of_another_time.who


def test_every_reason_is_explained(app: Flask) -> None:
    """Each in words of its own; a reason that this release does not know is none."""
    told = {explained(app, log.Event.REFUSED, status=403, reason=reason).what for reason in Reason}
    assert len(told) == len(Reason)
    of_another_time = explained(app, log.Event.REFUSED, status=403, reason="no such")
    assert of_another_time == explained(app, log.Event.REFUSED, status=403)
    assert of_another_time.what not in told


def test_what_went_well_needs_no_explanation(app: Flask) -> None:
    """Changes, settings and tests that passed."""
    with app.app_context():
        for event, status in (
            (log.Event.USER_UPDATED, 200),
            (log.Event.SSO_TESTED, 200),
            (log.Event.TOKEN_SAVED, None),
        ):
            entry = scim.records.LogEntry(event=str(event), status=status)
            assert explanations.explain(entry) is None


def test_no_step_is_written_that_nothing_uses() -> None:
    """The catalogue's steps and meanings are those of the explanations."""
    cures = [
        *explanations.CURES.items(),
        *explanations.SIGN_IN_CURES.items(),
        *explanations.AADSTS_CURES.items(),
    ]
    used = {f"step.{step}" for _, (_, steps) in cures for step in steps}
    assert used == {key for key in texts.TEXTS if key.startswith("step.")}
    fixed = ("meaning.what", "meaning.who", "meaning.steps", "meaning.sso.")
    meanings = {
        key
        for key in texts.TEXTS
        if key.startswith("meaning.") and not key.startswith((*fixed, "meaning.who."))
    }
    assert meanings == {f"meaning.{case}" for case in explanations.CURES}


def test_what_entra_really_meets_has_its_own_explanation(
    app: Flask, entra: Entra, owner: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A draft, a twin, the last owner, a protected user, one that the host keeps, somebody who
    is gone, a wrong address, a filter, a pause and the brake are told apart."""
    refused: list[tuple[str, str]] = []

    def told(answer: Any, status: int) -> str:
        assert answer.status_code == status, answer.text
        text = opened(look(owner, only="errors"))
        refused.append((answer.text, text))
        return text

    ada = entra.user("ada")
    editor = add_user(app, "editor@acme.example", "editor")
    off = {"op": "replace", "path": "active", "value": False}
    draft = Entra(app.test_client(), make_token(app, "acme", state="draft"))
    assert "not saved, so H5mag does not accept it yet" in told(draft.get("/Users"), 401)
    revoked = Entra(app.test_client(), make_token(app, "acme", state="revoked"))
    assert "a token that was revoked here" in told(revoked.get("/Users"), 401)
    expired = make_token(app, "acme", expires_in=-timedelta(days=1))
    answer = Entra(app.test_client(), expired).get("/Users")
    assert "The token has reached its end" in told(answer, 401)
    twin = entra.post("/Users", {"userName": ada["userName"], "externalId": "x"})
    assert "a value that only one may have" in told(twin, 409)
    assert "is not in this account any more" in told(entra.get(f"/Users/{uuid.uuid4()}"), 404)
    assert "There is nothing at this address" in told(entra.get("/Persons"), 404)
    role = {"op": "replace", "path": "roles", "value": [{"value": "boss", "primary": True}]}
    boss = told(entra.patch(f"/Users/{ada['id']}", role), 400)
    assert "a role that this account does not give" in boss
    assert "App roles" in boss
    assert "not supported for filtering" in told(entra.get('/Users?filter=shoe+eq+"4"'), 400)
    with app.app_context():
        key = db.session.scalars(sa.select(User.id).filter_by(username="owner@acme.example")).one()
    with monkeypatch.context() as patched:
        patched.setattr(scim, "can_adopt", lambda *_: False)
        assert "keeps it for itself" in told(entra.patch(f"/Users/{key}", off), 403)
    assert "last active owner" in told(entra.patch(f"/Users/{key}", off), 403)
    with monkeypatch.context() as patched:
        patched.setattr(scim.user, "is_protected", lambda *_: True)
        assert "H5mag protects this user" in told(entra.patch(f"/Users/{ada['id']}", off), 403)
    with monkeypatch.context() as patched:
        patched.setattr(scim, "is_licensed", lambda *_: False)
        assert "part of the Enterprise licence" in told(entra.get("/Users"), 403)
    with app.app_context():
        user_id = db.session.scalars(sa.select(User.id).filter_by(username=editor)).one()
        break_glass.name(db.session, scim.records, get_account().id, [user_id], by="x")
        db.session.commit()
    assert "the way in when Microsoft is not" in told(entra.patch(f"/Users/{user_id}", off), 403)
    with app.app_context():
        of_another = access_tokens.client_id(get_account("globex").id)
    form = {"grant_type": "client_credentials", "client_id": of_another}
    later = {"client_secret": make_token(app, "acme")}
    answer = app.test_client().post("/scim-oauth/token", data={**form, **later})
    assert "belongs to something else than the secret" in told(answer, 401)
    with app.app_context():
        accounts.pause(db.session, scim.records, get_account().id, by="owner@acme.example")
        db.session.commit()
    change_token(app, entra.token, last_used_at=None)  # in the log once a minute
    assert "was paused here" in told(entra.get("/Users"), 503)
    with app.app_context():
        accounts.resume(db.session, scim.records, get_account().id)
        db.session.commit()
    reconfigure(app, brake_users=1)
    others = [entra.user(name)["id"] for name in ("bob", "cyd")]
    assert entra.patch(f"/Users/{others[0]}", off).status_code == 200
    assert "the brake holds back the rest" in told(entra.patch(f"/Users/{others[1]}", off), 403)


def test_a_hosts_own_sentence_is_taken_for_nothing_of_ours(
    app: Flask, entra: Entra, owner: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever words it uses: the explanation goes by the reason, and it has none."""

    class NotYours(errors.SCIMError):
        status = 403

    def can_adopt(user: Any, account: Any) -> bool:
        raise NotYours("This token has expired: the application protects this User.")

    monkeypatch.setattr(scim, "can_adopt", can_adopt)
    with app.app_context():
        key = db.session.scalars(sa.select(User.id).filter_by(username="owner@acme.example")).one()
    off = {"op": "replace", "path": "active", "value": False}
    assert entra.patch(f"/Users/{key}", off).status_code == 403
    assert "H5mag does not allow this request" in opened(look(owner, only="errors"))


def test_a_draft_that_is_too_old_was_never_saved(app: Flask, entra: Entra, owner: Admin) -> None:
    """That is what its tries mean, and none of them is a failure."""
    entra.get("/Users")
    draft = owner.generate().token
    change_token(app, draft, created_at=now() - timedelta(hours=2))
    late = Entra(app.test_client(), draft)
    for _ in range(5):
        assert "has expired" in late.get("/Users").get_json(force=True)["detail"]
        change_token(app, draft, last_used_at=None)
    page = look(owner, only="errors")
    assert "not saved, so H5mag does not accept it yet" in opened(page)
    assert "Attention" not in owner.open().pill
