# SPDX-License-Identifier: Apache-2.0
"""How a process calculates: seeds, deterministic algorithms, TF32 and cuDNN's search for the quickest algorithm."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

__all__ = ["MATMUL_PRECISIONS", "kept_numerics", "set_numerics"]

#: Of float32 on GPUs: 23 bits as on a CPU, or the 10 bits of TF32.
MATMUL_PRECISIONS = ("highest", "high")
_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
#: What cuBLAS needs to be deterministic, https://docs.nvidia.com/cuda/cublas/#results-reproducibility
_WORKSPACES = (":4096:8", ":16:8")


def set_numerics(
    seed: int | None = None,
    deterministic: bool | None = None,
    matmul_precision: str = "highest",
    cudnn_benchmark: bool = False,
) -> None:
    """Set for this process how it calculates, before a network is on its device.

    Args:
        seed: of the generators of Python, NumPy and torch, and of MONAI's transforms; ``None``: they stay as they are.
        deterministic: ``True``: the same bits from the same run, on a GPU of the same kind with the same software.
            torch, cuDNN and cuBLAS take deterministic algorithms, and torch raises an error where it has none; it is
            slower. ``False``: on a GPU, sums in another order make the last bits of every run its own; a CPU with a
            fixed number of threads gives the same bits anyhow. ``None``: as it is.
        matmul_precision: of float32 on GPUs from Ampere on, in matrix products and convolutions alike, name in
            :data:`MATMUL_PRECISIONS`. torch's own default is ``high`` for convolutions, ``highest`` for products.
        cudnn_benchmark: let cuDNN try its algorithms at the first batch of each size and keep the quickest.

    Raises:
        ValueError: for another precision; for ``deterministic`` with ``cudnn_benchmark``; for ``deterministic`` in a
            process that has used a GPU without the workspace that cuBLAS needs.
    """
    import torch
    from monai.utils import set_determinism

    if matmul_precision not in MATMUL_PRECISIONS:
        raise ValueError(f"matmul_precision is {matmul_precision!r}, expected {' or '.join(MATMUL_PRECISIONS)}.")
    if deterministic and cudnn_benchmark:
        raise ValueError(
            "deterministic and cudnn_benchmark are both true: which algorithm is the quickest differs from run to run, "
            "set one of them to false."
        )
    if deterministic:
        _prepare_cublas(torch.cuda.is_initialized())
    if seed is not None:
        set_determinism(seed)
    if deterministic is not None:
        _use_deterministic_algorithms(deterministic)
        torch.backends.cudnn.deterministic = deterministic
    torch.backends.cudnn.benchmark = cudnn_benchmark
    torch.backends.cudnn.allow_tf32 = matmul_precision == "high"
    torch.set_float32_matmul_precision(matmul_precision)


@contextlib.contextmanager
def kept_numerics() -> Iterator[None]:
    """What :func:`set_numerics` sets within it is put back, but for seeds and the variable of cuBLAS."""
    import torch

    cudnn = torch.backends.cudnn
    algorithms = torch.are_deterministic_algorithms_enabled()
    only_warns = torch.is_deterministic_algorithms_warn_only_enabled()
    flags = cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32
    precision = torch.get_float32_matmul_precision()
    try:
        yield
    finally:
        _use_deterministic_algorithms(algorithms, only_warns)
        cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32 = flags
        torch.set_float32_matmul_precision(precision)


def _use_deterministic_algorithms(wanted: bool, only_warns: bool = False) -> None:
    import torch

    now = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    if now != (wanted, only_warns):  # saying what is so already imports torch's compiler, a second of processor time
        torch.use_deterministic_algorithms(wanted, warn_only=only_warns)


def _prepare_cublas(started: bool) -> None:
    """Set its variable, which is read once, when the first product is calculated."""
    found = os.environ.get(_WORKSPACE)
    if found in _WORKSPACES:
        return
    if found is not None or started:
        raise ValueError(
            f"deterministic needs the variable {_WORKSPACE} of cuBLAS at {_WORKSPACES[0]} when a GPU is first used, "
            f"{f'but it is {found!r}' if found is not None else 'and this process has used one without it'}: start "
            f"with 'export {_WORKSPACE}={_WORKSPACES[0]}'."
        )
    os.environ[_WORKSPACE] = _WORKSPACES[0]
