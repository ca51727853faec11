# SPDX-License-Identifier: Apache-2.0
"""Download of public data sets: transfer fetches one file and verifies it, bbbc038 knows one data set."""
