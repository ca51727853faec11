# SPDX-License-Identifier: Apache-2.0
"""A lack of memory is called that, whatever was being read: nothing speaks against the file."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from safetensors.torch import save_file

from sa2_monai.data import read_image, read_preprocessed, read_volume
from sa2_monai.io.causes import root_cause
from sa2_monai.weights.read import read_safely
from tests.support.dicom_files import write_series
from tests.support.preprocessed_files import hdf5, npz
from tests.support.volume_files import write_volume

GREY = np.zeros((20, 20), np.uint8)
TORCH = "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"
HDF5 = "Can't synchronously read data (memory allocation failed for raw data chunk)"
ITK = "Exception thrown in SimpleITK ImageFileReader_Execute: Failed to allocate memory for image."


def text_volume(folder: Path) -> Path:
    path = folder / "t.mha"
    head = "ObjectType = Image\nNDims = 3\nBinaryData = False\nDimSize = 2 2 2\nElementSpacing = 1 1 1\n"
    path.write_text(head + "ElementType = MET_UCHAR\nElementDataFile = LOCAL\n1 2 3 4 5 6 7 8\n")
    return path


def written(folder: Path, kind: str) -> Path:
    path = folder / f"a.{kind}"
    if kind == "dcm":
        write_series(folder / "s")
        return folder / "s"
    if kind in ("png", "tif"):
        (Image.fromarray(GREY).save if kind == "png" else lambda p: tifffile.imwrite(p, GREY))(path)
    elif kind in ("npz", "h5"):
        (npz if kind == "npz" else hdf5)(path, image=GREY.astype(np.float32))
    elif kind == "mha":
        return text_volume(folder)
    elif kind == "pt":
        torch.save({"w": torch.ones(3)}, path)
    else:
        save_file({"w": torch.ones(3)}, path)
    return path


# Kind of file, how it is read, what fails in it, and the words of the library.
TEST_CASES: list[tuple[str, Callable[[Path], Any], str, Exception]] = [
    ("png", read_image, "sa2_monai.io.images.pillow._array", MemoryError()),
    ("tif", read_image, "sa2_monai.io.images.tiff._decode", RuntimeError("bad allocation")),
    ("npz", read_preprocessed, "sa2_monai.io.preprocessed.npz_member", MemoryError("Unable to allocate 9 TiB")),
    ("h5", read_preprocessed, "h5py.Dataset.__getitem__", OSError(HDF5)),
    ("mha", read_volume, "SimpleITK.ImageFileReader.Execute", RuntimeError(ITK)),
    ("dcm", read_volume, "sa2_monai.io.dicom.files._read", MemoryError()),
    ("dcm", read_volume, "sa2_monai.io.dicom.pixels.raw_pixels", MemoryError()),
    ("pt", read_safely, "torch.load", RuntimeError(TORCH)),
    ("safetensors", read_safely, "sa2_monai.weights.read.load_file", OSError("Cannot allocate memory (os error 12)")),
]


@pytest.mark.parametrize(
    ("kind", "read", "what", "error"), TEST_CASES, ids=lambda value: getattr(value, "__name__", str(value)[:40])
)
def test_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, read: Any, what: str, error: Exception
) -> None:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise error

    path = written(tmp_path, kind)
    assert read(path) is not None
    monkeypatch.setattr(what, fail)
    with pytest.raises(MemoryError) as found:
        read(path)
    text = root_cause(found.value)
    assert text.startswith(f"out of memory ({path}")
    assert "damaged" not in text
    assert "copy" not in text


PROGRAM = """
import resource, sys
import numpy, h5py, tifffile, PIL.Image, nibabel
from sa2_monai.data import read_image, read_preprocessed, read_volume
from sa2_monai.io.causes import is_out_of_memory
from sa2_monai.weights.read import read_safely
READERS = {"npz": read_preprocessed, "h5": read_preprocessed, "nii": read_volume, "mha": read_volume, "pt": read_safely}
for read, path in [(READERS.get(path.rpartition(".")[2], read_image), path) for path in sys.argv[1:]]:
    small = path.replace("large", "small")
    read(small)  # what is imported on the way is there
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**24, resource.RLIM_INFINITY))
for path in sys.argv[1:]:
    try:
        READERS.get(path.rpartition(".")[2], read_image)(path)
        print(path, "read")
    except Exception as error:
        print(path, "memory" if is_out_of_memory(error) else f"{type(error).__name__}: {error}")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit and /proc are those of Linux")
def test_in_a_small_memory(tmp_path: Path) -> None:
    """Files of 40 MiB where 16 are left."""
    for name, rows in (("small", 8), ("large", 5120)):
        plane = np.zeros((rows, 8192), np.uint8)
        Image.fromarray(plane).save(tmp_path / f"{name}.png", compress_level=1)
        tifffile.imwrite(tmp_path / f"{name}.tif", plane, compression="zlib")
        np.savez_compressed(tmp_path / f"{name}.npz", image=plane)
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file.create_dataset("image", data=plane)
        for kind in ("nii", "mha"):
            write_volume(tmp_path, kind, plane.reshape(rows, 128, 64)).rename(tmp_path / f"{name}.{kind}")
        torch.save({"w": torch.zeros(rows * 2048)}, tmp_path / f"{name}.pt")
    files = [str(tmp_path / f"large.{kind}") for kind in ("png", "tif", "npz", "h5", "nii", "mha", "pt")]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *files], capture_output=True, text=True, check=False)
    assert done.stdout.split("\n")[:-1] == [f"{path} memory" for path in files], done.stderr
