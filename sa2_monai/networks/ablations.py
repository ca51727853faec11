# SPDX-License-Identifier: Apache-2.0
"""The variants of each network: what can be left out of it, so that a paper's claim can be checked on other data.

``source`` names the section of the paper, or the option of the published code, that describes the part. The papers'
own tables of ablations could not be read: a variant is what its line says, not a row of such a table.
"""

from __future__ import annotations

from sa2_monai.networks.record import Variant

__all__ = ["DAEFORMER", "HSAUNET", "MSA2NET", "SA2NET", "SVANET"]


def _table(*variants: Variant) -> dict[str, Variant]:
    return {variant.name: variant for variant in variants}


SA2NET = _table(
    Variant(
        "plain_skips",
        "no scale-aware attention: each skip is a 3x3 convolution to the decoder's width",
        "paper, section 3.2",
    ),
    Variant(
        "no_global_scale",
        "local scale attention alone: levels are not compared, no query and no gate per level",
        "paper, section 3.2, GSA",
    ),
    Variant(
        "no_local_scale",
        "global scale attention alone: levels are compared as they are, without a filter of their own",
        "paper, section 3.2, LSA",
    ),
    Variant(
        "standard_convolutions",
        "no adaptive up-attention: up-sampled and skip map are concatenated and convolved twice, as in a U-Net",
        "paper, section 3.3, AuA",
    ),
    Variant(
        "no_deep_supervision",
        "the finest of the four outputs is trained alone; the other heads are not there",
        "paper, figure of the network",
    ),
)

DAEFORMER = _table(
    Variant(
        "efficient_only",
        "blocks without channel attention and the feed-forward part behind it",
        "paper, section 2.2, transpose attention",
    ),
    Variant(
        "channel_only",
        "blocks without efficient attention over positions and the feed-forward part behind it",
        "paper, section 2.2, efficient attention",
    ),
    Variant(
        "plain_skips",
        "no cross-attention: decoder's and encoder's map are concatenated",
        "paper, section 2.3",
    ),
)

HSAUNET = _table(
    Variant(
        "hybrid_only",
        "blocks without channel attention and the feed-forward part behind it",
        "published code; DAE-Former, section 2.2",
    ),
    Variant(
        "channel_only",
        "blocks without hybrid-scale attention over positions and the feed-forward part behind it",
        "published code; SG-Former, section 3.2",
    ),
    Variant(
        "plain_skips",
        "no cross-attention: decoder's and encoder's map are concatenated",
        "published code; DAE-Former, section 2.3",
    ),
)

MSA2NET = _table(
    Variant(
        "plain_skips",
        "no spatial attention gate (MASAG): the encoder's map is added as it is, at all three levels",
        "paper, section on MASAG",
    ),
    Variant(
        "large_kernel_only",
        "large-kernel blocks at 1/16 of the size, too, where dual attention was; the gate stays",
        "paper, figure of the decoder",
    ),
    Variant(
        "efficient_only",
        "dual blocks at 1/16 of the size without channel attention and the feed-forward part behind it",
        "DAE-Former, section 2.2",
    ),
    Variant(
        "channel_only",
        "dual blocks at 1/16 of the size without efficient attention and the feed-forward part behind it",
        "DAE-Former, section 2.2",
    ),
    Variant(
        "true_layout",
        "the decoder's maps keep their places; the published code reads them scrambled",
        "published code, a defect",
    ),
)

SVANET = _table(
    Variant(
        "plain_skips",
        "the encoder's maps go to the decoder as they are: no bottleneck, no AssembleFormer there, no guidance",
        "published code, fg_bottle 0 and fg_use_guide",
    ),
    Variant(
        "no_branches",
        "no Monte Carlo bottleneck and no AssembleFormer between encoder and guidance",
        "published code, fg_bottle 0",
    ),
    Variant("no_bottleneck_gate", "bottlenecks without their Monte Carlo gate", "published code, fg_bottle_se 0"),
    Variant(
        "squeeze_excitation",
        "the bottlenecks' gates look at the whole map in training, too",
        "published code, fg_bottle_se 1",
    ),
    Variant(
        "no_guidance",
        "no cross-scale guidance, and with it no scale-variant attention; branches stay (in the published code "
        "their AssembleFormers go, too)",
        "published code, fg_use_guide",
    ),
    Variant(
        "no_scale_attention",
        "guidance without scale-variant attention: the finer map is reduced and added",
        "published code, fg_svattn 0",
    ),
    Variant(
        "source_gate",
        "guidance with a gate made of the mean of the guiding map alone",
        "published code, fg_svattn -1",
    ),
    Variant("no_branch_formers", "no AssembleFormer in the branches", "published code, fg_vit 0"),
    Variant("no_decoder_formers", "no AssembleFormer in the decoder", "published code, fg_link_vit 0"),
    Variant(
        "added_skips",
        "the decoder adds the skip map instead of concatenating and convolving both",
        "published code, fg_link 1",
    ),
    Variant("no_decoder", "no decoder: the guided maps are classified", "published code, fg_link 0"),
)
