# SPDX-License-Identifier: Apache-2.0
"""What all suites share: the command, turns, rows and their table, fresh processes, committed ratios."""
