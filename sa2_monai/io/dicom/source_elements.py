# SPDX-License-Identifier: Apache-2.0
"""Elements of patient, study and scanner that a DICOM SEG copies from its source.

A value that means one thing only is put right, another one that is not valid is left empty, each with one warning that
names the element and the file; values by which a patient could be known are not shown. Texts are decoded by the
character sets of the source (misspelt ones put right), and written as UTF-8 unless one single-byte set holds them all.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sa2_monai.io.dicom.charsets import decode_text, read_charsets
from sa2_monai.io.dicom.files import read_dataset
from sa2_monai.io.dicom.slices import DicomSlice, raw_of
from sa2_monai.io.dicom.values import clean_text

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["copy_elements", "tag_text"]

logger = logging.getLogger(__name__)

_UTF8 = "ISO_IR 192"
# Sets of one byte without escape sequences.
_ONE_BYTE = [[f"ISO_IR {number}"] for number in (100, 101, 109, 110, 126, 127, 138, 144, 148)]
# May be empty in DICOM, but not absent.
_ALWAYS = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("StudyID", "StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName"),
)
# Where the source has them; sequences are left out.
_COPIED = (
    *_ALWAYS,
    *("StudyDescription", "PhysiciansOfRecord", "NameOfPhysiciansReadingStudy", "AdmittingDiagnosesDescription"),
    *("IssuerOfPatientID", "OtherPatientIDs", "PatientBirthTime", "PatientAge", "PatientSize", "PatientWeight"),
    *("EthnicGroup", "Occupation", "AdditionalPatientHistory", "PatientComments", "PatientState", "SmokingStatus"),
    *("MedicalAlerts", "Allergies", "PatientIdentityRemoved", "DeidentificationMethod"),
    *("PatientSpeciesDescription", "PatientBreedDescription", "PatientSexNeutered"),
    *("ResponsiblePerson", "ResponsibleOrganization"),
    *("ClinicalTrialSponsorName", "ClinicalTrialProtocolID", "ClinicalTrialProtocolName", "ClinicalTrialSiteID"),
    *("ClinicalTrialSiteName", "ClinicalTrialSubjectID", "ClinicalTrialSubjectReadingID"),
    *("ClinicalTrialTimePointID", "ClinicalTrialTimePointDescription"),
)
# Not written where it is not valid: it must not be empty.
_OPTIONAL = (
    *("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "SoftwareVersions", "StationName"),
    *("InstitutionName", "InstitutionAddress", "InstitutionalDepartmentName"),
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
)
# Types whose values say nothing about who the patient is.
_SHOWN = ("CS", "AS", "TM", "IS", "DS")
_ASCII = ("CS", "DA", "TM", "DT", "AS", "IS", "DS", "UI")


def copy_elements(first: DicomSlice, texts: Sequence[str] = ()) -> Dataset:
    """Patient, study and scanner of a series, and the character set to write them with.

    Args:
        first: slice that they are copied from.
        texts: what else the file will hold, for the choice of its character set.
    """
    from pydicom import Dataset

    source = read_dataset(first.path)
    charsets, odd = read_charsets(raw_of(source, "SpecificCharacterSet"))
    if odd:
        logger.warning(
            "%s: SpecificCharacterSet (0008,0005) holds %s, no term of DICOM; taken as %s",
            first.path,
            ", ".join(f"'{word}'" for word in odd),
            "\\".join(charsets) if any(charsets) else "the default",
        )
    result, written = Dataset(), list(texts)
    for keyword in (*_COPIED, *_OPTIONAL):
        if keyword in source or keyword in _ALWAYS:
            value = _value(first, keyword, raw_of(source, keyword), charsets)
            if keyword in _OPTIONAL and not all(value):
                continue
            setattr(result, keyword, value if len(value) > 1 else value[0])
            written += value
    if charset := _charset(charsets, written):
        result.SpecificCharacterSet = charset
    return result


def tag_text(keyword: str) -> str:
    """A tag as people write it: ``(0010,0040)``.

    Args:
        keyword: name of an element.
    """
    from pydicom.datadict import tag_for_keyword

    tag = tag_for_keyword(keyword) or 0
    return f"({tag >> 16:04x},{tag & 0xFFFF:04x})"


def _value(first: DicomSlice, keyword: str, raw: bytes, charsets: list[str]) -> list[str]:
    """Values of one element as they are written; a warning where they are not those of the source."""
    from pydicom.datadict import dictionary_VM, dictionary_VR, tag_for_keyword

    tag: Any = tag_for_keyword(keyword)
    vr = dictionary_VR(tag)
    text, readable = decode_text(raw, [""] if vr in _ASCII else charsets)
    found = [part.strip(" ") for part in (text.split("\\") if dictionary_VM(tag) != "1" else [text])]
    cleaned = [clean_text(keyword, vr, part) for part in found]
    valid = readable and None not in cleaned
    value = [part or "" for part in cleaned] if valid else [""]
    if value != found or not readable:
        what = f"is '{text}', no valid value" if vr in _SHOWN else "holds no valid value"
        lost = "left out" if keyword in _OPTIONAL else "left empty"
        done = lost if not valid else f"written as '{value[0]}'" if vr in _SHOWN else "put right"
        logger.warning("%s: %s %s %s; in the DICOM SEG it is %s", first.path, keyword, tag_text(keyword), what, done)
    return value


def _charset(charsets: list[str], texts: Sequence[str]) -> str:
    from pydicom.charset import python_encoding

    if charsets == [""] or charsets in _ONE_BYTE:
        try:
            for text in texts:
                text.encode("ascii" if charsets == [""] else python_encoding[charsets[0]])
            return charsets[0]
        except UnicodeEncodeError:
            pass
    return _UTF8
