# SPDX-License-Identifier: Apache-2.0
"""The networks of a comparison, each a cross-validation, one after the other; what fails is told, the others go on."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from sa2_monai.bundle.comparison.request import CompareRequest
from sa2_monai.bundle.comparison.state import record
from sa2_monai.bundle.crossval.request import CrossvalRequest
from sa2_monai.bundle.crossval.run import STATE as CROSSVAL
from sa2_monai.bundle.crossval.run import cross_validate
from sa2_monai.bundle.crossval.setup import set_up
from sa2_monai.io.causes import root_cause

__all__ = ["train_networks"]


def train_networks(request: CompareRequest, state: dict[str, Any]) -> None:
    """Cross-validate each network, as far as that is not done; ``state`` and ``compare.json`` say which have failed.

    Args:
        request: what is wanted.
        state: what is known; a network that fails gets ``error`` in ``networks``.

    Raises:
        SwitchError, OSError, ValueError: what is asked for cannot be, of any network; nothing has been trained then.
    """
    crossvals = _check(request)
    record(request, state)
    for number, (name, crossval) in enumerate(crossvals.items(), start=1):
        print(f"\nnetwork {number} of {len(crossvals)}: {name}\n", flush=True)
        try:
            cross_validate(crossval)
            _check_folds(crossval, next(iter(crossvals.values())))
        except (OSError, ValueError, RuntimeError, MemoryError) as error:
            state["networks"][name]["error"] = " ".join(root_cause(error).split())
            print(f"{name} failed: {state['networks'][name]['error']}", flush=True)
            record(request, state)


def _check_folds(crossval: CrossvalRequest, first: CrossvalRequest) -> None:
    """Refuse to compare what was trained on other cases: the data may have changed since the first network was."""
    folds, expected = (sorted(Path(one.output).glob("splits/*/*.txt")) for one in (crossval, first))
    if [file.read_bytes() for file in folds] != [file.read_bytes() for file in expected]:
        raise ValueError(
            f"{crossval.output} has other cases in its folds than {first.output}: the data have changed in the "
            "meantime. Restore them, or choose another --output."
        )


def _check(request: CompareRequest) -> dict[str, CrossvalRequest]:
    """Set up all that have not begun before the first one trains; the data are measured for the first one alone."""
    fingerprint, checked = None, {}
    for network in request.networks:
        crossval = dataclasses.replace(request.crossval(network), fingerprint=fingerprint)
        if not (request.folder(network) / CROSSVAL).is_file():
            try:
                plan = set_up(crossval).plan
            except (RuntimeError, MemoryError):  # as of a step that does not fit into memory: of this network alone
                plan = None
            fingerprint = fingerprint or (None if plan is None else plan.fingerprint)
        checked[request.title(network)] = dataclasses.replace(crossval, fingerprint=fingerprint)
    return checked
