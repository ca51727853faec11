# SPDX-License-Identifier: Apache-2.0
"""Who is measured: the published networks and ours on the same parameters."""
