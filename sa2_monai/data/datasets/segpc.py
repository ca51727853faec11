# SPDX-License-Identifier: Apache-2.0
"""SegPC-2021: plasma cells in stained smears of multiple myeloma, as crops of single cells.

Homepage: https://segpc-2021.grand-challenge.org/SegPC-2021/

Licence: for research, as stated at the download (IEEE DataPort, doi 10.21227/7np1-2q42); not redistributed here.

Citation: Gupta, Gehlot, Goswami et al., "SegPC-2021: A challenge & dataset on segmentation of Multiple Myeloma plasma
cells from microscopic images", Medical Image Analysis 83 (2023) 102677.

As downloaded: ``TCIA_SegPC_dataset/{train,validation,test}/x/<id>.bmp``, 298, 200 and 277 images, and
``y/<id>_<k>.bmp``, one mask per cell (0, 20 cytoplasm, 40 nucleus; none of the test part). The network sees one cell at
a time: ``sa2-monai datasets prepare segpc`` cuts them out, with the nucleus as fourth channel. Arrays of Awesome-U-Net
(``cyts_tr_224x224_s2.5_X.npy`` and others) are read, too.
"""

from __future__ import annotations

import logging
import re
from functools import partial
from pathlib import Path

from sa2_monai.data.dataset import DataSet, ListOptions, Preparation
from sa2_monai.data.layouts.cases import Parts
from sa2_monai.data.preparation.cache import cache_folder
from sa2_monai.data.preparation.folder import prepared_parts_of
from sa2_monai.data.preparation.image_arrays import unpack_images
from sa2_monai.data.preparation.segpc_cells import SPLITS, cell_group, cell_jobs, cell_sections, image_of, raw_folder
from sa2_monai.io.problems import Problems, listing

__all__ = ["CITATION", "DATASETS", "HOMEPAGE", "LICENCE", "SEGPC_CLASSES", "segpc_parts"]

logger = logging.getLogger(__name__)

HOMEPAGE = "https://segpc-2021.grand-challenge.org/SegPC-2021/"
LICENCE = "research use, see the download at IEEE DataPort (doi 10.21227/7np1-2q42)"
CITATION = "Gupta et al., Medical Image Analysis 83 (2023) 102677"
SEGPC_CLASSES = ("background", "cell")

_ARRAY = re.compile(r"cyts_(tr|vl|te)_(.+)_X\.npy")
_ARRAY_PARTS = {"tr": "training", "vl": "validation", "te": "test"}


def segpc_parts(directory: Path, options: ListOptions) -> Parts:
    """Data lists of the crops.

    Args:
        directory: folder that ``sa2-monai datasets prepare segpc`` wrote, or with the arrays of Awesome-U-Net.
        options: ``split`` is one of :data:`SPLITS`, ``None`` that of the preparation; ``cache_dir`` is where arrays are
            unpacked to.

    Returns:
        Cases by part. Of a prepared folder ``image`` is a list of two files, RGB and nucleus, and ``group`` the image
        of the cell, but for the split ``published-like``, which divides images; of the arrays one file of 4 channels.

    Raises:
        ValueError: unknown split, another folder, or the data as downloaded.
        OSError: arrays cannot be unpacked.
    """
    if options.split is not None and options.split not in SPLITS:
        raise ValueError(f"split is {options.split!r}, expected one of {', '.join(SPLITS)}")
    parts = prepared_parts_of(directory, "segpc")
    if parts is not None:
        cells = sorted((case for cases in parts.values() for case in cases), key=lambda case: str(case["case"]))
        if options.split is not None:
            parts = {part: [] for part in ("training", "validation", "test")}
            for cell, section in zip(cells, cell_sections([c["case"] for c in cells], options.split), strict=True):
                cell.pop("group", None)
                parts[section].append(cell | cell_group(cell["case"], options.split))
        _report_leaks(directory, parts)
        return parts
    arrays = sorted(path for path in directory.iterdir() if _ARRAY.fullmatch(path.name))
    if arrays:
        return _array_parts(directory, arrays, options)
    if raw_folder(directory) is not None:
        raise ValueError(
            f"{directory}: holds SegPC-2021 as downloaded, expected crops of single cells; make them once with: "
            f"sa2-monai datasets prepare segpc {directory} OUT, and give OUT as dataset_dir"
        )
    raise ValueError(
        f"{directory}: is no folder that 'sa2-monai datasets prepare segpc DIR OUT' wrote, and has no arrays "
        "cyts_tr_224x224_s2.5_X.npy, ... of Awesome-U-Net; expected one of them, made of TCIA_SegPC_dataset as "
        f"downloaded from {HOMEPAGE}"
    )


def _array_parts(directory: Path, arrays: list[Path], options: ListOptions) -> Parts:
    forms = sorted({match[2] for path in arrays if (match := _ARRAY.fullmatch(path.name))})
    if len(forms) > 1:
        raise ValueError(
            f"{directory}: holds arrays of the preparations {listing(forms)}, expected one; move the others away"
        )
    if options.split is not None:
        raise ValueError(f"{directory}: the arrays are split already, split {options.split!r} cannot be; leave it out")
    cache = cache_folder(directory, options.cache_dir, "segpc")
    problems = Problems(str(directory))
    parts: Parts = {"training": [], "test": []}
    for path in arrays:
        part = _ARRAY_PARTS[path.name.split("_")[1]]
        masks = path.with_name(f"{path.name[:-5]}Y.npy")
        if not masks.is_file():
            problems.add("arrays of images without those of the masks", str(masks), "copy the missing file")
        else:
            parts[part] = unpack_images(path, masks, cache, part, channels=4, threshold=0.5)
    problems.raise_if_any()
    return parts


def _report_leaks(directory: Path, parts: Parts) -> None:
    images = [{image_of(str(case["case"])) for case in cases} for cases in parts.values()]
    divided = sum(map(len, images)) - len(set().union(*images))
    if divided:
        logger.warning(
            "%s: cells of %d images stand in two parts, as in the published split; scores are optimistic, the split "
            "'by-image' keeps them apart",
            directory,
            divided,
        )


DATASETS = {
    "segpc": DataSet(
        segpc_parts,
        title="SegPC-2021: plasma cells, crops of single cells with the nucleus as fourth channel",
        homepage=HOMEPAGE,
        licence=LICENCE,
        citation=CITATION,
        classes=SEGPC_CLASSES,
        splits=SPLITS,
        prepare_first=lambda directory: raw_folder(directory) is not None,
        preparations={
            "crops": Preparation(
                "crops of single cells, where they are, split by image", "images", partial(cell_jobs, published=False)
            ),
            "published": Preparation(
                "crops as Awesome-U-Net makes them: displaced at the border, masks added in 8 bits, images divided",
                "images",
                partial(cell_jobs, published=True),
                split="published-like",
            ),
        },
    )
}
