# SPDX-License-Identifier: Apache-2.0
"""SNOMED CT codes of structures by class name, as a DICOM SEG needs them."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["FALLBACK", "SegmentCode", "segment_code"]


class SegmentCode(NamedTuple):
    """Code of a segment, scheme SCT.

    Attributes:
        value: code of the type.
        meaning: its text.
        abnormal: category "Morphologically Abnormal Structure" instead of "Anatomical Structure".
    """

    value: str
    meaning: str
    abnormal: bool = False


#: For a class that the table does not know: the segment says what it is by its label only.
FALLBACK = SegmentCode("91723000", "Anatomical Structure")

# All but the sided kidneys and adrenal glands stand in pydicom's dictionary of SNOMED CT; a test compares them.
_CODES = {
    "aorta": SegmentCode("15825003", "Aorta"),
    "gallbladder": SegmentCode("28231008", "Gallbladder"),
    "left kidney": SegmentCode("18639004", "Left kidney"),
    "right kidney": SegmentCode("9846003", "Right kidney"),
    "kidney": SegmentCode("64033007", "Kidney"),
    "liver": SegmentCode("10200004", "Liver"),
    "pancreas": SegmentCode("15776009", "Pancreas"),
    "spleen": SegmentCode("78961009", "Spleen"),
    "stomach": SegmentCode("69695003", "Stomach"),
    "esophagus": SegmentCode("32849002", "Esophagus"),
    "duodenum": SegmentCode("38848004", "Duodenum"),
    "inferior vena cava": SegmentCode("64131007", "Inferior vena cava"),
    "portal vein": SegmentCode("32764006", "Portal vein"),
    "adrenal gland": SegmentCode("23451007", "Adrenal gland"),
    "bladder": SegmentCode("89837001", "Bladder"),
    "prostate": SegmentCode("41216001", "Prostate"),
    "lung": SegmentCode("39607008", "Lung"),
    "heart": SegmentCode("80891009", "Heart"),
    "brain": SegmentCode("12738006", "Brain"),
    "left ventricle": SegmentCode("87878005", "Left ventricle"),
    "right ventricle": SegmentCode("53085002", "Right ventricle"),
    # ACDC's class is the wall of the left ventricle.
    "myocardium": SegmentCode("49848007", "Left Ventricle Myocardium"),
    "hippocampus": SegmentCode("5366008", "Hippocampus"),
    "neoplasm": SegmentCode("108369006", "Neoplasm", abnormal=True),
    "cyst": SegmentCode("367643001", "Cyst", abnormal=True),
    "lesion": SegmentCode("52988006", "Lesion", abnormal=True),
}
_OTHER_NAMES = {
    "left ventricle cavity": "left ventricle",
    "lv": "left ventricle",
    "right ventricle cavity": "right ventricle",
    "rv": "right ventricle",
    "myo": "myocardium",
    "left ventricle myocardium": "myocardium",
    "kidney left": "left kidney",
    "kidney right": "right kidney",
    "gall bladder": "gallbladder",
    "oesophagus": "esophagus",
    "postcava": "inferior vena cava",
    "urinary bladder": "bladder",
    "tumor": "neoplasm",
    "tumour": "neoplasm",
    "anterior hippocampus": "hippocampus",
    "posterior hippocampus": "hippocampus",
    "hippocampus anterior": "hippocampus",
    "hippocampus posterior": "hippocampus",
}


def segment_code(name: str) -> SegmentCode:
    """Code of a class.

    Args:
        name: class name, in any case, words parted by anything: ``"Left_Kidney"``, ``"left kidney"``.

    Returns:
        The code, or :data:`FALLBACK` for a name that is not in the table.
    """
    words = " ".join(re.findall(r"[^\W_]+", name.lower()))
    return _CODES.get(_OTHER_NAMES.get(words, words), FALLBACK)
