# SPDX-License-Identifier: Apache-2.0
"""How folders and file names become cases.

With labels, for training and evaluation:

=================== ===================================================================================================
cases               what a case is; images and labels of one stem are paired, names made distinct
folders             images/ and labels/, with or without parts
dataset_json        what a ``dataset.json`` of the decathlon lists
volume_folders      the same for volumes: the layouts of the decathlon and of nnU-Net
uctransnet          Train_Folder/ and Test_Folder/ of the published SA2-Net and UCTransNet code
preprocessed        preprocessed files of the literature, by their published lists
patients, tables    whose a case is; tables that come with a data set
nested, missing     folders that an archive put deeper; gaps in a numbered series
=================== ===================================================================================================

Without labels, for prediction: input_images, input_volumes and input_preprocessed, with the names of case_names.
``folder_walk`` goes through folders for both and counts what is left out.
"""
