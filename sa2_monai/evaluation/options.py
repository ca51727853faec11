# SPDX-License-Identifier: Apache-2.0
"""The options of an evaluation: all of them, checked in one place, before any file is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from sa2_monai.evaluation.cases.classes import check_ignore_value, class_table, value_table
from sa2_monai.evaluation.cases.failures import check_on_error
from sa2_monai.evaluation.paper_options import FAMILY_NAMES, PaperOptions, paper_options
from sa2_monai.evaluation.scores.extra_metrics import check_extra_metrics
from sa2_monai.evaluation.scores.instances import check_instances
from sa2_monai.evaluation.scores.size_strata import check_size_strata
from sa2_monai.evaluation.scores.statistics import Bootstrap
from sa2_monai.evaluation.scores.tolerances import tolerance_table
from sa2_monai.evaluation.strata.properties import check_strata

__all__ = ["EvaluationOptions"]


@dataclass(frozen=True)
class EvaluationOptions:
    """What is measured, and how. Both protocols use the first group of attributes, each its own one of the others.

    Attributes:
        classes: names with the background first, or a mapping from value (0 or more) to name.
        protocol: ``"clinical"`` or ``"paper"``.
        label_values: table ``value in a reference -> class value``; ``"nonzero"`` where every value above 0 is the one
            foreground class; ``"threshold"`` where every value above 127 is, in the predictions, too (masks in JPEG
            files); ``None`` for the class values themselves (two classes of 2D images: 255 instead of 1 as well).
        ignore_value: value in the reference files whose pixels count nowhere, e.g. 255; none of the classes. They
            become background in both maps before anything else, and are no true negatives. So an object ends where
            ignored pixels begin, in both maps alike; surface distances see that border as a part of both surfaces.
            ``None``: an unknown value is an error. Of the paper families only ``size_range`` takes it, where it
            replaces the one of ``paper``.
        prediction_suffix: ending of the prediction files' names that is not part of the case, e.g. ``"_seg"``.
        reference_suffix: the same for the references, e.g. ``"_anno"``.
        allow_missing: count a case without a prediction as missed (with a warning) instead of refusing.
        on_error: ``"raise"``, or ``"continue"`` to list a case that cannot be read or does not fit under ``failed`` in
            the summary and to measure the others.
        distributed: for calls by all processes of ``torch.distributed``, with the same arguments: each measures a part
            of the cases, and every one gets the whole result, the same as that of a single process. The families of
            the paper protocol are measured by each process on its own.
        bootstrap_samples: draws of the confidence interval, 1 or more.
        seed: seed of the draws, 0 to 2**32 - 1.

        unit: clinical; ``"mm"`` or ``"px"`` that the files are expected to have; ``None`` takes what they have. (The
            paper families count pixels.)
        spacing: clinical; millimetres per axis of 2D images and arrays, above 0, where it is known; one number for all.
        allow_resample: clinical; bring a prediction of another grid onto that of the reference by nearest neighbour.
        tolerance: clinical; of the normalised surface distance, in the unit, 0 or more; one number, or numbers by class
            name (2 for a class that is left out).
        empty: clinical; ``"worst"`` adds the means in which a missing structure has the worst value
            (``<metric>_worst``).
        instances: clinical, one class; also measure detection and panoptic quality of single objects: ``"numbers"``
            where every value above 0 is the number of an object, ``"components"`` where what is connected is an object,
            ``"auto"`` decides for every file (a mask of 0 and 1, or 0 and 255, holds no numbers).
        extra_metrics: clinical; further columns: ``f2``, ``mean_absolute_error`` (share of pixels that differ),
            ``e_measure`` and ``s_measure`` (2D images), ``thresholded_jaccard`` (0 below 0.65: its mean over images is
            the official score of ISIC 2018), ``cldice`` (centre-line Dice of vessels; needs scikit-image). All lie in
            [0, 1]. Each takes one class against everything else; a class in neither map has none.
        size_strata: clinical, 2D images; also summarise the cases whose largest object is below 0.5, 1, 2, 3, 5, 10 and
            100 % of the image (``True``; the limits of SvANet, cumulative), or below given percents in (0, 100]. An
            object is an 8-connected component of one class, its size the number of its pixels.
        strata: clinical; also summarise the thirds of the cases with a low, middle and high value: ``size`` (share of
            the image that the largest object covers), ``size_spread`` (of the objects of a case), ``crowding`` (objects
            per area; with numbers of objects also the share of their boundary that touches another one), ``quality``
            (blur, contrast, noise; needs ``images``). One name or several.

        family: paper; one of :data:`sa2_monai.evaluation.paper_options.FAMILY_NAMES`.
        paper: paper; options of the family, see :class:`sa2_monai.evaluation.PaperOptions`.

    Raises:
        ImportError: for ``cldice`` without scikit-image.
        ValueError: for a value that is not possible, or an option of the other protocol.
    """

    classes: Sequence[str] | Mapping[int, str]
    protocol: str = "clinical"
    label_values: Mapping[int, int] | str | None = None
    ignore_value: int | None = None
    prediction_suffix: str = ""
    reference_suffix: str = ""
    allow_missing: bool = True
    on_error: str = "raise"
    distributed: bool = False
    bootstrap_samples: int = 2000
    seed: int = 0

    unit: str | None = None
    spacing: float | Sequence[float] | None = None
    allow_resample: bool = False
    tolerance: float | Mapping[str, float] = 2.0
    empty: str | None = None
    instances: str | None = None
    extra_metrics: Sequence[str] | str | None = None
    size_strata: Sequence[float] | bool | None = None
    strata: Sequence[str] | str | None = None

    family: str | None = None
    paper: PaperOptions | Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        table = self.table
        self._check_protocol()
        value_table(self.label_values, table, lenient=False)
        tolerance_table(self.tolerance, self.names)
        check_on_error(self.on_error)
        check_instances(self.instances, self.protocol, table)
        check_extra_metrics(self.extra_metrics, self.protocol)
        check_size_strata(self.size_strata, self.protocol)
        check_strata(self.strata, self.protocol)
        check_ignore_value(self.ignore_value, table, self.label_values)
        if self.protocol == "paper":
            paper_options(self.paper, str(self.family))
            if self.ignore_value is not None and self.family != "size_range":
                raise ValueError(
                    f"ignore_value belongs to the clinical protocol and the family 'size_range', not to {self.family!r}"
                )

    def _check_protocol(self) -> None:
        paper = self.protocol == "paper"
        if self.protocol not in ("clinical", "paper"):
            raise ValueError(f"protocol is {self.protocol!r}, expected 'clinical' or 'paper'")
        if not paper and (self.family is not None or self.paper is not None):
            raise ValueError("family and paper options belong to protocol='paper'; the clinical protocol has none")
        if paper and self.family not in FAMILY_NAMES:
            raise ValueError(
                f"family is {self.family!r}, expected one of {', '.join(FAMILY_NAMES)} with protocol='paper'"
            )
        if self.unit not in (None, "mm", "px"):
            raise ValueError(f"unit is {self.unit!r}, expected 'mm', 'px' or None")
        if self.empty not in (None, "worst"):
            raise ValueError(f"empty is {self.empty!r}, expected None or 'worst'")
        if paper and self.empty is not None:
            raise ValueError(
                "empty='worst' belongs to the clinical protocol; the paper families have their own stand-ins"
            )
        if paper and (self.unit == "mm" or self.spacing is not None or self.allow_resample):
            raise ValueError(
                "unit, spacing and resampling belong to the clinical protocol; the paper families count pixels"
            )

    @cached_property
    def table(self) -> dict[int, str]:
        """The classes as value -> name, background included, sorted by value."""
        return class_table(self.classes)

    @property
    def names(self) -> list[str]:
        """Names of the foreground classes, sorted by value."""
        return [name for value, name in self.table.items() if value]

    @property
    def tolerances(self) -> dict[str, float]:
        """The tolerance of every foreground class by its name."""
        return tolerance_table(self.tolerance, self.names)

    @cached_property
    def extra(self) -> tuple[str, ...]:
        """The further columns in the order of the table."""
        return check_extra_metrics(self.extra_metrics, self.protocol)

    @cached_property
    def properties(self) -> tuple[str, ...]:
        """The strata that are asked for, in the order of the tables."""
        return check_strata(self.strata, self.protocol)

    @cached_property
    def size_limits(self) -> tuple[float, ...]:
        """The limits of the size strata in percent, sorted; none when they are off."""
        return check_size_strata(self.size_strata, self.protocol)

    @cached_property
    def published(self) -> PaperOptions:
        """The options of the paper family; ``ignore_value`` is the value that is left out, ``None`` for none.

        The published 255 of ``size_range`` is left out only where it is none of a class.
        """
        options = paper_options(self.paper, str(self.family))
        ignored = self.ignore_value
        if self.family == "size_range" and ignored is None:
            values = value_table(self.label_values, self.table, lenient=True)
            ignored = None if isinstance(values, str) or options.ignore_value in values else options.ignore_value
        return replace(options, ignore_value=ignored)

    def bootstrap(self, cases: Sequence[str], groups: Mapping[str, str] | None) -> Bootstrap:
        """Make the draws over given cases.

        Args:
            cases: names of the cases.
            groups: case -> group that is drawn as a whole; ``None`` draws cases.

        Raises:
            ValueError: for fewer than one draw, or a case without a group.
        """
        return Bootstrap(cases, groups, self.bootstrap_samples, self.seed)

    def draws(self, groups: Mapping[str, str] | None) -> dict[str, Any]:
        """The entry of the summary about the draws."""
        unit = "case" if groups is None else "group"
        return {"samples": self.bootstrap_samples, "seed": self.seed, "unit": unit}
