# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the files of a data set, found before training starts."""
