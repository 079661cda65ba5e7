"""The secrets of accounts' own registrations at Microsoft, encrypted where they are stored.

A key ring opens with any of its keys and seals with the first, so that keys can be changed
without a gap: put the new one in front, encrypt anew, take the old one out.

Nothing here commits.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy.orm import Session

from .models import Records

#: Ties a derived key to its one use (RFC 5869 §3.2): nothing else that is made from the
#: application's secret key can open what is kept here.
_PURPOSE = b"flask_h5mag_scim client secret 1"


class VaultError(Exception):
    """A secret cannot be sealed or opened. The message says what the operator can do."""


class Vault:
    """One application's key ring.

    :param keys: Fernet keys, the newest first.
    :param secret_keys: the application's own secret keys, the newest first. A key is derived
        from each. They seal when ``keys`` is empty; else they only open what was sealed
        before there were any ``keys``.
    """

    def __init__(self, keys: Sequence[str], *, secret_keys: Sequence[str | bytes]) -> None:
        self._ring = [Fernet(key) for key in keys]
        self._ring += [Fernet(_derived(key)) for key in secret_keys]

    def seal(self, text: str) -> str:
        """``text`` encrypted with the newest key; another one every time.

        :raises VaultError: when there is no key at all.
        """
        if not self._ring:
            raise VaultError("There is no key to encrypt with: set SECRET_KEY.")
        return self._ring[0].encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """What was sealed with any of the keys.

        :raises VaultError: when it was not, or was changed since.
        """
        try:
            return MultiFernet(self._ring).decrypt(sealed.encode()).decode()
        except (InvalidToken, ValueError):  # MultiFernet wants a key, text wants UTF-8
            raise VaultError("The secret cannot be decrypted with any of the keys.") from None

    def opens(self, sealed: str | None) -> bool:
        """Whether there is a secret, and it can be read."""
        if sealed is None:
            return False
        try:
            self.open(sealed)
        except VaultError:
            return False
        return True

    def is_current(self, sealed: str) -> bool:
        """Whether it was sealed with the newest key."""
        try:
            self._ring[0].decrypt(sealed.encode())
        except (InvalidToken, IndexError):
            return False
        return True


def _derived(secret_key: str | bytes) -> bytes:
    """A Fernet key made from an application's secret key (RFC 5869)."""
    material = secret_key.encode() if isinstance(secret_key, str) else secret_key
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=_PURPOSE).derive(material)
    return base64.urlsafe_b64encode(derived)


@dataclass
class Reencrypted:
    """What :func:`reencrypt` did, as account keys."""

    changed: list[Any] = field(default_factory=list)
    #: Those whose secret no key opens: somebody has to enter it again.
    lost: list[Any] = field(default_factory=list)


def reencrypt(session: Session, records: Records, vault: Vault) -> Reencrypted:
    """Seal every stored secret with the newest key.

    A secret that an account's two rows share stays one, so that they go on comparing as
    equal; no version is raised, because nothing that a sign-in knows changes.
    """
    Provider = records.IdentityProvider
    answer = Reencrypted()
    for account_id, sealed in _stored(session, records):
        if vault.is_current(sealed):
            continue
        try:
            text = vault.open(sealed)
        except VaultError:
            answer.lost.append(account_id)
            continue
        # By what was read: a secret that an admin saves meanwhile is newer than this one.
        result: Any = session.execute(
            sa.update(Provider)
            .where(Provider.account_id == account_id, Provider.client_secret == sealed)
            .values(client_secret=vault.seal(text))
            .execution_options(synchronize_session=False)
        )
        if result.rowcount:
            answer.changed.append(account_id)
    return answer


def examine(session: Session, records: Records, vault: Vault) -> Reencrypted:
    """What :func:`reencrypt` would do."""
    answer = Reencrypted()
    for account_id, sealed in _stored(session, records):
        if not vault.opens(sealed):
            answer.lost.append(account_id)
        elif not vault.is_current(sealed):
            answer.changed.append(account_id)
    return answer


def _stored(session: Session, records: Records) -> list[tuple[Any, str]]:
    """The account and the text of every stored secret."""
    Provider = records.IdentityProvider
    found = session.execute(
        sa.select(Provider.account_id, Provider.client_secret)
        .where(Provider.client_secret.is_not(None))
        .distinct()
        .order_by(Provider.account_id)
    )
    return [(account_id, str(sealed)) for account_id, sealed in found]
