# SPDX-License-Identifier: Apache-2.0
"""Published DAE-Former checkpoints: names, dead tensors, and what the tensors tell.

For checkpoints of github.com/mindflow-institue/DAEFormer (later xmindflow/DAEFormer) as of commit 9460d3a.
"""

from __future__ import annotations

from sa2_monai.weights.published.dual import MIX_FFN, DualNames, shared_modules

__all__ = ["EVIDENCE", "describe", "describe_published", "is_dead"]
__all__ += ["ours_to_published", "published_to_ours"]

_DUAL = {
    # in this order: three maps of one input are one in ours
    **{f"attn.{part}": "spatial.qkv" for part in ("queries", "keys", "values")},
    "attn.reprojection": "spatial.project",
    **{f"mlp{i}.{theirs}": f"ffn{i}.{ours}" for i in (1, 2) for theirs, ours in MIX_FFN.items()},
}
_NAMES = DualNames(
    shared_modules(embed={"proj": "conv", "norm": "norm"}, dual=_DUAL),
    signature=".attn.keys.",
    our_signature=".spatial.qkv.",
    stem="stage1.embed.conv.weight",
    head="head.classify.weight",
)

_BLOCKS = (
    *(f"backbone.block{i}.{j}." for i in range(1, 4) for j in range(2)),
    *(f"decoder_{d}.layer_former_{j}." for d in (1, 0) for j in (1, 2)),
)
# The deepest decoder stage is called without a skip and then only expands.
_DEAD_MLP = {*MIX_FFN, "norm2", "norm3"}
_DEAD_FORMER = {
    *(f"norm{i}" for i in range(1, 5)),
    *(f"attn.{part}" for part in ("keys", "queries", "values", "reprojection")),
    *("channel_attn.qkv", "channel_attn.proj"),
    *(f"mlp{i}.{part}" for i in (1, 2) for part in _DEAD_MLP),
}
_DEAD_SINGLE = {f"decoder_2.layer_former_{j}.channel_attn.temperature" for j in (1, 2)}
_DEAD_FUSION = {"norm1", "attn.reprojection", "attn.norm", "norm2", *(f"mlp.{part}" for part in _DEAD_MLP)}
_DEAD_MODULES = {
    *("decoder_2.x1_linear", "decoder_2.concat_linear"),
    *(f"decoder_2.cross_attn.{part}" for part in _DEAD_FUSION),
    *(f"decoder_2.layer_former_{j}.{part}" for j in (1, 2) for part in _DEAD_FORMER),
    # Registered in every feed-forward part, called in none
    *(f"{block}mlp{i}.norm{k}" for block in _BLOCKS for i in (1, 2) for k in (2, 3)),
    *(f"decoder_{d}.cross_attn.mlp.norm{k}" for d in (1, 0) for k in (2, 3)),
}

EVIDENCE = {
    "in_channels": ("stage1.embed.conv.weight", 1, "input channels"),
    "out_channels": ("head.classify.weight", 0, "output channels"),
}
"""The tensor of ours and its axis that tell an argument of the constructor."""

published_to_ours = _NAMES.published_to_ours
ours_to_published = _NAMES.ours_to_published
describe = _NAMES.describe
describe_published = _NAMES.describe_published


def is_dead(name: str) -> bool:
    """Whether the published tensor has no effect on any output."""
    module, _, leaf = name.rpartition(".")
    return name in _DEAD_SINGLE or (module in _DEAD_MODULES and leaf in ("weight", "bias"))
