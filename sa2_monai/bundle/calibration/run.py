# SPDX-License-Identifier: Apache-2.0
"""``calibrate_run``: from the weights of a run to their temperature, scored on the test part before and after."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sa2_monai.bundle.calibration.checks import calibratable
from sa2_monai.bundle.calibration.fit import PER_CASE, SEED, Fit, fit_part
from sa2_monai.bundle.calibration.forecast import Forecaster
from sa2_monai.bundle.calibration.page import calibration_page
from sa2_monai.bundle.calibration.scores import CaseScores, part_scores, score_case
from sa2_monai.bundle.calibration.table import calibration_csv
from sa2_monai.bundle.run.evaluate import part_of
from sa2_monai.evaluation.report.html.calibration import CALIBRATION_NAME
from sa2_monai.evaluation.scores.summary import NOTICE, software
from sa2_monai.io.atomic import write_atomically, write_json
from sa2_monai.io.folders import check_writable
from sa2_monai.io.ownership import claim_folder
from sa2_monai.io.paths import verbatim_paths
from sa2_monai.weights import read_info, sha256_of
from sa2_monai.weights.save import sidecar_of
from sa2_monai.weights.temperature import TEMPERATURE

__all__ = ["CSV", "HTML", "calibrate_run", "doubts"]

#: In the output folder, beside ``calibration.json``.
CSV, HTML = "calibration.csv", "calibration.html"
_VERSION = 1


def calibrate_run(
    bundle: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    device: str | None = None,
) -> tuple[dict[str, Any], Path]:
    """Fit a temperature on the validation part, write it beside the weights, and score the test part.

    Every prediction with these weights uses the temperature from then on. The network alone is calibrated, without
    test-time augmentation.

    Args:
        bundle: folder of a run, or of another bundle with weights.
        data: other data than the run's, with a validation and a test part.
        output: folder of the results; ``eval/`` of the bundle by default.
        device: ``"cpu"``, ``"cuda:1"``; ``None`` for the GPU where there is one.

    Returns:
        The content of ``calibration.json``: ``weights``, ``temperature``, ``earlier_temperature``, ``fit``, ``cases``,
        ``test`` (``before``, ``after``: see :func:`~sa2_monai.bundle.calibration.scores.part_scores`), ``warnings``;
        and the folder. ``calibration.csv`` has the values of every case, ``calibration.html`` the plots.

    Raises:
        FileNotFoundError: no such bundle, weights or data.
        FolderInUseError: another program, such as a training, writes to the bundle.
        ValueError: a bundle that has no single network or nothing beside its weights, or data without a validation or
            test part.
    """
    loaded, weights = calibratable(bundle, device)
    where, switches, validation = part_of(loaded, data, "validation", "a temperature could be fitted")
    test = part_of(loaded, data, "test", "a temperature could be scored")[2]
    folder = Path(output or loaded.root / "eval").absolute()
    with verbatim_paths(), claim_folder(loaded.root, "calibration"):
        folder = check_writable(folder).resolve()
        forecaster = Forecaster(loaded, where, switches)
        print(f"fitting on {len(validation)} validation cases", flush=True)
        fit = fit_part(forecaster, validation)
        temperature = float(f"{fit.temperature:.4g}")
        print(f"temperature {temperature:g}; scoring {len(test)} test cases", flush=True)
        before, after = _score(forecaster, test, temperature)
        info = read_info(weights)
        document: dict[str, Any] = {
            "version": _VERSION,
            "model": loaded.root.name,
            "data": Path(where).resolve().name,
            "weights": {"file": weights.name, "sha256": sha256_of(weights)},
            "temperature": temperature,
            "earlier_temperature": info.get(TEMPERATURE),
            "fit": _fitted(fit),
            "cases": len(test),
            "test": {
                when: part_scores(list(scores.values()), forecaster.class_names)
                for when, scores in (("before", before), ("after", after))
            },
            "configuration": {"data": str(where), "network": loaded.name, "class_names": forecaster.class_names},
            "software": software(),
            "notice": NOTICE,
        }
        document["warnings"] = doubts(fit, document["test"])
        write_json(sidecar_of(weights), {**info, TEMPERATURE: temperature})
        write_atomically(folder / CSV, calibration_csv(before, after))
        written = datetime.now(timezone.utc).date().isoformat()
        write_atomically(folder / HTML, calibration_page(document, written))
        write_json(folder / CALIBRATION_NAME, document)
    return document, folder


def _score(
    forecaster: Forecaster, cases: Sequence[Mapping[str, Any]], temperature: float
) -> tuple[dict[str, CaseScores], dict[str, CaseScores]]:
    """Scores by case, before and after; one case is in memory at a time."""
    before: dict[str, CaseScores] = {}
    after: dict[str, CaseScores] = {}
    for listed in cases:
        case = forecaster.load(listed)
        for scores, divisor in ((before, 1.0), (after, temperature)):
            scores[case.name] = score_case(case, forecaster.forecast(case, divisor), len(forecaster.class_names))
    return before, after


def _fitted(fit: Fit) -> dict[str, Any]:
    names = ("cases", "pixels", "rounds", "nll_before", "nll_after")
    return {**{name: getattr(fit, name) for name in names}, "most_pixels_of_a_case": PER_CASE, "seed": SEED}


def doubts(fit: Fit, test: Mapping[str, Any]) -> list[str]:
    """What makes a temperature doubtful, one sentence each.

    Args:
        fit: on the validation part.
        test: scores of the test part, ``before`` and ``after``.
    """
    found = []
    if fit.at_a_limit:
        found.append(
            f"the likelihood has no best temperature up to {fit.temperature:.3g}, the limit: the validation part is "
            "hardly ever wrong, or the network knows nothing"
        )
    if not fit.settled:
        found.append(f"the temperature had not settled after {fit.rounds} rounds")
    if (before := test["before"]["nll"]) is not None and test["after"]["nll"] > before:
        found.append(
            "on the test part the likelihood is worse with the temperature: its cases are other than the validation's"
        )
    return found
