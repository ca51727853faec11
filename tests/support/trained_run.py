# SPDX-License-Identifier: Apache-2.0
"""One run of ``sa2-monai train`` on the generated sample, made once.

Why: everything that takes a run takes this one; a training of two epochs of a narrow network is two seconds.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import NamedTuple

import pytest

__all__ = ["SMALL", "TrainedRun"]

#: Options of a training of seconds.
SMALL = ("--network", "sa2net", "--device", "cpu", "base_channels=4", "roi_size=[32,32]", "num_workers=0")


class TrainedRun(NamedTuple):
    """A run, what was printed, and its data."""

    folder: Path
    printed: str
    data: Path


@pytest.fixture(scope="session")
def trained_run(sample_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """Two epochs on the generated sample; a space and a sign of MONAI's are in the name. Nobody changes it."""
    from sa2_monai.cli.main import main

    folder = tmp_path_factory.mktemp("runs") / "run #1"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = main(["train", str(sample_dir), "--output", str(folder), "--epochs", "2", *SMALL])
    assert code == 0, printed.getvalue()
    return TrainedRun(folder, printed.getvalue(), sample_dir)
