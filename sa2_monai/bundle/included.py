# SPDX-License-Identifier: Apache-2.0
"""The bundles that come with the package: which there are, a copy to edit, where results of them go.

Nothing is written into them, wherever they lie: an installed package may be read-only or shared.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from sa2_monai.bundle.locate import bundle_names, bundles_folder
from sa2_monai.io.workplace import workplace

__all__ = ["copy_bundle", "is_included", "list_bundles", "run_folder"]

#: What a bundle is made of; what runs have left beside it (models/, eval/) is not copied.
_SOURCES = ("LICENSE", "configs", "docs")


def is_included(path: str | os.PathLike[str]) -> bool:
    """Whether a path lies in the bundles that come with the package.

    Args:
        path: folder of a bundle, or a file of it.
    """
    return Path(path).resolve().is_relative_to(bundles_folder().resolve())


def run_folder(what: str, data: str | os.PathLike[str]) -> Path:
    """Where results go when nobody says where: ``runs/<what>-<name of the data>`` in the working directory.

    Args:
        what: ``"predict"``, or the network of a training, with that of a variant as in ``sa2net:plain_skips``.
        data: folder of the data, a ``dataset.json`` in it, or a file that lists them.
    """
    path = Path(data).resolve()
    name = path.parent.name if path.name == "dataset.json" else path.stem if path.is_file() else path.name
    return Path("runs") / f"{what.replace(':', '-')}-{name or 'data'}"


def list_bundles() -> dict[str, dict[str, Any]]:
    """Facts about the bundles that come with the package, by name.

    Returns:
        For each bundle ``title`` and ``version`` (of its metadata), ``folder`` and ``overlays`` (for data sets).
    """
    from sa2_monai.bundle.dataset_overlays import overlays_by_layout

    bundles = bundles_folder()
    layouts = overlays_by_layout(bundles).values()
    found = {}
    for name in bundle_names():
        metadata = json.loads((bundles / name / "configs" / "metadata.json").read_text(encoding="utf-8"))
        found[name] = {
            "title": metadata["name"],
            "version": metadata["version"],
            "folder": str(bundles / name),
            "overlays": sorted(overlay for layout in layouts for overlay in layout.get(name, [])),
        }
    return found


def copy_bundle(name: str, folder: str | os.PathLike[str], force: bool = False) -> list[Path]:
    """Copy the sources of a bundle that comes with the package, to edit them.

    The folder is complete or not there. One that holds files already is refused; ``force`` replaces, one by one, the
    files of the bundle in it, and leaves all others (weights, overlays of one's own) as they are.

    Args:
        name: of the bundle, such as ``"sa2net"``.
        folder: becomes the folder of the copy; its parents are made.
        force: replace the bundle's files.

    Returns:
        The files of the copy.

    Raises:
        FileExistsError: the folder is not empty.
        FileNotFoundError: there is no such bundle.
        OSError: the folder cannot be written.
        ValueError: the folder lies in the bundles of the package.
    """
    if name not in bundle_names():
        raise FileNotFoundError(f"{name}: no such bundle; the package has {', '.join(bundle_names()) or 'none'}.")
    target, source = Path(folder), bundles_folder() / name
    if is_included(target):
        raise ValueError(f"{target} lies in the bundles of the package, where nothing is written. Choose another one.")
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(f"{target} is a file. Choose another name for the folder of the bundle.")
    filled = target.is_dir() and any(target.iterdir())
    if filled and not force:
        raise FileExistsError(
            f"{target} is not empty. Choose another folder, or replace the files of the bundle in it with --force."
        )
    files = sorted(
        file.relative_to(source)
        for part in _SOURCES
        for file in ((source / part).rglob("*") if (source / part).is_dir() else [source / part])
        if file.is_file()
    )
    # Made in another place beside it: what has the right name is complete.
    with workplace(target, "copy of a bundle") as place:
        made = place / target.absolute().name
        for file in files:
            (made / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / file, made / file)  # not its permissions: the package may be read-only
        if not filled:
            os.replace(made, target)
        for file in files if filled else ():
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            os.replace(made / file, target / file)
    return [target / file for file in files]
