# SPDX-License-Identifier: Apache-2.0
"""Volumes with their place in the patient: NIfTI, NRRD and MetaImage files, and grids that belong together."""
