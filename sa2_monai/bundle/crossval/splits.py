# SPDX-License-Identifier: Apache-2.0
"""The cases of the folds, as the bundle's own data list has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sa2_monai.bundle.crossval.setup import RESTORE, CrossvalSetup

__all__ = ["write_fold_splits"]

#: Arguments of load_datalist, beside the folder and the folds, on which the parts depend.
_LIST_OPTIONS = ("dataset", "test_fraction", "cache_dir", "patient_pattern", "split")


def write_fold_splits(setup: CrossvalSetup, resume: bool) -> list[dict[str, list[str]]]:
    """Write ``splits/fold<K>/<part>.txt``, or compare with what is there when a cross-validation is resumed.

    Args:
        setup: of the cross-validation.
        resume: whether it was begun before.

    Returns:
        Names of the cases by part, for each fold.

    Raises:
        OSError: the data set is missing or a file cannot be written.
        ValueError: data that cannot be folded, or other cases than those that the cross-validation began with.
    """
    from sa2_monai.data import load_parts, write_splits

    listed = _list_options(setup)
    splits = []
    request = setup.request
    for fold in range(request.folds):
        parts = load_parts(setup.data, fold=fold, num_folds=request.folds, split_seed=request.seed, **listed)
        splits.append({part: sorted(str(case["case"]) for case in cases) for part, cases in parts.items()})
    for fold, split in enumerate(splits):
        folder = setup.output / "splits" / f"fold{fold}"
        for part, cases in split.items():
            file = folder / f"{part}.txt"
            if resume and file.is_file() and file.read_text(encoding="utf-8").splitlines() != cases:
                raise ValueError(f"{file} lists other cases than {setup.data} has now. {RESTORE}")
    for fold, split in enumerate(splits):
        write_splits(setup.output / "splits" / f"fold{fold}", split)
    return splits


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
