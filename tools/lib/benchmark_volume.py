# SPDX-License-Identifier: Apache-2.0
"""Benchmark of a volume from file to figures: this package against the published loop, on the same network.

The case is a generated CT of the abdomen with eight organs. Both contestants load the NIfTI file, infer, save the label
map and evaluate it (Dice and HD95 per class). The published loop takes slice by slice through SciPy's zoom and the
network, and measures with MedPy. Label maps and figures are compared: with ``--view paper`` they have to be the same.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
import torch.nn.functional as F
from monai.data import MetaTensor
from monai.transforms import Compose, EnsureTyped, Invertd, ScaleIntensityRanged
from monai.utils import optional_import
from scipy.ndimage import zoom
from torch import nn

from sa2_monai.data import VolumeReader
from sa2_monai.evaluation import evaluate
from sa2_monai.inference import VolumeInferer, VolumeSaveImaged
from sa2_monai.networks import create_network
from sa2_monai.slices import SliceOrientationd, StrictLoadImaged

medpy_binary, has_medpy = optional_import("medpy.metric.binary")

STAGES = ("load", "infer", "save", "evaluate")
WINDOW = (-125.0, 275.0)
SPACING = (0.75, 0.75, 3.0)
# Class: name, HU, centre and half axes in units of the volume. Background: air and soft tissue.
ORGANS = {
    1: ("aorta", 250, (0.50, 0.40, 0.50), (0.030, 0.030, 0.70)),
    2: ("gallbladder", 5, (0.62, 0.62, 0.45), (0.040, 0.045, 0.10)),
    3: ("left kidney", 205, (0.34, 0.38, 0.40), (0.055, 0.060, 0.18)),
    4: ("right kidney", 180, (0.66, 0.38, 0.38), (0.055, 0.060, 0.18)),
    5: ("liver", 125, (0.68, 0.55, 0.62), (0.170, 0.150, 0.26)),
    6: ("pancreas", 90, (0.48, 0.56, 0.52), (0.110, 0.035, 0.08)),
    7: ("spleen", 152, (0.27, 0.46, 0.66), (0.075, 0.060, 0.14)),
    8: ("stomach", -45, (0.40, 0.68, 0.64), (0.110, 0.075, 0.16)),
}
CLASSES = ["background", *(name for name, *_ in ORGANS.values())]
TISSUE = (-1000, 45)


def main() -> int:
    args = parse_arguments()
    if args.threads:
        torch.set_num_threads(args.threads)
    network = ReadableNetwork(args.network, args.noise).eval().requires_grad_(False)
    seconds: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        image, label = make_case(Path(folder), args.size, args.slices)
        with torch.no_grad():
            network(torch.zeros(1, 1, args.roi_size, args.roi_size))  # warm for both
        for _ in range(args.turns):
            ours = run_ours(network, image, label, Path(folder), args)
            published = run_published(network, image, label, Path(folder), args)
            agreement = float((ours["labels"] == published["labels"]).mean())
            check(agreement, ours["figures"], published["figures"], args)
            for contestant, result in (("published", published), ("sa2_monai", ours)):
                for stage, value in result["seconds"].items():
                    seconds.setdefault(contestant, {}).setdefault(stage, []).append(value)
    report = summarize(seconds, args)
    report |= {"same_labels": agreement, "dice": ours["figures"][:, 0].mean(), "hd95": ours["figures"][:, 1].mean()}
    show(report)
    if args.output:
        Path(args.output).write_text(json.dumps(report, indent=2) + "\n")
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmark_volume.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--slices", type=int, default=120, help="slices of the volume")
    parser.add_argument("--size", type=int, default=512, help="rows and columns of a slice")
    parser.add_argument("--roi-size", type=int, default=224, help="rows and columns that the network sees")
    parser.add_argument("--network", default="daeformer", help="name of the network")
    parser.add_argument("--noise", action="store_true", help="label maps as the untrained network makes them")
    parser.add_argument("--view", choices=("paper", "whole"), default="paper", help="of this package")
    parser.add_argument("--batch", type=int, default=8, help="slices that this package gives to the network at once")
    parser.add_argument("--threads", type=int, help="threads of torch; default: all cores")
    parser.add_argument("--turns", type=int, default=1, help="the contestants take turns; the median counts")
    parser.add_argument("--output", help="JSON file for the figures")
    args = parser.parse_args()
    if not has_medpy:
        parser.error("the published loop measures with MedPy: pip install medpy==0.5.2")
    return args


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


def make_case(folder: Path, size: int, slices: int) -> tuple[Path, Path]:
    """Write image.nii.gz (HU, 16 bit) and label.nii.gz with axes to the left, the back and the head."""
    random = np.random.default_rng(0)
    shape = (size, size, slices)
    x, y, z = (
        np.linspace(0, 1, n, dtype=np.float32).reshape([-1 if a == i else 1 for a in range(3)])
        for i, n in enumerate(shape)
    )
    body = ((x - 0.5) / 0.46) ** 2 + ((y - 0.5) / 0.36) ** 2 < 1
    image = np.where(body, TISSUE[1], TISSUE[0]).astype(np.int16) * np.ones(shape, dtype=np.int16)
    label = np.zeros(shape, dtype=np.uint8)
    bumps = 0.06 * np.sin(23 * x) * np.sin(19 * y) * np.sin(11 * z)
    for value, (_, hu, centre, half) in ORGANS.items():
        distance = sum(((axis - c) / h) ** 2 for axis, c, h in zip((x, y, z), centre, half, strict=True))
        organ = distance + bumps < 1
        image[organ] = hu
        label[organ] = value
    image += random.normal(0, 6, shape).astype(np.int16)
    affine = np.diag([-SPACING[0], -SPACING[1], SPACING[2], 1.0])
    paths = folder / "image.nii.gz", folder / "label.nii.gz"
    for path, array in zip(paths, (image, label), strict=True):
        nib.save(nib.Nifti1Image(array, affine), path)
    return paths


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
            StrictLoadImaged("image", reader=VolumeReader(), ensure_channel_first=True, image_only=True),
            SliceOrientationd("image", "axial"),
            ScaleIntensityRanged("image", *WINDOW, 0.0, 1.0, clip=True),
            EnsureTyped(keys="image", dtype=torch.float32),
        ]
    )
    inferer = VolumeInferer(args.roi_size, args.view, slice_batch_size=args.batch, normalize=(0.5, 0.5))
    back = Invertd("pred", preprocessing, "image", nearest_interp=True, to_tensor=False)
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
    size = args.roi_size

    def load() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        file = nib.load(image)
        low, high = WINDOW
        scaled = (np.clip(np.asarray(file.dataobj, dtype=np.float32), low, high) - low) / (high - low)
        reference = np.asarray(nib.load(label).dataobj)
        return scaled.transpose(2, 0, 1), reference.transpose(2, 0, 1), file.affine

    def infer() -> np.ndarray:
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

    def measure() -> np.ndarray:
        figures = []
        for value in ORGANS:
            found, truth = prediction == value, reference == value
            if found.any() and truth.any():
                figures.append((medpy_binary.dc(found, truth), medpy_binary.hd95(found, truth)))
            else:
                figures.append((1.0 if found.any() else 0.0, 0.0))
        return np.array(figures)

    slices, reference, affine = clock("load", load)
    prediction = clock("infer", infer)
    turned = prediction.transpose(1, 2, 0).astype(np.uint8)
    clock("save", lambda: nib.save(nib.Nifti1Image(turned, affine), folder / "published.nii.gz"))
    figures = clock("evaluate", measure)
    clock.seconds["evaluate arrays"] = clock.seconds["evaluate"]
    return {"seconds": clock.seconds, "labels": turned, "figures": figures}


def check(agreement: float, ours: np.ndarray, published: np.ndarray, args: argparse.Namespace) -> None:
    if args.view == "whole":  # another label map by intention
        return
    difference = float(np.abs(ours - published).max())
    if agreement < 1 or difference > 1e-6:
        raise SystemExit(
            f"the label maps agree on {agreement:.6%} of the voxels, the figures differ by {difference}: no benchmark"
        )


def summarize(seconds: dict[str, dict[str, list[float]]], args: argparse.Namespace) -> dict[str, Any]:
    median = {name: {stage: statistics.median(times) for stage, times in one.items()} for name, one in seconds.items()}
    for one in median.values():
        one["end to end"] = sum(one[stage] for stage in STAGES)
    ratios = {stage: median["published"][stage] / median["sa2_monai"][stage] for stage in median["sa2_monai"]}
    return {
        "volume": [args.size, args.size, args.slices],
        "network": args.network,
        "view": args.view,
        "noise": args.noise,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "machine": platform.machine(),
        "seconds": median,
        "ratios": ratios,
    }


def show(report: dict[str, Any]) -> None:
    size = " x ".join(str(n) for n in report["volume"])
    print(f"{report['network']}, {size}, {len(CLASSES)} classes, view {report['view']}, {report['threads']} thread(s)")
    print(f"same labels: {report['same_labels']:.4%}; Dice {report['dice']:.4f}, HD95 {report['hd95']:.3f} voxels\n")
    print("| stage | published | sa2_monai | published / this |\n|---|---|---|---|")
    for stage, ratio in report["ratios"].items():
        published, ours = (report["seconds"][name][stage] for name in ("published", "sa2_monai"))
        print(f"| {stage} | {published:.2f} s | {ours:.2f} s | {ratio:.2f} |")


if __name__ == "__main__":
    raise SystemExit(main())
