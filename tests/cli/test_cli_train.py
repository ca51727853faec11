# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai train``: what it prints, and one line for whatever is wrong."""

from __future__ import annotations

import json
import multiprocessing
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sa2_monai.bundle.run.console import Console
from sa2_monai.bundle.run.watch import Epoch
from sa2_monai.cli.main import main
from sa2_monai.io.ownership import claim_folder
from tests.support.trained_run import SMALL, TrainedRun

WRONG_USE = [
    (["DATA", "base_chanels=8", "--network", "sa2net"], r"sa2net has no base_chanels \(did you mean base_channels\?\)"),
    (["DATA", "batchsize=8"], r"no bundle has batchsize \(did you mean batch_size\?\)"),
    (["DATA", "--output", "RUN", "batch_size=0"], "batch_size is 0, expected a whole number of at least 1"),
    (["DATA", "class_names=[background]"], "class_names is .*, expected a list of at least two different names"),
    (["DATA", "--network", "vnet"], "the network is 'vnet'"),
    (["DATA", "--network", "sa2net:plain"], "sa2net has no variant 'plain'; it has plain_skips"),
    (["DATA", "--network", "unet", "variant=plain_skips"], "variant is 'plain_skips', expected null"),
    (["DATA", "--time", "0"], "the time is 0 minutes, expected a number above 0"),
    (["DATA", "--epochs", "many"], "argument --epochs: invalid int value: 'many'"),
    (["DATA", "--epochs", "3", "max_epochs=4"], "max_epochs is given twice"),
    (["DATA", "ckpt_dir=here"], "ckpt_dir is set by the training itself"),
    (["DATA", "--images", "*.png"], "--images and --labels belong together"),
    (["DATA", "--no-plan", "--colours", "table.csv"], "--colours goes into the plan"),
    (["batch_size=0", "DATA", "--network", "sa2net"], "batch_size is 0, expected"),
    (["--network", "sa2net", "batch_size=0", "DATA"], "batch_size is 0, expected"),
    (["DATA", "--resume"], "--resume needs --output RUN"),
    (["batch_size=4"], "give DATA"),
]
FAILURES = [
    (["nowhere"], "nowhere: no such file or folder; give the folder of your images and masks"),
    (["DATA", "--pretrained", "lost.pt"], "lost.pt: no such file; pretrained is weights"),
    (["DATA", "--output", "DATA"], "holds other files, and no run. Choose another --output"),
    (["DATA", "--config", "plan.yaml"], "--config plan.yaml: no such file"),
    (["DATA", "--no-plan"], "without a plan --network says which network to train"),
]
OF_THE_RUN = [
    ("class_names=[background, a, b]", "the labels hold 0, 255"),
    ("learning_rate=@rate", "'rate' is not a valid value"),
    ("network_def#width=3", "unexpected keyword argument 'width'"),
    ("roi_size=[33, 33]", "height and width must be positive multiples of 16"),
]


def given(words: list[str], data: Path, run: Path) -> list[str]:
    return ["train", *(str({"DATA": data, "RUN": run}.get(word, word)) for word in words)]


@pytest.mark.parametrize(("words", "told"), WRONG_USE, ids=[told[:28] for _, told in WRONG_USE])
def test_wrong_use_is_one_line(
    words: list[str], told: str, sample_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(given(words, sample_dir, tmp_path / "run"))
    error = capsys.readouterr().err
    assert re.match(rf"sa2-monai train: error: .*{told}", error)
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("words", "told"), FAILURES, ids=[told[:28] for _, told in FAILURES])
def test_failures_are_one_line(
    words: list[str],
    told: str,
    sample_dir: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(given(words, sample_dir, tmp_path / "run")) == 1
    error = capsys.readouterr().err
    assert re.match(rf"sa2-monai train: error: .*{told}", error)
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_typo_is_told_before_torch_is_imported(sample_dir: Path) -> None:
    program = (
        "import sys\nfrom sa2_monai.cli.main import main\n"
        f"try: main(['train', {str(sample_dir)!r}, 'batchsize=1'])\n"
        "except SystemExit as end: print(end.code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "2 False\n"


@pytest.mark.parametrize(("word", "told"), OF_THE_RUN, ids=[word for word, _ in OF_THE_RUN])
def test_errors_of_the_configuration_are_one_line(
    word: str, told: str, sample_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(given(["DATA", "--output", "RUN", *SMALL, word], sample_dir, tmp_path / "run")) == 1
    error = capsys.readouterr().err
    assert re.match(rf"sa2-monai train: error: .*{told}", error)
    assert error.count("\n") == 1


def test_what_is_printed(trained_run: TrainedRun) -> None:
    lines = trained_run.printed.splitlines()
    assert lines[0].startswith(f"{trained_run.data}: ")
    assert "8 training images" in lines[0]
    assert any(line.split()[:2] == ["base_channels", "4"] for line in lines) or "chosen by you" in trained_run.printed
    epochs = [line for line in lines if line.startswith("epoch ")]
    pattern = r"epoch {}/2  loss [\d.]+  Dice \d\.\d+ \(best \d\.\d+ @\d\)  [\d.]+ s"
    assert re.fullmatch(pattern.format(1) + "  left .*", epochs[0])
    assert re.fullmatch(pattern.format(2), epochs[1])
    assert len(epochs) == 2
    assert "Epoch[" not in trained_run.printed
    assert "INFO" not in trained_run.printed
    assert any(line.startswith("training complete: epoch 2 of 2") for line in lines)
    log = (trained_run.folder / "logs" / "train.log").read_text()
    assert epochs[0] in log
    assert "monai.handlers.StatsHandler: Epoch[1]" in log
    assert "ignite.engine" in log


def test_the_printed_commands_name_what_is_there(trained_run: TrainedRun) -> None:
    lines = trained_run.printed.splitlines()
    (monai,) = [shlex.split(line[2:]) for line in lines if line.startswith("$ ")]
    options = dict(zip(monai[5::2], monai[6::2], strict=True))
    assert monai[1:5] == ["-m", "monai.bundle", "run", "training"]
    assert all(Path(options[f"--{name}"]).is_file() for name in ("meta_file", "config_file", "logging_file"))
    assert options["--device"] == "cpu"
    assert options["--bundle_root"].startswith("$")
    commands = [shlex.split(line) for line in lines[lines.index("Next") + 1 :]]
    for command in commands:
        assert str(trained_run.folder) in command
    predict = next(command for command in commands if "predict" in command)
    assert Path(predict[predict.index("predict") + 1]).is_file()


def test_a_loss_that_is_not_finite(sample_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    words = ["DATA", "--output", "RUN", "--epochs", "1", *SMALL, "batch_size=2", "learning_rate=1e30"]
    assert main(given(words, sample_dir, run)) == 1
    error = capsys.readouterr().err
    assert re.match(r"sa2-monai train: error: the training diverged in epoch 1, iteration \d of 4", error)
    assert "Cases of its batch: " in error
    assert error.count("\n") == 1
    assert not (run / "models" / "model.pt").exists()
    assert json.loads((run / "eval" / "run.json").read_text())["status"] == "failed"
    assert "Traceback" in (run / "logs" / "train.log").read_text()


def test_stopped_by_the_user(
    sample_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, show = tmp_path / "run", Console.__call__

    def stop(console: Console, epoch: Epoch) -> None:
        show(console, epoch)
        if epoch.number == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(Console, "__call__", stop)
    assert main(given(["DATA", "--output", "RUN", "--epochs", "3", *SMALL], sample_dir, run)) == 130
    error = capsys.readouterr().err.strip()
    assert error.startswith("sa2-monai train: stopped; the state of the last epoch is kept. Go on with: ")
    assert error.endswith(f"train --output {run} --resume")
    assert "\n" not in error
    monkeypatch.undo()
    assert main(["train", "--output", str(run), "--resume", "--device", "cpu", "--time", "0.0001"]) == 0
    words = capsys.readouterr().out
    assert "stopped by the time limit at epoch 2 of 3: not a result; --resume goes on" in words
    assert f"train --output {run} --resume" in words


def hold(folder: Path, ready: Any, leave: Any) -> None:
    """A training in another process."""
    with claim_folder(folder, "training"):
        ready.set()
        leave.wait(60)


def test_a_second_training_is_refused(
    trained_run: TrainedRun, sample_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    context = multiprocessing.get_context("fork")
    ready, leave = context.Event(), context.Event()
    other = context.Process(target=hold, args=(trained_run.folder, ready, leave))
    other.start()
    try:
        assert ready.wait(60)
        for words in (["DATA", "--output", "RUN"], ["--output", "RUN", "--resume"]):
            assert main(given(words, sample_dir, trained_run.folder)) == 1
            error = capsys.readouterr().err
            assert re.search(
                rf"another program writes into this folder: training, process {other.pid} on .* since", error
            )
            assert error.count("\n") == 1
    finally:
        leave.set()
        other.join()
