# SPDX-License-Identifier: Apache-2.0
"""ImageNet files into encoders. The real files are large and not here; these have their names, shapes and forms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from sa2_monai.networks import create_network
from sa2_monai.weights import load_encoder, load_pretrained, save_weights
from sa2_monai.weights.imagenet import source_of
from tests.networks.base_tester import golden

State = dict[str, torch.Tensor]

SMALL: dict[str, dict[str, Any]] = {
    "msa2net": {"encoder_channels": (16, 32, 64, 128), "encoder_depths": (1, 1, 1, 1), "head_dim": 8},
    "svanet": {"encoder": "resnet14", "base_channels": 4, "img_size": 64, "aspp_channels": 4},
}
HEADS = {"msa2net": "head.fc", "svanet": "fc"}
STEMS = {"msa2net": "stem.conv1.weight", "svanet": "conv1.weight"}
each = pytest.mark.parametrize("name", sorted(SMALL))


def small(name: str, in_channels: int = 3) -> torch.nn.Module:
    torch.manual_seed(1)
    return create_network(name, in_channels=in_channels, out_channels=2, **SMALL[name])


def published(name: str) -> State:
    """What timm and torchvision publish: the encoder's names, and the classifier."""
    generator = torch.Generator().manual_seed(2)
    encoder = small(name).get_submodule("encoder").state_dict()
    tensors = {
        key: torch.rand(value.shape, generator=generator) if value.is_floating_point() else torch.tensor(7)
        for key, value in encoder.items()
    }
    return {**tensors, f"{HEADS[name]}.weight": torch.rand(1000, 8), f"{HEADS[name]}.bias": torch.rand(1000)}


def write(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def without_counters(state: State) -> State:
    return {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}


def with_convolutions(state: State) -> State:
    """As timm saves attention blocks that it has built for maps with the channel in front."""
    linear = ("attn.qkv.weight", "attn.proj.weight", ".mlp.fc1.weight", ".mlp.fc2.weight")
    return {
        key: value[:, :, None, None] if key.endswith(linear) and ".rel_pos." not in key else value
        for key, value in state.items()
    }


FORMS: dict[str, Callable[[State], Any]] = {
    "bare": lambda state: state,
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "averaged": lambda state: {"state_dict": {k: v * 0 for k, v in state.items()}, "state_dict_ema": state},
    "model": lambda state: {"model": state},
    "parallel": lambda state: {f"module.{key}": value for key, value in state.items()},
    "without_counters": without_counters,
    "safetensors": lambda state: state,
}


@each
@pytest.mark.parametrize("load", [load_encoder, load_pretrained])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_file(name: str, form: str, load: Callable[..., Any], tmp_path: Path) -> None:
    tensors = published(name)
    expected = {key: value.clone() for key, value in tensors.items() if not key.startswith(HEADS[name])}
    path = tmp_path / "weights.pth"
    if form == "safetensors":
        path = path.with_suffix(".safetensors")
        save_file(tensors, path)
    else:
        write(path, FORMS[form](tensors))
    if form == "without_counters":
        expected = {k: torch.tensor(0) if k.endswith("num_batches_tracked") else v for k, v in expected.items()}
    network = small(name)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    facts = load(network, path)
    assert facts["tensors"] == len(expected)
    assert facts["left_out"] == [f"{HEADS[name]}.weight", f"{HEADS[name]}.bias"]
    assert facts["file"] == path.name
    assert len(facts["sha256"]) == 64
    for key, value in network.state_dict().items():
        part, _, rest = key.partition(".")
        assert torch.equal(value, expected[rest] if part == "encoder" else before[key]), key


def test_attention_of_timm_in_form_of_convolutions(tmp_path: Path) -> None:
    tensors, network = published("msa2net"), small("msa2net")
    changed = with_convolutions(tensors)
    assert sum(a.shape != b.shape for a, b in zip(changed.values(), tensors.values(), strict=True)) == 4 * 8
    load_encoder(network, write(tmp_path / "w.pth", changed))
    for key, value in network.get_submodule("encoder").state_dict().items():
        assert torch.equal(value, tensors[key]), key


def test_names_and_shapes_are_those_of_timm() -> None:
    """The published network has timm's encoder under a prefix of its own, and the golden file lists it."""
    prefix = "backbone.backbone."
    listed = {n.removeprefix(prefix): s for n, s, _ in golden("msa2net")[0]["tensors"] if n.startswith(prefix)}
    with torch.device("meta"):
        encoder = create_network("msa2net", in_channels=1, out_channels=9).get_submodule("encoder")
    assert {n: list(v.shape) for n, v in encoder.state_dict().items()} == listed
    assert len(listed) == 651


@pytest.mark.parametrize(
    ("encoder", "depths", "file", "count"),
    [
        ("resnet50", (3, 4, 6, 3), "resnet50-11ad3fa6.pth", 318),
        ("resnet101", (3, 4, 23, 3), "resnet101-cd907fc2.pth", 624),
        ("resnet152", (3, 8, 36, 3), "resnet152-f82ba261.pth", 930),
    ],
)
def test_names_and_shapes_are_those_of_torchvision(
    encoder: str, depths: tuple[int, ...], file: str, count: int
) -> None:
    shapes: dict[str, list[int]] = {"conv1.weight": [64, 3, 7, 7]}

    def norm(name: str, channels: int) -> None:
        shapes.update({f"{name}.{leaf}": [channels] for leaf in ("weight", "bias", "running_mean", "running_var")})
        shapes[f"{name}.num_batches_tracked"] = []

    norm("bn1", 64)
    channels = 64
    for layer, depth in enumerate(depths, start=1):
        width = 32 * 2**layer
        for block in range(depth):
            at = f"layer{layer}.{block}"
            sizes = ([width, channels, 1, 1], [width, width, 3, 3], [4 * width, width, 1, 1])
            for i, size in enumerate(sizes, start=1):
                shapes[f"{at}.conv{i}.weight"] = size
                norm(f"{at}.bn{i}", size[0])
            if block == 0:
                shapes[f"{at}.downsample.0.weight"] = [4 * width, channels, 1, 1]
                norm(f"{at}.downsample.1", 4 * width)
            channels = 4 * width
    with torch.device("meta"):
        network = create_network("svanet", in_channels=3, out_channels=2, encoder=encoder)
    found = network.get_submodule("encoder").state_dict()
    assert {n: list(v.shape) for n, v in found.items()} == shapes
    assert len(shapes) == count
    assert file in source_of(network).files


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_svanet_takes_other_numbers_of_channels(channels: int, tmp_path: Path) -> None:
    tensors = published("svanet")
    network = small("svanet", channels)
    load_encoder(network, write(tmp_path / "r.pth", tensors))
    found, stem = network.get_parameter("encoder.conv1.weight").detach(), tensors["conv1.weight"]
    if channels == 1:
        grey = torch.rand(1, 1, 9, 9)
        torch.testing.assert_close(F.conv2d(grey, found), F.conv2d(grey.expand(-1, 3, -1, -1), stem))
    else:
        assert torch.equal(found, stem[:, [0, 1, 2, 0][:channels]] * (3 / channels))


@pytest.mark.parametrize("channels", [1, 4])
def test_msa2net_takes_other_numbers_of_channels(channels: int, tmp_path: Path) -> None:
    tensors = published("msa2net")
    network = small("msa2net", channels)
    load_encoder(network, write(tmp_path / "m.pth", tensors))
    found, stem = network.get_parameter("encoder.stem.conv1.weight").detach(), tensors["stem.conv1.weight"]
    # A grey image is repeated by the network itself.
    assert torch.equal(found, stem if channels == 1 else stem[:, [0, 1, 2, 0]] * (3 / 4))


@each
def test_a_missing_file_is_answered_with_its_address(name: str, tmp_path: Path) -> None:
    network, path = small(name), tmp_path / "no.pth"
    for load in (load_encoder, load_pretrained):
        with pytest.raises(FileNotFoundError, match="does not exist") as caught:
            load(network, path)
        message = str(caught.value)
        assert message.startswith(str(path))
        assert source_of(network).files in message
        assert "put the file there" in message
    assert "https://" in source_of(network).files


CHANGES: dict[str, tuple[Callable[[State, str], State], str]] = {
    "unknown": (lambda t, _: {**t, "extra.weight": torch.zeros(1)}, r"unknown: extra.weight \[1\]\n"),
    "missing": (lambda t, stem: {k: v for k, v in t.items() if k != stem}, r"missing: \S*conv1.weight \[\d+, 3, \d"),
    "shape": (lambda t, stem: {**t, stem: t[stem][:-1]}, r"wrong shape: \S*conv1.weight \[\d+, 3, \d, \d\], this"),
    "channels": (lambda t, stem: {**t, stem: t[stem].repeat(1, 2, 1, 1)}, r"wrong shape: \S*conv1.weight \[\d+, 6"),
    "flat": (lambda t, _: {k: v.flatten(1) if v.ndim == 4 else v for k, v in t.items()}, "wrong shape: "),
    "counters": (
        lambda t, _: {k: v for i, (k, v) in enumerate(t.items()) if i > 6 or k.split(".")[-1] != "num_batches_tracked"},
        r"missing: \S*num_batches_tracked \[\]\n",
    ),
    "nan": (lambda t, stem: {**t, stem: t[stem] * float("nan")}, "not finite"),
}


@each
@pytest.mark.parametrize("change", CHANGES)
def test_anything_else_is_refused_and_nothing_loaded(name: str, change: str, tmp_path: Path) -> None:
    network = small(name)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    make, words = CHANGES[change]
    path = write(tmp_path / "w.pth", make(published(name), STEMS[name]))
    with pytest.raises(ValueError, match=words):
        load_encoder(network, path)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_everything_unexplained_is_in_one_message(tmp_path: Path) -> None:
    tensors = published("msa2net")
    del tensors["norm.weight"]
    tensors |= {"head.norm.weight": torch.zeros(8), "head.pre_logits.fc.weight": torch.zeros(8, 8)}
    tensors["norm.bias"] = torch.zeros(9)
    with pytest.raises(ValueError, match="does not hold the weights of this encoder") as caught:
        load_encoder(small("msa2net"), write(tmp_path / "w.pth", tensors))
    for words in (
        "unknown: head.norm.weight [8]; head.pre_logits.fc.weight [8, 8]",
        "missing: norm.weight [128]",
        "wrong shape: norm.bias [9], this network has [128]",
        "Nothing was loaded",
    ):
        assert words in str(caught.value)


@pytest.mark.parametrize("name", ["sa2net", "daeformer", "hsaunet"])
def test_networks_without_such_an_encoder(name: str, tmp_path: Path) -> None:
    with torch.device("meta"):
        network = create_network(name, in_channels=3, out_channels=1)
    with pytest.raises(ValueError, match="trained from scratch"):
        load_encoder(network, tmp_path / "w.pth")
    with pytest.raises(FileNotFoundError, match="Train first"):
        load_pretrained(network, tmp_path / "w.pth")


def test_files_of_one_encoder_are_not_those_of_the_other(tmp_path: Path) -> None:
    path = write(tmp_path / "w.pth", published("svanet"))
    for load in (load_encoder, load_pretrained):
        with pytest.raises(ValueError, match=r"does not hold the weights of this encoder \(timm's"):
            load(small("msa2net"), path)


@each
def test_own_weights_are_checked_as_ever(name: str, tmp_path: Path) -> None:
    source, network = small(name), small(name)
    with torch.no_grad():
        for parameter in source.parameters():
            parameter.fill_(0.5)
    path = tmp_path / "ours.pt"
    save_weights(source.state_dict(), path, {"network": name, "view": "whole"})
    with pytest.raises(ValueError, match="view is 'whole', the configuration says 'windows'"):
        load_pretrained(network, path, {"view": "windows"})
    assert load_pretrained(network, path, {"view": "whole"})["network"] == name
    assert all(bool((p == 0.5).all()) for p in network.parameters())
    with pytest.raises(ValueError, match="does not hold the weights of this encoder"):
        load_encoder(network, path)
    state = write(tmp_path / "last_state.pt", {"model": source.state_dict(), "optimizer": {}, "epoch": 1})
    with pytest.raises(ValueError, match="state of an unfinished training"):
        load_pretrained(network, state)


def test_wrapped_networks(tmp_path: Path) -> None:
    tensors, network = published("svanet"), small("svanet")
    load_pretrained(torch.nn.DataParallel(network), write(tmp_path / "w.pth", tensors))
    assert torch.equal(network.get_parameter("encoder.conv1.weight"), tensors["conv1.weight"])


def test_damaged_files(tmp_path: Path) -> None:
    for name, words in (("m.safetensors", "not a safetensors file or is damaged"), ("m.pth", "is damaged")):
        path = tmp_path / name
        path.write_bytes(b"no tensors in here")
        with pytest.raises(ValueError, match=words):
            load_pretrained(small("msa2net"), path)
    (tmp_path / "folder.pth").mkdir()
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_encoder(small("msa2net"), tmp_path / "folder.pth")


def test_a_safetensors_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "model.safetensors"
    path.write_bytes(b"")
    monkeypatch.setattr("sa2_monai.weights.read.load_file", fail)
    with pytest.raises(OSError, match=r"cannot read .*: Permission denied"):
        load_encoder(small("msa2net"), path)
