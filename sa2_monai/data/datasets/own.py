# SPDX-License-Identifier: Apache-2.0
"""Your own data: folders of images or volumes in the layouts of labs, and what a dataset.json or a CSV lists."""

from __future__ import annotations

from sa2_monai.data.dataset import DataSet
from sa2_monai.data.layouts.dataset_json import decathlon_parts
from sa2_monai.data.layouts.discovery.recognise import own_parts

__all__ = ["DATASETS"]

DATASETS = {
    "folder": DataSet(
        lambda directory, options: own_parts(directory, "images", options.unlabelled, options.cache_dir),
        title="images of your own: images/ and labels/, masks beside the images, a CSV of pairs, dataset.json, ...",
        described=True,
    ),
    "decathlon": DataSet(
        lambda directory, options: decathlon_parts(directory),
        title="images of your own, listed in a dataset.json",
        described=True,
    ),
    "volumes": DataSet(
        lambda directory, options: own_parts(directory, "volumes", options.unlabelled, options.cache_dir),
        "volumes",
        title="volumes of your own: the same layouts, nnU-Net's and the decathlon's, a folder per patient, ...",
        described=True,
    ),
}
