# SPDX-License-Identifier: Apache-2.0
"""MONAI dictionary transforms for what MONAI itself lacks."""

from sa2_monai.transforms.bicubic_resize import AntialiasedResized, BicubicResized, resize_bicubic
from sa2_monai.transforms.clean_labels import CleanLabelsd
from sa2_monai.transforms.default_items import DefaultItemsd
from sa2_monai.transforms.labels import CheckSameSized, MapLabelsd
from sa2_monai.transforms.loading import StrictLoadImaged
from sa2_monai.transforms.rand_photometric import RandBlurd, RandPhotometricd
from sa2_monai.transforms.rand_scale_crop import RandPadCropd, RandShortSideResized
from sa2_monai.transforms.rand_slices import RandSliced
from sa2_monai.transforms.rand_warp import RandPiecewiseAffined, RandRotateFilld, RandShiftd, RandTwoShearsd
from sa2_monai.transforms.slice_intensity import ScaleSliceMaximumd
from sa2_monai.transforms.slice_orientation import SliceOrientationd
from sa2_monai.transforms.spline_resize import SplineResize, SplineResized, spline_matrix

__all__ = [
    "AntialiasedResized",
    "BicubicResized",
    "CheckSameSized",
    "CleanLabelsd",
    "DefaultItemsd",
    "MapLabelsd",
    "RandBlurd",
    "RandPadCropd",
    "RandPhotometricd",
    "RandPiecewiseAffined",
    "RandRotateFilld",
    "RandShiftd",
    "RandShortSideResized",
    "RandSliced",
    "RandTwoShearsd",
    "ScaleSliceMaximumd",
    "SliceOrientationd",
    "SplineResize",
    "SplineResized",
    "StrictLoadImaged",
    "resize_bicubic",
    "spline_matrix",
]
