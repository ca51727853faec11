# SPDX-License-Identifier: Apache-2.0
"""How a slice or a 2D image is loaded, oriented, scaled, resized and brought back: the steps that all bundles share."""

from sa2_monai.slices.bicubic_resize import AntialiasedResized, BicubicResized, resize_bicubic
from sa2_monai.slices.draw import RandSliced
from sa2_monai.slices.intensity import ScaleSliceMaximumd, ScaleWhenCutd
from sa2_monai.slices.labels import CheckSameSized, MapLabelsd
from sa2_monai.slices.loading import StrictLoadImaged
from sa2_monai.slices.orientation import SliceOrientationd
from sa2_monai.slices.slice_view import SliceView
from sa2_monai.slices.spline_resize import SplineResize, SplineResized, spline_matrix
from sa2_monai.slices.steps import (
    check_size,
    load_image,
    load_label,
    map_labels,
    orient_slices,
    restore_orientation,
    scale_intensity,
)
from sa2_monai.slices.stored_volume import StoredVolume
from sa2_monai.slices.windows import check_roi_size

__all__ = [
    "AntialiasedResized",
    "BicubicResized",
    "CheckSameSized",
    "MapLabelsd",
    "RandSliced",
    "ScaleSliceMaximumd",
    "ScaleWhenCutd",
    "SliceOrientationd",
    "SliceView",
    "SplineResize",
    "SplineResized",
    "StoredVolume",
    "StrictLoadImaged",
    "check_roi_size",
    "check_size",
    "load_image",
    "load_label",
    "map_labels",
    "orient_slices",
    "resize_bicubic",
    "restore_orientation",
    "scale_intensity",
    "spline_matrix",
]
