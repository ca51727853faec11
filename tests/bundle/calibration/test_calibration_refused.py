# SPDX-License-Identifier: Apache-2.0
"""What cannot be calibrated is refused in one line."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sa2_monai.bundle.calibration.checks import calibratable
from sa2_monai.bundle.calibration.fit import Fit, fit_part
from sa2_monai.bundle.calibration.forecast import Forecaster
from sa2_monai.bundle.calibration.run import doubts
from sa2_monai.bundle.locate import find_config
from sa2_monai.bundle.run.evaluate import part_of
from sa2_monai.cli.main import main
from tests.bundle.calibration.made_data import (
    Calibrated,
)


def test_published_views_have_no_probabilities(heart_bundle: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(heart_bundle, tmp_path / "bundle"))
    sidecar = bundle / "models" / "model.json"
    sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), "view": "paper"}))
    with pytest.raises(ValueError, match="its view is 'paper', which has label maps only"):
        calibratable(bundle)


def _zip(calibrated: Calibrated, place: Path) -> Path:
    return Path(shutil.make_archive(str(place / "bundle"), "zip", calibrated.bundle.parent, "bundle"))


def _crossval(_calibrated: Calibrated, place: Path) -> Path:
    for name in ("fold0", "fold1"):
        (place / name / "models").mkdir(parents=True)
        (place / name / "models" / "model.pt").touch()
    (place / "crossval.json").write_text("{}")
    return place


def _with(**entries: Any) -> Callable[[Calibrated, Path], Path]:
    def make(calibrated: Calibrated, place: Path) -> Path:
        bundle = Path(shutil.copytree(calibrated.bundle, place / "bundle"))
        sidecar = bundle / "models" / "model.json"
        sidecar.write_text(json.dumps({**json.loads(sidecar.read_text()), **entries}))
        return bundle

    return make


def _without(name: str) -> Callable[[Calibrated, Path], Path]:
    def make(calibrated: Calibrated, place: Path) -> Path:
        bundle = Path(shutil.copytree(calibrated.bundle, place / "bundle"))
        (bundle / "models" / name).unlink()
        return bundle

    return make


def _unvalidated(calibrated: Calibrated, place: Path) -> Path:
    bundle = _with()(calibrated, place)
    config = find_config(bundle, "train")
    config.write_text(json.dumps({**json.loads(config.read_text()), "validation": "none"}))
    return bundle


TEST_CASES_REFUSED = {
    "zip": (_zip, "is a zip file, beside whose weights nothing can be written"),
    "crossval": (_crossval, r"is an ensemble, .*Calibrate its members"),
    "packaged ensemble": (
        _with(ensemble=[{"network": "sa2net", "sha256": "0"}]),
        "is an ensemble, whose networks have a temperature each",
    ),
    "no sidecar": (_without("model.json"), r"model.pt has no model.json beside it, in which the temperature"),
    "no weights": (_without("model.pt"), "has no models/model.pt"),
    "validation: none": (_unvalidated, "has no validation part, on which a temperature could be fitted"),
    "included": (lambda _calibrated, _place: "sa2net", "has no models/model.pt"),
    "nowhere": (lambda _calibrated, place: place / "none", "none"),
}


@pytest.mark.parametrize("case", TEST_CASES_REFUSED)
def test_refused_in_one_line(
    case: str, calibrated: Calibrated, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, message = TEST_CASES_REFUSED[case]
    words = [
        "calibrate",
        "--bundle",
        str(make(calibrated, tmp_path)),
        "--data",
        str(calibrated.data),
        "--device",
        "cpu",
    ]
    assert main(words) == 1
    error = capsys.readouterr().err.strip()
    assert len(error.splitlines()) == 1
    assert re.search(message, error), error


def test_nothing_but_pixels_without_a_label(calibrated: Calibrated, tmp_path: Path) -> None:
    data = Path(shutil.copytree(calibrated.data, tmp_path / "data"))
    for file in (data / "labels").glob("validation*"):
        Image.fromarray(np.full((60, 72), 255, np.uint8)).save(file)
    loaded, _ = calibratable(calibrated.bundle, "cpu")
    where, switches, cases = part_of(loaded, data, "validation", "")
    with pytest.raises(ValueError, match="no pixel of the 3 validation cases has a label"):
        fit_part(Forecaster(loaded, where, {**switches, "ignore_value": 255}), cases)


TEST_CASES_DOUBTFUL = {
    "fine": (1.3, True, 0.2, []),
    "coldest": (0.05, True, 0.2, ["no best temperature"]),
    "hottest": (20.0, True, 0.2, ["no best temperature"]),
    "restless": (2.0, False, 0.2, ["had not settled after 6 rounds"]),
    "other cases": (2.0, True, 0.4, ["on the test part the likelihood is worse"]),
}


@pytest.mark.parametrize("case", TEST_CASES_DOUBTFUL)
def test_doubts_are_told(case: str) -> None:
    temperature, settled, after, expected = TEST_CASES_DOUBTFUL[case]
    found = doubts(Fit(temperature, 3, 100, 6, 0.3, 0.2, settled), {"before": {"nll": 0.3}, "after": {"nll": after}})
    assert len(found) == len(expected)
    assert all(words in text for words, text in zip(expected, found, strict=True))
