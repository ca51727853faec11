# SPDX-License-Identifier: Apache-2.0
"""Check of preprocessed files before training: readable, image and label of one shape, known label values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sa2_monai.data.checks.label_counts import Found, KindCheck, report_values, scan
from sa2_monai.data.checks.opened_files import OpenedFiles
from sa2_monai.io.causes import case_error
from sa2_monai.io.label_values import LabelTable
from sa2_monai.io.preprocessed import preprocessed_shapes
from sa2_monai.io.problems import CASE_ERRORS, Problems

__all__ = ["check_preprocessed"]


def check_preprocessed(
    where: str,
    cases: Sequence[Mapping[str, Any]],
    table: LabelTable,
    read_labels: bool = True,
    kind_check: KindCheck | None = None,
    opened: OpenedFiles | None = None,
) -> None:
    """Look at all files and report every problem in one error; image voxels are not read.

    Args:
        where: folder named in the message.
        cases: data list; image and label are one file.
        table: see :func:`~sa2_monai.data.label_table`.
        read_labels: also read the labels and check their values.
        kind_check: further check of the label values of all cases.
        opened: the files, where others ask for them as well.

    Raises:
        ValueError: unreadable or missing files, labels of another shape than their image, unknown label values.
        ImportError: h5py is missing (extra ``archives``).
    """

    known = opened or OpenedFiles("preprocessed")

    def look(case: Mapping[str, Any]) -> Found:
        path, counts = str(case["image"]), Counter[float]()
        try:
            shapes = preprocessed_shapes(path)
            missing = [key for key in ("image", "label") if key not in shapes]
            if missing:
                return (
                    [("preprocessed files without an array", f"{path}: {' and '.join(missing)}", _HINT)],
                    path,
                    counts,
                )
            if read_labels:
                counts = known.label(path).counts
        except CASE_ERRORS as error:
            return [("unreadable archives", case_error(error, [path]), _HINT)], path, counts
        if shapes["image"] != shapes["label"]:
            text = f"{path}: {shapes['label']}, image {shapes['image']}"
            return [("labels of another shape than their image", text, _HINT)], path, counts
        return [], path, counts

    problems = Problems(where)
    report_values(problems, scan(look, cases), table, kind_check)
    problems.raise_if_any()


_HINT = "unpack the archive again, or remove these files"
