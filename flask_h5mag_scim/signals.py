"""What happened, told after the commit. Callbacks decide, signals tell.

Each signal is sent with the application as sender and carries ``account``. A receiver
that raises is logged and the next one still runs: what is committed stays committed. A
receiver that writes to the host's database commits by itself.
"""

from __future__ import annotations

from typing import Any

from blinker import Namespace
from blinker import Signal as Signal
from flask import Flask

_signals = Namespace()

#: A user was created through SCIM. Carries ``user`` and ``paths``.
user_provisioned = _signals.signal("user-provisioned")

#: A user's attributes changed through SCIM. Carries ``user`` and ``paths``.
user_updated = _signals.signal("user-updated")

#: A user became inactive or was deleted through SCIM, or was deactivated when somebody
#: disconnected Microsoft Entra. Carries ``user`` and ``paths`` (empty after a deletion).
user_deprovisioned = _signals.signal("user-deprovisioned")

#: A group was created through SCIM. Carries ``group`` and ``paths``.
group_provisioned = _signals.signal("group-provisioned")

#: A group's attributes or members changed through SCIM. Carries ``group`` and ``paths``.
group_updated = _signals.signal("group-updated")

#: A group was deleted through SCIM. Carries ``group`` and ``paths`` (empty).
group_deprovisioned = _signals.signal("group-deprovisioned")

#: A bearer token was saved and is active from now on. Carries ``token``.
token_issued = _signals.signal("token-issued")

#: A bearer token was revoked. Carries ``token``.
token_revoked = _signals.signal("token-revoked")

#: A user came in through single sign-on. Carries ``user``.
sso_signed_in = _signals.signal("sso-signed-in")

#: A user was linked to a person at Microsoft, at a sign-in or by an admin on the page. Carries
#: ``user`` and ``by``: ``externalId``, ``userName`` (mail your admins about these) or ``admin``.
sso_linked = _signals.signal("sso-linked")

#: A single sign-on was refused. Carries ``reason`` (a code) and ``reference``.
sso_refused = _signals.signal("sso-refused")

#: The secret of an account's own registration at Microsoft ends soon, or has ended: mail its
#: admins. Sent once each at 30, 14 and 3 days and at the end. Carries ``expires_at``, ``None``
#: when nobody entered it, and ``days``, how many whole ones are left.
sso_secret_expiring = _signals.signal("sso-secret-expiring")

#: A bearer token of an account ends soon, or has ended and left Microsoft Entra without one:
#: mail its admins. Sent once each at 30, 14 and 3 days and at the end, for the newest token and
#: the one in use. Carries ``token``, ``expires_at`` and ``days``, how many whole ones are left.
token_expiring = _signals.signal("token-expiring")

#: Microsoft Entra has not come for longer than it usually stays away. Sent once for each such
#: silence. Carries ``last_request_at``.
provisioning_quiet = _signals.signal("provisioning-quiet")

#: Many of Microsoft Entra's requests were refused. Sent once, and again when it had become
#: better in between. Carries ``failures``, how many within the last 24 hours.
provisioning_failing = _signals.signal("provisioning-failing")

#: The mass-deactivation brake of an account engaged: no more users are deactivated or deleted
#: through SCIM until an admin releases it. Sent once. Carries ``engaged_at``.
brake_engaged = _signals.signal("brake-engaged")

#: A break-glass owner came in with a password while the account requires Microsoft: what
#: every other admin should hear of at once. Carries ``user``.
break_glass_used = _signals.signal("break-glass-used")


def tell(signal: Signal, app: Flask, **evidence: Any) -> None:
    """Send ``signal`` and let no receiver's failure reach the caller."""
    for receiver in signal.receivers_for(app):
        try:
            receiver(app, **evidence)
        except Exception:
            app.logger.exception("a receiver of %s failed", signal)
