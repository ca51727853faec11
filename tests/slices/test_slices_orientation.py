# SPDX-License-Identifier: Apache-2.0
"""SliceOrientationd: exact, invertible, for any storage; RandSliced: the right slices, as often as promised."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.data import CacheDataset, DataLoader, Dataset, MetaTensor, NibabelReader, PersistentDataset
from monai.transforms import Compose, Invertd, Spacingd
from scipy.spatial.transform import Rotation

from sa2_monai.slices import RandSliced, SliceOrientationd, StrictLoadImaged
from sa2_monai.slices.draw import slices_of_classes
from sa2_monai.slices.orientation import AXCODES

SIDES = {"L": (-1, 0, 0), "P": (0, -1, 0), "S": (0, 0, 1)}
WITH_META = {"track_meta": True, "weights_only": False}  # else MONAI's cache on disk forgets names and affines
ALL_CODES = [
    "".join(sides[i] for i in order)
    for order in itertools.permutations(range(3))
    for sides in itertools.product("LR", "PA", "SI")
]


def body(shape: tuple[int, int, int], spacing: tuple[float, float, float], degrees: float = 0.0) -> nib.Nifti1Image:
    """A volume in LPS order, tilted about an odd axis; every voxel has another value."""
    affine = np.eye(4)
    turn = Rotation.from_rotvec(np.radians(degrees) * np.array([0.48, 0.64, 0.6])).as_matrix()
    affine[:3, :3] = turn @ np.diag([-1, -1, 1]) * spacing
    affine[:3, 3] = (11.25, -70.1, 33.3)
    return nib.Nifti1Image(np.arange(np.prod(shape), dtype=np.int16).reshape(shape), affine)


def restored(image: nib.Nifti1Image, codes: str) -> nib.Nifti1Image:
    """The same voxels at the same places with the axes in another order."""
    target = nib.orientations.axcodes2ornt(tuple(codes))
    return image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(image.affine), target))


def tensor(image: nib.Nifti1Image, name: str | None = None) -> MetaTensor:
    meta = {"filename_or_obj": name} if name else {}
    return MetaTensor(torch.as_tensor(image.get_fdata())[None], affine=torch.as_tensor(image.affine), meta=meta)


def load(keys: Any) -> StrictLoadImaged:
    return StrictLoadImaged(keys, NibabelReader(), image_only=True, ensure_channel_first=True)


def places(volume: MetaTensor) -> np.ndarray:
    """World coordinates of the voxels, by their values."""
    index = np.stack(np.unravel_index(np.argsort(volume[0].numpy(), axis=None), volume.shape[1:]))
    return (volume.affine.numpy()[:3, :3] @ index).T + volume.affine.numpy()[:3, 3]


@pytest.mark.parametrize("slice_axis", AXCODES)
def test_every_storage_to_one_order_and_back(slice_axis: str) -> None:
    """All 48 storages of one oblique body become one array; the inverse of a label map is the storage, bit for bit."""
    chain = Compose([SliceOrientationd(["image", "label"], slice_axis, allow_missing_keys=True)])
    invert = Invertd("pred", chain, orig_keys="image", nearest_interp=True)
    image = body((3, 4, 5), (1.0, 1.5, 4.0), 20)
    first: MetaTensor | None = None
    for codes in ALL_CODES:
        case = tensor(restored(image, codes))
        out = chain({"image": case})["image"]
        first = out if first is None else first
        assert torch.equal(out.as_tensor(), first.as_tensor())
        np.testing.assert_allclose(places(out), places(case), atol=1e-9)
        back = invert({"image": out, "pred": MetaTensor((out.as_tensor() % 7).to(torch.uint8))})["pred"]
        assert back.dtype == torch.uint8
        assert torch.equal(back.as_tensor(), (case.as_tensor() % 7).to(torch.uint8))
        assert torch.equal(back.affine, case.affine)
        assert back.applied_operations == []
    assert first is not None
    for axis, side in enumerate(AXCODES[slice_axis]):
        column = first.affine[:3, axis].numpy()
        assert column @ SIDES[side] / np.linalg.norm(column) >= np.cos(np.radians(20)) - 1e-9


TEST_CASE_STACKS: list[tuple[tuple[float, float, float], str, str]] = [
    # spacing along L, P, S; stored order; order of the axes for "acquisition"
    ((0.8, 0.8, 5.0), "LPS", "LPS"),
    ((0.8, 0.8, 5.0), "SRA", "LPS"),
    ((0.8, 0.8, 0.5), "PSL", "LPS"),  # thin slices: the pixels are the equal ones
    ((1.2, 6.0, 1.2), "LPS", "LSP"),
    ((1.2, 6.0, 1.2), "AIR", "LSP"),
    ((4.0, 0.9, 0.9), "RAS", "PSL"),
    ((0.7, 0.9, 3.0), "SPL", "LPS"),
    ((1.0, 1.0, 1.0), "LPS", "LPS"),
    ((1.0, 1.0, 1.005), "LSA", "LSP"),  # equal by 1 %: the last stored axis
    ((1.0, 1.0, 1.0), "SAR", "PSL"),
]


@pytest.mark.parametrize(("spacing", "codes", "expected"), TEST_CASE_STACKS)
@pytest.mark.parametrize("degrees", [0, 25])
def test_slices_of_the_acquisition(
    spacing: tuple[float, float, float], codes: str, expected: str, degrees: float
) -> None:
    case = tensor(restored(body((4, 5, 6), spacing, degrees), codes))
    out = SliceOrientationd("image", "acquisition")({"image": case})["image"]
    assert "".join(nib.aff2axcodes(out.affine.numpy())) == expected
    np.testing.assert_allclose(places(out), places(case), atol=1e-9)


def test_label_follows_its_image() -> None:
    """Another storage of the label, another spacing by rounding, an affine near 45 degrees: one order all the same."""
    image = body((4, 5, 6), (1.0, 1.0, 1.0))
    both = {"image": tensor(restored(image, "SPL")), "label": tensor(restored(image, "LPS"))}
    out = SliceOrientationd(["image", "label"], "acquisition")(both)
    assert torch.equal(out["image"].as_tensor(), out["label"].as_tensor())
    turned = body((4, 5, 6), (1.0, 1.0, 1.0))
    for sign in (1, -1):
        angle = np.radians(45 + sign * 1e-7)
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        turned.affine[:3, :3] = turn
        both["image" if sign > 0 else "label"] = tensor(turned)
    out = SliceOrientationd(["image", "label"])(both)
    assert torch.equal(out["image"].as_tensor(), out["label"].as_tensor())


def test_a_space_of_other_signs_is_understood() -> None:
    case = tensor(body((4, 5, 6), (1.0, 1.0, 3.0)))
    lps = MetaTensor(case.as_tensor(), affine=torch.diag(torch.tensor([-1.0, -1, 1, 1])).double() @ case.affine)
    lps.meta["space"] = "LPS"
    assert torch.equal(SliceOrientationd("image")({"image": lps})["image"].as_tensor(), case.as_tensor())


@pytest.mark.parametrize("workers", [0, 2])
def test_inverse_of_a_batch_from_workers(workers: int, tmp_path: Path) -> None:
    """Each case of a loader needs another permutation; files on disk, read by worker processes."""
    data = []
    for number, codes in enumerate(("LPS", "ASR", "RIP", "SLA")):
        nib.save(restored(body((4, 5, 6), (1.0, 1.0, 3.0), 10), codes), tmp_path / f"{number}.nii.gz")
        data.append({"image": str(tmp_path / f"{number}.nii.gz")})
    chain = Compose([load("image"), SliceOrientationd("image")])
    invert = Invertd("pred", chain.transforms[1], orig_keys="image", nearest_interp=True)
    for batch, case in zip(DataLoader(Dataset(data, chain), num_workers=workers), data, strict=True):
        image = batch["image"][0]
        out = invert({"image": image, "pred": MetaTensor(image.as_tensor().to(torch.int16))})["pred"]
        file = nib.load(case["image"])
        np.testing.assert_array_equal(out[0].numpy(), np.asarray(file.dataobj))
        np.testing.assert_array_equal(out.affine.numpy(), file.affine)


def test_inverse_after_a_cache_on_disk(tmp_path: Path) -> None:
    """Another object of the transform, as after a restart, finds its entry; probabilities have more channels."""
    nib.save(restored(body((4, 5, 6), (1.0, 1.0, 3.0)), "ASR"), tmp_path / "a.nii.gz")
    for _ in range(2):
        chain = Compose([load("image"), SliceOrientationd("image")])
        item = PersistentDataset([{"image": str(tmp_path / "a.nii.gz")}], chain, tmp_path / "cache", **WITH_META)[0]
    scores = MetaTensor(torch.rand(3, *item["image"].shape[1:]))
    out = Invertd("pred", chain.transforms[1], orig_keys="image")({**item, "pred": scores})["pred"]
    assert out.shape == (3, *nib.load(tmp_path / "a.nii.gz").shape)
    assert torch.equal(SliceOrientationd("pred")({"pred": out})["pred"].as_tensor(), scores.as_tensor())


def bad(case: str) -> tuple[Any, str]:
    volume = tensor(body((4, 5, 6), (1.0, 1.0, 3.0)), "/d/a.nii.gz")
    if case == "plain":
        return volume.as_tensor(), "'image' is a Tensor without an affine, expected a MetaTensor"
    if case == "image":
        return volume[..., 0], r"image /d/a\.nii\.gz has the shape \(1, 4, 5\), expected a volume"
    volume.affine = {"flat": np.diag([1.0, 1, 0, 1]), "nan": np.diag([1.0, np.nan, 1, 1])}[case]
    return volume, r"image /d/a\.nii\.gz has the affine \[\[1\.0, .* expected a finite, invertible 4 x 4"


@pytest.mark.parametrize("case", ["plain", "image", "flat", "nan"])
def test_what_is_no_volume(case: str) -> None:
    data, message = bad(case)
    with pytest.raises((TypeError, ValueError), match=message):
        SliceOrientationd("image")({"image": data})


def test_unknown_axis() -> None:
    with pytest.raises(ValueError, match="slice_axis is 'transverse', expected one of axial, coronal, sagittal, acq"):
        SliceOrientationd("image", "transverse")


# --- RandSliced -------------------------------------------------------------------------------------------------------

SLICES = 12


def labelled(name: str | None = "/d/a_label.nii.gz") -> dict[str, Any]:
    """Class 1 in slices 2 to 9, class 2 in slice 5 alone, class 4 in slices 8 and 10; image = number of the slice."""
    label = torch.zeros(1, 16, 9, SLICES, dtype=torch.uint8)
    label[0, 1:5, 2, 2:10] = 1
    label[0, 7, 7, 5] = 2
    label[0, 3, 1, 8] = label[0, 3, 1, 10] = 4
    image = torch.arange(SLICES).float().expand(2, 16, 9, SLICES) + 100 * torch.arange(2.0).reshape(2, 1, 1, 1)
    affine = torch.as_tensor(body((1, 1, 1), (2.0, 2.0, 5.0), 10).affine)
    meta = {} if name is None else {"filename_or_obj": name}
    return {
        "image": MetaTensor(image.clone(), affine=affine, meta={**meta, "pixdim": np.ones(8)}),
        "label": MetaTensor(label, affine=affine, meta=dict(meta)),
        "case": "a",
    }


HOLDS = {1: np.arange(2, 10), 2: np.array([5]), 4: np.array([8, 10])}


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("number", [3, 9, 17, 60, 90])
def test_slices_of_classes(dtype: type, order: str, number: int) -> None:
    rng = np.random.default_rng(number)
    label = rng.integers(0, number, (1, 7, 6, 9)) * (rng.random((1, 7, 6, 9)) < 0.04)
    found = slices_of_classes(np.asarray(label, dtype=dtype, order=order))
    assert list(found) == [value for value in np.unique(label) if value]
    for value, slices in found.items():
        np.testing.assert_array_equal(slices, [k for k in range(9) if (label[..., k] == value).any()])
    assert slices_of_classes(np.zeros((2, 2, 3), np.uint8)) == {}


def test_samples_are_independent_slices() -> None:
    data = labelled()
    before = {key: data[key].as_tensor().clone() for key in ("image", "label")}
    transform = RandSliced(["image", "label"], num_samples=5, foreground=0.0)
    transform.set_random_state(seed=3)
    samples = transform(data)
    assert len(samples) == 5
    assert len({sample["slice_index"] for sample in samples}) == 5  # spread
    for sample in samples:
        index = sample["slice_index"]
        assert sample["case"] == "a"
        assert sample["image"].shape == (2, 16, 9)
        assert sample["label"].dtype == torch.uint8
        assert torch.equal(sample["image"].as_tensor(), before["image"][..., index])
        assert torch.equal(sample["label"].as_tensor(), before["label"][..., index])
        assert sample["image"].is_contiguous()
        assert sample["image"].meta["filename_or_obj"] == "/d/a_label.nii.gz"
        assert sample["image"].meta["slice_index"] == index
        assert sample["image"].applied_operations == []
        expected = data["image"].affine.numpy() @ [3, 4, index, 1]
        np.testing.assert_allclose(sample["image"].affine.numpy() @ [3, 4, 0, 1], expected)
        sample["image"] += 1000
        sample["label"][:] = 9
        sample["image"].affine[:] = 0
    for key, values in before.items():
        assert torch.equal(data[key].as_tensor(), values)
    assert data["image"].affine.abs().max() > 1


def draw(calls: int, **options: Any) -> np.ndarray:
    transform = RandSliced(["image", "label"], num_samples=1, **options)
    transform.set_random_state(seed=11)
    data = labelled()
    return np.array([transform(data)[0]["slice_index"] for _ in range(calls)])


def assert_frequencies(drawn: np.ndarray, expected: np.ndarray) -> None:
    counts = np.bincount(drawn, minlength=SLICES)
    # Five standard deviations of a binomial count; the seed is fixed, so this cannot flicker.
    assert (np.abs(counts - len(drawn) * expected) <= 5 * np.sqrt(len(drawn) * expected * (1 - expected))).all(), counts


def test_published_draws_are_uniform() -> None:
    assert_frequencies(draw(800, foreground=0.0), np.full(SLICES, 1 / SLICES))


def test_classes_are_met_alike() -> None:
    expected = np.full(SLICES, 0.4 / SLICES)
    for slices in HOLDS.values():
        expected[slices] += 0.6 / 3 / len(slices)
    assert_frequencies(draw(800, foreground=0.6), expected)


def test_without_balance_slices_with_foreground_are_met_alike() -> None:
    shown = np.unique(np.concatenate(list(HOLDS.values())))
    expected = np.zeros(SLICES)
    expected[shown] = 1 / len(shown)
    assert_frequencies(draw(800, foreground=1.0, balance_classes=False), expected)


def test_a_volume_without_foreground_is_drawn_from_evenly() -> None:
    data = labelled()
    data["label"] = MetaTensor(torch.zeros_like(data["label"].as_tensor()))
    transform = RandSliced(["image", "label"], num_samples=SLICES, foreground=1.0)
    assert sorted(sample["slice_index"] for sample in transform(data)) == list(range(SLICES))


def test_spread_ends_where_the_slices_end() -> None:
    few = RandSliced(["image", "label"], num_samples=2 * SLICES, foreground=0.0)
    drawn = [sample["slice_index"] for sample in few(labelled())]
    assert sorted(drawn[:SLICES]) == list(range(SLICES))
    loose = RandSliced(["image", "label"], num_samples=SLICES, foreground=0.0, spread=False)
    loose.set_random_state(seed=0)
    assert len({sample["slice_index"] for sample in loose(labelled())}) < SLICES


def test_same_seed_same_slices() -> None:
    assert draw(20).tolist() == draw(20).tolist()
    data = [labelled(f"/d/{number}") for number in range(4)]
    runs = []
    for workers in (0, 2, 2):
        loader = DataLoader(
            Dataset(data, Compose([RandSliced(["image", "label"], num_samples=3)])),
            batch_size=2,
            num_workers=workers,
            generator=torch.Generator().manual_seed(5),
        )
        loader.dataset.transform.set_random_state(seed=1)
        batches = list(loader)
        assert batches[0]["image"].shape == (6, 2, 16, 9)
        assert batches[0]["case"] == ["a"] * 6
        runs.append([index for batch in batches for index in batch["slice_index"].tolist()])
    assert runs[1] == runs[2]


def test_slices_are_looked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The label of a cached volume is read once, also when it comes from a cache on disk; a changed one anew."""
    looked: list[tuple] = []

    def counted(label: np.ndarray) -> dict[int, np.ndarray]:
        looked.append(label.shape)
        return slices_of_classes(label)

    monkeypatch.setattr("sa2_monai.slices.draw.slices_of_classes", counted)
    file = nib.Nifti1Image(labelled()["label"][0].numpy(), np.diag([2.0, 2, 5, 1]))
    nib.save(file, tmp_path / "l.nii.gz")
    items = [{"image": str(tmp_path / "l.nii.gz"), "label": str(tmp_path / "l.nii.gz")}]
    keys = ["image", "label"]
    for make in (
        lambda chain: CacheDataset(items, chain, copy_cache=False, progress=False),
        lambda chain: PersistentDataset(items, chain, tmp_path / "cache", **WITH_META),
    ):
        looked.clear()
        dataset = make(Compose([load(keys), SliceOrientationd(keys), RandSliced(keys, num_samples=2)]))
        for _ in range(4):
            assert {sample["label"].shape for sample in dataset[0]} == {(1, 16, 9)}
        assert len(looked) == 1
    transform = RandSliced(keys, foreground=1.0, num_samples=1)
    transform.set_random_state(0)  # the slice that is drawn second does not show its class once the label is turned
    looked.clear()
    data = labelled()
    transform(data)
    data["label"] = MetaTensor(data["label"].as_tensor().flip(-1), meta=data["label"].meta)
    assert {int(v) for v in transform(data)[0]["label"].unique()} != {0}
    assert len(looked) == 2
    looked.clear()
    for _ in range(2):
        transform(labelled(None))  # a label without a name may be any other
    assert len(looked) == 2


def test_arrays_without_metadata() -> None:
    data = {"image": np.random.default_rng(0).random((1, 4, 5, 6)), "label": np.ones((1, 4, 5, 6), np.uint8)}
    sample = RandSliced(["image", "label"], num_samples=1)(data)[0]
    np.testing.assert_array_equal(sample["image"].numpy(), data["image"][..., sample["slice_index"]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("label"), r"a_label\.nii\.gz has no 'label': RandSliced draws .* for prediction leave"),
        (lambda d: d.update(label=d["label"][..., 1:]), r"image .* size \(16, 9, 12\), but its label .* \(16, 9, 11\)"),
        (lambda d: d.update(label=d["label"][..., 0]), r"label .*shape \(1, 16, 9\), expected a volume"),
        (lambda d: d.update(image=d["image"][..., :0]), r"image .*shape \(2, 16, 9, 0\), expected a volume"),
    ],
)
@pytest.mark.parametrize("foreground", [0.0, 0.5])
def test_what_cannot_be_cut(change: Any, message: str, foreground: float) -> None:
    data = labelled()
    change(data)
    with pytest.raises(ValueError, match=message):
        RandSliced(["image", "label"], foreground=foreground)(data)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"num_samples": 0}, "num_samples is 0"), ({"foreground": 1.5}, "foreground is 1.5"), ({"foreground": -1}, "-1")],
)
def test_illegal_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RandSliced(["image", "label"], **options)


def test_the_in_plane_resampling_of_windows_keeps_the_slices() -> None:
    """The chain of window training: orientation, in-plane spacing, slices."""
    chain = Compose(
        [
            SliceOrientationd(["image", "label"]),
            Spacingd(["image", "label"], pixdim=(1.0, 1.0, -1), mode=["bilinear", "nearest"]),
            RandSliced(["image", "label"], num_samples=1),
        ]
    )
    sample = chain(labelled())[0]
    assert sample["image"].shape[1:] == sample["label"].shape[1:]
    assert sample["image"].shape[1] in (31, 32)
