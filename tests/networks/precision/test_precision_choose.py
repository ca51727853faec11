# SPDX-License-Identifier: Apache-2.0
"""Which precision is meant on which device, and what is refused; the answers of the devices are made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sa2_monai.networks import choose_precision
from sa2_monai.networks.precision import choose, units

UNITS, NONE = ["avx512_bf16"], []  # type: ignore[var-annotated]


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A machine with these units in its processor and a GPU of this compute capability."""

    def pretend(found: list[str], capability: tuple[int, int] = (8, 0)) -> None:
        monkeypatch.delenv(choose.ANYWAY, raising=False)
        monkeypatch.setattr(choose, "bf16_units", lambda: found)
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "GPU X")
        choose._tell.cache_clear()

    return pretend


CHOSEN = [
    ("fp32", "cpu", False, UNITS, (8, 0), "fp32", ""),
    ("fp32", "cuda:1", True, NONE, (7, 5), "fp32", ""),
    ("bf16", "cpu", False, UNITS, (8, 0), "bf16", ""),
    ("bf16", "cpu", True, UNITS, (8, 0), "bf16", ""),
    ("bf16", "cuda", False, NONE, (9, 0), "bf16", ""),
    ("fp16", "cuda", True, NONE, (7, 0), "fp16", ""),
    ("auto", "cpu", False, UNITS, (8, 0), "bf16", "precision: bf16 (auto: this processor has avx512_bf16)"),
    ("auto", "cpu", False, NONE, (8, 0), "fp32", "precision: fp32 (auto: no bfloat16 units were found in this proc"),
    ("auto", "cpu", True, UNITS, (8, 0), "fp32", "precision: fp32 (auto: a training on a CPU)"),
    ("auto", "cuda:0", False, NONE, (8, 6), "bf16", "precision: bf16 (auto: GPU X has bfloat16 units)"),
    ("auto", "cuda:0", False, UNITS, (7, 5), "fp32", "(compute capability 7.5, looked for 8.0)"),
    ("auto", "cuda:0", True, NONE, (8, 6), "fp16", "(auto: a training on a GPU, with a gradient scaler)"),
    ("auto", "mps", False, UNITS, (8, 0), "fp32", "of the device mps it is not known"),
]


@pytest.mark.parametrize(("wanted", "device", "training", "found", "capability", "expected", "told"), CHOSEN)
def test_what_is_chosen(
    wanted: str,
    device: str,
    training: bool,
    found: list[str],
    capability: tuple[int, int],
    expected: str,
    told: str,
    machine: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    machine(found, capability)
    assert choose_precision(wanted, device, training) == expected
    assert choose_precision(wanted, torch.device(device), training) == expected
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == (1 if told else 0), "told once"
    assert told in "".join(lines)


REFUSED = [
    ("bf16", "cpu", NONE, (8, 0), r"no bfloat16 units were found in this processor \(looked for avx512_bf16, amx_bf16"),
    ("bf16", "cuda", UNITS, (7, 5), r"GPU X has no bfloat16 units \(compute capability 7.5"),
    ("bf16", "mps", UNITS, (8, 0), "of the device mps it is not known"),
    ("fp16", "cpu", UNITS, (8, 0), "precision is 'fp16', but the device is a CPU"),
    ("half", "cpu", UNITS, (8, 0), "precision is 'half', expected one of fp32, bf16, fp16, auto"),
]


@pytest.mark.parametrize(("wanted", "device", "found", "capability", "message"), REFUSED)
def test_what_is_refused(
    wanted: str,
    device: str,
    found: list[str],
    capability: tuple[int, int],
    message: str,
    machine: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine(found, capability)
    with pytest.raises(ValueError, match=message) as refused:
        choose_precision(wanted, device)
    assert "\n" not in str(refused.value)
    if wanted == "bf16":
        monkeypatch.setenv(choose.ANYWAY, "1")
        assert choose_precision(wanted, device) == "bf16"


PROCESSORS = [
    # what torch says (None: it has no such function), flags of Linux (None: no such file), oneDNN, units
    ({"avx512_bf16": True, "amx_bf16": False}, None, True, ["avx512_bf16"]),
    ({"avx512_bf16": True, "amx_bf16": True}, "flags\t: fpu", True, ["amx_bf16", "avx512_bf16"]),
    ({"avx512_bf16": False}, None, True, []),
    ({"bf16": True}, None, True, ["bf16"]),
    ({}, "processor\t: 0\nFeatures\t: fp asimd bf16 i8mm", True, ["bf16"]),
    (None, "processor : 0\nflags : avx512f avx512_bf16 amx_bf16\nflags : fpu", True, ["amx_bf16", "avx512_bf16"]),
    (None, "flags : avx512f avx512bw avx512vl avx512dq", True, []),  # where oneDNN emulates it
    (None, None, True, []),
    ({"bf16": True}, None, False, []),  # the PyTorch of macOS
]


@pytest.mark.parametrize(("capabilities", "cpuinfo", "onednn", "expected"), PROCESSORS)
def test_units_of_a_processor(
    capabilities: dict[str, bool] | None,
    cpuinfo: str | None,
    onednn: bool,
    expected: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", None if capabilities is None else lambda: capabilities, raising=False
    )
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", None, raising=False)
    monkeypatch.setattr(units, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: onednn)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    if cpuinfo is not None:
        (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert units.bf16_units() == expected


def test_this_processor_is_asked_without_an_error() -> None:
    assert set(units.bf16_units()) <= set(units.LOOKED_FOR)
