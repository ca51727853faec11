# SPDX-License-Identifier: Apache-2.0
"""Networks and losses make no tensor whose device is left open: on a GPU it would lie on the CPU."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import sa2_monai

PACKAGE = Path(sa2_monai.__file__).parent
FILES = sorted(path for folder in ("networks", "losses") for path in (PACKAGE / folder).rglob("*.py"))
#: Of ``torch``: what makes a tensor out of nothing. Those named ..._like take the device of their model.
MAKERS = (
    *("arange", "as_tensor", "empty", "empty_strided", "eye", "from_numpy", "full", "hann_window", "linspace"),
    *("logspace", "normal", "ones", "rand", "randint", "randn", "randperm", "scalar_tensor", "tensor"),
    *("tril_indices", "triu_indices", "zeros"),
)
#: What moves a tensor to the CPU, or makes the host wait for its values.
LEAVERS = ("cpu", "item", "numpy", "tolist", "nonzero")
#: Of a target that is refused: nothing goes on behind it.
ALLOWED = {("losses/checks.py", "item")}


def calls(tree: ast.AST, in_init: bool = False) -> Iterator[tuple[ast.Call, bool]]:
    """Calls, and whether a constructor makes them: its parameters and buffers go to the device with the module."""
    for node in ast.iter_child_nodes(tree):
        constructor = in_init or (isinstance(node, ast.FunctionDef) and node.name == "__init__")
        if isinstance(node, ast.Call):
            yield node, constructor
        yield from calls(node, constructor)


def found_in(source: str) -> list[tuple[int, str]]:
    """Lines and names of the calls that are wrong."""
    wrong = []
    for call, constructor in calls(ast.parse(source)):
        function = call.func
        if not isinstance(function, ast.Attribute):
            continue
        of_torch = isinstance(function.value, ast.Name) and function.value.id == "torch"
        placed = any(keyword.arg == "device" for keyword in call.keywords)
        if (of_torch and function.attr in MAKERS and not constructor and not placed) or (
            not of_torch and function.attr in LEAVERS
        ):
            wrong.append((call.lineno, function.attr))
    return wrong


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def forward(self, x):\n    return x + torch.zeros(3)", [(2, "zeros")]),
        ("def forward(self, x):\n    return x + torch.zeros(3, device=x.device)", []),
        ("def forward(self, x):\n    return x + torch.zeros_like(x)", []),
        ("class A:\n def __init__(self):\n  self.b = torch.ones(3)\n def f(self):\n  torch.eye(3)", [(5, "eye")]),
        ("def forward(x):\n    return x * x.sum().item()", [(2, "item")]),
    ],
)
def test_the_search_finds_them(source: str, expected: list[tuple[int, str]]) -> None:
    assert found_in(source) == expected


def test_no_tensor_without_a_device() -> None:
    assert len(FILES) > 40
    wrong = [
        f"{name}:{line}: {call}"
        for file in FILES
        for name in [file.relative_to(PACKAGE).as_posix()]
        for line, call in found_in(file.read_text("utf-8"))
        if (name, call) not in ALLOWED
    ]
    assert wrong == []
