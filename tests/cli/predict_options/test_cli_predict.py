# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai predict`` on a bundle that is run for real."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sa2_monai.cli import predict
from sa2_monai.cli.main import main
from tests.cli.mini_bundle import make_bundle, read_config, write_config

INFO = {"network": "sa2net", "class_names": ["background", "nucleus"], "view": "whole", "roi_size": [32, 32]}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return make_bundle(tmp_path / "bundle", INFO)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three images of different size, kind and depth; the right half is bright, the upper left corner too."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name, (height, width) in (("a.1.png", (40, 60)), ("b.jpg", (32, 32)), ("c.tif", (50, 20))):
        image = np.full((height, width), 10, dtype=np.uint8)
        image[:, width // 2 :] = 240
        image[: height // 4, : width // 4] = 240
        stored = np.stack([image] * 3, axis=2) if name.startswith("b") else image
        if name.startswith("c"):
            stored = image.astype(np.uint16) * 257
        Image.fromarray(stored).save(folder / name)
    return folder


def expected(height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), dtype=np.uint8)
    mask[:, width // 2 :] = 1
    mask[: height // 4, : width // 4] = 1
    return mask


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.mode in ("P", "I;16")
        return np.asarray(image)


def failure(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Run a command that must fail; return its one message."""
    assert main(["predict", *map(str, arguments)]) == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert err.startswith("sa2-monai predict: error: ")
    return err.removeprefix("sa2-monai predict: error: ").rstrip("\n")


def test_a_folder(bundle: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "out"
    assert main(["predict", "--bundle", str(bundle), str(images), "--output", str(out), "--batch-size", "3"]) == 0
    assert sorted(path.name for path in (out / "predictions").iterdir()) == ["a.1.png", "b.png", "c.png"]
    for name, size in (("a.1", (40, 60)), ("b", (32, 32)), ("c", (50, 20))):
        mask = read(out / "predictions" / f"{name}.png")
        assert mask.shape == size
        assert mask.dtype == np.uint8
        assert (mask == expected(*size)).mean() > 0.93
        assert set(np.unique(mask)) == {0, 1}
    printed = capsys.readouterr().out
    assert "class_names ['background', 'nucleus'], view whole, roi_size [32, 32]" in printed
    assert f"{images / 'a.1.png'} -> {out / 'predictions' / 'a.1.png'}" in printed
    assert printed.rstrip().endswith(f"3 masks in {out / 'predictions'}")


def test_single_images_and_other_weights(bundle: Path, images: Path, tmp_path: Path) -> None:
    weights = tmp_path / "elsewhere.pt"
    torch.save({"weight": torch.zeros(1, 3, 1, 1), "bias": torch.tensor([-9.0])}, weights)
    inputs = [str(images / "a.1.png"), str(images / "c.tif")]
    arguments = ["--bundle", str(bundle), "--weights", str(weights), "--output", str(tmp_path), "--device", "cpu"]
    assert main(["predict", *inputs, *arguments, "--probabilities"]) == 0
    assert sorted(path.name for path in (tmp_path / "predictions").iterdir()) == [
        *("a.1.png", "a.1_prob.png", "c.png", "c_prob.png")
    ]
    assert read(tmp_path / "predictions" / "c.png").max() == 0
    probability = read(tmp_path / "predictions" / "c_prob.png") / 65535
    np.testing.assert_allclose(probability, torch.tensor(-9.0).sigmoid().item(), atol=1e-5)


def test_what_the_weights_carry_overrules_the_bundle(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The size at which the network looks comes from the weights: at 2 x 2 pixels the corner is the whole quarter."""
    unnamed = {key: value for key, value in INFO.items() if key != "network"}
    bundle = make_bundle(tmp_path / "coarse", {**unnamed, "roi_size": [2, 2]})
    assert main(["predict", "--bundle", str(bundle), str(images / "b.jpg"), "--output", str(tmp_path / "1")]) == 0
    (bundle / "models" / "model.json").unlink()
    capsys.readouterr()
    assert main(["predict", "--bundle", str(bundle), str(images / "b.jpg"), "--output", str(tmp_path / "2")]) == 0
    assert "no model.json beside" in capsys.readouterr().out
    coarse, fine = (read(tmp_path / n / "predictions" / "b.png") for n in "12")
    assert coarse[12, 12] == 1
    assert fine[12, 12] == 0


def test_a_packaged_bundle_is_json(bundle: Path, images: Path, tmp_path: Path) -> None:
    from monai.bundle import ConfigParser

    config = ConfigParser.load_config_file(bundle / "configs" / "inference.yaml")
    (bundle / "configs" / "inference.yaml").unlink()
    (bundle / "configs" / "inference.json").write_text(json.dumps(config))
    assert main(["predict", "--bundle", str(bundle), str(images / "b.jpg"), "--output", str(tmp_path / "out")]) == 0


def test_the_default_bundle_is_that_of_the_package(
    bundle: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sa2_monai.bundle.locate.bundles_folder", lambda: tmp_path / "bundles")
    arguments = ["predict", str(images / "b.jpg"), "--output", str(tmp_path / "out")]
    assert main(arguments) == 1
    assert f"or the zip file of a bundle (there are none to name, {tmp_path / 'bundles'} is missing)." in (
        capsys.readouterr().err
    )
    shutil.copytree(bundle, tmp_path / "bundles" / "sa2net")
    assert main(arguments) == 0


def test_what_is_missing_is_named(
    bundle: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    common = ("--bundle", bundle, "--output", out)
    assert "no-such.png" in failure(capsys, images / "no-such.png", *common)
    assert "no-such.pt: no such weights" in failure(capsys, images, *common, "--weights", tmp_path / "no-such.pt")
    assert "is not a bundle" in failure(capsys, images, "--bundle", tmp_path, "--output", out)
    (tmp_path / "file").write_text("")
    message = failure(capsys, images, "--bundle", bundle, "--output", tmp_path / "file")
    assert "cannot write to the output folder" in message
    assert not out.exists()


def test_a_broken_image_is_named_without_the_wrapping(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff this is no image")
    message = failure(capsys, tmp_path / "broken.jpg", "--bundle", bundle, "--output", tmp_path / "out")
    assert "broken.jpg" in message
    assert "applying transform" not in message


def test_two_images_of_one_name(bundle: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other").mkdir()
    shutil.copy(images / "b.jpg", tmp_path / "other" / "b.jpg")
    common = ("--bundle", bundle, "--output", tmp_path / "out")
    arguments = (images / "b.jpg", tmp_path / "other" / "b.jpg", *common)
    assert main(["predict", *map(str, arguments)]) == 0
    names = sorted(path.name for path in (tmp_path / "out" / "predictions").iterdir())
    assert names == ["images_b.png", "other_b.png"]
    Image.open(images / "b.jpg").save(images / "b.png")  # no folder tells these two apart
    message = failure(capsys, images, *common)
    assert all(str(images / name) in message for name in ("b.jpg", "b.png"))


def test_inputs_are_never_overwritten(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "predictions").mkdir()
    image = tmp_path / "predictions" / "a.png"
    Image.fromarray(np.zeros((16, 16), dtype=np.uint8)).save(image)
    before = image.read_bytes()
    assert "would overwrite it" in failure(capsys, image, "--bundle", bundle, "--output", tmp_path)
    assert image.read_bytes() == before


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("view", "$__import__('pathlib').Path('/tmp/run-by-a-sidecar').touch()"),
        ("class_names", ["background", " @output_dir"]),
        ("intensity", {"_target_": "os.getcwd"}),
        ("intensity", {"kind": ["%other.yaml"]}),
    ],
)
def test_the_file_beside_the_weights_cannot_run_code(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, value: object
) -> None:
    bundle = make_bundle(tmp_path / "bundle", {**INFO, key: value})
    message = failure(capsys, images, "--bundle", bundle, "--output", tmp_path / "out")
    assert "Only plain values are accepted" in message
    assert "model.json" in message
    assert not Path("/tmp/run-by-a-sidecar").exists()


@pytest.mark.parametrize("network", ["../../x", "pixels", "", ["sa2net"], 3])
def test_a_network_is_a_name_of_the_catalogue(
    network: object, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Never a path to a bundle, whose code would be run."""
    bundle = make_bundle(tmp_path / "bundle", {**INFO, "network": network})
    weights = bundle / "models" / "model.pt"
    stranger = make_bundle(tmp_path / "x", INFO)
    assert stranger.is_dir()
    for words in (
        ("predict", images, "--bundle", bundle, "--output", tmp_path / "out"),
        ("export", "--bundle", bundle, "--to", "torchscript"),
        ("export", "--weights", shutil.copy(weights, tmp_path), "--to", "torchscript"),
        ("package", "--weights", tmp_path / "model.pt", "--output", tmp_path / "package"),
    ):
        shutil.copy(weights.with_suffix(".json"), tmp_path)
        assert main([*map(str, words)]) == 1
        message = f"model.json: 'network' is {network!r}, expected one of daeformer, hsaunet, msa2net, sa2net, svanet"
        assert message in capsys.readouterr().err


def test_weights_of_another_network_or_window(images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = make_bundle(tmp_path / "one" / "sa2net", {**INFO, "network": "daeformer"})
    message = failure(capsys, images, "--bundle", other, "--output", tmp_path / "out")
    assert "network 'daeformer', but the bundle is 'sa2net'" in message
    crooked = make_bundle(tmp_path / "two" / "sa2net", {**INFO, "roi_size": [100, 96]})
    assert "illegal window size" in failure(capsys, images, "--bundle", crooked, "--output", tmp_path / "out")


def test_the_legal_sizes_are_those_of_the_network(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the network that the weights are of, whatever the folder is called."""
    other = make_bundle(tmp_path / "packaged", {**INFO, "network": "hsaunet"})
    message = failure(capsys, images, "--bundle", other, "--output", tmp_path / "out")
    assert "must be a positive multiple of 112" in message


def test_what_a_network_is_built_with_comes_from_the_weights(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bundle that has no such setting cannot build that network."""
    bundle = make_bundle(tmp_path / "bundle", {**INFO, "network": "msa2net", "deep_level": "lka", "img_size": 32})
    message = failure(capsys, images, "--bundle", bundle, "--output", tmp_path / "out")
    assert "has no deep_level, img_size, which has to be set here" in message


def test_a_bundle_without_the_ids(
    bundle: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = read_config(bundle)
    del config["save_probabilities"], config["view"]
    write_config(bundle, config)
    arguments = (images, "--bundle", bundle, "--output", tmp_path / "out", "--probabilities")
    assert "has no save_probabilities, view" in failure(capsys, *arguments)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_cuda_without_a_gpu(bundle: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = (images, "--bundle", bundle, "--output", tmp_path / "out", "--device", "cuda")
    assert "no usable CUDA device" in failure(capsys, *arguments)


@pytest.mark.parametrize("wrong", [["--batch-size", "0"], ["--batch-size", "x"], ["--device", "tpu"]])
def test_wrong_use(wrong: list[str], images: Path) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["predict", str(images), *wrong])
    assert stopped.value.code == 2


def test_as_many_as_fit() -> None:
    parser = argparse.ArgumentParser()
    predict.add_arguments(parser)
    assert parser.parse_args(["--batch-size", "auto"]).batch_size == "auto"
    assert parser.parse_args(["--batch-size", "3"]).batch_size == 3
