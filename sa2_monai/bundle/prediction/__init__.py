# SPDX-License-Identifier: Apache-2.0
"""Prediction of many files by a bundle.

run goes from the model to the label maps; cases lists the inputs, batch remembers what is finished, shard divides the
cases among programs, window checks the size that a network is given; arrays takes images that are no files;
measure measures the label maps; parity compares one of them with the reference; watch predicts what comes into a
folder.
"""
