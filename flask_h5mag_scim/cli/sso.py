"""``flask scim sso …``: how the people of an account sign in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, TextIO

import click
from flask.cli import with_appcontext

from .. import config as configuration
from ..records import locks, log, providers, vault
from ..records.log import Event
from ..records.models import IdentityProviderMixin, Mode
from ..state import State, get_state
from ..texts import say
from ..web import modes, oidc, people, require
from .shell import (
    OPERATOR,
    Group,
    about_account,
    cloud_option,
    day_text,
    directory,
    for_account,
    json_option,
    plain,
    show_json,
    show_pairs,
    time_text,
    with_addresses,
    wrong,
)

group = Group("sso", help="How the people of an account sign in.")
break_glass_group = Group(
    "break-glass", help="Who keeps the password when an account requires Microsoft."
)
group.add_command(break_glass_group)


@group.command("show", example="flask scim sso show --account contoso")
@json_option
@about_account
def sso_show(state: State, account: Any, account_id: Any, as_json: bool) -> None:
    """Show how the people of an account sign in: what is in force and what waits for its test,
    the addresses for Microsoft Entra, and how many people could not come in.

    Secrets are not shown, only whether there is one.
    """
    serving, pending = providers.load(state.session, state.scim.records, account_id)
    rows = {"in_force": serving, "pending": pending}
    known = pending or serving
    with with_addresses(state):
        found = {
            "licensed": bool(state.scim.is_licensed(account)),
            "mode": str(modes.serving(serving, account)),
            "in_force": None,
            "pending": None,
            "redirect_uri": oidc.redirect_uri(state),
            "sign_on_url": None if known is None else oidc.sign_on_url(state, known),
            "break_glass": require.break_glass_names(account),
            "people": None if known is None else asdict(people.reach(account, known.tenant_id)),
        }
    found |= {name: _settings(state, row) for name, row in rows.items() if row is not None}
    if as_json:
        show_json(found)
    else:
        _show(found)


def _settings(state: State, row: IdentityProviderMixin) -> dict[str, Any]:
    """Everything about settings but the secret."""
    return {
        "mode": row.mode,
        "cloud": row.cloud,
        "tenant_id": row.tenant_id,
        "client_id": row.client_id,
        "has_secret": row.client_secret is not None,
        "secret_is_readable": state.vault.opens(row.client_secret),
        "secret_expires_at": row.secret_expires_at,
        "allows_guests": row.allows_guests,
        "links_by_user_name": row.links_by_user_name,
        "session_hours": row.session_hours,
        "tested_at": row.tested_at,
        "tested_by": row.tested_by,
        "trial_ends_at": row.trial_ends_at,
        "updated_at": row.updated_at,
        "updated_by": row.updated_by,
    }


def _show(found: dict[str, Any]) -> None:
    pairs = [
        ("mode", found["mode"] if found["licensed"] else say("shell.sso.unlicensed")),
        ("redirect_uri", found["redirect_uri"]),
        ("sign_on_url", found["sign_on_url"] or say("shell.sso.no_address")),
        ("break_glass", ", ".join(found["break_glass"]) or say("shell.sso.nobody")),
    ]
    if (reach := found["people"]) is not None:
        text = say(
            "shell.sso.reach", provisioned=reach["provisioned"], unreachable=reach["unreachable"]
        )
        pairs.append(("people", text))
    show_pairs([(say(f"shell.sso.{name}"), text) for name, text in pairs])
    for name in ("in_force", "pending"):
        if found[name] is not None:
            click.echo()
            click.secho(say(f"shell.sso.{name}"), bold=True)
            show_pairs([(f"  {label}", text) for label, text in _in_words(found[name])])


def _in_words(row: dict[str, Any]) -> list[tuple[str, str]]:
    if row["client_id"] is None:
        registration = say("shell.sso.shared")
    else:
        kept = "stored" if row["secret_is_readable"] else "lost"
        kept = kept if row["has_secret"] else "missing"
        ends = row["secret_expires_at"]
        registration = say(
            f"shell.sso.own_{kept}",
            client_id=row["client_id"],
            day=say("shell.sso.unknown_day") if ends is None else day_text(ends),
        )
    tested = say("shell.sso.untested")
    if row["tested_at"] is not None:
        tested = say("shell.sso.by", time=time_text(row["tested_at"]), by=row["tested_by"])
    texts = {
        "mode": row["mode"],
        "directory": f"{row['cloud']} {row['tenant_id']}",
        "registration": registration,
        "tested": tested,
        "trial": time_text(row["trial_ends_at"]) if row["trial_ends_at"] else None,
        "guests": say(f"shell.sso.{'yes' if row['allows_guests'] else 'no'}"),
        "user_names": say(f"shell.sso.{'yes' if row['links_by_user_name'] else 'no'}"),
        "sessions": say("shell.sso.hours", n=row["session_hours"]),
        "saved": say("shell.sso.by", time=time_text(row["updated_at"]), by=row["updated_by"]),
    }
    return [(say(f"shell.sso.{name}"), text) for name, text in texts.items() if text]


@group.command(
    "configure",
    example="flask scim sso configure --account contoso --mode redirect \\\n"
    "    --tenant 8f14e45f-ceea-467f-a1d2-3b5c6d7e8f90",
)
@cloud_option
@click.option("--tenant", required=True, metavar="GUID", help="The directory (tenant) id.")
@click.option(
    "--mode",
    type=click.Choice([mode.value for mode in Mode]),
    default=Mode.REDIRECT.value,
    show_default=True,
    help="off: passwords. button: passwords, and a button. redirect: people go to Microsoft as "
    "soon as they are known. require: no password opens the account but those of its "
    "break-glass owners, without a trial.",
)
@click.option(
    "--client-id",
    metavar="GUID",
    help="The account's own app registration; this application's if left out.",
)
@click.option(
    "--client-secret-file",
    type=click.File(),
    metavar="FILE",
    help="Where the Value of its secret stands; - is standard input. If left out, the secret "
    "that is stored for it stays.",
)
@click.option(
    "--secret-expires",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="YYYY-MM-DD",
    help="When the secret ends, so that people are warned.",
)
@for_account
def sso_configure(
    state: State,
    account: Any,
    account_id: Any,
    cloud: str,
    tenant: str,
    mode: str,
    client_id: str | None,
    client_secret_file: TextIO | None,
    secret_expires: datetime | None,
) -> None:
    """Put a directory in force at once, without a test sign-in."""
    tenant_id = directory(state, cloud, tenant)
    typed = client_secret_file.read(1000).strip() if client_secret_file else ""
    registration = _registration(state, account_id, cloud, client_id, typed, secret_expires)
    session, records = state.session, state.scim.records
    chosen = {"cloud": cloud, "tenant_id": tenant_id, "mode": Mode(mode), **registration}
    in_force = providers.in_force(session, records, account_id)
    # What no option names stays as the account's admins have chosen it.
    before = None if in_force is None else providers.Settings.of(in_force)
    wanted = providers.Settings(**chosen) if before is None else replace(before, **chosen)
    if wanted.mode is Mode.REQUIRE:
        _require_break_glass(state, account)
    providers.configure(session, records, account_id, wanted, by=OPERATOR)
    detail = f"{cloud} {tenant_id}, {mode}"
    if wanted.client_id is not None:
        detail += f", app registration {wanted.client_id}"
    log.record(session, records, account_id, Event.SSO_IN_FORCE, actor=OPERATOR, detail=detail)
    session.commit()
    click.echo(say("shell.sso.now", what=detail), err=True)


def _require_break_glass(state: State, account: Any) -> None:
    """Stop where Microsoft would be the only way in."""
    if not state.scim.knows_second_factor:
        raise click.ClickException(say("shell.sso.second_factor"))
    scim = state.scim
    if not any(
        owner.is_active and scim.user.is_active(owner) and scim.can_manage(owner, account)
        for owner in scim.break_glass_owners(account)
    ):
        raise click.ClickException(say("shell.sso.way_in"))


@group.command("off", example="flask scim sso off --account contoso")
@for_account
def sso_off(state: State, account: Any, account_id: Any) -> None:
    """Let the people of an account sign in with their passwords again: the way out of a
    lock-out."""
    session, records = state.session, state.scim.records
    if providers.switch_off(session, records, account_id, by=OPERATOR):
        log.record(session, records, account_id, Event.SSO_OFF, actor=OPERATOR)
        session.commit()
        click.echo(say("shell.sso.off"), err=True)
    else:
        click.echo(say("shell.sso.off_before"), err=True)


@break_glass_group.command("list", example="flask scim sso break-glass list --account contoso")
@json_option
@about_account
def break_glass_list(state: State, account: Any, account_id: Any, as_json: bool) -> None:
    """List the break-glass owners by user name, one a line."""
    names = require.break_glass_names(account)
    if as_json:
        show_json(names)
        return
    if not names:
        click.echo(say("shell.sso.no_break_glass"), err=True)
    for name in names:
        click.echo(plain(name))


@break_glass_group.command(
    "add",
    example="flask scim sso break-glass add ada@contoso.com --account contoso",
)
@click.argument("username")
@for_account
def break_glass_add(state: State, account: Any, account_id: Any, username: str) -> None:
    """Let USERNAME keep the password when the account requires Microsoft: an active owner or
    admin whom Microsoft Entra does not manage."""
    _name(state, account, [*require.break_glass_names(account), username])
    click.echo(say("shell.sso.named", name=username), err=True)


@break_glass_group.command(
    "remove",
    example="flask scim sso break-glass remove ada@contoso.com --account contoso",
)
@click.argument("username")
@for_account
def break_glass_remove(state: State, account: Any, account_id: Any, username: str) -> None:
    """Let USERNAME be a break-glass owner no more."""
    known = require.break_glass_names(account)
    left = [name for name in known if name.casefold() != username.casefold()]
    if left == known:
        raise click.ClickException(say("shell.sso.not_named", name=username))
    _name(state, account, left)
    click.echo(say("shell.sso.removed", name=username), err=True)


def _name(state: State, account: Any, names: Sequence[str]) -> None:
    try:
        state.scim.name_break_glass(account, names, by=OPERATOR)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    state.session.commit()


@group.command(
    "link",
    example="flask scim sso link ada@contoso.com 0f0f0f0f-aaaa-4bbb-8ccc-d0d0d0d0d0d0 \\\n"
    "    --account contoso",
)
@click.argument("username")
@click.argument("object_id")
@for_account
def sso_link(state: State, account: Any, account_id: Any, username: str, object_id: str) -> None:
    """Say that the user USERNAME is the person OBJECT_ID in the account's directory."""
    user = _user(state, account_id, username)
    try:
        state.scim.link_user(user, object_id, by=OPERATOR)
    except ValueError as error:
        state.session.rollback()
        raise click.ClickException(str(error)) from error
    state.session.commit()
    click.echo(say("shell.sso.linked", name=username, oid=object_id.lower()), err=True)


@group.command("unlink", example="flask scim sso unlink ada@contoso.com --account contoso")
@click.argument("username")
@for_account
def sso_unlink(state: State, account: Any, account_id: Any, username: str) -> None:
    """Forget who the user USERNAME is at Microsoft, and end their sessions: the way out when
    provisioning names another object id than the link.
    """
    state.scim.unlink_user(_user(state, account_id, username), by=OPERATOR)
    state.session.commit()
    click.echo(say("shell.sso.unlinked", name=username), err=True)


def _user(state: State, account_id: Any, username: str) -> Any:
    found = state.scim.user.find_all(
        state.session, account_id, "userName", username, limit=2, ignore_case=True
    )
    if len(found) != 1:
        raise click.ClickException(say("shell.sso.no_user", name=username))
    return found[0]


@group.command("reencrypt", example="flask scim sso reencrypt")
@with_appcontext
def sso_reencrypt() -> None:
    """Encrypt the secrets of all accounts' own app registrations with the newest key.

    To change keys: put the new one in front of H5MAG_SCIM_ENCRYPTION_KEYS (or set a new
    SECRET_KEY and keep the old one in SECRET_KEY_FALLBACKS), restart, run this, and then take
    the old key out.
    """
    state = get_state()
    session, records = state.session, state.scim.records
    locks.begin_write(session, records.IdentityProvider)
    done = vault.reencrypt(session, records, state.vault)
    for account_id in done.changed:
        log.record(session, records, account_id, Event.SSO_REENCRYPTED, actor=OPERATOR)
    session.commit()
    click.echo(say("shell.sso.reencrypted", n=len(done.changed)), err=True)
    if done.lost:
        lost = ", ".join(map(str, done.lost))
        raise click.ClickException(say("shell.sso.lost", accounts=lost))


def _registration(
    state: State,
    account_id: Any,
    cloud: str,
    client_id: str | None,
    typed: str,
    expires: datetime | None,
) -> dict[str, Any]:
    """The app registration that the options of ``sso configure`` name, as settings.

    :param typed: its secret, or nothing.
    """
    if client_id is None:
        if typed or expires is not None:
            raise click.ClickException(say("shell.sso.secret_alone"))
        if not state.config.has_registration:
            raise click.ClickException(say("shell.sso.no_registration"))
        return {"client_id": None, "client_secret": None, "secret_expires_at": None}
    try:
        checked = configuration.client_id(client_id)
    except ValueError as error:
        raise wrong("--client-id", client_id, error) from error
    rows = providers.load(state.session, state.scim.records, account_id)
    try:
        if typed:
            configuration.client_secret(typed)
        sealed = providers.sealed_secret(
            state.vault, rows, cloud=cloud, client_id=checked, typed=typed
        )
    except (ValueError, vault.VaultError) as error:
        raise click.ClickException(f"--client-secret-file: {error}") from error
    if sealed is None:
        raise click.ClickException(say("shell.sso.no_secret"))
    ends = None if expires is None else expires.replace(tzinfo=UTC)
    if ends is None:
        same = (row for row in rows if row is not None and row.client_secret == sealed)
        ends = next((row.secret_expires_at for row in same), None)
    return {"client_id": checked, "client_secret": sealed, "secret_expires_at": ends}
