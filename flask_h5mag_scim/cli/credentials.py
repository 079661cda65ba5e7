"""What the commands for tokens and those for workload identities share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import click

from ..records.models import FederatedCredentialMixin, TokenMixin, TokenState, now
from ..texts import say

_Credential = TypeVar("_Credential", bound=TokenMixin | FederatedCredentialMixin)


def active(found: Iterable[_Credential], fingerprint: str, *, otherwise: str) -> _Credential:
    """The one of ``found`` that opens the door and has a fingerprint, however it was typed.

    :param otherwise: the key of the text that says that there is none.
    """
    at = now()
    named = [
        each
        for each in found
        if each.fingerprint == fingerprint.lower() and each.state(at) is TokenState.ACTIVE
    ]
    if len(named) != 1:
        raise click.ClickException(say(otherwise, fingerprint=fingerprint))
    return named[0]


def document(
    credential: TokenMixin | FederatedCredentialMixin, state: TokenState, **own: Any
) -> dict[str, Any]:
    """A credential as JSON has it.

    :param own: what only its kind has.
    """
    return {
        "fingerprint": credential.fingerprint,
        "name": credential.name,
        "state": str(state),
        **own,
        "created_at": credential.created_at,
        "created_by": credential.created_by,
        "first_used_at": credential.first_used_at,
        "last_used_at": credential.last_used_at,
        "last_used_ip": credential.last_used_ip,
    }
