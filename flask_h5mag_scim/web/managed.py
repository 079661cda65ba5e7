"""Which attributes of a user Microsoft Entra writes, for forms of the host's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from flask import Flask, g, has_request_context, request

from ..records import links
from ..state import get_state
from ..texts import say_html

#: What this request has asked already; in ``g``.
_ASKED = "_h5mag_scim_managed"


def register(app: Flask) -> None:
    """Let the host's templates ask, and our macros for them speak."""
    app.jinja_env.globals["scim_managed"] = is_managed
    app.jinja_env.globals["scim_say"] = say_html


def attributes(user: Any) -> frozenset[str]:
    """The names of the model's attributes that the map writes, if SCIM manages ``user``."""
    return frozenset(_written()) if _is_managed(user) else frozenset()


def is_managed(user: Any, attribute: str) -> bool:
    """Whether SCIM manages one attribute of ``user``.

    :param attribute: the model's name of it, or the map's SCIM path.
    :raises ValueError: when it is neither.
    """
    written = _written()
    by_path = {path.lower(): name for name, path in written.items()}
    name = by_path.get(attribute.lower(), attribute)
    if name not in written:
        model = get_state().scim.user.model
        if not hasattr(model, name):
            known = ", ".join(sorted(written))
            raise ValueError(
                f"{model.__name__} has no attribute {attribute!r}, and the attribute map no such "
                f"path. SCIM writes: {known}."
            )
        return False
    return _is_managed(user)


def _written() -> Mapping[str, str]:
    """The model's attributes that the map writes, and their SCIM paths."""
    entries = get_state().scim.user.map.entries
    return {entry.attribute: entry.text for entry in entries if entry.writable}


def provisioned(account: Any, users: Sequence[Any]) -> set[Any]:
    """The keys of those of ``users`` whom this account's SCIM has written, in one statement.
    What is asked of them in this request afterwards takes no more."""
    state = get_state()
    scim = state.scim
    key, user_ids = scim.account_key(account), [scim.user.key(user) for user in users]
    found = links.provisioned(state.session, scim.records, key, user_ids)
    asked = _asked()
    asked.update({(key, each): account if each in found else None for each in user_ids})
    return found


def _is_managed(user: Any) -> bool:
    """Whether SCIM has written ``user``, and may go on to."""
    state = get_state()
    scim = state.scim
    if not isinstance(user, scim.user.model):
        return False
    key, user_id = getattr(user, scim.user.account), scim.user.key(user)
    if key is None or user_id is None:
        return False  # somebody new
    asked = _asked()
    if (key, user_id) not in asked:
        # A form that is shown again may have written on the user what the database refuses.
        with state.session.no_autoflush:
            found = links.provisioned_by(state.session, scim.records, key, user_id)
        asked[key, user_id] = found
    account = asked[key, user_id]
    # Without a licence Microsoft Entra is refused, and nobody else could change anything.
    return account is not None and scim.is_licensed(account)


def _asked() -> dict[tuple[Any, Any], Any]:
    """Who was asked about in this request: the keys of account and user, and the account's row
    if its SCIM has written the user. New each time outside a request."""
    if not has_request_context():
        return {}
    # An application context may outlive the request, as in a test.
    here: Any = cast(Any, request)._get_current_object()
    of_request, asked = g.get(_ASKED, (None, {}))
    if of_request is not here:
        asked = {}
        setattr(g, _ASKED, (here, asked))
    return asked  # type: ignore[no-any-return]  # g has no types
