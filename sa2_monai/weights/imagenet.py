# SPDX-License-Identifier: Apache-2.0
"""ImageNet weights for the encoders of MSA2-Net and SvANet, from the files as published.

The names of timm's MaxViT have not changed since the weights were published (October 2022). What may differ is the form
of the linear layers of its attention blocks, which timm can build as 1x1 convolutions, and the container: timm's
training script wraps the state dict.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sa2_monai.io.digest import sha256_of
from sa2_monai.networks.catalogue import CATALOGUE, Encoder
from sa2_monai.networks.factory import record_of
from sa2_monai.weights.compare import check_finite
from sa2_monai.weights.encoder_names import encoder_owner
from sa2_monai.weights.first_layer import adapt_channels
from sa2_monai.weights.load import load_weights
from sa2_monai.weights.read import read_safely, tensors_in
from sa2_monai.weights.state import unwrap

__all__ = ["load_encoder", "load_pretrained", "source_of"]

_CONTAINERS = ("state_dict_ema", "model_ema", "state_dict", "model")  # of timm's training, the averaged weights first
_COUNTER = "num_batches_tracked"
_LISTED = 40  # names of each kind in a message


def source_of(network: nn.Module) -> Encoder:
    """Where ImageNet weights for the encoder of a network are published.

    Args:
        network: may be wrapped by ``DistributedDataParallel`` or ``torch.compile``.

    Raises:
        ValueError: for a network without such an encoder.
    """
    network = unwrap(network)
    record = record_of(network)
    if record is None or not record.encoders:
        owners = " and ".join(other.class_name for other in CATALOGUE.values() if other.encoders)
        raise ValueError(
            f"{type(network).__name__} has no encoder with ImageNet weights: it is trained from scratch (pretrained: "
            f"null) or from its own weights. {owners} have one."
        )
    built = getattr(network.get_submodule("encoder"), "name", None)
    return next((encoder for encoder in record.encoders if encoder.option == built), record.encoders[0])


def load_encoder(network: nn.Module, path: str | os.PathLike[str]) -> dict[str, Any]:
    """Load ImageNet weights into the encoder of a network: all tensors or none.

    Tensors go by name, nothing is ever downloaded. The stem adapts to the number of input channels: SvANet sums its
    kernels for one channel, which is the same as repeating a grey image; MSA2-Net keeps three there and repeats the
    channel itself. For other numbers the kernels are repeated in turn and scaled by 3 / channels.

    Args:
        network: :class:`~sa2_monai.networks.MSA2Net` (MaxViT-small of timm, ``.pth`` or ``.safetensors``) or
            :class:`~sa2_monai.networks.SvANet` (ResNet-50 of torchvision; ResNet-101 and 152 for an encoder of that
            depth); may be wrapped by ``DistributedDataParallel`` or ``torch.compile``.
        path: the file.

    Returns:
        What was loaded, for the log: ``imagenet`` (publisher and model), ``file``, ``sha256``, ``tensors`` (their
        number) and ``left_out`` (names of the classifier's tensors).

    Raises:
        FileNotFoundError: when there is no such file, with its exact name, its address and where to put it.
        OSError: when it cannot be read.
        ValueError: for a network without such an encoder, for a damaged file, and for one that does not hold exactly
            the encoder's tensors, with finite values.
    """
    source, path = source_of(network), Path(path)
    if not path.is_file():
        raise _missing(source, path, "encoder_weights")
    return _load(network, path, tensors_in(_inner(read_safely(path)), path))


def load_pretrained(
    network: nn.Module, path: str | os.PathLike[str], expected: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Load what a training shall start from: weights of ours, or ImageNet weights where the network can take them.

    Args:
        network: takes the weights; may be wrapped.
        path: weight file of ours, or one that :func:`load_encoder` takes; its tensors tell which.
        expected: see :func:`~sa2_monai.weights.load_weights`; ImageNet weights have no settings.

    Returns:
        What :func:`load_encoder` or :func:`~sa2_monai.weights.load_weights` returns.

    Raises:
        FileNotFoundError, OSError, ValueError: as those.
    """
    path = Path(path)
    record = record_of(unwrap(network))
    if record is not None and record.encoders:
        if not path.is_file():
            raise _missing(source_of(network), path, "pretrained")
        content = _inner(read_safely(path))
        if isinstance(content, Mapping) and encoder_owner(content):
            return _load(network, path, tensors_in(content, path))
    return load_weights(network, path, expected)


def _missing(source: Encoder, path: Path, switch: str) -> FileNotFoundError:
    own = " For weights of your own give the path of a model.pt." if switch == "pretrained" else ""
    return FileNotFoundError(
        f"{path} does not exist. For ImageNet weights ({source.title}) get {source.files}; put the file there, or set "
        f"{switch} to where it is.{own} With {switch}: null training starts from scratch. Nothing is downloaded."
    )


def _inner(content: Any) -> Any:
    """The state dict in a container."""
    if isinstance(content, Mapping):
        return next((content[key] for key in _CONTAINERS if isinstance(content.get(key), Mapping)), content)
    return content


def _load(network: nn.Module, path: Path, tensors: Mapping[str, torch.Tensor]) -> dict[str, Any]:
    """Check everything, then load."""
    source, encoder = source_of(network), unwrap(network).get_submodule("encoder")
    expected = encoder.state_dict()
    theirs = {
        name: _fitted(value, expected[name].shape, name == source.stem) if name in expected else value
        for name, value in tensors.items()
        if name not in source.classifier
    }
    if not any(name.endswith(_COUNTER) for name in theirs):  # older files lack them, and nothing depends on them
        theirs |= {name: torch.zeros((), dtype=torch.long) for name in expected if name.endswith(_COUNTER)}
    kinds = {
        "unknown": [f"{name} {list(value.shape)}" for name, value in theirs.items() if name not in expected],
        "missing": [f"{name} {list(value.shape)}" for name, value in expected.items() if name not in theirs],
        "wrong shape": [
            f"{name} {list(tensors[name].shape)}, this network has {list(value.shape)}"
            for name, value in expected.items()
            if name in theirs and theirs[name].shape != value.shape
        ],
    }
    if lines := [f"{kind}: {_first(names)}" for kind, names in kinds.items() if names]:
        raise ValueError(
            f"{path} does not hold the weights of this encoder ({source.title}):\n  " + "\n  ".join(lines) + "\n"
            f"Nothing was loaded. Get {source.files}, and build the network with its published widths and depths."
        )
    check_finite(theirs, str(path))
    encoder.load_state_dict(theirs, strict=True)
    return {
        "imagenet": source.title,
        "file": path.name,
        "sha256": sha256_of(path),
        "tensors": len(expected),
        "left_out": [name for name in source.classifier if name in tensors],
    }


def _fitted(value: torch.Tensor, wanted: torch.Size, is_stem: bool) -> torch.Tensor:
    """A tensor in the form that the network wants, where there is one; else as it is."""
    if value.shape == wanted:
        return value
    if value.ndim == 4 and value.shape[2:] == (1, 1) and value.shape[:2] == wanted:  # a linear layer as a convolution
        return value.flatten(1)
    if is_stem and value.ndim == 4 and value.shape[1] == 3:
        return adapt_channels(value, wanted[1])
    return value


def _first(names: list[str]) -> str:
    return "; ".join(names[:_LISTED]) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
