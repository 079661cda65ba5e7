"""``flask scim check``: what should be put right, each with its cure."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

import click
from flask.cli import with_appcontext

from ..state import get_app, get_state
from ..texts import say
from .checks import Finding, Severity, findings
from .shell import Command, json_option, say_wrapped, show_json

_COLOURS = {Severity.ERROR: "red", Severity.WARNING: "yellow", Severity.HINT: "blue"}


@click.command(
    "check",
    cls=Command,
    example="flask scim check\nflask scim check --strict --json",
)
@click.option("--strict", is_flag=True, help="Fail with warnings as with errors.")
@json_option
@with_appcontext
def check(strict: bool, as_json: bool) -> None:
    """Look at settings, models, templates and the database, and say what should be put right.

    Changes nothing, and can run anywhere and at any time. Fails (exit code 1) when there are
    errors; hints never count.
    """
    found = findings(get_app(), get_state())
    count = Counter(each.severity for each in found)
    if as_json:
        show_json(
            {
                "errors": count[Severity.ERROR],
                "warnings": count[Severity.WARNING],
                "hints": count[Severity.HINT],
                "findings": [asdict(each) for each in found],
            }
        )
    else:
        _show(found, count)
    if count[Severity.ERROR] or (strict and count[Severity.WARNING]):
        raise click.exceptions.Exit(1)


def _show(found: list[Finding], count: Counter[Severity]) -> None:
    for each in found:
        click.secho(
            f"{say(f'check.severity_{each.severity}')}  {each.code}",
            fg=_COLOURS[each.severity],
            bold=True,
        )
        say_wrapped(each.what, indent="  ")
        say_wrapped(each.cure, indent="  ")
        click.echo()
    click.echo(
        say(
            "check.count",
            errors=count[Severity.ERROR],
            warnings=count[Severity.WARNING],
            hints=count[Severity.HINT],
        )
        if found
        else say("check.none"),
        err=True,
    )
