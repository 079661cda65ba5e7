"""``flask scim token …``: the bearer tokens of an account."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import click
from flask.cli import AppGroup

from .. import signals
from ..records import log, tokens
from ..records.log import Event
from ..records.models import TokenState, now
from ..state import State, get_app
from ..texts import say
from .shell import OPERATOR, for_account, show, time_text

group = AppGroup("token", help="The bearer tokens that Microsoft Entra uses.")


@group.command("create")
@click.option(
    "--name", required=True, help="What the token is called on the page, up to 80 characters."
)
@click.option(
    "--days",
    type=click.IntRange(1, 36500),
    help="Days until it expires; as configured if left out.",
)
@for_account
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
        raise click.ClickException(say(f"token_problem.{error.problem}")) from error
    log.record(session, records, account_id, Event.TOKEN_SAVED, actor=OPERATOR, detail=token.called)
    session.commit()
    signals.tell(signals.token_issued, get_app(), account=account, token=token)
    click.echo(text)


@group.command("list")
@for_account
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
            time_text(token.created_at),
            time_text(token.expires_at),
            time_text(token.last_used_at),
        )
        for token in found
    ]
    show(rows)


@group.command("revoke")
@click.argument("fingerprint")
@for_account
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
