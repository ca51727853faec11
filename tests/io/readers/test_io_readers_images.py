# SPDX-License-Identifier: Apache-2.0
"""Image2DReader inside MONAI's chain: values, axes, metadata, inverse, workers."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from monai.data import DataLoader, Dataset, decollate_batch
from monai.transforms import Compose, Flipd, Invertd, LoadImaged, Resized, Rotate90d, SaveImaged
from PIL import Image

from sa2_monai.data import Image2DReader, make_sample

RNG = np.random.RandomState(5)
RGB = RNG.randint(0, 256, (20, 32, 3)).astype(np.uint8)
LABEL = (RNG.randint(0, 2, (20, 32)) * 255).astype(np.uint8)


@pytest.fixture
def case(tmp_path: Path) -> dict[str, str]:
    Image.fromarray(RGB).save(tmp_path / "image.png")
    Image.fromarray(LABEL).save(tmp_path / "label.png")
    return {"image": str(tmp_path / "image.png"), "label": str(tmp_path / "label.png")}


def chain() -> Compose:
    """Loading as in the bundle: arrays as (H, W)."""
    return Compose(
        [
            LoadImaged("image", reader=Image2DReader(channels=3), ensure_channel_first=True, image_only=True),
            LoadImaged("label", reader=Image2DReader(label=True), ensure_channel_first=True, image_only=True),
            Rotate90d(["image", "label"], k=1, spatial_axes=(0, 1)),
            Flipd(["image", "label"], spatial_axis=0),
        ]
    )


def test_plain_load_is_like_monai(case: dict[str, str]) -> None:
    data = LoadImaged("image", reader=Image2DReader(), ensure_channel_first=True, image_only=True)(case)["image"]
    theirs = LoadImaged("image", reader="PILReader", ensure_channel_first=True, image_only=True)(case)["image"]
    assert data.shape == theirs.shape == (3, 32, 20)
    assert data.dtype == torch.float32
    np.testing.assert_array_equal(data.numpy(), theirs.numpy() / np.float32(255))
    assert list(data.meta["spatial_shape"]) == [32, 20]
    assert data.meta["original_channel_dim"] == -1
    assert data.meta["filename_or_obj"] == case["image"]
    torch.testing.assert_close(data.affine, torch.eye(4, dtype=torch.float64))


def test_rotation_and_flip_give_rows_and_columns_and_are_inverted(case: dict[str, str]) -> None:
    transform = chain()
    data = transform(case)
    np.testing.assert_array_equal(data["image"].numpy(), RGB.transpose(2, 0, 1) / np.float32(255))
    np.testing.assert_array_equal(data["label"].numpy(), LABEL[None])
    data["pred"] = (data["image"][:1] > 0.5).float()
    back = Invertd("pred", transform, orig_keys="image", nearest_interp=True)(data)["pred"]
    np.testing.assert_array_equal(back[0].numpy(), (RGB[:, :, 0].T > 127))


def test_resized_is_inverted_to_the_files_size(case: dict[str, str]) -> None:
    transform = Compose([*chain().transforms, Resized("image", (16, 16))])
    data = transform(case)
    assert data["image"].shape == (3, 16, 16)
    data["pred"] = data["image"][:1]
    back = Invertd("pred", transform, orig_keys="image", nearest_interp=False)(data)["pred"]
    assert back.shape == (1, 32, 20)


def test_saved_mask_has_the_orientation_of_the_file(case: dict[str, str], tmp_path: Path) -> None:
    transform = chain()
    data = transform(case)
    data["pred"] = data["label"].clone()
    data = Invertd("pred", transform, orig_keys="image", nearest_interp=True)(data)
    SaveImaged(
        "pred", output_dir=tmp_path / "out", output_ext=".png", output_dtype=np.uint8, resample=False,
        separate_folder=False, print_log=False,
    )(data)  # fmt: skip
    (file,) = (tmp_path / "out").iterdir()
    assert file.name.startswith("image")
    np.testing.assert_array_equal(np.asarray(Image.open(file)), LABEL)


def test_depths_are_scaled_by_their_range(tmp_path: Path) -> None:
    grey16 = RNG.randint(0, 65536, (6, 9)).astype(np.uint16)
    Image.fromarray(grey16).save(tmp_path / "g.png")
    reader = Image2DReader(reverse_indexing=False)
    array, meta = reader.get_data(reader.read(tmp_path / "g.png"))
    np.testing.assert_array_equal(array, grey16 / np.float32(65535))
    assert array.dtype == np.float32
    assert list(meta["spatial_shape"]) == [9, 6]
    assert np.isnan(meta["original_channel_dim"])


def test_float_files_must_lie_between_0_and_1(tmp_path: Path) -> None:
    path = tmp_path / "f.tif"
    values = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    Image.fromarray(values).save(path)
    np.testing.assert_array_equal(Image2DReader().get_data(Image2DReader().read(path))[0], values.T)
    Image.fromarray(values * 300).save(path)
    with pytest.raises(ValueError, match=r"f\.tif: float image with values from 0 to 300, expected \[0, 1\]; scale it"):
        Image2DReader().read(path)


def test_labels_keep_their_integers(tmp_path: Path) -> None:
    values = np.array([[0, 700], [65535, 3]], np.uint16)
    Image.fromarray(values).save(tmp_path / "i.png")
    reader = Image2DReader(label=True)
    array, _ = reader.get_data(reader.read(tmp_path / "i.png"))
    assert array.dtype == np.uint16
    np.testing.assert_array_equal(array, values.T)


def test_several_files_become_channels(case: dict[str, str], tmp_path: Path) -> None:
    loader = LoadImaged("image", reader=Image2DReader(), ensure_channel_first=True, image_only=True)
    data = loader({"image": [case["image"], case["label"]]})["image"]
    assert data.shape == (4, 32, 20)
    Image.fromarray(LABEL[:5]).save(tmp_path / "small.png")
    reader = Image2DReader()
    with pytest.raises(ValueError, match="images of different size"):
        reader.get_data(reader.read([case["image"], str(tmp_path / "small.png")]))


def test_suffixes() -> None:
    assert Image2DReader().verify_suffix("a/b.TIFF")
    assert not Image2DReader().verify_suffix(["a.png", "b.nii.gz"])


@pytest.mark.parametrize(
    ("options", "message"), [({"channels": 0}, "channels is 0"), ({"channel_order": "x"}, "'BGR'")]
)
def test_illegal_arguments(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Image2DReader(**options)


def test_pickle_and_workers(tmp_path: Path) -> None:
    folder = make_sample(tmp_path / "s", 1, num_training=3, num_validation=0, num_test=0, size=(32, 48))
    clone = pickle.loads(pickle.dumps(Image2DReader(channels=3, channel_order="BGR")))
    assert (clone.channels, clone.channel_order, clone.label, clone.reverse_indexing) == (3, "BGR", False, True)
    cases = [{"image": str(p), "label": str(folder / "labels" / p.name)} for p in sorted((folder / "images").iterdir())]
    (batch,) = DataLoader(Dataset(cases, chain()), batch_size=3, num_workers=2)
    assert batch["image"].shape == (3, 3, 32, 48)
    assert batch["label"].shape == (3, 1, 32, 48)
    assert [Path(item["image"].meta["filename_or_obj"]).name for item in decollate_batch(batch)] == [
        Path(c["image"]).name for c in cases
    ]


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, sa2_monai.data, sa2_monai.cli.sample; assert not {'torch', 'monai', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_unknown_name_of_the_package() -> None:
    import sa2_monai.data

    with pytest.raises(AttributeError, match="nothing"):
        _ = sa2_monai.data.nothing
    for name in sa2_monai.data.__all__:
        assert getattr(sa2_monai.data, name) is not None
