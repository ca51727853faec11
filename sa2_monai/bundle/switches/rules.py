# SPDX-License-Identifier: Apache-2.0
"""What switches say together: each alone may be right, and both not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["contradictions"]


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


def _classes(values: Mapping[str, Any], network: str | None) -> Iterator[str]:
    names, outputs = values.get("class_names"), values.get("out_channels")
    if names is None:
        return
    count = len(names)
    wanted = [1, 2] if count == 2 and network in ("sa2net", None) else [count]
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


def _beyond(switch: str, numbers: Any, count: int, lowest: int = 1) -> Iterator[str]:
    wrong = sorted({int(number) for number in numbers if not lowest <= int(number) < count})
    if wrong:
        yield f"{switch} names class {', '.join(map(str, wrong))}, but class_names has 0 to {count - 1}"


def _views(values: Mapping[str, Any], network: str | None, training: bool) -> Iterator[str]:
    window = values.get("intensity_range")
    if window is not None and not window[0] < window[1]:
        yield f"intensity_range is {list(window)!r}, expected the lower number first"
    view, kind = values.get("view"), values.get("kind")
    if network == "sa2net" and kind == "images" and view == "paper":
        yield "view is 'paper', which is for volumes: of images the published view is whole"
    # Predictions of weights that were trained so stay what they were.
    if training and kind in ("volumes", "preprocessed") and values.get("intensity") == "range":
        yield (
            f"intensity is 'range', which scales images by their integer type, but kind is {kind!r}: "
            "choose window, percentiles, minmax or none"
        )
    if view == "windows" and values.get("intensity") == "minmax_resized":
        yield "intensity is 'minmax_resized', which is for whole slices, but view is 'windows': choose minmax"
    if view is not None and view != "windows" and values.get("orientations") == "all":
        yield f"orientations is 'all', which belongs to view: windows, but view is {view!r}"
