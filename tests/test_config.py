"""The values of ``app.config`` and the start of the extension."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import timedelta
from functools import cache, wraps
from typing import Any

import click
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from flask import Blueprint, Flask
from flask.cli import FlaskGroup
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from example_app.models import db
from example_app.provisioning import scim
from flask_h5mag_scim import GroupResource, H5magSCIM, Membership, UserResource
from flask_h5mag_scim.config import Config, ConfigurationError, is_loopback, is_safe_origin, read
from flask_h5mag_scim.records.vault import Vault

#: 32 bytes, in the letters that only base64url has.
KEY = "-_" * 21 + "-="
METADATA = "https://idp.example/x/.well-known/openid-configuration"


def started(**values: Any) -> Config:
    config, unknown = read({f"H5MAG_SCIM_{k}": v for k, v in values.items()}, development=True)
    assert unknown == []
    return config


WRONG = [
    *[(f"{key}URL_PREFIX", value, "must begin with /")
      for key in ("", "PAGE_", "SSO_", "OAUTH_")
      for value in ("", "/", "scim", "/scim/", "/a//b", "/a b", "/<x>", 5, "/scim\n")],
    *[(key, value, "must be a text that is not empty")
      for key in ("LAYOUT", "LOGIN_ENDPOINT", "SUPPORT_EMAIL", "OIDC_CLIENT_ID",
                  "OIDC_CLIENT_SECRET")
      for value in ("", 5, b"x")],
    *[("MAX_RESULTS", value, "must be a whole number of at least 1")
      for value in (0, -1, "200", 1.5, True)],
    *[("TOKEN_LIFETIME", value, "must be a timedelta, a whole number of days, or None")
      for value in (0, -1, True, "365", 1.5, timedelta(0), timedelta(days=-1), timedelta.max,
                    36501)],
    *[("ACCESS_TOKEN_LIFETIME", value, "must be 3600 to 21600 seconds")
      for value in (3599, 21601, True, "3600", 3600.0, timedelta(minutes=59),
                    timedelta(hours=6, seconds=1))],
    *[("PUBLIC_URL", value, "must be the public https address")
      for value in ("", "app.example", "http://app.example", "ftp://app.example",
                    "https://", "https://u@app.example", "https://app.example?x=1",
                    "https://app.example#x", 5)],
    *[("ENCRYPTION_KEYS", value, "must be a list of keys, the newest first")
      for value in (5, {}, "secret", [KEY, "short"], [KEY[:-1]], [KEY + "="], [b"x"], [5],
                    [KEY.replace("=", "é")])],
    ("OIDC_CLOUDS", [], "must be a mapping"),
    ("OIDC_CLOUDS", {"Test Cloud": "https://x.example"}, "a name is 1 to 32 of a-z"),
    ("OIDC_CLOUDS", {5: "https://x.example"}, "a name is 1 to 32 of a-z"),
    ("OIDC_CLOUDS", {"global": "https://x.example"}, "may not replace Microsoft's own 'global'"),
    ("OIDC_CLOUDS", {"x": "http://x.example"}, "must be an https address"),
    ("OIDC_CLOUDS", {"x": 5}, "must be an https address"),
    ("OIDC_CLOUDS", {"x": "https://x.example/path"}, "give the authority without a path"),
]  # fmt: skip


@pytest.mark.parametrize(("key", "value", "sentence"), WRONG)
def test_a_wrong_value_stops_the_start_with_a_sentence(key: str, value: Any, sentence: str) -> None:
    """It names the key and says what it must be (STYLE.md §6.6)."""
    with pytest.raises(ConfigurationError) as refused:
        started(**{key: value})
    assert str(refused.value).startswith(f"H5MAG_SCIM_{key} ")
    assert sentence in str(refused.value)


def test_defaults_and_what_none_means() -> None:
    """``None`` is the default, except for a lifetime without end."""
    config = started()
    assert (config.url_prefix, config.max_results) == ("/scim/v2", 200)
    assert config.token_lifetime == timedelta(days=365)
    assert not config.has_registration
    assert started(URL_PREFIX=None, MAX_RESULTS=None) == config
    assert started(TOKEN_LIFETIME=None).token_lifetime is None
    assert started(TOKEN_LIFETIME=30).token_lifetime == timedelta(days=30)
    assert config.access_token_lifetime == timedelta(hours=1)
    assert started(ACCESS_TOKEN_LIFETIME=21600).access_token_lifetime == timedelta(hours=6)
    six = timedelta(hours=6)
    assert started(ACCESS_TOKEN_LIFETIME=six).access_token_lifetime == six
    assert started(PUBLIC_URL="https://a.example/").public_url == "https://a.example"
    assert started(PUBLIC_URL="http://127.0.0.1:5000").public_url == "http://127.0.0.1:5000"


def test_encryption_keys_are_a_list_and_in_no_text() -> None:
    """A text with commas is one too, as the environment has it."""
    other = "A" * 43 + "="
    assert started().encryption_keys == ()
    assert started(ENCRYPTION_KEYS=[KEY, other]).encryption_keys == (KEY, other)
    config = started(ENCRYPTION_KEYS=f"{KEY}, {other}")
    assert config.encryption_keys == (KEY, other)
    assert KEY not in repr(config)
    with pytest.raises(ConfigurationError) as refused:
        started(ENCRYPTION_KEYS=[KEY[:-4]])
    assert KEY[:-4] not in str(refused.value)
    assert Vault(config.encryption_keys, secret_keys=[]).seal("x")


def test_clouds_are_added_to_microsoft_s() -> None:
    """An authority, or the address of metadata; plain http on this machine only."""
    clouds = started(
        OIDC_CLOUDS={"a": "https://a.example/", "b": METADATA, "c": "http://localhost:1"}
    ).oidc_clouds
    assert (clouds["a"], clouds["b"], clouds["c"]) == (
        "https://a.example",
        METADATA,
        "http://localhost:1",
    )
    assert {"global", "us", "china"} < set(clouds)
    with pytest.raises(TypeError):
        clouds["d"] = "x"  # type: ignore[index]


@pytest.mark.parametrize("half", ["OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET"])
def test_half_a_registration_is_none(half: str) -> None:
    """The start says which halves there are, and the secret is in no text."""
    with pytest.raises(ConfigurationError, match=r"Set both .*CLIENT_ID and .*CLIENT_SECRET"):
        started(**{half: "x-secret"})
    config = started(OIDC_CLIENT_ID="x", OIDC_CLIENT_SECRET="x-secret")
    assert config.has_registration
    assert "x-secret" not in repr(config)


@pytest.mark.parametrize(
    "prefixes",
    [
        {"URL_PREFIX": "/sso"},
        {"URL_PREFIX": "/account"},
        {"SSO_URL_PREFIX": "/scim/v2/sso"},
        {"PAGE_URL_PREFIX": "/x", "SSO_URL_PREFIX": "/x"},
        {"OAUTH_URL_PREFIX": "/scim/v2/oauth"},
        {"OAUTH_URL_PREFIX": "/sso"},
    ],
)
def test_prefixes_do_not_overlap(prefixes: dict[str, str]) -> None:
    """One would swallow the other's addresses."""
    with pytest.raises(ConfigurationError, match="overlap"):
        started(**prefixes)
    assert started(URL_PREFIX="/scim", SSO_URL_PREFIX="/scimsso").url_prefix == "/scim"


@pytest.mark.parametrize("path", ["/scim/v2", "/scim/v2/", "/sso", "/below/account/provisioning"])
def test_the_public_address_is_the_applications(path: str) -> None:
    """Not the Provisioning URL: every address would have its path twice."""
    with pytest.raises(ConfigurationError, match="which is added to it: give the application's"):
        started(PUBLIC_URL=f"https://a.example{path}")
    for url in ("https://a.example/below", "https://sso"):
        assert started(PUBLIC_URL=f"{url}/").public_url == url


def test_the_public_address_and_a_secret_are_needed_outside_of_development() -> None:
    """Otherwise the Host header would decide where tokens and people are sent, and the first
    signature would be an internal error."""
    with pytest.raises(ConfigurationError, match="Set H5MAG_SCIM_PUBLIC_URL"):
        read({}, development=False)
    public = {"H5MAG_SCIM_PUBLIC_URL": "https://a.example"}
    assert read({**public, "SECRET_KEY": "x"}, development=False)
    for key in ({}, {"SECRET_KEY": ""}, {"SECRET_KEY": None}):
        with pytest.raises(ConfigurationError, match="Set SECRET_KEY before"):
            read({**public, **key}, development=False)
    for setting in ("TESTING", "DEBUG"):
        app = Flask(__name__)
        app.config.update({"SQLALCHEMY_DATABASE_URI": "sqlite://", setting: True})
        app.register_blueprint(scim.blueprint)
        assert app.extensions["h5mag_scim"].config.public_url is None
    app = Flask(__name__)
    with pytest.raises(ConfigurationError, match="Set H5MAG_SCIM_PUBLIC_URL"):
        scim.init_app(app)


def test_every_key_is_documented_where_a_host_developer_looks() -> None:
    """``init_app``'s docstring lists all of them (STYLE.md §6.4)."""
    documented = H5magSCIM.init_app.__doc__ or ""
    for name in Config.__dataclass_fields__:
        assert f"H5MAG_SCIM_{name.upper()}" in documented


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://a.example", True),
        ("http://localhost", True),
        ("http://127.0.0.1:5000/x", True),
        ("http://[::1]:5000", True),
        ("http://a.example", False),
        ("http://localhost.example", False),
        ("http://127.0.0.1.example", False),
        ("javascript:x", False),
        ("//a.example", False),
        ("", False),
    ],
)
def test_plain_http_is_for_this_machine_only(url: str, safe: bool) -> None:
    """A name that only begins like this machine's is another machine."""
    assert is_safe_origin(url) is safe


def test_loopback_is_told_by_number() -> None:
    """127.0.0.0/8 and ::1, and "localhost" by name."""
    assert all(is_loopback(host) for host in ("localhost", "127.9.9.9", "::1"))
    assert not any(is_loopback(host) for host in (None, "", "a.example", "10.0.0.1", "::2"))


# Registration


def fresh(**values: Any) -> Flask:
    app = Flask(__name__)
    app.config.update(TESTING=True, SQLALCHEMY_DATABASE_URI="sqlite://", **values)
    return app


@pytest.mark.parametrize(
    "options", [{"url_prefix": "/x"}, {"subdomain": "x"}, {"url_defaults": {"a": 1}}]
)
def test_register_blueprint_takes_no_options(options: dict[str, Any]) -> None:
    """They would reach one of three blueprints; the sentence names the keys to use."""
    with pytest.raises(ConfigurationError, match="H5MAG_SCIM_URL_PREFIX"):
        fresh().register_blueprint(scim.blueprint, **options)


def test_a_second_registration_is_refused() -> None:
    """However it is tried, and not with Flask's advice to take another name."""
    app = fresh()
    app.register_blueprint(scim.blueprint)
    above = Blueprint("above", __name__)
    above.register_blueprint(scim.blueprint)
    for again in (
        lambda: app.register_blueprint(scim.blueprint),
        lambda: app.register_blueprint(scim.blueprint, name="again"),
        lambda: app.register_blueprint(above),
        lambda: scim.init_app(app),
    ):
        with pytest.raises(ConfigurationError, match=r"application already: .* only once"):
            again()


def test_an_unknown_key_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """A misspelt setting is a setting that does nothing."""
    with caplog.at_level(logging.WARNING):
        fresh(H5MAG_SCIM_MAX_RESULT=5).register_blueprint(scim.blueprint)
    assert "H5MAG_SCIM_MAX_RESULT is not a setting" in caplog.text
    with pytest.raises(ConfigurationError, match="MAX_RESULTS must be"):
        fresh(H5MAG_SCIM_MAX_RESULTS="5").register_blueprint(scim.blueprint)


@pytest.mark.parametrize(("command", "warns"), [("scim", False), ("run", True)])
def test_the_start_warns_who_serves_and_no_command(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, command: str, warns: bool
) -> None:
    """Cron mails what a command prints; ``flask run`` is how a developer sees it."""

    def factory() -> Flask:
        app = fresh(H5MAG_SCIM_MAX_RESULT=5)
        app.register_blueprint(scim.blueprint)
        return app

    monkeypatch.setattr("flask.cli.run_simple", lambda *args, **options: None)
    with caplog.at_level(logging.WARNING):
        result = CliRunner().invoke(FlaskGroup(create_app=factory), [command])
    assert isinstance(result.exception, SystemExit | None), result.exception
    assert ("H5MAG_SCIM_MAX_RESULT is not a setting" in caplog.text) is warns


def test_a_server_that_is_a_command_itself_warns(caplog: pytest.LogCaptureFixture) -> None:
    """As uvicorn is one of click's."""

    @click.command("uvicorn")
    def serve() -> None:
        fresh(H5MAG_SCIM_MAX_RESULT=5).register_blueprint(scim.blueprint)

    with caplog.at_level(logging.WARNING):
        assert CliRunner().invoke(serve).exit_code == 0
    assert "H5MAG_SCIM_MAX_RESULT is not a setting" in caplog.text


def test_a_command_says_what_is_wrong_and_not_where(monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator reads one sentence; ``flask run`` says the same."""

    def factory() -> Flask:
        app = fresh(H5MAG_SCIM_MAX_RESULTS="5")
        app.register_blueprint(scim.blueprint)
        return app

    monkeypatch.setattr("flask.cli.run_simple", lambda *args, **options: None)
    for command in (["scim", "check"], ["run"]):
        result = CliRunner().invoke(FlaskGroup(create_app=factory), command)
        assert result.exit_code == 1
        assert result.stderr.startswith("Error: H5MAG_SCIM_MAX_RESULTS must be")
        assert result.stdout == ""


def test_a_strict_session_cookie_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """The browser would not send it back from Microsoft (DESIGN §13.9)."""
    with caplog.at_level(logging.WARNING):
        fresh(SESSION_COOKIE_SAMESITE="Strict").register_blueprint(scim.blueprint)
    assert "every sign-in will fail" in caplog.text


def test_without_registration_the_state_says_what_is_missing() -> None:
    """A view of ours on an app that never registered us."""
    from flask_h5mag_scim.state import get_state

    with fresh().app_context(), pytest.raises(RuntimeError, match="register_blueprint"):
        get_state()


class Host:
    """A host's models on a ``db`` of their own."""

    def __init__(self) -> None:
        self.db = SQLAlchemy(model_class=type("Base", (DeclarativeBase,), {}))
        Model = self.db.Model

        class Account(Model):
            id: Mapped[int] = mapped_column(primary_key=True)

        class User(Model):
            id: Mapped[int] = mapped_column(primary_key=True)
            account_id: Mapped[int]
            name: Mapped[str]
            enabled: Mapped[bool]
            oid: Mapped[str | None]

        class Team(Model):
            id: Mapped[int] = mapped_column(primary_key=True)
            account_id: Mapped[int]
            name: Mapped[str]

        self.Account, self.User, self.Team = Account, User, Team
        self.member = self.db.Table("member", sa.Column("u"), sa.Column("g"))

    def scim(self, **changes: Any) -> H5magSCIM:
        user = {"userName": "name", "active": "enabled", "externalId": "oid"}
        arguments: dict[str, Any] = {
            "account": self.Account,
            "user": UserResource(self.User, account="account_id", attributes=user),
            "group": GroupResource(
                self.Team,
                account="account_id",
                attributes={"displayName": "name"},
                members=Membership(self.member, group="g", user="u"),
            ),
            "current_account": lambda: None,
            "find_account": lambda text: None,
            "can_manage": lambda user, account: False,
            "is_licensed": lambda account: True,
        }
        return H5magSCIM(self.db, **{**arguments, **changes})


@pytest.mark.parametrize(
    "name", ["current_account", "find_account", "can_manage", "is_licensed", "mail_admins"]
)
def test_callbacks_are_functions(name: str) -> None:
    """Refused at import, not at the first request."""
    with pytest.raises(TypeError, match=f"{name} must be a function"):
        Host().scim(**{name: True})


@pytest.mark.parametrize(
    ("name", "callback", "call"),
    [
        ("current_account", lambda user: None, "current_account()"),
        ("find_account", lambda: None, "find_account(text)"),
        ("can_manage", lambda user: True, "can_manage(user, account)"),
        ("is_licensed", lambda: True, "is_licensed(account)"),
        ("can_adopt", lambda user: True, "can_adopt(user, account)"),
        ("is_protected", lambda user, account: True, "is_protected(user)"),
        ("second_factor", lambda: True, "second_factor(user)"),
        ("mail_admins", lambda account, text: None, "mail_admins(account, subject, text)"),
    ],
)
def test_callbacks_take_what_they_are_called_with(name: str, callback: Any, call: str) -> None:
    """Refused at import: some are asked on rare days, and a mail that fails is only logged."""
    with pytest.raises(TypeError, match=re.escape(f"{name} is called as {call}, and takes (")):
        Host().scim(**{name: callback})


def test_callbacks_may_take_more_and_be_any_callable() -> None:
    """Defaults, ``*args``, methods, what a decorator gives more to, and what says nothing about
    itself are all well."""

    def with_clock(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def called(*given: Any) -> Any:
            return function("now", *given)

        return called

    Host().scim(
        can_manage=lambda *people: True,
        is_protected=with_clock(lambda at, user: False),
        second_factor=cache(lambda user: True),
        is_licensed={}.get,
        find_account=int,
        mail_admins=lambda account, subject, text, sender="us": None,
    )


@pytest.mark.parametrize("name", ["user", "group"])
def test_a_model_is_no_resource(name: str) -> None:
    """It belongs into a ``UserResource`` or ``GroupResource`` first."""
    host = Host()
    with pytest.raises(TypeError, match=f"{name} must be a {name.capitalize()}Resource"):
        host.scim(**{name: host.User})


def test_the_account_is_named() -> None:
    """A relationship or an attribute itself is refused with what to write instead."""
    host = Host()
    for account in ("company", host.User.account_id):
        with pytest.raises(ValueError, match=r"Let account= be the name .* like 'account_id'"):
            UserResource(host.User, account=account, attributes={})  # type: ignore[arg-type]


def test_one_db_has_one_instance() -> None:
    """The tables are declared by the constructor, and only once."""
    host = Host()
    host.scim()
    with pytest.raises(RuntimeError, match="already created for this db"):
        host.scim()
    with pytest.raises(RuntimeError, match="already created for this db"):
        H5magSCIM(
            db,
            account=scim.account,
            user=scim.user,
            group=scim.group,
            current_account=scim.current_account,
            find_account=scim.find_account,
            can_manage=scim.can_manage,
            is_licensed=scim.is_licensed,
        )
    # The one that is there keeps what is its own.
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(scim, "is_protected", lambda user: user == "somebody")
        assert scim.user.is_protected("somebody")


def test_a_wrong_map_stops_the_import() -> None:
    """The mistake stands in the traceback of the module that made it."""
    host = Host()
    with pytest.raises(ValueError, match="The attribute map of User: 'userNam' is no attribute"):
        UserResource(host.User, account="account_id", attributes={"userNam": "name"})
