# SPDX-License-Identifier: Apache-2.0
"""Files with names that are no UTF-8, for a library that takes nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from sa2_monai.io.utf8_names import utf8_name

BAD = os.fsdecode(b"\xff\xfe")
VOLUME = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def written(folder: Path, suffix: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"x{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(VOLUME), str(path))
    return path


def bad_names(tmp_path: Path) -> Path:
    folder = tmp_path / BAD
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    return folder


def test_text_stays(tmp_path: Path) -> None:
    assert utf8_name(tmp_path / "é #1.mha") == str(tmp_path / "é #1.mha")


@pytest.mark.parametrize("suffix", [".mha", ".mhd", ".nrrd", ".nhdr"])
@pytest.mark.parametrize(("folder", "stem"), [(BAD, "x"), ("plain", BAD), (BAD, BAD)])
def test_the_file_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, folder: str, stem: str) -> None:
    bad_names(tmp_path)
    path = written(tmp_path / "made", suffix)
    moved = tmp_path / folder / f"{stem}{suffix}"
    moved.parent.mkdir(exist_ok=True)
    for file in (tmp_path / "made").iterdir():  # the header of two files names the other one
        file.rename(moved if file == path else moved.parent / file.name)
    monkeypatch.chdir(tmp_path)
    for name in (moved, moved.relative_to(tmp_path)):
        text = utf8_name(name)
        text.encode("utf-8")
        assert Path(text).samefile(moved)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(sitk.ReadImage(text)), VOLUME)
