"""``flask scim …``, the operator's commands."""

from __future__ import annotations

import dataclasses
import errno
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask

from example_app.models import Account, db
from example_app.provisioning import scim
from flask_h5mag_scim import token_issued, token_revoked
from flask_h5mag_scim.cli import group, shell
from flask_h5mag_scim.cli import tokens as token_commands
from flask_h5mag_scim.records import log, providers, tokens
from flask_h5mag_scim.records.models import now

from .conftest import Entra, both_databases, error_of, get_account

TENANT = "11111111-2222-3333-4444-555555555555"
PERSONAL = "9188040d-6c67-4c5b-b112-36a304b66dad"
SUBJECT = "0f0f0f0f-aaaa-4bbb-8ccc-d0d0d0d0d0d0"
CLIENT_ID = "3c1f6a34-7c7e-4a0a-9a1e-5b8a7f0c2d11"
AUDIENCE = "api://3c1f6a34-7c7e-4a0a-9a1e-5b8a7f0c2d11"
TRUST = ("oauth", "trust", "--account", "acme", "--tenant", TENANT, "--subject", SUBJECT)


def run(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=["scim", *words])


def create(app: Flask, name: str = "ci", *more: str) -> str:
    result = run(app, "token", "create", "--account", "acme", "--name", name, *more)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def events(app: Flask) -> list[tuple[str, str | None]]:
    with app.app_context():
        account = get_account()
        entries = log.recent(db.session, scim.records, account.id, limit=9)
        return [(entry.event, entry.detail) for entry in entries]


def in_force(app: Flask) -> Any:
    with app.app_context():
        account = get_account()
        return providers.in_force(db.session, scim.records, account.id)


def test_create_prints_the_token_and_nothing_else(app: Flask) -> None:
    """A script reads it from standard output; it works at once."""
    told: list[Any] = []

    def receiver(sender: Any, **evidence: Any) -> None:
        told.append((sender, evidence["token"].name, evidence["account"].slug))

    with token_issued.connected_to(receiver):
        result = run(app, "token", "create", "--account", "acme", "--name", "ci")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert tokens.is_well_formed(result.stdout.removesuffix("\n"))
    assert Entra(app.test_client(), result.stdout.strip()).get("/Users").status_code == 200
    assert told == [(app, "ci", "acme")]
    (entry,) = events(app)
    assert entry[0] == "token.saved"
    assert "ci (" in str(entry[1])
    assert result.stdout.strip() not in str(entry)


@pytest.mark.parametrize(
    ("configured", "words", "days"),
    [(365, (), 365), (365, ("--days", "1"), 1), (None, (), None), (None, ("--days", "7"), 7)],
)
def test_a_token_expires_as_said_or_as_configured(
    app: Flask, configured: int | None, words: tuple[str, ...], days: int | None
) -> None:
    """``H5MAG_SCIM_TOKEN_LIFETIME`` is the default; ``None`` there means never."""
    state = app.extensions["h5mag_scim"]
    lifetime = None if configured is None else timedelta(days=configured)
    state.config = dataclasses.replace(state.config, token_lifetime=lifetime)
    before = now()
    create(app, "x", *words)
    with app.app_context():
        token = db.session.scalars(sa.select(scim.Token)).one()
        assert token.name == "x"
        if days is None:
            assert token.expires_at is None
        else:
            late = token.expires_at - before - timedelta(days=days)
            assert timedelta(0) <= late < timedelta(minutes=1)
    (line,) = run(app, "token", "list", "--account", "acme").stdout.splitlines()[1:]
    assert line.count("never") == (2 if days is None else 1)


def test_list_shows_what_the_page_shows(app: Flask) -> None:
    """Newest first, with the fingerprint that "revoke" takes; without tokens, a word on
    standard error."""
    empty = run(app, "token", "list", "--account", "acme")
    assert (empty.exit_code, empty.stdout) == (0, "")
    assert "No token is saved" in empty.stderr
    create(app, "first")
    text = create(app, "second")
    lines = run(app, "token", "list", "--account", "acme").stdout.splitlines()
    assert lines[0].split()[:3] == ["FINGERPRINT", "NAME", "STATE"]
    assert [line.split()[1] for line in lines[1:]] == ["second", "first"]
    assert lines[1].split()[0] == tokens.hash_text(text)[:6]
    assert text not in "".join(lines)
    assert run(app, "token", "list", "--account", "globex").stdout == ""


def test_revoke_closes_the_door_at_once(app: Flask) -> None:
    """By fingerprint, in any case; a second time there is nothing to revoke."""
    text = create(app)
    fingerprint = tokens.hash_text(text)[:6]
    other = run(app, "token", "revoke", fingerprint, "--account", "globex")
    assert other.exit_code == 1
    told: list[Any] = []

    def receiver(sender: Any, **evidence: Any) -> None:
        told.append(evidence["token"].fingerprint)

    with token_revoked.connected_to(receiver):
        result = run(app, "token", "revoke", fingerprint.upper(), "--account", "acme")
    assert (result.exit_code, result.stdout) == (0, "")
    assert f"Revoked ci ({fingerprint})" in result.stderr
    assert told == [fingerprint]
    assert "revoked" in error_of(Entra(app.test_client(), text).get("/Users"), 401)
    assert "token.revoked" in [event for event, _ in events(app)]
    again = run(app, "token", "revoke", fingerprint, "--account", "acme")
    assert again.exit_code == 1
    assert "No active token" in again.stderr


def test_of_two_tokens_the_older_is_retiring(app: Flask) -> None:
    """As on the page; when the newer one is gone, it stays after all."""

    def states() -> dict[str, str]:
        found = as_json(app, "token", "list", "--account", "acme")
        return {one["name"]: one["state"] for one in found}

    create(app, "old")
    create(app, "new")
    assert states() == {"old": "retiring", "new": "active"}
    lines = run(app, "token", "list", "--account", "acme").stdout.splitlines()[1:]
    assert [line.split()[2] for line in lines] == ["active", "retiring"]
    run(app, "token", "revoke", lines[0].split()[0], "--account", "acme")
    assert states() == {"old": "active", "new": "revoked"}


def test_a_third_token_is_refused_in_words(app: Flask) -> None:
    """And leaves no draft behind."""
    create(app, "a")
    create(app, "b")
    result = run(app, "token", "create", "--account", "acme", "--name", "c")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "Two tokens are active already" in result.stderr
    assert "then create this one" in result.stderr
    with app.app_context():
        account = get_account()
        assert tokens.draft(db.session, scim.records, account.id) is None


def trusts(app: Flask) -> list[tuple[str, ...]]:
    with app.app_context():
        rows = db.session.scalars(sa.select(scim.FederatedCredential)).all()
        return [(row.cloud, row.tenant_id, row.subject, row.audience, row.name) for row in rows]


@pytest.mark.parametrize("suffix", ["", "/", "/.default", "/app.h5mag.com"])
def test_a_workload_identity_is_trusted_as_entra_shows_it(app: Flask, suffix: str) -> None:
    """In any case, with what Entra's page writes behind the audience."""
    result = run(
        app,
        *TRUST[:-1],
        SUBJECT.upper(),
        "--audience",
        AUDIENCE.upper() + suffix,
        "--cloud",
        "us",
        "--name",
        "Contoso",
    )
    assert (result.exit_code, result.stdout) == (0, ""), result.stderr
    assert trusts(app) == [("us", TENANT, SUBJECT, AUDIENCE, "Contoso")]
    ((event, detail),) = events(app)
    assert event == "oauth.trusted"
    assert str(detail).startswith("Contoso (")
    assert f"us {TENANT}, {SUBJECT}, {AUDIENCE}" in str(detail)


def test_the_audience_is_our_own_registration_unless_said(app: Flask) -> None:
    """The value that a customer without a workload identity of its own has."""
    state = app.extensions["h5mag_scim"]
    state.config = dataclasses.replace(
        state.config, oidc_client_id=AUDIENCE.removeprefix("api://").upper()
    )
    assert run(app, *TRUST).exit_code == 0
    assert trusts(app) == [("global", TENANT, SUBJECT, AUDIENCE, "Microsoft Entra ID")]


def test_trusts_are_listed_and_revoked(app: Flask) -> None:
    """By fingerprint, in any case and within the account; the place is free afterwards."""
    assert "trusts no workload identity" in run(app, "oauth", "list", "--account", "acme").stderr
    trust = (*TRUST, "--audience", AUDIENCE)
    assert run(app, *trust).exit_code == 0
    twice = run(app, *trust)
    assert (twice.exit_code, twice.stdout) == (1, "")
    assert "trusted already" in twice.stderr
    elsewhere = run(app, *[word.replace("acme", "globex") for word in trust])
    assert "trusted already" in elsewhere.stderr
    heading, line = run(app, "oauth", "list", "--account", "acme").stdout.splitlines()
    assert heading.split()[:3] == ["FINGERPRINT", "NAME", "STATE"]
    assert [word for word in line.split() if word in (TENANT, SUBJECT, AUDIENCE, "active")] == [
        "active",
        TENANT,
        SUBJECT,
        AUDIENCE,
    ]
    fingerprint = line.split()[0]
    assert run(app, "oauth", "list", "--account", "globex").stdout == ""
    assert run(app, "oauth", "revoke", fingerprint, "--account", "globex").exit_code == 1
    done = run(app, "oauth", "revoke", fingerprint.upper(), "--account", "acme")
    assert (done.exit_code, done.stdout) == (0, "")
    assert f"Revoked Microsoft Entra ID ({fingerprint})" in done.stderr
    assert run(app, "oauth", "revoke", fingerprint, "--account", "acme").exit_code == 1
    assert " revoked " in run(app, "oauth", "list", "--account", "acme").stdout
    assert [event for event, _ in events(app)] == ["oauth.trust_revoked", "oauth.trusted"]
    assert run(app, *trust).exit_code == 0


def test_sso_is_configured_and_switched_off(app: Flask) -> None:
    """The way past the page, and the way out of a lock-out."""
    words = ("sso", "configure", "--account", "acme", "--tenant", TENANT.upper())
    result = run(app, *words)
    assert (result.exit_code, result.stdout) == (0, "")
    row = in_force(app)
    assert (row.cloud, row.tenant_id, row.mode) == ("global", TENANT, "redirect")
    public_id, version = row.public_id, row.version

    off = run(app, "sso", "off", "--account", "acme")
    assert off.exit_code == 0
    assert "is off." in off.stderr
    assert (in_force(app).mode, in_force(app).public_id) == ("off", public_id)
    assert in_force(app).version > version
    assert "off already" in run(app, "sso", "off", "--account", "acme").stderr
    assert [event for event, _ in events(app)] == ["sso.off", "sso.in_force"]

    run(app, *words, "--cloud", "us", "--mode", "off")
    assert (in_force(app).cloud, in_force(app).mode) == ("us", "off")
    assert in_force(app).public_id == public_id


def test_what_the_operator_does_not_name_stays_as_the_admins_chose_it(app: Flask) -> None:
    """Another mode or directory lets no guest in, and trusts no user name."""
    with app.app_context():
        account = get_account()
        strict = providers.Settings(
            "global", TENANT, allows_guests=False, links_by_user_name=True, session_hours=1
        )
        providers.configure(db.session, scim.records, account.id, strict, by="test")
        db.session.commit()
    for tenant in (TENANT, SUBJECT):
        words = ("sso", "configure", "--account", "acme", "--tenant", tenant, "--mode", "button")
        assert run(app, *words).exit_code == 0
        row = in_force(app)
        assert (row.tenant_id, row.mode) == (tenant, "button")
        assert (row.allows_guests, row.links_by_user_name, row.session_hours) == (False, True, 1)


def test_of_several_accounts_of_one_name_none_is_chosen_by_chance(app: Flask) -> None:
    """Somebody's provisioning is not stopped for a namesake's; and a name that is another
    account's slug does not stand in its way."""
    with app.app_context():
        db.session.add_all(
            Account(slug=slug, name=name, plan="enterprise")
            for slug, name in (("globex-2", "Globex"), ("copy", "acme"))
        )
        db.session.commit()
    result = run(app, "pause", "--account", "Globex")
    assert result.exit_code == 1
    assert "Several accounts are called 'Globex': name one by what only it has." in result.stderr
    assert run(app, "warn", "--account", "Globex").exit_code == 1
    assert run(app, "pause", "--account", "acme").exit_code == 0
    with app.app_context():
        paused = db.session.scalars(sa.select(scim.records.AccountState.account_id)).one()
        assert db.session.get_one(Account, paused).slug == "acme"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("token", "list", "--account", "nobody"), "There is no account 'nobody'"),
        (("token", "list"), "Missing option '--account'"),
        (("token", "create", "--account", "acme"), "Missing option '--name'"),
        (
            ("token", "create", "--account", "acme", "--name", "x", "--days", "0"),
            "not in the range",
        ),
        (("token", "revoke", "abcdef", "--account", "acme"), "No active token has the fingerprint"),
        (("sso", "configure", "--account", "acme", "--tenant", "x"), "under Entra ID, Overview"),
        (("sso", "configure", "--account", "acme", "--tenant", PERSONAL), "personal Microsoft"),
        (("sso", "configure", "--account", "acme", "--tenant", "common"), "every directory"),
        (
            ("sso", "configure", "--account", "acme", "--tenant", TENANT, "--cloud", "mars"),
            "There is no cloud 'mars'; known are china, global, us",
        ),
        (("oauth", "revoke", "abcdef", "--account", "acme"), "No trust in force has the finger"),
        ((*TRUST, "--tenant", "common"), "every directory"),
        ((*TRUST, "--cloud", "mars"), "There is no cloud 'mars'"),
        ((*TRUST, "--subject", "x"), "--subject 'x': this is not an object id"),
        ((*TRUST, "--audience", "https://h5mag.example"), "not the Audience that Microsoft Entra"),
        (TRUST, "not the Audience that Microsoft Entra shows"),  # the host's own is "h5mag"
        (TRUST[:-4], "Missing option '--tenant'"),
        (TRUST[:-2], "Missing option '--subject'"),
        (
            ("sso", "configure", "--account", "acme", "--tenant", TENANT, "--mode", "magic"),
            "is not one of 'off', 'button', 'redirect', 'require'",
        ),
    ],
)
def test_mistakes_are_told_and_change_nothing(
    app: Flask, words: tuple[str, ...], sentence: str
) -> None:
    """On standard error, with an exit code that a script sees."""
    result = run(app, *words)
    assert result.exit_code != 0
    assert result.stdout == ""
    assert sentence in result.stderr
    assert events(app) == []
    assert in_force(app) is None
    with app.app_context():
        assert db.session.scalars(sa.select(scim.FederatedCredential)).all() == []


OWN = ("sso", "configure", "--account", "acme", "--tenant", TENANT, "--client-id", CLIENT_ID)
SECRET = "Vk~8Q~the.value-of-a_secret"


@both_databases
def test_an_own_registration_is_configured(app: Flask, tmp_path: Path) -> None:
    """Its secret comes from a file, where no list of processes shows it, and is encrypted."""
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\n")
    words = (*OWN, "--client-secret-file", str(file), "--secret-expires", "2033-02-01")
    result = run(app, *words)
    assert (result.exit_code, result.stdout) == (0, "")
    row = in_force(app)
    assert (row.client_id, row.secret_expires_at) == (CLIENT_ID, datetime(2033, 2, 1, tzinfo=UTC))
    sealed = row.client_secret
    assert SECRET not in sealed
    with app.app_context():
        assert app.extensions["h5mag_scim"].vault.open(sealed) == SECRET
    assert SECRET not in result.output + str(events(app))
    assert events(app) == [
        ("sso.in_force", f"global {TENANT}, redirect, app registration {CLIENT_ID}")
    ]
    # A host without a registration can have such accounts, and a stored secret stays.
    state = app.extensions["h5mag_scim"]
    state.config = dataclasses.replace(state.config, oidc_client_id=None)
    assert run(app, *OWN, "--mode", "off").exit_code == 0
    row = in_force(app)
    assert (row.mode, row.client_secret) == ("off", sealed)
    assert row.secret_expires_at == datetime(2033, 2, 1, tzinfo=UTC)
    # In another cloud there is another registration.
    assert "No secret is stored" in run(app, *OWN, "--cloud", "us").stderr
    assert in_force(app).cloud == "global"


@pytest.mark.parametrize(
    ("words", "typed", "sentence"),
    [
        (OWN, "", "No secret is stored for this --client-id"),
        ((*OWN[:-1], "x", "--client-secret-file", "-"), SECRET, "--client-id 'x': This is not"),
        ((*OWN, "--client-secret-file", "-"), TENANT, "This is the Secret ID"),
        ((*OWN, "--client-secret-file", "-"), "two words here", "not the Value of a client"),
        ((*OWN[:-2], "--client-secret-file", "-"), SECRET, "A secret belongs to a --client-id"),
        ((*OWN[:-2], "--secret-expires", "2033-02-01"), "", "A secret belongs to a --client-id"),
        ((*OWN, "--secret-expires", "soon"), "", "does not match the format"),
    ],
)
def test_mistakes_in_a_registration_are_told(
    app: Flask, words: tuple[str, ...], typed: str, sentence: str
) -> None:
    """Without the secret, and nothing is stored."""
    result = app.test_cli_runner().invoke(args=["scim", *words], input=typed)
    assert result.exit_code != 0
    assert sentence in result.stderr
    assert SECRET not in result.output
    assert in_force(app) is None


def test_without_a_key_no_secret_is_stored(app: Flask, tmp_path: Path) -> None:
    """Rather than as it is."""
    file = tmp_path / "secret"
    file.write_text(SECRET)
    app.config["SECRET_KEY"] = None
    result = run(app, *OWN, "--client-secret-file", str(file))
    assert "set SECRET_KEY" in result.stderr
    assert in_force(app) is None


@both_databases
def test_secrets_are_encrypted_with_a_new_key(app: Flask, tmp_path: Path) -> None:
    """As the help says: a new key in front, this command, and the old one can go."""
    file = tmp_path / "secret"
    file.write_text(SECRET)
    assert run(app, *OWN, "--client-secret-file", str(file)).exit_code == 0
    before = in_force(app)
    app.config.update(SECRET_KEY="new", SECRET_KEY_FALLBACKS=["test"])
    result = run(app, "sso", "reencrypt")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "Encrypted anew: 1." in result.stderr
    assert events(app)[0] == ("sso.reencrypted", None)
    app.config["SECRET_KEY_FALLBACKS"] = []
    row = in_force(app)
    assert (row.version, row.secret_expires_at) == (before.version, None)
    with app.app_context():
        assert app.extensions["h5mag_scim"].vault.open(row.client_secret) == SECRET
    assert "Encrypted anew: 0." in run(app, "sso", "reencrypt").stderr
    assert len(events(app)) == 2

    app.config["SECRET_KEY"] = "lost"
    result = run(app, "sso", "reencrypt")
    assert result.exit_code == 1
    assert f"have to enter it again: {row.account_id}" in result.stderr
    assert in_force(app).client_secret == row.client_secret


def test_people_are_linked_and_unlinked(app: Flask) -> None:
    """What disagrees with provisioning can be put right, and is in the log."""
    oid = "0f0f0f0f-aaaa-4bbb-8ccc-d0d0d0d0d0d0"
    words = ("Owner@Acme.example", "--account", "acme")
    refused = run(app, "sso", "link", *words, oid)
    assert refused.exit_code == 1
    assert "no Microsoft directory in force" in refused.stderr
    assert run(app, "sso", "configure", "--account", "acme", "--tenant", TENANT).exit_code == 0
    assert "not an object id" in run(app, "sso", "link", *words, "x").stderr
    linked = run(app, "sso", "link", *words, oid.upper())
    assert linked.exit_code == 0, linked.stderr
    assert run(app, "sso", "unlink", *words).exit_code == 0
    assert [name for name, _ in events(app)][:2] == ["sso.unlinked", "sso.linked"]
    for name in ("nobody", "owner@globex.example"):
        result = run(app, "sso", "unlink", name, "--account", "acme")
        assert "No one user" in result.stderr
        assert result.exit_code == 1


def test_sso_needs_a_registration(app: Flask) -> None:
    """Without one, nobody could come back from Microsoft."""
    state = app.extensions["h5mag_scim"]
    state.config = dataclasses.replace(state.config, oidc_client_id=None)
    result = run(app, "sso", "configure", "--account", "acme", "--tenant", TENANT)
    assert result.exit_code == 1
    assert "H5MAG_SCIM_OIDC_CLIENT_ID" in result.stderr
    assert in_force(app) is None


@both_databases
def test_single_sign_on_is_shown_with_all_that_an_operator_asks_for(
    app: Flask, entra: Entra, tmp_path: Path
) -> None:
    """What serves, what waits for its test, the addresses, and who could not come in."""
    assert "no directory is set" in run(app, "sso", "show", "--account", "acme").stdout
    file = tmp_path / "secret"
    file.write_text(SECRET)
    words = (*OWN, "--client-secret-file", str(file), "--secret-expires", "2033-02-01")
    assert run(app, *words).exit_code == 0
    entra.user("ada", externalId="ada")
    entra.user("bob")
    with app.app_context():
        account = get_account()
        waiting = providers.Settings("global", SUBJECT, allows_guests=False, session_hours=1)
        providers.save(db.session, scim.records, account.id, waiting, by="ada")
        db.session.commit()
    public_id = in_force(app).public_id
    text = run(app, "sso", "show", "--account", "acme").stdout
    for part in (
        TENANT,
        SUBJECT,
        f"{CLIENT_ID}, secret stored, ends 2033-02-01",
        f"http://127.0.0.1:5000/sso/{public_id}/login",
        "http://127.0.0.1:5000/sso/callback",
        "2 active and provisioned; 1 of them cannot sign in",
        "Waiting for its test",
    ):
        assert part in text
    found = as_json(app, "sso", "show", "--account", "acme")
    assert found["mode"] == "redirect"
    assert found["in_force"]["has_secret"] is True
    assert found["in_force"]["secret_expires_at"] == "2033-02-01T00:00:00Z"
    assert (found["pending"]["allows_guests"], found["pending"]["session_hours"]) == (False, 1)
    assert found["people"] == {"provisioned": 2, "without_object_id": 1, "unreachable": 1}
    app.config["SECRET_KEY"] = "another"
    assert "no key decrypts" in run(app, "sso", "show", "--account", "acme").stdout
    assert run(app, "sso", "show", "--account", "umbrella").exit_code == 0
    assert "no licence" in run(app, "sso", "show", "--account", "umbrella").stdout


def as_json(app: Flask, *words: str) -> Any:
    result = run(app, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_machines_are_given_json(app: Flask) -> None:
    """Wherever something is made or listed: one document, also where there is nothing."""
    account = ("--account", "acme")
    for words in (("token", "list"), ("oauth", "list"), ("sso", "break-glass", "list")):
        assert as_json(app, *words, *account) == []
    made = as_json(app, "token", "create", *account, "--name", "ci", "--days", "9")
    text = made.pop("token")
    assert Entra(app.test_client(), text).get("/Users").status_code == 200
    (listed,) = as_json(app, "token", "list", *account)
    assert listed["last_used_at"].endswith("Z")
    unused = {"first_used_at": None, "last_used_at": None, "last_used_ip": None}
    assert {**listed, **unused} == made
    assert run(app, *TRUST, "--audience", AUDIENCE).exit_code == 0
    (trust,) = as_json(app, "oauth", "list", *account)
    assert (trust["tenant_id"], trust["subject"]) == (TENANT, SUBJECT)
    assert run(app, "sso", "break-glass", "add", "owner@acme.example", *account).exit_code == 0
    assert as_json(app, "sso", "break-glass", "list", *account) == ["owner@acme.example"]


READING = (
    ("token", "list"),
    ("oauth", "list"),
    ("sso", "show"),
    ("sso", "break-glass", "list"),
    ("log", "tail"),
    ("log", "show", "1"),
    ("brake", "show"),
    ("explain", 'userName eq "ada"'),
)


@both_databases
def test_what_only_reads_waits_for_nobody(app: Flask, statements: Any) -> None:
    """It takes no lock, so that a look costs no customer a second."""
    create(app)
    with statements() as seen:
        for words in READING:
            assert run(app, *words, "--account", "acme").exit_code == 0, words
    assert seen
    for one in seen:
        text = one.upper()
        assert not text.startswith(("INSERT", "UPDATE", "DELETE", "BEGIN IMMEDIATE")), one
        assert "FOR UPDATE" not in text
        assert "FOR NO KEY UPDATE" not in text


def test_no_secret_is_in_anything_that_is_printed(app: Flask, tmp_path: Path) -> None:
    """Neither tokens, but where one is made, nor what is stored of them, nor the secrets of
    registrations, nor the application's own."""
    token = create(app)
    file = tmp_path / "secret"
    file.write_text(SECRET)
    output = run(app, *OWN, "--client-secret-file", str(file)).output
    others = [("check",), ("log", "export", "--account", "acme"), ("sso", "reencrypt")]
    for words in [(*words, "--account", "acme") for words in READING] + others:
        output += run(app, *words).output
        if words[0] != "sso" or words[1] != "reencrypt":
            output += run(app, *words, "--json").output
    hidden = [token, tokens.hash_text(token), SECRET, in_force(app).client_secret]
    hidden.append("a secret of the host")
    assert not [secret for secret in hidden if secret in output]


def test_a_narrow_terminal_shows_blocks_and_cuts_nothing(
    app: Flask, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table that does not fit is no table any more."""
    row = ("3f9a1c", "Contoso", "x" * 70)
    monkeypatch.setattr(shell.sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(shell, "terminal_width", lambda: 60)
    shell.show([("FINGERPRINT", "NAME", "AUDIENCE"), row, row])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:4] == [
        "FINGERPRINT  3f9a1c",
        "NAME         Contoso",
        f"AUDIENCE     {'x' * 70}",
        "",
    ]
    monkeypatch.setattr(shell, "terminal_width", lambda: 100)
    shell.show([("FINGERPRINT", "NAME", "AUDIENCE"), row])
    assert capsys.readouterr().out.splitlines()[1] == f"3f9a1c       Contoso  {'x' * 70}"


def test_an_account_that_cannot_be_told_from_another_is_not_guessed(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the host's look-up does with a text: nobody wants to disconnect the other one."""
    looked_up: dict[str, Callable[[str], Any]] = {
        "Several accounts are called": lambda text: db.session.scalars(
            sa.select(Account)
        ).one_or_none(),
        "There is no account": lambda text: db.session.get(Account, uuid.UUID(text)),
    }
    for sentence, look_up in looked_up.items():
        monkeypatch.setattr(scim, "find_account", look_up)
        result = run(app, "disconnect", "--account", "acme", "--yes")
        assert (result.exit_code, result.stdout) == (1, "")
        assert f"Error: {sentence} 'acme'" in result.stderr
    monkeypatch.setattr(scim, "find_account", lambda text: db.session.scalars(sa.select(Account)))
    result = run(app, "disconnect", "--account", "acme", "--yes")
    assert "gave back ScalarResult for 'acme', and not an Account or None" in result.stderr
    monkeypatch.setattr(scim, "find_account", lambda text: db.session.get(Account, text))
    result = run(app, "disconnect", "--account", "acme", "--yes")
    assert "There is no account 'acme'" in result.stderr


def test_what_is_no_text_is_a_wrong_option(app: Flask) -> None:
    """Not a stack trace of the database's driver."""
    name = b"a\xff".decode(errors="surrogateescape")
    for words in (
        ("token", "list", "--account", name),
        ("token", "create", "--account", "acme", "--name", name),
        ("sso", "unlink", name, "--account", "acme"),
        ("explain", f'userName eq "{name}"'),
    ):
        result = run(app, *words)
        assert (result.exit_code, result.stdout) == (2, ""), words
        assert "no text" in result.stderr


def test_a_terminal_of_another_encoding_ends_nothing(app: Flask) -> None:
    """People see what it has; machines get UTF-8."""
    create(app, "Zoë →")
    runner = app.test_cli_runner(charset="latin-1")
    words = ["scim", "token", "list", "--account", "acme"]
    shown = runner.invoke(args=words)
    assert shown.exit_code == 0
    assert "Zoë ?" in shown.stdout
    told = runner.invoke(args=[*words, "--json"])
    assert [each["name"] for each in json.loads(told.stdout_bytes)] == ["Zoë →"]


def test_what_cannot_be_written_is_told(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is no stack trace."""

    def fail(rows: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    create(app)
    monkeypatch.setattr(token_commands, "show", fail)
    result = run(app, "token", "list", "--account", "acme")
    assert result.exit_code == 1
    assert result.stderr == "Error: Not all of it could be written: No space left on device.\n"


def test_every_command_explains_itself(app: Flask) -> None:
    """With a sentence, an example that names it, and what its exit codes say."""
    commands = {" ".join(words): command for words, command in walk(group, ())}
    assert {"token create", "sso show", "log prune", "check", "explain"} <= set(commands)
    for words, command in commands.items():
        assert command.help, words
        if hasattr(command, "commands"):
            continue
        result = run(app, *words.split(), "--help")
        assert result.exit_code == 0
        example = result.stdout.partition("Example:")[2]
        assert f"flask scim {words}" in example, words
        assert "Exit codes:" in example, words
        assert max(map(len, result.stdout.splitlines())) <= 80, words
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help, (words, option.name)


def walk(commands: Any, above: tuple[str, ...]) -> Any:
    for name, command in commands.commands.items():
        yield (*above, name), command
        if hasattr(command, "commands"):
            yield from walk(command, (*above, name))
