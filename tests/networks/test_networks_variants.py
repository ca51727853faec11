# SPDX-License-Identifier: Apache-2.0
"""Variants: what they are said to do without is not there, everything else is."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest
import torch

from sa2_monai.networks import create_network
from sa2_monai.networks.catalogue import CATALOGUE, network_record
from sa2_monai.networks.scale_aware.attention import ScaleAwareAttention
from sa2_monai.networks.scale_aware.plain import GlobalScaleAttention, LocalScalesAlone, PlainSkips
from sa2_monai.networks.stages import stages_of
from sa2_monai.networks.variants import named, parse_network
from tests.support.narrow import WIDTH

VARIANTS = [(network, variant) for network, record in CATALOGUE.items() for variant in record.variants]
each_variant = pytest.mark.parametrize(("name", "variant"), VARIANTS, ids=[named(*one) for one in VARIANTS])

#: Parts of the published network whose tensors a variant is without; the same tensors where there are none.
LEFT_OUT = {
    "sa2net:plain_skips": ("attention.local", "attention.fusion", "attention.query", "attention.mlp"),
    "sa2net:no_global_scale": ("attention.fusion", "attention.query"),
    "sa2net:no_local_scale": ("attention.local",),
    "sa2net:standard_convolutions": tuple(
        f"up{level}.{part}"
        for level in range(1, 5)
        for part in ("norm", "conv.", "depthwise", "skip", "gate", "project")
    ),
    "sa2net:no_deep_supervision": ("head2", "head3", "head4"),
    "daeformer:plain_skips": ("decoder2.fusion", "decoder1.fusion"),
    "hsaunet:plain_skips": ("decoder2.fusion", "decoder1.fusion"),
    "msa2net:plain_skips": ("level2.gate", "level1.gate", "level0.gate"),
    "msa2net:large_kernel_only": ("level2.blocks",),
    "msa2net:true_layout": (),
    "svanet:plain_skips": ("branches", "guidance"),
    "svanet:no_branches": ("branches",),
    "svanet:no_bottleneck_gate": tuple(f"branches.{i}.0.gate" for i in range(4)),
    "svanet:squeeze_excitation": (),
    "svanet:no_guidance": ("guidance",),
    "svanet:no_scale_attention": tuple(f"guidance.paths.{i}.attention" for i in range(6)),
    "svanet:no_branch_formers": tuple(f"branches.{i}.1" for i in range(4)),
    "svanet:no_decoder_formers": tuple(f"decoder.{i}.former" for i in range(4)),
    "svanet:added_skips": tuple(f"decoder.{i}.join" for i in range(4)),
    "svanet:no_decoder": ("decoder",),
}
#: Those with other parts in the place of what is left out.
OTHERWISE = {
    *(f"{network}:{kind}_only" for network, kind in (("daeformer", "efficient"), ("daeformer", "channel"))),
    *(f"{network}:{kind}_only" for network, kind in (("hsaunet", "hybrid"), ("hsaunet", "channel"))),
    *("msa2net:efficient_only", "msa2net:channel_only", "svanet:source_gate"),
}
#: Between them, the variants with modules of their own.
OF_THEIR_OWN = [
    *("sa2net:plain_skips", "sa2net:no_global_scale", "sa2net:standard_convolutions", "sa2net:no_deep_supervision"),
    *("daeformer:channel_only", "daeformer:plain_skips", "msa2net:plain_skips", "svanet:no_bottleneck_gate"),
    *("svanet:plain_skips", "svanet:no_scale_attention", "svanet:source_gate", "svanet:added_skips"),
    "svanet:no_decoder",
]
#: Rectangles of half a kilobyte; two values per channel at the deepest level.
SIZES = {"daeformer": (32, 48), "hsaunet": (32, 64), "msa2net": (64, 96), "sa2net": (32, 48), "svanet": (64, 32)}


@functools.cache
def published(name: str) -> torch.nn.Module:
    return create_network(name, in_channels=3, out_channels=2, **WIDTH[name]).eval()


def build(name: str, variant: str | None) -> torch.nn.Module:
    torch.manual_seed(0)
    return create_network(name, in_channels=3, out_channels=2, **WIDTH[name], variant=variant)


def images(name: str) -> torch.Tensor:
    return torch.rand(2, 3, *SIZES[name], generator=torch.Generator().manual_seed(1))


def test_every_variant_is_tested() -> None:
    assert {named(*one) for one in VARIANTS} == {*LEFT_OUT} | OTHERWISE


@each_variant
def test_shapes_and_gradients(name: str, variant: str) -> None:
    network, x = build(name, variant), images(name)
    outputs = network.train()(x)
    several = name == "sa2net" and variant != "no_deep_supervision"
    assert isinstance(outputs, list) == several
    outputs = outputs if several else [outputs]
    assert all(y.shape == (2, 2, *SIZES[name]) for y in outputs)
    sum((y * torch.rand_like(y)).sum() for y in outputs).backward()
    without = [key for key, p in network.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert without == []
    with torch.no_grad():
        assert network.eval()(x).shape == (2, 2, *SIZES[name])
    assert [key for stage in stages_of(network) for key in stage]


@each_variant
def test_what_is_left_out(name: str, variant: str) -> None:
    ours, whole = build(name, variant).state_dict(), published(name).state_dict()
    gone = LEFT_OUT.get(named(name, variant))
    if gone is None:  # the halves of blocks have names of their own
        assert {*ours} != {*whole}
        assert sum(value.numel() for value in ours.values()) < sum(value.numel() for value in whole.values())
        return
    kept = {key for key in whole if not key.startswith(gone)} if gone else {*whole}
    assert kept <= {*ours}
    assert all(ours[key].shape == whole[key].shape for key in kept if not key.endswith("convs.0.conv.weight"))
    if variant != "large_kernel_only":  # whose blocks are others
        assert {*ours} == kept


@pytest.mark.parametrize("variant", ["true_layout", "squeeze_excitation"])
def test_the_same_tensors_calculate_something_else(variant: str) -> None:
    name = next(network for network, one in VARIANTS if one == variant)
    network, x = build(name, variant), images(name)
    whole = build(name, None)
    whole.load_state_dict(network.state_dict())
    with torch.no_grad():
        torch.manual_seed(2)
        found = network.train()(x)
        torch.manual_seed(2)
        assert not torch.allclose(found, whole.train()(x), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "mixes"),
    [(ScaleAwareAttention, True), (GlobalScaleAttention, True), (LocalScalesAlone, False), (PlainSkips, False)],
)
def test_which_skips_of_sa2net_compare_the_levels(kind: type[torch.nn.Module], mixes: bool) -> None:
    levels = [torch.rand(2, 4, 32 // 2**k, 32 // 2**k, requires_grad=True) for k in range(4)]
    finest = kind(4, 2, 4, 1e-6)(*levels)[0]
    gradients = torch.autograd.grad(finest.sum(), levels, allow_unused=True)
    assert gradients[0] is not None
    assert [gradient is not None for gradient in gradients[1:]] == [mixes] * 3


def test_a_squeeze_excitation_evaluates_as_the_published_network() -> None:
    network, whole, x = build("svanet", "squeeze_excitation"), build("svanet", None), images("svanet")
    whole.load_state_dict(network.state_dict())
    with torch.no_grad():
        assert torch.equal(network.eval()(x), whole.eval()(x))


@pytest.mark.parametrize("text", OF_THEIR_OWN)
def test_script(text: str, untraced: None) -> None:
    name, variant = parse_network(text)
    network, x = build(name, variant).eval(), images(name)
    with torch.no_grad(), torch.jit.optimized_execution(False):
        torch.testing.assert_close(torch.jit.script(network)(x), network(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", CATALOGUE)
def test_without_a_variant_it_is_the_published_network(name: str) -> None:
    whole, same = build(name, None), create_network(name, in_channels=3, out_channels=2, **WIDTH[name])
    assert [(k, v.shape) for k, v in whole.state_dict().items()] == [(k, v.shape) for k, v in same.state_dict().items()]


@pytest.mark.parametrize(
    ("text", "found"),
    [("sa2net", ("sa2net", None)), ("sa2net:plain_skips", ("sa2net", "plain_skips")), ("unet", ("unet", None))],
)
def test_names(text: str, found: tuple[str, str | None]) -> None:
    assert parse_network(text) == found
    assert named(*found) == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("vnet", r"unknown network 'vnet'; known: daeformer, .*, unet, segresnet, dynunet\."),
        ("sa2net:plain", r"sa2net has no variant 'plain'; it has plain_skips, no_global_scale, "),
        ("sa2net:", r"sa2net has no variant ''"),
        ("unet:plain_skips", r"unet has no variant 'plain_skips'; it has none\."),
    ],
)
def test_names_that_are_none(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_network(text)


def test_of_deep_level_lka_there_are_no_variants() -> None:
    with pytest.raises(ValueError, match=r"variant 'plain_skips' is of deep_level 'dual', got deep_level 'lka'"):
        create_network("msa2net", in_channels=3, out_channels=2, deep_level="lka", variant="plain_skips")


@each_variant
def test_records(name: str, variant: str, repository: Path) -> None:
    record = network_record(name).variants[variant]
    assert record.name == variant
    assert record.source
    row = f"| `{named(name, variant)}` | {record.meaning} |\n"
    assert row in (repository / "docs" / "networks.md").read_text(encoding="utf-8")
