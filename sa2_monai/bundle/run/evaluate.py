# SPDX-License-Identifier: Apache-2.0
"""``evaluate_run``: the test part of a run's data, or other data, scored with the run's weights."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sa2_monai.bundle.ensemble.open import is_ensemble
from sa2_monai.bundle.loaded import LoadedBundle, load_bundle
from sa2_monai.bundle.locate import find_config, load
from sa2_monai.bundle.network import resolve
from sa2_monai.bundle.run.folder import complete_run
from sa2_monai.bundle.run.target import is_run
from sa2_monai.data import find_data
from sa2_monai.data.layouts.cases import Case
from sa2_monai.evaluation import EvaluationResult
from sa2_monai.inference.runtimes import EAGER
from sa2_monai.networks import choose_precision

__all__ = ["data_of", "evaluate_run", "part_of"]


def evaluate_run(
    bundle: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    data: str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    device: str | None = None,
    tta: bool = False,
    precision: str | None = None,
    runtime: str | None = None,
    **more: Any,
) -> tuple[EvaluationResult, Path]:
    """Predict and score test cases with the bundle's ``configs/evaluate``.

    Args:
        bundle: folder of a run, or of another bundle with weights; a list of them, or the folder of a
            cross-validation: their ensemble.
        data: other data than the run's; its test part counts.
        output: folder for label maps, tables and ``report.html``; ``eval/`` of the bundle by default, of other data
            ``eval-<name>/``. An ensemble has no folder of its own: it needs one.
        device: ``"cpu"``, ``"cuda:1"``; ``None`` for the GPU where there is one.
        tta: with test-time augmentation; its results go to a folder of their own, ``eval-tta/``, ``eval-<name>-tta/``.
        precision: in which the network calculates; fp32 as the bundle says by default. Results in another one go to a
            folder of their own, ``eval-bf16/``.
        runtime: what calculates the network; the bundle's own, eager, by default. Results of another one go to a
            folder of their own, ``eval-openvino/``.
        more: values at the top of ``evaluate.yaml``, e.g. ``instances=True``, ``strata=["size"]``.

    Returns:
        The result, and the folder.

    Raises:
        FileNotFoundError: no such bundle, weights or data.
        ValueError: data that do not fit.
    """
    paths = [bundle] if isinstance(bundle, (str, os.PathLike)) else list(bundle)
    if output is None and is_ensemble(paths):
        raise ValueError("give --output, the folder for the results of an ensemble")
    loaded = load_bundle(paths, device=device)
    where, switches = data_of(loaded, data)
    precision = precision and choose_precision(precision, loaded.device, runtime=runtime or EAGER)
    given = {"tta": tta or None, "precision": precision, "runtime": runtime}
    switches |= {**more, **{switch: value for switch, value in given.items() if value is not None}}
    name = "eval" if data is None else f"eval-{Path(data).resolve().name}"
    others = ["tta"] * tta + [word for word in (precision, runtime) if word not in (None, "fp32", EAGER)]
    folder = loaded.root / "-".join([name, *others])
    folder = Path(output or folder).resolve()
    result = loaded.evaluate(where, output_dir=folder, **switches)
    # What the run says of itself stays that of the network alone.
    if data is None and not others and is_run(loaded.root) and not loaded.is_temporary:
        complete_run(loaded.root, result.summary)
    return result, folder


def data_of(loaded: LoadedBundle, data: str | os.PathLike[str] | None) -> tuple[Any, dict[str, Any]]:
    """Where the data of an evaluation are.

    Args:
        loaded: a run, or another bundle with weights.
        data: a folder; ``None`` for the data of the run.

    Returns:
        Their place, and the switches that say how they are laid out.

    Raises:
        FileNotFoundError: no such data.
        ValueError: data that nobody can be certain about.
    """
    if data is None:
        (where,) = resolve(load(find_config(loaded.root, "train")), "dataset_dir")
        return where, {}
    found = find_data(data)
    return found.path, {"layout": found.dataset}


def part_of(
    loaded: LoadedBundle, data: str | os.PathLike[str] | None, section: str, purpose: str
) -> tuple[Any, dict[str, Any], list[Case]]:
    """A part of the data of an evaluation, which has to be there.

    Args:
        loaded: see :func:`data_of`.
        data: see there.
        section: ``"validation"``, ``"test"``.
        purpose: what it is for, for the message: "settings could be chosen".

    Returns:
        What :func:`data_of` returns, and the cases.

    Raises:
        FileNotFoundError: no such data.
        ValueError: data without that part.
    """
    where, switches = data_of(loaded, data)
    cases = loaded.cases(where, section=section, **switches)
    if not cases:
        raise ValueError(f"{where} has no {section} part, on which {purpose}. Give --data with one.")
    return where, switches, cases
