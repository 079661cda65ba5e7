"""Warnings, on the page and by e-mail."""

from __future__ import annotations

TEXTS: dict[str, str] = {}
