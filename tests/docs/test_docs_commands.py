# SPDX-License-Identifier: Apache-2.0
"""Every command and snippet of README.md and of docs/ runs as it is printed, on a sample of a few small images."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from doc_blocks import PAGES, ROOT, Block, blocks, commands, page_ids

from tests.support.programs import run_program, run_untraced

pytestmark = pytest.mark.integration
START = ROOT / "docs" / "start.md"
# Run by hand and by CI itself: they install the package.
NOT_HERE = ("python -m pip", "python3 -m venv", "tools/quickstart")
# What makes a command cheap; the command itself stays as it is printed.
SMALL = """\
roi_size: [32, 32]
batch_size: 2
max_epochs: 1
slices_per_epoch: 4
num_workers: 0
"""
CHEAPER = {
    "sa2-monai sample data/volumes": ["--training", "2", "--validation", "1", "--test", "1"],
    "sa2-monai sample data/slides": ["--size", "256", "384"],
    "sa2-monai sample": ["--training", "5", "--validation", "2", "--test", "2", "--size", "64", "64"],
    "sa2-monai train": ["--config", "small.yaml"],
    "sa2-monai crossval": ["--config", "small.yaml"],
    "python -m monai.bundle": [
        "--base_channels",
        "4",
        "--roi_size",
        "[32,32]",
        "--batch_size",
        "2",
        "--max_epochs",
        "1",
    ],
}
EXECUTED = [page for page in PAGES if blocks(page, "bash", "python")]
# What has to be there at the end, so that a page whose commands vanish is noticed.
WRITTEN = {
    "README.md": ["runs/mine/models/model.pt", "runs/mine/eval/report.html", "results/overlays"],
    "docs/start.md": ["runs/nuclei/eval/report.html", "runs/volumes/eval/report.html", "results/volumes/predictions"],
    "docs/train.md": ["runs/longer/curves.png", "plan.yaml", "runs/planned/configs/plan.yaml"],
    "docs/fine-tune.md": ["runs/tuned/models/model.pt"],
    "docs/crossval.md": [
        "crossval/crossval.json",
        "crossval/out_of_fold/report.html",
        "packaged/nuclei_ensemble/LICENSE",
    ],
    "docs/data-layouts.md": ["nnUNet_raw/Dataset101_Nuclei/splits_final.json", "decathlon/dataset.json"],
    "docs/python.md": ["runs/from_python/eval/report.html", "plans/nuclei.yaml"],
    "docs/uncertainty.md": [
        "runs/nuclei/eval-tta/report.html",
        "runs/nuclei/eval/calibration.html",
        "results/sure/uncertainty.csv",
        "results/python/uncertainty.csv",
    ],
    "docs/instances.md": ["results/counted/instances", "results/objects/instances_per_case.csv"],
    "docs/measure.md": ["results/measured/measurements.csv", "results/areas/measurements.json"],
    "docs/evaluate.md": ["results/scores/metrics_summary.json", "results/scores/report.html"],
    "docs/slides.md": ["results/slide/predictions/slide.ome.tif", "results/slide/predictions/slide.geojson"],
    "docs/strata.md": ["results/strata/strata_per_case.csv", "results/thirds/report.html"],
    "docs/stress.md": ["results/stress/report.html", "results/gamma/stress.csv"],
    "docs/runtimes.md": ["results/runtimes/predictions", "runs/nuclei/eval-onnxruntime/report.html"],
    "docs/export.md": ["packaged/nuclei/models/model.ts", "results/parity.json"],
    "docs/networks.md": ["runs/baseline/eval/report.html", "runs/plain/models/model.pt"],
    "docs/bundles.md": ["bundles/sa2net/models/model.ts", "bundles/sa2net/eval/metrics_per_case.csv"],
}


def run(words: list[str], folder: Path) -> None:
    line = " ".join(words)
    more = next((more for start, more in CHEAPER.items() if line.startswith(start)), [])
    if "--resume" in words:  # it keeps the settings of the run
        more = []
    # Without PyTorch there is little to import, and it is seen that the command does without.
    program = run_untraced if line.startswith("sa2-monai info") else run_program
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = program([*words, *more], folder, PATH=path, PYTHONPATH=str(ROOT))
    assert done.returncode == 0, f"{line}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


def execute(page: Path, folder: Path) -> None:
    """Run the blocks of a page in order."""
    (folder / "small.yaml").write_text(SMALL)
    for number, block in enumerate(blocks(page, "bash", "python")):
        for words in lines_of(block, folder, number):
            if not " ".join(words).startswith(NOT_HERE):
                run(words, folder)
    for name in WRITTEN.get(page_ids(page), ()):
        assert (folder / name).exists(), name


def lines_of(block: Block, folder: Path, number: int) -> list[list[str]]:
    if block.language == "bash":
        return commands(block)
    script = folder / f"snippet_{number}.py"
    script.write_text(block.text)
    return [["python", str(script)]]


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the page "Start" has been followed: the other pages go on with its data and runs."""
    folder = tmp_path_factory.mktemp("start")
    execute(START, folder)
    return folder


def test_start(started: Path) -> None:
    assert (started / "runs" / "nuclei" / "models" / "model.pt").is_file()


@pytest.mark.parametrize("page", [page for page in EXECUTED if page != START], ids=page_ids)
def test_page(page: Path, started: Path, tmp_path: Path) -> None:
    folder = tmp_path / "work"
    if page.name == "README.md":
        folder.mkdir()  # a page of its own
    else:
        shutil.copytree(started, folder)
    execute(page, folder)
