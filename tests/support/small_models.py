# SPDX-License-Identifier: Apache-2.0
"""Narrow networks of the bundles, with weights in which both classes have a say, for tests of what is around them.

Why: packaging, exporting, serving and predicting are the same for a network of some thousand weights; one that found no
object anywhere would prove nothing, so the bias of the last layer is moved.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from sa2_monai.bundle.exporting import torchscript
from sa2_monai.networks import create_network
from sa2_monai.weights import save_weights
from tests.support.plain import PLAIN

GLANDS: dict[str, Any] = {
    "network": "sa2net",
    "in_channels": 3,
    "out_channels": 1,
    "base_channels": 4,
    "class_names": ["background", "gland"],
    "kind": "images",
    "channel_order": "RGB",
    "intensity": "range",
    "view": "whole",
    "roi_size": [32, 32],
}
HEART: dict[str, Any] = {
    "network": "hsaunet",
    "in_channels": 1,
    "out_channels": 4,
    "embed_dims": [16, 32, 64],
    "channel_heads": 2,
    "window_size": 2,
    "class_names": ["background", "right ventricle", "myocardium", "left ventricle"],
    "kind": "volumes",
    "slice_axis": "acquisition",
    "intensity": "percentiles",
    "normalize": [0.5, 0.5],
    "view": "whole",
    "roi_size": [32, 32],
    "resize": "spline",
}
_SHAPE = ("in_channels", "out_channels", "base_channels", "embed_dims", "channel_heads", "window_size")


def save_model(path: Path, info: dict[str, Any], **extra: Any) -> Path:
    """Write untrained weights with their sidecar; the logits are moved so that every class is found somewhere."""
    torch.manual_seed(0)
    network = create_network(info["network"], **{key: info[key] for key in _SHAPE if key in info}).eval()
    balance(network, info["in_channels"], info["roi_size"])
    save_weights(network.state_dict(), path, {**info, "epoch": 3, **extra})
    return path


def balance(network: torch.nn.Module, in_channels: int, size: Sequence[int]) -> None:
    """Move the bias of the last layer, so that every class is found somewhere in a smooth image."""
    coarse = torch.rand(1, in_channels, 8, 8, generator=torch.Generator().manual_seed(1))
    image = torch.nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1)
    with torch.no_grad():
        logits = network(image)
        for bias in (
            p for name, p in network.named_parameters() if name.endswith("bias") and len(p) == logits.shape[1]
        ):
            bias += 1
            if torch.allclose(network(image), logits + 1, atol=1e-3):  # the last layer
                bias -= 1 + (logits.median() if len(bias) == 1 else logits.mean(dim=(0, 2, 3)))
                break
            bias -= 1


def script_in_process(patch: pytest.MonkeyPatch) -> None:
    """Let packaging write TorchScript in this process: not the same bytes each time, but in a tenth of the time."""

    if PLAIN:
        return

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        torchscript.main(command[-1])
        return subprocess.CompletedProcess(command, 0, "", "")

    patch.setattr("sa2_monai.bundle.exporting.torchscript.subprocess.run", run)
