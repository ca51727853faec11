# SPDX-License-Identifier: Apache-2.0
"""Volume files of every format for the tests of the readers: written by nibabel and ITK, then spoiled.

Why: a reader is judged by files of other programs, and each kind of damage must be met in each format.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import SimpleITK as sitk

ARRAY = np.random.default_rng(3).integers(-1000, 1000, (9, 8, 7)).astype(np.int16)
AFFINE = np.array([[-0.9, 0, 0, 30], [0, -0.8, 0, 20], [0, 0, 2.5, -5], [0, 0, 0, 1.0]])
FORMATS = ("nii", "nii.gz", "2.nii.gz", "mha", "raw.mha", "mhd", "raw.mhd", "nrrd", "raw.nrrd", "nhdr", "raw.nhdr")
COMPRESSED = tuple(kind for kind in FORMATS if kind != "nii" and not kind.startswith("raw."))
GZIP = tuple(kind for kind in COMPRESSED if not kind.startswith("mh"))


def write_volume(folder: Path, kind: str, array: np.ndarray = ARRAY, affine: np.ndarray = AFFINE) -> Path:
    """Write a volume in one of :data:`FORMATS` as ``v.<suffix>``."""
    path = folder / f"v.{kind.removeprefix('raw.').removeprefix('2.')}"
    if "nii" in kind:
        nib.save((nib.Nifti2Image if kind.startswith("2.") else nib.Nifti1Image)(array, affine), path)
        return path
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    lps = np.diag([-1.0, -1, 1, 1]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing)
    image.SetDirection((lps[:3, :3] / spacing).ravel())
    image.SetOrigin(lps[:3, 3])
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(path))
    writer.SetUseCompression(not kind.startswith("raw."))
    writer.Execute(image)
    return path


def data_file(path: Path) -> Path:
    """The file with the voxels of a volume: itself, or the one beside it."""
    beside = [p for p in path.parent.iterdir() if p.stem.split(".")[0] == path.name.split(".")[0] and p != path]
    return beside[0] if path.suffix in (".mhd", ".nhdr") else path


def spoil(path: Path, change: Callable[[bytes], bytes]) -> Path:
    """Change the bytes of the file with the voxels."""
    file = data_file(path)
    file.write_bytes(change(file.read_bytes()))
    return path


def recompressed(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """A change of what a file holds: of the voxels behind any header, compressed again as they were."""

    def of(content: bytes) -> bytes:
        for start, unpack, pack in (
            (content.find(b"\x1f\x8b"), gzip.decompress, gzip.compress),
            (content.find(b"LOCAL\n") + 6 if b"LOCAL\n" in content else 0, zlib.decompress, zlib.compress),
        ):
            if start < 0:
                continue
            try:
                return content[:start] + pack(change(unpack(content[start:])))
            except (OSError, zlib.error):
                continue
        return change(content)

    return of


def patched(path: Path, **fields: Any) -> Path:
    """Change fields in the header of a NIfTI-1 file, behind nibabel's back."""
    packed = path.suffix == ".gz"
    content = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    order = "<" if int.from_bytes(content[:4], "little") == 348 else ">"
    header = nib.Nifti1Header(content[:348], endianness=order, check=False)
    for name, value in fields.items():
        header[name] = value
    changed = header.binaryblock + content[348:]
    path.write_bytes(gzip.compress(changed) if packed else changed)
    return path
