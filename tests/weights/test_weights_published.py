# SPDX-License-Identifier: Apache-2.0
"""Published checkpoints: names, dead tensors, refusals. Names and shapes are those of the golden files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from sa2_monai.networks import create_network
from sa2_monai.weights import convert_published, describe_published, read_checkpoint, skipped_names
from sa2_monai.weights.compare import CONVERTERS
from sa2_monai.weights.published.sa2net import published_to_ours
from sa2_monai.weights.read import tensors_in
from tests.goldens import fill
from tests.networks.base_tester import golden
from tests.support.published_states import GOLDENS, names_and_shapes, tensor_list

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


# ---------------------------------------------------------------------- all networks

each_golden = pytest.mark.parametrize("name", GOLDENS)


@each_golden
def test_every_live_tensor_is_converted_and_every_dead_one_skipped(name: str) -> None:
    network_name, arguments = GOLDENS[name]
    state = names_and_shapes(name)
    assert describe_published(network_name, state) == arguments
    converted = convert_published(network_name, state)
    with torch.device("meta"):
        network = create_network(network_name, **arguments)
    network.load_state_dict(converted, strict=True, assign=True)
    assert list(converted) == list(network.state_dict())
    dead = [n for n, _, use in tensor_list(name) if use == "dead"]
    assert skipped_names(network_name, state) == dead
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    assert sum(state[n].numel() for n in dead if not n.endswith(statistics)) == golden(name)[0]["parameters"]["dead"]
    live = golden(name)[0]["parameters"].get("live", golden(name)[0]["parameters"]["total"])
    assert sum(p.numel() for p in network.parameters()) == live


@each_golden
def test_our_own_tensors_tell_the_same(name: str) -> None:
    network_name, arguments = GOLDENS[name]
    ours = convert_published(network_name, names_and_shapes(name))
    for other, converter in CONVERTERS.items():
        assert converter.describe(ours) == (arguments if other == network_name else {})
        assert converter.describe_published(ours) == {}
    for other in CONVERTERS:
        with pytest.raises(ValueError, match=rf"our own {network_name}, .*needs no conversion"):
            convert_published(other, ours)


@each_golden
@pytest.mark.parametrize("container", [False, True])
def test_prefix_and_container(name: str, container: bool) -> None:
    network_name, _ = GOLDENS[name]
    state = names_and_shapes(name)
    wrapped: dict = {f"module.{n}": v for n, v in state.items()}
    read = tensors_in({"epoch": 399, "state_dict": wrapped} if container else wrapped, "published.pth")
    assert list(read) == list(state)
    assert convert_published(network_name, read).keys() == convert_published(network_name, state).keys()


@each_golden
def test_each_fault_is_named(name: str) -> None:
    """One tensor missing, one unknown, one of a wrong shape: alone, and all in one message."""
    network_name, _ = GOLDENS[name]
    state = names_and_shapes(name)
    live = [n for n, s, use in tensor_list(name) if use == "live" and len(s) > 1]
    absent, crooked = live[len(live) // 3], live[len(live) // 2]
    shape = [*state[crooked].shape[:-1], state[crooked].shape[-1] + 1]
    faults = {
        f"missing: {absent}": {absent: None},
        "unknown: decoder.extra.weight": {"decoder.extra.weight": torch.empty(1, device="meta")},
        f"wrong shape: {crooked} {shape}, expected ": {crooked: torch.empty(shape, device="meta")},
    }
    faults = {**faults, "\n".join(faults): {k: v for change in faults.values() for k, v in change.items()}}
    for words, change in faults.items():
        with pytest.raises(ValueError, match=f"not a published {network_name} checkpoint with in_channels=3") as caught:
            convert_published(network_name, {n: v for n, v in {**state, **change}.items() if v is not None})
        for line in words.split("\n"):
            assert line in str(caught.value)
        assert sum(str(caught.value).count(kind) for kind in ("missing", "unknown", "wrong")) == 1 + words.count("\n")


@each_golden
def test_dead_tensors_do_not_matter(name: str) -> None:
    """They may be absent, or of any shape: nobody reads them."""
    network_name, _ = GOLDENS[name]
    live = names_and_shapes(name, live_only=True)
    dead = {n: torch.empty(7, device="meta") for n, _, use in tensor_list(name) if use == "dead"}
    assert len(convert_published(network_name, live)) == len(convert_published(network_name, {**live, **dead}))
    for n in list(dead)[::60]:  # but their names must be exactly those
        with pytest.raises(ValueError, match=f"unknown: {n}_old\n"):
            convert_published(network_name, {**live, f"{n}_old": dead[n]})


@each_golden
def test_a_checkpoint_of_another_network_is_named(name: str) -> None:
    network_name, _ = GOLDENS[name]
    state = names_and_shapes(name)
    for other in CONVERTERS:
        if other == network_name:
            continue
        with pytest.raises(
            ValueError, match=f"published {network_name} checkpoint, not one of {other}: import it"
        ) as e:
            convert_published(other, state)
        hint = (network_name, other) == ("daeformer", "hsaunet")
        assert ("link of HSA-UNet's authors is known to lead to the file of DAE-Former" in str(e.value)) == hint


@pytest.mark.parametrize("name", ["msa2net", "svanet"])
def test_imagenet_weights_are_no_checkpoint(name: str) -> None:
    with torch.device("meta"):
        encoder = create_network(name, in_channels=3, out_channels=1).get_submodule("encoder").state_dict()
    for other in CONVERTERS:
        with pytest.raises(
            ValueError, match=f"ImageNet weights for the encoder of {name}, not a checkpoint of {other}"
        ):
            convert_published(other, encoder)


def test_hsaunet_from_before_the_direction_prior() -> None:
    state = {
        n: v
        for n, v in names_and_shapes("hsaunet").items()
        if not n.startswith(("backbone.channel_mapping.", "backbone.direc_reencode."))
    }
    assert len(state) == 548 - 9
    assert (
        convert_published("hsaunet", state).keys() == convert_published("hsaunet", names_and_shapes("hsaunet")).keys()
    )
    assert len(skipped_names("hsaunet", state)) == 109 - 9


@pytest.mark.parametrize("name", ["daeformer", "hsaunet", "msa2net", "msa2net_released"])
def test_networks_that_repeat_grey_images(name: str) -> None:
    network_name, arguments = GOLDENS[name]
    converted = convert_published(network_name, names_and_shapes(name), in_channels=1)
    with torch.device("meta"):
        create_network(network_name, **{**arguments, "in_channels": 1}).load_state_dict(converted, assign=True)
    with pytest.raises(ValueError, match="in_channels=4, the tensors say 3"):
        convert_published(network_name, names_and_shapes(name), in_channels=4)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("svanet", {"in_channels": 1}, "asked for: in_channels=1, the tensors say 3"),
        ("msa2net", {"deep_level": "lka"}, "asked for: deep_level=lka, the tensors say dual"),
        ("msa2net_released", {"deep_level": "dual"}, "asked for: deep_level=dual, the tensors say lka"),
        ("daeformer", {"depths": (2, 3, 2)}, r"with depths=\(2, 3, 2\), daeformer has .*that no .*stage2\.blocks\.2"),
        ("hsaunet", {"decoder_depths": (2, 3)}, r"hsaunet has tensors .*decoder2\.blocks\.2.*and \d+ more\. Convert"),
        ("svanet", {"former_depth": 3}, "svanet has tensors that no published checkpoint has"),
        ("svanet", {"aspp_rates": (6, 12, 18, 24)}, r"no published checkpoint has: aspp\.dilated\.3"),
        ("sa2net", {"local_expansion": 3}, "wrong shape: bottleneck.gcn1.project_in.weight"),
        ("daeformer", {"depths": (1, 2, 2)}, "with in_channels=3.*depths=.*\n  unknown: backbone.block1.1.norm1"),
        ("hsaunet", {"sr_ratios": (4, 4, 2)}, r"sr\.weight \[128, 128, 8, 8\], expected \[128, 128, 4, 4\]"),
        ("daeformer", {"embed_dims": (128, 320, 256)}, r"values\.weight \[512, 512, 1, 1\], expected \[768, 256\] tog"),
        ("msa2net", {"encoder_depths": (2, 2, 6, 2)}, r"missing: backbone\.backbone\.stages\.2\.blocks\.5"),
    ],
)  # fmt: skip
def test_options_that_do_not_fit(name: str, options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=f"(?s){words}"):
        convert_published(GOLDENS[name][0], names_and_shapes(name), **options)


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("daeformer", "backbone.patch_embed1.proj.weight"),
        ("daeformer", "backbone.block2.1.attn.keys.weight"),
        ("hsaunet", "decoder_0.last_layer.weight"),
        ("hsaunet", "backbone.block1.0.hybrid_scaled_attention.kv2.weight"),
        ("msa2net", "decoder_0.last_layer.weight"),
        ("msa2net", "backbone.backbone.stem.conv1.weight"),
        ("msa2net_released", "decoder_2.layer_lka_1.layer_scale_2"),
        ("svanet", "Encoder.Conv1.Conv.weight"),
        ("svanet", "SegHead.Classifier.Classifier.Conv.weight"),
    ],
)
def test_a_missing_tensor_that_tells_something_is_named(name: str, tensor: str) -> None:
    state = {n: v for n, v in names_and_shapes(name).items() if n != tensor}
    with pytest.raises(ValueError, match=f"missing: {tensor}\n") as caught:
        convert_published(GOLDENS[name][0], state)
    assert "unknown" not in str(caught.value)
    flat = {**state, tensor: torch.empty(3, device="meta")}
    with pytest.raises(ValueError, match=rf"wrong shape: .*{tensor} \[3\]"):
        convert_published(GOLDENS[name][0], flat)


def test_other_things_are_refused(published: State) -> None:
    with pytest.raises(ValueError, match=r"no converter for network 'unet'; known: .*sa2net"):
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
