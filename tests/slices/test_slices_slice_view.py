# SPDX-License-Identifier: Apache-2.0
"""A view of slices: the steps of a training, and the same slices from its inferer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from monai.data import MetaTensor
from monai.transforms import Compose, Identityd, RandomizableTrait, Resized, Spacingd

from sa2_monai.inference import inferer_for
from sa2_monai.slices import AntialiasedResized, SliceView, SplineResized

# arguments, the transform that resizes, its modes
TEST_CASES: list[tuple[dict[str, Any], type, tuple[str, str]]] = [
    ({"resize": "spline"}, SplineResized, ("spline", "nearest")),
    ({"resize": "spline", "view": "paper"}, SplineResized, ("spline", "nearest")),
    ({"resize": "bilinear"}, Resized, ("bilinear", "nearest-exact")),
    ({"resize": "bilinear", "label_resize": "nearest"}, Resized, ("bilinear", "nearest")),
    ({"resize": "antialiased"}, AntialiasedResized, ("bilinear", "nearest")),
    ({"resize": "bicubic"}, AntialiasedResized, ("bicubic", "nearest")),
]
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"view": "thumbnail"}, r"view must be one of 'whole', 'windows', 'paper', got 'thumbnail'"),
    ({"resize": "lanczos"}, r"resize must be one of 'spline'.*, got 'lanczos'"),
    ({"roi_size": [30, 32]}, r"multiple of 16"),
]


def view_of(**arguments: Any) -> SliceView:
    return SliceView(**{"view": "whole", "roi_size": [32, 48], "divisor": 16, **arguments})


def item(size: tuple[int, int] = (40, 50)) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand((2, *size), generator=generator)
    return {"image": MetaTensor(image), "label": MetaTensor((image[:1] > 0.5).float())}


@pytest.mark.parametrize(("arguments", "kind", "modes"), TEST_CASES)
def test_whole_slices_are_resized(arguments: dict[str, Any], kind: type, modes: tuple[str, str]) -> None:
    step = view_of(**arguments).enter()
    assert isinstance(step, kind)
    assert tuple(step.mode) == modes  # type: ignore[attr-defined]
    if kind is SplineResized:
        assert step.resize.border == ("constant" if arguments.get("view") == "paper" else "mirror")  # type: ignore[attr-defined]
    # What stands before the first random step is kept for 2D images.
    assert not isinstance(step, RandomizableTrait)
    found = step(item())
    assert found["image"].shape == (2, 32, 48)
    assert set(torch.as_tensor(found["label"]).unique().tolist()) <= {0.0, 1.0}


def test_blended_labels() -> None:
    found = view_of(resize="bilinear", label_resize="bilinear").enter()(item())
    assert len(torch.as_tensor(found["label"]).unique()) > 2


@pytest.mark.parametrize("size", [(40, 50), (20, 20)])
def test_windows_are_cut_and_padded(size: tuple[int, int]) -> None:
    found = view_of(view="windows").enter()(item(size))
    assert found["image"].shape == (2, 32, 48)
    assert found["label"].shape == (1, 32, 48)
    assert float(found["image"].sum()) <= float(item(size)["image"].sum()) + 1e-3


def test_a_step_in_another_place() -> None:
    assert isinstance(view_of().enter(False), Identityd)


def test_resampling_is_of_windows_with_a_pixel_size() -> None:
    assert isinstance(view_of(view="windows", pixdim=2.0).resample(), Spacingd)
    for arguments in ({"view": "windows"}, {"pixdim": 2.0}, {}):
        assert isinstance(view_of(**arguments).resample(), Identityd)


def test_last_intensities() -> None:
    values = {"image": torch.tensor([[[2.0, 4.0, 6.0]]])}
    for arguments, expected in (
        ({"normalize": [2.0, 4.0]}, [0.0, 0.5, 1.0]),
        ({"stretch": True}, [0.0, 0.5, 1.0]),
        ({"stretch": True, "normalize": [0.5, 0.5]}, [-1.0, 0.0, 1.0]),
        ({}, [2.0, 4.0, 6.0]),
    ):
        view = view_of(**arguments)
        found = Compose([view.stretch(), view.normalise()])(values)["image"]
        assert torch.as_tensor(found).flatten().tolist() == expected


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        view_of(**arguments)


@pytest.mark.parametrize("resize", ["spline", "bilinear", "antialiased", "bicubic"])
def test_the_inferer_sees_what_training_sees(resize: str) -> None:
    view = view_of(resize=resize, normalize=[0.5, 0.25], stretch=True)
    sample = item()
    wanted = Compose([view.enter(), view.stretch(), view.normalise()])(sample)["image"]
    seen: list[torch.Tensor] = []
    labels = inferer_for(view, batch_size=3)(sample["image"][None, ..., None], lambda x: seen.append(x) or x)
    torch.testing.assert_close(torch.as_tensor(seen[0][0]), torch.as_tensor(wanted), rtol=0, atol=2e-6)
    assert labels.shape == (1, 1, 40, 50, 1)


def test_labels_on_the_grid_of_the_network() -> None:
    volume = item()["image"][None, ..., None].expand(1, 2, 40, 50, 3)
    view = view_of(resize="bilinear")
    labels = inferer_for(view, output="grid")(volume, lambda x: x)
    assert labels.shape == (1, 1, 32, 48, 3)
    expected = torch.as_tensor(view.enter()(item())["image"]).argmax(0)
    assert torch.equal(torch.as_tensor(labels)[0, 0, :, :, 0].long(), expected)
    with pytest.raises(ValueError, match=r"output 'grid' is for slices that are resized as a whole"):
        inferer_for(view_of(view="windows"), output="grid")
