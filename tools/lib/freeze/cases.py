# SPDX-License-Identifier: Apache-2.0
"""The table of what is frozen: every bundle on every kind of files in every view, and the switches one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ORGANS = {"class_names": ["background", "liver", "tumour"], "intensity": "window"}
THREE = {"class_names": ["background", "cell", "nucleus"], "in_channels": 1, "ignore_value": 255}
SLICES = {
    **{"layout": "synapse_archive", "kind": "preprocessed", "in_channels": 1, "label_values": None},
    "class_names": ["background", "aorta", "gallbladder", "left", "right", "liver", "pancreas", "spleen", "stomach"],
}
#: Overlay of the data set and switches that come with it, by data.
OVERLAYS: dict[str, tuple[str | None, Mapping[str, Any]]] = {
    "images": ("folder", {}),
    "unlabelled": ("folder", THREE),
    "cells": ("segpc", {}),
    "volumes": ("nifti_folder", ORGANS),
    "synapse_archive": ("synapse_archive", {}),
    "svanet/synapse_archive": (None, SLICES),  # it has no overlay for preprocessed files, but takes them
    "acdc_archive": ("acdc_archive", {}),
}
# Smallest legal widths of the networks, and a training after which the label maps hold more than one class: SvANet's
# running statistics take more than two short epochs.
NETWORKS: dict[str, Mapping[str, Any]] = {
    "sa2net": {"base_channels": 4, "learning_rate": 0.01},
    "daeformer": {"embed_dims": [8, 16, 32], "channel_heads": 2, "learning_rate": 0.05},
    "hsaunet": {"embed_dims": [16, 32, 64], "channel_heads": 2, "window_size": 2, "learning_rate": 0.05},
    "msa2net": {
        **{"stem_channels": [8, 8], "encoder_channels": [32, 64, 128, 256], "encoder_depths": [1, 1, 1, 1]},
        **{"channel_attention_heads": 2, "learning_rate": 0.05},
    },
    "svanet": {"base_channels": 4, "encoder": "resnet14", "learning_rate": 0.002, "max_epochs": 6},
}
SMALL: Mapping[str, Any] = {
    **{
        "roi_size": [32, 64],
        "batch_size": 2,
        "num_workers": 0,
        "device": "cpu",
        "precision": "fp32",
        "progress": False,
    },
    **{"max_epochs": 2, "val_interval": 1, "num_folds": 3, "cache_rate": 1.0, "augment": True, "pretrained": None},
}


@dataclass(frozen=True)
class Case:
    """A training with what follows it.

    Args:
        bundle: name of the bundle.
        data: name in ``DATA``.
        view: ``whole``, ``windows``, or ``paper``: the overlay ``paper.yaml``, and ``evaluate_paper.yaml`` at the end.
        variant: what is special; part of the name.
        switches: of all steps, each where the configuration has it.
        inference: switches of the prediction alone.
        evaluation: switches of the evaluation alone.
        published: switches of the evaluation by the published scores alone.
        overlays: further overlays of the training.
        package: also make a package and predict with it.
    """

    bundle: str
    data: str
    view: str = "whole"
    variant: str = ""
    switches: Mapping[str, Any] = field(default_factory=dict)
    inference: Mapping[str, Any] = field(default_factory=dict)
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    published: Mapping[str, Any] = field(default_factory=dict)
    overlays: tuple[str, ...] = ()
    package: bool = False

    @property
    def name(self) -> str:
        """Bundle, data, view and what is special."""
        return "/".join(part for part in (self.bundle, self.data, self.view, self.variant) if part)


VIEWS = ("whole", "windows", "paper")
PREPROCESSED = {"sa2net": "acdc_archive"}
CASES: tuple[Case, ...] = (
    # ---- every bundle, kind of files and view, otherwise as the overlays of the data sets say
    *(
        Case(bundle, data, view)
        for bundle in NETWORKS
        for data in ("images", "volumes", PREPROCESSED.get(bundle, "synapse_archive"))
        for view in VIEWS
    ),
    # ---- intensities
    Case("hsaunet", "images", variant="minmax", switches={"intensity": "minmax"}),
    Case("daeformer", "images", variant="minmax_resized", switches={"intensity": "minmax_resized"}),
    Case("msa2net", "images", variant="none", switches={"intensity": "none"}),
    Case("sa2net", "images", variant="range", switches={"intensity": "range"}),
    Case("sa2net", "cells", "paper", "minmax"),
    Case("svanet", "volumes", variant="slice_maximum", switches={"intensity": "slice_maximum"}),
    Case("daeformer", "volumes", variant="percentiles", switches={"intensity": "percentiles"}),
    # ---- resizing
    Case("msa2net", "images", variant="antialiased", switches={"resize": "antialiased"}),
    Case("hsaunet", "volumes", variant="bilinear", switches={"resize": "bilinear"}),
    # ---- augmentation, sampling, parts of the data
    Case("daeformer", "volumes", "windows", "flip", {"augment": "flip", "pixdim": 1.8}),
    Case("svanet", "images", variant="flip", switches={"augment": "flip"}),
    Case("msa2net", "volumes", variant="foreground", switches={"foreground": 0.3, "slices_per_epoch": 10}),
    Case("hsaunet", "volumes", variant="all-train", switches={"validation": "none"}),
    Case("sa2net", "volumes", variant="fold", switches={"fold": 1, "foreground": 0.3}),
    Case("sa2net", "unlabelled", variant="three-classes", switches={"loss_name": "cross_entropy"}),
    Case("svanet", "unlabelled", variant="three-classes", switches={"foreground": 0.3}),
    Case("hsaunet", "unlabelled", "windows", "three-classes", {"loss_name": "cross_entropy"}),
    # ---- what becomes of the label maps
    Case("msa2net", "volumes", "windows", "all-axes", inference={"orientations": "all"}),
    Case(
        "daeformer",
        "volumes",
        variant="clean-up",
        switches={"largest_component": True, "fill_holes": [1], "min_volume": 50.0},
    ),
    Case("svanet", "images", "windows", "clean-up", evaluation={"largest_component": True, "size_strata": True}),
    Case("sa2net", "images", "paper", "pooled", published={"family": "pooled"}),
    # ---- decoded cases on disk, and a bundle that stands alone
    Case("hsaunet", "volumes", "windows", "disk-cache", overlays=("disk_cache",)),
    Case("sa2net", "images", variant="package", package=True),
    Case("daeformer", "volumes", variant="package", package=True),
)
