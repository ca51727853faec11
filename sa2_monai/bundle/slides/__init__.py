# SPDX-License-Identifier: Apache-2.0
"""Prediction of whole slides and very large images: block by block, with memory that does not grow with the slide.

options is what may be asked for; batch puts slides among the cases of a prediction; run predicts one slide. On its way:
model takes the network and its view from the bundle, analysed chooses the level and resamples to the pixel size of the
training, overview and tissue find what is no background, intensities measures the range of the whole slide once,
blocks divides the slide so that the windows are those of a normal prediction, and labels predicts a block.
"""
