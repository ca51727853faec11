# SPDX-License-Identifier: Apache-2.0
"""Jobs: each once, by one process of all that share a folder; what ends the launcher ends its programs."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sa2_monai.bundle.launch import Job, JobError, hold, run_jobs
from sa2_monai.bundle.launch.devices import check_devices, environment_of
from sa2_monai.io.processors import usable_processors

WRITE = "import os, pathlib, sys; pathlib.Path(sys.argv[1]).write_text(os.environ.get('CUDA_VISIBLE_DEVICES', 'all'))"


def job(folder: Path, name: str, code: str = WRITE, after: tuple[str, ...] = ()) -> Job:
    file = folder / name
    return Job(name, [sys.executable, "-c", code, str(file)], folder, file.is_file, after)


def test_in_order_each_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "b").write_text("done before")
    order = [job(tmp_path, "a"), job(tmp_path, "b"), job(tmp_path, "c", after=("a", "b"))]
    run_jobs(order)
    assert (tmp_path / "b").read_text() == "done before"
    words = [line for line in capfd.readouterr().out.splitlines() if line in ("a", "b", "c")]
    assert words == ["a", "c"]
    run_jobs(order)
    assert capfd.readouterr().out == ""


def test_each_on_its_device(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Two at once: each waits for what the other writes."""
    code = (
        "import os, pathlib, sys, time\n"
        "mine = pathlib.Path(sys.argv[1]); other = mine.with_name({'a': 'b', 'b': 'a'}[mine.name])\n"
        "print('said', flush=True); mine.write_text(os.environ['CUDA_VISIBLE_DEVICES'])\n"
        "while not other.exists(): time.sleep(0.01)\n"
    )
    run_jobs([job(tmp_path, "a", code), job(tmp_path, "b", code)], ["cuda:1", "cpu"])
    assert [(tmp_path / name).read_text() for name in "ab"] == ["1", ""]
    assert (tmp_path / "jobs" / "a" / "log.txt").read_text() == "said\n"
    assert "a on cuda:1, output in " in capfd.readouterr().out


def test_a_failure_begins_nothing_more(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fails = Job("b", [sys.executable, "-c", "print('why'); raise SystemExit(3)"], tmp_path, lambda: False)
    with pytest.raises(JobError, match="the b failed with exit code 3; its message stands above"):
        run_jobs([job(tmp_path, "a"), fails, job(tmp_path, "c")])
    assert (tmp_path / "a").is_file()
    assert not (tmp_path / "c").exists()
    with pytest.raises(JobError, match=r"all of it in .*log\.txt"):
        run_jobs([fails], ["cpu", "cpu"])
    assert capfd.readouterr().out.count("why\n") == 2


CHILD = """
import pathlib, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
folder = pathlib.Path(sys.argv[1])
try:
    (folder / "began").touch()
    time.sleep(60)
except KeyboardInterrupt:
    (folder / "ended").touch()
"""
PARENT = """
import sys
from pathlib import Path
from sa2_monai.bundle.launch import Job, run_jobs
folder = Path(sys.argv[1])
run_jobs([Job("a", [sys.executable, "-c", sys.argv[2], str(folder)], folder, (folder / "done").is_file)])
"""
# As shells start such jobs, however the tests themselves were started.
IN_BACKGROUND = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); "
IN_FOREGROUND = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
ENDS = {
    "terminated": (IN_FOREGROUND, signal.SIGTERM, 143),
    "terminated in the background": (IN_BACKGROUND, signal.SIGTERM, 143),
    "interrupted": (IN_FOREGROUND, signal.SIGINT, -signal.SIGINT),
}


def start(folder: Path, before: str = "") -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", before + PARENT, str(folder), CHILD]
    parent = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (folder / "began").exists() and parent.poll() is None:
        time.sleep(0.01)
    return parent


@pytest.mark.parametrize("name", ENDS)
def test_a_signal_reaches_the_program(name: str, tmp_path: Path) -> None:
    before, number, code = ENDS[name]
    with start(tmp_path, before) as parent:
        parent.send_signal(number)
        assert parent.wait(timeout=60) == code
    assert (tmp_path / "ended").exists()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere programs outlive a killed launcher")
def test_a_killed_launcher_leaves_nothing(tmp_path: Path) -> None:
    """Its program ends with it, and the next one takes the job over."""
    with start(tmp_path) as parent:
        parent.kill()
    (tmp_path / "began").unlink()
    with start(tmp_path) as parent:
        assert (tmp_path / "began").exists()
        parent.send_signal(signal.SIGTERM)
    assert (tmp_path / "ended").exists()
    assert not list(tmp_path.glob("jobs/a/.sa2_monai.*"))


def test_what_another_process_does_is_waited_for(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with start(tmp_path) as parent:
        code = "import os, pathlib, sys, time; time.sleep(0.5); pathlib.Path(sys.argv[1]).touch(); "
        code += "os.kill(int(sys.argv[2]), 15)"
        with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "done"), str(parent.pid)]):
            run_jobs([Job("a", ["never"], tmp_path, (tmp_path / "done").is_file), job(tmp_path, "b", after=("a",))])
    said = capfd.readouterr().out
    assert f"a: left to process {parent.pid} on" in said
    assert said.count("left to") == 1
    assert (tmp_path / "b").is_file()
    with hold(tmp_path, "a test"):
        assert list(tmp_path.glob(".sa2_monai.*"))


@pytest.mark.parametrize(
    ("devices", "message"),
    [([], "is empty"), (["gpu"], "has 'gpu', expected cpu"), (["cuda:0", "cuda:0"], "has cuda:0 twice")],
)
def test_no_devices(devices: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_devices(devices)


@pytest.mark.parametrize(
    ("device", "base", "expected"),
    [
        (None, {"CUDA_VISIBLE_DEVICES": "2,3"}, "2,3"),
        ("cuda", {}, None),
        ("cuda:1", {}, "1"),
        ("cuda:1", {"CUDA_VISIBLE_DEVICES": "2,3"}, "3"),
        ("cpu", {"CUDA_VISIBLE_DEVICES": "2,3"}, ""),
    ],
)
def test_environment(device: str | None, base: dict[str, str], expected: str | None) -> None:
    assert environment_of(device, base=base).get("CUDA_VISIBLE_DEVICES") == expected


def test_threads_are_shared() -> None:
    assert environment_of("cpu", 2, {})["OMP_NUM_THREADS"] == str(max(1, usable_processors() // 2))
    assert environment_of("cpu", 2, {"OMP_NUM_THREADS": "7"})["OMP_NUM_THREADS"] == "7"
