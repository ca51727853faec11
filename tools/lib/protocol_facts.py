# SPDX-License-Identifier: Apache-2.0
"""What a merged configuration does in a training, in short words that a table of a published protocol can hold.

Nothing is read but the configuration: the network is a stand-in, the data are numbers of slices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from monai.transforms import Compose, OneOf, SomeOf

from sa2_monai.data import DATASETS
from sa2_monai.data.datasets.acdc import ACDC_SPLITS
from sa2_monai.data.datasets.isic2018 import published_cut
from sa2_monai.data.splits import kfold

__all__ = ["facts", "learning_rates", "merged"]

ROOT = Path(__file__).resolve().parents[2] / "bundles"


def merged(bundle: str, overlays: Sequence[str]) -> dict[str, Any]:
    """The configuration of a training: ``train.yaml`` and the overlays after it."""
    files = [ROOT / bundle / "configs" / f"{name}.yaml" for name in ("train", *overlays)]
    config: dict[str, Any] = ConfigParser.load_config_files([str(file) for file in files])
    return config


def facts(bundle: str, overlays: Sequence[str], split: str | None = None, **switches: Any) -> dict[str, Any]:
    """What the configuration says of each part of a protocol.

    Args:
        bundle: name of the bundle.
        overlays: names of the files after ``train.yaml``.
        split: that the data set is used with; ``None`` for its default.
        switches: values that are set on the command line.

    Returns:
        Plain values by the name of the part: numbers, words, and lists of these.
    """
    config = {**merged(bundle, overlays), "device": "cpu", **switches}
    precision = "float32" if config["precision"] == "fp32" else "mixed on CUDA"
    parser = ConfigParser({**config, "network": "$torch.nn.Linear(1, 1)"})
    names = ("loss", "optimizer", "batch_size", "max_epochs", "patience", "in_channels", "roi_size")
    loss, optimizer, batch, epochs, patience, channels, size = (parser.get_parsed_content(name) for name in names)
    chain = parser.get_parsed_content("train#preprocessing")
    told = {
        "loss": describe_loss(loss),
        **describe_optimizer(optimizer),
        "batch": batch,
        "epochs": epochs,
        "stop": None if patience >= epochs else patience,
        "channels": "grey" if channels == 1 else f"{channels} channels, {parser.get_parsed_content('channel_order')}",
        "size": list(size),
        "intensity": describe_intensity(config),
        "precision": precision,
        "validation": config["validation"],
        "schedule": config.get("schedule", "two_stage_cosine"),
        "parts": part_counts(config["layout"], split or config["split"], config["validation"]),
        **describe_transforms(chain, config),
    }
    if told["schedule"] == "cosine" and parser.get_parsed_content("min_learning_rate") == told["rate"]:
        told["schedule"] = "constant"
    of_slices = () if config["kind"] == "images" else ("foreground", "slices_per_epoch")
    names = ("encoder_weights", "deep_level", *of_slices)
    return {**told, **{name: config[name] for name in names if name in config}}


def learning_rates(
    bundle: str, overlays: Sequence[str], epoch_length: int, epochs: int | None = None, **switches: Any
) -> list[float]:
    """Rates of all steps of a training, or of all epochs where the schedule goes by epochs.

    Args:
        bundle: name of the bundle.
        overlays: names of the files after ``train.yaml``.
        epoch_length: batches of an epoch.
        epochs: of the training; ``None`` for what the configuration says.
        switches: values that are set on the command line.
    """
    config = {**merged(bundle, overlays), "device": "cpu", **switches}
    if epochs is not None:
        config["max_epochs"] = epochs
    config["network"] = "$torch.nn.Linear(1, 1)"
    config["train"]["dataloader"] = [0] * epoch_length
    parser = ConfigParser(config)
    scheduler, count = (parser.get_parsed_content(name) for name in ("lr_scheduler", "max_epochs"))
    handlers = [h for h in config["train"]["handlers"] if h["_target_"] == "LrScheduleHandler"]
    by_epoch = handlers[0].get("epoch_level", True)
    if isinstance(by_epoch, str):
        by_epoch = "poly" not in str(config["schedule"])
    rates = []
    for _ in range(count * (1 if by_epoch else epoch_length)):
        rates.append(float(scheduler.optimizer.param_groups[0]["lr"]))
        scheduler.optimizer.step()
        scheduler.step()
    return rates


def number(value: float) -> str:
    return f"{value:.4g}"


def describe_loss(loss: Any) -> str:
    """Name and weights."""
    name = type(loss).__name__
    if name == "DeepSupervisionLoss":
        return f"sum over four outputs of {describe_loss(loss.loss)}"
    if name == "DiceCELoss":
        dice = loss.dice
        squares = ", squares" if dice.squared_pred else ""
        over = "batch" if dice.batch else "image"
        smooth = f"{dice.smooth_nr:g} / {dice.smooth_dr:g}"
        background = "" if dice.include_background else ", no background"
        return f"{loss.lambda_ce:g} CE + {loss.lambda_dice:g} Dice ({over}{squares}, smooth {smooth}{background})"
    if name == "BalancedBCEDiceLoss":
        return f"{loss.lambda_bce:g} balanced BCE + {loss.lambda_dice:g} Dice"
    return {"BoundaryDoULoss": "boundary DoU", "IgnoreIndexCELoss": "CE of labelled pixels"}[name]


def describe_optimizer(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Name, and the values of its only group of parameters."""
    (group,) = optimizer.param_groups
    name = type(optimizer).__name__
    if name == "AdamW" and group["weight_decay"] == 0:
        name = "Adam"  # without decay they are the same
    told: dict[str, Any] = {"optimiser": name, "rate": group["initial_lr"] if "initial_lr" in group else group["lr"]}
    told["decay"] = group["weight_decay"]
    if name == "SGD":
        told["momentum"] = group["momentum"]
    else:
        told["betas"], told["eps"] = list(group["betas"]), group["eps"]
    return told


def describe_intensity(config: Mapping[str, Any]) -> str:
    """How values are scaled, and what happens to them behind the resize."""
    text = str(config["intensity"])
    if text == "window":
        low, high = config["intensity_range"]
        text += f" {low} to {high}"
    if config["kind"] == "preprocessed":
        text = "as stored"
    if "normalize" in config and list(config["normalize"]) != [0.0, 1.0]:
        mean, divisor = config["normalize"]
        text += f", then (x - {mean:g}) / {divisor:g}"
    return text


def part_counts(layout: str, split: str | None, validation: str) -> list[int] | None:
    """Cases that train, validate and test, where the numbers are known without the data."""
    if layout == "acdc" and split in (None, "mtunet", "ssl4mis"):
        parts = ACDC_SPLITS[split or "mtunet"]
        validation, test = len(parts["validation"]), len(parts["test"])
        return [2 * (100 - validation - test), 2 * validation, 2 * test]
    if layout == "isic2018" and split == "published-like":
        return [len(part) for part in published_cut([{"case": str(index)} for index in range(2594)]).values()]
    expected = {part: min(counts) for part, counts in DATASETS[layout].expected.items()}
    if layout == "synapse_archive":
        expected["training"] = 18  # slices of one patient stay together
    if "test" not in expected:
        return None
    if "validation" not in expected and validation == "none":
        expected["validation"] = 0
    elif "validation" not in expected:
        expected["validation"] = len(kfold(expected["training"], 5, 999)[0][1])
        expected["training"] -= expected["validation"]
    return [expected[part] for part in ("training", "validation", "test")]


def leaves(transforms: Sequence[Any]) -> Iterator[Any]:
    for transform in transforms:
        if type(transform) is Compose:
            yield from leaves(transform.transforms)
        else:
            yield transform


def describe_transforms(chain: Any, config: Mapping[str, Any]) -> dict[str, Any]:
    """Augmentation, noise and resize."""
    operators: list[str] = []
    told: dict[str, Any] = {"augmentation": operators, "resize": None}
    for transform in leaves(chain.transforms):
        name = type(transform).__name__
        if name in RESIZES:
            told["resize"] = RESIZES[name](transform)
        elif isinstance(transform, SomeOf):
            low, high = transform.min_num_transforms, transform.max_num_transforms
            how = "with" if transform.replace else "without"
            operators.append(f"{low} to {high} of {len(transform.transforms)}, {how} replacement, in random order")
            operators += [describe_operator(one) for one in transform.transforms]
            told["noise"] = float(
                next(t.rand_gaussian_noise.std for t in transform.transforms if "Noise" in str(type(t)))
            )
        elif name == "RandFlipd" and transform.flipper.spatial_axis == (0 if config["kind"] == "volumes" else 1):
            operators.append(f"flip left and right, p {number(transform.prob)}")
        elif name != "Identityd" and (name in OPERATORS or isinstance(transform, OneOf)):  # steps with nothing to do
            operators.append(describe_operator(transform))
    return told


def describe_operator(transform: Any) -> str:
    if isinstance(transform, OneOf):
        weights = [number(weight) for weight in transform.weights]
        inner = [" and ".join(describe_operator(t) for t in leaves([one])) for one in transform.transforms]
        return "one of " + "; ".join(f"{weight}: {one}" for weight, one in zip(weights, inner, strict=True))
    return OPERATORS[type(transform).__name__](transform)


def _interval(values: Sequence[float]) -> str:
    return f"{number(values[0])} to {number(values[1])}"


def _degrees(values: Sequence[float]) -> str:
    return f"{math.degrees(values[0]):.0f} to {math.degrees(values[1]):.0f} degrees"


OPERATORS: dict[str, Callable[[Any], str]] = {
    "RandFlipd": lambda t: f"flip of axis {t.flipper.spatial_axis}, p {number(t.prob)}",
    "RandAxisFlipd": lambda t: f"flip of a random axis, p {number(t.prob)}",
    "RandRotate90d": lambda t: (
        f"1 to {t.max_k[1] if isinstance(t.max_k, tuple) else t.max_k} quarter turns, p {number(t.prob)}"
    ),
    "RandRotated": lambda t: (
        f"rotation by {_degrees(t.rand_rotate.range_x)}, {t.mode[0]} / {t.mode[-1]}, p {number(t.prob)}"
    ),
    "Identityd": lambda t: "nothing",
    "RandGaussianNoised": lambda t: "Gaussian noise of each pixel",
    "GaussianSmoothd": lambda t: f"blur, sigma {number(t.converter.sigma)}",
    "RandScaleIntensityd": lambda t: (
        f"factor {_interval([1 + f for f in t.scaler.factors])}{' of each channel' if t.scaler.channel_wise else ''}"
    ),
    "RandZoomd": lambda t: (
        f"scale {_interval([t.rand_zoom.min_zoom[0], t.rand_zoom.max_zoom[0]])} of each axis, {t.mode[0]} / {t.mode[1]}"
    ),
    "RandTwoShearsd": lambda t: f"shear of both axes by -{t.degrees:g} to {t.degrees:g} degrees",
    "RandPiecewiseAffined": lambda t: (
        f"piecewise affine, {t.number[0]} to {t.number[1]} points a side, moved by {_interval(t.scale)} of it"
    ),
    "RandShiftd": lambda t: f"shift by up to {number(t.fraction)} of each side",
    "RandShortSideResized": lambda t: (
        f"short side {t.short_side[0]} to {t.short_side[1]}, long side up to {t.max_side}, {t.mode[0]} / {t.mode[1]}"
    ),
    "RandPadCropd": lambda t: f"crop of {t.roi_size[0]} x {t.roi_size[1]}, outside {t.fill[0]:g} / {t.fill[1]:g}",
    "RandBlurd": lambda t: f"blur, sigma {_interval(t.sigma)}, p {number(t.prob)}",
    "RandPhotometricd": lambda t: "; ".join(
        [f"each p {number(t.step_prob)}", *(f"{name} {_interval(values)}" for name, values in t.ranges.items())]
    ),
    "RandRotateFilld": lambda t: (
        f"rotation by -{t.degrees:g} to {t.degrees:g} degrees, {t.mode[0]} / {t.mode[1]}, outside {t.fill[0]:g} / "
        f"{t.fill[1]:g}, p {number(t.prob)}"
    ),
}
RESIZES: dict[str, Callable[[Any], str]] = {
    "SplineResized": lambda t: f"{t.mode[0]} / {t.mode[1]}, border {t.resize.border}",
    "Resized": lambda t: f"{t.mode[0]} / {t.mode[1]}",
    "AntialiasedResized": lambda t: f"{'' if t.mode[0] == 'bicubic' else 'antialiased '}{t.mode[0]} / {t.mode[1]}",
}
