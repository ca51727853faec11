# SPDX-License-Identifier: Apache-2.0
"""MONAI dictionary transforms for what MONAI itself lacks: augmentation, and the clean-up of label maps.

The steps between a file and a network (loading, orientation, intensity, size) are in :mod:`sa2_monai.slices`.
"""

from sa2_monai.aliases import moved_names
from sa2_monai.transforms.clean_labels import CleanLabelsd
from sa2_monai.transforms.default_items import DefaultItemsd
from sa2_monai.transforms.rand_photometric import RandBlurd, RandPhotometricd
from sa2_monai.transforms.rand_scale_crop import RandPadCropd, RandShortSideResized
from sa2_monai.transforms.rand_warp import RandPiecewiseAffined, RandRotateFilld, RandShiftd, RandTwoShearsd

__all__ = [
    "CleanLabelsd",
    "DefaultItemsd",
    "RandBlurd",
    "RandPadCropd",
    "RandPhotometricd",
    "RandPiecewiseAffined",
    "RandRotateFilld",
    "RandShiftd",
    "RandShortSideResized",
    "RandTwoShearsd",
]

__getattr__ = moved_names(
    __name__,
    {
        "AntialiasedResized": "sa2_monai.slices:AntialiasedResized",
        "BicubicResized": "sa2_monai.slices:BicubicResized",
        "CheckSameSized": "sa2_monai.slices:CheckSameSized",
        "MapLabelsd": "sa2_monai.slices:MapLabelsd",
        "RandSliced": "sa2_monai.slices:RandSliced",
        "ScaleSliceMaximumd": "sa2_monai.slices:ScaleSliceMaximumd",
        "SliceOrientationd": "sa2_monai.slices:SliceOrientationd",
        "SplineResize": "sa2_monai.slices:SplineResize",
        "SplineResized": "sa2_monai.slices:SplineResized",
        "StrictLoadImaged": "sa2_monai.slices:StrictLoadImaged",
        "resize_bicubic": "sa2_monai.slices:resize_bicubic",
        "spline_matrix": "sa2_monai.slices:spline_matrix",
    },
)
