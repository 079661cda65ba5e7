"""``flask demo``: everything at once on this machine, with a stand-in for Microsoft."""

from __future__ import annotations

import json
import logging
import signal
import socket
import threading
import uuid
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from types import FrameType
from typing import Any
from urllib.parse import quote_plus

import click
import sqlalchemy as sa
from flask import Flask
from werkzeug.serving import make_server

from flask_h5mag_scim.records import providers, tokens
from flask_h5mag_scim.records.models import now

from . import create_app, seeding
from .models import Account, Edition, Magazine, User, db
from .provisioning import scim

HOST = "127.0.0.1"
SLUG = "acme"
#: Microsoft's side: the directory, and H5mag's registration in it.
TENANT_ID = "6f0a1c1e-8f5b-4f0e-9a39-5f3c0d2a7b10"
CLIENT_ID = "3d9f1f5c-2b7a-4f51-8a44-7a1a3c0e9d21"

USER_URN = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE_URN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP_URN = "urn:ietf:params:scim:schemas:core:2.0:Group"
MICROSOFT_GROUP_URN = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"
PATCH_URN = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

#: Object id in the directory, given name, family name, language, job title.
PEOPLE = (
    ("a1f3c0de-0001-4b6e-9c1d-000000000001", "Nora", "Vale", "en-GB", "Managing editor"),
    ("a1f3c0de-0002-4b6e-9c1d-000000000002", "Tomas", "Rey", "es-ES", "Art director"),
    ("a1f3c0de-0003-4b6e-9c1d-000000000003", "Yuki", "Sato", "ja-JP", "Writer"),
    ("a1f3c0de-0004-4b6e-9c1d-000000000004", "Priya", "Nair", "en-IN", "Photographer"),
)
TEAM = ("a1f3c0de-1001-4b6e-9c1d-000000000001", "Magazine Makers")


def run(folder: Path, port: int, idp_port: int, password: str) -> None:
    """Set everything up in a new database in ``folder``, print what to try, and serve."""
    for taken, option in ((port, "--port"), (idp_port, "--idp-port")):
        if not _is_free(taken):
            raise click.ClickException(
                f"Port {taken} is in use. Choose another with {option}, like {option} {taken + 1}."
            )
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        stop.set()

    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, on_signal)
    # A line for every request would push what there is to try off the screen.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)

    public_url = f"http://{HOST}:{port}"
    authority = f"http://localhost:{idp_port}"
    app = _new_app(folder / "demo.sqlite", public_url, authority)
    with ExitStack() as open_until_the_end:
        open_until_the_end.enter_context(_microsoft(idp_port))
        with app.app_context():
            token = _prepare(password)
        open_until_the_end.enter_context(_serving(app, port))
        with_microsoft = Entra(port, token).provision()
        with app.app_context():
            _put_to_work()
        click.echo(_what_to_try(public_url, token, password, with_microsoft))
        stop.wait()
    click.echo("Stopped.")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _new_app(database: Path, public_url: str, authority: str) -> Flask:
    """H5mag on a new, empty database of its own."""
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    for suffix in ("", "-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    return create_app(
        {
            "SQLALCHEMY_DATABASE_URI": f"sqlite:///{database}",
            "H5MAG_SCIM_PUBLIC_URL": public_url,
            "H5MAG_SCIM_OIDC_CLOUDS": {"demo": f"{authority}/.well-known/openid-configuration"},
            "H5MAG_SCIM_OIDC_CLIENT_ID": CLIENT_ID,
            "H5MAG_SCIM_OIDC_CLIENT_SECRET": "not-checked-by-the-stand-in",
            "SESSION_COOKIE_SECURE": False,
        }
    )


@contextmanager
def _microsoft(port: int) -> Iterator[None]:
    """The stand-in for Microsoft: one button for each person of the directory."""
    with warnings.catch_warnings():
        # It imports what the next major version of Authlib will drop.
        warnings.simplefilter("ignore")
        try:
            import oidc_provider_mock
        except ImportError as error:
            raise click.ClickException(
                "The demo needs a small OpenID provider: "
                "pip install 'oidc-provider-mock>=0.3.4,<0.4'"
            ) from error
    users = [
        oidc_provider_mock.User(sub=_address(first, last), claims=_claims(oid, first, last))
        for oid, first, last, *_ in PEOPLE
    ]
    with oidc_provider_mock.run_server_in_thread(port, user_claims=users):
        yield


def _claims(oid: str, first: str, last: str) -> dict[str, object]:
    """What Microsoft says about a person in the ID token."""
    return {
        "oid": oid,
        "tid": TENANT_ID,
        "ver": "2.0",
        "name": f"{first} {last}",
        "preferred_username": _address(first, last),
    }


def _address(first: str, last: str) -> str:
    return f"{first}.{last}@{SLUG}.example".lower()


@contextmanager
def _serving(app: Flask, port: int) -> Iterator[None]:
    server = make_server(HOST, port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _prepare(password: str) -> str:
    """The accounts, acme's sign-in with the stand-in, and a token, whose text is returned."""
    db.create_all()
    seeding.plant(password, lambda: password)
    account = db.session.scalars(sa.select(Account).filter_by(slug=SLUG)).one()
    _, text = tokens.create(
        db.session(),
        scim.records,
        account.id,
        name="Demo",
        expires_at=now() + timedelta(days=90),
        created_by=tokens.OPERATOR,
    )
    providers.configure(
        db.session(),
        scim.records,
        account.id,
        providers.Settings("demo", TENANT_ID),
        by=tokens.OPERATOR,
    )
    db.session.commit()
    return text


def _put_to_work() -> None:
    """Make the first provisioned person an editor with a magazine to hand on when deleted."""
    _, first, last, *_ = PEOPLE[0]
    nora = db.session.scalars(sa.select(User).filter_by(username=_address(first, last))).one()
    nora.role = "editor"
    magazine = Magazine(account_id=nora.account_id, title="Night Shift", owner_id=nora.id)
    db.session.add(magazine)
    db.session.flush()
    db.session.add(Edition(magazine_id=magazine.id, title="First light"))
    db.session.commit()


class Entra:
    """Provisions the directory as Microsoft Entra does, in its default dialect.

    No ``User-Agent``, a matching query before every creation, members in a PATCH of their
    own with capitalised operations.
    """

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._token = token

    def provision(self) -> list[str]:
        """Test the connection, then create the people and their team.

        :returns: the names with which the people sign in.
        """
        self._find("Users", "userName", str(uuid.uuid4()))
        self._find("Groups", "displayName", str(uuid.uuid4()))
        ids, names = [], []
        for person in PEOPLE:
            oid, first, last, language, title = person
            name = _address(first, last)
            self._find("Users", "userName", name)
            ids.append(self._request("POST", "/Users", _user(oid, first, last, language, title)))
            names.append(name)
        oid, display_name = TEAM
        self._find("Groups", "displayName", display_name)
        group = {
            "schemas": [GROUP_URN, MICROSOFT_GROUP_URN],
            "externalId": oid,
            "displayName": display_name,
            "meta": {"resourceType": "Group"},
        }
        group_id = self._request("POST", "/Groups", group)["id"]
        members = [{"$ref": None, "value": each["id"]} for each in ids]
        operation = {"op": "Add", "path": "members", "value": members}
        self._request(
            "PATCH",
            f"/Groups/{group_id}",
            {"schemas": [PATCH_URN], "Operations": [operation]},
        )
        return names

    def _find(self, resources: str, attribute: str, value: str) -> None:
        """The matching query. Microsoft leaves the members of groups out of the answer."""
        exclude = "excludedAttributes=members&" if resources == "Groups" else ""
        condition = quote_plus(f'{attribute} eq "{value}"')
        found = self._request("GET", f"/{resources}?{exclude}filter={condition}")
        if found["totalResults"] != 0:
            raise click.ClickException(f"{value} is there already; the database was not new.")

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self._token}"}
        if body is not None:
            headers["Content-Type"] = "application/scim+json; charset=utf-8"
        connection = HTTPConnection(HOST, self._port, timeout=10)
        try:
            connection.request(
                method,
                f"/scim/v2{path}",
                json.dumps(body).encode() if body is not None else None,
                headers,
            )
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status >= 400:
            raise click.ClickException(
                f"{method} {path} was answered with {response.status}: {answer.decode()}"
            )
        return json.loads(answer) if answer else None


def _user(oid: str, first: str, last: str, language: str, title: str) -> dict[str, Any]:
    name = _address(first, last)
    return {
        "schemas": [USER_URN, ENTERPRISE_URN],
        "externalId": oid,
        "userName": name,
        "active": True,
        "displayName": f"{first} {last}",
        "title": title,
        "preferredLanguage": language,
        "emails": [{"primary": True, "type": "work", "value": name}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": f"{first} {last}", "familyName": last, "givenName": first},
        ENTERPRISE_URN: {"department": "Magazines"},
    }


def _what_to_try(public_url: str, token: str, password: str, names: Sequence[str]) -> str:
    rows = (
        ("H5mag", f"{public_url}/"),
        ("", ""),
        ("Sign in as owner", f"{public_url}/login?password=1"),
        ("", f"owner@{SLUG}.example, password {password}"),
        ("Provisioning & SSO", f"{public_url}/account/provisioning"),
        ("", ""),
        ("Sign in as editor", f"{public_url}/login"),
        ("through the", f"{names[0]}, then press the button of that name"),
        ("stand-in", f"or as a reader: {', '.join(names[1:])}"),
        ("", ""),
        ("Provisioning URL", f"{public_url}/scim/v2"),
        ("API token", token),
        ("", f"curl -H 'Authorization: Bearer {token}' {public_url}/scim/v2/Users"),
    )
    lines = (f"  {label:<19} {text}".rstrip() for label, text in rows)
    heading = "H5mag is running, with a stand-in for Microsoft. Ctrl-C stops both."
    return "\n".join(("", heading, "", *lines, ""))
