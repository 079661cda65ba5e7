"""How SCIM users live in the host's models."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..protocol.errors import InvalidValue
from ..protocol.schemas import ENTERPRISE_USER, USER
from .expressions import Related
from .mapping import Entry
from .resources import Resource, typed

if TYPE_CHECKING:
    from .groups import GroupResource

#: The tutorial's rows; a customer's admin expects each of them to work.
TUTORIAL = (
    "userName",
    "active",
    "displayName",
    'emails[type eq "work"].value',
    "preferredLanguage",
    "name.givenName",
    "name.familyName",
    "name.formatted",
    "externalId",
    "locale",
    "timezone",
    "userType",
)

#: The one attribute of a user that refers to another user.
MANAGER = f"{ENTERPRISE_USER}:manager.value"


class UserResource(Resource):
    """How SCIM users live in a model of the host's. See :class:`Resource`."""

    table = USER
    endpoint = "Users"
    needed = ("userName", "active", "externalId")
    unique = ("userName", "externalId")
    relation = "groups"
    relation_type = "direct"

    group: GroupResource

    def attach(self, group: GroupResource) -> None:
        """Make the two sides of a membership known to each other."""
        self.group = group

    @property
    def other(self) -> Resource:
        return self.group

    @property
    def sides(self) -> tuple[Any, Any]:
        return self.group.members.user, self.group.members.group

    def is_active(self, obj: Any) -> bool:
        """Whether the person may sign in."""
        return bool(self.value(obj, "active"))

    def delete(self, session: Session, obj: Any) -> None:
        """Delete a user, out of every group first."""
        self.group.members.forget_user(session, self.key(obj))
        super().delete(session, obj)

    @cached_property
    def _manager(self) -> tuple[Entry, Any] | None:
        """The map's row for the manager and the column of users that it refers to; ``None``
        where it keeps a mere text."""
        entry = self.map.find(MANAGER)
        if entry is None:
            return None
        tables = sa.inspect(self.model).tables
        for key in getattr(getattr(self.model, entry.attribute), "foreign_keys", ()):
            if key.column.table in tables:
                return entry, key.column
        return None

    def _require_own(
        self, session: Session, account_id: Any, obj: Any, paths: Sequence[str]
    ) -> None:
        if MANAGER not in paths or self._manager is None:
            return
        entry, column = self._manager
        key = getattr(obj, entry.attribute)
        # The database itself would take a user of any account.
        with session.no_autoflush:
            if key is None or self.known(session, account_id, [key], column):
                return
        shown = repr(str(key)[:60])
        raise InvalidValue(
            f"{MANAGER}: no User of this account has the id {shown}.", path=MANAGER, values=[shown]
        )

    def related(self) -> dict[str, tuple[Any, Related]]:
        members = self.group.members
        return {
            "groups": (
                self.group.parse_id,
                lambda bound: members.has_user(typed(bound, members.group), self.key_attribute),
            )
        }

    def advice(self) -> list[str]:
        missing = self.map.missing(TUTORIAL)
        if not missing:
            return super().advice()
        return [
            f"The attribute map of {self.model.__name__} has no row for {', '.join(missing)}; "
            "customers' Microsoft Entra attribute mappings send "
            + ("it." if len(missing) == 1 else "them."),
            *super().advice(),
        ]
