# SPDX-License-Identifier: Apache-2.0
"""What switches say together: each alone may be right, and both not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sa2_monai.networks.catalogue import network_names, network_record

__all__ = ["contradictions"]

#: Losses whose classes can be weighted.
_WEIGHTED_LOSSES = ("cross_entropy", "dice_ce", "dice_ce_squared", "focal_dice")


def contradictions(values: Mapping[str, Any], network: str | None, training: bool) -> Iterator[str]:
    """One line for each contradiction between switches.

    Args:
        values: the switches, each valid by itself; what is not there is not looked at.
        network: name of the network.
        training: whether the configuration trains.
    """
    yield from _splits(values)
    yield from _classes(values, network)
    yield from _views(values, network, training)
    if values.get("instances") and values.get("kind") in ("volumes", "preprocessed"):
        yield (
            f"instances is set, but kind is {values['kind']!r}: objects are divided in 2D images only; leave it out, "
            "sa2-monai predict --measure counts what is connected in volumes"
        )
    if training:
        yield from _trainings(values)
    if values.get("protocol") == "paper" and "family" in values and values["family"] is None:
        yield "protocol is 'paper', but family is null: name the family of the published numbers"


def _splits(values: Mapping[str, Any]) -> Iterator[str]:
    fold, folds = values.get("fold"), values.get("num_folds")
    if fold is not None and folds is not None and fold >= folds:
        yield f"fold is {fold}, but num_folds is {folds}, expected 0 to {folds - 1}"
    pattern = values.get("patient_pattern")
    if pattern is not None:
        try:
            re.compile(pattern)
        except re.error as error:
            yield f"patient_pattern is {pattern!r}, which is no regular expression ({error})"


def _trainings(values: Mapping[str, Any]) -> Iterator[str]:
    if values.get("batch_size") == "auto":
        yield "batch_size is 'auto', which is for prediction: a training is another one with another number, give one"
    weights, encoder = values.get("pretrained"), values.get("encoder_weights")
    if weights is not None and encoder is not None:
        yield (
            f"pretrained is {weights!r} and encoder_weights is {encoder!r}: a training starts from a whole network or "
            "from an encoder, set one of them to null"
        )
    starts = [name for name in ("pretrained", "encoder_weights") if name in values]
    if values.get("frozen_epochs") and starts and weights is None and encoder is None:
        yield (
            f"frozen_epochs is {values['frozen_epochs']}, but {' and '.join(f'{name} is null' for name in starts)}: "
            "nothing has learned yet that could be kept, leave frozen_epochs at 0"
        )
    yield from _steps(values)
    if values.get("deterministic") and values.get("cudnn_benchmark"):
        yield (
            "deterministic and cudnn_benchmark are both true: which algorithm is the quickest differs from run to run, "
            "set one of them to false"
        )
    if values.get("select") == "last" and values.get("schedule") == "plateau":
        yield (
            "schedule is 'plateau', which halves the learning rate when the validation Dice has stalled, but select is "
            "'last', with which nothing is chosen by validation: choose another schedule, or select: best"
        )
    if values.get("validation") == "none":
        if values.get("fold") is not None:
            yield f"fold is {values['fold']}, but validation is 'none', with which no part validates: leave fold out"
        if values.get("schedule") == "plateau":
            yield (
                "schedule is 'plateau', which halves the learning rate when the validation Dice has stalled, but "
                "validation is 'none': choose another schedule"
            )


def _steps(values: Mapping[str, Any]) -> Iterator[str]:
    weights, loss = values.get("class_weights"), values.get("loss_name")
    if weights is not None and loss is not None and loss not in _WEIGHTED_LOSSES:
        yield (
            f"class_weights is {weights!r}, but loss_name is {loss!r}, which has none: choose one of "
            f"{', '.join(_WEIGHTED_LOSSES)} that the bundle has"
        )
    names = values.get("class_names")
    if names is not None and isinstance(weights, (list, tuple)) and len(weights) != len(names):
        yield f"class_weights has {len(weights)} numbers, but class_names has {len(names)} names: give one for each"
    if values.get("schedule") == "plateau" and values.get("schedule_epochs") is not None:
        yield (
            f"schedule_epochs is {values['schedule_epochs']}, but schedule is 'plateau', which has no end: leave "
            "schedule_epochs at null, or choose another schedule"
        )
    if values.get("precise_bn") and values.get("frozen_epochs"):
        yield (
            f"precise_bn is {values['precise_bn']} and frozen_epochs is {values['frozen_epochs']}, in which statistics "
            "stay as they are: set one of them to 0"
        )
    if values.get("compile") and values.get("checkpointing"):
        yield "compile and checkpointing are both true, which torch.compile cannot do: set one of them to false"
    if values.get("keep_best", 1) > 1 and values.get("select") == "last":
        yield (
            f"keep_best is {values['keep_best']}, but select is 'last', with which nothing is chosen by validation: "
            "leave keep_best at 1"
        )


def _classes(values: Mapping[str, Any], network: str | None) -> Iterator[str]:
    names, outputs = values.get("class_names"), values.get("out_channels")
    if names is None:
        return
    count = len(names)
    wanted = [1, 2] if count == 2 and _trained_as_sa2net(network) else [count]
    if outputs is not None and outputs not in wanted:
        yield (
            f"out_channels is {outputs}, but class_names has {count} names, expected {' or '.join(map(str, wanted))}"
        )
    for switch in ("largest_component", "fill_holes"):
        chosen = values.get(switch)
        numbers = [chosen] if isinstance(chosen, int) and not isinstance(chosen, bool) else chosen
        yield from _beyond(switch, numbers if isinstance(numbers, (list, tuple)) else (), count)
    table = values.get("min_volume")
    yield from _beyond("min_volume", table if isinstance(table, Mapping) else (), count, lowest=1)
    table = values.get("label_values")
    yield from _beyond("label_values", table.values() if isinstance(table, Mapping) else (), count, lowest=0)
    if isinstance(table, str) and count > 2:
        yield f"label_values is {table!r}, which knows two classes, but class_names has {count}: give a table"


def _trained_as_sa2net(network: str | None) -> bool:
    """Whether the bundle of SA2-Net trains it; ``None`` is not known, and may be."""
    return network is None or (network in network_names() and network_record(network).bundle == "sa2net")


def _beyond(switch: str, numbers: Any, count: int, lowest: int = 1) -> Iterator[str]:
    wrong = sorted({int(number) for number in numbers if not lowest <= int(number) < count})
    if wrong:
        yield f"{switch} names class {', '.join(map(str, wrong))}, but class_names has 0 to {count - 1}"


def _views(values: Mapping[str, Any], network: str | None, training: bool) -> Iterator[str]:
    window = values.get("intensity_range")
    if window is not None and not window[0] < window[1]:
        yield f"intensity_range is {list(window)!r}, expected the lower number first"
    view, kind = values.get("view"), values.get("kind")
    if network is not None and _trained_as_sa2net(network) and kind == "images" and view == "paper":
        yield "view is 'paper', which is for volumes: of images the published view is whole"
    # Predictions of weights that were trained so stay what they were.
    if training and kind in ("volumes", "preprocessed") and values.get("intensity") == "range":
        yield (
            f"intensity is 'range', which scales images by their integer type, but kind is {kind!r}: "
            "choose window, percentiles, minmax or none"
        )
    if view == "windows" and values.get("intensity") == "minmax_resized":
        yield "intensity is 'minmax_resized', which is for whole slices, but view is 'windows': choose minmax"
    if view == "paper" and values.get("uncertainty") is not None:
        yield (
            f"uncertainty is {values['uncertainty']!r}, but view is 'paper', which has no probabilities on the "
            "grid of the file: choose view: whole"
        )
    if view is not None and view != "windows" and values.get("orientations") == "all":
        yield f"orientations is 'all', which belongs to view: windows, but view is {view!r}"
