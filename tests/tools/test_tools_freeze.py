# SPDX-License-Identifier: Apache-2.0
"""tools/freeze covers what the bundles offer, finds what differs, and refuses what cannot be compared."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bundles.bundle_tools import BUNDLES, Merge, datasets, resolved

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "lib"))

from freeze import __main__ as command  # noqa: E402
from freeze import compare, digests  # noqa: E402
from freeze.cases import CASES, Case  # noqa: E402
from freeze.data import DATA  # noqa: E402
from freeze.runs import configuration  # noqa: E402

RUN: dict[str, Any] = {
    "hsaunet/volumes/whole": {
        "weights": {"model.pt": "a", "last model": "b"},
        "curves": {"train_loss": [0.5, 0.25]},
        "evaluation: label maps": {"scan.nii.gz": "c"},
        "scores": {"evaluation": {"dice": 0.5}},
    },
    "svanet/images/paper": {"weights": {"model.pt": "d"}, "curves": {}, "scores": {}},
}


@pytest.fixture(autouse=True)
def unchanged_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The command sets these for itself and for what it starts."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "PYTHONPATH", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    monkeypatch.setattr(sys, "path", [*sys.path])
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def views(bundle: str) -> set[str]:
    """Ways of seeing that a bundle offers: paper where it has that overlay."""
    paper = (ROOT / "bundles" / bundle / "configs" / "paper.yaml").is_file()
    return {"whole", "windows", "paper"} if paper else {"whole", "windows"}


@cache
def load(bundle: str, *names: str) -> dict[str, Any]:
    return Merge(bundle, ("train", *names)).load()


def kind_of(case: Case) -> str:
    names, switches = configuration(case)
    return str(switches.get("kind") or load(case.bundle, *names)["kind"])


@pytest.mark.parametrize("bundle", BUNDLES)
def test_every_kind_and_view_is_there(bundle: str) -> None:
    kinds = {resolved(load(bundle, name), "kind")[0] for name in datasets(bundle)}
    offered = {(kind, view) for kind in kinds for view in views(bundle)}
    covered = {(kind_of(case), case.view) for case in CASES if case.bundle == bundle}
    assert offered <= covered, f"add to tools/lib/freeze/cases.py, of {bundle}: {sorted(offered - covered)}"
    assert len(offered) >= 6


def values(name: str) -> set[Any]:
    """Values of a switch that any case trains or predicts with, those of the overlays included."""
    found = set()
    for case in CASES:
        names, switches = configuration(case)
        config = {**load(case.bundle, *names), **switches, **case.inference, **case.evaluation}
        if isinstance(value := config.get(name), (str, int, float)):
            found.add(value)
    return found


TEST_CASES = [
    ("intensity", {"window", "percentiles", "minmax", "minmax_resized", "slice_maximum", "range", "none"}),
    ("resize", {"spline", "bilinear", "antialiased"}),
    ("augment", {True, "flip"}),
    ("validation", {"auto", "none"}),
    ("foreground", {0.3}),
    ("ignore_value", {255}),
    ("fold", {1}),
    ("orientations", {"all"}),
    ("largest_component", {True}),
]


@pytest.mark.parametrize(("switch", "wanted"), TEST_CASES)
def test_every_switch_is_there(switch: str, wanted: set[Any]) -> None:
    assert wanted <= values(switch)


def test_the_table_is_readable() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
    assert {case.data for case in CASES} == set(DATA)
    assert {case.bundle for case in CASES if case.package} >= {"sa2net", "daeformer"}


def test_data_are_the_same_each_time(tmp_path: Path) -> None:
    for name, make in DATA.items():
        contents = []
        for turn in "ab":
            make(tmp_path / turn / name)
            files = sorted(path for path in (tmp_path / turn / name).rglob("*") if path.is_file())
            contents.append({path.relative_to(tmp_path / turn): path.stat().st_size for path in files})
        assert contents[0] == contents[1]
        assert len(contents[0]) >= 6


def test_nothing_differs_from_itself() -> None:
    other = deepcopy(RUN)
    other["hsaunet/volumes/whole"]["scores"] = {}
    assert compare.differences(RUN, other) == []


def test_a_changed_value_is_named() -> None:
    other = deepcopy(RUN)
    case = other["hsaunet/volumes/whole"]
    case["weights"]["last model"] = "x"
    case["curves"]["train_loss"][1] = 0.26
    case["evaluation: label maps"] = {"scan.mha": "c"}
    case["scores"]["evaluation"] = {"dice": 0.4}
    other["svanet/images/paper"] = {"failed": "ValueError: no"}
    assert compare.differences(RUN, other) == [
        "hsaunet/volumes/whole: curves: train_loss from value 2 of 2: 0.25 -> 0.26",
        "hsaunet/volumes/whole: evaluation: label maps: scan.mha (only in the run), scan.nii.gz (only in the file)",
        "hsaunet/volumes/whole: weights: last model",
        "hsaunet/volumes/whole: evaluation: {'dice': 0.5} -> {'dice': 0.4}",
        "svanet/images/paper: curves: only in the file",
        "svanet/images/paper: failed: only in the run (ValueError: no)",
        "svanet/images/paper: weights: only in the file",
    ]
    del other["svanet/images/paper"]
    assert compare.differences(RUN, other)[-1] == "svanet/images/paper: only in the file"
    assert "failed in both" in compare.differences({"a": {"failed": "x"}}, {"a": {"failed": "x"}})[0]


def test_another_environment_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = compare.environment()
    assert compare.refusal(now, now) is None
    file = tmp_path / "old.json"
    file.write_text(json.dumps({"environment": {**now, "torch": "1.0", "threads": 64}, "cases": RUN}))
    assert command.main(["--compare", str(file), "--only", "sa2net/images/whole"]) == 2
    message = capsys.readouterr().err
    assert f"torch 1.0 then, {now['torch']} now" in message
    assert "threads 64 then" in message
    assert "numpy" not in message


def test_digests_are_of_contents() -> None:
    array = np.arange(6.0)
    same = digests.digest({"b": torch.ones(2), "a": array})
    assert same == digests.digest({"a": array.copy(), "b": torch.ones(2)})
    changed = array.copy()
    changed[3] = np.nextafter(changed[3], 9)
    others = [array.reshape(2, 3), array.astype(np.float32), changed, array[::-1]]
    assert len({digests.digest({"a": other, "b": torch.ones(2)}) for other in others} | {same}) == 5


def test_tables_without_folders_and_versions(tmp_path: Path) -> None:
    found = []
    for name, version, dice in (("a", "1", "0.5"), ("b", "2", "0.5"), ("c", "2", "0.6")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "metrics_per_case.csv").write_text(f"case,dice,prediction_file\nx,{dice},{folder}/x.png\n")
        (folder / "metrics_summary.json").write_text(json.dumps({"software": {"torch": version}, "dice": dice}))
        found.append(digests.tables(folder, folder))
    assert found[0] == found[1]
    assert all(found[2][name] != found[1][name] for name in found[1])


def test_wrong_use(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        command.main(["--list", "--only", "nothing"])
    assert "no case fits 'nothing'" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="has no folder bundles/"):
        command.main(["--list", "--root", str(tmp_path)])
    assert command.main(["--list", "--only", "svanet/*/paper"]) == 0
    assert capsys.readouterr().out.split() == [f"svanet/{d}/paper" for d in ("images", "volumes", "synapse_archive")]
