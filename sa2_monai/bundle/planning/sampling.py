# SPDX-License-Identifier: Apache-2.0
"""Which slices a training sees, and how they are varied."""

from __future__ import annotations

from sa2_monai.bundle.planning.draft import Draft
from sa2_monai.bundle.planning.intensity import is_stained
from sa2_monai.bundle.planning.plan import Choice

__all__ = ["augment", "colour_jitter", "foreground"]

_SHARE = 0.67  # of the slices of volumes that show a structure, each class alike
# Test Dice after about 520 steps, without and with it: nuclei, half of them stained, 0.835 and 0.839; polyps 0.507 and
# 0.481. So of stained tissue alone.
_JITTER = 0.2
_RARE = 0.34  # share of the images below which a class counts as rare


def foreground(draft: Draft) -> Choice:
    """Share of the slices that must hold a structure."""
    shares = {one.name: one.slices for one in draft.fingerprint.classes[1:]}
    name = min(shares, key=lambda one: shares[one])
    told = f"{name} is in {100 * shares[name]:.0f} % of the slices"
    if draft.fingerprint.kind != "images" or shares[name] < _RARE:
        return Choice(_SHARE, f"{told}; two thirds show a class, each class as often")
    return Choice(0.0, f"{told}: each image once in an epoch")


def augment(draft: Draft) -> Choice:
    """Augmentation."""
    sides = [name for name in draft["class_names"] if _is_side(name)]
    if draft.network.bundle == "sa2net":
        if sides:
            return Choice(False, f"turned and mirrored, {sides[0]} could not be told from the other side")
        return Choice(True, f"turned and mirrored as published{draft.of_host}; the structures have no side")
    if not draft.on_cpu:
        return Choice(True, "as published")
    if draft.name == "svanet" and not sides:
        return Choice("flip", "mirrored; minutes are too few to profit from more")
    return Choice(False, "minutes are too few to profit from it")


def colour_jitter(draft: Draft) -> Choice:
    """Change of the brightness of single channels."""
    colours = draft.fingerprint.colours
    if colours is None or draft["in_channels"] != 3 or not is_stained(colours):
        return Choice(0.0, "not stained tissue")
    return Choice(_JITTER, f"stained tissue, by {colours.violet:.2f} of the range violet: stains differ between slides")


def _is_side(name: str) -> bool:
    return any(word in ("left", "right", "l", "r") for word in name.lower().replace("_", " ").split())
