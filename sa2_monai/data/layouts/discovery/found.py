# SPDX-License-Identifier: Apache-2.0
"""What was found out about a folder of data: its layout, its cases, and what the files say of classes and channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sa2_monai.data.layouts.cases import Parts

__all__ = ["FoundData"]


@dataclass(frozen=True)
class FoundData:
    """Data as :func:`sa2_monai.data.find_data` recognised them.

    Attributes:
        path: what :func:`~sa2_monai.data.load_datalist` takes as ``dataset_dir``: a folder, a ``dataset.json`` or a
            ``.csv`` of pairs.
        dataset: name in the registry, the switch ``layout``: ``"folder"``, ``"volumes"`` or a public data set.
        kind: ``"images"``, ``"volumes"`` or ``"preprocessed"``.
        description: the layout in words.
        parts: cases by part; only parts that the data list themselves.
        class_names: background first, where the data say it; else ``None``.
        label_values: table for the switch ``label_values``; ``None`` for the default rule.
        ignore_value: value of pixels without a label; ``None`` if there is none.
        channels: of the first case.
        channel_names: as a ``dataset.json`` or the names of the files say them; else ``None``.
        left_out: line about files that are not used, empty if there are none.
    """

    path: Path
    dataset: str
    kind: str
    description: str
    parts: Parts
    class_names: list[str] | None = None
    label_values: Mapping[Any, int] | str | None = None
    ignore_value: int | None = None
    channels: int | None = None
    channel_names: list[str] | None = None
    left_out: str = ""
