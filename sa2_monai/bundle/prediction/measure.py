# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai predict --measure``: the label maps of a batch, measured from the files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sa2_monai.bundle.prediction.batch import Batch
from sa2_monai.bundle.prediction.cases import case_files
from sa2_monai.bundle.prediction.shard import Shard
from sa2_monai.io.names import file_name

if TYPE_CHECKING:
    from sa2_monai.evaluation.measurements import MeasuredCase

__all__ = ["measure_batch"]


def measure_batch(batch: Batch, class_names: Any, spacing: float | Sequence[float] | None = None) -> dict[str, Path]:
    """Measure all finished cases, also those of earlier runs and of other programs, and write the tables.

    Args:
        batch: the cases.
        class_names: names of the classes, background first; anything else says no names.
        spacing: mm per pixel of 2D images, which overrules their files.

    Returns:
        Paths of the tables, see :func:`~sa2_monai.evaluation.measurements.write_measurements`.

    Raises:
        OSError, ValueError: a file that cannot be read or written, or a spacing for volumes.
    """
    from sa2_monai.evaluation.measurements import write_measurements

    cases = [_measure(batch, case, class_names, spacing) for case in batch.finished(Shard())]
    return write_measurements(batch.output, cases)


def _measure(batch: Batch, case: dict[str, Any], class_names: Any, spacing: Any) -> MeasuredCase:
    from sa2_monai.data import read_image, read_label, read_volume
    from sa2_monai.evaluation.measurements import find_grid, measure_case

    name = case["case"]
    label_file = batch.predictions / file_name(name, batch.suffix)
    image_file = case_files([case])[0]
    image: np.ndarray | None = None
    numbers = None
    if batch.suffix == ".png":
        labels, image = read_label(label_file), read_image(image_file)
        grid = find_grid(image_file, spacing=spacing)
        instances = batch.instance_file(name)
        numbers = None if instances is None else read_label(instances)
    else:
        volume = read_volume(label_file, label=True)
        labels = volume.array
        preprocessed = Path(image_file).suffix in (".npz", ".h5", ".npy")  # without a place in the world
        grid = find_grid(image_file, affine=None if preprocessed else volume.header.affine, spacing=spacing, ndim=3)
        if not preprocessed:
            image = read_volume(image_file, series=batch.settings.get("series") or "").array
    known = isinstance(class_names, list)  # an expression says no names
    count = len(class_names) if known else int(labels.max()) + 1
    classes = {value: class_names[value] if known else f"class {value}" for value in range(count)}
    return measure_case(name, labels, classes, grid, image=image, numbers=numbers)
