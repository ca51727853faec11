# SPDX-License-Identifier: Apache-2.0
"""The pieces of SvANet's published augmentation (specification, section 8.3) against Pillow, which the authors used."""

from __future__ import annotations

import colorsys
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import MetaTensor
from PIL import Image, ImageEnhance, ImageFilter

from sa2_monai.slices import AntialiasedResized, BicubicResized, ScaleSliceMaximumd, resize_bicubic
from sa2_monai.slices.bicubic_resize import MODES
from sa2_monai.transforms import RandBlurd, RandPadCropd, RandPhotometricd, RandRotateFilld, RandShortSideResized
from sa2_monai.transforms.rand_photometric import shift_hue

KEYS = ("image", "label")
ROUNDING = 1 / 255  # Pillow's 8 bits


def drawn(height: int = 40, width: int = 30, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Smooth colours with some noise, (H, W, C) of 8 bits."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / (3 + c)) * np.cos(columns / (5 - c)) for c in range(channels)]
    return (127 + 90 * np.stack(waves, axis=-1) + rng.integers(-20, 20, (height, width, channels))).astype(np.uint8)


def tensor_of(array: np.ndarray) -> torch.Tensor:
    return torch.as_tensor(np.moveaxis(array, -1, 0).astype(np.float32) / 255)


def pillow_of(image: Image.Image) -> torch.Tensor:
    return tensor_of(np.asarray(image).reshape(image.height, image.width, -1))


def case(height: int = 40, width: int = 30, channels: int = 3) -> dict[str, Any]:
    label = (np.arange(height * width).reshape(1, height, width) * 7 // width % 5).astype(np.uint8)
    return {
        "image": MetaTensor(tensor_of(drawn(height, width, channels)), meta={"filename_or_obj": "a.png"}),
        "label": MetaTensor(torch.as_tensor(label), meta={"filename_or_obj": "b.png"}),
    }


@pytest.mark.parametrize("mode", ["bicubic", "bilinear"])
@pytest.mark.parametrize("size", [(20, 12), (64, 90), (25, 61), (40, 30)])
def test_resize_is_pillows(size: tuple[int, int], mode: str) -> None:
    array, data = drawn(), case()
    expected = Image.fromarray(array).resize(size[::-1], Image.Resampling[mode.upper()])
    labels = Image.fromarray(data["label"][0].numpy()).resize(size[::-1], Image.Resampling.NEAREST)
    out = AntialiasedResized(KEYS, size, (mode, "nearest"))(data)
    torch.testing.assert_close(out["image"].as_tensor(), pillow_of(expected), atol=1.2 * ROUNDING, rtol=0)
    differing = out["label"][0].numpy() != np.asarray(labels)
    assert differing.any(axis=1).sum() <= 1  # a tie of two pixels, where Pillow adds up fractions
    assert out["label"].dtype == torch.uint8
    assert isinstance(out["image"], MetaTensor)
    batch = MODES[mode](torch.stack([tensor_of(array)] * 2).double(), size)
    assert batch.shape == (2, 3, *size)
    torch.testing.assert_close(batch[1].float(), out["image"].as_tensor())


def test_resize_clips_overshoots_but_not_the_range_of_the_image() -> None:
    edge = torch.zeros(1, 8, 8)
    edge[..., 4:] = 1
    for low, high in ((0.0, 1.0), (-3.0, 5.0), (0.2, 0.8)):
        out = resize_bicubic(low + (high - low) * edge, (8, 21))
        assert float(out.min()) >= min(low, 0) - 1e-6
        assert float(out.max()) <= max(high, 1) + 1e-6
    assert float(out.max()) > 0.8  # inside of [0, 1] an overshoot stays, as in Pillow


def test_each_slice_is_divided_by_its_maximum() -> None:
    volume = torch.tensor([4.0, -2.0, 8.0, 0.0]).reshape(1, 2, 2, 1).repeat(1, 1, 1, 3) * torch.tensor([1.0, 0.0, 0.5])
    out = ScaleSliceMaximumd("image")({"image": MetaTensor(volume)})["image"]
    assert out[..., 0].flatten().tolist() == [0.5, 0.0, 1.0, 0.0]
    assert torch.equal(out[..., 2], out[..., 0])
    assert not out[..., 1].any()
    single = ScaleSliceMaximumd("image")({"image": volume[..., 0]})["image"]
    assert torch.equal(single, out[..., 0].as_tensor())
    with pytest.raises(ValueError, match=r"shape \(2, 2\), expected a volume"):
        ScaleSliceMaximumd("image")({"image": torch.zeros(2, 2)})


def test_short_side_is_drawn_evenly_with_a_cap_for_the_long_one() -> None:
    transform = RandShortSideResized(KEYS, (10, 14), max_side=20, mode=("bicubic", "nearest"))
    transform.set_random_state(seed=1)
    sizes = [tuple(transform(case(40, 24))["image"].shape[1:]) for _ in range(200)]
    # 40 / 24 of 12 is 20; the sides of 13 and 14 would be longer
    assert set(sizes) == {(16, 10), (18, 11), (20, 12)}
    assert abs(sizes.count((16, 10)) - 40) < 28
    assert abs(sizes.count((20, 12)) - 120) < 35
    out = transform(case(8, 40))
    assert out["image"].shape[1:] == out["label"].shape[1:] == (4, 20)
    assert out["image"].min() >= 0
    assert out["image"].max() <= 1
    thin = transform({"image": torch.zeros(1, 1, 90), "label": torch.zeros(1, 1, 90)})
    assert thin["image"].shape == (1, 1, 20)


def test_padding_has_no_label_and_the_part_lies_anywhere() -> None:
    data = {"image": torch.full((1, 6, 20), 0.5), "label": torch.arange(20, dtype=torch.uint8).expand(1, 6, 20)}
    transform = RandPadCropd(KEYS, (8, 10))
    transform.set_random_state(seed=0)
    tops, lefts = set(), set()
    for _ in range(300):
        out = transform(data)
        image, label = out["image"], out["label"]
        assert image.shape == label.shape == (1, 8, 10)
        assert label.dtype == torch.uint8
        inside = label != 255
        assert torch.equal(image, torch.where(inside, 0.5, 1.0))
        assert inside.sum() == 60  # 2 rows are missing, 2 are padded at each end: all of the image's 6 are seen
        assert (label[0, inside[0].any(1)] == label[0, inside[0].any(1)][0]).all()
        tops.add(int(inside[0, :, 0].nonzero()[0]))
        lefts.add(int(label[0, inside[0].any(1)][0, 0]))
    assert tops == {0, 1, 2}
    assert lefts == set(range(11))
    same = RandPadCropd("image", (6, 20), fill=0.0)({"image": data["image"]})["image"]
    assert torch.equal(same, data["image"])


@pytest.mark.parametrize("sigma", [0.0, 0.3, 0.7, 0.99])
def test_blur_comes_close_to_pillows(sigma: float) -> None:
    array = drawn()
    out = RandBlurd("image", prob=1.0, sigma=(sigma, sigma))({"image": tensor_of(array)})["image"]
    expected = pillow_of(Image.fromarray(array).filter(ImageFilter.GaussianBlur(sigma)))
    # Pillow lets three boxes stand for the Gaussian: their widths agree, not their shapes.
    assert float((out - expected).abs().mean()) < 0.006
    flat = RandBlurd("image", prob=1.0)({"image": torch.ones(2, 9, 9)})["image"]
    torch.testing.assert_close(flat, torch.ones(2, 9, 9))  # no dark border


def test_blur_happens_in_half_of_the_cases_and_leaves_the_stream_alone() -> None:
    transform = RandBlurd("image")
    transform.set_random_state(seed=0)
    image = tensor_of(drawn(12, 12))
    changed = sum(not torch.equal(transform({"image": image})["image"], image) for _ in range(300))
    assert abs(changed - 150) < 44
    never = RandBlurd("image", prob=0.0)
    never.set_random_state(seed=0)
    for _ in range(300):
        never({"image": image})
    assert never.R.random_sample() == transform.R.random_sample()


ONLY = {"brightness": (1, 1), "contrast": (1, 1), "saturation": (1, 1), "hue": (0, 0)}


@pytest.mark.parametrize(
    ("name", "pillow"),
    [("brightness", ImageEnhance.Brightness), ("contrast", ImageEnhance.Contrast), ("saturation", ImageEnhance.Color)],
)
@pytest.mark.parametrize("factor", [0.5, 0.9, 1.5])
@pytest.mark.parametrize("channels", [1, 3])
def test_enhancements_are_pillows(name: str, pillow: Any, factor: float, channels: int) -> None:
    array = drawn(channels=channels)
    # the permutation is undone below: its order is what the step list says
    transform = RandPhotometricd("image", prob=1.0, **{**ONLY, name: (factor, factor)})
    out = transform({"image": tensor_of(array)})["image"]
    if channels == 3:
        order = dict(transform.steps)["permutation"]
        out = out[np.argsort(order).tolist()]
    grey = Image.fromarray(array if channels == 3 else array[..., 0])
    torch.testing.assert_close(out, pillow_of(pillow(grey).enhance(factor)), atol=2 * ROUNDING, rtol=0)


def test_hue_is_that_of_hsv() -> None:
    rng = np.random.default_rng(0)
    colours = [*rng.random((40, 3)).tolist(), [0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5], [1, 0, 0], [0, 1, 1], [1, 1, 0]]
    for shift in (0.0, 0.05, -0.05, 0.4):
        expected = []
        for colour in colours:
            h, s, v = colorsys.rgb_to_hsv(*colour)
            expected.append(colorsys.hsv_to_rgb((h + shift) % 1, s, v))
        out = shift_hue(torch.tensor(colours).T[:, None], shift)[:, 0].T
        torch.testing.assert_close(out, torch.tensor(expected), atol=1e-5, rtol=0)


def test_steps_come_in_the_published_order_and_as_often() -> None:
    transform = RandPhotometricd("image")
    transform.set_random_state(seed=0)
    draws = 600
    seen: dict[str, int] = {}
    early = 0
    permutations = set()
    for _ in range(draws):
        transform.randomize()
        names = [name for name, _ in transform.steps]
        seen.update({name: seen.get(name, 0) + 1 for name in names})
        without = [name for name in names if name != "contrast"]
        assert without == [name for name in ("brightness", "saturation", "hue", "permutation") if name in without]
        if {"contrast", "saturation", "hue"} <= set(names):
            place = names.index("contrast")
            assert place in (names.index("saturation") - 1, names.index("hue") + 1)
            early += place < names.index("hue")
        steps = dict(transform.steps)
        assert 0.875 <= steps.get("brightness", 1) <= 1.125
        assert 0.5 <= steps.get("contrast", 1) <= 1.5
        assert 0.5 <= steps.get("saturation", 1) <= 1.5
        assert -0.05 <= steps.get("hue", 0) <= 0.05
        permutations.add(tuple(steps.get("permutation", (0, 1, 2))))
    assert all(abs(number - draws / 2) < 5 * np.sqrt(draws / 4) for number in seen.values())
    assert len(seen) == 5
    assert abs(early - draws / 16) < 5 * np.sqrt(draws / 16)
    assert len(permutations) == 6


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_any_number_of_channels_keeps_shape_and_range(channels: int) -> None:
    transform = RandPhotometricd("image", prob=1.0)
    transform.set_random_state(seed=3)
    image = tensor_of(drawn(channels=channels))
    before = image.clone()
    for _ in range(10):
        out = transform({"image": image})["image"]
        assert out.shape == image.shape
        assert out.min() >= 0
        assert out.max() <= 1
        if channels == 1:  # what happens to a grey image as RGB
            grey, steps = image, dict(transform.steps)
            for name, _ in transform.steps:
                if name == "brightness":
                    grey = (grey * steps[name]).clamp(0, 1)
                elif name == "contrast":
                    grey = (grey * steps[name] + grey.mean() * (1 - steps[name])).clamp(0, 1)
            torch.testing.assert_close(out, grey)
    assert torch.equal(image, before)


@pytest.mark.parametrize("seed", range(4))
def test_rotation_is_pillows(seed: int) -> None:
    transform = RandRotateFilld(KEYS, degrees=10, mode=("bilinear", "nearest"), fill=(0, 255))
    transform.set_random_state(seed=seed)
    draws = np.random.RandomState(seed)
    draws.random_sample()  # whether
    degrees = draws.uniform(-10, 10)
    array, data = drawn(41, 30), case(41, 30)
    out = transform(data)
    label = Image.fromarray(data["label"][0].numpy()).rotate(-degrees, Image.Resampling.NEAREST, fillcolor=255)
    differing = out["label"][0].numpy() != np.asarray(label)
    assert differing.mean() < 0.01  # ties between two pixels
    assert out["label"].dtype == torch.uint8
    assert (out["label"] == 255).any()
    image = pillow_of(Image.fromarray(array).rotate(-degrees, Image.Resampling.BILINEAR))
    difference = (out["image"].as_tensor() - image).abs().amax(dim=0)
    assert float(difference.median()) < 1.5 * ROUNDING
    inner = (difference > 2 * ROUNDING).float().mean()
    assert inner < 0.06  # the outermost half pixel fades into the black around it
    black = out["label"][0].as_tensor() == 255
    assert float(out["image"].as_tensor()[:, black].mean() if black.any() else 0.0) < 0.25


def test_one_seed_one_result() -> None:
    chain = [
        RandShortSideResized(KEYS, (16, 48), 64, ("bicubic", "nearest")),
        RandPadCropd(KEYS, (32, 32)),
        RandBlurd("image"),
        RandPhotometricd("image"),
        RandRotateFilld(KEYS, mode=("bilinear", "nearest"), fill=(0, 255)),
    ]

    def run(seed: int) -> dict[str, Any]:
        data = case()
        for transform in chain:
            data = transform.set_random_state(seed=seed)(data)
        return data

    first, second, other = run(1), run(1), run(2)
    assert torch.equal(first["image"], second["image"])
    assert torch.equal(first["label"], second["label"])
    assert not torch.equal(first["image"], other["image"])
    assert set(first["label"].unique().tolist()) <= {0, 1, 2, 3, 4, 255}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BicubicResized("image", (4, 4), "area"), "'bicubic', 'bilinear', 'nearest', got 'area'"),
        (lambda: RandShortSideResized("image", (5, 4)), r"short_side is \(5, 4\)"),
        (lambda: RandShortSideResized("image", (5, 8), max_side=4), "max_side is 4, expected at least .* 5"),
        (lambda: RandPadCropd("image", (0, 8)), r"roi_size is \[0, 8\]"),
        (lambda: RandBlurd("image", sigma=(1, 0)), r"sigma is \(1, 0\)"),
        (lambda: RandPhotometricd("image", prob=1.1), "prob is 1.1"),
        (lambda: RandPhotometricd("image", contrast=(-1, 1)), r"contrast is \(-1, 1\)"),
        (lambda: RandPhotometricd("image", hue=(0, 0.6)), r"hue is \(0, 0.6\)"),
        (lambda: RandRotateFilld("image", degrees=181), "degrees is 181"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_images_of_other_shapes_are_refused() -> None:
    data = case()
    for transform in (RandShortSideResized(KEYS), RandPadCropd(KEYS, (8, 8)), RandRotateFilld(KEYS)):
        with pytest.raises(ValueError, match=r"label b\.png is \(40, 29\), expected \(40, 30\)"):
            transform({**data, "label": data["label"][:, :, :29]})
    for transform in (BicubicResized(KEYS, (8, 8)), RandBlurd("image"), RandPhotometricd("image")):
        if isinstance(transform, RandBlurd):
            transform = RandBlurd("image", prob=1.0)
        with pytest.raises(ValueError, match=r"image .*has the shape \(3, 4, 4, 4\), expected an image \(C, H, W\)"):
            transform({**data, "image": torch.zeros(3, 4, 4, 4)})
