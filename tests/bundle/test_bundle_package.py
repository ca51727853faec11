# SPDX-License-Identifier: Apache-2.0
"""Packaged bundles: what is in them, and MONAI's own tools on them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import monai.bundle
import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser, ckpt_export, verify_net_in_out
from PIL import Image

from sa2_monai import load_bundle
from sa2_monai.bundle import find_bundle, package_bundle
from sa2_monai.bundle.exporting import parity
from sa2_monai.bundle.exporting.torchscript import script_bundle
from sa2_monai.data import read_label
from sa2_monai.evaluation import evaluate
from sa2_monai.networks import create_network
from sa2_monai.weights import load_weights, read_info, sha256_of
from tests.support.miniatures import MINI
from tests.support.small_models import GLANDS, HEART, save_model, script_in_process

NEEDED = {
    *("LICENSE", "configs/logging.conf", "configs/metadata.json", "configs/train.json", "configs/inference.json"),
    *("configs/evaluate.json", "configs/multi_gpu_train.json", "docs/README.md", "docs/data_license.txt"),
    *("models/model.pt", "models/model.json", "models/model.ts"),
}
# MONAI announces each list of files that it is given as a warning.
pytestmark = [
    pytest.mark.filterwarnings("ignore:parsing (config|meta)_file:UserWarning"),
    pytest.mark.filterwarnings("ignore:No hash value provided:UserWarning"),
]


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.fixture
def both(glands_bundle: tuple[Path, Path], heart_bundle: Path) -> list[tuple[Path, dict[str, Any]]]:
    return [(glands_bundle[0], GLANDS), (heart_bundle, HEART)]


@pytest.fixture
def scripted(glands_bundle: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """TorchScript is not made again: it is that of ``glands``, whose weights the test's own equal."""
    made = glands_bundle[0] / "models" / "model.ts"
    monkeypatch.setattr(
        "sa2_monai.bundle.packaging.package.script_bundle",
        lambda folder: shutil.copy(made, folder / "models" / "model.ts"),
    )


def test_what_is_in_a_package(both: list[tuple[Path, dict[str, Any]]]) -> None:
    for folder, info in both:
        files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        assert files >= NEEDED
        assert not [name for name in files if name.endswith((".yaml", "_meta.json", "acdc.json", "glas.json"))]
        for name in files:
            if name.endswith((".json", ".md", ".txt")):
                text = (folder / name).read_text(encoding="utf-8")
                assert str(folder.parent) not in text
                assert not re.search(r"/(home|tmp|root|work)/", text), name
        for stem in ("train", "inference"):
            config = read(folder / "configs" / f"{stem}.json")
            assert config["model_info"]["network"] == info["network"]
            settings = {key: value for key, value in info.items() if key != "network" and key in config}
            assert {key: config[key] for key in settings} == settings
            assert config["dataset_dir"].startswith("/workspace/data/")
    assert read(both[0][0] / "configs" / "train.json")["dataset_dir"] == "/workspace/data/glas"
    assert both[0][0].name == "glas_sa2net_segmentation"


def test_metadata_follow_the_weights(both: list[tuple[Path, dict[str, Any]]]) -> None:
    for folder, info in both:
        metadata = read(folder / "configs" / "metadata.json")
        formats = metadata["network_data_format"]
        image, pred = formats["inputs"]["image"], formats["outputs"]["pred"]
        assert pred["channel_def"] == {str(number): name for number, name in enumerate(info["class_names"])}
        assert (image["num_channels"], pred["num_channels"]) == (info["in_channels"], info["out_channels"])
        assert next(iter(metadata["changelog"])) == metadata["version"]
        assert "optional_packages_version" not in metadata
    heart = read(both[1][0] / "configs" / "metadata.json")
    assert heart["version"] == "0.2.0"
    assert list(heart["changelog"]) == ["0.2.0", "0.1.0"]
    assert heart["network_data_format"]["inputs"]["image"]["spatial_shape"] == ["32*n", "32*n"]  # windows of 2
    assert "3 is left ventricle" in heart["label_classes"]


@pytest.mark.realdata
def test_the_official_schema(real_data: Path, both: list[tuple[Path, dict[str, Any]]], tmp_path: Path) -> None:
    schema = real_data.parent / "schema" / "meta_schema_20240725.json"
    if not schema.is_file():
        pytest.skip(f"no schema: {schema} is missing")
    shutil.copy(schema, tmp_path / "schema.json")  # where MONAI would put the download
    for folder, _ in both:
        monai.bundle.verify_metadata(str(folder / "configs" / "metadata.json"), str(tmp_path / "schema.json"))


def test_monai_checks_the_network(
    both: list[tuple[Path, dict[str, Any]]], caplog: pytest.LogCaptureFixture, untraced: None
) -> None:
    for folder, _ in both:
        configs = folder / "configs"
        files = {"meta_file": str(configs / "metadata.json"), "config_file": str(configs / "inference.json")}
        caplog.clear()
        verify_net_in_out("network_def", device="cpu", n=2, **files)
        assert "data shape of network is verified with no error." in caplog.text


def test_torchscript_is_that_of_ckpt_export(glands_bundle: tuple[Path, Path], tmp_path: Path, untraced: None) -> None:
    folder = glands_bundle[0]
    ckpt_export(
        filepath=str(tmp_path / "model.ts"),
        config_file=str(folder / "configs" / "inference.json"),
        bundle_root=str(folder),
    )
    found = []
    for path in (tmp_path / "model.ts", folder / "models" / "model.ts"):
        with zipfile.ZipFile(path) as archive:
            extra = [name for name in archive.namelist() if "/extra/" in name]
            found.append({name.split("/")[-1]: json.loads(archive.read(name)) for name in extra})
    assert found[0] == found[1]
    assert set(found[0]) == {"metadata.json", "inference.json"}


def test_torchscript_gives_what_the_network_gives(both: list[tuple[Path, dict[str, Any]]]) -> None:
    for folder, info in both:
        options = {
            key: info[key] for key in ("base_channels", "embed_dims", "channel_heads", "window_size") if key in info
        }
        network = create_network(
            info["network"], in_channels=info["in_channels"], out_channels=info["out_channels"], **options
        ).eval()
        load_weights(network, folder / "models" / "model.pt")
        script = torch.jit.load(str(folder / "models" / "model.ts"))
        image = torch.rand(2, info["in_channels"], 64, 32, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            torch.testing.assert_close(script(image), network(image), atol=1e-4, rtol=1e-4)


def test_monai_loads_it_from_another_folder(
    glands_bundle: tuple[Path, Path], heart_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monai.bundle.download(
        name="glas_sa2net_segmentation", url=glands_bundle[1].as_uri(), bundle_dir=str(tmp_path / "installed")
    )
    for folder in (tmp_path / "installed" / glands_bundle[0].name, heart_bundle):
        network = monai.bundle.load(
            folder.name, bundle_dir=str(folder.parent), source="local", workflow_type="inference", device="cpu"
        )
        assert isinstance(network, torch.nn.Module)
        weights = torch.load(folder / "models" / "model.pt", weights_only=True)
        assert all(torch.equal(value, weights[name]) for name, value in network.state_dict().items())


def test_workflows_have_all_properties(both: list[tuple[Path, dict[str, Any]]], tmp_path: Path) -> None:
    for folder, layout in ((both[0][0], "glas"), (both[1][0], "acdc")):
        data = tmp_path / layout
        MINI[layout](data)
        common = {"bundle_root": str(folder), "logging_file": False, "device": "cpu", "num_workers": 0}
        training = monai.bundle.create_workflow(
            config_file=str(folder / "configs" / "train.json"),
            workflow_type="train",
            dataset_dir=str(data),
            num_folds=3,
            **common,
        )
        assert training.check_properties() == []
        images = tmp_path / f"{layout}_images"
        images.mkdir()
        if layout == "glas":
            Image.new("RGB", (20, 30)).save(images / "a.png")
        else:
            nib.save(nib.Nifti1Image(np.zeros((8, 8, 2), np.float32), np.eye(4)), images / "a.nii.gz")
        inference = monai.bundle.create_workflow(
            config_file=str(folder / "configs" / "inference.json"),
            workflow_type="infer",
            dataset_dir=str(images),
            **common,
        )
        assert inference.check_properties() == []
        inference.finalize()
        training.finalize()


def test_inference_in_the_folder_of_the_bundle(
    glands_bundle: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first command of the model card, which is this function."""
    folder = tmp_path / glands_bundle[0].name
    shutil.copytree(glands_bundle[0], folder)
    coarse = torch.rand(1, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    smooth = torch.nn.functional.interpolate(coarse, size=(40, 30), mode="bicubic").clamp(0, 1)
    drawn = (smooth[0].permute(1, 2, 0) * 255).to(torch.uint8).numpy()
    (tmp_path / "images").mkdir()
    Image.fromarray(drawn).save(tmp_path / "images" / "a.png")
    monkeypatch.chdir(folder)
    monai.bundle.run(
        config_file="configs/inference.json", dataset_dir="../images", device="cpu", num_workers=0, logging_file=False
    )
    mask = read_label(folder / "eval" / "predictions" / "a.png")
    assert set(np.unique(mask)) == {0, 1}
    np.testing.assert_array_equal(mask, load_bundle(folder, device="cpu").predict(drawn))


def test_the_same_input_gives_the_same_bytes(
    glands_bundle: tuple[Path, Path], glands: Path, tmp_path: Path, scripted: None
) -> None:
    _, archive = package_bundle(find_bundle("sa2net"), glands, tmp_path, dataset="glas", make_zip=True)
    assert archive.name == "glas_sa2net_segmentation_v0.1.0.zip"
    with zipfile.ZipFile(archive) as ours, zipfile.ZipFile(glands_bundle[1]) as theirs:
        assert ours.namelist() == theirs.namelist()
        assert {name.split("/")[0] for name in ours.namelist()} == {"glas_sa2net_segmentation"}
    assert archive.read_bytes() == glands_bundle[1].read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["glas_sa2net_segmentation", archive.name]


def test_torchscript_has_the_same_bytes_in_every_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of the constants of a convolution depends on the hashes of their names."""
    written = []
    for seed in ("3", "4"):
        folder = tmp_path / seed
        (folder / "configs").mkdir(parents=True)
        (folder / "models").mkdir()
        network = {"_target_": "torch.nn.Conv2d", "in_channels": "@channels", "out_channels": 2, "kernel_size": 3}
        (folder / "configs" / "inference.json").write_text(json.dumps({"channels": 3, "network_def": network}))
        (folder / "configs" / "metadata.json").write_text('{"version": "1.0.0"}')
        torch.manual_seed(0)
        torch.save(torch.nn.Conv2d(3, 2, 3).state_dict(), folder / "models" / "model.pt")
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        script_bundle(folder)
        written.append((folder / "models" / "model.ts").read_bytes())
    assert written[0] == written[1]


def test_results_and_own_data(tmp_path: Path, scripted: None) -> None:
    """Weights for own images carry their classes; the numbers of the card are those of the evaluation."""
    info = {**GLANDS, "class_names": ["background", "islet"], "intensity": "percentiles", "view": "windows"}
    weights = save_model(tmp_path / "w" / "best.pt", info)
    nested = tmp_path / "nested.pt"
    torch.save({"state_dict": torch.load(weights, weights_only=True)}, nested)
    shutil.copy(weights.with_suffix(".json"), nested.with_suffix(".json"))
    record = read(nested.with_suffix(".json"))
    nested.with_suffix(".json").write_text(json.dumps({**record, "sha256": sha256_of(nested)}))
    reference = np.zeros((4, 8, 8), np.uint8)
    reference[:, 2:6, 2:6] = 1
    prediction = reference.copy()
    prediction[:, 2, 2:6] = 0  # 12 of 16 pixels: Dice 24 / 28
    cases = {f"c{i}": reference[i] for i in range(4)}
    evaluate({f"c{i}": prediction[i] for i in range(4)}, cases, ["background", "islet"]).write(tmp_path / "eval")
    (folder,) = package_bundle(
        find_bundle("sa2net"),
        nested,
        tmp_path / "out",
        dataset="folder",
        results=tmp_path / "eval" / "metrics_summary.json",
        name="islets_segmentation",
        overrides={"batch_size": 3},
    )
    assert folder == tmp_path / "out" / "islets_segmentation"
    metadata = read(folder / "configs" / "metadata.json")
    assert metadata["eval_metrics"]["mean_dice"] == round(24 / 28, 4)
    assert metadata["name"] == "SA2-Net segmentation of islet"
    assert metadata["task"] == "Segmentation of islet in images"
    assert metadata["network_data_format"]["outputs"]["pred"]["channel_def"]["1"] == "islet"
    card = (folder / "docs" / "README.md").read_text(encoding="utf-8")
    assert "| islet | 0.8571 (0.8571 to 0.8571) | 0.7500 |" in card
    assert "0 background, 1 islet" in card
    assert "No weights are shipped" not in card
    assert ".yaml" not in card
    assert read(folder / "configs" / "inference.json")["batch_size"] == 3
    flat = torch.load(folder / "models" / "model.pt", weights_only=True)
    assert "state_dict" not in flat
    assert read_info(folder / "models" / "model.pt")["epoch"] == 3


def test_the_card_tells_of_its_data_set_alone(both: list[tuple[Path, dict[str, Any]]]) -> None:
    texts = [(folder / "docs" / "README.md").read_text(encoding="utf-8") for folder, _ in both]
    terms = [(folder / "docs" / "data_license.txt").read_text(encoding="utf-8") for folder, _ in both]
    assert "GlaS" in terms[0]
    assert "MoNuSeg" not in terms[0]
    assert "### ACDC" in texts[1]
    assert "### Synapse" not in texts[1]
    assert "| `slice_axis` | acquisition |" in texts[1]
    assert "slice_axis" not in texts[0].split("## Input")[0]
    assert read_info(both[0][0] / "models" / "model.pt")["sha256"] in texts[0]


def _wrong_classes(tmp_path: Path, glands: Path) -> dict[str, Any]:
    return {"weights": save_model(tmp_path / "m.pt", {**GLANDS, "class_names": ["background", "nucleus"]})}


def _damaged_results(tmp_path: Path, glands: Path) -> dict[str, Any]:
    (tmp_path / "r.json").write_text("{]")
    return {"results": tmp_path / "r.json"}


def _other_results(tmp_path: Path, glands: Path) -> dict[str, Any]:
    (tmp_path / "r.json").write_text("[]")
    return {"results": tmp_path / "r.json"}


def _taken(tmp_path: Path, glands: Path) -> dict[str, Any]:
    (tmp_path / "out" / "glas_sa2net_segmentation").mkdir(parents=True)
    return {}


BAD = [
    (_wrong_classes, ValueError, "trained for the classes background, nucleus, but glas has background, gland"),
    (_damaged_results, ValueError, r"r\.json is no JSON"),
    (_other_results, ValueError, r"r\.json holds something else"),
    (_taken, FileExistsError, "is there already"),
    (lambda *_: {"results": "no.json"}, FileNotFoundError, "no.json: no such file"),
    (lambda *_: {"weights": "no.pt"}, FileNotFoundError, "no.pt: no such weights"),
    (lambda *_: {"name": "cell_detection"}, ValueError, "MONAI Label gives 'detection' a meaning"),
    (lambda *_: {"name": "a/b"}, ValueError, "letters, digits and _ only"),
    (lambda *_: {"version": "1.0"}, ValueError, "three numbers"),
    (lambda *_: {"dataset": "glass"}, ValueError, "no overlay for a data set 'glass'"),
    (lambda *_: {"overrides": {"bach_size": 1}}, ValueError, "has no bach_size"),
]


@pytest.mark.parametrize(("arrange", "error", "message"), BAD)
def test_what_cannot_be_packaged(
    arrange: Callable[[Path, Path], dict[str, Any]],
    error: type[Exception],
    message: str,
    glands: Path,
    tmp_path: Path,
) -> None:
    arguments = {"weights": glands, "dataset": "glas", "output": tmp_path / "out", **arrange(tmp_path, glands)}
    with pytest.raises(error, match=message):
        package_bundle(find_bundle("sa2net"), **arguments)
    assert not list(tmp_path.rglob("*.tmp"))
    assert not list(tmp_path.rglob("metadata.json"))


def test_torchscript_that_cannot_be_made(glands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = {"dataset": "glas", "output": tmp_path / "out"}
    failed = subprocess.CompletedProcess([], 1, "", "why it failed\n")
    with monkeypatch.context() as patch:
        patch.setattr("sa2_monai.bundle.exporting.torchscript.subprocess.run", lambda *_, **__: failed)
        with pytest.raises(RuntimeError, match="could not be written as TorchScript:\nwhy it failed"):
            package_bundle(find_bundle("sa2net"), glands, **arguments)
    script_in_process(monkeypatch)
    monkeypatch.setitem(parity.TOLERANCE, "single", -1.0)
    with pytest.raises(RuntimeError, match=r"does not give the labels(.|\n)*NOT PASSED"):
        package_bundle(find_bundle("sa2net"), glands, **arguments)
    assert not list((tmp_path / "out").iterdir())


def test_configurations_are_merged_as_monai_merges_them(heart_bundle: Path) -> None:
    configs = find_bundle("hsaunet") / "configs"
    expected = ConfigParser.load_config_files([str(configs / "train.yaml"), str(configs / "acdc.yaml")])
    found = read(heart_bundle / "configs" / "train.json")
    for key in ("train", "validate", "network_def", "losses", "layout", "augment", "run", "training"):
        assert found[key] == json.loads(json.dumps(expected[key])), key
    evaluation = read(heart_bundle / "configs" / "evaluate.json")
    assert evaluation == json.loads(json.dumps(ConfigParser.load_config_file(str(configs / "evaluate.yaml"))))
