# SPDX-License-Identifier: Apache-2.0
"""Cases on the disk: equal to those in memory, never stale, never code, in a folder of one user."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
import torch
from equal_values import equal
from monai.data import CacheDataset, DataLoader, Dataset, MetaTensor
from monai.transforms import (
    Compose,
    Flipd,
    LoadImaged,
    MapTransform,
    RandFlipd,
    ScaleIntensityRanged,
    Spacingd,
    reset_ops_id,
)
from monai.utils import set_determinism

from sa2_monai.data import case_reader
from sa2_monai.training import DiskCacheDataset
from sa2_monai.training.disk_cache import definition
from sa2_monai.training.disk_cache.contents import FileHashes
from tests.support.full_disk import full_disk

made: list[str] = []


class Counted(MapTransform):
    """Notes that a case was made, and adds a number."""

    def __init__(self, keys: Any = "image", offset: float = 0.0) -> None:
        super().__init__(keys)
        self.offset = offset

    def __call__(self, data: Any) -> dict[Any, Any]:
        made.append(data["case"])
        return {**data, "image": data["image"] + self.offset}


def write_volume(path: Path, seed: int) -> None:
    array = np.random.default_rng(seed).integers(-500, 500, (6, 5, 4)).astype(np.int16)
    if path.suffix == ".mhd":
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array), str(path))
    elif path.suffix:
        nib.save(nib.Nifti1Image(array, np.diag([1.5, 2.0, 3.0, 1.0])), path)
    else:
        path.mkdir(exist_ok=True)
        for k in range(4):
            nib.save(nib.Nifti1Image(array[..., k : k + 1], np.eye(4)), path / f"{k}.nii")


def cases(folder: Path, suffix: str = ".nii", count: int = 2) -> list[dict[str, Any]]:
    folder.mkdir(exist_ok=True)
    found = []
    for number in range(count):
        names = {key: folder / f"{number}_{key}{suffix}" for key in ("image", "label")}
        for offset, path in enumerate(names.values()):
            write_volume(path, 10 * number + offset)
        found.append({key: str(path) for key, path in names.items()} | {"case": f"case_{number}"})
    return found


def chain(*more: Any, offset: float = 0.0) -> Compose:
    keys = ["image", "label"]
    return Compose(
        [
            *(LoadImaged(keys, ensure_channel_first=True, image_only=True), Counted(offset=offset)),
            *(Flipd(keys, spatial_axis=0), Spacingd(keys, (1.0, 1.0, -1.0), mode=["bilinear", "nearest"]), *more),
            RandFlipd(keys, prob=0.5, spatial_axis=1),
        ]
    )


def made_by(dataset: Dataset) -> list[str]:
    """Cases that are made, not read, when all are asked for."""
    made.clear()
    for index in range(len(dataset)):
        _ = dataset[index]
    return list(made)


# The numbers.


def test_the_batches_are_those_without_it(tmp_path: Path) -> None:
    data = cases(tmp_path / "data")

    def batches(dataset: Dataset) -> list[Any]:
        set_determinism(3)
        return [batch for _ in range(2) for batch in DataLoader(dataset, batch_size=2, shuffle=True)]

    expected = batches(Dataset(data, chain()))
    for dataset in (
        CacheDataset(data, chain(), progress=False),
        DiskCacheDataset(data, chain(), tmp_path / "cache"),
        DiskCacheDataset(data, chain(), tmp_path / "cache", num_workers=2),  # another program, which finds the files
    ):
        for one, two in zip(expected, batches(dataset), strict=True):
            for key in ("image", "label"):
                assert torch.equal(one[key].as_tensor(), two[key].as_tensor())
                assert torch.equal(one[key].affine, two[key].affine)
            assert one["case"] == two["case"]
    set_determinism(None)


def test_a_case_from_a_file_is_the_case(tmp_path: Path) -> None:
    data = cases(tmp_path / "data")
    dataset = DiskCacheDataset(data, chain().transforms[:-1], tmp_path / "cache")  # no random transform at all
    expected = Dataset(data, chain().transforms[:-1])
    assert made_by(dataset) == ["case_0", "case_1"]
    for index in range(2):
        one, two, again = expected[index], dataset[index], dataset[index]
        reset_ops_id(one)  # numbers of the objects of this process
        assert equal(one, two)
        assert equal(two, again)
        assert two["image"] is not again["image"]
    assert isinstance(two["image"], MetaTensor)
    assert two["image"].meta["filename_or_obj"] == data[1]["image"]
    assert len(two["image"].applied_operations) == 2
    assert made_by(dataset) == []


# What it depends on.


def rewrite(path: Path, change: Callable[[bytearray], None]) -> None:
    """Change a file without leaving a trace in its size and its times."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    change(data)
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def one_bit(path: Path) -> None:
    def flip(data: bytearray) -> None:
        data[-2] ^= 1

    rewrite(path, flip)


def swap(first: Path, second: Path) -> None:
    contents = first.read_bytes(), second.read_bytes()
    first.write_bytes(contents[1])
    second.write_bytes(contents[0])


CHANGES: dict[str, tuple[str, Callable[[Path], object], list[str]]] = {
    "nothing": (".nii", lambda _: None, []),
    "times": (".nii", lambda folder: os.utime(folder / "0_image.nii", (1, 1)), []),
    "bit of an image": (".nii", lambda folder: one_bit(folder / "0_image.nii"), ["case_0"]),
    "bit of a label": (".nii", lambda folder: one_bit(folder / "1_label.nii"), ["case_1"]),
    "images swapped": (".nii", lambda f: swap(f / "0_image.nii", f / "1_image.nii"), ["case_0", "case_1"]),
    "packed": (".nii.gz", lambda folder: write_volume(folder / "0_image.nii.gz", 77), ["case_0"]),
    "voxels beside a header": (".mhd", lambda folder: one_bit(folder / "0_image.raw"), ["case_0"]),
    "header": (
        ".mhd",
        lambda f: rewrite(
            f / "0_image.mhd", lambda d: d.__setitem__(slice(None), d.replace(b"Spacing = 1 1 1", b"Spacing = 1 1 2"))
        ),
        ["case_0"],
    ),
    "slice of a series": ("", lambda folder: one_bit(folder / "0_image" / "2.nii"), ["case_0"]),
    "slice more": ("", lambda f: shutil.copy(f / "0_image" / "3.nii", f / "0_image" / "4.nii"), ["case_0"]),
    "slice less": ("", lambda folder: (folder / "1_label" / "3.nii").unlink(), ["case_1"]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_file_is_noticed(change: str, tmp_path: Path) -> None:
    suffix, do, expected = CHANGES[change]
    data = cases(tmp_path / "data", suffix)
    if not suffix:
        for case in data:  # read as files of one channel each
            case.update({key: sorted(str(p) for p in Path(case[key]).iterdir()) for key in ("image", "label")})

    def dataset() -> DiskCacheDataset:
        reader = case_reader(kind="volumes") if suffix == ".mhd" else None
        steps = Compose([LoadImaged(["image", "label"], reader, image_only=True), Counted()])
        return DiskCacheDataset(data, steps, tmp_path / "cache")

    assert made_by(dataset()) == ["case_0", "case_1"]
    assert made_by(dataset()) == []
    do(tmp_path / "data")
    if not suffix:
        for number, case in enumerate(data):
            folder = tmp_path / "data"
            case.update({k: sorted(map(str, (folder / f"{number}_{k}").iterdir())) for k in ("image", "label")})
    again = dataset()
    assert made_by(again) == expected
    for index, case in enumerate(data):
        assert equal(again[index]["image"].as_tensor(), Dataset(data, again.transform)[index]["image"].as_tensor()), (
            case
        )


def test_folders_count_with_all_their_files(tmp_path: Path) -> None:
    write_volume(tmp_path / "series", 0)
    before = FileHashes().of(tmp_path / "series")
    assert [name for name, _ in before] == ["0.nii", "1.nii", "2.nii", "3.nii"]
    os.rename(tmp_path / "series" / "3.nii", tmp_path / "series" / "5.nii")
    assert FileHashes().of([str(tmp_path / "series")]) != before


HEADERS = {
    "a.mhd": ("ElementDataFile = voxels/b.raw", ["a.mhd", "voxels/b.raw"]),
    "b.mhd": ("ElementDataFile = LIST\nc.raw\nd.raw", ["b.mhd", "c.raw", "d.raw"]),
    "c.mhd": (
        "ElementDataFile = c%03d.raw 1 2 1",
        ["c.mhd", "a.mhd", "b.mhd", "c.raw", "d.hdr", "d.img", "d.raw", "e.nhdr"],
    ),
    "d.hdr": ("\0binary", ["d.hdr", "d.img", "d.raw"]),
    "e.nhdr": ("NRRD0004\ndata file: c.raw", ["e.nhdr", "c.raw"]),
    "c.raw": ("voxels", ["c.raw"]),
}


def test_headers_lead_to_their_voxels(tmp_path: Path) -> None:
    (tmp_path / "voxels").mkdir()
    for name in ("voxels/b.raw", "c.raw", "d.raw", "d.img"):
        (tmp_path / name).write_text(name)
    for name, (text, _) in HEADERS.items():
        (tmp_path / name).write_text(text)
    for name, (_, expected) in HEADERS.items():
        assert [part for part, _ in FileHashes().of(tmp_path / name)] == expected, name


def test_other_preprocessing_and_other_entries_are_other_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = cases(tmp_path / "data", count=1)

    def asked(transform: Compose, **entries: Any) -> bool:
        return bool(made_by(DiskCacheDataset([{**data[0], **entries}], transform, tmp_path / "cache")))

    scale = ScaleIntensityRanged("image", -100, 100, 0.0, 1.0)
    other = ScaleIntensityRanged("image", -100, 101, 0.0, 1.0)
    assert [asked(chain()), asked(chain())] == [True, False]
    assert [asked(chain(offset=1.0)), asked(chain(scale)), asked(chain(other)), asked(chain(other))] == [True] * 3 + [
        False
    ]
    assert [asked(chain(scale)), asked(chain(offset=1.0)), asked(chain())] == [False] * 3
    assert [asked(chain(), table={1: 2}), asked(chain(), table={1: 3}), asked(chain(), table={1: 2})] == [
        True,
        True,
        False,
    ]
    # What comes after the first random transform is not kept.
    assert not asked(Compose([*chain().transforms, scale]))
    monkeypatch.setattr(definition.metadata, "version", lambda _: "0.0")
    assert asked(chain())


# Safety.


def test_code_in_a_file_is_never_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return (os.mkdir, (str(tmp_path / "trap"),))

    dataset = DiskCacheDataset(cases(tmp_path / "data", count=1), chain(), tmp_path / "cache")
    _ = dataset[0]
    (file,) = (tmp_path / "cache").iterdir()
    torch.save({"item": Trap()}, file)
    assert made_by(dataset) == ["case_0"]
    assert "holds Python objects" in caplog.text
    assert "made anew" in caplog.text
    assert not (tmp_path / "trap").exists()
    assert made_by(dataset) == []
    assert torch.load(file, weights_only=True)["item"]["kind"] == "dict"


def test_a_damaged_file_is_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dataset = DiskCacheDataset(cases(tmp_path / "data", count=1), chain().transforms[:-1], tmp_path / "cache")
    expected = dataset[0]
    (file,) = (tmp_path / "cache").iterdir()
    data = file.read_bytes()
    flipped = [bytearray(data) for _ in range(12)]
    for number, content in enumerate(flipped):
        content[len(data) * number // 12] ^= 4
    torch.save({"other": torch.zeros(2)}, file)
    others = [file.read_bytes()]
    for content in (b"", b"text", data[:-1], data[: len(data) // 2], bytes(len(data)), *others, *flipped):
        file.write_bytes(content)
        caplog.clear()
        made.clear()
        assert equal(dataset[0], expected)
        assert made == ["case_0"]
        assert "The case is made anew." in caplog.text
        assert equal(dataset[0], expected)
        assert made == ["case_0"]


def test_half_of_a_file_is_never_used_and_a_full_disk_is_named(tmp_path: Path) -> None:
    dataset = DiskCacheDataset(cases(tmp_path / "data", count=1), chain(), tmp_path / "cache")
    with full_disk(1000), pytest.raises(OSError, match=r"cannot write .*cache.*Free space"):
        _ = dataset[0]
    assert list((tmp_path / "cache").iterdir()) == []
    assert made_by(dataset) == ["case_0"]


def test_several_writers_at_once(tmp_path: Path) -> None:
    data = cases(tmp_path / "data")
    both = [DiskCacheDataset(data, chain().transforms[:-1], tmp_path / "cache") for _ in range(2)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda number: both[number % 2][number // 2 % 2], range(16)))
    for number, item in enumerate(found):
        assert equal(item, both[0][number // 2 % 2])
    assert len(list((tmp_path / "cache").iterdir())) == 2
    loader = DataLoader(DiskCacheDataset(data, chain(), tmp_path / "cache"), batch_size=1, num_workers=2)
    assert [batch["case"] for batch in loader] == [["case_0"], ["case_1"]]


def test_a_file_that_changes_during_the_training_is_an_error(tmp_path: Path) -> None:
    data = cases(tmp_path / "data", count=1)
    dataset = DiskCacheDataset(data, chain(), tmp_path / "cache")
    one_bit(Path(data[0]["label"]))
    with pytest.raises(ValueError, match=r"changed while the training was running: .*0_image\.nii, .*0_label\.nii"):
        _ = dataset[0]
    assert list((tmp_path / "cache").iterdir()) == []
    with pytest.raises(ValueError, match="none of the entries image, label that name its files"):
        DiskCacheDataset([{"case": "a"}], chain(), tmp_path / "cache")
    with pytest.raises(FileNotFoundError, match="none"):
        DiskCacheDataset([{"image": str(tmp_path / "none.nii")}], chain(), tmp_path / "cache")


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_the_folder_is_of_its_user_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    data = cases(tmp_path / "data", count=1)

    def use(name: str) -> int:
        DiskCacheDataset(data, chain(), tmp_path / name)
        return (tmp_path / name).stat().st_mode & 0o777

    assert use("a/b/new") == 0o700
    for mode in (0o777, 0o775, 0o757, 0o720, 0o702):
        folder = tmp_path / f"{mode:o}"
        folder.mkdir()
        folder.chmod(mode)
        with pytest.raises(
            PermissionError, match=rf"{folder} can be written by other users \(mode {mode:04o}\).*chmod"
        ):
            use(folder.name)
        (tmp_path / "link").symlink_to(folder)
        with pytest.raises(PermissionError, match="can be written by other users"):
            use("link")
        (tmp_path / "link").unlink()
    for mode in (0o755, 0o750, 0o711):
        folder = tmp_path / f"{mode:o}"
        folder.mkdir()
        folder.chmod(mode)
        with caplog.at_level("INFO"):
            assert use(folder.name) == 0o700
        assert f"{folder} could be read by other users (mode {mode:04o}); it is closed" in caplog.text
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match="file is a file"):
        use("file")
    monkeypatch.setattr(os, "geteuid", lambda: (tmp_path / "755").stat().st_uid + 1)
    with pytest.raises(PermissionError, match=r"755 belongs to the user with number \d+, this program runs as \d+"):
        use("755")
