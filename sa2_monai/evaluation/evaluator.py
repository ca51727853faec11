# SPDX-License-Identifier: Apache-2.0
"""The evaluation of a set of predictions against references, by one of the two protocols."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sa2_monai.evaluation import clinical
from sa2_monai.evaluation.cases.case_files import find_case_files
from sa2_monai.evaluation.options import EvaluationOptions
from sa2_monai.evaluation.paper import run as paper
from sa2_monai.evaluation.result import EvaluationResult

__all__ = ["evaluate"]

PROTOCOLS = {"clinical": clinical.run, "paper": paper.run}


def evaluate(
    predictions: Any,
    references: Any,
    classes: Sequence[str] | Mapping[int, str] | None = None,
    protocol: str | None = None,
    *,
    images: Any = None,
    groups: Mapping[str, str] | None = None,
    reference_objects: Mapping[str, Any] | None = None,
    options: EvaluationOptions | None = None,
    **keywords: Any,
) -> EvaluationResult:
    """Measure predictions against references.

    Args:
        predictions: a folder, a list of files, or a mapping from case to path or array. Values are class values (two
            classes: 255 is taken for 1 as well). For ``family="image_ensemble"`` also a list of folders or mappings,
            one per model, with probability maps.
        references: a folder, a list of files, or a mapping; these are the cases of the split. 2D images and arrays
            count pixels; NIfTI, NRRD and MHA/MHD bring their geometry.
        classes: see :class:`EvaluationOptions`.
        protocol: see :class:`EvaluationOptions`.
        images: folder, list or mapping of the images, kept for the overlays.
        groups: case -> group (the patient), where groups are drawn instead of cases.
        reference_objects: case -> path or array with the numbers of the objects in the reference, where these are files
            of their own; for the strata.
        options: all options as one object, instead of ``classes``, ``protocol`` and ``keywords``.
        keywords: any other attribute of :class:`EvaluationOptions`, which says what each of them means.

    Returns:
        The rows, the summary, and functions to write them.

    Raises:
        FileNotFoundError: when a folder or a reference does not exist.
        ImportError: for ``cldice`` without scikit-image.
        TypeError: for a keyword that is no option, or options beside an object that holds them all.
        ValueError: for unknown options, files that cannot be read, values outside the classes, grids that differ, two
            files for one case, or no pair at all. The message names the file, what was found and what was expected.
            With ``on_error="continue"`` errors of single cases are raised only when all cases fail.
    """
    named = {"classes": classes, "protocol": protocol}
    given = {**{name: value for name, value in named.items() if value is not None}, **keywords}
    if options is not None and given:
        raise TypeError(f"evaluate() has options and, beside them, {', '.join(given)}: give these to EvaluationOptions")
    options = EvaluationOptions(**given) if options is None else options
    cases = find_case_files(predictions, references, images, groups, options.reference_suffix, reference_objects)
    options.bootstrap(list(cases.references), cases.groups)  # wrong groups are an error before any file is read
    return PROTOCOLS[options.protocol](cases, options)
