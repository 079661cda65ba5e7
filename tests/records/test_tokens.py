"""Bearer tokens: their form, their states, and who may have how many."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from example_app.models import db
from example_app.provisioning import scim
from flask_h5mag_scim.records import tokens
from flask_h5mag_scim.records.models import DRAFT_LIFETIME, TokenState, now
from flask_h5mag_scim.records.tokens import TokenError

from ..conftest import get_account

records = scim.records


@pytest.fixture
def account(app: Flask) -> Iterator[Any]:
    with app.app_context():
        yield get_account()
        db.session.rollback()
        db.session.remove()


def issue(account: Any, *, age: timedelta | None = None) -> tuple[Any, str]:
    token, text = tokens.issue(db.session, records, account.id, created_by="test")
    if age is not None:
        token.created_at = now() - age
    return token, text


def active(account: Any, name: str = "x", expires_at: datetime | None = None) -> tuple[Any, str]:
    token, text = issue(account)
    tokens.activate(db.session, records, token, name=name, expires_at=expires_at)
    return token, text


def verify(text: str) -> Any:
    db.session.flush()
    return tokens.verify(db.session, records, text)


def test_a_token_is_recognisable_random_and_stored_as_its_hash_only(account: Any) -> None:
    """Prefix for secret scanners, 256 bits, checksum; the text exists nowhere else."""
    token, text = issue(account)
    assert text.startswith("h5mag_scim_")
    assert len(text) == tokens.LENGTH == 60
    assert tokens.is_well_formed(text)
    assert text != tokens.generate_text()
    assert token.hash == hashlib.sha256(text.encode()).hexdigest()
    assert token.fingerprint == token.hash[:6]
    stored = db.session.execute(sa.select(records.Token.__table__)).one()
    assert all(text not in str(value) and text[11:30] not in str(value) for value in stored)


def test_a_slip_of_the_pen_is_seen_without_asking_the_database(account: Any) -> None:
    """The checksum tells a wrong copy from a token that is not known."""
    _, text = active(account)
    swapped = text[:20] + ("a" if text[20] != "a" else "b") + text[21:]
    for wrong in (
        swapped,
        text[:-1],
        text + "x",
        text[11:],
        text.upper(),
        "",
        "é" * 60,
        " " + text,
    ):
        assert not tokens.is_well_formed(wrong)
        assert verify(wrong) is None


def test_verify_finds_the_account_and_the_state(account: Any) -> None:
    """A token that is not active comes back too, for the right sentence of refusal."""
    token, text = issue(account)
    assert verify(text).state is TokenState.DRAFT
    tokens.activate(db.session, records, token, name="Entra", expires_at=None)
    found = verify(text)
    assert (found.account, found.name, found.state) == (account, "Entra", TokenState.ACTIVE)
    tokens.revoke(token)
    assert verify(text).state is TokenState.REVOKED
    assert verify(tokens.generate_text()) is None


def test_a_state_is_read_off_the_timestamps(account: Any) -> None:
    """To the moment: an expiry that is reached is past."""
    token, _ = active(account, expires_at=now() + timedelta(days=1))
    expiry = token.expires_at
    assert token.state(expiry - timedelta(seconds=1)) is TokenState.ACTIVE
    assert token.state(expiry) is TokenState.EXPIRED
    tokens.revoke(token)
    assert token.state(expiry) is TokenState.REVOKED
    draft, _ = issue(account)
    end = draft.draft_expires_at
    assert end == draft.created_at + DRAFT_LIFETIME
    assert draft.state(end - timedelta(seconds=1)) is TokenState.DRAFT
    assert draft.state(end) is TokenState.EXPIRED


def test_two_may_be_active_and_a_third_is_refused(account: Any) -> None:
    """A customer changes the token in Entra without a gap; more would only be forgotten."""
    first, _ = active(account, "first")
    active(account, "second")
    third, _ = issue(account)
    with pytest.raises(TokenError, match="full"):
        tokens.activate(db.session, records, third, name="third", expires_at=None)
    assert third.activated_at is None
    tokens.revoke(first)
    tokens.activate(db.session, records, third, name="third", expires_at=None)
    assert {token.name for token in tokens.active(db.session, records, account.id)} == {
        "second",
        "third",
    }


def test_tokens_that_ended_or_belong_to_others_do_not_count(account: Any) -> None:
    """Only what opens this account's door does."""
    active(account, "ended", now() - timedelta(seconds=1))
    active(account, "one")
    other = get_account("globex")
    active(other, "theirs")
    active(account, "two")
    assert len(tokens.active(db.session, records, account.id)) == 2
    assert [token.name for token in tokens.listed(db.session, records, account.id)] == [
        "two",
        "one",
        "ended",
    ]


def test_a_draft_is_saved_once_and_within_the_hour(account: Any) -> None:
    """A page that stayed open must not activate what somebody forgot."""
    old, _ = issue(account, age=DRAFT_LIFETIME + timedelta(seconds=1))
    with pytest.raises(TokenError, match="late"):
        tokens.activate(db.session, records, old, name="x", expires_at=None)
    token, _ = active(account)
    with pytest.raises(TokenError, match="saved"):
        tokens.activate(db.session, records, token, name="x", expires_at=None)


def test_a_new_draft_discards_the_old_one(account: Any) -> None:
    """One at a time; saved ones and other accounts' stay."""
    other = get_account("globex")
    _, theirs = issue(other)
    _, saved = active(account)
    _, first = issue(account)
    second, text = issue(account)
    assert verify(first) is None
    assert [verify(each).state for each in (text, saved, theirs)] == ["draft", "active", "draft"]
    assert tokens.draft(db.session, records, account.id) is second
    assert tokens.discard_drafts(db.session, records, account.id) is True
    assert tokens.discard_drafts(db.session, records, account.id) is False
    assert tokens.draft(db.session, records, account.id) is None


def test_a_token_is_got_within_its_account_only(account: Any) -> None:
    """The page's addresses carry ids."""
    token, _ = active(account)
    other = get_account("globex")
    assert tokens.get(db.session, records, account.id, token.id) is token
    assert tokens.get(db.session, records, other.id, token.id) is None


def test_use_is_noted_once_a_minute(account: Any) -> None:
    """It is information for people; a write on each request would cost more than the request."""
    token, text = active(account)
    assert tokens.touch(db.session, records, verify(text), "2001:db8::1")
    db.session.refresh(token)
    assert token.last_used_ip == "2001:db8::1"
    assert now() - token.last_used_at < timedelta(seconds=5)
    assert not tokens.touch(db.session, records, verify(text), "192.0.2.1")
    token.last_used_at = now() - timedelta(seconds=61)
    assert tokens.touch(db.session, records, verify(text), None)
    db.session.refresh(token)
    assert token.last_used_ip is None


def test_revoking_again_changes_nothing(account: Any) -> None:
    """The first moment counts."""
    token, _ = active(account)
    tokens.revoke(token)
    moment = token.revoked_at
    tokens.revoke(token)
    assert token.revoked_at == moment


def test_a_name_is_cut_to_its_column(account: Any) -> None:
    """PostgreSQL would refuse a longer one."""
    token, _ = active(account, "x" * 200)
    assert len(token.name) == 80
