# SPDX-License-Identifier: Apache-2.0
"""Names that files, folders and weights may have: none ends a run, none hides a file, none acts on the terminal."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.utils import set_determinism
from PIL import Image

from sa2_monai import load_bundle
from sa2_monai.bundle.locate import find_bundle
from sa2_monai.cli.main import main
from sa2_monai.data import load_datalist, make_sample, read_label
from sa2_monai.inference import FailedCasesError
from sa2_monai.io.names import file_name
from sa2_monai.io.ownership import FolderInUseError
from tests.cli.mini_bundle import make_bundle
from tests.support.small_models import GLANDS, HEART, save_model

INFO = {"network": "sa2net", "class_names": ["background", "type #1"], "view": "whole", "roi_size": [16, 16]}
# What a name may be; each is a file, and the first of them also a folder.
TEST_CASES = [
    *("slide #3", "#1", "a##b#", "$HOME", "@output_dir", "@#c", "%x.yaml", "a::b", "$__import__('os')"),
    *('it\'s "so"', "-x", "--output", " lead", "tail ", "~x", "[1]*?", "{a}", "a&b;c|d", "a\\b", "=1+1", "..x"[2:]),
    *("new\nline", "tab\tx", "esc\x1b[2J\x07", "c1\x9b31m", "x\u202egnp", "caf\u00e9", "cafe\u0301", "日本"),
    *(os.fsdecode(b"\xff\xfe"), "b" * 246, "é" * 123),
]


@pytest.fixture(autouse=True)
def unchanged_process() -> Iterator[None]:
    yield
    set_determinism(None)


def odd(folder: Path) -> Path:
    """A folder in a folder, with the characters that the parser of MONAI changes."""
    folder = folder / "run #2 $x @y" / "%z::"
    folder.mkdir(parents=True)
    return folder


def written(folder: Path, suffix: str) -> list[str]:
    """A file of every name that the file system has room for, with the names of the cases."""
    names = []
    for number, name in enumerate(TEST_CASES):
        stem = name if len(os.fsencode(name + suffix)) <= 255 else name[:-3]
        path = folder / f"{stem}{suffix}"
        values = np.random.RandomState(number).rand(16, 16, 3)
        try:
            if suffix == ".png":
                Image.fromarray((values * 255).astype(np.uint8)).save(path)
            else:
                nib.save(nib.Nifti1Image(values[:, :, :2].astype(np.float32), np.eye(4)), os.fspath(path))
        except (OSError, UnicodeError):  # not every system has every name
            continue
        names.append(stem)
    assert len(names) > 20
    return names


def predict(folder: Path, weights: Path, out: Path, *options: str) -> int:
    return main(["predict", str(folder), "--weights", str(weights), "--output", str(out), "--device", "cpu", *options])


def check_terminal(printed: str) -> None:
    assert not [letter for letter in printed if letter != "\n" and not letter.isprintable() and letter != "\u0301"]
    assert not any(mark in printed for mark in ("\u202e", "\x9b", "\x1b"))


def test_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = make_bundle(odd(tmp_path / "b"), INFO)
    weights = bundle / "models" / "model #1.pt"
    for suffix in (".pt", ".json"):
        (bundle / "models" / f"model{suffix}").rename(weights.with_suffix(suffix))
    folder, out = odd(tmp_path / "in"), odd(tmp_path / "out")
    names = written(folder, ".png")
    options = ("--bundle", str(bundle))
    assert predict(folder, weights, out, *options, "--probabilities") == 0
    captured = capsys.readouterr()
    check_terminal(captured.out + captured.err)
    assert f"{len(names)} masks in" in captured.out
    found = os.listdir(out / "predictions")
    assert sorted(found) == sorted([f"{name}.png" for name in names] + [file_name(f"{n}_prob", ".png") for n in names])
    assert not (tmp_path / "out" / "run ::2 $x @y").exists()
    for name in names:
        mask = read_label(out / "predictions" / f"{name}.png")
        with Image.open(folder / f"{name}.png") as image:
            bright = np.asarray(image).mean(axis=2) > 127.5
        assert (mask == bright).mean() > 0.9, name
    assert predict(folder, weights, out, *options, "--probabilities", "--status") == 0
    assert predict(folder, weights, out, *options, "--probabilities") == 0
    assert f"{len(names)} of {len(names)} are finished already" in capsys.readouterr().out


def test_volumes_and_their_evaluation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = save_model(odd(tmp_path / "w") / "heart.pt", HEART)
    folder, out, scores = odd(tmp_path / "in"), odd(tmp_path / "out"), odd(tmp_path / "scores")
    names = written(folder, ".nii.gz")
    assert predict(folder, weights, out, "--batch-size", "2") == 0
    predictions = out / "predictions"
    assert sorted(os.listdir(predictions)) == sorted(f"{name}.nii.gz" for name in names)
    words = ["evaluate", "-p", predictions, "-r", predictions, "--images", folder, "--output", scores]
    assert main([*map(str, words), "--classes", "background,rv,myo,lv", "--overlays", "9"]) == 0
    captured = capsys.readouterr()
    check_terminal(captured.out + captured.err)
    summary = json.loads((scores / "metrics_summary.json").read_text(encoding="utf-8"))
    assert summary["cases"] == len(names)
    with open(scores / "metrics_per_case.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    cells = {cell for row in rows for cell in row}
    assert not [cell for cell in cells if cell[:1] in "=+-@\t\r" and cell and not cell[1:2].isdigit()]
    assert {"'=1+1", "'-x", "'@output_dir", "slide #3"} <= cells


def test_predictions_of_another_unicode_form(tmp_path: Path) -> None:
    """References from a Mac, predictions from Linux."""
    for folder, name in (("p", "caf\u00e9"), ("r", "cafe\u0301")):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.eye(8, dtype=np.uint8)).save(tmp_path / folder / f"{name}.png")
    words = ["evaluate", "-p", tmp_path / "p", "-r", tmp_path / "r", "--classes", "background,line"]
    assert main([*map(str, words)]) == 0


def test_from_python(tmp_path: Path) -> None:
    weights = save_model(odd(tmp_path / "w") / "glands #1.pt", {**GLANDS, "class_names": ["background", "type #1"]})
    bundle = load_bundle("sa2net", weights=weights, device="cpu")
    assert bundle.class_names == ["background", "type #1"]
    folder, out = odd(tmp_path / "in"), tmp_path / "out::1 #2"
    image = (np.random.RandomState(0).rand(32, 32, 3) * 255).astype(np.uint8)
    Image.fromarray(image).save(folder / "a #1.png")
    path = bundle.predict(folder / "a #1.png", output_dir=out)
    assert path == out / "a #1.png"
    np.testing.assert_array_equal(read_label(path), bundle.predict(image))
    (folder / "b #2.png").write_bytes(b"no image")
    with pytest.raises(FailedCasesError, match=r"1 of 2 cases failed") as caught:
        bundle.predict(folder, output_dir=out)
    assert isinstance(caught.value, ValueError)
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert list(caught.value.failures) == ["b #2"]
    assert str(folder / "b #2.png") in caught.value.failures["b #2"]
    make_sample(tmp_path / "data #1", seed=0, num_training=2, num_validation=1, num_test=2, size=(32, 32))
    result = bundle.evaluate(tmp_path / "data #1", "folder", output_dir=tmp_path / "scores #1", num_workers=0)
    assert len(result.cases) == 2
    assert (tmp_path / "scores #1" / "report.html").is_file()
    assert not list(tmp_path.glob("*::1"))


@pytest.mark.filterwarnings("ignore:parsing:UserWarning")
def test_through_monai(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``python -m monai.bundle run`` writes ``::`` for ``#``: inputs are found again, outputs refused."""
    from monai.bundle import run

    weights = save_model(odd(tmp_path / "w") / "glands #1.pt", GLANDS)
    folder = odd(tmp_path / "in")
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(folder / "a #1.png")
    config = str(find_bundle("sa2net") / "configs" / "inference.yaml")
    words: dict[str, Any] = {
        "config_file": config,
        "logging_file": False,
        "ckpt_path": str(weights),
        "dataset_dir": str(folder),
        "device": "cpu",
        "num_workers": 0,
        **{key: GLANDS[key] for key in ("base_channels", "roi_size", "class_names")},
    }
    run(**words, output_dir=str(tmp_path / "out"))
    assert os.listdir(tmp_path / "out" / "predictions") == ["a #1.png"]
    with pytest.raises(RuntimeError) as caught:
        run(**words, output_dir=str(tmp_path / "out #1"))
    assert "results would land in another folder" in str(caught.value.__cause__)
    assert not list(tmp_path.glob("out*1*"))
    make_sample(tmp_path / "data #1", seed=0, num_training=2, num_validation=1, num_test=1, size=(32, 32))
    assert len(load_datalist(f"{tmp_path}/data ::1", "training", fold=None)) == 2


def test_lists_of_odd_names(tmp_path: Path) -> None:
    """A line that is a file is that file, whatever it begins with; names may be in no encoding."""
    bundle = make_bundle(tmp_path / "bundle", INFO)
    names = [b"#1.png", b" lead.png", b"$x.png", b"\xff.png", "é.png".encode()]
    for name in names:
        Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / os.fsdecode(name))
    (tmp_path / "list.txt").write_bytes(b"# comment\r\n" + b"\r\n".join(names) + b"\r\n#1.gone.png\n")
    assert (
        predict(tmp_path / "list.txt", bundle / "models" / "model.pt", tmp_path / "out", "--bundle", str(bundle)) == 0
    )
    assert sorted(map(os.fsencode, os.listdir(tmp_path / "out" / "predictions"))) == sorted(names)


def claim(out: Path, **content: Any) -> Path:
    """The mark of a program on another machine, of which nobody can tell whether it runs."""
    out.mkdir(exist_ok=True)
    file = out / ".sa2_monai.77.0123abcd.lock"
    owner = {"host": "node7", "pid": 77, "purpose": "training", "since": "2026-01-02T03:04:05+00:00"}
    file.write_text(json.dumps({**owner, **content}))
    return file


def test_one_writer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle, out = make_bundle(tmp_path / "bundle", INFO), tmp_path / "out"
    weights, image = bundle / "models" / "model.pt", tmp_path / "a.png"
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(image)
    options = ("--bundle", str(bundle))
    assert predict(image, weights, out, *options, "--shard", "1/1") == 0
    assert not list(out.glob(".sa2_monai*"))
    same = json.loads((out / "cases" / "a.json").read_text())["settings"]
    mark = claim(out)
    capsys.readouterr()
    assert predict(image, weights, out, *options, "--again") == 1
    message = capsys.readouterr().err
    assert f"{out}: another program writes into this folder: training, process 77 on node7, since 2026-01-02" in message
    assert f"remove {mark}" in message
    assert predict(image, weights, out, *options, "--status") == 0, "looking is no writing"
    assert main(["sample", str(out), "--force"]) == 1
    assert "process 77 on node7" in capsys.readouterr().err
    claim(out, shared=same)
    assert predict(image, weights, out, *options, "--again", "--shard", "2/2") == 0, "parts of one batch go together"
    assert predict(image, weights, out, *options, "--again") == 1
    torch.save({"weight": torch.zeros(1, 3, 1, 1), "bias": torch.zeros(1)}, tmp_path / "other.pt")
    assert predict(image, tmp_path / "other.pt", out, *options, "--shard", "2/2") == 1, "another model does not"
    mark.unlink()
    assert predict(image, tmp_path / "other.pt", out, *options, "--shard", "2/2") == 0


def test_one_writer_from_python(tmp_path: Path) -> None:
    bundle = load_bundle("sa2net", weights=save_model(tmp_path / "glands.pt", GLANDS), device="cpu")
    image, out = np.zeros((32, 32, 3), np.uint8), tmp_path / "out"
    mark = claim(out)
    with pytest.raises(FolderInUseError, match="process 77 on node7"):
        bundle.predict(image, output_dir=out)
    assert bundle.predict(image).shape == (32, 32), "a folder of its own"
    mark.unlink()
    bundle.predict(image, output_dir=out)
    assert not list(out.glob(".sa2_monai*"))


def test_a_sample_is_made_in_peace(tmp_path: Path) -> None:
    few = ["--training", "1", "--validation", "0", "--test", "0", "--size", "32"]
    assert main(["sample", str(tmp_path / "a" / "s #1"), *few]) == 0
    assert not [name for name in os.listdir(tmp_path / "a" / "s #1") if name.startswith(".sa2_monai.")]
    claim(tmp_path / "b")
    assert main(["sample", str(tmp_path / "b"), *few]) == 1
    assert os.listdir(tmp_path / "b") == [".sa2_monai.77.0123abcd.lock"]
