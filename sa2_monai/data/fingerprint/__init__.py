# SPDX-License-Identifier: Apache-2.0
"""What training cases are like, measured: the numbers that a plan rests on.

============ ==========================================================================================================
measure      ``measure_fingerprint``: reads the training cases, in a bounded number
facts        ``Fingerprint`` and its parts: plain numbers, written as JSON
parts        training, validation and test cases, as the training will split them
arrays       the image and the label map of one case as arrays, slices last
case_facts   what is measured of one case
objects      connected structures of a label map: number, area, thickness, contact
intensities  percentiles, mean and standard deviation of a bounded number of values
colours      grey or colour, the brightness of the background, violet stain
labels       which value in the label files means which class
machine      device, free memory, processors
============ ==========================================================================================================

Files are opened by :mod:`sa2_monai.io`; neither torch nor MONAI is imported, except to ask for a GPU.
"""

from sa2_monai.data.fingerprint.facts import Fingerprint
from sa2_monai.data.fingerprint.measure import measure_fingerprint

__all__ = ["Fingerprint", "measure_fingerprint"]
