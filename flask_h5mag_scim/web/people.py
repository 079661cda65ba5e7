"""Which user a person at Microsoft is: the rule that finds them, and the links it keeps.

The key is the directory and the object id in it, never an e-mail address. Everything here
stays within one account, and creates nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from flask_login import current_user

from ..protocol.paths import parse_filter
from ..reasons import SignInReason
from ..records import links, locks, log, providers
from ..records.providers import Settings
from ..state import get_state
from ..texts import say
from . import oidc
from .directory import SignInError

#: How many people the page looks at, those who came last: what is wrong with the mapping shows
#: in them, and nobody waits for a hundred thousand.
NEWEST = 1000
#: The shape of an object id. Anything else of it is for :func:`.oidc.guid` to judge.
_GUID = "________-____-____-____-____________"


class Way(StrEnum):
    """How somebody was found; the log and the signal ``sso_linked`` say it so."""

    LINK = "link"
    EXTERNAL_ID = "externalId"
    USER_NAME = "userName"


@dataclass(frozen=True)
class Person:
    """A user of an account, and what said that they are the person from Microsoft."""

    user: Any
    way: Way

    @property
    def is_new(self) -> bool:
        """Whether the link is still to be stored."""
        return self.way is not Way.LINK


def find(key: Any, settings: Settings, claims: Mapping[str, Any]) -> Person:
    """The one active user of an account who is the person of an ID token. Stores nothing.

    1. whom a stored link names;
    2. else the one whom SCIM gave the object id as externalId;
    3. else, where the account wants that, the one whom SCIM gave the token's ``upn`` as user
       name and nobody an object id. User names are given anew when somebody leaves, so that
       this happens once to a user, and to no guest.

    :param key: the account's.
    :param claims: checked by :func:`.oidc.check_claims`.
    :raises SignInError: when there is none, or more than one. The page says the same for
        all of it: to a stranger it must not tell who has an account.
    """
    check_guest(settings, claims)
    oid = oidc.object_id(claims)
    found = _linked(key, settings.tenant_id, oid) or _by_external_id(key, settings.tenant_id, oid)
    if found is None and settings.links_by_user_name:
        found = _by_user_name(key, settings.tenant_id, oid, claims)
    if found is None:
        raise SignInError(SignInReason.NOT_PROVISIONED, object_id=oid)
    # The second is Flask-Login's word, which the host may read more strictly.
    if not get_state().scim.user.is_active(found.user) or not found.user.is_active:
        raise SignInError(SignInReason.INACTIVE, object_id=oid)
    return found


def admit(key: Any, settings: Settings, claims: Mapping[str, Any]) -> Person:
    """The same, and the link is stored. Does not commit.

    :raises SignInError: like :func:`find`.
    """
    found = find(key, settings, claims)
    if not found.is_new:
        return found
    state = get_state()
    scim, session = state.scim, state.session
    # Two people at once must not be one user, nor two users one person.
    locks.lock_account(session, scim.account, key)
    session.expire(found.user)
    found = find(key, settings, claims)
    if found.is_new:
        _store(key, found.user, settings.tenant_id, oidc.object_id(claims), found.way)
    return found


def check_guest(settings: Settings, claims: Mapping[str, Any]) -> None:
    """Refuse a guest of the directory where the account takes none, and whoever may be one:
    the claim ``acct`` is sent on request only.

    :raises SignInError: with the reason ``guest``.
    """
    if not settings.allows_guests and not _is_member(claims):
        raise SignInError(SignInReason.GUEST, object_id=oidc.object_id(claims))


def _is_member(claims: Mapping[str, Any]) -> bool:
    acct = claims.get("acct")
    return acct in (0, "0") and acct is not False


def _linked(key: Any, tenant_id: str, oid: str) -> Person | None:
    user = _linked_user(key, tenant_id, oid)
    if user is None:
        return None
    if _given_oid(user) not in (None, oid):
        raise SignInError(SignInReason.MISMATCH, object_id=oid)
    return Person(user, Way.LINK)


def _linked_user(key: Any, tenant_id: str, oid: str) -> Any:
    state = get_state()
    scim = state.scim
    user_id = links.linked_to(state.session, scim.records, key, tenant_id=tenant_id, oid=oid)
    if user_id is None:
        return None
    # The host may have moved the user to another account.
    return next(iter(_some(key, scim.user.key_attribute == user_id)), None)


def _by_external_id(key: Any, tenant_id: str, oid: str) -> Person | None:
    state = get_state()
    scim = state.scim
    found = scim.user.find_all(state.session, key, "externalId", oid, limit=2, ignore_case=True)
    if not found:
        return None
    if len(found) > 1:
        raise SignInError(SignInReason.AMBIGUOUS, object_id=oid)
    known = links.of(state.session, scim.records, key, scim.user.key(found[0]))
    if known is None or known.provisioned_at is None:
        raise SignInError(SignInReason.NOT_BY_SCIM, object_id=oid)
    # A link to a directory of former days says nothing of this one, and the right one may
    # have been stored since it was looked for.
    if known.oid not in (None, oid) and known.tenant_id == tenant_id:
        raise SignInError(SignInReason.MISMATCH, object_id=oid)
    return Person(found[0], Way.EXTERNAL_ID)


def _by_user_name(key: Any, tenant_id: str, oid: str, claims: Mapping[str, Any]) -> Person | None:
    upn = claims.get("upn")
    if not isinstance(upn, str) or not upn.isprintable():  # PostgreSQL raises for NUL
        return None
    if not ("acct" not in claims or _is_member(claims)):
        return None
    state = get_state()
    scim = state.scim
    entry = scim.user.map.find("userName")
    assert entry is not None  # noqa: S101, the resource insists
    if entry.convert is not None:  # a number or an enumeration is no name of Microsoft's
        return None
    name: Any = getattr(scim.user.model, entry.attribute)
    found = _some(key, sa.func.lower(name) == sa.func.lower(upn))
    if len(found) > 1:
        raise SignInError(SignInReason.AMBIGUOUS, object_id=oid)
    user = found[0] if found else None
    if user is None or str(scim.user.value(user, "userName")).casefold() != upn.casefold():
        return None
    known = links.of(state.session, scim.records, key, scim.user.key(user))
    if known is None or known.provisioned_at is None:
        return None
    if known.oid is not None and (known.tenant_id, known.oid) != (tenant_id, oid):
        return None
    if _given_oid(user) is not None:
        return None
    return Person(user, Way.USER_NAME)


# Links by hand


def link(user: Any, oid: str, *, by: str, tenant_id: str | None = None) -> None:
    """Say who a user is at Microsoft. Does not commit.

    :param by: who says so, for the log.
    :param tenant_id: the directory that is meant, where that is not simply the one in force.
    :raises ValueError: with a sentence, when that cannot be.
    """
    wanted = oidc.guid(oid)
    if wanted is None:
        raise ValueError(say("link.wrong"))
    state = get_state()
    scim, session = state.scim, state.session
    key, user_id = getattr(user, scim.user.account), scim.user.key(user)
    locks.lock_account(session, scim.account, key)
    if tenant_id is None:
        provider = providers.in_force(session, scim.records, key)
        if provider is None:
            raise ValueError(say("link.no_directory"))
        tenant_id = provider.tenant_id
    obstacle = obstacle_to_link(key, user, tenant_id, wanted)
    if obstacle is not None:
        raise ValueError(obstacle)
    known = links.of(session, scim.records, key, user_id)
    if known is not None and (known.tenant_id, known.oid) == (tenant_id, wanted):
        return
    if known is not None and known.oid is not None:
        # Whoever came in as the former person is somebody else.
        links.end_sessions(session, scim.records, key, user_id)
    _store(key, user, tenant_id, wanted, None, by=by)


def obstacle_to_link(key: Any, user: Any, tenant_id: str, oid: str) -> str | None:
    """Why a user cannot be linked to a person, as a sentence; ``None`` when they can."""
    state = get_state()
    scim = state.scim
    user_id = scim.user.key(user)
    in_force, pending = providers.load(state.session, scim.records, key)
    if in_force is None or in_force.tenant_id != tenant_id:
        # Requiring Microsoft from the start waits for an admin who is linked.
        if pending is None or pending.tenant_id != tenant_id:
            return say("link.former_directory")
        known = links.of(state.session, scim.records, key, user_id)
        if in_force is not None and known is not None and known.tenant_id == in_force.tenant_id:
            return say("link.elsewhere")
    if _given_oid(user) not in (None, oid):
        return say("link.provisioned")
    linked = _linked_user(key, tenant_id, oid)
    if linked is not None and scim.user.key(linked) != user_id:
        return say("link.taken")
    found = scim.user.find_all(state.session, key, "externalId", oid, limit=2, ignore_case=True)
    if any(scim.user.key(other) != user_id for other in found):
        return say("link.external_id")
    return None


def member(key: Any) -> Any:
    """The signed-in person as a user of this account; ``None`` for somebody from elsewhere."""
    user, resource = current_user._get_current_object(), get_state().scim.user
    if not isinstance(user, resource.model):
        return None
    return next(iter(_some(key, resource.key_attribute == resource.key(user))), None)


def unlink(user: Any, *, by: str) -> None:
    """Forget who a user is at Microsoft, and end their sessions. Does not commit.

    :param by: who wants that, for the log.
    """
    state = get_state()
    scim, session = state.scim, state.session
    key, user_id = getattr(user, scim.user.account), scim.user.key(user)
    known = links.of(session, scim.records, key, user_id)
    if known is None or known.oid is None:
        return
    detail = f"object id {known.oid}"
    links.unlink(session, scim.records, key, user_id)
    links.end_sessions(session, scim.records, key, user_id)
    note(key, user, log.Event.SSO_UNLINKED, by=by, detail=detail)


def _store(key: Any, user: Any, tenant_id: str, oid: str, way: Way | None, *, by: str = "") -> None:
    state = get_state()
    scim, session = state.scim, state.session
    user_id = scim.user.key(user)
    former = links.linked_to(session, scim.records, key, tenant_id=tenant_id, oid=oid)
    if former not in (None, user_id):  # nobody of this account any more, as was checked
        links.unlink(session, scim.records, key, former)
    links.link(session, scim.records, key, user_id, tenant_id=tenant_id, oid=oid)
    detail = f"object id {oid}" + ("" if way is None else f", found by {way}")
    note(key, user, log.Event.SSO_LINKED, by=by, detail=detail)


def note(key: Any, user: Any, event: log.Event, *, by: str = "", **what: Any) -> None:
    """An entry about a user in the log of the account. Does not commit.

    :param by: who did it.
    :param what: what else the entry says; see :func:`.log.record`.
    """
    state = get_state()
    resource = state.scim.user
    log.record(
        state.session,
        state.scim.records,
        key,
        event,
        actor=by,
        resource_type=resource.name,
        resource_id=resource.id(user),
        **what,
    )


def _given_oid(user: Any) -> str | None:
    """The object id that SCIM gave a user as externalId; ``None`` for anything else."""
    external_id = get_state().scim.user.value(user, "externalId")
    return None if external_id is None else oidc.guid(str(external_id))


def _some(key: Any, condition: Any) -> list[Any]:
    """Two users of the account at most: whether there are more makes no difference."""
    state = get_state()
    statement = state.scim.user.select(key).order_by(None).where(condition).limit(2)
    return list(state.session.scalars(statement.execution_options(populate_existing=True)))


# What an admin is told


@dataclass(frozen=True)
class Reach:
    """How many of an account's active people that SCIM has written Microsoft can lead to."""

    provisioned: int
    #: Those whose externalId is not an object id: the mapping is not as it should be.
    without_object_id: int
    #: Those of them who are not linked to the directory in another way either: nobody at
    #: Microsoft is them.
    unreachable: int


def reach(account: Any, tenant_id: str, *, newest: int | None = None) -> Reach:
    """Count them, in one statement.

    :param tenant_id: the directory whose links count.
    :param newest: of so many, those whom SCIM wrote last for the first time; of all if left out.
    """
    state = get_state()
    scim = state.scim
    key, user, UserLink = scim.account_key(account), scim.user, scim.UserLink
    written = sa.select(UserLink.user_id, UserLink.tenant_id, UserLink.oid).where(
        UserLink.account_id == key, UserLink.provisioned_at.is_not(None)
    )
    if newest is not None:
        written = written.order_by(UserLink.provisioned_at.desc()).limit(newest)
    link = written.subquery().c
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
            sa.and_(link.oid.is_not(None), link.tenant_id == tenant_id).label("is_linked"),
            maintain_column_froms=True,
        )
        .where(user.compiler.where(active.shape), link.user_id == user.key_attribute)
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
