"""Recovery codes: the second factor of the few who may come in without Microsoft.

Each is shown once, kept as a hash, and opens one sign-in. They stand for whatever second
factor an application has.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import sqlalchemy as sa
from flask import request

from .models import RecoveryCode, User, db

#: How many a person has at a time.
COUNT = 8


def renew(user: User) -> list[str]:
    """New codes for ``user``, in place of all older ones. Does not commit."""
    db.session.execute(sa.delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    codes = [secrets.token_hex(10) for _ in range(COUNT)]
    db.session.add_all(RecoveryCode(user_id=user.id, digest=_digest(code)) for code in codes)
    return ["-".join(code[i : i + 5] for i in range(0, len(code), 5)) for code in codes]


def shown(user: User) -> bool:
    """Whether the form of this request has a code of ``user``, which is used up by that."""
    used: Any = db.session.execute(
        sa.delete(RecoveryCode).where(
            RecoveryCode.user_id == user.id,
            RecoveryCode.digest == _digest(request.form.get("code", "")),
        )
    )
    db.session.commit()  # whatever becomes of the sign-in
    return bool(used.rowcount)


def _digest(code: str) -> str:
    # 80 random bits need no slow hash.
    plain = "".join(character for character in code.lower() if character.isalnum())
    return hashlib.sha256(plain.encode()).hexdigest()
