# SPDX-License-Identifier: Apache-2.0
"""CVC-ClinicDB: polyps in frames of colonoscopies, as downloaded.

Homepage: https://polyp.grand-challenge.org/CVCClinicDB/

Licence: for research and education, see the homepage; not redistributed here.

Citation: Bernal, Sanchez, Fernandez-Esparrach et al., "WM-DOVA maps for accurate polyp highlighting in colonoscopy:
Validation vs. saliency maps from physicians", Computerized Medical Imaging and Graphics 43 (2015) 99-111.

As downloaded: ``Original/1.tif`` to ``612.tif`` (384 x 288, width x height) and ``Ground Truth/1.tif``, or the same as
PNG; copies have both below ``TIF`` and ``PNG``. Masks have one or three channels; what is above 127 is polyp.

The frames come from 29 video sequences, neighbours are nearly equal, so a split of frames leaks. Which frames are a
sequence is taken, in this order, from a table ``sequences.csv`` or ``metadata.csv`` in the folder (columns ``frame`` or
``frame_id``, and ``sequence`` or ``sequence_id``), from the ranges of frame numbers that circulate with the data set
(:data:`LAST_FRAMES`), or, where the files have other names, blocks of 25 neighbours are kept together.
"""

from __future__ import annotations

import bisect
import logging
from pathlib import Path

import numpy as np

from sa2_monai.data.dataset import DataSet, ListOptions, report_counts
from sa2_monai.data.layouts.cases import Case, Parts, images_in, pair_by_stem
from sa2_monai.data.layouts.nested import folder_with, subfolder
from sa2_monai.data.layouts.tables import read_table
from sa2_monai.data.preparation.cache import cache_folder
from sa2_monai.data.preparation.masks import cache_masks
from sa2_monai.io.problems import Problems, listing

__all__ = ["CITATION", "DATASETS", "EXPECTED", "HOMEPAGE", "LAST_FRAMES", "LICENCE", "SPLITS", "cvc_clinicdb_parts"]

logger = logging.getLogger(__name__)

HOMEPAGE = "https://polyp.grand-challenge.org/CVCClinicDB/"
LICENCE = "research and education, see the homepage"
CITATION = "Bernal et al., Computerized Medical Imaging and Graphics 43 (2015) 99-111"
EXPECTED: dict[str, tuple[int, ...]] = {"training": (612,)}

SPLITS = ("by-sequence", "random-80-20", "pranet")
#: Number of the last frame of each sequence; found in converters of the data set, not in its archive.
LAST_FRAMES = (
    *(25, 50, 67, 78, 103, 126, 151, 177, 199, 205, 227, 252, 277, 297, 317),
    *(342, 363, 383, 408, 428, 447, 466, 478, 503, 528, 546, 571, 591, 612),
)

_PAIRS = (("Original", "Ground Truth"), ("images", "masks"))
_TABLES = ("sequences.csv", "metadata.csv")
_BLOCK = 25
_PARTS = ("training", "validation", "test")
_FEW = 6  # one for the test part, five folds
_SEED = 999  # of the splits by frame, which were published without one
_TEST_SHARE = {"random-80-20": 0.2, "pranet": 62 / 612}


def cvc_clinicdb_parts(directory: Path, split: str | None = None, cache_dir: Path | None = None) -> Parts:
    """Data lists of CVC-ClinicDB; masks are thresholded once into a cache folder.

    Args:
        directory: folder that holds ``Original`` and ``Ground Truth``, directly or up to two levels below.
        split: ``"by-sequence"`` (``None``; the test part is held out by sequence), ``"random-80-20"`` (HSA-UNet's) or
            ``"pranet"`` (550 and 62): frames drawn with a fixed seed; their members are not the published ones, which
            are lost or unseeded, and both leak neighbouring frames.
        cache_dir: where label maps are kept, see :func:`sa2_monai.data.preparation.cache.cache_folder`.

    Returns:
        ``training`` with ``group``, the sequence; or ``training`` and ``test`` without. Where the frames are of one or
        two sequences only and no split is asked for, they have no group, and a warning says so.

    Raises:
        ValueError: unknown split, no frames, a frame without its mask, or frames that the table leaves out.
    """
    asked, split = split, split or SPLITS[0]
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}, expected one of {', '.join(SPLITS)}")
    images, labels = _folders(directory)
    cases = sorted(pair_by_stem(images_in(images), images_in(labels), directory), key=_number)
    report_counts(directory, {"training": cases}, EXPECTED)
    sequences = _sequences(directory, images, cases) if split == SPLITS[0] else None
    cache_masks(str(directory), cases, cache_folder(directory, cache_dir, "cvc_clinicdb") / "labels")
    if sequences is not None:
        number = len(set(sequences))
        if number < len(_PARTS) and asked is None:  # a handful of files to try things out with
            logger.warning(
                "%s: frames of %d of the 29 sequences only, which cannot be divided into %s; frames are divided "
                "instead, and as neighbours are nearly equal, the scores mean nothing",
                *(directory, number, ", ".join(_PARTS)),
            )
            return {"training": cases}
        for case, sequence in zip(cases, sequences, strict=True):
            case["group"] = sequence
        if number < _FEW:
            logger.warning(
                "%s: frames of %d sequences only, which may be too few to be held out and folded; the split %r divides "
                "frames",
                *(directory, number, SPLITS[1]),
            )
        return {"training": cases}
    logger.warning(
        "%s: split %r divides frames, not sequences; neighbouring frames are nearly equal, so its scores are "
        "optimistic and only fit for comparison with published ones",
        directory,
        split,
    )
    count = round(len(cases) * _TEST_SHARE[split])
    test = set(np.random.RandomState(_SEED).permutation(len(cases))[:count].tolist())
    return {
        "training": [case for i, case in enumerate(cases) if i not in test],
        "test": [case for i, case in enumerate(cases) if i in test],
    }


def _folders(directory: Path) -> tuple[Path, Path]:
    for names in _PAIRS:
        base = folder_with(directory, *names, levels=2)
        # Copies that hold both formats: the TIFF files are the data set's own.
        tif = folder_with(directory, *(f"TIF/{name}" for name in names))
        base = subfolder(tif, "TIF") if tif is not None else base
        found = [subfolder(base, name) for name in names] if base is not None else []
        if found and found[0] is not None and found[1] is not None and images_in(found[0]):
            return found[0], found[1]
    raise ValueError(
        f"{directory}: has no folders 'Original' and 'Ground Truth' with 1.tif to 612.tif (or PNG), here or up to two "
        f"levels below, as downloaded from {HOMEPAGE}"
    )


def _number(case: Case) -> tuple[int, str]:
    """Frames in the order of the videos: 2 before 10."""
    name = str(case["case"])
    return (int(name) if name.isdecimal() else -1, name)


def _sequences(directory: Path, images: Path, cases: list[Case]) -> list[str]:
    """Sequence of each case."""
    for folder in dict.fromkeys((directory, images.parent, images.parent.parent)):
        for name in _TABLES:
            table = _table(folder / name)
            if table is not None:
                return _from_table(folder / name, table, cases)
    numbers = [_number(case)[0] for case in cases]
    if min(numbers) >= 1 and max(numbers) <= LAST_FRAMES[-1]:
        logger.info("%s: sequences by the frame numbers that circulate with the data set", directory)
        return [f"sequence_{bisect.bisect_left(LAST_FRAMES, number) + 1:02d}" for number in numbers]
    logger.warning(
        "%s: the files are not named 1 to %d and no table %s says which sequence they are of; blocks of %d neighbours "
        "are kept together, which is unverified: sequences may be divided between the parts",
        directory,
        LAST_FRAMES[-1],
        " or ".join(_TABLES),
        _BLOCK,
    )
    return [f"block_{index // _BLOCK + 1:02d}" for index in range(len(cases))]


def _from_table(path: Path, table: dict[str, str], cases: list[Case]) -> list[str]:
    problems = Problems(str(path))
    for case in cases:
        if _plain(case["case"]) not in table:
            problems.add("frames that the table leaves out", str(case["image"]), "add a line, or remove the table")
    problems.raise_if_any()
    return [f"sequence_{table[_plain(case['case'])]}" for case in cases]


def _plain(name: str) -> str:
    """Stem of a file name without the zeros before a number."""
    stem = Path(name).stem
    return str(int(stem)) if stem.isdecimal() else stem


def _table(path: Path) -> dict[str, str] | None:
    """Sequence by frame; ``None`` if there is no such table."""
    if not path.is_file():
        return None
    rows = [{name.lower(): field for name, field in row.items()} for row in read_table(path)]
    columns = list(rows[0]) if rows else []
    frame = next((name for name in ("frame", "frame_id") if name in columns), None)
    sequence = next((name for name in ("sequence", "sequence_id") if name in columns), None)
    if frame is None or sequence is None:
        raise ValueError(
            f"{path}: has the columns {listing(columns) or 'of an empty file'}, expected frame (or frame_id) and "
            "sequence (or sequence_id); correct or remove the table"
        )
    return {_plain(row[frame]): row[sequence] for row in rows if row.get(frame) and row.get(sequence)}


def _parts(directory: Path, options: ListOptions) -> Parts:
    return cvc_clinicdb_parts(directory, options.split, options.cache_dir)


DATASETS = {
    "cvc_clinicdb": DataSet(
        _parts,
        title="CVC-ClinicDB: polyps in frames of colonoscopies",
        homepage=HOMEPAGE,
        licence=LICENCE,
        citation=CITATION,
        classes=("background", "polyp"),
        label_values={0: 0, 1: 1, 255: 1},
        splits=SPLITS,
        expected=EXPECTED,
    )
}
