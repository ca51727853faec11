# SPDX-License-Identifier: Apache-2.0
"""``train_run``: from what somebody asks for to a bundle; what is wrong is refused before torch is imported."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sa2_monai.bundle.run.ids import known_ids, refuse_unknown
from sa2_monai.bundle.run.request import TrainRequest
from sa2_monai.bundle.run.target import check_target
from sa2_monai.bundle.switches.renamed import current_words

if TYPE_CHECKING:
    from sa2_monai.bundle.run.ending import RunResult

__all__ = ["train_run"]

#: Switches that name files.
_FILES = {"pretrained": "weights, or the folder of a run", "encoder_weights": "ImageNet weights of the encoder"}


def train_run(request: TrainRequest, quiet: bool = False) -> RunResult:
    """Train a network on data; the folder of the run is a bundle with the weights.

    Args:
        request: what is wanted.
        quiet: print nothing.

    Returns:
        What was reached.

    Raises:
        SwitchError: unknown ids, or values that are no choice; before anything is read or written.
        FileExistsError: the folder holds a trained run, and ``resume`` was not asked for, or something else.
        FolderInUseError: another program trains into it.
        OSError, ValueError: data, bundle or settings that do not fit; each with one clear message.
        DivergedError: a loss that is not finite; the state from before is kept.
        TrainingError: anything else that ends the training; ``logs/train.log`` has the traceback.
    """
    request = _check(request)
    from sa2_monai.bundle.run.training import train

    return train(request, quiet)


def _check(request: TrainRequest) -> TrainRequest:
    """Refuse what can be seen to be wrong at once; return the request in the present words."""
    if not request.resume:
        known, network = known_ids(request.network, request.overlays)
        request = replace(request, overrides=current_words(known, request.overrides))
        refuse_unknown(request.overrides, known, network)
    if request.data is not None and not os.path.exists(request.data):
        raise FileNotFoundError(f"{request.data}: no such file or folder; give the folder of your images and masks.")
    for name, what in _FILES.items():
        path = request.overrides.get(name)
        if not isinstance(path, str) or path[:1] in ("$", "@", "%"):
            continue
        if (os.sep in path or Path(path).suffix) and not os.path.exists(path):
            raise FileNotFoundError(f"{path}: no such file; {name} is {what}.")
    if request.output is not None and not request.resume:
        check_target(Path(request.output))
    return request
