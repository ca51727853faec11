# SPDX-License-Identifier: Apache-2.0
"""One bad case never ends a batch, grids that differ are told in words, and missing files follow the policy."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel
import numpy as np
import pytest

from sa2_monai.evaluation import compare, evaluate
from sa2_monai.evaluation.cases.classes import map_values
from sa2_monai.evaluation.cases.grids import grid_difference
from sa2_monai.io.label_maps import LabelMap, read_label_map

TWO = ["background", "organ"]
AFFINE = np.array([[-1.5, 0, 0, 10], [0, -1.5, 0, 20], [0, 0, 4, -30], [0, 0, 0, 1.0]])


def volume(start: int = 2) -> np.ndarray:
    labels = np.zeros((12, 10, 6), np.uint8)
    labels[start:8, 2:7, 1:4] = 1
    return labels


def save(path: Path, labels: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(labels, affine), path)


@pytest.fixture
def batch(tmp_path: Path) -> tuple[Path, Path]:
    """Six cases: a and b good, the others each bad in its own way."""
    p, r = tmp_path / "p", tmp_path / "r"
    for case in "abcdef":
        save(r / f"{case}.nii.gz", volume())
        save(p / f"{case}.nii.gz", volume(3))
    whole = (p / "c.nii.gz").read_bytes()
    (p / "c.nii.gz").write_bytes(whole[: len(whole) // 2])
    moved = AFFINE.copy()
    moved[2, 3] += 4
    save(p / "d.nii.gz", volume(), moved)
    save(p / "e.nii.gz", volume() * 7)
    (r / "f.nii.gz").write_bytes(b"")
    return p, r


def test_bad_cases_are_listed_and_the_others_measured(batch: tuple[Path, Path]) -> None:
    result = evaluate(*batch, TWO, on_error="continue")
    assert result.cases == ["a", "b"]
    assert result.summary["cases"] == 2
    assert [entry["case"] for entry in result.failed] == ["c", "d", "e", "f"]
    messages = {entry["case"]: entry["message"] for entry in result.failed}
    assert "truncated or damaged" in messages["c"]
    assert "origin in mm" in messages["d"]
    assert "holds the values 7" in messages["e"]
    assert "f.nii.gz" in messages["f"]
    assert result.failed[0]["prediction_file"].endswith("c.nii.gz")
    assert result.failed[0]["reference_file"].endswith("r/c.nii.gz")
    assert "failed: 4 of 6 cases could not be measured and are in no mean: c, d, e, f" in result.summary["warnings"]
    assert "Failed (4), in no mean:\n  c: " in result.table()
    good = evaluate({c: batch[0] / f"{c}.nii.gz" for c in "ab"}, {c: batch[1] / f"{c}.nii.gz" for c in "ab"}, TWO)
    assert good.per_case == result.per_case
    assert good.summary["overall"] == result.summary["overall"]
    assert good.failed == []


def test_the_first_error_ends_the_batch_when_asked_for(batch: tuple[Path, Path]) -> None:
    with pytest.raises(ValueError, match=r"c\.nii\.gz: truncated or damaged"):
        evaluate(*batch, TWO)
    with pytest.raises(ValueError, match="on_error is 'ignore', expected 'raise' or 'continue'"):
        evaluate(*batch, TWO, on_error="ignore")


def test_a_batch_without_a_good_case_is_an_error(batch: tuple[Path, Path]) -> None:
    with pytest.raises(ValueError, match=r"all 2 cases failed; the first, c: .*c\.nii\.gz"):
        evaluate(
            {c: batch[0] / f"{c}.nii.gz" for c in "ce"},
            {c: batch[1] / f"{c}.nii.gz" for c in "ce"},
            TWO,
            on_error="continue",
        )


def test_faults_of_the_program_are_called_that(batch: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise TypeError("a fault")

    monkeypatch.setattr("sa2_monai.evaluation.clinical.case_rows", broken)
    with pytest.raises(ValueError, match="all 6 cases failed; the first, a: TypeError: a fault"):
        evaluate(*batch, TWO, on_error="continue")
    with pytest.raises(TypeError, match="a fault"):
        evaluate(*batch, TWO)


@pytest.mark.parametrize("family", ["volume", "image", "pooled", "image_2d", "size_range"])
def test_paper_families_go_on_as_well(family: str) -> None:
    mask = np.zeros((16, 16), np.uint8)
    mask[3:9, 4:12] = 1
    references = {"a": mask, "b": mask, "c": mask}
    predictions = {"a": mask, "b": mask * 9, "c": mask.T[:8]}
    options = {} if family == "volume" else {"grid": 16}
    result = evaluate(predictions, references, TWO, "paper", family=family, paper=options, on_error="continue")
    assert result.cases == ["a"]
    assert [entry["case"] for entry in result.failed] == ["b", "c"]
    alone = evaluate({"a": mask}, {"a": mask}, TWO, "paper", family=family, paper=options)
    assert result.summary["paper"] == alone.summary["paper"]
    with pytest.raises(ValueError, match="all 1 cases failed"):
        evaluate({"b": mask * 9}, {"b": mask}, TWO, "paper", family=family, paper=options, on_error="continue")


def test_failed_cases_are_left_out_of_a_comparison(batch: tuple[Path, Path], tmp_path: Path) -> None:
    save(tmp_path / "q" / "a.nii.gz", volume(4))
    for case in "cdef":
        save(tmp_path / "q" / f"{case}.nii.gz", volume(4))
    save(tmp_path / "q" / "b.nii.gz", volume(4) * 3)
    results = [evaluate(p, batch[1], TWO, on_error="continue") for p in (batch[0], tmp_path / "q")]
    comparison = compare(*results)
    assert comparison["cases"] == 1
    assert any(w.startswith("failed: 5 cases failed in one of the two") for w in comparison["warnings"])


def label(affine: np.ndarray | None, shape: tuple[int, ...] = (12, 10, 6)) -> LabelMap:
    spacing = (1.0,) * 3 if affine is None else tuple(np.linalg.norm(affine[:3, :3], axis=0))
    return LabelMap(np.zeros(shape, np.uint8), spacing, "mm", affine, "x")


def turned(degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return np.asarray(turn @ AFFINE)


def changed(row: int, column: int, value: float) -> np.ndarray:
    affine = AFFINE.copy()
    affine[row, column] = value
    return affine


FLIPPED = AFFINE @ np.diag([-1.0, 1, 1, 1])

GRIDS: dict[str, tuple[LabelMap, list[str]]] = {
    "equal": (label(AFFINE), []),
    "equal but for rounding": (label(AFFINE + 1e-6), []),
    "shape": (label(AFFINE, (12, 10, 7)), [r"shape: the prediction has (12, 10, 7), the reference (12, 10, 6)"]),
    "spacing": (label(changed(2, 2, 5)), ["spacing in mm: the prediction has (1.5, 1.5, 5), the reference (1.5, 1.5,"]),
    "origin": (label(changed(0, 3, 11)), ["origin in mm: the prediction has (11, 20, -30), the reference (10,"]),
    "orientation": (label(FLIPPED), ["orientation: the prediction has RPS, the reference LPS"]),
    "turned": (label(turned(5)), ["turned against each other by 5 degrees", "origin"]),
    "no geometry": (label(None), ["the prediction has no physical geometry while the other has"]),
}  # fmt: skip


@pytest.mark.parametrize("name", GRIDS)
def test_the_difference_of_grids_in_words(name: str) -> None:
    prediction, words = GRIDS[name]
    found = grid_difference(prediction, label(AFFINE))
    assert bool(found) == bool(words)
    for word in words:
        assert word in found
    topics = [topic for topic in ("shape:", "spacing in mm:", "origin in mm:", "orientation:") if topic in found]
    expected = {"turned": ["origin in mm:", "orientation:"], "no geometry": []}.get(name)
    assert topics == ([word.split(" the ")[0] for word in words] if expected is None else expected)


@pytest.mark.parametrize(("share", "told"), [(0.005, False), (0.02, True), (0.5, True)])
def test_one_percent_of_a_voxel_is_the_limit(share: float, told: bool) -> None:
    """Of the origin, and of a spacing whose small difference adds up over many voxels."""
    shape = (2001, 2, 2)
    moved, wider = AFFINE.copy(), AFFINE.copy()
    moved[:3, 3] += share * AFFINE[:3, 0]
    wider[:3, 0] *= 1 + share / 2000
    for affine, topic in ((moved, "origin in mm:"), (wider, "spacing in mm:")):
        found = grid_difference(label(affine, shape), label(AFFINE, shape))
        assert bool(found) == (topic in found) == told


@pytest.mark.parametrize("ignore_value", [None, -1])
def test_nonzero_never_makes_an_object_of_a_negative_value(ignore_value: int | None) -> None:
    array = np.array([0, 3, -1], np.int16)
    if ignore_value is None:
        with pytest.raises(ValueError, match=r"x: holds the values .*-1.*negative"):
            map_values(array, "nonzero", {1: "cell"}, "x")
    else:
        assert map_values(array, "nonzero", {1: "cell"}, "x", ignore_value=ignore_value).tolist() == [0, 1, 0]


def test_resampling_is_explicit_and_told(batch: tuple[Path, Path]) -> None:
    cases = {"d": batch[1] / "d.nii.gz"}
    with pytest.raises(ValueError, match=r"origin in mm: .*allow resampling \(--resample\)"):
        evaluate({"d": batch[0] / "d.nii.gz"}, cases, TWO)
    result = evaluate({"d": batch[0] / "d.nii.gz"}, cases, TWO, allow_resample=True)
    assert result.per_case[0]["resampled"] is True
    shifted = np.zeros_like(volume())
    shifted[:, :, 1:] = volume()[:, :, :-1]  # one slice of 4 mm
    assert result.per_case[0]["voxels_both"] == int((shifted & volume()).sum())


def test_missing_and_unused_files_and_empty_references(tmp_path: Path) -> None:
    p, r = tmp_path / "p", tmp_path / "r"
    for case in ("a", "b"):
        save(r / f"{case}.nii.gz", volume() * 0)
    save(p / "a.nii.gz", volume())
    save(p / "z.nii.gz", volume())
    result = evaluate(p, r, TWO)
    warnings = "\n".join(result.summary["warnings"])
    for word in (
        "missing_prediction: case b has no prediction",
        "unused_predictions: 1 without a reference: z",
        "empty_reference: the reference of case a",
        "empty_reference: the reference of case b",
        "no_reference_object: no reference holds any object",
    ):
        assert word in warnings
    assert [row["status"] for row in result.per_case] == ["spurious", "absent"]
    assert result.headline == 0
    (p / "a.nii.gz").unlink()
    with pytest.raises(ValueError, match="no prediction belongs to any of the 2 references"):
        evaluate(p, r, TWO, on_error="continue")


def test_dicom_seg_lies_on_the_grid_of_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A DICOM SEG has its own axes and leaves empty slices out; the voxels are the same."""
    labels = volume()
    turn = np.array([[0, -1.0, 0, 9], [1, 0, 0, 0], [0, 0, 1, 1], [0, 0, 0, 1]])  # from its indices to those here
    part = np.rot90(labels, axes=(0, 1))[:, :, 1:4]
    inverse = np.zeros_like(labels)
    for index in np.argwhere(part):
        inverse[tuple((turn @ [*index, 1])[:3].astype(int))] = 1
    seg = SimpleNamespace(read_dicom_seg=lambda path: (part, AFFINE @ turn))
    monkeypatch.setitem(sys.modules, "sa2_monai.io.dicom.seg", seg)  # type: ignore[arg-type]
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "v.dcm").write_bytes(b"")
    save(tmp_path / "r" / "v.nii.gz", inverse)
    result = evaluate(tmp_path / "p", tmp_path / "r", TWO)
    assert result.per_case[0]["dice"] == 1
    assert result.per_case[0]["resampled"] is False
    monkeypatch.setattr(seg, "read_dicom_seg", lambda path: (part, turned(3) @ turn))
    with pytest.raises(ValueError, match=r"mm .* apart"):
        evaluate(tmp_path / "p", tmp_path / "r", TWO)


def test_dicom_seg_without_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sa2_monai.io.dicom.seg", None)  # type: ignore[arg-type]
    (tmp_path / "v.dcm").write_bytes(b"")
    with pytest.raises(ValueError, match=r"v\.dcm: DICOM SEG needs highdicom: pip install 'sa2_monai\[dicom\]'"):
        read_label_map(tmp_path / "v.dcm", "prediction")


def test_labels_saved_as_doubles_take_one_byte(tmp_path: Path) -> None:
    save(tmp_path / "v.nii.gz", volume().astype(np.float64))
    assert read_label_map(tmp_path / "v.nii.gz", "reference").array.dtype == np.uint8
    for value, word in ((0.5, "fractional values"), (np.nan, "NaN"), (np.inf, "NaN or infinite")):
        wrong = volume().astype(np.float64)
        wrong[0, 0, 0] = value
        save(tmp_path / "w.nii.gz", wrong)
        with pytest.raises(ValueError, match=word):
            read_label_map(tmp_path / "w.nii.gz", "reference")


@pytest.mark.parametrize("change", ["end", "bit"])
def test_damage_behind_the_last_voxel_is_seen(change: str, tmp_path: Path) -> None:
    path = tmp_path / "v.nii.gz"
    save(path, volume())
    content = bytearray(path.read_bytes())
    if change == "bit":
        content[-6] ^= 1  # of the checksum
    else:
        del content[-3:]
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"v\.nii\.gz: truncated or damaged"):
        read_label_map(path, "prediction")


def test_both_versions_of_nifti(tmp_path: Path) -> None:
    for name, kind in (
        ("a.nii.gz", nibabel.Nifti2Image),
        ("b.nii", nibabel.Nifti2Image),
        ("c.nii", nibabel.Nifti1Image),
    ):
        nibabel.save(kind(volume(), AFFINE), tmp_path / name)
        label = read_label_map(tmp_path / name, "reference")
        assert np.array_equal(label.array, volume())
        assert label.affine is not None
        assert np.array_equal(label.affine, AFFINE)


@pytest.mark.parametrize("axes", ["RAS", "LPI", "SAR"])
def test_resampling_to_other_axes_loses_no_voxel_at_the_border(axes: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels, affine = rng.integers(0, 2, (9, 8, 7), dtype=np.uint8), turned(7.3)  # noise up to every face
    reference = nibabel.Nifti1Image(labels, affine)
    turn = nibabel.orientations.ornt_transform(nibabel.io_orientation(affine), nibabel.orientations.axcodes2ornt(axes))
    nibabel.save(reference, tmp_path / "v.nii.gz")
    nibabel.save(reference.as_reoriented(turn), tmp_path / "p.nii.gz")
    result = evaluate({"v": tmp_path / "p.nii.gz"}, {"v": tmp_path / "v.nii.gz"}, TWO, allow_resample=True)
    assert result.per_case[0]["dice"] == 1


@pytest.mark.parametrize(("shift", "lost"), [(0.4, 0), (-0.4, 0), (0.6, 1), (-0.6, 1)])
def test_voxels_reach_half_a_voxel_beyond_their_centres(shift: float, lost: int, tmp_path: Path) -> None:
    full = np.ones((5, 6, 7), np.uint8)
    moved = AFFINE.copy()
    moved[:3, 3] += shift * AFFINE[:3, 2]
    save(tmp_path / "p.nii.gz", full, moved)
    save(tmp_path / "v.nii.gz", full)
    result = evaluate({"v": tmp_path / "p.nii.gz"}, {"v": tmp_path / "v.nii.gz"}, TWO, allow_resample=True)
    assert result.per_case[0]["voxels_pred"] == 5 * 6 * (7 - lost)


@pytest.mark.realdata
def test_dicom_seg_of_a_real_oblique_series(real_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("highdicom", reason="highdicom is not installed")
    from sa2_monai.data import read_volume
    from sa2_monai.inference import write_dicom_seg

    series = real_data / "dicom_mr_t1w" / "dicom"
    if not series.is_dir():
        pytest.skip(f"no DICOM series in {series}")
    volume_ = read_volume(series)
    labels = np.zeros(volume_.array.shape, np.uint8)
    labels[100:140, 90:150, 10:31] = 1  # empty slices on both sides, which the file leaves out
    (tmp_path / "p").mkdir()
    write_dicom_seg(labels, series, tmp_path / "p" / "mr.dcm", TWO)
    (tmp_path / "r").mkdir()
    reference = nibabel.as_closest_canonical(nibabel.Nifti1Image(labels, volume_.header.affine))
    nibabel.save(reference, tmp_path / "r" / "mr.nii.gz")
    row = evaluate(tmp_path / "p", tmp_path / "r", TWO).per_case[0]
    assert (row["dice"], row["hd95"], row["resampled"]) == (1, 0, False)
