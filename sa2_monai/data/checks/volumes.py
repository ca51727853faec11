# SPDX-License-Identifier: Apache-2.0
"""Check of volumes before training: headers of images and labels agree, label values are known.

Headers are read without the voxels; of the voxels only those of the labels are read, and only if asked for.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from sa2_monai.data.checks.label_counts import Found, KindCheck, report_values, scan
from sa2_monai.data.checks.opened_files import OpenedFiles
from sa2_monai.io.causes import case_error
from sa2_monai.io.label_values import LabelTable
from sa2_monai.io.problems import CASE_ERRORS, Problems
from sa2_monai.io.volumes.geometry import VolumeHeader
from sa2_monai.io.volumes.lattice import fit_grid
from sa2_monai.io.volumes.read import volume_header

__all__ = ["check_volumes"]

logger = logging.getLogger(__name__)


def check_volumes(
    where: str,
    cases: Sequence[Mapping[str, Any]],
    table: LabelTable,
    in_channels: int | None = None,
    read_labels: bool = True,
    kind_check: KindCheck | None = None,
    opened: OpenedFiles | None = None,
) -> None:
    """Look at all cases in a thread pool and report every problem in one error.

    Args:
        where: folder named in the message.
        cases: data list; ``image`` is a path, or a list of paths with one file per channel.
        table: see :func:`~sa2_monai.data.label_table`.
        in_channels: channels of the network; cases of several files must have as many. ``None`` does not check.
        read_labels: also read the labels and check their values.
        kind_check: further check of the label values of all cases.
        opened: the files, where others ask for them as well.

    Raises:
        ValueError: unreadable or missing files, no volume (2D, 4D), zero spacing, an affine that cannot be inverted,
            files of a case with another shape or place than the first (more than 1 % of a voxel, whatever the order in
            which their axes are stored), unknown label values.
    """

    known = opened or OpenedFiles("volumes")

    def look(case: Mapping[str, Any]) -> Found:
        return _look(case, in_channels, read_labels, known)

    problems = Problems(where)
    report_values(problems, scan(look, cases), table, kind_check)
    problems.raise_if_any()


def _look(case: Mapping[str, Any], in_channels: int | None, read_labels: bool, opened: OpenedFiles) -> Found:
    images = [case["image"]] if isinstance(case["image"], str) else list(case["image"])
    files = [("image", path) for path in images] + ([("label", case["label"])] if "label" in case else [])
    found: list[tuple[str, str, str]] = []
    counts: Counter[float] = Counter()
    first: VolumeHeader | None = None
    if len(images) > 1 and in_channels is not None and len(images) != in_channels:
        hint = f"set in_channels to the number of files, or list {in_channels} of them"
        found.append((f"cases of another number of files than in_channels {in_channels}", str(case["case"]), hint))
    for key, path in files:
        try:
            header = volume_header(path)
            if key == "label" and read_labels:
                label = opened.label(str(path))
                counts = label.counts
                for remark in label.remarks:  # those of the image are told with it
                    if first is None or remark not in first.remarks:
                        logger.warning("%s: %s", path, remark)
        except CASE_ERRORS as error:
            text = case_error(error, [path])
            found.append((f"{key} files that cannot be used", text, "replace, repair or remove these files"))
            continue
        if first is None:
            first = header
            continue
        fit = fit_grid(header.shape, header.affine, first.shape, first.affine)
        if not fit.shapes_agree:
            found.append(
                (
                    f"{key}s of another shape than their image",
                    f"{path}: {_times(fit.shape)}, {first.source} {_times(first.shape)}",
                    f"make each {key} on the grid of its own image",
                )
            )
        elif not fit.same:
            found.append(
                (
                    f"{key}s that lie elsewhere than their image",
                    f"{path}: corners up to {fit.distance:.4g} mm ({fit.voxels:.2g} voxels) away from {first.source}",
                    "if the voxels do belong together, copy the image's affine into the file; else resample the file "
                    "to the image's grid",
                )
            )
        elif fit.remark:
            logger.warning("%s: %s", path, fit.remark)
    return found, str(case.get("label", images[0])), counts


def _times(lengths: Sequence[Any]) -> str:
    return " x ".join(map(str, lengths))
