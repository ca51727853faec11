# SPDX-License-Identifier: Apache-2.0
"""Published SvANet checkpoints: names, and what the tensors tell. Every tensor of them is used.

For checkpoints of github.com/anthonyweidai/SvANet (2024 to 2026) with a ResNet of bottlenecks, feature guide version 2,
and the options of its published command.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

__all__ = ["EVIDENCE", "describe", "describe_published", "is_dead", "ours_to_published", "published_to_ours"]

_DEPTHS = (3, 8, 36, 3)  # of the deepest encoder, ResNet-152; the shallower ones have the first of its blocks
_FORMER_BLOCKS = 2


def _unit(theirs: str, ours: str) -> dict[str, str]:
    return {f"{theirs}.Conv": f"{ours}.conv", f"{theirs}.Bn": f"{ours}.norm"}


def _former(theirs: str, ours: str) -> dict[str, str]:
    table = {
        **_unit(f"{theirs}.LocalRep.0", f"{ours}.local"),
        f"{theirs}.LocalRep.2.Conv": f"{ours}.reduce",
        **_unit(f"{theirs}.ConvProj", f"{ours}.project"),
    }
    for i in range(_FORMER_BLOCKS):
        theirs_i, ours_i = f"{theirs}.GlobalRep.{i}", f"{ours}.blocks.{i}"
        table |= {
            f"{theirs_i}.PreNormAttn.0": f"{ours_i}.attention.qkv.norm",
            f"{theirs_i}.PreNormAttn.1.qkv_proj.Conv": f"{ours_i}.attention.qkv.conv",
            f"{theirs_i}.PreNormAttn.1.out_proj.Conv": f"{ours_i}.attention.project",
            f"{theirs_i}.PreNormFfn.0": f"{ours_i}.expand.norm",
            f"{theirs_i}.PreNormFfn.1.Conv": f"{ours_i}.expand.conv",
            f"{theirs_i}.PreNormFfn.3.Conv": f"{ours_i}.reduce",
        }
    table[f"{theirs}.GlobalRep.{_FORMER_BLOCKS}"] = f"{ours}.norm"  # behind the last block
    return table


def _encoder() -> dict[str, str]:
    table = {"Encoder.Conv1.Conv": "encoder.conv1", "Encoder.Conv1.Bn": "encoder.bn1"}
    for layer, depth in enumerate(_DEPTHS, start=1):
        for j in range(depth):
            # index 0 of the published first layer is the pooling
            theirs = f"Encoder.Layer{layer}.{'1.' if layer == 1 else ''}{j}"
            ours = f"encoder.layer{layer}.{j}"
            for i in (1, 2, 3):
                table[f"{theirs}.Conv{i}.Conv"] = f"{ours}.conv{i}"
                table[f"{theirs}.Conv{i}.Bn"] = f"{ours}.bn{i}"
        for part, ours_part in (("Conv", "0"), ("Bn", "1")):
            theirs = f"Encoder.Layer{layer}.{'1.' if layer == 1 else ''}0.Downsample.{part}"
            table[theirs] = f"encoder.layer{layer}.0.downsample.{ours_part}"
    return table


def _modules() -> dict[str, str]:
    """Published module -> ours."""
    table = _encoder()
    for s in range(1, 5):
        theirs, ours = f"SegHead.ConvB{s}", f"branches.{s - 1}"
        for index, part in (("0", "expand"), ("1", "conv"), ("3", "project")):
            table |= _unit(f"{theirs}.Bottleneck.{index}", f"{ours}.0.{part}")
        table[f"{theirs}.Bottleneck.2.SELayer.0.Conv"] = f"{ours}.0.gate.reduce"
        table[f"{theirs}.Bottleneck.2.SELayer.1.Conv"] = f"{ours}.0.gate.expand"
        table |= _former(f"{theirs}.ViTLayer", f"{ours}.1")
    paths = [(s, t) for s in range(1, 4) for t in range(s + 1, 5)]
    for k, (s, t) in enumerate(paths):
        theirs, ours = f"SegHead.Convr{s}{t}", f"guidance.paths.{k}"
        for i in range(1, t - s + 1):
            for j in (0, 1):
                table |= _unit(f"{theirs}.Conv{i}.Conv.{j}", f"{ours}.steps.{i - 1}.{j}")
        for i in range(1, t - s + 2):
            table[f"{theirs}.Squeeze{i}.Conv"] = f"{ours}.attention.squeezes.{i - 1}"
    for i in range(1, 5):
        ours = f"decoder.{i - 1}"
        for j in (0, 1, 2):
            table |= _unit(f"SegHead.LinkHead.UpLink{i}.TPConv.{j}", f"{ours}.up.{j}")
        for j in (0, 1):
            table |= _unit(f"SegHead.LinkHead.CatLinkConv{i}.Conv.{j}", f"{ours}.join.{j}")
        table |= _former(f"SegHead.LinkHead.ViTLayer{i}", f"{ours}.former")
    aspp = "SegHead.Aspp.aspp_layer"
    table |= _unit(f"{aspp}.Convs.0", "aspp.point")
    for i in range(1, 4):
        table |= _unit(f"{aspp}.Convs.{i}", f"aspp.dilated.{i - 1}")
    table |= _unit(f"{aspp}.Convs.4.AsppPool.conv_1x1", "aspp.pool")
    table |= _unit(f"{aspp}.Project", "aspp.project")
    table["SegHead.Classifier.Classifier.Conv"] = "head"
    return table


_MODULES = _modules()
_PUBLISHED = {ours: theirs for theirs, ours in _MODULES.items()}

EVIDENCE = {
    "in_channels": ("encoder.conv1.weight", 1, "input channels"),
    "out_channels": ("head.weight", 0, "output channels"),
    "base_channels": ("encoder.conv1.weight", 0, "output channels"),
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
    """Whether the published tensor has no effect on any output: none has."""
    return False


def describe(state_dict: Mapping[str, torch.Tensor]) -> dict[str, int]:
    """Constructor arguments that the tensors of a state dict of ours tell; empty when it is not of SvANet."""
    known = [name for name in state_dict if name.rpartition(".")[0] in _PUBLISHED]
    return _describe(state_dict, "encoder.conv1.weight", "head.weight") if 2 * len(known) > len(state_dict) else {}


def describe_published(state_dict: Mapping[str, torch.Tensor]) -> dict[str, int]:
    """Constructor arguments that the tensors of a published state dict tell; empty when it is not of SvANet."""
    known = [name for name in state_dict if published_to_ours(name)]
    if 2 * len(known) <= len(state_dict):
        return {}
    return _describe(state_dict, "Encoder.Conv1.Conv.weight", "SegHead.Classifier.Classifier.Conv.weight")


def _describe(state_dict: Mapping[str, torch.Tensor], stem: str, head: str) -> dict[str, int]:
    """Read what can be read: with a tensor missing, the others still say which network it is."""
    found = {}
    if stem in state_dict and state_dict[stem].ndim == 4:
        found["base_channels"], found["in_channels"] = state_dict[stem].shape[:2]
    if head in state_dict and state_dict[head].ndim == 4:
        found["out_channels"] = state_dict[head].shape[0]
    return {key: found[key] for key in EVIDENCE if key in found}
