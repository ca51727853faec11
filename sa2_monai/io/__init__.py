# SPDX-License-Identifier: Apache-2.0
"""Every file format once, for training, checking, predicting and scoring: readers, writers, atomic files.

A file has one answer because there is one function that opens it. What a reader cannot take with certainty it refuses
by name; it never guesses.

============================== ========================================================================================
images/read                    PNG, JPEG, TIFF, BMP, .npy, DICOM: 2D images (rows, columns, channels) and label maps
slides/                        whole slides and what is too large to be read at once: regions, pyramids, polygons
volumes/read                   NIfTI, NRRD, MHA, DICOM series: arrays (x, y, z) with an affine in mm
preprocessed, arrays/          .npz and .h5 of the literature; NumPy's own formats; arrays/decoded: files decoded once
dicom/                         series, multi-frame images, segmentation objects in and out
readers/, kinds                the same as MONAI image readers, also as stored in the file; words for kinds
label_maps, label_values       label maps for scoring; what their values mean; whole_numbers: classes
label_colours, palette         masks in colours; the colours of masks that are written
volumes/nifti_writer, atomic   writing: on the grid of the input; the old file or the new one, never half of one
folders, ownership, digest     output folders: writable, and one writer at a time; SHA-256 of files
names, paths, text, utf8_names names of files that hold anything
limits/                        what a stranger's file may ask for: memory, other files, what it unpacks to
processors                     what there is to use, memory too; threads that let other programs calculate
workplace, signals             where something is made before it is moved to its place; SIGTERM as Ctrl-C
causes, problems               one message for what went wrong, and many of them in one error
============================== ========================================================================================
"""
