# SPDX-License-Identifier: Apache-2.0
"""Where the voxels of a MetaImage (MHA, MHD) or NRRD file lie, from its text header.

SimpleITK reads the geometry; the voxels are read here, because ITK does not check the checksum of a compressed stream
and passes over bytes behind the last voxel. What these readers do not know (text, several data files) is left to ITK.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np

from sa2_monai.io.limits.beside import check_beside
from sa2_monai.io.volumes.streams import Stored

__all__ = ["check_data_files", "check_fields", "find_stored", "stated_spacing"]

_LINES, _LONGEST = 4096, 1 << 16  # of a header; more is no header
_CODECS = {"raw": "raw", "gzip": "gzip", "gz": "gzip"}
_VECTORS = ("dimsize", "elementspacing", "elementsize", "offset", "position", "origin", "centerofrotation")
_MATRICES = ("transformmatrix", "rotation", "orientation")
_LONGEST_NAME = 200
_BIG = ("true", "big", "t", "1", "y", "yes")


def check_fields(path: Path) -> None:
    """Refuse a MetaImage header whose fields do not fit each other; ITK writes beyond its memory for some of them.

    Args:
        path: ``.mha`` or ``.mhd`` file; other files pass.

    Raises:
        ValueError: another number of axes than 1 to 10, or of values in a field than the axes need.
    """
    if path.suffix.lower() not in (".mha", ".mhd"):
        return
    fields, _ = _meta_fields(path)
    axes = _whole(path, fields, "ndims", 0)
    wanted = {**dict.fromkeys(_VECTORS, axes), **dict.fromkeys(_MATRICES, axes * axes)}
    wrong = [name for name, count in wanted.items() if name in fields and len(fields[name].split()) != count]
    wrong += [name for name in fields if len(name) > _LONGEST_NAME]
    if not 1 <= axes <= 10 or wrong:
        what = f"{axes} axes (NDims)" + "".join(f" and {name[:30]} = {fields[name][:60]}" for name in wrong[:1])
        raise ValueError(
            f"{path}: truncated or damaged: the header has {what}, expected fields that fit each other; copy the file "
            "again"
        )


def check_data_files(path: Path) -> None:
    """Refuse a header whose voxels lie elsewhere than in its own folder, before ITK opens anything.

    Args:
        path: ``.nrrd``, ``.nhdr``, ``.mha`` or ``.mhd`` file.

    Raises:
        ValueError: a data file elsewhere, or a pattern of names that is none.
    """
    nrrd = path.suffix.lower() in (".nrrd", ".nhdr")
    fields, _ = (_nrrd_fields if nrrd else _meta_fields)(path)
    name = fields.get("datafile" if nrrd else "elementdatafile", "")
    if name.upper().startswith("LIST"):
        names = _listed(path)
    elif "%" in name:
        names = _numbered(path, name)
    else:
        names = [name] if name and (nrrd or name.upper() != "LOCAL") else []
    for one in names:
        check_beside(path, one)


def find_stored(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[Stored, np.dtype[Any]] | None:
    """Where the voxels of a file lie, and their type in the byte order of the file.

    Args:
        path: ``.nrrd``, ``.nhdr``, ``.mha`` or ``.mhd`` file, whose header ITK has read.
        shape: number of voxels.
        dtype: type of the voxels by ITK.

    Returns:
        ``None`` where ITK has to read the voxels: text, and several data files.

    Raises:
        ValueError: the data file is missing, or compressed voxels in several files, whose checksums nobody would check.
    """
    nrrd = path.suffix.lower() in (".nrrd", ".nhdr")
    fields, end = (_nrrd_fields if nrrd else _meta_fields)(path)
    size = math.prod(shape) * dtype.itemsize
    found = _nrrd(path, fields, end, size) if nrrd else _meta_image(path, fields, end, size)
    if found is None:
        _check_one_meaning(path, fields, nrrd)
        return None
    stored, big = found
    if not stored.file.is_file():
        raise ValueError(
            f"{path}: its data file is missing ({stored.file}); copy it to the place where the header says that it is"
        )
    return stored, dtype.newbyteorder(">" if big else "<")


def stated_spacing(path: Path) -> str:
    """What a header says of the spacing, as text; empty where it says nothing, for which ITK takes 1 mm.

    Args:
        path: ``.nrrd``, ``.nhdr``, ``.mha`` or ``.mhd`` file, whose header ITK has read.
    """
    if path.suffix.lower() in (".nrrd", ".nhdr"):
        fields, _ = _nrrd_fields(path)
        return fields.get("spacedirections", fields.get("spacings", ""))
    fields, _ = _meta_fields(path)
    return fields.get("elementspacing", fields.get("elementsize", ""))


def _meta_image(path: Path, fields: dict[str, str], end: int, size: int) -> tuple[Stored, bool] | None:
    name = fields.get("elementdatafile", "")
    packed = fields.get("compresseddata", "").lower() in _BIG
    codec = "zlib" if packed else "raw"
    several = name.upper().startswith("LIST") or "%" in name
    if several and packed:
        raise _several(path)
    if several or not name or fields.get("binarydata", "true").lower() not in _BIG:
        return None
    big = fields.get("binarydatabyteordermsb", fields.get("elementbyteordermsb", "false")).lower() in _BIG
    if name.upper() == "LOCAL":
        return Stored(path, end, codec), big
    return _detached(path.parent / name, codec, _whole(path, fields, "headersize", 0), size), big


def _nrrd(path: Path, fields: dict[str, str], end: int, size: int) -> tuple[Stored, bool] | None:
    name = fields.get("datafile", "")
    codec = _CODECS.get(fields.get("encoding", "").lower())
    several = name.upper().startswith("LIST") or "%" in name
    if several and codec != "raw":
        raise _several(path)
    if codec is None or several or _whole(path, fields, "lineskip", 0):
        return None
    big = fields.get("endian", "little").lower() in _BIG
    skip = _whole(path, fields, "byteskip", 0)
    if not name:
        return (Stored(path, end, codec, skip) if skip >= 0 else None), big  # type: ignore[return-value]
    if codec == "raw":
        return _detached(path.parent / name, codec, skip, size), big
    return Stored(path.parent / name, 0, codec, max(skip, 0)), big


def _whole(path: Path, fields: dict[str, str], name: str, default: int) -> int:
    text = fields.get(name, "")
    try:
        return int(text) if text else default
    except ValueError:
        raise ValueError(
            f"{path}: truncated or damaged: the header has {name} {text[:60]!r}, expected a whole number; copy the "
            "file again"
        ) from None


def _detached(file: Path, codec: str, skip: int, size: int) -> Stored:
    """A data file; a skip of -1 says that the voxels are the end of it."""
    if skip < 0:
        skip = max(file.stat().st_size - size, 0) if file.is_file() else 0
    return Stored(file, skip, codec)


def _listed(path: Path) -> list[str]:
    """Names of data files that a header lists, one a line, behind the line that says so."""
    lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    first = next(k for k, line in enumerate(lines) if re.match(r"\s*(element)?data ?file", line, re.I))
    return [name for line in lines[first + 1 :] if (name := line.strip())]


def _numbered(path: Path, text: str) -> list[str]:
    """Names of data files by a pattern, first and last number and step."""
    # ITK gives the pattern to sprintf: with one number in it, and nothing else, it is a name.
    found = re.fullmatch(r"([^%\s]*%0?\d{0,2}d[^%\s]*)\s+(\d{1,6})\s+(\d{1,6})\s+([1-9]\d{0,5})(?:\s+\d)?", text)
    if found is None or int(found[3]) - int(found[2]) > _LONGEST:
        raise ValueError(
            f"{path}: names its data files by the pattern {text[:60]!r}, expected one like 'slice%03d.raw 1 90 1'; "
            "save the volume as one .nrrd, .mha or .nii.gz file"
        )
    return [found[1] % number for number in range(int(found[2]), int(found[3]) + 1, int(found[4]))]


def _check_one_meaning(path: Path, fields: dict[str, str], nrrd: bool) -> None:
    """Refuse a header in which ITK, which opens the data file itself, may find another name than was checked."""
    name = fields.get("datafile" if nrrd else "elementdatafile", "")
    words = re.findall(rb"data ?file" if nrrd else rb"element\s*data\s*file", path.read_bytes(), re.IGNORECASE)
    if len(words) != bool(name) or (not nrrd and words != [b"ElementDataFile"]) or name == "-":
        raise ValueError(
            f"{path}: names its data file {len(words)} times, or in an unusual way ({name[:60]!r}), expected one line "
            "with it; save the volume as one .nrrd, .mha or .nii.gz file"
        )


def _several(path: Path) -> ValueError:
    return ValueError(
        f"{path}: its compressed voxels lie in several files, expected one; save the volume as one .nrrd, .mha or "
        ".nii.gz file"
    )


def _meta_fields(path: Path) -> tuple[dict[str, str], int]:
    """Fields of a MetaImage header by lower-case name, and the byte behind it; its last line names the data file."""
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        for _ in range(_LINES):
            line = file.readline(_LONGEST)
            key, found, value = line.decode("utf-8", "replace").partition("=")
            if found:
                fields[key.strip().lower()] = value.strip()
            if not line or key.strip().lower() == "elementdatafile":
                break
        return fields, file.tell()


def _nrrd_fields(path: Path) -> tuple[dict[str, str], int]:
    """Fields of an NRRD header by name without spaces, and the byte behind the empty line that ends it."""
    fields: dict[str, str] = {}
    with path.open("rb") as file:
        for _ in range(_LINES):
            line = file.readline(_LONGEST)
            if not line.strip():
                break
            key, found, value = line.decode("utf-8", "replace").partition(": ")
            if found and not key.startswith("#") and ":=" not in key:
                fields[key.strip().lower().replace(" ", "")] = value.strip()
        return fields, file.tell()
