# SPDX-License-Identifier: Apache-2.0
"""The graph of a network: as torch.export sees it, and as ONNX has it."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import torch
from torch import nn

from sa2_monai.inference.runtimes.artefacts import artefact_key, cached
from sa2_monai.inference.runtimes.contract import Job
from sa2_monai.version import __version__

__all__ = ["INPUT", "PACKAGES", "cached_graph", "onnx_model", "quiet", "traced"]

#: Needed to write the graph.
PACKAGES = ("onnx", "onnxscript")
INPUT, OUTPUT = "image", "pred"


def traced(network: nn.Module, example: torch.Tensor, divisor: int = 1, dynamic: bool = False) -> Any:
    """The ``torch.export.ExportedProgram`` of a network.

    Args:
        network: in evaluation mode.
        example: images (B, C, H, W).
        divisor: of height and width.
        dynamic: batch, height and width may change.
    """
    if not dynamic:
        return torch.export.export(network, (example,))
    height, width = (torch.export.Dim(side, min=1, max=1024) for side in ("height", "width"))
    batch = torch.export.Dim("batch", min=1, max=1024)
    # A batch of one, or sides that are equal or one unit long, would be taken for constants.
    rows, columns = (max(side, 2 * divisor) for side in example.shape[2:])
    columns += divisor * (rows == columns)
    larger = nn.functional.interpolate(example.float(), size=(rows, columns)).to(example.dtype)
    shapes = ({0: batch, 2: divisor * height, 3: divisor * width},)
    return torch.export.export(network, (larger.repeat(2, 1, 1, 1),), dynamic_shapes=shapes)


def onnx_model(program: Any, example: torch.Tensor) -> Any:
    """The ``onnx.ModelProto`` of a program, weights included, with the input ``image`` and the output ``pred``.

    Args:
        program: see :func:`traced`.
        example: images (B, C, H, W).
    """
    import onnx

    with (
        tempfile.TemporaryDirectory(prefix="sa2_monai_") as folder,
        warnings.catch_warnings(),
        quiet("onnxscript", "onnx_ir", "torch.onnx"),
    ):
        warnings.simplefilter("ignore")  # of the exporter's own internals
        temporary = os.path.join(folder, "model.onnx")
        torch.onnx.export(
            program,
            (example,),
            temporary,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamo=True,
            verbose=False,
            external_data=False,
        )
        return onnx.load(temporary)


def cached_graph(job: Job) -> tuple[bytes, bool]:
    """The ONNX file of a network for images of one size, from the cache where it is there.

    Args:
        job: the network and the images.

    Returns:
        The content of the file, and whether it comes from the cache.
    """

    def make() -> bytes:
        model = onnx_model(traced(job.network, job.example), job.example)
        return bytes(model.SerializeToString(deterministic=True))

    versions = [__version__, *(f"{name} {metadata.version(name)}" for name in ("torch", *PACKAGES))]
    key = artefact_key(job.network, job.example.shape, versions)
    return cached(f"{key[:32]}.onnx.sha256", make, job.renew)


@contextlib.contextmanager
def quiet(*names: str) -> Iterator[None]:
    """Exporters log what their own passes leave out; nobody can do anything about that.

    Args:
        names: of loggers, which tell errors alone meanwhile.
    """
    levels = {name: logging.getLogger(name).level for name in names}
    try:
        for name in names:
            logging.getLogger(name).setLevel(logging.ERROR)
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
