# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime on CPUs."""

from __future__ import annotations

import torch

from sa2_monai.inference.runtimes.contract import Built, Job, Run, Runtime, RuntimeRefusedError, only_on_cpu
from sa2_monai.inference.runtimes.onnx_graph import INPUT, PACKAGES, cached_graph

__all__ = ["RUNTIME", "session_of"]


def check(device: torch.device, precision: str) -> None:
    """See :class:`~sa2_monai.inference.runtimes.contract.Runtime`."""
    only_on_cpu("onnxruntime", device)
    if precision not in ("fp32", "auto"):
        raise RuntimeRefusedError(
            f"runtime onnxruntime calculates in fp32 on CPUs, and precision is {precision}: use --precision fp32, or "
            "the runtimes openvino or compile."
        )


def build(job: Job) -> Built:
    """See :class:`~sa2_monai.inference.runtimes.contract.Runtime`."""
    graph, was_there = cached_graph(job)
    return Built(session_of(graph), was_there)


def session_of(graph: bytes | str) -> Run:
    """Load an ONNX file, for as many threads as PyTorch has.

    Args:
        graph: its content, or its path.
    """
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    # Threads that wait actively would take the processor from PyTorch, which resizes and blends between two calls.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(None, {INPUT: images.contiguous().numpy()})[0])


RUNTIME = Runtime((*PACKAGES, "onnxruntime"), check, build)
