# SPDX-License-Identifier: Apache-2.0
"""What label maps are like, without a reference: areas, volumes, diameters, intensities, counts.

* ``columns``: the columns of the tables, each with what it means. ``regions``: the values of numbered regions.
* ``case``: the rows of one case; ``grid``: where its pixels lie. ``files``: ``measurements.csv`` and ``.json``.
* ``result``: all cases of an evaluation.
"""

from sa2_monai.evaluation.measurements.case import MeasuredCase, measure_case
from sa2_monai.evaluation.measurements.columns import COLUMNS
from sa2_monai.evaluation.measurements.files import write_measurements
from sa2_monai.evaluation.measurements.grid import Grid, find_grid
from sa2_monai.evaluation.measurements.result import measure_result

__all__ = ["COLUMNS", "Grid", "MeasuredCase", "find_grid", "measure_case", "measure_result", "write_measurements"]
