# SPDX-License-Identifier: Apache-2.0
"""What a folder of data is, found out from its files: :func:`find_data`, or one question where that is not certain."""

from __future__ import annotations

from sa2_monai.aliases import lazy_names
from sa2_monai.data.layouts.discovery.found import FoundData

__all__ = ["FoundData", "find_data"]

__getattr__ = lazy_names(__name__, {"find_data": "sa2_monai.data.layouts.discovery.find"})
