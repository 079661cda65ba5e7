"""The operator's commands: ``init``, ``seed`` and ``demo``."""

from __future__ import annotations

import os
import secrets
import sys
import time
from pathlib import Path

import click
import sqlalchemy as sa
from flask import Flask, current_app
from flask.cli import with_appcontext

from . import recovery, seeding
from .models import User, db
from .provisioning import find_account

PASSWORD_VARIABLE = "EXAMPLE_APP_PASSWORD"  # noqa: S105, the name of a variable


def register(app: Flask) -> None:
    """Add the commands to ``flask --app example_app``."""
    app.cli.add_command(init)
    app.cli.add_command(recovery_codes)
    app.cli.add_command(seed)
    app.cli.add_command(demo)


@click.command()
@with_appcontext
def init() -> None:
    """Create the tables and the accounts acme, globex and umbrella.

    A second run changes nothing, unless EXAMPLE_APP_PASSWORD is another one by now: then it
    becomes the password of the people whom the first run made.
    """
    db.create_all()
    done, generated = seeding.plant(
        os.environ.get(PASSWORD_VARIABLE) or None, lambda: secrets.token_urlsafe(12)
    )
    for sentence in done or ["Nothing to do: acme, globex and umbrella are there."]:
        click.echo(sentence)
    if generated is not None:
        click.echo(f"The password of everybody created: {generated}")
        click.echo(f"Set {PASSWORD_VARIABLE} and run this again to choose another.")


@click.command("recovery-codes")
@click.argument("username")
@with_appcontext
def recovery_codes(username: str) -> None:
    """Print new recovery codes of USERNAME, in place of the older ones.

    With one of them a break-glass owner can sign in while the account requires Microsoft.
    """
    user = db.session.scalar(
        sa.select(User).where(sa.func.lower(User.username) == username.lower())
    )
    if user is None:
        raise click.ClickException(f"There is nobody with the user name {username!r}.")
    codes = recovery.renew(user)
    db.session.commit()
    for code in codes:
        click.echo(code)


@click.command()
@click.option("--account", "text", required=True, help="The account's short name, like acme.")
@click.option("--users", type=click.IntRange(0, 5_000_000), default=0, help="How many people.")
@click.option("--groups", type=click.IntRange(0, 100_000), default=0, help="How many teams.")
@with_appcontext
def seed(text: str, users: int, groups: int) -> None:
    """Add a large directory to an account, to see it at scale.

    The new people are dealt out evenly to the new teams. A second run adds as many again.
    """
    try:
        account = find_account(text)
    except sa.exc.DatabaseError as error:
        raise click.ClickException(
            "The tables are not there. Run `flask --app example_app init` first."
        ) from error
    if account is None:
        raise click.ClickException(
            f"There is no account {text!r}. `flask --app example_app init` makes acme, globex "
            "and umbrella."
        )
    slug = account.slug
    began = time.monotonic()
    grown = seeding.grow(account, users, groups)
    with click.progressbar(length=users + groups, label=slug, file=sys.stderr) as bar:
        for finished in grown.steps:
            bar.update(finished)
    seconds = time.monotonic() - began
    click.echo(f"{slug}: {users} users and {groups} groups more, in {seconds:.1f} s.")


@click.command()
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
@click.option("--idp-port", type=click.IntRange(1, 65535), default=9400, show_default=True)
@with_appcontext
def demo(port: int, idp_port: int) -> None:
    """Show everything at once: H5mag, a provisioned directory, and a stand-in for Microsoft.

    Begins with a new database each time and serves until Ctrl-C.
    """
    # Its stand-in for Microsoft is an extra that the other commands must not need.
    from . import demo as show

    password = os.environ.get(PASSWORD_VARIABLE) or secrets.token_urlsafe(9)
    show.run(Path(current_app.instance_path), port, idp_port, password)
