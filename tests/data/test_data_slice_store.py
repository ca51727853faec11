# SPDX-License-Identifier: Apache-2.0
"""The slices of one case in memory: bit for bit what the case was, in as few bytes as its values need."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sa2_monai.data.slice_store import Stack


def array_of(kind: str, shape: tuple[int, ...], values: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if kind == "float":
        levels = rng.normal(size=values).astype(np.float32)
        levels[:4] = [np.nan, -0.0, 0.0, np.inf][: len(levels[:4])]
        return rng.choice(levels, size=shape)
    if kind == "window":  # what a CT is after scaling
        return (rng.integers(0, values, shape).astype(np.float32) + np.float32(125)) / np.float32(400)
    return rng.integers(0, min(values, 200), shape).astype(kind)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.sampled_from(["float", "window", "uint8", "int16", "int32", "float64", "float16"]),
    st.permutations(range(4)),
    st.sampled_from([1, 3, 256, 257, 4000]),
    st.integers(0, 99),
)
def test_slices_come_back_bit_for_bit(kind: str, order: list[int], values: int, seed: int) -> None:
    shape = (2, 17, 9, 13)
    stored = array_of(kind, tuple(shape[axis] for axis in order), values, seed).transpose(np.argsort(order))
    stack = Stack(torch.from_numpy(stored))
    assert len(stack) == shape[-1]
    for index in range(shape[-1]):
        found = stack[index]
        assert found.numpy().dtype == stored.dtype
        assert found.numpy().tobytes() == np.ascontiguousarray(stored[..., index]).tobytes()
        found.fill_(7)
        assert stack[index].numpy().tobytes() == np.ascontiguousarray(stored[..., index]).tobytes()


def levels(number: int) -> np.ndarray:
    """Floats of so many equally spaced values, scaled as from a file of whole numbers."""
    return (np.arange(64 * 48 * 25) % number).astype(np.float32).reshape(1, 64, 48, 25) / np.float32(max(number - 1, 1))


def special() -> np.ndarray:
    """Both zeros, NaNs of two patterns, infinities, a number near zero and the largest one."""
    bits = [0, 0x80000000, 0x7FC00000, 0xFFFFFFFF, 0x7F800000, 0xFF800000, 0x00000100, 0x7F7FFFFF, 0x3F800000]
    return np.resize(np.array(bits, np.uint32).view(np.float32), (2, 5, 7, 3))


TEST_CASES = {  # values; bytes of one of them in memory
    "constant": (np.full((2, 6, 5, 4), 0.25, np.float32), 1),
    "zero": (np.zeros((1, 6, 5, 4), np.float32), 1),
    "negative zero": (np.full((1, 6, 5, 4), -0.0, np.float32), 1),
    "special": (special(), 1),
    "an ending is met late": (
        np.append(np.ones(299_999, np.float32), np.float32(1 + 2**-23)).reshape(1, 10, 100, 300),
        4,
    ),
    "zero is met late": (np.append(np.ones(299_999, np.float32), np.float32(0)).reshape(1, 10, 100, 300), 1),
    "256 levels": (levels(256), 1),
    "257 levels": (levels(257), 2),
    "5000 levels": (levels(5000), 2),
    "65,536 levels": (levels(65_536), 2),
    "65,537 levels": (levels(65_537), 4),
    "all different": (np.random.default_rng(0).normal(size=(1, 64, 48, 25)).astype(np.float32), 4),
    "one slice": (levels(5000)[:, :, 0, :, None], 2),
    "an image": (levels(5000)[:, :, 0], 2),
    "one voxel": (np.ones((1, 1, 1, 1), np.float32), 1),
    "a photograph by pixels": (levels(256).reshape(-1, 64, 3).transpose(2, 0, 1), 1),
    "every second": (levels(5000)[:, ::2, 1:, ::-2], 2),
    "a broadcast": (np.broadcast_to(levels(5000)[:, :, 0, :, None], (1, 64, 25, 6)), 2),
    "slices first": (np.asfortranarray(levels(5000)), 2),
    "a label": (levels(9).astype(np.uint8), 1),
    "double": (levels(9).astype(np.float64), 8),
}


@pytest.mark.parametrize(("values", "number"), TEST_CASES.values(), ids=TEST_CASES)
def test_memory_of_a_value(values: np.ndarray, number: int) -> None:
    """As in the file that it was scaled from; a file of real numbers stays one. Every bit comes back."""
    stack = Stack(values)
    assert stack.codes.element_size() == number
    assert stack.codes.is_contiguous()
    found = torch.stack([stack[index] for index in range(len(stack))], dim=-1).numpy()
    assert found.dtype == values.dtype
    assert found.tobytes() == values.reshape(found.shape).tobytes()
