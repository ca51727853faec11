# SPDX-License-Identifier: Apache-2.0
"""Segment pictures with a trained network and write one class-index mask per picture.

The work is done by the bundle's own ``configs/inference.yaml``. What the weights carry in the file beside them
(``model.json``: channels, classes, how the network sees a picture) overrides the bundle's defaults.
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

__all__ = ["CARRIED", "add_arguments", "run"]

# What a model knows about itself, under the ids that inference.yaml uses too.
CARRIED = (
    *("in_channels", "out_channels", "class_names", "base_channels", "deep_level", "img_size"),
    *("view", "roi_size", "overlap", "intensity", "channel_order"),
)
CONFIG_NAMES = ("inference.yaml", "inference.json")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``sa2-monai predict``."""
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="picture, folder of pictures, or .txt list of paths")
    parser.add_argument("--output", required=True, metavar="DIR", help="folder; masks come to DIR/predictions")
    parser.add_argument(
        "--bundle", metavar="DIR", help="bundle folder; bundles/sa2net of the checkout when you work in one"
    )
    parser.add_argument("--weights", metavar="FILE", help="trained weights; models/model.pt of the bundle by default")
    parser.add_argument("--probabilities", action="store_true", help="write the probability maps as well")
    parser.add_argument("--overlays", action="store_true", help="draw the contours into the pictures (DIR/overlays)")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="cuda when there is a GPU, else cpu, by default")
    parser.add_argument("--batch-size", type=_positive, metavar="N", help="pictures or windows at once")


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
    config_file = _find_config(args.bundle)
    bundle = config_file.parent.parent
    weights = Path(args.weights) if args.weights else bundle / "models" / "model.pt"
    if not weights.is_file():
        raise FileNotFoundError(f"{weights}: no such weights. Train the bundle first, or give a file with --weights.")

    from sa2_monai.inference import check_roi_size, check_writable

    cases = _list_cases(args.inputs)
    output = check_writable(args.output).resolve()
    predictions = output / "predictions"
    _protect_inputs(cases, predictions)
    carried, network = _read_carried(weights, bundle.name)
    if carried.get("roi_size") is not None:
        divisor = next((entry.size_divisor for entry in NETWORKS if entry.name == network), 1)
        check_roi_size(carried["roi_size"], divisor)

    overrides: dict[str, Any] = {
        **carried,
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
        _run_bundle(config_file, overrides, predictions)
    print(f"{len(cases)} {'mask' if len(cases) == 1 else 'masks'} in {predictions}")
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


def _find_config(bundle: str | None) -> Path:
    """The inference configuration of the bundle that was asked for."""
    folder = find_bundle(bundle)
    for name in CONFIG_NAMES:
        if (folder / "configs" / name).is_file():
            return folder / "configs" / name
    raise FileNotFoundError(
        f"{folder} is not a bundle: it has no configs/{CONFIG_NAMES[0]}. Give the folder of a bundle with --bundle."
    )


def _list_cases(inputs: list[str]) -> list[dict[str, str]]:
    from sa2_monai.data import list_images

    cases = [case for source in inputs for case in list_images(source)]
    # Once more over all of them: two folders may hold the same name.
    return list_images([case["image"] for case in cases]) if len(inputs) > 1 else cases


def _protect_inputs(cases: list[dict[str, str]], predictions: Path) -> None:
    for case in cases:
        if Path(case["image"]).resolve() == predictions / f"{case['case']}.png":
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


def _run_bundle(config_file: Path, overrides: dict[str, Any], predictions: Path) -> None:
    from ignite.engine import Engine, Events
    from monai.bundle import ConfigParser, ConfigWorkflow

    # MONAI accepts an override of an id that does not exist, in silence.
    unknown = sorted(set(overrides) - set(ConfigParser.load_config_file(config_file)))
    if unknown:
        raise ValueError(f"{config_file} has no {', '.join(unknown)}, which has to be set here. Use a newer bundle.")
    workflow = ConfigWorkflow(str(config_file), workflow_type="infer", logging_file=False, **overrides)
    workflow.initialize()

    def report(engine: Engine) -> None:
        for item in engine.state.batch:
            print(f"{item['image'].meta['filename_or_obj']} -> {predictions / item['case']}.png", flush=True)

    evaluator = workflow.parser.get_parsed_content("evaluator")
    evaluator.add_event_handler(Events.ITERATION_COMPLETED, report)
    workflow.run()
    workflow.finalize()
