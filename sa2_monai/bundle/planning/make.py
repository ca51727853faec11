# SPDX-License-Identifier: Apache-2.0
"""``make_plan``: fingerprint, network, and all decisions in the order in which they rest on each other."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sa2_monai.bundle.baselines import overlays_of, source_of
from sa2_monai.bundle.locate import find_config, load, load_one
from sa2_monai.bundle.planning import batch, clean_up, intensity, learning, length, sampling, task, view
from sa2_monai.bundle.planning.draft import Draft
from sa2_monai.bundle.planning.networks import choose_network
from sa2_monai.bundle.planning.plan import Choice, Plan
from sa2_monai.bundle.planning.published import networks_of, protocol
from sa2_monai.bundle.planning.speed import seconds_per_step
from sa2_monai.bundle.planning.width import NARROW, width
from sa2_monai.bundle.switches import SwitchError, check_config, check_values
from sa2_monai.bundle.switches.schema import switch_names
from sa2_monai.bundle.switches.unknown import unknown_ids
from sa2_monai.bundle.switches.values import switch_values
from sa2_monai.data.fingerprint import Fingerprint, measure_fingerprint

if TYPE_CHECKING:
    from sa2_monai.data.layouts.discovery import FoundData

__all__ = ["decide", "make_plan"]

#: Switches that a time budget changes.
_OF_TIME = ("slices_per_epoch", "max_epochs", "val_interval", "patience")

Decision = Callable[[Draft], Choice | None]


def make_plan(
    found: FoundData,
    network: str | None = None,
    overlays: Sequence[Path] = (),
    given: Mapping[str, Any] | None = None,
    device: str | None = None,
    minutes: float | None = None,
    fingerprint: Fingerprint | None = None,
) -> Plan:
    """Plan a training: measure the data, then decide on each switch that is not given.

    Args:
        found: the data set.
        network: name of the network; ``None`` leaves the choice to the plan.
        overlays: configuration files that will follow the plan; what they say is not planned.
        given: values of switches that the user set; they win, too.
        device: ``"cpu"`` or ``"cuda"``; ``None`` takes a GPU where there is one.
        minutes: time for the training. ``None``: 20 minutes on a CPU, on a GPU as many steps as published.
        fingerprint: of the same data with the same values, if it was measured before.

    Returns:
        The plan. Of a public data set it is the published protocol.

    Raises:
        OSError, ValueError: data that cannot be read, see :func:`~sa2_monai.data.fingerprint.measure_fingerprint`; an
            unknown network or device; minutes that are not above 0; a
            :class:`~sa2_monai.bundle.SwitchError` for switches that do not exist or contradict each other.
    """
    if minutes is not None and not minutes > 0:
        raise ValueError(f"minutes is {minutes}, expected a number above 0")
    name, reason = choose_network(found.kind, network, networks_of(found.dataset))
    settled: dict[str, Any] = {}
    for overlay in overlays:
        settled |= load_one(overlay)
    settled |= dict(given or {})
    bundle = source_of(name)
    base = load(find_config(bundle, "train"), *overlays_of(name, bundle))
    _check_given(name, base, settled)
    fingerprint = fingerprint or measure_fingerprint(found, settled, device)
    draft = Draft(fingerprint, name, base, settled, minutes)
    draft.choices |= {"dataset_dir": Choice(str(Path(found.path).resolve()), "where the data are")}
    published = protocol(name, found.dataset)
    draft.choices |= published
    # What the overlay does not say is published, too: it stands in train.yaml.
    decide(draft, _OF_TIME if published else None)
    check_config({**base, **{switch: choice.value for switch, choice in draft.choices.items()}, **draft.given})
    choices = {switch: draft.choices[switch] for switch in base if switch in draft.choices and switch not in settled}
    return Plan(name, reason, choices, fingerprint)


def _check_given(network: str, base: Mapping[str, Any], settled: Mapping[str, Any]) -> None:
    """Values and ids of the user's, before any file is read; of what lies deeper, as ``train#trainer``, nothing."""
    top = {name: value for name, value in settled.items() if "#" not in name and "::" not in name and name[:1] != "+"}
    merged = {**base, **top}
    check_values(switch_values(merged, top), network=network, config=merged)
    unknown = list(unknown_ids(merged, switch_names(network)))
    if unknown:
        raise SwitchError("; ".join(unknown))


def decide(draft: Draft, switches: Collection[str] | None = None) -> None:
    """Add a choice for each switch of the network that is not given.

    Args:
        draft: with the fingerprint and the network.
        switches: those of a published protocol that a time budget changes; ``None`` for all.
    """
    if switches is not None and draft.budget is None:
        return
    for switch, decision in _decisions(draft).items():
        if switch in draft.base and switch not in draft.given and (switches is None or switch in switches):
            choice = decision(draft)
            if choice is not None:
                draft.choices[switch] = choice


def _decisions(draft: Draft) -> dict[str, Decision]:
    """In the order in which they rest on each other."""

    @functools.cache
    def seconds() -> float:
        if draft.minutes is None:
            return 0.0
        values = {name: choice.value for name, choice in draft.choices.items()}
        device = {"device": f"$torch.device('{draft.fingerprint.machine.device}')"}
        size = [round(side) for side in draft.fingerprint.geometry.size]
        return seconds_per_step({**draft.base, **values, **draft.given, **device}, size)

    return {
        "layout": task.layout,
        "kind": task.kind,
        "class_names": task.class_names,
        "label_values": task.label_values,
        "ignore_value": task.ignore_value,
        "in_channels": task.in_channels,
        "channel_order": task.channel_order,
        "intensity": intensity.intensity,
        "intensity_range": intensity.intensity_range,
        "num_folds": task.num_folds,
        **{switch: functools.partial(width, switch=switch) for switch in NARROW[draft.name]},
        "slice_axis": view.slice_axis,
        "view": view.view,
        "roi_size": view.roi_size,
        "pixdim": view.pixdim,
        "overlap": view.overlap,
        "largest_component": clean_up.largest_component,
        "batch_size": batch.batch_size,
        "foreground": sampling.foreground,
        "augment": sampling.augment,
        "colour_jitter": sampling.colour_jitter,
        "loss_name": learning.loss_name,
        "learning_rate": learning.learning_rate,
        "min_learning_rate": learning.min_learning_rate,
        "restart_interval": learning.restart_interval,
        "optimizer": learning.optimizer,
        "gradient_clip": learning.gradient_clip,
        "precise_bn": learning.precise_bn,
        "num_workers": batch.num_workers,
        "cache_rate": batch.cache_rate,
        "slices_per_epoch": lambda draft: length.slices_per_epoch(draft, seconds()),
        "max_epochs": lambda draft: length.max_epochs(draft, seconds()),
        "warmup_epochs": learning.warmup_epochs,
        "val_interval": length.val_interval,
        "patience": length.patience,
    }
