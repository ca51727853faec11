# SPDX-License-Identifier: Apache-2.0
"""The formats of export: how a module becomes a file, and how that file is run again."""

from __future__ import annotations

import importlib.util
import io
import json
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from sa2_monai.inference.runtimes.contract import Run, need_packages
from sa2_monai.inference.runtimes.onnx_graph import PACKAGES, onnx_model, quiet, traced
from sa2_monai.inference.runtimes.onnxruntime import session_of
from sa2_monai.inference.runtimes.openvino import RUNTIME as OPENVINO
from sa2_monai.inference.runtimes.openvino import compiled
from sa2_monai.inference.runtimes.tensorrt import engine
from sa2_monai.io.atomic import atomic_write, write_atomically

__all__ = ["CONVERTERS", "Converter", "Job", "write_ir"]


@dataclass(frozen=True)
class Job:
    """What shall be exported.

    Attributes:
        module: in evaluation mode, in its final precision.
        example: an input (1, C, H, W) of that precision.
        divisor: of height and width.
        dynamic: batch, height and width may change.
        half: weights are written in half precision, also where the module is in single precision.
        extra: texts by file name that the file carries.
    """

    module: nn.Module
    example: torch.Tensor
    divisor: int
    dynamic: bool
    half: bool
    extra: dict[str, str]


class Converter(NamedTuple):
    """One format.

    Attributes:
        suffix: of the files.
        check: raises when something is missing on this machine.
        convert: writes the file and returns a function that runs it.
        single: input and output are in single precision, whatever the weights are written in.
        by_itself: runs the file in the precision that the runtime takes where nobody says one; ``None`` where that is
            the one of the file.
    """

    suffix: str
    check: Callable[[], None]
    convert: Callable[[Job, Path], Run]
    single: bool = False
    by_itself: Callable[[Path], Run] | None = None


def _to_torchscript(job: Job, path: Path) -> Run:
    """By scripting, with the extra files that ``monai.bundle ckpt_export`` writes."""
    from monai.data import save_net_with_metadata

    extra = {name: text.encode() for name, text in job.extra.items() if name != "metadata.json"}
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.*is deprecated")
        scripted = torch.jit.script(job.module)
        save_net_with_metadata(
            scripted,
            buffer,
            include_config_vals=False,
            meta_values=json.loads(job.extra["metadata.json"]),
            more_extra_files=extra,
        )
        atomic_write(path, lambda file: file.write(buffer.getbuffer()))
        loaded = torch.jit.load(str(path), map_location="cpu")
    return _without_gradients(loaded)


def _to_torch_export(job: Job, path: Path) -> Run:
    program = _program(job)
    buffer = io.BytesIO()
    with quiet("torch.export"):
        torch.export.save(program, buffer, extra_files=dict(job.extra))
        atomic_write(path, lambda file: file.write(buffer.getbuffer()))
        loaded = torch.export.load(io.BytesIO(path.read_bytes()))  # of paths, it takes only one suffix
    return _without_gradients(loaded.module())


def _to_onnx(job: Job, path: Path) -> Run:
    model = onnx_model(_program(job), job.example)
    for name, text in job.extra.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = name, text
    atomic_write(path, lambda file: file.write(model.SerializeToString(deterministic=True)))
    return session_of(str(path))


def _to_openvino(job: Job, path: Path) -> Run:
    import openvino

    graph = onnx_model(_program(job), job.example).SerializeToString(deterministic=True)
    model = openvino.Core().read_model(graph)
    for name, text in job.extra.items():
        model.set_rt_info(text, ["sa2_monai", name.replace(".", "_")])
    write_ir(model, path, job.half)
    run = compiled(openvino.Core().read_model(path), "fp32")
    return lambda image: run(image.float())


def _openvino_by_itself(path: Path) -> Run:
    """As programs load it that know nothing of this package: on some processors in bfloat16."""
    import openvino

    model = openvino.Core().compile_model(path, "CPU")
    return lambda image: torch.from_numpy(model([image.float().numpy()])[0].copy())


def write_ir(model: Any, path: Path, half: bool = False) -> None:
    """Write a model of OpenVINO: the structure (``.xml``), and beside it the weights (``.bin``).

    Args:
        model: ``openvino.Model``.
        path: of the structure.
        half: floating-point weights in half precision.

    Raises:
        OSError: a file cannot be written; the structure is the last.
    """
    import openvino

    with tempfile.TemporaryDirectory(prefix="sa2_monai_") as folder:
        written = Path(folder) / "model.xml"
        openvino.save_model(model, written, compress_to_fp16=half)
        for suffix in (".bin", ".xml"):
            write_atomically(path.with_suffix(suffix), written.with_suffix(suffix).read_bytes())


def _to_tensorrt(job: Job, path: Path) -> Run:
    import torch_tensorrt  # type: ignore[import-not-found]

    precision = {torch.float16} if job.example.dtype == torch.float16 else {torch.float32}
    example = job.example.cuda()
    on_device = Job(job.module.cuda(), example, job.divisor, job.dynamic, job.half, job.extra)
    compiled = engine(_program(on_device), example, precision)
    with tempfile.TemporaryDirectory(prefix="sa2_monai_") as folder:
        temporary = Path(folder) / "model.ep"
        torch_tensorrt.save(compiled, str(temporary), inputs=[example])
        atomic_write(path, lambda file: file.write(temporary.read_bytes()))
    loaded = torch_tensorrt.load(str(path)).module()
    return _without_gradients(lambda image: loaded(image.cuda()).cpu())


def _program(job: Job) -> Any:
    """The graph of the module, of free size where asked for."""
    return traced(job.module, job.example, job.divisor, job.dynamic)


def _without_gradients(run: Callable[[torch.Tensor], torch.Tensor]) -> Run:
    def call(image: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return run(image)

    return call


def _nothing() -> None:
    pass


def _check_onnx() -> None:
    need_packages("export to ONNX", (*PACKAGES, "onnxruntime"), "onnx")


def _check_openvino() -> None:
    need_packages("export to OpenVINO", OPENVINO.packages, "openvino")


def _check_tensorrt() -> None:
    if not torch.cuda.is_available():
        raise RuntimeError(
            "export to TensorRT needs a CUDA device on this machine: engines are built for the GPU that they run on. "
            "Export to onnx or torch-export here, and build the engine there."
        )
    if importlib.util.find_spec("torch_tensorrt") is None:
        raise ImportError("export to TensorRT needs the package torch_tensorrt, of the version of torch.")


CONVERTERS = {
    "torchscript": Converter(".ts", _nothing, _to_torchscript),
    "onnx": Converter(".onnx", _check_onnx, _to_onnx),
    "openvino": Converter(".xml", _check_openvino, _to_openvino, single=True, by_itself=_openvino_by_itself),
    "torch-export": Converter(".pt2", _nothing, _to_torch_export),
    "tensorrt": Converter(".ep", _check_tensorrt, _to_tensorrt),
}
