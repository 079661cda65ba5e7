"""The setup guide: five steps, which of them have been taken, and what to copy for them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from ..provisioning.mapping import AttributeRow
from ..records.models import IdentityProviderMixin
from ..texts import TEXTS, say
from .people import Reach
from .status import Facts

#: What Microsoft Entra's attributes are called that fit ours; what is not here, it has none for.
_SOURCES = {
    "externalId": "objectId",
    "userName": "userPrincipalName",
    "active": 'Switch([IsSoftDeleted], , "False", "True", "True", "False")',
    "displayName": "displayName",
    'emails[type eq "work"].value': "mail",
    "preferredLanguage": "preferredLanguage",
    "name.givenName": "givenName",
    "name.familyName": "surname",
    "name.formatted": 'Join(" ", [givenName], [surname])',
}


@dataclass(frozen=True)
class Step:
    """One step of the guide."""

    #: The middle of its texts' keys.
    name: str
    is_done: bool

    @property
    def clicks(self) -> list[str]:
        """What to do, one thing after the other."""
        return _numbered(f"guide.{self.name}")


def steps(
    facts: Facts, reach: Reach, in_force: IdentityProviderMixin | None
) -> tuple[Step, Step, Step, Step, Step]:
    """The five steps, as far as they have been taken.

    :param reach: of the people who came last, which shows how externalId is mapped.
    :param in_force: the settings of single sign-on that serve.
    """
    has_come = facts.held.last_used_at is not None
    return (
        Step("token", bool(facts.held.usable)),
        Step("request", has_come),
        # Read off the people who came: nothing else shows what the mapping is.
        Step("mapping", reach.provisioned > 0 and not reach.without_object_id),
        Step("user", facts.users > 0),
        Step("sso", in_force is not None and in_force.tested_at is not None),
    )


def advice() -> list[str]:
    """What is good to know before."""
    return _numbered("guide.advice")


def _numbered(key: str) -> list[str]:
    return [text for each, text in TEXTS.items() if each.rpartition(".")[0] == key]


def mapping(rows: Sequence[AttributeRow]) -> list[tuple[str, str]]:
    """The host's attributes, each with what of Microsoft Entra's goes there; empty where the
    customer decides. Roles are left out, which have a way of their own."""
    return [(row.path, _SOURCES.get(row.path, "")) for row in rows if "roles[" not in row.path]


def app_roles(values: Sequence[str]) -> str:
    """The host's roles as Microsoft's application manifest writes them, to copy into its list
    ``appRoles``. Their ids are the same every time, so that pasting twice is noticed there."""
    roles = [
        {
            "allowedMemberTypes": ["User"],
            "description": say("attributes.roles.description", role=value),
            "displayName": value,
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"urn:h5mag:role:{value}")),
            "isEnabled": True,
            "value": value,
        }
        for value in values
    ]
    return json.dumps(roles, indent=2, ensure_ascii=False)
