# SPDX-License-Identifier: Apache-2.0
"""Clean-up of the label maps."""

from __future__ import annotations

from sa2_monai.bundle.planning.draft import Draft
from sa2_monai.bundle.planning.plan import Choice

__all__ = ["largest_component"]

_CASES = 8  # of fewer nobody can say "always"


def largest_component(draft: Draft) -> Choice:
    """Classes of volumes that are one piece in every training case that was read."""
    measured = draft.fingerprint.counts.measured
    if draft.fingerprint.kind != "volumes" or measured < _CASES:
        return Choice(None, "nothing says that a class is always one piece")
    whole = [
        index
        for index, one in enumerate(draft.fingerprint.classes)
        if one.objects is not None and one.objects.one_piece == 1.0 and one.cases == 1.0
    ]
    if not whole:
        return Choice(None, "no class is one piece in every training case")
    names = ", ".join(draft["class_names"][index] for index in whole)
    return Choice(whole, f"{names}: one piece in each of {measured} training cases")
