# SPDX-License-Identifier: Apache-2.0
"""Synapse: the published split, the numberings of the organs, the archive with its lists and counts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import nibabel as nib
import numpy as np
import pytest

from sa2_monai.data import SYNAPSE_CLASSES, SYNAPSE_TABLES, dataset_classes, load_datalist, load_parts
from sa2_monai.data.datasets.synapse import SLICES, TEST_CASES
from sa2_monai.data.preparation.synapse_labels import numbering
from sa2_monai.slices import MapLabelsd

NUMBERS = [*range(1, 11), *range(21, 41)]
# Printed lists of the papers' code.
TRAINING = [5, 6, 7, 9, 10, 21, 23, 24, 26, 27, 28, 30, 31, 33, 34, 37, 39, 40]
TEST = [1, 2, 3, 4, 8, 22, 25, 29, 32, 35, 36, 38]


def labels(numbering: str) -> np.ndarray:
    """A label map with a liver, a spleen that is larger than the aorta, and every other organ once, (4, 5, 6)."""
    organs = np.zeros(120, np.uint8)
    organs[:9], organs[20:60], organs[60:80], organs[80:85] = range(9), 5, 7, 1
    back = {index: raw for raw, index in SYNAPSE_TABLES[numbering].items() if index}
    values = np.vectorize(lambda index: back.get(index, 0))(organs)
    if numbering == "raw":
        values[-5:] = [5, 9, 10, 12, 13]
    return values.reshape(4, 5, 6).astype(np.uint8)


def raw(folder: Path, numbers: Iterable[int] = NUMBERS, label: np.ndarray | None = None) -> Path:
    label = labels("raw") if label is None else label
    for kind, array in (("img", np.full(label.shape, -100, np.int16)), ("label", label)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for number in numbers:
            nib.save(nib.Nifti1Image(array, np.diag([-0.8, 0.8, 3, 1])), folder / kind / f"{kind}{number:04d}.nii.gz")
    return folder


def archive(folder: Path, numbers: Iterable[int] = SLICES, slices: int = 3, order: str = "transunet") -> Path:
    label = labels(order).astype(np.float32)
    image = np.zeros(label.shape, np.float32)
    (folder / "train_npz").mkdir(parents=True, exist_ok=True)
    (folder / "test_vol_h5").mkdir(exist_ok=True)
    for number in numbers:
        for k in range(slices):
            np.savez(folder / f"train_npz/case{number:04d}_slice{k:03d}.npz", image=image[k], label=label[k])
    for number in TEST_CASES:
        with h5py.File(folder / f"test_vol_h5/case{number:04d}.npy.h5", "w") as file:
            file["image"], file["label"] = image, label
    return folder


def groups(cases: list[dict[str, Any]]) -> set[str]:
    return {case["group"] for case in cases}


def cases_of(numbers: Iterable[int]) -> set[str]:
    return {f"case{number:04d}" for number in numbers}


# --- as downloaded ---


@pytest.mark.parametrize("where", ["Abdomen/RawData/Training", "Training", ""])
def test_published_split(tmp_path: Path, where: str) -> None:
    raw(tmp_path / where)
    parts = load_parts(tmp_path, "synapse")
    assert groups(parts["test"]) == cases_of(TEST)
    assert groups(parts["training"]) | groups(parts["validation"]) == cases_of(TRAINING)
    assert [len(part) for part in parts.values()] == [14, 4, 12]
    assert parts["test"][0] == {
        "image": str(tmp_path / where / "img/img0001.nii.gz"),
        "label": str(tmp_path / where / "label/label0001.nii.gz"),
        "case": "case0001",
        "group": "case0001",
    }
    validation = [groups(load_parts(tmp_path, "synapse", fold=k)["validation"]) for k in range(5)]
    assert validation[0] == groups(parts["validation"])
    assert set().union(*validation) == cases_of(TRAINING)
    assert load_parts(tmp_path, "synapse", split_seed=1)["validation"] != parts["validation"]


def test_constants() -> None:
    assert sorted(SLICES) == TRAINING
    assert list(TEST_CASES) == TEST
    assert sum(SLICES.values()) == 2211
    assert " ".join(name.replace(" ", "-") for name in SYNAPSE_CLASSES) == (
        "background aorta gallbladder left-kidney right-kidney liver pancreas spleen stomach"
    )
    # Structures of the challenge by name; those that the papers leave out become background.
    known = {1: "spleen", 2: "right kidney", 3: "left kidney", 4: "gallbladder", 6: "liver", 7: "stomach", 8: "aorta"}
    known[11] = "pancreas"
    for value in range(14):
        assert SYNAPSE_CLASSES[SYNAPSE_TABLES["raw"][value]] == known.get(value, "background")
    names = ["spleen", "right kidney", "left kidney", "gallbladder", "liver", "stomach", "aorta", "pancreas"]
    assert [SYNAPSE_CLASSES[SYNAPSE_TABLES["samed"][value]] for value in range(1, 9)] == names


@pytest.mark.parametrize("order", list(SYNAPSE_TABLES))
def test_tables_map_to_the_same_classes(order: str) -> None:
    mapped = MapLabelsd("label", 9, SYNAPSE_TABLES[order])({"label": labels(order)})["label"]
    np.testing.assert_array_equal(mapped, labels("transunet"))


def test_classes_and_check_of_raw_labels(tmp_path: Path) -> None:
    raw(tmp_path / "raw")
    assert dataset_classes(tmp_path, "synapse") == (list(SYNAPSE_CLASSES), SYNAPSE_TABLES["raw"])
    assert len(load_datalist(tmp_path / "raw", "test", "synapse", in_channels=1)) == 12
    thirteen = ("background", *(f"structure {i}" for i in range(1, 14)))
    assert load_datalist(tmp_path / "raw", "test", "synapse", class_names=thirteen)
    with pytest.raises(ValueError, match=r"label values outside the table"):
        load_datalist(tmp_path / "raw", "test", "synapse", label_values={0: 0, 1: 7})
    # Remapped before: doing it again would exchange the organs without a word.
    raw(tmp_path / "remapped", label=labels("transunet"))
    with pytest.raises(ValueError, match=r"the 8 organs in TransUNet's order, not the 13 structures as downloaded"):
        load_datalist(tmp_path / "remapped", "test", "synapse")
    assert load_datalist(tmp_path / "remapped", "test", "synapse", check_labels=False)
    assert load_datalist(tmp_path / "remapped", "test", "synapse", label_values=SYNAPSE_TABLES["transunet"])


def test_errors_of_raw_folders(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ValueError, match=r"has no img/ and label/ folders, expected Abdomen/RawData/Training"):
        load_parts(tmp_path, "synapse")
    raw(tmp_path, [n for n in NUMBERS if n not in (1, 40)])
    load_parts(tmp_path, "synapse")
    assert "2 cases of the published split are not there: 0001, 0040" in caplog.text
    (tmp_path / "label/label0005.nii.gz").unlink()
    (tmp_path / "img/img0006.nii.gz").unlink()
    raw(tmp_path, [61])
    with pytest.raises(ValueError, match="the data cannot be used") as caught:
        load_parts(tmp_path, "synapse")
    for text in (
        "images without a label (1)",
        "labels without an image (1)",
        "that the published split does not know (2)",
    ):
        assert text in str(caught.value)


# --- archive ---


def test_archive(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    archive(tmp_path)
    parts = load_parts(tmp_path, "synapse_archive")
    assert groups(parts["test"]) == cases_of(TEST)
    assert groups(parts["training"]) | groups(parts["validation"]) == cases_of(TRAINING)
    assert not groups(parts["training"]) & groups(parts["validation"])
    assert [len(part) for part in parts.values()] == [14 * 3, 4 * 3, 12]
    assert parts["test"][4]["case"] == "case0008"
    assert parts["test"][4]["image"] == parts["test"][4]["label"] == str(tmp_path / "test_vol_h5/case0008.npy.h5")
    assert "slices other than in the published archive: 0005 has 3 of 117, 0006 has 3 of 131" in caplog.text
    for section in parts:
        assert len(load_datalist(tmp_path, section, "synapse_archive")) == len(parts[section])


def test_counts_of_the_published_archive_give_no_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "train_npz").mkdir()
    (tmp_path / "test_vol_h5").mkdir()
    for number, count in SLICES.items():
        for k in range(count):
            (tmp_path / f"train_npz/case{number:04d}_slice{k:03d}.npz").touch()
    for number in TEST_CASES:
        (tmp_path / f"test_vol_h5/case{number:04d}.npy.h5").touch()
    parts = load_parts(tmp_path, "synapse_archive")
    assert len(parts["training"]) + len(parts["validation"]) == 2211
    assert caplog.text == ""


def test_part_of_an_archive_and_its_lists(tmp_path: Path) -> None:
    archive(tmp_path, [5, 6, 7, 9, 10])
    lists = tmp_path / "lists" / "lists_Synapse"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("\n".join(f"case{n:04d}_slice{k:03d}" for n in (5, 6, 7) for k in (0, 2)))
    (lists / "test_vol.txt").write_text("case0008\ncase0022\n")
    parts = load_parts(tmp_path, "synapse_archive", num_folds=3)
    assert [len(part) for part in parts.values()] == [4, 2, 2]
    (lists / "train.txt").write_text("case0005_slice000\ncase0005_slice009\n")
    with pytest.raises(ValueError, match=r"train\.txt that are missing in .*train_npz \(1\):\n    case0005_slice009"):
        load_parts(tmp_path, "synapse_archive")
    (lists / "train.txt").write_text("case0005_slice000\ncase0005_slice000\n")
    with pytest.raises(ValueError, match="names 1 files twice, case0005_slice000 among them"):
        load_parts(tmp_path, "synapse_archive")
    (lists / "train.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="is not a text file"):
        load_parts(tmp_path, "synapse_archive")


def test_a_case_in_both_folders_is_an_error(tmp_path: Path) -> None:
    archive(tmp_path, [*SLICES, 8])
    with pytest.raises(ValueError, match=r"the same group stands in two parts of the data: case0008"):
        load_parts(tmp_path, "synapse_archive")


def test_no_test_part_is_invented(tmp_path: Path) -> None:
    archive(tmp_path)
    for path in (tmp_path / "test_vol_h5").iterdir():
        path.unlink()
    (tmp_path / "test_vol_h5").rmdir()
    assert load_parts(tmp_path, "synapse_archive")["test"] == []
    with pytest.raises(ValueError, match="has neither train_npz/ nor test_vol_h5/"):
        load_parts(tmp_path / "train_npz", "synapse_archive")


@pytest.mark.parametrize("order", list(SYNAPSE_TABLES))
def test_which_archive_it_is(tmp_path: Path, order: str) -> None:
    archive(tmp_path, [5, 6, 7, 9, 10], 4, order=order)
    for assumed, table in SYNAPSE_TABLES.items():
        options = {"label_values": None if assumed == "transunet" else table}
        for section in ("training", "test"):
            if assumed == order:
                assert load_datalist(tmp_path, section, "synapse_archive", **options)
            else:
                with pytest.raises(ValueError, match=f"sa2_monai.data.SYNAPSE_TABLES\\['{order}'\\]"):
                    load_datalist(tmp_path, section, "synapse_archive", **options)


def test_numbering_by_size() -> None:
    assert numbering({0: 9, 7: 5, 1: 2}) == "transunet"
    assert numbering({0: 9, 7: 2, 1: 5}) == "samed"
    assert numbering({0: 9, 7: 2, 1: 5, 9: 1}) == "raw"
    assert numbering({0: 9, 5: 100}) is None


def test_problems_of_archive_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    archive(tmp_path, SLICES, 1)
    np.savez(tmp_path / "train_npz/case0005_slice000.npz", image=np.zeros((4, 4)))
    np.savez(tmp_path / "train_npz/case0006_slice000.npz", image=np.zeros((4, 4)), label=np.zeros((4, 5)))
    (tmp_path / "train_npz/case0007_slice000.npz").write_bytes(b"")
    np.savez(tmp_path / "train_npz/case0009_slice000.npz", image=np.zeros((4, 4)), label=np.full((4, 4), 0.5))
    with pytest.raises(ValueError, match="the data cannot be used") as caught:
        load_datalist(tmp_path, "training", "synapse_archive")
    for text in (
        "preprocessed files without an array (1):",
        "labels of another shape than their image (1)",
        "unreadable archives (2)",
    ):
        assert text in str(caught.value)
    assert load_datalist(tmp_path, "training", "synapse_archive", check=False)
    (tmp_path / "train_npz/slice.npz").touch()
    with pytest.raises(ValueError, match="files of other names"):
        load_parts(tmp_path, "synapse_archive")
