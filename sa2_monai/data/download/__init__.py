# SPDX-License-Identifier: Apache-2.0
"""Download of public data sets."""
