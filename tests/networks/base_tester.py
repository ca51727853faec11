# SPDX-License-Identifier: Apache-2.0
"""The tests that every network of the package has to pass.

A network's test module subclasses :class:`BaseNetworkTester`, that of a baseline :class:`NetworkTester`, fills in the
tables and adds what is particular to it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import numpy as np
import pytest
import torch

from sa2_monai.networks import create_network
from sa2_monai.networks.accelerate import accelerate
from sa2_monai.weights import convert_published
from tests.device.gpu import enliven, error_of_spread
from tests.goldens import fill

GOLDENS = Path(__file__).resolve().parents[1] / "goldens"


@cache
def golden(name: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Description and arrays of a golden file."""
    with np.load(GOLDENS / f"{name}.npz") as arrays:
        return json.loads((GOLDENS / f"{name}.json").read_text()), dict(arrays)


def published_state(name: str, live_only: bool = False) -> dict[str, torch.Tensor]:
    """The published checkpoint that belongs to a golden file, float64."""
    tensors = golden(name)[0]["tensors"]
    return {n: torch.from_numpy(fill.tensor(n, tuple(s))) for n, s, use in tensors if use == "live" or not live_only}


def assert_same_with_gradients(
    network: torch.nn.Module, found: Any, expected: Any, rtol: float = 1e-7, atol: float = 1e-9
) -> None:
    """Two ways of calculation on the parameters of ``network`` give the same outputs and the same gradients of all."""
    pairs = [(found, expected)] if isinstance(found, torch.Tensor) else list(zip(found, expected, strict=True))
    weights = torch.Generator().manual_seed(6)
    ours = theirs = torch.zeros(())
    for a, b in pairs:
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)
        weight = torch.rand(a.shape, dtype=a.dtype, generator=weights)
        ours, theirs = ours + (a * weight).sum(), theirs + (b * weight).sum()
    named = dict(network.named_parameters())
    parameters = list(named.values())
    # A parameter that one of them does without has the gradient 0: the heads of deep supervision in evaluation.
    gradients = (torch.autograd.grad(total, parameters, materialize_grads=True) for total in (ours, theirs))
    for name, a, b in zip(named, *gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=rtol, atol=atol, msg=lambda text, name=name: f"{name}: {text}")


def create_empty(name: str, **arguments: Any) -> torch.nn.Module:
    """A network that is going to get weights: random ones, which would be drawn for seconds, are left out."""
    with ExitStack() as stack:
        for function in (
            "kaiming_uniform_",
            "kaiming_normal_",
            "xavier_uniform_",
            "trunc_normal_",
            "normal_",
            "uniform_",
        ):
            stack.enter_context(mock.patch.object(torch.nn.init, function, lambda tensor, *_, **__: tensor))
        return create_network(name, **arguments)


def sliced(name: str, key: str, array: np.ndarray) -> np.ndarray:
    """The part of ``array`` that the golden file stores under ``key``."""
    text = golden(name)[0]["outputs"][key]["slice"]
    assert set(text) <= set("[]., :0123456789"), text
    return array[eval(f"np.s_{text}")]


class NetworkTester:
    """Tests of one network, published or not; subclasses set the class attributes."""

    NAME: ClassVar[str]  # of create_network
    TRAINING_OUTPUTS: ClassVar[int] = 1  # maps in training mode, finest first; more than 1: deep supervision
    SMALL: ClassVar[dict[str, Any]]  # constructor arguments of a cheap instance with 3 input channels, 1 output
    SMALL_SIZE: ClassVar[tuple[int, int]]  # a legal size of it, height unlike width where the network allows that
    OTHER_SIZE: ClassVar[tuple[int, int]]  # another legal size of it; the same for a network bound to one size
    # Inductor calls a C++ compiler for minutes on networks of many different kernels; their tests take its graph alone.
    COMPILE_BACKEND: ClassVar[str] = "aot_eager"
    EXPORT_MIN: ClassVar[int] = 1  # height and width that exported programs take at least, in units of the divisor
    # of the largest logit, in half precision
    HALF_TOLERANCE: ClassVar[dict[torch.dtype, float]] = {torch.bfloat16: 0.05, torch.float16: 0.01}
    HEAD_BIAS: ClassVar[str] = "head1.bias"  # parameter that is added to the logits
    SHAPE_CASES: ClassVar[list[tuple[dict[str, Any], tuple[int, ...]]]]  # arguments, input shape
    ILLEGAL_CASES: ClassVar[list[tuple[dict[str, Any], str]]]  # arguments, words of the error
    ILLEGAL_INPUTS: ClassVar[list[tuple[int, ...]]]

    @staticmethod
    def outputs(found: torch.Tensor | list[torch.Tensor]) -> list[torch.Tensor]:
        return found if isinstance(found, list) else [found]

    def small(self, **changes: Any) -> torch.nn.Module:
        torch.manual_seed(0)
        return create_network(self.NAME, **{"in_channels": 3, "out_channels": 1, **self.SMALL, **changes})

    def small_input(self, batch: int = 2) -> torch.Tensor:
        return torch.rand(batch, 3, *self.SMALL_SIZE, generator=torch.Generator().manual_seed(1))

    def other_input(self, batch: int) -> torch.Tensor:
        return torch.rand(batch, 3, *self.OTHER_SIZE, generator=torch.Generator().manual_seed(5))

    # ------------------------------------------------------------------ shapes, arguments, modes

    def test_shapes(self, shape_case: tuple[dict[str, Any], tuple[int, ...]]) -> None:
        arguments, shape = shape_case
        network = self.small(**arguments).eval()
        with torch.no_grad():
            logits = network(torch.rand(shape))
        assert logits.shape == (shape[0], arguments.get("out_channels", 1), *shape[2:])
        assert logits.dtype == torch.float32

    def test_illegal_arguments(self, illegal_case: tuple[dict[str, Any], str]) -> None:
        arguments, words = illegal_case
        with pytest.raises(ValueError, match=words):
            self.small(**arguments)

    def test_illegal_inputs(self, size_case: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match=r"multiples of|must be|expects an input of shape"):
            self.small().eval()(torch.rand(size_case))

    def test_logits_are_not_activated(self) -> None:
        network = self.small().eval()
        bias = network.get_parameter(self.HEAD_BIAS)
        assert bias.numel() == 1
        with torch.no_grad():
            low = network(self.small_input())
            bias -= 50.0
            shifted = network(self.small_input())
        torch.testing.assert_close(shifted, low - 50.0, rtol=1e-5, atol=1e-4)

    def test_every_parameter_learns(self) -> None:
        network = self.small().train()
        outputs = self.outputs(network(self.small_input()))
        sum((y * torch.rand_like(y)).sum() for y in outputs).backward()
        missing = [n for n, p in network.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
        assert missing == []

    def test_deep_supervision(self) -> None:
        x = self.small_input()
        outputs = self.small().train()(x)
        assert isinstance(outputs, list) == (self.TRAINING_OUTPUTS > 1)
        assert all(y.shape == (2, 1, *self.SMALL_SIZE) for y in self.outputs(outputs))
        if self.TRAINING_OUTPUTS > 1:
            assert len(outputs) == self.TRAINING_OUTPUTS
            assert isinstance(self.small(deep_supervision=False).train()(x), torch.Tensor)
        assert isinstance(self.small().eval()(x), torch.Tensor)

    def test_gradients_in_float64(self) -> None:
        network = self.small().double().train()
        x = self.small_input().double().requires_grad_()
        shape = (2, 1, *self.SMALL_SIZE)
        target = torch.rand(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))

        def value(z: torch.Tensor) -> torch.Tensor:
            torch.manual_seed(4)  # for networks with random parts
            return sum(((y - target) ** 2).mean() for y in self.outputs(network(z)))

        (gradient,) = torch.autograd.grad(value(x), x)
        direction = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
        step = 1e-8  # small, so that no rectifier or maximum changes sides
        with torch.no_grad():
            numeric = (value(x + step * direction) - value(x - step * direction)) / (2 * step)
        assert float((gradient * direction).sum()) == pytest.approx(float(numeric), rel=1e-4)

    def test_dropout(self) -> None:
        x = self.small_input()
        network = self.small(dropout=0.5)
        plain = self.small()
        with torch.no_grad():
            torch.testing.assert_close(network.eval()(x), plain.eval()(x))
            torch.manual_seed(0)
            first = self.outputs(network.train()(x))[0]
            assert not torch.equal(first, self.outputs(network(x))[0])
            torch.manual_seed(0)
            assert torch.equal(first, self.outputs(network(x))[0]), "a seeded run must repeat"

    # ------------------------------------------------------------------ precision and memory format

    def test_channels_last(self) -> None:
        network, x = self.small().double().eval(), self.small_input().double()
        with torch.no_grad():
            expected = network(x)
            network = network.to(memory_format=torch.channels_last)
            found = network(x.contiguous(memory_format=torch.channels_last))
        torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-10)

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
    def test_half_precision(self, dtype: torch.dtype) -> None:
        network, x = self.small().eval(), self.small_input()
        with torch.no_grad():
            expected = network(x)
            found = network.to(dtype)(x.to(dtype))
        assert found.dtype == dtype
        scale = float(expected.abs().max())
        assert float((found.float() - expected).abs().max()) <= self.HALF_TOLERANCE[dtype] * scale

    def test_autocast_training_step(self) -> None:
        network = self.small().train()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            outputs = self.outputs(network(self.small_input()))
        sum(y.float().mean() for y in outputs).backward()
        assert all(torch.isfinite(p.grad).all() for p in network.parameters())

    def test_accelerated(self) -> None:
        """An accelerated network calculates the same, has the same tensors, and trains as if nothing had happened."""
        network, plain, x = self.small(), self.small(), self.small_input()
        assert accelerate(network) is network
        assert network.state_dict().keys() == plain.state_dict().keys()
        for _ in range(2):  # the second time after a step of training
            with torch.no_grad():
                expected, found = plain.eval()(x), network.eval()(x)
            torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))
            for net in (network, plain):
                torch.manual_seed(3)
                sum(y.square().mean() for y in self.outputs(net.train()(x))).backward()
            for (name, a), b in zip(network.named_parameters(), plain.parameters(), strict=True):
                assert torch.equal(a.grad, b.grad), name

    # ------------------------------------------------------------------ files and exports

    def test_save_and_load(self, tmp_path: Path) -> None:
        network, other = self.small().eval(), self.small(dropout=0.1).eval()
        with torch.no_grad():
            for p in other.parameters():
                p.zero_()
        torch.save(network.state_dict(), tmp_path / "model.pt")
        other.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
        with torch.no_grad():
            assert torch.equal(network(self.small_input()), other(self.small_input()))

    def test_script(self, untraced: None) -> None:
        network, x, other = self.small().eval(), self.small_input(), self.other_input(1)
        buffer = io.BytesIO()
        torch.jit.save(torch.jit.script(network), buffer)
        buffer.seek(0)
        scripted = torch.jit.load(buffer)
        with torch.no_grad():
            torch.testing.assert_close(scripted(x), network(x), rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(scripted(other), network(other), rtol=1e-5, atol=1e-6)
        with pytest.raises(torch.jit.Error, match=r"multiples of|must be"):
            scripted(x[:, :, :17])

    def test_trace(self, untraced: None) -> None:
        network, x = self.small().eval(), self.small_input()
        with torch.no_grad():
            traced = torch.jit.trace(network, x)
            other = self.other_input(1)
            torch.testing.assert_close(traced(other), network(other), rtol=1e-5, atol=1e-6)

    def test_torch_export_and_onnx_with_dynamic_shapes(self, tmp_path: Path, untraced: None) -> None:
        onnxruntime = pytest.importorskip("onnxruntime", reason="extra `onnx` is not installed")
        network, x = self.small().eval(), self.small_input()
        other = self.other_input(3)
        with torch.no_grad():
            program = torch.export.export(network, (x,), dynamic_shapes=self.dynamic_shapes())
            expected = network(other)
            torch.testing.assert_close(program.module()(other), expected, rtol=1e-5, atol=1e-6)
        path = tmp_path / "model.onnx"
        # What the exporter's optimiser would rearrange is not ours, and takes as long as the rest.
        torch.onnx.export(program, (x,), path, dynamo=True, verbose=False, optimize=False)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {session.get_inputs()[0].name: other.numpy()})
        assert np.abs(found - expected.numpy()).max() <= 1e-4
        assert ((found > 0) == (expected.numpy() > 0)).mean() >= 0.999

    def test_compile(self, untraced: None) -> None:
        network, x = self.small().eval(), self.small_input()
        compiled = torch.compile(network, fullgraph=True, backend=self.COMPILE_BACKEND)
        with torch.no_grad():
            torch.testing.assert_close(compiled(x), network(x), rtol=1e-4, atol=1e-5)

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    def test_cuda_agrees_with_cpu(self) -> None:
        network, x = enliven(self.small()).eval(), self.small_input()
        with torch.no_grad():
            expected = network(x)
            network, x = network.cuda(), x.cuda()
            for layout in (torch.contiguous_format, torch.channels_last):
                assert error_of_spread(network.to(memory_format=layout)(x), expected) < 1e-4
        assert expected.std() > 0.02

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
    def test_the_host_waits_for_nothing_in_a_forward_pass(self) -> None:
        network, x = self.small().eval().cuda(), self.small_input().cuda()
        with torch.no_grad():
            network(x)  # cuDNN and cuBLAS are set up once
            torch.cuda.set_sync_debug_mode("error")
            try:
                network(x)
            finally:
                torch.cuda.set_sync_debug_mode("default")

    def dynamic_shapes(self) -> dict[str, dict[int, Any]]:
        """Batch, height and width as free as the network allows."""
        if self.SMALL_SIZE == self.OTHER_SIZE:
            return {"x": {0: torch.export.Dim("batch", min=1, max=64)}}
        divisor = self.small().divisor
        height, width = (torch.export.Dim(side, min=self.EXPORT_MIN, max=64) for side in ("height", "width"))
        return {"x": {0: torch.export.Dim("batch", min=1, max=64), 2: divisor * height, 3: divisor * width}}


class BaseNetworkTester(NetworkTester):
    """Tests of one published network: also, whether it calculates what its authors' code does."""

    GOLDEN: ClassVar[str]
    GOLDEN_ARGUMENTS: ClassVar[dict[str, Any]]
    # golden key -> (sub-module whose output it is, what is done to that output)
    GOLDEN_MAPS: ClassVar[dict[str, tuple[str, Callable[[torch.Tensor], torch.Tensor]]]]
    # golden key of each training output, finest first; empty for a network without deep supervision
    GOLDEN_TRAINING: ClassVar[list[str]] = []
    # Of the deviations in the golden file: 1 where it holds those over n - 1 values, as torch gives them.
    DEVIATION_DDOF: ClassVar[int] = 0
    FLOAT32_TOLERANCE: ClassVar[float] = 1e-5
    LIVE_PARAMETERS: ClassVar[int]

    @pytest.fixture(scope="class")
    @classmethod
    def published(cls) -> torch.nn.Module:
        """The network with the golden weights, float64, in evaluation mode."""
        network = create_empty(cls.NAME, **cls.GOLDEN_ARGUMENTS).double().eval()
        network.load_state_dict(convert_published(cls.NAME, published_state(cls.GOLDEN)))
        return network

    @pytest.fixture(scope="class")
    @classmethod
    def golden_input(cls) -> torch.Tensor:
        config = golden(cls.GOLDEN)[0]["config"]
        return torch.from_numpy(fill.image(config["seed"], tuple(config["input_shape"])))

    def test_golden_logits_and_maps_float64(self, published: torch.nn.Module, golden_input: torch.Tensor) -> None:
        arrays = golden(self.GOLDEN)[1]
        parts: dict[str, list[np.ndarray]] = {key: [] for key in self.GOLDEN_MAPS}  # a batch may go in parts
        hooks = []
        for key, (module, change) in self.GOLDEN_MAPS.items():

            def keep(_m: Any, _i: Any, y: torch.Tensor, key: str = key, change: Callable = change) -> None:
                parts[key].append(change(y).numpy())

            hooks.append(published.get_submodule(module).register_forward_hook(keep))
        with torch.no_grad():
            logits = published(golden_input).numpy()
        for hook in hooks:
            hook.remove()
        found = {"logits": logits, **{key: np.concatenate(arrays) for key, arrays in parts.items()}}
        for key, array in found.items():
            difference = np.abs(sliced(self.GOLDEN, key, array) - arrays[key]).max()
            assert difference <= 1e-6, f"{key}: {difference}"
            # The stored statistics cover what the stored slice leaves out.
            expected = golden(self.GOLDEN)[0]["outputs"][key]
            for statistic in {"mean", "std", "min", "max"} & set(expected):  # not every file has all of them
                ddof = {"ddof": self.DEVIATION_DDOF} if statistic == "std" else {}
                value = getattr(array, statistic)(**ddof)
                assert value == pytest.approx(expected[statistic], abs=1e-6), f"{key}: {statistic}"

    def test_golden_training_outputs_float64(self, published: torch.nn.Module, golden_input: torch.Tensor) -> None:
        if not self.GOLDEN_TRAINING:
            pytest.skip("without deep supervision the network calculates the same, and large ones take a minute")
        arrays = golden(self.GOLDEN)[1]
        published.training = True  # the goldens were made with running statistics
        with torch.no_grad():
            outputs = self.outputs(published(golden_input))
        published.training = False
        for key, output in zip(self.GOLDEN_TRAINING, outputs, strict=True):
            assert np.abs(sliced(self.GOLDEN, key, output.numpy()) - arrays[key]).max() <= 1e-6, key

    def test_golden_logits_float32(self, published: torch.nn.Module, golden_input: torch.Tensor) -> None:
        network = create_empty(self.NAME, **self.GOLDEN_ARGUMENTS).eval()
        network.load_state_dict({k: v.float() for k, v in published.state_dict().items()})
        with torch.no_grad():
            logits = network(golden_input.float()).numpy()
        assert logits.dtype == np.float32
        difference = np.abs(sliced(self.GOLDEN, "logits", logits) - golden(self.GOLDEN)[1]["logits"]).max()
        assert difference <= self.FLOAT32_TOLERANCE

    def test_parameter_count(self, published: torch.nn.Module) -> None:
        assert sum(p.numel() for p in published.parameters()) == self.LIVE_PARAMETERS
