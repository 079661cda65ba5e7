"""Why something was refused, for machines."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a request, an access token or a password was refused, where the status and the
    scimType do not say enough.

    The log keeps it and its exports show it, so that a word stays as it is. The log has the
    code of a sign-in's :class:`.SignInError` in the same place.
    """

    # The credential
    TOKEN_DRAFT = "token_draft"  # noqa: S105, the name of a reason
    TOKEN_EXPIRED = "token_expired"  # noqa: S105
    TOKEN_REVOKED = "token_revoked"  # noqa: S105
    TRUST_REVOKED = "trust_revoked"
    #: The client identifier is not that of the account whose credential came with it.
    OAUTH_CLIENT = "oauth_client"
    #: The assertion has expired, or is not valid yet.
    OAUTH_ASSERTION = "oauth_assertion"

    # The account
    LICENCE = "licence"
    PAUSED = "paused"
    BRAKE = "brake"

    # The user or group
    GONE = "gone"
    #: The application had the user before provisioning, and keeps them for itself.
    ADOPT = "adopt"
    PROTECTED = "protected"
    LAST_OWNER = "last_owner"
    BREAK_GLASS = "break_glass"
    #: The role is none that SCIM gives.
    ROLE = "role"

    # The password
    MICROSOFT_REQUIRED = "microsoft_required"
    #: A break-glass owner who does not manage the account any more.
    BREAK_GLASS_ROLE = "break_glass_role"
    #: A break-glass owner without a second factor.
    BREAK_GLASS_FACTOR = "break_glass_factor"
