# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai predict`` on slides: what is streamed is what a normal prediction gives."""

from __future__ import annotations

import contextlib
import functools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from numpy.random import RandomState
from PIL import Image
from skimage.measure import label

from sa2_monai.bundle import find_bundle
from sa2_monai.bundle.slides import run
from sa2_monai.bundle.slides.blocks import block_spans
from sa2_monai.cli.main import main
from sa2_monai.data.samples.microscopy import paint
from sa2_monai.networks import create_network
from sa2_monai.weights import save_weights
from tests.support.small_models import GLANDS, HEART, save_model

WINDOWS = {**GLANDS, "view": "windows", "intensity": "percentiles", "overlap": 0.25}
HEIGHT, WIDTH = 150, 190
IMAGE = paint("he", (HEIGHT, WIDTH), RandomState(0))[0]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    volumes = save_model(folder / "volumes.pt", HEART)
    return {"windows": model(folder, WINDOWS), "whole": model(folder, GLANDS), "volumes": volumes}


def model(folder: Path, info: dict[str, Any], seed: int = 0) -> Path:
    """An untrained network whose last layer is moved so that half of the image belongs to objects."""
    torch.manual_seed(seed)
    network = create_network("sa2net", in_channels=3, out_channels=1, base_channels=info["base_channels"]).eval()
    with torch.no_grad():
        pixels = torch.from_numpy(IMAGE[:144, :176] / np.float32(255)).permute(2, 0, 1)[None]
        network.head1.bias -= network(pixels).median()
    path = folder / f"{info['view']}_{info['intensity']}.pt"
    save_weights(network.state_dict(), path, info)
    return path


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same pixels as PNG and as a pyramid of 0.5 micrometres per pixel."""
    return write_both(tmp_path_factory.mktemp("inputs"), IMAGE)


def write_both(folder: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(folder / "plain.png")
    options = {"tile": (64, 64), "compression": "zlib", "photometric": "rgb"}
    sizes = {f"PhysicalSize{axis}": 0.5 for axis in "XY"}
    with tifffile.TiffWriter(folder / "slide.ome.tif", ome=True) as writer:
        writer.write(pixels, subifds=1, metadata={"axes": "YXS", **sizes}, **options)
        writer.write(pixels[::2, ::2], subfiletype=1, **options)
    return folder


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a few windows, so that a small slide has several."""
    monkeypatch.setattr(run, "block_spans", functools.partial(block_spans, target=80))


def predict(weights: Path, output: Path, *arguments: object) -> int:
    """Window by window: a network rounds in another way when it gets other windows at the same time."""
    words = [*map(str, arguments), "--weights", str(weights), "--output", str(output), "--device", "cpu"]
    return main(["predict", *words, "--batch-size", "1"])


def labels_of(output: Path, name: str = "slide.ome.tif") -> np.ndarray:
    path = output / "predictions" / name
    return tifffile.imread(path) if name.endswith("tif") else np.asarray(Image.open(path))


@pytest.fixture(scope="module")
def normal(models: dict[str, Path], inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Label map of the whole image by the normal way, view windows."""
    output = tmp_path_factory.mktemp("normal")
    assert predict(models["windows"], output, inputs / "plain.png") == 0
    return labels_of(output, "plain.png")


def test_streamed_is_normal(
    models: dict[str, Path],
    inputs: Path,
    normal: np.ndarray,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert predict(models["windows"], tmp_path, inputs, "--tissue", "all") == 0
    printed = capsys.readouterr().out
    assert "190 x 150 pixels at 0.5 µm; level 0 is used: the pixel size of the model is not known" in printed
    assert "4 of 4 blocks are predicted" in printed
    assert "2 masks in" in printed
    assert 0.2 < normal.mean() < 0.8
    np.testing.assert_array_equal(labels_of(tmp_path, "plain.png"), normal)
    np.testing.assert_array_equal(labels_of(tmp_path), normal)
    with tifffile.TiffFile(tmp_path / "predictions" / "slide.ome.tif") as tiff:
        assert 'PhysicalSizeX="0.5"' in tiff.ome_metadata
    document = json.loads((tmp_path / "predictions" / "slide.geojson").read_text())
    assert len(document["features"]) == label(normal, connectivity=1).max()
    assert {feature["properties"]["classification"]["name"] for feature in document["features"]} == {"gland"}
    # Finished is finished, for the same options.
    assert predict(models["windows"], tmp_path, inputs, "--tissue", "all") == 0
    assert "2 of 2 are finished already" in capsys.readouterr().out
    assert predict(models["windows"], tmp_path, inputs / "slide.ome.tif", "--tissue", "all", "--no-polygons") == 0
    assert not (tmp_path / "predictions" / "slide.geojson").exists()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Bundles with weights: two see an image alike, the third one through other windows."""
    folders = []
    for seed, changes in enumerate(({}, {}, {"roi_size": [48, 48]})):
        folders.append(tmp_path_factory.mktemp("runs") / f"fold{seed}")
        shutil.copytree(find_bundle("sa2net"), folders[-1])
        (folders[-1] / "models").mkdir(exist_ok=True)
        found = model(folders[-1], {**WINDOWS, **changes}, seed)
        for file in (found, found.with_suffix(".json")):
            file.rename(folders[-1] / "models" / f"model{file.suffix}")
    return folders


@pytest.mark.parametrize(("count", "options"), [(2, []), (1, ["--tta"])], ids=["ensemble", "tta"])
def test_several_looks(count: int, options: list[str], runs: list[Path], tmp_path: Path) -> None:
    """The mean of several networks, or of flips and turns, is that of the whole image, which one look is not."""
    (tmp_path / "in").mkdir()
    inputs = write_both(tmp_path / "in", IMAGE[:70, :140])
    common = [inputs, "--tissue", "all", "--device", "cpu", "--batch-size", 1]
    found = {}
    for name, more in (("one", []), ("several", [*runs[1:count], *options])):
        words = ["predict", *common, "--output", tmp_path / name, "--bundle", runs[0], *more]
        assert main(list(map(str, words))) == 0
        found[name] = labels_of(tmp_path / name, "plain.png")
        assert 0 < found[name].mean() < 1
        np.testing.assert_array_equal(labels_of(tmp_path / name), found[name])
    assert (found["one"] != found["several"]).any()


def test_region(models: dict[str, Path], inputs: Path, normal: np.ndarray, tmp_path: Path) -> None:
    """In a region labels are those of the whole where intensities are the same, and nothing lies outside."""
    square = [[60, 10], [150, 10], [150, 120], [60, 120], [60, 10]]
    (tmp_path / "roi.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [square]}))
    weights = model(tmp_path, {**WINDOWS, "intensity": "range"})
    slide = inputs / "slide.ome.tif"
    for roi, output in (("60,10,90,110", "numbers"), (tmp_path / "roi.geojson", "file")):
        assert predict(weights, tmp_path / output, slide, "--roi", roi, "--tissue", "all") == 0
    assert predict(weights, tmp_path / "whole", slide, "--tissue", "all") == 0
    expected = np.zeros_like(normal)
    expected[10:120, 60:150] = labels_of(tmp_path / "whole")[10:120, 60:150]
    assert expected.any()
    np.testing.assert_array_equal(labels_of(tmp_path / "numbers"), expected)
    np.testing.assert_array_equal(labels_of(tmp_path / "file"), expected)


def test_whole_view_sees_tiles_as_images(
    models: dict[str, Path], inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A single tile is predicted as that image would be."""
    Image.fromarray(IMAGE[:64, :64]).save(tmp_path / "tile.png")
    tifffile.imwrite(tmp_path / "slide.tif", IMAGE[:64, :64], tile=(32, 32), photometric="rgb")
    options = ("--stream", "--tissue", "all", "--tile-size", 64)
    assert predict(models["whole"], tmp_path / "out", tmp_path / "tile.png") == 0
    assert predict(models["whole"], tmp_path / "out", tmp_path / "slide.tif", *options) == 0
    assert "view whole: tiles of 64 x 64 pixels are seen as images" in capsys.readouterr().out
    expected = labels_of(tmp_path / "out", "tile.png")
    assert 0 < expected.mean() < 1
    np.testing.assert_array_equal(labels_of(tmp_path / "out", "slide.ome.tif"), expected)
    assert predict(models["whole"], tmp_path / "tiles", inputs / "slide.ome.tif") == 0
    assert 0 < labels_of(tmp_path / "tiles").mean() < 1


def test_pixel_size_of_the_model(
    models: dict[str, Path], inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """At twice the pixel size level 1 is predicted, and polygons stay in pixels of level 0."""
    assert predict(models["windows"], tmp_path, inputs / "slide.ome.tif", "--model-mpp", 1, "--tissue", "all") == 0
    assert "190 x 150 pixels at 0.5 µm, the model at 1 µm; level 1 is used: 95 x 75 pixels" in capsys.readouterr().out
    assert labels_of(tmp_path).shape == (75, 95)
    document = json.loads((tmp_path / "predictions" / "slide.geojson").read_text())
    points = np.concatenate([ring for one in document["features"] for ring in one["geometry"]["coordinates"]])
    assert points.max() > 100


# Arguments of a prediction that fails, and its message; {folder} has a slide whose end is missing.
FAILURES = {
    "outside": (
        ("{inputs}/slide.ome.tif", "--roi", "180,0,20,20"),
        "reaches from (180, 0) to (200, 20), but the slide",
    ),
    "damaged": (("{folder}/cut.tif",), "cut.tif: damaged or truncated image (tile 5 of"),
    "probabilities": (("{inputs}/slide.ome.tif", "--probabilities"), "of which no probabilities are written"),
    "uncertainty": (("{inputs}/slide.ome.tif", "--uncertainty", "entropy"), "of which no maps of the uncertainty are"),
    "instances": (("{inputs}/slide.ome.tif", "--instances"), "whose objects are not numbered but written as polygons"),
    "measure": (("{inputs}", "--measure"), "whose objects are not measured but written as polygons"),
    "png": (("{inputs}/plain.png", "--stream"), "plain.png: is no TIFF (PNG), and no region of it can be read alone"),
    "tile size": (("{inputs}/slide.ome.tif", "--tile-size", "64"), "--tile-size: for models with the view whole"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_one_line_and_no_half_result(
    name: str, models: dict[str, Path], inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tifffile.TiffWriter(tmp_path / "cut.tif") as writer:
        for step in (1, 2):
            writer.write(
                IMAGE[::step, ::step],
                subfiletype=step - 1,
                tile=(64, 64),
                photometric="rgb",
                metadata=None,
            )
    with tifffile.TiffFile(tmp_path / "cut.tif", mode="r+b") as tiff:
        tag = tiff.pages[0].tags["TileOffsets"]
        tag.overwrite([*tag.value[:5], 2**31 - 1, *tag.value[6:]])
    arguments, message = FAILURES[name]
    words = [word.format(inputs=inputs, folder=tmp_path) for word in arguments]
    with contextlib.suppress(SystemExit):  # wrong usage
        assert predict(models["windows"], tmp_path / "out", *words, "--tissue", "all") == 1
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
    assert not list(tmp_path.glob("out/predictions/*"))


def test_members_see_an_image_alike(
    runs: list[Path], inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundles = [str(runs[0]), str(runs[2])]
    words = [str(inputs / "slide.ome.tif"), "--output", str(tmp_path / "out"), "--device", "cpu", "--bundle", *bundles]
    assert main(["predict", *words]) == 1
    assert "the models of this ensemble do not see an image alike (view, roi_size, " in capsys.readouterr().err
    assert not list(tmp_path.glob("out/predictions/*"))


def test_models_of_volumes_have_no_slides(
    models: dict[str, Path], inputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        predict(models["volumes"], tmp_path, inputs, "--roi", "0,0,5,5")
    assert "--roi: for whole slides only, and this model was trained on volumes" in capsys.readouterr().err
