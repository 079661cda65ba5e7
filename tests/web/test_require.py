"""What requires Microsoft of an account leaves a way back in."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from flask_h5mag_scim.records.models import now
from flask_h5mag_scim.web import forms
from flask_h5mag_scim.web import require as web_require

from .test_modes import (
    LIN,
    PAGE,
    PUBLIC_URL,
    TENANT,
    Office,
    alter,
    app,
    by_microsoft,
    issuer,
    look,
    modes,
    name,
    problems,
    require,
    require_on_the_page,
    run,
    save,
    world,
)

__all__ = ["app", "issuer", "world"]  # fixtures


@pytest.mark.parametrize(
    ("since", "sentence"),
    [
        ({"deactivated_at": now()}, "is not active"),
        ({"role": "editor"}, "neither owner nor admin"),
        ({"account_id": None}, "Name at least one break-glass owner"),
    ],
)
def test_a_break_glass_owner_who_could_not_come_in_any_more_is_none(
    world: Office, since: dict[str, Any], sentence: str
) -> None:
    """Named in time, and deactivated, demoted or moved by the host since."""
    if "account_id" in since:
        since = {"account_id": world.account("globex")}
    name(world, LIN)
    world.change(world.lin, **since)
    client = by_microsoft(world)
    assert sentence in problems(save(client, mode="require"))["break-glass"]
    words = ("sso", "configure", "--account", "acme", "--tenant", TENANT, "--cloud", "test")
    assert "an active owner or admin" in run(world, *words, "--mode", "require").stderr
    assert modes(world) == {"in_force": "redirect"}


def test_a_break_glass_owner_who_is_lost_before_the_test(world: Office) -> None:
    """The settings wait until there is another."""
    client = by_microsoft(world)
    require_on_the_page(world, client)
    world.change(world.lin, role="editor")
    assert "neither owner nor admin" in world.test(client).text
    assert modes(world) == {"in_force": "redirect", "pending": "require"}


def test_one_of_two_break_glass_owners_is_enough(world: Office) -> None:
    """Who cannot come in does not stand in the way of who can."""
    name(world, LIN, "owner@acme.example")
    world.change(world.lin, role="editor")
    client = by_microsoft(world)
    assert not problems(save(client, mode="require"))
    world.test(client)
    assert modes(world) == {"in_force": "require"}


@pytest.mark.parametrize("what", ["save", "keep"])
def test_a_trial_that_is_over_leaves_the_account_locked(
    world: Office, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Writing that down commits, and what the form changes is still one change at a time."""
    require(world, on_trial=True)
    alter(world, trial_ends_at=now() - timedelta(minutes=1))
    client = by_microsoft(world)
    fields = look(client).fields()
    require(world, on_trial=True)
    alter(world, trial_ends_at=now() - timedelta(minutes=1))
    steps: list[str] = []
    lock, settle = forms.lock, web_require.settle

    def locking(account: Any) -> None:
        steps.append("lock")
        lock(account)

    def settling(row: Any, account: Any) -> bool:
        has_committed = settle(row, account)
        steps.append("commit" if has_committed else "nothing")
        return has_committed

    monkeypatch.setattr(forms, "lock", locking)
    monkeypatch.setattr(web_require, "settle", settling)
    client.post(f"{PAGE}/{what}", data=fields, base_url=PUBLIC_URL)
    assert steps == ["lock", "commit", "lock"]
