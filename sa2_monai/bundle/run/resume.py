# SPDX-License-Identifier: Apache-2.0
"""A training that goes on where it was, with the settings that it was begun with."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from sa2_monai.bundle.locate import load
from sa2_monai.bundle.network import resolve
from sa2_monai.bundle.packaging.contents import override
from sa2_monai.bundle.run.ids import find_overlays, named_bundle, named_variant, refuse_unknown
from sa2_monai.bundle.run.request import TrainRequest
from sa2_monai.bundle.run.target import BEST, STATE, is_run
from sa2_monai.bundle.switches.renamed import current_words
from sa2_monai.evaluation.report.history import HISTORY_NAME, read_history
from sa2_monai.io.atomic import write_json
from sa2_monai.training.divergence import DivergedError

__all__ = ["resume_run"]

#: What may change from one call to the next: how long, and how the machine is used. Everything else is the model's.
_MAY_CHANGE = {
    *("max_epochs", "num_workers", "cache_rate", "log_interval", "precision", "amp"),
    *("deterministic", "matmul_precision", "cudnn_benchmark"),
    *("tracking_uri", "experiment_name", "run_name", "save_execute_config"),
}
#: Of a training that has diverged this is what to do about it.
_AFTER_DIVERGING = {"learning_rate", "min_learning_rate"}
_TRAIN = "configs/train.json"


def resume_run(request: TrainRequest) -> Path:
    """The folder of a training that goes on; values that may change are written to its configuration.

    Args:
        request: what the caller asks for, with ``resume``.

    Raises:
        FileNotFoundError: there is no such run.
        SwitchError: unknown ids, or values that are no choice.
        ValueError: other settings than the training was begun with, each with both values.
    """
    folder = Path(os.path.abspath(str(request.output)))
    if not is_run(folder):
        raise FileNotFoundError(f"{folder} holds no run that could go on. Leave --resume out to begin one.")
    then = load(folder / _TRAIN)
    (data,) = resolve(then, "dataset_dir")
    network, bundle = named_bundle(request.network)
    overlays = find_overlays(request.overlays, bundle)
    known = load(folder / _TRAIN, *overlays)
    request = replace(request, overrides=current_words(set(known), request.overrides))
    refuse_unknown(request.overrides, set(known), then["model_info"]["network"])
    for name, value in request.given.items():
        override(known, name, value)
    changed = [name for name in known if _plain(known[name]) != _plain(then.get(name))]
    wrong = [f"{name} is {_short(known[name])}, was {_short(then.get(name))}" for name in changed]
    allowed = _MAY_CHANGE | (_AFTER_DIVERGING if _has_diverged(folder) else set())
    wrong = [text for name, text in zip(changed, wrong, strict=True) if name not in allowed]
    if network not in (None, then["model_info"]["network"]):
        wrong.insert(0, f"the network is {network}, was {then['model_info']['network']}")
    for variant in named_variant(request.network).values():
        if variant != then.get("variant"):
            wrong.insert(0, f"the variant is {variant}, was {_short(then.get('variant'))}")
    if request.images is not None or request.colours is not None:
        wrong.append("--images, --labels and --colours are kept by the run")
    elif request.data is not None and not _same_data(request.data, data, folder):
        wrong.append(f"the data are {os.path.abspath(request.data)}, were {data}")
    if wrong:
        raise ValueError(
            f"{folder} was begun with other settings: {'; '.join(wrong)}. Leave them out to go on with --resume, or "
            "begin another run with another --output."
        )
    if not (folder / STATE).is_file() and (folder / BEST).is_file():
        raise FileNotFoundError(f"{folder / STATE}: no such file; without it the training cannot go on.")
    epochs, done = known["max_epochs"], _epochs_done(folder)
    if isinstance(epochs, int) and epochs < done:
        raise ValueError(
            f"max_epochs is {epochs}, but {folder} has trained {done} epochs. Give --epochs {done} or more."
        )
    if changed:
        write_json(folder / _TRAIN, known)
    return folder


def _epochs_done(folder: Path) -> int:
    rows = read_history(folder / "eval" / HISTORY_NAME)
    return int(rows[-1]["epoch"]) if rows else 0


def _has_diverged(folder: Path) -> bool:
    record = folder / "eval" / "run.json"
    content = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    return str(content.get("error", "")).startswith(DivergedError.__name__)


def _same_data(data: str | os.PathLike[str], then: str, folder: Path) -> bool:
    """Whether the data are those of the run, whichever of its files they were found by."""
    if not Path(then).is_absolute() or Path(then).is_relative_to(folder):  # a table of pairs that the run has made
        return True
    now, before = Path(os.path.realpath(data)), Path(os.path.realpath(then))
    return before == now or before.is_relative_to(now)


def _plain(value: Any) -> Any:
    """As JSON has it, which makes text of the keys of tables."""
    return json.loads(json.dumps(value))


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
