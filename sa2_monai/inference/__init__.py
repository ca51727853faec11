# SPDX-License-Identifier: Apache-2.0
"""Windows, ensembles and saved predictions: what running a trained network needs beside MONAI's inferers."""

from sa2_monai.inference.ensemble import EnsembleNetwork, load_ensemble
from sa2_monai.inference.folders import check_writable
from sa2_monai.inference.saving import CaseSaveImaged, ProbabilitySaveImaged
from sa2_monai.inference.windows import check_roi_size

__all__ = [
    "CaseSaveImaged",
    "EnsembleNetwork",
    "ProbabilitySaveImaged",
    "check_roi_size",
    "check_writable",
    "load_ensemble",
]
