# SPDX-License-Identifier: Apache-2.0
"""EnsembleNetwork: the logits of the averaged probabilities."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn as nn

from sa2_monai.inference import EnsembleNetwork, load_ensemble
from sa2_monai.weights import save_weights


class Given(nn.Module):
    """A network that ignores its input and answers stored logits."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("logits", logits)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.logits


def given(channels: int, count: int = 5, scale: float = 4.0, dtype: torch.dtype = torch.float32) -> list[Given]:
    generator = torch.Generator().manual_seed(channels * 100 + count)
    return [Given((torch.randn(2, channels, 8, 9, generator=generator) * scale).to(dtype)) for _ in range(count)]


IMAGE = torch.zeros(2, 3, 8, 9)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_one_channel_averages_sigmoids(count: int) -> None:
    networks = given(1, count)
    out = EnsembleNetwork(networks)(IMAGE)
    expected = torch.stack([n.logits.double().sigmoid() for n in networks]).mean(0)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out.sigmoid().double(), expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(out.double(), torch.logit(expected), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("channels", [2, 4, 9])
def test_more_channels_average_softmaxes(channels: int) -> None:
    networks = given(channels)
    out = EnsembleNetwork(networks)(IMAGE)
    expected = torch.stack([n.logits.double().softmax(1) for n in networks]).mean(0)
    torch.testing.assert_close(out.softmax(1).double(), expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(out.double(), expected.log(), rtol=1e-6, atol=1e-6)


def test_one_network_is_itself() -> None:
    (network,) = given(1, 1)
    torch.testing.assert_close(EnsembleNetwork([network])(IMAGE), network.logits, rtol=1e-6, atol=1e-6)


def test_the_average_is_of_probabilities_and_not_of_logits_or_votes() -> None:
    networks = [Given(torch.full((1, 1, 1, 1), logit)) for logit in (6.0, -1.0, -1.0)]
    out = float(EnsembleNetwork(networks)(IMAGE))
    assert out == pytest.approx(float(torch.logit(torch.tensor([6.0, -1.0, -1.0]).double().sigmoid().mean())), abs=1e-6)
    assert out > 0 > -1 / 3  # two of three vote against


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("value", [80.0, 5000.0])
def test_confident_networks_stay_finite(channels: int, value: float) -> None:
    """Their probabilities round to 0 and 1 in single precision; the logits must not become infinite."""
    logits = torch.full((1, channels, 2, 2), -value)
    logits[:, -1, 0] = value
    out = EnsembleNetwork([Given(logits), Given(logits * 0.9)])(IMAGE)
    assert torch.isfinite(out).all()
    if channels == 1:
        # log((e^-v + e^-0.9v) / 2) = -0.9 v - log 2 for large v
        assert float(out[0, 0, 1, 1]) == pytest.approx(-0.9 * value - float(torch.log(torch.tensor(2.0))), rel=1e-5)
        assert float(out[0, 0, 0, 0]) == pytest.approx(-float(out[0, 0, 1, 1]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("channels", [1, 3])
def test_half_precision_is_averaged_in_single(channels: int, dtype: torch.dtype) -> None:
    networks = given(channels, dtype=dtype)
    out = EnsembleNetwork(networks)(IMAGE)
    assert out.dtype == torch.float32
    single = EnsembleNetwork([Given(n.logits.float()) for n in networks])(IMAGE)
    assert torch.equal(out, single)


def test_double_precision_stays() -> None:
    assert EnsembleNetwork(given(1, dtype=torch.float64))(IMAGE).dtype == torch.float64


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # the number of channels is a constant of the network
@pytest.mark.parametrize("channels", [1, 3])
def test_script_and_trace(channels: int) -> None:
    networks = [nn.Conv2d(3, channels, 3, padding=1).requires_grad_(False) for _ in range(3)]
    ensemble = EnsembleNetwork(networks).eval()
    image = torch.rand(1, 3, 8, 8)
    expected = ensemble(image)
    torch.testing.assert_close(torch.jit.script(ensemble)(image), expected)
    torch.testing.assert_close(torch.jit.trace(ensemble, image)(image), expected)


def test_no_network_is_no_ensemble() -> None:
    with pytest.raises(ValueError, match="at least one network"):
        EnsembleNetwork([])


def test_load_ensemble_gives_each_copy_its_weights(tmp_path: Path) -> None:
    definition = nn.Conv2d(3, 1, 1)
    before = definition.weight.clone()
    paths = []
    for fold in range(3):
        other = nn.Conv2d(3, 1, 1)
        paths.append(tmp_path / f"fold{fold}.pt")
        torch.save(other.state_dict(), paths[-1])
    ensemble = load_ensemble(definition, paths, device="cpu")
    assert not ensemble.training
    assert len(ensemble.networks) == 3
    for network, path in zip(ensemble.networks, paths, strict=True):
        assert torch.equal(network.weight, torch.load(path, weights_only=True)["weight"])
    assert torch.equal(definition.weight, before)


def test_load_ensemble_refuses_a_fold_with_other_settings(tmp_path: Path) -> None:
    definition = nn.Conv2d(3, 1, 1)
    save_weights(definition.state_dict(), tmp_path / "a.pt", {"view": "whole"})
    save_weights(definition.state_dict(), tmp_path / "b.pt", {"view": "windows"})
    assert len(load_ensemble(definition, [tmp_path / "a.pt"], expected={"view": "whole"}).networks) == 1
    with pytest.raises(ValueError, match=r"b\.pt.*view"):
        load_ensemble(definition, [tmp_path / "a.pt", tmp_path / "b.pt"], expected={"view": "whole"})


def test_load_ensemble_refuses_another_network(tmp_path: Path) -> None:
    torch.save(nn.Conv2d(3, 2, 1).state_dict(), tmp_path / "two.pt")
    with pytest.raises(ValueError, match=r"two\.pt"):
        load_ensemble(nn.Conv2d(3, 1, 1), [tmp_path / "two.pt"])


def test_load_ensemble_without_checkpoints() -> None:
    with pytest.raises(ValueError, match="at least one network"):
        load_ensemble(nn.Conv2d(3, 1, 1), [])
