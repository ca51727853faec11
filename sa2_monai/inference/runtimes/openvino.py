# SPDX-License-Identifier: Apache-2.0
"""OpenVINO on CPUs, through the ONNX graph.

Two traps, both with DAE-Former in the bfloat16 that OpenVINO takes by itself, and both without a word:
``openvino.convert_model`` on the PyTorch module agrees on a third of the pixels, and the same network through ONNX on
half of them while OpenVINO fuses attention into pieces of code ("snippets"); without those 99 % are equal, at the same
speed. So the graph comes through ONNX, and other precisions than fp32 go without snippets.
"""

from __future__ import annotations

import threading
from typing import Any

import torch

from sa2_monai.inference.runtimes.contract import Built, Job, Run, Runtime, RuntimeRefusedError, only_on_cpu
from sa2_monai.inference.runtimes.onnx_graph import PACKAGES, cached_graph

__all__ = ["RUNTIME", "compiled"]

#: What OpenVINO calls them, and the capability that a processor must have; ``auto`` is left to it.
_HINTS = {"fp32": ("f32", "FP32"), "bf16": ("bf16", "BF16"), "fp16": ("f16", "FP16")}


def check(device: torch.device, precision: str) -> None:
    """See :class:`~sa2_monai.inference.runtimes.contract.Runtime`."""
    only_on_cpu("openvino", device)
    if precision == "auto":
        return
    import openvino

    known = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if _HINTS[precision][1] not in known:
        raise RuntimeRefusedError(
            f"runtime openvino has no {precision} on this processor (it has {', '.join(sorted(known))}): use "
            "--precision fp32 or auto."
        )


def build(job: Job) -> Built:
    """See :class:`~sa2_monai.inference.runtimes.contract.Runtime`."""
    import openvino

    graph, was_there = cached_graph(job)
    return Built(compiled(openvino.Core().read_model(graph), job.precision), was_there)


def compiled(model: Any, precision: str) -> Run:
    """Compile a model for the CPU, with as many threads as PyTorch has.

    Args:
        model: ``openvino.Model`` of one input and one output.
        precision: see :class:`~sa2_monai.inference.runtimes.contract.Job`.
    """
    import openvino

    options: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    if precision != "auto":
        options["INFERENCE_PRECISION_HINT"] = _HINTS[precision][0]
    if precision != "fp32":
        options["SNIPPETS_MODE"] = "DISABLE"
    request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()
    alone = threading.Lock()  # a request has one memory for its results

    def run(images: torch.Tensor) -> torch.Tensor:
        with alone:
            found = request.infer([images.contiguous().numpy()], share_inputs=True, share_outputs=True)
            return torch.from_numpy(found[0].copy())

    return run


RUNTIME = Runtime((*PACKAGES, "openvino"), check, build)
