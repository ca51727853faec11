# SPDX-License-Identifier: Apache-2.0
"""Where a bundle is, and its configuration files."""

from __future__ import annotations

import contextlib
import copy
import functools
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sa2_monai.bundle.trust.consent import came_from, check_trusted
from sa2_monai.bundle.trust.reading import content_of
from sa2_monai.bundle.unzip import extract_bundle
from sa2_monai.io.digest import file_state
from sa2_monai.io.workplace import temporary_folder
from sa2_monai.networks.catalogue import BASELINES

__all__ = ["OF_RUNS", "bundle_names", "bundle_of_weights", "bundles_folder", "config_file", "dataset_overlay"]
__all__ += ["dataset_overlays", "find_bundle", "find_config", "load", "load_one", "merged", "open_bundle"]

#: JSON first, as MONAI Label does.
SUFFIXES = (".json", ".yaml", ".yml")
#: Beside the configurations of a run: how they were planned, no overlay of a data set.
OF_RUNS = ("plan", "fingerprint")


def bundles_folder() -> Path:
    """The folder of the bundles that come with the package, which names such as ``"sa2net"`` stand for.

    In a checkout it is ``bundles/`` beside the package; an installation has a copy inside the package. Nothing is
    written there, see :mod:`sa2_monai.bundle.included`.
    """
    package = Path(__file__).resolve().parents[1]
    installed = package / "bundles"
    return installed if installed.is_dir() else package.parent / "bundles"


def bundle_names() -> list[str]:
    """Names of the bundles that come with the package, sorted."""
    return sorted(folder.name for folder in bundles_folder().glob("*") if config_file(folder, "inference"))


def find_bundle(path_or_name: str | os.PathLike[str]) -> Path:
    """The bundle that a path or a name means.

    Args:
        path_or_name: folder of a bundle; its zip file; or the name of a bundle that comes with the package.

    Returns:
        The folder or the zip file, absolute.

    Raises:
        FileNotFoundError: when there is neither.
        ValueError: for a folder or file that is no bundle.
    """
    path, name = Path(path_or_name), str(path_or_name)
    if path.is_dir() and config_file(path, "inference"):
        return path.resolve()
    if path.is_file():
        if path.suffix.lower() != ".zip":
            raise ValueError(f"{path} is neither the folder nor the zip file of a bundle.")
        return path.resolve()
    known = bundle_names()
    if name in known:
        return bundles_folder() / name
    if path.is_dir():
        raise ValueError(
            f"{path} is not a bundle: it has no configs/inference.json or .yaml. Give the bundle's folder."
        )
    if name in BASELINES:
        raise FileNotFoundError(f"{name} is a baseline without a bundle of its own. Train it, and give its run.")
    names = f", or a name: {', '.join(known)}" if known else f" (there are none to name, {bundles_folder()} is missing)"
    raise FileNotFoundError(f"{path_or_name}: no such bundle. Give the folder or the zip file of a bundle{names}.")


@contextlib.contextmanager
def open_bundle(path_or_name: str | os.PathLike[str]) -> Iterator[Path]:
    """Folder of a bundle for the time of a ``with`` block; a zip file is extracted to a temporary one.

    Nothing of it is run; that what goes beyond the allowed is not run unasked, :func:`load` sees to.

    Args:
        path_or_name: see :func:`find_bundle`.

    Raises:
        FileNotFoundError, ValueError: as :func:`find_bundle` and :func:`~sa2_monai.bundle.extract_bundle`.
    """
    found = find_bundle(path_or_name)
    if found.is_dir():
        yield found
        return
    with temporary_folder() as folder:
        root = extract_bundle(found, folder / "bundle")
        came_from(root, found)
        yield root


def bundle_of_weights(weights: str | os.PathLike[str]) -> Path:
    """The bundle that weights belong to: the one they lie in, else that of their network in the package.

    Args:
        weights: weight file, or the name of a starter model.

    Raises:
        ValueError: when neither is known, or the file beside the weights names no network of the catalogue.
    """
    from sa2_monai.bundle.sidecar import known_network
    from sa2_monai.weights import read_info, weight_file

    weights = weight_file(weights)
    folder = weights.resolve().parent
    if folder.name == "models" and config_file(folder.parent, "inference"):
        return folder.parent
    network = known_network(read_info(weights).get("network"), Path(weights).with_suffix(".json"))
    if network in bundle_names():
        return bundles_folder() / str(network)
    raise ValueError(f"{weights} does not say which bundle it belongs to. Give the bundle with --bundle.")


def config_file(folder: str | os.PathLike[str], stem: str) -> Path | None:
    """``configs/<stem>`` of a bundle with the suffix that it has; ``None`` when it is not there.

    Args:
        folder: folder of the bundle.
        stem: name without suffix, e.g. ``"inference"``.
    """
    files = (Path(folder) / "configs" / f"{stem}{suffix}" for suffix in SUFFIXES)
    return next((file for file in files if file.is_file()), None)


def find_config(folder: str | os.PathLike[str], stem: str) -> Path:
    """As :func:`config_file`, for a file that has to be there.

    Raises:
        FileNotFoundError: when it is not.
    """
    file = config_file(folder, stem)
    if file is None:
        raise FileNotFoundError(f"{folder} has no configs/{stem}.json or .yaml; it is no complete bundle.")
    return file


def dataset_overlays(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """Overlays of a bundle that stand for data sets, by name: they say the layout of the data.

    Args:
        folder: folder of the bundle.
    """
    found: dict[str, Path] = {}
    for file in sorted((Path(folder) / "configs").iterdir()):
        other = file.suffix not in SUFFIXES or file.stem in ("train", "inference", "metadata", *OF_RUNS)
        if not other and "layout" in load_one(file):
            found[file.stem] = file
    return found


def dataset_overlay(folder: Path, dataset: str | os.PathLike[str]) -> Path:
    """Overlay file of a data set: by its name in the bundle, or any file.

    Raises:
        ValueError: when there is none, with the names that there are.
    """
    path, name = Path(dataset), str(dataset)
    if path.name == name:
        known = dataset_overlays(folder)
        if name in known:
            return known[name]
        names = f"it has {', '.join(known)}" if known else "it is made for one data set; leave the data set out"
        raise ValueError(f"{folder.name} has no overlay for a data set {name!r}; {names}.")
    if not path.is_file():
        raise ValueError(f"{dataset}: no such overlay file.")
    return path


def load_one(file: str | os.PathLike[str]) -> dict[str, Any]:
    """Content of one configuration file as it is written, for overlays: ``a#b`` stays a key.

    Raises:
        UntrustedBundleError: it goes beyond what runs without a question, see :mod:`sa2_monai.bundle.trust`.
    """
    config = _read(file)
    _check_foreign(config, [file])
    return config


def _read(file: str | os.PathLike[str]) -> dict[str, Any]:
    """Content of one file, bounded; nobody has been asked whether it is trusted."""
    content = content_of(file)
    if not isinstance(content, dict):
        what = "nothing" if content is None else f"a {type(content).__name__}"
        raise ValueError(f"{file}: holds {what}, expected values by their ids; correct the file, or copy it again")
    return content


def merged(
    config: Mapping[str, Any], files: Iterable[str | os.PathLike[str]], known: Collection[str] | None = None
) -> dict[str, Any]:
    """A configuration with files merged into it, later ones win; as :func:`load` for one that is read already.

    Args:
        config: stays as it is.
        files: overlays.
        known: top-level ids that are merged, or merged into; ``None`` for all.
    """
    return _merge(config, map(load_one, files), known)


def _merge(
    config: Mapping[str, Any], contents: Iterable[Mapping[str, Any]], known: Collection[str] | None = None
) -> dict[str, Any]:
    from monai.bundle import ConfigParser
    from monai.bundle.utils import merge_kv

    parser = ConfigParser(copy.deepcopy(dict(config)))
    for content in contents:
        for name, value in content.items():
            if known is None or name.lstrip("+").replace("::", "#").split("#")[0] in known:
                merge_kv(parser, name, value)
    return dict(parser.get())


def load(*files: str | os.PathLike[str]) -> dict[str, Any]:
    """Merged content of configuration files, later ones win; expressions stay as they are.

    Raises:
        UntrustedBundleError: it goes beyond what runs without a question, see :mod:`sa2_monai.bundle.trust`.
    """
    config = _load(tuple((str(file), file_state(file)) for file in files))
    _check_foreign(config, files)
    return copy.deepcopy(config)


@functools.lru_cache(maxsize=16)
def _load(files: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """A command asks for the same files several times; it takes longer than to build a network."""
    return _merge({}, [_read(file) for file, _ in files])


def _check_foreign(config: Mapping[str, Any], files: Iterable[str | os.PathLike[str]]) -> None:
    """What comes with the package is not asked about."""
    own = (Path(__file__).resolve().parents[1], bundles_folder().resolve())
    foreign = [file for file in files if not any(Path(file).resolve().is_relative_to(folder) for folder in own)]
    if foreign:
        check_trusted(config, foreign)
