"""``flask scim brake …``: the mass-deactivation brake of an account."""

from __future__ import annotations

from typing import Any

import click

from ..records import brake as records
from ..records.models import now
from ..state import State
from ..texts import say
from ..web import brake
from .shell import (
    OPERATOR,
    Group,
    about_account,
    for_account,
    json_option,
    show_json,
    show_pairs,
    time_text,
)

group = Group("brake", help="The brake on mass deactivation.")


@group.command("show", example="flask scim brake show --account acme")
@json_option
@about_account
def brake_show(state: State, account: Any, account_id: Any, as_json: bool) -> None:
    """Say whether the brake of an account is engaged, and how many people it holds back."""
    session = state.session
    known = records.standing(session, state.scim.records, account_id)
    is_released = known.is_released(now())
    if not state.config.has_brake:
        step, text = "off", say("brake.state.off")
    elif known.braked_at is not None:
        step, text = "engaged", say("brake.state.engaged")
    elif is_released:
        step, text = "released", say("brake.state.released")
    else:
        step, text = "watching", say("brake.state.watching")
    held = 0
    if step == "engaged" and known.braked_at is not None:
        held = records.held_back(session, state.scim.records, account_id, known.braked_at)
    if as_json:
        show_json(
            {
                "state": step,
                "users": state.config.brake_users,
                "percent": state.config.brake_percent,
                "engaged_at": known.braked_at if step == "engaged" else None,
                "held_back": held,
                "released_until": known.released_until if is_released else None,
                "released_by": known.released_by if is_released else None,
            }
        )
        return
    pairs = [(say("brake.state"), text)]
    if step != "off":
        pairs.append((say("brake.limit"), brake.limit(state)))
    if step == "engaged":
        pairs.append((say("brake.since"), time_text(known.braked_at)))
        pairs.append((say("brake.held_back"), brake.held_back_text(held)))
    if step == "released":
        pairs.append((say("brake.until"), time_text(known.released_until)))
        pairs.append((say("brake.by"), known.released_by or ""))
    show_pairs(pairs)


@group.command("release", example="flask scim brake release --account acme")
@for_account
def brake_release(state: State, account: Any, account_id: Any) -> None:
    """Let everything pass for 24 hours; then the brake watches again."""
    until = brake.release(account, by=OPERATOR)
    if until is None:
        state.session.rollback()
        click.echo(say("done.brake-not-engaged"), err=True)
        return
    state.session.commit()
    click.echo(
        f"{say('done.brake-released')} {say('brake.passes', time=time_text(until))}", err=True
    )
