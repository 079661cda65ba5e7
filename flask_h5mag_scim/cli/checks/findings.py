"""One thing that should be put right."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ...provisioning.advice import Advice
from ...texts import say


class Severity(StrEnum):
    """How urgent it is, the most urgent first."""

    #: Something does not work, or two requests at once can break it.
    ERROR = "error"
    #: It works, but not well, or not safely.
    WARNING = "warning"
    #: Worth a thought; it may be meant.
    HINT = "hint"


@dataclass(frozen=True)
class Finding:
    """Something that should be put right, and how."""

    severity: Severity
    #: The same in every release, for scripts.
    code: str
    what: str
    #: Lines that begin with blanks are code.
    cure: str


def finding(severity: Severity, code: str, **values: Any) -> Finding:
    """A finding in the words of the catalogue (``check.…`` and ``cure.…``)."""
    what, cure = say(f"check.{code}", **values), say(f"cure.{code}", **values)
    return Finding(severity, code, what, cure)


def advised(severity: Severity, code: str, advice: Advice) -> Finding:
    """What is advised at start as well, as a finding."""
    return Finding(severity, code, advice.what, advice.cure)
