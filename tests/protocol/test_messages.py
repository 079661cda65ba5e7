"""JSON bodies, PatchOp, query parameters and ListResponse."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flask_h5mag_scim.protocol import messages
from flask_h5mag_scim.protocol.errors import InvalidCount, InvalidSyntax, InvalidValue, SCIMError
from flask_h5mag_scim.protocol.patch import PATCH_OP


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{",
        b"[]",
        b'"x"',
        b"null",
        b"5",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": -1e999}',
        b'{"a": ' + b"1" * 5000 + b"}",
        b'{"a": "\xff"}',
        b'{"a": "line\nbreak"}',
        '{"a": "b"}'.encode("utf-16"),
        '{"a": "\\u0000"}'.encode("utf-32"),
        b'{"a":' + b"[" * 100_000,
        b'{"a":' * 30 + b"1" + b"}" * 30,
        b'{"a": ' + b"[" * 30 + b"]" * 30 + b"}",
    ],
)
def test_a_body_that_is_no_json_object_is_invalid_syntax(data: bytes) -> None:
    """Also JSON that Python reads and nobody else: NaN, UTF-16, numbers beyond all numbers."""
    with pytest.raises(InvalidSyntax):
        messages.read_object(data)


@pytest.mark.parametrize(
    "data",
    [
        b'{"a": "\\u0000"}',
        b'{"a": ["x", {"b": "\\ud800"}]}',
        b'{"\\u0000": 1}',
        b'{"a": "\\udc00\\ud800"}',
    ],
)
def test_a_text_that_cannot_be_stored_is_an_invalid_value(data: bytes) -> None:
    """NUL and halves of surrogate pairs have no place in PostgreSQL or in UTF-8."""
    with pytest.raises(InvalidValue):
        messages.read_object(data)


def test_ordinary_bodies_are_read() -> None:
    """Escapes, pairs of surrogates, a byte order mark, and twenty levels."""
    assert messages.read_object('\ufeff{"a": "\\ud83d\\ude00é\\u00e9\\n"}'.encode()) == {
        "a": "😀éé\n"
    }
    deep = '{"a":' * 20 + "1" + "}" * 20
    assert messages.read_object(deep.encode()) == json.loads(deep)


@pytest.mark.parametrize("schemas", [[PATCH_OP], [PATCH_OP.upper()], ["x", PATCH_OP], None])
def test_operations_are_found_in_any_order_and_case(schemas: Any) -> None:
    """Entra sends Operations before schemas; a PATCH without schemas means no other thing."""
    body = {"Operations": [{"op": "x"}], "schemas": schemas}
    assert messages.patch_operations(body) == [{"op": "x"}]
    assert messages.patch_operations({"OPERATIONS": [1], "Schemas": [PATCH_OP]}) == [1]


@pytest.mark.parametrize("schemas", [[], ["urn:x"], PATCH_OP, [5], {}])
def test_another_message_is_no_patch(schemas: Any) -> None:
    """RFC 7644 §3.5.2: the body must carry PatchOp's URN."""
    with pytest.raises(InvalidSyntax):
        messages.patch_operations({"schemas": schemas, "Operations": []})


@pytest.mark.parametrize("operations", [None, [], {}, "x", 5, [1], [{}, None]])
def test_operations_are_a_list_of_objects_with_something_in_it(operations: Any) -> None:
    """Everything else is invalidSyntax."""
    with pytest.raises(InvalidSyntax):
        messages.checked_operations(operations)


@pytest.mark.parametrize(
    ("parameters", "query"),
    [
        ({}, (None, 1, 50)),
        ({"filter": ""}, (None, 1, 50)),
        ({"filter": "a pr", "aadOptscim062020": ""}, ("a pr", 1, 50)),
        ({"startIndex": "3", "count": "7"}, (None, 3, 7)),
        ({"startIndex": "0"}, (None, 1, 50)),
        ({"startIndex": "-5", "count": "-5"}, (None, 1, 0)),
        ({"count": "0"}, (None, 1, 0)),
        ({"count": "10"}, (None, 1, 10)),
        ({"count": "999"}, (None, 1, 50)),
        ({"startIndex": "", "count": " "}, (None, 1, 50)),
        ({"startIndex": "9" * 30, "count": "9" * 30}, (None, 2**31, 50)),
    ],
)
def test_numbers_of_a_list_are_brought_into_range(
    parameters: dict[str, str], query: tuple[Any, ...]
) -> None:
    """RFC 7644 §3.4.2.4: below 1 is 1, a negative count is 0, too many are cut."""
    assert messages.read_query(parameters, max_results=50) == messages.Query(*query)


def test_an_order_and_a_place_are_read() -> None:
    """RFC 7644 §3.4.2.3: ascending unless it is said otherwise; RFC 9865 §2: empty is first."""
    for parameters, query in (
        ({"sortBy": "a"}, (None, 1, 50, "a", False, None)),
        ({"sortBy": "a", "sortOrder": "Descending"}, (None, 1, 50, "a", True, None)),
        ({"sortOrder": "descending"}, (None, 1, 50, None, False, None)),
        ({"sortOrder": "sideways", "sortBy": " "}, (None, 1, 50, None, False, None)),
        ({"cursor": "", "count": "-2"}, (None, 1, 0, None, False, "")),
        ({"cursor": "x", "startIndex": "1"}, (None, 1, 50, None, False, "x")),
    ):
        assert messages.read_query(parameters, max_results=50) == messages.Query(*query)


@pytest.mark.parametrize(
    ("parameters", "error", "named"),
    [
        ({"sortBy": "a", "sortOrder": "sideways"}, InvalidValue, "sortOrder"),
        ({"cursor": "", "count": "x"}, InvalidCount, "count"),
        ({"cursor": "", "startIndex": "x"}, InvalidValue, "startIndex"),
        ({"cursor": "", "startIndex": "2"}, InvalidValue, "startIndex"),
    ],
)
def test_an_order_or_a_place_that_is_none_is_refused(
    parameters: dict[str, str], error: type[SCIMError], named: str
) -> None:
    """The parameter is named."""
    with pytest.raises(error, match=named):
        messages.read_query(parameters, max_results=50)


def test_a_search_request_is_a_query_by_another_way() -> None:
    """RFC 7644 §3.4.3: lists instead of commas, numbers instead of texts."""
    body = {
        "schemas": [messages.SEARCH_REQUEST],
        "attributes": ["userName", "name.givenName"],
        "excludedAttributes": [],
        "FILTER": "a pr",
        "sortBy": None,
        "cursor": "",
        "count": 7,
        "startIndex": "2",
        "unknown": {},
    }
    assert messages.search_request(body) == {
        "attributes": "userName,name.givenName",
        "filter": "a pr",
        "cursor": "",
        "count": "7",
        "startIndex": "2",
    }


@pytest.mark.parametrize("name", ["startIndex", "count"])
@pytest.mark.parametrize("text", ["x", "1.5", "1e3", "9" * 5000])
def test_a_number_that_is_none_is_an_invalid_value(name: str, text: str) -> None:
    """The parameter is named, and a long text is cut."""
    with pytest.raises(InvalidValue, match=name) as refused:
        messages.read_query({name: text}, max_results=50)
    assert len(refused.value.detail) < 200


def test_a_list_response_counts_what_it_shows() -> None:
    """RFC 7644 §3.4.2: Resources is a list even when it is empty."""
    assert messages.list_response([], total=0) == {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": 0,
        "itemsPerPage": 0,
        "startIndex": 1,
        "Resources": [],
    }
    followed = messages.list_response([], total=None, start_index=None, next_cursor="x")
    assert followed["nextCursor"] == "x"
    assert {"totalResults", "startIndex"}.isdisjoint(followed)
    page = messages.list_response([{"id": "3"}], total=9, start_index=3)
    assert (page["itemsPerPage"], page["startIndex"], page["totalResults"]) == (1, 3, 9)


def test_an_error_is_a_scim_message() -> None:
    """RFC 7644 §3.12: the status is a text; scimType is left out where there is none."""
    assert InvalidValue("No.").body() == {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "status": "400",
        "scimType": "invalidValue",
        "detail": "No.",
    }
    assert "scimType" not in SCIMError().body()
    assert SCIMError().body()["detail"]


def test_messages_go_out_as_compact_utf8() -> None:
    """Letters are not escaped."""
    assert messages.write({"a": "é"}) == '{"a":"é"}'.encode()
