# SPDX-License-Identifier: Apache-2.0
"""What several commands share."""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from sa2_monai.cli.machine_options.precision import add_precision
from sa2_monai.cli.main import INTERRUPTED, UsageError
from sa2_monai.io.limits.aliases import safe_yaml

__all__ = [
    "add_fold_options",
    "add_training_options",
    "positive",
    "read_class_names",
    "read_override",
    "read_overrides",
    "stopped",
    "training_options",
    "wrong_use",
]


def add_training_options(parser: argparse.ArgumentParser, time: str, networks: bool = False) -> None:
    """Add the options that ``plan``, ``train`` and ``crossval`` have in common, ``ID=VALUE`` included.

    Args:
        parser: of the command, with its positional arguments.
        time: what ``--time`` is the time of.
        networks: whether there are several; else ``--network`` names one.
    """
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="ID=VALUE",
        help="values of switches, in YAML; they come last, and are not planned",
    )
    if networks:
        parser.add_argument(
            "--networks",
            required=True,
            metavar="NAME,NAME",
            help="networks, baselines or variants of 'sa2-monai info' with commas between them, or bundles' folders",
        )
    else:
        parser.add_argument(
            "--network",
            metavar="NAME",
            help="a network, a baseline or a variant (sa2net:plain_skips) of 'sa2-monai info', or a bundle's folder",
        )
    parser.add_argument(
        "--config",
        action="append",
        default=[],
        metavar="OVERLAY",
        help="overlay after the plan: a file, or with --network a name of the bundle (monuseg, folder); repeatable",
    )
    parser.add_argument("--time", type=float, metavar="MINUTES", help=time)
    parser.add_argument("--device", metavar="NAME", help="cpu, cuda, cuda:1; the GPU where there is one by default")
    add_precision(parser, "auto: fp16 on GPUs, else fp32; of the training, as precision=NAME")
    layout = parser.add_argument_group("data that are laid out in another way")
    layout.add_argument("--images", metavar="GLOB", help="images below DATA, as in 'raw/*/*.tif'; with --labels")
    layout.add_argument("--labels", metavar="GLOB", help="their masks")
    layout.add_argument("--colours", metavar="FILE", help="table of the colours of colour masks")


def training_options(args: argparse.Namespace) -> dict[str, Any]:
    """What these options say, by the names of a :class:`~sa2_monai.bundle.run.request.TrainRequest`.

    Args:
        args: parsed arguments.
    """
    names = {"overlays": "config", "minutes": "time"}
    same = ("network", "images", "labels", "colours", "device")
    return {
        name: getattr(args, names.get(name, name)) for name in (*names, *same) if hasattr(args, names.get(name, name))
    }


def add_fold_options(parser: argparse.ArgumentParser, seed: str = "seed of the folds") -> None:
    """Add what ``crossval`` and ``compare`` say of their folds.

    Args:
        parser: of the command.
        seed: what ``--seed`` is.
    """
    parser.add_argument("--folds", type=int, default=5, metavar="N", help="number of folds (default: 5)")
    parser.add_argument("--seed", type=int, default=999, metavar="N", help=f"{seed} (default: 999)")
    parser.add_argument("--epochs", type=int, metavar="N", help="epochs of each fold, as max_epochs=N")


@contextlib.contextmanager
def wrong_use(*kinds: type[Exception]) -> Iterator[None]:
    """In a ``with`` block errors of these kinds are wrong use, not failed work.

    Args:
        kinds: such as ``ValueError``.

    Raises:
        UsageError: with the message of the error.
    """
    try:
        yield
    except kinds as error:
        raise UsageError(str(error)) from error


def stopped(command: str, stop: KeyboardInterrupt | SystemExit) -> int:
    """Say that a command which can go on was stopped.

    Args:
        command: its name.
        stop: what has ended it.

    Returns:
        The exit code: 130 after Ctrl-C, 143 after SIGTERM.
    """
    print(f"\nsa2-monai {command}: stopped; the same command goes on", file=sys.stderr)
    return INTERRUPTED if isinstance(stop, KeyboardInterrupt) else int(stop.code or 0)


def positive(text: str) -> int:
    """Value of an option that counts something.

    Args:
        text: what was typed.

    Raises:
        argparse.ArgumentTypeError: a number below 1.
        ValueError: no whole number.
    """
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got {number}")
    return number


def read_override(text: str) -> tuple[str, Any]:
    """Id and value of an argument ``ID=VALUE``; the value is YAML, and ``1e-4``, which YAML takes for a text, a number.

    Raises:
        UsageError: when it has another form.
    """
    import yaml

    from sa2_monai.bundle.switches.text import NUMBER

    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"expected ID=VALUE, got {text!r}")
    if NUMBER.fullmatch(value):
        return name, float(value)
    try:
        # MONAI's references and expressions are no YAML unless quoted.
        return name, value if value[:1] in ("@", "$", "%") else safe_yaml(value, name)
    except yaml.YAMLError as error:
        raise UsageError(f"{text}: the value is no YAML") from error


def read_overrides(words: Iterable[str], **options: Any) -> dict[str, Any]:
    """Values by id, of arguments ``ID=VALUE`` and of options that stand for an id.

    Args:
        words: the arguments.
        options: values of options by id; ``None`` for an option that is not given.

    Raises:
        UsageError: an argument of another form, or an id that is given in both ways.
    """
    found = dict(map(read_override, words))
    for name, value in options.items():
        if value is not None and name in found:
            raise UsageError(f"{name} is given twice, as an option and as {name}={found[name]}")
    return {**found, **{name: value for name, value in options.items() if value is not None}}


def read_class_names(text: str) -> list[str]:
    """Names of classes as typed: in the order of their values, ``background,nucleus``, or with them, ``1=nucleus``.

    Args:
        text: the names with commas between them. With values, in any order, 0 may be left out: it is the background.

    Returns:
        The names in the order of their values, from 0.

    Raises:
        UsageError: names with and without a value, a value twice or left out, or a name that is empty or stands twice.
    """
    parts = [part.strip() for part in text.split(",")]
    pairs = [re.fullmatch(r"(\d+)\s*=\s*(.*)", part) for part in parts]
    odd = [
        part for part, pair in zip(parts, pairs, strict=True) if not pair and ("=" in part or re.match(r"\d+:", part))
    ]
    if odd:
        raise UsageError(f"the class names hold {odd[0]!r}, expected VALUE=NAME, as in 1=nucleus, or names alone")
    found = [pair for pair in pairs if pair]
    if found and len(found) < len(parts):
        bare = next(part for part, pair in zip(parts, pairs, strict=True) if not pair)
        raise UsageError(f"the class names are {text!r}: {bare!r} has no value, the others have; give all or none")
    names = parts
    if found:
        table: dict[int, str] = {}
        for pair in found:
            value = int(pair[1])
            if value in table:
                raise UsageError(
                    f"the class names are {text!r}: value {value} has the names {table[value]} and {pair[2]}"
                )
            table[value] = pair[2]
        table.setdefault(0, "background")
        missing = sorted(set(range(max(table) + 1)) - set(table))
        if missing:
            raise UsageError(
                f"the class names are {text!r}: value {missing[0]} has no name; number the classes from 1 without "
                "gaps, and say with label values which value in the files means which class"
            )
        names = [table[value] for value in range(len(table))]
    doubled = [name for i, name in enumerate(names) if name.lower() in [other.lower() for other in names[:i]]]
    if doubled or not all(names):
        raise UsageError(
            f"the class names are {text!r}: {f'{doubled[0]!r} stands twice' if doubled else 'one is empty'}"
        )
    return names
