# SPDX-License-Identifier: Apache-2.0
"""Whose encoder a file of timm or torchvision is for, told by the names of its tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["encoder_owner"]

# A tensor that only one of the encoders has, with what saves of wrapped modules put before it.
_EVIDENCE = {
    "msa2net": r"stages\.0\.blocks\.0\.attn_block\.attn\.qkv\.weight",
    "svanet": r"layer1\.0\.downsample\.0\.weight",
}


def encoder_owner(names: Iterable[object]) -> str | None:
    """Network whose encoder the tensors are for, as timm and torchvision name them.

    Args:
        names: of the tensors; a whole network of ours has them with a prefix, and is not meant.

    Returns:
        ``"msa2net"``, ``"svanet"``, or ``None`` for anything else.
    """
    texts = [str(name) for name in names]
    for owner, pattern in _EVIDENCE.items():
        if any(re.fullmatch(rf"(module\.|_orig_mod\.)*{pattern}", text) for text in texts):
            return owner
    return None
