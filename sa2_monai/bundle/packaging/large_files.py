# SPDX-License-Identifier: Apache-2.0
"""Weights beside a bundle instead of in it: ``large_files.yml``, as the model zoo wants it."""

from __future__ import annotations

import os
import urllib.parse
from pathlib import Path

from sa2_monai.bundle.included import is_included

__all__ = ["LARGE_FILES", "check_address", "list_large_files", "missing_weights", "take_out"]

#: What is published by itself: the zoo takes no file above 25 MB, its checks download these.
LARGE_FILES = ("models/model.pt", "models/model.ts")
_FILE = "large_files.yml"
_SCHEMES = ("https", "http", "file")


def check_address(address: str) -> str:
    """The address below which published files lie, without a slash at its end.

    Args:
        address: e.g. ``https://github.com/me/models/releases/download/v1``.

    Raises:
        ValueError: when it is no URL that a download can start from.
    """
    parts = urllib.parse.urlsplit(address)
    if parts.scheme not in _SCHEMES or not (parts.netloc or parts.scheme == "file") or parts.query or parts.fragment:
        raise ValueError(
            f"{address!r} is no address for files to be downloaded from; expected https://HOST/FOLDER, to which the "
            "names of the files are added."
        )
    return address.rstrip("/")


def list_large_files(folder: Path, address: str, prefix: str) -> dict[str, str]:
    """Write ``large_files.yml``: path, address and SHA-256 of each large file. The files stay where they are.

    Args:
        folder: folder of the bundle.
        address: see :func:`check_address`.
        prefix: of the published names; they share one address with those of other bundles and versions.

    Returns:
        Published name by path in the bundle.
    """
    import yaml

    from sa2_monai.weights import sha256_of

    address, names, entries = check_address(address), {}, []
    for path in LARGE_FILES:
        names[path] = f"{prefix}_{Path(path).name}"
        url = f"{address}/{urllib.parse.quote(names[path])}"
        entries.append({"path": path, "url": url, "hash_val": sha256_of(folder / path), "hash_type": "sha256"})
    text = yaml.safe_dump({"large_files": entries}, sort_keys=False, width=1000)
    (folder / _FILE).write_text(text, encoding="utf-8", newline="\n")
    return names


def take_out(folder: Path, names: dict[str, str], target: Path) -> None:
    """Move large files out of a bundle, to be published under their new names.

    Args:
        folder: folder of the bundle.
        names: what :func:`list_large_files` returned.
        target: new folder on the same file system.
    """
    target.mkdir(parents=True)
    for path, name in names.items():
        os.replace(folder / path, target / name)


def missing_weights(weights: Path, option: str = "--weights") -> str:
    """What to do about weights of a bundle that are not there, a sentence for the message.

    Args:
        weights: ``models/model.pt`` of the bundle.
        option: how another file is given.
    """
    folder = weights.parent.parent
    if (folder / _FILE).is_file():
        return f"Fetch them with 'python -m monai.bundle download_large_files --bundle_path {folder}'."
    if is_included(folder):
        return f"The bundle comes with the package, untrained: give a file with {option}, or a trained bundle instead."
    return f"Train the bundle first, or give a file with {option}."
