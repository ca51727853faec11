# SPDX-License-Identifier: Apache-2.0
"""Which bundles can be calibrated: one network, with weights beside which something can be written."""

from __future__ import annotations

import os
from pathlib import Path

from sa2_monai.bundle.ensemble.open import is_ensemble
from sa2_monai.bundle.included import is_included
from sa2_monai.bundle.loaded import LoadedBundle, load_bundle
from sa2_monai.weights import read_info
from sa2_monai.weights.save import sidecar_of

__all__ = ["calibratable"]


def calibratable(bundle: str | os.PathLike[str], device: str | None = None) -> tuple[LoadedBundle, Path]:
    """A bundle whose weights can be given a temperature.

    Args:
        bundle: folder of a run, or of another bundle with weights.
        device: ``"cpu"``, ``"cuda:1"``; ``None`` for the GPU where there is one.

    Returns:
        The bundle and its weight file.

    Raises:
        FileNotFoundError: no such bundle, or one without weights.
        ValueError: an ensemble, a zip file, weights without sidecar, or a bundle that comes with the package.
    """
    if is_ensemble([bundle]):
        raise ValueError(_of_members(bundle))
    loaded = load_bundle(bundle, device=device)
    if loaded.is_temporary:
        raise ValueError(f"{bundle} is a zip file, beside whose weights nothing can be written. Unpack it first.")
    if loaded.weights is None:
        loaded.network()  # says what is missing
    assert loaded.weights is not None
    if is_included(loaded.root):
        raise ValueError(
            f"{bundle} comes with the package, in which nothing is written. Train it on your data, or make a bundle of "
            "its weights (sa2-monai package), and calibrate that."
        )
    sidecar = sidecar_of(loaded.weights)
    if not sidecar.is_file():
        raise ValueError(
            f"{loaded.weights} has no {sidecar.name} beside it, in which the temperature would stand. Give a run, or "
            "import the weights (sa2-monai import-weights)."
        )
    if "ensemble" in read_info(loaded.weights):
        raise ValueError(_of_members(bundle))
    if loaded.settings.get("view") == "paper":
        raise ValueError(
            f"{bundle}: its view is 'paper', which has label maps only and no probabilities on the grid of the files. "
            "Calibrate weights with the view whole or windows."
        )
    return loaded, loaded.weights


def _of_members(bundle: str | os.PathLike[str]) -> str:
    return (
        f"{bundle} is an ensemble, whose networks have a temperature each. Calibrate its members (the runs, or the "
        "folds of the cross-validation) one by one; an ensemble of calibrated members uses their temperatures."
    )
