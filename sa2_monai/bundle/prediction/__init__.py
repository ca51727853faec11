# SPDX-License-Identifier: Apache-2.0
"""Prediction of many files by a bundle."""
