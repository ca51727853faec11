# SPDX-License-Identifier: Apache-2.0
"""Masks for people to look at as label maps, and where converted files are kept."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from sa2_monai.data.layouts.nested import folder_with, folders_below, subfolder
from sa2_monai.data.preparation.cache import cache_folder, cached_label, write_png
from sa2_monai.data.preparation.masks import cache_masks, threshold_mask

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)

# image, its file name, where the foreground is
MASKS = [
    (RAMP, "m.png", RAMP >= 128),
    (np.stack([RAMP, 255 - RAMP, RAMP], axis=2), "m.tif", RAMP >= 128),
    (RAMP >= 100, "m.png", RAMP >= 100),  # one bit per pixel
    (RAMP.astype(np.uint16) * 257, "m.png", RAMP >= 128),
    (RAMP.astype(np.float32) / 255, "m.tif", RAMP >= 128),
    ((RAMP > 9).astype(np.uint8), "m.png", RAMP > 9),  # class numbers
    ((RAMP > 9).astype(np.uint8), "m.jpg", RAMP < 0),  # noise of a black JPEG
    (np.zeros((16, 16), np.uint8), "m.png", RAMP < 0),
]


@pytest.mark.parametrize(("array", "name", "inside"), MASKS)
@pytest.mark.parametrize("value", [255, 3])
def test_threshold(tmp_path: Path, array: np.ndarray, name: str, inside: np.ndarray, value: int) -> None:
    Image.fromarray(array).save(tmp_path / name)
    label = threshold_mask(tmp_path / name, value)
    assert label.dtype == np.uint8
    np.testing.assert_array_equal(label, np.where(inside, value, 0))


def test_stored_values_count(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "m.tif", RAMP, photometric="miniswhite")  # as ImageJ with an inverting table
    np.testing.assert_array_equal(threshold_mask(tmp_path / "m.tif"), np.where(RAMP >= 128, 255, 0))


def test_label_maps_follow_content_and_rule(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "inner" / "a.png"
    source.write_bytes(b"one")
    calls = []

    def convert(path: Path) -> np.ndarray:
        calls.append(path.read_bytes())
        return np.full((2, 3), len(calls), np.uint8)

    assert cached_label(source, target, "rule 1", convert)
    assert not cached_label(source, target, "rule 1", convert)
    os.utime(source, (1, 1))  # a copied file has another date and the same content
    assert not cached_label(source, target, "rule 1", convert)
    assert cached_label(source, target, "rule 2", convert)
    source.write_bytes(b"two")
    assert cached_label(source, target, "rule 2", convert)
    assert calls == [b"one", b"one", b"two"]
    assert (np.asarray(Image.open(target)) == 3).all()
    write_png(target, np.zeros((2, 3), np.uint16))  # another program's file without a key
    assert cached_label(source, target, "rule 2", convert)
    assert [path.name for path in target.parent.iterdir()] == ["a.png"]


def test_all_damaged_masks_are_named_and_the_others_made(tmp_path: Path) -> None:
    cases = []
    for name in "abc":
        write_png(tmp_path / f"{name}.png", RAMP)
        cases.append({"case": name, "label": str(tmp_path / f"{name}.png")})
    for name in "ab":
        (tmp_path / f"{name}.png").write_bytes(b"")
    with pytest.raises(
        ValueError, match=r"(?s)the set.*unreadable label files \(2\).*a\.png: is empty.*b\.png: is empty"
    ):
        cache_masks("the set", cases, tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["c.png"]


def test_cache_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = f"name-{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]}"
    assert cache_folder(tmp_path, None, "name") == tmp_path / ".sa2_monai"
    assert cache_folder(tmp_path, tmp_path / "asked", "name") == tmp_path / "asked" / own
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(os, "access", lambda *args: False)
    assert cache_folder(tmp_path, None, "name") == tmp_path / "home" / "sa2_monai" / own
    assert (tmp_path / "home" / "sa2_monai" / own).is_dir()


def test_folders_of_a_download(tmp_path: Path) -> None:
    for name in ("b/Train/Original", "b/Ground truth", ".hidden/x", "__MACOSX/x", "a/deep/x"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "x").write_text("a file")
    assert list(folders_below(tmp_path)) == [tmp_path, tmp_path / "a", tmp_path / "b"]
    assert subfolder(tmp_path, "B/train/ORIGINAL") == tmp_path / "b" / "Train" / "Original"
    assert subfolder(tmp_path, "b/none/Original") is None
    assert folder_with(tmp_path, "ground truth", "train/original") == tmp_path / "b"
    assert folder_with(tmp_path, "x") is None
    assert folder_with(tmp_path, "x", levels=2) == tmp_path / "a" / "deep"
