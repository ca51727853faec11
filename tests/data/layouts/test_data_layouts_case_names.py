# SPDX-License-Identifier: Apache-2.0
"""Names of cases: as short as they can be, never two of one name."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sa2_monai.data.layouts.case_names import distinct_names

# Paths without suffix -> names.
TEST_CASES: list[tuple[list[str], list[str]]] = [
    (["a/x", "a/y"], ["x", "y"]),
    (["pat1/st1/se1", "pat2/st1/se1"], ["pat1_se1", "pat2_se1"]),
    (["pat1/st1/se1", "pat2/st2/se1"], ["st1_se1", "st2_se1"]),
    (["pat1/st1/se1", "pat1/st2/se1", "pat2/st1/se1"], ["pat1_st1_se1", "pat1_st2_se1", "pat2_st1_se1"]),
    (["x", "a/x"], ["root_x", "a_x"]),
    (["a/x", "a/b/x", "a/b/c/x"], ["a_x", "b_x", "c_x"]),
    (["a/x", "b/x", "y"], ["a_x", "b_x", "y"]),
    (["a/x", "b/x", "a_x"], ["a__x", "b__x", "a_x"]),  # another case has the first name that comes to mind
    (["a/b_c", "z/b_c", "a_b/c", "y/c"], ["a__b_c", "z__b_c", "a_b__c", "y__c"]),
    (["a/x", "a/x"], ["x", "x"]),  # nothing tells them apart
    (["a/x", "a/x", "b/x"], ["a_x", "a_x", "b_x"]),
]


@pytest.mark.parametrize(("paths", "names"), TEST_CASES)
def test_names(paths: list[str], names: list[str]) -> None:
    places = [Path("/root") / path for path in paths]
    assert distinct_names([path.name for path in places], places) == names
    # The order does not matter.
    assert distinct_names([path.name for path in places[::-1]], places[::-1]) == names[::-1]


def test_channels_of_one_image_may_lie_anywhere() -> None:
    places = [Path("/t1/p"), Path("/t2/p"), Path("/t1/q"), Path("/t1/q")]
    assert distinct_names("ppqq", places, [0, 1, 0, 1]) == ["p", "p", "q", "q"]
    assert distinct_names("ppqq", places, [0, 0, 0, 1]) == ["t1_p", "t2_p", "q", "q"]


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.sets(st.lists(st.sampled_from(["a", "b", "a_b", "_"]), min_size=1, max_size=4).map(tuple), max_size=12))
def test_different_paths_have_different_names(paths: set[tuple[str, ...]]) -> None:
    places = [Path("/", *parts) for parts in sorted(paths)]
    names = distinct_names([path.name for path in places], places)
    assert len(set(names)) == len(places)
