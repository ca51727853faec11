# SPDX-License-Identifier: Apache-2.0
"""Arrays: NumPy's own formats (npy, npz_stacks), and decoded ones that several readers of a file share."""
