"""An account's Microsoft directory: settings in force, and settings that wait for a test.

Nothing here commits.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .models import IdentityProviderMixin, Mode, ProviderState, Records, new_public_id, now


def load(
    session: Session, records: Records, account_id: Any
) -> tuple[IdentityProviderMixin | None, IdentityProviderMixin | None]:
    """The account's settings in force and its pending ones; either may be missing."""
    Provider = records.IdentityProvider
    rows = session.scalars(sa.select(Provider).where(Provider.account_id == account_id))
    by_state = {row.state: row for row in rows}
    return by_state.get(ProviderState.IN_FORCE), by_state.get(ProviderState.PENDING)


def in_force(session: Session, records: Records, account_id: Any) -> IdentityProviderMixin | None:
    """The account's settings in force, whatever their mode."""
    Provider = records.IdentityProvider
    return session.scalar(
        sa.select(Provider).where(
            Provider.account_id == account_id, Provider.state == ProviderState.IN_FORCE
        )
    )


def by_public_id(
    session: Session, records: Records, public_id: str
) -> tuple[IdentityProviderMixin, Any] | None:
    """The settings in force behind a sign-on address, with their account."""
    Provider = records.IdentityProvider
    return _with_account(
        session,
        records,
        Provider.public_id == public_id,
        Provider.state == ProviderState.IN_FORCE,
    )


def by_id(
    session: Session, records: Records, provider_id: Any
) -> tuple[IdentityProviderMixin, Any] | None:
    """Settings by their row id, in force or pending, with their account."""
    return _with_account(session, records, records.IdentityProvider.id == provider_id)


def _with_account(
    session: Session, records: Records, *conditions: Any
) -> tuple[IdentityProviderMixin, Any] | None:
    statement = records.with_account(records.IdentityProvider).where(*conditions)
    found = session.execute(statement).one_or_none()
    return None if found is None else (found[0], found[1])


def save(
    session: Session,
    records: Records,
    account_id: Any,
    *,
    cloud: str,
    tenant_id: str,
    mode: Mode,
    by: str,
) -> IdentityProviderMixin:
    """Store settings beside those in force, to take over when a test sign-in passes.

    Settings equal to those in force, or to the pending ones, change nothing (the former
    drop the pending ones). The caller reads from ``state`` which it got.
    """
    current, waiting = load(session, records, account_id)
    wanted = (cloud, tenant_id, str(mode))
    if current is not None and _settings(current) == wanted:
        if waiting is not None:
            session.delete(waiting)
            session.flush()
        return current
    if waiting is not None and _settings(waiting) == wanted:
        return waiting
    version = 1 + max((row.version for row in (current, waiting) if row), default=0)
    if waiting is None:
        waiting = records.IdentityProvider()
        waiting.account_id = account_id
        waiting.public_id = current.public_id if current is not None else new_public_id()
        waiting.state = ProviderState.PENDING
        session.add(waiting)
    waiting.cloud, waiting.tenant_id, waiting.mode = wanted
    waiting.version = version
    waiting.tested_at = None
    waiting.updated_at, waiting.updated_by = now(), by[:255]
    session.flush()
    return waiting


def put_in_force(session: Session, records: Records, row: IdentityProviderMixin) -> None:
    """Let ``row`` serve from the next sign-in on; what it replaces is gone."""
    if row.state == ProviderState.IN_FORCE:
        return
    current = in_force(session, records, row.account_id)
    if current is not None:
        session.delete(current)
        session.flush()
    row.state = ProviderState.IN_FORCE
    session.flush()


def passed(session: Session, records: Records, row: IdentityProviderMixin, *, version: int) -> bool:
    """A test sign-in passed with this version of the settings: they are in force from now on.

    ``False``, and nothing happens, when somebody changed them during the test.
    """
    Provider = records.IdentityProvider
    # In one statement, so that a Save at the same moment cannot slip untested settings in.
    result: Any = session.execute(
        sa.update(Provider)
        .where(Provider.id == row.id, Provider.version == version)
        .values(tested_at=now())
        .execution_options(synchronize_session=False)
    )
    if not result.rowcount:
        return False
    session.refresh(row)
    put_in_force(session, records, row)
    return True


def configure(
    session: Session,
    records: Records,
    account_id: Any,
    *,
    cloud: str,
    tenant_id: str,
    mode: Mode,
    by: str,
) -> IdentityProviderMixin:
    """The operator's way: settings in force at once, without a test."""
    row = save(session, records, account_id, cloud=cloud, tenant_id=tenant_id, mode=mode, by=by)
    put_in_force(session, records, row)
    return row


def switch_off(session: Session, records: Records, account_id: Any, *, by: str) -> bool:
    """End the redirect and drop pending settings. Says whether there was something.

    The directory and the sign-on address stay known, for the day it is switched on again.
    """
    current, waiting = load(session, records, account_id)
    changed = waiting is not None
    if waiting is not None:
        session.delete(waiting)
    if current is not None and current.mode != Mode.OFF:
        current.mode = Mode.OFF
        current.version += 1
        current.updated_at, current.updated_by = now(), by[:255]
        changed = True
    session.flush()
    return changed


def _settings(row: IdentityProviderMixin) -> tuple[str, str, str]:
    return row.cloud, row.tenant_id, row.mode
