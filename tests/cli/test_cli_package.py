# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai package``, and what predicts with its product."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sa2_monai.cli.main import main
from tests.support.small_models import GLANDS, save_model, script_in_process


@pytest.fixture
def glands(tmp_path: Path) -> Path:
    return save_model(tmp_path / "weights" / "model.pt", GLANDS)


def test_package_then_predict(
    glands: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script_in_process(monkeypatch)
    out = tmp_path / "out"
    arguments = ["package", "--dataset", "glas", "--weights", str(glands), "--output", str(out)]
    folder = out / "glas_sa2net_segmentation"
    (folder / "old").mkdir(parents=True)
    assert main(arguments) == 1
    assert "is there already. Choose another --output or --name, or give --force." in capsys.readouterr().err
    changes = ["--bundle-version", "1.2.3", "batch_size=3", "augment=false"]
    assert main([*arguments, "--zip", "--force", *changes]) == 0
    assert not (folder / "old").exists()
    printed = capsys.readouterr().out.splitlines()
    assert printed == [str(folder), str(out / "glas_sa2net_segmentation_v1.2.3.zip")]
    training = json.loads((folder / "configs" / "train.json").read_text())
    assert (training["batch_size"], training["augment"], training["roi_size"]) == (3, False, [32, 32])
    assert json.loads((folder / "configs" / "metadata.json").read_text())["version"] == "1.2.3"

    Image.fromarray(np.full((20, 24, 3), 90, np.uint8)).save(tmp_path / "a.png")
    predict = ["predict", "--bundle", str(folder), str(tmp_path / "a.png"), "--output", str(tmp_path / "p")]
    assert main([*predict, "--device", "cpu"]) == 0
    assert (tmp_path / "p" / "predictions" / "a.png").is_file()


def test_weights_published_elsewhere(
    glands: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    script_in_process(monkeypatch)
    out, texts = tmp_path / "out", tmp_path / "texts.json"
    texts.write_text(json.dumps({"authors": "Jane Doe"}))
    arguments = [
        "package",
        "--dataset",
        "glas",
        "--weights",
        str(glands),
        "--output",
        str(out),
        "--metadata",
        str(texts),
    ]
    assert main([*arguments, "--large-files", "models"]) == 1
    assert "'models' is no address for files to be downloaded from" in capsys.readouterr().err
    assert main([*arguments, "--large-files", "https://example.org/v1", "--installed-versions"]) == 0
    folder, large = (Path(line) for line in capsys.readouterr().out.splitlines())
    assert json.loads((folder / "configs" / "metadata.json").read_text())["authors"] == "Jane Doe"
    assert "https://example.org/v1/glas_sa2net_segmentation_v0.1.0_model.pt" in (folder / "large_files.yml").read_text()
    assert [path.name for path in sorted(large.iterdir())] == [
        f"glas_sa2net_segmentation_v0.1.0_model{suffix}" for suffix in (".pt", ".ts")
    ]


def test_wrong_use(glands: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["package", "--bundle", "sa2net", "--weights", str(glands), "--output", str(tmp_path / "out")]
    for override in ("batch_size", "=3", "batch_size=[3"):
        with pytest.raises(SystemExit) as stopped:
            main([*arguments, override])
        assert stopped.value.code == 2
    capsys.readouterr()
    assert main([*arguments, "--dataset", "monuseg"]) == 1
    assert "was trained for the classes background, gland, but monuseg has background, nucleus" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()
