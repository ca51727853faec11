# SPDX-License-Identifier: Apache-2.0
"""KiTS23 and ATLAS: volumes as downloaded, and their slices; SimpleITK tells independently how slices must lie."""

from __future__ import annotations

import json
import math
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from monai.transforms import LoadImaged
from PIL import Image

from sa2_monai.data import DATASETS, VolumeReader, load_datalist, load_parts, read_image, read_label, read_volume
from sa2_monai.data.dataset import Job, ListOptions
from sa2_monai.data.datasets.kits23 import chosen_slices
from sa2_monai.data.preparation.axial import GREY, axial_slices, number_of_slices
from sa2_monai.data.preparation.slices import default_sections, write_slices
from sa2_monai.data.prepare import prepare_dataset
from sa2_monai.slices import SliceOrientationd
from tests.support.miniatures import MINI
from tests.support.miniatures.cells_and_slices import KITS_AFFINE, KITS_NUMBERS

PARTS = ("training", "validation", "test")


@pytest.fixture(scope="module")
def kits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kits")
    MINI["kits23"](folder)
    return folder


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("atlas")
    MINI["atlas"](folder)
    return folder


def jobs_of(name: str, folder: Path, form: str) -> list[Job]:
    return DATASETS[name].preparations[form].jobs(folder, ListOptions())


def simpleitk_slices(path: Path) -> np.ndarray:
    """(slice, row, column) from head to feet or the reverse; rows to the back, columns to the left."""
    return sitk.GetArrayFromImage(sitk.DICOMOrient(sitk.ReadImage(str(path)), "LPS"))


# --- order and direction of axes ---


@pytest.mark.parametrize("codes", ["RAS", "LPS", "IPL", "SPL", "ALI", "PIR"])
def test_slices_of_any_storage_order(tmp_path: Path, codes: str) -> None:
    array = np.random.RandomState(0).randint(0, 99, (4, 5, 6)).astype(np.int16)
    image = nib.Nifti1Image(array, np.diag([1.0, 2.0, 3.0, 1.0]))
    turn = nib.orientations.ornt_transform(
        nib.orientations.io_orientation(image.affine), nib.orientations.axcodes2ornt(codes)
    )
    nib.save(image.as_reoriented(turn), tmp_path / "v.nii")
    volume = read_volume(tmp_path / "v.nii")
    slices = axial_slices(volume)
    assert number_of_slices(volume.header) == len(slices) == 6
    expected = simpleitk_slices(tmp_path / "v.nii")
    np.testing.assert_array_equal(slices, expected[::-1] if "I" in codes else expected)


def test_slices_of_kits_are_those_of_the_array(kits: Path) -> None:
    path = kits / "dataset/case_00000/imaging.nii.gz"
    np.testing.assert_array_equal(axial_slices(read_volume(path)), nib.load(path).get_fdata())
    assert nib.aff2axcodes(KITS_AFFINE) == ("I", "P", "L")


# --- grey values ---

TEST_CASE_GREY = [
    ("cut off outside 0 to 255", [-900, -0.5, 0, 0.9, 99.9, 254.9, 255, 1500], [0, 0, 0, 0, 99, 254, 255, 255]),
    ("window -79 to 304", [-900, -79, 112.5, 304, 900], [0, 0, 128, 255, 255]),
    ("maximum of the slice", [-5, 0, 1, 500, 999, 1000], [0, 0, 0, 127, 254, 255]),
    ("maximum of the slice", [0, 0, 0], [0, 0, 0]),
    ("maximum of the slice", [-3, -2, -1], [0, 0, 0]),
    ("percentiles 0.5 and 99.5 of the volume", [7, 7, 7], [0, 0, 0]),
]


@pytest.mark.parametrize(("name", "values", "expected"), TEST_CASE_GREY)
def test_grey(name: str, values: list[float], expected: list[int]) -> None:
    array = np.array([values])
    grey = GREY[name](array)(array)
    assert grey.dtype == np.uint8
    np.testing.assert_array_equal(grey[0], expected)


def test_grey_like_pillow() -> None:
    # What the published program does: float to RGB by Pillow.
    values = np.random.RandomState(0).uniform(-300, 600, (20, 20)).astype(np.float32)
    published = np.asarray(Image.fromarray(values).convert("RGB"))[:, :, 0]
    np.testing.assert_array_equal(GREY["cut off outside 0 to 255"](values)(values), published)


def test_grey_of_percentiles() -> None:
    values = np.arange(1001.0)
    grey = GREY["percentiles 0.5 and 99.5 of the volume"](values)(values)
    np.testing.assert_array_equal(grey[[0, 5, 500, 995, 1000]], [0, 0, 128, 255, 255])


# --- KiTS23 ---


def test_kits_volumes(kits: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for folder in (kits, kits / "dataset"):
        parts = {part: load_datalist(folder, part, "kits23", in_channels=1, kind="volumes") for part in PARTS}
        assert sorted(case["group"] for cases in parts.values() for case in cases) == [
            f"case_{number:05d}" for number in KITS_NUMBERS
        ]
    assert "8 training images, the published data set has 489" in caplog.text
    assert parts["test"][0]["image"].endswith("imaging.nii.gz")
    with pytest.raises(ValueError, match=r"has no folders case_00000, .* 'kits23_slices'"):
        load_parts(tmp_path, "kits23")
    (tmp_path / "case_00001").mkdir()
    with pytest.raises(ValueError, match=r"missing image files \(1\):\n.*imaging.nii.gz\n  -> fetch the images with"):
        load_parts(tmp_path, "kits23")


def test_kits_orientation_in_the_network_chain(kits: Path) -> None:
    """The permuted affine is followed when slices are brought into a model's orientation, and undone exactly."""
    loader = LoadImaged("image", reader=VolumeReader(), ensure_channel_first=True, image_only=True)
    loaded = loader({"image": str(kits / "dataset/case_00000/imaging.nii.gz")})
    stored, turn = loaded["image"].clone(), SliceOrientationd("image")
    turned = turn(loaded)
    # (slice to the feet, row to the back, column to the left) -> (to the left, to the back, to the head)
    np.testing.assert_array_equal(turned["image"][0], stored[0].numpy().transpose(2, 1, 0)[:, :, ::-1])
    back = turn.inverse(turned)["image"]
    np.testing.assert_array_equal(back, stored)
    np.testing.assert_array_equal(back.affine, KITS_AFFINE.astype(np.float32))  # as files hold it


def test_choice_of_slices_is_that_of_numpys_global_generator() -> None:
    generator = np.random.RandomState(999)
    np.random.seed(999)  # noqa: NPY002 - the published program draws so, case after case
    for number in (611, 60, 12, 1, 2, 3):
        middle = range(round(number * 0.15), round(number * 0.85))
        drawn = np.random.choice(middle, math.ceil(number * 0.02), replace=False)  # noqa: NPY002
        assert chosen_slices(number, generator) == sorted(drawn.tolist())


def test_kits_slices(kits: Path, tmp_path: Path) -> None:
    prepare_dataset("kits23", kits, tmp_path / "out", progress=False)
    parts = {part: load_datalist(tmp_path / "out", part, "kits23_slices", in_channels=3) for part in PARTS}
    volumes = load_parts(kits, "kits23")
    for part, cases in parts.items():
        assert [case["group"] for case in cases] == [case["case"] for case in volumes[part]]
    for case in parts["training"]:
        k = int(case["case"][-3:])
        stored = nib.load(kits / "dataset" / case["group"] / "imaging.nii.gz").get_fdata()[k]
        np.testing.assert_array_equal(read_image(case["image"])[:, :, 0], np.clip(np.trunc(stored), 0, 255))
        label = nib.load(kits / "dataset" / case["group"] / "segmentation.nii.gz").get_fdata()[k]
        np.testing.assert_array_equal(read_label(case["label"]), label)
    jobs = json.loads((tmp_path / "out/manifest.json").read_text())["jobs"]
    assert jobs["case_00588"]["options"]["intensity"] == "cut off outside 0 to 255"
    assert len(jobs["case_00588"]["options"]["slices"]) == 1
    assert json.loads((tmp_path / "out/dataset.json").read_text())["labels"]["3"] == "cyst"
    with pytest.raises(ValueError, match="for slices that were prepared use dataset 'kits23_slices'"):
        load_parts(tmp_path / "out", "kits23")
    with pytest.raises(ValueError, match=r"has the dataset.json of 'kits23', expected .* prepare atlas DIR OUT'"):
        load_parts(tmp_path / "out", "atlas_slices")
    with pytest.raises(ValueError, match=r"has no such dataset.json, expected .* prepare kits23 DIR OUT'"):
        load_parts(kits, "kits23_slices")


def test_all_slices_with_the_proper_window(kits: Path, tmp_path: Path) -> None:
    (job, *_) = jobs_of("kits23", kits, "slices")
    cases = job.run(job, tmp_path)
    assert [case["case"] for case in cases] == [f"case_00000_{k:03d}" for k in range(8)]
    stored = nib.load(kits / "dataset/case_00000/imaging.nii.gz").get_fdata()[4]
    grey = read_image(tmp_path / cases[4]["image"])[:, :, 0]
    np.testing.assert_allclose(grey, np.clip((stored + 79) / 383 * 255, 0, 255), atol=0.51)
    again = tmp_path / "again"
    job.run(job, again)
    for case in cases:
        assert (again / case["image"]).read_bytes() == (tmp_path / case["image"]).read_bytes()


def test_labels_that_cannot_be(kits: Path, tmp_path: Path) -> None:
    (job, *_) = jobs_of("kits23", kits, "slices")
    few = Job(job.name, job.sources, job.run, {**job.options, "classes": 2})
    with pytest.raises(ValueError, match=r"segmentation\.nii\.gz: holds the values 2, 3, expected 0 to 1"):
        write_slices(few, tmp_path)
    nib.save(nib.Nifti1Image(np.zeros((4, 5, 6), np.uint8), KITS_AFFINE), tmp_path / "other.nii")
    other = Job(job.name, (job.sources[0], tmp_path / "other.nii"), job.run, job.options)
    with pytest.raises(ValueError, match=r"has the shape \(4, 5, 6\) \(slices, rows, columns\), its image \(8, 32, 40"):
        write_slices(other, tmp_path)


def test_split_of_few_cases() -> None:
    assert default_sections(["a", "b"]) == {"a": "training", "b": "training"}
    for number in (3, 4, 5, 6):
        assert set(default_sections([f"c{i}" for i in range(number)]).values()) == set(PARTS)


# --- ATLAS ---


def test_atlas_volumes(atlas: Path, tmp_path: Path) -> None:
    for folder in (atlas, atlas / "atlas-train-dataset-1.0.1/train"):
        parts = {part: load_datalist(folder, part, "atlas", in_channels=1) for part in PARTS}
        assert sorted(case["case"] for cases in parts.values() for case in cases) == [f"im{n}" for n in range(8)]
    assert parts["test"][0]["label"].endswith(parts["test"][0]["case"].replace("im", "lb") + ".nii.gz")
    with pytest.raises(ValueError, match=r"has no imagesTr/ and labelsTr/"):
        load_parts(tmp_path, "atlas")
    MINI["atlas"](tmp_path)
    base = tmp_path / "atlas-train-dataset-1.0.1/train"
    (base / "imagesTr/im0.nii.gz").rename(base / "imagesTr/scan.nii.gz")
    (base / "labelsTr/lb1.nii.gz").unlink()
    (base / "imagesTr/im02.nii.gz").touch()
    with pytest.raises(ValueError, match="the data cannot be used") as caught:
        load_parts(tmp_path, "atlas")
    for text in ("files of other names (1)", "images without a label (1)", "labels without an image (1)", "two files"):
        assert text in str(caught.value)


def test_atlas_slices(atlas: Path, tmp_path: Path) -> None:
    prepare_dataset("atlas", atlas, tmp_path / "out", progress=False)
    parts = {part: load_datalist(tmp_path / "out", part, "atlas_slices", in_channels=3) for part in PARTS}
    volumes = load_parts(atlas, "atlas")
    for part, cases in parts.items():
        assert {case["group"] for case in cases} == {case["case"] for case in volumes[part]}
        assert len(cases) == 3 * len(volumes[part])  # slices 0, 4 and 6
    case = volumes["test"][0]
    slices, labels = simpleitk_slices(Path(case["image"])), simpleitk_slices(Path(case["label"]))
    for k, entry in zip((0, 4, 6), parts["test"], strict=False):
        assert entry["case"] == f"{case['case']}_{k:03d}"
        highest = max(slices[k].max(), 1)
        grey = read_image(entry["image"])[:, :, 0]
        np.testing.assert_array_equal(grey, (slices[k].astype(np.float32) / highest * 255).astype(np.uint8))
        np.testing.assert_array_equal(read_label(entry["label"]), labels[k])
    assert not read_image(parts["test"][0]["image"]).any()  # the slice of zeros


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["totalseg_ct_example", "msd_hippocampus"])
def test_slices_of_real_volumes(real_data: Path, tmp_path: Path, name: str) -> None:
    folder = real_data / name
    image = sorted((folder / "images").glob("*.nii.gz"))[-1]
    intensity = "window -79 to 304" if "ct" in image.name else "maximum of the slice"
    options = {"section": "test", "intensity": intensity, "slices": [3, 20], "classes": 200}
    job = Job("case", (image, folder / "labels" / image.name), write_slices, options)
    slices, labels = (simpleitk_slices(path) for path in job.sources)
    for k, case in zip((3, 20), job.run(job, tmp_path), strict=True):
        np.testing.assert_array_equal(read_label(tmp_path / case["label"]), labels[k])
        top = slices[k].max()
        scaled = (slices[k] + 79) / 383 * 255 if "ct" in image.name else slices[k] / top * 255
        assert np.abs(read_image(tmp_path / case["image"])[:, :, 0] - np.clip(scaled, 0, 255)).max() <= 1
