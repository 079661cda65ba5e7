"""What a host should change, said so that it can be done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Advice:
    """One thing that the host should change; as text, both sentences."""

    #: What is wrong, and what comes of it.
    what: str
    #: What to do about it.
    cure: str

    def __str__(self) -> str:
        return f"{self.what} {self.cure}"
