"""Signing in and out: name, account, then Microsoft or an H5mag password."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from functools import wraps
from typing import ParamSpec
from urllib.parse import urlsplit

import sqlalchemy as sa
from flask import (
    Flask,
    abort,
    current_app,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_user, logout_user
from sqlalchemy.orm import contains_eager

from .models import Account, User, check_password, db
from .provisioning import scim

P = ParamSpec("P")

WRONG = "The e-mail address, user name or password is not right."
REQUIRED = "Your account requires Microsoft to sign in, so that a password alone is not enough."


def register(app: Flask) -> None:
    """Add the routes, and ``csrf_token()`` for the templates."""
    app.add_url_rule("/login", view_func=login, methods=["GET", "POST"])
    app.add_url_rule("/logout", view_func=logout, methods=["POST"])
    app.add_url_rule("/signed-out", view_func=signed_out)
    app.jinja_env.globals["csrf_token"] = csrf_token


def csrf_token() -> str:
    """This session's token, for the field ``csrf_token`` of a form."""
    token: str = session.setdefault("csrf_token", secrets.token_urlsafe(32))
    return token


def csrf_protected(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    """Refuse a form that did not come from one of this session's own pages."""

    @wraps(view)
    def checked(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        sent = request.form.get("csrf_token", "")
        kept = session.get("csrf_token", "")
        if not kept or not secrets.compare_digest(sent.encode(), kept.encode()):
            abort(400, "This form has expired. Go back, reload the page and try again.")
        return view(*args, **kwargs)

    return checked


def login() -> ResponseReturnValue:
    """Ask for the name; then send to Microsoft, or ask for the password.

    ``?password=1`` leaves Microsoft out. With ``?next=`` the form is shown to people who are
    signed in as well: that is how a page asks them to prove who they are once more.

    The form has no CSRF token, because it has to work before there is a session. What the
    token would prevent, a foreign page that signs a visitor in under the attacker's name,
    the browser's own headers show.
    """
    if request.method != "POST":
        if current_user.is_authenticated and "next" not in request.args:
            return redirect(url_for("index"))
        if current_user.is_authenticated:
            # Who has a password came in with it, perhaps because Microsoft does not know them.
            has_one = current_user.password_hash is not None
            return _ask("name", name=current_user.address, with_password=has_one)
        return _ask("name", name="")
    if not _is_own_form():
        abort(403, "Sign in from H5mag's own page.")

    name = request.form.get("email", "").strip()
    if not name:
        return _ask("name", name="", error="Enter your e-mail address or user name."), 400
    people = _called(name)
    slug = request.form.get("account", "")
    if slug:
        people = [person for person in people if person.account.slug == slug]
    accounts = list({person.account_id: person.account for person in people}.values())
    if len(accounts) > 1:
        return _ask("account", name=name, accounts=accounts)

    person = people[0] if people else None
    target = _next()
    if person is not None and not _wants_password():
        url = scim.sso_url(person.account, next=target, login_hint=name)
        if url is not None:
            return redirect(url, 303)
    password = request.form.get("password", "")
    microsoft = None
    if person is not None:
        microsoft = scim.sso_button_url(person.account, next=target, login_hint=name)
    if not password:
        return _ask("password", name=name, slug=slug, microsoft=microsoft)
    # Unknown and inactive names cost the same work and get the same answer.
    matches = check_password(person.password_hash if person else None, password)
    if person is None or not matches or not person.is_active:
        return _ask("password", name=name, slug=slug, microsoft=microsoft, error=WRONG), 401
    if not scim.password_allowed(person):
        return _ask("code", name=name, slug=slug, microsoft=microsoft, error=REQUIRED), 403
    # Nothing of an older session, planted or not, lives on under the new name.
    session.clear()
    login_user(person)
    return redirect(target or url_for("index"), 303)


@csrf_protected
def logout() -> ResponseReturnValue:
    """End the session here. Microsoft's own session is not H5mag's to end; who came from there
    is asked on the next page."""
    url = scim.signed_out_url()
    session.clear()
    logout_user()
    return redirect(url or url_for("signed_out"), 303)


def signed_out() -> ResponseReturnValue:
    """A page that waits: an account that redirects would sign the person in again at once."""
    if current_user.is_authenticated:
        return redirect(url_for("index"))
    return render_template("signed_out.html")


def _next() -> str | None:
    """The page to return to; never one that leads straight back here."""
    return scim.safe_next(request.values.get("next"), besides=[url_for("signed_out")])


def _wants_password() -> bool:
    return request.args.get("password") == "1"


def _ask(
    step: str,
    *,
    name: str,
    slug: str = "",
    accounts: Sequence[Account] = (),
    error: str | None = None,
    with_password: bool = False,
    microsoft: str | None = None,
) -> str:
    return render_template(
        "login.html",
        step=step,
        name=name,
        slug=slug,
        accounts=sorted(accounts, key=lambda account: account.name.casefold()),
        error=error,
        microsoft=microsoft,
        next=_next(),
        wants_password=with_password or _wants_password(),
    )


def _is_own_form() -> bool:
    """Whether the browser says, if it says anything, that our own page sent the form."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("Origin")
    if origin is None:
        return True
    public = urlsplit(current_app.config["H5MAG_SCIM_PUBLIC_URL"]).netloc
    return urlsplit(origin).netloc in {request.host, public}


def _called(name: str) -> list[User]:
    """The people with this user name or e-mail address, in any account.

    A user name counts before an e-mail address, and people who may sign in hide those who
    may not: somebody who left and came back is one person to the form.
    """
    if "\x00" in name or len(name) > 320:
        return []
    wanted = sa.func.lower(name)
    by_username = sa.func.lower(User.username) == wanted
    found = db.session.scalars(
        sa.select(User)
        .join(User.account)
        .options(contains_eager(User.account))
        .where(sa.or_(by_username, sa.func.lower(User.email) == wanted))
        .order_by(sa.case((by_username, 0), else_=1), User.created_at, User.id)
        .limit(100)
    ).all()
    return [person for person in found if person.is_active] or list(found)
