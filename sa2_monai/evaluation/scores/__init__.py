# SPDX-License-Identifier: Apache-2.0
"""From values per case to rows, summaries and statistics."""
