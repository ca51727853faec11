# SPDX-License-Identifier: Apache-2.0
"""What a training has reached, where it is, and what can be done next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sa2_monai.bundle.run.console import duration
from sa2_monai.bundle.run.curves import CURVES
from sa2_monai.bundle.run.shell import console_command, short_path
from sa2_monai.bundle.run.target import BEST, LOG

__all__ = ["RunResult", "last_words", "resume_command"]

#: How a training can end. By ``patience`` it is complete: no epoch has been better for so long.
_ENDS = {
    "complete": "",
    "patience": "; stopped early, as no later epoch was better",
}


@dataclass(frozen=True)
class RunResult:
    """What a training has reached.

    Attributes:
        folder: of the run, a bundle.
        network: name of the network.
        end: ``"complete"``; ``"patience"``: no epoch was better for long; ``"time"``: stopped by the time limit.
        epochs: epochs that are through.
        epochs_run: how many of them by this call.
        max_epochs: epochs that were wanted.
        seconds: of this call.
        dice: best validation Dice, in [0, 1]; ``None`` without a validation.
        dice_epoch: its epoch, whose weights are kept unless ``select`` is ``"last"``.
        select: which epoch's weights are kept: ``"best"`` or ``"last"``.
        warnings: what makes the result doubtful.
        example: images of a case, for the next command.
        tests: number of test cases.
    """

    folder: Path
    network: str
    end: str
    epochs: int
    epochs_run: int
    max_epochs: int
    seconds: float
    dice: float | None = None
    dice_epoch: int | None = None
    select: str = "best"
    warnings: list[str] = field(default_factory=list)
    example: Sequence[str] = ()
    tests: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether the training went as far as it was to go."""
        return self.end != "time"


def last_words(result: RunResult) -> str:
    """What is printed at the end.

    Args:
        result: of the training.
    """
    run = Path(short_path(result.folder))
    reached = f"epoch {result.epochs} of {result.max_epochs}"
    lines = [""]
    if result.end == "time":
        lines.append(f"stopped by the time limit at {reached}: not a result; --resume goes on")
    elif not result.epochs_run:
        lines.append(f"nothing was left to do: {reached} is through; --epochs with a larger number trains on")
    else:
        lines.append(f"training complete: {reached}, {duration(result.seconds)}{_ENDS[result.end]}")
    if result.dice is not None:
        kept = "whose weights are kept" if result.select == "best" else "the weights kept are those of the last epoch"
        lines.append(f"best validation Dice {result.dice:.3f} at epoch {result.dice_epoch}, {kept}")
    else:
        lines.append("no validation: the weights are those of the last epoch")
    lines += [f"warning: {text}" for text in result.warnings]
    files = [("weights", run / BEST), ("learning curves", run / CURVES)]
    if result.dice is not None:
        files.append((f"validation case, epoch {result.dice_epoch}", run / "eval" / "validation.png"))
    files += [("each epoch", run / "eval" / "history.csv"), ("log", run / LOG)]
    width = max(len(name) for name, _ in files)
    lines += ["", *(f"{name:{width}}  {path}" for name, path in files), "", "Next"]
    commands = []
    if not result.is_complete:
        commands.append(("go on", resume_command(result.folder)))
    if result.tests:
        what = f"score the {result.tests} test case{'s' * (result.tests > 1)}"
        commands.append((what, console_command("evaluate", "--bundle", run)))
    if result.example:
        output = run.with_name(f"{run.name}-predictions")
        commands.append(
            ("segment images", console_command("predict", *result.example, "--bundle", run, "--output", output))
        )
    commands.append(("hand it on", console_command("package", "--bundle", run, "--output", run.with_name("packages"))))
    width = max(len(what) for what, _ in commands)
    return "\n".join([*lines, *(f"  {what:{width}}  {command}" for what, command in commands)])


def resume_command(folder: Path) -> str:
    """The command with which a training goes on.

    Args:
        folder: of the run, absolute.
    """
    return console_command("train", "--output", short_path(folder), "--resume")
