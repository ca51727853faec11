# SPDX-License-Identifier: Apache-2.0
"""``tools/benchmark gpu``, from the first to the last block, on tiny networks; and at its end when the time is over."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from tests.bundles.bundle_tools import read_json
from tests.device.fakegpu.accelerator import DEVICE
from tests.device.fakegpu.process import Call

LIB = Path(__file__).resolve().parents[2] / "tools" / "lib"


def test_all_blocks(on_accelerator: Call, tmp_path: Path) -> None:
    output = tmp_path / "gpu.json"
    words = ["--network", "daeformer", "sa2net", "--turns", "1"]
    rows = on_accelerator(_rows, [*words, "--output", str(output)])
    assert [row for row in rows if "failed" in (row["note"] or "")] == []
    assert read_json(output)["rows"] == rows
    assert output.with_suffix(".md").read_text().count("\n| daeformer 32 x 32, batch 1 |") == 9
    found = {(row["case"], row["contestant"]): row for row in rows}
    for name in ("daeformer", "sa2net"):
        assert found[f"{name} 32 x 32, batch 2: evaluation", "fp32"]["error"] < 1e-5
        assert found[f"{name} 32 x 32, batch 2: evaluation", "fp16"]["error"] < 0.05
        for precision in ("fp32", "fp16", "bf16"):
            note = found[f"{name} 32 x 32, batch 2: gradients", precision]["note"]
            assert note.endswith("gradients: 0 missing, 0 not finite")
        assert found[f"{name} 32 x 32, batch 1", "published fp32"]["error"] < 1e-5
        assert found[f"{name} 32 x 32, batch 2: training step", "fused, channels_last fp16"]["ratio"] > 0
    assert found["volume 40 x 40 x 6, daeformer", "batch auto, channels_last fp32"]["same_labels"] > 0.999
    assert any(case.endswith("kernels") for case, _ in found)
    assert ("2 slices 32 x 32 to the device", "int16 through pinned memory") in found


def test_it_ends_when_the_time_is_over(on_accelerator: Call, tmp_path: Path) -> None:
    output = tmp_path / "gpu.json"
    rows = on_accelerator(_rows, ["--limit", "20.2", "--turns", "1", "--output", str(output)])
    assert rows[-1]["case"] == "the time is over"
    assert read_json(output)["rows"] == rows


def _rows(words: list[str]) -> list[dict[str, Any]]:
    sys.path.insert(0, str(LIB))
    from benchmark import gpu

    parser = argparse.ArgumentParser()
    parser.add_argument("--output")
    gpu.add_arguments(parser)
    return list(gpu.run(parser.parse_args([*words, "--device", DEVICE, "--narrow"])))
