# SPDX-License-Identifier: Apache-2.0
"""Windows, ensembles and saved predictions: what running a trained network needs beside MONAI's inferers."""

from sa2_monai.aliases import moved_names
from sa2_monai.inference.ensemble import EnsembleNetwork, ensemble_of, load_ensemble
from sa2_monai.inference.ensemble_inferer import EnsembleInferer
from sa2_monai.inference.manifest import CaseManifest
from sa2_monai.inference.saving import CaseSaveImaged, ProbabilitySaveImaged
from sa2_monai.inference.served import ServedLabelsd
from sa2_monai.inference.sharding import CaseSampler, ShardEvaluator
from sa2_monai.inference.slice_inferer import VolumeInferer, inferer_for
from sa2_monai.inference.tolerance import CaseDataLoader, CaseDataset, CaseEvaluator, FailedCasesError
from sa2_monai.inference.volume_saving import VolumeProbabilitySaveImaged, VolumeSaveImaged
from sa2_monai.inference.writers import case_writer, probability_writer
from sa2_monai.io.dicom.seg import read_dicom_seg, write_dicom_seg
from sa2_monai.io.folders import check_writable

__all__ = [
    "CaseDataLoader",
    "CaseDataset",
    "CaseEvaluator",
    "CaseManifest",
    "CaseSampler",
    "CaseSaveImaged",
    "EnsembleInferer",
    "EnsembleNetwork",
    "FailedCasesError",
    "ProbabilitySaveImaged",
    "ServedLabelsd",
    "ShardEvaluator",
    "VolumeInferer",
    "VolumeProbabilitySaveImaged",
    "VolumeSaveImaged",
    "case_writer",
    "check_writable",
    "ensemble_of",
    "inferer_for",
    "load_ensemble",
    "probability_writer",
    "read_dicom_seg",
    "write_dicom_seg",
]

__getattr__ = moved_names(__name__, {"check_roi_size": "sa2_monai.slices:check_roi_size"})
