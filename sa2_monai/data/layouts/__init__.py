# SPDX-License-Identifier: Apache-2.0
"""How folders and file names become cases: those of data sets with labels, and those of inputs to predict."""
