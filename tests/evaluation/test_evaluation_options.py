# SPDX-License-Identifier: Apache-2.0
"""The options of an evaluation: one object or keywords, checked before any file is read."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import numpy as np
import pytest

from sa2_monai import evaluation
from sa2_monai.evaluation import EvaluationOptions, PaperOptions, evaluate

TWO = ["background", "nucleus"]
#: The keywords that evaluate() took when each was a parameter of its own.
KEYWORDS: dict[str, Any] = {
    "family": None,
    "unit": "px",
    "tolerance": {"nucleus": 1.0},
    "empty": "worst",
    "bootstrap_samples": 20,
    "seed": 1,
    "groups": {"a": "p", "b": "q"},
    "label_values": {0: 0, 1: 1},
    "spacing": None,
    "allow_missing": True,
    "allow_resample": False,
    "prediction_suffix": "",
    "reference_suffix": "",
    "images": None,
    "paper": None,
    "instances": None,
    "extra_metrics": ["f2"],
    "size_strata": [10, 50],
    "strata": ["size"],
    "ignore_value": 7,
    "on_error": "raise",
    "distributed": False,
}


def maps(shift: int = 0) -> dict[str, np.ndarray]:
    found = {}
    for index, case in enumerate("ab"):
        found[case] = np.zeros((20, 20), np.uint8)
        found[case][2 + shift : 12 + shift, 3 : 9 + index] = 1
    return found


def test_options_as_an_object_are_those_by_keyword() -> None:
    cases = {name: KEYWORDS[name] for name in ("groups", "images")}
    options = EvaluationOptions(TWO, **{name: value for name, value in KEYWORDS.items() if name not in cases})
    by_object = evaluate(maps(1), maps(), options=options, **cases)
    by_keyword = evaluate(maps(1), maps(), TWO, "clinical", **KEYWORDS)
    assert by_object.summary == by_keyword.summary
    assert by_object.per_case == by_keyword.per_case
    assert by_object.summary["protocol"]["bootstrap"] == {"samples": 20, "seed": 1, "unit": "group"}


def test_every_option_is_documented() -> None:
    text = str(EvaluationOptions.__doc__)
    assert [item.name for item in fields(EvaluationOptions) if f"\n        {item.name}: " not in text] == []


def test_options_beside_an_object_that_holds_them_all() -> None:
    with pytest.raises(TypeError, match="evaluate\\(\\) has options and, beside them, classes, seed: give these to"):
        evaluate(maps(), maps(), TWO, options=EvaluationOptions(TWO), seed=3)
    with pytest.raises(TypeError, match="unexpected keyword argument 'tolerances'"):
        evaluate(maps(), maps(), TWO, tolerances=3)


def test_what_the_options_mean() -> None:
    options = EvaluationOptions({3: "b", 1: "a"}, tolerance={"a": 1}, extra_metrics=["f2"], size_strata=True)
    assert options.table == {0: "background", 1: "a", 3: "b"}
    assert options.tolerances == {"a": 1.0, "b": 2.0}
    assert (options.names, options.extra, options.size_limits[0]) == (["a", "b"], ("f2",), 0.5)
    with pytest.raises(FrozenInstanceError):
        options.seed = 3  # type: ignore[misc]
    assert replace(options, seed=3).draws(None) == {"samples": 2000, "seed": 3, "unit": "case"}


#: Classes, options -> value that the family ``size_range`` leaves out.
LEFT_OUT: list[tuple[list[str], dict[str, Any], int | None]] = [
    (["0", "1", "2"], {}, 255),
    (["0", "1", "2"], {"ignore_value": 7}, 7),
    (["0", "1", "2"], {"paper": PaperOptions(ignore_value=9)}, 9),
    (TWO, {}, None),  # 255 is the foreground
    (TWO, {"label_values": {0: 0, 1: 1}}, 255),
    (TWO, {"label_values": "nonzero"}, None),
]


@pytest.mark.parametrize(("classes", "given", "expected"), LEFT_OUT)
def test_the_published_value_of_ignored_pixels(classes: list[str], given: dict[str, Any], expected: int | None) -> None:
    options = EvaluationOptions(classes, "paper", family="size_range", **given)
    assert options.published.ignore_value == expected


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "protocol": ({"protocol": "both"}, "protocol is 'both', expected 'clinical' or 'paper'"),
    "no family": ({"protocol": "paper"}, "family is None, expected one of image, image_ensemble"),
    "unit": ({"unit": "cm"}, "unit is 'cm', expected 'mm', 'px' or None"),
    "empty": ({"empty": "best"}, "empty is 'best', expected None or 'worst'"),
    "on_error": ({"on_error": "ignore"}, "on_error is 'ignore', expected 'raise' or 'continue'"),
    "tolerance": ({"tolerance": -1}, "expected finite numbers that are not negative"),
    "family option": (
        {"protocol": "paper", "family": "pooled", "paper": {"divisor": 3}},
        "paper option divisor is 3, but the family 'pooled' has no such option",
    ),
    "ignore_value": (
        {"protocol": "paper", "family": "image", "ignore_value": 7},
        "ignore_value belongs to the clinical protocol and the family 'size_range', not to 'image'",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_refused_before_any_file_is_read(name: str) -> None:
    given, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        EvaluationOptions(TWO, **given)


def test_names_of_the_package_exist() -> None:
    for name in evaluation.__all__:
        assert getattr(evaluation, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        evaluation.Nothing  # noqa: B018
