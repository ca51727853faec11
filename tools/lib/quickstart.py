# SPDX-License-Identifier: Apache-2.0
"""What tools/quickstart does once the package is installed: data, training, evaluation, masks, what is next.

Each step is one command of ``sa2-monai`` in its own process, and is printed before it runs, so that a reader can repeat
it. A second call goes on where the first one was stopped and says what it uses again.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MINUTES = 5.5  # of training


def main() -> int:
    args = parse_arguments()
    from sa2_monai.cli.common import read_class_names

    # Checked here, where the message can still name the option.
    classes = None if args.classes is None else read_class_names(args.classes)
    settings = {"class_names": classes, "label_values": args.label_values}
    try:
        output, data = choose_data(args)
        run = output / "run"
        train(data, run, {key: value for key, value in settings.items() if value is not None}, args)
        sa2_monai("evaluate", "--bundle", str(run))
    except subprocess.CalledProcessError as error:
        if error.returncode == 130:  # Ctrl-C, of which the step has told
            return 130
        print(f"\ntools/quickstart: the step above failed (exit code {error.returncode}).", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:
        print(f"tools/quickstart: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ntools/quickstart: stopped; run it again to go on.", file=sys.stderr)
        return 130
    finish(output, run, args)
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools/quickstart", description="Train and evaluate a bundle on a small data set, in minutes."
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--volumes", action="store_true", help="generated volumes instead of images")
    which.add_argument("--data", metavar="DIR", help="your own images or volumes, in any usual layout")
    which.add_argument("--download", metavar="NAME", help="download a data set; known: bbbc038")
    parser.add_argument("--classes", metavar="A,B", help="class names, background first, or 1=A,2=B")
    parser.add_argument(
        "--label-values",
        choices=("nonzero", "threshold"),
        help="two classes: all but 0 is foreground (instance numbers), or what is above 127 (masks in JPEG files)",
    )
    parser.add_argument("--output", metavar="DIR", help="folder for everything; default: quickstart/<data>")
    parser.add_argument("--time", type=float, metavar="MINUTES", help=f"time of the training (default: {MINUTES:g})")
    parser.add_argument("--epochs", type=int, metavar="N", help="train so many epochs, whatever time they take")
    parser.add_argument("--fresh", action="store_true", help="train anew; the earlier run is kept beside it")
    args = parser.parse_args()
    if args.epochs is not None and args.epochs < 1:
        parser.error("--epochs must be at least 1")
    if args.epochs is not None and args.time is not None:
        parser.error("--time and --epochs do not go together")
    return args


def choose_data(args: argparse.Namespace) -> tuple[Path, Path]:
    """Output folder and data."""
    if args.data:
        data = Path(args.data).resolve()
        if not data.exists():
            raise FileNotFoundError(f"{data}: no such folder; --data is the folder of your images and masks")
        return Path(args.output or ROOT / "quickstart" / data.stem).resolve(), data
    if args.download:
        from sa2_monai.data import download

        output = Path(args.output or ROOT / "quickstart" / args.download).resolve()
        return output, download(args.download, output / "data", progress=show_download)
    name = "sample_volumes" if args.volumes else "sample"
    output = Path(args.output or ROOT / "quickstart" / name).resolve()
    sa2_monai("sample", str(output / "data"), *(["--volumes"] if args.volumes else []))
    return output, output / "data"


def show_download(done: int, total: int | None) -> None:
    share = f" of {total / 1e6:.0f}" if total else ""
    print(f"\r  {done / 1e6:.0f}{share} MB", end="", flush=True)


def train(data: Path, run: Path, settings: dict[str, Any], args: argparse.Namespace) -> None:
    """A new training, or what is left of an interrupted one; a finished one is used again."""
    asked = run.parent / "quickstart.json"
    wanted = json.loads(json.dumps({"data": str(data), "time": args.time, "epochs": args.epochs, **settings}))
    began = (run / "models" / "last_state.pt").is_file()
    if args.fresh and run.exists():
        put_aside(run)
        began = False
    before = json.loads(asked.read_text(encoding="utf-8")) if began and asked.is_file() else None
    if before is not None and before != wanted:
        raise ValueError(
            f"{run} was begun with other data or settings ({asked}). Choose another folder with --output, or train "
            "anew with --fresh."
        )
    if began and is_finished(run):
        print(f"\nreused: {run} (--fresh trains anew)", flush=True)
        return
    from sa2_monai.io.atomic import write_json

    run.parent.mkdir(parents=True, exist_ok=True)
    write_json(asked, wanted)
    if began:
        sa2_monai("train", "--output", str(run), "--resume", *limits(args))
        return
    values = [f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in settings.items()]
    sa2_monai("train", str(data), "--output", str(run), *limits(args), *values)


def limits(args: argparse.Namespace) -> list[str]:
    if args.epochs is not None:
        return ["--epochs", str(args.epochs)]
    return ["--time", f"{args.time or MINUTES:g}"]


def is_finished(run: Path) -> bool:
    """Whether the training has come to an end of its own, that of its time included."""
    record = run / "eval" / "run.json"
    return record.is_file() and json.loads(record.read_text(encoding="utf-8"))["status"] == "completed"


def put_aside(run: Path) -> None:
    """Rename an earlier run: nothing that was trained is thrown away."""
    number = 1
    while (other := run.with_name(f"{run.name}-{number}")).exists():
        number += 1
    run.rename(other)
    print(f"kept: {other}", flush=True)


def sa2_monai(*words: str) -> None:
    print(f"\n$ {shlex.join(['sa2-monai', *words])}", flush=True)
    subprocess.run([sys.executable, "-m", "sa2_monai", *words], check=True)


def finish(output: Path, run: Path, args: argparse.Namespace) -> None:
    longer = ["tools/quickstart", *(["--volumes"] if args.volumes else [])]
    for option in ("data", "download"):
        longer += [f"--{option}", getattr(args, option)] if getattr(args, option) else []
    longer += ["--time", "60", "--output", str(output.with_name(f"{output.name}-60"))]
    print(
        f"""
report                     {run / "eval" / "report.html"}
masks of the test cases    {run / "eval" / "predictions"}

Next
  your own data            tools/quickstart --data DIR
  longer                   {shlex.join(longer)}
  new images or volumes    sa2-monai predict INPUT --bundle {shlex.quote(str(run))} --output DIR"""
    )


if __name__ == "__main__":
    raise SystemExit(main())
