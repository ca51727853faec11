# SPDX-License-Identifier: Apache-2.0
"""The bfloat16 units of a processor: without them bfloat16 is emulated, and slower than float32.

What oneDNN says by itself is not enough: it also supports bfloat16 where it has to emulate it.
"""

from __future__ import annotations

from pathlib import Path

import torch

__all__ = ["LOOKED_FOR", "bf16_units"]

#: Names of the units, as Linux has them: those of x86, then those of ARM.
LOOKED_FOR = ("avx512_bf16", "amx_bf16", "bf16", "svebf16")
_CPUINFO = Path("/proc/cpuinfo")


def bf16_units() -> list[str]:
    """Units of this processor that PyTorch uses for bfloat16; none where nobody says so for certain.

    Two have to agree: the processor has them, by what PyTorch reads from it on any system or by ``/proc/cpuinfo`` of
    Linux, and the oneDNN of this PyTorch convolves in bfloat16. The PyTorch of macOS has no oneDNN.
    """
    return sorted(_of_torch() or _of_linux()) if _onednn_has_bf16() else []


def _of_torch() -> set[str]:
    capabilities = getattr(torch.cpu, "get_capabilities", None)  # not of every version
    if capabilities is not None:
        told = capabilities()
        return {name for name in LOOKED_FOR if told.get(name)}
    avx512 = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return {"avx512_bf16"} if avx512 is not None and avx512() else set()


def _of_linux() -> set[str]:
    """``flags`` of x86 and ``Features`` of ARM, of the first core."""
    try:
        with _CPUINFO.open(encoding="utf-8", errors="replace") as lines:
            found = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:  # another system
        return set()
    return set(LOOKED_FOR) & set(found.partition(":")[2].split())


def _onednn_has_bf16() -> bool:
    if not torch.backends.mkldnn.is_available():
        return False
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):  # a PyTorch that does not say it
        return False
