# SPDX-License-Identifier: Apache-2.0
"""A K-fold cross-validation of a bundle: one model per fold, each scored on the test cases, and their ensemble.

======== ============================================================================
setup    what all runs share: bundle, overlays, data set, folds, overrides
splits   the cases of each fold, as text files
runs     one training or evaluation as ``python -m monai.bundle run``
scores   Dice and IoU of a run, their mean and deviation, the table
run      all of it, with what is finished kept in ``crossval.json`` for ``--resume``
======== ============================================================================
"""
