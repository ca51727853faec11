# SPDX-License-Identifier: Apache-2.0
"""Every bundle with every data set that it has an overlay for: a training step, a score, an evaluation, a prediction.

Rows are found by themselves: a new overlay is tested as soon as there is a miniature of its layout.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from bundle_tools import BUNDLES, Merge, datasets, read_json, resolved, run

from sa2_monai.data import DATASETS, list_cases, load_datalist, read_label
from tests.support.miniatures import MINI

ROWS = [(b, d) for b in BUNDLES for d in datasets(b) if not d.startswith("sample")]
EVERY_ROW = pytest.mark.parametrize(("bundle", "dataset"), ROWS)
# One step each, on slices as they are, without images in the report. A run shorter than val_interval validates, too.
SHORT: dict[str, Any] = {
    **{"max_epochs": 1, "train#trainer#epoch_length": 1, "num_folds": 3},
    **{"roi_size": [32, 32], "view": "whole", "pretrained": None},
}

# One data set for each family of the published scores, and each kind of files.
PAPER_SETS = ("acdc", "cvc_clinicdb", "fives", "isic2018", "segpc", "synapse_archive")

# MONAI announces each list of files that it is given as a warning.
pytestmark = pytest.mark.filterwarnings("ignore:parsing (config|meta)_file:UserWarning")


@pytest.fixture(scope="session")
def miniature(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Function that writes the miniature of a layout once and returns its folder."""
    folders: dict[str, Path] = {}

    def make(layout: str) -> Path:
        if layout not in folders:
            assert layout in MINI, f"there is no miniature of {layout!r}: add one to tests/data/mini_datasets.py"
            folder = tmp_path_factory.mktemp("mini") / layout
            MINI[layout](folder)
            folders[layout] = folder
        return folders[layout]

    return make


@EVERY_ROW
def test_an_overlay_says_what_the_data_set_is(bundle: str, dataset: str) -> None:
    config = Merge(bundle, ("train", dataset)).load()
    known = DATASETS[config["layout"]]
    assert config["kind"] == known.files
    if known.classes is not None:
        assert len(config["class_names"]) == len(known.classes)


def predicted(path: Path) -> np.ndarray:
    return read_label(path) if path.suffix == ".png" else np.asarray(nib.load(path).dataobj)


@EVERY_ROW
def test_training_evaluation_and_inference(
    bundle: str, dataset: str, miniature: Callable[[str], Path], tmp_path: Path
) -> None:
    layout, kind, names = resolved(Merge(bundle, ("train", dataset)).load(), "layout", "kind", "class_names")
    common = {"bundle_root": str(tmp_path), "dataset_dir": str(miniature(layout)), **SHORT}
    workflow = run(bundle, "train", dataset, **common)
    info = read_json(tmp_path / "models" / "model.json")
    assert (info["kind"], info["class_names"]) == (kind, names)
    assert math.isfinite(info["metric"])
    data = workflow.parser.get_parsed_content("train#dataset#data")
    assert read_json(tmp_path / "eval" / "run.json")["inputs"]["count"] == len(data)

    run(bundle, "train", dataset, "evaluate", **common)
    cases = load_datalist(miniature(layout), "test", layout, num_folds=3, check=False)
    written = {path.name.split(".")[0]: path for path in sorted((tmp_path / "eval" / "predictions").iterdir())}
    assert set(written) == {case["case"] for case in cases}
    assert all(predicted(path).max() < len(names) for path in written.values())
    summary = read_json(tmp_path / "eval" / "metrics_summary.json")
    assert (summary["cases"], list(summary["per_class"])) == (len(cases), names[1:])
    assert (tmp_path / "eval" / "report.html").is_file()

    if dataset in PAPER_SETS:
        paper = {key: value for key, value in common.items() if key != "view"}
        run(
            bundle, "train", dataset, "paper", "evaluate", "evaluate_paper", output_dir=str(tmp_path / "paper"), **paper
        )
        published = read_json(tmp_path / "paper" / "metrics_summary.json")
        assert (published["protocol"]["name"], published["cases"]) == ("paper", len(cases))

    # What was trained on archives is used on volumes.
    image = cases[0]["image"] if kind != "preprocessed" else str(next((miniature("synapse")).rglob("img0001.nii.gz")))
    options = {key: common[key] for key in ("bundle_root", "roi_size", "view")}
    output = tmp_path / "out"
    run(bundle, "inference", dataset, image_source=image, output_dir=str(output), **options)
    (case,) = list_cases(image, kind, info["in_channels"])
    (path,) = (output / "predictions").iterdir()
    assert path.name.split(".")[0] == case["case"]
    if kind != "preprocessed":
        assert np.array_equal(predicted(path), predicted(written[cases[0]["case"]]))
