# SPDX-License-Identifier: Apache-2.0
"""Whole slides and other images that are too large to be read at once: regions of them, and results of their size.

recognise says which files are slides; slide is what all readers have in common and opens one; tiff_slide and
scanner_slide read through tifffile and OpenSlide, segments decodes the tiles of a TIFF, pixel_size finds micrometres.
pyramid writes label maps as pyramidal OME-TIFF, contours follows the outlines of objects from band to band, geojson
writes them as polygons, and regions reads the polygons that a prediction is confined to.
"""
