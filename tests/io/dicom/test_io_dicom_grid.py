# SPDX-License-Identifier: Apache-2.0
"""The grid of DICOM slices whose positions, cosines and frames of reference other programs have rounded or replaced."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sa2_monai.data import read_volume
from sa2_monai.io.dicom.grid import _explained, _unit
from sa2_monai.io.dicom.series import find_series
from sa2_monai.io.volumes.geometry import corner_distance
from tests.support.dicom_files import ROOT, edit, rotation, tilted, write_series

LONG = (16, 12, 15)


def turned(**angles: float) -> np.ndarray:
    matrix = rotation(**angles)
    return np.r_[matrix[:, 0], matrix[:, 1]]


def rewrite_positions(folder: Path, change: Callable[[np.ndarray], Any]) -> None:
    for path in folder.iterdir():
        position = np.array(pydicom.dcmread(path).ImagePositionPatient, float)
        edit(path, ImagePositionPatient=[str(value)[:16] for value in change(position)])


def rounded(decimals: int) -> Callable[[np.ndarray], Any]:
    return lambda position: [f"{value:.{decimals}f}" for value in position]


def cut(position: np.ndarray) -> Any:
    return np.trunc(position * 10) / 10


def single(position: np.ndarray) -> Any:
    return [repr(float(np.float32(round(value, 1))))[:16] for value in position]


TEST_CASE_ROUNDED: dict[str, tuple[dict[str, Any], Callable[[np.ndarray], Any]]] = {
    "0.1 mm, step 0.625": ({"thickness": 0.625}, rounded(1)),
    "0.1 mm, step 1.25": ({"thickness": 1.25}, rounded(1)),
    "0.1 mm, step 0.33": ({"thickness": 0.33}, rounded(1)),
    "0.1 mm, step 2.7083": ({"thickness": 2.7083}, rounded(1)),
    "cut off after 0.1 mm, through zero": ({"thickness": 4.37, "orientation": (-1, 0, 0, 0, 1, 0)}, cut),
    "0.1 mm in single precision": ({"thickness": 0.7531}, single),
    "only one component": ({"thickness": 0.7531}, lambda p: [p[0] + 0.51171875, p[1] + 0.1234567, round(p[2], 1)]),
    "oblique": ({"thickness": 1.43, "orientation": turned(x=12, y=7, z=30), "modality": "MR"}, rounded(1)),
    "gantry tilt": (tilted(15, 1.31), rounded(1)),
}


@pytest.mark.parametrize("name", TEST_CASE_ROUNDED)
def test_rounded_positions(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    options, change = TEST_CASE_ROUNDED[name]
    array, affine = write_series(tmp_path / "s", shape=LONG, **options)
    rewrite_positions(tmp_path / "s", change)
    if "component" in name:
        affine[:2, 3] -= 0.51171875, 0.1234567
    with caplog.at_level(logging.WARNING):
        volume = read_volume(tmp_path / "s")
    assert np.array_equal(volume.array, array)
    # Rounding moves the grid by half a unit at most in each direction, cutting by a whole one.
    limit = 0.18 if "cut" in name else 0.09
    assert corner_distance(LONG, volume.header.affine, affine) < limit
    assert "positions are written to 0.1 mm" in caplog.text


TEST_CASE_REFUSED: dict[str, tuple[Callable[[list[Path]], Any], str]] = {
    "missing": (lambda p: p[7].unlink(), r"slices are missing \(1\):\n +1 between .*instance 7\).*instance 9\)"),
    "two missing": (lambda p: [q.unlink() for q in p[4:6]], r"slices are missing \(1\):\n +2 between .*instance 4\)"),
    "doubled": (lambda p: p[3].with_name("again").write_bytes(p[3].read_bytes()), r"at the same position \(1\)"),
    "displaced by half a step": (lambda p: move(p[6], 0.3), r"not equally spaced \(1\):\n.*instance 7.*instance 8"),
    "displaced beside": (lambda p: move(p[6], 0.3, axis=0), r"displaced slices \(1\):\n.*instance 7\): 0\.\d+ mm"),
    "a little too far": (
        lambda p: move(p[6], 0.2),
        r"(displaced slices|not equally spaced) \(\d\):\n.*instance [67]\)",
    ),
}


def move(path: Path, distance: float, axis: int = 2) -> None:
    position = [float(value) for value in pydicom.dcmread(path).ImagePositionPatient]
    position[axis] = round(position[axis] + distance, 1)
    edit(path, ImagePositionPatient=[f"{value:.1f}" for value in position])


@pytest.mark.parametrize("name", TEST_CASE_REFUSED)
def test_rounding_hides_nothing(tmp_path: Path, name: str) -> None:
    write_series(tmp_path / "s", shape=LONG, thickness=0.625)
    rewrite_positions(tmp_path / "s", rounded(1))
    change, message = TEST_CASE_REFUSED[name]
    change([item.path for item in find_series(tmp_path / "s").slices])
    with pytest.raises(ValueError, match=message):
        find_series(tmp_path / "s")


def test_whole_millimetres_are_no_rounding(tmp_path: Path) -> None:
    """One slice that is displaced by 1 mm among slices at whole millimetres; rounding to 1 mm would explain it."""
    write_series(tmp_path / "s", thickness=5)
    move(find_series(tmp_path / "s").slices[2].path, 1.0)
    with pytest.raises(ValueError, match=r"not equally spaced \(2\)"):
        find_series(tmp_path / "s")


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.floats(-300, 300), st.floats(0.2, 12), st.integers(3, 200), st.sampled_from([1, 2, 3]))
def test_rounded_lines_are_explained(start: float, step: float, count: int, decimals: int) -> None:
    line = start + step * np.arange(count)
    values = np.round(line, decimals)
    unit = 10.0**-decimals
    assert _unit(values) in (unit, 10 * unit, 100 * unit, 0.0)
    assert _explained(values, unit)
    values[count // 2] += 4 * max(unit, 0.01)  # three units more than rounding can do
    assert not _explained(values, unit)


TEST_CASE_FRAMES: dict[str, Callable[[list[Path]], Any]] = {
    "of every slice": lambda p: [edit(q, FrameOfReferenceUID=f"1.2.{k + 1}") for k, q in enumerate(p)],
    "another one in one slice": lambda p: edit(p[5], FrameOfReferenceUID="1.2"),
    "missing in one slice": lambda p: edit(p[5], FrameOfReferenceUID=None),
    "empty in some": lambda p: [edit(q, FrameOfReferenceUID="") for q in p[:3]],
}


@pytest.mark.parametrize("name", TEST_CASE_FRAMES)
def test_frames_of_reference_that_differ(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    array, affine = write_series(tmp_path / "s")
    TEST_CASE_FRAMES[name]([item.path for item in find_series(tmp_path / "s").slices])
    with caplog.at_level(logging.WARNING):
        volume = read_volume(tmp_path / "s")
    assert np.array_equal(volume.array, array)
    assert corner_distance(array.shape, volume.header.affine, affine) < 1e-6
    assert "frames of reference in 6 slices" in caplog.text
    # What tells two scans apart does so still.
    edit(find_series(tmp_path / "s").slices[3].path, SeriesInstanceUID=f"{ROOT}.8")
    with pytest.raises(ValueError, match="holds 2 series"):
        read_volume(tmp_path / "s")


@pytest.mark.parametrize("decimals", [2, 3, 4, 6])
def test_cosines_of_few_digits(tmp_path: Path, decimals: int, caplog: pytest.LogCaptureFixture) -> None:
    _, affine = write_series(tmp_path / "s", orientation=turned(x=12, y=7, z=30), modality="MR")
    for path in (tmp_path / "s").iterdir():
        cosines = [float(value) for value in pydicom.dcmread(path).ImageOrientationPatient]
        edit(path, ImageOrientationPatient=[f"{value:.{decimals}f}" for value in cosines])
    with caplog.at_level(logging.WARNING):
        volume = read_volume(tmp_path / "s")
    axes = volume.header.affine[:3, :2] / [0.7, 0.8]
    assert np.allclose(axes.T @ axes, np.eye(2), atol=1e-4)
    assert np.abs(volume.header.affine - affine).max() < 2 * 10.0**-decimals
    assert ("few digits" in caplog.text) == (decimals < 4)


def test_cosines_rounded_in_one_slice(tmp_path: Path) -> None:
    array, affine = write_series(tmp_path / "s", orientation=turned(x=12, y=7, z=30), modality="MR")
    path = sorted((tmp_path / "s").iterdir())[0]  # the first that is read
    cosines = [float(value) for value in pydicom.dcmread(path).ImageOrientationPatient]
    edit(path, ImageOrientationPatient=[f"{value:.3f}" for value in cosines])
    volume = read_volume(tmp_path / "s")
    assert np.array_equal(volume.array, array)
    assert corner_distance(array.shape, volume.header.affine, affine) < 1e-6
    edit(path, ImageOrientationPatient=list(turned(x=12.1, y=7, z=30)))
    with pytest.raises(ValueError, match=r"different orientations \(1\):\n.*instance 6\)"):
        read_volume(tmp_path / "s")
