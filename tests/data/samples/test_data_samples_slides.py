# SPDX-License-Identifier: Apache-2.0
"""The generated slide, and ``sa2-monai sample --slide``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from sa2_monai.cli.main import main
from sa2_monai.data.samples.slides import make_sample_slide
from sa2_monai.io.slides.recognise import is_slide
from sa2_monai.io.slides.slide import open_slide


def test_levels_are_means_of_each_other(tmp_path: Path) -> None:
    path = make_sample_slide(tmp_path / "a.tif", 1, size=(256, 320), tile=64)
    with open_slide(path) as slide:
        assert [(level.height, level.width) for level in slide.levels] == [(256, 320), (128, 160), (64, 80)]
        assert slide.mpp == pytest.approx((0.5, 0.5))
    first, second = (tifffile.imread(path, level=level).astype(float) for level in (0, 1))
    halved = first.reshape(128, 2, 160, 2, 3).mean(axis=(1, 3))
    glass = (first == 243).all(axis=2)
    assert 0.5 < glass.mean() < 0.8
    inside = ~glass.reshape(128, 2, 160, 2).any(axis=(1, 3))  # the outline of an island is drawn on each level
    np.testing.assert_allclose(second[inside], halved[inside], atol=0.5)


def test_same_seed_same_file(tmp_path: Path) -> None:
    paths = [make_sample_slide(tmp_path / f"{i}.tif", seed, size=(64, 64), tile=64) for i, seed in enumerate((3, 3, 4))]
    one, two, other = (path.read_bytes() for path in paths)
    assert one == two != other


def test_full_slide_has_no_glass(tmp_path: Path) -> None:
    image = tifffile.imread(make_sample_slide(tmp_path / "a.tif", size=(130, 70), tile=64, full=True), level=0)
    assert image.shape == (130, 70, 3)
    assert (image == 243).all(axis=2).mean() < 0.01


@pytest.mark.parametrize(("options", "message"), [({"tile": 100}, "tile is 100"), ({"size": (10, 99)}, "at least 64")])
def test_out_of_range(options: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        make_sample_slide(tmp_path / "a.tif", **options)
    assert list(tmp_path.iterdir()) == []


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["sample", str(tmp_path), "--slide", "--size", "64", "96"]
    assert main(words) == 0
    assert "slide of 96 x 64 pixels of seed 0" in capsys.readouterr().out
    assert is_slide(tmp_path / "slide.tif")  # however small
    for more, message in (([], "is there already"), (["--volumes"], "--slide is one file")):
        with pytest.raises(SystemExit):
            main([*words, *more])
        assert message in capsys.readouterr().err
    assert main([*words, "--force"]) == 0
