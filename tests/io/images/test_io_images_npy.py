# SPDX-License-Identifier: Apache-2.0
"""Images as NumPy arrays, and images of several files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from monai.transforms import LoadImaged
from PIL import Image

from sa2_monai.data import Image2DReader, image_size, list_images, load_datalist, read_image, read_label

RNG = np.random.RandomState(0)
FOUR = RNG.randint(0, 256, (6, 9, 4)).astype(np.uint8)


def saved(path: Path, array: Any, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array, **options)
    return path


def png(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


# stored array, what read_image gives
TEST_CASE_IMAGES = [
    (FOUR, FOUR),
    (FOUR[:, :, :2], FOUR[:, :, :2]),
    (FOUR[:, :, 0], FOUR[:, :, :1]),
    (np.asfortranarray(FOUR), FOUR),
    (FOUR.astype(np.uint16) * 257, FOUR.astype(np.uint16) * 257),
    (FOUR.astype(">u2"), FOUR.astype(np.uint16)),
    (FOUR[:, :, :3] / 255, (FOUR[:, :, :3] / 255).astype(np.float32)),
    (FOUR[:, :, 0] > 99, np.where(FOUR[:, :, :1] > 99, 255, 0).astype(np.uint8)),
]


@pytest.mark.parametrize(("stored", "expected"), TEST_CASE_IMAGES)
def test_images(tmp_path: Path, stored: np.ndarray, expected: np.ndarray) -> None:
    path = saved(tmp_path / "a.npy", stored)
    array = read_image(path)
    assert array.dtype == expected.dtype
    np.testing.assert_array_equal(array, expected)
    assert image_size(path) == (6, 9)
    assert array.flags.writeable  # not the mapped file


def test_channels(tmp_path: Path) -> None:
    four, grey = saved(tmp_path / "four.npy", FOUR), saved(tmp_path / "grey.npy", FOUR[:, :, :1])
    np.testing.assert_array_equal(read_image(four, 4), FOUR)
    np.testing.assert_array_equal(read_image(grey, 3), np.repeat(FOUR[:, :, :1], 3, 2))
    np.testing.assert_array_equal(read_image(saved(tmp_path / "c.npy", FOUR[:, :, :3]), 3, "BGR"), FOUR[:, :, 2::-1])
    np.testing.assert_array_equal(read_image(four, 4, "BGR"), FOUR)
    for wanted in (1, 3, 5):
        with pytest.raises(ValueError, match=rf"four\.npy: has 4 channels, expected {wanted}"):
            read_image(four, wanted)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.int64, np.float32, bool])
def test_labels(tmp_path: Path, dtype: Any) -> None:
    values = RNG.randint(0, 2, (4, 5))
    for shape in ((4, 5), (4, 5, 1)):
        label = read_label(saved(tmp_path / "l.npy", values.reshape(shape).astype(dtype)))
        assert label.dtype in (np.uint8, np.uint16, np.int32)
        np.testing.assert_array_equal(label, values)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", [">u2", "<u2", ">f4"])
def test_storage_order(tmp_path: Path, order: Any, dtype: str) -> None:
    values = (FOUR / 255).astype(dtype) if "f" in dtype else FOUR.astype(dtype)
    path = saved(tmp_path / "a.npy", np.array(values, order=order))
    image = read_image(path)
    assert image.dtype.isnative
    np.testing.assert_array_equal(image, values)
    np.testing.assert_array_equal(
        read_label(saved(tmp_path / "l.npy", np.array(FOUR[..., 0], dtype, order=order))), FOUR[..., 0]
    )


# stored array, options of numpy.save, message
TEST_CASE_REFUSED = [
    (np.array([[{"a": 1}]]), {"allow_pickle": True}, "is no readable NumPy array .*pickled objects are not loaded"),
    (FOUR[None], {}, r"holds an array of shape \(1, 6, 9, 4\), expected one image"),
    (FOUR[0, 0], {}, r"holds an array of shape \(4,\)"),
    (FOUR.astype(np.int32), {}, "holds 32-bit integers, which have no fixed intensity range"),
    (FOUR.astype(complex), {}, "holds complex numbers"),
    (np.full((2, 2), np.nan), {}, "4 of 4 values are NaN or infinite"),
]


@pytest.mark.parametrize(("stored", "options", "message"), TEST_CASE_REFUSED)
def test_refused_images(tmp_path: Path, stored: Any, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=rf"a\.npy: {message}"):
        read_image(saved(tmp_path / "a.npy", stored, **options))


def test_refused_files(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npy", FOUR)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match=r"a\.npy: is no readable NumPy array"):
        read_image(path)
    path.write_bytes(b"no array")
    with pytest.raises(ValueError, match=r"a\.npy: is not a readable image \(8 bytes\)"):
        image_size(path)
    with pytest.raises(FileNotFoundError, match=r"gone\.npy: no such file"):
        read_image(tmp_path / "gone.npy")
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(ValueError, match="is a folder"):
        read_image(tmp_path / "folder.npy")
    with pytest.raises(ValueError, match="holds complex64 values, expected whole class numbers"):
        read_label(saved(path, np.zeros((2, 2), np.complex64)))
    with pytest.raises(ValueError, match=r"values from 0 to 4.29497e\+09, expected class or instance"):
        read_label(saved(path, np.full((2, 2), 2**32)))
    with pytest.raises(ValueError, match=r"float image with values from 0 to 7, expected \[0, 1\]"):
        Image2DReader().read(saved(path, np.arange(8.0).reshape(2, 4)))


def test_reader_of_four_channels(tmp_path: Path) -> None:
    rgb, nucleus = png(tmp_path / "a_0000.png", FOUR[:, :, :3]), png(tmp_path / "a_0001.png", FOUR[:, :, 3])
    array = saved(tmp_path / "a.npy", FOUR)
    loader = LoadImaged("image", reader=Image2DReader(4, reverse_indexing=False), ensure_channel_first=True)
    for files in (str(array), [str(rgb), str(nucleus)]):
        np.testing.assert_array_equal(
            loader({"image": files})["image"].numpy(), FOUR.transpose(2, 0, 1) / np.float32(255)
        )
    with pytest.raises(ValueError, match=r"a_0000\.png: 2 files with 4 channels in all for one image, expected 3"):
        Image2DReader(3).read([str(rgb), str(nucleus)])
    with pytest.raises(ValueError, match=r"a_0000\.png: has 3 channels, expected 4"):
        Image2DReader(4).read(str(rgb))
    (first, second) = Image2DReader(2).read([str(nucleus), str(nucleus)])
    assert first.shape == second.shape == (6, 9, 1)


def test_folder_of_arrays(tmp_path: Path) -> None:
    for i in range(6):
        saved(tmp_path / f"images/{i}.npy", FOUR)
        png(tmp_path / f"labels/{i}.png", FOUR[:, :, 0] // 128)
    assert len(load_datalist(tmp_path, "training", in_channels=4)) == 4
    with pytest.raises(ValueError, match="images without 2 channels"):
        load_datalist(tmp_path, "training", in_channels=2)
    saved(tmp_path / "images/3.npy", FOUR[:3])
    with pytest.raises(ValueError, match="labels of another size than their image"):
        [load_datalist(tmp_path, part, in_channels=4) for part in ("training", "validation", "test")]


# --- inference on folders of several files per image ---


def test_numbered_files_are_one_image(tmp_path: Path) -> None:
    for case in ("b", "a_0003"):
        for i in range(2):
            png(tmp_path / f"images/{case}_{i:04d}.png", FOUR[:, :, 0])
    for channels in (None, 1, 3):
        assert len(list_images(tmp_path, channels)) == 4
    found = list_images(tmp_path, in_channels=4)
    assert [case["case"] for case in found] == ["a_0003", "b"]
    assert found[1]["image"] == [str(tmp_path / f"images/b_000{i}.png") for i in range(2)]
    saved(tmp_path / "one/c.npy", FOUR)
    assert list_images(tmp_path / "one", 4) == [{"image": str(tmp_path / "one/c.npy"), "case": "c"}]
    (tmp_path / "images/b_0000.png").unlink()
    with pytest.raises(ValueError, match=r"images without the files 0 to 1 \(1\):\n    b: has b_0001\.png"):
        list_images(tmp_path, 4)
