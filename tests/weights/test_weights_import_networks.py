# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai import-weights`` end to end for each network: narrow instances with the published names."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest
import torch

from sa2_monai.cli import main
from sa2_monai.networks import create_network
from sa2_monai.networks.catalogue import CATALOGUE
from sa2_monai.networks.factory import network_class
from sa2_monai.weights import load_weights, read_info, sha256_of
from tests.support.published_states import GOLDENS, published_from, tensor_list

DUAL = {"embed_dims": (8, 16, 24), "channel_heads": 4}
MAXVIT = {"stem_channels": (4, 8), "encoder_channels": (16, 32, 64, 128), "head_dim": 8, "rel_pos_hidden": 8}
# What a published network would not let its tensors tell: widths, as if they were the class's defaults.
NARROW: dict[str, dict[str, Any]] = {
    "daeformer": DUAL,
    "hsaunet": {**DUAL, "num_heads": (2, 2, 2), "decoder_num_heads": (2, 2), "channel_heads": 2},
    "msa2net": {**MAXVIT, "expand_ratio": 2, "channel_attention_heads": 4},
    "msa2net_released": {**MAXVIT, "expand_ratio": 2, "channel_attention_heads": 4},
    "sa2net": {},
    "svanet": {"aspp_channels": 8},
}
ARGUMENTS: dict[str, dict[str, Any]] = {
    "daeformer": {"in_channels": 3, "out_channels": 9},
    "hsaunet": {"in_channels": 3, "out_channels": 2},
    "msa2net": {"in_channels": 3, "out_channels": 4, "deep_level": "dual"},
    "msa2net_released": {"in_channels": 3, "out_channels": 1, "deep_level": "lka"},
    "sa2net": {"in_channels": 3, "out_channels": 1, "base_channels": 4},
    "svanet": {"in_channels": 3, "out_channels": 5, "base_channels": 4},
}
SIZES = {"hsaunet": 112, "svanet": 64}

each_golden = pytest.mark.parametrize("name", GOLDENS)


def make_narrow(name: str, monkeypatch: pytest.MonkeyPatch) -> torch.nn.Module:
    """Make the class's defaults narrow; an instance with random weights and statistics."""
    network_name = GOLDENS[name][0]
    narrow = functools.partial(network_class(network_name), **NARROW[name])
    monkeypatch.setattr(
        "sa2_monai.networks.factory.network_class",
        lambda asked: narrow if asked == network_name else network_class(asked),
    )
    torch.manual_seed(0)
    network = create_network(network_name, **ARGUMENTS[name]).eval()
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.uniform_(0.1, 0.3).mul_(torch.rand_like(tensor).round() * 2 - 1 if tensor.ndim > 1 else 1)
    return network


@each_golden
def test_import(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    network_name = GOLDENS[name][0]
    original = make_narrow(name, monkeypatch)
    state = published_from(original, name)
    source, output = tmp_path / "published.pth", tmp_path / "bundles" / network_name / "models" / "model.pt"
    torch.save({f"module.{n}": v for n, v in state.items()}, source)
    assert main(["import-weights", "--network", network_name, str(source), str(output)]) == 0

    printed = capsys.readouterr().out
    dead = [n for n, _, use in tensor_list(name) if use == "dead"]
    assert f"{len(state)} tensors of a published {network_name} checkpoint" in printed
    assert f"converted  {len(state) - len(dead)} tensors" in printed
    joins = name in ("daeformer", "hsaunet", "msa2net")  # queries, keys and values
    assert (f", put together to {len(original.state_dict())}, " in printed) == joins
    assert f"left out   {len(dead)} tensors, {len(dead):,} values" in printed
    if dead:
        part = ".".join(dead[0].split(".")[:2])
        assert f"{part} {sum(n.startswith(f'{part}.') for n in dead)}" in printed
    assert all(f"{key} {value}" in printed for key, value in ARGUMENTS[name].items())
    assert f"{output}: sha256 {sha256_of(output)}" in printed
    assert max(len(line) for line in printed.splitlines() if str(tmp_path) not in line) <= 120

    info = read_info(output)
    side = 512 if name == "svanet" else 224
    assert (info["network"], info["view"], info["roi_size"]) == (network_name, "whole", [side, side])
    assert info["channel_order"] == ("BGR" if name == "sa2net" else "RGB")
    assert info["source"] == {"file": "published.pth", "sha256": sha256_of(source)}
    assert all(isinstance(v, torch.Tensor) for v in torch.load(output, weights_only=True).values())

    # the sidecar has all that it takes to build the network again
    arguments = {
        k: info[k] for k in ("in_channels", "out_channels", "base_channels", "deep_level", "img_size") if k in info
    }
    assert arguments == ({**ARGUMENTS[name], "img_size": 512} if name == "svanet" else ARGUMENTS[name])
    network = create_network(info["network"], **arguments).eval()
    load_weights(network, output, {**arguments, "network": network_name})
    x = torch.rand(1, 3, *[SIZES.get(name, 32)] * 2, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(network(x), original(x))
    for key, value in arguments.items():
        other = value + 1 if isinstance(value, int) else "another"
        with pytest.raises(ValueError, match=f"trained with other settings: {key} is {value!r}"):
            load_weights(network, output, {**arguments, key: other})


@pytest.mark.parametrize("name", ["daeformer", "hsaunet", "msa2net"])
def test_grey_images(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = make_narrow(name, monkeypatch)
    source, output = tmp_path / "published.pth", tmp_path / "model.pt"
    torch.save(published_from(original, name), source)
    assert main(["import-weights", "--network", name, "--in-channels", "1", str(source), str(output)]) == 0
    info = read_info(output)
    assert info["in_channels"] == 1
    assert "channel_order" not in info
    network = create_network(name, **{**ARGUMENTS[name], "in_channels": 1}).eval()
    load_weights(network, output, {"in_channels": 1})
    x = torch.rand(1, 1, *[SIZES.get(name, 32)] * 2)
    with torch.no_grad():
        torch.testing.assert_close(network(x), original(x.expand(-1, 3, -1, -1)), rtol=1e-4, atol=1e-5)


def test_options_that_do_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = tmp_path / "published.pth", tmp_path / "models" / "model.pt"
    torch.save(published_from(make_narrow("svanet", monkeypatch), "svanet"), source)

    def error_of(network: str, *options: str) -> str:
        assert main(["import-weights", "--network", network, str(source), str(output), *options]) == 1
        assert not output.parent.exists()
        return capsys.readouterr().err

    assert "published.pth: not the svanet checkpoint that was asked for: in_channels=1" in error_of(
        "svanet", "--in-channels", "1"
    )
    assert "takes positive multiples of 32" in error_of("svanet", "--roi-size", "500", "512")
    assert "takes positive multiples of 112" in error_of("hsaunet", "--roi-size", "256", "256")
    assert "square images alone" in error_of("svanet", "--roi-size", "256", "512")
    assert "published.pth: this is a published svanet checkpoint, not one of daeformer" in error_of("daeformer")
    assert main(["import-weights", "--network", "svanet", str(source), str(output), "--roi-size", "352", "352"]) == 0
    assert read_info(output)["img_size"] == 352


def test_every_network_can_be_imported() -> None:
    assert set(CATALOGUE) == {network for network, _ in GOLDENS.values()}
