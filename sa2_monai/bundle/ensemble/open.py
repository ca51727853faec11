# SPDX-License-Identifier: Apache-2.0
"""One bundle, or several as an ensemble, for all that takes the folder of a bundle."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from sa2_monai.bundle.ensemble.paths import folds_of
from sa2_monai.bundle.locate import open_bundle
from sa2_monai.io.workplace import temporary_folder

__all__ = ["ensemble_in", "is_ensemble", "open_bundles"]


def is_ensemble(paths: Sequence[str | os.PathLike[str]]) -> bool:
    """Whether paths mean several bundles: more than one, or a cross-validation.

    Args:
        paths: of bundles and cross-validations.

    Raises:
        ValueError: a cross-validation that is not finished.
    """
    return len(paths) > 1 or any(folds_of(path) is not None for path in paths)


@contextlib.contextmanager
def open_bundles(paths: Sequence[str | os.PathLike[str]]) -> Iterator[Path]:
    """Folder of a bundle for the time of a ``with`` block; several are one bundle in a temporary folder.

    Args:
        paths: of bundles (zip files, names) or cross-validations.

    Raises:
        FileNotFoundError, ValueError: as :func:`~sa2_monai.bundle.open_bundle` and
            :func:`~sa2_monai.bundle.ensemble.members.find_members`.
    """
    if not is_ensemble(paths):
        with open_bundle(paths[0]) as folder:
            yield folder
        return
    with temporary_folder() as place:
        yield ensemble_in(paths, place)


def ensemble_in(paths: Sequence[str | os.PathLike[str]], place: Path) -> Path:
    """Make the bundle of an ensemble.

    Args:
        paths: of bundles or cross-validations.
        place: folder in which it is made.

    Returns:
        Its folder.
    """
    from sa2_monai.bundle.ensemble.make import make_ensemble
    from sa2_monai.bundle.ensemble.members import find_members

    return make_ensemble(find_members(paths), place / "ensemble")
