# SPDX-License-Identifier: Apache-2.0
"""All results of a comparison: the content of ``compare.json``, from which the report and the table are written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sa2_monai.bundle.comparison.caveats import caveats, constant_warnings
from sa2_monai.bundle.comparison.costs import choose_cases, measure_costs
from sa2_monai.bundle.comparison.recommend import Candidate, recommend
from sa2_monai.bundle.comparison.request import CompareRequest
from sa2_monai.bundle.comparison.robustness import stress_networks
from sa2_monai.bundle.comparison.scores import METRICS, scores_of
from sa2_monai.bundle.comparison.trainings import runs_of, settings_of
from sa2_monai.bundle.crossval.run import STATE as CROSSVAL
from sa2_monai.bundle.launch import JobError
from sa2_monai.bundle.locate import load
from sa2_monai.evaluation import EvaluationResult
from sa2_monai.evaluation.pairwise import compare_pairs

__all__ = ["describe"]


def describe(
    request: CompareRequest, state: Mapping[str, Any], results: Mapping[str, EvaluationResult]
) -> dict[str, Any]:
    """Put together what the folders of the networks hold, compare, measure, recommend.

    Args:
        request: what was wanted.
        state: ``configuration`` and ``networks``.
        results: out of fold, by name of the network; of one that failed there is none.

    Raises:
        ValueError: the networks were scored on other cases.
    """
    networks = {name: dict(entry) for name, entry in state["networks"].items()}
    for name, result in results.items():
        folder = Path(networks[name]["folder"])
        runs, settings = runs_of(folder, request.folds), settings_of(folder)
        networks[name] |= {"scores": scores_of(result), "runs": runs, "settings": settings, "test": _test(folder)}
    pairs = compare_pairs(results, METRICS)
    costs = _costs(request, networks, results)
    first = next(iter(results))
    document = {
        **state,
        "data_name": Path(request.data).resolve().name,
        "kind": _kind(Path(networks[first]["folder"])),
        "unit": results[first].summary["protocol"]["unit"],
        "networks": networks,
        "pairs": pairs,
        "costs": costs,
        "stress": _stress(request, networks, results),
    }
    found = recommend(_candidates(networks, costs), pairs)
    document["recommendation"] = {"choice": found.choice, "basis": found.basis, "sentences": list(found.sentences)}
    document["caveats"] = caveats(document)
    return document


def _costs(
    request: CompareRequest, networks: Mapping[str, Mapping[str, Any]], results: Mapping[str, EvaluationResult]
) -> dict[str, Any] | None:
    """``None`` when measuring failed; its message was printed."""
    folders = {name: Path(networks[name]["folder"]) for name in results}
    images = next(iter(results.values())).images
    cases = choose_cases(images, _kind(next(iter(folders.values()))))
    switches = {"tta": True} if request.tta else {}
    runs = {name: folder / "fold0" for name, folder in folders.items()}
    try:
        return measure_costs(runs, cases, Path(request.output).absolute(), request.devices, request.device, switches)
    except JobError as error:
        print(f"no times and memory: {error}", flush=True)
        return None


def _stress(request: CompareRequest, networks: Mapping[str, Mapping[str, Any]], names: Iterable[str]) -> dict[str, Any]:
    if not request.stress:
        return {}
    runs = {name: Path(networks[name]["folder"]) / "fold0" for name in names}
    device = request.device if request.devices is None else request.devices[0]
    return stress_networks(runs, Path(request.output).absolute(), device)


def _candidates(networks: Mapping[str, Mapping[str, Any]], costs: Mapping[str, Any] | None) -> list[Candidate]:
    found = []
    for name, entry in networks.items():
        dice = entry["scores"]["overall"]["dice"]["mean"] if "scores" in entry else None
        if dice is not None:
            counts = entry["scores"]["counts"]
            seconds = costs["networks"][name]["seconds"] if costs else None
            structures = counts["ok"] + counts["missed"]
            has_learned = len(constant_warnings(entry)) < len(entry["scores"]["per_class"])
            found.append(Candidate(name, dice, seconds, counts["missed"], structures, has_learned))
    return found


def _test(folder: Path) -> dict[str, Any] | None:
    """Scores of the ensemble of all folds on the test part; ``None`` without one."""
    state: dict[str, Any] = json.loads((folder / CROSSVAL).read_text(encoding="utf-8"))
    return state["ensemble"]


def _kind(folder: Path) -> str:
    return str(load(folder / "fold0" / "configs" / "train.json")["kind"])
