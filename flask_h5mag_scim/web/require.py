"""What it takes to require Microsoft: break-glass owners, people whom Microsoft leads to, an
admin who came in that way, and a trial that ends by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask_login import current_user

from ..records import break_glass, links, log, providers
from ..records.models import IdentityProviderMixin, Mode, now
from ..state import get_state
from ..texts import say
from . import people

#: How long the secret of an account's own registration must last when it begins.
SECRET_LASTS = timedelta(days=7)


# Break-glass owners


def name_of(user: Any) -> str:
    """What the form calls a break-glass owner."""
    return str(get_state().scim.user.value(user, "userName") or "")


def names_in(text: str) -> list[str]:
    """The user names that stand in a field, one a line, each once."""
    names = (line.strip() for line in text.replace("\x00", "").splitlines())
    return list({name.casefold(): name for name in names if name}.values())


def break_glass_names(account: Any) -> list[str]:
    """The user names of the account's break-glass owners."""
    return [name_of(user) for user in break_glass_owners(account)]


def break_glass_owners(account: Any) -> list[Any]:
    """The account's break-glass owners."""
    state = get_state()
    scim = state.scim
    key = scim.account_key(account)
    named = break_glass.named(state.session, scim.records, key)
    found = [state.session.get(scim.user.model, each) for each in named]
    # The host may have moved somebody to another account.
    return [u for u in found if u is not None and getattr(u, scim.user.account) == key]


def check_way_in(account: Any, owners: Sequence[Any]) -> None:
    """Refuse where none of ``owners`` could sign in when Microsoft does not work: since they
    were named, the host may have deactivated them or taken their role.

    :raises ValueError: with a sentence, when that is so.
    """
    problems = [_problem(account, user, name_of(user)) for user in owners]
    if not problems:
        raise ValueError(say("break_glass.none"))
    if all(problems):
        raise ValueError(problems[0])


def _problem(account: Any, user: Any, name: str) -> str:
    """Why a user could not sign in to manage ``account``, as a sentence; empty if they can."""
    scim = get_state().scim
    if not user.is_active or not scim.user.is_active(user):
        return say("break_glass.inactive", name=name)
    if not scim.can_manage(user, account):
        return say("break_glass.role", name=name)
    return ""


def find_break_glass(account: Any, names: Sequence[str]) -> list[Any]:
    """The users of ``account`` with these names.

    :raises ValueError: with a sentence, when somebody cannot be a break-glass owner.
    """
    if len(names) > break_glass.MAX_NAMED:
        raise ValueError(say("break_glass.many", count=break_glass.MAX_NAMED))
    found = {}
    for name in names:
        user = _checked(account, name[:255])
        found[get_state().scim.user.key(user)] = user
    return list(found.values())


def _checked(account: Any, name: str) -> Any:
    state = get_state()
    scim = state.scim
    key = scim.account_key(account)
    found = scim.user.find_all(state.session, key, "userName", name, limit=2, ignore_case=True)
    if len(found) != 1:
        raise ValueError(say("break_glass.unknown", name=name))
    user = found[0]
    problem = _problem(account, user, name)
    if problem:
        raise ValueError(problem)
    if links.is_provisioned(state.session, scim.records, key, scim.user.key(user)):
        raise ValueError(say("break_glass.provisioned", name=name))
    return user


def name_break_glass(account: Any, users: Sequence[Any], *, by: str) -> bool:
    """Let exactly ``users`` be the account's break-glass owners, and log whom that concerns.
    Says whether that changed anything. Does not commit.

    :raises ValueError: with a sentence, when Microsoft is required and nobody is left.
    """
    state = get_state()
    scim = state.scim
    key, keys = scim.account_key(account), [scim.user.key(user) for user in users]
    in_force = providers.in_force(state.session, scim.records, key)
    if not keys and in_force is not None and in_force.mode_at(now()) is Mode.REQUIRE:
        raise ValueError(say("break_glass.none"))
    before = break_glass.named(state.session, scim.records, key)
    break_glass.name(state.session, scim.records, key, keys, by=by)
    for event, concerned in (
        (log.Event.SSO_BREAK_GLASS_NAMED, [each for each in keys if each not in before]),
        (log.Event.SSO_BREAK_GLASS_REMOVED, [each for each in before if each not in keys]),
    ):
        for each in concerned:
            log.record(
                state.session,
                scim.records,
                key,
                event,
                actor=by,
                resource_type=scim.user.name,
                resource_id=str(each),
            )
    return set(before) != set(keys)


# Require, and its trial


def obstacles(account: Any, wanted: providers.Settings, owners: Sequence[Any]) -> dict[str, str]:
    """Why Microsoft cannot be required yet, as sentences by field; empty when it can.

    :param wanted: the settings that require it.
    :param owners: the break-glass owners that there will be.
    """
    state = get_state()
    problems = {}
    unreachable = people.reach(account, wanted.tenant_id).unreachable
    if not state.scim.knows_second_factor:
        problems["mode"] = say("require.second_factor", email=state.config.support_email)
    elif unreachable:
        problems["mode"] = say(
            "require.unreachable.one" if unreachable == 1 else "require.unreachable",
            count=unreachable,
        )
    try:
        check_way_in(account, owners)
    except ValueError as wrong:
        problems["break_glass"] = str(wrong)
    if wanted.client_id is not None and (
        wanted.secret_expires_at is None or wanted.secret_expires_at - now() <= SECRET_LASTS
    ):
        problems["secret_expires"] = say("require.secret")
    return problems


def obstacles_of_pending(account: Any) -> list[str]:
    """The same for the account's pending settings."""
    state = get_state()
    _, pending = providers.load(state.session, state.scim.records, state.scim.account_key(account))
    if pending is None or pending.mode != Mode.REQUIRE:
        return []
    wanted = providers.Settings.of(pending)
    return list(obstacles(account, wanted, break_glass_owners(account)).values())


def may_begin(provider: IdentityProviderMixin, account: Any, tester: Any) -> bool:
    """Whether pending settings may serve, now that their test has passed: those that require
    Microsoft only when the admin who tested has come in as themself.

    :param tester: who signed in for the test, if they are a user here.
    """
    if provider.mode != Mode.REQUIRE:
        return True
    if tester is None or tester.get_id() != current_user.get_id():
        return False
    return not obstacles_of_pending(account)


def has_just_begun(provider: IdentityProviderMixin) -> bool:
    """Whether it is the test of these settings with which Microsoft began to be required, and
    not that of earlier ones."""
    since, tested_at = provider.required_since, provider.tested_at
    return since is not None and tested_at is not None and since >= tested_at


@dataclass(frozen=True)
class Trial:
    """A trial that is under way."""

    ends_at: datetime
    minutes: int


def trial(provider: IdentityProviderMixin | None) -> Trial | None:
    """The trial of the settings in force; ``None`` when they are on none."""
    at = now()
    if provider is None or provider.trial_ends_at is None or at >= provider.trial_ends_at:
        return None
    seconds = (provider.trial_ends_at - at).total_seconds()
    return Trial(provider.trial_ends_at, minutes=max(1, round(seconds / 60)))


def settle(provider: IdentityProviderMixin | None, account: Any) -> bool:
    """Write down, and log, that a trial of ``provider`` has ended, where it has. Commits then,
    and says so."""
    if provider is None or provider.trial_ends_at is None:
        return False
    state = get_state()
    after = providers.end_trial(state.session, state.scim.records, provider)
    if after is not None:
        log.record(
            state.session,
            state.scim.records,
            state.scim.account_key(account),
            log.Event.SSO_TRIAL_ENDED,
            detail=str(after),
        )
        state.session.commit()
    return after is not None
