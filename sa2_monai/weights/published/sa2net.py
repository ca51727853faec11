# SPDX-License-Identifier: Apache-2.0
"""Published SA2-Net checkpoints: names, dead tensors, and what the tensors tell.

For checkpoints of github.com/mustansarfiaz/SA2-Net as of December 2023.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

__all__ = ["EVIDENCE", "describe", "describe_published", "is_dead", "ours_to_published", "published_to_ours"]


def _modules() -> dict[str, str]:
    """Published module -> ours."""
    table = {"inc.conv": "stage1.conv", "inc.norm": "stage1.norm"}
    for k in range(1, 5):
        for i in range(2):
            for part in ("conv", "norm"):
                table[f"down{k}.nConvs.{i}.{part}"] = f"stage{k + 1}.{i}.{part}"
                table[f"up{k}.nConvs.{i}.{part}"] = f"up{k}.convs.{i}.{part}"
        for theirs, ours in {
            "project_in": "project_in",
            "dwconv3x3": "depthwise3",
            "dwconv5x5": "depthwise5",
            "project_out": "project_out",
        }.items():
            table[f"bottleneck.gcn{k}.{theirs}"] = f"attention.local.{k - 1}.{ours}"
        for theirs, ours in {"norm": "norm", "pos": "position", "fc1": "expand", "fc2": "reduce"}.items():
            table[f"bottleneck.mlp{k}.{theirs}"] = f"attention.mlp.{k - 1}.{ours}"
        table[f"bottleneck.conv{k}"] = f"attention.project.{k - 1}"
        for theirs, ours in {
            "dwconv.0": "norm",
            "dwconv.1": "conv",
            "dwconv.3": "depthwise",
            "conv.0": "skip",
            "psi.0": "gate",
            "psi.1": "gate_norm",
            "proj": "project",
        }.items():
            table[f"up{k}.AG.{theirs}"] = f"up{k}.{ours}"
        table[f"side_conv{k + 1}"] = f"side{k + 1}"
        # published numbering runs against the decoder's: outc4 is the head of the final map
        table[f"outc{5 - k}"] = f"head{k}"
    table |= {
        "bottleneck.bn": "attention.fusion_norm",
        "bottleneck.conv": "attention.fusion",  # without a digit: not one of the four output convolutions
        "bottleneck.qconv": "attention.query",
    }
    return table


_MODULES = _modules()
_PUBLISHED = {ours: theirs for theirs, ours in _MODULES.items()}

# Calculated by nothing: image-pyramid fusion and second gate (calls removed before release), unused convolutions.
_DEAD_MODULES = {
    *(f"Multi_scale_Fuse{k}.{part}" for k in range(1, 4) for part in ("conv1", "conv2", "conv3")),
    *(f"Multi_scale_Fuse{k}.{part}" for k in range(1, 4) for part in ("layernorm", "layernorm2")),
    *(f"up{k}.AG.weight.{i}" for k in range(1, 5) for i in (0, 2)),
    *(f"bottleneck.gcn{k}.dwconv{size}_1" for k in range(1, 5) for size in ("3x3", "5x5")),
}

EVIDENCE = {
    "in_channels": ("stage1.conv.weight", 1, "input channels"),
    "out_channels": ("head1.weight", 0, "output channels"),
    "base_channels": ("stage1.conv.weight", 0, "output channels"),
}
"""The tensor of ours and its axis that tell an argument of the constructor."""


def published_to_ours(name: str) -> str | None:
    """Our name of a published tensor; ``None`` when the network has no such module."""
    module, _, leaf = name.rpartition(".")
    return f"{_MODULES[module]}.{leaf}" if module in _MODULES else None


def ours_to_published(name: str) -> str:
    """Published name of a tensor of ours."""
    module, _, leaf = name.rpartition(".")
    return f"{_PUBLISHED[module]}.{leaf}"


def is_dead(name: str) -> bool:
    """Whether the published tensor has no effect on any output."""
    module, _, leaf = name.rpartition(".")
    return module in _DEAD_MODULES and leaf in ("weight", "bias")


def describe(state_dict: Mapping[str, torch.Tensor]) -> dict[str, int]:
    """Constructor arguments that the tensors of a state dict of ours tell; empty when it is not of SA2-Net."""
    known = [name for name in state_dict if name.rpartition(".")[0] in _PUBLISHED]
    heads = [f"head{k}.weight" for k in range(1, 5)]
    return _describe(state_dict, "stage1.conv.weight", heads) if 2 * len(known) > len(state_dict) else {}


def describe_published(state_dict: Mapping[str, torch.Tensor]) -> dict[str, int]:
    """Constructor arguments that the tensors of a published state dict tell; empty when it is not of SA2-Net."""
    known = [name for name in state_dict if published_to_ours(name) or is_dead(name)]
    heads = [f"outc{k}.weight" for k in range(4, 0, -1)]
    return _describe(state_dict, "inc.conv.weight", heads) if 2 * len(known) > len(state_dict) else {}


def _describe(state_dict: Mapping[str, torch.Tensor], stem: str, heads: list[str]) -> dict[str, int]:
    """Read what can be read: with a tensor missing, the others still say which network it is."""
    found = {}
    if stem in state_dict and state_dict[stem].ndim == 4:
        found["base_channels"], found["in_channels"] = state_dict[stem].shape[:2]
    for head in heads:
        if head in state_dict and state_dict[head].ndim == 4:
            found["out_channels"] = state_dict[head].shape[0]
            break
    return {key: found[key] for key in EVIDENCE if key in found}
