# SPDX-License-Identifier: Apache-2.0
"""Which DICOM objects are no images of a scan, and what to call them."""

from __future__ import annotations

__all__ = ["no_image"]

_DICOM = "1.2.840.10008."
# Storage classes without pixels, or with pixels that are no slices: the number, or the numbers that begin with it.
_CLASSES = {
    "1.3.10": "DICOMDIR",
    "5.1.4.1.1.11.": "PR",
    "5.1.4.1.1.88.59": "KO",
    "5.1.4.1.1.88.": "SR",
    "5.1.4.1.1.104.": "DOC",
    "5.1.4.1.1.66.1": "REG",
    "5.1.4.1.1.66.4": "SEG",
    "5.1.4.1.1.66.7": "SEG",
    "5.1.4.1.1.66": "RAW",
    "5.1.4.1.1.67": "RWV",
    "5.1.4.1.1.68": "SURFACE",
    "5.1.4.1.1.4.2": "SPECTROSCOPY",
    "5.1.4.1.1.30": "PARAMETRIC MAP",
    "5.1.4.1.1.481.2": "RTDOSE",
    "5.1.4.1.1.481.3": "RTSTRUCT",
    "5.1.4.1.1.481.5": "RTPLAN",
    "5.1.4.1.1.481.": "RT",
    "5.1.4.34.": "RT",
    "5.1.4.1.1.9.": "WAVEFORM",
}
# Modalities of such objects, for private or missing storage classes.
_MODALITIES = [
    "SEG",
    "RTDOSE",
    "RTSTRUCT",
    "RTPLAN",
    "RTIMAGE",
    "RTRECORD",
    "RTSEGANN",
    "PR",
    "SR",
    "KO",
    "DOC",
    "REG",
    "FID",
    "RWV",
    "PLAN",
    "AU",
    "ECG",
    "EPS",
    "HD",
    "RESP",
    "EEG",
    "EMG",
    "EOG",
    "M3D",
    "ASMT",
    "ANN",
    "STAIN",
    "SMR",
    "TEXTUREMAP",
]


def no_image(storage_class: str, modality: str, has_pixels: bool = True) -> str:
    """What an object is that holds no slices of a scan.

    Args:
        storage_class: SOPClassUID; may be empty.
        modality: Modality; may be empty.
        has_pixels: whether it has an element with pixels, and rows and columns.

    Returns:
        A short word for notes (``SEG``, ``SR``, ``RTSTRUCT``, ...), or nothing where it is an image, or where it should
        be one by its class.
    """
    number = storage_class.removeprefix(_DICOM)
    if number != storage_class:
        for part, kind in _CLASSES.items():
            if number == part.rstrip(".") or number.startswith(part if part.endswith(".") else part + "."):
                return kind
    if modality in _MODALITIES:
        return modality
    if has_pixels or not storage_class:
        return ""
    from pydicom.uid import UID

    # An image that has lost its pixels is damaged; another object never had any.
    return "" if "Image" in UID(storage_class).name else modality or "other"
