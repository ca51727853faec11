# SPDX-License-Identifier: Apache-2.0
"""A K-fold cross-validation: one model per fold, each scored on the test cases, and their ensemble.

======== ============================================================================
request  what the caller asks for
setup    what all folds share: data, bundle, overlays, the plan
splits   the cases of each fold, as text files
runs     ``sa2-monai train`` of a fold, its evaluation, that of the ensemble
process  one of them in a process of its own
scores   Dice and IoU of a run, their mean and deviation, the table
run      all of it, with what is finished kept in ``crossval.json`` for ``--resume``
======== ============================================================================
"""
