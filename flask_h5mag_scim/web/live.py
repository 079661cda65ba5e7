"""What of the page changes while somebody looks at it, and the address that says it anew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Response, make_response, render_template, request
from flask_login import current_user
from werkzeug.wrappers import Response as BaseResponse

from ..records import providers
from ..records.models import IdentityProviderMixin, TokenMixin, now
from ..state import get_state
from ..texts import say_html
from . import forms, guide, people
from .credentials import Credentials, Rotation
from .frame import blueprint
from .people import Reach
from .status import Facts, Status, status


@dataclass(frozen=True)
class Standing:
    """How everything stands at one moment."""

    at: datetime
    held: Credentials
    facts: Facts
    status: Status
    rotation: Rotation | None
    #: The settings of single sign-on in force, and those that wait for their test.
    in_force: IdentityProviderMixin | None
    pending: IdentityProviderMixin | None
    #: Of the people who came last, for the directory of those settings that were saved last.
    reach: Reach
    steps: tuple[guide.Step, ...]

    @classmethod
    def of(
        cls, account: Any, *, draft: TokenMixin | None = None, facts: Facts | None = None
    ) -> Standing:
        """That of ``account`` now.

        :param draft: the token that was just made, where the caller has it.
        :param facts: of a moment ago, the same way.
        """
        at = now()
        state = get_state()
        if facts is None:
            facts = Facts.of(account, at, Credentials.of(account, at, draft))
        held = facts.held
        key = state.scim.account_key(account)
        in_force, pending = providers.load(state.session, state.scim.records, key)
        known = pending or in_force
        # Whose object ids are known does not depend on the directory.
        directory = "" if known is None else known.tenant_id
        reach = people.reach(account, directory, newest=people.NEWEST)
        return cls(
            at=at,
            held=held,
            facts=facts,
            status=status(facts, at),
            rotation=held.rotation(at),
            in_force=in_force,
            pending=pending,
            reach=reach,
            steps=guide.steps(facts, reach, in_force),
        )

    @property
    def steps_done(self) -> int:
        """How many steps of the guide were taken."""
        return sum(step.is_done for step in self.steps)


@blueprint.get("/live")
def live() -> BaseResponse:
    """The parts of the page that change by themselves, for the script on it. Nobody did
    anything: nothing is written, and no session goes on for it."""
    if not current_user.is_authenticated:
        # Not the host's login, which would say at the next visit that somebody must sign in.
        return make_response("", 401)
    account = forms.require_manager()
    mark = forms.account_mark(account)
    if request.args.get("account", mark) != mark:
        # In another tab they have gone on to another account of theirs.
        return make_response("", 409)
    standing = Standing.of(account)
    return _Quiet(render_template("h5mag_scim/live.html", standing=standing, say=say_html))


class _Quiet(Response):
    """Leaves the browser's cookies as they are: the host's session may be one that ends when
    nothing is done for some time."""

    def set_cookie(self, *args: Any, **options: Any) -> None:
        """Set none."""
