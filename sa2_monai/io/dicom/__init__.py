# SPDX-License-Identifier: Apache-2.0
"""DICOM: series of slices, segmentation objects."""
