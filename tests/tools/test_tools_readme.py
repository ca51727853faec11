# SPDX-License-Identifier: Apache-2.0
"""Every command and every snippet of README.md runs, on a sample of a few small images."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from tests.support.programs import run_program, run_untraced

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()

# What makes a command cheap; the command itself stays as it is printed.
SMALL = ["--roi_size", "[32,32]", "--batch_size", "2", "--max_epochs", "1"]
CHEAPER = {
    "sa2-monai sample data/volumes": ["--training", "2", "--validation", "1", "--test", "1"],
    "sa2-monai sample": ["--training", "5", "--validation", "2", "--test", "2", "--size", "64", "64"],
    "python -m monai.bundle": SMALL,
    "sa2-monai crossval": ["--folds", "2", "base_channels=4", "roi_size=[32,32]", "max_epochs=1"],
}
# Run by hand and by CI itself: they install the package.
NOT_HERE = ("tools/quickstart", "tools/test", "python -m pip")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


def commands() -> list[list[str]]:
    found = [shlex.split(block.replace("\\\n", " ")) for block in blocks("bash")]
    return [words for words in found if not " ".join(words).startswith(NOT_HERE)]


@pytest.mark.integration
def test_commands_in_order(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "bundles", tmp_path / "bundles", ignore=shutil.ignore_patterns("*.pt", "eval"))
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = []
    for words in commands():
        line = " ".join(words)
        more = next((more for start, more in CHEAPER.items() if line.startswith(start)), [])
        if more is SMALL and "bundles/sa2net" in line:  # the others have no such switch
            more = ["--base_channels", "4", *SMALL]
        # One that imports everything does so itself; those without PyTorch have little to import.
        fresh = line.startswith(("sa2-monai info", "sa2-monai predict data/nuclei"))
        result = (run_untraced if fresh else run_program)([*words, *more], tmp_path, PATH=path, PYTHONPATH=str(ROOT))
        assert result.returncode == 0, f"{line}\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
        done.append(" ".join(words[:2]))
    assert {"sa2-monai sample", "sa2-monai predict", "sa2-monai evaluate", "sa2-monai info"} <= set(done)
    for file in (
        "bundles/sa2net/models/model.pt",
        "bundles/sa2net/models/model.ts",
        "bundles/sa2net/eval/metrics_per_case.csv",
        "bundles/sa2net/eval/metrics_summary.json",
        "results/scores/metrics_summary.json",
        "bundles/daeformer/models/model.pt",
        "bundles/daeformer/eval/report.html",
        "results/volumes/predictions/test_000.nii.gz",
        "results/volume_scores/report.html",
    ):
        assert (tmp_path / file).is_file(), file
    assert len(list((tmp_path / "results" / "overlays").glob("*.png"))) == 9


@pytest.mark.parametrize("snippet", blocks("python"))
def test_snippets(snippet: str) -> None:
    assert "assert " in snippet
    exec(compile(snippet, "README.md", "exec"), {})


def test_links_lead_somewhere() -> None:
    for name in ("README.md", "bundles/sa2net/docs/README.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text()
        for target in re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", text):
            assert ((ROOT / name).parent / target).exists(), f"{name}: {target}"
