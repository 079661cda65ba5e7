"""What somebody reads whose sign-in does not work."""

from __future__ import annotations

TEXTS: dict[str, str] = {}
