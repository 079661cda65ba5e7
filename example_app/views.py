"""H5mag's own pages: magazines, people, teams and the account."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import sqlalchemy as sa
from flask import Flask, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required
from werkzeug.exceptions import HTTPException

from . import profile
from .auth import csrf_protected
from .models import ASSIGNABLE_ROLES, OWNER, Edition, Magazine, Team, TeamMember, User, db
from .provisioning import scim

M = TypeVar("M", Team, User)

PAGE_SIZE = 50


def register(app: Flask) -> None:
    """Add the routes, the error pages and the templates' filter for dates."""
    app.add_url_rule("/", view_func=index)
    for rule, view, method in ROUTES:
        app.add_url_rule(rule, view_func=login_required(view), methods=[method])
    app.register_error_handler(HTTPException, _error_page)
    app.add_template_filter(_day, "day")


@dataclass(frozen=True)
class Page:
    """Which part of a long list is shown."""

    number: int
    total: int

    @property
    def offset(self) -> int:
        """How many rows come before it."""
        return (self.number - 1) * PAGE_SIZE

    @property
    def last(self) -> int:
        """The number of the last page."""
        return max(1, -(-self.total // PAGE_SIZE))


def index() -> ResponseReturnValue:
    """The dashboard; for visitors, what H5mag is."""
    if not current_user.is_authenticated:
        return render_template("landing.html")
    latest = db.session.execute(
        sa.select(Edition, Magazine)
        .join(Magazine, Magazine.id == Edition.magazine_id)
        .where(Magazine.account_id == current_user.account_id)
        .order_by(Edition.published_at.desc().nulls_first(), Edition.title)
        .limit(5)
    ).all()
    return render_template("index.html", magazines=_shelf(limit=6), latest=latest)


def magazines() -> ResponseReturnValue:
    """Every magazine of the account."""
    page = _page(sa.select(Magazine.id).where(Magazine.account_id == current_user.account_id))
    return render_template(
        "magazines.html", magazines=_shelf(limit=PAGE_SIZE, offset=page.offset), page=page
    )


def magazine(magazine_id: uuid.UUID) -> ResponseReturnValue:
    """One magazine with its editions."""
    found = db.session.execute(
        sa.select(Magazine, User)
        .join(User, User.id == Magazine.owner_id)
        .where(Magazine.id == magazine_id, Magazine.account_id == current_user.account_id)
    ).one_or_none()
    if found is None:
        abort(404)
    editions = db.session.scalars(
        sa.select(Edition)
        .where(Edition.magazine_id == magazine_id)
        .order_by(Edition.published_at.desc().nulls_first(), Edition.title)
    ).all()
    return render_template("magazine.html", magazine=found[0], owner=found[1], editions=editions)


@csrf_protected
def create_magazine() -> ResponseReturnValue:
    """A new magazine, which belongs to whoever made it. Readers only read."""
    if not current_user.can_write:
        abort(403, "Readers cannot make magazines. Ask an owner or admin of your account.")
    title = _text("title")
    if not 1 <= len(title) <= 120:
        flash("A title has 1 to 120 characters.", "error")
        return redirect(url_for("magazines"), 303)
    made = Magazine(account_id=current_user.account_id, title=title, owner_id=current_user.id)
    db.session.add(made)
    db.session.commit()
    return redirect(url_for("magazine", magazine_id=made.id), 303)


def people() -> ResponseReturnValue:
    """Who is in the account, 50 at a time, and who of them came through provisioning.

    ``?team=`` keeps to one team, ``?q=`` to names and addresses that begin so.
    """
    account_id = current_user.account_id
    wanted = sa.select(User).where(User.account_id == account_id)
    team = None
    if request.args.get("team"):
        team = _of_account(Team, request.args["team"])
        wanted = wanted.join(TeamMember, TeamMember.user_id == User.id).where(
            TeamMember.team_id == team.id
        )
    query = request.args.get("q", "").replace("\x00", "").strip()[:100]
    if query:
        wanted = wanted.where(
            sa.or_(
                *(
                    sa.func.lower(column).startswith(query.lower(), autoescape=True)
                    for column in (User.username, User.email, User.display_name)
                )
            )
        )
    page = _page(wanted.with_only_columns(User.id))
    shown = db.session.scalars(
        wanted.order_by(sa.func.lower(User.username)).limit(PAGE_SIZE).offset(page.offset)
    ).all()
    ids = [user.id for user in shown]
    return render_template(
        "people.html",
        people=shown,
        page=page,
        query=query,
        team=team,
        teams=_teams_of(ids),
        provisioned=scim.provisioned(current_user.account, shown),
        roles=ASSIGNABLE_ROLES,
        may_edit=profile.may_edit,
    )


@csrf_protected
def change_role(user_id: uuid.UUID) -> ResponseReturnValue:
    """Make somebody an admin, editor or reader. For owners and admins."""
    _managers_only()
    person = _of_account(User, str(user_id))
    role = request.form.get("role")
    if role not in ASSIGNABLE_ROLES or person.role == OWNER or person.id == current_user.id:
        abort(400, "This role cannot be given here.")
    if scim.managed(person, "role"):
        abort(400, profile.refusal(person, {"role"}))
    person.role = role
    db.session.commit()
    flash(f"{person.label} is {'an' if role[0] in 'ae' else 'a'} {role} now.", "ok")
    return redirect(url_for("people", page=request.args.get("page")), 303)


def person(user_id: uuid.UUID) -> ResponseReturnValue:
    """Somebody's own page, for themselves and for those who look after the account."""
    found = _profile_of(user_id)
    return render_template("person.html", **profile.page(found, current_user))


@csrf_protected
def change_person(user_id: uuid.UUID) -> ResponseReturnValue:
    """Store the form of :func:`person`, or show it again and say what is wrong."""
    found = _profile_of(user_id)
    problems = profile.problems(found, current_user, request.form)
    if problems:
        shown = profile.page(found, current_user, sent=request.form, problems=problems)
        return render_template("person.html", **shown), 400
    profile.store(found, current_user, request.form)
    db.session.commit()
    flash("Saved.", "ok")
    return redirect(url_for("person", user_id=found.id), 303)


def _profile_of(user_id: uuid.UUID) -> User:
    found = _of_account(User, str(user_id))
    if not profile.may_edit(found, current_user):
        abort(403, "Only owners and admins of the account can change other people.")
    return found


def teams() -> ResponseReturnValue:
    """The account's teams and how many people each has."""
    wanted = sa.select(Team).where(Team.account_id == current_user.account_id)
    page = _page(wanted.with_only_columns(Team.id))
    shown = db.session.scalars(
        wanted.order_by(sa.func.lower(Team.name)).limit(PAGE_SIZE).offset(page.offset)
    ).all()
    sizes = db.session.execute(
        sa.select(TeamMember.team_id, sa.func.count())
        .where(TeamMember.team_id.in_([team.id for team in shown]))
        .group_by(TeamMember.team_id)
    )
    return render_template("teams.html", teams=shown, sizes=dict(iter(sizes)), page=page)


def account() -> ResponseReturnValue:
    """The plan, the seats, and the way to "Provisioning & SSO". For owners and admins."""
    _managers_only()
    account_id = current_user.account_id
    active, inactive = db.session.execute(
        sa.select(
            sa.func.count().filter(User.active), sa.func.count().filter(sa.not_(User.active))
        ).where(User.account_id == account_id)
    ).one()
    link: Any = scim.UserLink
    provisioned = _count(sa.select(link.user_id).where(link.account_id == account_id))
    return render_template(
        "account.html",
        active=active,
        inactive=inactive,
        provisioned=provisioned,
        licensed=scim.is_licensed(current_user.account),
    )


def _managers_only() -> None:
    if not current_user.is_manager:
        abort(403, "Only owners and admins of the account can do this.")


def _of_account(model: type[M], key: str) -> M:
    """The row with this key in the signed-in person's account; another account's is a 404."""
    try:
        found = db.session.get(model, uuid.UUID(key))
    except ValueError:
        found = None
    if found is None or found.account_id != current_user.account_id:
        abort(404)
    return found


def _count(wanted: sa.Select[Any]) -> int:
    return db.session.scalar(sa.select(sa.func.count()).select_from(wanted.subquery())) or 0


def _page(wanted: sa.Select[Any]) -> Page:
    """The page that ``?page=`` names, or the nearest there is."""
    total = _count(wanted)
    number = request.args.get("page", 1, type=int)
    return Page(number=min(max(1, number), Page(1, total).last), total=total)


def _shelf(*, limit: int, offset: int = 0) -> list[dict[str, Any]]:
    """The account's magazines, each with its owner and how much was published."""
    rows = db.session.execute(
        sa.select(Magazine, User)
        .join(User, User.id == Magazine.owner_id)
        .where(Magazine.account_id == current_user.account_id)
        .order_by(Magazine.title, Magazine.id)
        .limit(limit)
        .offset(offset)
    ).all()
    counts = db.session.execute(
        sa.select(
            Edition.magazine_id,
            sa.func.count(),
            sa.func.count().filter(Edition.state == "published"),
        )
        .where(Edition.magazine_id.in_([magazine.id for magazine, _ in rows]))
        .group_by(Edition.magazine_id)
    )
    by_magazine = {key: (editions, published) for key, editions, published in counts}
    return [
        {
            "magazine": magazine,
            "owner": owner,
            "editions": by_magazine.get(magazine.id, (0, 0))[0],
            "published": by_magazine.get(magazine.id, (0, 0))[1],
        }
        for magazine, owner in rows
    ]


def _teams_of(user_ids: list[uuid.UUID]) -> dict[uuid.UUID, list[Team]]:
    """The teams of a page of people, in one statement."""
    rows = db.session.execute(
        sa.select(TeamMember.user_id, Team)
        .join(Team, Team.id == TeamMember.team_id)
        .where(TeamMember.user_id.in_(user_ids))
        .order_by(sa.func.lower(Team.name))
    )
    found: dict[uuid.UUID, list[Team]] = defaultdict(list)
    for user_id, team in rows:
        found[user_id].append(team)
    return found


def _text(field: str) -> str:
    """A field of the form on one line, without what no database stores."""
    return " ".join(request.form.get(field, "").replace("\x00", "").split())


def _day(value: datetime | None) -> str:
    """A date in words. SQLite forgets the zone; everything stored is UTC."""
    if value is None:
        return ""
    aware = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    return f"{aware.day} {aware:%B %Y}"


def _error_page(error: HTTPException) -> ResponseReturnValue:
    response = error.get_response()
    # After a fault of ours, asking the database who is signed in may be the next fault.
    if response.status_code < 500:
        response.data = render_template("error.html", error=error)
        response.mimetype = "text/html"
    return response


#: What takes a signed-in person.
ROUTES: tuple[tuple[str, Callable[..., ResponseReturnValue], str], ...] = (
    ("/people", people, "GET"),
    ("/people/<uuid:user_id>", person, "GET"),
    ("/people/<uuid:user_id>", change_person, "POST"),
    ("/people/<uuid:user_id>/role", change_role, "POST"),
    ("/teams", teams, "GET"),
    ("/magazines", magazines, "GET"),
    ("/magazines", create_magazine, "POST"),
    ("/magazines/<uuid:magazine_id>", magazine, "GET"),
    ("/account", account, "GET"),
)
