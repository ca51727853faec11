# SPDX-License-Identifier: Apache-2.0
"""Values of DICOM elements by the rules of their type: what is meant beyond doubt is put right, the rest is refused."""

from __future__ import annotations

import math
import re
from datetime import date
from typing import Any

from sa2_monai.io.dicom.packages import quiet_pydicom

__all__ = ["clean_text"]

_TERMS = {
    "PatientSex": {"M": "M", "MALE": "M", "F": "F", "FEMALE": "F", "O": "O", "OTHER": "O"},
    "PatientSexNeutered": {"ALTERED": "ALTERED", "UNALTERED": "UNALTERED"},
    "PatientIdentityRemoved": {"YES": "YES", "NO": "NO"},
    "LossyImageCompression": {"00": "00", "01": "01"},
}
_LONGEST = {"SH": 16, "LO": 64, "CS": 16, "ST": 1024, "LT": 10240, "AE": 16, "UC": 1 << 16, "UT": 1 << 16}
_UID = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+")


def clean_text(keyword: str, vr: str, text: str) -> str | None:
    """A value as the standard wants it.

    Args:
        keyword: name of the element.
        vr: type of its value: ``DA``, ``PN``, ...
        text: one value, decoded, without padding.

    Returns:
        The value, put right where it can mean one thing only (``2020-01-31``, ``male``, ``45Y``, ``72,5``), or ``None``
        for one that is not valid.
    """
    text = re.sub(r"[\0\x1b]", "", text).strip(" ")
    if not text:
        return ""
    if keyword in _TERMS:
        return _TERMS[keyword].get(text.upper())
    special = {"DA": _date, "TM": _time, "DT": _date_time, "AS": _age, "IS": _integer, "DS": _decimal, "UI": _uid}
    if vr in special:
        return special[vr](text)
    if vr == "PN":
        return _name(text)
    if vr not in ("ST", "LT", "UT"):  # paragraphs
        if "\\" in text:
            return None
        text = re.sub(r"[\r\n\t\f]+", " ", text).strip(" ")
    if vr == "CS":
        text = text.upper()
    if "\ufffd" in text or len(text) > _LONGEST.get(vr, 64) or not _valid(vr, text):
        return None
    return text


def _valid(vr: str, value: Any) -> bool:
    from pydicom import config
    from pydicom.valuerep import validate_value

    with quiet_pydicom():
        try:
            validate_value(vr, value, config.RAISE)
        except (ValueError, TypeError):
            return False
    return True


def _date(text: str) -> str | None:
    # A time behind it is left out; other orders of day and month have more than one meaning.
    match = re.fullmatch(r"(\d{4})([-./]?)(\d{2})\2(\d{2})(?:[T ]?\d{2}:?\d{2}.*)?", text)
    if match is None:
        return None
    try:
        date(int(match[1]), int(match[3]), int(match[4]))
    except ValueError:
        return None
    return match[1] + match[3] + match[4]


def _time(text: str) -> str | None:
    match = re.fullmatch(r"(\d{2})(?::?(\d{2})(?::?(\d{2})(?:[.,](\d+))?)?)?", text)
    if match is None or any(int(part or 0) > top for part, top in zip(match.groups()[:3], (23, 59, 60), strict=True)):
        return None
    fraction = f".{match[4][:6]}" if match[4] else ""
    return "".join(part or "" for part in match.groups()[:3]) + fraction


def _date_time(text: str) -> str | None:
    if _valid("DT", text) and len(text) <= 26:
        return text
    match = re.fullmatch(r"(\d{4}[-./]?\d{2}[-./]?\d{2})[T ]?([\d:.,]+)", text)
    day, time = (_date(match[1]), _time(match[2])) if match else (None, None)
    return day + time if day and time else None


def _age(text: str) -> str | None:
    match = re.fullmatch(r"0*(\d{1,3})\s*([DWMY])", text.upper())
    return f"{int(match[1]):03d}{match[2]}" if match else None


def _integer(text: str) -> str | None:
    match = re.fullmatch(r"([+-]?\d+)(?:\.0*)?", text)
    return str(int(match[1])) if match and abs(int(match[1])) < 1 << 31 else None


def _decimal(text: str) -> str | None:
    from pydicom.valuerep import format_number_as_ds, is_valid_ds

    text = text.replace(",", ".") if text.count(",") == 1 and "." not in text else text
    if is_valid_ds(text) and len(text) <= 16:
        return text
    try:
        number = float(text) if re.fullmatch(r"[+-]?[\d.]+([eE][+-]?\d+)?", text) else math.nan
    except ValueError:
        return None
    return format_number_as_ds(number) if math.isfinite(number) else None


def _uid(text: str) -> str | None:
    return text if _UID.fullmatch(text) and len(text) <= 64 else None


def _name(text: str) -> str | None:
    text = re.sub(r"[\r\n\t\f]+", " ", text).strip(" ")
    groups = text.split("=")
    if "\ufffd" in text or "\\" in text or not text.isprintable() or len(groups) > 3:
        return None
    if any(len(group) > 64 or group.count("^") > 4 for group in groups):
        return None
    return text if _valid("PN", text) else None
