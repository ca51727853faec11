# SPDX-License-Identifier: Apache-2.0
"""Every file format once, for training, checking, predicting and scoring: readers, writers, atomic files.

A file has one answer because there is one function that opens it. What a reader cannot take with certainty it refuses
by name; it never guesses.
"""
