# SPDX-License-Identifier: Apache-2.0
"""How much goes through the network together, and what stays in memory."""

from __future__ import annotations

import math

from sa2_monai.bundle.planning.draft import Draft
from sa2_monai.bundle.planning.plan import Choice

__all__ = ["batch_size", "cache_rate", "num_workers"]

_CPU_PIXELS = 128 * 128 * 4  # of a step
# GiB that autograd keeps per image of 224 x 224 with the published width, in single precision: the tensors that
# torch.autograd.graph.saved_tensors_hooks sees in one forward pass.
_ACTIVATIONS = {"sa2net": 0.63, "daeformer": 0.58, "hsaunet": 0.47, "msa2net": 0.56, "svanet": 0.58}
_ACTIVATIONS |= {"unet": 0.04, "segresnet": 0.14, "dynunet": 0.12}
_GRADIENTS = 2.0  # what a step takes beside them, as a factor: gradients and the working memory of convolutions
_FIXED = 5.0  # GiB of the libraries, the weights and the optimizer, of the largest network
_PART = 0.8  # of the free memory that may be taken
_FILLED = 0.9  # of the steps of an epoch, when the last one is smaller
_CACHED = 0.5  # of the free memory that decoded cases may take


def batch_size(draft: Draft) -> Choice:
    """Slices or images of a step."""
    pixels = math.prod(draft["roi_size"])
    if draft.on_cpu:
        wanted: float = _CPU_PIXELS / pixels
        why = f"{_CPU_PIXELS} pixels in a step, as a CPU likes it"
    else:
        each = _GRADIENTS * _ACTIVATIONS[draft.name] * pixels / 224**2
        room = (_PART * draft.fingerprint.machine.memory - _FIXED) / each
        published = int(draft.base["batch_size"])
        wanted = min(room, published)
        why = f"published {published}; {draft.fingerprint.machine.memory:.0f} GiB free, about {each:.2g} for each"
    slices = draft.fingerprint.counts.slices
    wanted = max(1, min(math.floor(wanted), slices))
    number = max(_fitting(wanted, slices), draft.network.smallest_batch)
    if number != wanted:
        why += f"; {number} divide the {slices} slices of an epoch better than {wanted}"
    return Choice(number, why)


def cache_rate(draft: Draft) -> Choice:
    """Part of the decoded cases that stays in memory."""
    rows, columns = draft.fingerprint.geometry.size
    slices = draft.fingerprint.counts.slices + draft.fingerprint.counts.validation * draft.fingerprint.geometry.depth
    # Images as floats, label maps beside them.
    size = slices * rows * columns * (4 * draft["in_channels"] + 4) / 2**30
    room = _CACHED * (draft.fingerprint.machine.memory if draft.on_cpu else 16.0)
    if size <= room:
        return Choice(1.0, f"all cases decoded take {size:.2g} GiB, and {room:.2g} may be taken")
    return Choice(math.floor(100 * room / size) / 100, f"all cases decoded would take {size:.2g} GiB of {room:.2g}")


def num_workers(draft: Draft) -> Choice:
    """Processes that prepare slices."""
    processors = draft.fingerprint.machine.processors
    if draft.on_cpu:
        return Choice(0, f"the network itself needs the {processors} processors")
    return Choice(min(8, max(1, processors - 1)), f"{processors} processors beside the GPU")


def _fitting(wanted: int, slices: int) -> int:
    """The number within a quarter of ``wanted`` that fills the steps of an epoch best, where ``wanted`` leaves gaps."""

    def filled(number: int) -> float:
        return slices / (number * math.ceil(slices / number))

    if filled(wanted) >= _FILLED:
        return wanted
    near = range(max(1, math.ceil(0.75 * wanted)), math.floor(1.25 * wanted) + 1)
    return max(near, key=lambda number: (filled(number), -abs(number - wanted)))
