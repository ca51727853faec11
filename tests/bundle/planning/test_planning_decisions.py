# SPDX-License-Identifier: Apache-2.0
"""Single decisions: made fingerprints -> values of switches."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sa2_monai.bundle.locate import find_bundle, find_config, load
from sa2_monai.bundle.planning import batch, clean_up, intensity, learning, length, sampling, task, view
from sa2_monai.bundle.planning.draft import Draft
from sa2_monai.bundle.planning.networks import choose_network
from sa2_monai.bundle.planning.plan import Choice
from sa2_monai.data.fingerprint import Fingerprint
from sa2_monai.data.fingerprint.facts import ClassFacts, Colours, Counts, Geometry, Labels
from tests.support.fingerprints import GPU, images, one_class, values, volumes


def draft(fingerprint: Fingerprint, network: str = "sa2net", budget: float | None = None, **given: Any) -> Draft:
    base = load(find_config(find_bundle(network), "train"))
    names = {"class_names": list(fingerprint.labels.class_names)}
    return Draft(fingerprint, network, base, {**names, **given}, budget)


def ct(*classes: ClassFacts) -> Fingerprint:
    return volumes(classes or (one_class("organ"),), intensities=values(-1024.0, 1500.0))


def thin(thickness: float, size: int) -> Fingerprint:
    return images((one_class("vessel", thickness),), (size, size))


GREY = Colours(0.0, 0.1, 0.0, (0.6, 0.9), 8)
MIXED = Colours(0.4, 0.1, 0.0, (0.6, 0.9), 8)
VOID = Labels(("background", "cell"), None, 255, (0, 1, 2, 255), "class numbers", True)

# decision, draft, its value
TEST_CASES: list[tuple[Any, Draft, Any]] = [
    (task.in_channels, draft(images()), 3),
    (task.in_channels, draft(images(colours=GREY)), 1),
    (task.in_channels, draft(images(colours=MIXED)), 3),
    (task.in_channels, draft(images(channels=7)), 7),
    (task.in_channels, draft(volumes(channels=4)), 4),
    (task.channel_order, draft(volumes()), None),
    (intensity.intensity, draft(images()), "percentiles"),
    (intensity.intensity, draft(volumes()), "percentiles"),
    (intensity.intensity, draft(ct()), "window"),
    (intensity.intensity, draft(volumes(channel_names=("CT",))), "window"),
    (intensity.intensity, draft(replace(ct(), channel_names=("MRI",))), "percentiles"),
    (intensity.intensity, draft(volumes(kind="preprocessed")), "none"),
    (
        intensity.intensity_range,
        draft(ct(one_class("organ", intensities=values(-60, 243))), intensity="window"),
        [-60, 245],
    ),
    (
        intensity.intensity_range,
        draft(ct(one_class("organ", intensities=values(40, 90))), intensity="window"),
        [-10, 140],
    ),
    (intensity.intensity_range, draft(volumes(), intensity="percentiles"), None),
    (view.view, draft(thin(9, 1000)), "windows"),
    (view.view, draft(thin(14, 320)), "windows"),
    (view.view, draft(replace(thin(9, 1000), counts=Counts(10, 2, 6, 10, 10)), "svanet"), "whole"),
    (view.view, draft(replace(thin(9, 1000), counts=Counts(48, 2, 6, 48, 48)), "svanet"), "windows"),
    (learning.learning_rate, draft(images(), "svanet"), 1.0e-3),
    (learning.gradient_clip, draft(images(), "svanet"), 1.0),
    (learning.gradient_clip, draft(images()), None),
    (learning.precise_bn, draft(images(), "svanet"), 8),
    (learning.precise_bn, draft(images()), None),
    (learning.warmup_epochs, draft(images(), "svanet", max_epochs=40), 5),
    (learning.warmup_epochs, draft(images()), None),
    (learning.loss_name, draft(images(), "svanet"), None),
    (view.view, draft(thin(80, 352)), "whole"),
    (view.view, draft(thin(4, 100)), "whole"),  # smaller than a window
    (view.view, draft(volumes((one_class("organ", 20),), (512, 512)), "daeformer"), "whole"),
    (view.view, draft(volumes((one_class("lesion", 4),), (512, 512)), "daeformer"), "windows"),
    (view.roi_size, draft(thin(9, 1000), view="windows"), [128, 128]),
    (view.roi_size, draft(thin(9, 1000), "msa2net", view="windows"), [128, 128]),
    (view.roi_size, draft(thin(9, 1000), "hsaunet", view="windows", window_size=4), [128, 128]),
    (view.roi_size, draft(thin(9, 1000), "hsaunet", view="windows", window_size=7), [112, 112]),
    (view.roi_size, draft(replace(thin(9, 1000), machine=GPU), "hsaunet", view="windows"), [224, 224]),
    (view.roi_size, draft(replace(thin(80, 352), machine=GPU), "svanet", view="whole"), [512, 512]),
    (view.roi_size, draft(volumes((one_class("organ", 7),), (51, 35)), "daeformer", view="whole"), [64, 64]),
    (view.roi_size, draft(volumes((one_class("organ", 20),), (256, 256)), "daeformer", view="whole"), [96, 96]),
    (view.roi_size, draft(volumes((one_class("organ", 20),), (512, 512)), "daeformer", view="whole"), [128, 128]),
    (view.pixdim, draft(thin(9, 1000), view="windows"), None),
    (view.pixdim, draft(thin(50, 4000), view="windows"), 3.0),
    (view.slice_axis, draft(images()), None),
    (
        view.slice_axis,
        draft(volumes(geometry=Geometry((9, 9), (9, 9), (9, 9), 9, (1, 1, 4), 4.0, "coronal"))),
        "coronal",
    ),
    (clean_up.largest_component, draft(volumes((one_class("organ", one_piece=1.0),))), [1]),
    (clean_up.largest_component, draft(volumes((one_class("organ", one_piece=0.96),))), None),
    (clean_up.largest_component, draft(volumes((one_class("organ", one_piece=1.0, cases=0.9),))), None),
    (clean_up.largest_component, draft(images((one_class("lesion", one_piece=1.0),))), None),
    (batch.batch_size, draft(images(), roi_size=[128, 128]), 4),
    (batch.batch_size, draft(images(counts=Counts(6, 1, 3, 6, 6)), roi_size=[128, 128]), 3),
    (batch.batch_size, draft(volumes(), "daeformer", roi_size=[64, 64]), 16),
    (batch.batch_size, draft(images(), "svanet", roi_size=[512, 512]), 2),
    (batch.batch_size, draft(volumes(machine=GPU), "daeformer", roi_size=[224, 224]), 10),
    (batch.batch_size, draft(volumes(machine=replace(GPU, memory=140.0)), "daeformer", roi_size=[224, 224]), 24),
    (batch.num_workers, draft(images()), 0),
    (batch.num_workers, draft(images(machine=GPU)), 7),
    (batch.cache_rate, draft(images(), in_channels=3), 1.0),
    (batch.cache_rate, draft(volumes(counts=Counts(400, 0, 0, 24, 200_000)), in_channels=1), 0.08),
    (sampling.foreground, draft(images()), 0.0),
    (sampling.foreground, draft(images((one_class("cell"), one_class("mitosis", slices=0.1)))), 0.67),
    (sampling.foreground, draft(volumes()), 0.67),
    (sampling.augment, draft(images()), True),
    (sampling.augment, draft(volumes((one_class("left kidney"), one_class("right kidney")))), False),
    (sampling.augment, draft(volumes(), "daeformer"), False),
    (sampling.augment, draft(volumes(machine=GPU), "daeformer"), True),
    (sampling.augment, draft(images(), "svanet"), "flip"),
    (sampling.colour_jitter, draft(images()), 0.2),
    (sampling.colour_jitter, draft(images(), in_channels=1), 0.0),
    (sampling.colour_jitter, draft(images(colours=replace(MIXED, violet=-0.1))), 0.0),
    (sampling.colour_jitter, draft(volumes(), in_channels=3), 0.0),
    (learning.loss_name, draft(images()), "bce_dice"),
    (learning.loss_name, draft(images((one_class("one"), one_class("two")))), "dice_ce"),
    (learning.loss_name, draft(volumes(), "msa2net"), "dice_ce"),
    (learning.loss_name, draft(images(labels=VOID), ignore_value=255), "bce_dice"),
    (learning.loss_name, draft(images((one_class("one"), one_class("two"))), ignore_value=255), "cross_entropy"),
    (learning.learning_rate, draft(images()), 2e-3),
    (learning.learning_rate, draft(volumes(machine=GPU), "daeformer", batch_size=12), 0.025),
    (learning.learning_rate, draft(images(machine=GPU)), 1e-3),
    (learning.optimizer, draft(images()), None),
    (learning.optimizer, draft(volumes(machine=GPU), "daeformer"), None),
]


@pytest.mark.parametrize(("decision", "before", "expected"), TEST_CASES)
def test_a_decision(decision: Any, before: Draft, expected: Any) -> None:
    choice = decision(before)
    assert isinstance(choice, Choice) or choice is None
    assert (None if choice is None else choice.value) == expected
    if choice is not None:
        assert choice.reason
        assert "\n" not in choice.reason


# budget in minutes, seconds of a step, slices of an epoch -> slices_per_epoch, epochs, epochs between validations
LENGTHS = [
    (10.0, 1.0, 64, (None, 30, 2)),  # 510 steps, of which 16 validations of 1.3 take 21; an epoch has 16
    (10.0, 0.1, 64, (None, 315, 21)),  # 317 would fit, which is prime
    (10.0, 10.0, 64, (12, 14, 2)),  # 51 steps
    (10.0, 1.0, 40_000, (120, 16, 1)),  # 510 steps, where an epoch has 10,000
    (None, 0.0, 64, (None, 936, 52)),  # 15,000 steps as published
]


@pytest.mark.parametrize(("budget", "seconds", "slices", "expected"), LENGTHS)
def test_the_length_of_a_training(budget: Any, seconds: float, slices: int, expected: Any) -> None:
    machine = {} if budget else {"machine": GPU}
    one = draft(images(counts=Counts(slices, 16, 20, 48, slices), **machine), budget=budget, batch_size=4)
    for switch, decide in (("slices_per_epoch", length.slices_per_epoch), ("max_epochs", length.max_epochs)):
        one.choices[switch] = decide(one, seconds)
    one.choices["val_interval"] = length.val_interval(one)
    assert (one["slices_per_epoch"], one["max_epochs"], one["val_interval"]) == expected
    assert one["max_epochs"] % one["val_interval"] == 0  # the last epoch is validated
    assert length.patience(one).value == one["max_epochs"]


# epochs that the user gave -> epochs between validations; 16 are wanted
@pytest.mark.parametrize(("epochs", "interval"), [(320, 20), (96, 6), (97, 6), (16, 1), (1, 1)])
def test_validations_of_a_given_number_of_epochs(epochs: int, interval: int) -> None:
    one = draft(images(counts=Counts(64, 1, 20, 48, 64)), max_epochs=epochs, batch_size=4)
    assert length.val_interval(one).value == interval


def test_validations_that_cost_more_than_the_training_are_few() -> None:
    one = draft(thin(9, 5000), budget=5.0, batch_size=4, view="windows", roi_size=[128, 128], overlap=0.25)
    one.choices["max_epochs"] = length.max_epochs(one, 0.5)
    assert one["max_epochs"] == 15  # half of 510 steps; one validation is as long as 3600
    assert length.val_interval(one).value == 15


def test_a_budget_that_nobody_named_is_said() -> None:
    one = draft(images(), batch_size=4)
    assert length.max_epochs(one, 1.0).reason.startswith("20 minutes assumed x 0.85 / 1 s a step, measured, are 1020 ")


# kind, network that was asked for, networks with a protocol -> network
NETWORKS = [
    ("images", None, [], "sa2net"),
    ("volumes", None, [], "daeformer"),
    ("images", "svanet", [], "svanet"),
    ("volumes", None, ["svanet"], "svanet"),
    ("volumes", None, ["daeformer", "hsaunet"], "daeformer"),
]


@pytest.mark.parametrize(("kind", "wanted", "published", "expected"), NETWORKS)
def test_the_network(kind: str, wanted: str | None, published: list[str], expected: str) -> None:
    name, reason = choose_network(kind, wanted, published)
    assert name == expected
    assert reason


def test_an_unknown_network() -> None:
    with pytest.raises(
        ValueError, match=r"network is 'vnet', expected one of daeformer, .*, svanet, unet, segresnet, dynunet"
    ):
        choose_network("images", "vnet", [])
