"""Which user a person at Microsoft is: the rule that finds them, and the links it keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ..protocol.paths import parse_filter
from ..state import get_state

#: The shape of an object id. Anything else of it is for :func:`.oidc.guid` to judge.
_GUID = "________-____-____-____-____________"


@dataclass(frozen=True)
class Reach:
    """How many of an account's active people that SCIM has written Microsoft can lead to."""

    provisioned: int
    #: Those whose externalId is not an object id: the mapping is not as it should be.
    without_object_id: int
    #: Those of them who are not linked to the directory in another way either: nobody at
    #: Microsoft is them.
    unreachable: int


def reach(account: Any, tenant_id: str) -> Reach:
    """Count them, in one statement.

    :param tenant_id: the directory whose links count.
    """
    state = get_state()
    scim = state.scim
    key, user, UserLink = scim.account_key(account), scim.user, scim.UserLink
    entry = user.map.find("externalId")
    assert entry is not None  # noqa: S101, the resource insists
    external_id: Any = getattr(user.model, entry.attribute)
    # A column of UUIDs keeps nothing else, and is no text everywhere.
    is_other = sa.false() if entry.convert else external_id.not_like(_GUID)
    active = user.compiler.prepare(parse_filter("active eq true"))
    people = (
        user.select(key)
        .order_by(None)
        .with_only_columns(
            sa.or_(external_id.is_(None), is_other).label("is_without"),
            sa.and_(UserLink.oid.is_not(None), UserLink.tenant_id == tenant_id).label("is_linked"),
            maintain_column_froms=True,
        )
        .where(
            user.compiler.where(active.shape),
            UserLink.account_id == key,
            UserLink.user_id == user.key_attribute,
            UserLink.provisioned_at.is_not(None),
        )
        .subquery()
    )
    is_without = people.c.is_without
    is_linked = sa.func.coalesce(people.c.is_linked, sa.false())
    row = state.session.execute(
        sa.select(
            sa.func.count(),
            _how_many(is_without),
            _how_many(sa.and_(is_without, sa.not_(is_linked))),
        ).select_from(people)
    ).one()
    return Reach(*row)


def _how_many(condition: Any) -> Any:
    return sa.func.count(sa.case((condition, 1)))
