# SPDX-License-Identifier: Apache-2.0
"""Loading weights into a network, or one clear reason why not."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sa2_monai.io.digest import sha256_of
from sa2_monai.io.paths import existing_path
from sa2_monai.weights.compare import check_info, check_state_dict, check_variant
from sa2_monai.weights.read import read_safely, tensors_in
from sa2_monai.weights.save import read_info, sidecar_of
from sa2_monai.weights.state import unwrap

__all__ = ["load_weights", "read_weights"]


def load_weights(
    network: nn.Module, path: str | os.PathLike[str], expected: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Load a weight file into a network: all tensors or none.

    Args:
        network: takes the weights; may be wrapped by ``DistributedDataParallel`` or ``torch.compile``.
        path: file written by :func:`~sa2_monai.weights.save_weights`; any flat state dict with the network's names.
        expected: settings of the configuration that shall use the weights (view, roi_size, in_channels, out_channels,
            class_names, intensity, channel_order, network, base_channels, deep_level, img_size; others are ignored),
            compared with the sidecar, where both state them.

    Returns:
        The sidecar, see :func:`~sa2_monai.weights.read_info`; empty when there is none.

    Raises:
        FileNotFoundError: when there is no such file.
        OSError: when it cannot be read.
        ValueError: when the file is no checkpoint or is damaged or altered, when it is of another network or another
            number of channels, has values that are not finite, or was trained with other settings than ``expected``.
    """
    path = existing_path(path)
    state_dict, info = read_weights(path)
    check_variant(info, expected or {}, path)
    check_state_dict(network, state_dict, str(path))
    check_info(info, expected or {}, path)
    unwrap(network).load_state_dict(state_dict, strict=True)
    return info


def read_weights(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors of a weight file by name, and its sidecar, which must be that of the file; empty when there is none.

    Raises:
        FileNotFoundError: when there is no such file.
        OSError: when it cannot be read.
        ValueError: when the file is no checkpoint, is damaged or altered, or is a state for resuming.
    """
    info = _checked_info(path) if path.is_file() else {}
    content = read_safely(path)
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping) and "optimizer" in content:
        raise ValueError(
            f"{path} holds the state of an unfinished training (for resuming), not weights. Use model.pt beside it."
        )
    return tensors_in(content, path), info


def _checked_info(path: Path) -> dict[str, Any]:
    """Sidecar of the file, if the file is still the one it describes."""
    for _ in range(2):  # a training process may replace the pair between the two looks
        info = read_info(path)
        if not info or sha256_of(path) == info["sha256"]:
            return info
    raise ValueError(
        f"{path} is not the file that {sidecar_of(path).name} beside it describes (its sha256 differs): it was altered "
        "or damaged, or replaced without its sidecar. Restore the pair, or delete the sidecar to use the weights "
        "unchecked."
    )
