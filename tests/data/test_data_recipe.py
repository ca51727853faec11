# SPDX-License-Identifier: Apache-2.0
"""The recipe for a new data set in CONTRIBUTING.md works as it is printed."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from sa2_monai.data import DATASETS, datasets, load_datalist

RECIPE = (Path(__file__).resolve().parents[2] / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPE = RECIPE[RECIPE.index("## A new data set") :]


def snippet(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```", RECIPE, flags=re.DOTALL | re.MULTILINE)
    assert found, f"CONTRIBUTING.md has no {language} snippet in its recipe"
    return found.group(1)


@pytest.fixture
def sparrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in the layout of the recipe, and its module beside those of the package."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "sparrow.py").write_text(snippet("python"), encoding="utf-8")
    monkeypatch.setattr(datasets, "__path__", [*datasets.__path__, str(tmp_path / "modules")])
    for name, entry in datasets._found().items():
        if name not in DATASETS:
            monkeypatch.setitem(DATASETS, name, entry)
    for part, number in (("train", 10), ("test", 3)):
        for kind in ("images", "masks"):
            (tmp_path / "data" / part / kind).mkdir(parents=True)
        for i in range(number):
            mask = np.zeros((8, 8), np.uint8)
            mask[i % 4 : 4] = 255
            Image.fromarray(np.stack([mask] * 3, axis=2)).save(tmp_path / "data" / part / "images" / f"{part}{i}.png")
            Image.fromarray(mask).save(tmp_path / "data" / part / "masks" / f"{part}{i}.png")
    yield tmp_path / "data"
    sys.modules.pop("sa2_monai.data.datasets.sparrow")


def test_module_is_found_and_lists(sparrow: Path) -> None:
    overlay = yaml.safe_load(snippet("yaml"))
    assert overlay.pop("kind") == DATASETS["sparrow"].files
    switches = {name: overlay[name] for name in ("class_names", "label_values", "in_channels")}
    found = {
        section: [
            case["case"] for case in load_datalist(sparrow, section, overlay["layout"], kind="images", **switches)
        ]
        for section in ("training", "validation", "test")
    }
    assert found["test"] == ["test0", "test1", "test2"]
    assert (len(found["training"]), len(found["validation"])) == (8, 2)
    assert sorted(found["training"] + found["validation"]) == [f"train{i}" for i in range(10)]
    assert overlay["class_names"] == list(DATASETS["sparrow"].classes or ())


def test_a_missing_partner_is_named(sparrow: Path) -> None:
    (sparrow / "train" / "masks" / "train4.png").unlink()
    with pytest.raises(ValueError, match=r"train4\.png"):
        load_datalist(sparrow, "training", "sparrow")


def test_two_modules_of_one_name(sparrow: Path, tmp_path: Path) -> None:
    (tmp_path / "modules" / "second.py").write_text(snippet("python"), encoding="utf-8")
    with pytest.raises(ValueError, match=r"two modules .* describe the data set 'sparrow'"):
        datasets._found()
    sys.modules.pop("sa2_monai.data.datasets.second")
