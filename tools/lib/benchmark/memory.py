# SPDX-License-Identifier: Apache-2.0
"""Peak memory of a volume and of a large image, from file to file, against the published order of operations.

Each row is a fresh process (Linux): its peak above what it held before the work. The network is a narrow one without
training: what networks take is in the suite ``forward``. What it and a batch of slices take is measured in the same
process with a tiny case, ``tiny_mb``; the rest, in units of the array of the file, is ``copies``. The published side
keeps the volume in single precision and its label map in double; for an image, which the publications resize when they
load it, the plain order of operations on the whole image stands in its place. Evaluation there is MedPy's, of one
class: the others come after it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
import torch.nn.functional as F
from monai.utils import optional_import
from PIL import Image

from benchmark.frame.process import in_fresh_process
from benchmark.frame.rows import Row, Skipped
from benchmark.generated.ct import make_case
from benchmark.volume import infer_published, load_published
from sa2_monai.bundle import load_bundle
from sa2_monai.bundle.comparison.machine import peak_memory
from sa2_monai.evaluation import evaluate
from sa2_monai.networks import create_network
from sa2_monai.weights import save_weights

medpy_binary, has_medpy = optional_import("medpy.metric.binary")

TINY = 9  # slices
ROI = 64
NARROW = {"embed_dims": [8, 16, 32], "channel_heads": 2}
CONTESTANTS = ("published", "sa2_monai")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Sizes of volume and image."""
    parser.add_argument("--size", type=int, default=512, help="rows and columns of a slice")
    parser.add_argument("--slices", type=int, nargs="+", default=[150, 300, 600], help="slices of the volumes")
    parser.add_argument("--classes", type=int, nargs="+", default=[2, 9], help="classes of the network")
    parser.add_argument("--evaluated", type=int, default=150, help="slices of the volume that is evaluated")
    parser.add_argument("--image", type=int, default=6000, help="rows and columns of the image")


def run(args: argparse.Namespace) -> Iterator[Row]:
    """The largest volume and the image beside the published order; volumes of other sizes; evaluation."""
    if not sys.platform.startswith("linux"):
        raise Skipped("the peak memory of a process is told by Linux alone")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        largest, most = max(args.slices), max(args.classes)
        for slices in sorted({TINY, args.evaluated, *args.slices}):
            (folder / str(slices)).mkdir()
            make_case(folder / str(slices), args.size, slices)
        for classes in sorted({2, *args.classes}):
            save_networks(folder, classes)
        shape = f"{args.size} x {args.size}"
        array = args.size**2 * 2 / 2**20
        case = f"predict {shape} x {largest}, {most} classes"
        yield from compared(case, array * largest, "volume", folder, args.size, largest, most)
        for slices in sorted(args.slices):
            for classes in sorted(args.classes):
                if (slices, classes) != (largest, most):
                    case = f"predict {shape} x {slices}, {classes} classes"
                    found = in_fresh_process(__name__, "sa2_monai_volume", str(folder), args.size, slices, classes)
                    yield row(case, "sa2_monai", array * slices, found, None)
        case = f"evaluate {shape} x {args.evaluated}"
        yield from compared(case, array / 2 * args.evaluated, "evaluation", folder, args.size, args.evaluated, 9)
        for size in (300, args.image):
            save_image(folder, size)
        array = args.image**2 * 3 / 2**20
        for view in ("whole", "windows"):
            case = f"predict {args.image} x {args.image}, RGB, {view}"
            yield from compared(case, array, "image", folder, args.image, view)


def compared(case: str, array: float, work: str, folder: Path, *arguments: Any) -> Iterator[Row]:
    """Rows of both contestants."""
    first = None
    for contestant in CONTESTANTS:
        if work == "evaluation" and contestant == "published" and not has_medpy:
            continue
        found = in_fresh_process(__name__, f"{contestant}_{work}", str(folder), *arguments)
        first = first or found[0]
        yield row(case, contestant, array, found, first / found[0])


def row(case: str, contestant: str, array: float, found: list[float], ratio: float | None) -> Row:
    """One row: the peak of the case, that of the tiny one, and what lies between them in units of the array."""
    peak, tiny = found
    sizes = {"array_mb": array, "peak_mb": peak, "tiny_mb": tiny, "copies": (peak - tiny) / array}
    return {"case": case, "contestant": contestant, "ratio": ratio, "spread": None, **sizes}


def peaks(work: Callable[[Any], Any], tiny: Any, large: Any) -> list[float]:
    """Megabytes for the large case and the tiny one, after a first time for what is loaded once."""
    work(tiny)
    small, found = (peak_memory(lambda case=case: work(case), "cpu") for case in (tiny, large))
    if small is None or found is None:
        raise SystemExit("this system does not tell the peak memory of a process")
    return [found, small]


def save_networks(folder: Path, classes: int) -> None:
    """Narrow networks of volumes, and with two classes also of images."""
    torch.manual_seed(0)
    network = create_network("daeformer", in_channels=1, out_channels=classes, **NARROW)
    names = ["background", *(f"class {number}" for number in range(1, classes))]
    info = {**NARROW, "network": "daeformer", "in_channels": 1, "out_channels": classes, "class_names": names}
    info |= {"kind": "volumes", "slice_axis": "axial", "intensity": "window", "intensity_range": [-125, 275]}
    info |= {"normalize": [0.5, 0.5], "view": "whole", "roi_size": [ROI, ROI], "resize": "spline"}
    save_weights(network.state_dict(), folder / f"volume_{classes}.pt", info)
    for view in ("whole", "windows") if classes == 2 else ():
        network = create_network("sa2net", in_channels=3, out_channels=1, base_channels=4)
        info = {"network": "sa2net", "base_channels": 4, "in_channels": 3, "out_channels": 1, "class_names": names}
        info |= {"kind": "images", "intensity": "range", "view": view, "roi_size": [256, 256], "overlap": 0.25}
        save_weights(network.state_dict(), folder / f"image_{view}.pt", info)


def save_image(folder: Path, size: int) -> None:
    """A photograph of coloured squares."""
    squares = np.random.default_rng(0).integers(0, 255, (size // 20 + 1, size // 20 + 1, 3), dtype=np.uint8)
    pixels = squares.repeat(20, axis=0).repeat(20, axis=1)[:size, :size]
    Image.fromarray(pixels).save(folder / f"{size}.png", compress_level=1)


def sa2_monai_volume(folder: str, size: int, slices: int, classes: int) -> list[float]:
    """Predict by the bundle."""
    bundle = load_bundle("daeformer", weights=Path(folder) / f"volume_{classes}.pt", device="cpu")
    files = [str(Path(folder) / str(number) / "image.nii.gz") for number in (TINY, slices)]
    return peaks(lambda file: bundle.predict(file, output_dir=Path(folder) / "ours"), *files)


def published_volume(folder: str, size: int, slices: int, classes: int) -> list[float]:
    """Load, infer slice by slice, save."""
    network = create_network("daeformer", in_channels=1, out_channels=classes, **NARROW).eval()

    def work(case: Path) -> None:
        planes, _, affine = load_published(case / "image.nii.gz", case / "label.nii.gz")
        turned = infer_published(network, planes, ROI).transpose(1, 2, 0).astype(np.uint8)
        nib.save(nib.Nifti1Image(turned, affine), case / "published.nii.gz")

    return peaks(work, Path(folder) / str(TINY), Path(folder) / str(slices))


def sa2_monai_evaluation(folder: str, size: int, slices: int, classes: int) -> list[float]:
    """The clinical protocol, distances included, of a label map with itself, read from files."""
    names = [str(number) for number in range(classes)]

    def work(case: Path) -> None:
        files = {"case": case / "label.nii.gz"}
        evaluate(files, dict(files), names)

    return peaks(work, Path(folder) / str(TINY), Path(folder) / str(slices))


def published_evaluation(folder: str, size: int, slices: int, classes: int) -> list[float]:
    """Dice and HD95 of MedPy."""

    def work(case: Path) -> None:
        _, reference, _ = load_published(case / "label.nii.gz", case / "label.nii.gz")
        prediction = reference.astype(np.float64)
        found, truth = prediction == 1, reference == 1
        medpy_binary.dc(found, truth)
        medpy_binary.hd95(found, truth)

    return peaks(work, Path(folder) / str(TINY), Path(folder) / str(slices))


def sa2_monai_image(folder: str, size: int, view: str) -> list[float]:
    """Predict by the bundle."""
    bundle = load_bundle("sa2net", weights=Path(folder) / f"image_{view}.pt", device="cpu")
    files = [str(Path(folder) / f"{number}.png") for number in (300, size)]
    return peaks(lambda file: bundle.predict(file, output_dir=Path(folder) / "ours"), *files)


def published_image(folder: str, size: int, view: str) -> list[float]:
    """The whole image in single precision; in windows by MONAI's function."""
    from monai.inferers import sliding_window_inference

    network = create_network("sa2net", in_channels=3, out_channels=1, base_channels=4).eval()

    def work(file: Path) -> None:
        pixels = np.asarray(Image.open(file), dtype=np.float32) / 255
        image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
        with torch.no_grad():
            if view == "windows":
                scores = torch.sigmoid(sliding_window_inference(image, 256, 4, network, overlap=0.25, mode="gaussian"))
            else:
                small = F.interpolate(image, (256, 256), mode="bilinear")
                scores = F.interpolate(torch.sigmoid(network(small)), image.shape[-2:], mode="bilinear")
        Image.fromarray((scores[0, 0] > 0.5).numpy().astype(np.uint8) * 255).save(file.with_suffix(".bmp"))

    return peaks(work, Path(folder) / "300.png", Path(folder) / f"{size}.png")
