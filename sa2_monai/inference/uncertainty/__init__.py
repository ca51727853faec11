# SPDX-License-Identifier: Apache-2.0
"""How sure a prediction is: maps beside label maps, and a score for each case.

The inferer gives the maps as further channels of its answer. maps has their formulas; split takes them apart from the
labels; saving writes them; scores makes a number of them; table lists those of all cases.
"""

from sa2_monai.inference.uncertainty.maps import UNCERTAINTIES, entropy_map, map_names, variance_map
from sa2_monai.inference.uncertainty.saving import (
    UncertaintySaveImaged,
    VolumeUncertaintySaveImaged,
    uncertainty_writer,
)
from sa2_monai.inference.uncertainty.scores import ScoreUncertaintyd, uncertainty_scores
from sa2_monai.inference.uncertainty.split import SplitUncertaintyd
from sa2_monai.inference.uncertainty.table import UncertaintyTable, write_uncertainty_table

__all__ = [
    "UNCERTAINTIES",
    "ScoreUncertaintyd",
    "SplitUncertaintyd",
    "UncertaintySaveImaged",
    "UncertaintyTable",
    "VolumeUncertaintySaveImaged",
    "entropy_map",
    "map_names",
    "uncertainty_scores",
    "uncertainty_writer",
    "variance_map",
    "write_uncertainty_table",
]
