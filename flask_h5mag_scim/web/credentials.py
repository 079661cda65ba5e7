"""What provisions an account: its tokens and trusted identities, sorted by what they mean to
its admin."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ..records import federation, tokens, warnings
from ..records.models import FederatedCredentialMixin, TokenMixin, TokenState
from ..state import get_state

#: How long before its end a token is warned about.
WARNING = timedelta(days=warnings.STEPS[0])
#: How often Microsoft Entra comes, also when it has nothing to change.
CYCLE = timedelta(minutes=40)
#: A token that was not used for so long is not in use any more: a cycle, and some patience.
CHANGED_OVER = timedelta(hours=1)


_OPENING = frozenset({TokenState.ACTIVE, TokenState.RETIRING})


@dataclass(frozen=True)
class Rotation:
    """With two tokens: whether the older one is still needed."""

    #: ``safe``, ``unused``, ``soon`` or ``wait``: the end of a text's key.
    step: str
    new: TokenMixin
    old: TokenMixin


@dataclass(frozen=True)
class Credentials:
    """An account's tokens and trusted identities."""

    #: How the saved tokens stand.
    states: Mapping[TokenMixin, TokenState]
    #: Those that open the door, newest first.
    active: list[TokenMixin]
    #: Revoked and expired, newest first.
    former: list[TokenMixin]
    draft: TokenMixin | None
    draft_can_be_saved: bool
    #: Workload identities, which need no token.
    trusted: list[FederatedCredentialMixin]

    @classmethod
    def of(cls, account: Any, at: datetime, draft: TokenMixin | None = None) -> Credentials:
        """Those of ``account`` at the time ``at``.

        :param draft: the one that was just made, where the caller has it.
        """
        state = get_state()
        records, key = state.scim.records, state.scim.account_key(account)
        saved = tokens.listed(state.session, records, key)
        draft = draft or tokens.draft(state.session, records, key)
        states = dict(zip(saved, tokens.states(saved, at), strict=True))
        return cls(
            states=states,
            active=[token for token in saved if states[token] in _OPENING],
            former=[token for token in saved if states[token] not in _OPENING],
            draft=draft,
            draft_can_be_saved=draft is not None and draft.state(at) is TokenState.DRAFT,
            trusted=federation.active(state.session, records, key),
        )

    @property
    def usable(self) -> tuple[TokenMixin | FederatedCredentialMixin, ...]:
        """What opens the door now."""
        return (*self.active, *self.trusted)

    @property
    def last_used_at(self) -> datetime | None:
        """When Microsoft Entra came last with something that still opens the door."""
        used = [each.last_used_at for each in self.usable if each.last_used_at is not None]
        return max(used, default=None)

    @property
    def tried_at(self) -> datetime | None:
        """When somebody tried the draft, which is refused until it is saved."""
        can_be_saved = self.draft is not None and self.draft_can_be_saved
        return self.draft.last_used_at if self.draft is not None and can_be_saved else None

    def expiring(self, at: datetime) -> TokenMixin | None:
        """The token that ends soon, of the newest and the one in use."""
        used = [token for token in self.active if token.last_used_at is not None]
        in_use = max(used, key=lambda token: token.last_used_at or at, default=None)
        soon = [
            token
            for token in (*self.active[:1], in_use)
            if token and token.expires_at and token.expires_at - at <= WARNING
        ]
        return min(soon, key=lambda token: token.expires_at or at, default=None)

    @property
    def expired(self) -> TokenMixin | None:
        """The token whose end left Microsoft Entra without one."""
        if self.usable or not self.former:
            return None
        last = self.former[0]
        # It is no longer active, so that what did not revoke it was its end.
        return last if last.revoked_at is None else None

    def rotation(self, at: datetime) -> Rotation | None:
        """With two tokens in use, or one that replaces another: what to do next."""
        if len(self.active) < 2:
            return None
        new, old = self.active[:2]
        if new.last_used_at is None:
            return Rotation("wait", new, old)
        if old.last_used_at is None:
            return Rotation("unused", new, old)
        # Testing a connection uses the new token once; only a cycle without the old one shows
        # that Microsoft Entra has changed over.
        is_over = at - old.last_used_at > CHANGED_OVER
        return Rotation("safe" if is_over else "soon", new, old)


@dataclass(frozen=True)
class Orphan:
    """A token in use whose maker could not make it any more."""

    token: TokenMixin
    #: ``role`` or ``gone``: the end of a text's key.
    why: str


def orphans(account: Any, held: Credentials) -> list[Orphan]:
    """The tokens in use that outlived their maker's role. One statement, or none."""
    makers = {token.created_by for token in held.active} - {"", tokens.OPERATOR}
    scim, session = get_state().scim, get_state().session
    entry = scim.user.map.find("userName")
    if not makers or entry is None or entry.convert is not None:
        return []
    name: Any = getattr(scim.user.model, entry.attribute)
    people = scim.user.select(scim.account_key(account)).order_by(None).where(name.in_(makers))
    found = {getattr(user, entry.attribute): user for user in session.scalars(people)}
    told = []
    for token in held.active:
        user = found.get(token.created_by)
        if user is not None and not (user.is_active and scim.can_manage(user, account)):
            told.append(Orphan(token, "role"))
        elif user is None and token.created_by in makers:
            told.append(Orphan(token, "gone"))
    return told
