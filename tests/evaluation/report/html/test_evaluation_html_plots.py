# SPDX-License-Identifier: Apache-2.0
"""Where the parts of a plot lie."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

from sa2_monai.evaluation import evaluate
from sa2_monai.evaluation.report.history import read_history
from sa2_monai.evaluation.report.html.axis import axis_of, ticks
from sa2_monai.evaluation.report.html.curves import learning_curves
from sa2_monai.evaluation.report.html.plots import box_plot, difference_plot


def test_ticks_are_round_and_cover_the_range() -> None:
    assert ticks(0, 1) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(0, 37.2) == [0, 10, 20, 30, 40]
    assert ticks(-0.3, 0.1)[0] <= -0.3
    assert ticks(0, 0)[0] == 0


def test_an_axis_may_go_up() -> None:
    axis = axis_of(-1, 1, 200, 0)
    assert [axis.at(value) for value in (-2, -1, 0, 1, 5)] == [200, 200, 100, 0, 0]
    assert axis.marks[0] == (200, "\N{MINUS SIGN}1")


def test_box_and_points_lie_where_the_values_are() -> None:
    values = [0.0, 0.25, 0.5, 0.75, 1.0]
    plot = box_plot("Dice", [("a", [(str(v), v) for v in values]), ("b", [("x", float("nan"))])], (0, 1))
    first, second = plot.rows
    places = [point.x for point in first.points]
    assert np.allclose(np.diff(places), np.diff(places)[0], atol=0.11)
    assert first.box is not None
    assert (first.box.p25, first.box.median, first.box.p75) == (places[1], places[2], places[3])
    assert first.median == "median 0.500"
    assert (second.box, second.points, second.median) == (None, (), "no value")
    many = box_plot("x", [("a", [(str(i), i / 1000) for i in range(1000)] + [("far", 9.0)])])
    assert [point.text for point in many.rows[0].points] == ["far: 9.00"]


def test_many_classes_with_many_cases_are_boxes() -> None:
    values = [(str(index), 0.5 + index / 1000) for index in range(200)]
    few = box_plot("Dice", [(str(row), values) for row in range(7)], (0, 1))
    assert [len(row.points) for row in few.rows] == [200] * 7
    many = box_plot("Dice", [(str(row), [*values, ("far", 0.0)]) for row in range(14)], (0, 1))
    assert [[point.text for point in row.points] for row in many.rows] == [["far: 0.00"]] * 14


def test_differences_of_two_models() -> None:
    reference = np.zeros((10, 10), np.uint8)
    reference[2:8, 2:8] = 1
    half = np.where(np.arange(10) < 5, reference, 0).astype(np.uint8)
    references = {"same": reference, "better": reference, "worse": reference}
    first = evaluate({"same": half, "better": reference, "worse": half}, references, ["background", "x"])
    second = evaluate({"same": half, "better": half, "worse": reference}, references, ["background", "x"])
    plot = difference_plot(first, second)
    assert plot is not None
    texts = [f"better: {1 / 3:.3f}", "same: 0.00", f"worse: \N{MINUS SIGN}{1 / 3:.3f}"]
    assert [point.text for point in plot.rows[0].points] == texts
    better, same, worse = (point.x for point in plot.rows[0].points)
    assert worse < same == plot.axis.at(0) < better


def test_learning_curves(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text(
        "epoch,train_loss,val_mean_dice,val_dice_a,val_dice_b\n1,0.8,,,\n2,0.4,0.5,0.6,0.4\n3,0.2,0.4,0.5,\n"
    )
    loss, dice = learning_curves(read_history(path), {"1": "a", "2": "b"})
    assert [line.name for line in loss.lines] == ["training"]
    assert [(line.name, line.class_value) for line in dice.lines] == [("a", 1), ("b", 2), ("mean", None)]
    assert [len(line.dots) for line in dice.lines] == [2, 1, 2]
    heights = [y for _, y, _ in loss.lines[0].dots]
    assert heights == sorted(heights)  # downwards: the loss falls
    assert dice.best is not None
    assert dice.best[2] == "best 0.500 at epoch 2"
    assert dice.x.at(3) == dice.x.end


def test_a_long_training_has_a_dot_here_and_there(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("epoch,train_loss\n" + "".join(f"{epoch},{1 / epoch}\n" for epoch in range(1, 2001)))
    (loss,) = learning_curves(read_history(path), {"1": "a"})
    assert len(loss.lines[0].path.split()) == 2000
    assert len(loss.lines[0].dots) == 100


def test_one_class_needs_no_second_line(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    path.write_text("epoch,train_loss,val_mean_dice,val_dice_a\n1,0.8,0.5,0.5\n")
    _, dice = learning_curves(read_history(path), {"1": "a"})
    assert [line.name for line in dice.lines] == ["Dice"]


OTHER_FILES = {
    "no such file": (None, ""),
    "empty": ("", ""),
    "no validation": ("epoch,train_loss\n1,0.5\n", ""),
    "another table": ("a,b\n1,2\n", "it has no column epoch"),
    "words": ("epoch,train_loss\none,x\n", "could not convert"),
}


@pytest.mark.parametrize("name", OTHER_FILES)
def test_what_is_no_history(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content, message = OTHER_FILES[name]
    path = tmp_path / "history.csv"
    if content is not None:
        path.write_text(content)
    with caplog.at_level(logging.WARNING):
        curves = learning_curves(read_history(path), {"1": "a"})
    assert [curve.title for curve in curves] == (["Loss"] if name == "no validation" else [])
    assert (message in caplog.text) if message else not caplog.text
