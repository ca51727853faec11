# SPDX-License-Identifier: Apache-2.0
"""One case as files of other programs, and the folder that holds them: there as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from sa2_monai.data.layouts.cases import Case
from sa2_monai.io.images.read import read_image, read_label
from sa2_monai.io.label_values import (
    NONZERO,
    LabelTable,
    above_threshold,
    from_colour_file,
    from_lossy_file,
    unexplained,
)
from sa2_monai.io.problems import Problems, listing
from sa2_monai.io.processors import usable_processors
from sa2_monai.io.volumes.nifti_writer import header_from_affine
from sa2_monai.io.volumes.read import load_volume
from sa2_monai.io.workplace import workplace

__all__ = ["ENDINGS", "new_folder", "write_cases", "write_images", "write_label"]

#: Suffix of the files by kind.
ENDINGS = {"images": ".png", "volumes": ".nii.gz"}


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, made beside its place and moved in when all went well.

    Args:
        folder: the place; it must be missing or empty.

    Yields:
        The folder to write into.

    Raises:
        FileExistsError: the place holds something.
        OSError: it cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        there = listing(sorted(path.name for path in folder.iterdir()), 5) if folder.is_dir() else "a file"
        raise FileExistsError(f"{folder}: is not empty ({there}); choose a new or an empty folder")
    with workplace(folder, "export") as place:
        made = place / folder.name
        made.mkdir()
        yield made
        if folder.exists():
            folder.rmdir()
        os.rename(made, folder)


def write_cases(where: str, cases: Sequence[Case], write: Callable[[Case], None]) -> None:
    """Write cases in a thread pool; what is wrong with single ones is told in one error.

    Args:
        where: the data, named in the message.
        cases: data list.
        write: function of a case.

    Raises:
        ValueError: files that cannot be used.
    """
    problems = Problems(where)

    def one(case: Case) -> str | None:
        try:
            write(case)
        except ValueError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(max_workers=min(8, usable_processors())) as pool:
        for error in pool.map(one, cases):
            if error:
                problems.add("files that cannot be exported", error, "repair or remove these cases")
    problems.raise_if_any()


def write_images(files: Sequence[str], kind: str, base: Path, numbered: bool = True) -> list[Path]:
    """Write the image of a case without loss: one file, or one per channel with nnU-Net's numbers.

    Args:
        files: the file, or the files of its channels; the folder of a DICOM series counts as a file.
        kind: ``"images"`` (PNG, grey or RGB) or ``"volumes"`` (NIfTI; NIfTI files are copied).
        base: path of the files without number and suffix.
        numbered: also number a single file, ``_0000``.

    Returns:
        The files that were written.

    Raises:
        ValueError: a file cannot be read, or holds fractional values, which PNG has not.
    """
    planes: list[str | np.ndarray] = []
    for file in files:
        planes += _planes(file, split=len(files) > 1) if kind == "images" else [file]
    written = []
    for k, plane in enumerate(planes):
        number = f"_{k:04d}" if numbered or len(planes) > 1 else ""
        path = base.with_name(f"{base.name}{number}{ENDINGS[kind]}")
        if isinstance(plane, np.ndarray):
            Image.fromarray(plane[:, :, 0] if plane.shape[2] == 1 else plane).save(path, format="PNG")
        else:
            _write_volume(plane, path)
        written.append(path)
    return written


def _planes(source: str, split: bool) -> list[str | np.ndarray]:
    """What PNG files hold of an image: all of it where it is grey or RGB of 8 bits, else channel by channel."""
    array = read_image(source)
    if array.dtype.kind == "f":
        raise ValueError(f"{source}: holds fractional values, which PNG has not; save it with 8 or 16 bits per channel")
    if array.shape[2] == 1 or (array.shape[2] == 3 and array.dtype == np.uint8 and not split):
        return [array]
    return [array[:, :, k : k + 1] for k in range(array.shape[2])]


def _write_volume(source: str, path: Path) -> None:
    volume = load_volume(source)  # a damaged file is an error here, not there
    if source.lower().endswith(".nii.gz"):
        shutil.copyfile(source, path)
    else:
        _save_nifti(path, volume.array, volume.header.affine)


def write_label(
    source: str, kind: str, target: Path, table: LabelTable, ignore_value: int | None, ignored: int = 255
) -> None:
    """Write a label map with class numbers.

    Args:
        source: the file.
        kind: ``"images"`` or ``"volumes"``.
        target: PNG or NIfTI file.
        table: value in the file -> class.
        ignore_value: value of pixels without a label; ``None`` if there is none.
        ignored: number that they get.

    Raises:
        ValueError: the file cannot be read, or holds values that the table does not explain.
    """
    volume = load_volume(source, label=True) if kind == "volumes" else None
    array = volume.array if volume is not None else read_label(source, colours=True)
    values, places = np.unique(array, return_inverse=True)
    wrong = unexplained(
        values.tolist(), table, ignore_value, lambda: from_lossy_file(source), lambda: from_colour_file(source)
    )
    if wrong is not None:
        raise ValueError(f"{source}: {wrong.kind}: {wrong.found}; {wrong.fix}")
    if isinstance(table, str):
        inside = values != 0 if table == NONZERO else above_threshold(values, from_lossy_file(source))
        classes = inside.astype(np.uint8)
    else:
        classes = np.array([table.get(int(value), 0) for value in values], np.uint8)
    if ignore_value is not None:
        classes[values == ignore_value] = ignored
    numbers = classes[places].reshape(array.shape)
    if volume is not None:
        _save_nifti(target, numbers, volume.header.affine)
    else:
        Image.fromarray(numbers).save(target, format="PNG")


def _save_nifti(path: Path, array: np.ndarray, affine: np.ndarray) -> None:
    import nibabel

    header = header_from_affine(array.shape, affine)
    array = array.astype(np.int32) if array.dtype == np.int64 else array
    header.set_data_dtype(array.dtype)
    nibabel.save(nibabel.Nifti1Image(array, None, header), path)
