# SPDX-License-Identifier: Apache-2.0
"""Public data sets by what only they have: their own folders and file names, as downloaded."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from sa2_monai.data.layouts.nested import folder_with, folders_below

__all__ = ["prepared_sets", "public_sets"]


def public_sets(directory: Path) -> list[str]:
    """Names of the data sets in the registry that a folder certainly is; several where it can be read in several ways.

    Args:
        directory: an existing folder.
    """
    return [name for name, fits in _SIGNS.items() if fits(directory)]


def prepared_sets(directory: Path) -> list[str]:
    """Names that the registry may have for what ``sa2-monai datasets prepare`` has laid down in a folder.

    Args:
        directory: an existing folder.
    """
    path = directory / "manifest.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
    except (OSError, ValueError):
        return []
    if not isinstance(content, dict) or not {"dataset", "form"} <= content.keys():
        return []
    return [f"{content['dataset']}_{content['form']}", str(content["dataset"])]


def _named(pattern: str, levels: int, *beside: str) -> Callable[[Path], bool]:
    """Whether a folder, or one below, holds a file or folder of a name, and others of fixed names."""
    expression = re.compile(pattern)

    def fits(directory: Path) -> bool:
        for folder in folders_below(directory, levels):
            match = next((m for path in folder.iterdir() if (m := expression.fullmatch(path.name))), None)
            if match is not None and all((folder / match.expand(name)).exists() for name in beside):
                return True
        return False

    return fits


def _monuseg(directory: Path) -> bool:
    return folder_with(directory, "Tissue Images", "Annotations", levels=2) is not None and _named(r"TCGA-.*\.xml", 3)(
        directory
    )


def _fives(directory: Path) -> bool:
    base = folder_with(directory, "train/Original", "test/Original", "train/Ground truth", levels=2)
    return base is not None and _named(r"\d+_[ADGN]\.png", 2)(base)


def _cvc(directory: Path) -> bool:
    base = folder_with(directory, "Original", "Ground Truth")
    return base is not None and (base / "Original").is_dir() and len(list((base / "Original").glob("*.*"))) == 612


_SIGNS: dict[str, Callable[[Path], bool]] = {
    "acdc": _named(r"Info\.cfg", 3),
    "acdc_archive": _named(r"case_\d{3}_(slice(ED|ES)_\d+|volume_(ED|ES))\.npz", 2),
    "acdc_ssl4mis": _named(r"patient\d{3}_frame\d\d(_slice_\d+)?\.h5", 3),
    "atlas": _named(r"imagesTr", 3, "imagesTr/im0.nii.gz", "labelsTr/lb0.nii.gz"),
    "cvc_clinicdb": _cvc,
    "fives": _fives,
    "fives_vessels": _fives,
    "glas": _named(r"(train|testA)_(\d+)\.bmp", 2, r"\1_\2_anno.bmp"),
    "isic2018": _named(r"ISIC2018_Task1-2_(Training|Validation|Test)_Input", 1),
    "kits23": _named(r"kits23\.json", 1),
    "monuseg": _monuseg,
    "segpc": _named(r"TCIA_SegPC_dataset", 1),
    "synapse": _named(r"img", 4, "img/img0001.nii.gz", "label/label0001.nii.gz"),
    "synapse_archive": _named(r"train_npz", 1, "test_vol_h5"),
    "tissuenet": _named(r"tissuenet_v1\..*_train\.npz", 1),
}
