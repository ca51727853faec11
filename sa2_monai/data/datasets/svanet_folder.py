# SPDX-License-Identifier: Apache-2.0
"""The folder layout of the published SvANet code, and SpermHealth, which is private and comes in that layout.

Homepage: https://github.com/anthonyweidai/SvANet

Licence: that of the data; SpermHealth is not public.

Citation: Dai, Liu, Wu et al., "Exploiting Scale-Variant Attention for Segmenting Small Medical Objects",
arXiv:2407.07720.

``train/<stem>.jpg``, ``val/`` and ``test/`` with images, ``mask/<stem>.png`` with the masks of all of them: palette or
grey images whose values are class numbers; 255 is ignored. Two images of one name would share a mask and are an
error: FIVES has such names in its training and test parts and must be renamed (or read with layout ``fives``).
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from sa2_monai.data.dataset import DataSet, ListOptions
from sa2_monai.data.layouts.cases import Parts, images_in, pair_by_stem
from sa2_monai.io.problems import Problems

__all__ = ["CITATION", "DATASETS", "HOMEPAGE", "SPERMHEALTH_CLASSES", "SPLITS", "svanet_folder_parts"]

HOMEPAGE = "https://github.com/anthonyweidai/SvANet"
CITATION = "Dai et al., arXiv:2407.07720"
SPERMHEALTH_CLASSES = ("background", "normal", "abnormal")
SPLITS = ("own-parts", "published")

_FOLDERS = {"training": "train", "validation": "val", "test": "test"}
_LAYOUT = "expected train/, val/ or test/ with images and mask/ with <stem>.png"


def svanet_folder_parts(directory: Path, split: str | None = None) -> Parts:
    """Data lists of SvANet's folder layout.

    Args:
        directory: folder that holds ``train``, ``val`` or ``test``, and ``mask``.
        split: ``"own-parts"`` (``None``: ``val`` validates and ``test`` tests; where only one of them is there it is
            the test part, and validation is folded out of ``train``) or ``"published"`` (``test``, or ``val`` where
            that is missing, is the test part and the other is not used; the published code chooses the best epoch on
            the part that it reports, here validation is folded out of ``train``).

    Returns:
        Cases by part.

    Raises:
        FileNotFoundError: ``train`` or ``mask`` is missing.
        ValueError: unknown split, an image without mask or the reverse, or two images of one name.
    """
    if split is not None and split not in SPLITS:
        raise ValueError(f"split is {split!r}, expected one of {', '.join(SPLITS)}")
    for name in ("train", "mask"):
        if not (directory / name).is_dir():
            raise FileNotFoundError(f"{directory / name}: no such folder; {_LAYOUT}")
    images = {part: images_in(directory / name) for part, name in _FOLDERS.items() if (directory / name).is_dir()}
    problems = Problems(str(directory))
    counts = Counter(path.stem for paths in images.values() for path in paths)
    for path in (path for paths in images.values() for path in paths if counts[path.stem] > 1):
        problems.add(
            "images of one name, which would share one mask",
            str(path),
            "rename the images and their masks so that every stem stands once over train, val and test",
        )
    problems.raise_if_any()
    part_of = {str(path): part for part, paths in images.items() for path in paths}
    parts: Parts = {part: [] for part, paths in images.items() if paths}
    for case in pair_by_stem(
        [path for paths in images.values() for path in paths], images_in(directory / "mask"), directory
    ):
        parts[part_of[case["image"]]].append(case)
    if "validation" in parts and "test" not in parts:
        parts["test"] = parts.pop("validation")
    elif split == "published":
        parts.pop("validation", None)
    return parts


def _parts(directory: Path, options: ListOptions) -> Parts:
    return svanet_folder_parts(directory, options.split)


DATASETS = {
    "svanet_folder": DataSet(
        _parts,
        title="images in the folders of SvANet's code: train/, val/ or test/, mask/",
        homepage=HOMEPAGE,
        citation=CITATION,
        ignore_value=255,
        splits=SPLITS,
    ),
    "spermhealth": DataSet(
        _parts,
        title="SpermHealth: normal and abnormal sperm cells (private; SvANet's folders)",
        homepage=HOMEPAGE,
        licence="not public",
        citation=CITATION,
        classes=SPERMHEALTH_CLASSES,
        ignore_value=255,
        splits=SPLITS,
    ),
}
