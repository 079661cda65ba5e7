"""What the commands share: the account they are about, tables, times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import click
from flask.cli import with_appcontext

from .. import config as configuration
from ..records import locks
from ..records.tokens import OPERATOR as OPERATOR
from ..state import State, get_state


def for_account(command: Callable[..., None]) -> Callable[..., None]:
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


cloud_option = click.option(
    "--cloud", default="global", show_default=True, help="A name in H5MAG_SCIM_OIDC_CLOUDS."
)


def directory(state: State, cloud: str, tenant: str) -> str:
    """The checked tenant id of ``--cloud`` and ``--tenant``."""
    clouds = state.config.oidc_clouds
    if cloud not in clouds:
        known = ", ".join(sorted(clouds))
        raise click.ClickException(f"There is no cloud {cloud!r}; known are {known}.")
    try:
        return configuration.tenant_id(tenant)
    except ValueError as error:
        raise click.ClickException(f"--tenant {tenant!r}: {error}") from error


def show(rows: Sequence[tuple[str, ...]]) -> None:
    """A table for the eye; its first row is the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def time_text(value: datetime | None) -> str:
    return "never" if value is None else value.strftime("%Y-%m-%d %H:%M UTC")
