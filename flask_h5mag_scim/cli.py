"""``flask scim …``: the operator's commands; what the page does, done from the shell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

import click
from flask.cli import AppGroup, with_appcontext

from . import config as configuration
from . import signals
from .records import federation, locks, log, providers, tokens, vault
from .records.log import Event
from .records.models import Mode, TokenState, now
from .state import State, get_app, get_state

OPERATOR = "operator (shell)"

group = AppGroup("scim", help="Provisioning and single sign-on of an account.")
token_group = AppGroup("token", help="The bearer tokens that Microsoft Entra uses.")
oauth_group = AppGroup(
    "oauth",
    help="Workload identities of Microsoft that provision an account without a secret.",
)
sso_group = AppGroup("sso", help="How the people of an account sign in.")
break_glass_group = AppGroup(
    "break-glass", help="Who keeps the password when an account requires Microsoft."
)
sso_group.add_command(break_glass_group)
group.add_command(token_group)
group.add_command(oauth_group)
group.add_command(sso_group)


def _for_account(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command ``--account``, as :class:`State`, the account's row and its key."""

    @click.option(
        "--account", required=True, metavar="NAME", help="The account, as the host finds it."
    )
    @with_appcontext
    def run(account: str, **options: Any) -> None:
        state = get_state()
        found = state.scim.find_account(account)
        if found is None:
            raise click.ClickException(f"There is no account {account!r}.")
        account_id = state.scim.account_key(found)
        locks.lock_account(state.session, state.scim.account, account_id)
        command(state, found, account_id, **options)

    run.__doc__ = command.__doc__
    run.__name__ = command.__name__
    return run


@token_group.command("create")
@click.option(
    "--name", required=True, help="What the token is called on the page, up to 80 characters."
)
@click.option(
    "--days",
    type=click.IntRange(1, 36500),
    help="Days until it expires; as configured if left out.",
)
@_for_account
def token_create(state: State, account: Any, account_id: Any, name: str, days: int | None) -> None:
    """Create an active token and print it, and nothing else, on standard output.

    It is shown only this once.
    """
    session, records = state.session, state.scim.records
    lifetime = state.config.token_lifetime
    if days is not None:
        lifetime = timedelta(days=days)
    try:
        token, text = tokens.create(
            session,
            records,
            account_id,
            name=name,
            expires_at=now() + lifetime if lifetime else None,
            created_by=OPERATOR,
        )
    except tokens.TokenError as error:
        session.rollback()
        raise click.ClickException(str(error)) from error
    log.record(session, records, account_id, Event.TOKEN_SAVED, actor=OPERATOR, detail=token.called)
    session.commit()
    signals.tell(signals.token_issued, get_app(), account=account, token=token)
    click.echo(text)


@token_group.command("list")
@_for_account
def token_list(state: State, account: Any, account_id: Any) -> None:
    """List the saved tokens, newest first."""
    found = tokens.listed(state.session, state.scim.records, account_id)
    if not found:
        click.echo("No token is saved for this account.", err=True)
        return
    at = now()
    rows = [("FINGERPRINT", "NAME", "STATE", "CREATED", "EXPIRES", "LAST USED")]
    rows += [
        (
            token.fingerprint,
            token.name,
            str(token.state(at)),
            _time(token.created_at),
            _time(token.expires_at),
            _time(token.last_used_at),
        )
        for token in found
    ]
    _show(rows)


@token_group.command("revoke")
@click.argument("fingerprint")
@_for_account
def token_revoke(state: State, account: Any, account_id: Any, fingerprint: str) -> None:
    """Revoke the active token with this FINGERPRINT (6 characters; see "token list")."""
    session, records = state.session, state.scim.records
    at = now()
    found = [
        token
        for token in tokens.listed(session, records, account_id)
        if token.fingerprint == fingerprint.lower() and token.state(at) is TokenState.ACTIVE
    ]
    if len(found) != 1:
        raise click.ClickException(f"No active token has the fingerprint {fingerprint!r}.")
    token = found[0]
    tokens.revoke(token)
    log.record(
        session, records, account_id, Event.TOKEN_REVOKED, actor=OPERATOR, detail=token.called
    )
    session.commit()
    signals.tell(signals.token_revoked, get_app(), account=account, token=token)
    click.echo(f"Revoked {token.called}.", err=True)


_cloud = click.option(
    "--cloud", default="global", show_default=True, help="A name in H5MAG_SCIM_OIDC_CLOUDS."
)


@oauth_group.command("trust")
@_cloud
@click.option(
    "--tenant", required=True, metavar="GUID", help="The customer's directory (tenant) id."
)
@click.option(
    "--subject", required=True, metavar="GUID", help="The Subject (sub) that Entra shows."
)
@click.option(
    "--audience",
    metavar="API",
    help="The Audience (aud) that Entra shows, api://GUID; that of this application's own "
    "registration if left out.",
)
@click.option("--name", default="Microsoft Entra ID", help="What the log calls it.")
@_for_account
def oauth_trust(
    state: State,
    account: Any,
    account_id: Any,
    cloud: str,
    tenant: str,
    subject: str,
    audience: str | None,
    name: str,
) -> None:
    """Let a workload identity of the customer's directory provision the account.

    The customer chooses "Workload Identity Federation" on the Connectivity page in Microsoft
    Entra and sends the values that it shows: the tenant id in the Issuer, the Subject and the
    Audience. H5mag's page shows the Client Identifier, the Token Endpoint and the Provisioning
    URL that Entra asks for in turn.
    """
    tenant_id = _directory(state, cloud, tenant)
    if not configuration.GUID.fullmatch(subject.lower()):
        raise click.ClickException(
            f"--subject {subject!r}: this is not an object id, 32 digits and letters in five "
            "groups."
        )
    try:
        made_for = configuration.audience(audience or state.config.oidc_client_id or "")
    except ValueError as error:
        raise click.ClickException(f"--audience: {error}") from error
    session, records = state.session, state.scim.records
    try:
        credential = federation.trust(
            session,
            records,
            account_id,
            name=name,
            cloud=cloud,
            tenant_id=tenant_id,
            subject=subject.lower(),
            audience=made_for,
            created_by=OPERATOR,
        )
    except federation.FederationError as error:
        session.rollback()
        raise click.ClickException(str(error)) from error
    detail = f"{credential.called}: {cloud} {tenant_id}, {credential.subject}, {made_for}"
    log.record(session, records, account_id, Event.OAUTH_TRUSTED, actor=OPERATOR, detail=detail)
    session.commit()
    click.echo(f"Trusted: {detail}.", err=True)


@oauth_group.command("list")
@_for_account
def oauth_list(state: State, account: Any, account_id: Any) -> None:
    """List the workload identities that are and were trusted, newest first."""
    found = federation.listed(state.session, state.scim.records, account_id)
    if not found:
        click.echo("This account trusts no workload identity.", err=True)
        return
    at = now()
    rows = [("FINGERPRINT", "NAME", "STATE", "TENANT", "SUBJECT", "AUDIENCE", "LAST USED")]
    rows += [
        (
            credential.fingerprint,
            credential.name,
            str(credential.state(at)),
            credential.tenant_id,
            credential.subject,
            credential.audience,
            _time(credential.last_used_at),
        )
        for credential in found
    ]
    _show(rows)


@oauth_group.command("revoke")
@click.argument("fingerprint")
@_for_account
def oauth_revoke(state: State, account: Any, account_id: Any, fingerprint: str) -> None:
    """End the trust with this FINGERPRINT (6 characters; see "oauth list").

    Access tokens that were issued for it stop working at once.
    """
    session, records = state.session, state.scim.records
    found = [
        credential
        for credential in federation.active(session, records, account_id)
        if credential.fingerprint == fingerprint.lower()
    ]
    if len(found) != 1:
        raise click.ClickException(f"No trust in force has the fingerprint {fingerprint!r}.")
    credential = found[0]
    federation.revoke(credential)
    detail = credential.called
    log.record(
        session, records, account_id, Event.OAUTH_TRUST_REVOKED, actor=OPERATOR, detail=detail
    )
    session.commit()
    click.echo(f"Revoked {detail}.", err=True)


@sso_group.command("configure")
@_cloud
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
@_for_account
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
    tenant_id = _directory(state, cloud, tenant)
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


@sso_group.command("off")
@_for_account
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
@_for_account
def break_glass_list(state: State, account: Any, account_id: Any) -> None:
    """List the break-glass owners by user name."""
    for name in _break_glass(state, account):
        click.echo(name)


@break_glass_group.command("add")
@click.argument("username")
@_for_account
def break_glass_add(state: State, account: Any, account_id: Any, username: str) -> None:
    """Let USERNAME keep the password when the account requires Microsoft: an active owner or
    admin whom Microsoft Entra does not manage."""
    _name(state, account, [*_break_glass(state, account), username])
    click.echo(f"Named {username}.", err=True)


@break_glass_group.command("remove")
@click.argument("username")
@_for_account
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


@sso_group.command("link")
@click.argument("username")
@click.argument("object_id")
@_for_account
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


@sso_group.command("unlink")
@click.argument("username")
@_for_account
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


@sso_group.command("reencrypt")
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


def _directory(state: State, cloud: str, tenant: str) -> str:
    """The checked tenant id of ``--cloud`` and ``--tenant``."""
    clouds = state.config.oidc_clouds
    if cloud not in clouds:
        known = ", ".join(sorted(clouds))
        raise click.ClickException(f"There is no cloud {cloud!r}; known are {known}.")
    try:
        return configuration.tenant_id(tenant)
    except ValueError as error:
        raise click.ClickException(f"--tenant {tenant!r}: {error}") from error


def _show(rows: Sequence[tuple[str, ...]]) -> None:
    """A table for the eye; its first row is the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _time(value: datetime | None) -> str:
    return "never" if value is None else value.strftime("%Y-%m-%d %H:%M UTC")
