# SPDX-License-Identifier: Apache-2.0
"""What published checkpoints of DAE-Former and HSA-UNet have in common: the U shape and the look-up of names."""

from __future__ import annotations

from collections.abc import Mapping

import torch

__all__ = ["MIX_FFN", "DualNames", "shared_modules"]

MIX_FFN = {"fc1": "expand", "dwconv.dwconv": "depthwise", "norm1": "norm", "fc2": "reduce"}
"""Published module of a feed-forward part with depthwise convolution -> ours."""


def shared_modules(embed: Mapping[str, str], dual: Mapping[str, str]) -> dict[str, str]:
    """Published module -> ours, for the whole network; both networks were published with two blocks everywhere.

    Args:
        embed: modules of a patch embedding.
        dual: modules of a dual block, but for the norms and the channel attention.
    """
    dual = {**dual, **{f"norm{i}": f"norm{i}" for i in range(1, 5)}}
    dual |= {"channel_attn": "channel", "channel_attn.qkv": "channel.qkv", "channel_attn.proj": "channel.project"}
    fusion = {"norm1": "norm1", "attn.reprojection": "project", "attn.norm": "project_norm", "norm2": "norm2"}
    fusion |= {f"mlp.{theirs}": f"ffn.{ours}" for theirs, ours in MIX_FFN.items()}
    table: dict[str, str] = {}
    for i in range(1, 4):
        table |= {f"backbone.patch_embed{i}.{theirs}": f"stage{i}.embed.{ours}" for theirs, ours in embed.items()}
        for j in range(2):
            table |= {f"backbone.block{i}.{j}.{t}": f"stage{i}.blocks.{j}.{o}" for t, o in dual.items()}
        table[f"backbone.norm{i}"] = f"stage{i}.norm"
    # The published numbering runs against the depth: decoder_2 is the deepest, and only its expansion is called.
    for theirs, ours, expand in (("decoder_1", "decoder2", "expand2"), ("decoder_0", "decoder1", "head")):
        table |= {f"{theirs}.x1_linear": f"{ours}.project", f"{theirs}.concat_linear": f"{ours}.reduce"}
        table |= {f"{theirs}.cross_attn.{t}": f"{ours}.fusion.{o}" for t, o in fusion.items()}
        for j in range(2):
            table |= {f"{theirs}.layer_former_{j + 1}.{t}": f"{ours}.blocks.{j}.{o}" for t, o in dual.items()}
        table |= {f"{theirs}.layer_up.{part}": f"{expand}.{part}" for part in ("expand", "norm")}
    table |= {f"decoder_2.layer_up.{part}": f"expand3.{part}" for part in ("expand", "norm")}
    table["decoder_0.last_layer"] = "head.classify"
    return table


class DualNames:
    """Names and evidence of one of the two networks.

    Args:
        modules: published module -> ours; several published modules of one of ours are its parts, in their order.
        signature: part of a published name that only this network has.
        our_signature: the same for our names.
        stem: our first convolution.
        head: our classifier.
    """

    def __init__(self, modules: Mapping[str, str], signature: str, our_signature: str, stem: str, head: str) -> None:
        self.modules = dict(modules)
        self.signature, self.our_signature = signature, our_signature
        self.stem, self.head = stem, head
        self.published: dict[str, list[str]] = {}
        for theirs, ours in modules.items():
            self.published.setdefault(ours, []).append(theirs)

    def published_to_ours(self, name: str) -> str | None:
        """Our name of a published tensor; ``None`` when the network has no such module."""
        module, _, leaf = name.rpartition(".")
        return f"{self.modules[module]}.{leaf}" if module in self.modules else None

    def ours_to_published(self, name: str) -> list[str]:
        """Published names of a tensor of ours: one, or its parts along the first axis in order."""
        module, _, leaf = name.rpartition(".")
        return [f"{theirs}.{leaf}" for theirs in self.published[module]]

    def describe(self, state_dict: Mapping[str, torch.Tensor]) -> dict[str, int]:
        """Constructor arguments that the tensors of a state dict of ours tell; empty when it is not of the network."""
        known = [name for name in state_dict if name.rpartition(".")[0] in self.published]
        if 2 * len(known) <= len(state_dict) or not any(self.our_signature in name for name in known):
            return {}
        return self._describe(state_dict, self.stem, self.head)

    def describe_published(self, state_dict: Mapping[str, torch.Tensor]) -> dict[str, int]:
        """Constructor arguments that published tensors tell; empty when they are not of the network."""
        known = [name for name in state_dict if self.published_to_ours(name)]
        # A third of a published file is dead.
        if 2 * len(known) <= len(state_dict) or not any(self.signature in name for name in known):
            return {}
        stem, head = (self.ours_to_published(name)[0] for name in (self.stem, self.head))
        return self._describe(state_dict, stem, head)

    @staticmethod
    def _describe(state_dict: Mapping[str, torch.Tensor], stem: str, head: str) -> dict[str, int]:
        """Read what can be read; a file without either tensor is still of the network: the published channels."""
        found = {}
        if stem in state_dict and state_dict[stem].ndim == 4:
            found["in_channels"] = state_dict[stem].shape[1]
        if head in state_dict and state_dict[head].ndim in (2, 4):
            found["out_channels"] = state_dict[head].shape[0]
        return found
