"""What the commands share: their help, the account they are about, tables, JSON, times."""

from __future__ import annotations

import errno
import io
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from functools import partial
from typing import Any, TextIO

import click
import sqlalchemy as sa
from flask.cli import AppGroup, with_appcontext

from .. import config as configuration
from ..provisioning.mapping import timestamp
from ..records import locks
from ..records.tokens import OPERATOR as OPERATOR
from ..state import State, get_app, get_state
from ..texts import say
from ..web.export import json_text

#: What is written to is full, or broken.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


class Command(click.Command):
    """A command whose help ends with an example and with what its exit codes say.

    :param example: what somebody might type; several lines for several.
    """

    def __init__(self, *words: Any, example: str = "", **options: Any) -> None:
        super().__init__(*words, **options)
        self.example = example

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.example:
            with formatter.section(say("shell.example")):
                for line in self.example.splitlines():
                    formatter.write(f"{'':{formatter.current_indent}}{line}\n")
        with formatter.section(say("shell.exit_codes")):
            formatter.write_dl([(code, say(f"shell.exit_{code}")) for code in ("0", "1", "2")])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        rest = super().parse_args(ctx, args)
        for param in self.params:
            value = ctx.params.get(param.name or "")
            # What is no text in the terminal's encoding, no database takes.
            if param.type is click.STRING and isinstance(value, str) and not _is_text(value):
                raise click.BadParameter(say("shell.no_text", value=value), ctx, param)
        return rest

    def invoke(self, ctx: click.Context) -> Any:
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A name that a terminal's encoding does not have ends nothing in the middle.
            sys.stdout.reconfigure(errors="replace")
        try:
            return super().invoke(ctx)
        except sa.exc.DBAPIError as error:
            raise click.ClickException(
                say("shell.database", error=database_error(error))
            ) from error
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise click.ClickException(say("shell.full", error=error.strerror)) from error


class Group(AppGroup):
    """A group of such commands, each within the application's context."""

    command_class = Command


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def database_error(error: sa.exc.DBAPIError) -> str:
    """What the database says, in one line and without the statement and its values."""
    return (str(error.orig).strip().splitlines() or [type(error.orig).__name__])[0]


def for_account(command: Callable[..., None], *, locked: bool = True) -> Callable[..., None]:
    """Give a command ``--account``, as :class:`State`, the account's row and its key. Nobody
    else changes the account meanwhile."""

    @click.option(
        "--account", required=True, metavar="NAME", help="The account, as the host finds it."
    )
    @with_appcontext
    def run(account: str, **options: Any) -> None:
        state = get_state()
        found = find_account(state, account)
        account_id = state.scim.account_key(found)
        if locked:
            locks.lock_account(state.session, state.scim.account, account_id)
        command(state, found, account_id, **options)

    run.__doc__ = command.__doc__
    run.__name__ = command.__name__
    return run


#: The same for a command that only reads, and waits for nobody.
about_account = partial(for_account, locked=False)


def find_account(state: State, name: str) -> Any:
    """The account's row that an operator means."""
    try:
        found = state.scim.find_account(name)
    except sa.exc.MultipleResultsFound as error:
        raise click.ClickException(say("shell.several_accounts", name=name)) from error
    except (ValueError, sa.exc.StatementError) as error:
        if isinstance(error, sa.exc.DBAPIError) and not isinstance(error, sa.exc.DataError):
            raise
        # A host that knows its accounts by number or GUID cannot look for anything else.
        state.session.rollback()
        found = None
    if found is None:
        raise click.ClickException(say("shell.no_account", name=name))
    account = state.scim.account
    if not isinstance(found, account):
        kind = type(found).__name__
        text = say("shell.not_an_account", name=name, found=kind, account=account.__name__)
        raise click.ClickException(text)
    return found


cloud_option = click.option(
    "--cloud", default="global", show_default=True, help="A name in H5MAG_SCIM_OIDC_CLOUDS."
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="JSON on standard output, for machines."
)


def directory(state: State, cloud: str, tenant: str) -> str:
    """The checked tenant id of ``--cloud`` and ``--tenant``."""
    clouds = state.config.oidc_clouds
    if cloud not in clouds:
        known = ", ".join(sorted(clouds))
        raise click.ClickException(say("shell.no_cloud", name=cloud, known=known))
    try:
        return configuration.tenant_id(tenant)
    except ValueError as error:
        raise wrong("--tenant", tenant, error) from error


def wrong(option: str, value: str, problem: object) -> click.ClickException:
    """What is wrong with the value of an option, in a sentence."""
    return click.ClickException(say("shell.option", option=option, value=value, problem=problem))


def show(rows: Sequence[tuple[str, ...]]) -> None:
    """A table for the eye; its first row is the heading. On a terminal that is too narrow for
    it, each row is a block of its own, so that nothing is ever cut."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    if is_terminal(sys.stdout) and sum(widths) + 2 * (len(widths) - 1) > terminal_width():
        heading, *rest = rows
        for number, row in enumerate(rest):
            if number:
                click.echo()
            show_pairs(list(zip(heading, row, strict=True)))
        return
    for row in rows:
        row = tuple(map(plain, row))
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def show_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """Names and what they are, below each other."""
    width = max(len(name) for name, _ in pairs)
    for name, text in pairs:
        click.echo(f"{name.ljust(width)}  {plain(text)}".rstrip())


def show_json(value: Any) -> None:
    """One JSON document on standard output: a list as an array, however long."""
    click.echo(for_machines(json_text(value, default=_as_json, indent=2)))


def show_json_line(value: Any) -> None:
    """One object of a stream, in a line of its own."""
    click.echo(for_machines(json_text(value, default=_as_json)))


def for_machines(text: str) -> bytes:
    """JSON and CSV are UTF-8, whatever the terminal's encoding is."""
    return text.encode("utf-8", "backslashreplace")


def _as_json(value: Any) -> str:
    return timestamp(value) if isinstance(value, datetime) else str(value)


def plain(text: str) -> str:
    """A text that somebody else wrote, in one line and without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def with_addresses(state: State) -> AbstractContextManager[object]:
    """Where the public address is asked for: without a configured one, in development, a
    request has to stand in."""
    if state.config.public_url is not None:
        return nullcontext()
    return get_app().test_request_context()


def say_wrapped(text: str, *, indent: str = "", **style: Any) -> None:
    """Sentences as wide as the terminal. Lines that begin with blanks, code to be copied, stay
    as they are."""
    for line in text.splitlines():
        if not line.startswith(" "):
            width = min(terminal_width(), 100)
            line = click.wrap_text(line, width, initial_indent=indent, subsequent_indent=indent)
        else:
            line = indent + line
        click.secho(line, **style)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody watches; nobody does where the stream is closed."""
    return stream is not None and stream.isatty()


def terminal_width() -> int:
    """How many columns there are for text."""
    return shutil.get_terminal_size().columns


def columns(*names: str) -> tuple[str, ...]:
    """The heading of a table."""
    return tuple(say(f"shell.column.{name}") for name in names)


def time_text(value: datetime | None) -> str:
    return say("shell.never") if value is None else value.strftime("%Y-%m-%d %H:%M UTC")


def day_text(value: datetime | None) -> str:
    return say("shell.never") if value is None else value.strftime("%Y-%m-%d")
