# SPDX-License-Identifier: Apache-2.0
"""Preparing a network: what runtimes give, the comparison with the network, and what is refused."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import nn

from sa2_monai.inference.agreement import Limits, compare_logits
from sa2_monai.inference.runtimes import RUNTIMES, RuntimeRefusedError, check_runtime, prepare
from sa2_monai.inference.runtimes.contract import Built, Job, Runtime
from tests.inference.told_runtime import Told

SHAPE = (2, 3, 32, 32)
# Runtime, precision, largest difference of logits from fp32.
CASES = [
    ("eager", "fp32", 0.0),
    ("onnxruntime", "fp32", 1e-5),
    ("onnxruntime", "auto", 1e-5),
    ("openvino", "fp32", 1e-5),
    ("openvino", "auto", 0.1),
    ("compile", "fp32", 1e-5),
]


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("graphs")


def available(runtime: str) -> None:
    missing = [name for name in (RUNTIMES[runtime] or Runtime((), None, None)).packages if find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    if runtime == "compile" and shutil.which("g++") is None:
        pytest.skip("there is no g++")


@pytest.mark.parametrize(("runtime", "precision", "difference"), CASES)
def test_every_runtime(
    runtime: str,
    precision: str,
    difference: float,
    network: nn.Module,
    capsys: pytest.CaptureFixture[str],
    graphs: Path,
    monkeypatch: pytest.MonkeyPatch,
    untraced: None,
) -> None:
    """Any number of images, of which the last are fewer than a batch."""
    available(runtime)
    monkeypatch.setenv("SA2_MONAI_CACHE", str(graphs))  # one graph for all
    run = prepare(network, runtime, precision, example_shape=SHAPE)
    images = torch.rand(3, *SHAPE[1:], generator=torch.Generator().manual_seed(1))
    found = run(images)
    assert found.dtype == torch.float32
    assert (found - network(images)).abs().max() <= difference
    line = capsys.readouterr().out
    assert line.startswith(f"runtime {runtime} ({precision}): ready for 3 x 32 x 32 after ") or runtime == "eager"
    torch.testing.assert_close(run(images[:1]), found[:1])


def test_what_differs_is_refused(network: nn.Module, told: Told) -> None:
    """Classes that change on 0.2 % of the pixels are too many in fp32; logits that are off are refused as well."""

    def two_rows(logits: torch.Tensor) -> torch.Tensor:
        out = logits.clone()
        out[:, :, :2] = out[:, [1, 2, 3, 0], :2]
        return out

    told.change = two_rows
    message = r"on test images 9\d\.\d\d% of the pixels have the same class \(at least 99\.9%\), the lowest Dice"
    with pytest.raises(RuntimeRefusedError, match=message):
        prepare(network, "openvino", example_shape=SHAPE)
    told.change = lambda logits: logits * 1.05  # no class changes
    with pytest.raises(
        RuntimeRefusedError, match=r"100\.00% of the pixels .* logits differ by 0\.05\d of their spread"
    ):
        prepare(network, "openvino", example_shape=SHAPE)
    assert prepare(network, "openvino", "bf16", example_shape=SHAPE)(torch.rand(1, 3, 32, 32)).shape == (1, 4, 32, 32)
    told.change = lambda logits: logits * float("nan")
    with pytest.raises(RuntimeRefusedError, match="nan of their spread"):
        prepare(network, "openvino", "auto", example_shape=SHAPE)


def test_a_cached_artefact_that_is_wrong_is_made_again(
    network: nn.Module, told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    told.cached, told.change = True, lambda logits: logits if told.jobs[-1].renew else -logits
    prepare(network, "openvino", example_shape=SHAPE)
    assert [job.renew for job in told.jobs] == [False, True]
    assert "from the cache" not in capsys.readouterr().out


def test_images_of_the_comparison_are_those_of_the_network(network: nn.Module, told: Told) -> None:
    """What the bundle subtracts and divides by; one image at a time on a CPU, whatever the batch."""
    prepare(network, "openvino", example_shape=(8, 3, 32, 32), normalize=(0.5, 0.25))
    assert told.jobs[0].example.shape == (1, 3, 32, 32)
    assert -2 <= told.jobs[0].example.min() < -1
    assert set(told.called) == {1}


def _fail(job: Job) -> Built:
    raise KeyError("no such operator\nin line 3")


def test_a_lack_of_memory_is_no_refusal(network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    """A smaller batch may do; the caller knows how to halve it."""

    def fail(job: Job) -> Built:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setitem(RUNTIMES, "openvino", Runtime((), lambda device, precision: None, fail))
    with pytest.raises(torch.OutOfMemoryError):
        prepare(network, "openvino", example_shape=SHAPE)


def _refuse_bf16(device: torch.device, precision: str) -> None:
    if precision == "bf16":
        raise RuntimeRefusedError("no bf16")


REFUSED = [
    (
        "paddle",
        "fp32",
        ValueError,
        "must be one of eager, compile, openvino, onnxruntime, tensorrt, got 'paddle'",
    ),
    ("onnxruntime", "bf16", RuntimeRefusedError, "calculates in fp32 on CPUs, and precision is bf16: use --precision"),
    ("openvino", "bf16", RuntimeRefusedError, "^no bf16$"),
    ("openvino", "fp32", RuntimeRefusedError, r"cannot take this network \(KeyError: 'no such operator.*use --runtime"),
    ("tensorrt", "fp32", RuntimeRefusedError, "needs a CUDA device, and the device is cpu"),
]


@pytest.mark.parametrize(("runtime", "precision", "error", "message"), REFUSED)
def test_refused_in_one_line(
    runtime: str,
    precision: str,
    error: type[Exception],
    message: str,
    network: nn.Module,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(RUNTIMES, "openvino", Runtime((), _refuse_bf16, _fail))
    if runtime in RUNTIMES and RUNTIMES[runtime] is not None:
        monkeypatch.setitem(RUNTIMES, runtime, RUNTIMES[runtime]._replace(packages=()))
    with pytest.raises(error, match=message) as refused:
        prepare(network, runtime, precision, example_shape=SHAPE)
    assert "\n" not in str(refused.value)


def test_refused_before_there_is_a_network(network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="dropout_samples is 3, which only runtime eager has, and runtime is compile"):
        check_runtime("compile", dropout_samples=3)
    check_runtime("eager", dropout_samples=3)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for runtime, extra in (("openvino", "openvino"), ("onnxruntime", "onnx"), ("tensorrt", "tensorrt")):
        with pytest.raises(ImportError, match=rf"runtime {runtime} needs .*: pip install 'sa2_monai\[{extra}\]'"):
            check_runtime(runtime)
    with pytest.raises(ValueError, match="networks in evaluation mode"):
        prepare(network.train(), "compile", example_shape=SHAPE)


def test_a_cpu_without_a_compiler(network: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(RuntimeRefusedError, match="needs a C\\+\\+ compiler on CPUs, and there is no no-such-compiler"):
        prepare(network, "compile", example_shape=SHAPE)


def test_images_that_the_network_cannot_take(network: nn.Module, told: Told) -> None:
    """The network says so itself, before anything is built."""
    with pytest.raises(RuntimeError, match=r"expected input.* to have 3 channels, but got 1"):
        prepare(network, "openvino", example_shape=(1, 1, 32, 32))
    assert told.jobs == []


def test_agreement() -> None:
    """By hand: four pixels, one of the two of class 1 is lost; a class of less than a hundredth does not count."""
    expected = torch.tensor([-1.0, -1.0, 1.0, 1.0]).reshape(1, 1, 2, 2)
    found = torch.tensor([-1.0, -1.0, -1.0, 1.0]).reshape(1, 1, 2, 2)
    agreement = compare_logits(expected, found)
    assert agreement.equal == 0.75
    assert agreement.dice == pytest.approx(2 / 3)
    assert agreement.error == pytest.approx(1 / expected.std().item())
    assert agreement.reaches(Limits(0.75, 0.6, 1))
    assert not agreement.reaches(Limits(0.76, 0.6, 1))
    assert not agreement.reaches(Limits(0.75, 0.7, 1))
    assert not agreement.reaches(Limits(0.75, 0.6, 0.5))
    rare = torch.full((1, 1, 20, 20), -1.0)
    rare[..., 0, 0] = 1
    assert compare_logits(rare, torch.full_like(rare, -1.0)).dice > 0.99
    with pytest.raises(ValueError, match=r"has the shape \[1, 1, 2, 1\], expected \[1, 1, 2, 2\]"):
        compare_logits(expected, found[..., :1])
