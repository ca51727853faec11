# SPDX-License-Identifier: Apache-2.0
"""Segment pictures or volumes with a trained network and write one label map per case, on the grid of its image.

The work is done by the ``configs/inference.yaml`` of the network's bundle. What the weights carry in the file beside
them (``model.json``: channels, classes, how the network sees an image) overrides the bundle's defaults. A case that
fails does not end the others; it is named at the end, and the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sa2_monai.cli.common import find_bundle
from sa2_monai.cli.info import NETWORKS
from sa2_monai.cli.main import UsageError

__all__ = ["CARRIED", "add_arguments", "run"]

# What a model knows about itself, under the ids that inference.yaml uses too.
CARRIED = (
    *("in_channels", "out_channels", "class_names", "view", "roi_size", "overlap", "intensity", "channel_order"),
    *("slice_axis", "intensity_range", "normalize", "pixdim"),
    *("base_channels", "deep_level", "img_size", "embed_dims", "channel_heads", "window_size"),
    *("stem_channels", "encoder_channels", "encoder_depths", "channel_attention_heads"),
)
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

    volumes = _sees_volumes(config_file)
    options = _volume_options(args, volumes)
    suffix = ".nii.gz" if volumes else ".png"
    cases = _list_cases(args.inputs, volumes)
    output = check_writable(args.output).resolve()
    predictions = output / "predictions"
    _protect_inputs(cases, predictions, suffix)
    carried, network = _read_carried(weights, bundle.name)
    if carried.get("roi_size") is not None:
        divisor = next((entry.size_divisor for entry in NETWORKS if entry.name == network), 1)
        check_roi_size(carried["roi_size"], divisor)

    overrides: dict[str, Any] = {
        **carried,
        **options,
        "bundle_root": str(bundle),
        "ckpt_path": str(weights.resolve()),
        "image_source": [case["image"] for case in cases],
        "output_dir": str(output),
        "device": _choose_device(args.device),
    }
    if args.batch_size:
        overrides["batch_size"] = args.batch_size
    if args.probabilities:
        overrides["save_probabilities"] = True
    # MONAI warns that there is no logging file, and Ignite logs every exception that ends a run; it is reported anyway.
    with _log_level("monai.bundle.workflows", logging.ERROR), _log_level("ignite", logging.CRITICAL):
        _run_bundle(config_file, overrides, predictions, suffix)
    what = "label map" if volumes else "mask"
    print(f"{len(cases)} {what}{'' if len(cases) == 1 else 's'} in {predictions}")
    if args.overlays:
        _draw(cases, predictions, output / "overlays")
        print(f"pictures with contours in {output / 'overlays'}")
    return 0


def _draw(cases: list[dict[str, str]], predictions: Path, folder: Path) -> None:
    from sa2_monai.data import read_image, read_label
    from sa2_monai.evaluation import draw_prediction
    from sa2_monai.weights import atomic_write

    for case in cases:
        name = f"{case['case']}.png"
        page = draw_prediction(read_image(case["image"]), read_label(predictions / name), case["case"])
        atomic_write(folder / name, functools.partial(page.save, format="PNG"))


@contextlib.contextmanager
def _log_level(name: str, level: int) -> Iterator[None]:
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)


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


def _sees_volumes(config_file: Path) -> bool:
    from monai.bundle import ConfigParser

    return "slice_axis" in ConfigParser.load_config_file(config_file)


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
        raise UsageError(f"{words}: for volumes only, and this is a bundle for pictures")
    if volumes and args.overlays:
        raise UsageError("--overlays: for pictures only; 'sa2-monai evaluate --images' draws slices of volumes")
    return given


def _list_cases(inputs: list[str], volumes: bool) -> list[dict[str, str]]:
    from sa2_monai.data import list_images, list_volumes

    list_cases = list_volumes if volumes else list_images
    cases = [case for source in inputs for case in list_cases(source)]
    # Once more over all of them: two folders may hold the same name.
    return list_cases([case["image"] for case in cases]) if len(inputs) > 1 else cases


def _protect_inputs(cases: list[dict[str, str]], predictions: Path, suffix: str) -> None:
    for case in cases:
        if Path(case["image"]).resolve() == predictions / f"{case['case']}{suffix}":
            raise ValueError(f"the prediction of {case['image']} would overwrite it. Choose another --output folder.")


def _read_carried(weights: Path, bundle: str) -> tuple[dict[str, Any], str]:
    """Settings from the file beside the weights and the network's name.

    There are no settings, and a line says so, when there is no such file.
    """
    sidecar = weights.with_suffix(".json")
    if not sidecar.is_file():
        print(f"no {sidecar.name} beside {weights}: the bundle's own classes and view are used")
        return {}, bundle
    from sa2_monai.weights import read_info

    info = read_info(weights)
    network = info.get("network") or bundle
    # A folder of another name is a packaged bundle: there the names of the tensors decide.
    known = [entry.name for entry in NETWORKS]
    if bundle in known and network != bundle:
        raise ValueError(
            f"{weights} holds weights of the network {network!r}, but the bundle is {bundle!r}. "
            "Choose the bundle of that network with --bundle."
        )
    carried = {key: info[key] for key in CARRIED if info.get(key) is not None}
    for key, value in carried.items():
        _refuse_code(value, key, sidecar)
    shown = ", ".join(f"{key} {carried[key]}" for key in ("class_names", "view", "roi_size") if key in carried)
    print(f"{sidecar}: {shown}")
    return carried, network


def _refuse_code(value: Any, key: str, sidecar: Path) -> None:
    """Bundles evaluate ``$...`` as Python and build what ``_target_`` names; a file that came with weights must not."""
    if isinstance(value, Mapping):
        if any(str(name).startswith("_") for name in value):
            raise ValueError(f"{sidecar}: '{key}' would build an object. Only plain values are accepted there.")
        for entry in value.values():
            _refuse_code(entry, key, sidecar)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            _refuse_code(entry, key, sidecar)
    elif isinstance(value, str) and value.lstrip()[:1] in ("$", "@", "%"):
        raise ValueError(f"{sidecar}: '{key}' holds the expression {value!r}. Only plain values are accepted there.")


def _choose_device(wanted: str | None) -> str:
    import torch

    if wanted == "cuda" and not torch.cuda.is_available():
        raise ValueError("there is no usable CUDA device for --device cuda. Leave the option out to run on the CPU.")
    return wanted or ("cuda" if torch.cuda.is_available() else "cpu")


def _run_bundle(config_file: Path, overrides: dict[str, Any], predictions: Path, suffix: str) -> None:
    from ignite.engine import Engine, Events
    from monai.bundle import ConfigParser, ConfigWorkflow

    # MONAI accepts an override of an id that does not exist, in silence.
    unknown = sorted(set(overrides) - set(ConfigParser.load_config_file(config_file)))
    if unknown:
        raise ValueError(f"{config_file} has no {', '.join(unknown)}, which has to be set here. Use a newer bundle.")
    workflow = ConfigWorkflow(str(config_file), workflow_type="infer", logging_file=False, **overrides)
    workflow.initialize()

    def report(engine: Engine) -> None:
        if engine.state.output:  # nothing came out of a case that failed
            for item in engine.state.batch:
                print(f"{item['image'].meta['filename_or_obj']} -> {predictions / item['case']}{suffix}", flush=True)

    evaluator = workflow.parser.get_parsed_content("evaluator")
    evaluator.add_event_handler(Events.ITERATION_COMPLETED, report)
    workflow.run()
    workflow.finalize()
