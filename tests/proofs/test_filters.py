"""Filters as SQL, and as scim2-models evaluates them on what we answer: the same people."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import scim2_models
import sqlalchemy as sa
from flask import Flask
from hypothesis import event, given
from hypothesis import strategies as st
from scim2_models import Context, ScimFilter
from scim2_models.path import (
    Comparison,
    FilterNode,
    LogicalExpr,
    LogicalOperator,
    Not,
    Present,
    ValuePath,
)

from example_app.models import TeamMember, User, db

from ..conftest import Entra, both_databases, get_account
from .effort import examples

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"


class Email(scim2_models.Email):
    #: RFC 7643 §4.1.2: "The value SHOULD be specified according to [RFC5321]", and
    #: scim2-models refuses to read one that is not.
    value: str | None = None


class Person(scim2_models.User[scim2_models.EnterpriseUser]):
    emails: list[Email] | None = None


# The people

#: What people and filters share, so that something is found: letters in both cases, and the
#: ones that mean something to JSON, to LIKE and to SQL.
COMMON = ["a", "A", "ab", "aB", "bA", "a%b", "A_b", "%", "_", "\\", '"', "'", "\\%", " ", ""]
TEXTS = st.one_of(
    st.sampled_from(COMMON),
    st.sampled_from(COMMON),
    st.text("aAbB%_\\\"' .@\t", max_size=4),
    st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=6),
)
FULL_TEXTS = TEXTS.filter(bool)
ZONES = [UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8))]
TIMES = st.builds(
    lambda hours, micro: (
        datetime(2026, 1, 31, 22, tzinfo=UTC) + timedelta(hours=hours, microseconds=micro)
    ),
    st.integers(0, 3),
    st.sampled_from([0, 0, 1, 500_000]),
)
TEXT_COLUMNS = [
    "display_name",
    "full_name",
    "first_name",
    "last_name",
    "language",
    "locale",
    "timezone",
    "user_type",
]
IDS = st.integers(1, 9).map(lambda number: uuid.UUID(int=number))
PEOPLE = st.lists(
    st.fixed_dictionaries(
        {
            "id": IDS,
            "username": FULL_TEXTS,
            "external_id": st.none() | FULL_TEXTS,
            "email": st.none() | TEXTS,
            "deactivated_at": st.none() | TIMES,
            "created_at": TIMES,
            "updated_at": TIMES,
            **dict.fromkeys(TEXT_COLUMNS, st.none() | TEXTS),
        }
    ),
    min_size=1,
    max_size=6,
    unique_by=(
        lambda person: person["id"],
        lambda person: person["username"].lower(),
        lambda person: person["external_id"] or object(),
    ),
)

# The filters, by RFC 7644 figure 1


def odd_case(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from([text, text, text.lower(), text.upper(), text.swapcase()])


def named(*names: str) -> st.SearchStrategy[str]:
    """``attrPath``: a name in any case, plain or behind the schema's URN."""
    plain = st.sampled_from(names).flatmap(odd_case)
    return plain | st.builds("{}:{}".format, odd_case(CORE), plain)


EQUALITY = st.sampled_from(["eq", "ne"]).flatmap(odd_case)
ORDER = st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le"]).flatmap(odd_case)
ANY_OPERATOR = st.sampled_from(["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"]).flatmap(
    odd_case
)
SPACES = st.sampled_from([" ", " ", "  "])


def compared(
    names: st.SearchStrategy[str], operators: st.SearchStrategy[str], values: st.SearchStrategy[Any]
) -> st.SearchStrategy[str]:
    return st.builds(
        lambda name, op, value, one, two: f"{name}{one}{op}{two}{json.dumps(value)}",
        names,
        operators,
        values,
        SPACES,
        SPACES,
    ) | st.builds(lambda name, pr: f"{name} {pr}", names, odd_case("pr"))


def joined(terms: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """``logExp``, ``not`` and grouping above ``terms``."""
    return st.recursive(
        terms,
        lambda inner: (
            st.builds("{} {} {}".format, inner, st.sampled_from(["and", "or", "AND", "Or"]), inner)
            | st.builds("({})".format, inner)
            | st.builds("{}({})".format, st.sampled_from(["not ", "not", "NOT "]), inner)
        ),
        max_leaves=6,
    )


ANY_VALUE = st.one_of(TEXTS, st.booleans(), st.none(), st.integers(-9, 9), st.floats(-9, 9))
TEXT_PATHS = named(
    "userName",
    "externalId",
    "displayName",
    "name.formatted",
    "name.givenName",
    "name.familyName",
    "preferredLanguage",
    "locale",
    "timezone",
    "userType",
    "emails.value",
    "emails",
)
WRITTEN_TIMES = st.builds(
    lambda time, zone, z: time.astimezone(zone).isoformat().replace("+00:00", z),
    TIMES,
    st.sampled_from(ZONES),
    st.sampled_from(["Z", "+00:00"]),
)
IN_BRACKETS = joined(
    st.one_of(
        compared(odd_case("value"), ANY_OPERATOR, TEXTS),
        compared(odd_case("value"), ANY_OPERATOR, ANY_VALUE),
        compared(odd_case("type"), ANY_OPERATOR, st.sampled_from(["work", "WORK", "home", "wo"])),
        compared(odd_case("primary"), EQUALITY, st.booleans()),
    )
)
TERMS = st.one_of(
    compared(TEXT_PATHS, ANY_OPERATOR, TEXTS),
    compared(TEXT_PATHS, ANY_OPERATOR, TEXTS),
    compared(TEXT_PATHS, ANY_OPERATOR, ANY_VALUE),
    compared(named("active"), EQUALITY, st.booleans()),
    compared(named("active"), ANY_OPERATOR, ANY_VALUE),
    compared(named("meta.created", "meta.lastModified"), ORDER, WRITTEN_TIMES),
    compared(named("meta.created"), ANY_OPERATOR, WRITTEN_TIMES | ANY_VALUE),
    compared(named("emails.type"), ANY_OPERATOR, st.sampled_from(["work", "WORK", "wor", "home"])),
    compared(named("emails.primary"), EQUALITY, st.booleans()),
    compared(named("name", "meta"), EQUALITY, TEXTS),
    compared(named("id"), ANY_OPERATOR, TEXTS | IDS.map(str)),
    compared(
        st.sampled_from(["nickName", "title", "name.middleName", f"{ENTERPRISE}:department"]),
        ANY_OPERATOR,
        TEXTS,
    ),
    st.builds("{}[{}]".format, named("emails"), IN_BRACKETS),
    st.builds("{}[{}]".format, named("emails"), IN_BRACKETS),
    # Not in the grammar; Entra asks so, and both sides read it as one more term in brackets.
    compared(
        st.builds("{}[{}].{}".format, named("emails"), IN_BRACKETS, odd_case("value")),
        ANY_OPERATOR,
        TEXTS,
    ),
)
FILTERS = joined(TERMS)
SEVERAL = st.lists(FILTERS, min_size=1, max_size=12)


# Where the two part, each with its reason. A leaf is a comparison or a presence; ``element``
# says that it stands in the brackets of emails.

Leaf = Comparison | Present
TIME_PATHS = {"meta.created", "meta.lastmodified"}
KEPT = {
    "username",
    "externalid",
    "displayname",
    "name",
    "name.formatted",
    "name.givenname",
    "name.familyname",
    "preferredlanguage",
    "locale",
    "timezone",
    "usertype",
    "active",
    "meta",
    *TIME_PATHS,
    "id",
    "emails",
    "emails.value",
    "emails.type",
    "emails.primary",
}


def path_of(leaf: Leaf, element: bool) -> str:
    path = leaf.attr_path
    urn = path.uri if (path.uri or CORE).lower() != CORE.lower() else None
    plain = f"{path.attr}.{path.sub_attr}" if path.sub_attr else path.attr
    plain = f"emails.{plain}" if element else plain
    return (f"{urn}:{plain}" if urn else plain).lower()


def op_of(leaf: Leaf) -> str:
    return "pr" if isinstance(leaf, Present) else str(leaf.op.value)


def value_of(leaf: Leaf) -> Any:
    return None if isinstance(leaf, Present) else leaf.value


def is_unmapped(leaf: Leaf, element: bool) -> bool:
    """What is not mapped is not searched, and refused by name: Entra takes an empty answer for
    "no such user" and makes a twin. To scim2-models it is an attribute without a value."""
    return path_of(leaf, element) not in KEPT


def compares_a_complex_attribute(leaf: Leaf, element: bool) -> bool:
    """RFC 7644 §3.4.2.2 defines comparisons on values; ``name`` has none, only parts, and no
    part is the default. scim2-models answers that nothing is equal to it."""
    return path_of(leaf, element) in {"name", "meta"} and op_of(leaf) != "pr"


def compares_different_types(leaf: Leaf, element: bool) -> bool:
    """RFC 7644 §3.4.2.2: "The actual comparison is dependent on the attribute type"; §3.12,
    invalidFilter: "the specified attribute and filter comparison combination is not
    supported". Ours refuses what scim2-models converts, or calls different."""
    value, path = value_of(leaf), path_of(leaf, element)
    if op_of(leaf) == "pr" or value is None:
        return False
    if path in {"active", "emails.primary"}:
        return not isinstance(value, bool)
    return not isinstance(value, str)


def orders_a_null(leaf: Leaf, element: bool) -> bool:
    """The same: null is a value that is there or not, and has no order and no letters."""
    return op_of(leaf) not in {"pr", "eq", "ne"} and value_of(leaf) is None


def orders_a_boolean(leaf: Leaf, element: bool) -> bool:
    """RFC 7644 §3.4.2.2, of gt, ge, lt and le: "Boolean and Binary attributes SHALL cause a
    failed response (HTTP status code 400) with scimType of invalidFilter"; both refuse."""
    is_boolean = path_of(leaf, element) in {"active", "emails.primary"}
    return is_boolean and op_of(leaf) not in {"pr", "eq", "ne"}


def is_no_time(leaf: Leaf, element: bool) -> bool:
    """A dateTime is compared with a dateTime ("For DateTime attribute types, this is a
    chronological comparison"); its letters are not kept, so that co, sw and ew are refused.
    Both refuse a text that is none."""
    if path_of(leaf, element) not in TIME_PATHS or value_of(leaf) is None:
        return False
    try:
        datetime.fromisoformat(value_of(leaf))
    except (TypeError, ValueError):
        return True
    return op_of(leaf) in {"co", "sw", "ew"}


def orders_an_id(leaf: Leaf, element: bool) -> bool:
    """An id is a key of the host's: as a text, a UUID has no dashes on SQLite. It is compared
    with eq and ne, and any other is refused (§3.12, invalidFilter)."""
    if path_of(leaf, element) != "id" or op_of(leaf) == "pr":
        return False
    return op_of(leaf) not in {"eq", "ne"} and value_of(leaf) is not None


REFUSED_HERE = [
    is_unmapped,
    compares_a_complex_attribute,
    compares_different_types,
    orders_a_null,
    orders_a_boolean,
    is_no_time,
    orders_an_id,
]


def compares_empty_with_null(leaf: Leaf, element: bool) -> bool:
    """``eq null`` is the opposite of pr here, and pr asks for a "non-empty" value (RFC 7644
    §3.4.2.2), so that "" is null. RFC 7643 §2.5 speaks of "the "null" value or an empty array"
    only, and scim2-models tells "" and null apart."""
    return op_of(leaf) in {"eq", "ne"} and value_of(leaf) is None


ANSWERED_DIFFERENTLY = [compares_empty_with_null]


def asks_for_any_address(leaf: Leaf, element: bool) -> bool:
    """Where somebody's address is "": ours takes ``emails pr`` for ``emails.value pr``, as
    RFC 7644 §3.4.2.2 takes ``emails co "x"`` for ``emails.value co "x"``, and "" is not
    "non-empty"; to scim2-models the type is a "non-empty node" of the element."""
    return path_of(leaf, element) == "emails" and op_of(leaf) == "pr"


ANSWERED_DIFFERENTLY_OF_AN_EMPTY_ADDRESS = [asks_for_any_address]


def negates_behind_brackets(filter: str) -> bool:
    """``emails[…].value ne "x"`` is not in RFC 7644's grammar. Here ne is always the plain
    negation, which finds who has no value as well: no work address is "x". To scim2-models it
    is one more term in the brackets: some work address is not "x"."""
    return re.search(r"\]\.value\s+ne\b", filter, re.IGNORECASE) is not None


def finds_nothing_kept(node: FilterNode) -> bool:
    """What is kept of emails is the value of one element, whose type is work and which is the
    primary one. Who asks for another, asks for what is not mapped, and is refused as above."""
    if isinstance(node, ValuePath):
        return decided(node.val_filter) is False
    if isinstance(node, Comparison | Present):
        if path_of(node, False) not in {"emails.type", "emails.primary"}:
            return False
        if isinstance(node, Comparison) and node.op.value == "ne":
            # ne is the negation of eq, which finds nothing or everything.
            return not decided(Not(Comparison(node.attr_path, node.op, node.value)))
        return decided(node) is False
    return any(finds_nothing_kept(term) for term in below(node))


def decided(node: FilterNode) -> bool | None:
    """What is known of the element without its value; ``None`` where that decides."""
    match node:
        case Not():
            found = decided(node.expr)
            return None if found is None else not found
        case LogicalExpr():
            terms = [decided(term) for term in node.terms]
            dominant = node.op == LogicalOperator.or_
            if dominant in terms:
                return dominant
            return None if None in terms else not dominant
        case Comparison() | Present():
            name = (node.attr_path.sub_attr or node.attr_path.attr).lower()
            if name == "value":
                return None
            element = Email(type="work", primary=True)
            path = type(node.attr_path)(name)
            alone = (
                Present(path)
                if isinstance(node, Present)
                else Comparison(path, node.op, node.value)
            )
            whole = Person(user_name="x", emails=[element])
            return ScimFilter[Person](str(ValuePath(type(node.attr_path)("emails"), alone))).match(
                whole
            )
    raise AssertionError(node)


def below(node: FilterNode) -> list[FilterNode]:
    match node:
        case Not():
            return [node.expr]
        case LogicalExpr():
            return list(node.terms)
        case ValuePath():
            return [node.val_filter]
    return []


def says(
    node: FilterNode, rules: list[Callable[[Leaf, bool], bool]], element: bool = False
) -> bool:
    """Whether one of the rules speaks of some leaf."""
    if isinstance(node, Comparison | Present):
        return any(rule(node, element) for rule in rules)
    inside = element or isinstance(node, ValuePath)
    return any(says(term, rules, inside) for term in below(node))


# The proof


@dataclass
class Directory:
    """One account with generated people in it, and what a client sees of them."""

    entra: Entra
    account_id: uuid.UUID

    def fill(self, people: list[dict[str, Any]]) -> dict[str, Person]:
        db.session.execute(sa.delete(TeamMember))
        db.session.execute(sa.delete(User).where(User.account_id == self.account_id))
        rows = [{"account_id": self.account_id, **person} for person in people]
        db.session.execute(sa.insert(User), rows)
        db.session.commit()
        db.session.remove()
        found = self.entra.get("/Users").get_json()["Resources"]
        assert len(found) == len(people)
        return {
            one["id"]: Person.model_validate(one, scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
            for one in found
        }

    def ask(self, filter: str) -> Any:
        return self.entra.client.get(
            "/scim/v2/Users",
            query_string={"filter": filter, "attributes": "id"},
            headers={"Authorization": f"Bearer {self.entra.token}"},
        )


@both_databases
@given(PEOPLE, SEVERAL)
@examples(60)
def test_a_filter_finds_whom_another_library_finds(
    app: Flask, entra: Entra, people: list[dict[str, Any]], filters: list[str]
) -> None:
    """SQL and scim2-models agree about every filter of the grammar on everything mapped, but
    for the differences above, each of which is refused or answered as it says."""
    with app.app_context():
        account = get_account().id
        directory = Directory(entra, account)
        seen = directory.fill(people)
    for filter in filters:
        compare(directory, seen, filter)


def compare(directory: Directory, seen: dict[str, Person], filter: str) -> None:
    tree = ScimFilter(filter).ast
    answer = directory.ask(filter)
    if negates_behind_brackets(filter):
        event("answered differently")
        assert answer.status_code in (200, 400), answer.text
        return
    if says(tree, REFUSED_HERE) or finds_nothing_kept(tree):
        event("refused")
        assert answer.status_code == 400, filter
        assert answer.get_json()["scimType"] == "invalidFilter"
        return
    assert answer.status_code == 200, (filter, answer.text)
    has_empty = any(person.emails and not person.emails[0].value for person in seen.values())
    rules = [*ANSWERED_DIFFERENTLY, *(ANSWERED_DIFFERENTLY_OF_AN_EMPTY_ADDRESS * has_empty)]
    if says(tree, rules):
        event("answered differently")
        return
    ours = [one["id"] for one in answer.get_json()["Resources"]]
    bound = ScimFilter[Person](filter)
    theirs = [id for id, person in seen.items() if bound.match(person)]
    event("some" if 0 < len(ours) < len(seen) else "everybody" if ours else "nobody")
    assert ours == theirs, filter
    assert answer.get_json()["totalResults"] == len(ours)
