# SPDX-License-Identifier: Apache-2.0
"""A training of two processes: the first one writes and prints, and an error of its is that of both."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from sa2_monai.cli.main import main
from sa2_monai.evaluation.report.history import read_history
from tests.support.programs import run_processes
from tests.support.trained_run import SMALL


def train(rank: int, port: int, data: str, folder: str) -> None:
    """What torchrun starts, with what is printed and how it ends in files."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}
    with open(f"{folder}/printed{rank}", "w") as printed:
        sys.stdout = sys.stderr = printed
        code = main(["train", data, "--output", f"{folder}/run", "--epochs", "2", *SMALL])
    Path(folder, f"code{rank}").write_text(str(code))


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_two_processes_make_one_run(port: int, sample_dir: Path, tmp_path: Path) -> None:
    run_processes(train, 2, port, str(sample_dir), str(tmp_path))
    assert [(tmp_path / f"code{rank}").read_text() for rank in (0, 1)] == ["0", "0"]
    printed = (tmp_path / "printed0").read_text()
    assert printed.count("\nepoch ") == 2
    assert "--nproc_per_node=2" in printed
    assert "multi_gpu_train.json" in printed
    assert (tmp_path / "printed1").read_text() == ""
    assert [row["epoch"] for row in read_history(tmp_path / "run" / "eval" / "history.csv")] == [1, 2]
    assert (tmp_path / "run" / "models" / "model.pt").is_file()


def test_both_processes_end_with_the_error_of_the_first(port: int, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    run_processes(train, 2, port, str(tmp_path / "empty"), str(tmp_path))
    assert [(tmp_path / f"code{rank}").read_text() for rank in (0, 1)] == ["1", "1"]
    assert not (tmp_path / "run").exists()
