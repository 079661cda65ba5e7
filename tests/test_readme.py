"""The README tells the truth."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

import flask_h5mag_scim
from flask_h5mag_scim import config

from .documents import ROOT, blocks, write_files

README = (ROOT / "README.md").read_text()
HOST = Path(__file__).parent / "readme_host"


def test_the_readmes_host_runs(tmp_path: Path) -> None:
    """The two files of *Integration*, on the models they name, do what the text says."""
    for source in HOST.glob("*.py"):
        shutil.copy(source, tmp_path)
    assert write_files(README, tmp_path) == {"provisioning.py", "app.py"}
    seen = subprocess.run(
        [sys.executable, "-W", "error", "visit.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "FLASK_INSTANCE_PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert seen.returncode == 0, seen.stderr
    found = json.loads(seen.stdout)
    assert found["created"]["title"] == "kept by *"
    assert found["kept"] == [
        "ada@example.com",
        "5c1d0a52-0001-4d7e-8a55-0b0b0b0b0b01",
        {"title": "kept by *"},
    ]
    before, during, address, password, after = found["logins"]
    assert (before, during, password, after) == (200, 302, 200, 200)
    assert re.fullmatch(r"/sso/[\w-]{16}/login\?login_hint=ada@example.com", address)
    assert found["passwords"] == {
        "wrong": [200, 302],
        "owner": [302, 200],
        "member": [302, 403],
        "inactive": [200, 302],
        "required": [200, 302],
        "break-glass": [302, 200],
    }
    assert found["sessions"] == [403, 302]  # deactivated through SCIM meanwhile
    assert found["page"] == 302  # to the login


def test_ci_calls_the_readmes_test_command_word_for_word() -> None:
    """What the reader is told to run is what CI runs."""
    command = next(block.strip() for block in blocks(README, "sh") if "pytest" in block)
    assert command in (ROOT / ".ci" / "run").read_text().splitlines()


DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGES.md", *sorted(ROOT.glob("docs/*.md"))]


@pytest.mark.parametrize(
    ("document", "target"),
    [
        pytest.param(document, target, id=f"{document.name}: {target}")
        for document in DOCUMENTS
        for target in sorted(set(re.findall(r"\]\((?!https?:)([^)]+)\)", document.read_text())))
    ],
)
def test_a_link_leads_somewhere(document: Path, target: str) -> None:
    """Files exist, and anchors are headings."""
    path, _, anchor = target.partition("#")
    file = document.parent / path if path else document
    assert file.exists()
    if anchor:
        headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}


def test_every_setting_is_listed_and_no_other() -> None:
    """The table of settings is that of config.py."""
    table = README[README.index("| key | default |") : README.index("The session cookie")]
    listed = set(re.findall(r"^\| `H5MAG_SCIM_(\w+)`", table, re.MULTILINE))
    if "`…_CLIENT_SECRET`" in table:
        listed.add("OIDC_CLIENT_SECRET")
    assert listed == {each.name.upper() for each in fields(config.Config)}


def test_every_public_name_is_spoken_of() -> None:
    """What a host can import stands in the README or in a page that it links to."""
    text = "".join(document.read_text() for document in DOCUMENTS)
    assert [name for name in flask_h5mag_scim.__all__ if not re.search(rf"\b{name}\b", text)] == []


def test_every_signal_is_listed() -> None:
    """The signals of the text, and of the table in docs/hooks.md, are those of the package."""
    signals = sorted(name for name in flask_h5mag_scim.__all__ if "_" in name and name.islower())
    sentence = README[README.index("**Being told.**") : README.index("All carry `account`")]
    assert sorted(re.findall(r"`(\w+)`", sentence)) == signals
    hooks = (ROOT / "docs" / "hooks.md").read_text()
    table = hooks[hooks.index("| signal | carries |") : hooks.index("# receivers.py")]
    first_cells = " ".join(re.findall(r"^\|([^|]+)\|", table, re.MULTILINE))
    assert sorted(re.findall(r"`(\w+)`", first_cells)) == signals


def test_what_is_installed_is_what_the_text_says() -> None:
    """The run-time needs are the six that the text names."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    needed = re.findall(r"^([a-z-]+)>=", setup["options"]["install_requires"], re.MULTILINE)
    sentence = README[README.index("it brings nothing beside") :].partition(")")[0].lower()
    assert [name for name in needed if name not in sentence] == []
    assert len(needed) == 6


def test_templates_and_static_files_are_installed() -> None:
    """Whatever stands beside the code is named in setup.cfg, also in a folder that is new."""
    package = Path(flask_h5mag_scim.__file__).parent
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    patterns = setup["options.package_data"]["flask_h5mag_scim"].split()
    installed = {path for pattern in patterns for path in package.glob(pattern)}
    beside = {
        path for path in package.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")
    }
    assert beside - installed == set()


def test_the_tables_are_the_ones_to_migrate() -> None:
    """README and CHANGES name the tables that a migration makes."""
    from example_app.models import db

    own = {name for name in db.metadata.tables if name.startswith("scim_")}
    for text in (README, (ROOT / "CHANGES.md").read_text()):
        assert {
            name
            for name in re.findall(r"`(scim_\w+)`", text)
            if name not in ("scim_extra", "scim_managed")
        } == own
