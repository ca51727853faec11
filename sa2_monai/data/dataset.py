# SPDX-License-Identifier: Apache-2.0
"""What the project knows of a data set: how its cases are listed and checked, its classes, its terms, its preparation.

A module of :mod:`sa2_monai.data.datasets` describes one data set with :class:`DataSet`; nothing else has to be told.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sa2_monai.data.checks.images import check_cases
from sa2_monai.data.checks.label_counts import KindCheck
from sa2_monai.data.checks.label_tables import without_ignored
from sa2_monai.data.checks.opened_files import OpenedFiles
from sa2_monai.data.checks.preprocessed import check_preprocessed
from sa2_monai.data.checks.remembered import RememberedFacts
from sa2_monai.data.checks.volumes import check_volumes
from sa2_monai.data.layouts.cases import Case, Parts
from sa2_monai.io.label_values import THRESHOLD, LabelTable

__all__ = ["DataSet", "Job", "ListOptions", "Preparation", "report_counts"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ListOptions:
    """Options of the functions that list cases.

    Args:
        cache_dir: where converted files are kept; ``None`` is a folder in the data set.
        split: name of a published split, where the data set has several.
        unlabelled: also list a test part without any label, which can be looked at but not scored.
    """

    cache_dir: Path | None = None
    split: str | None = None
    unlabelled: bool = False


@dataclass(frozen=True)
class Job:
    """One source of a preparation: a volume that is cut into slices, an image with the masks of its cells.

    Args:
        name: unique name, such as that of the volume.
        sources: files that it reads; their hashes stand in the manifest.
        run: module-level function of (job, folder) that writes files below the folder and returns data list entries
            with paths relative to it: ``image`` (or a list of channels), ``label``, ``case``, ``section``
            (``"training"``, ``"validation"``, ``"test"``), and ``group`` where patients are known. The same sources
            give the same bytes.
        options: arguments of ``run`` beside the sources; they stand in the manifest.
    """

    name: str
    sources: tuple[Path, ...]
    run: Callable[[Job, Path], list[Case]]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Preparation:
    """A form in which a data set can be laid down once, because making it each time is slow.

    Args:
        description: what it makes, in one line.
        files: ``"images"``, ``"volumes"`` or ``"preprocessed"``.
        jobs: function of (directory, options) that lists what is to be done.
        split: published split that the form has by default; ``None`` is that of the data set.
    """

    description: str
    files: str
    jobs: Callable[[Path, ListOptions], list[Job]]
    split: str | None = None


@dataclass(frozen=True)
class DataSet:
    """A data set or a layout of folders.

    Args:
        parts: function of (directory, options) that lists the cases by part.
        files: ``"images"``, ``"volumes"`` or ``"preprocessed"``: how the files are read and checked.
        title: name and content in one line.
        homepage: where it is published.
        licence: terms of use, as stated there.
        citation: what to cite.
        described: whether a ``dataset.json`` may describe it, its ``labels`` included.
        classes: names of the classes, background first; ``None`` where they are the user's.
        label_values: table of the label files where ``label_values`` is not given; ``None`` is the common default.
        ignore_value: value in label files that belongs to no class and is left out of loss and evaluation.
        splits: names of the published splits that :attr:`ListOptions.split` chooses from, the default first.
        expected: numbers of cases by part that are in order, of the data set as published.
        kind_check: further check of the label values of all cases.
        preparations: forms that ``sa2-monai datasets prepare`` makes, by name, the default first.
        prepare_first: whether a folder holds the data set in a form that ``parts`` cannot list; data lists then come
            from the default preparation, made once in the cache folder.
    """

    parts: Callable[[Path, ListOptions], Parts]
    files: str = "images"
    title: str = ""
    homepage: str = ""
    licence: str = ""
    citation: str = ""
    described: bool = False
    classes: Sequence[str] | None = None
    label_values: Mapping[int, int] | str | None = None
    ignore_value: int | None = None
    splits: tuple[str, ...] = ()
    expected: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    kind_check: KindCheck | None = None
    preparations: Mapping[str, Preparation] = field(default_factory=dict)
    prepare_first: Callable[[Path], bool] | None = None

    def check(
        self,
        where: str,
        cases: Sequence[Case],
        table: LabelTable,
        in_channels: int | None,
        read_labels: bool,
        ignore_value: int | None = None,
        opened: OpenedFiles | None = None,
    ) -> None:
        """Check the files of a data list; every problem is reported in one error.

        Args:
            where: folder named in the message.
            cases: data list.
            table: see :func:`sa2_monai.data.label_table`.
            in_channels: channels of the images; ``None`` does not check.
            read_labels: whether the values of label volumes are read; images are always read.
            ignore_value: value in the labels that belongs to no class; ``None`` for the data set's own.
            opened: the files, where others ask for them as well.

        Raises:
            ValueError: unreadable or unfit files, or an ``ignore_value`` that the table gives a class.
        """
        if ignore_value is None and not (
            table == THRESHOLD or (isinstance(table, dict) and self.ignore_value in table)
        ):
            ignore_value = self.ignore_value  # unless the user's table says otherwise
        table = without_ignored(table, ignore_value)
        files = opened or OpenedFiles(self.files, RememberedFacts())
        known = table  # nothing is mapped here
        if ignore_value is not None and not isinstance(table, str):
            known = {**table, ignore_value: ignore_value}
        try:
            if self.files == "images":
                check_cases(where, cases, table, in_channels, ignore_value, files)
            elif self.files == "volumes":
                check_volumes(where, cases, known, in_channels, read_labels, self.kind_check, files)
            else:
                check_preprocessed(where, cases, known, read_labels, self.kind_check, files)
        finally:
            files.remember()


def report_counts(directory: Path, parts: Parts, expected: Mapping[str, tuple[int, ...]]) -> None:
    """Log for every part whether it has the published number of images: a warning if not, else for debugging.

    Args:
        directory: folder named in the message.
        parts: data lists by part.
        expected: numbers that are in order, by part.
    """
    for part, counts in expected.items():
        number = len(parts.get(part, []))
        level = logging.DEBUG if number in counts else logging.WARNING
        wanted = " or ".join(map(str, counts))
        logger.log(level, "%s: %d %s images, the published data set has %s", directory, number, part, wanted)
