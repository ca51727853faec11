# SPDX-License-Identifier: Apache-2.0
"""Runs of baselines and variants are bundles like all others, and say what they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from sa2_monai import load_bundle
from sa2_monai.bundle.baselines import metadata_overlays, overlays_of, readme_of, source_of
from sa2_monai.bundle.describe import describe_path
from sa2_monai.bundle.locate import find_bundle, load, load_one
from sa2_monai.bundle.run.ids import named_bundle, named_variant
from sa2_monai.bundle.switches import SwitchError
from sa2_monai.bundle.switches.schema import networks
from sa2_monai.cli.main import main
from sa2_monai.networks import BASELINES, CATALOGUE, create_network
from sa2_monai.networks.catalogue import network_names
from sa2_monai.weights import load_weights, read_info, save_weights

SMALL = ("--device", "cpu", "--epochs", "1", "roi_size=[32,32]", "num_workers=0", "base_channels=4")


class Run(NamedTuple):
    """A network as it is asked for, its class, and its run."""

    name: str
    class_name: str
    folder: Path


@pytest.fixture(
    scope="module", params=[("unet", "UNet"), ("sa2net:plain_skips", "SA2Net")], ids=["baseline", "variant"]
)
def run(request: pytest.FixtureRequest, sample_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One epoch on the generated sample."""
    name, class_name = request.param
    folder = tmp_path_factory.mktemp("networks") / "run"
    assert main(["train", str(sample_dir), "--network", name, "--output", str(folder), *SMALL]) == 0
    return Run(name, class_name, folder)


def told(run: Run) -> tuple[str, str | None]:
    network, _, variant = run.name.partition(":")
    return network, variant or None


def test_the_sidecar_and_the_texts_say_which(run: Run) -> None:
    network, variant = told(run)
    info, metadata = read_info(run.folder / "models" / "model.pt"), load(run.folder / "configs" / "metadata.json")
    assert (info["network"], info["variant"], info["base_channels"]) == (network, variant, 4)
    card = (run.folder / "docs" / "README.md").read_text()
    texts = card + json.dumps(metadata)
    if variant is None:
        assert metadata["name"] == "U-Net (MONAI) segmentation of nucleus"
        assert "SA2-Net: Scale-aware" not in texts
        assert "Kerfoot" in metadata["references"][0]
        assert "monai.networks.nets.UNet" in card
    else:
        assert metadata["name"] == "SA2-Net (plain_skips) segmentation of nucleus"
        assert "which is not the published network: no scale-aware attention" in metadata["description"]
        assert card.count("**The variant `plain_skips`, not the published network:**") == 1
    described = describe_path(run.folder)
    assert (described["network"], described.get("variant"), described["problems"]) == (network, variant, [])


def test_it_predicts_as_any_other(run: Run, sample_dir: Path, tmp_path: Path) -> None:
    image = next((sample_dir / "images").glob("*test*.png"))
    assert main(["predict", str(image), "--bundle", str(run.folder), "--output", str(tmp_path), "--device", "cpu"]) == 0
    found = np.asarray(Image.open(tmp_path / "predictions" / image.name))
    bundle = load_bundle(run.folder, device="cpu")
    assert type(bundle.network()).__name__ == run.class_name
    assert np.array_equal(found, np.asarray(bundle.predict(image)).squeeze())
    assert found.shape == np.asarray(Image.open(image)).shape[:2]


def test_it_is_trained_again_from_its_own_folder(run: Run, sample_dir: Path, tmp_path: Path) -> None:
    """The configurations of the run say everything: nothing is merged a second time."""
    assert named_bundle(str(run.folder)) == (told(run)[0], run.folder)
    assert overlays_of(told(run)[0], run.folder) == []
    copy = Path(shutil.copytree(run.folder, tmp_path / "copy"))
    again = load_bundle(copy, device="cpu").train(sample_dir, output_dir=tmp_path / "again", max_epochs=1)
    assert read_info(again)["network"] == told(run)[0]
    assert read_info(again)["variant"] == told(run)[1]


def test_weights_of_another_variant_are_refused(run: Run, tmp_path: Path) -> None:
    weights = run.folder / "models" / "model.pt"
    if told(run)[1] is None:
        with pytest.raises(ValueError, match=r"network 'unet', but the bundle is 'sa2net'\. Choose the run"):
            load_bundle("sa2net", weights=weights, device="cpu")
        return
    network = create_network("sa2net", in_channels=3, out_channels=1, base_channels=4)
    with pytest.raises(ValueError, match=r"holds weights of the variant 'plain_skips', but .* the published network"):
        load_weights(network, weights, {"network": "sa2net", "variant": None})
    earlier = tmp_path / "model.pt"  # of a version that did not know of variants
    save_weights(network.state_dict(), earlier, {"network": "sa2net", "in_channels": 3, "out_channels": 1})
    assert load_weights(network, earlier, {"network": "sa2net", "variant": None})["network"] == "sa2net"
    with pytest.raises(ValueError, match=r"of the published network, but .* builds the variant 'plain_skips'"):
        load_weights(network, earlier, {"network": "sa2net", "variant": "plain_skips"})


def test_another_variant_does_not_go_on(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--resume", "--output", str(run.folder), "--network", "sa2net:no_global_scale"]) == 1
    assert "the variant is no_global_scale, was " in capsys.readouterr().err


@pytest.mark.parametrize("name", BASELINES)
def test_the_overlay_and_texts_of_each_baseline(name: str) -> None:
    source = source_of(name)
    assert source == source_of("sa2net")
    (file,) = overlays_of(name, source)
    overlay = load_one(file)
    network: Any = BASELINES[name]
    assert overlay["network_def#_target_"] == f"sa2_monai.networks.{network.class_name}"
    assert overlay["model_info#network"] == overlay["experiment_name"] == name
    assert overlay.get("slice_view#divisor", 16) % network.size_divisor == 0
    metadata, card = load(*metadata_overlays(name, source)), readme_of(name, source).read_text()
    assert f"monai.networks.nets.{network.class_name}" in card
    assert f"{network.parameters:,}" in card
    assert f"{network.gmac:g} GMAC" in card
    assert all(reference in card for reference in metadata["references"])
    with pytest.raises(FileNotFoundError, match=f"{name} is a baseline without a bundle of its own"):
        find_bundle(name)


@pytest.mark.parametrize("name", CATALOGUE)
def test_the_others_have_bundles_of_their_own(name: str) -> None:
    source = source_of(name)
    assert source.name == name
    assert overlays_of(name, source) == metadata_overlays(name, source) == []
    assert readme_of(name, source) == source / "docs" / "README.md"


def test_names() -> None:
    assert networks() == {*network_names()}
    assert named_bundle("unet") == ("unet", source_of("sa2net"))
    assert named_bundle("svanet:no_guidance") == ("svanet", source_of("svanet"))
    assert named_variant("svanet:no_guidance") == {"variant": "no_guidance"}
    assert named_variant("svanet") == named_variant(None) == named_variant(str(source_of("svanet"))) == {}
    with pytest.raises(SwitchError, match="svanet has no variant 'none'; it has plain_skips"):
        named_bundle("svanet:none")
