"""H5mag, the stand-in host: signing in, roles, pages, commands."""

from __future__ import annotations

import re
import shutil
import stat
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.cli import run_command
from flask.testing import FlaskClient

from example_app import create_app, load_user, models, seeding
from example_app.models import Account, Magazine, Team, TeamMember, User, db
from example_app.provisioning import scim
from flask_h5mag_scim.records import links, providers

from .browser import chromium, free_port, served
from .conftest import both_databases, get_account, make_token

PASSWORD = "correct horse battery"
OWNER = "owner@acme.example"
WRONG = "The e-mail address, user name or password is not right."


def make_app(database_url: str) -> Flask:
    return create_app(
        {
            "TESTING": True,
            "SECRET_KEY": "for the tests of the example app",
            "SQLALCHEMY_DATABASE_URI": database_url,
            "H5MAG_SCIM_PUBLIC_URL": "http://127.0.0.1:5000",
            "H5MAG_SCIM_OIDC_CLIENT_ID": "3d9f1f5c-2b7a-4f51-8a44-7a1a3c0e9d21",
            "H5MAG_SCIM_OIDC_CLIENT_SECRET": "a secret",
        }
    )


def dispose(app: Flask) -> None:
    with app.app_context():
        db.engine.dispose()


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as ``init`` leaves it, made once: hashing passwords takes its time."""
    database = tmp_path_factory.mktemp("seeded") / "h5mag.sqlite"
    app = make_app(f"sqlite:///{database}")
    with app.app_context():
        db.create_all()
        seeding.plant(PASSWORD, str)
    dispose(app)
    return database


@pytest.fixture
def app(seeded: Path, tmp_path: Path) -> Iterator[Flask]:
    database = tmp_path / "h5mag.sqlite"
    shutil.copyfile(seeded, database)
    app = make_app(f"sqlite:///{database}")
    yield app
    dispose(app)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def sign_in(client: FlaskClient, name: str, password: str = PASSWORD, **data: str) -> Any:
    form = {"email": name, "password": password, **data}
    return client.post("/login?password=1", data=form)


def change(app: Flask, work: Callable[[], Any]) -> Any:
    """Do something to the database and commit it."""
    with app.app_context():
        result = work()
        db.session.commit()
        return result


def person(username: str) -> User:
    return db.session.scalars(sa.select(User).filter_by(username=username)).one()


def redirect_to_microsoft(app: Flask, slug: str) -> str:
    """Switch the redirect on; the address where the account's people go now."""

    def work() -> str:
        row = providers.configure(
            db.session(),
            scim.records,
            get_account(slug).id,
            providers.Settings("global", str(uuid.uuid4())),
            by="the test",
        )
        return f"/sso/{row.public_id}/login"

    return str(change(app, work))


def scim_headers(app: Flask, slug: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {make_token(app, slug)}"}


def csrf(client: FlaskClient) -> str:
    """The session's token, from the form in the page's head."""
    page = client.get("/magazines").text
    return page.split('name="csrf_token" value="')[1].split('"')[0]


# Signing in


def test_both_fields_at_once_sign_in(client: FlaskClient) -> None:
    """A form that posts name and password together, without a session, signs in."""
    answer = client.post("/login", data={"email": OWNER, "password": PASSWORD})
    assert (answer.status_code, answer.location) == (303, "/")
    assert OWNER in client.get("/").text


def test_asking_for_the_forms_headers_is_no_empty_form(client: FlaskClient) -> None:
    """A monitor that sends HEAD hears that the page is there."""
    assert client.head("/login").status_code == 200


def test_name_first_then_password(client: FlaskClient) -> None:
    """The name alone signs nobody in: it is kept on the page that asks for the password."""
    page = client.post("/login", data={"email": OWNER})
    assert page.status_code == 200
    assert f'name="email" value="{OWNER}"' in page.text
    assert 'name="password"' in page.text
    assert OWNER not in client.get("/").text


@pytest.mark.parametrize(
    "name", ["OWNER@Acme.Example", "mail@elsewhere.example", "MAIL@Elsewhere.EXAMPLE"]
)
def test_name_is_user_name_or_address_in_any_case(
    app: Flask, client: FlaskClient, name: str
) -> None:
    """People are found by user name or e-mail address, and case does not matter."""
    change(app, lambda: setattr(person(OWNER), "email", "mail@elsewhere.example"))
    assert sign_in(client, name).status_code == 303


@pytest.mark.parametrize("name", ["nobody@acme.example", "nul\x00byte", "x" * 5000])
def test_an_unknown_name_looks_like_a_wrong_password(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Unknown names get the same pages and cost the same work as a wrong password."""
    compared = []
    check = models.check_password_hash
    monkeypatch.setattr(
        models, "check_password_hash", lambda *args: compared.append(args[1]) or check(*args)
    )
    known, unknown = (client.post("/login", data={"email": each}) for each in (OWNER, name))
    assert known.status_code == unknown.status_code == 200
    assert 'name="password"' in unknown.text
    known, unknown = sign_in(client, OWNER, "guess"), sign_in(client, name, "guess")
    assert known.status_code == unknown.status_code == 401
    assert WRONG in known.text
    assert WRONG in unknown.text
    assert compared == ["guess", "guess"]


def test_people_without_password_cannot_use_one(app: Flask, client: FlaskClient) -> None:
    """Somebody whom SCIM created has no H5mag password, and no text is one."""
    change(
        app,
        lambda: db.session.add(User(account_id=get_account().id, username="sso@acme.example")),
    )
    for guess in ("", "None", PASSWORD):
        assert WRONG in sign_in(client, "sso@acme.example", guess or " ").text


def test_inactive_people_cannot_sign_in(app: Flask, client: FlaskClient) -> None:
    """A deactivated person gets the neutral answer, whatever the password."""
    change(app, lambda: setattr(person(OWNER), "active", False))
    answer = sign_in(client, OWNER)
    assert answer.status_code == 401
    assert WRONG in answer.text


def test_signing_in_replaces_the_session(client: FlaskClient) -> None:
    """What an older session held, planted or not, is gone after signing in."""
    with client.session_transaction() as session:
        session["planted"] = "by somebody else"
        session["csrf_token"] = "known to somebody else"
    sign_in(client, OWNER)
    with client.session_transaction() as session:
        assert "planted" not in session
        assert session.get("csrf_token") != "known to somebody else"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "null"}, 303),
        ({"Sec-Fetch-Site": "none"}, 303),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://localhost"}, 303),
        ({"Origin": "http://127.0.0.1:5000"}, 303),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_only_our_own_form_signs_in(
    client: FlaskClient, headers: dict[str, str], status: int
) -> None:
    """A foreign page cannot sign a visitor in under another name."""
    form = {"email": OWNER, "password": PASSWORD}
    assert client.post("/login", data=form, headers=headers).status_code == status


def test_a_redirecting_account_goes_to_microsoft(app: Flask, client: FlaskClient) -> None:
    """The name alone is enough to be sent on; it and ``next`` travel along."""
    url = redirect_to_microsoft(app, "acme")
    answer = client.post("/login?next=/people", data={"email": OWNER})
    assert answer.status_code == 303
    assert answer.location == f"{url}?next=/people&login_hint={OWNER}"
    answer = client.post("/login", data={"email": OWNER, "password": PASSWORD})
    assert answer.location == f"{url}?login_hint={OWNER}"


def test_the_password_stays_reachable(app: Flask, client: FlaskClient) -> None:
    """``?password=1`` leaves Microsoft out, on the page and in the form."""
    redirect_to_microsoft(app, "acme")
    assert "/login?password=1" in client.get("/login").text
    page = client.get("/login?password=1").text
    assert 'name="email"' in page
    assert 'name="password"' in page
    assert sign_in(client, OWNER).location == "/"


def test_no_redirect_without_licence(app: Flask, client: FlaskClient) -> None:
    """Without the licence people sign in with their password, whatever was configured."""
    redirect_to_microsoft(app, "umbrella")
    answer = client.post("/login", data={"email": "owner@umbrella.example"})
    assert answer.status_code == 200


def test_a_name_in_several_accounts_asks_which(app: Flask, client: FlaskClient) -> None:
    """The account is asked for before the password, and decides who signs in."""

    def work() -> None:
        for slug in ("acme", "globex"):
            person(f"owner@{slug}.example").email = "both@agency.example"

    change(app, work)
    url = redirect_to_microsoft(app, "globex")
    page = client.post("/login", data={"email": "both@agency.example", "password": PASSWORD})
    assert page.status_code == 200
    assert 'name="account" value="acme"' in page.text
    assert 'name="account" value="globex"' in page.text
    assert "umbrella" not in page.text

    chosen = {"email": "both@agency.example", "account": "acme"}
    page = client.post("/login", data=chosen)
    assert 'name="account" value="acme"' in page.text
    assert 'name="password"' in page.text
    client.post("/login", data={**chosen, "password": PASSWORD})
    assert "Acme Media" in client.get("/").text

    chosen["account"] = "globex"
    assert app.test_client().post("/login", data=chosen).location.partition("?")[0] == url
    chosen["account"] = "umbrella"
    assert WRONG in app.test_client().post("/login", data={**chosen, "password": PASSWORD}).text


def test_who_left_does_not_stand_in_the_way(app: Flask, client: FlaskClient) -> None:
    """A deactivated namesake elsewhere does not make a name ambiguous."""

    def work() -> None:
        person("owner@globex.example").email = OWNER
        person("owner@globex.example").active = False

    change(app, work)
    assert sign_in(client, OWNER).status_code == 303


@pytest.mark.parametrize(
    ("target", "lands_on"),
    [
        ("/people?page=2", "/people?page=2"),
        ("/account/provisioning", "/account/provisioning"),
        ("https://evil.example/", "/"),
        ("//evil.example", "/"),
        ("///evil.example", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        (" //evil.example", "/"),
        ("/%09/evil.example", "/"),
        ("/%5cevil.example", "/"),
        ("/%2fevil.example", "/"),
        ("http:x", "/"),
        ("javascript:alert(1)", "/"),
        ("user@evil.example", "/"),
        ("/people\r\nLocation: https://evil.example", "/"),
        ("/" + "x" * 500, "/"),
        ("/login?next=/people", "/"),
        ("/logout", "/"),
        ("/signed-out", "/"),
        ("/sso/abc/login", "/"),
        ("", "/"),
    ],
)
def test_next_is_a_page_of_ours(client: FlaskClient, target: str, lands_on: str) -> None:
    """After signing in, people land on a local page and nowhere else."""
    form = {"email": OWNER, "password": PASSWORD}
    answer = client.post("/login", query_string={"next": target}, data=form)
    assert answer.location == lands_on


def test_signed_in_people_can_sign_in_again(client: FlaskClient) -> None:
    """``?next=`` asks even who is signed in; without it they go to the start."""
    sign_in(client, OWNER)
    assert client.get("/login").location == "/"
    page = client.get("/login?next=/account")
    assert page.status_code == 200
    assert 'name="email"' in page.text
    again = client.post("/login?next=/account", data={"email": OWNER, "password": PASSWORD})
    assert again.location == "/account"


def test_signing_in_again_asks_as_the_first_time(app: Flask, client: FlaskClient) -> None:
    """Who has a password is asked for it, although the account redirects; others are not."""
    redirect_to_microsoft(app, "acme")
    sign_in(client, OWNER)
    page = client.get("/login?next=/account").text
    assert f'name="email" value="{OWNER}"' in page
    assert 'name="password"' in page
    assert "/login?next=/account&amp;password=1" in page
    change(app, lambda: setattr(person(OWNER), "password_hash", None))
    assert 'name="password"' not in client.get("/login?next=/account").text


def test_signing_out_lands_on_a_page_that_waits(app: Flask, client: FlaskClient) -> None:
    """Signing out takes a form of ours and ends where nobody is signed in again."""
    redirect_to_microsoft(app, "acme")
    sign_in(client, OWNER)
    assert client.get("/logout").status_code == 405
    assert client.post("/logout").status_code == 400
    assert OWNER in client.get("/").text
    answer = client.post("/logout", data={"csrf_token": csrf(client)})
    assert answer.location == "/signed-out"
    assert client.get("/signed-out").status_code == 200
    assert OWNER not in client.get("/").text


def test_a_deactivated_persons_next_click_is_refused(app: Flask, client: FlaskClient) -> None:
    """Deactivation through SCIM ends the session at the next request, restoring lets them in."""
    sign_in(client, "jonas.weber@acme.example")
    assert client.get("/magazines").status_code == 200
    with app.app_context():
        user_id = person("jonas.weber@acme.example").id
    headers = scim_headers(app, "acme")

    def set_active(value: str) -> None:
        body = {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
            "Operations": [{"op": "Replace", "path": "active", "value": value}],
        }
        answer = app.test_client().patch(f"/scim/v2/Users/{user_id}", json=body, headers=headers)
        assert answer.status_code == 200

    set_active("False")
    assert client.get("/magazines").location == "/login?next=%2Fmagazines"
    assert sign_in(client, "jonas.weber@acme.example").status_code == 401
    set_active("True")
    assert sign_in(client, "jonas.weber@acme.example").status_code == 303


def test_who_may_not_sign_in_has_no_session(app: Flask) -> None:
    """The user loader knows active people only: nobody else's session means anything."""
    with app.app_context():
        jonas = person("jonas.weber@acme.example")
        key = jonas.get_id()
        assert load_user(key) is jonas
        jonas.active = False
        for nobody in (key, str(uuid.uuid4()), "nonsense"):
            assert load_user(nobody) is None


def test_who_may_not_sign_in_is_told_by_the_sign_on(app: Flask, client: FlaskClient) -> None:
    """A deactivated person of a redirecting account is sent on, to the page that explains."""
    url = redirect_to_microsoft(app, "acme")
    change(app, lambda: setattr(person("jonas.weber@acme.example"), "active", False))
    answer = client.post("/login", data={"email": "jonas.weber@acme.example"})
    assert answer.location.partition("?")[0] == url


# Provisioning


def test_deletion_hands_magazines_to_the_first_owner(app: Flask) -> None:
    """Deleting an editor through SCIM keeps the magazines; the account's first owner has them."""
    with app.app_context():
        jonas = person("jonas.weber@acme.example")
        user_id, owner_id = jonas.id, person(OWNER).id
        titles = set(db.session.scalars(sa.select(Magazine.title).filter_by(owner_id=user_id)))
    assert titles
    answer = app.test_client().delete(
        f"/scim/v2/Users/{user_id}", headers=scim_headers(app, "acme")
    )
    assert answer.status_code == 204
    with app.app_context():
        kept = set(db.session.scalars(sa.select(Magazine.title).filter_by(owner_id=owner_id)))
        assert titles <= kept
        assert db.session.get(User, user_id) is None
        left = sa.select(sa.func.count()).select_from(TeamMember).filter_by(user_id=user_id)
        assert db.session.scalar(left) == 0


def test_the_last_owner_cannot_be_deleted(app: Flask) -> None:
    """SCIM is told in a sentence that an account keeps an owner; a second one may go."""
    with app.app_context():
        owner_id = person(OWNER).id
    headers = scim_headers(app, "acme")
    answer = app.test_client().delete(f"/scim/v2/Users/{owner_id}", headers=headers)
    assert answer.status_code == 403
    assert "last active owner" in answer.get_json(force=True)["detail"]
    change(app, lambda: setattr(person("marta.lind@acme.example"), "role", "owner"))
    answer = app.test_client().delete(f"/scim/v2/Users/{owner_id}", headers=headers)
    assert answer.status_code == 204


def test_people_page_names_who_was_provisioned(app: Flask, client: FlaskClient) -> None:
    """The badge stands with those whom SCIM has written, and with nobody else."""
    badge = "Provisioned by Microsoft Entra ID"
    sign_in(client, OWNER)
    assert badge not in client.get("/people").text

    def work() -> None:
        links.mark(
            db.session(),
            scim.records,
            get_account().id,
            person("jonas.weber@acme.example").id,
        )

    change(app, work)
    page = client.get("/people").text
    assert page.count(badge) == 1
    assert page.index("jonas.weber@acme.example") < page.index(badge)
    assert page.index(badge) < page.index("marta.lind@acme.example")


# Roles


@pytest.mark.parametrize(
    ("role", "manages", "writes"),
    [
        ("owner", True, True),
        ("admin", True, True),
        ("editor", False, True),
        ("reader", False, False),
    ],
)
def test_roles(app: Flask, client: FlaskClient, role: str, manages: bool, writes: bool) -> None:
    """Owners and admins manage the account, editors make magazines, readers read."""
    name = "jonas.weber@acme.example"
    change(app, lambda: setattr(person(name), "role", role))
    sign_in(client, name)
    token = csrf(client)
    assert client.get("/account").status_code == (200 if manages else 403)
    assert client.get("/account/provisioning").status_code == (200 if manages else 403)
    with app.app_context():
        marta_id = person("marta.lind@acme.example").id
    form = {"csrf_token": token, "role": "reader"}
    answer = client.post(f"/people/{marta_id}/role", data=form)
    assert answer.status_code == (303 if manages else 403)
    with app.app_context():
        assert person("marta.lind@acme.example").role == ("reader" if manages else "admin")
    form = {"csrf_token": token, "title": "  A new\x00  one "}
    answer = client.post("/magazines", data=form)
    assert answer.status_code == (303 if writes else 403)
    with app.app_context():
        made = sa.select(sa.func.count()).select_from(Magazine).filter_by(title="A new one")
        assert db.session.scalar(made) == (1 if writes else 0)


@pytest.mark.parametrize("role", ["owner", "", "superuser"])
def test_the_page_makes_no_owners(app: Flask, client: FlaskClient, role: str) -> None:
    """Only the three ordinary roles can be given."""
    sign_in(client, OWNER)
    with app.app_context():
        user_id = person("jonas.weber@acme.example").id
    form = {"csrf_token": csrf(client), "role": role}
    assert client.post(f"/people/{user_id}/role", data=form).status_code == 400


def test_owners_keep_their_role(app: Flask, client: FlaskClient) -> None:
    """An admin cannot demote an owner."""
    sign_in(client, "marta.lind@acme.example")
    with app.app_context():
        owner_id = person(OWNER).id
    form = {"csrf_token": csrf(client), "role": "reader"}
    assert client.post(f"/people/{owner_id}/role", data=form).status_code == 400


# A person's own page


def provision(app: Flask, username: str) -> uuid.UUID:
    """Let SCIM have written somebody."""

    def work() -> uuid.UUID:
        found = person(username)
        links.mark(db.session(), scim.records, found.account_id, found.id)
        return found.id

    return uuid.UUID(str(change(app, work)))


def fields_of(page: str) -> dict[str, bool]:
    """The fields of the form, and whether each can be changed."""
    form = page.split('<form class="card"')[1].split("</form>")[0]
    tags = re.findall(r"<(?:input|select)[^>]*>", form)
    named = {re.search(r'name="(\w+)"', tag)[1]: " disabled" not in tag for tag in tags}  # type: ignore[index]
    return {name: is_open for name, is_open in named.items() if name != "csrf_token"}


JONAS = "jonas.weber@acme.example"
MARTA = "marta.lind@acme.example"
ENTRAS = {"first_name", "last_name", "display_name", "email", "language", "timezone", "role"}


def test_who_came_by_hand_is_changed_here(app: Flask, client: FlaskClient) -> None:
    """All fields are open, and all that is typed is stored, on one line each."""
    sign_in(client, OWNER)
    with app.app_context():
        path = f"/people/{person(JONAS).id}"
    assert path in client.get("/people").text
    assert fields_of(client.get(path).text) == dict.fromkeys([*ENTRAS, "byline"], True)
    form = {
        "csrf_token": csrf(client),
        "first_name": "  Jon\x00 ",
        "last_name": "Webber",
        "display_name": "",
        "email": "jon@acme.example",
        "language": "nl-NL",
        "timezone": "Europe/Amsterdam",
        "role": "admin",
        "byline": "J. Webber",
    }
    answer = client.post(path, data=form)
    assert (answer.status_code, answer.location) == (303, path)
    assert "Saved." in client.get(path).text
    with app.app_context():
        jon = person(JONAS)
        assert (jon.first_name, jon.full_name, jon.display_name) == ("Jon", "Jon Webber", None)
        assert (jon.email, jon.language, jon.role) == ("jon@acme.example", "nl-NL", "admin")
        assert (jon.timezone, jon.byline) == ("Europe/Amsterdam", "J. Webber")


def test_what_entra_manages_is_shown_and_not_open(app: Flask, client: FlaskClient) -> None:
    """Disabled with the reason; what the directory does not know can be changed as ever."""
    path = f"/people/{provision(app, JONAS)}"
    sign_in(client, OWNER)
    page = client.get(path).text
    assert fields_of(page) == {**dict.fromkeys(ENTRAS, False), "byline": True}
    assert page.count("Managed by Microsoft Entra ID") == len(ENTRAS)
    assert 'aria-describedby="scim-managed-display_name display_name-hint"' in page
    form = {"csrf_token": csrf(client), "byline": "J. W."}
    assert client.post(path, data=form).status_code == 303
    with app.app_context():
        jonas = person(JONAS)
        assert (jonas.byline, jonas.first_name, jonas.full_name) == (
            "J. W.",
            "Jonas",
            "Jonas Weber",
        )


@pytest.mark.parametrize("name", [*sorted(ENTRAS), "username", "active", "external_id"])
def test_what_entra_manages_is_refused_by_name(app: Flask, client: FlaskClient, name: str) -> None:
    """A form from before, or made by hand, stores nothing at all, and hears why."""
    path = f"/people/{provision(app, JONAS)}"
    sign_in(client, OWNER)
    form = {"csrf_token": csrf(client), "byline": "J. W.", name: "reader"}
    answer = client.post(path, data=form)
    assert answer.status_code == 400
    shown = {"first_name": "first name", "email": "e-mail address"}.get(name)
    assert "Nothing was saved. Microsoft Entra ID manages this of Jonas Weber" in answer.text
    assert shown is None or shown in answer.text
    with app.app_context():
        jonas = person(JONAS)
        assert (jonas.byline, jonas.role, jonas.active) == (None, "editor", True)
        assert jonas.first_name == "Jonas"


def test_the_role_of_the_provisioned_is_entras(app: Flask, client: FlaskClient) -> None:
    """The list shows it without a choice, and the form behind the choice refuses it; without
    the licence it is the account's own again."""
    jonas_id = provision(app, JONAS)
    sign_in(client, OWNER)
    page = client.get("/people").text
    assert 'aria-label="Role of Marta Lind"' in page
    assert 'aria-label="Role of Jonas Weber"' not in page
    assert page.count("Managed by Microsoft Entra ID") == 1
    form = {"csrf_token": csrf(client), "role": "admin"}
    answer = client.post(f"/people/{jonas_id}/role", data=form)
    assert answer.status_code == 400
    assert "Microsoft Entra ID manages this of Jonas Weber: role." in answer.text
    change(app, lambda: setattr(get_account(), "plan", "professional"))
    assert 'aria-label="Role of Jonas Weber"' in client.get("/people").text
    assert client.post(f"/people/{jonas_id}/role", data=form).status_code == 303
    with app.app_context():
        assert person(JONAS).role == "admin"


def test_people_change_themselves_but_not_their_standing(app: Flask, client: FlaskClient) -> None:
    """Names, language and byline; neither the address they sign in with nor their role."""
    sign_in(client, JONAS)
    with app.app_context():
        path = f"/people/{person(JONAS).id}"
    assert path in client.get("/").text
    open_to_oneself = ENTRAS - {"email", "role"} | {"byline"}
    assert fields_of(client.get(path).text) == dict.fromkeys(open_to_oneself, True)
    form = {"csrf_token": csrf(client), "role": "admin", "email": OWNER, "byline": "J. W."}
    assert client.post(path, data=form).status_code == 303
    with app.app_context():
        jonas = person(JONAS)
        assert (jonas.role, jonas.email, jonas.byline) == ("editor", JONAS, "J. W.")


@pytest.mark.parametrize(
    ("who", "whose", "status"),
    [
        (JONAS, MARTA, 403),
        (MARTA, JONAS, 200),
        (MARTA, OWNER, 403),
        (OWNER, MARTA, 200),
        ("owner@globex.example", JONAS, 404),
    ],
)
def test_who_opens_whose_page(
    app: Flask, client: FlaskClient, who: str, whose: str, status: int
) -> None:
    """Owners everybody's, admins everybody's but an owner's, others their own; nobody another
    account's."""
    sign_in(client, who)
    with app.app_context():
        key = person(whose).id
    assert client.get(f"/people/{key}").status_code == status
    form = {"csrf_token": csrf(client), "byline": "X"}
    assert client.post(f"/people/{key}", data=form).status_code == (
        303 if status == 200 else status
    )
    assert (f'href="/people/{key}"' in client.get("/people").text) is (status == 200)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("email", "nonsense", "This is not an e-mail address."),
        ("role", "owner", "Choose one of the list."),
        ("role", "", "Choose one of the list."),
        ("language", "xx", "Choose one of the list."),
        ("byline", "x" * 121, "At most 120 characters."),
    ],
)
def test_what_is_wrong_is_said_at_the_field(
    app: Flask, client: FlaskClient, field: str, value: str, says: str
) -> None:
    """Nothing is stored, what was typed stays, and the first mistake has the focus."""
    sign_in(client, OWNER)
    with app.app_context():
        path = f"/people/{person(JONAS).id}"
    form = {"csrf_token": csrf(client), "first_name": "Jon", field: value}
    answer = client.post(path, data=form)
    assert answer.status_code == 400
    assert f'id="{field}-problem">{says}<' in answer.text
    assert re.search(rf'name="{field}"[^>]*aria-invalid="true" autofocus', answer.text)
    assert 'value="Jon"' in answer.text
    with app.app_context():
        assert person(JONAS).first_name == "Jonas"


def test_the_persons_form_needs_the_sessions_token(app: Flask, client: FlaskClient) -> None:
    """Without it nothing changes."""
    sign_in(client, OWNER)
    with app.app_context():
        path = f"/people/{person(JONAS).id}"
    assert client.post(path, data={"byline": "Forged"}).status_code == 400
    with app.app_context():
        assert person(JONAS).byline is None


@pytest.mark.browser
@pytest.mark.parametrize("look", [(1280, "light"), (320, "dark")])
def test_the_persons_page_in_a_browser(app: Flask, look: tuple[int, Any]) -> None:
    """Without scripts: what is open is saved, what is Entra's cannot even have the focus, and
    what was typed before is refused. Readable by everybody, and not wider than the screen."""
    from axe_playwright_python.sync_playwright import Axe

    width, scheme = look
    with app.app_context():
        path = f"/people/{person(JONAS).id}"
    with served(app, port := free_port()) as url, chromium() as browser:
        app.config["H5MAG_SCIM_PUBLIC_URL"] = f"http://127.0.0.1:{port}"
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=False
        )
        page = context.new_page()
        page.goto(f"{url}/login?password=1")
        page.fill("[name=email]", OWNER)
        page.fill("[name=password]", PASSWORD)
        page.click("main button")
        page.goto(url + path)
        page.fill("[name=first_name]", "Jon")
        provision(app, JONAS)
        page.click("main form button")
        assert "Nothing was saved" in page.inner_text("[role=alert]")
        assert page.is_disabled("[name=first_name]")
        assert page.input_value("[name=first_name]") == "Jonas"
        page.fill("[name=byline]", "J. W.")
        page.click("main form button")
        assert page.inner_text("[role=status]") == "Saved."
        assert page.input_value("[name=byline]") == "J. W."

        seen = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
        )
        seen.add_cookies(context.cookies())  # type: ignore[arg-type]  # two spellings of one type
        again = seen.new_page()
        for address in (path, "/people"):
            again.goto(url + address)
            assert Axe().run(again).response["violations"] == []
            assert again.evaluate("document.documentElement.scrollWidth") <= width


def test_warnings_go_to_who_looks_after_the_account(
    app: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    """Owners and admins of that account who are active, and nobody else."""
    with app.app_context():
        scim.mail_admins(get_account(), "The token expires", "Generate a new one.")
    [mail] = caplog.messages
    assert mail == f"Mail to {MARTA}, {OWNER}\nThe token expires\n\nGenerate a new one."


# Walls


def test_forms_need_the_sessions_token(client: FlaskClient) -> None:
    """A form without the token changes nothing, and neither does one with another's."""
    sign_in(client, OWNER)
    for form in ({"title": "Forged"}, {"title": "Forged", "csrf_token": "another"}):
        assert client.post("/magazines", data=form).status_code == 400
    assert "Forged" not in client.get("/magazines").text


@pytest.mark.parametrize("page", ["/people", "/teams", "/magazines", "/account"])
def test_visitors_are_asked_to_sign_in(client: FlaskClient, page: str) -> None:
    """Nothing of an account can be read without a session."""
    assert client.get(page).location == f"/login?next={page.replace('/', '%2F')}"


def test_accounts_do_not_see_each_other(app: Flask, client: FlaskClient) -> None:
    """Another account's magazine, team or person is not found, and on no list."""
    with app.app_context():
        magazine = db.session.scalars(sa.select(Magazine).filter_by(title="Fieldnotes")).one()
        team = db.session.scalars(sa.select(Team).filter_by(name="Newsroom")).one()
        magazine_id, team_id = magazine.id, team.id
        user_id = person("jonas.weber@acme.example").id
    sign_in(client, "owner@globex.example")
    assert client.get(f"/magazines/{magazine_id}").status_code == 404
    assert client.get(f"/people?team={team_id}").status_code == 404
    form = {"csrf_token": csrf(client), "role": "reader"}
    assert client.post(f"/people/{user_id}/role", data=form).status_code == 404
    for page in ("/", "/people", "/teams", "/magazines"):
        text = client.get(page).text
        assert "acme.example" not in text
        assert "Fieldnotes" not in text
        assert "Newsroom" not in text


@pytest.mark.parametrize(
    "address",
    [
        "/people?page=0",
        "/people?page=-5",
        "/people?page=99999999999999999999",
        "/people?page=x",
        "/people?q=%25",
        "/people?q=%00",
        "/teams?page=7",
    ],
)
def test_odd_addresses_still_show_a_page(client: FlaskClient, address: str) -> None:
    """Page numbers and searches that nobody would type are answered like the nearest good one."""
    sign_in(client, OWNER)
    assert client.get(address).status_code == 200


def test_search_finds_beginnings(client: FlaskClient) -> None:
    """The search compares beginnings, takes no wildcard, and ignores case."""
    sign_in(client, OWNER)
    found = client.get("/people?q=JONAS").text
    assert "Jonas Weber" in found
    assert "Marta Lind" not in found
    assert "Nobody here." in client.get("/people?q=%25").text


@pytest.mark.parametrize("page", ["/", "/people", "/teams", "/magazines", "/account"])
def test_statements_do_not_grow_with_the_account(
    app: Flask, client: FlaskClient, page: str
) -> None:
    """A page costs the same number of statements for a small account and a larger one."""
    sign_in(client, OWNER)

    def statements() -> int:
        seen: list[str] = []

        def note(*args: Any) -> None:
            seen.append(args[2])

        with app.app_context():
            engine = db.engine
        sa.event.listen(engine, "before_cursor_execute", note)
        assert client.get(page).status_code == 200
        sa.event.remove(engine, "before_cursor_execute", note)
        return len(seen)

    small = statements()

    def work() -> None:
        for _ in seeding.grow(get_account(), 120, 60).steps:
            pass
        owner = person(OWNER)
        db.session.add_all(
            Magazine(account_id=owner.account_id, owner_id=owner.id, title=f"No. {number}")
            for number in range(70)
        )

    change(app, work)
    assert statements() == small


def test_headers(client: FlaskClient) -> None:
    """Pages are framed by nobody, run no foreign script, and are not kept by a browser."""
    headers = client.get("/").headers
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    # Chrome applies it to the redirect that follows a form; signing in would stop there.
    assert "form-action" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


def test_session_cookie(client: FlaskClient) -> None:
    """The session cookie is out of reach for scripts and foreign forms, and ends with the
    browser."""
    (cookie,) = sign_in(client, OWNER).headers.getlist("Set-Cookie")
    assert cookie.startswith("h5mag_session=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Expires" not in cookie


def test_the_account_page_leads_to_provisioning(client: FlaskClient) -> None:
    """Owners find "Provisioning & SSO" on the account page; Professional says what is missing."""
    sign_in(client, OWNER)
    assert 'href="/account/provisioning"' in client.get("/account").text
    sign_in(client, "owner@umbrella.example")
    assert "come with Enterprise" in client.get("/account").text


# Start and commands


def test_sqlite_holds_foreign_keys(app: Flask) -> None:
    """Nobody can delete a person from under a magazine, on SQLite neither."""
    with app.app_context(), pytest.raises(sa.exc.IntegrityError):
        db.session.execute(sa.delete(User).where(User.username == "jonas.weber@acme.example"))


def test_secret_key_is_made_once_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without configuration the key is random, private to the user, and survives a restart."""
    monkeypatch.setenv("FLASK_INSTANCE_PATH", str(tmp_path))
    first, second = create_app(), create_app()
    assert len(first.config["SECRET_KEY"]) > 40
    assert first.config["SECRET_KEY"] == second.config["SECRET_KEY"]
    assert stat.S_IMODE((tmp_path / "secret_key").stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["secret_key"]


def test_environment_and_argument(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment beats the defaults, the argument beats the environment, https asks for
    secure cookies."""
    monkeypatch.setenv("FLASK_INSTANCE_PATH", str(tmp_path))
    monkeypatch.setenv("FLASK_H5MAG_SCIM_PUBLIC_URL", "https://h5mag.example")
    monkeypatch.setenv("FLASK_SESSION_COOKIE_NAME", "from_environment")
    app = create_app({"SESSION_COOKIE_NAME": "from_argument"})
    assert app.config["H5MAG_SCIM_PUBLIC_URL"] == "https://h5mag.example"
    assert app.config["SESSION_COOKIE_NAME"] == "from_argument"
    assert app.config["SESSION_COOKIE_SECURE"] is True


def test_public_address_follows_the_port(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """``flask run --port`` and ``FLASK_RUN_PORT`` move the address that Microsoft is given."""
    monkeypatch.setenv("FLASK_INSTANCE_PATH", str(tmp_path))
    monkeypatch.setenv("FLASK_RUN_PORT", "8001")
    assert create_app().config["H5MAG_SCIM_PUBLIC_URL"] == "http://127.0.0.1:8001"
    with run_command.make_context("run", ["--port", "8002"]):
        assert create_app().config["H5MAG_SCIM_PUBLIC_URL"] == "http://127.0.0.1:8002"


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Flask]:
    app = make_app(f"sqlite:///{tmp_path / 'empty.sqlite'}")
    yield app
    dispose(app)


def test_init_can_be_repeated(empty: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run says that it changes nothing; another password is taken over."""
    runner = empty.test_cli_runner()
    monkeypatch.setenv("EXAMPLE_APP_PASSWORD", "one")
    output = runner.invoke(args=["init"]).output
    for slug in ("acme", "globex", "umbrella"):
        assert f"Created {slug}" in output
    assert "one" not in output.split()
    assert "Nothing to do" in runner.invoke(args=["init"]).output
    monkeypatch.delenv("EXAMPLE_APP_PASSWORD")
    assert "Nothing to do" in runner.invoke(args=["init"]).output
    assert sign_in(empty.test_client(), OWNER, "one").status_code == 303
    monkeypatch.setenv("EXAMPLE_APP_PASSWORD", "two")
    assert OWNER in runner.invoke(args=["init"]).output
    assert sign_in(empty.test_client(), OWNER, "one").status_code == 401
    assert sign_in(empty.test_client(), OWNER, "two").status_code == 303
    with empty.app_context():
        plans = dict(iter(db.session.execute(sa.select(Account.slug, Account.plan))))
    assert plans == {"acme": "enterprise", "globex": "enterprise", "umbrella": "professional"}


def test_init_prints_the_password_it_made(empty: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without EXAMPLE_APP_PASSWORD the printed password opens every account."""
    monkeypatch.delenv("EXAMPLE_APP_PASSWORD", raising=False)
    output = empty.test_cli_runner().invoke(args=["init"]).output
    password = output.split("everybody created: ")[1].split()[0]
    for slug in ("acme", "globex", "umbrella"):
        answer = sign_in(empty.test_client(), f"owner@{slug}.example", password)
        assert answer.status_code == 303


def test_seed_goes_on_counting(app: Flask) -> None:
    """Each run adds as many people and teams as asked, with new names, dealt out evenly."""
    runner = app.test_cli_runner()

    def counts() -> tuple[Any, ...]:
        with app.app_context():
            return tuple(
                db.session.scalar(sa.select(sa.func.count()).select_from(model))
                for model in (User, Team, TeamMember)
            )

    users, teams, members = counts()
    for run in (1, 2):
        result = runner.invoke(args=["seed", "--account", "acme", "--users", "30", "--groups", "3"])
        assert result.exit_code == 0, result.output
        assert "30 users and 3 groups" in result.stdout
        assert counts() == (users + 30 * run, teams + 3 * run, members + 30 * run)
    with app.app_context():
        sizes = sa.select(sa.func.count(TeamMember.user_id)).group_by(TeamMember.team_id)
        assert sorted(db.session.scalars(sizes)) == [2, *[10] * 6]


@both_databases
def test_both_databases(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From ``init`` to every page and back out, on SQLite and on PostgreSQL."""
    monkeypatch.setenv("EXAMPLE_APP_PASSWORD", PASSWORD)
    app = make_app(database_url)
    runner, client = app.test_cli_runner(), app.test_client()
    grow = ["seed", "--account", "acme", "--users", "60", "--groups", "2"]
    for command in (["init"], ["init"], grow, grow):
        result = runner.invoke(args=command)
        assert result.exit_code == 0, result.output
    assert WRONG in sign_in(client, "nul\x00byte", "guess").text
    assert sign_in(client, OWNER.upper()).status_code == 303
    token = csrf(client)
    made = client.post("/magazines", data={"csrf_token": token, "title": "Nul\x00l"}).location
    pages = ("/", "/people?page=2", "/people?q=user00", "/teams", "/magazines", "/account", made)
    for page in pages:
        assert client.get(page).status_code == 200
    assert "user0000120@acme.example" in client.get("/people?page=3").text
    assert client.post("/logout", data={"csrf_token": token}).location == "/signed-out"
    dispose(app)


def test_seed_names_accounts_by_slug_or_name(app: Flask, empty: Flask) -> None:
    """An account that is not there, or tables that are not, end in a sentence."""
    runner = app.test_cli_runner()
    assert runner.invoke(args=["seed", "--account", "Acme Media"]).exit_code == 0
    result = runner.invoke(args=["seed", "--account", "nowhere", "--users", "1"])
    assert result.exit_code == 1
    assert "There is no account 'nowhere'" in result.output
    result = empty.test_cli_runner().invoke(args=["seed", "--account", "acme"])
    assert result.exit_code == 1
    assert "init" in result.output
