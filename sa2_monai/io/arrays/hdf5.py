# SPDX-License-Identifier: Apache-2.0
"""HDF5 arrays that are not what they seem: such as lie in other files, and chunks that unpack to more than they say.

HDF5 opens whatever file a link names, and lays its bytes out as an array: external links, external storage and virtual
datasets are followed in the same folder only.
"""

from __future__ import annotations

import math
import os
import zlib
from pathlib import Path
from typing import Any

from sa2_monai.io.limits.beside import check_beside
from sa2_monai.io.limits.voxels import bytes_at_most
from sa2_monai.io.limits.zips import LARGEST_RATIO

__all__ = ["check_chunks", "check_links", "check_storage"]

_DEPTH = 8  # of links to links
_PIECE, _CHECKSUMS = 1 << 20, 1 << 16  # bytes


def check_links(path: Path, file: Any, name: str, depth: int = _DEPTH) -> None:
    """Follow the links to an object; those that lead out of the folder are refused and not opened.

    Args:
        path: the file, or the one that a link of it has led to.
        file: the same, open in h5py.
        name: of the object, with the groups that it is in.
        depth: so many links may follow each other.

    Raises:
        ValueError: a link out of the folder, one to a file that is not there (which HDF5 would look for elsewhere), or
            too many of them.
    """
    import h5py

    _check_depth(path, depth)
    group = file
    for part in filter(None, name.split("/")):
        link = group.get(part, getlink=True)
        if isinstance(link, h5py.ExternalLink):
            _check_other(path, link.filename)
            with h5py.File(path.parent / link.filename, "r") as other:
                check_links(path.parent / link.filename, other, link.path, depth - 1)
        elif isinstance(link, h5py.SoftLink):
            start = "" if link.path.startswith("/") else group.name
            check_links(path, file, f"{start}/{link.path}", depth - 1)
        if not isinstance(link, h5py.HardLink) or not isinstance(group[part], h5py.Group):
            return
        group = group[part]


def check_storage(path: Path, dataset: Any, depth: int = _DEPTH) -> None:
    """Refuse an array whose values lie in files outside of the folder; none of them is opened.

    Args:
        path: the file.
        dataset: of it, open in h5py.
        depth: so many virtual datasets may stand upon each other.

    Raises:
        ValueError: a file elsewhere, or one that is not there.
    """
    import h5py

    _check_depth(path, depth)
    for name, _, _ in dataset.external or ():  # HDF5 looks for them in the working directory
        check_beside(path, os.path.abspath(os.fsdecode(name)))
    for source in dataset.virtual_sources() if dataset.is_virtual else ():
        if source.file_name == ".":
            check_links(path, dataset.file, source.dset_name, depth - 1)
            check_storage(path, dataset.file[source.dset_name], depth - 1)
            continue
        _check_other(path, source.file_name)
        with h5py.File(path.parent / source.file_name, "r") as other:
            check_links(path.parent / source.file_name, other, source.dset_name, depth - 1)
            check_storage(path.parent / source.file_name, other[source.dset_name], depth - 1)


def check_chunks(path: Path, dataset: Any) -> None:
    """Refuse chunks that unpack to more than they stand for; HDF5 unpacks a chunk to its end, however large it becomes.

    Args:
        path: the file.
        dataset: of it, open in h5py.

    Raises:
        ValueError: more in a chunk than its shape says.
    """
    most = bytes_at_most()
    if dataset.chunks is None or dataset.compression != "gzip":
        return
    if dataset.id.get_storage_size() * LARGEST_RATIO <= most:
        return
    found: list[Any] = []
    dataset.id.chunk_iter(found.append)
    size = math.prod(dataset.chunks) * dataset.dtype.itemsize
    for chunk in found:
        if chunk.size * LARGEST_RATIO <= most:
            continue
        _, data = dataset.id.read_direct_chunk(chunk.chunk_offset)
        engine, unpacked = zlib.decompressobj(), 0
        while data and not engine.eof and unpacked <= size + _CHECKSUMS:
            unpacked += len(engine.decompress(data, _PIECE))
            data = engine.unconsumed_tail
        if unpacked > size + _CHECKSUMS:
            raise ValueError(
                f"{path}: a chunk of {dataset.name.lstrip('/')!r} unpacks to more than the {size} bytes that it stands "
                "for; the file is damaged or hostile, make or copy it again"
            )


def _check_other(path: Path, name: str) -> None:
    check_beside(path, name)
    if not (path.parent / name).is_file():
        raise ValueError(f"{path}: takes an array from {name!r}, which is not there; copy it to the same folder")


def _check_depth(path: Path, depth: int) -> None:
    if depth < 0:
        raise ValueError(f"{path}: its arrays are links to links to links, without an end; make the file again")
