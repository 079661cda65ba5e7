"""The code in the documents, as files that run."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a document in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def write_files(text: str, folder: Path) -> set[str]:
    """Each Python block of a document as the file that its first line names; their names."""
    names = set()
    for block in blocks(text, "python"):
        name = re.match(r"# (\w+\.py)\n", block)
        assert name is not None, block[:80]
        (folder / name[1]).write_text(block)
        names.add(name[1])
    return names
