# SPDX-License-Identifier: Apache-2.0
"""The generated sample: the same everywhere, exact, varied, safe to make twice; and its command."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.random import RandomState

from sa2_monai.cli.main import main
from sa2_monai.data import load_datalist, load_parts, make_sample, read_image, read_label, sample_is_current
from sa2_monai.data.samples.microscopy import KINDS, paint

TINY = {"num_training": 3, "num_validation": 1, "num_test": 1, "size": (48, 64)}
TINY_PIXELS = "66765cd9f5a795affff2eb7510bb26c66203a20f0527fb08e958a4ebaa197b27"
STAMP = ".sa2_monai_sample.json"


def pixels(folder: Path) -> str:
    return json.loads((folder / STAMP).read_text())["pixels_sha256"]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_same_seed_same_bytes_and_known_pixels(tmp_path: Path) -> None:
    first, second = make_sample(tmp_path / "a", 5, **TINY), make_sample(tmp_path / "b", 5, **TINY)
    assert contents(first) == contents(second)
    assert pixels(first) == TINY_PIXELS
    assert pixels(make_sample(tmp_path / "c", 6, **TINY)) != TINY_PIXELS


def test_a_image_depends_on_seed_part_and_number_only(tmp_path: Path) -> None:
    more = make_sample(tmp_path / "a", 5, **{**TINY, "num_training": 5})
    few = make_sample(tmp_path / "b", 5, **TINY)
    for name in ("images/he_train_000.png", "labels/fluo_train_001.png", "images/he_test_000.png"):
        assert (more / name).read_bytes() == (few / name).read_bytes()
    assert not np.array_equal(
        read_image(few / "images" / "he_train_000.png"), read_image(few / "images" / "he_test_000.png")
    )


def test_layout_and_exactness(sample_dir: Path) -> None:
    description = json.loads((sample_dir / "dataset.json").read_text())
    assert description["labels"] == {"0": "background", "255": "nucleus"}
    assert description["licence"] == "CC0-1.0"
    assert "CC0" in (sample_dir / "README.md").read_text()
    parts = load_parts(sample_dir)
    assert [len(p) for p in parts.values()] == [8, 4, 4]
    for part in parts:
        cases = load_datalist(sample_dir, part, class_names=("background", "nucleus"), in_channels=3)
        assert {Path(c["image"]).name.split("_")[0] for c in cases} == set(KINDS)
        for case in cases:
            image, label, instances = (
                read_image(case["image"]),
                read_label(case["label"]),
                read_label(case["instances"]),
            )
            assert image.shape == (128, 128, 3 if "/he_" in case["image"] else 1)
            assert set(np.unique(label)) == {0, 255}
            assert instances.dtype == np.uint16
            np.testing.assert_array_equal(label > 0, instances > 0)
            assert instances.max() >= 3


@pytest.mark.parametrize("kind", KINDS)
def test_nuclei_vary_touch_and_are_to_be_seen(kind: str) -> None:
    areas: list[int] = []
    touching = 0
    contrast = []
    for seed in range(6):
        image, instances = paint(kind, (160, 160), RandomState([1, seed]))
        grey = image.astype(float).mean(axis=2) if image.ndim == 3 else image.astype(float)
        contrast.append(abs(grey[instances > 0].mean() - grey[instances == 0].mean()))
        areas += np.bincount(instances.ravel())[1:].tolist()
        for a, b in ((instances[:, 1:], instances[:, :-1]), (instances[1:], instances[:-1])):
            touching += int(((a != b) & (a > 0) & (b > 0)).sum())
        assert image.dtype == np.uint8
        assert np.ptp(image) > 5
    sizes = np.array([a for a in areas if a > 0])
    assert np.percentile(sizes, 95) > 2.5 * np.percentile(sizes, 5)
    assert touching > 0 or kind == "bf"  # cells overlap there, their nuclei hardly ever
    assert min(contrast) > 12


def test_a_threshold_is_not_enough(tmp_path: Path) -> None:
    """The task is not trivial: the best grey threshold for all images together misses much."""
    folder = make_sample(tmp_path / "s", 0, num_training=6, num_validation=0, num_test=0, size=(128, 128))
    cases = load_datalist(folder, "test", num_folds=2) + load_datalist(folder, "training", num_folds=2)
    greys = [read_image(c["image"], 1)[:, :, 0] for c in cases]
    masks = [read_label(c["label"]) > 0 for c in cases]
    scores = []
    for sign in (1, -1):
        for threshold in range(10, 250, 10):
            guesses = [(sign * g.astype(int)) > sign * threshold for g in greys]
            scores.append(
                np.mean([2 * (g & m).sum() / (g.sum() + m.sum()) for g, m in zip(guesses, masks, strict=True)])
            )
    assert max(scores) < 0.7


def test_second_call_reuses(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = make_sample(tmp_path / "s", **TINY)
    times = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    time.sleep(0.01)
    with caplog.at_level("INFO"):
        assert make_sample(folder, **TINY) == folder
    assert "complete and reused" in caplog.text
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == times
    assert sample_is_current(folder, **TINY)
    assert not sample_is_current(folder, 1, **TINY)
    assert not sample_is_current(tmp_path / "none", **TINY)
    # An empty folder is filled.
    (tmp_path / "e").mkdir()
    assert sample_is_current(make_sample(tmp_path / "e", **TINY), **TINY)


def test_other_contents_are_protected(tmp_path: Path) -> None:
    folder = make_sample(tmp_path / "s", **TINY)
    whole = contents(folder)
    with pytest.raises(FileExistsError, match=r"holds a sample of other parameters .*--force"):
        make_sample(folder, 1, **TINY)
    (folder / "images" / "he_train_000.png").write_bytes(b"x")
    with pytest.raises(FileExistsError, match="holds a damaged sample"):
        make_sample(folder, **TINY)
    mine = tmp_path / "mine"
    (mine / "images").mkdir(parents=True)
    (mine / "images" / "precious.png").write_bytes(b"x")
    with pytest.raises(FileExistsError, match=r"mine: holds other files \(images\)"):
        make_sample(mine, **TINY)
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="is a file, expected a folder"):
        make_sample(tmp_path / "file", **TINY)
    # Force removes the former sample, and nothing that is not of it.
    (folder / "notes.txt").write_text("keep")
    make_sample(folder, 1, **{**TINY, "num_training": 1}, force=True)
    assert (folder / "notes.txt").read_text() == "keep"
    assert len(list((folder / "images").iterdir())) == 3
    make_sample(folder, **TINY, force=True)
    assert {k: v for k, v in contents(folder).items() if k != "notes.txt"} == whole
    make_sample(mine, **TINY, force=True)
    assert (mine / "images" / "precious.png").read_bytes() == b"x"
    assert sample_is_current(mine, **TINY)


def test_stamp_of_another_program_is_not_trusted(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    folder.mkdir()
    outside = tmp_path / "outside"
    outside.touch()
    (folder / STAMP).write_text(json.dumps({"sha256": {"../outside": "0", str(outside): "0"}, "parameters": {}}))
    make_sample(folder, **TINY, force=True)
    assert outside.exists()
    (folder / STAMP).write_text("[1]")
    assert not sample_is_current(folder, **TINY)


def test_interrupted_making_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sa2_monai.data.samples.images.paint", stop)
    with pytest.raises(KeyboardInterrupt):
        make_sample(tmp_path / "s", **TINY)
    assert list(tmp_path.iterdir()) == []


def test_folder_has_usual_permissions(tmp_path: Path) -> None:
    usual = tmp_path / "usual"
    usual.mkdir()
    assert os.stat(make_sample(tmp_path / "s", **TINY)).st_mode == os.stat(usual).st_mode


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**32}, "seed is 4294967296, expected 0 to"),
        ({"num_training": 0}, "at least 1 for training"),
        ({"num_test": -1}, "none negative"),
        ({"size": (16, 64)}, r"size is \(16, 64\), expected \(H, W\) with 32 to 4096"),
        ({"size": (64,)}, r"size is \(64,\)"),
    ],
)
def test_illegal_arguments(tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_sample(tmp_path / "s", **{**TINY, **options})
    assert not (tmp_path / "s").exists()


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "s")
    arguments = [
        "sample",
        out,
        "--seed",
        "5",
        "--size",
        "48",
        "64",
        "--training",
        "3",
        "--validation",
        "1",
        "--test",
        "1",
    ]
    assert main(arguments) == 0
    assert "3 training, 1 validation and 1 test images of seed 5" in capsys.readouterr().out
    assert pixels(tmp_path / "s") == TINY_PIXELS
    assert main(arguments) == 0
    assert "there already, complete and unchanged; reused" in capsys.readouterr().out
    assert main(["sample", out, "--size", "32", "--training", "1"]) == 1
    assert "choose an empty folder" in capsys.readouterr().err
    assert main(["sample", out, "--size", "32", "--training", "1", "--test", "0", "--validation", "0", "--force"]) == 0
    for wrong in (["--size", "1", "2", "3"], ["--size", "5"], ["--seed", "-3"]):
        with pytest.raises(SystemExit) as caught:
            main(["sample", out, *wrong])
        assert caught.value.code == 2
