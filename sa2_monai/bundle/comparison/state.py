# SPDX-License-Identifier: Apache-2.0
"""``compare.json``: what was asked for, which networks have failed, and in the end all results."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sa2_monai.bundle.comparison.request import CompareRequest
from sa2_monai.io.atomic import write_json
from sa2_monai.io.folders import check_writable

__all__ = ["STATE", "begin", "record"]

STATE = "compare.json"
_VERSION = 1


def begin(request: CompareRequest) -> dict[str, Any]:
    """What is known of a comparison that begins, or goes on; which trainings are done, their folders say.

    Networks may be added to one that goes on, or left out; all else has to be as it was, so that it is the same for
    all.

    Args:
        request: what is wanted.

    Returns:
        The content of ``compare.json``: ``configuration``, and ``networks`` by name, those of the request.

    Raises:
        OSError: the folder cannot be written.
        ValueError: it holds another comparison, or something else.
    """
    folder = Path(request.output)
    check_writable(folder)
    file, configuration = folder / STATE, _configuration(request)
    if file.is_file():
        earlier = json.loads(file.read_text(encoding="utf-8"))
        then = earlier.get("configuration", {})
        wrong = [
            f"{key} is {value!r}, was {then.get(key)!r}"
            for key, value in configuration.items()
            if value != then.get(key)
        ]
        if earlier.get("version") != _VERSION or wrong:
            raise ValueError(
                f"{file} was begun with other settings: {'; '.join(wrong) or 'by another version of sa2_monai'}. "
                "Choose another --output, or restore what the comparison began with."
            )
    networks = {request.title(network): {"folder": str(request.folder(network))} for network in request.networks}
    return {"version": _VERSION, "configuration": configuration, "networks": networks}


def record(request: CompareRequest, state: Mapping[str, Any]) -> None:
    """Write ``compare.json``.

    Args:
        request: what is wanted.
        state: what is known.

    Raises:
        OSError: the file cannot be written.
    """
    write_json(Path(request.output) / STATE, dict(state))


def _configuration(request: CompareRequest) -> dict[str, Any]:
    """What has to be the same when a comparison goes on, as JSON has it."""
    from sa2_monai.weights import plain

    return {
        "data": os.path.abspath(request.data),
        "config": [Path(overlay).name for overlay in request.overlays],
        "overrides": dict(plain(request.overrides)),
        "folds": request.folds,
        "seed": request.seed,
        "minutes": request.minutes,
        "images": request.images,
        "labels": request.labels,
        "colours": None if request.colours is None else os.fspath(request.colours),
        "tta": request.tta,
    }
