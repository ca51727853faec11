# SPDX-License-Identifier: Apache-2.0
"""Published MSA2-Net checkpoints: names, dead tensors, and what the tensors tell.

For checkpoints of github.com/xmindflow/MSA-2Net in both readings of its file: with dual attention blocks at 1/16 of the
resolution (the paper's network) or with large-kernel blocks there (the file as Python runs it).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

__all__ = [
    "EVIDENCE",
    "dead_names",
    "describe",
    "describe_published",
    "is_dead",
    "ours_to_published",
    "published_to_ours",
]

_GATE = {
    "multi.local.dconv.0": "depthwise.conv",
    "multi.local.dconv.1": "depthwise.norm",
    "multi.local.dconv.3": "dilated.conv",
    "multi.local.dconv.4": "dilated.norm",
    "multi.local.proj.0": "local",
    "multi.local.proj.1": "local_norm",
    "multi.global_.proj.0": "pooled.conv",
    "multi.global_.proj.1": "pooled.norm",
    "multi.bn": "sum_norm",
    "selection": "select",
    "proj": "weigh.conv",
    "bn": "weigh.norm",
    "conv_block.0": "out.conv",
    "bn_2": "out.norm",
}
_DUAL = {
    **{f"norm{k}": f"norm{k}" for k in range(1, 5)},
    **{f"mlp{k}.fc1": f"ffn{k}.0.expand" for k in (1, 2)},
    **{f"mlp{k}.dwconv.dwconv": f"ffn{k}.0.depthwise" for k in (1, 2)},
    **{f"mlp{k}.fc2": f"ffn{k}.0.reduce" for k in (1, 2)},
    "attn.reprojection": "spatial.project",
    "channel_attn": "channel",  # its temperature
    "channel_attn.qkv": "channel.qkv",
    "channel_attn.proj": "channel.project",
}
_LARGE_KERNEL = {
    "norm1": "norm1",
    "attn.proj_1": "project_in",
    "attn.spatial_gating_unit.conv0": "depthwise",
    "attn.spatial_gating_unit.conv_spatial": "dilated",
    "attn.spatial_gating_unit.conv1": "mix",
    "attn.proj_2": "project_out",
    "norm2": "norm2",
    "mlp.fc1": "expand",
    "mlp.dwconv.dwconv": "mlp_depthwise",
    "mlp.fc2": "reduce",
}
_PARTS = ("queries", "keys", "values")  # attn.* of a dual block: one matrix of ours, in this order
_ENCODER = "backbone.backbone."


def _modules() -> dict[str, str]:
    """Published module of the decoder -> ours."""
    table = {f"decoder_3.layer_up.{part}": f"level3.{part}" for part in ("expand", "norm")}
    for i in range(3):
        table[f"decoder_{i}.x1_linear"] = f"level{i}.project"
        table[f"decoder_{i}.ag_attn_norm"] = f"level{i}.norm"
        for part in ("expand", "norm"):
            table[f"decoder_{i}.layer_up.{part}"] = f"level{i}.expand.{part}"
        for theirs, ours in _GATE.items():
            table[f"decoder_{i}.ag_attn.{theirs}"] = f"level{i}.gate.{ours}"
        for k in (1, 2):
            for theirs, ours in _LARGE_KERNEL.items():
                table[f"decoder_{i}.layer_lka_{k}.{theirs}"] = f"level{i}.blocks.lka{k}.{ours}"
    for k in (1, 2):
        for theirs, ours in _DUAL.items():
            table[f"decoder_2.tran_layer{k}.{theirs}"] = f"level2.blocks.dual{k}.{ours}"
    table["decoder_0.last_layer"] = "level0.expand.classify"
    return table


# Tensors whose last part of the name differs.
_TENSORS = {
    f"decoder_{i}.layer_lka_{k}.layer_scale_{j}": f"level{i}.blocks.lka{k}.scale{j}"
    for i in range(3)
    for k in (1, 2)
    for j in (1, 2)
}
# Tensor of ours -> published tensors that it joins along the first axis.
_JOINED = {
    f"level2.blocks.dual{k}.spatial.qkv.{leaf}": [f"decoder_2.tran_layer{k}.attn.{part}.{leaf}" for part in _PARTS]
    for k in (1, 2)
    for leaf in ("weight", "bias")
}
_MODULES = _modules()
_OURS_TENSORS = {ours: theirs for theirs, ours in _TENSORS.items()}
_OURS_MODULES = {ours: theirs for theirs, ours in _MODULES.items()}

# Level 3 carries all parts of level 2, of which only the expansion is calculated; grey images are repeated, not
# convolved to three channels.
_DEAD_MODULES = {
    "backbone.conv.0",
    "backbone.conv.1",
    *("decoder_3.x1_linear", "decoder_3.ag_attn_norm"),
    *(f"decoder_3.ag_attn.{part}" for part in _GATE),
}
_DEAD_BLOCKS = {
    "dual": {
        f"decoder_3.tran_layer{k}.{part}" for k in (1, 2) for part in (*_DUAL, *(f"attn.{name}" for name in _PARTS))
    },
    "lka": {
        *(f"decoder_3.layer_lka_{k}.{part}" for k in (1, 2) for part in _LARGE_KERNEL),
        *(f"decoder_2.ag_attn.{part}" for part in _GATE),  # the addition took the gate's place
    },
}
_DEAD_TENSORS = {f"decoder_3.layer_lka_{k}.layer_scale_{j}" for k in (1, 2) for j in (1, 2)}
_LEAVES = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked", "temperature")

EVIDENCE = {
    "in_channels": ("encoder.stem.conv1.weight", 1, "input channels"),
    "out_channels": ("level0.expand.classify.weight", 0, "output channels"),
}
"""The tensor of ours and its axis that tell an argument of the constructor."""


def published_to_ours(name: str) -> str | None:
    """Our name of a published tensor; ``None`` when the network has no such module."""
    if name in _TENSORS:
        return _TENSORS[name]
    for ours, parts in _JOINED.items():
        if name in parts:
            return ours
    if name.startswith(_ENCODER):
        return "encoder." + name.removeprefix(_ENCODER)
    module, _, leaf = name.rpartition(".")
    return f"{_MODULES[module]}.{leaf}" if module in _MODULES else None


def ours_to_published(name: str) -> str | list[str]:
    """Published name of a tensor of ours; several names when it joins these along the first axis."""
    if name in _JOINED:
        return _JOINED[name]
    if name in _OURS_TENSORS:
        return _OURS_TENSORS[name]
    if name.startswith("encoder."):
        return _ENCODER + name.removeprefix("encoder.")
    module, _, leaf = name.rpartition(".")
    return f"{_OURS_MODULES[module]}.{leaf}"


def is_dead(name: str, deep_level: str = "dual") -> bool:
    """Whether the published tensor has no effect on any output of that reading."""
    module, _, leaf = name.rpartition(".")
    if module in _DEAD_MODULES or module in _DEAD_BLOCKS[deep_level]:
        return leaf in _LEAVES
    return deep_level == "lka" and name in _DEAD_TENSORS


def dead_names(state_dict: Mapping[str, torch.Tensor]) -> list[str]:
    """The dead tensors of a published state dict."""
    level = _deep_level(state_dict)
    return [name for name in state_dict if is_dead(name, level)]


def describe(state_dict: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Constructor arguments that the tensors of a state dict of ours tell; empty when it is not of MSA2-Net."""
    known = [name for name in state_dict if _is_ours(name)]
    if 2 * len(known) <= len(state_dict) or not any(name.startswith("level") for name in known):
        return {}
    found: dict[str, Any] = {}
    for key, (name, axis, _) in EVIDENCE.items():
        if name in state_dict and state_dict[name].ndim > axis:
            found[key] = state_dict[name].shape[axis]
    level = "lka" if any(name.startswith("level2.blocks.lka") for name in known) else "dual"
    return {**found, "deep_level": level}


def _is_ours(name: str) -> bool:
    if name.startswith(("encoder.stem.", "encoder.stages.", "encoder.norm.")):
        return True
    return name in _JOINED or name in _OURS_TENSORS or name.rpartition(".")[0] in _OURS_MODULES


def describe_published(state_dict: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Constructor arguments that the tensors of a published state dict tell; empty when it is not of MSA2-Net."""
    level = _deep_level(state_dict)
    known = [name for name in state_dict if published_to_ours(name) or is_dead(name, level)]
    if 2 * len(known) <= len(state_dict) or not any(name.startswith("decoder_") for name in known):
        return {}
    found: dict[str, Any] = {}
    stem, head = state_dict.get(_ENCODER + "stem.conv1.weight"), state_dict.get("decoder_0.last_layer.weight")
    if stem is not None and stem.ndim == 4:
        found["in_channels"] = stem.shape[1]
    if head is not None and head.ndim == 4:
        found["out_channels"] = head.shape[0]
    return {**found, "deep_level": level}


def _deep_level(state_dict: Mapping[str, torch.Tensor]) -> str:
    """The reading: only one of them has large-kernel blocks at 1/16."""
    return "lka" if any(name.startswith("decoder_2.layer_lka_") for name in state_dict) else "dual"
