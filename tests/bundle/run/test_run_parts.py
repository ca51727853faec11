# SPDX-License-Identifier: Apache-2.0
"""The small parts of a run: console lines, history, curves, the constant prediction, the log, folders, commands."""

from __future__ import annotations

import logging
import re
import shlex
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from ignite.engine import Engine, Events
from monai.handlers import StatsHandler
from PIL import Image

from sa2_monai.bundle.run.baseline import ConstantBaseline
from sa2_monai.bundle.run.console import duration, epoch_line
from sa2_monai.bundle.run.curves import draw_curves
from sa2_monai.bundle.run.ending import RunResult, last_words
from sa2_monai.bundle.run.history import History
from sa2_monai.bundle.run.log import log_to, show_notes
from sa2_monai.bundle.run.request import TrainRequest
from sa2_monai.bundle.run.shell import console_command, python_command
from sa2_monai.bundle.run.target import check_target
from sa2_monai.bundle.run.watch import Epoch
from sa2_monai.evaluation.report.history import read_history

LINES = [
    (
        Epoch(12, 74, 0.4123, 0.001, 3.94, 0.8534, {}, 0.861, 9),
        240,
        "epoch 12/74  loss 0.412  Dice 0.853 (best 0.861 @9)  3.9 s  left 4 min",
    ),
    (Epoch(3, 100, 1.5, 0.001, 61.04), 7200, "epoch   3/100  loss 1.50  61.0 s  left 2.0 h"),
    (
        Epoch(2, 2, 0.25, 0.001, 1.0, 0.9, {}, 0.9, 2),
        0,
        "epoch 2/2  loss 0.250  Dice 0.900 (best 0.900 @2)  1.0 s",
    ),
]
DURATIONS = [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (3600, "60 min"), (7200, "2.0 h")]


@pytest.mark.parametrize(("epoch", "left", "line"), LINES, ids=["validated", "not validated", "last"])
def test_an_epoch_in_a_line(epoch: Epoch, left: float, line: str) -> None:
    assert epoch_line(epoch, left) == line


LOSSES = [(2.0, "2.00"), (0.41, "0.410"), (12.34, "12.3"), (123.4, "123"), (1e-4, "0.000100")]


@pytest.mark.parametrize(("loss", "text"), LOSSES)
def test_a_loss_has_three_digits(loss: float, text: str) -> None:
    assert f"loss {text}  " in epoch_line(Epoch(1, 2, loss, 0.001, 1.0), 1)


@pytest.mark.parametrize(("minutes", "seconds"), [(1, "60"), (1.5, "90"), (0.01, "0.6")])
def test_the_time_limit_in_seconds(minutes: float, seconds: str) -> None:
    assert str(TrainRequest(".", minutes=minutes).call["time_limit"]) == seconds


@pytest.mark.parametrize(("seconds", "text"), DURATIONS)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("resumed", "kept"), [(0, []), (2, [1, 2])], ids=["anew", "resumed"])
def test_history_keeps_what_the_state_knows(resumed: int, kept: list[str], tmp_path: Path) -> None:
    file = tmp_path / "history.csv"
    lines = ["1,2.5,0.1,0.1,0.1,1.000", "2,1,,,0.1,1.000", "3,0.5,0.2,0.2,0.1,1.000"]
    file.write_text("\n".join(["epoch,train_loss,val_mean_dice,val_dice_a,learning_rate,seconds", *lines, ""]))
    history = History(tmp_path, ["background", "a"])
    trainer = Engine(lambda *_: None)
    history.attach(trainer)
    trainer.state.epoch = resumed
    trainer.fire_event(Events.STARTED)
    history(Epoch(resumed + 1, 9, 0.125, 0.01, 1.5, 0.75, {"a": float("nan")}, 0.75, 3))
    rows = read_history(file)
    assert [row["epoch"] for row in rows] == [*kept, resumed + 1]
    assert file.read_text().splitlines()[1:] == [*lines[:resumed], f"{resumed + 1},0.125,0.75,,0.01,1.500"]


def test_curves_are_drawn(tmp_path: Path) -> None:
    history, image = tmp_path / "history.csv", tmp_path / "curves.png"
    assert not draw_curves(history, image, "nothing yet")
    history.write_text(
        "epoch,train_loss,val_mean_dice,val_dice_a,val_dice_b,learning_rate,seconds\n"
        "1,2.0,,,,0.1,1.0\n2,1.0,0.5,0.4,0.6,0.05,1.0\n3,0.5,0.6,0.5,,0.01,1.0\n"
    )
    assert draw_curves(history, image, "run")
    page = Image.open(image)
    assert page.size == (1200, 360)
    assert len(page.convert("RGB").getcolors(1 << 20)) > 20


# Two cases of 10 pixels: class 1 in 8 and in 6 of them, class 2 in none and in 2.
CASES = [[1] * 8 + [0] * 2, [1] * 6 + [2] * 2 + [0] * 2]
SCORES = {"a": (16 / 18 + 12 / 16) / 2 / 2, "b": (0 + 4 / 12) / 2 / 2}
VERDICTS = [
    (0.005, "finding nothing at all"),
    (SCORES["a"] + 0.005, r"calling every pixel a \(Dice 0.410\)"),
    (SCORES["a"] + 0.02, None),
    (None, None),
]


@pytest.mark.parametrize(("best", "told"), VERDICTS, ids=["nothing", "everything", "learned", "no validation"])
def test_a_constant_prediction_is_told_apart(best: float | None, told: str | None) -> None:
    def validate(_: Engine, case: list[int]) -> list[dict[str, torch.Tensor]]:
        return [{"label": torch.tensor(case, dtype=torch.float32).reshape(1, 2, 5)}]

    baseline = ConstantBaseline(["background", "a", "b"], None)
    evaluator = Engine(validate)
    baseline.attach(evaluator)
    for _ in range(2):  # the second validation adds nothing
        evaluator.run(CASES)
    scores = baseline.scores()
    # Class b is in no map of the first case for prediction a, where its Dice is undefined.
    assert scores["a"] == pytest.approx(SCORES["a"])
    assert scores["b"] == pytest.approx(SCORES["b"])
    text = baseline.warning(best)
    assert re.search(told, str(text)) if told else text is None


@pytest.mark.filterwarnings("default:an old name")
def test_the_log_takes_what_others_print(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, told = tmp_path / "logs" / "train.log", []
    before = list(logging.getLogger().handlers)
    with show_notes(told.append), log_to(file):
        engine = Engine(lambda *_: 0.5)
        StatsHandler(output_transform=lambda output: output, tag_name="train_loss").attach(engine)
        engine.run([0])
        for _ in range(2):
            logging.getLogger("sa2_monai.data").warning("few cases")
        logging.getLogger("somebody.else").warning("not for people")
        warnings.warn("an old name", stacklevel=1)
    assert told == ["note: few cases"]
    text = file.read_text()
    assert all(part in text for part in ("train_loss: 0.5", "few cases", "not for people", "an old name"))
    printed = capsys.readouterr()
    assert printed.out == printed.err == ""
    assert logging.getLogger().handlers == before


def test_folders_that_hold_something_else(tmp_path: Path) -> None:
    file, full, trained, free = (tmp_path / name for name in ("file", "full", "trained", "free"))
    file.touch()
    full.mkdir()
    (full / "thesis.txt").touch()
    for name in ("logs/train.log", "models/model.pt", "configs/train.json"):
        (trained / name).parent.mkdir(parents=True, exist_ok=True)
        (trained / name).touch()
    for folder, told in ((file, "is a file"), (full, "holds other files"), (trained, "holds a trained run")):
        with pytest.raises(FileExistsError, match=told):
            check_target(folder)
    with pytest.raises(ValueError, match="the name is that of a network"):
        check_target(tmp_path / "sa2net")
    check_target(free)
    (trained / "models" / "model.pt").unlink()
    check_target(trained)  # begun, and never got anywhere


def test_commands_are_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sa2_monai.bundle.run.shell.shutil.which", lambda _: None)
    words = shlex.split(console_command("predict", Path("my images") / "a$b.png"))
    assert words == [sys.executable, "-m", "sa2_monai", "predict", "my images/a$b.png"]
    assert shlex.split(python_command("-m", "x"))[0] == sys.executable
    here = str(Path(sys.executable).parent)
    monkeypatch.setattr("sa2_monai.bundle.run.shell.shutil.which", lambda name: f"{here}/{name}")
    assert console_command("info") == "sa2-monai info"
    assert python_command("-V") == "python -V"


ENDS: list[tuple[dict[str, Any], list[str]]] = [
    ({"end": "complete", "epochs": 74}, ["training complete: epoch 74 of 74, 2 min"]),
    ({"end": "patience", "epochs": 30}, ["training complete: epoch 30 of 74, 2 min; stopped early"]),
    (
        {"end": "time", "epochs": 5},
        ["stopped by the time limit at epoch 5 of 74: not a result; --resume goes on", "train --output", "--resume"],
    ),
    ({"end": "complete", "epochs": 74, "epochs_run": 0}, ["nothing was left to do"]),
    ({"end": "complete", "epochs": 74, "dice": None}, ["no validation: the weights are those of the last epoch"]),
    ({"end": "complete", "epochs": 74, "warnings": ["no better"]}, ["warning: no better"]),
    ({"end": "complete", "epochs": 74, "select": "last"}, ["at epoch 9, the weights kept are those of the last epoch"]),
]


@pytest.mark.parametrize(
    ("values", "told"), ENDS, ids=["complete", "patience", "time", "nothing", "none", "warning", "last"]
)
def test_last_words(values: dict[str, Any], told: list[str], tmp_path: Path) -> None:
    known = {"folder": tmp_path, "network": "sa2net", "epochs_run": 5, "max_epochs": 74, "seconds": 120.0}
    words = last_words(RunResult(**{**known, "dice": 0.861, "dice_epoch": 9, **values}))
    assert all(text in words for text in told), words
    assert ("best validation Dice 0.861 at epoch 9" in words) == ("dice" not in values)
