"""Whatever went wrong, as a SCIM error."""

from __future__ import annotations

import sqlalchemy as sa
from flask import current_app
from marshmallow import ValidationError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from ..protocol.errors import (
    Conflict,
    InternalError,
    OtherHTTPError,
    SCIMError,
    TooLarge,
    Unavailable,
)
from ..protocol.schemas import refusal
from .exchange import MAX_BODY

#: SQLSTATE of a deadlock, and of a transaction that does not fit beside another.
_GIVEN_UP = frozenset({"40P01", "40001"})


def is_given_up(cause: Exception) -> bool:
    """Whether the database gave up one of several transactions, which can be repeated."""
    original = getattr(cause, "orig", None)
    return isinstance(cause, sa.exc.DBAPIError) and (
        getattr(original, "sqlstate", None) in _GIVEN_UP
    )


def as_scim_error(cause: Exception) -> SCIMError:
    """What is answered to an exception. What no client has caused is logged, and its text is
    nobody's."""
    match cause:
        case SCIMError():
            return cause
        case ValidationError():
            return refusal(cause)
        case RequestEntityTooLarge():
            return TooLarge(f"The body is larger than {MAX_BODY // 1024 // 1024} MiB.")
        case HTTPException():
            return OtherHTTPError(cause.code or 500, cause.description or cause.name)
        case sa.exc.OperationalError() | sa.exc.TimeoutError():
            # Not its text: that has the statement with the values of people.
            reason = getattr(getattr(cause, "orig", None), "sqlstate", None)
            current_app.logger.warning(
                "SCIM: the database could not answer: %s %s", type(cause).__name__, reason or ""
            )
            return Unavailable()
        case sa.exc.IntegrityError():
            # A constraint that the database checks at the end of the transaction.
            return Conflict("The application does not accept this beside what it has already.")
        case sa.exc.StatementError():
            cause.hide_parameters = True
    current_app.logger.error("SCIM: internal error", exc_info=cause)
    return InternalError()
