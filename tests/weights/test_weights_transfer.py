# SPDX-License-Identifier: Apache-2.0
"""Weights into networks for other classes and channels: what is loaded, what is new, what is refused and how."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sa2_monai.networks import create_network
from sa2_monai.networks.catalogue import CATALOGUE
from sa2_monai.weights import Transfer, adapt_channels, save_weights, transfer_weights
from tests.support.narrow import WIDTH
from tests.support.published_states import GOLDENS, published_from

State = dict[str, torch.Tensor]
PACKAGED = Path(__file__).resolve().parents[1] / "packaged" / "glas_sa2net_v0.1.0.zip"
NAMES = ["background", "liver", "spleen", "stomach"]
SIZE = {"hsaunet": 32, "svanet": 64}
each = pytest.mark.parametrize("name", CATALOGUE)


def narrow(name: str, in_channels: int = 3, out_channels: int = 2, seed: int = 1, **options: Any) -> nn.Module:
    torch.manual_seed(seed)
    extra = {"aspp_channels": 32} if name == "svanet" else {}
    network = create_network(
        name, in_channels=in_channels, out_channels=out_channels, **{**extra, **WIDTH[name], **options}
    )
    with torch.no_grad():  # statistics, too, shall be told apart
        for tensor in network.state_dict().values():
            if tensor.is_floating_point() and tensor.ndim == 1:
                tensor.add_(torch.rand_like(tensor) * 0.1)
    return network


def settings(name: str, in_channels: int = 3, out_channels: int = 2, **others: Any) -> dict[str, Any]:
    """As a training writes them beside its weights."""
    channels = {"in_channels": in_channels, "out_channels": out_channels, "class_names": NAMES[:out_channels]}
    return {"network": name, **WIDTH[name], **channels, **others}


def state(network: nn.Module) -> State:
    return {name: value.clone() for name, value in network.state_dict().items()}


def saved(network: nn.Module, path: Path, info: dict[str, Any] | None = None) -> Path:
    if info is None:
        torch.save(network.state_dict(), path)
    else:
        save_weights(network.state_dict(), path, info)
    return path


def refused(network: nn.Module, path: Path, expected: dict[str, Any]) -> str:
    """The one line of an error; nothing was loaded."""
    before = state(network)
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        transfer_weights(network, path, expected)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


#: What differs, channels of the image and of the logits; the weights are of three channels and two classes.
OTHERS = {"classes": (3, 4), "channels": (1, 2), "both": (4, 4)}


@each
@pytest.mark.parametrize("what", OTHERS)
def test_other_classes_and_channels(name: str, what: str, tmp_path: Path) -> None:
    channels, classes = OTHERS[what]
    source, network = narrow(name), narrow(name, channels, classes, seed=2)
    path = saved(source, tmp_path / "model.pt", settings(name) if classes == 2 else None)  # with and without a sidecar
    theirs, before = state(source), state(network)
    done = transfer_weights(network, path, settings(name, channels, classes))
    after = state(network)

    assert sorted([*done.loaded, *done.new]) == sorted(after)
    # The head by its shapes, not by its name.
    other = narrow(name, 3, classes + 1).state_dict()
    head = [n for n in other if other[n].shape[:1] != after[n].shape[:1]]
    assert done.new == (head if classes != 2 else [])
    assert all(torch.equal(after[n], before[n]) for n in done.new)
    first = CATALOGUE[name].first_layers[0]
    adapted = after[first].shape != theirs[first].shape
    assert adapted == (channels == 4 or (channels == 1 and not CATALOGUE[name].grey_as_colour))
    assert all(torch.equal(after[n], theirs[n]) for n in done.loaded if not (adapted and n == first))
    if adapted:
        assert torch.equal(after[first], adapt_channels(theirs[first], channels))
        assert any(f"{first} are adapted from 3 to {channels} channels" in remark for remark in done.remarks)
    if classes != 2:
        assert any(f"the head is new ({classes} instead of 2 outputs)" in remark for remark in done.remarks)
    assert len(done.remarks) == adapted + (classes != 2)


@each
def test_a_grey_image_gives_what_it_gave_as_a_colour_image(name: str, tmp_path: Path) -> None:
    source, network = narrow(name).eval(), narrow(name, 1, seed=2).eval()
    transfer_weights(network, saved(source, tmp_path / "model.pt"), {})
    image = torch.rand(1, 1, *[SIZE.get(name, 32)] * 2)
    with torch.no_grad():
        torch.testing.assert_close(network(image), source(image.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-5)


def test_kernels_for_more_channels() -> None:
    kernels = torch.rand(2, 3, 3, 3)
    found = adapt_channels(kernels, 5)
    assert torch.equal(found, kernels[:, [0, 1, 2, 0, 1]] * (3 / 5))
    assert torch.equal(adapt_channels(kernels[:, :1], 3), kernels[:, :1].repeat(1, 3, 1, 1) * (1 / 3))
    image = torch.rand(1, 1, 5, 5)
    convolve = nn.functional.conv2d
    for channels in (1, 3, 6):  # with whole repetitions the sum stays
        torch.testing.assert_close(
            convolve(image.expand(-1, channels, -1, -1), adapt_channels(kernels, channels)),
            convolve(image.expand(-1, 3, -1, -1), kernels),
        )


def test_kernels_for_other_channels_are_left_out(tmp_path: Path) -> None:
    source, network = narrow("sa2net", in_channels=4), narrow("sa2net", in_channels=2, seed=2)
    before = state(network)
    done = transfer_weights(network, saved(source, tmp_path / "model.pt"), {})
    assert done.new == ["stage1.conv.weight"]
    assert done.remarks == ["stage1.conv.weight is new (2 channels instead of 4, which were neither grey nor colours)"]
    assert torch.equal(network.state_dict()["stage1.conv.weight"], before["stage1.conv.weight"])


@pytest.mark.parametrize(
    ("classes", "new"), [(NAMES[:2], False), ([NAMES[0], "nucleus"], True), (NAMES[1::-1], True), (None, False)]
)
def test_a_head_for_as_many_other_classes_is_new(classes: list[str] | None, new: bool, tmp_path: Path) -> None:
    source, network = narrow("svanet"), narrow("svanet", seed=2)
    path = saved(source, tmp_path / "model.pt", settings("svanet", class_names=classes))
    done = transfer_weights(network, path, settings("svanet"))
    assert done.new == (["head.weight", "head.bias"] if new else [])
    assert (f"for background, liver instead of {', '.join(classes or [])}" in str(done.remarks)) == new
    assert torch.equal(network.state_dict()["head.weight"], source.state_dict()["head.weight"]) != new


def test_other_settings_are_told(tmp_path: Path) -> None:
    info = settings("sa2net", intensity="range", view="whole", pixdim=None)
    path = saved(narrow("sa2net"), tmp_path / "model.pt", info)
    expected = settings("sa2net", 1, 4, intensity="percentiles", view="whole", pixdim=0.5)
    done = transfer_weights(narrow("sa2net", 1, 4), path, expected)
    assert done.differing == [("intensity", "range", "percentiles"), ("pixdim", None, 0.5)]


# ---- where the weights are


def places(tmp_path: Path) -> dict[str, Path]:
    """Of one file, all that may be given."""
    run = tmp_path / "run"
    (run / "models").mkdir(parents=True)
    (run / "configs").mkdir()
    (run / "configs" / "inference.json").write_text("{}")
    saved(narrow("sa2net"), run / "models" / "model.pt", settings("sa2net"))
    return {
        "file": run / "models" / "model.pt",
        "run": run,
        "models": run / "models",
        "zip": Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "run")),
    }


@pytest.mark.parametrize("kind", ["file", "run", "models", "zip"])
def test_files_runs_and_bundles(kind: str, tmp_path: Path) -> None:
    network = narrow("sa2net", out_channels=4, seed=2)
    done = transfer_weights(network, places(tmp_path)[kind], settings("sa2net", out_channels=4))
    assert (len(done.loaded), len(done.new)) == (276, 8)
    assert done.info["class_names"] == NAMES[:2]
    assert torch.equal(network.state_dict()["up1.project.weight"], narrow("sa2net").state_dict()["up1.project.weight"])


def test_a_package_of_an_earlier_version() -> None:
    done = transfer_weights(
        create_network("sa2net", in_channels=1, out_channels=3, base_channels=4), PACKAGED, {"base_channels": 4}
    )
    assert done.info["network"] == "sa2net"
    assert len(done.new) == 8


@pytest.mark.parametrize("golden", GOLDENS)
def test_published_checkpoints(golden: str, tmp_path: Path) -> None:
    name, _ = GOLDENS[golden]
    level = {"deep_level": "lka"} if golden == "msa2net_released" else {}
    whole = {"aspp_channels": 512} if name == "svanet" else {}  # no switch of its own
    source = narrow(name, **level, **whole)
    path = tmp_path / "published.pth"
    torch.save({"state_dict": {f"module.{n}": v for n, v in published_from(source, golden).items()}}, path)
    network = narrow(name, 1, 4, seed=2, **level, **whole)
    done = transfer_weights(network, path, settings(name, 1, 4, **level))
    theirs, after, first = state(source), state(network), CATALOGUE[name].first_layers[0]
    assert 0 < len(done.new) <= 8
    assert all(torch.equal(after[n], theirs[n]) for n in done.loaded if n != first)
    if level:
        dual = narrow(name, 1, 4, seed=2)
        assert "deep_level is lka in the weights, dual here. Set deep_level to lka" in refused(
            dual, path, settings(name, 1, 4, deep_level="dual")
        )
    if "embed_dims" in WIDTH[name]:
        wider = settings(name, embed_dims=[16, 32, 96])
        assert "embed_dims is [128, 320, 512] in the weights, [16, 32, 96] here" in refused(network, path, wider)


# ---- what is refused

#: Other widths of each network, and what the message says; the sidecar tells, or the tensors.
WIDER: dict[str, tuple[dict[str, Any], str, str]] = {
    "sa2net": ({"base_channels": 8}, "base_channels is 4 in the weights, 8 here. Set base_channels to 4", ""),
    "daeformer": (
        {"embed_dims": [16, 32, 64]},
        "embed_dims is [8, 16, 32] in the weights",
        "tensors have other widths",
    ),
    "hsaunet": ({"embed_dims": [16, 32, 96]}, "embed_dims is [16, 32, 64] in the weights", "tensors have other widths"),
    "msa2net": ({"stem_channels": [8, 16]}, "Set stem_channels to [8, 8]", "tensors have other widths"),
    "svanet": ({"base_channels": 6, "aspp_channels": 48}, "Set base_channels to 4", ""),
}


@each
@pytest.mark.parametrize("sidecar", [True, False], ids=["sidecar", "bare"])
def test_other_widths(name: str, sidecar: bool, tmp_path: Path) -> None:
    options, told, told_by_tensors = WIDER[name]
    path = saved(narrow(name), tmp_path / "model.pt", settings(name) if sidecar else None)
    expected = settings(name, 1, 4, **{key: value for key, value in options.items() if key != "aspp_channels"})
    message = refused(narrow(name, 1, 4, **options), path, expected)
    assert "channels may differ" in message
    assert (told if sidecar or not told_by_tensors else told_by_tensors) in message
    assert "out_channels" not in message


def test_other_parts(tmp_path: Path) -> None:
    """The sidecar knows what made the names; without it they are compared."""
    deeper = {"encoder": "resnet26"}
    path = saved(narrow("svanet", **deeper), tmp_path / "model.pt", settings("svanet", **deeper))
    assert "Set encoder to resnet26" in refused(narrow("svanet"), path, settings("svanet"))
    path.with_suffix(".json").unlink()
    assert "is not a checkpoint of this SvANet" in refused(narrow("svanet"), path, settings("svanet"))


@each
def test_another_network(name: str, tmp_path: Path) -> None:
    other = {"sa2net": "svanet", "svanet": "msa2net", "msa2net": "daeformer", "daeformer": "hsaunet"}.get(
        name, "sa2net"
    )
    words = f"is a checkpoint of another network ({other}), this training is of {name}. Give weights of {name}"
    source = narrow(other)
    for path in (
        saved(source, tmp_path / "model.pt", settings(other)),
        saved(source, tmp_path / "bare.pt"),
        tmp_path / "published.pth",
    ):
        if path.name == "published.pth":
            torch.save(published_from(source, other), path)
        assert words in refused(narrow(name), path, settings(name))


def test_an_encoder_of_imagenet(tmp_path: Path) -> None:
    path = tmp_path / "resnet.pth"
    torch.save(narrow("svanet").get_submodule("encoder").state_dict(), path)
    assert "Give the file to a training of svanet as encoder_weights" in refused(
        narrow("sa2net"), path, settings("sa2net")
    )


def test_a_published_checkpoint_with_unknown_tensors(tmp_path: Path) -> None:
    path = tmp_path / "published.pth"
    torch.save({**published_from(narrow("sa2net"), "sa2net"), "mine": torch.ones(1)}, path)
    message = refused(narrow("sa2net"), path, settings("sa2net"))
    assert "looks like a published sa2net checkpoint" in message
    assert f"sa2-monai import-weights --network sa2net {path} OUT.pt" in message


def test_files_without_weights(tmp_path: Path) -> None:
    network, expected = narrow("sa2net"), settings("sa2net")
    assert "does not exist" in refused(network, tmp_path / "none.pt", expected)
    assert "has no models/model.pt" in refused(network, tmp_path, expected)
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 rubbish")
    assert "is no zip file or is damaged" in refused(network, tmp_path / "a.zip", expected)
    (tmp_path / "empty").mkdir()
    archive = Path(shutil.make_archive(str(tmp_path / "b"), "zip", tmp_path, "empty"))
    assert "has no models/model.pt" in refused(network, archive, expected)
    torch.save({"model": {"a": torch.ones(1)}, "optimizer": {}}, tmp_path / "last_state.pt")
    assert "state of an unfinished training" in refused(network, tmp_path / "last_state.pt", expected)


def test_damage_inside_of_a_zip_file_is_told_of_the_zip_file(tmp_path: Path) -> None:
    (tmp_path / "run" / "models").mkdir(parents=True)
    (tmp_path / "run" / "models" / "model.pt").write_bytes(b"rubbish")
    archive = Path(shutil.make_archive(str(tmp_path / "run"), "zip", tmp_path, "run"))
    assert f"models/model.pt in {archive} is not a PyTorch checkpoint or is damaged" in refused(
        narrow("sa2net"), archive, settings("sa2net")
    )


def test_altered_and_diverged_weights(tmp_path: Path) -> None:
    source, expected = narrow("sa2net"), settings("sa2net", 3, 4)
    path = saved(source, tmp_path / "model.pt", settings("sa2net"))
    with torch.no_grad():
        source.state_dict()["up1.gate.weight"][0, 0] = float("nan")
    torch.save(source.state_dict(), path)
    assert "altered or damaged" in refused(narrow("sa2net", 3, 4), path, expected)
    path.with_suffix(".json").unlink()
    assert "values that are not finite in up1.gate.weight" in refused(narrow("sa2net", 3, 4), path, expected)


def test_networks_of_others_take_what_fits_entirely(tmp_path: Path) -> None:
    path = saved(nn.Linear(2, 1), tmp_path / "linear.pt")
    assert transfer_weights(nn.Linear(2, 1), path) == Transfer(["weight", "bias"], [], [], {}, [])
    assert "tensors differ in shape" in refused(nn.Linear(3, 1), path, {})
