# SPDX-License-Identifier: Apache-2.0
"""Data sets laid down once in a form that is slow to make each time.

================================================ ======================================================================
folder, jobs, lists                              the folder of a preparation: whose it is, its jobs, its manifest
slices, axial                                    volumes as slices in PNG files (SvANet's form)
transunet, transunet_form, transunet_calibration Synapse as TransUNet has it; preprocessed_writer writes such files
segpc_cells, segpc_crops                         SegPC-2021 as crops around single cells
masks, object_masks, image_arrays, cache         made on the way and kept: masks in colour or JPEG or of single objects
synapse_labels                                   names and numberings of the organs of Synapse
================================================ ======================================================================

A data set names its preparations in ``DataSet.preparations``; :mod:`sa2_monai.data.prepare` runs them.
"""
