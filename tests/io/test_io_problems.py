# SPDX-License-Identifier: Apache-2.0
"""Messages about many files: collected, shortened, and not said twice."""

from __future__ import annotations

import pytest

from sa2_monai.io.problems import Problems, grouped, listing


def test_remarks_that_differ_in_numbers_are_one() -> None:
    remarks = [(f"the grids are 0.{k}% of a voxel ({k}e-05 mm) apart", f"case{k}") for k in range(1, 13)]
    found = grouped([*remarks, ("orientation unknown", "case1")])
    assert found[0].startswith("the grids are 0.1% of a voxel (1e-05 mm) apart (case1, case2, case3, ")
    assert found[0].endswith("case10, and 2 more)")
    assert found[1:] == ["orientation unknown (case1)"]
    assert grouped([]) == []


def test_problems_are_told_together() -> None:
    problems = Problems("here")
    assert problems.texts() == []
    problems.raise_if_any()
    for case in ("a", "b"):
        problems.add("bad files", case, "replace them")
    problems.add("odd files", "c", "look at them")
    (text,) = problems.texts()
    assert text == (
        "here: the data cannot be used as they are\n  bad files (2):\n    a\n    b\n  -> replace them\n"
        "  odd files (1):\n    c\n  -> look at them"
    )
    with pytest.raises(ValueError, match="bad files") as error:
        problems.raise_if_any()
    assert str(error.value) == text
    assert listing(["a", "b", "c"], 2) == "a, b, and 1 more"
