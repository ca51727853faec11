# SPDX-License-Identifier: Apache-2.0
"""Processors that a process may use, and the environment of its threads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sa2_monai.bundle.launch.devices import environment_of
from sa2_monai.io import processors
from sa2_monai.io.processors import free_memory, limit_threads, set_threads, usable_processors

GROUPS = [
    ("no limit", {}, 8),
    ("version 2", {"sys/fs/cgroup/cpu.max": "200000 100000"}, 2),
    ("a part of a processor is one", {"sys/fs/cgroup/cpu.max": "50000 100000"}, 1),
    ("two and a half are three", {"sys/fs/cgroup/cpu.max": "250000 100000"}, 3),
    ("version 2, none", {"sys/fs/cgroup/cpu.max": "max 100000"}, 8),
    ("more than there are", {"sys/fs/cgroup/cpu.max": "6400000 100000"}, 8),
    (
        "of the own group, and of that above it",
        {"proc/self/cgroup": "0::/job/step", "sys/fs/cgroup/job/cpu.max": "300000 100000"},
        3,
    ),
    (
        "version 1",
        {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"},
        4,
    ),
    (
        "version 1, none",
        {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"},
        8,
    ),
    (
        "version 1, own group",
        {
            "proc/self/cgroup": "4:memory:/x\n3:cpu,cpuacct:/docker/a",
            "sys/fs/cgroup/cpu,cpuacct/docker/a/cpu.cfs_quota_us": "150000",
            "sys/fs/cgroup/cpu,cpuacct/docker/a/cpu.cfs_period_us": "100000",
        },
        2,
    ),
    ("not to be read", {"sys/fs/cgroup/cpu.max": "a lot"}, 8),
]


@pytest.fixture(autouse=True)
def eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with eight processors, and nothing of an earlier call."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(processors, "_own", {})


@pytest.mark.parametrize(("files", "expected"), [case[1:] for case in GROUPS], ids=[case[0] for case in GROUPS])
def test_limits_of_a_container(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert usable_processors(tmp_path) == expected


def test_affinity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {1, 5}, raising=False)
    assert usable_processors(tmp_path) == 2


WAITING = {"GOMP_SPINCOUNT": "10000", "KMP_BLOCKTIME": "1"}
TWO = dict.fromkeys(processors.THREADS, "2")
LIMITS = [
    ("all are usable", 8, {}, WAITING),
    ("two of eight", 2, {}, {**WAITING, **TWO}),
    ("the environment comes first", 2, {"OMP_NUM_THREADS": "5"}, {**WAITING, **TWO, "OMP_NUM_THREADS": "5"}),
    ("also how threads wait", 8, {"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "active"}),
    ("in either way", 8, {"GOMP_SPINCOUNT": "7"}, {**WAITING, "GOMP_SPINCOUNT": "7"}),
]


@pytest.mark.parametrize(("usable", "given", "expected"), [case[1:] for case in LIMITS], ids=[c[0] for c in LIMITS])
def test_environment(
    usable: int, given: dict[str, str], expected: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processors, "usable_processors", lambda: usable)
    environment = dict(given)
    limit_threads(environment)
    assert environment == expected


def test_programs_side_by_side_share_what_is_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "usable_processors", lambda: 4)
    monkeypatch.setattr("sa2_monai.bundle.launch.devices.usable_processors", lambda: 4)
    environment: dict[str, str] = {}
    limit_threads(environment)
    shared = environment_of("cpu", 2, environment)
    assert [shared[name] for name in processors.THREADS] == ["2", "2", "2"]
    set_threads(3, environment)  # somebody has asked for them
    assert environment_of("cpu", 2, environment)["OMP_NUM_THREADS"] == "3"


def test_threads_of_torch() -> None:
    import torch

    before = torch.get_num_threads()
    try:
        set_threads(1, {})
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_free_memory(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text("MemTotal:  8000 kB\nMemFree:  100 kB\nMemAvailable:  3000 kB\n")
    assert free_memory(tmp_path) == 3000 * 1024
    assert free_memory(tmp_path / "elsewhere") > 2**28
    assert free_memory() > 2**28
