"""How SCIM groups live in the host's models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..protocol.errors import InvalidValue, literals
from ..protocol.patch import Operation
from ..protocol.paths import AttrExp, LogExp
from ..protocol.schemas import GROUP, Target, deserialize
from .expressions import Related, Side
from .membership import Association, Membership, Nesting
from .resources import Change, Reference, Resource
from .users import UserResource


class Named(NamedTuple):
    """A member as a client names it."""

    id: str
    #: ``User`` or ``Group``; ``None`` where only the id says what it is.
    type: str | None = None


class Member(NamedTuple):
    """A member as the host keeps it."""

    type: str
    key: Any


class Moved(NamedTuple):
    """Members of one type that came into a group and left it."""

    type: str
    came: Sequence[Any]
    left: int
    #: Who they were, where that is known: the statement that removes them only counts.
    who_left: Sequence[Any] = ()


#: How many of the members that came or left a change names.
TOLD = 20


class GroupResource(Resource):
    """How SCIM groups live in a model of the host's. See :class:`Resource`.

    :param members: who belongs to which group, a :class:`Membership`.
    :param nested: which group is in which other, a :class:`Nesting`; ``None`` where groups
        are in no groups.
    """

    table = GROUP
    endpoint = "Groups"
    needed = ("displayName",)
    unique = ("displayName",)
    relation = "members"

    user: UserResource

    def __init__(
        self,
        model: type[Any],
        *,
        account: str,
        attributes: Mapping[str, str],
        members: Membership,
        nested: Nesting | None = None,
    ) -> None:
        super().__init__(model, account=account, attributes=attributes)
        self.members = members
        self.nested = nested

    def attach(self, user: UserResource) -> None:
        """Make the two sides of a membership known to each other."""
        self.user = user

    @property
    def other(self) -> Resource:
        return self.user

    @property
    def sides(self) -> tuple[Any, Any]:
        return self.members.group, self.members.user

    @cached_property
    def _kinds(self) -> dict[str, tuple[Resource, Association]]:
        """What can be a member, by its ``type``. Users come first: an id that could be both
        is a user's."""
        kinds: dict[str, tuple[Resource, Association]] = {}
        kinds[self.user.name] = self.user, self.members
        if self.nested is not None:
            kinds[self.name] = self, self.nested
        return kinds

    def delete(self, session: Session, obj: Any) -> None:
        """Delete a group, its members' rows and those that put it in others first."""
        for _, association in self._kinds.values():
            association.forget_group(session, self.key(obj))
        super().delete(session, obj)

    def canonical_values(self, target: Target) -> Sequence[str] | None:
        if _is_members(target) and target.sub in ("type", "$ref"):
            return list(self._kinds)
        return super().canonical_values(target)

    def memberships(self, key: Any) -> list[tuple[sa.Column[Any], Any]]:
        nested = self.nested
        return [] if nested is None else [(nested.group, nested.member == key)]

    # Reading

    def _reference(self, key: Any, name: str | None, about: Any = None) -> Reference:
        if about is None:
            return Reference(str(key), name, self.user.name, self.user.endpoint)
        return Reference(str(about), name, self.name, self.endpoint)

    def _relations(self) -> Any:
        if self.nested is None:
            return super()._relations()
        # Keys of users and groups may be of two types, so that each has a column.
        columns = self.user.key_attribute, self.key_attribute
        parts = []
        for number, (resource, association) in enumerate(self._kinds.values()):
            user, group = (
                column if n == number else sa.cast(sa.null(), column.type)
                for n, column in enumerate(columns)
            )
            parts.append(
                self._beside(
                    resource,
                    association.group.label("scim_mine"),
                    association.member,
                    user.label("scim_user"),
                    resource.display.label("scim_name"),
                    group.label("scim_group"),
                    sa.literal_column(str(number)).label("scim_kind"),
                )
            )
        members = sa.union_all(*parts).subquery()
        return sa.select(*list(members.c)[:-1]).order_by(
            members.c.scim_kind, members.c.scim_user, members.c.scim_group
        )

    def above(self, key: Any) -> sa.Select[Any]:
        """The account's groups that a group (a column) is in directly."""
        return self._next(key, up=True)

    def below(self, condition: Callable[[Any], sa.ColumnElement[bool]]) -> sa.Select[Any]:
        """The keys of the account's groups that satisfy a condition, and of those in them,
        at any depth."""
        found = self.keys.where(condition(self.key_attribute)).cte(recursive=True)
        inside = self._next(found.c[0], up=False).with_only_columns(
            self.key_attribute, maintain_column_froms=True
        )
        return sa.select(found.union(inside).c[0])

    def _next(self, key: Any, *, up: bool) -> sa.Select[Any]:
        nested = self.nested
        assert nested is not None  # noqa: S101, asked of hosts with groups in groups
        here, there = (nested.member, nested.group) if up else (nested.group, nested.member)
        return self._of_account.where(there == self.key_attribute, here == key)

    def related(self) -> Related:
        return {
            "members": {
                name: Side(resource.parse_id, partial(self._has_member, name), name)
                for name, (resource, _) in self._kinds.items()
            }
        }

    def _has_member(self, kind: str, condition: Any) -> sa.ColumnElement[bool]:
        resource, association = self._kinds[kind]
        which = (
            association.member.in_(resource.keys)
            if condition is None
            else condition(association.member)
        )
        return sa.exists().where(association.group == self.key_attribute, which)

    # Writing

    def _take_related(self, document: dict[str, Any]) -> Any:
        found = document.pop("members", None)
        return None if found is None else [_named(member) for member in found]

    def _set_related(self, session: Session, account_id: Any, change: Change, value: Any) -> None:
        if value is not None:
            come = self._resolved(session, account_id, value).values()
            everything = change.kind != "created"
            self._write_members(session, account_id, change, come, (), everything=everything)

    def _split_related(
        self, operations: list[Operation]
    ) -> tuple[list[Operation], list[Operation]]:
        about = [one for one in operations if _is_members(one.target)]
        return [one for one in operations if not _is_members(one.target)], about

    def _patch_related(
        self, session: Session, account_id: Any, change: Change, operations: list[Operation]
    ) -> None:
        """Operations on members in their order, folded into one insert and one delete."""
        if not operations:
            return
        steps = [_members_named(one) for one in operations]
        resolved = self._resolved(session, account_id, [n for come, _ in steps for n in come])
        everything = False
        come: dict[Member, None] = {}
        go: dict[Member, None] = {}
        for arriving, leaving in steps:
            if leaving is None:
                everything, come, go = True, {}, {}
            # Who is no user of this account is no member either: nothing to remove.
            for member in self._meant(leaving or ()):
                come.pop(member, None)
                go[member] = None
            for named in arriving:
                go.pop(resolved[named], None)
                come[resolved[named]] = None
        self._write_members(session, account_id, change, come, go, everything=everything)

    def _meant(self, named: Iterable[Named]) -> Iterator[Member]:
        """Every member that could be meant: RFC 7644 §3.5.2.2 removes what matches."""
        for one in named:
            for kind, (resource, _) in self._kinds.items():
                key = resource.parse_id(one.id) if one.type in (None, kind) else None
                if key is not None:
                    yield Member(kind, key)

    def _resolved(
        self, session: Session, account_id: Any, named: Sequence[Named]
    ) -> dict[Named, Member]:
        """What is named, as users of this account, else as groups of it.

        :raises InvalidValue: naming the ids that are neither.
        """
        found: dict[Named, Member] = {}
        for kind, (resource, _) in self._kinds.items():
            meant = {
                one: resource.parse_id(one.id)
                for one in named
                if one.type in (None, kind) and one not in found
            }
            wanted = list(dict.fromkeys(key for key in meant.values() if key is not None))
            known = resource.known(session, account_id, wanted)
            found |= {one: Member(kind, key) for one, key in meant.items() if key in known}
        unknown = list(dict.fromkeys(one.id for one in named if one not in found))
        if unknown:
            shown = ", ".join(repr(id[:60]) for id in unknown[:10])
            more = f" and {len(unknown) - 10} more" if len(unknown) > 10 else ""
            kinds = " or ".join(self._kinds)
            raise InvalidValue(
                f"members: no {kinds} of this account has the id {shown}{more}.",
                path="members",
                values=[shown],
            )
        return found

    def _write_members(
        self,
        session: Session,
        account_id: Any,
        change: Change,
        come: Iterable[Member],
        go: Iterable[Member],
        *,
        everything: bool,
    ) -> None:
        """Let members come and go.

        :param everything: whether who does not come, goes.
        """
        group_key = self.key(change.obj)
        coming, going = self._by_kind(come), self._by_kind(go)
        self._refuse_circle(session, account_id, group_key, coming.get(self.name, ()))
        moved: list[Moved] = []
        # A user may be deleted at this very moment: then the foreign key refuses.
        with self._integrity():
            for kind, (_, association) in self._kinds.items():
                if everything:
                    came, left = association.replace(session, group_key, coming[kind])
                    moved.append(Moved(kind, came, left))
                else:
                    left = association.remove(session, group_key, going[kind])
                    came = association.add(session, group_key, coming[kind])
                    # Of ids that were no members' it is not known which ones left.
                    who = going[kind] if left == len(going[kind]) else ()
                    moved.append(Moved(kind, came, left, who))
        if any(one.came or one.left for one in moved):
            self._note_members(session, change, moved)

    def _by_kind(self, members: Iterable[Member]) -> dict[str, list[Any]]:
        found: dict[str, dict[Any, None]] = {kind: {} for kind in self._kinds}
        for member in members:
            found[member.type][member.key] = None
        return {kind: list(keys) for kind, keys in found.items()}

    def _refuse_circle(
        self, session: Session, account_id: Any, group_key: Any, keys: Sequence[Any]
    ) -> None:
        """Refuse groups that the group is in already, and the group itself."""
        if self.nested is None or not keys:
            return
        # Two requests could each close one half of a circle: one of them waits here and then
        # sees what the other one did.
        self.user.lock_account(session, account_id)
        forbidden = self.nested.above(session, group_key) | {group_key}
        circular = [str(key) for key in keys if key in forbidden]
        if circular:
            shown = ", ".join(map(repr, circular[:10]))
            raise InvalidValue(
                f"members: a group cannot be in itself, directly or through others: {shown}.",
                path="members",
                values=[shown],
            )

    def _note_members(self, session: Session, change: Change, moved: Sequence[Moved]) -> None:
        if "members" not in change.paths:
            change.paths.append("members")
        came, left = sum(len(one.came) for one in moved), sum(one.left for one in moved)
        change.members = {"members": [None, f"+{came} −{left}"]}
        for one in moved:
            name = "members" if one.type == self.user.name else f'members[type eq "{one.type}"]'
            if one.came:
                change.members[f"{name}.added"] = [None, _first(one.came)]
            if one.who_left:
                change.members[f"{name}.removed"] = [_first(one.who_left), None]
        self._touch(session, change.obj)

    def _touch(self, session: Session, obj: Any) -> None:
        """A changed membership is a changed group, though its row is the same."""
        entry = self.map.find("meta.lastModified")
        columns = sa.inspect(self.model).columns
        if entry is not None and entry.attribute in columns:
            moment = datetime.now(UTC)
            if not getattr(columns[entry.attribute].type, "timezone", False):
                moment = moment.replace(tzinfo=None)
            setattr(obj, entry.attribute, moment)
            self._flush(session)


def _first(keys: Sequence[Any]) -> list[str]:
    """The ids of those that the log names."""
    return [str(key) for key in keys[:TOLD]]


def _is_members(target: Target) -> bool:
    return target.urn is None and target.name == "members"


def _members_named(one: Operation) -> tuple[list[Named], list[Named] | None]:
    """Who comes, and who goes, by an operation on members; ``None`` for all who are there."""
    target = one.target
    if target.sub not in (None, "value"):
        raise InvalidValue(
            f"{target.text}: of a member, only the value can be changed.",
            path="members",
            values=literals(target.text),
        )
    named: list[Named] | None = None
    if target.filter is not None:
        # A filter on members says whom: members[value eq "id"], or several joined by or.
        named = _filtered(target.filter)
        if named is None:
            raise InvalidValue(
                f'{target.text}: members are named by members[value eq "id"].',
                path="members",
                values=literals(target.text),
            )
        if one.op == "remove":
            return [], named
        if one.op == "add":
            return named, []
        return _sent(target, one.value), named
    if one.op == "remove":
        return [], None if one.value is None else _sent(target, one.value)
    return _sent(target, one.value), None if one.op == "replace" else []


def _sent(target: Target, value: Any) -> list[Named]:
    if value is None:
        return []
    value = [
        {"value": item} if isinstance(item, str) else item
        for item in (value if isinstance(value, list) else [value])
    ]
    return [_named(member) for member in deserialize(target.field, value, "members")]


_TYPES = {"user": "User", "group": "Group", "users": "User", "groups": "Group"}


def _named(member: Mapping[str, Any]) -> Named:
    """An element of ``members``. Its id stands for it; its ``type``, or the address in its
    ``$ref``, says what kind of thing has that id."""
    kind = _TYPES.get(str(member.get("type")).lower())
    if kind is None:
        kind = _TYPES.get("".join(str(member.get("$ref")).lower().split("/")[-2:-1]))
    return Named(member["value"], kind)


def _filtered(tree: Any) -> list[Named] | None:
    match tree:
        case AttrExp(path, "eq", str() as value) if path.name == "value":
            return [Named(value)]
        case LogExp("and", (first, second)):
            for one, other in ((first, second), (second, first)):
                kind, named = _type_meant(one), _filtered(other)
                if kind and named:
                    return [each._replace(type=kind) for each in named]
            return None
        case LogExp("or", terms):
            found: list[Named] = []
            for term in terms:
                part = _filtered(term)
                if part is None:
                    return None
                found += part
            return found
        case _:
            return None


def _type_meant(tree: Any) -> str | None:
    match tree:
        case AttrExp(path, "eq", str() as value) if path.name == "type":
            return _TYPES.get(value.lower())
        case _:
            return None
