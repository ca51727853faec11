# SPDX-License-Identifier: Apache-2.0
"""How folders and file names become cases.

With labels, for training and evaluation:

=================== ===================================================================================================
discovery           ``find_data``: which layout a folder has, by its own names
cases               what a case is; images and labels of one stem are paired, names made distinct
channel_files       images and labels of equal names, also with one file per channel
described           what a ``dataset.json`` lists, and nnU-Net's folders; dataset_json reads the file
pairs_csv           a CSV of pairs, read and written
fold_list           the cases of each fold, in the form of nnU-Net's splits_final.json
uctransnet          Train_Folder/ and Test_Folder/ of the published SA2-Net and UCTransNet code
preprocessed        preprocessed files of the literature, by their published lists
patients, tables    whose a case is; tables that come with a data set
nested, missing     folders that an archive put deeper; gaps in a numbered series
=================== ===================================================================================================

Without labels, for prediction: input_images, input_volumes and input_preprocessed, with the names of case_names.
``folder_walk`` goes through folders for both and counts what is left out.
"""
