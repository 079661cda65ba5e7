"""The house's rooms know only the rooms below them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "flask_h5mag_scim"
HTTP = {"flask", "flask_login", "werkzeug", "markupsafe", "authlib", "requests"}

#: For each room: what of the package, and which libraries, its files may import.
ALLOWED: dict[str, tuple[set[str], set[str]]] = {
    "protocol": ({"protocol", "reasons"}, {"marshmallow"}),
    "provisioning": ({"provisioning", "protocol", "reasons"}, {"marshmallow", "sqlalchemy"}),
    "records": ({"records", "reasons"}, {"sqlalchemy", "cryptography"}),
    "web": (
        {
            "web",
            "provisioning",
            "protocol",
            "records",
            "reasons",
            "state",
            "signals",
            "config",
            "texts",
        },
        {"marshmallow", "sqlalchemy", "joserfc", "itsdangerous", *HTTP},
    ),
    "texts": ({"texts"}, {"markupsafe"}),
    "reasons": (set(), set()),
    "config": ({"texts"}, {"click"}),
    "signals": (set(), {"blinker", "flask"}),
    "state": ({"config", "extension", "records"}, {"flask", "sqlalchemy"}),
    "cli": (
        {
            "cli",
            "config",
            "provisioning",
            "protocol",
            "records",
            "signals",
            "state",
            "texts",
            "web",
        },
        {"click", "flask", "jinja2", "sqlalchemy", "werkzeug"},
    ),
    "extension": (
        {"cli", "config", "provisioning", "records", "state", "web"},
        {"flask", "flask_login", "sqlalchemy"},
    ),
    "__init__": (
        {"extension", "protocol", "provisioning", "signals"},
        set(),
    ),
}
STANDARD = set(sys.stdlib_module_names)


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(source: Path) -> str:
    return source.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(source: Path) -> Iterator[tuple[str, bool]]:
    """Names of what a file imports: a room of the package, or a library."""
    depth = len(source.relative_to(PACKAGE).parts)
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.split(".")[0], False
        elif isinstance(node, ast.ImportFrom):
            if not node.level:
                yield (node.module or "").split(".")[0], False
            elif node.level < depth:
                yield room_of(source), True
            elif node.module:
                yield node.module.split(".")[0], True
            else:
                for alias in node.names:
                    yield alias.name, True


@pytest.mark.parametrize("source", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_only_what_stands_below_it(source: Path) -> None:
    """An import that points up, or a library that a room should not know, is found here."""
    rooms, libraries = ALLOWED[room_of(source)]
    for name, own in imports(source):
        allowed = rooms if own else libraries | STANDARD
        assert name in allowed, f"{source.name} imports {name}"


def test_only_web_and_the_shell_commit() -> None:
    """One place decides when a change is final."""
    committing = {
        room_of(source)
        for source in sources()
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("commit", "rollback")
    }
    assert committing == {"web", "cli"}


def test_what_microsoft_does_differently_is_known_in_one_file() -> None:
    """No other file of the protocol or of provisioning branches on who is calling.

    Comments and docstrings may give Microsoft as a reason; code may not name it.
    """
    for source in sources():
        if room_of(source) in ("protocol", "provisioning") and source.name != "entra.py":
            names = {
                node.id.lower()
                for node in ast.walk(ast.parse(source.read_text()))
                if isinstance(node, ast.Name)
            }
            assert not {name for name in names if "entra" in name or "microsoft" in name}


def test_what_the_package_needs_is_declared() -> None:
    """Every library that is imported is one of setup.cfg's, or comes with one of them."""
    declared = {
        "flask",
        "flask_sqlalchemy",
        "flask_login",
        "marshmallow",
        "authlib",
        "requests",
        # Flask brings blinker, click, itsdangerous, Jinja, markupsafe and werkzeug;
        # Flask-SQLAlchemy brings SQLAlchemy;
        # Authlib brings cryptography and joserfc.
        "blinker",
        "click",
        "itsdangerous",
        "jinja2",
        "markupsafe",
        "werkzeug",
        "sqlalchemy",
        "cryptography",
        "joserfc",
    }
    used = {name for source in sources() for name, own in imports(source) if not own}
    assert used - STANDARD <= declared
