# SPDX-License-Identifier: Apache-2.0
"""MONAI dictionary transforms for what MONAI itself lacks."""

from sa2_monai.transforms.clean_labels import CleanLabelsd
from sa2_monai.transforms.labels import CheckSameSized, MapLabelsd
from sa2_monai.transforms.loading import StrictLoadImaged
from sa2_monai.transforms.rand_slices import RandSliced
from sa2_monai.transforms.rand_warp import RandPiecewiseAffined, RandShiftd
from sa2_monai.transforms.slice_orientation import SliceOrientationd
from sa2_monai.transforms.spline_resize import SplineResize, SplineResized, spline_matrix

__all__ = [
    "CheckSameSized",
    "CleanLabelsd",
    "MapLabelsd",
    "RandPiecewiseAffined",
    "RandShiftd",
    "RandSliced",
    "SliceOrientationd",
    "SplineResize",
    "SplineResized",
    "StrictLoadImaged",
    "spline_matrix",
]
