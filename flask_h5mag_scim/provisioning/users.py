"""How SCIM users live in the host's models."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..protocol.errors import InvalidValue
from ..protocol.schemas import ENTERPRISE_USER, USER
from .expressions import Related, Side
from .mapping import Entry
from .resources import Reference, Resource

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

    def _reference(self, key: Any, name: str | None, about: Any = True) -> Reference:
        return Reference(str(key), name, "direct" if about else "indirect", self.group.endpoint)

    def _relations(self) -> Any:
        """With nesting, the groups above those that a user is in as well (RFC 7643 §4.1.2);
        each group once, and whether the user is in it directly."""
        group, members, nested = self.group, self.group.members, self.group.nested
        if nested is None:
            return super()._relations()
        key, name = group.key_attribute, group.display
        above = self._beside(
            group,
            members.user.label("scim_user"),
            members.group,
            key.label("scim_group"),
            name.label("scim_name"),
        ).cte(recursive=True)
        above = above.union(
            group.above(above.c.scim_group).with_only_columns(
                above.c.scim_user, key, name, maintain_column_froms=True
            )
        )
        direct = sa.exists().where(
            members.user == above.c.scim_user, members.group == above.c.scim_group
        )
        return sa.select(*above.c, direct).order_by(above.c.scim_group)

    def related(self) -> Related:
        # With nesting, ``type`` depends on more than one row, so it is not searched.
        kind = "direct" if self.group.nested is None else None
        return {"groups": {"Group": Side(self.group.parse_id, self._in_group, kind)}}

    def _in_group(self, condition: Any) -> sa.ColumnElement[bool]:
        """Whether a user is in a group that satisfies a condition, or in one below it."""
        group, members = self.group, self.group.members
        if condition is None:
            which = members.group.in_(group.keys)
        elif group.nested is None:
            which = condition(members.group)
        else:
            which = members.group.in_(group.below(condition))
        return sa.exists().where(members.user == self.key_attribute, which)

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
