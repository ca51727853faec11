# SPDX-License-Identifier: Apache-2.0
"""Data sets: folders as downloaded become MONAI data lists; splits by patient; checks before training; samples.

================ ======================================================================================================
datalist         ``load_datalist``: the cases of one part of a data set, for training and evaluation
kinds            ``list_cases``: the cases of files and folders without labels, for prediction
slice_dataset    ``SliceDataset``: slices as samples; slice_store keeps a case; slice_sampler, slice_draw: an epoch
splits           folds, held-out test parts, split files; stratify: folds of one's own data that are alike
fingerprint/     ``measure_fingerprint``: what training cases are like, measured
examine          ``sa2-monai datasets check``, with published_counts; its parts in checks/
prepare          ``sa2-monai datasets prepare``; its parts in preparation/
dataset          ``DataSet``: what there is to know of a data set; registry finds one by its name
datasets/        one module per public data set, and own.py for folders of one's own
layouts/         how folders and file names become cases; its discovery/ has ``find_data``
download/        public data sets that are fetched
export/          ``sa2-monai datasets export``: the forms of nnU-Net and of the decathlon
samples/         generated data sets
================ ======================================================================================================

A new data set is one new file in ``datasets/``. Files are opened by :mod:`sa2_monai.io`, never here.

Importing this package imports neither torch nor MONAI: what needs them is loaded when it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sa2_monai.aliases import lazy_names, moved_names
from sa2_monai.data.datalist import DATASETS, SECTIONS, dataset_classes, label_table, load_datalist, load_parts
from sa2_monai.data.datasets.acdc import ACDC_CLASSES, ACDC_SPLITS
from sa2_monai.data.download.bbbc038 import DOWNLOADS, download
from sa2_monai.data.examine import examine_dataset
from sa2_monai.data.kinds import input_kind, list_cases, list_images, list_volumes
from sa2_monai.data.layouts.discovery.find import find_data
from sa2_monai.data.layouts.discovery.found import FoundData
from sa2_monai.data.preparation.folder import prepared_parts_of
from sa2_monai.data.preparation.synapse_labels import SYNAPSE_CLASSES, SYNAPSE_TABLES
from sa2_monai.data.preparation.transunet_calibration import calibrate, orient
from sa2_monai.data.prepare import prepare_dataset
from sa2_monai.data.splits import check_disjoint, kfold, split_test, write_splits
from sa2_monai.io.images.read import IMAGE_SUFFIXES, image_size, read_image, read_label
from sa2_monai.io.preprocessed import PREPROCESSED_SUFFIXES, read_preprocessed
from sa2_monai.io.readers import case_reader
from sa2_monai.io.volumes.read import Volume, read_volume, volume_header

if TYPE_CHECKING:
    from sa2_monai.data.fingerprint import Fingerprint, measure_fingerprint
    from sa2_monai.data.samples.images import make_sample, sample_is_current
    from sa2_monai.data.samples.volumes import make_sample_volumes, sample_volumes_are_current
    from sa2_monai.data.slice_dataset import SliceDataset
    from sa2_monai.data.slice_draw import Draw
    from sa2_monai.data.slice_sampler import SliceSampler
    from sa2_monai.data.slice_store import slice_counter
    from sa2_monai.io.readers.images import Image2DReader
    from sa2_monai.io.readers.preprocessed import PreprocessedReader
    from sa2_monai.io.readers.volumes import VolumeReader

__all__ = [
    "ACDC_CLASSES",
    "ACDC_SPLITS",
    "DATASETS",
    "DOWNLOADS",
    "IMAGE_SUFFIXES",
    "PREPROCESSED_SUFFIXES",
    "SECTIONS",
    "SYNAPSE_CLASSES",
    "SYNAPSE_TABLES",
    "Draw",
    "Fingerprint",
    "FoundData",
    "Image2DReader",
    "PreprocessedReader",
    "SliceDataset",
    "SliceSampler",
    "Volume",
    "VolumeReader",
    "calibrate",
    "case_reader",
    "check_disjoint",
    "dataset_classes",
    "download",
    "examine_dataset",
    "find_data",
    "image_size",
    "input_kind",
    "kfold",
    "label_table",
    "list_cases",
    "list_images",
    "list_volumes",
    "load_datalist",
    "load_parts",
    "make_sample",
    "make_sample_volumes",
    "measure_fingerprint",
    "orient",
    "prepare_dataset",
    "prepared_parts_of",
    "read_image",
    "read_label",
    "read_preprocessed",
    "read_volume",
    "sample_is_current",
    "sample_volumes_are_current",
    "slice_counter",
    "split_test",
    "volume_header",
    "write_splits",
]


# Names whose modules import torch and MONAI, or SciPy; behind them, names of version 0.1.
__getattr__ = lazy_names(
    __name__,
    {
        "PreprocessedReader": "sa2_monai.io.readers.preprocessed",
        "Draw": "sa2_monai.data.slice_draw",
        "Fingerprint": "sa2_monai.data.fingerprint",
        "Image2DReader": "sa2_monai.io.readers.images",
        "SliceDataset": "sa2_monai.data.slice_dataset",
        "SliceSampler": "sa2_monai.data.slice_sampler",
        "VolumeReader": "sa2_monai.io.readers.volumes",
        "make_sample": "sa2_monai.data.samples.images",
        "make_sample_volumes": "sa2_monai.data.samples.volumes",
        "measure_fingerprint": "sa2_monai.data.fingerprint",
        "sample_is_current": "sa2_monai.data.samples.images",
        "sample_volumes_are_current": "sa2_monai.data.samples.volumes",
        "slice_counter": "sa2_monai.data.slice_store",
    },
    moved_names(
        __name__,
        {
            "ARCHIVE_SUFFIXES": f"{__name__}:PREPROCESSED_SUFFIXES",
            "ArchiveReader": f"{__name__}:PreprocessedReader",
            "PICTURE_SUFFIXES": f"{__name__}:IMAGE_SUFFIXES",
            "PictureReader": f"{__name__}:Image2DReader",
            "picture_size": f"{__name__}:image_size",
            "read_archive": f"{__name__}:read_preprocessed",
        },
    ),
)
