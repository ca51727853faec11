# SPDX-License-Identifier: Apache-2.0
"""Awkward volumes that people reported (`shared/cases`): read with the right answer, or refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from sa2_monai.data import VolumeReader, examine_dataset, read_preprocessed, read_volume
from sa2_monai.evaluation import evaluate
from sa2_monai.io.label_maps import read_label_map

pytestmark = pytest.mark.realdata
NAMES = ["background", "organ", "lesion"]


@pytest.fixture(scope="module")
def cases(real_data: Path) -> Path:
    """The folder of awkward files; the test is skipped with the reason where there is none."""
    folder = real_data.parent / "cases"
    if not (folder / "volumes" / "crc_good.nii.gz").is_file():
        pytest.skip(f"no awkward files: {folder} has no volumes/crc_good.nii.gz")
    return folder


READERS: list[Callable[[Path], Any]] = [
    read_volume,
    lambda path: read_label_map(path, "reference"),
    lambda path: VolumeReader().read(path),
]
TEST_CASE_REFUSED = {
    "volumes/crc_one_bit.nii.gz": r"the compressed data are wrong \(incorrect data check\)",
    "volumes/evaluate_zero_spacing/r/c1.nii.gz": "has zero spacing",
    "volumes/unlabelled_unchecked/images/broken.nii.gz": "is not a NIfTI file or damaged",
    "untrusted/absurd/abs.nii": "promises 32767 x 32767 x 32767 voxels of int16",
    "untrusted/absurd/abs.nii.gz": "promises 32767 x 32767 x 32767 voxels of int16",
    "untrusted/mhd_outside/x.mhd": "outside of its own folder",
    "untrusted/mhd_outside/y.nrrd": "outside of its own folder",
}


@pytest.mark.parametrize("name", TEST_CASE_REFUSED)
def test_refused_by_every_reader(cases: Path, name: str) -> None:
    for read in READERS:
        with pytest.raises(ValueError, match=TEST_CASE_REFUSED[name]):
            read(cases / name)


@pytest.mark.parametrize("name", ["volumes/crc_good.nii.gz", "volumes/qfac0_q1s1.nii.gz"])
def test_read_without_a_doubt(cases: Path, name: str) -> None:
    volume = read_volume(cases / name)
    assert (volume.array.shape, volume.header.remarks) == ((40, 44, 20), ())
    assert volume.header.spacing == pytest.approx((4, 4, 6))


@pytest.mark.parametrize("name", ["abs.npz", "abs.h5"])
def test_archives_that_promise_terabytes(cases: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"promises \d{13} bytes"):
        read_preprocessed(cases / "untrusted" / "absurd" / name)


def scored(folder: Path) -> tuple[dict[str, Any], list[str]]:
    result = evaluate(folder / "p", folder / "r", NAMES, bootstrap_samples=2)
    return result.per_case[0], result.summary["warnings"]


@pytest.mark.parametrize("name", ["shear_0.002", "shear_15deg"])
def test_sheared_volumes_are_scored(cases: Path, name: str) -> None:
    row, warnings = scored(cases / "volumes" / "shear_eval" / name)
    straight, _ = scored(cases / "volumes" / "evaluate_base")
    for metric in ("dice", "jaccard", "volume_ref_ml", "volume_pred_ml"):
        assert row[metric] == pytest.approx(straight[metric])
    assert all(np.isfinite(row[metric]) for metric in ("nsd", "hd95", "hd", "assd", "masd"))
    assert any("by the affine (c1)" in warning for warning in warnings)
    with pytest.raises(ValueError, match="has zero spacing"):
        scored(cases / "volumes" / "evaluate_zero_spacing")


@pytest.mark.parametrize("name", ["label_float", "label_slope"])
def test_labels_that_are_almost_whole(cases: Path, name: str) -> None:
    folder = cases / "volumes" / name
    label = read_label_map(folder / "labels" / "c1.nii.gz", "reference")
    assert sorted(np.unique(label.array)) == [0, 1, 2]
    assert "and were rounded" in label.remarks[0]
    report = examine_dataset("volumes", folder, class_names=NAMES)
    assert (report["ok"], len(report["remarks"])) == (True, 1)
    assert "labels/c1.nii.gz: the class numbers are up to" in report["remarks"][0]


def test_a_label_in_another_storage_order(cases: Path, tmp_path: Path) -> None:
    folder = cases / "volumes" / "labels_other_row_order"
    report = examine_dataset("volumes", folder, class_names=NAMES)
    assert (report["ok"], report["remarks"]) == (True, [])
    image, label = (nib.load(folder / part / "c1.nii.gz") for part in ("images", "labels"))
    turn = nib.orientations.ornt_transform(nib.io_orientation(label.affine), nib.io_orientation(image.affine))
    nib.save(label.as_reoriented(turn), tmp_path / "c1.nii.gz")
    pair = tmp_path / "c1.nii.gz", folder / "labels" / "c1.nii.gz"
    for prediction, reference in (pair, pair[::-1]):
        row = evaluate({"c1": prediction}, {"c1": reference}, NAMES, bootstrap_samples=2).per_case[0]
        assert (row["dice"], row["hd"], row["resampled"]) == (1, 0, False)


def test_an_unlabelled_image_that_is_none(cases: Path) -> None:
    report = examine_dataset("volumes", cases / "volumes" / "unlabelled_unchecked")
    assert not report["ok"]
    (problem,) = report["problems"]
    assert "images/broken.nii.gz: is not a NIfTI file or damaged" in problem
