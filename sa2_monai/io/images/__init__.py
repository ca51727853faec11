# SPDX-License-Identifier: Apache-2.0
"""Two-dimensional images and their label maps as arrays: (rows, columns, channels) and (rows, columns).

``read`` is the door; pillow, tiff, npy and dicom decode one family of formats each (tiff_codecs helps tiff), formats
and headers say what a file is, samples and meaning turn what was decoded into an image or class numbers by the same
rules for all. pixel_size is that of the pixels in millimetres, where a file says it.
"""
