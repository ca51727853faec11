# SPDX-License-Identifier: Apache-2.0
"""Stand-alone bundles: one network, one data set, one set of weights."""
