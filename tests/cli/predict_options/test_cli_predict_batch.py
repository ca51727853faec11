# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai predict`` on many cases: parts, going on after an interruption, failing cases, the summary."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sa2_monai.bundle.locate import load
from sa2_monai.bundle.prediction.run import device_of
from sa2_monai.bundle.prediction.shard import Shard, shard_of_environment
from sa2_monai.bundle.prediction.window import check_window
from sa2_monai.cli.main import main
from sa2_monai.cli.predict import parse_shard
from tests.cli.mini_bundle import make_bundle, read_config, take_tolerant_parts, write_config

INFO = {"network": "sa2net", "class_names": ["background", "nucleus"], "view": "whole", "roi_size": [16, 16]}
NAMES = ("a", "b", "c", "d", "e")
Predict = Callable[..., int]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number, name in enumerate(NAMES):
        Image.fromarray(np.full((16, 16), 40 * number, dtype=np.uint8)).save(folder / f"{name}.png")
    return folder


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The small bundle with the tolerant parts of ours."""
    folder = make_bundle(tmp_path / "bundle", INFO)
    config = read_config(folder)
    config["predictions_dir"] = "$@output_dir + '/predictions'"
    take_tolerant_parts(config)
    for step in config["postprocessing"]["transforms"]:
        if "output_dir" in step:
            step["output_dir"] = "@predictions_dir"
    write_config(folder, config)
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def predict(bundle: Path, images: Path, out: Path) -> Predict:
    def run(*options: object) -> int:
        words = (images, "--bundle", bundle, "--output", out, "--device", "cpu", *options)
        return main(["predict", *map(str, words)])

    return run


def done(printed: str) -> list[str]:
    """Cases that a run has predicted."""
    return [Path(line.split(" -> ")[1]).stem for line in printed.splitlines() if " -> " in line]


def summary(out: Path) -> dict[str, Any]:
    return json.loads((out / "predict_summary.json").read_text())


def test_parts_and_their_summary(predict: Predict, out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict("--shard", "2/2") == 0
    assert done(capsys.readouterr().out) == ["b", "d"]
    assert (summary(out)["finished"], summary(out)["missing"]) == (2, ["a", "c", "e"])
    assert predict("--status") == 1
    assert "2 of 5 cases are finished\nmissing or changed: 3: a, c, e" in capsys.readouterr().out
    assert predict("--shard", "1/2") == 0
    assert done(capsys.readouterr().out) == ["a", "c", "e"]
    assert (summary(out)["cases"], summary(out)["finished"], summary(out)["failed"]) == (5, 5, [])
    assert predict("--shard", "7/7") == 0, "fewer cases than parts"
    assert "part 7/7 of 5 cases, 0 to do" in capsys.readouterr().out
    assert predict("--status") == 0
    assert len(list((out / "predictions").iterdir())) == 5


def test_only_what_has_changed_is_done_again(
    predict: Predict, bundle: Path, images: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def again(*options: str) -> list[str]:
        assert predict(*options) == 0
        return done(capsys.readouterr().out)

    assert again() == list(NAMES)
    before = (out / "predictions" / "a.png").stat().st_mtime_ns
    assert predict() == 0
    assert "5 of 5 are finished already" in capsys.readouterr().out
    assert (out / "predictions" / "a.png").stat().st_mtime_ns == before

    Image.fromarray(np.full((16, 16), 250, dtype=np.uint8)).save(images / "a.png")  # another input
    os.utime(images / "b.png")  # the same content, copied
    (out / "predictions" / "c.png").unlink()
    (out / "predictions" / "d.png").write_bytes(b"torn")
    (out / "cases" / "e.json").write_text('{"status": ')  # nothing of ours, yet no reason to stop
    assert again() == ["a", "c", "d", "e"]
    assert np.asarray(Image.open(out / "predictions" / "a.png")).min() == 1
    assert again("--probabilities") == list(NAMES), "other options"
    (out / "predictions" / "b_prob.png").unlink()
    assert again("--probabilities") == ["b"]
    make = make_bundle(bundle.parent / "other", INFO) / "models" / "model.pt"
    import torch

    torch.save({**torch.load(make), "bias": torch.tensor([-9.0])}, bundle / "models" / "model.pt")
    assert again("--probabilities", "--batch-size", "5") == list(NAMES), "other weights"
    assert again("--probabilities", "--batch-size", "1") == [], "what changes no result"
    assert again("--probabilities", "--again", "--shard", "1/5") == ["a"]


def test_a_failed_case_is_tried_again(
    predict: Predict, images: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a batch with others, which are finished; its old result, of another input, is no result."""
    assert predict() == 0
    good = (images / "b.png").read_bytes()
    (images / "b.png").write_bytes(good[:40])
    (out / "predictions" / "c.png").unlink()
    capsys.readouterr()
    assert predict("--batch-size", "4") == 1
    printed = capsys.readouterr()
    assert done(printed.out) == ["c"]
    assert "1 of 2 cases failed, the others are finished" in printed.err
    assert not (out / "predictions" / "b.png").exists()
    (failed,) = summary(out)["failed"]
    assert (failed["case"], failed["inputs"]) == ("b", [str(images / "b.png")])
    assert "b.png" in failed["error"]
    assert predict("--status") == 1
    assert "failed: b: " in capsys.readouterr().out
    (images / "b.png").write_bytes(good)
    assert predict() == 0
    assert done(capsys.readouterr().out) == ["b"]
    assert (summary(out)["finished"], summary(out)["failed"]) == (5, [])


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_an_interrupted_run_goes_on(
    predict: Predict,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    stop: BaseException,
) -> None:
    """Ctrl-C, or a disk that is full when the third record is written."""
    from sa2_monai.inference import manifest

    write = manifest.write_json

    def full(path: Path, document: dict[str, Any]) -> None:
        if path.name == "c.json":
            raise stop
        write(path, document)

    monkeypatch.setattr(manifest, "write_json", full)
    assert predict("--batch-size", "1") == (1 if isinstance(stop, OSError) else 130)
    assert (out / "predictions" / "c.png").is_file()
    assert (summary(out)["finished"], summary(out)["missing"]) == (2, ["c", "d", "e"])
    monkeypatch.undo()
    capsys.readouterr()
    left = out / "predictions" / ".c.png.1234.tmp"  # of a process that was killed
    left.write_bytes(b"half")
    assert predict() == 0
    assert done(capsys.readouterr().out) == ["c", "d", "e"]
    assert not left.exists()


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "TORCHELASTIC_RUN_ID": "x"}, Shard(3, 8, 1, True)),
        ({"SLURM_PROCID": "5", "SLURM_NTASKS": "8", "SLURM_LOCALID": "1"}, Shard(5, 8, 1)),
        (
            {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_MAX": "4"}
            | {"SLURM_ARRAY_TASK_COUNT": "4", "SLURM_PROCID": "0", "SLURM_NTASKS": "1", "SLURM_LOCALID": "0"},
            Shard(2, 4),
        ),
        (
            {"SLURM_ARRAY_TASK_ID": "4", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_MAX": "6"}
            | {"SLURM_ARRAY_TASK_STEP": "2", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_PROCID": "1", "SLURM_NTASKS": "2"},
            Shard(5, 8),
        ),
    ],
)
def test_launchers(variables: dict[str, str], expected: Shard) -> None:
    assert shard_of_environment(variables) == expected


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, "neither torchrun"),
        ({"RANK": "x", "WORLD_SIZE": "2"}, "RANK is 'x', expected a whole number"),
        ({"RANK": "2", "WORLD_SIZE": "2"}, "says part 3 of 2"),
        ({"SLURM_ARRAY_TASK_ID": "7"}, "SLURM_ARRAY_TASK_MIN is ''"),
        (
            {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_MAX": "7"}
            | {"SLURM_ARRAY_TASK_COUNT": "3"},
            "have gaps",
        ),
    ],
)
def test_launchers_that_do_not_say_it(variables: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shard_of_environment(variables)


def test_parts_are_every_nth() -> None:
    cases = [*range(11)]
    parts = [Shard(index, 4).of(cases) for index in range(4)]
    assert sorted(case for part in parts for case in part) == cases
    assert [len(part) for part in parts] == [3, 3, 3, 2]
    assert parse_shard("auto") == "auto"


@pytest.mark.parametrize("wrong", ["0/2", "3/2", "1", "1/0", "-1/2", "a/b"])
def test_wrong_parts(wrong: str, predict: Predict, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        predict(f"--shard={wrong}")
    assert stopped.value.code == 2
    assert f"expected I/N with I from 1 to N, as in 2/8, or 'auto'; got '{wrong}'" in capsys.readouterr().err


@pytest.mark.parametrize(("window", "legal"), [(2, True), (7, False)])
def test_the_window_is_that_of_the_network_as_it_is_configured(window: int, legal: bool, repository: Path) -> None:
    config = load(repository / "bundles" / "hsaunet" / "configs" / "inference.yaml")
    settings = {"roi_size": [64, 64], "window_size": window}
    if legal:
        check_window(config, settings, "hsaunet")
        return
    with pytest.raises(ValueError, match=r"positive multiple of 112. The nearest legal size is \[112, 112\]"):
        check_window(config, settings, "hsaunet")


@pytest.mark.parametrize("network", ["sa2net", "daeformer", "hsaunet", "msa2net", "svanet"])
def test_every_bundle_says_which_windows_are_legal(network: str, repository: Path) -> None:
    config = load(repository / "bundles" / network / "configs" / "inference.yaml")
    check_window(config, {"roi_size": [224, 224]}, network)
    with pytest.raises(ValueError, match="illegal window size"):
        check_window(config, {"roi_size": [100, 100]}, "a name that nobody knows")


def test_under_torchrun(
    predict: Predict, images: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The parts end together, for torchrun stops all of them when one ends with an error; each has a GPU of its own."""
    import torch
    import torch.distributed as dist

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for name, value in (
        *(("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"), ("TORCHELASTIC_RUN_ID", "x")),
        *(("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", str(port)), ("GLOO_SOCKET_IFNAME", "lo")),
    ):
        monkeypatch.setenv(name, value)
    (images / "b.png").write_bytes(b"")
    waited = []
    start = dist.init_process_group
    monkeypatch.setattr(dist, "init_process_group", lambda *a, **k: waited.append(summary(out)) or start(*a, **k))
    assert predict("--shard", "auto") == 1
    assert [(found["finished"], len(found["failed"])) for found in waited] == [(4, 1)], "when its own cases are done"
    assert not dist.is_initialized()
    assert "1 of 5 cases failed" in capsys.readouterr().err
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert [device_of("cuda", Shard(5, 8, local)) for local in (None, 1, 6)] == ["cuda", "cuda:1", "cuda:2"]
    assert device_of("cpu", Shard(5, 8, 1)) == "cpu"
