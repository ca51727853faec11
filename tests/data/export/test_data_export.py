# SPDX-License-Identifier: Apache-2.0
"""Exported folders are found again, with the same arrays, parts and folds; nothing half is left behind."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sa2_monai.cli.main import main
from sa2_monai.data import find_data, load_datalist, load_parts, read_image, read_label, read_volume
from sa2_monai.data.export import FORMS, ExportOptions
from sa2_monai.data.layouts.cases import Case
from tests.data.layouts.discovery.lab_folders import SIZE, a_label, build, grey

NAMES = tuple(f"n{i:02d}" for i in range(10))


def a_folder(root: Path, form: str) -> Path:
    """A data set of one's own in one of the forms of the table."""
    if form == "colour masks":
        build(root, {f"Original/{n}.jpg": f"Ground Truth/{n}_gt.png" for n in NAMES})
        for n in NAMES:
            array = np.zeros((*SIZE, 3), np.uint8)
            array[:5] = (255, 0, 0)
            array[5:8, :4] = (0, 0, 255)
            grey(root / f"Ground Truth/{n}_gt.png", array)
            grey(root / f"Original/{n}.jpg", np.random.RandomState(3).randint(0, 255, (*SIZE, 3)).astype(np.uint8))
        (root / "classes.csv").write_text("name,r,g,b\nbackground,0,0,0\ngland,255,0,0\nlumen,0,0,255\n")
    elif form == "listed parts":
        for part, names in (("train", NAMES[:6]), ("val", NAMES[6:8]), ("test", NAMES[8:])):
            build(root / part, {f"images/{n}.png": f"masks/{n}.png" for n in names})
    elif form == "channels":
        build(root, {f"images/{n}_0000.png,images/{n}_0001.png": f"labels/{n}.png" for n in NAMES})
    elif form == "volumes of patients":
        build(root, {f"pat_{i // 2}/{n}/t2.nrrd": f"pat_{i // 2}/{n}/seg.nrrd" for i, n in enumerate(NAMES)})
    elif form == "two modalities":
        build(root, {f"{n}/{n}_t1.nii.gz,{n}/{n}_t2.nii.gz": f"{n}/{n}_seg.nii.gz" for n in NAMES})
    return root


TEST_CASES = [
    (form, target)
    for form in ("colour masks", "listed parts", "channels", "volumes of patients", "two modalities")
    for target in FORMS
]


def arrays(case: Case, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Image and label as a training reads them; colours as numbers."""
    files = case["image"] if isinstance(case["image"], list) else [case["image"]]
    if kind == "volumes":
        return np.stack([read_volume(f).array for f in files]), read_volume(case["label"], label=True).array
    return np.concatenate([read_image(f) for f in files], axis=2), read_label(case["label"], colours=True)


@pytest.mark.parametrize(("form", "target"), TEST_CASES)
def test_round_trip(form: str, target: str, tmp_path: Path) -> None:
    data = a_folder(tmp_path / "data", form)
    before = find_data(data)
    counts = FORMS[target](data, tmp_path / "out", ExportOptions(num_folds=4))
    after = find_data(tmp_path / "out")
    assert (after.dataset, after.kind) == (before.dataset, before.kind)
    assert after.channels == before.channels
    assert not after.left_out
    if before.class_names:
        assert after.class_names == before.class_names
    parts = load_parts(before.path, before.dataset, num_folds=4)
    again = load_parts(after.path, after.dataset, num_folds=4)
    assert counts == {part: len(cases) for part, cases in parts.items()}
    for part, cases in parts.items():
        assert sorted(c["case"] for c in cases) == sorted(c["case"] for c in again[part])
        of_name = {case["case"]: case for case in again[part]}
        for case in cases:
            image, label = arrays(case, before.kind)
            other, classes = arrays(of_name[case["case"]], before.kind)
            np.testing.assert_array_equal(image, other)
            table = {0: 0, 1: 1, 0xFF0000: 1, 0xFFFFFF: 2}  # pure blue has the number 0xffffff
            np.testing.assert_array_equal(np.vectorize(table.get)(label), classes)
            if before.kind == "volumes":
                np.testing.assert_allclose(
                    read_volume(_first(case)).header.affine, read_volume(_first(of_name[case["case"]])).header.affine
                )
    assert load_datalist(after.path, "training", after.dataset, num_folds=4)


def _first(case: Case) -> str:
    return str(case["image"][0] if isinstance(case["image"], list) else case["image"])


def test_folds_are_ours(tmp_path: Path) -> None:
    data = a_folder(tmp_path / "data", "volumes of patients")
    FORMS["nnunet"](data, tmp_path / "out", ExportOptions(num_folds=3))
    splits = json.loads((tmp_path / "out" / "splits_final.json").read_text())
    assert len(splits) == 3
    for fold, split in enumerate(splits):
        parts = load_parts(data, "volumes", fold, 3)
        assert split["val"] == sorted(case["case"] for case in parts["validation"])
        assert split["train"] == sorted(case["case"] for case in parts["training"])
    assert (tmp_path / "out" / "patients.csv").read_text().startswith("case,patient\n")
    # A validation part that the data list is the one fold, and comes back as such.
    data = a_folder(tmp_path / "listed", "listed parts")
    FORMS["nnunet"](data, tmp_path / "two")
    assert [len(cases) for cases in find_data(tmp_path / "two").parts.values()] == [6, 2, 2]


def test_what_nnunet_asks_for(tmp_path: Path) -> None:
    data = a_folder(tmp_path / "data", "colour masks")
    FORMS["nnunet"](data, tmp_path / "out")
    content = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert content["channel_names"] == {"0": "R", "1": "G", "2": "B"}
    assert content["labels"] == {"background": 0, "gland": 1, "lumen": 2}
    assert (content["numTraining"], content["file_ending"]) == (8, ".png")
    images = sorted(path.name for path in (tmp_path / "out" / "imagesTr").iterdir())
    assert len(images) == 8
    assert all(name.endswith("_0000.png") for name in images)
    labels = {path.stem for path in (tmp_path / "out" / "labelsTr").iterdir()}
    assert labels == {name.removesuffix("_0000.png") for name in images}


def test_pixels_without_a_label_are_ignored_there_too(tmp_path: Path) -> None:
    build(tmp_path / "d", {f"images/{n}.png": f"labels/{n}.png" for n in NAMES})
    for n in NAMES:
        array = np.zeros(SIZE, np.uint8)
        array[:3], array[3:5] = 1, 7
        grey(tmp_path / "d" / "labels" / f"{n}.png", array)
    options = ExportOptions(class_names=("background", "x"), ignore_value=7)
    FORMS["nnunet"](tmp_path / "d", tmp_path / "out", options)
    found = find_data(tmp_path / "out")
    assert (found.class_names, found.ignore_value) == (["background", "x"], 2)
    assert set(np.unique(read_label(found.parts["training"][0]["label"]))) == {0, 1, 2}


def test_nothing_half_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build(tmp_path / "d", {f"images/{n}.png": f"labels/{n}.png" for n in NAMES})
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    assert main(["datasets", "export", "nnunet", str(tmp_path / "d"), str(tmp_path / "full")]) == 1
    assert "full: is not empty (x); choose a new or an empty folder" in capsys.readouterr().err
    a_label(tmp_path / "d" / "labels" / "n03.png", 9)
    assert main(["datasets", "export", "decathlon", str(tmp_path / "d"), str(tmp_path / "out")]) == 1
    assert "n03.png: label values outside the table" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d", "full"]
    with pytest.raises(SystemExit) as stopped:
        main(["datasets", "export", "coco", "a", "b"])
    assert stopped.value.code == 2
    a_label(tmp_path / "d" / "labels" / "n03.png", 1)
    assert main(["datasets", "export", "nnunet", str(tmp_path / "d"), str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "6 training, 2 validation, 2 test cases in the form 'nnunet'" in printed
    assert "for the same folds: copy " in printed
