"""What ``flask scim check`` looks at. Nothing here changes anything."""

from __future__ import annotations

from collections.abc import Iterator

from flask import Flask

from ...state import State
from . import application, database, models
from .findings import Finding, Severity

__all__ = ["Finding", "Severity", "findings"]


def findings(app: Flask, state: State) -> list[Finding]:
    """Everything that should be put right, the most urgent first."""

    def found() -> Iterator[Finding]:
        yield from application.findings(app, state)
        yield from models.findings(state)
        yield from database.findings(state)

    order = list(Severity)
    return sorted(dict.fromkeys(found()), key=lambda each: order.index(each.severity))
