"""An account's Microsoft directory: settings in force, and settings that wait for a test.

Nothing here commits.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from . import accounts
from .models import IdentityProviderMixin, Mode, ProviderState, Records, new_public_id, now


@dataclass(frozen=True)
class Settings:
    """What an admin chooses; two rows with the same settings are the same."""

    cloud: str
    #: In lower case.
    tenant_id: str
    mode: Mode = Mode.REDIRECT
    client_id: str | None = None
    #: Encrypted.
    client_secret: str | None = None
    secret_expires_at: datetime | None = None
    allows_guests: bool = True
    links_by_user_name: bool = False
    session_hours: int = 12

    @classmethod
    def of(cls, row: IdentityProviderMixin) -> Settings:
        """Those that are stored in a row."""
        values = {each.name: getattr(row, each.name) for each in fields(cls)}
        return cls(**{**values, "mode": Mode(row.mode)})

    @property
    def directory(self) -> tuple[str, str]:
        """Whose people may come in; with another one, every session is over."""
        return self.cloud, self.tenant_id


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
    wanted: Settings,
    *,
    by: str,
) -> IdentityProviderMixin:
    """Store settings beside those in force, to take over when a test sign-in passes.

    Settings equal to those in force, or to the pending ones, change nothing (the former
    drop the pending ones). The caller reads from ``state`` which it got.
    """
    current, waiting = load(session, records, account_id)
    if current is not None and Settings.of(current) == wanted:
        if waiting is not None:
            session.delete(waiting)
            session.flush()
        return current
    if waiting is not None and Settings.of(waiting) == wanted:
        return waiting
    version = 1 + max((row.version for row in (current, waiting) if row), default=0)
    if waiting is None:
        waiting = records.IdentityProvider()
        waiting.account_id = account_id
        waiting.public_id = current.public_id if current is not None else new_public_id()
        waiting.state = ProviderState.PENDING
        session.add(waiting)
    for each in fields(wanted):
        value = getattr(wanted, each.name)
        setattr(waiting, each.name, str(value) if isinstance(value, Mode) else value)
    waiting.trial_ends_at = waiting.mode_after_trial = None
    waiting.version = version
    waiting.tested_at = waiting.tested_by = None
    waiting.updated_at, waiting.updated_by = now(), by[:255]
    session.flush()
    return waiting


def put_in_force(session: Session, records: Records, row: IdentityProviderMixin) -> None:
    """Let ``row`` serve from the next sign-in on; what it replaces is gone.

    When it is another directory, all sessions of the account are over.
    """
    if row.state == ProviderState.IN_FORCE:
        return
    current = in_force(session, records, row.account_id)
    if current is not None:
        if Settings.of(current).directory != Settings.of(row).directory:
            accounts.end_sessions(session, records, row.account_id)
        session.delete(current)
        session.flush()
    row.state = ProviderState.IN_FORCE
    session.flush()


def passed(
    session: Session, records: Records, row: IdentityProviderMixin, *, version: int, by: str
) -> bool:
    """A test sign-in passed with this version of the settings: they are in force from now on.

    :param by: whose test it was, as Flask-Login names people.

    ``False``, and nothing happens, when somebody changed them during the test.
    """
    Provider = records.IdentityProvider
    # In one statement, so that a Save at the same moment cannot slip untested settings in.
    result: Any = session.execute(
        sa.update(Provider)
        .where(Provider.id == row.id, Provider.version == version)
        .values(tested_at=now(), tested_by=by[:255])
        .execution_options(synchronize_session=False)
    )
    if not result.rowcount:
        return False
    session.refresh(row)
    put_in_force(session, records, row)
    return True


def configure(
    session: Session, records: Records, account_id: Any, wanted: Settings, *, by: str
) -> IdentityProviderMixin:
    """The operator's way: settings in force at once, without a test."""
    row = save(session, records, account_id, wanted, by=by)
    put_in_force(session, records, row)
    return row


def switch_off(session: Session, records: Records, account_id: Any, *, by: str) -> bool:
    """End the redirect and drop pending settings. Says whether there was something.

    Then all sessions of the account are over: whoever came from Microsoft came by what is off.

    The directory and the sign-on address stay known, for the day it is switched on again.
    """
    current, waiting = load(session, records, account_id)
    changed = waiting is not None
    if waiting is not None:
        session.delete(waiting)
    if current is not None and current.mode != Mode.OFF:
        accounts.end_sessions(session, records, account_id)
        current.mode = str(Mode.OFF)
        current.trial_ends_at = current.mode_after_trial = None
        current.version += 1
        current.updated_at, current.updated_by = now(), by[:255]
        changed = True
    session.flush()
    return changed
