# SPDX-License-Identifier: Apache-2.0
"""tools/benchmark memory: its rows, and its contestants on cases of some kilobytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmark import memory
from benchmark.frame.command import parse
from benchmark.generated.ct import make_case
from PIL import Image

WORDS = ["--size", "32", "--slices", "10", "20", "--classes", "2", "3", "--evaluated", "10", "--image", "60"]


def test_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    peaks = {"published": [100.0, 20.0], "sa2_monai": [25.0, 20.0]}
    called: list[tuple[Any, ...]] = []

    def process(module: str, function: str, folder: str, *arguments: Any) -> list[float]:
        called.append((function, *arguments))
        return peaks[function.rpartition("_")[0]]

    monkeypatch.setattr(memory, "in_fresh_process", process)
    monkeypatch.setattr(memory, "has_medpy", False)
    rows = list(memory.run(parse("memory", WORDS)[1]))
    assert called[:2] == [("published_volume", 32, 20, 3), ("sa2_monai_volume", 32, 20, 3)]
    assert {(function, *rest) for function, *rest in called[2:5]} == {
        ("sa2_monai_volume", 32, slices, classes) for slices, classes in ((10, 2), (10, 3), (20, 2))
    }
    assert [function for function, *_ in called[5:]] == [
        "sa2_monai_evaluation",
        *["published_image", "sa2_monai_image"] * 2,
    ]
    assert [row["ratio"] for row in rows] == [1.0, 4.0, None, None, None, 1.0, 1.0, 4.0, 1.0, 4.0]
    array = 32 * 32 * 20 * 2 / 2**20
    assert rows[1] == {
        **{"case": "predict 32 x 32 x 20, 3 classes", "contestant": "sa2_monai", "ratio": 4.0, "spread": None},
        **{"array_mb": array, "peak_mb": 25.0, "tiny_mb": 20.0, "copies": 5 / array},
    }


def test_contestants_write_label_maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "peak_memory", lambda work, device: work() or 1.0)
    (tmp_path / str(memory.TINY)).mkdir()
    make_case(tmp_path / str(memory.TINY), 24, memory.TINY)
    memory.save_networks(tmp_path, 2)
    memory.save_image(tmp_path, 300)
    assert memory.published_volume(str(tmp_path), 24, memory.TINY, 2) == [1.0, 1.0]
    assert (tmp_path / str(memory.TINY) / "published.nii.gz").is_file()
    memory.published_image(str(tmp_path), 300, "whole")
    assert set(np.unique(np.asarray(Image.open(tmp_path / "300.bmp")))) <= {0, 255}
    memory.sa2_monai_volume(str(tmp_path), 24, memory.TINY, 2)
    assert (tmp_path / "ours" / "image.nii.gz").is_file()
