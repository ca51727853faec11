# SPDX-License-Identifier: Apache-2.0
"""Writers of predictions: one image file per case, never half a file.

MONAI's ``SaveImaged`` names its output after the input file, so that ``a/cell.png`` and ``b/cell.png`` overwrite each
other, and writes in place, so that a stopped run leaves broken files. The writers here take the name from the case,
write to a temporary name and rename. They are subclasses of ``SaveImaged``, which MONAI Label and MONAI Deploy look for
when they take the writers out of a bundle's post-processing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from monai.config import KeysCollection
from monai.data import MetaTensor
from monai.transforms import SaveImaged
from monai.utils import ImageMetaKey
from PIL import Image

from sa2_monai.io.names import file_name
from sa2_monai.io.palette import mask_palette
from sa2_monai.weights import atomic_write

__all__ = ["CaseSaveImaged", "ProbabilitySaveImaged"]


class CaseSaveImaged(SaveImaged):
    """Write class-index maps as ``<output_dir>/<case>.png``: one channel, 8 bit, the class numbers as they are.

    The file has a palette, so that every viewer shows the classes in colours (those of the overlays; class 0 is black)
    instead of shades of black. Its pixels are the class numbers: ``numpy.asarray(PIL.Image.open(path))``, MONAI's
    ``PILReader`` and ``sa2_monai.data.read_label`` return them. Programs that put the colours in their place (OpenCV,
    scikit-image, imageio, ITK, torchvision) need ``palette=False``, which writes plain grey.

    Args:
        keys: class-index maps (1, W, H) or (W, H) in the axis order of MONAI's readers, or (1, W, H, 1) of an image
            that was read as a volume; whole numbers 0 .. 255 of any dtype, at the size of the image (after
            ``Invertd``).
        output_dir: folder, made when the first file is written.
        output_postfix: added to the name with an underscore, when not empty.
        case_key: entry of the dictionary with the name of the case; a name with ``/`` makes sub-folders. Where there is
            none, the name of the input file without its extension is taken from the metadata.
        reverse_indexing: arrays are (W, H), as MONAI's readers give them; ``False`` for (H, W).
        allow_missing_keys: do not complain about absent keys.
        palette: whether the file has colours for its classes.

    Raises:
        ValueError: when called, for an array that is no such map, a case without a name, a name that leads out of
            ``output_dir``, or two input files that would be written to one output file.
        OSError: when called, if the file cannot be written; the message names it.
    """

    def __init__(
        self,
        keys: KeysCollection,
        output_dir: str | os.PathLike[str] = "./",
        output_postfix: str = "",
        case_key: str = "case",
        reverse_indexing: bool = True,
        allow_missing_keys: bool = False,
        palette: bool = True,
    ) -> None:
        super().__init__(
            keys,
            output_dir=str(output_dir),
            output_postfix=output_postfix,
            output_ext=".png",
            separate_folder=False,
            allow_missing_keys=allow_missing_keys,
        )
        self.output_dir = Path(output_dir)
        self.output_postfix = output_postfix
        self.case_key = case_key
        self.reverse_indexing = reverse_indexing
        self.palette = palette
        self._sources: dict[Path, str] = {}

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write the maps of ``keys`` and return the dictionary unchanged."""
        d = dict(data)
        for key in self.key_iterator(d):
            source = _source(d[key])
            stem = self.output_dir / self._name(d.get(self.case_key), source)
            array = d[key].detach().cpu().numpy() if isinstance(d[key], torch.Tensor) else np.asarray(d[key])
            suffix, save = self.encode(array[..., 0] if array.ndim == 4 and array.shape[3] == 1 else array, stem)
            path = stem.with_name(file_name(stem.name, suffix))
            if source and self._sources.setdefault(path, source) != source:
                raise ValueError(
                    f"{source} and {self._sources[path]} would both be written to {path}. Rename one of them."
                )
            atomic_write(path, save)
        return d

    def encode(self, array: np.ndarray, stem: Path) -> tuple[str, Callable[[BinaryIO], None]]:
        """Choose the file type of an array.

        Args:
            array: one item of ``keys`` as NumPy array.
            stem: the output path without extension, for messages.

        Returns:
            The extension, and a function that writes the array to an open binary file.
        """
        plane = array[0] if array.ndim == 3 and array.shape[0] == 1 else array
        if plane.ndim != 2:
            raise ValueError(f"cannot write {stem}.png: expected a class-index map (1, W, H), got {array.shape}.")
        # Compared after the conversion: a fraction, a negative number or a NaN would change in silence.
        with np.errstate(invalid="ignore"):
            indices = plane.astype(np.uint8, copy=False)
        if indices is not plane and not np.array_equal(indices, plane):
            raise ValueError(
                f"cannot write {stem}.png: expected class indices 0 to 255, got {plane.dtype} values from "
                f"{plane.min()} to {plane.max()}. Put AsDiscreted before the writer."
            )
        return ".png", self._png(indices, self.palette)

    def _png(self, plane: np.ndarray, palette: bool = False) -> Callable[[BinaryIO], None]:
        # Pillow wants rows first. It takes its mode from the dtype: uint8 -> L, uint16 -> I;16.
        image = Image.fromarray(np.ascontiguousarray(plane.T if self.reverse_indexing else plane))
        if palette:
            image.putpalette(mask_palette())
        return lambda file: image.save(file, format="PNG")

    def _name(self, case: Any, source: str) -> Path:
        name = str(case) if case else Path(source).stem
        if not name:
            raise ValueError(f"cannot name a prediction: the case has neither '{self.case_key}' nor a file name.")
        path = Path(f"{name}_{self.output_postfix}" if self.output_postfix else name)
        if path.is_absolute() or ".." in path.parts:
            raise ValueError(f"the case name {name!r} leads out of the output folder {self.output_dir}. Rename it.")
        return path


class ProbabilitySaveImaged(CaseSaveImaged):
    """Write probability maps beside the predictions, as ``<output_dir>/<case>_prob.png`` or ``.npy``.

    One channel becomes a grey image in which white (``scale``) is probability 1; several channels become a NumPy file
    of half precision with the shape (C, H, W), that is with rows first.

    Args:
        keys: probabilities (C, W, H), or (C, W, H, 1), in [0, 1], floating point, in the axis order of MONAI's readers.
        output_dir: folder, made when the first file is written.
        output_postfix: added to the name with an underscore, when not empty.
        scale: 255 (8 bit) or 65535 (16 bit) for the grey image. In both, half the scale or more is where the
            probability is at least 0.5, up to rounding.
        case_key: see :class:`CaseSaveImaged`.
        reverse_indexing: see :class:`CaseSaveImaged`.
        allow_missing_keys: do not complain about absent keys.

    Raises:
        ValueError: at once for another ``scale``; when called, for values outside [0, 1] or another shape.
        OSError: when called, if the file cannot be written; the message names it.
    """

    def __init__(
        self,
        keys: KeysCollection,
        output_dir: str | os.PathLike[str] = "./",
        output_postfix: str = "prob",
        scale: int = 65535,
        case_key: str = "case",
        reverse_indexing: bool = True,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, output_dir, output_postfix, case_key, reverse_indexing, allow_missing_keys)
        if scale not in (255, 65535):
            raise ValueError(f"scale must be 255 or 65535, got {scale}.")
        self.scale = scale

    def encode(self, array: np.ndarray, stem: Path) -> tuple[str, Callable[[BinaryIO], None]]:
        """Choose the file type of probabilities; see :meth:`CaseSaveImaged.encode`."""
        if array.ndim != 3:
            raise ValueError(f"cannot write {stem}: expected probabilities (C, W, H), got {array.shape}.")
        # Bilinear resizing may overshoot by the last bit; anything more is not a probability. NaN fails the test too.
        if not (array.min() >= -1e-4 and array.max() <= 1 + 1e-4):
            raise ValueError(
                f"cannot write {stem}: expected probabilities in [0, 1], got values from {array.min()} to "
                f"{array.max()}. Put Activationsd before the writer."
            )
        array = array.clip(0, 1)
        if array.shape[0] == 1:
            dtype = np.uint8 if self.scale == 255 else np.uint16
            return ".png", self._png(np.rint(array[0].astype(np.float64) * self.scale).astype(dtype))
        rows_first = array.swapaxes(1, 2) if self.reverse_indexing else array
        half = np.ascontiguousarray(rows_first, dtype=np.float16)
        return ".npy", lambda file: np.save(file, half)


def _source(array: Any) -> str:
    name = array.meta.get(ImageMetaKey.FILENAME_OR_OBJ) if isinstance(array, MetaTensor) else None
    return str(name) if name else ""
