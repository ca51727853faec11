# SPDX-License-Identifier: Apache-2.0
"""What the cache on the disk writes, and by what it tells transforms apart."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from equal_values import equal
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from monai.bundle import ConfigParser
from monai.data import MetaTensor
from monai.utils import SpaceKeys
from test_training_disk_cache import Counted, chain

from sa2_monai.training.disk_cache.definition import describe
from sa2_monai.training.disk_cache.items import from_plain, to_plain
from sa2_monai.weights.sealed import read_sealed, write_sealed

PLAIN: dict[str, Any] = {
    "nothing": None,
    "numbers": [True, 3, -2.5, float("inf")],
    "text": {"a": "Bild \u00e4", 3: "x", (1, "b"): None},
    "tuples": (1, (2, [3, ()])),
    "bytes": b"\x00\xff",
    "types": [torch.float32, torch.bool, np.dtype(">i2")],
    "scalars": [np.float32(0.1), np.int16(-3), np.bool_(True), np.str_("\u00e4b")],
    "arrays": [np.arange(6, dtype=">u2").reshape(2, 3), np.zeros((0, 3)), np.array(["a", "bcd"]), np.array(3.0)],
    "order": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "tensors": [
        torch.arange(6.0).reshape(2, 3).t(),
        torch.tensor(3, dtype=torch.uint8),
        torch.tensor([], dtype=torch.int64),
    ],
    "view": torch.arange(100.0)[10:20:3],
    "meta": MetaTensor(torch.rand(1, 4, 4), meta={"affine": torch.eye(4), "space": "RAS", "descrip": np.bytes_(b"a")}),
}


@pytest.mark.parametrize("name", PLAIN)
def test_values_survive(name: str, tmp_path: Path) -> None:
    value = PLAIN[name]
    plain = to_plain(value)
    write_sealed(tmp_path / "a.pt", {"item": plain})
    found = from_plain(read_sealed(tmp_path / "a.pt")["item"])
    if name == "view":  # the numbers between them are not kept
        value = value.clone()
    assert equal(value, found)


def test_words_of_monai_become_text() -> None:
    assert from_plain(to_plain({SpaceKeys.RAS: [SpaceKeys.LPS]})) == {"RAS": ["LPS"]}
    assert from_plain(to_plain({"path": Path("a")})) == {"path": "a"}
    for value in (object(), {1, 2}, np.array([object()]), np.zeros(2, dtype=[("a", int)]), 1j):
        with pytest.raises(TypeError, match=r"case\['x'\]\[0\] is a .*cannot hold"):
            to_plain({"x": [value]})
    for content in ({"kind": "object"}, {"kind": "dtype", "name": "load"}, {}):
        with pytest.raises((ValueError, LookupError)):
            from_plain(content)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    arrays.arrays(
        st.one_of(arrays.integer_dtypes(), arrays.floating_dtypes(), arrays.unicode_string_dtypes(max_len=4)),
        arrays.array_shapes(max_dims=3, max_side=4),
    )
)
def test_any_array_survives(array: np.ndarray) -> None:
    assert equal(array, from_plain(to_plain(array)))
    assert equal(array.T.copy(order="K"), from_plain(to_plain(array.T.copy(order="K"))))


def adder(number: int) -> Callable[[int], int]:
    return lambda x: x + number


def from_expression(number: int) -> Any:
    parser = ConfigParser({"number": number, "f": "$lambda x: x * @number"})
    return parser.get_parsed_content("f")


class Slots:
    __slots__ = ("value",)

    def __init__(self, value: int) -> None:
        self.value = value


DIFFERENT: dict[str, list[Any]] = {
    "numbers": [1, 1.0, True, 1j, "1", b"1", None],
    "closures": [adder(1), adder(2)],
    "lambdas": [lambda x: x + 1, lambda x: x + 2, lambda x: x - 1, lambda x, y=1: x + 1, lambda x, y=2: x + 1],
    "expressions": [from_expression(2), from_expression(3)],
    "partials": [functools.partial(max, 1), functools.partial(max, 2), functools.partial(min, 1)],
    "methods": [Counted().__call__, Counted(offset=1).__call__, Counted().key_iterator],
    "arrays": [np.zeros(2), np.zeros(3), np.ones(2), np.zeros(2, np.int8), torch.zeros(2), torch.ones(2)],
    "containers": [[1, 2], (1, 2), [2, 1], {1, 2}, {1: 2}, {2: 1}, {"1": 2}],
    "slots": [Slots(1), Slots(2)],
    "words": [SpaceKeys.RAS, SpaceKeys.LPS, torch.float32, np.dtype("f4"), int, float, np, os, max, min, np.add],
    "nested": [{"a": [Counted()]}, {"a": [Counted(offset=2)]}, {"a": [Counted("label")]}],
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_differs_is_described_differently(name: str) -> None:
    values = DIFFERENT[name]
    described = [repr(describe(value, "x")) for value in values]
    assert len(set(described)) == len(values)
    assert [repr(describe(value, "x")) for value in values] == described
    assert not any(" at 0x" in text for text in described)


def test_what_is_equal_is_described_equally() -> None:
    assert describe({"a": 1, "b": {3, 1, 2}}, "x") == describe({"b": {1, 2, 3}, "a": 1}, "x")
    assert describe(chain(), "x") == describe(chain(), "x")
    ring: list[Any] = [1]
    ring.append(ring)
    assert describe(ring, "x") == ["list", ["value", "int", "1"], ["above", 0]]
    with pytest.raises(ValueError, match=r"cannot tell Chain\.steps\[0\], a _thread\.lock, from another one"):
        describe({"steps": [threading.Lock()]}, "Chain")
