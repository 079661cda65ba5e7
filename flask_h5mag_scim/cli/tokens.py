"""``flask scim token …``: the bearer tokens of an account."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click

from .. import signals
from ..records import log, tokens
from ..records.log import Event
from ..records.models import TokenMixin, TokenState, now
from ..state import State, get_app
from ..texts import say
from .credentials import active, document
from .shell import (
    OPERATOR,
    Group,
    about_account,
    columns,
    day_text,
    for_account,
    json_option,
    show,
    show_json,
    time_text,
)

group = Group("token", help="The bearer tokens that Microsoft Entra uses.")


@group.command(
    "create",
    example="flask scim token create --account contoso --name 'Terraform' --days 90\n"
    "TOKEN=$(flask scim token create --account contoso --name CI)",
)
@click.option(
    "--name", required=True, help="What the token is called on the page, up to 80 characters."
)
@click.option(
    "--days",
    type=click.IntRange(1, 36500),
    help="Days until it expires; as configured if left out.",
)
@json_option
@for_account
def token_create(
    state: State, account: Any, account_id: Any, name: str, days: int | None, as_json: bool
) -> None:
    """Create an active token and print it, and nothing else, on standard output.

    It is shown only this once. With --json, an object with "token" and what the list has.
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
        is_full = error.problem is tokens.TokenProblem.FULL
        key = "shell.token.full" if is_full else f"token_problem.{error.problem}"
        raise click.ClickException(say(key)) from error
    log.record(session, records, account_id, Event.TOKEN_SAVED, actor=OPERATOR, detail=token.called)
    session.commit()
    signals.tell(signals.token_issued, get_app(), account=account, token=token)
    if as_json:
        show_json({"token": text, **_document(token, token.state(now()))})
    else:
        click.echo(text)


@group.command("list", example="flask scim token list --account contoso")
@json_option
@about_account
def token_list(state: State, account: Any, account_id: Any, as_json: bool) -> None:
    """List the saved tokens, newest first. Their texts are stored nowhere."""
    found = tokens.listed(state.session, state.scim.records, account_id)
    standing = list(zip(found, tokens.states(found, now()), strict=True))
    if as_json:
        show_json([_document(token, state) for token, state in standing])
        return
    if not found:
        click.echo(say("shell.token.none"), err=True)
        return
    rows = [columns("fingerprint", "name", "state", "created", "expires", "used")]
    rows += [
        (
            token.fingerprint,
            token.name,
            str(state),
            day_text(token.created_at),
            day_text(token.expires_at),
            time_text(token.last_used_at),
        )
        for token, state in standing
    ]
    show(rows)


def _document(token: TokenMixin, state: TokenState) -> dict[str, Any]:
    return document(token, state, expires_at=token.expires_at)


@group.command("revoke", example="flask scim token revoke 3f9a1c --account contoso")
@click.argument("fingerprint")
@for_account
def token_revoke(state: State, account: Any, account_id: Any, fingerprint: str) -> None:
    """Revoke the active token with this FINGERPRINT (6 characters; see "token list")."""
    session, records = state.session, state.scim.records
    listed = tokens.listed(session, records, account_id)
    token = active(listed, fingerprint, otherwise="shell.token.unknown")
    tokens.revoke(token)
    log.record(
        session, records, account_id, Event.TOKEN_REVOKED, actor=OPERATOR, detail=token.called
    )
    session.commit()
    signals.tell(signals.token_revoked, get_app(), account=account, token=token)
    click.echo(say("shell.revoked", name=token.called), err=True)
