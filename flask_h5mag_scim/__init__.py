"""SCIM 2.0 provisioning and Microsoft Entra ID single sign-on on a host's own models."""

from .extension import H5magSCIM
from .protocol.errors import SCIMError
from .protocol.schemas import ENTERPRISE_USER
from .provisioning.groups import GroupResource
from .provisioning.membership import Membership, Nesting
from .provisioning.users import UserResource
from .signals import (
    brake_engaged,
    break_glass_used,
    group_deprovisioned,
    group_provisioned,
    group_updated,
    provisioning_failing,
    provisioning_quiet,
    sso_linked,
    sso_refused,
    sso_secret_expiring,
    sso_signed_in,
    token_expiring,
    token_issued,
    token_revoked,
    user_deprovisioned,
    user_provisioned,
    user_updated,
)

__all__ = [
    "ENTERPRISE_USER",
    "GroupResource",
    "H5magSCIM",
    "Membership",
    "Nesting",
    "SCIMError",
    "UserResource",
    "brake_engaged",
    "break_glass_used",
    "group_deprovisioned",
    "group_provisioned",
    "group_updated",
    "provisioning_failing",
    "provisioning_quiet",
    "sso_linked",
    "sso_refused",
    "sso_secret_expiring",
    "sso_signed_in",
    "token_expiring",
    "token_issued",
    "token_revoked",
    "user_deprovisioned",
    "user_provisioned",
    "user_updated",
]
