# SPDX-License-Identifier: Apache-2.0
"""Writers of predictions on volumes: the geometry of the output file is that of the input file, to the last bit.

MONAI's writer sets the codes of the NIfTI header to 1, forgets the units, makes a 2D file of a volume with one slice,
and writes what an affine says that a forgotten ``Invertd`` has left on the model's grid. The writers here take the
header from the input file and refuse an array that is not on its grid.
"""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.utils import ImageMetaKey, MetaKeys

from sa2_monai.data import volume_header
from sa2_monai.inference.saving import CaseSaveImaged
from sa2_monai.io.dicom.files import is_series
from sa2_monai.io.dicom.seg import require_highdicom, segment_names, write_dicom_seg
from sa2_monai.io.names import file_name, volume_stem
from sa2_monai.io.volumes.geometry import corner_distance
from sa2_monai.io.volumes.nifti_affine import nifti_affine
from sa2_monai.io.volumes.nifti_writer import header_from_affine, header_like, nifti_writer
from sa2_monai.weights import atomic_write

__all__ = ["VolumeProbabilitySaveImaged", "VolumeSaveImaged"]

_SCALE = 65535


@dataclass(frozen=True)
class _Source:
    """Where a prediction comes from: file or DICOM series, its grid, and the header of the files to write."""

    path: str
    is_dicom: bool
    series_uid: str
    shape: tuple[int, ...]
    header: Any


class VolumeSaveImaged(CaseSaveImaged):
    """Write label maps of volumes as ``<output_dir>/<case>.nii.gz`` with exactly the input's geometry.

    A NIfTI input gives its header (shape, qform, sform, codes, units, pixdim), only the type of the voxels is another:
    uint8, or int16 for classes above 255. For NRRD, MHA, MHD and DICOM input the header is made from the affine. Files
    are written whole or not at all, and the same input gives the same bytes.

    Args:
        keys: label maps (1, x, y, z) or (x, y, z): whole numbers of any dtype on the grid of the input (after
            ``Invertd``), with the metadata of :class:`~sa2_monai.data.VolumeReader`.
        output_dir: folder, made when the first file is written.
        output_postfix: added to the name with an underscore, when not empty.
        dicom_seg: for DICOM input, write ``<case>.dcm`` too: DICOM SEG with references to the source series. Needs the
            extra ``dicom``.
        class_names: names of the classes, background first, or ``{class: name}``; for ``dicom_seg``.
        case_key: see :class:`CaseSaveImaged`.
        allow_missing_keys: do not complain about absent keys.

    Raises:
        ValueError: at once for ``dicom_seg`` without names; when called, for an array that is no label map or not on
            the grid of its input, for an input without geometry, and as for :class:`CaseSaveImaged`.
        OSError: when called, if the file cannot be written; the message names it.
    """

    def __init__(
        self,
        keys: KeysCollection,
        output_dir: str | os.PathLike[str] = "./",
        output_postfix: str = "",
        dicom_seg: bool = False,
        class_names: Sequence[str] | Mapping[Any, str] | None = None,
        case_key: str = "case",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, output_dir, output_postfix, case_key, allow_missing_keys=allow_missing_keys)
        self.dicom_seg = dicom_seg
        self.class_names = class_names
        if dicom_seg:
            if class_names is None:
                raise ValueError("dicom_seg needs class_names: the segments of a DICOM SEG have names.")
            segment_names(class_names)
            require_highdicom()

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write the arrays of ``keys`` and return the dictionary unchanged."""
        d = dict(data)
        for key in self.key_iterator(d):
            source = _find_source(d[key])
            name = self._name(d.get(self.case_key) or volume_stem(source.path), source.path)
            stem = self.output_dir / name
            array = d[key].detach().cpu().numpy() if isinstance(d[key], torch.Tensor) else np.asarray(d[key])
            self.write(array, stem, source)
        return d

    def write(self, array: np.ndarray, stem: Path, source: _Source) -> None:
        """Write one label map.

        Args:
            array: (1, x, y, z) or (x, y, z).
            stem: output path without extension.
            source: the input.
        """
        labels = _on_grid(array, source, stem, "a label map (1, x, y, z); put AsDiscreted before the writer")
        if labels.min() < 0 or labels.max() > np.iinfo(np.int16).max:
            raise ValueError(
                f"cannot write {stem}.nii.gz: expected class indices 0 to 32767, got values from {labels.min()} to "
                f"{labels.max()}."
            )
        with np.errstate(invalid="ignore"):  # NaN: found by the comparison
            whole = labels.astype(np.uint8 if labels.max() <= 255 else np.int16, copy=False)
        if labels.dtype.kind == "f" and not np.array_equal(whole, labels):
            raise ValueError(
                f"cannot write {stem}.nii.gz: expected class indices, got fractional {labels.dtype} values from "
                f"{labels.min()} to {labels.max()}. Put AsDiscreted before the writer."
            )
        self._save(stem, ".nii.gz", source, whole)
        if self.dicom_seg and source.is_dicom:
            path = self._claim(stem, ".dcm", source)
            write_dicom_seg(whole, source.path, path, self.class_names or (), series=source.series_uid)

    def save_array(self, array: np.ndarray, stem: Path, source: _Source) -> None:
        """Write one array of any values as float32.

        Args:
            array: (1, x, y, z) or (x, y, z).
            stem: output path without extension.
            source: the input.
        """
        values = _on_grid(array, source, stem, "one map (1, x, y, z)")
        self._save(stem, ".nii.gz", source, values.astype(np.float32))

    def _save(self, stem: Path, suffix: str, source: _Source, array: np.ndarray, slope: float = 1.0) -> None:
        atomic_write(self._claim(stem, suffix, source), nifti_writer(source.header, array, slope))

    def _claim(self, stem: Path, suffix: str, source: _Source) -> Path:
        path = stem.with_name(file_name(stem.name, suffix))
        if source.path and path.resolve() == Path(source.path).resolve():
            raise ValueError(f"the prediction of {source.path} would overwrite it. Choose another output folder.")
        if source.path and self._sources.setdefault(path, source.path) != source.path:
            raise ValueError(
                f"{source.path} and {self._sources[path]} would both be written to {path}. Rename one of them."
            )
        return path


class VolumeProbabilitySaveImaged(VolumeSaveImaged):
    """Write probability maps, one file per class: ``<output_dir>/<case>_prob_<class>.nii.gz``.

    NIfTI has no half precision. The default are 16-bit integers with the slope 1/65535 in the header, which every
    reader applies: half the size of float32, and wrong by 7.7e-6 at most (half precision: 2.4e-4).

    Args:
        keys: probabilities (C, x, y, z) in [0, 1] on the grid of the input; one channel is the foreground (class 1).
        output_dir: folder, made when the first file is written.
        output_postfix: stands between the case and the class.
        class_names: names of the classes, background first, or ``{class: name}``; ``None`` takes the numbers.
        dtype: ``"uint16"`` (with a slope) or ``"float32"``.
        case_key: see :class:`CaseSaveImaged`.
        allow_missing_keys: do not complain about absent keys.

    Raises:
        ValueError: at once for another ``dtype``; when called, for values outside [0, 1], another number of channels
            than classes, and as for :class:`VolumeSaveImaged`.
        OSError: when called, if a file cannot be written; the message names it.
    """

    def __init__(
        self,
        keys: KeysCollection,
        output_dir: str | os.PathLike[str] = "./",
        output_postfix: str = "prob",
        class_names: Sequence[str] | Mapping[Any, str] | None = None,
        dtype: str = "uint16",
        case_key: str = "case",
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(
            keys,
            output_dir,
            output_postfix,
            class_names=class_names,
            case_key=case_key,
            allow_missing_keys=allow_missing_keys,
        )
        if dtype not in ("uint16", "float32"):
            raise ValueError(f"dtype is {dtype!r}, expected 'uint16' or 'float32'; NIfTI has no half precision.")
        self.dtype = dtype

    def write(self, array: np.ndarray, stem: Path, source: _Source) -> None:
        """Write the channels of one array; see :meth:`VolumeSaveImaged.write`."""
        if array.ndim != 4:
            raise ValueError(f"cannot write {stem}: expected probabilities (C, x, y, z), got {array.shape}.")
        for name, channel in zip(self._names(array.shape[0], stem), array, strict=True):
            values = _on_grid(channel, source, stem, "probabilities (C, x, y, z)")
            # Interpolation may overshoot by the last bit; anything more is no probability. NaN fails the test too.
            if not (values.min() >= -1e-4 and values.max() <= 1 + 1e-4):
                raise ValueError(
                    f"cannot write {stem}: expected probabilities in [0, 1], got values from {values.min()} to "
                    f"{values.max()}. Put Activationsd before the writer."
                )
            values = values.clip(0, 1)
            if self.dtype == "float32":
                self._save(stem, f"_{name}.nii.gz", source, values.astype(np.float32))
            else:
                stored = np.rint(values.astype(np.float32) * np.float32(_SCALE)).astype(np.uint16)
                self._save(stem, f"_{name}.nii.gz", source, stored, 1 / _SCALE)

    def _names(self, channels: int, stem: Path) -> list[str]:
        classes = [1] if channels == 1 else list(range(channels))
        if self.class_names is None:
            return [str(k) for k in classes]
        names = self.class_names
        table = {int(k): v for k, v in (names.items() if isinstance(names, Mapping) else enumerate(names))}
        if len(table) != max(channels, 2) or not set(classes) <= table.keys():
            raise ValueError(
                f"cannot write {stem}: {channels} channels, but {len(table)} class names {list(table.values())}; "
                "expected one per channel, background first."
            )
        return [re.sub(r"[^\w.-]+", "_", table[k]) for k in classes]


def _find_source(item: Any) -> _Source:
    meta = item.meta if isinstance(item, MetaTensor) else {}
    path = str(meta.get(ImageMetaKey.FILENAME_OR_OBJ) or "")
    if not path:
        raise ValueError(
            "cannot write a prediction without geometry: the array has no metadata with the name of its input file. "
            "Load with VolumeReader and keep MetaTensors up to the writer."
        )
    series_uid = str(meta.get("series_uid") or "")
    if path.lower().endswith((".nii", ".nii.gz")):
        header = header_like(Path(path))
        shape = tuple(int(n) for n in header.get_data_shape()[:3])
        affine: Any = nifti_affine(Path(path), header, shape)[0]
    else:
        affine, sizes = meta.get(MetaKeys.ORIGINAL_AFFINE), meta.get(MetaKeys.SPATIAL_SHAPE)
        if affine is None or sizes is None:  # read with another reader
            found = volume_header(path, series=series_uid)
            affine, sizes = found.affine, found.shape
        affine, shape = np.asarray(affine, dtype=np.float64), tuple(int(n) for n in sizes)
        header = header_from_affine(shape, affine)
    given = np.asarray(item.affine, dtype=np.float64)
    smallest = float(np.linalg.norm(affine[:3, :3], axis=0).min())
    distance = corner_distance(shape, given, affine) if given.shape == (4, 4) else np.inf
    if tuple(item.shape[-3:]) == shape and not distance <= min(1e-3, 0.01 * smallest):
        raise ValueError(
            f"cannot write the prediction of {path}: it lies {distance:.3g} mm from its input at a corner. Put Invertd "
            "before the writer."
        )
    return _Source(path, is_series(path), series_uid, shape, header)


def _on_grid(array: np.ndarray, source: _Source, stem: Path, expected: str) -> np.ndarray:
    volume = array[0] if array.ndim == 4 and array.shape[0] == 1 else array
    if volume.ndim != 3:
        raise ValueError(f"cannot write {stem}.nii.gz: expected {expected}, got the shape {array.shape}.")
    if volume.shape != source.shape:
        raise ValueError(
            f"cannot write {stem}.nii.gz: the prediction has the shape {volume.shape}, its input {source.path} has "
            f"{source.shape}. Put Invertd before the writer."
        )
    return volume
