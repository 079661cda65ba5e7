"""Federated credentials: which workload identities of Microsoft provision an account.

Nothing here commits.
"""

from __future__ import annotations

import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from . import tokens
from .models import CredentialKind, FederatedCredentialMixin, Records, now


class FederationError(ValueError):
    """This workload identity provisions an account already."""


def trust(
    session: Session,
    records: Records,
    account_id: Any,
    *,
    name: str,
    cloud: str,
    tenant_id: str,
    subject: str,
    audience: str,
    created_by: str,
) -> FederatedCredentialMixin:
    """Let what Microsoft signs for this subject and audience provision the account.

    :param tenant_id: checked, in lower case, as ``subject`` and ``audience``.
    :raises FederationError: when an account trusts exactly this already; the transaction is
        over then.
    """
    credential = records.FederatedCredential()
    credential.id = uuid.uuid4()
    credential.account_id = account_id
    credential.fingerprint = credential.id.hex[:6]
    credential.name = tokens.clean_name(name)
    credential.cloud, credential.tenant_id = cloud, tenant_id
    credential.subject, credential.audience = subject, audience
    credential.created_by = created_by[:255]
    session.add(credential)
    try:
        session.flush()
    except sa.exc.IntegrityError as error:
        raise FederationError from error
    return credential


def find(
    session: Session, records: Records, *, tenant_id: str, subject: str, audience: str
) -> tuple[FederatedCredentialMixin, tokens.Verified] | None:
    """The trust in this workload identity; the last one that was revoked when there is none
    any more."""
    Credential = records.FederatedCredential
    found = session.execute(
        records.credential(CredentialKind.FEDERATED)
        .add_columns(Credential)
        .where(
            Credential.tenant_id == tenant_id,
            Credential.subject == subject,
            Credential.audience == audience,
        )
        .order_by(Credential.revoked_at.is_not(None), Credential.revoked_at.desc())
        .limit(1)
    ).one_or_none()
    return None if found is None else (found[-1], tokens.verified(CredentialKind.FEDERATED, found))


def listed(session: Session, records: Records, account_id: Any) -> list[FederatedCredentialMixin]:
    """Whom the account trusts and trusted, newest first."""
    Credential = records.FederatedCredential
    return list(
        session.scalars(
            sa.select(Credential)
            .where(Credential.account_id == account_id)
            .order_by(Credential.created_at.desc())
        )
    )


def active(session: Session, records: Records, account_id: Any) -> list[FederatedCredentialMixin]:
    """Whom the account trusts now, newest first."""
    found = listed(session, records, account_id)
    return [credential for credential in found if credential.revoked_at is None]


def revoke(credential: FederatedCredentialMixin) -> None:
    """End the trust; its access tokens end with it."""
    credential.revoked_at = now()
