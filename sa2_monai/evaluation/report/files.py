# SPDX-License-Identifier: Apache-2.0
"""A report in a folder: table per case, summary, text table, HTML, overlay images."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from sa2_monai.evaluation.evaluator import evaluate
from sa2_monai.evaluation.report.html import HTML_NAME, html_report
from sa2_monai.evaluation.report.html.images import collect_images
from sa2_monai.evaluation.report.html.origin import find_origin
from sa2_monai.evaluation.report.overlays import draw_overlays, write_overlays
from sa2_monai.evaluation.result import EvaluationResult
from sa2_monai.evaluation.scores.table import format_comparison
from sa2_monai.io.atomic import write_atomically
from sa2_monai.io.label_maps import case_name

__all__ = ["COMPARISON_NAME", "TABLE_NAME", "save_report", "write_report"]

COMPARISON_NAME = "comparison.json"
TABLE_NAME = "table.txt"


def _by_case(data: Sequence[Mapping[str, Any]], key: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in data:
        if "label" not in item:
            raise ValueError(
                f"the case {item.get('case', item)} of the data list has no label; evaluation needs one for each"
            )
        case = str(item.get("case") or case_name(Path(str(item["label"]))))
        if case in found:
            raise ValueError(f"two entries of the data list have the case {case!r}: {found[case]} and {item.get(key)}")
        found[case] = item.get(key)
    return found


def write_report(
    predictions_dir: Any,
    data: Sequence[Mapping[str, Any]],
    class_names: Sequence[str] | Mapping[int, str],
    output_dir: str | Path,
    *,
    overlays: int = 3,
    write: bool = True,
    **options: Any,
) -> EvaluationResult:
    """Evaluate predictions of a data list and write the report.

    Args:
        predictions_dir: folder with ``<case>.png`` (or a list of folders for ``family="image_ensemble"``).
        data: data list, ``[{"image": ..., "label": ..., "case": ..., "group": ...}, ...]``; without ``case`` the
            label's file name counts. When every entry has a ``group``, groups are drawn in the bootstrap.
        class_names: names with the background first.
        output_dir: folder for ``metrics_per_case.csv``, ``metrics_summary.json``, ``table.txt``, ``report.html`` and
            ``overlays/``.
        overlays: images each of the worst, median and best cases; 0 for none.
        write: ``False`` for the processes of a distributed evaluation that help to measure only.
        options: ``groups``, and attributes of :class:`sa2_monai.evaluation.EvaluationOptions` (``protocol``,
            ``family``, ``tolerance``, ``label_values``, ``extra_metrics``, ``size_strata``, ``strata``, ...).

    Returns:
        The result.

    Raises:
        OSError: when the folder cannot be written or a file is missing.
        ValueError: as :func:`sa2_monai.evaluation.evaluate`; also for a data list that is empty or repeats a case.
    """
    references = _by_case(data, "label")
    if not references:
        raise ValueError("the data list is empty, expected entries with image, label and case")
    images = {case: image for case, image in _by_case(data, "image").items() if image is not None}
    groups = _by_case(data, "group")
    if options.get("groups") is None and all(group is not None for group in groups.values()):
        options["groups"] = groups
    if options.get("strata"):
        numbers = _by_case(data, "instances")
        options["reference_objects"] = {case: path for case, path in numbers.items() if path is not None}
    result = evaluate(predictions_dir, references, class_names, images=images or None, **options)
    if write:
        save_report(result, output_dir, overlays=overlays)
    return result


def save_report(
    result: EvaluationResult,
    output_dir: str | Path,
    *,
    overlays: int = 3,
    comparison: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    second: EvaluationResult | None = None,
) -> dict[str, Any]:
    """Write the files of a report.

    Args:
        result: an evaluation.
        output_dir: folder, created when it does not exist.
        overlays: images each of the worst, median and best cases; 0 for none.
        comparison: what :func:`sa2_monai.evaluation.compare` returned, written as ``comparison.json``.
        settings: of the run, listed in the HTML file.
        second: the evaluation that was compared with: its values by case and its model, for the HTML file.

    Returns:
        Paths under ``"csv"``, ``"json"``, ``"table"``, ``"html"``, where there are such also ``"instances"`` and
        ``"comparison"``, and the list ``"overlays"``.

    Raises:
        OSError: when the folder cannot be written.
    """
    folder = Path(output_dir)
    paths: dict[str, Any] = dict(result.write(folder))
    text = result.table() + "\n"
    if comparison is not None:
        document = json.dumps(comparison, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        paths["comparison"] = write_atomically(folder / COMPARISON_NAME, document)
        text += f"\n{format_comparison(comparison)}\n"
    paths["table"] = write_atomically(folder / TABLE_NAME, text)
    drawn = draw_overlays(result, overlays) if overlays > 0 else []
    paths["overlays"] = write_overlays(result, folder / "overlays", overlays, drawn) if overlays > 0 else []
    page = html_report(
        result,
        collect_images(result, drawn),
        comparison,
        settings,
        origin=find_origin(result, folder),
        second=second,
        second_origin=None if second is None else find_origin(second),
        written=datetime.now(timezone.utc).date().isoformat(),
    )
    paths["html"] = write_atomically(folder / HTML_NAME, page)
    return paths
