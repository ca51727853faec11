# SPDX-License-Identifier: Apache-2.0
"""Which precision is meant, and whether a device has it."""

from __future__ import annotations

import functools
import os

import torch

from sa2_monai.networks.precision.units import LOOKED_FOR, bf16_units

__all__ = ["ANYWAY", "PRECISIONS", "choose_precision"]

#: Values of the switch ``precision``.
PRECISIONS = ("fp32", "bf16", "fp16", "auto")
#: Environment variable of those who want bf16 where it is emulated, to see what another machine sees.
ANYWAY = "SA2_MONAI_EMULATE_BF16"


#: Runtimes that calculate in float32 alone, see :mod:`sa2_monai.inference.runtimes`.
_FP32_ALONE = ("onnxruntime",)


def choose_precision(wanted: str, device: torch.device | str, training: bool = False, runtime: str = "eager") -> str:
    """The precision in which a network calculates on a device.

    ``auto`` is, in inference, bf16 on GPUs and processors that have units for it, else fp32; in training fp16 with a
    gradient scaler on CUDA, else fp32. What was chosen and why is printed, once in a process.

    Args:
        wanted: one of :data:`PRECISIONS`.
        device: where the network runs.
        training: for a training; otherwise for inference and evaluation.
        runtime: what calculates the network.

    Returns:
        ``"fp32"``, ``"bf16"`` or ``"fp16"``.

    Raises:
        ValueError: another word, or a precision that the device does not have or gains nothing from; one line says
            what was looked for.
    """
    if wanted not in PRECISIONS:
        raise ValueError(f"precision is {wanted!r}, expected one of {', '.join(PRECISIONS)}.")
    where = torch.device(device)
    if wanted == "auto":
        alone = runtime in _FP32_ALONE
        found, why = ("fp32", f"all that {runtime} has") if alone else _automatic(where, training)
        _tell(f"precision: {found} (auto: {why})")
        return found
    if wanted == "fp16" and where.type == "cpu":
        raise ValueError(
            "precision is 'fp16', but the device is a CPU, which converts such numbers back and forth and is slower "
            "with them than in fp32; choose fp32 or auto."
        )
    if wanted == "bf16" and os.environ.get(ANYWAY) != "1":
        has, why = _bf16(where)
        if not has:
            raise ValueError(
                f"precision is 'bf16', but {why}: emulated it is slower than fp32. Choose fp32 or auto "
                f"({ANYWAY}=1 in the environment emulates it)."
            )
    return wanted


def _automatic(device: torch.device, training: bool) -> tuple[str, str]:
    """Precision, and the reason in words."""
    if training and device.type == "cuda":
        return "fp16", "a training on a GPU, with a gradient scaler"
    if training:
        return "fp32", f"a training on {_name(device)}"
    has, why = _bf16(device)
    return ("bf16" if has else "fp32"), why


def _bf16(device: torch.device) -> tuple[bool, str]:
    """Whether a device calculates in bfloat16 by itself, and what was found."""
    if device.type == "cpu":
        units = bf16_units()
        if units:
            return True, f"this processor has {', '.join(units)}"
        return False, f"no bfloat16 units were found in this processor (looked for {', '.join(LOOKED_FOR)})"
    if device.type == "cuda":
        major, minor = torch.cuda.get_device_capability(device)
        name = torch.cuda.get_device_name(device)
        if major >= 8 or torch.version.hip:
            return True, f"{name} has bfloat16 units"
        return False, f"{name} has no bfloat16 units (compute capability {major}.{minor}, looked for 8.0)"
    return False, f"of {_name(device)} it is not known whether it has bfloat16 units"


def _name(device: torch.device) -> str:
    return "a CPU" if device.type == "cpu" else f"the device {device}"


@functools.cache
def _tell(line: str) -> None:
    if os.environ.get("RANK", "0") == "0":  # of several processes of a training the first one speaks
        print(line, flush=True)
