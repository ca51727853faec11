# SPDX-License-Identifier: Apache-2.0
"""Networks with their weights for other runtimes."""
