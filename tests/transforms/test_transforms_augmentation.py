# SPDX-License-Identifier: Apache-2.0
"""The published augmentation of SA2-Net (specification, section 8.1) said with MONAI's transforms in a bundle's YAML.

No transform of our own is needed; these tests prove that the composition has the published branches and frequencies.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from monai.bundle import ConfigParser
from monai.data import DataLoader, Dataset, MetaTensor
from monai.transforms import Compose, OneOf, RandRotated
from scipy import ndimage

DRAWS = 1200


@pytest.fixture
def tail(repository: Path) -> Compose:
    """The training transforms of the bundle from the random ones on."""
    parser = ConfigParser()
    parser.read_config(str(repository / "bundles" / "sa2net" / "configs" / "train.yaml"))
    transforms = parser.get_parsed_content("train#random_transforms")
    (start,) = [i for i, transform in enumerate(transforms) if isinstance(transform, OneOf)]
    return Compose(transforms[start:])


@pytest.fixture
def augmentation(tail: Compose) -> OneOf:
    return tail.transforms[0]


def test_frequencies_of_the_branches(augmentation: OneOf) -> None:
    """Half: quarter turns and one flip, which give each of four mirror images equally often. A quarter: rotation."""
    augmentation.set_random_state(seed=7)
    drawn = torch.arange(36.0).reshape(1, 6, 6)
    mirrored = [torch.rot90(drawn, k, (1, 2)).flip(1) for k in range(4)]
    rotation = augmentation.transforms[1].rand_rotate
    counts: Counter = Counter()
    angles = []
    for _ in range(DRAWS):
        image = augmentation({"image": MetaTensor(drawn), "label": MetaTensor(torch.zeros(1, 6, 6))})["image"]
        branch = int(image.applied_operations[-1]["extra_info"]["index"])
        if branch == 0:
            (found,) = [k for k, reference in enumerate(mirrored) if torch.equal(image.as_tensor(), reference)]
            counts[f"mirror image {found}"] += 1
        elif branch == 1:
            counts["rotation"] += 1
            angles.append(np.degrees(rotation.x))
        else:
            counts["nothing"] += 1
            assert torch.equal(image.as_tensor(), drawn)
    expected = {**{f"mirror image {k}": 0.125 for k in range(4)}, "rotation": 0.25, "nothing": 0.25}
    assert set(counts) == set(expected)
    for name, probability in expected.items():
        # Five standard deviations of a binomial count; the seed is fixed, so this cannot flicker.
        assert abs(counts[name] - probability * DRAWS) < 5 * np.sqrt(DRAWS * probability * (1 - probability)), name
    assert -20 <= min(angles) < -19
    assert 18 < max(angles) <= 19
    assert abs(np.mean(angles) + 0.5) < 2


def test_quarter_turns_are_uniform(augmentation: OneOf) -> None:
    """The published k is uniform in 0..3: no turn with 0.25, else one of three."""
    turn = augmentation.transforms[0].transforms[0]
    turn.set_random_state(seed=3)
    drawn = torch.arange(4.0).reshape(1, 2, 2)
    counts: Counter = Counter()
    for _ in range(DRAWS):
        image = turn({"image": MetaTensor(drawn), "label": MetaTensor(drawn)})["image"].as_tensor()
        counts[next(k for k in range(4) if torch.equal(image, torch.rot90(drawn, k, (1, 2))))] += 1
    assert all(abs(counts[k] - DRAWS / 4) < 5 * np.sqrt(DRAWS * 3 / 16) for k in range(4))


def test_image_and_label_move_together(augmentation: OneOf) -> None:
    augmentation.set_random_state(seed=1)
    drawn = torch.as_tensor(np.random.default_rng(0).integers(1, 200, (1, 32, 32)).astype(np.float32))
    moved = 0
    for _ in range(40):
        out = augmentation({"image": MetaTensor(drawn), "label": MetaTensor(drawn.to(torch.uint8))})
        assert out["image"].shape == drawn.shape
        assert torch.equal(out["image"].as_tensor(), out["label"].as_tensor().float())
        moved += not torch.equal(out["image"].as_tensor(), drawn)
    assert 20 < moved < 40


@pytest.mark.parametrize("degrees", [-20, -7, 19])
def test_rotation_is_the_published_one(degrees: float) -> None:
    """Nearest neighbour, same canvas, zeros outside: as SciPy's rotation of order 0, which the authors use."""
    drawn = np.zeros((33, 33), dtype=np.float32)
    drawn[6:28, 10:20] = 1
    drawn[0, :] = 2  # leaves the canvas
    angle = np.radians(degrees)
    transform = RandRotated("image", range_x=(angle, angle), prob=1.0, mode="nearest", padding_mode="zeros")
    ours = transform({"image": torch.as_tensor(drawn)[None]})["image"][0].numpy()
    published = min(
        (ndimage.rotate(drawn, sign * degrees, order=0, reshape=False) for sign in (1, -1)),
        key=lambda reference: np.abs(reference - ours).sum(),
    )
    # Ties of the nearest neighbour fall differently on a few pixels of the edges.
    assert (ours != published).mean() < 0.01
    assert set(np.unique(ours)) <= {0, 1, 2}


def test_the_branches_collate(tail: Compose) -> None:
    """MONAI's rotation returns float labels, the other branches keep uint8: the cast at the end unites them."""
    image, label = MetaTensor(torch.rand(3, 16, 16)), MetaTensor(torch.ones(1, 16, 16, dtype=torch.uint8))
    cases = [{"image": image, "label": label} for _ in range(16)]
    tail.set_random_state(seed=0)
    batch = next(iter(DataLoader(Dataset(cases, tail), batch_size=16, num_workers=0)))
    assert batch["image"].shape == (16, 3, 16, 16)
    assert batch["label"].shape == (16, 1, 16, 16)
    assert batch["image"].dtype == torch.float32


@pytest.mark.parametrize("size", [(20, 100), (64, 64), (150, 70), (5, 5)])
def test_windows_for_training(size: tuple[int, int]) -> None:
    """Windows of one size are cut from images of any size; small ones are padded with background."""
    chain = ConfigParser(
        yaml.safe_load(
            """
            roi_size: [64, 64]
            crop:
              _target_: Compose
              transforms:
                - {_target_: SpatialPadd, keys: [image, label], spatial_size: "@roi_size"}
                - {_target_: RandSpatialCropd, keys: [image, label], roi_size: "@roi_size", random_size: false}
            """
        )
    ).get_parsed_content("crop")
    drawn = torch.rand(1, *size) + 1
    out = chain({"image": MetaTensor(drawn), "label": MetaTensor((drawn > 0).to(torch.uint8))})
    assert out["image"].shape == out["label"].shape == (1, 64, 64)
    assert out["label"].dtype == torch.uint8
    assert torch.equal(out["image"].as_tensor() > 0, out["label"].as_tensor() == 1)
    assert int(out["label"].sum()) == min(size[0], 64) * min(size[1], 64)
