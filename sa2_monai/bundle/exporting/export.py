# SPDX-License-Identifier: Apache-2.0
"""Networks with their weights for other runtimes: TorchScript, ONNX, OpenVINO, torch.export, TensorRT."""

from __future__ import annotations

import copy
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from sa2_monai.bundle.exporting.converters import CONVERTERS, Job
from sa2_monai.bundle.exporting.label_network import LabelNetwork
from sa2_monai.bundle.exporting.parity import ParityReport, check_parity
from sa2_monai.bundle.included import is_included
from sa2_monai.bundle.locate import dataset_overlay, find_config, load
from sa2_monai.bundle.network import build_network, metadata_of, resolve
from sa2_monai.bundle.packaging.large_files import missing_weights
from sa2_monai.bundle.sidecar import apply_settings, read_sidecar
from sa2_monai.bundle.trust.consent import trust_if
from sa2_monai.inference.agreement import smooth_images
from sa2_monai.slices import check_roi_size
from sa2_monai.weights import weight_file

__all__ = ["FORMATS", "Exported", "default_path", "export_network"]

FORMATS = tuple(CONVERTERS)


class Exported(NamedTuple):
    """File of an exported network and its comparison with the network."""

    path: Path
    parity: ParityReport


def export_network(
    bundle: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    to: str = "torchscript",
    output: str | os.PathLike[str] | None = None,
    dataset: str | os.PathLike[str] | None = None,
    half: bool = False,
    dynamic: bool = False,
    labels: bool = False,
    size: tuple[int, int] | None = None,
    trust: bool = False,
) -> Exported:
    """Export the network of a bundle and compare the written file, loaded again, with the network.

    The network takes what the bundle's preprocessing makes of an image (for networks with ``normalize``, after that)
    and gives logits, or labels.

    Args:
        bundle: folder of a bundle.
        weights: trained weights; ``models/model.pt`` of the bundle by default.
        to: a name of :data:`FORMATS`.
        output: the file; by default beside the weights, with the suffix of the format. Weights that lie in a bundle of
            the package have no such default.
        dataset: overlay of the bundle, as in training; not needed where the weights carry their settings.
        half: parameters, input and logits in half precision; of OpenVINO only the parameters.
        dynamic: batch, height and width may change, in the multiples that the network allows; TorchScript always lets
            them, others have the batch 1 and the size of training otherwise.
        labels: compile the choice of the class into the network: labels (N, 1, H, W), ``uint8``.
        size: height and width, instead of those of training.
        trust: see :func:`~sa2_monai.bundle.load_bundle`.

    Returns:
        The file and the comparison; whether that passed is for the caller to look at.

    Raises:
        FileNotFoundError, OSError: no weights, or a file that cannot be written.
        ImportError: a package that the format needs is missing.
        RuntimeError: TensorRT without a GPU.
        UntrustedBundleError: a ``ValueError``; see ``trust``.
        ValueError: an unknown format, weights or a size that do not fit.
    """
    if to not in CONVERTERS:
        raise ValueError(f"unknown format {to!r}; known: {', '.join(FORMATS)}.")
    converter = CONVERTERS[to]
    converter.check()
    folder = Path(bundle)
    file = folder / "models" / "model.pt" if weights is None else weight_file(weights)
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such weights. {missing_weights(file)}")
    ending = f"{'_labels' if labels else ''}{'_half' if half else ''}{converter.suffix}"
    path = Path(output) if output is not None else default_path(file, ending)
    trust_if(trust, folder)
    overlay = [] if dataset is None else [dataset_overlay(folder, dataset)]
    trust_if(trust, *overlay)
    sidecar = read_sidecar(file, folder.name)
    config = apply_settings(load(find_config(folder, "inference"), *overlay), sidecar)
    network = build_network(config, file)
    roi_size, in_channels, out_channels, normalize = resolve(
        config, *("roi_size", "in_channels", "out_channels", "normalize")
    )
    divisor = int(getattr(network, "divisor", 1))
    rows, columns = check_roi_size(size or roi_size, divisor)
    shapes = [[1, in_channels, rows, columns]]
    if dynamic or to == "torchscript":
        # Another size, unlike in height and width, and a batch.
        shapes.append([2, in_channels, rows + divisor, columns + 2 * divisor])
    module: nn.Module = copy.deepcopy(network)
    if labels:
        module = LabelNetwork(module, out_channels)
    images = smooth_images(shapes, normalize)
    half_input = half and not converter.single
    job = Job(
        module=(module.half() if half_input else module).eval(),
        example=images[0].half() if half_input else images[0],
        divisor=divisor,
        dynamic=dynamic,
        half=half,
        extra={
            "metadata.json": json.dumps(_metadata(folder, config, in_channels, out_channels, labels, half_input)),
            "inference.json": json.dumps(config),
        },
    )
    with torch.no_grad():
        exported = converter.convert(job, path)
    parity = check_parity(network, exported, images, to, labels, half)
    if converter.by_itself is not None:
        own = check_parity(network, converter.by_itself(path), images, to, labels, half=True)
        parity = replace(parity, by_itself=own.equal_classes)
    return Exported(path, parity)


def default_path(weights: Path, ending: str) -> Path:
    """Where an exported network comes to by default: beside its weights.

    Args:
        weights: the weight file.
        ending: what follows its name, suffix included.

    Raises:
        ValueError: weights of the package, beside which nothing is written.
    """
    if is_included(weights):
        raise ValueError(f"{weights} lies in a bundle of the package, where nothing is written. Give the output file.")
    return weights.with_name(f"{weights.stem}{ending}")


def _metadata(
    folder: Path, config: dict[str, Any], in_channels: int, out_channels: int, labels: bool, half: bool
) -> dict[str, Any]:
    """Metadata of the bundle, with what this network takes and gives."""
    metadata = metadata_of(folder)
    formats = metadata.get("network_data_format", {})
    image, pred = formats.get("inputs", {}).get("image", {}), formats.get("outputs", {}).get("pred", {})
    (names,) = resolve(config, "class_names")
    image.update(num_channels=in_channels, dtype="float16" if half else "float32")
    pred.update(num_channels=1 if labels else out_channels, dtype="uint8" if labels else image["dtype"])
    pred["channel_def"] = {str(number): name for number, name in enumerate(names)}
    if labels:
        pred.update(format="labels", value_range=[0, len(names) - 1])
    return metadata
