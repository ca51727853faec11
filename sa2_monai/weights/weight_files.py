# SPDX-License-Identifier: Apache-2.0
"""The weight file that a path means: the file itself, that of a run or a bundle, or that of a starter model."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from sa2_monai.io.causes import raise_if_memory
from sa2_monai.io.limits.zips import check_expansion
from sa2_monai.io.paths import existing_path
from sa2_monai.weights.starters import starter_file

__all__ = ["open_weights", "weight_file"]

_IN_A_BUNDLE = Path("models", "model.pt")


def weight_file(path: str | os.PathLike[str]) -> Path:
    """The weight file of a folder or of a starter model; any other path as it is.

    Args:
        path: weight file; folder of a run or a bundle, which stands for its ``models/model.pt``; or the name of a
            starter model, such as ``"nuclei"``.

    Raises:
        FileNotFoundError: for a folder without weights.
    """
    starter = starter_file(path)
    path = existing_path(path) if starter is None else starter
    if not path.is_dir():
        return path
    for file in (path / _IN_A_BUNDLE, path / _IN_A_BUNDLE.name):
        if file.is_file():
            return file
    raise FileNotFoundError(
        f"{path} has no {_IN_A_BUNDLE}. Give a weight file, or a run or bundle with weights (a run has them after its "
        "first validation)."
    )


@contextlib.contextmanager
def open_weights(path: str | os.PathLike[str]) -> Iterator[Path]:
    """As :func:`weight_file`, for zip files of bundles, too, whose weights are there for the time of a ``with`` block.

    Args:
        path: weight file; folder or zip file of a bundle; name of a starter model.

    Raises:
        FileNotFoundError: for a folder or a zip file without weights.
        ValueError: for a damaged zip file; messages of the block that name the temporary file name the zip file.
    """
    path = weight_file(path)
    if path.suffix.lower() != ".zip" or not path.is_file():
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="sa2_monai_") as folder:
        file = Path(folder) / _IN_A_BUNDLE.name
        _extract(path, file)
        try:
            yield file
        except ValueError as error:
            raise ValueError(str(error).replace(str(file), f"{_IN_A_BUNDLE} in {path}")) from error


def _extract(archive: Path, file: Path) -> None:
    """The weights of a zipped bundle and what stands beside them."""
    try:
        with zipfile.ZipFile(archive) as content:
            check_expansion(archive, content)
            for target in (file, file.with_suffix(".json")):
                wanted = re.compile(rf"(?:[^/]+/)?{_IN_A_BUNDLE.parent}/{re.escape(target.name)}")
                entry = next((name for name in content.namelist() if wanted.fullmatch(name)), None)
                if entry is not None:
                    with content.open(entry) as source, open(target, "xb") as out:
                        shutil.copyfileobj(source, out, 1 << 20)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as error:
        raise_if_memory(error, archive)
        raise ValueError(f"{archive} is no zip file or is damaged ({error}). Copy or download it again.") from error
    if not file.is_file():
        raise FileNotFoundError(f"{archive} has no {_IN_A_BUNDLE}. Give a bundle with weights, or a weight file.")
