# SPDX-License-Identifier: Apache-2.0
"""The files that make the folder of a run a bundle: written before the training, completed after it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sa2_monai.bundle.baselines import source_of
from sa2_monai.bundle.locate import load
from sa2_monai.bundle.packaging.contents import BundleContents, settings_of
from sa2_monai.bundle.packaging.documents import write_configs, write_documents
from sa2_monai.bundle.packaging.metadata import eval_metrics
from sa2_monai.bundle.run.setup import RunSetup
from sa2_monai.bundle.run.target import BEST, LOG
from sa2_monai.data.layouts.pairs_csv import write_pairs
from sa2_monai.io.atomic import write_json
from sa2_monai.weights import read_info

__all__ = ["complete_run", "write_run"]


def write_run(setup: RunSetup) -> None:
    """Write all files of the run's bundle but its weights; with weights the folder is a bundle.

    Args:
        setup: what was decided.

    Raises:
        OSError: a file cannot be written.
    """
    folder = setup.folder
    log = folder / LOG
    log.parent.mkdir(parents=True, exist_ok=True)
    log.touch()  # first: by this the folder is known as that of a run
    write_configs(folder, setup.contents)
    if setup.pairs is not None:
        write_pairs(setup.data, setup.pairs.parts)
    if setup.plan is not None:
        setup.plan.write(folder / "configs" / "plan.yaml")
    write_documents(folder, setup.contents, None, None, scripted=False)


def complete_run(folder: Path, results: Mapping[str, Any] | None = None) -> None:
    """Bring model card and metadata up to date with the weights, and with an evaluation of them.

    Args:
        folder: of the run.
        results: content of ``metrics_summary.json``; ``None`` when the weights have not been evaluated.

    Raises:
        OSError: a file cannot be written.
    """
    configs = folder / "configs"
    train, inference = (load(configs / f"{stem}.json") for stem in ("train", "inference"))
    metadata = json.loads((configs / "metadata.json").read_text(encoding="utf-8"))
    metadata["eval_metrics"] = {} if results is None else eval_metrics(results)
    write_json(configs / "metadata.json", metadata)
    # The texts about the network are those of its own bundle; all else is said by the run.
    source = source_of(train["model_info"]["network"])
    contents = BundleContents(source, str(train["layout"]), train, inference, metadata, settings_of(inference))
    weights = folder / BEST
    write_documents(folder, contents, read_info(weights) if weights.is_file() else None, results, scripted=False)
