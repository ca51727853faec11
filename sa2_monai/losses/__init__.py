# SPDX-License-Identifier: Apache-2.0
"""Losses on logits that MONAI lacks, and the sum over deeply supervised outputs.

What MONAI has with the same formula is used from MONAI. The published multi-class losses of SA2-Net are
:class:`DiceCELoss` (MONAI's) with these arguments, inside :class:`DeepSupervisionLoss`:

- SegPC-2021 and ISIC-2018: ``softmax=True, to_onehot_y=True, batch=True, smooth_nr=0.0, smooth_dr=1e-6,
  lambda_dice=0.5, lambda_ce=0.5``;
- ACDC: ``softmax=True, to_onehot_y=True, batch=True, squared_pred=True, smooth_nr=1e-5, smooth_dr=1e-5,
  lambda_dice=0.7, lambda_ce=0.3``.

DAE-Former was trained on Synapse with the same loss as ACDC above, but for ``lambda_dice=0.6, lambda_ce=0.4``.
"""

from sa2_monai.losses.balanced_bce_dice import BalancedBCEDiceLoss
from sa2_monai.losses.boundary_dou import BoundaryDoULoss
from sa2_monai.losses.cross_entropy import IgnoreIndexCELoss
from sa2_monai.losses.deep_supervision import DeepSupervisionLoss
from sa2_monai.losses.dice_ce import DiceCELoss
from sa2_monai.losses.dice_focal import DiceFocalLoss
from sa2_monai.losses.weighted_iou_bce import WeightedIoUBCELoss

__all__ = [
    "BalancedBCEDiceLoss",
    "BoundaryDoULoss",
    "DeepSupervisionLoss",
    "DiceCELoss",
    "DiceFocalLoss",
    "IgnoreIndexCELoss",
    "WeightedIoUBCELoss",
]
