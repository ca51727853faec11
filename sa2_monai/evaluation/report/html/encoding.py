# SPDX-License-Identifier: Apache-2.0
"""Images as data addresses, which a page holds in itself."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

__all__ = ["layer_address", "photo_address"]


def photo_address(pixels: np.ndarray, quality: int = 85) -> str:
    """An image, uint8 ``(H, W, 3)``, as JPEG."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format="JPEG", quality=quality, optimize=True)
    return _address("jpeg", stream)


def layer_address(pixels: np.ndarray) -> str:
    """A layer, uint8 ``(H, W, 4)``, as PNG without any loss; with up to 256 colours it has a table of these."""
    stream = io.BytesIO()
    colours, index = np.unique(np.ascontiguousarray(pixels).view(np.uint32), return_inverse=True)
    if len(colours) <= 256:
        table = colours.view(np.uint8).reshape(-1, 4)
        image = Image.fromarray(index.reshape(pixels.shape[:2]).astype(np.uint8), mode="P")
        image.putpalette(table[:, :3].tobytes())
        image.save(stream, format="PNG", transparency=table[:, 3].tobytes())
    else:
        Image.fromarray(pixels).save(stream, format="PNG")
    return _address("png", stream)


def _address(kind: str, stream: io.BytesIO) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"
