# SPDX-License-Identifier: Apache-2.0
"""Whole epochs of a training as a bundle sets it up: how long they take, and how long the network waits for data."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser

from benchmark.frame.process import in_fresh_process
from benchmark.frame.rows import Row
from benchmark.generated.ct import CLASSES
from benchmark.loading.processes import memory_of_processes
from sa2_monai.data import make_sample

__all__ = ["KINDS", "WIDTHS", "measure", "rows"]

#: kind of the files: bundle, and its overlays for networks of both widths
KINDS = {
    "images": ("svanet", {"narrow": "sample", "published": "folder"}),
    "volumes": ("daeformer", {"narrow": "sample_volumes", "published": "nifti_folder"}),
}
WIDTHS = ("narrow", "published")
_BUNDLES = Path(__file__).resolve().parents[4] / "bundles"


def rows(kind: str, folder: Path, cases: list[dict[str, str]], args: argparse.Namespace) -> Iterator[Row]:
    """A row for each share of kept cases and number of workers.

    Args:
        kind: one of :data:`KINDS`.
        folder: where images are made.
        cases: the volumes, image and label of each.
        args: ``width``, ``epochs``, ``epoch_workers``, ``threads``; ``images``, ``image_size`` or ``size``, ``slices``.
    """
    bundle, _ = KINDS[kind]
    data: dict[str, Any]
    if kind == "images":
        size = (args.image_size, args.image_size)
        made = make_sample(folder / kind, num_training=args.images, num_validation=1, num_test=1, size=size)
        data, what = (
            {"dataset_dir": str(made), "class_names": ["background", "nucleus"]},
            f"{args.images} images {size[0]} x {size[1]}",
        )
    else:
        data = {"class_names": CLASSES, "train#dataset#data": cases}
        what = f"{len(cases)} volumes {args.size} x {args.size} x {args.slices}"
    for cache_rate in (1.0, 0.0):
        for workers in args.epoch_workers:
            changes = {**data, "cache_rate": cache_rate, "num_workers": workers}
            found = in_fresh_process(__name__, "measure", kind, args.width, changes, args.epochs, args.threads)
            contestant = f"{'cached' if cache_rate else 'uncached'}, {workers} workers"
            yield {"case": f"{bundle}, {args.width}, {what}", "contestant": contestant, **found}


def measure(kind: str, width: str, changes: dict[str, Any], epochs: int, threads: int | None) -> dict[str, float]:
    """Figures of one training, to be measured in a fresh process.

    Args:
        kind: one of :data:`KINDS`.
        width: one of :data:`WIDTHS`.
        changes: to the configuration of the bundle.
        epochs: all of them; the medians are of those after the first.
        threads: of torch; ``None``: as many as it takes.

    Returns:
        ``build_s`` (data set and sampler), ``first_epoch_s``, ``epoch_s``, ``waiting_percent`` (of the later epochs),
        ``slices_per_second`` and the memory.
    """
    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(0)
    bundle, overlays = KINDS[kind]
    parser = ConfigParser()
    parser.read_config([str(_BUNDLES / bundle / "configs" / f"{name}.yaml") for name in ("train", overlays[width])])
    parser.update({"augment": True, "progress": False, "device": "cpu", **changes})
    start = time.perf_counter()
    loader = parser.get_parsed_content("train#dataloader")
    built = time.perf_counter() - start
    network, loss, optimizer = map(parser.get_parsed_content, ("network", "loss", "optimizer"))
    network.train()

    def step(batch: dict[str, Any]) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss(network(batch["image"]), batch["label"]).backward()
        optimizer.step()

    first, *later = [_epoch(loader, step) for _ in range(epochs)]
    median = {key: statistics.median(epoch[key] for epoch in later) for key in first}
    return {
        "build_s": built,
        "first_epoch_s": first["seconds"],
        "epoch_s": median["seconds"],
        "waiting_percent": 100 * median["waited"] / median["seconds"],
        "slices_per_second": median["slices"] / median["seconds"],
        **{key: max(epoch[key] for epoch in (first, *later)) for key in first if key.endswith("_mb")},
    }


def _epoch(loader: Any, step: Callable[[dict[str, Any]], None]) -> dict[str, float]:
    """Seconds, those without a batch (start and end of workers included), slices, memory half-way and at the end."""
    slices, waited, memory = 0, 0.0, memory_of_processes()
    start = asked = time.perf_counter()
    batches = iter(loader)
    for number in range(len(loader)):
        batch = next(batches)
        waited += time.perf_counter() - asked
        step(batch)
        slices += len(batch["image"])
        if number in (len(loader) // 2, len(loader) - 1):
            found = memory_of_processes()
            memory = {key: max(value, found[key]) for key, value in memory.items()}
        asked = time.perf_counter()
    next(batches, None)  # the end: workers are waited for
    end = time.perf_counter()
    return {"seconds": end - start, "waited": waited + end - asked, "slices": slices, **memory}
