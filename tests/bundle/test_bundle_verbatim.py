# SPDX-License-Identifier: Apache-2.0
"""Values go through MONAI's parser unchanged."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.bundle import ConfigParser

from sa2_monai.bundle.verbatim import verbatim

TEXTS = st.text(st.characters(exclude_categories=()), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)

TEST_CASES: list[Any] = [
    "/data/slide #3.png",
    "$HOME/x.png",
    "@output_dir",
    "%other.yaml",
    "a@::b #c",
    "@#c",
    "a::b",
    'it\'s \\ "quoted"\n\t.png',
    "import os #1",
    os.fsdecode(b"\xff#.png"),
    ["plain", "run #2"],
    {"#": [{"image": ["@a", "b"], "case": "$1"}]},
    {"in_channels": 3, "names": ["background", "type #1"], "pixdim": None, "overlap": 0.25, "on": True},
]


def through_the_parser(value: Any) -> Any:
    parser = ConfigParser({"c": 1, "value": verbatim(value), "user": {"of": "@value"}})
    return parser.get_parsed_content("user")["of"]


@pytest.mark.parametrize("value", TEST_CASES)
def test_values_arrive(value: Any) -> None:
    assert through_the_parser(value) == value


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.sampled_from(["#", "$", "%", "@c", "@#c", ""]), TEXTS, VALUES)
def test_any_value_with_a_special_text(begin: str, rest: str, value: Any) -> None:
    text = f"{begin}{rest}"
    assert through_the_parser(text) == text
    assert through_the_parser([value, "#"]) == [value, "#"]


def test_plain_values_stay_what_they_are() -> None:
    for value in ("/data/x.png", ["a", 1], {"a": None}, 3, None, object):
        assert verbatim(value) is value
