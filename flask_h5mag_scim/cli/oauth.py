"""``flask scim oauth …``: workload identities that an account trusts."""

from __future__ import annotations

from typing import Any

import click

from .. import config as configuration
from ..records import federation, log
from ..records.log import Event
from ..records.models import FederatedCredentialMixin, now
from ..state import State
from ..texts import say
from .credentials import active, document
from .shell import (
    OPERATOR,
    Group,
    about_account,
    cloud_option,
    columns,
    directory,
    for_account,
    json_option,
    show,
    show_json,
    time_text,
    wrong,
)

group = Group(
    "oauth",
    help="Workload identities of Microsoft that provision an account without a secret.",
)


@group.command(
    "trust",
    example="flask scim oauth trust --account contoso \\\n"
    "    --tenant 8f14e45f-ceea-467f-a1d2-3b5c6d7e8f90 \\\n"
    "    --subject 0f0f0f0f-aaaa-4bbb-8ccc-d0d0d0d0d0d0",
)
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
        raise wrong("--subject", subject, say("shell.oauth.subject"))
    try:
        made_for = configuration.audience(audience or state.config.oidc_client_id or "")
    except ValueError as error:
        raise wrong("--audience", audience or "", error) from error
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
        raise click.ClickException(say("shell.oauth.taken")) from error
    detail = f"{credential.called}: {cloud} {tenant_id}, {credential.subject}, {made_for}"
    log.record(session, records, account_id, Event.OAUTH_TRUSTED, actor=OPERATOR, detail=detail)
    session.commit()
    click.echo(say("shell.oauth.trusted", what=detail), err=True)


@group.command("list", example="flask scim oauth list --account contoso")
@json_option
@about_account
def oauth_list(state: State, account: Any, account_id: Any, as_json: bool) -> None:
    """List the workload identities that are and were trusted, newest first."""
    found = federation.listed(state.session, state.scim.records, account_id)
    if as_json:
        show_json([_document(credential) for credential in found])
        return
    if not found:
        click.echo(say("shell.oauth.none"), err=True)
        return
    at = now()
    rows = [columns("fingerprint", "name", "state", "tenant", "subject", "audience", "used")]
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


def _document(credential: FederatedCredentialMixin) -> dict[str, Any]:
    return document(
        credential,
        credential.state(now()),
        cloud=credential.cloud,
        tenant_id=credential.tenant_id,
        subject=credential.subject,
        audience=credential.audience,
    )


@group.command("revoke", example="flask scim oauth revoke 3f9a1c --account contoso")
@click.argument("fingerprint")
@for_account
def oauth_revoke(state: State, account: Any, account_id: Any, fingerprint: str) -> None:
    """End the trust with this FINGERPRINT (6 characters; see "oauth list").

    Access tokens that were issued for it stop working at once.
    """
    session, records = state.session, state.scim.records
    listed = federation.listed(session, records, account_id)
    credential = active(listed, fingerprint, otherwise="shell.oauth.unknown")
    federation.revoke(credential)
    detail = credential.called
    log.record(
        session, records, account_id, Event.OAUTH_TRUST_REVOKED, actor=OPERATOR, detail=detail
    )
    session.commit()
    click.echo(say("shell.revoked", name=detail), err=True)
