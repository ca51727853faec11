# SPDX-License-Identifier: Apache-2.0
"""TissueNet: large archives read image by image, colours, classes, the folders that are read."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from sa2_monai.data import DATASETS, load_datalist, load_parts, read_image, read_label
from sa2_monai.data.dataset import ListOptions
from sa2_monai.data.datasets import tissuenet as module
from sa2_monai.data.datasets.tissuenet import colour, raw_archives
from sa2_monai.data.prepare import prepare_dataset
from sa2_monai.io.arrays.npz_stacks import npz_stack, npz_stack_shape
from tests.support.miniatures import MINI

PARTS = ("training", "validation", "test")


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    MINI["tissuenet_raw"](tmp_path / "raw")
    return tmp_path / "raw"


def test_prepared_images(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PIECE", 3)  # several jobs for one archive
    made = prepare_dataset("tissuenet", raw, tmp_path / "out", progress=False)
    assert (made.made, made.cases) == (4, {"training": 4, "validation": 2, "test": 2})
    for part, name in zip(PARTS, ("train", "val", "test"), strict=True):
        cases = load_datalist(tmp_path / "out", part, "tissuenet", in_channels=3)
        arrays = np.load(raw / f"tissuenet_v1.0_{name}.npz")
        for case, stains, masks in zip(cases, arrays["X"], arrays["y"], strict=True):
            label = read_label(case["label"])
            assert set(np.unique(label)) == {0, 1, 2}
            np.testing.assert_array_equal(label == 2, masks[:, :, 1] > 0)
            np.testing.assert_array_equal(label > 0, masks.any(axis=2))
            image = read_image(case["image"])
            assert not image[:, :, 0].any()
            for k in range(2):
                above = stains[:, :, k][stains[:, :, k] > 0]
                low, high = np.quantile(above, 0.05), np.quantile(above, 0.95)
                np.testing.assert_allclose(
                    image[:, :, k + 1], np.clip((stains[:, :, k] - low) / (high - low), 0, 1) * 255, atol=0.51
                )
    again = DATASETS["tissuenet"].preparations["images"].jobs(raw, ListOptions())[0]
    for case in again.run(again, tmp_path / "again"):
        assert (tmp_path / "again" / case["image"]).read_bytes() == (tmp_path / "out" / case["image"]).read_bytes()


def test_colour_of_flat_and_empty_stains() -> None:
    stains = np.zeros((4, 4, 2), np.float32)
    stains[:2, :, 1] = 7
    image = colour(stains)
    assert not image[:, :, :2].any()
    np.testing.assert_array_equal(image[:, :, 2], np.repeat([255, 255, 0, 0], 4).reshape(4, 4))


def test_folders(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"holds TissueNet as downloaded; .* prepare tissuenet {raw} OUT"):
        DATASETS["tissuenet"].parts(raw, ListOptions())
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"is no folder of prepared images of TissueNet; .* prepare tissuenet DIR"):
        load_parts(tmp_path / "empty", "tissuenet")
    with pytest.raises(ValueError, match="has no archive of the training part"):
        raw_archives(tmp_path / "empty")


def test_archives_that_cannot_be_used(raw: Path) -> None:
    assert {part: number for part, (_, number) in raw_archives(raw).items()} == {"train": 4, "val": 2, "test": 2}
    (raw / "tissuenet_v1.1_train.npz").write_bytes((raw / "tissuenet_v1.0_train.npz").read_bytes())
    (raw / "tissuenet_v1.0_val.npz").write_bytes(b"nothing")
    np.savez(raw / "tissuenet_v1.0_test.npz", X=np.zeros((2, 4, 4, 2)), y=np.zeros((2, 4, 4, 1)))
    with pytest.raises(ValueError, match="the data cannot be used") as caught:
        raw_archives(raw)
    for text in ("two archives of one part (1)", "unreadable archives (1)", "archives of other shapes (1)"):
        assert text in str(caught.value)


# --- stacks ---


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_stack_is_read_item_by_item(tmp_path: Path, save: object) -> None:
    array = np.random.RandomState(0).rand(7, 3, 2).astype(">f4")
    save(tmp_path / "a.npz", X=array, other=np.arange(3))  # type: ignore[operator]
    assert npz_stack_shape(tmp_path / "a.npz", "X") == (7, 3, 2)
    np.testing.assert_array_equal(np.stack(list(npz_stack(tmp_path / "a.npz", "X"))), array)
    np.testing.assert_array_equal(np.stack(list(npz_stack(tmp_path / "a.npz", "X", 2, 5))), array[2:5])
    assert len(list(npz_stack(tmp_path / "a.npz", "X", 5, 99))) == 2


def test_stacks_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, X=np.asfortranarray(np.zeros((3, 4))), y=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match=r"a\.npz: 'X' is stored by columns, expected numbers by rows"):
        npz_stack_shape(path, "X")
    with pytest.raises(ValueError, match=r"a\.npz: 'y' is stored of object"):
        npz_stack_shape(path, "y")
    with pytest.raises(ValueError, match=r"a\.npz: has no array z, found X, y"):
        npz_stack_shape(path, "z")
    with pytest.raises(FileNotFoundError, match=r"b\.npz: no such file"):
        npz_stack_shape(tmp_path / "b.npz", "X")
    np.save(tmp_path / "X.npy", np.zeros((3, 400)))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X.npy", (tmp_path / "X.npy").read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"a\.npz: 'X' ends at item 2 of 3; copy the file again"):
        list(npz_stack(path, "X"))
    damaged = bytearray(path.read_bytes())
    damaged[1000] ^= 255
    path.write_bytes(bytes(damaged))
    with pytest.raises(ValueError, match=r"a\.npz: (is damaged|'X' ends)"):
        list(npz_stack(path, "X"))
