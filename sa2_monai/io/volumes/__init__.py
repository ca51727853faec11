# SPDX-License-Identifier: Apache-2.0
"""Volumes with their place in the patient: NIfTI, NRRD and MetaImage files, and grids that belong together.

``read`` is the door, also to DICOM series; nifti (with nifti_affine) and itk (with itk_stored) read one family of
formats each, streams their voxels to the end, geometry checks a header, lattice compares two grids, memory_order puts
voxels in order, nifti_writer writes on the grid of an input.
"""
