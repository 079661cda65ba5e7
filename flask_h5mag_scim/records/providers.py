"""An account's Microsoft directory: settings in force, and settings that wait for a test.

Nothing here commits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from . import accounts, warnings
from .models import IdentityProviderMixin, Mode, ProviderState, Records, new_public_id, now
from .vault import Vault

#: How long *Require* lasts that nobody keeps: long enough to see that people come in, and to
#: wait for when they do not.
TRIAL = timedelta(minutes=30)

#: From the mode that closes nothing to the one that closes most.
_STRENGTH = {Mode.OFF: 0, Mode.BUTTON: 1, Mode.REDIRECT: 2, Mode.REQUIRE: 3}


@dataclass(frozen=True)
class Settings:
    """What an admin chooses; two rows with the same settings are the same."""

    cloud: str
    #: In lower case.
    tenant_id: str
    mode: Mode = Mode.REDIRECT
    client_id: str | None = None
    #: Encrypted.
    client_secret: str | None = field(default=None, repr=False)
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

    @property
    def door(self) -> tuple[object, ...]:
        """Who may come in, whichever way: while these serve, changing it is an admin's who
        signed in a moment ago, and not that of whoever has an admin's session."""
        required = self.mode is Mode.REQUIRE
        return (
            *self.directory,
            self.client_id,
            self.allows_guests,
            self.links_by_user_name,
            required,
        )


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
    told = _told_of_secret(wanted, current, waiting)
    if waiting is None:
        waiting = records.IdentityProvider()
        waiting.account_id = account_id
        waiting.public_id = current.public_id if current is not None else new_public_id()
        waiting.state = ProviderState.PENDING
        session.add(waiting)
    for each in fields(wanted):
        value = getattr(wanted, each.name)
        setattr(waiting, each.name, str(value) if isinstance(value, Mode) else value)
    waiting.secret_warned_days = told
    waiting.version = version
    waiting.tested_at = waiting.tested_by = None
    waiting.updated_at, waiting.updated_by = now(), by[:255]
    session.flush()
    return waiting


def put_in_force(
    session: Session, records: Records, row: IdentityProviderMixin, *, on_trial: bool = True
) -> None:
    """Let ``row`` serve from the next sign-in on; what it replaces is gone.

    When it is another directory, or none is to serve, all sessions of the account are over.

    :param on_trial: whether *Require*, where it was not in force for this directory, begins
        with a trial; after it the mode is the one before, or a button if there was none.
    """
    if row.state == ProviderState.IN_FORCE:
        return
    at = now()
    current = in_force(session, records, row.account_id)
    before = Mode.OFF if current is None else current.mode_at(at)
    same_directory = (
        current is not None and Settings.of(current).directory == Settings.of(row).directory
    )
    row.trial_ends_at = row.mode_after_trial = row.required_since = None
    if row.mode == Mode.REQUIRE:
        if current is not None and before is Mode.REQUIRE and same_directory:
            row.trial_ends_at = current.trial_ends_at
            row.mode_after_trial = current.mode_after_trial
            row.required_since = current.required_since
        else:
            row.required_since = at
            if on_trial:
                after = {Mode.OFF: Mode.BUTTON, Mode.REQUIRE: Mode.REDIRECT}.get(before, before)
                row.trial_ends_at, row.mode_after_trial = at + TRIAL, str(after)
    if current is not None:
        if not same_directory or (row.mode == Mode.OFF and before is not Mode.OFF):
            accounts.end_sessions(session, records, row.account_id)
        session.delete(current)
        session.flush()
    row.state = ProviderState.IN_FORCE
    session.flush()


def sealed_secret(
    vault: Vault,
    rows: Sequence[IdentityProviderMixin | None],
    *,
    cloud: str,
    client_id: str,
    typed: str,
) -> str | None:
    """The secret to store for a registration: ``typed`` encrypted or, when nothing was typed,
    the one that is stored for this registration in this cloud already.

    A secret that is typed once more stays the stored one, so that nothing has changed.

    :param rows: the account's rows, the one that the form shows first.
    :returns: ``None`` when nothing was typed and nothing readable is stored.
    """
    stored = [
        row.client_secret
        for row in rows
        if row is not None and (row.cloud, row.client_id) == (cloud, client_id)
        if row.client_secret is not None and vault.opens(row.client_secret)
    ]
    if not typed:
        return stored[0] if stored else None
    same = (sealed for sealed in stored if vault.open(sealed) == typed)
    return next(same, None) or vault.seal(typed)


def secret_warning(row: IdentityProviderMixin, at: datetime) -> int | None:
    """The one of :data:`.warnings.STEPS` that is due at the time ``at``; also when Microsoft has
    said of a secret that its end has come."""
    if row.client_id is None:
        return None
    if row.secret_warned_days == 0:
        return 0
    if row.secret_expires_at is None:
        return None
    return warnings.step(row.secret_expires_at, at)


def note_secret_warning(
    session: Session, records: Records, row: IdentityProviderMixin, days: int
) -> bool:
    """Write down that a warning is told. ``False`` when it was before, by any process."""
    Provider = records.IdentityProvider
    told = Provider.secret_warned_days
    # The version stays: this is no change of the settings.
    result: Any = session.execute(
        sa.update(Provider)
        .where(Provider.id == row.id, sa.or_(told.is_(None), told > days))
        .values(secret_warned_days=days)
        .execution_options(synchronize_session=False)
    )
    session.refresh(row)
    return bool(result.rowcount)


def _told_of_secret(wanted: Settings, *rows: IdentityProviderMixin | None) -> int | None:
    """What was told of the secret in ``wanted``, if it is that of another row."""
    for row in rows:
        if row is None or row.client_secret != wanted.client_secret:
            continue
        if row.secret_expires_at == wanted.secret_expires_at:
            return row.secret_warned_days
    return None


def weaken(
    session: Session, records: Records, account_id: Any, wanted: Settings, *, by: str
) -> bool:
    """Ask less of people from now on, with the settings in force but for their mode: that
    needs no test. Says whether ``wanted`` was that; pending settings are then dropped.
    """
    current, waiting = load(session, records, account_id)
    if current is None or _STRENGTH[wanted.mode] >= _STRENGTH[current.mode_at(now())]:
        return False
    if replace(Settings.of(current), mode=wanted.mode) != wanted:
        return False
    if wanted.mode is Mode.OFF:
        return switch_off(session, records, account_id, by=by)
    if waiting is not None:
        session.delete(waiting)
    _set_mode(current, wanted.mode)
    current.version += 1
    current.updated_at, current.updated_by = now(), by[:255]
    session.flush()
    return True


def keep(session: Session, records: Records, row: IdentityProviderMixin, *, by: str) -> bool:
    """Let *Require* stay that is on trial. ``False`` when it is over, or was kept already."""
    if row.trial_ends_at is None or row.mode_at(now()) is not Mode.REQUIRE:
        return False
    row.trial_ends_at = row.mode_after_trial = None
    row.version += 1
    row.updated_at, row.updated_by = now(), by[:255]
    session.flush()
    return True


def end_trial(session: Session, records: Records, row: IdentityProviderMixin) -> Mode | None:
    """Write down that a trial which nobody kept is over: it has been since its time came.

    :returns: the mode that follows; ``None`` when there was nothing to write, or another
        request has just written it.
    """
    after = row.mode_at(now())
    if row.trial_ends_at is None or after is Mode.REQUIRE:
        return None
    Provider = records.IdentityProvider
    # The version stays: whoever signs in right now signs in under the mode that follows.
    result: Any = session.execute(
        sa.update(Provider)
        .where(Provider.id == row.id, Provider.trial_ends_at == row.trial_ends_at)
        .values(mode=str(after), trial_ends_at=None, mode_after_trial=None, required_since=None)
        .execution_options(synchronize_session=False)
    )
    session.refresh(row)
    return after if result.rowcount else None


def _set_mode(row: IdentityProviderMixin, mode: Mode) -> None:
    row.mode = str(mode)
    row.trial_ends_at = row.mode_after_trial = row.required_since = None


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
    """The operator's way: settings in force at once, without a test or a trial."""
    current = in_force(session, records, account_id)
    if current is not None:
        end_trial(session, records, current)
    row = save(session, records, account_id, wanted, by=by)
    put_in_force(session, records, row, on_trial=False)
    keep(session, records, row, by=by)
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
        _set_mode(current, Mode.OFF)
        current.version += 1
        current.updated_at, current.updated_by = now(), by[:255]
        changed = True
    session.flush()
    return changed
