# SPDX-License-Identifier: Apache-2.0
"""Published HSA-UNet checkpoints: names, dead tensors, and what the tensors tell.

For checkpoints of github.com/WallaceCheny/HSA-Unet as of commit a2b962e, and for those of before October 2024, which
lack the direction prior that was added and never used.
"""

from __future__ import annotations

from sa2_monai.weights.published.dual import MIX_FFN, DualNames, shared_modules

__all__ = ["EVIDENCE", "MISTAKEN_FOR", "describe", "describe_published", "is_dead"]
__all__ += ["ours_to_published", "published_to_ours"]

_ATTENTION = {
    "sr": "reduce",
    "norm": "reduce_norm",
    "q1": "global_query",
    "kv1": "global_key_value",
    # in this order: two maps of one input are one in ours
    "q2": "local_qkv",
    "kv2": "local_qkv",
    "lepe_linear": "position",
    "lepe_conv": "position_conv",
    "proj": "project",
}
_DUAL = {f"hybrid_scaled_attention.{theirs}": f"spatial.{ours}" for theirs, ours in _ATTENTION.items()}
_DUAL |= {
    f"mlp{i}.{theirs}": f"ffn{i}.{ours}" for i in (1, 2) for theirs, ours in (("fc1", "expand"), ("fc2", "reduce"))
}
_EMBED = {
    **{f"proj1.{part}": part for part in ("conv1", "norm1", "conv2", "norm2")},
    **{"proj2.conv1": "conv3", "proj2.norm1": "norm3", "proj2.conv2": "conv4"},
}
_NAMES = DualNames(
    shared_modules(embed=_EMBED, dual=_DUAL),
    signature=".hybrid_scaled_attention.",
    our_signature=".spatial.local_qkv.",
    stem="stage1.embed.conv1.weight",
    head="head.classify.weight",
)

# The deepest decoder stage is called without a skip and then only expands.
_DEAD_MODULES = {
    *("decoder_2.x1_linear", "decoder_2.concat_linear"),
    *(f"decoder_2.cross_attn.{part}" for part in ("norm1", "attn.reprojection", "attn.norm", "norm2")),
    *(f"decoder_2.cross_attn.mlp.{part}" for part in (*MIX_FFN, "norm2", "norm3")),
    *(
        f"decoder_2.layer_former_{j}.{part}"
        for j in (1, 2)
        for part in (*_DUAL, "norm1", "norm2", "norm3", "norm4", "channel_attn.qkv", "channel_attn.proj")
    ),
    # Registered in the feed-forward part of each fusion, never called
    *(f"decoder_{d}.cross_attn.mlp.norm{k}" for d in (1, 0) for k in (2, 3)),
}
_DEAD_SINGLE = {
    *(f"decoder_2.layer_former_{j}.channel_attn.temperature" for j in (1, 2)),
    # The direction prior, whose call is commented out
    *(f"backbone.{part}.0.{leaf}" for part in ("channel_mapping", "direc_reencode") for leaf in ("weight", "bias")),
    *(f"backbone.channel_mapping.1.{leaf}" for leaf in ("weight", "bias", "running_mean", "running_var")),
    "backbone.channel_mapping.1.num_batches_tracked",
}

EVIDENCE = {
    "in_channels": ("stage1.embed.conv1.weight", 1, "input channels"),
    "out_channels": ("head.classify.weight", 0, "output channels"),
}
"""The tensor of ours and its axis that tell an argument of the constructor."""

MISTAKEN_FOR = {"daeformer": " The link of HSA-UNet's authors is known to lead to the file of DAE-Former."}
"""Networks whose files people hold for files of this one, with what to say then."""

published_to_ours = _NAMES.published_to_ours
ours_to_published = _NAMES.ours_to_published
describe = _NAMES.describe
describe_published = _NAMES.describe_published


def is_dead(name: str) -> bool:
    """Whether the published tensor has no effect on any output."""
    module, _, leaf = name.rpartition(".")
    return name in _DEAD_SINGLE or (module in _DEAD_MODULES and leaf in ("weight", "bias"))
