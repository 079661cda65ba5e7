"""PATCH, and what scim2-models makes of the same operations."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import scim2_models
from hypothesis import event, given
from hypothesis import strategies as st
from marshmallow import ValidationError
from pydantic import ValidationError as TheirValidationError
from scim2_models import Context, PatchOp, SCIMException, ScimPolicy

from flask_h5mag_scim.protocol import patch
from flask_h5mag_scim.protocol.errors import SCIMError
from flask_h5mag_scim.protocol.paths import parse_path
from flask_h5mag_scim.protocol.schemas import CORE_USER, ENTERPRISE_USER, USER, Target

from ..conftest import Entra
from .effort import examples


class Email(scim2_models.Email):
    #: See test_filters: any text is an address there.
    value: str | None = None


class Person(scim2_models.User[scim2_models.EnterpriseUser]):
    emails: list[Email] | None = None


#: What Entra needs and the RFC leaves to the server: a removal that carries values, and an
#: element that is made where nothing matches. What we do not ask of it, is strict.
POLICY = ScimPolicy(
    remove_value_as_filter=ScimPolicy.RemoveValue.apply,
    unmatched_path_filter=ScimPolicy.UnmatchedPathFilter.create,
)

# The users

WORDS = st.sampled_from(["a", "A", "b", "c d", "ç"])
KINDS = st.sampled_from(["work", "home", "other"])
ELEMENTS = st.fixed_dictionaries(
    {"value": WORDS},
    optional={"type": KINDS, "display": WORDS, "primary": st.booleans()},
)
LISTS = st.lists(
    ELEMENTS, min_size=1, max_size=3, unique_by=lambda one: (one["value"].lower(), one.get("type"))
).map(lambda elements: _with_one_primary(elements))


def _with_one_primary(elements: list[dict[str, Any]]) -> list[dict[str, Any]]:
    first = next((one for one in elements if one.get("primary")), None)
    return [
        one if one is first else {k: v for k, v in one.items() if k != "primary" or not v}
        for one in elements
    ]


NAMES = st.dictionaries(
    st.sampled_from(["givenName", "familyName", "formatted"]), WORDS, min_size=1
)
ENTERPRISES = st.fixed_dictionaries(
    {}, optional={"department": WORDS, "employeeNumber": WORDS}
).filter(bool)
USERS = st.fixed_dictionaries(
    {"userName": WORDS, "active": st.booleans()},
    optional={
        "displayName": WORDS,
        "nickName": WORDS,
        "title": WORDS,
        "name": NAMES,
        "emails": LISTS,
        "phoneNumbers": LISTS,
        ENTERPRISE_USER: ENTERPRISES,
    },
)

# The operations


def odd_case(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from([text, text, text, text.lower(), text.upper()])


SIMPLE = st.sampled_from(
    [
        "userName",
        "displayName",
        "nickName",
        "title",
        "name.givenName",
        "name.familyName",
        f"{ENTERPRISE_USER}:department",
        f"{ENTERPRISE_USER}:employeeNumber",
        f"{CORE_USER}:nickName",
        f"{CORE_USER}:name.formatted",
    ]
).flatmap(odd_case)
MANY = st.sampled_from(["emails", "phoneNumbers"]).flatmap(odd_case)
TESTS = st.one_of(
    st.builds('type eq "{}"'.format, KINDS),
    st.builds('type eq "{}"'.format, KINDS),
    st.builds('value eq "{}"'.format, WORDS),
    st.builds('value ne "{}"'.format, WORDS),
    st.builds("primary eq {}".format, st.sampled_from(["true", "false"])),
    st.just("display pr"),
)
BRACKETS = (
    TESTS
    | st.builds("{} {} {}".format, TESTS, st.sampled_from(["and", "or"]), TESTS)
    | st.builds("not ({})".format, TESTS)
)
SOME = st.builds("{}[{}]".format, MANY, BRACKETS)
PART = st.sampled_from(["value", "display", "type"])
PARTS = st.fixed_dictionaries(
    {}, optional={"value": WORDS, "display": WORDS, "type": KINDS, "primary": st.booleans()}
).filter(bool)


def operation(op: st.SearchStrategy[str], path: Any, value: Any) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries({"op": op, "path": path, "value": value})


SETTING = st.sampled_from(["add", "replace"])
OPERATIONS = st.one_of(
    operation(SETTING, SIMPLE, WORDS),
    operation(SETTING, st.just("active"), st.booleans()),
    operation(SETTING, odd_case("name"), NAMES),
    operation(SETTING, odd_case(ENTERPRISE_USER), ENTERPRISES),
    operation(SETTING, MANY, LISTS | ELEMENTS | st.lists(ELEMENTS, max_size=3)),
    operation(SETTING, MANY, LISTS | ELEMENTS),
    operation(SETTING, SOME, PARTS),
    operation(SETTING, st.builds("{}.{}".format, SOME, PART), WORDS),
    operation(SETTING, st.builds("{}.{}".format, MANY, st.just("display")), WORDS),
    operation(st.just("replace"), SIMPLE | MANY | st.just("active"), st.none()),
    st.just({"op": "remove", "path": "active"}),
    st.fixed_dictionaries({"op": SETTING, "value": USERS}),
    st.fixed_dictionaries(
        {
            "op": SETTING,
            "value": st.dictionaries(SIMPLE.map(str), WORDS, min_size=1, max_size=3),
        }
    ),
    st.fixed_dictionaries(
        {
            "op": st.just("remove"),
            "path": st.one_of(
                SIMPLE,
                MANY,
                SOME,
                odd_case("name"),
                odd_case(ENTERPRISE_USER),
                st.builds("{}.{}".format, SOME, PART),
                st.builds("{}.{}".format, MANY, PART),
            ),
        }
    ),
    operation(
        st.just("remove"),
        MANY,
        st.lists(
            st.fixed_dictionaries({"value": WORDS}, optional={"type": KINDS}),
            min_size=1,
            max_size=2,
        ),
    ),
    # What is refused.
    operation(SETTING, st.sampled_from(["id", "meta.created", "groups"]), WORDS),
    operation(SETTING, SIMPLE, st.sampled_from([5, ["a"], {"a": "b"}])),
    operation(SETTING, MANY, st.sampled_from(["a", 5, [5], [{"value": 5}]])),
    st.just({"op": "remove"}),
    st.just({"op": "add", "path": "nickName"}),
    st.just({"op": "replace", "value": "a"}),
    st.just({"op": "move", "path": "nickName", "value": "a"}),
    st.just({"op": "add", "path": "emails[type eq", "value": "a"}),
    st.just({"op": "add", "path": 'nickName[type eq "a"]', "value": "a"}),
    st.just({"op": "add", "path": "nickName.part", "value": "a"}),
)


# The two


class Refused(Exception):
    """A request that is not carried out."""


def ours(document: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    try:
        parsed = patch.parse(operations, USER)
        return patch.apply(document, parsed, lambda target: True)[0]
    except (SCIMError, ValidationError) as error:
        raise Refused(str(error)) from error


def theirs(document: dict[str, Any], operations: list[dict[str, Any]]) -> dict[str, Any]:
    person = Person.model_validate(
        {"schemas": [CORE_USER], "id": "1", **document},
        scim_ctx=Context.RESOURCE_QUERY_RESPONSE,
        scim_policy=POLICY,
    )
    message = {"schemas": [patch.PATCH_OP], "Operations": operations}
    try:
        PatchOp[Person].model_validate(
            message, scim_ctx=Context.RESOURCE_PATCH_REQUEST, scim_policy=POLICY
        ).patch(person, scim_policy=POLICY)
    except (SCIMException, TheirValidationError) as error:
        raise Refused(str(error)) from error
    found = person.model_dump(scim_ctx=Context.RESOURCE_QUERY_RESPONSE)
    return {name: value for name, value in found.items() if name not in ("schemas", "id")}


def same(document: dict[str, Any]) -> Any:
    """A document without what means nothing: what is empty (RFC 7643 §2.5), and the order of
    a list (§2.4)."""
    if isinstance(document, dict):
        parts = {name: same(part) for name, part in document.items()}
        return {name: part for name, part in parts.items() if part not in (None, [], {})}
    if isinstance(document, list):
        return sorted((part for part in map(same, document) if part), key=_sorted)
    return document


def _sorted(part: Any) -> str:
    return json.dumps(part, sort_keys=True)


def outcome(apply: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return same(apply(*arguments))
    except Refused as refused:
        return refused


# Where the two part, each with its reason: predicates on a document and an operation on it

Document = dict[str, Any]


def target_of(one: Document) -> Target | None:
    try:
        return USER.locate(parse_path(one["path"]))
    except (KeyError, SCIMError):
        return None


def written_lists(one: Document) -> list[tuple[str, list[Any]]]:
    """The lists that an operation writes whole, by the attribute's name."""
    target, value = target_of(one), one.get("value")
    if target is None:
        parts = value.items() if "path" not in one and isinstance(value, dict) else ()
        return [(name, part) for name, part in parts if isinstance(part, list)]
    if not target.multi_valued or target.filter or target.sub:
        return []
    return [(target.name, value if isinstance(value, list) else [value])]


def covers(sent: Any, item: Any) -> bool:
    """Whether everything that is sent of an element is there, but for case."""
    if not (isinstance(sent, dict) and isinstance(item, dict)):
        return False
    return all(str(item.get(name)).lower() == str(part).lower() for name, part in sent.items())


def adds_what_is_there(document: Document, one: Document) -> bool:
    """RFC 7644 §3.5.2.1: "If the target location already contains the value specified, no
    changes SHOULD be made". Ours takes an element that has all that is sent of it for that
    value (Entra sends {"value": …} again for what it once sent with a type), by the letter, as
    the client wrote it; to scim2-models it has all of it and no more, in any case."""
    if one["op"] == "remove":
        return False
    for name, sent in written_lists(one):
        there = document.get(name, []) if one["op"] == "add" else []
        known = [*there, *sent]
        for number, element in enumerate(sent, len(there)):
            bare = (
                {k: v for k, v in element.items() if k != "primary"}
                if isinstance(element, dict)
                else element
            )
            if any(covers(bare, other) for other in known[:number]):
                return True
    return False


def replaces_elements(document: Document, one: Document) -> bool:
    """RFC 7644 §3.5.2.3: "If the target location is a multi-valued attribute and a value
    selection ("valuePath") filter is specified that matches one or more values of the
    multi-valued attribute, then all matching record values SHALL be replaced"; scim2-models
    merges what is sent into them."""
    target = target_of(one)
    return one["op"] == "replace" and target is not None and bool(target.filter) and not target.sub


def writes_a_part_of_no_element(document: Document, one: Document) -> bool:
    """RFC 7644 §3.5.2.1: "If the target location does not exist, the attribute and value are
    added", so that ``emails.display`` makes the element it stands in; scim2-models changes
    nothing."""
    target = target_of(one)
    return (
        one["op"] != "remove"
        and target is not None
        and target.multi_valued
        and target.filter is None
        and target.sub is not None
        and not document.get(target.name)
    )


def leaves_only_a_label(document: Document, one: Document) -> bool:
    """An element of which only type and primary are left says for what there is no value: it
    is taken away, as RFC 7643 §2.5 has it for an attribute without any ("unassigned"). Entra
    empties emails[type eq "work"].value and reads it back. scim2-models keeps the label."""
    target = target_of(one)
    if target is None or not target.multi_valued or (target.filter is None and not target.sub):
        return False
    try:
        left = theirs(document, [one]).get(target.name, [])
    except Refused:
        return False
    return any(not element.keys() - {"type", "primary"} for element in left)


def removes_by_letter(document: Document, one: Document) -> bool:
    """A removal that carries values is not in RFC 7644; Entra names what it once sent, by the
    letter. scim2-models makes a filter of the values, and ignores case."""
    sent = one.get("value")
    if one["op"] != "remove" or not isinstance(sent, list):
        return False
    target = target_of(one)
    there = document.get(target.name, []) if target else []
    return any(
        covers(named, element) and any(element[name] != part for name, part in named.items())
        for named in sent
        for element in there
    )


def marks_several_as_primary(document: Document, one: Document) -> bool:
    """RFC 7643 §2.4: "The primary attribute value "true" MUST appear no more than once".
    ours the last one has it, as if they had come one by one (RFC 7644 §3.5.2); scim2-models
    refuses the request."""
    try:
        theirs(document, [one])
    except Refused as refused:
        return "marked as primary" in str(refused)
    return False


DIFFERENCES = [
    adds_what_is_there,
    replaces_elements,
    writes_a_part_of_no_element,
    leaves_only_a_label,
    removes_by_letter,
    marks_several_as_primary,
]


def is_named(document: dict[str, Any], one: dict[str, Any]) -> bool:
    return any(rule(document, one) for rule in DIFFERENCES)


@given(USERS, st.lists(OPERATIONS, min_size=1, max_size=6))
@examples(120)
def test_an_operation_gives_what_another_library_gives(
    document: dict[str, Any], operations: list[dict[str, Any]]
) -> None:
    """The same document, or both refuse, but for the differences above; and operations in one
    PATCH give what they give one by one."""
    start, done = copy.deepcopy(document), []
    for one in operations:
        before = copy.deepcopy(document)
        here = outcome(ours, document, [one])
        assert document == before, "a document is never changed in place"
        there = outcome(theirs, document, [one])
        if is_named(document, one):
            event("named")
        elif isinstance(here, Refused) or isinstance(there, Refused):
            event("refused")
            assert type(here) is type(there), (document, one, here, there)
        else:
            event("the same")
            assert here == there, (document, one)
        if not isinstance(here, Refused):
            document = ours(document, [one])
            done.append(one)
    if done:
        assert same(ours(start, done)) == same(document)


# Through HTTP, on the host's columns


def as_shown(document: Document) -> Any:
    """What the example's map makes of a document: of the e-mail addresses, the one in its own
    column is the primary one while no other says so."""
    shown = copy.deepcopy(document)
    emails = shown.get("emails", [])
    own = next((one for one in emails if one.get("type") == "work" and "value" in one), None)
    if own is not None and not any(one.get("primary") for one in emails):
        own.setdefault("primary", True)
    return same(shown)


def takes_what_is_needed(document: Document, one: Document) -> bool:
    """``active`` is no required attribute in RFC 7643, but the host cannot do without."""
    return one.get("path") == "active" and one.get("value") is None


def read(entra: Entra, id: str) -> Document:
    found = entra.get(f"/Users/{id}").get_json()
    made = {"schemas", "id", "meta", "roles"}  # everybody has a role of the host's, sent or not
    return {name: part for name, part in found.items() if name not in made}


@given(USERS, st.lists(OPERATIONS, min_size=1, max_size=4))
@examples(40)
def test_a_host_keeps_what_another_library_gives(
    entra: Entra, document: Document, operations: list[Document]
) -> None:
    """The same through the example's columns and its catch-all: what GET shows after a PATCH
    is what scim2-models makes of what GET showed before."""
    answer = entra.post("/Users", {"schemas": [CORE_USER], **document})
    assert answer.status_code == 201, answer.text
    id = answer.get_json()["id"]
    try:
        assert same(read(entra, id)) == as_shown(document)
        for one in operations:
            before = read(entra, id)
            there = outcome(theirs, before, [one])
            answer = entra.patch(f"/Users/{id}", one)
            after = read(entra, id)
            if answer.status_code != 200:
                assert answer.status_code == 400, answer.text
                assert after == before
            if takes_what_is_needed(before, one):
                assert answer.status_code == 400
                continue
            if is_named(before, one):
                continue
            assert isinstance(there, Refused) is (answer.status_code != 200), (before, one, there)
            if not isinstance(there, Refused):
                assert same(after) == as_shown(there), (before, one)
    finally:
        assert entra.delete(f"/Users/{id}").status_code == 204
