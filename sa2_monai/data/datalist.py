# SPDX-License-Identifier: Apache-2.0
"""Data lists for MONAI: one function for all data sets, with the split and the checks before training starts."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sa2_monai.data.checks.label_tables import check_label_names, label_table
from sa2_monai.data.dataset import ListOptions
from sa2_monai.data.datasets import DATASETS
from sa2_monai.data.layouts.cases import Case, Parts
from sa2_monai.data.layouts.dataset_json import read_dataset_json
from sa2_monai.data.layouts.fold_list import is_fold_list, listed_fold
from sa2_monai.data.layouts.pairs_csv import TABLES
from sa2_monai.data.layouts.patients import add_patients
from sa2_monai.data.prepare import prepared_in_cache
from sa2_monai.data.registry import check_kind, dataset_classes, unknown_dataset
from sa2_monai.data.splits import check_disjoint, kfold, split_test
from sa2_monai.io.paths import existing_path

__all__ = ["DATASETS", "SECTIONS", "dataset_classes", "label_table", "load_datalist", "load_parts"]

logger = logging.getLogger(__name__)

SECTIONS = ("training", "validation", "test")
VALIDATIONS = ("auto", "none")


def load_datalist(
    dataset_dir: str | os.PathLike[str],
    section: str,
    dataset: str = "folder",
    fold: int | None = None,
    num_folds: int = 5,
    split_seed: int = 999,
    class_names: Sequence[str] | None = None,
    label_values: Mapping[Any, int] | str | None = None,
    in_channels: int | None = None,
    test_fraction: float = 0.2,
    check: bool = True,
    cache_dir: str | os.PathLike[str] | None = None,
    patient_pattern: str | None = None,
    split: str | None = None,
    check_labels: bool = True,
    kind: str | None = None,
    ignore_value: int | None = None,
    validation: str = "auto",
) -> list[Case]:
    """Data list of one part of a data set, checked.

    The parts are those of :func:`load_parts`; see there for how splits are made.

    Args:
        dataset_dir: folder of the data set, its ``dataset.json``, or a CSV of pairs.
        section: ``"training"``, ``"validation"`` or ``"test"``.
        dataset: a name of :data:`DATASETS` (``sa2-monai datasets list``): ``"folder"`` and ``"decathlon"`` are images
            of your own, ``"volumes"`` any folder of NIfTI, NRRD or MetaImage files, decathlon and nnU-Net included; the
            others are public data sets as downloaded, or in the preprocessed forms of the literature.
        fold: fold of the K-fold split, 0 to ``num_folds - 1``; ``None`` uses the validation part of the data set.
        num_folds: number of folds.
        split_seed: seed of the test split and of the folds (999 is SA2-Net's).
        class_names: names of the classes, background first; ``None`` for those of :func:`dataset_classes`.
        label_values: table value in the label file -> class, ``"nonzero"`` (every value but 0 is class 1) or
            ``"threshold"`` (values above 127 are class 1: masks in JPEG files). For ``None`` see :func:`label_table`
            and, for data sets that have a table by themselves, :func:`dataset_classes`.
        in_channels: channels that the images will be read with, checked; ``None`` does not check.
        test_fraction: share held out as test part where the data set lists none, in [0, 1).
        check: look at every image and label of the section and report all problems at once. Images are read; of
            volumes the headers, of preprocessed files the shapes.
        cache_dir: where files are kept that must be converted (MoNuSeg's polygons, masks of grey values); ``None`` is
            ``<dataset_dir>/.sa2_monai``.
        patient_pattern: see :func:`load_parts`.
        split: see :func:`load_parts`.
        check_labels: with ``check``, also read the labels of volumes and preprocessed files and check their values.
        kind: kind of files that the configuration reads, ``"images"``, ``"volumes"`` or ``"preprocessed"``; an error if
            those of the data set are of another kind. ``None`` does not check.
        ignore_value: value in the labels of pixels without a label, such as 255 or -1; ``None`` for the data set's own,
            where it has one.
        validation: ``"auto"``: the validation part of :func:`load_parts`; ``"none"``: nothing is held out, all
            training cases train, and the validation part is empty.

    Returns:
        List of dictionaries with ``image``, ``label`` (absolute paths; ``image`` is a list where a volume has one file
        per channel), ``case`` and, where all cases have them, ``instances`` and ``group`` (the patient); sorted.

    Raises:
        FileNotFoundError: the folder is missing.
        ValueError: unknown names, no cases, or problems of the files, each with what was found and the hint.
    """
    if section not in SECTIONS:
        raise ValueError(f"section is {section!r}, expected one of {', '.join(SECTIONS)}")
    if validation not in VALIDATIONS:
        raise ValueError(f"validation is {validation!r}, expected one of {', '.join(VALIDATIONS)}")
    if validation == "none":
        if fold is not None:
            raise ValueError(
                f"fold is {fold}, but with validation: none no part validates; leave fold out, or use validation: auto"
            )
        if section == "validation":
            return []
    dataset_dir = existing_path(dataset_dir)
    names, table = dataset_classes(dataset_dir, dataset, class_names)
    check_kind(dataset, kind)
    if label_values is not None:
        table = label_table(label_values, names)
    options = ListOptions(None if cache_dir is None else Path(cache_dir), split)
    # The test part stands without the folds, which a small training part may be too small for.
    fold_training = section != "test" and validation != "none"
    parts = _split(
        dataset_dir, dataset, fold, num_folds, split_seed, test_fraction, options, patient_pattern, fold_training
    )
    cases = parts[section]
    if not cases:
        raise ValueError(_no_cases(Path(dataset_dir), dataset, section, parts))
    missing = [str(case["case"]) for case in cases if "label" not in case]
    if missing:
        raise ValueError(
            f"{dataset_dir}: {len(missing)} of {len(cases)} {section} cases have no label ({', '.join(missing[:10])}); "
            "add 'label' entries, or use the images for prediction only"
        )
    if check:
        directory = Path(dataset_dir)
        description = directory if directory.suffix == ".json" else directory / "dataset.json"
        if DATASETS[dataset].described and description.is_file():
            check_label_names(description, read_dataset_json(description).get("labels"), table, names)
        DATASETS[dataset].check(str(dataset_dir), cases, table, in_channels, check_labels, ignore_value)
    return cases


def load_parts(
    dataset_dir: str | os.PathLike[str],
    dataset: str = "folder",
    fold: int | None = None,
    num_folds: int = 5,
    split_seed: int = 999,
    test_fraction: float = 0.2,
    cache_dir: str | os.PathLike[str] | None = None,
    patient_pattern: str | None = None,
    split: str | None = None,
) -> Parts:
    """All three parts of a data set, split where the data set does not split itself; files are not opened.

    - Test: the listed part, otherwise ``test_fraction`` of the sorted cases, drawn with ``split_seed``.
    - Validation: the listed part. Without one, or with ``fold`` given, the sorted training list is folded with the
      membership of scikit-learn's ``KFold(shuffle=True, random_state=split_seed)``; ``fold=None`` then means fold 0, of
      fewer folds where the cases are fewer than ``num_folds``, with a warning.
    - With ``fold`` given, a listed validation part is left out altogether: the published protocol folds the training
      list only.
    - Where all cases carry a ``group`` (patient) shared by several of them, groups are split instead of cases.
    - However the parts are made, no case, group or image may stand in two of them.

    Args:
        dataset_dir: see :func:`load_datalist`, as all the others.
        dataset: a name of :data:`DATASETS`.
        fold: fold or ``None``.
        num_folds: number of folds.
        split_seed: seed of the splits.
        test_fraction: share held out as test part.
        cache_dir: cache folder.
        patient_pattern: regular expression that finds the patient in a case name, such as ``"(patient\\d+)"``, where
            nothing else says whose a case is. Without it, ``group`` of ``dataset.json`` does, and for volumes also a
            table ``patients.csv`` (columns ``case`` and ``patient``) in the folder.
        split: a name of :attr:`~sa2_monai.data.dataset.DataSet.splits` of the data set, such as ``"published-like"`` of
            ``"isic2018"`` or ``"ssl4mis"`` of ``"acdc"``; ``None`` is the first of them. Or a file ``<name>.json`` with
            the cases of each fold, in the form of nnU-Net's ``splits_final.json``.

    Returns:
        ``{"training": [...], "validation": [...], "test": [...]}``; a list may be empty.

    Raises:
        FileNotFoundError: the folder is missing.
        ValueError: unknown data set, bad fold, no known layout, a missing partner, a case or patient in two parts.
    """
    options = ListOptions(None if cache_dir is None else Path(cache_dir), split)
    return _split(dataset_dir, dataset, fold, num_folds, split_seed, test_fraction, options, patient_pattern, True)


def _split(
    dataset_dir: str | os.PathLike[str],
    dataset: str,
    fold: int | None,
    num_folds: int,
    split_seed: int,
    test_fraction: float,
    options: ListOptions,
    patient_pattern: str | None,
    fold_training: bool,
) -> Parts:
    if dataset not in DATASETS:
        raise ValueError(unknown_dataset(dataset))
    fold_list = options.split if is_fold_list(options.split) else None
    if fold_list is not None:
        options = replace(options, split=None)
    if options.split is not None and not DATASETS[dataset].splits:
        raise ValueError(f"split is {options.split!r}, but {dataset!r} has one split only; leave it out")
    dataset_dir = existing_path(dataset_dir)
    directory = Path(os.path.abspath(dataset_dir))
    if not directory.exists():
        raise FileNotFoundError(f"{dataset_dir}: no such folder; give the folder of the data set as dataset_dir")
    if directory.is_file() and directory.suffix == ".json":
        dataset = dataset if dataset == "volumes" else "decathlon"
    elif not directory.is_dir() and not (directory.suffix.lower() in TABLES and DATASETS[dataset].described):
        raise ValueError(f"{dataset_dir}: is a file, expected the folder of the data set or its dataset.json")
    if fold is not None and not 0 <= fold < num_folds:
        raise ValueError(f"fold is {fold}, expected 0 to {num_folds - 1} (num_folds is {num_folds})")
    directory = prepared_in_cache(dataset, directory, options.cache_dir)
    listed = DATASETS[dataset].parts(directory, options)
    if dataset == "volumes" or patient_pattern is not None:
        add_patients(directory if directory.is_dir() else directory.parent, listed, patient_pattern)
    check_disjoint(listed)  # before the entries of single cases are dropped
    for key in ("instances", "group"):  # data loaders need the same entries in every case
        _keep_if_everywhere(listed, key)
    training, validation, test = (listed.get(section, []) for section in SECTIONS)
    if training and "test" not in listed and test_fraction > 0:
        names = [str(case["case"]) for case in training]
        try:
            rest, held_out = split_test(names, test_fraction, split_seed, _groups(training))
        except ValueError as error:
            raise ValueError(f"{dataset_dir}: {error}") from error
        training, test = [training[i] for i in rest], [training[i] for i in held_out]
        logger.info("%s lists no test part: %d cases held out by seed %d", dataset_dir, len(test), split_seed)
    if fold_training and training and (fold is not None or fold_list is not None or not validation):
        if fold_list is None:
            training, validation = _fold(dataset_dir, training, fold, num_folds, split_seed)
        else:
            training, validation = listed_fold(fold_list, fold, training)
    parts = {"training": training, "validation": validation, "test": test}
    check_disjoint(parts)
    return parts


def _fold(
    where: str | os.PathLike[str], training: list[Case], fold: int | None, num_folds: int, seed: int
) -> tuple[list[Case], list[Case]]:
    units = sorted(set(_groups(training) or [str(case["case"]) for case in training]))
    if fold is None and 2 <= len(units) < num_folds:
        # One validation part can be split off from few cases, too; a fold by number is one of a cross-validation.
        logger.warning(
            "%s: %d training cases (%d independent) are too few for %d folds; one of %d folds validates",
            *(where, len(training), len(units), num_folds, len(units)),
        )
        num_folds = len(units)
    if len(units) < num_folds:
        hint = "add images, or list a validation part" if len(units) < 2 else "add images, or lower num_folds"
        raise ValueError(
            f"{where}: {len(training)} training cases ({len(units)} independent) are too few for {num_folds} folds; "
            f"{hint}"
        )
    held_out = {units[i] for i in kfold(len(units), num_folds, seed)[fold or 0][1]}
    key = "case" if len(units) == len(training) else "group"
    return (
        [case for case in training if case[key] not in held_out],
        [case for case in training if case[key] in held_out],
    )


def _groups(cases: list[Case]) -> list[str] | None:
    """Groups of the cases if all have one and any is shared; otherwise cases are split singly."""
    groups = [case.get("group") for case in cases]
    return [str(g) for g in groups] if all(groups) and len(set(groups)) < len(groups) else None


def _keep_if_everywhere(parts: Parts, key: str) -> None:
    cases = [case for part in parts.values() for case in part]
    if not all(key in case for case in cases):
        for case in cases:
            case.pop(key, None)


def _no_cases(directory: Path, dataset: str, section: str, parts: Parts) -> str:
    counts = ", ".join(f"{len(cases)} {part}" for part, cases in parts.items())
    hint = {
        "training": "add images and labels, or list them under 'training' in dataset.json",
        "validation": "list a validation part, or give the training part enough cases to be folded",
        "test": "list a test part, or set test_fraction above 0",
    }[section]
    if not DATASETS[dataset].described:
        hint = f"unpack the {section} part of {dataset!r}, too"
        hint += f", or choose another split ({', '.join(DATASETS[dataset].splits)})" if DATASETS[dataset].splits else ""
    return f"{directory}: no {section} cases ({counts}); {hint}"
