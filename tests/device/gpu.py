# SPDX-License-Identifier: Apache-2.0
"""Tests marked ``gpu``: single precision is single precision there, and networks say something that can be compared.

Why: on Ampere and later GPUs cuDNN multiplies with the 10 bits of TF32 unless it is told not to, a thousand times as
coarse as float32; and logits of an untrained network are so nearly constant that any two of them agree.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import torch

__all__ = ["enliven", "error_of_spread"]


@pytest.fixture(autouse=True)
def _no_tf32(request: pytest.FixtureRequest) -> Iterator[None]:
    """Without TF32, where a test is marked ``gpu``."""
    if request.node.get_closest_marker("gpu") is None:
        yield
        return
    import torch

    backends = torch.backends
    before = backends.cudnn.allow_tf32, backends.cuda.matmul.allow_tf32
    backends.cudnn.allow_tf32 = backends.cuda.matmul.allow_tf32 = False
    yield
    backends.cudnn.allow_tf32, backends.cuda.matmul.allow_tf32 = before


def enliven(network: torch.nn.Module) -> torch.nn.Module:
    """Weights, scales, shifts and statistics with which no branch of a network is nearly switched off.

    Args:
        network: changed in place.
    """
    import torch

    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim == 1 and "bias" in name:
                parameter.uniform_(-0.2, 0.2, generator=generator)
            elif parameter.ndim == 1:  # the scale of a normalisation or of a residual branch
                parameter.uniform_(0.5, 1.5, generator=generator)
            else:  # each layer keeps the spread of what it is given (LeCun et al., 1998)
                parameter.normal_(0, parameter[0].numel() ** -0.5, generator=generator)
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.uniform_(-0.1, 0.1, generator=generator)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5, generator=generator)
    return network


def error_of_spread(found: torch.Tensor, expected: torch.Tensor) -> float:
    """Root of the mean square of the difference, in units of the deviation of what is expected.

    Args:
        found: logits.
        expected: logits of the same shape; their device is that of the calculation.

    Returns:
        Infinity where a value is not finite.
    """
    difference = found.to(expected) - expected
    return (difference.square().mean().sqrt() / expected.std()).nan_to_num(float("inf")).item()
