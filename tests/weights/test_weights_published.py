# SPDX-License-Identifier: Apache-2.0
"""Published checkpoints: names, dead tensors, refusals. The tensors are those of the golden file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from goldens import fill

from sa2_monai.networks import create_network
from sa2_monai.weights import convert_published, describe_published, read_checkpoint, skipped_names
from sa2_monai.weights.sa2net import published_to_ours

GOLDEN = json.loads((Path(fill.__file__).parent / "sa2net.json").read_text())
State = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def published() -> State:
    """The published checkpoint of the golden file, dead tensors included."""
    return {n: torch.from_numpy(fill.tensor(n, tuple(s))).float() for n, s, _ in GOLDEN["tensors"]}


def published_like(in_channels: int, out_channels: int, base: int) -> State:
    """Live published names with other numbers of channels; values do not matter."""
    network = create_network("sa2net", in_channels=in_channels, out_channels=out_channels, base_channels=base)
    ours = network.state_dict()
    return {n: ours[str(published_to_ours(n))] for n, _, use in GOLDEN["tensors"] if use == "live"}


def test_every_live_tensor_is_converted_and_every_dead_one_skipped(published: State) -> None:
    converted = convert_published("sa2net", published)
    network = create_network("sa2net", in_channels=3, out_channels=1)
    network.load_state_dict(converted, strict=True)
    assert list(converted) == list(network.state_dict())
    dead = [n for n, _, use in GOLDEN["tensors"] if use == "dead"]
    assert skipped_names("sa2net", published) == dead
    assert len(dead) == 62
    assert sum(published[n].numel() for n in dead) == GOLDEN["parameters"]["dead"]
    assert sum(p.numel() for p in network.parameters()) == GOLDEN["parameters"]["live"]
    assert "stage1.norm.num_batches_tracked" in converted


def test_converted_network_gives_the_golden_logits(published: State) -> None:
    network = create_network("sa2net", in_channels=3, out_channels=1).eval()
    network.load_state_dict(convert_published("sa2net", published))
    config = GOLDEN["config"]
    image = torch.from_numpy(fill.image(config["seed"], tuple(config["input_shape"]))).float()
    with torch.no_grad():
        logits = network(image[:1])
    with np.load(Path(fill.__file__).parent / "sa2net.npz") as arrays:
        expected = arrays["logits"][:1]
    assert np.abs(logits.numpy()[..., ::4, ::4] - expected).max() < 1e-5


@pytest.mark.parametrize(("in_channels", "out_channels", "base"), [(4, 2, 8), (1, 4, 8), (3, 1, 16)])
def test_channels_and_width_are_read_from_the_tensors(in_channels: int, out_channels: int, base: int) -> None:
    state = published_like(in_channels, out_channels, base)
    found = {"in_channels": in_channels, "out_channels": out_channels, "base_channels": base}
    assert describe_published("sa2net", state) == found
    create_network("sa2net", **found).load_state_dict(convert_published("sa2net", state))
    assert len(convert_published("sa2net", state, **found)) == len(state)
    with pytest.raises(ValueError, match=rf"out_channels=9, the tensors say {out_channels}"):
        convert_published("sa2net", state, out_channels=9)


def test_everything_unexplained_is_named_at_once(published: State) -> None:
    state = dict(published)
    del state["bottleneck.conv2.bias"], state["inc.norm.running_var"]
    state["up1.AG.weight.1.weight"] = torch.zeros(1)  # only .0 and .2 are dead
    state["outc5.weight"] = torch.zeros(1)
    state["down1.nConvs.0.conv.weight"] = torch.zeros(128, 64, 5, 5)
    with pytest.raises(ValueError, match="not a published sa2net checkpoint") as caught:
        convert_published("sa2net", state)
    message = str(caught.value)
    for part in (
        "unknown: up1.AG.weight.1.weight; outc5.weight",
        "missing: inc.norm.running_var; bottleneck.conv2.bias",
        "wrong shape: down1.nConvs.0.conv.weight [128, 64, 5, 5], expected [128, 64, 3, 3]",
    ):
        assert part in message
    assert message.count("[") == 2


@pytest.mark.parametrize("name", ["inc.conv.weight", "outc4.weight", "bottleneck.conv.weight", "outc1.bias"])
def test_a_single_missing_tensor_is_named(name: str, published: State) -> None:
    with pytest.raises(ValueError, match=f"missing: {name}\n") as caught:
        convert_published("sa2net", {n: v for n, v in published.items() if n != name})
    assert "wrong shape" not in str(caught.value)
    assert "unknown" not in str(caught.value)


def test_a_flat_tensor_in_place_of_a_kernel_is_named(published: State) -> None:
    state = {**published, "inc.conv.weight": torch.zeros(64)}
    with pytest.raises(ValueError, match=r"wrong shape: inc\.conv\.weight \[64\], expected \[64, 3, 3, 3\]"):
        convert_published("sa2net", state)


def test_other_things_are_refused(published: State) -> None:
    with pytest.raises(ValueError, match="no converter for network 'unet'; known: sa2net"):
        convert_published("unet", published)
    with pytest.raises(ValueError, match=r"its first tensors are conv1\.weight"):
        convert_published("sa2net", {"conv1.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match="first tensors are nothing"):
        convert_published("sa2net", {})
    ours = create_network("sa2net", in_channels=3, out_channels=1, base_channels=8).state_dict()
    with pytest.raises(ValueError, match="needs no conversion"):
        describe_published("sa2net", ours)


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
@pytest.mark.parametrize("container", [False, True])
def test_both_containers_and_wrapper_prefixes_are_read(prefix: str, container: bool, tmp_path: Path) -> None:
    tensors = {"a.weight": torch.arange(3.0), "module.bias": torch.zeros(2)}
    content: dict = {prefix + name: value for name, value in tensors.items()}
    if container:
        # as the published MoNuSeg/GlaS training writes it
        optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))]).state_dict()
        content = {"epoch": 7, "best_model": True, "model": "SA2Net", "state_dict": content, "optimizer": optimizer}
        content["val_loss"] = torch.tensor(0.5)
    path = tmp_path / "val_best_model-SA2Net.pth.tar"
    torch.save(content, path)
    read = read_checkpoint(path)
    assert list(read) == list(tensors)
    assert torch.equal(read["a.weight"], tensors["a.weight"])


def test_old_file_format_is_read(tmp_path: Path) -> None:
    path = tmp_path / "old.pt"
    torch.save({"a": torch.ones(2)}, path, _use_new_zipfile_serialization=False)
    assert torch.equal(read_checkpoint(path)["a"], torch.ones(2))
