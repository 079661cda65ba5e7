"""The header: how provisioning is doing, in one sentence."""

from __future__ import annotations

TEXTS: dict[str, str] = {}
