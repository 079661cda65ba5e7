"""SCIM errors: one class for each ``scimType`` of RFC 7644 §3.12, table 9."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, ClassVar

from ..reasons import Reason

ERROR_URN = "urn:ietf:params:scim:api:messages:2.0:Error"

#: What the brackets of a path, or a filter, compare with, as :mod:`.paths` writes it. The
#: type in ``emails[type eq "work"].value`` belongs to the attribute's name.
_LITERAL = re.compile(
    r"""(?P<type>(?<![\w.$-])type\s+eq\s*"[\w-]{1,20}")"""
    r"""|"(?:[^"\\]|\\.)*"?|(?<=\s)-?[0-9][^\s)\]]*""",
    re.IGNORECASE | re.DOTALL,
)


def literals(expression: str) -> tuple[str, ...]:
    """The texts and numbers that a path or a filter compares with, as they stand in it."""
    return tuple(found[0] for found in _LITERAL.finditer(expression) if not found["type"])


def without_literals(expression: str) -> str:
    """A path or a filter for people who need not learn what it compares with."""
    return _LITERAL.sub(lambda found: found["type"] or "…", expression)


class SCIMError(Exception):
    """A request that is answered with a SCIM error.

    :param detail: one sentence that an admin can act on: what is wrong, with the attribute
        and the value. No secrets.
    :param path: the attribute that the error is about, where there is one.
    :param values: the parts of ``detail`` that came from the client, exactly as they stand
        in it. The answer shows them, the log does not.
    :param reason: why, for the log, where that is not the class's own.
    """

    #: The HTTP status of the answer.
    status: ClassVar[int] = 400
    #: RFC 7644 table 9's keyword, where the table has one.
    scim_type: ClassVar[str | None] = None
    #: What is said when the place that raises has nothing more exact.
    default_detail: ClassVar[str] = "The request cannot be carried out."
    #: Why, where the status and the keyword do not say enough to explain it.
    reason: Reason | None = None

    def __init__(
        self,
        detail: str | None = None,
        *,
        path: str | None = None,
        values: Iterable[str] = (),
        reason: Reason | None = None,
    ) -> None:
        self.detail = detail or self.default_detail
        self.path = path
        self.values = tuple(values)
        if reason is not None:
            self.reason = reason
        super().__init__(self.detail)

    def without_values(self) -> str:
        """``detail`` for the log: who reads it need not learn what people are called."""
        longest_first = sorted(filter(None, self.values), key=len, reverse=True)
        if not longest_first:
            return self.detail
        return re.sub("|".join(map(re.escape, longest_first)), "…", self.detail)

    def safe_path(self) -> str | None:
        """``path`` for the log, without what its brackets compare with."""
        return None if self.path is None else without_literals(self.path)

    def headers(self) -> dict[str, str]:
        """Headers that belong to this error's answer."""
        return {}

    def body(self) -> dict[str, Any]:
        """The error as RFC 7644 §3.12 has it; the status is a text there."""
        body: dict[str, Any] = {"schemas": [ERROR_URN], "status": str(self.status)}
        if self.scim_type:
            body["scimType"] = self.scim_type
        body["detail"] = self.detail
        return body


class InvalidFilter(SCIMError):
    """The filter cannot be parsed, or asks for something that is not searched here."""

    scim_type = "invalidFilter"
    default_detail = (
        "The filter cannot be read, or compares an attribute in a way it does not have."
    )


class Uniqueness(SCIMError):
    """An attribute value is in use already.

    :param holder_id: the id of the resource of this account that has it, where it is known;
        for the log, the answer does not say it.
    """

    status = 409
    scim_type = "uniqueness"
    default_detail = "Another resource of this account has one of these values already."

    def __init__(
        self, detail: str | None = None, *, holder_id: str | None = None, **evidence: Any
    ) -> None:
        self.holder_id = holder_id
        super().__init__(detail, **evidence)


class Mutability(SCIMError):
    """The change does not fit the attribute's mutability."""

    scim_type = "mutability"
    default_detail = "This attribute is read-only."


class InvalidSyntax(SCIMError):
    """The body is not the JSON that this request needs."""

    scim_type = "invalidSyntax"
    default_detail = "The body of the request does not have the structure that SCIM asks for."


class InvalidPath(SCIMError):
    """The path of a PATCH operation cannot be parsed."""

    scim_type = "invalidPath"
    default_detail = "The path of the operation cannot be read."


class NoTarget(SCIMError):
    """The path of a PATCH operation names nothing that can be changed."""

    scim_type = "noTarget"
    default_detail = "The path of the operation does not lead to a value that can be changed."


class InvalidValue(SCIMError):
    """A required value is missing, or a value does not fit its attribute."""

    scim_type = "invalidValue"
    default_detail = "A required value is missing, or a value does not fit its attribute."


class InvalidCursor(SCIMError):
    """The cursor is none of this query's (RFC 9865 §2.1)."""

    scim_type = "invalidCursor"
    default_detail = (
        "This cursor does not belong to this query. Send an empty one for the first page, then "
        "each page's nextCursor with everything else the same."
    )


class ExpiredCursor(SCIMError):
    """The client has waited too long with the next page (RFC 9865 §2.1)."""

    scim_type = "expiredCursor"
    default_detail = "This cursor has expired. Begin with an empty one again."


class InvalidCount(SCIMError):
    """The count is no number, or not that of the first page (RFC 9865 §2.1)."""

    scim_type = "invalidCount"
    default_detail = "The count must be the same for all pages of a cursor."


class Unauthorized(SCIMError):
    """No token, or one that does not open the door (RFC 6750 §3)."""

    status = 401
    default_detail = "The request has no valid bearer token."

    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": 'Bearer realm="SCIM", error="invalid_token"'}


class Forbidden(SCIMError):
    """The token is good, the request is not allowed."""

    status = 403
    default_detail = "This is not allowed."


class NotFound(SCIMError):
    """There is no such resource in this account."""

    status = 404
    default_detail = "There is no such resource."


class MethodNotAllowed(SCIMError):
    """The address exists, but not for this verb."""

    status = 405

    def __init__(self, method: str, allowed: list[str]) -> None:
        self.allowed = allowed
        super().__init__(f"{method} is not possible here; possible is {', '.join(allowed)}.")

    def headers(self) -> dict[str, str]:
        return {"Allow": ", ".join(self.allowed)}


class Conflict(SCIMError):
    """The change does not fit the state that the resource is in."""

    status = 409
    default_detail = "Something else depends on this resource."


class PreconditionFailed(SCIMError):
    """The resource is not the one that the client knows (RFC 7644 §3.14)."""

    status = 412
    default_detail = "The resource has changed since it was read. Read it again."


class TooLarge(SCIMError):
    """The body is larger than the server reads."""

    status = 413
    default_detail = "The body of the request is too large."


class UnsupportedMediaType(SCIMError):
    """The body is not JSON by its own word."""

    status = 415
    default_detail = "Send the body as application/scim+json."


class NotImplementedHere(SCIMError):
    """The standard has it, this server does not."""

    status = 501
    default_detail = "This server does not offer that."


class Unavailable(SCIMError):
    """The server cannot do it now and will soon."""

    status = 503
    default_detail = "The database is busy. Send the request again in a few seconds."

    def headers(self) -> dict[str, str]:
        return {"Retry-After": "5"}


class Paused(SCIMError):
    """An admin of the account wants nothing to be done for a while."""

    status = 503
    default_detail = "Provisioning of this account is paused."
    reason = Reason.PAUSED

    def headers(self) -> dict[str, str]:
        # About the time between two of Microsoft Entra's cycles: nobody knows when it ends.
        return {"Retry-After": "2400"}


class InternalError(SCIMError):
    """A fault of this server. Its cause is in the log, never in the answer."""

    status = 500
    default_detail = "An internal error occurred. It was logged; nothing was changed."


class OtherHTTPError(SCIMError):
    """An error that the web framework raised, brought into SCIM's form."""

    def __init__(self, status: int, detail: str) -> None:
        self.status = status  # type: ignore[misc]  # one class for every other status
        super().__init__(detail)
