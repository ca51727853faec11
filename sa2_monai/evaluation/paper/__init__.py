# SPDX-License-Identifier: Apache-2.0
"""The paper protocol: the numbers as the publications of the five networks compute them, one family per kind of table.

Where is the published number, and in what does it differ from the clinical one?

================== ============== ============================================== =======================================
family             module         data sets and networks                         what differs
================== ============== ============================================== =======================================
``volume``         ``volume``     Synapse, ACDC: DAE-Former, MSA2Net, HSA-UNet   HD95 in voxels, of both directions
                                                                                 pooled; (1, 0) for a false alarm and
                                                                                 (0, 0) for a missed structure
``image_2d``       ``volume``     ISIC 2018, CVC-ClinicDB, stomach: HSA-UNet     the same in pixels at 224x224, the
                                                                                 background is a class
``image``          ``image``      GlaS, MoNuSeg: SA2-Net, one model              224x224; masks resized bilinearly;
                                                                                 1e-5 in the denominator of Dice
``image_ensemble`` ``image``      GlaS, MoNuSeg: SA2-Net, five models            the same for averaged probabilities
``pooled``         ``pooled``     ISIC 2018: SA2-Net                             one confusion matrix of all pixels
``cell``           ``pooled``     SegPC 2021: SA2-Net                            the same without the nuclei
``size_range``     ``size_range`` FIVES, ISIC 2018, PolypGen, ATLAS, KiTS23,     512x512; pooled per class, classes
                                  TissueNet, sperm: SvANet                       weighted by images; by size of object
================== ============== ============================================== =======================================

The published HD95 is :func:`sa2_monai.evaluation.paper.volume.stand_in_values` (empty masks) with
:func:`sa2_monai.metrics.surface.hd95_pooled` (the distance itself).

Beside the families: ``options`` (what each can be told), ``run`` (cases in, result out), ``base`` (what the families
share), ``grids`` and ``published_mask`` (how references come onto the published grid), ``folds`` (mean and standard
deviation over a cross-validation).
"""

from sa2_monai.evaluation.paper.folds import summarize_folds
from sa2_monai.evaluation.paper.options import FAMILY_NAMES, PaperOptions

__all__ = ["FAMILY_NAMES", "PaperOptions", "summarize_folds"]
