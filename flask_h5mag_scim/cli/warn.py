"""``flask scim warn``: what admins should hear of, for the host's cron."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

from ..records import warnings as records
from ..state import State, get_state
from ..texts import say
from ..web import warnings
from .shell import Command, find_account, is_terminal, json_option, show, show_json

#: How many accounts are looked up at once.
_BATCH = 200


@click.command(
    "warn", cls=Command, example="flask scim warn\nflask scim warn --account acme --json"
)
@click.option("--account", metavar="NAME", help="Only this account; all of them if left out.")
@json_option
@with_appcontext
def warn(account: str | None, as_json: bool) -> None:
    """Tell admins what is due: a token or secret that ends, Microsoft Entra that stays away or
    fails, the brake.

    By the application's signals and its mail, once for each cause: run it from cron, every hour
    or so. It prints what it told, and nothing when nothing was new.
    """
    state = get_state()
    keys: Iterator[Any] = _all(state)
    if account is not None:
        keys = iter([state.scim.account_key(find_account(state, account))])
    told: list[dict[str, Any]] = []
    looked_at = failed = 0
    shows_progress = is_terminal(sys.stderr) and not as_json
    for key in keys:
        looked_at += 1
        try:
            told += _warn(state, key)
        except Exception:
            # One account's trouble is not that of those after it.
            state.session.rollback()
            current_app.logger.exception("flask scim warn: account %s", key)
            failed += 1
        # Whoever is done with is not kept in memory.
        state.session.expunge_all()
        if shows_progress:
            click.echo(f"\r{say('warn.progress', n=f'{looked_at:,}')}", nl=False, err=True)
    if shows_progress:
        click.echo("\r\x1b[K", nl=False, err=True)
    if as_json:
        show_json(told)
    elif told:
        rows = [(one["account"], one["warning"], one["title"]) for one in told]
        show([(say("warn.account"), say("warn.kind"), say("warn.title")), *rows])
    if told or is_terminal(sys.stderr):  # cron mails whatever is printed
        click.echo(say("warn.done", accounts=f"{looked_at:,}", told=len(told)), err=True)
    if failed:
        raise click.ClickException(say("warn.failed", n=failed))


def _all(state: State) -> Iterator[Any]:
    """The keys of every account that can have something to be warned of."""
    last = None
    while found := records.watched(state.session, state.scim.records, after=last, limit=_BATCH):
        last = found[-1]
        yield from found


def _warn(state: State, key: Any) -> list[dict[str, Any]]:
    account = state.session.get(state.scim.account, key)
    if account is None:  # it was deleted meanwhile
        return []
    return [
        {"account": str(key), "warning": str(warning.kind), "title": warning.title}
        for warning in warnings.tell(account)
    ]
