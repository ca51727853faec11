# SPDX-License-Identifier: Apache-2.0
"""One corruption at one strength: corrupted images, predictions, the evaluation of the bundle."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sa2_monai.bundle.loaded import LoadedBundle
from sa2_monai.bundle.stress.examples import Example, choose_example, write_example
from sa2_monai.bundle.stress.files import corrupt_cases
from sa2_monai.evaluation.result import JSON_NAME

__all__ = ["CLEAN", "Condition", "StressTest", "is_done", "run_clean", "run_condition"]

#: Name of the images as they are.
CLEAN = "clean"
_FEW = 32  # cases that are not worth the start of worker processes, forty times


@dataclass(frozen=True)
class Condition:
    """A corruption and a strength, 1 to 5; of the images as they are, 0."""

    name: str
    strength: int

    @property
    def folder(self) -> str:
        """Of its results, in the output folder."""
        return f"conditions/{self.name}" if self.name == CLEAN else f"conditions/{self.name}/{self.strength}"


@dataclass(frozen=True)
class StressTest:
    """A model, its data, and where the results go.

    Attributes:
        model: a bundle with weights.
        data: folder of the data.
        switches: of its evaluation.
        cases: data list.
        kind: of files, ``"images"`` or ``"volumes"``.
        seed: of the corruptions.
        output: folder of the results.
    """

    model: LoadedBundle
    data: Any
    switches: Mapping[str, Any]
    cases: Sequence[Mapping[str, Any]]
    kind: str
    seed: int
    output: Path


def is_done(test: StressTest, condition: Condition) -> bool:
    """Whether a condition was scored before, without a case that failed."""
    file = test.output / condition.folder / JSON_NAME
    return file.is_file() and not json.loads(file.read_text(encoding="utf-8"))["failed"]


def run_clean(test: StressTest) -> Example:
    """Score the images as they are.

    Returns:
        The case that is shown of every condition.

    Raises:
        OSError, ValueError, RuntimeError: as :meth:`~sa2_monai.bundle.LoadedBundle.evaluate`.
    """
    result = _evaluate(test, Condition(CLEAN, 0), test.cases)
    example = choose_example(result)
    write_example(result, example, test.output, Condition(CLEAN, 0).folder)
    _remove_predictions(test, Condition(CLEAN, 0))
    return example


def run_condition(test: StressTest, condition: Condition, example: Example) -> None:
    """Score the images of one condition; its tables stay, images and label maps do not.

    Args:
        test: what is tested.
        condition: which one.
        example: the case that is shown.

    Raises:
        OSError, ValueError, RuntimeError: as :func:`run_clean`.
    """
    with tempfile.TemporaryDirectory(prefix=".images_", dir=test.output) as images:
        cases = corrupt_cases(test.cases, test.kind, condition.name, condition.strength, test.seed, Path(images))
        result = _evaluate(test, condition, cases)
        write_example(result, example, test.output, condition.folder)
    _remove_predictions(test, condition)


def _evaluate(test: StressTest, condition: Condition, cases: Sequence[Mapping[str, Any]]) -> Any:
    folder = test.output / condition.folder
    shutil.rmtree(folder, ignore_errors=True)  # what an interrupted test has left
    workers = {"num_workers": 0} if len(cases) <= _FEW else {}
    given = {"progress": False, **workers, **test.switches}
    return test.model.evaluate(test.data, output_dir=folder, cases=cases, overlays=0, **given)


def _remove_predictions(test: StressTest, condition: Condition) -> None:
    shutil.rmtree(test.output / condition.folder / "predictions", ignore_errors=True)
