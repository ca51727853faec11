# SPDX-License-Identifier: Apache-2.0
"""Data sets laid down once in a form that is slow to make each time."""
