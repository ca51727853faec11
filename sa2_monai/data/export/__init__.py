# SPDX-License-Identifier: Apache-2.0
"""Data sets written in the forms of other programs, with the same parts and folds.

========= =============================================================================================================
source    what is exported: cases by part, classes, the table of the label values
files     one case as files: PNG or NIfTI, labels with class numbers; the folder, there as a whole or not at all
nnunet    nnU-Net 2: imagesTr, labelsTr, imagesTs, labelsTs, dataset.json, splits_final.json
decathlon Medical Segmentation Decathlon: dataset.json with training, validation and test lists
========= =============================================================================================================
"""

from __future__ import annotations

from sa2_monai.data.export.decathlon import export_decathlon
from sa2_monai.data.export.nnunet import export_nnunet
from sa2_monai.data.export.source import ExportOptions

__all__ = ["FORMS", "ExportOptions", "export_decathlon", "export_nnunet"]

#: Forms by name.
FORMS = {"nnunet": export_nnunet, "decathlon": export_decathlon}
