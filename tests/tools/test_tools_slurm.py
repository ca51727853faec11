# SPDX-License-Identifier: Apache-2.0
"""Scripts for SLURM: run with stand-ins for its programs, and what they call is compared with what we have."""

from __future__ import annotations

import argparse
import ast
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sa2_monai.bundle.locate import find_config
from sa2_monai.bundle.prediction.shard import Shard, shard_of_environment
from sa2_monai.bundle.run.ids import find_overlays, named_bundle
from sa2_monai.cli import predict, train
from tests.support.programs import run_untraced

BUNDLES = {"sa2net": "monuseg", "daeformer": "synapse", "hsaunet": "acdc", "msa2net": "isic2018", "svanet": "fives"}
SCRIPTS = ("train.sbatch", "predict.sbatch")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Programs that print what they were called with, one argument per line."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("srun", "sa2-monai"):
        (folder / name).write_text('#!/bin/sh\nprintf "CALL\\n"; printf "%s\\n" "$@"\n')
    (folder / "scontrol").write_text("#!/bin/sh\necho first\necho second\n")
    for file in folder.iterdir():
        file.chmod(0o755)
    return folder


def calls(script: Path, programs: Path, **variables: str) -> list[list[str]]:
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    done = run_untraced(["bash", str(script)], script.parents[2], PATH=path, **variables)
    assert done.returncode == 0, done.stderr
    return [call.splitlines() for call in done.stdout.split("CALL\n")[1:]]


def options(words: list[str]) -> dict[str, str]:
    assert all(name.startswith("--") for name in words[::2])
    return {name.removeprefix("--"): value for name, value in zip(words[::2], words[1::2], strict=True)}


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_text(name: str, repository: Path) -> None:
    script = repository / "tools" / "slurm" / name
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    text = script.read_text(encoding="utf-8")
    assert not re.search(r"(^|[\s'\"=:])(/(?!usr/bin/env)\w+|~/)", text), "no path of a machine"
    lines = text.splitlines()
    settings = [number for number, line in enumerate(lines) if line.startswith("#SBATCH")]
    commands = [number for number, line in enumerate(lines) if line and not line.startswith("#")]
    assert settings
    assert max(settings) < min(commands), "SLURM reads no further than to the first command"
    if shutil.which("shellcheck"):
        assert subprocess.run(["shellcheck", script]).returncode == 0


@pytest.mark.parametrize("bundle", BUNDLES)
def test_training(bundle: str, repository: Path, programs: Path, tmp_path: Path) -> None:
    slurm = {"SLURM_JOB_NODELIST": "x[1-2]", "SLURM_NNODES": "2", "SLURM_JOB_ID": "7", "SLURM_GPUS_ON_NODE": "4"}
    folders = {"BUNDLE": f"bundles/{bundle}", "DATASET": BUNDLES[bundle], "DATA": "my data", "OUT": "my out"}
    script = repository / "tools" / "slurm" / "train.sbatch"
    run = tmp_path / "my out"
    folders["OUT"] = str(run)
    found = calls(script, programs, **slurm, **folders, SWITCHES="batch_size=6 max_epochs=2")
    starts = [call.index("-m") for call in found]
    for call, start in zip(found, starts, strict=True):
        assert call[:start] == [
            *("torchrun", "--nnodes=2", "--nproc_per_node=4"),
            *("--rdzv_id=7", "--rdzv_backend=c10d", "--rdzv_endpoint=first:29500"),
        ]
    training, evaluation = (call[start:] for call, start in zip(found, starts, strict=True))
    assert training[:3] == ["-m", "sa2_monai", "train"]
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    args, switches = parser.parse_known_args(training[3:])
    assert (args.data, args.output, args.config, args.no_plan) == ("my data", str(run), [BUNDLES[bundle]], True)
    assert switches == ["batch_size=6", "max_epochs=2"]
    network, folder = named_bundle(args.network)
    assert network == bundle
    assert folder is not None
    assert find_overlays(args.config, folder)
    assert evaluation[:3] == ["-m", "monai.bundle", "run"]
    given = options(evaluation[3:])
    assert given["bundle_root"] == str(run)
    files = [Path(file) for file in ast.literal_eval(given["config_file"])]
    assert [file.parent for file in files] == [run / "configs"] * 3
    assert [find_config(folder, file.stem).stem for file in files] == ["train", "evaluate", "multi_gpu_evaluate"]

    (run / "logs").mkdir(parents=True)
    (run / "logs" / "train.log").touch()
    again, _ = calls(script, programs, **slurm, **folders, SWITCHES="batch_size=6")
    assert again[again.index("-m") :] == ["-m", "sa2_monai", "train", "--output", str(run), "--resume"]


def test_prediction(repository: Path, programs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = repository / "tools" / "slurm" / "predict.sbatch"
    (call,) = calls(script, programs, STUDIES="my studies", WEIGHTS="model.pt", OUT="out", OPTIONS="--min-volume 5")
    parser = argparse.ArgumentParser()
    predict.add_arguments(parser)
    assert call[0] == "predict"
    args = parser.parse_args(call[1:])
    assert (args.inputs, args.weights, args.output, args.min_volume) == (["my studies"], "model.pt", "out", 5.0)
    assert args.shard == predict.AUTO
    first, last = re.search(r"--array=(\d+)-(\d+)", script.read_text(encoding="utf-8")).groups()  # type: ignore[union-attr]
    array = {"ID": "3", "MIN": first, "MAX": last, "COUNT": last, "STEP": "1"}
    variables = {f"SLURM_ARRAY_TASK_{name}": value for name, value in array.items()}
    assert shard_of_environment(variables) == Shard(2, int(last))
    status = re.search(r"^#   sa2-monai predict (.* --status)$", script.read_text(encoding="utf-8"), re.MULTILINE)
    assert status is not None
    assert parser.parse_args(status[1].replace('"', "").split()).status


@pytest.mark.parametrize("name", SCRIPTS)
def test_what_is_not_given_is_asked_for(name: str, repository: Path) -> None:
    done = run_untraced(["bash", str(repository / "tools" / "slurm" / name)])
    assert done.returncode != 0
    assert "folder" in done.stderr
