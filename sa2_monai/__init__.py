# SPDX-License-Identifier: Apache-2.0
"""Published 2D segmentation networks as MONAI bundles: exact, fast, deployable, honestly evaluated.

==================================== ==================================================================================
io                                   every file format once: readers, writers, DICOM, atomic files
networks, losses, metrics            pure PyTorch and NumPy: tensors and arrays in, tensors and figures out
slices, transforms                   the steps between a file and the network: shared ones, augmentation
data                                 data sets: what lies where, lists of cases, splits, checks, samples
weights                              safe weight files; published checkpoints
training, inference, evaluation      Ignite handlers; inferers and savers; scores and reports
bundle                               whole bundles: load, predict, cross-validate, package, export
cli                                  the command ``sa2-monai``: one thin file per command
==================================== ==================================================================================

The way of a CT from its file to the network: ``data.load_datalist`` (or ``data.list_cases``) names the file;
``io.volumes.read`` opens it, checks its header and gives (x, y, z) with an affine in mm; the steps that a bundle's
configuration lists (``slices``) turn it, scale its Hounsfield units and map its labels, once for each case; in training
``data.SliceDataset`` gives slices one by one to the augmentation, else the inferer goes through them; (N, C, H, W)
reaches the network, and ``inference`` brings the answer back to the grid of the file.

Importing this package imports nothing heavy; its folders, and :func:`load_bundle`, import torch and MONAI when they are
asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sa2_monai.aliases import lazy_names
from sa2_monai.version import __version__

if TYPE_CHECKING:
    from sa2_monai.bundle.loaded import load_bundle

__all__ = ["__version__", "load_bundle"]


__getattr__ = lazy_names(__name__, {"load_bundle": f"{__name__}.bundle.loaded"})
