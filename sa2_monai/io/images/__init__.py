# SPDX-License-Identifier: Apache-2.0
"""Two-dimensional images and their label maps as arrays."""
