# SPDX-License-Identifier: Apache-2.0
"""The published augmentation of DAE-Former, HSA-UNet and MSA2-Net (specification, section 8.1) as their bundles say it.

Ten operators of imgaug, eight of them said with MONAI's transforms; the two of our own (shares of the side instead of
pixels) are compared with SciPy.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import DataLoader, Dataset, MetaTensor
from monai.transforms import Compose, EnsureTyped, SomeOf
from scipy import ndimage
from scipy.interpolate import RegularGridInterpolator

from sa2_monai.transforms import RandPiecewiseAffined, RandShiftd, RandTwoShearsd

BUNDLES = ("daeformer", "hsaunet", "msa2net")
OPERATORS = ("flip", "flip", "noise", "blur", "contrast", "zoom", "rotation", "shear", "piecewise affine", "shift")
DRAWS = 500


def find(config: Any) -> Iterator[dict[str, Any]]:
    """Everything in a configuration that draws some of several transforms."""
    if isinstance(config, dict) and config.get("_target_") == "SomeOf":
        yield config
    elif isinstance(config, (dict, list)):
        for value in config.values() if isinstance(config, dict) else config:
            yield from find(value)


def published_list(repository: Path, bundle: str) -> tuple[dict[str, Any], Any]:
    """The one list of a bundle, and the value of its switch for the published noise."""
    config = ConfigParser.load_config_file(repository / "bundles" / bundle / "configs" / "train.yaml")
    (some_of,) = find(config)
    return some_of, config["published_noise"]


def build(repository: Path, bundle: str, published_noise: bool | None = None, augment: bool | str = True) -> Compose:
    some_of, switch = published_list(repository, bundle)
    parser = ConfigParser(
        {
            "augment": augment,
            "published_noise": switch if published_noise is None else published_noise,
            "chain": {"_target_": "Compose", "transforms": [some_of]},
        }
    )
    return parser.get_parsed_content("chain")


@pytest.fixture
def augmentation(repository: Path) -> SomeOf:
    """Of one bundle; the others have the same, see the first test."""
    some_of = build(repository, "daeformer").transforms[0]
    assert isinstance(some_of, SomeOf)
    assert len(some_of.transforms) == len(OPERATORS)
    return some_of


def operator(augmentation: SomeOf, name: str) -> Any:
    return augmentation.transforms[OPERATORS.index(name)]


def slices(height: int = 40, width: int = 32, channels: int = 1) -> dict[str, Any]:
    """Image and label show the same blobs of classes 1, 2 and 5."""
    rows, columns = np.mgrid[:height, :width]
    label = np.zeros((height, width), dtype=np.uint8)
    for value, row, column in ((1, 0.3, 0.35), (2, 0.65, 0.4), (5, 0.6, 0.7)):
        label[(rows - row * height) ** 2 + (columns - column * width) ** 2 < (height / 8) ** 2] = value
    image = np.repeat(label[None] / 5, channels, axis=0).astype(np.float32)
    return {"image": MetaTensor(image), "label": MetaTensor(torch.as_tensor(label[None])), "case": "a"}


def test_the_three_bundles_agree(repository: Path) -> None:
    """HSA-UNet alone was trained on colour images: its contrast knows channels."""
    lists = {bundle: published_list(repository, bundle) for bundle in BUNDLES}
    contrast = OPERATORS.index("contrast")
    for some_of, switch in lists.values():
        assert switch is False
        assert len(some_of["transforms"]) == len(OPERATORS)
        assert some_of["num_transforms"] == [0, 4]
    assert lists["daeformer"] == lists["msa2net"]
    first, other = (list(lists[bundle][0]["transforms"]) for bundle in ("daeformer", "hsaunet"))
    assert other[contrast]["transforms"][0] == first[contrast]
    first.pop(contrast)
    other.pop(contrast)
    assert first == other


def test_each_slice_gets_up_to_four_operators(augmentation: SomeOf) -> None:
    """Number uniform in 0 to 4, each operator in a fifth of the slices, in random order, never twice."""
    augmentation.set_random_state(seed=0)
    data = slices(12, 12)
    orders = [augmentation(data)["image"].applied_operations[-1]["extra_info"]["applied_order"] for _ in range(DRAWS)]
    # Five standard deviations of a binomial count; the seed is fixed, so this cannot flicker.
    numbers = np.bincount([len(order) for order in orders], minlength=5)
    assert len(numbers) == 5
    assert (np.abs(numbers - DRAWS / 5) < 5 * np.sqrt(DRAWS * 0.16)).all()
    chosen = np.bincount(np.concatenate(orders).astype(int), minlength=10)
    assert (np.abs(chosen - DRAWS / 5) < 5 * np.sqrt(DRAWS * 0.16)).all()
    assert all(len(set(order)) == len(order) for order in orders)
    pairs = [order.index(6) < order.index(9) for order in orders if {6, 9} <= set(order)]
    assert 0.25 < np.mean(pairs) < 0.75


@pytest.mark.parametrize("bundle", BUNDLES)
def test_image_and_label_keep_shape_and_values(repository: Path, bundle: str) -> None:
    augmentation = build(repository, bundle)
    augmentation.set_random_state(seed=1)
    for channels in (1, 3) if bundle == "hsaunet" else (1,):
        data = slices(channels=channels)
        before = data["image"].as_tensor().clone()
        for _ in range(60):
            out = augmentation(data)
            assert out["image"].shape == (channels, 40, 32)
            assert out["label"].shape == (1, 40, 32)
            assert set(out["label"].unique().tolist()) <= {0, 1, 2, 5}
            assert torch.isfinite(out["image"]).all()
            assert out["case"] == "a"
        assert torch.equal(data["image"].as_tensor(), before)


def test_image_and_label_move_together(augmentation: SomeOf) -> None:
    """Centres of gravity of the largest grey value and of its label, for each operator that moves."""
    data = slices(64, 56)
    for name in OPERATORS:
        transform = operator(augmentation, name)
        if name != "blur":  # not random
            transform.set_random_state(seed=5)
        moved, seen = 0.0, 0
        for _ in range(12):
            out = transform(data)
            image, label = out["image"][0].numpy(), out["label"][0].numpy()
            image = image / max(image.max(), 1e-6)
            # Where the object is cut by the border or is half a pixel wide, the centres need not agree.
            if (label == 5).sum() < 60 or (label[[0, -1]] == 5).any() or (label[:, [0, -1]] == 5).any():
                continue
            first = np.array(ndimage.center_of_mass(label == 5))
            assert np.abs(first - ndimage.center_of_mass(image > 0.7)).max() < 0.8, name
            moved = max(moved, np.abs(first - ndimage.center_of_mass(data["label"][0].numpy() == 5)).max())
            seen += 1
        assert seen >= 3, name
        assert (moved > 1) == (name not in ("noise", "blur", "contrast")), name


def test_flips_happen_in_half_of_their_turns(augmentation: SomeOf) -> None:
    drawn = torch.arange(6.0).reshape(1, 2, 3)
    for number, axis in ((0, 1), (1, 2)):
        transform = augmentation.transforms[number]
        transform.set_random_state(seed=0)
        flipped = 0
        for _ in range(400):
            out = transform({"image": drawn, "label": drawn})["image"]
            flipped += torch.equal(out, drawn.flip(axis))
            assert torch.equal(out, drawn.flip(axis)) or torch.equal(out, drawn)
        assert abs(flipped - 200) < 50


@pytest.mark.parametrize("bundle", BUNDLES)
@pytest.mark.parametrize(("published", "sigma"), [(None, 0.005), (False, 0.005), (True, 1.275)])
def test_noise(repository: Path, bundle: str, published: bool | None, sigma: float) -> None:
    noise = operator(build(repository, bundle, published).transforms[0], "noise")
    noise.set_random_state(seed=0)
    deviations = []
    for _ in range(5):
        out = noise({"image": torch.full((1, 64, 64), 0.5), "label": torch.ones(1, 64, 64)})
        deviations.append(float(out["image"].std()))
        assert abs(float(out["image"].mean()) - 0.5) < 5 * sigma / 64
        assert out["label"].eq(1).all()
    np.testing.assert_allclose(deviations, sigma, rtol=0.06)  # the same in every slice


def test_blur(augmentation: SomeOf) -> None:
    drawn = np.random.default_rng(0).random((1, 32, 32)).astype(np.float32)
    out = operator(augmentation, "blur")({"image": torch.as_tensor(drawn), "label": torch.zeros(1, 32, 32)})
    expected = ndimage.gaussian_filter(drawn[0], 1.0)
    np.testing.assert_allclose(out["image"][0, 5:-5, 5:-5], expected[5:-5, 5:-5], atol=1e-3)


@pytest.mark.parametrize("bundle", ["daeformer", "hsaunet"])
def test_contrast(repository: Path, bundle: str) -> None:
    """Multiplication by 0.5 to 1.5; of colour images in half of the cases each channel for itself."""
    channels = 3 if bundle == "hsaunet" else 1
    transform = operator(build(repository, bundle).transforms[0], "contrast")
    transform.set_random_state(seed=0)
    drawn = torch.rand(channels, 6, 6) + 0.1
    factors = []
    for _ in range(300):
        out = transform({"image": MetaTensor(drawn), "label": torch.zeros(1, 6, 6)})["image"].as_tensor()
        factors.append((out / drawn)[:, 0, 0].numpy())
        torch.testing.assert_close(out, drawn * torch.as_tensor(factors[-1])[:, None, None])
    drawn = np.array(factors)
    assert 0.5 <= drawn.min() < 0.53
    assert 1.47 < drawn.max() <= 1.5
    assert abs(drawn.mean() - 1) < 0.06
    if channels > 1:
        own = np.ptp(drawn, axis=1) > 1e-4
        assert 0.35 < own.mean() < 0.65


def test_zoom(augmentation: SomeOf) -> None:
    """Each side by its own factor, 0.5 to 2; 2 shows the image larger."""
    transform = operator(augmentation, "zoom")
    transform.set_random_state(seed=0)
    drawn = torch.zeros(1, 80, 80)
    drawn[0, 30:50, 30:50] = 1
    sides = []
    for _ in range(150):
        out = transform({"image": MetaTensor(drawn), "label": MetaTensor(drawn)})
        assert out["image"].shape == (1, 80, 80)
        sides.append([float(out["label"][0].amax(dim).sum()) / 20 for dim in (1, 0)])
        middle = ndimage.center_of_mass(out["label"][0].numpy())
        np.testing.assert_allclose(middle, 39.5, atol=1.6)
    drawn = np.array(sides)
    assert 0.45 <= drawn.min() < 0.58
    assert 1.9 < drawn.max() <= 2.05
    np.testing.assert_allclose(drawn.mean(axis=0), 1.25, atol=0.15)
    assert abs(np.corrcoef(drawn.T)[0, 1]) < 0.25


@pytest.mark.parametrize(("name", "degrees"), [("rotation", 40.0), ("shear", 16.318)])
def test_rotations(augmentation: SomeOf, name: str, degrees: float) -> None:
    """The published shear, one angle for both axes, is nearly a rotation; see the next test."""
    transform = operator(augmentation, name)
    transform.set_random_state(seed=0)
    rows, columns = np.mgrid[:61, :61] - 30.0
    bar = torch.as_tensor((np.abs(columns) < 4) & (np.abs(rows) < 25)).float()[None]
    angles = []
    for _ in range(150):
        out = transform({"image": MetaTensor(bar), "label": MetaTensor(bar)})["image"][0].numpy()
        moments = np.cov(rows.ravel(), columns.ravel(), aweights=out.ravel())
        angles.append(np.degrees(0.5 * np.arctan2(2 * moments[0, 1], moments[0, 0] - moments[1, 1])))
    assert degrees * 0.93 < np.max(angles) < degrees * 1.02
    assert -degrees * 1.02 < np.min(angles) < -degrees * 0.93
    assert np.std(angles) == pytest.approx(degrees / np.sqrt(3), rel=0.15)


def old_affine(rotation: float = 0.0, shear: float = 0.0) -> np.ndarray:
    """scikit-image's affine transform of imgaug 0.4.0's time, of (x, y): its shear turns the second axis."""
    turned = rotation + shear
    return np.array([[np.cos(rotation), -np.sin(turned)], [np.sin(rotation), np.cos(turned)]])


@pytest.mark.parametrize("size", [(61, 61), (40, 33)])
def test_two_shears_are_imgaugs(size: tuple[int, int]) -> None:
    """imgaug: a quarter turn back, the shear, a quarter turn, the shear again, about the centre of the image."""
    transform = RandTwoShearsd("image", prob=1.0, degrees=16)
    transform.set_random_state(seed=0)
    draws = np.random.RandomState()
    draws.set_state(transform.R.get_state())
    reach = (np.array(size) - 1) / 2
    for _ in range(5):
        corners = transform.draw_points(size)
        angle = np.radians(draws.uniform(-16, 16))
        turn = np.pi / 2
        matrix = old_affine(shear=angle) @ old_affine(turn) @ old_affine(shear=angle) @ old_affine(-turn)
        for i, row in enumerate((-1, 1)):
            for j, column in enumerate((-1, 1)):
                y, x = corners[:, i, j] * reach  # where the corner comes from: the matrix brings it to its place
                np.testing.assert_allclose(matrix @ [x, y], np.array([column, row]) * reach[::-1], atol=1e-9)
    turned = np.degrees(np.arctan2(matrix[1, 0] - matrix[0, 1], np.trace(matrix)))
    assert abs(turned / np.degrees(angle)) == pytest.approx(1.0, abs=0.03)
    most = old_affine(shear=np.radians(16)) @ old_affine(turn) @ old_affine(shear=np.radians(16)) @ old_affine(-turn)
    assert np.degrees(np.arctan2(most[1, 0] - most[0, 1], np.trace(most))) == pytest.approx(16.318, abs=1e-3)
    np.testing.assert_allclose(np.linalg.svd(most)[1], [1.0004, 0.9237], atol=1e-4)


def sampled(drawn: np.ndarray, points: np.ndarray, order: int) -> np.ndarray:
    """What a warp by control points means, said with SciPy."""
    height, width = drawn.shape
    axes = [np.linspace(0, side - 1, number) for side, number in zip(drawn.shape, points.shape[1:], strict=True)]
    pixels = np.stack(np.mgrid[:height, :width], axis=-1)
    where = [
        (RegularGridInterpolator(axes, plane)(pixels) + 1) / 2 * (side - 1)
        for plane, side in zip(points, drawn.shape, strict=True)
    ]
    return ndimage.map_coordinates(drawn, where, order=order, mode="constant", cval=0)


@pytest.mark.parametrize("make", [RandPiecewiseAffined, RandShiftd])
def test_own_warps_against_scipy(make: type) -> None:
    transform = make(["image", "label"], prob=1.0, mode=["bilinear", "nearest"])
    drawn = ndimage.gaussian_filter(np.random.default_rng(0).random((40, 33)), 1.5).astype(np.float32)
    label = (drawn * 40).astype(np.uint8)
    for seed in range(6):
        transform.set_random_state(seed=seed)
        out = transform({"image": MetaTensor(drawn[None]), "label": MetaTensor(torch.as_tensor(label[None]))})
        transform.set_random_state(seed=seed)
        transform.randomize(None)
        points = transform.draw_points((40, 33))
        expected = sampled(drawn, points, 1)
        # SciPy lets the border of the image end at once, torch lets it fade over one pixel.
        inside = ndimage.binary_erosion(sampled(np.ones_like(drawn), points, 1) > 0.999, iterations=1)
        assert inside.mean() > 0.5
        np.testing.assert_allclose(out["image"][0].numpy()[inside], expected[inside], atol=1e-4)
        assert out["label"].dtype == torch.uint8
        assert (out["label"][0].numpy() != sampled(label, points, 0))[inside].mean() < 0.01  # ties
        outside = ~ndimage.binary_dilation(sampled(np.ones_like(drawn), points, 1) > 0, iterations=2)
        assert (out["image"][0].numpy()[outside] == 0).all()


def test_own_warps_have_the_published_size() -> None:
    shift = RandShiftd("image", prob=1.0, fraction=0.2)
    shift.set_random_state(seed=0)
    corners = np.array([shift.draw_points((51, 101)) - shift.draw_points((51, 101)) for _ in range(2)])
    assert corners.shape == (2, 2, 2, 2)
    moved = np.array([(shift.draw_points((51, 101))[:, 0, 0] + 1) / 2 * (50, 100) / (51, 101) for _ in range(400)])
    assert moved.max() < 0.2
    assert moved.max() > 0.19
    np.testing.assert_allclose(moved.std(axis=0), 0.4 / np.sqrt(12), rtol=0.1)
    assert abs(np.corrcoef(moved.T)[0, 1]) < 0.2

    warp = RandPiecewiseAffined("image", prob=1.0)
    warp.set_random_state(seed=0)
    drawn = [warp.draw_points((50, 50)) for _ in range(600)]
    shapes = {points.shape[1:] for points in drawn}
    assert shapes == {(r, c) for r in (2, 3, 4) for c in (2, 3, 4)}
    assert all(np.abs(points).max() <= 1 for points in drawn)  # never beyond the border
    middles = np.array([points[:, 1, 1] for points in drawn if points.shape[1:] == (3, 3)]) / 2  # shares of the side
    spread = np.sqrt((0.03**3 - 0.008**3) / (3 * 0.022))  # of a normal draw with a uniform deviation
    assert middles.std() == pytest.approx(spread, rel=0.25)


@pytest.mark.parametrize("make", [RandPiecewiseAffined, RandShiftd])
def test_own_warps_that_do_nothing(make: type) -> None:
    data = slices()
    assert make(["image", "label"], prob=0.0, mode="nearest")(data) == data
    still = {"scale": (0.0, 0.0)} if make is RandPiecewiseAffined else {"fraction": 0.0}
    out = make(["image", "label"], prob=1.0, mode=["bilinear", "nearest"], **still)(data)
    torch.testing.assert_close(out["image"].as_tensor(), data["image"].as_tensor(), atol=1e-4, rtol=0)
    assert torch.equal(out["label"].as_tensor(), data["label"].as_tensor())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RandShiftd("image", mode="cubic"), "mode has 'cubic'"),
        (lambda: RandShiftd("image", fraction=2), "fraction is 2"),
        (lambda: RandPiecewiseAffined("image", scale=(0.3, 0.1)), r"scale is \(0\.3, 0\.1\)"),
        (lambda: RandPiecewiseAffined("image", points=(1, 4)), r"points is \(1, 4\)"),
        (
            lambda: RandShiftd("image", prob=1)({"image": torch.zeros(1, 2, 3, 4)}),
            r"shape \(1, 2, 3, 4\), expected an image",
        ),
        (
            lambda: RandShiftd(["a", "b"], prob=1)({"a": torch.zeros(1, 2, 3), "b": torch.zeros(1, 2, 4)}),
            r"b 'b'.* is \(2, 4\), expected \(2, 3\)",
        ),
    ],
)
def test_own_warps_refuse(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("bundle", BUNDLES)
def test_it_can_be_switched_off(repository: Path, bundle: str) -> None:
    for augment in (False, "flip"):
        assert build(repository, bundle, augment=augment).transforms == ()


def test_same_seed_same_slices_in_workers(repository: Path) -> None:
    """Samples collate whatever was drawn, and workers repeat neither each other nor another seed."""
    chain = Compose([*build(repository, "daeformer").transforms, EnsureTyped(["image", "label"], dtype=torch.float32)])
    runs = []
    for seed in (1, 1, 2):
        chain.set_random_state(seed=seed)
        loader = DataLoader(
            Dataset([slices() for _ in range(12)], chain),
            batch_size=6,
            num_workers=2,
            generator=torch.Generator().manual_seed(seed),
        )
        runs.append(torch.cat([batch["image"].as_tensor() for batch in loader]))
    assert torch.equal(runs[0], runs[1])
    assert not torch.equal(runs[0], runs[2])
    distinct = {tuple(drawn.flatten().tolist()) for drawn in runs[0]}
    assert len(distinct) > 6
