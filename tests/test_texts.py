"""The catalogue of texts."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
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
        if key.split(".")[0] not in COMPUTED
        if not re.search(f"""["']{re.escape(key)}["']""", code + own)
    }
    assert unused == set()


def test_no_key_stands_in_two_parts_of_the_catalogue() -> None:
    """Otherwise one would silently win."""
    assert len(texts.TEXTS) == sum(len(part) for part in texts._PARTS)


#: Modules whose sentences answer Microsoft Entra and other clients: details of SCIM and OAuth
#: errors, which stand in their logs and stay as they are.
FOR_MACHINES = {
    "access_tokens",
    "assertion",
    "bearer",
    "bulk",
    "discovery",
    "exchange",
    "failures",
    "oauth",
    "scim",
    "search",
    "verbs",
}
#: What else is no text for people, by its module: it begins so.
FOR_DEVELOPERS = {
    # The detail of a SCIM error.
    "brake": ("Many users of this account",),
    # What went wrong with Microsoft's answers, for the application's log.
    "directory": ("the answer is",),
    "oidc": ("the token endpoint",),
    # Added to a line of the application's log.
    "sso": (" (clock skew?",),
    # An exception for whoever writes the host's form.
    "managed": (" has no attribute ", ", and the attribute map no such path"),
    # Advice at the start of the application, for its log.
    "sessions": ("SESSION_COOKIE_", "Set it to ", ": other sites can send requests"),
    # Written into the account's log, where it stays as it was written.
    "modes": ("Microsoft is required", "a break-glass owner"),
    "sso_settings": (" with the secret entered now",),
    # A filter in SCIM's language.
    "people": ("active eq true",),
    # SQL, and what databases say of it.
    "catalog": ("SELECT ",),
    "plans": ("SELECT ", "(?P<how>SEARCH|SCAN)"),
}
HELP = ("help", "example")
WORDS = re.compile(r"[A-Za-z’']{2,} [A-Za-z’'(]+ [A-Za-z’'(]")


def literals(source: Path) -> Iterator[str]:
    """The texts in a module's code, without docstrings, the help of the shell's commands and
    what goes to the logger."""
    tree = ast.parse(source.read_text())
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if (isinstance(owner, ast.Attribute) and owner.attr == "logger") or (
                isinstance(owner, ast.Name) and owner.id == "logger"
            ):
                skipped.update(id(argument) for argument in node.args)
        if isinstance(node, ast.Call):
            # The help of a command is its documentation, beside its docstring.
            skipped.update(id(each.value) for each in node.keywords if each.arg in HELP)
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in skipped:
            yield node.value


def test_no_view_says_a_sentence_of_its_own() -> None:
    """What people read comes from the catalogue; what is left in the code is for machines and
    for logs."""
    found = {
        (source.name, text)
        for room in ("web", "cli")
        for source in (PACKAGE / room).rglob("*.py")
        if source.stem not in FOR_MACHINES
        for text in literals(source)
        if WORDS.search(text) and not text.startswith(FOR_DEVELOPERS.get(source.stem, ()))
    }
    assert found == set()


def test_no_template_says_a_sentence_of_its_own() -> None:
    """Neither between the tags, nor in an attribute that is read out, nor within ``{{ }}``."""
    found = set()
    for source in (PACKAGE / "templates").rglob("*.html"):
        markup = re.sub(r"{#.*?#}", "", source.read_text(), flags=re.DOTALL)
        spoken = re.sub(r"{{.*?}}|{%.*?%}", "", markup, flags=re.DOTALL)
        attributes = r'(?:alt|aria-label|label|placeholder|title)="([^"]*)"'
        between = re.sub(r"<code>.*?</code>|<[^>]*>", "\n", spoken, flags=re.DOTALL)
        # Macros that stand within a tag of somebody else's.
        between = re.sub(r'[\w-]+="[^"]*"', "", between)
        said = re.findall(attributes, spoken) + between.splitlines()
        found |= {(source.name, text) for text in said if re.search("[A-Z][a-z]|[a-z] [a-z]", text)}
        for code in re.findall(r"{{(.*?)}}|{%(.*?)%}", markup, flags=re.DOTALL):
            texts_in = re.findall(r"'([^']*)'" + r'|"([^"]*)"', "".join(code))
            found |= {(source.name, text) for text in map("".join, texts_in) if WORDS.search(text)}
    assert found == set()
