# SPDX-License-Identifier: Apache-2.0
"""Ensembles: several runs, or all folds of a cross-validation, as one bundle: the mean of their probabilities.

======= ===============================================================================================
paths   which paths are bundles, or cross-validations
members what the members are: paths become runs, which have to agree on files, channels and classes
make    the bundle: configurations and weights of all members in one folder
views   how each member sees an image, where they differ
open    one bundle or several, for whoever takes a bundle
======= ===============================================================================================

Networks that see an image alike are one network, :class:`~sa2_monai.inference.EnsembleNetwork`; those that do not look
at it one after the other, :class:`~sa2_monai.inference.EnsembleInferer`.
"""
