# SPDX-License-Identifier: Apache-2.0
"""Images that stay as their file has them: the inferer makes of them what it made of scaled ones, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor, set_track_meta
from monai.transforms import Compose, EnsureTyped
from PIL import Image

from sa2_monai.data import VolumeReader
from sa2_monai.inference import inferer_for
from sa2_monai.slices import (
    SliceView,
    StoredVolume,
    StrictLoadImaged,
    load_image,
    load_label,
    map_labels,
    orient_slices,
    restore_orientation,
    scale_intensity,
)
from tests.inference.slice_networks import make_network
from tests.support.volume_files import patched

# dtype of the file, lowest and highest stored value, slope and intercept, dtype in memory
FILES = [
    ("int16", -1000, 1500, 1.0, 0.0, torch.int16),
    ("int16", 0, 3000, 1.0, -1024.0, torch.int16),
    ("int16", -9, 3000, 0.73, 12.5, torch.int16),
    ("int8", -5, 100, -1.0, 0.0, torch.int8),
    ("uint8", 0, 255, 1.0, 0.0, torch.uint8),
    ("uint16", 0, 3000, 2.0, 0.0, torch.int16),
    ("uint16", 0, 65535, 0.5, -3.0, torch.int16),
    ("int32", -70000, 70000, 1.0, 0.0, torch.float32),
    ("float32", -2, 3, 1.0, 0.0, torch.float32),
    ("float64", -2, 3, 1.0, 0.0, torch.float32),
]
INTENSITIES = ("window", "percentiles", "minmax", "slice_maximum", "none")
# view, output, orientations
VIEWS = [
    ("whole", "probabilities", "slices"),
    ("paper", "labels", "slices"),
    ("windows", "labels", "all"),
]


def write(folder: Path, array: np.ndarray, codes: str = "RAS", slope: float = 1.0, intercept: float = 0.0) -> str:
    turn = nib.orientations.axcodes2ornt(codes)
    affine = np.diag([0.0, 0.0, 0.0, 1.0])
    for axis, (world, sign) in enumerate(turn):
        affine[int(world), axis] = sign * (1.1 + axis)
    nib.save(nib.Nifti1Image(array, affine, dtype=array.dtype), folder / "v.nii")
    return str(patched(folder / "v.nii", scl_slope=slope, scl_inter=intercept))


def chain(intensity: str, as_stored: bool) -> Compose:
    at_once = {} if as_stored else {"dtype": torch.float32}
    scale = scale_intensity("volumes", intensity, [-200.3, 300], (1.5, 98))
    steps = [load_image("volumes", as_stored=as_stored), EnsureTyped("image", **at_once)]
    return Compose([*steps, orient_slices("volumes", keys="image"), scale])


def predictions(item: dict[str, Any], steps: Compose) -> list[MetaTensor]:
    found = []
    for view, output, orientations in VIEWS:
        look = SliceView(view, [16, 16], resize="spline", normalize=(0.5, 0.5))
        inferer = inferer_for(look, 3, output=output, orientations=orientations)
        pred = inferer(item["image"][None], make_network(1, 3))[0]
        found.append(restore_orientation("volumes", steps)({**item, "pred": pred})["pred"])
    return found


@pytest.mark.parametrize("intensity", INTENSITIES)
@pytest.mark.parametrize(("dtype", "low", "high", "slope", "intercept", "kept"), FILES)
def test_slices_that_are_scaled_when_they_are_cut(
    dtype: str,
    low: float,
    high: float,
    slope: float,
    intercept: float,
    kept: torch.dtype,
    intensity: str,
    tmp_path: Path,
) -> None:
    values = np.random.default_rng(0).uniform(low, high, (13, 12, 5)).astype(dtype)
    codes = {"window": "RAS", "percentiles": "PIR", "minmax": "LPS"}.get(intensity, "ASL")
    file = write(tmp_path, values, codes, slope, intercept)
    eager, stored = (chain(intensity, as_stored) for as_stored in (False, True))
    expected, item = eager({"image": file}), stored({"image": file})
    assert item["image"].dtype == kept
    volume = StoredVolume.of(item["image"])
    assert torch.equal(volume.done(item["image"]).as_tensor(), expected["image"].as_tensor())
    assert torch.equal(item["image"].affine, expected["image"].affine)
    for found, wanted in zip(predictions(item, stored), predictions(expected, eager), strict=True):
        assert found.dtype == wanted.dtype
        assert torch.equal(found.as_tensor(), wanted.as_tensor())
        assert torch.equal(found.affine, wanted.affine)


@pytest.mark.filterwarnings("ignore:Divide by zero")
@pytest.mark.parametrize("intensity", ["percentiles", "minmax"])
def test_an_image_of_one_value_is_scaled_at_once(intensity: str, tmp_path: Path) -> None:
    file = write(tmp_path, np.full((6, 5, 4), 7, dtype=np.int16))
    image = chain(intensity, True)({"image": file})["image"]
    assert not StoredVolume.waits(image)
    assert image.dtype == torch.float32
    assert not image.any()


@pytest.mark.parametrize("slopes", [(1.0, 1.0), (0.5, 0.5), (1.0, 0.25)])
def test_channels_of_several_files(slopes: tuple[float, float], tmp_path: Path) -> None:
    files = []
    for number, slope in enumerate(slopes):
        (tmp_path / str(number)).mkdir()
        values = np.random.default_rng(number).integers(0, 900, (6, 5, 4)).astype(np.int16)
        files.append(write(tmp_path / str(number), values, "LPS", slope))
    eager, stored = (
        StrictLoadImaged("image", VolumeReader(2, as_stored=as_stored), ensure_channel_first=True, **dtype)(
            {"image": files}
        )["image"]
        for as_stored, dtype in ((False, {}), (True, {"dtype": None}))
    )
    assert stored.dtype == (torch.int16 if slopes[0] == slopes[1] else torch.float32)
    assert torch.equal(StoredVolume.of(stored).done(stored).as_tensor(), eager.as_tensor())


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("intensity", ["range", "percentiles", "minmax"])
def test_2d_images(dtype: str, intensity: str, tmp_path: Path) -> None:
    values = np.random.default_rng(0).uniform(0, 1, (9, 8, 3))
    values = values.astype(np.float32) if dtype == "float32" else (values * np.iinfo(dtype).max).astype(dtype)
    np.save(tmp_path / "a.npy", values)
    scale = scale_intensity("images", intensity, percentiles=(10, 90))
    eager, stored = (
        Compose([load_image("images", 3, as_volume=True, as_stored=as_stored), scale])(
            {"image": str(tmp_path / "a.npy")}
        )["image"]
        for as_stored in (False, True)
    )
    assert stored.dtype == {"uint8": torch.uint8, "uint16": torch.int16, "float32": torch.float32}[dtype]
    assert stored.shape == eager.shape == (3, 9, 8, 1)
    assert torch.equal(StoredVolume.of(stored).done(stored).as_tensor(), eager.as_tensor())


def test_a_png_is_kept_in_memory_that_tensors_may_write_to(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 5, 3), 9, dtype=np.uint8)).save(tmp_path / "a.png")
    image = load_image("images", 3, as_volume=True, as_stored=True)({"image": str(tmp_path / "a.png")})["image"]
    assert image.dtype == torch.uint8
    assert (image == 9).all()


# dtype of the file, values, dtype of the label that is kept
LABELS = [
    ("uint8", [0, 1, 2], torch.uint8),
    ("int16", [0, 1, 2], torch.int16),
    ("uint16", [0, 1, 2], torch.int16),
    ("uint16", [0, 1, 65535], torch.int32),
    ("int32", [0, 1, 70000], torch.int32),
    ("float32", [0, 1, 2], torch.uint8),
]


@pytest.mark.parametrize(("dtype", "values", "kept"), LABELS)
def test_label_maps(dtype: str, values: list[int], kept: torch.dtype, tmp_path: Path) -> None:
    array = np.random.default_rng(0).choice(values, (7, 6, 5)).astype(dtype)
    file = write(tmp_path, array, "RAS")
    stored = load_label("volumes", as_stored=True)({"label": file})["label"]
    assert stored.dtype == kept
    np.testing.assert_array_equal(np.asarray(stored[0]), array)
    ignored = values[2] if values[2] > 2 else None
    steps = map_labels(["a", "b", "c"], ignore_value=ignored), orient_slices("volumes", keys="label")
    expected, found = (
        Compose([load_label("volumes", as_stored=as_stored), *steps])({"label": file, "case": "v"})["label"]
        for as_stored in (False, True)
    )
    assert found.dtype == torch.uint8
    assert torch.equal(found.as_tensor(), expected.as_tensor())


def test_only_loaded_memory_is_turned_in_place(tmp_path: Path) -> None:
    """MONAI Deploy leaves out the loading and gives the array of somebody else."""
    file = write(tmp_path, np.arange(24, dtype=np.int16).reshape(2, 3, 4))
    turn = orient_slices("volumes", keys="image")
    stored, plain = (
        load_image("volumes", as_stored=as_stored)({"image": file})["image"] for as_stored in (True, False)
    )
    before = plain.clone()
    turned = [turn({"image": image})["image"] for image in (stored, plain)]
    assert torch.equal(plain.as_tensor(), before.as_tensor())
    assert turned[0].untyped_storage().data_ptr() == stored.untyped_storage().data_ptr()
    assert torch.equal(turned[0].as_tensor().float(), turned[1].as_tensor())
    deploy = MetaTensor(before.as_tensor().to(torch.int16), affine=before.affine)
    image = Compose(chain("window", True).transforms[1:])({"image": deploy})["image"]
    assert image.dtype == torch.float32
    assert not StoredVolume.waits(image)


def test_without_metadata_nothing_is_kept_as_stored(tmp_path: Path) -> None:
    """Nobody would know any more how the voxels are to be scaled."""
    np.save(tmp_path / "a.npy", np.zeros((4, 5), dtype=np.uint8))
    set_track_meta(False)
    try:
        with pytest.raises(ValueError, match=r"as_stored\) need metadata.*set_track_meta\(True\)"):
            load_image("images", as_stored=True)({"image": str(tmp_path / "a.npy")})
    finally:
        set_track_meta(True)
