"""Rows of the host's models, without what a session does to make entities of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session, scoped_session


def fetch(
    session: Session | scoped_session[Session],
    model: type[Any],
    statement: sa.Select[Any],
    parameters: Mapping[str, Any],
) -> sa.Result[Any]:
    """What a statement finds that names columns of ``model``, and no entities.

    For each statement a session makes a reader of every column anew, which takes longer than
    the query; its connection does not.
    """
    own: Session = session() if isinstance(session, scoped_session) else session
    if own.dispatch.do_orm_execute:
        # The host has a say in what its session finds: it may hide what is deleted softly.
        return own.execute(statement, dict(parameters))
    if own.autoflush:
        own.flush()
    bind: Any = {"mapper": sa.inspect(model), "clause": statement}
    return own.connection(bind_arguments=bind).execute(statement, parameters)
