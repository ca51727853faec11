# SPDX-License-Identifier: Apache-2.0
"""Running one case as a user does: ``monai.bundle.run`` with the bundle's files and switches, the console script."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import monai.bundle
from monai.utils import set_determinism

from freeze import digests
from freeze.cases import NETWORKS, OVERLAYS, SMALL, Case


def configuration(case: Case) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Overlays of a case after ``train`` or ``inference``, and its switches."""
    overlay, switches = OVERLAYS.get(f"{case.bundle}/{case.data}", OVERLAYS[case.data])
    names = (*([overlay] if overlay else []), *(["paper"] if case.view == "paper" else []))
    view = {} if case.view == "paper" else {"view": case.view}
    return names, {**SMALL, **NETWORKS[case.bundle], **switches, **view, **case.switches}


def freeze(case: Case, root: Path, data: Path, work: Path) -> dict[str, Any]:
    """Train, evaluate and predict; digests of what is left in ``work``.

    Args:
        case: row of the table.
        root: checkout whose bundles and package are used.
        data: folder of the data set.
        work: empty folder for everything that is written.

    Returns:
        Items by name: digests by file, the curves of the training, and mean scores, which are for the reader alone.
    """
    configs = root / "bundles" / case.bundle / "configs"
    names, switches = configuration(case)

    def run(*files: str, **more: Any) -> None:
        paths = [str(configs / f"{name}.yaml") for name in files]
        known = monai.bundle.ConfigParser.load_config_files(paths)
        if files[0] == "train" and (missing := case.switches.keys() - known.keys()):
            raise ValueError(f"{paths[0]} has no switch {', '.join(sorted(missing))}")
        given = {key: value for key, value in switches.items() if key in known}
        kind = "inference" if files[0] == "inference" else "train"
        monai.bundle.run(config_file=paths, workflow_type=kind, logging_file=False, **given, **more)
        set_determinism(None)

    places = {"bundle_root": str(work), "ckpt_dir": str(work / "models"), "dataset_dir": str(data)}
    run("train", *names, *case.overlays, **places, output_dir=str(work / "training"))
    found: dict[str, Any] = {"weights": digests.weights(work / "models"), "curves": digests.curves(work / "training")}
    scores = {}
    steps = [("evaluation", ("evaluate",), case.evaluation)]
    if case.view == "paper":
        steps.append(("paper evaluation", ("evaluate", "evaluate_paper"), case.published))
    for item, ending, further in steps:
        output = work / item.replace(" ", "_")
        run("train", *names, *ending, **places, output_dir=str(output), **further)
        found[f"{item}: label maps"] = digests.maps(output / "predictions")
        found[f"{item}: tables"] = digests.tables(output, work, data)
        scores[item] = json.loads((output / "metrics_summary.json").read_text("utf-8"))["overall"]
    if source := predicted_files(case.data, data):
        output = work / "inference"
        further = {"save_probabilities": case.view != "paper", **case.inference}  # that view has none
        run("inference", *names, **places, image_source=source, output_dir=str(output), **further)
        found["inference: label maps"] = digests.maps(output / "predictions")
    if case.package:
        found["package: label maps"] = package(case, str(names[0]), root, work, source)
    return {**found, "scores": scores}


def predicted_files(name: str, data: Path) -> list[str]:
    """Files of a data set that are predicted; none of ``cells``, which are unpacked from arrays."""
    patterns = {"synapse_archive": "test_vol_h5/*", "acdc_archive": "test/*"}
    return [str(path) for path in sorted(data.glob(patterns.get(name, "images/*")))[:3]]


def package(case: Case, overlay: str, root: Path, work: Path, source: list[str]) -> dict[str, str]:
    """Digests of what the packaged bundle predicts, by the console script."""
    from sa2_monai.cli import main

    made, output, bundle = work / "package", work / "packaged", root / "bundles" / case.bundle
    widths = [f"{key}={json.dumps(value)}" for key, value in NETWORKS[case.bundle].items() if key != "learning_rate"]

    def console(*words: object) -> None:
        if main([str(word) for word in words]) != 0:
            raise RuntimeError(f"sa2-monai {words[0]} failed")

    weights = work / "models" / "model.pt"
    console("package", "--bundle", bundle, "--dataset", overlay, "--weights", weights, "--output", made, *widths)
    (packaged,) = (path for path in made.iterdir() if path.is_dir())
    console("predict", *source, "--bundle", packaged, "--output", output, "--device", "cpu", "--probabilities")
    return digests.maps(output / "predictions")


@contextlib.contextmanager
def quiet(log: Path) -> Iterator[None]:
    """Everything that a run prints goes to a file; MONAI's loggers hold on to the streams, so these are turned."""
    streams = (sys.stdout, sys.stderr)
    kept = [os.dup(number) for number in (1, 2)]
    try:
        with open(log, "w", encoding="utf-8") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for number, stream in enumerate(streams, 1):
                stream.flush()
                os.dup2(file.fileno(), number)
            yield
    finally:
        for number, (stream, old) in enumerate(zip(streams, kept, strict=True), 1):
            stream.flush()
            os.dup2(old, number)
            os.close(old)
