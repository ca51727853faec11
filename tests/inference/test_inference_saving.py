# SPDX-License-Identifier: Apache-2.0
"""CaseSaveImaged and ProbabilitySaveImaged: names, sizes, values, whole files only."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data import MetaTensor, PILReader
from monai.transforms import (
    AsDiscreted,
    CastToTyped,
    Compose,
    EnsureChannelFirstd,
    Flipd,
    Invertd,
    LoadImage,
    LoadImaged,
    Resized,
    Rotate90d,
    SaveImaged,
)
from PIL import Image

from sa2_monai.data import read_label
from sa2_monai.inference import CaseSaveImaged, ProbabilitySaveImaged
from sa2_monai.io.label_maps import read_label_map
from sa2_monai.io.palette import class_colour

RNG = np.random.default_rng(5)


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def item(array: np.ndarray, source: str | None = None) -> MetaTensor:
    return MetaTensor(torch.as_tensor(array), meta={"filename_or_obj": source} if source else {})


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.int64, bool])
def test_class_indices_are_written_as_they_are(tmp_path: Path, dtype) -> None:
    indices = RNG.integers(0, 2 if dtype is bool else 4, (1, 7, 5)).astype(dtype)  # (1, W, H)
    out = CaseSaveImaged("pred", tmp_path)({"pred": item(indices), "case": "a"})
    assert set(out) == {"pred", "case"}
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode == "P"
        assert image.size == (7, 5)
    assert np.array_equal(read(tmp_path / "a.png"), indices[0].T)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


READERS: dict[str, Callable[[Path], np.ndarray]] = {
    "Pillow": lambda path: np.asarray(Image.open(path)),
    "read_label": read_label,
    "evaluation": lambda path: read_label_map(path, "mask").array,
    "MONAI, PILReader": lambda path: np.asarray(LoadImage(PILReader(reverse_indexing=False))(path)),
    "MONAI, as it chooses": lambda path: np.asarray(LoadImage()(path)).T,
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("palette", [True, False])
def test_the_values_of_a_mask_are_its_classes_in_every_reader(tmp_path: Path, name: str, palette: bool) -> None:
    indices = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    for top in (255, 13, 1):
        shown = np.minimum(indices, top)
        CaseSaveImaged("pred", tmp_path, case_key="case", palette=palette)({"pred": shown, "case": f"a{top}"})
        found = READERS[name](tmp_path / f"a{top}.png")
        np.testing.assert_array_equal(found, shown[0].T)


def test_viewers_show_the_classes_in_their_colours(tmp_path: Path) -> None:
    indices = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    CaseSaveImaged("pred", tmp_path)({"pred": indices, "case": "a"})
    CaseSaveImaged("pred", tmp_path / "again")({"pred": indices.astype(float), "case": "a"})
    CaseSaveImaged("pred", tmp_path / "grey", palette=False)({"pred": indices, "case": "a"})
    seen = np.asarray(Image.open(tmp_path / "a.png").convert("RGB")).swapaxes(0, 1).reshape(-1, 3)
    assert [tuple(colour) for colour in seen.tolist()] == [class_colour(value) for value in range(256)]
    assert tuple(seen[0]) == (0, 0, 0)
    # what a program reads that puts the colours in their place
    np.testing.assert_array_equal(skimage_read(tmp_path / "a.png").swapaxes(0, 1).reshape(-1, 3), seen)
    np.testing.assert_array_equal(skimage_read(tmp_path / "grey" / "a.png").T, indices[0])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "again" / "a.png").read_bytes()


def skimage_read(path: Path) -> np.ndarray:
    return np.asarray(pytest.importorskip("skimage.io", reason="extra `microscopy` is not installed").imread(path))


def test_other_axis_order_numpy_and_no_channel(tmp_path: Path) -> None:
    indices = RNG.integers(0, 4, (7, 5))
    CaseSaveImaged("pred", tmp_path, reverse_indexing=False)({"pred": indices, "case": "a"})
    assert np.array_equal(read(tmp_path / "a.png"), indices)


def test_a_image_that_was_read_as_a_volume(tmp_path: Path) -> None:
    """One slice, rows first."""
    indices, probabilities = RNG.integers(0, 4, (1, 7, 5, 1)), RNG.random((3, 7, 5, 1)).astype(np.float32)
    data = {"pred": item(indices), "prob": item(probabilities), "case": "a"}
    CaseSaveImaged("pred", tmp_path, reverse_indexing=False)(data)
    ProbabilitySaveImaged("prob", tmp_path, reverse_indexing=False)(data)
    assert np.array_equal(read(tmp_path / "a.png"), indices[0, ..., 0])
    np.testing.assert_allclose(np.load(tmp_path / "a_prob.npy"), probabilities[..., 0], atol=1e-3)
    with pytest.raises(ValueError, match="expected a class-index map"):
        CaseSaveImaged("pred", tmp_path)({"pred": item(RNG.integers(0, 4, (1, 7, 5, 2))), "case": "b"})


@pytest.mark.parametrize(
    ("case", "postfix", "file"),
    [
        ("TCGA-18-5592-01Z-00-DX1.v2", "", "TCGA-18-5592-01Z-00-DX1.v2.png"),
        ("siteA/img 1", "", "siteA/img 1.png"),
        ("a", "mask", "a_mask.png"),
        ("größe", "", "größe.png"),
    ],
)
def test_names(tmp_path: Path, case: str, postfix: str, file: str) -> None:
    CaseSaveImaged("pred", tmp_path / "predictions", postfix)({"pred": np.zeros((1, 2, 2)), "case": case})
    assert (tmp_path / "predictions" / file).is_file()


def test_without_a_case_the_input_file_gives_the_name(tmp_path: Path) -> None:
    CaseSaveImaged("pred", tmp_path)({"pred": item(np.zeros((1, 2, 2)), "/data/x.y.tif")})
    assert (tmp_path / "x.y.png").is_file()
    with pytest.raises(ValueError, match="neither 'case' nor a file name"):
        CaseSaveImaged("pred", tmp_path)({"pred": np.zeros((1, 2, 2))})


@pytest.mark.parametrize("case", ["../a", "/tmp/a", "x/../../a"])
def test_names_stay_inside(tmp_path: Path, case: str) -> None:
    with pytest.raises(ValueError, match="leads out of the output folder"):
        CaseSaveImaged("pred", tmp_path / "out")({"pred": np.zeros((1, 2, 2)), "case": case})
    assert not (tmp_path / "out").exists()


def test_two_files_never_share_an_output(tmp_path: Path) -> None:
    writer = CaseSaveImaged("pred", tmp_path)
    writer({"pred": item(np.zeros((1, 2, 2)), "/a/cell.png")})
    writer({"pred": item(np.ones((1, 2, 2)), "/a/cell.png")})  # the same case again: a second run
    assert read(tmp_path / "cell.png").max() == 1
    with pytest.raises(ValueError, match=r"/b/cell\.png and /a/cell\.png would both be written"):
        writer({"pred": item(np.zeros((1, 2, 2)), "/b/cell.png")})


@pytest.mark.parametrize("wrong", [0.5, -1.0, 256.0, float("nan")])
def test_only_class_indices(tmp_path: Path, wrong: float) -> None:
    with pytest.raises(ValueError, match="expected class indices 0 to 255"):
        CaseSaveImaged("pred", tmp_path)({"pred": np.full((1, 2, 2), wrong), "case": "a"})
    assert list(tmp_path.iterdir()) == []


def test_only_maps(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\(1, W, H\), got \(2, 4, 4\)"):
        CaseSaveImaged("pred", tmp_path)({"pred": np.zeros((2, 4, 4)), "case": "a"})


def test_the_road_of_a_bundle(tmp_path: Path) -> None:
    """Loaded, turned to rows first, resized, predicted, inverted: the file has the image's own size and pixels."""
    image = np.zeros((30, 50), dtype=np.uint8)
    image[5:20, 10:45] = 255  # far from symmetric
    image[5:9, 10:14] = 0
    Image.fromarray(image).save(tmp_path / "in.a.png")
    load = Compose(
        [
            LoadImaged("image", reader="PILReader"),
            EnsureChannelFirstd("image"),
            Rotate90d("image", k=1, spatial_axes=(0, 1)),
            Flipd("image", spatial_axis=0),
            Resized("image", (64, 64), mode="bilinear"),
        ]
    )
    data = load({"image": str(tmp_path / "in.a.png"), "case": "in.a"})
    data["pred"] = data["image"] / 255  # a perfect network
    save = Compose(
        [
            Invertd("pred", transform=load, orig_keys="image", nearest_interp=False, to_tensor=True),
            AsDiscreted("pred", threshold=0.5),
            CastToTyped("pred", dtype=np.uint8),
            CaseSaveImaged("pred", tmp_path / "predictions"),
        ]
    )
    save(data)
    written = read(tmp_path / "predictions" / "in.a.png")
    assert written.shape == (30, 50)
    assert (written == (image > 0)).mean() > 0.97
    assert set(np.unique(written)) == {0, 1}


def test_programs_recognise_the_writers() -> None:
    """MONAI Label and MONAI Deploy take out what is, or is named like, ``SaveImage`` (contract, section 3.2)."""
    for writer in (CaseSaveImaged, ProbabilitySaveImaged):
        assert issubclass(writer, SaveImaged)
        assert "SaveImage" in writer.__name__
        assert writer.__name__.endswith("d")


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = CaseSaveImaged("pred", tmp_path)
    writer({"pred": np.zeros((1, 2, 2)), "case": "a"})

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"cannot write .*a\.png: No space left on device"):
        writer({"pred": np.ones((1, 2, 2)), "case": "a"})
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert read(tmp_path / "a.png").max() == 0


def test_an_impossible_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(OSError, match=r"cannot write .*out/a\.png"):
        CaseSaveImaged("pred", tmp_path / "out")({"pred": np.zeros((1, 2, 2)), "case": "a"})


@pytest.mark.parametrize(("scale", "dtype"), [(255, np.uint8), (65535, np.uint16)])
def test_one_channel_becomes_a_grey_image(tmp_path: Path, scale: int, dtype) -> None:
    probability = RNG.random((1, 7, 5), dtype=np.float32)
    probability[0, 0, :2] = [0, 1]
    ProbabilitySaveImaged("prob", tmp_path, scale=scale)({"prob": item(probability), "case": "a"})
    written = read(tmp_path / "a_prob.png")
    assert written.dtype == dtype
    assert written.min() == 0
    assert written.max() == scale
    np.testing.assert_allclose(written / scale, probability[0].T, rtol=0, atol=0.5 / scale + 1e-7)


def test_the_threshold_survives_eight_bits(tmp_path: Path) -> None:
    probability = np.array([[[0.498, 0.5, 0.502]]], dtype=np.float32)
    ProbabilitySaveImaged("prob", tmp_path, scale=255)({"prob": probability, "case": "a"})
    assert (read(tmp_path / "a_prob.png")[:, 0] >= 127.5).tolist() == [False, True, True]


def test_more_channels_become_a_numpy_file(tmp_path: Path) -> None:
    probability = np.moveaxis(RNG.dirichlet(np.ones(3), (7, 5)), -1, 0).astype(np.float32)
    ProbabilitySaveImaged("prob", tmp_path)({"prob": item(probability), "case": "a.b"})
    written = np.load(tmp_path / "a.b_prob.npy")
    assert written.dtype == np.float16
    assert written.shape == (3, 5, 7)
    np.testing.assert_allclose(written, probability.swapaxes(1, 2), rtol=1e-3, atol=1e-6)


def test_probabilities_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="scale must be 255 or 65535"):
        ProbabilitySaveImaged("prob", scale=1)
    writer = ProbabilitySaveImaged("prob", tmp_path)
    for wrong in (-3.0, 1.5, float("nan")):
        with pytest.raises(ValueError, match=r"expected probabilities in \[0, 1\]"):
            writer({"prob": np.full((1, 2, 2), wrong), "case": "a"})
    with pytest.raises(ValueError, match=r"\(C, W, H\), got \(2, 2\)"):
        writer({"prob": np.zeros((2, 2)), "case": "a"})
    writer({"prob": np.full((1, 2, 2), 1.00001), "case": "a"})
    assert read(tmp_path / "a_prob.png").max() == 65535
