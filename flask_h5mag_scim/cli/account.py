"""``flask scim pause|resume|disconnect``: whether an account is provisioned at all."""

from __future__ import annotations

import sys
from typing import Any

import click

from ..records import links, locks
from ..state import State
from ..texts import say
from ..web import danger
from .shell import OPERATOR, Command, about_account, columns, for_account, show


@click.command("pause", cls=Command, example="flask scim pause --account acme")
@for_account
def pause(state: State, account: Any, account_id: Any) -> None:
    """Pause provisioning: Microsoft Entra is told to come back later, and nobody is created,
    changed or deactivated until "resume"."""
    is_new = danger.pause(account, by=OPERATOR)
    click.echo(say("done.paused" if is_new else "done.paused-before"), err=True)


@click.command("resume", cls=Command, example="flask scim resume --account acme")
@for_account
def resume(state: State, account: Any, account_id: Any) -> None:
    """End a pause, whoever began it."""
    was_paused = danger.resume(account, by=OPERATOR)
    click.echo(say("done.resumed" if was_paused else "done.resumed-before"), err=True)


@click.command(
    "disconnect",
    cls=Command,
    example="flask scim disconnect --account acme\n"
    "flask scim disconnect --account acme --deactivate --yes",
)
@click.option(
    "--deactivate",
    is_flag=True,
    help="Deactivate the people who were provisioned; without it they stay, as the "
    "application's own.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@about_account
def disconnect(state: State, account: Any, account_id: Any, deactivate: bool, yes: bool) -> None:
    """Disconnect Microsoft Entra: revoke every token and workload identity of the account.

    Nobody is deleted, and single sign-on stays as it is. With --deactivate, break-glass owners,
    the last active owner and people whom the application protects stay active; they are listed
    on standard output. What was interrupted goes on when it is repeated.
    """
    session, records = state.session, state.scim.records
    chosen = danger.People.DEACTIVATE if deactivate else danger.People.STAY
    count = links.count_provisioned(session, records, account_id)
    if not yes:
        session.rollback()  # nobody waits for the answer
        click.echo(say(f"disconnected.{chosen}", count=count), err=True)
        click.confirm(say("disconnect.title"), abort=True, err=True)
    locks.lock_account(session, state.scim.account, account_id)
    if not danger.cut_off(account, chosen, by=OPERATOR):
        click.echo(say("done.disconnected-before"), err=True)
        return
    click.echo(say("done.disconnected"), err=True)
    if not deactivate:
        return
    outcome = danger.Outcome()
    label = say("disconnect.progress")
    with click.progressbar(length=count, label=label, file=sys.stderr) as bar:
        for batch in danger.deactivate(account, by=OPERATOR):
            outcome.add(batch)
            bar.update(batch.seen)
    click.echo(say("done.deactivated", count=outcome.deactivated), err=True)
    if outcome.kept:
        click.echo(say("kept", count=len(outcome.kept)), err=True)
        rows = [(kept.name, kept.reason) for kept in outcome.kept]
        show([columns("user", "why"), *rows])
