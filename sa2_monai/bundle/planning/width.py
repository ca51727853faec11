# SPDX-License-Identifier: Apache-2.0
"""Width of the network: the published one on a GPU, a narrow one on a CPU."""

from __future__ import annotations

from typing import Any

from sa2_monai.bundle.planning.draft import Draft
from sa2_monai.bundle.planning.plan import Choice

__all__ = ["NARROW", "width"]

#: What makes a network narrow enough for minutes on a CPU.
NARROW: dict[str, dict[str, Any]] = {
    "sa2net": {"base_channels": 16},
    "daeformer": {"embed_dims": [32, 64, 128], "channel_heads": 4},
    "hsaunet": {"embed_dims": [32, 64, 128], "channel_heads": 4, "window_size": 4},
    "msa2net": {"stem_channels": [16, 16], "encoder_channels": [32, 64, 128, 256], "encoder_depths": [1, 1, 2, 1]},
    "svanet": {"encoder": "resnet14", "base_channels": 8},
    # as much work as SA2-Net's: 2 to 3 GMAC for 224 x 224
    "unet": {"base_channels": 32},
    "segresnet": {"base_channels": 16},
    "dynunet": {"base_channels": 16},
}


def width(draft: Draft, switch: str) -> Choice:
    """Value of one of the switches of :data:`NARROW`.

    Args:
        draft: the plan so far.
        switch: its name.
    """
    if draft.network.host is not None and NARROW[draft.name][switch] == draft.base[switch]:
        return Choice(draft.base[switch], "the usual one, light enough for every machine")
    if draft.on_cpu:
        return Choice(NARROW[draft.name][switch], f"narrow: no GPU, and {draft.minutes_text}")
    return Choice(draft.base[switch], f"published; {draft.fingerprint.machine.name}")
