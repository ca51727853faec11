# SPDX-License-Identifier: Apache-2.0
"""Public data sets by what only they have: their own folders and file names, as downloaded."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

__all__ = ["prepared_sets", "public_sets"]

#: Names of the entries of folders by level below the data set's folder; each folder is read once.
_Tree = list[list[tuple[Path, list[str]]]]
_LEVELS = 4


def public_sets(directory: Path) -> list[str]:
    """Names of the data sets in the registry that a folder certainly is; several where it can be read in several ways.

    Args:
        directory: an existing folder.
    """
    tree = _tree(directory)
    return [name for name, fits in _SIGNS.items() if fits(tree)]


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


def _tree(directory: Path) -> _Tree:
    tree: _Tree = []
    level = [directory]
    for _ in range(_LEVELS + 1):
        below: list[Path] = []
        read: list[tuple[Path, list[str]]] = []
        for folder in level:
            try:
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError:
                continue
            read.append((folder, [entry.name for entry in entries]))
            below += [folder / e.name for e in entries if not e.name.startswith((".", "__MACOSX")) and e.is_dir()]
        tree.append(read)
        level = below
    return tree


def _named(pattern: str, levels: int, *beside: str) -> Callable[[_Tree], bool]:
    """Whether a folder, or one below, holds a file or folder of a name, and others of fixed names."""
    expression = re.compile(pattern)

    def fits(tree: _Tree) -> bool:
        for folder, names in (pair for level in tree[: levels + 1] for pair in level):
            match = next((match for name in names if (match := expression.fullmatch(name))), None)
            if match is not None and all((folder / match.expand(name)).exists() for name in beside):
                return True
        return False

    return fits


def _all_of(*signs: Callable[[_Tree], bool]) -> Callable[[_Tree], bool]:
    return lambda tree: all(fits(tree) for fits in signs)


def _files(folder: str, count: int, levels: int, beside: str) -> Callable[[_Tree], bool]:
    """Whether a folder of a name holds so many files, and another one lies beside it."""

    def fits(tree: _Tree) -> bool:
        places = [(where, names) for level in tree[1 : levels + 2] for where, names in level if where.name == folder]
        return any(len(names) == count and (where.parent / beside).is_dir() for where, names in places)

    return fits


_FIVES = _all_of(_named("train", 2, "train/Original", "train/Ground truth"), _named(r"\d+_[ADGN]\.png", 4))
_SIGNS: dict[str, Callable[[_Tree], bool]] = {
    "acdc": _named(r"Info\.cfg", 3),
    "acdc_archive": _named(r"case_\d{3}_(slice(ED|ES)_\d+|volume_(ED|ES))\.npz", 2),
    "acdc_ssl4mis": _named(r"patient\d{3}_frame\d\d(_slice_\d+)?\.h5", 3),
    "atlas": _named(r"imagesTr", 3, "imagesTr/im0.nii.gz", "labelsTr/lb0.nii.gz"),
    "cvc_clinicdb": _files("Original", 612, 1, "Ground Truth"),
    "fives": _FIVES,
    "fives_vessels": _FIVES,
    "glas": _named(r"(train|testA)_(\d+)\.bmp", 2, r"\1_\2_anno.bmp"),
    "isic2018": _named(r"ISIC2018_Task1-2_(Training|Validation|Test)_Input", 1),
    "kits23": _named(r"kits23\.json", 1),
    "monuseg": _all_of(_named("Tissue Images", 2, "Annotations"), _named(r"TCGA-.*\.xml", 3)),
    "segpc": _named(r"TCIA_SegPC_dataset", 1),
    "synapse": _named(r"img", 4, "img/img0001.nii.gz", "label/label0001.nii.gz"),
    "synapse_archive": _named(r"train_npz", 1, "test_vol_h5"),
    "tissuenet": _named(r"tissuenet_v1\..*_train\.npz", 1),
}
