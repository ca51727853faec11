# SPDX-License-Identifier: Apache-2.0
"""Weight files: atomic, described, and refused with one clear reason."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sa2_monai.io.atomic import remove_leftovers
from sa2_monai.networks import create_network
from sa2_monai.weights import (
    atomic_write,
    load_weights,
    plain,
    read_checkpoint,
    read_info,
    save_weights,
    sha256_of,
    unwrap,
    write_json,
)
from sa2_monai.weights import save as save_module
from tests.support.full_disk import full_disk

INFO = {"network": "sa2net", "in_channels": 3, "out_channels": 1, "base_channels": 8, "class_names": ["no", "nucleus"]}
SEEN = {"view": "whole", "roi_size": (224, 224), "intensity": "unit", "channel_order": "bgr"}


def small(in_channels: int = 3, out_channels: int = 1, base_channels: int = 8) -> nn.Module:
    return create_network(
        "sa2net", in_channels=in_channels, out_channels=out_channels, base_channels=base_channels, gate_kernel=3
    )


@pytest.fixture
def saved(tmp_path: Path) -> tuple[nn.Module, Path]:
    network = small()
    save_weights(network.state_dict(), tmp_path / "model.pt", {**INFO, **SEEN, "epoch": 3, "metric": np.float64(0.5)})
    return network, tmp_path / "model.pt"


def test_round_trip_with_sidecar(saved: tuple[nn.Module, Path]) -> None:
    network, path = saved
    other = small()
    info = load_weights(other, path, {**INFO, **SEEN, "epochs": 99, "view": None})
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), other.state_dict().values(), strict=True)
    )
    assert info == read_info(path) == json.loads(path.with_suffix(".json").read_text())
    assert info["sha256"] == sha256_of(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    assert info["bytes"] == path.stat().st_size
    assert info["tensors"] == len(network.state_dict())
    buffers = sum(b.numel() for b in network.buffers() if b.is_floating_point())
    assert info["parameters"] == sum(p.numel() for p in network.parameters()) + buffers
    assert (info["roi_size"], info["metric"], info["file"]) == ([224, 224], 0.5, "model.pt")
    assert sorted(os.listdir(path.parent)) == ["model.json", "model.pt"]


def test_file_is_flat_and_small(tmp_path: Path) -> None:
    large = torch.zeros(1_000_000)
    save_weights({"a": large[:4], "b": large[::250_000]}, tmp_path / "a.pt")
    assert (tmp_path / "a.pt").stat().st_size < 10_000
    assert torch.load(tmp_path / "a.pt", weights_only=True).keys() == {"a", "b"}


def test_wrappers_are_looked_through(saved: tuple[nn.Module, Path]) -> None:
    network, path = saved
    wrapped = nn.DataParallel(network)
    assert unwrap(wrapped) is network
    assert unwrap(torch.compile(network, backend="eager")) is network
    load_weights(wrapped, path)
    # a network whose only part is called "module" is no wrapper
    holder = nn.Module()
    holder.module = nn.Linear(1, 1)
    assert unwrap(holder) is holder


def test_weights_without_sidecar_are_loaded(saved: tuple[nn.Module, Path]) -> None:
    network, path = saved
    path.with_suffix(".json").unlink()
    assert load_weights(network, path, {"view": "windows"}) == {}


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("view", "windows", "view is 'whole', the configuration says 'windows'.*Set view='whole'"),
        ("roi_size", [256, 256], r"roi_size is \[224, 224\], the configuration says \[256, 256\]"),
        (
            "class_names",
            ["no", "gland"],
            r"class_names is \['no', 'nucleus'\], the configuration says \['no', 'gland'\]",
        ),
        ("intensity", "minmax", "intensity is 'unit', the configuration says 'minmax'"),
        ("channel_order", "rgb", "channel_order is 'bgr', the configuration says 'rgb'"),
        ("network", "svanet", "network is 'sa2net', the configuration says 'svanet'"),
        ("in_channels", 4, "in_channels is 3, the configuration says 4"),
        ("out_channels", 2, "out_channels is 1, the configuration says 2"),
        ("base_channels", 64, "base_channels is 8, the configuration says 64"),
        ("deep_level", "lka", "deep_level is 'dual', the configuration says 'lka'"),
        ("img_size", 224, "img_size is 512, the configuration says 224"),
        ("kind", "images", "kind is 'volumes', the configuration says 'images'"),
        ("resize", "bilinear", "resize is 'spline', the configuration says 'bilinear'"),
        # Of pixdim null is a value: pixels as they are.
        ("pixdim", None, "pixdim is 0.8, the configuration says None"),
    ],
)
def test_settings_that_contradict_the_sidecar(
    key: str, value: object, text: str, saved: tuple[nn.Module, Path]
) -> None:
    network, path = saved
    more = {"deep_level": "dual", "img_size": 512, "kind": "volumes", "resize": "spline", "pixdim": 0.8}
    save_weights(network.state_dict(), path, {**INFO, **SEEN, **more})
    with pytest.raises(ValueError, match=f"model.pt was trained with other settings: {text}"):
        load_weights(network, path, {**INFO, **SEEN, key: value})


def test_settings_that_are_not_stated_or_mean_the_same(saved: tuple[nn.Module, Path]) -> None:
    """Files of earlier versions have no kind; archives hold slices of volumes."""
    network, path = saved
    load_weights(network, path, {**INFO, **SEEN, "kind": "images", "resize": "spline"})
    save_weights(network.state_dict(), path, {**INFO, **SEEN, "kind": "preprocessed"})
    load_weights(network, path, {**INFO, **SEEN, "kind": "volumes"})
    with pytest.raises(ValueError, match="kind is 'preprocessed', the configuration says 'images'"):
        load_weights(network, path, {**INFO, **SEEN, "kind": "images"})


def test_all_contradictions_come_in_one_message(saved: tuple[nn.Module, Path]) -> None:
    network, path = saved
    with pytest.raises(ValueError, match=r"view is .*; channel_order is .*Set view='whole', channel_order='bgr'"):
        load_weights(network, path, {"view": "windows", "channel_order": "rgb"})


@pytest.mark.parametrize(
    ("other", "text"),
    [
        ({"out_channels": 2}, "head1.weight has 2 output channels, this network has 1: .*made with out_channels=2"),
        ({"in_channels": 4}, "stage1.conv.weight has 4 input channels, this network has 3: .*made with in_channels=4"),
        ({"base_channels": 16}, "16 output channels, this network has 8: .*made with base_channels=16"),
    ],
)
def test_other_channel_counts_are_told_from_the_tensors(other: dict[str, int], text: str, tmp_path: Path) -> None:
    save_weights(small(**other).state_dict(), tmp_path / "model.pt")
    network = small()
    before = {n: v.clone() for n, v in network.state_dict().items()}
    with pytest.raises(ValueError, match=text):
        load_weights(network, tmp_path / "model.pt")
    assert all(torch.equal(v, before[n]) for n, v in network.state_dict().items())


def test_other_options_are_told_by_an_example(tmp_path: Path) -> None:
    save_weights(small().state_dict(), tmp_path / "model.pt")
    network = create_network("sa2net", in_channels=3, out_channels=1, base_channels=8, gate_kernel=5)
    text = (
        r"4 tensors differ in shape, e\.g\. up4\.depthwise\.weight is \[64, 1, 3, 3\], this SA2Net has \[64, 1, 5, 5\]"
    )
    with pytest.raises(ValueError, match=text):
        load_weights(network, tmp_path / "model.pt")


def test_checkpoint_of_another_network(saved: tuple[nn.Module, Path], tmp_path: Path) -> None:
    network, path = saved
    with pytest.raises(ValueError, match=r"another network \(sa2net\), this one is Linear"):
        load_weights(nn.Linear(2, 2), path)
    save_weights(nn.Linear(2, 2).state_dict(), tmp_path / "linear.pt")
    with pytest.raises(
        ValueError, match=r"not a checkpoint of this SA2Net: 0 of .*and 278 more; unknown: weight, bias"
    ):
        load_weights(network, tmp_path / "linear.pt")
    save_weights({"inc.conv.weight": torch.zeros(8, 3, 3, 3), "inc.conv.bias": torch.zeros(8)}, tmp_path / "p.pt")
    with pytest.raises(ValueError, match=r"published sa2net checkpoint .*sa2-monai import-weights --network sa2net"):
        load_weights(network, tmp_path / "p.pt")


def test_values_that_are_not_finite(tmp_path: Path) -> None:
    network = small()
    state = {n: v.clone() for n, v in network.state_dict().items()}
    state["head1.bias"][0] = float("nan")
    save_weights(state, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"not finite in head1\.bias"):
        load_weights(network, tmp_path / "model.pt")


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.pt does not exist\. Train first"):
        load_weights(small(), tmp_path / "nothing.pt")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        load_weights(small(), tmp_path)


def test_altered_file_is_noticed(saved: tuple[nn.Module, Path]) -> None:
    network, path = saved
    torch.save(network.state_dict(), path)  # by somebody else, without the sidecar
    with pytest.raises(ValueError, match=r"not the file that model\.json beside it describes"):
        load_weights(network, path)


@pytest.mark.parametrize("content", ["no json", "[]", '{"epoch": 3}'])
def test_unreadable_sidecar(content: str, saved: tuple[nn.Module, Path]) -> None:
    network, path = saved
    path.with_suffix(".json").write_text(content)
    with pytest.raises(ValueError, match=r"model\.json does not describe weights"):
        load_weights(network, path)
    save_weights(network.state_dict(), path, INFO)  # saving hints it
    assert load_weights(network, path)["network"] == "sa2net"


def write_truncated(path: Path) -> None:
    torch.save({"a": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])


@pytest.mark.parametrize(
    "write",
    [
        lambda p: p.write_bytes(b""),
        lambda p: p.write_text("Not found"),
        lambda p: p.write_bytes(bytes(range(256)) * 40),
        lambda p: p.write_bytes(b"PK\x03\x04" + bytes(100)),
        write_truncated,
    ],
    ids=["empty", "text", "noise", "zip", "truncated"],
)
def test_damaged_files(write: object, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    assert callable(write)
    write(path)
    with pytest.raises(ValueError, match=r"model\.pt is not a PyTorch checkpoint or is damaged"):
        load_weights(small(), path)


def test_python_objects_are_refused_and_never_run(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"

    class Trap:
        def __reduce__(self) -> tuple:
            return (os.mkdir, (str(tmp_path / "trap"),))

    torch.save({"state_dict": {"a": torch.zeros(1)}, "extra": Trap()}, path)
    with pytest.raises(ValueError, match=r"holds Python objects \(\w+\.mkdir\).*refused"):
        read_checkpoint(path)
    torch.save(nn.Linear(1, 1), path)  # a whole module, as some publish
    with pytest.raises(ValueError, match=r"holds Python objects \(torch\.nn\.modules\.linear\.Linear\)"):
        read_checkpoint(path)
    path.write_bytes(pickle.dumps({"a": Fraction(1, 2)}))
    with pytest.raises(ValueError, match=r"model.pt"):
        read_checkpoint(path)
    assert not (tmp_path / "trap").exists()


def test_torchscript_is_named(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(nn.Linear(1, 1)), tmp_path / "model.ts")
    with pytest.raises(ValueError, match="exported TorchScript network"):
        read_checkpoint(tmp_path / "model.ts")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (torch.zeros(2), "holds a Tensor, not a state dict"),
        ({}, "holds an empty dict"),
        ({"model": {"a": torch.zeros(1)}, "epoch": 3}, r"besides tensors it holds model \(dict\), epoch \(int\)"),
        ({f"k{i}": i for i in range(10)}, "and 2 more"),
    ],
)
def test_other_content(content: object, text: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=text):
        read_checkpoint(tmp_path / "model.pt")


def test_resume_state_is_not_weights(tmp_path: Path) -> None:
    network = small()
    torch.save({"model": network.state_dict(), "optimizer": {}}, tmp_path / "last_state.pt")
    with pytest.raises(ValueError, match=r"for resuming.*Use model\.pt beside it"):
        load_weights(network, tmp_path / "last_state.pt")


def test_full_disk_keeps_the_old_file(saved: tuple[nn.Module, Path]) -> None:
    network, path = saved
    before, sidecar = path.read_bytes(), path.with_suffix(".json").read_text()
    with full_disk(), pytest.raises(OSError, match=r"cannot write .*model\.pt.*unchanged"):
        save_weights(network.state_dict(), path, INFO)
    assert path.read_bytes() == before
    assert path.with_suffix(".json").read_text() == sidecar
    assert sorted(os.listdir(path.parent)) == ["model.json", "model.pt"]


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write .*choose another folder"):
        save_weights({"a": torch.zeros(1)}, tmp_path / "file" / "model.pt")


def test_stop_between_weights_and_sidecar(saved: tuple[nn.Module, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    network, path = saved
    old, changed = path.read_bytes(), {n: v + 1 for n, v in network.state_dict().items()}

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    # killed after the sidecar, before the weights: the old weights with their old description
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", lambda a, b: stop() if str(b).endswith(".pt") else os.rename(a, b))
        with pytest.raises(KeyboardInterrupt):
            save_weights(changed, path, {**INFO, "epoch": 4})
    assert path.read_bytes() == old
    assert load_weights(small(), path)["epoch"] == 3

    # killed after the weights: the new ones with their new description
    calls = []
    with monkeypatch.context() as patch:
        patch.setattr(save_module, "write_json", lambda *a: stop() if calls else (calls.append(1), write_json(*a)))
        with pytest.raises(KeyboardInterrupt):
            save_weights(changed, path, {**INFO, "epoch": 4})
    assert path.read_bytes() != old
    assert load_weights(small(), path)["epoch"] == 4
    assert "replaces" not in read_info(path)


def test_weights_without_sidecar_survive_a_stop_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.pt"
    torch.save({"weight": torch.zeros(1, 1), "bias": torch.zeros(1)}, path)

    def stop(source: str, target: str) -> None:
        if str(target).endswith(".pt"):
            raise KeyboardInterrupt
        os.rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stop)
        with pytest.raises(KeyboardInterrupt):
            save_weights(nn.Linear(1, 1).state_dict(), path, INFO)
    assert load_weights(nn.Linear(1, 1), path).keys() == {"sha256"}


def test_what_cannot_be_saved(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"epoch is of type int; model.pt can hold tensors only"):
        save_weights({"epoch": 3}, tmp_path / "model.pt")  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="must not contain sha256"):
        save_weights({}, tmp_path / "model.pt", {"sha256": ""})
    with pytest.raises(ValueError, match="cannot be named like their sidecar"):
        save_weights({}, tmp_path / "model.json")
    with pytest.raises(TypeError, match=r"info\['a'\]\[0\] is a Fraction"):
        save_weights({}, tmp_path / "model.pt", {"a": [Fraction(1)]})
    assert os.listdir(tmp_path) == []


def test_leftovers_of_a_killed_process(tmp_path: Path) -> None:
    (tmp_path / ".model.pt.123.tmp").write_text("half")
    (tmp_path / ".other.pt.123.tmp").write_text("half")
    remove_leftovers(tmp_path / "model.pt")
    assert os.listdir(tmp_path) == [".other.pt.123.tmp"]


def test_error_of_the_writer_is_passed_on(tmp_path: Path) -> None:
    def write(_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        atomic_write(tmp_path / "a", write)
    assert os.listdir(tmp_path) == []


def test_plain_values() -> None:
    value = {"a": np.float32(0.5), 1: (np.arange(2), Path("b")), "d": torch.device("cpu"), "t": torch.float32}
    assert plain(value) == {"a": 0.5, 1: ([0, 1], "b"), "d": "cpu", "t": "torch.float32"}
    assert type(plain(np.float64(1))) is float
    with pytest.raises(TypeError, match="keys must be strings"):
        plain({(1, 2): 3})
