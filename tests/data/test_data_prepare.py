# SPDX-License-Identifier: Apache-2.0
"""Preparations: what is written, what is kept, what interruptions, full disks and changed files do to the result."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sa2_monai import __version__
from sa2_monai.data import DATASETS, load_datalist, load_parts, prepare_dataset, prepared_parts_of
from sa2_monai.data import prepare as prepare_module
from sa2_monai.data.dataset import DataSet, Job, ListOptions, Preparation
from sa2_monai.data.layouts.cases import Case, Parts
from sa2_monai.data.preparation.folder import claimed_folder
from sa2_monai.data.preparation.jobs import run_job
from sa2_monai.io.problems import FailedCasesError

SECTIONS = {"a": "training", "b": "training", "c": "validation", "d": "test"}


def cut(job: Job, folder: Path) -> list[Case]:
    """Slices of a stack that is stored as one image, rows of ``height``; an empty file cannot be cut."""
    if not job.sources[0].stat().st_size:
        raise ValueError(f"{job.sources[0]}: is empty")
    stack = np.load(job.sources[0])
    cases: list[Case] = []
    for index, image in enumerate(stack):
        name = f"{job.name}_{index}"
        arrays = {"image": image, "label": (image > job.options["above"]).astype(np.uint8)}
        for key, array in arrays.items():
            (folder / f"{key}s").mkdir(exist_ok=True)
            Image.fromarray(array).save(folder / f"{key}s" / f"{name}.png")
        files = {key: f"{key}s/{name}.png" for key in arrays}
        cases.append({"section": SECTIONS[job.name], **files, "case": name, "group": job.name})
    return cases


def channels(job: Job, folder: Path) -> list[Case]:
    """The slices of a stack as the channels of one case."""
    cases = cut(job, folder)
    return [{**cases[0], "image": [case["image"] for case in cases], "case": job.name}]


def jobs(run: Callable[[Job, Path], list[Case]], directory: Path, options: ListOptions) -> list[Job]:
    above = {"above": 200 if options.split == "strict" else 100, "pair": (1, 2)}
    return [Job(path.stem, (path,), run, above) for path in sorted(directory.glob("*.npy"))]


def parts(directory: Path, options: ListOptions) -> Parts:
    return prepared_parts_of(directory, "stacks") or {}


@pytest.fixture(autouse=True)
def stacks(monkeypatch: pytest.MonkeyPatch) -> DataSet:
    """The data set ``stacks`` with two forms, and the layout ``stacks_slices`` of its result."""
    entry = DataSet(
        parts,
        title="stacks",
        licence="CC0",
        citation="Nobody",
        homepage="https://example.org",
        classes=("background", "bright"),
        splits=("usual", "strict"),
        preparations={
            "slices": Preparation("single slices", "images", partial(jobs, cut)),
            "channels": Preparation("slices as channels", "images", partial(jobs, channels)),
        },
    )
    monkeypatch.setitem(DATASETS, "stacks", entry)
    return entry


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    for number, name in enumerate(SECTIONS):
        stack = np.random.RandomState(number).randint(0, 256, (2 + number % 2, 6, 7), dtype=np.uint8)
        np.save(folder / f"{name}.npy", stack)
    return folder


def prepare(source: Path, out: Path, **options: Any) -> Any:
    return prepare_dataset("stacks", source, out, **{"progress": False, **options})


def content(folder: Path) -> dict[str, bytes]:
    """Every file but the bookkeeping."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files if ".prepare" not in p.parts}


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_what_is_written(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "deep" / "out"
    done = prepare(source, out, progress=True)
    assert (done.folder, done.form, done.made, done.kept) == (out, "slices", 4, 0)
    assert done.cases == {"training": 5, "validation": 2, "test": 3}
    assert "stacks: slices: 100%" in capsys.readouterr().err

    with Image.open(out / "images" / "b_2.png") as image, Image.open(out / "labels" / "b_2.png") as label:
        stack = np.load(source / "b.npy")
        np.testing.assert_array_equal(np.asarray(image), stack[2])
        np.testing.assert_array_equal(np.asarray(label), stack[2] > 100)

    described = read(out / "dataset.json")
    assert {key: described[key] for key in ("name", "description", "reference", "licence", "labels", "numTest")} == {
        "name": "stacks",
        "description": "stacks - single slices",
        "reference": "Nobody",
        "licence": "CC0",
        "labels": {"0": "background", "1": "bright"},
        "numTest": 3,
    }
    assert described["validation"] == [
        {"image": f"images/c_{i}.png", "label": f"labels/c_{i}.png", "case": f"c_{i}", "group": "c"} for i in range(2)
    ]

    manifest = read(out / "manifest.json")
    assert {key: manifest[key] for key in ("dataset", "form", "split", "sa2_monai")} == {
        "dataset": "stacks",
        "form": "slices",
        "split": "usual",
        "sa2_monai": __version__,
    }
    assert manifest["jobs"]["a"] == {"options": {"above": 100, "pair": [1, 2]}, "sources": ["a.npy"]}
    written = content(out)
    del written["manifest.json"]
    assert manifest["outputs"] == {name: hashlib.sha256(data).hexdigest() for name, data in written.items()}
    assert manifest["sources"] == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(source.iterdir())
    }
    assert not (out / ".prepare" / "making").exists()


def test_the_result_is_a_data_set(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(source, out)
    for name in ("stacks", "decathlon"):
        found = load_parts(out, name)
        assert [case["case"] for case in found["training"]] == ["a_0", "a_1", "b_0", "b_1", "b_2"]
        assert found["test"][0] == {
            "image": str(out / "images" / "d_0.png"),
            "label": str(out / "labels" / "d_0.png"),
            "case": "d_0",
            "group": "d",
        }
    assert len(load_datalist(out, "validation", "stacks", in_channels=1)) == 2
    assert prepared_parts_of(out, "another") is None
    assert prepared_parts_of(source, "stacks") is None
    prepare(source, tmp_path / "channels", form="channels")
    (case,) = (prepared_parts_of(tmp_path / "channels", "stacks") or {})["validation"]
    assert case["image"] == [str(tmp_path / "channels" / "images" / f"c_{i}.png") for i in range(2)]


@pytest.mark.parametrize("workers", [0, 2])
def test_the_same_bytes_each_time(workers: int, source: Path, tmp_path: Path) -> None:
    prepare(source, tmp_path / "first")
    moved = source.rename(tmp_path / "moved")
    done = prepare(moved, tmp_path / "second", workers=workers)
    assert done.made == 4
    assert content(tmp_path / "first") == content(tmp_path / "second")
    assert len(content(tmp_path / "first")) == 2 * 10 + 2


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the jobs that run."""
    names: list[str] = []

    def noted(job: Job, directory: Path, out: Path) -> Any:
        names.append(job.name)
        return run_job(job, directory, out)

    monkeypatch.setattr(prepare_module, "run_job", noted)
    return names


def test_what_is_finished_is_kept(source: Path, tmp_path: Path, ran: list[str]) -> None:
    out = tmp_path / "out"
    prepare(source, out)
    expected = content(out)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.*") if path.is_file()}
    ran.clear()
    done = prepare(source, out)
    assert (done.made, done.kept, ran) == (0, 4, [])
    assert {path: path.stat().st_mtime_ns for path in times} == times

    # Of the files that were damaged, also without a change of size and time, the job runs again; of the lists, none.
    damaged = out / "images" / "a_1.png"
    stat = damaged.stat()
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    os.utime(damaged, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    (out / "labels" / "c_0.png").unlink()
    (out / "dataset.json").write_text("{}")
    assert prepare(source, out).made == 2
    assert ran == ["a", "c"]
    assert content(out) == expected
    ran.clear()
    (out / "manifest.json").unlink()
    (out / "dataset.json").write_text("{}")
    prepare(source, out)
    assert ran == []
    assert content(out) == expected


def test_changed_sources(source: Path, tmp_path: Path, ran: list[str]) -> None:
    out = tmp_path / "out"
    prepare(source, out)
    expected = content(out)
    ran.clear()
    os.utime(source / "a.npy")  # only touched: compared once by its hash, then known again
    prepare(source, out)
    record = read(out / ".prepare" / "jobs" / "a.json")
    assert record["sources"]["a.npy"]["mtime_ns"] == (source / "a.npy").stat().st_mtime_ns
    assert ran == []
    np.save(source / "a.npy", np.load(source / "a.npy")[:1])
    prepare(source, out)
    assert ran == ["a"]
    assert sorted(expected.keys() - content(out).keys()) == ["images/a_1.png", "labels/a_1.png"]
    fresh = tmp_path / "fresh"
    prepare(source, fresh)
    assert content(out) == content(fresh)


def test_other_options_and_versions_run_again(
    source: Path, tmp_path: Path, ran: list[str], stacks: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    prepare(source, out)
    ran.clear()
    monkeypatch.setattr("sa2_monai.data.preparation.jobs.__version__", "another")
    assert prepare(source, out).made == 4

    def others(directory: Path, options: ListOptions) -> list[Job]:
        first, second, third, fourth = jobs(cut, directory, options)
        more = Job("b", (*second.sources, *first.sources), cut, second.options)
        return [first, more, Job("c", third.sources, cut, {**third.options, "above": 1}), fourth]

    monkeypatch.setitem(dict_of(stacks), "slices", Preparation("single slices", "images", others))
    ran.clear()
    prepare(source, out)
    assert ran == ["b", "c"]


def dict_of(entry: DataSet) -> dict[str, Preparation]:
    assert isinstance(entry.preparations, dict)
    return entry.preparations


def stopping(at: str, error: BaseException) -> Callable[[Job, Path], list[Case]]:
    def run(job: Job, folder: Path) -> list[Case]:
        cases = cut(job, folder)
        if job.name == at:
            raise error
        return cases

    return run


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt, None),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            OSError,
            r"no room left on the disk; free some. 1 of 4 jobs",
        ),
        (ImportError("No module named 'h5py'"), ImportError, "h5py"),
    ],
)
def test_interrupted(
    error: BaseException,
    raised: type[BaseException],
    message: str | None,
    source: Path,
    tmp_path: Path,
    stacks: DataSet,
    ran: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "out"
    usual = stacks.preparations["slices"]
    broken = Preparation(usual.description, "images", partial(jobs, stopping("b", error)))
    monkeypatch.setitem(dict_of(stacks), "slices", broken)
    with pytest.raises(raised, match=message):
        prepare(source, out)
    assert ran == ["a", "b"]
    # Only what is complete lies in its place, and nothing says that the whole is.
    assert sorted(content(out)) == [f"{kind}/a_{i}.png" for kind in ("images", "labels") for i in range(2)]
    assert not (out / ".prepare" / "making").exists()
    with pytest.raises(ValueError, match="the preparation of 'stacks' is not finished; run the same"):
        prepared_parts_of(out, "stacks")
    monkeypatch.setitem(dict_of(stacks), "slices", usual)
    ran.clear()
    assert prepare(source, out).kept == 1
    assert ran == ["b", "c", "d"]
    prepare(source, tmp_path / "fresh")
    assert content(out) == content(tmp_path / "fresh")


def test_killed_while_files_are_moved(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record names files that are not there yet, or are another job's leftovers: the job is not finished."""
    out = tmp_path / "out"
    replace, moved = os.replace, []

    def stops(first: Path, second: Path) -> None:
        if Path(second).suffix == ".png":
            moved.append(second)
            if len(moved) == 3:
                raise KeyboardInterrupt
        replace(first, second)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", stops)
        with pytest.raises(KeyboardInterrupt):
            prepare(source, out)
    assert len(list(out.rglob("*.png"))) == 2
    assert prepare(source, out).made == 4
    prepare(source, tmp_path / "fresh")
    assert content(out) == content(tmp_path / "fresh")


@pytest.mark.parametrize("workers", [0, 2])
def test_failed_jobs_are_named_and_the_others_finished(workers: int, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    good = {name: (source / f"{name}.npy").read_bytes() for name in "bd"}
    (source / "b.npy").write_bytes(b"")
    (source / "d.npy").write_bytes(b"")
    with pytest.raises(FailedCasesError) as failed:
        prepare(source, out, workers=workers)
    assert failed.value.failures == {name: f"{source / f'{name}.npy'}: is empty" for name in "bd"}
    assert "2 of 4" in str(failed.value)
    assert not (out / "manifest.json").exists()
    assert not (out / "dataset.json").exists()
    for name, data in good.items():
        (source / f"{name}.npy").write_bytes(data)
    assert prepare(source, out).kept == 2


def test_a_source_that_is_not_there(
    source: Path, tmp_path: Path, stacks: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(directory: Path, options: ListOptions) -> list[Job]:
        return [Job("a", (directory / "none.npy",), cut, {"above": 1})]

    monkeypatch.setitem(dict_of(stacks), "slices", Preparation("", "images", missing))
    with pytest.raises(FailedCasesError, match=r"none.npy: No such file or directory"):
        prepare(source, tmp_path / "out")
    (source / "a.npy").rename(source / "none.npy")
    prepare(source, tmp_path / "out")
    (source / "none.npy").unlink()  # after it was finished: the listing still names it
    with pytest.raises(FailedCasesError, match=r"none.npy: No such file or directory"):
        prepare(source, tmp_path / "out")
    assert prepared_parts_of(tmp_path / "another", "stacks") is None


def test_a_source_that_changes_meanwhile(
    source: Path, tmp_path: Path, stacks: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(job: Job, folder: Path) -> list[Case]:
        os.utime(job.sources[0], ns=(1, 1))
        return cut(job, folder)

    monkeypatch.setitem(dict_of(stacks), "slices", Preparation("", "images", partial(jobs, run)))
    with pytest.raises(FailedCasesError, match=r"a.npy: changed while it was read; run again"):
        prepare(source, tmp_path / "out")


def die(job: Job, folder: Path) -> list[Case]:
    os._exit(1)


def test_a_worker_that_is_killed(
    source: Path, tmp_path: Path, stacks: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(dict_of(stacks), "slices", Preparation("", "images", partial(jobs, die)))
    with pytest.raises(RuntimeError, match=r"a worker process was killed, often for lack of memory; .* 0 of 4 jobs"):
        prepare(source, tmp_path / "out", workers=1)
    assert not (tmp_path / "out" / ".prepare" / "making").exists()


def test_defects_of_a_job_are_said(
    source: Path, tmp_path: Path, stacks: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(change: Callable[[list[Case], Path], None], job: Job, folder: Path) -> list[Case]:
        cases = cut(job, folder)
        change(cases, folder)
        return cases

    for number, (change, message) in enumerate(
        [
            (
                lambda cases, folder: cases[0].update(label="labels/none.png"),
                "lists labels/none.png, which it did not write; it wrote 4 files",
            ),
            (lambda cases, folder: cases[0].update(section="train"), "section is 'train', expected one of training"),
            (
                lambda cases, folder: (folder / "dataset.json").touch(),
                "wrote dataset.json, which the preparation itself",
            ),
            (lambda cases, folder: cases[0].update(case="same"), "'a' and 'b' both have the case 'same'"),
            (lambda cases, folder: (folder / "extra.txt").touch(), "two jobs wrote extra.txt, one of them 'b'"),
        ]
    ):
        monkeypatch.setitem(dict_of(stacks), "slices", Preparation("", "images", partial(jobs, partial(run, change))))
        with pytest.raises(ValueError, match=message):
            prepare(source, tmp_path / f"out{number}")
        assert not (tmp_path / f"out{number}" / "manifest.json").exists()


def test_wrong_arguments(source: Path, tmp_path: Path, stacks: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    cases: list[tuple[type[Exception], str, dict[str, Any]]] = [
        (ValueError, "dataset is 'nothing', expected one of", {"name": "nothing"}),
        (ValueError, r"'folder' needs no preparation, .* one for .*stacks", {"name": "folder"}),
        (ValueError, "form is 'cubes', 'stacks' has slices, channels", {"form": "cubes"}),
        (ValueError, "split is 'other', 'stacks' has usual, strict", {"split": "other"}),
        (ValueError, "workers is -1", {"workers": -1}),
        (FileNotFoundError, "nowhere: no such folder", {"directory": tmp_path / "nowhere"}),
        (ValueError, "lies in the data set", {"out": source / "inside"}),
        (ValueError, "has nothing to prepare", {"directory": tmp_path / "empty"}),
    ]
    (tmp_path / "empty").mkdir()
    for error, message, changed in cases:
        arguments: dict[str, Any] = {"name": "stacks", "directory": source, "out": out, "progress": False, **changed}
        with pytest.raises(error, match=message):
            prepare_dataset(**arguments)
    twice = Preparation("", "images", lambda directory, options: jobs(cut, directory, options) * 2)
    monkeypatch.setitem(dict_of(stacks), "slices", twice)
    with pytest.raises(ValueError, match="8 jobs have 4 names"):
        prepare(source, out)
    assert not (out / "manifest.json").exists()


def test_folders_of_something_else(source: Path, tmp_path: Path, ran: list[str]) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"out: holds other files \(notes.txt\); choose an empty or new folder"):
        prepare(source, out)
    with pytest.raises(NotADirectoryError, match=r"notes.txt: is a file"):
        prepare(source, out / "notes.txt")
    assert content(out) == {"notes.txt": b"mine"}
    (out / "notes.txt").unlink()
    prepare(source, out)
    for options, message in (
        ({"form": "channels"}, r"\(dataset 'stacks', form 'slices', split 'usual'\), expected .*form 'channels'"),
        ({"split": "strict"}, r"expected .*split 'strict'; choose another folder, or remove this one"),
    ):
        with pytest.raises(FileExistsError, match=message):
            prepare(source, out, **options)
    (source / "a.npy").unlink()
    (source / "b.npy").unlink()
    with pytest.raises(ValueError, match=r"2 finished jobs have no source in .* any more \(a, b\); bring the"):
        prepare(source, out)
    assert (out / "manifest.json").is_file()


def test_a_folder_below_a_file(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file.out: cannot be written \(Not a directory\); choose another folder"):
        prepare(source, tmp_path / "file" / "out")


def test_two_processes_at_once(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    settings = {"dataset": "stacks", "form": "slices", "split": "usual"}
    with claimed_folder(out, settings), pytest.raises(RuntimeError, match="another process is preparing this folder"):
        prepare(source, out)
    assert prepare(source, out).made == 4
