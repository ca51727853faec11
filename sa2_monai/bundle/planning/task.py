# SPDX-License-Identifier: Apache-2.0
"""The task: layout, kind, classes, label values, channels, splits."""

from __future__ import annotations

from sa2_monai.bundle.planning.draft import Draft
from sa2_monai.bundle.planning.plan import Choice

__all__ = ["channel_order", "class_names", "ignore_value", "in_channels", "kind", "label_values", "layout", "num_folds"]


def layout(draft: Draft) -> Choice:
    """Registry name of the data set."""
    return Choice(draft.fingerprint.dataset, f"found: {draft.fingerprint.description}")


def kind(draft: Draft) -> Choice:
    """Kind of the files."""
    rows, columns = draft.fingerprint.geometry.size
    depth = draft.fingerprint.geometry.depth
    slices = f" in {depth:.0f} slices" if draft.fingerprint.kind == "volumes" else ""
    return Choice(draft.fingerprint.kind, f"{rows:.0f} x {columns:.0f} pixels{slices} in the median case")


def class_names(draft: Draft) -> Choice:
    """Names of the classes."""
    labels = draft.fingerprint.labels
    shares = ", ".join(f"{100 * one.frequency:.2g} %" for one in draft.fingerprint.classes[1:])
    source = "said by the data set" if labels.named else "the data set names none, class_names=[...] does"
    return Choice(list(labels.class_names), f"{source}; share of the pixels: {shares}")


def label_values(draft: Draft) -> Choice:
    """Meaning of the values in the label files."""
    return Choice(draft.fingerprint.labels.label_values, draft.fingerprint.labels.reason)


def ignore_value(draft: Draft) -> Choice:
    """Value of pixels without a label."""
    value = draft.fingerprint.labels.ignore_value
    return Choice(value, "every pixel has a label" if value is None else f"{value}: pixels without a label")


def in_channels(draft: Draft) -> Choice:
    """Channels of the network's input."""
    colours, channels = draft.fingerprint.colours, draft.fingerprint.channels
    if colours is None:
        return Choice(channels, f"{channels} per voxel in the files")
    if channels not in (1, 3):
        return Choice(channels, f"the files have {channels}")
    if colours.colour == 0:
        return Choice(1, "grey: no image has channels that differ")
    share = f"{100 * colours.colour:.0f} % of the images are in colour"
    return Choice(3, share if colours.colour == 1 else f"{share}, grey ones are repeated to three")


def channel_order(draft: Draft) -> Choice | None:
    """Of colour images."""
    if draft.fingerprint.kind != "images":
        return None
    return Choice("RGB", "as in the files; BGR is for weights that were trained so")


def num_folds(draft: Draft) -> Choice:
    """Parts of the training cases, one of which validates."""
    counts = draft.fingerprint.counts
    if counts.listed_validation:
        return Choice(5, f"for cross-validation; without a fold the {counts.validation} listed cases validate")
    return Choice(5, f"one part of five validates: {counts.validation} cases, {counts.training} train")
