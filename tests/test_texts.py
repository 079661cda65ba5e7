"""The catalogue of texts."""

from __future__ import annotations

import re
from pathlib import Path

from flask_h5mag_scim import texts
from flask_h5mag_scim.records import log
from flask_h5mag_scim.records.models import TokenState
from flask_h5mag_scim.records.tokens import TokenProblem

PACKAGE = Path(texts.__file__).parent.parent

#: Keys whose ends are put together while the application runs.
COMPUTED = {
    "orphan",
    "rotation",
    "guide",
    "disconnect",
    "disconnected",
    "kept",
    "event",
    "refused",
    "kind",
    "status",
    "done",
    "tokens",
    "cloud",
    "domain",
    "mode",
    "pending",
    "in_force",
    "began",
    "trial",
    "activity",
    "meaning",
    "membership",
    "step",
    "attributes",
    "token_problem",
    "sign_in",
    "test_hint",
    "aadsts",
    "nobody",
    "shell",
    "explain",
    "check",
    "cure",
}


def test_every_text_is_in_the_catalogue_and_every_text_there_is_used() -> None:
    """Another language is one more file, and no view is left out of it."""
    sources = [
        path
        for path in (*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.html"))
        if path.parent.name != "texts"
    ]
    code = "\n".join(path.read_text() for path in sources)
    named = set(re.findall(r"""say(?:_html)?\(\s*["']([a-z_.]+)["']\s*[,)]""", code))
    assert named <= set(texts.TEXTS), named - set(texts.TEXTS)
    for event in log.Event:
        assert f"event.{event}" in texts.TEXTS
    for state in TokenState:
        assert state is TokenState.DRAFT or f"tokens.{state}" in texts.TEXTS
    for problem in TokenProblem:
        assert f"token_problem.{problem}" in texts.TEXTS
    own = (PACKAGE / "texts" / "__init__.py").read_text()
    unused = {
        key
        for key in set(texts.TEXTS) - named
        if key.split(".")[0] not in COMPUTED and key not in code and key not in own
    }
    assert unused == set()


def test_no_key_stands_in_two_parts_of_the_catalogue() -> None:
    """Otherwise one would silently win."""
    assert len(texts.TEXTS) == sum(len(part) for part in texts._PARTS)
