# SPDX-License-Identifier: Apache-2.0
"""What tools/quickstart does once the package is installed: data, training, evaluation, real images, what is next.

Each step is one command of MONAI or of ``sa2-monai`` in its own process, and is printed before it runs, so that a
reader can repeat it. A second call goes on where the first one was stopped and says what it uses again.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BUNDLES = ROOT / "bundles"
CONSOLE = "from sa2_monai.cli import main; raise SystemExit(main())"
BATCH_SIZE = 4
STEPS = 520
SLICES_AT_ONCE = 16  # of volumes, in sample_volumes.yaml
VOLUME_STEPS = 900
TIME_LIMIT = 330  # seconds of training, for slow machines
# What the two kinds of data differ in: bundle, overlay for small data, name of the network.
KINDS = {"images": ("sa2net", "sample", "SA2-Net"), "volumes": ("daeformer", "sample_volumes", "DAE-Former")}


def main() -> int:
    args = parse_arguments()
    started = time.monotonic()
    from sa2_monai.cli.main import UsageError

    try:
        output, data, source = choose_data(args)
        settings = describe_volumes(data, args) if args.volumes else describe(data, args)
        train(output, data, settings, args)
        evaluate(output, data, settings, args)
        images = None if args.volumes else real_images(output)
    except subprocess.CalledProcessError as error:
        print(f"\ntools/quickstart: the step above failed (exit code {error.returncode}).", file=sys.stderr)
        return 1
    except (OSError, ValueError, UsageError) as error:
        print(f"tools/quickstart: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ntools/quickstart: stopped; run it again to go on.", file=sys.stderr)
        return 130
    finish(output, source, images, args, time.monotonic() - started)
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools/quickstart", description="Train and evaluate a bundle on a small data set, in minutes."
    )
    parser.add_argument(
        "--volumes", action="store_true", help="volumes instead of images; found by itself in a folder of volumes"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--data", metavar="DIR", help="folder with images/ and labels/, or a dataset.json")
    which.add_argument("--download", metavar="NAME", help="download a data set; known: bbbc038")
    parser.add_argument(
        "--classes", metavar="A,B", help="class names, background first, or 1=A,2=B; default: those of dataset.json"
    )
    parser.add_argument(
        "--label-values",
        choices=("nonzero", "threshold"),
        help="two classes: all but 0 is foreground (instance numbers), or what is above 127 (masks in JPEG files)",
    )
    parser.add_argument(
        "--output", metavar="DIR", help="folder for everything; default: quickstart/<data> in the checkout"
    )
    parser.add_argument(
        "--steps",
        type=int,
        metavar="N",
        help=f"training steps (default: {STEPS}, of volumes {VOLUME_STEPS}; stopped after {TIME_LIMIT} s)",
    )
    parser.add_argument("--fresh", action="store_true", help="train anew; the former weights are kept in previous/")
    args = parser.parse_args()
    args.time_limit = TIME_LIMIT if args.steps is None else None
    args.volumes = args.volumes or (args.data is not None and holds_volumes(Path(args.data)))
    args.steps = (VOLUME_STEPS if args.volumes else STEPS) if args.steps is None else args.steps
    if args.volumes and args.download:
        parser.error("--volumes does not go together with --download")
    if args.steps < 1:
        parser.error("--steps must be at least 1")
    return args


def choose_data(args: argparse.Namespace) -> tuple[Path, Path, str]:
    """Output folder, data folder, and what the data are in words."""
    if args.data:
        data = Path(args.data).resolve()
        if not data.is_dir():
            raise FileNotFoundError(f"{data}: no such folder; --data wants images/ and labels/, or a dataset.json")
        output = Path(args.output or ROOT / "quickstart" / data.name).resolve()
        return output, data, str(data)
    if args.download:
        from sa2_monai.data import download

        output = Path(args.output or ROOT / "quickstart" / args.download).resolve()
        return output, download(args.download, output / "data", progress=show_download), args.download
    if args.volumes:
        output = Path(args.output or ROOT / "quickstart" / "sample_volumes").resolve()
        console("sample", str(output / "data"), "--volumes")
        return output, output / "data", "the generated volumes"
    output = Path(args.output or ROOT / "quickstart" / "sample").resolve()
    console("sample", str(output / "data"))
    return output, output / "data", "the generated sample"


def holds_volumes(data: Path) -> bool:
    """Whether a folder holds volumes: the images of its dataset.json, or the files in one of its folders."""
    from sa2_monai.data import list_volumes

    folders = [data / name for name in ("images", "imagesTr", "train/images", "training/images")]
    for folder in folders:
        if folder.is_dir():
            try:
                return bool(list_volumes(folder))
            except ValueError:
                return False
    return False


def show_download(done: int, total: int | None) -> None:
    share = f" of {total / 1e6:.0f}" if total else ""
    print(f"\r  {done / 1e6:.0f}{share} MB", end="", flush=True)


def describe(data: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Values that the overlay cannot know: classes, and how many epochs make the wanted number of steps."""
    from sa2_monai.cli.common import read_class_names
    from sa2_monai.data import SECTIONS, load_datalist

    class_names, label_values = ["background", "foreground"], None
    if (data / "dataset.json").is_file():
        labels = json.loads((data / "dataset.json").read_text()).get("labels") or {}
        if labels:
            values = sorted(labels, key=int)
            class_names = [str(labels[value]) for value in values]
            label_values = {int(value): index for index, value in enumerate(values)}
            if label_values in ({0: 0, 1: 1}, {0: 0, 255: 1}, {i: i for i in range(len(values))}):
                label_values = None
    if args.classes:
        class_names = read_class_names(args.classes)
    if args.label_values:
        label_values = args.label_values
    # All problems of the data are told here, before anything is written or trained.
    table = {"class_names": class_names, "label_values": label_values, "in_channels": 3}
    count = {section: len(load_datalist(data, section, **table)) for section in SECTIONS}["training"]
    epochs = max(1, round(args.steps / math.ceil(count / BATCH_SIZE)))
    return {
        "class_names": class_names,
        "label_values": label_values,
        "max_epochs": epochs,
        # Some sixteen validations are enough to choose an epoch from, and leave the time to the training.
        "val_interval": math.ceil(epochs / 16),
    }


def describe_volumes(data: Path, args: argparse.Namespace) -> dict[str, Any]:
    """The same for volumes."""
    from sa2_monai.cli.common import read_class_names
    from sa2_monai.data import SECTIONS, dataset_classes, label_table, load_datalist, slice_counter

    class_names = read_class_names(args.classes) if args.classes else None
    class_names, table = dataset_classes(data, "volumes", class_names)
    label_values = args.label_values
    if label_values is None and table not in (label_table(None, class_names), dict(enumerate(range(len(class_names))))):
        label_values = table
    known = {"dataset": "volumes", "class_names": class_names, "label_values": label_values, "in_channels": 1}
    cases = {section: load_datalist(data, section, **known) for section in SECTIONS}["training"]
    slices = sum(map(slice_counter("volumes"), cases))
    epochs = max(1, round(args.steps / math.ceil(slices / SLICES_AT_ONCE)))
    settings = {
        "class_names": list(class_names),
        "label_values": label_values,
        "max_epochs": epochs,
        "val_interval": math.ceil(epochs / 8),
    }
    # What is true of the generated organs need not be true of other structures. False and not None, which MONAI drops
    # from its command line: the limit of the organs would stay.
    return settings if args.data is None else {**settings, "largest_component": False, "min_volume": False}


def read_state(output: Path) -> dict[str, Any] | None:
    state = output / "quickstart.json"
    return json.loads(state.read_text()) if state.is_file() else None


def train(output: Path, data: Path, settings: dict[str, Any], args: argparse.Namespace) -> None:
    state = output / "quickstart.json"
    wanted = json.loads(json.dumps({"data": str(data), **settings}))
    before = read_state(output)
    if before is not None and {key: before.get(key) for key in wanted} != wanted and not args.fresh:
        raise ValueError(
            f"{output} holds a training with other data or settings ({state}). "
            "Choose another folder with --output, or train anew with --fresh."
        )
    if before is not None and before.get("trained") and (output / "models" / "model.pt").is_file() and not args.fresh:
        print(f"\n== training\nreused: {output / 'models' / 'model.pt'} (--fresh trains anew)")
        return
    write_json(state, {**wanted, "trained": False})
    resume = before is not None and not args.fresh
    bundle("training", [], output, data, settings, args, resume=resume, time_limit=args.time_limit)
    write_json(state, {**wanted, "trained": True})


def evaluate(output: Path, data: Path, settings: dict[str, Any], args: argparse.Namespace) -> None:
    bundle("run", ["evaluate"], output, data, settings, args)


def real_images(output: Path) -> Path:
    """The trained bundle at work on images that are nobody's training data: those inside scikit-image."""
    import skimage.data
    from PIL import Image

    folder = output / "real_images"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("immunohistochemistry", "cell"):
        Image.fromarray(getattr(skimage.data, name)()).save(folder / f"{name}.png")
    result = output / "real_images_result"
    weights = output / "models" / "model.pt"
    console("predict", str(folder), "--weights", str(weights), "--output", str(result), "--overlays")
    return result


def bundle(
    run_id: str,
    overlays: list[str],
    output: Path,
    data: Path,
    settings: dict[str, Any],
    args: argparse.Namespace,
    **more: Any,
) -> None:
    """One call of ``python -m monai.bundle run``."""
    from sa2_monai.bundle.verbatim import verbatim

    name, small, _ = KINDS["volumes" if args.volumes else "images"]
    configs = BUNDLES / name / "configs"
    files = [str(configs / f"{name}.yaml") for name in ("train", small, *overlays)]
    meta = [str(configs / name) for name in ("metadata.json", f"{small}_meta.json")]
    values = {
        "meta_file": meta,
        "config_file": files,
        "logging_file": str(configs / "logging.conf"),
        "bundle_root": verbatim(str(BUNDLES / name)),
        "dataset_dir": verbatim(str(data)),
        "ckpt_dir": verbatim(str(output / "models")),
        "output_dir": verbatim(str(output / "results")),
        **settings,
        **more,
    }
    # Both overlays have null for those that are None here; typed, MONAI would drop it.
    given = {key: value for key, value in values.items() if value is not None}
    words = [
        word for key, value in given.items() for word in (f"--{key}", value if isinstance(value, str) else repr(value))
    ]
    print(f"\n== {'evaluation' if overlays else 'training'}", flush=True)
    call([sys.executable, "-m", "monai.bundle", "run", run_id, *words])


def console(*words: str) -> None:
    print(f"\n== {words[0]}", flush=True)
    call([sys.executable, "-c", CONSOLE, *words], shown=["sa2-monai", *words])


def call(command: list[str], shown: list[str] | None = None) -> None:
    print("$ " + shlex.join(shown or ["python", *command[1:]]), flush=True)
    # MONAI's note that configurations are code is meant for configurations of strangers.
    subprocess.run(command, check=True, env={**os.environ, "PYTHONWARNINGS": "ignore::UserWarning"})


def write_json(path: Path, values: dict[str, Any]) -> None:
    from sa2_monai.weights import atomic_write

    atomic_write(path, lambda file: file.write(json.dumps(values, indent=2).encode()))


def finish(output: Path, source: str, images: Path | None, args: argparse.Namespace, seconds: float) -> None:
    results = output / "results"
    own = "" if (output / "data").exists() else f" --data {source}"
    if args.volumes and not own:
        own = " --volumes"
    _, _, network = KINDS["volumes" if args.volumes else "images"]
    what = "volumes" if args.volumes else "images"
    print(f"\n== result: {network} on the test {what} of {source}, {seconds / 60:.1f} minutes\n")
    print((results / "table.txt").read_text().strip())
    real = f"\nreal images of scikit-image    {images / 'overlays'}" if images else ""
    layout = "DIR/images and DIR/labels with the same names"
    print(
        f"""
weights (best validation Dice)   {output / "models" / "model.pt"}
scores of each case              {results / "metrics_per_case.csv"}
summary                          {results / "metrics_summary.json"}
report                           {results / "report.html"}
worst, median, best cases        {results / "overlays"}{real}
TensorBoard                      tensorboard --logdir {results}

Next
  your own data        tools/quickstart --data DIR        {layout}
  {"images             tools/quickstart" if args.volumes else "volumes              tools/quickstart --volumes"}
  longer               tools/quickstart{own} --steps 5000 --output DIR
  the full network     python -m monai.bundle run training --config_file "['train.yaml',...]" (README.md)
  new {what:<17}sa2-monai predict {what.upper()} --weights {output / "models" / "model.pt"} --output DIR"""
    )


if __name__ == "__main__":
    raise SystemExit(main())
