# SPDX-License-Identifier: Apache-2.0
"""Segment pictures or volumes with a trained network and write one label map per case, on the grid of its image.

The work is done by the ``configs/inference.yaml`` of the network's bundle. What the weights carry in the file beside
them (``model.json``: channels, classes, how the network sees an image) overrides the bundle's defaults. A case that
fails does not end the others; it is named at the end, and the exit code is 1 then. Cases that an earlier run with the
same weights and options has finished are left out; ``--shard`` gives several programs a part of the cases each.

Folders are read to the bottom, and what is not used is counted in a last line, ``left out: ...``. Equal names in
several folders get the folder in front (``pat1_se1``). For a model of one channel numbered files (``scan_0000``,
``scan_0001``) are a case each; for one of N channels N of them are a case. Two models never write into one folder at
once.
"""

from __future__ import annotations

import argparse
import functools
from pathlib import Path
from typing import Any

from sa2_monai.bundle.carried import CARRIED, Carried, read_carried
from sa2_monai.bundle.cases import case_files, list_inputs
from sa2_monai.bundle.locate import find_config, load, open_bundle
from sa2_monai.bundle.workflow import choose_device, sees_volumes
from sa2_monai.cli.main import UsageError
from sa2_monai.cli.predict_batch import Batch
from sa2_monai.cli.predict_window import check_window
from sa2_monai.cli.shard import AUTO, Shard, parse_shard, shard_of_environment
from sa2_monai.io.names import file_name
from sa2_monai.io.text import printable
from sa2_monai.networks.catalogue import CATALOGUE

__all__ = ["CARRIED", "add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``sa2-monai predict``."""
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="image, folder with its sub-folders, DICOM series folder, or .txt list of paths",
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="folder; label maps come to DIR/predictions")
    parser.add_argument(
        "--bundle",
        metavar="DIR",
        help="bundle: folder, zip file or name; in a checkout that of the weights' network by default",
    )
    parser.add_argument("--weights", metavar="FILE", help="trained weights; models/model.pt of the bundle by default")
    parser.add_argument("--probabilities", action="store_true", help="write the probability maps as well")
    parser.add_argument("--overlays", action="store_true", help="draw the classes into the pictures (DIR/overlays)")
    volumes = parser.add_argument_group("volumes")
    volumes.add_argument(
        "--series",
        metavar="WHICH",
        help="of DICOM folders with several series: UID, number, modality, or a part of the description",
    )
    volumes.add_argument("--dicom-seg", action="store_true", help="write DICOM SEG beside NIfTI, for DICOM series")
    # Left out, the clean-up is that of the weights' validation; so it can be switched off, too.
    volumes.add_argument(
        "--largest-component", action=argparse.BooleanOptionalAction, help="keep the largest piece of each class"
    )
    volumes.add_argument("--fill-holes", action=argparse.BooleanOptionalAction, help="fill holes inside of structures")
    volumes.add_argument("--min-volume", type=float, metavar="MM3", help="drop pieces that are smaller; 0: none")
    volumes.add_argument("--all-axes", action="store_true", help="weights with view windows: average three directions")
    many = parser.add_argument_group("many cases")
    many.add_argument(
        "--shard", type=parse_shard, metavar="I/N", help="part I of N of the cases; auto: as torchrun or SLURM says"
    )
    many.add_argument("--again", action="store_true", help="also the cases that an earlier run has finished")
    many.add_argument("--status", action="store_true", help="predict nothing: tell what is finished, failed, missing")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="cuda when there is a GPU, else cpu, by default")
    parser.add_argument("--batch-size", type=_positive, metavar="N", help="pictures, slices or windows at once")


def run(args: argparse.Namespace) -> int:
    """Check everything that can be known before the network is built, then predict.

    Args:
        args: the parsed arguments of :func:`add_arguments`.

    Returns:
        0; 1 for ``--status`` when cases have failed or are missing. Failures are raised.

    Raises:
        UsageError: options for volumes with a model of pictures, or the other way round.
        OSError: a missing file or an output folder that cannot be written.
        ValueError: inputs, weights or bundle that do not fit; the message names the file and the cure.
    """
    with open_bundle(args.bundle or _network_of(args.weights)) as bundle:
        return _run(args, bundle)


def _run(args: argparse.Namespace, bundle: Path) -> int:
    config_file = find_config(bundle, "inference")
    weights = Path(args.weights) if args.weights else bundle / "models" / "model.pt"
    if not weights.is_file():
        from sa2_monai.bundle.large_files import missing_weights

        raise FileNotFoundError(f"{weights}: no such weights. {missing_weights(weights)}")
    shard = shard_of_environment() if args.shard == AUTO else args.shard or Shard()

    from sa2_monai.inference import check_writable

    found = read_carried(weights, bundle.name)
    _tell_carried(found, weights)
    carried = found.settings
    config = load(config_file)
    volumes = sees_volumes(config, carried)
    options = _volume_options(args, volumes)
    suffix = ".nii.gz" if volumes else ".png"
    channels, kind = (carried.get(key, config.get(key)) for key in ("in_channels", "kind"))
    cases, left_out = list_inputs(args.inputs, volumes, channels, kind)
    output = check_writable(args.output).resolve()
    predictions = output / "predictions"
    _protect_inputs(cases, predictions, suffix)
    check_window(config, carried, found.network)

    overrides: dict[str, Any] = {**carried, **options}
    if args.probabilities:
        overrides["save_probabilities"] = True
    batch = Batch(config_file, weights, overrides, cases, output, suffix)
    if args.status:
        code = batch.tell_status()
        _tell(left_out)
        return code
    overrides = {
        "bundle_root": str(bundle),
        "ckpt_path": str(weights.resolve()),
        "device": _own_device(choose_device(args.device), shard),
        **({"batch_size": args.batch_size} if args.batch_size else {}),
    }
    with batch.claim(shard):
        failure = batch.run(shard, overrides, args.again)
        if args.overlays:
            names = carried.get("class_names", config.get("class_names"))
            _draw(batch.finished(shard), predictions, output / "overlays", names)
            print(f"pictures with contours in {printable(str(output / 'overlays'))}")
    _tell(left_out)
    if failure is not None:
        raise failure
    return 0


def _tell(left_out: str) -> None:
    if left_out:
        print(left_out)


def _draw(cases: list[dict[str, Any]], predictions: Path, folder: Path, class_names: Any) -> None:
    from sa2_monai.data import read_image, read_label
    from sa2_monai.evaluation import draw_prediction
    from sa2_monai.weights import atomic_write

    for case in cases:
        name = file_name(case["case"], ".png")
        labels = read_label(predictions / name)
        classes = class_names if isinstance(class_names, list) else None  # an expression says no names
        page = draw_prediction(read_image(case["image"]), labels, case["case"], classes)
        atomic_write(folder / name, functools.partial(page.save, format="PNG"))


def _own_device(device: str, shard: Shard) -> str:
    """The GPU of this process among those that it sees."""
    if device != "cuda" or shard.local is None:
        return device
    import torch

    return f"cuda:{shard.local % torch.cuda.device_count()}"


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got {number}")
    return number


def _network_of(weights: str | None) -> str:
    """Name of the network that the weights belong to, as far as it is known; it is that of a bundle, too."""
    if weights is not None and Path(weights).with_suffix(".json").is_file():
        from sa2_monai.weights import read_info

        named = read_info(weights).get("network")
        if named in list(CATALOGUE):
            return str(named)
    return "sa2net"


def _volume_options(args: argparse.Namespace, volumes: bool) -> dict[str, Any]:
    """Overrides from the options that only volumes have."""
    options = {
        "series": args.series,
        "dicom_seg": args.dicom_seg or None,
        "largest_component": args.largest_component,
        "fill_holes": args.fill_holes,
        "min_volume": args.min_volume,
        "orientations": "all" if args.all_axes else None,
    }
    given = {key: value for key, value in options.items() if value is not None}
    if given and not volumes:
        words = ", ".join(f"--{key.replace('_', '-')}" for key in given).replace("--orientations", "--all-axes")
        raise UsageError(f"{words}: for volumes only, and this model was trained on pictures")
    if volumes and args.overlays:
        raise UsageError("--overlays: for pictures only; 'sa2-monai evaluate --images' draws slices of volumes")
    return given


def _protect_inputs(cases: list[dict[str, Any]], predictions: Path, suffix: str) -> None:
    for case in cases:
        for file in case_files([case]):
            if Path(file).resolve() == predictions / file_name(case["case"], suffix):
                raise ValueError(f"the prediction of {file} would overwrite it. Choose another --output folder.")


def _tell_carried(found: Carried, weights: Path) -> None:
    if found.sidecar is None:
        print(f"no {weights.with_suffix('.json').name} beside {weights}: the bundle's own classes and view are used")
        return
    shown = ", ".join(
        f"{key} {found.settings[key]}" for key in ("class_names", "view", "roi_size") if key in found.settings
    )
    print(f"{found.sidecar}: {shown}")
