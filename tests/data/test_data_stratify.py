# SPDX-License-Identifier: Apache-2.0
"""Folds that are alike: every case once, patients together, strata in equal parts, whatever the order of the files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sa2_monai.data.fingerprint.facts import Labels
from sa2_monai.data.stratify import Traits, stratified_folds, traits_of

TWO = Labels(("background", "cell"), None, None, (), "", True)


def draw(seed: int, cases: int) -> tuple[list[str], list[Traits]]:
    rng = np.random.default_rng(seed)
    sets = [(1,), (1, 2), (2,), ()]
    traits = [
        Traits(str(rng.choice(["colour", "dark"])), sets[rng.choice(4, p=[0.6, 0.2, 0.15, 0.05])], float(rng.random()))
        for _ in range(cases)
    ]
    return [f"case{index:03d}" for index in rng.permutation(cases)], traits


@pytest.mark.parametrize("seed", range(12))
def test_cases(seed: int) -> None:
    """Folds differ by one case at most, in all and in each stratum, and their structures are of like size."""
    cases, num_folds = 20 + 7 * seed, 2 + seed % 4
    names, traits = draw(seed, cases)
    folds = stratified_folds(names, traits, num_folds, seed)
    assert sorted(name for fold in folds for name in fold) == sorted(names)
    sizes = [len(fold) for fold in folds]
    assert max(sizes) - min(sizes) <= 1
    trait = dict(zip(names, traits, strict=True))
    strata = {(found.kind, found.classes) for found in traits}
    for stratum in strata:
        counts = [sum((trait[name].kind, trait[name].classes) == stratum for name in fold) for fold in folds]
        assert max(counts) - min(counts) <= 1
        # Sorted by size, each round of as many cases as folds has one for each: ranks are spread evenly.
        ranked = sorted((name for name in names if (trait[name].kind, trait[name].classes) == stratum),
                        key=lambda name: (trait[name].share, name))  # fmt: skip
        where = {name: index for index, fold in enumerate(folds) for name in fold}
        for start in range(0, len(ranked), num_folds):
            assert max(Counter(where[name] for name in ranked[start : start + num_folds]).values()) == 1


@pytest.mark.parametrize("seed", range(8))
def test_patients(seed: int) -> None:
    names, traits = draw(seed, 60)
    rng = np.random.default_rng(100 + seed)
    groups = [f"p{rng.integers(15)}" for _ in names]
    folds = stratified_folds(names, traits, 3, seed, groups)
    assert sorted(name for fold in folds for name in fold) == sorted(names)
    patient = dict(zip(names, groups, strict=True))
    found = [{patient[name] for name in fold} for fold in folds]
    assert all(not found[a] & found[b] for a in range(3) for b in range(a))
    largest = max(Counter(groups).values())
    sizes = [len(fold) for fold in folds]
    assert min(sizes) > 0
    assert max(sizes) - min(sizes) <= 2 * largest


def test_only_names_and_seed_count() -> None:
    names, traits = draw(1, 40)
    folds = stratified_folds(names, traits, 5, 999)
    assert stratified_folds(names[::-1], traits[::-1], 5, 999) == folds
    assert stratified_folds(names, traits, 5, 998) != folds


def test_too_few() -> None:
    names, traits = draw(0, 6)
    for groups, folds, message in ((None, 7, "6 independent"), (["a", "b"] * 3, 3, "2 independent"), (None, 1, "too")):
        with pytest.raises(ValueError, match=message):
            stratified_folds(names, traits, folds, groups=groups)


IMAGES = {
    "colour": ((200, 40, 120), 0.25, Traits("colour", (1,), 0.25)),
    "dark": ((20, 20, 20), 0.5, Traits("dark", (1,), 0.5)),
    "bright and empty": ((220, 220, 220), 0.0, Traits("bright", (), 0.0)),
}


@pytest.mark.parametrize("name", IMAGES)
def test_traits(name: str, tmp_path: Path) -> None:
    colour, share, expected = IMAGES[name]
    Image.new("RGB", (8, 8), colour).save(tmp_path / "image.png")
    mask = np.zeros((8, 8), np.uint8)
    mask[: int(8 * share)] = 255
    Image.fromarray(mask).save(tmp_path / "label.png")
    case = {"image": str(tmp_path / "image.png"), "label": str(tmp_path / "label.png")}
    assert traits_of(case, "images", TWO) == expected
