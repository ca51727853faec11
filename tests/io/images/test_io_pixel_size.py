# SPDX-License-Identifier: Apache-2.0
"""The size of a pixel: what files say, and what they do not say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from sa2_monai.io.images.pixel_size import pixel_size

PLANE = np.zeros((6, 8), np.uint8)


def ome(**metadata: Any) -> dict[str, Any]:
    return {"ome": True, "metadata": metadata}


#: Options of tifffile, and the size in mm (rows, columns).
TIFF: dict[str, tuple[dict[str, Any], tuple[float, float] | None]] = {
    "centimetres": ({"resolution": (40000, 20000), "resolutionunit": "CENTIMETER"}, (0.0005, 0.00025)),
    "inches": ({"resolution": (254, 254), "resolutionunit": "INCH"}, (0.1, 0.1)),
    "a screen": ({"resolution": (72, 72), "resolutionunit": "INCH"}, None),
    "a printer": ({"resolution": (300, 300), "resolutionunit": "INCH"}, None),
    "no unit": ({"resolution": (100, 100), "resolutionunit": "NONE"}, None),
    "nothing": ({}, None),
    "ImageJ": ({"imagej": True, "resolution": (4.0, 4.0), "metadata": {"unit": "micron"}}, (0.00025, 0.00025)),
    "ImageJ's pixels": ({"imagej": True, "resolution": (4.0, 4.0), "metadata": {"unit": "pixel"}}, None),
    "OME": (ome(PhysicalSizeX=0.5, PhysicalSizeY=250, PhysicalSizeYUnit="nm"), (0.00025, 0.0005)),
    "OME without": (ome(), None),
    "OME's own unit": (ome(PhysicalSizeX=1, PhysicalSizeY=1, PhysicalSizeYUnit="pixel"), None),
}


@pytest.mark.parametrize("name", TIFF)
def test_tiff(name: str, tmp_path: Path) -> None:
    options, expected = TIFF[name]
    tifffile.imwrite(tmp_path / "a.tif", PLANE, **options)
    assert pixel_size(tmp_path / "a.tif") == (None if expected is None else pytest.approx(expected))


def test_a_turned_image_has_turned_sides(tmp_path: Path) -> None:
    turned = [(274, "H", 1, 6, True)]
    tifffile.imwrite(
        tmp_path / "a.tif", PLANE, resolution=(100, 200), resolutionunit="CENTIMETER", extratags=turned, metadata=None
    )
    assert pixel_size(tmp_path / "a.tif") == pytest.approx((0.1, 0.05))  # stored: 0.05 between rows


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_dots_per_inch_of_other_files_say_nothing(suffix: str, tmp_path: Path) -> None:
    Image.fromarray(PLANE).save(tmp_path / f"a.{suffix}", dpi=(254, 254))
    assert pixel_size(tmp_path / f"a.{suffix}") is None


@pytest.mark.parametrize(("spacing", "expected"), [("0.2\\0.1", (0.2, 0.1)), (None, None), ("0\\0", None)])
def test_dicom(spacing: str | None, expected: tuple[float, float] | None, tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.GetImageFromArray(PLANE)
    image.SetMetaData("0008|0060", "DX")
    if spacing is not None:
        image.SetMetaData("0028|0030", spacing)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.SetFileName(str(tmp_path / "a.dcm"))
    writer.Execute(image)
    assert pixel_size(tmp_path / "a.dcm") == (None if expected is None else pytest.approx(expected))
