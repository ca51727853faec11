# SPDX-License-Identifier: Apache-2.0
"""Entries of a dictionary that the caller may give and need not."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

from monai.transforms import Transform

__all__ = ["DefaultItemsd"]


class DefaultItemsd(Transform):
    """Add entries that the dictionary lacks or that are ``None`` in it; others stay as they are.

    The bundles tell MONAI Label with it in which format a label map goes back (its writer reads ``result_extension``;
    without one it takes that of the image, and JPEG changes the class numbers) unless the viewer asked for another. The
    server's own way, ``displayable_configs``, parses the whole configuration anew for every image, which its scoring
    does in several threads at once: these then miss each other's entries.

    Args:
        items: entries by key.

    Example::

        DefaultItemsd({"result_extension": ".png"})
    """

    def __init__(self, items: Mapping[Hashable, Any]) -> None:
        self.items = dict(items)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Return the dictionary with the entries that were missing."""
        d = dict(data)
        for key, value in self.items.items():
            if d.get(key) is None:
                d[key] = value
        return d
