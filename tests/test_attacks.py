"""What somebody tries who chose a text: to speak to a terminal, a mail or a file with it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from example_app.models import Account, db
from example_app.provisioning import scim
from flask_h5mag_scim.config import LogValues
from flask_h5mag_scim.records import log
from flask_h5mag_scim.records.models import now
from flask_h5mag_scim.web import warnings

from .conftest import Entra
from .web.test_activity import URL, write
from .web.test_pages import Admin, _account, owner, reconfigure

__all__ = ["owner"]  # the fixture

#: Titles of windows and colours: as ECMA-48 has them, in seven bits and in eight.
ORDERS = "\x1b]0;owned\x07\x1b[31m\x9b31m\x7f"


def shell(app: Flask, *words: str) -> str:
    answer = app.test_cli_runner().invoke(args=["scim", *words])
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_a_token_s_name_is_one_plain_line(app: Flask) -> None:
    """Also one from the shell: it stands in logs, in tables and in the subjects of mails."""
    name = f"Entra{ORDERS}\r\nBcc: \u202eeverybody"
    shell(app, "token", "create", "--account", "acme", "--name", name)
    (found,) = json.loads(shell(app, "token", "list", "--account", "acme", "--json"))
    assert found["name"] == "Entra]0;owned[31m31m Bcc: everybody"


def test_a_mail_s_subject_is_one_line(
    app: Flask, entra: Entra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody writes a header of the host's mail with the name of a token."""
    subjects: list[str] = []
    monkeypatch.setattr(
        scim, "mail_admins", lambda account, subject, text: subjects.append(subject)
    )
    with app.app_context():
        db.session.execute(
            sa.update(scim.Token).values(
                name="Entra\r\nBcc: everybody@example.com", expires_at=now() + timedelta(days=2)
            )
        )
        db.session.commit()
        warnings.tell(db.session.get_one(Account, _account()))
    (subject,) = subjects
    assert "Bcc: everybody@example.com" in subject
    assert subject.splitlines() == [subject]


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_file_gives_a_terminal_no_orders(
    app: Flask, owner: Admin, entra: Entra, form: str
) -> None:
    """Somebody will look at it with "cat"; nor does the shell, to which it can be written."""
    reconfigure(app, log_values=LogValues.FULL)
    entra.user(displayName=f"Ada{ORDERS}")
    write(app, log.Event.WARNED, detail=f"two\nlines{ORDERS}", changes={"x": [None, ORDERS]})
    file: Any = owner.client.get(f"{URL}/export.{form}").data.decode()
    printed = shell(app, "log", "export", "--account", "acme", "--format", form)
    for text in (file, printed):
        assert "Ada" in text
        assert not set(text) & set(ORDERS) - set("]0;owned[31m")
    if form == "json":
        assert [entry["detail"] for entry in json.loads(file)] == [f"two\nlines{ORDERS}", None]
