"""``flask scim explain``: what becomes of a filter."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from example_app.models import User, db

from .conftest import both_databases, get_account


def explain(app: Flask, text: str, *more: str) -> Any:
    result = app.test_cli_runner().invoke(args=["scim", "explain", text, "--json", *more])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@both_databases
@pytest.mark.parametrize(
    ("text", "resource", "index"),
    [
        ('userName eq "ada AND x"', "User", "uq_user_username"),
        ('emails[type eq "work"].value eq "a:b"', "User", "ix_user_email"),
        ('emails.value eq "100%s"', "User", "ix_user_email"),
        ('displayName eq "Editors"', "Group", "uq_team_name"),
        ('active eq true and userName eq "ada"', "User", "uq_user_username"),
    ],
)
def test_what_an_index_finds_is_said(app: Flask, text: str, resource: str, index: str) -> None:
    """Also while the table is so small that the database does without; and whatever stands in
    the values."""
    found = explain(app, text, "--resource", resource, "--account", "acme")
    assert found["found_by_index"] is True
    assert index in found["verdict"]
    assert found["cure"] is None
    assert found["plan"]


@both_databases
@pytest.mark.parametrize(
    ("text", "cure"),
    [
        (
            'name.givenName eq "Ada"',
            "sa.Index('ix_user_first_name', 'account_id', sa.func.lower(sa.text('first_name')), ",
        ),
        ('userName eq "a" or locale eq "nl"', "sa.Index('ix_user_locale', 'account_id', "),
        ('active eq true and title pr or userType gt "x"', None),
        ('displayName co "x"', "No index helps"),
        ('not (userName eq "a")', "No index helps"),
        ("active eq false", "No index helps"),
        (f'groups eq "{uuid.UUID(int=1)}"', "memberships are looked up for each"),
    ],
)
def test_what_reads_the_whole_account_is_said_with_a_cure(
    app: Flask, text: str, cure: str | None
) -> None:
    """The line of the model that makes the index, where one would help; what has its index is
    not asked for again."""
    if cure is None:
        result = app.test_cli_runner().invoke(args=["scim", "explain", text])
        assert result.exit_code == 1
        assert "title is not searched here" in result.stderr
        return
    found = explain(app, text, "--account", "acme")
    assert found["found_by_index"] is False
    assert "the whole" in found["verdict"]
    assert cure in found["cure"]
    assert "'ix_user_username'" not in found["cure"]


def test_an_index_that_the_order_keeps_from_use_is_told_so(app: Flask) -> None:
    """The pages of a list are in the order of the keys, which SQLite then prefers."""
    found = explain(app, 'externalId eq "x"', "--resource", "Group")
    if not found["found_by_index"]:
        assert "'external_id', 'id')" in found["cure"]
    with app.app_context():
        db.session.execute(sa.text("DROP INDEX ix_team_external_id"))
        db.session.execute(
            sa.text("CREATE INDEX ix_team_external_id ON team (account_id, external_id, id)")
        )
        db.session.commit()
    assert explain(app, 'externalId eq "x"', "--resource", "Group")["found_by_index"] is True


def grow(app: Flask) -> None:
    """So many people in acme that the database's plan is what counts."""
    with app.app_context():
        account = get_account().id
        people = [
            {"account_id": account, "username": f"u{n}", "email": f"u{n}", "scim_extra": {}}
            for n in range(12_000)
        ]
        db.session.execute(sa.insert(User), people)
        db.session.execute(sa.text("ANALYZE"))
        db.session.commit()


@both_databases
def test_a_large_table_is_judged_by_its_plan_alone(app: Flask) -> None:
    """Without the word that it is still small."""
    grow(app)
    found = explain(app, 'userName eq "u5"', "--account", "acme")
    # Both begin with the name that is looked for; the database takes the one it likes better.
    names = ("uq_user_username", "ix_user_login_username")
    assert found["verdict"] in [f"Uses the index {name}." for name in names]
    found = explain(app, 'name.givenName eq "u5"', "--account", "acme")
    assert found["found_by_index"] is False


@both_databases
def test_what_a_small_table_cannot_tell_is_not_promised(app: Flask) -> None:
    """PostgreSQL finds memberships by an index once there are many, and need not use one for a
    range, however many people there are."""
    with app.app_context():
        is_sqlite = db.engine.dialect.name == "sqlite"
        account = get_account().id
    related = explain(app, f'members[value eq "{account}"]', "--resource", "Group")
    assert ("No index helps" in (related["cure"] or "")) is is_sqlite
    small = explain(app, 'userName gt "a"', "--account", "acme")
    assert "as soon as" not in small["verdict"]
    grow(app)
    large = explain(app, 'userName gt "a"', "--account", "acme")
    # The key at the end of an index brings no order into a range.
    assert "sa.Index" not in (large["cure"] or "")
    either = explain(app, 'userName eq "u5" or externalId eq "x"', "--account", "acme")
    assert either["found_by_index"] is not is_sqlite
    if not is_sqlite:  # which has both named
        assert "username" in either["verdict"]
        assert "external_id" in either["verdict"]


@both_databases
def test_the_filter_is_never_executed(app: Flask, statements: Any) -> None:
    """Nothing reaches the tables of people but EXPLAIN."""
    with statements() as seen:
        explain(app, 'userName eq "ada"', "--account", "acme")
        explain(app, 'displayName eq "x"', "--resource", "Group")
    reading = [one for one in seen if "lower(" in one and "pragma" not in one.lower()]
    assert reading
    assert all(one.startswith("EXPLAIN") for one in reading)


def test_people_see_the_tree_the_sql_and_the_values(app: Flask) -> None:
    """Placeholders have the names that the values are listed by."""
    text = 'userName eq "ada" and not (active eq false or emails[type eq "work"])'
    result = app.test_cli_runner().invoke(args=["scim", "explain", text, "--account", "acme"])
    assert result.exit_code == 0
    tree = result.stdout.split("SQL")[0].splitlines()
    assert tree == [
        "Filter",
        "  and",
        '    userName eq "ada"',
        "    not",
        "      or",
        "        active eq false",
        '        emails[type eq "work"]',
        "",
    ]
    assert "lower(user.username) = lower(:scim_0)" in result.stdout
    assert ':scim_0        "ada"' in result.stdout
    assert "Uses the index uq_user_username." in result.stdout
    found = explain(app, text)
    assert found["tree"]["terms"][1]["terms"][0]["op"] == "or"
    assert found["values"]["scim_0"] == "ada"


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (('userName xx "a"',), 1, "at position 10"),
        (('userName eq "a',), 1, "a closed JSON string at position 13"),
        (('userName eq "a"', "--account", "nobody"), 1, "There is no account 'nobody'"),
        (('userName eq "a"', "--resource", "Device"), 2, "is not one of"),
        ((), 2, "Missing argument 'FILTER'"),
    ],
)
def test_mistakes_are_told_with_their_place(
    app: Flask, words: tuple[str, ...], code: int, sentence: str
) -> None:
    """On standard error."""
    result = app.test_cli_runner().invoke(args=["scim", "explain", *words])
    assert (result.exit_code, result.stdout) == (code, "")
    assert sentence in result.stderr


def test_what_nobody_can_satisfy_reads_nothing(app: Flask) -> None:
    """An id that is none is found without looking."""
    assert "Reads nothing" in explain(app, 'id eq "x"')["verdict"]
