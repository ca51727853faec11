# SPDX-License-Identifier: Apache-2.0
"""The frame: choice of the command, exit codes, messages, what is imported, closed pipes."""

from __future__ import annotations

import argparse
import subprocess
import sys
import types
from importlib import metadata
from pathlib import Path

import pytest
from monai.data import PILReader
from monai.transforms import Compose, Lambdad, LoadImaged
from torch.utils.data import DataLoader

from sa2_monai import __version__
from sa2_monai.cli import UsageError
from sa2_monai.cli import main as main_function
from sa2_monai.cli.main import COMMANDS, Command, main, root_cause


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A command ``try`` whose ``run`` a test sets."""
    module = types.ModuleType("command_of_a_test", "Try something.\n\nAnd more.")
    module.add_arguments = lambda parser: parser.add_argument("--count", type=int, default=0)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "command_of_a_test", module)
    monkeypatch.setattr(sys.modules["sa2_monai.cli.main"], "COMMANDS", (Command("try", "try it", "command_of_a_test"),))
    return module


def raising(error: BaseException):
    def run(args: argparse.Namespace) -> int:
        raise error

    return run


def test_the_entry_point_is_the_function() -> None:
    (entry,) = [e for e in metadata.distribution("sa2_monai").entry_points if e.group == "console_scripts"]
    assert entry.name == "sa2-monai"
    assert entry.load() is main_function is main


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    out = capsys.readouterr().out
    for command in COMMANDS:
        assert command.name in out
        assert command.help in out


@pytest.mark.parametrize("name", [command.name for command in COMMANDS])
def test_every_command_is_there_and_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([name, "--help"])
    assert stopped.value.code == 0
    assert f"usage: sa2-monai {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["info"], *([command.name, "--help"] for command in COMMANDS)]
)
def test_nothing_slow_is_imported(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom sa2_monai.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as stopped:\n    assert not stopped.code\n"
        "slow = {'torch', 'monai', 'ignite', 'numpy', 'scipy', 'PIL'} & set(sys.modules)\n"
        "assert not slow, slow"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"sa2-monai {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [[], ["--debug"], ["no-such-command"], ["info", "--no-such-option"], ["info", "x"]]
)
def test_wrong_use(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "error:" in capsys.readouterr().err


def test_arguments_of_the_process_are_the_default(monkeypatch: pytest.MonkeyPatch, command: types.ModuleType) -> None:
    seen = []
    command.run = lambda args: seen.append(args.count)
    monkeypatch.setattr(sys, "argv", ["sa2-monai", "try", "--count", "3"])
    assert main() == 0
    assert seen == [3]


def test_help_of_a_command_is_its_first_paragraph(
    command: types.ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["try", "-h"])
    out = capsys.readouterr().out
    assert "Try something." in out
    assert "And more." not in out


@pytest.mark.parametrize("code", [0, 1, None])
def test_the_answer_of_a_command_is_the_exit_code(command: types.ModuleType, code: int | None) -> None:
    command.run = lambda args: code
    assert main(["try"]) == (code or 0)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("a.png: wrong"), "a.png: wrong"),
        (RuntimeError("no GPU"), "no GPU"),
        (FileNotFoundError(2, "No such file or directory", "a.png"), "a.png: No such file or directory"),
        (OSError(28, "cannot write b.png: No space left on device"), "cannot write b.png: No space left on device"),
        (PermissionError("cannot write to the folder out"), "cannot write to the folder out"),
        (ModuleNotFoundError("No module named 'skimage'"), "No module named 'skimage'"),
        (ValueError(), "ValueError"),
    ],
)
def test_failures_are_one_message(
    command: types.ModuleType, capsys: pytest.CaptureFixture[str], error: Exception, message: str
) -> None:
    command.run = raising(error)
    assert main(["try"]) == 1
    captured = capsys.readouterr()
    assert captured.err == f"sa2-monai try: error: {message}\n"
    assert captured.out == ""


def test_nothing_printed_acts_on_the_terminal(
    command: types.ModuleType, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    name = "a\x1b[2J\x9b\u202e\r.png"
    shown = r"a\u001b[2J\u009b\u202e\r.png"

    def run(args: argparse.Namespace) -> int:
        print(f"{name} -> done\tin 1 s")
        print("\r 50%|##", file=sys.stderr)  # as a progress bar
        raise ValueError(f"{name}: wrong")

    command.run = run
    streams = sys.stdout, sys.stderr
    assert main(["try"]) == 1
    assert (sys.stdout, sys.stderr) == streams
    captured = capsys.readouterr()
    assert captured.out == f"{shown} -> done\tin 1 s\n"
    assert captured.err == f"\r 50%|##\nsa2-monai try: error: {shown}: wrong\n"
    with pytest.raises(SystemExit):
        main(["try", name])
    assert shown in capsys.readouterr().err


def test_lack_of_memory_says_what_helps(command: types.ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    command.run = raising(MemoryError())
    assert main(["try"]) == 1
    assert "error: out of memory. Use a smaller batch size" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--debug", "try"], ["try", "--debug"]])
def test_debug_shows_the_traceback(command: types.ModuleType, arguments: list[str]) -> None:
    command.run = raising(ValueError("a.png: wrong"))
    with pytest.raises(ValueError, match="wrong"):
        main(arguments)


def test_defects_of_the_program_are_not_hidden(command: types.ModuleType) -> None:
    command.run = raising(AttributeError("no such thing"))
    with pytest.raises(AttributeError):
        main(["try"])


def test_wrong_use_noticed_by_a_command(command: types.ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    command.run = raising(UsageError("--a needs --b"))
    with pytest.raises(SystemExit) as stopped:
        main(["try"])
    assert stopped.value.code == 2
    assert "sa2-monai try: error: --a needs --b" in capsys.readouterr().err


def test_control_c(command: types.ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    command.run = raising(KeyboardInterrupt())
    assert main(["try"]) == 130
    assert capsys.readouterr().err == "\nsa2-monai: stopped\n"


def test_a_closed_pipe_is_quiet() -> None:
    """As in ``sa2-monai info | true``: the reader has gone before the first line comes."""
    code = "import os, sys; os.close(0); from sa2_monai.cli import main; sys.exit(main(['info']))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 141
    assert err == b""


def refuse(item: object) -> None:
    raise ValueError("a.png: refused\n  for a reason")


@pytest.mark.parametrize("workers", [0, 1])
def test_the_wrapping_of_monai_is_taken_off(workers: int) -> None:
    """Two transforms around the cause; in a worker process the chain of exceptions is only text."""
    transform = Compose([Compose([Lambdad("image", refuse)])])
    loader = DataLoader(Transformed(transform), num_workers=workers)
    with pytest.raises(RuntimeError) as caught:
        next(iter(loader))
    assert root_cause(caught.value) == "a.png: refused\n  for a reason"


class Transformed:
    """A data set of one item."""

    def __init__(self, transform: Compose) -> None:
        self.transform = transform

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> object:
        return self.transform({"image": index})


def wrap(item: object) -> None:
    try:
        open("/no/such/file")  # noqa: SIM115
    except OSError as error:
        raise OSError("b.png cannot be read. Copy it again.") from error


@pytest.mark.parametrize("workers", [0, 1])
def test_our_own_better_words_are_kept(workers: int) -> None:
    """Only MONAI's wrappers come off: an exception of ours may have a cause that says less."""
    with pytest.raises((RuntimeError, OSError)) as caught:
        next(iter(DataLoader(Transformed(Compose([Lambdad("image", wrap)])), num_workers=workers)))
    assert root_cause(caught.value) == "b.png cannot be read. Copy it again."


class Refusing(PILReader):
    """Takes no file."""

    def read(self, data, **kwargs):  # type: ignore[no-untyped-def]
        raise ValueError(f"{data[0]}: refused")


@pytest.mark.parametrize("workers", [0, 1])
def test_the_reader_that_was_asked_for_has_the_word(workers: int, tmp_path: Path) -> None:
    """MONAI's own loader asks all readers and prints what each of them said."""
    (tmp_path / "0").write_text("no image")
    transform = Compose([Lambdad("image", lambda index: tmp_path / str(index)), LoadImaged("image", reader=Refusing())])
    with pytest.raises(RuntimeError) as caught:
        next(iter(DataLoader(Transformed(transform), num_workers=workers)))
    assert root_cause(caught.value) == f"{tmp_path / '0'}: refused"


def test_a_progress_bar_is_cleared_on_a_terminal(
    command: types.ModuleType, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    command.run = raising(ValueError("a.png: wrong"))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["try"]) == 1
    assert capsys.readouterr().err == "\r\x1b[Ksa2-monai try: error: a.png: wrong\n"


def test_a_worker_message_without_a_traceback_is_left_alone() -> None:
    message = "Caught ValueError in DataLoader worker process 0."
    assert root_cause(RuntimeError(message)) == message
