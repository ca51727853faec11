# SPDX-License-Identifier: Apache-2.0
"""Torch-TensorRT on NVIDIA GPUs, as its documentation says; not tested by us on one."""

from __future__ import annotations

from typing import Any

import torch

from sa2_monai.inference.runtimes.contract import Built, Job, Runtime, RuntimeRefusedError
from sa2_monai.inference.runtimes.onnx_graph import traced

__all__ = ["RUNTIME", "engine"]

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "auto": torch.float32}


def check(device: torch.device, precision: str) -> None:
    """See :class:`~sa2_monai.inference.runtimes.contract.Runtime`."""
    if device.type != "cuda":
        raise RuntimeRefusedError(f"runtime tensorrt needs a CUDA device, and the device is {device}.")


def build(job: Job) -> Built:
    """See :class:`~sa2_monai.inference.runtimes.contract.Runtime`."""
    run = engine(traced(job.network, job.example), job.example, {torch.float32, _DTYPES[job.precision]})
    return Built(lambda images: run(images).float())


def engine(program: Any, example: torch.Tensor, precisions: set[torch.dtype]) -> Any:
    """Compile a program for the GPU of this machine.

    Args:
        program: see :func:`~sa2_monai.inference.runtimes.onnx_graph.traced`.
        example: images on the GPU.
        precisions: that layers may calculate in.
    """
    import torch_tensorrt  # type: ignore[import-not-found]

    return torch_tensorrt.dynamo.compile(program, inputs=[example], enabled_precisions=precisions)


RUNTIME = Runtime(("torch_tensorrt",), check, build)
