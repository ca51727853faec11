# SPDX-License-Identifier: Apache-2.0
"""MONAI dictionary transforms for what MONAI itself lacks."""

from sa2_monai.transforms.labels import CheckSameSized, MapLabelsd
from sa2_monai.transforms.loading import StrictLoadImaged

__all__ = ["CheckSameSized", "MapLabelsd", "StrictLoadImaged"]
