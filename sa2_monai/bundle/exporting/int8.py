# SPDX-License-Identifier: Apache-2.0
"""Networks in whole numbers of 8 bits for OpenVINO, with what that costs: post-training quantisation by NNCF."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sa2_monai.bundle.exporting.converters import write_ir
from sa2_monai.bundle.exporting.export import Exported, default_path, export_network
from sa2_monai.bundle.loaded import LoadedBundle, load_bundle
from sa2_monai.bundle.run.evaluate import data_of
from sa2_monai.bundle.verbatim import verbatim
from sa2_monai.evaluation.comparison import compare
from sa2_monai.inference.runtimes.contract import Run, need_packages
from sa2_monai.inference.runtimes.openvino import RUNTIME, compiled

__all__ = ["MOST_LOST", "MOST_SLICES", "Int8Report", "export_int8"]

#: Slices, or windows, from which the ranges of whole numbers are taken.
MOST_SLICES = 300
#: Mean Dice that may be lost, 0 to 1: half a point.
MOST_LOST = 0.005
_PACKAGES = (*RUNTIME.packages, "nncf")
_SEED = 0


@dataclass(frozen=True)
class Int8Report:
    """What the whole numbers cost.

    Attributes:
        slices: on which they were calibrated.
        section: part of the data on which both were scored.
        cases: their number.
        dice: mean over the classes of the whole numbers.
        fp32: that of the network in PyTorch.
        difference: the first minus the second.
        ci95_low: of the difference, by the paired bootstrap over cases; ``None`` for one case.
        ci95_high: see there.
        bytes: of the files.
        fp32_bytes: of the same in single precision.
    """

    slices: int
    section: str
    cases: int
    dice: float
    fp32: float
    difference: float
    ci95_low: float | None
    ci95_high: float | None
    bytes: int
    fp32_bytes: int

    @property
    def passed(self) -> bool:
        """Whether Dice has fallen by less than :data:`MOST_LOST`."""
        return self.difference > -MOST_LOST

    def as_dict(self) -> dict[str, Any]:
        """The report for JSON."""
        return {**asdict(self), "passed": self.passed}

    def text(self) -> str:
        """A line for people; Dice in percent."""
        interval = ""
        if self.ci95_low is not None and self.ci95_high is not None:
            interval = f" (95 % interval {100 * self.ci95_low:+.2f} to {100 * self.ci95_high:+.2f})"
        return (
            f"int8, calibrated on {self.slices} slices: Dice {100 * self.dice:.2f}, fp32 {100 * self.fp32:.2f}, "
            f"difference {100 * self.difference:+.2f} points{interval} on {self.cases} {self.section} cases; "
            f"{self.bytes:,} bytes instead of {self.fp32_bytes:,}"
        )


def export_int8(
    bundle: str | os.PathLike[str],
    data: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = None,
    output: str | os.PathLike[str] | None = None,
    dataset: str | os.PathLike[str] | None = None,
) -> tuple[Exported, Int8Report]:
    """Export a network to OpenVINO in whole numbers, score it beside the network, and keep it where it is as good.

    The ranges come from what the network sees of the training part: slices and windows after the bundle's own
    preprocessing. Both are scored on the test part, or the validation part where there is no other.

    Args:
        bundle: folder of a bundle.
        data: folder of the data, with references.
        weights: see :func:`~sa2_monai.bundle.exporting.export.export_network`, as the two others.
        output: the structure, ``.xml``; by default ``<weights>_int8.xml`` beside the weights.
        dataset: see there.

    Returns:
        The file with the comparison of the graph in fp32, and the report. A file that is not good enough is not there.

    Raises:
        FileNotFoundError, OSError: no weights or data, or a file that cannot be written.
        ImportError: a package is missing.
        ValueError: data that do not fit, or whose parts are empty.
    """
    need_packages("export in int8", _PACKAGES, "int8")
    os.environ.setdefault("NNCF_CI", "1")  # else it would report its use over the network
    import nncf
    import openvino

    loaded = load_bundle(bundle, weights, device="cpu")
    where, switches = data_of(loaded, data)
    section, scored = _scored_part(loaded, where, switches)
    with tempfile.TemporaryDirectory(prefix="sa2_monai_int8_") as place:
        whole = export_network(bundle, weights, "openvino", Path(place) / "fp32.xml", dataset)
        seen = _seen_slices(loaded, where, switches)
        print(f"calibrating on {len(seen)} slices of the training part", flush=True)
        model = nncf.quantize(
            openvino.Core().read_model(whole.path),
            nncf.Dataset(seen, lambda image: image.numpy()),
            preset=nncf.QuantizationPreset.MIXED,
            subset_size=len(seen),
        )
        file = Path(place) / "int8.xml"
        write_ir(model, file)
        network = _Calculated(compiled(openvino.Core().read_model(file), "auto"))
        print(f"scoring both on {len(scored)} {section} cases", flush=True)
        of_int8: dict[str, Any] = {"network": network, "load_pretrain": False}
        results = [
            loaded.evaluate(where, output_dir=Path(place) / name, cases=scored, overlays=0, **switches, **more)
            for name, more in (("int8", of_int8), ("fp32", {}))
        ]
        dice = compare(results[0], results[1], ["dice"])["overall"]["dice"]
        report = Int8Report(
            slices=len(seen),
            section=section,
            cases=len(scored),
            dice=dice["a"],
            fp32=dice["b"],
            difference=dice["difference"],
            ci95_low=dice["ci95_low"],
            ci95_high=dice["ci95_high"],
            bytes=_size(file),
            fp32_bytes=_size(whole.path),
        )
        assert loaded.weights is not None  # they have been scored
        path = Path(output) if output is not None else default_path(loaded.weights, "_int8.xml")
        if whole.parity.passed and report.passed:
            model.set_rt_info(json.dumps(report.as_dict()), ["sa2_monai", "int8"])
            write_ir(model, path)
    return Exported(path, whole.parity), report


def _scored_part(loaded: LoadedBundle, where: Any, switches: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """The part on which both are scored, which has to be there."""
    for section in ("test", "validation"):
        if cases := loaded.cases(where, section=section, **switches):
            return section, cases
    raise ValueError(f"{where} has neither a test nor a validation part, on which int8 could be scored.")


def _seen_slices(loaded: LoadedBundle, where: Any, switches: Mapping[str, Any]) -> list[torch.Tensor]:
    """Images (1, C, H, W) that the network sees of the training part, equally many of each case where it has them."""
    parser = loaded.evaluation_parser(where, **{**switches, "ckpt_path": verbatim(str(loaded.weights))})
    read, inferer, channels = map(
        parser.get_parsed_content, ("validate#preprocessing", "validate#inferer", "out_channels")
    )
    cases = loaded.cases(where, section="training", **switches)
    if not cases:
        raise ValueError(f"{where} has no training part, on which int8 could be calibrated.")
    chosen = _spread(cases, MOST_SLICES)
    room = -(-MOST_SLICES // len(chosen))
    seen: list[torch.Tensor] = []
    for case in chosen:
        looker = _Looker(channels)
        inferer(read(dict(case))["image"][None], looker.eval())  # in training mode a single image would come twice
        seen += _spread([image for batch in looker.seen for image in batch.split(1)], room)
    return _spread(seen, MOST_SLICES)


def _spread(items: Sequence[Any], most: int) -> list[Any]:
    """At most so many of them, drawn at random, in their order."""
    if len(items) <= most:
        return list(items)
    return [items[index] for index in sorted(np.random.default_rng(_SEED).permutation(len(items))[:most])]


class _Looker(nn.Module):
    """Notes what a network would see."""

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.seen: list[torch.Tensor] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Background everywhere."""
        self.seen.append(images.clone())
        return torch.zeros(len(images), self.out_channels, *images.shape[2:])


class _Calculated(nn.Module):
    """A network that OpenVINO calculates, image by image."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits of the images."""
        return torch.cat([self.run(image) for image in images.split(1)])


def _size(path: Path) -> int:
    return path.stat().st_size + path.with_suffix(".bin").stat().st_size
