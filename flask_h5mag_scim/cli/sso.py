"""``flask scim sso …``: how the people of an account sign in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TextIO

import click
from flask.cli import AppGroup, with_appcontext

from .. import config as configuration
from ..records import locks, log, providers, vault
from ..records.log import Event
from ..records.models import Mode
from ..state import State, get_state
from .shell import OPERATOR, cloud_option, directory, for_account

group = AppGroup("sso", help="How the people of an account sign in.")
break_glass_group = AppGroup(
    "break-glass", help="Who keeps the password when an account requires Microsoft."
)
group.add_command(break_glass_group)


@group.command("configure")
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
    click.echo(f"In force: {detail}.", err=True)


def _require_break_glass(state: State, account: Any) -> None:
    """Stop where Microsoft would be the only way in."""
    if not state.scim.knows_second_factor:
        raise click.ClickException(
            "This application knows no second factor, which break-glass owners need: give "
            "H5magSCIM(…, second_factor=…)."
        )
    scim = state.scim
    if not any(
        owner.is_active and scim.user.is_active(owner) and scim.can_manage(owner, account)
        for owner in scim.break_glass_owners(account)
    ):
        raise click.ClickException(
            "Somebody must get in when Microsoft does not work: name a break-glass owner first, "
            "an active owner or admin, with `flask scim sso break-glass add`."
        )


@group.command("off")
@for_account
def sso_off(state: State, account: Any, account_id: Any) -> None:
    """Let the people of an account sign in with their passwords again: the way out of a
    lock-out."""
    session, records = state.session, state.scim.records
    if providers.switch_off(session, records, account_id, by=OPERATOR):
        log.record(session, records, account_id, Event.SSO_OFF, actor=OPERATOR)
        session.commit()
        click.echo("Single sign-on is off.", err=True)
    else:
        click.echo("Single sign-on was off already.", err=True)


@break_glass_group.command("list")
@for_account
def break_glass_list(state: State, account: Any, account_id: Any) -> None:
    """List the break-glass owners by user name."""
    for name in _break_glass(state, account):
        click.echo(name)


@break_glass_group.command("add")
@click.argument("username")
@for_account
def break_glass_add(state: State, account: Any, account_id: Any, username: str) -> None:
    """Let USERNAME keep the password when the account requires Microsoft: an active owner or
    admin whom Microsoft Entra does not manage."""
    _name(state, account, [*_break_glass(state, account), username])
    click.echo(f"Named {username}.", err=True)


@break_glass_group.command("remove")
@click.argument("username")
@for_account
def break_glass_remove(state: State, account: Any, account_id: Any, username: str) -> None:
    """Let USERNAME be a break-glass owner no more."""
    known = _break_glass(state, account)
    left = [name for name in known if name.casefold() != username.casefold()]
    if left == known:
        raise click.ClickException(f"{username!r} is no break-glass owner.")
    _name(state, account, left)
    click.echo(f"Removed {username}.", err=True)


def _break_glass(state: State, account: Any) -> list[str]:
    user = state.scim.user
    return [str(user.value(owner, "userName")) for owner in state.scim.break_glass_owners(account)]


def _name(state: State, account: Any, names: Sequence[str]) -> None:
    try:
        state.scim.name_break_glass(account, names, by=OPERATOR)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    state.session.commit()


@group.command("link")
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
    click.echo(f"Linked {username} to {object_id.lower()}.", err=True)


@group.command("unlink")
@click.argument("username")
@for_account
def sso_unlink(state: State, account: Any, account_id: Any, username: str) -> None:
    """Forget who the user USERNAME is at Microsoft, and end their sessions: the way out when
    provisioning names another object id than the link.
    """
    state.scim.unlink_user(_user(state, account_id, username), by=OPERATOR)
    state.session.commit()
    click.echo(f"{username} is not linked to anybody.", err=True)


def _user(state: State, account_id: Any, username: str) -> Any:
    found = state.scim.user.find_all(
        state.session, account_id, "userName", username, limit=2, ignore_case=True
    )
    if len(found) != 1:
        raise click.ClickException(f"No one user of this account is called {username!r}.")
    return found[0]


@group.command("reencrypt")
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
    click.echo(f"Encrypted anew: {len(done.changed)}.", err=True)
    if done.lost:
        lost = ", ".join(map(str, done.lost))
        raise click.ClickException(
            f"No key decrypts the secret of these accounts, which have to enter it again: {lost}."
        )


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
            raise click.ClickException("A secret belongs to a --client-id.")
        if not state.config.has_registration:
            raise click.ClickException(
                "This application has no registration at Microsoft: set "
                "H5MAG_SCIM_OIDC_CLIENT_ID and H5MAG_SCIM_OIDC_CLIENT_SECRET, or give the "
                "account's own with --client-id."
            )
        return {"client_id": None, "client_secret": None, "secret_expires_at": None}
    try:
        checked = configuration.client_id(client_id)
    except ValueError as error:
        raise click.ClickException(f"--client-id {client_id!r}: {error}") from error
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
        raise click.ClickException(
            "No secret is stored for this --client-id: give it with --client-secret-file."
        )
    ends = None if expires is None else expires.replace(tzinfo=UTC)
    if ends is None:
        same = (row for row in rows if row is not None and row.client_secret == sealed)
        ends = next((row.secret_expires_at for row in same), None)
    return {"client_id": checked, "client_secret": sealed, "secret_expires_at": ends}
