# SPDX-License-Identifier: Apache-2.0
"""A clean-up that leaves nothing of a class is told, once, with the switch that does it."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from ignite.engine import Engine
from monai.data import MetaTensor
from monai.transforms import Compose, EnsureTyped

from sa2_monai.training import CleanUpCheck
from sa2_monai.training.distributed import of_all_processes
from sa2_monai.transforms import CleanLabelsd

NAMES = ["background", "cube", "dot"]


def label_map(cube: int, dot: int = 0) -> MetaTensor:
    """Pieces of so many voxels of 0.5 mm³ each, of classes 1 and 2."""
    labels = np.zeros((1, 8, 8, 8), dtype=np.uint8)
    labels[0, 0].reshape(-1)[:cube] = 1
    labels[0, 4].reshape(-1)[:dot] = 2
    return MetaTensor(torch.from_numpy(labels), affine=torch.diag(torch.tensor([0.5, 1.0, 1.0, 1.0])))


def messages(caplog: pytest.LogCaptureFixture, maps: list[MetaTensor], epochs: int = 1, **options: object) -> list[str]:
    """Warnings of an engine that cleans these maps in each epoch."""
    cleaner = CleanLabelsd("pred", **options)
    chain = Compose([EnsureTyped(keys="pred"), cleaner])
    engine = Engine(lambda _, item: chain({"pred": item}))
    CleanUpCheck(chain, NAMES).attach(engine)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        engine.run(maps, max_epochs=epochs)
    return [record.getMessage() for record in caplog.records]


TEST_CASES = [
    # maps as (voxels of class 1, of class 2), options, what is told
    (
        [(60, 0), (40, 0)],
        {"min_volume": 100},
        ["class 1 (cube) from all 2 label maps that had it: it is 100, the largest had 30"],
    ),
    ([(60, 0)], {"min_volume": 100}, ["class 1 (cube) from the label map that had it"]),
    ([(60, 0), (0, 0)], {"min_volume": {1: 31}}, ["class 1 (cube) from the label map"]),
    # One class is enough: nothing else says why its Dice is zero.
    (
        [(60, 5), (60, 6)],
        {"min_volume": 10},
        ["class 2 (dot) from all 2 label maps that had it: it is 10, the largest had 3"],
    ),
    ([(60, 5), (60, 6)], {"min_volume": 100}, ["class 1 (cube)", "class 2 (dot)"]),
    ([(60, 5)], {"min_volume": 100, "largest_component": True}, ["class 1 (cube)", "class 2 (dot)"]),
    ([(60, 0), (40, 0)], {"min_volume": 25}, []),
    ([(60, 5)], {"min_volume": {"1": 30}}, []),
    ([(0, 0)], {"min_volume": 100}, []),
    ([(60, 5)], {"largest_component": True, "fill_holes": True}, []),
    ([(60, 5)], {"min_volume": False}, []),
]


@pytest.mark.parametrize(("sizes", "options", "told"), TEST_CASES)
def test_what_is_told(
    sizes: list[tuple[int, int]], options: dict[str, object], told: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    found = messages(caplog, [label_map(*size) for size in sizes], epochs=3, **options)
    assert len(found) == len(told)
    for message, words in zip(found, told, strict=True):
        assert message.startswith("min_volume has removed every piece of ")
        assert words in message


def test_each_epoch_counts_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    """A map that kept its class in the epoch before does not hide that this one is empty."""
    cleaner = CleanLabelsd("pred", min_volume=25)
    engine = Engine(lambda engine, item: cleaner({"pred": item if engine.state.epoch == 1 else label_map(10)}))
    CleanUpCheck(cleaner).attach(engine)
    engine.run([label_map(60)], max_epochs=1)
    assert not caplog.records
    engine.state.max_epochs = None
    engine.run([label_map(60)], max_epochs=2)
    assert ["class 1 from the label map" in record.getMessage() for record in caplog.records] == [True]


def test_chains_without_a_clean_up() -> None:
    assert CleanUpCheck(Compose([EnsureTyped(keys="pred")])).cleaners == []
    assert CleanUpCheck(None).cleaners == []
    assert of_all_processes({1: 2}) == [{1: 2}]
