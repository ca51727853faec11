# SPDX-License-Identifier: Apache-2.0
"""A published checkpoint as weights of this package: read, convert, check by loading, save with a sidecar."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sa2_monai.networks import create_network
from sa2_monai.weights.compare import check_state_dict
from sa2_monai.weights.published.convert import convert_published, describe_published, skipped_names
from sa2_monai.weights.read import read_checkpoint
from sa2_monai.weights.save import save_weights, sha256_of

__all__ = ["PublishedCheckpoint", "published_channel_order", "read_published", "save_published"]


@dataclass(frozen=True)
class PublishedCheckpoint:
    """A published checkpoint of which every tensor is known.

    Attributes:
        file: the checkpoint.
        network: name of its network.
        arguments: constructor arguments of the network, as the tensors tell them.
        tensors: converted state dict, which the network loads with ``strict=True``.
        count: number of tensors in the file.
        skipped: names of those that the published network carries but never uses.
        skipped_values: number of values in them.
    """

    file: Path
    network: str
    arguments: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    count: int
    skipped: list[str]
    skipped_values: int

    @property
    def used(self) -> int:
        """Number of tensors in the file that the network uses."""
        return self.count - len(self.skipped)


def read_published(
    network: str, file: str | os.PathLike[str], in_channels: int | None = None, roi_size: Sequence[int] = (224, 224)
) -> PublishedCheckpoint:
    """Read and convert a published checkpoint, and load it into the network.

    Args:
        network: its name, e.g. ``"sa2net"``.
        file: the checkpoint as its authors' code writes it: a state dict, or a dict with one under ``state_dict``.
        in_channels: of the images; by default as the tensors say.
        roi_size: height and width, in pixels, to which images were resized in training; the gates of ``svanet`` are
            made for them.

    Raises:
        OSError: a missing or unreadable file.
        ValueError: a checkpoint that is not entirely one of the network; the message lists every tensor.
    """
    tensors = read_checkpoint(file)
    options = {} if in_channels is None else {"in_channels": in_channels}
    try:
        converted = convert_published(network, tensors, **options)
        arguments = {**describe_published(network, tensors), **options}
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    if network == "svanet":
        arguments["img_size"] = roi_size[0]  # of its gates; no tensor tells it
    with torch.device("meta"):  # the tensors themselves become its parameters
        module = create_network(network, **arguments)
    check_state_dict(module, converted, str(file))
    module.load_state_dict(converted, strict=True, assign=True)
    skipped = skipped_names(network, tensors)
    values = sum(tensors[name].numel() for name in skipped)
    return PublishedCheckpoint(Path(file), network, arguments, converted, len(tensors), skipped, values)


def save_published(
    checkpoint: PublishedCheckpoint,
    output: str | os.PathLike[str],
    roi_size: Sequence[int],
    class_names: Sequence[str] | None = None,
    channel_order: str | None = None,
) -> Mapping[str, Any]:
    """Write converted weights, and beside them what they are and how the network sees an image.

    Args:
        checkpoint: what :func:`read_published` returned.
        output: the weight file; its sidecar has the suffix ``.json``.
        roi_size: height and width, in pixels, to which images are resized.
        class_names: in the order of the values, background first.
        channel_order: ``"RGB"`` or ``"BGR"``; ``None`` for grey images.

    Returns:
        What the sidecar says.

    Raises:
        OSError: the file cannot be written.
        ValueError: values that are not finite.
    """
    info: dict[str, Any] = {"network": checkpoint.network, **checkpoint.arguments}
    info |= {"view": "whole", "roi_size": list(roi_size)}
    if class_names:
        info["class_names"] = list(class_names)
    if channel_order:
        info["channel_order"] = channel_order
    info["source"] = {"file": checkpoint.file.name, "sha256": sha256_of(checkpoint.file)}
    return save_weights(checkpoint.tensors, output, info)


def published_channel_order(network: str, in_channels: int, out_channels: int) -> str | None:
    """Order in which the published code reads colours: OpenCV's for MoNuSeg and GlaS, Pillow's everywhere else.

    Args:
        network: its name.
        in_channels: of the images.
        out_channels: of the network.

    Returns:
        ``"BGR"``, ``"RGB"``, or ``None`` for grey images.
    """
    if in_channels == 1:
        return None
    return "BGR" if (network, in_channels, out_channels) == ("sa2net", 3, 1) else "RGB"
