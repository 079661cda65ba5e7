"""What the log shows of values."""

from __future__ import annotations

import json
from typing import Any

import pytest

from flask_h5mag_scim.protocol import masks


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (False, False),
        ("True", "True"),
        ("false", "false"),
        ("", ""),
        ("A", "A•••"),
        ("Ada Lovelace", "A•••"),
        ("Łukasz", "Ł•••"),
        ("李雷", "李•••"),
        ("ada@example.com", "a•••@example.com"),
        ("ada@b.example.co.uk", "a•••@b.example.co.uk"),
        ("ada_fabrikam.com#EXT#@contoso.onmicrosoft.com", "a•••@contoso.onmicrosoft.com"),
        ("@example.com", "@•••"),
        ("@ada.lovelace", "@•••"),
        ("https://video.example/@ada.lovelace", "h•••"),
        ("desk@Lovelace", "d•••"),
        ("sms@31.612345678", "s•••"),
        ("x@example.com/ada-lovelace", "x•••"),
        ("ada lovelace@example.com", "a•••"),
        ("a@b@c", "a•••"),
        ("mail ada@example.com now", "m•••"),
        ("x" * 300 + "@example.com", "x•••"),
        (1815, "•••"),
        (18.15, "•••"),
        ([], []),
        ({}, {}),
        (["Ada", "Bo"], ["A•••", "B•••"]),
        ({"type": "work", "value": "+31 20"}, {"type": "work", "value": "+•••"}),
        ({"type": "of Ada's own making", "primary": True}, {"type": "o•••", "primary": True}),
        ({"a": {"b": [{"c": "Ada"}]}}, {"a": {"b": [{"c": "A•••"}]}}),
        ({"op": "Replace", "value": "Ada"}, {"op": "Replace", "value": "A•••"}),
        ({"op": "Ada Lovelace"}, {"op": "A•••"}),
        ({"schemas": ["urn:a:b", "Ada"]}, {"schemas": ["urn:a:b", "A•••"]}),
        ({"startIndex": 2, "count": 5, "age": 36}, {"startIndex": 2, "count": 5, "age": "•••"}),
    ],
)
def test_a_mask_leaves_a_letter_and_the_domain(value: Any, shown: Any) -> None:
    """Enough to see that it changed and of what kind it is."""
    assert masks.masked(value) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("userName", "userName"),
        ("ada@example.com", "…"),
        ("Ada Lovelace", "… …"),
        ('emails[type eq "work"].value', 'emails[type eq "work"].value'),
        ('emails[value eq "ada@example.com"].display', "emails[value eq …].display"),
        ("emails[value eq ada@example.com].x", "emails[value eq …].x"),
        ('userName eq "ada" and (title pr or not (active eq true))', None),
        ("urn:a:b:2.0:User:manager.value eq 5", "urn:a:b:2.0:User:manager.value eq …"),
        ('userName eq "ada \\" lovelace" and x eq "', "userName eq … and x eq …"),
        ("Lovelace, Ada", "…, …"),
        ('"ada" eq userName', "… eq …"),
        ("displayName eq Ada Lovelace eq", "displayName eq … … eq"),
        ('emails[type eq "work"ada@example.com]', "emails[type eq …]"),
        ('emails[type eq "work" ada]', 'emails[type eq "work" …]'),
        ("userName eq 'ada lovelace'", "userName eq … …"),
    ],
)
def test_an_expression_is_shown_without_what_it_compares_with(text: str, shown: str | None) -> None:
    """Also one that cannot be read."""
    if shown is None:
        shown = text.replace('"ada"', "…")
    assert masks.expression(text) == shown


@pytest.mark.parametrize(
    ("of", "shown"),
    [("attributes", "Name, x"), ("excludedattributes", "Name, x")]
    + [(of, "…, …") for of in ("path", "sortby", "filter")],
)
def test_only_lists_of_names_are_shown_with_their_commas(of: str, shown: str) -> None:
    """Many directories write a person so: "Lovelace, Ada"."""
    assert masks.expression("Name, x", of=of) == shown
    assert masks.masked({of: "Name, x"}) == {of: shown}


def test_names_that_are_paths_lose_their_literals() -> None:
    """A PATCH without a path may compare in the names of its value."""
    sent = {"Operations": [{"op": "add", "value": {'emails[value eq "ada@x"].type': "work"}}]}
    assert masks.masked(sent)["Operations"][0]["value"] == {"emails[value eq …].type": "w•••"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("displayName", "displayName"),
        ("$ref", "$ref"),
        ("urn:a:b:2.0:User", "urn:a:b:2.0:User"),
        ('emails[type eq "work"].value', 'emails[type eq "work"].value'),
        ("emails[value eq ada@example.com].value", "emails[value eq …].value"),
        ("emails[type eq 'ada'].value", "emails[type eq …].value"),
        ("ada@example.com", "…"),
        ("Ada Lovelace", "… …"),
        ("Lovelace, Ada", "…, …"),
    ],
)
def test_a_name_that_is_no_attribute_s_is_not_shown(text: str, shown: str) -> None:
    """Somebody may use people as names: in a body, of what is kept by "*", and of what is not
    kept."""
    assert masks.name(text) == shown
    assert masks.masked({text: True}) == {shown: True}
    assert masks.pairs({text: (None, True)}, hide=True) == {shown: [None, True]}


@pytest.mark.parametrize("mask", [masks.masked, masks.bounded])
@pytest.mark.parametrize(
    "sent",
    [
        {"password": "sesame"},
        {"PassWord": ["sesame"]},
        {"clientSecret": {"value": "sesame"}},
        {"urn:a:User:apiToken": "sesame"},
        {"path": "password", "value": "sesame"},
        {"Path": "urn:a:User:api_key", "Value": {"x": ["sesame"]}},
        {"path": 'x[secret eq "sesame"]'},
        {"filter": 'password eq "sesame"'},
        {"cursor": "sesame"},
        {"passphrase": 5e5, "sesam": None},
    ],
)
def test_secrets_are_shown_in_no_way(mask: Any, sent: Any) -> None:
    """Not their first letter either, and not where values are kept in full."""
    assert "sesame" not in json.dumps(mask(sent))
    assert "500000" not in json.dumps(mask(sent))


def test_in_full_is_within_bounds() -> None:
    """Values as they are, as far as somebody reads them."""
    value = {"name": "Ada", "born": 1815, "path": 'emails[value eq "ada"]', "long": "x" * 500}
    assert masks.bounded(value) == {**value, "long": "x" * 200 + "…"}


def test_what_is_huge_is_cut_before_it_is_gone_through() -> None:
    """Long lists, objects with many members, deep ones, and wide trees of them."""
    assert masks.masked(["a"] * 5000) == ["a•••"] * 20 + ["… and 4980 more"]
    many = masks.masked({f"n{number}": "a" for number in range(5000)})
    assert len(many) == 101
    assert many["…"] == "4900 more"
    deep: Any = "Ada"
    for _ in range(50):
        deep = {"x": deep}
    assert "Ada" not in json.dumps(masks.masked(deep))
    wide: Any = ["a"] * 20
    for _ in range(6):
        wide = [wide] * 20
    assert json.dumps(masks.masked(wide)).count("a\\u2022") < masks.MAX_VALUES
    assert len(masks.body({"x" * 5000: ["b" * 5000] * 5000}, hide=False)) <= 4001


@pytest.mark.parametrize("hide", [True, False])
@pytest.mark.parametrize(
    "value",
    [
        [{f"{'n' * 150}{number}": "" for number in range(50)} for _ in range(20)],
        [[["x" * 200] * 20] * 20] * 20,
        [[[10**4000] * 20] * 20] * 20,
    ],
    ids=["names", "texts", "numbers"],
)
def test_before_and_after_fill_no_table(hide: bool, value: Any) -> None:
    """What one request says in megabytes takes kilobytes, however it is spread over attributes:
    pages and files show many entries at once."""
    found = masks.pairs({f"a{number}": (value, value) for number in range(100)}, hide=hide)
    assert len(json.dumps(found, ensure_ascii=False)) < 300_000


def test_pairs_are_before_and_after_by_name() -> None:
    """Names of secrets count here as well, and literals in names do not stay."""
    values = {
        "title": (None, "Countess"),
        "active": (True, False),
        "urn:a:User:apiKey": ("old", "new"),
        'x[value eq "ada"].y': ("b", None),
    }
    assert masks.pairs(values, hide=True) == {
        "title": [None, "C•••"],
        "active": [True, False],
        "urn:a:User:apiKey": ["•••", "•••"],
        "x[value eq …].y": ["b•••", None],
    }
    assert masks.pairs(values, hide=False)["title"] == [None, "Countess"]
