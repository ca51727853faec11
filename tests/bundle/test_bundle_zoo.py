# SPDX-License-Identifier: Apache-2.0
"""What the model zoo asks of a bundle before it takes it: all five, as they are and packaged. Nothing is downloaded."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import monai.bundle
import pytest
import yaml

from sa2_monai.bundle import export_network, find_bundle, load_bundle, package_bundle
from sa2_monai.bundle.locate import config_file, load
from sa2_monai.bundle.packaging.large_files import check_address
from sa2_monai.weights import save_weights, sha256_of
from tests.bundles.bundle_tools import BUNDLES, WIDTH, resolved
from tests.bundles.config_rules import check_components, check_expressions, check_paths, check_references

LIMIT = 25 * 2**20
SECTIONS = (
    *("Model Description", "Data", "Performance", "MONAI Bundle Commands", "System Configuration", "Limitations"),
    *("Citation Info", "References"),
)
TEXTS = ("schema", "version", "name", "task", "description", "authors", "copyright", "data_source", "data_type")
TEXTS += ("image_classes", "label_classes", "pred_classes", "intended_use")
FORMAT = {"type": str, "format": str, "num_channels": int, "spatial_shape": list, "dtype": str, "value_range": list}
PIN = re.compile(r"\d+(\.\d+)+")
TRAINING = ("trainer", "dataset", "handlers", "preprocessing", "inferer", "dataloader")
VALIDATION = ("evaluator", "dataset", "handlers", "preprocessing", "postprocessing", "inferer", "key_metric")
INFERENCE = ("bundle_root", "device", "network_def", "inferer", "output_dir", "dataset_dir", "dataset", "evaluator")
#: Packaged from narrow untrained weights, beside the two that other tests use: (network, overlay).
MORE = (("daeformer", "synapse"), ("msa2net", "isic2018"), ("svanet", "kits23"))


@pytest.fixture(scope="session")
def packaged(
    glands_bundle: tuple[Path, Path], heart_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """A packaged bundle of each architecture; the three that no other test uses have no TorchScript."""
    out, found = tmp_path_factory.mktemp("zoo"), {"sa2net": glands_bundle[0], "hsaunet": heart_bundle}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sa2_monai.bundle.packaging.package.script_bundle", lambda folder: None)
        patch.setattr("sa2_monai.bundle.packaging.package._compare", lambda *_: SimpleNamespace(passed=True))
        for network, overlay in MORE:
            root = find_bundle(network)
            config = load(root / "configs" / "inference.yaml", root / "configs" / f"{overlay}.yaml")
            module, outputs = resolved({**config, **WIDTH[network]}, "network_def", "out_channels")
            info = {key: config[key] for key in ("class_names", "in_channels", "kind", "roi_size")}
            weights = out / network / "model.pt"
            save_weights(
                module.state_dict(), weights, {"network": network, "out_channels": outputs, **info, **WIDTH[network]}
            )
            (found[network],) = package_bundle(root, weights, out, dataset=overlay)
    return found


@pytest.fixture(params=[f"{bundle}-{form}" for bundle in BUNDLES for form in ("plain", "packaged")])
def folder(request: pytest.FixtureRequest, packaged: dict[str, Path]) -> Path:
    bundle, _, form = request.param.partition("-")
    return find_bundle(bundle) if form == "plain" else packaged[bundle]


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def published(folder: Path) -> Iterator[Path]:
    """What of a bundle's folder goes to the zoo: not what was trained or predicted in it."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.relative_to(folder).parts[0] not in ("models", "eval"):
            yield path


def test_the_files(folder: Path) -> None:
    for name in ("LICENSE", "configs/metadata.json", "configs/logging.conf", "docs/README.md", "docs/data_license.txt"):
        assert (folder / name).is_file(), name
    for stem in ("train", "inference"):
        assert len(list((folder / "configs").glob(f"{stem}.*"))) == 1, "the zoo takes YAML, MONAI Label JSON"
    assert re.fullmatch(r"\w+", folder.name)
    for path in published(folder):
        assert path.stat().st_size < LIMIT, path
        assert path.suffix in ("", ".json", ".yaml", ".yml", ".conf", ".md", ".txt"), f"no code in a bundle: {path}"
        text = path.read_text(encoding="utf-8")
        assert "\r" not in text, path
        assert text.endswith("\n"), path
        assert not text.endswith("\n\n"), path
        assert not re.search(r"[ \t]$", text, re.MULTILINE), f"spaces at the end of a line of {path}"
        if path.suffix == ".json":  # formatted as the zoo's hook does
            assert text == json.dumps(json.loads(text), indent=4) + "\n", path


def test_the_metadata(folder: Path) -> None:
    metadata = read(folder / "configs" / "metadata.json")
    for name in TEXTS:
        assert isinstance(metadata[name], str), name
        assert metadata[name].strip() == metadata[name] != "", name
    assert re.fullmatch(r"\d+\.\d+\.\d+", metadata["version"])
    assert next(iter(metadata["changelog"])) == metadata["version"]
    assert all(isinstance(line, str) and line for line in metadata["changelog"].values())
    required = metadata["required_packages_version"]
    # The zoo installs exactly these.
    pins = [metadata[f"{name}_version"] for name in ("monai", "pytorch", "numpy")]
    assert all(PIN.fullmatch(version) for version in (*pins, *required.values()))
    assert set(required) >= {"sa2_monai", "pytorch-ignite", "tensorboard"}
    assert "optional_packages_version" not in metadata  # MONAI takes them for required ones
    assert metadata["supported_apps"] == {"monai-label": ""}
    assert all(isinstance(entry, str) for entry in metadata["references"])
    assert isinstance(metadata["eval_metrics"], dict)
    for direction, name in (("inputs", "image"), ("outputs", "pred")):
        (first, entry), *_ = metadata["network_data_format"][direction].items()
        assert first == name
        for key, kind in FORMAT.items():
            assert isinstance(entry[key], kind), key
        assert len(entry["spatial_shape"]) == 2
        assert all(isinstance(value, (int, float)) for value in entry["value_range"])
        assert list(entry["channel_def"]) == [str(index) for index in range(len(entry["channel_def"]))]


def test_the_readme(folder: Path) -> None:
    text = (folder / "docs" / "README.md").read_text(encoding="utf-8")
    titles = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert [title for title in titles if title in SECTIONS] == list(SECTIONS)
    head, parts = text.partition("\n## ")[0], dict(re.findall(r"^## (.+)\n+(\S.*)$", text, re.MULTILINE))
    assert set(SECTIONS) <= set(parts), "a section is empty"
    assert re.match(r"# .+\n\n### Authors\n\n\S.+\n\n### Tags\n\nSegmentation, .+", head)
    assert "#### Preprocessing" in text.partition("\n## Data\n")[2].partition("\n## ")[0]
    assert re.search(r"TorchScript.*(supported|work)", text)
    assert "TensorRT" in text
    assert "ot a medical device" in text


def test_the_ids(folder: Path) -> None:
    files = [config_file(folder, stem) for stem in ("train", "inference")]
    train, inference = (load(file) for file in files if file is not None)
    assert [key for key in INFERENCE if key not in inference] == []
    assert {"bundle_root", "device", "dataset_dir", "output_dir", "ckpt_dir", "network_def", "val_interval"} <= set(
        train
    )
    assert "max_epochs" in train["train"]["trainer"]
    for part, keys in (("train", TRAINING), ("validate", VALIDATION)):
        assert [key for key in keys if key not in train[part]] == []
        assert "data" in train[part]["dataset"]
    for config in (train, inference):
        assert config["bundle_root"] == "."
        assert config["dataset_dir"].startswith("/workspace/data/")
    intervals = [entry.get("interval") for entry in train["train"]["handlers"] if "Validation" in entry["_target_"]]
    assert len(intervals) == 1
    assert intervals[0][0] in "@$"
    assert "@val_interval" in intervals[0]


def test_packaged_configurations_follow_the_rules(packaged: dict[str, Path]) -> None:
    """As tests/bundles/configs/test_bundles_configs.py does for YAML, with the longest merges: every file is in one."""
    merges = (
        ("train", "disk_cache", "multi_gpu_train"),
        ("train", "debug"),
        ("train", "evaluate", "multi_gpu_evaluate"),
        ("train", "paper", "evaluate", "evaluate_paper", "ensemble"),
        ("inference", "paper", "inference_trt"),
    )
    for folder in packaged.values():
        stems = {path.stem for path in (folder / "configs").glob("*.json")} - {"metadata"}
        assert stems == {name for merge in merges for name in merge}
        assert not list((folder / "configs").glob("*.y*ml"))
        for merge in merges:
            config = load(*(folder / "configs" / f"{name}.json" for name in merge))
            assert check_components(config) > 10
            check_expressions(config)
            check_references(config)
            check_paths(config)


def test_texts_are_those_of_the_data_set(packaged: dict[str, Path]) -> None:
    organs, lesion, kidney = (read(packaged[name] / "configs" / "metadata.json") for name, _ in MORE)
    assert organs["task"] == "Segmentation of eight abdominal organs in CT volumes, slice by slice"
    assert organs["image_classes"] == (
        "CT, volume, seen slice by slice, values clipped to -125 .. 275 and scaled to [0, 1]"
    )
    assert "aorta, gallbladder" in organs["description"]
    assert "Synapse multi-atlas abdomen" in organs["description"]
    assert any("Beyond the Cranial Vault" in entry for entry in organs["references"])
    assert lesion["data_type"] == "png, jpeg, tiff, bmp"
    assert lesion["image_classes"] == (
        "dermoscopy, RGB image, values from lowest to highest scaled to [0, 1] after the resize"
    )
    assert lesion["network_data_format"]["inputs"]["image"]["channel_def"] == {"0": "red", "1": "green", "2": "blue"}
    assert lesion["network_data_format"]["inputs"]["image"]["value_range"] == [-1.0, 1.0]
    assert kidney["network_data_format"]["inputs"]["image"]["value_range"] == [0.0, 1.0]
    assert kidney["intended_use"].startswith("Research on contrast-enhanced CT of the kidneys.")
    card = (packaged["svanet"] / "docs" / "README.md").read_text(encoding="utf-8")
    assert "### Tags\n\nSegmentation, CT, kidney, tumour, cyst, 2D, volumes, slices\n" in card
    assert "Input of the network: 1 channel (image), height and width multiples of 32, values from 0 to 1." in card
    assert "Research on contrast-enhanced CT of the kidneys." in card
    assert "PNG, JPEG" not in card


@pytest.fixture
def scripted(glands_bundle: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """TorchScript is not made again."""
    made = glands_bundle[0] / "models" / "model.ts"
    monkeypatch.setattr(
        "sa2_monai.bundle.packaging.package.script_bundle",
        lambda folder: shutil.copy(made, folder / "models" / "model.ts"),
    )
    return glands_bundle[0]


def test_published_weights(scripted: Path, glands: Path, tmp_path: Path) -> None:
    """The folder goes to the zoo, the weights to an address; MONAI's own command brings them together again."""
    address, out = (tmp_path / "upload").as_uri() + "/", tmp_path / "out"
    texts = tmp_path / "texts.yaml"
    texts.write_text(yaml.safe_dump({"authors": "Jane Doe", "changelog": "first weights", "references": ["Doe 2026"]}))
    arguments = {"dataset": "glas", "metadata": texts, "large_files": address, "use_installed_versions": True}
    folder, archive, large = package_bundle(
        find_bundle("sa2net"), glands, out, make_zip=True, version="1.2.0", **arguments
    )
    name = "glas_sa2net_segmentation_v1.2.0"
    assert (archive.name, large.name) == (f"{name}.zip", f"{name}_large_files")
    assert not [path for path in folder.rglob("*") if path.suffix in (".pt", ".ts")]
    listed = yaml.safe_load((folder / "large_files.yml").read_text())["large_files"]
    assert [entry["path"] for entry in listed] == ["models/model.pt", "models/model.ts"]
    for entry in listed:
        assert entry["url"] == f"{address}{name}_{Path(entry['path']).name}"
        assert entry["hash_type"] == "sha256"
        assert entry["hash_val"] == sha256_of(scripted / entry["path"])
    for use in (load_bundle(folder, device="cpu").network, lambda: export_network(folder)):
        with pytest.raises(FileNotFoundError, match=r"Fetch them with 'python -m monai.bundle download_large_files"):
            use()
    metadata = read(folder / "configs" / "metadata.json")
    assert metadata["changelog"] == {"1.2.0": "first weights", "0.1.0": metadata["changelog"]["0.1.0"]}
    assert metadata["references"] == ["Doe 2026"]
    assert metadata["required_packages_version"]["pillow"] == importlib.metadata.version("pillow")
    assert PIN.fullmatch(metadata["pytorch_version"])
    card = (folder / "docs" / "README.md").read_text(encoding="utf-8")
    assert "### Authors\n\nJane Doe, after Fiaz" in card
    assert "download_large_files" in card

    large.rename(tmp_path / "upload")
    monai.bundle.download_large_files(str(folder))
    for path in ("models/model.pt", "models/model.ts"):
        assert (folder / path).read_bytes() == (scripted / path).read_bytes()
    assert load_bundle(archive, device="cpu").network() is not None  # complete by itself


def test_addresses_and_texts_that_are_none(glands: Path, tmp_path: Path) -> None:
    for address in ("models", "ftp://a/b", "https://", "https://a/b?c=d", "C:\\models"):
        with pytest.raises(ValueError, match="is no address for files to be downloaded from"):
            check_address(address)
    assert check_address("https://a.org/b/") == "https://a.org/b"
    texts = tmp_path / "texts.json"
    bad = {
        "version: 3": "version cannot be given for the metadata",
        "authors: [a]": "expected a text",
        "references: a": "expected a list of texts",
        "- a": "holds list; expected texts by the names of metadata.json",
        "{]": "is neither JSON nor YAML",
    }
    for text, message in bad.items():
        texts.write_text(text)
        with pytest.raises(ValueError, match=message):
            package_bundle(find_bundle("sa2net"), glands, tmp_path / "out", dataset="glas", metadata=texts)
    with pytest.raises(FileNotFoundError, match="no such file; expected texts"):
        package_bundle(find_bundle("sa2net"), glands, tmp_path / "out", dataset="glas", metadata=tmp_path / "no")
    assert not (tmp_path / "out").exists()
