"""Refusals name a value to whoever sent it, and to nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from marshmallow import ValidationError

from example_app.models import db
from example_app.provisioning import scim
from flask_h5mag_scim.protocol import entra, messages, patch
from flask_h5mag_scim.protocol.errors import (
    InvalidFilter,
    InvalidPath,
    InvalidSyntax,
    InvalidValue,
    Mutability,
    NoTarget,
    NotFound,
    SCIMError,
    Uniqueness,
    without_literals,
)
from flask_h5mag_scim.protocol.paths import AttrExp, Path, ValuePath, parse_filter, parse_path
from flask_h5mag_scim.protocol.schemas import GROUP, USER, refusal

from .. import other_host
from ..conftest import get_account

SECRET = "secret.person@acme.example"
SECRETS = [
    SECRET,
    SECRET * 12,
    f'{SECRET}\'s "acme" ',
    f'"{SECRET}"',
    f'{SECRET} \'acme\\" \\ [type eq "acme"] eq 5 {{}} é {SECRET}',
]


def quoted(value: str) -> str:
    """A value as the client writes it in a filter."""
    return json.dumps(value, ensure_ascii=False)


def change(path: str, value: Any = "x", *, op: str = "add", of: Any = USER) -> None:
    """A PATCH of an empty document, by a host that keeps everything."""
    operations = patch.parse(entra.patch([{"op": op, "path": path, "value": value}], of), of)
    try:
        patch.apply({}, operations, lambda target: True)
    except ValidationError as error:
        raise refusal(error) from error


def find(filter: str, resource: Any = scim.user) -> None:
    resource.compiler.prepare(parse_filter(filter))


def nested(value: str) -> ValuePath:
    """Brackets in brackets, which no text can spell."""
    inner = ValuePath(Path("parts", filter=AttrExp(Path("value"), "eq", value)))
    return ValuePath(Path("emails", filter=inner))


def create(resource: Any, **body: Any) -> Any:
    account = get_account()
    return resource.create(db.session, account, account.id, body)


def create_twins(name: str) -> None:
    create(scim.group, displayName=name)
    create(scim.group, displayName=name)


def change_members(path: str, value: Any = None) -> None:
    group = create(scim.group, displayName="Editors")
    operations = patch.parse([{"op": "add", "path": path, "value": value}], GROUP)
    scim.group.patch(db.session, group.obj.account_id, group.obj, operations)


def keep(**body: Any) -> None:
    """On a host with an enumeration and a validator of its own."""
    other_host.scim.user.map.write(other_host.Human(), {}, body)


#: What is refused, and how, for a value ``v``.
REFUSALS: list[tuple[type[SCIMError], Callable[[str], Any]]] = [
    (InvalidFilter, lambda v: parse_filter(f"userName eq {v.strip(chr(34))}")),
    (InvalidFilter, lambda v: parse_filter(f"userName eq {quoted(v)} or")),
    (InvalidFilter, lambda v: parse_filter(f"userName eq '{v}'")),
    (InvalidFilter, lambda v: parse_filter(f'(userName eq "{v}')),
    (InvalidPath, lambda v: parse_path(f"emails[value eq {quoted(v)}")),
    (InvalidPath, lambda v: parse_path(f"emails {v}")),
    (InvalidValue, lambda v: messages.read_query({"count": v}, max_results=100)),
    (InvalidSyntax, lambda v: patch.parse([{"op": v}], USER)),
    (InvalidSyntax, lambda v: patch.parse([{"op": [v]}], USER)),
    (InvalidPath, lambda v: change(f"name[givenName eq {quoted(v)}].familyName")),
    (InvalidPath, lambda v: change(f"name[givenName  EQ{quoted(v)}]")),
    (Mutability, lambda v: change(f"groups[value eq {quoted(v)}].value")),
    (NoTarget, lambda v: change(f"emails[value co {quoted(v)}].value")),
    (NoTarget, lambda v: change(f'emails[type eq "work" and value ne {quoted(v)}].value')),
    (InvalidValue, lambda v: change(f"costumes[value eq {quoted(v)}]")),
    (InvalidValue, lambda v: change(f"emails[value eq {quoted(v)}].primary", "perhaps")),
    (InvalidValue, lambda v: change(f"emails[value eq {quoted(v)}]", "text")),
    (InvalidFilter, lambda v: find(f"active eq {quoted(v)}")),
    (InvalidFilter, lambda v: find(f"id co {quoted(v)}")),
    (InvalidFilter, lambda v: find(f"groups.display eq {quoted(v)}")),
    (InvalidFilter, lambda v: find(f"meta.created gt {quoted(v)}")),
    (InvalidFilter, lambda v: find(f"emails[display eq {quoted(v)}]")),
    (InvalidFilter, lambda v: find(f"emails[type eq {quoted(v)}].value pr")),
    (InvalidFilter, lambda v: find(f"emails[primary gt {quoted(v)}]")),
    (InvalidFilter, lambda v: find(f"ims[value eq {quoted(v)}]")),
    (InvalidFilter, lambda v: find(f"ims[value eq {quoted(v)}].display pr")),
    (InvalidFilter, lambda v: scim.user.compiler.prepare(nested(v))),
    (InvalidFilter, lambda v: find(f"userType co {quoted(v)}", other_host.scim.user)),
    (NotFound, lambda v: scim.user.read(db.session, None, v)),
    (Uniqueness, create_twins),
    (InvalidValue, lambda v: create(scim.group, displayName="X", members=[{"value": v}])),
    (
        InvalidValue,
        lambda v: change_members("members", [{"value": v}, {"value": f"{v}2"}, {"value": "a"}]),
    ),
    (InvalidValue, lambda v: change_members(f"members[display eq {quoted(v)}]")),
    (InvalidValue, lambda v: change_members(f"members[value eq {quoted(v)}].display", "x")),
    (InvalidValue, lambda v: keep(userType=v)),
    (InvalidValue, lambda v: keep(userName=f"{v} with blank")),
]


@pytest.mark.parametrize("secret", SECRETS, ids=range(len(SECRETS)))
def test_what_a_client_sent_is_in_the_answer_and_not_in_the_log(app: Flask, secret: str) -> None:
    """Whatever is refused, its sentence shows the value, and can be had without it."""
    for number, (kind, refused) in enumerate(REFUSALS):
        with app.app_context():
            with pytest.raises(SCIMError) as caught:
                refused(secret)
            db.session.rollback()
        error = caught.value
        assert type(error) is kind, (number, error.detail)
        assert SECRET in error.detail, (number, error.detail)
        for shown in (error.without_values(), error.safe_path() or ""):
            assert not any(part in shown for part in ("secret", "person", "acme")), (number, shown)
        assert "…" in error.without_values(), number


@pytest.mark.parametrize(
    ("refused", "detail", "path"),
    [
        (
            lambda: change('emails[type eq "work" and value ne "a@x"].value'),
            'Nothing matches emails[(type eq "work" and value ne …)].value.',
            'emails[(type eq "work" and value ne …)].value',
        ),
        (
            lambda: change('emails[type eq "work"].primary', "perhaps"),
            'emails[type eq "work"].primary: Not true or false.',
            None,
        ),
        (
            lambda: change("phoneNumbers[value gt 31201234567].type"),
            "Nothing matches phoneNumbers[value gt …].type.",
            "phoneNumbers[value gt …].type",
        ),
        (
            lambda: find("active gt 31201234567"),
            "active gt …: a boolean is compared with eq and ne only.",
            None,
        ),
        (
            lambda: change("id", op="replace"),
            "id is read-only.",
            "id",
        ),
        (
            lambda: keep(userType="Pirate"),
            "userType: … is not a value that this application keeps.",
            "userType",
        ),
    ],
)
def test_only_the_values_are_left_out(
    refused: Callable[[], Any], detail: str, path: str | None
) -> None:
    """The log still says what was wrong, and with which attribute."""
    with pytest.raises(SCIMError) as caught:
        refused()
    assert caught.value.without_values() == detail
    assert caught.value.safe_path() == path


def test_a_value_that_is_part_of_another_does_not_uncover_it() -> None:
    """The longest goes first, and the empty text is everywhere and nowhere."""
    error = SCIMError("It has 'a' and 'a' b'.", values=["'a'", "'a' b'", ""])
    assert error.without_values() == "It has … and …."
    assert SCIMError("Nothing was sent.").without_values() == "Nothing was sent."


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("userName", "userName"),
        ("urn:acme:2.0:User:desk.floor", "urn:acme:2.0:User:desk.floor"),
        ('emails[TYPE  eq"work"].value', 'emails[TYPE  eq"work"].value'),
        ('emails[subtype eq "work"]', "emails[subtype eq …]"),
        ('emails[x-type eq "work"]', "emails[x-type eq …]"),
        ('emails[type ne "work"]', "emails[type ne …]"),
        ('emails[type eq "a@x.example"]', "emails[type eq …]"),
        ('emails[value eq "type eq \\"work\\""]', "emails[value eq …]"),
        ('emails[value eq "never closed', "emails[value eq …"),
        ("(value eq 5) and active eq true", "(value eq …) and active eq true"),
    ],
)
def test_a_path_without_what_it_compares_with(path: str, shown: str) -> None:
    """A type belongs to the attribute's name, but only a word is a type."""
    assert without_literals(path) == shown
