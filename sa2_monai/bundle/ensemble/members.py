# SPDX-License-Identifier: Apache-2.0
"""The members of an ensemble: runs and other bundles with weights that agree on what an image and a class is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sa2_monai.bundle.ensemble.paths import folds_of
from sa2_monai.bundle.locate import find_bundle, find_config, load
from sa2_monai.bundle.network import resolve
from sa2_monai.bundle.sidecar import Sidecar, apply_settings, read_sidecar
from sa2_monai.io.kinds import current_word

__all__ = ["SEEN", "Member", "find_members"]

#: What all members have to agree on: it says what files hold and what labels mean.
_AGREED = ("kind", "class_names", "in_channels")
#: What says how an image becomes what a network sees; where any differs, the members look one after the other.
SEEN = (
    *("view", "roi_size", "resize", "pixdim", "overlap", "normalize", "intensity", "intensity_range", "slice_axis"),
    *("channel_order", "out_channels"),
)


@dataclass(frozen=True)
class Member:
    """A bundle with its weights.

    Attributes:
        bundle: its folder.
        weights: its weight file.
        config: content of its ``inference`` configuration, with the settings of the weights.
        sidecar: what stands beside the weights.
        values: those of :data:`SEEN` and what all agree on, by id, resolved; ``None`` where there is no such id.
    """

    bundle: Path
    weights: Path
    config: dict[str, Any]
    sidecar: Sidecar
    values: dict[str, Any]


def find_members(paths: Sequence[str | os.PathLike[str]]) -> list[Member]:
    """The members that paths mean.

    Args:
        paths: each a bundle with weights, or the folder of a cross-validation, which stands for all its folds.

    Raises:
        FileNotFoundError: no such bundle, or one without weights.
        ValueError: a path that is no bundle, or members that do not agree on files, channels or classes.
    """
    folders = [folder for path in paths for folder in folds_of(path) or [_folder(path)]]
    members = [_member(folder) for folder in folders]
    first = members[0]
    for member in members[1:]:
        for name in _AGREED:
            if member.values[name] != first.values[name]:
                raise ValueError(
                    f"{member.bundle} and {first.bundle} cannot be one ensemble: {name} is {member.values[name]!r} and "
                    f"{first.values[name]!r}. Members need the same files, channels and classes."
                )
    return members


def _folder(path: str | os.PathLike[str]) -> Path:
    folder = find_bundle(path)
    if folder.is_file():
        raise ValueError(f"{folder} is a zip file; a member of an ensemble is a folder. Extract it first.")
    return folder


def _member(folder: Path) -> Member:
    from sa2_monai.bundle.packaging.large_files import missing_weights

    weights = folder / "models" / "model.pt"
    if not weights.is_file():
        raise FileNotFoundError(f"{folder} has no models/model.pt. {missing_weights(weights)}")
    sidecar = read_sidecar(weights, folder.name)
    config = apply_settings(load(find_config(folder, "inference")), sidecar)
    names = (*_AGREED, *SEEN)
    values = dict(zip(names, resolve(config, *names), strict=True))
    values["kind"] = current_word(values["kind"])
    return Member(folder, weights, config, sidecar, values)
