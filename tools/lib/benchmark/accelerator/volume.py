# SPDX-License-Identifier: Apache-2.0
"""A volume end to end, from the memory of the host and back to it: the published loop against the inferer; kernels."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
from scipy.ndimage import zoom
from torch import Tensor, nn

from benchmark.accelerator.limit import Limit
from benchmark.accelerator.speed import channels_last
from benchmark.accelerator.subject import Subject, figures, module_of, peak_mb
from benchmark.frame.rows import Row
from benchmark.frame.turns import compared, take_turns
from sa2_monai.inference import VolumeInferer
from sa2_monai.slices.transfer import to_device

__all__ = ["copies", "rows"]


def rows(subject: Subject, args: argparse.Namespace, limit: Limit) -> Iterator[Row]:
    """Rows of the published loop, and of the inferer with several sizes of batches; then the slowest kernels."""
    network = subject.network().eval().requires_grad_(False)
    size = subject.images(1).shape[-1]
    shape = (40, 40, 6) if subject.narrow else (512, 512, 120)
    volume = torch.randint(-200, 300, (1, subject.channels[0], *shape), dtype=torch.int16)
    published = subject.published(network).eval()
    calls: dict[str, Callable[[], Tensor]] = {
        "published loop fp32": partial(published_loop, subject, published, volume[0], size)
    }
    last = channels_last(network)
    for batch, precision in ((8, "fp32"), (8, "fp16"), (24, "fp16"), ("auto", "fp32"), ("auto", "fp16")):
        inferer = VolumeInferer(size, "paper", normalize=(0.5, 0.5), slice_batch_size=batch)
        calls[f"batch {batch}, channels_last {precision}"] = partial(infer, subject, inferer, volume, last, precision)
    case = f"volume {' x '.join(map(str, shape))}, {subject.name}"
    with torch.no_grad():
        expected = calls["published loop fp32"]()
        seconds = take_turns(calls, 1 if limit.left < 120 else 2, synchronise=module_of(subject.device).synchronize)
        for contestant, row in compared(seconds).items():
            same = float((calls[contestant]() == expected).float().mean())
            yield figures(case, contestant, **row, peak_mb=peak_mb(calls[contestant], subject.device), same_labels=same)
        yield from kernels(case, calls["batch 24, channels_last fp16"], subject.device)


def published_loop(subject: Subject, network: nn.Module, volume: Tensor, size: int) -> Tensor:
    """Slice by slice through SciPy and the network; labels (1, 1, X, Y, Z)."""
    found = np.zeros(volume.shape[1:], dtype=np.uint8)
    rows, columns = found.shape[:2]
    for index in range(found.shape[2]):
        plane = zoom(volume[0, ..., index].numpy().astype(np.float32), (size / rows, size / columns), order=3)
        images = (torch.from_numpy(plane)[None, None].to(subject.device) - 0.5) / 0.5
        labels = subject.labels(network(images))[0].cpu().numpy().astype(np.uint8)
        found[..., index] = zoom(labels, (rows / size, columns / size), order=0)
    return torch.from_numpy(found)[None, None]


def infer(subject: Subject, inferer: VolumeInferer, volume: Tensor, network: nn.Module, precision: str) -> Tensor:
    """Labels (1, 1, X, Y, Z) on the host."""
    with subject.autocast(precision):
        return inferer(volume, network)


def kernels(case: str, work: Callable[[], Tensor], device: torch.device) -> Iterator[Row]:
    """The kernels that take the most time of the device."""
    kinds = [torch.profiler.ProfilerActivity.CPU]
    if device.type == "cuda":
        kinds.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=kinds) as profile:
        work()
        module_of(device).synchronize()
    on_device = device.type == "cuda"
    found = [
        (one.key, one.count, one.self_device_time_total if on_device else one.self_cpu_time_total)
        for one in profile.key_averages()
    ]
    whole = sum(time for *_, time in found) or 1
    for name, count, time in sorted(found, key=lambda one: -one[2])[:12]:
        note = f"{count} times, {time / whole:.0%} of the time"
        yield figures(f"{case}: kernels", name[:60].replace("|", " "), median_ms=time / 1000, note=note)


def copies(subject: Subject, args: argparse.Namespace, _: Limit) -> Iterator[Row]:
    """Slices to the device: as floating-point numbers, as stored, from pinned memory."""
    shape = (2, 1, 32, 32) if subject.narrow else (24, 1, 512, 512)
    stored = torch.randint(-200, 300, shape, dtype=torch.int16)
    device = subject.device
    calls = {
        "float32, converted on the host": lambda: stored.float().to(device),
        "int16, converted on the device": lambda: stored.to(device).float(),
        "int16 through pinned memory": lambda: to_device(stored, device).float(),
    }
    for contestant, row in compared(take_turns(calls, args.turns, 3, module_of(device).synchronize)).items():
        yield figures(f"{shape[0]} slices {shape[2]} x {shape[3]} to the device", contestant, **row)
