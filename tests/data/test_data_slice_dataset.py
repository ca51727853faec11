# SPDX-License-Identifier: Apache-2.0
"""A sample is a slice: bit for bit that of its volume, once in an epoch, drawn for by itself, whoever loads it."""

from __future__ import annotations

import io
import pickle
from collections import Counter
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from monai.bundle import ConfigParser
from monai.data import DataLoader, MetaTensor
from monai.transforms import Compose, Lambdad, MapTransform, RandFlipd, Randomizable, SomeOf

from sa2_monai.data import Draw, SliceDataset, SliceSampler, VolumeReader, slice_counter
from sa2_monai.slices import SliceOrientationd, StrictLoadImaged

DEPTHS = (5, 1, 9, 3)


class Counted(MapTransform):
    """A deterministic step that says how often it was run, and on what."""

    def __init__(self, log: list[tuple[int, ...]]) -> None:
        super().__init__(["image"])
        self.log = log

    def __call__(self, data: Any) -> Any:
        self.log.append(tuple(data["image"].shape))
        return data


class Noise(Randomizable, MapTransform):
    """One number for each slice, added in place."""

    def __init__(self) -> None:
        MapTransform.__init__(self, ["image"])

    def __call__(self, data: Any) -> Any:
        data["image"] += self.R.random_sample()
        return data


def volume(number: int, depth: int = 5, size: tuple[int, int] = (6, 4)) -> dict[str, Any]:
    """Each voxel has its own value; class 1 in the first slice, class 2 in the last two."""
    image = torch.arange(2 * size[0] * size[1] * depth, dtype=torch.float32).reshape(2, *size, depth) + 1000 * number
    label = torch.zeros(1, *size, depth, dtype=torch.uint8)
    label[0, 1, 1, 0] = 1
    label[0, 2, 2, -2:] = 2
    affine = torch.tensor([[-1.5, 0, 0.2, 3], [0, 2, 0, 4], [0, 0, 5, 6], [0, 0, 0, 1]], dtype=torch.float64)
    meta = {"filename_or_obj": f"/d/{number}.nii.gz", "pixdim": np.ones(8)}
    return {
        "image": MetaTensor(image, affine=affine, meta=dict(meta)),
        "label": MetaTensor(label, affine=affine, meta=dict(meta)),
        "case": str(number),
    }


def volumes() -> list[dict[str, Any]]:
    return [volume(number, depth) for number, depth in enumerate(DEPTHS)]


def dataset_of(data: list[dict[str, Any]], *random: Any, log: list | None = None, **options: Any) -> SliceDataset:
    before = [Counted([] if log is None else log)]
    return SliceDataset(data, [*before, *random], **{"per_case": 1, "progress": False, **options})


def test_a_slice_has_its_place() -> None:
    data = volumes()
    dataset = dataset_of(data)
    assert len(dataset) == sum(DEPTHS)
    index = 0
    for case in data:
        for place in range(case["label"].shape[-1]):
            sample = dataset[index]
            assert (sample["case"], sample["slice_index"]) == (case["case"], place)
            for key in ("image", "label"):
                assert torch.equal(sample[key].as_tensor(), case[key].as_tensor()[..., place])
                assert sample[key].dtype == case[key].dtype
                assert sample[key].meta["filename_or_obj"] == case[key].meta["filename_or_obj"]
                assert sample[key].meta["slice_index"] == place
                assert "pixdim" not in sample[key].meta
                where = sample[key].affine.numpy() @ [3, 2, 0, 1]
                np.testing.assert_allclose(where, case[key].affine.numpy() @ [3, 2, place, 1])
            index += 1
    assert dataset[-1]["case"] == "3"
    for beyond in (len(dataset), -len(dataset) - 1):
        with pytest.raises(IndexError, match=r"there is no slice .* has 18 of 4 cases"):
            dataset[beyond]


def test_entries_of_some_cases_do_not_end_a_batch() -> None:
    data = [{**case, "patient": "p"} if number % 2 else case for number, case in enumerate(volumes())]
    (batch,) = DataLoader(dataset_of(data), batch_size=sum(DEPTHS))
    assert batch["case"] == [str(number) for number, depth in enumerate(DEPTHS) for _ in range(depth)]
    assert "patient" not in batch


def test_what_a_sample_suffers_does_not_reach_the_others() -> None:
    dataset = dataset_of(volumes(), Noise())
    before = dataset._stored[0][2]["image"].as_tensor()
    dataset[2]["label"].fill_(9)
    assert torch.equal(dataset._stored[0][2]["image"].as_tensor(), before)
    assert dataset[2]["label"].max() < 9


def test_an_image_is_a_stack_of_one_and_keeps_its_resized_self() -> None:
    """All steps of an image before the first random one are run once; of a volume only those for the whole."""
    whole: list[tuple[int, ...]] = []
    sliced: list[tuple[int, ...]] = []
    image = {"image": np.arange(24, dtype=np.float32).reshape(1, 6, 4), "label": np.ones((1, 6, 4), np.uint8)}
    steps = [Counted(whole), Counted(sliced), Lambdad(["image", "label"], lambda x: x[:, ::2]), Noise()]
    dataset = SliceDataset([image, volume(1, 2)], steps, per_case=1, progress=False)
    assert len(dataset) == 3
    assert (len(whole), len(sliced)) == (2, 1)
    for _ in range(3):
        sample = dataset[0]
        assert sample["image"].shape == (1, 3, 4)
        assert sample["slice_index"] == 0
        dataset[2]
    assert (whole, sliced) == ([(1, 6, 4), (2, 6, 4, 2)], [(1, 6, 4), *[(2, 6, 4)] * 3])


def test_images_alone_have_no_index() -> None:
    image = {"image": np.zeros((1, 6, 4), np.float32), "label": np.ones((1, 6, 4), np.uint8)}
    assert set(dataset_of([image, image])[1]) == {"image", "label"}


def test_steps_of_a_case_end_before_the_first_random_one() -> None:
    log: list[tuple[int, ...]] = []
    dataset = dataset_of(volumes(), Noise(), log=log, per_case=None)
    assert dataset.per_case == 1
    dataset[0], dataset[0]
    assert len(log) == len(DEPTHS)


# --- what an epoch is


def items(sampler: SliceSampler, epoch: int) -> list[int]:
    sampler.set_epoch(epoch)
    return [draw.item for draw in sampler]


def test_an_epoch_is_every_slice_once_over_all_volumes() -> None:
    data = [volume(number, 40) for number in range(3)]
    dataset = dataset_of(data)
    sampler = SliceSampler(dataset, seed=4)
    epochs = [items(sampler, epoch) for epoch in (1, 2, 3)]
    assert all(sorted(epoch) == list(range(len(dataset))) for epoch in epochs)
    assert len(sampler) == len(dataset)
    assert epochs[0] != epochs[1]
    assert items(sampler, 1) == epochs[0]
    assert items(SliceSampler(dataset, seed=5), 1) != epochs[0]
    batches = np.array(epochs[0]).reshape(-1, 24) // 40
    assert all(len(set(batch)) == 3 for batch in batches), "a batch is of all volumes"


def test_without_being_told_the_epochs_count_themselves() -> None:
    sampler = SliceSampler(dataset_of(volumes()), seed=0)
    first, second = ([draw.item for draw in sampler] for _ in range(2))
    assert first != second
    assert sorted(first) == sorted(second)


@pytest.mark.parametrize("world", [1, 2, 3, 4])
def test_processes_share_an_epoch_without_doubles(world: int, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = dataset_of(volumes())
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: world)
    parts = []
    for rank in range(world):
        monkeypatch.setattr("torch.distributed.get_rank", lambda rank=rank: rank)
        sampler = SliceSampler(dataset)
        sampler.set_epoch(7)
        parts.append(list(sampler))
    assert len({len(part) for part in parts}) == 1
    drawn = [draw.item for part in parts for draw in part]
    assert len(set(drawn)) == len(drawn) == len(dataset) // world * world
    assert len({draw.seed for part in parts for draw in part}) == len(drawn)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 2)
    with pytest.raises(ValueError, match="1 samples in an epoch are too few for 2 processes"):
        SliceSampler(dataset, num_samples=1)


def test_short_epochs_go_through_all_slices() -> None:
    dataset = dataset_of([volume(0, 24)])
    sampler = SliceSampler(dataset, num_samples=7)
    epochs = [items(sampler, epoch) for epoch in range(6)]
    for turn in (epochs[:3], epochs[3:]):
        drawn = [item for epoch in turn for item in epoch]
        assert len(set(drawn)) == len(drawn) == 21
    assert epochs[:3] != epochs[3:]
    assert sorted(items(SliceSampler(dataset, num_samples=960), 0)) == list(range(24)), "at most all of them"


def test_share_with_foreground() -> None:
    """Each class as often as any other; within a class the slices in turn; the rest without doubles."""
    dataset = dataset_of([volume(number, 20) for number in range(4)])
    shown = {1: {0, 20, 40, 60}, 2: {18, 19, 38, 39, 58, 59, 78, 79}}
    assert {value: set(slices.tolist()) for value, slices in dataset.classes().items()} == shown
    assert Counter(items(SliceSampler(dataset, foreground=1.0), 3)) == {
        **dict.fromkeys(shown[1], 10),
        **dict.fromkeys(shown[2], 5),
    }
    assert set(items(SliceSampler(dataset, foreground=1.0, ignore_value=2), 0)) == shown[1]
    sampler = SliceSampler(dataset, foreground=0.6)
    counts = Counter(items(sampler, 0))
    assert sum(counts.values()) == len(dataset)
    with_class = sum(count for item, count in counts.items() if item in shown[1] | shown[2])
    assert 48 <= with_class <= 48 + 12
    assert items(sampler, 0) == items(sampler, 0) != items(sampler, 1)
    empty = volume(0)
    empty["label"] = MetaTensor(torch.zeros_like(empty["label"].as_tensor()))
    assert sorted(items(SliceSampler(dataset_of([empty]), foreground=1.0), 0)) == list(range(5))


# --- what is drawn for a slice


def chain(config: str, repository: Path) -> list[Any]:
    """The random steps of a bundle."""
    parser = ConfigParser()
    parser.read_config(str(repository / "bundles" / config / "configs" / "train.yaml"))
    return list(parser.get_parsed_content("train#random_transforms"))


def test_operators_are_drawn_for_each_slice(repository: Path) -> None:
    """Number, choice and order of DAE-Former's operators: a binomial count in batches of 24, of which a fifth has none.

    Drawn for 8 slices of a volume together, the count would deviate by 5.5 instead of 2.
    """
    (augmentation,) = (step for step in chain("daeformer", repository) if isinstance(step, SomeOf))
    applied: list[list[int]] = []

    def recorded(number: int) -> Lambdad:
        return Lambdad("label", lambda x: (applied[-1].append(number), x)[1])

    assert len(augmentation.transforms) == 10
    bounds = (augmentation.min_num_transforms, augmentation.max_num_transforms)
    operators = SomeOf([recorded(n) for n in range(10)], num_transforms=bounds)
    begin = Lambdad("label", lambda x: (applied.append([]), x)[1])
    dataset = dataset_of([volume(number, 96, (3, 3)) for number in range(5)], begin, operators)
    sampler = SliceSampler(dataset, seed=1)
    seen: Counter = Counter()
    for epoch in range(10):
        sampler.set_epoch(epoch)
        for draw in sampler:
            dataset[draw]
            seen[draw.item] += 1
    assert set(seen.values()) == {10}, "every slice equally often"
    batches = np.array([bool(names) for names in applied]).reshape(-1, 24).sum(axis=1)
    assert len(batches) == 200
    assert abs(batches.std(ddof=1) - 2.0) < 0.3
    assert abs(batches.mean() - 0.8 * 24) < 0.5
    numbers = Counter(map(len, applied))
    assert sorted(numbers) == [0, 1, 2, 3, 4]
    assert all(abs(count - 960) < 150 for count in numbers.values())
    pairs = Counter(tuple(names) for names in applied if len(names) == 2)
    assert len(pairs) == 90, "every choice in every order"


def test_slices_of_one_volume_differ_in_what_is_drawn(repository: Path) -> None:
    """The bundle's own chain: a batch of slices of one volume that are all alike."""
    steps = chain("daeformer", repository)
    case = volume(0, 8, (40, 32))
    case["image"] = MetaTensor(torch.rand(1, 40, 32, 1, generator=torch.manual_seed(0)).expand(1, 40, 32, 8))
    dataset = dataset_of([case], *steps)
    assert {tuple(dataset[Draw(0, seed)]["image"].shape) for seed in range(3)} == {(1, 224, 224)}
    sampler = SliceSampler(dataset)
    samples = [dataset[draw]["image"] for draw in sampler]
    assert len({sample.numpy().tobytes() for sample in samples}) > 4


@pytest.mark.parametrize("workers", [1, 2])
def test_draws_do_not_depend_on_workers(workers: int) -> None:
    dataset = dataset_of(volumes(), RandFlipd("image", prob=0.5, spatial_axis=0), Noise())

    def epoch(number: int, workers: int) -> list[torch.Tensor]:
        sampler = SliceSampler(dataset, seed=3)
        sampler.set_epoch(number)
        loader = DataLoader(dataset, batch_size=4, sampler=sampler, num_workers=workers)
        return [batch["image"].as_tensor() for batch in loader]

    alone = epoch(1, 0)
    torch.manual_seed(99)
    dataset.set_random_state(12)
    assert all(torch.equal(*pair) for pair in zip(alone, epoch(1, workers), strict=True))
    assert not all(torch.equal(*pair) for pair in zip(alone, epoch(2, workers), strict=True))


def test_data_sets_with_the_same_transforms() -> None:
    noise = Noise()
    first, second = (dataset_of(volumes(), noise) for _ in range(2))
    expected = first[Draw(3, 1)]["image"]
    second[Draw(3, 2)]
    noise.set_random_state(5)
    assert torch.equal(first[Draw(3, 1)]["image"].as_tensor(), expected.as_tensor())


def test_plain_indices_draw_from_a_stream() -> None:
    dataset = dataset_of(volumes(), Noise())
    streams = []
    for seed in (1, 1, 2):
        dataset.set_random_state(seed)
        streams.append([float(dataset[0]["image"].sum()) for _ in range(3)])
    assert streams[0] == streams[1] != streams[2]
    assert len(set(streams[0])) == 3
    dataset.set_random_state(state=np.random.RandomState(1))
    assert float(dataset[0]["image"].sum()) == streams[0][0]


def test_workers_of_any_start_share_the_memory() -> None:
    """Forked processes have it; what is sent to others is a handle, not the voxels."""
    case = volume(0, 64, (64, 64))
    dataset = dataset_of([case])
    sent = io.BytesIO()
    ForkingPickler(sent).dump(dataset)
    assert len(sent.getvalue()) < 64**3 / 10
    stacks = dataset._stored[0]._stacks
    assert all(stack.codes.is_shared() for stack in stacks.values())
    again = pickle.loads(sent.getvalue())
    assert torch.equal(again[7]["image"].as_tensor(), dataset[7]["image"].as_tensor())


# --- cases that are not kept


@pytest.mark.parametrize("workers", [0, 2])
def test_a_volume_that_is_not_kept_is_read_once_in_an_epoch(workers: int) -> None:
    log: list[tuple[int, ...]] = []
    data = [volume(number, 10) for number in range(8)]
    dataset = dataset_of(data, log=log, cache_rate=0.25, count=lambda case: case["label"].shape[-1], keep=2)
    assert len(log) == 2
    sampler = SliceSampler(dataset)
    sampler.set_epoch(2)
    loader = DataLoader(dataset, batch_size=5, sampler=sampler, num_workers=workers)
    batches = [(batch["case"], batch["slice_index"].tolist()) for batch in loader]
    seen = [pair for names, places in batches for pair in zip(names, places, strict=True)]
    assert len(set(seen)) == len(seen) == 80
    if not workers:
        assert len(log) == 2 + 6
    assert any(len(set(names)) > 2 for names, _ in batches), "kept volumes are everywhere"
    kept = [step for step, (name, _) in enumerate(seen) if name in ("0", "1")]
    assert (kept[0] < 15, kept[-1] > 65) == (True, True)


def test_without_a_counter_they_are_read_at_the_start() -> None:
    log: list[tuple[int, ...]] = []
    dataset = dataset_of(volumes(), log=log, cache_rate=0.0)
    assert (len(dataset), len(log)) == (sum(DEPTHS), len(DEPTHS))
    assert dataset.classes()[1].tolist() == [0, 5, 6, 15]


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal", "acquisition"])
@pytest.mark.parametrize("codes", ["RAS", "PIL", "SLA"])
def test_slices_are_counted_as_they_are_cut(axis: str, codes: str, tmp_path: Path) -> None:
    target = nib.orientations.axcodes2ornt(tuple(codes))
    image = nib.Nifti1Image(np.zeros((5, 6, 7), np.int16), np.diag([-1.5, -1.5, 4.0, 1.0]))
    turned = image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(image.affine), target))
    nib.save(turned, tmp_path / "a.nii.gz")
    case = {"image": str(tmp_path / "a.nii.gz")}
    load = StrictLoadImaged("image", VolumeReader(), ensure_channel_first=True, image_only=True)
    cut = Compose([load, SliceOrientationd("image", axis)])(dict(case))["image"]
    assert slice_counter("volumes", axis)(case) == cut.shape[-1]
    assert slice_counter("volumes", axis)({"image": [case["image"]] * 2}) == cut.shape[-1]
    assert slice_counter("images", axis)(case) == slice_counter("preprocessed", axis)(case) == 1


# --- what is refused


def changed(key: str, value: Any) -> list[dict[str, Any]]:
    case = volume(0)
    if value is None:
        del case[key]
    else:
        case[key] = value(case[key])
    return [case]


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ([], {}, "the list of cases is empty"),
        (changed("label", None), {}, r"/d/0\.nii\.gz has no 'label': training needs images with their labels"),
        (
            changed("label", lambda x: x[..., 1:]),
            {},
            r"/d/0.nii.gz has the size \(6, 4, 5\), but its label .*\(6, 4, 4\)",
        ),
        (changed("image", lambda x: x[0, 0]), {}, r"image .* has the shape \(4, 5\), expected a volume"),
        (changed("image", lambda x: x[..., :0]), {}, r"image .* has the shape \(2, 6, 4, 0\), expected a volume"),
        (volumes(), {"per_case": 3}, "per_case is 3, .* expected 0 to 2 steps"),
        (volumes(), {"per_case": 2}, "Noise is random, but stands among the 2 steps whose result is kept"),
        (volumes(), {"cache_rate": 1.5}, "cache_rate 1.5"),
        (volumes(), {"keep": 0}, "keep 0"),
    ],
)
def test_what_is_no_data_set(data: list[dict[str, Any]], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataset_of(data, Noise(), **options)


def test_a_file_that_changed_after_it_was_counted() -> None:
    dataset = dataset_of(volumes(), cache_rate=0.0, count=lambda case: 4)
    with pytest.raises(ValueError, match=r"has 5 slices, but its header counted 4\. Did the file change"):
        dataset[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"foreground": 1.1}, "foreground is 1.1"),
        ({"num_samples": 0}, "num_samples is 0, expected at least 1"),
        ({"seed": -1}, "seed must be >= 0"),
    ],
)
def test_illegal_epochs(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SliceSampler(dataset_of(volumes()), **options)
