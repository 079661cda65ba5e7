"""``flask scim oauth …``: workload identities that an account trusts."""

from __future__ import annotations

from typing import Any

import click
from flask.cli import AppGroup

from .. import config as configuration
from ..records import federation, log
from ..records.log import Event
from ..records.models import now
from ..state import State
from .shell import OPERATOR, cloud_option, directory, for_account, show, time_text

group = AppGroup(
    "oauth",
    help="Workload identities of Microsoft that provision an account without a secret.",
)


@group.command("trust")
@cloud_option
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
@for_account
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
    tenant_id = directory(state, cloud, tenant)
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


@group.command("list")
@for_account
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
            time_text(credential.last_used_at),
        )
        for credential in found
    ]
    show(rows)


@group.command("revoke")
@click.argument("fingerprint")
@for_account
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
