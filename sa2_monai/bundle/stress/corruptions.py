# SPDX-License-Identifier: Apache-2.0
"""The table of corruptions: what each does, its parameter, its five strengths, and the images that it is for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["CORRUPTIONS", "STRENGTHS", "Corruption", "check_corruptions", "choose_corruptions", "seed_of"]

STRENGTHS = (1, 2, 3, 4, 5)
IMAGES, VOLUMES = ("images",), ("volumes",)
BOTH = (*IMAGES, *VOLUMES)


@dataclass(frozen=True)
class Corruption:
    """One way in which images get worse; its name is that of its function in :mod:`sa2_monai.bundle.stress.functions`.

    Attributes:
        title: in tables and plots.
        parameter: what grows or falls with the strength, with its unit.
        values: of the parameter, at the strengths 1 to 5.
        kinds: of files that it is for.
    """

    title: str
    parameter: str
    values: tuple[float, float, float, float, float]
    kinds: tuple[str, ...] = BOTH


CORRUPTIONS = {
    "noise": Corruption("noise", "standard deviation, share of the range", (0.02, 0.04, 0.08, 0.12, 0.18)),
    "blur": Corruption("blur", "standard deviation of the Gaussian, px", (1, 2, 3, 4, 6)),
    "jpeg": Corruption("JPEG compression", "quality", (50, 30, 20, 10, 5), IMAGES),
    "exposure": Corruption("exposure", "stops, brighter or darker", (0.25, 0.5, 1, 1.5, 2), IMAGES),
    "gamma": Corruption("gamma", "exponent, or its reciprocal", (1.25, 1.5, 2, 2.5, 3)),
    "stain": Corruption("stain", "change of each stain, share", (0.1, 0.2, 0.3, 0.4, 0.6), IMAGES),
    "bias_field": Corruption("bias field", "largest coefficient", (0.1, 0.2, 0.3, 0.4, 0.6), VOLUMES),
    "resampling": Corruption("resampling", "factor of rows and columns", (1.5, 2, 3, 4, 6)),
    "missing_slices": Corruption("missing slices", "share of the slices", (0.1, 0.2, 0.3, 0.4, 0.5), VOLUMES),
}


def check_corruptions(names: Sequence[str] | None) -> list[str]:
    """Names of corruptions in the order of the table; all of them for ``None``.

    Raises:
        ValueError: for an unknown name.
    """
    unknown = [name for name in names or () if name not in CORRUPTIONS]
    if unknown:
        raise ValueError(f"corruptions names {unknown}, expected some of {', '.join(CORRUPTIONS)}")
    return [name for name in CORRUPTIONS if names is None or name in names]


def choose_corruptions(
    names: Sequence[str], kind: str, channels: int, negative: bool
) -> tuple[list[str], dict[str, str]]:
    """Those that are for the images of a data set, and of the others why not.

    Args:
        names: what is wanted.
        kind: of files, ``"images"`` or ``"volumes"``.
        channels: of the files.
        negative: whether volumes have intensities below 0.

    Returns:
        Names, and name -> reason.
    """
    left_out = {}
    for name in names:
        if kind not in CORRUPTIONS[name].kinds:
            left_out[name] = f"is for {CORRUPTIONS[name].kinds[0]}"
        elif name == "stain" and channels != 3:
            left_out[name] = f"is for colour images, these have {channels} channel{'s' * (channels != 1)}"
        elif name == "bias_field" and negative:
            left_out[name] = "is for intensities that are not negative, as those of MR; these are, as those of CT"
    return [name for name in names if name not in left_out], left_out


def seed_of(seed: int, corruption: str, case: str) -> int:
    """The seed of one image: the same for every model, strength and machine.

    Args:
        seed: of the stress test.
        corruption: its name.
        case: name of the case.

    Returns:
        0 to 2**32 - 1.
    """
    return int.from_bytes(hashlib.sha256(f"{seed}\n{corruption}\n{case}".encode()).digest()[:4], "big")
