# SPDX-License-Identifier: Apache-2.0
"""Benchmark of a volume from file to figures: this package against the published loop, on the same weights.

The case is a generated CT of the abdomen with eight organs. Both contestants load the NIfTI file, infer, save the label
map and evaluate it (Dice and HD95 per class). The published loop takes slice by slice through SciPy's zoom and the
network in its published order of operations, and measures with MedPy; this package accelerates the network, as
``predict`` does. Label maps and figures are compared: with ``--view paper`` they have to be the same.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
import torch.nn.functional as F
from monai.data import MetaTensor
from monai.transforms import Compose
from monai.utils import optional_import
from scipy.ndimage import zoom
from torch import nn

from benchmark.contestants.networks import contiguous, published_form
from benchmark.frame.rows import Row, Skipped
from benchmark.frame.turns import compared
from benchmark.generated.ct import CLASSES, ORGANS, TISSUE, WINDOW, make_case
from sa2_monai.evaluation import evaluate
from sa2_monai.inference import VolumeInferer, VolumeSaveImaged
from sa2_monai.networks import create_network
from sa2_monai.networks.accelerate import accelerate
from sa2_monai.slices import load_image, orient_slices, restore_orientation, scale_intensity

medpy_binary, has_medpy = optional_import("medpy.metric.binary")

STAGES = ("load", "infer", "save", "evaluate")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Volume and network."""
    parser.add_argument("--slices", type=int, default=120, help="slices of the volume")
    parser.add_argument("--size", type=int, default=512, help="rows and columns of a slice")
    parser.add_argument("--roi-size", type=int, default=224, help="rows and columns that the network sees")
    parser.add_argument("--network", default="daeformer", help="name of the network")
    parser.add_argument("--noise", action="store_true", help="label maps as the untrained network makes them")
    parser.add_argument("--view", choices=("paper", "whole"), default="paper", help="of this package")
    parser.add_argument("--batch", type=int, default=8, help="slices that this package gives to the network at once")
    parser.add_argument(
        "--inferer", nargs="+", default=[], metavar="KEY=VALUE", help="more keywords of this package's VolumeInferer"
    )
    parser.add_argument("--turns", type=int, default=2, help="the contestants take turns; the median counts")


def run(args: argparse.Namespace) -> Iterator[Row]:
    """Rows of each stage and of all together."""
    if not has_medpy:
        raise Skipped("the published loop measures with MedPy: pip install medpy==0.5.2")
    network, published = (ReadableNetwork(args.network, args.noise).eval().requires_grad_(False) for _ in range(2))
    network.network = accelerate(network.network)
    published.network = published_form(args.network, contiguous(published.network)).eval()
    seconds: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        image, label = make_case(Path(folder), args.size, args.slices)
        with torch.no_grad():
            for one in (network, published):
                one(torch.zeros(1, 1, args.roi_size, args.roi_size))  # warm
        for _ in range(args.turns):
            results = {
                "published": run_published(published, image, label, Path(folder), args),
                "sa2_monai": run_ours(network, image, label, Path(folder), args),
            }
            same = check(results["sa2_monai"], results["published"], args)
            for contestant, result in results.items():
                result["seconds"]["end to end"] = sum(result["seconds"][stage] for stage in STAGES)
                for stage, value in result["seconds"].items():
                    seconds.setdefault(stage, {}).setdefault(contestant, []).append(value)
    case = f"{args.network}, {args.size} x {args.size} x {args.slices}, {len(CLASSES)} classes, view {args.view}"
    case += "".join(f", {keyword}" for keyword in args.inferer)
    for stage, times in seconds.items():
        for contestant, row in compared(times).items():
            yield {"case": f"{case}: {stage}", "contestant": contestant, **row, "same_labels": same}


class ReadableNetwork(nn.Module):
    """A network without training whose label maps look trained: the class is read from smoothed intensities.

    The network does all of its work, and its logits count, but too little to change a class. Noise instead of organs
    has surfaces everywhere, and evaluation would measure something that no clinic sees; ``noise`` asks for it.
    """

    def __init__(self, name: str, noise: bool = False) -> None:
        super().__init__()
        self.noise = noise
        torch.manual_seed(0)
        self.network = create_network(name, in_channels=1, out_channels=len(CLASSES))
        levels = [TISSUE, *((hu,) for _, hu, *_ in ORGANS.values())]
        scaled = [((np.clip(hu, *WINDOW) - WINDOW[0]) / (WINDOW[1] - WINDOW[0]) - 0.5) / 0.5 for hu in levels]
        self.levels = [torch.tensor(one, dtype=torch.float32).reshape(1, -1, 1, 1) for one in scaled]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits (B, 9, H, W) of images (B, 1, H, W)."""
        if self.noise:
            return self.network(x)
        # Negative distance to the nearest level of each class.
        scores = torch.cat([-(x - level).abs().amin(dim=1, keepdim=True) for level in self.levels], dim=1)
        votes = F.avg_pool2d((scores * 60).softmax(dim=1), 5, stride=1, padding=2)
        return votes * 20 + torch.tanh(self.network(x)) * 1e-3


class Clock:
    """Seconds of the stages, one after the other."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, stage: str, work: Callable[[], Any]) -> Any:
        """Return what ``work`` returns, and note its seconds."""
        start = time.perf_counter()
        result = work()
        self.seconds[stage] = time.perf_counter() - start
        return result


def run_ours(network: nn.Module, image: Path, label: Path, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Load, infer, save and evaluate as the bundles do."""
    clock = Clock()
    preprocessing = Compose(
        [
            load_image("volumes", as_stored=True),
            orient_slices("volumes", keys="image"),
            scale_intensity("volumes", "window", WINDOW),
        ]
    )
    more = dict(keyword.split("=", 1) for keyword in args.inferer)
    inferer = VolumeInferer(args.roi_size, args.view, slice_batch_size=args.batch, normalize=(0.5, 0.5), **more)
    back = restore_orientation("volumes", preprocessing)
    saver = VolumeSaveImaged("pred", output_dir=folder / "ours")

    def save(pred: MetaTensor) -> Path:
        inverted = back({"image": data["image"], "pred": pred, "case": "case"})
        saver(inverted)
        return folder / "ours" / "case.nii.gz"

    data = clock("load", lambda: preprocessing({"image": str(image)}))
    pred = clock("infer", lambda: inferer(data["image"][None], network))[0]
    path = clock("save", lambda: save(pred))
    result = clock("evaluate", lambda: evaluate({"case": path}, {"case": label}, CLASSES, "paper", family="volume"))
    figures = np.array([[row["dice"], row["hd95"]] for row in result.per_case])
    # Arrays in memory, as MedPy is given them: evaluation alone, without the reading of files.
    arrays = [np.asarray(nib.load(one).dataobj).astype(np.uint8) for one in (path, label)]
    clock(
        "evaluate arrays",
        lambda: evaluate({"case": arrays[0]}, {"case": arrays[1]}, CLASSES, "paper", family="volume"),
    )
    return {"seconds": clock.seconds, "labels": arrays[0], "figures": figures}


def run_published(
    network: nn.Module, image: Path, label: Path, folder: Path, args: argparse.Namespace
) -> dict[str, Any]:
    """The order of operations of the published test programs (specification of the evaluation, section 7.1)."""
    clock = Clock()

    def measure() -> np.ndarray:
        figures = []
        for value in ORGANS:
            found, truth = prediction == value, reference == value
            if found.any() and truth.any():
                figures.append((medpy_binary.dc(found, truth), medpy_binary.hd95(found, truth)))
            else:
                figures.append((1.0 if found.any() else 0.0, 0.0))
        return np.array(figures)

    slices, reference, affine = clock("load", lambda: load_published(image, label))
    prediction = clock("infer", lambda: infer_published(network, slices, args.roi_size))
    turned = prediction.transpose(1, 2, 0).astype(np.uint8)
    clock("save", lambda: nib.save(nib.Nifti1Image(turned, affine), folder / "published.nii.gz"))
    figures = clock("evaluate", measure)
    clock.seconds["evaluate arrays"] = clock.seconds["evaluate"]
    return {"seconds": clock.seconds, "labels": turned, "figures": figures}


def load_published(image: Path, label: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Slices (z, x, y) in a window, those of the reference, and the affine."""
    file = nib.load(image)
    low, high = WINDOW
    scaled = (np.clip(np.asarray(file.dataobj, dtype=np.float32), low, high) - low) / (high - low)
    reference = np.asarray(nib.load(label).dataobj)
    return scaled.transpose(2, 0, 1), reference.transpose(2, 0, 1), file.affine


def infer_published(network: nn.Module, slices: np.ndarray, size: int) -> np.ndarray:
    """Class numbers (z, x, y), in double precision as there."""
    prediction = np.zeros(slices.shape, dtype=np.float64)
    for index, plane in enumerate(slices):
        rows, columns = plane.shape
        other = (rows, columns) != (size, size)
        x = zoom(plane, (size / rows, size / columns), order=3) if other else plane
        with torch.no_grad():
            logits = network((torch.from_numpy(x).float()[None, None] - 0.5) / 0.5)
        labels = torch.softmax(logits, dim=1).argmax(dim=1)[0].numpy()
        prediction[index] = zoom(labels, (rows / size, columns / size), order=0) if other else labels
    return prediction


def check(ours: dict[str, Any], published: dict[str, Any], args: argparse.Namespace) -> float:
    """Share of voxels with the same label; an end where label maps or figures differ that have to be the same."""
    agreement = float((ours["labels"] == published["labels"]).mean())
    difference = float(np.abs(ours["figures"] - published["figures"]).max())
    # the view "whole" makes another label map by intention; lower precision changes a voxel here and there
    if agreement < 0.98 if args.inferer else args.view == "paper" and (agreement < 1 or difference > 1e-6):
        raise SystemExit(
            f"the label maps agree on {agreement:.6%} of the voxels, the figures differ by {difference}: no benchmark"
        )
    return agreement
