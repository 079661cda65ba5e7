"""What the shell fills the tables with: three accounts to try, and directories of any size."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import sqlalchemy as sa

from .models import (
    Account,
    Edition,
    Magazine,
    Team,
    TeamMember,
    User,
    check_password,
    db,
    now,
)

BATCH = 5_000


@dataclass(frozen=True)
class Person:
    """Somebody who is there from the start."""

    name: str
    display_name: str
    role: str


@dataclass(frozen=True)
class Customer:
    """An account as ``init`` makes it. Everybody's address is ``<name>@<slug>.example``."""

    slug: str
    name: str
    plan: str
    people: tuple[Person, ...]
    teams: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: Title -> who owns it, and editions with the day of publication.
    magazines: Mapping[str, tuple[str, Mapping[str, datetime | None]]] = field(default_factory=dict)


def _day(year: int, month: int, day: int) -> datetime:
    return datetime(year, month, day, 9, tzinfo=UTC)


CUSTOMERS = (
    Customer(
        slug="acme",
        name="Acme Media",
        plan="enterprise",
        people=(
            Person("owner", "Olivia Marsh", "owner"),
            Person("marta.lind", "Marta Lind", "admin"),
            Person("jonas.weber", "Jonas Weber", "editor"),
        ),
        teams={"Newsroom": ("marta.lind", "jonas.weber")},
        magazines={
            "Fieldnotes": (
                "jonas.weber",
                {
                    "The water issue": _day(2026, 6, 4),
                    "Small towns": _day(2026, 9, 3),
                    "Winter light": None,
                },
            ),
            "Acme People": ("owner", {"Spring": _day(2026, 3, 20), "Autumn": _day(2026, 9, 22)}),
            "The Slow Kitchen": ("owner", {"Bread": _day(2026, 10, 8), "Broth": None}),
        },
    ),
    Customer(
        slug="globex",
        name="Globex Publishing",
        plan="enterprise",
        people=(Person("owner", "Grace Tan", "owner"), Person("leo.costa", "Leo Costa", "reader")),
        magazines={"Globex Quarterly": ("owner", {"Q3": _day(2026, 10, 1), "Q4": None})},
    ),
    Customer(
        slug="umbrella",
        name="Umbrella Press",
        plan="professional",
        people=(Person("owner", "Ugo Bianchi", "owner"),),
        magazines={"Rainy Days": ("owner", {"No. 1": _day(2026, 5, 11)})},
    ),
)


def address(name: str, slug: str) -> str:
    """The user name and e-mail address of a seeded person."""
    return f"{name}@{slug}.example"


def plant(password: str | None, generate: Callable[[], str]) -> tuple[list[str], str | None]:
    """Create what is missing of the three accounts, and commit.

    :param password: for everybody seeded; who has another one gets this. ``None`` leaves
        those who are there alone.
    :param generate: makes the password of new people when there is none.
    :returns: what was done, in sentences, and the password that was generated, if one was.
    """
    done: list[str] = []
    generated: str | None = None
    for customer in CUSTOMERS:
        account = db.session.scalar(sa.select(Account).filter_by(slug=customer.slug))
        if account is None:
            if password is None:
                password = generated = generate()
            _found(customer, password)
            done.append(f"Created {customer.slug}: {customer.name}, {customer.plan}.")
        elif password is not None and (reset := _reset_passwords(customer, account, password)):
            done.append(f"Set the password of {', '.join(reset)}.")
    db.session.commit()
    return done, generated


def _found(customer: Customer, password: str) -> None:
    account = Account(slug=customer.slug, name=customer.name, plan=customer.plan)
    db.session.add(account)
    db.session.flush()
    users: dict[str, User] = {}
    for person in customer.people:
        first, _, last = person.display_name.partition(" ")
        user = User(
            account_id=account.id,
            username=address(person.name, customer.slug),
            email=address(person.name, customer.slug),
            display_name=person.display_name,
            full_name=person.display_name,
            first_name=first,
            last_name=last,
            role=person.role,
        )
        user.set_password(password)
        users[person.name] = user
    db.session.add_all(users.values())
    teams = {name: Team(account_id=account.id, name=name) for name in customer.teams}
    db.session.add_all(teams.values())
    db.session.flush()
    for name, members in customer.teams.items():
        db.session.add_all(
            TeamMember(team_id=teams[name].id, user_id=users[member].id) for member in members
        )
    for title, (owner, editions) in customer.magazines.items():
        magazine = Magazine(account_id=account.id, title=title, owner_id=users[owner].id)
        db.session.add(magazine)
        db.session.flush()
        db.session.add_all(
            Edition(
                magazine_id=magazine.id,
                title=name,
                state="published" if at else "draft",
                published_at=at,
            )
            for name, at in editions.items()
        )


def _reset_passwords(customer: Customer, account: Account, password: str) -> list[str]:
    names = [address(person.name, customer.slug) for person in customer.people]
    users = db.session.scalars(
        sa.select(User).where(User.account_id == account.id, User.username.in_(names))
    )
    reset = []
    for user in users:
        if not check_password(user.password_hash, password):
            user.set_password(password)
            reset.append(user.username)
    return reset


@dataclass(frozen=True)
class Grown:
    """What :func:`grow` is about to add, and the work of doing it."""

    users: range
    groups: range
    #: Does the work when iterated over; yields how many rows of it are finished.
    steps: Iterator[int]


def grow(account: Account, users: int, groups: int) -> Grown:
    """Add a directory of ``users`` people in ``groups`` teams to ``account``.

    The numbers go on after those of an earlier call. The people of one call are dealt out
    evenly to the teams of that call. Each batch is committed by itself, so that a large
    directory does not keep others from writing.
    """
    slug = account.slug
    first_user = _highest(User.username, User.account_id == account.id, "user", f"@{slug}.example")
    first_group = _highest(Team.name, Team.account_id == account.id, "Team ", "")
    new_users = range(first_user + 1, first_user + 1 + users)
    new_groups = range(first_group + 1, first_group + 1 + groups)
    return Grown(new_users, new_groups, _insert(account.id, slug, new_users, new_groups))


_DIGITS = 7


def _highest(column: Any, of_account: sa.ColumnElement[bool], prefix: str, suffix: str) -> int:
    """The highest number that stands between ``prefix`` and ``suffix``; 0 when none does."""
    names = db.session.scalars(
        sa.select(column)
        .where(
            of_account,
            column.like(prefix + "_" * _DIGITS + suffix),
            column <= prefix + "9" * _DIGITS + suffix,
        )
        .order_by(column.desc())
        .limit(100)
    )
    numbers = (name[len(prefix) : len(prefix) + _DIGITS] for name in names)
    return next((int(number) for number in numbers if number.isdecimal()), 0)


def _insert(account_id: uuid.UUID, slug: str, users: range, groups: range) -> Iterator[int]:
    team_ids = [uuid.uuid4() for _ in groups]
    teams = (
        {
            "id": key,
            "account_id": account_id,
            "name": f"Team {number:0{_DIGITS}}",
            "external_id": str(uuid.uuid4()),
        }
        for key, number in zip(team_ids, groups, strict=True)
    )
    for batch in _batches(teams):
        db.session.execute(sa.insert(Team), batch)
        db.session.commit()
        yield len(batch)

    at = now()
    people = (_person(account_id, slug, number, at) for number in users)
    dealt = 0
    for batch in _batches(people):
        db.session.execute(sa.insert(User), batch)
        if team_ids:
            db.session.execute(
                sa.insert(TeamMember),
                [
                    {
                        "team_id": team_ids[(dealt + place) % len(team_ids)],
                        "user_id": person["id"],
                        "joined_at": at,
                    }
                    for place, person in enumerate(batch)
                ],
            )
        db.session.commit()
        dealt += len(batch)
        yield len(batch)


_GIVEN = ("Ana", "Ben", "Chloe", "Daan", "Elif", "Femi", "Gita", "Hugo", "Ines", "Jan", "Kofi")
_FAMILY = ("Adler", "Bakker", "Chen", "Diaz", "Eriksen", "Fontaine", "Garcia", "Haas", "Ito")


def _person(account_id: uuid.UUID, slug: str, number: int, at: datetime) -> dict[str, Any]:
    first = _GIVEN[number % len(_GIVEN)]
    last = _FAMILY[number % len(_FAMILY)]
    name = address(f"user{number:0{_DIGITS}}", slug)
    return {
        "id": uuid.uuid4(),
        "account_id": account_id,
        "username": name,
        "email": name,
        "display_name": f"{first} {last}",
        "full_name": f"{first} {last}",
        "first_name": first,
        "last_name": last,
        "language": "en-GB",
        "external_id": str(uuid.uuid4()),
        "scim_extra": {},
        "role": "reader",
        "created_at": at,
        "updated_at": at,
    }


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    source = iter(rows)
    while batch := list(islice(source, BATCH)):
        yield batch
