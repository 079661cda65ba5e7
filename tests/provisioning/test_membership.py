"""Members by statements: as many rows touched as change, however large the group."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from flask_h5mag_scim import Membership
from flask_h5mag_scim.provisioning import membership

from ..conftest import both_databases


class Base(DeclarativeBase):
    pass


class Mapped_(Base):
    __tablename__ = "mapped"

    team_key: Mapped[int] = mapped_column("team", primary_key=True)
    user_key: Mapped[int] = mapped_column("person", primary_key=True)
    since: Mapped[str] = mapped_column(default="now")


plain = sa.Table(
    "plain",
    Base.metadata,
    sa.Column("g", sa.Integer, primary_key=True, key="team"),
    sa.Column("u", sa.Integer, primary_key=True, key="user"),
)


#: Nothing in the database keeps anybody from being in a group twice.
loose = sa.Table(
    "loose",
    Base.metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("team", sa.Integer),
    sa.Column("user", sa.Integer),
    sa.Index(
        "uq_loose_team",
        "team",
        unique=True,
        **{f"{dialect}_where": sa.text("id < 0") for dialect in ("sqlite", "postgresql")},
    ),
)
#: The same with a constraint beside the key.
strict = sa.Table(
    "strict",
    Base.metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("team", sa.Integer),
    sa.Column("user", sa.Integer),
    sa.UniqueConstraint("user", "team"),
)


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    engine = sa.create_engine(database_url)
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        yield session
    engine.dispose()


MEMBERSHIPS = {
    "mapped": Membership(Mapped_, group="team_key", user="user_key"),
    "plain": Membership(plain, group="team", user="user"),
    "loose": Membership(loose, group="team", user="user"),
    "strict": Membership(strict, group="team", user="user"),
}
both_kinds = pytest.mark.parametrize("kind", MEMBERSHIPS)


def members(session: Session, one: Membership, group: int = 1) -> set[int]:
    return set(session.scalars(sa.select(one.user).where(one.group == group)))


@both_databases
@both_kinds
def test_members_come_and_go(session: Session, kind: str) -> None:
    """Each step says whom it moved; whoever is in already is not touched."""
    one = MEMBERSHIPS[kind]
    assert one.add(session, 1, [1, 2, 3]) == [1, 2, 3]
    assert one.add(session, 1, [3, 4]) == [4]
    assert one.add(session, 1, []) == []
    assert one.add(session, 2, [1]) == [1]
    assert one.remove(session, 1, [2, 99]) == 1
    assert one.remove(session, 1, [2]) == 0
    assert members(session, one) == {1, 3, 4}
    assert one.replace(session, 1, [3, 5]) == ([5], 2)
    assert members(session, one) == {3, 5}
    assert one.replace(session, 1, [5, 3]) == ([], 0)
    assert one.replace(session, 1, []) == ([], 2)
    assert members(session, one) == set()
    assert members(session, one, 2) == {1}


@both_databases
def test_columns_of_the_host_get_their_defaults(session: Session) -> None:
    """The association may know more than who belongs where."""
    MEMBERSHIPS["mapped"].add(session, 1, [1])
    assert session.scalar(sa.select(Mapped_.since)) == "now"


@pytest.mark.parametrize("size", [10, 3000])
def test_the_size_of_the_group_does_not_matter(session: Session, size: int) -> None:
    """Adding and removing two people are as many statements, reading as many rows, in a
    group of ten and of thousands."""
    one = MEMBERSHIPS["mapped"]
    one.add(session, 1, range(size))
    seen: list[tuple[str, Any]] = []
    sa.event.listen(
        session.get_bind(),
        "before_cursor_execute",
        lambda conn, cursor, statement, parameters, context, many: seen.append(
            (statement.split()[0], len(parameters))
        ),
    )
    assert one.add(session, 1, [5, 10_001]) == [10_001]
    assert one.remove(session, 1, [7, 10_002]) == 1
    assert seen == [("INSERT", 6), ("DELETE", 3)]


def test_more_than_one_batch(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists longer than what one statement takes are cut, and nobody falls through."""
    monkeypatch.setattr(membership, "BATCH", 3)
    one = MEMBERSHIPS["plain"]
    assert len(one.add(session, 1, range(10))) == 10
    assert one.replace(session, 1, range(5, 15)) == (list(range(10, 15)), 5)
    assert members(session, one) == set(range(5, 15))
    assert one.remove(session, 1, range(14)) == 9
    assert members(session, one) == {14}


def test_forgetting_takes_one_side_out(session: Session) -> None:
    """A deleted user leaves all groups, a deleted group all users."""
    one = MEMBERSHIPS["plain"]
    for group in (1, 2):
        one.add(session, group, [1, 2])
    one.forget_user(session, 1)
    assert members(session, one, 1) == members(session, one, 2) == {2}
    one.forget_group(session, 2)
    assert members(session, one, 1) == {2}
    assert members(session, one, 2) == set()


@both_databases
def test_somebody_else_adding_the_same_person_is_no_error(session: Session) -> None:
    """Between the look and the insert, another request may have been faster."""
    one = MEMBERSHIPS["plain"]
    one.add(session, 1, [1])
    session.execute(
        one._insert(session.get_bind().dialect.name),
        [{"team": 1, "user": 1}, {"team": 1, "user": 2}],
    )
    assert members(session, one) == {1, 2}


def test_a_host_with_several_databases_is_asked_in_the_right_one(tmp_path: Any) -> None:
    """A plain table on a bind key: its statements go where the table is."""
    db = SQLAlchemy(model_class=type("Root", (DeclarativeBase,), {}))
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{tmp_path / 'main.sqlite'}"
    app.config["SQLALCHEMY_BINDS"] = {"people": f"sqlite:///{tmp_path / 'people.sqlite'}"}
    db.init_app(app)
    table = db.Table(
        "belongs",
        sa.Column("g", sa.Integer, primary_key=True),
        sa.Column("u", sa.Integer, primary_key=True),
        bind_key="people",
    )
    one = Membership(table, group="g", user="u")
    with app.app_context():
        db.create_all()
        assert one.add(db.session, 1, [1, 2]) == [1, 2]
        assert one.replace(db.session, 1, [2]) == ([], 1)
        assert one.remove(db.session, 1, [2]) == 1
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()
