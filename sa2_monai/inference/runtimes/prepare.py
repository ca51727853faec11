# SPDX-License-Identifier: Apache-2.0
"""From a network to a function of images that calculates it elsewhere, and was compared with it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import nn

from sa2_monai.inference.agreement import Agreement, Limits, compare_logits, smooth_images
from sa2_monai.inference.runtimes.catalogue import RUNTIMES, check_runtime
from sa2_monai.inference.runtimes.contract import Built, Job, Run, RuntimeRefusedError
from sa2_monai.io.causes import is_out_of_memory

__all__ = ["LIMITS", "prepare"]

#: How well a runtime must agree with PyTorch's eager mode in fp32; other precisions have two or three digits.
LIMITS = {
    "fp32": Limits(equal=0.999, dice=0.99, error=0.01),
    "bf16": Limits(equal=0.98, dice=0.95, error=0.1),
    "fp16": Limits(equal=0.98, dice=0.95, error=0.1),
    "auto": Limits(equal=0.98, dice=0.95, error=0.1),
}
_TEST_IMAGES = 2


def prepare(
    network: nn.Module,
    runtime: str,
    precision: str = "fp32",
    *,
    example_shape: Sequence[int],
    normalize: Sequence[float] | None = None,
) -> Run:
    """Make a network ready for a runtime, compare it with the network itself, and print a line with the seconds.

    CPUs calculate image by image: of the five networks no runtime is quicker with batches there, and one graph serves
    all of them. GPUs get batches of one size, the last one filled up.

    Args:
        network: in evaluation mode, on its device.
        runtime: a name of :data:`~sa2_monai.inference.runtimes.catalogue.RUNTIMES`; ``"eager"`` gives the network.
        precision: ``"fp32"``, ``"bf16"``, ``"fp16"``, or ``"auto"`` for what the runtime takes by itself.
        example_shape: of the images, (B, C, H, W).
        normalize: mean and divisor that the caller applies before the network, for the images of the comparison.

    Returns:
        Function of any number of images of that size, which returns logits in ``float32``.

    Raises:
        ImportError: a package is missing.
        RuntimeRefusedError: the runtime does not have this device or precision, cannot take the network, or gives
            something else than the network; one line with the numbers.
        ValueError: an unknown runtime, or a network in training mode.
    """
    check_runtime(runtime)
    found = RUNTIMES[runtime]
    if found is None:
        return network
    if network.training:
        raise ValueError(f"runtime {runtime} is for networks in evaluation mode: call network.eval()")
    started = time.perf_counter()
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    found.check(device, precision)
    batch, *size = example_shape
    batch = 1 if device.type == "cpu" else batch
    (images,) = smooth_images([[max(batch, _TEST_IMAGES), *size]], normalize)
    images = images.to(device)
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        expected = network(images)  # first: of images that it cannot take it says why
        job = Job(network, images[:batch], precision)
        built = _built(runtime, job)
        agreement = compare_logits(expected, _batches(built.run, batch)(images))
        if built.cached and not agreement.reaches(LIMITS[precision]):
            built = _built(runtime, replace(job, renew=True))
            agreement = compare_logits(expected, _batches(built.run, batch)(images))
    if not agreement.reaches(LIMITS[precision]):
        raise RuntimeRefusedError(_difference(runtime, precision, agreement))
    seconds, kept = time.perf_counter() - started, ", from the cache" if built.cached else ""
    print(
        f"runtime {runtime} ({precision}): ready for {size[0]} x {size[1]} x {size[2]} after {seconds:.1f} s{kept}; "
        f"{agreement.equal:.2%} of test pixels as eager fp32",
        flush=True,
    )
    return _batches(built.run, batch)


def _built(runtime: str, job: Job) -> Built:
    found = RUNTIMES[runtime]
    assert found is not None
    try:
        return found.build(job)
    except Exception as error:  # what compilers raise is of any type
        if is_out_of_memory(error):
            raise  # fewer images may do
        lines = str(error).strip().splitlines() or [""]
        raise RuntimeRefusedError(
            f"runtime {runtime} cannot take this network ({type(error).__name__}: {lines[0][:300]}); use --runtime "
            "eager."
        ) from error


def _batches(run: Run, size: int) -> Run:
    """Any number of images, in batches of one size."""

    def call(images: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            found = [run(_filled(part, size))[: len(part)] for part in images.split(size)]
        return found[0] if len(found) == 1 else torch.cat(found)

    return call


def _filled(images: torch.Tensor, size: int) -> torch.Tensor:
    missing = size - len(images)
    return images if missing == 0 else torch.cat([images, images[-1:].expand(missing, -1, -1, -1)])


def _difference(runtime: str, precision: str, agreement: Agreement) -> str:
    limits = LIMITS[precision]
    return (
        f"runtime {runtime} in {precision} gives something else than eager fp32 for this network: on test images "
        f"{agreement.equal:.2%} of the pixels have the same class (at least {limits.equal:.1%}), the lowest Dice of a "
        f"class is {agreement.dice:.3f} (at least {limits.dice:g}), logits differ by {agreement.error:.3f} of their "
        f"spread (at most {limits.error:g}). Use --precision fp32, or --runtime eager."
    )
