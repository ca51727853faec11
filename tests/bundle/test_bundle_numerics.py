# SPDX-License-Identifier: Apache-2.0
"""How a process calculates is set by one function, and put back behind it."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch
from monai.utils import set_determinism

from sa2_monai.bundle.numerics import kept_numerics, set_numerics

cudnn = torch.backends.cudnn
VARIABLE = "CUBLAS_WORKSPACE_CONFIG"


def state() -> dict[str, Any]:
    return {
        "algorithms": torch.are_deterministic_algorithms_enabled(),
        "cudnn": cudnn.deterministic,
        "benchmark": cudnn.benchmark,
        "tf32": cudnn.allow_tf32,
        "products": torch.get_float32_matmul_precision(),
    }


OFF = {"algorithms": False, "cudnn": False, "benchmark": False, "tf32": False, "products": "highest"}
TEST_CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"deterministic": False}, {}),
    (
        {"deterministic": False, "cudnn_benchmark": True, "matmul_precision": "high"},
        {"benchmark": True, "tf32": True, "products": "high"},
    ),
    ({"deterministic": True}, {"algorithms": True, "cudnn": True}),
    ({"seed": 3, "deterministic": False, "cudnn_benchmark": True}, {"benchmark": True}),
]


@pytest.mark.parametrize(("options", "expected"), TEST_CASES)
def test_what_is_set_and_put_back(
    options: dict[str, Any], expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    before = state()
    with kept_numerics():
        set_numerics(**options)
        assert state() == {**OFF, **expected}
        assert (os.environ.get(VARIABLE) == ":4096:8") is bool(options["deterministic"])
    assert state() == before
    set_determinism(None)
    monkeypatch.delenv(VARIABLE, raising=False)


def test_the_seed_and_what_is_not_named() -> None:
    with kept_numerics():
        set_numerics(seed=3)
        first = torch.rand(2)
        torch.use_deterministic_algorithms(True)
        set_numerics(seed=3)
        assert torch.equal(torch.rand(2), first)
        assert torch.are_deterministic_algorithms_enabled()
        set_numerics()
        assert not torch.equal(torch.rand(2), first), "the generators are left alone"
    set_determinism(None)


def _fail() -> None:
    with kept_numerics():
        set_numerics(cudnn_benchmark=True, matmul_precision="high")
        raise KeyError


def test_put_back_after_an_error() -> None:
    before = state()
    with pytest.raises(KeyError):
        _fail()
    assert state() == before


WRONG: list[tuple[dict[str, Any], str | None, bool, str]] = [
    ({"matmul_precision": "medium"}, None, False, "matmul_precision is 'medium', expected highest or high"),
    ({"deterministic": True, "cudnn_benchmark": True}, None, False, "deterministic and cudnn_benchmark are both true"),
    ({"deterministic": True}, ":8:8", False, f"but it is ':8:8': start with 'export {VARIABLE}=:4096:8'"),
    ({"deterministic": True}, None, True, f"used one without it: start with 'export {VARIABLE}=:4096:8'"),
]


@pytest.mark.parametrize(("options", "variable", "started", "text"), WRONG)
def test_what_is_refused(
    options: dict[str, Any], variable: str | None, started: bool, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if variable is not None:
        monkeypatch.setenv(VARIABLE, variable)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: started)
    before = state()
    with pytest.raises(ValueError, match=text.replace("(", r"\(")):
        set_numerics(**options)
    assert state() == before
