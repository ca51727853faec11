# SPDX-License-Identifier: Apache-2.0
"""The table of cases."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sa2_monai.evaluation import evaluate
from sa2_monai.evaluation.report.html import html_report
from sa2_monai.evaluation.report.html.cases import case_lines, class_columns, found_structures


def maps(*boxes: tuple[int, int]) -> np.ndarray:
    array = np.zeros((20, 20), np.uint8)
    for value, (start, stop) in enumerate(boxes, start=1):
        array[10 * (value - 1) : 10 * (value - 1) + 8, start:stop] = value
    return array


REFERENCES = {"good": maps((2, 12), (2, 12)), "bad": maps((2, 12), (2, 12)), "empty": maps()}
FIRST = {"good": maps((2, 11), (2, 12)), "bad": maps((2, 7)), "empty": maps()}
SECOND = {"good": maps((2, 12), (2, 12)), "bad": maps((2, 12)), "empty": maps()}
NAMES = ["background", "a", "b"]


def test_one_line_for_each_case_the_worst_first() -> None:
    result = evaluate(FIRST, REFERENCES, NAMES, groups={"good": "p1", "bad": "p1", "empty": "p2"})
    second = evaluate(SECOND, REFERENCES, NAMES)
    bad, good, empty = case_lines(result, second)
    assert [line.case for line in (bad, good, empty)] == ["bad", "good", "empty"]
    assert bad.dice == pytest.approx((2 / 3 + 0) / 2)
    assert bad.of_classes == pytest.approx((2 / 3, 0))
    assert bad.findings == (("missed", "b"),)
    assert bad.difference == pytest.approx((2 / 3 - 1) / 2)
    assert bad.nsd == pytest.approx(np.mean([row["nsd"] for row in result.per_case if row["case"] == "bad"]))
    assert (good.group, good.hd95) == ("p1", 1)
    assert all(math.isnan(value) for value in (empty.dice, empty.difference, empty.hd95, *empty.of_classes))
    assert [(row["case"], row["status"]) for row in found_structures(result)] == [("bad", "missed")]
    page = html_report(result, second=second)
    assert 'data-sort="text">patient</th>' in page
    assert page.index(">bad</th>") < page.index(">good</th>") < page.index(">empty</th>")


@pytest.mark.parametrize(("count", "columns"), [(1, 0), (2, 2), (4, 4), (5, 0)])
def test_few_classes_have_columns(count: int, columns: int) -> None:
    mask = np.zeros((6, 6), np.uint8)
    result = evaluate({"a": mask}, {"a": mask}, [str(value) for value in range(count + 1)])
    assert len(class_columns(result)) == columns
    assert len(case_lines(result)[0].of_classes) == columns
