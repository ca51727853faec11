# SPDX-License-Identifier: Apache-2.0
"""Pairing of predictions and references by case name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sa2_monai.io.label_maps import PREPROCESSED, case_name, is_supported
from sa2_monai.io.names import same_forms

__all__ = ["PROBABILITY_SUFFIX", "collect", "collect_images", "collect_probabilities", "pair"]

PROBABILITY_SUFFIX = "_prob"
# Of the files that lie beside label maps.
_COMPANIONS = (PROBABILITY_SUFFIX, "_entropy", "_variance")


def _add(cases: dict[str, Any], path: Path, role: str, suffix: str) -> None:
    case = case_name(path)
    if suffix and case.endswith(suffix):
        case = case[: -len(suffix)]
    if case in cases:
        raise ValueError(f"two {role} files for the case {case!r}: {cases[case]} and {path}; keep one")
    cases[case] = path


def _files(directory: Path, role: str) -> list[Path]:
    found = sorted(p for p in directory.iterdir() if p.is_file() and not p.name.startswith("."))
    files = [p for p in found if is_supported(p)]
    if not files and role == "reference":
        files = [p for p in found if p.name.lower().endswith(PREPROCESSED)]
    if not files:
        raise ValueError(f"{directory}: holds no {role} files (PNG, TIFF, BMP, NIfTI, NRRD, MHA, NPY or DICOM SEG)")
    return files


def collect(source: Any, role: str, suffix: str = "") -> dict[str, Any]:
    """Find the files of a set of cases.

    Args:
        source: a directory, a list of files, or a mapping from case to path or array.
        role: ``"prediction"`` or ``"reference"``, for messages. In a directory of predictions the maps of
            probabilities and uncertainty (``<case>_prob.*``) beside ``<case>.*`` are left out.
        suffix: ending of the file names that is not part of the case, e.g. ``"_anno"``.

    Returns:
        Mapping from case to path or array, sorted by case.

    Raises:
        FileNotFoundError: when a directory does not exist.
        ValueError: when there are no files, or two for one case.
    """
    cases: dict[str, Any] = {}
    if isinstance(source, Mapping):
        cases = {str(case): value for case, value in source.items() if value is not None}
        for case, value in cases.items():
            if isinstance(value, (str, Path)):
                cases[case] = Path(value)
    else:
        if isinstance(source, (str, Path)):
            path = Path(source)
            if not path.exists():
                raise FileNotFoundError(f"{path}: no such folder or file ({role}s)")
            files: Iterable[Path] = _files(path, role) if path.is_dir() else [path]
            if role == "prediction" and path.is_dir():
                names = {case_name(f) + ending for f in files for ending in _COMPANIONS}
                files = [f for f in files if case_name(f) not in names]
        elif isinstance(source, Sequence) and all(isinstance(item, (str, Path)) for item in source):
            files = [Path(item) for item in source]
            folder = next((item for item in files if item.is_dir()), None)
            if folder is not None:
                raise ValueError(
                    f"{folder}: is a folder in a list of {role} files; give one folder alone (several are the models "
                    "of the paper family 'image_ensemble')"
                )
        else:
            raise ValueError(
                f"{role}s are given as {type(source).__name__}, expected a folder, a list of files, or a mapping from "
                "case to file"
            )
        for file in files:
            _add(cases, file, role, suffix)
    if not cases:
        raise ValueError(f"there are no {role}s: {source!r}"[:300])
    return dict(sorted(cases.items()))


def collect_probabilities(source: Any, suffix: str = "") -> dict[str, Any]:
    """Find the probability maps of a set of cases: ``<case>_prob.*`` where there are such files, else all files.

    Args:
        source: a directory, a list of files, or a mapping from case to path or array.
        suffix: as in :func:`collect`.

    Raises:
        FileNotFoundError: when a directory does not exist.
        ValueError: when there are no files, or two for one case.
    """
    if isinstance(source, (str, Path)) and Path(source).is_dir():
        maps = [f for f in _files(Path(source), "prediction") if case_name(f).endswith(PROBABILITY_SUFFIX)]
        if maps:
            return collect(maps, "prediction", PROBABILITY_SUFFIX)
    return collect(source, "prediction", suffix)


def collect_images(source: Any, references: Mapping[str, Any]) -> dict[str, Any]:
    """Find the images of a set of cases; of nnU-Net's channels ``<case>_0000``, ``<case>_0001`` the first is taken.

    Args:
        source: a directory, a list of files, or a mapping from case to path or array.
        references: mapping whose keys are the cases.

    Raises:
        FileNotFoundError: when a directory does not exist.
        ValueError: when there are no files, or two for one case.
    """
    images = same_forms(collect(source, "image"), references)
    for case in references:
        if case not in images and f"{case}_0000" in images:
            images[case] = images[f"{case}_0000"]
    return images


def pair(predictions: Mapping[str, Any], references: Mapping[str, Any], allow_missing: bool) -> list[str]:
    """Compare the two sets of cases.

    Args:
        predictions: mapping from case to path or array.
        references: the same; these are the cases of the split.
        allow_missing: whether cases without a prediction are counted as missed instead of refused.

    Returns:
        Warnings: cases without a prediction, predictions without a reference.

    Raises:
        ValueError: when no case has a prediction, or one has none and ``allow_missing`` is off.
    """
    present = {case for case, item in predictions.items() if not isinstance(item, Path) or item.is_file()}
    missing = [case for case in references if case not in present]
    if len(missing) == len(references):
        found = ", ".join(list(predictions)[:3])
        expected = ", ".join(list(references)[:3])
        raise ValueError(
            f"no prediction belongs to any of the {len(references)} references: predictions are named {found}, "
            f"references {expected}; the names without extension must be equal (or give the ending as suffix)"
        )
    if missing and not allow_missing:
        raise ValueError(f"{len(missing)} of {len(references)} cases have no prediction: {', '.join(missing[:10])}")
    notes = [
        f"missing_prediction: case {case} has no prediction and counts as missed in all classes" for case in missing
    ]
    extra = [case for case in predictions if case not in references]
    if extra:
        notes.append(f"unused_predictions: {len(extra)} without a reference: {', '.join(extra[:10])}")
    return notes
