"""What the commands of the shell explain."""

from __future__ import annotations

TEXTS: dict[str, str] = {}
