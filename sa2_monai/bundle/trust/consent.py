# SPDX-License-Identifier: Apache-2.0
"""Refusal of what goes beyond the allowed, unless the caller trusts it: ``--trust``, or ``trust=True`` in Python."""

from __future__ import annotations

import contextlib
import contextvars
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sa2_monai.bundle.trust.code import code_beside, has_cached_cases
from sa2_monai.bundle.trust.outside import SUFFIXES, outside_of

__all__ = ["UntrustedBundleError", "came_from", "check_trusted", "only_looking", "trust_if", "trusting"]

#: Set for the programs that a command starts, too.
_ALL = "SA2_MONAI_TRUST"
_SHOWN = 3

_trusted: set[Path] = set()
_archives: dict[Path, Path] = {}
_looking: contextvars.ContextVar[bool] = contextvars.ContextVar("looking", default=False)


class UntrustedBundleError(ValueError):
    """A configuration could run any code, and nobody has said that it may."""


@contextlib.contextmanager
def trusting(all_of_it: bool) -> Iterator[None]:
    """In a ``with`` block every configuration may run, also in the programs that are started there.

    Args:
        all_of_it: what ``--trust`` says; ``False`` changes nothing.
    """
    before = os.environ.get(_ALL)
    if all_of_it:
        os.environ[_ALL] = "1"
    try:
        yield
    finally:
        if all_of_it and before is None:
            os.environ.pop(_ALL, None)


@contextlib.contextmanager
def only_looking() -> Iterator[None]:
    """In a ``with`` block configurations are read by what runs nothing of them."""
    token = _looking.set(True)
    try:
        yield
    finally:
        _looking.reset(token)


def trust_if(told: bool, *paths: str | os.PathLike[str]) -> None:
    """From now on this process runs what is in folders and files without a question, if somebody has said so.

    Args:
        told: what the caller says; ``False`` changes nothing.
        paths: of bundles and configurations.
    """
    if told:
        _trusted.update(Path(path).resolve() for path in paths)


def came_from(folder: Path, archive: Path) -> None:
    """Messages about a folder speak of the file that it was extracted from.

    Args:
        folder: the folder.
        archive: the file.
    """
    _archives[folder.resolve()] = archive


def check_trusted(config: Mapping[str, Any], files: Sequence[str | os.PathLike[str]]) -> None:
    """Refuse a configuration that goes beyond what runs without a question, and a bundle with code beside it.

    Args:
        config: content of the files, merged.
        files: of which none comes with the package.

    Raises:
        UntrustedBundleError: one line that names what is outside, and says what to do.
    """
    if _looking.get() or os.environ.get(_ALL) == "1":
        return
    paths = [path for path in (Path(file).resolve() for file in files) if _trusted.isdisjoint((path, *path.parents))]
    if not paths:
        return
    folders = [path.parent.parent for path in paths if path.parent.name == "configs" and _is_bundle(path.parent.parent)]
    code = [f"{name}: Python code" for folder in dict.fromkeys(folders) for name in code_beside(folder)]
    found = [*outside_of(config, not folders or any(map(has_cached_cases, folders))), *code]
    if found:
        where = _archives.get(folders[0], folders[0]) if folders else paths[0]
        look = f"Look at all of it with 'sa2-monai inspect {where}'" if folders else "Look at the file"
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise UntrustedBundleError(
            f"{where} is not run unasked, since it goes beyond the components and expressions of this package: "
            f"{'; '.join(found[:_SHOWN])}{more}. {look}, and give --trust (trust=True in Python) if you would run it "
            "as a program."
        )


def _is_bundle(folder: Path) -> bool:
    return any((folder / "configs" / f"inference{suffix}").is_file() for suffix in SUFFIXES)
