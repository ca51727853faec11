# SPDX-License-Identifier: Apache-2.0
"""The files of an evaluation by case: predictions, references, images, and the patients they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sa2_monai.evaluation.cases.pairing import collect, collect_images, collect_probabilities
from sa2_monai.io.names import same_forms

__all__ = ["CaseFiles", "find_case_files"]


@dataclass(frozen=True)
class CaseFiles:
    """What an evaluation is given.

    Attributes:
        predictions: a folder, a list of files, or a mapping; as given, since label maps and probability maps are found
            by other names.
        references: case -> path or array, sorted by case; these are the cases of the split.
        images: case -> path or array; empty where there are none.
        groups: case -> group of the bootstrap, or ``None``.
        reference_objects: case -> path or array with the numbers of its objects, where these are files of their own.
    """

    predictions: Any
    references: dict[str, Any]
    images: dict[str, Any]
    groups: dict[str, str] | None
    reference_objects: Mapping[str, Any] = field(default_factory=dict)

    def label_maps(self, suffix: str) -> dict[str, Any]:
        """Find the predicted label maps.

        Args:
            suffix: ending of the file names that is not part of the case.

        Returns:
            Case -> path or array.

        Raises:
            FileNotFoundError: when a folder does not exist.
            ValueError: when there are no files, or two for one case.
        """
        return same_forms(collect(self.predictions, "prediction", suffix), self.references)

    def probability_maps(self, suffix: str) -> list[dict[str, Any]]:
        """Find the probability maps of every model: one source, or a list of folders or mappings.

        Args:
            suffix: as in :meth:`label_maps`.

        Returns:
            Case -> path or array, once per model.

        Raises:
            FileNotFoundError: when a folder does not exist.
            ValueError: when there are no files, or two for one case.
        """
        given = self.predictions
        several = isinstance(given, (list, tuple)) and all(
            isinstance(item, Mapping) or (isinstance(item, (str, Path)) and Path(item).is_dir()) for item in given
        )
        return [collect_probabilities(source, suffix) for source in (given if several else [given])]


def find_case_files(
    predictions: Any,
    references: Any,
    images: Any,
    groups: Mapping[str, str] | None,
    reference_suffix: str = "",
    reference_objects: Mapping[str, Any] | None = None,
) -> CaseFiles:
    """Find the files of the references and images.

    Args:
        predictions: a folder, a list of files, or a mapping from case to path or array.
        references: the same.
        images: the same, or ``None``.
        groups: case -> group, or ``None``.
        reference_suffix: ending of the references' names that is not part of the case.
        reference_objects: case -> path or array, or ``None``.

    Raises:
        FileNotFoundError: when a folder does not exist.
        ValueError: when there are no files, or two for one case.
    """
    found = collect(references, "reference", reference_suffix)
    return CaseFiles(
        predictions,
        found,
        {} if images is None else collect_images(images, found),
        None if groups is None else {str(case): str(group) for case, group in groups.items()},
        dict(reference_objects or {}),
    )
