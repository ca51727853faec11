# SPDX-License-Identifier: Apache-2.0
"""The runtimes by name."""

from __future__ import annotations

from sa2_monai.inference.runtimes import inductor, onnxruntime, openvino, tensorrt
from sa2_monai.inference.runtimes.contract import Runtime, need_packages

__all__ = ["EAGER", "RUNTIMES", "check_runtime"]

#: The reference: the network is called as it is, and nothing is prepared.
EAGER = "eager"
_OTHERS = {
    "compile": inductor.RUNTIME,
    "openvino": openvino.RUNTIME,
    "onnxruntime": onnxruntime.RUNTIME,
    "tensorrt": tensorrt.RUNTIME,
}
#: What the switch ``runtime`` may say.
RUNTIMES: dict[str, Runtime | None] = {EAGER: None, **_OTHERS}
_EXTRAS = {"onnxruntime": "onnx"}


def check_runtime(name: str, dropout_samples: int = 0) -> None:
    """Check what can be known before there is a network.

    Args:
        name: of the runtime.
        dropout_samples: number of thinned networks of a prediction.

    Raises:
        ValueError: an unknown name, or thinned networks, each of which would have to be prepared by itself.
        ImportError: a package is missing; the message names the extra.
    """
    if name not in RUNTIMES:
        raise ValueError(f"runtime must be one of {', '.join(RUNTIMES)}, got {name!r}.")
    runtime = RUNTIMES[name]
    if runtime is None:
        return
    if dropout_samples:
        raise ValueError(f"dropout_samples is {dropout_samples}, which only runtime eager has, and runtime is {name}.")
    need_packages(f"runtime {name}", runtime.packages, _EXTRAS.get(name, name))
