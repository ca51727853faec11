# SPDX-License-Identifier: Apache-2.0
"""GlaS (Warwick-QU): glands in colon tissue, as downloaded or in the prepared layout of the published code.

Homepage: https://warwick.ac.uk/fac/cross_fac/tia/data/glascontest

Licence: for research, as stated on the homepage (registration); not redistributed here.

Citation: Sirinukunwattana, Pluim, Chen et al., "Gland segmentation in colon histology images: The GlaS challenge
contest", Medical Image Analysis 35 (2017) 489-502.

As downloaded: ``train_1.bmp`` to ``train_85.bmp``, ``testA_1`` to ``testA_60``, ``testB_1`` to ``testB_20``, each with
``<stem>_anno.bmp`` (0 background, one value per gland), and ``Grade.csv``. The published test part is A and B:
80 images.
"""

from __future__ import annotations

import logging
from pathlib import Path

from sa2_monai.data.dataset import DataSet, report_counts
from sa2_monai.data.layouts.cases import Parts, images_in, pair_by_stem
from sa2_monai.data.layouts.nested import folders_below
from sa2_monai.data.layouts.tables import read_table
from sa2_monai.data.layouts.uctransnet import is_prepared, prepared_parts

__all__ = ["CITATION", "DATASETS", "EXPECTED", "HOMEPAGE", "LICENCE", "glas_parts"]

logger = logging.getLogger(__name__)

HOMEPAGE = "https://warwick.ac.uk/fac/cross_fac/tia/data/glascontest"
LICENCE = "research use, see the homepage"
CITATION = "Sirinukunwattana et al., Medical Image Analysis 35 (2017) 489-502"
#: Number of images by part, as published.
EXPECTED: dict[str, tuple[int, ...]] = {"training": (85,), "test": (80,)}


def glas_parts(directory: Path) -> Parts:
    """Data lists of GlaS by the official split.

    Args:
        directory: folder with the BMP files (or one or two above it), or with ``Train_Folder`` and others.

    Returns:
        Cases of ``training`` and ``test`` (A and B). As downloaded they carry ``instances`` (the label file itself)
        and, where ``Grade.csv`` has them, ``patient`` and ``grade``; the official split and the published folds do not
        respect patients.

    Raises:
        ValueError: no images of GlaS, or an image without its label.
    """
    if is_prepared(directory):
        parts = prepared_parts(directory)
        report_counts(directory, parts, EXPECTED)
        return parts
    folder = _image_folder(directory)
    files = images_in(folder)
    labels = [path for path in files if path.stem.endswith("_anno")]
    images = [
        path for path in files if path.stem.startswith(("train_", "testA_", "testB_")) and path not in set(labels)
    ]
    grades = _grades(folder / "Grade.csv")
    parts = {}
    for case in pair_by_stem(images, labels, folder, lambda path: path.stem.removesuffix("_anno")):
        case["instances"] = case["label"]
        case.update(grades.get(case["case"], {}) if grades else {})
        part = "training" if case["case"].startswith("train_") else "test"
        parts.setdefault(part, []).append(case)
    report_counts(directory, parts, EXPECTED)
    return parts


def _image_folder(directory: Path) -> Path:
    """The nearest folder that holds the BMP files: this one, or up to two levels below."""
    for folder in folders_below(directory, levels=2):
        if any(path.stem.endswith("_anno") for path in images_in(folder)):
            return folder
    raise ValueError(
        f"{directory}: no files <stem>_anno.bmp, expected train_1.bmp, train_1_anno.bmp, ... as downloaded from "
        f"{HOMEPAGE}, or Train_Folder/{{img,labelcol}} and Test_Folder"
    )


def _grades(path: Path) -> dict[str, dict[str, str]] | None:
    """Patient and grade by case; ``None`` unless the table has every column that is needed."""
    if not path.is_file():
        return None
    rows = read_table(path)
    if not rows or not {"name", "patient ID", "grade (GlaS)"} <= set(rows[0]):
        logger.warning("%s: has not the columns 'name', 'patient ID' and 'grade (GlaS)'; ignored", path)
        return None
    return {row["name"]: {"patient": row["patient ID"], "grade": row["grade (GlaS)"]} for row in rows}


#: Instance numbers: every value but 0 is foreground.
DATASETS = {
    "glas": DataSet(
        lambda directory, options: glas_parts(directory),
        title="GlaS (Warwick-QU): glands in colon tissue, H&E",
        homepage=HOMEPAGE,
        licence=LICENCE,
        citation=CITATION,
        label_values="nonzero",
        expected=EXPECTED,
    )
}
