"""How SCIM groups live in the host's models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..protocol.errors import InvalidValue, literals
from ..protocol.patch import Operation
from ..protocol.paths import AttrExp, LogExp
from ..protocol.schemas import GROUP, Target, deserialize
from .expressions import Related
from .membership import Membership
from .resources import Change, Resource, typed
from .users import UserResource


class GroupResource(Resource):
    """How SCIM groups live in a model of the host's. See :class:`Resource`.

    :param members: who belongs to which group, a :class:`Membership`.
    """

    table = GROUP
    endpoint = "Groups"
    needed = ("displayName",)
    unique = ("displayName",)
    relation = "members"
    relation_type = "User"

    user: UserResource

    def __init__(
        self,
        model: type[Any],
        *,
        account: str,
        attributes: Mapping[str, str],
        members: Membership,
    ) -> None:
        super().__init__(model, account=account, attributes=attributes)
        self.members = members

    def attach(self, user: UserResource) -> None:
        """Make the two sides of a membership known to each other."""
        self.user = user

    @property
    def other(self) -> Resource:
        return self.user

    @property
    def sides(self) -> tuple[Any, Any]:
        return self.members.group, self.members.user

    def delete(self, session: Session, obj: Any) -> None:
        """Delete a group, its members' rows first."""
        self.members.forget_group(session, self.key(obj))
        super().delete(session, obj)

    def related(self) -> dict[str, tuple[Any, Related]]:
        return {
            "members": (
                self.user.parse_id,
                lambda bound: self.members.has_user(
                    self.key_attribute, typed(bound, self.members.user)
                ),
            )
        }

    def _take_related(self, document: dict[str, Any]) -> Any:
        found = document.pop("members", None)
        return None if found is None else [member["value"] for member in found]

    def _set_related(self, session: Session, account_id: Any, change: Change, value: Any) -> None:
        if value is None:
            return
        keys = self._user_keys(session, account_id, value)
        key = self.key(change.obj)
        with self._integrity():
            if change.kind == "created":
                touched = self.members.add(session, key, keys)
            else:
                touched = self.members.replace(session, key, keys)
        if touched:
            self._note_members(session, change)

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
        everything = False
        come: dict[str, None] = {}
        go: dict[str, None] = {}
        for one in operations:
            arriving, leaving = _member_ids(one)
            if leaving is None:
                everything, come, go = True, {}, {}
            for id in map(self._spelled, leaving or ()):
                come.pop(id, None)
                go[id] = None
            for id in map(self._spelled, arriving):
                go.pop(id, None)
                come[id] = None
        key = self.key(change.obj)
        new = self._user_keys(session, account_id, list(come))
        # A user may be deleted at this very moment: then the foreign key refuses.
        with self._integrity():
            if everything:
                touched = self.members.replace(session, key, new)
            else:
                # Who is no user of this account is no member either: nothing to remove.
                old = [k for k in map(self.user.parse_id, go) if k is not None]
                touched = self.members.remove(session, key, old) if old else 0
                touched += self.members.add(session, key, new) if new else 0
        if touched:
            self._note_members(session, change)

    def _spelled(self, id: str) -> str:
        """One spelling for one user: a UUID may be sent in capitals."""
        key = self.user.parse_id(id)
        return id if key is None else str(key)

    def _user_keys(self, session: Session, account_id: Any, ids: Sequence[str]) -> list[Any]:
        """Ids of users of this account as keys, each once.

        :raises InvalidValue: naming the ids that are none.
        """
        keys = {id: self.user.parse_id(id) for id in ids}
        wanted = [key for key in keys.values() if key is not None]
        found = self.user.known(session, account_id, wanted)
        unknown = [id for id, key in keys.items() if key not in found]
        if unknown:
            shown = ", ".join(repr(id[:60]) for id in unknown[:10])
            more = f" and {len(unknown) - 10} more" if len(unknown) > 10 else ""
            raise InvalidValue(
                f"members: no User of this account has the id {shown}{more}.",
                path="members",
                values=[shown],
            )
        return list(dict.fromkeys(wanted))

    def _note_members(self, session: Session, change: Change) -> None:
        if "members" not in change.paths:
            change.paths.append("members")
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


def _is_members(target: Target) -> bool:
    return target.urn is None and target.name == "members"


def _member_ids(one: Operation) -> tuple[list[str], list[str] | None]:
    """The ids that come, and the ids that go, by an operation on members; ``None`` for all
    who are there."""
    target = one.target
    if target.sub not in (None, "value"):
        raise InvalidValue(
            f"{target.text}: of a member, only the value can be changed.",
            path="members",
            values=literals(target.text),
        )
    named: list[str] | None = None
    if target.filter is not None:
        # A filter on members says whom: members[value eq "id"], or several joined by or.
        named = _filtered_ids(target.filter)
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
        return _sent_ids(target, one.value), named
    if one.op == "remove":
        return [], None if one.value is None else _sent_ids(target, one.value)
    return _sent_ids(target, one.value), None if one.op == "replace" else []


def _sent_ids(target: Target, value: Any) -> list[str]:
    if value is None:
        return []
    # An id stands for the member; the other sub-attributes of the element do not matter.
    value = [
        {"value": item} if isinstance(item, str) else item
        for item in (value if isinstance(value, list) else [value])
    ]
    return [member["value"] for member in deserialize(target.field, value, "members")]


def _filtered_ids(tree: Any) -> list[str] | None:
    match tree:
        case AttrExp(path, "eq", str() as value) if path.name == "value":
            return [value]
        case LogExp("or", terms):
            found: list[str] = []
            for term in terms:
                part = _filtered_ids(term)
                if part is None:
                    return None
                found += part
            return found
        case _:
            return None
