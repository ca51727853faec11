# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai predict --watch``: what is complete, what is predicted, and how it ends."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sa2_monai.bundle import network
from sa2_monai.bundle.prediction.run import open_model
from sa2_monai.bundle.prediction.watch import FolderWatch, watch_folder
from sa2_monai.cli.main import main
from tests.cli.mini_bundle import make_bundle, read_config, take_tolerant_parts, write_config

INFO = {"network": "sa2net", "class_names": ["background", "nucleus"], "view": "whole", "roi_size": [16, 16]}


def write_image(path: Path, grey: int = 200) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((16, 16), grey, dtype=np.uint8)).save(path)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    write_image(tmp_path / "images" / "a.png")
    return tmp_path / "images"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """The small bundle with the tolerant parts of ours, and their way to take a network that is loaded."""
    folder = make_bundle(tmp_path / "bundle", INFO)
    config = read_config(folder)
    config |= {"predictions_dir": "$@output_dir + '/predictions'", "load_pretrain": True}
    config["handlers"][0]["_disabled_"] = "$not @load_pretrain"
    take_tolerant_parts(config)
    write_config(folder, config)
    return folder


Watch = Callable[..., list[str]]


@pytest.fixture
def said() -> list[str]:
    """What was written to stderr, by run."""
    return []


@pytest.fixture
def watch(bundle: Path, images: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], said: list[str]) -> Watch:
    """Watch the folder; before each look but the first one of the steps, and Ctrl-C after the last one."""

    def run(*steps: Callable[[], Any], **options: Any) -> list[str]:
        waiting: Iterator[Callable[[], Any]] = iter(steps)

        def sleep(seconds: float) -> None:
            step = next(waiting, None)
            if step is None:
                raise KeyboardInterrupt
            step()

        with pytest.raises(KeyboardInterrupt):
            watch_folder(open_model(bundle), images, tmp_path / "out", {}, 1.0, device="cpu", sleep=sleep, **options)
        printed = capfd.readouterr()
        said.append(printed.err)
        return [Path(line.split(" -> ")[1]).stem for line in printed.out.splitlines() if " -> " in line]

    return run


def nothing() -> None:
    """A look at which nothing has happened."""


def test_predicts_what_comes_and_what_changes(watch: Watch, images: Path) -> None:
    steps = (nothing, lambda: write_image(images / "sub" / "b.png"), nothing, lambda: write_image(images / "a.png", 9))
    assert watch(*steps, nothing, nothing) == ["a", "b", "a"]


def test_goes_on_where_an_earlier_run_was_stopped(watch: Watch, images: Path, tmp_path: Path) -> None:
    assert watch(nothing, nothing) == ["a"]
    write_image(images / "b.png")
    assert watch(nothing, nothing) == ["b"]
    assert watch(nothing, nothing, again=True) == ["a", "b"]
    assert json.loads((tmp_path / "out" / "predict_summary.json").read_text())["finished"] == 2


def test_bad_files_are_told_once(watch: Watch, images: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (images / "bad.png").write_text("no image")
    assert watch(nothing, nothing, nothing, lambda: write_image(images / "bad.png"), nothing) == ["a", "bad"]
    assert [record.getMessage().split(": ")[0] for record in caplog.records] == ["case bad failed"]
    assert json.loads((tmp_path / "out" / "predict_summary.json").read_text())["failed"] == []


def test_two_images_of_one_name_are_told_once(watch: Watch, images: Path, said: list[str]) -> None:
    write_image(images / "a.bmp")
    assert watch(nothing, nothing, nothing, lambda: (images / "a.bmp").unlink(), nothing, nothing) == ["a"]
    assert said[0].count("would get one case name") == 1


def test_the_network_is_loaded_once(watch: Watch, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []
    load = network.load_weights
    monkeypatch.setattr(network, "load_weights", lambda *args: loaded.append(args) or load(*args))
    assert watch(nothing, lambda: write_image(images / "b.png"), nothing, nothing) == ["a", "b"]
    assert len(loaded) == 1


def test_other_weights_end_it(bundle: Path, images: Path, tmp_path: Path) -> None:
    def sleep(seconds: float) -> None:
        with open(bundle / "models" / "model.pt", "ab") as file:
            file.write(b"x")

    with pytest.raises(ValueError, match="the weights or their bundle have changed"):
        watch_folder(open_model(bundle), images, tmp_path / "out", {}, 1.0, device="cpu", sleep=sleep)


def test_sigterm_ends_it_as_ctrl_c_does(
    bundle: Path, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def sleep(seconds: float) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stopped:
        watch_folder(open_model(bundle), images, tmp_path / "out", {}, 1.0, device="cpu", sleep=sleep)
    assert stopped.value.code == 143
    assert "stopped" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGTERM) is before
    assert not list((tmp_path / "out").glob(".sa2_monai.*"))  # nobody claims the folder any more


def test_a_result_in_the_watched_folder_is_no_input(bundle: Path, images: Path) -> None:
    looks = []

    def sleep(seconds: float) -> None:
        looks.append(sorted(path.name for path in images.rglob("*.png")))
        if len(looks) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch_folder(open_model(bundle), images, images / "out", {}, 1.0, device="cpu", sleep=sleep)
    assert looks == [["a.png"], *[["a.png", "a.png"]] * 3]


TEST_CASES = [
    ("an image is complete at the second look", ["a.png"], [], ["a.png"]),
    ("one that grows is not", ["a.png"], ["a.png"], []),
    ("nor one with the name of an unfinished file", ["a.png.part", "~a.png"], [], []),
    ("a series waits for all its slices", ["s/1.dcm", "s/2.dcm"], ["s/2.dcm"], []),
    ("and is one case", ["s/1.dcm", "s/2.dcm"], [], ["s"]),
    ("which an unfinished file holds back", ["s/1.dcm", "s/2.dcm.part"], [], []),
]


@pytest.mark.parametrize(
    ("files", "grows", "expected"), [case[1:] for case in TEST_CASES], ids=[c[0] for c in TEST_CASES]
)
def test_what_is_complete(tmp_path: Path, files: list[str], grows: list[str], expected: list[str]) -> None:
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    watched = FolderWatch(tmp_path)
    cases = [{"image": str(tmp_path / name), "case": name} for name in sorted({name.split("/")[0] for name in files})]
    assert not watched.look()
    assert watched.fresh(cases) == []
    for name in grows:
        (tmp_path / name).write_text("more of it")
    watched.look()
    assert [case["case"] for case in watched.fresh(cases)] == expected
    assert watched.fresh(cases) == []
    assert [case["case"] for case in watched.given(cases)] == expected


REFUSED = [
    (["--watch", "{images}", "{images}"], "--watch does not go with INPUT"),
    (["--watch", "{images}", "--status"], "--watch does not go with --status"),
    (["--watch", "{images}", "--measure"], "--watch does not go with --measure"),
    (["--watch", "{images}", "--shard", "1/2"], "--watch does not go with --shard"),
    (["{images}", "--interval", "3"], "--interval belongs to --watch"),
    (["--watch", "{images}", "--interval", "0"], "expected seconds above 0, got '0'"),
]


@pytest.mark.parametrize(("words", "message"), REFUSED)
def test_refuses(images: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["predict", *(word.format(images=images) for word in words)])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


FAILS = [("nowhere", "out", "no such folder to watch"), ("images", "images", "is watched and is the --output folder")]


@pytest.mark.parametrize(("folder", "output", "message"), FAILS)
def test_one_line(bundle: Path, images: Path, capsys: Any, folder: str, output: str, message: str) -> None:
    base = images.parent
    words = ["--watch", base / folder, "--bundle", bundle, "--output", base / output, "--device", "cpu"]
    assert main(["predict", *map(str, words)]) == 1
    assert message in capsys.readouterr().err
