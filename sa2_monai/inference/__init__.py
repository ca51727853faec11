# SPDX-License-Identifier: Apache-2.0
"""Windows, ensembles and saved predictions: what running a trained network needs beside MONAI's inferers."""

from sa2_monai.inference.ensemble import EnsembleNetwork, load_ensemble
from sa2_monai.inference.manifest import CaseManifest
from sa2_monai.inference.saving import CaseSaveImaged, ProbabilitySaveImaged
from sa2_monai.inference.sharding import CaseSampler, ShardEvaluator
from sa2_monai.inference.tolerance import CaseDataLoader, CaseDataset, CaseEvaluator, FailedCasesError
from sa2_monai.inference.volume import VolumeInferer
from sa2_monai.inference.volume_saving import VolumeProbabilitySaveImaged, VolumeSaveImaged
from sa2_monai.inference.windows import check_roi_size
from sa2_monai.io.dicom.seg import read_dicom_seg, write_dicom_seg
from sa2_monai.io.folders import check_writable

__all__ = [
    "CaseDataLoader",
    "CaseDataset",
    "CaseEvaluator",
    "CaseManifest",
    "CaseSampler",
    "CaseSaveImaged",
    "EnsembleNetwork",
    "FailedCasesError",
    "ProbabilitySaveImaged",
    "ShardEvaluator",
    "VolumeInferer",
    "VolumeProbabilitySaveImaged",
    "VolumeSaveImaged",
    "check_roi_size",
    "check_writable",
    "load_ensemble",
    "read_dicom_seg",
    "write_dicom_seg",
]
