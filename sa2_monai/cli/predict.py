# SPDX-License-Identifier: Apache-2.0
"""Segment pictures or volumes with a trained network and write one label map per case, on the grid of its image.

The work is done by the ``configs/inference.yaml`` of the network's bundle. What the weights carry in the file beside
them (``model.json``: channels, classes, how the network sees an image) overrides the bundle's defaults. A case that
fails does not end the others; it is named at the end, and the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sa2_monai.bundle.carried import CARRIED, Carried, read_carried
from sa2_monai.bundle.cases import case_files, list_inputs
from sa2_monai.bundle.locate import load
from sa2_monai.bundle.workflow import choose_device, run_inference, sees_volumes
from sa2_monai.cli.common import find_bundle
from sa2_monai.cli.info import NETWORKS
from sa2_monai.cli.main import UsageError

__all__ = ["CARRIED", "add_arguments", "run"]

CONFIG_NAMES = ("inference.yaml", "inference.json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``sa2-monai predict``."""
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="image, folder, DICOM series folder, or .txt list of paths"
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="folder; label maps come to DIR/predictions")
    parser.add_argument(
        "--bundle",
        metavar="DIR",
        help="bundle folder; in a checkout that of the weights' network under bundles/ by default",
    )
    parser.add_argument("--weights", metavar="FILE", help="trained weights; models/model.pt of the bundle by default")
    parser.add_argument("--probabilities", action="store_true", help="write the probability maps as well")
    parser.add_argument("--overlays", action="store_true", help="draw the contours into the pictures (DIR/overlays)")
    volumes = parser.add_argument_group("volumes")
    volumes.add_argument("--dicom-seg", action="store_true", help="write DICOM SEG beside NIfTI, for DICOM series")
    volumes.add_argument("--largest-component", action="store_true", help="keep the largest piece of each class")
    volumes.add_argument("--fill-holes", action="store_true", help="fill holes inside of structures")
    volumes.add_argument("--min-volume", type=float, metavar="MM3", help="drop pieces that are smaller")
    volumes.add_argument("--all-axes", action="store_true", help="weights with view windows: average three directions")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="cuda when there is a GPU, else cpu, by default")
    parser.add_argument("--batch-size", type=_positive, metavar="N", help="pictures, slices or windows at once")


def run(args: argparse.Namespace) -> int:
    """Check everything that can be known before the network is built, then predict.

    Args:
        args: the parsed arguments of :func:`add_arguments`.

    Returns:
        0. Failures are raised.

    Raises:
        UsageError: no ``--bundle`` outside a checkout.
        OSError: a missing file or an output folder that cannot be written.
        ValueError: inputs, weights or bundle that do not fit; the message names the file and the cure.
    """
    config_file = _find_config(args.bundle, args.weights)
    bundle = config_file.parent.parent
    weights = Path(args.weights) if args.weights else bundle / "models" / "model.pt"
    if not weights.is_file():
        raise FileNotFoundError(f"{weights}: no such weights. Train the bundle first, or give a file with --weights.")

    from sa2_monai.inference import check_roi_size, check_writable

    found = read_carried(weights, bundle.name)
    _tell_carried(found, weights)
    carried = found.settings
    volumes = sees_volumes(load(config_file), carried)
    options = _volume_options(args, volumes)
    suffix = ".nii.gz" if volumes else ".png"
    cases = list_inputs(args.inputs, volumes, carried.get("in_channels"))
    output = check_writable(args.output).resolve()
    predictions = output / "predictions"
    _protect_inputs(cases, predictions, suffix)
    if carried.get("roi_size") is not None:
        divisor = next((entry.size_divisor for entry in NETWORKS if entry.name == found.network), 1)
        check_roi_size(carried["roi_size"], divisor)

    overrides: dict[str, Any] = {
        **carried,
        **options,
        "bundle_root": str(bundle),
        "ckpt_path": str(weights.resolve()),
        "image_source": case_files(cases),
        "output_dir": str(output),
        "device": choose_device(args.device),
    }
    if args.batch_size:
        overrides["batch_size"] = args.batch_size
    if args.probabilities:
        overrides["save_probabilities"] = True

    def report(item: Mapping[str, Any]) -> None:
        print(f"{item['image'].meta['filename_or_obj']} -> {predictions / item['case']}{suffix}", flush=True)

    run_inference(config_file, overrides, report)
    what = "label map" if volumes else "mask"
    print(f"{len(cases)} {what}{'' if len(cases) == 1 else 's'} in {predictions}")
    if args.overlays:
        _draw(cases, predictions, output / "overlays")
        print(f"pictures with contours in {output / 'overlays'}")
    return 0


def _draw(cases: list[dict[str, Any]], predictions: Path, folder: Path) -> None:
    from sa2_monai.data import read_image, read_label
    from sa2_monai.evaluation import draw_prediction
    from sa2_monai.weights import atomic_write

    for case in cases:
        name = f"{case['case']}.png"
        page = draw_prediction(read_image(case["image"]), read_label(predictions / name), case["case"])
        atomic_write(folder / name, functools.partial(page.save, format="PNG"))


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got {number}")
    return number


def _find_config(bundle: str | None, weights: str | None) -> Path:
    """The inference configuration of the bundle that was asked for, or of the one that the weights belong to."""
    network = "sa2net"
    if bundle is None and weights is not None and Path(weights).with_suffix(".json").is_file():
        from sa2_monai.weights import read_info

        named = read_info(weights).get("network")
        network = named if named in [entry.name for entry in NETWORKS] else network
    folder = find_bundle(bundle, network)
    for name in CONFIG_NAMES:
        if (folder / "configs" / name).is_file():
            return folder / "configs" / name
    raise FileNotFoundError(
        f"{folder} is not a bundle: it has no configs/{CONFIG_NAMES[0]}. Give the folder of a bundle with --bundle."
    )


def _volume_options(args: argparse.Namespace, volumes: bool) -> dict[str, Any]:
    """Overrides from the options that only volumes have."""
    options = {
        "dicom_seg": args.dicom_seg,
        "largest_component": args.largest_component,
        "fill_holes": args.fill_holes,
        "min_volume": args.min_volume,
        "orientations": "all" if args.all_axes else None,
    }
    given = {key: value for key, value in options.items() if value not in (None, False)}
    if given and not volumes:
        words = ", ".join(f"--{key.replace('_', '-')}" for key in given).replace("--orientations", "--all-axes")
        raise UsageError(f"{words}: for volumes only, and this model was trained on pictures")
    if volumes and args.overlays:
        raise UsageError("--overlays: for pictures only; 'sa2-monai evaluate --images' draws slices of volumes")
    return given


def _protect_inputs(cases: list[dict[str, Any]], predictions: Path, suffix: str) -> None:
    for case in cases:
        for file in case_files([case]):
            if Path(file).resolve() == predictions / f"{case['case']}{suffix}":
                raise ValueError(f"the prediction of {file} would overwrite it. Choose another --output folder.")


def _tell_carried(found: Carried, weights: Path) -> None:
    if found.sidecar is None:
        print(f"no {weights.with_suffix('.json').name} beside {weights}: the bundle's own classes and view are used")
        return
    shown = ", ".join(
        f"{key} {found.settings[key]}" for key in ("class_names", "view", "roi_size") if key in found.settings
    )
    print(f"{found.sidecar}: {shown}")
