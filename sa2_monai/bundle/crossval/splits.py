# SPDX-License-Identifier: Apache-2.0
"""The cases of the folds, as the bundle's own data list has them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sa2_monai.bundle.crossval.setup import RESTORE, CrossvalSetup

if TYPE_CHECKING:
    from sa2_monai.data.layouts.cases import Parts

__all__ = ["write_fold_splits"]

#: Arguments of load_datalist, beside the folder and the folds, on which the parts depend.
_LIST_OPTIONS = ("dataset", "test_fraction", "cache_dir", "patient_pattern", "split")


def write_fold_splits(setup: CrossvalSetup, begun: bool) -> list[Parts]:
    """Write ``splits/fold<K>/<part>.txt``, or compare with what is there when a cross-validation goes on.

    Args:
        setup: of the cross-validation. Its ``fold_list``, if it has one, is made of what the label files hold.
        begun: whether it was begun before.

    Returns:
        The cases by part, for each fold.

    Raises:
        OSError: the data set is missing or a file cannot be read or written.
        ValueError: data that cannot be folded, or other cases than those that the cross-validation began with.
    """
    from sa2_monai.data import load_parts, write_splits
    from sa2_monai.data.layouts.fold_list import is_fold_list, read_fold_list

    listed = _list_options(setup)
    request = setup.request
    if setup.fold_list is not None:
        if not (begun and setup.fold_list.is_file()):
            _make_fold_list(setup, setup.fold_list, listed)
        listed["split"] = str(setup.fold_list)
    elif is_fold_list(listed.get("split")) and len(read_fold_list(listed["split"])) != request.folds:
        raise ValueError(
            f"--folds is {request.folds}, but {listed['split']} lists {len(read_fold_list(listed['split']))} folds"
        )
    splits = [
        load_parts(setup.data, fold=fold, num_folds=request.folds, split_seed=request.seed, **listed)
        for fold in range(request.folds)
    ]
    for fold, split in enumerate(splits):
        folder = setup.output / "splits" / f"fold{fold}"
        for part, cases in split.items():
            file, names = folder / f"{part}.txt", sorted(str(case["case"]) for case in cases)
            if begun and file.is_file() and file.read_text(encoding="utf-8").splitlines() != names:
                raise ValueError(f"{file} lists other cases than {setup.data} has now. {RESTORE}")
    for fold, split in enumerate(splits):
        write_splits(setup.output / "splits" / f"fold{fold}", split)
    return splits


def _make_fold_list(setup: CrossvalSetup, file: Path, listed: Mapping[str, Any]) -> None:
    """Fold the training cases so that the folds are alike."""
    from sa2_monai.data import dataset_classes, load_parts
    from sa2_monai.data.fingerprint.facts import Labels
    from sa2_monai.data.layouts.fold_list import write_fold_list
    from sa2_monai.data.stratify import stratified_folds, traits_of

    # With a fold a validation part that the data set lists is left out, as it is in the trainings; any fold will do.
    request = setup.request
    options = {**listed, "num_folds": request.folds, "split_seed": request.seed}
    parts = load_parts(setup.data, fold=0, **options)
    cases = [*parts["training"], *parts["validation"]]
    given, ignored = setup.resolved("label_values"), setup.resolved("ignore_value")
    names, table = dataset_classes(setup.data, listed["dataset"], setup.resolved("class_names"))
    labels = Labels(tuple(names), table if given is None else given, ignored, (), "", True)
    groups = [str(case["group"]) for case in cases] if all("group" in case for case in cases) else None
    traits = [traits_of(case, setup.resolved("kind"), labels) for case in cases]
    held_out = stratified_folds([str(case["case"]) for case in cases], traits, request.folds, request.seed, groups)
    write_fold_list(file, held_out)


def _list_options(setup: CrossvalSetup) -> dict[str, Any]:
    """What decides the parts beside the folds: the arguments of the bundle's own training list, resolved as it does."""
    from sa2_monai.data import DATASETS
    from sa2_monai.data.registry import check_kind, unknown_dataset

    found = setup.config["train"]["dataset"]["data"]
    if isinstance(found, Mapping):
        found = setup.resolved("train#dataset#data")
    elif isinstance(found, str) and found.startswith("$@load_datalist("):  # a call of what the configuration calls so
        found = setup.resolved("load_datalist")
    if not isinstance(found, Mapping) or "dataset" not in found:
        raise ValueError(
            f"train#dataset#data is {found!r}, which cannot be folded; expected sa2_monai.data.load_datalist"
        )
    if found["dataset"] not in DATASETS:
        raise ValueError(unknown_dataset(found["dataset"]))
    check_kind(found["dataset"], found.get("kind"))
    return {name: found[name] for name in _LIST_OPTIONS if name in found}
