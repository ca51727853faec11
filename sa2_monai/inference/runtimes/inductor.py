# SPDX-License-Identifier: Apache-2.0
"""torch.compile with frozen weights: constants are folded into the code, and reordered for the processor."""

from __future__ import annotations

import os
import shutil
import sys

import torch

from sa2_monai.inference.runtimes.artefacts import runtimes_cache
from sa2_monai.inference.runtimes.contract import Built, Job, Runtime, RuntimeRefusedError

__all__ = ["RUNTIME"]

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def check(device: torch.device, precision: str) -> None:
    """See :class:`~sa2_monai.inference.runtimes.contract.Runtime`."""
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    if device.type == "cpu" and shutil.which(compiler) is None:
        raise RuntimeRefusedError(
            f"runtime compile needs a C++ compiler on CPUs, and there is no {compiler}: install g++, or name another "
            "one in the environment variable CXX."
        )


def build(job: Job) -> Built:
    """See :class:`~sa2_monai.inference.runtimes.contract.Runtime`."""
    import torch._inductor.config as inductor

    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(runtimes_cache() / "inductor"))
    kind, dtype, network = job.example.device.type, _DTYPES.get(job.precision), job.network

    def forward(images: torch.Tensor) -> torch.Tensor:
        with torch.autocast(kind, dtype=dtype or torch.bfloat16, enabled=dtype is not None):
            logits: torch.Tensor = network(images)
        return logits.float()

    # Eight compilations of one piece of code are PyTorch's limit, and an ensemble may have more networks.
    forward.__code__ = forward.__code__.replace()
    function = torch.compile(forward, dynamic=False, fullgraph=True)

    def run(images: torch.Tensor) -> torch.Tensor:
        with inductor.patch(freezing=True):
            return function(images)

    run(job.example)  # compiles
    return Built(run)


RUNTIME = Runtime((), check, build)
