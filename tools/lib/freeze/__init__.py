# SPDX-License-Identifier: Apache-2.0
"""Digests of what every bundle computes on tiny data, so that a redesign can prove that it changed nothing."""
