# SPDX-License-Identifier: Apache-2.0
"""DICOM: series of slices and multi-frame images as volumes, segmentation objects in and out.

``files`` and ``slices`` read headers, ``kinds`` and ``listing`` find the series of a folder, ``frames``, ``instances``
and ``grid`` check that its slices are one volume, ``pixels`` gives the values, ``series`` puts all of it together.
``seg`` writes segmentation objects with what ``source_datasets`` and ``source_elements`` take from the series;
``seg_reading`` reads them.
"""

from sa2_monai.io.dicom.files import is_dicom, is_multiframe
from sa2_monai.io.dicom.listing import SeriesInfo, series_in

__all__ = ["SeriesInfo", "is_dicom", "is_multiframe", "series_in"]
