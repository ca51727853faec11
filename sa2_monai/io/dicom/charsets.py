# SPDX-License-Identifier: Apache-2.0
"""Text of DICOM files, also under character sets that are misspelt, unknown, empty or code extensions alone."""

from __future__ import annotations

import re

from sa2_monai.io.dicom.packages import quiet_pydicom

__all__ = ["decode_text", "read_charsets"]

# Part of ISO 8859 -> registration number of DICOM's defined terms.
_ISO_8859 = {1: 100, 2: 101, 3: 109, 4: 110, 5: 144, 6: 127, 7: 126, 8: 138, 9: 148}
_OTHER_NAMES = {
    "UTF8": "ISO_IR 192",
    "UNICODE": "ISO_IR 192",
    "ASCII": "",
    "USASCII": "",
    "LATIN1": "ISO_IR 100",
    "GB18030": "GB18030",
    "GBK": "GBK",
    "GB2312": "GB2312",
}
_CARET = {0x5E}


def read_charsets(raw: bytes) -> tuple[list[str], list[str]]:
    """Defined terms of a SpecificCharacterSet, misspelt ones put right.

    Args:
        raw: the value as stored, terms parted by backslashes.

    Returns:
        The terms that DICOM knows (never an empty list: ``[""]`` is the default set), and the words that had to be
        corrected or left out.
    """
    from pydicom.charset import python_encoding

    terms, odd = [], []
    for word in raw.decode("ascii", "replace").split("\\"):
        word = word.strip(" \0")
        term = word if word in python_encoding else _corrected(word)
        if term != word:
            odd.append(word)
        if term is not None:
            terms.append("" if term == "ISO_IR 6" else term)  # the default set by its number
    return terms or [""], odd


def decode_text(raw: bytes, charsets: list[str]) -> tuple[str, bool]:
    """Text of an element.

    Args:
        raw: the value as stored.
        charsets: terms as :func:`read_charsets` gives them.

    Returns:
        The text without padding, and whether every byte had a meaning. Bytes that the character sets do not hold are
        taken as UTF-8 where they are valid UTF-8 (what programs write that set no character set), else replaced.
    """
    raw = raw.strip(b" \0")
    if raw.isascii() and b"\x1b" not in raw:
        return raw.decode("ascii"), True
    from pydicom.charset import convert_encodings, decode_bytes

    with quiet_pydicom():
        # Components of a name begin in the first character set again.
        encodings = convert_encodings(list(charsets))
        text = "=".join(decode_bytes(part, encodings, _CARET) for part in raw.split(b"=")) if raw else ""
    if charsets == [""] and not raw.isascii() and b"\x1b" not in raw:
        text = "\ufffd"  # the default set has no such bytes, whatever Python's codec makes of them
    if "\ufffd" not in text and "\x1b" not in text:
        return text, True
    try:
        return raw.decode("utf-8"), "\x1b" not in text
    except UnicodeDecodeError:
        return re.sub("[\x1b\ufffd]", "?", raw.decode("ascii", "replace")), False


def _corrected(word: str) -> str | None:
    """The defined term that is meant, or ``None``."""
    from pydicom.charset import python_encoding

    plain = re.sub(r"[\s_-]+", "", word.upper())
    if plain in _OTHER_NAMES:
        return _OTHER_NAMES[plain]
    if match := re.fullmatch(r"ISO8859[:.]?(\d+)", plain):
        number = _ISO_8859.get(int(match[1]))
        return None if number is None else f"ISO_IR {number}"
    match = re.fullmatch(r"(?:ISO)?(2022)?(?:IR)?(\d+)", plain)
    if match is None:
        return None
    term = f"ISO 2022 IR {match[2]}" if match[1] else f"ISO_IR {match[2]}"
    return term if term in python_encoding else None
