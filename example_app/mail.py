"""H5mag's mail: a stand-in prints what a product would send."""

from __future__ import annotations

import sqlalchemy as sa
from flask import current_app

from .models import MANAGERS, Account, User, db


def to_admins(account: Account, subject: str, text: str) -> None:
    """Send a mail to everybody who looks after ``account``."""
    addresses = db.session.scalars(
        sa.select(User.email)
        .where(User.account_id == account.id, User.active, User.role.in_(MANAGERS))
        .where(User.email.is_not(None))
        .order_by(User.email)
    )
    current_app.logger.warning(
        "Mail to %s\n%s\n\n%s", ", ".join(map(str, addresses)), subject, text
    )
