# SPDX-License-Identifier: Apache-2.0
"""The runs of a cross-validation: each an ordinary ``python -m monai.bundle run``, whose command line is printed."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from sa2_monai.bundle.crossval.scores import read_scores
from sa2_monai.bundle.crossval.setup import CrossvalSetup
from sa2_monai.bundle.verbatim import verbatim
from sa2_monai.io.atomic import write_json

__all__ = ["command_line_value", "run_bundle", "run_ensemble", "run_fold"]

#: Overlay with those overrides that are null.
NULLS = "null_overrides.json"


def run_fold(setup: CrossvalSetup, fold: int, resume: bool) -> dict[str, Any]:
    """Train the model of a fold and score it on the test cases.

    Args:
        setup: of the cross-validation.
        fold: number of the fold, from 0.
        resume: go on with a training that was interrupted.

    Returns:
        Its scores, see :func:`~sa2_monai.bundle.crossval.scores.read_scores`, and ``model_sha256``.

    Raises:
        RuntimeError: a run failed; its own message stands above.
    """
    from sa2_monai.weights import sha256_of

    folder = setup.output / f"fold{fold}"
    common = {"ckpt_dir": str(setup.model(fold).parent), "output_dir": str(folder), "fold": fold}
    run_bundle(setup, "train", f"training of fold {fold}", {**common, "resume": resume})
    run_bundle(setup, "evaluate", f"evaluation of fold {fold}", common)
    return {**read_scores(folder), "model_sha256": sha256_of(setup.model(fold))}


def run_ensemble(setup: CrossvalSetup) -> dict[str, Any]:
    """Score the ensemble of all folds (the average of their probabilities) on the test cases.

    Args:
        setup: of the cross-validation, whose folds are finished.

    Returns:
        Its scores.

    Raises:
        RuntimeError: the run failed; its own message stands above.
    """
    folder = setup.output / "ensemble"
    values: dict[str, Any] = {
        "ckpt_dir": str(setup.output / "models"),
        "output_dir": str(folder),
        "fold_checkpoints": [str(setup.model(fold)) for fold in range(setup.folds)],
        # The published numbers of SA2-Net's ensemble have a formula of their own.
        **({"family": "image_ensemble"} if setup.paper and setup.resolved("ensemble", "family") == "image" else {}),
    }
    run_bundle(setup, "ensemble", "evaluation of the ensemble", values)
    return read_scores(folder)


def run_bundle(setup: CrossvalSetup, step: str, what: str, values: Mapping[str, Any]) -> None:
    """Run the configuration of a step in a process of its own.

    Args:
        setup: of the cross-validation.
        step: ``"train"``, ``"evaluate"`` or ``"ensemble"``.
        what: the step in words, for the error.
        values: overrides by id that come after those of the setup.

    Raises:
        RuntimeError: the run failed; its own message stands above.
    """
    everything = {
        "dataset_dir": verbatim(setup.dataset_dir),
        "num_folds": setup.folds,
        "split_seed": setup.seed,
        **setup.overrides,
        **{name: verbatim(value) for name, value in values.items()},
        **({} if setup.tracking is None else {"tracking": setup.tracking}),
    }
    files = setup.config_files(step)
    nulls = {name: None for name, value in everything.items() if value is None}
    if nulls:  # MONAI drops None from its command line, and the value of the file would stay
        write_json(setup.output / NULLS, nulls)
        files.append(str(setup.output / NULLS))
    command = [sys.executable, "-m", "monai.bundle", "run", "--config_file", str(files)]
    for name, value in everything.items():
        if value is not None:
            command += [f"--{name}", command_line_value(value)]
    print(shlex.join(command), flush=True)
    code = subprocess.run(command, check=False).returncode
    if code:
        raise RuntimeError(
            f"the {what} failed with exit code {code}; its message stands above. Correct the cause and go on with "
            "--resume."
        )


def command_line_value(value: Any) -> str:
    """A value such that the command line of ``monai.bundle``, which Fire parses, gives it back.

    Args:
        value: text, number, boolean, or a list or table of such.
    """
    from fire.parser import DefaultParseValue  # type: ignore[import-untyped]

    if not isinstance(value, str):
        return repr(value)
    return value if DefaultParseValue(value) == value and not value.startswith("-") else repr(value)
