# SPDX-License-Identifier: Apache-2.0
"""Whose encoder a file of timm or torchvision is for, told by the names of its tensors."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sa2_monai.networks.catalogue import CATALOGUE

__all__ = ["encoder_owner"]


def encoder_owner(names: Iterable[object]) -> str | None:
    """Network whose encoder the tensors are for, as timm and torchvision name them.

    Args:
        names: of the tensors; a whole network of ours has them with a prefix, and is not meant.

    Returns:
        Its name in the catalogue, or ``None`` for anything else.
    """
    texts = [str(name) for name in names]
    for network in CATALOGUE.values():
        for pattern in {encoder.evidence for encoder in network.encoders}:
            # with what saves of wrapped modules put before the name
            if any(re.fullmatch(rf"(module\.|_orig_mod\.)*{pattern}", text) for text in texts):
                return network.name
    return None
