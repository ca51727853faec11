# SPDX-License-Identifier: Apache-2.0
"""The version of the package, in one place that can be read without importing torch."""

__version__ = "0.1.0"
