# SPDX-License-Identifier: Apache-2.0
"""Processor time that commands take to start, each in a fresh process: until the first image enters the network.

The contestants are the command as it is, and with all that ``import monai`` imports (``SA2_MONAI_FULL_IMPORT=1``), as
a program of one's own has it. Seconds of the processor, user and system, are told, not of the clock: a busy machine
changes them little. Commands without a network are measured to their end, trainings to their first step.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmark.frame.process import in_fresh_process
from benchmark.frame.rows import Row
from benchmark.frame.turns import compared

CONTESTANTS = {"all of MONAI imported": {"SA2_MONAI_FULL_IMPORT": "1"}, "sa2_monai": {"SA2_MONAI_FULL_IMPORT": ""}}
COMMANDS = {
    "--help": ["--help"],
    "info": ["info"],
    "inspect": ["inspect", "{run}/model.pt"],
    "evaluate two folders": ["evaluate", "-p", "{labels}", "-r", "{labels}", "--output", "{out}"],
    "predict --model nuclei": ["predict", "{image}", "--model", "nuclei", "--output", "{out}"],
    "predict with a run": ["predict", "{image}", "--weights", "{run}/model.pt", "--output", "{out}"],
    "train": ["train", "{data}", "--network", "sa2net", "--no-plan", "--config", "folder", "--output", "{out}"],
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Commands and turns."""
    parser.add_argument("--command", choices=COMMANDS, help="only this one")
    parser.add_argument("--turns", type=int, default=3, help="the contestants take turns; the median counts")


def run(args: argparse.Namespace) -> Iterator[Row]:
    """Two rows for each command."""
    with tempfile.TemporaryDirectory() as folder:
        places = _make_files(Path(folder))
        for case, words in COMMANDS.items():
            if args.command in (None, case):
                yield from _measure(case, words, places, args.turns)


def _measure(case: str, words: list[str], places: dict[str, str], turns: int) -> Iterator[Row]:
    seconds: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for turn in range(turns):
        for number, (name, environment) in enumerate(CONTESTANTS.items()):
            places["out"] = os.path.join(places["folder"], f"{'-'.join(case.split())}-{turn}-{number}")
            found = in_fresh_process(__name__, "start", [word.format(**places) for word in words], **environment)
            seconds[name].append(found)
    for name, row in compared(seconds).items():
        found = {"case": case, "contestant": name, "cpu_s": row["median_ms"] / 1000}
        yield {**found, "ratio": row["ratio"], "spread": row["spread"]}


def _make_files(folder: Path) -> dict[str, str]:
    """A data set, and a run with weights that nobody has trained."""
    from sa2_monai.data import make_sample
    from sa2_monai.networks import create_network
    from sa2_monai.weights import save_weights

    make_sample(folder / "data", seed=0, num_training=2, num_validation=1, num_test=1, size=(256, 256))
    info = {"network": "sa2net", "class_names": ["background", "nucleus"], "in_channels": 3, "base_channels": 16}
    network = create_network("sa2net", in_channels=3, out_channels=1, base_channels=16)
    save_weights(network.state_dict(), folder / "run" / "model.pt", info)
    image = sorted((folder / "data" / "images").rglob("*.png"))[0]
    labels = sorted((folder / "data" / "labels").rglob("*.png"))[0].parent
    places = {"folder": folder, "data": folder / "data", "run": folder / "run", "image": image, "labels": labels}
    return {name: str(path) for name, path in places.items()}


class _FirstImage(BaseException):
    """Ends a command: nobody who catches errors of a case catches it."""


def start(words: list[str]) -> float:
    """Seconds of the processor that this process has used when the command is where it wants to be.

    Args:
        words: of the command.
    """
    if any(word in words for word in ("predict", "train")):
        import torch

        torch.nn.modules.module.register_module_forward_pre_hook(_stop)
    from sa2_monai.cli.main import main

    sys.argv = ["sa2-monai", *words]
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        try:
            code = main()
        except _FirstImage:
            code = 0
        except SystemExit as ended:
            code = ended.code
    if code:
        raise SystemExit(f"sa2-monai {' '.join(words)} ended with code {code}: see above")
    return time.process_time()


def _stop(module: Any, inputs: Any) -> None:
    raise _FirstImage
