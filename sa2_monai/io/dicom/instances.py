# SPDX-License-Identifier: Apache-2.0
"""What the slices of a DICOM series must have each, and what they must have in common."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.io.dicom.slices import DicomSlice
from sa2_monai.io.problems import Problems

__all__ = ["check_instances"]

# Direction cosines are written with three digits or more.
_SAME_ORIENTATION = 6e-4
_SAME_SPACING = 1e-4


def check_instances(source: Path, slices: list[DicomSlice]) -> tuple[str, ...]:
    """Check that the instances of a series are slices of one scan.

    Args:
        source: folder or file, for messages.
        slices: the instances or frames, in any order.

    Returns:
        Remarks on what is doubtful.

    Raises:
        ValueError: colour images, missing elements, values that cannot be used, CT without rescale, slices of different
            size, orientation, pixel spacing or modality; all offending instances are named.
    """
    problems = Problems(str(source))
    for item in slices:
        _check_geometry(problems, item)
        _check_values(problems, item)
    problems.raise_if_any()
    common: tuple[tuple[str, list[Any], float], ...] = (
        ("sizes", [item.size for item in slices], 0),
        ("orientations", [_numbers(item.orientation) for item in slices], _SAME_ORIENTATION),
        ("pixel spacings", [_numbers(item.spacing) for item in slices], _SAME_SPACING),
        ("modalities", [item.modality for item in slices], 0),
    )
    for what, values, tolerance in common:
        usual = Counter(values).most_common(1)[0][0]
        for item, value in zip(slices, values, strict=True):
            if value != usual and not (tolerance and np.allclose(value, usual, rtol=0, atol=tolerance)):
                problems.add(
                    f"slices of different {what}",
                    f"{item.name}: {_shown(value)}, others {_shown(usual)}",
                    "the slices of one scan have one; move the other images away",
                )
    problems.raise_if_any()
    return _remarks(slices)


def _check_geometry(problems: Problems, item: DicomSlice) -> None:
    for tag, value in (
        ("ImagePositionPatient", item.position),
        ("ImageOrientationPatient", item.orientation),
        ("PixelSpacing", item.spacing),
    ):
        if value is not None:
            continue
        what = item.name
        if tag == "PixelSpacing" and item.other_spacing:
            what += f" has {item.other_spacing}, which is not the spacing in the patient"
        problems.add(
            f"images without a valid {tag}",
            what,
            "export slices of the scan again with it; move away what is none (secondary captures, ...)",
        )


def _check_values(problems: Problems, item: DicomSlice) -> None:
    if item.samples != 1 or item.photometric not in ("MONOCHROME1", "MONOCHROME2", ""):
        what = f"{item.samples} samples per pixel, {item.photometric}"
        problems.add("colour images", f"{item.name}: {what}", "move them away")
        return
    if item.allocated not in (8, 16, 32) or not 0 < item.bits <= item.high_bit + 1 <= item.allocated:
        problems.add(
            "images whose pixels cannot be understood",
            f"{item.name}: BitsAllocated {item.allocated}, BitsStored {item.bits}, HighBit {item.high_bit}",
            "expected 8, 16 or 32 bits with the stored ones among them; export the series again",
        )
    if item.bad_rescale:
        problems.add(
            "images whose rescale slope or intercept is no usable number",
            f"{item.name}: {item.bad_rescale}",
            "correct the element, or export the series again",
        )
    elif item.modality == "CT" and not item.lookup_table and (item.slope is None or item.intercept is None):
        problems.add(
            "CT images without RescaleSlope and RescaleIntercept",
            item.name,
            "export the series again: without them the values are no Hounsfield units",
        )


def _remarks(slices: list[DicomSlice]) -> tuple[str, ...]:
    first, remarks = slices[0], []
    frames = {item.frame_of_reference for item in slices}
    if len(frames) > 1:
        remarks.append(
            f"{len(frames)} frames of reference in {len(slices)} slices (anonymised?); position, orientation and "
            "series agree, so they are taken as one"
        )
    # Where nothing else is said, the values are the same whether low ones are shown dark or bright.
    if first.modality not in ("CT", "PT") and any(item.photometric == "MONOCHROME1" for item in slices):
        remarks.append("MONOCHROME1 (low values are shown bright); the values are kept as stored, not inverted")
    if first.modality == "CT":
        types = sorted({item.rescale_type for item in slices} - {"", "HU"})
        if types:
            remarks.append(f"CT with the RescaleType {', '.join(types)}: the values may be no Hounsfield units")
    if first.modality == "PT":
        units = sorted({item.units or "(no Units)" for item in slices})
        remarks.append(f"PET values are those of the file ({', '.join(units)}); SUV is not computed")
    return tuple(remarks)


def _numbers(array: np.ndarray | None) -> tuple[float, ...]:
    return tuple(float(value) for value in np.asarray(array))


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"{part:.6g}" for part in value)
    return str(value) or "(none)"
