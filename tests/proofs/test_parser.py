"""The parser meets any text: a tree that prints as itself, or a refusal, at a bounded cost."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from flask_h5mag_scim.protocol import paths
from flask_h5mag_scim.protocol.errors import InvalidFilter, InvalidPath, SCIMError
from flask_h5mag_scim.protocol.paths import parse_filter, parse_path

from .effort import examples
from .test_filters import FILTERS

WORDS = [
    *("and", "or", "not", "pr", "eq", "ne", "co", "gt", "true", "false", "null", "AND", "nOt"),
    *("userName", "emails", "value", "type", "$ref", "a", "x-y", "name.givenName", "urn:a:b:c"),
    *("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", ":", ".", "[", "]", "(", ")"),
    *('"', '"x"', '"\\', '"\\u0000"', '"\\ud800"', "1", "-0.5e3", "1e999", "1E-999", " ", "\t"),
    *("\n", "\x00", "é", "\ud800", "😀", "'", "\\", "/", ",", "9" * 30),
]
TEXTS = (
    st.text(max_size=60)
    | st.lists(st.sampled_from(WORDS), max_size=25).map("".join)
    | st.lists(st.sampled_from(WORDS), max_size=25).map(" ".join)
)


@st.composite
def mutations(draw: Any) -> str:
    """A valid filter with a few pieces taken out, doubled, or put in."""
    text: str = draw(FILTERS)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 5)))
        middle = draw(st.sampled_from(["", text[start:end] * 2, draw(st.sampled_from(WORDS))]))
        text = text[:start] + middle + text[end:]
    return text


def read(parse: Callable[[str], Any], error: type[SCIMError], text: str) -> None:
    refusal = None
    try:
        tree = parse(text)
    except error as one:
        refusal = one
    event("refused" if refusal else "parsed")
    if refusal is None:
        assert parse(str(tree)) == tree
    else:
        assert len(refusal.detail) < 1000
        refusal.detail.encode()  # it goes into the answer


@given(TEXTS | FILTERS | mutations())
@examples(250)
def test_any_text_is_a_filter_that_prints_as_itself_or_is_refused(text: str) -> None:
    """No exception but invalidFilter, and no tree that its own text does not give again."""
    read(parse_filter, InvalidFilter, text)


@given(TEXTS | FILTERS | mutations())
@examples(120)
def test_any_text_is_a_path_that_prints_as_itself_or_is_refused(text: str) -> None:
    """The same for the paths of PATCH, with invalidPath."""
    read(parse_path, InvalidPath, text)


@given(FILTERS)
@examples(100)
def test_a_filter_of_the_grammar_is_read(text: str) -> None:
    """What is generated from the grammar is never refused for its form."""
    tree = parse_filter(text)
    assert parse_filter(str(tree)) == tree


class Work:
    """Counts the calls of functions and how deep they stand."""

    def __init__(self) -> None:
        self.calls = self.depth = self.deepest = 0

    def __call__(self, frame: Any, event: str, argument: Any) -> None:
        if frame.f_code.co_filename != paths.__file__:
            return
        if event == "call":
            self.calls += 1
            self.depth += 1
            self.deepest = max(self.deepest, self.depth)
        elif event == "return":
            self.depth -= 1

    def of(self, text: str) -> Work:
        before = sys.getprofile()
        sys.setprofile(self)
        try:
            parse_filter(text)
        except InvalidFilter:
            pass
        finally:
            sys.setprofile(before)
        return self


#: A bracket is one letter: seven functions stand on each other for it, and look for words.
CALLS_A_LETTER = 20
DEEPEST = 7 * (paths.MAX_DEPTH + 1) + 5


@given(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)
    | st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map("".join)
    | mutations(),
    st.integers(1, 4000),
)
@examples(100)
def test_a_text_costs_what_its_length_costs(piece: str, times: int) -> None:
    """However often something is repeated or nested: the calls grow with the length and no
    faster, up to a length that is refused unread, and never stand deep."""
    text = (piece * times)[: paths.MAX_LENGTH + 1]
    work = Work().of(text)
    assert work.calls <= CALLS_A_LETTER * len(text) + 60
    assert work.deepest <= DEEPEST


@pytest.mark.parametrize("opening", ["(", "not (", "a[", "a[(", "(a eq 1 or not ("])
@pytest.mark.parametrize("ending", ["", "a pr", "a eq 1)"])
def test_what_is_opened_without_end_is_refused_early(opening: str, ending: str) -> None:
    """Thousands of brackets are refused at the twentieth, not at the end of Python's stack."""
    work = Work().of((opening * 3000)[: paths.MAX_LENGTH - 10] + ending)
    assert work.calls < 1500
    assert work.deepest <= DEEPEST
