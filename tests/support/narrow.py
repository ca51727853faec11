# SPDX-License-Identifier: Apache-2.0
"""Switches with which each network is as narrow as it can be: its structure without its size."""

from __future__ import annotations

from typing import Any

WIDTH: dict[str, dict[str, Any]] = {
    "sa2net": {"base_channels": 4},
    "daeformer": {"embed_dims": [8, 16, 32], "channel_heads": 2},
    "hsaunet": {"embed_dims": [16, 32, 64], "channel_heads": 2, "window_size": 2},
    "msa2net": {
        "stem_channels": [8, 8],
        "encoder_channels": [32, 64, 128, 256],
        "encoder_depths": [1, 1, 1, 1],
        "channel_attention_heads": 2,
    },
    "svanet": {"base_channels": 4, "encoder": "resnet14"},
}
