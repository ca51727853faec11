# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai instances``: how the objects of a bundle's weights are divided, chosen on its validation part."""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.bundle.loaded import LoadedBundle, load_bundle
from sa2_monai.bundle.prediction.cases import list_inputs
from sa2_monai.bundle.run.evaluate import part_of
from sa2_monai.data import read_label
from sa2_monai.data.layouts.cases import Case
from sa2_monai.evaluation.cases.classes import map_values, value_table
from sa2_monai.evaluation.scores.instances import numbered_objects
from sa2_monai.inference.instances import Choice, FitCase, fit_settings
from sa2_monai.inference.instances.settings import CHOSEN, KEY
from sa2_monai.io.atomic import write_json
from sa2_monai.io.names import file_name
from sa2_monai.io.ownership import claim_folder
from sa2_monai.metrics.detection import connected_instances
from sa2_monai.weights import read_info

__all__ = ["choose_instances"]

#: Images that are looked at, spread evenly over the list: a hundred more change little, and each costs a second.
MOST_IMAGES = 32


def choose_instances(
    bundle: str | os.PathLike[str],
    data: str | os.PathLike[str] | None = None,
    criterion: str = "mean",
    device: str | None = None,
) -> tuple[dict[str, Choice], Path]:
    """Choose the settings of every class and write them beside the weights.

    The validation part is predicted once, at most 32 of its images. References are the numbers of objects where the
    data have them (``instances`` of a ``dataset.json``, or labels that hold numbers), else what is connected.

    Args:
        bundle: folder of a run, or of another bundle with weights for 2D images.
        data: other data than the run's; its validation part counts.
        criterion: see :func:`~sa2_monai.inference.instances.fit_settings`.
        device: ``"cpu"``, ``"cuda:1"``; ``None`` for the GPU where there is one.

    Returns:
        Class name -> what was chosen, and the sidecar, whose entry ``instances`` has it now.

    Raises:
        FileNotFoundError: no such bundle, weights or data.
        FolderInUseError: a training is at work in the bundle.
        ValueError: a zipped bundle, one for volumes, data without a validation part or without objects.
    """
    loaded = load_bundle(bundle, device=device)
    if loaded.is_temporary:
        raise ValueError(f"{bundle} is a zip file, beside whose weights nothing can be written. Unpack it first.")
    if loaded.sees_volumes:
        raise ValueError(f"{bundle} is for volumes; objects are divided in 2D images only.")
    with claim_folder(loaded.root, "choice of the settings of objects"):
        return _choose(loaded, data, criterion)


def _choose(loaded: LoadedBundle, data: Any, criterion: str) -> tuple[dict[str, Choice], Path]:
    cases, about = _validation_cases(loaded, data)
    chosen = np.unique(np.linspace(0, len(cases) - 1, MOST_IMAGES).round().astype(int))
    cases = [cases[index] for index in chosen]
    choices = {}
    with tempfile.TemporaryDirectory(prefix="sa2_monai_") as folder:
        files = _probabilities(loaded, [case["image"] for case in cases], Path(folder))
        for index, name in enumerate(loaded.class_names[1:], start=1):
            readers = [
                functools.partial(_fit_case, file, case, index, about) for file, case in zip(files, cases, strict=True)
            ]
            choices[name] = fit_settings(readers, index, criterion)
    assert loaded.weights is not None
    return choices, _write(loaded.weights, choices, criterion)


def _validation_cases(loaded: LoadedBundle, data: Any) -> tuple[list[Case], dict[str, Any]]:
    """The cases, and what their labels mean."""
    where, switches, cases = part_of(loaded, data, "validation", "settings could be chosen")
    parser = loaded.evaluation_parser(where, **switches)
    return cases, {name: parser.get_parsed_content(name) for name in ("class_names", "label_values", "ignore_value")}


def _probabilities(loaded: LoadedBundle, images: Sequence[str], folder: Path) -> list[Path]:
    """Predict the images; the files of their probabilities, in the same order."""
    loaded.predict(list(images), folder, save_probabilities=True)
    named, _ = list_inputs(images, False, None)
    stems = [f"{case['case']}_prob" for case in named]
    files = [[folder / file_name(stem, suffix) for suffix in (".png", ".npy")] for stem in stems]
    return [next(file for file in candidates if file.is_file()) for candidates in files]


def _fit_case(file: Path, case: dict[str, Any], index: int, about: dict[str, Any]) -> FitCase:
    """Read the probabilities and the reference of an image."""
    if file.suffix == ".npy":
        probabilities = np.load(file).astype(np.float32)
    else:
        probabilities = (read_label(file).astype(np.float32) / np.iinfo(np.uint16).max)[None]
    raw = read_label(case["label"], colours=True)
    names = about["class_names"]
    classes = dict(enumerate(names))
    table = value_table(about["label_values"], classes, lenient=True)
    mask = map_values(raw, table, classes, case["label"], ignore_value=about["ignore_value"]) == index
    numbers = read_label(case["instances"]) if "instances" in case else None
    if numbers is None:
        of_labels = about["label_values"] == "nonzero" and len(names) == 2  # the values may be numbers of objects
        numbers = numbered_objects(raw, "auto") if of_labels else connected_instances(mask)
    return FitCase(probabilities, np.where(mask, numbers, 0))


def _write(weights: Path, choices: dict[str, Choice], criterion: str) -> Path:
    sidecar = weights.with_suffix(".json")
    entries = {}
    for name, choice in choices.items():
        about = {key: value for key, value in asdict(choice).items() if key != "settings"}
        entries[name] = {**asdict(choice.settings), CHOSEN: {"criterion": criterion, **about}}
    write_json(sidecar, {**read_info(weights), KEY: entries})
    return sidecar
