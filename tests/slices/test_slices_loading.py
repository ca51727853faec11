# SPDX-License-Identifier: Apache-2.0
"""StrictLoadImaged: the reader's word is final."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data import ImageReader, PILReader
from monai.transforms import LoadImaged
from PIL import Image

from sa2_monai.slices import StrictLoadImaged


class Refusing(PILReader):
    """Reads like Pillow's reader, but takes no file with 'bad' in its name."""

    def read(self, data, **kwargs):  # type: ignore[no-untyped-def]
        if "bad" in str(data):
            raise ValueError(f"{data[0]}: refused")
        return super().read(data, **kwargs)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in ("good", "bad"):
        Image.fromarray(np.arange(20, dtype=np.uint8).reshape(4, 5)).save(tmp_path / f"{name}.png")
    return tmp_path


def test_reads_like_load_imaged(images: Path) -> None:
    data = {"image": str(images / "good.png")}
    out = StrictLoadImaged("image", Refusing(), ensure_channel_first=True)(data)["image"]
    assert out.shape == (1, 5, 4)
    assert out.meta["filename_or_obj"] == data["image"]
    assert torch.equal(out, LoadImaged("image", reader="PILReader", ensure_channel_first=True)(data)["image"])


def test_what_the_reader_refuses_is_an_error(images: Path) -> None:
    data = {"image": str(images / "bad.png")}
    assert LoadImaged("image", reader=Refusing())(data)["image"].shape == (5, 4)  # MONAI asks the next reader
    with pytest.raises(ValueError, match=r"bad\.png: refused$"):
        StrictLoadImaged("image", Refusing())(data)


class Failing(PILReader):
    """Meets what nobody has foreseen."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def read(self, data, **kwargs):  # type: ignore[no-untyped-def]
        raise self.error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KeyError("spacing"), "KeyError: 'spacing'"),
        (OSError("image file is truncated"), "image file is truncated"),
        (MemoryError(), "out of memory. Use a smaller batch size"),
        (ValueError("not a file of this kind"), "not a file of this kind"),
    ],
)
def test_what_a_library_raises_names_the_file(images: Path, error: Exception, message: str) -> None:
    """In training, too, where nothing else knows the file: the transform alone is asked here."""
    file = str(images / "good.png")
    with pytest.raises(ValueError, match="good") as caught:
        StrictLoadImaged("image", Failing(error))({"image": file, "label": "x.png"})
    assert str(caught.value).startswith(f"{file}: {message}")
    with pytest.raises(ValueError, match=r"good\.png, .*bad\.png: "):
        StrictLoadImaged(("image", "label"), Failing(error))({"image": file, "label": str(images / "bad.png")})


def test_another_reader_for_one_call(images: Path) -> None:
    loader = StrictLoadImaged("image", Refusing())
    assert loader({"image": str(images / "bad.png")}, reader=PILReader())["image"].shape == (5, 4)


def test_a_name_is_no_reader() -> None:
    with pytest.raises(TypeError, match="'PILReader'"):
        StrictLoadImaged("image", "PILReader")  # type: ignore[arg-type]
    assert issubclass(Refusing, ImageReader)


def test_programs_recognise_the_loader() -> None:
    """MONAI Label and MONAI Deploy look for classes of, or named like, ``LoadImage`` (contract, section 3.2)."""
    assert issubclass(StrictLoadImaged, LoadImaged)
    assert "LoadImage" in StrictLoadImaged.__name__
    assert StrictLoadImaged.__name__.endswith("d")
