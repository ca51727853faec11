# SPDX-License-Identifier: Apache-2.0
"""Published 2D segmentation networks as MONAI bundles: exact, fast, deployable, honestly evaluated.

Importing this package imports nothing heavy; ``sa2_monai.networks`` and the other rooms, and :func:`load_bundle`,
import torch and MONAI when they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sa2_monai.version import __version__

if TYPE_CHECKING:
    from sa2_monai.bundle.loaded import load_bundle

__all__ = ["__version__", "load_bundle"]


def __getattr__(name: str) -> Any:
    if name == "load_bundle":
        from sa2_monai.bundle.loaded import load_bundle

        return load_bundle
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
