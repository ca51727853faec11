# SPDX-License-Identifier: Apache-2.0
"""The record of an evaluation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from sa2_monai.evaluation import evaluate
from sa2_monai.evaluation.report.manifest import evaluation_manifest
from sa2_monai.io.digest import sha256_of


def test_the_record_names_every_file_by_its_hash(tmp_path: Path) -> None:
    mask = np.zeros((9, 9), np.uint8)
    mask[2:5, 2:5] = 1
    for folder in ("p", "r", "i", "q"):
        (tmp_path / folder).mkdir()
        for name in "ab":
            Image.fromarray(mask).save(tmp_path / folder / f"{name}.png")
    (tmp_path / "p" / "b.png").write_bytes(b"")
    common: dict[str, Any] = {"on_error": "continue", "seed": 5, "bootstrap_samples": 10}
    result = evaluate(tmp_path / "p", tmp_path / "r", ["background", "x"], images=tmp_path / "i", **common)
    second = evaluate(tmp_path / "q", tmp_path / "r", ["background", "x"], **common)
    record = evaluation_manifest(result, {"unit": None}, "then", "now", {"evaluate": 1.23456, "report": 0.5}, second)
    assert record["status"] == "failed"
    assert (record["started"], record["ended"], record["seconds"]) == ("then", "now", 1.735)
    assert (record["seed"], record["configuration"]) == (5, {"unit": None})
    assert {role: Path(file["path"]).parent.name for role, file in record["inputs"]["a"].items()} == {
        "prediction": "p",
        "reference": "r",
        "image": "i",
        "compared": "q",
    }
    assert record["inputs"]["b"]["prediction"]["sha256"] == sha256_of(tmp_path / "p" / "b.png")
    assert record["failed"][0]["case"] == "b"
    assert record["versions"]["numpy"] == np.__version__
    assert evaluation_manifest(second, {}, "", "", {})["status"] == "completed"
