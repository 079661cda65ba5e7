"""The secrets of accounts' own registrations: sealed where they are stored."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from example_app.models import Account, db
from example_app.provisioning import scim
from flask_h5mag_scim.records import providers, vault
from flask_h5mag_scim.records.vault import Vault, VaultError

from ..conftest import both_databases

SECRET = "Vk~8Q~the.value-of-a_secret"
TENANT = "8f14e45f-ceea-467f-a1d2-3b5c6d7e8f90"
CLIENT_ID = "3c1f6a34-7c7e-4a0a-9a1e-5b8a7f0c2d11"
OLD, NEW = (base64.urlsafe_b64encode(bytes([n]) * 32).decode() for n in (1, 2))


def test_what_is_sealed_says_nothing_and_opens_again() -> None:
    """The same text never looks the same, and its key opens it."""
    held = Vault([NEW], secret_keys=[])
    one, other = held.seal(SECRET), held.seal(SECRET)
    assert one != other
    assert SECRET not in one
    assert held.open(one) == held.open(other) == SECRET
    assert SECRET not in repr(held)


@pytest.mark.parametrize(
    ("sealing", "opening"),
    [
        (Vault([OLD], secret_keys=[]), Vault([NEW, OLD], secret_keys=[])),
        (Vault([], secret_keys=["old"]), Vault([], secret_keys=["new", "old"])),
        (Vault([], secret_keys=[b"old"]), Vault([], secret_keys=["old"])),
        # An application that gets keys of its own does not lose what it has.
        (Vault([], secret_keys=["old"]), Vault([NEW], secret_keys=["new", "old"])),
    ],
)
def test_any_key_opens_and_the_first_seals(sealing: Vault, opening: Vault) -> None:
    """So keys can be changed without a gap."""
    sealed = sealing.seal(SECRET)
    assert opening.open(sealed) == SECRET
    assert opening.opens(sealed)
    assert opening.is_current(opening.seal(SECRET))


def test_keys_of_the_application_seal_only_without_others() -> None:
    """Who sets keys does so because the application's secret key is not enough."""
    both = Vault([NEW], secret_keys=["application"])
    assert not Vault([], secret_keys=["application"]).opens(both.seal(SECRET))
    assert not both.is_current(Vault([], secret_keys=["application"]).seal(SECRET))


@pytest.mark.parametrize(
    "held",
    [Vault([OLD], secret_keys=["x"]), Vault([], secret_keys=["x"]), Vault([], secret_keys=[])],
)
def test_no_other_key_opens(held: Vault) -> None:
    """A secret that cannot be read is an error with a sentence and without the secret."""
    sealed = Vault([NEW], secret_keys=[]).seal(SECRET)
    assert not held.opens(sealed)
    assert not held.is_current(sealed)
    with pytest.raises(VaultError, match="cannot be decrypted") as refused:
        held.open(sealed)
    assert sealed not in str(refused.value)


def test_what_was_changed_does_not_open() -> None:
    """A ciphertext is good as it is, or not at all."""
    held = Vault([NEW], secret_keys=[])
    sealed = held.seal(SECRET)
    middle = len(sealed) // 2
    turned = "A" if sealed[middle] != "A" else "B"
    for text in (sealed[:middle] + turned + sealed[middle + 1 :], sealed[:-4], "", "é", SECRET):
        assert not held.opens(text)
    assert not held.opens(None)


def test_without_a_key_nothing_is_sealed() -> None:
    """Rather than stored as it is."""
    with pytest.raises(VaultError, match="SECRET_KEY"):
        Vault([], secret_keys=[]).seal(SECRET)


def test_a_derived_key_is_for_this_use_alone() -> None:
    """The key that Flask signs sessions with is not the one that encrypts."""
    plain = base64.urlsafe_b64encode(b"s" * 32).decode()
    assert not Vault([plain], secret_keys=[]).opens(Vault([], secret_keys=["s" * 32]).seal(SECRET))


def test_the_ring_is_the_applications(app: Flask) -> None:
    """Its own secret keys, read when they are needed; ours are read at start."""
    state = app.extensions["h5mag_scim"]
    with app.app_context():
        sealed = state.vault.seal(SECRET)
        assert Vault([], secret_keys=["test"]).opens(sealed)
        app.config["SECRET_KEY"] = "next"
        assert not state.vault.opens(sealed)
        app.config["SECRET_KEY_FALLBACKS"] = ["test"]
        assert state.vault.open(sealed) == SECRET
        assert not state.vault.is_current(sealed)


@pytest.fixture
def accounts(app: Flask) -> Iterator[dict[str, Any]]:
    with app.app_context():
        yield {account.slug: account.id for account in db.session.scalars(sa.select(Account))}
        db.session.rollback()
        db.session.remove()


def store(account_id: Any, sealed: str | None, *, save: Any = providers.configure) -> Any:
    settings = providers.Settings("global", TENANT, client_id=CLIENT_ID, client_secret=sealed)
    return save(db.session, scim.records, account_id, settings, by="test")


@both_databases
def test_all_secrets_are_encrypted_anew(accounts: dict[str, Any]) -> None:
    """With the newest key; what is so already, or cannot be read, stays as it is."""
    ring = Vault([NEW, OLD], secret_keys=[])
    old = Vault([OLD], secret_keys=[]).seal(SECRET)
    current = ring.seal(SECRET)
    foreign = Vault([], secret_keys=["gone"]).seal(SECRET)
    rows = [
        store(accounts["acme"], old),
        store(accounts["globex"], current),
        store(accounts["umbrella"], foreign),
    ]
    # A second row of one account, with the same secret and another directory.
    rows.append(
        providers.save(
            db.session,
            scim.records,
            accounts["acme"],
            providers.Settings("us", TENANT, client_id=CLIENT_ID, client_secret=old),
            by="test",
        )
    )
    versions = [row.version for row in rows]
    done = vault.reencrypt(db.session, scim.records, ring)
    assert done.changed == [accounts["acme"]]
    assert done.lost == [accounts["umbrella"]]
    for row in rows:
        db.session.refresh(row)
    assert ring.is_current(rows[0].client_secret)
    assert ring.open(rows[0].client_secret) == SECRET
    assert rows[0].client_secret == rows[3].client_secret
    assert (rows[1].client_secret, rows[2].client_secret) == (current, foreign)
    assert [row.version for row in rows] == versions
    assert vault.reencrypt(db.session, scim.records, ring).changed == []
