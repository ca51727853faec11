# SPDX-License-Identifier: Apache-2.0
"""``sa2-monai predict --tta --uncertainty``: files, table and records of both kinds of data, and what is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

import sa2_monai
from sa2_monai.cli.main import main
from sa2_monai.data import read_label


def rows(folder: Path) -> dict[str, dict[str, str]]:
    with open(folder / "uncertainty.csv", newline="") as table:
        return {row["case"]: row for row in csv.DictReader(table)}


def predict(samples: Path, kind: str, out: Path, *options: str) -> None:
    inputs = str(samples / kind / "images")
    assert main(["predict", inputs, "--weights", str(samples / f"{kind}.pt"), "--output", str(out), *options]) == 0


def test_images(samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predict(samples, "images", tmp_path / "plain")
    assert not (tmp_path / "plain" / "uncertainty.csv").exists()
    options = ["--tta", "--uncertainty", "all", "--probabilities"]
    predict(samples, "images", tmp_path / "out", *options)
    found = rows(tmp_path / "out")
    assert list(next(iter(found.values()))) == ["case", "entropy", "variance", "foreground"]
    assert set(found) == {path.stem for path in (samples / "images" / "images").iterdir()}
    for case, row in found.items():
        folder = tmp_path / "out" / "predictions"
        names = {path.name.removeprefix(case) for path in folder.glob(f"{case}*")}
        assert names == {".png", "_prob.png", "_entropy.tif", "_variance.tif"}
        labels, p = read_label(folder / f"{case}.png"), read_label(folder / f"{case}_prob.png") / 65535
        entropy = tifffile.imread(folder / f"{case}_entropy.tif")
        assert entropy.shape == labels.shape == (48, 72)
        with np.errstate(divide="ignore", invalid="ignore"):
            expected = -(np.nan_to_num(p * np.log2(p)) + np.nan_to_num((1 - p) * np.log2(1 - p)))
        np.testing.assert_allclose(entropy, expected, atol=1e-3)
        assert int(row["foreground"]) == (labels > 0).sum()
        record = json.loads((tmp_path / "out" / "cases" / f"{case}.json").read_text())
        assert record["uncertainty"] == {name: float(row[name]) for name in ("entropy", "variance", "foreground")}
        assert len(record["outputs"]) == 4
    # A case that is done once more replaces its row, and the others keep theirs.
    gone = next(iter(found))
    (tmp_path / "out" / "predictions" / f"{gone}_variance.tif").unlink()
    capsys.readouterr()
    predict(samples, "images", tmp_path / "out", *options)
    assert f"{len(found) - 1} of {len(found)} are finished already" in capsys.readouterr().out
    assert rows(tmp_path / "out") == found
    # What lies beside the label maps is no prediction of an image without a reference.
    references = str(samples / "images" / "labels")
    predictions = str(tmp_path / "out" / "predictions")
    (tmp_path / "masks").mkdir()
    for case in found:
        mask = np.asarray(Image.open(Path(references) / f"{case}.png")) > 0
        Image.fromarray(mask.astype(np.uint8)).save(tmp_path / "masks" / f"{case}.png")
    assert main(["evaluate", "-p", predictions, "-r", str(tmp_path / "masks"), "--classes", "background,gland"]) == 0


def test_volumes_with_dropout_give_the_same_twice_and_from_python(samples: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        predict(samples, "volumes", tmp_path / name, "--uncertainty", "all", "--dropout-samples", "3")
    (case,) = found = rows(tmp_path / "one")
    assert found == rows(tmp_path / "two")
    assert float(found[case]["variance"]) > 0
    bundle = sa2_monai.load_bundle("hsaunet", weights=samples / "volumes.pt")
    switches = {"uncertainty": "all", "dropout_samples": 3, "dropout": 0.1}
    bundle.predict(samples / "volumes" / "images", output_dir=tmp_path / "three", **switches)
    assert float(rows(tmp_path / "three")[case]["entropy"]) == pytest.approx(float(found[case]["entropy"]), rel=1e-3)
    affine = nibabel.load(next((samples / "volumes" / "images").iterdir())).affine
    for name in (f"{case}.nii.gz", f"{case}_entropy.nii.gz", f"{case}_variance.nii.gz"):
        one, two = (nibabel.load(tmp_path / run / "predictions" / name) for run in ("one", "two"))
        np.testing.assert_array_equal(one.get_fdata(), two.get_fdata())
        np.testing.assert_array_equal(one.affine, affine)
        there = nibabel.load(tmp_path / "three" / name).get_fdata()
        assert (np.abs(there - one.get_fdata()) < 1e-4).mean() > 0.999


def test_python_has_test_time_augmentation_by_the_same_word(samples: Path, tmp_path: Path) -> None:
    predict(samples, "images", tmp_path / "out", "--tta")
    bundle = sa2_monai.load_bundle("sa2net", weights=samples / "images.pt")
    for path in (samples / "images" / "images").iterdir():
        expected = read_label(tmp_path / "out" / "predictions" / f"{path.stem}.png")
        np.testing.assert_array_equal(bundle.predict(path, tta=True), expected)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--uncertainty", "variance"], 1, "variance over the members of a prediction, but there is only one: add tta"),
        (["--dropout", "0.2"], 2, "--dropout: only together with --dropout-samples"),
        (["--dropout-samples", "0"], 2, "expected a number of at least 1"),
        (["--dropout-samples", "2", "--dropout", "1"], 2, "above 0 and below 1"),
    ],
)
def test_what_is_refused(
    samples: Path, tmp_path: Path, options: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["predict", str(samples / "images" / "images"), "--weights", str(samples / "images.pt")]
    try:
        found = main([*arguments, "--output", str(tmp_path / "out"), *options])
    except SystemExit as end:
        found = end.code
    assert found == code
    err = capsys.readouterr().err
    assert said in err
    assert "Traceback" not in err
    assert not list((tmp_path / "out").glob("predictions/*"))
