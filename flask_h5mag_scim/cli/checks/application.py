"""What the application's settings and its templates say."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import unwrap
from typing import Any

from flask import Flask
from jinja2 import Environment, TemplateError, TemplateNotFound, nodes
from werkzeug.routing import RequestRedirect

from ... import config as configuration
from ...config import Config, LogValues
from ...state import State
from ...texts import say
from ...web import frame, oauth, scim, sessions, sso
from .findings import Finding, Severity, advised, finding

#: As many as are worth guessing at, in hexadecimal of 128 bits.
_SECRET_KEY = 32


def findings(app: Flask, state: State) -> Iterator[Finding]:
    """What should be put right in ``app.config``, the layout and the log-in."""
    config = state.config
    yield from _addresses(app, config)
    yield from _taken(app, config)
    yield from _keys(app, config)
    for advice in sessions.strict_advice(app):
        yield advised(Severity.ERROR, "cookie_strict", advice)
    for advice in sessions.cookie_advice(app, config.public_url):
        yield advised(Severity.WARNING, "cookie", advice)
    yield from _registration(config)
    yield from _layout(app, config.layout)
    yield from _login(app, config)
    if not state.scim.knows_second_factor:
        yield finding(Severity.HINT, "second_factor")
    if config.log_values is LogValues.FULL:
        yield finding(Severity.HINT, "log_values")


def _addresses(app: Flask, config: Config) -> Iterator[Finding]:
    _, unknown = configuration.read(app.config, development=True)
    for key in unknown:
        yield finding(Severity.WARNING, "setting_unknown", setting=key)
    if config.public_url is None:
        yield finding(Severity.WARNING, "url_missing")
    elif not config.public_url.startswith("https:"):
        yield finding(Severity.WARNING, "url_http", url=config.public_url)
    elif app.debug:
        yield finding(Severity.ERROR, "debug", url=config.public_url)


def _taken(app: Flask, config: Config) -> Iterator[Finding]:
    """Addresses of ours that a view of the host's answers, which was there first, or nothing."""
    if app.url_map.host_matching:
        yield finding(Severity.ERROR, "host_matching")
        return
    adapter = app.url_map.bind("localhost")
    for prefix, path, blueprint in (
        (config.page_url_prefix, "", frame.blueprint),
        (config.url_prefix, "/Users", scim.blueprint),
        (config.sso_url_prefix, "/callback", sso.blueprint),
        (config.oauth_url_prefix, "/token", oauth.blueprint),
    ):
        method = "POST" if blueprint is oauth.blueprint else "GET"
        try:
            endpoint, _ = adapter.match(prefix + path, method=method)
        except RequestRedirect as elsewhere:
            endpoint = elsewhere.new_url
        if not endpoint.startswith(f"{blueprint.name}."):
            yield finding(Severity.ERROR, "address_taken", address=prefix + path, by=endpoint)


def _keys(app: Flask, config: Config) -> Iterator[Finding]:
    key = app.config.get("SECRET_KEY")
    if not key:
        yield finding(Severity.ERROR, "secret_key_missing")
    elif len(key) < _SECRET_KEY:
        yield finding(Severity.WARNING, "secret_key_short", length=len(key))
    if not config.encryption_keys:
        yield finding(Severity.HINT, "encryption_keys")


def _registration(config: Config) -> Iterator[Finding]:
    if config.oidc_client_id is None:
        yield finding(Severity.HINT, "registration_missing")
        return
    try:
        configuration.client_id(config.oidc_client_id)
    except ValueError:
        yield finding(Severity.WARNING, "registration_id", client_id=config.oidc_client_id)
    yield finding(Severity.HINT, "registration_end", client_id=config.oidc_client_id)


def _layout(app: Flask, name: str) -> Iterator[Finding]:
    try:
        blocks = _blocks(app.jinja_env, name)
    except TemplateNotFound as error:  # itself, or one that it extends
        what = say("check.layout_missing", name=name, missing=error.name)
        yield Finding(Severity.ERROR, "layout", what, say("cure.layout"))
        return
    except TemplateError as error:
        yield finding(Severity.ERROR, "layout", name=name, error=str(error) or type(error).__name__)
        return
    if blocks is None:
        return
    if "content" not in blocks:
        yield finding(Severity.ERROR, "layout_content", name=name)
    for block in sorted({"title", "head"} - blocks):
        yield finding(Severity.WARNING, f"layout_{block}", name=name)


def _blocks(env: Environment, name: str) -> set[str] | None:
    """The blocks of a template and those that it extends; ``None`` where one is chosen only
    when it is rendered."""
    found: set[str] = set()
    seen: set[str] = set()
    while name not in seen:
        seen.add(name)
        source, _, _ = env.loader.get_source(env, name)  # type: ignore[union-attr]  # Flask's has one
        tree = env.parse(source, name)
        found |= {block.name for block in tree.find_all(nodes.Block)}
        parent = tree.find(nodes.Extends)
        if parent is None:
            return found
        if not isinstance(parent.template, nodes.Const):
            return None
        name = parent.template.value
    return found


def _login(app: Flask, config: Config) -> Iterator[Finding]:
    if config.login_endpoint not in app.view_functions:
        yield finding(Severity.ERROR, "login_endpoint", endpoint=config.login_endpoint)
    manager: Any = getattr(app, "login_manager", None)
    if manager is None:
        yield finding(Severity.ERROR, "login_manager")
        return
    yield from _login_view(app, manager)
    loader = getattr(manager, "_user_callback", None)
    if loader is None:
        yield finding(Severity.ERROR, "user_loader")
        return
    # What it calls may ask; only its own code is looked at.
    code = getattr(unwrap(loader), "__code__", None)
    if code is None or "session_guard" not in code.co_names:
        yield finding(
            Severity.HINT, "session_guard", name=getattr(loader, "__name__", "user_loader")
        )


def _login_view(app: Flask, manager: Any) -> Iterator[Finding]:
    if manager.unauthorized_callback is not None:
        return  # the host's own way
    view = manager.blueprint_login_views.get(frame.blueprint.name, manager.login_view)
    if not view:
        yield finding(Severity.WARNING, "login_view_missing")
    # As Flask-Login tells an address from an endpoint.
    elif not view.startswith(("https://", "http://", "/")) and view not in app.view_functions:
        yield finding(Severity.ERROR, "login_view", endpoint=view)
