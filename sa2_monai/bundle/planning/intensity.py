# SPDX-License-Identifier: Apache-2.0
"""How intensities come to [0, 1]."""

from __future__ import annotations

import math

from sa2_monai.bundle.planning.draft import Draft
from sa2_monai.bundle.planning.plan import Choice
from sa2_monai.data.fingerprint.facts import Colours, Fingerprint

__all__ = ["intensity", "intensity_range", "is_ct", "is_stained"]

_AIR = -500.0  # HU; a CT has air around or in the patient
_LOWEST = -4000.0  # HU that a scanner writes for what lies outside of its circle
_NARROWEST = 150.0  # HU; a narrower window turns noise into contrast
_STEP = 5.0
_STAINED = 0.03  # how much more violet than green structures of stained tissue are, of the range
_DARK, _LIGHT = 0.2, 0.6  # brightness of what is no structure


def intensity(draft: Draft) -> Choice:
    """Way of scaling."""
    data = draft.fingerprint
    if data.kind == "preprocessed":
        return Choice("none", "preprocessed files have been scaled when they were made")
    if is_ct(data):
        return Choice("window", f"CT: Hounsfield units, from {data.intensities.minimum:.0f}")
    if data.kind == "volumes":
        low, high = data.intensities.p00_5, data.intensities.p99_5
        return Choice("percentiles", f"no unit of their own: 99 % of the values lie in {low:.4g} .. {high:.4g}")
    assert data.colours is not None
    low, high = data.colours.exposure
    what = _appearance(data.colours)
    return Choice(
        "percentiles", f"{what}; to one scale: the 99th percentile of an image is {low:.2f} to {high:.2f} of the range"
    )


def intensity_range(draft: Draft) -> Choice | None:
    """Window, where there is one: what the structures have, widened to steps of five."""
    if draft["intensity"] != "window" or not is_ct(draft.fingerprint):
        return None
    found = [one.intensities for one in draft.fingerprint.classes[1:] if one.intensities is not None]
    low = _STEP * math.floor(min(one.p00_5 for one in found) / _STEP)
    high = _STEP * math.ceil(max(one.p99_5 for one in found) / _STEP)
    missing = max(0.0, _NARROWEST - (high - low)) / 2
    return Choice(
        [low - missing, high + missing],
        f"0.5th to 99.5th percentile of the structures, {low:.0f} to {high:.0f} HU"
        + (f", widened to {_NARROWEST:.0f} HU" if missing else ""),
    )


def is_stained(colours: Colours) -> bool:
    """Whether there are images of stained tissue: their structures are violet.

    Args:
        colours: of a fingerprint.
    """
    return colours.colour > 0 and colours.violet > _STAINED


def _appearance(colours: Colours) -> str:
    if is_stained(colours):
        others = "" if colours.colour == 1 else f" (and {100 * (1 - colours.colour):.0f} % grey images)"
        return f"stained tissue{others}"
    kind = "colour" if colours.colour else "grey"
    ground = "dark" if colours.background < _DARK else "light" if colours.background > _LIGHT else "textured"
    return f"{kind} on a {ground} ground"


def is_ct(fingerprint: Fingerprint) -> bool:
    """Whether the values are Hounsfield units: as the data set says, else volumes of one channel in which there is air.

    Args:
        fingerprint: of the data.
    """
    if fingerprint.kind != "volumes" or fingerprint.channels != 1:
        return False
    if fingerprint.channel_names:
        return fingerprint.channel_names[0].upper().startswith("CT")
    values = fingerprint.intensities
    return _LOWEST <= values.minimum <= _AIR and values.maximum > 0
