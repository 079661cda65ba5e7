"""What one application knows: in ``app.extensions``, never on the extension itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from flask import Flask, current_app, request

from .config import Config
from .records.vault import Vault

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from .extension import H5magSCIM

EXTENSION = "h5mag_scim"


@dataclass
class State:
    """One application's share of the extension."""

    scim: H5magSCIM
    config: Config
    #: What a room keeps for this application, by the room's own name; for example the
    #: store of Microsoft's metadata and keys.
    kept: dict[str, Any] = field(default_factory=dict)

    @property
    def session(self) -> Session:
        """The host's session, in which everything of one request happens."""
        return cast("Session", self.scim.db.session)

    @property
    def public_url(self) -> str:
        """The public address without a trailing slash.

        Configured outside debug and testing (:func:`.config.read` insists); only there may
        the request's own address stand in.
        """
        return self.config.public_url or request.host_url.rstrip("/")

    @property
    def vault(self) -> Vault:
        """What seals and opens the secrets of accounts' own registrations."""
        values = current_app.config
        secret_keys = [values.get("SECRET_KEY"), *(values.get("SECRET_KEY_FALLBACKS") or ())]
        return Vault(self.config.encryption_keys, secret_keys=[key for key in secret_keys if key])

    @property
    def provisioning_url(self) -> str:
        """What an admin pastes as Entra's *Tenant URL*."""
        return self.public_url + self.config.url_prefix


def get_app() -> Flask:
    """The application itself, which signals name as their sender."""
    return cast(Any, current_app)._get_current_object()  # type: ignore[no-any-return]  # a proxy


def get_state() -> State:
    """The current application's state.

    :raises RuntimeError: when the extension was not registered on it.
    """
    try:
        return cast(State, current_app.extensions[EXTENSION])
    except KeyError:
        raise RuntimeError(
            "flask_h5mag_scim is not registered on this application: call "
            "app.register_blueprint(scim.blueprint) in the application factory."
        ) from None
