# SPDX-License-Identifier: Apache-2.0
"""What ``tools/benchmark gpu`` measures, one module per block, and the time that it may take."""
