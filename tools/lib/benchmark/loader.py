# SPDX-License-Identifier: Apache-2.0
"""Training data: slices as samples against slices drawn per volume; whole epochs, cached or not, with 0, 2, 4 workers.

The volumes are generated CTs. Both contestants run the augmentation of DAE-Former from ``train.yaml`` on them, in
batches of as many slices, each in a fresh process: the earlier one, of version 0.1.0, a ``CacheDataset`` of volumes of
which ``RandSliced`` draws 8 slices in an epoch, this one a ``SliceDataset`` whose epochs have all slices; workers start
at each epoch. Told are the seconds until the first batch is there (volumes read included), the slices a second after
it, and the memory of the process and its workers: the proportional set size, in which shared pages count once (Linux),
and the largest resident one of a worker. Before anything is timed, the slices of both, without the random steps, are
compared bit by bit.

The epochs, a table of their own, are those of short trainings on a CPU: SvANet on generated images, DAE-Former on the
first of the CTs, with data loader, network, loss and optimizer from ``train.yaml`` and the overlay for generated data
(narrow networks; with ``--width published`` that for folders, whose steps take many times as long), and the published
augmentation. A fresh process for each row builds the data set and trains: forward, backward, step, no validation. An
epoch waits while no batch is there: from asking for one until it comes, the start and the end of workers included. The
share of the waiting, in which a device would be idle, and the time are medians of all epochs but the first, which may
find files and code cold.
"""

from __future__ import annotations

import argparse
import inspect
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from monai.bundle import ConfigParser
from monai.data import CacheDataset, DataLoader
from monai.transforms import Compose

from benchmark.frame.process import in_fresh_process
from benchmark.frame.rows import Row, Skipped
from benchmark.generated.ct import CLASSES, make_case
from benchmark.loading import epochs
from benchmark.loading.processes import memory_is_told, memory_of_processes
from sa2_monai.data import SliceDataset, SliceSampler
from sa2_monai.slices import RandSliced

CONFIG = Path(__file__).resolve().parents[3] / "bundles" / "daeformer" / "configs" / "train.yaml"
CONTESTANTS = ("RandSliced", "SliceDataset")
KEPT = inspect.signature(SliceDataset).parameters["keep"].default  # volumes that a process holds without a cache
AT_ONCE = 8  # slices that were drawn of a volume


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Volumes and batches of the contestants; images, volumes and workers of the epochs."""
    everything = ("contestants", *epochs.KINDS)
    parser.add_argument("--measure", nargs="+", choices=everything, default=everything, help="default: all")
    parser.add_argument("--volumes", type=int, default=6)
    parser.add_argument("--slices", type=int, default=60, help="slices of a volume")
    parser.add_argument("--size", type=int, default=512, help="rows and columns of a slice")
    parser.add_argument("--batch", type=int, default=24, help="slices of a batch")
    parser.add_argument("--batches", type=int, default=12, help="timed, after the first one")
    parser.add_argument("--workers", type=int, default=2, help="of the contestants")
    parser.add_argument("--turns", type=int, default=1, help="the contestants take turns; the median counts")
    parser.add_argument("--width", choices=epochs.WIDTHS, default="narrow", help="of the networks of the epochs")
    parser.add_argument("--epochs", type=int, default=2, help="of each training, at least 2")
    parser.add_argument("--epoch-volumes", type=int, default=4, help="those of an epoch")
    parser.add_argument("--epoch-workers", type=int, nargs="+", default=[0, 2, 4], help="of the epochs, a row for each")
    parser.add_argument("--images", type=int, default=48, help="images of an epoch")
    parser.add_argument("--image-size", type=int, default=256, help="rows and columns of an image")


def run(args: argparse.Namespace) -> Iterator[Row]:
    """A row for each of the two loaders, then one for each way of training."""
    if not memory_is_told():
        raise Skipped("the memory of processes is told by Linux alone")
    if args.epochs < 2:
        raise SystemExit(f"--epochs: found {args.epochs}, expected at least 2: the first one is told by itself")
    if args.epoch_volumes < KEPT + 1:
        least = f"expected at least {KEPT + 1}: a process keeps {KEPT} of those that are not cached"
        raise SystemExit(f"--epoch-volumes: found {args.epoch_volumes}, {least}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        numbers = {"contestants": args.volumes, "volumes": args.epoch_volumes}
        for number in range(max(numbers.get(one, 0) for one in args.measure)):
            case = folder / str(number)
            case.mkdir()
            make_case(case, args.size, args.slices)
        if "contestants" in args.measure:
            yield from contestants(folder, args)
        for kind in epochs.KINDS:
            if kind in args.measure:
                yield from epochs.rows(kind, folder, cases(folder, args.epoch_volumes), args)


def contestants(folder: Path, args: argparse.Namespace) -> list[Row]:
    """A row for each of the two loaders."""
    if args.batch % AT_ONCE or args.volumes * AT_ONCE < args.batch:
        raise SystemExit(f"--batch: expected a multiple of {AT_ONCE} of which the volumes have {AT_ONCE} each")
    check_agreement(folder)
    options = {key: getattr(args, key) for key in ("volumes", "batch", "batches", "workers")}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CONTESTANTS}
    for _ in range(args.turns):
        for name in CONTESTANTS:
            found[name].append(in_fresh_process(__name__, "measure", name, str(folder), options))
    what = (
        f"{args.volumes} volumes {args.size} x {args.size} x {args.slices}, batch {args.batch}, {args.workers} workers"
    )
    rows = []
    for name, turns in found.items():
        median = {key: statistics.median(turn[key] for turn in turns) for key in turns[0]}
        rows.append({"case": what, "contestant": name, **median})
    return rows


def cases(folder: Path, volumes: int) -> list[dict[str, str]]:
    names = [folder / str(number) for number in range(volumes)]
    return [{"image": str(n / "image.nii.gz"), "label": str(n / "label.nii.gz"), "case": n.name} for n in names]


def steps() -> tuple[list[Any], list[Any]]:
    """Transforms of a volume and of a slice, as the bundle has them."""
    parser = ConfigParser()
    parser.read_config(str(CONFIG))
    parser.update({"class_names": CLASSES, "label_values": None, "kind": "volumes"})
    before, after = (parser.get_parsed_content(f"train#{name}_transforms") for name in ("deterministic", "random"))
    return list(before), list(after)


def loader_of(name: str, data: list[dict[str, str]], args: argparse.Namespace) -> DataLoader:
    before, after = steps()
    threads = {"num_workers": args.workers, "progress": False}
    if name == "SliceDataset":
        dataset = SliceDataset(data, [*before, *after], per_case=len(before), **threads)
        sampler = SliceSampler(dataset)
        return DataLoader(dataset, num_workers=args.workers, batch_size=args.batch, sampler=sampler)
    cut = RandSliced(["image", "label"], num_samples=AT_ONCE, foreground=0.0)
    volumes = CacheDataset(data, Compose([*before, cut, *after]), copy_cache=False, **threads)
    return DataLoader(volumes, num_workers=args.workers, batch_size=args.batch // AT_ONCE, shuffle=True)


def measure(name: str, folder: str, options: dict[str, Any]) -> dict[str, float]:
    """Figures of one loader, to be measured in a fresh process."""
    args = argparse.Namespace(**options)
    torch.manual_seed(0)
    start = time.perf_counter()
    loader = loader_of(name, cases(Path(folder), args.volumes), args)
    batches = iter(loader)
    first = len(next(batches)["image"])
    told = {"first_batch_s": time.perf_counter() - start}
    if first != args.batch:
        raise SystemExit(f"{name}: a batch of {first} slices, expected {args.batch}")
    number, start, memory = 0, time.perf_counter(), memory_of_processes()
    for turn in range(args.batches):
        batch = next(batches, None)
        if batch is None:
            batches = iter(loader)
            batch = next(batches)
        number += len(batch["image"])
        if turn in (args.batches // 2, args.batches - 1):
            found = memory_of_processes()
            memory = {key: max(value, found[key]) for key, value in memory.items()}
    return {**told, "slices_per_second": number / (time.perf_counter() - start), **memory}


def check_agreement(folder: Path) -> None:
    data = cases(folder, 1)
    before, _ = steps()
    volume = Compose(before)(dict(data[0]))
    slices = SliceDataset(data, before, per_case=len(before), progress=False)
    for index in range(len(slices)):
        for key in ("image", "label"):
            if not torch.equal(slices[index][key].as_tensor(), volume[key].as_tensor()[..., index]):
                raise SystemExit(f"slice {index} of the {key} differs from that of the volume: nothing is timed")
