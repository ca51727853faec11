# SPDX-License-Identifier: Apache-2.0
"""The generated volumes: the same everywhere, exact, varied, anatomically placed; and the command that makes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.random import RandomState
from scipy import ndimage

from sa2_monai.cli.main import main
from sa2_monai.data import load_parts, make_sample_volumes, sample_volumes_are_current
from sa2_monai.data.samples.ct import ORGANS, draw_grid, paint_volume

TINY = {"num_training": 3, "num_validation": 2, "num_test": 2, "size": (40, 36, 12)}
TINY_VOXELS = "27dab97c4c98da889a3dc49ef597681bccb3ea99e3b1bb39a4b96a6362d8f4a4"
STAMP = ".sa2_monai_sample.json"
SIZE = (96, 96, 24)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sample_volumes(tmp_path_factory.mktemp("volumes") / "s", 5, **TINY)


@pytest.fixture(scope="module")
def full() -> list[tuple[np.ndarray, np.ndarray]]:
    """Some volumes of the usual size, canonical order (L, P, S)."""
    made = []
    for index in range(4):
        rng = RandomState([3, 0, index])
        made.append(paint_volume(draw_grid(SIZE, rng, oblique=index > 0), rng))
    return made


def cases(folder: Path) -> list[dict[str, str]]:
    description = json.loads((folder / "dataset.json").read_text())
    return [case for part in ("training", "validation", "test") for case in description[part]]


def voxels(folder: Path) -> str:
    return json.loads((folder / STAMP).read_text())["pixels_sha256"]


def canonical(image: nib.Nifti1Image) -> nib.Nifti1Image:
    turn = nib.orientations.ornt_transform(
        nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(("L", "P", "S"))
    )
    return image.as_reoriented(turn)


def test_same_seed_same_bytes_and_known_voxels(tiny: Path, tmp_path: Path) -> None:
    again = make_sample_volumes(tmp_path / "b", 5, **TINY)
    for path in sorted(p for p in tiny.rglob("*") if p.is_file()):
        assert path.read_bytes() == (again / path.relative_to(tiny)).read_bytes(), path
    assert voxels(tiny) == TINY_VOXELS
    other = make_sample_volumes(tmp_path / "c", 6, **{**TINY, "num_training": 1, "num_validation": 0, "num_test": 1})
    few = make_sample_volumes(tmp_path / "d", 5, **{**TINY, "num_training": 1, "num_validation": 0, "num_test": 1})
    for name in ("images/train_000.nii.gz", "labels/test_000.nii.gz"):
        assert (few / name).read_bytes() == (tiny / name).read_bytes()  # of seed, part and number alone
        assert (few / name).read_bytes() != (other / name).read_bytes()


def test_layout(tiny: Path) -> None:
    description = json.loads((tiny / "dataset.json").read_text())
    assert description["labels"] == dict(zip("01234", ORGANS, strict=True))
    assert description["licence"] == "CC0-1.0"
    assert (description["numTraining"], description["numValidation"], description["numTest"]) == (3, 2, 2)
    assert "CC0" in (tiny / "README.md").read_text()
    assert sorted(path.name for path in tiny.iterdir()) == [STAMP, "README.md", "dataset.json", "images", "labels"]
    groups = [case["group"] for case in cases(tiny)]
    assert len(set(groups)) == len(groups)
    parts = load_parts(tiny, "decathlon")
    assert [case["case"] for case in parts["test"]] == ["test_000", "test_001"]


def test_geometry_of_the_files(tiny: Path) -> None:
    codes, tilts = [], []
    for case in cases(tiny):
        image, label = nib.load(tiny / case["image"]), nib.load(tiny / case["label"])
        assert image.get_data_dtype() == np.int16
        assert label.get_data_dtype() == np.uint8
        assert image.shape == label.shape
        np.testing.assert_array_equal(image.affine, label.affine)
        corner = np.array([*image.shape, 1])
        np.testing.assert_allclose(image.get_qform() @ corner, image.affine @ corner, atol=5e-5)
        assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 1)
        assert image.header.get_xyzt_units()[0] == "mm"
        straight = canonical(image)
        spacing = straight.header.get_zooms()
        assert spacing[0] == pytest.approx(spacing[1], abs=1e-5)
        assert 170 < spacing[0] * straight.shape[0] < 280
        assert 105 < spacing[2] * straight.shape[2] < 145
        directions = straight.affine[:3, :3] / spacing
        np.testing.assert_allclose(directions.T @ directions, np.eye(3), atol=1e-5)
        tilts.append(np.degrees(np.arccos(np.clip((np.trace(directions @ np.diag([-1, -1, 1])) - 1) / 2, -1, 1))))
        codes.append("".join(nib.aff2axcodes(image.affine)))
    assert codes[:3] == ["LPS", "RAS", "SPL"]
    assert sum(tilt > 2.9 for tilt in tilts) == 4
    assert max(tilts) < 12.1
    assert min(tilts) < 0.1


def test_one_organ_is_missing_in_some_cases_of_each_part(tmp_path: Path) -> None:
    folder = make_sample_volumes(tmp_path / "s", 1, num_training=9, num_validation=2, num_test=3, size=(40, 36, 12))
    missing: dict[str, list[str]] = {}
    for case in cases(folder):
        present = set(np.unique(nib.load(folder / case["label"]).dataobj))
        missing[case["case"]] = [name for value, name in enumerate(ORGANS) if value not in present]
    assert missing == {
        case["case"]: {
            "train_001": ["spleen"], "train_004": ["left kidney"], "train_007": ["right kidney"],
            "val_001": ["spleen"], "test_001": ["spleen"],
        }.get(case["case"], [])
        for case in cases(folder)
    }  # fmt: skip


def test_organs_lie_where_they_lie(full: list[tuple[np.ndarray, np.ndarray]]) -> None:
    for image, label in full:
        assert image.dtype == np.int16
        assert label.dtype == np.uint8
        assert image.min() >= -1024
        counts = np.bincount(label.ravel(), minlength=5)[1:]
        assert (counts >= 1000).all()
        assert (label.shape[0] - label.shape[0] // 10 > np.ptp(np.argwhere(label)[:, 0])).all()  # inside the field
        for value in range(1, 5):
            assert (label == value).any((0, 1)).sum() >= 8
            assert ndimage.label(label == value)[1] <= 2
        liver, spleen, left, right = (np.array(ndimage.center_of_mass(label == value)) for value in range(1, 5))
        middle = label.shape[0] / 2
        assert liver[0] < middle < spleen[0]  # axis 0 runs to the left side
        assert right[0] < middle < left[0]
        assert left[1] > liver[1]  # axis 1 to the back
        assert right[2] < liver[2]  # axis 2 to the head
        assert left[2] < spleen[2]


def touching(label: np.ndarray, one: int, other: int) -> int:
    grown = ndimage.binary_dilation(label == one)
    return int((grown & (label == other)).sum())


def test_organs_touch_and_their_contrast_is_shared(full: list[tuple[np.ndarray, np.ndarray]]) -> None:
    assert sum(touching(label, 1, 4) > 20 for _, label in full) >= 3  # liver, right kidney
    assert sum(touching(label, 2, 3) > 20 for _, label in full) >= 2  # spleen, left kidney
    overlaps, outside = [], []
    for image, label in full:
        low, high = np.percentile(image[label == 1], [5, 95])
        overlaps.append(((image[label == 2] > low) & (image[label == 2] < high)).mean())
        outside.append(((image > low) & (image < high) & (label == 0)).sum() / (label == 1).sum())
        assert 10 < np.std(image[ndimage.binary_erosion(label == 1, iterations=2)]) < 40  # noise
    assert min(overlaps) > 0.3
    assert min(outside) > 0.3  # stomach, muscles and vessels look like the liver


def test_voxels_on_a_surface_are_mixtures() -> None:
    """Of an organ in fat, the border voxels lie between the two on either side of the exact surface."""
    rng = RandomState([7, 0, 0])
    image, label = paint_volume(draw_grid(SIZE, rng, oblique=False), rng)
    organ = label == 2
    inside = organ & ~ndimage.binary_erosion(organ)
    outside = ndimage.binary_dilation(organ) & (label == 0) & (ndimage.uniform_filter(image, 5) < 0)
    core = image[ndimage.binary_erosion(organ, iterations=2)].mean()
    fat = -95
    assert fat + 15 < image[outside].mean() < image[inside].mean() < core - 10


def test_reused_protected_and_forced(tiny: Path, tmp_path: Path) -> None:
    assert sample_volumes_are_current(tiny, 5, **TINY)
    assert not sample_volumes_are_current(tiny, 6, **TINY)
    before = {path: path.stat().st_mtime_ns for path in tiny.rglob("*")}
    assert make_sample_volumes(tiny, 5, **TINY) == tiny
    assert {path: path.stat().st_mtime_ns for path in tiny.rglob("*")} == before
    small = {"num_training": 1, "num_validation": 0, "num_test": 0, "size": (32, 32, 8)}
    folder = make_sample_volumes(tmp_path / "s", **small)
    (folder / "labels" / "train_000.nii.gz").write_bytes(b"x")
    (folder / "notes.txt").touch()
    with pytest.raises(FileExistsError, match="holds a damaged sample"):
        make_sample_volumes(folder, **small)
    make_sample_volumes(folder, 1, **small, force=True)
    assert sample_volumes_are_current(folder, 1, **small)
    assert (folder / "notes.txt").exists()


def test_interrupted_making_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sa2_monai.data.samples.volumes.paint_volume", stop)
    with pytest.raises(KeyboardInterrupt):
        make_sample_volumes(tmp_path / "s", **TINY)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed is -1"),
        ({"num_training": 0}, "numbers of volumes are .*at least 1 for training"),
        ({"size": (96, 96)}, r"size is \(96, 96\), expected voxels along left, back and head"),
        ({"size": (96, 96, 4)}, "8 to 512 slices"),
    ],
)
def test_illegal_arguments(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_sample_volumes(tmp_path / "s", **{**TINY, **options})
    assert not (tmp_path / "s").exists()


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "s")
    numbers = ["--training", "1", "--validation", "1", "--test", "0"]
    arguments = ["sample", out, "--volumes", "--seed", "5", "--size", "40", "36", "12", *numbers]
    assert main(arguments) == 0
    assert "1 training, 1 validation and 0 test volumes of seed 5" in capsys.readouterr().out
    assert main(arguments) == 0
    assert "there already, complete and unchanged; reused" in capsys.readouterr().out
    assert main(["sample", out, "--size", "32", "--training", "1"]) == 1
    assert "holds a sample of other parameters" in capsys.readouterr().err
    for wrong in (["--size", "40"], ["--size", "40", "36", "4"], ["--training", "0"]):
        with pytest.raises(SystemExit) as caught:
            main(["sample", out, "--volumes", *wrong])
        assert caught.value.code == 2
    with pytest.raises(SystemExit):
        main(["sample", "--help"])
    text = capsys.readouterr().out
    assert "--volumes" in text
    assert "default: 48; with --volumes 12" in " ".join(text.split())
