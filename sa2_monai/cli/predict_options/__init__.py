# SPDX-License-Identifier: Apache-2.0
"""Groups of options of ``sa2-monai predict``, a file for each."""
