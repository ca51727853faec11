# SPDX-License-Identifier: Apache-2.0
"""What a comparison says against itself."""

from __future__ import annotations

from typing import Any

import pytest

from sa2_monai.bundle.comparison.caveats import caveats


def document(**changes: Any) -> dict[str, Any]:
    """A comparison with nothing wrong: two networks on 40 cases."""
    test = {"unit": "case", "units": 40, "exact": False, "samples": 10_000}
    run = {"fold": 0, "epochs": 20, "max_epochs": 20, "stopped": False}
    found: dict[str, Any] = {
        "configuration": {"minutes": 12.0, "folds": 3, "seed": 999},
        "networks": {
            name: {"scores": {"warnings": []}, "runs": [run], "settings": {"select": "last"}} for name in "ab"
        },
        "pairs": [{"test": test}],
        "costs": {"machine": {"device": "two cores"}},
    }
    for path, value in changes.items():
        *parts, last = path.split("__")
        place = found
        for part in parts:
            place = place[int(part)] if isinstance(place, list) else place[part]
        place[last] = value
    return found


TEST_CASES = {
    "failed": ({"networks__b": {"error": "no memory"}}, "b failed and is in no table: no memory"),
    "learned nothing": (
        {"networks__a__scores": {"warnings": ["constant_prediction: Dice 0.1 of cell is that of a constant"]}},
        "a has learned nothing or little: Dice 0.1 of cell is that of a constant.",
    ),
    "learned nothing of two classes": (
        {"networks__a__scores": {"warnings": ["constant_prediction: no cell", "constant_prediction: no debris"]}},
        "a has learned nothing or little: no cell; the same of 1 more class.",
    ),
    "stopped": (
        {"networks__a__runs": [{"fold": 1, "epochs": 7, "max_epochs": 20, "stopped": True}]},
        "a was stopped by --time before its schedule had ended (fold 1 at epoch 7 of 20)",
    ),
    "few cases": (
        {"pairs__0__test": {"unit": "case", "units": 12, "exact": True, "samples": 4096}},
        "12 cases are few",
    ),
    "too few for the test": (
        {"pairs": [{"test": {"unit": "group", "units": 5, "exact": True, "samples": 32}}] * 3},
        "With 5 groups and 3 comparisons no difference can be shown, however large: the smallest p value that the test "
        "can give is 0.19.",
    ),
    "chosen by the cases": (
        {"networks__a__settings": {"select": "best"}},
        "The epochs of a were chosen by the cases that they are scored on (select=best)",
    ),
    "no limit of time": ({"configuration__minutes": None}, "Each network had the planned epochs for each of 3 folds"),
}


@pytest.mark.parametrize(("changes", "said"), TEST_CASES.values(), ids=TEST_CASES)
def test_says(changes: dict[str, Any], said: str) -> None:
    assert any(said in sentence for sentence in caveats(document(**changes)))


def test_of_a_comparison_with_nothing_wrong_budget_and_seed_are_said() -> None:
    budget, seed = caveats(document())
    assert budget.startswith("Each network had 12 minutes for each of 3 folds on two cores.")
    assert "one seed" in seed
