"""``flask --app example_app demo``, run as a person would run it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

pytest.importorskip("oidc_provider_mock")

ROOT = Path(__file__).parent.parent


def free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def start(folder: Path, port: int, idp_port: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "flask", "--app", "example_app", "demo"]
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("FLASK_", "EXAMPLE"))
    }
    return subprocess.Popen(
        [*command, "--port", str(port), "--idp-port", str(idp_port)],
        cwd=ROOT,
        env={**environment, "FLASK_INSTANCE_PATH": str(folder), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def read_until(process: subprocess.Popen[str], text: str) -> str:
    """What the process prints up to ``text``; killed if that takes for ever."""
    assert process.stdout is not None
    timer = threading.Timer(300, process.kill)
    timer.start()
    printed = ""
    try:
        for line in process.stdout:
            printed += line
            if text in line:
                return printed
    finally:
        timer.cancel()
    assert process.stderr is not None
    raise AssertionError(f"ended without {text!r}:\n{printed}\n{process.stderr.read()}")


def stop(process: subprocess.Popen[str]) -> tuple[str, str]:
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=300)


class Demo:
    """A running demo and what it printed."""

    def __init__(self, printed: str, idp_port: int) -> None:
        self.printed = printed
        self.idp = f"http://localhost:{idp_port}"
        self.url = found(r"H5mag +(http://127\.0\.0\.1:\d+)/", printed)
        self.scim = found(r"Provisioning URL +(\S+)", printed)
        self.token = found(r"API token +(\S+)", printed)
        self.password = found(r"owner@acme\.example, password (\S+)", printed)

    def get(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = requests.get(self.scim + path, headers=headers, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.json()


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match, f"{pattern} is not in:\n{text}"
    return match[1]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    port, idp_port = free_ports()
    process = start(tmp_path_factory.mktemp("instance"), port, idp_port)
    try:
        printed = read_until(process, "curl ")
        yield Demo(printed, idp_port)
        output, errors = stop(process)
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert "Stopped." in output
    assert "Traceback" not in errors


def test_people_and_a_team_are_provisioned(demo: Demo) -> None:
    """The printed token reads the four people and the team that came over HTTP."""
    users = demo.get("/Users?filter=externalId pr")["Resources"]
    assert len(users) == 4
    assert all(user["active"] and user["title"] for user in users)
    (group,) = demo.get('/Groups?filter=displayName eq "Magazine Makers"')["Resources"]
    assert {member["value"] for member in group["members"]} == {user["id"] for user in users}


def test_the_owner_signs_in_with_the_printed_password(demo: Demo) -> None:
    """The owner's log-in opens the people page, where the provisioned stand."""
    session = requests.Session()
    answer = session.post(
        f"{demo.url}/login?password=1",
        data={"email": "owner@acme.example", "password": demo.password},
        timeout=10,
    )
    assert "owner@acme.example" in answer.text
    people = session.get(f"{demo.url}/people", timeout=10).text
    assert people.count("Provisioned by Microsoft Entra ID") == 4
    assert session.get(f"{demo.url}/account/provisioning", timeout=10).status_code == 200


def test_a_provisioned_person_comes_in_through_the_stand_in(demo: Demo) -> None:
    """The printed name leads to the stand-in; its button leads back, signed in."""
    name = found(r"(\S+@acme\.example), then press the button", demo.printed)
    session = requests.Session()
    page = session.post(f"{demo.url}/login", data={"email": name}, timeout=10)
    assert page.url.startswith(demo.idp), page.url
    assert name in page.text
    page = session.post(page.url, data={"sub": name}, timeout=10)
    assert page.url == f"{demo.url}/"
    assert name in page.text
    assert "Night Shift" in page.text


def test_it_begins_anew_each_time(tmp_path: Path) -> None:
    """A second run in the same folder meets no traces of the first."""
    counts = []
    for _ in range(2):
        port, idp_port = free_ports()
        process = start(tmp_path, port, idp_port)
        try:
            demo = Demo(read_until(process, "curl "), idp_port)
            counts.append(demo.get("/Users")["totalResults"])
            stop(process)
        finally:
            process.kill()
    assert counts[0] == counts[1]


def test_a_taken_port_is_named_with_the_way_out(tmp_path: Path) -> None:
    """When a port is in use the demo says which, and which option chooses another."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = start(tmp_path, port, free_ports()[0])
        output, errors = process.communicate(timeout=300)
    assert process.returncode == 1
    assert f"Port {port} is in use" in errors
    assert "--port" in errors
    assert output == ""
