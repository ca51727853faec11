# SPDX-License-Identifier: Apache-2.0
"""Options of ``sa2-monai predict``, a file for each subject."""
