# SPDX-License-Identifier: Apache-2.0
"""The columns of the measurements."""

from __future__ import annotations

__all__ = ["COLUMNS"]

#: Name -> what it means. Millimetres and millilitres are empty where the size of a pixel is not known.
COLUMNS = {
    "case": "name of the case",
    "map": "prediction or reference",
    "class_value": "value of the class in the label map",
    "class_name": "name of the class",
    "object": "number of the object in the instance image; empty in the row of the whole class",
    "count": "objects of the class: numbers of the instance image, else what is connected, also by a corner",
    "area_px": "pixels of an image",
    "area_mm2": "area of an image in mm²",
    "perimeter_px": "length of the border in pixels (skimage.measure.perimeter, 4-neighbourhood), holes included",
    "perimeter_mm": "the same in mm, where pixels are square",
    "voxels": "voxels of a volume",
    "volume_ml": "volume in ml",
    "diameter_px": "largest distance of two points of the border in pixels (Feret diameter); of a class: of an object",
    "diameter_mm": "the same in mm, for volumes in all three directions",
    "share_of_image": "pixels or voxels as a share of the image",
    "share_of_foreground": "pixels or voxels as a share of those of all classes but the background",
    "mean_intensity": "mean of the image's values as stored; HU in CT; of colours their luminance (ITU-R BT.601)",
    "std_intensity": "standard deviation of these values",
    "unit": "mm, or px where the size of a pixel is not known",
}
