# SPDX-License-Identifier: Apache-2.0
"""The first start of a training decodes each of its files once, whoever looks into it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sa2_monai.cli.main import main
from sa2_monai.data import make_sample, make_sample_volumes
from sa2_monai.io.images import read as image_files
from sa2_monai.io.volumes import read as volume_files

TEST_CASES = [
    ("images", image_files, "_decode", ("--network", "sa2net", "base_channels=4", "roi_size=[32,32]")),
    ("volumes", volume_files, "nifti_voxels", ("--network", "daeformer", "embed_dims=[8,16,24]", "roi_size=[32,32]")),
]


@pytest.mark.parametrize(("kind", "module", "decoder", "options"), TEST_CASES, ids=[case[0] for case in TEST_CASES])
def test_once(
    kind: str, module: Any, decoder: str, options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    if kind == "images":
        make_sample(data, 1, num_training=6, num_validation=2, num_test=0, size=(32, 32))
    else:
        make_sample_volumes(data, 1, num_training=4, num_test=0, size=(32, 32, 8))
    decode, files = getattr(module, decoder), Counter[str]()

    def counted(path: Path, *args: Any, **kwargs: Any) -> Any:
        files[str(path)] += 1
        return decode(path, *args, **kwargs)

    monkeypatch.setattr(module, decoder, counted)
    run = ["--output", str(tmp_path / "run"), "--device", "cpu", "--epochs", "1", "num_workers=0"]
    assert main(["train", str(data), *run, *options]) == 0
    assert len(files) >= 8
    assert set(files.values()) == {1}, files
