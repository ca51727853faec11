# SPDX-License-Identifier: Apache-2.0
"""PolypGen: polyps in endoscopies of six centres, single frames and sequences, as downloaded.

Homepage: https://www.synapse.org/Synapse:syn26376615

Licence: CC BY 4.0; not redistributed here.

Citation: Ali, Jha, Ghatwary et al., "A multi-centre polyp detection and segmentation dataset for generalisability
assessment", Scientific Data 10 (2023) 75.

As downloaded (version 3): ``data_C1/images_C1/<name>.jpg`` and ``data_C1/masks_C1/<name>_mask.jpg`` to ``data_C6``
(1537 frames), ``sequenceData/positive/seq1/images_seq1`` and ``masks_seq1`` to ``seq23`` (2225 frames). The masks are
JPEG; what is above 127 is polyp. Not read: ``sequenceData/negativeOnly`` (4275 frames without masks), boxes, and
``imagesAll_positive`` (copies). Frames without a polyp have an empty mask.

The names do not say which patient a single frame, or which centre a sequence is of. Sequences are kept together; frames
of one patient, in single frames or in a sequence as well, may be divided by the default split. The split ``by-centre``
does not have that doubt. SvANet's own split is not published.
"""

from __future__ import annotations

import re
from pathlib import Path

from sa2_monai.data.dataset import DataSet, ListOptions, report_counts
from sa2_monai.data.layouts.cases import Case, Parts, images_in, pair_by_stem
from sa2_monai.data.layouts.nested import folders_below, subfolder
from sa2_monai.data.preparation.cache import cache_folder
from sa2_monai.data.preparation.masks import cache_masks
from sa2_monai.io.problems import Problems

__all__ = ["CITATION", "DATASETS", "EXPECTED", "HOMEPAGE", "LICENCE", "SPLITS", "polypgen_parts"]

HOMEPAGE = "https://www.synapse.org/Synapse:syn26376615"
LICENCE = "CC BY 4.0"
CITATION = "Ali et al., Scientific Data 10 (2023) 75"
EXPECTED: dict[str, tuple[int, ...]] = {"training": (3762,)}
SPLITS = ("by-sequence", "by-centre")

_CENTRE = re.compile(r"data_(C\d)", re.IGNORECASE)
_SEQUENCE = re.compile(r"seq\d+", re.IGNORECASE)
_TEST_CENTRE = "C6"
_BY_CENTRE: dict[str, tuple[int, ...]] = {"training": (1449,), "test": (88,)}
_HINT = "unpack the archive again"


def polypgen_parts(directory: Path, split: str | None = None, cache_dir: Path | None = None) -> Parts:
    """Data lists of PolypGen; masks are thresholded once into a cache folder.

    Args:
        directory: folder that holds ``data_C1`` and others (and ``sequenceData``), directly or one level below.
        split: ``"by-sequence"`` (``None``: single frames and sequences; the test part is held out, whole sequences at
            a time) or ``"by-centre"`` (single frames only; centre 6 is the test part, validation is one of the others).
        cache_dir: where label maps are kept, see :func:`sa2_monai.data.preparation.cache.cache_folder`.

    Returns:
        Cases named by centre or sequence and file; ``group`` is the sequence or the frame itself, or the centre.

    Raises:
        ValueError: unknown split, no such folders, a missing folder, or an image without its mask.
    """
    split = split or SPLITS[0]
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}, expected one of {', '.join(SPLITS)}")
    base = next((f for f in folders_below(directory) if any(_CENTRE.fullmatch(p.name) for p in f.iterdir())), None)
    if base is None:
        raise ValueError(
            f"{directory}: has no folders data_C1 to data_C6, here or one level below, as downloaded from {HOMEPAGE}"
        )
    problems = Problems(str(directory))
    centres = _read(base, _CENTRE, problems)
    positive = subfolder(base, "sequenceData/positive")
    sequences = _read(positive, _SEQUENCE, problems) if positive is not None and split != "by-centre" else {}
    problems.raise_if_any()
    for centre, cases in centres.items():
        for case in cases:
            case["group"] = centre if split == "by-centre" else case["case"]
    for sequence, cases in sequences.items():
        for case in cases:
            case["group"] = sequence
    everything = [case for cases in (*centres.values(), *sequences.values()) for case in cases]
    parts = {"training": everything}
    if split == "by-centre":
        if _TEST_CENTRE not in centres:
            raise ValueError(f"{base / f'data_{_TEST_CENTRE}'}: no such folder, split {split!r} tests on it; {_HINT}")
        parts = {
            "training": [case for case in everything if case["group"] != _TEST_CENTRE],
            "test": [case for case in everything if case["group"] == _TEST_CENTRE],
        }
    report_counts(directory, parts, _BY_CENTRE if split == "by-centre" else EXPECTED)
    cache_masks(str(directory), everything, cache_folder(directory, cache_dir, "polypgen") / "labels")
    return parts


def _read(base: Path, pattern: re.Pattern[str], problems: Problems) -> dict[str, list[Case]]:
    """Cases by centre or sequence, from folders ``images_<name>`` and ``masks_<name>``."""
    found: dict[str, list[Case]] = {}
    for folder in sorted(base.iterdir()):
        match = pattern.fullmatch(folder.name)
        if match is None or not folder.is_dir():
            continue
        name = (match[1] if match.groups() else match[0]).removeprefix("data_")
        images, masks = (subfolder(folder, f"{kind}_{name}") for kind in ("images", "masks"))
        if images is None or masks is None:
            kind = "images" if images is None else "masks"
            problems.add("missing folders", str(folder / f"{kind}_{name}"), _HINT)
            continue
        cases = _pairs(folder, images_in(images), images_in(masks))
        for case in cases:
            if not case["case"].lower().startswith(f"{name.lower()}_"):
                case["case"] = f"{name}_{case['case']}"
        found[name] = cases
    return found


def _pairs(folder: Path, images: list[Path], masks: list[Path]) -> list[Case]:
    stems = {path.stem for path in images}

    def stem_of(mask: Path) -> str:
        stem = mask.stem.removesuffix("_mask")
        # One image of centre 3 has an underscore at its end that its mask lacks.
        return f"{stem}_" if stem not in stems and f"{stem}_" in stems else stem

    return pair_by_stem(images, masks, folder, stem_of)


def _parts(directory: Path, options: ListOptions) -> Parts:
    return polypgen_parts(directory, options.split, options.cache_dir)


DATASETS = {
    "polypgen": DataSet(
        _parts,
        title="PolypGen: polyps in endoscopies of six centres",
        homepage=HOMEPAGE,
        licence=LICENCE,
        citation=CITATION,
        classes=("background", "polyp"),
        label_values={0: 0, 1: 1, 255: 1},
        splits=SPLITS,
        expected=EXPECTED,
    )
}
