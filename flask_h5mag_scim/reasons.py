"""Why something was refused, for machines."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a request, an access token or a password was refused, where the status and the
    scimType do not say enough.

    The log keeps it and its exports show it, so that a word stays as it is. The log has a
    :class:`SignInReason` in the same place.
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


class SignInReason(StrEnum):
    """Why a sign-in with Microsoft, or an admin's test of it, ended on a page of ours.

    The log keeps it, its exports show it and the signal ``sso_refused`` carries it, so that a
    word stays as it is.
    """

    # The account and its settings
    LICENCE = "licence"
    OFF = "off"
    #: The settings are not those any more with which the sign-in began.
    CHANGED = "changed"
    #: The configuration does not know the settings' cloud any more.
    CLOUD = "cloud"
    #: The settings' directory is no organisation's.
    TENANT_ID = "tenant_id"
    #: The host has no registration at Microsoft.
    REGISTRATION = "registration"
    #: The stored secret of the account's own registration cannot be read.
    OWN_SECRET = "own_secret"  # noqa: S105, the name of a reason

    # The directory
    #: Its metadata cannot be had, or …
    DISCOVERY = "discovery"
    #: … cannot be trusted.
    METADATA = "metadata"
    #: Its keys cannot be had, or …
    KEYS_UNAVAILABLE = "keys_unavailable"
    #: … none of them may sign for it.
    KEYS = "keys"

    # The way back from Microsoft
    #: Nothing in this browser waits for the answer.
    STATE = "state"
    #: The answer has no code, or too much of something.
    REQUEST = "request"
    #: Microsoft asks to try again later.
    BUSY = "busy"
    #: Microsoft refused, for a reason of its own.
    PROVIDER = "provider"
    #: The browser was sent to Microsoft too often in a short time.
    CIRCLES = "circles"

    # The token endpoint
    #: It takes the code no longer.
    CODE = "code"
    #: It does not accept the host's registration, or …
    CLIENT = "client"
    #: … the account's own.
    OWN_CLIENT = "own_client"
    TIMEOUT = "timeout"
    #: Its answer cannot be read.
    ANSWER = "answer"
    NO_ID_TOKEN = "no_id_token"  # noqa: S105

    # The ID token: its signature
    ALGORITHM = "algorithm"
    #: It names no key of the directory's.
    KEY = "key"
    SIGNATURE = "signature"

    # The ID token: its claims
    TENANT = "tenant"
    ISSUER = "issuer"
    VERSION = "version"
    AUDIENCE = "audience"
    #: It was issued to another application (``azp``).
    PARTY = "party"
    NONCE = "nonce"
    OID = "oid"
    EXPIRED = "expired"
    #: It was issued too long ago, or …
    ISSUED = "issued"
    #: … in the future.
    CLOCK = "clock"
    NOT_YET = "not_yet"
    #: What only Authlib finds wrong with them.
    CLAIMS = "claims"

    # The person
    GUEST = "guest"
    #: Nobody in the account is them.
    NOT_PROVISIONED = "not_provisioned"
    #: The same after a test, where the ``upn`` that could have found somebody was not sent.
    NO_UPN = "no_upn"
    #: A user has their object id, and not from SCIM.
    NOT_BY_SCIM = "not_by_scim"
    INACTIVE = "inactive"
    AMBIGUOUS = "ambiguous"
    #: The user's link and externalId name two people.
    MISMATCH = "mismatch"

    # On the same page, and in no account's log
    #: The sign-on address is not in use.
    UNKNOWN = "unknown"
    #: Too many sign-ins come from one network.
    RATE = "rate"
    #: Whoever came back is not the admin who began the test.
    TEST_SESSION = "test_session"
    NOTHING_TO_TEST = "nothing_to_test"
    #: An administrator of the directory was asked for consent. No refusal; it has the same page.
    CONSENT = "consent"
