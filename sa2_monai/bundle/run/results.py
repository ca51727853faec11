# SPDX-License-Identifier: Apache-2.0
"""What a package of a run takes over from it: its name, and the evaluation of its weights."""

from __future__ import annotations

import json
import re
from pathlib import Path

from sa2_monai.bundle.locate import load
from sa2_monai.bundle.network import resolve
from sa2_monai.bundle.run.target import BEST, is_run
from sa2_monai.io.digest import sha256_of

__all__ = ["name_of_package", "results_of", "results_of_ensemble"]


def results_of(folder: Path) -> Path | None:
    """``metrics_summary.json`` of the run's own evaluation; ``None`` when there is none, or of other weights.

    Args:
        folder: of a run, or of any other bundle.
    """
    summary, record = folder / "eval" / "metrics_summary.json", folder / "eval" / "run_evaluate.json"
    if not (is_run(folder) and summary.is_file() and record.is_file()):
        return None
    weights = json.loads(record.read_text(encoding="utf-8")).get("weights") or {}
    return summary if weights.get("sha256") == sha256_of(folder / BEST) else None


def results_of_ensemble(crossval: Path) -> Path | None:
    """``metrics_summary.json`` of the ensemble of a cross-validation; ``None`` when there is none, or of other weights.

    Args:
        crossval: folder of the cross-validation.
    """
    summary, models = (crossval / "ensemble" / name for name in ("metrics_summary.json", "models.json"))
    if not (summary.is_file() and models.is_file()):
        return None
    folds = (
        json.loads((crossval / "crossval.json").read_text(encoding="utf-8")).get("configuration", {}).get("folds", 0)
    )
    now = [sha256_of(crossval / f"fold{fold}" / BEST) for fold in range(folds)]
    return summary if json.loads(models.read_text(encoding="utf-8")).get("sha256") == now else None


def name_of_package(folder: Path) -> str | None:
    """Name for a package of a run, of its data and its network; ``None`` for any other bundle.

    Args:
        folder: of the bundle.
    """
    if not is_run(folder):
        return None
    train = load(folder / "configs" / "train.json")
    (data,) = resolve(train, "dataset_dir")
    where = Path(data) if Path(data).suffix == "" else Path(data).parent
    name = re.sub(r"[^A-Za-z0-9]+", "_", where.name).strip("_") or "run"
    return f"{name}_{train['model_info']['network']}_segmentation"
