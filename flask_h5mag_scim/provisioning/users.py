"""How SCIM users live in the host's models."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..protocol import documents, messages
from ..protocol.errors import Forbidden, InvalidValue
from ..protocol.patch import Operation, apply
from ..protocol.schemas import ENTERPRISE_USER, USER, Target
from ..reasons import Reason
from .advice import Advice
from .expressions import Related, Side
from .mapping import Entry
from .resources import Change, Reference, Resource
from .roles import PATH, ROLES, Roles
from .search import ACCOUNT

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


class LastOwner(Forbidden):
    """Without this User the account would have no active owner."""

    default_detail = (
        "This is the last active owner of the account, whom provisioning neither gives another "
        "role nor deactivates nor deletes. Make somebody else an owner in the application first, "
        "or take this person out of the scope of provisioning."
    )
    reason = Reason.LAST_OWNER


class UserResource(Resource):
    """How SCIM users live in a model of the host's. See :class:`Resource`.

    :param roles: for a map with ``roles[primary eq true].value``: the values that SCIM may
        give it, the most powerful first. The last one is what is left to somebody whose role
        is taken away.
    :param owner_role: a value that SCIM never gives. The account's last active person who
        has it is neither given another role nor deactivated nor deleted by SCIM. A view of
        the host's that takes an owner away locks the person's row and then the account's, in
        this order like SCIM, before it counts them.
    """

    table = USER
    endpoint = "Users"
    needed = ("userName", "active", "externalId")
    unique = ("userName", "externalId")
    relation = "groups"

    group: GroupResource

    def __init__(
        self,
        model: type[Any],
        *,
        account: str,
        attributes: Mapping[str, str],
        roles: Sequence[str] | None = None,
        owner_role: str | None = None,
    ) -> None:
        super().__init__(model, account=account, attributes=attributes)
        self.roles = self._checked_roles(roles, owner_role)

    def _checked_roles(self, given: Sequence[str] | None, owner: str | None) -> Roles | None:
        where = f"The attribute map of {self.model.__name__}"
        entry = self.map.find(PATH)
        slots = [slot for element in self.map.elements(ROLES) for slot in element.slots]
        for other in slots:
            if other.sub == "value" and other is not entry:
                raise ValueError(
                    f"{where}: {other.text!r} is not the role that a person has. Map {PATH!r}."
                )
        if entry is None:
            if given is None and owner is None:
                return None
            raise ValueError(f"{where} has no row {PATH!r} for roles= and owner_role=.")
        if given is None:
            raise ValueError(
                f"{where} maps {PATH!r}. Say with roles= which values may be given, the most "
                'powerful first, like ("admin", "reader").'
            )
        if not entry.writable:
            raise ValueError(f"{where} maps {PATH!r} to {entry.attribute!r}, which has no setter.")
        roles = Roles(given, owner)
        for value in (*roles.given, *filter(None, [owner])):
            try:
                entry.for_model(value)
            except InvalidValue:
                raise ValueError(
                    f"{entry.attribute!r} of {self.model.__name__} does not keep the role "
                    f"{value!r}."
                ) from None
        return roles

    def attach(
        self,
        group: GroupResource,
        *,
        lock_account: Callable[[Session, Any], None],
        is_protected: Callable[[Any], bool],
    ) -> None:
        """Make the two sides of a membership known to each other.

        :param lock_account: locks the row of the account with a key until the transaction
            ends.
        :param is_protected: whether SCIM may neither deactivate nor delete a user.
        """
        self.is_protected = is_protected
        self.group = group
        self.lock_account = lock_account

    @property
    def other(self) -> Resource:
        return self.group

    @property
    def sides(self) -> tuple[Any, Any]:
        return self.group.members.user, self.group.members.group

    def memberships(self, key: Any) -> list[tuple[sa.Column[Any], Any]]:
        members = self.group.members
        return [(members.group, members.user == key)]

    def is_active(self, obj: Any) -> bool:
        """Whether the person may sign in."""
        return bool(self.value(obj, "active"))

    def canonical_values(self, target: Target) -> Sequence[str] | None:
        if self.roles is not None and target.text == f"{ROLES.name}.value":
            return self.roles.given
        return super().canonical_values(target)

    # The role

    def _settle(self, document: dict[str, Any], before: dict[str, Any]) -> None:
        if self.roles is None:
            return
        sent = document.pop(ROLES.name, None)
        if sent is None:
            # Not to speak of roles is to leave them alone.
            documents.set_elements(document, ROLES, documents.elements(before, ROLES))
            return
        self.roles.arrive(document, sent, self.roles.of(before))
        self.roles.settle(document, before)

    def _apply(
        self, before: dict[str, Any], operations: list[Operation]
    ) -> tuple[dict[str, Any], list[str]]:
        if self.roles is None:
            return super()._apply(before, operations)
        arriving = partial(self.roles.arriving, had=self.roles.of(before))
        after, ignored = apply(before, operations, self.map.keeps, arriving)
        self.roles.settle(after, before)
        return after, ignored

    def _require_allowed(
        self,
        session: Session,
        account_id: Any,
        obj: Any,
        before: dict[str, Any],
        after: dict[str, Any] | None,
    ) -> None:
        super()._require_allowed(session, account_id, obj, before, after)
        leaves = after is None or (before.get("active") is True and not after.get("active"))
        if leaves and self.is_protected(obj):
            raise Forbidden(
                "The application protects this User: provisioning neither deactivates nor deletes "
                "them. Take them out of the scope of provisioning, or see to them in the "
                "application.",
                reason=Reason.PROTECTED,
            )
        if not self._is_active_owner(before) or (after and self._is_active_owner(after)):
            return
        # Of two requests that take away the last two owners, the second one waits here and
        # then sees what the first one did.
        self.lock_account(session, account_id)
        if not self._other_owners(session, account_id, obj):
            raise LastOwner

    def locked(self, session: Session, account_id: Any, keys: Sequence[Any]) -> list[Any]:
        """The account's users with these keys as entities, in the order of their keys, whom
        nobody else changes until the transaction ends. One statement."""
        return list(session.scalars(self._locked, {ACCOUNT: account_id, "scim_keys": keys}))

    @cached_property
    def _locked(self) -> sa.Select[Any]:
        # By key: two that lock several of them in another order each would wait forever.
        return (
            self._of_account.where(
                self.key_attribute.in_(sa.bindparam("scim_keys", expanding=True))
            )
            .order_by(self.key_attribute)
            .with_for_update(of=self.model, key_share=True)
            .execution_options(populate_existing=True)
        )

    def deactivate(self, session: Session, account_id: Any, obj: Any) -> Change:
        """Deactivate a user who is locked, as SCIM does.

        :raises Forbidden: when the application protects them; :class:`LastOwner` when they are
            the account's last active owner.
        """
        before = self.map.document(obj)
        return self._update(session, account_id, obj, before, {**before, "active": False})

    def _is_active_owner(self, document: dict[str, Any]) -> bool:
        return (
            self.roles is not None
            and self.roles.is_owner(document)
            and document.get("active") is True
        )

    def _other_owners(self, session: Session, account_id: Any, obj: Any) -> int:
        """How many active owners the account has besides ``obj``."""
        owner = json.dumps(self.roles.owner if self.roles else None)
        found = f'{PATH} eq {owner} and active eq true and id ne "{self.id(obj)}"'
        query = messages.Query(filter=found, start_index=1, count=0)
        return self.search(session, account_id, query).total

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

    def advice(self) -> list[Advice]:
        missing = self.map.missing(TUTORIAL)
        if not missing:
            return super().advice()
        them = "it" if len(missing) == 1 else "them"
        return [
            Advice(
                f"The attribute map of {self.model.__name__} has no row for "
                f"{', '.join(missing)}; customers' Microsoft Entra attribute mappings send {them}.",
                f"Map {them} to a column or a hybrid property.",
            ),
            *super().advice(),
        ]
