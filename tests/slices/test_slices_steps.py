# SPDX-License-Identifier: Apache-2.0
"""The named steps: which transform they are for which kind of files, and what comes out of real files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import (
    Compose,
    Identityd,
    Invertd,
    ScaleIntensityd,
    ScaleIntensityRanged,
    ScaleIntensityRangePercentilesd,
)
from PIL import Image

from sa2_monai.slices import (
    ScaleSliceMaximumd,
    ScaleWhenCutd,
    SliceOrientationd,
    check_size,
    load_image,
    load_label,
    map_labels,
    orient_slices,
    restore_orientation,
    scale_intensity,
)

KINDS = ("images", "volumes", "preprocessed")
# intensity, the step of 2D images and volumes
TEST_CASES = [
    ("window", ScaleIntensityRanged),
    ("percentiles", ScaleIntensityRangePercentilesd),
    ("minmax", ScaleIntensityd),
    ("slice_maximum", ScaleSliceMaximumd),
    ("minmax_resized", Identityd),
    ("range", Identityd),
    ("none", Identityd),
]
VALUES = [-50.0, 0.0, 50.0, 100.0, 150.0]
# arguments, what becomes of VALUES
SCALED = [
    ({"intensity": "window", "intensity_range": [0, 100]}, [0.0, 0.0, 0.5, 1.0, 1.0]),
    ({"intensity": "percentiles", "percentiles": [25, 75]}, [0.0, 0.0, 0.5, 1.0, 1.0]),
    ({"intensity": "minmax"}, [0.0, 0.25, 0.5, 0.75, 1.0]),
    ({"intensity": "slice_maximum"}, [0.0, 0.0, 1 / 3, 2 / 3, 1.0]),
    ({"intensity": "none"}, VALUES),
]


@pytest.mark.parametrize(("intensity", "expected"), TEST_CASES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_step_of_an_intensity(kind: str, intensity: str, expected: type) -> None:
    step = scale_intensity(kind, intensity, [0, 100])
    if kind == "preprocessed":
        assert type(step) is Identityd
    else:
        assert isinstance(step, ScaleWhenCutd)
        assert type(step.at_once) is expected


@pytest.mark.parametrize(("arguments", "expected"), SCALED)
def test_what_becomes_of_values(arguments: dict[str, Any], expected: list[float]) -> None:
    image = torch.tensor(VALUES).reshape(1, 5, 1, 1)
    found = torch.as_tensor(scale_intensity("volumes", **arguments)({"image": image})["image"]).flatten()
    torch.testing.assert_close(found, torch.tensor(expected), rtol=0, atol=1e-6)


def test_words_that_nobody_knows() -> None:
    with pytest.raises(ValueError, match=r"intensity must be one of 'window'.*, got 'hounsfield'"):
        scale_intensity("volumes", "hounsfield")
    for make in (lambda: orient_slices("photos"), lambda: restore_orientation("photos", Compose([]))):
        with pytest.raises(ValueError, match=r"kind is 'photos', expected one of 'images', 'volumes', 'preprocessed'"):
            make()


@pytest.mark.parametrize("kind", KINDS)
def test_only_volumes_are_turned(kind: str) -> None:
    forth = orient_slices(kind, "coronal")
    back = restore_orientation(kind, Compose([forth]))
    assert type(forth) is (SliceOrientationd if kind == "volumes" else Identityd)
    assert type(back) is (Invertd if kind == "volumes" else Identityd)


def test_a_volume_goes_to_the_network_and_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    affine = np.diag([-1.5, 1.2, 3.0, 1.0])
    image, label = rng.integers(0, 100, (6, 5, 4)).astype(np.int16), rng.integers(0, 3, (6, 5, 4)).astype(np.uint8)
    for name, array in (("image", image), ("label", label)):
        nib.save(nib.Nifti1Image(array, affine), tmp_path / f"{name}.nii.gz")
    steps = [
        *(
            load_image("volumes"),
            load_label("volumes"),
            map_labels(["a", "b", "c"]),
            orient_slices("volumes", "coronal"),
        ),
        *(check_size(), scale_intensity("volumes", "window", [0, 100])),
    ]
    chain = Compose(steps)
    item = chain({name: str(tmp_path / f"{name}.nii.gz") for name in ("image", "label")})
    assert item["image"].shape == item["label"].shape == (1, 6, 4, 5)  # slices along the last axis
    assert item["label"].dtype == torch.uint8
    assert float(item["image"].max()) <= 1
    item["pred"] = item["label"].clone()
    back = restore_orientation("volumes", chain)(item)["pred"]
    np.testing.assert_array_equal(np.asarray(back[0]), label)


@pytest.mark.parametrize("as_volume", [False, True])
def test_a_2d_image_is_rows_and_columns(as_volume: bool, tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.uint8).reshape(4, 6)
    Image.fromarray(array).save(tmp_path / "a.png")
    case = {"image": str(tmp_path / "a.png"), "label": str(tmp_path / "a.png")}
    item = Compose([load_image("images", as_volume=as_volume), load_label("images", as_volume=as_volume)])(case)
    assert isinstance(item["image"], MetaTensor)
    assert item["image"].shape == item["label"].shape == ((1, 4, 6, 1) if as_volume else (1, 4, 6))
    np.testing.assert_array_equal(np.asarray(item["label"]).reshape(4, 6), array)
    np.testing.assert_allclose(np.asarray(item["image"]).reshape(4, 6), array / 255, rtol=0, atol=1e-7)
    bare = load_image("images", channel_first=False)({"image": case["image"]})["image"]
    assert bare.shape == (4, 6)
