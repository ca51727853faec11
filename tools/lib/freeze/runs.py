# SPDX-License-Identifier: Apache-2.0
"""Running one case as a user does: ``monai.bundle.run`` with the bundle's files and switches, and the console script."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import monai.bundle
from freeze import digests
from freeze.cases import NETWORKS, OVERLAYS, SLICES, SMALL, Case
from monai.utils import set_determinism


def configuration(case: Case) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Overlays of a case after ``train`` or ``inference``, and its switches."""
    overlay, switches = OVERLAYS[case.data]
    if case.bundle == "svanet" and case.data == "synapse_archive":
        overlay, switches = None, SLICES
    names = (*([overlay] if overlay else []), *(["paper"] if case.view == "paper" else []))
    view = {} if case.view == "paper" else {"view": case.view}
    return names, {**SMALL, **NETWORKS[case.bundle], **switches, **view, **case.switches}


def freeze(case: Case, root: Path, data: Path, work: Path) -> dict[str, Any]:
    """Train, evaluate and predict; digests of what is left in ``work``.

    Args:
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
        given = {key: value for key, value in {**switches, **more}.items() if key in known}
        kind = "inference" if files[0] == "inference" else "train"
        monai.bundle.run(config_file=paths, workflow_type=kind, logging_file=False, **given)
        set_determinism(None)

    places = {"bundle_root": str(work), "ckpt_dir": str(work / "models"), "dataset_dir": str(data)}
    run("train", *names, *case.overlays, **places, output_dir=str(work / "training"))
    found: dict[str, Any] = {"weights": digests.weights(work / "models"), "curves": digests.curves(work / "training")}
    scores = {}
    endings = {"evaluation": ("evaluate",)}
    if case.view == "paper":
        endings["paper evaluation"] = ("evaluate", "evaluate_paper")
    for item, ending in endings.items():
        output = work / item.replace(" ", "_")
        run("train", *names, *ending, **places, output_dir=str(output), **case.evaluation)
        found[f"{item}: label maps"] = digests.maps(output / "predictions")
        found[f"{item}: tables"] = digests.tables(output, work)
        scores[item] = json.loads((output / "metrics_summary.json").read_text("utf-8"))["overall"]
    source = test_images(case, data)
    output = work / "inference"
    further = {"save_probabilities": case.view != "paper", **case.inference}  # that view has none
    run("inference", *names, **places, image_source=source, output_dir=str(output), **further)
    found["inference: label maps"] = digests.maps(output / "predictions")
    if case.package:
        found["package: label maps"] = package(case, names, switches, root, work, source)
    return {**found, "scores": scores}


def test_images(case: Case, data: Path) -> list[str]:
    """The files that are predicted, some of the data set."""
    patterns = {
        "synapse_archive": "test_vol_h5/*",
        "acdc_archive": "test/*",
        "cells": "images/*",
    }
    return [str(path) for path in sorted(data.glob(patterns.get(case.data, "images/*")))[:3]]


def package(
    case: Case, names: tuple[str, ...], switches: Mapping[str, Any], root: Path, work: Path, source: list[str]
) -> dict[str, str]:
    """Digests of what the packaged bundle predicts."""
    from sa2_monai.cli import main

    made, output = work / "package", work / "packaged"
    words = [f"{key}={json.dumps(value)}" for key, value in NETWORKS[case.bundle].items() if key != "learning_rate"]
    command = ["package", "--bundle", str(root / "bundles" / case.bundle), "--dataset", names[0]]
    commands = [
        [*command, "--weights", str(work / "models" / "model.pt"), "--output", str(made), *words],
        ["predict", *source, "--output", str(output), "--device", "cpu", "--probabilities", "--bundle"],
    ]
    for command in commands:
        if command[0] == "predict":
            command.append(str(next(path for path in made.iterdir() if path.is_dir())))
        if main(command) != 0:
            raise RuntimeError(f"sa2-monai {' '.join(command)} failed, see its message above")
    return digests.maps(output / "predictions")


@contextlib.contextmanager
def quiet(log: Path) -> Iterator[None]:
    """Everything that a run prints goes to a file: by the numbers of the streams, which handlers of MONAI hold on to."""
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
