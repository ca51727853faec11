# SPDX-License-Identifier: Apache-2.0
"""Cases as tensors and plain values, with all that MONAI knows about them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import PurePath
from typing import Any, Literal

import numpy as np
import torch
from monai.data import MetaTensor

__all__ = ["from_plain", "to_plain"]

# A dictionary with this key stands for something else; the entries of real ones come as a list of pairs.
_KIND = "kind"


def to_plain(value: Any, where: str = "case") -> Any:
    """Turn a case into what ``torch.load(weights_only=True)`` reads.

    Tensors keep their layout in memory, arrays their type and order. Enumerations of text, as MONAI uses for keys,
    become text.

    Args:
        value: nesting of mappings, lists and tuples with tensors, arrays and plain values.
        where: its name, for messages.

    Raises:
        TypeError: for a value of another type.
    """
    if isinstance(value, Enum):
        value = value.value
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, MetaTensor):
        parts = {name: to_plain(getattr(value, name, None), f"{where}.{name}") for name in _META}
        return {_KIND: "MetaTensor", "tensor": _own(value.as_tensor()), **parts}
    if isinstance(value, torch.Tensor):
        return _own(value)
    if isinstance(value, (np.ndarray, np.generic)) and not value.dtype.hasobject and value.dtype.names is None:
        return _array(value)
    if isinstance(value, Mapping):
        pairs = [[to_plain(key, where), to_plain(item, f"{where}[{key!r}]")] for key, item in value.items()]
        return {_KIND: "dict", "pairs": pairs}
    if isinstance(value, (list, tuple)):
        items = [to_plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
        return items if type(value) is list else {_KIND: "tuple", "items": items}
    if isinstance(value, (str, PurePath)):
        return str(value)
    if isinstance(value, bytes):
        return {_KIND: "bytes", "text": value.decode("latin-1")}
    if isinstance(value, torch.dtype):
        return {_KIND: "dtype", "name": str(value).removeprefix("torch.")}
    if isinstance(value, np.dtype):
        return {_KIND: "numpy dtype", "name": value.str}
    raise TypeError(
        f"{where} is a {type(value).__module__}.{type(value).__qualname__}, which the cache on the disk cannot hold. "
        "Leave the overlay disk_cache.yaml out."
    )


def from_plain(value: Any) -> Any:
    """What :func:`to_plain` was given.

    Raises:
        LookupError, TypeError, ValueError: for what it did not make.
    """
    if isinstance(value, list):
        return [from_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value[_KIND]
    if kind == "MetaTensor":
        meta, operations, pending, is_batch, spatial_ndim = (from_plain(value[name]) for name in _META)
        tensor = MetaTensor(value["tensor"], None, meta, operations, spatial_ndim=spatial_ndim)
        tensor.pending_operations.extend(pending)
        tensor.is_batch = is_batch
        return tensor
    if kind == "array":
        flat = np.frombuffer(value["bytes"].numpy().tobytes(), dtype=value["dtype"])
        array = flat.reshape(value["shape"], order=value["order"]).copy(order="K")
        return array[()] if value["scalar"] else array
    if kind == "dict":
        return {from_plain(key): from_plain(item) for key, item in value["pairs"]}
    if kind == "tuple":
        return tuple(from_plain(item) for item in value["items"])
    if kind == "bytes":
        return value["text"].encode("latin-1")
    if kind == "dtype":
        return _dtype(value["name"])
    if kind == "numpy dtype":
        return np.dtype(value["name"])
    raise ValueError(f"a case in the cache has a part of the unknown kind {kind!r}.")


_META = ("meta", "applied_operations", "pending_operations", "is_batch", "spatial_ndim")


def _own(tensor: torch.Tensor) -> torch.Tensor:
    """With memory of its own: a view would drag all of its storage into the file."""
    return tensor.detach().as_subclass(torch.Tensor).cpu().clone()


def _array(value: np.ndarray | np.generic) -> dict[str, Any]:
    array = np.asarray(value)
    order: Literal["C", "F"] = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    content = torch.frombuffer(bytearray(array.tobytes(order)), dtype=torch.uint8) if array.nbytes else torch.empty(0)
    return {
        _KIND: "array",
        "dtype": array.dtype.str,
        "shape": list(array.shape),
        "order": order,
        "bytes": content.to(torch.uint8),
        "scalar": isinstance(value, np.generic),
    }


def _dtype(name: str) -> torch.dtype:
    found = getattr(torch, name)
    if not isinstance(found, torch.dtype):
        raise ValueError(f"torch.{name} is no type of numbers.")
    return found
