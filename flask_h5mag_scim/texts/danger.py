"""Pause and disconnect, and the mass-deactivation brake."""

from __future__ import annotations

TEXTS: dict[str, str] = {}
