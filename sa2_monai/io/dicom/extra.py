# SPDX-License-Identifier: Apache-2.0
"""The package that DICOM SEG needs."""

from __future__ import annotations

from typing import Any

__all__ = ["require_highdicom"]


def require_highdicom() -> Any:
    """The package ``highdicom``.

    Raises:
        ImportError: not installed; names the extra.
    """
    try:
        import highdicom
        import highdicom.seg
    except ImportError as error:
        raise ImportError(
            f"DICOM SEG needs highdicom ({error}); install the extra that reads and writes DICOM SEG: "
            "pip install sa2_monai[dicom]"
        ) from error
    return highdicom
