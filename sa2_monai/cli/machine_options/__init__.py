# SPDX-License-Identifier: Apache-2.0
"""Options about how the machine calculates, a file for each: in which numbers, by what, with how many processors."""
