"""Whatever is sent: an answer in SCIM's words, never a 500, and nothing changed by a refusal."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import event, given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from example_app.models import Team, TeamMember, User, db
from flask_h5mag_scim.protocol.schemas import CORE_GROUP, CORE_USER, ENTERPRISE_USER

from ..conftest import Entra, both_databases, error_of
from .effort import examples

PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

#: People and groups that every example finds; their ids are known to the strategies.
IDS = [str(uuid.UUID(int=number)) for number in range(1, 5)]
GONE = str(uuid.UUID(int=99))

# Values

ODD_TEXTS = st.sampled_from(
    [
        *("", " ", "\x00", "a\x00b", "\ud800", "\udfff\ud800", "😀", "é", "\u0130", "ß", "\u202e"),
        *("true", "False", "null", "0", "-1", "1e400", "x" * 300, "x" * 9000, "'", '"', "\\", "%"),
        *("../", "{}", "[]", "urn:", "urn:a:b:2.0:User", '{"value": "\\u0000"}', '{"value": "a"}'),
        *(CORE_USER, ENTERPRISE_USER, CORE_GROUP, PATCH_OP, *IDS, GONE, IDS[0].upper()),
    ]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**31, 2**63, -(2**63) - 1, 10**400, -0.0, 1e308]),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=8),
    ODD_TEXTS,
)
NAMES = st.sampled_from(
    [
        *("schemas", "id", "externalId", "userName", "USERNAME", "active", "displayName", "name"),
        *("name.givenName", "givenName", "emails", 'emails[type eq "work"].value', "value", "type"),
        *("primary", "display", "$ref", "members", "groups", "meta", "created", "password"),
        *("manager", "department", ENTERPRISE_USER, f"{ENTERPRISE_USER}:manager", CORE_USER),
        *(f"{CORE_USER}:active", CORE_GROUP, "addresses", "x509Certificates", "phoneNumbers"),
        *("preferredLanguage", "userType", "costume", "urn:x:y:1.0:Thing", "", "a.b.c", "a[", "*"),
    ]
)
KEYS = NAMES | ODD_TEXTS | st.text(max_size=4)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
REFERENCES = st.sampled_from([*IDS, GONE, IDS[1].upper(), "no id"])
ELEMENTS = st.dictionaries(
    st.sampled_from(["value", "type", "primary", "display", "$ref"]),
    st.sampled_from(["work", "home", "a@b", True, "True", None, 5, {}]) | REFERENCES,
    max_size=4,
)


def nearly(plain: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """What belongs there, most of the time."""
    return st.one_of(plain, plain, plain, JSON)


MEMBERS = nearly(st.lists(st.builds(lambda id: {"value": id}, REFERENCES), max_size=3))
TEXTS = st.sampled_from(["a", "b", "c@d", "Ada", "nl-NL"])
PATHS = st.one_of(
    NAMES,
    st.builds(
        "{}[{}]{}".format,
        st.sampled_from(["emails", "members", "phoneNumbers", "name", "costume", "groups"]),
        st.sampled_from(
            [
                *('type eq "work"', f'value eq "{IDS[0]}"', 'value eq "x"', "primary eq true"),
                *(
                    "not (value pr)",
                    'type eq "a" or type eq "b"',
                    'display co "\\u0000"',
                    "value eq",
                ),
                *('primary eq "True"', "value eq 1e999", "value gt 5", "type eq null"),
            ]
        ),
        st.sampled_from(["", ".value", ".type", ".display", ".x", "."]),
    ),
    ODD_TEXTS,
    st.text(max_size=10),
)
USERS = st.fixed_dictionaries(
    {"schemas": nearly(st.just([CORE_USER])), "userName": nearly(TEXTS)},
    optional={
        "externalId": nearly(TEXTS),
        "active": nearly(st.booleans()),
        "displayName": nearly(TEXTS),
        "name": nearly(st.dictionaries(st.sampled_from(["givenName", "formatted"]), TEXTS)),
        "emails": nearly(st.lists(ELEMENTS, max_size=3)),
        ENTERPRISE_USER: nearly(
            st.dictionaries(st.sampled_from(["department", "manager"]), TEXTS | ELEMENTS)
        ),
        "costume": JSON,
        "password": TEXTS,
    },
)
GROUPS = st.fixed_dictionaries(
    {"schemas": nearly(st.just([CORE_GROUP])), "displayName": nearly(TEXTS)},
    optional={"externalId": nearly(TEXTS), "members": MEMBERS, "costume": JSON},
)
OPERATIONS = st.fixed_dictionaries(
    {"op": nearly(st.sampled_from(["add", "Add", "replace", "Replace", "remove", "Remove"]))},
    optional={
        "path": nearly(PATHS),
        "value": JSON | MEMBERS | USERS | st.lists(ELEMENTS, max_size=2) | TEXTS,
        "name": JSON,
    },
)
PATCHES = st.fixed_dictionaries(
    {
        "schemas": nearly(st.just([PATCH_OP])),
        "Operations": nearly(st.lists(OPERATIONS, min_size=1, max_size=3)),
    }
)


def deep(kind: str, levels: int) -> bytes:
    opening, closing = ("[", "]") if kind == "list" else ('{"a":', "}")
    return (opening * levels + "1" + closing * levels).encode()


def written(body: Any) -> bytes:
    """JSON as other languages write it, NaN and halves of pairs included."""
    return json.dumps(body).encode()


def damaged(body: bytes, at: int, by: bytes) -> bytes:
    at %= len(body) + 1
    return body[:at] + by + body[at + len(by) :]


GOOD = st.one_of(USERS, GROUPS, PATCHES, PATCHES).map(written)
BODIES = st.one_of(
    GOOD,
    GOOD,
    GOOD,
    JSON.map(written),
    st.builds(damaged, GOOD, st.integers(0, 10**6), st.binary(max_size=3)),
    st.binary(max_size=20),
    st.builds(deep, st.sampled_from(["list", "object"]), st.sampled_from([19, 21, 999, 10**5])),
    st.sampled_from(
        [b"", b"null", b"\xef\xbb\xbf{}", '{"a":1}'.encode("utf-16"), b'{"a":1,"a":2}']
    ),
)

# Requests

PLACES = st.one_of(
    st.sampled_from(["/Users", "/Groups", "/users/", "//Groups"]),
    st.builds(
        "/{}/{}".format,
        st.sampled_from(["Users", "Groups"]),
        st.sampled_from([*IDS, *IDS, GONE, IDS[0].upper(), "x", "%00", "%ff", "a%2Fb", "." * 300]),
    ),
    st.sampled_from(["", "/", "/Schemas", f"/Schemas/{CORE_USER}", "/ResourceTypes/User"]),
    st.sampled_from(["/ServiceProviderConfig", "/Me", "/Bulk", "/.search", "/Users/.search"]),
    st.text(
        st.characters(codec="ascii", categories=["L", "N", "P"], exclude_characters="?#"),
        max_size=8,
    ).map("/{}".format),
)
VERBS = st.sampled_from(["GET", "POST", "PUT", "PATCH", "PATCH", "DELETE", "HEAD", "OPTIONS"])
HEADER_TEXTS = st.text(
    st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=12
) | st.sampled_from(["*", 'W/"1"', '"1", "2"', "W/", '"' * 50])
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Content-Type": st.sampled_from(
            [
                *("application/json", "application/scim+json; charset=utf-8", "text/html", "x"),
                *("application/scim+json; charset=utf-16", "application/json; charset=\xe9", "/"),
                *("multipart/form-data", "application/x-www-form-urlencoded", "a/b;" * 40),
            ]
        )
        | HEADER_TEXTS,
        "Authorization": HEADER_TEXTS.map("Bearer {}".format)
        | HEADER_TEXTS
        | st.sampled_from(["Bearer", "Basic eDp5", "bearer  ", "Digest x", "Bearer h5mag_scim_x"]),
        "If-Match": HEADER_TEXTS,
        "If-None-Match": HEADER_TEXTS,
        "Accept": HEADER_TEXTS,
        "User-Agent": HEADER_TEXTS,
        "X-HTTP-Method-Override": st.sampled_from(["DELETE", "x"]),
    },
)
#: Most requests are let in: what is refused at the door proves little about the house.
SENT_HEADERS = st.one_of(
    st.just({}),
    st.just({}),
    HEADERS.map(lambda sent: {k: v for k, v in sent.items() if k != "Authorization"}),
    HEADERS,
)
NUMBERS = st.sampled_from(["0", "1", "-1", "9" * 30, "1e3", " 1 ", "٣", "", "x", "1_0", "\x00"])
LISTED = st.lists(NAMES | ODD_TEXTS, max_size=3).map(",".join)
ARGUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "filter": st.one_of(
            st.builds("{} eq {}".format, NAMES, SCALARS.map(json.dumps)),
            st.builds("{} {}".format, PATHS, st.sampled_from(["pr", 'eq "a"', 'co "%"', "gt 1"])),
            ODD_TEXTS,
            st.text(max_size=12),
        ),
        "startIndex": NUMBERS,
        "count": NUMBERS,
        "attributes": LISTED,
        "excludedAttributes": LISTED,
        "sortBy": NAMES | ODD_TEXTS,
        "sortOrder": st.sampled_from(["ascending", "descending", "x"]),
        "cursor": ODD_TEXTS,
    },
).map(lambda arguments: {name: sendable(text) for name, text in arguments.items()})


def sendable(text: str) -> str:
    """A half of a surrogate pair cannot be percent-encoded: as a client with a fault in its
    encoder sends it."""
    return text.encode("utf-8", "replace").decode()


# The database


def clean(account_id: uuid.UUID) -> None:
    """Two people and two groups, with one of the people in each group."""
    for table in (TeamMember, Team):
        db.session.execute(sa.delete(table))
    db.session.execute(sa.delete(User).where(User.role != "owner"))
    for number, id in enumerate(map(uuid.UUID, IDS[:2])):
        db.session.add(User(id=id, account_id=account_id, username=f"user{number}"))
    for number, id in enumerate(map(uuid.UUID, IDS[2:])):
        db.session.add(Team(id=id, account_id=account_id, name=f"team{number}"))
    db.session.flush()
    for team in IDS[2:]:
        db.session.add(TeamMember(team_id=uuid.UUID(team), user_id=uuid.UUID(IDS[0])))
    db.session.commit()


def dump() -> list[Any]:
    """The host's tables as they are in the database."""
    with db.engine.connect() as connection:
        return [
            sorted(map(repr, connection.execute(sa.select(model.__table__))))
            for model in (User, Team, TeamMember)
        ]


@pytest.fixture
def ask(app: Flask, entra: Entra) -> Callable[..., TestResponse]:
    """Sends one request to a host in the state of :func:`clean` and looks at what became of
    it."""
    app.config["PROPAGATE_EXCEPTIONS"] = False

    def send(verb: str, place: str, **options: Any) -> TestResponse:
        with app.app_context():
            owner = db.session.scalars(sa.select(User).filter_by(username="owner@acme.example"))
            clean(owner.one().account_id)
            before = dump()
            headers = {"Authorization": f"Bearer {entra.token}", **options.pop("headers", {})}
            answer = entra.client.open(f"/scim/v2{place}", method=verb, headers=headers, **options)
            event(f"{answer.status_code // 100}xx")
            if answer.status_code >= 400:
                assert answer.status_code != 500, answer.text
                if verb != "HEAD":
                    error_of(
                        answer, answer.status_code, answer.get_json(force=True).get("scimType")
                    )
                assert dump() == before
            elif verb in ("GET", "HEAD", "OPTIONS"):
                assert dump() == before
            if answer.data:
                json.loads(answer.data)
            return answer

    return send


@given(VERBS, PLACES, BODIES, SENT_HEADERS, ARGUMENTS)
@examples(200)
def test_any_request_is_answered(
    ask: Callable[..., TestResponse],
    verb: str,
    place: str,
    body: bytes,
    headers: dict[str, str],
    arguments: dict[str, str],
) -> None:
    """Any verb, address, body, header and query: no 500, a SCIM error for every refusal, and
    nothing changed by one."""
    headers = {"Content-Type": "application/scim+json", **headers}
    ask(verb, place, data=body, headers=headers, query_string=arguments)


@both_databases
@given(
    st.sampled_from(
        [
            ("POST", "/Users"),
            ("PUT", f"/Users/{IDS[0]}"),
            ("POST", "/Groups"),
            ("PUT", f"/Groups/{IDS[2]}"),
        ]
    ),
    st.one_of(USERS, GROUPS),
)
@examples(80)
def test_any_resource_is_taken_or_refused(
    ask: Callable[..., TestResponse], address: tuple[str, str], body: Any
) -> None:
    """Resources that are nearly right, by POST and by PUT."""
    ask(*address, data=written(body), content_type="application/scim+json")


@both_databases
@given(st.sampled_from([f"/Users/{IDS[0]}", f"/Groups/{IDS[2]}"]), PATCHES)
@examples(100)
def test_any_patch_is_carried_out_or_refused(
    ask: Callable[..., TestResponse], place: str, body: Any
) -> None:
    """Operations that are nearly right, all of them or none."""
    ask("PATCH", place, data=written(body), content_type="application/scim+json")


@both_databases
@given(st.sampled_from(["/Users", "/Groups", f"/Users/{IDS[0]}"]), ARGUMENTS)
@examples(60)
def test_any_query_is_answered(
    ask: Callable[..., TestResponse], place: str, arguments: dict[str, str]
) -> None:
    """Filters, numbers and lists of attributes of any kind."""
    ask("GET", place, query_string=arguments)
