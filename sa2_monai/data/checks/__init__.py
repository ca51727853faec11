# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the files of a data set, found before training starts.

images, volumes and preprocessed look at the pairs of image and label of each kind of files, label_counts at the values
of labels, which label_tables explains; voxels and file_contents are what ``sa2-monai datasets check`` looks at beside
that. opened_files opens each file once for all of them, and remembered
once for all checks of it.
"""
