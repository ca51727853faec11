# SPDX-License-Identifier: Apache-2.0
"""Generated data sets, for tests, examples and the first minutes."""
