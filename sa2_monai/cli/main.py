# SPDX-License-Identifier: Apache-2.0
"""Frame of the console script: choice of the command, exit codes, error messages.

A command is a module with ``add_arguments(parser)`` and ``run(args) -> int``. It is imported when it is chosen, so that
``--help`` and ``info`` answer at once; commands in turn import torch and MONAI inside ``run``.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple, NoReturn, TextIO, cast

from sa2_monai.bundle.trust.consent import trusting
from sa2_monai.cli import quick_start
from sa2_monai.cli.machine_options.max_voxels import READING, add_max_voxels
from sa2_monai.io.causes import root_cause
from sa2_monai.io.limits.voxels import max_voxels_of
from sa2_monai.io.paths import verbatim_paths
from sa2_monai.io.processors import limit_threads, set_threads
from sa2_monai.io.signals import TERMINATED, TerminatedError, sigterm_interrupts
from sa2_monai.io.text import PrintableStream
from sa2_monai.version import __version__

__all__ = ["COMMANDS", "Command", "UsageError", "main", "root_cause"]

DONE, FAILED = 0, 1  # and 2 for wrong use, which is argparse's own code
# As a shell reports a program that ended by SIGINT or SIGPIPE.
INTERRUPTED, PIPE_CLOSED = 130, 141


class UsageError(Exception):
    """Wrong use that only a command can notice, after its arguments were parsed; ends with exit code 2."""


class OneLineParser(argparse.ArgumentParser):
    """A parser whose errors are the one line that says what is wrong; the options stand in ``--help``."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        self.exit(2, f"{self.prog}: error: {message}\n")


class Command(NamedTuple):
    """One sub-command: its name, a line of help, the module that does the work, and whether it runs bundles."""

    name: str
    help: str
    module: str
    runs_bundles: bool = False


COMMANDS = (
    Command("info", "list the networks and the installed versions", "sa2_monai.cli.info"),
    Command("bundles", "list the bundles, or copy one to edit it", "sa2_monai.cli.bundles"),
    Command("sample", "make a small data set, images or volumes", "sa2_monai.cli.sample"),
    Command("datasets", "list the data sets, check a download, prepare it", "sa2_monai.cli.datasets"),
    Command("plan", "measure a data set and plan its training, with reasons", "sa2_monai.cli.plan", True),
    Command("train", "train a network on your data; the run is a bundle", "sa2_monai.cli.train", True),
    Command("predict", "segment images with a trained network", "sa2_monai.cli.predict", True),
    Command("evaluate", "compare predictions with reference masks", "sa2_monai.cli.evaluate", True),
    Command("instances", "choose how touching objects are divided", "sa2_monai.cli.instances", True),
    Command("calibrate", "make probabilities what they say: temperature", "sa2_monai.cli.calibrate", True),
    Command("stress", "measure how a model bears corrupted images", "sa2_monai.cli.stress", True),
    Command("crossval", "train and evaluate the folds of a cross-validation", "sa2_monai.cli.crossval", True),
    Command("compare", "compare networks on your data: scores, tests, speed", "sa2_monai.cli.compare", True),
    Command("import-weights", "convert a published checkpoint", "sa2_monai.cli.import_weights"),
    Command("export", "export a network: TorchScript, ONNX, TensorRT", "sa2_monai.cli.export", True),
    Command("package", "make a stand-alone bundle with weights", "sa2_monai.cli.package", True),
    Command("inspect", "tell what a bundle or a weight file is", "sa2_monai.cli.inspect"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the console script.

    Args:
        argv: arguments without the name of the program; those of the process when ``None``.

    Returns:
        0 when the work is done, 1 when it failed (one line on stderr; the traceback too with ``--debug``), 2 for wrong
        use; 130 after Ctrl-C, 143 after SIGTERM, and 141 when the reader of the output went away.

    Raises:
        SystemExit: by the argument parser, with 0 for ``--help`` and ``--version`` and 2 for wrong use.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if argv is None:  # this process is the program
        quick_start.install()
        limit_threads()
    with sigterm_interrupts() as ending:
        code = _run_to_the_end(arguments)
    # What a command returns after Ctrl-C, and where a worker that was ended took another way out.
    return TERMINATED if ending.asked and code in (FAILED, INTERRUPTED) else code


def _run_to_the_end(arguments: list[str]) -> int:
    try:
        with _printable_streams(), verbatim_paths():
            try:
                return _run(arguments)
            finally:
                sys.stdout.flush()  # here, where a closed pipe is caught; also after argparse's own help
    except BrokenPipeError:
        # What is still in the buffer cannot go anywhere; without this Python complains once more while it shuts down.
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        return PIPE_CLOSED
    except TerminatedError:
        print("sa2-monai: stopped", file=sys.stderr)
        return INTERRUPTED
    except KeyboardInterrupt:
        print("\nsa2-monai: stopped", file=sys.stderr)
        return INTERRUPTED


@contextlib.contextmanager
def _printable_streams() -> Iterator[None]:
    """Names of files, which may hold anything, are printed in many places."""
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, PrintableStream(stream)) for stream in streams)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams


def _run(arguments: list[str]) -> int:
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    parser, subparsers = _build_parsers()
    # Only the chosen command is imported, and only then its options are known.
    command = next((command for command in COMMANDS if command.name == chosen), None)
    if command is None:
        parser.parse_args(arguments)  # --help, --version or an unknown command: does not come back
        parser.error("which COMMAND? 'sa2-monai --help' lists them")
    subparser = subparsers[command.name]
    module = importlib.import_module(command.module)
    subparser.description = (module.__doc__ or "").strip().split("\n\n")[0]
    module.add_arguments(subparser)
    if command.runs_bundles:
        subparser.add_argument(
            "--trust", action="store_true", help="run a bundle or overlay as a program, whatever it does (see inspect)"
        )
    args = _parse(parser, arguments)
    if getattr(args, "threads", None) is not None:
        set_threads(args.threads)
    try:
        with trusting(getattr(args, "trust", False)), max_voxels_of(getattr(args, "max_voxels", None)):
            return int(module.run(args) or DONE)
    except UsageError as error:
        subparser.error(str(error))
    except BrokenPipeError:
        raise
    except (OSError, ValueError, RuntimeError, ImportError, MemoryError) as error:
        if args.debug:
            raise
        # On a terminal a progress bar may stand on the line.
        clear = "\r\x1b[K" if sys.stderr.isatty() else ""
        print(f"{clear}sa2-monai {command.name}: error: {root_cause(error)}", file=sys.stderr)
        return FAILED


def _parse(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace:
    """Parse; ``ID=VALUE`` may stand anywhere: before DATA too, and behind options, where argparse has finished."""
    args, more = parser.parse_known_args(arguments)
    if more and (not hasattr(args, "overrides") or any(word.startswith("-") for word in more)):
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    if hasattr(args, "overrides"):
        args.overrides += more
        data = getattr(args, "data", None)
        if data is not None and "=" in data and not os.path.exists(data):
            others = [word for word in args.overrides if "=" not in word]
            args.data = others[0] if others else None
            args.overrides = [data, *(word for word in args.overrides if word not in others[:1])]
    return args


def _build_parsers() -> tuple[argparse.ArgumentParser, dict[str, OneLineParser]]:
    parser = OneLineParser(
        prog="sa2-monai",
        description="Published 2D segmentation networks as MONAI bundles.",
        epilog="'sa2-monai COMMAND --help' explains a command.",
    )
    parser.add_argument("--version", action="version", version=f"sa2-monai {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback when something fails")
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    subparsers = {}
    for name, line, *_ in COMMANDS:
        subparser = actions.add_parser(name, help=line)
        # SUPPRESS: 'sa2-monai --debug info' must not be undone by the default of the sub-command.
        subparser.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        if name in READING:
            add_max_voxels(subparser)
        subparsers[name] = subparser
    return parser, subparsers
