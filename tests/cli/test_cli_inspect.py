# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai inspect`` on bundles, weights and exported networks."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from sa2_monai.bundle.packaging.zipping import zip_folder
from sa2_monai.cli.main import main
from sa2_monai.networks import create_network
from sa2_monai.weights import sha256_of
from tests.cli.mini_bundle import make_bundle, read_config, write_config
from tests.support.published_states import published_from
from tests.support.small_models import GLANDS, HEART, save_model


@pytest.fixture
def inspect(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(path: object) -> Any:
        assert main(["inspect", str(path), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return run


def test_a_bundle_of_the_package(inspect: Any) -> None:
    facts = inspect("hsaunet")
    assert facts["what"] == "bundle"
    assert (facts["network"], facts["kind"], facts["roi_size"]) == ("hsaunet", "volumes", [224, 224])
    assert facts["out_channels"] == 9
    assert facts["class_names"][:2] == ["background", "aorta"]
    assert {"acdc", "folder", "isic2018"} <= set(facts["datasets"])
    assert "Synapse" in facts["data"]
    assert facts["problems"] == []


def test_a_bundle_with_weights_and_its_zip_file(
    inspect: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of it is run: the expressions would fail here."""
    folder = make_bundle(
        tmp_path / "b", {"network": "pixels", "class_names": ["background", "cell"], "roi_size": [8, 8]}
    )
    write_config(folder, {**read_config(folder), "view": "$1 / 0", "evil": "$open('/nowhere/evil')"})
    zip_folder(folder, tmp_path / "b.zip")
    shutil.copy(folder / "models" / "model.pt", tmp_path / "same.pt")
    for path in (folder, tmp_path / "b.zip"):
        facts = inspect(path)
        assert facts["path"] == str(path)
        assert (facts["class_names"], facts["roi_size"]) == (["background", "cell"], [8, 8])
        assert "view" not in facts
        assert "models/model.pt: model.json names a network that is none of daeformer, " in facts["problems"][0]
        assert facts["weights"]["sha256"] == sha256_of(tmp_path / "same.pt")
        assert facts["weights"]["tensors"] == 2
        assert facts["version"] == "0.1.0"
    assert main(["inspect", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert f"{folder}: bundle\n" in printed
    assert "  class_names: background, cell\n" in printed
    assert "  weights:\n    file: models/model.pt\n" in printed


def test_weights(inspect: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = save_model(tmp_path / "model.pt", HEART, metric=0.91)
    facts = inspect(path)
    assert facts["what"] == "weights"
    assert {key: facts[key] for key in HEART} == HEART
    assert (facts["epoch"], facts["metric"], facts["sha256"]) == (3, 0.91, sha256_of(path))
    assert facts["problems"] == []
    # Without its sidecar the tensors tell the network; with another's it is noticed.
    other = save_model(tmp_path / "other.pt", GLANDS)
    path.with_suffix(".json").unlink()
    facts = inspect(path)
    assert (facts["network"], facts["in_channels"], facts["out_channels"]) == ("hsaunet", "1 or 3", 4)
    assert facts["problems"] == ["no model.json beside it says what it is"]
    shutil.copy(other.with_suffix(".json"), path.with_suffix(".json"))
    assert main(["inspect", str(path)]) == 0
    assert "problem: model.json describes another file (its sha256 differs)" in capsys.readouterr().out


def test_published_weights(inspect: Any, tmp_path: Path) -> None:
    network = create_network("sa2net", in_channels=3, out_channels=1, base_channels=4)
    torch.save(published_from(network, "sa2net"), tmp_path / "theirs.pth")
    facts = inspect(tmp_path / "theirs.pth")
    assert facts["network"] == "sa2net"
    assert any("import-weights" in problem for problem in facts["problems"])


def test_exported_networks(inspect: Any, tmp_path: Path) -> None:
    texts = {
        "metadata.json": {"version": "2.0.0", "network_data_format": {"outputs": {"pred": {"num_channels": 4}}}},
        "inference.json": {"model_info": {"network": "daeformer"}, "roi_size": [64, 64]},
    }
    extra = {name: json.dumps(text).encode() for name, text in texts.items()}
    torch.jit.save(torch.jit.script(torch.nn.Identity()), tmp_path / "model.ts", extra)
    facts = inspect(tmp_path / "model.ts")
    assert facts["what"] == "exported network"
    assert (facts["network"], facts["version"], facts["out_channels"]) == ("daeformer", "2.0.0", 4)
    assert facts["roi_size"] == [64, 64]
    with zipfile.ZipFile(tmp_path / "bare.ts", "w") as archive:
        archive.writestr("x/data.pkl", "")
    assert inspect(tmp_path / "bare.ts")["problems"] == ["it carries no metadata"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.pt", b"no weights", "is not a PyTorch checkpoint or is damaged"),
        ("x.ts", b"no network", "is no exported network or is damaged"),
        ("x.zip", b"no zip", "is no zip file or is damaged"),
        ("x.txt", b"", "neither the folder nor the zip file of a bundle"),
        (None, b"", "no such bundle"),
    ],
)
def test_what_is_neither(
    name: str | None, content: bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / (name or "nothing")
    if name:
        path.write_bytes(content)
    assert main(["inspect", str(path)]) == 1
    assert message in capsys.readouterr().err


DAMAGED = [
    ("configs/metadata.json", b"\xff\xfe{"),
    ("configs/metadata.json", b"[1]"),
    ("configs/metadata.json", b'{"network_data_format": 3}'),
    ("configs/inference.yaml", b"a: [1"),
    ("configs/inference.yaml", b"- 1"),
    ("configs/inference.yaml", b"model_info: 3"),
    ("configs/extra.yaml", b"a: \x00"),
    ("models/model.pt", b"PK\x03\x04junk"),
]


@pytest.mark.parametrize(("name", "content"), DAMAGED)
def test_a_damaged_file_is_named_in_one_line(
    name: str, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = make_bundle(tmp_path / "b")
    (bundle / name).write_bytes(content)
    assert main(["inspect", str(bundle)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"sa2-monai inspect: error: {bundle / name} is ")
