"""One writer at a time, where two would each be right and both together wrong."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from .models import single_key


def begin_write(session: Session, model: type[Any]) -> None:
    """On SQLite, take the write lock before anything is read.

    Otherwise two requests read the same row and one fails at its end, and pysqlite would let
    the work of a savepoint survive a rollback. Other databases lock rows instead.

    :param model: a model of the database that is going to be written.
    """
    mapper = sa.inspect(model)
    if session.get_bind(mapper).dialect.name == "sqlite":
        connection: Any = session.connection(bind_arguments={"mapper": mapper})
        if not connection.connection.dbapi_connection.in_transaction:
            connection.exec_driver_sql("BEGIN IMMEDIATE")


def lock_account(session: Session, account: type[Any], account_id: Any) -> None:
    """Let one request at a time change the tokens and settings of an account.

    How many tokens are active, and which settings are the newest, is read before it is
    decided; the lock holds until the transaction ends. Of SCIM's requests, only those wait
    for it that take an owner away or put a group into a group.
    """
    begin_write(session, account)
    key = single_key(account)
    session.execute(
        sa.select(key).where(key == account_id).with_for_update(key_share=True),
        bind_arguments={"mapper": sa.inspect(account)},
    )
