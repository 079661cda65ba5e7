"""What an error means, who can repair it, and the exact clicks."""

from __future__ import annotations

TEXTS: dict[str, str] = {}
