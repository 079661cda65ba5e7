"""Bearer tokens: issue, activate, verify, revoke.

``none → draft → active → revoked | expired``. *Generate Token* issues a draft, *Save*
activates it. Nothing here commits.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .models import CredentialKind, Records, TokenMixin, TokenState, now, state_at

#: Recognisable, so that secret scanners can find a token that was published.
PREFIX = "h5mag_scim_"
_RANDOM_BYTES = 32
_CHECKSUM_LENGTH = 6
LENGTH = len(PREFIX) + 43 + _CHECKSUM_LENGTH
#: A token's text, or most of it.
_TEXT = re.compile(rf"{PREFIX}[\w-]{{20,}}", re.ASCII)

#: Who made what was made in the shell.
OPERATOR = "operator (shell)"

#: Two, so that a customer can change the token in Entra without a gap.
MAX_ACTIVE = 2

#: ``last_used_at`` is information for people; once a minute is enough of it.
USE_INTERVAL = timedelta(minutes=1)


class TokenProblem(StrEnum):
    """Why a token cannot be saved."""

    SAVED = "saved"
    #: Generated too long ago.
    LATE = "late"
    #: Two are active already.
    FULL = "full"


class TokenError(ValueError):
    """A step that this token, or this account's other tokens, do not allow.

    :param problem: which; in words it is ``token_problem.…`` of the catalogue.
    """

    def __init__(self, problem: TokenProblem) -> None:
        super().__init__(problem)
        self.problem = problem


@dataclass(frozen=True)
class Verified:
    """A credential that was found, with its account's row and its state."""

    kind: CredentialKind
    id: Any
    account: Any
    name: str
    fingerprint: str
    state: TokenState
    #: Whether it is more than a draft, whatever became of it.
    was_saved: bool
    expires_at: datetime | None
    last_used_at: datetime | None
    #: Since when, and by whom, provisioning of the account is paused.
    paused_at: datetime | None
    paused_by: str

    @property
    def opens(self) -> bool:
        """Whether it opens its account's SCIM now, as far as that is in the admins' hands."""
        return self.state is TokenState.ACTIVE and self.paused_at is None


def _checksum(body: str) -> str:
    value = zlib.crc32(body.encode()).to_bytes(4, "big")
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def generate_text() -> str:
    """A new token: prefix, 256 random bits, checksum; 60 characters."""
    body = PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    return body + _checksum(body)


def is_well_formed(text: str) -> bool:
    """Whether ``text`` can be a token at all: its length, prefix and checksum fit."""
    return (
        len(text) == LENGTH
        and text.isascii()
        and text.startswith(PREFIX)
        and secrets.compare_digest(_checksum(text[:-_CHECKSUM_LENGTH]), text[-_CHECKSUM_LENGTH:])
    )


def hash_text(text: str) -> str:
    """The look-up key of a token's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def issue(
    session: Session, records: Records, account_id: Any, *, created_by: str
) -> tuple[TokenMixin, str]:
    """A new draft and its text, which exists nowhere else. Discards an older draft."""
    discard_drafts(session, records, account_id)
    return _new(session, records, account_id, created_by)


def create(
    session: Session,
    records: Records,
    account_id: Any,
    *,
    name: str,
    expires_at: datetime | None,
    created_by: str,
) -> tuple[TokenMixin, str]:
    """An active token and its text, for operators. A draft on the page stays as it is.

    :raises TokenError: when two tokens are active already.
    """
    token, text = _new(session, records, account_id, created_by)
    activate(session, records, token, name=name, expires_at=expires_at)
    return token, text


def _new(
    session: Session, records: Records, account_id: Any, created_by: str
) -> tuple[TokenMixin, str]:
    text = generate_text()
    digest = hash_text(text)
    token = records.Token()
    token.account_id = account_id
    token.hash = digest
    token.fingerprint = digest[:6]
    token.created_by = created_by[:255]
    session.add(token)
    session.flush()
    return token, text


def discard_drafts(session: Session, records: Records, account_id: Any) -> bool:
    """Forget what was generated and not saved. Says whether there was something."""
    Token = records.Token
    result: Any = session.execute(
        sa.delete(Token).where(
            Token.account_id == account_id,
            Token.activated_at.is_(None),
            Token.revoked_at.is_(None),
        )
    )
    return bool(result.rowcount)


def listed(session: Session, records: Records, account_id: Any) -> list[TokenMixin]:
    """The account's saved tokens, newest first."""
    Token = records.Token
    found = session.scalars(
        sa.select(Token)
        .where(Token.account_id == account_id, Token.activated_at.is_not(None))
        .order_by(Token.activated_at.desc())
    )
    return list(found)


def states(saved: Sequence[TokenMixin], at: datetime) -> list[TokenState]:
    """How an account's saved tokens stand at the time ``at``, as people are told: of several
    active ones the newest stays, and the others are retiring.

    :param saved: all of them, in the order of :func:`listed`.
    """
    found = []
    has_newer = False
    for token in saved:
        state = token.state(at)
        if state is TokenState.ACTIVE and has_newer:
            state = TokenState.RETIRING
        has_newer = has_newer or state is TokenState.ACTIVE
        found.append(state)
    return found


def draft(session: Session, records: Records, account_id: Any) -> TokenMixin | None:
    """The account's unsaved token, also when it is too old to be saved."""
    Token = records.Token
    return session.scalar(
        sa.select(Token)
        .where(
            Token.account_id == account_id,
            Token.activated_at.is_(None),
            Token.revoked_at.is_(None),
        )
        .order_by(Token.created_at.desc())
        .limit(1)
    )


def get(session: Session, records: Records, account_id: Any, token_id: Any) -> TokenMixin | None:
    """One token of this account."""
    Token = records.Token
    return session.scalar(
        sa.select(Token).where(Token.account_id == account_id, Token.id == token_id)
    )


def active(session: Session, records: Records, account_id: Any) -> list[TokenMixin]:
    """The tokens that open the door now, newest first."""
    Token = records.Token
    at = now()
    found = session.scalars(
        sa.select(Token)
        .where(Token.account_id == account_id, Token.revoked_at.is_(None))
        .order_by(Token.activated_at.desc())
    )
    return [token for token in found if token.state(at) is TokenState.ACTIVE]


def clean_name(text: str) -> str:
    """What somebody calls a token, in one line that says nothing to a terminal or a mail, and
    never a token itself: the fields for both are neighbours."""
    text = _TEXT.sub(" ", text)
    visible = "".join(letter for letter in text if letter.isprintable() or letter.isspace())
    return " ".join(visible.split())[:80]


def activate(
    session: Session,
    records: Records,
    token: TokenMixin,
    *,
    name: str,
    expires_at: datetime | None,
) -> None:
    """Make a draft the token that Entra can use.

    :param name: what the admin calls it; kept as :func:`clean_name` has it.
    :param expires_at: aware; ``None`` for never.
    :raises TokenError: when it is no draft any more, is older than an hour, or two
        tokens are active already.
    """
    at = now()
    if token.activated_at is not None:
        raise TokenError(TokenProblem.SAVED)
    if token.state(at) is not TokenState.DRAFT:
        raise TokenError(TokenProblem.LATE)
    if len(active(session, records, token.account_id)) >= MAX_ACTIVE:
        raise TokenError(TokenProblem.FULL)
    token.name = clean_name(name)
    token.activated_at = at
    token.expires_at = expires_at
    # A try before Save was refused; it is no use of this token.
    token.first_used_at = token.last_used_at = token.last_used_ip = None


def revoke(token: TokenMixin) -> None:
    """Close the door for this token, from the next request on."""
    if token.revoked_at is None:
        token.revoked_at = now()


def verify(session: Session, records: Records, text: str) -> Verified | None:
    """The token with this text and its account, in one indexed look-up.

    ``None`` for a text that was never issued here; a token that is not active comes back
    with its state, for the caller to refuse with the right sentence.
    """
    if not is_well_formed(text):
        return None
    parameters = {"scim_token_hash": hash_text(text)}
    found = session.execute(records.token_by_hash, parameters).one_or_none()
    if found is None:
        return None
    return verified(CredentialKind.TOKEN, found)


def by_id(
    session: Session, records: Records, kind: CredentialKind, credential_id: uuid.UUID
) -> Verified | None:
    """The credential with this id and its account, in one look-up by primary key."""
    parameters = {"scim_credential_id": credential_id}
    found = session.execute(records.credential_by_id[kind], parameters).one_or_none()
    return None if found is None else verified(kind, found)


def verified(kind: CredentialKind, row: Sequence[Any]) -> Verified:
    """What a row of :meth:`.Records.credential` says of a credential now."""
    (
        account,
        paused_at,
        paused_by,
        id,
        name,
        fingerprint,
        last_used_at,
        created_at,
        activated_at,
        expires_at,
        revoked_at,
        *_,
    ) = row
    return Verified(
        kind=kind,
        id=id,
        account=account,
        name=name,
        fingerprint=fingerprint,
        state=state_at(
            now(),
            created_at=created_at,
            activated_at=activated_at,
            expires_at=expires_at,
            revoked_at=revoked_at,
        ),
        was_saved=activated_at is not None,
        expires_at=expires_at,
        last_used_at=last_used_at,
        paused_at=paused_at,
        paused_by=paused_by or "",
    )


def touch(session: Session, records: Records, token: Verified, address: str | None) -> bool:
    """Note that the credential was used now, at most once a minute. Says whether it wrote."""
    at = now()
    if token.last_used_at is not None and at - token.last_used_at < USE_INTERVAL:
        return False
    model = records.credentials[token.kind]
    session.execute(
        sa.update(model)
        .where(model.id == token.id)
        .values(
            first_used_at=sa.func.coalesce(model.first_used_at, at),
            last_used_at=at,
            last_used_ip=(address or "")[:45] or None,
        )
        .execution_options(synchronize_session=False)
    )
    return True


def note_issue(session: Session, records: Records, token: Verified) -> bool:
    """Note that an access token was issued for the credential. Says whether the log shall
    say so too: once a minute, also when two are issued at the same moment."""
    at = now()
    model = records.credentials[token.kind]
    result: Any = session.execute(
        sa.update(model)
        .where(
            model.id == token.id,
            sa.or_(model.last_issued_at.is_(None), model.last_issued_at <= at - USE_INTERVAL),
        )
        .values(last_issued_at=at)
        .execution_options(synchronize_session=False)
    )
    return bool(result.rowcount)
