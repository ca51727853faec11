# SPDX-License-Identifier: Apache-2.0
"""``stress_run``: a model on images of worse quality, from its weights to ``stress.json``; finished parts are kept."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sa2_monai.bundle.loaded import load_bundle
from sa2_monai.bundle.run.evaluate import data_of
from sa2_monai.bundle.stress.conditions import CLEAN, Condition, StressTest, is_done, run_clean, run_condition
from sa2_monai.bundle.stress.corruptions import CORRUPTIONS, STRENGTHS, check_corruptions, choose_corruptions
from sa2_monai.bundle.stress.examples import Example
from sa2_monai.bundle.stress.files import look_at
from sa2_monai.bundle.stress.page import stress_page
from sa2_monai.bundle.stress.scores import condition_scores, loses_points_at, read_rows
from sa2_monai.bundle.stress.table import stress_csv
from sa2_monai.evaluation.report.html import HTML_NAME
from sa2_monai.evaluation.result import JSON_NAME
from sa2_monai.evaluation.scores.summary import NOTICE, software
from sa2_monai.io.atomic import write_atomically, write_json
from sa2_monai.io.folders import check_writable
from sa2_monai.io.ownership import claim_folder
from sa2_monai.weights import sha256_of

__all__ = ["CSV", "STATE", "stress_run"]

#: In the output folder.
STATE, CSV = "stress.json", "stress.csv"
_VERSION = 1


def stress_run(
    bundle: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] = "stress",
    *,
    section: str = "test",
    corruptions: Sequence[str] | None = None,
    seed: int = 0,
    device: str | None = None,
    resume: bool = False,
    switches: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Predict and score a data set as it is, then with every corruption at five strengths; print what is done.

    The images of one data set, seed and corruption are the same for every model: results can be compared case by case.

    Args:
        bundle: a run, or another bundle with weights.
        data: folder of the data; ``None`` for those of the run.
        output: folder of the results.
        section: part of the data: ``"test"``, ``"validation"``, ``"training"``, or ``"all"`` cases.
        corruptions: names of :data:`sa2_monai.bundle.stress.corruptions.CORRUPTIONS`; ``None`` for all that are for
            such images.
        seed: of the corruptions.
        device: ``"cpu"``, ``"cuda:1"``; ``None`` for the GPU where there is one.
        resume: go on with what an interrupted test has left in the folder.
        switches: of the bundle's evaluation, e.g. ``{"batch_size": 16}``.

    Returns:
        The content of ``stress.json``: ``model``, ``data``, ``configuration``, ``cases``, ``clean``, ``corruptions``
        (name -> ``title``, ``parameter``, ``strengths``, ``loses_5_points_at``), ``left_out`` (name -> reason),
        ``example``, ``warnings``. ``stress.csv`` has all values by case, ``report.html`` curves and images.

    Raises:
        FileNotFoundError: no such bundle, weights or data.
        FolderInUseError: another program writes to the folder.
        ValueError: unknown corruptions, data that do not fit, or a folder that holds another test.
    """
    names = check_corruptions(corruptions)
    out = Path(output).absolute()
    earlier = _read_state(out / STATE, resume)
    model = load_bundle(bundle, device=device)
    where, layout = data_of(model, data)
    switches = {**layout, **(switches or {})}
    cases = model.cases(where, section=section, **switches)
    kind = model.kind
    if kind == "preprocessed":
        raise ValueError(
            f"{where}: holds preprocessed arrays; corruptions are done to images as a camera or scanner made them. "
            "Give a model that was trained on such."
        )
    names, left_out = choose_corruptions(names, kind, *look_at(cases[0], kind))
    configuration = {
        "weights": sha256_of(model.weights) if model.weights else None,
        "data": str(where),
        "section": section,
        "cases": [str(case["case"]) for case in cases],
        "corruptions": names,
        "seed": seed,
        "switches": dict(switches),
    }
    if earlier is not None and (said := _difference(earlier["configuration"], configuration)):
        raise ValueError(f"{out} holds a test with {said}: give another --output, or the same options")
    check_writable(out)
    with claim_folder(out, "stress test"):
        test = StressTest(model, where, switches, cases, kind, seed, out)
        state = {
            "version": _VERSION,
            "model": model.root.name,
            "data": Path(where).name,
            "configuration": configuration,
            "cases": len(cases),
            "strengths": list(STRENGTHS),
            "left_out": left_out,
            "software": software(),
            "notice": NOTICE,
        }
        example = None if earlier is None or "example" not in earlier else Example(**earlier["example"])
        document = _run_conditions(test, state, names, example)
        write_json(out / STATE, document)
        written = datetime.now(timezone.utc).date().isoformat()
        write_atomically(out / HTML_NAME, stress_page(document, out, written))
    return document


def _run_conditions(
    test: StressTest, state: dict[str, Any], names: Sequence[str], example: Example | None
) -> dict[str, Any]:
    clean = Condition(CLEAN, 0)
    write_json(test.output / STATE, state)
    if example is None or not is_done(test, clean):
        example = run_clean(test)
    state["example"] = example._asdict()
    write_json(test.output / STATE, state)
    groups = _groups(test.cases)
    rows = {clean: read_rows(test.output / clean.folder)}
    scores = condition_scores(rows[clean], rows[clean], groups)
    print(f"clean: Dice {_number(scores['dice'])}", flush=True)
    found: dict[str, Any] = {}
    for name in names:
        corruption, entries = CORRUPTIONS[name], []
        for strength, value in zip(STRENGTHS, corruption.values, strict=True):
            condition = Condition(name, strength)
            kept = is_done(test, condition)
            if not kept:
                run_condition(test, condition, example)
            rows[condition] = read_rows(test.output / condition.folder)
            entry = condition_scores(rows[condition], rows[clean], groups)
            entries.append({"strength": strength, "value": value, **entry})
            said = f"Dice {_number(entry['dice'])}, loss {_number(entry['loss'])}{' (kept)' if kept else ''}"
            print(f"{corruption.title} {strength} ({value:g}): {said}", flush=True)
        means = [scores["dice"], *(entry["dice"] for entry in entries)]
        found[name] = {
            "title": corruption.title,
            "parameter": corruption.parameter,
            "strengths": entries,
            "loses_5_points_at": loses_points_at(means),
        }
    write_atomically(test.output / CSV, stress_csv(_lines(rows)))
    return {**state, "clean": scores, "corruptions": found, "warnings": _warnings(test.output / clean.folder)}


def _warnings(folder: Path) -> list[str]:
    """What makes the scores of the clean images doubtful, and with them all that is lost."""
    summary = json.loads((folder / JSON_NAME).read_text(encoding="utf-8"))
    return list(summary["warnings"])


def _lines(rows: Mapping[Condition, Sequence[Mapping[str, Any]]]) -> Iterator[dict[str, Any]]:
    for condition, found in rows.items():
        clean = condition.name == CLEAN
        value = "" if clean else CORRUPTIONS[condition.name].values[condition.strength - 1]
        for row in found:
            yield {"corruption": condition.name, "strength": condition.strength, "value": value, **row}


def _groups(cases: Sequence[Mapping[str, Any]]) -> dict[str, str] | None:
    """Patients, where all cases have one; as the evaluation takes them."""
    if not all(case.get("group") is not None for case in cases):
        return None
    return {str(case["case"]): str(case["group"]) for case in cases}


def _read_state(file: Path, resume: bool) -> dict[str, Any] | None:
    if not file.is_file():
        return None
    if not resume:
        raise ValueError(f"{file.parent} holds a stress test. Go on with --resume, or choose another --output.")
    state: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if state.get("version") != _VERSION:
        raise ValueError(f"{file} was written by another version of sa2_monai; choose another --output.")
    return state


def _difference(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The first thing that is not the same, in words; empty where all is."""
    changed = [key for key in now if json.dumps(earlier.get(key), default=str) != json.dumps(now[key], default=str)]
    return f"other {changed[0]}" if changed else ""


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
