# SPDX-License-Identifier: Apache-2.0
"""What a file that a stranger hands in may ask for, looked at before it is given: one module per kind of claim.

voxels: memory for what a header promises; beside: other files that a file names; zips: what archives unpack to;
aliases: what YAML repeats by reference.
"""
