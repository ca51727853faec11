# SPDX-License-Identifier: Apache-2.0
"""The paper protocol: the numbers as the publications of the five networks compute them, one family per kind of table.

================== ============== ======================================= ==========================================
family             module         networks and data sets                  what differs from the clinical protocol
================== ============== ======================================= ==========================================
``volume``         ``volume``     DAE-Former, MSA2Net, HSA-UNet: Synapse, HD95 in voxels, of both directions together;
                                  ACDC                                    Dice and HD95 are (1, 0) for a false alarm,
                                                                          (0, 0) for a missed or absent structure
``image_2d``       ``volume``     HSA-UNet: ISIC 2018, CVC-ClinicDB,      the same in pixels at 224x224; the
                                  stomach                                 background is a class
``image``          ``image``      SA2-Net: GlaS, MoNuSeg, one model       at 224x224, masks resized bilinearly; 1e-5
                                                                          in the denominator of Dice
``image_ensemble`` ``image``      SA2-Net: GlaS, MoNuSeg, five models     the same for averaged probabilities
``pooled``         ``pooled``     SA2-Net: ISIC 2018                      at 224x224, one confusion matrix of all
                                                                          pixels of all images
``cell``           ``pooled``     SA2-Net: SegPC 2021                     the same without the pixels of the nuclei
``size_range``     ``size_range`` SvANet: FIVES, ISIC 2018, PolypGen,     at 512x512, pooled per class; classes count
                                  ATLAS, KiTS23, TissueNet, sperm         by their images; also by size of object
================== ============== ======================================= ==========================================

The published HD95 is that of ``volume`` and ``image_2d``: :func:`sa2_monai.metrics.surface.hd95_pooled`, with the rule
for empty masks in :func:`sa2_monai.evaluation.paper.volume.stand_in_values`.

The other modules: ``run`` (cases in, result out), ``base`` (what the families share), ``grids`` and ``published_mask``
(how references come onto the published grid), ``folds`` (mean and standard deviation over a cross-validation). The
options of the families are :class:`sa2_monai.evaluation.PaperOptions`.
"""

from sa2_monai.evaluation.paper.folds import summarize_folds
from sa2_monai.evaluation.paper_options import FAMILY_NAMES, PaperOptions

__all__ = ["FAMILY_NAMES", "PaperOptions", "summarize_folds"]
