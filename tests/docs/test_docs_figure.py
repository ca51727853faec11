# SPDX-License-Identifier: Apache-2.0
"""The figure of README.md: drawn from evaluated runs, small, and shown with the terms of its images."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from doc_blocks import ROOT
from PIL import Image


@pytest.fixture(scope="module")
def figure() -> ModuleType:
    spec = importlib.util.spec_from_file_location("figure", ROOT / "tools" / "lib" / "docs" / "figure.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def scores(tmp_path: Path) -> Path:
    """An evaluation of three images with masks of a bright square; the predictions are one column narrower each."""
    data, folder = tmp_path / "squares", tmp_path / "scores"
    rows, listed = [], []
    for name in ("images", "labels"):
        (data / name).mkdir(parents=True)
    folder.mkdir()
    for number in range(3):
        mask = np.zeros((40, 60), dtype=np.uint8)
        mask[10:30, 20:40] = 255
        guess = mask.copy() // 255
        guess[:, 40 - 4 * number :] = 0
        Image.fromarray(mask // 2).save(data / "images" / f"{number}.png")
        Image.fromarray(mask).save(data / "labels" / f"{number}.png")
        Image.fromarray(guess).save(folder / f"{number}.png")
        listed.append({"image": f"images/{number}.png", "label": f"labels/{number}.png"})
        dice = 2 * guess.sum() / (guess.sum() + (mask > 0).sum())
        files = {"prediction_file": folder / f"{number}.png", "reference_file": data / "labels" / f"{number}.png"}
        rows.append({"case": str(number), "dice": dice, **files})
    (data / "dataset.json").write_text(json.dumps({"test": listed}))
    with (folder / "metrics_per_case.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


def test_the_median_case_is_shown(figure: ModuleType, scores: Path, tmp_path: Path) -> None:
    case = figure.median_case(scores)
    assert (case.dataset, case.image.name, case.prediction.name) == ("squares", "1.png", "1.png")
    assert case.dice == pytest.approx(2 * 16 / (16 + 20))


def test_rows_are_image_reference_and_prediction(figure: ModuleType, scores: Path, tmp_path: Path) -> None:
    assert figure.main([str(scores), "--output", str(tmp_path / "figure.webp")]) == 0
    with Image.open(tmp_path / "figure.webp") as written:
        assert written.format == "WEBP"
    page = np.asarray(figure.drawn([figure.median_case(scores)])).astype(int)
    colour = np.array(figure.MASK)
    middle, right = figure.TILE // 2, figure.TILE * 28 // 40  # within the reference and beyond the prediction
    seen = []
    for row in range(3):
        tile = page[figure.TOP + row * (figure.TILE + figure.GAP) :, figure.LEFT :]
        seen.append([np.abs(tile[middle, column] - 127).max() > 9 for column in (middle, right)])
    assert seen == [[False, False], [True, True], [True, False]]
    assert (page == colour).all(axis=2).any()  # the outlines


def test_the_committed_figure_is_small_and_names_its_sources() -> None:
    file = ROOT / "docs" / "images" / "overview.webp"
    assert file.stat().st_size < 300_000
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(name in text for name in ("BBBC038 (CC0)", "HyperKvasir (CC BY 4.0", "CHASE_DB1 (CC BY 4.0"))
